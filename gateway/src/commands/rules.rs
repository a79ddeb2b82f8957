//! `doorline rules`: what the rules of a site file make of an event. Nothing is done, and no gateway is asked.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use gateway_access::InForce;
use gateway_config::{Config, StateWord};
use gateway_core::{
    Clock as _, DoorId, Escape, Event, GroupId, InputId, Instant, Record, RingId, SCHEMA, Seq, Timestamp,
    Value,
};
use gateway_site::rules::{Action, DoorIs, Engine, Facts, Outcome, State};
use gateway_site::{Schedules, When};

use crate::cli::{Rules, RulesAct, TryRules, exit};
use crate::clock::SystemClock;
use crate::commands::{out, site};
use crate::run::params;
use crate::run::people::time_of;

/// Time between events of `--times`.
const APART: Duration = Duration::from_secs(1);

/// Runs one act.
pub(super) fn rules(args: &Rules) -> anyhow::Result<u8> {
    let config = site::load(&args.site.config)?;
    match &args.act {
        RulesAct::Try(ask) => try_out(&config, ask),
    }
}

/// The site as it is assumed to be.
struct Assumed {
    at: Timestamp,
    groups: BTreeSet<GroupId>,
    schedules: Schedules,
    states: Vec<State>,
}

impl Facts for Assumed {
    fn in_force(&self, when: &When) -> InForce {
        self.schedules.look(when, Some(self.at))
    }

    fn is_so(&self, state: &State) -> Option<bool> {
        self.states.iter().find_map(|given| match (given, state) {
            (State::Input(a, given), State::Input(b, wanted)) if a == b => Some(given == wanted),
            (State::Door(a, given), State::Door(b, wanted)) if a == b => {
                let contact = |is: &DoorIs| matches!(is, DoorIs::Open | DoorIs::Shut);
                (contact(given) == contact(wanted)).then_some(given == wanted)
            }
            (State::Door(..) | State::Input(..), _) => None,
        })
    }

    fn is_in(&self, _subject: &str, group: &GroupId) -> bool {
        self.groups.contains(group)
    }
}

fn try_out(config: &Config, ask: &TryRules) -> anyhow::Result<u8> {
    let at = match &ask.at {
        None => SystemClock.wall(),
        Some(text) => time_of(text, config)?,
    };
    let record = record_of(&ask.event, at)?;
    let groups = ask.group.iter().map(|name| {
        let group = GroupId::new(name)?;
        ensure!(
            config.groups.contains_key(&group),
            "--group {name:?}: there is no such group"
        );
        Ok(group)
    });
    let states = ask.state.iter().map(|text| state_of(text, config));
    let assumed = Assumed {
        at,
        groups: groups.collect::<anyhow::Result<_>>()?,
        schedules: params::site(config, "").schedules,
        states: states.collect::<anyhow::Result<_>>()?,
    };
    let mut engine = Engine::new(config.engine_rules());
    let mut now = Instant::ZERO + Duration::from_secs(86_400);
    let mut turns = Vec::new();
    for _ in 0..ask.times.max(1) {
        now = now + APART;
        turns = engine.take(now, &record, 0, &assumed);
    }
    let mut out = out();
    let mut acts = false;
    if turns.is_empty() {
        let of = if record.source.is_empty() {
            String::new()
        } else {
            format!(" of {}", record.source)
        };
        writeln!(out, "no rule looks at {}{of}", record.kind)?;
    }
    for turn in turns {
        match turn.outcome {
            Outcome::Acts { actions, in_doubt: _ } => {
                acts = true;
                writeln!(out, "{} acts:", turn.rule)?;
                for action in actions {
                    writeln!(out, "  {}", told(&action, &record, config, turn.rule.as_str()))?;
                }
            }
            Outcome::HeldBack { why, .. } => writeln!(out, "{} is held back: {why}", turn.rule)?,
            Outcome::Not(unmet) => writeln!(out, "{} does not act: {unmet}", turn.rule)?,
        }
    }
    Ok(if acts { exit::OK } else { exit::REFUSED })
}

/// An action as it would be carried out.
fn told(action: &Action, record: &Record, config: &Config, rule: &str) -> String {
    match action {
        Action::Notify { message, .. } => {
            let message = message.fill(Escape::Line, |field| match field {
                "rule" => rule.to_owned(),
                "site" => config.site.name.clone(),
                _ => record.text_of(field),
            });
            format!("{action}: {message}")
        }
        Action::Open(_) => format!("{action}, if the access decision says yes"),
        Action::Call { .. } | Action::Lockdown(_) => action.to_string(),
    }
}

/// A record as the journal exports them; only its kind is needed.
fn record_of(text: &str, at: Timestamp) -> anyhow::Result<Record> {
    let json: serde_json::Value = serde_json::from_str(text).context("--event is not JSON")?;
    let object = json
        .as_object()
        .context("--event: allowed is an object such as {\"kind\":\"door.denied\"}")?;
    let word = |key: &str| object.get(key).and_then(serde_json::Value::as_str);
    let kind = word("kind").context("--event has no \"kind\", such as door.denied")?;
    let (family, tag) = kind.split_once('.').unwrap_or((kind, ""));
    let families = Event::families();
    let Some((_, tags)) = families.iter().find(|(name, _)| *name == family) else {
        let names: Vec<&str> = families.iter().map(|(name, _)| *name).collect();
        bail!(
            "--event: {kind:?} is no kind of event; allowed: {}, each with its kinds",
            names.join(", ")
        );
    };
    ensure!(
        tags.contains(&tag),
        "--event: {kind:?} is no kind of event; allowed: {family}. with {}",
        tags.join(", ")
    );
    let mut fields = Vec::new();
    for (key, value) in object {
        if ["at", "kind", "ring_id", "schema", "seq", "simulated", "source"].contains(&key.as_str()) {
            continue;
        }
        let value = match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(it) => Value::Bool(*it),
            serde_json::Value::Number(it) => Value::Int(
                it.as_i64()
                    .ok_or_else(|| anyhow!("--event: {key:?} is {it}, allowed are whole numbers"))?,
            ),
            serde_json::Value::String(it) => Value::Text(it.clone()),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                bail!("--event: {key:?} is a list or an object, which no field of an event is")
            }
        };
        fields.push((key.clone(), value));
    }
    Ok(Record {
        at,
        fields,
        kind: kind.to_owned(),
        ring: word("ring_id").and_then(RingId::parse),
        schema: SCHEMA,
        seq: Seq(0),
        simulated: object.get("simulated") == Some(&serde_json::Value::Bool(true)),
        source: word("source").unwrap_or_default().to_owned(),
    })
}

/// `front=open`, `alarm=active`.
fn state_of(text: &str, config: &Config) -> anyhow::Result<State> {
    let allowed = "allowed: DOOR=open, shut, locked or unlocked; INPUT=active or rest";
    let (name, word) = text
        .split_once('=')
        .with_context(|| format!("--state {text:?}: {allowed}"))?;
    let words = [
        StateWord::Active,
        StateWord::Locked,
        StateWord::Open,
        StateWord::Rest,
        StateWord::Shut,
        StateWord::Unlocked,
    ];
    let word = words.into_iter().find(|known| known.word() == word);
    let word = word.with_context(|| format!("--state {text:?}: {allowed}"))?;
    let door = DoorId::new(name).ok().filter(|id| config.doors.contains_key(id));
    let input = InputId::new(name)
        .ok()
        .filter(|id| config.inputs.contains_key(id));
    let state = match (word, door, input) {
        (StateWord::Active | StateWord::Rest, _, Some(input)) => {
            State::Input(input, word == StateWord::Active)
        }
        (StateWord::Locked, Some(door), _) => State::Door(door, DoorIs::Locked),
        (StateWord::Open, Some(door), _) => State::Door(door, DoorIs::Open),
        (StateWord::Shut, Some(door), _) => State::Door(door, DoorIs::Shut),
        (StateWord::Unlocked, Some(door), _) => State::Door(door, DoorIs::Unlocked),
        _ if word.is_of_input() => bail!("--state {text:?}: there is no input {name:?}"),
        _ => bail!("--state {text:?}: there is no door {name:?}"),
    };
    Ok(state)
}
