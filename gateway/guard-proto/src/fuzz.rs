//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use crate::{FrameReader, Incoming, Report};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 3] = [
    ("guard_report", report),
    ("guard_request", request),
    ("guard_stream", stream),
];

/// What the guard tells.
///
/// # Panics
/// If what was read does not come back when it is written.
pub fn report(data: &[u8]) {
    if let Ok(report) = Report::decode(data) {
        let mut reader = FrameReader::default();
        reader.push(&report.encode());
        let frame = reader.next().expect("framed").expect("whole");
        assert_eq!(Report::decode(&frame), Ok(report));
    }
}

/// What the gateway asks.
///
/// # Panics
/// If the refusal has no words.
pub fn request(data: &[u8]) {
    if let Err(e) = Incoming::decode(data) {
        assert!(!e.to_string().is_empty());
    }
}

/// A stream in both directions.
///
/// # Panics
/// If more comes out than went in.
pub fn stream(data: &[u8]) {
    let mut reader = FrameReader::default();
    let mut taken = 0;
    for piece in data.chunks(300) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(frame)) => {
                    taken += 2 + frame.len();
                    report(&frame);
                    request(&frame);
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(taken <= data.len(), "{taken} bytes of {}", data.len());
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
