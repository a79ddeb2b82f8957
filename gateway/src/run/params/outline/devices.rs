//! Devices of the site file: where they are, what they are for, and whose faults are their own.

use std::collections::BTreeSet;

use gateway_bus::{DeviceKind, DeviceOutline};
use gateway_config::{
    Backend, Config, ControllerDriver, InputDriver, LineDriver, OutputDriver, ReaderDriver,
};
use gateway_core::{ControllerId, DoorId, LineId, OutputId, ReaderId};

use super::super::{front_end, guard};
use super::uses::{Use, Uses};
use crate::run::adapters::{RPPAL, VIRTUAL, device_name, reader_name};
use crate::run::controllers::controller_name;
use crate::run::readers::Readers;
use crate::run::{lines, osdp};

/// All of them, by kind and name.
pub(super) fn devices(config: &Config) -> Vec<DeviceOutline> {
    let uses = Uses::of(config);
    let boards = boards(config);
    let mut all: Vec<DeviceOutline> = boards.iter().map(|board| board.shown(config, &uses)).collect();
    all.extend(front_ends(config, &uses));
    all.extend(config.controllers.iter().map(|(id, controller)| {
        let mut device = before(config, id, &controller.driver).device(DeviceKind::Controller, id, None);
        let cards = controller
            .forward
            .iter()
            .map(|reader| format!("cards of reader {reader}"));
        let keys = controller.forward.iter().filter(|_| controller.forward_keys);
        let keys = keys.map(|reader| format!("keys of reader {reader}"));
        let commands = controller.by_command.then(|| "cards by command".to_owned());
        device.uses = cards.chain(keys).chain(commands).collect();
        device
    }));
    all.extend(config.inputs.iter().map(|(id, input)| {
        let found = read_by(config, id, &input.driver);
        found.device(DeviceKind::Input, id, uses.inputs.get(id))
    }));
    all.extend(config.lines.iter().map(|(id, line)| {
        let mut found = carried_by(config, &line.driver);
        found.parts.push(format!("line:{id}"));
        found
            .parts
            .extend(lines::part(id).map(|part| format!("device:{part}")));
        found.device(DeviceKind::Line, id, uses.lines.get(id))
    }));
    all.extend(config.outputs.iter().map(|(id, output)| {
        let board = boards.iter().find(|board| board.outputs.contains(id));
        let mut found = driven_by(&output.driver);
        found.parts.push(format!("output:{id}"));
        found.parts.extend(board.map(Board::part));
        found.parts.push("guard".to_owned());
        found.device(DeviceKind::Output, id, uses.outputs.get(id))
    }));
    all.extend(config.readers.iter().map(|(id, reader)| {
        let found = reader_at(config, id, &reader.driver);
        found.device(DeviceKind::Reader, id, uses.readers.get(id))
    }));
    all.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
    all
}

/// Where something is, and of what family.
struct Found {
    driver: &'static str,
    parts: Vec<String>,
    place: String,
}

impl Found {
    fn new(driver: &'static str, place: impl Into<String>, parts: Vec<String>) -> Self {
        Self {
            driver,
            parts,
            place: place.into(),
        }
    }

    fn virtual_one(parts: Vec<String>) -> Self {
        Self::new("virtual", "", parts)
    }

    fn device(self, kind: DeviceKind, id: &impl ToString, uses: Option<&Vec<Use>>) -> DeviceOutline {
        let uses: Vec<Use> = uses.cloned().unwrap_or_default();
        let doors: BTreeSet<DoorId> = uses.iter().filter_map(|(_, door)| door.clone()).collect();
        DeviceOutline {
            doors: doors.into_iter().collect(),
            driver: self.driver,
            id: id.to_string(),
            kind,
            parts: self.parts,
            place: self.place,
            simulated: self.driver == "virtual",
            uses: uses.into_iter().map(|(what, _)| what).collect(),
        }
    }
}

fn of_device(name: impl std::fmt::Display) -> String {
    format!("device:{name}")
}

fn of_virtual() -> Vec<String> {
    vec![of_device(VIRTUAL)]
}

fn read_by(config: &Config, id: &gateway_core::InputId, driver: &InputDriver) -> Found {
    let outside = adapter_outside::device_of(id).map(of_device);
    match driver {
        InputDriver::Gpio(pin) => {
            let name = match pin.backend {
                Backend::Gpiocdev => device_name(id),
                Backend::Rppal => RPPAL.to_owned(),
            };
            let place = format!("{} line {}", pin.chip.display(), pin.line);
            Found::new("gpio", place, vec![of_device(name)])
        }
        InputDriver::Modbus(of) => {
            let place = format!("{} unit {} {}", of.line().place(), of.unit, of.name());
            let devices = super::super::modbus::devices_of(config, of).into_iter();
            Found::new("modbus", place, devices.map(of_device).collect())
        }
        InputDriver::Mqtt(mqtt) => {
            let parts = outside
                .into_iter()
                .chain([of_device(super::super::elsewhere::INPUTS)]);
            Found::new("mqtt", mqtt.topic.to_string(), parts.collect())
        }
        InputDriver::Osdp(of) => {
            let reader = config.readers.get(&of.reader);
            let at = reader.map(|reader| reader_at(config, &of.reader, &reader.driver));
            let (place, parts) = at.map_or_else(Default::default, |at| (at.place, at.parts));
            Found::new("osdp", format!("{place} input {}", of.number), parts)
        }
        InputDriver::Virtual(_) => Found::virtual_one(of_virtual()),
        InputDriver::Webhook(_) => Found::new(
            "webhook",
            format!("/api/v1/hooks/{id}"),
            outside.into_iter().collect(),
        ),
    }
}

fn reader_at(config: &Config, id: &gateway_core::ReaderId, driver: &ReaderDriver) -> Found {
    let own = of_device(reader_name(id));
    match driver {
        ReaderDriver::ClockData(reader) => {
            let (chip, clock, data) = (reader.chip.display(), reader.clock, reader.data);
            Found::new(
                "clock-data",
                format!("{chip} lines {clock} and {data}"),
                vec![own],
            )
        }
        ReaderDriver::FrontEndClockData(reader) => {
            let (port, clock, data) = (&reader.port, reader.clock_input, reader.data_input);
            let place = format!("{} inputs {clock} and {data}", port.display());
            let parts = [own].into_iter().chain(front_end_at(config, port));
            Found::new("front-end-clock-data", place, parts.collect())
        }
        ReaderDriver::FrontEndKeys(reader) => {
            let place = format!("{} input {}", reader.port.display(), reader.input);
            let parts = [own].into_iter().chain(front_end_at(config, &reader.port));
            Found::new("front-end-keys", place, parts.collect())
        }
        ReaderDriver::Ibutton(reader) => {
            Found::new("ibutton", reader.master.display().to_string(), vec![own])
        }
        ReaderDriver::Osdp(reader) => {
            let lines = osdp::line_names(config);
            let line = lines.get(&reader.port).map(of_device);
            let place = format!("{} address {}", reader.port.display(), reader.address);
            Found::new("osdp", place, [own].into_iter().chain(line).collect())
        }
        ReaderDriver::Virtual(_) => Found::virtual_one(of_virtual()),
        ReaderDriver::Wiegand(reader) => {
            let (chip, d0, d1) = (reader.chip.display(), reader.d0, reader.d1);
            Found::new("wiegand", format!("{chip} lines {d0} and {d1}"), vec![own])
        }
    }
}

/// The reader that stands before a controller.
fn before(config: &Config, id: &ControllerId, driver: &ControllerDriver) -> Found {
    match driver {
        ControllerDriver::Osdp(of) => {
            let place = format!("{} address {}", of.port.display(), of.address);
            Found::new("osdp", place, vec![of_device(controller_name(id))])
        }
        ControllerDriver::Wiegand(of) => {
            let place = format!(
                "{} outputs {} and {}",
                of.port.display(),
                of.d0_output,
                of.d1_output
            );
            Found::new("wiegand", place, front_end_at(config, &of.port))
        }
    }
}

/// The adapter of the front end at a port.
fn front_end_at(config: &Config, port: &std::path::Path) -> Vec<String> {
    let adapters = front_end::front_ends(config, &Readers::default());
    let adapter = adapters.iter().find(|(_, front_end)| front_end.port == port);
    adapter.map(|(name, _)| of_device(name)).into_iter().collect()
}

fn carried_by(config: &Config, driver: &LineDriver) -> Found {
    match driver {
        LineDriver::Contact(_) => Found::new("contact", "", vec![]),
        LineDriver::FrontEnd(of) => {
            let parts = front_end_at(config, &of.port);
            Found::new("front-end", of.port.display().to_string(), parts)
        }
        LineDriver::Virtual(_) => Found::virtual_one(of_virtual()),
    }
}

fn driven_by(driver: &OutputDriver) -> Found {
    let (family, place) = match driver {
        OutputDriver::Dcttech(of) => {
            let place = format!("USB relay board {} channel {}", of.board, of.channel);
            ("dcttech", place)
        }
        OutputDriver::FrontEnd(of) => ("front-end", format!("{} door {}", of.port.display(), of.door)),
        OutputDriver::Gpio(pin) => ("gpio", format!("{} line {}", pin.chip.display(), pin.line)),
        OutputDriver::Http(of) => ("http", of.server.to_string()),
        OutputDriver::Kmtronic(of) => (
            "kmtronic",
            format!("{} channel {}", of.port.display(), of.channel),
        ),
        OutputDriver::Lcus1(of) => ("lcus1", format!("{} channel {}", of.port.display(), of.channel)),
        OutputDriver::Modbus(of) => {
            let place = format!("{} unit {} channel {}", of.place(), of.address(), of.channel);
            ("modbus", place)
        }
        OutputDriver::Mqtt(of) => ("mqtt", of.topic.to_string()),
        OutputDriver::Numato(of) => ("numato", format!("{} channel {}", of.port.display(), of.channel)),
        OutputDriver::Osdp(of) => ("osdp", format!("reader {} output {}", of.reader, of.number)),
        OutputDriver::Virtual(_) => ("virtual", String::new()),
    };
    Found::new(family, place, vec![])
}

/// Something that holds outputs.
struct Board {
    device: String,
    outputs: Vec<OutputId>,
}

/// What the relay guard holds, by the names that it has for it.
fn boards(config: &Config) -> Vec<Board> {
    let boards = guard::boards(config).into_iter();
    boards
        .map(|board| Board {
            device: board.driver.device(),
            outputs: board.outputs.into_iter().map(|output| output.output).collect(),
        })
        .collect()
}

impl Board {
    fn part(&self) -> String {
        format!("output:{}", self.device)
    }

    fn shown(&self, config: &Config, uses: &Uses) -> DeviceOutline {
        let first = self.outputs.first().and_then(|id| config.outputs.get(id));
        let driver = first.map_or("", |output| driven_by(&output.driver).driver);
        let doors = |id: &OutputId| {
            let of = uses.outputs.get(id).into_iter().flatten();
            of.filter_map(|(_, door)| door.clone()).collect::<Vec<_>>()
        };
        let outputs: Vec<Use> = self
            .outputs
            .iter()
            .flat_map(|id| {
                let what = format!("output {id}");
                match doors(id).as_slice() {
                    [] => vec![(what, None)],
                    all => all
                        .iter()
                        .map(|door| (what.clone(), Some(door.clone())))
                        .collect(),
                }
            })
            .collect();
        let place = match driver {
            "virtual" => String::new(),
            _ => self.device.clone(),
        };
        let found = Found::new(driver, place, vec![self.part(), "guard".to_owned()]);
        found.device(DeviceKind::Board, &self.device, Some(&outputs))
    }
}

/// Microcontrollers on panel lines, by the ports that open nothing.
fn front_ends(config: &Config, uses: &Uses) -> Vec<DeviceOutline> {
    let lines_at = |port: &std::path::Path| {
        let lines = config.lines.iter().filter(move |(_, line)| match &line.driver {
            LineDriver::FrontEnd(of) => of.port == port,
            LineDriver::Contact(_) | LineDriver::Virtual(_) => false,
        });
        lines.map(|(id, _)| id.clone()).collect::<Vec<LineId>>()
    };
    let shown = |(name, of): (String, adapter_front_end::FrontEnd)| {
        let lines = lines_at(&of.port);
        let readers = of.readers.iter().map(|of| of.of.reader.clone());
        let readers: Vec<ReaderId> = readers.collect();
        let found = Found::new("front-end", of.port.display().to_string(), vec![of_device(&name)]);
        let of_lines = lines.iter().filter_map(|line| uses.lines.get(line));
        let of_readers = readers.iter().filter_map(|reader| uses.readers.get(reader));
        let served: Vec<Use> = of_lines.chain(of_readers).flatten().cloned().collect();
        let mut device = found.device(DeviceKind::FrontEnd, &name, Some(&served));
        let lines = lines.iter().map(|line| format!("line {line}"));
        let readers = readers.iter().map(|reader| format!("reader {reader}"));
        device.uses = lines.chain(readers).collect();
        device
    };
    front_end::front_ends(config, &Readers::default())
        .into_iter()
        .map(shown)
        .collect()
}
