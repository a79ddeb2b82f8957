//! Taking over a configuration, component by component.

use std::collections::{BTreeMap, BTreeSet};

use gateway_access::{
    CallerPattern, Card, Code, CodeFrom, DoorGroup, DoorPolicy, HoldPolicy, Limits, Policy, ReaderPolicy,
};
use gateway_core::{Cause, DoorId, Edge, InputId, LineId, OutputId, PanelId, RingId, Secret};
use gateway_door::{Door, Input as DoorInput};
use gateway_line::Line;
use gateway_rules::{Action, Rule};

use super::buttons::{door_of, opened_by};
use super::{LineUnit, Now, Role, Site};
use crate::io::{Output, Plan};
use crate::params::{DoorParams, LineParams, SiteParams};

impl Site {
    /// Compares with what is in force, and changes no more than what differs.
    pub(super) fn configure(&mut self, now: Now, new: SiteParams, generation: u64) -> Plan {
        let mut plan = Plan::default();
        let old = std::mem::replace(&mut self.params, new);
        self.generation = generation;
        self.release_removed(&old);
        self.levels.configure(&old.inputs, &self.params.inputs);
        self.levels.configure_presses(&self.params.presses);
        self.active_on_record
            .retain(|input| self.params.inputs.contains_key(input));
        self.roles = roles(&self.params);
        self.access.apply(policy(&self.params, self.index_key));
        self.access.set_numbers(self.params.numbers);
        self.rules.configure(&self.params.rules);
        self.configure_relays(&old.relays);
        changed_rules(&old, &self.params, &mut plan);
        changed_alarms(&old, &self.params, &mut plan);
        self.configure_doors(now, &old, generation, &mut plan);
        self.doubt_contacts(now);
        self.configure_fire(now, old.fire_input.as_ref());
        self.configure_lockdowns(now);
        self.configure_holds(now);
        self.configure_alarms(now, &old);
        self.configure_quiets();
        self.configure_ring_to_open(now);
        self.configure_lines(now, &old, &mut plan);
        self.configure_panels(now, &old, &mut plan);
        self.end_prompts(now, "the line is gone", |site, line| {
            !site.params.lines.contains_key(line)
        });
        self.accounts
            .retain(|id, _| self.params.accounts.contains_key(id));
        // What was half typed was meant for the old codes; it must not become a code by a reload.
        self.keypads.clear();
        self.awaited.clear();
        self.narrow_lists(now);
        let keys = self.access.key_use();
        for call in self.calls.values_mut() {
            call.forget_digits(keys);
        }
        let lines: Vec<LineId> = self.lines.keys().cloned().collect();
        for line in lines {
            self.drain_line(now, &line);
        }
        self.look_at_standings();
        self.look_at_relays(now);
        self.forget_volumes(now);
        self.look_at_volumes(now);
        plan
    }

    /// Outputs that no door has any more are released before anything else is done.
    fn release_removed(&mut self, old: &SiteParams) {
        let used: BTreeSet<&OutputId> = self
            .params
            .doors
            .values()
            .filter_map(|d| d.output.as_ref())
            .collect();
        let before: BTreeSet<&OutputId> = old.doors.values().filter_map(|d| d.output.as_ref()).collect();
        for output in before.difference(&used) {
            self.out.push_back(Output::ReleaseOutput((*output).clone()));
        }
    }

    fn configure_doors(&mut self, now: Now, old: &SiteParams, generation: u64, plan: &mut Plan) {
        for id in old.doors.keys().filter(|id| !self.params.doors.contains_key(id)) {
            plan.removed.push(format!("door {id}"));
        }
        let gone: Vec<DoorId> = self
            .doors
            .keys()
            .filter(|id| !self.params.doors.contains_key(id))
            .cloned()
            .collect();
        for id in gone {
            if let Some(door) = self.doors.get_mut(&id) {
                door.retire();
            }
            self.drain_door(now, &id, false);
            self.doors.remove(&id);
            self.access.forget_standing(&id);
        }
        let doors: Vec<(DoorId, DoorParams)> = self
            .params
            .doors
            .iter()
            .map(|(id, p)| (id.clone(), p.clone()))
            .collect();
        for (id, params) in doors {
            let before = old.doors.get(&id);
            match (before, before == Some(&params)) {
                (None, _) => plan.added.push(format!("door {id}")),
                (Some(_), false) => plan.live.push(format!("door {id}")),
                (Some(_), true) => {}
            }
            let machine = machine(&params, generation);
            let built = match self.doors.get_mut(&id) {
                Some(door) => door.apply(now.mono, machine).is_ok(),
                None => match Door::new(now.mono, machine) {
                    Ok(door) => {
                        self.doors.insert(id.clone(), door);
                        true
                    }
                    Err(_) => false,
                },
            };
            if !built {
                // `check` refuses such a door; if one comes this far, it does not open.
                self.doors.remove(&id);
                self.access.forget_standing(&id);
                if let Some(output) = params.output.clone().filter(|_| before.is_some()) {
                    self.out.push_back(Output::ReleaseOutput(output));
                }
                continue;
            }
            if before.is_some_and(|before| before.contact != params.contact) {
                self.door_input(now, &id, DoorInput::ContactUnread, false);
            }
            if before.is_some_and(|before| before.lock_sense != params.lock_sense) {
                self.door_input(now, &id, DoorInput::LockSenseUnread, false);
            }
            if before != Some(&params) {
                self.tell_levels(now, &id, &params);
            }
            self.drain_door(now, &id, false);
        }
    }

    /// Tells a new or changed door what its inputs say, as state.
    fn tell_levels(&mut self, now: Now, id: &DoorId, params: &DoorParams) {
        let edge = |site: &Self, input: &InputId| {
            site.levels.current(input).map(|active| Edge {
                active,
                initial: true,
            })
        };
        if let Some(edge) = params.contact.as_ref().and_then(|input| edge(self, input)) {
            self.door_input(now, id, DoorInput::Contact(edge), false);
        }
        if let Some(edge) = params.lock_sense.as_ref().and_then(|input| edge(self, input)) {
            self.door_input(now, id, DoorInput::LockSense(edge), false);
        }
        if let Some(edge) = params.tamper.as_ref().and_then(|input| edge(self, input)) {
            self.door_input(now, id, DoorInput::Tamper(edge), false);
        }
        for rex in &params.rex {
            if let Some(edge) = edge(self, &rex.input) {
                let input = DoorInput::Rex {
                    edge,
                    input: rex.input.clone(),
                    kind: rex.kind,
                };
                self.door_input(now, id, input, false);
            }
        }
    }

    fn configure_lines(&mut self, now: Now, old: &SiteParams, plan: &mut Plan) {
        for id in old.lines.keys().filter(|id| !self.params.lines.contains_key(id)) {
            plan.removed.push(format!("line {id}"));
        }
        // Another device, real instead of virtual or the other way round, is another line.
        let restart: Vec<LineId> = self
            .lines
            .keys()
            .filter(|id| {
                let simulated = |params: &SiteParams| params.lines.get(*id).map(|l| l.simulated);
                simulated(&self.params) != simulated(old)
            })
            .cloned()
            .collect();
        for id in restart {
            self.end_calls_of(now, |call| call.line() == &id);
            self.drain_line(now, &id);
            self.lines.remove(&id);
        }
        for (id, params) in &self.params.lines {
            let machine = line_machine(params);
            match (self.lines.get_mut(id), old.lines.get(id)) {
                (Some(_), Some(before)) if before == params => {}
                (Some(unit), _) => {
                    unit.line.apply(now.mono, machine);
                    plan.live.push(format!("line {id}"));
                }
                (None, before) => {
                    let plan = if before.is_some() {
                        &mut plan.restart
                    } else {
                        &mut plan.added
                    };
                    plan.push(format!("line {id}"));
                    let line = Line::new(machine);
                    self.lines.insert(id.clone(), LineUnit { line, ring: None });
                }
            }
        }
    }

    /// A panel that changed its line, doors or account ends its call; names, buttons and lists are taken live
    /// and count from the next ring on.
    fn configure_panels(&mut self, now: Now, old: &SiteParams, plan: &mut Plan) {
        for (id, params) in &self.params.panels {
            match old.panels.get(id) {
                None => plan.added.push(format!("panel {id}")),
                Some(before) if before == params => {}
                Some(before)
                    if before.line == params.line
                        && before.doors == params.doors
                        && before.accounts == params.accounts =>
                {
                    plan.live.push(format!("panel {id}"));
                }
                Some(_) => plan.restart.push(format!("panel {id}")),
            }
        }
        let mut ended: BTreeSet<PanelId> = BTreeSet::new();
        for (id, before) in &old.panels {
            let kept = self.params.panels.get(id).is_some_and(|params| {
                before.line == params.line
                    && before.doors == params.doors
                    && before.accounts == params.accounts
            });
            if !kept {
                ended.insert(id.clone());
            }
            if !self.params.panels.contains_key(id) {
                plan.removed.push(format!("panel {id}"));
            }
        }
        // who is put through at a panel is let in by what its doors were
        self.end_calls_of(now, |call| {
            let at = call.begun_at().or(call.at_panel().filter(|_| call.is_bridged()));
            at.is_some_and(|p| ended.contains(p))
        });
    }

    fn end_calls_of(&mut self, now: Now, which: impl Fn(&super::calls::Call) -> bool) {
        let rings: Vec<RingId> = self
            .calls
            .iter()
            .filter(|(_, call)| !call.is_over() && which(call))
            .map(|(ring, _)| *ring)
            .collect();
        for ring in rings {
            self.cancel(now, ring, Cause::Released);
        }
    }
}

/// What the decision goes by. `index_key` is random.
pub(crate) fn policy(params: &SiteParams, index_key: [u8; 32]) -> Policy {
    let doors = params.doors.iter().filter_map(|(id, door)| {
        // A door without an output is watched, and nobody can be let in.
        let output = door.output.clone()?;
        // what only tells something opens nothing, whatever a file says
        if params.relays.values().any(|relay| relay.output == output) {
            return None;
        }
        let callers = door.callers.iter().filter_map(|caller| {
            let pattern = CallerPattern::parse(&caller.address).ok()?;
            Some(gateway_access::Caller {
                name: caller.name.clone(),
                pattern,
                when: caller.when.clone(),
            })
        });
        let buttons = params.panels.iter().flat_map(|(panel, of)| {
            let buttons = of.buttons.iter();
            let opens = buttons.filter(|(_, button)| opened_by(of, button) == Some(id));
            opens.map(|(button, params)| ((panel.clone(), button.clone()), params.day.clone()))
        });
        let ring_to_open = params.panels.iter().flat_map(|(panel, of)| {
            let limit = of.ring_to_open.into_iter();
            let buttons = limit.flat_map(|limit| of.buttons.iter().map(move |button| (limit, button)));
            let opens = buttons.filter(|(_, (_, button))| door_of(of, button) == Some(id));
            opens.map(|(limit, (button, _))| ((panel.clone(), button.clone()), limit))
        });
        let opens = |rule: &Rule| rule.actions.contains(&Action::Open(id.clone()));
        let rules = params.rules.iter().filter(|(_, rule)| opens(rule));
        let policy = DoorPolicy {
            buttons: buttons.collect(),
            by_call: door.by_call.clone(),
            callers: callers.collect(),
            digits_by_list: door.digits_by_list,
            hold: HoldPolicy {
                after: door.hold_after.clone(),
                limit: door.hold_limit,
                when: door.hold.clone(),
            },
            on_journal_fault: door.on_journal_fault,
            output,
            readers: door.readers.iter().cloned().collect(),
            rex: door.rex.iter().map(|r| (r.input.clone(), r.kind)).collect(),
            ring_to_open: ring_to_open.collect(),
            rules: rules.map(|(rule, _)| rule.clone()).collect(),
            second_within: door.second_within,
            two_persons: door.two_persons.clone(),
        };
        Some((id.clone(), policy))
    });
    let cards = params.cards.iter().map(|(id, card)| Card {
        doors: card.doors.clone(),
        frame: card.frame.clone(),
        id: id.clone(),
        open_for: card.open_for,
        person: card.person.clone(),
        pin: card.pin.clone(),
        when: card.when.clone(),
    });
    let codes = params.codes.iter().map(|(id, code)| Code {
        digits: Secret::new(code.digits.as_str()),
        doors: code.doors.clone(),
        from: [
            code.from_call.then_some(CodeFrom::Call),
            code.from_keypad.then_some(CodeFrom::Keypad),
        ]
        .into_iter()
        .flatten()
        .collect(),
        id: id.clone(),
        person: code.person.clone(),
        when: code.when.clone(),
    });
    let readers = params.readers.iter().map(|(id, reader)| {
        let policy = ReaderPolicy {
            card_alone: reader.card_alone.clone(),
            into: reader.into.clone(),
            out_of: reader.out_of.clone(),
        };
        (id.clone(), policy)
    });
    let door_groups = params.door_groups.iter().map(|(id, group)| {
        let (doors, interlock) = (group.doors.clone(), group.interlock);
        (id.clone(), DoorGroup { doors, interlock })
    });
    Policy {
        areas: params.areas.clone(),
        cards: cards.collect(),
        codes: codes.collect(),
        door_groups: door_groups.collect(),
        doors: doors.collect(),
        groups: params.groups.clone(),
        index_key,
        limits: Limits::default(),
        readers: readers.collect(),
        schedules: params.schedules.clone(),
    }
}

fn changed_alarms(old: &SiteParams, new: &SiteParams, plan: &mut Plan) {
    for (id, alarm) in &new.alarms {
        match old.alarms.get(id) {
            None => plan.added.push(format!("alarm {id}")),
            Some(before) if before == alarm => {}
            Some(_) => plan.live.push(format!("alarm {id}")),
        }
    }
    let gone = old.alarms.keys().filter(|id| !new.alarms.contains_key(*id));
    plan.removed.extend(gone.map(|id| format!("alarm {id}")));
}

fn changed_rules(old: &SiteParams, new: &SiteParams, plan: &mut Plan) {
    for (id, rule) in &new.rules {
        match old.rules.get(id) {
            None => plan.added.push(format!("rule {id}")),
            Some(before) if before == rule => {}
            Some(_) => plan.live.push(format!("rule {id}")),
        }
    }
    let gone = old.rules.keys().filter(|id| !new.rules.contains_key(*id));
    plan.removed.extend(gone.map(|id| format!("rule {id}")));
}

fn roles(params: &SiteParams) -> BTreeMap<InputId, Vec<Role>> {
    let mut roles: BTreeMap<InputId, Vec<Role>> = BTreeMap::new();
    let mut role = |input: &InputId, role: Role| roles.entry(input.clone()).or_default().push(role);
    for (alarm, p) in &params.alarms {
        if let Some(input) = &p.input {
            role(input, Role::Alarm(alarm.clone()));
        }
    }
    for (panel, p) in &params.panels {
        for (button, b) in &p.buttons {
            if let Some(input) = &b.input {
                role(input, Role::Button(panel.clone(), button.clone()));
            }
        }
    }
    for (door, d) in &params.doors {
        if let Some(input) = &d.contact {
            role(input, Role::Contact(door.clone()));
        }
        if let Some(input) = &d.lock_sense {
            role(input, Role::LockSense(door.clone()));
        }
        if let Some(input) = &d.tamper {
            role(input, Role::Tamper(door.clone()));
        }
        for rex in &d.rex {
            role(&rex.input, Role::Rex(door.clone(), rex.kind));
        }
    }
    for (input, what) in Site::held_inputs(params) {
        role(input, Role::Held(what));
    }
    if let Some(input) = &params.fire_input {
        role(input, Role::Fire);
    }
    if let Some(input) = &params.lockdown_input {
        role(input, Role::Lockdown(None));
    }
    for (group, p) in &params.door_groups {
        if let Some(input) = &p.lockdown_input {
            role(input, Role::Lockdown(Some(group.clone())));
        }
    }
    roles
}

fn machine(door: &DoorParams, generation: u64) -> gateway_door::DoorParams {
    // A door that is only watched still has a machine; no policy names it, so no Grant is ever made for it.
    let none = || OutputId::new("none").expect("a name of small letters");
    gateway_door::DoorParams {
        contact: door.contact.is_some(),
        duty: door.duty,
        fail: door.fail,
        generation,
        held_open: door.held_open,
        lock: door.lock,
        owner: door.owner,
        relock: door.relock,
        strike: door.strike,
        travel: door.travel,
        ..gateway_door::DoorParams::new(door.output.clone().unwrap_or_else(none))
    }
}

fn line_machine(line: &LineParams) -> gateway_line::LineParams {
    gateway_line::LineParams {
        call_in: line.call_in,
        handset_sense: line.handset_sense,
        hook_to_open: line.hook_to_open,
        open_when: line.open_when,
        ring_window: line.ring_window,
        talk_window: line.talk_window,
    }
}
