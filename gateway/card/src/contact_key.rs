//! Keys that send their number over and over: Cyfral DC-2000 and Metakom K1233.
//!
//! Both divide time into cells of about 100 µs; which third of a cell changes level is its bit. What is read here are
//! the bits of the cells. As cards they are bits as they are sent: two frames of a Cyfral key, which has no checksum, and of a
//! Metakom key a frame and the begin of the next.

use gateway_core::CardFrame;

use crate::bits::{bits_of, frame_of};

/// Start of a Cyfral frame.
const CYFRAL_START: [bool; 4] = [false, false, false, true];
/// Bits of a Cyfral frame: start and eight nibbles.
const CYFRAL_BITS: usize = 36;
/// Nibbles of a Cyfral key and the two bits that each stands for.
const NIBBLES: [[bool; 4]; 4] = [
    [false, true, true, true],
    [true, false, true, true],
    [true, true, false, true],
    [true, true, true, false],
];
/// Start and end of a Metakom frame.
const METAKOM_START: [bool; 3] = [false, true, false];

/// Bits that are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CellError {
    /// Two frames of a Cyfral key that differ, or only one.
    #[error("no two equal frames follow each other: hold the key still; a Cyfral frame has no checksum")]
    NotRepeated,
    /// No start is followed by a whole frame.
    #[error("no frame is in it")]
    NoFrame,
    /// A byte of a Metakom key has an odd number of ones.
    #[error("byte {byte} has an odd number of ones")]
    Parity {
        /// Which, from 1.
        byte: usize,
    },
}

fn cyfral_at(bits: &[bool]) -> Option<u16> {
    let frame = bits.get(..CYFRAL_BITS)?;
    let (start, nibbles) = frame.split_at(CYFRAL_START.len());
    if start != CYFRAL_START {
        return None;
    }
    nibbles.chunks(4).try_fold(0, |number: u16, nibble| {
        let two = NIBBLES.iter().position(|known| known == nibble)?;
        Some(number << 2 | u16::try_from(two).ok()?)
    })
}

/// Reads a Cyfral key: two equal frames in a row somewhere in the bits. Its number has 16 bits, the first nibble most
/// significant.
///
/// # Errors
/// [`CellError`] if there is no frame, or none that is repeated.
pub fn cyfral(bits: &[bool]) -> Result<u16, CellError> {
    let mut any = false;
    for at in 0..bits.len() {
        let rest = bits.get(at..).unwrap_or_default();
        let Some(number) = cyfral_at(rest) else { continue };
        any = true;
        if rest.get(CYFRAL_BITS..).and_then(cyfral_at) == Some(number) {
            return Ok(number);
        }
    }
    Err(if any {
        CellError::NotRepeated
    } else {
        CellError::NoFrame
    })
}

/// Two frames of a Cyfral key.
#[must_use]
pub fn cyfral_bits(number: u16) -> Vec<bool> {
    let nibbles = (0..8)
        .rev()
        .flat_map(|at| NIBBLES[usize::from(number >> (2 * at) & 3)]);
    let frame: Vec<bool> = CYFRAL_START.into_iter().chain(nibbles).collect();
    [frame.clone(), frame].concat()
}

/// Reads a Metakom key: start, 32 bits, and the start of the next frame. Each byte has an even number of ones.
///
/// # Errors
/// [`CellError`] if there is no frame, or a byte of the only one has odd parity.
pub fn metakom(bits: &[bool]) -> Result<[u8; 4], CellError> {
    let mut wrong = None;
    for frame in bits.windows(METAKOM_START.len() * 2 + 32) {
        let (frame, end) = frame.split_at(METAKOM_START.len() + 32);
        if end != METAKOM_START {
            continue;
        }
        let Some(bytes) = framed(frame) else { continue };
        match bytes.iter().position(|byte| byte.count_ones() % 2 == 1) {
            None => return Ok(bytes),
            Some(at) => wrong = wrong.or(Some(CellError::Parity { byte: at + 1 })),
        }
    }
    Err(wrong.unwrap_or(CellError::NoFrame))
}

/// The bytes of one frame, whatever their parity; `None` if it does not begin as frames do, or has another length than 35.
fn framed(bits: &[bool]) -> Option<[u8; 4]> {
    let data = bits
        .strip_prefix(&METAKOM_START)
        .filter(|data| data.len() == 32)?;
    let mut bytes = [0_u8; 4];
    for (byte, bits) in bytes.iter_mut().zip(data.chunks(8)) {
        *byte = bits.iter().fold(0, |n, one| n << 1 | u8::from(*one));
    }
    Some(bytes)
}

/// The bytes of one frame of a Metakom key alone: its start and 32 bits. `None` if it is none, or a byte has an odd number of
/// ones.
#[must_use]
pub fn metakom_bytes(bits: &[bool]) -> Option<[u8; 4]> {
    framed(bits).filter(|bytes| bytes.iter().all(|byte| byte.count_ones() % 2 == 0))
}

/// The card that a Cyfral key is: its two frames.
#[must_use]
pub fn cyfral_frame(number: u16) -> Option<CardFrame> {
    frame_of(&cyfral_bits(number))
}

/// The card that a Metakom key is: a frame and the start of the next one. `None` if a byte has an odd number of ones.
#[must_use]
pub fn metakom_frame(bytes: [u8; 4]) -> Option<CardFrame> {
    frame_of(&metakom_bits(bytes)?)
}

/// The number of a card that is a Cyfral key.
#[must_use]
pub fn cyfral_of(frame: &CardFrame) -> Option<u16> {
    let number = cyfral(&bits_of(frame)).ok()?;
    (cyfral_frame(number).as_ref() == Some(frame)).then_some(number)
}

/// The bytes of a card that is a Metakom key.
#[must_use]
pub fn metakom_of(frame: &CardFrame) -> Option<[u8; 4]> {
    let bytes = metakom(&bits_of(frame)).ok()?;
    (metakom_frame(bytes).as_ref() == Some(frame)).then_some(bytes)
}

/// A frame of a Metakom key with the start of the next one; `None` if a byte has an odd number of ones.
#[must_use]
pub fn metakom_bits(bytes: [u8; 4]) -> Option<Vec<bool>> {
    if bytes.iter().any(|byte| byte.count_ones() % 2 == 1) {
        return None;
    }
    let data = bytes
        .into_iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1 == 1));
    Some(
        METAKOM_START
            .into_iter()
            .chain(data)
            .chain(METAKOM_START)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(text: &str) -> Vec<bool> {
        text.chars().filter(|c| *c != ' ').map(|c| c == '1').collect()
    }

    #[test]
    fn a_cyfral_key_is_its_start_and_eight_nibbles_twice() {
        let frame = "0001 0111 1011 1101 1110 0111 0111 1011 1110";
        assert_eq!(
            cyfral(&bits(&format!("{frame}{frame}"))),
            Ok(0b00_01_10_11_00_00_01_11)
        );
        // read from the middle of a frame on
        assert_eq!(cyfral(&bits(&format!("1110 1110 {frame}{frame}"))), Ok(0x1B07));
        assert_eq!(cyfral(&bits(frame)), Err(CellError::NotRepeated));
        assert_eq!(
            cyfral(&bits(&frame.replace("1101", "1111"))),
            Err(CellError::NoFrame)
        );
    }

    #[test]
    fn a_metakom_key_has_even_bytes() {
        let frame = "010 00000011 00000101 11111111 00000000 010";
        assert_eq!(metakom(&bits(frame)), Ok([0x03, 0x05, 0xFF, 0x00]));
        let odd = "010 00000011 00000111 11111111 00000000 010";
        assert_eq!(metakom(&bits(odd)), Err(CellError::Parity { byte: 2 }));
        assert_eq!(metakom_bits([1, 0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn keys_come_back(number: u16, bytes: [u8; 4]) {
            prop_assert_eq!(cyfral(&cyfral_bits(number)), Ok(number));
            let card = cyfral_frame(number).expect("a card");
            prop_assert_eq!((card.bits, cyfral_of(&card), metakom_of(&card)), (72, Some(number), None));
            let even = bytes.map(|byte| if byte.count_ones() % 2 == 1 { byte ^ 1 } else { byte });
            let made = metakom_bits(even).expect("even");
            let card = metakom_frame(even).expect("a card");
            prop_assert_eq!((card.bits, metakom_of(&card), cyfral_of(&card)), (38, Some(even), None));
            // another frame may stand before it by chance, but what is read is always even
            prop_assert!(metakom(&made).is_ok_and(|read| read.iter().all(|b| b.count_ones() % 2 == 0)));
        }

        #[test]
        fn no_bits_make_it_panic(bits in prop::collection::vec(any::<bool>(), 0..300)) {
            let _ = (cyfral(&bits), metakom(&bits));
        }
    }
}
