//! A site file on trial: in force, but not yet written down. The site file itself is not touched before the trial is
//! confirmed, so that whatever ends the gateway meanwhile brings back what was before.
//!
//! `STATE-DIR/trial/site.toml` is its text, `mark` says whose it is. They are for their owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::generations::{GenerationError, absolute, failed, replace};

/// Whose trial it is.
const MARK: &str = "mark";
/// What is on trial.
const TEXT: &str = "site.toml";

/// A trial that the gateway did not live to see the end of.
#[derive(Clone, PartialEq, Eq)]
pub struct Left {
    /// Who began it.
    pub by: String,
    /// The text that was on trial.
    pub text: String,
}

/// Without the text, which may hold passwords.
impl std::fmt::Debug for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Left")
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}

/// The one trial of a state folder.
#[derive(Debug)]
pub struct TrialStore {
    folder: PathBuf,
}

impl TrialStore {
    /// Of a state folder; nothing is made yet.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join("trial"),
        }
    }

    /// Writes down that this text is on trial for a site file. When this returns, it is on the medium.
    ///
    /// # Errors
    /// [`GenerationError::Io`] if it cannot be written.
    pub fn begin(&self, site_file: &Path, by: &str, text: &str) -> Result<(), GenerationError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(failed("making the folder", &self.folder))?;
        replace(&self.folder, &self.folder.join(TEXT), text)?;
        let by: String = by.chars().filter(|c| !c.is_control()).collect();
        let mark = format!("{by}\n{}\n", absolute(site_file).display());
        // last: without it there is no trial
        replace(&self.folder, &self.folder.join(MARK), &mark)
    }

    /// The trial that was begun for this site file and not ended; `None` if there is none.
    ///
    /// # Errors
    /// [`GenerationError::Io`] if there is one that cannot be read.
    pub fn left(&self, site_file: &Path) -> Result<Option<Left>, GenerationError> {
        let read = |name: &str| {
            let path = self.folder.join(name);
            match fs::read(&path) {
                Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed("reading", &path)(error)),
            }
        };
        let Some(mark) = read(MARK)? else {
            return Ok(None);
        };
        let mut lines = mark.lines();
        let by = lines.next().unwrap_or_default().to_owned();
        if lines.next().map(PathBuf::from) != Some(absolute(site_file)) {
            return Ok(None);
        }
        let text = read(TEXT)?.unwrap_or_default();
        Ok(Some(Left { by, text }))
    }

    /// The trial has ended, in whatever way.
    ///
    /// # Errors
    /// [`GenerationError::Io`] if that cannot be written down.
    pub fn end(&self) -> Result<(), GenerationError> {
        for name in [MARK, TEXT] {
            let path = self.folder.join(name);
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("removing", &path)(error)),
            }
        }
        match File::open(&self.folder) {
            Ok(folder) => folder.sync_all().map_err(failed("syncing", &self.folder)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("opening", &self.folder)(error)),
        }
    }
}

/// The site file cannot be replaced.
#[derive(Debug, thiserror::Error)]
#[error("{}: {doing} failed", path.display())]
pub struct WriteError {
    /// What was tried.
    pub doing: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl WriteError {
    /// True if the folder is not for this user to write, rather than full or broken.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::ResourceBusy
        )
    }
}

fn unwritten(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    let path = path.to_owned();
    move |source| WriteError { doing, path, source }
}

/// Could the site file be replaced at this moment? A file is made beside it and removed.
///
/// # Errors
/// Why not.
pub fn try_write(site_file: &Path) -> Result<(), WriteError> {
    let beside = beside(site_file)?;
    drop(make(site_file, &beside)?);
    fs::remove_file(&beside).map_err(unwritten("removing", &beside))
}

/// Replaces the text of the site file: old or new, never half. Mode and, where this user may set it, group stay; the
/// owner is this user. A link is followed.
///
/// # Errors
/// Why it cannot be; the file is as it was.
pub fn write_back(site_file: &Path, text: &str) -> Result<(), WriteError> {
    let site_file = fs::canonicalize(site_file).map_err(unwritten("finding", site_file))?;
    let beside = beside(&site_file)?;
    let written = write_and_rename(&site_file, &beside, text);
    if written.is_err() {
        // nothing is left beside it that holds passwords
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write_and_rename(site_file: &Path, beside: &Path, text: &str) -> Result<(), WriteError> {
    let mut file = make(site_file, beside)?;
    file.write_all(text.as_bytes())
        .map_err(unwritten("writing", beside))?;
    file.sync_all().map_err(unwritten("syncing", beside))?;
    fs::rename(beside, site_file).map_err(unwritten("replacing", site_file))?;
    let folder = site_file.parent().unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(unwritten("syncing", folder))
}

/// The name of the file that takes its place.
fn beside(site_file: &Path) -> Result<PathBuf, WriteError> {
    let site_file = fs::canonicalize(site_file).map_err(unwritten("finding", site_file))?;
    let mut name = std::ffi::OsString::from(".");
    name.push(site_file.file_name().unwrap_or_default());
    name.push(".new");
    Ok(site_file.with_file_name(name))
}

/// An empty file for this user, with the mode and group of the site file.
fn make(site_file: &Path, beside: &Path) -> Result<File, WriteError> {
    let meta = fs::metadata(site_file).map_err(unwritten("reading", site_file))?;
    // one that was left behind by a power cut, and no link that somebody else has put there
    match fs::remove_file(beside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unwritten("removing", beside)(error)),
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)
        .map_err(unwritten("making", beside))?;
    let mode = fs::Permissions::from_mode(meta.mode() & 0o777);
    // whoever is not of the group keeps the file to himself
    if fchown(&file, None, Some(meta.gid())).is_ok() {
        file.set_permissions(mode)
            .map_err(unwritten("giving a mode to", beside))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_there_until_it_ends_and_for_its_own_site_file_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, other) = (dir.path().join("a.toml"), dir.path().join("b.toml"));
        let store = TrialStore::new(dir.path());
        assert_eq!(store.left(&file).expect("reads"), None);
        store.end().expect("nothing to end");
        store.begin(&file, "ann\n", "one").expect("written");
        store.begin(&file, "bob", "two").expect("written");
        let left = store.left(&file).expect("reads").expect("there");
        assert_eq!((left.by.as_str(), left.text.as_str()), ("bob", "two"));
        assert!(!format!("{left:?}").contains("two"), "{left:?}");
        assert_eq!(store.left(&other).expect("reads"), None);
        let mode = fs::metadata(dir.path().join("trial/site.toml"))
            .expect("there")
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        store.end().expect("ends");
        assert_eq!(store.left(&file).expect("reads"), None);
        assert_eq!(
            fs::read_dir(dir.path().join("trial")).expect("a folder").count(),
            0
        );
    }

    #[test]
    fn a_site_file_is_replaced_as_a_whole_with_its_mode_and_through_its_link() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, link) = (dir.path().join("real.toml"), dir.path().join("site.toml"));
        fs::write(&file, "old").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        try_write(&link).expect("can be");
        write_back(&link, "new").expect("written");
        assert_eq!(fs::read_to_string(&file).expect("readable"), "new");
        assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told_before_and_leaves_the_file_as_it_was() {
        let missing = Path::new("/proc/self/status");
        let error = try_write(missing).expect_err("no files can be made there");
        assert!(error.to_string().contains("/proc/"), "{error}");
        assert!(write_back(missing, "x").is_err());
    }
}
