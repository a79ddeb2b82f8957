//! Frames of intercom buses by hand: TCS:BUS and Comelit Simplebus.

use std::fmt::Write as _;

use anyhow::{Context, bail, ensure};
use clap::Args;
use gateway_panel::{Coding, Edge, Frame, FrameNoise, Polarity, parse_edges, recorded, show_edges};
use serde_json::{Value, json};

use super::{Said, input};

pub(super) const TCS_HELP: &str = "\
Data is one of:
  1c30ba80                       8 hexadecimal digits are a frame of 32 bits, 4 one of 16
  32:1c30ba80                    bit count and number
  11000011...                    34 or 18 bits as they go over the wires: length, data, parity
  0,1 100000,0 106000,1 ...      edges: µs,level
  -                              the same from standard input

Examples:
  doorline decode tcs 0c30ba80
  doorline decode tcs 1100 --json
  doorline encode tcs 1c30ba80 | doorline decode tcs -";

pub(super) const SIMPLEBUS_HELP: &str = "\
Data is one of:
  000010001100001100             18 bits as they go over the wires: command, address and check, each lowest bit first
  0,1 100000,0 103000,1 ...      edges: µs,level; those of Simplebus 2 behind a detector of its carrier
  -                              the same from standard input

Examples:
  doorline decode simplebus 000010001100001100
  doorline encode simplebus --command 16 --address 12 | doorline decode simplebus -";

#[derive(Args, Debug)]
pub(super) struct Decode {
    /// Frames, bits, edges, or - for standard input.
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct EncodeTcs {
    /// Frame: 4 or 8 hexadecimal digits.
    frame: String,
}

#[derive(Args, Debug)]
pub(super) struct EncodeSimplebus {
    /// Command, 0 to 63; 48 calls, 16 opens.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=63))]
    command: u8,
    /// Address of a handset, 0 to 255.
    #[arg(long)]
    address: u8,
}

/// Which bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bus {
    Simplebus,
    Tcs,
}

impl Bus {
    const fn coding(self) -> Coding {
        match self {
            Self::Simplebus => Coding::Simplebus,
            Self::Tcs => Coding::Tcs,
        }
    }
}

pub(super) fn decode_tcs(args: &Decode) -> anyhow::Result<Said> {
    decode(args, Bus::Tcs)
}

pub(super) fn decode_simplebus(args: &Decode) -> anyhow::Result<Said> {
    decode(args, Bus::Simplebus)
}

/// What the decoder of lines makes of it.
fn decode(args: &Decode, coding: Bus) -> anyhow::Result<Said> {
    let text = input::text_of(&args.data)?;
    let is_edges = text.split_whitespace().all(|word| word.contains(','));
    let (mut said, mut frames, mut noise) = (String::new(), Vec::new(), Vec::new());
    let found = if is_edges {
        read(&parse_edges(&text)?, coding)
    } else {
        let words: Vec<&str> = text.split_whitespace().collect();
        ensure!(
            !words.is_empty(),
            "nothing is given: a frame, bits, or edges as µs,level"
        );
        let one = |word: &&str| Ok((None, written(word, coding)?));
        words.iter().map(one).collect::<anyhow::Result<_>>()?
    };
    for (at, found) in found {
        let when = at.map_or(String::new(), |us| format!("{us:>12} µs  "));
        match found {
            Ok(frame) => {
                let what = meaning(frame, coding);
                let _ = writeln!(said, "{when}{frame} ({} bits): {what}", frame.bits);
                frames.push(
                    json!({ "at_us": at, "bits": frame.bits, "frame": frame.to_string(), "what": what }),
                );
            }
            Err(why) => {
                let _ = writeln!(said, "{when}no frame: {why}");
                noise.push(json!({ "at_us": at, "why": why }));
            }
        }
    }
    if frames.is_empty() && noise.is_empty() {
        bail!("no frame of this bus is in it; its level has to be that of a free bus at the begin");
    }
    Ok(Said {
        json: json!({ "frames": frames, "noise": noise }),
        text: said,
    })
}

/// A frame, or why it is none, and when it was whole.
type Found = (Option<u64>, Result<Frame, String>);

/// Everything in edges, on a bus that is high while it is free.
fn read(edges: &[Edge], coding: Bus) -> Vec<Found> {
    let said = |said| match said {
        Ok(frame) => Ok(frame),
        Err(FrameNoise::Check(frame)) => Err(format!("the check of {frame} is wrong")),
        Err(FrameNoise::Time(us)) => Err(format!("{us} µs are no bit")),
        Err(_) => Err("noise".to_owned()),
    };
    recorded(coding.coding(), Polarity::High, edges)
        .into_iter()
        .map(|(at, found)| (Some(at), said(found)))
        .collect()
}

/// A frame as people write it.
fn written(word: &str, coding: Bus) -> anyhow::Result<Result<Frame, String>> {
    let shown: String = word.chars().take(60).collect();
    let is_bits = word.chars().all(|c| matches!(c, '0' | '1'));
    match coding {
        Bus::Simplebus => {
            ensure!(
                is_bits && word.len() == 18,
                "{shown:?} is no frame of Simplebus: 18 bits, or edges such as 0,1 100000,0"
            );
            Ok(simplebus(&input::plain_bits(word)?))
        }
        Bus::Tcs if is_bits && matches!(word.len(), 18 | 34) => Ok(tcs(&input::plain_bits(word)?)),
        Bus::Tcs => {
            let (bits, digits) = match word.split_once(':') {
                Some((bits, digits)) => (bits.parse().ok(), digits),
                None => (u8::try_from(word.len() * 4).ok(), word),
            };
            let bits: Option<u8> = bits.filter(|bits| coding.coding().has(*bits));
            let value = u128::from_str_radix(digits, 16).ok();
            let value = value.filter(|value| bits.is_some_and(|bits| *value < 1 << bits));
            bits.zip(value)
                .map(|(bits, value)| Ok(Frame { bits, value }))
                .with_context(|| format!("{shown:?} is no frame of TCS: 4 or 8 hexadecimal digits, 18 or 34 bits, or edges such as 0,1 100000,0"))
        }
    }
}

/// The highest bit first.
fn number(bits: &[bool]) -> u128 {
    bits.iter().fold(0, |all, one| all << 1 | u128::from(*one))
}

/// Length, data, parity.
fn tcs(bits: &[bool]) -> Result<Frame, String> {
    let [long, data @ .., parity] = bits else {
        return Err("too few bits".to_owned());
    };
    let frame = Frame {
        bits: if *long { 32 } else { 16 },
        value: number(data),
    };
    if data.len() != usize::from(frame.bits) {
        return Err(format!(
            "the first bit says {} bits, and {} are there",
            frame.bits,
            data.len()
        ));
    }
    let odd = frame.value.count_ones() % 2 == 1;
    if *parity == odd {
        Err(format!("the check of {frame} is wrong"))
    } else {
        Ok(frame)
    }
}

/// Command, address and check, each lowest bit first.
fn simplebus(bits: &[bool]) -> Result<Frame, String> {
    let lowest_first = |from: usize, to: usize| {
        let mut part: Vec<bool> = bits.get(from..to).unwrap_or_default().to_vec();
        part.reverse();
        number(&part)
    };
    let frame = Frame {
        bits: 14,
        value: lowest_first(0, 6) << 8 | lowest_first(6, 14),
    };
    if u128::from(frame.value.count_ones()) == lowest_first(14, 18) {
        Ok(frame)
    } else {
        Err(format!("the check of {frame} is wrong"))
    }
}

/// What a frame is said to mean by those who listened to these buses; see `docs/wiring/bus.md`.
fn meaning(frame: Frame, coding: Bus) -> String {
    match coding {
        Bus::Simplebus => {
            let (command, address) = (frame.value >> 8, frame.value & 0xFF);
            let what = match command {
                16 => "open",
                17 => "handset lifted",
                18 => "handset replaced",
                19 => "call of the concierge",
                20 => "camera on",
                21 => "floor call",
                24 | 26 => "internal call",
                29 => "actuator",
                48 => "call",
                49 => "confirmed",
                50 => "call with picture",
                51 => "light blinks",
                52 => "light blinks no more",
                63 => "clear",
                _ => "nothing that is known",
            };
            format!("command {command}, {what}; address {address}")
        }
        Bus::Tcs if frame.bits == 16 => tcs_short(frame.value),
        Bus::Tcs => tcs_long(frame.value),
    }
}

fn tcs_short(value: u128) -> String {
    let station = value & 0x3F;
    let fits = value & 0xC0 == 0;
    match value >> 8 {
        0x11 if fits => format!("open, station {station}"),
        0x12 if value == 0x1200 => "light".to_owned(),
        0x21 if fits => format!("door is open, station {station}"),
        0x21 if value & 0xC0 == 0x80 => format!("door is shut, station {station}"),
        0x22 => format!("ring is over, {}", value & 0xFF),
        0x24 => format!("door is ready no more, {}", value & 0xFF),
        0x30 if fits => format!("talk is over, internal, {station}"),
        0x30 if value & 0xC0 == 0x80 => format!("talk is over, station {station}"),
        0x50 if value & 0xF0 == 0x40 => format!("programming mode, {}", value & 0xF),
        0x51 if value == 0x5100 => "reset".to_owned(),
        0x52 if value == 0x5200 => "search".to_owned(),
        _ => "nothing that is known".to_owned(),
    }
}

fn tcs_long(value: u128) -> String {
    let (command, serial, low) = (value >> 28, value >> 8 & 0xF_FFFF, value & 0xFF);
    let station = low & 0x3F;
    match (command, low) {
        (0x0, 0x80..=0xBF) => format!("call of serial number {serial}, station {station}"),
        (0x0, 0x00..=0x3F) => format!("internal call of serial number {serial}, {station}"),
        (0x1, 0x41) => format!("floor call of serial number {serial}"),
        (0x1, 0x80..=0xBF) => format!("open by serial number {serial}, station {station}"),
        (0x3, 0x80..=0xBF) => format!("talk begins, serial number {serial}, station {station}"),
        (0x6, _) => format!("control function {low} by serial number {serial}"),
        (_, _) => "nothing that is known".to_owned(),
    }
}

pub(super) fn encode_tcs(args: &EncodeTcs) -> anyhow::Result<Said> {
    match written(&args.frame, Bus::Tcs)? {
        Ok(frame) => edges(frame, Bus::Tcs),
        Err(why) => bail!("{why}"),
    }
}

pub(super) fn encode_simplebus(args: &EncodeSimplebus) -> anyhow::Result<Said> {
    let frame = Frame {
        bits: 14,
        value: u128::from(args.command) << 8 | u128::from(args.address),
    };
    edges(frame, Bus::Simplebus)
}

/// A frame on a bus that was free for long enough, and is free again.
fn edges(frame: Frame, coding: Bus) -> anyhow::Result<Said> {
    let row = coding.coding().row(frame).context("this bus has no such frame")?;
    let mut at_us = 100_000;
    let mut edges = vec![Edge {
        at_us: 0,
        level: true,
    }];
    for (n, us) in row.iter().enumerate() {
        let level = n % 2 == 1;
        edges.push(Edge { at_us, level });
        at_us += u64::from(*us);
    }
    edges.push(Edge { at_us, level: true });
    let text = show_edges(&edges);
    let json: Value = json!({ "edges": text.trim(), "frame": frame.to_string() });
    Ok(Said { json, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(data: &str, coding: Bus) -> anyhow::Result<Said> {
        let data = vec![data.to_owned()];
        decode(&Decode { data }, coding)
    }

    fn what(data: &str, coding: Bus) -> String {
        said(data, coding)
            .unwrap_or_else(|error| panic!("{data}: {error:#}"))
            .json["frames"][0]["what"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// As published by those who listened (AzonInc/Doorman and others; plusvic and others).
    #[test]
    fn frames_mean_what_was_published() {
        for (frame, meaning) in [
            ("0c30ba80", "call of serial number 798906, station 0"),
            ("32:0C30BABF", "call of serial number 798906, station 63"),
            ("1c30ba41", "floor call of serial number 798906"),
            ("1c30ba80", "open by serial number 798906, station 0"),
            ("1100", "open, station 0"),
            ("16:1200", "light"),
            ("2180", "door is shut, station 0"),
            ("5200", "search"),
            ("ffff", "nothing that is known"),
        ] {
            assert_eq!(what(frame, Bus::Tcs), meaning, "{frame}");
        }
        let made = encode_simplebus(&EncodeSimplebus {
            command: 48,
            address: 12,
        })
        .expect("a frame");
        assert_eq!(what(&made.text, Bus::Simplebus), "command 48, call; address 12");
        // 16 is 000010 from its lowest bit on, 12 is 00110000, three ones are 1100
        assert_eq!(
            what("000010001100001100", Bus::Simplebus),
            "command 16, open; address 12"
        );
    }

    #[test]
    fn bits_on_the_wires_and_edges_are_the_same_frame() {
        let made = encode_tcs(&EncodeTcs { frame: "1100".into() }).expect("a frame");
        assert_eq!(what(&made.text, Bus::Tcs), "open, station 0");
        // short, 0001000100000000, two ones and the parity that makes three of them
        assert_eq!(what("000010001000000001", Bus::Tcs), "open, station 0");
        for (wrong, expected, coding) in [
            ("000010001000000000", "check of 1100 is wrong", Bus::Tcs),
            ("100010001000000001", "says 32 bits", Bus::Tcs),
            ("000010001100001101", "check of 100c is wrong", Bus::Simplebus),
        ] {
            let noise = said(wrong, coding).expect("it is said").json["noise"].to_string();
            assert!(noise.contains(expected), "{wrong}: {noise}");
        }
        for (none, coding) in [
            ("12345", Bus::Tcs),
            ("16:12345", Bus::Tcs),
            ("0,1 5000,0", Bus::Tcs),
            ("0101", Bus::Simplebus),
        ] {
            assert!(said(none, coding).is_err(), "{none}");
        }
    }
}
