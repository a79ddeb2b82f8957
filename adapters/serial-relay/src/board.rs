//! What the families of serial boards say and answer, as one table. Pure.

use crate::frame::{Frame, FrameError};

/// Most bytes of an answer that are kept: more is a device that talks without end.
pub const LONGEST: usize = 256;

/// A family of boards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// KMTronic USB and RS-232 boards: `FF n 0|1`, and a status that can be asked for.
    Kmtronic,
    /// LCUS-1 and its sisters: `A0 n 0|1 sum`, told and never asked.
    Lcus1,
    /// Numato USB relay modules: lines of text, each answered by a prompt.
    Numato,
}

/// One board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// Which family.
    pub family: Family,
    /// How many relays it has; of KMTronic boards those with 4 and 8 are asked otherwise than those with 1 and 2.
    pub relays: u16,
}

/// A relay that the board does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("relay {found}, allowed are {first} to {last}")]
pub struct NoRelay {
    /// What was found.
    pub found: u16,
    /// The board's first.
    pub first: u16,
    /// The board's last.
    pub last: u16,
}

/// What came so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The order was taken.
    Done,
    /// The relay's level.
    Level(bool),
    /// More has to come.
    More,
    /// No answer, and it will not become one.
    Wrong(String),
}

impl Board {
    /// First and last relay, as printed.
    #[must_use]
    pub const fn channels(self) -> (u16, u16) {
        match self.family {
            Family::Kmtronic | Family::Lcus1 => (1, self.relays),
            Family::Numato => (0, self.relays - 1),
        }
    }

    fn relay(self, found: u16) -> Result<u8, NoRelay> {
        let (first, last) = self.channels();
        match u8::try_from(found) {
            Ok(relay) if (first..=last).contains(&found) => Ok(relay),
            Ok(_) | Err(_) => Err(NoRelay { found, first, last }),
        }
    }

    /// Switches a relay.
    ///
    /// # Errors
    /// [`NoRelay`].
    pub fn order(self, channel: u16, on: bool) -> Result<Vec<u8>, NoRelay> {
        let relay = self.relay(channel)?;
        Ok(match self.family {
            Family::Kmtronic => vec![0xFF, relay, u8::from(on)],
            Family::Lcus1 => match Frame::new(channel, on) {
                Ok(frame) => frame.encode().to_vec(),
                Err(
                    FrameError::Channel { .. }
                    | FrameError::Start { .. }
                    | FrameError::State { .. }
                    | FrameError::Sum { .. },
                ) => {
                    let (first, last) = self.channels();
                    return Err(NoRelay {
                        found: channel,
                        first,
                        last,
                    });
                }
            },
            Family::Numato => {
                let word = if on { "on" } else { "off" };
                format!("relay {word} {}\r", numato(relay)).into_bytes()
            }
        })
    }

    /// Asks for a relay's level; `None` if the board cannot say.
    ///
    /// # Errors
    /// [`NoRelay`].
    pub fn query(self, channel: u16) -> Result<Option<Vec<u8>>, NoRelay> {
        let relay = self.relay(channel)?;
        Ok(match self.family {
            Family::Kmtronic if self.relays <= 2 => Some(vec![0xFF, relay, 0x03]),
            Family::Kmtronic => Some(vec![0xFF, 0x09, 0x00]),
            Family::Lcus1 => None,
            Family::Numato => Some(format!("relay read {}\r", numato(relay)).into_bytes()),
        })
    }

    /// True if an order is answered.
    #[must_use]
    pub const fn confirms(self) -> bool {
        matches!(self.family, Family::Numato)
    }

    /// Reads what came after an order.
    #[must_use]
    pub fn confirmed(self, came: &[u8]) -> Answer {
        match self.family {
            Family::Kmtronic | Family::Lcus1 => Answer::Done,
            Family::Numato if came.ends_with(b">") => Answer::Done,
            Family::Numato => self.more(came),
        }
    }

    /// Reads what came after a question for the relay `channel`.
    #[must_use]
    pub fn level(self, channel: u16, came: &[u8]) -> Answer {
        match self.family {
            Family::Lcus1 => Answer::Wrong("this board says nothing".to_owned()),
            Family::Kmtronic if self.relays <= 2 => match *came {
                [0xFF, relay, level @ (0 | 1)] if u16::from(relay) == channel => Answer::Level(level == 1),
                [_, _, _, ..] => wrong(came),
                _ => Answer::More,
            },
            Family::Kmtronic if came.len() < usize::from(self.relays) => Answer::More,
            Family::Kmtronic => {
                let whole = came.len() == usize::from(self.relays) && came.iter().all(|level| *level <= 1);
                let level = channel.checked_sub(1).and_then(|n| came.get(usize::from(n)));
                match level {
                    Some(level) if whole => Answer::Level(*level == 1),
                    Some(_) | None => wrong(came),
                }
            }
            Family::Numato if came.ends_with(b">") => {
                let text = String::from_utf8_lossy(&came[..came.len() - 1]);
                let words: Vec<&str> = text.split_whitespace().collect();
                match words.last() {
                    // "relay read 0", echoed, then the level
                    Some(&"on") => Answer::Level(true),
                    Some(&"off") => Answer::Level(false),
                    Some(_) | None => wrong(came),
                }
            }
            Family::Numato => self.more(came),
        }
    }

    fn more(self, came: &[u8]) -> Answer {
        if came.len() < LONGEST {
            Answer::More
        } else {
            wrong(came)
        }
    }
}

/// Numato counts 0 to 9 and goes on with letters.
fn numato(relay: u8) -> char {
    match relay {
        0..10 => char::from(b'0' + relay),
        10.. => char::from(b'A' + (relay - 10).min(25)),
    }
}

fn wrong(came: &[u8]) -> Answer {
    let bytes: Vec<String> = came.iter().take(24).map(|b| format!("{b:02x}")).collect();
    Answer::Wrong(format!("this is no answer of such a board: {}", bytes.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn board(family: Family, relays: u16) -> Board {
        Board { family, relays }
    }

    #[test]
    fn orders_and_questions_are_those_of_the_makers() {
        // KMTronic, "USB Relay commands"
        let two = board(Family::Kmtronic, 2);
        assert_eq!(two.order(2, true), Ok(vec![0xFF, 0x02, 0x01]));
        assert_eq!(two.query(2), Ok(Some(vec![0xFF, 0x02, 0x03])));
        assert_eq!(two.level(2, &[0xFF, 0x02, 0x01]), Answer::Level(true));
        let eight = board(Family::Kmtronic, 8);
        assert_eq!(eight.query(5), Ok(Some(vec![0xFF, 0x09, 0x00])));
        assert_eq!(eight.level(5, &[0, 0, 0, 0, 1, 0, 0, 0]), Answer::Level(true));
        assert_eq!(eight.level(5, &[0, 0, 0, 0]), Answer::More);
        // Numato, "USB Relay Module User Guide": relay A is the eleventh
        let numato = board(Family::Numato, 16);
        assert_eq!(numato.order(0, true), Ok(b"relay on 0\r".to_vec()));
        assert_eq!(numato.order(10, false), Ok(b"relay off A\r".to_vec()));
        assert_eq!(numato.query(3), Ok(Some(b"relay read 3\r".to_vec())));
        assert_eq!(numato.level(3, b"relay read 3\n\roff\n\r>"), Answer::Level(false));
        assert_eq!(numato.level(3, b"relay read 3\n\ron\n\r>"), Answer::Level(true));
        assert_eq!(numato.level(3, b"relay read 3\n\ro"), Answer::More);
        assert_eq!(numato.confirmed(b"relay on 3\n\r>"), Answer::Done);
        let lcus = board(Family::Lcus1, 8);
        assert_eq!(lcus.order(1, true), Ok(vec![0xA0, 0x01, 0x01, 0xA2]));
        assert_eq!(lcus.query(1), Ok(None));
    }

    #[test]
    fn relays_that_a_board_has_not_are_refused_and_nonsense_is_no_level() {
        let said = board(Family::Kmtronic, 4).order(5, true).expect_err("no relay 5");
        assert_eq!(said.to_string(), "relay 5, allowed are 1 to 4");
        assert!(board(Family::Numato, 8).order(8, true).is_err());
        assert!(board(Family::Lcus1, 8).order(0, true).is_err());
        for (board, came) in [
            (board(Family::Kmtronic, 1), &[0xFF, 0x01, 0x02][..]),
            (board(Family::Kmtronic, 1), &[0xFF, 0x02, 0x01]),
            (board(Family::Kmtronic, 4), &[0, 1, 2, 0]),
            (board(Family::Kmtronic, 4), &[0, 1, 0, 0, 0]),
            (board(Family::Numato, 8), b"relay read 1\n\rerror\n\r>"),
            (board(Family::Numato, 8), &[b'x'; LONGEST]),
        ] {
            assert!(matches!(board.level(1, came), Answer::Wrong(_)), "{came:02x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            family in prop_oneof![Just(Family::Kmtronic), Just(Family::Lcus1), Just(Family::Numato)],
            relays in 1u16..=8,
            channel in 0u16..=9,
            came in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let board = board(family, relays);
            let _ = board.level(channel, &came);
            let _ = board.confirmed(&came);
        }
    }
}
