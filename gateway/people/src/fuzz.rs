//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use crate::{csv, line};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 1] = [("people_import", import)];

/// A file of people, as CSV or JSON, and its text as one cell.
///
/// # Panics
/// If a cell does not come back.
pub fn import(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (lines, faults) = line::read(&text);
    assert!(lines.len() <= text.len() && faults.iter().all(|fault| !fault.to_string().is_empty()));
    let raw: String = text.chars().take(200).collect();
    let most = csv::Most { cells: 2, lines: 2 };
    if let Ok(table) = csv::read(&format!("a,b\n{},x\n", csv::cell(&raw)), most) {
        assert_eq!(table.lines[0].1[0], raw);
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
