//! Keypads by hand.

use std::fmt::Write as _;
use std::time::Duration;

use adapter_wiegand::{Keypad, Reading, WiegandParams, burst, read};
use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use gateway_access::{DigitCollector, INTER_DIGIT, KeyUse};
use serde_json::json;

use super::{Said, input};

pub(super) const DECODE_HELP: &str = "\
Data is bursts of 4 or 8 bits, BITS:HEX, or edges as microseconds and wire; see decode wiegand. Bursts count as typed
one right after the other; edges have their own times, and a pause of 3 s ends a code.

Examples:
  doorline decode keypad 0001 0010 0011 1011       # 1 2 3 #
  doorline decode keypad 8:e1 8:d2 8:4b            # 1 2 # with 8 bits a key
  doorline decode keypad --json 0,0 1000,0 2000,0 3000,1";

pub(super) const ENCODE_HELP: &str = "\
Examples:
  doorline encode keypad '123#'
  doorline encode keypad --width 8 '4711#' --json";

#[derive(Args, Debug)]
pub(super) struct Decode {
    /// Bursts, edges, or - for standard input.
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
    /// Silence that ends a burst in an edge list, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=1000))]
    gap_ms: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Width {
    /// Four bits a key.
    #[value(name = "4")]
    Four,
    /// Eight bits a key.
    #[value(name = "8")]
    Eight,
}

#[derive(Args, Debug)]
pub(super) struct Encode {
    /// Keys: 0-9 * #.
    keys: String,
    /// Bits a key.
    #[arg(long, value_enum, default_value_t = Width::Four)]
    width: Width,
}

pub(super) fn decode(args: &Decode) -> anyhow::Result<Said> {
    let frames = input::frames(&input::text_of(&args.data)?, Duration::from_millis(args.gap_ms))?;
    let params = WiegandParams {
        formats: Vec::new(),
        keypad: Keypad::Either,
        ..WiegandParams::default()
    };
    let mut text = String::new();
    let mut bursts = Vec::new();
    // no code is known here, so that `#`, `*`, eight keys or a pause end an entry
    let mut collector = DigitCollector::new(KeyUse::default());
    let mut entries = Vec::new();
    for frame in &frames {
        let bits = input::shown(&frame.bits);
        let made = match read(&params, &frame.bits, frame.damage) {
            Reading::Key(key) => {
                entries.extend(collector.push(frame.at, key, |_| false));
                let _ = writeln!(text, "{bits:8} key {key}");
                json!({ "data": bits, "key": key.to_string() })
            }
            Reading::Misread(reason) => {
                let _ = writeln!(text, "{bits:8} no key: {reason}");
                json!({ "data": bits, "misread": reason.to_string() })
            }
            // no format is known, so that nothing is a card
            Reading::Card(_) => json!({ "data": bits }),
        };
        bursts.push(made);
    }
    let end = frames.last().context("at least one")?.at + INTER_DIGIT;
    entries.extend(collector.handle_timeout(end));
    let codes: Vec<&str> = entries.iter().map(|entry| entry.digits.reveal()).collect();
    for code in &codes {
        let _ = writeln!(text, "code {code}");
    }
    Ok(Said {
        json: json!({ "bursts": bursts, "codes": codes }),
        text,
    })
}

pub(super) fn encode(args: &Encode) -> anyhow::Result<Said> {
    ensure!(!args.keys.is_empty(), "no keys are given: 0-9 * #");
    let width = match args.width {
        Width::Eight => 8,
        Width::Four => 4,
    };
    let bursts = args.keys.chars().map(|key| {
        let bits = burst(key, width).with_context(|| format!("{key:?} is no key; allowed are 0-9 * #"))?;
        Ok(input::shown(&bits))
    });
    let bursts = bursts.collect::<anyhow::Result<Vec<String>>>()?;
    Ok(Said {
        text: format!("{}\n", bursts.join(" ")),
        json: json!({ "bursts": bursts }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(data: &str) -> serde_json::Value {
        let args = Decode {
            data: vec![data.to_owned()],
            gap_ms: 25,
        };
        decode(&args).unwrap_or_else(|error| panic!("{error:#}")).json
    }

    #[test]
    fn keys_and_the_codes_they_make_come_back() {
        for width in [Width::Four, Width::Eight] {
            let keys = "47*11#9".to_owned();
            let made = encode(&Encode { keys, width }).expect("keys");
            assert_eq!(said(made.text.trim())["codes"], json!(["47", "11", "9"]));
        }
        assert_eq!(said("1100 11110001")["bursts"][0]["misread"], "key");
        assert!(
            encode(&Encode {
                keys: "12A".into(),
                width: Width::Four
            })
            .is_err()
        );
    }

    #[test]
    fn a_pause_between_edges_ends_a_code() {
        // 1, then 2 after 4 s
        let edges = "0,0 1000,0 2000,0 3000,1 4000000,0 4001000,0 4002000,1 4003000,0";
        assert_eq!(said(edges)["codes"], json!(["1", "2"]));
    }
}
