//! What the keys of relay boards say together, of one and of those that share a port.

use std::collections::BTreeMap;

use super::Check;
use super::resource::{Alike, Claims, Ports};
use super::{controllers, front_end, osdp};
use crate::fault::FaultKind;
use crate::model::{InputDriver, Kmtronic, Modbus, ModbusInput, ModbusLine, OutputDriver};
use crate::value::BoardProfile;

/// Keys that mean something on a serial line only.
const SERIAL: [&str; 3] = ["baud", "parity", "rs485"];

pub(super) fn check(check: &mut Check<'_>, output: &str, driver: &OutputDriver) {
    let at = format!("{output}.{}", driver.family());
    match driver {
        OutputDriver::Kmtronic(board) => kmtronic(check, &at, board),
        OutputDriver::Modbus(board) => modbus(check, &at, board),
        OutputDriver::Dcttech(_)
        | OutputDriver::FrontEnd(_)
        | OutputDriver::Gpio(_)
        | OutputDriver::Http(_)
        | OutputDriver::Lcus1(_)
        | OutputDriver::Mqtt(_)
        | OutputDriver::Numato(_)
        | OutputDriver::Osdp(_)
        | OutputDriver::Virtual(_) => {}
    }
}

fn kmtronic(check: &mut Check<'_>, at: &str, board: &Kmtronic) {
    let (relays, channel) = (format!("{at}.relays"), format!("{at}.channel"));
    if ![1, 2, 4, 8].contains(&board.relays) {
        let text = format!("there is no board with {} relays", board.relays);
        check.fault(FaultKind::BadValue, &relays, &[], text, "allowed: 1, 2, 4, 8");
    } else if board.channel > board.relays {
        let text = format!("{} is no relay of a board with {}", board.channel, board.relays);
        let hint = format!("allowed: 1 to {}", board.relays);
        check.fault(FaultKind::OutOfRange, &channel, &[&relays], text, &hint);
    }
}

fn modbus(check: &mut Check<'_>, at: &str, board: &Modbus) {
    let key = |key: &str| format!("{at}.{key}");
    reached(check, at, &board.line(), "board");
    if board.profile == BoardProfile::Qyf {
        let text =
            "QYF boards are not driven: what switches a relay of theirs off is not documented".to_owned();
        let hint = "allowed: coils, lc-tech, n4d, ryn4, s2000-pp, waveshare, wb-domofon; coils if its sheet says on 0xFF00 and off 0x0000";
        check.fault(FaultKind::Unsafe, &key("profile"), &[], text, hint);
        return;
    }
    if board.profile == BoardProfile::S2000Sp1 {
        let text = "an S2000-SP1 speaks Orion, which is not published, and no Modbus".to_owned();
        let hint =
            "allowed: profile = \"s2000-pp\", the maker's converter, with the relays of the SP1 in its table";
        check.fault(FaultKind::Unsafe, &key("profile"), &[], text, hint);
        return;
    }
    let most = board.profile.channels();
    if board.channel > most {
        let text = format!(
            "{} is no relay of a board of profile {}",
            board.channel, board.profile
        );
        let hint = format!("allowed: 1 to {most}");
        check.fault(
            FaultKind::OutOfRange,
            &key("channel"),
            &[&key("profile")],
            text,
            &hint,
        );
    }
    if board.self_timed == Some(true) && !board.profile.is_timed() {
        let text = format!(
            "boards of profile {} have no timer that could end a pulse",
            board.profile
        );
        let hint = "allowed: with profile waveshare; else wire a timer relay and set timer-ms";
        check.fault(
            FaultKind::Conflict,
            &key("self-timed"),
            &[&key("profile")],
            text,
            hint,
        );
    }
}

/// What an input of a module says.
pub(super) fn inputs(check: &mut Check<'_>) {
    let config = check.config;
    for (id, input) in &config.inputs {
        let InputDriver::Modbus(input) = &input.driver else {
            continue;
        };
        let at = format!("inputs.{id}.modbus");
        reached(check, &at, &input.line(), "module");
        let (coil, discrete) = (format!("{at}.coil"), format!("{at}.discrete-input"));
        match (input.coil, input.discrete_input) {
            (Some(_), Some(_)) => {
                let text = "the input is a coil and a discrete input".to_owned();
                let hint = "allowed: one of coil and discrete-input";
                check.fault(FaultKind::Conflict, &discrete, &[&coil], text, hint);
            }
            (None, None) => {
                let text = "nothing says what is read of the module".to_owned();
                let hint = "needed: discrete-input = 0, as its sheet counts from 0, or coil = 0";
                check.fault(FaultKind::Missing, &at, &[&discrete, &coil], text, hint);
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
    }
}

fn reached(check: &mut Check<'_>, at: &str, line: &ModbusLine<'_>, what: &str) {
    let key = |key: &str| format!("{at}.{key}");
    match (line.port, line.host) {
        (Some(_), Some(_)) => {
            let text = format!("the {what} is reached by port and by host");
            let hint = "allowed: one of port and host";
            check.fault(FaultKind::Conflict, &key("host"), &[&key("port")], text, hint);
        }
        (None, None) => {
            let text = format!("nothing says where the {what} is");
            let hint = "needed: port = \"/dev/serial/by-id/…\", or host = \"192.0.2.8\"";
            let depends = [key("port"), key("host")];
            check.fault(FaultKind::Missing, at, &[&depends[0], &depends[1]], text, hint);
        }
        (Some(_), None) => without_meaning(check, at, &["framing"], "on a serial line: it is RTU"),
        (None, Some(_)) => without_meaning(check, at, &SERIAL, "on a network"),
    }
}

/// What all boards and modules on one line say alike.
fn alike(check: &mut Check<'_>, lines: &mut Alike, at: &str, line: &ModbusLine<'_>) {
    let (place, key) = (line.place(), |key: &str| format!("{at}.{key}"));
    lines.add(check, &place, key("baud"), &line.baud);
    lines.add(check, &place, key("parity"), &line.parity.word());
    lines.add(check, &place, key("rs485"), &line.rs485.word());
    lines.add(check, &place, key("framing"), &line.framing.word());
    lines.add(check, &place, key("gap-ms"), &line.gap.as_millis());
    lines.add(check, &place, key("timeout-ms"), &line.timeout.as_millis());
}

/// Inputs share lines with relay boards, each at an address of its own; a coil that the gateway itself switches is no input.
fn input_claims(
    check: &mut Check<'_>,
    lines: &mut Alike,
    ports: &mut Ports,
    switched: &BTreeMap<(String, u8, u16), String>,
) {
    let config = check.config;
    let mut claims = Claims::new();
    let modules = config
        .inputs
        .iter()
        .filter_map(|(id, input)| match &input.driver {
            InputDriver::Modbus(input) => Some((format!("inputs.{id}.modbus"), &**input)),
            InputDriver::Gpio(_)
            | InputDriver::Mqtt(_)
            | InputDriver::Osdp(_)
            | InputDriver::Virtual(_)
            | InputDriver::Webhook(_) => None,
        });
    let modules: Vec<(String, &ModbusInput)> = modules.collect();
    for (at, input) in modules {
        let place = input.line().place();
        if place.is_empty() {
            continue;
        }
        alike(check, lines, &at, &input.line());
        ports.add(check, place.clone(), "modbus", format!("{at}.port"));
        let key = input.coil.map_or("discrete-input", |_| "coil");
        let key = format!("{at}.{key}");
        if let Some(coil) = input.coil
            && let Some(relay) = switched.get(&(place.clone(), input.unit, coil))
        {
            let text = format!(
                "coil {coil} is a relay that the gateway itself switches ({}): it would press its own button",
                check.cite(relay)
            );
            let hint = "allowed: a coil or discrete input that nothing here switches";
            check.fault(FaultKind::Conflict, &key, &[relay], text, hint);
        }
        claims.add((place, input.unit, input.name()), key);
    }
    claims.report(
        check,
        |(place, unit, name)| format!("{name} of unit {unit} at {place}"),
        "allowed: one input for each",
    );
}

/// Who uses which port, board and relay, and whether those who share one mean the same.
pub(super) fn claims(check: &mut Check<'_>) {
    let config = check.config;
    let mut relays = Claims::new();
    let mut ports = Ports::default();
    let mut lines = Alike::new("allowed: the same for every board on one line");
    let mut boards = Alike::new("allowed: the same for every relay of one board");
    let mut switched = BTreeMap::new();
    for (id, output) in &config.outputs {
        let family = output.driver.family();
        let at = format!("outputs.{id}.{family}");
        let key = |key: &str| format!("{at}.{key}");
        let place = match &output.driver {
            OutputDriver::Dcttech(board) => {
                let place = format!("USB relay board {}", board.board);
                relays.add((place, 0, board.channel), key("channel"));
                continue;
            }
            OutputDriver::Kmtronic(board) => {
                let place = board.port.display().to_string();
                relays.add((place.clone(), 0, board.channel), key("channel"));
                lines.add(check, &place, key("baud"), &board.baud);
                boards.add(check, &place, key("relays"), &board.relays);
                place
            }
            OutputDriver::Numato(board) => {
                let place = board.port.display().to_string();
                relays.add((place.clone(), 0, board.channel), key("channel"));
                place
            }
            OutputDriver::Lcus1(board) => {
                let place = board.port.display().to_string();
                relays.add((place.clone(), 0, board.channel), key("channel"));
                lines.add(check, &place, key("baud"), &board.baud);
                place
            }
            OutputDriver::Modbus(board) => {
                let (place, unit) = (board.place(), board.address());
                relays.add((place.clone(), unit, board.channel), key("channel"));
                alike(check, &mut lines, &at, &board.line());
                let first = board.profile.first_coil();
                let first = first.map(|first| board.first_address.unwrap_or(first));
                if let Some(coil) = first.and_then(|first| first.checked_add(board.channel - 1)) {
                    switched.insert((place.clone(), unit, coil), key("channel"));
                }
                let unit = format!("{place} unit {unit}");
                boards.add(check, &unit, key("profile"), &board.profile.word());
                boards.add(check, &unit, key("first-address"), &board.first_address);
                boards.add(check, &unit, key("self-timed"), &board.is_self_timed());
                place
            }
            OutputDriver::FrontEnd(_)
            | OutputDriver::Gpio(_)
            | OutputDriver::Http(_)
            | OutputDriver::Mqtt(_)
            | OutputDriver::Osdp(_)
            | OutputDriver::Virtual(_) => continue,
        };
        ports.add(check, place, family, key("port"));
    }
    input_claims(check, &mut lines, &mut ports, &switched);
    osdp::claims(check, &mut ports);
    controllers::claims(check, &mut ports);
    front_end::claims(check, &mut ports);
    relays.report(
        check,
        |(place, unit, channel)| match unit {
            0 => format!("channel {channel} of {place}"),
            unit => format!("relay {channel} of unit {unit} at {place}"),
        },
        "allowed: one output for each channel",
    );
}

fn without_meaning(check: &mut Check<'_>, at: &str, keys: &[&str], place: &str) {
    for key in keys.iter().map(|key| format!("{at}.{key}")) {
        if check.is_written(&key) {
            let text = format!("has no meaning {place}");
            check.fault(FaultKind::Conflict, &key, &[], text, "remove it");
        }
    }
}
