//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use std::time::Duration;

use gateway_card::{decode_track, encode_track, track_of};
use gateway_core::Instant;

use crate::{
    ClockDataEdge, ClockDataLevels, ClockDataParams, ClockDataReader, Keypad, Output, WiegandParams,
    WiegandReader, Wire,
};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 2] = [("clock_data", clock_data), ("wiegand", wiegand)];

/// Bits of a track, each byte eight of them; and edges of a reader, a byte each.
///
/// # Panics
/// If what was read is no track, or misreadings are told without end.
pub fn clock_data(data: &[u8]) {
    let bits: Vec<bool> = data
        .iter()
        .flat_map(|byte| (0..8).map(move |n| byte >> n & 1 == 1))
        .collect();
    if let Ok(text) = decode_track(&bits) {
        let again = encode_track(&text, 10).map(|bits| decode_track(&bits));
        assert_eq!(again, Some(Ok(text)));
    }
    let began = Instant::from_nanos(1_000_000_000);
    let params = ClockDataParams {
        card_present: data.first().is_some_and(|first| first & 0x80 != 0),
        ..ClockDataParams::default()
    };
    let (mut now, mut told, mut reader) = (began, 0, ClockDataReader::new(params));
    for step in data {
        // a twentieth of a millisecond to 1.6 ms, or a pause
        now = now + Duration::from_micros(50 * u64::from(1 + (step >> 3)));
        let high = step & 0x08 != 0;
        match step & 0x07 {
            0..=2 => reader.edge(now, ClockDataEdge::Clock),
            3 | 4 => reader.edge(now, ClockDataEdge::Data(high)),
            5 => reader.edge(now, ClockDataEdge::Present(high)),
            6 if high => reader.lost(),
            6 => reader.levels(now, ClockDataLevels::default()),
            _ => {
                now = now + Duration::from_millis(u64::from(*step));
                reader.handle_timeout(now);
            }
        }
        while let Some(output) = reader.poll_output() {
            match output {
                Output::Card { frame, at } => assert!(track_of(&frame).is_some() && at <= now, "{frame:?}"),
                Output::Key { key, .. } => panic!("it has no keys: {key}"),
                Output::Misread { times, bits, .. } => {
                    told += 1;
                    assert!(times > 0 && bits > 0 && bits <= 512, "{bits} bits, {times} times");
                }
                Output::Fault(_) | Output::Ready => {}
            }
        }
    }
    // 6 kinds, each at once and then once in 10 s
    assert!(
        told <= 6 * (2 + now.since(began).as_secs() / 10),
        "{told} misreadings"
    );
}

/// Edges: three bytes each, what happens and after how many microseconds. The first byte chooses the keypad.
///
/// # Panics
/// If a card fits no format, an unknown key is pressed, or misreadings are told without end.
pub fn wiegand(data: &[u8]) {
    let Some((first, steps)) = data.split_first() else {
        return;
    };
    let keypad = [Keypad::None, Keypad::Four, Keypad::Eight, Keypad::Either][usize::from(first & 3)];
    let params = WiegandParams {
        keypad,
        ..WiegandParams::default()
    };
    let formats = params.formats.clone();
    let mut now = Instant::from_nanos(1_000_000_000);
    let began = now;
    let mut reader = WiegandReader::new(params, now);
    let mut told = 0;
    for step in steps.chunks_exact(3) {
        let micros = u64::from(u16::from_be_bytes([step[1], step[2]]));
        now = now + Duration::from_micros(micros);
        match step[0] & 0x0f {
            0 => reader.lost(),
            1 => reader.levels(now, [step[0] & 0x10 != 0, step[0] & 0x20 != 0]),
            2 => reader.handle_timeout(now),
            3..=8 => reader.edge(now, Wire::D0),
            9..=14 => reader.edge(now, Wire::D1),
            _ => {
                now = now + Duration::from_secs(1);
                reader.handle_timeout(now);
            }
        }
        while let Some(output) = reader.poll_output() {
            match output {
                Output::Card { frame, at } => {
                    assert!(formats.iter().any(|f| f.fits(&frame)) && at <= now, "{frame:?}");
                }
                Output::Key { key, .. } => {
                    assert!(keypad != Keypad::None && "0123456789*#".contains(key), "{key}");
                }
                Output::Misread { times, bits, .. } => {
                    told += 1;
                    assert!(times > 0 && bits > 0 && bits <= 256, "{bits} bits, {times} times");
                }
                Output::Fault(_) | Output::Ready => {}
            }
        }
    }
    // 8 kinds, each at once and then once in 10 s
    assert!(
        told <= 8 * (2 + now.since(began).as_secs() / 10),
        "{told} misreadings"
    );
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
