//! The board's only frame: `0xA0, relay, state, sum`, the sum over the first three bytes modulo 256
//! (LCUS-1 module sheet: relay 1 on is `A0 01 01 A2`, off is `A0 01 00 A1`).

/// Relays of the largest board.
pub const CHANNELS: std::ops::RangeInclusive<u16> = 1..=8;
/// Length of a frame.
pub const FRAME_BYTES: usize = 4;

const START: u8 = 0xA0;

/// What is no frame, or no relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A relay that no board has.
    #[error("relay {found}, allowed are 1 to 8")]
    Channel {
        /// What was found.
        found: u16,
    },
    /// Another first byte.
    #[error("first byte 0x{found:02x}, expected 0xa0")]
    Start {
        /// What was found.
        found: u8,
    },
    /// Neither on nor off.
    #[error("state 0x{found:02x}, expected 0x00 or 0x01")]
    State {
        /// What was found.
        found: u8,
    },
    /// A wrong sum.
    #[error("sum 0x{found:02x}, expected 0x{expected:02x}")]
    Sum {
        /// What was found.
        found: u8,
        /// What it should be.
        expected: u8,
    },
}

/// Switch one relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    energised: bool,
    relay: u8,
}

impl Frame {
    /// A frame for a relay, counted from 1 as printed on the board.
    ///
    /// # Errors
    /// [`FrameError::Channel`] outside 1 to 8.
    pub fn new(channel: u16, energised: bool) -> Result<Self, FrameError> {
        match u8::try_from(channel) {
            Ok(relay) if CHANNELS.contains(&channel) => Ok(Self { energised, relay }),
            Ok(_) | Err(_) => Err(FrameError::Channel { found: channel }),
        }
    }

    /// The relay, from 1.
    #[must_use]
    pub const fn relay(self) -> u8 {
        self.relay
    }

    /// On?
    #[must_use]
    pub const fn energised(self) -> bool {
        self.energised
    }

    /// The bytes.
    #[must_use]
    pub fn encode(self) -> [u8; FRAME_BYTES] {
        let state = u8::from(self.energised);
        [START, self.relay, state, sum(self.relay, state)]
    }

    /// Reads a frame; for simulators and tests.
    ///
    /// # Errors
    /// [`FrameError`] for anything that [`encode`](Self::encode) would not write.
    pub fn decode([start, relay, state, found]: [u8; FRAME_BYTES]) -> Result<Self, FrameError> {
        if start != START {
            return Err(FrameError::Start { found: start });
        }
        let expected = sum(relay, state);
        if found != expected {
            return Err(FrameError::Sum { found, expected });
        }
        match state {
            0 | 1 => Self::new(relay.into(), state == 1),
            found => Err(FrameError::State { found }),
        }
    }
}

const fn sum(relay: u8, state: u8) -> u8 {
    START.wrapping_add(relay).wrapping_add(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_are_as_in_the_module_sheet() {
        for (relay, on, bytes) in [
            (1, true, [0xA0, 0x01, 0x01, 0xA2]),
            (1, false, [0xA0, 0x01, 0x00, 0xA1]),
            (8, true, [0xA0, 0x08, 0x01, 0xA9]),
        ] {
            let frame = Frame::new(relay, on).expect("a relay");
            assert_eq!(frame.encode(), bytes);
            assert_eq!(Frame::decode(bytes), Ok(frame));
        }
    }

    #[test]
    fn relays_outside_the_board_and_other_states_are_refused() {
        for found in [0, 9, 257] {
            assert_eq!(Frame::new(found, true), Err(FrameError::Channel { found }));
        }
        assert_eq!(
            Frame::decode([0xA0, 1, 2, 0xA3]),
            Err(FrameError::State { found: 2 })
        );
        assert_eq!(
            Frame::decode([0xA1, 1, 1, 0xA2]),
            Err(FrameError::Start { found: 0xA1 })
        );
    }

    proptest! {
        #[test]
        fn only_what_we_write_is_a_frame(bytes: [u8; 4]) {
            if let Ok(frame) = Frame::decode(bytes) {
                prop_assert_eq!(frame.encode(), bytes);
            }
        }

        #[test]
        fn one_changed_byte_is_no_frame(relay in 1u16..=8, on: bool, at in 0usize..4, change in 1u8..) {
            let mut bytes = Frame::new(relay, on).expect("a relay").encode();
            bytes[at] ^= change;
            prop_assert!(Frame::decode(bytes).is_err());
        }
    }
}
