//! OSDP lines of the site, and what operators want of their readers: windows in which one is given its key, another
//! address, firmware.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use adapter_api::Direction;
use adapter_osdp::{
    Errand, Errands, File, Key, LONGEST_FILE, Order, OsdpBus, OsdpInput, OsdpReader, PdParams, Progress,
    Security, Settings, Text, Texts, Wanted,
};
use adapter_wiegand::WiegandParams;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_config::{
    Config, DisplayText, InputDriver, KeyFile, Language, OutputDriver, ReaderDriver, Rs485,
};
use gateway_core::{DeviceId, Instant, ReaderEvent, ReaderId, ReaderService, Subject};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::adapters::reader_name;
use super::readers::{Readers, accepted};

/// Orders that a line may be behind.
const BEHIND: usize = 16;
/// Longest window.
const LONGEST: Duration = Duration::from_secs(3600);

/// A reader, as far as orders go.
#[derive(Clone, Debug)]
struct Known {
    address: u8,
    keyed: bool,
    port: PathBuf,
    /// Until when an operator may have it take another address or speed.
    window: Option<Instant>,
}

/// Where operators reach the lines.
#[derive(Clone)]
pub(crate) struct Installs {
    errands: Errands,
    known: Arc<RwLock<BTreeMap<ReaderId, Known>>>,
    to: broadcast::Sender<Order>,
}

impl Default for Installs {
    fn default() -> Self {
        Self {
            errands: Errands::default(),
            known: Arc::default(),
            to: broadcast::channel(BEHIND).0,
        }
    }
}

impl Installs {
    /// Is the request for this?
    pub(crate) fn knows(request: &Value) -> bool {
        request
            .get("act")
            .and_then(Value::as_str)
            .is_some_and(|act| act.starts_with("osdp-"))
    }

    /// Has what operators do to readers written down.
    pub(crate) fn note_by(&self, note: impl Fn(ReaderId, ReaderEvent) + Send + Sync + 'static) {
        self.errands.note_by(note);
    }

    /// Carries out a request of `commands/osdp.rs`, made at `now`. What is refused of a reader that is known is on record,
    /// too.
    ///
    /// # Errors
    /// If there is no such reader, or it cannot be asked for that.
    pub(crate) fn act(&self, now: Instant, request: &Value) -> Result<Value, String> {
        let name = request.get("reader").and_then(Value::as_str).unwrap_or_default();
        let reader = name
            .parse::<ReaderId>()
            .map_err(|error| format!("reader: {error}"))?;
        self.known(&reader)?;
        let (what, done) = match request.get("act").and_then(Value::as_str) {
            Some("osdp-install") => (ReaderService::Key, self.install(now, &reader, request)),
            Some("osdp-move") => (ReaderService::Settings, self.change(now, &reader, request)),
            Some("osdp-firmware") => (ReaderService::File, self.give(now, &reader, request)),
            Some("osdp-give-up") => {
                self.order(now, &reader, Wanted::Errand(Errand::GiveUp))?;
                return Ok(json!({ "reader": name }));
            }
            Some("osdp-progress") => return Ok(said(self.errands.progress(&reader).as_ref())),
            Some(_) | None => return Err("this is nothing for an OSDP reader".to_owned()),
        };
        done.map_err(|refused| match refused {
            Refused::Now(text) => {
                self.errands.refuse(&reader, what, &console(), text.clone());
                text
            }
            Refused::Begun(text) => text,
        })
    }

    fn install(&self, now: Instant, reader: &ReaderId, request: &Value) -> Result<Value, Refused> {
        let seconds = request.get("seconds").and_then(Value::as_u64).unwrap_or_default();
        let time = Duration::from_secs(seconds).min(LONGEST);
        self.keyed(reader)?;
        self.order(now, reader, Wanted::Install(time))?;
        let until = now + time;
        if let Ok(mut known) = self.known.write()
            && let Some(of) = known.get_mut(reader)
        {
            of.window = Some(until);
        }
        let seconds = time.as_secs();
        tracing::warn!(%reader, seconds, "an operator lets the reader be given its key by the default key");
        let text = format!("it may be given its key by the default key for {seconds} s");
        self.errands.open_window(reader, &console(), until, text);
        Ok(json!({ "reader": reader.as_str(), "seconds": seconds }))
    }

    /// Another address or speed: in the window only, and never an address that is taken.
    fn change(&self, now: Instant, reader: &ReaderId, request: &Value) -> Result<Value, Refused> {
        let number = |key: &str| request.get(key).and_then(Value::as_u64).unwrap_or(u64::MAX);
        let of = self.keyed(reader)?;
        if of.window.is_none_or(|until| now >= until) {
            return Err(Refused::Now(format!(
                "address and speed are changed in the window only that doorline osdp install {reader} opens"
            )));
        }
        let address = u8::try_from(number("address"))
            .ok()
            .filter(|address| *address <= 126);
        let address = address.ok_or_else(|| "address: 0 to 126 are allowed".to_owned())?;
        let baud = u32::try_from(number("baud")).unwrap_or(u32::MAX);
        if !gateway_config::OSDP_BAUDS.contains(&baud) {
            return Err(Refused::Now(format!(
                "{baud} is no speed of OSDP: 9600, 19200, 38400, 57600, 115200, 230400 are"
            )));
        }
        let known = self.known.read().map_err(|_| STOPS.to_owned())?;
        let mut others = known
            .iter()
            .filter(|(id, other)| *id != reader && other.port == of.port);
        if let Some((other, _)) = others.find(|(_, other)| other.address == address) {
            return Err(Refused::Now(format!(
                "address {address} is that of reader {other} on the same line"
            )));
        }
        drop(known);
        let text = format!("address {address}, {baud} bit/s");
        let errand = Errand::Settings(Settings { address, baud });
        self.begin(now, reader, ReaderService::Settings, text, errand, 0)?;
        tracing::warn!(%reader, address, baud, "an operator has the reader take another address or speed");
        Ok(json!({ "reader": reader.as_str() }))
    }

    fn give(&self, now: Instant, reader: &ReaderId, request: &Value) -> Result<Value, Refused> {
        let text = request.get("body").and_then(Value::as_str).unwrap_or_default();
        let bytes = STANDARD
            .decode(text)
            .map_err(|_| "the file did not come whole".to_owned())?;
        if !(1..=LONGEST_FILE).contains(&bytes.len()) {
            let text = format!("{} bytes, a file has 1 to {LONGEST_FILE}", bytes.len());
            return Err(Refused::Now(text));
        }
        let kind = request.get("kind").and_then(Value::as_u64).unwrap_or(1);
        let kind = u8::try_from(kind).map_err(|_| "kind: 0 to 255 are allowed".to_owned())?;
        let total = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let text = format!("a file of {total} bytes, type {kind}");
        let bytes = bytes.into();
        let errand = Errand::Give(File { bytes, kind });
        self.begin(now, reader, ReaderService::File, text, errand, total)?;
        tracing::warn!(%reader, bytes = total, kind, "an operator gives the reader a file");
        Ok(json!({ "reader": reader.as_str(), "total": total }))
    }

    /// Gives an errand to the reader's line, one at a time.
    fn begin(
        &self,
        now: Instant,
        reader: &ReaderId,
        what: ReaderService,
        text: String,
        errand: Errand,
        total: u32,
    ) -> Result<(), Refused> {
        if !self.errands.begin(reader, what, &console(), text, total) {
            return Err(Refused::Now(format!(
                "something is on its way to {reader} already; doorline osdp give-up {reader} ends it"
            )));
        }
        self.order(now, reader, Wanted::Errand(errand)).map_err(|text| {
            self.errands.tell(reader, Progress::Failed(text.clone()));
            Refused::Begun(text)
        })
    }

    fn order(&self, at: Instant, reader: &ReaderId, what: Wanted) -> Result<(), String> {
        let reader = reader.clone();
        let sent = self.to.send(Order { at, reader, what });
        sent.map(|_| ()).map_err(|_| "no OSDP line runs".to_owned())
    }

    fn known(&self, reader: &ReaderId) -> Result<Known, String> {
        let known = self.known.read().map_err(|_| STOPS.to_owned())?;
        let all = || list(known.keys());
        let found = known.get(reader).cloned();
        found.ok_or_else(|| format!("{reader} is no OSDP reader; there is: {}", all()))
    }

    fn keyed(&self, reader: &ReaderId) -> Result<Known, String> {
        let known = self.known.read().map_err(|_| STOPS.to_owned())?;
        let keyed = || known.iter().filter(|(_, of)| of.keyed);
        let found = keyed().find(|(id, _)| *id == reader).map(|(_, of)| of.clone());
        found.ok_or_else(|| {
            let all = list(keyed().map(|(id, _)| id));
            format!("{reader} is no OSDP reader with a key; there is: {all}")
        })
    }

    /// The readers of a site; windows of those that stay stay open.
    fn set_known(&self, new: BTreeMap<ReaderId, Known>) {
        if let Ok(mut known) = self.known.write() {
            let old = std::mem::replace(&mut *known, new);
            for (id, of) in &mut *known {
                of.window = old.get(id).and_then(|of| of.window);
            }
        }
    }
}

const STOPS: &str = "the gateway stops";

/// Why nothing comes of a request.
enum Refused {
    /// It was begun, and its end is on record.
    Begun(String),
    /// It was not begun.
    Now(String),
}

impl From<String> for Refused {
    fn from(text: String) -> Self {
        Self::Now(text)
    }
}

/// Whoever has the control socket: the gateway's own user on its machine.
fn console() -> Subject {
    Subject::User("console".into())
}

fn list<'a>(readers: impl Iterator<Item = &'a ReaderId>) -> String {
    let names: Vec<&str> = readers.map(ReaderId::as_str).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// How it goes, for the one who asks.
fn said(progress: Option<&Progress>) -> Value {
    match progress {
        None => json!({ "state": "none" }),
        Some(Progress::Done(text)) => json!({ "state": "done", "text": text }),
        Some(Progress::Failed(text)) => json!({ "state": "failed", "text": text }),
        Some(Progress::Sent { sent, total }) => json!({ "state": "runs", "sent": sent, "total": total }),
    }
}

/// What a display says: what the site file says, or the language of the site.
fn texts(config: &Config, reader: &gateway_config::OsdpReader) -> Texts {
    // displays have the letters of ASCII, and no Cyrillic ones
    let [granted, denied, wait_pin] = match config.site.language {
        Language::De => ["Bitte eintreten", "Kein Zutritt", "PIN eingeben"],
        Language::En | Language::Ru => ["Please come in", "No entry", "Enter PIN"],
        Language::Es => ["Pase, por favor", "Acceso denegado", "Introduzca PIN"],
        Language::Fr => ["Entrez", "Acces refuse", "Tapez le code PIN"],
        Language::Pt => ["Pode entrar", "Acesso negado", "Digite o PIN"],
    };
    let text = |own: Option<&DisplayText>, usual: &str| {
        // an empty one is none
        Text::new(own.map_or(usual, DisplayText::as_str)).ok()
    };
    Texts {
        denied: text(reader.text_denied.as_ref(), denied),
        granted: text(reader.text_granted.as_ref(), granted),
        wait_pin: text(reader.text_wait_pin.as_ref(), wait_pin),
    }
}

/// One adapter for each line, by name.
pub(super) fn osdp_buses(
    config: &Config,
    readers: &Readers,
    installs: &Installs,
) -> anyhow::Result<BTreeMap<String, OsdpBus>> {
    let mut lines: BTreeMap<PathBuf, OsdpBus> = BTreeMap::new();
    let mut known = BTreeMap::new();
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
            | InputDriver::Modbus(_)
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
        let of = Known {
            address: osdp.address,
            keyed: osdp.key_file.as_ref().is_some_and(|file| file.key.is_some()),
            port: osdp.port.clone(),
            window: None,
        };
        known.insert(id.clone(), of);
        let line = lines.entry(osdp.port.clone()).or_insert_with(|| OsdpBus {
            baud: osdp.baud,
            direction: match osdp.rs485 {
                Rs485::Adapter => Direction::Adapter,
                Rs485::Rts => Direction::Rts,
                Rs485::RtsInverted => Direction::RtsInverted,
            },
            errands: installs.errands.clone(),
            orders: installs.to.clone(),
            outputs: None,
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
                texts: texts(config, osdp),
            },
            inputs,
            reader: id.clone(),
        });
    }
    installs.set_known(known);
    let names = named(lines.keys());
    let named = lines.into_iter().filter_map(|(port, mut line)| {
        let used = |reader: &OsdpReader| uses_output(config, &reader.reader);
        let first = line.readers.iter().find(|reader| used(reader));
        line.outputs = first.and_then(|reader| output_socket(config, &reader.reader));
        Some((names.get(&port)?.clone(), line))
    });
    Ok(named.collect())
}

/// Is anything driven by an output of this reader?
fn uses_output(config: &Config, reader: &ReaderId) -> bool {
    let mut drivers = config.outputs.values().map(|output| &output.driver);
    drivers.any(|driver| matches!(driver, OutputDriver::Osdp(of) if of.reader == *reader))
}

/// Where the relay guard reaches the outputs of a reader: at its line.
pub(super) fn output_socket(config: &Config, reader: &ReaderId) -> Option<PathBuf> {
    let ReaderDriver::Osdp(osdp) = &config.readers.get(reader)?.driver else {
        return None;
    };
    let names = line_names(config);
    let name = names.get(&osdp.port)?;
    Some(config.site.run_dir.join(format!("{name}.sock")))
}

/// Names of the adapters of the lines of a site, by port.
pub(super) fn line_names(config: &Config) -> BTreeMap<PathBuf, String> {
    let ports = config.readers.values().filter_map(|reader| match &reader.driver {
        ReaderDriver::Osdp(osdp) => Some(&osdp.port),
        ReaderDriver::ClockData(_)
        | ReaderDriver::FrontEndClockData(_)
        | ReaderDriver::FrontEndKeys(_)
        | ReaderDriver::Ibutton(_)
        | ReaderDriver::Virtual(_)
        | ReaderDriver::Wiegand(_) => None,
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
        assert!(
            lines.values().all(|line| line.outputs.is_none()),
            "nothing uses an output"
        );
        let now = Instant::from_nanos(1_000_000_000);
        let ask = |reader: &str| json!({ "act": "osdp-install", "reader": reader, "seconds": 60 });
        let said = installs.act(now, &ask("b")).expect_err("it has no key");
        assert_eq!(said, "b is no OSDP reader with a key; there is: a");
        assert_eq!(installs.act(now, &ask("a")), Err("no OSDP line runs".to_owned()));
        let mut seen = installs.to.subscribe();
        assert!(installs.act(now, &ask("a")).is_ok());
        let what = seen.try_recv().expect("told").what;
        assert_eq!(what, Wanted::Install(Duration::from_secs(60)));
    }

    #[test]
    fn a_line_has_a_socket_for_the_guard_only_if_something_uses_an_output_of_a_reader_on_it() {
        let config = site(
            "[readers.a.osdp]\nport = \"/dev/ttyS1\"\nkey-file = \"a.key\"\n\
             [readers.b.osdp]\nport = \"/dev/ttyS1\"\naddress = 1\nkey-file = \"a.key\"\n\
             [readers.c.osdp]\nport = \"/dev/ttyS2\"\nkey-file = \"a.key\"\n\
             [outputs.lamp.osdp]\nreader = \"b\"\nnumber = 1\n[relays.lamp]\noutput = \"lamp\"\ncommand = {}\n",
        );
        let lines = osdp_buses(&config, &Readers::default(), &Installs::default()).expect("lines");
        let socket = config.site.run_dir.join("osdp-ttys1.sock");
        assert_eq!(lines["osdp-ttys1"].outputs, Some(socket));
        assert_eq!(lines["osdp-ttys2"].outputs, None);
        let boards = crate::run::params::guard(&config, std::path::Path::new("site.toml"), false).boards;
        let of = boards
            .iter()
            .find(|board| board.driver.device() == "outputs of reader b");
        assert_eq!(of.map(gateway_guard::GuardBoard::channels), Some(vec![1]));
    }

    /// A line with two readers, of which one has a key.
    fn line() -> (Installs, broadcast::Receiver<Order>) {
        let config = site(
            "[readers.a.osdp]\nport = \"/dev/ttyS1\"\nkey-file = \"a.key\"\ntext-denied = \"Go away\"\ntext-wait-pin = \"\"\n\
             [readers.b.osdp]\nport = \"/dev/ttyS1\"\naddress = 1\nunencrypted = true\n",
        );
        let installs = Installs::default();
        let lines = osdp_buses(&config, &Readers::default(), &installs).expect("lines");
        let texts = &lines["osdp-ttys1"].readers[0].pd.texts;
        let text = |text: &str| Text::new(text).ok();
        assert_eq!(
            (&texts.denied, &texts.granted),
            (&text("Go away"), &text("Please come in"))
        );
        assert_eq!(texts.wait_pin, None);
        let seen = installs.to.subscribe();
        (installs, seen)
    }

    #[test]
    fn what_operators_do_to_readers_is_on_record_and_so_is_what_they_may_not() {
        let (installs, _seen) = line();
        let kept = Arc::<RwLock<Vec<String>>>::default();
        let to = Arc::clone(&kept);
        installs.note_by(move |reader, event| {
            let line = format!("{reader} {} {event:?}", event.tag());
            to.write().expect("free").push(line);
        });
        let now = Instant::from_nanos(1_000_000_000);
        let ask = |request: Value| installs.act(now, &request);
        let to_five = json!({ "act": "osdp-move", "reader": "a", "address": 5, "baud": 9600 });
        assert!(ask(to_five.clone()).is_err());
        assert!(ask(json!({ "act": "osdp-install", "reader": "a", "seconds": 60 })).is_ok());
        assert!(ask(to_five).is_ok());
        assert!(ask(json!({ "act": "osdp-firmware", "reader": "a", "body": "AA==" })).is_err());
        installs
            .errands
            .tell(&"a".parse().expect("a name"), Progress::Done("5".into()));
        // a name that is none of a reader is nobody's record
        assert!(ask(json!({ "act": "osdp-firmware", "reader": "nobody", "body": "AA==" })).is_err());
        let kept = kept.read().expect("free");
        let began: Vec<&str> = kept.iter().filter_map(|line| line.split(' ').nth(1)).collect();
        let wanted = [
            "service-refused",
            "service-began",
            "service-began",
            "service-refused",
            "service-ended",
        ];
        assert_eq!(began, wanted);
        assert!(kept.iter().all(|line| line.contains("console")), "{kept:?}");
    }

    #[test]
    fn an_address_is_changed_in_the_window_only_and_never_to_one_that_is_taken() {
        let (installs, mut seen) = line();
        let now = Instant::from_nanos(1_000_000_000);
        let to = |reader: &str, address: u64, baud: u64| json!({ "act": "osdp-move", "reader": reader, "address": address, "baud": baud });
        let refused = |now, request: &Value| installs.act(now, request).expect_err("refused");
        assert!(refused(now, &to("a", 3, 9600)).contains("in the window only"));
        let window = json!({ "act": "osdp-install", "reader": "a", "seconds": 60 });
        assert!(installs.act(now, &window).is_ok() && seen.try_recv().is_ok());
        assert!(refused(now, &to("b", 3, 9600)).contains("no OSDP reader with a key"));
        assert_eq!(
            refused(now, &to("a", 1, 9600)),
            "address 1 is that of reader b on the same line"
        );
        assert!(refused(now, &to("a", 127, 9600)).contains("0 to 126"));
        assert!(refused(now, &to("a", 3, 4800)).contains("no speed of OSDP"));
        let over = now + Duration::from_secs(60);
        assert!(refused(over, &to("a", 3, 9600)).contains("in the window only"));
        assert!(installs.act(now, &to("a", 3, 19_200)).is_ok());
        let settings = Settings {
            address: 3,
            baud: 19_200,
        };
        let what = seen.try_recv().expect("told").what;
        assert_eq!(what, Wanted::Errand(Errand::Settings(settings)));
    }

    #[test]
    fn a_file_goes_to_one_reader_at_a_time_and_its_way_can_be_asked_for() {
        let (installs, mut seen) = line();
        let now = Instant::from_nanos(1_000_000_000);
        let give =
            |reader: &str, body: &str| json!({ "act": "osdp-firmware", "reader": reader, "body": body });
        let ask = |act: &str| {
            installs
                .act(now, &json!({ "act": act, "reader": "b" }))
                .expect("known")
        };
        assert_eq!(ask("osdp-progress"), json!({ "state": "none" }));
        assert!(
            installs
                .act(now, &give("c", "AA=="))
                .expect_err("unknown")
                .contains("there is: a, b")
        );
        for wrong in ["", "0", "AP9=", "A P9"] {
            assert!(installs.act(now, &give("b", wrong)).is_err(), "{wrong}");
        }
        assert!(installs.act(now, &give("b", "AP9+")).is_ok());
        let file = File {
            bytes: vec![0, 255, 126].into(),
            kind: 1,
        };
        assert_eq!(
            seen.try_recv().expect("told").what,
            Wanted::Errand(Errand::Give(file))
        );
        assert_eq!(
            ask("osdp-progress"),
            json!({ "state": "runs", "sent": 0, "total": 3 })
        );
        let said = installs.act(now, &give("b", "AA==")).expect_err("one at a time");
        assert!(said.contains("on its way to b already"), "{said}");
        ask("osdp-give-up");
        assert_eq!(
            seen.try_recv().expect("told").what,
            Wanted::Errand(Errand::GiveUp)
        );
        let reader: ReaderId = "b".parse().expect("a name");
        installs.errands.tell(&reader, Progress::Failed("no".to_owned()));
        assert_eq!(ask("osdp-progress"), json!({ "state": "failed", "text": "no" }));
        assert!(installs.act(now, &give("b", "AA==")).is_ok());
    }
}
