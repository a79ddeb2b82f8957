//! Resources that only one user may hold.

use std::fmt::Display;
use std::path::Path;

use gateway_core::Secret;

use super::resource::Claims;
use super::{Check, boards};
use crate::fault::FaultKind;
use crate::model::{Config, InputDriver, OutputDriver, ReaderDriver, RelayFunction};

pub(super) fn check(check: &mut Check<'_>) {
    devices(check);
    boards::claims(check);
    input_roles(check);
    presses(check);
    doors(check);
    accounts(check);
    ports(check);
}

fn devices(check: &mut Check<'_>) {
    let config = check.config;
    let mut gpio = Claims::new();
    for (id, output) in &config.outputs {
        if let OutputDriver::Gpio(pin) = &output.driver {
            gpio.add(
                (chip_name(&pin.chip), pin.line),
                format!("outputs.{id}.gpio.line"),
            );
        }
    }
    for (id, input) in &config.inputs {
        if let InputDriver::Gpio(pin) = &input.driver {
            gpio.add((chip_name(&pin.chip), pin.line), format!("inputs.{id}.gpio.line"));
        }
    }
    for (id, reader) in &config.readers {
        let (chip, lines, wires) = match &reader.driver {
            ReaderDriver::ClockData(reader) => (&reader.chip, reader.lines(), reader.wires()),
            ReaderDriver::FrontEndClockData(_)
            | ReaderDriver::FrontEndKeys(_)
            | ReaderDriver::Ibutton(_)
            | ReaderDriver::Osdp(_)
            | ReaderDriver::Virtual(_) => continue,
            ReaderDriver::Wiegand(reader) => {
                let lines = vec![("d0", reader.d0), ("d1", reader.d1)];
                (&reader.chip, lines, reader.wires())
            }
        };
        let at = format!("readers.{id}.{}", reader.driver.family());
        for (key, line) in lines {
            gpio.add((chip_name(chip), line), format!("{at}.{key}"));
        }
        for (key, wire) in wires {
            gpio.add((chip_name(&wire.chip), wire.line), format!("{at}.{key}.line"));
        }
    }
    let mut masters = Claims::new();
    for (id, reader) in &config.readers {
        if let ReaderDriver::Ibutton(reader) = &reader.driver {
            masters.add(chip_name(&reader.master), format!("readers.{id}.ibutton.master"));
        }
    }
    masters.report(
        check,
        |master| format!("1-Wire master {master}"),
        "allowed: one reader for each master",
    );
    gpio.report(
        check,
        |(chip, line)| format!("line {line} of {chip}"),
        "allowed: one output or input for each line",
    );
}

/// `gpiochip0` and `/dev/gpiochip0` are the same chip.
fn chip_name(chip: &Path) -> String {
    chip.file_name()
        .unwrap_or(chip.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Every place that uses an input, with the input.
pub(super) fn roles(config: &Config) -> Vec<(String, &gateway_core::InputId)> {
    let mut roles = Vec::new();
    for (id, panel) in &config.panels {
        for (button, use_of) in &panel.buttons {
            if let Some(input) = &use_of.input {
                roles.push((format!("panels.{id}.buttons.{button}.input"), input));
            }
        }
    }
    for (id, door) in &config.doors {
        for (name, use_of) in door.senses() {
            if let Some(use_of) = use_of {
                roles.push((format!("doors.{id}.{name}.input"), &use_of.input));
            }
        }
        for (index, rex) in door.rex.iter().enumerate() {
            roles.push((format!("doors.{id}.rex[{index}].input"), &rex.input));
        }
    }
    if let Some(input) = &config.site.fire_input {
        roles.push(("site.fire-input".to_owned(), input));
    }
    if let Some(input) = &config.site.lockdown_input {
        roles.push(("site.lockdown-input".to_owned(), input));
    }
    for (key, input) in [
        ("reset-input", &config.start.reset_input),
        ("tell-input", &config.start.tell_input),
    ] {
        if let Some(input) = input {
            roles.push((format!("start.{key}"), input));
        }
    }
    for (id, group) in &config.door_groups {
        if let Some(input) = &group.lockdown_input {
            roles.push((format!("door-groups.{id}.lockdown-input"), input));
        }
    }
    for (id, alarm) in &config.alarms {
        if let Some(input) = &alarm.input {
            roles.push((format!("alarms.{id}.input"), input));
        }
    }
    for (id, relay) in &config.relays {
        if let RelayFunction::MainsFault(mains) = &relay.function {
            roles.push((format!("relays.{id}.mains-fault.input"), &mains.input));
        }
    }
    roles
}

/// Is it looked at beside the role that it has, or without one: by a rule, or a light?
fn is_looked_at(config: &Config, input: &gateway_core::InputId) -> bool {
    let by_light = config
        .relays
        .values()
        .any(|relay| matches!(&relay.function, RelayFunction::Light(light) if light.inputs.contains(input)));
    let by_rule = config.rules.values().any(|rule| {
        let mut sources = rule.sources.iter().flatten();
        let mut states = rule.when.states.iter();
        sources.any(|source| source == input.as_str())
            || states.any(|state| state.input.as_ref() == Some(input))
    });
    by_light || by_rule
}

fn input_roles(check: &mut Check<'_>) {
    let mut inputs = Claims::new();
    for (at, input) in roles(check.config) {
        inputs.add(input.clone(), at);
    }
    for id in check.config.inputs.keys() {
        if !inputs.has(id) && !is_looked_at(check.config, id) {
            let text = "no panel, door or fire input uses it".to_owned();
            check.warn(
                FaultKind::Conflict,
                &format!("inputs.{id}"),
                text,
                "use it, or remove it",
            );
        }
    }
    let hint = "allowed: one role for each input";
    inputs.report(check, |input| format!("input {:?}", input.as_str()), hint);
}

fn doors(check: &mut Check<'_>) {
    let config = check.config;
    let mut outputs = Claims::new();
    let mut readers = Claims::new();
    let mut cards = Claims::new();
    for (id, door) in &config.doors {
        if let Some(output) = &door.output {
            outputs.add(output.clone(), format!("doors.{id}.output"));
        }
        for (index, reader) in door.readers.iter().enumerate() {
            readers.add(reader.clone(), format!("doors.{id}.readers[{index}]"));
        }
        let mut callers = Claims::new();
        for (index, caller) in door.callers.iter().enumerate() {
            callers.add(
                caller.number.clone(),
                format!("doors.{id}.callers[{index}].number"),
            );
        }
        callers.report(
            check,
            |number| format!("caller {number}"),
            "allowed: each caller once",
        );
    }
    for (id, panel) in &config.panels {
        let mut served = Claims::new();
        for (index, door) in panel.doors.iter().enumerate() {
            served.add(door.clone(), format!("panels.{id}.doors[{index}]"));
        }
        served.report(
            check,
            |door| format!("door {:?}", door.as_str()),
            "allowed: each door once",
        );
    }
    for (id, list) in &config.lists {
        let mut targets = Claims::new();
        for (index, target) in list.targets.iter().enumerate() {
            let who = target.to.as_ref().map(ToString::to_string);
            let Some(who) = who.or_else(|| target.contact.clone()) else {
                continue;
            };
            let resource = (who, target.account.clone());
            targets.add(resource, format!("lists.{id}.targets[{index}]"));
        }
        targets.report(
            check,
            |(to, _)| format!("target {to}"),
            "allowed: each target once",
        );
    }
    for (id, card) in &config.cards {
        cards.add(
            (card.card.bits, Secret::new(hex(&card.card.data))),
            format!("cards.{id}.card"),
        );
    }
    outputs.report(
        check,
        |output| format!("output {:?}", output.as_str()),
        "allowed: one door for each output",
    );
    readers.report(
        check,
        |reader| format!("reader {:?}", reader.as_str()),
        "allowed: one door for each reader",
    );
    cards.report(
        check,
        |_| "this card".to_owned(),
        "allowed: each card once, with all its doors",
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn accounts(check: &mut Check<'_>) {
    let mut users = Claims::new();
    for (id, account) in &check.config.accounts {
        let port = account.port.unwrap_or_default();
        users.add(
            (account.user.clone(), account.domain.clone(), port),
            format!("accounts.{id}.user"),
        );
    }
    users.report(
        check,
        |(user, domain, _)| format!("extension {user} at {domain}"),
        "allowed: one account for each extension; several panels may share an account",
    );
}

fn ports(check: &mut Check<'_>) {
    let sip = &check.config.sip;
    let mut tcp = Claims::new();
    for (key, port) in [("tcp-port", sip.tcp_port), ("tls-port", sip.tls_port)] {
        if port != 0 {
            tcp.add(port, format!("sip.{key}"));
        }
    }
    if let Some(http) = &check.config.http {
        if http.listen.port() == 0 {
            let text = format!(
                "{} has no port: a free one would be taken, another at each start",
                http.listen
            );
            let hint = "allowed: a port from 1 to 65535, such as 127.0.0.1:8080";
            check.fault(FaultKind::OutOfRange, "http.listen", &[], text, hint);
        }
        let (a, b) = (sip.bind, http.listen.ip());
        if a == b || a.is_unspecified() || b.is_unspecified() {
            tcp.add(http.listen.port(), "http.listen".to_owned());
        }
    }
    tcp.report(
        check,
        |port| named("TCP port", port),
        "allowed: a port of its own for each",
    );
    if sip.rtp_ports.contains(&sip.udp_port) {
        let (low, high) = (sip.rtp_ports.start(), sip.rtp_ports.end());
        let text = format!("{low} to {high} holds {}, which sip.udp-port takes", sip.udp_port);
        let hint = "allowed: a range without the port of SIP";
        check.fault(
            FaultKind::Duplicate,
            "sip.rtp-ports",
            &["sip.udp-port"],
            text,
            hint,
        );
    }
}

fn named(what: &str, number: &impl Display) -> String {
    format!("{what} {number}")
}

/// Nobody waits at an exit, in a fire, or for what only says how something is.
fn presses(check: &mut Check<'_>) {
    let config = check.config;
    for (at, input) in roles(config) {
        let waits = at.starts_with("panels.") || at.starts_with("start.");
        if waits || config.inputs.get(input).is_none_or(|input| input.press.is_none()) {
            continue;
        }
        let text = format!("{at} would wait for it");
        let hint = "remove it: press-ms is for buttons";
        check.fault(
            FaultKind::Unsafe,
            &format!("inputs.{input}.press-ms"),
            &[&at],
            text,
            hint,
        );
    }
}
