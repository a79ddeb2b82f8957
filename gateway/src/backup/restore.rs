//! A restore: everything is made beside what is there, and takes its place at the end.
//!
//! What restricts is never loosened by it without a word: uses that were spent stay spent, removed people stay removed for
//! the cards of the site file, a lockdown goes on. Whatever was withdrawn after the backup comes back with it, and is told
//! before anything is done. Files that the site file names and that are there stay: devices and servers have the keys and
//! passwords of today.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use gateway_backup::{Content, File, Place};
use gateway_config::{Config, Generations, SecretFiles};
use gateway_core::{Clock as _, Event, PersonId, UserEvent};
use gateway_people::{BARRED, CREDENTIAL, PERSON, USE, key_of, use_value};
use gateway_store::{Edit, LockError, OpenError, RealIo, Store, StoreIo as _};
use serde_json::json;

use super::aside::{Beside, free};
use super::current::{Rows, rows};
use super::gather::{moment, real};
use super::revived::told;
use super::{KEPT, PEOPLE_KEY, controller_keys};
use crate::clock::SystemClock;
use crate::run::{self, LOCKDOWNS};

/// How it is to be done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// Also files outside of the folder of the site file.
    pub(crate) files_outside: bool,
    /// The site file that is there stays.
    pub(crate) keep_site_file: bool,
    /// The backup may be that of another site.
    pub(crate) other_site: bool,
}

/// A restore that was looked at and not done.
pub(crate) struct Prepared {
    confirmed: String,
    content: Content,
    /// What it will do, a line each.
    pub(crate) lines: Vec<String>,
    run_dirs: Vec<PathBuf>,
    site_file: PathBuf,
    site_text: String,
    state_dir: PathBuf,
    to_write: Vec<(PathBuf, File)>,
}

/// What was done.
pub(crate) struct Restored {
    /// Where the state folder of before is.
    pub(crate) before: Option<PathBuf>,
    /// What could not be done, in words.
    pub(crate) left: Vec<String>,
    pub(crate) state_dir: PathBuf,
}

/// Looks at everything that may refuse a restore, and says what it will do.
///
/// # Errors
/// Why it cannot be; nothing was changed.
pub(crate) fn prepare(content: Content, site_file: &Path, how: How) -> anyhow::Result<Prepared> {
    let there = match std::fs::read_to_string(site_file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", site_file.display())),
    };
    known(&content)?;
    let site_text = match (how.keep_site_file, &there) {
        (true, Some(text)) => text.clone(),
        (true, None) => bail!("{}: there is no site file to be kept", site_file.display()),
        (false, _) => text_of(&content, Place::SiteFile)?.context("the backup has no site file")?,
    };
    let confirmed = if how.keep_site_file {
        site_text.clone()
    } else {
        text_of(&content, Place::Confirmed)?.unwrap_or_else(|| site_text.clone())
    };
    // that of the backup may have had faults: then the last one without was in force
    let config = parsed(site_file, &site_text)
        .or_else(|_| parsed(site_file, &confirmed))
        .map_err(|error| {
            error.context("this program does not take the site file of the backup; see --keep-site-file")
        })?;
    let mut run_dirs = vec![config.site.run_dir.clone()];
    if let Some(now) = there.as_deref().and_then(|text| parsed(site_file, text).ok()) {
        ensure!(
            how.other_site || now.site.id == config.site.id && now.site.id.as_str() == content.head.site,
            "the backup is that of site {:?}, {} is that of {:?}; say --other-site if that is meant",
            content.head.site,
            site_file.display(),
            now.site.id.as_str()
        );
        run_dirs.push(now.site.run_dir);
    }
    let state_dir = real(&config.site.state_dir);
    let now = rows(&state_dir).with_context(|| {
        format!(
            "what is in {} cannot be compared; move that folder away to restore into an empty one",
            state_dir.display()
        )
    })?;
    let mut lines = changes(&content, &now, &state_dir);
    lines.extend(controller_keys::told(&content, &state_dir));
    lines.extend(site_lines(site_file, there.as_deref(), &site_text));
    let mut to_write = Vec::new();
    for file in content.files.iter().filter(|file| file.place == Place::Named) {
        let path = site_file.parent().unwrap_or(Path::new(".")).join(&file.path);
        let shown = path.display();
        if path.symlink_metadata().is_ok() {
            let same = std::fs::read(&path).is_ok_and(|found| found == *file.bytes);
            if !same {
                lines.push(format!(
                    "{shown}: stays as it is; that of the backup is another one"
                ));
            }
        } else if !how.files_outside && !within(site_file, &path) {
            lines.push(format!("{shown}: is not written, for it is outside of the folder of the site file; see --files-outside"));
        } else {
            lines.push(format!("{shown}: is written"));
            to_write.push((path, file.clone()));
        }
    }
    Ok(Prepared {
        confirmed,
        content,
        lines,
        run_dirs,
        site_file: site_file.to_owned(),
        site_text,
        state_dir,
        to_write,
    })
}

fn changes(content: &Content, now: &Rows, state_dir: &Path) -> Vec<String> {
    let mut lines = vec![format!(
        "everything that was withdrawn after {} opens and logs in again: cards, codes, people, users, tokens",
        content.head.made
    )];
    if now.is_empty() {
        lines.push(format!(
            "{} has no records, so that nobody can tell what that is",
            state_dir.display()
        ));
    }
    lines.extend(told(content, now));
    lines
}

/// The difference of the site files, without secrets.
fn site_lines(site_file: &Path, there: Option<&str>, text: &str) -> Vec<String> {
    let name = site_file.display().to_string();
    let Some(there) = there else {
        return vec![format!("{name}: is written")];
    };
    if there == text {
        return vec![];
    }
    let shown = gateway_config::veil_both(&name, there, text);
    let diff = shown.map_or_else(
        |_| "  (it is no TOML and cannot be shown)".to_owned(),
        |shown| gateway_config::unified(&shown.old, &shown.new),
    );
    let mut lines = vec![format!("{name}: changes, and what is there is kept beside it:")];
    lines.extend(diff.lines().map(|line| format!("  {line}")));
    lines
}

impl Prepared {
    /// Does it. The gateway must not run.
    ///
    /// # Errors
    /// Why not. Before the state folder is in its place, everything is as it was.
    pub(crate) async fn restore(self) -> anyhow::Result<Restored> {
        for run_dir in &self.run_dirs {
            free(run_dir)?;
        }
        let lock = self.state_dir.join("lock");
        // without that file no gateway was ever there, and it is not for us to make
        let _held = match lock.exists() {
            true => Some(
                RealIo
                    .lock(&lock)
                    .map_err(|error| locked(&self.state_dir, error))?,
            ),
            false => None,
        };
        let beside = Beside::of(&self.state_dir)?;
        self.fill(&beside.new).await?;
        let mut left = Vec::new();
        let gateway = gateway_user(&self.state_dir);
        for (path, file) in &self.to_write {
            if let Err(error) = write_new(path, file, &self.site_file, gateway) {
                left.push(format!("{}: {error:#}", path.display()));
            }
        }
        let at = moment(SystemClock.wall());
        // beside it first: after the folder only one rename is left
        let site = SiteFile::new(&self.site_file, &self.site_text, &at)?;
        let before = beside.swap(&at)?;
        site.take(&self.state_dir)
            .context("the state folder is restored, the site file is not: restore once more")?;
        Ok(Restored {
            before,
            left,
            state_dir: self.state_dir,
        })
    }

    /// Puts records and files into a copy of the state folder.
    async fn fill(&self, new: &Path) -> anyhow::Result<()> {
        let key_before = std::fs::read(new.join(PEOPLE_KEY)).ok();
        for file in self
            .content
            .files
            .iter()
            .filter(|file| file.place == Place::State && !controller_keys::stays(new, file))
        {
            let path = new.join(&file.path);
            let parent = path.parent().unwrap_or(new);
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)?;
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                Ok(()) | Err(_) => create(&path, file)?,
            }
        }
        let key = key_of(&new.join(PEOPLE_KEY))?.0;
        let same_key = key_before
            .is_none_or(|before| std::fs::read(new.join(PEOPLE_KEY)).is_ok_and(|now| now == before));
        let (store, _) = Store::open(new, run::store_options(), RealIo)?;
        let edits = self.edits(&rows_of(&store), same_key, &key, store.durable().borrow().0);
        let count = edits.len();
        let done = async {
            if !edits.is_empty() {
                store.records().put_all(edits)?.durable().await?;
            }
            let text = format!("a backup of {}, {count} records changed", self.content.head.made);
            run::journal(&store, Event::User(UserEvent::Restored { text }));
            anyhow::Ok(())
        };
        let done = done.await;
        // closing writes what waits
        store.close();
        done?;
        let has = |kind: &str| self.content.records.iter().any(|record| record.kind == kind);
        if has(gateway_http::USER) {
            gateway_http::note_users(&new.join(run::USERS_MARK));
        }
        if self.content.head.in_doubt {
            run::mark(&run::doubt_mark(new))?;
        }
        Generations::open(new)?.confirm(&self.site_file, &self.confirmed)?;
        Ok(())
    }

    /// What makes the records that are there those of the backup.
    fn edits(&self, now: &Rows, same_key: bool, key: &gateway_site::PinKey, last: u64) -> Vec<Edit> {
        let mut then: BTreeMap<&'static str, BTreeMap<&str, &gateway_backup::Record>> = BTreeMap::new();
        for record in &self.content.records {
            if let Some(kind) = KEPT.iter().find(|kind| **kind == record.kind) {
                then.entry(kind).or_default().insert(&record.key, record);
            }
        }
        let credentials: BTreeSet<&str> = then
            .get(CREDENTIAL)
            .into_iter()
            .flatten()
            .map(|(key, _)| *key)
            .collect();
        let empty = BTreeMap::new();
        let mut edits = Vec::new();
        for kind in KEPT {
            let (now, then) = (now.get(kind), then.remove(kind).unwrap_or_default());
            let now = now.unwrap_or(&empty);
            let gone = now.keys().filter(|key| !then.contains_key(key.as_str()));
            match kind {
                USE => {
                    // one that the backup has, and that was first used after it, was used
                    let gone = gone.filter(|key| !credentials.contains(key.as_str()));
                    edits.extend(gone.map(|key| Edit::delete(USE, key)));
                    for (key, record) in then {
                        let spent = now.get(key).map_or(0, |entry| times(&entry.value));
                        let times = times(&record.value).max(spent);
                        edits.push(Edit::set(USE, key, use_value(times)));
                    }
                }
                BARRED => {
                    // by another key their digests tell of nobody
                    edits.extend(gone.filter(|_| !same_key).map(|tag| Edit::delete(BARRED, tag)));
                    let back: BTreeSet<String> = self.tags(key);
                    edits.extend(
                        now.keys()
                            .filter(|tag| back.contains(*tag))
                            .map(|tag| Edit::delete(BARRED, tag)),
                    );
                    let new = then.values().filter(|record| !now.contains_key(&record.key));
                    let new = new.filter(|record| !back.contains(&record.key));
                    edits.extend(new.map(|record| Edit::set(BARRED, &record.key, json!({}))));
                }
                LOCKDOWNS => {
                    let new = then.keys().filter(|group| !now.contains_key(**group));
                    let since = SystemClock.wall().to_string();
                    // ends that stand in the journal are those of earlier ones
                    let value = json!({ "since": since, "after": last });
                    edits.extend(new.map(|group| Edit::set(LOCKDOWNS, group, value.clone())));
                }
                _ => {
                    edits.extend(gone.map(|key| Edit::delete(kind, key)));
                    let differs = then.values().filter(|record| {
                        now.get(&record.key).is_none_or(|entry| {
                            entry.value != record.value || entry.expires != record.expires
                        })
                    });
                    edits.extend(differs.map(|r| Edit::set(kind, &r.key, r.value.clone()).until(r.expires)));
                }
            }
        }
        edits
    }

    /// Digests of the people of the backup, as they would stand among those who were removed.
    fn tags(&self, key: &gateway_site::PinKey) -> BTreeSet<String> {
        let people = self.content.records.iter().filter(|record| record.kind == PERSON);
        let ids = people.filter_map(|record| PersonId::new(&record.key).ok());
        ids.map(|id| key.removed(&id).to_string()).collect()
    }
}

/// A count that cannot be read is used up.
fn times(value: &serde_json::Value) -> u32 {
    value["times"]
        .as_u64()
        .and_then(|times| u32::try_from(times).ok())
        .unwrap_or(u32::MAX)
}

fn rows_of(store: &Store) -> Rows {
    let of = |kind: &'static str| (kind, store.records().list(kind).into_iter().collect());
    KEPT.into_iter().map(of).collect()
}

/// Another gateway, or this one, runs in the folder.
fn locked(state_dir: &Path, error: LockError) -> anyhow::Error {
    if let LockError::Held { pid } = error {
        let dir = state_dir.to_owned();
        return anyhow::Error::new(OpenError::InUse { dir, pid })
            .context("stop the gateway first (systemctl stop doorline)");
    }
    error.into()
}

fn known(content: &Content) -> anyhow::Result<()> {
    let unknown = content
        .records
        .iter()
        .find(|record| !KEPT.contains(&record.kind.as_str()));
    if let Some(record) = unknown {
        bail!(
            "the backup has records of the kind {:?}, which this program does not know; take version {} or a later one",
            record.kind,
            content.head.program
        );
    }
    let state = content.files.iter().filter(|file| file.place == Place::State);
    let unknown = state.into_iter().find(|file| {
        !super::STATE_FILES.contains(&file.path.as_str()) && !controller_keys::is_one(&file.path)
    });
    match unknown {
        None => Ok(()),
        Some(file) => Err(anyhow!(
            "the backup has a file {:?} of the state folder, which this program does not know",
            file.path
        )),
    }
}

fn text_of(content: &Content, place: Place) -> anyhow::Result<Option<String>> {
    let file = content.files.iter().find(|file| file.place == place);
    let text = file.map(|file| String::from_utf8(file.bytes.to_vec()));
    text.transpose()
        .context("the site file of the backup is not UTF-8")
}

fn parsed(site_file: &Path, text: &str) -> anyhow::Result<Config> {
    let folder = site_file.parent().unwrap_or(Path::new("."));
    let name = site_file.display().to_string();
    Ok(gateway_config::parse(&name, folder, text, SecretFiles::Untouched)?.config)
}

/// Does the path lie in the folder of the site file, by its words? Links in that folder are its owner's.
fn within(site_file: &Path, path: &Path) -> bool {
    let folder = site_file.parent().unwrap_or(Path::new("."));
    let up = path.components().any(|part| part == Component::ParentDir);
    !up && path.starts_with(folder)
}

/// User and group of the gateway, if we are root and it has run here.
fn gateway_user(state_dir: &Path) -> Option<(u32, u32)> {
    let meta = std::fs::metadata(state_dir).ok()?;
    rustix::process::geteuid()
        .is_root()
        .then(|| (meta.uid(), meta.gid()))
}

/// A file that the site file names, where nothing is. It is the gateway's, which has to read it.
fn write_new(path: &Path, file: &File, site_file: &Path, gateway: Option<(u32, u32)>) -> anyhow::Result<()> {
    if within(site_file, path)
        && let Some(parent) = path.parent()
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(parent)?;
    }
    create(path, file)?;
    if let Some((user, group)) = gateway {
        std::os::unix::fs::lchown(path, Some(user), Some(group))?;
    }
    Ok(())
}

fn create(path: &Path, file: &File) -> anyhow::Result<()> {
    let mut new = std::fs::File::options()
        .write(true)
        .create_new(true)
        // nobody else writes to what the gateway reads
        .mode(file.mode & 0o755)
        .open(path)
        .with_context(|| format!("{} cannot be made", path.display()))?;
    new.write_all(&file.bytes)?;
    Ok(new.sync_all()?)
}

/// The site file, written and not in its place yet.
struct SiteFile {
    beside: Option<PathBuf>,
    place: PathBuf,
}

impl SiteFile {
    fn new(place: &Path, text: &str, moment: &str) -> anyhow::Result<Self> {
        let place = std::fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        let there = std::fs::read_to_string(&place).ok();
        if there.as_deref() == Some(text) {
            return Ok(Self { beside: None, place });
        }
        let named = |suffix: &str| {
            let mut name = place.file_name().unwrap_or_default().to_owned();
            name.push(suffix);
            place.with_file_name(name)
        };
        if there.is_some() {
            let kept = named(&format!(".before-restore-{moment}"));
            std::fs::copy(&place, &kept).with_context(|| format!("{} cannot be made", kept.display()))?;
        } else if let Some(parent) = place.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("{} cannot be made", parent.display()))?;
        }
        let beside = named(".restoring");
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let meta = std::fs::metadata(&place).ok();
        let mode = meta.as_ref().map_or(0o640, |meta| meta.mode() & 0o777);
        let file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside);
        let mut file = file.with_context(|| format!("{} cannot be made", beside.display()))?;
        if let Some(meta) = meta.filter(|_| rustix::process::geteuid().is_root()) {
            std::os::unix::fs::fchown(&file, Some(meta.uid()), Some(meta.gid()))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        let beside = Some(beside);
        Ok(Self { beside, place })
    }

    fn take(mut self, state_dir: &Path) -> anyhow::Result<()> {
        let Some(beside) = self.beside.take() else {
            return Ok(());
        };
        // a new one is for the gateway's group to read
        if !self.place.exists()
            && rustix::process::geteuid().is_root()
            && let Ok(state) = std::fs::metadata(state_dir)
        {
            std::os::unix::fs::chown(&beside, None, Some(state.gid()))?;
        }
        std::fs::rename(&beside, &self.place)
            .with_context(|| format!("{} cannot be replaced", self.place.display()))?;
        let folder = self.place.parent().unwrap_or(Path::new("."));
        Ok(std::fs::File::open(folder)?.sync_all()?)
    }
}

impl Drop for SiteFile {
    fn drop(&mut self) {
        // it may hold passwords
        if let Some(beside) = &self.beside {
            let _ = std::fs::remove_file(beside);
        }
    }
}
