//! Guard, sentinel and gateway as real processes: the test program started again in another role.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use adapter_api::{BoxFuture, DriverError, OutputDriver};
use adapter_gpio::{Backend, GpioOutputs, OutputLine};
use adapter_serial_relay::{BAUD, FRAME_BYTES, Frame, SerialRelay};
use gateway_access::{Access, Context, DoorPolicy, Grant, Policy, Request, RexKind};
use gateway_core::{DoorId, Instant, OutputId};
use gateway_guard::{
    BootClock, ClientParams, GuardBoard, GuardClient, GuardError, GuardOutput, GuardParams, GuardReport,
    Liveness, Rested, SentinelParams, Silence, SpawnParams, boottime, guard_main, rest_main, sentinel_main,
    spawn_guard,
};
use gateway_guard_proto::{Report, Wiring, Wirings};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// Nothing in these tests may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn output() -> OutputId {
    "strike".parse().expect("a name")
}

/// Which relay the processes hold.
#[derive(Clone, Debug)]
pub(crate) enum Relay {
    /// A latching board that is a file: one line per write, and it stays as it is when its process dies.
    File(PathBuf),
    /// A played serial relay board: the path of its port, and what it was told.
    Serial { path: PathBuf, on: Arc<AtomicUsize> },
    /// A line of a simulated chip: `backend:chip:line`, and the file that shows its level.
    Gpio { spec: String, shown: PathBuf },
}

impl Relay {
    fn board(spec: &str) -> GuardBoard {
        let (driver, channel): (Box<dyn OutputDriver>, u16) = match spec.split(':').collect::<Vec<_>>()[..] {
            ["serial", path] => (Box::new(SerialRelay::lcus1(path.into(), BAUD)), 1),
            ["file", path] => (Box::new(FileBoard(path.into())), 1),
            [backend, chip, line] => {
                let backend = if backend == "rppal" {
                    Backend::Rppal
                } else {
                    Backend::Gpiocdev
                };
                let line = line.parse().expect("a line number");
                let lines = vec![OutputLine {
                    active_low: false,
                    line,
                }];
                (Box::new(GpioOutputs::new(backend, chip.into(), lines)), line)
            }
            _ => panic!("{spec:?} is no board"),
        };
        let outputs = vec![GuardOutput {
            channel,
            max_on: Duration::from_secs(25),
            output: output(),
            relay: None,
            wiring: wiring("1"),
        }];
        GuardBoard {
            driver,
            outputs,
            vanished: String::new(),
        }
    }

    fn spec(&self) -> String {
        match self {
            Self::File(path) => format!("file:{}", path.display()),
            Self::Gpio { spec, .. } => spec.clone(),
            Self::Serial { path, .. } => format!("serial:{}", path.display()),
        }
    }

    /// Is it energised? What was never written rests.
    pub(crate) fn is_on(&self) -> bool {
        match self {
            Self::File(path) => self
                .writes_of(path)
                .last()
                .is_some_and(|line| line.ends_with("on")),
            Self::Gpio { shown, .. } => std::fs::read_to_string(shown).expect("the level").trim() == "1",
            // Odd: every frame that changes the relay adds one.
            Self::Serial { on, .. } => on.load(Ordering::SeqCst) % 2 == 1,
        }
    }

    fn writes_of(&self, path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often it was switched on.
    #[allow(dead_code, reason = "one of the two test programs uses it")]
    pub(crate) fn times_on(&self) -> usize {
        match self {
            Self::File(path) => self
                .writes_of(path)
                .iter()
                .filter(|line| line.ends_with("on"))
                .count(),
            Self::Gpio { .. } => panic!("a line keeps no history"),
            Self::Serial { on, .. } => on.load(Ordering::SeqCst).div_ceil(2),
        }
    }
}

struct FileBoard(PathBuf);

impl FileBoard {
    fn write(&self, word: &str) -> Result<(), DriverError> {
        let line = format!("{} {} {word}\n", boottime().as_nanos(), std::process::id());
        let open = OpenOptions::new().append(true).create(true).open(&self.0);
        open.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|source| DriverError {
                device: self.device(),
                text: "not written".into(),
                source: Some(source),
            })
    }
}

impl OutputDriver for FileBoard {
    fn claim<'a>(&'a mut self, _channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(async move { self.write("rest") })
    }

    fn device(&self) -> String {
        self.0.display().to_string()
    }

    fn read_back(&mut self, _channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
        Box::pin(async move {
            let relay = Relay::File(self.0.clone());
            Ok(Some(relay.is_on()))
        })
    }

    fn set(&mut self, _channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(async move { self.write(if energised { "on" } else { "off" }) })
    }
}

/// Names a file that each sentinel writes its number to once it has started, 4 s late.
const SLOW_START: &str = "RIG_SLOW_START";

/// The roles. `None`: this is the test itself.
pub(crate) fn role() -> Option<ExitCode> {
    let args: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    match words[..] {
        ["guard", dir, board, follow] => {
            let log = File::options()
                .append(true)
                .create(true)
                .open(Path::new(dir).join("log"))
                .expect("a log");
            let writer = move || log.try_clone().expect("a handle");
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(writer)
                .init();
            let params = GuardParams {
                boards: vec![Relay::board(board)],
                follow_stdin: follow == "follow",
                lease: LEASE,
                sentinel: Some(SentinelParams {
                    args: ["sentinel", board].map(Into::into).to_vec(),
                    program: "/proc/self/exe".into(),
                }),
                services: vec![],
                socket: Path::new(dir).join("guard.sock"),
            };
            let done = guard_main(params);
            Some(if let Err(error) = done {
                fail(&error)
            } else {
                ExitCode::SUCCESS
            })
        }
        ["sentinel", board] => {
            // a machine on which a program takes its time to start
            if let Some(file) = std::env::var_os(SLOW_START) {
                std::thread::sleep(Duration::from_secs(4));
                let id = std::process::id().to_string();
                std::fs::write(file, id).expect("written");
            }
            let done = sentinel_main(vec![Relay::board(board)]);
            Some(if let Err(error) = done {
                fail(&error)
            } else {
                ExitCode::SUCCESS
            })
        }
        ["gateway", dir, board, starts] => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(gateway(Path::new(dir), board, starts == "starts"));
            Some(ExitCode::SUCCESS)
        }
        _ => None,
    }
}

fn fail(error: &dyn fmt::Debug) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{error:?}");
    ExitCode::FAILURE
}

/// Grants of the real decision, for a request to exit.
pub(crate) struct Grants(Access);

impl Grants {
    pub(crate) fn new() -> Self {
        let mut door = DoorPolicy::new(output());
        door.rex.insert("rex".parse().expect("a name"), RexKind::Unlock);
        let mut policy = Policy::default();
        policy.doors.insert("front".parse().expect("a name"), door);
        Self(Access::new(policy))
    }

    pub(crate) fn next(&mut self, generation: u64) -> Grant {
        let door: DoorId = "front".parse().expect("a name");
        let request = Request::Rex {
            door,
            input: "rex".parse().expect("a name"),
        };
        let context = Context {
            generation,
            journal_ok: true,
            projection_at_head: true,
            ready: true,
            wall: None,
        };
        let decision = self.0.decide(boottime(), &context, request);
        decision.granted().expect("a request to exit is granted")
    }
}

/// A gateway: `operate MS`, `release`, `generation N` and `freeze` on standard input, reports in a file.
async fn gateway(dir: &Path, board: &str, starts: bool) {
    let silence = Silence::default();
    let _guard = starts.then(|| {
        let dir = dir.display().to_string();
        let args = ["guard", &dir, board, "follow"].map(Into::into).to_vec();
        let program = "/proc/self/exe".into();
        spawn_guard(SpawnParams { args, program }, silence.clone())
    });
    let instance = format!("{}-{}", std::process::id(), boottime().as_nanos());
    let params = ClientParams {
        generation: 1,
        instance,
        lease: LEASE,
        socket: dir.join("guard.sock"),
        wirings: wirings("1"),
    };
    let (client, mut reports, liveness) = GuardClient::connect(params, Arc::new(BootClock), silence);
    let (tell, mut lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut log = File::options()
        .append(true)
        .create(true)
        .open(dir.join("reports"))
        .expect("a file");
    let mut grants = Grants::new();
    let mut generation = 1;
    let mut alive = true;
    let mut turn = tokio::time::interval(ms(50));
    loop {
        tokio::select! {
            _ = turn.tick() => if alive { liveness.feed(boottime()) },
            report = reports.recv() => {
                let Some(report) = report else { return };
                writeln!(log, "{report:?}").expect("written");
            }
            line = lines.recv() => {
                let Some(line) = line else { return };
                match line.split(' ').collect::<Vec<_>>()[..] {
                    ["operate", pulse] => {
                        let pulse = ms(pulse.parse().expect("a number"));
                        let _ = client.operate(grants.next(generation), pulse);
                    }
                    ["release"] => client.release(output()),
                    ["generation", n] => client.generation(n.parse().expect("a number"), wirings("1")),
                    ["rewire", wire] => client.generation(generation, wirings(wire)),
                    ["adopt", n] => generation = n.parse().expect("a number"),
                    ["freeze"] => alive = false,
                    ["measure", pulses] => {
                        let pulses = pulses.parse().expect("a number");
                        let text = measure(&client, &mut reports, &mut grants, &liveness, pulses).await;
                        writeln!(log, "{text}").expect("written");
                    }
                    _ => panic!("{line:?} is no order"),
                }
            }
        }
    }
}

/// Pulses one after the other: from the request, through the decision, to the moment the guard energised.
async fn measure(
    client: &GuardClient,
    reports: &mut mpsc::Receiver<GuardReport>,
    grants: &mut Grants,
    liveness: &Liveness,
    pulses: usize,
) -> String {
    let mut took = Vec::new();
    while took.len() < pulses {
        liveness.feed(boottime());
        let asked = boottime();
        let lease = client.operate(grants.next(1), ms(500)).expect("taken");
        loop {
            match reports.recv().await.expect("the client runs") {
                GuardReport::Guard(Report::Energised {
                    at, lease: energised, ..
                }) if energised == lease => {
                    took.push(at.since(asked));
                    client.release(output());
                }
                GuardReport::Guard(Report::Released { .. }) => break,
                GuardReport::Guard(_) => {}
                other @ (GuardReport::Lost { .. }
                | GuardReport::Restarts { .. }
                | GuardReport::Unsent { .. }
                | GuardReport::Up { .. }
                | GuardReport::Wired { .. }) => {
                    panic!("{other:?}")
                }
            }
        }
    }
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_micros();
    format!(
        "Measured {pulses}: p50 {} us, p99 {} us, worst {} us",
        at(50),
        at(99),
        at(100)
    )
}

/// What the file board's one output is to the guard if `wire` is "1".
fn wiring(wire: &str) -> Wiring {
    Wiring::of(wire)
}

fn wirings(wire: &str) -> Wirings {
    [(output(), wiring(wire))].into()
}

/// The processes of one test. Whatever still runs at its end is killed.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) gateway: Option<Child>,
    pub(crate) guard: Option<Child>,
    pub(crate) relay: Relay,
    /// Sentinels take 4 s to start.
    pub(crate) slow_start: bool,
}

impl Rig {
    /// A rig on a file board.
    #[allow(dead_code, reason = "one of the two test programs uses it")]
    pub(crate) fn on_file() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let relay = Relay::File(dir.path().join("relay"));
        Self {
            dir,
            gateway: None,
            guard: None,
            relay,
            slow_start: false,
        }
    }

    /// A rig on a serial relay board that is played here, on the other end of a pty pair.
    #[allow(dead_code, reason = "one of the two test programs uses it")]
    pub(crate) fn on_serial() -> Self {
        let side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
        grantpt(&side).expect("granted");
        unlockpt(&side).expect("unlocked");
        let name = ptsname(&side, Vec::new()).expect("a name");
        let path = PathBuf::from(name.to_str().expect("ASCII"));
        let mut mode = tcgetattr(&side).expect("a terminal");
        mode.make_raw();
        tcsetattr(&side, OptionalActions::Now, &mode).expect("raw");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = rustix::fs::open(&path, flags, Mode::empty()).expect("the other end");
        let on = Arc::new(AtomicUsize::new(0));
        let relay = Relay::Serial {
            path,
            on: Arc::clone(&on),
        };
        std::thread::spawn(move || {
            // Held, so that reading goes on between two openings of the port.
            let _theirs = theirs;
            let (mut reader, mut frame, mut is_on) = (File::from(side), [0; FRAME_BYTES], false);
            while reader.read_exact(&mut frame).is_ok() {
                let frame = Frame::decode(frame).expect("only frames are written");
                if frame.energised() != is_on {
                    is_on = !is_on;
                    on.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let dir = tempfile::tempdir().expect("a folder");
        Self {
            dir,
            gateway: None,
            guard: None,
            relay,
            slow_start: false,
        }
    }

    #[allow(dead_code, reason = "one of the two test programs uses it")]
    pub(crate) fn on_gpio(spec: String, shown: PathBuf) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        Self {
            dir,
            gateway: None,
            guard: None,
            relay: Relay::Gpio { spec, shown },
            slow_start: false,
        }
    }

    fn child(&self, role: &str, option: &str) -> Child {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(role)
            .arg(self.dir.path())
            .arg(self.relay.spec())
            .arg(option);
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.path("log"))
            .expect("a log");
        if self.slow_start {
            command.env(SLOW_START, self.path("started"));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        command.spawn().expect("started")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn start_guard(&mut self) {
        self.guard = Some(self.child("guard", "alone"));
    }

    /// A gateway that finds its guard; returns when it is up.
    /// The last act of the unit.
    #[allow(dead_code, reason = "one of the two test programs uses it")]
    pub(crate) fn rest(&self) -> Result<Rested, GuardError> {
        rest_main(GuardParams {
            boards: vec![Relay::board(&self.relay.spec())],
            follow_stdin: false,
            lease: LEASE,
            sentinel: None,
            services: vec![],
            socket: self.dir.path().join("guard.sock"),
        })
    }

    pub(crate) fn start_gateway(&mut self, option: &str) {
        self.gateway = Some(self.child("gateway", option));
        self.wait_report("Up {", 1);
    }

    /// Both, connected.
    pub(crate) fn started(mut self) -> Self {
        self.start_guard();
        self.start_gateway("alone");
        self
    }

    pub(crate) fn tell(&mut self, line: &str) {
        let stdin = self
            .gateway
            .as_mut()
            .and_then(|g| g.stdin.as_mut())
            .expect("a gateway");
        writeln!(stdin, "{line}").expect("the gateway listens");
    }

    pub(crate) fn reports(&self) -> String {
        std::fs::read_to_string(self.path("reports")).unwrap_or_default()
    }

    /// Waits until `text` stands in that many reports.
    pub(crate) fn wait_report(&self, text: &str, times: usize) {
        let seen = || self.reports().lines().filter(|l| l.contains(text)).count() >= times;
        self.wait(&format!("{times} reports with {text:?}"), seen);
    }

    /// Waits for a level of the relay; returns when it was seen.
    pub(crate) fn wait_relay(&self, on: bool) -> Instant {
        self.wait(
            if on {
                "an energised relay"
            } else {
                "a resting relay"
            },
            || self.relay.is_on() == on,
        );
        boottime()
    }

    pub(crate) fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let end = boottime() + PATIENCE;
        while !done() {
            assert!(boottime() < end, "no {what} in {PATIENCE:?}\n{}", self.story());
            std::thread::sleep(ms(1));
        }
    }

    /// Everything that is known, for a failing test.
    pub(crate) fn story(&self) -> String {
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        let relay = std::fs::read_to_string(self.path("relay")).unwrap_or_default();
        format!("-- log\n{log}-- reports\n{}-- relay\n{relay}", self.reports())
    }

    /// Starts a long pulse and waits until the relay is on.
    pub(crate) fn pulse(&mut self, length: u64) -> Instant {
        // On a machine that has too much to do the guard may stand still for a moment, and refuses what came then.
        for _ in 0..20 {
            let late = self.reports().matches("why: Late").count();
            self.tell(&format!("operate {length}"));
            let again = || self.reports().matches("why: Late").count() > late;
            self.wait("an energised relay", || self.relay.is_on() || again());
            if self.relay.is_on() {
                break;
            }
        }
        self.wait_relay(true)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for mut child in [self.gateway.take(), self.guard.take()].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn send(child: &Option<Child>, signal: Signal) -> Instant {
    send_pid(child.as_ref().expect("it was started").id(), signal)
}

pub(crate) fn send_pid(pid: u32, signal: Signal) -> Instant {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("signalled");
    boottime()
}

/// The processes whose parent is `pid`.
#[allow(dead_code, reason = "one of the two test programs uses it")]
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|n| n.parse().ok()).collect()
}

/// A sentence, and a function that says what it measured.
pub(crate) type Case = (&'static str, fn() -> String);

/// Runs the cases one after the other, names them, and says what was measured.
pub(crate) fn run(cases: &[Case]) -> ExitCode {
    let wanted = std::env::args().nth(1).filter(|a| !a.starts_with('-'));
    if std::env::args().any(|a| a == "--list") {
        for (name, _) in cases {
            say(&format!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let mut failed = false;
    for (name, case) in cases {
        if wanted.as_ref().is_some_and(|w| !name.contains(w.as_str())) {
            continue;
        }
        match std::panic::catch_unwind(case) {
            Ok(measured) => say(&format!("ok   {name}: {measured}")),
            Err(_) => {
                failed = true;
                say(&format!("FAIL {name}"));
            }
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Asserts that `seen` is not later than `due`, with room for a busy machine; `GUARD_TEST_STRICT` leaves the
/// product's own 50 ms.
pub(crate) fn in_time(rig: &Rig, from: Instant, seen: Instant, due: Instant) -> String {
    let room = if std::env::var_os("GUARD_TEST_STRICT").is_some() {
        ms(50)
    } else {
        ms(1000)
    };
    let (took, allowed) = (seen.since(from), due.since(from));
    assert!(
        seen <= due + room,
        "at rest after {took:?}, allowed {allowed:?}\n{}",
        rig.story()
    );
    format!(
        "at rest after {} ms, allowed {} + 50 ms",
        took.as_millis(),
        allowed.as_millis()
    )
}
