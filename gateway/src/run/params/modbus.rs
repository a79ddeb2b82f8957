//! Modbus boards of the relay guard, and inputs. Boards on one line or connection share it, and are boards of their own all the
//! same: one that does not answer is a fault of its own outputs only. Inputs on the same line are read by the guard for the
//! gateway; where there are none but inputs, the gateway has the line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use adapter_api::{BoxFuture, OutputDriver};
use adapter_modbus::{
    Bus, BusParams, Direction, Framing, InputKind, Link, ModbusInputs, Parity, Profile, Relays, RelaysParams,
    Source,
};
use gateway_config::{
    self as config, Config, GuardMode, InputDriver, Modbus, ModbusLine, OutputDriver as Driver,
};
use gateway_core::{DeviceId, InputId, OutputId};
use gateway_guard::{GuardBoard, GuardOutput};
use gateway_guard_proto::Wiring;

/// Outputs by place and unit.
#[derive(Default)]
pub(super) struct Boards<'a>(BTreeMap<(String, u8), Vec<(OutputId, &'a Modbus)>>);

/// What makes two outputs the same wire.
pub(super) fn wiring(relay: &Modbus) -> String {
    format!(
        "modbus {} {} {} {} {}",
        relay.place(),
        relay.address(),
        relay.channel,
        relay.profile,
        first(relay)
    )
}

impl<'a> Boards<'a> {
    pub(super) fn add(&mut self, id: &OutputId, relay: &'a Modbus) {
        let board = self.0.entry((relay.place(), relay.address())).or_default();
        board.push((id.clone(), relay));
    }

    /// The boards, and what answers the gateway on their lines.
    pub(super) fn made(
        self,
        config: &Config,
        output: impl Fn(&OutputId, u16) -> GuardOutput,
    ) -> (Vec<GuardBoard>, Vec<BoxFuture<'static, ()>>) {
        let mut buses: BTreeMap<String, Bus> = BTreeMap::new();
        let mut boards = vec![];
        for ((place, unit), relays) in self.0 {
            // the configuration makes them agree on everything but the channel
            let Some((_, relay)) = relays.first() else {
                continue;
            };
            let bus = buses.entry(place).or_insert_with(|| Bus::new(bus(&relay.line())));
            let params = RelaysParams {
                first: first(relay),
                profile: profile(relay.profile),
                timed: relay.is_self_timed(),
                unit,
            };
            boards.push(GuardBoard {
                driver: Box::new(Relays::new(bus, params)) as Box<dyn OutputDriver>,
                outputs: relays
                    .iter()
                    .map(|(id, relay)| output(id, relay.channel))
                    .collect(),
                vanished: String::new(),
            });
        }
        let service = |(place, bus): (String, Bus)| {
            let socket = socket(config, &place);
            Box::pin(adapter_modbus::serve(bus, socket)) as BoxFuture<'static, ()>
        };
        (boards, buses.into_iter().map(service).collect())
    }
}

/// Where the relay guard reads inputs of a line that it has.
fn socket(config: &Config, place: &str) -> PathBuf {
    let Wiring(mark) = Wiring::of(place);
    config.site.run_dir.join(format!("modbus-{mark:016x}.sock"))
}

/// Has the relay guard this line?
fn is_guarded(config: &Config, place: &str) -> bool {
    let mut drivers = config.outputs.values().map(|output| &output.driver);
    config.guard.mode != GuardMode::None
        && drivers.any(|driver| matches!(driver, Driver::Modbus(relay) if relay.place() == place))
}

/// Name of the adapter of a line, by the first of its inputs.
fn line_name(first: &InputId) -> String {
    let name = format!("modbus-line-{first}");
    DeviceId::new(&name).map_or_else(|_| first.to_string(), |_| name)
}

fn input(id: &InputId, of: &config::ModbusInput) -> Option<adapter_modbus::ModbusInput> {
    let (kind, address) = match (of.coil, of.discrete_input) {
        (Some(coil), _) => (InputKind::Coil, coil),
        (None, Some(discrete)) => (InputKind::Discrete, discrete),
        // refused by the configuration
        (None, None) => return None,
    };
    Some(adapter_modbus::ModbusInput {
        address,
        debounce: of.debounce,
        input: id.clone(),
        interval: of.interval,
        inverted: of.inverted,
        kind,
        unit: of.unit,
    })
}

/// The adapters of inputs, one for each line, by name.
pub(crate) fn modbus_inputs(config: &Config) -> BTreeMap<String, ModbusInputs> {
    let mut lines: BTreeMap<String, (String, ModbusInputs)> = BTreeMap::new();
    for (id, of) in &config.inputs {
        let InputDriver::Modbus(of) = &of.driver else {
            continue;
        };
        let Some(input) = input(id, of) else {
            continue;
        };
        let place = of.line().place();
        let source = || {
            if is_guarded(config, &place) {
                Source::Guard(socket(config, &place))
            } else {
                Source::Own(bus(&of.line()))
            }
        };
        let line = lines.entry(place.clone()).or_insert_with(|| {
            let adapter = ModbusInputs {
                inputs: vec![],
                source: source(),
            };
            (line_name(id), adapter)
        });
        line.1.inputs.push(input);
    }
    lines.into_values().collect()
}

/// Names of the devices whose faults are an input's: its line, and its module.
pub(super) fn devices_of(config: &Config, of: &config::ModbusInput) -> Vec<String> {
    let place = of.line().place();
    let mut lines = modbus_inputs(config).into_iter();
    let line = lines.find(|(_, line)| {
        let on_it =
            |input: &adapter_modbus::ModbusInput| match config.inputs.get(&input.input).map(|i| &i.driver) {
                Some(InputDriver::Modbus(other)) => other.line().place() == place,
                Some(
                    InputDriver::Gpio(_)
                    | InputDriver::Mqtt(_)
                    | InputDriver::Osdp(_)
                    | InputDriver::Virtual(_)
                    | InputDriver::Webhook(_),
                )
                | None => false,
            };
        line.inputs.first().is_some_and(on_it)
    });
    line.map_or_else(Vec::new, |(name, line)| {
        let module = line.device_of(of.unit).map(|device| device.to_string());
        std::iter::once(name).chain(module).collect()
    })
}

fn first(relay: &Modbus) -> u16 {
    relay.first_address.unwrap_or(profile(relay.profile).first)
}

fn profile(profile: config::BoardProfile) -> &'static Profile {
    // refused by the configuration is only the one that is not in the table; a test holds them together
    Profile::named(profile.word()).unwrap_or(&adapter_modbus::PROFILES[0])
}

fn bus(line: &ModbusLine<'_>) -> BusParams {
    let link = match (line.port, line.host) {
        (Some(port), _) => Link::Serial {
            baud: line.baud,
            direction: match line.rs485 {
                config::Rs485::Adapter => Direction::Adapter,
                config::Rs485::Rts => Direction::Rts,
                config::Rs485::RtsInverted => Direction::RtsInverted,
            },
            parity: match line.parity {
                config::Parity::Even => Parity::Even,
                config::Parity::None => Parity::None,
                config::Parity::Odd => Parity::Odd,
            },
            port: port.to_owned(),
        },
        (None, host) => Link::Tcp {
            framing: match line.framing {
                config::ModbusFraming::Rtu => Framing::Rtu,
                config::ModbusFraming::Tcp => Framing::Tcp,
            },
            host: host.map_or_else(String::new, |h| h.host.to_string()),
            port: host.and_then(|h| h.port).unwrap_or(502),
        },
    };
    BusParams {
        gap: line.gap,
        link,
        timeout: line.timeout,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_config::{SecretFiles, parse};

    use super::*;

    fn site(outputs: &str) -> Config {
        let text = include_str!("../../../../config/testdata/good.toml");
        let text = format!("{text}\n{outputs}");
        let loaded = parse("site.toml", Path::new("."), &text, SecretFiles::Untouched);
        loaded.unwrap_or_else(|error| panic!("{error}")).config
    }

    #[test]
    fn every_family_that_may_be_configured_is_in_the_adapters_table_with_the_same_facts() {
        use gateway_config::BoardProfile::{
            Coils, LcTech, N4d, Qyf, Ryn4, S2000Pp, S2000Sp1, Waveshare, WbDomofon,
        };
        for word in [Coils, LcTech, N4d, Ryn4, S2000Pp, Waveshare, WbDomofon] {
            let profile = Profile::named(word.word()).unwrap_or_else(|| panic!("{word}"));
            assert_eq!(profile.channels, word.channels(), "{word}");
            assert_eq!(profile.unit, word.unit(), "{word}");
            assert_eq!(profile.is_timed(), word.is_timed(), "{word}");
            let coil = word.first_coil().is_none_or(|first| first == profile.first);
            assert!(coil, "{word}");
        }
        for refused in [Qyf, S2000Sp1] {
            assert_eq!(Profile::named(refused.word()), None, "{refused}");
        }
    }

    #[test]
    fn relays_of_one_unit_are_one_board_and_units_of_one_line_are_boards_apart() {
        let config = site(
            "[outputs.a.modbus]\nport = \"/dev/ttyUSB7\"\nprofile = \"waveshare\"\nchannel = 1\n\
             [outputs.b.modbus]\nport = \"/dev/ttyUSB7\"\nprofile = \"waveshare\"\nchannel = 2\n\
             [outputs.c.modbus]\nport = \"/dev/ttyUSB7\"\nprofile = \"n4d\"\nunit = 9\n\
             [outputs.d.modbus]\nhost = \"192.0.2.8\"\nprofile = \"coils\"\n",
        );
        let mut boards = Boards::default();
        for (id, output) in &config.outputs {
            if let Driver::Modbus(relay) = &output.driver {
                boards.add(id, relay);
            }
        }
        let (made, services) = boards.made(&config, |id, channel| GuardOutput {
            channel,
            max_on: std::time::Duration::from_secs(1),
            output: id.clone(),
            relay: None,
            wiring: gateway_guard_proto::Wiring(0),
        });
        let told: Vec<(String, Vec<u16>)> = made.iter().map(|b| (b.driver.device(), b.channels())).collect();
        assert_eq!(
            told,
            [
                ("/dev/ttyUSB7 unit 1".to_owned(), vec![1, 2]),
                ("/dev/ttyUSB7 unit 9".to_owned(), vec![1]),
                ("192.0.2.8:502 unit 1".to_owned(), vec![1]),
            ]
        );
        assert_eq!(services.len(), 2, "one for each line");
    }

    #[test]
    fn inputs_beside_relays_are_read_by_the_guard_and_others_by_the_gateway() {
        let config = site(
            "[outputs.a.modbus]\nport = \"/dev/ttyUSB7\"\nprofile = \"wb-domofon\"\nunit = 16\n\
             [inputs.call.modbus]\nport = \"/dev/ttyUSB7\"\ncoil = 1\nunit = 16\n\
             [inputs.garden.modbus]\nhost = \"192.0.2.8\"\ndiscrete-input = 3\ninverted = true\n\
             [inputs.yard.modbus]\nhost = \"192.0.2.8\"\ndiscrete-input = 4\nunit = 2\n",
        );
        let lines = modbus_inputs(&config);
        let names: Vec<&String> = lines.keys().collect();
        assert_eq!(names, ["modbus-line-call", "modbus-line-garden"]);
        let (beside, alone) = (&lines["modbus-line-call"], &lines["modbus-line-garden"]);
        assert_eq!(beside.source, Source::Guard(socket(&config, "/dev/ttyUSB7")));
        assert_eq!(beside.inputs[0].kind, InputKind::Coil);
        assert!(matches!(&alone.source, Source::Own(of) if of.timeout.as_millis() == 120));
        assert_eq!(alone.inputs.len(), 2);
        assert!(alone.inputs[0].inverted && alone.inputs[0].address == 3);
        let Some(InputDriver::Modbus(yard)) = config
            .inputs
            .iter()
            .find(|(id, _)| id.as_str() == "yard")
            .map(|(_, of)| &of.driver)
        else {
            panic!("it is there")
        };
        assert_eq!(devices_of(&config, yard), ["modbus-line-garden", "modbus-yard"]);
    }
}
