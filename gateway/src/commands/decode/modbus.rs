//! Modbus frames of relay boards by hand.

use std::fmt::Write as _;
use std::time::Duration;

use adapter_modbus::{Exchange, Framing, Meaning, PROFILES, Profile, Reply, Request, crc16, exception};
use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{Said, input};

pub(super) const DECODE_HELP: &str = "\
Data is hexadecimal digits as a line monitor shows them, with or without spaces, colons or dashes: requests and answers in the
order in which they came. An answer is read by the request before it.

Examples:
  doorline decode modbus 01 05 00 00 ff 00 8c 3a
  doorline decode modbus --profile waveshare 01 05 02 00 00 07 8d b0
  doorline decode modbus --tcp 00 01 00 00 00 06 01 01 00 00 00 08";

pub(super) const ENCODE_HELP: &str = "\
Examples:
  doorline encode modbus --profile waveshare on 1
  doorline encode modbus --profile waveshare pulse 1 --ms 700
  doorline encode modbus --profile coils --unit 5 --tcp read 1 --count 8";

#[derive(Args, Debug)]
pub(super) struct Decode {
    /// Hexadecimal digits, or - for standard input.
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
    /// Modbus TCP; without it RTU.
    #[arg(long)]
    tcp: bool,
    /// Family of the board, as in the site file: says which relay is meant.
    #[arg(long, value_parser = family)]
    profile: Option<&'static Profile>,
}

#[derive(Args, Debug)]
pub(super) struct Encode {
    #[command(subcommand)]
    what: What,
    /// Family of the board, as in the site file.
    #[arg(long, global = true, default_value = "coils", value_parser = family)]
    profile: &'static Profile,
    /// Address of the board, 1 to 255; left out, what such boards have when they are new.
    #[arg(long, global = true, value_parser = clap::value_parser!(u8).range(1..))]
    unit: Option<u8>,
    /// Modbus TCP; without it RTU.
    #[arg(long, global = true)]
    tcp: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Switch a relay off.
    Off {
        /// Relay as printed on the board, from 1.
        relay: u16,
    },
    /// Switch a relay on.
    On {
        /// Relay as printed on the board, from 1.
        relay: u16,
    },
    /// Switch a relay on for a time that the board ends by itself.
    Pulse {
        /// Relay as printed on the board, from 1.
        relay: u16,
        /// For how long, milliseconds; the board's own steps make it a little longer.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        ms: u64,
    },
    /// Ask for levels.
    Read {
        /// First relay as printed on the board, from 1.
        relay: u16,
        /// How many.
        #[arg(long, default_value_t = 1)]
        count: u16,
    },
}

fn family(name: &str) -> Result<&'static Profile, String> {
    Profile::named(name).ok_or_else(|| {
        let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
        format!("there is: {}", names.join(", "))
    })
}

/// A frame without what is around it.
struct Found<'a> {
    id: Option<u16>,
    pdu: &'a [u8],
    unit: u8,
}

pub(super) fn decode(args: &Decode) -> anyhow::Result<Said> {
    let bytes = input::hex_bytes(&input::text_of(&args.data)?)?;
    let (mut text, mut all) = (String::new(), Vec::new());
    let mut asked: Option<(u8, Option<u16>, Request)> = None;
    let (mut rest, mut skipped) = (&bytes[..], 0);
    while !rest.is_empty() {
        let expected = asked
            .filter(|(unit, ..)| rest.first() == Some(unit))
            .map(|(.., request)| request);
        let found = if args.tcp { tcp(rest) } else { rtu(rest, expected) };
        let Some((found, after)) = found else {
            skipped += 1;
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        let answered = asked.filter(|(unit, id, request)| {
            (*unit, *id) == (found.unit, found.id)
                && found.pdu.first().is_some_and(|f| f & 0x7F == request.function())
        });
        let said = match answered {
            Some((.., request)) => {
                asked = None;
                answer(&found, request)
            }
            None => {
                let request = Request::parse(found.pdu);
                asked = request.map(|request| (found.unit, found.id, request));
                match request {
                    Some(request) => question(&found, request, args.profile),
                    None => other(&found),
                }
            }
        };
        text += &said.text;
        all.push(said.json);
        rest = after;
    }
    ensure!(
        !all.is_empty(),
        "{} bytes hold no Modbus frame{}",
        bytes.len(),
        if args.tcp {
            " of TCP"
        } else {
            ": no check fits; of Modbus TCP say --tcp"
        }
    );
    if skipped > 0 {
        let _ = writeln!(text, "skipped: {skipped} bytes that are no frame");
    }
    Ok(Said {
        json: json!({ "frames": all, "skipped": skipped }),
        text,
    })
}

/// A frame of a serial line: its length follows from its function, and its check is right.
fn rtu<'a>(bytes: &'a [u8], expected: Option<Request>) -> Option<(Found<'a>, &'a [u8])> {
    let (&unit, &function) = (bytes.first()?, bytes.get(1)?);
    let answer = expected.and_then(|request| request.reply_bytes(function));
    let counted = |at: usize| bytes.get(at).map(|count| at + usize::from(*count));
    // lengths of a PDU: an exception, a request, an answer
    let lengths = match function {
        0x80.. => [Some(2), None, None],
        0x01..=0x04 => [answer, Some(5), counted(2)],
        0x05 | 0x06 => [Some(5), None, None],
        0x0F | 0x10 => [counted(6), Some(5), None],
        _ => [None, None, None],
    };
    lengths.into_iter().flatten().find_map(|length| {
        let (body, after) = bytes.split_at_checked(1 + length)?;
        let (crc, after) = after.split_at_checked(2)?;
        (crc == crc16(body).to_le_bytes()).then(|| {
            let pdu = body.get(1..).unwrap_or_default();
            (Found { id: None, pdu, unit }, after)
        })
    })
}

/// A frame of a connection.
fn tcp(bytes: &[u8]) -> Option<(Found<'_>, &[u8])> {
    let &[id1, id2, 0, 0, 0, length @ 2..=254, unit, ref rest @ ..] = bytes else {
        return None;
    };
    let (pdu, after) = rest.split_at_checked(usize::from(length) - 1)?;
    let id = Some(u16::from_be_bytes([id1, id2]));
    Some((Found { id, pdu, unit }, after))
}

fn function_name(function: u8) -> &'static str {
    match function & 0x7F {
        0x01 => "read coils",
        0x02 => "read discrete inputs",
        0x03 => "read holding registers",
        0x04 => "read input registers",
        0x05 => "write a coil",
        0x06 => "write a register",
        0x0F => "write coils",
        0x10 => "write registers",
        _ => "unknown to this program",
    }
}

fn frame(found: &Found<'_>, kind: &str, text: &str, more: Map<String, Value>) -> Said {
    let function = found.pdu.first().copied().unwrap_or_default();
    let name = function_name(function);
    let mut json = json!({
        "data": input::hex(found.pdu.get(1..).unwrap_or_default()),
        "function": function,
        "kind": kind,
        "unit": found.unit,
    });
    for (key, value) in more {
        json[key] = value;
    }
    if let Some(id) = found.id {
        json["id"] = json!(id);
    }
    Said {
        json,
        text: format!(
            "{kind}, unit {}, function {function:02x} ({name}): {text}\n",
            found.unit
        ),
    }
}

fn question(found: &Found<'_>, request: Request, profile: Option<&Profile>) -> Said {
    let (mut text, mut more) = match request {
        Request::ReadCoils { address, count }
        | Request::ReadDiscrete { address, count }
        | Request::ReadHolding { address, count } => (
            format!("{count} from address {address:04x}"),
            object(&[("address", json!(address)), ("count", json!(count))]),
        ),
        Request::WriteCoil { address, value } | Request::WriteRegister { address, value } => (
            format!("address {address:04x}, value {value:04x}"),
            object(&[("address", json!(address)), ("value", json!(value))]),
        ),
    };
    if let Some(profile) = profile {
        let meant = profile.meaning(profile.first, request).map_or_else(
            || format!("nothing that {} boards are told", profile.name),
            |meaning| match meaning {
                Meaning::Pulse { relay, time } => format!("relay {relay} on for {} ms", time.as_millis()),
                Meaning::Read { first, count } => {
                    format!("levels of relays {first} to {}", first + count - 1)
                }
                Meaning::Switch { on, relay } => format!("relay {relay} {}", if on { "on" } else { "off" }),
            },
        );
        let _ = write!(text, "; {meant}");
        more.insert("meaning".to_owned(), json!(meant));
    }
    frame(found, "request", &text, more)
}

/// By the decoder of the boards.
fn answer(found: &Found<'_>, request: Request) -> Said {
    match request.reply(found.pdu) {
        Ok(Reply::Coils(levels)) => {
            let shown: Vec<&str> = levels.iter().map(|on| if *on { "on" } else { "off" }).collect();
            frame(
                found,
                "answer",
                &shown.join(" "),
                object(&[("levels", json!(levels))]),
            )
        }
        Ok(Reply::Registers(values)) => {
            let shown: Vec<String> = values.iter().map(|value| format!("{value:04x}")).collect();
            frame(
                found,
                "answer",
                &shown.join(" "),
                object(&[("values", json!(values))]),
            )
        }
        Ok(Reply::Written) => frame(found, "answer", "done", Map::new()),
        Err(error) => {
            let text = error.to_string();
            frame(found, "answer", &text, object(&[("error", json!(text))]))
        }
    }
}

/// A frame that no request of ours is, or an answer without its request.
fn other(found: &Found<'_>) -> Said {
    let data = found.pdu.get(1..).unwrap_or_default();
    let word = |at: usize| {
        data.get(at..at + 2)
            .map(|two| u16::from_be_bytes([two[0], two[1]]))
    };
    match (found.pdu.first(), word(0), word(2)) {
        (Some(0x80..), ..) => match data {
            [code] => {
                let text = format!("refused with exception {code}, {}", exception(*code));
                frame(found, "answer", &text, object(&[("exception", json!(code))]))
            }
            _ => frame(found, "frame", &input::hex(data), Map::new()),
        },
        (Some(0x0F), Some(address), Some(count)) => {
            let more = [("address", json!(address)), ("count", json!(count))];
            match data.get(5..) {
                None => {
                    let text = format!("{count} from address {address:04x} are written");
                    frame(found, "answer", &text, object(&more))
                }
                Some(bytes) => {
                    let bit = |n: u16| bytes.get(usize::from(n / 8)).map(|byte| byte >> (n % 8) & 1 == 1);
                    let levels: Vec<bool> = (0..count).map_while(bit).collect();
                    let shown: Vec<&str> = levels.iter().map(|on| if *on { "on" } else { "off" }).collect();
                    let text = format!("{count} from address {address:04x}: {}", shown.join(" "));
                    let mut more = object(&more);
                    more.insert("levels".to_owned(), json!(levels));
                    frame(found, "request", &text, more)
                }
            }
        }
        _ => frame(found, "frame", &input::hex(data), Map::new()),
    }
}

fn object(all: &[(&str, Value)]) -> Map<String, Value> {
    let pair = |(key, value): &(&str, Value)| ((*key).to_owned(), value.clone());
    all.iter().map(pair).collect()
}

pub(super) fn encode(args: &Encode) -> anyhow::Result<Said> {
    let profile = args.profile;
    let (What::Off { relay } | What::On { relay } | What::Pulse { relay, .. } | What::Read { relay, .. }) =
        args.what;
    let meaning = match args.what {
        What::Off { relay } => Meaning::Switch { on: false, relay },
        What::On { relay } => Meaning::Switch { on: true, relay },
        What::Pulse { relay, ms } => Meaning::Pulse {
            relay,
            time: Duration::from_millis(ms),
        },
        What::Read { relay, count } => Meaning::Read { first: relay, count },
    };
    let most = profile.channels;
    let last = match args.what {
        What::Read { count, .. } => relay.saturating_add(count.saturating_sub(1)),
        What::Off { .. } | What::On { .. } | What::Pulse { .. } => relay,
    };
    ensure!(
        (1..=most).contains(&relay) && (relay..=most).contains(&last),
        "relay {last}: {} boards have 1 to {most}",
        profile.name
    );
    if matches!(args.what, What::Read { count: 0, .. }) {
        bail!("count: at least 1");
    }
    let request = profile
        .request(profile.first, meaning)
        .with_context(|| format!("{} boards have no timer of their own", profile.name))?;
    // what is longer than the board can would be cut without a word
    if let (What::Pulse { ms, .. }, Some(Meaning::Pulse { time, .. })) =
        (&args.what, profile.meaning(profile.first, request))
    {
        let most = time.as_millis();
        ensure!(
            u128::from(*ms) <= most,
            "{ms} ms: {} boards end a pulse by themselves after 1 to {most} ms",
            profile.name
        );
    }
    let framing = if args.tcp { Framing::Tcp } else { Framing::Rtu };
    let unit = args.unit.unwrap_or(profile.unit);
    let frame = Exchange::new(framing, 1, unit, request).frame();
    let shown: Vec<String> = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Said {
        json: json!({ "frame": input::hex(&frame), "profile": profile.name, "unit": unit }),
        text: format!("{}\n", shown.join(" ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(data: &str, tcp: bool, profile: Option<&str>) -> anyhow::Result<Said> {
        decode(&Decode {
            data: vec![data.to_owned()],
            tcp,
            profile: profile.and_then(Profile::named),
        })
    }

    /// From the wiki of the Waveshare Modbus RTU relay ("Development Protocol V2"), with its checks.
    #[test]
    fn frames_of_the_makers_wiki_mean_what_it_says() {
        for (frame, meaning) in [
            ("01 05 00 00 FF 00 8C 3A", "relay 1 on"),
            ("01 05 00 00 00 00 CD CA", "relay 1 off"),
            ("01 05 00 01 FF 00 DD FA", "relay 2 on"),
            ("01 05 02 00 00 07 8D B0", "relay 1 on for 700 ms"),
            ("01 01 00 00 00 08 3D CC", "levels of relays 1 to 8"),
        ] {
            let json = said(frame, false, Some("waveshare")).expect(frame).json;
            assert_eq!(json["frames"][0]["meaning"], meaning, "{frame}");
        }
        for (what, frame) in [
            (What::On { relay: 1 }, "01 05 00 00 ff 00 8c 3a\n"),
            (What::Pulse { relay: 1, ms: 700 }, "01 05 02 00 00 07 8d b0\n"),
            (What::Read { relay: 1, count: 8 }, "01 01 00 00 00 08 3d cc\n"),
        ] {
            let profile = Profile::named("waveshare").expect("in the table");
            let args = Encode {
                what,
                profile,
                unit: None,
                tcp: false,
            };
            assert_eq!(encode(&args).expect("a frame").text, frame);
        }
    }

    #[test]
    fn an_answer_is_read_by_its_request_and_a_refusal_in_words() {
        let text = said("01 01 00 00 00 08 3d cc  01 01 01 01 90 48", false, None)
            .expect("both")
            .text;
        assert!(text.ends_with("on off off off off off off off\n"), "{text}");
        // inputs of a board, function 02
        let inputs = said("01 02 00 00 00 08 79 cc  01 02 01 81 61 e8", false, None).expect("both");
        let text = inputs.text;
        assert!(text.ends_with("on off off off off off off on\n"), "{text}");
        let twice = said("01 05 00 00 ff 00 8c 3a 01 05 00 00 ff 00 8c 3a", false, None).expect("both");
        assert_eq!(
            (&twice.json["frames"][0]["kind"], &twice.json["frames"][1]["kind"]),
            (&json!("request"), &json!("answer"))
        );
        let refused = said(
            "0001 0000 0006 01 05 0063 ff00  0001 0000 0003 01 85 02",
            true,
            Some("coils"),
        );
        let text = refused.expect("both").text;
        assert!(text.contains("exception 2, illegal data address"), "{text}");
        let noisy = said("ff 01 05 00 00 ff 00 8c 3a 01", false, None).expect("in noise");
        assert_eq!(noisy.json["skipped"], 2);
        for (none, tcp) in [
            ("01 05 00 00 ff 00 8c 3b", false),
            ("01 05 00 00 ff 00 8c 3a", true),
            ("x", false),
        ] {
            assert!(said(none, tcp, None).is_err(), "{none}");
        }
        // a program of somebody else writes many coils at once; a refusal whose request nobody heard
        for (data, expected) in [
            (
                "0001 0000 0009 01 0f 0000 000a 02 cd01",
                "10 from address 0000: on off on on off off on on on off",
            ),
            (
                "0001 0000 0006 01 0f 0000 000a",
                "10 from address 0000 are written",
            ),
            (
                "0001 0000 0003 01 8f 03",
                "refused with exception 3, illegal data value",
            ),
        ] {
            let text = said(data, true, None).expect(data).text;
            assert!(text.contains(expected), "{text}");
        }
        let args = |what| Encode {
            what,
            profile: Profile::named("coils").expect("in the table"),
            unit: Some(5),
            tcp: true,
        };
        assert!(encode(&args(What::Pulse { relay: 1, ms: 100 })).is_err());
        let longest = |ms| {
            encode(&Encode {
                what: What::Pulse { relay: 1, ms },
                profile: Profile::named("waveshare").expect("in the table"),
                unit: None,
                tcp: false,
            })
        };
        assert!(longest(3_276_700).is_ok());
        let error = longest(3_276_701).err().expect("too long").to_string();
        assert!(error.contains("1 to 3276700 ms"), "{error}");
        assert!(
            encode(&args(What::On { relay: 65 })).is_err() && encode(&args(What::On { relay: 0 })).is_err()
        );
        let made = encode(&args(What::On { relay: 64 })).expect("a frame").text;
        assert_eq!(made, "00 01 00 00 00 06 05 05 00 3f ff 00\n");
    }
}
