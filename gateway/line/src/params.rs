//! What a line can do, what comes out of the arbiter, and why it says no.

use std::time::Duration;

use gateway_core::{Bell, LineCommand, LineEvent};

/// What the line can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineParams {
    /// May we open the talk path without a ring?
    pub call_in: CallIn,
    /// Does the line tell when the stock handset is lifted? If not, such signals are ignored.
    pub handset_sense: bool,
    /// A press opens only while we are off-hook ourselves; that the stock handset is does not help.
    pub hook_to_open: bool,
    /// When the panel can open its door for us.
    pub open_when: OpenWhen,
    /// How long a ring lasts, from its first press.
    pub ring_window: Duration,
    /// How long we may talk.
    pub talk_window: Duration,
}

impl Default for LineParams {
    fn default() -> Self {
        Self {
            call_in: CallIn::None,
            handset_sense: true,
            hook_to_open: false,
            open_when: OpenWhen::Ringing,
            ring_window: Duration::from_secs(120),
            talk_window: Duration::from_secs(120),
        }
    }
}

/// May we open the talk path without a ring?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallIn {
    /// No: the panel must ring first.
    None,
    /// Yes.
    SelfStart,
}

/// When the panel can open its door for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenWhen {
    /// At any time.
    Always,
    /// While the line is off-hook, by us or by the handset; by us alone with [`hook_to_open`](LineParams::hook_to_open).
    OffHook,
    /// From a ring until the end of the talk it led to.
    Ringing,
}

/// Why a call wants the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeizeWhy {
    /// Somebody whom the door called answered, and nobody rang. Whoever asks has made sure that the line can start by itself.
    Asked,
    /// Somebody calls the door.
    IncomingCall,
    /// A phone that rang for the visitor was answered.
    OutgoingAnswered,
    /// Somebody pressed at the panel to answer a call to it: that press is the ring.
    PressAnswered,
}

/// Why a call does not get the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeizeRefused {
    /// The line cannot be used.
    #[error("the line is faulty")]
    Fault,
    /// The stock handset, another panel, another call or a visitor whose ring is not answered yet.
    #[error("the line is in other hands")]
    LineBusy,
    /// The line cannot start by itself.
    #[error("the panel does not ring, and the line cannot start by itself")]
    NoCall,
}

impl SeizeRefused {
    /// The word for journal and protocols: `fault`, `line-busy`, `no-call`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::LineBusy => "line-busy",
            Self::NoCall => "no-call",
        }
    }
}

/// What a press of a panel button meant for the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PressAnswer {
    /// It belongs to the ring or talk in progress.
    Joined,
    /// It began no ring.
    Refused(SeizeRefused),
    /// A ring began.
    Started,
}

/// Why a ring or talk on the line is over although nobody called [`release`](crate::Line::release).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedWhy {
    /// Another panel took the line, or it cannot be used any more, or the panel hung up.
    Drop,
    /// The stock handset was lifted first.
    Handset,
    /// The panel stopped ringing before anybody answered.
    Stopped,
    /// The ring window or the talk window is over.
    Window,
}

/// What is to be done, and what happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// For the adapter.
    Command(LineCommand),
    /// The ring or talk is over: end its calls. The line is released already.
    Ended {
        /// Why.
        why: EndedWhy,
    },
    /// For the journal.
    Event(LineEvent),
    /// Somebody rings at the apartment's own door. Whose the line is has nothing to do with it, and a call about it never gets it.
    FloorRang,
    /// The stock handset talks; comes after `Ended` if it took a ring from us.
    HandsetTook,
    /// The panel opened its own lock.
    OpenedByPanel,
    /// The panel rings while the stock handset has the line: nobody can be called.
    RangAtHandset {
        /// Whom it rings, if the line says so.
        bell: Option<Bell>,
        /// It is another visitor than the one whom the handset has.
        other: bool,
    },
    /// The panel rings; presses of inputs are answered by [`press`](crate::Line::press) instead.
    RingStarted {
        /// Whom it rings, if the line says so.
        bell: Option<Bell>,
    },
}
