//! People and credentials of a running gateway: how they come to the core, and the requests of `doorline people` and
//! `doorline access`.

use std::path::{Path, PathBuf};

use gateway_bus::Bus;
use gateway_config::{CodeFrom, Config, SecretFiles};
use gateway_core::{Event, Timestamp, UserEvent};
use gateway_people::{Changed, Form, Import, OfSite, People, PeopleError, Report, SiteNames, ask_of, key_of};
use gateway_site::{Directory, PinKey, When};
use gateway_store::{Place, Records, Store, Traces};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::run::doubt;
use crate::run::faults::Faults;
use crate::run::note;
use crate::run::params;
use crate::run::whom;

/// Batches of changes that may wait for the core.
const QUEUE: usize = 4;

/// Where the key of codes and PINs stands.
fn key_file(state_dir: &Path) -> PathBuf {
    state_dir.join("people.key")
}

/// What is needed to load and to change people.
pub(crate) struct Staff {
    /// For the core.
    pub(crate) changes: mpsc::Receiver<Changed>,
    key: PinKey,
    /// `None` if the key cannot be used: then nobody is changed, and codes and PINs of people open nothing.
    pub(crate) people: Option<People>,
}

impl Staff {
    /// Reads the key. Without it the gateway runs all the same: cards, telephones and exits need none.
    pub(crate) fn new(config: &Config, store: &Store, faults: &Faults) -> Self {
        let (to_core, changes) = mpsc::channel(QUEUE);
        let records = store.records().clone();
        let (key, people) = match key_of(&key_file(&config.site.state_dir)) {
            Ok((key, made)) => {
                if made && has_digests(&records) {
                    let text = "the key of codes and PINs (people.key) was gone and is a new one: codes and PINs of people \
                                open nothing until they are set anew, or the key is restored";
                    tracing::error!("{text}");
                    faults.set("people-key", Some(text.to_owned()));
                }
                let people = People::new(records, key.clone(), to_core);
                (key, Some(people))
            }
            Err(error) => {
                let text =
                    format!("codes and PINs of people open nothing, and nobody can be changed: {error}");
                tracing::error!("{text}");
                faults.set("people-key", Some(text));
                // nobody knows it, so no digits fit
                let mut bytes = [0; 32];
                let key = match getrandom::fill(&mut bytes) {
                    Ok(()) => PinKey::new(bytes),
                    Err(_) => PinKey::default(),
                };
                (key, None)
            }
        };
        let staff = Self { changes, key, people };
        staff.name(config);
        staff
    }

    /// What the site file in force names.
    fn name(&self, config: &Config) {
        if let Some(people) = &self.people {
            people.set_site(names(config));
        }
    }

    /// Reads everybody, for the core; while records are in doubt, only who may not come in.
    pub(crate) fn everybody(
        &self,
        store: &Store,
        faults: &Faults,
        doubt: bool,
    ) -> impl Future<Output = Directory> + use<> {
        directory(store.records().clone(), self.key.clone(), faults.clone(), doubt)
    }

    pub(crate) const fn key(&self) -> &PinKey {
        &self.key
    }
}

async fn directory(records: Records, key: PinKey, faults: Faults, doubt: bool) -> Directory {
    let empty = Directory::new(key.clone());
    let read: fn(&Records, PinKey) -> (Directory, usize) = if doubt {
        gateway_people::people_only
    } else {
        gateway_people::directory
    };
    let read = tokio::task::spawn_blocking(move || read(&records, key)).await;
    let Ok((directory, unread)) = read else {
        return empty;
    };
    let text = format!(
        "{unread} records of people or credentials cannot be read by this version; they open nothing"
    );
    faults.set("people", (unread > 0).then_some(text));
    directory
}

fn has_digests(records: &Records) -> bool {
    let mut any = false;
    records.visit(gateway_people::CREDENTIAL, |_, value| {
        any |= matches!(value["kind"].as_str(), Some("code" | "pin"));
    });
    any
}

/// What lines of an import may name.
pub(crate) fn names(config: &Config) -> SiteNames {
    let keys = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    SiteNames {
        codes: config.codes.values().map(|code| code.digits.clone()).collect(),
        doors: keys(config.doors.keys().map(gateway_core::DoorId::as_str).collect()),
        held: held(config),
        groups: keys(config.groups.keys().map(gateway_core::GroupId::as_str).collect()),
        schedules: keys(
            config
                .schedules
                .keys()
                .map(gateway_core::ScheduleId::as_str)
                .collect(),
        ),
        zone: params::zone(config).unwrap_or(jiff::tz::TimeZone::UTC),
    }
}

/// Cards, codes and callers of the site file.
fn held(config: &Config) -> Vec<OfSite> {
    let person = |person: Option<&gateway_core::PersonId>| person.map(ToString::to_string);
    let doors = |doors: &[gateway_core::DoorId]| doors.iter().map(ToString::to_string).collect();
    let schedule = |when: &When| (*when != When::Always).then(|| when.to_string());
    let cards = config.cards.iter().map(|(id, card)| OfSite {
        at: format!("cards.{id}"),
        card: Some(card.card.clone()),
        doors: doors(&card.doors),
        person: person(card.person.as_ref()),
        schedule: schedule(&card.schedule),
        ..OfSite::default()
    });
    let codes = config.codes.iter().map(|(id, code)| OfSite {
        at: format!("codes.{id}"),
        digits: Some(code.digits.clone()),
        doors: doors(&code.doors),
        person: person(code.person.as_ref()),
        place: match code.from.as_slice() {
            [CodeFrom::Call] => Some("call"),
            [CodeFrom::Keypad] => Some("keypad"),
            _ => None,
        },
        schedule: schedule(&code.schedule),
        ..OfSite::default()
    });
    let callers = config.doors.iter().flat_map(|(id, door)| {
        let callers = door.callers.iter().enumerate();
        callers.map(move |(at, caller)| OfSite {
            at: format!("doors.{id}.callers[{at}]"),
            doors: vec![id.to_string()],
            name: caller.name.clone().unwrap_or_default(),
            number: Some(caller.number.to_string()),
            schedule: schedule(&caller.schedule),
            ..OfSite::default()
        })
    });
    cards.chain(codes).chain(callers).collect()
}

/// What `doorline people` and `doorline access` reach.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) bus: Bus,
    /// The text in force.
    pub(crate) in_force: PathBuf,
    pub(crate) key: PinKey,
    pub(crate) state_dir: PathBuf,
    pub(crate) store: Store,
}

fn text<'a>(request: &'a Value, key: &str) -> Result<&'a str, String> {
    let text = request.get(key).and_then(Value::as_str);
    text.ok_or_else(|| format!("{key:?} is missing or not a text"))
}

fn optional<'a>(request: &'a Value, key: &str) -> Option<&'a str> {
    request.get(key).and_then(Value::as_str)
}

impl Desk {
    /// True if the act is one of these.
    pub(crate) fn knows(request: &Value) -> bool {
        optional(request, "act").is_some_and(|act| act.starts_with("people-") || act.starts_with("access-"))
    }

    /// Carries out one request of `commands/people.rs` or `commands/access.rs`.
    pub(crate) async fn act(self, request: Value) -> Result<Value, String> {
        let act = text(&request, "act")?;
        match act {
            "access-diff" => return self.diff(text(&request, "file")?).await,
            "access-explain" => return self.explain(&request).await,
            _ => {}
        }
        let people = self
            .bus
            .people()
            .ok_or("people cannot be changed; the health page says why")?;
        match act {
            "people-erase" => {
                let person = text(&request, "person")?.to_owned();
                let also: Vec<String> =
                    serde_json::from_str(text(&request, "body")?).map_err(|error| error.to_string())?;
                let desk = self.clone();
                let note = move || desk.note(ERASED.to_owned());
                let erased = people.erase(&self.store, &person, also, note).await;
                let (erased, traces) = erased.map_err(|e| said(&e))?;
                let dir = self.state_dir.clone();
                let left = tokio::task::spawn_blocking(move || left(&dir, &traces)).await;
                Ok(json!({
                    "events": erased.events,
                    "files": erased.files,
                    "left": left.unwrap_or_default(),
                }))
            }
            "people-export" => {
                let form = match text(&request, "form")? {
                    "csv" => Form::Csv,
                    _ => Form::Json,
                };
                self.note("everybody was exported".to_owned());
                Ok(Value::String(people.export(form).await))
            }
            "people-import" => {
                let flag = |key| request.get(key).and_then(Value::as_bool).unwrap_or(false);
                let how = Import {
                    dry_run: flag("dry-run"),
                    replace: flag("replace"),
                };
                let body = text(&request, "body")?.to_owned();
                let desk = self.clone();
                let imported = people.import(body, how, move |report| desk.note(report.to_string()));
                match imported.await {
                    Ok(report) => Ok(shown(&report)),
                    Err(PeopleError::Faults { count, faults, .. }) => {
                        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                        Ok(json!({ "faults": faults, "count": count }))
                    }
                    Err(error) => Err(said(&error)),
                }
            }
            "people-confirm" => {
                let state_dir = self.state_dir.clone();
                let ended = doubt::ends(&state_dir)
                    .map_err(|error| format!("{}: {error}", doubt::mark(&state_dir).display()))?;
                if ended {
                    self.note(
                        "the records were looked through after damage, and are believed again".to_owned(),
                    );
                }
                Ok(Value::Bool(ended))
            }
            "people-list" => serde_json::to_value(people.everybody().await).map_err(|e| e.to_string()),
            "people-remove" => {
                let what = ["person", "credential"].map(|key| optional(&request, key).unwrap_or_default());
                let (desk, what) = (self.clone(), format!("removed: {}", what.concat()));
                let note = move |_: &Report| desk.note(what);
                let removed = match (optional(&request, "person"), optional(&request, "credential")) {
                    (Some(person), _) => people.remove_person(person, note).await,
                    (None, Some(credential)) => people.remove_credential(credential, note).await,
                    (None, None) => return Err("a person or a credential is needed".to_owned()),
                };
                let report = removed.map_err(|e| said(&e))?;
                Ok(json!({ "left": report.left }))
            }
            other => Err(format!(
                "{other:?} is not an act of this gateway; is `doorline` of another version?"
            )),
        }
    }

    /// Journals who changed what: whoever has the rights of this machine's gateway user.
    fn note(&self, text: String) {
        let by = "local".to_owned();
        note::journal(&self.store, Event::User(UserEvent::PeopleChanged { by, text }));
    }

    async fn explain(&self, request: &Value) -> Result<Value, String> {
        let mut question = request.clone();
        if let Some(question) = question.as_object_mut() {
            question.remove("act");
        }
        let ask = ask_of(&question)?;
        let view = self.bus.view();
        if !view.borrow().doors.iter().any(|door| door.id == ask.door) {
            return Err(format!("there is no door {:?}", ask.door.as_str()));
        }
        let told = self.bus.explain(ask).await.ok_or("the core does not answer")?;
        Ok(json!({
            "allowed": told.allowed,
            "rule": told.rule,
            "subject": told.subject.to_string(),
            "changes": told.changes.map(|at| at.to_string()),
        }))
    }

    /// What another site file would alter, for whom.
    async fn diff(&self, file: &str) -> Result<Value, String> {
        let load = |path: PathBuf| {
            let loaded = gateway_config::load(&path, SecretFiles::Untouched);
            loaded.map_err(|e| format!("{}: {e}", path.display()))
        };
        let (records, key) = (self.store.records().clone(), self.key.clone());
        let (old, new) = (load(self.in_force.clone())?, load(PathBuf::from(file))?);
        let compare = move || whom::lines(&whom::altered(&records, &key, &old.config, &new.config));
        let lines = tokio::task::spawn_blocking(compare).await;
        lines.map(Value::from).map_err(|_| "the gateway stops".to_owned())
    }
}

/// What the journal says of an erasure: not who it was.
const ERASED: &str = "somebody was erased";
/// Places that an erasure names.
const PLACES: usize = 200;
/// Files that are larger hold no texts of ours.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Where the state folder beside the journal tells of somebody: what the site file says is not ours to change. In files that
/// are no text only what is surely theirs counts: a short name in a key or an index is chance.
fn left(dir: &Path, traces: &Traces) -> Vec<Value> {
    let sure = traces.sure();
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && entry.metadata().is_ok_and(|file| file.len() <= LARGEST)
                && let Ok(bytes) = std::fs::read(&path)
            {
                let name = path.display().to_string();
                match std::str::from_utf8(&bytes) {
                    Ok(text) => found.extend(traces.places(text).iter().map(|of| place(&name, of))),
                    Err(_) if sure.tell(&bytes) => found.push(json!({ "file": name })),
                    Err(_) => {}
                }
            }
        }
    }
    found.sort_by_key(|place| (place["file"].as_str().map(str::to_owned), place["line"].as_u64()));
    found.truncate(PLACES);
    found
}

/// A place of a file, as `commands/people.rs` takes it.
fn place(file: &str, of: &Place) -> Value {
    json!({ "file": file, "line": of.line, "sure": of.sure, "what": of.what })
}

/// A time of the command line: with an offset, or in the site's time zone.
pub(crate) fn time_of(text: &str, config: &Config) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let local: jiff::civil::DateTime = text.parse().map_err(|_| {
        anyhow::anyhow!(
            "--at {text:?}: allowed are 2026-12-24T22:10, or with an offset 2026-12-24T22:10:00+01:00"
        )
    })?;
    let zone =
        params::zone(config).ok_or_else(|| anyhow::anyhow!("the site's time zone is not known here"))?;
    Ok(zone.to_timestamp(local)?)
}

fn shown(report: &Report) -> Value {
    let made = report.made.iter().map(
        |made| json!({ "line": made.line, "credential": made.credential, "code": made.digits.reveal() }),
    );
    let counts = |counts: [usize; 3]| json!({ "new": counts[0], "changed": counts[1], "removed": counts[2] });
    json!({
        "lines": report.lines,
        "people": counts(report.people),
        "credentials": counts(report.credentials),
        "codes": made.collect::<Vec<_>>(),
        "left": report.left,
    })
}

/// An error with what caused it.
fn said(error: &PeopleError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}
