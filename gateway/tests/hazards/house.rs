//! One door, its gateway and what was seen of its relay.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use adapter_virtual::{OutputEdge, Watch};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::reader::Reader;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);
const PROGRAM: &str = env!("CARGO_BIN_EXE_doorline");
/// What a [`Reader`] made of the log.
const READ: &str = "log.read";
/// Folder of a house: with it, its gateway finds the programs there and no others.
pub(crate) const PROGRAMS: &str = "programs";
/// The door's output.
const STRIKE_OUTPUT: &str = "front-strike";
/// The door's pulse.
pub(crate) const STRIKE: Duration = Duration::from_secs(3);

/// Everything that runs, and what it left behind.
pub(crate) struct House {
    dir: tempfile::TempDir,
    edges: Vec<OutputEdge>,
    gateway: Child,
    /// Edges that were looked at by [`lit`](House::lit).
    lit: usize,
    seen: usize,
    watch: Watch,
}

/// A connection to the control socket.
pub(crate) struct Control(BufReader<UnixStream>);

impl House {
    /// A gateway whose doors can be opened.
    pub(crate) fn start() -> Self {
        Self::begin(Path::new(PROGRAM), Path::new(""))
    }

    /// The same from a copy of the program.
    pub(crate) fn start_program(program: &Path) -> Self {
        Self::begin(program, Path::new(""))
    }

    /// The same with a supervisor that listens at `notify`.
    pub(crate) fn start_told(notify: &Path) -> Self {
        Self::begin(Path::new(PROGRAM), notify)
    }

    /// The same with somebody who reads its log.
    pub(crate) fn start_read() -> (Self, Reader) {
        let dir = tempfile::tempdir().expect("a folder");
        let reader = Reader::new(&dir.path().join("log"), &dir.path().join(READ));
        (Self::begin_in(dir, Path::new(PROGRAM), Path::new("")), reader)
    }

    fn begin(program: &Path, notify: &Path) -> Self {
        Self::begin_in(tempfile::tempdir().expect("a folder"), program, notify)
    }

    /// The same with lines at the end of the site file, made for its folder.
    pub(crate) fn start_with(lines: impl Fn(&Path) -> String) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let text = site(dir.path()) + &lines(dir.path());
        std::fs::write(dir.path().join("site.toml"), text).expect("written");
        Self::ready(dir, Path::new(PROGRAM), Path::new(""))
    }

    /// The same with another site file, made of the usual one for its folder.
    pub(crate) fn start_changed(change: impl Fn(&Path, String) -> String) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let text = change(dir.path(), site(dir.path()));
        std::fs::write(dir.path().join("site.toml"), text).expect("written");
        Self::ready(dir, Path::new(PROGRAM), Path::new(""))
    }

    /// The same, though not every door may be one that can be opened.
    pub(crate) fn start_incomplete(lines: impl Fn(&Path) -> String) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let text = site(dir.path()) + &lines(dir.path());
        std::fs::write(dir.path().join("site.toml"), text).expect("written");
        Self::over(Path::new(PROGRAM), dir, Path::new(""))
    }

    fn begin_in(dir: tempfile::TempDir, program: &Path, notify: &Path) -> Self {
        std::fs::write(dir.path().join("site.toml"), site(dir.path())).expect("written");
        Self::ready(dir, program, notify)
    }

    fn ready(dir: tempfile::TempDir, program: &Path, notify: &Path) -> Self {
        let mut house = Self::over(program, dir, notify);
        house.wait_for("ready: every door can be opened", 1);
        house.see();
        house
    }

    /// A gateway whose guard is run by a supervisor of its own, and read this change of the site file.
    pub(crate) fn start_beside(change: impl Fn(&str) -> String) -> (Self, Guard) {
        Self::start_beside_with("", change)
    }

    /// The same with lines at the end of both files.
    pub(crate) fn start_beside_with(lines: &str, change: impl Fn(&str) -> String) -> (Self, Guard) {
        let dir = tempfile::tempdir().expect("a folder");
        let text = site(dir.path()) + "\n[guard]\nmode = \"external\"\n" + lines;
        std::fs::write(dir.path().join("site.toml"), &text).expect("written");
        std::fs::write(dir.path().join("guard.toml"), change(&text)).expect("written");
        let guard = Guard::start(dir.path(), "guard.toml");
        (Self::over(Path::new(PROGRAM), dir, Path::new("")), guard)
    }

    fn over(program: &Path, dir: tempfile::TempDir, notify: &Path) -> Self {
        let gateway = spawn(program, dir.path(), "site.toml", notify);
        let watch = Watch::new(&dir.path().join("run/virtual-relays.jsonl"));
        Self {
            dir,
            edges: Vec::new(),
            gateway,
            lit: 0,
            seen: 0,
            watch,
        }
    }

    /// The same once more, after the first one was killed.
    pub(crate) fn start_again(&mut self) {
        self.start_once_more(2);
    }

    /// The same for the nth time.
    pub(crate) fn start_once_more(&mut self, times: usize) {
        self.gateway.wait().expect("it ended");
        self.gateway = spawn(Path::new(PROGRAM), self.dir.path(), "site.toml", Path::new(""));
        self.wait_for("ready: every door can be opened", times);
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.gateway.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(Instant::now() < end, "it does not end\n{}", self.story());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Another gateway beside the first, run to its end.
    pub(crate) fn second(&self, file: &str) -> ExitStatus {
        spawn(Path::new(PROGRAM), self.dir.path(), file, Path::new(""))
            .wait()
            .expect("it ends")
    }

    /// Somebody presses the exit button and lets go of it; tells when the relay was energised.
    pub(crate) fn open_by_exit(&mut self) -> Duration {
        self.press_exit();
        self.energised()
    }

    /// The same while the guard may not be there yet: whoever stands at the door presses again.
    pub(crate) fn press_until_open(&mut self) {
        let before = self.times_on();
        let end = Instant::now() + PATIENCE;
        while self.times_on() == before {
            assert!(Instant::now() < end, "the exit stays shut\n{}", self.story());
            let mut control = self.connect();
            control.send(&json!({ "act": "pulse", "input": "front-rex", "ms": 300 }));
            control.answer();
            for _ in 0..20 {
                self.see();
            }
        }
    }

    pub(crate) fn sip_port(&self) -> u16 {
        let text = self.text();
        let port = text.lines().find_map(|line| line.strip_prefix("udp-port = "));
        port.expect("it stands in the file").parse().expect("a number")
    }

    pub(crate) fn energised(&mut self) -> Duration {
        self.edge(true)
    }

    pub(crate) fn rest(&mut self) -> Duration {
        self.edge(false)
    }

    fn edge(&mut self, energised: bool) -> Duration {
        let end = Instant::now() + PATIENCE;
        loop {
            while self.seen < self.edges.len() {
                self.seen += 1;
                let edge = &self.edges[self.seen - 1];
                if edge.energised == energised && edge.output == STRIKE_OUTPUT {
                    return Duration::from_nanos(edge.at_ns);
                }
            }
            assert!(Instant::now() < end, "no edge to {energised}\n{}", self.story());
            self.see();
        }
    }

    fn see(&mut self) {
        let new = self.watch.next(Duration::from_millis(20)).expect("readable");
        self.edges.extend(new);
    }

    /// Another relay file stands where the first one stood.
    pub(crate) fn watch_anew(&mut self) {
        self.watch = Watch::new(&self.path("run/virtual-relays.jsonl"));
        self.see();
    }

    /// How often the relay was energised so far.
    pub(crate) fn times_on(&mut self) -> usize {
        self.see();
        let strikes = self.edges.iter().filter(|edge| edge.output == STRIKE_OUTPUT);
        strikes.filter(|edge| edge.energised).count()
    }

    /// How often a relay that only tells something was energised so far.
    pub(crate) fn times_lit(&mut self, output: &str) -> usize {
        self.see();
        let edges = self.edges.iter().filter(|edge| edge.output == output);
        edges.filter(|edge| edge.energised).count()
    }

    /// Waits for the next edge of a relay that only tells something.
    pub(crate) fn lit(&mut self, output: &str, energised: bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            while self.lit < self.edges.len() {
                self.lit += 1;
                let edge = &self.edges[self.lit - 1];
                if edge.output == output && edge.energised == energised {
                    return;
                }
            }
            assert!(
                Instant::now() < end,
                "no edge of {output} to {energised}\n{}",
                self.story()
            );
            self.see();
        }
    }

    /// Somebody presses the exit button, whatever comes of it.
    pub(crate) fn press_exit(&self) {
        let mut control = self.connect();
        control.send(&json!({ "act": "pulse", "input": "front-rex", "ms": 300 }));
        let answer = control.answer();
        assert!(answer.contains("ok"), "{answer}\n{}", self.story());
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn connect(&self) -> Control {
        let path = self.path("run/control.sock");
        self.wait("the control socket", || UnixStream::connect(&path).is_ok());
        let stream = UnixStream::connect(&path).expect("a gateway listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        Control(BufReader::new(stream))
    }

    /// Waits until the gateway has found a guard for the nth time.
    pub(crate) fn ready_again(&self, times: usize) {
        self.wait_for("the relay guard can be used", times);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.gateway.id()
    }

    /// The guard's process.
    pub(crate) fn guard(&self) -> u32 {
        self.wait("a guard", || children(self.pid()).len() == 1);
        children(self.pid())[0]
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.signal_to(self.pid(), signal);
    }

    pub(crate) fn signal_to(&self, pid: u32, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not zero");
        kill_process(pid, signal).expect("it runs");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.path("site.toml")).expect("readable")
    }

    pub(crate) fn replace(&self, text: &str) {
        self.write("site.toml", text);
    }

    pub(crate) fn rewrite(&self, from: &str, to: &str) {
        let text = self.text();
        assert!(text.contains(from), "{from} stands in the file");
        self.replace(&text.replace(from, to));
    }

    /// SIGHUP, and what must be logged of it.
    pub(crate) fn reload(&self, said: &str) {
        let before = self.log().matches(said).count();
        self.signal(Signal::HUP);
        self.wait_for(said, before + 1);
    }

    pub(crate) fn wait_for(&self, text: &str, times: usize) {
        self.wait(text, || self.log().matches(text).count() >= times);
    }

    /// How often something was logged so far.
    pub(crate) fn times_said(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    pub(crate) fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done() {
            assert!(
                Instant::now() < end,
                "waited in vain for: {what}\n{}",
                self.story()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything that was logged so far.
    pub(crate) fn said(&self) -> String {
        self.log()
    }

    fn log(&self) -> String {
        let read = std::fs::read_to_string(self.path(READ));
        read.or_else(|_| std::fs::read_to_string(self.path("log")))
            .unwrap_or_default()
    }

    /// Everything that was seen, for a failure.
    pub(crate) fn story(&self) -> String {
        format!("{:#?}\n{}", self.edges, self.log())
    }
}

/// A relay guard that a supervisor of its own runs.
pub(crate) struct Guard(Child);

impl Guard {
    pub(crate) fn start(dir: &Path, file: &str) -> Self {
        Self(program(
            Path::new(PROGRAM),
            dir,
            &["relay-guard"],
            file,
            Path::new(""),
        ))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // its sentinel finds everything at rest, or brings it there, and ends
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `doorline relay-guard --rest`, to its end.
pub(crate) fn rest(dir: &Path, file: &str) -> ExitStatus {
    let words = ["relay-guard", "--rest"];
    program(Path::new(PROGRAM), dir, &words, file, Path::new(""))
        .wait()
        .expect("it ends")
}

impl Drop for House {
    fn drop(&mut self) {
        // Whatever state it was left in; the guard and its sentinel follow by themselves.
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

impl Control {
    /// Sends a request as of now.
    pub(crate) fn send(&mut self, request: &Value) {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let asked = u64::try_from(t.tv_sec * 1_000_000_000 + t.tv_nsec).expect("positive");
        let mut request = request.clone();
        request["asked-ns"] = json!(asked);
        writeln!(self.0.get_mut(), "{request}").expect("sent");
    }

    pub(crate) fn answer(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        line
    }
}

/// Child processes.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let of =
        |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let text: Vec<String> = tasks.flatten().map(of).collect();
    text.iter()
        .flat_map(|t| t.split_whitespace())
        .map(|pid| pid.parse().expect("a pid"))
        .collect()
}

fn spawn(of: &Path, dir: &Path, file: &str, notify: &Path) -> Child {
    program(of, dir, &["run"], file, notify)
}

fn program(program: &Path, dir: &Path, words: &[&str], file: &str, notify: &Path) -> Child {
    let log = File::options()
        .append(true)
        .create(true)
        .open(dir.join("log"))
        .expect("a log");
    let mut command = Command::new(program);
    // a machine that has these programs and no others
    let programs = dir.join(PROGRAMS);
    if programs.is_dir() {
        command.env("PATH", programs);
    }
    command
        .args(words)
        .arg("--config")
        .arg(dir.join(file))
        .env("DOORLINE_LOG", "info")
        .env("NO_COLOR", "1")
        .env("NOTIFY_SOCKET", notify)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("started")
}

/// A port that nobody listens on, by either protocol.
pub(crate) fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = udp.local_addr().expect("bound").port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn site(dir: &Path) -> String {
    let (dir, port) = (dir.display(), free_port());
    format!(
        r#"
[site]
id = "hazards"
name = "Hazards"
number = "000000001"
address = "1 Example Street, 00001 Example"
state-dir = "{dir}/state"
run-dir = "{dir}/run"

[outputs.front-strike]
max-on-ms = 10000
[outputs.front-strike.virtual]

[inputs.front-bell.virtual]
[inputs.front-rex.virtual]
[readers.front-reader.virtual]

[lines.riser]
call-in = "self-start"
[lines.riser.virtual]
capture = "tone:440"

[panels.main]
name = "Main entrance"
line = "riser"
doors = ["front"]
[panels.main.buttons.bell]
name = "Bell"
input = "front-bell"
call = "kitchen"

[doors.front]
name = "Main entrance"
lock = "strike"
output = "front-strike"
strike-ms = 3000
rex = [{{ input = "front-rex", kind = "unlock" }}]
readers = ["front-reader"]

[lists.kitchen]
targets = ["sip:kitchen@127.0.0.1:9"]

[codes.nine]
digits = "9"
doors = ["front"]
from = ["call"]

[cards.alice]
card = "26:123,04567"
doors = ["front"]

[sip]
bind = "127.0.0.1"
udp-port = {port}
tcp-port = {port}
"#
    )
}
