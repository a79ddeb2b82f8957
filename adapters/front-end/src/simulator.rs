//! A front end on two pseudo-terminals: for trying out, and for tests. A contact for keys and a reader of stripes hang at it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use adapter_ibutton::{Asked, Rom, alone};
use gateway_panel::Edge;
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::firmware::{Change, Firmware};
use crate::message::PortRole;

/// Most edges that wait for their time.
const MAX_PLAYED: usize = 100_000;

/// Inputs and outputs that a simulated front end has.
const CHANNELS: u8 = 8;
/// Input of its contact for keys, and the output that pulls its wire low.
pub const CONTACT_INPUT: u8 = 2;
/// See [`CONTACT_INPUT`].
pub const PULL_OUTPUT: u8 = 4;
/// Inputs of its Clock & Data reader: clock, data and card present, low when active.
pub const STRIPE_INPUTS: [u8; 3] = [3, 4, 5];

/// What happens to its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Play {
    /// Edges, timed from the moment in which they are given, or from the last one of that input that is still to come.
    Edges {
        /// Which input.
        input: u8,
        /// Edges.
        edges: Vec<Edge>,
    },
    /// A DS1990A touches the contact. Keys that send by themselves are edges of [`CONTACT_INPUT`].
    Key {
        /// Its number.
        rom: Rom,
        /// For how long.
        for_us: u64,
    },
    /// A stripe is drawn through: its bits, one in each millisecond.
    Stripe(Vec<bool>),
}

/// A front end with what hangs at it, in its own time.
pub(crate) struct Bench {
    pub(crate) firmware: Firmware,
    /// The key that is put to the contact: from when until when.
    key: Option<(Asked, u64, u64)>,
    /// Edges to come: by time, of one time in the order in which they were given.
    waiting: Vec<(u64, u8, bool)>,
    /// The wire of the contact.
    wire: bool,
}

impl Bench {
    pub(crate) fn new(high: &[u8]) -> Self {
        let mut firmware = Firmware::new(std::process::id(), CHANNELS, CHANNELS, 2);
        for input in high.iter().chain(&STRIPE_INPUTS).chain(&[CONTACT_INPUT]) {
            firmware.set_input(0, *input, true);
        }
        Self {
            firmware,
            key: None,
            waiting: Vec::new(),
            wire: true,
        }
    }

    /// Everything that happens up to now, in its order: what an output does may change an input.
    pub(crate) fn advance(&mut self, now: u64, changes: &mpsc::UnboundedSender<Change>) {
        loop {
            while let Some(change) = self.firmware.take_change() {
                self.pulled(change);
                let _ = changes.send(change);
            }
            let Some(at) = self.next().filter(|at| *at <= now) else {
                break;
            };
            let due = self.waiting.partition_point(|(edge, ..)| *edge <= at);
            for (at, input, level) in self.waiting.drain(..due) {
                self.firmware.set_input(at, input, level);
                if input == CONTACT_INPUT && level != self.wire {
                    self.wire = level;
                    let at_us = at;
                    let _ = changes.send(Change::Wire { input, level, at_us });
                }
            }
            self.firmware.handle_timeout(at);
        }
        self.firmware.handle_timeout(now);
    }

    /// When something happens by itself.
    fn next(&self) -> Option<u64> {
        let edge = self.waiting.first().map(|(at, ..)| *at);
        edge.into_iter().chain(self.firmware.poll_timeout()).min()
    }

    /// The wire of the contact follows what pulls it, and the key answers.
    fn pulled(&mut self, change: Change) {
        let Change::Output { output, on, at_us } = change else {
            return;
        };
        if output != PULL_OUTPUT {
            return;
        }
        self.key = self.key.take().filter(|(.., until)| at_us < *until);
        let edges = match &mut self.key {
            Some((key, from, _)) if at_us >= *from => key.pulled(at_us, on),
            Some(_) | None => alone(at_us, on),
        };
        self.add(edges.into_iter().map(|(at, level)| (at, CONTACT_INPUT, level)));
    }

    /// When these inputs have nothing more to come: what happens on one wire happens one after the other.
    fn free(&self, now: u64, inputs: &[u8]) -> u64 {
        let mut last = self.waiting.iter().rev();
        let last = last.find(|(_, of, _)| inputs.contains(of)).map(|(at, ..)| *at);
        let key = self.key.as_ref().map(|(.., until)| *until);
        let key = key.filter(|_| inputs.contains(&CONTACT_INPUT));
        last.into_iter().chain(key).fold(now, u64::max)
    }

    fn add(&mut self, edges: impl Iterator<Item = (u64, u8, bool)>) {
        let free = MAX_PLAYED.saturating_sub(self.waiting.len());
        self.waiting.extend(edges.take(free));
        self.waiting.sort_by_key(|(at, ..)| *at);
    }

    pub(crate) fn play(&mut self, now: u64, play: Play) {
        match play {
            Play::Edges { input, edges } => {
                let from = self.free(now, &[input]);
                self.add(
                    edges
                        .into_iter()
                        .map(|edge| (from + edge.at_us, input, edge.level)),
                );
            }
            Play::Key { rom, for_us } => {
                let from = self.free(now, &[CONTACT_INPUT]);
                self.key = Some((Asked::new(rom), from, from + for_us));
            }
            Play::Stripe(bits) => {
                let free = self.free(now, &STRIPE_INPUTS);
                let from = if free > now { free + 100_000 } else { now };
                self.add(drawn(from, &bits).into_iter());
            }
        }
    }
}

/// What a reader of stripes sends: a card is present 5 ms before the first clock and after the last one; each clock is low for
/// 300 µs, and data stands since 300 µs before it (timing of ISO 7811-2 readers, low is active).
fn drawn(from: u64, bits: &[bool]) -> Vec<(u64, u8, bool)> {
    let [clock, data, present] = STRIPE_INPUTS;
    let mut edges = vec![(from, present, false)];
    let mut at = from + 5000;
    let mut level = true;
    for one in bits {
        if level == *one {
            level = !one;
            edges.push((at, data, level));
        }
        edges.extend([(at + 300, clock, false), (at + 600, clock, true)]);
        at += 1000;
    }
    if !level {
        edges.push((at, data, true));
    }
    edges.push((at + 5000, present, true));
    edges
}

/// One end of a cable.
pub(crate) struct Cable {
    ours: AsyncFd<OwnedFd>,
    /// While nobody else has the other end, reading ours would fail without it.
    _theirs: OwnedFd,
}

#[expect(
    deprecated,
    reason = "the successor is unsafe to call, for types that lie about their descriptor; this one owns its own"
)]
pub(crate) fn cable(link: &Path) -> io::Result<Cable> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let path = Path::new(name.to_str().map_err(io::Error::other)?);
    // raw before anything is written: a cooked terminal would change the bytes
    let mut mode = tcgetattr(&ours)?;
    mode.make_raw();
    tcsetattr(&ours, OptionalActions::Now, &mode)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(path, flags, Mode::empty())?;
    fcntl_setfl(&ours, fcntl_getfl(&ours)? | OFlags::NONBLOCK)?;
    match std::fs::read_link(link) {
        // of one that ran here before
        Ok(_) => std::fs::remove_file(link)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    symlink(path, link)?;
    Ok(Cable {
        ours: AsyncFd::with_interest(ours, Interest::READABLE)?,
        _theirs: theirs,
    })
}

impl Cable {
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.ours.readable().await?;
            let read = ready.try_io(|fd| rustix::io::read(fd, &mut *buffer).map_err(io::Error::from));
            if let Ok(read) = read {
                return read;
            }
        }
    }

    /// What nobody reads is lost, as on a cable.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Ok(count) = rustix::io::write(self.ours.get_ref(), rest) {
            rest = &rest[count..];
            if rest.is_empty() {
                return;
            }
        }
    }
}

/// Plays a front end whose ports are `line` and `door` in a folder, until nobody plays anything any more. Inputs that are
/// high at rest are high from the start. What changes at its outputs goes to `changes`, which is not waited for.
///
/// # Errors
/// What the system says if it has no pseudo-terminals, or the links cannot be made.
pub async fn simulate(
    folder: &Path,
    high: &[u8],
    mut plays: mpsc::Receiver<Play>,
    changes: mpsc::UnboundedSender<Change>,
) -> io::Result<()> {
    let ports = [
        (PortRole::Line, cable(&folder.join("line"))?),
        (PortRole::Door, cable(&folder.join("door"))?),
    ];
    let start = Instant::now();
    let now_us = || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let mut bench = Bench::new(high);
    let (mut line, mut door) = ([0; 512], [0; 512]);
    loop {
        let now = now_us();
        bench.advance(now, &changes);
        for (role, cable) in &ports {
            cable.write(&bench.firmware.take_bytes(*role));
        }
        let next = bench.next().unwrap_or(now + 1_000_000);
        let wake = start + Duration::from_micros(next.min(now + 1_000_000));
        let (role, bytes) = tokio::select! {
            read = ports[0].1.read(&mut line) => (PortRole::Line, &line[..read?]),
            read = ports[1].1.read(&mut door) => (PortRole::Door, &door[..read?]),
            play = plays.recv() => {
                let Some(play) = play else { return Ok(()) };
                bench.play(now_us(), play);
                continue;
            }
            () = tokio::time::sleep_until(wake) => continue,
        };
        // what happened before the bytes came is told before they are answered
        let now = now_us();
        bench.advance(now, &changes);
        bench.firmware.handle_bytes(now, role, bytes);
    }
}
