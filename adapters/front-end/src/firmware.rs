//! What a front end does, as a machine: the model for those who write one, and the simulator's own.
//!
//! It has two ports. The line port tells edges and sets outputs; the door port opens doors and does nothing else. Each
//! lets go of what is its own when it hears nothing for its watchdog time. An opening has its end with it, so that it
//! ends by itself whatever becomes of everybody else. Time is its own clock in µs.

use std::collections::VecDeque;

use crate::frame::Deframer;
use crate::message::{
    CHANNELS, Identity, MAX_BATCH, MAX_PULSES, MessageError, Order, PortRole, Press, Reason, VERSION,
    WireEdge, Word,
};

/// Lets go of everything after so much silence on a port.
pub const WATCHDOG_MS: u16 = 1000;
/// Edges that wait for being sent; more are lost, and counted.
const MAX_EDGES: usize = 2048;
/// Longest opening.
const LONGEST_MS: u16 = 60_000;

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
}

/// A door that is being opened.
#[derive(Clone, Copy, Debug)]
struct Opening {
    asked_us: u64,
    end_us: u64,
    /// Presses that are still to come.
    left: u8,
    press: Press,
    step: Step,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Between presses, until this time.
    Pause(u64),
    /// Active, until this time.
    Pressed(u64),
    /// For the hook and the quiet that have to come before.
    Waits,
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
            (Order::Set { output, on }, PortRole::Line) => {
                if usize::from(output) >= self.outputs.len() {
                    return Err(Reason::Channel);
                }
                if self.pulses.iter().any(|(_, of, _)| *of == output) {
                    return Err(Reason::Busy);
                }
                self.set(now, output, on);
                Ok(None)
            }
            (Order::Pulses { output, times_us }, PortRole::Line) => {
                if usize::from(output) >= self.outputs.len() {
                    return Err(Reason::Channel);
                }
                let wrong = |us: &u16| !(2..=15_000).contains(us);
                if times_us.is_empty() || times_us.len() > MAX_PULSES || times_us.iter().any(wrong) {
                    return Err(Reason::Range);
                }
                if !self.pulses.is_empty() {
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
            (Order::Rest { door }, PortRole::Door) => {
                if usize::from(door) >= self.doors.len() {
                    return Err(Reason::Channel);
                }
                self.rest(now, door);
                Ok(None)
            }
            (Order::Press(_) | Order::Rest { .. }, PortRole::Line)
            | (Order::Set { .. } | Order::Pulses { .. }, PortRole::Door) => Err(Reason::Port),
        }
    }

    fn press(&mut self, now: u64, press: Press) -> Result<(), Reason> {
        let slot = self
            .doors
            .get_mut(usize::from(press.door))
            .ok_or(Reason::Channel)?;
        let known = |channel: Option<u8>, count: usize| channel.is_none_or(|c| usize::from(c) < count);
        if !known(press.hook, self.outputs.len()) || !known(press.call, self.inputs.len()) {
            return Err(Reason::Channel);
        }
        let window = (1..=LONGEST_MS).contains(&press.window_ms);
        if !window || press.press_ms == 0 || !(1..=5).contains(&press.presses) {
            return Err(Reason::Range);
        }
        let end_us = now + us(press.window_ms);
        match slot {
            // the same opening, and it ends later
            Some(opening) => opening.end_us = end_us,
            None => {
                *slot = Some(Opening {
                    asked_us: now,
                    end_us,
                    left: press.presses,
                    press,
                    step: Step::Waits,
                });
                let (door, open) = (press.door, true);
                self.say(
                    PortRole::Line,
                    &Word::Door {
                        door,
                        open,
                        at_us: now,
                    },
                );
            }
        }
        Ok(())
    }

    fn rest(&mut self, now: u64, door: u8) {
        let Some(opening) = self.doors.get_mut(usize::from(door)).and_then(Option::take) else {
            return;
        };
        if matches!(opening.step, Step::Pressed(_)) {
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
        let Some(opening) = self.doors.get(usize::from(door)).copied().flatten() else {
            return;
        };
        if now >= opening.end_us {
            self.rest(now, door);
            return;
        }
        let mut next = opening;
        match opening.step {
            Step::Waits if self.ready_us(&opening).is_some_and(|at| now >= at) => {
                next.step = Step::Pressed(now + us(opening.press.press_ms));
                next.left -= 1;
            }
            Step::Pressed(until) if now >= until => {
                // without further presses it waits for its end
                let pause = us(opening.press.pause_ms);
                next.step = Step::Pause(if next.left > 0 { now + pause } else { u64::MAX });
            }
            Step::Pause(until) if now >= until => {
                next.step = Step::Pressed(now + us(opening.press.press_ms));
                next.left -= 1;
            }
            Step::Pause(_) | Step::Pressed(_) | Step::Waits => return,
        }
        let on = matches!(next.step, Step::Pressed(_));
        self.changes.push_back(Change::Door { door, on, at_us: now });
        if let Some(slot) = self.doors.get_mut(usize::from(door)) {
            *slot = Some(next);
        }
    }

    /// When what has to come before a press has come; `None` if that is not in sight.
    fn ready_us(&self, opening: &Opening) -> Option<u64> {
        let press = &opening.press;
        let hook = match press.hook {
            Some(hook) => self.outputs.get(usize::from(hook)).copied().flatten()? + us(press.after_ms),
            None => 0,
        };
        let quiet = match press.call {
            Some(call) => self.inputs.get(usize::from(call))?.1 + us(press.quiet_ms),
            None => 0,
        };
        Some(hook.max(quiet).max(opening.asked_us))
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        let pulses = self.pulses.front().map(|(at, ..)| *at);
        let doors = self.doors.iter().flatten().map(|opening| {
            let step = match opening.step {
                Step::Pause(until) | Step::Pressed(until) => until,
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

const fn us(ms: u16) -> u64 {
    ms as u64 * 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn press(window_ms: u16) -> Press {
        Press {
            door: 0,
            window_ms,
            press_ms: 300,
            presses: 1,
            pause_ms: 1000,
            hook: Some(0),
            after_ms: 1000,
            call: Some(0),
            quiet_ms: 300,
        }
    }

    fn order(firmware: &mut Firmware, ms: u64, role: PortRole, order: &Order) {
        firmware.handle_bytes(ms * 1000, role, &order.frame(7));
    }

    fn changes(firmware: &mut Firmware) -> Vec<(bool, u64)> {
        let mut all = Vec::new();
        while let Some(change) = firmware.take_change() {
            if let Change::Door { on, at_us, .. } = change {
                all.push((on, at_us / 1000));
            }
        }
        all
    }

    /// Runs until a time, heard on both ports.
    fn run(firmware: &mut Firmware, from_ms: u64, to_ms: u64) {
        for ms in (from_ms..=to_ms).step_by(250) {
            for role in [PortRole::Line, PortRole::Door] {
                order(firmware, ms, role, &Order::Alive);
            }
        }
    }

    fn started() -> Firmware {
        Firmware::new(1, 2, 3, 2)
    }

    #[test]
    fn a_door_is_pressed_once_the_line_is_off_hook_and_quiet() {
        let mut firmware = started();
        firmware.set_input(1_900_000, 0, true);
        order(
            &mut firmware,
            1000,
            PortRole::Line,
            &Order::Set { output: 0, on: true },
        );
        order(&mut firmware, 1100, PortRole::Door, &Order::Press(press(3000)));
        run(&mut firmware, 1200, 6000);
        // off-hook since 1000, the tone ended at 1900
        assert_eq!(changes(&mut firmware), [(true, 2200), (false, 2500)]);
    }

    #[test]
    fn a_door_that_never_becomes_ready_is_not_pressed_and_its_window_ends() {
        let mut firmware = started();
        order(&mut firmware, 0, PortRole::Door, &Order::Press(press(2000)));
        run(&mut firmware, 0, 1900);
        assert!(matches!(
            firmware.state(0, PortRole::Door),
            Word::State { outputs: 1, .. }
        ));
        run(&mut firmware, 2000, 3000);
        assert!(matches!(
            firmware.state(0, PortRole::Door),
            Word::State { outputs: 0, .. }
        ));
        // off-hook afterwards: the order is forgotten
        order(
            &mut firmware,
            3100,
            PortRole::Line,
            &Order::Set { output: 0, on: true },
        );
        run(&mut firmware, 3200, 9000);
        assert_eq!(changes(&mut firmware), []);
    }

    #[test]
    fn presses_repeat_within_the_window_only() {
        let mut firmware = started();
        let order_of = Press {
            hook: None,
            call: None,
            presses: 5,
            ..press(3000)
        };
        order(&mut firmware, 0, PortRole::Door, &Order::Press(order_of));
        run(&mut firmware, 0, 9000);
        let on = [
            (true, 0),
            (false, 300),
            (true, 1300),
            (false, 1600),
            (true, 2600),
            (false, 2900),
        ];
        assert_eq!(changes(&mut firmware), on);
    }

    #[test]
    fn a_silent_gateway_and_a_silent_guard_cost_what_is_theirs() {
        let mut firmware = started();
        order(
            &mut firmware,
            0,
            PortRole::Line,
            &Order::Set { output: 1, on: true },
        );
        let long = Press {
            hook: None,
            call: None,
            press_ms: 20_000,
            ..press(25_000)
        };
        order(&mut firmware, 0, PortRole::Door, &Order::Press(long));
        for ms in (0..900).step_by(100) {
            order(&mut firmware, ms, PortRole::Line, &Order::Alive);
        }
        // the guard is silent, the gateway is not
        firmware.handle_timeout(1_000_000);
        assert_eq!(changes(&mut firmware), [(true, 0), (false, 1000)]);
        assert!(firmware.outputs[1].is_some());
        firmware.handle_timeout(1_800_000);
        assert!(firmware.outputs[1].is_none());
    }

    #[test]
    fn each_port_does_what_is_its_own_and_nothing_else() {
        let mut firmware = started();
        let _ = firmware.take_bytes(PortRole::Line);
        order(&mut firmware, 0, PortRole::Line, &Order::Press(press(3000)));
        let refused = Word::Refused(Reason::Port);
        assert_eq!(firmware.take_bytes(PortRole::Line), refused.frame(7));
        let _ = firmware.take_bytes(PortRole::Door);
        order(
            &mut firmware,
            0,
            PortRole::Door,
            &Order::Set { output: 0, on: true },
        );
        assert_eq!(firmware.take_bytes(PortRole::Door), refused.frame(7));
        assert!(firmware.outputs[0].is_none() && firmware.doors[0].is_none());
    }

    #[test]
    fn pulses_are_timed_in_microseconds() {
        let mut firmware = started();
        let pulses = Order::Pulses {
            output: 2,
            times_us: vec![20, 43, 20],
        };
        order(&mut firmware, 1, PortRole::Line, &pulses);
        firmware.handle_timeout(2000);
        let mut at = Vec::new();
        while let Some(Change::Output { output: 2, on, at_us }) = firmware.take_change() {
            at.push((at_us, on));
        }
        assert_eq!(at, [(1000, true), (1020, false), (1063, true), (1083, false)]);
        let long = Order::Pulses {
            output: 2,
            times_us: vec![15_001],
        };
        let _ = firmware.take_bytes(PortRole::Line);
        order(&mut firmware, 3, PortRole::Line, &long);
        let refused = Word::Refused(Reason::Range);
        assert_eq!(firmware.take_bytes(PortRole::Line), refused.frame(7));
    }

    proptest! {
        /// Whatever comes over both ports: no door is active longer than its window from the last order, and both silent,
        /// everything rests.
        #[test]
        fn everything_comes_to_rest_in_silence(steps in prop::collection::vec(
            (0_u8..7, 0_u64..2_000_000, 1_u16..5000, any::<u8>()), 0..60),
            noise in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut firmware = started();
            let mut now = 0;
            for (step, wait, ms, n) in steps {
                now += wait;
                let both = if n % 2 == 0 { PortRole::Line } else { PortRole::Door };
                let order = match step {
                    0 => Order::Alive,
                    1 => Order::Press(Press { door: n % 3, window_ms: ms, presses: n % 7, ..press(ms) }),
                    2 => Order::Rest { door: n % 3 },
                    3 => Order::Set { output: n % 4, on: n % 3 == 0 },
                    4 => Order::Pulses { output: n % 4, times_us: vec![ms; usize::from(n % 9)] },
                    5 => { firmware.set_input(now, n % 3, n % 2 == 0); continue; }
                    _ => { firmware.handle_bytes(now, both, &noise); continue; }
                };
                firmware.handle_bytes(now, both, &order.frame(n));
                for opening in firmware.doors.iter().flatten() {
                    prop_assert!(opening.end_us <= now + us(LONGEST_MS));
                }
            }
            firmware.handle_timeout(now + us(WATCHDOG_MS));
            prop_assert!(firmware.doors.iter().all(Option::is_none));
            prop_assert!(firmware.outputs.iter().all(Option::is_none));
        }
    }
}
