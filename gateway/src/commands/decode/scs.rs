//! Telegrams of BTicino SCS by hand.

use std::fmt::Write as _;

use anyhow::ensure;
use clap::Args;
use gateway_panel::{
    Coding, Scs, ScsTelegram, bytes_of_pulses, edges_of_bytes, parse_edges, scs_telegrams, show_edges,
};
use serde_json::{Value, json};

use super::{Said, input};

pub(super) const DECODE_HELP: &str = "\
Data is hexadecimal digits, with or without spaces, colons or dashes, or edges as µs,level of the wires behind a comparator, the
level of the free bus first. What a telegram of an intercom does differs from house to house: docs/wiring/scs-and-welcome.md.

Examples:
  doorline decode scs a8 48 40 12 00 1a a3 a5
  doorline encode scs b8 62 12 09 --edges | doorline decode scs --json -";

pub(super) const ENCODE_HELP: &str = "\
Examples:
  doorline encode scs b1 00 12 01            # to, from, kind, command; begin, check and end are put around them
  doorline encode scs --edges b1 00 12 01";

#[derive(Args, Debug)]
pub(super) struct Decode {
    /// Hexadecimal digits, edges, or - for standard input.
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct Encode {
    /// Bytes between begin and check, hexadecimal: to whom, from whom, kind, command; up to 13 of a longer telegram.
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
    /// Print the pulses as edges.
    #[arg(long)]
    edges: bool,
}

pub(super) fn decode(args: &Decode) -> anyhow::Result<Said> {
    let text = input::text_of(&args.data)?;
    let (bytes, beside) = if text.split_whitespace().all(|word| word.contains(',')) {
        bytes_of_pulses(Coding::Scs, &parse_edges(&text)?)
    } else {
        (input::hex_bytes(&text)?, Vec::new())
    };
    let (mut said, mut all) = (String::new(), Vec::new());
    for found in scs_telegrams(&bytes) {
        match found {
            Scs::Noise(bytes) => {
                let hex = input::hex(&bytes);
                let _ = writeln!(said, "no telegram: {hex}");
                all.push(json!({ "noise": hex }));
            }
            Scs::Taken => {
                said += "a5: taken\n";
                all.push(json!({ "taken": true }));
            }
            Scs::Telegram(telegram) => {
                let _ = writeln!(said, "{telegram}: {}", words(&telegram));
                all.push(object(&telegram));
            }
        }
    }
    for us in &beside {
        let _ = writeln!(
            said,
            "{us:>12} µs  a pulse beside the raster of 9600 bits per second"
        );
    }
    ensure!(
        !all.is_empty(),
        "nothing is in it: bytes, or pulses of about 35 µs"
    );
    Ok(Said {
        json: json!({ "beside_us": beside, "telegrams": all }),
        text: said,
    })
}

fn words(telegram: &ScsTelegram) -> String {
    match telegram.fields() {
        Some([to, from, kind, command]) => {
            let word = ScsTelegram::kind_word(kind).map_or(String::new(), |word| format!(" ({word})"));
            format!("to {to:02x}, from {from:02x}, kind {kind:02x}{word}, command {command:02x}; check right")
        }
        None => format!("{} bytes of a longer telegram; check right", telegram.data.len()),
    }
}

fn object(telegram: &ScsTelegram) -> Value {
    let hex = input::hex(&telegram.encode());
    match telegram.fields() {
        Some([to, from, kind, command]) => json!({
            "command": command, "from": from, "kind": kind, "telegram": hex, "to": to,
        }),
        None => json!({ "telegram": hex }),
    }
}

pub(super) fn encode(args: &Encode) -> anyhow::Result<Said> {
    let data = input::hex_bytes(&args.data.join(" "))?;
    ensure!(
        (4..=13).contains(&data.len()),
        "{} bytes: a telegram has 4 between begin and check, or up to 13",
        data.len()
    );
    let telegram = ScsTelegram { data };
    let edges = show_edges(&edges_of_bytes(Coding::Scs, &telegram.encode()));
    Ok(Said {
        json: json!({ "edges": edges.trim(), "telegram": input::hex(&telegram.encode()) }),
        text: if args.edges {
            edges
        } else {
            format!("{telegram}\n")
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(data: &str) -> anyhow::Result<Said> {
        let data = vec![data.to_owned()];
        decode(&Decode { data })
    }

    #[test]
    fn a_telegram_is_said_in_words_from_bytes_and_from_edges() {
        let of_bytes = said("A8 B8 62 12 09 C1 A3 A5").expect("heard on a bus").text;
        assert!(
            of_bytes
                .contains("to b8, from 62, kind 12 (command or state), command 09; check right\na5: taken"),
            "{of_bytes}"
        );
        let data = vec!["b8".into(), "62".into(), "12".into(), "09".into()];
        let made = encode(&Encode { data, edges: true }).expect("a telegram");
        let of_edges = said(&made.text).expect("edges");
        assert_eq!(of_edges.json["telegrams"][0]["command"], 9);
        assert_eq!(of_edges.json["beside_us"], json!([]));
        assert!(
            said("a8 b8 62 12 09 c2 a3")
                .expect("said")
                .text
                .starts_with("no telegram: ")
        );
        assert!(said("0,1").is_err() && said("x").is_err());
        assert!(
            encode(&Encode {
                data: vec!["b8".into()],
                edges: false
            })
            .is_err()
        );
    }
}
