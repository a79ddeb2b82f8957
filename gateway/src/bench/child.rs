//! A gateway as a process of its own, with its relay guard and sentinel.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::bench::bare::Ahead;
use crate::bench::edges::Edges;
use crate::control;
use crate::run::relay_file;

/// Longest time until a gateway is up.
const START: Duration = Duration::from_secs(60);
/// Longest orderly end.
const STOP: Duration = Duration::from_secs(8);

/// The gateways that run.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn running() -> MutexGuard<'static, BTreeSet<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends them all, and waits for it: before the end of the process, without going back to whoever started them.
/// No other one starts for as long as the answer is held.
pub(crate) fn end_all() -> MutexGuard<'static, BTreeSet<u32>> {
    let all = running();
    for pid in all.iter() {
        let _ = signal(*pid, Signal::CONT);
        let _ = signal(*pid, Signal::TERM);
    }
    let end = Instant::now() + STOP;
    while all.iter().any(|pid| lives(*pid)) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    for pid in all.iter().filter(|pid| lives(**pid)) {
        let _ = signal(*pid, Signal::KILL);
    }
    all
}

/// False of a zombie, too: nobody collects it any more.
fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, fields)| fields.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// A running gateway.
pub(crate) struct Child {
    log: PathBuf,
    process: std::process::Child,
    run_dir: PathBuf,
}

impl Child {
    /// Starts `doorline run` on the site file in `dir`; does not wait.
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Self> {
        Self::of(&std::env::current_exe()?, dir)
    }

    /// The same of a copy of this program. The kernel shares the pages of one program file among all who run it: with
    /// this process among them they would seem smaller than they are.
    pub(crate) fn apart(dir: &Path) -> anyhow::Result<Self> {
        let copy = dir.join("doorline");
        fs::copy(std::env::current_exe()?, &copy)?;
        Self::of(&copy, dir)
    }

    fn of(program: &Path, dir: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["run", "--config"]).arg(dir.join("site.toml"));
        Self::spawn(command, dir)
    }

    /// Starts a gateway with so many cards that no site file holds them.
    pub(crate) fn crowded(dir: &Path, cards: usize) -> anyhow::Result<Self> {
        let role = json!({ "role": "site", "file": dir.join("site.toml"), "cards": cards });
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "--role", &role.to_string()]);
        Self::spawn(command, dir)
    }

    fn spawn(mut command: Command, dir: &Path) -> anyhow::Result<Self> {
        let log = dir.join("log");
        let mut all = running();
        command
            .env("DOORLINE_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        // from a thread with the turn of doors, by which it is granted the class
        let start = || {
            let _ahead = Ahead::new();
            command.spawn()
        };
        let started = std::thread::scope(|scope| scope.spawn(start).join());
        let process = started
            .unwrap_or_else(|_| Err(std::io::Error::other("its thread ended before it")))
            .context("the gateway cannot be started")?;
        all.insert(process.id());
        Ok(Self {
            log,
            process,
            run_dir: dir.join("run"),
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// How its thread `name` comes first: its priority in `SCHED_RR`, or its nice value.
    pub(crate) fn turn(&self, name: &str) -> anyhow::Result<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid()))?;
        for task in tasks.flatten() {
            let stat = fs::read_to_string(task.path().join("stat"))?;
            // the name in brackets may hold anything; of proc_pid_stat(5) nice value, priority and class are fields 19, 40, 41
            let (start, fields) = stat.rsplit_once(')').context("not a thread's state")?;
            if start.split_once('(').is_some_and(|(_, found)| found == name) {
                let fields: Vec<&str> = fields.split_whitespace().collect();
                let of = |field: usize| {
                    fields
                        .get(field - 3)
                        .copied()
                        .context("a field of a thread's state")
                };
                return Ok(match of(41)? {
                    "2" => format!("in SCHED_RR with priority {}", of(40)?),
                    _ => format!("at nice {}", of(19)?),
                });
            }
        }
        bail!("the gateway has no thread `{name}`")
    }

    /// The edges of its relays.
    pub(crate) fn edges(&self) -> Edges {
        Edges::new(&relay_file(&self.run_dir))
    }

    /// The file of its relays.
    pub(crate) fn relays(&self) -> PathBuf {
        relay_file(&self.run_dir)
    }

    /// Its control socket, as soon as it is there.
    pub(crate) fn control(&mut self) -> anyhow::Result<Control> {
        let end = Instant::now() + START;
        loop {
            if let Ok(stream) = UnixStream::connect(control::path(&self.run_dir)) {
                stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                return Ok(Control(BufReader::new(stream)));
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("the gateway ended with {status}: {}", self.log());
            }
            ensure!(
                Instant::now() < end,
                "the gateway was not up after {START:?}: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until REX of door 0 opens it: gateway, guard and relay work together. The door is shut again then.
    pub(crate) fn works(&mut self, control: &mut Control, edges: &mut Edges) -> anyhow::Result<()> {
        let end = Instant::now() + START;
        loop {
            control.input("x0", true)?;
            let energised = edges.find("o0", true, Duration::from_millis(400))?;
            control.input("x0", false)?;
            if energised.is_some() {
                edges.wait("o0", false, Duration::from_secs(12))?;
                return Ok(());
            }
            ensure!(Instant::now() < end, "door 0 does not open: {}", self.log());
        }
    }

    /// It and all processes it started, with what each is.
    pub(crate) fn family(&self) -> Vec<(u32, &'static str)> {
        let mut family = vec![(self.pid(), "gateway")];
        let parents = parents();
        let mut at = 0;
        while let Some((parent, _)) = family.get(at).copied() {
            family.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let sentinel = line.split(|b| *b == 0).any(|word| word == b"--sentinel");
                (*pid, if sentinel { "sentinel" } else { "guard" })
            }));
            at += 1;
        }
        family
    }

    /// Process id of its relay guard.
    pub(crate) fn guard(&self) -> anyhow::Result<u32> {
        let guard = self.family().into_iter().find(|(_, what)| *what == "guard");
        guard.map(|(pid, _)| pid).context("there is no relay guard")
    }

    /// All that it logged.
    pub(crate) fn whole_log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of what it logged.
    pub(crate) fn log(&self) -> String {
        let text = self.whole_log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = signal(self.pid(), Signal::CONT);
        let _ = signal(self.pid(), Signal::TERM);
        let end = Instant::now() + STOP;
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = self.process.kill();
                let _ = self.process.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        running().remove(&self.pid());
    }
}

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .context("not a process id")?;
    Ok(kill_process(pid, signal)?)
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return vec![];
    };
    let numbers = entries
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok());
    numbers
        .filter_map(|pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // the name in brackets may hold anything
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
            Some((pid, parent.parse().ok()?))
        })
        .collect()
}

/// An open control socket: requests go out at once, answers are read when there is time.
pub(crate) struct Control(BufReader<UnixStream>);

impl Control {
    /// Sends a request.
    pub(crate) fn send(&mut self, request: &Value) -> anyhow::Result<()> {
        let line = format!("{request}\n");
        Ok(self.0.get_mut().write_all(line.as_bytes())?)
    }

    /// Reads the answer to the oldest request that has none.
    pub(crate) fn answer(&mut self) -> anyhow::Result<()> {
        self.read().map(drop)
    }

    /// The same of a request that takes as long, with what it tells.
    pub(crate) fn told(&mut self, long: Duration) -> anyhow::Result<Value> {
        self.0
            .get_ref()
            .set_read_timeout(Some(long + Duration::from_secs(10)))?;
        self.read()
    }

    fn read(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        self.0
            .read_line(&mut line)
            .context("the gateway does not answer")?;
        let answer: Value = serde_json::from_str(&line)?;
        ensure!(answer.get("error").is_none(), "the gateway refused: {answer}");
        Ok(answer)
    }

    /// Sets an input and waits for the answer.
    pub(crate) fn input(&mut self, input: &str, active: bool) -> anyhow::Result<()> {
        self.send(&json!({ "act": "input", "input": input, "active": active }))?;
        self.answer()
    }
}
