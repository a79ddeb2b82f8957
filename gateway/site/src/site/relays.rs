//! Relays that tell something: when each is active. They open nothing, and nothing that opens asks for them.
//!
//! What each has to tell is found in [`tells`](super::tells); here it is delayed, turned over, and recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_access::InForce;
use gateway_core::{
    DoorEvent, Event, GatewayEvent, Instant, NetworkState, OutputId, PanelEvent, Refusal, RelayEvent,
    RelayId, RelaySet, RelayView, Subject,
};

use super::{Now, Site};
use crate::params::{LightParams, RelayFunction};

/// The next change of a schedule is looked up after this at the latest: the clock may have been set.
const LOOK: Duration = Duration::from_secs(60);

/// A relay.
#[derive(Debug, Default)]
pub(super) struct Relay {
    /// What the guard is told.
    active: bool,
    /// When it may have something else to tell.
    due: Option<Instant>,
    /// When the schedule of a light is looked up again.
    look_at: Option<Instant>,
    /// There is something to tell, after its delay. A bistable one is turned over each time that begins.
    on: bool,
    /// It is set until further notice, or what lights it goes on.
    pub(super) set: bool,
    /// Since when there is something to tell.
    since: Option<Instant>,
    /// What.
    text: String,
    /// Until when it is set, or lit.
    pub(super) until: Option<Instant>,
    /// By whom or what.
    pub(super) why: String,
}

impl Relay {
    /// Is it set or lit at this moment?
    pub(super) fn is_set(&self, now: Instant) -> bool {
        self.set || self.until.is_some_and(|until| now < until)
    }
}

impl Site {
    /// Which outputs of relays are active, all of them: for the guard, at each turn.
    #[must_use]
    pub fn relays(&self) -> BTreeMap<OutputId, bool> {
        let relays = self.params.relays.iter();
        relays
            .map(|(id, params)| (params.output.clone(), self.is_active(id)))
            .collect()
    }

    fn is_active(&self, id: &RelayId) -> bool {
        self.relays.get(id).is_some_and(|relay| relay.active)
    }

    pub(super) fn relay_views(&self) -> Vec<RelayView> {
        let relays = self.params.relays.iter();
        relays
            .map(|(id, params)| RelayView {
                active: self.is_active(id),
                function: params.function.word(),
                id: id.clone(),
                text: self
                    .relays
                    .get(id)
                    .map(|relay| relay.text.clone())
                    .unwrap_or_default(),
            })
            .collect()
    }

    /// How the network is, as it was told last. Said twice it is no news.
    pub(super) fn network(&mut self, now: Now, state: NetworkState) {
        let before = self.network.replace(state.clone());
        let was_lost = std::mem::replace(&mut self.network_lost, !state.is_there());
        // the first word is a state; another address is news, since whoever looks for the page has to know
        let news = match &before {
            None => was_lost || !state.is_there(),
            Some(before) => *before != state,
        };
        if !news {
            return;
        }
        let (active, text) = (state.is_there(), state.text);
        self.gateway(now, GatewayEvent::Network { active, text });
    }

    /// What is wrong with the network, for the list of faults.
    pub(super) fn network_fault(&self) -> Option<&str> {
        let lost = self.network.as_ref().filter(|state| !state.is_there());
        lost.map(|state| state.text.as_str())
    }

    /// Another file: what a relay was set to, and what it was lit by, was meant for what it was.
    pub(super) fn configure_relays(&mut self, old: &BTreeMap<RelayId, crate::RelayParams>) {
        let new = &self.params.relays;
        let same = |id: &RelayId| old.get(id).map(|p| &p.function) == new.get(id).map(|p| &p.function);
        self.relays.retain(|id, _| new.contains_key(id) && same(id));
    }

    /// Switches what is due. A gateway that stops leaves the relays to the guard, which hears nothing more then.
    pub(super) fn look_at_relays(&mut self, now: Now) {
        if self.stopping {
            return;
        }
        let ids: Vec<RelayId> = self.params.relays.keys().cloned().collect();
        for id in ids {
            self.look_at_relay(now, id);
        }
    }

    fn look_at_relay(&mut self, now: Now, id: RelayId) {
        let lit = self.look_at_light(now, &id);
        let Some(params) = self.params.relays.get(&id) else {
            return;
        };
        let (bistable, delay) = (params.bistable, params.delay());
        let told = self.tells(now, &id);
        let relay = self.relays.entry(id.clone()).or_default();
        relay.since = told.text.as_ref().map(|_| relay.since.unwrap_or(now.mono));
        relay.text = told.text.unwrap_or_default();
        let on = relay.since.is_some_and(|since| now.mono >= since + delay);
        let waits = relay.since.filter(|_| !on).map(|since| since + delay);
        let due = [waits, relay.until, told.until, lit].into_iter().flatten();
        relay.due = due.filter(|at| *at > now.mono).min();
        let was_on = std::mem::replace(&mut relay.on, on);
        let began = on && !was_on;
        let active = if bistable { relay.active ^ began } else { on };
        if active != relay.active {
            relay.active = active;
            let text = relay.text.clone();
            self.record(
                now,
                Event::Relay(id, RelayEvent::Switched { active, text }),
                None,
                false,
            );
        }
    }

    /// When [`Self::look_at_relays`] is due.
    pub(super) fn relays_due(&self) -> Option<Instant> {
        let relays = self.relays.values().filter(|_| !self.stopping);
        relays.filter_map(|relay| relay.due).min()
    }

    /// Sets a relay that is there to be set.
    pub(super) fn set_relay(
        &mut self,
        now: Now,
        id: &RelayId,
        set: RelaySet,
        by: &Subject,
    ) -> Result<(), (Refusal, String)> {
        let Some(params) = self.params.relays.get(id) else {
            return Err((Refusal::Unknown, format!("there is no relay {id:?}")));
        };
        let RelayFunction::Command { longest } = params.function else {
            let word = params.function.word();
            let text = format!("{id} is a relay that tells of {word} by itself, and nobody sets it");
            return Err((Refusal::Relay, text));
        };
        // what is asked for is counted from when the relay follows, and what is longer than it may be is cut
        let until = |time: Duration| now.mono + params.delay() + time;
        let bound = longest.map(until);
        let relay = self.relays.entry(id.clone()).or_default();
        let set = match set {
            RelaySet::Toggle if relay.is_set(now.mono) => RelaySet::Off,
            RelaySet::Toggle => RelaySet::On,
            RelaySet::For(_) | RelaySet::Off | RelaySet::On => set,
        };
        (relay.set, relay.until) = match set {
            RelaySet::For(time) => {
                let end = until(time.min(RelaySet::LONGEST));
                (false, Some(bound.map_or(end, |bound| bound.min(end))))
            }
            RelaySet::On => (bound.is_none(), bound),
            RelaySet::Off | RelaySet::Toggle => (false, None),
        };
        relay.why = format!("set by {by}");
        self.look_at_relays(now);
        Ok(())
    }

    /// Something happens that lights are there for.
    pub(super) fn light_up(&mut self, now: Now, event: &Event) {
        let (panel, door) = if let Event::Panel(panel, PanelEvent::Ring { .. }) = event {
            (Some(panel), None)
        } else if let Event::Door(door, DoorEvent::Unlocked { .. }) = event {
            (None, Some(door))
        } else {
            return;
        };
        let why = match (panel, door) {
            (Some(panel), _) => format!("a ring at {panel}"),
            (_, Some(door)) => format!("door {door} is unlocked"),
            (None, None) => return,
        };
        let means = |light: &LightParams| {
            panel.is_some_and(|panel| light.panels.contains(panel))
                || door.is_some_and(|door| light.doors.contains(door))
        };
        let lit: Vec<(RelayId, Duration)> = self
            .lights()
            .filter(|(_, light, _)| means(light) && self.may_light(now, light))
            .map(|(id, light, delay)| (id.clone(), delay + light.time))
            .collect();
        for (id, time) in lit {
            let relay = self.relays.entry(id).or_default();
            relay.until = relay.until.max(Some(now.mono + time));
            relay.why.clone_from(&why);
        }
    }

    fn lights(&self) -> impl Iterator<Item = (&RelayId, &LightParams, Duration)> {
        self.params.relays.iter().filter_map(|(id, params)| {
            if let RelayFunction::Light(light) = &params.function {
                Some((id, light, params.delay()))
            } else {
                None
            }
        })
    }

    /// Is it the time for a light? It harms nobody by a clock that is not believed.
    fn may_light(&self, now: Now, light: &LightParams) -> bool {
        self.params.schedules.look(&light.when, self.context(now).wall) != InForce::No
    }

    /// Follows what lights a lamp for as long as it lasts: an input, or a schedule alone. When that is to be looked at
    /// again.
    fn look_at_light(&mut self, now: Now, id: &RelayId) -> Option<Instant> {
        let params = self.params.relays.get(id)?;
        let RelayFunction::Light(light) = &params.function else {
            return None;
        };
        let may = self.may_light(now, light);
        let by_schedule = light.is_by_schedule();
        let active = light
            .inputs
            .iter()
            .find(|input| self.levels.current(input) == Some(true));
        let why = match active {
            Some(input) => Some(format!("input {input} is active")),
            None => by_schedule.then(|| "its schedule is in force".to_owned()),
        };
        let end = now.mono + params.delay() + light.time;
        let known = self.relays.get(id).and_then(|relay| relay.look_at);
        let look_at = match known.filter(|at| now.mono < *at) {
            Some(at) => Some(at),
            None => by_schedule.then(|| {
                let change = self.params.schedules.next_change(&light.when, now.wall);
                let until = change.and_then(|at| Duration::try_from(at.duration_since(now.wall)).ok());
                // a wall clock in nanoseconds may be at the change already, and say so by a hair later
                now.mono + until.unwrap_or(LOOK).clamp(Duration::from_millis(1), LOOK)
            }),
        };
        let relay = self.relays.entry(id.clone()).or_default();
        relay.look_at = look_at;
        let before = relay.set;
        relay.set = why.is_some() && (may || (before && !by_schedule));
        if relay.set && !before {
            relay.why = why.unwrap_or_default();
        }
        if before && !relay.set && !by_schedule {
            relay.until = relay.until.max(Some(end));
        }
        look_at
    }
}
