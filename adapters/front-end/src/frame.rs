//! Frames: COBS between zeros, with a checksum.

/// Most bytes of a message, its kind and number among them.
pub const MAX_MESSAGE: usize = 240;
/// Most bytes of a frame as it is on the wire, without its zero: COBS adds one, the checksum two.
const MAX_ENCODED: usize = MAX_MESSAGE + 2 + 2;

/// CRC-16/IBM-3740 (poly 1021, init FFFF, not reflected).
#[must_use]
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x1021
            }
        })
    })
}

/// Puts a message into a frame, with its zero at the end. A message that is too long gives an empty one.
#[must_use]
pub fn frame(message: &[u8]) -> Vec<u8> {
    if message.len() > MAX_MESSAGE {
        return vec![0];
    }
    let crc = crc16(message).to_le_bytes();
    let plain: Vec<u8> = message.iter().chain(&crc).copied().collect();
    let mut encoded = Vec::with_capacity(plain.len() + 2);
    // consistent overhead byte stuffing: each block begins with the distance to its zero; one block never has 254 bytes here
    for block in plain.split(|byte| *byte == 0) {
        let length = u8::try_from(block.len() + 1).unwrap_or(u8::MAX);
        encoded.push(length);
        encoded.extend_from_slice(block);
    }
    encoded.push(0);
    encoded
}

/// What is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The checksum is wrong.
    #[error("checksum {found:04x}, and {expected:04x} was expected")]
    Checksum {
        /// What stands there.
        found: u16,
        /// What fits the message.
        expected: u16,
    },
    /// More bytes without a zero than a frame has.
    #[error("more than {MAX_ENCODED} bytes without an end")]
    Long,
    /// A block that goes beyond its end, or nothing but a checksum.
    #[error("a frame of {bytes} bytes that is broken")]
    Broken {
        /// How many.
        bytes: usize,
    },
}

/// Finds frames in a stream of bytes.
#[derive(Clone, Debug, Default)]
pub struct Deframer {
    bytes: Vec<u8>,
    /// The frame at hand is too long, and is left out up to its zero.
    long: bool,
}

impl Deframer {
    /// At the beginning of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            long: false,
        }
    }

    /// Takes one byte; a message or what was wrong with it, once its zero is there.
    pub fn push(&mut self, byte: u8) -> Option<Result<Vec<u8>, FrameError>> {
        if byte != 0 {
            if self.bytes.len() < MAX_ENCODED {
                self.bytes.push(byte);
            } else {
                self.long = true;
            }
            return None;
        }
        let bytes = std::mem::take(&mut self.bytes);
        if std::mem::take(&mut self.long) {
            return Some(Err(FrameError::Long));
        }
        // zeros between frames are nothing: a sender may begin with one, to end what was half sent
        if bytes.is_empty() {
            return None;
        }
        Some(message(&bytes))
    }
}

fn message(encoded: &[u8]) -> Result<Vec<u8>, FrameError> {
    let broken = FrameError::Broken { bytes: encoded.len() };
    let mut plain = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((length, after)) = rest.split_first() {
        let block = after.get(..usize::from(*length) - 1).ok_or(broken)?;
        plain.extend_from_slice(block);
        rest = &after[block.len()..];
        if !rest.is_empty() {
            plain.push(0);
        }
    }
    let (message, crc) = plain.split_last_chunk::<2>().ok_or(broken)?;
    let (found, expected) = (u16::from_le_bytes(*crc), crc16(message));
    if found != expected {
        return Err(FrameError::Checksum { found, expected });
    }
    if message.is_empty() || message.len() > MAX_MESSAGE {
        return Err(broken);
    }
    Ok(message.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Vec<Result<Vec<u8>, FrameError>> {
        let mut deframer = Deframer::default();
        bytes.iter().filter_map(|byte| deframer.push(*byte)).collect()
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc16(b"123456789"), 0x29B1);
    }

    #[test]
    fn frames_are_those_of_the_page() {
        // docs/front-end.md shows them: hello of version 1 as number 1, and an alive
        assert_eq!(
            frame(&[0x01, 0x01, 0x01]),
            [0x06, 0x01, 0x01, 0x01, 0xBC, 0xD8, 0x00]
        );
        assert_eq!(frame(&[0x02, 0x00]), [0x02, 0x02, 0x03, 0x6D, 0x7B, 0x00]);
    }

    #[test]
    fn what_is_no_frame_says_why_and_the_next_one_is_read() {
        let good = frame(b"hello");
        let mut bad = good.clone();
        bad[2] ^= 0x40;
        assert!(matches!(read(&bad)[..], [Err(FrameError::Checksum { .. })]));
        assert_eq!(read(&[0x09, 0x01, 0]), [Err(FrameError::Broken { bytes: 2 })]);
        let mut long = vec![7; 5000];
        long.push(0);
        long.extend(&good);
        assert_eq!(read(&long), [Err(FrameError::Long), Ok(b"hello".to_vec())]);
        assert_eq!(frame(&[1; MAX_MESSAGE + 1]), [0]);
    }

    proptest! {
        #[test]
        fn messages_come_back(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=MAX_MESSAGE), 0..8)) {
            let bytes: Vec<u8> = messages.iter().flat_map(|m| frame(m)).collect();
            prop_assert_eq!(bytes.iter().filter(|b| **b == 0).count(), messages.len());
            prop_assert_eq!(read(&bytes), messages.into_iter().map(Ok).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_make_it_panic_or_grow(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut deframer = Deframer::default();
            for byte in bytes {
                let _ = deframer.push(byte);
                prop_assert!(deframer.bytes.len() <= MAX_ENCODED);
            }
        }
    }
}
