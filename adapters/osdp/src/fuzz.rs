//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use std::time::Duration;

use adapter_wiegand::WiegandParams;
use gateway_core::{CardFrame, Instant};

use crate::peripheral::{Heard, Out, Peripheral, PeripheralParams, Secrecy};
use crate::{
    Bus, BusParams, Check, Deframer, Event, Key, LONGEST, Output, Packet, PdParams, Security, SecurityBlock,
    Texts,
};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 3] = [
    ("osdp_packet", packet),
    ("osdp_panel", panel),
    ("osdp_reader", reader),
];

const BEGAN: Instant = Instant::from_nanos(1_000_000_000_000);
const ADDRESS: u8 = 5;

/// Bytes of a line, in pieces as long as the first one says.
///
/// # Panics
/// If a packet does not come back when it is written.
pub fn packet(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    if let Ok(packet) = Packet::parse(data) {
        assert_eq!(Packet::parse(&packet.encode()), Ok(packet));
    }
    let mut deframer = Deframer::default();
    let mut bytes = 0;
    for piece in data.chunks(usize::from(*first).max(1)) {
        deframer.push(piece);
        while let Some(found) = deframer.packet() {
            if let Ok(packet) = found {
                bytes += packet.encode().len();
            }
        }
    }
    assert!(bytes <= data.len() + LONGEST, "{bytes} bytes of {}", data.len());
}

/// Random numbers that are the same in each run.
fn counted() -> impl FnMut() -> [u8; 8] + Send + 'static {
    let mut seed = 0_u64;
    move || {
        seed += 1;
        seed.to_be_bytes()
    }
}

/// Pieces behind a control byte and their length.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let ([control, len], rest) = data.split_first_chunk()?;
        let (piece, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        data = rest;
        Some((*control, piece))
    })
}

/// A packet around a piece, whose first byte is its code.
fn packet_of(piece: &[u8], control: u8, sequence: u8, is_reply: bool) -> Vec<u8> {
    let Some((code, data)) = piece.split_first() else {
        return vec![];
    };
    let kind = 0x10 + (control >> 4);
    let security = (control & 8 != 0).then(|| SecurityBlock {
        kind,
        data: vec![control >> 2 & 1],
    });
    let mac = security
        .as_ref()
        .is_some_and(SecurityBlock::has_mac)
        .then_some([0; 4]);
    let packet = Packet {
        address: ADDRESS,
        is_reply,
        sequence,
        check: Check::Crc,
        security,
        code: *code,
        data: data.to_vec(),
        mac,
    };
    packet.encode()
}

/// What stands on a line with a reader of ours: answers to what was asked, or bytes as they are if the first bit of their
/// control byte is set. The first byte says whether the reader has a key.
///
/// # Panics
/// If a reader with a key has shown a card to somebody who does not have it, or a card fits no format.
pub fn panel(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let keyed = first & 1 == 1;
    let cards = WiegandParams::default();
    let formats = cards.formats.clone();
    let key = Key::new([9; 16]);
    let security = if keyed {
        Security::Keyed { key, old: None }
    } else {
        Security::Clear
    };
    let params = BusParams {
        baud: 9_600,
        readers: vec![PdParams {
            address: ADDRESS,
            cards,
            inputs: true,
            security,
            texts: Texts::default(),
        }],
    };
    let mut now = BEGAN;
    let mut bus = Bus::new(params, now, counted());
    let mut asked = 0;
    for (control, piece) in pieces(data) {
        // until it asks again, or not at all
        for _ in 0..50 {
            let mut sent = false;
            while let Some(output) = bus.poll_output() {
                match output {
                    Output::Send(bytes) => {
                        sent = true;
                        asked = Packet::parse(&bytes).map_or(asked, |packet| packet.sequence);
                    }
                    Output::Event { event, .. } => shown(&event, keyed, &formats),
                }
            }
            let Some(due) = bus.poll_timeout().filter(|_| !sent) else {
                break;
            };
            now = now.max(due);
            bus.handle_timeout(now);
        }
        now = now + Duration::from_millis(10);
        if control & 1 == 1 {
            bus.handle_input(now, piece);
        } else {
            bus.handle_input(now, &packet_of(piece, control, asked, true));
        }
    }
    while let Some(output) = bus.poll_output() {
        if let Output::Event { event, .. } = output {
            shown(&event, keyed, &formats);
        }
    }
}

fn shown(event: &Event, keyed: bool, formats: &[gateway_card::Format]) {
    match event {
        Event::Card(frame) => {
            assert!(!keyed, "a card of somebody without the key");
            assert!(formats.iter().any(|f| f.fits(frame)), "{frame:?}");
        }
        Event::Key(key) => assert!(!keyed && "0123456789*#".contains(*key), "{key}"),
        Event::KeyTaken => panic!("a key was taken by somebody who does not have it"),
        Event::Errand(_)
        | Event::Fault(_)
        | Event::Identity(_)
        | Event::Inputs { .. }
        | Event::InputsGone
        | Event::Output { .. }
        | Event::Misread { .. }
        | Event::Raw(_)
        | Event::Ready => {}
    }
}

/// What somebody else's panel says to a reader of ours: commands, or bytes as they are if the first bit of their control
/// byte is set. The first byte says whether the reader has a key, has none, or waits for one.
///
/// # Panics
/// If a reader with a key shows a card to a stranger, or it speaks without being asked.
pub fn reader(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let key = Secrecy::Key {
        key: Key::new([9; 16]),
        changes: true,
    };
    let secrecy = [Secrecy::Clear, Secrecy::Install, key][usize::from(*first) % 3].clone();
    let clear = secrecy == Secrecy::Clear;
    let keyed = matches!(secrecy, Secrecy::Key { .. });
    let params = PeripheralParams {
        address: ADDRESS,
        baud: 9_600,
        secrecy,
        serial: 7,
    };
    let card = CardFrame {
        bits: 26,
        data: vec![0xBD, 0x88, 0xEB, 0x80],
    };
    let mut reader = Peripheral::new(params, counted());
    let mut now = BEGAN;
    for (n, (control, piece)) in pieces(data).enumerate() {
        let _ = reader.card(now, &card);
        let _ = reader.keys(now, "12#");
        let bytes = if control & 1 == 1 {
            piece.to_vec()
        } else {
            let sequence = if n == 0 {
                0
            } else {
                u8::try_from((n - 1) % 3 + 1).unwrap_or(1)
            };
            packet_of(piece, control, sequence, false)
        };
        reader.handle_input(now, &bytes);
        let mut answers = 0;
        while let Some(out) = reader.poll_output() {
            match out {
                Out::Send(bytes) => {
                    answers += 1;
                    let answer = Packet::parse(&bytes).expect("what we say is a packet");
                    assert!(clear || !matches!(answer.code, 0x50 | 0x53), "{answer:?}");
                }
                Out::Heard(Heard::Key(key)) => {
                    assert!(!keyed, "a key of somebody who does not have the old one");
                    reader.kept(now, key);
                }
                Out::Heard(heard) => {
                    let secret = matches!(
                        heard,
                        Heard::Light(_) | Heard::Delivered | Heard::Text(_) | Heard::Beep(_)
                    );
                    assert!(clear || !secret, "{heard:?}");
                }
            }
        }
        assert!(
            answers <= bytes.len() / 7,
            "{answers} answers to {} bytes",
            bytes.len()
        );
        now = now + Duration::from_millis(20);
        reader.handle_timeout(now);
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
