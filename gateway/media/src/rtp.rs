//! RTP packets (RFC 3550 §5.1): header with CSRC list, extension and padding.

/// Bytes of the fixed header.
pub const HEADER_LEN: usize = 12;

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RtpError {
    /// The padding count is 0 or larger than the payload.
    #[error("padding of {padding} bytes in a payload of {payload}")]
    Padding {
        /// Count in the last byte.
        padding: u8,
        /// Bytes after the header.
        payload: usize,
    },
    /// Shorter than its header says.
    #[error("{found} bytes, the header needs {expected}")]
    TooShort {
        /// Bytes found.
        found: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// Not version 2.
    #[error("RTP version {0}, 2 expected")]
    Version(u8),
}

/// The fields of a header that a mixer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Padding bit.
    pub padding: bool,
    /// Marker bit.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in ticks of the codec's RTP clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Reads a header; the second value is where the payload starts. Padding is not looked at.
    ///
    /// # Errors
    /// [`RtpError`] if it is not a complete header of version 2.
    pub fn read(packet: &[u8]) -> Result<(Self, usize), RtpError> {
        let found = packet.len();
        let short = |expected| RtpError::TooShort { found, expected };
        let Some((fixed, _)) = packet.split_first_chunk::<HEADER_LEN>() else {
            return Err(short(HEADER_LEN));
        };
        let version = fixed[0] >> 6;
        if version != 2 {
            return Err(RtpError::Version(version));
        }
        let mut len = HEADER_LEN + 4 * usize::from(fixed[0] & 0x0f);
        if fixed[0] & 0x10 != 0 {
            let Some(ext) = packet.get(len..len + 4) else {
                return Err(short(len + 4));
            };
            len += 4 + 4 * usize::from(u16::from_be_bytes([ext[2], ext[3]]));
        }
        if found < len {
            return Err(short(len));
        }
        let header = Self {
            padding: fixed[0] & 0x20 != 0,
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        };
        Ok((header, len))
    }

    /// The fixed header without CSRC, extension and padding.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [r0, r1, r2, r3] = self.ssrc.to_be_bytes();
        let kind = (u8::from(self.marker) << 7) | (self.payload_type & 0x7f);
        [0x80, kind, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3]
    }
}

/// Reads a whole packet: header and payload without padding.
///
/// # Errors
/// [`RtpError`] if it is not a packet of version 2 with consistent lengths.
pub fn parse(packet: &[u8]) -> Result<(Header, &[u8]), RtpError> {
    let (header, start) = Header::read(packet)?;
    let mut payload = packet.get(start..).unwrap_or_default();
    if header.padding {
        let padding = payload.last().copied().unwrap_or(0);
        if padding == 0 || usize::from(padding) > payload.len() {
            return Err(RtpError::Padding {
                padding,
                payload: payload.len(),
            });
        }
        payload = payload
            .get(..payload.len() - usize::from(padding))
            .unwrap_or_default();
    }
    Ok((header, payload))
}

/// True if a packet on a muxed port is RTCP (RFC 5761 §4: second byte 192 to 223).
#[must_use]
pub fn is_rtcp(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|b| (192..=223).contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packet_with_csrc_extension_and_padding_is_read() {
        let mut p = vec![0xb2, 0x88, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef];
        p.extend([1, 2, 3, 4, 5, 6, 7, 8]); // two CSRCs
        p.extend([0xbe, 0xde, 0, 1, 9, 9, 9, 9]); // extension of one word
        p.extend([42, 43, 0, 0, 3]); // payload of two, padding of three
        let (h, payload) = parse(&p).expect("packet");
        assert_eq!(payload, [42, 43]);
        assert!(h.marker && h.padding);
        assert_eq!(
            (h.payload_type, h.sequence, h.timestamp, h.ssrc),
            (8, 0x1234, 160, 0xdead_beef)
        );
    }

    #[test]
    fn inconsistent_lengths_are_refused() {
        let base = Header {
            padding: false,
            marker: false,
            payload_type: 0,
            sequence: 1,
            timestamp: 2,
            ssrc: 3,
        }
        .to_bytes();
        assert!(parse(&base).is_ok());
        assert!(matches!(parse(&base[..11]), Err(RtpError::TooShort { .. })));
        let mut v = base;
        v[0] = 0x40;
        assert_eq!(parse(&v), Err(RtpError::Version(1)));
        v[0] = 0x83; // three CSRCs that are not there
        assert!(matches!(parse(&v), Err(RtpError::TooShort { expected: 24, .. })));
        v[0] = 0xa0; // padding without payload
        assert!(matches!(parse(&v), Err(RtpError::Padding { .. })));
        let mut w = base.to_vec();
        w[0] = 0xa0;
        w.extend([1, 9]);
        assert!(matches!(parse(&w), Err(RtpError::Padding { padding: 9, .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok((_, payload)) = parse(&data) {
                prop_assert!(payload.len() + HEADER_LEN <= data.len());
            }
        }

        #[test]
        fn headers_round_trip(marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32) {
            let h = Header { padding: false, marker, payload_type, sequence, timestamp, ssrc };
            let bytes = h.to_bytes();
            prop_assert_eq!(parse(&bytes), Ok((h, &[][..])));
        }
    }
}
