//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use crate::{Description, Manifest, PublicKey};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 1] = [("manifest", manifest)];

/// A manifest, a description of an image, and a key.
///
/// # Panics
/// If what was written is not read.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        let again = Manifest::parse(manifest.to_text().as_bytes());
        assert_eq!(again.as_ref().ok(), Some(&manifest), "{again:?}");
    }
    let _ = Description::parse(data);
    let _ = PublicKey::parse(&String::from_utf8_lossy(data));
}

#[cfg(test)]
#[path = "../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_survives_its_corpus() {
        super::replay::replay(&super::TARGETS);
    }
}
