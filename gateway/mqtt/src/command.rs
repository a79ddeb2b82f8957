//! Commands: reading what a stranger sent, deciding whether it can be news, and the text of the answer. Pure.

use std::time::Duration;

use gateway_core::{
    AlarmId, ButtonId, Command, CommandId, CommandReply, CommandRequest, DoorGroupId, DoorId, Factor, Given,
    Origin, PanelId, PersonId, Refusal, RelayId, RelaySet, RingId, Subject, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::topics::Target;

/// Longest command in bytes.
pub(crate) const MAX_PAYLOAD: usize = 1024;
/// Longest time for which a door can be held open: a day.
const MAX_MINUTES: u64 = 1440;
/// Longest time for which a command can be good, s: as `command-ttl-s`.
const MAX_TTL: u64 = 60;
/// Name under which MQTT clients stand in the journal: the broker does not tell us who published.
const SUBJECT: &str = "mqtt";

/// A value that is given and empty: a client that lost what it meant does not mean anybody.
fn never_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(Some(text.unwrap_or_default()))
}

/// What a command looks like on the wire.
#[derive(Deserialize)]
struct Wire {
    command: String,
    id: Option<String>,
    at: Option<String>,
    alarm: Option<String>,
    door: Option<String>,
    panel: Option<String>,
    person: Option<String>,
    button: Option<String>,
    group: Option<String>,
    minutes: Option<u64>,
    relay: Option<String>,
    #[serde(default, deserialize_with = "never_null")]
    ring_id: Option<String>,
    state: Option<String>,
    for_s: Option<u64>,
    /// How long the command is good, s.
    ttl_s: Option<u64>,
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
pub(crate) struct Rules {
    pub(crate) accept_untimed: bool,
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
    #[error("{command} is not a command here; {allowed}")]
    Command { command: String, allowed: &'static str },
    #[error(
        "the message is empty, which is no command; one is {{\"command\":…,\"id\":…,\"at\":…}}. If it was to clear \
         what the broker kept, nothing is wrong"
    )]
    Empty,
    #[error("id must have 1 to 64 visible ASCII characters")]
    Id,
    #[error("not a JSON object with text fields \"command\", \"id\" and \"at\": {why}")]
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
    #[error("field \"ttl_s\" must be a number from 1 to {MAX_TTL}")]
    Ttl,
    #[error("{size} bytes are too long, at most {MAX_PAYLOAD} are allowed")]
    TooLong { size: usize },
}

impl Malformed {
    /// The word for programs.
    pub(crate) const fn reason(&self) -> Refusal {
        match self {
            Self::NoCall => Refusal::Unknown,
            Self::At { .. }
            | Self::Command { .. }
            | Self::Empty
            | Self::Id
            | Self::Json { .. }
            | Self::Minutes
            | Self::Name { .. }
            | Self::Other { .. }
            | Self::State
            | Self::TooLong { .. }
            | Self::Ttl => Refusal::Malformed,
        }
    }
}

/// A message that could not be read, as a report for the journal. With more than one it is their number only.
pub(crate) fn report(id: CommandId, reason: Refusal, text: String, times: u64) -> CommandRequest {
    CommandRequest {
        command: Command::Unread { reason, text, times },
        given: Given::Undated,
        id,
        origin: origin(false),
        stale_by_transport: false,
    }
}

fn origin(may_simulate: bool) -> Origin {
    Origin {
        factor: Factor::Mqtt,
        may_simulate,
        subject: Subject::Integration(SUBJECT.to_owned()),
    }
}

/// Reads a message. `made_id` is used where the client gave no id.
///
/// What cannot be news comes back with a reason and marked so that the core refuses it: a kept, repeated or old
/// one as stale, one without time or id as untimed unless the rules take those.
pub(crate) fn read(
    arrival: &Arrival<'_>,
    rules: Rules,
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
        serde_json::from_slice(payload).map_err(|e| (None, Malformed::Json { why: e.to_string() }))?
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
        ttl_s: None,
    })
}

fn judge(
    arrival: &Arrival<'_>,
    rules: Rules,
    made_id: &CommandId,
    wire: &Wire,
    id: Option<Option<CommandId>>,
) -> Result<Asked, Malformed> {
    let command = command(arrival, wire)?;
    let id = id.map(|id| id.ok_or(Malformed::Id)).transpose()?;
    let at = wire.at.as_deref().map(time).transpose()?;

    let own = wire.ttl_s.map(ttl).transpose()?;
    let mut why_not = kept(arrival, at, rules.ttl, own);
    let stale_by_transport = why_not.is_some();
    let complete = id.is_some() && at.is_some();
    let mut at = at;
    if !complete && !rules.accept_untimed {
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
            origin: origin(rules.press),
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
    let waited = own.zip(expiry).map(|(own, left)| own.saturating_sub(left)).unwrap_or_default();
    let ttl = own.map_or(ttl, |own| own.min(ttl));
    let allowed = ttl.as_secs();
    if waited > ttl {
        let waited = waited.as_secs();
        return Some(format!("the command waited {waited} s at a broker, allowed are {allowed} s"));
    }
    let mut age = waited;
    if let Some(at) = at {
        if let Ok(ahead) = Duration::try_from(at.duration_since(arrival.wall)) {
            if ahead > ttl {
                let ahead = ahead.as_secs();
                return Some(format!(
                    "the command is dated {ahead} s ahead, allowed are {allowed} s; compare the clocks"
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
            Ok(match ring_id(wire)? {
                Some(ring) => Command::OpenFor { door, ring },
                None => Command::Open { door },
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
        ("quiet", Target::Panel(_) | Target::Site) => Ok(Command::Quiet {
            panel: name(target, &wire.panel, "panel", PanelId::new)?,
            time: wire.minutes.map(|given| minutes(Some(given))).transpose()?,
        }),
        ("end-quiet", Target::Panel(_) | Target::Site) => Ok(Command::EndQuiet {
            panel: name(target, &wire.panel, "panel", PanelId::new)?,
        }),
        ("lockdown", Target::Site) => Ok(Command::Lockdown { group: group(wire)? }),
        ("end-lockdown", Target::Site) => Ok(Command::EndLockdown { group: group(wire)? }),
        ("reset-passback", Target::Site) => Ok(Command::ResetPassback {
            person: wire
                .person
                .as_deref()
                .map(|name| field(Some(name), "person", PersonId::new))
                .transpose()?,
        }),
        ("confirm-alarm", Target::Site) => Ok(Command::ConfirmAlarm {
            alarm: field(wire.alarm.as_deref(), "alarm", AlarmId::new)?,
        }),
        ("set-relay", Target::Site) => Ok(Command::SetRelay {
            relay: field(wire.relay.as_deref(), "relay", RelayId::new)?,
            set: relay_set(wire)?,
        }),
        ("hang-up", Target::Panel(_)) if wire.ring_id.is_none() => Ok(Command::HangUp {
            ring: arrival.ring.ok_or(Malformed::NoCall)?,
        }),
        ("hang-up", _) => Ok(Command::HangUp {
            ring: ring_id(wire)?.ok_or(Malformed::Name { field: "ring_id" })?,
        }),
        (other, _) => Err(Malformed::Command {
            command: format!("{:?}", other.chars().take(20).collect::<String>()),
            allowed: match target {
                Target::Door(_) => "a door takes \"open\", \"hold\" and \"end-hold\"; it locks by itself",
                Target::Panel(_) => "a panel takes \"press\", \"hang-up\", \"quiet\" and \"end-quiet\"",
                Target::Site => {
                    "the site takes \"open\", \"hold\", \"end-hold\", \"press\", \"hang-up\", \"quiet\", \"end-quiet\", \"lockdown\", \"end-lockdown\", \"reset-passback\", \"set-relay\" and \"confirm-alarm\""
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

/// For how long a door is held open, or a panel is quiet.
fn minutes(given: Option<u64>) -> Result<Duration, Malformed> {
    let given = given.filter(|minutes| (1..=MAX_MINUTES).contains(minutes));
    given
        .map(|minutes| Duration::from_secs(minutes * 60))
        .ok_or(Malformed::Minutes)
}

/// The group of doors of a lockdown; none is the whole site.
fn group(wire: &Wire) -> Result<Option<DoorGroupId>, Malformed> {
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

#[derive(Serialize)]
struct Wording<'a> {
    id: Option<&'a str>,
    status: &'static str,
    reason: Option<&'a str>,
    error: Option<&'a str>,
    seq: Option<u64>,
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
mod tests {
    use super::*;
    use gateway_core::Seq;
    use proptest::prelude::*;

    const RULES: Rules = Rules {
        accept_untimed: false,
        press: false,
        ttl: Duration::from_secs(10),
    };
    const WALL: &str = "2026-03-01T12:00:00Z";

    fn made() -> CommandId {
        CommandId::new("made").expect("an id")
    }

    fn door() -> Target {
        Target::Door("front".into())
    }

    fn arrival(target: Target, payload: &[u8]) -> Arrival<'_> {
        Arrival {
            connected: Duration::from_secs(3600),
            dup: false,
            expiry: None,
            payload,
            retained: false,
            ring: None,
            target,
            wall: WALL.parse().expect("a time"),
        }
    }

    fn check(target: Target, payload: &str) -> Result<Asked, String> {
        read(&arrival(target, payload.as_bytes()), RULES, &made()).map_err(|(_, e)| e.to_string())
    }

    /// Would the core's rules take it as news?
    fn is_news(asked: &Asked) -> bool {
        !asked.request.stale_by_transport && asked.request.given != Given::Undated
    }

    #[test]
    fn a_complete_command_is_news() {
        let text = r#"{"command":"open","id":"a1","at":"2026-03-01T11:59:55.5+00:00","later":[1]}"#;
        let asked = check(door(), text).expect("a command");
        assert!(is_news(&asked));
        assert_eq!(asked.why_not, None);
        assert_eq!(asked.request.id.as_str(), "a1");
        assert_eq!(asked.request.origin.factor, Factor::Mqtt);
        assert_eq!(asked.request.origin.subject.to_string(), "integration:mqtt");
        let front = DoorId::new("front").expect("a name");
        assert_eq!(asked.request.command, Command::Open { door: front.clone() });
        let site = r#"{"command":"open","door":"front","id":"a1","at":"2026-03-01T12:00:00Z"}"#;
        assert_eq!(
            check(Target::Site, site).expect("a command").request.command,
            Command::Open { door: front.clone() }
        );
        let ring = "01990000-0000-7707-8707-070707070707";
        let visitor =
            format!(r#"{{"command":"open","ring_id":"{ring}","id":"a1","at":"2026-03-01T12:00:00Z"}}"#);
        let ring = RingId::parse(ring).expect("a ring");
        assert_eq!(
            check(door(), &visitor).expect("a command").request.command,
            Command::OpenFor { door: front, ring }
        );
    }

    #[test]
    fn press_and_hang_up_are_read_from_their_topics() {
        let press = r#"{"command":"press","button":"bell","id":"a","at":"2026-03-01T12:00:00Z"}"#;
        let asked = check(Target::Panel("main".into()), press).expect("a command");
        assert_eq!(asked.request.command.verb(), "press");
        assert!(!asked.request.origin.may_simulate);
        let hang_up = r#"{"command":"hang-up","ring_id":"01990000-0000-7707-8707-070707070707","id":"a","at":"2026-03-01T12:00:00Z"}"#;
        let asked = check(Target::Site, hang_up).expect("a command");
        assert_eq!(asked.request.command.verb(), "hang-up");
    }

    #[test]
    fn a_lockdown_is_of_the_site_or_of_a_group() {
        let check = |target, body: &str| {
            let text = format!(r#"{{{body},"id":"a","at":"2026-03-01T12:00:00Z"}}"#);
            check(target, &text).map(|asked| asked.request.command)
        };
        let group = DoorGroupId::new("lobby").ok();
        let site = |body| check(Target::Site, body);
        assert_eq!(
            site(r#""command":"lockdown""#),
            Ok(Command::Lockdown { group: None })
        );
        assert_eq!(
            site(r#""command":"lockdown","group":"lobby""#),
            Ok(Command::Lockdown { group: group.clone() })
        );
        assert_eq!(
            site(r#""command":"end-lockdown","group":"lobby""#),
            Ok(Command::EndLockdown { group })
        );
        assert_eq!(
            site(r#""command":"reset-passback","person":"alice""#),
            Ok(Command::ResetPassback {
                person: PersonId::new("alice").ok()
            })
        );
        assert_eq!(
            site(r#""command":"confirm-alarm","alarm":"intrusion""#),
            Ok(Command::ConfirmAlarm {
                alarm: AlarmId::new("intrusion").expect("a name")
            })
        );
        assert!(site(r#""command":"confirm-alarm""#).is_err());
        assert!(site(r#""command":"reset-passback","person":"A/""#).is_err());
        // a group that is none must not become the whole site
        assert!(site(r#""command":"end-lockdown","group":"Lobby/""#).is_err());
        assert!(check(door(), r#""command":"end-lockdown""#).is_err());
    }

    #[test]
    fn a_relay_is_set_by_the_site_and_for_no_longer_than_a_day() {
        let check = |target, body: &str| {
            let text = format!(r#"{{"command":"set-relay",{body},"id":"a","at":"2026-03-01T12:00:00Z"}}"#);
            check(target, &text).map(|asked| asked.request.command)
        };
        let relay = RelayId::new("siren").expect("a name");
        for (body, set) in [
            (r#""state":"on""#, RelaySet::On),
            (r#""state":"off""#, RelaySet::Off),
            (r#""state":"toggle""#, RelaySet::Toggle),
            (r#""state":"on","for_s":86400"#, RelaySet::For(RelaySet::LONGEST)),
        ] {
            let relay = relay.clone();
            let asked = check(Target::Site, &format!(r#""relay":"siren",{body}"#));
            assert_eq!(asked, Ok(Command::SetRelay { relay, set }), "{body}");
        }
        for body in [
            r#""relay":"siren""#,
            r#""state":"on""#,
            r#""relay":"siren","state":"open""#,
            r#""relay":"siren","state":"on","for_s":0"#,
            r#""relay":"siren","state":"on","for_s":86401"#,
            r#""relay":"siren","state":"off","for_s":5"#,
        ] {
            assert!(check(Target::Site, body).is_err(), "{body}");
        }
        assert!(check(door(), r#""relay":"siren","state":"on""#).is_err());
    }

    #[test]
    fn a_door_is_held_open_for_some_minutes() {
        let check = |target, body: &str| {
            let text = format!(r#"{{{body},"id":"a","at":"2026-03-01T12:00:00Z"}}"#);
            check(target, &text).map(|asked| asked.request.command)
        };
        let front = DoorId::new("front").expect("a name");
        let hold = Command::Hold {
            door: front.clone(),
            time: Duration::from_secs(1800),
        };
        assert_eq!(
            check(door(), r#""command":"hold","minutes":30"#),
            Ok(hold.clone())
        );
        let at_site = r#""command":"hold","door":"front","minutes":30"#;
        assert_eq!(check(Target::Site, at_site), Ok(hold));
        assert_eq!(
            check(door(), r#""command":"end-hold""#),
            Ok(Command::EndHold { door: front })
        );
        for bad in ["", r#","minutes":0"#, r#","minutes":1441"#] {
            let said = check(door(), &format!(r#""command":"hold"{bad}"#)).expect_err(bad);
            assert!(
                said.contains("\"minutes\" must be a number from 1 to 1440"),
                "{said}"
            );
        }
        assert!(check(door(), r#""command":"hold","minutes":"long""#).is_err());
        let main = || Target::Panel("main".into());
        let panel = PanelId::new("main").expect("a name");
        let time = Some(Duration::from_secs(3600));
        for (target, text, wanted) in [
            (
                main(),
                r#""command":"quiet""#,
                Command::Quiet {
                    panel: panel.clone(),
                    time: None,
                },
            ),
            (
                main(),
                r#""command":"quiet","minutes":60"#,
                Command::Quiet {
                    panel: panel.clone(),
                    time,
                },
            ),
            (
                main(),
                r#""command":"end-quiet""#,
                Command::EndQuiet { panel: panel.clone() },
            ),
            (
                Target::Site,
                r#""command":"end-quiet","panel":"main""#,
                Command::EndQuiet { panel },
            ),
        ] {
            assert_eq!(check(target, text), Ok(wanted), "{text}");
        }
        for bad in [
            r#""command":"quiet","minutes":0"#,
            r#""command":"quiet","minutes":1441"#,
        ] {
            assert!(check(main(), bad).is_err(), "{bad}");
        }
        assert!(check(Target::Site, r#""command":"quiet""#).is_err());
        assert!(check(Target::Panel("main".into()), r#""command":"hold","minutes":5"#).is_err());
    }

    #[test]
    fn a_panel_hangs_up_its_own_call_and_is_pressed_only_where_that_is_set() {
        let panel = || Target::Panel("main".into());
        let hang_up = r#"{"command":"hang-up","id":"a","at":"2026-03-01T12:00:00Z"}"#;
        let quiet = read(&arrival(panel(), hang_up.as_bytes()), RULES, &made());
        let (id, malformed) = quiet.expect_err("no call");
        assert_eq!((id, malformed.reason()), (CommandId::new("a"), Refusal::Unknown));
        let ring = RingId::parse("01990000-0000-7707-8707-070707070707");
        let busy = Arrival {
            ring,
            ..arrival(panel(), hang_up.as_bytes())
        };
        let asked = read(&busy, RULES, &made()).expect("a command");
        let ring = ring.expect("a ring");
        assert_eq!(asked.request.command, Command::HangUp { ring });
        // elsewhere the ring must be named
        assert!(check(Target::Site, hang_up).is_err());

        let press = r#"{"command":"press","button":"bell","id":"a","at":"2026-03-01T12:00:00Z"}"#;
        let may = Rules { press: true, ..RULES };
        let asked = read(&arrival(panel(), press.as_bytes()), may, &made()).expect("a command");
        assert!(asked.request.origin.may_simulate);
    }

    #[test]
    fn old_kept_repeated_and_early_commands_are_marked_stale() {
        let stale = |change: &dyn Fn(&mut Arrival<'_>), at: &str| {
            let text = format!(r#"{{"command":"open","id":"a","at":"{at}"}}"#);
            let mut arrival = arrival(door(), text.as_bytes());
            change(&mut arrival);
            let asked = read(&arrival, RULES, &made()).expect("a command");
            assert_eq!(asked.request.stale_by_transport, asked.why_not.is_some());
            asked.why_not
        };
        assert_eq!(stale(&|_| (), "2026-03-01T11:59:50Z"), None);
        assert_eq!(stale(&|_| (), "2026-03-01T12:00:10Z"), None);
        let old = stale(&|_| (), "2026-03-01T11:59:49Z").expect("stale");
        assert_eq!(
            old,
            "the command is 11 s old, allowed are 10 s; compare the clocks"
        );
        let ahead = stale(&|_| (), "2026-03-01T12:01:00Z").expect("stale");
        assert_eq!(
            ahead,
            "the command is dated 60 s ahead, allowed are 10 s; compare the clocks"
        );
        let early = |a: &mut Arrival<'_>| a.connected = Duration::from_secs(2);
        assert_eq!(stale(&early, "2026-03-01T11:59:58Z"), None);
        assert!(stale(&early, "2026-03-01T11:59:57Z").is_some());
        assert!(stale(&|a| a.retained = true, WALL).is_some());
        assert!(stale(&|a| a.dup = true, WALL).is_some());
        assert_eq!(stale(&|a| a.expiry = Some(1), WALL), None);
        assert_eq!(
            stale(&|a| a.expiry = Some(0), WALL).as_deref(),
            Some("the command expired on its way")
        );
    }

    #[test]
    fn a_sender_says_how_long_its_command_is_good_and_the_broker_how_long_it_waited() {
        let stale = |fields: &str, expiry, connected| {
            let text = format!(r#"{{"command":"open","id":"a",{fields}}}"#);
            let arrival = Arrival {
                connected: Duration::from_secs(connected),
                expiry,
                ..arrival(door(), text.as_bytes())
            };
            let untimed = Rules {
                accept_untimed: true,
                ..RULES
            };
            read(&arrival, untimed, &made()).expect("a command").why_not
        };
        let timed = |seconds: u32, ttl_s: u32| {
            format!(r#""at":"2026-03-01T11:59:{:02}Z","ttl_s":{ttl_s}"#, 60 - seconds)
        };
        assert_eq!(stale(&timed(5, 5), None, 100), None);
        assert_eq!(
            stale(&timed(6, 5), None, 100).as_deref(),
            Some("the command is 6 s old, allowed are 5 s; compare the clocks")
        );
        // longer than the site allows is no longer than the site allows
        assert!(stale(&timed(11, 60), None, 100).is_some());
        // the sender's clock is ahead, the broker knows better
        assert_eq!(stale(&timed(1, 60), Some(51), 100), None);
        assert_eq!(
            stale(&timed(1, 60), Some(40), 100).as_deref(),
            Some("the command waited 20 s at a broker, allowed are 10 s")
        );
        assert_eq!(stale(r#""ttl_s":8"#, Some(5), 100), None);
        assert!(stale(r#""ttl_s":8"#, Some(5), 2).is_some(), "from before the connection");
        assert!(stale(r#""ttl_s":30"#, Some(15), 100).is_some());
        assert_eq!(stale(r#""ttl_s":5"#, Some(50), 100), None, "no more than it says");
        for bad in ["0", "61"] {
            assert!(check(door(), &format!(r#"{{"command":"open","ttl_s":{bad}}}"#)).is_err());
        }
    }

    #[test]
    fn without_time_or_id_only_the_option_lets_a_command_be_news() {
        let untimed = Rules {
            accept_untimed: true,
            ..RULES
        };
        for text in [
            r#"{"command":"open"}"#,
            r#"{"command":"open","id":"a"}"#,
            r#"{"command":"open","at":"2026-03-01T12:00:00Z"}"#,
            r#"{"command":"open","id":null,"at":null}"#,
            "OPEN",
            " UNLOCK\n",
            "PRESS",
        ] {
            let asked = check(door(), text).expect("a command");
            assert!(!is_news(&asked), "{text}");
            assert!(
                asked.request.given == Given::Undated && asked.why_not.is_some(),
                "{text}"
            );
            let mut arrival = arrival(door(), text.as_bytes());
            let asked = read(&arrival, untimed, &made()).expect("a command");
            assert!(!asked.request.stale_by_transport, "{text}");
            assert_eq!(asked.why_not, None, "{text}");
            arrival.retained = true;
            let asked = read(&arrival, untimed, &made()).expect("a command");
            assert!(asked.request.stale_by_transport, "{text}");
        }
        // a time that is there still counts
        let old = r#"{"command":"open","at":"2026-03-01T11:00:00Z"}"#;
        let asked = read(&arrival(door(), old.as_bytes()), untimed, &made()).expect("a command");
        assert!(asked.request.stale_by_transport);
    }

    #[test]
    fn what_is_no_command_says_why() {
        let cases = [
            (
                door(),
                "",
                "the message is empty, which is no command; one is {\"command\":…,\"id\":…,\"at\":…}. If it was to clear what the broker kept, nothing is wrong",
            ),
            (
                door(),
                "open",
                "not a JSON object with text fields \"command\", \"id\" and \"at\": neither an object nor OPEN at a door",
            ),
            (
                Target::Panel("main".into()),
                "PRESS",
                "not a JSON object with text fields \"command\", \"id\" and \"at\": neither an object nor OPEN at a door",
            ),
            (
                door(),
                r#"{"command":"lock","id":"a","at":"2026-03-01T12:00:00Z"}"#,
                "\"lock\" is not a command here; a door takes \"open\", \"hold\" and \"end-hold\"; it locks by itself",
            ),
            (
                door(),
                r#"{"command":"open","id":"","at":"2026-03-01T12:00:00Z"}"#,
                "id must have 1 to 64 visible ASCII characters",
            ),
            (
                door(),
                r#"{"command":"open","id":"a","at":"noon"}"#,
                "at \"noon\" is not an RFC 3339 time such as 2026-03-01T12:00:00Z",
            ),
            (
                door(),
                r#"{"command":"open","door":"back","id":"a","at":"2026-03-01T12:00:00Z"}"#,
                "topic and field \"door\" name different things",
            ),
            (
                Target::Door("Front".into()),
                r#"{"command":"open","id":"a","at":"2026-03-01T12:00:00Z"}"#,
                "field \"door\" is missing or is not a name",
            ),
            (
                Target::Site,
                r#"{"command":"open","id":"a","at":"2026-03-01T12:00:00Z"}"#,
                "field \"door\" is missing or is not a name",
            ),
            (
                Target::Panel("main".into()),
                r#"{"command":"press","id":"a","at":"2026-03-01T12:00:00Z"}"#,
                "field \"button\" is missing or is not a name",
            ),
            // a ring that cannot be read must not become an opening for anybody
            (
                door(),
                r#"{"command":"open","ring_id":"","id":"a","at":"2026-03-01T12:00:00Z"}"#,
                "field \"ring_id\" is missing or is not a name",
            ),
            (
                door(),
                r#"{"command":"open","ring_id":null,"id":"a","at":"2026-03-01T12:00:00Z"}"#,
                "field \"ring_id\" is missing or is not a name",
            ),
            (
                Target::Site,
                r#"{"command":"hang-up","ring_id":"x","id":"a","at":"2026-03-01T12:00:00Z"}"#,
                "field \"ring_id\" is missing or is not a name",
            ),
        ];
        for (target, text, expected) in cases {
            assert_eq!(check(target, text), Err(expected.to_owned()), "{text}");
        }
        let deep = format!("{{\"command\":{}", "[".repeat(900));
        assert!(check(door(), &deep).is_err());
        let twice = r#"{"command":"open","command":"open","id":"a","at":"2026-03-01T12:00:00Z"}"#;
        assert!(check(door(), twice).is_err());
        let long = "x".repeat(MAX_PAYLOAD + 1);
        assert_eq!(
            check(door(), &long),
            Err("1025 bytes are too long, at most 1024 are allowed".to_owned())
        );
    }

    #[test]
    fn the_exact_texts_of_answers() {
        let text = r#"{"command":"open","id":"a1","at":"2026-03-01T12:00:00Z"}"#;
        let mut asked = check(door(), text).expect("a command");
        let ring = RingId::parse("01990000-0000-7707-8707-070707070707");
        assert_eq!(
            answer(&asked, &CommandReply::Accepted { ring, seq: Seq(12) }),
            r#"{"id":"a1","status":"ok","reason":null,"error":null,"seq":12,"ring_id":"01990000-0000-7707-8707-070707070707"}"#
        );
        let refused = |reason| CommandReply::Refused {
            reason,
            text: "by the core".into(),
        };
        assert_eq!(
            answer(&asked, &refused(Refusal::Duplicate)),
            r#"{"id":"a1","status":"refused","reason":"duplicate","error":"by the core","seq":null,"ring_id":null}"#
        );
        asked.why_not = Some("by the broker".into());
        assert_eq!(
            answer(&asked, &refused(Refusal::Stale)),
            r#"{"id":"a1","status":"refused","reason":"stale","error":"by the broker","seq":null,"ring_id":null}"#
        );
        assert_eq!(
            refusal(None, "malformed", "no \"id\""),
            r#"{"id":null,"status":"refused","reason":"malformed","error":"no \"id\"","seq":null,"ring_id":null}"#
        );
    }

    /// A fuzz target: any bytes on any command topic.
    fn fuzz_command(data: &[u8]) {
        for target in [door(), Target::Panel("main".into()), Target::Site] {
            for (retained, dup) in [(false, false), (true, false), (false, true)] {
                let arrival = Arrival {
                    retained,
                    dup,
                    ..arrival(target.clone(), data)
                };
                if let Ok(asked) = read(&arrival, RULES, &made()) {
                    if retained || dup {
                        assert!(asked.request.stale_by_transport);
                    }
                    if is_news(&asked) {
                        let Given::At(at) = asked.request.given else {
                            panic!("news has a time");
                        };
                        let age = arrival.wall.duration_since(at);
                        assert!(age.unsigned_abs() <= RULES.ttl);
                        assert_ne!(asked.request.id, made());
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(data in proptest::collection::vec(any::<u8>(), 0..1200)) {
            fuzz_command(&data);
        }

        #[test]
        fn nothing_untimed_kept_or_old_is_ever_news(
            command in prop_oneof![Just("open".to_owned()), Just("press".to_owned()), ".{0,8}"],
            id in proptest::option::of(prop_oneof![Just("a1".to_owned()), ".{0,70}"]),
            seconds in proptest::option::of(-40i64..40),
            door in proptest::option::of(prop_oneof![Just("front".to_owned()), ".{0,5}"]),
        ) {
            let wall: Timestamp = WALL.parse().expect("a time");
            let at = seconds.map(|s| (wall + jiff::SignedDuration::from_secs(s)).to_string());
            let value = serde_json::json!({
                "command": command, "id": id, "at": at, "door": door, "button": "bell", "panel": "main",
            });
            fuzz_command(value.to_string().as_bytes());
        }
    }
}
