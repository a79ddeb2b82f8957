//! Modbus boards of the relay guard. Those on one line or connection share it, and are boards of their own all the
//! same: one that does not answer is a fault of its own outputs only.

use std::collections::BTreeMap;

use adapter_api::OutputDriver;
use adapter_modbus::{Bus, BusParams, Direction, Framing, Link, Parity, Profile, Relays, RelaysParams};
use gateway_config::{self as config, Modbus};
use gateway_core::OutputId;
use gateway_guard::{GuardBoard, GuardOutput};

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

    pub(super) fn made(self, output: impl Fn(&OutputId, u16) -> GuardOutput) -> Vec<GuardBoard> {
        let mut buses: BTreeMap<String, Bus> = BTreeMap::new();
        let mut boards = vec![];
        for ((place, unit), relays) in self.0 {
            // the configuration makes them agree on everything but the channel
            let Some((_, relay)) = relays.first() else {
                continue;
            };
            let bus = buses.entry(place).or_insert_with(|| Bus::new(bus(relay)));
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
        boards
    }
}

fn first(relay: &Modbus) -> u16 {
    relay.first_address.unwrap_or(profile(relay.profile).first)
}

fn profile(profile: config::BoardProfile) -> &'static Profile {
    // refused by the configuration is only the one that is not in the table; a test holds them together
    Profile::named(profile.word()).unwrap_or(&adapter_modbus::PROFILES[0])
}

fn bus(relay: &Modbus) -> BusParams {
    let link = match (&relay.port, &relay.host) {
        (Some(port), _) => Link::Serial {
            baud: relay.baud,
            direction: match relay.rs485 {
                config::Rs485::Adapter => Direction::Adapter,
                config::Rs485::Rts => Direction::Rts,
                config::Rs485::RtsInverted => Direction::RtsInverted,
            },
            parity: match relay.parity {
                config::Parity::Even => Parity::Even,
                config::Parity::None => Parity::None,
                config::Parity::Odd => Parity::Odd,
            },
            port: port.clone(),
        },
        (None, host) => Link::Tcp {
            framing: match relay.framing {
                config::ModbusFraming::Rtu => Framing::Rtu,
                config::ModbusFraming::Tcp => Framing::Tcp,
            },
            host: host.as_ref().map_or_else(String::new, |h| h.host.to_string()),
            port: host.as_ref().and_then(|h| h.port).unwrap_or(502),
        },
    };
    BusParams {
        gap: relay.gap,
        link,
        timeout: relay.timeout,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_config::{Config, OutputDriver as Driver, SecretFiles, parse};

    use super::*;

    fn site(outputs: &str) -> Config {
        let text = include_str!("../../../../config/testdata/good.toml");
        let text = format!("{text}\n{outputs}");
        let loaded = parse("site.toml", Path::new("."), &text, SecretFiles::Untouched);
        loaded.unwrap_or_else(|error| panic!("{error}")).config
    }

    #[test]
    fn every_family_that_may_be_configured_is_in_the_adapters_table_with_the_same_facts() {
        use gateway_config::BoardProfile::{Coils, LcTech, N4d, Qyf, Ryn4, S2000Pp, S2000Sp1, Waveshare};
        for word in [Coils, LcTech, N4d, Ryn4, S2000Pp, Waveshare] {
            let profile = Profile::named(word.word()).unwrap_or_else(|| panic!("{word}"));
            assert_eq!(profile.channels, word.channels(), "{word}");
            assert_eq!(profile.unit, word.unit(), "{word}");
            assert_eq!(profile.is_timed(), word.is_timed(), "{word}");
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
        let made = boards.made(|id, channel| GuardOutput {
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
    }
}
