//! Front ends of panel lines: the gateway's adapters of their line ports, and the guard's drivers of their door ports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::run::adapters::reader_name;
use crate::run::readers::Readers;
use adapter_api::OutputDriver;
use adapter_front_end::{
    CardWires, ClockDataInputs, FrontEnd, FrontEndController, FrontEndDoors, FrontEndLine, FrontEndReader,
    FrontEndReaderPort, KeyContact, Opening, ReaderInputs, ReaderLights, Wiring,
};
use adapter_ibutton::KeyKinds;
use adapter_wiegand::ClockDataParams;
use gateway_config::{
    Config, ContactKey, ControllerDriver, LineDriver, OutputDriver as Driver, ReaderDriver,
};
use gateway_core::{DeviceId, LineId, OutputId, ReaderId};
use gateway_guard::{GuardBoard, GuardOutput};
use gateway_panel::{LineInputs, LineParams, Ranges};

/// Which apartments ring on a line: those of all its panels.
fn subscribed(config: &Config, line: &LineId) -> Ranges {
    let panels = config.panels.values().filter(|panel| panel.line == *line);
    let apartments = panels.filter_map(|panel| panel.apartments.as_ref());
    apartments
        .flat_map(|of| {
            of.subscribed
                .iter()
                .chain(of.concierge_for.iter().flat_map(Ranges::iter))
        })
        .collect()
}

fn wiring(config: &Config, id: &LineId, of: &gateway_config::FrontEndLine) -> Wiring {
    let door = config.outputs.values().find_map(|output| match &output.driver {
        Driver::FrontEnd(door) if door.line == *id => Some(door.door),
        Driver::Dcttech(_)
        | Driver::FrontEnd(_)
        | Driver::Gpio(_)
        | Driver::Http(_)
        | Driver::Kmtronic(_)
        | Driver::Lcus1(_)
        | Driver::Modbus(_)
        | Driver::Mqtt(_)
        | Driver::Numato(_)
        | Driver::Osdp(_)
        | Driver::Virtual(_) => None,
    });
    Wiring {
        call: of.call_input,
        busy: of.busy_input,
        floor: of.floor_input,
        handset: of.handset_input,
        hook: of.hook_output,
        exclude: of.exclude_output,
        mute: of.mute_output,
        door,
    }
}

/// A front end whose line port is there, and nothing at it yet.
fn at_port(port: &Path, baud: u32) -> FrontEnd {
    FrontEnd {
        baud,
        controllers: Vec::new(),
        lines: Vec::new(),
        port: port.to_owned(),
        readers: Vec::new(),
    }
}

/// A reader at a front end: the front end's port and speed, and where the reader is wired; `None` for other readers.
fn reader<'a>(id: &ReaderId, driver: &'a ReaderDriver) -> Option<(&'a Path, u32, FrontEndReader)> {
    let (port, baud, inputs, lights) = match driver {
        ReaderDriver::FrontEndClockData(of) => {
            let inputs = ClockDataInputs {
                active_low: of.active_low,
                clock: of.clock_input,
                data: of.data_input,
                present: of.card_present_input,
            };
            let params = ClockDataParams {
                card_present: of.card_present_input.is_some(),
                frame_gap: of.frame_gap,
                repeat: of.repeat,
            };
            let lights = ReaderLights {
                beeper: of.beeper_output,
                led: of.led_output,
                second_led: of.second_led_output,
            };
            (&of.port, of.baud, ReaderInputs::ClockData(inputs, params), lights)
        }
        ReaderDriver::FrontEndKeys(of) => {
            let contact = KeyContact {
                input: of.input,
                kinds: KeyKinds {
                    cyfral: of.keys.contains(&ContactKey::Cyfral),
                    ds1990a: of.keys.contains(&ContactKey::Ds1990a),
                    metakom: of.keys.contains(&ContactKey::Metakom),
                },
                pull: of.pull_output,
                repeat: of.repeat,
            };
            let lights = ReaderLights {
                beeper: of.beeper_output,
                led: of.led_output,
                second_led: of.second_led_output,
            };
            (&of.port, of.baud, ReaderInputs::Keys(contact), lights)
        }
        ReaderDriver::ClockData(_)
        | ReaderDriver::Ibutton(_)
        | ReaderDriver::Osdp(_)
        | ReaderDriver::Virtual(_)
        | ReaderDriver::Wiegand(_) => return None,
    };
    let reader = id.clone();
    let of = FrontEndReader {
        inputs,
        lights,
        reader,
    };
    Some((port.as_path(), baud, of))
}

/// One adapter for each line port, by name, with the lines, readers and controllers on it. A line whose profile could not be read has none; that is told elsewhere.
pub(crate) fn front_ends(config: &Config, readers: &Readers) -> BTreeMap<String, FrontEnd> {
    let mut ports: BTreeMap<PathBuf, FrontEnd> = BTreeMap::new();
    for (id, line) in &config.lines {
        let LineDriver::FrontEnd(of) = &line.driver else {
            continue;
        };
        let Some(profile) = of.panel_profile() else {
            continue;
        };
        let new = || at_port(&of.port, of.baud);
        let front_end = ports.entry(of.port.clone()).or_insert_with(new);
        front_end.lines.push(FrontEndLine {
            line: id.clone(),
            params: LineParams {
                bus: of.bus(),
                inputs: LineInputs {
                    busy: of.busy_input.is_some(),
                    floor: of.floor_input.is_some(),
                    handset: of.handset_input.is_some(),
                },
                mute: of.mute_chime,
                profile: profile.clone(),
                subscribed: subscribed(config, id),
            },
            wiring: wiring(config, id, of),
        });
    }
    for (id, controller) in &config.controllers {
        let ControllerDriver::Wiegand(of) = &controller.driver else {
            continue;
        };
        let new = || at_port(&of.port, of.baud);
        let front_end = ports.entry(of.port.clone()).or_insert_with(new);
        front_end.controllers.push(FrontEndController {
            cards: readers.cards(),
            wires: CardWires {
                controller: id.clone(),
                d0: of.d0_output,
                d1: of.d1_output,
                interval_us: of.interval_us,
                led: of.led_input,
                pulse_us: of.pulse_us,
            },
        });
    }
    for (id, of) in &config.readers {
        let Some((port, baud, of)) = reader(id, &of.driver) else {
            continue;
        };
        let Ok(device) = DeviceId::new(&reader_name(id)) else {
            continue;
        };
        let new = || at_port(port, baud);
        let front_end = ports.entry(port.to_owned()).or_insert_with(new);
        front_end.readers.push(FrontEndReaderPort {
            commands: readers.channel(id),
            device,
            of,
        });
    }
    let mut named = BTreeMap::new();
    for (port, front_end) in ports {
        let name = name(&port, &named);
        named.insert(name, front_end);
    }
    named
}

/// Name of the adapter of a port: the end of the port's name, which tells ports apart.
fn name(port: &Path, taken: &BTreeMap<String, FrontEnd>) -> String {
    let file = port.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let letters: Vec<char> = file.unwrap_or_default().chars().map(letter).collect();
    let tail: String = letters.iter().skip(letters.len().saturating_sub(24)).collect();
    let name = format!("front-end-{tail}");
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    names.find(|name| !taken.contains_key(name)).unwrap_or(name)
}

/// How the profile of its line opens a door; `None` if it does not.
pub(super) fn opening(config: &Config, of: &gateway_config::FrontEndDoor) -> Option<Opening> {
    let Some(LineDriver::FrontEnd(line)) = config.lines.get(&of.line).map(|line| &line.driver) else {
        return None;
    };
    let wiring = wiring(config, &of.line, line);
    Opening::new(of.door, line.panel_profile()?, &wiring, line.bus())
}

struct Port {
    baud: u32,
    openings: BTreeMap<u16, Opening>,
    outputs: Vec<(OutputId, u16)>,
}

/// Doors by port.
#[derive(Default)]
pub(super) struct Doors(BTreeMap<PathBuf, Port>);

impl Doors {
    /// A door is opened as the profile of its line says. Without one it is left out: nothing opens it.
    pub(super) fn add(&mut self, config: &Config, id: &OutputId, of: &gateway_config::FrontEndDoor) {
        let Some(opening) = opening(config, of) else {
            return;
        };
        let port = self.0.entry(of.port.clone()).or_insert_with(|| Port {
            baud: of.baud,
            openings: BTreeMap::new(),
            outputs: Vec::new(),
        });
        port.openings.insert(of.door.into(), opening);
        port.outputs.push((id.clone(), of.door.into()));
    }

    pub(super) fn made(self, output: impl Fn(&OutputId, u16) -> GuardOutput) -> Vec<GuardBoard> {
        let board = |(path, port): (PathBuf, Port)| GuardBoard {
            driver: Box::new(FrontEndDoors::new(path, port.baud, port.openings)) as Box<dyn OutputDriver>,
            outputs: port.outputs.iter().map(|(id, door)| output(id, *door)).collect(),
            vanished: String::new(),
        };
        self.0.into_iter().map(board).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway_core::{Bell, DeviceId};

    use super::*;

    /// A riser that counts pulses, and its door.
    const RISER: &str = r#"
[lines.riser]
[lines.riser.front-end]
port = "/dev/serial/by-id/usb-Front_End_E6614103E7452C2F-if00"
profile = "laskomex-digital"
handset-input = 1
exclude-output = 1

[panels.street]
name = "Street"
line = "riser"
doors = ["house"]
account = "pbx"
floor-call = "reception"
[panels.street.apartments]
subscribed = "1-3, 12"
number = "50{2}"
exceptions = ["3=9003"]
concierge = "reception"
concierge-for = "200"

[accounts.pbx]
user = "door"
domain = "pbx.example"
password = "a"

[doors.house]
name = "House"
lock-owner = "panel"
output = "house-door"
[outputs.house-door.front-end]
port = "/dev/serial/by-id/usb-Front_End_E6614103E7452C2F-if02"
line = "riser"
"#;

    fn site() -> Config {
        site_of(RISER)
    }

    fn site_of(riser: &str) -> Config {
        let minimal = include_str!("../../../../config/examples/minimal.toml");
        let minimal = minimal.replace("[lines.riser.virtual]", "[lines.wire.virtual]");
        let text = format!(
            "{}\n{riser}",
            minimal.replace("line = \"riser\"", "line = \"wire\"")
        );
        let dir = tempfile::tempdir().expect("a folder");
        let files = gateway_config::SecretFiles::WhereFound;
        let loaded = gateway_config::parse("site.toml", dir.path(), &text, files);
        loaded.unwrap_or_else(|faults| panic!("{faults}")).config
    }

    #[test]
    fn a_riser_becomes_an_adapter_and_its_door_a_board_of_the_guard() {
        let config = site();
        let all = front_ends(&config, &Readers::default());
        let (name, front_end) = all.first_key_value().expect("one");
        assert!(DeviceId::new(name).is_ok(), "{name}");
        let line = &front_end.lines[0];
        assert_eq!(line.params.subscribed.to_string(), "1-3, 12, 200");
        assert_eq!((line.wiring.door, line.wiring.handset), (Some(0), Some(1)));
        let mut doors = Doors::default();
        for (id, output) in &config.outputs {
            if let Driver::FrontEnd(of) = &output.driver {
                doors.add(&config, id, of);
            }
        }
        let port = doors.0.values().next().expect("a port");
        let Opening::Press(press) = &port.openings[&0] else {
            panic!("it is pressed")
        };
        assert_eq!((press.press_ms, press.hook, press.after_ms), (600, Some(0), 1000));
    }

    /// A handset on a bus, and its door.
    const BUS: &str = r#"
[lines.riser]
[lines.riser.front-end]
port = "/dev/serial/by-id/usb-Front_End_E6614103E7452C2F-if00"
profile = "tcs-bus"
bus-address = 798906
bus-station = 1

[panels.street]
name = "Street"
line = "riser"
doors = ["house"]
account = "pbx"
floor-call = "reception"
[panels.street.buttons.bell]
name = "Bell"
call = "reception"

[accounts.pbx]
user = "door"
domain = "pbx.example"
password = "a"

[doors.house]
name = "House"
lock-owner = "panel"
output = "house-door"
[outputs.house-door.front-end]
port = "/dev/serial/by-id/usb-Front_End_E6614103E7452C2F-if02"
line = "riser"
"#;

    #[test]
    fn a_bus_is_rung_at_its_own_address_and_opened_by_its_own_frame() {
        let config = site_of(BUS);
        let all = front_ends(&config, &Readers::default());
        let bus = all.values().next().and_then(|of| of.lines[0].params.bus);
        assert_eq!(bus.map(|bus| (bus.address, bus.station)), Some((0xC30BA, 1)));
        let mut doors = config.outputs.values().filter_map(|output| {
            if let Driver::FrontEnd(of) = &output.driver {
                opening(&config, of)
            } else {
                None
            }
        });
        let of = doors.next_back();
        let Some(Opening::Row(row)) = of else {
            panic!("it is a frame")
        };
        assert_eq!((row.times_us.len(), row.hook, row.call), (35, None, Some(0)));
        // who opens another handset's door is another output
        let other = site_of(&BUS.replace("798906", "798907"));
        let wirings = super::super::guard::wirings;
        assert!(wirings(&config) != wirings(&other));
        assert!(wirings(&config) == wirings(&site_of(BUS)));
    }

    /// What `doorline panel learn` proposes for a bus on which it heard a ring and an opening.
    #[test]
    fn a_learnt_telegram_opens_for_its_own_number_and_its_secret_is_part_of_the_wiring() {
        let welcome = include_str!("../../../../config/panels/busch-welcome.toml");
        let door = "[door]\nby = \"frame\"\nframe = \"hex 03 0d 40 01 10 @@ ab cd ef\"\npresses = 1\npause-ms = 200\n\
                    off-hook-ms = 0\nquiet-ms = 100\nhold-ms = 0\n";
        let own = format!("own-profile = \'\'\'\n{welcome}\n{door}\'\'\'\nbus-address = 12");
        let bus = "profile = \"tcs-bus\"\nbus-address = 798906\nbus-station = 1";
        let site = |own: &str| site_of(&BUS.replace(bus, own));
        let config = site(&own);
        let opening = config.outputs.values().find_map(|output| match &output.driver {
            Driver::FrontEnd(of) => opening(&config, of),
            Driver::Dcttech(_)
            | Driver::Gpio(_)
            | Driver::Http(_)
            | Driver::Kmtronic(_)
            | Driver::Lcus1(_)
            | Driver::Modbus(_)
            | Driver::Mqtt(_)
            | Driver::Numato(_)
            | Driver::Osdp(_)
            | Driver::Virtual(_) => None,
        });
        let Some(Opening::Telegram { order, .. }) = opening else {
            panic!("it is a telegram")
        };
        assert_eq!(
            order.bytes[..9],
            [0x55, 0xFF, 0x03, 0x0D, 0x40, 0x01, 0x10, 0x0C, 0x00]
        );
        assert_eq!((order.call, order.hook, order.times), (Some(0), None, 1));
        let wirings = super::super::guard::wirings;
        assert!(wirings(&config) != wirings(&site(&own.replace("ab cd ef", "ab cd ee"))));
        assert!(wirings(&config) == wirings(&site(&own)));
    }

    #[test]
    fn apartments_are_buttons_with_lists_and_the_line_does_no_more_than_its_profile() {
        let site = crate::run::params::site(&site(), "instance");
        let panel = &site.panels[&"street".parse().expect("a name")];
        let told = |button: &str| {
            let button = &panel.buttons[&button.parse().expect("a name")];
            let list = &site.lists[&button.list];
            (button.bell, list.targets[0].address.clone())
        };
        assert_eq!(
            told("apartment-12"),
            (Some(Bell::Apartment(12)), "5012".to_owned())
        );
        assert_eq!(told("apartment-3"), (Some(Bell::Apartment(3)), "9003".to_owned()));
        let concierge = &panel.buttons[&"apartment-200".parse().expect("a name")];
        assert_eq!(concierge.list.as_str(), "reception");
        let floor = &panel.buttons[&"floor".parse().expect("a name")];
        assert_eq!(
            (floor.bell, floor.list.as_str()),
            (Some(Bell::Floor), "reception")
        );
        let line = &site.lines[&"riser".parse().expect("a name")];
        assert!(line.handset_sense && !line.simulated);
        assert_eq!(line.open_when, gateway_site::OpenWhen::OffHook);
        assert_eq!(
            (line.ring_window, line.talk_window),
            (Duration::from_secs(60), Duration::from_secs(90))
        );
    }
}
