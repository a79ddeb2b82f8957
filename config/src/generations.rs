//! Confirmed generations: copies of the site files that the gateway really ran with.
//!
//! `STATE-DIR/generations/NNNNNN.toml` are the copies, `confirmed` names the last of them and the site file it
//! was read from. A copy may hold passwords: folder and files are for their owner only.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::load::{LoadError, Loaded, SecretFiles, load, parse, state_dir_of};

/// How many copies are kept.
const KEPT: usize = 20;
/// The pointer's name.
const POINTER: &str = "confirmed";

/// A pointer that could not be read.
const ASIDE: &str = "confirmed.damaged";

/// Why the store of generations cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerationError {
    /// The system refused.
    #[error("{}: {doing} failed", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The pointer to the last confirmed generation cannot be understood.
    #[error("{}: found {found:?}, wanted a number and a path", path.display())]
    Pointer {
        /// What it holds, cut at 80 characters.
        found: String,
        /// The pointer.
        path: PathBuf,
    },
}

/// One confirmed copy.
#[derive(Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u64,
    /// The site file it was read from.
    pub site_file: PathBuf,
    /// Its text.
    pub text: String,
}

/// Without the text, which may hold passwords.
impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("number", &self.number)
            .field("site_file", &self.site_file)
            .finish_non_exhaustive()
    }
}

/// The store of confirmed generations of one state folder. Only one process may hold it: the state folder's
/// lock sees to that.
#[derive(Debug)]
pub struct Generations {
    folder: PathBuf,
}

impl Generations {
    /// Opens the store, and makes its folder if it is missing.
    ///
    /// # Errors
    /// [`GenerationError::Io`] if the folder cannot be made.
    pub fn open(state_dir: &Path) -> Result<Self, GenerationError> {
        let folder = state_dir.join("generations");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(failed("making the folder", &folder))?;
        Ok(Self { folder })
    }

    /// Sets a pointer aside that says nothing, or leads to no readable copy: the gateway then runs as if nothing had
    /// been confirmed. Gives what was wrong and what was done, in words; `None` if all is well.
    ///
    /// # Errors
    /// [`GenerationError::Io`] if it cannot be moved.
    pub fn mend(&self) -> Result<Option<String>, GenerationError> {
        let Err(error) = self.confirmed() else {
            return Ok(None);
        };
        let path = self.folder.join(POINTER);
        let aside = self.folder.join(ASIDE);
        fs::rename(&path, &aside).map_err(failed("renaming", &path))?;
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        Ok(Some(format!(
            "{error}{cause}; it was set aside as {}, and there is no confirmed generation until this site file is",
            aside.display()
        )))
    }

    /// The last confirmed generation, if there is one.
    ///
    /// # Errors
    /// [`GenerationError`] if the pointer or its copy cannot be read.
    pub fn confirmed(&self) -> Result<Option<Generation>, GenerationError> {
        let path = self.folder.join(POINTER);
        let pointer = match fs::read_to_string(&path) {
            Ok(pointer) => pointer,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("reading", &path)(error)),
        };
        let mut lines = pointer.lines();
        let number = lines.next().and_then(|line| line.parse::<u64>().ok());
        let (Some(number), Some(site_file)) = (number, lines.next()) else {
            return Err(GenerationError::Pointer {
                found: pointer.chars().take(80).collect(),
                path,
            });
        };
        let copy = self.copy(number);
        let text = fs::read_to_string(&copy).map_err(failed("reading", &copy))?;
        Ok(Some(Generation {
            number,
            site_file: site_file.into(),
            text,
        }))
    }

    /// The number a configuration has while it runs: that of the last confirmed generation if it is the same
    /// text of the same file, else the next one.
    ///
    /// # Errors
    /// [`GenerationError`] if the store cannot be read.
    pub fn number_for(&self, site_file: &Path, text: &str) -> Result<u64, GenerationError> {
        if let Some(last) = self.confirmed()?
            && last.site_file == absolute(site_file)
            && last.text == text
        {
            return Ok(last.number);
        }
        Ok(self.numbers()?.last().copied().unwrap_or_default() + 1)
    }

    /// Confirms that the gateway runs with this text: keeps a copy and points to it. When this returns, both
    /// are on the medium; if it is interrupted, the generation before stays the confirmed one.
    ///
    /// # Errors
    /// [`GenerationError`] if the store cannot be read or written.
    pub fn confirm(&self, site_file: &Path, text: &str) -> Result<u64, GenerationError> {
        let number = self.number_for(site_file, text)?;
        if self.confirmed()?.is_some_and(|last| last.number == number) {
            return Ok(number);
        }
        replace(&self.folder, &self.copy(number), text)?;
        let pointer = format!("{number}\n{}\n", absolute(site_file).display());
        replace(&self.folder, &self.folder.join(POINTER), &pointer)?;
        self.forget_old()?;
        Ok(number)
    }

    fn copy(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.toml"))
    }

    /// Numbers of the copies that are there, ascending.
    fn numbers(&self) -> Result<Vec<u64>, GenerationError> {
        let reading = || failed("listing", &self.folder);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(reading())? {
            let name = entry.map_err(reading())?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".toml"));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn forget_old(&self) -> Result<(), GenerationError> {
        let numbers = self.numbers()?;
        let old = numbers.len().saturating_sub(KEPT);
        for number in numbers.into_iter().take(old) {
            let copy = self.copy(number);
            fs::remove_file(&copy).map_err(failed("removing", &copy))?;
        }
        Ok(())
    }
}

/// Writes beside the file, syncs, renames over it, syncs the folder: old or new, never half.
pub(crate) fn replace(folder: &Path, path: &Path, text: &str) -> Result<(), GenerationError> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed("making", &beside))?;
    file.write_all(text.as_bytes())
        .map_err(failed("writing", &beside))?;
    file.sync_all().map_err(failed("syncing", &beside))?;
    fs::rename(&beside, path).map_err(failed("renaming", &beside))?;
    let folder_file = File::open(folder).map_err(failed("opening", folder))?;
    folder_file.sync_all().map_err(failed("syncing", folder))
}

pub(crate) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> GenerationError {
    let path = path.to_owned();
    move |source| GenerationError::Io { doing, path, source }
}

pub(crate) fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}

/// What the gateway starts with.
#[derive(Debug)]
pub enum Boot {
    /// The site file as given.
    Given(Loaded),
    /// The site file is broken: the generation confirmed last. Whoever runs it says so loudly.
    LastConfirmed {
        /// The configuration to run.
        loaded: Loaded,
        /// Its number.
        number: u64,
        /// Why the given file was not taken.
        why: LoadError,
    },
}

impl Boot {
    /// The configuration to run.
    #[must_use]
    pub const fn loaded(&self) -> &Loaded {
        match self {
            Self::Given(loaded) | Self::LastConfirmed { loaded, .. } => loaded,
        }
    }
}

/// Loads what the gateway starts with: the given site file; if that has faults, the generation that was
/// confirmed last for this very file.
///
/// A file that does not exist is refused, whatever was confirmed: its path is likely a typing mistake.
///
/// # Errors
/// The faults of the given file, if nothing confirmed can take its place.
pub fn boot(site_file: &Path) -> Result<Boot, LoadError> {
    let why = match load(site_file, SecretFiles::AtStart) {
        Ok(loaded) => return Ok(Boot::Given(loaded)),
        Err(LoadError::Read { path, source }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(LoadError::Read { path, source });
        }
        Err(why) => why,
    };
    match last_good(site_file) {
        Some((number, loaded)) => Ok(Boot::LastConfirmed { loaded, number, why }),
        None => Err(why),
    }
}

fn last_good(site_file: &Path) -> Option<(u64, Loaded)> {
    let broken = fs::read(site_file).unwrap_or_default();
    let state_dir = state_dir_of(&String::from_utf8_lossy(&broken));
    // Not `open`: a start that fails leaves no folders behind.
    let store = Generations {
        folder: state_dir.join("generations"),
    };
    let last = store.confirmed().ok().flatten()?;
    if last.site_file != absolute(site_file) {
        return None;
    }
    let name = store.copy(last.number).display().to_string();
    let folder = site_file.parent().unwrap_or(Path::new("."));
    let loaded = parse(&name, folder, &last.text, SecretFiles::AtStart).ok()?;
    Some((last.number, loaded))
}
