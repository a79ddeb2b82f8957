//! Rules: events that come, conditions that can be met, actions that can be carried out, and no circles.

use std::collections::BTreeSet;
use std::time::Duration;

use gateway_access::When;
use gateway_core::{ButtonId, DoorGroupId, DoorId, Event, LineId, PanelId, RelayId, RuleId, is_confidential};
use gateway_rules::{Layout, circles, may_open_on};

use super::Check;
use crate::fault::FaultKind;
use crate::model::{Config, RelayFunction, Rule, RuleCard, RuleDo, RuleOutput, RulePrompt, RuleState};
use crate::value::{ButtonMode, CallIn, EventName, PromptTo, SetWord};

/// Families of events that are about nothing in particular.
const WITHOUT_SOURCE: &[&str] = &["call", "command", "gateway", "user"];

pub(super) fn check(check: &mut Check<'_>) {
    for (id, rule) in &check.config.rules {
        let at = format!("rules.{id}");
        sources(check, &at, rule);
        confidential(check, &at, rule);
        counter(check, &at, rule);
        for (index, state) in rule.when.states.iter().enumerate() {
            state_of(check, &format!("{at}.when.states[{index}]"), state);
        }
        for (index, action) in rule.actions.iter().enumerate() {
            let at_action = format!("{at}.do[{index}]");
            match &action.what {
                RuleDo::Call(call) => {
                    let at = format!("{at_action}.call");
                    calls(check, &at, &call.panel, call.button.as_str());
                }
                RuleDo::Alarm(_) | RuleDo::Lockdown(_) | RuleDo::Notify(_) | RuleDo::Text(_) => {}
                RuleDo::Mqtt(_) => {
                    if check.config.mqtt.is_none() {
                        let text = "there is no broker to say it to".to_owned();
                        check.fault(
                            FaultKind::Missing,
                            &format!("{at_action}.mqtt"),
                            &[],
                            text,
                            "add: [mqtt]",
                        );
                    }
                }
                RuleDo::Card(card) => sends(check, &at, &format!("{at_action}.card"), rule, card),
                RuleDo::Output(output) => sets(check, &format!("{at_action}.output"), output),
                RuleDo::Prompt(prompt) => says(check, &format!("{at_action}.prompt"), prompt),
                RuleDo::Open(open) => opens(check, &at, &format!("{at_action}.open.door"), rule, &open.door),
            }
        }
    }
    in_circles(check);
}

/// Does a rule press this button?
pub(super) fn presses(config: &Config, panel: &PanelId, button: &ButtonId) -> bool {
    let mut actions = config.rules.values().flat_map(|rule| &rule.actions);
    actions.any(|action| match &action.what {
        RuleDo::Call(call) => call.panel == *panel && call.button == *button,
        RuleDo::Alarm(_)
        | RuleDo::Card(_)
        | RuleDo::Lockdown(_)
        | RuleDo::Mqtt(_)
        | RuleDo::Notify(_)
        | RuleDo::Open(_)
        | RuleDo::Output(_)
        | RuleDo::Prompt(_)
        | RuleDo::Text(_) => false,
    })
}

fn family(event: &EventName) -> &str {
    event.as_str().split('.').next().unwrap_or_default()
}

/// A source that nothing has, or that such events never have, makes a rule that never acts.
fn sources(check: &mut Check<'_>, at: &str, rule: &Rule) {
    let key = format!("{at}.sources");
    let Some(sources) = &rule.sources else {
        if let Some(index) = rule.on.iter().position(|event| family(event) == "input") {
            let text = "it is not said which inputs count".to_owned();
            check.fault(
                FaultKind::Missing,
                &format!("{at}.on[{index}]"),
                &[&key],
                text,
                "add: sources = [\"name of an input\"]",
            );
        }
        return;
    };
    for (index, event) in rule.on.iter().enumerate() {
        if WITHOUT_SOURCE.contains(&family(event)) {
            let text = format!("events of {} have no source, so none fits sources", family(event));
            let hint = "remove sources, or make two rules";
            check.fault(
                FaultKind::Conflict,
                &format!("{at}.on[{index}]"),
                &[&key],
                text,
                hint,
            );
        }
    }
    let config = check.config;
    for (index, source) in sources.iter().enumerate() {
        if !rule.on.iter().any(|event| named(config, family(event), source)) {
            let families: BTreeSet<&str> = rule.on.iter().map(family).collect();
            let families: Vec<&str> = families.into_iter().collect();
            let text = format!(
                "no {} is named {source:?}, and its events never come",
                families.join(" or ")
            );
            let hint = format!("allowed: {}", allowed(config, &families));
            check.fault(FaultKind::Dangling, &format!("{key}[{index}]"), &[], text, &hint);
        }
    }
}

/// What a rule does is seen and told: whoever forces somebody would see it.
fn confidential(check: &mut Check<'_>, at: &str, rule: &Rule) {
    for (index, event) in rule.on.iter().enumerate() {
        if is_confidential(event.as_str()) {
            let text = format!(
                "{:?} is confidential, and what a rule does is seen",
                event.as_str()
            );
            let hint = "allowed: a channel that names it, events = [\"access.duress\"] in [notify.NAME]";
            check.fault(FaultKind::Unsafe, &format!("{at}.on[{index}]"), &[], text, hint);
        }
    }
}

/// Is something of a family named so? Devices and ports have names that the site file does not give.
fn named(config: &Config, family: &str, name: &str) -> bool {
    names(config, family).is_none_or(|names| names.iter().any(|known| known == name))
}

fn names(config: &Config, family: &str) -> Option<Vec<String>> {
    fn of<K: ToString>(keys: impl Iterator<Item = K>) -> Option<Vec<String>> {
        Some(keys.map(|key| key.to_string()).collect())
    }
    match family {
        "alarm" => of(config.alarms.keys()),
        "account" => of(config.accounts.keys()),
        "access" | "door" => of(config.doors.keys()),
        "controller" => of(config.controllers.keys()),
        "input" => of(config.inputs.keys()),
        "line" => of(config.lines.keys()),
        "panel" => of(config.panels.keys()),
        "reader" => of(config.readers.keys()),
        "relay" => of(config.relays.keys()),
        "rule" => of(config.rules.keys()),
        "call" | "command" | "gateway" | "user" => Some(Vec::new()),
        _ => None,
    }
}

fn allowed(config: &Config, families: &[&str]) -> String {
    let known: Vec<String> = families
        .iter()
        .filter_map(|family| names(config, family))
        .flatten()
        .collect();
    if known.is_empty() {
        return "nothing, as long as the site file names none".to_owned();
    }
    known.join(", ")
}

/// A number of events needs a time, and a time a number.
fn counter(check: &mut Check<'_>, at: &str, rule: &Rule) {
    let (times, within) = (format!("{at}.when.times"), format!("{at}.when.within-s"));
    if rule.when.times > 1 && rule.when.within.is_none() {
        let text = "it is not said within which time".to_owned();
        check.fault(FaultKind::Missing, &times, &[&within], text, "add: within-s = 60");
    }
    if rule.when.times == 1 && check.is_written(&within) {
        let text = "has no meaning for a single event".to_owned();
        check.fault(
            FaultKind::Conflict,
            &within,
            &[&times],
            text,
            "remove it, or add: times = 3",
        );
    }
}

fn state_of(check: &mut Check<'_>, at: &str, state: &RuleState) {
    let (door, input, is) = (format!("{at}.door"), format!("{at}.input"), format!("{at}.is"));
    match (&state.door, &state.input) {
        (None, None) => {
            let text = "says neither which door nor which input".to_owned();
            check.fault(
                FaultKind::Missing,
                at,
                &[&door, &input],
                text,
                "add: door = \"…\" or input = \"…\"",
            );
        }
        (Some(_), Some(_)) => {
            let text = "there is also a door; it is one thing or the other".to_owned();
            check.fault(
                FaultKind::Conflict,
                &input,
                &[&door],
                text,
                "allowed: door or input, make two states",
            );
        }
        (Some(id), None) => {
            if state.is.is_of_input() {
                let text = format!("no door is {:?}", state.is.word());
                check.fault(
                    FaultKind::Conflict,
                    &is,
                    &[],
                    text,
                    "allowed: open, shut, locked, unlocked",
                );
            } else if matches!(state.is.word(), "open" | "shut")
                && check
                    .config
                    .doors
                    .get(id)
                    .is_some_and(|door| door.contact.is_none())
            {
                let text = format!(
                    "nobody knows whether door {:?} is {}",
                    id.as_str(),
                    state.is.word()
                );
                let hint = "give the door a contact, or ask whether it is locked";
                check.fault(FaultKind::Conflict, &is, &[&door], text, hint);
            }
        }
        (None, Some(_)) => {
            if !state.is.is_of_input() {
                let text = format!("no input is {:?}", state.is.word());
                check.fault(FaultKind::Conflict, &is, &[], text, "allowed: active, rest");
            }
        }
    }
}

/// A button that opens by day is for whoever stands there.
fn calls(check: &mut Check<'_>, at: &str, panel: &PanelId, button: &str) {
    let (key, of) = (format!("{at}.button"), format!("{at}.panel"));
    let Some(panel_of) = check.config.panels.get(panel) else {
        return;
    };
    let found = panel_of.buttons.iter().find(|(id, _)| id.as_str() == button);
    let Some((_, found)) = found else {
        let known: Vec<&str> = panel_of.buttons.keys().map(|id| id.as_str()).collect();
        let text = format!("panel {:?} has no button {button:?}", panel.as_str());
        let hint = match known.as_slice() {
            [] => format!("add: [panels.{panel}.buttons.{button}]"),
            known => format!("allowed: {}", known.join(", ")),
        };
        check.fault(FaultKind::Dangling, &key, &[&of], text, &hint);
        return;
    };
    if found.mode == ButtonMode::StrikeList {
        let text = format!("button {button:?} opens a door by day");
        let hint = "allowed: a button with another mode, or open = { door = \"…\" }";
        check.fault(FaultKind::Unsafe, &key, &[&of], text, hint);
    }
}

/// A card that nobody showed goes only where that is wanted.
fn sends(check: &mut Check<'_>, rule_at: &str, at: &str, rule: &Rule, card: &RuleCard) {
    let what = format!("sends a card to controller {:?}", card.controller.as_str());
    reasons(check, (rule_at, at), rule, &what);
    let found = check.config.controllers.get(&card.controller);
    if found.is_some_and(|controller| !controller.by_command) {
        let text = format!(
            "controller {:?} gets the cards of its readers only",
            card.controller.as_str()
        );
        let key = format!("{at}.controller");
        let more = format!("controllers.{}.by-command", card.controller);
        check.fault(
            FaultKind::Conflict,
            &key,
            &[&more],
            text,
            "add by-command = true to the controller",
        );
    }
}

/// Only a relay that is there to be set is set.
fn sets(check: &mut Check<'_>, at: &str, output: &RuleOutput) {
    let (relay, set, time) = (format!("{at}.relay"), format!("{at}.set"), format!("{at}.for-s"));
    if let Some(found) = check.config.relays.get(&output.relay)
        && !matches!(found.function, RelayFunction::Command(_))
    {
        let text = format!(
            "relay {:?} tells of {} by itself",
            output.relay.as_str(),
            found.function.family()
        );
        check.fault(
            FaultKind::Conflict,
            &relay,
            &[],
            text,
            "allowed: a relay with command",
        );
    }
    if output.time.is_some() && output.set != SetWord::On {
        let text = format!("has no meaning with set = \"{}\"", output.set);
        check.fault(
            FaultKind::Conflict,
            &time,
            &[&set],
            text,
            "remove it, or set = \"on\"",
        );
    }
}

/// Longest sound.
const LONGEST: Duration = Duration::from_secs(30);

/// One sound, at a line where it can be heard.
fn says(check: &mut Check<'_>, at: &str, prompt: &RulePrompt) {
    let (line, file, tones) = (format!("{at}.line"), format!("{at}.file"), format!("{at}.tones"));
    match (&prompt.file, &prompt.tones) {
        (None, None) => {
            let text = "does not say what is to be heard".to_owned();
            let hint = "add: file = \"name.wav\", or tones = \"880/200 0/100 660/400\"";
            check.fault(FaultKind::Missing, at, &[], text, hint);
        }
        (Some(_), Some(_)) => {
            let text = "there is also a file; it is one thing or the other".to_owned();
            check.fault(
                FaultKind::Conflict,
                &tones,
                &[&file],
                text,
                "allowed: file or tones",
            );
        }
        (None, Some(row)) => {
            let length: Duration = row.0.iter().map(|beep| beep.time).sum();
            if length > LONGEST {
                let text = format!("they last {} ms", length.as_millis());
                let hint = format!("allowed: {} s in all", LONGEST.as_secs());
                check.fault(FaultKind::Conflict, &tones, &[], text, &hint);
            }
        }
        (Some(_), None) => {}
    }
    match prompt.to {
        PromptTo::Line if prompt.alone => {
            let alone = format!("{at}.alone");
            let text = "at a panel it is heard beside speech, never in its place".to_owned();
            check.fault(
                FaultKind::Conflict,
                &alone,
                &[],
                text,
                "remove it, or add: to = \"phone\"",
            );
        }
        PromptTo::Line => {}
        // whatever the line is, a phone hears
        PromptTo::Phone => return,
    }
    let Some((id, found)) = check.config.lines.get_key_value(&prompt.line) else {
        return;
    };
    if let Some(why) = found.silent() {
        let text = format!("line {:?} {why}: nobody hears anything there", id.as_str());
        let hint = "allowed: a line with audio";
        check.fault(FaultKind::Conflict, &line, &[], text, hint);
    } else if found.call_in == CallIn::None {
        let text = format!(
            "line {:?} does not start by itself: it is heard in a talk only",
            id.as_str()
        );
        let hint = format!("leave it, or add to [lines.{id}]: call-in = \"self-start\"");
        check.warn(FaultKind::Conflict, &line, text, &hint);
    }
}

/// Somebody has to be there for whom the door opens.
fn opens(check: &mut Check<'_>, at: &str, key: &str, rule: &Rule, door: &DoorId) {
    let what = format!("opens door {:?}", door.as_str());
    reasons(check, (at, key), rule, &what);
    let Some(found) = check.config.doors.get(door) else {
        return;
    };
    if found.output.is_none() && !check.is_written(&format!("doors.{door}.output")) {
        let text = format!("door {:?} has no output, so nothing opens it", door.as_str());
        check.fault(
            FaultKind::Conflict,
            key,
            &[],
            text,
            "allowed: a door with an output",
        );
    } else if found.two_persons != When::Never {
        let text = format!(
            "door {:?} wants two persons at times, and opens for no rule then",
            door.as_str()
        );
        check.warn(FaultKind::Conflict, key, text, "leave it, or take another door");
    }
}

/// What opens something needs a reason to let somebody in.
fn reasons(check: &mut Check<'_>, (at, key): (&str, &str), rule: &Rule, what: &str) {
    for (index, event) in rule.on.iter().enumerate() {
        if may_open_on(event.as_str()) {
            continue;
        }
        let families = Event::families().iter();
        let kinds = families.flat_map(|(family, tags)| tags.iter().map(move |tag| format!("{family}.{tag}")));
        let kinds: Vec<String> = kinds.filter(|kind| may_open_on(kind)).collect();
        let text = format!("{what} by what is no reason to let anybody in");
        let hint = format!("allowed: {}", kinds.join(", "));
        check.fault(
            FaultKind::Unsafe,
            &format!("{at}.on[{index}]"),
            &[key],
            text,
            &hint,
        );
    }
    let ringing = rule.on.iter().position(|event| family(event) == "panel");
    if let Some(index) = ringing.filter(|_| rule.when.schedule == When::Always) {
        let text = "whoever rings would be let in at any time".to_owned();
        let schedule = format!("{at}.when.schedule");
        let hint = "add: when = { schedule = \"name of a schedule\" }";
        check.fault(
            FaultKind::Unsafe,
            &format!("{at}.on[{index}]"),
            &[key, &schedule],
            text,
            hint,
        );
    }
}

impl Layout for Config {
    fn doors_of(&self, group: Option<&DoorGroupId>) -> BTreeSet<DoorId> {
        match group {
            None => self.doors.keys().cloned().collect(),
            Some(group) => {
                let doors = self
                    .door_groups
                    .get(group)
                    .map(|group| group.doors.iter().cloned());
                doors.into_iter().flatten().collect()
            }
        }
    }

    fn line_of(&self, panel: &PanelId) -> Option<LineId> {
        self.panels.get(panel).map(|panel| panel.line.clone())
    }

    fn followers(&self) -> BTreeSet<RelayId> {
        let follows = |function: &RelayFunction| match function {
            RelayFunction::Alarm(_)
            | RelayFunction::Lamp(_)
            | RelayFunction::Light(_)
            | RelayFunction::LineSeized(_) => true,
            RelayFunction::Command(_) | RelayFunction::MainsFault(_) | RelayFunction::NetworkFault(_) => {
                false
            }
        };
        let relays = self.relays.iter().filter(|(_, relay)| follows(&relay.function));
        relays.map(|(id, _)| id.clone()).collect()
    }

    fn panels_of(&self, door: &DoorId) -> BTreeSet<PanelId> {
        let panels = self.panels.iter().filter(|(_, panel)| panel.doors.contains(door));
        panels.map(|(id, _)| id.clone()).collect()
    }
}

/// Rules that would set each other off for ever.
fn in_circles(check: &mut Check<'_>) {
    let config = check.config;
    for circle in circles(&config.engine_rules(), config) {
        let Some(first) = circle.first() else { continue };
        let names: Vec<&str> = circle.iter().map(RuleId::as_str).collect();
        let text = match names.as_slice() {
            [_] => "what it asks for sets it off again".to_owned(),
            names => format!("the rules {} set each other off for ever", names.join(", ")),
        };
        let at = format!("rules.{first}.on");
        let others: Vec<String> = circle.iter().map(|id| format!("rules.{id}")).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let hint = "narrow on or sources of one of them, so that no action leads back";
        check.fault(FaultKind::Conflict, &at, &others, text, hint);
    }
}
