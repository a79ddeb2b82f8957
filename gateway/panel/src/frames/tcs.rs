//! TCS:BUS, as its readers found it out (AzonInc/Doorman, `atc1441/TCSintercomArduino`, lotharkuenzli).
//!
//! Whoever talks shorts the bus and lets go of it in turns; how long each of that lasts is a symbol. Start 6 ms, 0 is 2 ms,
//! 1 is 4 ms. Start, a bit that is 1 if 32 bits follow and 0 if 16, the bits with the highest first, and a bit that makes the
//! number of ones among data and parity odd. All in all that is an odd number of symbols, so that the last one is shorted.

use super::{Frame, FrameNoise, Span};

/// A pause of so long, µs, ends whatever was.
const RESET_US: u64 = 7000;

/// Where it is in a frame.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The start was heard, and what comes next is the length.
    Length,
    /// Bits so far: data, and at last the parity.
    Bits { want: u8, have: u8, value: u32 },
    /// The bus was free for long enough.
    Rest,
    /// Nothing counts until it was free again.
    Spent,
}

/// Reads symbols.
#[derive(Clone, Debug)]
pub(super) struct Reader(Step);

const fn bit(us: u64) -> Option<bool> {
    match us {
        1000..3000 => Some(false),
        3000..5000 => Some(true),
        _ => None,
    }
}

impl Reader {
    pub(super) const fn new() -> Self {
        Self(Step::Spent)
    }

    pub(super) fn span(&mut self, span: Span) -> Result<Option<Frame>, FrameNoise> {
        let step = std::mem::replace(&mut self.0, Step::Spent);
        if !span.active && span.us >= RESET_US {
            self.0 = Step::Rest;
            return match step {
                Step::Length | Step::Bits { .. } => Err(FrameNoise::Time(span.us)),
                Step::Rest | Step::Spent => Ok(None),
            };
        }
        let (want, have, value) = match step {
            Step::Spent => return Ok(None),
            Step::Rest => {
                if span.active && (5000..7000).contains(&span.us) {
                    self.0 = Step::Length;
                }
                return Ok(None);
            }
            Step::Length => {
                let long = bit(span.us).ok_or(FrameNoise::Time(span.us))?;
                let want = if long { 32 } else { 16 };
                self.0 = Step::Bits {
                    want,
                    have: 0,
                    value: 0,
                };
                return Ok(None);
            }
            Step::Bits { want, have, value } => (want, have, value),
        };
        let bit = bit(span.us).ok_or(FrameNoise::Time(span.us))?;
        if have < want {
            self.0 = Step::Bits {
                want,
                have: have + 1,
                value: value << 1 | u32::from(bit),
            };
            return Ok(None);
        }
        let frame = Frame {
            bits: want,
            value: value.into(),
        };
        if bit == parity(frame) {
            Ok(Some(frame))
        } else {
            Err(FrameNoise::Check(frame))
        }
    }
}

/// The bit that makes the number of ones odd.
const fn parity(frame: Frame) -> bool {
    frame.value.count_ones().is_multiple_of(2)
}

/// Times in µs; the caller has seen to it that there are 16 or 32 bits.
pub(super) fn row(frame: Frame) -> Vec<u16> {
    let bit = |one: bool| if one { 4000 } else { 2000 };
    let data = (0..frame.bits).rev().map(|at| bit(frame.value >> at & 1 == 1));
    [6000, bit(frame.bits == 32)]
        .into_iter()
        .chain(data)
        .chain([bit(parity(frame))])
        .collect()
}
