//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use gateway_core::Secret;

use crate::read;

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 1] = [("backup", backup)];

/// A file of a backup, with the words that every one begins with in front of it or not.
///
/// # Panics
/// If what nobody made is taken for a backup.
pub fn backup(data: &[u8]) {
    let passphrase = Secret::new("correct horse battery");
    let head = b"doorline backup\n\x01\0\0\0".as_slice();
    for bytes in [data, &[head, data].concat()] {
        match read(bytes, &passphrase) {
            Ok(_) => panic!("a backup by chance"),
            Err(e) => assert!(!e.to_string().is_empty()),
        }
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
