//! Clock & Data by hand.

use anyhow::{Context, ensure};
use clap::Args;
use gateway_card::{decode_track, encode_track};
use serde_json::json;

use super::{Said, input};

pub(super) const DECODE_HELP: &str = "\
Data is the bits at each clock (a low level on the data wire is a 1), or edges of both wires as MICROSECONDS,WIRE,LEVEL
with the wires clk and data; data is taken as the clock falls.

Examples:
  doorline decode clock-data 0001101010000010001111111100000
  doorline encode clock-data 1234567890 | doorline decode clock-data -
  scope-export | doorline decode clock-data --json -   # edges: 0,data,0 5000,clk,0 5300,clk,1 6000,clk,0 …";

pub(super) const ENCODE_HELP: &str = "\
Examples:
  doorline encode clock-data 1234567890
  doorline encode clock-data --zeros 10 12=34 --json";

#[derive(Args, Debug)]
pub(super) struct Decode {
    /// Bits, edges, or - for standard input.
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct Encode {
    /// Digits; = is the separator.
    digits: String,
    /// Clocks without data before and after the track.
    #[arg(long, default_value_t = 22, value_parser = clap::value_parser!(u16).range(0..=100))]
    zeros: u16,
}

pub(super) fn decode(args: &Decode) -> anyhow::Result<Said> {
    let text = input::text_of(&args.data)?;
    let bits = if text.contains(',') {
        sampled(&text)?
    } else {
        input::plain_bits(&text)?
    };
    let track =
        decode_track(&bits).with_context(|| format!("{} bits {}", bits.len(), input::shown(&bits)))?;
    Ok(Said {
        text: format!(
            "{} bits {}\n  track 2: {track}\n",
            bits.len(),
            input::shown(&bits)
        ),
        json: json!({ "bits": bits.len(), "data": input::shown(&bits), "track": track }),
    })
}

/// The data wire at each falling edge of the clock.
fn sampled(text: &str) -> anyhow::Result<Vec<bool>> {
    let (mut clock, mut data, mut before) = (true, true, 0_u64);
    let mut bits = Vec::new();
    for edge in text.split_whitespace() {
        let shown: String = edge.chars().take(60).collect();
        let wrong = || format!("{shown:?} is no edge: MICROSECONDS,WIRE,LEVEL, such as 5000,clk,0");
        let (time, rest) = edge.split_once(',').with_context(wrong)?;
        let (wire, level) = rest.split_once(',').with_context(wrong)?;
        let time: u64 = time.parse().with_context(wrong)?;
        ensure!(
            time >= before,
            "{shown:?} is before the edge that stands before it: edges come in order"
        );
        before = time;
        let level = match level {
            "0" => false,
            "1" => true,
            _ => anyhow::bail!(wrong()),
        };
        match wire {
            "data" => data = level,
            "clk" => {
                if clock && !level {
                    bits.push(!data);
                }
                clock = level;
            }
            _ => anyhow::bail!(wrong()),
        }
    }
    Ok(bits)
}

pub(super) fn encode(args: &Encode) -> anyhow::Result<Said> {
    ensure!(
        !args.digits.is_empty(),
        "a track without a character is no card: no reader of the gateway takes it"
    );
    let bits = encode_track(&args.digits, usize::from(args.zeros))
        .with_context(|| format!("{:?} is no track: at most 37 of 0-9 = A B C E", args.digits))?;
    Ok(Said {
        text: format!("{}\n", input::shown(&bits)),
        json: json!({ "bits": bits.len(), "data": input::shown(&bits) }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(data: &str) -> anyhow::Result<String> {
        let args = Decode {
            data: vec![data.to_owned()],
        };
        Ok(decode(&args)?.json["track"].as_str().expect("text").to_owned())
    }

    #[test]
    fn what_is_encoded_is_decoded_as_bits_and_as_edges() {
        let made = encode(&Encode {
            digits: "0123456789=42".into(),
            zeros: 22,
        });
        let bits = made.expect("a track").text;
        assert_eq!(said(bits.trim()).expect("good"), "0123456789=42");
        let edges = (0..).zip(bits.trim().chars()).map(|(n, bit)| {
            let (at, level) = (n * 1000, if bit == '1' { 0 } else { 1 });
            format!("{at},data,{level} {},clk,0 {},clk,1", at + 300, at + 600)
        });
        let edges: Vec<String> = edges.collect();
        assert_eq!(said(&edges.join(" ")).expect("good"), "0123456789=42");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (data, expected) in [
            ("0000", "active low"),
            ("11010 11111 00100", "the track is empty"),
            ("11010 11000", "even parity"),
            ("0,clk", "is no edge"),
            ("0,foo,1", "is no edge"),
            ("5,clk,1 0,clk,0", "come in order"),
            ("012", "neither"),
        ] {
            let error = format!("{:#}", said(data).expect_err(data));
            assert!(error.contains(expected), "{data}: {error}");
        }
        let (digits, zeros) = (String::new(), 22);
        assert!(encode(&Encode { digits, zeros }).is_err());
    }
}
