//! A state folder that is made beside the one that is there, and takes its place in one step.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// What is not taken along: the index is built anew, the lock is that of a process, and what was in force or on trial is that
/// of another site file.
const NOT_COPIED: [&str; 5] = ["index", "lock", "in-force.toml", "in-force.new", "trial"];

/// A state folder in the making. Dropped without [`Beside::swap`] it leaves nothing behind.
pub(super) struct Beside {
    done: bool,
    /// The one in the making.
    pub(super) new: PathBuf,
    /// Its place.
    place: PathBuf,
}

impl Beside {
    /// A copy of the folder at `place`, if there is one; else an empty one.
    ///
    /// # Errors
    /// It cannot be made; what is there stays as it is.
    pub(super) fn of(place: &Path) -> anyhow::Result<Self> {
        let mut name = place
            .file_name()
            .context("the state folder is no folder of its own")?
            .to_owned();
        name.push(".restoring");
        let beside = Self {
            done: false,
            new: place.with_file_name(name),
            place: place.to_owned(),
        };
        // of a restore that a power cut has ended
        remove(&beside.new)?;
        let parent = beside.new.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
        folder(&beside.new)?;
        if place.is_dir() {
            copy(place, &beside.new, &NOT_COPIED).with_context(|| {
                format!(
                    "{} cannot be copied to {}; there has to be room for it twice",
                    place.display(),
                    beside.new.display()
                )
            })?;
        }
        Ok(beside)
    }

    /// Puts it into its place, and gives where what was there is now.
    ///
    /// # Errors
    /// Everything is as it was.
    pub(super) fn swap(mut self, moment: &str) -> anyhow::Result<Option<PathBuf>> {
        let there = fs::metadata(&self.place).ok();
        if let Some(meta) = there.as_ref().filter(|_| rustix::process::geteuid().is_root()) {
            own(&self.new, meta.uid(), meta.gid())?;
        }
        // the whole medium: every file of it, and every folder
        let opened = fs::File::open(&self.new)?;
        rustix::fs::syncfs(&opened).with_context(|| format!("{} cannot be written", self.new.display()))?;
        let parent = self.place.parent().unwrap_or(Path::new("/")).to_owned();
        let before = match there {
            None => {
                fs::rename(&self.new, &self.place).map_err(|error| self.refused(error))?;
                None
            }
            Some(_) => {
                let mut name = self.place.file_name().unwrap_or_default().to_owned();
                name.push(format!(".before-restore-{moment}"));
                let aside = self.place.with_file_name(name);
                match renameat_with(CWD, &self.new, CWD, &self.place, RenameFlags::EXCHANGE) {
                    Ok(()) => {
                        // what was there has the name of the new one now
                        fs::rename(&self.new, &aside)
                            .with_context(|| format!("{} cannot be renamed", self.new.display()))?;
                    }
                    // file systems that know no exchange
                    Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.one_after_the_other(&aside)?,
                    Err(error) => return Err(self.refused(error.into())),
                }
                Some(aside)
            }
        };
        self.done = true;
        fs::File::open(&parent)?.sync_all()?;
        Ok(before)
    }

    /// Without an exchange: a power cut in between leaves no folder there, and both beside it.
    fn one_after_the_other(&self, aside: &Path) -> anyhow::Result<()> {
        fs::rename(&self.place, aside).map_err(|error| self.refused(error))?;
        if let Err(error) = fs::rename(&self.new, &self.place) {
            fs::rename(aside, &self.place).with_context(|| {
                format!(
                    "{} has to be renamed to {}",
                    aside.display(),
                    self.place.display()
                )
            })?;
            return Err(self.refused(error));
        }
        Ok(())
    }

    fn refused(&self, error: std::io::Error) -> anyhow::Error {
        let mount = matches!(error.kind(), ErrorKind::ResourceBusy | ErrorKind::CrossesDevices);
        let hint = if mount {
            ": it is a mount of its own, which cannot be replaced; mount the folder that it is in"
        } else {
            ""
        };
        anyhow::Error::new(error).context(format!("{} cannot be replaced{hint}", self.place.display()))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.done
            && let Err(error) = remove(&self.new)
        {
            tracing::warn!("{error:#}");
        }
    }
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} is in the way and cannot be removed", folder.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn folder(path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .with_context(|| format!("{} cannot be made", path.display()))
}

/// Copies what is in a folder, but for some names at its top. Sockets and pipes belong to processes.
fn copy(from: &Path, to: &Path, but: &[&str]) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if but.iter().any(|not| name == *not) {
            continue;
        }
        let (from, to) = (entry.path(), to.join(&name));
        let meta = fs::symlink_metadata(&from)?;
        let failed = || format!("{} cannot be copied", from.display());
        if meta.is_dir() {
            folder(&to)?;
            copy(&from, &to, &[])?;
            fs::set_permissions(&to, fs::Permissions::from_mode(meta.mode() & 0o777)).with_context(failed)?;
        } else if meta.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to).with_context(failed)?;
        } else if meta.is_file() {
            fs::copy(&from, &to).with_context(failed)?;
        }
    }
    Ok(())
}

/// Gives a folder and all in it to the user whose the folder before was: we may be root, the gateway is not.
fn own(path: &Path, user: u32, group: u32) -> anyhow::Result<()> {
    std::os::unix::fs::lchown(path, Some(user), Some(group))
        .with_context(|| format!("{} cannot be given to user {user}", path.display()))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), user, group)?;
        }
    }
    Ok(())
}

/// Refuses while a gateway has the sockets of this folder.
///
/// # Errors
/// One has.
pub(super) fn free(run_dir: &Path) -> anyhow::Result<()> {
    let Ok(file) = fs::File::open(run_dir.join("gateway.lock")) else {
        return Ok(());
    };
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => bail!(crate::run::InUse::of(run_dir)),
        Ok(()) | Err(_) => Ok(()),
    }
}
