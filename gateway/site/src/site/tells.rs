//! What relays have to tell: of the network, the mains, calls, doors and lights.

use gateway_core::{AccountState, DoorId, Instant, OutputId, PanelId, RelayId};

use super::calls::Call;
use super::{Now, Site};
use crate::params::{LampShows, NetworkLoss, RelayFunction};

/// What a relay has to tell.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// In words; `None` if there is nothing.
    pub(super) text: Option<String>,
    /// When that is over by itself.
    pub(super) until: Option<Instant>,
}

impl Told {
    const fn plain(text: Option<String>) -> Self {
        Self { text, until: None }
    }
}

impl Site {
    pub(super) fn tells(&self, now: Now, relay: &RelayId) -> Told {
        let Some(params) = self.params.relays.get(relay) else {
            return Told::default();
        };
        match &params.function {
            RelayFunction::Alarm(alarms) => {
                let raised = alarms.iter().find(|alarm| self.is_raised(alarm));
                Told::plain(raised.map(|alarm| format!("alarm {alarm}")))
            }
            RelayFunction::Command { .. } | RelayFunction::Light(_) => {
                let relay = self.relays.get(relay).filter(|relay| relay.is_set(now.mono));
                Told::plain(relay.map(|relay| relay.why.clone()))
            }
            RelayFunction::Lamp { panel, shows } => {
                Told::plain(shows.iter().find_map(|what| self.shows(panel, *what)))
            }
            RelayFunction::LineSeized { hold, panels } => {
                let means = |call: &&Call| {
                    let panel = call.at_panel();
                    panel.is_some_and(|panel| panels.is_empty() || panels.contains(panel))
                };
                // nor has a call the line that still rings for it
                let has_line = |call: &&Call| !call.is_over() && has_part(call) && !call.is_waiting();
                let calls = self.calls.values().filter(has_line).filter(means);
                // of several calls the one that lasts longest
                let ends = calls.map(|call| (call, hold.map(|hold| call.began() + hold)));
                let running = ends.filter(|(_, end)| end.is_none_or(|end| now.mono < end));
                let last = running.max_by_key(|(_, end)| *end);
                Told {
                    text: last.map(|(call, _)| format!("a call at line {}", call.line())),
                    until: last.and_then(|(_, end)| end),
                }
            }
            RelayFunction::MainsFault { input } => Told::plain(match self.levels.current(input) {
                Some(false) => None,
                Some(true) => Some(format!("input {input} says that the mains are lost")),
                None => Some(format!(
                    "nobody reads input {input}, which says whether the mains are there"
                )),
            }),
            RelayFunction::NetworkFault { of, .. } => {
                Told::plain(of.iter().find_map(|loss| self.lost(*loss)))
            }
        }
    }

    /// Is there something for a lamp at a panel to show?
    fn shows(&self, panel: &PanelId, what: LampShows) -> Option<String> {
        let mut calls = self
            .calls
            .values()
            .filter(|call| !call.is_over() && call.at_panel() == Some(panel))
            // who is put through does not talk at the panel, nor does who rang at a floor bell
            .filter(|call| has_part(call) || call.is_bridged() && what == LampShows::Incoming);
        match what {
            LampShows::Hold => calls
                .any(Call::is_held)
                .then(|| format!("the call at {panel} is held")),
            LampShows::Incoming => calls
                .any(Call::is_incoming)
                .then(|| format!("somebody calls {panel}")),
            LampShows::Io => self.is_in_use(panel),
            LampShows::Press => calls
                .any(|call| !call.is_incoming() && !call.is_asked() && !call.is_talking())
                .then(|| format!("{panel} rings somebody")),
            LampShows::Relay => {
                let door = self
                    .doors_of(panel)
                    .into_iter()
                    .find(|door| self.is_unlocked(door));
                door.map(|door| format!("door {door} is unlocked"))
            }
            LampShows::Talk => calls
                .any(Call::is_talking)
                .then(|| format!("somebody talks with {panel}")),
        }
    }

    fn is_unlocked(&self, door: &DoorId) -> bool {
        self.doors
            .get(door)
            .is_some_and(gateway_door::Door::is_unlocked_by_us)
    }

    /// An input or output of a panel that is not at rest: its buttons, and exits and locks of its doors.
    fn is_in_use(&self, panel: &PanelId) -> Option<String> {
        let of = self.params.panels.get(panel)?;
        let doors = self.doors_of(panel);
        let named = doors.iter().filter_map(|door| self.params.doors.get(door));
        let exits = named.flat_map(|door| door.rex.iter().map(|rex| &rex.input));
        let mut inputs = of
            .buttons
            .values()
            .filter_map(|button| button.input.as_ref())
            .chain(exits);
        if let Some(input) = inputs.find(|input| self.levels.current(input) == Some(true)) {
            return Some(format!("input {input} is active"));
        }
        let output = |door: &DoorId| -> Option<OutputId> {
            let output = self.params.doors.get(door)?.output.clone()?;
            self.is_unlocked(door).then_some(output)
        };
        let output = doors.iter().find_map(output)?;
        Some(format!("output {output} is energised"))
    }

    /// What is lost of the network, in words; `None` if nothing is.
    fn lost(&self, loss: NetworkLoss) -> Option<String> {
        match loss {
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
        }
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

/// Is it a call in which somebody at the panel has a part?
fn has_part(call: &Call) -> bool {
    !call.is_bridged() && !call.is_floor()
}
