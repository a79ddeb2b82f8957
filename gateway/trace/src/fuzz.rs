//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use crate::scrubbed;

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 1] = [("trace", trace)];

/// A message that is kept for whoever looks for a fault, and what a secret in it becomes.
///
/// # Panics
/// If a secret behind it stays.
pub fn trace(data: &[u8]) {
    let _ = scrubbed(data);
    // in a body it would be taken out with the body, or be a line of SDP
    let head = data
        .split(|b| *b == b'\n' || *b == b'\r')
        .next()
        .unwrap_or_default();
    let message = [head, b"\r\nAuthorization: Digest response=\"5ecre7\"\r\n"].concat();
    let kept = scrubbed(&message);
    let before = String::from_utf8_lossy(head).contains("5ecre7");
    assert!(before || head.is_empty() || !kept.contains("5ecre7"), "{kept}");
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
