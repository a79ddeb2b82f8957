//! A packet as bytes (RFC 2865 §3).

/// Octets of an authenticator, Request or Response.
pub(crate) const AUTHENTICATOR: usize = 16;
/// Octets before the attributes.
pub(crate) const HEADER: usize = 20;
/// Most octets of a packet.
pub(crate) const MAX: usize = 4096;
/// Most octets of an attribute's value.
pub(crate) const MAX_VALUE: usize = 253;

/// What a packet is (RFC 2865 §4, RFC 2866 §4, RFC 5997 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 1
    AccessRequest,
    /// 2
    AccessAccept,
    /// 3
    AccessReject,
    /// 4
    AccountingRequest,
    /// 5
    AccountingResponse,
    /// 11
    AccessChallenge,
    /// 12
    StatusServer,
    /// Any other.
    Other(u8),
}

impl Code {
    const ALL: [(Self, u8); 7] = [
        (Self::AccessRequest, 1),
        (Self::AccessAccept, 2),
        (Self::AccessReject, 3),
        (Self::AccountingRequest, 4),
        (Self::AccountingResponse, 5),
        (Self::AccessChallenge, 11),
        (Self::StatusServer, 12),
    ];

    /// The octet.
    #[must_use]
    pub fn octet(self) -> u8 {
        if let Self::Other(octet) = self {
            return octet;
        }
        let found = Self::ALL.into_iter().find(|(code, _)| *code == self);
        found.map_or(0, |(_, octet)| octet)
    }

    /// What an octet means.
    #[must_use]
    pub fn of(octet: u8) -> Self {
        let found = Self::ALL.into_iter().find(|(_, o)| *o == octet);
        found.map_or(Self::Other(octet), |(code, _)| code)
    }
}

/// Why octets are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// An attribute's length does not fit into what is left, or is below 2.
    #[error("the attribute at offset {offset} has length {length}, and {left} octets are left")]
    Attribute {
        /// What its length octet says.
        length: u8,
        /// How many octets there are from its type on.
        left: usize,
        /// Where its type stands.
        offset: usize,
    },
    /// The length field is below 20, above 4096, or above what came.
    #[error("the length field says {said}, {came} octets came")]
    Length {
        /// Octets of the datagram.
        came: usize,
        /// What the field says.
        said: usize,
    },
    /// Fewer than 20 octets.
    #[error("{0} octets are less than a header")]
    Short(usize),
}

/// A packet whose lengths all fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    bytes: Vec<u8>,
}

impl Packet {
    /// Takes a datagram. Octets beyond the length field are padding and dropped (RFC 2865 §3).
    ///
    /// # Errors
    /// [`PacketError`] at the first length that does not fit; such a packet is to be dropped silently.
    pub fn read(datagram: &[u8]) -> Result<Self, PacketError> {
        let Some(head) = datagram.get(..HEADER) else {
            return Err(PacketError::Short(datagram.len()));
        };
        let said = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let wrong = PacketError::Length {
            came: datagram.len(),
            said,
        };
        if !(HEADER..=MAX).contains(&said) {
            return Err(wrong);
        }
        let bytes = datagram.get(..said).ok_or(wrong)?;
        let mut offset = HEADER;
        while offset < said {
            let left = said - offset;
            let length = bytes.get(offset + 1).copied().unwrap_or(0);
            if length < 2 || usize::from(length) > left {
                return Err(PacketError::Attribute { length, left, offset });
            }
            offset += usize::from(length);
        }
        Ok(Self {
            bytes: bytes.to_vec(),
        })
    }

    /// What it is.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::of(self.bytes[0])
    }

    /// Which request it belongs to.
    #[must_use]
    pub fn id(&self) -> u8 {
        self.bytes[1]
    }

    /// Request or Response Authenticator.
    #[must_use]
    pub fn authenticator(&self) -> [u8; AUTHENTICATOR] {
        let mut field = [0; AUTHENTICATOR];
        field.copy_from_slice(&self.bytes[4..HEADER]);
        field
    }

    /// The octets from code to last attribute.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Type and value of each attribute, in order.
    pub fn attributes(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.places().map(|(kind, place)| (kind, &self.bytes[place]))
    }

    /// The values of an attribute.
    pub fn all(&self, kind: u8) -> impl Iterator<Item = &[u8]> {
        self.attributes()
            .filter(move |(k, _)| *k == kind)
            .map(|(_, value)| value)
    }

    /// Type of each attribute and where its value stands.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u8, std::ops::Range<usize>)> {
        let mut offset = HEADER;
        std::iter::from_fn(move || {
            let (kind, length) = (*self.bytes.get(offset)?, *self.bytes.get(offset + 1)?);
            let place = offset + 2..offset + usize::from(length);
            offset = place.end;
            Some((kind, place))
        })
    }
}

/// Builds a packet; the authenticator stays zero.
#[derive(Debug)]
pub(crate) struct Builder(Vec<u8>);

impl Builder {
    pub(crate) fn new(code: Code, id: u8) -> Self {
        let mut bytes = vec![0; HEADER];
        (bytes[0], bytes[1]) = (code.octet(), id);
        Self(bytes)
    }

    /// Adds an attribute. A value that does not fit into it, or into the packet, is cut or left out: only
    /// what describes a session may be that long.
    pub(crate) fn put(&mut self, kind: u8, value: &[u8]) {
        let value = &value[..value.len().min(MAX_VALUE)];
        if value.is_empty() || self.0.len() + 2 + value.len() > MAX {
            return;
        }
        let length = u8::try_from(value.len() + 2).unwrap_or(u8::MAX);
        self.0.extend_from_slice(&[kind, length]);
        self.0.extend_from_slice(value);
    }

    pub(crate) fn number(&mut self, kind: u8, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    /// The octets, with their length written, and this authenticator.
    pub(crate) fn done(mut self, authenticator: [u8; AUTHENTICATOR]) -> Vec<u8> {
        let length = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        self.0[2..4].copy_from_slice(&length.to_be_bytes());
        self.0[4..HEADER].copy_from_slice(&authenticator);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_is_read_without_its_padding() {
        let bytes = [&[2, 7, 0, 26][..], &[9; 16], &[6, 6, 0, 0, 0, 6], &[0xff; 3]].concat();
        let packet = Packet::read(&bytes).expect("a packet");
        assert_eq!((packet.code(), packet.id()), (Code::AccessAccept, 7));
        assert_eq!(packet.authenticator(), [9; 16]);
        assert_eq!(packet.attributes().collect::<Vec<_>>(), [(6, &[0, 0, 0, 6][..])]);
        assert_eq!(packet.bytes().len(), 26);
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused_with_their_place() {
        let with = |length: u16, tail: &[u8]| {
            let mut bytes = vec![2, 7];
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&[0; 16]);
            bytes.extend_from_slice(tail);
            Packet::read(&bytes).expect_err("refused").to_string()
        };
        assert_eq!(
            Packet::read(&[1; 19]).expect_err("refused").to_string(),
            "19 octets are less than a header"
        );
        for (length, tail, text) in [
            (19, &[][..], "the length field says 19, 20 octets came"),
            (21, &[], "the length field says 21, 20 octets came"),
            (4097, &[0; 5000], "the length field says 4097, 5020 octets came"),
            (
                21,
                &[6],
                "the attribute at offset 20 has length 0, and 1 octets are left",
            ),
            (
                22,
                &[6, 1],
                "the attribute at offset 20 has length 1, and 2 octets are left",
            ),
            (
                22,
                &[6, 3],
                "the attribute at offset 20 has length 3, and 2 octets are left",
            ),
            (
                25,
                &[6, 2, 6, 4, 0],
                "the attribute at offset 22 has length 4, and 3 octets are left",
            ),
        ] {
            assert_eq!(with(length, tail), text);
        }
    }

    #[test]
    fn what_is_too_long_for_an_attribute_or_a_packet_is_cut_or_left_out() {
        let mut builder = Builder::new(Code::AccountingRequest, 1);
        builder.put(25, &[7; 300]);
        builder.put(25, &[]);
        for _ in 0..40 {
            builder.put(25, &[8; 253]);
        }
        let packet = Packet::read(&builder.done([0; 16])).expect("reads");
        assert!(packet.bytes().len() <= MAX);
        assert_eq!(packet.attributes().next(), Some((25, &[7; 253][..])));
        assert!(packet.attributes().all(|(_, value)| value.len() == 253));
    }

    proptest! {
        #[test]
        fn any_octets_are_a_packet_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(packet) = Packet::read(&bytes) {
                let octets: usize = packet.attributes().map(|(_, value)| value.len() + 2).sum();
                prop_assert_eq!(octets + HEADER, packet.bytes().len());
            }
        }

        #[test]
        fn any_attributes_in_a_good_frame_are_read_in_order(
            parts in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 1..60)), 0..20)
        ) {
            let mut builder = Builder::new(Code::AccessAccept, 3);
            for (kind, value) in &parts {
                builder.put(*kind, value);
            }
            let packet = Packet::read(&builder.done([1; 16])).expect("reads");
            let read: Vec<_> = packet.attributes().map(|(k, v)| (k, v.to_vec())).collect();
            prop_assert_eq!(read, parts);
        }
    }
}
