//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use crate::{cyfral, metakom};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 1] = [("contact_key", contact_key)];

/// Bits of a contact key, each byte eight of them.
///
/// # Panics
/// If a key with wrong parity is read.
pub fn contact_key(data: &[u8]) {
    let bits: Vec<bool> = data
        .iter()
        .flat_map(|byte| (0..8).map(move |n| byte >> n & 1 == 1))
        .collect();
    let _ = cyfral(&bits);
    if let Ok(read) = metakom(&bits) {
        assert!(read.iter().all(|b| b.count_ones() % 2 == 0), "{read:?}");
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
