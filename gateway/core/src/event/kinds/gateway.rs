//! The gateway itself, and what of its wires is no door, panel or reader.

use crate::ids::{DoorGroupId, LineId, PersonId};
use crate::subject::Subject;

events! {
    /// An adapter or device.
    DeviceEvent {
        /// It cannot do its work.
        Fault = "fault" {
            /// What, and what to do.
            text: String,
        },
        /// It works (again).
        Ready = "ready" {},
    }
}

events! {
    /// The gateway itself.
    GatewayEvent {
        /// The wall clock jumped, or became trusted or untrusted.
        Clock = "clock" {
            /// Jump, signed.
            step_ms: i64,
            /// Trusted now?
            trusted: bool,
        },
        /// A new configuration is in force.
        ConfigApplied = "config-applied" {
            /// Its number.
            generation: u64,
            /// What changed, in words.
            plan: String,
        },
        /// A configuration was refused; the old one stays.
        ConfigRefused = "config-refused" {
            /// How many faults.
            faults: u64,
            /// The first fault.
            first: String,
        },
        /// The fire input changed.
        Fire = "fire" {
            /// State.
            active: bool,
        },
        /// The fire alarm stands from here on, and doors open for it until somebody resets it; or it was reset.
        FireAlarm = "fire-alarm" {
            /// Do doors open for it?
            active: bool,
            /// The input that raised it, or who reset it.
            subject: Subject,
        },
        /// The relay guard is gone or back.
        Guard = "guard" {
            /// What happened.
            text: String,
            /// Usable?
            up: bool,
        },
        /// Damage found in the journal or its index, and what was done.
        JournalDamage = "journal-damage" {
            /// What, where, and where it was set aside.
            text: String,
        },
        /// The journal cannot be written, or can again.
        JournalFault = "journal-fault" {
            /// What.
            text: String,
            /// Usable?
            up: bool,
        },
        /// At the start the end of the journal was an unfinished write, as a power cut leaves it, and was cut off.
        JournalTorn = "journal-torn" {
            /// What, and where.
            text: String,
        },
        /// Doors are locked down from here on, or no longer.
        Lockdown = "lockdown" {
            /// Nobody is let in?
            active: bool,
            /// Which group of doors; none is the whole site.
            group: Option<DoorGroupId>,
            /// Who began or ended it.
            subject: Subject,
        },
        /// The main loop stood still; remote input of that time was dropped.
        LoopGap = "loop-gap" {
            /// How long.
            gap_ms: u64,
        },
        /// The address of the gateway was told at a line, or could not be.
        AddressTold = "address-told" {
            /// Which line.
            line: LineId,
            /// The address, or why it was not told.
            text: String,
        },
        /// Somebody sends SIP requests whom the gateway does not know: they are refused. Told for the first request of a source, then
        /// once an hour while there are more.
        Stranger = "stranger" {
            /// Method of the last one, or `unreadable`, or `connection`: one that was opened and said nothing.
            method: String,
            /// From which address, or `others` for more than 128 at a time.
            from: String,
            /// How many there were since the last record of this source. What a limit of datagrams threw away before is not
            /// in it.
            times: u64,
        },
        /// An input was held at the start that resets what the gateway was delivered without.
        Factory = "factory" {
            /// What was done.
            text: String,
        },
        /// The network that the gateway is reached by is lost, or there again.
        Network = "network" {
            /// True if it is there.
            active: bool,
            /// What, and what to do.
            text: String,
        },
        /// A channel of notifications left events out that were older than its `max-age`. That channel is told of it whatever
        /// else it is told.
        NotifyDropped = "notify-dropped" {
            /// Which channel.
            channel: String,
            /// How many of those that it would have told.
            count: u64,
            /// Number of the first one.
            first: u64,
            /// Number of the last one.
            last: u64,
        },
        /// Nobody knows any more in which areas people are.
        PassbackReset = "passback-reset" {
            /// Of whom; none is everybody.
            person: Option<PersonId>,
            /// Who did it.
            subject: Subject,
        },
        /// Started.
        Started = "started" {
            /// Configuration generation.
            generation: u64,
            /// Instance id.
            instance: String,
            /// Program version.
            version: String,
        },
        /// Stops in good order.
        Stopping = "stopping" {},
        /// What was older than `[retention]` of the site file wants was taken out of the journal.
        RecordsExpired = "records-expired" {
            /// How many records.
            records: u64,
            /// The date that they were measured by: what the clock showed, or an earlier one if the clock may be wrong.
            until: String,
        },
        /// Another live instance uses our name.
        SecondInstance = "second-instance" {
            /// Its id.
            instance: String,
        },
    }
}

events! {
    /// An input that a rule of the site file looks at. What inputs are for otherwise has events of its own.
    InputEvent {
        /// It became active.
        Active = "active" {},
        /// It is at rest again.
        Rest = "rest" {},
    }
}

events! {
    /// A relay that tells something and opens nothing.
    RelayEvent {
        /// It became active, or is no longer.
        Switched = "switched" {
            /// Active from here on?
            active: bool,
            /// Why; `restart` if the gateway before did not say that it is active no longer.
            text: String,
        },
    }
}
