//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use crate::{ID_BYTES, RELAYS, Status, is_board};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 1] = [("hid_relay", hid_relay)];

/// What a board answers, and what the kernel says of a device.
///
/// # Panics
/// If an answer that was taken has no id or no levels.
pub fn hid_relay(data: &[u8]) {
    if let Ok(status) = Status::parse(data) {
        assert_eq!(status.id().len(), ID_BYTES);
        assert!((1..=RELAYS).all(|relay| status.level(relay).is_some()));
    }
    let _ = is_board(&String::from_utf8_lossy(data));
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
