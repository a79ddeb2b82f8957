//! Tracks, as Clock & Data readers send them: track 2 of a magnetic stripe (ISO/IEC 7811-2), one bit at each clock.
//!
//! Characters have four bits, least significant first, and odd parity. A frame is start (B), characters, end (F) and a
//! check character that makes every column even, start and end included. Zeros stand before and after.

use gateway_core::CardFrame;

use crate::bits::{bits_of, frame_of};

/// Most characters between start and end, as track 2 has them.
const MOST: usize = 37;
const START: u8 = 0xB;
const END: u8 = 0xF;
/// How the values 10 to 15 are written.
const LETTERS: &[u8; 16] = b"0123456789ABC=EF";

/// A frame that cannot be read. Places count bits from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockDataError {
    /// The check character does not fit.
    Check {
        /// What it is.
        found: u8,
        /// What it has to be.
        wanted: u8,
    },
    /// There is nothing between start and end.
    Empty,
    /// It breaks off.
    End,
    /// Only zeros.
    Nothing,
    /// A character with even parity.
    Parity {
        /// Its first bit.
        at: usize,
    },
    /// The first character is not the start.
    Start {
        /// Its first bit.
        at: usize,
    },
    /// More characters than a track has.
    TooLong,
    /// Ones after the check character.
    Trailing {
        /// The first of them.
        at: usize,
    },
}

impl std::fmt::Display for ClockDataError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Check { found, wanted } => {
                write!(f, "the check character is {found:x}, the others give {wanted:x}")
            }
            Self::Empty => f.write_str("the track is empty: nothing stands between its start and its end"),
            Self::End => f.write_str("it breaks off before the check character"),
            Self::Nothing => f.write_str("there are only zeros: data is active low, a low level is a 1"),
            Self::Parity { at } => write!(f, "the character that begins at bit {at} has even parity"),
            Self::Start { at } => write!(
                f,
                "the first 1, bit {at}, does not begin the start character 11010"
            ),
            Self::TooLong => write!(f, "more than {MOST} characters"),
            Self::Trailing { at } => write!(f, "bit {at} is a 1 after the check character"),
        }
    }
}

impl std::error::Error for ClockDataError {}

/// Reads the characters between start and end: digits, `=` for the separator, `A B C E` for what track 2 does not use.
///
/// # Errors
/// [`ClockDataError`] says what is wrong at which bit.
pub fn decode_track(bits: &[bool]) -> Result<String, ClockDataError> {
    let first = bits.iter().position(|one| *one).ok_or(ClockDataError::Nothing)?;
    let mut characters = (first..).step_by(5).map(|at| {
        let five = bits.get(at..at + 5).ok_or(ClockDataError::End)?;
        if five.iter().filter(|one| **one).count() % 2 == 0 {
            return Err(ClockDataError::Parity { at: at + 1 });
        }
        let value = five
            .iter()
            .take(4)
            .rev()
            .fold(0_u8, |n, one| n << 1 | u8::from(*one));
        Ok((at, value))
    });
    let mut next = || characters.next().unwrap_or(Err(ClockDataError::End));
    // what does not begin with the start character says so, whatever its parity
    match next() {
        Ok((_, START)) => {}
        Ok(_) | Err(ClockDataError::Parity { .. }) => return Err(ClockDataError::Start { at: first + 1 }),
        Err(error) => return Err(error),
    }
    let (mut text, mut columns) = (String::new(), START);
    loop {
        let (_, value) = next()?;
        columns ^= value;
        if value == END {
            break;
        }
        if text.len() == MOST {
            return Err(ClockDataError::TooLong);
        }
        text.push(char::from(LETTERS[usize::from(value)]));
    }
    let (at, found) = next()?;
    if found != columns {
        return Err(ClockDataError::Check {
            found,
            wanted: columns,
        });
    }
    match bits.iter().skip(at + 5).position(|one| *one) {
        Some(after) => Err(ClockDataError::Trailing {
            at: at + 5 + after + 1,
        }),
        None if text.is_empty() => Err(ClockDataError::Empty),
        None => Ok(text),
    }
}

/// The bits of a track, with so many zeros before and after it; `None` if a character is none of those that
/// [`decode_track`] gives, or there are more than 37.
#[must_use]
pub fn encode_track(text: &str, zeros: usize) -> Option<Vec<bool>> {
    if text.len() > MOST {
        return None;
    }
    let value = |letter: u8| {
        LETTERS
            .iter()
            .position(|known| *known == letter)
            .and_then(|n| u8::try_from(n).ok())
    };
    let inner = text
        .bytes()
        .map(|letter| value(letter).filter(|value| *value != END));
    let mut values = vec![START];
    values.extend(inner.collect::<Option<Vec<u8>>>()?);
    values.push(END);
    values.push(values.iter().fold(0, |columns, value| columns ^ value));
    let mut bits = vec![false; zeros];
    for value in values {
        bits.extend((0..4).map(|at| value >> at & 1 == 1));
        bits.push(value.count_ones() % 2 == 0);
    }
    bits.extend(std::iter::repeat_n(false, zeros));
    Some(bits)
}

/// The card that a track is: its bits from the start to the check character, without the zeros around it. `None` if it is no
/// track, or an empty one.
#[must_use]
pub fn track_frame(text: &str) -> Option<CardFrame> {
    if text.is_empty() {
        return None;
    }
    frame_of(&encode_track(text, 0)?)
}

/// The characters of a card that is a track, whole and without zeros around it.
#[must_use]
pub fn track_of(frame: &CardFrame) -> Option<String> {
    let text = decode_track(&bits_of(frame)).ok()?;
    (track_frame(&text).as_ref() == Some(frame)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(text: &str) -> Vec<bool> {
        text.chars().filter(|c| *c != ' ').map(|c| c == '1').collect()
    }

    #[test]
    fn a_track_is_read() {
        // start, 1, 2, end, check: the columns of 1011 0001 0010 1111 give 0111
        let whole = bits("000 11010 10000 01000 11111 11100 000");
        assert_eq!(decode_track(&whole), Ok("12".into()));
        assert_eq!(encode_track("12", 3), Some(whole));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let check = |text: &str, expected| assert_eq!(decode_track(&bits(text)), Err(expected), "{text}");
        check("", ClockDataError::Nothing);
        check("00000", ClockDataError::Nothing);
        check("00 10000 01000", ClockDataError::Start { at: 3 });
        check("11010 10000", ClockDataError::End);
        check("11010 11000 11111", ClockDataError::Parity { at: 6 });
        check(
            "11010 10000 01000 11111 10000",
            ClockDataError::Check { found: 1, wanted: 7 },
        );
        check(
            "11010 10000 01000 11111 11100 01",
            ClockDataError::Trailing { at: 27 },
        );
        check(&format!("11010 {}", "10000".repeat(40)), ClockDataError::TooLong);
    }

    #[test]
    fn a_track_is_a_card_of_its_own_bits() {
        let frame = track_frame("12").expect("a track");
        assert_eq!((frame.bits, track_of(&frame).as_deref()), (25, Some("12")));
        // the longest fits, and nothing around it counts
        assert_eq!(track_frame(&"1".repeat(37)).map(|frame| frame.bits), Some(200));
        assert_eq!((track_frame(""), track_frame("1F")), (None, None));
        let padded = frame_of(&encode_track("12", 3).expect("a track")).expect("fits");
        assert_eq!(track_of(&padded), None);
    }

    proptest! {
        #[test]
        fn any_frame_that_is_a_track_is_the_frame_of_that_track(bits in prop::collection::vec(any::<bool>(), 1..=256)) {
            let frame = frame_of(&bits).expect("fits");
            if let Some(text) = track_of(&frame) {
                prop_assert_eq!(track_frame(&text), Some(frame));
            }
        }

        #[test]
        fn a_track_comes_back(text in "[0-9=]{1,37}", zeros in 0_usize..30) {
            let made = encode_track(&text, zeros).expect("fits");
            prop_assert_eq!(decode_track(&made), Ok(text));
        }

        #[test]
        fn one_wrong_bit_is_always_noticed(text in "[0-9]{1,16}", at: prop::sample::Index) {
            let mut made = encode_track(&text, 0).expect("fits");
            let at = at.index(made.len());
            made[at] = !made[at];
            prop_assert_ne!(decode_track(&made), Ok(text));
        }

        #[test]
        fn no_bits_make_it_panic(bits in prop::collection::vec(any::<bool>(), 0..400)) {
            let _ = decode_track(&bits);
        }
    }
}
