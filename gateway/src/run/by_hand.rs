//! The clock was set by hand (`doorline time set`): what it showed before counts no more.
//!
//! A running gateway is told. One that does not run finds a file in its state folder, once, at its next start.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gateway_core::Timestamp;
use serde_json::{Value, json};

use crate::control;
use crate::run::wall::Service;

const ACT: &str = "clock-set";
/// In the state folder: the time to which the clock was set.
const FILE: &str = "clock-set";
/// Nobody writes a longer time.
const LONGEST: u64 = 64;

/// Is the request for this?
pub(crate) fn knows(request: &Value) -> bool {
    request.get("act").and_then(Value::as_str) == Some(ACT)
}

/// Carries it out.
pub(crate) fn act(service: &Service) -> Value {
    service.set_by_hand();
    Value::Null
}

/// Who has been told that the clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The gateway that runs.
    Running,
    /// The one that starts next.
    Next,
}

/// Tells whoever has to know, from the command.
///
/// # Errors
/// If no gateway runs, and the file cannot be written either.
pub(crate) fn tell(run_dir: &Path, state_dir: &Path, moment: Timestamp) -> anyhow::Result<Told> {
    if control::ask(run_dir, &json!({ "act": ACT })).is_ok() {
        return Ok(Told::Running);
    }
    let path = state_dir.join(FILE);
    // read by the gateway's own user
    let file = fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(&path);
    let written = file.and_then(|mut file| {
        file.write_all(format!("{moment}\n").as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    Ok(Told::Next)
}

/// The time to which the clock was set while no gateway ran. It is told once.
pub(crate) fn found(state_dir: &Path) -> Option<Timestamp> {
    let path = state_dir.join(FILE);
    let is_ours = fs::symlink_metadata(&path).ok()?;
    let text = (is_ours.is_file() && is_ours.len() <= LONGEST)
        .then(|| fs::read_to_string(&path).ok())
        .flatten();
    if let Err(error) = fs::remove_file(&path) {
        // it would count again at each start
        tracing::warn!(path = %path.display(), %error, "what says that the clock was set cannot be removed, and does not count");
        return None;
    }
    text?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_while_no_gateway_ran_is_told_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        assert_eq!(found(dir), None);
        let moment = Timestamp::from_second(1_800_000_000).expect("a date");
        assert_eq!(tell(&dir.join("run"), dir, moment).expect("written"), Told::Next);
        assert_eq!(found(dir), Some(moment));
        assert_eq!(found(dir), None);
        for text in ["", "yesterday", &"9".repeat(100)] {
            fs::write(dir.join(FILE), text).expect("written");
            assert_eq!(found(dir), None, "{text}");
        }
        assert!(!dir.join(FILE).exists());
        assert!(tell(&dir.join("run"), &dir.join("nowhere"), moment).is_err());
    }
}
