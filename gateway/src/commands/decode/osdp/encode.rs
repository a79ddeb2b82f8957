//! OSDP packets from words.

use adapter_osdp::{Check, LONGEST, Packet, command_name, reply_name};
use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use crate::commands::decode::{Said, input};

pub(in crate::commands::decode) const ENCODE_HELP: &str = "\
The packet is in the clear; what goes over a secure channel depends on its keys. What stands behind the name goes with it as it is.

Examples:
  doorline encode osdp poll --address 4 --sequence 0
  doorline encode osdp buz --sequence 2 00 02 02 02 01
  doorline encode osdp raw --reply --address 3 00 01 1a 00 bd 88 eb 80 | doorline decode osdp -";

#[derive(Args, Debug)]
pub(in crate::commands::decode) struct Encode {
    /// Name as the standard has it (poll, led, text; with --reply ack, raw, keypad), or its code as two hexadecimal digits.
    #[arg(value_name = "NAME")]
    name: String,
    /// Bytes that go with it, hexadecimal.
    #[arg(value_name = "DATA")]
    data: Vec<String>,
    /// From a reader.
    #[arg(long)]
    reply: bool,
    /// The reader's address, 0 to 126; 127 is every reader.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=127))]
    address: u8,
    /// Sequence number, 0 to 3; 0 begins anew.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=3))]
    sequence: u8,
    /// Checked by the sum, as old readers do, and not by a CRC.
    #[arg(long)]
    sum: bool,
}

pub(in crate::commands::decode) fn encode(args: &Encode) -> anyhow::Result<Said> {
    let data = match args.data.as_slice() {
        [] => vec![],
        all => input::hex_bytes(&input::text_of(all)?)?,
    };
    let packet = Packet {
        address: args.address,
        is_reply: args.reply,
        sequence: args.sequence,
        check: if args.sum { Check::Sum } else { Check::Crc },
        security: None,
        code: code_of(&args.name, args.reply)?,
        data,
        mac: None,
    };
    let bytes = packet.encode();
    if bytes.len() > LONGEST {
        let most = data_that_fits(&packet);
        bail!(
            "{} bytes of data make a packet too long, allowed are {most}",
            packet.data.len()
        );
    }
    let hex = input::hex(&bytes);
    Ok(Said {
        json: json!({ "packet": hex }),
        text: format!("{hex}\n"),
    })
}

fn data_that_fits(packet: &Packet) -> usize {
    let empty = Packet {
        data: vec![],
        ..packet.clone()
    };
    LONGEST - empty.encode().len()
}

fn code_of(name: &str, reply: bool) -> anyhow::Result<u8> {
    let (named, side) = if reply {
        (reply_name as fn(u8) -> Option<&'static str>, "reply")
    } else {
        (command_name as fn(u8) -> Option<&'static str>, "command")
    };
    let all = || (0..=u8::MAX).filter_map(|code| Some((code, named(code)?)));
    if let Some((code, _)) = all().find(|(_, known)| known.eq_ignore_ascii_case(name)) {
        return Ok(code);
    }
    let code = (name.len() == 2)
        .then(|| u8::from_str_radix(name, 16).ok())
        .flatten();
    code.with_context(|| {
        let known: Vec<String> = all().map(|(_, known)| known.to_ascii_lowercase()).collect();
        format!(
            "{name:?} is no {side}; there are: {}, or a code of two hexadecimal digits",
            known.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, reply: bool, data: &str) -> anyhow::Result<String> {
        let args = Encode {
            name: name.to_owned(),
            data: data.split_whitespace().map(str::to_owned).collect(),
            reply,
            address: 0,
            sequence: 2,
            sum: false,
        };
        Ok(encode(&args)?.text.trim().replace(' ', ""))
    }

    #[test]
    fn a_packet_that_was_recorded_is_made_from_its_words() {
        let beep = made("buz", false, "00 02 02 02 01").expect("a packet");
        assert_eq!(beep, "53000d00066a00020202015992");
        assert_eq!(made("6A", false, "00 02 02 02 01").expect("a packet"), beep);
        let poll = Encode {
            name: "POLL".to_owned(),
            data: vec![],
            reply: false,
            address: 0,
            sequence: 0,
            sum: false,
        };
        assert_eq!(
            encode(&poll).expect("a packet").json["packet"]
                .as_str()
                .map(|t| t.replace(' ', ""))
                .as_deref(),
            Some("530008000460ebaa")
        );
    }

    #[test]
    fn every_name_is_read_again_and_what_is_none_says_what_there_is() {
        for reply in [false, true] {
            for code in 0..=u8::MAX {
                let name = if reply {
                    reply_name(code)
                } else {
                    command_name(code)
                };
                if let Some(name) = name {
                    assert_eq!(code_of(name, reply).expect(name), code);
                }
            }
        }
        let error = made("pol", false, "").expect_err("no name").to_string();
        assert!(
            error.contains("\"pol\" is no command; there are: poll, id"),
            "{error}"
        );
        assert!(made("poll", true, "").is_err() && made("text", false, "0g").is_err());
        let long = made("text", false, &"00 ".repeat(1440))
            .expect_err("too long")
            .to_string();
        assert!(
            long.contains("1440 bytes of data") && long.contains("allowed are 1432"),
            "{long}"
        );
    }
}
