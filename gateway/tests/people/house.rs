//! A virtual door with a reader, and its gateway.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorline");
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// It, and everything that it leaves behind.
pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) gateway: Child,
    starts: usize,
}

pub(crate) fn site(dir: &Path) -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let dir = dir.display();
    format!(
        r#"
[site]
id = "people"
name = "People"
number = "000000001"
address = "1 Example Street"
time-zone = "UTC"
state-dir = "{dir}/state"
run-dir = "{dir}/run"
[sip]
bind = "127.{high}.{low}.77"
[outputs.strike.virtual]
[readers.front-reader.virtual]
[inputs.front-rex.virtual]
[doors.front]
name = "Front"
output = "strike"
readers = ["front-reader"]
rex = [{{ input = "front-rex", kind = "unlock" }}]
[groups.residents]
doors = ["front"]
[schedules.mornings]
times = ["daily 08:00-12:00"]
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
            house.run(&["people", "list"]).status.success()
        });
    }

    pub(crate) fn kill(&mut self) {
        self.gateway.kill().expect("it runs");
        self.gateway.wait().expect("it ends");
    }

    /// Starts the gateway once more, and waits for nothing.
    pub(crate) fn spawn(&mut self) {
        self.gateway = spawn(self.dir.path());
    }

    /// The same, until its doors can be opened.
    pub(crate) fn start_again(&mut self) {
        self.spawn();
        self.ready();
    }

    /// The same with a log that is new.
    pub(crate) fn first_start(&mut self) {
        self.starts = 0;
        self.start_again();
    }

    pub(crate) fn kill_and_start(&mut self) {
        self.kill();
        self.start_again();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        let (command, rest) = words.split_first().expect("a command");
        let site = self.path("site.toml");
        Command::new(PROGRAM)
            .args([command, "--config"])
            .arg(site)
            .args(rest)
            .stdin(Stdio::null())
            .output()
            .expect("it runs")
    }

    /// A command that works; its output.
    #[track_caller]
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{words:?}: {}\n{}",
            said(&output),
            self.log()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn journal(&self) -> String {
        self.done(&["journal", "tail", "-n", "500"])
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, until: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !until(self) {
            assert!(Instant::now() < end, "waited in vain: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a record of this kind holds this text, so many times.
    #[track_caller]
    pub(crate) fn records(&self, kind: &str, text: &str, times: usize) {
        let count = |house: &Self| {
            let journal = house.journal();
            journal
                .lines()
                .filter(|line| line.contains(kind) && line.contains(text))
                .count()
        };
        self.wait(&format!("{times} of {kind} with {text}"), |house| {
            count(house) >= times
        });
        assert_eq!(count(self), times, "{kind} {text}");
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
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

/// A command that no gateway is asked for.
pub(crate) fn alone(words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).output().expect("it runs")
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
