//! One reader as the panel sees it: its link, what it is asked, what it says, and how it is.

mod errands;
mod outputs;

use std::collections::VecDeque;
use std::time::Duration;

use adapter_wiegand::{Frame, Output as Read, WiegandParams, WiegandReader};
use gateway_core::{CardFrame, Instant, Misread, ReaderCommand};

use crate::display::Texts;
use crate::errand::{Progress, Settings};
use crate::feedback::Feedback;
use crate::link::{Heard, Link, Refused, Security};
use crate::message::{Command, Identity, Reply, nak_reason};
use crate::output::OutputAnswer;
use crate::packet::Packet;
use crate::transfer::Transfer;

/// A reader that has not answered for so long is offline (v2.2, 2.2).
pub(crate) const OFFLINE: Duration = Duration::from_secs(8);
/// What comes after a longer silence may have been in the reader all the time.
const FRESH: Duration = Duration::from_secs(2);
/// How often a reader is asked how it is, besides what it says by itself.
const STATUS: Duration = Duration::from_secs(10);
/// So many packets without an answer end a session: the reader may have forgotten it.
const MISSES: u32 = 4;
/// Commands that may wait for a reader: a question of each kind, light, beep and text, and what an operator wants.
const WAITING: usize = 12;
/// Inputs of a reader that are told.
const INPUTS: usize = 32;
/// Functions of PDCAP (v2.2, annex B): how many displays, and the longest packet that the reader takes.
const DISPLAYS: u8 = 6;
const RECEIVES: u8 = 10;

/// What a reader is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PdParams {
    /// Its address on the line, 0 to 126.
    pub address: u8,
    /// What is a card, and how often the same one counts. Its keypad and times of edges are of no use.
    pub cards: WiegandParams,
    /// Is anybody interested in its inputs?
    pub inputs: bool,
    /// How it is spoken to.
    pub security: Security,
    /// What its display says, if it has one.
    pub texts: Texts,
}

/// Something of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A card.
    Card(CardFrame),
    /// How it goes with what an operator wanted.
    Errand(Progress),
    /// The reader cannot do its work, or somebody is at it; the text says what to do.
    Fault(String),
    /// Who it is, whenever it comes online.
    Identity(Identity),
    /// Levels of its inputs.
    Inputs {
        /// True for what is so since nobody knows when: it came online.
        initial: bool,
        /// In order.
        levels: Vec<bool>,
    },
    /// It is away: nothing is known of its inputs any more.
    InputsGone,
    /// A key: `0-9 * #`.
    Key(char),
    /// It took its key.
    KeyTaken,
    /// Something that is neither card nor key.
    Misread {
        /// How many bits came last.
        bits: u16,
        /// Why.
        reason: Misread,
        /// How often since it was last told.
        times: u64,
    },
    /// What became of an order for an output.
    Output {
        /// What it came to.
        answer: OutputAnswer,
        /// Which order.
        id: u64,
    },
    /// Bits as they came, of whatever format.
    Raw(CardFrame),
    /// It works (again).
    Ready,
}

/// The reader.
pub(crate) struct Pd {
    /// When it was heard last.
    answered: Instant,
    /// When it was asked last.
    asked: Instant,
    cards: WiegandReader,
    /// Has it a display? It says so itself.
    display: bool,
    feedback: Feedback,
    /// Has it said that there was nothing, since it came online or was away? Only then is what it says new.
    fresh: bool,
    fault: Option<String>,
    /// Have its inputs been told since it came online?
    inputs_known: bool,
    levels: Vec<bool>,
    link: Link,
    misses: u32,
    /// The packet that is out, to be sent again as it was.
    outstanding: Option<(Option<Command>, Vec<u8>)>,
    out: VecDeque<(Instant, Event)>,
    outputs: outputs::Outputs,
    params: PdParams,
    power: bool,
    /// Longest packet that it takes; 0 before it said so.
    receives: u16,
    refused: Option<Refused>,
    /// Address and speed that it was told to take.
    settings: Option<Settings>,
    /// When it was last heard to have nothing waiting.
    since: Instant,
    status: Instant,
    tamper: bool,
    /// Was anything told of how it is?
    told: bool,
    /// The file that it gets.
    transfer: Option<Transfer>,
    /// Commands of which it knows nothing: lights and beeps that it has not.
    unknown: Vec<u8>,
    waiting: VecDeque<Command>,
}

impl Pd {
    pub(crate) fn new(params: PdParams, now: Instant) -> Self {
        Self {
            answered: now,
            asked: Instant::ZERO,
            cards: WiegandReader::new(params.cards.clone(), now),
            display: false,
            feedback: Feedback::new(params.texts.clone()),
            fresh: false,
            fault: None,
            inputs_known: false,
            levels: Vec::new(),
            link: Link::new(params.address, params.security.clone()),
            misses: 0,
            outstanding: None,
            out: VecDeque::new(),
            outputs: outputs::Outputs::default(),
            params,
            power: false,
            receives: 0,
            refused: None,
            settings: None,
            since: Instant::ZERO,
            status: now,
            tamper: false,
            told: false,
            transfer: None,
            unknown: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    pub(crate) const fn security(&self) -> &Security {
        &self.params.security
    }

    pub(crate) fn install(&mut self, until: Instant) {
        self.link.install(until);
    }

    /// The last word counts: what waits to be shown is replaced.
    pub(crate) fn show(&mut self, now: Instant, command: ReaderCommand) {
        let commands = self.feedback.command(now, command);
        if commands.is_empty() || !self.link.is_open() {
            return;
        }
        self.waiting.retain(|waiting| !waiting.is_feedback());
        for command in commands.into_iter().rev() {
            let shown = self.display || !matches!(command, Command::Text(_));
            if shown && !self.unknown.contains(&command.encode().0) {
                self.waiting.push_front(command);
            }
        }
        self.waiting.truncate(WAITING);
    }

    /// Did it leave the last packet without an answer?
    pub(crate) const fn is_silent(&self) -> bool {
        self.misses > 0
    }

    /// Does a person wait for what it is to be told?
    pub(crate) fn is_urgent(&self) -> bool {
        self.outputs.is_asked() || self.waiting.front().is_some_and(Command::is_feedback)
    }

    pub(crate) const fn asked(&self) -> Instant {
        self.asked
    }

    /// When its next turn is due, if it is asked every `pause`.
    pub(crate) fn due(&self, pause: Duration) -> Instant {
        if let Some(begins) = self.link.begins().filter(|_| self.misses == 0) {
            return begins;
        }
        let idle = self.misses == 0 && self.link.is_open() && self.outstanding.is_none();
        match &self.transfer {
            // it wants to be left alone until then
            Some(transfer) if idle && transfer.is_exclusive() => return transfer.due().max(self.asked),
            Some(_) if idle && self.outputs.is_asked() => return self.asked,
            Some(transfer) if idle => return transfer.due().clamp(self.asked, self.asked + pause),
            Some(_) | None => {}
        }
        if idle && (!self.waiting.is_empty() || self.outputs.is_asked()) {
            return self.asked;
        }
        self.asked + pause
    }

    /// Its next packet; `None` if the link opened without one.
    pub(crate) fn ask(&mut self, now: Instant, random: [u8; 8]) -> Option<Vec<u8>> {
        if self.outputs.is_late(now) {
            // sent again it would open for somebody who has gone: the reader forgets the session and with it what was said
            self.end(now);
        }
        if let Some((_, packet)) = &self.outstanding {
            let packet = packet.clone();
            self.asked = now;
            return Some(packet);
        }
        if !self.link.is_open() {
            let packet = self.link.open(now, random);
            if packet.is_some() {
                self.asked = now;
            } else if self.link.is_open() {
                self.opened(now);
            }
            self.outstanding = packet.clone().map(|packet| (None, packet));
            return packet;
        }
        self.asked = now;
        let first = self.output_step(now).or_else(|| self.piece(now));
        let command = first.or_else(|| self.waiting.pop_front()).unwrap_or_else(|| {
            if now >= self.status {
                self.status = now + STATUS;
                Command::LocalStatus
            } else {
                Command::Poll
            }
        });
        let packet = self.link.command(&command)?;
        self.outstanding = Some((Some(command), packet.clone()));
        Some(packet)
    }

    /// The link is open: who is it, what can it do, how is it?
    fn opened(&mut self, now: Instant) {
        (self.fresh, self.inputs_known) = (false, false);
        self.outputs_lost(now);
        self.unknown.clear();
        self.waiting.clear();
        self.waiting
            .extend([Command::Id, Command::Capabilities, Command::LocalStatus]);
        if self.params.inputs {
            self.waiting.push_back(Command::InputStatus);
        }
    }

    /// No answer came in time.
    pub(crate) fn missed(&mut self, now: Instant) {
        self.misses = self.misses.saturating_add(1);
        // what is shown late says something wrong, and a handshake is made with new numbers each time
        let stale = self
            .outstanding
            .as_ref()
            .is_none_or(|(command, _)| command.is_none());
        if self.misses >= MISSES || stale {
            self.end(now);
        }
        self.judge(now);
    }

    /// Gives the session up, with all that was on its way.
    fn end(&mut self, now: Instant) {
        self.forget(now);
        self.link.close();
        self.outstanding = None;
        self.waiting.clear();
        self.fresh = false;
    }

    /// Takes a packet while one of ours is out; true if the turn is over.
    pub(crate) fn hear(&mut self, now: Instant, packet: &Packet) -> bool {
        let (heard, next) = self.link.hear(now, packet);
        match heard {
            Heard::Forged => {
                let bits = packet.data.len().saturating_mul(8);
                let bits = u16::try_from(bits).unwrap_or(u16::MAX);
                self.cards.misread(now, bits, Misread::Forged);
                self.read(now);
                return false;
            }
            Heard::Nothing => return false,
            // it is there, but a reader that is busy for ever is offline, too
            Heard::Busy => return true,
            Heard::Closed(why) => {
                self.refused = Some(why);
                self.forget(now);
            }
            Heard::KeyTaken => {
                self.out.push_back((now, Event::KeyTaken));
            }
            Heard::Lost => self.forget(now),
            Heard::Link | Heard::Opened | Heard::Reply(_) => {}
        }
        let command = self.outstanding.take().and_then(|(command, _)| command);
        self.misses = 0;
        match heard {
            Heard::Reply(reply) => {
                self.refused = None;
                self.reply(now, command.as_ref(), reply);
                self.answered = now;
            }
            Heard::Opened => {
                self.refused = None;
                self.answered = now;
                self.opened(now);
            }
            // it is not offline, there is something else to say of it
            Heard::Closed(_) => self.answered = now,
            Heard::Busy | Heard::Forged | Heard::KeyTaken | Heard::Link | Heard::Lost | Heard::Nothing => {}
        }
        self.judge(now);
        if let Some(packet) = next {
            self.outstanding = Some((None, packet));
            // at once: the reader waits for it
            self.asked = Instant::ZERO;
        }
        true
    }

    fn reply(&mut self, now: Instant, command: Option<&Command>, reply: Reply) {
        if now.since(self.answered) > FRESH {
            self.fresh = false;
        }
        let is_poll = command == Some(&Command::Poll);
        if is_poll && reply == Reply::Ack {
            self.fresh = true;
        }
        // what was in the reader before it was asked is as old as the time when nothing was in it
        let at = if self.fresh { now } else { self.since };
        if self.fresh {
            self.since = now;
        }
        self.output_heard(now, command, &reply);
        match reply {
            Reply::Id(identity) => self.out.push_back((now, Event::Identity(identity))),
            Reply::InputStatus(mut levels) => {
                levels.truncate(INPUTS);
                let initial = !self.inputs_known;
                if self.params.inputs && (initial || levels != self.levels) {
                    self.levels.clone_from(&levels);
                    self.inputs_known = true;
                    self.out.push_back((at, Event::Inputs { initial, levels }));
                }
            }
            // a second reader of the device stands elsewhere: what it reads opens nothing here
            Reply::Keypad { keys, reader: 1.. } => {
                self.cards
                    .misread(now, u16::try_from(keys.len()).unwrap_or(u16::MAX), Misread::Key);
            }
            Reply::Raw {
                bits, reader: 1.., ..
            } => {
                self.cards.misread(
                    now,
                    u16::try_from(bits.len()).unwrap_or(u16::MAX),
                    Misread::Length,
                );
            }
            Reply::Keypad { keys, reader: 0 } => {
                for key in keys {
                    match key {
                        Some(key) => self.out.push_back((at, Event::Key(key))),
                        None => self.cards.misread(now, 8, Misread::Key),
                    }
                }
            }
            Reply::LocalStatus { power, tamper } => (self.power, self.tamper) = (power, tamper),
            Reply::Nak(code) => self.declined(now, command, code),
            Reply::Capabilities(all) => self.can(&all),
            Reply::File(status) => {
                if let (Some(Command::File(_)), Some(transfer)) = (command, &mut self.transfer) {
                    let outcome = transfer.heard(now, status);
                    self.went(now, outcome);
                }
            }
            Reply::Settings(took) => self.settled(now, took),
            Reply::Raw { bits, reader: 0, .. } => {
                let frame = Frame {
                    at: now,
                    bits,
                    damage: None,
                };
                self.cards.frame(frame);
            }
            Reply::ReaderStatus(states) => self.tamper = states.contains(&2),
            Reply::Ack
            | Reply::Busy
            | Reply::ClientCryptogram { .. }
            | Reply::InitialMac(_)
            | Reply::Other(_)
            | Reply::OutputStatus(_) => {}
        }
        self.read(at);
    }

    /// A command that it does not carry out: a light that it has not is no fault.
    fn declined(&mut self, now: Instant, command: Option<&Command>, code: u8) {
        let Some(command) = command else { return };
        self.errand_declined(now, command, code);
        let (number, _) = command.encode();
        tracing::debug!(
            address = self.params.address,
            command = number,
            code,
            "a reader declined a command"
        );
        if *command == Command::InputStatus {
            tracing::warn!(
                address = self.params.address,
                reason = nak_reason(code),
                "an OSDP reader does not say how its inputs are: they are not known; wire them elsewhere, or take them out of the site file"
            );
        }
        if command.is_feedback() && !self.unknown.contains(&number) {
            self.unknown.push(number);
        }
    }

    /// What the bits were.
    fn read(&mut self, at: Instant) {
        if let Some((_, frame)) = self.cards.poll_raw() {
            self.out.push_back((at, Event::Raw(frame)));
        }
        while let Some(read) = self.cards.poll_output() {
            let event = match read {
                Read::Card { frame, .. } => Event::Card(frame),
                Read::Key { key, .. } => Event::Key(key),
                Read::Misread {
                    bits, reason, times, ..
                } => Event::Misread { bits, reason, times },
                // they are of two wires, which this reader has not
                Read::Fault(_) | Read::Ready => continue,
            };
            self.out.push_back((at, event));
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.cards.handle_timeout(now);
        self.read(now);
        self.judge(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let offline = (self.fault.is_none() || !self.told).then_some(self.answered + OFFLINE);
        self.cards.poll_timeout().into_iter().chain(offline).min()
    }

    pub(crate) fn poll_output(&mut self) -> Option<(Instant, Event)> {
        self.out.pop_front()
    }

    /// How it is, told when it changes.
    fn judge(&mut self, now: Instant) {
        let address = self.params.address;
        let away = now.since(self.answered);
        let fault = if away >= OFFLINE {
            Some(format!(
                "the reader at address {address} does not answer: check its supply, wires A and B, address and speed"
            ))
        } else if let Some(why) = self.refused {
            Some(why.text())
        } else if self.tamper {
            Some("the reader's case is open (tamper): look who is at it".to_owned())
        } else if self.power {
            Some("the reader reports that its supply fails".to_owned())
        } else if !self.fresh {
            // nothing is known yet, or it comes back: it is well when what it sends counts
            return;
        } else {
            None
        };
        if away >= OFFLINE {
            (self.refused, self.tamper, self.power) = (None, false, false);
            if std::mem::take(&mut self.inputs_known) {
                self.out.push_back((now, Event::InputsGone));
            }
        }
        if !self.told || fault != self.fault {
            self.told = true;
            self.fault.clone_from(&fault);
            self.out
                .push_back((now, fault.map_or(Event::Ready, Event::Fault)));
        }
    }
}
