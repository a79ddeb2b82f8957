//! Two wires of a reader, driven as a reader drives them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::setpriority_process;

use super::chip::Chip;

/// Width of a pulse in microseconds; readers send 20 to 100.
const PULSE: u64 = 50;

/// A longer pause than this ends a frame.
const LONGEST: Duration = Duration::from_millis(24);
/// How long it may take to send one frame without a pause: a machine that shares its processors often stands still.
const PATIENCE: Duration = Duration::from_secs(240);

/// `CLOCK_BOOTTIME`.
pub(crate) fn boottime() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(t.tv_sec).expect("after boot");
    Duration::new(seconds, u32::try_from(t.tv_nsec).expect("below a second"))
}

/// How fast bits are sent.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    bit: Duration,
    pulse: Duration,
}

impl Pace {
    /// So many microseconds from bit to bit; 0 is as fast as the machine can.
    pub(crate) const fn of(us: u64) -> Self {
        Self::pulsed(us, PULSE)
    }

    /// The same, with pulses of so many microseconds.
    pub(crate) const fn pulsed(us: u64, pulse: u64) -> Self {
        Self {
            bit: Duration::from_micros(us),
            pulse: Duration::from_micros(pulse),
        }
    }
}

/// How a frame came out.
pub(crate) struct Sent {
    /// When its last pulse began.
    pub(crate) last: Duration,
    /// How long the write took that began it: the kernel's timestamp of the edge is not later than that.
    pub(crate) write: Duration,
    /// The longest time from a pulse to the next.
    pub(crate) longest: Duration,
    /// How long its pulses were, all together: from the end of the write that begins one to that of the write that ends it.
    pub(crate) pulses: Duration,
}

impl Sent {
    /// Is it what a reader would have sent?
    pub(crate) fn is_whole(&self) -> bool {
        self.longest < LONGEST
    }
}

/// A reader's side of the cable.
pub(crate) struct Reader {
    wires: [File; 2],
}

impl Reader {
    pub(crate) fn new(chip: &Chip, d0: u32, d1: u32) -> Self {
        let open = |line| {
            chip.pull(line, true);
            OpenOptions::new()
                .write(true)
                .open(chip.pull_file(line))
                .expect("a line")
        };
        Self {
            wires: [open(d0), open(d1)],
        }
    }

    fn set(&self, wire: usize, high: bool) {
        let word: &[u8] = if high { b"pull-up" } else { b"pull-down" };
        self.wires[wire].write_all_at(word, 0).expect("driven");
    }

    /// Sends a frame as a reader would; returns when its last pulse began. A machine that stood still for longer than a
    /// reader may pause has sent something else: then it is sent again.
    pub(crate) fn send(&self, bits: &[bool], pace: Pace) -> Duration {
        self.send_whole(bits, pace).last
    }

    /// The same, with all that is known of it.
    pub(crate) fn send_whole(&self, bits: &[bool], pace: Pace) -> Sent {
        let end = boottime() + PATIENCE;
        loop {
            let sent = self.once(bits, pace);
            if sent.is_whole() {
                return sent;
            }
            assert!(
                boottime() < end,
                "this machine cannot send a frame without a pause"
            );
            std::thread::sleep(2 * LONGEST);
        }
    }

    /// Sends a frame once, however it comes out.
    pub(crate) fn once(&self, bits: &[bool], pace: Pace) -> Sent {
        let wires = bits.iter().map(|one| [usize::from(*one)].to_vec());
        self.pulses(&wires.collect::<Vec<_>>(), pace)
    }

    /// Sends a frame with a pulse too many, which is on both wires.
    pub(crate) fn both(&self, bits: &[bool], pace: Pace) {
        let mut wires: Vec<Vec<usize>> = bits.iter().map(|one| vec![usize::from(*one)]).collect();
        wires.insert(10, vec![0, 1]);
        let end = boottime() + PATIENCE;
        while !self.pulses(&wires, pace).is_whole() {
            assert!(
                boottime() < end,
                "this machine cannot send a frame without a pause"
            );
            std::thread::sleep(2 * LONGEST);
        }
    }

    /// Pulses one after the other, each on one or both wires.
    fn pulses(&self, pulses: &[Vec<usize>], pace: Pace) -> Sent {
        let (mut last, mut longest, mut write) = (boottime(), Duration::ZERO, Duration::ZERO);
        let (mut next, mut low) = (last, Duration::ZERO);
        for wires in pulses {
            wait_until(next);
            let before = std::mem::replace(&mut last, boottime());
            wires.iter().for_each(|wire| self.set(*wire, false));
            let down = boottime();
            longest = longest.max(down - before);
            write = down - last;
            // counted from its own begin: a machine that stood still in between does not make up for it
            next = last + pace.bit;
            if pace.bit > pace.pulse {
                wait_until(down + pace.pulse);
            }
            wires.iter().for_each(|wire| self.set(*wire, true));
            low += boottime() - down;
        }
        Sent {
            last,
            write,
            longest,
            pulses: low,
        }
    }
}

/// Waits without giving the processor away for short times.
pub(crate) fn wait_until(end: Duration) {
    loop {
        let left = end.saturating_sub(boottime());
        if left.is_zero() {
            return;
        }
        if left > Duration::from_millis(3) {
            std::thread::sleep(left - Duration::from_millis(2));
        } else {
            std::hint::spin_loop();
        }
    }
}

/// Puts this thread before all others, as a reader is a machine of its own: only the kernel's interrupts come first.
pub(crate) fn come_first() {
    setpriority_process(None, -20).expect("permission to come first");
}

/// Starts a program that takes its turn like all others.
pub(crate) fn ordinary(command: &mut Command) -> Child {
    setpriority_process(None, 0).expect("permission");
    let child = command.spawn().expect("started");
    come_first();
    child
}

/// A process that takes all the processor time it gets.
pub(crate) struct Burn(Child);

impl Burn {
    pub(crate) fn start() -> Self {
        let own = std::env::current_exe().expect("a path");
        Self(ordinary(Command::new(own).arg("burn")))
    }
}

impl Drop for Burn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that changes lines as fast as it can.
pub(crate) struct Flood {
    child: Child,
    count: PathBuf,
}

impl Flood {
    /// `count` is a file for the number of edges.
    pub(crate) fn start(count: &Path, lines: impl IntoIterator<Item = PathBuf>) -> Self {
        let own = std::env::current_exe().expect("a path");
        std::fs::write(count, 0_u64.to_le_bytes()).expect("written");
        let child = ordinary(Command::new(own).arg("flood").arg(count).args(lines));
        Self {
            child,
            count: count.to_owned(),
        }
    }

    /// Pulses made so far.
    pub(crate) fn made(&self) -> u64 {
        let count = std::fs::read(&self.count).expect("readable");
        u64::from_le_bytes(count.try_into().expect("eight bytes"))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Body of that process: the file for the number, and the lines' files.
pub(crate) fn flood(mut files: impl Iterator<Item = String>) -> ! {
    let mut open = || {
        files
            .next()
            .map(|file| OpenOptions::new().write(true).open(file).expect("a file"))
    };
    let count = open().expect("the first one");
    let lines: Vec<File> = std::iter::from_fn(open).collect();
    let mut made = 0_u64;
    loop {
        for line in &lines {
            line.write_all_at(b"pull-down", 0).expect("driven");
            line.write_all_at(b"pull-up", 0).expect("driven");
            made += 1;
        }
        count.write_all_at(&made.to_le_bytes(), 0).expect("written");
    }
}
