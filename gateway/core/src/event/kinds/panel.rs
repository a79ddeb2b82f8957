//! Panels.

use crate::command::AnnounceTo;
use crate::ids::{AnnouncementId, ButtonId};
use crate::subject::Subject;

events! {
    /// A panel.
    PanelEvent {
        /// An announcement that a command began is over.
        AnnouncementEnded = "announcement-ended" {
            /// Which.
            announcement: AnnouncementId,
            /// By whom and for how long it was heard, or why it ended early or was not heard.
            text: String,
        },
        /// A command has an announcement heard, at the panel or by whoever has its call.
        Announced = "announced" {
            /// Which.
            announcement: AnnouncementId,
            /// Who wanted it.
            subject: Subject,
            /// By whom it is heard.
            to: AnnounceTo,
        },
        /// A button is held for longer than 10 minutes.
        ButtonStuck = "button-stuck" {
            /// Which.
            button: ButtonId,
        },
        /// A stuck button came back.
        ButtonReleased = "button-released" {
            /// Which.
            button: ButtonId,
        },
        /// A text came for it (SIP MESSAGE), from its PBX or from a direct peer. It opens and commands nothing.
        MessageReceived = "message-received" {
            /// Who sent it.
            peer: String,
            /// What, at most 1300 bytes.
            text: String,
        },
        /// A press was noticed and began no ring.
        PressIgnored = "press-ignored" {
            /// Which.
            button: ButtonId,
            /// Why: `joined`, `line-busy`, `no-call`, `stale`, `stuck`, `fault`, `forbidden`.
            reason: String,
        },
        /// A press that means something to the ring, or the call to the panel, that goes on.
        PressedAgain = "pressed-again" {
            /// Which.
            button: ButtonId,
            /// What it does: `next` (who rings is passed over), `again` (the list is called anew at once), `hang-up`,
            /// `answer` (the call to the panel that waits for it).
            means: String,
        },
        /// Its bells call nobody from here on (do-not-disturb).
        QuietBegan = "quiet-began" {
            /// It ends by itself after this; none if only a command ends it.
            limit_s: Option<u64>,
            /// Who.
            subject: Subject,
        },
        /// Its bells call again.
        QuietEnded = "quiet-ended" {
            /// `time`, `command`.
            why: String,
        },
        /// A visitor rings; the envelope's ring is its id.
        Ring = "ring" {
            /// Which.
            button: ButtonId,
        },
        /// The ring is over.
        RingEnded = "ring-ended" {
            /// `answered`, `no-answer`, `handset`, `window`, `cancelled`, `unreachable`, `do-not-disturb`,
            /// `opened`, `restart` (of a gateway that could not say so before).
            outcome: String,
        },
        /// Who rings is let in from here on, by a command (ring-to-open).
        RingToOpenBegan = "ring-to-open-began" {
            /// It ends by itself after this.
            limit_s: u64,
            /// Who.
            subject: Subject,
        },
        /// Who rings is let in no more.
        RingToOpenEnded = "ring-to-open-ended" {
            /// `time`, `command`, `config`, `lockdown`, `restart` (of a gateway that could not say so before), `stop`.
            why: String,
        },
    }
}
