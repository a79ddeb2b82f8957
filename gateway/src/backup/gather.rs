//! What goes into a backup, read from the folders of a gateway, whether it runs or not. Nothing is changed.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use gateway_backup::{Content, File, Head, MAX_FILE, Place, Record};
use gateway_config::{Generations, SecretFiles};
use gateway_core::{Clock as _, Timestamp};

use super::{KEPT, LEFT, STATE_FILES, controller_keys};
use crate::clock::SystemClock;
use crate::run;

/// What was gathered, and what should have been and was not.
pub(crate) struct Gathered {
    pub(crate) content: Content,
    /// In words: files that the site file names and that cannot be read.
    pub(crate) missing: Vec<String>,
}

/// Gathers the content of a backup of the gateway with this site file.
///
/// # Errors
/// The site file or the records cannot be read, or are damaged.
pub(crate) fn gather(site_file: &Path) -> anyhow::Result<Gathered> {
    let site = read(site_file)?.with_context(|| format!("{}: there is no site file", site_file.display()))?;
    let text =
        std::str::from_utf8(&site.0).with_context(|| format!("{} is not UTF-8", site_file.display()))?;
    let state_dir = gateway_config::state_dir_of(text);
    ensure!(
        state_dir.join("journal").is_dir(),
        "{} has no journal: no gateway has run with {} on this machine, so that nothing is there to be kept",
        state_dir.display(),
        site_file.display()
    );
    let mut files = vec![file(Place::SiteFile, path_text(site_file)?, site.clone())];
    let confirmed = match state_dir.join("generations").is_dir() {
        true => Generations::open(&state_dir)?.confirmed().ok().flatten(),
        false => None,
    };
    let confirmed = confirmed
        .filter(|known| known.text != text)
        .map(|known| known.text);
    let named_by = [Some(text), confirmed.as_deref()];
    let mut names: Vec<String> = named_by
        .iter()
        .flatten()
        .flat_map(|text| gateway_config::named_files(text))
        .collect();
    names.sort_unstable();
    names.dedup();
    let folder = site_file.parent().unwrap_or(Path::new("."));
    let mut missing = Vec::new();
    for name in names {
        match read(&folder.join(&name)) {
            Ok(Some(found)) => files.push(file(Place::Named, &name, found)),
            Ok(None) => missing.push(format!("{name}: it is not there")),
            Err(error) => missing.push(format!("{name}: {error:#}")),
        }
    }
    let keys = controller_keys::paths(&state_dir)?;
    for name in STATE_FILES.into_iter().chain(keys.iter().map(String::as_str)) {
        // one of these that is there and not in the backup would be missed at the worst moment
        if let Some(found) = read(&state_dir.join(name))? {
            files.push(file(Place::State, name, found));
        }
    }
    let (site_id, site_name) = identity(site_file, text, confirmed.as_deref())?;
    if let Some(text) = confirmed {
        let found = (text.into_bytes(), site.1);
        files.push(file(Place::Confirmed, path_text(site_file)?, found));
    }
    let content = Content {
        files,
        head: Head {
            in_doubt: run::doubt_mark(&state_dir).exists(),
            made: SystemClock.wall(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            site: site_id,
            site_name,
        },
        records: records(&state_dir)?,
    };
    Ok(Gathered { content, missing })
}

/// Id and name of the site; by the text that was last in force if the file has faults.
fn identity(site_file: &Path, text: &str, confirmed: Option<&str>) -> anyhow::Result<(String, String)> {
    let name = site_file.display().to_string();
    let folder = site_file.parent().unwrap_or(Path::new("."));
    let parsed = |text| gateway_config::parse(&name, folder, text, SecretFiles::Untouched);
    let loaded = match (parsed(text), confirmed) {
        (Ok(loaded), _) => loaded,
        (Err(_), Some(confirmed)) => parsed(confirmed)?,
        (Err(faults), None) => return Err(faults.into()),
    };
    let site = loaded.config.site;
    Ok((site.id.to_string(), site.name))
}

/// The records that belong into a backup.
fn records(state_dir: &Path) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut unknown: Option<String> = None;
    gateway_store::rows(state_dir, &mut |kind, key, entry| {
        if KEPT.contains(&kind) {
            records.push(Record {
                expires: entry.expires,
                key: key.to_owned(),
                kind: kind.to_owned(),
                value: entry.value,
            });
        } else if LEFT.iter().all(|(left, _)| *left != kind) {
            unknown.get_or_insert_with(|| kind.to_owned());
        }
    })?;
    match unknown {
        None => Ok(records),
        // better none than one that leaves out what nobody misses before it is too late
        Some(kind) => bail!(
            "there are records of the kind {kind:?}, which this program does not know; take the program of the gateway"
        ),
    }
}

/// Content and mode of a regular file; `None` if there is none.
fn read(path: &Path) -> anyhow::Result<Option<(Vec<u8>, u32)>> {
    let failed = || format!("{} cannot be read", path.display());
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(failed),
    };
    ensure!(meta.is_file(), "{} is no file", path.display());
    let mut bytes = Vec::new();
    let open = std::fs::File::open(path).with_context(failed)?;
    open.take(MAX_FILE as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(failed)?;
    ensure!(
        bytes.len() <= MAX_FILE,
        "{} has more than {MAX_FILE} bytes, which is too much for a backup",
        path.display()
    );
    Ok(Some((bytes, meta.mode() & 0o777)))
}

fn file(place: Place, path: &str, (bytes, mode): (Vec<u8>, u32)) -> File {
    File {
        bytes: bytes.into(),
        mode,
        path: path.to_owned(),
        place,
    }
}

fn path_text(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

/// A name for a file or folder of a moment: date and time, as file names have them.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The state folder of a site file, where it really is.
pub(super) fn real(state_dir: &Path) -> PathBuf {
    std::fs::canonicalize(state_dir).unwrap_or_else(|_| state_dir.to_owned())
}
