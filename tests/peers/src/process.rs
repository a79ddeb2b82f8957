//! A peer as a child process that dies with the test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::rig::{Rig, until};

/// A running program. Its output goes to a log in the rig's folder. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Process {
    /// Starts `program`; its output is appended to `NAME.log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        rig: &Rig,
        name: &str,
        program: &Path,
        args: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Self> {
        let log = rig.path(&format!("{name}.log"));
        let out = std::fs::File::options().create(true).append(true).open(&log)?;
        // the kernel kills it when this thread ends, in whatever way: nothing stays behind a killed test
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(args)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        Ok(Self {
            child,
            log,
            name: name.to_owned(),
        })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal. After SIGSTOP it stands still when this comes back: until then it goes on with what reaches it.
    ///
    /// # Errors
    /// If the process is gone, or does not come to stand still within 10 s.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        crate::process::signal(self.pid(), signal).with_context(|| format!("{} is gone", self.name))?;
        if signal == Signal::STOP {
            until(Duration::from_secs(10), "it stands still", || {
                Ok(stands_still(self.pid()).then_some(()))
            })?;
        }
        Ok(())
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// What the system said.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        until(limit, &what, || self.ended())
    }

    /// Everything it has written.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until its log holds `text`.
    ///
    /// # Errors
    /// If it does not in time, or if the process ends before.
    pub fn says(&mut self, text: &str, limit: Duration) -> anyhow::Result<()> {
        self.says_after(0, text, limit)
    }

    /// As [`Process::says`], looking only at what comes after the first `skip` bytes of the log.
    ///
    /// # Errors
    /// As [`Process::says`].
    pub fn says_after(&mut self, skip: usize, text: &str, limit: Duration) -> anyhow::Result<()> {
        let what = format!("{} to say {text:?}", self.name);
        until(limit, &what, || {
            if self.log().get(skip..).is_some_and(|log| log.contains(text)) {
                return Ok(Some(()));
            }
            if let Some(status) = self.ended()? {
                bail!("{} ended with {status} before it said {text:?}", self.name);
            }
            Ok(None)
        })
    }

    /// Asks it to end and waits; kills it after 5 s.
    pub fn stop(&mut self) {
        let _ = self.signal(Signal::TERM);
        if self.wait(Duration::from_secs(5)).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to any process of ours.
///
/// # Errors
/// If there is no such process.
pub fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .context("not a process id")?;
    Ok(kill_process(pid, signal)?)
}

/// Do all threads of a process stand still, as SIGSTOP brings about in its time (proc(5), state T)?
#[must_use]
pub fn stands_still(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().all(|thread| {
        let state = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        state
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('T'))
    })
}

/// The children of a process, from /proc.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let Ok(all) = std::fs::read_dir("/proc") else {
        return vec![];
    };
    let parent = |entry: &std::fs::DirEntry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // the name, in brackets, may hold anything: what follows its last bracket is regular
        let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
        rest.nth(1)?.parse::<u32>().ok()
    };
    all.flatten()
        .filter(|entry| parent(entry) == Some(pid))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
