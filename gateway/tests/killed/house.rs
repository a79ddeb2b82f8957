//! A gateway with virtual doors that is killed and started again, and asked over its control socket.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorline");
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Keypads at which codes are typed once more: so many that none of them is locked for it.
pub(crate) const KEYPADS: usize = 7;

pub(crate) struct House {
    dir: tempfile::TempDir,
    gateway: Child,
    starts: usize,
}

/// A connection to the control socket.
pub(crate) struct Desk(BufReader<UnixStream>);

fn site(dir: &Path) -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let keypads = (0..KEYPADS).map(|n| format!("again-{n}"));
    let keypads: Vec<String> = keypads.chain(["fresh".to_owned()]).collect();
    let readers: String = keypads
        .iter()
        .map(|name| format!("[readers.{name}.virtual]\n"))
        .collect();
    let at_front = keypads
        .iter()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    let dir = dir.display();
    format!(
        r#"
[site]
id = "killed"
name = "Killed"
number = "000000001"
address = "1 Example Street"
time-zone = "UTC"
state-dir = "{dir}/state"
run-dir = "{dir}/run"
fire-input = "smoke"
lockdown-input = "panic"
[sip]
bind = "127.{high}.{low}.78"
[outputs.strike.virtual]
[outputs.lab-strike.virtual]
[outputs.siren.virtual]
[inputs.panic.virtual]
[inputs.smoke.virtual]
[inputs.detector.virtual]
[inputs.bell.virtual]
{readers}
[areas.lab]
name = "Laboratory"
anti-passback = "hard"
[readers.lab-in]
into = "lab"
[readers.lab-in.virtual]
[readers.lab-out]
out-of = "lab"
[readers.lab-out.virtual]
[doors.front]
name = "Front"
output = "strike"
strike-ms = 1000
readers = [{at_front}]
[doors.lab]
name = "Laboratory"
output = "lab-strike"
strike-ms = 1000
readers = ["lab-in", "lab-out"]
[lines.desk]
call-in = "self-start"
[lines.desk.virtual]
[panels.desk]
name = "Security"
line = "desk"
doors = ["front"]
[panels.desk.buttons.bell]
name = "Bell"
input = "bell"
call = "guards"
[lists.guards]
targets = ["sip:guards@127.0.0.1:9"]
[alarms.intrusion]
name = "Intrusion"
input = "detector"
panel = "desk"
calls = ["guards"]
code = "4711"
[relays.siren]
output = "siren"
[relays.siren.alarm]
of = ["intrusion"]
"#
    )
}

impl House {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("site.toml"), site(dir.path())).expect("written");
        let gateway = spawn(dir.path());
        let mut house = Self {
            dir,
            gateway,
            starts: 0,
        };
        house.ready();
        house
    }

    fn ready(&mut self) {
        self.starts += 1;
        let ready = "ready: every door can be opened";
        self.wait("it starts", |house| {
            house.log().matches(ready).count() == house.starts
        });
        // whoever listens at the socket answers
        self.wait("it answers", |house| {
            house
                .reach()
                .is_ok_and(|mut desk| desk.ask(json!({ "act": "people-list" })).is_ok())
        });
    }

    /// SIGKILL, at this moment.
    pub(crate) fn kill(&mut self) {
        self.gateway.kill().expect("it runs");
        self.gateway.wait().expect("it ends");
    }

    pub(crate) fn start_again(&mut self) {
        self.gateway = spawn(self.dir.path());
        self.ready();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.path("run")
    }

    pub(crate) fn reach(&self) -> Result<Desk, Error> {
        Desk::new(&self.run_dir())
    }

    /// One request that has to be answered.
    #[track_caller]
    pub(crate) fn ask(&self, request: Value) -> Value {
        let mut desk = self.reach().expect("it listens");
        desk.ask(request).expect("it answers")
    }

    /// `doorline journal`, which reads the files themselves.
    fn journal(&self, words: &[&str]) -> Output {
        Command::new(PROGRAM)
            .args(["journal", "--state"])
            .arg(self.path("state"))
            .args(words)
            .stdin(Stdio::null())
            .output()
            .expect("it runs")
    }

    /// The chain is whole.
    #[track_caller]
    pub(crate) fn verify(&self) {
        let output = self.journal(&["verify"]);
        assert!(output.status.success(), "{}\n{}", said(&output), self.log());
    }

    /// All records that are on the medium.
    #[track_caller]
    pub(crate) fn records(&self) -> Vec<Value> {
        let output = self.journal(&["export"]);
        assert!(output.status.success(), "{}\n{}", said(&output), self.log());
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, until: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !until(self) {
            assert!(Instant::now() < end, "waited in vain: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

impl Desk {
    pub(crate) fn new(run_dir: &Path) -> Result<Self, Error> {
        let stream = UnixStream::connect(run_dir.join("control.sock"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks; `Err` if the gateway died before it answered.
    pub(crate) fn ask(&mut self, request: Value) -> Result<Value, Error> {
        self.ask_with(request, None)
    }

    /// The same with a text that belongs to the request.
    pub(crate) fn ask_with(&mut self, mut request: Value, text: Option<&str>) -> Result<Value, Error> {
        if let Some(text) = text {
            request["body-bytes"] = json!(text.len());
        }
        let whole = format!("{request}\n{}", text.unwrap_or_default());
        self.0.get_mut().write_all(whole.as_bytes())?;
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        assert!(answer.get("error").is_none(), "{request}: {answer}");
        Ok(answer["ok"].clone())
    }
}

fn spawn(dir: &Path) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .expect("a log");
    Command::new(PROGRAM)
        .args(["run", "--config"])
        .arg(dir.join("site.toml"))
        .env("DOORLINE_LOG", "info")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("started")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
