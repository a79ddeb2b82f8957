//! Settings, and what can be said of them without a device.

use std::time::Duration;

use gateway_core::InputId;

/// Which library talks to the pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Backend {
    /// The kernel's character device: any board; the kernel takes outputs back when their process dies.
    #[default]
    Gpiocdev,
    /// The Raspberry Pi's registers. Lines are BCM numbers, the chip path is not used, and an output stays as it
    /// is when its process is killed, until the sentinel or the next guard writes it to rest.
    Rppal,
}

/// Pull resistor of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Bias {
    /// As the pin is; rppal cannot do this.
    #[default]
    AsIs,
    /// None.
    Disabled,
    /// To ground.
    PullDown,
    /// To supply.
    PullUp,
}

/// What a pin does between power-on and the first software, by the board's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BootPull {
    /// Pulled to ground.
    Down,
    /// Floating.
    None,
    /// Not documented.
    Unknown,
    /// Pulled to supply.
    Up,
}

/// What that means for an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BootRest {
    /// The pull energises it at every boot: the configuration is refused.
    Energises,
    /// It depends on the relay board's own resistor: a warning.
    Open,
    /// It rests.
    Rests,
}

/// Does an output rest while the machine boots? `active_low`: a low level energises it.
#[must_use]
pub const fn rest_at_boot(pull: BootPull, active_low: bool) -> BootRest {
    match (pull, active_low) {
        (BootPull::Down, false) | (BootPull::Up, true) => BootRest::Rests,
        (BootPull::Down, true) | (BootPull::Up, false) => BootRest::Energises,
        (BootPull::None | BootPull::Unknown, _) => BootRest::Open,
    }
}

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputLine {
    /// A low level is active: a button to ground.
    pub active_low: bool,
    /// Pull resistor.
    pub bias: Bias,
    /// A level must stand this long; zero for none. Done by the kernel unless it is `pulsed`.
    pub debounce: Duration,
    /// Which input.
    pub input: InputId,
    /// Offset on the chip; BCM number for rppal.
    pub line: u32,
    /// Half-waves of alternating current are one active level; the debouncing is ours then.
    pub pulsed: bool,
}

impl InputLine {
    /// What the kernel debounces by, if it does.
    pub(crate) fn kernel_debounce(&self) -> Option<Duration> {
        (!self.pulsed && self.debounce > Duration::ZERO).then_some(self.debounce)
    }

    /// What we debounce by, if we do.
    pub(crate) fn own_debounce(&self) -> Option<Duration> {
        self.pulsed.then_some(self.debounce)
    }
}

/// One output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutputLine {
    /// A low level energises it.
    pub active_low: bool,
    /// Offset on the chip; BCM number for rppal. The guard's channel number.
    pub line: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_towards_the_active_level_energises() {
        use BootPull::{Down, None, Unknown, Up};
        use BootRest::{Energises, Open, Rests};
        for (pull, active_low, expected) in [
            (Down, false, Rests),
            (Down, true, Energises),
            (Up, false, Energises),
            (Up, true, Rests),
            (None, false, Open),
            (None, true, Open),
            (Unknown, false, Open),
            (Unknown, true, Open),
        ] {
            assert_eq!(
                rest_at_boot(pull, active_low),
                expected,
                "{pull:?} active low: {active_low}"
            );
        }
    }
}
