//! What is no card and is read like one: contact keys (iButton), texts of a QR code, and tracks of magnetic stripes.
//!
//! | written | is |
//! |---|---|
//! | `ibutton:021CB801000000A2` | a 1-Wire key as it sends itself: family, six bytes, checksum; or engraved, the other way round |
//! | `ibutton:0000012F4A3C` | serial number of a DS1990A as engraved, the most significant byte first |
//! | `cyfral:1B07` | number of a Cyfral key, as `doorline decode ibutton` shows it |
//! | `metakom:0305FF00` | number of a Metakom key; each byte has an even number of ones |
//! | `qr:…` | a text of 8 to 512 characters that a reader reads off a QR code |
//! | `track2:0012345678` | what a Clock & Data reader sends between start and end: 1 to 37 digits, `=` for the separator |
//!
//! A key is a frame of the bits that it sends, in their order (64 of a 1-Wire key), a track the bits from its start to its check character. Of a text the frame is its SHA-256: nobody can read it out of
//! records, logs or exports, and whoever sends another text sends another frame.

use gateway_card::{cyfral_frame, metakom_frame, track_frame};
use gateway_core::CardFrame;
use sha2::{Digest as _, Sha256};

use crate::card_error::CardError;

/// Family code of the DS1990A.
const DS1990A: u8 = 0x01;
/// What is hashed before a text, so that its digest is that of nothing else.
const QR: &[u8] = b"doorline qr\0";
/// Shortest text: a shorter one is guessed.
const SHORTEST: usize = 8;
/// Longest text, in characters.
const LONGEST: usize = 512;

/// The frame of a text with one of the heads; `None` if it has none of them.
pub(crate) fn frame(text: &str) -> Option<Result<CardFrame, CardError>> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("qr:") {
        return Some(qr(rest));
    }
    if let Some(rest) = text.strip_prefix("track2:") {
        return Some(track_frame(&rest.to_ascii_uppercase()).ok_or(CardError::Token));
    }
    if let Some(rest) = text.strip_prefix("cyfral:") {
        let key = digits(rest, 4).and_then(|number| u16::try_from(number).ok());
        return Some(key.and_then(cyfral_frame).ok_or(CardError::Token));
    }
    if let Some(rest) = text.strip_prefix("metakom:") {
        let key = digits(rest, 8).map(u32::to_be_bytes);
        return Some(key.and_then(metakom_frame).ok_or(CardError::Token));
    }
    let rest = text.strip_prefix("ibutton:")?;
    Some(ibutton(rest).ok_or(CardError::Token))
}

/// So many hexadecimal digits; spaces and dashes between them are left out.
fn digits(hex: &str, count: usize) -> Option<u32> {
    let hex: String = hex.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let plain = hex.len() == count && hex.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(&hex, 16).ok()).flatten()
}

fn qr(text: &str) -> Result<CardFrame, CardError> {
    let length = text.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) || text.chars().any(char::is_control) {
        return Err(CardError::Token);
    }
    let mut sha = Sha256::new();
    sha.update(QR);
    sha.update(text.as_bytes());
    Ok(CardFrame {
        bits: 256,
        data: sha.finalize().to_vec(),
    })
}

/// CRC-8 of 1-Wire (Maxim AN27): polynomial x⁸ + x⁵ + x⁴ + 1, reflected, begins with 0.
fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ byte,
            |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0x8C } else { crc >> 1 }
            },
        )
    })
}

fn is_whole(rom: &[u8; 8]) -> bool {
    *rom != [0; 8] && crc8(&rom[..7]) == rom[7]
}

fn ibutton(hex: &str) -> Option<CardFrame> {
    let hex: String = hex.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let number = hex
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then(|| u64::from_str_radix(&hex, 16).ok())
        .flatten()?;
    let rom = match hex.len() {
        12 => {
            let mut rom = [0; 8];
            rom[0] = DS1990A;
            for (at, byte) in rom[1..7].iter_mut().enumerate() {
                *byte = number.to_le_bytes()[at];
            }
            rom[7] = crc8(&rom[..7]);
            rom
        }
        16 => {
            let sent = number.to_be_bytes();
            let engraved = number.to_le_bytes();
            [sent, engraved].into_iter().find(is_whole)?
        }
        _ => return None,
    };
    is_whole(&rom).then(|| CardFrame {
        bits: 64,
        data: rom.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::card::card_frame;
    use crate::card_key::{CardKey, keys_of};

    #[test]
    fn a_contact_key_is_the_same_in_each_way_of_writing_it() {
        // the example of Maxim AN27: family 02, serial 00000001B81C, checksum A2
        let sent = card_frame("ibutton:021CB801000000A2").expect("a key");
        assert_eq!(sent.data, [0x02, 0x1C, 0xB8, 0x01, 0, 0, 0, 0xA2]);
        assert_eq!(card_frame("ibutton:A2 00000001B81C 02"), Ok(sent.clone()));
        // it is known by its number, as readers of cards send it
        assert!(keys_of(&sent).contains(&CardKey::parse("hex:021CB801000000A2").expect("a card")));
        let serial = card_frame("ibutton:0000012f4a3c").expect("a key");
        assert_eq!(serial.data[..7], [0x01, 0x3C, 0x4A, 0x2F, 0x01, 0, 0]);
        for bad in [
            "ibutton:",
            "ibutton:021CB801000000A3",
            "ibutton:0000000000000000",
            "ibutton:xyz",
            "ibutton:02",
        ] {
            assert_eq!(card_frame(bad), Err(CardError::Token), "{bad}");
        }
    }

    #[test]
    fn keys_that_send_by_themselves_are_known_by_their_bits_alone() {
        for (text, bits, masked) in [
            ("cyfral:1B07", 72, "***07"),
            ("metakom:0305FF00", 38, "***00"),
            ("metakom: 03-05 ff-00", 38, "***00"),
        ] {
            let frame = card_frame(text).expect(text);
            assert_eq!((frame.bits, keys_of(&frame).len()), (bits, 1), "{text}");
            assert_eq!(CardKey::Bits(frame.clone()).masked(), masked);
            let stored = CardKey::Bits(frame.clone()).to_string();
            assert_eq!(CardKey::parse(&stored), CardKey::parse(text));
        }
        for bad in [
            "cyfral:",
            "cyfral:1B0",
            "cyfral:1B070",
            "cyfral:xyzw",
            "metakom:0305FF01",
            "metakom:+305FF00",
            "metakom:0305FF",
        ] {
            assert_eq!(card_frame(bad), Err(CardError::Token), "{bad}");
        }
    }

    #[test]
    fn a_text_is_its_digest_and_nothing_shows_it() {
        let text = "qr:visit/7f3a9c1e";
        let frame = card_frame(text).expect("a text");
        assert_eq!(frame.bits, 256);
        assert_eq!(CardKey::parse(text), Ok(CardKey::Bits(frame.clone())));
        let stored = CardKey::Bits(frame.clone()).to_string();
        assert!(
            !stored.contains("visit")
                && !format!("{frame:?}{}", CardKey::Bits(frame.clone()).masked()).contains("visit")
        );
        assert_eq!(CardKey::parse(&stored), Ok(CardKey::Bits(frame.clone())));
        assert_ne!(card_frame("qr:visit/7f3a9c1f"), Ok(frame));
        for bad in [
            "qr:",
            "qr:short",
            "qr:with\nlines and more",
            &format!("qr:{}", "x".repeat(513)),
        ] {
            let error = card_frame(bad).expect_err(bad);
            assert!(!error.to_string().contains("short"), "{error}");
        }
    }

    #[test]
    fn a_track_is_known_by_its_characters_and_one_of_ten_digits_by_its_number() {
        let frame = card_frame("track2:0008065495").expect("a track");
        assert_eq!(frame.bits, 65);
        let keys = keys_of(&frame);
        assert!(keys.contains(&CardKey::Value(8_065_495)));
        assert!(keys.contains(&CardKey::parse("track2:0008065495").expect("a card")));
        assert_eq!(CardKey::Bits(frame).masked(), "***95");
        let long = card_frame("track2:4711=0815").expect("a track");
        assert_eq!(keys_of(&long).len(), 1);
        assert_eq!(CardKey::Bits(long.clone()).masked(), "***15");
        assert_eq!(
            CardKey::parse(&CardKey::Bits(long.clone()).to_string()),
            Ok(CardKey::Bits(long))
        );
        // more than 32 bits are no number that is printed with ten digits
        assert_eq!(
            keys_of(&card_frame("track2:4294967296").expect("a track")).len(),
            1
        );
        assert_eq!(
            CardKey::Bits(card_frame("track2:7").expect("a track")).masked(),
            "***07"
        );
        for none in [
            "track2:",
            "track2:12f",
            "track2:1 2",
            "track2:x",
            &format!("track2:{}", "1".repeat(38)),
        ] {
            assert_eq!(card_frame(none), Err(CardError::Token), "{none}");
            assert!(CardKey::parse(none).is_err(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_panic(text in "(qr|ibutton|cyfral|metakom|track2):\\PC{0,40}") {
            let _ = card_frame(&text);
        }

        #[test]
        fn every_serial_number_is_a_key_both_ways_round(serial in 0_u64..1 << 48) {
            let key = card_frame(&format!("ibutton:{serial:012x}")).expect("a key");
            let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
            let sent = hex(&key.data);
            let engraved = hex(&key.data.iter().rev().copied().collect::<Vec<_>>());
            prop_assert_eq!(card_frame(&format!("ibutton:{sent}")), Ok(key.clone()));
            // where both orders have a right checksum, the first is meant
            let other = card_frame(&format!("ibutton:{engraved}")).expect("a key");
            prop_assert!(other == key || super::is_whole(&other.data.clone().try_into().expect("eight")));
        }
    }
}
