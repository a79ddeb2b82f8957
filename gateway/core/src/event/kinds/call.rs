//! Calls, and the accounts and lines they go over.

use crate::ids::{ButtonId, LegId, PanelId};
use crate::leg::{Cause, DigitVia};
use crate::subject::Subject;
use crate::view::LineState;

events! {
    /// A registration.
    AccountEvent {
        /// The registrar refused, or did not answer.
        Failed = "failed" {
            /// Status line or network error.
            detail: String,
            /// Seconds until the next try.
            retry_s: u64,
        },
        /// Registered.
        Registered = "registered" {
            /// Granted lifetime.
            expires_s: u64,
        },
        /// Deregistered at stop or by configuration.
        Unregistered = "unregistered" {},
    }
}

events! {
    /// A call. The envelope's ring names it.
    CallEvent {
        /// A leg answered and won.
        Answered = "answered" {
            /// Which.
            leg: LegId,
            /// Who.
            peer: String,
        },
        /// Somebody had the door call, by a command: nobody rang.
        Asked = "asked" {
            /// Whom: those of this button.
            button: ButtonId,
            /// From which panel.
            panel: PanelId,
            /// Who asked.
            subject: Subject,
        },
        /// The party may open no more in this call: it changed, and nobody who may say so said who it is now.
        AuthorityLost = "authority-lost" {
            /// Which leg.
            leg: LegId,
            /// What happened.
            why: String,
        },
        /// A digit of the winning leg was taken.
        Digit = "digit" {
            /// The key, `*` in place of a digit that belongs to a longer code.
            digit: String,
            /// Which leg.
            leg: LegId,
            /// How it came.
            via: DigitVia,
        },
        /// Whoever answered has to press a key before the call is theirs.
        ConfirmAwaited = "confirm-awaited" {
            /// Which leg.
            leg: LegId,
            /// Who answered.
            peer: String,
        },
        /// A digit was heard and not acted on.
        DigitIgnored = "digit-ignored" {
            /// Which leg.
            leg: LegId,
            /// Why: `not-winner`, `before-answer`, `ended`, `echo`, `stale`, `other-transport`, `no-authority`,
            /// `unlisted`, `caller` (who was put through to somebody else, and never opens).
            reason: String,
        },
        /// A caller was told to call somebody else instead.
        Diverted = "diverted" {
            /// Which leg.
            leg: LegId,
            /// Who called.
            peer: String,
            /// Whom he was told to call, as configured.
            target: String,
        },
        /// The call is over.
        Ended = "ended" {
            /// Why.
            cause: Cause,
            /// Talk time; 0 with `gateway-restarted`, since nobody knows it.
            talk_ms: u64,
        },
        /// A call is not handed to somebody whom the other side named: by a transfer, by taking it over, or by a redirection.
        HandoverRefused = "handover-refused" {
            /// Which leg.
            leg: LegId,
            /// Why: `alarm`, `not-listed`, `not-talking`, `running`, `too-many`.
            reason: String,
            /// To whom.
            target: String,
        },
        /// A call came in.
        Incoming = "incoming" {
            /// Which leg.
            leg: LegId,
            /// The panel that is called; records of earlier versions do not say it.
            panel: Option<PanelId>,
            /// Who calls.
            peer: String,
        },
        /// A leg is over.
        LegEnded = "leg-ended" {
            /// Why.
            cause: Cause,
            /// Protocol detail.
            detail: String,
            /// Which.
            leg: LegId,
        },
        /// A target is being called.
        LegOffered = "leg-offered" {
            /// Which.
            leg: LegId,
            /// Address as configured.
            target: String,
        },
        /// A target rings.
        LegRinging = "leg-ringing" {
            /// Which.
            leg: LegId,
        },
        /// How the speech of a leg came, after its end. A leg without speech has no such record.
        Media = "media" {
            /// What was made up in place of what did not come in time.
            concealed_ms: u64,
            /// Interarrival jitter at the end, by RFC 3550, in microseconds.
            jitter_us: u64,
            /// Which leg.
            leg: LegId,
            /// Packets that did not come.
            lost: u64,
            /// Packets that came.
            received: u64,
            /// Packets to the other side that did not come there, as it told.
            remote_lost: u64,
            /// The last round trip that the other side's reports told, in microseconds.
            round_trip_us: Option<u64>,
            /// Packets to the other side.
            sent: u64,
        },
        /// The talk is being recorded from here on, and both sides have been told so.
        RecordingBegan = "recording-began" {
            /// Name of the file in the folder of recordings.
            file: String,
        },
        /// The recording is over.
        RecordingEnded = "recording-ended" {
            /// Name of its file; what could not be recorded has none.
            file: Option<String>,
            /// How much of the talk is in it.
            length_ms: u64,
            /// Why: `ended`, `limit` (it was long enough), or what went wrong.
            why: String,
        },
        /// The talk limit is near.
        TalkWarning = "talk-warning" {
            /// Time left.
            left_ms: u64,
        },
        /// Somebody else has the call from here on, as the PBX says.
        Transferred = "transferred" {
            /// Which leg.
            leg: LegId,
            /// May the new party open by keys?
            may_open: bool,
            /// Who.
            peer: String,
        },
        /// An incoming call was not taken.
        Rejected = "rejected" {
            /// Who called.
            peer: String,
            /// Why: `no-call`, `line-busy`, `line-fault`, `unlisted`, `opened` (the door, for whoever called it),
            /// `not-opened` (it was to, and did not), `diverted`, `busy` (somebody else is being put through), `refused`.
            reason: String,
        },
    }
}

events! {
    /// A panel line.
    LineEvent {
        /// It changed hands.
        State = "state" {
            /// Whose it is.
            state: LineState,
        },
    }
}
