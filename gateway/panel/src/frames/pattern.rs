//! What the bits of a frame mean.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::Frame;

/// Who a line is on its bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusAddress {
    /// Address or serial number of the handset that it stands for, 0 to 1048575.
    pub address: u32,
    /// Number of the door station whose calls count and whose door it opens, 0 to 63, on buses that number them.
    pub station: u8,
}

/// Bits that are fixed, bits of an address, bits of a station: `0001 aaaaaaaa 10ss`.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FramePattern {
    address: u32,
    bits: u8,
    fixed: u32,
    station: u32,
}

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is no pattern of a frame; allowed: 1 to 32 of 0, 1, a (address, at least one and at most 20) and s (station, at most 6), \
     with blanks between them, the first bit first"
)]
pub struct PatternError {
    /// What stands there.
    found: String,
}

/// The bits of a mask together, the highest first.
fn gather(value: u32, mask: u32) -> u32 {
    let set = (0..32).rev().filter(|at| mask >> at & 1 == 1);
    set.fold(0, |all, at| all << 1 | value >> at & 1)
}

/// The lowest bits of a number at the places of a mask; `None` if it has more.
fn scatter(number: u32, mask: u32) -> Option<u32> {
    let mut rest = number;
    let mut value = 0;
    for at in (0..32).filter(|at| mask >> at & 1 == 1) {
        value |= (rest & 1) << at;
        rest >>= 1;
    }
    (rest == 0).then_some(value)
}

impl FramePattern {
    /// How many bits such a frame has.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// True if such a frame says which door station it is about.
    #[must_use]
    pub const fn has_station(self) -> bool {
        self.station != 0
    }

    /// Highest address that such a frame can name.
    #[must_use]
    pub const fn most(self) -> u32 {
        // at most 20 bits
        (1 << self.address.count_ones()) - 1
    }

    /// Whom a frame is for; `None` if it means something else. On buses that do not number their stations it is station 0.
    #[must_use]
    pub fn read(self, frame: Frame) -> Option<BusAddress> {
        let fixed = !(self.address | self.station) & (u32::MAX >> (32 - self.bits));
        if frame.bits != self.bits || frame.value & fixed != self.fixed {
            return None;
        }
        Some(BusAddress {
            address: gather(frame.value, self.address),
            station: u8::try_from(gather(frame.value, self.station)).ok()?,
        })
    }

    /// Such a frame for somebody; `None` if it cannot name the address, or the station.
    #[must_use]
    pub fn frame(self, to: BusAddress) -> Option<Frame> {
        let station = if self.has_station() {
            scatter(to.station.into(), self.station)?
        } else {
            0
        };
        Some(Frame {
            bits: self.bits,
            value: self.fixed | scatter(to.address, self.address)? | station,
        })
    }

    /// True if a frame is for this handset, and from or for its door station if it names one.
    #[must_use]
    pub fn is_for(self, frame: Frame, who: BusAddress) -> bool {
        self.frame(who) == Some(frame)
    }
}

impl FromStr for FramePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let wrong = || PatternError {
            found: text.chars().take(80).collect(),
        };
        let mut pattern = Self {
            address: 0,
            bits: 0,
            fixed: 0,
            station: 0,
        };
        for letter in text.chars().filter(|c| *c != ' ') {
            if pattern.bits == 32 {
                return Err(wrong());
            }
            let (fixed, address, station) = match letter {
                '0' => (0, 0, 0),
                '1' => (1, 0, 0),
                'a' => (0, 1, 0),
                's' => (0, 0, 1),
                _ => return Err(wrong()),
            };
            pattern = Self {
                address: pattern.address << 1 | address,
                bits: pattern.bits + 1,
                fixed: pattern.fixed << 1 | fixed,
                station: pattern.station << 1 | station,
            };
        }
        let addressed = (1..=20).contains(&pattern.address.count_ones());
        if !addressed || pattern.station.count_ones() > 6 {
            return Err(wrong());
        }
        Ok(pattern)
    }
}

impl TryFrom<String> for FramePattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl fmt::Display for FramePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..self.bits).rev().try_for_each(|at| {
            let is = |mask: u32| mask >> at & 1 == 1;
            let letter = match (is(self.address), is(self.station), is(self.fixed)) {
                (true, ..) => "a",
                (_, true, _) => "s",
                (_, _, true) => "1",
                (false, false, false) => "0",
            };
            f.write_str(letter)
        })
    }
}

impl fmt::Debug for FramePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FramePattern({self})")
    }
}
