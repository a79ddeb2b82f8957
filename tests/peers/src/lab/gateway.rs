//! The gateway at the port: the real program, in the namespace of the lab.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{Lab, Unprivileged};
use crate::gateway::program;
use crate::process::{Process, children};
use crate::rig::until;

/// A running gateway.
#[derive(Debug)]
pub struct PortGateway {
    file: PathBuf,
    /// The words that start the program, itself the last.
    launcher: Vec<String>,
    process: Process,
    state: PathBuf,
}

impl PortGateway {
    /// Starts it with a site file and waits until it runs.
    ///
    /// # Errors
    /// If it does not within a minute.
    pub fn start(lab: &Lab<'_>, site: &str) -> anyhow::Result<Self> {
        Self::start_by(lab, site, vec![program().display().to_string()])
    }

    /// As [`PortGateway::start`], as the user of [`Unprivileged`] and without any capability.
    ///
    /// # Errors
    /// As [`PortGateway::start`].
    pub fn start_unprivileged(lab: &Lab<'_>, user: &Unprivileged, site: &str) -> anyhow::Result<Self> {
        Self::start_by(lab, site, user.gateway())
    }

    /// Starts it by these words, itself the last.
    pub(super) fn start_by(lab: &Lab<'_>, site: &str, launcher: Vec<String>) -> anyhow::Result<Self> {
        let (file, state) = (lab.rig().path("site.toml"), lab.rig().path("state"));
        std::fs::write(&file, site)?;
        // its log may hold the words of one before
        let said =
            std::fs::read(lab.rig().path("gateway.log")).map_or(0, |log| String::from_utf8_lossy(&log).len());
        let mut gateway = Self {
            process: launch(lab, &launcher, &file)?,
            file,
            launcher,
            state,
        };
        gateway
            .process
            .says_after(said, "ready", Duration::from_secs(60))?;
        Ok(gateway)
    }

    /// Starts it again, after it was killed or stopped.
    ///
    /// # Errors
    /// As [`PortGateway::start`].
    pub fn again(&mut self, lab: &Lab<'_>) -> anyhow::Result<()> {
        let said = self.process.log().len();
        self.process = launch(lab, &self.launcher, &self.file)?;
        self.process.says_after(said, "ready", Duration::from_secs(60))
    }

    /// Has another site file read; gives what the log says of it.
    ///
    /// # Errors
    /// If it is neither taken nor refused.
    pub fn reload(&mut self, site: &str) -> anyhow::Result<String> {
        let skip = self.process.log().len();
        std::fs::write(&self.file, site)?;
        self.process.signal(Signal::HUP)?;
        until(Duration::from_secs(60), "the gateway to answer SIGHUP", || {
            let log = self.process.log();
            let new = log.get(skip..).unwrap_or_default();
            let said = new.contains("the new site file is in force") || new.contains("was not taken");
            Ok(said.then(|| new.to_owned()))
        })
    }

    /// The process.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Process id of its supplicant.
    ///
    /// # Errors
    /// If it has none.
    pub fn supplicant(&self) -> anyhow::Result<u32> {
        children(self.process.pid())
            .into_iter()
            .find(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.starts_with(b"/usr/sbin/wpa_supplicant")
            })
            .context("the gateway has no supplicant")
    }

    /// Sequence number of the last record.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn last_seq(&self) -> anyhow::Result<u64> {
        Ok(self.events(0)?.pop().and_then(|e| e["seq"].as_u64()).unwrap_or(0))
    }

    /// The records after `seq`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn events(&self, seq: u64) -> anyhow::Result<Vec<Value>> {
        let out = Command::new(program())
            .args(["journal", "--state"])
            .arg(&self.state)
            .args(["export", "--from", &(seq + 1).to_string()])
            .stdin(Stdio::null())
            .output()?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout)?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The kinds of the port's records after `seq`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn port_kinds(&self, seq: u64) -> anyhow::Result<Vec<String>> {
        let kinds = self.events(seq)?.into_iter();
        let kinds = kinds.filter_map(|e| e["kind"].as_str().map(str::to_owned));
        Ok(kinds.filter(|kind| kind.starts_with("port.")).collect())
    }

    /// Waits for a record of a kind after `seq`.
    ///
    /// # Errors
    /// If there is none in time; the error names the port's records that there were.
    pub fn event(&self, seq: u64, kind: &str, limit: Duration) -> anyhow::Result<Value> {
        let end = Instant::now() + limit;
        loop {
            let events = self.events(seq)?;
            if let Some(found) = events.iter().find(|e| e["kind"] == kind) {
                return Ok(found.clone());
            }
            if Instant::now() >= end {
                bail!(
                    "no {kind} after {seq} within {} s, but {:?}",
                    limit.as_secs(),
                    self.port_kinds(seq)?
                );
            }
            // each look is a program of its own
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// Opens the door with a card and waits for the Grant; a pulse that runs is only made longer by it.
    ///
    /// # Errors
    /// If it is not within a minute.
    pub fn door_opens(&self) -> anyhow::Result<()> {
        let seq = self.last_seq()?;
        let out = self.command("sim", &["card", "card-reader", "26:123,04567"])?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        self.event(seq, "door.granted", Duration::from_secs(60))
            .map(|_| ())
    }

    /// Runs `doorline SUBCOMMAND --config SITE …`.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn command(&self, subcommand: &str, args: &[&str]) -> anyhow::Result<Output> {
        Ok(Command::new(program())
            .args([subcommand, "--config"])
            .arg(&self.file)
            .args(args)
            .stdin(Stdio::null())
            .output()?)
    }

    /// Runs `doorline dot1x ACT --config SITE`.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn dot1x(&self, act: &str) -> anyhow::Result<Output> {
        Ok(Command::new(program())
            .args(["dot1x", act, "--config"])
            .arg(&self.file)
            .stdin(Stdio::null())
            .output()?)
    }

    /// Writes the site file, for the next start.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, site: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(&self.file, site)?)
    }

    /// Runs `doorline check`.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn check(file: &Path) -> anyhow::Result<Output> {
        Ok(Command::new(program())
            .arg("check")
            .arg(file)
            .stdin(Stdio::null())
            .output()?)
    }
}

fn launch(lab: &Lab<'_>, launcher: &[String], file: &Path) -> anyhow::Result<Process> {
    let (program, file) = (program(), file.display().to_string());
    ensure!(program.exists(), "{} is not built", program.display());
    let mut words: Vec<&str> = launcher.iter().map(String::as_str).collect();
    words.extend(["run", "--config", &file]);
    lab.on_gateway("gateway", &words)
}

impl Drop for PortGateway {
    fn drop(&mut self) {
        self.process.stop();
    }
}
