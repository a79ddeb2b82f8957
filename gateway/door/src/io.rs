//! What goes into the machine and what comes out.

use std::time::Duration;

use gateway_access::{Grant, RexKind};
use gateway_core::{DoorEvent, Edge, InputId, OutputId, RingId};

/// What happens to a door.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// The door contact: active is open.
    Contact(Edge),
    /// Nobody reads the contact any more, or it is another one: what it said is forgotten.
    ContactUnread,
    /// The door is held open no longer.
    EndHold {
        /// Why, for the record.
        why: &'static str,
    },
    /// What is so of the fire alarm: while it stands the door is opened for it, and kept open if its coil bears it. Said
    /// again it changes nothing.
    Fire(FireAlarm),
    /// The access decision said yes. Answered by exactly one `Granted` or `Denied` event.
    Granted(Grant),
    /// The guard did something.
    Guard(GuardReport),
    /// There is a guard again, and every output rests: whoever still waits to get out is asked for anew.
    GuardUp,
    /// The lock sense of a lock that the panel owns: active while its lock is open.
    LockSense(Edge),
    /// The lock sense has been active for longer than any panel opens.
    LockSenseStuck,
    /// Nobody reads the lock sense any more, or there is none: what it said is forgotten.
    LockSenseUnread,
    /// A lockdown began: the pulse of whoever was let in ends, that of an exit does not.
    LockDown,
    /// The panel opened its own lock.
    OpenedByPanel,
    /// Can the panel open at this moment? Asked only where the panel owns the lock; false until told.
    PanelMayOpen(bool),
    /// An exit input.
    Rex {
        /// Level.
        edge: Edge,
        /// Which.
        input: InputId,
        /// What it does.
        kind: RexKind,
    },
    /// The tamper contact: active is tampered.
    Tamper(Edge),
}

/// What a door is told of the fire alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FireAlarm {
    /// It was raised in this moment.
    Raised,
    /// None stands.
    Reset,
    /// It was raised before this door was there, or in an earlier life: a gate may have been moved for it already.
    Stands,
}

/// What the guard reports about the door's output. Each Grant that was passed on gets one `Released` or `Failed`
/// in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardReport {
    /// The output is energised.
    Energised {
        /// Number of the Grant.
        grant: u64,
    },
    /// The output was not energised.
    Failed {
        /// Number of the Grant; `None` if the guard or its device is gone with everything it held.
        grant: Option<u64>,
        /// What, and what to do.
        text: String,
    },
    /// The output was told to energise, and its board failed before it answered: it may have been energised for a moment, and
    /// is written to rest.
    MayHaveOpened {
        /// Number of the Grant.
        grant: u64,
        /// What, and what to do.
        text: String,
    },
    /// A Grant's time at the output is over.
    Released {
        /// Which.
        cause: ReleaseCause,
        /// Number of the Grant.
        grant: u64,
    },
    /// The guard ends with everything it held, since it was told to, and the next one starts.
    Restarts,
}

/// Why the guard let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseCause {
    /// We asked.
    Asked,
    /// The guard's own doing: its cap, a lapsed lease, a failed device, its stop.
    Guard,
    /// The pulse is over.
    PulseEnd,
    /// The guard ends since it was told to, and the next one starts.
    Restart,
    /// A later Grant took over; the output stays energised for that one.
    Superseded,
}

/// What is to be done, and what happened.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// For the journal; always before the operation it announces.
    Event {
        /// What.
        event: DoorEvent,
        /// The ring it belongs to.
        ring: Option<RingId>,
    },
    /// The guard shall energise the Grant's output for `pulse` from now. While the output is energised already, this
    /// moves the end of the running pulse to `pulse` from now: one pulse, without a gap.
    Operate {
        /// The permission.
        grant: Grant,
        /// Length from now.
        pulse: Duration,
    },
    /// The guard shall let an output rest, whoever energised it.
    Release {
        /// Which.
        output: OutputId,
    },
    /// Somebody uses an unlocking exit input, or the guard did not take the Grant that came of it: ask the access decision (`Request::Rex`) and feed the Grant back.
    RequestExit {
        /// Which input.
        input: InputId,
    },
    /// The fire alarm stands and nothing opens the door for it: ask the access decision (`Request::Fire`) and feed the Grant back.
    RequestFire,
}
