//! Buses that talk in bytes of short pulses: BTicino SCS and ABB-Welcome.
//!
//! A byte begins with a pulse, and each of its bits that is 0 has one at the begin of its cell; a 1 has none. So the end of a byte
//! is a time and no edge, and with it the end of a telegram whose last bits are ones. A telegram begins once the bus was free for
//! long enough, and what is beside the raster ends it.

use std::time::Duration;

use gateway_core::Instant;

use super::{Coding, Frame, FrameNoise};
use crate::edges::Edge;
use crate::{abb, scs};

/// How bytes go out as pulses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytePulses {
    /// From the begin of a bit to that of the next, tenths of µs.
    pub bit_tenths: u16,
    /// From the begin of a byte to that of the next, tenths of µs.
    pub byte_tenths: u16,
    /// The lowest bit of a byte goes first; else the highest.
    pub lowest_first: bool,
    /// A pulse, µs.
    pub pulse_us: u8,
}

/// What counts as such pulses where they are heard; of pairs the first and the last that does.
#[derive(Clone, Copy, Debug)]
struct Slack {
    /// A pulse is no bit if it begins so much beside where one should, tenths of µs.
    beside_tenths: u64,
    /// From the begin of a byte to that of the next of the same telegram, µs.
    next_us: (u64, u64),
    /// A pulse, µs; what is shorter or longer is noise.
    pulse_us: (u64, u64),
    /// The bus was free if nothing was heard for so long, µs: longer than any pause within a telegram.
    free_us: u64,
}

/// 9600 bits per second with a stop bit; pulses of 34 or 35 µs (guidopic, Stapelberg).
const SCS: (BytePulses, Slack) = (
    BytePulses {
        bit_tenths: 1042,
        byte_tenths: 10_420,
        lowest_first: true,
        pulse_us: 35,
    },
    Slack {
        beside_tenths: 300,
        next_us: (1000, 2500),
        pulse_us: (10, 70),
        free_us: 2600,
    },
);

/// Pulses of 32 µs, seen as 18 to 44, in cells of 102 µs, and 210 µs more between two bytes (ESPHome).
const ABB: (BytePulses, Slack) = (
    BytePulses {
        bit_tenths: 1020,
        byte_tenths: 11_280,
        lowest_first: false,
        pulse_us: 32,
    },
    Slack {
        beside_tenths: 300,
        next_us: (1040, 1280),
        pulse_us: (10, 60),
        free_us: 1300,
    },
);

const fn slack(format: Format) -> (BytePulses, Slack) {
    match format {
        Format::Abb => ABB,
        Format::Scs => SCS,
    }
}

/// A bus is free for so long before what is made for looking at by hand.
const FREE_US: u64 = 10_000;

/// What bytes make a telegram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Abb,
    Scs,
}

impl Format {
    /// `None` on a bus that does not talk in bytes.
    pub(super) const fn of(coding: Coding) -> Option<Self> {
        match coding {
            Coding::Abb => Some(Self::Abb),
            Coding::Scs => Some(Self::Scs),
            Coding::Simplebus | Coding::Tcs => None,
        }
    }

    pub(super) const fn pulses(self) -> BytePulses {
        slack(self).0
    }

    /// A whole telegram, with a number if this bus counts them; `None` if there is none that says so.
    pub(super) fn whole(self, said: &[u8], number: u8) -> Option<Vec<u8>> {
        match self {
            Self::Abb => abb::whole(said, number),
            Self::Scs => {
                let data = said.to_vec();
                let whole = scs::ScsTelegram { data }.encode();
                (whole.len() <= scs::LONGEST && scs::said(&whole).is_some()).then_some(whole)
            }
        }
    }

    /// What bytes say, once they are a whole telegram; an error if they never will be.
    fn read(self, bytes: &[u8]) -> Result<Option<Vec<u8>>, ()> {
        match self {
            Self::Abb => {
                let known = bytes.len().min(2);
                if bytes[..known] != abb::SYNC[..known] {
                    return Err(());
                }
                let Some(head) = bytes.get(2) else {
                    return Ok(None);
                };
                let length = abb::length(*head).ok_or(())?;
                if bytes.len() < length {
                    return Ok(None);
                }
                abb::said(bytes).map(Some).ok_or(())
            }
            Self::Scs => {
                if bytes.first() != Some(&scs::START) {
                    return Err(());
                }
                match scs::said(bytes) {
                    Some(said) => Ok(Some(said.to_vec())),
                    None if bytes.len() < scs::LONGEST => Ok(None),
                    None => Err(()),
                }
            }
        }
    }
}

/// What a telegram says, as a frame; `None` if it is longer than frames are.
fn frame(said: &[u8]) -> Option<Frame> {
    let bits = u8::try_from(said.len() * 8).ok().filter(|bits| *bits <= 128)?;
    let value = said.iter().fold(0, |all, byte| all << 8 | u128::from(*byte));
    Some(Frame { bits, value })
}

/// Reads pulses.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    format: Format,
    /// The bits so far of a byte that is not over: 1 where no pulse was.
    byte: Option<u8>,
    /// Bytes of the telegram so far.
    bytes: Vec<u8>,
    /// Begin of the last byte.
    from: Instant,
    /// Nothing counts until the bus was free for long enough.
    spent: bool,
}

impl Reader {
    pub(super) const fn new(format: Format) -> Self {
        Self {
            format,
            byte: None,
            bytes: Vec::new(),
            from: Instant::ZERO,
            spent: true,
        }
    }

    pub(super) fn forget(&mut self) {
        *self = Self::new(self.format);
    }

    /// When a byte is over, or the telegram, if no pulse comes before.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let (pulses, slack) = slack(self.format);
        let after = if self.byte.is_some() {
            Duration::from_nanos((9 * u64::from(pulses.bit_tenths) + slack.beside_tenths) * 100)
        } else if self.bytes.is_empty() {
            return None;
        } else {
            Duration::from_micros(slack.next_us.1 + 1)
        };
        Some(self.from + after)
    }

    /// Every pulse before `now` has to be told before.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<Option<Frame>, FrameNoise> {
        while self.poll_timeout().is_some_and(|due| due <= now) {
            let Some(byte) = self.byte.take() else {
                return Err(self.spoil());
            };
            self.bytes.push(byte);
            // only that the bus talks of what was before, as the answer to every telegram
            if self.format == Format::Scs && self.bytes == [scs::TAKEN] {
                self.spoil();
                return Ok(None);
            }
            match self.format.read(&self.bytes) {
                Ok(None) => {}
                Ok(Some(said)) => {
                    self.spoil();
                    return Ok(frame(&said));
                }
                Err(()) => return Err(self.spoil()),
            }
        }
        Ok(None)
    }

    /// A pulse begins, after the bus was free for so long, µs.
    pub(super) fn begin(&mut self, at: Instant, free_us: u64) -> Result<Option<Frame>, FrameNoise> {
        let said = self.handle_timeout(at);
        let (pulses, slack) = slack(self.format);
        if free_us >= slack.free_us {
            self.bytes.clear();
            self.start(at);
            return said;
        }
        if self.spent {
            return said;
        }
        let off = u64::try_from(at.since(self.from).as_nanos() / 100).unwrap_or(u64::MAX);
        let Some(byte) = &mut self.byte else {
            let (first, last) = slack.next_us;
            if (first * 10..=last * 10).contains(&off) {
                self.start(at);
                return said;
            }
            self.spoil();
            return Err(FrameNoise::Time(off / 10));
        };
        let bit = u64::from(pulses.bit_tenths);
        let cell = (off + bit / 2) / bit;
        if !(1..=8).contains(&cell) || off.abs_diff(cell * bit) > slack.beside_tenths {
            self.spoil();
            return Err(FrameNoise::Time(off / 10));
        }
        let at = if pulses.lowest_first { cell - 1 } else { 8 - cell };
        *byte &= !(1 << at);
        said
    }

    /// A pulse of so many µs has ended.
    pub(super) fn end(&mut self, us: u64) -> Result<Option<Frame>, FrameNoise> {
        let (first, last) = slack(self.format).1.pulse_us;
        if self.spent || (first..=last).contains(&us) {
            return Ok(None);
        }
        self.spoil();
        Err(FrameNoise::Time(us))
    }

    fn start(&mut self, at: Instant) {
        self.byte = Some(0xFF);
        self.from = at;
        self.spent = false;
    }

    /// What had begun is over.
    fn spoil(&mut self) -> FrameNoise {
        let bytes = u8::try_from(self.bytes.len()).unwrap_or(u8::MAX);
        self.byte = None;
        self.bytes.clear();
        self.spent = true;
        FrameNoise::Telegram { bytes }
    }
}

impl BytePulses {
    /// How bytes stand on a bus of this kind; `None` on one that does not talk in bytes.
    #[must_use]
    pub const fn of(coding: Coding) -> Option<Self> {
        match Format::of(coding) {
            Some(format) => Some(format.pulses()),
            None => None,
        }
    }

    /// Bytes as times in µs, the first one a pulse and the next at rest in turns; none of no bytes.
    #[must_use]
    pub fn row(self, bytes: &[u8]) -> Vec<u16> {
        let mut begins = Vec::new();
        for (from, byte) in (0..).step_by(self.byte_tenths.into()).zip(bytes) {
            begins.push(from);
            let place = |bit: u8| if self.lowest_first { bit } else { 7 - bit };
            let zeros = (0..8_u8).filter(|bit| byte >> place(*bit) & 1 == 0);
            begins.extend(zeros.map(|bit| from + (1 + u32::from(bit)) * u32::from(self.bit_tenths)));
        }
        let pulse = u16::from(self.pulse_us);
        let mut row = Vec::with_capacity(2 * begins.len());
        for pair in begins.windows(2) {
            let apart = u16::try_from(pair[1] / 10 - pair[0] / 10).unwrap_or(u16::MAX);
            row.extend([pulse, apart.saturating_sub(pulse)]);
        }
        row.extend(begins.last().map(|_| pulse));
        row
    }
}

/// Bytes of the pulses of a bus, whose level at rest is that of the first edge, for looking at by hand. What begins beside the
/// raster of a byte ends that byte, and is told as the time of the pulse, µs. Nothing on a bus that does not talk in bytes.
#[must_use]
pub fn bytes_of_pulses(coding: Coding, edges: &[Edge]) -> (Vec<u8>, Vec<u64>) {
    let (Some(rest), Some(format)) = (edges.first().map(|edge| edge.level), Format::of(coding)) else {
        return (Vec::new(), Vec::new());
    };
    let (pulses, slack) = slack(format);
    let length = slack.pulse_us.0..=slack.pulse_us.1;
    let tenths = u64::from(pulses.bit_tenths);
    let (mut bytes, mut beside) = (Vec::new(), Vec::new());
    // begin of the byte, tenths of µs, and its bits so far
    let mut byte: Option<(u64, u8)> = None;
    for pair in edges.windows(2) {
        let [begin, end] = pair else { continue };
        if begin.level == rest {
            continue;
        }
        let at = begin.at_us.saturating_mul(10);
        if !length.contains(&(end.at_us - begin.at_us)) {
            beside.push(begin.at_us);
            continue;
        }
        let Some((from, bits)) = byte else {
            byte = Some((at, 0xFF));
            continue;
        };
        let cell = (at - from + tenths / 2) / tenths;
        if cell > 8 {
            bytes.push(bits);
            byte = Some((at, 0xFF));
        } else if cell == 0 || at.abs_diff(from + cell * tenths) > slack.beside_tenths {
            beside.push(begin.at_us);
        } else {
            let place = if pulses.lowest_first { cell - 1 } else { 8 - cell };
            byte = Some((from, bits & !(1 << place)));
        }
    }
    bytes.extend(byte.map(|(_, bits)| bits));
    (bytes, beside)
}

/// Edges of bytes, one right after the other, on a bus that is high at rest; no pulses on one that does not talk in bytes.
#[must_use]
pub fn edges_of_bytes(coding: Coding, bytes: &[u8]) -> Vec<Edge> {
    let mut at_us = FREE_US;
    let mut edges = vec![Edge {
        at_us: 0,
        level: true,
    }];
    let row = BytePulses::of(coding).map_or_else(Vec::new, |pulses| pulses.row(bytes));
    for (turn, time) in row.iter().enumerate() {
        edges.push(Edge {
            at_us,
            level: turn % 2 == 1,
        });
        at_us += u64::from(*time);
    }
    if !row.is_empty() {
        edges.push(Edge { at_us, level: true });
    }
    edges
}
