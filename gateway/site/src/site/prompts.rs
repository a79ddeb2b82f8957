//! Sounds that rules and commands have heard at panels, and by whoever has a call. They open nothing and hold nobody up: a
//! visitor who rings, and whoever calls the door, take the line from them.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{
    AnnounceTo, AnnouncementId, Event, Instant, LegId, LineId, LineState, PanelEvent, PanelId, Refusal,
    RingId, RuleEvent, RuleId, Subject,
};
use gateway_line::{SeizeRefused, SeizeWhy};
use gateway_rules::{Action, Ear, Sound};

use super::{Now, Site};
use crate::io::Output;

/// Nothing is heard for longer (a file has 30 s at most, and is read before).
const LONGEST: Duration = Duration::from_secs(40);

/// Sounds for phones that may be heard at one time; those for lines are as many as lines.
const MOST_AT_PHONES: usize = 64;

/// Names of so many announcements are told to who named none.
const NAMED: usize = 8;

type Done = Result<(), (Refusal, String)>;

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
    asked: Asked,
    /// The line was taken for it, and is given back after it; else it is heard in a talk.
    seized: bool,
    turn: u64,
    /// It is given up then.
    until: Instant,
}

/// Who wants something heard, for the record of how that went.
#[derive(Clone, Debug)]
struct Asked {
    by: By,
    ring: Option<RingId>,
    simulated: bool,
}

#[derive(Clone, Debug)]
enum By {
    Command {
        announcement: AnnouncementId,
        panel: PanelId,
    },
    Rule {
        /// In words, for the record of a failure.
        action: String,
        rule: RuleId,
    },
}

/// The rule that wants something heard.
pub(super) struct AskedBy<'a> {
    pub(super) ring: Option<RingId>,
    pub(super) rule: &'a RuleId,
    pub(super) simulated: bool,
}

impl Prompts {
    fn made(&mut self, now: Now, asked: Asked, seized: bool) -> Prompt {
        self.next += 1;
        Prompt {
            asked,
            seized,
            turn: self.next,
            until: now.mono + LONGEST,
        }
    }
}

fn too_much() -> (Refusal, String) {
    let text = "too much is being heard at this moment".to_owned();
    (Refusal::Overload, text)
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
        let action = Action::Prompt {
            line: line.clone(),
            sound: sound.clone(),
            to,
        };
        let asked = Asked {
            by: By::Rule {
                action: action.to_string(),
                rule: by.rule.clone(),
            },
            ring: by.ring,
            simulated: by.simulated,
        };
        let done = match to {
            Ear::Line => self
                .talk_path(now, &line, SeizeWhy::IncomingCall)
                .map(|seized| self.prompt_line(now, asked, line, sound, seized)),
            Ear::Phone { alone } => self.prompt_phone(now, asked, line, (sound, alone)),
        };
        done.map_err(|(_, text)| text)
    }

    /// Has an announcement of the site file heard, because somebody asked for it. It is no call and no answer of one.
    pub(super) fn announce(
        &mut self,
        now: Now,
        (announcement, panel): (AnnouncementId, PanelId),
        to: AnnounceTo,
        subject: Subject,
    ) -> Done {
        let Some(of) = self.params.panels.get(&panel) else {
            return Err((Refusal::Unknown, format!("there is no panel {panel:?}")));
        };
        let line = of.line.clone();
        let listed = self.params.announcements.get(&announcement);
        let Some(listed) = listed.filter(|listed| listed.panels.contains(&panel)) else {
            return Err((Refusal::Unknown, self.not_listed(&announcement, &panel)));
        };
        let sound = Sound::File(listed.file.clone());
        let ring = self.talk_at(&line);
        let call = ring.and_then(|ring| self.calls.get(&ring));
        // a line may be that of several panels: who may speak at one has no part in the talks of another
        if call.is_some_and(|call| call.at_panel() != Some(&panel)) || self.announces(&line) {
            let text = format!("something else is being heard at panel {panel}; try again when it is over");
            return Err((Refusal::LineBusy, text));
        }
        let phone = match to {
            AnnounceTo::Both => ring.is_some(),
            AnnounceTo::Door => false,
            AnnounceTo::Phone if ring.is_none() => {
                let text = format!("nobody has a call at panel {panel} who could hear it");
                return Err((Refusal::NoCall, text));
            }
            AnnounceTo::Phone => true,
        };
        if phone && self.prompts.at_phones.len() >= MOST_AT_PHONES {
            return Err(too_much());
        }
        let seized = match to {
            AnnounceTo::Both | AnnounceTo::Door if ring.is_none() && !self.is_callable(&panel) => {
                let text = format!(
                    "panel {panel} is heard only when somebody rings or talks there; if its line can be spoken on at any \
                     time, say so: call-in = \"self-start\" in [lines.{line}]"
                );
                return Err((Refusal::NoCall, text));
            }
            AnnounceTo::Both | AnnounceTo::Door => Some(self.talk_path(now, &line, SeizeWhy::Asked)?),
            AnnounceTo::Phone => None,
        };
        let asked = Asked {
            by: By::Command {
                announcement: announcement.clone(),
                panel: panel.clone(),
            },
            ring,
            simulated: self.params.lines.get(&line).is_some_and(|line| line.simulated),
        };
        let event = PanelEvent::Announced {
            announcement,
            subject,
            to,
        };
        self.record(now, Event::Panel(panel, event), asked.ring, asked.simulated);
        if let Some(seized) = seized {
            self.prompt_line(now, asked.clone(), line.clone(), sound.clone(), seized);
        }
        if phone {
            self.prompt_phone(now, asked, line, (sound, false))?;
        }
        Ok(())
    }

    /// Is an announcement heard there that a command began? One after the other, so that nobody is talked over.
    fn announces(&self, line: &LineId) -> bool {
        let at_phones = self.prompts.at_phones.values().filter(|(at, _)| at == line);
        let here = self.prompts.by_line.get(line).into_iter();
        let mut all = here.chain(at_phones.map(|(_, prompt)| prompt));
        all.any(|prompt| matches!(prompt.asked.by, By::Command { .. }))
    }

    fn not_listed(&self, announcement: &AnnouncementId, panel: &PanelId) -> String {
        let all = self.announcements_at(panel);
        let mut names: Vec<&str> = all.iter().take(NAMED).map(|(id, _)| id.as_str()).collect();
        if all.len() > NAMED {
            names.push("…");
        }
        let there = match names.as_slice() {
            [] => "there is none; [announcements] of the site file lists them".to_owned(),
            _ => format!("there are: {}", names.join(", ")),
        };
        format!("there is no announcement {announcement:?} at panel {panel}; {there}")
    }

    /// What a command may have heard at a panel, with names for people.
    pub(super) fn announcements_at(&self, panel: &PanelId) -> Vec<(AnnouncementId, String)> {
        let all = self.params.announcements.iter();
        all.filter(|(_, of)| of.panels.contains(panel))
            .map(|(id, of)| (id.clone(), of.name.clone()))
            .collect()
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

    fn prompt_phone(&mut self, now: Now, asked: Asked, line: LineId, (sound, alone): (Sound, bool)) -> Done {
        let call = self.talk_at(&line).and_then(|ring| self.calls.get(&ring));
        let Some(leg) = call.and_then(super::calls::Call::winner) else {
            return Err((Refusal::NoCall, "nobody has a call there".to_owned()));
        };
        if self.prompts.at_phones.len() >= MOST_AT_PHONES {
            return Err(too_much());
        }
        let prompt = self.prompts.made(now, asked, false);
        let turn = prompt.turn;
        self.prompts.at_phones.insert(turn, (line.clone(), prompt));
        self.out.push_back(Output::SayToLeg {
            alone,
            leg,
            sound,
            told: Some((line, turn)),
        });
        Ok(())
    }

    /// Is something to be heard at a line at this moment? True if its talk path was taken for it, false if a talk goes on there.
    fn talk_path(&mut self, now: Now, line: &LineId, why: SeizeWhy) -> Result<bool, (Refusal, String)> {
        if self.prompts.by_line.contains_key(line) {
            let text = "something else is being heard there".to_owned();
            return Err((Refusal::LineBusy, text));
        }
        if self.talk_at(line).is_some() {
            return Ok(false);
        }
        let Some(unit) = self.lines.get_mut(line) else {
            return Err((Refusal::Unknown, format!("there is no line {line:?}")));
        };
        if unit.ring.is_some() {
            let text = format!("nothing is heard there: {}", SeizeRefused::LineBusy);
            return Err((Refusal::LineBusy, text));
        }
        let seized = unit.line.seize(now.mono, why);
        let reason = match unit.line.state() {
            LineState::Fault => Refusal::Fault,
            LineState::Idle => Refusal::NoCall,
            LineState::BusyOther | LineState::Handset | LineState::Ours | LineState::Ringing => {
                Refusal::LineBusy
            }
        };
        seized.map_err(|why| (reason, format!("nothing is heard there: {why}")))?;
        self.drain_line(now, line);
        Ok(true)
    }

    fn prompt_line(&mut self, now: Now, asked: Asked, line: LineId, sound: Sound, seized: bool) {
        let prompt = self.prompts.made(now, asked, seized);
        let turn = prompt.turn;
        self.prompts.by_line.insert(line.clone(), prompt);
        self.out.push_back(Output::Say { line, sound, turn });
    }

    /// The ring of the call that has the line and talks, so that its talk path is open.
    fn talk_at(&self, line: &LineId) -> Option<RingId> {
        let ring = self.lines.get(line).and_then(|unit| unit.ring)?;
        self.calls.get(&ring)?.is_talking().then_some(ring)
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

    /// Ends what is heard at a line, and by the phone that talked there.
    pub(super) fn hush_talk(&mut self, now: Now, line: &LineId, why: &str) {
        self.hush(now, line, why);
        let there = self.prompts.at_phones.iter().filter(|(_, (at, _))| at == line);
        let turns: Vec<u64> = there.map(|(turn, _)| *turn).collect();
        for turn in turns {
            // with its leg the sound is gone
            if let Some((line, prompt)) = self.prompts.at_phones.remove(&turn) {
                self.prompted(now, line, prompt, Ok(format!("ended early: {why}")));
            }
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
        let Asked { by, ring, simulated } = prompt.asked;
        let event = match (by, heard) {
            (By::Command { announcement, panel }, Ok(text) | Err(text)) => {
                Event::Panel(panel, PanelEvent::AnnouncementEnded { announcement, text })
            }
            (By::Rule { rule, .. }, Ok(text)) => Event::Rule(rule, RuleEvent::Prompted { line, text }),
            (By::Rule { action, rule }, Err(text)) => Event::Rule(rule, RuleEvent::Failed { action, text }),
        };
        self.record(now, event, ring, simulated);
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
