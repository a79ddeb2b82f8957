//! Outputs of a reader, as the relay guard has them: written to rest before they may be used in a session, and on for a time
//! that the reader itself ends, never until further notice.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::Instant;

use super::{Event, Pd};
use crate::message::{Command, Drive, Reply, nak_reason};
use crate::output::{OUTPUTS, OutputAnswer, OutputOrder};

/// Orders that may wait for a reader: the guard and its sentinel have one each.
const WAITING: usize = 8;
/// What is to be on until further notice is on for so long, in 100 ms, and is told so anew.
const HELD: u16 = 50;
/// How often.
const RENEW: Duration = Duration::from_secs(2);

/// An order and what it takes.
struct Job {
    claims: Vec<u8>,
    holds: Option<u8>,
    id: u64,
    levels: Option<Vec<bool>>,
    /// A step is not sent, and not sent again, from then on.
    not_after: Option<Instant>,
    steps: VecDeque<Command>,
}

/// What becomes of the outputs of one reader.
#[derive(Default)]
pub(super) struct Outputs {
    /// Has it said that it does not answer to be asked for them? What it says by itself has to do then.
    cannot: bool,
    /// Those that were written to rest in this session.
    claimed: Vec<u8>,
    /// Those that are on until further notice, and when that is told again.
    held: Vec<(u8, Instant)>,
    /// Is a step of the first job out?
    is_out: bool,
    jobs: VecDeque<Job>,
    /// What it said last in this session, asked or in answer to a poll.
    told: Option<Vec<bool>>,
}

impl Outputs {
    /// Does somebody wait for an answer?
    pub(super) fn is_asked(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Must what is out not be sent again, since its time is over?
    pub(super) fn is_late(&self, now: Instant) -> bool {
        let first = self.jobs.front().filter(|_| self.is_out);
        first.is_some_and(|job| job.not_after.is_some_and(|end| now >= end))
    }

    /// What it says of its outputs.
    fn tell(&mut self, levels: &[bool]) {
        self.told = Some(levels.iter().copied().take(OUTPUTS.into()).collect());
    }

    /// What to say next. What comes to its end without a word, and what is too late, is put to the answers.
    fn next(&mut self, now: Instant, answers: &mut Vec<(u64, OutputAnswer)>) -> Option<Command> {
        while let Some(job) = self.jobs.front_mut() {
            if job.not_after.is_some_and(|end| now >= end) {
                answers.push((job.id, Err("the line had no time for it in its time".to_owned())));
                self.jobs.pop_front();
                continue;
            }
            match job.steps.front() {
                Some(Command::OutputStatus) if self.cannot => {
                    job.steps.pop_front();
                    job.levels.clone_from(&self.told);
                }
                Some(step) => {
                    self.is_out = true;
                    return Some(step.clone());
                }
                None => {
                    let job = self.jobs.pop_front()?;
                    answers.push((job.id, self.done(now, job)));
                }
            }
        }
        let (number, due) = self.held.iter_mut().find(|(_, due)| now >= *due)?;
        *due = now + RENEW;
        Some(Command::Drive {
            drive: Drive::On { tenths: HELD },
            number: *number,
        })
    }

    /// Takes an answer to a step; gives what the order came to, if that was its last.
    fn heard(&mut self, now: Instant, reply: &Reply) -> Option<(u64, OutputAnswer)> {
        if !std::mem::take(&mut self.is_out) {
            // an output that is held was told so again
            return None;
        }
        let job = self.jobs.front_mut()?;
        let step = job.steps.pop_front()?;
        match (&step, reply) {
            // one that says nothing of its outputs at all is believed: there is nothing to compare
            (Command::OutputStatus, reply) => {
                self.cannot = matches!(reply, Reply::Nak(_));
                job.levels.clone_from(&self.told);
            }
            (_, Reply::Nak(code)) => {
                let job = self.jobs.pop_front()?;
                let text = format!("the reader refuses it ({})", nak_reason(*code));
                return Some((job.id, Err(text)));
            }
            (_, _) => {}
        }
        if !job.steps.is_empty() {
            return None;
        }
        let job = self.jobs.pop_front()?;
        Some((job.id, self.done(now, job)))
    }

    fn done(&mut self, now: Instant, job: Job) -> OutputAnswer {
        if let Some(number) = job.holds {
            self.held.push((number, now + RENEW));
        }
        if let Some(levels) = job.levels.as_ref().filter(|_| !job.claims.is_empty()) {
            for number in &job.claims {
                match levels.get(usize::from(*number)) {
                    Some(false) => {}
                    Some(true) => {
                        return Err(format!("output {number} stays on though it was written to rest"));
                    }
                    None => {
                        return Err(format!(
                            "the reader has {} outputs, and none is {number}",
                            levels.len()
                        ));
                    }
                }
            }
        }
        if !job.claims.is_empty() {
            self.claimed = job.claims;
        }
        Ok(job.levels)
    }

    /// The session is over, or a new one begins: nothing is known of the outputs, and nothing is on its way.
    fn lost(&mut self) -> Vec<u64> {
        self.cannot = false;
        self.claimed.clear();
        self.held.clear();
        self.is_out = false;
        self.told = None;
        self.jobs.drain(..).map(|job| job.id).collect()
    }

    /// Puts an order in its place, or says why not.
    fn add(&mut self, id: u64, order: OutputOrder) -> Result<(), &'static str> {
        if self.jobs.len() >= WAITING {
            return Err("too many orders wait for this reader");
        }
        let drive = |number, drive| Command::Drive { drive, number };
        let mut job = Job {
            claims: vec![],
            holds: None,
            id,
            levels: None,
            not_after: None,
            steps: VecDeque::new(),
        };
        match order {
            OutputOrder::Claim(numbers) => {
                self.claimed.clear();
                self.held.clear();
                job.steps
                    .extend(numbers.iter().map(|number| drive(*number, Drive::Off)));
                job.steps.push_back(Command::OutputStatus);
                job.claims = numbers;
            }
            OutputOrder::Off(number) => {
                self.held.retain(|(held, _)| *held != number);
                job.steps.push_back(drive(number, Drive::Off));
            }
            OutputOrder::Read => job.steps.push_back(Command::OutputStatus),
            OutputOrder::Hold(number) | OutputOrder::On { number, .. } if !self.claimed.contains(&number) => {
                return Err("the reader was away since its outputs were written to rest");
            }
            OutputOrder::Hold(number) => {
                self.held.retain(|(held, _)| *held != number);
                job.holds = Some(number);
                job.steps.push_back(drive(number, Drive::On { tenths: HELD }));
            }
            OutputOrder::On {
                not_after,
                number,
                tenths,
            } => {
                self.held.retain(|(held, _)| *held != number);
                job.not_after = Some(not_after);
                job.steps.push_back(drive(
                    number,
                    Drive::On {
                        tenths: tenths.max(1),
                    },
                ));
            }
        }
        self.jobs.push_back(job);
        Ok(())
    }
}

impl Pd {
    /// Does what the relay guard wants of an output; what it came to is told as an event of that number.
    pub(crate) fn order(&mut self, now: Instant, id: u64, order: OutputOrder) {
        let added = if self.link.is_open() {
            self.outputs.add(id, order)
        } else {
            Err("the reader is not online")
        };
        if let Err(text) = added {
            self.answer(now, id, Err(text.to_owned()));
        }
    }

    fn answer(&mut self, now: Instant, id: u64, answer: OutputAnswer) {
        self.out.push_back((now, Event::Output { answer, id }));
    }

    /// The next thing to say to an output. A reader that wants to be left alone with a file is.
    pub(super) fn output_step(&mut self, now: Instant) -> Option<Command> {
        if self.transfer.as_ref().is_some_and(|of| of.is_exclusive()) {
            return None;
        }
        let mut answers = vec![];
        let step = self.outputs.next(now, &mut answers);
        for (id, answer) in answers {
            self.answer(now, id, answer);
        }
        step
    }

    /// Takes an answer to what it was asked or told last.
    pub(super) fn output_heard(&mut self, now: Instant, command: Option<&Command>, reply: &Reply) {
        if let Reply::OutputStatus(levels) = reply {
            self.outputs.tell(levels);
        }
        let ours = matches!(command, Some(Command::Drive { .. } | Command::OutputStatus));
        if !ours {
            return;
        }
        if let Some((id, answer)) = self.outputs.heard(now, reply) {
            self.answer(now, id, answer);
        }
    }

    /// The session is over.
    pub(super) fn outputs_lost(&mut self, now: Instant) {
        for id in self.outputs.lost() {
            self.answer(now, id, Err("the reader is away".to_owned()));
        }
    }
}
