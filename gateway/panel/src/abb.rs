//! Telegrams of ABB-Welcome, which is Busch-Welcome.
//!
//! As Mat931 found it out (`esp32-doorbell-bus-interface`, and `abbwelcome` of ESPHome, which reads and sends it):
//! `55 FF HEAD KIND TO FROM NUMBER DATA CHECK`. The head's highest bit says that it is sent again, the next one that addresses have
//! three bytes and not two, its last six how many bytes of data follow, at most 15. A kind with its highest bit answers the kind
//! without. The number is another one each time, and the same where it is sent again. The check is a CRC-8 of all before.

use std::fmt;

/// How a telegram begins.
pub(crate) const SYNC: [u8; 2] = [0x55, 0xFF];
/// Most bytes of data.
pub(crate) const MOST_DATA: usize = 15;
/// Bits of the head: sent again, addresses of three bytes, how many bytes of data.
const AGAIN: u8 = 0x80;
const WIDE: u8 = 0x40;
const LENGTH: u8 = 0x3F;

/// What was said on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abb {
    /// Bytes that make no telegram.
    Noise(Vec<u8>),
    /// A telegram whose check is right.
    Telegram(AbbTelegram),
}

/// A telegram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbbTelegram {
    /// It is sent again.
    pub again: bool,
    /// What goes with it, at most 15 bytes.
    pub data: Vec<u8>,
    /// From whom: two bytes, or three if it is wide.
    pub from: u32,
    /// What it is; the highest bit is set in an answer.
    pub kind: u8,
    /// Tells it from the one before.
    pub number: u8,
    /// To whom.
    pub to: u32,
    /// Addresses have three bytes.
    pub wide: bool,
}

/// The check of all bytes before it: CRC-8 of the polynomial 0x81 taken from the lowest bit, from 0, turned over at the end.
pub(crate) fn check(bytes: &[u8]) -> u8 {
    let step = |sum: u8, byte: &u8| {
        (0..8).fold(
            sum ^ byte,
            |sum, _| {
                if sum & 1 == 1 { sum >> 1 ^ 0x81 } else { sum >> 1 }
            },
        )
    };
    !bytes.iter().fold(0, step)
}

/// How many bytes a telegram with this head has, all in all; `None` if there is none with so much data.
pub(crate) fn length(head: u8) -> Option<usize> {
    let data = usize::from(head & LENGTH);
    let addresses = if head & WIDE == 0 { 4 } else { 6 };
    (data <= MOST_DATA).then_some(SYNC.len() + 2 + addresses + 1 + data + 1)
}

/// Head, kind, addresses and data of a whole telegram, without what is another each time; `None` if its check is wrong.
pub(crate) fn said(telegram: &[u8]) -> Option<Vec<u8>> {
    let (_, before) = telegram
        .split_last()
        .filter(|(sum, before)| **sum == check(before))?;
    let (head, rest) = before.strip_prefix(&SYNC)?.split_first()?;
    let addressed = if head & WIDE == 0 { 5 } else { 7 };
    let (named, numbered) = rest.split_at_checked(addressed)?;
    let (_, data) = numbered.split_first()?;
    Some([&[head & !AGAIN][..], named, data].concat())
}

/// The other way round: a whole telegram with a number; `None` if the head does not fit what follows.
pub(crate) fn whole(said: &[u8], number: u8) -> Option<Vec<u8>> {
    let head = *said.first()?;
    let (before, data) = said.split_at_checked(if head & WIDE == 0 { 6 } else { 8 })?;
    if head & AGAIN != 0 || usize::from(head & LENGTH) != data.len() || data.len() > MOST_DATA {
        return None;
    }
    let mut bytes = [&SYNC[..], before, &[number], data].concat();
    bytes.push(check(&bytes));
    Some(bytes)
}

impl AbbTelegram {
    /// What a kind is said to be, without the bit of an answer.
    #[must_use]
    pub const fn kind_word(kind: u8) -> Option<&'static str> {
        match kind & 0x7F {
            0x01 => Some("call from the street"),
            0x02 => Some("end of a call"),
            0x03 => Some("call taken"),
            0x04 => Some("picture wanted"),
            0x09 => Some("light"),
            0x0A => Some("call"),
            0x0D | 0x0E => Some("open"),
            0x11 => Some("floor call"),
            0x16 => Some("actuator"),
            0x52 => Some("picture"),
            _ => None,
        }
    }

    /// True if it answers another telegram.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        self.kind & 0x80 != 0
    }

    /// Its bytes; data beyond 15 bytes and addresses beyond their width are cut.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let data = &self.data[..self.data.len().min(MOST_DATA)];
        let length = u8::try_from(data.len()).unwrap_or_default();
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        let head = bit(self.again, AGAIN) | bit(self.wide, WIDE) | length;
        let address = |of: u32| of.to_be_bytes()[if self.wide { 1 } else { 2 }..].to_vec();
        let mut bytes = SYNC.to_vec();
        bytes.extend([head, self.kind]);
        bytes.extend(address(self.to));
        bytes.extend(address(self.from));
        bytes.push(self.number);
        bytes.extend(data);
        bytes.push(check(&bytes));
        bytes
    }

    /// A telegram at the begin of bytes, and what follows it.
    fn first(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let head = *bytes.strip_prefix(&SYNC)?.first()?;
        let (telegram, after) = bytes.split_at_checked(length(head)?)?;
        let said = said(telegram)?;
        let wide = head & WIDE != 0;
        let width = if wide { 3 } else { 2 };
        let number = |of: &[u8]| of.iter().fold(0, |all, byte| all << 8 | u32::from(*byte));
        let (addresses, data) = said.get(2..)?.split_at_checked(2 * width)?;
        let found = Self {
            again: head & AGAIN != 0,
            data: data.to_vec(),
            from: number(&addresses[width..]),
            kind: *said.get(1)?,
            number: *telegram.get(4 + 2 * width)?,
            to: number(&addresses[..width]),
            wide,
        };
        Some((found, after))
    }
}

impl fmt::Display for AbbTelegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<String> = self.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&bytes.join(" "))
    }
}

/// Bytes as they were heard, as telegrams.
#[must_use]
pub fn abb_telegrams(bytes: &[u8]) -> Vec<Abb> {
    let (mut all, mut noise) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    while let Some((first, more)) = rest.split_first() {
        let Some((telegram, after)) = AbbTelegram::first(rest) else {
            noise.push(*first);
            rest = more;
            continue;
        };
        if !noise.is_empty() {
            all.push(Abb::Noise(std::mem::take(&mut noise)));
        }
        all.push(Abb::Telegram(telegram));
        rest = after;
    }
    if !noise.is_empty() {
        all.push(Abb::Noise(noise));
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        let byte = |word| u8::from_str_radix(word, 16).expect("hex");
        text.split('.').map(byte).collect()
    }

    /// Telegrams of a bus whose owner pressed the key at his door, and what he sent himself (Mat931/esp32-doorbell-bus-interface,
    /// issue 4, February 2024).
    #[test]
    fn telegrams_are_those_that_were_heard() {
        for (heard, wide, kind, to, from, number, data) in [
            (
                "55.FF.02.0A.01.01.01.01.D5.01.02.99",
                false,
                0x0A,
                0x0101,
                0x0101,
                0xD5,
                [0x01, 0x02],
            ),
            (
                "55.FF.02.0B.01.01.01.01.D3.81.02.32",
                false,
                0x0B,
                0x0101,
                0x0101,
                0xD3,
                [0x81, 0x02],
            ),
            (
                "55.FF.42.1A.01.01.01.01.D5.01.02.80.00.FC",
                true,
                0x1A,
                0x01_0101,
                0x01_D501,
                0x02,
                [0x80, 0x00],
            ),
            (
                "55.FF.42.0A.00.01.01.00.01.01.46.01.02.30",
                true,
                0x0A,
                0x0101,
                0x0101,
                0x46,
                [0x01, 0x02],
            ),
            (
                "55.FF.42.0B.00.01.01.00.01.01.46.81.02.9B",
                true,
                0x0B,
                0x0101,
                0x0101,
                0x46,
                [0x81, 0x02],
            ),
            (
                "55.FF.42.8B.00.01.01.00.01.01.46.01.02.5A",
                true,
                0x8B,
                0x0101,
                0x0101,
                0x46,
                [0x01, 0x02],
            ),
            (
                "55.FF.42.8A.00.01.01.00.01.01.46.8B.02.F3",
                true,
                0x8A,
                0x0101,
                0x0101,
                0x46,
                [0x8B, 0x02],
            ),
        ] {
            let telegram = AbbTelegram {
                again: false,
                data: data.to_vec(),
                from,
                kind,
                number,
                to,
                wide,
            };
            let heard = bytes(heard);
            assert_eq!(abb_telegrams(&heard), [Abb::Telegram(telegram.clone())]);
            assert_eq!(telegram.encode(), heard);
            let said = said(&heard).expect("whole");
            assert_eq!(whole(&said, number), Some(heard));
        }
    }

    #[test]
    fn what_is_sent_again_says_the_same() {
        let once = AbbTelegram {
            again: false,
            data: vec![0xAB, 0xCD, 0xEF],
            from: 0x100C,
            kind: 0x0D,
            number: 9,
            to: 0x4001,
            wide: false,
        };
        let twice = AbbTelegram {
            again: true,
            number: 77,
            ..once.clone()
        };
        assert_eq!(said(&once.encode()), said(&twice.encode()));
        assert_eq!(
            said(&once.encode()),
            Some(vec![3, 0x0D, 0x40, 0x01, 0x10, 0x0C, 0xAB, 0xCD, 0xEF])
        );
    }

    proptest! {
        #[test]
        fn whatever_is_heard_every_byte_of_it_is_told_once(heard in proptest::collection::vec(
            prop_oneof![Just(0x55), Just(0xFF), 0..4_u8, any::<u8>()], 0..80,
        )) {
            let told: Vec<u8> = abb_telegrams(&heard).iter().flat_map(|found| match found {
                Abb::Noise(bytes) => bytes.clone(),
                Abb::Telegram(telegram) => telegram.encode(),
            }).collect();
            prop_assert_eq!(told, heard);
        }

        #[test]
        fn one_wrong_bit_is_noticed(data in proptest::collection::vec(any::<u8>(), 0..=15), wide: bool, addresses: [u16; 2], kind: u8, number: u8, bit: usize) {
            let [to, from] = addresses.map(u32::from);
            let telegram = AbbTelegram { again: false, data, from, kind, number, to, wide };
            let mut bytes = telegram.encode();
            prop_assert_eq!(abb_telegrams(&bytes), [Abb::Telegram(telegram.clone())]);
            let bit = bit % (bytes.len() * 8);
            // another head is another length, of which one in 256 has a check that is right
            prop_assume!(bit / 8 != 2);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!abb_telegrams(&bytes).iter().any(|found| matches!(found, Abb::Telegram(_))));
        }
    }
}
