//! Contact keys at a 1-Wire master of the kernel, as a machine: names that it lists in, keys that were touched out.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{CardFrame, Instant};

use crate::rom::{DS1990A, Rom};

/// Most names of one listing: more are no keys that somebody holds.
const MOST: usize = 64;

/// Keys that lie at the contact.
#[derive(Debug)]
pub(crate) struct Touch {
    /// When each counted last, as long as it is there or may not count anew.
    counted: BTreeMap<u64, Instant>,
    /// Those of the last listing; `None` before the first one.
    there: Option<Vec<u64>>,
    repeat: Duration,
}

impl Touch {
    /// A key counts once in `repeat`.
    pub(crate) const fn new(repeat: Duration) -> Self {
        Self {
            counted: BTreeMap::new(),
            there: None,
            repeat,
        }
    }

    /// Nobody knows what lies there: what is listed next is how it is, and nobody's touch.
    pub(crate) fn forget(&mut self) {
        self.there = None;
    }

    /// Takes what the master lists; gives the keys that were not there before.
    pub(crate) fn listed(&mut self, now: Instant, text: &str) -> Vec<CardFrame> {
        let keys: Vec<u64> = text.lines().filter_map(serial).take(MOST).collect();
        let before = self.there.replace(keys.clone());
        let repeat = self.repeat;
        self.counted.retain(|_, at| now.since(*at) < repeat);
        let Some(before) = before else {
            return Vec::new();
        };
        let mut new: Vec<u64> = keys.into_iter().filter(|key| !before.contains(key)).collect();
        new.sort_unstable();
        new.dedup();
        new.retain(|key| !self.counted.contains_key(key));
        self.counted.extend(new.iter().map(|key| (*key, now)));
        new.into_iter().map(frame).collect()
    }
}

/// The bits of a key as they are sent: family, serial number, checksum.
fn frame(serial: u64) -> CardFrame {
    CardFrame {
        bits: 64,
        data: Rom::of(DS1990A, serial).bytes().to_vec(),
    }
}

/// The serial number of a key that is listed as `01-SERIAL`; the kernel has checked its sum. Other devices on the wire are no
/// keys, and zero is a short circuit.
fn serial(name: &str) -> Option<u64> {
    let digits = name.trim().strip_prefix("01-")?;
    let plain = digits.len() == 12 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let serial = u64::from_str_radix(digits, 16).ok().filter(|_| plain)?;
    (serial != 0).then_some(serial)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "01-0000012f4a3c\n";

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_millis(ms)
    }

    fn touch() -> Touch {
        let mut touch = Touch::new(Duration::from_secs(2));
        assert!(touch.listed(at(0), "not found.\n").is_empty());
        touch
    }

    #[test]
    fn a_key_counts_as_it_comes_and_once_while_it_lies_there() {
        let mut touch = touch();
        let came = touch.listed(at(100), ONE);
        assert_eq!(came, [frame(0x0000_012F_4A3C)]);
        // as `doorline encode ibutton` has it
        assert_eq!(came[0].data, [0x01, 0x3C, 0x4A, 0x2F, 0x01, 0x00, 0x00, 0xB8]);
        assert!(touch.listed(at(200), ONE).is_empty());
        assert!(touch.listed(at(9000), ONE).is_empty());
        // a contact that chatters
        assert!(touch.listed(at(9100), "not found.\n").is_empty());
        assert_eq!(touch.listed(at(9200), ONE).len(), 1);
        assert!(touch.listed(at(9300), "").is_empty());
        assert!(touch.listed(at(9400), ONE).is_empty(), "within 2 s of the last");
        assert!(touch.listed(at(9500), "").is_empty());
        assert_eq!(touch.listed(at(11_200), ONE).len(), 1);
    }

    #[test]
    fn what_lies_there_at_the_begin_or_after_a_gap_is_nobodys_touch() {
        let mut touch = Touch::new(Duration::from_secs(2));
        assert!(touch.listed(at(0), ONE).is_empty());
        assert_eq!(
            touch.listed(at(100), "01-0000012f4a3c\n01-000000000005\n").len(),
            1
        );
        touch.forget();
        assert!(touch.listed(at(5000), "01-000000000007\n").is_empty());
        assert_eq!(touch.listed(at(5100), ONE).len(), 1);
    }

    #[test]
    fn what_is_no_key_is_none() {
        let mut touch = touch();
        for none in [
            "28-0000012f4a3c",
            "01-000000000000",
            "01-12f4a3c",
            "01-0000012f4a3cc",
            "01-+000012f4a3c",
            "w1_bus_master1",
        ] {
            assert!(touch.listed(at(100), none).is_empty(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_listed_little_is_kept_and_each_is_a_right_number(listings in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![0..9_u64, any::<u64>()], 0..80), 0..12,
        )) {
            let mut touch = touch();
            for (n, serials) in (1..).zip(listings) {
                let text: Vec<String> = serials.iter().map(|serial| format!("01-{:012x}", serial >> 16)).collect();
                for came in touch.listed(at(n * 100), &text.join("\n")) {
                    let bytes: [u8; 8] = came.data.try_into().expect("eight");
                    prop_assert!(Rom::new(bytes).is_ok());
                }
                prop_assert!(touch.there.as_ref().is_some_and(|there| there.len() <= MOST));
                prop_assert!(touch.counted.len() <= MOST * 21);
            }
        }
    }
}
