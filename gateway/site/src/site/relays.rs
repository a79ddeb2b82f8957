//! Relays that tell something: when each is active. They open nothing, and nothing that opens asks for them.

use std::collections::BTreeMap;

use gateway_core::{
    AccountState, Event, GatewayEvent, Instant, NetworkState, OutputId, RelayEvent, RelayId, RelayView,
};

use super::{Now, Site};
use crate::params::{NetworkLoss, RelayFunction};

/// A relay.
#[derive(Debug, Default)]
pub(super) struct Relay {
    active: bool,
    /// Since when there is something to tell.
    since: Option<Instant>,
    /// What.
    text: String,
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
        // the first word is a state; another address is news, since whoever looks for the page has to know
        let news = match &before {
            None => !state.is_there(),
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

    /// Switches what is due. A gateway that stops leaves the relays to the guard, which hears nothing more then.
    pub(super) fn look_at_relays(&mut self, now: Now) {
        if self.stopping {
            return;
        }
        let ids: Vec<RelayId> = self.params.relays.keys().cloned().collect();
        self.relays.retain(|id, _| self.params.relays.contains_key(id));
        for id in ids {
            let Some(RelayFunction::NetworkFault { delay, .. }) =
                self.params.relays.get(&id).map(|params| params.function.clone())
            else {
                continue;
            };
            let lost = self.lost(&id);
            let relay = self.relays.entry(id.clone()).or_default();
            relay.since = lost.as_ref().map(|_| relay.since.unwrap_or(now.mono));
            relay.text = lost.unwrap_or_default();
            let active = relay.since.is_some_and(|since| now.mono >= since + delay);
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
    }

    /// When [`Self::look_at_relays`] is due.
    pub(super) fn relays_due(&self) -> Option<Instant> {
        let due = |(id, relay): (&RelayId, &Relay)| {
            let RelayFunction::NetworkFault { delay, .. } = &self.params.relays.get(id)?.function;
            relay.since.filter(|_| !relay.active).map(|since| since + *delay)
        };
        let relays = self.relays.iter().filter(|_| !self.stopping);
        relays.filter_map(due).min()
    }

    /// What a relay has to tell of, in words; `None` if nothing is lost.
    fn lost(&self, relay: &RelayId) -> Option<String> {
        let RelayFunction::NetworkFault { of, .. } = &self.params.relays.get(relay)?.function;
        of.iter().find_map(|loss| match loss {
            NetworkLoss::Address => {
                let state = self.network.as_ref().filter(|state| !state.address)?;
                Some(state.text.clone())
            }
            NetworkLoss::Carrier => {
                let state = self.network.as_ref().filter(|state| !state.carrier)?;
                Some(state.text.clone())
            }
            NetworkLoss::PortAccess => self.ports.values().find_map(|port| port.fault.clone()),
            NetworkLoss::Registration => self.unregistered(),
        })
    }

    /// The first account that should be registered and is not. One that was not heard of yet is on its way.
    fn unregistered(&self) -> Option<String> {
        let registering = self.params.accounts.iter().filter(|(_, params)| params.register);
        registering
            .into_iter()
            .find_map(|(id, _)| match self.accounts.get(id) {
                Some((AccountState::Registered, _)) => None,
                Some((AccountState::Failed, detail)) => {
                    Some(format!("account {id} is not registered: {detail}"))
                }
                Some((AccountState::Off | AccountState::Registering, _)) | None => {
                    Some(format!("account {id} is not registered"))
                }
            })
    }
}
