//! Keys that are played: what the wire of a contact does while one touches it. For simulators and tests.

use gateway_card::{cyfral_bits, metakom_bits};

use crate::rom::Rom;

/// A key that touches a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Played {
    /// Cyfral DC-2000, with its number.
    Cyfral(u16),
    /// DS1990A: it says something only when it is asked, see [`Asked`].
    Dallas(Rom),
    /// Metakom K1233. Bytes with an odd number of ones are no key, and say nothing.
    Metakom([u8; 4]),
}

/// What a key that sends by itself does for so many µs: times from its touch, and levels. The wire is high before it and after
/// it. Nothing for a DS1990A.
#[must_use]
pub fn played(key: &Played, period_us: u64, for_us: u64) -> Vec<(u64, bool)> {
    // of each cell: is the first level, which is low, the longer one; and is there a pause after it
    let cells: Vec<(bool, bool)> = match key {
        Played::Cyfral(number) => {
            let bits = cyfral_bits(*number);
            bits.into_iter().take(36).map(|bit| (!bit, false)).collect()
        }
        Played::Metakom(bytes) => {
            let bits = metakom_bits(*bytes).unwrap_or_default();
            bits.into_iter()
                .take(35)
                .enumerate()
                .map(|(n, bit)| (bit, n == 34))
                .collect()
        }
        Played::Dallas(_) => Vec::new(),
    };
    let mut edges = Vec::new();
    let mut us = 0;
    for (long, pause) in cells.iter().cycle() {
        if us >= for_us {
            break;
        }
        let low = if *long { period_us * 2 / 3 } else { period_us / 3 };
        edges.extend([(us, false), (us + low, true)]);
        us += if *pause { 2 * period_us } else { period_us };
    }
    edges
}

/// A DS1990A on its wire (data sheet of the DS1990A, "1-Wire signaling" and "ROM commands"): it answers a reset by its presence,
/// and `read ROM` by its number.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Bits of the command that came.
    command: Vec<bool>,
    /// When the master pulled the wire low, while it does.
    low_us: Option<u64>,
    rom: Rom,
    /// Bits of the number that went out; `None` while it waits for a reset.
    sent: Option<usize>,
    /// Until when the key itself holds the wire low.
    holds_us: u64,
}

/// A low level that is this long is a reset.
const RESET_US: u64 = 480;
/// A bit of the master is read so long after its edge.
const SAMPLE_US: u64 = 30;
/// A 0 is held for so long.
const ZERO_US: u64 = 32;
/// A key says so long after a reset that it is there.
const PRESENCE_US: u64 = 30;
/// And for so long.
const PRESENT_US: u64 = 120;
const READ_ROM: u8 = 0x33;

impl Asked {
    /// A key that was just put to its contact.
    #[must_use]
    pub const fn new(rom: Rom) -> Self {
        Self {
            command: Vec::new(),
            low_us: None,
            rom,
            sent: None,
            holds_us: 0,
        }
    }

    /// The master pulls the wire low, or lets go of it: edges of the wire that come of it, with their times, the first not
    /// before now.
    pub fn pulled(&mut self, at_us: u64, low: bool) -> Vec<(u64, bool)> {
        if low {
            if self.low_us.replace(at_us).is_some() {
                return Vec::new();
            }
            if self.command.len() == 8
                && let Some(sent) = &mut self.sent
            {
                let byte = self.rom.bytes().get(*sent / 8).copied();
                if byte.is_some_and(|byte| byte >> (*sent % 8) & 1 == 0) {
                    self.holds_us = at_us + ZERO_US;
                }
                *sent += 1;
            }
            return vec![(at_us, false)];
        }
        let Some(since) = self.low_us.take() else {
            return Vec::new();
        };
        let width = at_us - since;
        if width >= RESET_US {
            (self.sent, self.holds_us) = (Some(0), 0);
            self.command.clear();
            let there = at_us + PRESENCE_US;
            return vec![(at_us, true), (there, false), (there + PRESENT_US, true)];
        }
        if self.sent.is_some() && self.command.len() < 8 {
            self.command.push(width < SAMPLE_US);
            let byte = (0..)
                .zip(&self.command)
                .fold(0, |byte, (n, one)| byte | u8::from(*one) << n);
            if self.command.len() == 8 && byte != READ_ROM {
                self.sent = None;
            }
        }
        vec![(at_us.max(self.holds_us), true)]
    }
}

/// The wire without a key: it is low as long as the master pulls.
#[must_use]
pub fn alone(at_us: u64, low: bool) -> Vec<(u64, bool)> {
    vec![(at_us, !low)]
}
