//! The site file, as commands need it.

use std::path::Path;

use adapter_api::Claim;
use gateway_config::{
    Config, ControllerDriver, Faults, InputDriver, Late, LineDriver, LoadError, Loaded, OutputDriver,
    ReaderDriver, SecretFiles,
};
use gateway_core::{Clock, OutputId, Timestamp};

use crate::clock::SystemClock;
use crate::run::log;
use crate::run::params::{self, Files};
use crate::run::wall::WRITTEN_S;

/// The site file has faults; they were printed already.
#[derive(Debug)]
pub(crate) struct ConfigFaults {
    count: usize,
    file: String,
}

impl ConfigFaults {
    /// How many.
    pub(crate) const fn count(&self) -> u64 {
        self.count as u64
    }
}

impl std::fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = if self.count == 1 { "" } else { "s" };
        write!(
            f,
            "{} has {} fault{s}; nothing was changed",
            self.file, self.count
        )
    }
}

impl std::error::Error for ConfigFaults {}

/// Loads a site file with its secrets; faults go to standard error, all of them, and make exit code 3. Dates of
/// certificates are judged by a clock that was set once: whoever reads of it knows the time.
pub(crate) fn loaded(path: &Path, secrets: SecretFiles) -> anyhow::Result<Loaded> {
    let wall = SystemClock.wall();
    loaded_at(path, secrets, (wall.as_second() >= WRITTEN_S).then_some(wall))
}

/// As [`loaded`], by this date, or with no look at dates.
pub(crate) fn loaded_at(
    path: &Path,
    secrets: SecretFiles,
    date: Option<Timestamp>,
) -> anyhow::Result<Loaded> {
    match gateway_config::load(path, secrets) {
        Ok(loaded) => with_files(loaded, &path.display().to_string(), secrets, date).map_err(said),
        Err(LoadError::Faults(faults)) => Err(said(faults)),
        Err(error) => Err(error.into()),
    }
}

/// Looks at the files that a site file without faults names.
fn with_files(
    mut loaded: Loaded,
    name: &str,
    secrets: SecretFiles,
    date: Option<Timestamp>,
) -> Result<Loaded, Faults> {
    let (warnings, mut faults) = files(&loaded, secrets);
    loaded.warn(warnings);
    faults.extend(params::unguarded(&loaded.config));
    let (warnings, port) = port_files(&loaded, secrets, date);
    loaded.warn(warnings);
    faults.extend(port);
    if faults.is_empty() {
        Ok(loaded)
    } else {
        Err(loaded.faults(name, faults))
    }
}

/// A text that is to take the place of a site file, as [`loaded_at`] would load it.
pub(crate) fn loaded_text(path: &Path, text: &str, date: Option<Timestamp>) -> Result<Loaded, Faults> {
    let name = path.display().to_string();
    let folder = path.parent().unwrap_or(Path::new("."));
    let loaded = gateway_config::parse(&name, folder, text, SecretFiles::Needed)?;
    with_files(loaded, &name, SecretFiles::Needed, date)
}

fn said(faults: Faults) -> anyhow::Error {
    log::complain(&faults.to_string());
    ConfigFaults {
        count: faults.list.len(),
        file: faults.file,
    }
    .into()
}

/// Warnings and faults of the files that parts of the gateway are started with.
fn files(loaded: &Loaded, secrets: SecretFiles) -> (Vec<Late>, Vec<Late>) {
    if secrets == SecretFiles::Untouched {
        return (vec![], vec![]);
    }
    let Files {
        mut faults,
        missing,
        warnings,
    } = params::files(&loaded.config);
    // what another machine lacks is not known here
    if secrets == SecretFiles::WhereFound {
        return (missing, faults);
    }
    faults.extend(missing);
    (warnings, faults)
}

/// Certificates and keys of the switch port are looked at when they are given. A start does not refuse them: doors come
/// before the network, and a certificate that has ended keeps none of them shut. Gives warnings and faults.
fn port_files(loaded: &Loaded, secrets: SecretFiles, date: Option<Timestamp>) -> (Vec<Late>, Vec<Late>) {
    let missing = match secrets {
        SecretFiles::Untouched => return (vec![], vec![]),
        SecretFiles::AtStart | SecretFiles::Needed => vec![],
        SecretFiles::WhereFound => params::dot1x_missing(&loaded.config),
    };
    if !missing.is_empty() {
        return (missing, vec![]);
    }
    let port = params::dot1x(&loaded.config, date);
    if port.faults.is_empty() {
        (port.warnings, vec![])
    } else {
        (vec![], port.faults)
    }
}

/// Loads a site file as `run` does, for a command that says what `run` would say.
pub(crate) fn as_run(path: &Path) -> anyhow::Result<Config> {
    loaded(path, SecretFiles::Needed).map(|loaded| loaded.config)
}

/// Loads a site file for a command that only needs to know what is configured.
pub(crate) fn load(path: &Path) -> anyhow::Result<Config> {
    loaded(path, SecretFiles::Untouched).map(|loaded| loaded.config)
}

/// The site that a gateway runs with: the file, or its last confirmed generation while the file has faults.
pub(crate) fn running(path: &Path) -> anyhow::Result<Config> {
    match gateway_config::boot(path) {
        Ok(boot) => Ok(boot.loaded().config.clone()),
        Err(_) => load(path),
    }
}

/// Where the kernel has a link for each sound card, by its id.
pub(crate) const CARDS: &str = "/proc/asound";

/// Which parts of the machine the site claims, with the claimant.
pub(crate) fn claims(config: &Config) -> Vec<(String, Claim)> {
    let gpio = |chip: &Path, line| Claim::GpioLine {
        chip: chip.display().to_string(),
        line,
    };
    let channel = |id: &OutputId, port: &Path, channel| {
        let board = port.display().to_string();
        Some((format!("output {id}"), Claim::Channel { board, channel }))
    };
    let outputs = config
        .outputs
        .iter()
        .filter_map(|(id, output)| match &output.driver {
            OutputDriver::Dcttech(relay) => Some((
                format!("output {id}"),
                Claim::Channel {
                    board: format!("USB relay board {}", relay.board),
                    channel: relay.channel,
                },
            )),
            OutputDriver::FrontEnd(of) => channel(id, &of.port, of.door.into()),
            OutputDriver::Gpio(pin) => Some((format!("output {id}"), gpio(&pin.chip, pin.line))),
            OutputDriver::Kmtronic(relay) => channel(id, &relay.port, relay.channel),
            OutputDriver::Numato(relay) => channel(id, &relay.port, relay.channel),
            OutputDriver::Lcus1(relay) => channel(id, &relay.port, relay.channel),
            OutputDriver::Modbus(relay) => Some((
                format!("output {id} (unit {}, {})", relay.address(), relay.profile),
                Claim::Channel {
                    board: relay.place(),
                    channel: relay.channel,
                },
            )),
            // no part of this machine, or of a reader, whose port is claimed by it
            OutputDriver::Http(_)
            | OutputDriver::Mqtt(_)
            | OutputDriver::Osdp(_)
            | OutputDriver::Virtual(_) => None,
        });
    let inputs = config
        .inputs
        .iter()
        .filter_map(|(id, input)| match &input.driver {
            InputDriver::Gpio(pin) => Some((format!("input {id}"), gpio(&pin.chip, pin.line))),
            InputDriver::Modbus(of) => {
                let what = format!("input {id} (unit {}, {})", of.unit, of.name());
                let channel = of.coil.or(of.discrete_input)?;
                let board = of.line().place();
                Some((what, Claim::Channel { board, channel }))
            }
            InputDriver::Mqtt(_)
            | InputDriver::Osdp(_)
            | InputDriver::Virtual(_)
            | InputDriver::Webhook(_) => None,
        });
    let readers = config
        .readers
        .iter()
        .flat_map(|(id, reader)| match &reader.driver {
            ReaderDriver::ClockData(reader) => {
                let data = reader.lines().into_iter();
                let data =
                    data.map(|(wire, line)| (format!("reader {id}, {wire}"), gpio(&reader.chip, line)));
                let wires = reader.wires().into_iter();
                let wires =
                    wires.map(|(key, wire)| (format!("reader {id}, {key}"), gpio(&wire.chip, wire.line)));
                data.chain(wires).collect()
            }
            ReaderDriver::FrontEndClockData(reader) => vec![(
                format!("reader {id}, clock"),
                Claim::Channel {
                    board: reader.port.display().to_string(),
                    channel: reader.clock_input.into(),
                },
            )],
            ReaderDriver::FrontEndKeys(reader) => vec![(
                format!("reader {id}, contact"),
                Claim::Channel {
                    board: reader.port.display().to_string(),
                    channel: reader.input.into(),
                },
            )],
            ReaderDriver::Ibutton(reader) => vec![(
                format!("reader {id}"),
                Claim::Channel {
                    board: reader.master.display().to_string(),
                    channel: 0,
                },
            )],
            ReaderDriver::Osdp(reader) => vec![(
                format!("reader {id} (address {})", reader.address),
                Claim::Channel {
                    board: reader.port.display().to_string(),
                    channel: reader.address.into(),
                },
            )],
            ReaderDriver::Virtual(_) => vec![],
            ReaderDriver::Wiegand(reader) => {
                let data = [("D0", reader.d0), ("D1", reader.d1)];
                let data =
                    data.map(|(wire, line)| (format!("reader {id}, {wire}"), gpio(&reader.chip, line)));
                let wires = reader.wires().into_iter();
                let wires =
                    wires.map(|(key, wire)| (format!("reader {id}, {key}"), gpio(&wire.chip, wire.line)));
                data.into_iter().chain(wires).collect()
            }
        });
    let sounds = config.lines.iter().filter_map(|(id, line)| {
        let sound = line.sound.as_ref()?;
        // the kernel's own name of the card, by its id
        let board = format!("{CARDS}/{}", sound.card);
        let channel = sound.device.into();
        Some((format!("line {id}"), Claim::Channel { board, channel }))
    });
    let controllers = config.controllers.iter().map(|(id, controller)| {
        let (what, port, channel) = match &controller.driver {
            ControllerDriver::Osdp(of) => (
                format!("controller {id} (address {})", of.address),
                &of.port,
                of.address,
            ),
            ControllerDriver::Wiegand(of) => (format!("controller {id}, D0"), &of.port, of.d0_output),
        };
        let board = port.display().to_string();
        (
            what,
            Claim::Channel {
                board,
                channel: channel.into(),
            },
        )
    });
    let lines = config.lines.iter().filter_map(|(id, line)| match &line.driver {
        LineDriver::FrontEnd(of) => Some((
            format!("line {id}"),
            Claim::Channel {
                board: of.port.display().to_string(),
                channel: of.call_input.into(),
            },
        )),
        LineDriver::Contact(_) | LineDriver::Virtual(_) => None,
    });
    let all = outputs.chain(inputs).chain(readers);
    all.chain(controllers).chain(lines).chain(sounds).collect()
}
