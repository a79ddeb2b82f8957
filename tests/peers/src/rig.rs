//! What every test stands on: folder, ports, deadline, logs.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
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

/// Most characters of an error that are repeated in one line.
const SHORT: usize = 1500;

/// Runs a test on a rig of its own. A failure shows every log, and after them, where it is not lost between two long
/// logs, the error; also in one line that begins with `FAILURE`, which `tests/run` repeats at its end.
///
/// # Panics
/// If the body fails.
pub fn run(body: impl FnOnce(&Rig) -> anyhow::Result<()>) {
    let rig = Rig::new().expect("a folder and ports for the test");
    let end = catch_unwind(AssertUnwindSafe(|| body(&rig)));
    let why = match &end {
        Ok(Ok(())) => return,
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => panicked(panic.as_ref()),
    };
    rig.dump();
    eprintln!("{}", failure(std::thread::current().name(), &why));
    if let Err(panic) = end {
        resume_unwind(panic);
    }
    panic!("{why}");
}

/// What a panic said.
fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a word"))
}

/// One line about a failure.
fn failure(test: Option<&str>, why: &str) -> String {
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = why.chars().take(SHORT).collect();
    format!("FAILURE of {}: {short}", test.unwrap_or("a test"))
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
