//! Sounds that rules have heard at panels, and by whoever has a call. They open nothing and hold nobody up: a visitor who
//! rings, and whoever calls the door, take the line from them.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{Event, Instant, LegId, LineId, RingId, RuleEvent, RuleId};
use gateway_line::{SeizeRefused, SeizeWhy};
use gateway_rules::{Action, Ear, Sound};

use super::{Now, Site};
use crate::io::Output;

/// Nothing is heard for longer (a file has 30 s at most, and is read before).
const LONGEST: Duration = Duration::from_secs(40);

/// Sounds for phones that may be heard at one time; those for lines are as many as lines.
const MOST_AT_PHONES: usize = 64;

/// What is heard at lines, one thing at each, and by those who talk there.
#[derive(Debug, Default)]
pub(super) struct Prompts {
    by_line: BTreeMap<LineId, Prompt>,
    /// By turn, each with its line.
    at_phones: BTreeMap<u64, (LineId, Prompt)>,
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
    /// Has something heard at a line, or by whoever talks there; the driver says when it is over.
    pub(super) fn prompt(
        &mut self,
        now: Now,
        by: &AskedBy<'_>,
        line: LineId,
        (sound, to): (Sound, Ear),
    ) -> Result<(), String> {
        match to {
            Ear::Line => self.prompt_line(now, by, line, sound),
            Ear::Phone { alone } => self.prompt_phone(now, by, line, (sound, alone)),
        }
    }

    /// Whoever has a call hears which door it is, where its panel says so.
    pub(super) fn greet(&mut self, ring: RingId, leg: LegId) {
        // nobody at a panel has a part in a call about an alarm
        let call = self.calls.get(&ring).filter(|call| call.alarm.is_none());
        let panel = call.and_then(|call| call.at_panel());
        let file = panel.and_then(|panel| self.params.panels.get(panel)?.greeting.clone());
        if let Some(file) = file {
            self.out.push_back(Output::SayToLeg {
                alone: false,
                leg,
                sound: Sound::File(file),
                told: None,
            });
        }
    }

    fn prompt_phone(
        &mut self,
        now: Now,
        by: &AskedBy<'_>,
        line: LineId,
        (sound, alone): (Sound, bool),
    ) -> Result<(), String> {
        let ring = self.lines.get(&line).and_then(|unit| unit.ring);
        let call = ring.and_then(|ring| self.calls.get(&ring));
        let talks = call.filter(|call| call.is_talking());
        let Some(leg) = talks.and_then(super::calls::Call::winner) else {
            return Err("nobody has a call there".to_owned());
        };
        if self.prompts.at_phones.len() >= MOST_AT_PHONES {
            return Err("too much is being heard at this moment".to_owned());
        }
        self.prompts.next += 1;
        let turn = self.prompts.next;
        let action = Action::Prompt {
            line: line.clone(),
            sound: sound.clone(),
            to: Ear::Phone { alone },
        };
        let prompt = Prompt {
            action: action.to_string(),
            ring: by.ring,
            rule: by.rule.clone(),
            seized: false,
            simulated: by.simulated,
            turn,
            until: now.mono + LONGEST,
        };
        self.prompts.at_phones.insert(turn, (line.clone(), prompt));
        self.out.push_back(Output::SayToLeg {
            alone,
            leg,
            sound,
            told: Some((line, turn)),
        });
        Ok(())
    }

    fn prompt_line(&mut self, now: Now, by: &AskedBy<'_>, line: LineId, sound: Sound) -> Result<(), String> {
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
            to: Ear::Line,
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
        if let Some((line, prompt)) = self.prompts.at_phones.remove(&turn) {
            let heard = heard.map(|time| format!("by the phone, {} ms", time.as_millis()));
            self.prompted(now, line, prompt, heard);
            return;
        }
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
        self.prompted(now, line.clone(), prompt, heard);
    }

    fn prompted(&mut self, now: Now, line: LineId, prompt: Prompt, heard: Result<String, String>) {
        let event = match heard {
            Ok(text) => RuleEvent::Prompted { line, text },
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
        let at_phones = self.prompts.at_phones.values().map(|(_, prompt)| prompt);
        let all = self.prompts.by_line.values().chain(at_phones);
        all.map(|prompt| prompt.until).min()
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
        let late = |(_, prompt): &(LineId, Prompt)| now.mono >= prompt.until;
        let all = self.prompts.at_phones.iter();
        let due: Vec<u64> = all.filter(|(_, of)| late(of)).map(|(turn, _)| *turn).collect();
        for turn in due {
            if let Some((line, prompt)) = self.prompts.at_phones.remove(&turn) {
                let text = format!("it was not over after {} s", LONGEST.as_secs());
                self.prompted(now, line, prompt, Err(text));
            }
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
