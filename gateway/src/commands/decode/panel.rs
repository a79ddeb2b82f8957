//! Edges of a panel line by hand.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use gateway_core::{Bell, Instant, LineSignal};
use gateway_panel::{
    BusAddress, Edge, Frame, FrameNoise, LineInputs, LineParams, MAX_APARTMENT, Output, PanelLine, Profile,
    PulseCounter, RingInput, Tone, Wire, floor_edges, parse_edges, picture, profile_named, recorded,
    ring_edges, show_edges,
};
use serde_json::{Value, json};

use super::{Said, input};

pub(super) const DECODE_HELP: &str = "\
Edges are µs,level items, the level 0 or 1, with blanks or new lines between them.

Examples:
  doorline encode panel --profile 4n | doorline decode panel --profile 4n -
  doorline decode panel --profile vizit-matrix 0,1 100000,0 1600000,1
  doorline encode panel --profile tcs-bus 798906 | doorline decode panel --profile tcs-bus --address 798906 -";

pub(super) const ENCODE_HELP: &str = "\
Examples:
  doorline encode panel --profile laskomex-digital 12
  doorline encode panel --profile 4n --tone ring
  doorline encode panel --profile tcs-bus --tone floor 798906";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Somebody rings at the apartment's own door, on a bus that tells it.
    Floor,
    /// The panel opens its door; on a bus it is told to.
    Opened,
    /// The panel rings.
    Ring,
    /// A wrong code was typed.
    WrongCode,
}

#[derive(Args, Debug)]
pub(super) struct Decode {
    /// Profile of the line; `doorline panel list` shows them.
    #[arg(long)]
    profile: String,
    /// Address or serial number on a bus: what rings it is told. All frames are shown without.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1_048_575))]
    address: Option<u32>,
    /// Door station on a bus that numbers them.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=63))]
    station: u8,
    /// Edges, or - for standard input.
    #[arg(value_name = "EDGES", required = true)]
    edges: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct Encode {
    /// Profile of the line; `doorline panel list` shows them.
    #[arg(long)]
    profile: String,
    /// What the panel says.
    #[arg(long, value_enum, default_value_t = What::Ring)]
    tone: What,
    /// Apartment, 1 to 255, on a line that counts pulses; address or serial number on a bus.
    #[arg(value_name = "NUMBER", default_value_t = 1)]
    number: u32,
}

fn at(us: u64) -> Instant {
    // any beginning, from which differences count
    Instant::from_nanos(1_000_000_000) + Duration::from_micros(us)
}

fn word(signal: LineSignal) -> String {
    match signal {
        LineSignal::BusyOther => "busy".to_owned(),
        LineSignal::Fault => "fault".to_owned(),
        LineSignal::HandsetLifted => "handset lifted".to_owned(),
        LineSignal::HandsetReplaced => "handset replaced".to_owned(),
        LineSignal::Idle => "idle".to_owned(),
        LineSignal::OpenedByPanel => "opened by the panel".to_owned(),
        LineSignal::Ring => "ring".to_owned(),
        LineSignal::RingFor(Bell::Apartment(n)) => format!("ring for apartment {n}"),
        LineSignal::RingFor(Bell::Floor) => "floor call".to_owned(),
        LineSignal::RingStopped => "ring is over".to_owned(),
    }
}

/// What the line's machine makes of edges: for every apartment, as by hand somebody wants to see all of them.
pub(super) fn decode(args: &Decode) -> anyhow::Result<Said> {
    let profile = profile_named(&args.profile)?;
    let edges = parse_edges(&input::text_of(&args.edges)?)?;
    let station = args.station;
    let mut line = PanelLine::new(LineParams {
        bus: args.address.map(|address| BusAddress { address, station }),
        inputs: LineInputs::default(),
        mute: false,
        profile: profile.clone(),
        subscribed: (1..=MAX_APARTMENT).collect(),
    });
    let mut told: Vec<(u64, String)> = Vec::new();
    let mut noise: Vec<Value> = Vec::new();
    let mut drain = |line: &mut PanelLine, us: u64| {
        while let Some(output) = line.poll_output() {
            if let Output::Signal { signal, .. } = output {
                told.push((us, word(signal)));
            }
        }
    };
    let mut counter = match &profile.ring {
        RingInput::PulseCount(input) => Some(PulseCounter::new(*input)),
        RingInput::Burst(_) | RingInput::Frame(_) | RingInput::Level(_) => None,
    };
    let (first, rest) = edges.split_first().context("edges")?;
    line.begin(at(first.at_us), Wire::Call, first.level);
    if let Some(counter) = &mut counter {
        let _ = counter.handle_edge(at(first.at_us), first.level);
    }
    for edge in rest {
        while let Some(due) = line.poll_timeout().filter(|due| *due <= at(edge.at_us)) {
            line.handle_timeout(due);
            drain(&mut line, us_of(due));
        }
        line.handle_edge(at(edge.at_us), Wire::Call, edge.level);
        drain(&mut line, edge.at_us);
        if let Some(Err(why)) = counter
            .as_mut()
            .map(|c| c.handle_edge(at(edge.at_us), edge.level))
        {
            noise.push(json!({ "at_us": edge.at_us, "why": format!("{why:?}") }));
        }
    }
    let end = at(edges.last().map_or(0, |edge| edge.at_us)) + Duration::from_secs(20);
    while let Some(due) = line.poll_timeout().filter(|due| *due <= end) {
        line.handle_timeout(due);
        drain(&mut line, us_of(due));
    }
    let frames = frames(profile, &edges, &mut noise);
    let mut text = picture(&edges);
    text.push('\n');
    for found in &frames {
        writeln!(
            text,
            "{:>12} µs  frame {}: {}",
            found["at_us"],
            found["frame"].as_str().unwrap_or_default(),
            found["what"].as_str().unwrap_or_default()
        )?;
    }
    for (us, what) in &told {
        writeln!(text, "{us:>12} µs  {what}")?;
    }
    for found in noise.iter().take(20) {
        writeln!(
            text,
            "{:>12} µs  no command: {}",
            found["at_us"],
            found["why"].as_str().unwrap_or_default()
        )?;
    }
    if told.is_empty() && (frames.is_empty() || args.address.is_some()) {
        writeln!(text, "nothing that {} would ring for", args.profile)?;
    }
    let signals: Vec<Value> = told
        .iter()
        .map(|(us, what)| json!({ "at_us": us, "what": what }))
        .collect();
    Ok(Said {
        json: json!({ "profile": args.profile, "edges": edges.len(), "signals": signals, "frames": frames, "noise": noise }),
        text,
    })
}

/// What a frame means on such a line.
fn meaning(profile: &Profile, frame: Frame) -> String {
    let Some(input) = profile.frame_input() else {
        return String::new();
    };
    let call = input.call.iter().map(|call| ("call", *call));
    let floor = input.floor.map(|floor| ("floor call", floor));
    let open = profile
        .door
        .and_then(|door| door.frame)
        .map(|open| ("open", open));
    let mut known = call.chain(floor).chain(open);
    let found = known.find_map(|(what, pattern)| Some((what, pattern, pattern.read(frame)?)));
    found.map_or_else(
        || "nothing that this profile knows".to_owned(),
        |(what, pattern, to)| {
            if pattern.has_station() {
                format!("{what}, address {}, station {}", to.address, to.station)
            } else if pattern.has_address() {
                format!("{what}, address {}", to.address)
            } else {
                what.to_owned()
            }
        },
    )
}

/// Every frame of a bus, for whomever it is; what is none is noise.
fn frames(profile: &Profile, edges: &[Edge], noise: &mut Vec<Value>) -> Vec<Value> {
    let Some(input) = profile.frame_input() else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (at_us, found) in recorded(input.coding, input.idle, edges) {
        match found {
            Ok(frame) => all.push(json!({
                "at_us": at_us,
                "bits": frame.bits,
                "frame": frame.to_string(),
                "what": meaning(profile, frame),
            })),
            Err(FrameNoise::Check(frame)) => {
                noise.push(json!({ "at_us": at_us, "why": format!("the check of frame {frame} is wrong") }));
            }
            Err(FrameNoise::Telegram { bytes }) => {
                noise.push(json!({ "at_us": at_us, "why": format!("{bytes} bytes are no telegram") }));
            }
            Err(why) => noise.push(json!({ "at_us": at_us, "why": format!("{why:?}") })),
        }
    }
    all
}

fn us_of(instant: Instant) -> u64 {
    u64::try_from(instant.since(at(0)).as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn encode(args: &Encode) -> anyhow::Result<Said> {
    let profile = profile_named(&args.profile)?;
    let bus = profile.frame_input().is_some();
    let says = match args.tone {
        What::Floor => bus,
        What::Opened => bus || profile.names_apartments(),
        What::Ring => true,
        What::WrongCode => profile.names_apartments(),
    };
    ensure!(says, "{} says nothing of that kind", args.profile);
    let edges = match args.tone {
        What::Floor => floor_edges(profile, args.number),
        What::Opened => ring_edges(profile, args.number, Tone::Opened),
        What::Ring => ring_edges(profile, args.number, Tone::Ring),
        What::WrongCode => ring_edges(profile, args.number, Tone::WrongCode),
    };
    ensure!(
        !edges.is_empty(),
        "{} has no such call for {}: apartments are 1 to 255, and addresses as many as its frames can name",
        args.profile,
        args.number
    );
    Ok(Said {
        json: json!({ "edges": edges.iter().map(|e| json!([e.at_us, u8::from(e.level)])).collect::<Vec<_>>() }),
        text: show_edges(&edges),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(profile: &str, edges: &str) -> Said {
        decode(&Decode {
            profile: profile.to_owned(),
            address: None,
            station: 0,
            edges: vec![edges.to_owned()],
        })
        .expect("edges")
    }

    fn made(profile: &str, tone: What, number: u32) -> String {
        let args = Encode {
            profile: profile.to_owned(),
            tone,
            number,
        };
        encode(&args).expect("edges").text
    }

    #[test]
    fn what_a_panel_says_comes_back() {
        let count = said("laskomex-digital", &made("laskomex-digital", What::Ring, 73));
        assert_eq!(count.json["signals"][0]["what"], "ring for apartment 73");
        let opened = said("laskomex-digital", &made("laskomex-digital", What::Opened, 73));
        assert_eq!(opened.json["signals"][0]["what"], "opened by the panel");
        let level = said("vizit-matrix", "0,1 100000,0 1600000,1");
        assert_eq!(
            level.json["signals"][0],
            json!({ "at_us": 150_000, "what": "ring" })
        );
        assert!(level.text.contains("ring is over"), "{}", level.text);
    }

    #[test]
    fn what_is_nothing_says_why() {
        let noise = said("laskomex-digital", "0,0 200000,1 204000,0 204500,1");
        assert_eq!(noise.json["noise"][0]["why"], "Long(500)");
        assert!(
            noise
                .text
                .contains("nothing that laskomex-digital would ring for"),
            "{}",
            noise.text
        );
        let args = Decode {
            profile: "urmet-2voice".to_owned(),
            address: None,
            station: 0,
            edges: vec!["0,0".to_owned()],
        };
        let error = decode(&args).err().expect("frames").to_string();
        assert!(error.contains("Urmet 2Voice talks in frames"), "{error}");
        let args = Encode {
            profile: "laskomex-digital".to_owned(),
            tone: What::Ring,
            number: 256,
        };
        let error = encode(&args).err().expect("no apartment").to_string();
        assert!(error.contains("apartments are 1 to 255"), "{error}");
    }

    #[test]
    fn frames_of_a_bus_are_shown_for_whomever_they_are() {
        let edges = made("tcs-bus", What::Ring, 0xC30BA);
        let all = said("tcs-bus", &edges);
        assert_eq!(all.json["frames"][0]["frame"], "0c30ba80");
        assert_eq!(all.json["frames"][0]["what"], "call, address 798906, station 0");
        assert_eq!(all.json["signals"], json!([]));
        let ours = decode(&Decode {
            profile: "tcs-bus".to_owned(),
            address: Some(0xC30BA),
            station: 0,
            edges: vec![edges.clone()],
        })
        .expect("edges");
        assert_eq!(ours.json["signals"][0]["what"], "ring");
        let floor = said(
            "comelit-simplebus-2",
            &made("comelit-simplebus-2", What::Floor, 12),
        );
        assert_eq!(floor.json["frames"][0]["what"], "floor call, address 12");
        let open = said(
            "comelit-simplebus-1",
            &made("comelit-simplebus-1", What::Opened, 12),
        );
        assert_eq!(open.json["frames"][0]["what"], "open, address 12");
        // a bus of Comelit makes nothing of a frame of TCS
        let other = said("comelit-simplebus-1", &edges);
        assert_eq!(other.json["frames"], json!([]));
        // a symbol that is too long
        let broken = edges.replacen("106000,", "107200,", 1);
        assert_ne!(broken, edges);
        let noise = said("tcs-bus", &broken);
        assert_eq!(noise.json["frames"], json!([]), "{}", noise.text);
    }
}
