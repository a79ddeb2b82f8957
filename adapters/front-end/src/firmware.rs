//! What a front end does, as a machine: the model for those who write one, and the simulator's own.
//!
//! It has two ports. The line port tells edges and sets outputs; the door port opens doors and does nothing else. Each
//! lets go of what is its own when it hears nothing for its watchdog time. An opening has its end with it, so that it
//! ends by itself whatever becomes of everybody else. Time is its own clock in µs.

use std::collections::VecDeque;

use crate::frame::Deframer;
use crate::message::{
    CHANNELS, CardPulses, Identity, MAX_BATCH, MAX_PULSES, MAX_TELEGRAM, MessageError, Order, PortRole,
    Press, Reason, Row, Telegram, VERSION, WireEdge, Word,
};
use crate::opening::{Act, Opening, Step, us};

/// Lets go of everything after so much silence on a port.
pub const WATCHDOG_MS: u16 = 1000;
/// Edges that wait for being sent; more are lost, and counted.
const MAX_EDGES: usize = 2048;
/// The outputs of a card rest for so long after it: a controller takes pulses that follow sooner for more of its bits.
const CARD_REST_US: u64 = 50_000;
/// Longest opening.
const LONGEST_MS: u16 = 60_000;
/// What drives a bus is held no longer.
const LONGEST_ACTIVE_US: u16 = 15_000;
/// Longest rest within a row of pulses of a door.
const LONGEST_REST_US: u16 = 30_000;

/// What happened at its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The output of a door.
    Door {
        /// Which.
        door: u8,
        /// Active: the door opens.
        on: bool,
        /// When.
        at_us: u64,
    },
    /// Another output.
    Output {
        /// Which.
        output: u8,
        /// Active, or at rest.
        on: bool,
        /// When.
        at_us: u64,
    },
    /// The wire of a contact, which is pulled low by an output or by a key. Told by the simulator only.
    Wire {
        /// Input that sees it.
        input: u8,
        /// Its level from here on.
        level: bool,
        /// When.
        at_us: u64,
    },
}

/// One port.
#[derive(Clone, Debug, Default)]
struct Port {
    deframer: Deframer,
    /// When something that made sense came last; `None` before the first, and once it let go.
    heard_us: Option<u64>,
    out: VecDeque<u8>,
}

/// A front end.
#[derive(Clone, Debug)]
pub struct Firmware {
    boot: u32,
    changes: VecDeque<Change>,
    door: Port,
    doors: Vec<Option<Opening>>,
    edges: VecDeque<WireEdge>,
    inputs: Vec<(bool, u64)>,
    line: Port,
    next_edge: u16,
    /// Outputs: since when they have been active.
    outputs: Vec<Option<u64>>,
    /// Rows of pulses: output, and when it changes.
    pulses: VecDeque<(u64, u8, bool)>,
    /// Until when each output rests after a card.
    rests_us: Vec<u64>,
}

impl Firmware {
    /// A front end that was just started; `boot` is another number each time. All its inputs are low.
    #[must_use]
    pub fn new(boot: u32, inputs: u8, outputs: u8, doors: u8) -> Self {
        let count = |n: u8| usize::from(n.min(CHANNELS));
        let mut firmware = Self {
            boot,
            changes: VecDeque::new(),
            door: Port::default(),
            doors: vec![None; count(doors)],
            edges: VecDeque::new(),
            inputs: vec![(false, 0); count(inputs)],
            line: Port::default(),
            next_edge: 0,
            outputs: vec![None; count(outputs)],
            pulses: VecDeque::new(),
            rests_us: vec![0; count(outputs)],
        };
        for role in [PortRole::Line, PortRole::Door] {
            let hello = firmware.hello(role);
            firmware.say(role, &hello);
        }
        firmware
    }

    /// Bytes for the gateway.
    pub fn take_bytes(&mut self, role: PortRole) -> Vec<u8> {
        self.port(role).out.drain(..).collect()
    }

    /// What changed at the outputs.
    pub fn take_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// A wire changes.
    pub fn set_input(&mut self, now_us: u64, input: u8, level: bool) {
        self.handle_timeout(now_us);
        let Some(known) = self.inputs.get_mut(usize::from(input)) else {
            return;
        };
        if known.0 == level {
            return;
        }
        *known = (level, now_us);
        self.next_edge = self.next_edge.wrapping_add(1);
        if self.edges.len() < MAX_EDGES {
            self.edges.push_back(WireEdge {
                at_us: now_us,
                input,
                level,
            });
        } else {
            // the numbers of the next message show that some are missing
            self.edges.clear();
        }
    }

    /// Bytes of the gateway.
    pub fn handle_bytes(&mut self, now_us: u64, role: PortRole, bytes: &[u8]) {
        self.handle_timeout(now_us);
        for byte in bytes {
            let Some(Ok(message)) = self.port(role).deframer.push(*byte) else {
                continue;
            };
            match Order::read(&message) {
                Ok((number, order)) => {
                    self.port(role).heard_us = Some(now_us);
                    let answer = match self.carry_out(now_us, role, order) {
                        Ok(Some(word)) => word,
                        Ok(None) => Word::Done,
                        Err(reason) => Word::Refused(reason),
                    };
                    self.answer(role, &answer, number);
                }
                Err(MessageError::Short(_)) => {}
                Err(MessageError::Kind { .. } | MessageError::Content { .. }) => {
                    let number = message.get(1).copied().unwrap_or_default();
                    self.answer(role, &Word::Refused(Reason::Kind), number);
                }
            }
        }
        self.handle_timeout(now_us);
    }

    fn carry_out(&mut self, now: u64, role: PortRole, order: Order) -> Result<Option<Word>, Reason> {
        match (order, role) {
            (Order::Alive, _) => Ok(Some(self.state(now, role))),
            (Order::Hello { .. }, _) => Ok(Some(self.hello(role))),
            (Order::Card(card), PortRole::Line) => self.card(now, &card).map(|()| None),
            (Order::Set { output, on }, PortRole::Line) => {
                if usize::from(output) >= self.outputs.len() {
                    return Err(Reason::Channel);
                }
                if self.pulses.iter().any(|(_, of, _)| *of == output) || self.rests(now, output) {
                    return Err(Reason::Busy);
                }
                self.set(now, output, on);
                Ok(None)
            }
            (Order::Pulses { output, times_us }, PortRole::Line) => {
                if usize::from(output) >= self.outputs.len() {
                    return Err(Reason::Channel);
                }
                let wrong = |us: &u16| !(2..=LONGEST_ACTIVE_US).contains(us);
                if times_us.is_empty() || times_us.len() > MAX_PULSES || times_us.iter().any(wrong) {
                    return Err(Reason::Range);
                }
                if !self.pulses.is_empty() || self.rests(now, output) {
                    return Err(Reason::Busy);
                }
                let mut at = now;
                for (n, us) in times_us.iter().enumerate() {
                    self.pulses.push_back((at, output, n % 2 == 0));
                    at += u64::from(*us);
                }
                self.pulses.push_back((at, output, false));
                Ok(None)
            }
            (Order::Press(press), PortRole::Door) => self.press(now, press).map(|()| None),
            (Order::Row(row), PortRole::Door) => self.row(now, row).map(|()| None),
            (Order::Telegram(telegram), PortRole::Door) => self.telegram(now, &telegram).map(|()| None),
            (Order::Rest { door }, PortRole::Door) => {
                if usize::from(door) >= self.doors.len() {
                    return Err(Reason::Channel);
                }
                self.rest(now, door);
                Ok(None)
            }
            (Order::Press(_) | Order::Rest { .. } | Order::Row(_) | Order::Telegram(_), PortRole::Line)
            | (Order::Card(_) | Order::Set { .. } | Order::Pulses { .. }, PortRole::Door) => {
                Err(Reason::Port)
            }
        }
    }

    /// One pulse for each bit, on one of two outputs that both rest.
    fn card(&mut self, now: u64, card: &CardPulses) -> Result<(), Reason> {
        let wires = [card.d0, card.d1].map(|output| self.outputs.get(usize::from(output)).copied());
        let (Some(d0), Some(d1)) = (wires[0], wires[1]) else {
            return Err(Reason::Channel);
        };
        let timed = (20..=100).contains(&card.pulse_us) && (200..=20_000).contains(&card.interval_us);
        if card.d0 == card.d1 || !timed || card.bits.is_empty() {
            return Err(Reason::Range);
        }
        let rests = self.rests(now, card.d0) || self.rests(now, card.d1);
        if !self.pulses.is_empty() || rests || d0.is_some() || d1.is_some() {
            return Err(Reason::Busy);
        }
        let mut at = now;
        for bit in &card.bits {
            let output = if *bit { card.d1 } else { card.d0 };
            self.pulses.push_back((at, output, true));
            self.pulses
                .push_back((at + u64::from(card.pulse_us), output, false));
            at += u64::from(card.interval_us);
        }
        let last = self.pulses.back().map_or(now, |(at, ..)| *at);
        for output in [card.d0, card.d1] {
            if let Some(rests) = self.rests_us.get_mut(usize::from(output)) {
                *rests = last + CARD_REST_US;
            }
        }
        Ok(())
    }

    /// Is a card out on this output, or was it just now?
    fn rests(&self, now: u64, output: u8) -> bool {
        self.rests_us
            .get(usize::from(output))
            .is_some_and(|until| now < *until)
    }

    fn press(&mut self, now: u64, press: Press) -> Result<(), Reason> {
        if press.press_ms == 0 {
            return Err(self
                .known(press.door, press.hook, press.call)
                .err()
                .unwrap_or(Reason::Range));
        }
        let opening = Opening {
            act: Act::Press(press.press_ms),
            from_us: now,
            call: press.call.map(|call| (call, press.quiet_ms)),
            end_us: now,
            hook: press.hook.map(|hook| (hook, press.after_ms)),
            left: press.presses,
            pause_ms: press.pause_ms,
            step: Step::Waits,
        };
        self.open(now, press.door, press.window_ms, opening)
    }

    fn row(&mut self, now: u64, row: Row) -> Result<(), Reason> {
        let wrong = |(turn, us): (usize, &u16)| {
            let longest = if turn % 2 == 0 {
                LONGEST_ACTIVE_US
            } else {
                LONGEST_REST_US
            };
            !(2..=longest).contains(us)
        };
        let times = &row.times_us;
        if times.len().is_multiple_of(2) || times.len() > MAX_PULSES || times.iter().enumerate().any(wrong) {
            return Err(self
                .known(row.door, row.hook, row.call)
                .err()
                .unwrap_or(Reason::Range));
        }
        let opening = Opening {
            act: Act::Row(row.times_us),
            from_us: now,
            call: row.call.map(|call| (call, row.quiet_ms)),
            end_us: now,
            hook: row.hook.map(|hook| (hook, row.after_ms)),
            left: row.rows,
            pause_ms: row.pause_ms,
            step: Step::Waits,
        };
        self.open(now, row.door, row.window_ms, opening)
    }

    fn telegram(&mut self, now: u64, telegram: &Telegram) -> Result<(), Reason> {
        let (pulse, bit, byte) = (
            u32::from(telegram.pulses.pulse_us),
            u32::from(telegram.pulses.bit_tenths),
            u32::from(telegram.pulses.byte_tenths),
        );
        let timed = (10..=100).contains(&pulse) && (pulse * 20..=10_000).contains(&bit) && byte >= 9 * bit;
        if !timed || !(1..=MAX_TELEGRAM).contains(&telegram.bytes.len()) {
            return Err(self
                .known(telegram.door, telegram.hook, telegram.call)
                .err()
                .unwrap_or(Reason::Range));
        }
        let opening = Opening {
            act: Act::Row(telegram.pulses.row(&telegram.bytes)),
            from_us: now,
            call: telegram.call.map(|call| (call, telegram.quiet_ms)),
            end_us: now,
            hook: telegram.hook.map(|hook| (hook, telegram.after_ms)),
            left: telegram.times,
            pause_ms: telegram.pause_ms,
            step: Step::Waits,
        };
        self.open(now, telegram.door, telegram.window_ms, opening)
    }

    /// Are there such a door, output and input?
    fn known(&self, door: u8, hook: Option<u8>, call: Option<u8>) -> Result<(), Reason> {
        let known = |channel: Option<u8>, count: usize| channel.is_none_or(|c| usize::from(c) < count);
        let all = usize::from(door) < self.doors.len()
            && known(hook, self.outputs.len())
            && known(call, self.inputs.len());
        all.then_some(()).ok_or(Reason::Channel)
    }

    fn open(&mut self, now: u64, door: u8, window_ms: u16, opening: Opening) -> Result<(), Reason> {
        let channel = |of: Option<(u8, u16)>| of.map(|(channel, _)| channel);
        self.known(door, channel(opening.hook), channel(opening.call))?;
        if !(1..=LONGEST_MS).contains(&window_ms) || !(1..=5).contains(&opening.left) {
            return Err(Reason::Range);
        }
        let end_us = now + us(window_ms);
        match self.doors.get_mut(usize::from(door)).ok_or(Reason::Channel)? {
            // the same opening, and it ends later
            Some(opening) => opening.end_us = end_us,
            slot @ None => {
                *slot = Some(Opening { end_us, ..opening });
                let (open, at_us) = (true, now);
                self.say(PortRole::Line, &Word::Door { door, open, at_us });
            }
        }
        Ok(())
    }

    fn rest(&mut self, now: u64, door: u8) {
        let Some(opening) = self.doors.get_mut(usize::from(door)).and_then(Option::take) else {
            return;
        };
        if opening.step.is_active() {
            let on = false;
            self.changes.push_back(Change::Door { door, on, at_us: now });
        }
        let open = false;
        self.say(
            PortRole::Line,
            &Word::Door {
                door,
                open,
                at_us: now,
            },
        );
    }

    fn set(&mut self, now: u64, output: u8, on: bool) {
        let Some(since) = self.outputs.get_mut(usize::from(output)) else {
            return;
        };
        if since.is_some() != on {
            *since = on.then_some(now);
            self.changes.push_back(Change::Output {
                output,
                on,
                at_us: now,
            });
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now_us: u64) {
        // what is due later must not hide what was due before it
        while let Some(due) = self.poll_timeout().filter(|due| *due <= now_us) {
            self.due(due);
        }
        self.send_edges();
    }

    fn due(&mut self, now: u64) {
        while self.pulses.front().is_some_and(|(at, ..)| *at <= now) {
            if let Some((at, output, on)) = self.pulses.pop_front() {
                self.set(at, output, on);
            }
        }
        for door in 0..CHANNELS {
            self.step(now, door);
        }
        let silent = |port: &Port| port.heard_us.is_some_and(|at| now >= at + us(WATCHDOG_MS));
        if silent(&self.line) {
            self.line.heard_us = None;
            self.pulses.clear();
            for output in 0..CHANNELS {
                self.set(now, output, false);
            }
        }
        if silent(&self.door) {
            self.door.heard_us = None;
            for door in 0..CHANNELS {
                self.rest(now, door);
            }
        }
    }

    fn step(&mut self, now: u64, door: u8) {
        let Some(Some(opening)) = self.doors.get(usize::from(door)) else {
            return;
        };
        if now >= opening.end_us {
            self.rest(now, door);
            return;
        }
        let (step, begins) = match (&opening.act, opening.step) {
            (_, Step::Waits) if self.ready_us(opening).is_some_and(|at| now >= at) => {
                if opening.fits(now) {
                    (opening.begin(now), true)
                } else {
                    (Step::Done, false)
                }
            }
            (Act::Press(_), Step::Pause(until)) if now >= until => (opening.begin(now), true),
            // somebody may have begun to talk in the pause
            (Act::Row(_), Step::Pause(until)) if now >= until => (Step::Waits, false),
            (_, Step::Pressed(until)) if now >= until => (opening.end(now), false),
            (Act::Row(times), Step::Row(turn, until)) if now >= until => match times.get(turn + 1) {
                Some(time) => (Step::Row(turn + 1, until + u64::from(*time)), false),
                None => (opening.end(now), false),
            },
            (_, Step::Done | Step::Pause(_) | Step::Pressed(_) | Step::Row(..) | Step::Waits) => return,
        };
        let was = opening.step.is_active();
        let Some(Some(opening)) = self.doors.get_mut(usize::from(door)) else {
            return;
        };
        opening.step = step;
        if matches!(step, Step::Waits) {
            opening.from_us = now;
        }
        if begins {
            opening.left -= 1;
        }
        let on = step.is_active();
        if on != was {
            self.changes.push_back(Change::Door { door, on, at_us: now });
        }
    }

    /// When what has to come before a press has come; `None` if that is not in sight.
    fn ready_us(&self, opening: &Opening) -> Option<u64> {
        let hook = match opening.hook {
            Some((hook, ms)) => self.outputs.get(usize::from(hook)).copied().flatten()? + us(ms),
            None => 0,
        };
        let quiet = match opening.call {
            Some((call, ms)) => self.inputs.get(usize::from(call))?.1 + us(ms),
            None => 0,
        };
        Some(hook.max(quiet).max(opening.from_us))
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        let pulses = self.pulses.front().map(|(at, ..)| *at);
        let doors = self.doors.iter().flatten().map(|opening| {
            let step = match opening.step {
                Step::Done => u64::MAX,
                Step::Pause(until) | Step::Pressed(until) | Step::Row(_, until) => until,
                Step::Waits => self.ready_us(opening).unwrap_or(u64::MAX),
            };
            step.min(opening.end_us)
        });
        let silent = |port: &Port| port.heard_us.map(|at| at + us(WATCHDOG_MS));
        let ports = [silent(&self.line), silent(&self.door)];
        doors.chain(pulses).chain(ports.into_iter().flatten()).min()
    }

    fn send_edges(&mut self) {
        while !self.edges.is_empty() {
            let waiting = u16::try_from(self.edges.len()).unwrap_or(u16::MAX);
            let first = self.next_edge.wrapping_sub(waiting);
            let edges = self.edges.drain(..self.edges.len().min(MAX_BATCH)).collect();
            self.say(PortRole::Line, &Word::Edges { first, edges });
        }
    }

    fn hello(&self, role: PortRole) -> Word {
        let count = |n: usize| u8::try_from(n).unwrap_or(CHANNELS);
        Word::Hello(Identity {
            version: VERSION,
            role,
            inputs: count(self.inputs.len()),
            outputs: match role {
                PortRole::Door => count(self.doors.len()),
                PortRole::Line => count(self.outputs.len()),
            },
            watchdog_ms: WATCHDOG_MS,
            boot: self.boot,
            name: "simulated front end".to_owned(),
        })
    }

    fn state(&self, now: u64, role: PortRole) -> Word {
        let bits = |all: &mut dyn Iterator<Item = bool>| {
            all.enumerate()
                .fold(0_u16, |bits, (n, on)| bits | u16::from(on) << n)
        };
        Word::State {
            at_us: now,
            inputs: bits(&mut self.inputs.iter().map(|(level, _)| *level)),
            outputs: match role {
                PortRole::Door => bits(&mut self.doors.iter().map(Option::is_some)),
                PortRole::Line => bits(&mut self.outputs.iter().map(Option::is_some)),
            },
            next_edge: self.next_edge,
        }
    }

    fn port(&mut self, role: PortRole) -> &mut Port {
        match role {
            PortRole::Door => &mut self.door,
            PortRole::Line => &mut self.line,
        }
    }

    fn say(&mut self, role: PortRole, word: &Word) {
        self.answer(role, word, 0);
    }

    /// Edges before a state: what is told of one moment stays in order.
    fn answer(&mut self, role: PortRole, word: &Word, number: u8) {
        if role == PortRole::Line && matches!(word, Word::State { .. }) {
            self.send_edges();
        }
        let frame = word.frame(number);
        let out = &mut self.port(role).out;
        // a gateway that reads nothing gets the newest
        if out.len() > 16 * 1024 {
            out.clear();
        }
        out.extend(frame);
    }
}

#[cfg(test)]
#[path = "firmware_tests.rs"]
mod tests;
