//! The three wires of a Clock & Data reader, driven as such a reader drives them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::chip::Chip;
use super::wire::{boottime, wait_until};

/// From bit to bit.
const PERIOD: Duration = Duration::from_millis(1);
/// The clock is low for so long.
const LOW: Duration = Duration::from_micros(300);
/// From "card present" to the first clock, and from the last one to its end.
const AROUND: Duration = Duration::from_millis(5);
/// A longer pause than this ends a frame.
const LONGEST: Duration = Duration::from_millis(24);
/// How long it may take to send one stripe without a pause: a machine that shares its processors often stands still.
const PATIENCE: Duration = Duration::from_secs(240);

const CLOCK: usize = 0;
const DATA: usize = 1;
const PRESENT: usize = 2;

/// Its side of the cable.
pub(crate) struct Stripe {
    wires: [File; 3],
}

impl Stripe {
    /// On the lines of clock, data and card present, all at rest.
    pub(crate) fn new(chip: &Chip, lines: [u32; 3]) -> Self {
        let open = |line| {
            chip.pull(line, true);
            OpenOptions::new()
                .write(true)
                .open(chip.pull_file(line))
                .expect("a line")
        };
        Self {
            wires: lines.map(open),
        }
    }

    /// Low is active.
    fn set(&self, wire: usize, active: bool) {
        let word: &[u8] = if active { b"pull-down" } else { b"pull-up" };
        self.wires[wire].write_all_at(word, 0).expect("driven");
    }

    /// Draws a stripe through; returns when its last clock began. A machine that stood still for longer than a reader may
    /// pause has sent something else: then it is drawn again.
    pub(crate) fn draw(&self, bits: &[bool]) -> Duration {
        let end = boottime() + PATIENCE;
        loop {
            self.set(PRESENT, true);
            std::thread::sleep(AROUND);
            let (last, longest) = self.clocks(bits);
            std::thread::sleep(AROUND);
            self.set(PRESENT, false);
            if longest < LONGEST {
                return last;
            }
            assert!(
                boottime() < end,
                "this machine cannot send a stripe without a pause"
            );
            std::thread::sleep(2 * LONGEST);
        }
    }

    /// Clocks with data, whoever is there: when the last one began, and the longest time from one to the next.
    pub(crate) fn clocks(&self, bits: &[bool]) -> (Duration, Duration) {
        let (mut last, mut longest) = (boottime(), Duration::ZERO);
        for one in bits {
            self.set(DATA, *one);
            wait_until(last + PERIOD);
            let before = std::mem::replace(&mut last, boottime());
            self.set(CLOCK, true);
            wait_until(boottime() + LOW);
            self.set(CLOCK, false);
            longest = longest.max(last - before);
        }
        self.set(DATA, false);
        (last, longest)
    }
}
