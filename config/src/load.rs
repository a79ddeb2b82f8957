//! From text or file to a checked [`Config`].

use std::fmt;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::check;
use crate::fault::{FaultKind, Faults, Finding, Late, Warnings, place};
use crate::model::{Config, InputDriver, OutputDriver};
use crate::near;
use crate::read::{MAX_FAULTS, Reader, Word, nearest, quoted, record_of};
use crate::secret_file::read_secret;
use crate::value::{JournalFields, LogFormat};

/// A site file without faults.
#[derive(Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Secret files that could not be read, with [`SecretFiles::AtStart`].
    pub absent: Vec<Late>,
    /// What it says.
    pub config: Config,
    /// The text it was read from.
    pub text: String,
    /// What is risky but allowed.
    pub warnings: Warnings,
}

/// Without the text, which may hold passwords.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("config", &self.config)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// What to do with the secret files that a site file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFiles {
    /// Read them; one that is missing is a fault. For `run`, and whoever says what `run` would say.
    Needed,
    /// Read them; one that cannot be read costs the part that needs it and nothing else. For a start: doors do not
    /// wait for a password of something outside.
    AtStart,
    /// Read those that are there; one that is missing is a warning. For a check on another machine.
    WhereFound,
    /// Do not touch the disk.
    Untouched,
}

/// Why a site file could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It has faults.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// It cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is no file whose end is known: a device, a folder, a pipe with a name.
    #[error(
        "{}: is {what}; a site file is a regular file, or comes over standard input (/dev/stdin)",
        path.display()
    )]
    NoFile {
        /// Its path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It is larger than 4 MiB, which no site file is.
    #[error("{}: has more than {MAX_BYTES} bytes, which no site file has", path.display())]
    TooLarge {
        /// Its path.
        path: PathBuf,
    },
}

/// Largest site file in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Loads a site file.
///
/// # Errors
/// [`LoadError::Faults`] with every fault found; the other variants if the file cannot be read.
pub fn load(path: &Path, secrets: SecretFiles) -> Result<Loaded, LoadError> {
    let unreadable = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let kind = std::fs::metadata(path).map_err(unreadable)?.file_type();
    // what the caller has opened already has somebody who writes it, and is read no further than a file
    let given = path == Path::new("/dev/stdin") || path.starts_with("/dev/fd");
    let what = match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a folder"),
        kind if kind.is_fifo() => (!given).then_some("a pipe"),
        kind if kind.is_char_device() => Some("a device"),
        _ => Some("no file"),
    };
    if let Some(what) = what {
        return Err(LoadError::NoFile {
            path: path.to_owned(),
            what,
        });
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(LoadError::TooLarge {
            path: path.to_owned(),
        });
    }
    let name = path.display().to_string();
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(not_utf8(&name, &error).into()),
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    Ok(parse(&name, folder, &text, secrets)?)
}

/// The fault of a file that is not UTF-8.
fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Faults {
    let at = error.utf8_error().valid_up_to();
    let before = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned();
    let byte = error.as_bytes().get(at).copied().unwrap_or_default();
    let finding = Finding {
        hint: "save the file as UTF-8".to_owned(),
        kind: FaultKind::Syntax,
        path: String::new(),
        span: at..at + 1,
        text: format!("byte 0x{byte:02x} at offset {at} is not UTF-8"),
    };
    Faults {
        cut: false,
        file: name.to_owned(),
        list: place(&before, vec![finding], &[]),
    }
}

/// Reads a site file from text. `name` is its name for messages, `folder` where relative secret files start.
///
/// # Errors
/// Every fault found, in the order of the file.
pub fn parse(name: &str, folder: &Path, text: &str, secrets: SecretFiles) -> Result<Loaded, Faults> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::default();
    let mut config = record_of::<Config>("", document.get_ref(), &mut reader);
    let mut warnings = Vec::new();
    let mut absent = Vec::new();
    if errors.is_empty() {
        dangling(&mut reader);
        if let Some(config) = &mut config {
            check::check(config, text, &mut reader, &mut warnings);
            absent = passwords(config, folder, secrets, &mut reader, &mut warnings);
            absent.iter().for_each(|late| leave_out(config, &late.path));
            near::place_files(config, folder);
            check::keys(config, &mut reader);
        }
    } else {
        // What recovery left out is no fault of its own.
        let whole = |kind| !matches!(kind, FaultKind::Missing | FaultKind::Choice);
        // A value of nowhere is one that recovery made.
        reader.findings.retain(|f| whole(f.kind) && !f.span.is_empty());
        // Nor is what is said of a line after its first fault: it is read on from the middle.
        let mut broken: Vec<usize> = Vec::new();
        let mut first = Vec::new();
        let (mut line, mut counted) = (0, 0);
        for error in &errors {
            if first.len() > MAX_FAULTS {
                break;
            }
            let at = error.span().map_or(0, |span| span.start).min(text.len());
            // they come in order: what was counted is not counted again
            if at < counted {
                (line, counted) = (0, 0);
            }
            line += text.as_bytes()[counted..at]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            counted = at;
            if !broken.contains(&line) {
                broken.push(line);
                first.push(syntax(error));
            }
        }
        reader
            .findings
            .retain(|f| !broken.contains(&line_of(text, f.span.start)));
        reader.findings.splice(0..0, first);
    }
    let cut = reader.findings.len() > MAX_FAULTS;
    reader.findings.truncate(MAX_FAULTS);
    let hidden = std::mem::take(&mut reader.secrets);
    let file = name.to_owned();
    match config {
        Some(config) if reader.findings.is_empty() => Ok(Loaded {
            absent,
            config,
            text: text.to_owned(),
            warnings: Warnings {
                list: place(text, warnings, &hidden),
                file,
            },
        }),
        _ => Err(Faults {
            cut,
            list: place(text, reader.findings, &hidden),
            file,
        }),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count()
}

fn syntax(error: &toml::de::Error) -> Finding {
    Finding {
        hint: "this is not TOML".to_owned(),
        kind: FaultKind::Syntax,
        path: String::new(),
        span: error.span().unwrap_or(0..0),
        text: error.message().to_owned(),
    }
}

/// Reports names that no table has.
fn dangling(reader: &mut Reader) {
    for reference in std::mem::take(&mut reader.references) {
        let known = reader.names.get(reference.table).map_or(&[][..], Vec::as_slice);
        if known.contains(&reference.name) {
            continue;
        }
        let table = reference.table;
        let words: Vec<&str> = known.iter().map(String::as_str).collect();
        let near = nearest(&reference.name, &words)
            .map_or_else(String::new, |word| format!("; did you mean {word:?}?"));
        let text = format!("there is no {table} {}{near}", quoted(&reference.name));
        let hint = if words.is_empty() {
            let key = match table {
                "channel" => "notify".to_owned(),
                _ => format!("{}s", table.replace(' ', "-")),
            };
            format!("no {table} is configured: add [{key}.{}]", reference.name)
        } else {
            let shown: Vec<&str> = words.iter().copied().take(12).collect();
            let more = if words.len() > shown.len() { ", …" } else { "" };
            format!("configured: {}{more}", shown.join(", "))
        };
        let span = reader.places.of(&reference.path);
        reader.fault(FaultKind::Dangling, &reference.path, span, text, hint);
    }
}

/// Leaves out the part that cannot do without the secret at this key. An account stays, and fails at its PBX; so does a
/// reader, to which no key fits.
fn leave_out(config: &mut Config, key: &str) {
    let mut words = key.split('.');
    match words.next() {
        Some("directory") => config.directory = None,
        Some("dot1x") => config.dot1x = None,
        Some("logins") => {
            if let Some(logins) = &mut config.logins {
                logins.radius = None;
            }
        }
        Some("mqtt") if words.next() == Some("keys") => {
            // a key costs itself only
            let id = words.next().unwrap_or_default();
            if let Some(mqtt) = &mut config.mqtt {
                mqtt.keys.retain(|key, _| key.as_str() != id);
            }
        }
        Some("mqtt") => config.mqtt = None,
        Some("notify") => {
            let id = words.next().unwrap_or_default();
            config.notify.retain(|channel, _| channel.as_str() != id);
        }
        Some(_) | None => {}
    }
}

/// Reads the passwords that stand in files of their own, and says which could not be read at a start.
fn passwords(
    config: &mut Config,
    folder: &Path,
    secrets: SecretFiles,
    reader: &mut Reader,
    warnings: &mut Vec<Finding>,
) -> Vec<Late> {
    let mut absent = Vec::new();
    if secrets == SecretFiles::Untouched {
        return absent;
    }
    let accounts = config.accounts.iter_mut().map(|(id, account)| {
        let at = format!("accounts.{id}.password-file");
        (at, account.password_file.as_ref(), &mut account.password)
    });
    let mqtt = config.mqtt.iter_mut().flat_map(|mqtt| {
        let at = "mqtt.password-file".to_owned();
        let keys = mqtt.keys.iter_mut().map(|(id, key)| {
            let at = format!("mqtt.keys.{id}.secret-file");
            (at, key.secret_file.as_ref(), &mut key.secret)
        });
        std::iter::once((at, mqtt.password_file.as_ref(), &mut mqtt.password)).chain(keys)
    });
    let radius = config
        .logins
        .iter_mut()
        .filter_map(|logins| logins.radius.as_mut());
    let radius = radius.flat_map(|radius| {
        let servers = radius.servers.iter_mut().enumerate().map(|(index, server)| {
            let at = format!("logins.radius.servers[{index}].secret-file");
            (at, server.secret_file.as_ref(), &mut server.secret)
        });
        let at = "logins.radius.secret-file".to_owned();
        std::iter::once((at, radius.secret_file.as_ref(), &mut radius.secret)).chain(servers)
    });
    let directory = config.directory.iter_mut().map(|directory| {
        let at = "directory.password-file".to_owned();
        (at, directory.password_file.as_ref(), &mut directory.password)
    });
    let dot1x = config.dot1x.iter_mut().flat_map(|dot1x| {
        [
            (
                "dot1x.password-file".to_owned(),
                dot1x.password_file.as_ref(),
                &mut dot1x.password,
            ),
            (
                "dot1x.client-passphrase-file".to_owned(),
                dot1x.client_passphrase_file.as_ref(),
                &mut dot1x.client_passphrase,
            ),
        ]
    });
    let notify = config.notify.iter_mut().flat_map(|(id, channel)| {
        let secrets = channel.secrets().into_iter();
        secrets.map(move |(key, file, value)| (format!("notify.{id}.{key}-file"), file.as_ref(), value))
    });
    let readers = config.readers.iter_mut();
    let readers = readers.flat_map(|(id, reader)| {
        reader.driver.key_files().into_iter().map(move |(key, file)| {
            let at = format!("readers.{id}.osdp.{key}");
            (at, Some(&file.path), &mut file.key)
        })
    });
    let controllers = config.controllers.iter_mut().filter_map(|(id, of)| {
        let (key, file) = of.driver.key_file()?;
        let at = format!("controllers.{id}.osdp.{key}");
        Some((at, Some(&file.path), &mut file.key))
    });
    let hooks = config
        .inputs
        .iter_mut()
        .filter_map(|(id, input)| match &mut input.driver {
            InputDriver::Webhook(hook) => {
                let at = format!("inputs.{id}.webhook.token-file");
                Some((at, hook.token_file.as_ref(), &mut hook.token))
            }
            InputDriver::Gpio(_)
            | InputDriver::Modbus(_)
            | InputDriver::Mqtt(_)
            | InputDriver::Osdp(_)
            | InputDriver::Virtual(_) => None,
        });
    let relays = config
        .outputs
        .iter_mut()
        .filter_map(|(id, output)| match &mut output.driver {
            OutputDriver::Http(relay) => {
                let at = format!("outputs.{id}.http.password-file");
                Some((at, relay.password_file.as_ref(), &mut relay.password))
            }
            OutputDriver::Dcttech(_)
            | OutputDriver::FrontEnd(_)
            | OutputDriver::Gpio(_)
            | OutputDriver::Kmtronic(_)
            | OutputDriver::Lcus1(_)
            | OutputDriver::Modbus(_)
            | OutputDriver::Mqtt(_)
            | OutputDriver::Numato(_)
            | OutputDriver::Osdp(_)
            | OutputDriver::Virtual(_) => None,
        });
    let files = accounts
        .chain(hooks)
        .chain(relays)
        .chain(mqtt)
        .chain(radius)
        .chain(directory)
        .chain(dot1x)
        .chain(notify)
        .chain(readers)
        .chain(controllers);
    for (at, file, password) in files {
        let Some(file) = file else { continue };
        match read_secret(&folder.join(file)) {
            Ok(secret) => *password = Some(secret),
            Err(error) if secrets == SecretFiles::AtStart => absent.push(Late {
                hint: error.remedy(),
                path: at,
                text: error.text(file),
            }),
            Err(error) => {
                let finding = Finding {
                    hint: error.remedy(),
                    kind: FaultKind::File,
                    span: reader.places.of(&at),
                    path: at,
                    text: error.text(file),
                };
                if error.is_missing() && secrets == SecretFiles::WhereFound {
                    warnings.push(finding);
                } else {
                    reader.findings.push(finding);
                }
            }
        }
    }
    absent
}

/// How a site file wants lines of the log, even if the file has faults, which are told in that form, too; the defaults if it
/// cannot be told.
#[must_use]
pub fn log_words_of(text: &str) -> (LogFormat, JournalFields) {
    fn read<T: Word>(log: &DeTable<'_>, key: &str) -> Option<T> {
        let given = log.get(key)?.get_ref().as_str()?;
        let found = T::ALL.iter().find(|(_, word, _)| *word == given);
        found.map(|(value, _, _)| *value)
    }
    let (document, _) = DeTable::parse_recoverable(text);
    let log = document
        .get_ref()
        .get("log")
        .and_then(|log| log.get_ref().as_table());
    // a word that is none is told so that a program, which may be waiting for lines of JSON, can read it
    let given = log.is_some_and(|log| log.get("format").is_some());
    let format = log.and_then(|log| read(log, "format"));
    let format = format.or(given.then_some(LogFormat::Json));
    let journald = log.and_then(|log| read(log, "journald"));
    (
        format.unwrap_or(LogFormat::Text),
        journald.unwrap_or(JournalFields::Auto),
    )
}

/// The state folder a site file names, even if the file has faults; the default if it cannot be told. For
/// finding the last confirmed generation of a file that became broken.
#[must_use]
pub fn state_dir_of(text: &str) -> PathBuf {
    let (document, _) = DeTable::parse_recoverable(text);
    let named = document
        .get_ref()
        .get("site")
        .and_then(|site| site.get_ref().get("state-dir"))
        .and_then(|dir| dir.get_ref().as_str())
        .filter(|dir| !dir.is_empty() && !dir.contains('\0'));
    named.unwrap_or("/var/lib/doorline").into()
}
