//! Rules of the site file: what happens goes to the engine, and what rules ask for is carried out here. An opening is a
//! request to the access decision like any other; nothing of a rule goes to an output.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gateway_access::{InForce, Request, When};
use gateway_core::{
    ContactState, DoorEvent, Envelope, Escape, Event, Factor, GroupId, InputEvent, InputId, ListId,
    LockState, PanelId, PersonId, Record, RuleEvent, RuleId, Subject, Template, Timestamp, is_confidential,
};
use gateway_rules::{Action, DoorIs, Engine, Facts, Outcome, Rule, State, Turn, may_open_on};

use super::presses::Pressed;
use super::prompts::AskedBy;
use super::{Now, SETTLE, Site};
use crate::io::Output;
use crate::levels::Change;
use crate::params::ButtonMode;

/// Most bytes of a text for telephones (RFC 3428 §8).
const MOST_TEXT: usize = 1300;

/// As much of a text as has so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Events that wait for the rules within one step; what is beyond sets none off.
const MOST: usize = 256;

/// An event that some rule looks at.
struct Waiting {
    depth: u8,
    envelope: Envelope,
    late: bool,
}

/// The rules, with what waits for them.
#[derive(Default)]
pub(super) struct Rules {
    /// Through how many events rules led to what is recorded at this moment.
    depth: u8,
    engine: Engine,
    /// What is recorded at this moment sets none off.
    apart: bool,
    /// Inputs that rules look at.
    inputs: BTreeSet<InputId>,
    /// What is recorded at this moment is old news.
    late: bool,
    waiting: VecDeque<Waiting>,
}

impl Rules {
    pub(super) fn configure(&mut self, rules: &BTreeMap<RuleId, Rule>) {
        let looks = |rule: &&Rule| {
            ["input.active", "input.rest"]
                .iter()
                .any(|kind| rule.on.has_kind(kind))
        };
        let sources = rules.values().filter(looks).flat_map(|rule| &rule.on.sources);
        self.inputs = sources.filter_map(|source| InputId::new(source).ok()).collect();
        self.engine.configure(rules.clone());
    }

    /// Something is recorded.
    pub(super) fn notice(&mut self, envelope: &Envelope) {
        // what a rule does is seen, and told as its doing
        if !self.apart
            && !self.engine.is_empty()
            && !is_confidential(&envelope.event.kind())
            && self.waiting.len() < MOST
            && self.engine.looks_at(&envelope.event.kind())
        {
            let (depth, late) = (self.depth, self.late);
            let envelope = envelope.clone();
            self.waiting.push_back(Waiting {
                depth,
                envelope,
                late,
            });
        }
    }
}

/// What the engine may ask.
struct Look<'a> {
    site: &'a Site,
    wall: Option<Timestamp>,
}

impl Facts for Look<'_> {
    fn in_force(&self, when: &When) -> InForce {
        self.site.params.schedules.look(when, self.wall)
    }

    fn is_so(&self, state: &State) -> Option<bool> {
        match state {
            State::Door(door, is) => {
                let door = self.site.doors.get(door)?;
                let (contact, lock) = (door.contact(), door.lock());
                match is {
                    DoorIs::Locked => (lock != LockState::Unknown).then_some(lock == LockState::Locked),
                    DoorIs::Open => {
                        (contact != ContactState::Unknown).then_some(contact == ContactState::Open)
                    }
                    DoorIs::Shut => {
                        (contact != ContactState::Unknown).then_some(contact == ContactState::Closed)
                    }
                    DoorIs::Unlocked => (lock != LockState::Unknown).then_some(lock == LockState::Unlocked),
                }
            }
            State::Input(input, active) => Some(self.site.levels.current(input)? == *active),
        }
    }

    fn is_in(&self, subject: &str, group: &GroupId) -> bool {
        let person = subject.strip_prefix("person:").map(PersonId::new);
        let person = person.and_then(Result::ok);
        person.is_some_and(|person| self.site.access.is_in(&person, group, self.wall))
    }
}

impl Site {
    /// An input that rules look at changed. Its first reading is no event; one that the records have as active is at rest on
    /// record by it, and no rule hears of that.
    pub(super) fn tell_rules(&mut self, now: Now, input: &InputId, change: Change) {
        let looked_at = self.rules.inputs.contains(input);
        let was_active = self.active_on_record.contains(input);
        let (event, apart) = match (change.active, change.acts, change.initial) {
            (true, true, _) if looked_at => (InputEvent::Active {}, false),
            (false, _, false) if looked_at => (InputEvent::Rest {}, false),
            (false, _, _) if was_active => (InputEvent::Rest {}, true),
            (true, _, _) | (false, _, _) => return,
        };
        if change.active {
            self.active_on_record.insert(input.clone());
        } else {
            self.active_on_record.remove(input);
        }
        (self.rules.apart, self.rules.late) = (apart, change.late);
        self.record(now, Event::Input(input.clone(), event), None, change.simulated);
        (self.rules.apart, self.rules.late) = (false, false);
    }

    /// Lets the rules act on what was recorded in this step. While the gateway starts or stops none does.
    pub(super) fn look_at_rules(&mut self, now: Now) {
        if !self.ready || self.stopping {
            self.rules.waiting.clear();
        }
        while let Some(waiting) = self.rules.waiting.pop_front() {
            let record = Record::from(&waiting.envelope);
            let mut engine = std::mem::take(&mut self.rules.engine);
            let wall = self.context(now).wall;
            let turns = engine.take(now.mono, &record, waiting.depth, &Look { site: self, wall });
            self.rules.engine = engine;
            self.rules.depth = waiting.depth.saturating_add(1);
            for turn in turns {
                self.turn(now, &waiting, &record, turn);
            }
            self.rules.depth = 0;
        }
    }

    fn turn(&mut self, now: Now, waiting: &Waiting, record: &Record, turn: Turn) {
        let Turn { outcome, rule } = turn;
        let by = record.kind.clone();
        match outcome {
            Outcome::Not(_) | Outcome::HeldBack { first: false, .. } => {}
            Outcome::HeldBack { first: true, why } => {
                let text = why.to_string();
                self.rule_did(now, waiting, &rule, RuleEvent::HeldBack { by, text });
            }
            Outcome::Acts { actions, in_doubt } => {
                let words: Vec<String> = actions.iter().map(ToString::to_string).collect();
                let fired = RuleEvent::Fired {
                    actions: words.join(", "),
                    by,
                    of: record.source.clone(),
                };
                self.rule_did(now, waiting, &rule, fired);
                for action in actions {
                    let words = action.to_string();
                    if let Err(text) = self.act(now, waiting, record, &rule, action, in_doubt) {
                        self.rule_did(now, waiting, &rule, RuleEvent::Failed { action: words, text });
                    }
                }
            }
        }
    }

    /// What a rule does stands under the ring of the event that set it off.
    fn rule_did(&mut self, now: Now, waiting: &Waiting, rule: &RuleId, event: RuleEvent) {
        let Envelope { ring, simulated, .. } = waiting.envelope;
        self.record(now, Event::Rule(rule.clone(), event), ring, simulated);
    }

    fn act(
        &mut self,
        now: Now,
        waiting: &Waiting,
        record: &Record,
        rule: &RuleId,
        action: Action,
        in_doubt: bool,
    ) -> Result<(), String> {
        let Envelope { ring, simulated, .. } = waiting.envelope;
        match action {
            Action::Alarm(alarm) => self.raise(now, &alarm, Subject::Rule(rule.clone()), simulated),
            Action::Call { button, panel } => {
                let of = self.params.panels.get(&panel);
                let mode = of.and_then(|panel| panel.buttons.get(&button)).map(|b| b.mode);
                if mode == Some(ButtonMode::StrikeList) {
                    return Err(format!(
                        "button {button} of panel {panel} opens a door by day; no rule presses it"
                    ));
                }
                let pressed = self.press(now, &panel, &button, simulated);
                let (Pressed::Joined(call) | Pressed::Ring(call)) = pressed.map_err(|(_, text)| text)?;
                self.rule_did(now, waiting, rule, RuleEvent::Called { button, call, panel });
                Ok(())
            }
            Action::Lockdown(group) => {
                let subject = Subject::Rule(rule.clone());
                let begun = self.command_lockdown(now, group, true, subject);
                begun.map_err(|(_, text)| text)
            }
            Action::Mqtt {
                message,
                retain,
                topic,
            } => {
                let message = published(&message, |field| self.filled(rule, record, field));
                let event = RuleEvent::Publish {
                    message,
                    retain,
                    topic,
                };
                self.rule_did(now, waiting, rule, event);
                Ok(())
            }
            Action::Notify { channel, message } => {
                let message = message.fill(Escape::Line, |field| self.filled(rule, record, field));
                self.rule_did(now, waiting, rule, RuleEvent::Notify { channel, message });
                Ok(())
            }
            Action::Open(door) => {
                self.is_no_reason_to_open(now, waiting, &record.kind, in_doubt)?;
                let rule = rule.clone();
                let opened = self.open(now, Request::Rule { door, ring, rule }, simulated);
                opened.map(drop).map_err(|(_, text)| text)
            }
            Action::Card { card, controller } => {
                // it opens a door, if not one of ours
                self.is_no_reason_to_open(now, waiting, &record.kind, in_doubt)?;
                if simulated {
                    return Err("the event is simulated, and the controller is real".to_owned());
                }
                let sent = self.send_card(now, controller, card, Subject::Rule(rule.clone()));
                sent.map_err(|(_, text)| text)
            }
            Action::Prompt { line, sound, to } => {
                let by = AskedBy {
                    ring,
                    rule,
                    simulated,
                };
                self.prompt(now, &by, line, (sound, to))
            }
            Action::Text { list, message, panel } => {
                let text = message.fill(Escape::Line, |field| self.filled(rule, record, field));
                self.text_to(&list, &panel, &text)
            }
            Action::Output { relay, set } => {
                let set = self.set_relay(now, &relay, set, &Subject::Rule(rule.clone()));
                set.map_err(|(_, text)| text)
            }
        }
    }

    /// Sends a text to the targets of a list, as they are called first.
    fn text_to(&mut self, list: &ListId, panel: &PanelId, text: &str) -> Result<(), String> {
        let accounts = self.params.panels.get(panel).map(|panel| panel.accounts.clone());
        let targets = self.params.lists.get(list).map(|list| list.targets.clone());
        let (Some(accounts), Some(targets)) = (accounts, targets) else {
            return Err(format!("there is no list {list}, or no panel {panel}"));
        };
        let text = cut(text.trim(), MOST_TEXT);
        if text.is_empty() {
            return Err("the text is empty".to_owned());
        }
        let meant: Vec<_> = targets.iter().filter_map(|target| self.meant(target)).collect();
        for target in meant.into_iter().filter(|target| target.vouched) {
            let account = if target.direct {
                None
            } else {
                target.account.or_else(|| accounts.first().cloned())
            };
            self.out.push_back(Output::Text {
                account,
                target: target.address,
                text: text.to_owned(),
            });
        }
        Ok(())
    }

    /// A field of a rule's message.
    fn filled(&self, rule: &RuleId, record: &Record, field: &str) -> String {
        match field {
            "rule" => rule.to_string(),
            "site" => self.params.name.clone(),
            _ => record.text_of(field),
        }
    }

    /// Who goes out, fire, what a schedule or a restart brings, old news, and a time that nobody can tell open nothing.
    fn is_no_reason_to_open(
        &self,
        now: Now,
        waiting: &Waiting,
        kind: &str,
        in_doubt: bool,
    ) -> Result<(), String> {
        if !may_open_on(kind) {
            return Err(format!("no rule opens because of {kind} by itself"));
        }
        if let Event::Door(_, DoorEvent::Granted { factor, .. }) = &waiting.envelope.event
            && matches!(factor, Factor::Fire | Factor::Rex | Factor::Schedule)
        {
            return Err(format!(
                "nobody was let in by {}, so no rule opens",
                factor.word()
            ));
        }
        if in_doubt {
            let text = "its schedule cannot be looked up: the clock is not trusted";
            return Err(text.to_owned());
        }
        if waiting.late || now.mono < self.discard_before + SETTLE {
            return Err("the event is old news, and opens nothing".to_owned());
        }
        Ok(())
    }
}

/// A message for MQTT: fields stand in a JSON text as JSON wants them, and in any other as they are, without line ends.
pub fn published(message: &Template, field: impl Fn(&str) -> String) -> String {
    let plain = message.fill(Escape::Line, &field);
    if plain.starts_with(['{', '[']) {
        message.fill(Escape::Json, field)
    } else {
        plain
    }
}
