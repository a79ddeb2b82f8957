//! Alarms.

use crate::ids::{ListId, RingId};
use crate::subject::{Factor, Subject};

events! {
    /// An alarm. The envelope's ring is that of this alarm, from its begin to its confirmation; its calls have their own.
    AlarmEvent {
        /// Security is called.
        Called = "called" {
            /// The ring of the call.
            call: RingId,
            /// Whom.
            list: ListId,
            /// Which round this is, from 1.
            round: u64,
        },
        /// Somebody confirmed it: it is over.
        Confirmed = "confirmed" {
            /// By what means.
            factor: Factor,
            /// Who.
            subject: Subject,
        },
        /// Nobody of a list confirmed it; who is next is called, or waited for.
        Escalated = "escalated" {
            /// Whom it passes over.
            list: ListId,
            /// How the last call of them ended.
            outcome: String,
        },
        /// What somebody who answered typed does not count, nor does anything for a time, after too many wrong codes; the call ends.
        LockedOut = "locked-out" {
            /// How long still.
            lock_s: u64,
            /// What is locked: `anonymous:ACCOUNT`, `caller`, or `others`, who share one count.
            locks: String,
            /// Who.
            subject: Subject,
            /// How many wrong tries there were.
            tries: u64,
        },
        /// It began.
        Raised = "raised" {
            /// By what.
            subject: Subject,
        },
        /// Nobody confirmed it in all rounds. It goes on, and nobody is called any more.
        Unconfirmed = "unconfirmed" {
            /// How many rounds there were.
            rounds: u64,
        },
        /// Somebody who answered typed a wrong code.
        WrongCode = "wrong-code" {
            /// How often they may try again in this call.
            left: u64,
            /// Who.
            subject: Subject,
        },
    }
}
