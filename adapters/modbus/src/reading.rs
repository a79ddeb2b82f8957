//! When inputs of modules are asked for, and what their answers mean. Pure.
//!
//! Adjacent inputs of a unit are read by one request. The first reading of an input is state; one that differs from it is an edge once
//! it has stood for the input's debounce, dated by when it was asked for. A module that does not answer is asked once a second, so
//! that it costs the others little, and once nothing was heard of an input for a while, nothing is known of it: what it reads
//! when it is back is state again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gateway_core::{Edge, InputId, Instant};

use crate::pdu::{MOST, Request};

/// For so long, or for three intervals, an input counts as read without an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same before the first one: a relay guard that has the line writes its boards to rest first.
const START: Duration = Duration::from_secs(5);
/// Between two questions that nobody answers, but for the first few.
const RETRY: Duration = Duration::from_secs(1);
/// Questions without an answer that are repeated at the usual interval.
const QUICK: u32 = 2;
/// An answer that was asked for longer ago says nothing of now: the process stood still.
const OLD: Duration = Duration::from_secs(2);
/// Between two attempts to ask something while an answer to something else may still come.
const LATER: Duration = Duration::from_millis(50);
/// Shortest time between two questions for the same.
const SHORTEST: Duration = Duration::from_millis(20);

/// What is read of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputKind {
    /// Coils, function 0x01.
    Coil,
    /// Discrete inputs, function 0x02.
    Discrete,
}

/// One input of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModbusInput {
    /// Its address as it goes over the line, from 0.
    pub address: u16,
    /// For so long a level has to stand, 0 to 1000 ms.
    pub debounce: Duration,
    /// Its name.
    pub input: InputId,
    /// Between two readings, 20 to 1000 ms.
    pub interval: Duration,
    /// True if 0 means active.
    pub inverted: bool,
    /// Coil or discrete input.
    pub kind: InputKind,
    /// Address of the module on its line, 1 to 255.
    pub unit: u8,
}

/// A question to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// How many, 1 to [`MOST`].
    pub count: u16,
    /// Address of the first one.
    pub first: u16,
    /// What is read.
    pub kind: InputKind,
    /// The module.
    pub unit: u8,
}

impl Ask {
    /// Its request.
    #[must_use]
    pub const fn request(self) -> Request {
        let (address, count) = (self.first, self.count);
        match self.kind {
            InputKind::Coil => Request::ReadCoils { address, count },
            InputKind::Discrete => Request::ReadDiscrete { address, count },
        }
    }
}

/// What a question came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was not asked: an answer to another question may still come, and would be taken for this one.
    Later,
    /// Levels of all that was asked for.
    Levels(Vec<bool>),
    /// There is none, and why.
    None(String),
}

/// What became known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An input's level.
    Edge {
        /// When it was asked for.
        at: Instant,
        /// The level, and whether it is the first one.
        edge: Edge,
        /// Which.
        input: InputId,
    },
    /// What is wrong with a module; `None` if nothing is any more.
    Trouble {
        /// What.
        text: Option<String>,
        /// Which.
        unit: u8,
    },
    /// Nothing is known of an input any more.
    Unread(InputId),
}

struct Member {
    debounce: Duration,
    input: InputId,
    inverted: bool,
    /// What counts; `None` before the first reading.
    level: Option<bool>,
    /// Since when the other level was read.
    other_since: Option<Instant>,
}

struct Question {
    ask: Ask,
    /// Questions without an answer since the last one that had one.
    failed: u32,
    interval: Duration,
    members: Vec<Member>,
    next: Instant,
    /// Why there was no answer, as it was said last.
    said: Option<String>,
    /// From then on nothing is known, unless there is an answer before.
    until: Instant,
    /// Nothing is known.
    unread: bool,
}

impl Question {
    fn patience(&self) -> Duration {
        PATIENCE.max(self.interval * 3)
    }

    fn read(&mut self, asked: Instant, levels: &[bool], heard: &mut VecDeque<Heard>) {
        for (member, bit) in self.members.iter_mut().zip(levels) {
            let active = *bit != member.inverted;
            let initial = match member.level {
                None => true,
                Some(level) if level == active => {
                    member.other_since = None;
                    continue;
                }
                Some(_) => {
                    let since = *member.other_since.get_or_insert(asked);
                    if asked.since(since) < member.debounce {
                        continue;
                    }
                    false
                }
            };
            member.level = Some(active);
            member.other_since = None;
            heard.push_back(Heard::Edge {
                at: asked,
                edge: Edge { active, initial },
                input: member.input.clone(),
            });
        }
    }

    /// How long until it is asked again: sooner if a level is to be confirmed.
    fn pause(&self) -> Duration {
        let pending = self.members.iter().filter(|m| m.other_since.is_some());
        let soonest = pending.map(|m| m.debounce.max(SHORTEST)).min();
        soonest.map_or(self.interval, |soon| soon.min(self.interval))
    }
}

/// All inputs of a line or connection.
pub struct Readings {
    heard: VecDeque<Heard>,
    questions: Vec<Question>,
    /// Modules whose trouble was told.
    troubled: BTreeMap<u8, bool>,
}

impl Readings {
    /// Nothing is known of any of them. Addresses of one module and kind differ.
    #[must_use]
    pub fn new(now: Instant, inputs: &[ModbusInput]) -> Self {
        let mut sorted: Vec<&ModbusInput> = inputs.iter().collect();
        sorted.sort_by_key(|of| (of.unit, of.kind, of.address));
        let mut questions: Vec<Question> = vec![];
        for of in sorted {
            let member = Member {
                debounce: of.debounce,
                input: of.input.clone(),
                inverted: of.inverted,
                level: None,
                other_since: None,
            };
            // only what stands side by side: between them may be addresses that the module does not have
            let last = questions.last_mut().filter(|last| {
                let ask = last.ask;
                (ask.unit, ask.kind) == (of.unit, of.kind)
                    && ask.first.checked_add(ask.count) == Some(of.address)
                    && ask.count < MOST
            });
            if let Some(last) = last {
                last.ask.count += 1;
                last.interval = last.interval.min(of.interval);
                last.members.push(member);
                continue;
            }
            questions.push(Question {
                ask: Ask {
                    count: 1,
                    first: of.address,
                    kind: of.kind,
                    unit: of.unit,
                },
                failed: 0,
                interval: of.interval,
                members: vec![member],
                next: now,
                said: None,
                until: now + START,
                unread: false,
            });
        }
        Self {
            heard: VecDeque::new(),
            questions,
            troubled: BTreeMap::new(),
        }
    }

    /// The question that is due for longest, with its number.
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<(usize, Ask)> {
        let due = self.questions.iter().enumerate().filter(|(_, q)| q.next <= now);
        due.min_by_key(|(_, q)| q.next).map(|(n, q)| (n, q.ask))
    }

    /// When a question is due.
    #[must_use]
    pub fn poll_next(&self) -> Option<Instant> {
        self.questions.iter().map(|q| q.next).min()
    }

    /// When something is not known any more.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let known = self.questions.iter().filter(|q| !q.unread);
        known.map(|q| q.until).min()
    }

    /// What a question came to that was `asked` then: levels of all that it asked for, or why there are none.
    pub fn answered(&mut self, asked: Instant, now: Instant, number: usize, answer: Answer) {
        let Some(question) = self.questions.get_mut(number) else {
            return;
        };
        if now.since(asked) > OLD {
            question.next = now;
            return;
        }
        match answer {
            Answer::Levels(levels) if levels.len() == usize::from(question.ask.count) => {
                question.read(asked, &levels, &mut self.heard);
                question.failed = 0;
                question.said = None;
                question.unread = false;
                question.until = now + question.patience();
                question.next = now.max(asked + question.pause());
            }
            Answer::Levels(levels) => {
                let text = format!("{} levels came, expected {}", levels.len(), question.ask.count);
                question.fail(asked, now, text);
            }
            Answer::Later => question.next = now + question.interval.max(LATER),
            Answer::None(text) => question.fail(asked, now, text),
        }
        self.handle_timeout(now);
    }

    /// Time passes.
    pub fn handle_timeout(&mut self, now: Instant) {
        for question in &mut self.questions {
            if question.unread || now < question.until {
                continue;
            }
            question.unread = true;
            for member in &mut question.members {
                member.other_since = None;
                if member.level.take().is_some() {
                    self.heard.push_back(Heard::Unread(member.input.clone()));
                }
            }
        }
        self.tell();
    }

    /// What became known.
    pub fn poll(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    /// Nobody reads them any more, and nothing is wrong with them.
    pub fn end(&mut self) {
        for (unit, _) in std::mem::take(&mut self.troubled)
            .into_iter()
            .filter(|(_, told)| *told)
        {
            self.heard.push_back(Heard::Trouble { text: None, unit });
        }
    }

    /// One trouble for each module, as it begins and ends.
    fn tell(&mut self) {
        let mut troubled: BTreeMap<u8, Option<String>> = BTreeMap::new();
        for question in &self.questions {
            let text = question.unread.then(|| question.text());
            let known = troubled.entry(question.ask.unit).or_default();
            if known.is_none() {
                *known = text;
            }
        }
        for (unit, text) in troubled {
            let told = self.troubled.entry(unit).or_default();
            if *told != text.is_some() {
                *told = text.is_some();
                self.heard.push_back(Heard::Trouble { text, unit });
            }
        }
    }
}

impl Question {
    fn fail(&mut self, asked: Instant, now: Instant, text: String) {
        self.said = Some(text);
        self.failed = self.failed.saturating_add(1);
        for member in &mut self.members {
            // what was not read is not confirmed
            member.other_since = None;
        }
        self.next = if self.failed > QUICK {
            now + RETRY
        } else {
            now.max(asked + self.interval)
        };
    }

    fn text(&self) -> String {
        let unit = self.ask.unit;
        let why = self.said.clone().unwrap_or_else(|| {
            format!("unit {unit} said nothing for too long: look at its line, or fewer may share it")
        });
        let names: Vec<&str> = self.members.iter().map(|m| m.input.as_str()).collect();
        format!("{why}; not known meanwhile: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(1_000_000_000_000 + ms * 1_000_000)
    }

    fn input(name: &str, unit: u8, address: u16) -> ModbusInput {
        ModbusInput {
            address,
            debounce: Duration::from_millis(30),
            input: name.parse().expect("a name"),
            interval: Duration::from_millis(50),
            inverted: false,
            kind: InputKind::Discrete,
            unit,
        }
    }

    fn told(readings: &mut Readings) -> Vec<String> {
        let word = |heard| match heard {
            Heard::Edge { edge, input, .. } => {
                let level = if edge.active { "active" } else { "at rest" };
                format!("{input} {level}{}", if edge.initial { " first" } else { "" })
            }
            Heard::Trouble { text: None, unit } => format!("unit {unit} well"),
            Heard::Trouble {
                text: Some(text),
                unit,
            } => format!("unit {unit}: {text}"),
            Heard::Unread(input) => format!("{input} unread"),
        };
        std::iter::from_fn(|| readings.poll()).map(word).collect()
    }

    /// Asks as a driver does, from `from` to `to`, of modules that answer at once.
    fn run(
        readings: &mut Readings,
        from: u64,
        to: u64,
        answer: impl Fn(u64, Ask) -> Answer,
    ) -> Vec<(u64, Ask)> {
        let mut asked = vec![];
        for ms in from..to {
            readings.handle_timeout(at(ms));
            while let Some((number, ask)) = readings.next(at(ms)) {
                asked.push((ms, ask));
                readings.answered(at(ms), at(ms), number, answer(ms, ask));
            }
        }
        asked
    }

    #[test]
    fn the_first_reading_is_state_and_what_stands_for_its_debounce_is_an_edge() {
        let mut readings = Readings::new(at(0), &[input("bell", 1, 0)]);
        run(&mut readings, 0, 100, |_, _| Answer::Levels(vec![true]));
        assert_eq!(told(&mut readings), ["bell active first"]);
        run(&mut readings, 100, 200, |_, _| Answer::Levels(vec![false]));
        assert_eq!(told(&mut readings), ["bell at rest"]);
        // for one reading only
        run(&mut readings, 200, 300, |ms, _| Answer::Levels(vec![ms < 210]));
        assert_eq!(told(&mut readings), [""; 0]);
        // asked for again as soon as it can count, which is before the interval is over
        let asked = run(&mut readings, 300, 400, |_, _| Answer::Levels(vec![true]));
        assert_eq!(told(&mut readings), ["bell active"]);
        assert_eq!(asked[1].0 - asked[0].0, 30, "{asked:?}");
        let mut swift = input("bell", 1, 0);
        swift.debounce = Duration::ZERO;
        swift.inverted = true;
        let mut readings = Readings::new(at(0), &[swift]);
        run(&mut readings, 0, 60, |ms, _| Answer::Levels(vec![ms < 50]));
        assert_eq!(told(&mut readings), ["bell at rest first", "bell active"]);
    }

    #[test]
    fn neighbours_are_read_at_once_and_nothing_between_them_that_may_not_be_there() {
        let mut coil = input("call", 1, 3);
        coil.kind = InputKind::Coil;
        let all = [
            input("c", 1, 7),
            input("b", 1, 2),
            input("a", 1, 1),
            input("d", 2, 3),
            coil,
            input("end", 2, u16::MAX),
        ];
        let mut readings = Readings::new(at(0), &all);
        let asked = run(&mut readings, 0, 1, |_, ask| {
            Answer::Levels((0..ask.count).map(|n| ask.first + n == 2).collect())
        });
        let asked: Vec<_> = asked
            .iter()
            .map(|(_, a)| (a.unit, a.kind, a.first, a.count))
            .collect();
        assert_eq!(
            asked,
            [
                (1, InputKind::Coil, 3, 1),
                (1, InputKind::Discrete, 1, 2),
                (1, InputKind::Discrete, 7, 1),
                (2, InputKind::Discrete, 3, 1),
                (2, InputKind::Discrete, u16::MAX, 1)
            ]
        );
        let told = told(&mut readings);
        assert!(told.contains(&"b active first".to_owned()), "{told:?}");
        assert!(told.contains(&"a at rest first".to_owned()), "{told:?}");
        assert_eq!(told.len(), 6);
    }

    #[test]
    fn a_module_that_vanishes_is_a_fault_and_what_it_reads_when_it_is_back_is_state() {
        let mut readings = Readings::new(at(0), &[input("bell", 5, 0), input("other", 6, 0)]);
        let well = |_, _| Answer::Levels(vec![false]);
        run(&mut readings, 0, 100, well);
        assert_eq!(told(&mut readings), ["bell at rest first", "other at rest first"]);
        let silent = |_: u64, ask: Ask| match ask.unit {
            5 => Answer::None("unit 5 does not answer".to_owned()),
            _ => Answer::Levels(vec![false]),
        };
        let asked = run(&mut readings, 100, 5000, silent);
        assert_eq!(
            told(&mut readings),
            [
                "bell unread",
                "unit 5: unit 5 does not answer; not known meanwhile: bell"
            ]
        );
        // asked once a second; the other one as ever
        let of_5 = asked.iter().filter(|(_, ask)| ask.unit == 5).count();
        assert!((5..=8).contains(&of_5), "{of_5}");
        let of_6 = asked.iter().filter(|(_, ask)| ask.unit == 6).count();
        assert!(of_6 >= 97, "{of_6}");
        run(&mut readings, 5000, 6200, |_, ask| {
            Answer::Levels(vec![ask.unit == 5])
        });
        assert_eq!(told(&mut readings), ["bell active first", "unit 5 well"]);
    }

    #[test]
    fn a_short_silence_is_none_and_confirms_nothing() {
        let mut readings = Readings::new(at(0), &[input("bell", 5, 0)]);
        run(&mut readings, 0, 100, |_, _| Answer::Levels(vec![false]));
        told(&mut readings);
        // pressed at one reading, silent at the next, released after it
        let asked = run(&mut readings, 100, 600, |ms, _| match ms {
            100..130 => Answer::Levels(vec![true]),
            130..300 => Answer::None("noise".to_owned()),
            _ => Answer::Levels(vec![false]),
        });
        assert!(asked.len() > 3);
        assert_eq!(told(&mut readings), [""; 0]);
    }

    #[test]
    fn a_module_that_was_never_read_is_told_once_the_guard_had_time_to_begin() {
        let mut readings = Readings::new(at(0), &[input("bell", 5, 0)]);
        run(&mut readings, 0, 4990, |_, _| Answer::None("nobody".to_owned()));
        assert_eq!(told(&mut readings), [""; 0]);
        run(&mut readings, 4990, 9000, |_, _| {
            Answer::None("nobody".to_owned())
        });
        assert_eq!(told(&mut readings), ["unit 5: nobody; not known meanwhile: bell"]);
        readings.end();
        assert_eq!(told(&mut readings), ["unit 5 well"]);
    }

    #[test]
    fn an_answer_that_waited_while_the_process_stood_still_says_nothing() {
        let mut readings = Readings::new(at(0), &[input("exit", 5, 0)]);
        run(&mut readings, 0, 100, |_, _| Answer::Levels(vec![false]));
        told(&mut readings);
        readings.answered(at(100), at(9000), 0, Answer::Levels(vec![true]));
        assert_eq!(readings.next(at(9000)).map(|(n, _)| n), Some(0));
        readings.handle_timeout(at(9000));
        run(&mut readings, 9000, 9050, |_, _| Answer::Levels(vec![false]));
        assert_eq!(
            told(&mut readings),
            [
                "exit unread",
                "unit 5: unit 5 said nothing for too long: look at its line, or fewer may share it; not known meanwhile: exit",
                "exit at rest first",
                "unit 5 well"
            ]
        );
    }

    #[test]
    fn an_answer_of_another_length_is_none() {
        let mut readings = Readings::new(at(0), &[input("bell", 5, 0)]);
        readings.answered(at(0), at(1), 0, Answer::Levels(vec![true, false]));
        readings.answered(at(0), at(1), 7, Answer::Levels(vec![true]));
        assert_eq!(told(&mut readings), [""; 0]);
    }
}
