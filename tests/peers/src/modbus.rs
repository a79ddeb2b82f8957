//! Modbus relay boards, played by pymodbus.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::gateway::Edge;
use crate::ports::Use;
use crate::process::Process;
use crate::rig::{Rig, until};

/// How the boards are reached.
#[derive(Clone, Debug)]
pub enum Way {
    /// RTU frames over TCP, on [`Use::Modbus`].
    RtuOverTcp,
    /// RTU at the far end of a wire.
    Serial(PathBuf),
    /// Modbus TCP, on [`Use::Modbus`].
    Tcp,
}

/// Boards on one line or connection. Dropping them cuts their supply.
#[derive(Debug)]
pub struct ModbusBoards {
    args: Vec<String>,
    control: u16,
    process: Process,
    python: PathBuf,
    seen: usize,
}

impl ModbusBoards {
    /// Starts boards of `kind` (`coils`, `waveshare`, `n4d`, `domofon`) with these units, all relays at rest.
    ///
    /// # Errors
    /// If they do not come up.
    pub fn start(rig: &Rig, kind: &str, units: &[u8], way: &Way) -> anyhow::Result<Self> {
        let key = "DOORLINE_RELAY_BOARDS";
        let home = std::env::var_os(key).with_context(|| format!("{key} is not set; see tests/run"))?;
        let control = rig.port(Use::BoardControl);
        let units: Vec<String> = units.iter().map(ToString::to_string).collect();
        let (word, place) = match way {
            Way::RtuOverTcp => ("rtu-tcp", rig.port(Use::Modbus).to_string()),
            Way::Serial(path) => ("serial", path.display().to_string()),
            Way::Tcp => ("tcp", rig.port(Use::Modbus).to_string()),
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/modbus-board.py");
        let args = [script, kind, &units.join(","), &control.to_string(), word, &place].map(str::to_owned);
        let python = Path::new(&home).join("bin/python");
        let mut boards = Self {
            process: Process::start(rig, "boards", &python, &args)?,
            args: args.into(),
            control,
            python,
            seen: 0,
        };
        boards.process.says("board ready", Duration::from_secs(30))?;
        Ok(boards)
    }

    /// Cuts their supply: the relays fall, nobody answers.
    pub fn cut(&mut self) {
        self.process.kill();
    }

    /// Gives them their supply again, all relays at rest.
    ///
    /// # Errors
    /// If they do not come up.
    pub fn again(&mut self, rig: &Rig) -> anyhow::Result<()> {
        let said = self.process.log().len();
        self.process = Process::start(rig, "boards", &self.python, &self.args)?;
        self.process
            .says_after(said, "board ready", Duration::from_secs(30))
    }

    /// The process that plays them.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn command(&self, command: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.control))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        ensure!(!answer.is_empty(), "no answer to {command}");
        Ok(answer.trim().to_owned())
    }

    /// Is the relay on?
    ///
    /// # Errors
    /// If nobody says.
    pub fn is_on(&self, unit: u8, relay: u16) -> anyhow::Result<bool> {
        Ok(self.command(&format!("get {unit} {relay}"))? == "1")
    }

    /// Switches a relay as somebody else would: a hand, another master.
    ///
    /// # Errors
    /// If it is not done.
    pub fn switch(&self, unit: u8, relay: u16, on: bool) -> anyhow::Result<()> {
        let on = u8::from(on);
        self.command(&format!("set {unit} {relay} {on}")).map(|_| ())
    }

    /// Sets a discrete input, or a coil that is no relay, by its address from 0: `kind` is `input` or `coil`.
    ///
    /// # Errors
    /// If it is not done.
    pub fn sense(&self, kind: &str, unit: u8, address: u16, on: bool) -> anyhow::Result<()> {
        let on = u8::from(on);
        self.command(&format!("{kind} {unit} {address} {on}")).map(|_| ())
    }

    /// One board answers no more; its relays stay.
    ///
    /// # Errors
    /// If it is not done.
    pub fn mute(&self, unit: u8) -> anyhow::Result<()> {
        self.command(&format!("mute {unit}")).map(|_| ())
    }

    /// It answers again.
    ///
    /// # Errors
    /// If it is not done.
    pub fn speak(&self, unit: u8) -> anyhow::Result<()> {
        self.command(&format!("speak {unit}")).map(|_| ())
    }

    /// Every change of a relay so far.
    #[must_use]
    pub fn edges(&self, unit: u8, relay: u16) -> Vec<Edge> {
        let head = format!("edge {unit} {relay} ");
        let log = self.process.log();
        let lines = log.lines().filter_map(|line| line.strip_prefix(&head));
        let edge = |line: &str| {
            let (level, at) = line.split_once(' ')?;
            Some(Edge {
                at_ns: at.parse().ok()?,
                energised: level == "1",
                why: "board".to_owned(),
            })
        };
        lines.filter_map(edge).collect()
    }

    /// Waits for the next change of a relay that was not waited for yet. One relay in one test.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn edge(&mut self, unit: u8, relay: u16, limit: Duration) -> anyhow::Result<Edge> {
        let seen = self.seen;
        let what = format!("an edge of relay {relay} of unit {unit}");
        let edge = until(limit, &what, || Ok(self.edges(unit, relay).get(seen).cloned()))?;
        self.seen += 1;
        Ok(edge)
    }
}
