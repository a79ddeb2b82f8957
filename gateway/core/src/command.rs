//! What the outside asks for, and how it is answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::ids::{
    AlarmId, AnnouncementId, ButtonId, ControllerId, DoorGroupId, DoorId, PanelId, PersonId, RelayId, RingId,
    Seq,
};
use crate::secret::Secret;
use crate::signal::CardFrame;
use crate::subject::{Factor, Subject};
use crate::time::Instant;
use crate::value::{Field, Form, Value, words};

/// An id the client chose, 1 to 64 visible ASCII characters: the same id is acted on once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CommandId(Arc<str>);

impl CommandId {
    /// Makes an id; `None` unless it has 1 to 64 visible ASCII characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Field for CommandId {
    const FORM: Form = Form::Text;
    fn to_value(&self) -> Value {
        Value::Text(self.0.to_string())
    }
    fn from_value(value: &Value) -> Option<Self> {
        Self::new(value.as_text()?)
    }
}

/// Who sent a command, over what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The means: `Api`, `Local`, `Mqtt` or `Web`.
    pub factor: Factor,
    /// True if it may inject into virtual devices.
    pub may_simulate: bool,
    /// The person or integration.
    pub subject: Subject,
}

/// How a relay is set that opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelaySet {
    /// Active for so long, 1 s to a day.
    For(Duration),
    /// At rest.
    Off,
    /// Active until further notice.
    On,
    /// The other way round than it is.
    Toggle,
}

impl RelaySet {
    /// Longest time for which a relay is set.
    pub const LONGEST: Duration = Duration::from_secs(86_400);
}

impl fmt::Display for RelaySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(time) => write!(f, "on for {} s", time.as_secs()),
            Self::Off => f.write_str("off"),
            Self::On => f.write_str("on"),
            Self::Toggle => f.write_str("toggle"),
        }
    }
}

words! {
    /// Who hears an announcement.
    AnnounceTo {
        /// Whoever stands at the panel, and whoever has its call, if somebody has.
        Both = "both",
        /// Whoever stands at the panel.
        Door = "door",
        /// Whoever has the call of the panel, and nobody at it.
        Phone = "phone",
    }
}

/// A request from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Have an announcement of the site file heard at a panel.
    Announce {
        /// Which.
        announcement: AnnouncementId,
        /// At which panel.
        panel: PanelId,
        /// By whom.
        to: AnnounceTo,
    },
    /// Call those whom a button of a panel calls, though nobody has pressed it.
    Call {
        /// Which button; `None` is the only one that there is.
        button: Option<ButtonId>,
        /// Of which panel.
        panel: PanelId,
    },
    /// Confirm an alarm: it is over.
    ConfirmAlarm {
        /// Which.
        alarm: AlarmId,
    },
    /// Hold a door open no longer.
    EndHold {
        /// Which.
        door: DoorId,
    },
    /// End a lockdown.
    EndLockdown {
        /// Of which group of doors; `None` is the whole site.
        group: Option<DoorGroupId>,
    },
    /// Let the bells of a panel call again.
    EndQuiet {
        /// Which.
        panel: PanelId,
    },
    /// Open for those who ring at a panel no longer.
    EndRingToOpen {
        /// Which.
        panel: PanelId,
    },
    /// End the call of a ring.
    HangUp {
        /// Which.
        ring: RingId,
    },
    /// Hold a door open.
    Hold {
        /// Which.
        door: DoorId,
        /// For how long from now.
        time: Duration,
    },
    /// Let nobody in until further notice; exits and fire open as ever.
    Lockdown {
        /// Which group of doors; `None` is the whole site.
        group: Option<DoorGroupId>,
    },
    /// Open a door once, for its configured time.
    Open {
        /// Which.
        door: DoorId,
    },
    /// Open a door once for the visitor of one ring, and only for a while after it.
    OpenFor {
        /// Which.
        door: DoorId,
        /// Whose ring.
        ring: RingId,
    },
    /// Open a door once, if this code would open it at a keypad there.
    OpenWithCode {
        /// What was typed.
        code: Secret,
        /// Which.
        door: DoorId,
    },
    /// Press a button of a panel whose line is virtual.
    Press {
        /// Which button.
        button: ButtonId,
        /// Of which panel.
        panel: PanelId,
    },
    /// Do-not-disturb: the bells of a panel call nobody; who rings is told all the same.
    Quiet {
        /// Which.
        panel: PanelId,
        /// For how long from now; `None` until it is ended.
        time: Option<Duration>,
    },
    /// The fire is over: nothing opens for it any more.
    ResetFire,
    /// Forget in which areas people are, so that anti-passback refuses nobody for it.
    ResetPassback {
        /// Of whom; `None` is everybody.
        person: Option<PersonId>,
    },
    /// Ring-to-open: who rings at a panel is let in, for a time.
    RingToOpen {
        /// Which.
        panel: PanelId,
        /// For how long from now.
        time: Duration,
    },
    /// Hand a card on to a controller of somebody else, as if it had been read: it opens a door of theirs.
    SendCard {
        /// Its bits, as they go out.
        card: CardFrame,
        /// Which.
        controller: ControllerId,
    },
    /// Set a relay that is there to be set, and opens nothing.
    SetRelay {
        /// Which.
        relay: RelayId,
        /// How.
        set: RelaySet,
    },
    /// Nothing is asked: the interface refused messages by itself and reports that, for the journal.
    Unread {
        /// Why they were refused.
        reason: Refusal,
        /// Why, for a person.
        text: String,
        /// How many messages: one is a refusal on record, more are only counted.
        times: u64,
    },
}

impl Command {
    /// True if what it opens stays open, or opens again and again, for minutes. Without a date such a command is never news,
    /// whatever is allowed: one that somebody kept would be worse than one late pulse.
    #[must_use]
    pub const fn opens_for_minutes(&self) -> bool {
        match self {
            Self::Hold { .. } | Self::RingToOpen { .. } => true,
            Self::Announce { .. }
            | Self::Call { .. }
            | Self::ConfirmAlarm { .. }
            | Self::EndHold { .. }
            | Self::EndLockdown { .. }
            | Self::EndQuiet { .. }
            | Self::EndRingToOpen { .. }
            | Self::HangUp { .. }
            | Self::Lockdown { .. }
            | Self::Open { .. }
            | Self::OpenFor { .. }
            | Self::OpenWithCode { .. }
            | Self::Press { .. }
            | Self::Quiet { .. }
            | Self::ResetFire
            | Self::ResetPassback { .. }
            | Self::SendCard { .. }
            | Self::SetRelay { .. }
            | Self::Unread { .. } => false,
        }
    }

    /// The word for the journal and for topics.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Announce { .. } => "announce",
            Self::Call { .. } => "call",
            Self::ConfirmAlarm { .. } => "confirm-alarm",
            Self::EndHold { .. } => "end-hold",
            Self::EndLockdown { .. } => "end-lockdown",
            Self::EndQuiet { .. } => "end-quiet",
            Self::EndRingToOpen { .. } => "end-ring-to-open",
            Self::HangUp { .. } => "hang-up",
            Self::Hold { .. } => "hold",
            Self::Lockdown { .. } => "lockdown",
            Self::Open { .. } | Self::OpenFor { .. } | Self::OpenWithCode { .. } => "open",
            Self::Press { .. } => "press",
            Self::Quiet { .. } => "quiet",
            Self::ResetFire => "reset-fire",
            Self::ResetPassback { .. } => "reset-passback",
            Self::RingToOpen { .. } => "ring-to-open",
            Self::SendCard { .. } => "send-card",
            Self::SetRelay { .. } => "set-relay",
            Self::Unread { .. } => "unread",
        }
    }
}

/// What tells when a command was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// The client, by its own clock.
    At(Timestamp),
    /// The exchange in which it came: its client waits for the answer. It arrived at this moment of the monotonic clock.
    Live(Instant),
    /// Nothing.
    Undated,
}

/// A command with what is needed to judge whether it is news.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandRequest {
    /// What is wanted.
    pub command: Command,
    /// When it was given.
    pub given: Given,
    /// The client's id.
    pub id: CommandId,
    /// Who asks.
    pub origin: Origin,
    /// True if the transport says that it was kept for us (retained, queued, redelivered).
    pub stale_by_transport: bool,
}

impl CommandRequest {
    /// So far a command may be dated ahead of our clock: clocks that are kept right differ by less. One that is dated further
    /// would be good for longer than its time to live.
    pub const AHEAD: Duration = Duration::from_secs(2);
}

words! {
    /// Why a command was refused.
    Refusal {
        /// The same id was seen before.
        Duplicate = "duplicate",
        /// The access decision said no.
        Forbidden = "forbidden",
        /// The journal or the guard cannot take it now.
        Fault = "fault",
        /// The fire input still asks for the doors to be open, or nobody reads it.
        Fire = "fire",
        /// Another live instance runs under our name.
        Instance = "second-instance",
        /// A door of the same interlock is open or being opened.
        Interlock = "interlock",
        /// The door is locked down.
        Lockdown = "lockdown",
        /// The line is in other hands.
        LineBusy = "line-busy",
        /// No command, or one that cannot be understood.
        Malformed = "malformed",
        /// The line cannot be spoken on unless the panel rings, or nobody has a call there who could hear it.
        NoCall = "no-call",
        /// Made for a real device, but this is only for virtual ones.
        NotVirtual = "not-virtual",
        /// The gateway stops or starts.
        NotReady = "not-ready",
        /// Too many requests.
        Overload = "overload",
        /// What is named is a relay that tells something and opens nothing.
        Relay = "relay",
        /// Older than its time to live, from before our start, or kept by a broker.
        Stale = "stale",
        /// No such door, panel, button or ring.
        Unknown = "unknown",
        /// No time or no id in it.
        Untimed = "untimed",
    }
}

/// The answer to a command: given only after its record is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandReply {
    /// Done, or begun.
    Accepted {
        /// The ring it began or belongs to.
        ring: Option<RingId>,
        /// The record that says so.
        seq: Seq,
    },
    /// Not done.
    Refused {
        /// Why, for a program.
        reason: Refusal,
        /// Why, for a person, with what to do.
        text: String,
    },
}
