//! Frames of serial and USB relay boards by hand.

use std::fmt::Write as _;

use adapter_hid_relay::{RELAYS, Status, order};
use adapter_serial_relay::{Answer, Board, FRAME_BYTES, Family, Frame};
use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Said, input};

pub(super) const DECODE_HELP: &str = "\
Data is hexadecimal digits as they go over the line, of a USB-HID board the 9 bytes of a feature report, or a line of text of a
Numato module. Everything that it can be is told: the same bytes mean something to boards of several makers.

Examples:
  doorline decode relay a0 01 01 a2
  doorline decode relay ff 01 01
  doorline decode relay relay on 0
  doorline decode relay --json 00 ff 01 00 00 00 00 00 00";

pub(super) const ENCODE_HELP: &str = "\
Examples:
  doorline encode relay lcus1 1 on
  doorline encode relay numato 0 read
  doorline encode relay dcttech 2 off";

#[derive(Args, Debug)]
pub(super) struct Decode {
    /// Hexadecimal digits, a line of text, or - for standard input.
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Make {
    /// USB-HID boards of DCTTECH.
    Dcttech,
    /// KMTronic with 1 or 2 relays.
    Kmtronic,
    /// KMTronic with 4 or 8 relays.
    Kmtronic8,
    /// LCUS-1 and its sisters.
    Lcus1,
    /// Numato.
    Numato,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Switch it off.
    Off,
    /// Switch it on.
    On,
    /// Ask for its level.
    Read,
}

#[derive(Args, Debug)]
pub(super) struct Encode {
    /// Family of the board.
    make: Make,
    /// Relay as printed on the board.
    relay: u16,
    /// What is wanted of it.
    what: What,
}

/// The serial boards that differ in what they say.
const BOARDS: [(Make, Board); 4] = [
    (Make::Lcus1, board(Family::Lcus1, 8)),
    (Make::Kmtronic, board(Family::Kmtronic, 2)),
    (Make::Kmtronic8, board(Family::Kmtronic, 8)),
    (Make::Numato, board(Family::Numato, 32)),
];

const fn board(family: Family, relays: u16) -> Board {
    Board { family, relays }
}

impl Make {
    const fn word(self) -> &'static str {
        match self {
            Self::Dcttech => "dcttech",
            Self::Kmtronic => "kmtronic, 1 or 2 relays",
            Self::Kmtronic8 => "kmtronic, 4 or 8 relays",
            Self::Lcus1 => "lcus1",
            Self::Numato => "numato",
        }
    }
}

/// What bytes can be: of which family, what it is, and more of it.
type Can = (Make, &'static str, String);

pub(super) fn decode(args: &Decode) -> anyhow::Result<Said> {
    let text = input::text_of(&args.data)?;
    // a module echoes what it was told, and ends with its prompt
    let bytes = match text.trim_start().strip_prefix("relay ") {
        Some(_) => format!("{}\r", text.trim()).replace(">\r", ">").into_bytes(),
        None => input::hex_bytes(&text)?,
    };
    let mut all = serial(&bytes);
    all.extend(hid(&bytes));
    if all.is_empty() {
        match <[u8; FRAME_BYTES]>::try_from(&bytes[..]).map(Frame::decode) {
            Ok(Err(error)) if bytes.first() == Some(&0xA0) => bail!("of an LCUS board: {error}"),
            Ok(_) | Err(_) => bail!(
                "{} bytes are nothing that a board of LCUS-1, KMTronic, Numato or DCTTECH is told or says",
                bytes.len()
            ),
        }
    }
    let mut said = String::new();
    let mut json = Vec::new();
    for (make, kind, what) in &all {
        let _ = writeln!(said, "{}: {kind}, {what}", make.word());
        json.push(json!({ "family": make.word(), "kind": kind, "what": what }));
    }
    Ok(Said {
        json: json!({ "fits": json }),
        text: said,
    })
}

const fn level(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// What the boards' own coder makes of each order and question is compared with it; answers are read by their decoder.
fn serial(bytes: &[u8]) -> Vec<Can> {
    let mut all = Vec::new();
    for (make, board) in BOARDS {
        let (first, last) = board.channels();
        for relay in first..=last {
            for on in [true, false] {
                if board.order(relay, on).is_ok_and(|order| order == bytes) {
                    all.push((make, "order", format!("relay {relay} {}", level(on))));
                }
            }
            if board
                .query(relay)
                .is_ok_and(|query| query.as_deref() == Some(bytes))
            {
                let whose = if make == Make::Kmtronic8 {
                    "levels of all relays".to_owned()
                } else {
                    format!("level of relay {relay}")
                };
                all.push((make, "question", whose));
            }
        }
        all.extend(answers(make, board, bytes));
        all.dedup();
    }
    all
}

fn answers(make: Make, board: Board, bytes: &[u8]) -> Option<Can> {
    let of = |board: Board, relay: u16| match board.level(relay, bytes) {
        Answer::Level(on) => Some(on),
        Answer::Done | Answer::More | Answer::Wrong(_) => None,
    };
    let one = |relay: u16| {
        Some((
            make,
            "answer",
            format!("relay {relay} is {}", level(of(board, relay)?)),
        ))
    };
    match make {
        Make::Dcttech | Make::Lcus1 => None,
        Make::Kmtronic => {
            let relay = bytes.get(1).copied().map(u16::from)?;
            let (first, last) = board.channels();
            if (first..=last).contains(&relay) {
                one(relay)
            } else {
                None
            }
        }
        Make::Kmtronic8 => {
            let relays = u16::try_from(bytes.len())
                .ok()
                .filter(|count| matches!(count, 4 | 8))?;
            let board = Board { relays, ..board };
            let levels: Option<Vec<&str>> = (1..=relays).map(|relay| of(board, relay).map(level)).collect();
            Some((
                make,
                "answer",
                format!("relays from 1 on are {}", levels?.join(" ")),
            ))
        }
        Make::Numato => {
            // the module says for which relay it is only by the echo of the question
            let text = String::from_utf8_lossy(bytes);
            let number = text.split_whitespace().nth(2).unwrap_or("it").to_owned();
            Some((
                make,
                "answer",
                format!("relay {number} is {}", level(of(board, 0)?)),
            ))
        }
    }
}

fn hid(bytes: &[u8]) -> Option<Can> {
    for relay in 1..=RELAYS {
        for on in [true, false] {
            if order(relay, on).is_some_and(|report| report == bytes) {
                return Some((Make::Dcttech, "order", format!("relay {relay} {}", level(on))));
            }
        }
    }
    let status = Status::parse(bytes).ok()?;
    let on: Vec<String> = (1..=RELAYS)
        .filter(|relay| status.level(*relay) == Some(true))
        .map(|relay| relay.to_string())
        .collect();
    let on = if on.is_empty() {
        "no relay".to_owned()
    } else {
        format!("relay {}", on.join(", "))
    };
    Some((
        Make::Dcttech,
        "answer",
        format!("board {}, on: {on}", status.id()),
    ))
}

pub(super) fn encode(args: &Encode) -> anyhow::Result<Said> {
    let Encode { make, relay, what } = *args;
    let bytes = match BOARDS.iter().find(|(of, _)| *of == make) {
        None => {
            ensure!(
                what != What::Read,
                "a HID board is asked by a feature report of its own: doorline doctor does"
            );
            order(relay, what == What::On)
                .with_context(|| format!("relay {relay}, allowed are 1 to {RELAYS}"))?
                .to_vec()
        }
        Some((_, board)) => match what {
            What::Off | What::On => board.order(relay, what == What::On)?,
            What::Read => board.query(relay)?.context("this board cannot be asked")?,
        },
    };
    let shown: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut json = json!({ "bytes": input::hex(&bytes), "family": make.word() });
    let mut text = shown.join(" ");
    if make == Make::Numato {
        let line = String::from_utf8_lossy(&bytes).trim().to_owned();
        text = format!("{text}\n{line}");
        json["text"] = Value::String(line);
    }
    Ok(Said {
        json,
        text: format!("{text}\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(data: &str) -> anyhow::Result<Said> {
        decode(&Decode {
            data: vec![data.to_owned()],
        })
    }

    /// Orders of the makers' sheets.
    #[test]
    fn bytes_are_told_with_everything_that_they_can_be() {
        for (data, expected) in [
            ("a0 01 01 a2", "lcus1: order, relay 1 on\n"),
            ("A0-01-00-A1", "lcus1: order, relay 1 off\n"),
            (
                "ff 01 01",
                "kmtronic, 1 or 2 relays: order, relay 1 on\nkmtronic, 1 or 2 relays: answer, relay 1 is on\n\
                 kmtronic, 4 or 8 relays: order, relay 1 on\n",
            ),
            (
                "ff 09 00",
                "kmtronic, 4 or 8 relays: question, levels of all relays\n",
            ),
            (
                "ff 01 03",
                "kmtronic, 1 or 2 relays: question, level of relay 1\n",
            ),
            (
                "01 00 00 01",
                "kmtronic, 4 or 8 relays: answer, relays from 1 on are on off off on\n",
            ),
            ("relay on 0", "numato: order, relay 0 on\n"),
            ("relay off A", "numato: order, relay 10 off\n"),
            ("relay read 3\n\roff\n\r>", "numato: answer, relay 3 is off\n"),
            ("00 ff 01 00 00 00 00 00 00", "dcttech: order, relay 1 on\n"),
            (
                "00 42 49 54 46 54 00 00 05",
                "dcttech: answer, board BITFT, on: relay 1, 3\n",
            ),
        ] {
            assert_eq!(said(data).expect(data).text, expected, "{data}");
        }
        for (data, expected) in [
            ("a0 01 01 a3", "of an LCUS board"),
            ("12 34", "2 bytes are nothing"),
            ("relay dance", "are nothing"),
            ("", "nothing is given"),
        ] {
            let error = said(data).err().expect(data);
            assert!(format!("{error:#}").contains(expected), "{data}: {error:#}");
        }
    }

    #[test]
    fn orders_come_back_as_what_was_ordered() {
        for (make, relay, what, expected) in [
            (Make::Lcus1, 8, What::On, "relay 8 on"),
            (Make::Kmtronic, 2, What::Off, "relay 2 off"),
            (Make::Kmtronic8, 7, What::On, "relay 7 on"),
            (Make::Numato, 31, What::On, "relay 31 on"),
            (Make::Dcttech, 8, What::Off, "relay 8 off"),
            (Make::Numato, 4, What::Read, "level of relay 4"),
        ] {
            let made = encode(&Encode { make, relay, what }).expect("a board has it");
            let read = said(made.json["bytes"].as_str().expect("hex"))
                .expect("known")
                .text;
            assert!(read.contains(expected), "{read}");
        }
        for (make, relay, what) in [
            (Make::Lcus1, 9, What::On),
            (Make::Lcus1, 1, What::Read),
            (Make::Numato, 32, What::On),
            (Make::Dcttech, 0, What::On),
            (Make::Dcttech, 1, What::Read),
        ] {
            assert!(encode(&Encode { make, relay, what }).is_err(), "{make:?} {relay}");
        }
    }
}
