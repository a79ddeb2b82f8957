//! Contact keys by hand.

use std::fmt::Write as _;

use adapter_ibutton::{DS1990A, Rom};
use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use gateway_card::{cyfral, cyfral_bits, metakom, metakom_bits};
use serde_json::json;

use super::{Said, input};

pub(super) const DECODE_HELP: &str = "\
Data is one of:
  01a2b3c4d5e6f7xx   sixteen hexadecimal digits of a 1-Wire key, family first, checksum last, or the other way round
  0001 0111 1011 ... bits of the cells of a Cyfral key (two frames) or a Metakom key

Examples:
  doorline decode ibutton 021CB801000000A2
  doorline decode ibutton \"$(doorline encode ibutton --kind cyfral 1b07)\"";

pub(super) const ENCODE_HELP: &str = "\
Examples:
  doorline encode ibutton 0000012f4a3c               # serial number of a DS1990A, as engraved
  doorline encode ibutton --kind cyfral 1b07
  doorline encode ibutton --kind metakom 0305ff00";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Cyfral DC-2000: 16 bits.
    Cyfral,
    /// Dallas DS1990A: 48 bits.
    Ds1990,
    /// Metakom K1233: 32 bits, each byte with an even number of ones.
    Metakom,
}

#[derive(Args, Debug)]
pub(super) struct Decode {
    /// Hexadecimal digits, bits, or - for standard input.
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct Encode {
    /// Number of the key, hexadecimal.
    number: String,
    /// Kind of key.
    #[arg(long, value_enum, default_value_t = Kind::Ds1990)]
    kind: Kind,
}

pub(super) fn decode(args: &Decode) -> anyhow::Result<Said> {
    let text = input::text_of(&args.data)?;
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    let hex = digits.len() == 16 && digits.chars().all(|c| c.is_ascii_hexdigit());
    if hex { rom(&digits) } else { cells(&text) }
}

fn rom(digits: &str) -> anyhow::Result<Said> {
    let number = u64::from_str_radix(digits, 16).context("sixteen hexadecimal digits")?;
    let straight = Rom::new(number.to_be_bytes());
    let (rom, order) = match (straight, Rom::new(number.to_le_bytes())) {
        (Ok(rom), _) => (rom, "family first"),
        (Err(_), Ok(rom)) => (rom, "checksum first, as engraved"),
        (Err(error), Err(_)) => return Err(error).context("in this order; in the other one it fits neither"),
    };
    let raw: String = rom.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let kind = if rom.family() == DS1990A {
        "DS1990A"
    } else {
        "1-Wire device that is no DS1990A"
    };
    Ok(Said {
        text: format!(
            "{kind}, family {:02x}, serial number {:012x}, checksum right ({order})\n  raw 64:hex:{raw}\n",
            rom.family(),
            rom.serial()
        ),
        json: json!({
            "family": rom.family(),
            "kind": if rom.family() == DS1990A { "ds1990" } else { "1-wire" },
            "order": order,
            "raw": format!("64:hex:{raw}"),
            "serial": format!("{:012x}", rom.serial()),
        }),
    })
}

fn cells(text: &str) -> anyhow::Result<Said> {
    let bits = input::plain_bits(text)
        .context("neither sixteen hexadecimal digits nor bits of a Cyfral or Metakom key")?;
    let (one, other) = (cyfral(&bits), metakom(&bits));
    let mut said = String::new();
    match &one {
        Ok(number) => drop(writeln!(said, "Cyfral key {number:04x}, two equal frames")),
        Err(error) => drop(writeln!(said, "no Cyfral key: {error}")),
    }
    let shown = |bytes: &[u8; 4]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match &other {
        Ok(bytes) => drop(writeln!(said, "Metakom key {}, parity right", shown(bytes))),
        Err(error) => drop(writeln!(said, "no Metakom key: {error}")),
    }
    if one.is_err() && other.is_err() {
        bail!("{} bits: {}", bits.len(), said.trim_end().replace('\n', "; "));
    }
    Ok(Said {
        json: json!({
            "cyfral": one.ok().map(|number| format!("{number:04x}")),
            "metakom": other.ok().map(|bytes| shown(&bytes)),
        }),
        text: said,
    })
}

pub(super) fn encode(args: &Encode) -> anyhow::Result<Said> {
    let most = match args.kind {
        Kind::Cyfral => 4,
        Kind::Ds1990 => 12,
        Kind::Metakom => 8,
    };
    let number = u64::from_str_radix(&args.number, 16)
        .ok()
        .filter(|_| args.number.len() <= most)
        .with_context(|| format!("{:?} is not 1 to {most} hexadecimal digits", args.number))?;
    let bits = match args.kind {
        Kind::Ds1990 => {
            let bytes = Rom::of(DS1990A, number).bytes();
            let raw: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok(Said {
                text: format!("{raw}\n"),
                json: json!({ "raw": format!("64:hex:{raw}") }),
            });
        }
        Kind::Cyfral => cyfral_bits(u16::try_from(number).context("four digits")?),
        Kind::Metakom => {
            let bytes = u32::try_from(number).context("eight digits")?.to_be_bytes();
            metakom_bits(bytes).context("each byte of a Metakom key has an even number of ones")?
        }
    };
    ensure!(!bits.is_empty(), "a key has bits");
    Ok(Said {
        text: format!("{}\n", input::shown(&bits)),
        json: json!({ "data": input::shown(&bits) }),
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

    fn made(kind: Kind, number: &str) -> String {
        let args = Encode {
            number: number.into(),
            kind,
        };
        encode(&args).expect("a key").text.trim().to_owned()
    }

    #[test]
    fn keys_come_back_in_both_orders() {
        let key = said("021CB801000000A2").expect("the maker's example");
        assert!(
            key.text.contains("family 02, serial number 00000001b81c"),
            "{}",
            key.text
        );
        let turned = said("A200000001B81C02").expect("turned");
        assert!(turned.text.contains("checksum first"), "{}", turned.text);
        let own = said(&made(Kind::Ds1990, "12f4a3c")).expect("ours");
        assert_eq!(own.json["kind"], "ds1990");
        assert_eq!(
            said(&made(Kind::Cyfral, "1b07")).expect("ours").json["cyfral"],
            "1b07"
        );
        assert_eq!(
            said(&made(Kind::Metakom, "0305ff00")).expect("ours").json["metakom"],
            "0305ff00"
        );
    }

    #[test]
    fn what_is_no_key_says_why() {
        for (data, expected) in [
            ("0000000000000000", "short circuit"),
            ("021CB801000000A3", "checksum is a3"),
            ("xyz", "neither sixteen"),
            ("0101010101", "no frame"),
        ] {
            let error = said(data).err().expect(data);
            assert!(format!("{error:#}").contains(expected), "{data}: {error:#}");
        }
    }
}
