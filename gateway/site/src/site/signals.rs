//! What adapters notice: inputs, readers, lines, devices.

use std::time::Duration;

use gateway_access::{CodeFrom, DigitCollector, Entry, Request, Source};
use gateway_core::{
    CardFrame, DeviceEvent, DeviceId, DoorId, Edge, Event, InputId, Instant, LineId, LineSignal, PanelEvent,
    PortEvent, ReaderCommand, ReaderEvent, ReaderId, Signal, SignalKind,
};
use gateway_door::Input as DoorInput;

use super::doors::Opening;
use super::{Now, Role, Site};
use crate::io::Output;
use crate::levels::{Change, EDGE_AGE};

impl Site {
    pub(super) fn signal(&mut self, now: Now, signal: Signal) {
        let Signal {
            at,
            device,
            simulated,
            kind,
        } = signal;
        let late = at < self.discard_before || now.mono.since(at) > EDGE_AGE;
        match kind {
            SignalKind::Card { frame, reader } => self.card(now, at, late, simulated, frame, reader),
            SignalKind::Controller {
                controller,
                reader,
                said,
            } => self.controller_said(now, controller, reader, said),
            SignalKind::Fault(text) => self.device(now, device, Some(text)),
            SignalKind::Input { edge, input } => self.input(now, at, late, simulated, edge, &input),
            SignalKind::Key { key, reader } => self.key(now, at, late, simulated, key, reader),
            SignalKind::Line { line, signal } => self.line_signal(now, late, simulated, &line, signal),
            SignalKind::Misread {
                bits,
                reader,
                reason,
                times,
            } => {
                let configured = self.params.readers.get(&reader).map(|p| p.simulated);
                if let Some(simulated) = Self::honest(simulated, configured) {
                    let event = ReaderEvent::Misread { bits, reason, times };
                    self.record(now, Event::Reader(reader, event), None, simulated);
                }
            }
            SignalKind::Network(state) => self.network(now, state),
            SignalKind::Port(event) => self.port(now, device, event),
            // for whoever learns a format, before it comes here
            SignalKind::Raw { .. } => {}
            SignalKind::Ready => self.device(now, device, None),
            SignalKind::Unread(input) => self.unread(now, simulated, &input),
        }
    }

    fn device(&mut self, now: Now, device: DeviceId, fault: Option<String>) {
        let before = self.devices.insert(device.clone(), fault.clone());
        if before.as_ref() == Some(&fault) {
            return;
        }
        let event = match fault {
            Some(text) => DeviceEvent::Fault { text },
            None => DeviceEvent::Ready {},
        };
        self.record(now, Event::Device(device, event), None, false);
    }

    /// What the port says is recorded and kept as a standing fault; it decides nothing about doors. Said twice it is
    /// no news, so that a port that fails again and again does not fill the journal.
    fn port(&mut self, now: Now, device: DeviceId, event: PortEvent) {
        let port = self.ports.entry(device.clone()).or_default();
        if port.last.as_ref() == Some(&event) {
            return;
        }
        port.last = Some(event.clone());
        if let Some(standing) = event.standing() {
            port.fault = standing.map(str::to_owned);
        }
        match &event {
            PortEvent::CertificateExpires { part, text, .. } => {
                port.expiring.insert(part.clone(), text.clone());
            }
            PortEvent::CertificateGoesOn { part } => {
                port.expiring.remove(part);
            }
            // another configuration has other certificates, and the watch over them begins anew
            PortEvent::Released {} => port.expiring.clear(),
            PortEvent::AuthenticatorSilent { .. }
            | PortEvent::Authorized { .. }
            | PortEvent::CarrierFound {}
            | PortEvent::CarrierLost { .. }
            | PortEvent::CredentialsRefused { .. }
            | PortEvent::InterfaceAbsent { .. }
            | PortEvent::ManagedElsewhere { .. }
            | PortEvent::MaterialRefused { .. }
            | PortEvent::MethodRefused { .. }
            | PortEvent::NeighboursSilent { .. }
            | PortEvent::ReauthenticationRefused { .. }
            | PortEvent::ServerSilent { .. }
            | PortEvent::ServerUntrusted { .. }
            | PortEvent::SupplicantFailed { .. } => {}
        }
        self.record(now, Event::Port(device, event), None, false);
    }

    /// Injecting is for virtual devices only; what claims to be simulated on a real one is dropped.
    fn honest(injected: bool, configured: Option<bool>) -> Option<bool> {
        match configured {
            Some(true) => Some(true),
            Some(false) if !injected => Some(false),
            Some(false) | None => None,
        }
    }

    fn input(&mut self, now: Now, at: Instant, late: bool, injected: bool, edge: Edge, input: &InputId) {
        let configured = self.params.inputs.get(input).map(|p| p.simulated);
        let Some(simulated) = Self::honest(injected, configured) else {
            return;
        };
        if let Some(change) = self.levels.reading(now.mono, at, input, edge, late, simulated) {
            self.changed(now, input, change);
        }
    }

    /// An input is out of sight: what its contact said is no reason to think that a door is shut, nor what its lock sense said
    /// that the lock is. Buttons, exits, fire
    /// and lockdowns stay as they were seen, and act only at an edge.
    fn unread(&mut self, now: Now, injected: bool, input: &InputId) {
        let configured = self.params.inputs.get(input).map(|p| p.simulated);
        if Self::honest(injected, configured).is_some() {
            self.levels.lose(input);
            self.doubt_contacts(now);
        }
    }

    /// Tells doors whose contact or lock sense nobody reads that nothing is known of it.
    pub(super) fn doubt_contacts(&mut self, now: Now) {
        let unread =
            |input: Option<&InputId>| input.is_some_and(|input| self.levels.current(input).is_none());
        let mut doubts = Vec::new();
        for (id, door) in &self.params.doors {
            if unread(door.contact.as_ref()) {
                doubts.push((id.clone(), DoorInput::ContactUnread));
            }
            if unread(door.lock_sense.as_ref()) {
                doubts.push((id.clone(), DoorInput::LockSenseUnread));
            }
        }
        for (door, input) in doubts {
            self.door_input(now, &door, input, false);
        }
    }

    /// A level counts: each role of the input makes of it what it is for.
    pub(super) fn changed(&mut self, now: Now, input: &InputId, change: Change) {
        let unstuck = self.levels.unstick(input);
        self.tell_rules(now, input, change);
        for role in self.roles.get(input).cloned().unwrap_or_default() {
            match role {
                Role::Alarm(alarm) => self.alarm_changed(now, alarm, input, change),
                Role::Button(panel, button) => {
                    if unstuck {
                        let event = PanelEvent::ButtonReleased {
                            button: button.clone(),
                        };
                        self.record(now, Event::Panel(panel.clone(), event), None, change.simulated);
                    }
                    if change.acts && change.late {
                        let reason = "stale".to_owned();
                        let event = PanelEvent::PressIgnored { button, reason };
                        self.record(now, Event::Panel(panel, event), None, change.simulated);
                    } else if change.acts {
                        // A refusal stands in the journal; a visitor gets no answer but silence.
                        let _ = self.press(now, &panel, &button, change.simulated);
                    }
                }
                Role::Contact(door) => {
                    let input = DoorInput::Contact(change.edge());
                    self.door_input(now, &door, input, change.simulated);
                }
                Role::Fire => self.fire_changed(now, input, change),
                Role::Held(what) => self.held_changed(now, what, change),
                Role::LockSense(door) => {
                    let input = DoorInput::LockSense(change.edge());
                    self.door_input(now, &door, input, change.simulated);
                }
                Role::Lockdown(group) => self.lockdown_changed(now, group, input, change),
                Role::Rex(door, kind) => {
                    let input = DoorInput::Rex {
                        edge: change.edge(),
                        input: input.clone(),
                        kind,
                    };
                    self.door_input(now, &door, input, change.simulated);
                }
                Role::Tamper(door) => {
                    let input = DoorInput::Tamper(change.edge());
                    self.door_input(now, &door, input, change.simulated);
                }
            }
        }
    }

    pub(super) fn stuck(&mut self, now: Now, input: &InputId) {
        let simulated = self.params.inputs.get(input).is_some_and(|p| p.simulated);
        for role in self.roles.get(input).cloned().unwrap_or_default() {
            match role {
                Role::Button(panel, button) => {
                    let event = PanelEvent::ButtonStuck { button };
                    self.record(now, Event::Panel(panel, event), None, simulated);
                }
                Role::LockSense(door) => {
                    self.door_input(now, &door, DoorInput::LockSenseStuck, simulated);
                }
                Role::Alarm(_)
                | Role::Contact(_)
                | Role::Fire
                | Role::Held(_)
                | Role::Lockdown(_)
                | Role::Rex(..)
                | Role::Tamper(_) => {}
            }
        }
    }

    fn card(
        &mut self,
        now: Now,
        at: Instant,
        late: bool,
        injected: bool,
        frame: CardFrame,
        reader: ReaderId,
    ) {
        let configured = self.params.readers.get(&reader).map(|p| p.simulated);
        let Some(simulated) = Self::honest(injected, configured) else {
            return;
        };
        let event = ReaderEvent::Card {
            bits: frame.bits,
            masked: self.access.directory().masked(&frame),
        };
        self.record(now, Event::Reader(reader.clone(), event), None, simulated);
        let forwarded = self.forward(now, (at, late), &frame, &reader, simulated);
        if forwarded && self.doors_at(&reader).is_empty() {
            // there is nothing to decide, and what becomes of it the controller says
            return;
        }
        // The decision refuses old reads by their time; what waited in a gap is old whatever its time says.
        let at = if late { Instant::ZERO } else { at };
        self.show_card(now, at, &frame, &reader, simulated);
    }

    /// For how long a reader shows that a door opens: until its pulse ends.
    pub(super) fn shown_for(&self, now: Now, door: &DoorId) -> Duration {
        let until = self.doors.get(door).and_then(|machine| machine.pulse_until());
        until.map_or(Duration::ZERO, |until| until.since(now.mono))
    }

    /// Tells a reader what became of a card or code.
    pub(super) fn show(&mut self, reader: ReaderId, opens: Option<Duration>) {
        let command = opens.map_or(ReaderCommand::Denied, |time| ReaderCommand::Granted { time });
        self.out.push_back(Output::Reader(reader, command));
    }

    /// Tells a reader that something more is awaited.
    pub(super) fn show_more(&mut self, reader: ReaderId) {
        self.out.push_back(Output::Reader(reader, ReaderCommand::WaitPin));
    }

    fn key(&mut self, now: Now, at: Instant, late: bool, injected: bool, key: char, reader: ReaderId) {
        let configured = self.params.readers.get(&reader).map(|p| p.simulated);
        let Some(simulated) = Self::honest(injected, configured) else {
            return;
        };
        self.record(
            now,
            Event::Reader(reader.clone(), ReaderEvent::Key {}),
            None,
            simulated,
        );
        if late {
            return;
        }
        let doors = self.doors_at(&reader);
        if self.forward_key(now, at, key, &reader, simulated) && doors.is_empty() {
            // there is nothing to decide, and what becomes of it the controller says
            return;
        }
        let key_use = self.access.key_use();
        // an entry that ends at its last key would tell that it is right
        let locked = self.access.is_locked(now.mono, &Source::Keypad(reader.clone()));
        let all_refuse = !doors.is_empty() && doors.iter().all(|door| self.refuses_all(door));
        let keypad = self
            .keypads
            .entry(reader.clone())
            .or_insert_with(|| DigitCollector::new(key_use));
        // taken out, so that the rest can be asked meanwhile
        let mut keypad = std::mem::take(keypad);
        let entries = keypad.push(at, key, |typed| {
            !locked
                && !all_refuse
                && self.is_awaited_pin(&reader, typed).unwrap_or_else(|| {
                    let mut doors = doors.iter().filter(|door| !self.refuses_all(door));
                    doors.any(|door| self.access.is_code(door, CodeFrom::Keypad, typed))
                })
        });
        if entries.is_empty() {
            let command = match keypad.poll_timeout() {
                Some(_) => ReaderCommand::WaitPin,
                None => ReaderCommand::Idle,
            };
            self.out.push_back(Output::Reader(reader.clone(), command));
        }
        self.keypads.insert(reader.clone(), keypad);
        for entry in entries {
            self.typed(now, &reader, entry);
        }
    }

    /// A complete entry at a keypad, for the first door at this reader that it could open, else for the first.
    pub(super) fn typed(&mut self, now: Now, reader: &ReaderId, entry: Entry) {
        let simulated = self.params.readers.get(reader).is_some_and(|p| p.simulated);
        if self.pin_typed(now, reader, &entry, simulated) {
            return;
        }
        let doors = self.doors_at(reader);
        let meant = doors
            .iter()
            .find(|door| self.access.is_code(door, CodeFrom::Keypad, entry.digits.reveal()))
            .or(doors.first());
        if let Some(door) = meant.cloned() {
            let request = Request::KeypadCode {
                at: entry.at,
                digits: entry.digits,
                door: door.clone(),
                reader: reader.clone(),
            };
            match self.open(now, request, simulated) {
                // shown when it opens
                Ok(Opening::Held) => self.held_at(reader),
                Ok(Opening::Now(_)) => self.show(reader.clone(), Some(self.shown_for(now, &door))),
                Ok(Opening::Second) => self.show_more(reader.clone()),
                Err(_) => self.show(reader.clone(), None),
            }
        }
    }

    pub(super) fn doors_at(&self, reader: &ReaderId) -> Vec<DoorId> {
        self.params
            .doors
            .iter()
            .filter(|(_, door)| door.readers.contains(reader))
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn line_signal(&mut self, now: Now, late: bool, injected: bool, line: &LineId, signal: LineSignal) {
        let configured = self.params.lines.get(line).map(|p| p.simulated);
        if Self::honest(injected, configured).is_none() {
            return;
        }
        // Old states of a line are still states; an old ring is nobody at the door.
        if late && matches!(signal, LineSignal::Ring | LineSignal::RingFor(_)) {
            return;
        }
        if matches!(signal, LineSignal::Ring | LineSignal::RingFor(_)) {
            self.yield_prompt(now, line, "somebody rings");
        }
        if let Some(unit) = self.lines.get_mut(line) {
            unit.line.handle_signal(now.mono, signal);
            self.drain_line(now, line);
        }
    }
}
