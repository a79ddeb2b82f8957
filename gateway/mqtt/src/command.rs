//! Commands: reading what a stranger sent, deciding whether it can be news, and the text of the answer. Pure.

use std::time::Duration;

use gateway_access::card_frame;
use gateway_core::{
    AlarmId, AnnounceTo, AnnouncementId, ButtonId, Command, CommandId, CommandReply, CommandRequest,
    ControllerId, DoorGroupId, DoorId, Factor, Given, Origin, PanelId, PersonId, Refusal, RelayId, RelaySet,
    RingId, Secret, Subject, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::topics::Target;

/// Longest command in bytes.
pub(crate) const MAX_PAYLOAD: usize = 1024;
/// Longest time for which a door can be held open: a day.
const MAX_MINUTES: u64 = 1440;
/// Longest time for which a command can be good, s: as `command-ttl-s`.
const MAX_TTL: u64 = 60;
/// All commands, as clients are told of them.
#[cfg(test)]
const COMMANDS: [&str; 19] = [
    "open",
    "hold",
    "end-hold",
    "lock",
    "press",
    "call",
    "announce",
    "hang-up",
    "quiet",
    "end-quiet",
    "ring-to-open",
    "end-ring-to-open",
    "lockdown",
    "end-lockdown",
    "reset-fire",
    "reset-passback",
    "send-card",
    "set-relay",
    "confirm-alarm",
];
/// Name under which MQTT clients stand in the journal: the broker does not tell us who published.
pub(crate) const SUBJECT: &str = Subject::UNSIGNED;

/// A value that is given and empty: a client that lost what it meant does not mean anybody.
fn never_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(Some(text.unwrap_or_default()))
}

/// A number that is given and empty: no number at all would mean until further notice.
fn number_never_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    // what is no whole number above 0 is in no range that is allowed, and refused with the range
    let number = serde_json::Value::deserialize(from)?;
    Ok(Some(number.as_u64().unwrap_or(0)))
}

/// What was typed; anything else than a short text is told without being repeated.
enum Code {
    Odd,
    Typed(Secret),
}

/// A code that is no text must not get into an error that quotes it.
fn secretly<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Code>, D::Error> {
    let typed = |text: &str| {
        let fits =
            (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b"*#".contains(&b));
        fits.then(|| Secret::new(text))
    };
    Ok(match serde_json::Value::deserialize(from)? {
        serde_json::Value::String(text) => Some(typed(&text).map_or(Code::Odd, Code::Typed)),
        serde_json::Value::Array(_)
        | serde_json::Value::Bool(_)
        | serde_json::Value::Null
        | serde_json::Value::Number(_)
        | serde_json::Value::Object(_) => Some(Code::Odd),
    })
}

/// A command. Fields of other commands are passed over, but not by commands for the whole site, which mean less with one;
/// what is no field of any is refused, since it may be a misspelt one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Command"))]
pub(crate) struct Wire {
    /// `open`, `hold` and `end-hold` for doors; `press`, `call`, `announce`, `hang-up`, `quiet`, `end-quiet`, `ring-to-open`
    /// and `end-ring-to-open` for panels; all of these for the site, and `lockdown`, `end-lockdown`, `reset-fire`, `reset-passback`, `send-card`, `set-relay` and
    /// `confirm-alarm`. `lock` of a door is what the lock of Home Assistant sends; it is refused, since a door locks by itself.
    #[cfg_attr(test, schemars(extend("enum" = COMMANDS)))]
    command: String,
    /// 1 to 64 visible ASCII characters, new for every command.
    #[cfg_attr(test, schemars(extend("pattern" = "^[!-~]{1,64}$")))]
    id: Option<String>,
    /// When it is given, RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: Option<String>,
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String"))]
    alarm: Option<String>,
    /// With `announce`: which of the site file.
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String"))]
    announcement: Option<String>,
    /// With `send-card`: `26:FACILITY,NUMBER` (also 33, 34, 35, 37, 46, 48 and 50 bits), `37:NUMBER`, `BITS:hex:DIGITS` or `ibutton:SERIAL`.
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String"))]
    card: Option<String>,
    /// With `send-card`: the controller.
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String"))]
    controller: Option<String>,
    /// With `open`: what was typed, 1 to 8 of `0-9 * #`; it is judged as at a keypad of the door.
    #[serde(
        default,
        deserialize_with = "secretly",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(
        test,
        schemars(with = "String", extend("pattern" = "^[0-9*#]{1,8}$"))
    )]
    code: Option<Code>,
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String"))]
    door: Option<String>,
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String"))]
    panel: Option<String>,
    /// With `reset-passback`; without it everybody. `null` is nobody, and refused.
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String"))]
    person: Option<String>,
    /// With `press` and `call`; without it `call` is for the only button of the panel.
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String"))]
    button: Option<String>,
    /// With `lockdown` and `end-lockdown`; without it the whole site. `null` is no group, and refused.
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String"))]
    group: Option<String>,
    /// 1 to 1440.
    #[serde(
        default,
        deserialize_with = "number_never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "u64", range(min = 1, max = 1440)))]
    minutes: Option<u64>,
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String"))]
    relay: Option<String>,
    /// Of the visitor, as the event of the panel has it.
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String", extend("format" = "uuid")))]
    ring_id: Option<String>,
    /// Of a relay: `on`, `off` or `toggle`.
    #[cfg_attr(test, schemars(extend("enum" = ["on", "off", "toggle", null])))]
    state: Option<String>,
    /// How long a relay is on, 1 to 86400 s.
    #[serde(
        default,
        deserialize_with = "number_never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "u64", range(min = 1, max = 86400)))]
    for_s: Option<u64>,
    /// With `announce`: who hears it; without it `door`, whoever stands there.
    #[serde(
        default,
        deserialize_with = "never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "String", extend("enum" = ["both", "door", "phone"])))]
    to: Option<String>,
    /// How long the command is good, 1 to 60 s; no longer than `command-ttl-s`.
    #[serde(
        default,
        deserialize_with = "number_never_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "u64", range(min = 1, max = 60)))]
    ttl_s: Option<u64>,
}

/// The id in what could not be read as a command, for the answer; whether it is right decides nothing.
pub(crate) fn claimed(payload: &[u8]) -> Option<CommandId> {
    #[derive(Deserialize)]
    struct Id {
        id: Option<String>,
    }
    if payload.len() > MAX_PAYLOAD {
        return None;
    }
    let id: Id = serde_json::from_slice(payload).ok()?;
    CommandId::new(&id.id?)
}

/// A message on a command topic.
#[derive(Clone, Debug)]
pub(crate) struct Arrival<'a> {
    /// How long the connection stands.
    pub(crate) connected: Duration,
    /// The broker says that it sends this again.
    pub(crate) dup: bool,
    /// For how long the broker would still have kept it, s (MQTT 5 §3.3.2.3.3).
    pub(crate) expiry: Option<u32>,
    pub(crate) payload: &'a [u8],
    /// The broker kept it.
    pub(crate) retained: bool,
    /// The call at the panel of the topic.
    pub(crate) ring: Option<RingId>,
    pub(crate) target: Target,
    pub(crate) wall: Timestamp,
}

/// What holds for commands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) accept_untimed: bool,
    /// Who asks: the name of a key, or [`SUBJECT`].
    pub(crate) by: &'a str,
    /// Nothing opens without a code.
    pub(crate) code_needed: bool,
    /// Virtual bells may be pressed.
    pub(crate) press: bool,
    pub(crate) ttl: Duration,
}

/// A command for the core.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) request: CommandRequest,
    /// Why the core will refuse it, in words that fit MQTT; it is sent there all the same, for the journal.
    pub(crate) why_not: Option<String>,
}

impl Asked {
    /// As what the core will refuse it, if [`why_not`](Self::why_not) says why.
    pub(crate) const fn reason(&self) -> Refusal {
        if self.request.stale_by_transport {
            Refusal::Stale
        } else {
            Refusal::Untimed
        }
    }
}

/// A message that is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("at {found:?} is not an RFC 3339 time such as 2026-03-01T12:00:00Z")]
    At { found: String },
    #[error(
        "field \"code\" must be a text of 1 to 8 of 0-9, * and #, and stand beside \"open\" without \"ring_id\""
    )]
    Code,
    #[error(
        "field \"{field}\" has no meaning with {command}, which goes for more than that; nothing was done"
    )]
    Foreign {
        command: &'static str,
        field: &'static str,
    },
    #[error("here nothing opens without a code: send \"open\" with \"code\", or sign the command")]
    CodeNeeded,
    #[error(
        "field \"card\" must be a card: 26:FACILITY,NUMBER, BITS:hex:DIGITS or ibutton:SERIAL, such as 26:123,04567"
    )]
    Card,
    #[error("{command} is not a command here; {allowed}")]
    Command { command: String, allowed: &'static str },
    #[error(
        "the message is empty, which is no command; one is {{\"command\":…,\"id\":…,\"at\":…}}. If it was to clear \
         what the broker kept, nothing is wrong"
    )]
    Empty,
    #[error("id must have 1 to 64 visible ASCII characters")]
    Id,
    #[error(
        "not a JSON object with text fields \"command\", \"id\" and \"at\", and others that are known: {why}"
    )]
    Json { why: String },
    #[error("field \"minutes\" must be a number from 1 to {MAX_MINUTES}")]
    Minutes,
    #[error("field \"{field}\" is missing or is not a name")]
    Name { field: &'static str },
    #[error("no call is at this panel")]
    NoCall,
    #[error("topic and field \"{field}\" name different things")]
    Other { field: &'static str },
    #[error(
        "field \"state\" must be \"on\", \"off\" or \"toggle\", and \"for_s\" with \"on\" a number from 1 to 86400"
    )]
    State,
    #[error("field \"to\" must be \"both\", \"door\" or \"phone\"")]
    To,
    #[error("field \"ttl_s\" must be a number from 1 to {MAX_TTL}")]
    Ttl,
    #[error("{size} bytes are too long, at most {MAX_PAYLOAD} are allowed")]
    TooLong { size: usize },
}

impl Malformed {
    /// The word for programs.
    pub(crate) const fn reason(&self) -> Refusal {
        match self {
            Self::CodeNeeded => Refusal::Forbidden,
            Self::NoCall => Refusal::Unknown,
            Self::At { .. }
            | Self::Card
            | Self::Code
            | Self::Command { .. }
            | Self::Empty
            | Self::Foreign { .. }
            | Self::Id
            | Self::Json { .. }
            | Self::Minutes
            | Self::Name { .. }
            | Self::Other { .. }
            | Self::State
            | Self::To
            | Self::TooLong { .. }
            | Self::Ttl => Refusal::Malformed,
        }
    }
}

/// A message that could not be read, as a report for the journal. With more than one it is their number only.
pub(crate) fn report(id: CommandId, reason: Refusal, text: String, times: u64, by: &str) -> CommandRequest {
    CommandRequest {
        command: Command::Unread { reason, text, times },
        given: Given::Undated,
        id,
        origin: origin(false, by),
        stale_by_transport: false,
    }
}

fn origin(may_simulate: bool, by: &str) -> Origin {
    Origin {
        factor: Factor::Mqtt,
        may_simulate,
        subject: Subject::Integration(by.to_owned()),
    }
}

/// Reads a message. `made_id` is used where the client gave no id.
///
/// What cannot be news comes back with a reason and marked so that the core refuses it: a kept, repeated or old
/// one as stale, one without time or id as untimed unless the rules take those.
pub(crate) fn read(
    arrival: &Arrival<'_>,
    rules: Rules<'_>,
    made_id: &CommandId,
) -> Result<Asked, (Option<CommandId>, Malformed)> {
    let size = arrival.payload.len();
    if size > MAX_PAYLOAD {
        return Err((None, Malformed::TooLong { size }));
    }
    let payload = arrival.payload.trim_ascii();
    if payload.is_empty() {
        return Err((None, Malformed::Empty));
    }
    let wire = if payload.first() == Some(&b'{') {
        serde_json::from_slice(payload)
            .map_err(|e| (claimed(payload), Malformed::Json { why: e.to_string() }))?
    } else {
        plain(&arrival.target, payload).map_err(|e| (None, e))?
    };
    let id = wire.id.as_deref().map(CommandId::new);
    let known = id.clone().flatten();
    match judge(arrival, rules, made_id, &wire, id) {
        Ok(asked) => Ok(asked),
        Err(malformed) => Err((known, malformed)),
    }
}

/// The bare words that buttons and scripts send.
fn plain(target: &Target, payload: &[u8]) -> Result<Wire, Malformed> {
    let opens = [&b"OPEN"[..], b"UNLOCK", b"PRESS"].contains(&payload);
    if !(opens && matches!(target, Target::Door(_))) {
        let why = "neither an object nor OPEN at a door".to_owned();
        return Err(Malformed::Json { why });
    }
    Ok(Wire {
        command: "open".to_owned(),
        id: None,
        at: None,
        alarm: None,
        announcement: None,
        card: None,
        controller: None,
        code: None,
        door: None,
        panel: None,
        person: None,
        button: None,
        group: None,
        minutes: None,
        relay: None,
        ring_id: None,
        state: None,
        for_s: None,
        to: None,
        ttl_s: None,
    })
}

fn judge(
    arrival: &Arrival<'_>,
    rules: Rules<'_>,
    made_id: &CommandId,
    wire: &Wire,
    id: Option<Option<CommandId>>,
) -> Result<Asked, Malformed> {
    let command = command(arrival, wire)?;
    let opens = matches!(
        command,
        Command::Hold { .. }
            | Command::Open { .. }
            | Command::OpenFor { .. }
            | Command::RingToOpen { .. }
            | Command::SendCard { .. }
    );
    if opens && rules.code_needed {
        return Err(Malformed::CodeNeeded);
    }
    let id = id.map(|id| id.ok_or(Malformed::Id)).transpose()?;
    let at = wire.at.as_deref().map(time).transpose()?;

    let own = wire.ttl_s.map(ttl).transpose()?;
    let mut why_not = kept(arrival, at, rules.ttl, own);
    let stale_by_transport = why_not.is_some();
    let complete = id.is_some() && at.is_some();
    let mut at = at;
    if !complete && (!rules.accept_untimed || command.opens_for_minutes()) {
        // without an id a time proves nothing: the same message could come again
        at = None;
        why_not.get_or_insert_with(|| {
            let missing = if id.is_none() { "id" } else { "at" };
            format!("the command has no \"{missing}\"; send {{\"command\":…,\"id\":…,\"at\":…}}")
        });
    }
    Ok(Asked {
        request: CommandRequest {
            command,
            given: at.map_or(Given::Undated, Given::At),
            id: id.unwrap_or_else(|| made_id.clone()),
            origin: origin(rules.press, rules.by),
            stale_by_transport,
        },
        why_not,
    })
}

fn ttl(given: u64) -> Result<Duration, Malformed> {
    let good = (1..=MAX_TTL).contains(&given);
    good.then(|| Duration::from_secs(given)).ok_or(Malformed::Ttl)
}

fn time(text: &str) -> Result<Timestamp, Malformed> {
    text.parse().map_err(|_| Malformed::At {
        found: text.chars().take(40).collect(),
    })
}

/// Why the way of the message makes it old news. `own` is how long the sender says that it is good.
///
/// A broker of MQTT 5 takes the time for which a message waited there off its expiry (§3.3.2.3.3). What is left tells
/// nothing by itself; with `own`, which is what the sender set, the difference is how long it waited, whatever clocks say.
fn kept(
    arrival: &Arrival<'_>,
    at: Option<Timestamp>,
    ttl: Duration,
    own: Option<Duration>,
) -> Option<String> {
    if arrival.retained {
        return Some("the broker kept this command; publish it without retain".to_owned());
    }
    if arrival.dup {
        return Some("the broker sent this command again; give a new one".to_owned());
    }
    if arrival.expiry == Some(0) {
        return Some("the command expired on its way".to_owned());
    }
    let expiry = arrival.expiry.map(|left| Duration::from_secs(left.into()));
    let waited = own
        .zip(expiry)
        .map(|(own, left)| own.saturating_sub(left))
        .unwrap_or_default();
    let ttl = own.map_or(ttl, |own| own.min(ttl));
    let allowed = ttl.as_secs();
    if waited > ttl {
        let waited = waited.as_secs();
        return Some(format!(
            "the command waited {waited} s at a broker, allowed are {allowed} s"
        ));
    }
    let mut age = waited;
    if let Some(at) = at {
        if let Ok(ahead) = Duration::try_from(at.duration_since(arrival.wall)) {
            if ahead > CommandRequest::AHEAD {
                let (ahead, allowed) = (ahead.as_secs_f32(), CommandRequest::AHEAD.as_secs());
                return Some(format!(
                    "the command is dated {ahead:.1} s ahead, allowed are {allowed} s; compare the clocks"
                ));
            }
        } else if let Ok(since) = Duration::try_from(arrival.wall.duration_since(at)) {
            age = age.max(since);
        }
        if age > ttl {
            let age = age.as_secs();
            return Some(format!(
                "the command is {age} s old, allowed are {allowed} s; compare the clocks"
            ));
        }
    }
    // with a clean start nothing waits for us at the broker: it was kept further away
    (age > arrival.connected).then(|| "the command was given before the gateway connected".to_owned())
}

fn command(arrival: &Arrival<'_>, wire: &Wire) -> Result<Command, Malformed> {
    let target = &arrival.target;
    match (wire.command.as_str(), target) {
        ("open", Target::Door(_) | Target::Site) => {
            let door = name(target, &wire.door, "door", DoorId::new)?;
            Ok(match (ring_id(wire)?, &wire.code) {
                (Some(ring), None) => Command::OpenFor { door, ring },
                (None, None) => Command::Open { door },
                (None, Some(Code::Typed(code))) => Command::OpenWithCode {
                    code: code.clone(),
                    door,
                },
                (_, Some(_)) => return Err(Malformed::Code),
            })
        }
        ("hold", Target::Door(_) | Target::Site) => Ok(Command::Hold {
            door: name(target, &wire.door, "door", DoorId::new)?,
            time: minutes(wire.minutes)?,
        }),
        ("end-hold", Target::Door(_) | Target::Site) => Ok(Command::EndHold {
            door: name(target, &wire.door, "door", DoorId::new)?,
        }),
        ("press", Target::Panel(_) | Target::Site) => Ok(Command::Press {
            button: field(wire.button.as_deref(), "button", ButtonId::new)?,
            panel: name(target, &wire.panel, "panel", PanelId::new)?,
        }),
        ("call", Target::Panel(_) | Target::Site) => Ok(Command::Call {
            button: wire
                .button
                .as_deref()
                .map(|name| field(Some(name), "button", ButtonId::new))
                .transpose()?,
            panel: name(target, &wire.panel, "panel", PanelId::new)?,
        }),
        ("announce", Target::Panel(_) | Target::Site) => Ok(Command::Announce {
            announcement: field(wire.announcement.as_deref(), "announcement", AnnouncementId::new)?,
            panel: name(target, &wire.panel, "panel", PanelId::new)?,
            to: match wire.to.as_deref() {
                None => AnnounceTo::Door,
                Some(word) => AnnounceTo::from_word(word).ok_or(Malformed::To)?,
            },
        }),
        ("quiet", Target::Panel(_) | Target::Site) => Ok(Command::Quiet {
            panel: name(target, &wire.panel, "panel", PanelId::new)?,
            time: wire.minutes.map(|given| minutes(Some(given))).transpose()?,
        }),
        ("end-quiet", Target::Panel(_) | Target::Site) => Ok(Command::EndQuiet {
            panel: name(target, &wire.panel, "panel", PanelId::new)?,
        }),
        ("ring-to-open", Target::Panel(_) | Target::Site) => Ok(Command::RingToOpen {
            panel: name(target, &wire.panel, "panel", PanelId::new)?,
            time: minutes(wire.minutes)?,
        }),
        ("end-ring-to-open", Target::Panel(_) | Target::Site) => Ok(Command::EndRingToOpen {
            panel: name(target, &wire.panel, "panel", PanelId::new)?,
        }),
        ("lockdown", Target::Site) => {
            // as the mode of a door does it
            alone(wire, "lockdown", &["door", "group", "panel"])?;
            Ok(Command::Lockdown { group: group(wire)? })
        }
        ("end-lockdown", Target::Site) => {
            // as the mode of a door does it
            alone(wire, "end-lockdown", &["door", "group", "panel"])?;
            Ok(Command::EndLockdown { group: group(wire)? })
        }
        ("reset-fire", Target::Site) => {
            alone(wire, "reset-fire", &[])?;
            Ok(Command::ResetFire)
        }
        ("reset-passback", Target::Site) => {
            alone(wire, "reset-passback", &["person"])?;
            let person = wire.person.as_deref();
            let person = person.map(|name| field(Some(name), "person", PersonId::new));
            Ok(Command::ResetPassback {
                person: person.transpose()?,
            })
        }
        ("confirm-alarm", Target::Site) => Ok(Command::ConfirmAlarm {
            alarm: field(wire.alarm.as_deref(), "alarm", AlarmId::new)?,
        }),
        ("send-card", Target::Site) => {
            alone(wire, "send-card", &["card", "controller"])?;
            Ok(Command::SendCard {
                card: wire
                    .card
                    .as_deref()
                    .and_then(|text| card_frame(text).ok())
                    .ok_or(Malformed::Card)?,
                controller: field(wire.controller.as_deref(), "controller", ControllerId::new)?,
            })
        }
        ("set-relay", Target::Site) => Ok(Command::SetRelay {
            relay: field(wire.relay.as_deref(), "relay", RelayId::new)?,
            set: relay_set(wire)?,
        }),
        // who may write on a panel's topic ends its call and no other
        ("hang-up", Target::Panel(_)) => {
            let (own, named) = (arrival.ring, ring_id(wire)?);
            let own = own.filter(|own| named.is_none_or(|named| named == *own));
            let ring = own.ok_or(Malformed::NoCall)?;
            Ok(Command::HangUp { ring })
        }
        ("hang-up", Target::Site) => Ok(Command::HangUp {
            ring: ring_id(wire)?.ok_or(Malformed::Name { field: "ring_id" })?,
        }),
        (other, _) => Err(Malformed::Command {
            command: format!("{:?}", other.chars().take(20).collect::<String>()),
            allowed: match target {
                Target::Door(_) => "a door takes \"open\", \"hold\" and \"end-hold\"; it locks by itself",
                Target::Panel(_) => {
                    "a panel takes \"press\", \"call\", \"announce\", \"hang-up\", \"quiet\", \"end-quiet\", \"ring-to-open\" and \"end-ring-to-open\""
                }
                Target::Site => {
                    "the site takes \"open\", \"hold\", \"end-hold\", \"press\", \"call\", \"announce\", \"hang-up\", \"quiet\", \"end-quiet\", \"ring-to-open\", \"end-ring-to-open\", \"lockdown\", \"end-lockdown\", \"reset-fire\", \"reset-passback\", \"send-card\", \"set-relay\" and \"confirm-alarm\""
                }
            },
        }),
    }
}

/// The ring that is named; one that cannot be read is never the same as none.
fn ring_id(wire: &Wire) -> Result<Option<RingId>, Malformed> {
    let parsed = wire.ring_id.as_deref().map(RingId::parse);
    let ring = parsed.map(|ring| ring.ok_or(Malformed::Name { field: "ring_id" }));
    ring.transpose()
}

/// How a relay is set.
fn relay_set(wire: &Wire) -> Result<RelaySet, Malformed> {
    let longest = RelaySet::LONGEST.as_secs();
    match (wire.state.as_deref(), wire.for_s) {
        (Some("off"), None) => Ok(RelaySet::Off),
        (Some("on"), None) => Ok(RelaySet::On),
        (Some("on"), Some(time)) if (1..=longest).contains(&time) => {
            Ok(RelaySet::For(Duration::from_secs(time)))
        }
        (Some("toggle"), None) => Ok(RelaySet::Toggle),
        _ => Err(Malformed::State),
    }
}

/// For how long a door is held open, or a panel is quiet or lets in who rings.
fn minutes(given: Option<u64>) -> Result<Duration, Malformed> {
    let given = given.filter(|minutes| (1..=MAX_MINUTES).contains(minutes));
    given
        .map(|minutes| Duration::from_secs(minutes * 60))
        .ok_or(Malformed::Minutes)
}

/// Refuses what names something that a command for the whole site does not look at: who wrote it meant less.
fn alone(wire: &Wire, command: &'static str, own: &[&str]) -> Result<(), Malformed> {
    let given = [
        ("alarm", wire.alarm.is_some()),
        ("announcement", wire.announcement.is_some()),
        ("button", wire.button.is_some()),
        ("card", wire.card.is_some()),
        ("controller", wire.controller.is_some()),
        ("code", wire.code.is_some()),
        ("door", wire.door.is_some()),
        ("for_s", wire.for_s.is_some()),
        ("group", wire.group.is_some()),
        ("minutes", wire.minutes.is_some()),
        ("panel", wire.panel.is_some()),
        ("person", wire.person.is_some()),
        ("relay", wire.relay.is_some()),
        ("ring_id", wire.ring_id.is_some()),
        ("state", wire.state.is_some()),
        ("to", wire.to.is_some()),
    ];
    let foreign = given.iter().find(|(field, is)| *is && !own.contains(field));
    foreign.map_or(Ok(()), |(field, _)| Err(Malformed::Foreign { command, field }))
}

/// The group of a lockdown; `None` is the whole site. Who names a door or a panel alone did not mean that.
fn group(wire: &Wire) -> Result<Option<DoorGroupId>, Malformed> {
    if wire.group.is_none() && (wire.door.is_some() || wire.panel.is_some()) {
        return Err(Malformed::Name { field: "group" });
    }
    let named = wire.group.as_deref();
    let made = named.map(|name| field(Some(name), "group", DoorGroupId::new));
    made.transpose()
}

fn field<T, E>(
    text: Option<&str>,
    name: &'static str,
    make: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Malformed> {
    text.and_then(|text| make(text).ok())
        .ok_or(Malformed::Name { field: name })
}

/// The name in the topic, or for the site's topic that in the field; both must agree where both are given.
fn name<T: PartialEq, E>(
    target: &Target,
    given: &Option<String>,
    what: &'static str,
    make: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Malformed> {
    let by_topic = match target {
        Target::Door(id) | Target::Panel(id) => Some(id.as_str()),
        Target::Site => None,
    };
    if let (Some(topic), Some(given)) = (by_topic, given)
        && topic != given
    {
        return Err(Malformed::Other { field: what });
    }
    field(by_topic.or(given.as_deref()), what, make)
}

/// The answer to a command.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Answer"))]
pub(crate) struct Wording<'a> {
    /// Of the command; null if it had none that could be read.
    id: Option<&'a str>,
    /// `ok` or `refused`.
    status: &'static str,
    /// Why it was refused, a word for programs.
    reason: Option<&'a str>,
    /// Why, and what to do.
    error: Option<&'a str>,
    /// Number of the record of what was done.
    seq: Option<u64>,
    /// The ring that a press began, or the call.
    ring_id: Option<String>,
}

impl Wording<'_> {
    fn text(&self) -> String {
        serde_json::to_string(self).expect("plain fields and text keys only")
    }
}

/// The answer the core gave.
pub(crate) fn answer(asked: &Asked, reply: &CommandReply) -> String {
    let id = Some(asked.request.id.as_str());
    match reply {
        CommandReply::Accepted { ring, seq } => Wording {
            id,
            status: "ok",
            reason: None,
            error: None,
            seq: Some(seq.0),
            ring_id: ring.map(|ring| ring.to_string()),
        },
        CommandReply::Refused { reason, text } => {
            // ours names the cause more exactly where both mean the same
            let ours = asked.why_not.as_deref();
            let same = matches!(reason, Refusal::Stale | Refusal::Untimed);
            Wording {
                id,
                status: "refused",
                reason: Some(reason.word()),
                error: Some(ours.filter(|_| same).unwrap_or(text)),
                seq: None,
                ring_id: None,
            }
        }
    }
    .text()
}

/// The answer to what did not reach the core.
pub(crate) fn refusal(id: Option<&str>, reason: &str, error: &str) -> String {
    Wording {
        id,
        status: "refused",
        reason: Some(reason),
        error: Some(error),
        seq: None,
        ring_id: None,
    }
    .text()
}

#[cfg(test)]
mod tests;
