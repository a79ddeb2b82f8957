//! Controllers of somebody else: what is handed on to them, and how they are spoken to.

use std::collections::BTreeSet;

use gateway_card::format_named;

use super::Check;
use super::osdp::BAUDS;
use super::resource::{Claims, Ports};
use crate::fault::FaultKind;
use crate::model::{Controller, ControllerDriver, OsdpController, WiegandController};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, controller) in &config.controllers {
        let at = format!("controllers.{id}");
        forwarded(check, &at, controller);
        translated(check, &at, controller);
        handed(check, &at, controller);
        match &controller.driver {
            ControllerDriver::Osdp(of) => osdp(check, &format!("{at}.osdp"), of),
            ControllerDriver::Wiegand(of) => wiegand(check, &format!("{at}.wiegand"), of),
        }
    }
}

/// A card that nobody showed opens no door of anybody.
fn forwarded(check: &mut Check<'_>, at: &str, controller: &Controller) {
    let config = check.config;
    let mut seen = BTreeSet::new();
    for (index, reader) in controller.forward.iter().enumerate() {
        let key = format!("{at}.forward[{index}]");
        if config
            .readers
            .get(reader)
            .is_some_and(|of| of.driver.is_virtual())
        {
            let text = format!(
                "reader {:?} is virtual: cards that nobody shows would go to a real controller",
                reader.as_str()
            );
            check.fault(
                FaultKind::Unsafe,
                &key,
                &[],
                text,
                "allowed: readers that are there",
            );
        }
        if !seen.insert(reader) {
            let text = format!("{:?} is named twice", reader.as_str());
            check.fault(FaultKind::Duplicate, &key, &[], text, "allowed: each reader once");
        }
    }
}

/// Something has to go to it, and keys go by OSDP only.
fn handed(check: &mut Check<'_>, at: &str, controller: &Controller) {
    let (forward, keys, command) = (
        format!("{at}.forward"),
        format!("{at}.forward-keys"),
        format!("{at}.by-command"),
    );
    if controller.forward.is_empty() && !controller.by_command {
        let text = "nothing goes to this controller".to_owned();
        let hint = "add a reader, or by-command = true";
        check.fault(FaultKind::Missing, &forward, &[&command], text, hint);
    }
    if !controller.forward_keys {
        return;
    }
    let text = match &controller.driver {
        ControllerDriver::Wiegand(_) => "keys do not go out by Wiegand: makers do not agree on how",
        ControllerDriver::Osdp(_) if controller.forward.is_empty() => "no reader hands keys on",
        ControllerDriver::Osdp(_) => {
            let mut readers = controller.forward.iter();
            let shared = readers.find(|reader| {
                check
                    .config
                    .doors
                    .values()
                    .any(|door| door.readers.contains(reader))
            });
            if let Some(reader) = shared {
                let text = format!(
                    "codes that are typed at reader {:?} for the gateway's own door go to the controller, too",
                    reader.as_str()
                );
                check.warn(
                    FaultKind::Unsafe,
                    &keys,
                    text,
                    "a reader without a door of the gateway hands on what is the controller's",
                );
            }
            return;
        }
    };
    check.fault(
        FaultKind::Conflict,
        &keys,
        &[&forward],
        text.to_owned(),
        "remove it",
    );
}

fn translated(check: &mut Check<'_>, at: &str, controller: &Controller) {
    let facilities = format!("{at}.facilities");
    let Some(name) = &controller.format else {
        if !controller.facilities.is_empty() {
            let text = "bits that are passed on as they are have no other facility".to_owned();
            check.fault(
                FaultKind::Conflict,
                &facilities,
                &[],
                text,
                "add format, or remove it",
            );
        }
        return;
    };
    if format_named(name.as_str()).is_none() && !check.config.card_formats.contains_key(name) {
        let text = format!("{:?} is no card format", name.as_str());
        let hint = "allowed: those of doorline decode wiegand --formats, and those under card-formats";
        check.fault(FaultKind::Dangling, &format!("{at}.format"), &[], text, hint);
    }
    let mut seen = BTreeSet::new();
    for (index, pair) in controller.facilities.iter().enumerate() {
        if !seen.insert(pair.read) {
            let text = format!("facility {} is named twice", pair.read);
            let key = format!("{facilities}[{index}]");
            check.fault(
                FaultKind::Duplicate,
                &key,
                &[],
                text,
                "allowed: each facility once",
            );
        }
    }
}

fn osdp(check: &mut Check<'_>, at: &str, of: &OsdpController) {
    let key = |key: &str| format!("{at}.{key}");
    if !BAUDS.contains(&of.baud) {
        let text = format!("{} is no speed of OSDP", of.baud);
        let hint = "allowed: 9600, 19200, 38400, 57600, 115200, 230400";
        check.fault(FaultKind::BadValue, &key("baud"), &[], text, hint);
    }
    let (file, install, clear) = (key("key-file"), key("install"), key("unencrypted"));
    match (of.key_file.is_some(), of.install, of.unencrypted) {
        (true, false, false) => {}
        (false, true, false) => {
            let text =
                "who listens while the controller gives the key by the default key knows it from there on";
            let hint = "do it at the table; a controller whose key is known takes key-file in place of it";
            check.warn(FaultKind::Unsafe, &install, text.to_owned(), hint);
        }
        (false, false, true) => {
            let text =
                "whoever reaches the cable of this controller can read cards, repeat them and open its doors";
            let hint = "a controller with a secure channel takes key-file in place of it";
            check.warn(FaultKind::Unsafe, &clear, text.to_owned(), hint);
        }
        (false, false, false) => {
            let text = "nothing says how the controller is spoken to".to_owned();
            let hint = "needed: key-file = \"…\" with the controller's key, install = true if it gives one, or unencrypted = true \
                        for a controller without a secure channel";
            check.fault(FaultKind::Missing, at, &[&file, &install, &clear], text, hint);
        }
        (true, true, _) => {
            let text = "the reader has a key and would take another one".to_owned();
            let hint = "allowed: one of key-file, install and unencrypted";
            check.fault(FaultKind::Conflict, &install, &[&file], text, hint);
        }
        (_, _, true) => {
            let text = "the reader has a key and would be spoken to in the clear".to_owned();
            let hint = "allowed: one of key-file, install and unencrypted";
            check.fault(FaultKind::Conflict, &clear, &[&file, &install], text, hint);
        }
    }
}

/// Pulses that a program times come late and long whenever something else has the processor, and then it is another card.
fn wiegand(check: &mut Check<'_>, at: &str, of: &WiegandController) {
    if of.chip.is_some() {
        let text = "pulses of 20 to 100 µs cannot be timed on the pins of a GPIO chip by a program: the controller would read \
                    another card, or none"
            .to_owned();
        let hint = "remove it: D0 and D1 are outputs of a front end (docs/front-end.md), at port";
        check.fault(FaultKind::Unsafe, &format!("{at}.chip"), &[], text, hint);
    }
}

/// The port of a controller is for one reader that the gateway plays, and for nothing else.
pub(super) fn claims(check: &mut Check<'_>, ports: &mut Ports) {
    let mut alone = Claims::new();
    for (id, controller) in &check.config.controllers {
        match &controller.driver {
            ControllerDriver::Osdp(of) => {
                let (place, key) = (
                    of.port.display().to_string(),
                    format!("controllers.{id}.osdp.port"),
                );
                ports.add(check, place.clone(), "line of a controller", key.clone());
                alone.add(place, key);
            }
            // with the lines of its front end
            ControllerDriver::Wiegand(_) => {}
        }
    }
    alone.report(
        check,
        |place| place.clone(),
        "allowed: a port of its own for each controller",
    );
}
