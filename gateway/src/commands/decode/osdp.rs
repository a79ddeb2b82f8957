//! OSDP packets by hand.

mod encode;

use std::fmt::Write as _;

use adapter_osdp::{Deframer, LONGEST, Packet, Reply, SecurityBlock, command_name, nak_reason, reply_name};
use anyhow::bail;
use clap::Args;
use gateway_card::{bits_of, formats, frame_of};
use serde_json::{Map, Value, json};

use super::{Said, input};
pub(super) use encode::{ENCODE_HELP, Encode, encode};

pub(super) const DECODE_HELP: &str = "\
Data is hexadecimal digits as a line monitor shows them, with or without spaces, colons or dashes; mark bytes (ff) and
noise between packets are skipped.

Examples:
  doorline decode osdp ff 53 00 08 00 04 60 eb aa
  doorline decode osdp 53-80-14-00-06-45-00-0E-E3-10-10-00-00-74-97-23-06-06-1B-88
  monitor-export | doorline decode osdp --json -";

#[derive(Args, Debug)]
pub(super) struct Decode {
    /// Hexadecimal digits, or - for standard input.
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
}

pub(super) fn decode(args: &Decode) -> anyhow::Result<Said> {
    let bytes = input::hex_bytes(&input::text_of(&args.data)?)?;
    let mut deframer = Deframer::default();
    let (mut text, mut json) = (String::new(), Vec::new());
    let mut wrong = Vec::new();
    for piece in bytes.chunks(LONGEST) {
        deframer.push(piece);
        while let Some(found) = deframer.packet() {
            match found {
                Ok(packet) => {
                    let said = one(&packet);
                    text += &said.text;
                    json.push(said.json);
                }
                Err(error) => wrong.push(error.to_string()),
            }
        }
    }
    // a single packet that is none says why
    if json.is_empty() {
        let start = bytes
            .iter()
            .position(|byte| *byte == adapter_osdp::SOM)
            .unwrap_or(0);
        match Packet::parse(&bytes[start..]) {
            Err(error) => bail!("{} bytes hold no OSDP packet: {error}", bytes.len()),
            Ok(_) => bail!("{} bytes hold no OSDP packet: {}", bytes.len(), wrong.join("; ")),
        }
    }
    for error in &wrong {
        let _ = writeln!(text, "skipped: {error}");
    }
    Ok(Said {
        json: json!({ "packets": json, "skipped": wrong }),
        text,
    })
}

fn one(packet: &Packet) -> Said {
    let (side, name) = if packet.is_reply {
        ("reply", reply_name(packet.code))
    } else {
        ("command", command_name(packet.code))
    };
    let name = name.map_or_else(|| format!("{:02x}", packet.code), str::to_owned);
    let sealed = packet.security.as_ref().is_some_and(|block| {
        matches!(
            block.kind,
            SecurityBlock::SEALED_COMMAND | SecurityBlock::SEALED_REPLY
        )
    });
    let (fields, said) = if sealed {
        let said = format!("{} bytes encrypted", packet.data.len());
        (Value::Null, said)
    } else if packet.is_reply {
        reply(packet)
    } else {
        command(packet)
    };
    let security = packet.security.as_ref().map(|block| {
        let key = match block.data.first() {
            Some(0) if block.kind <= SecurityBlock::SERVER => ", default key",
            Some(1) if block.kind <= SecurityBlock::SERVER => ", own key",
            Some(_) | None => "",
        };
        format!("SCS_{:02x}{key}", block.kind)
    });
    let mut text = format!(
        "address {:3}  {side} {name}, sequence {}",
        packet.address, packet.sequence
    );
    if let Some(security) = &security {
        let _ = write!(text, ", {security}");
    }
    if let Some(mac) = packet.mac {
        let _ = write!(text, ", MAC {}", input::hex(&mac));
    }
    text.push('\n');
    if !said.is_empty() {
        let _ = writeln!(text, "  {said}");
    }
    Said {
        json: json!({
            "address": packet.address,
            "check": match packet.check {
                adapter_osdp::Check::Crc => "crc",
                adapter_osdp::Check::Sum => "sum",
            },
            "code": format!("{:02x}", packet.code),
            // a key is nothing to print
            "data": (packet.is_reply || packet.code != 0x75).then(|| input::hex(&packet.data)),
            "fields": fields,
            "mac": packet.mac.map(|mac| input::hex(&mac)),
            "name": name,
            "security": packet.security.as_ref().map(|block| json!({
                "data": input::hex(&block.data),
                "kind": format!("SCS_{:02x}", block.kind),
            })),
            "sequence": packet.sequence,
            "side": side,
        }),
        text,
    }
}

/// What a command says, as fields and as a line.
fn command(packet: &Packet) -> (Value, String) {
    let said = |pairs: &[(&str, u64)]| {
        let fields: Map<String, Value> = pairs
            .iter()
            .map(|(key, n)| ((*key).to_owned(), json!(n)))
            .collect();
        let text: Vec<String> = pairs.iter().map(|(key, n)| format!("{key} {n}")).collect();
        (Value::Object(fields), text.join(", "))
    };
    match (packet.code, packet.data.as_slice()) {
        (0x68, &[output, control, low, high, ..]) => said(&[
            ("output", output.into()),
            ("control", control.into()),
            ("time_ms", u64::from(u16::from_le_bytes([low, high])) * 100),
        ]),
        (
            0x69,
            &[
                reader,
                led,
                control,
                on,
                off,
                colour,
                off_colour,
                low,
                high,
                permanent,
                ..,
            ],
        ) => said(&[
            ("reader", reader.into()),
            ("led", led.into()),
            ("control", control.into()),
            ("on_ms", u64::from(on) * 100),
            ("off_ms", u64::from(off) * 100),
            ("on_colour", colour.into()),
            ("off_colour", off_colour.into()),
            ("time_ms", u64::from(u16::from_le_bytes([low, high])) * 100),
            ("permanent_control", permanent.into()),
        ]),
        (0x6A, &[reader, tone, on, off, count, ..]) => said(&[
            ("reader", reader.into()),
            ("tone", tone.into()),
            ("on_ms", u64::from(on) * 100),
            ("off_ms", u64::from(off) * 100),
            ("count", count.into()),
        ]),
        (0x6E, &[address, b0, b1, b2, b3, ..]) => said(&[
            ("address", address.into()),
            ("baud", u32::from_le_bytes([b0, b1, b2, b3]).into()),
        ]),
        (0x75, &[kind, length, ..]) => said(&[("kind", kind.into()), ("length", length.into())]),
        (_, []) => (Value::Null, String::new()),
        (_, data) => (Value::Null, format!("data {}", input::hex(data))),
    }
}

fn reply(packet: &Packet) -> (Value, String) {
    let reply = match Reply::parse(packet.code, &packet.data) {
        Ok(reply) => reply,
        Err(error) => return (json!({ "error": error.to_string() }), error.to_string()),
    };
    match reply {
        Reply::Nak(code) => (
            json!({ "code": code, "reason": nak_reason(code) }),
            format!("{code}: {}", nak_reason(code)),
        ),
        Reply::Id(id) => {
            let firmware = id.firmware.map(|n| n.to_string()).join(".");
            let vendor = input::hex(&id.vendor);
            let text = format!(
                "vendor {vendor}, model {}, version {}, serial {:08x}, firmware {firmware}",
                id.model, id.version, id.serial
            );
            let fields = json!({
                "firmware": firmware, "model": id.model, "serial": format!("{:08x}", id.serial),
                "vendor": vendor, "version": id.version,
            });
            (fields, text)
        }
        Reply::Capabilities(all) => {
            let text: Vec<String> = all
                .iter()
                .map(|c| format!("{}:{}:{}", c.function, c.level, c.items))
                .collect();
            let list: Vec<Value> = all
                .iter()
                .map(|c| json!({ "function": c.function, "items": c.items, "level": c.level }))
                .collect();
            (json!(list), format!("function:level:items {}", text.join(" ")))
        }
        Reply::LocalStatus { power, tamper } => (
            json!({ "power": power, "tamper": tamper }),
            format!("tamper {tamper}, power failure {power}"),
        ),
        Reply::InputStatus(levels) => (json!({ "inputs": levels }), format!("inputs {levels:?}")),
        Reply::OutputStatus(levels) => (json!({ "outputs": levels }), format!("outputs {levels:?}")),
        Reply::ReaderStatus(states) => (json!({ "readers": states }), format!("readers {states:?}")),
        Reply::Keypad { keys, reader } => {
            let keys: String = keys.iter().map(|key| key.unwrap_or('?')).collect();
            (
                json!({ "keys": keys, "reader": reader }),
                format!("reader {reader}, keys {keys}"),
            )
        }
        Reply::Raw { bits, format, reader } => raw(&bits, format, reader),
        Reply::ClientCryptogram { random, uid, .. } => (
            json!({ "random": input::hex(&random), "uid": input::hex(&uid) }),
            format!(
                "reader {}, random number {}",
                input::hex(&uid),
                input::hex(&random)
            ),
        ),
        Reply::File(status) => (
            json!({
                "action": status.action, "delay-ms": status.delay, "longest": status.longest, "status": status.detail,
            }),
            format!(
                "status {}, action {}, pause {} ms, longest packet {}",
                status.detail, status.action, status.delay, status.longest
            ),
        ),
        Reply::Settings(settings) => (
            json!({ "address": settings.address, "baud": settings.baud }),
            format!("address {}, {} bit/s", settings.address, settings.baud),
        ),
        Reply::Ack | Reply::Busy | Reply::InitialMac(_) => (Value::Null, String::new()),
        Reply::Other(_) => (Value::Null, format!("data {}", input::hex(&packet.data))),
    }
}

/// A card: its bits, as the site file writes them, and the formats that fit.
fn raw(bits: &[bool], format: u8, reader: u8) -> (Value, String) {
    let Some(frame) = frame_of(bits) else {
        return (Value::Null, format!("{} bits are no card", bits.len()));
    };
    let mut digits = input::hex(&frame.data);
    digits.truncate(usize::from(frame.bits.div_ceil(4)));
    let raw = format!("{}:hex:{digits}", frame.bits);
    let of_length = formats()
        .iter()
        .filter(|format| format.bits() == bits_of(&frame).len());
    let fitting: Vec<&str> = of_length
        .filter(|format| format.fits(&frame))
        .map(|format| format.name())
        .collect();
    let named = if fitting.is_empty() {
        "no format fits".to_owned()
    } else {
        fitting.join(", ")
    };
    (
        json!({ "bits": bits.len(), "format": format, "formats": fitting, "raw": raw, "reader": reader }),
        format!("reader {reader}, card {raw} ({named})"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> anyhow::Result<Said> {
        decode(&Decode {
            data: text.split(' ').map(str::to_owned).collect(),
        })
    }

    #[test]
    fn recorded_packets_are_told_with_their_fields() {
        let beep = said("ff 53 00 0D 00 06 6A 00 02 02 02 01 59 92").expect("a packet");
        assert_eq!(
            beep.text,
            "address   0  command BUZ, sequence 2\n  reader 0, tone 2, on_ms 200, off_ms 200, count 1\n"
        );
        let id = said("53-80-14-00-06-45-00-0E-E3-10-10-00-00-74-97-23-06-06-1B-88").expect("a packet");
        let fields = &id.json["packets"][0]["fields"];
        assert_eq!(fields["vendor"], "000ee3");
        assert_eq!(fields["firmware"], "35.6.6");
        assert_eq!(id.json["packets"][0]["name"], "PDID");
    }

    #[test]
    fn a_card_reads_as_the_site_file_writes_it() {
        let mut packet = Packet {
            address: 3,
            is_reply: true,
            sequence: 1,
            check: adapter_osdp::Check::Crc,
            security: None,
            code: 0x50,
            data: vec![0, 1, 26, 0, 0xBD, 0x88, 0xEB, 0x80],
            mac: None,
        };
        let card = said(&input::hex(&packet.encode())).expect("a packet");
        assert!(card.text.contains("26:hex:bd88eb8 (h10301"), "{}", card.text);
        // a key on its way is not shown
        (packet.is_reply, packet.code) = (false, 0x75);
        packet.data = [&[1, 16][..], &[0xAB; 16]].concat();
        let key = said(&input::hex(&packet.encode())).expect("a packet");
        assert!(
            !format!("{}{}", key.text, key.json).contains("abab"),
            "{}",
            key.text
        );
    }

    #[test]
    fn what_is_no_packet_says_why() {
        for (text, expected) in [
            ("53 00 08 00 04 60 00 00", "the check says 0000"),
            ("53 00 09 00 04 60 bb bb", "8 bytes, the length field says 9"),
            ("12 00 08 00 04 60 00 00", "begins no packet"),
            ("53 0", "a byte has two"),
            ("5x", "no hexadecimal digit"),
        ] {
            let error = said(text).err().map(|error| format!("{error:#}"));
            assert!(
                error.as_ref().is_some_and(|e| e.contains(expected)),
                "{text}: {error:?}"
            );
        }
    }
}
