//! Edges of a panel line by hand.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use gateway_core::{Bell, Instant, LineSignal};
use gateway_panel::{
    LineInputs, LineParams, MAX_APARTMENT, Output, PanelLine, PulseCounter, RingInput, Tone, Wire,
    parse_edges, picture, profile_named, ring_edges, show_edges,
};
use serde_json::{Value, json};

use super::{Said, input};

pub(super) const DECODE_HELP: &str = "\
Edges are µs,level items, the level 0 or 1, with blanks or new lines between them.

Examples:
  doorline encode panel --profile 4n | doorline decode panel --profile 4n -
  doorline decode panel --profile vizit-matrix 0,1 100000,0 1600000,1";

pub(super) const ENCODE_HELP: &str = "\
Examples:
  doorline encode panel --profile laskomex-digital 12
  doorline encode panel --profile 4n --tone ring";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The panel opens its door.
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
    /// Apartment, 1 to 255, on a line that says whom it rings.
    #[arg(default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=255))]
    apartment: u16,
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
    let mut line = PanelLine::new(LineParams {
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
        RingInput::Burst(_) | RingInput::Level(_) => None,
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
    let mut text = picture(&edges);
    text.push('\n');
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
    if told.is_empty() {
        writeln!(text, "nothing that {} would ring for", args.profile)?;
    }
    let signals: Vec<Value> = told
        .iter()
        .map(|(us, what)| json!({ "at_us": us, "what": what }))
        .collect();
    Ok(Said {
        json: json!({ "profile": args.profile, "edges": edges.len(), "signals": signals, "noise": noise }),
        text,
    })
}

fn us_of(instant: Instant) -> u64 {
    u64::try_from(instant.since(at(0)).as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn encode(args: &Encode) -> anyhow::Result<Said> {
    let profile = profile_named(&args.profile)?;
    let tone = match args.tone {
        What::Opened => Tone::Opened,
        What::Ring => Tone::Ring,
        What::WrongCode => Tone::WrongCode,
    };
    ensure!(
        profile.names_apartments() || tone == Tone::Ring,
        "{} says nothing but that it rings",
        args.profile
    );
    let edges = ring_edges(profile, args.apartment, tone);
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
            edges: vec![edges.to_owned()],
        })
        .expect("edges")
    }

    fn made(profile: &str, tone: What, apartment: u16) -> String {
        let args = Encode {
            profile: profile.to_owned(),
            tone,
            apartment,
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
            profile: "tcs-bus".to_owned(),
            edges: vec!["0,0".to_owned()],
        };
        let error = decode(&args).err().expect("frames").to_string();
        assert!(error.contains("TCS:BUS talks in frames"), "{error}");
    }
}
