//! Card texts of the configuration and the bits a Wiegand reader sends for them.
//!
//! Bits are counted from 0 in transmission order, most significant first. A configured card is turned into the
//! one frame a reader sends, parity included, and frames are compared whole: a frame with wrong parity is
//! simply another, unknown card.

use std::ops::RangeInclusive;

use gateway_card::{Fields, Format, ValueError, format_named, formats, track_of};
use gateway_core::CardFrame;

use crate::card_error::CardError;

/// Longest frame in bits.
pub const MAX_BITS: u16 = 256;

/// The format that a card text of so many bits means, with facility or without. Where several have the length, the one
/// that is met most.
fn meant(bits: u16, with_facility: bool) -> Option<&'static Format> {
    let name = match (bits, with_facility) {
        (26, true) => "h10301",
        (33, true) => "d10202",
        (34, true) => "h10306",
        (35, true) => "c1k35s",
        (37, true) => "h10304",
        (37, false) => "h10302",
        (46, true) => "h800002",
        (48, true) => "c1k48s",
        (50, true) => "fc50",
        _ => return None,
    };
    format_named(name)
}

fn write(format: &Format, bits: u16, fields: &Fields) -> Result<CardFrame, CardError> {
    format.write(fields).map_err(|error| {
        let ValueError::Range {
            field, found, max, ..
        } = error
        else {
            // cannot be: the formats above have a number, and a facility if one is given
            return CardError::Layout { bits };
        };
        CardError::Range {
            bits,
            field: field.word(),
            found,
            max,
        }
    })
}

fn bit(data: &[u8], at: u16) -> bool {
    data.get(usize::from(at / 8))
        .is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
}

fn put(data: &mut [u8], at: u16, one: bool) {
    if let Some(byte) = data.get_mut(usize::from(at / 8)) {
        let mask = 0x80 >> (at % 8);
        *byte = if one { *byte | mask } else { *byte & !mask };
    }
}

/// Makes the frame of a configured card: `26:123,04567`, `37:98765` or raw `34:hex:0123abcd4`; of a contact key
/// `ibutton:0000012F4A3C`, `cyfral:1B07`, `metakom:0305FF00`; of the text of a QR code `qr:…`; of a track `track2:0012345678`.
///
/// # Errors
/// [`CardError`] says what was found and what is allowed.
pub fn card_frame(text: &str) -> Result<CardFrame, CardError> {
    let form = || CardError::Form {
        found: text.chars().take(60).collect(),
    };
    if let Some(frame) = crate::token::frame(text) {
        return frame;
    }
    let (bits, rest) = text.trim().split_once(':').ok_or_else(form)?;
    let bits: u16 = decimal(bits)
        .and_then(|n| u16::try_from(n).ok())
        .ok_or_else(form)?;
    if let Some(hex) = rest.strip_prefix("hex:") {
        return raw(bits, hex).ok_or_else(|| CardError::Hex {
            bits,
            found: hex.chars().take(70).collect(),
            wanted: usize::from(bits.min(MAX_BITS).div_ceil(4)),
        });
    }
    match rest.split_once(',') {
        Some((facility, number)) => {
            let format = meant(bits, true).ok_or(CardError::Layout { bits })?;
            let fields = Fields {
                facility: Some(decimal(facility).ok_or_else(form)?),
                number: Some(decimal(number).ok_or_else(form)?),
                ..Fields::default()
            };
            write(format, bits, &fields)
        }
        None => {
            let format = meant(bits, false).ok_or_else(form)?;
            let fields = Fields {
                number: Some(decimal(rest).ok_or_else(form)?),
                ..Fields::default()
            };
            write(format, bits, &fields)
        }
    }
}

fn decimal(text: &str) -> Option<u64> {
    let fits = (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

fn raw(bits: u16, hex: &str) -> Option<CardFrame> {
    let wanted = usize::from(bits.div_ceil(4));
    if !(1..=MAX_BITS).contains(&bits) || hex.len() != wanted {
        return None;
    }
    let mut data = vec![0_u8; usize::from(bits.div_ceil(8))];
    for (at, c) in hex.chars().enumerate() {
        let nibble = u8::try_from(c.to_digit(16)?).ok()?;
        *data.get_mut(at / 2)? |= nibble << if at.is_multiple_of(2) { 4 } else { 0 };
    }
    let frame = CardFrame { bits, data };
    (tidy(&frame).as_ref() == Some(&frame)).then_some(frame)
}

/// The frame with the unused bits of its last byte cleared; `None` if length and data do not fit.
pub(crate) fn tidy(frame: &CardFrame) -> Option<CardFrame> {
    let bytes = usize::from(frame.bits.div_ceil(8));
    if !(1..=MAX_BITS).contains(&frame.bits) || frame.data.len() != bytes {
        return None;
    }
    let mut data = frame.data.clone();
    for at in frame.bits..u16::try_from(bytes * 8).unwrap_or(frame.bits) {
        put(&mut data, at, false);
    }
    Some(CardFrame {
        bits: frame.bits,
        data,
    })
}

/// Facility and number by each published format of this length whose parity holds, and the number that the whole card
/// is: what stands between the parity bits, or everything where a length has none; of a track of ten digits these.
pub(crate) fn fields(frame: &CardFrame) -> (Vec<(u32, u64)>, Option<u64>) {
    let read = |format: &Format| {
        let fits = format.bits() == usize::from(frame.bits) && format.fits(frame);
        fits.then(|| format.read(frame)).flatten()
    };
    let numbered: std::collections::BTreeSet<(u32, u64)> = formats()
        .iter()
        .filter_map(read)
        .filter_map(|fields| Some((u32::try_from(fields.facility?).ok()?, fields.number?)))
        .collect();
    let between = || {
        let whole = [true, false]
            .into_iter()
            .filter_map(|with| meant(frame.bits, with));
        whole
            .filter_map(read)
            .next()
            .map(|_| number(&frame.data, &(1..=frame.bits - 2)))
    };
    let value = match frame.bits {
        24 | 32 | 40 | 48 | 56 | 64 => Some(number(&frame.data, &(0..=frame.bits - 1))),
        26 | 33 | 34 | 37 => between(),
        // a track of ten digits: the number that is printed so
        65 => track_of(frame)
            .and_then(|text| text.parse::<u32>().ok())
            .map(u64::from),
        _ => None,
    };
    (numbered.into_iter().collect(), value)
}

/// The bits of a range as a number; at most 64 of them.
fn number(data: &[u8], range: &RangeInclusive<u16>) -> u64 {
    range
        .clone()
        .fold(0, |sum, at| sum << 1 | u64::from(bit(data, at)))
}

/// Hexadecimal digits as [`card_frame`] wants them: left-aligned.
pub(crate) fn hex_of(frame: &CardFrame) -> String {
    let digits = usize::from(frame.bits.div_ceil(4));
    let mut text: String = frame.data.iter().map(|b| format!("{b:02x}")).collect();
    text.truncate(digits);
    text
}

/// The last eight bits; all of a shorter frame.
pub(crate) fn last_byte(frame: &CardFrame) -> u8 {
    let bits = frame.bits.min(MAX_BITS);
    (bits.saturating_sub(8)..bits).fold(0_u8, |sum, at| sum << 1 | u8::from(bit(&frame.data, at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, bits: &str) {
        let frame = card_frame(text).expect("a good card");
        let shown: String = (0..frame.bits)
            .map(|at| if bit(&frame.data, at) { '1' } else { '0' })
            .collect();
        assert_eq!(shown, bits, "{text}");
    }

    // The parity bits of these vectors were counted by hand from the layouts in the HID data sheets.
    #[test]
    fn cards_become_the_bits_a_reader_sends() {
        check("26:123,04567", "10111101100010001110101110");
        check("26:0,0", "00000000000000000000000001");
        check("26:255,65535", "01111111111111111111111111");
        check("34:1,1", "1000000000000000100000000000000010");
        check("34:hex:0123abcd4", "0000000100100011101010111100110101");
        check("33:1,1", "100000010000000000000000000000010");
        check("35:42,69", "10000000101010000000000000010001010");
        check("48:42,69", "100000000000000000101010000000000000000010001010");
        check("37:1", "0000000000000000000000000000000000010");
        check("37:0,1", "0000000000000000000000000000000000010");
        // Bit 18 counts in both parities: number 2^17 sets it.
        check("37:0,131072", "1000000000000000001000000000000000000");
    }

    #[test]
    fn wrong_texts_are_refused_with_a_reason() {
        for bad in [
            "",
            "26",
            "26:",
            "26:1",
            "26:1,",
            "26:,1",
            "26:1,2,3",
            "x:1,2",
            "27:1,2",
            "26:256,0",
            "26:0,65536",
            "34:hex:0123abcd5",
            "34:hex:0123abcd",
            "0:hex:",
            "257:hex:00",
            "26:-1,2",
            "26:+1,2",
            "8:hex:zz",
            "26:9999999999999999999,1",
            "8:hex:é",
        ] {
            assert!(card_frame(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn different_cards_have_different_frames(a in any::<(u8, u16)>(), b in any::<(u8, u16)>()) {
            let frame = |(f, n): (u8, u16)| card_frame(&format!("26:{f},{n}")).expect("fits");
            prop_assert_eq!(a == b, frame(a) == frame(b));
        }

        #[test]
        fn one_flipped_bit_makes_another_card(f: u8, n: u16, at in 0_u16..26) {
            let good = card_frame(&format!("26:{f},{n}")).expect("fits");
            let mut bad = good.clone();
            let old = bit(&bad.data, at);
            put(&mut bad.data, at, !old);
            // A single wrong bit is never a valid frame of another card, because of the parity.
            prop_assert!(!format_named("h10301").expect("there").fits(&bad));
        }

        #[test]
        fn no_text_and_no_frame_makes_it_panic(text in ".{0,80}", bits: u16, data in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = card_frame(&text);
            let frame = CardFrame { bits, data };
            let _ = last_byte(&frame);
            let _ = tidy(&frame);
        }
    }
}
