//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use std::time::Duration;

use adapter_ibutton::KeyKinds;
use adapter_wiegand::ClockDataParams;
use gateway_core::Instant;
use gateway_panel::{LineInputs, LineParams, profile_named};

use crate::message::{Order, PortRole, Word};
use crate::{
    Change, ClockDataInputs, Deframer, Firmware, FrontEndLine, FrontEndReader, KeyContact, LinePort, Output,
    ReaderInputs, ReaderLights, WATCHDOG_MS, Wiring, frame,
};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 3] = [
    ("front_end_firmware", firmware),
    ("front_end_line", line),
    ("front_end_message", message),
];

/// One message in either direction.
///
/// # Panics
/// If what was read is another message when it is written and read again.
pub fn message(data: &[u8]) {
    let read = |framed: &[u8]| {
        let mut deframer = Deframer::default();
        let mut whole = framed.iter().filter_map(|byte| deframer.push(*byte));
        whole.next().and_then(Result::ok)
    };
    if let Ok((number, order)) = Order::read(data)
        && let Some(again) = read(&order.frame(number))
    {
        assert_eq!(Order::read(&again), Ok((number, order)));
    }
    if let Ok((number, word)) = Word::read(data)
        && let Some(again) = read(&word.frame(number))
    {
        assert_eq!(Word::read(&again), Ok((number, word)));
    }
}

/// Pieces behind their length. Each is bytes as they are if its first bit is set, else a message that is framed; a
/// millisecond passes after each, or as many as its second byte says.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = (u64, Vec<u8>)> {
    std::iter::from_fn(move || {
        let ([len, wait], rest) = data.split_first_chunk()?;
        let (piece, rest) = rest.split_at(usize::from(len & 0x7f).min(rest.len()));
        data = rest;
        let bytes = if len & 0x80 == 0 {
            frame(piece)
        } else {
            piece.to_vec()
        };
        Some((u64::from(*wait), bytes))
    })
}

/// What a front end says to the gateway's port of lines.
///
/// # Panics
/// If the port goes on for ever.
pub fn line(data: &[u8]) {
    let (Ok(id), Ok(subscribed)) = ("street".parse(), "12".parse()) else {
        return;
    };
    let Ok(profile) = profile_named("vizit-matrix") else {
        return;
    };
    let street = FrontEndLine {
        line: id,
        params: LineParams {
            bus: None,
            inputs: LineInputs {
                handset: true,
                ..LineInputs::default()
            },
            mute: false,
            profile: profile.clone(),
            subscribed,
        },
        wiring: Wiring {
            call: 0,
            busy: None,
            floor: None,
            handset: Some(1),
            hook: 0,
            exclude: Some(1),
            mute: Some(2),
            door: Some(0),
        },
    };
    let mut now = Instant::from_nanos(1_000_000_000_000);
    let keys = ReaderInputs::Keys(KeyContact {
        input: 2,
        kinds: KeyKinds {
            cyfral: true,
            ds1990a: true,
            metakom: true,
        },
        pull: Some(3),
        repeat: Duration::ZERO,
    });
    let stripe = ClockDataInputs {
        active_low: true,
        clock: 3,
        data: 4,
        present: None,
    };
    let stripe = ReaderInputs::ClockData(stripe, ClockDataParams::default());
    let readers = [("keys", keys), ("stripe", stripe)]
        .into_iter()
        .filter_map(|(name, inputs)| {
            Some(FrontEndReader {
                inputs,
                lights: ReaderLights::default(),
                reader: name.parse().ok()?,
            })
        });
    let mut port = LinePort::new(now, &[street]).with_readers(now, readers);
    for (wait, bytes) in pieces(data) {
        port.handle_bytes(now, &bytes);
        now = now + Duration::from_millis(1 + wait);
        let mut turns = 0;
        loop {
            while let Some(output) = port.poll_output() {
                if let Output::Fault(text) = output {
                    assert!(!text.is_empty());
                }
            }
            let due = port.poll_timeout();
            if due > now {
                break;
            }
            port.handle_timeout(due.max(now));
            turns += 1;
            assert!(turns < 1_000, "timers without end");
        }
    }
}

/// What a gateway says to both ports of a front end.
///
/// # Panics
/// If an output stays on when nobody speaks any more.
pub fn firmware(data: &[u8]) {
    let mut firmware = Firmware::new(77, 2, 3, 1);
    let mut now_us = 0;
    // doors, then other outputs
    let mut active = [[false; 256]; 2];
    let mut changes = |firmware: &mut Firmware| {
        while let Some(change) = firmware.take_change() {
            match change {
                Change::Door { door, on, .. } => active[0][usize::from(door)] = on,
                Change::Output { output, on, .. } => active[1][usize::from(output)] = on,
                Change::Wire { .. } => {}
            }
        }
        active.iter().flatten().any(|on| *on)
    };
    for (wait, bytes) in pieces(data) {
        let role = if wait & 1 == 0 {
            PortRole::Line
        } else {
            PortRole::Door
        };
        firmware.handle_bytes(now_us, role, &bytes);
        if wait & 2 != 0 {
            firmware.set_input(now_us, u8::from(wait & 4 != 0), wait & 8 != 0);
        }
        now_us += (1 + wait) * 1_000;
        firmware.handle_timeout(now_us);
        let _ = firmware.take_bytes(PortRole::Line);
        let _ = firmware.take_bytes(PortRole::Door);
        changes(&mut firmware);
    }
    firmware.handle_timeout(now_us + 1_000 * u64::from(WATCHDOG_MS));
    assert!(!changes(&mut firmware), "still at work in silence");
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
