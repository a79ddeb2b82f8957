//! The lease machine: who may hold which output, and until when.
//!
//! An output is energised only between an accepted [`Order`] and the earliest of: the pulse's end, one lease
//! time after the last renewal, and the guard's own cap counted from the moment the coil was switched on. The
//! machine does not know why the gateway wants anything, and nothing that the gateway says makes it hold longer.

mod used;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use gateway_core::{Instant, OutputId};

use crate::report::{OutputState, RefuseWhy, ReleaseWhy, Report};
use crate::request::{Incoming, Order};
use crate::wire::{LeaseId, VERSION, Wiring, Wirings};
use used::Instances;

/// What the guard's own configuration says of one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Names the physical line, for example `/dev/gpiochip0 line 17`. No two outputs may share one.
    pub line: String,
    /// Longest time it stays energised, whatever was granted.
    pub max_on: Duration,
    /// Which output.
    pub output: OutputId,
    /// How long its board may take to confirm that it rests; zero for one that takes a write at once.
    pub settle: Duration,
    /// Device, channel and polarity, to be compared with what the gateway means.
    pub wiring: Wiring,
}

/// A configuration that cannot be guarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HolderError {
    /// The same output twice.
    #[error("output {output} is configured twice")]
    Twice {
        /// Which.
        output: OutputId,
    },
    /// Two outputs on one physical line.
    #[error("outputs {first} and {second} are both on {line}: one lease cannot be kept for each")]
    SharedLine {
        /// One of them.
        first: OutputId,
        /// The line.
        line: String,
        /// The other.
        second: OutputId,
    },
    /// More outputs than a message can list.
    #[error("{found} outputs, allowed are {}", crate::MAX_LIST)]
    TooMany {
        /// How many.
        found: usize,
    },
}

/// Are there few enough outputs, each by a name and on a physical line of its own? `outputs` has name and line of each.
///
/// # Errors
/// [`HolderError`] says what is not so.
pub fn distinct<'a>(outputs: impl IntoIterator<Item = (&'a OutputId, &'a str)>) -> Result<(), HolderError> {
    let mut names: BTreeSet<&OutputId> = BTreeSet::new();
    let mut lines: BTreeMap<&str, &OutputId> = BTreeMap::new();
    let mut found = 0;
    for (output, line) in outputs {
        found += 1;
        if !names.insert(output) {
            return Err(HolderError::Twice {
                output: output.clone(),
            });
        }
        if let Some(first) = lines.insert(line, output) {
            return Err(HolderError::SharedLine {
                first: first.clone(),
                line: line.to_owned(),
                second: output.clone(),
            });
        }
    }
    if found > crate::MAX_LIST {
        return Err(HolderError::TooMany { found });
    }
    Ok(())
}

/// What the driver of the machine has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Close the connection: the gateway speaks another version.
    Close,
    /// Switch the output on, unless it is later than `not_after` at that very moment. To be answered by
    /// [`Fact::Energised`], [`Fact::Late`] or [`Fact::Failed`]; to be tried once.
    Energise {
        /// For which lease.
        lease: LeaseId,
        /// The last moment at which it may be switched on.
        not_after: Instant,
        /// Which output.
        output: OutputId,
        /// When the pulse ends at the latest, for a board that can end it by itself.
        until: Instant,
    },
    /// Send this to the gateway.
    Report(Report),
    /// Bring the output to rest and confirm it with [`Fact::Resting`].
    Rest {
        /// Which output.
        output: OutputId,
    },
    /// Send a welcome, made of [`Holder::outputs`] and the faults that stand.
    Welcome,
}

/// What the board of an output says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Switched on.
    Energised {
        /// When it was done.
        at: Instant,
        /// For which lease.
        lease: LeaseId,
        /// Which output.
        output: OutputId,
    },
    /// The device does not do as told; its state is unknown until [`Fact::Resting`].
    Failed {
        /// Which output.
        output: OutputId,
    },
    /// Not switched on: it was too late.
    Late {
        /// For which lease.
        lease: LeaseId,
        /// Which output.
        output: OutputId,
    },
    /// Written to rest.
    Resting {
        /// When it was done.
        at: Instant,
        /// Which output.
        output: OutputId,
    },
}

#[derive(Clone, Copy, Debug)]
struct Held {
    lease: LeaseId,
    end: Instant,
    end_why: ReleaseWhy,
    renewed: Instant,
}

impl Held {
    fn cap(&mut self, cap: Instant) {
        if cap < self.end {
            self.end = cap;
            self.end_why = ReleaseWhy::Cap;
        }
    }

    fn release_at(&self, lease: Duration) -> (Instant, ReleaseWhy) {
        let lapse = self.renewed + lease;
        if lapse < self.end {
            (lapse, ReleaseWhy::LeaseLapsed)
        } else {
            (self.end, self.end_why)
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Energised(Held),
    Energising(Held),
    /// Rest was asked for; the lease to report once it is confirmed.
    Releasing {
        asked: Instant,
        lease: Option<(LeaseId, ReleaseWhy)>,
    },
    Resting,
    /// Not claimed yet, or failed.
    Unusable,
}

/// Later than anything.
const NEVER: Instant = Instant::from_nanos(u64::MAX / 2);

struct Slot {
    max_on: Duration,
    /// When the coil was switched on; kept while one lease takes over from another.
    on_since: Option<Instant>,
    settle: Duration,
    state: State,
    /// The device failed while the coil was on, or may have been: nobody knows whether it rests.
    suspect: bool,
    wiring: Wiring,
}

/// The lease machine. Sans-IO: feed it, then drain [`poll_action`](Self::poll_action).
pub struct Holder {
    actions: VecDeque<Action>,
    connected: bool,
    generation: u64,
    instances: Instances,
    lease: Duration,
    /// The wires that the gateway means.
    meant: Wirings,
    slots: BTreeMap<OutputId, Slot>,
    stopping: bool,
}

impl Holder {
    /// A machine whose outputs are unusable until their boards say [`Fact::Resting`].
    ///
    /// # Errors
    /// [`HolderError`] if outputs or physical lines are not distinct, or too many.
    pub fn new(outputs: Vec<OutputLimits>, lease: Duration) -> Result<Self, HolderError> {
        distinct(outputs.iter().map(|o| (&o.output, o.line.as_str())))?;
        let slot = |limits: OutputLimits| {
            let slot = Slot {
                max_on: limits.max_on,
                on_since: None,
                settle: limits.settle,
                state: State::Unusable,
                suspect: false,
                wiring: limits.wiring,
            };
            (limits.output, slot)
        };
        let slots = outputs.into_iter().map(slot).collect();
        Ok(Self {
            actions: VecDeque::new(),
            connected: false,
            generation: 0,
            instances: Instances::default(),
            lease,
            meant: Wirings::new(),
            slots,
            stopping: false,
        })
    }

    /// Takes a message of the gateway.
    pub fn handle_message(&mut self, now: Instant, message: Incoming) {
        // First what time has done: a renewal that comes after the lapse renews nothing.
        self.handle_timeout(now);
        match message {
            Incoming::Generation { generation, wirings } => {
                self.generation = self.generation.max(generation);
                self.meant = wirings;
            }
            Incoming::Hello {
                generation,
                instance,
                version,
                wirings,
            } => {
                if version != VERSION {
                    self.actions.push_back(Action::Close);
                    return;
                }
                let same = self.instances.hello(&instance);
                self.generation = if same {
                    self.generation.max(generation)
                } else {
                    generation
                };
                self.meant = wirings;
                self.connected = true;
                self.actions.push_back(Action::Welcome);
            }
            Incoming::Latch { latch, lease, output } => self.refuse(lease, output, latch.into()),
            Incoming::Operate(order) => self.operate(now, order),
            // none of ours: see [`Relays`](crate::Relays)
            Incoming::Relays(_) => {}
            Incoming::Ping(n) => self.actions.push_back(Action::Report(Report::Pong(n))),
            Incoming::Release(output) => {
                if let Some(slot) = self.slots.get(&output)
                    && let State::Energised(held) | State::Energising(held) = slot.state
                {
                    self.release(now, &output, held.lease, ReleaseWhy::Asked);
                }
            }
            Incoming::Renew(leases) => {
                let leases: BTreeSet<LeaseId> = leases.into_iter().collect();
                for slot in self.slots.values_mut() {
                    if let State::Energised(held) | State::Energising(held) = &mut slot.state
                        && leases.contains(&held.lease)
                    {
                        held.renewed = now;
                    }
                }
            }
        }
    }

    /// The connection is gone. Leases run out by themselves; the next one must say hello.
    pub const fn handle_gone(&mut self) {
        self.connected = false;
    }

    /// Takes what a board says.
    pub fn handle_fact(&mut self, now: Instant, fact: Fact) {
        match fact {
            Fact::Energised { at, lease, output } => self.energised(at, lease, output),
            Fact::Failed { output } => self.failed(now, output),
            Fact::Late { lease, output } => {
                let Some(slot) = self.slots.get_mut(&output) else {
                    return;
                };
                if let State::Energising(held) = slot.state
                    && held.lease == lease
                {
                    slot.state = State::Releasing {
                        asked: now,
                        lease: None,
                    };
                    self.actions.push_back(Action::Rest {
                        output: output.clone(),
                    });
                    self.refuse(lease, output, RefuseWhy::Late);
                }
            }
            Fact::Resting { at, output } => self.resting(at, output),
        }
        self.handle_timeout(now);
    }

    /// Releases what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let lease = self.lease;
        let due: Vec<_> = self
            .slots
            .iter()
            .filter_map(|(output, slot)| {
                let (State::Energised(held) | State::Energising(held)) = slot.state else {
                    return None;
                };
                let (at, why) = held.release_at(lease);
                (at <= now).then(|| (output.clone(), held.lease, why))
            })
            .collect();
        for (output, lease, why) in due {
            self.release(now, &output, lease, why);
        }
    }

    /// Brings everything to rest and takes no more orders.
    pub fn handle_stop(&mut self, now: Instant) {
        self.stopping = true;
        for (output, slot) in &mut self.slots {
            // A failed device stays failed: nobody can wait for it.
            let lease = match slot.state {
                State::Energised(held) | State::Energising(held) => Some((held.lease, ReleaseWhy::Stopping)),
                State::Releasing { lease, .. } => lease,
                State::Resting => None,
                State::Unusable => continue,
            };
            slot.state = State::Releasing { asked: now, lease };
            self.actions.push_back(Action::Rest {
                output: output.clone(),
            });
        }
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.slots
            .values()
            .filter_map(|slot| match slot.state {
                State::Energised(held) | State::Energising(held) => Some(held.release_at(self.lease).0),
                State::Releasing { .. } | State::Resting | State::Unusable => None,
            })
            .min()
    }

    /// The time by which some output must have been brought to rest, and its board have confirmed it: what the
    /// sentinel holds the guard to. A time that never comes for a device that failed while it was energised: nobody can
    /// wait for it, and whoever takes over must write it to rest. `None` if nothing is energised.
    #[must_use]
    pub fn rest_due(&self) -> Option<Instant> {
        let due = |slot: &Slot| match slot.state {
            State::Energised(held) | State::Energising(held) => {
                Some(held.release_at(self.lease).0 + slot.settle)
            }
            State::Releasing { asked, .. } => Some(asked + slot.settle),
            State::Unusable if slot.suspect => Some(NEVER),
            State::Resting | State::Unusable => None,
        };
        self.slots.values().filter_map(due).min()
    }

    /// The outputs as they stand.
    #[must_use]
    pub fn outputs(&self) -> Vec<OutputState> {
        let state = |(output, slot): (&OutputId, &Slot)| OutputState {
            lease: match slot.state {
                State::Energised(held) | State::Energising(held) => Some(held.lease),
                State::Releasing { lease, .. } => lease.map(|(lease, _)| lease),
                State::Resting | State::Unusable => None,
            },
            output: output.clone(),
            usable: !matches!(slot.state, State::Unusable),
            wiring: slot.wiring,
        };
        self.slots.iter().map(state).collect()
    }

    /// True if every output is confirmed at rest, but for devices that failed while theirs rested.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.not_at_rest().next().is_none()
    }

    /// Outputs that may be energised.
    pub fn not_at_rest(&self) -> impl Iterator<Item = &OutputId> {
        let moves = |slot: &Slot| match slot.state {
            State::Energised(_) | State::Energising(_) | State::Releasing { .. } => true,
            State::Resting => false,
            State::Unusable => slot.suspect,
        };
        self.slots
            .iter()
            .filter(move |(_, slot)| moves(slot))
            .map(|(output, _)| output)
    }

    fn operate(&mut self, now: Instant, order: Order) {
        let Order {
            deadline,
            end,
            generation,
            lease,
            output,
        } = order;
        let not_after = deadline.min(end);
        let why = if !self.connected {
            Some(RefuseWhy::NoHello)
        } else if !self.instances.use_once(lease) {
            Some(RefuseWhy::Used)
        } else if self.stopping {
            Some(RefuseWhy::Stopping)
        } else if generation < self.generation {
            Some(RefuseWhy::OldGeneration)
        } else if not_after <= now {
            Some(RefuseWhy::Late)
        } else {
            let slot = self.slots.get(&output);
            let other = slot.is_some_and(|slot| self.meant.get(&output) != Some(&slot.wiring));
            match slot.map(|slot| slot.state) {
                None => Some(RefuseWhy::NoOutput),
                Some(_) if other => Some(RefuseWhy::OtherWiring),
                Some(State::Releasing { .. }) => Some(RefuseWhy::Busy),
                Some(State::Unusable) => Some(RefuseWhy::DeviceFault),
                Some(State::Energised(_) | State::Energising(_) | State::Resting) => None,
            }
        };
        if let Some(why) = why {
            self.refuse(lease, output, why);
            return;
        }
        self.generation = generation;
        let slot = self
            .slots
            .get_mut(&output)
            .expect("an unknown output was refused");
        let before = match slot.state {
            State::Energised(held) | State::Energising(held) => Some(held.lease),
            State::Releasing { .. } | State::Resting | State::Unusable => None,
        };
        let mut held = Held {
            lease,
            end,
            end_why: ReleaseWhy::PulseEnd,
            renewed: now,
        };
        held.cap(slot.on_since.unwrap_or(now) + slot.max_on);
        let until = held.end;
        slot.state = State::Energising(held);
        if let Some(lease) = before {
            let (output, why) = (output.clone(), ReleaseWhy::Superseded);
            self.actions.push_back(Action::Report(Report::Released {
                at: now,
                lease,
                output,
                why,
            }));
        }
        self.actions.push_back(Action::Energise {
            lease,
            not_after,
            output,
            until,
        });
    }

    fn energised(&mut self, at: Instant, lease: LeaseId, output: OutputId) {
        let Some(slot) = self.slots.get_mut(&output) else {
            return;
        };
        match slot.state {
            State::Energising(mut held) => {
                let since = *slot.on_since.get_or_insert(at);
                // An older lease's answer: the coil is on, but the lease that took over has its own answer to come.
                if held.lease == lease {
                    held.cap(since + slot.max_on);
                    slot.state = State::Energised(held);
                    let until = held.end;
                    self.actions.push_back(Action::Report(Report::Energised {
                        at,
                        lease,
                        output,
                        until,
                    }));
                }
            }
            // Rest is already under way behind it.
            State::Releasing { .. } => {}
            State::Energised(_) => {}
            State::Resting | State::Unusable => self.actions.push_back(Action::Rest { output }),
        }
    }

    fn resting(&mut self, at: Instant, output: OutputId) {
        let Some(slot) = self.slots.get_mut(&output) else {
            return;
        };
        slot.suspect = false;
        let over = match slot.state {
            State::Releasing { lease, .. } => lease,
            // Not asked for: the board lost it.
            State::Energised(held) => Some((held.lease, ReleaseWhy::DeviceFault)),
            // The same, and the order of the lease that took over is still on its way to the board.
            State::Energising(held) => {
                slot.on_since = None;
                self.release(at, &output, held.lease, ReleaseWhy::DeviceFault);
                return;
            }
            State::Resting | State::Unusable => None,
        };
        slot.on_since = None;
        let before = std::mem::replace(&mut slot.state, State::Resting);
        if matches!(before, State::Unusable) {
            self.usable(output.clone(), true);
        }
        if let Some((lease, why)) = over {
            self.actions.push_back(Action::Report(Report::Released {
                at,
                lease,
                output,
                why,
            }));
        }
    }

    fn failed(&mut self, now: Instant, output: OutputId) {
        let Some(slot) = self.slots.get_mut(&output) else {
            return;
        };
        let before = std::mem::replace(&mut slot.state, State::Unusable);
        // Without this the board would find the old wish again when it answers.
        self.actions.push_back(Action::Rest {
            output: output.clone(),
        });
        let failed = output.clone();
        let on = slot.on_since.take().is_some();
        slot.suspect |= !matches!(before, State::Resting | State::Unusable);
        let released = |lease, output| {
            let why = ReleaseWhy::DeviceFault;
            Action::Report(Report::Released {
                at: now,
                lease,
                output,
                why,
            })
        };
        match before {
            State::Energising(held) if !on => self.refuse(held.lease, output, RefuseWhy::Unanswered),
            State::Energised(held) | State::Energising(held) => {
                self.actions.push_back(released(held.lease, output));
            }
            State::Releasing {
                lease: Some((lease, _)),
                ..
            } => self.actions.push_back(released(lease, output)),
            State::Releasing { lease: None, .. } | State::Resting | State::Unusable => {}
        }
        if !matches!(before, State::Unusable) {
            self.usable(failed, false);
        }
    }

    /// The welcome says how the outputs stand; this says what becomes of them after it.
    fn usable(&mut self, output: OutputId, usable: bool) {
        if self.connected {
            self.actions
                .push_back(Action::Report(Report::Usable { output, usable }));
        }
    }

    fn release(&mut self, now: Instant, output: &OutputId, lease: LeaseId, why: ReleaseWhy) {
        let Some(slot) = self.slots.get_mut(output) else {
            return;
        };
        slot.state = State::Releasing {
            asked: now,
            lease: Some((lease, why)),
        };
        self.actions.push_back(Action::Rest {
            output: output.clone(),
        });
    }

    fn refuse(&mut self, lease: LeaseId, output: OutputId, why: RefuseWhy) {
        self.actions
            .push_back(Action::Report(Report::Refused { lease, output, why }));
    }
}

#[cfg(test)]
mod tests;
