//! Cards as people know them: by what is printed on them, whatever format a reader sends.
//!
//! | written | is |
//! |---|---|
//! | `26:123,04567`, `37:98765`, `34:hex:0123abcd4` | the one frame of that length, see [`card_frame`] |
//! | `123,04567` | facility and number, in any format that has both |
//! | `0008234567` | the 32-bit number that is printed with ten digits |
//! | `hex:04A1B2C3`, `04A1B2C3` | the same in hexadecimal, 3 to 8 bytes; without `hex:` it needs a letter |
//! | `ibutton:…`, `cyfral:…`, `metakom:…`, `qr:…`, `track2:…` | a contact key, the text of a QR code, a track of a stripe: see `token.rs` |
//! | `rev:…` before the last three | the bytes in the other order: some readers send the last one first |
//!
//! A frame is looked up by all of these: by its bits, by facility and number of each layout of its length whose parity
//! holds, and by the number between the parity bits, or of the whole frame where it has none.

use std::fmt;

use gateway_card::{cyfral_of, metakom_of, track_of};
use gateway_core::CardFrame;

use crate::card::{card_frame, fields, hex_of, last_byte, tidy};
use crate::card_error::CardError;

/// How a card is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CardKey {
    /// By every bit.
    Bits(CardFrame),
    /// By facility and number.
    Numbered {
        /// Facility code.
        facility: u32,
        /// Card number.
        number: u64,
    },
    /// By the number that the whole card is.
    Value(u64),
}

impl CardKey {
    /// Reads any of the notations.
    ///
    /// # Errors
    /// [`CardError`] says what is allowed. It shows nothing of a card that is nearly right.
    pub fn parse(text: &str) -> Result<Self, CardError> {
        let text = text.trim();
        if let Some(frame) = crate::token::frame(text) {
            return frame.map(Self::Bits);
        }
        let (rest, reversed) = match text.strip_prefix("rev:") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        if let Some((facility, number)) = rest.split_once(',')
            && !rest.contains(':')
            && !reversed
        {
            let parts = digits(facility, 5).zip(digits(number, 10));
            let (facility, number) = parts.ok_or(CardError::Notation)?;
            let facility = u32::try_from(facility).map_err(|_| CardError::Notation)?;
            return Ok(Self::Numbered { facility, number });
        }
        if rest.len() == 10 && rest.bytes().all(|b| b.is_ascii_digit()) {
            let value: u32 = rest.parse().map_err(|_| CardError::Notation)?;
            let value = if reversed { value.swap_bytes() } else { value };
            return Ok(Self::Value(value.into()));
        }
        let hex = rest.strip_prefix("hex:");
        let bare = rest.bytes().any(|b| b.is_ascii_alphabetic()).then_some(rest);
        if let Some(hex) = hex.or(bare.filter(|rest| !rest.contains(':'))) {
            return value_of(hex, reversed)
                .map(Self::Value)
                .ok_or(CardError::Notation);
        }
        if reversed || !rest.contains(':') {
            return Err(CardError::Notation);
        }
        card_frame(text).map(Self::Bits)
    }

    /// Every way in which a frame may be known; a few.
    #[must_use]
    pub fn all_of(frame: &CardFrame) -> Vec<Self> {
        keys_of(frame)
    }

    /// A frame that a reader may send for it: the one that it is; else the shortest format in which its number fits.
    #[must_use]
    pub fn frame(&self) -> Option<CardFrame> {
        match self {
            Self::Bits(frame) => Some(frame.clone()),
            Self::Numbered { facility, number } => [26, 33, 34, 37]
                .into_iter()
                .find_map(|bits| card_frame(&format!("{bits}:{facility},{number}")).ok()),
            Self::Value(value) => {
                let text = match u32::try_from(*value) {
                    Ok(value) => format!("32:hex:{value:08x}"),
                    Err(_) => format!("64:hex:{value:016x}"),
                };
                card_frame(&text).ok()
            }
        }
    }

    /// What may be shown of it, in lists as in events: [`HIDDEN`] and the last two digits of the number that is printed on
    /// it; of a longer track its last two characters, of another card without a number its last byte in hexadecimal.
    #[must_use]
    pub fn masked(&self) -> String {
        match self {
            Self::Bits(frame) => match numbers_of(frame).into_iter().next() {
                Some(key) => key.masked(),
                None => match track_of(frame) {
                    Some(text) => format!(
                        "{HIDDEN}{:0>2}",
                        text.get(text.len().saturating_sub(2)..).unwrap_or_default()
                    ),
                    None => {
                        let cyfral = cyfral_of(frame).map(|number| number.to_be_bytes()[1]);
                        let metakom = || metakom_of(frame).map(|bytes| bytes[3]);
                        let last = cyfral.or_else(metakom).unwrap_or_else(|| last_byte(frame));
                        format!("{HIDDEN}{last:02x}")
                    }
                },
            },
            Self::Numbered { number, .. } => format!("{HIDDEN}{:02}", number % 100),
            Self::Value(value) => format!("{HIDDEN}{:02}", value % 100),
        }
    }
}

/// What stands for the digits of a card, code or number that are not shown.
pub const HIDDEN: &str = "***";

/// The notation that [`CardKey::parse`] reads again. It shows the card: for export and storage only.
impl fmt::Display for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bits(frame) => write!(f, "{}:hex:{}", frame.bits, hex_of(frame)),
            Self::Numbered { facility, number } => write!(f, "{facility},{number:05}"),
            Self::Value(value) => match u32::try_from(*value) {
                Ok(value) => write!(f, "{value:010}"),
                Err(_) => write!(f, "hex:{value:016X}"),
            },
        }
    }
}

fn digits(text: &str, most: usize) -> Option<u64> {
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// 3 to 8 bytes in hexadecimal, the most significant first, or the other way round.
fn value_of(hex: &str, reversed: bool) -> Option<u64> {
    let fits = (6..=16).contains(&hex.len())
        && hex.len().is_multiple_of(2)
        && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let value = fits.then(|| u64::from_str_radix(hex, 16).ok()).flatten()?;
    let unused = u32::try_from(64 - hex.len() * 4).ok()?;
    Some(if reversed {
        value.swap_bytes() >> unused
    } else {
        value
    })
}

/// Every way in which a frame may be known; a few.
pub(crate) fn keys_of(frame: &CardFrame) -> Vec<CardKey> {
    let Some(frame) = tidy(frame) else {
        return Vec::new();
    };
    let mut keys = numbers_of(&frame);
    keys.insert(0, CardKey::Bits(frame));
    keys
}

/// The same without its bits: those with a facility first, as cards are printed.
fn numbers_of(frame: &CardFrame) -> Vec<CardKey> {
    let Some(frame) = tidy(frame) else {
        return Vec::new();
    };
    let (numbered, value) = fields(&frame);
    let numbered = numbered
        .into_iter()
        .map(|(facility, number)| CardKey::Numbered { facility, number });
    numbered.chain(value.map(CardKey::Value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(text: &str) -> CardKey {
        CardKey::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    /// Does a card that is written so answer to a frame that is written so?
    #[track_caller]
    fn check(card: &str, frame: &str, expected: bool) {
        let frame = card_frame(frame).expect("a frame");
        assert_eq!(keys_of(&frame).contains(&key(card)), expected, "{card} {frame:?}");
    }

    #[test]
    fn a_card_is_known_by_what_is_printed_on_it() {
        check("26:123,04567", "26:123,04567", true);
        check("123,04567", "26:123,04567", true);
        check("123,4567", "34:123,4567", true);
        check("123,4567", "37:123,4567", true);
        check("123,4567", "26:123,04568", false);
        check("123,4567", "26:124,04567", false);
        // 123 * 65536 + 4567
        check("0008065495", "26:123,04567", true);
        check("0008065495", "34:123,4567", true);
        check("hex:7B11D7", "26:123,04567", true);
        check("7B11D7", "26:123,04567", true);
        check("rev:D7117B", "26:123,04567", true);
        check("hex:D7117B", "26:123,04567", false);
        // a Mifare number of four bytes, sent whole and in the other order
        check("04A1B2C3", "32:hex:04a1b2c3", true);
        check("rev:04A1B2C3", "32:hex:c3b2a104", true);
        check("0077705923", "32:hex:04a1b2c3", true);
        check("rev:0077705923", "32:hex:c3b2a104", true);
        // an iButton: family, six bytes, check byte
        check("hex:01A2B3C4D5E6F708", "64:hex:01a2b3c4d5e6f708", true);
    }

    #[test]
    fn a_frame_with_wrong_parity_has_no_number() {
        let mut frame = card_frame("26:123,04567").expect("a frame");
        frame.data[0] ^= 0x80;
        assert_eq!(keys_of(&frame).len(), 1);
        frame.bits = 0;
        assert!(keys_of(&frame).is_empty());
    }

    #[test]
    fn what_is_no_card_is_refused_without_showing_it() {
        for bad in [
            "",
            ",",
            "1,",
            ",1",
            "123,x",
            "123456",
            "12345678",
            "hex:",
            "hex:123",
            "hex:12345",
            "rev:123,4567",
            "rev:26:1,1",
            "4294967296",
            "hex:00112233445566778899",
            "zz",
            "1,2,3",
            "100000,1",
            "rev:",
            "é",
        ] {
            let error = CardKey::parse(bad).expect_err(bad);
            assert!(
                bad.len() < 5 || !error.to_string().contains(bad) || bad.contains(':'),
                "{error}"
            );
        }
    }

    #[test]
    fn only_the_end_of_a_card_is_shown() {
        for (card, shown) in [
            ("123,04567", "***67"),
            ("26:123,04567", "***67"),
            ("0008065495", "***95"),
            ("32:hex:04a1b2c3", "***23"),
            ("0077705923", "***23"),
            ("hex:01A2B3C4D5E6F708", "***56"),
            // no number
            ("29:hex:04a1b2c8", "***59"),
        ] {
            assert_eq!(key(card).masked(), shown);
        }
    }

    proptest! {
        #[test]
        fn a_key_is_written_so_that_it_reads_again(facility in 0_u32..100_000, number in 0_u64..10_000_000_000, value: u64, bits in 1_u16..256, data in prop::collection::vec(any::<u8>(), 32)) {
            let frame = CardFrame { bits, data: data[..usize::from(bits.div_ceil(8))].to_vec() };
            for key in [
                CardKey::Numbered { facility, number },
                CardKey::Value(value),
                CardKey::Bits(tidy(&frame).expect("it fits")),
            ] {
                prop_assert_eq!(CardKey::parse(&key.to_string()), Ok(key));
            }
        }

        #[test]
        fn no_text_and_no_frame_makes_a_panic(text in "\\PC{0,40}", bits: u16, data in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = CardKey::parse(&text);
            let frame = CardFrame { bits, data };
            let _ = keys_of(&frame);
            let shown = CardKey::Bits(frame).masked();
            prop_assert_eq!(shown.len(), HIDDEN.len() + 2);
        }
    }
}
