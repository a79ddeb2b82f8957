//! Telegrams of BTicino SCS. Which of them an intercom rings and opens by differs from house to house: profiles name them, and
//! they are learnt.
//!
//! 9600 bits per second, a start bit and eight data bits, the lowest first; a 0 is a pulse of about 35 µs at the begin of its
//! bit, a 1 is none (guidopic, Stapelberg). A telegram is `A8 TO FROM KIND COMMAND CHECK A3`, the check the exclusive or of
//! the four before it; `A5` alone says that one was taken. Intercoms have longer ones as well.

use std::fmt;

pub(crate) const START: u8 = 0xA8;
const END: u8 = 0xA3;
pub(crate) const TAKEN: u8 = 0xA5;
/// Bytes of the usual telegram, and of the longest that is looked for.
const USUAL: usize = 7;
pub(crate) const LONGEST: usize = 16;

/// What was said on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scs {
    /// Bytes that make no telegram.
    Noise(Vec<u8>),
    /// The telegram before it was taken.
    Taken,
    /// A telegram whose check is right.
    Telegram(ScsTelegram),
}

/// A telegram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScsTelegram {
    /// Everything between begin and check: to whom, from whom, kind and command where it is of the usual length.
    pub data: Vec<u8>,
}

impl ScsTelegram {
    /// To, from, kind and command; `None` for a longer telegram, whose bytes nobody has told apart.
    #[must_use]
    pub fn fields(&self) -> Option<[u8; 4]> {
        self.data.as_slice().try_into().ok()
    }

    /// What a kind is said to be.
    #[must_use]
    pub const fn kind_word(kind: u8) -> Option<&'static str> {
        match kind {
            0x12 => Some("command or state"),
            0x15 => Some("question for a state"),
            _ => None,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let check = self.data.iter().fold(0, |sum, byte| sum ^ byte);
        [&[START][..], &self.data, &[check, END]].concat()
    }
}

impl fmt::Display for ScsTelegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<String> = self.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&bytes.join(" "))
    }
}

/// Bytes as they were heard, as telegrams.
#[must_use]
pub fn scs_telegrams(bytes: &[u8]) -> Vec<Scs> {
    let (mut all, mut noise) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    while let Some((first, more)) = rest.split_first() {
        let (found, after) = match telegram(rest) {
            Some((telegram, after)) => (Scs::Telegram(telegram), after),
            None if *first == TAKEN => (Scs::Taken, more),
            None => {
                noise.push(*first);
                rest = more;
                continue;
            }
        };
        if !noise.is_empty() {
            all.push(Scs::Noise(std::mem::take(&mut noise)));
        }
        all.push(found);
        rest = after;
    }
    if !noise.is_empty() {
        all.push(Scs::Noise(noise));
    }
    all
}

/// What a whole telegram says, between begin and check; `None` if it is none.
pub(crate) fn said(whole: &[u8]) -> Option<&[u8]> {
    let [START, data @ .., check, END] = whole else {
        return None;
    };
    let right = data.iter().fold(0, |sum, byte| sum ^ byte) == *check;
    (right && data.len() >= USUAL - 3).then_some(data)
}

/// A telegram at the begin of bytes, and what follows it: the usual length first.
fn telegram(bytes: &[u8]) -> Option<(ScsTelegram, &[u8])> {
    (USUAL..=LONGEST)
        .filter_map(|length| bytes.split_at_checked(length))
        .find_map(|(whole, after)| {
            let data = said(whole)?.to_vec();
            Some((ScsTelegram { data }, after))
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        let byte = |word| u8::from_str_radix(word, 16).expect("hex");
        text.split(' ').map(byte).collect()
    }

    /// Telegrams that people who listen to their buses have published: all lights off and what a light says, a shutter up and
    /// down, a state.
    #[test]
    fn telegrams_are_those_that_were_heard() {
        for (heard, fields) in [
            ("a8 b1 00 12 01 a2 a3", [0xB1, 0x00, 0x12, 0x01]),
            ("a8 48 40 12 00 1a a3", [0x48, 0x40, 0x12, 0x00]),
            ("a8 b8 62 12 09 c1 a3", [0xB8, 0x62, 0x12, 0x09]),
            ("a8 b8 62 12 0a c2 a3", [0xB8, 0x62, 0x12, 0x0A]),
            ("a8 32 30 12 01 11 a3", [0x32, 0x30, 0x12, 0x01]),
        ] {
            let [Scs::Telegram(telegram)] = &scs_telegrams(&bytes(heard))[..] else {
                panic!("{heard}");
            };
            assert_eq!(telegram.fields(), Some(fields), "{heard}");
            assert_eq!(telegram.to_string(), heard);
        }
    }

    #[test]
    fn an_answer_a_longer_telegram_and_noise_are_told_apart() {
        let all = scs_telegrams(&bytes("00 a8 48 40 12 00 1a a3 a5 a8 b1 00 12 01 a3 a3"));
        let telegram = ScsTelegram {
            data: bytes("48 40 12 00"),
        };
        let wrong = Scs::Noise(bytes("a8 b1 00 12 01 a3 a3"));
        let wanted = [Scs::Noise(vec![0]), Scs::Telegram(telegram), Scs::Taken, wrong];
        assert_eq!(all, wanted);
        let long = ScsTelegram {
            data: bytes("91 60 08 00 01 02"),
        };
        let read = scs_telegrams(&long.encode());
        assert_eq!(read, [Scs::Telegram(long.clone())]);
        assert_eq!(long.fields(), None);
    }

    proptest! {
        #[test]
        fn whatever_is_heard_every_byte_of_it_is_told_once(heard in proptest::collection::vec(
            prop_oneof![Just(START), Just(END), Just(TAKEN), any::<u8>()], 0..60,
        )) {
            let told: Vec<u8> = scs_telegrams(&heard).iter().flat_map(|found| match found {
                Scs::Noise(bytes) => bytes.clone(),
                Scs::Taken => vec![TAKEN],
                Scs::Telegram(telegram) => telegram.encode(),
            }).collect();
            prop_assert_eq!(told, heard);
        }
    }
}
