//! A gateway with one real door and four virtual ones, each with a Wiegand reader, and one with a Clock & Data reader.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use adapter_virtual::{OutputEdge, Watch};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::board::{self, Board};
use super::chip::Chip;
use super::stripe::Stripe;
use super::usb::Usb;
use super::wire::{Flood, Reader, ordinary};
use super::{CARD, TRACK};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// And how long a start may: a machine that shares its processors is slow.
const START: Duration = Duration::from_secs(300);
/// Length of every pulse.
pub(crate) const STRIKE: Duration = Duration::from_secs(1);
/// The relay of the real door.
const RELAY: u32 = 2;
/// Wires of the first reader: their keys and lines. They are active low, as readers want them.
const WIRES: [(&str, u32); 4] = [("led", 20), ("second-led", 21), ("beeper", 22), ("hold", 23)];
/// The exit button of the real door.
const EXIT: u32 = 24;
/// That of the door whose relay is on a USB board.
const ROOF_EXIT: u32 = 25;
/// That of the door whose relay is behind a USB adapter.
const YARD_EXIT: u32 = 27;
/// The call wire of a panel, which no part of the site file names.
const RING: u32 = 26;
/// Readers; number 0 is at the real door.
const READERS: u32 = 5;
/// The door with the Clock & Data reader, and that reader's lines: clock, data, card present.
pub(crate) const STRIPE_DOOR: usize = 5;
const STRIPE: [u32; 3] = [14, 15, 16];

pub(crate) struct House {
    /// `None` where the kernel cannot have one.
    pub(crate) board: Option<Board>,
    chip: Chip,
    dir: tempfile::TempDir,
    edges: Vec<OutputEdge>,
    gateway: Child,
    /// Records as they are written, and who brings them.
    journal: mpsc::Receiver<Value>,
    pub(crate) readers: Vec<Reader>,
    pub(crate) records: Vec<Value>,
    pub(crate) stripe: Stripe,
    tail: Child,
    /// `None` where the machine has none.
    pub(crate) usb: Option<Usb>,
    watch: Watch,
}

const fn lines(reader: u32) -> (u32, u32) {
    (4 + 2 * reader, 5 + 2 * reader)
}

fn site(dir: &Path, chip: &Chip, has_board: bool, usb: Option<&Usb>) -> String {
    let (dir, node) = (dir.display(), chip.node.display());
    let mut text = format!(
        "[site]\nid = \"wires\"\nname = \"Wires\"\nnumber = \"000000001\"\naddress = \"1 Example Street\"\n\
         state-dir = \"{dir}/state\"\nrun-dir = \"{dir}/run\"\n[sip]\nbind = \"127.0.0.1\"\n\
         [outputs.strike0.gpio]\nchip = \"{node}\"\nline = {RELAY}\nboot-pull = \"down\"\n\
         [inputs.exit.gpio]\nchip = \"{node}\"\nline = {EXIT}\nactive-low = false\nbias = \"as-is\"\ndebounce-ms = 0\n"
    );
    if has_board {
        text += &format!(
            "[outputs.roof.dcttech]\nboard = \"{}\"\nchannel = 2\n\
             [doors.roof]\nname = \"Roof\"\noutput = \"roof\"\nstrike-ms = {}\n\
             rex = [{{ input = \"roof-exit\", kind = \"unlock\" }}]\n\
             [inputs.roof-exit.gpio]\nchip = \"{node}\"\nline = {ROOF_EXIT}\nactive-low = false\nbias = \"as-is\"\n\
             debounce-ms = 0\n",
            board::ID,
            STRIKE.as_millis()
        );
    }
    if let Some(usb) = usb {
        text += &format!(
            "[outputs.yard.lcus1]\nport = {:?}\nchannel = 2\n\
             [doors.yard]\nname = \"Yard\"\noutput = \"yard\"\nstrike-ms = {}\n\
             rex = [{{ input = \"yard-exit\", kind = \"unlock\" }}]\n\
             [inputs.yard-exit.gpio]\nchip = \"{node}\"\nline = {YARD_EXIT}\nactive-low = false\nbias = \"as-is\"\n\
             debounce-ms = 0\n\
             [inputs.turned.modbus]\nport = {:?}\nrs485 = \"rts\"\ncoil = 0\n",
            usb.gateway.link,
            STRIKE.as_millis(),
            usb.other.link,
        );
    }
    for n in 0..READERS {
        let (d0, d1) = lines(n);
        if n > 0 {
            text += &format!("[outputs.strike{n}.virtual]\n");
        }
        text += &format!(
            "[doors.door{n}]\nname = \"Door\"\noutput = \"strike{n}\"\nstrike-ms = {}\nreaders = [\"reader{n}\"]\n{}\
             [readers.reader{n}.wiegand]\nchip = \"{node}\"\nd0 = {d0}\nd1 = {d1}\nformats = [\"h10301\"]\nrepeat-ms = 0\n",
            STRIKE.as_millis(),
            if n == 0 {
                "rex = [{ input = \"exit\", kind = \"unlock\" }]\n"
            } else {
                ""
            }
        );
        if n == 0 {
            for (key, line) in WIRES {
                text += &format!("{key} = {{ chip = \"{node}\", line = {line} }}\n");
            }
        }
    }
    let doors: Vec<String> = (0..READERS).map(|n| format!("\"door{n}\"")).collect();
    let [clock, data, present] = STRIPE;
    text += &format!(
        "[outputs.strike{STRIPE_DOOR}.virtual]\n\
         [doors.bank]\nname = \"Bank\"\noutput = \"strike{STRIPE_DOOR}\"\nstrike-ms = {}\nreaders = [\"stripe\"]\n\
         [readers.stripe.clock-data]\nchip = \"{node}\"\nclock = {clock}\ndata = {data}\ncard-present = {present}\n\
         repeat-ms = 0\n[cards.bob]\ncard = \"track2:{TRACK}\"\ndoors = [\"bank\"]\n",
        STRIKE.as_millis()
    );
    text += &format!(
        "[cards.alice]\ncard = \"{CARD}\"\ndoors = [{}]\n",
        doors.join(", ")
    );
    text
}

/// The program under test: beside this one in the virtual machine, else where cargo has put it.
fn program() -> String {
    let beside = "/extra/doorline";
    if Path::new(beside).exists() {
        beside.to_owned()
    } else {
        env!("CARGO_BIN_EXE_doorline").to_owned()
    }
}

/// Follows the journal from its begin.
fn tail(file: &Path) -> (Child, mpsc::Receiver<Value>) {
    let mut command = Command::new(program());
    command.args(["journal", "--config"]).arg(file);
    command.args(["tail", "--follow", "-n", "1000000"]);
    let mut child = ordinary(command.stdin(Stdio::null()).stdout(Stdio::piped()));
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let (to, records) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Ok(record) = serde_json::from_str(&line)
                && to.send(record).is_err()
            {
                return;
            }
        }
    });
    (child, records)
}

impl House {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let chip = Chip::new("wires", "wires", 32);
        // the far end of each wire is there before the gateway looks
        chip.pull(EXIT, false);
        chip.pull(ROOF_EXIT, false);
        chip.pull(YARD_EXIT, false);
        chip.pull(RING, false);
        let (board, usb) = (Board::plug(), Usb::find());
        let readers = (0..READERS)
            .map(|n| Reader::new(&chip, lines(n).0, lines(n).1))
            .collect();
        let stripe = Stripe::new(&chip, STRIPE);
        let file = dir.path().join("site.toml");
        std::fs::write(&file, site(dir.path(), &chip, board.is_some(), usb.as_ref())).expect("written");
        let log = File::create(dir.path().join("log")).expect("a log");
        let mut command = Command::new(program());
        command
            .arg("run")
            .arg("--config")
            .arg(&file)
            .env("DOORLINE_LOG", "info");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let gateway = ordinary(&mut command);
        let log = || std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        let end = Instant::now() + START;
        while !log().contains("ready: every door can be opened") {
            assert!(Instant::now() < end, "the gateway does not start\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        let watch = Watch::new(&dir.path().join("run/virtual-relays.jsonl"));
        let (tail, journal) = tail(&file);
        let mut house = Self {
            board,
            chip,
            dir,
            edges: Vec::new(),
            gateway,
            readers,
            journal,
            records: Vec::new(),
            stripe,
            tail,
            usb,
            watch,
        };
        let ready = usize::try_from(READERS).expect("few") + 1;
        house.wait("ready readers", |house| {
            let ready_ones = house.records.iter().filter(|r| r["kind"] == "device.ready");
            ready_ones
                .filter(|r| r["source"].as_str().is_some_and(|s| s.starts_with("reader-")))
                .count()
                >= ready
        });
        house
    }

    /// What it said, and the last records of its journal.
    pub(crate) fn log(&self) -> String {
        let mut text = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        for record in self.records.iter().rev().take(30).rev() {
            text += &format!("{record}\n");
        }
        text
    }

    /// Waits for something to be so.
    pub(crate) fn wait(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.records.extend(self.journal.try_iter());
            if so(self) {
                return;
            }
            assert!(Instant::now() < end, "waited in vain for {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for so many records of a kind.
    pub(crate) fn wait_records(&mut self, kind: &str, count: usize) {
        self.wait(kind, |house| house.count(kind) >= count);
    }

    /// How many records of a kind were read.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.records
            .iter()
            .filter(|record| record["kind"] == kind)
            .count()
    }

    /// Is there a record of this kind with a field that holds the text?
    pub(crate) fn has(&self, kind: &str, text: &str) -> bool {
        let of_kind = self.records.iter().filter(|record| record["kind"] == kind);
        of_kind
            .into_iter()
            .any(|record| record.to_string().contains(text))
    }

    /// Misreads of a reader, with those that were only counted.
    pub(crate) fn misreads(&self, reader: &str) -> usize {
        let times = self
            .misreads_of(reader, 0)
            .filter_map(|record| record["times"].as_u64());
        usize::try_from(times.sum::<u64>()).expect("few")
    }

    fn misreads_of(&self, reader: &str, since: usize) -> impl Iterator<Item = &Value> {
        let new = self.records.iter().skip(since);
        new.filter(move |record| record["kind"] == "reader.misread" && record["source"] == reader)
    }

    /// Why there were misreads of a reader since so many records, each reason once.
    pub(crate) fn reasons(&self, reader: &str, since: usize) -> String {
        let reasons: BTreeSet<&str> = self
            .misreads_of(reader, since)
            .filter_map(|record| record["reason"].as_str())
            .collect();
        reasons.into_iter().collect::<Vec<_>>().join(" ")
    }

    /// Reads the journal up to here: what stands before a stranger's card at the first door is read with it.
    pub(crate) fn catch_up(&mut self) {
        let strangers = |house: &Self| {
            let cards = house
                .records
                .iter()
                .filter(|record| record["kind"] == "reader.card");
            cards.filter(|record| record["source"] == "reader0").count()
        };
        self.records.extend(self.journal.try_iter());
        let before = strangers(self);
        self.readers[0].send(&super::bits(super::STRANGER), super::Pace::of(1000));
        self.wait("a stranger's card", |house| strangers(house) > before);
    }

    /// Waits until something is so, or for so long.
    pub(crate) fn settle(&mut self, longest: Duration, so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + longest;
        while !so(self) && Instant::now() < end {
            self.records.extend(self.journal.try_iter());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many records were read.
    pub(crate) fn seen(&self) -> usize {
        self.records.len()
    }

    /// Does the relay of the real door pull?
    pub(crate) fn real_relay(&self) -> bool {
        self.level(RELAY)
    }

    /// Somebody presses the exit button of the real door, or lets go of it.
    pub(crate) fn exit(&self, pressed: bool) {
        self.chip.pull(EXIT, pressed);
    }

    /// Somebody presses the exit button of the door on the USB board, and lets go of it.
    pub(crate) fn roof_exit(&self) {
        self.chip.pull(ROOF_EXIT, true);
        std::thread::sleep(Duration::from_millis(100));
        self.chip.pull(ROOF_EXIT, false);
    }

    /// Somebody presses the exit button of the door behind the USB adapter, and lets go of it.
    pub(crate) fn yard_exit(&self) {
        self.chip.pull(YARD_EXIT, true);
        std::thread::sleep(Duration::from_millis(100));
        self.chip.pull(YARD_EXIT, false);
    }

    /// The gateway, and what it started.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut all = vec![self.gateway.id()];
        let mut next = 0;
        while let Some(pid) = all.get(next) {
            let children = format!("/proc/{pid}/task/{pid}/children");
            let children = std::fs::read_to_string(children).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
            next += 1;
        }
        all
    }

    /// The call wire of a panel that is to be learned.
    pub(crate) fn ring_wire(&self, high: bool) {
        self.chip.pull(RING, high);
    }

    /// What `doorline panel learn` makes of that wire while something happens on it, which makes so many edges. It is told to stop
    /// once it has them, however long that takes on this machine.
    pub(crate) fn learn(&self, edges: usize, happens: impl Fn(&Self)) -> Output {
        let mut command = Command::new(program());
        command.args(["panel", "learn", "--json", "--seconds", "120", "--gpio"]);
        command.arg(format!("{}:{RING}", self.chip.node.display()));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = ordinary(&mut command);
        let mut told = BufReader::new(child.stderr.take().expect("piped"));
        let mut said = String::new();
        // it says each second that it is still there: what happens after the first is recorded
        while !said.contains("1 of ") {
            assert!(told.read_line(&mut said).is_ok_and(|count| count > 0), "{said}");
        }
        happens(self);
        let all = format!(", {edges} edges");
        while !said.contains(&all) {
            assert!(told.read_line(&mut said).is_ok_and(|count| count > 0), "{said}");
        }
        kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
        std::io::Read::read_to_string(&mut told, &mut said).expect("readable");
        let mut output = child.wait_with_output().expect("it ends");
        output.stderr = said.into_bytes();
        output
    }

    /// The device of the chip that everything hangs at.
    pub(crate) fn chip_name(&self) -> String {
        self.chip.node.display().to_string()
    }

    /// What `doorline doctor` says of this site, to the user of the test or to another one.
    pub(crate) fn doctor(&self, user: Option<u32>) -> String {
        // what everybody may read
        let folder = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .expect("a folder");
        let file = folder.path().join("site.toml");
        std::fs::copy(self.dir.path().join("site.toml"), &file).expect("copied");
        let mut command = Command::new(program());
        command.arg("doctor").arg("--config").arg(&file);
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let output = command.stdin(Stdio::null()).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// How often the gateway said this so far.
    pub(crate) fn said(&self, text: &str) -> usize {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        log.matches(text).count()
    }

    /// Noise on both wires of a reader.
    pub(crate) fn flood(&self, reader: u32) -> Flood {
        let (d0, d1) = lines(reader);
        let count = self.dir.path().join(format!("flood-{reader}"));
        Flood::start(&count, [self.chip.pull_file(d0), self.chip.pull_file(d1)])
    }

    /// Is a wire of the first reader active?
    pub(crate) fn wire(&self, key: &str) -> bool {
        let (_, line) = WIRES.iter().find(|(name, _)| *name == key).expect("a wire");
        !self.level(*line)
    }

    fn level(&self, line: u32) -> bool {
        std::fs::read_to_string(self.chip.shown(line)).is_ok_and(|text| text.trim() == "1")
    }

    fn is_at_rest(&self, reader: usize) -> bool {
        let output = format!("strike{reader}");
        let last = self.edges.iter().rev().find(|edge| edge.output == output);
        last.is_none_or(|edge| !edge.energised)
    }

    /// Waits until the virtual strike of a door rests.
    pub(crate) fn wait_at_rest(&mut self, reader: usize) {
        let end = Instant::now() + PATIENCE;
        while !self.is_at_rest(reader) {
            assert!(Instant::now() < end, "it never rests\n{}", self.log());
            self.edges
                .extend(self.watch.next(Duration::from_millis(100)).expect("readable"));
        }
    }

    /// When the guard energised the virtual strike of a door, after `from`; `None` if it does not within five seconds.
    pub(crate) fn energised(&mut self, reader: usize, from: Duration) -> Option<Duration> {
        let output = format!("strike{reader}");
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let edges = self
                .edges
                .iter()
                .filter(|edge| edge.output == output && edge.energised);
            let at = edges
                .map(|edge| Duration::from_nanos(edge.at_ns))
                .find(|at| *at > from);
            if at.is_some() || Instant::now() >= end {
                return at;
            }
            self.edges
                .extend(self.watch.next(Duration::from_millis(100)).expect("readable"));
        }
    }

    /// Stops the gateway's process, or lets it go on.
    pub(crate) fn freeze(&self, stop: bool) {
        let pid = Pid::from_child(&self.gateway);
        kill_process(pid, if stop { Signal::STOP } else { Signal::CONT }).expect("it runs");
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for child in [&mut self.tail, &mut self.gateway] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
