//! What is said to a board and what it says, as feature reports without a number. Pure.

/// Bytes of a report as `hidraw` has it: the number, which is 0, and eight of the device.
pub const REPORT_BYTES: usize = 9;
/// Letters of the id that a board keeps.
pub const ID_BYTES: usize = 5;
/// Relays of the largest board.
pub const RELAYS: u16 = 8;

const ON: u8 = 0xFF;
const OFF: u8 = 0xFD;
/// Where the id and the levels are in an answer.
const ID: usize = 1;
const LEVELS: usize = 8;

/// A report.
pub type Report = [u8; REPORT_BYTES];

/// Switches one relay, counted from 1 as printed; `None` if no board has it.
#[must_use]
pub fn order(relay: u16, on: bool) -> Option<Report> {
    let relay = u8::try_from(relay)
        .ok()
        .filter(|relay| (1..=RELAYS).contains(&u16::from(*relay)))?;
    Some([0, if on { ON } else { OFF }, relay, 0, 0, 0, 0, 0, 0])
}

/// What a board says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    id: [u8; ID_BYTES],
    levels: u8,
}

/// An answer that is none of such a board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no answer of such a board: {found}; wanted are 9 bytes, 00, the five letters of its id, 00, and last the relays"
)]
pub struct StatusError {
    /// In hex.
    pub found: String,
}

impl Status {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`StatusError`] if it is none: boards of other makers share the vendor and product of these.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatusError> {
        let wrong = || StatusError {
            found: bytes
                .iter()
                .take(16)
                .map(|byte| format!("{byte:02x}"))
                .collect::<Vec<_>>()
                .join(" "),
        };
        let report: &Report = bytes.try_into().map_err(|_| wrong())?;
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&report[ID..ID + ID_BYTES]);
        let whole = report[0] == 0 && report[ID + ID_BYTES] == 0 && id.iter().all(u8::is_ascii_graphic);
        if !whole {
            return Err(wrong());
        }
        Ok(Self {
            id,
            levels: report[LEVELS],
        })
    }

    /// The id that the board keeps, five letters and digits.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.iter().copied().map(char::from).collect()
    }

    /// Is the relay on? `None` if no board has it.
    #[must_use]
    pub fn level(&self, relay: u16) -> Option<bool> {
        let bit = relay.checked_sub(1).filter(|bit| *bit < RELAYS)?;
        Some(self.levels >> bit & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_order_names_the_relay_and_what_to_do_with_it() {
        assert_eq!(order(1, true), Some([0, 0xFF, 1, 0, 0, 0, 0, 0, 0]));
        assert_eq!(order(8, false), Some([0, 0xFD, 8, 0, 0, 0, 0, 0, 0]));
        // 0 would be every relay of the board
        for none in [0, 9, 256, 257] {
            assert_eq!(order(none, true), None, "{none}");
        }
    }

    #[test]
    fn an_answer_has_the_id_and_a_bit_for_each_relay() {
        let status = Status::parse(&[0, b'6', b'Q', b'M', b'B', b'S', 0, 0, 0b0000_0101]).expect("an answer");
        assert_eq!(status.id(), "6QMBS");
        let on: Vec<u16> = (1..=8)
            .filter(|relay| status.level(*relay) == Some(true))
            .collect();
        assert_eq!(on, [1, 3]);
        assert_eq!((status.level(0), status.level(9)), (None, None));
    }

    #[test]
    fn what_other_devices_answer_is_refused_with_its_bytes() {
        let good = [0, b'6', b'Q', b'M', b'B', b'S', 0, 0, 5];
        for (at, byte) in [(0, 1), (1, 0), (3, b' '), (5, 0x80), (6, b'X')] {
            let mut bad = good;
            bad[at] = byte;
            assert!(Status::parse(&bad).is_err(), "{bad:?}");
        }
        for short in 0..good.len() {
            assert!(Status::parse(&good[..short]).is_err());
        }
        let said = Status::parse(&[0xAB, 0]).expect_err("no answer").to_string();
        assert!(said.contains("ab 00"), "{said}");
    }

    proptest! {
        #[test]
        fn every_answer_that_is_taken_has_an_id_that_can_be_printed(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(status) = Status::parse(&bytes) {
                prop_assert_eq!(status.id().len(), ID_BYTES);
                prop_assert!(status.id().chars().all(|c| c.is_ascii_graphic()));
            }
        }
    }
}
