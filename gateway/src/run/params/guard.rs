//! Parameters of the relay guard, made by the guard's own process from the same file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adapter_api::{BoxFuture, OutputDriver};
use gateway_config::{Config, Late, Output, OutputDriver as Driver};
use gateway_core::OutputId;
use gateway_guard::{GuardBoard, GuardError, GuardOutput, GuardParams, SentinelParams};
use gateway_guard_proto::{HolderError, Wiring, Wirings};

use super::vanished::vanished;
use super::{elsewhere, front_end, modbus, relays, serial};
use crate::run::{THIS_PROGRAM, relay_file};

/// The guard's socket.
pub(crate) fn socket(config: &Config) -> PathBuf {
    config.site.run_dir.join("guard.sock")
}

/// What the guard holds. Outputs on one device share a driver, so that it is opened once.
pub(crate) fn guard(config: &Config, file: &Path, follow_stdin: bool) -> GuardParams {
    let sentinel = SentinelParams {
        args: [
            "relay-guard".into(),
            "--sentinel".into(),
            "--config".into(),
            file.into(),
        ]
        .into(),
        program: THIS_PROGRAM.into(),
    };
    let (boards, services) = held(config);
    GuardParams {
        boards,
        follow_stdin,
        lease: config.guard.lease,
        sentinel: Some(sentinel),
        services,
        socket: socket(config),
    }
}

/// What the relay guard would not take, and end instead of holding any output: found before, so that no door learns of it
/// first.
pub(crate) fn unguarded(config: &Config) -> Option<Late> {
    let error = gateway_guard::acceptable(&guard(config, Path::new(""), false)).err()?;
    let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
    let path = if let GuardError::Config(HolderError::SharedLine { second, .. }) = &error {
        format!("outputs.{second}")
    } else {
        "outputs".to_owned()
    };
    Some(Late {
        hint: "allowed: one output for each relay; what is one relay has one name".to_owned(),
        path,
        text: format!("the relay guard would not start: {cause}"),
    })
}

/// The wire of each output, for gateway and guard to compare.
pub(crate) fn wirings(config: &Config) -> Wirings {
    let wire = |(id, output): (&OutputId, &Output)| (id.clone(), wiring(config, id, output));
    config.outputs.iter().map(wire).collect()
}

/// Device, channel and polarity, and whether it opens. Limits are not part of it: each side keeps its own, and the
/// shorter one counts.
fn wiring(config: &Config, id: &OutputId, output: &Output) -> Wiring {
    let wire = match &output.driver {
        Driver::FrontEnd(of) => {
            let place = format!("front-end {} {}", of.port.display(), of.door);
            match front_end::opening(config, of) {
                // another frame opens another door
                Some(adapter_front_end::Opening::Row(row)) => format!("{place} row {:?}", row.times_us),
                Some(adapter_front_end::Opening::Telegram { coding, frame, .. }) => {
                    format!("{place} telegram {coding:?} {frame}")
                }
                Some(adapter_front_end::Opening::Press(_)) | None => place,
            }
        }
        Driver::Dcttech(relay) => format!("dcttech {} {}", relay.board, relay.channel),
        Driver::Gpio(pin) => {
            let level = if pin.active_low { "low" } else { "high" };
            format!("gpio {} {} {level}", pin.chip.display(), pin.line)
        }
        Driver::Lcus1(relay) => format!("lcus1 {} {}", relay.port.display(), relay.channel),
        Driver::Kmtronic(relay) => format!("kmtronic {} {}", relay.port.display(), relay.channel),
        Driver::Modbus(relay) => modbus::wiring(relay),
        Driver::Http(relay) => elsewhere::web_wiring(relay),
        Driver::Mqtt(relay) => elsewhere::wiring(relay),
        Driver::Numato(relay) => format!("numato {} {}", relay.port.display(), relay.channel),
        Driver::Osdp(relay) => format!("osdp {} {}", relay.reader, relay.number),
        Driver::Virtual(_) => "virtual".to_owned(),
    };
    // who takes it for a lock and who takes it for a lamp do not mean the same
    match config.relays.values().find(|relay| relay.output == *id) {
        Some(relay) => Wiring::of(&format!("{wire} tells {}", relay.function.family())),
        None => Wiring::of(&wire),
    }
}

/// Outputs of readers, those of each reader a board of their own: one that is away is a fault of its own outputs only.
fn of_readers(config: &Config, output: impl Fn(&OutputId, u16) -> GuardOutput) -> Vec<GuardBoard> {
    let mut readers: BTreeMap<&gateway_core::ReaderId, Vec<GuardOutput>> = BTreeMap::new();
    for (id, of) in &config.outputs {
        if let Driver::Osdp(relay) = &of.driver {
            let outputs = readers.entry(&relay.reader).or_default();
            outputs.push(output(id, relay.number.into()));
        }
    }
    let board = |(reader, outputs): (&gateway_core::ReaderId, Vec<GuardOutput>)| {
        let socket = crate::run::osdp::output_socket(config, reader)?;
        Some(GuardBoard {
            driver: Box::new(adapter_osdp::OsdpOutputs::new(socket, reader.clone())) as Box<dyn OutputDriver>,
            outputs,
            vanished: String::new(),
        })
    };
    readers.into_iter().filter_map(board).collect()
}

/// One board for each chip, serial port or unit on it, and for all that is virtual.
pub(super) fn boards(config: &Config) -> Vec<GuardBoard> {
    held(config).0
}

/// The boards, and the lines of theirs on which the gateway has something read.
fn held(config: &Config) -> (Vec<GuardBoard>, Vec<BoxFuture<'static, ()>>) {
    let mut gpio: BTreeMap<(PathBuf, bool), Vec<(OutputId, &gateway_config::GpioOutput)>> = BTreeMap::new();
    let mut hid: BTreeMap<&str, Vec<(OutputId, u16)>> = BTreeMap::new();
    let mut serial = serial::Boards::default();
    let mut simulated: Vec<OutputId> = vec![];
    let mut modbus = modbus::Boards::default();
    let mut front_ends = front_end::Doors::default();
    for (id, output) in &config.outputs {
        match &output.driver {
            Driver::Dcttech(relay) => {
                let board = hid.entry(relay.board.as_str()).or_default();
                board.push((id.clone(), relay.channel));
            }
            Driver::FrontEnd(of) => front_ends.add(config, id, of),
            Driver::Gpio(pin) => {
                let rppal = matches!(pin.backend, gateway_config::Backend::Rppal);
                gpio.entry((pin.chip.clone(), rppal))
                    .or_default()
                    .push((id.clone(), pin));
            }
            Driver::Kmtronic(_) | Driver::Lcus1(_) | Driver::Numato(_) => serial.add(id, &output.driver),
            Driver::Modbus(relay) => modbus.add(id, relay),
            Driver::Http(_) | Driver::Mqtt(_) | Driver::Osdp(_) => {}
            Driver::Virtual(_) => simulated.push(id.clone()),
        }
    }
    let output = |id: &OutputId, channel| GuardOutput {
        channel,
        max_on: config
            .outputs
            .get(id)
            .map_or(std::time::Duration::ZERO, |o| o.max_on),
        output: id.clone(),
        relay: relays::guarded(config, id),
        wiring: config
            .outputs
            .get(id)
            .map_or(Wiring(0), |output| wiring(config, id, output)),
    };
    let mut boards = vec![];
    for ((chip, rppal), pins) in &gpio {
        // the configuration allows offsets that fit: a chip has fewer than 1024 lines
        let channel = |pin: &gateway_config::GpioOutput| u16::try_from(pin.line).unwrap_or(u16::MAX);
        let lines = pins.iter().map(|(_, pin)| adapter_gpio::OutputLine {
            active_low: pin.active_low,
            line: channel(pin),
        });
        let backend = if *rppal {
            adapter_gpio::Backend::Rppal
        } else {
            adapter_gpio::Backend::Gpiocdev
        };
        let driver = adapter_gpio::GpioOutputs::new(backend, chip.clone(), lines.collect());
        let outputs = pins.iter().map(|(id, pin)| output(id, channel(pin))).collect();
        boards.push(GuardBoard {
            driver: Box::new(driver) as Box<dyn OutputDriver>,
            outputs,
            vanished: String::new(),
        });
    }
    for (board, relays) in hid {
        let driver = adapter_hid_relay::HidRelay::new(board.to_owned());
        boards.push(GuardBoard {
            driver: Box::new(driver) as Box<dyn OutputDriver>,
            outputs: relays.iter().map(|(id, channel)| output(id, *channel)).collect(),
            vanished: String::new(),
        });
    }
    boards.extend(serial.made(output));
    let (on_lines, services) = modbus.made(config, output);
    boards.extend(on_lines);
    boards.extend(front_ends.made(output));
    boards.extend(of_readers(config, output));
    boards.extend(elsewhere::boards(config, output));
    boards.extend(elsewhere::web_boards(config, output));
    if !simulated.is_empty() {
        let channels: Vec<(u16, OutputId)> = (1..).zip(simulated).collect();
        let names = channels.iter().map(|(n, id)| (*n, id.to_string())).collect();
        let driver = adapter_virtual::VirtualRelay::new(&relay_file(&config.site.run_dir), names);
        let outputs = channels.iter().map(|(n, id)| output(id, *n)).collect();
        boards.push(GuardBoard {
            driver: Box::new(driver) as Box<dyn OutputDriver>,
            outputs,
            vanished: String::new(),
        });
    }
    for board in &mut boards {
        board.vanished = vanished(config, board.outputs.iter().map(|o| &o.output));
    }
    (boards, services)
}
