//! The line port of a front end, seen from the gateway: who it is, whether it lives, and the machines of its lines.
//!
//! Pure. Until a front end has said who it is and how its wires stand, its lines are faulty; what it says first of a wire
//! is its state. One that let go by itself, started anew, or does not answer costs its lines their talk, and begins anew.

use std::collections::VecDeque;
use std::time::Duration;

use adapter_wiegand::Output as Read;
use gateway_core::{ControllerId, Instant, LineCommand, LineId, LineSignal, ReaderCommand, ReaderId};
use gateway_panel::{LineParams, Output as Told, PanelLine, Role, Wire};

use crate::card_queue::CardQueue;
use crate::clock::ClockMap;
use crate::frame::Deframer;
use crate::message::{Identity, Order, PortRole, Reason, VERSION, Word};
use crate::readers::{FrontEndReader, Reader};

/// How often the front end hears that the gateway lives.
const ALIVE: Duration = Duration::from_millis(250);
/// What counts at a time is asked for so much later, as the clocks are a little apart.
const APART: Duration = Duration::from_millis(1);
/// No answer for so long, and it is gone.
const SILENCE: Duration = Duration::from_secs(1);

/// Which of a front end's inputs and outputs a line is wired to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wiring {
    /// Input of the line or its call wire.
    pub call: u8,
    /// Input that tells when another panel has the line.
    pub busy: Option<u8>,
    /// Input of the bell at the apartment's door.
    pub floor: Option<u8>,
    /// Input that tells when the stock handset is lifted.
    pub handset: Option<u8>,
    /// Output that is off-hook.
    pub hook: u8,
    /// Output that takes the stock handset off the line.
    pub exclude: Option<u8>,
    /// Output that keeps the stock handset from chiming.
    pub mute: Option<u8>,
    /// Door of the front end that this line opens.
    pub door: Option<u8>,
}

impl Wiring {
    fn wires(&self) -> impl Iterator<Item = (Wire, u8)> {
        let more = [
            (Wire::Busy, self.busy),
            (Wire::Floor, self.floor),
            (Wire::Handset, self.handset),
        ];
        let more = more.into_iter().filter_map(|(wire, input)| Some((wire, input?)));
        [(Wire::Call, self.call)].into_iter().chain(more)
    }

    fn outputs(&self) -> impl Iterator<Item = (Role, u8)> {
        let more = [(Role::Exclude, self.exclude), (Role::Mute, self.mute)];
        let more = more
            .into_iter()
            .filter_map(|(role, output)| Some((role, output?)));
        [(Role::Hook, self.hook)].into_iter().chain(more)
    }
}

/// A line of a front end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontEndLine {
    /// Which line of the gateway.
    pub line: LineId,
    /// What it is.
    pub params: LineParams,
    /// Where it is wired.
    pub wiring: Wiring,
}

/// A controller of somebody else that reads two outputs of the front end as D0 and D1 of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardWires {
    /// Which controller.
    pub controller: ControllerId,
    /// Output of zeros.
    pub d0: u8,
    /// Output of ones.
    pub d1: u8,
    /// From pulse to pulse, 200 to 20000 µs.
    pub interval_us: u16,
    /// Input of its wire for the reader's LED, low while it is lit.
    pub led: Option<u8>,
    /// How long a pulse is, 20 to 100 µs.
    pub pulse_us: u16,
}

/// What is to be done or told.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A card went out, or why it did not.
    Card {
        /// To which controller.
        controller: ControllerId,
        /// Why it did not.
        done: Result<(), &'static str>,
    },
    /// It cannot be used: what was found, and what to do.
    Fault(String),
    /// So many edges were lost on the way; what was half heard is nothing.
    Missed(u16),
    /// The LED of a controller's reader.
    Lit {
        /// Which controller.
        controller: ControllerId,
        /// Lit, or not any more.
        lit: bool,
    },
    /// It works (again).
    Ready(Identity),
    /// Something of a reader.
    Read {
        /// Which.
        reader: ReaderId,
        /// What.
        what: Read,
    },
    /// It did not do as told.
    Refused(&'static str),
    /// Bytes for it.
    Send(Vec<u8>),
    /// Something on a line.
    Signal {
        /// When.
        at: Instant,
        /// Which.
        line: LineId,
        /// What.
        signal: LineSignal,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    /// It is asked who it is.
    Asked,
    /// It is asked how its wires stand.
    Known,
    Online,
}

struct Line {
    machine: PanelLine,
    of: FrontEndLine,
}

/// The gateway's end of a line port.
pub struct LinePort {
    /// It was asked how its wires stand, and has not answered.
    asked: bool,
    /// Controllers that read its outputs.
    cards: Vec<CardWires>,
    clock: ClockMap,
    deframer: Deframer,
    identity: Option<Identity>,
    /// Levels as they were told last.
    inputs: u16,
    lines: Vec<Line>,
    /// When it said something last.
    heard: Instant,
    next_alive: Instant,
    next_edge: u16,
    number: u8,
    out: VecDeque<Output>,
    /// Outputs as they are wanted.
    outputs: u16,
    /// Cards on their way to controllers.
    queue: CardQueue,
    readers: Vec<Reader>,
    session: Session,
    /// Number of the question whose answer has to show them so: none was set since.
    settled: Option<u8>,
    /// The fault that was told.
    told: Option<String>,
}

impl LinePort {
    /// A port that was just opened.
    #[must_use]
    pub fn new(now: Instant, lines: &[FrontEndLine]) -> Self {
        let line = |of: &FrontEndLine| Line {
            machine: PanelLine::new(of.params.clone()),
            of: of.clone(),
        };
        let mut port = Self {
            asked: false,
            cards: Vec::new(),
            clock: ClockMap::default(),
            deframer: Deframer::default(),
            identity: None,
            inputs: 0,
            lines: lines.iter().map(line).collect(),
            heard: now,
            next_alive: now,
            next_edge: 0,
            number: 0,
            out: VecDeque::new(),
            outputs: 0,
            queue: CardQueue::default(),
            readers: Vec::new(),
            session: Session::Asked,
            settled: None,
            told: None,
        };
        // a zero ends what somebody else may have left half sent
        port.out.push_back(Output::Send(vec![0]));
        port.ask(now);
        port
    }

    /// The same, with controllers that read outputs of it.
    #[must_use]
    pub fn with_controllers(mut self, cards: Vec<CardWires>) -> Self {
        self.cards = cards;
        self
    }

    /// The same, with readers at inputs of it.
    #[must_use]
    pub fn with_readers(mut self, now: Instant, readers: impl IntoIterator<Item = FrontEndReader>) -> Self {
        self.readers = readers.into_iter().map(|of| Reader::new(now, of)).collect();
        self
    }

    /// Lets a reader show what the core says. While the front end is not there, nothing is shown.
    pub fn show(&mut self, now: Instant, reader: &ReaderId, command: ReaderCommand) {
        if self.session != Session::Online {
            return;
        }
        if let Some(reader) = self.readers.iter_mut().find(|of| of.of().reader == *reader) {
            reader.show(now, command);
        }
        self.drain(now);
    }

    /// Sends a card that was shown at a time to a controller; what becomes of it is told. While the front end is busy with
    /// another one it waits, until it is old.
    pub fn card(&mut self, now: Instant, shown: Instant, controller: &ControllerId, bits: &[bool]) {
        let wires = self.cards.iter().find(|of| of.controller == *controller).cloned();
        let Some(wires) = wires else { return };
        match self.session {
            Session::Online => {
                let refused = self.queue.push(now, shown, wires, bits.to_vec());
                self.cards_told(refused);
                self.next_card(now);
            }
            Session::Asked | Session::Known => {
                let done = Err("the front end is not there");
                self.out.push_back(Output::Card {
                    controller: wires.controller,
                    done,
                });
            }
        }
    }

    /// Sends what is due of the cards, and drops what is old.
    fn next_card(&mut self, now: Instant) {
        let old = self.queue.handle_timeout(now);
        self.cards_told(old);
        if let Some(order) = self.queue.due(now) {
            self.order(&order);
            self.queue.sent(self.number);
        }
    }

    fn cards_told(&mut self, told: impl IntoIterator<Item = (ControllerId, Result<(), &'static str>)>) {
        for (controller, done) in told {
            self.out.push_back(Output::Card { controller, done });
        }
    }

    /// The answer to an order has come: answers to those before it come no more. True if it was the order of a card.
    fn answered(&mut self, now: Instant, number: u8, done: Result<(), Reason>) -> bool {
        let found = self.queue.answered(now, number, done);
        self.cards_told(found.told);
        if done.is_ok() {
            for reader in &mut self.readers {
                reader.answered(number);
            }
        }
        self.next_card(now);
        found.is_card
    }

    /// Takes bytes of the port.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        for byte in bytes {
            // what is damaged is missing: numbers of edges and of orders show it
            if let Some(Ok(message)) = self.deframer.push(*byte)
                && let Ok((number, word)) = Word::read(&message)
            {
                self.word(now, number, word);
            }
        }
        self.drain(now);
    }

    /// Takes what the core wants of a line.
    pub fn command(&mut self, now: Instant, line: &LineId, command: LineCommand) {
        if self.session != Session::Online {
            return;
        }
        if let Some(line) = self.lines.iter_mut().find(|l| l.of.line == *line) {
            line.machine.command(now, command);
        }
        self.drain(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now.since(self.heard) >= SILENCE {
            let text = match self.session {
                Session::Asked => "no front end answers: look at its cable, its supply and its firmware",
                Session::Known | Session::Online => {
                    "the front end does not answer any more: look at its cable and its supply"
                }
            };
            self.lose(now, text.to_owned());
            self.heard = now;
            self.ask(now);
        }
        if now >= self.next_alive {
            match self.session {
                Session::Asked => self.ask(now),
                Session::Known | Session::Online => self.alive(now),
            }
        }
        if self.session == Session::Online {
            self.next_card(now);
            for line in &mut self.lines {
                line.machine.handle_phase(now);
            }
            // it may have seen an edge that is still on its way: only its answer says that there was none
            if !self.asked && self.wires().is_some_and(|due| now >= due) {
                self.alive(now);
            }
        }
        self.drain(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let online = self.session == Session::Online;
        let phases = self.lines.iter().filter_map(|line| line.machine.poll_phase());
        let wires = self.wires().filter(|_| !self.asked);
        let cards = self.queue.poll_timeout();
        let readers = self.readers.iter().filter_map(Reader::poll_timeout);
        let timers = phases.chain(wires).chain(cards).chain(readers).filter(|_| online);
        timers
            .chain([self.next_alive, self.heard + SILENCE])
            .min()
            .unwrap_or(self.next_alive)
    }

    /// When something of a wire counts unless an edge comes before.
    fn wires(&self) -> Option<Instant> {
        let lines = self.lines.iter().filter_map(|line| line.machine.poll_wires());
        let readers = self.readers.iter().filter_map(Reader::poll_settled);
        lines.chain(readers).min().map(|due| due + APART)
    }

    fn alive(&mut self, now: Instant) {
        self.order(&Order::Alive);
        self.asked = true;
        self.settled = Some(self.number);
        self.next_alive = now + ALIVE;
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn word(&mut self, now: Instant, number: u8, word: Word) {
        match word {
            Word::Hello(identity) => self.hello(now, identity),
            Word::State {
                at_us,
                inputs,
                outputs,
                next_edge,
            } => {
                self.heard = now;
                self.asked = false;
                self.answered(now, number, Ok(()));
                match self.session {
                    Session::Asked => {}
                    Session::Known => self.online(now, at_us, inputs, outputs, next_edge),
                    Session::Online
                        if self.settled == Some(number) && outputs & self.ours() != self.outputs =>
                    {
                        let text =
                            "the front end let go of its outputs: it did not hear the gateway for a while";
                        self.lose(now, text.to_owned());
                        self.ask(now);
                    }
                    Session::Online => self.levels(now, at_us, inputs, next_edge),
                }
            }
            Word::Edges { first, edges } if self.session == Session::Online => {
                let missed = first.wrapping_sub(self.next_edge);
                if missed != 0 {
                    self.missed(now, missed);
                }
                self.next_edge = first.wrapping_add(u16::try_from(edges.len()).unwrap_or_default());
                for edge in edges {
                    if let Some(at) = self.clock.edge(edge.at_us) {
                        self.edge(at, edge.input, edge.level);
                    }
                }
            }
            Word::Door { door, open, at_us } if self.session == Session::Online => {
                if let Some(at) = self.clock.ours(at_us) {
                    for line in self.lines.iter_mut().filter(|l| l.of.wiring.door == Some(door)) {
                        line.machine.door(at, open);
                    }
                }
            }
            Word::Refused(reason) if self.answered(now, number, Err(reason)) => {}
            Word::Refused(reason) if self.row_refused(now, number, reason) => {}
            Word::Refused(reason) => self.out.push_back(Output::Refused(reason.words())),
            Word::Done => {
                self.answered(now, number, Ok(()));
            }
            Word::Door { .. } | Word::Edges { .. } => {}
        }
    }

    fn hello(&mut self, now: Instant, identity: Identity) {
        if self.session != Session::Asked {
            let again = self
                .identity
                .as_ref()
                .is_none_or(|known| known.boot != identity.boot);
            if !again {
                return;
            }
            self.lose(now, "the front end started anew: look at its supply".to_owned());
        }
        self.heard = now;
        if let Some(text) = self.unfit(&identity) {
            self.identity = None;
            self.fault(now, text);
            return;
        }
        self.identity = Some(identity);
        self.session = Session::Known;
        self.clock.clear();
        self.order(&Order::Alive);
        self.next_alive = now + ALIVE;
    }

    /// Why such a front end cannot serve these lines.
    fn unfit(&self, who: &Identity) -> Option<String> {
        if who.version != VERSION {
            return Some(format!(
                "front end {:?} speaks version {} of the protocol, and {VERSION} is needed: take another firmware",
                who.name, who.version
            ));
        }
        if who.role == PortRole::Door {
            return Some("this is the door port of the front end: the line takes its other port".to_owned());
        }
        for line in &self.lines {
            let id = &line.of.line;
            if let Some((_, input)) = line.of.wiring.wires().find(|(_, input)| *input >= who.inputs) {
                let count = who.inputs;
                return Some(format!(
                    "line {id} has input {input}, and front end {:?} has {count}, from 0",
                    who.name
                ));
            }
            if let Some((_, output)) = line
                .of
                .wiring
                .outputs()
                .find(|(_, output)| *output >= who.outputs)
            {
                let count = who.outputs;
                return Some(format!(
                    "line {id} has output {output}, and front end {:?} has {count}, from 0",
                    who.name
                ));
            }
        }
        if let Some(text) = self.readers.iter().find_map(|reader| reader.of().unfit(who)) {
            return Some(text);
        }
        for of in &self.cards {
            let all = [of.d0, of.d1].into_iter();
            let output = all.clone().find(|output| *output >= who.outputs);
            let input = of.led.filter(|input| *input >= who.inputs);
            if output.is_some() || input.is_some() {
                return Some(format!(
                    "controller {} has an output or input that front end {:?} does not have: it has {} outputs and {} inputs, \
                     from 0",
                    of.controller, who.name, who.outputs, who.inputs
                ));
            }
        }
        None
    }

    /// What edges should have told shows what was lost.
    fn levels(&mut self, now: Instant, at_us: u64, inputs: u16, next_edge: u16) {
        self.clock.read(now, at_us);
        let missed = next_edge.wrapping_sub(self.next_edge);
        if missed != 0 {
            self.missed(now, missed);
            self.next_edge = next_edge;
        }
        let changed = inputs ^ self.inputs;
        let at = self.clock.ours(at_us).unwrap_or(now);
        for input in (0..16).filter(|input| changed >> input & 1 == 1) {
            self.edge(at, input, inputs >> input & 1 == 1);
        }
        for line in &mut self.lines {
            line.machine.handle_timeout(at);
        }
        for reader in &mut self.readers {
            reader.settled(at, inputs);
        }
    }

    fn online(&mut self, now: Instant, at_us: u64, inputs: u16, outputs: u16, next_edge: u16) {
        self.clock.read(now, at_us);
        (self.inputs, self.next_edge) = (inputs, next_edge);
        self.session = Session::Online;
        self.outputs = 0;
        // what another session left
        let left = outputs & self.ours();
        for output in (0..16).filter(|output| left >> output & 1 == 1) {
            self.order(&Order::Set { output, on: false });
        }
        self.settled = None;
        self.told = None;
        if let Some(identity) = self.identity.clone() {
            self.out.push_back(Output::Ready(identity));
        }
        let at = self.clock.ours(at_us).unwrap_or(now);
        for line in &mut self.lines {
            line.machine.lost();
            let id = line.of.line.clone();
            let signal = LineSignal::Idle;
            self.out.push_back(Output::Signal { at, line: id, signal });
            for (wire, input) in line.of.wiring.wires() {
                line.machine.begin(at, wire, inputs >> input & 1 == 1);
            }
        }
        for reader in &mut self.readers {
            reader.begin(at, inputs);
            let (reader, what) = (reader.of().reader.clone(), Read::Ready);
            self.out.push_back(Output::Read { reader, what });
        }
    }

    fn edge(&mut self, at: Instant, input: u8, level: bool) {
        let bit = 1 << (input & 15);
        self.inputs = if level {
            self.inputs | bit
        } else {
            self.inputs & !bit
        };
        for of in self.cards.iter().filter(|of| of.led == Some(input)) {
            let controller = of.controller.clone();
            let lit = !level;
            self.out.push_back(Output::Lit { controller, lit });
        }
        for line in &mut self.lines {
            let wire = line.of.wiring.wires().find(|(_, of)| *of == input);
            if let Some((wire, _)) = wire {
                line.machine.handle_edge(at, wire, level);
            }
        }
        for reader in &mut self.readers {
            reader.edge(at, input, level);
        }
    }

    fn missed(&mut self, now: Instant, count: u16) {
        self.out.push_back(Output::Missed(count));
        for line in &mut self.lines {
            line.machine.missed();
        }
        for reader in &mut self.readers {
            reader.missed(now);
        }
    }

    /// An order was refused; true if it was the row of a reader.
    fn row_refused(&mut self, now: Instant, number: u8, reason: Reason) -> bool {
        self.readers
            .iter_mut()
            .any(|reader| reader.refused(now, number, reason))
    }

    /// Outputs of the front end that are set: those of lines, and lights of readers.
    fn ours(&self) -> u16 {
        let outputs = self.lines.iter().flat_map(|line| line.of.wiring.outputs());
        let of_lines = outputs.fold(0, |all, (_, output)| all | 1 << (output & 15));
        self.readers
            .iter()
            .fold(of_lines, |all, reader| all | reader.lights())
    }

    /// Nothing is known of the lines any more.
    fn lose(&mut self, now: Instant, text: String) {
        self.session = Session::Asked;
        self.identity = None;
        let lost = self.queue.take();
        self.cards_told(lost.map(|controller| (controller, Err("the front end was lost on the way"))));
        for line in &mut self.lines {
            line.machine.lost();
            while line.machine.poll_output().is_some() {}
        }
        self.fault(now, text);
    }

    fn fault(&mut self, now: Instant, text: String) {
        if self.told.as_ref() == Some(&text) {
            return;
        }
        if self.told.is_none() {
            for line in &self.lines {
                let (line, signal) = (line.of.line.clone(), LineSignal::Fault);
                self.out.push_back(Output::Signal {
                    at: now,
                    line,
                    signal,
                });
            }
        }
        for reader in &self.readers {
            let (reader, what) = (reader.of().reader.clone(), Read::Fault(text.clone()));
            self.out.push_back(Output::Read { reader, what });
        }
        self.told = Some(text.clone());
        self.out.push_back(Output::Fault(text));
    }

    fn ask(&mut self, now: Instant) {
        self.order(&Order::Hello { version: VERSION });
        self.next_alive = now + ALIVE;
    }

    fn order(&mut self, order: &Order) {
        self.number = self.number.wrapping_add(1);
        self.out.push_back(Output::Send(order.frame(self.number)));
    }

    /// Carries out what the machines say.
    fn drain(&mut self, now: Instant) {
        if self.session != Session::Online {
            return;
        }
        let mut sets = Vec::new();
        for line in &mut self.lines {
            while let Some(told) = line.machine.poll_output() {
                match told {
                    Told::Set { role, on } => {
                        let output = line.of.wiring.outputs().find(|(of, _)| *of == role);
                        sets.extend(output.map(|(_, output)| (output, on)));
                    }
                    Told::Signal { at, signal } => {
                        let line = line.of.line.clone();
                        self.out.push_back(Output::Signal { at, line, signal });
                    }
                }
            }
        }
        let mut rows = Vec::new();
        for (n, reader) in self.readers.iter_mut().enumerate() {
            while let Some(what) = reader.poll_output() {
                let reader = reader.of().reader.clone();
                self.out.push_back(Output::Read { reader, what });
            }
            sets.extend(reader.changed(now));
            rows.extend(reader.row(now).map(|order| (n, order)));
        }
        for (n, order) in rows {
            self.order(&order);
            if let Some(reader) = self.readers.get_mut(n) {
                reader.sent(self.number);
            }
        }
        for (output, on) in sets {
            let bit = 1 << (output & 15);
            self.outputs = if on {
                self.outputs | bit
            } else {
                self.outputs & !bit
            };
            self.settled = None;
            self.order(&Order::Set { output, on });
        }
    }
}

#[cfg(test)]
#[path = "line_port_tests.rs"]
mod tests;
