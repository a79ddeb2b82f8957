//! The live picture.

use std::collections::BTreeMap;

use gateway_access::{OnJournalFault, When};
use gateway_core::{
    AccountState, AccountView, CallView, ContactState, DoorId, DoorView, Event, Fault, LineState, LineView,
    LockState, PanelView, PortView, Seq, SiteView,
};
use gateway_door::LockOwner;

use super::Site;
use crate::params::DoorParams;

impl Site {
    pub(super) fn picture(&self) -> SiteView {
        SiteView {
            accounts: self.account_views(),
            alarms: self.alarm_views(),
            areas: self.params.areas.keys().cloned().collect(),
            calls: self.call_views(),
            doors: self
                .params
                .doors
                .iter()
                .map(|(id, p)| self.door_view(id, p))
                .collect(),
            faults: self.faults(),
            generation: self.generation,
            instance: self.params.instance.clone(),
            lasting: self.lasting(),
            lines: self
                .lines
                .iter()
                .map(|(id, unit)| LineView {
                    id: id.clone(),
                    state: unit.line.state(),
                })
                .collect(),
            fire: self.fire_view(),
            lockdowns: self.lockdown_views(),
            name: self.params.name.clone(),
            panels: self.panel_views(),
            ports: self.port_views(),
            relays: self.relay_views(),
            seq: Seq(0),
            site: Some(self.params.id.clone()),
        }
    }

    fn account_views(&self) -> Vec<AccountView> {
        let accounts = self.params.accounts.iter();
        accounts
            .map(|(id, params)| {
                let told = self.accounts.get(id).cloned();
                let (state, detail) = told.unwrap_or_else(|| {
                    let idle = if params.register {
                        AccountState::Registering
                    } else {
                        AccountState::Registered
                    };
                    (idle, String::new())
                });
                AccountView {
                    detail,
                    id: id.clone(),
                    state,
                }
            })
            .collect()
    }

    fn call_views(&self) -> Vec<CallView> {
        self.live_calls()
            .into_iter()
            .map(|(ring, call)| {
                let parties = call.parties();
                let name = |party: &String| self.contacts.name(party).unwrap_or_default().to_owned();
                CallView {
                    names: parties.iter().map(name).collect(),
                    parties,
                    ring,
                    panel: call.at_panel().cloned(),
                    state: if call.is_talking() { "talking" } else { "ringing" },
                }
            })
            .collect()
    }

    fn door_view(&self, id: &DoorId, params: &DoorParams) -> DoorView {
        let door = self.doors.get(id);
        let journal = self.journal.is_ok() || params.on_journal_fault == OnJournalFault::OpenAndBuffer;
        let has_output = params.output.is_some();
        let works = door.is_some()
            && has_output
            && journal
            && self.ready
            && !self.stopping
            && self.guard.is_ok()
            && params
                .output
                .as_ref()
                .is_none_or(|o| self.out_of_order(o).is_none());
        DoorView {
            available: works && self.access.lockdown_of(id).is_none(),
            contact: door.map_or(ContactState::Unknown, |d| d.contact()),
            forced: door.is_some_and(|d| d.is_forced()),
            held_open: door.is_some_and(|d| d.is_held_open()),
            hold: self.hold_view(id),
            hold_limit: params.hold_limit.filter(|_| has_output),
            hold_scheduled: has_output && params.hold != When::Never,
            id: id.clone(),
            lock: door
                .filter(|_| has_output)
                .map_or(LockState::Unknown, |d| d.lock()),
            lockdown: self.access.lockdown_of(id).is_some(),
            name: params.name.clone(),
            owned: has_output && params.owner == LockOwner::Gateway,
            // how long it is held open is told apart
            pulse_until: door
                .filter(|d| d.held_until().is_none())
                .and_then(|d| d.pulse_until()),
            readers: params.readers.clone(),
            simulated: self.is_virtual(params),
            tamper: door.filter(|_| params.tamper.is_some()).and_then(|d| d.tamper()),
            works,
        }
    }

    fn port_views(&self) -> Vec<PortView> {
        let view = |(id, port): (&gateway_core::DeviceId, &super::Port)| {
            let kind = Event::Port(id.clone(), port.last.clone()?).kind();
            Some(PortView {
                id: id.clone(),
                state: kind.trim_start_matches("port.").to_owned(),
                text: port.fault.clone().unwrap_or_default(),
            })
        };
        self.ports.iter().filter_map(view).collect()
    }

    fn panel_views(&self) -> Vec<PanelView> {
        // of two rings at one panel the first, and one at the panel itself before one at a floor bell
        let mut rings = BTreeMap::new();
        let (floor, street): (Vec<_>, Vec<_>) = self
            .live_calls()
            .into_iter()
            .partition(|(_, call)| call.is_floor());
        for (ring, call) in street.into_iter().chain(floor) {
            if let Some(panel) = call.panel() {
                rings.entry(panel).or_insert(ring);
            }
        }
        let panels = self.params.panels.iter();
        panels
            .map(|(id, params)| PanelView {
                announcements: self.announcements_at(id),
                buttons: params
                    .buttons
                    .iter()
                    .map(|(button, p)| (button.clone(), p.name.clone()))
                    .collect(),
                callable: self.is_callable(id),
                doors: self.doors_of(id),
                id: id.clone(),
                line: params.line.clone(),
                name: params.name.clone(),
                quiet: self.quiet_view(id),
                ring_to_open: self.ring_to_open_view(id),
                ring_to_open_limit: self.ring_to_open_limit(id),
                ring: rings.get(id).copied(),
                simulated: self.is_virtual_panel(id),
            })
            .collect()
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |part: String, text: &str| {
            faults.push(Fault {
                part,
                text: text.to_owned(),
            });
        };
        if let Err(text) = &self.guard
            && !self.guard_restarts
        {
            fault("guard".to_owned(), text);
        }
        for output in &self.miswired {
            fault(format!("output:{output}"), &super::doors::miswired(output));
        }
        if let Err(text) = &self.journal {
            fault("journal".to_owned(), text);
        }
        if let Some(instance) = &self.second {
            let text = format!("another gateway ({instance}) runs under this name; stop one of them");
            fault("instance".to_owned(), &text);
        }
        if !self.clock_trusted {
            fault(
                "clock".to_owned(),
                "the wall clock is not trusted: commands with a date and API tokens wait; check the time source, or set it",
            );
        }
        if let Some(text) = self.fire_fault() {
            fault("fire".to_owned(), &text);
        }
        for (id, text) in self.alarm_faults() {
            fault(format!("alarm:{id}"), &text);
        }
        if let Some(text) = self.network_fault() {
            fault("network".to_owned(), text);
        }
        for (id, (state, detail)) in &self.accounts {
            if *state == AccountState::Failed {
                fault(format!("account:{id}"), detail);
            }
        }
        for (id, text) in &self.devices {
            if let Some(text) = text {
                fault(format!("device:{id}"), text);
            }
        }
        for (id, port) in &self.ports {
            if let Some(text) = &port.fault {
                fault(format!("port:{id}"), text);
            }
            for (part, text) in &port.expiring {
                fault(format!("port:{id}/{part}"), text);
            }
        }
        for (id, unit) in &self.lines {
            if unit.line.state() == LineState::Fault {
                let text =
                    "the panel's line is cut or has a fault: a bell there rings nobody; look at its wires";
                fault(format!("line:{id}"), text);
            }
        }
        for (id, door) in &self.doors {
            if let Some(text) = door.fault() {
                fault(format!("door:{id}"), text);
            }
        }
        for (panel, button) in self.stuck_buttons() {
            let text = "the button is held for longer than ten minutes; look at it and its wires";
            fault(format!("button:{panel}/{button}"), text);
        }
        faults
    }
}
