//! OSDP lines of the site, and the windows in which an operator lets a reader be given its key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use adapter_api::Direction;
use adapter_osdp::{Install, Key, OsdpBus, OsdpInput, OsdpReader, PdParams, Security};
use adapter_wiegand::WiegandParams;
use gateway_config::{Config, InputDriver, KeyFile, ReaderDriver, Rs485};
use gateway_core::{DeviceId, ReaderId};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::adapters::reader_name;
use super::readers::{Readers, accepted};

/// Windows that a line may be behind.
const BEHIND: usize = 16;
/// Longest window.
const LONGEST: Duration = Duration::from_secs(3600);

/// Where operators reach the lines.
#[derive(Clone)]
pub(crate) struct Installs {
    keyed: Arc<RwLock<BTreeSet<ReaderId>>>,
    to: broadcast::Sender<Install>,
}

impl Default for Installs {
    fn default() -> Self {
        Self {
            keyed: Arc::default(),
            to: broadcast::channel(BEHIND).0,
        }
    }
}

impl Installs {
    /// Is the request for this?
    pub(crate) fn knows(request: &Value) -> bool {
        request.get("act").and_then(Value::as_str) == Some("osdp-install")
    }

    /// Carries out a request of `commands/osdp.rs`.
    ///
    /// # Errors
    /// If there is no such reader, or it has no key.
    pub(crate) fn act(&self, request: &Value) -> Result<Value, String> {
        let name = request.get("reader").and_then(Value::as_str).unwrap_or_default();
        let reader = name
            .parse::<ReaderId>()
            .map_err(|error| format!("reader: {error}"))?;
        let seconds = request.get("seconds").and_then(Value::as_u64).unwrap_or_default();
        let time = Duration::from_secs(seconds).min(LONGEST);
        let keyed = self.keyed.read().map_err(|_| "the gateway stops".to_owned())?;
        if !keyed.contains(&reader) {
            let known: Vec<&str> = keyed.iter().map(ReaderId::as_str).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            return Err(format!("{name} is no OSDP reader with a key; there is: {known}"));
        }
        let install = Install {
            reader: reader.clone(),
            time,
        };
        self.to
            .send(install)
            .map_err(|_| "no OSDP line runs".to_owned())?;
        tracing::warn!(%reader, seconds = time.as_secs(), "an operator lets the reader be given its key by the default key");
        Ok(json!({ "reader": name, "seconds": time.as_secs() }))
    }
}

/// One adapter for each line, by name.
pub(super) fn osdp_buses(
    config: &Config,
    readers: &Readers,
    installs: &Installs,
) -> anyhow::Result<BTreeMap<String, OsdpBus>> {
    let mut lines: BTreeMap<PathBuf, OsdpBus> = BTreeMap::new();
    let mut keyed = BTreeSet::new();
    for (id, reader) in &config.readers {
        let ReaderDriver::Osdp(osdp) = &reader.driver else {
            continue;
        };
        let security = match &osdp.key_file {
            None => Security::Clear,
            // a reader with a key never becomes one without, and is never given one that nobody knows
            Some(file) if file.key.is_none() => Security::Keyed {
                key: unknown()?,
                old: None,
            },
            Some(file) => {
                keyed.insert(id.clone());
                let old = osdp.old_key_file.as_ref().filter(|file| file.key.is_some());
                Security::Keyed {
                    key: key(id, file)?,
                    old: old.map(|file| key(id, file)).transpose()?,
                }
            }
        };
        let inputs = config.inputs.iter().filter_map(|(input, of)| match &of.driver {
            InputDriver::Osdp(of) if of.reader == *id => Some(OsdpInput {
                active_low: of.active_low,
                input: input.clone(),
                number: of.number.into(),
            }),
            InputDriver::Gpio(_)
            | InputDriver::Mqtt(_)
            | InputDriver::Osdp(_)
            | InputDriver::Virtual(_)
            | InputDriver::Webhook(_) => None,
        });
        let inputs: Vec<OsdpInput> = inputs.collect();
        let cards = WiegandParams {
            formats: accepted(config, &osdp.formats),
            repeat: osdp.repeat,
            ..WiegandParams::default()
        };
        let line = lines.entry(osdp.port.clone()).or_insert_with(|| OsdpBus {
            baud: osdp.baud,
            direction: match osdp.rs485 {
                Rs485::Adapter => Direction::Adapter,
                Rs485::Rts => Direction::Rts,
                Rs485::RtsInverted => Direction::RtsInverted,
            },
            installs: installs.to.clone(),
            port: osdp.port.clone(),
            readers: Vec::new(),
        });
        line.readers.push(OsdpReader {
            commands: readers.channel(id),
            device: DeviceId::new(&reader_name(id))?,
            pd: PdParams {
                address: osdp.address,
                cards,
                inputs: !inputs.is_empty(),
                security,
            },
            inputs,
            reader: id.clone(),
        });
    }
    if let Ok(mut known) = installs.keyed.write() {
        *known = keyed;
    }
    let names = named(lines.keys());
    let named = lines
        .into_iter()
        .filter_map(|(port, line)| Some((names.get(&port)?.clone(), line)));
    Ok(named.collect())
}

/// Names of the adapters of the lines of a site, by port.
pub(super) fn line_names(config: &Config) -> BTreeMap<PathBuf, String> {
    let ports = config.readers.values().filter_map(|reader| match &reader.driver {
        ReaderDriver::Osdp(osdp) => Some(&osdp.port),
        ReaderDriver::Virtual(_) | ReaderDriver::Wiegand(_) => None,
    });
    named(ports.collect::<BTreeSet<_>>())
}

fn named<'a>(ports: impl IntoIterator<Item = &'a PathBuf>) -> BTreeMap<PathBuf, String> {
    let mut named = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for port in ports {
        let name = line_name(port, &taken);
        taken.insert(name.clone());
        named.insert(port.clone(), name);
    }
    named
}

fn key(id: &ReaderId, file: &KeyFile) -> anyhow::Result<Key> {
    let text = file.key.as_ref().map_or("", |key| key.reveal());
    Key::parse(text).map_err(|error| anyhow::anyhow!("reader {id}: {}: {error}", file.path.display()))
}

/// A key that fits no reader, for one whose file could not be read.
fn unknown() -> anyhow::Result<Key> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(Key::new(bytes))
}

/// Name of the adapter of a line: the end of the port's name, which tells ports apart.
fn line_name(port: &std::path::Path, taken: &BTreeSet<String>) -> String {
    let file = port
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let name: Vec<char> = file.chars().map(letter).collect();
    let tail: String = name.iter().skip(name.len().saturating_sub(30)).collect();
    let name = format!("osdp-{tail}");
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> Config {
        let text = format!(
            "{}\n{text}",
            include_str!("../../../config/examples/minimal.toml")
        );
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("a.key"), "000102030405060708090a0b0c0d0e0f\n").expect("written");
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(dir.path().join("a.key"), mode).expect("set");
        let loaded = gateway_config::parse(
            "site.toml",
            dir.path(),
            &text,
            gateway_config::SecretFiles::Needed,
        );
        loaded.unwrap_or_else(|faults| panic!("{faults}")).config
    }

    #[test]
    fn readers_of_one_port_are_one_line_and_only_those_with_a_key_have_a_window() {
        let config = site(
            "[readers.a.osdp]\nport = \"/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0\"\nkey-file = \"a.key\"\n\
             [readers.b.osdp]\nport = \"/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0\"\naddress = 1\nunencrypted = true\n\
             [readers.c.osdp]\nport = \"/dev/ttyS1\"\nunencrypted = true\n\
             [inputs.lid.osdp]\nreader = \"b\"\nnumber = 3",
        );
        let installs = Installs::default();
        let lines = osdp_buses(&config, &Readers::default(), &installs).expect("lines");
        let names: Vec<&str> = lines.keys().map(String::as_str).collect();
        assert_eq!(names, ["osdp-r_usb_uart_a50285bi-if00-port0", "osdp-ttys1"]);
        assert!(names.iter().all(|name| DeviceId::new(name).is_ok()));
        let line = &lines[names[0]];
        assert_eq!(line.readers.len(), 2);
        assert!(matches!(
            line.readers[0].pd.security,
            Security::Keyed { old: None, .. }
        ));
        assert_eq!(line.readers[1].pd.security, Security::Clear);
        assert_eq!(
            (line.readers[1].inputs[0].number, line.readers[0].pd.inputs),
            (3, false)
        );
        let ask = |reader: &str| json!({ "act": "osdp-install", "reader": reader, "seconds": 60 });
        let said = installs.act(&ask("b")).expect_err("it has no key");
        assert_eq!(said, "b is no OSDP reader with a key; there is: a");
        assert_eq!(installs.act(&ask("a")), Err("no OSDP line runs".to_owned()));
        let mut seen = installs.to.subscribe();
        assert!(installs.act(&ask("a")).is_ok());
        assert_eq!(seen.try_recv().expect("told").time, Duration::from_secs(60));
    }
}
