//! Sounds that rules have heard at panels. They open nothing and hold nobody up: a visitor who rings, and whoever calls
//! the door, take the line from them.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{Event, Instant, LineId, RingId, RuleEvent, RuleId};
use gateway_line::{SeizeRefused, SeizeWhy};
use gateway_rules::{Action, Sound};

use super::{Now, Site};
use crate::io::Output;

/// Nothing is heard for longer (a file has 30 s at most, and is read before).
const LONGEST: Duration = Duration::from_secs(40);

/// What is heard at lines, one thing at each.
#[derive(Debug, Default)]
pub(super) struct Prompts {
    by_line: BTreeMap<LineId, Prompt>,
    next: u64,
}

/// One of them.
#[derive(Debug)]
struct Prompt {
    /// In words, for the record of a failure.
    action: String,
    ring: Option<RingId>,
    rule: RuleId,
    /// The line was taken for it, and is given back after it; else it is heard in a talk.
    seized: bool,
    simulated: bool,
    turn: u64,
    /// It is given up then.
    until: Instant,
}

/// Who wants something heard.
pub(super) struct AskedBy<'a> {
    pub(super) ring: Option<RingId>,
    pub(super) rule: &'a RuleId,
    pub(super) simulated: bool,
}

impl Site {
    /// Has something heard at a line; the driver says when it is over.
    pub(super) fn prompt(
        &mut self,
        now: Now,
        by: &AskedBy<'_>,
        line: LineId,
        sound: Sound,
    ) -> Result<(), String> {
        if self.prompts.by_line.contains_key(&line) {
            return Err("something else is being heard there".to_owned());
        }
        let talks = self.talks_at(&line);
        let Some(unit) = self.lines.get_mut(&line) else {
            return Err(format!("there is no line {line:?}"));
        };
        if !talks {
            if unit.ring.is_some() {
                return Err(format!("nothing is heard there: {}", SeizeRefused::LineBusy));
            }
            let seized = unit.line.seize(now.mono, SeizeWhy::IncomingCall);
            seized.map_err(|why| format!("nothing is heard there: {why}"))?;
            self.drain_line(now, &line);
        }
        self.prompts.next += 1;
        let turn = self.prompts.next;
        let action = Action::Prompt {
            line: line.clone(),
            sound: sound.clone(),
        };
        let prompt = Prompt {
            action: action.to_string(),
            ring: by.ring,
            rule: by.rule.clone(),
            seized: !talks,
            simulated: by.simulated,
            turn,
            until: now.mono + LONGEST,
        };
        self.prompts.by_line.insert(line.clone(), prompt);
        self.out.push_back(Output::Say { line, sound, turn });
        Ok(())
    }

    /// Does a call that goes on have the line, so that its talk path is open?
    fn talks_at(&self, line: &LineId) -> bool {
        let ring = self.lines.get(line).and_then(|unit| unit.ring);
        let call = ring.and_then(|ring| self.calls.get(&ring));
        call.is_some_and(super::calls::Call::is_talking)
    }

    /// The driver says how long it was heard, or why it was not.
    pub(super) fn said(&mut self, now: Now, line: &LineId, turn: u64, heard: Result<Duration, String>) {
        let ours = self
            .prompts
            .by_line
            .get(line)
            .is_some_and(|prompt| prompt.turn == turn);
        if ours {
            let heard = heard.map(|time| format!("{} ms", time.as_millis()));
            self.prompt_over(now, line, heard);
        }
    }

    /// Whoever wants the line gets it: what it was taken for ends.
    pub(super) fn yield_prompt(&mut self, now: Now, line: &LineId, to: &str) {
        if self.prompts.by_line.get(line).is_some_and(|prompt| prompt.seized) {
            self.hush(now, line, to);
        }
    }

    /// Ends what is heard at a line.
    pub(super) fn hush(&mut self, now: Now, line: &LineId, why: &str) {
        if self.prompts.by_line.contains_key(line) {
            self.out.push_back(Output::Hush(line.clone()));
            self.prompt_over(now, line, Ok(format!("ended early: {why}")));
        }
    }

    /// Gives the line back, if it was taken, and tells how it ended.
    fn prompt_over(&mut self, now: Now, line: &LineId, heard: Result<String, String>) {
        let Some(prompt) = self.prompts.by_line.remove(line) else {
            return;
        };
        if prompt.seized
            && let Some(unit) = self.lines.get_mut(line).filter(|unit| unit.ring.is_none())
        {
            unit.line.release(now.mono);
            self.drain_line(now, line);
        }
        let event = match heard {
            Ok(text) => RuleEvent::Prompted {
                line: line.clone(),
                text,
            },
            Err(text) => RuleEvent::Failed {
                action: prompt.action,
                text,
            },
        };
        self.record(
            now,
            Event::Rule(prompt.rule, event),
            prompt.ring,
            prompt.simulated,
        );
    }

    /// When [`Self::prompts_due`] has something to do.
    pub(super) fn prompts_due_at(&self) -> Option<Instant> {
        self.prompts.by_line.values().map(|prompt| prompt.until).min()
    }

    /// Nobody said that it is over.
    pub(super) fn prompts_due(&mut self, now: Now) {
        let all = self.prompts.by_line.iter();
        let due: Vec<LineId> = all
            .filter(|(_, prompt)| now.mono >= prompt.until)
            .map(|(line, _)| line.clone())
            .collect();
        for line in due {
            self.out.push_back(Output::Hush(line.clone()));
            let text = format!("it was not over after {} s", LONGEST.as_secs());
            self.prompt_over(now, &line, Err(text));
        }
    }

    /// Nothing is heard any more: the gateway stops, or these lines are gone.
    pub(super) fn end_prompts(&mut self, now: Now, why: &str, which: impl Fn(&Self, &LineId) -> bool) {
        let lines: Vec<LineId> = self.prompts.by_line.keys().cloned().collect();
        for line in lines {
            if which(self, &line) {
                self.hush(now, &line, why);
            }
        }
    }
}
