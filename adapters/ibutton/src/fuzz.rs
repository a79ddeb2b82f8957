//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use std::time::Duration;

use gateway_card::{cyfral, cyfral_of, metakom, metakom_of};
use gateway_core::Instant;

use crate::{KeyKinds, KeyLine, KeyOutput, Rom};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 2] = [("contact_key", contact_key), ("contact_wire", contact_wire)];

/// Edges of the wire of a contact: after so many µs as each byte says, four times as many from 128 on. 0 is something else:
/// the row of pulses goes out that is due; if none is, what was told is settled, or edges are lost, in turns.
///
/// # Panics
/// If a key is read whose own check does not hold.
pub fn contact_wire(data: &[u8]) {
    let mut at = Instant::from_nanos(1_000_000_000);
    let kinds = KeyKinds {
        cyfral: true,
        ds1990a: true,
        metakom: true,
    };
    let mut line = KeyLine::new(at, kinds, Duration::ZERO);
    line.begin(at, true);
    at = at + Duration::from_secs(2);
    let (mut level, mut turn) = (true, false);
    for byte in data {
        if *byte == 0 {
            if line.row(at).is_none() {
                turn = !turn;
                if turn {
                    at = at + Duration::from_millis(100);
                    line.settled(at, level);
                } else {
                    line.lost(at);
                }
            }
        } else {
            let us = u64::from(byte & 0x7F) * if byte & 0x80 == 0 { 1 } else { 4 };
            at = at + Duration::from_micros(us);
            level = !level;
            line.edge(at, level);
        }
        while let Some(output) = line.poll_output() {
            if let KeyOutput::Key { frame, .. } = output {
                let rom = <[u8; 8]>::try_from(frame.data.as_slice()).map(Rom::new);
                let asked = matches!(rom, Ok(Ok(_)));
                assert!(asked || cyfral_of(&frame).is_some() || metakom_of(&frame).is_some());
            }
        }
    }
}

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
