//! What every test stands on: folder, ports, deadline, logs.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::ports::{Ports, Use};

/// Lines of each log that a failing test prints.
const TAIL: usize = 120;

/// The ground of one test.
#[derive(Debug)]
pub struct Rig {
    also: RefCell<Vec<PathBuf>>,
    dir: TempDir,
    /// Ports of this test alone.
    pub ports: Ports,
}

impl Rig {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            also: RefCell::default(),
            dir: TempDir::with_prefix("doorline-peers-")?,
            ports: Ports::take()?,
        })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The port for a use.
    #[must_use]
    pub const fn port(&self, what: Use) -> u16 {
        self.ports.of(what)
    }

    /// Names a log outside the folder that a failure should show.
    pub fn also_show(&self, log: PathBuf) {
        self.also.borrow_mut().push(log);
    }

    /// Notes a measured value; `tests/run` shows these lines.
    pub fn measured(&self, what: &str, value: impl std::fmt::Display) {
        eprintln!("MEASURED {what}: {value}");
    }

    fn dump(&self) {
        let mut logs: Vec<PathBuf> = std::fs::read_dir(self.dir.path())
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|e| e == "log" || e == "toml" || e == "jsonl")
            })
            .collect();
        logs.sort();
        logs.extend(self.also.borrow().iter().cloned());
        for log in logs {
            let text = std::fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("==== {} ({} lines)", log.display(), lines.len());
            for line in &lines[lines.len().saturating_sub(TAIL)..] {
                eprintln!("{line}");
            }
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dump();
        }
    }
}

/// Runs a test on a rig of its own; a failure shows every log.
///
/// # Panics
/// If the body fails.
pub fn run(body: impl FnOnce(&Rig) -> anyhow::Result<()>) {
    let rig = Rig::new().expect("a folder and ports for the test");
    if let Err(error) = body(&rig) {
        panic!("{error:#}");
    }
}

/// Looks every 10 ms until something is there.
///
/// # Errors
/// If it is not within `limit`, or what looking said.
pub fn until<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look().with_context(|| format!("while waiting for {what}"))? {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("waited {} s in vain for {what}", limit.as_secs_f32());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
