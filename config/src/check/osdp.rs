//! OSDP readers: their lines, addresses, keys and inputs.

use super::Check;
use super::resource::{Alike, Claims, Ports};
use crate::fault::{FaultKind, Finding};
use crate::model::{Config, InputDriver, OsdpOutput, OsdpReader, OutputDriver, ReaderDriver};
use crate::read::Reader;
use crate::value::StrikeOutside;

/// Speeds of OSDP, bits per second.
pub const BAUDS: [u32; 6] = [9600, 19_200, 38_400, 57_600, 115_200, 230_400];
/// The key that every reader has when it is new (SCBK-D).
const WELL_KNOWN: &str = "303132333435363738393a3b3c3d3e3f";

/// The OSDP readers, with their place in the file.
fn readers(config: &Config) -> impl Iterator<Item = (String, &OsdpReader)> {
    config
        .readers
        .iter()
        .filter_map(|(id, reader)| match &reader.driver {
            ReaderDriver::Osdp(reader) => Some((format!("readers.{id}.osdp"), &**reader)),
            ReaderDriver::ClockData(_)
            | ReaderDriver::FrontEndClockData(_)
            | ReaderDriver::FrontEndKeys(_)
            | ReaderDriver::Ibutton(_)
            | ReaderDriver::Virtual(_)
            | ReaderDriver::Wiegand(_) => None,
        })
}

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (at, reader) in readers(config) {
        let key = |key: &str| format!("{at}.{key}");
        if !BAUDS.contains(&reader.baud) {
            let text = format!("{} is no speed of OSDP", reader.baud);
            let hint = "allowed: 9600, 19200, 38400, 57600, 115200, 230400";
            check.fault(FaultKind::BadValue, &key("baud"), &[], text, hint);
        }
        let (file, clear) = (key("key-file"), key("unencrypted"));
        match (&reader.key_file, reader.unencrypted) {
            (Some(_), false) => {}
            (Some(_), true) => {
                let text = "the reader has a key and would be spoken to in the clear".to_owned();
                let hint = "allowed: one of key-file and unencrypted";
                check.fault(FaultKind::Conflict, &clear, &[&file], text, hint);
            }
            (None, true) => {
                let text =
                    "whoever reaches the cable of this reader can record its cards, repeat them and open";
                let hint = "a reader with a secure channel takes key-file in place of it";
                check.warn(FaultKind::Unsafe, &clear, text.to_owned(), hint);
            }
            (None, false) => {
                let text = "nothing says how the reader is spoken to".to_owned();
                let hint = "needed: key-file = \"…\" (doorline osdp new-key makes one), or unencrypted = true for a reader \
                            without a secure channel";
                check.fault(FaultKind::Missing, &at, &[&file, &clear], text, hint);
            }
        }
        if reader.old_key_file.is_some() && reader.key_file.is_none() {
            let text = "there is no new key that could take its place".to_owned();
            check.fault(
                FaultKind::Conflict,
                &key("old-key-file"),
                &[&file],
                text,
                "add key-file, or remove it",
            );
        }
    }
    inputs(check);
    outputs(check);
}

/// An input of a reader belongs to an OSDP reader, and to one input.
fn inputs(check: &mut Check<'_>) {
    let config = check.config;
    let mut claims = Claims::new();
    for (id, input) in &config.inputs {
        let InputDriver::Osdp(input) = &input.driver else {
            continue;
        };
        let at = format!("inputs.{id}.osdp");
        let reader = config.readers.get(&input.reader).map(|reader| &reader.driver);
        if let Some(
            ReaderDriver::ClockData(_)
            | ReaderDriver::FrontEndClockData(_)
            | ReaderDriver::FrontEndKeys(_)
            | ReaderDriver::Ibutton(_)
            | ReaderDriver::Virtual(_)
            | ReaderDriver::Wiegand(_),
        ) = reader
        {
            let text = format!("reader {:?} is no OSDP reader", input.reader.as_str());
            let hint = "allowed: the name of a reader with an osdp table";
            check.fault(FaultKind::Conflict, &format!("{at}.reader"), &[], text, hint);
        }
        claims.add((input.reader.clone(), input.number), format!("{at}.number"));
    }
    claims.report(
        check,
        |(reader, number)| format!("input {number} of reader {:?}", reader.as_str()),
        "allowed: one input for each",
    );
}

/// An output of a reader belongs to an OSDP reader, and to one output. A door has it only where somebody says so.
fn outputs(check: &mut Check<'_>) {
    let config = check.config;
    let mut claims = Claims::new();
    for (id, output) in &config.outputs {
        let OutputDriver::Osdp(output) = &output.driver else {
            continue;
        };
        let at = format!("outputs.{id}.osdp");
        claims.add((output.reader.clone(), output.number), format!("{at}.number"));
        let reader = config.readers.get(&output.reader).map(|reader| &reader.driver);
        match reader {
            Some(ReaderDriver::Osdp(reader)) => {
                let mut doors = config.doors.iter();
                if let Some((door, _)) = doors.find(|(_, door)| door.output.as_ref() == Some(id)) {
                    strike(check, &at, &format!("doors.{door}.output"), output, reader);
                }
            }
            Some(
                ReaderDriver::ClockData(_)
                | ReaderDriver::FrontEndClockData(_)
                | ReaderDriver::FrontEndKeys(_)
                | ReaderDriver::Ibutton(_)
                | ReaderDriver::Virtual(_)
                | ReaderDriver::Wiegand(_),
            ) => {
                let text = format!("reader {:?} is no OSDP reader", output.reader.as_str());
                let hint = "allowed: the name of a reader with an osdp table";
                check.fault(FaultKind::Conflict, &format!("{at}.reader"), &[], text, hint);
            }
            None => {}
        }
    }
    claims.report(
        check,
        |(reader, number)| format!("output {number} of reader {:?}", reader.as_str()),
        "allowed: one output for each",
    );
}

/// A strike at a reader: the reader, its case and its cable are where strangers stand.
fn strike(check: &mut Check<'_>, at: &str, door: &str, output: &OsdpOutput, reader: &OsdpReader) {
    let (outside, clear) = (
        format!("{at}.strike-outside"),
        format!("readers.{}.osdp.unencrypted", output.reader),
    );
    if reader.unencrypted {
        let text = format!(
            "reader {:?} is spoken to in the clear: whoever reaches its cable opens this door",
            output.reader.as_str()
        );
        let hint = "allowed: a reader with a key-file, or an output inside";
        check.fault(FaultKind::Unsafe, door, &[&clear], text, hint);
        return;
    }
    match output.strike_outside {
        StrikeOutside::Accepted => {
            let text = "whoever opens the reader's case has the wires of the strike".to_owned();
            let hint = "an output inside, or a strike behind a module that the reader speaks to, keeps them out of reach";
            check.warn(FaultKind::Unsafe, &outside, text, hint);
        }
        StrikeOutside::Refused => {
            let text = "a strike at a reader hangs on wires where strangers stand".to_owned();
            let hint = "needed: strike-outside = \"accepted\" at the output, if that is known and borne; an output inside otherwise";
            check.fault(FaultKind::Unsafe, door, &[&outside, at], text, hint);
        }
    }
}

/// Readers share a line with other OSDP readers only, each under its own address.
pub(super) fn claims(check: &mut Check<'_>, ports: &mut Ports) {
    let mut addresses = Claims::new();
    let mut lines = Alike::new("allowed: the same for every reader on one line");
    for (at, reader) in readers(check.config) {
        let place = reader.port.display().to_string();
        let key = |key: &str| format!("{at}.{key}");
        ports.add(check, place.clone(), "osdp", key("port"));
        lines.add(check, &place, key("baud"), &reader.baud);
        lines.add(check, &place, key("rs485"), &reader.rs485.word());
        addresses.add((place, reader.address), key("address"));
    }
    addresses.report(
        check,
        |(place, address)| format!("address {address} at {place}"),
        "allowed: one reader for each address of a line",
    );
}

/// Keys that were read from their files are keys; the value is never shown.
pub(crate) fn keys(config: &mut Config, reader: &mut Reader) {
    let readers = config.readers.iter_mut().flat_map(|(id, of)| {
        let files = of.driver.key_files().into_iter();
        files.map(move |(key, file)| (format!("readers.{id}.osdp.{key}"), file))
    });
    let controllers = config.controllers.iter_mut().filter_map(|(id, of)| {
        let (key, file) = of.driver.key_file()?;
        Some((format!("controllers.{id}.osdp.{key}"), file))
    });
    for (path, file) in readers.chain(controllers) {
        {
            let Some(secret) = &file.key else { continue };
            let digits = secret.reveal().trim();
            let text = if digits.len() != 32 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
                "does not have 32 hexadecimal digits in its first line"
            } else if digits.eq_ignore_ascii_case(WELL_KNOWN) {
                "holds the default key, which everybody knows"
            } else {
                continue;
            };
            reader.findings.push(Finding {
                hint: "allowed: a key of its own, as doorline osdp new-key makes it".to_owned(),
                kind: FaultKind::File,
                span: reader.places.of(&path),
                text: format!("{} {text}", crate::read::quoted(&file.path.display().to_string())),
                path,
            });
        }
    }
}
