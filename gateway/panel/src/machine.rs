//! One line: edges in, signals out; commands in, levels of outputs out.
//!
//! Whose the line is, is not decided here but by the arbiter of the line (`gateway-line`). What is here is what the
//! wires need: how long a level must stand, what comes before going off-hook, how long the line is kept after the door
//! was opened, and that the whole script of a talk is one call: rings within it are none.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{Bell, Instant, LineCommand, LineSignal};

use crate::apartments::Ranges;
use crate::frames::{BusAddress, Frame, FrameReader};
use crate::profile::{Profile, RingInput};
use crate::pulses::{PulseCounter, Tone};
use crate::ring::{Debounce, RingDetector, RingEvent};

/// The line is given back so long after a release, whatever the door seems to do.
const LONGEST_LEAVING: Duration = Duration::from_secs(10);
/// What goes on for so many times the rest after a talk is a ring: the visitor pressed again at once.
const LONGEST_SPENT: u32 = 5;
/// The bell at an apartment's own door is told once in this time: frames of one press are repeated.
const FLOOR_ONCE: Duration = Duration::from_secs(2);

/// A wire that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wire {
    /// The line is in use by another panel.
    Busy,
    /// The line itself, or its call wire.
    Call,
    /// The bell at the door of the apartment.
    Floor,
    /// The stock handset is lifted.
    Handset,
}

/// An output that is switched. Each of them at rest leaves the line to panel and handset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Takes the stock handset off the line, so that only the gateway talks.
    Exclude,
    /// Off-hook: the gateway is the handset.
    Hook,
    /// The stock handset does not chime. What it would chime for is told all the same.
    Mute,
}

/// Which wires there are, besides the one that calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineInputs {
    /// Tells when another panel has the line.
    pub busy: bool,
    /// The bell at the apartment's own door.
    pub floor: bool,
    /// Tells when the stock handset is lifted.
    pub handset: bool,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineParams {
    /// Who it is on its bus, on a line that talks in frames. Frames for others leave no trace.
    pub bus: Option<BusAddress>,
    /// Wires there are.
    pub inputs: LineInputs,
    /// The stock handset shall not chime.
    pub mute: bool,
    /// What kind of line.
    pub profile: Profile,
    /// Apartments that are served, on a line that says whom it rings. Those of others leave no trace.
    pub subscribed: Ranges,
}

/// What is to be told or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Set an output of the front end.
    Set {
        /// Which.
        role: Role,
        /// Active or at rest.
        on: bool,
    },
    /// For the core, with the time of the edge that it is about.
    Signal {
        /// When.
        at: Instant,
        /// What.
        signal: LineSignal,
    },
}

/// How the line rings.
#[derive(Clone, Debug)]
enum Ringing {
    Count {
        counter: Box<PulseCounter>,
        /// When the ring of somebody who is not served is over unless it is heard again. Until then the line is his.
        other: Option<Instant>,
        /// The apartment that rings, and when the ring is over unless it is heard again.
        rung: Option<(u16, Instant)>,
        /// The apartment whose ring was answered, for the talk in progress.
        talk: Option<u16>,
    },
    Detect(RingDetector),
    Frames {
        reader: FrameReader,
        /// When the ring is over unless it is heard again.
        rung: Option<Instant>,
        /// Until when a bell at the apartment's door is the one that was told.
        floor: Option<Instant>,
    },
}

impl Ringing {
    fn new(input: &RingInput) -> Self {
        match input {
            RingInput::Burst(input) => Self::Detect(RingDetector::burst(*input)),
            RingInput::Frame(input) => Self::Frames {
                reader: FrameReader::new(input.coding, input.idle),
                rung: None,
                floor: None,
            },
            RingInput::Level(input) => Self::Detect(RingDetector::level(*input)),
            RingInput::PulseCount(input) => Self::Count {
                counter: Box::new(PulseCounter::new(*input)),
                other: None,
                rung: None,
                talk: None,
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Released, but kept until the panel has done what the door was opened for.
    Leaving {
        until: Instant,
    },
    OffHook,
    /// The line is the panel's.
    Rest,
    /// Taken, and off-hook at this time.
    Settling {
        until: Instant,
    },
}

/// What is heard after a talk is the rest of its ring.
#[derive(Clone, Copy, Debug)]
struct Spent {
    /// Who still rings at this time rings anew.
    most: Instant,
    /// Unless it is heard again before.
    until: Instant,
}

/// One line.
#[derive(Clone, Debug)]
pub struct PanelLine {
    busy: Debounce,
    /// When a line that was ours is looked at again: until then it may be busy by us.
    busy_again: Option<Instant>,
    /// Another panel has the line, as far as was told.
    busy_told: bool,
    /// The door of this line is being opened.
    door: bool,
    door_ended: Option<Instant>,
    floor: Debounce,
    handset: Debounce,
    outputs: VecDeque<Output>,
    params: LineParams,
    phase: Phase,
    /// A ring was told and is not over.
    rings: bool,
    ringing: Ringing,
    /// No ring counts before the line was quiet for a while.
    spent: Option<Spent>,
}

/// A level of other inputs counts when it has stood for so long.
const SETTLED: Duration = Duration::from_millis(50);

impl PanelLine {
    /// A line nobody uses. Its outputs are at rest, but for the chime if it is muted.
    #[must_use]
    pub fn new(params: LineParams) -> Self {
        let lifted = ms(params.profile.handset.on_ms);
        let ringing = Ringing::new(&params.profile.ring);
        let mut outputs = VecDeque::new();
        if params.mute {
            outputs.push_back(Output::Set {
                role: Role::Mute,
                on: true,
            });
        }
        Self {
            busy: Debounce::new(SETTLED, SETTLED),
            busy_again: None,
            busy_told: false,
            door: false,
            door_ended: None,
            floor: Debounce::new(SETTLED, SETTLED),
            handset: Debounce::new(lifted, lifted),
            outputs,
            params,
            phase: Phase::Rest,
            rings: false,
            ringing,
            spent: None,
        }
    }

    /// Takes the first level of a wire: state, and no edge. A handset that is lifted and a line that is busy are told; what
    /// rings at the first reading is no ring.
    pub fn begin(&mut self, at: Instant, wire: Wire, level: bool) {
        match wire {
            Wire::Busy if self.params.inputs.busy => {
                self.busy.begin(level);
                self.busy_is(at);
            }
            Wire::Call => match &mut self.ringing {
                // the time for which it is at rest counts from here
                Ringing::Count { counter, .. } => {
                    let _ = counter.handle_edge(at, level);
                }
                Ringing::Detect(ring) => ring.begin(level),
                Ringing::Frames { reader, .. } => {
                    let _ = reader.handle_edge(at, level);
                }
            },
            Wire::Floor => self.floor.begin(level),
            Wire::Handset if self.params.inputs.handset => {
                let active = self.params.profile.handset.active.is_active(level);
                self.handset.begin(active);
                self.handset_is(at, Some(active).filter(|lifted| *lifted));
            }
            Wire::Busy | Wire::Handset => {}
        }
    }

    /// Edges of the line were lost: what was half heard is nothing. A ring that was told goes on.
    pub fn missed(&mut self) {
        match &mut self.ringing {
            Ringing::Count { counter, .. } => counter.forget(),
            Ringing::Detect(_) => {}
            Ringing::Frames { reader, .. } => reader.forget(),
        }
    }

    /// Takes an edge of a wire. Of the busy and floor wires high is active.
    pub fn handle_edge(&mut self, at: Instant, wire: Wire, level: bool) {
        self.handle_timeout(at);
        match wire {
            Wire::Busy if self.params.inputs.busy => {
                self.busy.handle(at, level);
                self.busy_is(at);
            }
            Wire::Call => self.call_edge(at, level),
            Wire::Floor if self.params.inputs.floor => {
                let changed = self.floor.handle(at, level);
                self.floor_is(at, changed);
            }
            Wire::Handset if self.params.inputs.handset => {
                let active = self.params.profile.handset.active.is_active(level);
                let changed = self.handset.handle(at, active);
                self.handset_is(at, changed);
            }
            Wire::Busy | Wire::Floor | Wire::Handset => {}
        }
    }

    /// Takes what the core wants. What is so already is not done again.
    pub fn command(&mut self, now: Instant, command: LineCommand) {
        self.handle_phase(now);
        match (command, self.phase) {
            (LineCommand::Seize, Phase::Rest) => self.seize(now),
            // still off-hook from the talk before
            (LineCommand::Seize, Phase::Leaving { .. }) => self.phase = Phase::OffHook,
            (LineCommand::Release, Phase::Settling { .. }) => self.hang_up(now),
            (LineCommand::Release, Phase::OffHook) => {
                let until = if self.door {
                    now + LONGEST_LEAVING
                } else {
                    self.held_until().unwrap_or(now).min(now + LONGEST_LEAVING)
                };
                self.phase = Phase::Leaving { until };
                self.handle_phase(now);
            }
            // tones come with the audio of the line
            (LineCommand::Tone(_), _)
            | (LineCommand::Seize, Phase::OffHook | Phase::Settling { .. })
            | (LineCommand::Release, Phase::Leaving { .. } | Phase::Rest) => {}
        }
    }

    /// The front end says that the door of this line is being opened, or is not any more.
    pub fn door(&mut self, now: Instant, open: bool) {
        if std::mem::replace(&mut self.door, open) && !open {
            self.door_ended = Some(now);
            if let Phase::Leaving { until } = &mut self.phase {
                let held = self.params.profile.door.map_or(Duration::ZERO, |d| ms(d.hold_ms));
                *until = (*until).min(now + held);
            }
        }
        self.handle_timeout(now);
    }

    /// The front end is gone, and has let go of everything: nothing is known of the line. What it does when it is back
    /// begins anew.
    pub fn lost(&mut self) {
        let params = self.params.clone();
        *self = Self::new(params);
    }

    /// Does what is due of what was asked for: going off-hook, giving the line back. Wires have nothing to do with it.
    pub fn handle_phase(&mut self, now: Instant) {
        if let Phase::Settling { until } = self.phase
            && now >= until
        {
            self.phase = Phase::OffHook;
            self.set(Role::Hook, true);
        }
        if let Phase::Leaving { until } = self.phase
            && now >= until
        {
            self.hang_up(now);
        }
    }

    /// Does what is due. Every edge before `now` has to be told before.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle_phase(now);
        self.busy.handle_timeout(now);
        self.busy_again.take_if(|until| now >= *until);
        self.busy_is(now);
        let changed = self.floor.handle_timeout(now);
        self.floor_is(now, changed);
        let changed = self.handset.handle_timeout(now);
        self.handset_is(now, changed);
        if self.spent.take_if(|spent| now >= spent.until).is_some() {
            // what rang before the talk is over, though its silence was shorter than that of a ring
            if matches!(self.ringing, Ringing::Detect(_)) {
                self.ringing = Ringing::new(&self.params.profile.ring);
            }
        }
        match &mut self.ringing {
            Ringing::Count {
                counter, other, rung, ..
            } => {
                // noise is nobody's business: it could be the call of somebody who is not served
                let said = counter.handle_timeout(now).ok().flatten();
                other.take_if(|until| now >= *until);
                if rung.is_some_and(|(_, until)| now >= until) {
                    *rung = None;
                    self.stopped(now);
                }
                if let Some(counted) = said {
                    self.counted(now, counted.address, counted.tone);
                }
            }
            Ringing::Detect(ring) => {
                let said = ring.handle_timeout(now);
                self.detected(now, said);
            }
            Ringing::Frames { reader, rung, .. } => {
                let said = reader.handle_timeout(now);
                if rung.take_if(|until| now >= *until).is_some() {
                    self.stopped(now);
                }
                // noise, and what others say, is nobody's business
                if let Ok(Some(frame)) = said {
                    self.framed(now, frame);
                }
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.poll_phase().into_iter().chain(self.poll_wires()).min()
    }

    /// When [`handle_phase`](Self::handle_phase) must be called.
    #[must_use]
    pub const fn poll_phase(&self) -> Option<Instant> {
        match self.phase {
            Phase::Leaving { until } | Phase::Settling { until } => Some(until),
            Phase::OffHook | Phase::Rest => None,
        }
    }

    /// When something of a wire counts unless an edge comes before.
    #[must_use]
    pub fn poll_wires(&self) -> Option<Instant> {
        let (ring, more) = match &self.ringing {
            Ringing::Count { counter, rung, .. } => (counter.poll_timeout(), rung.map(|(_, until)| until)),
            Ringing::Detect(ring) => (ring.poll_timeout(), None),
            Ringing::Frames { reader, rung, .. } => (reader.poll_timeout(), *rung),
        };
        let others = [&self.busy, &self.floor, &self.handset].map(Debounce::poll_timeout);
        let others = others.into_iter().chain([ring, more, self.busy_again]);
        others.flatten().min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// True from being taken until the line is given back.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        !matches!(self.phase, Phase::Rest)
    }

    fn call_edge(&mut self, at: Instant, level: bool) {
        match &mut self.ringing {
            Ringing::Count {
                counter, other, rung, ..
            } => {
                // anything that is heard keeps the ring alive
                let rings = rung.iter_mut().map(|(_, until)| until);
                for until in rings.chain(other) {
                    *until = at + self.params.profile.off();
                }
                if let Ok(Some(counted)) = counter.handle_edge(at, level) {
                    self.counted(at, counted.address, counted.tone);
                }
            }
            Ringing::Detect(ring) => {
                let said = ring.handle_edge(at, level);
                self.detected(at, said);
            }
            Ringing::Frames { reader, .. } => {
                // noise, and what others say, is nobody's business
                if let Ok(Some(frame)) = reader.handle_edge(at, level) {
                    self.framed(at, frame);
                }
                // others talk on the bus all the time: that is no ring that goes on
                return;
            }
        }
        if let Some(spent) = &mut self.spent {
            spent.until = (at + ms(self.params.profile.hook.rest_ms)).min(spent.most);
        }
    }

    fn counted(&mut self, at: Instant, address: u16, tone: Tone) {
        let served = self.params.subscribed.contains(address);
        match tone {
            Tone::Opened if served => self.tell(at, LineSignal::OpenedByPanel),
            Tone::Ring => self.calls(at, address, served),
            Tone::Opened | Tone::WrongCode => {}
        }
    }

    /// The panel rings an apartment. It has one line for all of them: whomever it rang or talked with before, it has dropped. Of
    /// somebody who is not served no more is told than that.
    fn calls(&mut self, at: Instant, address: u16, served: bool) {
        let off = self.params.profile.off();
        let Ringing::Count {
            other, rung, talk, ..
        } = &mut self.ringing
        else {
            return;
        };
        *other = (!served).then_some(at + off);
        let rang_another = rung.take_if(|(before, _)| *before != address).is_some();
        // a visitor who presses again finds us off-hook: his talk goes on
        let dropped = *talk != Some(address);
        if rang_another {
            self.stopped(at);
        }
        if dropped && self.is_ours() {
            self.dropped(at);
        }
        if !served || self.phase != Phase::Rest {
            return;
        }
        if let Ringing::Count { rung, .. } = &mut self.ringing {
            *rung = Some((address, at + off));
        }
        self.started(at, LineSignal::RingFor(Bell::Apartment(address)));
    }

    /// The panel has hung up on us: to be off-hook for a moment longer would be in the way of whom it rings.
    fn dropped(&mut self, at: Instant) {
        let talks = matches!(self.phase, Phase::OffHook | Phase::Settling { .. });
        self.hang_up(at);
        // a count is never the rest of the ring that was answered
        self.spent = None;
        if talks {
            self.told_idle(at);
        }
    }

    fn told_idle(&mut self, at: Instant) {
        self.busy_told = false;
        self.tell(at, LineSignal::Idle);
    }

    fn seize(&mut self, now: Instant) {
        if let Ringing::Count {
            other, rung, talk, ..
        } = &mut self.ringing
        {
            if other.is_some_and(|until| now < until) {
                // it rings somebody else already: whoever answered was a moment too late
                self.told_idle(now);
                return;
            }
            *talk = rung.map(|(address, _)| address);
        }
        self.rings = false;
        self.set(Role::Exclude, true);
        let settle = Duration::from_millis(self.params.profile.hook.settle_ms.into());
        self.phase = Phase::Settling { until: now + settle };
        self.handle_phase(now);
    }

    fn framed(&mut self, at: Instant, frame: Frame) {
        let profile = &self.params.profile;
        let (Some(input), Some(who)) = (profile.frame_input(), profile.who(self.params.bus)) else {
            return;
        };
        let off = self.params.profile.off();
        let calls = input.call.iter().any(|call| call.is_for(frame, who));
        let bell = input.floor.is_some_and(|floor| floor.is_for(frame, who));
        let Ringing::Frames { rung, floor, .. } = &mut self.ringing else {
            return;
        };
        if calls {
            if self.phase == Phase::Rest {
                *rung = Some(at + off);
                self.started(at, LineSignal::Ring);
            }
        } else if bell {
            let again = floor.is_some_and(|until| at < until);
            *floor = Some(at + FLOOR_ONCE);
            if !again {
                self.floor_is(at, Some(true));
            }
        }
    }

    fn detected(&mut self, at: Instant, said: Option<RingEvent>) {
        match said {
            Some(RingEvent::Started) => self.started(at, LineSignal::Ring),
            Some(RingEvent::Stopped) => self.stopped(at),
            None => {}
        }
    }

    fn started(&mut self, at: Instant, signal: LineSignal) {
        if self.phase != Phase::Rest || self.spent.is_some() {
            return;
        }
        if !std::mem::replace(&mut self.rings, true) {
            self.tell(at, signal);
        }
    }

    fn stopped(&mut self, at: Instant) {
        if std::mem::take(&mut self.rings) {
            self.tell(at, LineSignal::RingStopped);
        }
    }

    fn busy_is(&mut self, at: Instant) {
        // while we are off-hook, and for a moment after, it is we who make it busy
        let ours = matches!(self.phase, Phase::Leaving { .. } | Phase::OffHook);
        if ours || self.busy_again.is_some() {
            return;
        }
        match (self.busy.is_active(), self.busy_told) {
            (true, false) => {
                if self.phase != Phase::Rest {
                    // somebody was quicker than we are
                    self.set(Role::Exclude, false);
                    self.phase = Phase::Rest;
                }
                self.busy_told = true;
                self.tell(at, LineSignal::BusyOther);
            }
            (false, true) => self.told_idle(at),
            (true, true) | (false, false) => {}
        }
    }

    fn floor_is(&mut self, at: Instant, changed: Option<bool>) {
        // somebody at the apartment's own door: that is no ring of the panel, and whose the line is does not matter
        if changed == Some(true) {
            self.tell(at, LineSignal::RingFor(Bell::Floor));
        }
    }

    fn handset_is(&mut self, at: Instant, changed: Option<bool>) {
        match changed {
            Some(true) => self.tell(at, LineSignal::HandsetLifted),
            Some(false) => self.tell(at, LineSignal::HandsetReplaced),
            None => {}
        }
    }

    fn held_until(&self) -> Option<Instant> {
        let hold = ms(self.params.profile.door?.hold_ms);
        Some(self.door_ended? + hold)
    }

    fn hang_up(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Leaving { .. } | Phase::OffHook) {
            self.set(Role::Hook, false);
        }
        self.set(Role::Exclude, false);
        self.phase = Phase::Rest;
        let rest = ms(self.params.profile.hook.rest_ms);
        self.spent = Some(Spent {
            most: now + rest * LONGEST_SPENT,
            until: now + rest,
        });
        self.busy_again = Some(now + rest.max(2 * SETTLED));
    }

    fn set(&mut self, role: Role, on: bool) {
        self.outputs.push_back(Output::Set { role, on });
    }

    fn tell(&mut self, at: Instant, signal: LineSignal) {
        self.outputs.push_back(Output::Signal { at, signal });
    }
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
