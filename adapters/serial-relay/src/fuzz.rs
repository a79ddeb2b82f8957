//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use crate::{Answer, Board, Family, Frame};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 1] = [("serial_relay", serial_relay)];

/// What a board says to a question for a level, and to an order. The first byte chooses the board and its relay.
///
/// # Panics
/// If a board that says nothing has said a level.
pub fn serial_relay(data: &[u8]) {
    let Some((first, came)) = data.split_first() else {
        return;
    };
    let family = [Family::Kmtronic, Family::Lcus1, Family::Numato][usize::from(first & 3) % 3];
    let relays = [1, 2, 4, 8][usize::from(first >> 2 & 3)];
    let board = Board { family, relays };
    for end in 0..=came.len().min(64) {
        let level = board.level(u16::from(first >> 4), &came[..end]);
        assert!(family != Family::Lcus1 || !matches!(level, Answer::Level(_)));
    }
    let _ = board.level(u16::from(first >> 4), came);
    let _ = board.confirmed(came);
    if let Some(bytes) = came.first_chunk()
        && let Ok(frame) = Frame::decode(*bytes)
    {
        assert_eq!(frame.encode(), *bytes);
    }
}

#[cfg(test)]
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_survives_its_corpus() {
        super::replay::replay(&super::TARGETS);
    }
}
