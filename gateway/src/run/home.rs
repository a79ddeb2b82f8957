//! The folders of the gateway: state and run. A state folder that cannot be used costs the journal and everybody who
//! comes in, but no exit.

use std::path::{Path, PathBuf};

use anyhow::Context;
use gateway_config::{Config, Generations};
use gateway_store::{OpenError, RealIo, Store};

use crate::run::instance::Instance;
use crate::run::{doubt, params, store_options, unkept};

/// Name of the copy of the text in force, which the relay guard reads.
pub(crate) const IN_FORCE: &str = "in-force.toml";
/// In the run folder: what stands in for a state folder that cannot be used.
const WITHOUT_STATE: &str = "without-state";

/// What stands in the state folder.
pub(crate) struct Home {
    /// Are people of the records in doubt?
    pub(crate) doubt: bool,
    pub(crate) generations: Generations,
    pub(crate) instance: Instance,
    /// What was set right of the generations, in words.
    pub(crate) mended: Option<String>,
    /// Why only exits open: the state folder cannot be used.
    pub(crate) only_exits: Option<String>,
    /// Held while we live: the sockets in the run folder are ours.
    pub(crate) run_lock: std::fs::File,
    pub(crate) store: Store,
}

impl Home {
    /// Takes both folders. If the state folder cannot be used, a folder in the run folder takes its place in `config`,
    /// for this run.
    ///
    /// # Errors
    /// Another gateway has one of them, or the run folder cannot be used.
    pub(crate) fn take(config: &mut Config) -> anyhow::Result<Self> {
        private_dir(&config.site.run_dir, "run-dir")?;
        let error = match Self::open(config) {
            Ok(home) => return Ok(home),
            // without a journal it never was our state folder: whoever sets the site up is told
            Err(error) if is_in_use(&error) || !has_journal(&config.site.state_dir) => return Err(error),
            Err(error) => error,
        };
        let stand_in = config.site.run_dir.join(WITHOUT_STATE);
        let state_dir = std::mem::replace(&mut config.site.state_dir, stand_in);
        // the last run may have left one; nothing in it counts
        let _ = std::fs::remove_dir_all(&config.site.state_dir);
        let mut home = Self::open(config).with_context(|| {
            format!(
                "{error:#}; and nothing can take the place of {}",
                state_dir.display()
            )
        })?;
        // whoever reaches the page of a gateway without its users makes none
        gateway_http::note_users(&params::users_mark(config));
        home.only_exits = Some(format!(
            "the state folder {} cannot be used: {error:#}. Only exits open, and nothing is written down, until that is \
             mended and the gateway is started anew",
            state_dir.display()
        ));
        Ok(home)
    }

    fn open(config: &Config) -> anyhow::Result<Self> {
        let state_dir = &config.site.state_dir;
        private_dir(state_dir, "state-dir")?;
        let (store, report) = Store::open(state_dir, store_options(), RealIo)?;
        if report.records_damaged {
            // before anything can fail: at the next start nothing is damaged any more, and there may be no users
            tracing::error!("users, tokens or lock-outs of the page may be lost with the damaged records");
            gateway_http::note_users(&params::users_mark(config));
        }
        let doubt = doubt::begins(state_dir, &report);
        doubt::tell_torn(&store, &report);
        let run_lock = lock_run_dir(&config.site.run_dir)?;
        let instance = Instance::of(state_dir)?;
        let generations = Generations::open(state_dir)?;
        let mended = generations.mend()?;
        Ok(Self {
            doubt,
            generations,
            instance,
            mended,
            only_exits: None,
            run_lock,
            store,
        })
    }
}

fn has_journal(state_dir: &Path) -> bool {
    state_dir.join("journal").try_exists().unwrap_or(true)
}

fn is_in_use(error: &anyhow::Error) -> bool {
    error.is::<InUse>() || matches!(error.downcast_ref(), Some(OpenError::InUse { .. }))
}

/// Writes the text that is to be in force beside the one that is, for the relay guard, which must start even when the
/// site file is being edited. Without room in the state folder the run folder will do, until the machine starts anew.
///
/// # Errors
/// Neither folder takes it.
pub(crate) fn write_new(config: &Config, text: &str) -> anyhow::Result<NewText> {
    let site = &config.site;
    // as at most starts: a disk without room keeps nobody waiting for what stands there already
    if is_there(&site.state_dir, text) {
        return Ok(NewText::there(&site.state_dir));
    }
    let in_state = write(&site.state_dir, text);
    let error = match in_state {
        Ok(new) => {
            let trouble = None;
            return Ok(NewText { new, trouble });
        }
        Err(error) => error,
    };
    let new = if is_there(&site.run_dir, text) {
        site.run_dir.join(IN_FORCE)
    } else {
        write(&site.run_dir, text).with_context(|| format!("{error:#}"))?
    };
    let trouble = format!(
        "{error:#}; the file in force is kept in {} instead; {}",
        site.run_dir.display(),
        unkept::awaited(&error, &site.state_dir)
    );
    Ok(NewText {
        new,
        trouble: Some(trouble),
    })
}

/// A text that is written and not in force yet.
pub(crate) struct NewText {
    new: PathBuf,
    /// Why it does not stand in the state folder.
    pub(crate) trouble: Option<String>,
}

impl NewText {
    /// It is in force already.
    fn there(dir: &Path) -> Self {
        Self {
            new: dir.join(IN_FORCE),
            trouble: None,
        }
    }

    /// Puts it into force, and says where it stands.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub(crate) fn take(&self) -> anyhow::Result<PathBuf> {
        let path = self.new.with_file_name(IN_FORCE);
        if self.new == path {
            return Ok(path);
        }
        std::fs::rename(&self.new, &path)
            .with_context(|| format!("{} cannot be replaced", path.display()))?;
        Ok(path)
    }
}

/// Is just this text in force there, in a file that is ours alone?
fn is_there(dir: &Path, text: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    let path = dir.join(IN_FORCE);
    let ours = std::fs::symlink_metadata(&path).is_ok_and(|found| {
        found.is_file() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0
    });
    ours && std::fs::read(&path).is_ok_and(|found| found == text.as_bytes())
}

/// Adds what to do to an error of a start if it is that there is no room.
pub(crate) fn with_remedy(error: anyhow::Error, dirs: &[PathBuf]) -> anyhow::Error {
    if !unkept::is_full(&error) {
        return error;
    }
    let full = dirs.iter().filter(|dir| !unkept::has_room(dir, ""));
    let full: Vec<String> = full.map(|dir| dir.display().to_string()).collect();
    // a quota, or no room for one more file
    let full = if full.is_empty() {
        dirs.iter().map(|dir| dir.display().to_string()).collect()
    } else {
        full
    };
    error.context(format!(
        "there is no room on the disk of {0}: free some there (df -h {1}; df -i {1}) and start the gateway again",
        full.join(" and of "),
        full.join(" ")
    ))
}

fn write(dir: &Path, text: &str) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::OpenOptionsExt;
    let new = dir.join("in-force.new");
    let write = || {
        let mut file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", new.display()))?;
    Ok(new)
}

/// A folder that only we can enter; `key` is where the site file names it.
fn private_dir(dir: &Path, key: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| {
            format!(
                "{} cannot be made or is no folder; set {key} to a folder of this user",
                dir.display()
            )
        })?;
    let found = std::fs::metadata(dir)?;
    let us = rustix::process::geteuid().as_raw();
    // who may write there could put sockets and files of their own in place of ours
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    let remedy = match (owner == us, mode & 0o022 == 0) {
        (true, true) => return Ok(()),
        (true, false) => format!("chmod 700 {}", dir.display()),
        (false, _) => format!("chown {us} {0} && chmod 700 {0}", dir.display()),
    };
    anyhow::bail!(
        "the folder {} belongs to user {owner} and has mode {mode:o}, so others may put files and sockets of their own in \
         place of ours; allowed is one that only user {us} may write to: run `{remedy}`, or set {key} to another folder",
        dir.display()
    )
}

/// Two gateways with state folders of their own must not share the sockets of one run folder.
fn lock_run_dir(run_dir: &Path) -> anyhow::Result<std::fs::File> {
    let path = run_dir.join("gateway.lock");
    let file = std::fs::File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => anyhow::bail!(InUse(run_dir.to_owned())),
        Err(error) => Err(error).with_context(|| format!("{} cannot be locked", path.display())),
    }
}

/// Another gateway has the run folder.
#[derive(Debug)]
pub(crate) struct InUse(PathBuf);

impl InUse {
    /// Of this folder.
    pub(crate) fn of(run_dir: &Path) -> Self {
        Self(run_dir.to_owned())
    }
}

impl std::fmt::Display for InUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "another gateway runs in {}; stop it, or set run-dir",
            self.0.display()
        )
    }
}

impl std::error::Error for InUse {}
