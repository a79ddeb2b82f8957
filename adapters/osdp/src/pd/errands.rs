//! What an operator has a reader do once: how it gets there, and how it went.

use gateway_core::Instant;

use super::{DISPLAYS, Event, Pd, RECEIVES};
use crate::errand::{Errand, Progress, Settings};
use crate::message::{Capability, Command, nak_reason};
use crate::transfer::{Outcome, Transfer};

impl Pd {
    /// Does once what an operator wants, or says why not.
    pub(crate) fn errand(&mut self, now: Instant, errand: Errand) {
        let refused = match errand {
            Errand::GiveUp if self.transfer.take().is_some() => {
                self.abort();
                "the transfer was given up by an operator"
            }
            Errand::GiveUp => "nothing is on its way to this reader",
            Errand::Give(_) | Errand::Settings(_) if !self.link.is_open() => {
                "the reader is not online: nothing is sent to it"
            }
            Errand::Give(_) | Errand::Settings(_) if self.transfer.is_some() || self.settings.is_some() => {
                "something else is on its way to this reader"
            }
            Errand::Give(file) => {
                // one that was cut off before may still be open in the reader
                self.abort();
                self.transfer = Some(Transfer::new(file, self.receives, now));
                return;
            }
            Errand::Settings(settings) => {
                self.settings = Some(settings);
                self.waiting.push_back(Command::Settings(settings));
                return;
            }
        };
        self.tell(now, Progress::Failed(refused.to_owned()));
    }

    /// Has it forget a file: it may keep one open and take no other.
    fn abort(&mut self) {
        if !self.waiting.contains(&Command::Abort) {
            self.waiting.push_back(Command::Abort);
        }
    }

    pub(super) fn tell(&mut self, now: Instant, progress: Progress) {
        self.out.push_back((now, Event::Errand(progress)));
    }

    /// The session is over: what was on its way is not sent by itself in the next one.
    pub(super) fn forget(&mut self, now: Instant) {
        self.outputs_lost(now);
        if let Some(transfer) = self.transfer.take() {
            self.tell(now, Progress::Failed(transfer.lost()));
        }
        if self.settings.take().is_some() {
            let text =
                "the reader did not say whether it took its address and speed: look under which it answers";
            self.tell(now, Progress::Failed(text.to_owned()));
        }
    }

    /// The next piece of a file, if it is its turn.
    pub(super) fn piece(&mut self, now: Instant) -> Option<Command> {
        // what went before comes first: it may be about the file
        let other = self.waiting.contains(&Command::Abort);
        let waits = self.is_urgent();
        let transfer = self
            .transfer
            .as_mut()
            .filter(|of| !other && (of.is_exclusive() || !waits))?;
        transfer.next(now).map(Command::File)
    }

    /// What it says it can do.
    pub(super) fn can(&mut self, all: &[Capability]) {
        let of = |function| all.iter().find(|can| can.function == function);
        self.display = of(DISPLAYS).is_some_and(|can| can.level > 0 && can.items > 0);
        // a size, in place of level and items
        self.receives = of(RECEIVES).map_or(0, |can| u16::from_le_bytes([can.level, can.items]));
    }

    /// How it goes with a file.
    pub(super) fn went(&mut self, now: Instant, outcome: Outcome) {
        let progress = match outcome {
            Outcome::Progress { sent, total } => Progress::Sent { sent, total },
            Outcome::Done(text) => Progress::Done(text.to_owned()),
            Outcome::Failed(text) => {
                self.abort();
                Progress::Failed(text)
            }
        };
        if !matches!(progress, Progress::Sent { .. }) && self.transfer.take().is_none() {
            return;
        }
        self.tell(now, progress);
    }

    pub(super) fn settled(&mut self, now: Instant, took: Settings) {
        let Some(wanted) = self.settings.take() else {
            return;
        };
        let Settings { address, baud } = took;
        let progress = if took == wanted {
            Progress::Done(format!(
                "the reader has address {address} and {baud} bit/s from here on"
            ))
        } else {
            Progress::Failed(format!(
                "the reader says that it has address {address} and {baud} bit/s"
            ))
        };
        self.tell(now, progress);
    }

    /// A command of an errand that it does not carry out.
    pub(super) fn errand_declined(&mut self, now: Instant, command: &Command, code: u8) {
        match command {
            Command::File(_) => {
                let text = format!("the reader refuses the file ({})", nak_reason(code));
                self.went(now, Outcome::Failed(text));
            }
            Command::Settings(_) if self.settings.take().is_some() => {
                let text = format!("the reader keeps its address and speed ({})", nak_reason(code));
                self.tell(now, Progress::Failed(text));
            }
            Command::Abort
            | Command::Buzzer(_)
            | Command::Capabilities
            | Command::Challenge(_)
            | Command::Drive { .. }
            | Command::Id
            | Command::InputStatus
            | Command::KeySet(_)
            | Command::Led(_)
            | Command::LocalStatus
            | Command::OutputStatus
            | Command::Poll
            | Command::ServerCryptogram(_)
            | Command::Settings(_)
            | Command::Text(_) => {}
        }
    }
}
