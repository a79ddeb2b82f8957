//! Relays that tell something and open nothing: the fault of the network, for one.
//!
//! They are no outputs of a [`Holder`](crate::Holder): no Grant reaches them, and what reaches them reaches no lock.
//! The gateway says again and again whether each is active ([`Request::Relays`](crate::Request::Relays)). Who is silent
//! for longer than the guard's own configuration allows counts as it says there: a network fault is active when nobody
//! is left to say that there is none.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gateway_core::{Instant, OutputId};

use crate::report::OutputState;
use crate::request::Incoming;
use crate::wire::{VERSION, Wiring, Wirings};

/// After a relay fell by itself it is not switched on again for so long.
const AGAIN: Duration = Duration::from_secs(1);

/// What the guard's own configuration says of a relay that tells something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayLimits {
    /// True if the relay rests while it is active, and is energised while it is not.
    pub inverted: bool,
    /// Which output.
    pub output: OutputId,
    /// For so long the last word of the gateway counts.
    pub silence: Duration,
    /// What counts after that.
    pub when_silent: bool,
    /// Device, channel, polarity and function, to be compared with what the gateway means.
    pub wiring: Wiring,
}

/// What the driver of the machine has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayAction {
    /// Bring the relay to rest and confirm it with [`Relays::resting`].
    Rest(OutputId),
    /// Energise the relay until further notice, and confirm it with [`Relays::shown`].
    Show(OutputId),
}

#[derive(Debug)]
struct Slot {
    /// Asked of the board: energised?
    asked: bool,
    limits: RelayLimits,
    /// Not to be energised before.
    not_before: Instant,
    /// May be energised, as far as the board has confirmed.
    on: bool,
    /// When the gateway said something last, or the guard began.
    since: Instant,
    /// What it said.
    told: Option<bool>,
    /// The board has confirmed that it rests, since it failed last.
    usable: bool,
}

impl Slot {
    fn silent_at(&self) -> Instant {
        self.since + self.limits.silence
    }

    /// Energised? Nothing is until somebody has spoken, or has been silent for long enough.
    fn wanted(&self, now: Instant) -> bool {
        let active = if now >= self.silent_at() {
            Some(self.limits.when_silent)
        } else {
            self.told
        };
        active.is_some_and(|active| active != self.limits.inverted)
    }
}

/// The machine of these relays. Sans-IO: feed it, then drain [`poll_action`](Self::poll_action).
#[derive(Debug)]
pub struct Relays {
    actions: VecDeque<RelayAction>,
    connected: bool,
    /// The wires that the gateway means.
    meant: Wirings,
    slots: BTreeMap<OutputId, Slot>,
    stopping: bool,
}

impl Relays {
    /// A machine whose relays are unusable until their boards say that they rest. Outputs have to be distinct, as
    /// [`distinct`](crate::distinct) finds.
    #[must_use]
    pub fn new(relays: Vec<RelayLimits>, now: Instant) -> Self {
        let slot = |limits: RelayLimits| {
            let slot = Slot {
                asked: false,
                limits,
                not_before: now,
                on: false,
                since: now,
                told: None,
                usable: false,
            };
            (slot.limits.output.clone(), slot)
        };
        Self {
            actions: VecDeque::new(),
            connected: false,
            meant: Wirings::new(),
            slots: relays.into_iter().map(slot).collect(),
            stopping: false,
        }
    }

    /// True if this output is one of them.
    #[must_use]
    pub fn has(&self, output: &OutputId) -> bool {
        self.slots.contains_key(output)
    }

    /// Takes what concerns relays of a message of the gateway.
    pub fn handle_message(&mut self, now: Instant, message: &Incoming) {
        match message {
            Incoming::Generation { wirings, .. } => self.meant.clone_from(wirings),
            Incoming::Hello { version, wirings, .. } if *version == VERSION => {
                self.connected = true;
                self.meant.clone_from(wirings);
            }
            Incoming::Relays(told) if self.connected => {
                for (output, slot) in &mut self.slots {
                    // what another wire or function is meant by says nothing of this one
                    if self.meant.get(output) == Some(&slot.limits.wiring)
                        && let Some(active) = told.get(output)
                    {
                        (slot.told, slot.since) = (Some(*active), now);
                    }
                }
            }
            Incoming::Hello { .. }
            | Incoming::Latch { .. }
            | Incoming::Operate(_)
            | Incoming::Ping(_)
            | Incoming::Relays(_)
            | Incoming::Release(_)
            | Incoming::Renew(_) => {}
        }
        self.handle_timeout(now);
    }

    /// The connection is gone. The last word counts for as long as it would have.
    pub const fn handle_gone(&mut self) {
        self.connected = false;
    }

    /// Switches what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (output, slot) in &mut self.slots {
            let wanted = !self.stopping && slot.wanted(now);
            if !slot.usable || slot.asked == wanted || (wanted && now < slot.not_before) {
                continue;
            }
            slot.asked = wanted;
            slot.on |= wanted;
            self.actions.push_back(if wanted {
                RelayAction::Show(output.clone())
            } else {
                RelayAction::Rest(output.clone())
            });
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let due = |slot: &Slot| {
            [slot.silent_at(), slot.not_before]
                .into_iter()
                .filter(|at| *at > now)
                .min()
        };
        self.slots.values().filter_map(due).min()
    }

    /// Its board has energised it.
    pub fn shown(&mut self, output: &OutputId) {
        if let Some(slot) = self.slots.get_mut(output) {
            slot.on = true;
        }
    }

    /// Its board has written it to rest; asked for or, if it fell by itself, not.
    pub fn resting(&mut self, now: Instant, output: &OutputId) {
        if let Some(slot) = self.slots.get_mut(output) {
            let fell = slot.asked;
            (slot.asked, slot.on, slot.usable) = (false, false, true);
            if fell {
                slot.not_before = now + AGAIN;
            }
        }
        self.handle_timeout(now);
    }

    /// Its board does not do as told: nobody knows what the relay does until it rests.
    pub fn failed(&mut self, output: &OutputId) {
        if let Some(slot) = self.slots.get_mut(output) {
            (slot.asked, slot.usable) = (false, false);
            // without this the board would find the old wish again when it answers
            self.actions.push_back(RelayAction::Rest(output.clone()));
        }
    }

    /// The guard ends: every relay rests.
    pub fn handle_stop(&mut self, now: Instant) {
        self.stopping = true;
        self.handle_timeout(now);
    }

    /// True if none may be energised, but for those whose device failed.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.slots.values().all(|slot| !slot.usable || !slot.on)
    }

    /// For a welcome.
    #[must_use]
    pub fn outputs(&self) -> Vec<OutputState> {
        let state = |(output, slot): (&OutputId, &Slot)| OutputState {
            lease: None,
            output: output.clone(),
            usable: slot.usable,
            wiring: slot.limits.wiring,
        };
        self.slots.iter().map(state).collect()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<RelayAction> {
        self.actions.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: Wiring = Wiring(7);

    fn t(ms: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_millis(ms)
    }

    fn lamp() -> OutputId {
        "lamp".parse().expect("a name")
    }

    fn hello(wiring: Wiring) -> Incoming {
        Incoming::Hello {
            generation: 1,
            instance: "a".to_owned(),
            version: VERSION,
            wirings: [(lamp(), wiring)].into(),
        }
    }

    fn word(active: bool) -> Incoming {
        Incoming::Relays([(lamp(), active)].into())
    }

    /// A relay whose board rests, with a gateway that said hello; silence for 2 s is a fault.
    fn relays(inverted: bool) -> Relays {
        let limits = RelayLimits {
            inverted,
            output: lamp(),
            silence: Duration::from_secs(2),
            when_silent: true,
            wiring: WIRE,
        };
        let mut relays = Relays::new(vec![limits], t(0));
        relays.handle_message(t(0), &hello(WIRE));
        assert_eq!(done(&mut relays), [], "nothing before the board is known to rest");
        relays.resting(t(0), &lamp());
        relays
    }

    /// What was asked; true is energised.
    fn done(relays: &mut Relays) -> Vec<bool> {
        std::iter::from_fn(|| relays.poll_action())
            .map(|action| matches!(action, RelayAction::Show(_)))
            .collect()
    }

    #[test]
    fn it_follows_the_gateway_and_each_word_counts_for_its_time() {
        let mut relays = relays(false);
        relays.handle_message(t(100), &word(false));
        assert_eq!(done(&mut relays), []);
        relays.handle_message(t(200), &word(true));
        relays.handle_message(t(300), &word(true));
        assert_eq!(done(&mut relays), [true]);
        relays.shown(&lamp());
        assert!(!relays.is_at_rest());
        relays.handle_message(t(400), &word(false));
        assert_eq!(done(&mut relays), [false]);
        relays.resting(t(401), &lamp());
        assert!(relays.is_at_rest());
        // nobody says anything any more
        assert_eq!(relays.poll_timeout(t(401)), Some(t(2400)));
        relays.handle_timeout(t(2399));
        assert_eq!(done(&mut relays), []);
        relays.handle_timeout(t(2400));
        assert_eq!(done(&mut relays), [true], "a silent gateway is a fault");
    }

    #[test]
    fn inverted_it_is_energised_while_all_is_well_and_rests_at_a_fault_or_in_silence() {
        let mut relays = relays(true);
        relays.handle_message(t(100), &word(false));
        assert_eq!(done(&mut relays), [true]);
        relays.shown(&lamp());
        relays.handle_message(t(200), &word(true));
        assert_eq!(done(&mut relays), [false]);
        relays.resting(t(201), &lamp());
        relays.handle_message(t(300), &word(false));
        relays.handle_gone();
        assert_eq!(done(&mut relays), [true]);
        relays.handle_timeout(t(2300));
        assert_eq!(done(&mut relays), [false]);
    }

    #[test]
    fn a_gateway_that_is_back_in_time_is_no_fault() {
        let mut relays = relays(false);
        relays.handle_message(t(100), &word(false));
        relays.handle_gone();
        relays.handle_message(t(1500), &word(true));
        relays.handle_timeout(t(1600));
        assert_eq!(done(&mut relays), [], "who did not say hello says nothing");
        relays.handle_message(t(1700), &hello(WIRE));
        relays.handle_message(t(1700), &word(false));
        relays.handle_timeout(t(3600));
        assert_eq!(done(&mut relays), []);
    }

    #[test]
    fn a_gateway_that_means_another_wire_or_function_says_nothing_of_this_one() {
        let mut relays = relays(false);
        relays.handle_message(t(100), &hello(Wiring(8)));
        relays.handle_message(t(100), &word(true));
        assert_eq!(done(&mut relays), []);
    }

    #[test]
    fn a_board_that_failed_is_told_anew_once_it_rests_and_a_relay_that_fell_after_a_second() {
        let mut relays = relays(false);
        relays.handle_message(t(100), &word(true));
        assert_eq!(done(&mut relays), [true]);
        relays.failed(&lamp());
        relays.handle_message(t(200), &word(true));
        assert_eq!(done(&mut relays), [false]);
        assert!(
            relays.is_at_rest(),
            "a device that failed is waited for by nobody"
        );
        relays.resting(t(300), &lamp());
        assert_eq!(done(&mut relays), [true]);
        relays.shown(&lamp());
        relays.resting(t(400), &lamp());
        assert_eq!(done(&mut relays), []);
        assert_eq!(relays.poll_timeout(t(400)), Some(t(1400)));
        relays.handle_message(t(1400), &word(true));
        assert_eq!(done(&mut relays), [true]);
    }

    #[test]
    fn at_the_end_it_rests() {
        let mut relays = relays(true);
        relays.handle_message(t(100), &word(false));
        relays.shown(&lamp());
        relays.handle_stop(t(200));
        relays.handle_message(t(300), &word(false));
        assert_eq!(done(&mut relays), [true, false]);
        assert!(!relays.is_at_rest());
        relays.resting(t(301), &lamp());
        assert!(relays.is_at_rest());
        assert_eq!(done(&mut relays), []);
    }
}
