//! Keys that access controllers gave: a reader that lost its key would take the next one by the default key.

use std::path::Path;

use anyhow::Context as _;
use gateway_backup::{Content, File, Place};

use crate::run::{CONTROLLER_KEYS, controller_of};

/// Their paths in the state folder.
pub(super) fn paths(state_dir: &Path) -> anyhow::Result<Vec<String>> {
    let folder = state_dir.join(CONTROLLER_KEYS);
    let failed = || format!("{} cannot be read", folder.display());
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error).with_context(failed),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let name = entry.with_context(failed)?.file_name();
        let path = name.to_str().map(|name| format!("{CONTROLLER_KEYS}/{name}"));
        paths.extend(path.filter(|path| is_one(path)));
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Is it the path of one?
pub(super) fn is_one(path: &str) -> bool {
    controller_of(path).is_some()
}

/// The controller has its key of today: one that is there is not replaced by that of the backup.
pub(super) fn stays(state_dir: &Path, file: &File) -> bool {
    is_one(&file.path) && state_dir.join(&file.path).symlink_metadata().is_ok()
}

/// What a restore does not do with them, in words.
pub(super) fn told(content: &Content, state_dir: &Path) -> Vec<String> {
    let state = content.files.iter().filter(|file| file.place == Place::State);
    let other = state.filter(|file| {
        let path = state_dir.join(&file.path);
        stays(state_dir, file) && !std::fs::read(path).is_ok_and(|found| found == *file.bytes)
    });
    let line = |file: &File| {
        let path = state_dir.join(&file.path);
        format!(
            "{}: stays as it is; that of the backup is another one",
            path.display()
        )
    };
    other.map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::gather::gather;
    use super::super::restore::{How, prepare};
    use super::*;

    #[tokio::test]
    async fn keys_that_controllers_gave_come_back_and_those_of_today_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let site = dir.path().join("site.toml");
        let (state, run) = (dir.path().join("state"), dir.path().join("run"));
        let minimal = include_str!("../../../config/examples/minimal.toml");
        let text = minimal.replacen(
            "[site]\n",
            &format!(
                "[site]\nstate-dir = \"{}\"\nrun-dir = \"{}\"\n",
                state.display(),
                run.display()
            ),
            1,
        );
        std::fs::write(&site, text).expect("written");
        let keys = state.join(CONTROLLER_KEYS);
        std::fs::create_dir_all(&keys).expect("made");
        std::fs::create_dir_all(state.join("journal/records")).expect("made");
        for (name, text) in [
            ("lift.key", "of then"),
            ("lift.new", "half"),
            ("Lift.key", "no name"),
        ] {
            std::fs::write(keys.join(name), text).expect("written");
        }
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(keys.join("lift.key"), mode).expect("set");
        let content = gather(&site).expect("gathered").content;
        let of_state = content.files.iter().filter(|file| file.place == Place::State);
        let found: Vec<&str> = of_state.map(|file| file.path.as_str()).collect();
        assert_eq!(found, ["controllers/lift.key"]);

        // another machine
        std::fs::remove_dir_all(&state).expect("removed");
        let restore = async || {
            let prepared = prepare(content.clone(), &site, How::default()).expect("prepared");
            let lines = prepared.lines.join("\n");
            prepared.restore().await.expect("restored");
            lines
        };
        let lines = restore().await;
        assert!(!lines.contains("lift.key"), "{lines}");
        let key = keys.join("lift.key");
        assert_eq!(std::fs::read_to_string(&key).expect("there"), "of then");
        let mode = std::fs::metadata(&key).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        // the controller gave another one since
        std::fs::write(&key, "of today").expect("written");
        let lines = restore().await;
        assert!(lines.contains("lift.key: stays as it is"), "{lines}");
        assert_eq!(std::fs::read_to_string(&key).expect("there"), "of today");
    }
}
