//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use std::path::Path;

use crate::{SecretFiles, parse, plan};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 1] = [("site_file", site_file)];

/// Reads a site file and prints whatever comes of it.
///
/// # Panics
/// If a fault stands outside of the file, or a file differs from itself.
pub fn site_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse("site.toml", Path::new("."), &text, SecretFiles::Untouched) {
        Ok(loaded) => {
            let _ = loaded.warnings.to_string();
            let same = plan(&loaded.config, &loaded.config);
            assert_eq!(same.touched().count(), 0);
        }
        Err(faults) => {
            assert!(!faults.list.is_empty());
            let printed = faults.to_string();
            for fault in &faults.list {
                assert!(fault.line >= 1 && fault.column >= 1, "{printed}");
                assert!(fault.line <= text.matches('\n').count() + 1, "{printed}");
            }
        }
    }
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
