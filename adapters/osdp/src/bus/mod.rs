//! One RS-485 line with its readers as the panel polls them. Pure: bytes and time in, bytes and events out.
//!
//! One packet at a time, each answered or given up. Readers that answer take turns; of those that do not, one is asked
//! between two rounds of the others, so that a dead reader costs the others one reply time a round and no more. A
//! packet without an answer is sent again as it was, which readers know by its sequence number.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{Instant, ReaderCommand};

use crate::errand::Errand;
use crate::link::Security;
use crate::output::OutputOrder;
use crate::packet::{Deframer, MARK, Packet};
use crate::pd::{Event, Pd, PdParams};

/// A reader has to begin its answer within this time (v2.2, 5.7).
const REPLY: Duration = Duration::from_millis(200);
/// Pause within an answer after which it is over: 20 ms by the standard, and what USB adapters add.
const PAUSE: Duration = Duration::from_millis(60);
/// Longest answer as a whole.
const WHOLE: Duration = Duration::from_millis(400);
/// A reader that answers is asked this often, if the line has time for it.
pub(crate) const POLL: Duration = Duration::from_millis(50);
/// A reader that does not answer is asked this often.
const PROBE: Duration = Duration::from_millis(500);
/// Bits of one character on the line.
const CHARACTER: u32 = 10;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusParams {
    /// Bits per second.
    pub baud: u32,
    /// Its readers; their place is their name here.
    pub readers: Vec<PdParams>,
}

/// What to do, or what happened.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Something of a reader.
    Event {
        /// Which reader, by its place.
        reader: usize,
        /// When it happened, or the last time it cannot have happened before.
        at: Instant,
        /// What.
        event: Event,
    },
    /// Bytes for the line.
    Send(Vec<u8>),
}

/// The packet that is out.
struct Turn {
    began: Instant,
    deadline: Instant,
    reader: usize,
}

/// The line.
pub struct Bus {
    baud: u32,
    deframer: Deframer,
    out: VecDeque<Output>,
    pds: Vec<Pd>,
    /// When the line has been quiet long enough for the next packet.
    quiet: Instant,
    /// Random numbers for handshakes.
    random: Box<dyn FnMut() -> [u8; 8] + Send>,
    /// When the last packet without an answer was given up.
    silence: Instant,
    turn: Option<Turn>,
}

impl Bus {
    /// A line whose readers are asked from `now` on. `random` has to give numbers that nobody can foresee.
    #[must_use]
    pub fn new(params: BusParams, now: Instant, random: impl FnMut() -> [u8; 8] + Send + 'static) -> Self {
        Self {
            baud: params.baud.max(1),
            deframer: Deframer::default(),
            out: VecDeque::new(),
            pds: params.readers.into_iter().map(|pd| Pd::new(pd, now)).collect(),
            quiet: now,
            random: Box::new(random),
            silence: Instant::ZERO,
            turn: None,
        }
    }

    /// What a reader is to show.
    pub fn show(&mut self, now: Instant, reader: usize, command: ReaderCommand) {
        if let Some(pd) = self.pds.get_mut(reader) {
            pd.show(now, command);
        }
        self.go_on(now);
    }

    /// Lets a reader be given its key by the default key until `until`; false if it is spoken to in the clear.
    pub fn install(&mut self, now: Instant, reader: usize, until: Instant) -> bool {
        let Some(pd) = self.pds.get_mut(reader) else {
            return false;
        };
        let keyed = pd.security() != &Security::Clear;
        if keyed {
            pd.install(until);
        }
        self.go_on(now);
        keyed
    }

    /// Does at a reader what an operator wants once; how it goes comes as events.
    pub fn errand(&mut self, now: Instant, reader: usize, errand: Errand) {
        if let Some(pd) = self.pds.get_mut(reader) {
            pd.errand(now, errand);
        }
        self.drain(now);
        self.go_on(now);
    }

    /// Does what the relay guard wants of a reader's outputs; what it came to comes as an event with this number.
    pub fn order(&mut self, now: Instant, reader: usize, id: u64, order: OutputOrder) {
        if let Some(pd) = self.pds.get_mut(reader) {
            pd.order(now, id, order);
        }
        self.drain(now);
        self.go_on(now);
    }

    /// Takes bytes that were read from the line at `now`.
    pub fn handle_input(&mut self, now: Instant, bytes: &[u8]) {
        // what comes after its time is no answer any more: who knows how long it has waited
        self.expire(now);
        for piece in bytes.chunks(256) {
            self.deframer.push(piece);
            while let Some(found) = self.deframer.packet() {
                match found {
                    Ok(packet) => self.packet(now, &packet),
                    Err(error) => tracing::debug!(%error, "bytes on the line are no packet"),
                }
            }
        }
        match &mut self.turn {
            Some(turn) => turn.deadline = turn.deadline.max(now + PAUSE).min(turn.began + WHOLE),
            None => self.deframer.clear(),
        }
        self.drain(now);
        self.go_on(now);
    }

    fn packet(&mut self, now: Instant, packet: &Packet) {
        let Some(turn) = &self.turn else {
            return;
        };
        let reader = turn.reader;
        let Some(pd) = self.pds.get_mut(reader) else {
            return;
        };
        if pd.hear(now, packet) {
            self.turn = None;
            // two characters of silence between packets (v2.2, 5.7)
            self.quiet = now + self.line_time(2);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire(now);
        for pd in &mut self.pds {
            pd.handle_timeout(now);
        }
        self.drain(now);
        self.go_on(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = self.pds.iter().filter_map(Pd::poll_timeout);
        let line = match &self.turn {
            Some(turn) => Some(turn.deadline),
            None => self.due().map(|at| at.max(self.quiet)),
        };
        own.chain(line).min()
    }

    /// What to do, or what happened.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn expire(&mut self, now: Instant) {
        let Some(turn) = self.turn.take_if(|turn| now >= turn.deadline) else {
            return;
        };
        self.deframer.clear();
        self.silence = now;
        self.quiet = now;
        if let Some(pd) = self.pds.get_mut(turn.reader) {
            pd.missed(now);
        }
    }

    /// When the next reader is due.
    fn due(&self) -> Option<Instant> {
        self.pds.iter().map(due_of).min()
    }

    /// Whose turn it is: of those that are due the urgent one, then the one that waits longest. One that does not
    /// answer comes once all that do were asked since the last silence.
    fn next(&self, now: Instant) -> Option<usize> {
        let due = || self.pds.iter().enumerate().filter(|(_, pd)| due_of(pd) <= now);
        let waits = due().any(|(_, pd)| !pd.is_silent() && pd.asked() < self.silence);
        let next = due().filter(|(_, pd)| !(waits && pd.is_silent()));
        let next = next.min_by_key(|(_, pd)| (!pd.is_urgent(), pd.asked()));
        next.map(|(reader, _)| reader)
    }

    fn go_on(&mut self, now: Instant) {
        while self.turn.is_none() && now >= self.quiet {
            let Some(reader) = self.next(now) else {
                return;
            };
            let random = (self.random)();
            // a link in the clear opens without a packet
            if let Some(packet) = self.pds.get_mut(reader).and_then(|pd| pd.ask(now, random)) {
                self.send(now, reader, &packet);
            }
        }
    }

    fn send(&mut self, now: Instant, reader: usize, packet: &[u8]) {
        let bytes = [&[MARK], packet].concat();
        let deadline = now + self.line_time(bytes.len()) + REPLY;
        self.turn = Some(Turn {
            began: now,
            deadline,
            reader,
        });
        self.deframer.clear();
        self.out.push_back(Output::Send(bytes));
    }

    fn line_time(&self, characters: usize) -> Duration {
        let bits = u32::try_from(characters)
            .unwrap_or(u32::MAX)
            .saturating_mul(CHARACTER);
        Duration::from_secs(1) * bits / self.baud
    }

    fn drain(&mut self, now: Instant) {
        for (reader, pd) in self.pds.iter_mut().enumerate() {
            while let Some((at, event)) = pd.poll_output() {
                self.out.push_back(Output::Event {
                    reader,
                    at: at.min(now),
                    event,
                });
            }
        }
    }
}

fn due_of(pd: &Pd) -> Instant {
    pd.due(if pd.is_silent() { PROBE } else { POLL })
}

#[cfg(test)]
mod tests;
