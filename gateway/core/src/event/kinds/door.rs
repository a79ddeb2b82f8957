//! Doors.

use crate::ids::AreaId;
use crate::subject::{Factor, Subject};

events! {
    /// What only those are told who are asked to know: [`is_confidential`](crate::is_confidential). Its source is a door.
    AccessEvent {
        /// A code or PIN was used that its person types when forced. What became of it the door's own events say.
        Duress = "duress" {
            /// Means.
            factor: Factor,
            /// Who.
            subject: Subject,
        },
    }
}

events! {
    /// A door.
    DoorEvent {
        /// Contact: shut.
        Closed = "closed" {},
        /// The access decision said no.
        Denied = "denied" {
            /// Means.
            factor: Factor,
            /// Which rule, in words.
            reason: String,
            /// Who.
            subject: Subject,
        },
        /// Opened without permission.
        Forced = "forced" {},
        /// The forced door is shut again.
        ForcedEnded = "forced-ended" {},
        /// The access decision made a Grant; the strike acts once this is queued.
        Granted = "granted" {
            /// Means.
            factor: Factor,
            /// Number of the Grant.
            grant: u64,
            /// Which rule, in words.
            rule: String,
            /// Who.
            subject: Subject,
        },
        /// Open for longer than allowed.
        HeldOpen = "held-open" {},
        /// The held door is shut again.
        HeldOpenEnded = "held-open-ended" {},
        /// It is held open on purpose from here on, by a schedule or a command.
        HoldBegan = "hold-began" {
            /// Means.
            factor: Factor,
            /// It ends by itself after this at the latest.
            limit_s: u64,
            /// Who.
            subject: Subject,
        },
        /// It is held open no longer.
        HoldEnded = "hold-ended" {
            /// `schedule`, `time`, `command`, `lockdown`, `clock`, `guard`, `config`, `restart` (of a gateway that could not say so
            /// before), `stop`.
            why: String,
        },
        /// The lock was not operated, or did not do as it was told.
        LockFault = "lock-fault" {
            /// What, and what to do.
            text: String,
        },
        /// Wrong tries lock whoever made them: nothing counts from there for a time, at no door. The last of these tries is
        /// the refusal before.
        LockedOut = "locked-out" {
            /// Means.
            factor: Factor,
            /// How long.
            lock_s: u64,
            /// What is locked: `anonymous:ACCOUNT`, `caller`, `client`, `keypad:NAME`, `reader:NAME`, or `others`, who share one count.
            locks: String,
            /// Who.
            subject: Subject,
            /// How many wrong tries there were.
            tries: u64,
        },
        /// Contact: open.
        Opened = "opened" {},
        /// The panel opened its own lock.
        OpenedByPanel = "opened-by-panel" {},
        /// Somebody was let into an area that they had not left (soft anti-passback).
        Passback = "passback" {
            /// Which area.
            area: AreaId,
            /// Who.
            subject: Subject,
        },
        /// The output rests again.
        Relocked = "relocked" {
            /// `time`, `on-open`, `on-close`, `lockdown`, `fire-reset`, `guard`, `config`, `restart`, or why it is held open no longer.
            why: String,
        },
        /// A REX that only shunts the forced-open alarm was used.
        RexShunt = "rex-shunt" {},
        /// A good credential was shown, and the door wants that of another person, too.
        SecondAwaited = "second-awaited" {
            /// Means.
            factor: Factor,
            /// Who.
            subject: Subject,
            /// For how long the other one is awaited.
            within_s: u64,
        },
        /// Tamper contact.
        Tamper = "tamper" {
            /// State.
            active: bool,
        },
        /// The guard energised the output.
        Unlocked = "unlocked" {
            /// Number of the Grant.
            grant: u64,
            /// Planned length; a day where it is kept open for fire.
            pulse_ms: u64,
        },
    }
}
