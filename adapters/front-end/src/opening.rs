//! A door of a front end that is being opened: what is done to its output, and where that stands.

/// A door that is being opened.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) act: Act,
    /// Nothing begins before.
    pub(crate) from_us: u64,
    /// Input that has to be quiet, and for how long.
    pub(crate) call: Option<(u8, u16)>,
    pub(crate) end_us: u64,
    /// Output that has to be active, and for how long.
    pub(crate) hook: Option<(u8, u16)>,
    /// Presses or rows that are still to come.
    pub(crate) left: u8,
    pub(crate) pause_ms: u16,
    pub(crate) step: Step,
}

/// What is done again and again.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Active for so many ms.
    Press(u16),
    /// Active and at rest in turns, for so many µs each.
    Row(Vec<u16>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// All presses or rows were made; it waits for its end.
    Done,
    /// Between presses, until this time.
    Pause(u64),
    /// Active, until this time.
    Pressed(u64),
    /// In a row of pulses: in this one, until this time.
    Row(usize, u64),
    /// For the hook and the quiet that have to come before.
    Waits,
}

impl Step {
    /// Is the output of the door active?
    pub(crate) const fn is_active(self) -> bool {
        match self {
            Self::Pressed(_) => true,
            Self::Row(turn, _) => turn % 2 == 0,
            Self::Done | Self::Pause(_) | Self::Waits => false,
        }
    }
}

impl Opening {
    /// One press or row begins.
    pub(crate) fn begin(&self, now: u64) -> Step {
        match &self.act {
            Act::Press(ms) => Step::Pressed(now + us(*ms)),
            // a row has a time at least
            Act::Row(times) => Step::Row(0, now + times.first().copied().map_or(0, u64::from)),
        }
    }

    /// Half a frame is noise on a bus: a row is begun only if it ends within the window. A press is cut by it.
    pub(crate) fn fits(&self, now: u64) -> bool {
        match &self.act {
            Act::Press(_) => true,
            Act::Row(times) => now + times.iter().map(|us| u64::from(*us)).sum::<u64>() <= self.end_us,
        }
    }

    /// One press or row is over: without further ones it waits for its end.
    pub(crate) const fn end(&self, now: u64) -> Step {
        if self.left > 0 {
            Step::Pause(now + us(self.pause_ms))
        } else {
            Step::Done
        }
    }
}

/// Milliseconds in µs.
pub(crate) const fn us(ms: u16) -> u64 {
    ms as u64 * 1000
}
