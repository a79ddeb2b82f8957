//! What the configuration says about one door.

use std::time::Duration;

use gateway_core::OutputId;

/// Longest pulse, and longest time an output of pulse duty stays energised in one go.
pub const MAX_PULSE: Duration = Duration::from_secs(25);
/// Shortest pulse.
pub const MIN_PULSE: Duration = Duration::from_secs(1);

/// One door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorParams {
    /// Is there a door contact?
    pub contact: bool,
    /// What the coil bears.
    pub duty: Duty,
    /// What the lock does without power. Changes nothing in this machine: power loss is a matter of wiring, and
    /// energising the output opens either kind.
    pub fail: FailMode,
    /// Configuration generation; Grants of another are refused.
    pub generation: u64,
    /// Open for longer than this is reported.
    pub held_open: Duration,
    /// Kind of lock.
    pub lock: LockKind,
    /// The output that opens it.
    pub output: OutputId,
    /// Who owns the lock.
    pub owner: LockOwner,
    /// When the output rests again. The strike time bounds it in every case.
    pub relock: Relock,
    /// How long after a shunting REX, a REX in parallel or an opening by the panel the door may be opened
    /// without an alarm.
    pub shunt: Duration,
    /// How long after the lock rested the door may still be opened without an alarm.
    pub settle: Duration,
    /// How long the output is energised: 1 to 25 s.
    pub strike: Duration,
    /// How long a gate moves after a pulse; only for [`LockKind::GateOpen`] and [`LockKind::GateStep`].
    pub travel: Duration,
}

impl DoorParams {
    /// An ordinary strike of the gateway without contact: 3 s, relock by time, held open after 30 s.
    #[must_use]
    pub const fn new(output: OutputId) -> Self {
        Self {
            contact: false,
            duty: Duty::Pulse,
            fail: FailMode::Secure,
            generation: 0,
            held_open: Duration::from_secs(30),
            lock: LockKind::Strike,
            output,
            owner: LockOwner::Gateway,
            relock: Relock::Time,
            shunt: Duration::from_secs(5),
            settle: Duration::from_secs(1),
            strike: Duration::from_secs(3),
            travel: Duration::from_secs(20),
        }
    }

    /// May it be held open? The coil has to bear it, and time has to be ours.
    #[must_use]
    pub const fn may_be_held(&self) -> bool {
        matches!(self.duty, Duty::Continuous)
            && matches!(self.owner, LockOwner::Gateway)
            && !matches!(self.lock, LockKind::GateStep)
    }

    /// Checks what can be checked without the rest of the site.
    ///
    /// # Errors
    /// [`ParamsError`] names the key and what is allowed.
    pub fn check(&self) -> Result<(), ParamsError> {
        if self.lock == LockKind::Bistable {
            return Err(ParamsError::Bistable);
        }
        if !(MIN_PULSE..=MAX_PULSE).contains(&self.strike) {
            return Err(ParamsError::Strike { found: self.strike });
        }
        if self.relock != Relock::Time && !self.contact {
            return Err(ParamsError::RelockNeedsContact { found: self.relock });
        }
        Ok(())
    }
}

/// Parameters that make no door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// A bistable lock stays as the last pulse left it: nothing brings it back to rest when the software dies.
    #[error(
        "lock: a bistable lock has no rest state to return to; allowed are strike, maglock, motor, gate-open, gate-step"
    )]
    Bistable,
    /// Relock by contact without contact.
    #[error("relock: {found:?} needs a door contact")]
    RelockNeedsContact {
        /// What was found.
        found: Relock,
    },
    /// The strike time is out of range.
    #[error("strike: {found:?} is out of range, allowed are 1 s to 25 s")]
    Strike {
        /// What was found.
        found: Duration,
    },
}

/// Kind of lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Two pulses, one to open and one to shut. Refused by [`DoorParams::check`].
    Bistable,
    /// A gate that opens at a pulse and shuts by itself.
    GateOpen,
    /// A gate for which each pulse is the next of open, stop, shut: no second pulse while it moves, and nobody is let in by
    /// one unless the contact says that it is shut.
    GateStep,
    /// A magnet, interrupted by the energised output.
    Maglock,
    /// A motor lock that opens at a contact.
    Motor,
    /// An electric strike.
    Strike,
}

/// What the lock does without power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailMode {
    /// Open.
    Safe,
    /// Locked.
    Secure,
}

/// What the coil bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// May stay energised for as long as Grants follow each other.
    Continuous,
    /// At most [`MAX_PULSE`] in one go.
    Pulse,
}

/// Who owns the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOwner {
    /// The gateway times it.
    Gateway,
    /// The panel times it; the output only presses the panel's open button, and the door is never reported
    /// as forced, because the panel opens it for others too.
    Panel,
}

/// When the output rests again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relock {
    /// When the door was opened and is shut again, at the latest at the end of the strike time.
    OnClose,
    /// When the door is opened, at the latest at the end of the strike time.
    OnOpen,
    /// At the end of the strike time.
    Time,
}
