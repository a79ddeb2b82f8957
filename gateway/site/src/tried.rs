//! What the rules of a site would make of an event: for people, before it happens. Nothing is done.

use std::collections::BTreeSet;
use std::time::Duration;

use gateway_access::{InForce, Schedules, When};
use gateway_core::{DoorId, Escape, GroupId, InputId, Instant, Record, Timestamp, TriedRule, TryRules};
use gateway_rules::{Action, DoorIs, Engine, Facts, Outcome, State};

use crate::params::SiteParams;
use crate::site::rules::published;

/// Time between events that come several times.
const APART: Duration = Duration::from_secs(1);
/// Far enough from zero for any counter.
const BEGIN: Duration = Duration::from_secs(86_400);

/// The site as it is assumed to be.
struct Assumed<'a> {
    at: Timestamp,
    groups: &'a BTreeSet<GroupId>,
    schedules: &'a Schedules,
    states: Vec<State>,
}

impl Facts for Assumed<'_> {
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

/// What each rule that looks at the event would make of it. `now` counts where no time is asked for.
///
/// # Errors
/// In words, if a group, a door, an input or a state of the question is none.
pub fn try_rules(params: &SiteParams, now: Timestamp, ask: &TryRules) -> Result<Vec<TriedRule>, String> {
    if let Some(group) = ask
        .groups
        .iter()
        .find(|group| !params.groups.contains_key(*group))
    {
        return Err(format!("{:?}: there is no such group", group.as_str()));
    }
    let states = ask.states.iter().map(|text| state_of(text, params));
    let assumed = Assumed {
        at: ask.at.unwrap_or(now),
        groups: &ask.groups,
        schedules: &params.schedules,
        states: states.collect::<Result<_, _>>()?,
    };
    let mut engine = Engine::new(params.rules.clone());
    let mut now = Instant::ZERO + BEGIN;
    let mut turns = Vec::new();
    for _ in 0..ask.times.clamp(1, TryRules::MOST) {
        now = now + APART;
        turns = engine.take(now, &ask.event, 0, &assumed);
    }
    let told = turns.into_iter().map(|turn| {
        let (actions, held_back, why) = match turn.outcome {
            Outcome::Acts { actions, in_doubt: _ } => {
                let told = |action: &Action| told(action, &ask.event, &params.name, turn.rule.as_str());
                (actions.iter().map(told).collect(), false, String::new())
            }
            Outcome::HeldBack { why, .. } => (Vec::new(), true, why.to_string()),
            Outcome::Not(unmet) => (Vec::new(), false, unmet.to_string()),
        };
        TriedRule {
            actions,
            held_back,
            rule: turn.rule,
            why,
        }
    });
    Ok(told.collect())
}

/// An action as it would be carried out.
fn told(action: &Action, record: &Record, site: &str, rule: &str) -> String {
    let field = |field: &str| match field {
        "rule" => rule.to_owned(),
        "site" => site.to_owned(),
        _ => record.text_of(field),
    };
    match action {
        Action::Mqtt { message, retain, .. } => {
            let kept = if *retain { " (kept)" } else { "" };
            format!("{action}{kept}: {}", published(message, field))
        }
        Action::Notify { message, .. } | Action::Text { message, .. } => {
            format!("{action}: {}", message.fill(Escape::Line, field))
        }
        Action::Card { .. } => format!("{action}, unless the event is old news"),
        Action::Open(_) => format!("{action}, if the access decision says yes"),
        Action::Alarm(_)
        | Action::Call { .. }
        | Action::Lockdown(_)
        | Action::Output { .. }
        | Action::Prompt { .. } => action.to_string(),
    }
}

/// `front=open`, `alarm=active`.
fn state_of(text: &str, params: &SiteParams) -> Result<State, String> {
    let allowed = "allowed: DOOR=open, shut, locked or unlocked; INPUT=active or rest";
    let wrong = || format!("{text:?}: {allowed}");
    let (name, word) = text.split_once('=').ok_or_else(wrong)?;
    let door = |is| match DoorId::new(name).ok().filter(|id| params.doors.contains_key(id)) {
        Some(door) => Ok(State::Door(door, is)),
        None => Err(format!("{text:?}: there is no door {name:?}")),
    };
    let input = |active| match InputId::new(name)
        .ok()
        .filter(|id| params.inputs.contains_key(id))
    {
        Some(input) => Ok(State::Input(input, active)),
        None => Err(format!("{text:?}: there is no input {name:?}")),
    };
    match word {
        "active" => input(true),
        "locked" => door(DoorIs::Locked),
        "open" => door(DoorIs::Open),
        "rest" => input(false),
        "shut" => door(DoorIs::Shut),
        "unlocked" => door(DoorIs::Unlocked),
        _ => Err(wrong()),
    }
}
