//! Wiegand cards by hand.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use adapter_wiegand::{Frame, Keypad, Reading, WiegandParams, read};
use anyhow::{Context, bail, ensure};
use clap::Args;
use gateway_card::{Field, Fields, Format, bits_of, format_named, formats, frame_of};
use gateway_core::CardFrame;
use serde_json::{Map, Value, json};

use super::{Said, input};
use crate::commands::site;
use crate::run::readers::site_formats;

pub(super) const DECODE_HELP: &str = "\
Data is one of:
  10111101100010001110101110     bits in the order of transmission; _ may stand between them
  26:2f623ae                     bit count and number (hexadecimal), as other tools print it
  26:hex:bd88eb8                 bit count and left-aligned digits, as the site file has it
  0,1 1000,0 2000,1 ...          edges: microseconds and wire (0 or 1) of the beginning of each pulse
  -                              the same from standard input

Examples:
  doorline decode wiegand 26:2f623ae
  doorline decode wiegand --config /etc/doorline/site.toml 20:8a31c   # with the formats of the site
  doorline decode wiegand --formats                                 # every format and its masks' lengths
  scope-export | doorline decode wiegand --json -";

pub(super) const ENCODE_HELP: &str = "\
Examples:
  doorline encode wiegand --format h10301 --facility 123 --number 4567
  doorline encode wiegand --format c1k48s --facility 42 --number 69 --json
  doorline encode wiegand --format h10302 --number 123456789 --edges-us 1000";

#[derive(Args, Debug)]
pub(super) struct Decode {
    /// Bits, BITS:HEX, edges, or - for standard input.
    #[arg(value_name = "DATA", required_unless_present = "formats")]
    data: Vec<String>,
    /// List the formats and stop.
    #[arg(long, conflicts_with = "data")]
    formats: bool,
    /// Silence that ends a frame in an edge list, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=1000))]
    gap_ms: u64,
    /// Site file whose card formats count, too.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Encode {
    /// Format by name; see decode wiegand --formats.
    #[arg(short, long)]
    format: String,
    /// Card number.
    #[arg(short, long)]
    number: Option<u64>,
    /// Facility or site code.
    #[arg(long)]
    facility: Option<u64>,
    /// Issue level.
    #[arg(long)]
    issue: Option<u64>,
    /// Code of the manufacturer or dealer.
    #[arg(long)]
    manufacturer: Option<u64>,
    /// Print edges with so many microseconds from bit to bit, too.
    #[arg(long, value_name = "US", value_parser = clap::value_parser!(u64).range(200..=20_000))]
    edges_us: Option<u64>,
    /// Site file whose card formats count, too.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The site's formats, then the published ones.
fn known(config: Option<&PathBuf>) -> anyhow::Result<Vec<Format>> {
    let mut known = match config {
        Some(file) => site_formats(&site::load(file)?).collect(),
        None => Vec::new(),
    };
    known.extend(formats().iter().cloned());
    Ok(known)
}

pub(super) fn decode(args: &Decode) -> anyhow::Result<Said> {
    let known = known(args.config.as_ref())?;
    if args.formats {
        return Ok(list(&known));
    }
    let text = input::text_of(&args.data)?;
    let frames = input::frames(&text, Duration::from_millis(args.gap_ms))?;
    let params = WiegandParams {
        formats: known,
        keypad: Keypad::Either,
        ..WiegandParams::default()
    };
    let mut text = String::new();
    let mut json = Vec::new();
    for frame in frames {
        let said = one(&params, &frame)?;
        text += &said.text;
        json.push(said.json);
    }
    Ok(Said {
        json: json!({ "frames": json }),
        text,
    })
}

fn list(known: &[Format]) -> Said {
    let mut text = String::new();
    let mut json = Vec::new();
    for format in known {
        let fields = Field::ALL.into_iter().filter(|field| format.width(*field) > 0);
        let fields: Vec<String> = fields
            .map(|field| format!("{} {}", field.word(), format.width(field)))
            .collect();
        let parity = format.parity_bits();
        let _ = writeln!(
            text,
            "{:10} {:3} bits: {}, parity {parity}; {}",
            format.name(),
            format.bits(),
            fields.join(", "),
            format.title()
        );
        json.push(json!({ "bits": format.bits(), "name": format.name(), "parity_bits": parity, "title": format.title() }));
    }
    Said {
        json: json!({ "formats": json }),
        text,
    }
}

/// How the site file writes the raw bits.
fn raw(frame: &CardFrame) -> String {
    let mut digits: String = frame.data.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.truncate(usize::from(frame.bits.div_ceil(4)));
    format!("{}:hex:{digits}", frame.bits)
}

/// The raw bits as a number, as other tools print them.
fn number(bits: &[bool]) -> String {
    let missing = (4 - bits.len() % 4) % 4;
    let padded: Vec<bool> = std::iter::repeat_n(false, missing)
        .chain(bits.iter().copied())
        .collect();
    let digit = |four: &[bool]| four.iter().fold(0, |n, one| n << 1 | u32::from(*one));
    padded
        .chunks(4)
        .filter_map(|four| char::from_digit(digit(four), 16))
        .collect()
}

fn one(params: &WiegandParams, frame: &Frame) -> anyhow::Result<Said> {
    let bits = &frame.bits;
    let card = frame_of(bits).context("a frame has 1 to 256 bits")?;
    let reading = read(params, bits, frame.damage);
    let (word, more) = match &reading {
        Reading::Card(_) => ("card", None),
        Reading::Key(key) => ("key", Some(key.to_string())),
        Reading::Misread(reason) => ("misread", Some(reason.to_string())),
    };
    let mut text = format!(
        "{} bits {}\n  number {}, raw {}\n",
        bits.len(),
        input::shown(bits),
        number(bits),
        raw(&card)
    );
    if let Some(damage) = frame.damage {
        let _ = writeln!(text, "  damaged: {}", input::damage(damage));
    }
    let inverted: Vec<bool> = bits.iter().map(|one| !one).collect();
    let inverted = frame_of(&inverted).context("as long")?;
    let mut listed = Vec::new();
    let (mut fit, mut reversed) = (0, Vec::new());
    for format in params.formats.iter().filter(|format| format.bits() == bits.len()) {
        let fields = format.read(&card).unwrap_or_default();
        let fits = format.fits(&card);
        let wrong: Vec<usize> = format.wrong_parity(&card).iter().map(|at| at + 1).collect();
        fit += u32::from(fits);
        let _ = writeln!(
            text,
            "  {:10} {}; {} ({})",
            format.name(),
            values(&fields),
            verdict(format, fits, &wrong),
            format.title()
        );
        if !fits && format.fits(&inverted) {
            reversed.push(format.name());
        }
        listed.push(json!({
            "fields": object(&fields),
            "fits": fits,
            "format": format.name(),
            "wrong_parity_places": wrong,
        }));
    }
    let outcome = match &reading {
        Reading::Card(_) if fit > 1 => {
            "a card; which of the formats that fit it is, the bits do not tell: name it in the site file"
                .to_owned()
        }
        Reading::Card(_) => "a card".to_owned(),
        Reading::Key(key) => format!("key {key} of a keypad"),
        Reading::Misread(reason) => format!("no card: {reason}"),
    };
    let _ = writeln!(text, "  a reader makes of it: {outcome}");
    if fit == 0 && !reversed.is_empty() {
        let _ = writeln!(
            text,
            "  with D0 and D1 exchanged it would fit: {}",
            reversed.join(", ")
        );
    }
    let json = json!({
        "bits": bits.len(),
        "damage": frame.damage.map(input::damage),
        "data": input::shown(bits),
        "formats": listed,
        "number": number(bits),
        "raw": raw(&card),
        "reading": word,
        "reading_detail": more,
        "reversed_fits": if fit == 0 { reversed } else { vec![] },
    });
    Ok(Said { json, text })
}

fn verdict(format: &Format, fits: bool, wrong: &[usize]) -> String {
    match (fits, wrong) {
        (true, _) if format.parity_bits() == 0 => "fits, nothing to check".to_owned(),
        (true, _) => "fits".to_owned(),
        (false, []) => "does not fit: a bit that never changes is wrong".to_owned(),
        (false, wrong) => {
            let places: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            format!("does not fit: parity at place {} is wrong", places.join(", "))
        }
    }
}

fn values(fields: &Fields) -> String {
    let there = Field::ALL
        .into_iter()
        .filter_map(|field| Some((field, fields.of(field)?)));
    let shown: Vec<String> = there
        .map(|(field, value)| format!("{} {value}", field.word()))
        .collect();
    shown.join(", ")
}

fn object(fields: &Fields) -> Value {
    let there = Field::ALL
        .into_iter()
        .filter_map(|field| Some((field, fields.of(field)?)));
    let map: Map<String, Value> = there
        .map(|(field, value)| (field.word().to_owned(), json!(value)))
        .collect();
    Value::Object(map)
}

pub(super) fn encode(args: &Encode) -> anyhow::Result<Said> {
    let own = known(args.config.as_ref())?
        .into_iter()
        .find(|format| format.name() == args.format);
    let Some(format) = own.or_else(|| format_named(&args.format).cloned()) else {
        let names: Vec<&str> = formats().iter().map(Format::name).collect();
        bail!(
            "{:?} is no card format; allowed: {}, and those of the site with --config",
            args.format,
            names.join(", ")
        );
    };
    let fields = Fields {
        facility: args.facility,
        issue: args.issue,
        manufacturer: args.manufacturer,
        number: args.number,
    };
    let card = format.write(&fields)?;
    let bits = bits_of(&card);
    ensure!(!bits.is_empty(), "the format has no bits");
    let mut text = format!(
        "{} bits {}\n  number {}, raw {}\n",
        bits.len(),
        input::shown(&bits),
        number(&bits),
        raw(&card)
    );
    let _ = writeln!(text, "  in the site file: card = \"{}\"", raw(&card));
    let mut json = json!({
        "bits": bits.len(),
        "data": input::shown(&bits),
        "format": format.name(),
        "number": number(&bits),
        "raw": raw(&card),
    });
    if let Some(pitch) = args.edges_us {
        let edge = |(n, one): (u64, &bool)| format!("{},{}", n * pitch, u8::from(*one));
        let edges: Vec<String> = (0..).zip(&bits).map(edge).collect();
        let _ = writeln!(text, "  edges {}", edges.join(" "));
        json["edges"] = json!(edges);
    }
    Ok(Said { json, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(data: &str) -> Said {
        let args = Decode {
            data: vec![data.to_owned()],
            formats: false,
            gap_ms: 25,
            config: None,
        };
        decode(&args).unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn encoded(format: &str, facility: Option<u64>, number: u64) -> Said {
        let args = Encode {
            format: format.to_owned(),
            number: Some(number),
            facility,
            issue: None,
            manufacturer: None,
            edges_us: Some(1000),
            config: None,
        };
        encode(&args).unwrap_or_else(|error| panic!("{error:#}"))
    }

    #[test]
    fn what_is_encoded_is_decoded_from_every_form_it_is_printed_in() {
        let made = encoded("h10301", Some(123), 4567);
        let number = format!("26:{}", made.json["number"].as_str().expect("text"));
        let edges: Vec<&str> = made.json["edges"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for form in [
            made.json["data"].as_str().expect("text"),
            made.json["raw"].as_str().expect("text"),
            &number,
            &edges.join(" "),
        ] {
            let read = said(form);
            let frame = &read.json["frames"][0];
            assert_eq!(frame["reading"], "card", "{form}");
            assert_eq!(
                frame["formats"][0]["fields"],
                json!({ "facility": 123, "number": 4567 }),
                "{form}"
            );
        }
        assert!(made.text.contains("card = \"26:hex:bd88eb8\""), "{}", made.text);
    }

    #[test]
    fn every_format_that_fits_is_told() {
        let read = said("37:100eb79a2b");
        assert!(
            read.text.contains("h10302     number 123456789; fits"),
            "{}",
            read.text
        );
        assert!(
            read.text.contains("h10304     facility 235, number 249109; fits"),
            "{}",
            read.text
        );
        assert!(read.text.contains("the bits do not tell"), "{}", read.text);
    }

    #[test]
    fn wrong_parity_exchanged_wires_and_noise_are_told_apart() {
        assert!(
            said("10111101100010001110101111")
                .text
                .contains("no card: parity")
        );
        let reversed = said("01000010011101110001010001");
        assert!(reversed.text.contains("no card: reversed"), "{}", reversed.text);
        assert!(
            reversed
                .text
                .contains("with D0 and D1 exchanged it would fit: h10301"),
            "{}",
            reversed.text
        );
        assert!(said("1011010").text.contains("no card: short"));
        assert!(said("0101").text.contains("key 5"));
        assert!(said("0,1 5,0").text.contains("edges of both wires"));
    }
}
