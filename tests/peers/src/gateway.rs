//! The gateway: the real program, as a process of its own, with its relay guard.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Process, children};
use crate::rig::{Rig, until};

/// One edge of the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub at_ns: u64,
    /// Level after it.
    pub energised: bool,
    /// `driven` or `holder-gone`.
    pub why: String,
}

/// `CLOCK_BOOTTIME` in nanoseconds, the clock of [`Edge::at_ns`].
#[must_use]
#[expect(clippy::cast_sign_loss, reason = "the clock of a running machine is positive")]
pub fn boottime_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// A running gateway with a watch on its relay. Dropping it ends it in good order.
#[derive(Debug)]
pub struct Gateway {
    edges: Arc<Mutex<Vec<Edge>>>,
    file: PathBuf,
    process: Process,
    seen: usize,
    state: PathBuf,
    watch: std::process::Child,
}

/// The program under test: `DOORLINE_BIN`, or the one that cargo has built beside this test.
///
/// # Panics
/// If this test does not know where it is.
#[must_use]
pub fn program() -> PathBuf {
    std::env::var_os("DOORLINE_BIN").map_or_else(
        || {
            let test = std::env::current_exe().expect("a running program has a path");
            let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
            folder.join("doorline")
        },
        PathBuf::from,
    )
}

impl Gateway {
    /// Writes the site file, starts the gateway and waits until the door can be opened.
    ///
    /// # Errors
    /// If it does not come up within 10 s.
    pub fn start(rig: &Rig, site: &str) -> anyhow::Result<Self> {
        let mut gateway = Self::launch(rig, site)?;
        gateway.ready(0)?;
        Ok(gateway)
    }

    /// The same where the machine permits it to come before other work (`LimitRTPRIO=` of the unit).
    ///
    /// # Errors
    /// If it does not come up within 10 s.
    pub fn start_first(rig: &Rig, site: &str) -> anyhow::Result<Self> {
        let mut gateway = Self::launch_as(rig, site, &["chrt", "--rr", "1"])?;
        gateway.ready(0)?;
        Ok(gateway)
    }

    /// The same, started by another program with its arguments, which puts it elsewhere.
    ///
    /// # Errors
    /// If it does not come up within 10 s.
    pub fn start_by(rig: &Rig, site: &str, by: &[String]) -> anyhow::Result<Self> {
        let by: Vec<&str> = by.iter().map(String::as_str).collect();
        let mut gateway = Self::launch_as(rig, site, &by)?;
        gateway.ready(0)?;
        Ok(gateway)
    }

    /// Writes the site file and starts the gateway, without waiting.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch(rig: &Rig, site: &str) -> anyhow::Result<Self> {
        Self::launch_as(rig, site, &[])
    }

    /// `by`: the program that starts it, with its arguments; nothing: it is started itself.
    fn launch_as(rig: &Rig, site: &str, by: &[&str]) -> anyhow::Result<Self> {
        let file = rig.path("site.toml");
        std::fs::write(&file, site)?;
        // `sim` reads a file of its own: the gateway's may be broken on purpose
        std::fs::write(rig.path("sim.toml"), site)?;
        let program = program();
        ensure!(program.exists(), "{} is not built", program.display());
        let state = state_of(site).unwrap_or_else(|| rig.path("state"));
        // the watch begins first: it must see the first edge there ever is
        let mut watch = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&program)
            .args(["sim", "--config"])
            .arg(&file)
            .args(["watch", "--history", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let edges = Arc::<Mutex<Vec<Edge>>>::default();
        let (lines, to) = (watch.stdout.take().context("piped")?, Arc::clone(&edges));
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let value: Value = serde_json::from_str(&line).unwrap_or_default();
                to.lock().unwrap_or_else(PoisonError::into_inner).push(Edge {
                    at_ns: value["at_ns"].as_u64().unwrap_or(0),
                    energised: value["energised"] == true,
                    why: value["why"].as_str().unwrap_or_default().to_owned(),
                });
            }
        });
        let process = Self::spawn(rig, &file, by)?;
        Ok(Self {
            edges,
            file,
            process,
            seen: 0,
            state,
            watch,
        })
    }

    fn spawn(rig: &Rig, file: &Path, by: &[&str]) -> anyhow::Result<Process> {
        let program = program();
        let run = ["run".as_ref(), "--config".as_ref(), file.as_os_str()];
        match by.split_first() {
            None => Process::start(rig, "gateway", &program, run),
            Some((by, arguments)) => {
                let arguments = arguments.iter().map(AsRef::as_ref);
                let run = arguments.chain([program.as_os_str()]).chain(run);
                Process::start(rig, "gateway", Path::new(by), run)
            }
        }
    }

    /// Waits for the start and for the guard, looking after the first `records` records of the journal.
    fn ready(&mut self, records: u64) -> anyhow::Result<()> {
        let process = &mut self.process;
        let state = &self.state;
        until(Duration::from_secs(20), "the gateway to be ready", || {
            if let Some(status) = process.ended()? {
                bail!("the gateway ended with {status}: {}", process.log());
            }
            let events = events_after(state, records).unwrap_or_default();
            Ok(events
                .iter()
                .any(|e| e["kind"] == "gateway.guard" && e["up"] == true)
                .then_some(()))
        })
    }

    /// Starts it again after it was killed or stopped, on the same folder, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Gateway::start`], and if it still runs: two of them would contend for the folder.
    pub fn again(&mut self, rig: &Rig) -> anyhow::Result<()> {
        ensure!(self.process.ended()?.is_some(), "the gateway still runs");
        let before = self.last_seq();
        let said = self.process.log().len();
        self.process = Self::spawn(rig, &self.file, &[])?;
        // a damaged journal may have lost count; the log, which is written a moment later, tells one start from another
        self.process
            .says_after(said, "running site=", Duration::from_secs(20))?;
        self.ready(before)
    }

    /// As [`Gateway::again`], with another site file.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub fn again_with(&mut self, rig: &Rig, site: &str) -> anyhow::Result<()> {
        std::fs::write(&self.file, site)?;
        self.again(rig)
    }

    /// Writes another site file and has it read with SIGHUP; waits for the answer in the log.
    ///
    /// # Errors
    /// If neither success nor refusal is said within 10 s.
    pub fn reload(&mut self, site: &str) -> anyhow::Result<String> {
        let skip = self.process.log().len();
        std::fs::write(&self.file, site)?;
        self.process.signal(Signal::HUP)?;
        until(Duration::from_secs(10), "the gateway to answer SIGHUP", || {
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

    /// Everything the program wrote.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The relay guard's process id.
    ///
    /// # Errors
    /// If there is none.
    pub fn guard_pid(&self) -> anyhow::Result<u32> {
        children(self.process.pid())
            .into_iter()
            .find(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains("relay-guard")
            })
            .context("the gateway has no relay guard")
    }

    /// Sends a signal to the relay guard.
    ///
    /// # Errors
    /// If there is none.
    pub fn signal_guard(&self, signal: Signal) -> anyhow::Result<()> {
        crate::process::signal(self.guard_pid()?, signal)
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

    /// Runs `doorline sim …`.
    ///
    /// # Errors
    /// If it is refused.
    pub fn sim(&self, args: &[&str]) -> anyhow::Result<()> {
        // the guard may be up a moment before somebody listens for commands
        until(Duration::from_secs(10), "the gateway to take commands", || {
            let out = Command::new(program())
                .args(["sim", "--config"])
                .arg(self.file.with_file_name("sim.toml"))
                .args(args)
                .stdin(Stdio::null())
                .output()?;
            let said = String::from_utf8_lossy(&out.stderr);
            if said.contains("no gateway answers") {
                return Ok(None);
            }
            ensure!(out.status.success(), "sim {args:?}: {said}");
            Ok(Some(()))
        })
    }

    /// Presses the bell.
    ///
    /// # Errors
    /// As [`Gateway::sim`].
    pub fn ring(&self) -> anyhow::Result<()> {
        self.sim(&["press", "main", "bell"])
    }

    /// Presents the card that may open.
    ///
    /// # Errors
    /// As [`Gateway::sim`].
    pub fn card(&self) -> anyhow::Result<()> {
        self.sim(&["card", "front-reader", "26:123,04567"])
    }

    /// All records of the journal, as they are exported.
    ///
    /// # Errors
    /// If the export fails.
    pub fn events(&self) -> anyhow::Result<Vec<Value>> {
        events_after(&self.state, 0)
    }

    /// Sequence number of the last record, 0 without one.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        let last = self.events().unwrap_or_default().pop();
        last.and_then(|e| e["seq"].as_u64()).unwrap_or(0)
    }

    /// Waits for a record after `seq` that fits.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn event(
        &self,
        seq: u64,
        kind: &str,
        limit: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        until(limit, &format!("{kind} in the journal after {seq}"), || {
            let events = events_after(&self.state, seq)?;
            Ok(events.into_iter().find(|e| e["kind"] == kind && fits(e)))
        })
    }

    /// Waits for the relay's next edge.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn edge(&mut self, limit: Duration) -> anyhow::Result<Edge> {
        let (edges, seen) = (&self.edges, &mut self.seen);
        until(limit, "an edge of the relay", || {
            let edges = edges.lock().unwrap_or_else(PoisonError::into_inner);
            let found = edges.get(*seen).cloned();
            *seen += usize::from(found.is_some());
            Ok(found)
        })
    }

    /// Waits until the relay is energised.
    ///
    /// # Errors
    /// If it is not in time.
    pub fn energised(&mut self, limit: Duration) -> anyhow::Result<Edge> {
        let edge = self.edge(limit)?;
        ensure!(edge.energised, "expected the relay to close, saw {edge:?}");
        Ok(edge)
    }

    /// Waits until the relay is at rest again.
    ///
    /// # Errors
    /// If it is not in time.
    pub fn released(&mut self, limit: Duration) -> anyhow::Result<Edge> {
        let edge = self.edge(limit)?;
        ensure!(!edge.energised, "expected the relay to open, saw {edge:?}");
        Ok(edge)
    }

    /// Looks on for a while: the relay must not move.
    ///
    /// # Errors
    /// If it does.
    pub fn stays_at_rest(&mut self, while_: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + while_;
        while Instant::now() < end {
            let edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
            ensure!(
                edges.len() == self.seen,
                "the relay moved: {:?}",
                &edges[self.seen..]
            );
            drop(edges);
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// How often the relay was energised.
    #[must_use]
    pub fn pulses(&self) -> usize {
        let edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        edges.iter().filter(|e| e.energised).count()
    }

    /// Checks the journal with `doorline journal verify`.
    ///
    /// # Errors
    /// What the verifier found.
    pub fn verify(&self) -> anyhow::Result<()> {
        let out = self.command("journal", &["verify"])?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        Ok(())
    }

    /// Ends it with SIGTERM.
    ///
    /// # Errors
    /// If it does not end well within 10 s.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::TERM)?;
        let status = self.process.wait(Duration::from_secs(10))?;
        ensure!(status.success(), "the gateway ended with {status}");
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // a frozen one must be able to take the signal
        let _ = self.signal_guard(Signal::CONT);
        let _ = self.process.signal(Signal::CONT);
        self.process.stop();
        // for the dump of a failing test
        if let (Ok(events), Some(dir)) = (self.events(), self.file.parent()) {
            let lines: String = events.iter().map(|e| format!("{e}\n")).collect();
            let _ = std::fs::write(dir.join("journal.jsonl"), lines);
        }
        let _ = self.watch.kill();
        let _ = self.watch.wait();
    }
}

fn events_after(state: &Path, seq: u64) -> anyhow::Result<Vec<Value>> {
    let out = Command::new(program())
        .args(["journal", "--state"])
        .arg(state)
        .args(["export", "--from", &(seq + 1).to_string()])
        .stdin(Stdio::null())
        .output()?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn state_of(site: &str) -> Option<PathBuf> {
    let line = site.lines().find(|l| l.starts_with("state-dir"))?;
    Some(PathBuf::from(line.split('"').nth(1)?))
}
