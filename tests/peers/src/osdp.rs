//! OSDP readers, and a controller that has one, played by libosdp.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::gateway::Edge;
use crate::ports::Use;
use crate::process::Process;
use crate::rig::{Rig, until};

/// One question to a player, and its answer.
fn ask(control: u16, request: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, control))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("{request}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// Readers at the far end of one wire. Dropping them cuts their supply.
#[derive(Debug)]
pub struct OsdpReaders {
    control: u16,
    process: Process,
}

impl OsdpReaders {
    /// Starts readers: `ADDRESS:KEY`, `ADDRESS:new` or `ADDRESS:clear` each.
    ///
    /// # Errors
    /// If they do not come up.
    pub fn start(rig: &Rig, device: &Path, readers: &[String]) -> anyhow::Result<Self> {
        let key = "DOORLINE_OSDP_READERS";
        let home = std::env::var_os(key).with_context(|| format!("{key} is not set; see tests/run"))?;
        let control = rig.port(Use::BoardControl);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/osdp-readers.py");
        let mut args = vec![
            script.to_owned(),
            control.to_string(),
            device.display().to_string(),
        ];
        args.extend(readers.iter().cloned());
        let python = Path::new(&home).join("bin/python");
        // others may have been at the line before
        let said = std::fs::read(rig.path("osdp.log")).map_or(0, |log| log.len());
        let mut process = Process::start(rig, "osdp", &python, &args)?;
        process.says_after(said, "readers ready", Duration::from_secs(30))?;
        Ok(Self { control, process })
    }

    fn ask(&self, request: &str) -> anyhow::Result<String> {
        ask(self.control, request)
    }

    /// Does something at a reader or on the line, as `osdp-readers.py` says.
    ///
    /// # Errors
    /// If it is not done.
    pub fn act(&self, request: &str) -> anyhow::Result<()> {
        let answer = self.ask(request)?;
        ensure!(answer == "ok" || answer == "True", "{request}: {answer}");
        Ok(())
    }

    /// Waits until the reader has a secure channel.
    ///
    /// # Errors
    /// If it has none in time.
    pub fn secure(&self, address: u8, limit: Duration) -> anyhow::Result<()> {
        let what = format!("a secure channel of reader {address}");
        until(limit, &what, || {
            Ok((self.ask(&format!("sc {address}"))? == "1").then_some(()))
        })
    }

    /// Longest time between two replies of any reader since this was asked last.
    ///
    /// # Errors
    /// If nobody says.
    pub fn gap(&self) -> anyhow::Result<Duration> {
        Ok(Duration::from_millis(self.ask("gap")?.parse()?))
    }

    /// How many bytes of a file a reader got last, and whether they are those of `sent`.
    ///
    /// # Errors
    /// If nobody says.
    pub fn file(&self, address: u8, sent: &Path) -> anyhow::Result<(usize, bool)> {
        let said = self.ask(&format!("file {address} {}", sent.display()))?;
        let (count, same) = said.split_once(' ').with_context(|| said.clone())?;
        Ok((count.parse()?, same == "same"))
    }

    /// Every change of an output of a reader so far.
    #[must_use]
    pub fn output(&self, address: u8, number: u8) -> Vec<Edge> {
        let head = format!("output {address} {number} ");
        let log = self.process.log();
        let lines = log.lines().filter_map(|line| line.strip_prefix(&head));
        let edge = |line: &str| {
            let (level, at) = line.split_once(' ')?;
            Some(Edge {
                at_ns: at.parse().ok()?,
                energised: level == "1",
                why: "reader".to_owned(),
            })
        };
        lines.filter_map(edge).collect()
    }

    /// What a reader was told to do so far.
    #[must_use]
    pub fn commands(&self, address: u8) -> Vec<Value> {
        let head = format!("command {address} ");
        let log = self.process.log();
        let lines = log.lines().filter_map(|line| line.strip_prefix(&head));
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Everything the player said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// A controller with one reader at the far end of a wire. Dropping it cuts its supply.
#[derive(Debug)]
pub struct OsdpPanel {
    control: u16,
    process: Process,
    /// Where its part of the log begins: others may have been at the line before.
    said: usize,
}

impl OsdpPanel {
    /// Starts a controller for a reader: `ADDRESS:KEY:HOW`, as `osdp-panel.py` says.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(rig: &Rig, device: &Path, reader: &str) -> anyhow::Result<Self> {
        let key = "DOORLINE_OSDP_READERS";
        let home = std::env::var_os(key).with_context(|| format!("{key} is not set; see tests/run"))?;
        let control = rig.port(Use::ControllerControl);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/osdp-panel.py");
        let args = [
            script.to_owned(),
            control.to_string(),
            device.display().to_string(),
            reader.to_owned(),
        ];
        let python = Path::new(&home).join("bin/python");
        let said = std::fs::read(rig.path("osdp-panel.log")).map_or(0, |log| log.len());
        let mut process = Process::start(rig, "osdp-panel", &python, &args)?;
        process.says_after(said, "panel ready", Duration::from_secs(30))?;
        Ok(Self {
            control,
            process,
            said,
        })
    }

    /// Asks it, or has it do something.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn ask(&self, request: &str) -> anyhow::Result<String> {
        ask(self.control, request)
    }

    /// Waits until it says `1` to a question.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn is(&self, question: &str, limit: Duration) -> anyhow::Result<()> {
        until(limit, &format!("the controller: {question}"), || {
            Ok((self.ask(question)? == "1").then_some(()))
        })
    }

    /// Keys that it got, codes of OSDP in hex.
    #[must_use]
    pub fn keys(&self) -> String {
        let log = self.process.log();
        let since = log.get(self.said..).unwrap_or_default();
        since
            .lines()
            .filter_map(|line| line.strip_prefix("keys "))
            .collect()
    }

    /// Cards that it got, `BITS HEX` each.
    #[must_use]
    pub fn cards(&self) -> Vec<String> {
        let log = self.process.log();
        let since = log.get(self.said..).unwrap_or_default();
        let cards = since.lines().filter_map(|line| line.strip_prefix("card "));
        cards.map(str::to_owned).collect()
    }
}
