//! Readers, and the controllers that they or the gateway talk to.

use crate::ids::ReaderId;
use crate::signal::{LightColour, Misread, ReaderService};
use crate::subject::Subject;

events! {
    /// A reader.
    ReaderEvent {
        /// A card was read.
        Card = "card" {
            /// Number of bits.
            bits: u16,
            /// The last digits only.
            masked: String,
        },
        /// A key was pressed.
        Key = "key" {},
        /// Something came that is no card and no key.
        Misread = "misread" {
            /// How many bits came last.
            bits: u16,
            /// Why.
            reason: Misread,
            /// How often since it was last told.
            times: u64,
        },
        /// The card is good, and its PIN is asked for too.
        PinAwaited = "pin-awaited" {},
        /// An operator has something done at the reader itself.
        ServiceBegan = "service-began" {
            /// Who.
            subject: Subject,
            /// What exactly.
            text: String,
            /// What.
            what: ReaderService,
        },
        /// It is over.
        ServiceEnded = "service-ended" {
            /// `done`, `failed`.
            outcome: String,
            /// Who had asked for it; none for a new key that the site file gives.
            subject: Option<Subject>,
            /// What came of it, and what to do.
            text: String,
            /// What.
            what: ReaderService,
        },
        /// It was not begun.
        ServiceRefused = "service-refused" {
            /// Who asked.
            subject: Subject,
            /// Why.
            text: String,
            /// What was asked for.
            what: ReaderService,
        },
    }
}

events! {
    /// An access controller of somebody else, before which the gateway stands as a reader. What it says opens nothing here.
    ControllerEvent {
        /// It beeps at the reader.
        Beeped = "beeped" {
            /// Where the card was read that it answers to.
            reader: Option<ReaderId>,
            /// How often; 0 is until further notice.
            times: u64,
        },
        /// It gave the reader that the gateway plays another key.
        KeySet = "key-set" {},
        /// It did not get a card.
        Missed = "missed" {
            /// Where the card was read.
            reader: Option<ReaderId>,
            /// Why, and what to do.
            text: String,
        },
        /// A card is handed on to it.
        Sent = "sent" {
            /// Number of bits, as they were read or given.
            bits: u16,
            /// Where the card was read; nowhere if somebody sent it.
            reader: Option<ReaderId>,
            /// Who sent it by a command, or which rule.
            subject: Option<Subject>,
        },
        /// Its light changed.
        Showed = "showed" {
            /// What it shows.
            colour: LightColour,
            /// Where the card was read that it answers to.
            reader: Option<ReaderId>,
            /// For how long, ms; without it until further notice.
            time_ms: Option<u64>,
        },
        /// It has the card that was handed on; by Wiegand: the front end began to send it, and nobody tells more.
        Taken = "taken" {
            /// Where the card was read.
            reader: Option<ReaderId>,
        },
        /// It has a text for people at the reader.
        Told = "told" {
            /// What.
            text: String,
        },
    }
}
