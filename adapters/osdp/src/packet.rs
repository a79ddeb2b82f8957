//! Packets of OSDP v2.2 (IEC 60839-11-5): bytes into packets and back, without what they mean.
//!
//! `53 address length(2) control [security block] code data [MAC(4)] check(1 or 2)`; the length counts all of it, low
//! byte first. A mark byte `FF` before it is sent by panels and skipped by everybody.

/// First byte of every packet.
pub const SOM: u8 = 0x53;
/// What a panel sends before a packet, so that drivers of the line have settled.
pub const MARK: u8 = 0xFF;
/// Set in the address byte of a reply.
const REPLY: u8 = 0x80;
/// Control bits.
const SEQUENCE: u8 = 0x03;
const CRC: u8 = 0x04;
const SECURITY: u8 = 0x08;
/// Header up to the control byte.
const HEADER: usize = 5;
/// Shortest packet: header, code, checksum.
const SHORTEST: usize = HEADER + 2;
/// Longest packet that is taken (v2.2, 5.7).
pub const LONGEST: usize = 1440;
/// Bytes of a MAC on the line.
const MAC: usize = 4;

/// How a packet is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// CRC-16, polynomial 0x1021, begun with 0x1D0F.
    Crc,
    /// Two's complement of the sum.
    Sum,
}

/// Security block: which step of the secure channel a packet belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityBlock {
    /// `SCS_11` to `SCS_18`, as 0x11 to 0x18.
    pub kind: u8,
    /// What stands behind it: which key, or a result.
    pub data: Vec<u8>,
}

impl SecurityBlock {
    /// Challenge.
    pub const CHALLENGE: u8 = 0x11;
    /// Client cryptogram.
    pub const CLIENT: u8 = 0x12;
    /// Server cryptogram.
    pub const SERVER: u8 = 0x13;
    /// First reply MAC.
    pub const INITIAL: u8 = 0x14;
    /// Command with MAC, data in the clear.
    pub const COMMAND: u8 = 0x15;
    /// Reply with MAC, data in the clear.
    pub const REPLY: u8 = 0x16;
    /// Command with MAC, data encrypted.
    pub const SEALED_COMMAND: u8 = 0x17;
    /// Reply with MAC, data encrypted.
    pub const SEALED_REPLY: u8 = 0x18;

    /// Has a packet of this kind a MAC?
    #[must_use]
    pub const fn has_mac(&self) -> bool {
        matches!(self.kind, Self::COMMAND..=Self::SEALED_REPLY)
    }
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// 0 to 126; 127 is everybody.
    pub address: u8,
    /// From a reader?
    pub is_reply: bool,
    /// 0 begins anew, then 1, 2, 3, 1 …
    pub sequence: u8,
    /// How it is checked.
    pub check: Check,
    /// Step of the secure channel.
    pub security: Option<SecurityBlock>,
    /// Command or reply.
    pub code: u8,
    /// What belongs to it, encrypted if the security block says so.
    pub data: Vec<u8>,
    /// First bytes of the MAC.
    pub mac: Option<[u8; MAC]>,
}

/// Bytes that are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// The check does not fit.
    #[error("the check says {said:04x} and the bytes give {computed:04x}")]
    Check {
        /// What the bytes give.
        computed: u16,
        /// What stands at the end.
        said: u16,
    },
    /// The length field is impossible.
    #[error("the length field says {said} bytes, allowed are {SHORTEST} to {LONGEST}")]
    Length {
        /// What it says.
        said: usize,
    },
    /// The security block or the MAC does not fit into the packet.
    #[error("byte {at}: the security block says {said} bytes, which do not fit")]
    Security {
        /// Where it begins.
        at: usize,
        /// What it says.
        said: u8,
    },
    /// Fewer or more bytes than the length field says.
    #[error("{found} bytes, the length field says {said}")]
    Size {
        /// How many there are.
        found: usize,
        /// What the length field says.
        said: usize,
    },
    /// It does not begin as a packet.
    #[error("byte 0: {found:02x} begins no packet, 53 does")]
    Start {
        /// What was found.
        found: u8,
    },
}

impl Packet {
    /// Reads one packet; a mark may stand before it.
    ///
    /// # Errors
    /// [`PacketError`] with what was found and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, PacketError> {
        let bytes = bytes.strip_prefix(&[MARK]).unwrap_or(bytes);
        let [som, address, low, high, control, ..] = *bytes else {
            return Err(PacketError::Size {
                found: bytes.len(),
                said: SHORTEST,
            });
        };
        if som != SOM {
            return Err(PacketError::Start { found: som });
        }
        let said = usize::from(u16::from_le_bytes([low, high]));
        if !(SHORTEST..=LONGEST).contains(&said) {
            return Err(PacketError::Length { said });
        }
        if said != bytes.len() {
            return Err(PacketError::Size {
                found: bytes.len(),
                said,
            });
        }
        let check = if control & CRC == 0 {
            Check::Sum
        } else {
            Check::Crc
        };
        let (body, tail) = bytes.split_at(said - check.bytes());
        let (computed, said) = (check.of(body), check.read(tail));
        if computed != said {
            return Err(PacketError::Check { computed, said });
        }
        let mut rest = body.get(HEADER..).unwrap_or_default();
        let mut security = None;
        if control & SECURITY != 0 {
            let length = rest.first().copied().unwrap_or_default();
            let wrong = PacketError::Security {
                at: HEADER,
                said: length,
            };
            let block = (length >= 2).then(|| rest.split_at_checked(usize::from(length)));
            let (block, after) = block.flatten().ok_or(wrong)?;
            let [_, kind, data @ ..] = block else {
                return Err(wrong);
            };
            let block = SecurityBlock {
                kind: *kind,
                data: data.to_vec(),
            };
            // a code has to be left
            let tail = if block.has_mac() { MAC } else { 0 };
            if after.len() <= tail {
                return Err(wrong);
            }
            security = Some(block);
            rest = after;
        }
        let mut mac = None;
        if security.as_ref().is_some_and(SecurityBlock::has_mac)
            && let Some((before, last)) = rest.split_last_chunk::<MAC>()
        {
            mac = Some(*last);
            rest = before;
        }
        let (code, data) = rest
            .split_first()
            .ok_or(PacketError::Length { said: bytes.len() })?;
        Ok(Self {
            address: address & !REPLY,
            is_reply: address & REPLY != 0,
            sequence: control & SEQUENCE,
            check,
            security,
            code: *code,
            data: data.to_vec(),
            mac,
        })
    }

    /// What a MAC is made of: everything before it.
    #[must_use]
    pub fn covered(&self) -> Vec<u8> {
        let block = self.security.as_ref().map_or(0, |block| 2 + block.data.len());
        let mac = self
            .security
            .as_ref()
            .map_or(0, |block| if block.has_mac() { MAC } else { 0 });
        let length = HEADER + block + 1 + self.data.len() + mac + self.check.bytes();
        let [low, high] = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
        let reply = if self.is_reply { REPLY } else { 0 };
        let crc = if self.check == Check::Crc { CRC } else { 0 };
        let secure = if self.security.is_some() { SECURITY } else { 0 };
        let mut bytes = vec![
            SOM,
            self.address & !REPLY | reply,
            low,
            high,
            self.sequence & SEQUENCE | crc | secure,
        ];
        if let Some(block) = &self.security {
            bytes.push(u8::try_from(2 + block.data.len()).unwrap_or(u8::MAX));
            bytes.push(block.kind);
            bytes.extend(&block.data);
        }
        bytes.push(self.code);
        bytes.extend(&self.data);
        bytes
    }

    /// The bytes, without a mark.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.covered();
        if self.security.as_ref().is_some_and(SecurityBlock::has_mac) {
            bytes.extend(self.mac.unwrap_or_default());
        }
        let check = self.check.of(&bytes).to_le_bytes();
        bytes.extend(check.iter().take(self.check.bytes()));
        bytes
    }
}

impl Check {
    const fn bytes(self) -> usize {
        match self {
            Self::Crc => 2,
            Self::Sum => 1,
        }
    }

    fn of(self, bytes: &[u8]) -> u16 {
        match self {
            Self::Crc => crc(bytes),
            Self::Sum => {
                let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
                u16::from(sum.wrapping_neg())
            }
        }
    }

    fn read(self, tail: &[u8]) -> u16 {
        match *tail {
            [low, high] => u16::from_le_bytes([low, high]),
            [sum] => u16::from(sum),
            _ => 0,
        }
    }
}

/// CRC-16, polynomial 0x1021, begun with 0x1D0F, most significant bit first.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0x1D0F, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x1021
            }
        })
    })
}

/// Packets out of a stream of bytes. What is no packet is skipped up to the next byte that can begin one.
#[derive(Debug, Default)]
pub struct Deframer {
    /// Never longer than one packet and what was pushed at once.
    buffer: Vec<u8>,
}

impl Deframer {
    /// Takes bytes; all packets must be taken out before the next ones.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
    }

    /// Forgets what has come.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// True in the middle of a packet.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.buffer.first() == Some(&SOM)
    }

    /// The next packet, or why bytes that looked like one are none; `None` if more has to come.
    pub fn packet(&mut self) -> Option<Result<Packet, PacketError>> {
        let start = self.buffer.iter().position(|byte| *byte == SOM);
        self.buffer.drain(..start.unwrap_or(self.buffer.len()));
        let [_, _, low, high, ..] = *self.buffer.as_slice() else {
            return None;
        };
        let said = usize::from(u16::from_le_bytes([low, high]));
        if !(SHORTEST..=LONGEST).contains(&said) {
            self.buffer.drain(..1);
            return Some(Err(PacketError::Length { said }));
        }
        let found = self.buffer.get(..said).map(Packet::parse)?;
        // a packet may begin inside what only looked like one
        self.buffer.drain(..if found.is_ok() { said } else { 1 });
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("hex");
        digits.chunks(2).map(byte).collect()
    }

    fn poll() -> Packet {
        Packet {
            address: 0,
            is_reply: false,
            sequence: 0,
            check: Check::Crc,
            security: None,
            code: 0x60,
            data: vec![],
            mac: None,
        }
    }

    #[test]
    fn published_packets_are_read_and_written_alike() {
        // a command to beep and an identification, as recorded from a reader (OSDP.Net, PacketDecodingTest)
        let beep = hex("53 00 0D 00 06 6A 00 02 02 02 01 59 92");
        let packet = Packet::parse(&beep).expect("a packet");
        assert_eq!((packet.address, packet.sequence, packet.code), (0, 2, 0x6A));
        assert_eq!((packet.is_reply, packet.check), (false, Check::Crc));
        assert_eq!(packet.data, [0, 2, 2, 2, 1]);
        assert_eq!(packet.encode(), beep);
        let id = hex("53 80 14 00 06 45 00 0E E3 10 10 00 00 74 97 23 06 06 1B 88");
        let packet = Packet::parse(&id).expect("a packet");
        assert_eq!(
            (packet.is_reply, packet.code, packet.data.len()),
            (true, 0x45, 12)
        );
        assert_eq!(packet.encode(), id);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = poll().encode();
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Packet::parse(&bytes)
        };
        assert_eq!(with(0, 0x54), Err(PacketError::Start { found: 0x54 }));
        assert_eq!(with(2, 3), Err(PacketError::Length { said: 3 }));
        assert_eq!(with(2, 9), Err(PacketError::Size { found: 8, said: 9 }));
        assert!(matches!(with(5, 0x61), Err(PacketError::Check { .. })));
        // a security block longer than the packet, under a right check
        let mut packet = poll();
        packet.security = Some(SecurityBlock {
            kind: SecurityBlock::COMMAND,
            data: vec![],
        });
        let mut bytes = packet.covered();
        bytes[5] = 200;
        bytes.extend([0; 4]);
        let check = Check::Crc.of(&bytes).to_le_bytes();
        bytes.extend(check);
        assert_eq!(
            Packet::parse(&bytes),
            Err(PacketError::Security { at: 5, said: 200 })
        );
    }

    #[test]
    fn a_packet_is_found_behind_noise_and_behind_a_broken_one() {
        let good = poll().encode();
        let mut broken = good.clone();
        broken[6] ^= 1;
        let mut deframer = Deframer::default();
        deframer.push(&[&[0x00, MARK, SOM][..], &broken, &[MARK], &good, &good[..3]].concat());
        let mut found = vec![];
        while let Some(packet) = deframer.packet() {
            found.push(packet);
        }
        assert_eq!(found.iter().flatten().count(), 1, "{found:?}");
        assert!(deframer.is_inside());
        deframer.push(&good[3..]);
        assert_eq!(deframer.packet(), Some(Ok(poll())));
        assert_eq!(deframer.packet(), None);
    }

    proptest! {
        #[test]
        fn packets_pass_unchanged_in_pieces_of_any_size(
            address in 0_u8..=127,
            is_reply: bool,
            sequence in 0_u8..4,
            crc: bool,
            kind in prop::option::of(0x10_u8..0x20),
            block in prop::collection::vec(any::<u8>(), 0..4),
            code: u8,
            data in prop::collection::vec(any::<u8>(), 0..200),
            mac: [u8; 4],
            piece in 1_usize..64,
        ) {
            let security = kind.map(|kind| SecurityBlock { kind, data: block });
            let packet = Packet {
                address,
                is_reply,
                sequence,
                check: if crc { Check::Crc } else { Check::Sum },
                mac: security.as_ref().is_some_and(SecurityBlock::has_mac).then_some(mac),
                security,
                code,
                data,
            };
            prop_assert_eq!(Packet::parse(&packet.encode()), Ok(packet.clone()));
            let mut deframer = Deframer::default();
            let mut found = vec![];
            for bytes in packet.encode().chunks(piece) {
                deframer.push(bytes);
                while let Some(packet) = deframer.packet() {
                    found.push(packet);
                }
            }
            prop_assert_eq!(found, vec![Ok(packet)]);
        }

        #[test]
        fn no_bytes_make_it_panic_or_grow(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            let _ = Packet::parse(&bytes);
            let mut deframer = Deframer::default();
            for piece in bytes.chunks(100) {
                deframer.push(piece);
                while deframer.packet().is_some() {}
                prop_assert!(deframer.buffer.len() <= LONGEST + 100);
            }
        }

        #[test]
        fn any_single_wrong_byte_is_noticed(at in 0_usize..13, xor in 1_u8..) {
            let mut beep = hex("53 00 0D 00 06 6A 00 02 02 02 01 59 92");
            beep[at] ^= xor;
            // the control byte chooses the check: an 8-bit sum lets one in 256 of its changes through
            prop_assume!(at != 4);
            prop_assert!(Packet::parse(&beep).is_err());
        }
    }
}
