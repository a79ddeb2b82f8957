//! What a rule is: plain data, made of the site file.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use gateway_access::When;
use gateway_core::{
    AlarmId, ButtonId, CardFrame, ChannelId, ControllerId, DoorGroupId, DoorId, GroupId, InputId, LineId,
    ListId, PanelId, Record, RelayId, RelaySet, Template,
};

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What is asked for, in this order.
    pub actions: Vec<Action>,
    /// How often within a minute it acts at most.
    pub most_per_minute: u32,
    /// Which events.
    pub on: Trigger,
    /// Under which conditions.
    pub when: Conditions,
}

/// The events that a rule looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trigger {
    /// Kinds (`door.denied`) and families (`door`).
    pub kinds: BTreeSet<String>,
    /// Doors, panels, inputs and other sources; empty means all.
    pub sources: BTreeSet<String>,
}

impl Trigger {
    /// Is it one of them?
    #[must_use]
    pub fn fits(&self, record: &Record) -> bool {
        self.has_kind(&record.kind) && (self.sources.is_empty() || self.sources.contains(&record.source))
    }

    /// Is this kind one of them, or the family that it belongs to?
    #[must_use]
    pub fn has_kind(&self, kind: &str) -> bool {
        let family = kind.split('.').next().unwrap_or_default();
        self.kinds.contains(kind) || self.kinds.contains(family)
    }
}

/// What else has to be so. All of it has to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// So many such events within a time, this one among them.
    pub counter: Option<Counter>,
    /// What the event says.
    pub fields: Vec<FieldIs>,
    /// Whoever the event is about is in one of these groups; empty means anybody, and nobody, too.
    pub groups: BTreeSet<GroupId>,
    /// The time.
    pub schedule: When,
    /// How the site is.
    pub states: Vec<State>,
}

/// A number of events within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// How many.
    pub times: u32,
    /// Within how long.
    pub within: Duration,
}

/// A field of an event with its value: `outcome=no-answer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldIs {
    /// Name of the field.
    pub name: String,
    /// Its value, as text.
    pub value: String,
}

impl fmt::Display for FieldIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// How something of the site is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A door.
    Door(DoorId, DoorIs),
    /// An input: is it active?
    Input(InputId, bool),
}

/// How a door is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorIs {
    /// Nobody is being let in.
    Locked,
    /// Its contact says that it is open.
    Open,
    /// Its contact says that it is shut.
    Shut,
    /// It can be opened by whoever stands there.
    Unlocked,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Door(door, is) => {
                let is = match is {
                    DoorIs::Locked => "locked",
                    DoorIs::Open => "open",
                    DoorIs::Shut => "shut",
                    DoorIs::Unlocked => "unlocked",
                };
                write!(f, "door {door} is {is}")
            }
            Self::Input(input, active) => {
                write!(
                    f,
                    "input {input} is {}",
                    if *active { "active" } else { "at rest" }
                )
            }
        }
    }
}

/// What a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// An alarm, which somebody of security has to confirm.
    Alarm(AlarmId),
    /// A card goes to a controller of somebody else, as if it had been read.
    Card {
        /// Its bits, as they go out.
        card: CardFrame,
        /// Which.
        controller: ControllerId,
    },
    /// A call, as if a button of a panel had been pressed.
    Call {
        /// Which button.
        button: ButtonId,
        /// Of which panel.
        panel: PanelId,
    },
    /// Nobody is let in from here on; `None` is the whole site.
    Lockdown(Option<DoorGroupId>),
    /// A message over MQTT, on a topic of its own below those of the site.
    Mqtt {
        /// What, with fields of the event.
        message: Template,
        /// Does the broker keep it?
        retain: bool,
        /// Below `…/message`.
        topic: String,
    },
    /// Somebody is told elsewhere.
    Notify {
        /// By which channel.
        channel: ChannelId,
        /// What, with fields of the event.
        message: Template,
    },
    /// That a door opens: a request to the access decision, which may say no.
    Open(DoorId),
    /// A relay is set that opens nothing.
    Output {
        /// Which.
        relay: RelayId,
        /// How.
        set: RelaySet,
    },
    /// Something is heard at a panel.
    Prompt {
        /// At which line.
        line: LineId,
        /// What.
        sound: Sound,
        /// To whom.
        to: Ear,
    },
    /// A text goes to telephones (SIP MESSAGE).
    Text {
        /// To whom: the targets of a list.
        list: ListId,
        /// What, with fields of the event.
        message: Template,
        /// By whose account.
        panel: PanelId,
    },
}

impl Action {
    /// The word for its kind: `alarm`, `call`, `card`, `lockdown`, `mqtt`, `notify`, `open`, `output`, `prompt` or `text`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Alarm(_) => "alarm",
            Self::Call { .. } => "call",
            Self::Card { .. } => "card",
            Self::Lockdown(_) => "lockdown",
            Self::Mqtt { .. } => "mqtt",
            Self::Notify { .. } => "notify",
            Self::Open(_) => "open",
            Self::Output { .. } => "output",
            Self::Prompt { .. } => "prompt",
            Self::Text { .. } => "text",
        }
    }
}

/// Who hears a sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ear {
    /// Whoever stands at the panels of a line.
    Line,
    /// Whoever has the call that talks there.
    Phone {
        /// He hears nothing else meanwhile.
        alone: bool,
    },
}

/// What is heard at a panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// A recording.
    File(PathBuf),
    /// Tones, one after the other.
    Tones(Vec<Beep>),
}

/// One frequency for a time: no telephone key, which is made of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beep {
    /// Hz; 0 is silence.
    pub hz: u16,
    /// How long.
    pub time: Duration,
}

impl fmt::Display for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => match path.file_name() {
                Some(name) => write!(f, "{}", name.to_string_lossy()),
                None => write!(f, "{}", path.display()),
            },
            Self::Tones(beeps) => {
                for (index, Beep { hz, time }) in beeps.iter().enumerate() {
                    let between = if index == 0 { "" } else { " " };
                    write!(f, "{between}{hz}/{}", time.as_millis())?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alarm(alarm) => write!(f, "alarm {alarm}"),
            Self::Call { button, panel } => write!(f, "call {panel}/{button}"),
            // what is on the card stands nowhere
            Self::Card { controller, .. } => write!(f, "card to {controller}"),
            Self::Lockdown(None) => f.write_str("lockdown"),
            Self::Lockdown(Some(group)) => write!(f, "lockdown {group}"),
            Self::Mqtt { topic, .. } => write!(f, "mqtt {topic}"),
            Self::Notify { channel, .. } => write!(f, "notify {channel}"),
            Self::Open(door) => write!(f, "open {door}"),
            Self::Output { relay, set } => write!(f, "output {relay} {set}"),
            Self::Prompt { line, sound, to } => match to {
                Ear::Line => write!(f, "prompt {line} {sound}"),
                Ear::Phone { .. } => write!(f, "prompt the phone at {line} {sound}"),
            },
            Self::Text { list, panel, .. } => write!(f, "text {list} by {panel}"),
        }
    }
}

/// Kinds of events at which a rule may open: somebody was let in elsewhere, rings, or is noticed by a contact. What the
/// gateway tells of itself and of restarts is no reason to open, and a refusal, a call of anybody and a door that was
/// forced even less so.
const OPENS_ON: &[&str] = &[
    "door.granted",
    "input.active",
    "input.rest",
    "panel.ring",
    "panel.ring-ended",
];

/// May a rule open at events of this kind? A family may not: it has events of restarts, too.
#[must_use]
pub fn may_open_on(kind: &str) -> bool {
    OPENS_ON.contains(&kind)
}
