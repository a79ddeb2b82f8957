//! STUN messages (RFC 8489) as far as ICE and the question for our own address need them: binding requests and their
//! answers, short-term credentials, fingerprints.

pub mod client;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ring::hmac;

/// Bytes of the header (RFC 8489 §5).
const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// What a checksum is combined with (RFC 8489 §14.7): "STUN".
const FINGERPRINT_MASK: u32 = 0x5354_554e;
/// Bytes of an attribute MESSAGE-INTEGRITY without its head.
const TAG: usize = 20;
/// Longest message that is looked at; binding requests have about 100 bytes.
const LONGEST: usize = 1_280;
/// Attributes that are looked at.
const MOST_ATTRIBUTES: usize = 32;
/// Attributes that we do not know and should, as many as are told.
const MOST_UNKNOWN: usize = 8;

/// Types of attributes (RFC 8489 §18.3, RFC 8445 §20.1).
mod attribute {
    pub(super) const MAPPED_ADDRESS: u16 = 0x0001;
    pub(super) const USERNAME: u16 = 0x0006;
    pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(super) const ERROR_CODE: u16 = 0x0009;
    pub(super) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub(super) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
    pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(super) const PRIORITY: u16 = 0x0024;
    pub(super) const USE_CANDIDATE: u16 = 0x0025;
    pub(super) const SOFTWARE: u16 = 0x8022;
    pub(super) const FINGERPRINT: u16 = 0x8028;
    pub(super) const ICE_CONTROLLED: u16 = 0x8029;
    pub(super) const ICE_CONTROLLING: u16 = 0x802a;
}

/// Class and method of a message; the one method that we speak is Binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 0x0111.
    Error,
    /// 0x0011, which nobody answers.
    Indication,
    /// 0x0001.
    Request,
    /// 0x0101.
    Success,
}

impl Kind {
    const ALL: [(Self, u16); 4] = [
        (Self::Request, 0x0001),
        (Self::Indication, 0x0011),
        (Self::Success, 0x0101),
        (Self::Error, 0x0111),
    ];

    const fn code(self) -> u16 {
        match self {
            Self::Error => 0x0111,
            Self::Indication => 0x0011,
            Self::Request => 0x0001,
            Self::Success => 0x0101,
        }
    }
}

/// Can one host be at this address, so that others are told it? Not nowhere, nor many.
#[must_use]
pub fn is_place(address: std::net::IpAddr) -> bool {
    let address = address.to_canonical();
    let broadcast = address == std::net::IpAddr::from([255; 4]);
    !address.is_unspecified() && !address.is_multicast() && !broadcast
}

/// True if a datagram on a port of media is STUN and neither DTLS nor RTP (RFC 7983 §7).
#[must_use]
pub fn is_stun(packet: &[u8]) -> bool {
    matches!(packet, [0..=3, ..])
}

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Class.
    pub kind: Kind,
    /// Transaction.
    pub transaction: [u8; 12],
    /// USERNAME.
    pub username: Option<&'a [u8]>,
    /// PRIORITY of the candidate that the sender would have by this check.
    pub priority: Option<u32>,
    /// USE-CANDIDATE: the sender has chosen this pair.
    pub use_candidate: bool,
    /// The sender says that it decides, with its tie-breaker (ICE-CONTROLLING).
    pub controlling: Option<u64>,
    /// The sender says that it does not decide, with its tie-breaker (ICE-CONTROLLED).
    pub controlled: Option<u64>,
    /// Where the other side sees us.
    pub mapped: Option<SocketAddr>,
    /// Code of an error, 300 to 699.
    pub error: Option<u16>,
    /// Place of MESSAGE-INTEGRITY.
    integrity: Option<usize>,
    unknown: [u16; MOST_UNKNOWN],
    unknown_count: usize,
}

impl<'a> Message<'a> {
    /// Reads a message of the method Binding. `None` for what is none, is broken, has a wrong fingerprint, or has more
    /// attributes than one can have.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > LONGEST || bytes.len() < HEADER || bytes[4..8] != COOKIE {
            return None;
        }
        let code = u16::from_be_bytes([bytes[0], bytes[1]]);
        let (kind, _) = Kind::ALL.into_iter().find(|(_, c)| *c == code)?;
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        if !length.is_multiple_of(4) || bytes.len() != HEADER + length {
            return None;
        }
        let mut message = Self {
            bytes,
            kind,
            transaction: bytes[8..HEADER].try_into().ok()?,
            username: None,
            priority: None,
            use_candidate: false,
            controlling: None,
            controlled: None,
            mapped: None,
            error: None,
            integrity: None,
            unknown: [0; MOST_UNKNOWN],
            unknown_count: 0,
        };
        let mut at = HEADER;
        for _ in 0..MOST_ATTRIBUTES {
            if at == bytes.len() {
                return Some(message);
            }
            let head = bytes.get(at..at + 4)?;
            let name = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = bytes.get(at + 4..at + 4 + length)?;
            let last = at + 4 + length.next_multiple_of(4) == bytes.len();
            message.attribute(at, name, value, last)?;
            at += 4 + length.next_multiple_of(4);
        }
        None
    }

    /// Takes one attribute, `None` if it is wrong. Behind MESSAGE-INTEGRITY nothing counts but FINGERPRINT.
    fn attribute(&mut self, at: usize, name: u16, value: &'a [u8], last: bool) -> Option<()> {
        if name == attribute::FINGERPRINT {
            let said = u32::from_be_bytes(value.try_into().ok()?);
            // it is the last one (RFC 8489 §14.7)
            return (last && said == crc32(&self.bytes[..at]) ^ FINGERPRINT_MASK).then_some(());
        }
        if self.integrity.is_some() {
            return Some(());
        }
        match name {
            attribute::USERNAME => self.username = self.username.or(Some(value)),
            attribute::MESSAGE_INTEGRITY => {
                self.integrity = (value.len() == TAG).then_some(at);
                self.integrity?;
            }
            attribute::PRIORITY => self.priority = Some(u32::from_be_bytes(value.try_into().ok()?)),
            attribute::USE_CANDIDATE => self.use_candidate = true,
            attribute::ICE_CONTROLLED => self.controlled = Some(u64::from_be_bytes(value.try_into().ok()?)),
            attribute::ICE_CONTROLLING => self.controlling = Some(u64::from_be_bytes(value.try_into().ok()?)),
            attribute::XOR_MAPPED_ADDRESS => self.mapped = Some(self.unmask(address(value)?)),
            attribute::MAPPED_ADDRESS => self.mapped = self.mapped.or(address(value)),
            attribute::ERROR_CODE => {
                let code = value.get(2..4)?;
                self.error = Some(u16::from(code[0] & 7) * 100 + u16::from(code[1] % 100));
            }
            attribute::MESSAGE_INTEGRITY_SHA256 | attribute::SOFTWARE | attribute::UNKNOWN_ATTRIBUTES => {}
            // comprehension-required (RFC 8489 §14)
            0..0x8000 => {
                if let Some(room) = self.unknown.get_mut(self.unknown_count) {
                    *room = name;
                    self.unknown_count += 1;
                }
            }
            0x8000.. => {}
        }
        Some(())
    }

    fn unmask(&self, masked: SocketAddr) -> SocketAddr {
        mask(masked, &self.transaction)
    }

    /// Attributes that it should not be understood without, and that we do not know.
    #[must_use]
    pub fn unknown(&self) -> &[u16] {
        &self.unknown[..self.unknown_count]
    }

    /// Has it a MESSAGE-INTEGRITY at all?
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        self.integrity.is_some()
    }

    /// Is it signed with this password (RFC 8489 §9.1)?
    #[must_use]
    pub fn is_authentic(&self, password: &[u8]) -> bool {
        let Some(at) = self.integrity else {
            return false;
        };
        // the length in the header is that up to the end of this attribute (RFC 8489 §14.5)
        let mut copy = [0; LONGEST];
        let covered = &mut copy[..at];
        covered.copy_from_slice(&self.bytes[..at]);
        let length = u16::try_from(at + 4 + TAG - HEADER).unwrap_or(u16::MAX);
        covered[2..4].copy_from_slice(&length.to_be_bytes());
        hmac::verify(&key(password), covered, &self.bytes[at + 4..at + 4 + TAG]).is_ok()
    }
}

fn key(password: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password)
}

/// An address as MAPPED-ADDRESS has it (RFC 8489 §14.1).
fn address(value: &[u8]) -> Option<SocketAddr> {
    let (head, rest) = value.split_at_checked(4)?;
    let port = u16::from_be_bytes([head[2], head[3]]);
    let ip = match head[1] {
        1 => IpAddr::from(<[u8; 4]>::try_from(rest).ok()?),
        2 => IpAddr::from(<[u8; 16]>::try_from(rest).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// An address with the cookie and the transaction over it, or that without them (RFC 8489 §14.2).
fn mask(address: SocketAddr, transaction: &[u8; 12]) -> SocketAddr {
    let port = address.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
    let over = COOKIE.iter().chain(transaction);
    let ip: IpAddr = match address.ip() {
        IpAddr::V4(ip) => {
            let mut bytes = ip.octets();
            bytes.iter_mut().zip(over).for_each(|(b, o)| *b ^= o);
            Ipv4Addr::from(bytes).into()
        }
        IpAddr::V6(ip) => {
            let mut bytes = ip.octets();
            bytes.iter_mut().zip(over).for_each(|(b, o)| *b ^= o);
            Ipv6Addr::from(bytes).into()
        }
    };
    SocketAddr::new(ip, port)
}

/// The checksum of ISO 3309, as Ethernet has it (RFC 8489 §14.7).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
        crc
    })
}

/// Writes a message into a buffer, attribute by attribute.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    transaction: [u8; 12],
}

impl<'a> Writer<'a> {
    /// Begins a message; what the buffer held is gone.
    pub fn begin(out: &'a mut Vec<u8>, kind: Kind, transaction: [u8; 12]) -> Self {
        out.clear();
        out.extend_from_slice(&kind.code().to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&COOKIE);
        out.extend_from_slice(&transaction);
        Self { out, transaction }
    }

    fn attribute(&mut self, name: u16, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.out.extend_from_slice(&name.to_be_bytes());
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(value);
        let end = self.out.len().next_multiple_of(4);
        self.out.resize(end, 0);
        self.set_length(0);
    }

    /// Writes the length of what is there and what is still to come.
    fn set_length(&mut self, more: usize) {
        let length = u16::try_from(self.out.len() + more - HEADER).unwrap_or(u16::MAX);
        self.out[2..4].copy_from_slice(&length.to_be_bytes());
    }

    /// XOR-MAPPED-ADDRESS: where the other side is seen.
    pub fn mapped(&mut self, address: SocketAddr) {
        let masked = mask(address, &self.transaction);
        let mut value = [0; 20];
        let [high, low] = masked.port().to_be_bytes();
        (value[2], value[3]) = (high, low);
        let end = match masked.ip() {
            IpAddr::V4(ip) => {
                value[1] = 1;
                value[4..8].copy_from_slice(&ip.octets());
                8
            }
            IpAddr::V6(ip) => {
                value[1] = 2;
                value[4..].copy_from_slice(&ip.octets());
                20
            }
        };
        self.attribute(attribute::XOR_MAPPED_ADDRESS, &value[..end]);
    }

    /// ERROR-CODE, 300 to 699, with its reason.
    pub fn error(&mut self, code: u16, reason: &str) {
        let mut value = [0; 64];
        value[2] = u8::try_from(code / 100).unwrap_or(0);
        value[3] = u8::try_from(code % 100).unwrap_or(0);
        let end = 4 + reason.len().min(60);
        value[4..end].copy_from_slice(&reason.as_bytes()[..end - 4]);
        self.attribute(attribute::ERROR_CODE, &value[..end]);
    }

    /// UNKNOWN-ATTRIBUTES.
    pub fn unknown(&mut self, names: &[u16]) {
        let mut value = [0; 2 * MOST_UNKNOWN];
        let names = &names[..names.len().min(MOST_UNKNOWN)];
        for (room, name) in value.chunks_exact_mut(2).zip(names) {
            room.copy_from_slice(&name.to_be_bytes());
        }
        self.attribute(attribute::UNKNOWN_ATTRIBUTES, &value[..2 * names.len()]);
    }

    /// Any attribute, for tests of the other side.
    #[cfg(test)]
    pub(crate) fn plain(&mut self, name: u16, value: &[u8]) {
        self.attribute(name, value);
    }

    /// Attributes as somebody else wrote them, right or wrong.
    pub(crate) fn raw(&mut self, attributes: &[u8]) {
        self.out.extend_from_slice(attributes);
    }

    /// USERNAME.
    pub fn username(&mut self, name: &str) {
        self.attribute(attribute::USERNAME, name.as_bytes());
    }

    /// PRIORITY of the candidate that we would have by this check (RFC 8445 §7.1.1).
    pub fn priority(&mut self, priority: u32) {
        self.attribute(attribute::PRIORITY, &priority.to_be_bytes());
    }

    /// USE-CANDIDATE: we have chosen this pair (RFC 8445 §7.1.2).
    pub fn use_candidate(&mut self) {
        self.attribute(attribute::USE_CANDIDATE, &[]);
    }

    /// ICE-CONTROLLING or ICE-CONTROLLED with our tie-breaker (RFC 8445 §7.1.3).
    pub fn role(&mut self, controlling: bool, tie_breaker: u64) {
        let name = if controlling {
            attribute::ICE_CONTROLLING
        } else {
            attribute::ICE_CONTROLLED
        };
        self.attribute(name, &tie_breaker.to_be_bytes());
    }

    /// MESSAGE-INTEGRITY with this password, over all that is written so far.
    pub fn sign(&mut self, password: &[u8]) {
        self.set_length(4 + TAG);
        let tag = hmac::sign(&key(password), self.out);
        self.attribute(attribute::MESSAGE_INTEGRITY, tag.as_ref());
    }

    /// FINGERPRINT, the last attribute.
    pub fn finish(mut self) {
        self.set_length(8);
        let checksum = crc32(self.out) ^ FINGERPRINT_MASK;
        self.attribute(attribute::FINGERPRINT, &checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
