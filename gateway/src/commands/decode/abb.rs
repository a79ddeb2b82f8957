//! Telegrams of ABB-Welcome, which is Busch-Welcome, by hand.

use std::fmt::Write as _;

use anyhow::{Context, ensure};
use clap::Args;
use gateway_panel::{
    Abb, AbbTelegram, Coding, abb_telegrams, bytes_of_pulses, edges_of_bytes, parse_edges, show_edges,
};
use serde_json::{Value, json};

use super::{Said, input};

pub(super) const DECODE_HELP: &str = "\
Data is hexadecimal digits, with or without spaces, colons, dots or dashes, or edges as µs,level of the wires behind a comparator, the
level of the free bus first. What is said to be in a telegram was found out by people who listened to their own bus.

Examples:
  doorline decode abb 55.FF.42.0A.00.01.01.00.01.01.46.01.02.30
  doorline encode abb --kind 0d --to 4001 --from 100c ab cd ef --edges | doorline decode abb --json -";

pub(super) const ENCODE_HELP: &str = "\
Examples:
  doorline encode abb --kind 01 --to 100c --from 2001          # a door station calls indoor station 12
  doorline encode abb --kind 0d --to 4001 --from 100c ab cd ef --edges";

#[derive(Args, Debug)]
pub(super) struct Decode {
    /// Hexadecimal digits, edges, or - for standard input.
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct Encode {
    /// What it is, two hexadecimal digits; 80 and more are answers.
    #[arg(long)]
    kind: String,
    /// To whom: 4 hexadecimal digits, or 6 on a bus whose addresses have three bytes.
    #[arg(long)]
    to: String,
    /// From whom: as many digits.
    #[arg(long)]
    from: String,
    /// What tells it from the telegram before, 0 to 255.
    #[arg(long, default_value_t = 0)]
    number: u8,
    /// It is sent again.
    #[arg(long)]
    again: bool,
    /// Bytes that go with it, hexadecimal, at most 15.
    #[arg(value_name = "DATA")]
    data: Vec<String>,
    /// Print the pulses as edges.
    #[arg(long)]
    edges: bool,
}

pub(super) fn decode(args: &Decode) -> anyhow::Result<Said> {
    let text = input::text_of(&args.data)?;
    let (bytes, beside) = if text.split_whitespace().all(|word| word.contains(',')) {
        bytes_of_pulses(Coding::Abb, &parse_edges(&text)?)
    } else {
        // logs of ESPHome have dots between the bytes
        (input::hex_bytes(&text.replace('.', " "))?, Vec::new())
    };
    let (mut said, mut all) = (String::new(), Vec::new());
    for found in abb_telegrams(&bytes) {
        match found {
            Abb::Noise(bytes) => {
                let hex = input::hex(&bytes);
                let _ = writeln!(said, "no telegram: {hex}");
                all.push(json!({ "noise": hex }));
            }
            Abb::Telegram(telegram) => {
                let _ = writeln!(said, "{telegram}: {}", words(&telegram));
                all.push(object(&telegram));
            }
        }
    }
    for us in &beside {
        let _ = writeln!(said, "{us:>12} µs  a pulse beside the raster of 102 µs");
    }
    ensure!(
        !all.is_empty(),
        "nothing is in it: bytes, or pulses of about 32 µs"
    );
    Ok(Said {
        json: json!({ "beside_us": beside, "telegrams": all }),
        text: said,
    })
}

fn address(telegram: &AbbTelegram, of: u32) -> String {
    let digits = if telegram.wide { 6 } else { 4 };
    format!("{of:0digits$x}")
}

/// What it is, in words.
fn what(telegram: &AbbTelegram) -> String {
    let word = AbbTelegram::kind_word(telegram.kind).unwrap_or("nothing that is known");
    if telegram.is_answer() {
        format!("answer to {word}")
    } else {
        word.to_owned()
    }
}

fn words(telegram: &AbbTelegram) -> String {
    let (to, from) = (address(telegram, telegram.to), address(telegram, telegram.from));
    let again = if telegram.again { ", sent again" } else { "" };
    let data = if telegram.data.is_empty() {
        String::new()
    } else {
        format!(", data {}", input::hex(&telegram.data))
    };
    format!(
        "kind {:02x} ({}), to {to}, from {from}, number {}{data}{again}; check right",
        telegram.kind,
        what(telegram),
        telegram.number
    )
}

fn object(telegram: &AbbTelegram) -> Value {
    json!({
        "again": telegram.again,
        "data": input::hex(&telegram.data),
        "from": address(telegram, telegram.from),
        "kind": telegram.kind,
        "number": telegram.number,
        "telegram": input::hex(&telegram.encode()),
        "to": address(telegram, telegram.to),
        "what": what(telegram),
    })
}

/// Digits of an address, and whether it has three bytes.
fn addressed(text: &str) -> anyhow::Result<(u32, bool)> {
    let plain = matches!(text.len(), 4 | 6) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let shown: String = text.chars().take(20).collect();
    let value = plain.then(|| u32::from_str_radix(text, 16).ok()).flatten();
    let value = value.with_context(|| format!("{shown:?} is no address: 4 or 6 hexadecimal digits"))?;
    Ok((value, text.len() == 6))
}

pub(super) fn encode(args: &Encode) -> anyhow::Result<Said> {
    let ((to, wide), (from, also)) = (addressed(&args.to)?, addressed(&args.from)?);
    ensure!(wide == also, "both addresses have as many digits");
    let kind = input::hex_bytes(&args.kind)?;
    let [kind] = kind[..] else {
        anyhow::bail!("a kind is two hexadecimal digits");
    };
    let data = if args.data.is_empty() {
        Vec::new()
    } else {
        input::hex_bytes(&args.data.join(" "))?
    };
    ensure!(
        data.len() <= 15,
        "{} bytes: a telegram has at most 15",
        data.len()
    );
    let telegram = AbbTelegram {
        again: args.again,
        data,
        from,
        kind,
        number: args.number,
        to,
        wide,
    };
    let edges = show_edges(&edges_of_bytes(Coding::Abb, &telegram.encode()));
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

    fn made(to: &str, data: &[&str], edges: bool) -> anyhow::Result<Said> {
        encode(&Encode {
            kind: "0d".into(),
            to: to.into(),
            from: "100c".into(),
            number: 9,
            again: false,
            data: data.iter().map(|byte| (*byte).to_owned()).collect(),
            edges,
        })
    }

    /// The first line is the log of somebody's bus (Mat931/esp32-doorbell-bus-interface, issue 4).
    #[test]
    fn a_telegram_is_said_in_words_from_bytes_and_from_edges() {
        let heard = said("55.FF.42.8A.00.01.01.00.01.01.46.8B.02.F3")
            .expect("heard on a bus")
            .text;
        assert!(
            heard.contains(
                "kind 8a (answer to call), to 000101, from 000101, number 70, data 8b02; check right"
            ),
            "{heard}"
        );
        let edges = made("4001", &["ab", "cd", "ef"], true).expect("a telegram");
        let read = said(&edges.text).expect("edges");
        assert_eq!(read.json["telegrams"][0]["what"], "open");
        assert_eq!(read.json["telegrams"][0]["data"], "abcdef");
        assert_eq!(read.json["beside_us"], json!([]));
        let wrong = said("55 ff 00 01 10 0c 20 01 00 00").expect("said").text;
        assert!(wrong.starts_with("no telegram: "), "{wrong}");
        assert!(said("0,1").is_err() && said("x").is_err());
        assert!(made("4001", &["00"; 16], false).is_err());
        assert!(made("004001", &[], false).is_err() && made("40", &[], false).is_err());
    }
}
