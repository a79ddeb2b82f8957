//! Readers at inputs of a front end: Clock & Data, and contacts of keys. Pure.
//!
//! Their edges have the front end's times, so that nothing else of the machine makes a card late or another one. What they
//! show goes by outputs of the front end, which open nothing.

use std::collections::VecDeque;
use std::time::Duration;

use adapter_ibutton::{KeyKinds, KeyLine, KeyOutput};
use adapter_wiegand::{
    ClockDataEdge, ClockDataLevels, ClockDataParams, ClockDataReader, Feedback, Misreads, Output, Wires,
};
use gateway_core::{Instant, ReaderCommand, ReaderId};

use crate::message::{Identity, Order, Reason};

/// Inputs of a Clock & Data reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDataInputs {
    /// A one, a clock and a card that is present are low levels.
    pub active_low: bool,
    /// Clock, also called strobe.
    pub clock: u8,
    /// Data.
    pub data: u8,
    /// Card present, where it is wired.
    pub present: Option<u8>,
}

/// The contact of a plate for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyContact {
    /// Input of its wire.
    pub input: u8,
    /// Kinds of keys that count.
    pub kinds: KeyKinds,
    /// Output that pulls the wire low; DS1990A keys are asked by it.
    pub pull: Option<u8>,
    /// The same key counts once in this time.
    pub repeat: Duration,
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderInputs {
    /// Clock & Data.
    ClockData(ClockDataInputs, ClockDataParams),
    /// Contact keys.
    Keys(KeyContact),
}

/// Outputs for what a reader shows; left out where nothing is wired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderLights {
    /// Beeper.
    pub beeper: Option<u8>,
    /// LED.
    pub led: Option<u8>,
    /// Second LED.
    pub second_led: Option<u8>,
}

impl ReaderLights {
    /// Outputs, and what each of them shows.
    fn each(self) -> impl Iterator<Item = (u8, fn(&Wires) -> bool)> {
        type Row = (Option<u8>, fn(&Wires) -> bool);
        let all: [Row; 3] = [
            (self.beeper, |wires| wires.beeper),
            (self.led, |wires| wires.led),
            (self.second_led, |wires| wires.second_led),
        ];
        all.into_iter().filter_map(|(output, of)| Some((output?, of)))
    }
}

/// A reader of a front end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontEndReader {
    /// What is read.
    pub inputs: ReaderInputs,
    /// What it shows.
    pub lights: ReaderLights,
    /// Which reader of the gateway.
    pub reader: ReaderId,
}

impl FrontEndReader {
    /// Inputs that it is wired to.
    fn inputs(&self) -> impl Iterator<Item = u8> {
        let of = match &self.inputs {
            ReaderInputs::ClockData(of, _) => [Some(of.clock), Some(of.data), of.present],
            ReaderInputs::Keys(of) => [Some(of.input), None, None],
        };
        of.into_iter().flatten()
    }

    fn pull(&self) -> Option<u8> {
        match &self.inputs {
            ReaderInputs::ClockData(..) => None,
            ReaderInputs::Keys(of) => of.pull,
        }
    }

    /// Why such a front end cannot serve it.
    pub(crate) fn unfit(&self, who: &Identity) -> Option<String> {
        let outputs = self.lights.each().map(|(output, _)| output).chain(self.pull());
        let mut outputs = outputs.filter(|output| *output >= who.outputs);
        let mut inputs = self.inputs().filter(|input| *input >= who.inputs);
        let (what, which, count) = match (inputs.next(), outputs.next()) {
            (Some(input), _) => ("input", input, who.inputs),
            (None, Some(output)) => ("output", output, who.outputs),
            (None, None) => return None,
        };
        Some(format!(
            "reader {} has {what} {which}, and front end {:?} has {count}, from 0",
            self.reader, who.name
        ))
    }
}

enum Machine {
    ClockData(ClockDataInputs, Box<ClockDataReader>),
    Keys(KeyContact, Box<KeyLine>),
}

/// A reader, while its front end is there.
pub(crate) struct Reader {
    feedback: Feedback,
    machine: Machine,
    /// Of keys; those of a stripe are counted by its own machine.
    misreads: Misreads,
    of: FrontEndReader,
    out: VecDeque<Output>,
    /// Number of the order with the row of pulses that is out.
    row: Option<u8>,
    /// What its outputs show.
    shown: Wires,
    /// It was told that keys cannot be asked for.
    unasked: bool,
}

impl Reader {
    pub(crate) fn new(now: Instant, of: FrontEndReader) -> Self {
        let machine = match &of.inputs {
            ReaderInputs::ClockData(inputs, params) => {
                Machine::ClockData(*inputs, Box::new(ClockDataReader::new(params.clone())))
            }
            ReaderInputs::Keys(contact) => {
                let line = KeyLine::new(now, contact.kinds, contact.repeat);
                Machine::Keys(*contact, Box::new(line))
            }
        };
        Self {
            feedback: Feedback::default(),
            machine,
            misreads: Misreads::default(),
            of,
            out: VecDeque::new(),
            row: None,
            shown: Wires::default(),
            unasked: false,
        }
    }

    pub(crate) const fn of(&self) -> &FrontEndReader {
        &self.of
    }

    /// Outputs of its lights, as bits.
    pub(crate) fn lights(&self) -> u16 {
        self.of
            .lights
            .each()
            .fold(0, |all, (output, _)| all | 1 << (output & 15))
    }

    /// The front end is there (again), and its inputs stand so.
    pub(crate) fn begin(&mut self, at: Instant, inputs: u16) {
        let level = |input: u8| inputs >> (input & 15) & 1 == 1;
        (self.row, self.shown, self.unasked) = (None, Wires::default(), false);
        match (&mut self.machine, &self.of.inputs) {
            (Machine::ClockData(of, reader), ReaderInputs::ClockData(_, params)) => {
                **reader = ClockDataReader::new(params.clone());
                reader.levels(at, levels(*of, level));
            }
            (Machine::Keys(of, line), _) => line.begin(at, level(of.input)),
            (Machine::ClockData(..), ReaderInputs::Keys(_)) => {}
        }
        self.drain();
    }

    pub(crate) fn edge(&mut self, at: Instant, input: u8, level: bool) {
        match &mut self.machine {
            Machine::ClockData(of, reader) => {
                let active = level != of.active_low;
                if input == of.clock && active {
                    reader.edge(at, ClockDataEdge::Clock);
                } else if input == of.data {
                    reader.edge(at, ClockDataEdge::Data(active));
                } else if of.present == Some(input) {
                    reader.edge(at, ClockDataEdge::Present(active));
                }
            }
            Machine::Keys(of, line) if of.input == input => line.edge(at, level),
            Machine::Keys(..) => {}
        }
        self.drain();
    }

    /// Edges were lost on the way.
    pub(crate) fn missed(&mut self, now: Instant) {
        match &mut self.machine {
            Machine::ClockData(_, reader) => reader.lost(),
            Machine::Keys(_, line) => line.lost(now),
        }
    }

    /// All edges up to `at` were told, and the inputs stand so.
    pub(crate) fn settled(&mut self, at: Instant, inputs: u16) {
        let level = |input: u8| inputs >> (input & 15) & 1 == 1;
        match &mut self.machine {
            Machine::ClockData(of, reader) => {
                reader.handle_timeout(at);
                reader.levels(at, levels(*of, level));
            }
            Machine::Keys(of, line) => line.settled(at, level(of.input)),
        }
        self.out.extend(self.misreads.due(at));
        self.drain();
    }

    /// When [`settled`](Self::settled) is due.
    pub(crate) fn poll_settled(&self) -> Option<Instant> {
        let machine = match &self.machine {
            Machine::ClockData(_, reader) => reader.poll_timeout(),
            Machine::Keys(_, line) => line.poll_end(),
        };
        machine.into_iter().chain(self.misreads.poll_timeout()).min()
    }

    /// The row of pulses that goes out now; its number is to be told by [`sent`](Self::sent).
    pub(crate) fn row(&mut self, now: Instant) -> Option<Order> {
        let Machine::Keys(of, line) = &mut self.machine else {
            return None;
        };
        let output = of.pull?;
        line.row(now).map(|times_us| Order::Pulses { output, times_us })
    }

    pub(crate) const fn sent(&mut self, number: u8) {
        self.row = Some(number);
    }

    /// An order was refused; true if it was its row.
    pub(crate) fn refused(&mut self, now: Instant, number: u8, reason: Reason) -> bool {
        if self.row != Some(number) {
            return false;
        }
        self.row = None;
        if let Machine::Keys(_, line) = &mut self.machine {
            line.refused(now, reason == Reason::Busy);
        }
        if reason != Reason::Busy && !std::mem::replace(&mut self.unasked, true) {
            let text = format!(
                "the front end cannot ask for keys: {}; take another firmware, or leave pull-output out",
                reason.words()
            );
            self.out.push_back(Output::Fault(text));
        }
        true
    }

    /// An order was answered: rows before it are answered, too.
    pub(crate) fn answered(&mut self, number: u8) {
        self.row = self.row.filter(|row| number.wrapping_sub(*row) >= 128);
    }

    /// When [`row`](Self::row) is to be asked for, or a light changes.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let row = match &self.machine {
            Machine::ClockData(..) => None,
            Machine::Keys(_, line) => line.poll_row(),
        };
        row.into_iter().chain(self.feedback.poll_timeout()).min()
    }

    pub(crate) fn show(&mut self, now: Instant, command: ReaderCommand) {
        self.feedback.command(now, command);
    }

    /// Lights that change: output, and whether it is active from now on.
    pub(crate) fn changed(&mut self, now: Instant) -> Vec<(u8, bool)> {
        let wires = self.feedback.handle_timeout(now);
        let before = std::mem::replace(&mut self.shown, wires);
        let all = self.of.lights.each();
        all.filter(|(_, of)| of(&before) != of(&wires))
            .map(|(output, of)| (output, of(&wires)))
            .collect()
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn drain(&mut self) {
        match &mut self.machine {
            Machine::ClockData(_, reader) => self.out.extend(std::iter::from_fn(|| reader.poll_output())),
            Machine::Keys(_, line) => {
                while let Some(output) = line.poll_output() {
                    self.out.extend(match output {
                        KeyOutput::Fault(text) => Some(Output::Fault(text)),
                        KeyOutput::Key { at, frame } => Some(Output::Card { at, frame }),
                        KeyOutput::Misread { at, bits, reason } => self.misreads.count(at, bits, reason),
                        KeyOutput::Ready => Some(Output::Ready),
                    });
                }
            }
        }
    }
}

fn levels(of: ClockDataInputs, level: impl Fn(u8) -> bool) -> ClockDataLevels {
    let active = |input: u8| level(input) != of.active_low;
    ClockDataLevels {
        clock: active(of.clock),
        data: active(of.data),
        present: of.present.is_some_and(active),
    }
}

#[cfg(test)]
#[path = "readers_tests.rs"]
mod tests;
