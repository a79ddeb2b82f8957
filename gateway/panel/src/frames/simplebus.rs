//! Comelit Simplebus, as its readers found it out (vvigilante, plusvic, se-bastiaan, mansellrace, stdio.be).
//!
//! Marks of 3 ms; what counts is how far the begins of two marks are apart: 20 ms is the start, 6 ms a 0, 9 ms a 1. 6 bits of
//! command, 8 of address, 4 of check, each with its lowest bit first; the check is how many ones are among the 14 before
//! it. Simplebus 1 shorts the bus for a mark. Simplebus 2 sends 25 kHz for as long: a detector makes the same marks of it.

use super::{Frame, FrameNoise, Span};

/// Bits of a frame with its check.
const BITS: u8 = 18;

/// Where it is in a frame.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Bits so far, and whether the mark that ends them has begun.
    Bits { have: u8, value: u32 },
    /// No start so far.
    Spent,
}

/// Reads marks and what is between them.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// The length of the last mark, µs; `None` if it was none.
    mark: Option<u64>,
    step: Step,
}

impl Reader {
    pub(super) const fn new() -> Self {
        Self {
            mark: None,
            step: Step::Spent,
        }
    }

    pub(super) fn span(&mut self, span: Span) -> Result<Option<Frame>, FrameNoise> {
        if span.active {
            self.marked(span.us)
        } else {
            self.paused(span.us)
        }
    }

    /// A mark has ended.
    fn marked(&mut self, us: u64) -> Result<Option<Frame>, FrameNoise> {
        if !(1000..=5000).contains(&us) {
            return self.noise(us);
        }
        self.mark = Some(us);
        let Step::Bits { have: BITS, value } = self.step else {
            return Ok(None);
        };
        self.step = Step::Spent;
        let (data, check) = (value & 0x3FFF, value >> 14);
        let frame = Frame {
            bits: 14,
            value: u128::from((data & 0x3F) << 8 | data >> 6),
        };
        if data.count_ones() == check {
            Ok(Some(frame))
        } else {
            Err(FrameNoise::Check(frame))
        }
    }

    /// A pause has ended, and the next mark begins.
    fn paused(&mut self, us: u64) -> Result<Option<Frame>, FrameNoise> {
        let Some(mark) = self.mark.take() else {
            return self.noise(us);
        };
        let apart = us.saturating_add(mark);
        let bit = match apart {
            4000..=7000 => 0,
            8000..=11_000 => 1,
            14_000..=23_000 => {
                let cut = matches!(self.step, Step::Bits { .. });
                self.step = Step::Bits { have: 0, value: 0 };
                return if cut { Err(FrameNoise::Time(us)) } else { Ok(None) };
            }
            _ => return self.noise(us),
        };
        match self.step {
            Step::Bits { have, value } if have < BITS => {
                self.step = Step::Bits {
                    have: have + 1,
                    value: value | bit << have,
                };
                Ok(None)
            }
            Step::Bits { .. } | Step::Spent => Ok(None),
        }
    }

    /// What is no part of a frame, of so many µs, ends the one that had begun.
    fn noise(&mut self, us: u64) -> Result<Option<Frame>, FrameNoise> {
        let step = std::mem::replace(&mut self.step, Step::Spent);
        self.mark = None;
        match step {
            Step::Bits { .. } => Err(FrameNoise::Time(us)),
            Step::Spent => Ok(None),
        }
    }
}

/// Times in µs; the caller has seen to it that there are 14 bits.
pub(super) fn row(frame: Frame) -> Vec<u16> {
    let data = frame.value >> 8 | (frame.value & 0xFF) << 6;
    let all = data | u128::from(data.count_ones()) << 14;
    let bits = (0..BITS).flat_map(|at| [3000, if all >> at & 1 == 1 { 6000 } else { 3000 }]);
    [3000, 17_000].into_iter().chain(bits).chain([3000]).collect()
}
