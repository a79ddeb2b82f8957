//! The last good copy, on disk.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use gateway_core::{DirectoryEntry, DirectoryView, Timestamp};
use serde::{Deserialize, Serialize};

/// Largest copy in octets.
const LARGEST: u64 = 8 << 20;

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// Where it is from.
    source: String,
    at: String,
    entries: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    name: String,
    number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

const VERSION: u32 = 1;

/// Keeps a copy: whatever happens meanwhile, the file holds the old one or the new one.
pub(crate) fn keep(path: &Path, source: &str, view: &DirectoryView) -> io::Result<()> {
    let row = |entry: &DirectoryEntry| Row {
        name: entry.name.clone(),
        number: entry.number.clone(),
        address: entry.address,
    };
    let stored = Stored {
        version: VERSION,
        source: source.to_owned(),
        at: view.read.map(|at| at.to_string()).unwrap_or_default(),
        entries: view.entries.iter().map(row).collect(),
    };
    let text = serde_json::to_vec(&stored)?;
    let new = path.with_extension("new");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    // the name is durable only with its folder
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The copy, if there is one of this source that can be read.
pub(crate) fn kept(path: &Path, source: &str) -> Option<DirectoryView> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let stored: Stored = serde_json::from_slice(&bytes)
        .inspect_err(
            |error| tracing::warn!(%error, path = %path.display(), "the copy of the directory is damaged"),
        )
        .ok()?;
    if stored.version != VERSION || stored.source != source {
        return None;
    }
    let entry = |row: Row| DirectoryEntry {
        address: row.address,
        name: row.name,
        number: row.number,
    };
    Some(DirectoryView {
        entries: stored.entries.into_iter().map(entry).collect(),
        read: stored.at.parse::<Timestamp>().ok(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_copy_comes_back_for_its_source_only_and_damage_is_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("directory.json");
        assert_eq!(kept(&path, "a"), None);
        let view = DirectoryView {
            entries: vec![DirectoryEntry {
                address: Some([192, 0, 2, 7].into()),
                name: "Alice".into(),
                number: "1000".into(),
            }],
            read: Some("2026-01-02T03:04:05Z".parse().expect("a time")),
        };
        keep(&path, "a", &view).expect("kept");
        assert_eq!(kept(&path, "a"), Some(view.clone()));
        assert_eq!(kept(&path, "b"), None);
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read(&path).expect("readable");
        std::fs::write(&path, &text[..text.len() / 2]).expect("writable");
        assert_eq!(kept(&path, "a"), None);
        keep(&path, "a", &view).expect("kept again");
        assert_eq!(kept(&path, "a"), Some(view));
    }
}
