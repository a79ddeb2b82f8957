//! How long doors are open: pulses, and `front` that is held open.

use gateway_core::Factor;
use gateway_site::{Duty, When};

use super::{Model, Ms, millis};
use crate::house::DOORS;

/// A pulse this young is joined.
const JOIN: Ms = 1000;
/// No coil of pulse duty is on for longer.
const CAP: Ms = 25_000;
/// How long a door may still be pulled open after its lock fell back.
const SETTLE: Ms = 1000;
/// For how long a coil of pulse duty rests at least between two openings for fire, and one of continuous duty that was let go.
const REST: Ms = 5000;
const AGAIN: Ms = 100;

/// An output that is on.
#[derive(Clone)]
pub(super) struct Pulse {
    began: Ms,
    egress: bool,
    pub(super) end: Ms,
    /// Fire opened it.
    fire: bool,
    /// It goes on until the fire alarm is reset.
    pub(super) fire_held: bool,
    pub(super) hold: bool,
}

/// What holds `front` open.
#[derive(Clone, Default)]
pub(super) struct Hold {
    pub(super) by_command: Option<Ms>,
    by_schedule: bool,
    /// A command ended what the schedule wants, until its next begin.
    ended: bool,
}

impl Model {
    pub(crate) fn is_energised(&self, door: &str) -> bool {
        self.pulses.contains_key(door)
    }

    pub(super) fn end_pulses(&mut self) {
        let now = self.now;
        let over: Vec<(&str, Ms)> = self
            .pulses
            .iter()
            .filter(|(_, pulse)| !pulse.hold && !pulse.fire_held && pulse.end <= now)
            .map(|(door, pulse)| (*door, pulse.end))
            .collect();
        for (door, end) in over {
            self.rest(door, end);
        }
    }

    fn rest(&mut self, door: &str, at: Ms) {
        if let Some((door, pulse)) = self.pulses.remove_entry(door) {
            self.rested.insert(door, at);
            if pulse.fire && self.alarm {
                let strike = self.door(door).map_or(0, |door| millis(door.strike));
                let rest = if pulse.fire_held { AGAIN } else { strike.max(REST) };
                self.burns.insert(door, at + rest);
            }
        }
    }

    /// Shut, at rest, and nobody is about to open it or may still pull it open.
    pub(super) fn is_at_rest(&self, door: &str) -> bool {
        let settled = self.rested.get(door).is_none_or(|at| self.now >= at + SETTLE);
        !self.contacts.contains(door) && !self.pulses.contains_key(door) && settled && !self.alarm
    }

    /// A door opens.
    pub(super) fn grant(&mut self, door: &'static str, factor: Factor, open_for: Option<Ms>) {
        self.expected.push((door.to_owned(), factor));
        let egress = matches!(factor, Factor::Fire | Factor::Rex);
        let params = self.door(door).expect("only doors that are there open");
        let (strike, duty) = (millis(params.strike), params.duty);
        let opens = strike.max(open_for.unwrap_or(0).min(CAP));
        let now = self.now;
        let Some(pulse) = self.pulses.get_mut(door) else {
            let pulse = Pulse {
                began: now,
                egress,
                end: now + opens,
                fire: false,
                fire_held: false,
                hold: false,
            };
            self.pulses.insert(door, pulse);
            return;
        };
        if pulse.hold || pulse.fire_held {
            // whoever came in before is through
            pulse.egress &= now < pulse.end || pulse.fire_held;
            pulse.egress |= egress;
            pulse.end = pulse.end.max(now + opens);
            return;
        }
        pulse.egress |= egress;
        let longer = open_for.is_some_and(|time| now + time.min(CAP) > pulse.end);
        if now - pulse.began < JOIN && !egress && !longer {
            return;
        }
        pulse.end = pulse.end.max(now + opens);
        if duty == Duty::Pulse {
            pulse.end = pulse.end.min(pulse.began + CAP);
        }
    }

    /// A shorter strike time: the pulse that runs ends earlier.
    pub(super) fn shorten(&mut self, door: &str, strike: Ms) {
        let now = self.now;
        if let Some(pulse) = self.pulses.get_mut(door) {
            pulse.end = pulse.end.min(pulse.began + strike).max(now);
        }
        self.end_pulses();
    }

    /// A lockdown: who leaves goes on leaving.
    pub(super) fn shut(&mut self, door: &str) {
        self.end_hold(door);
        if door == "front" {
            (self.hold.by_command, self.hold.by_schedule) = (None, false);
        }
        if self.pulses.get(door).is_some_and(|pulse| !pulse.egress) {
            self.rest(door, self.now);
        }
    }

    fn end_hold(&mut self, door: &str) {
        let Some(pulse) = self.pulses.get_mut(door).filter(|pulse| pulse.hold) else {
            return;
        };
        pulse.hold = false;
        if pulse.end <= self.now && !pulse.fire_held {
            self.rest(door, self.now);
        }
    }

    fn begin_hold(&mut self, factor: Factor) {
        self.expected.push(("front".to_owned(), factor));
        self.firsts.remove("front");
        let now = self.now;
        let pulse = self.pulses.entry("front").or_insert(Pulse {
            began: now,
            egress: false,
            end: now,
            fire: false,
            fire_held: false,
            hold: true,
        });
        pulse.hold = true;
    }

    fn may_be_held(&self) -> bool {
        self.door("front")
            .is_some_and(|door| door.hold != When::Never || door.hold_limit.is_some())
    }

    /// Another file: what it does not want any more ends.
    pub(super) fn reload_hold(&mut self) {
        if self.door("front").is_none_or(|door| door.hold_limit.is_none()) {
            self.hold.by_command = None;
        }
        if !self.may_be_held() {
            self.hold = Hold::default();
        }
        if self.hold.by_command.is_none() && !self.hold.by_schedule {
            self.end_hold("front");
        }
    }

    /// What the schedule of `front` wants at this moment, and whether a command is over.
    pub(super) fn look_at_hold(&mut self) {
        let when = self.door("front").map_or(When::Never, |door| door.hold.clone());
        let wanted = matches!(when, When::In(_)) && self.in_force(&when) == Some(true);
        if !wanted {
            self.hold.ended = false;
            self.hold.by_schedule = false;
        }
        if self.hold.by_command.is_some_and(|until| self.now >= until) {
            self.hold.by_command = None;
        }
        if !self.hold.by_schedule && self.hold.by_command.is_none() {
            self.end_hold("front");
        }
        let begins = wanted && !self.hold.by_schedule && !self.hold.ended && !self.is_locked_down("front");
        if begins && self.somebody_came() {
            self.did("held open by its schedule");
            self.hold.by_schedule = true;
            self.begin_hold(Factor::Schedule);
        }
    }

    /// Did somebody for whom the schedule waits come in today?
    fn somebody_came(&self) -> bool {
        let Some(group) = self.door("front").and_then(|door| door.hold_after.clone()) else {
            return true;
        };
        let today = self.day();
        let mut came = self.came.iter().filter(|(day, _)| *day == today);
        came.any(|(_, who)| self.is_in(who, group.as_str()))
    }

    /// A command holds `front` open.
    pub(crate) fn hold_by_command(&mut self, person: bool, factor: Factor, time: Ms) {
        let limit = self.door("front").and_then(|door| door.hold_limit).map(millis);
        let may = self.may_command(person) && limit.is_some_and(|limit| time <= limit);
        if may && !self.is_locked_down("front") {
            self.did("held open by a command");
            self.begin_hold(factor);
            let until = self.now + time;
            self.hold.by_command = Some(self.hold.by_command.unwrap_or(0).max(until));
        }
        self.look_at_hold();
    }

    /// A command ends whatever holds `front` open.
    pub(crate) fn end_hold_by_command(&mut self) {
        let when = self.door("front").map_or(When::Never, |door| door.hold.clone());
        let wanted = matches!(when, When::In(_)) && self.in_force(&when) == Some(true);
        self.hold = Hold {
            by_command: None,
            by_schedule: false,
            ended: wanted && self.may_be_held(),
        };
        self.end_hold("front");
        self.look_at_hold();
    }

    /// These people came in at a door.
    pub(super) fn arrives(&mut self, door: &'static str, came: &[&'static str]) {
        let after = self.door(door).and_then(|door| door.hold_after.clone());
        let today = self.day();
        for who in came {
            self.hosts.entry(door).or_default().push((self.now, who));
            if let Some(group) = &after
                && door == "front"
                && self.believed
                && self.is_in(who, group.as_str())
            {
                self.came.push((today, who));
            }
        }
    }

    /// These people went out: they bring nobody in.
    pub(super) fn departs(&mut self, went: &[&'static str]) {
        for hosts in self.hosts.values_mut() {
            hosts.retain(|(_, who)| !went.contains(who));
        }
    }

    /// Fire opens every door until somebody resets the alarm, whatever else is the matter.
    pub(crate) fn fire(&mut self, active: bool) {
        if active && !self.fire && !std::mem::replace(&mut self.alarm, true) {
            self.burn();
        }
        self.fire = active;
        self.look_at_fire();
        self.look_at_hold();
    }

    /// Each door is to open for fire at once.
    pub(super) fn burn(&mut self) {
        self.burns = DOORS.iter().map(|door| (*door, self.now)).collect();
    }

    /// Opens what is to open for fire by now.
    pub(super) fn look_at_fire(&mut self) {
        for door in DOORS {
            let due = self.fire_due(door).is_some_and(|due| due <= self.now);
            if due && let Some(params) = self.door(door) {
                let bears = params.duty == Duty::Continuous;
                self.did("fire");
                self.grant(door, Factor::Fire, None);
                let pulse = self.pulses.get_mut(door).expect("it opened");
                (pulse.fire, pulse.fire_held) = (true, bears);
            }
        }
    }

    /// When a door is to be opened for fire, if it is not open for it.
    pub(super) fn fire_due(&self, door: &str) -> Option<Ms> {
        let open = self.pulses.get(door).is_some_and(|pulse| pulse.fire);
        let burns = self.alarm && !open && self.door(door).is_some();
        burns.then(|| self.burns.get(door).copied()).flatten()
    }

    /// Somebody says that the fire is over.
    pub(crate) fn reset_fire(&mut self, person: bool) {
        if self.fire || !self.may_shut(person) || !std::mem::replace(&mut self.alarm, false) {
            return;
        }
        self.did("fire was reset");
        for pulse in self.pulses.values_mut() {
            (pulse.fire, pulse.fire_held) = (false, false);
        }
        self.end_pulses();
        self.look_at_hold();
    }

    /// Nobody who wants out is refused.
    pub(crate) fn rex(&mut self, door: &'static str) {
        if self.door(door).is_some() {
            self.did("exit");
            self.grant(door, Factor::Rex, None);
        }
        self.look_at_hold();
    }
}
