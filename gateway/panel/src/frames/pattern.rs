//! What the bits of a frame mean.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::Frame;

/// Most bits of a frame.
const MOST_BITS: u8 = 128;

/// Who a line is on its bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusAddress {
    /// Address or serial number of the handset that it stands for, 0 to 1048575.
    pub address: u32,
    /// Number of the door station whose calls count and whose door it opens, 0 to 63, on buses that number them.
    pub station: u8,
}

/// Bits that are fixed, bits of an address, bits of a station: `0001 aaaaaaaa 10ss`. On a bus that talks in bytes they are
/// written as digits of four bits: `hex 91 @@ 60 ??`, where `@` is of the address, `s` of the station, `?` anything, and a `*`
/// at the end any bytes that follow.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FramePattern {
    address: u128,
    any: u128,
    bits: u8,
    fixed: u128,
    /// Written in digits.
    hex: bool,
    /// What follows the bits is anything.
    open: bool,
    station: u128,
}

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is no pattern of a frame; allowed: 1 to 32 of 0, 1, a (address, at least one and at most 20) and s (station, at most 6), \
     with blanks between them, the first bit first; or hex and 1 to 16 bytes of two digits each, 0 to 9, a to f, @ (address, at most 5), \
     s (station, at most one) and ? (anything), and at last * if more bytes may follow"
)]
pub struct PatternError {
    /// What stands there.
    found: String,
}

/// So many ones.
const fn ones(bits: u8) -> u128 {
    if bits == 0 {
        0
    } else {
        u128::MAX >> (MOST_BITS - bits)
    }
}

/// The bits of a mask together, the highest first; of more than 32 the last 32.
fn gather(value: u128, mask: u128) -> u32 {
    let set = (0..MOST_BITS).rev().filter(|at| mask >> at & 1 == 1);
    set.fold(0, |all, at| all << 1 | u32::from(value >> at & 1 == 1))
}

/// The lowest bits of a number at the places of a mask; `None` if it has more.
fn scatter(number: u32, mask: u128) -> Option<u128> {
    let mut rest = number;
    let mut value = 0;
    for at in (0..MOST_BITS).filter(|at| mask >> at & 1 == 1) {
        value |= u128::from(rest & 1) << at;
        rest >>= 1;
    }
    (rest == 0).then_some(value)
}

impl FramePattern {
    const NOTHING: Self = Self {
        address: 0,
        any: 0,
        bits: 0,
        fixed: 0,
        hex: false,
        open: false,
        station: 0,
    };

    /// How many bits such a frame has, at least if it [`is_open`](Self::is_open).
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// True if such a frame says for whom it is, or from whom.
    #[must_use]
    pub const fn has_address(self) -> bool {
        self.address != 0
    }

    /// True if such a frame says which door station it is about.
    #[must_use]
    pub const fn has_station(self) -> bool {
        self.station != 0
    }

    /// True if frames with more bits than these count.
    #[must_use]
    pub const fn is_open(self) -> bool {
        self.open
    }

    /// True if it leaves something open, so that it can be heard and not sent.
    #[must_use]
    pub const fn is_vague(self) -> bool {
        self.open || self.any != 0
    }

    /// Highest address that such a frame can name; 0 if it names none.
    #[must_use]
    pub const fn most(self) -> u32 {
        // at most 20 bits
        (1 << self.address.count_ones()) - 1
    }

    /// Whom a frame is for; `None` if it means something else. On buses that do not number their stations it is station 0.
    #[must_use]
    pub fn read(self, frame: Frame) -> Option<BusAddress> {
        let more = frame.bits.checked_sub(self.bits)?;
        if (more > 0 && !self.open) || frame.bits > MOST_BITS {
            return None;
        }
        // all bits are more of a pattern that has none, which nothing makes
        let value = frame.value.checked_shr(more.into()).unwrap_or(0);
        let fixed = !(self.address | self.any | self.station) & ones(self.bits);
        if value & fixed != self.fixed || value > ones(self.bits) {
            return None;
        }
        Some(BusAddress {
            address: gather(value, self.address),
            station: u8::try_from(gather(value, self.station)).ok()?,
        })
    }

    /// Such a frame for somebody, with zeros where it may be anything; `None` if it cannot name the address, or the station. One
    /// that names nobody is the same for all.
    #[must_use]
    pub fn frame(self, to: BusAddress) -> Option<Frame> {
        let station = if self.has_station() {
            scatter(to.station.into(), self.station)?
        } else {
            0
        };
        let address = if self.has_address() {
            scatter(to.address, self.address)?
        } else {
            0
        };
        Some(Frame {
            bits: self.bits,
            value: self.fixed | address | station,
        })
    }

    /// True if a frame is for this handset, and from or for its door station if it names one.
    #[must_use]
    pub fn is_for(self, frame: Frame, who: BusAddress) -> bool {
        self.read(frame).is_some_and(|to| {
            (!self.has_address() || to.address == who.address)
                && (!self.has_station() || to.station == who.station)
        })
    }

    /// One more place of so many bits.
    fn push(&mut self, bits: u8, [fixed, address, station, any]: [u128; 4]) {
        self.bits += bits;
        for (all, part) in [
            (&mut self.fixed, fixed),
            (&mut self.address, address),
            (&mut self.station, station),
            (&mut self.any, any),
        ] {
            *all = *all << bits | part;
        }
    }

    fn of_bits(text: &str) -> Option<Self> {
        let mut pattern = Self::NOTHING;
        for letter in text.chars().filter(|c| *c != ' ') {
            if pattern.bits == 32 {
                return None;
            }
            let part = match letter {
                '0' => [0, 0, 0, 0],
                '1' => [1, 0, 0, 0],
                'a' => [0, 1, 0, 0],
                's' => [0, 0, 1, 0],
                _ => return None,
            };
            pattern.push(1, part);
        }
        let addressed = (1..=20).contains(&pattern.address.count_ones());
        (addressed && pattern.station.count_ones() <= 6).then_some(pattern)
    }

    fn of_digits(text: &str) -> Option<Self> {
        let mut pattern = Self {
            hex: true,
            ..Self::NOTHING
        };
        for letter in text.chars().filter(|c| *c != ' ') {
            if pattern.bits == MOST_BITS && letter != '*' || pattern.open {
                return None;
            }
            let part = match letter {
                '@' => [0, 0xF, 0, 0],
                's' => [0, 0, 0xF, 0],
                '?' => [0, 0, 0, 0xF],
                '*' => {
                    pattern.open = true;
                    continue;
                }
                digit => [u128::from(digit.to_digit(16)?), 0, 0, 0],
            };
            pattern.push(4, part);
        }
        let whole = pattern.bits > 0 && pattern.bits.is_multiple_of(8);
        let named = pattern.address.count_ones() <= 20 && pattern.station.count_ones() <= 4;
        (whole && named).then_some(pattern)
    }
}

impl FromStr for FramePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let pattern = match text.strip_prefix("hex ") {
            Some(digits) => Self::of_digits(digits),
            None => Self::of_bits(text),
        };
        pattern.ok_or_else(|| PatternError {
            found: text.chars().take(80).collect(),
        })
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
        let is = |mask: u128, at: u8| mask >> at & 1 == 1;
        if !self.hex {
            return (0..self.bits).rev().try_for_each(|at| {
                f.write_str(if is(self.address, at) {
                    "a"
                } else if is(self.station, at) {
                    "s"
                } else if is(self.fixed, at) {
                    "1"
                } else {
                    "0"
                })
            });
        }
        f.write_str("hex")?;
        for at in (0..self.bits).rev().filter(|at| at % 4 == 0) {
            if at % 8 == 4 {
                f.write_str(" ")?;
            }
            if is(self.address, at) {
                f.write_str("@")?;
            } else if is(self.station, at) {
                f.write_str("s")?;
            } else if is(self.any, at) {
                f.write_str("?")?;
            } else {
                write!(f, "{:x}", self.fixed >> at & 0xF)?;
            }
        }
        f.write_str(if self.open { " *" } else { "" })
    }
}

impl fmt::Debug for FramePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FramePattern({self})")
    }
}
