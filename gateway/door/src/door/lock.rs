//! The lock: Grants, the pulse, and what the guard says.

use std::time::Duration;

use gateway_access::{Grant, GrantParts};
use gateway_core::{DoorEvent, Factor, InputId, Instant, OutputId, Subject};

use super::fire::LEASE;
use super::{Contact, Door};
use crate::io::{GuardReport, Output, ReleaseCause};
use crate::params::{Duty, LockKind, LockOwner, MAX_PULSE};

/// A Grant this soon after the pulse began is the same wish, uttered by two: it changes nothing.
pub const JOIN: Duration = Duration::from_secs(1);
/// How long the guard may take to say that an output rests, from the time it had to.
pub const RELEASE_LIMIT: Duration = Duration::from_secs(1);
/// Pause before egress is asked for again when the guard did not take it.
pub(super) const EGRESS_RETRY: Duration = Duration::from_millis(100);
/// How often egress is asked for again in a row; then once more with each guard that comes.
pub(super) const EGRESS_TRIES: u8 = 5;
/// Grants at the guard at one time. Egress gets one more each time, the oldest is forgotten for it.
const MAX_LEASES: usize = 16;

/// The time line of one pulse, whatever the number of Grants it was made of.
#[derive(Debug)]
pub(super) struct Pulse {
    pub(super) began: Instant,
    pub(super) end: Instant,
    /// Made or joined by an exit or by fire: a lockdown does not end it.
    pub(super) egress: bool,
    /// Made or joined by fire: it is not shortened by the contact.
    pub(super) fire: bool,
    /// It goes on for fire until the alarm is reset, whatever `end` and `hold` say.
    pub(super) fire_held: bool,
    /// Until when the door is held open at the latest, whatever `end` says.
    pub(super) hold: Option<Instant>,
    pub(super) opened: bool,
    /// The missing confirmation was reported.
    pub(super) overdue: bool,
    /// Release was asked for, and must be confirmed until.
    pub(super) releasing: Option<Instant>,
}

impl Pulse {
    /// For how long the output is to stay energised from now.
    pub(super) fn left(&self, now: Instant) -> Duration {
        if self.fire_held {
            return LEASE;
        }
        self.hold.map_or(self.end, |hold| hold.max(self.end)).since(now)
    }
}

#[derive(Debug)]
pub(super) struct Lease {
    egress: Option<Wish>,
    energised: bool,
}

impl Lease {
    /// Is it one of fire that the guard has not answered?
    pub(super) fn asks_for_fire(&self) -> bool {
        !self.energised
            && self
                .egress
                .as_ref()
                .is_some_and(|wish| wish.egress == Egress::Fire)
    }
}

/// Who wants to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Egress {
    Fire,
    Rex(InputId),
}

/// Somebody wants to leave.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    egress: Egress,
    since: Instant,
}

/// A wish that the guard did not fulfil.
#[derive(Debug)]
pub(super) struct Retry {
    /// The decision was asked for it again, and its Grant has not come yet.
    pub(super) asked: bool,
    pub(super) at: Option<Instant>,
    left: u8,
    since: Instant,
}

impl Door {
    pub(super) fn on_grant(&mut self, now: Instant, grant: Grant) {
        let parts = grant.parts().clone();
        let verdict = self.accepts(now, &parts);
        let opens_for = self.opens_for(&parts);
        if let (Ok(Some(_)), Some(Egress::Rex(input))) = (&verdict, egress_of(&parts)) {
            self.retries.remove(&input);
        }
        let event = match &verdict {
            Err(reason) => DoorEvent::Denied {
                factor: parts.factor,
                reason: reason.clone(),
                subject: parts.subject,
            },
            Ok(joins) => DoorEvent::Granted {
                factor: parts.factor,
                grant: parts.id,
                rule: joins.map_or_else(|| parts.rule.clone(), |why| format!("{}; {why}", parts.rule)),
                subject: parts.subject,
            },
        };
        self.outputs.push_back(Output::Event {
            event,
            ring: parts.ring,
        });
        if let Some(pulse) = self.pulse.as_mut().filter(|_| verdict.is_ok()) {
            if pulse.hold.is_some() && !pulse.fire_held && now >= pulse.end {
                // those of before are through
                (pulse.egress, pulse.fire) = (false, false);
            }
            pulse.egress |= is_egress(parts.factor);
            if (pulse.hold.is_some() || pulse.fire_held) && parts.hold.is_none() {
                // should it be held open no longer in the next moment, he has his time
                pulse.end = pulse.end.max(now + opens_for);
            }
        }
        if verdict == Ok(None) && parts.hold.is_some() {
            self.hold(now, grant);
        } else if verdict == Ok(None) {
            // Followers of a pulse do not take its story over from the ring that began it.
            if self.running().is_none() || self.ring.is_none() {
                self.ring = parts.ring;
            }
            self.operate(now, grant);
        }
    }

    pub(super) fn running(&self) -> Option<&Pulse> {
        self.pulse.as_ref().filter(|pulse| pulse.releasing.is_none())
    }

    /// Is the Grant good for this door at this moment? `Some` says why there is nothing to operate for it.
    fn accepts(&self, now: Instant, parts: &GrantParts) -> Result<Option<&'static str>, String> {
        let egress = is_egress(parts.factor);
        if parts.output != self.params.output {
            return Err(format!("the permission is for output {}", parts.output));
        }
        if parts.generation != self.params.generation {
            return Err(format!(
                "the permission is of configuration generation {}, in force is {}",
                parts.generation, self.params.generation
            ));
        }
        if now >= parts.deadline {
            return Err("the permission came too late to be used".to_owned());
        }
        if parts.hold.is_some() {
            if !self.params.may_be_held() {
                return Err(
                    "this door cannot be held open: its output is not made for continuous duty".to_owned(),
                );
            }
            return if self.leases.len() >= MAX_LEASES {
                Err("the guard does not answer".to_owned())
            } else {
                Ok(None)
            };
        }
        if parts.factor != Factor::Fire && self.running().is_some_and(|pulse| pulse.fire_held) {
            return Ok(Some("the door is open for fire"));
        }
        if self.params.owner == LockOwner::Panel && !self.panel_may_open && !egress {
            return Err("the panel cannot open at this moment".to_owned());
        }
        if !egress
            && let Some(hold) = self.held_until()
            && hold >= now + self.opens_for(parts)
        {
            return Ok(Some("the door is held open"));
        }
        let step = self.params.lock == LockKind::GateStep;
        // Who needs more time than the one before gets it.
        let longer = |end| parts.open_for.is_some_and(|time| now + time.min(MAX_PULSE) > end);
        if let Some(pulse) = self.running()
            && now.since(pulse.began) < JOIN
            && (step || !(egress || longer(pulse.end)))
        {
            return Ok(Some("joins the running pulse"));
        }
        // Also where the contact says that it is shut: a drive warns for seconds before it moves, and a leaf shakes as it begins to.
        if step && now < self.moving_until() {
            return if egress {
                Ok(Some("the gate moves already"))
            } else {
                Err("the gate moves: another pulse would stop or turn it".to_owned())
            };
        }
        // A contact may be broken, and must not keep anybody in.
        if step && !egress {
            match self.contact {
                Contact::Closed => {}
                Contact::Open => return Err("the gate is open: another pulse would shut it".to_owned()),
                Contact::Unknown => {
                    return Err(
                        "nobody can tell whether the gate is open: its contact is not read".to_owned(),
                    );
                }
            }
        }
        if self.leases.len() >= MAX_LEASES && !egress {
            return Err("the guard does not answer".to_owned());
        }
        Ok(None)
    }

    /// Until when a gate may move, by a step of ours or by one of before we were there.
    pub(super) fn moving_until(&self) -> Instant {
        self.moves_until.max(self.unseen_until)
    }

    /// How long somebody's opening lasts.
    fn opens_for(&self, parts: &GrantParts) -> Duration {
        let longer = parts.open_for.unwrap_or_default().min(MAX_PULSE);
        self.params.strike.max(longer)
    }

    /// Notes a Grant that the guard gets.
    pub(super) fn lease(&mut self, id: u64, egress: Option<Wish>) {
        if self.leases.len() >= MAX_LEASES {
            self.leases.pop_first();
        }
        let energised = false;
        self.leases.insert(id, Lease { egress, energised });
    }

    fn operate(&mut self, now: Instant, grant: Grant) {
        let parts = grant.parts();
        let fire = parts.factor == Factor::Fire;
        let egress = egress_of(parts).map(|egress| Wish {
            since: self.wished_since(now, &egress),
            egress,
        });
        let (id, factor) = (parts.id, parts.factor);
        let fire_held = fire && self.params.may_be_held();
        let strike = self.opens_for(parts);
        self.lease(id, egress);
        let pulse = match &mut self.pulse {
            Some(pulse) if pulse.releasing.is_none() => {
                let cap = match self.params.duty {
                    // who comes later takes nothing from the time of who came before
                    Duty::Continuous => pulse.end.max(now + strike),
                    Duty::Pulse => pulse.began + MAX_PULSE,
                };
                pulse.end = pulse.end.max(now + strike).min(cap);
                pulse.fire |= fire;
                pulse.fire_held |= fire_held;
                pulse.left(now)
            }
            pulse => {
                if matches!(self.params.lock, LockKind::GateOpen | LockKind::GateStep) {
                    self.moves_until = now + self.params.travel;
                }
                let pulse = pulse.insert(Pulse {
                    began: now,
                    egress: is_egress(factor),
                    end: now + strike,
                    fire,
                    fire_held,
                    hold: None,
                    opened: self.contact == Contact::Open,
                    overdue: false,
                    releasing: None,
                });
                pulse.left(now)
            }
        };
        self.outputs.push_back(Output::Operate { grant, pulse });
    }

    pub(super) fn on_guard(&mut self, now: Instant, report: GuardReport) {
        match report {
            GuardReport::Energised { grant } => self.on_energised(now, grant),
            GuardReport::Failed {
                grant: Some(grant),
                text,
            } => {
                if self.leases.contains_key(&grant) && !self.coil_on {
                    // Nothing was pressed, so no gate moves for it.
                    self.moves_until = Instant::ZERO;
                }
                self.on_failed(now, grant, text);
            }
            GuardReport::Failed { grant: None, text } => self.guard_gone(now, Some(text)),
            GuardReport::MayHaveOpened { grant, text } => {
                if self.leases.contains_key(&grant) {
                    // Who opens the door after it did not force it, and the panel was not asked by somebody else.
                    self.shunt_for(now, self.params.settle);
                    self.sense.may_be_pressed(now);
                }
                self.on_failed(now, grant, text);
            }
            GuardReport::Restarts => self.guard_gone(now, None),
            GuardReport::Released { cause, grant } => {
                let lease = self.leases.remove(&grant);
                let Some(lease) = lease.filter(|_| cause != ReleaseCause::Superseded) else {
                    return;
                };
                let held = self.leases.values().any(|lease| lease.energised);
                let was_on = self.coil_on;
                self.coil_on = held;
                // a pulse that the guard lost goes on nowhere, whoever it was for
                let unserved = match cause {
                    ReleaseCause::Guard => !lease.energised,
                    ReleaseCause::Restart => !lease.energised || self.is_cut(now),
                    ReleaseCause::Asked | ReleaseCause::PulseEnd | ReleaseCause::Superseded => false,
                };
                self.after_lease(now);
                if unserved {
                    self.ask_again(now, lease.egress);
                }
                if cause == ReleaseCause::Guard && !lease.energised {
                    if !held {
                        self.moves_until = Instant::ZERO;
                    }
                    self.lock_fault("the relay guard let go before the output was energised".to_owned());
                }
                if was_on && !held {
                    let why = match cause {
                        ReleaseCause::Asked => self.asked,
                        ReleaseCause::Guard | ReleaseCause::Restart | ReleaseCause::Superseded => "guard",
                        ReleaseCause::PulseEnd => "time",
                    };
                    self.relocked(now, why);
                }
            }
        }
    }

    fn on_failed(&mut self, now: Instant, grant: u64, text: String) {
        let Some(lease) = self.leases.remove(&grant) else {
            return;
        };
        self.after_lease(now);
        self.ask_again(now, lease.egress);
        self.lock_fault(text);
        // A Grant that was to take over and failed leaves nobody who holds the output.
        if self.leases.is_empty() && std::mem::take(&mut self.coil_on) {
            self.relocked(now, "guard");
        }
    }

    /// It has let go: it releases everything as its last act. `fault` if nobody wanted it.
    fn guard_gone(&mut self, now: Instant, fault: Option<String>) {
        let cut = fault.is_none() && self.is_cut(now);
        let leases = std::mem::take(&mut self.leases);
        let was_on = std::mem::take(&mut self.coil_on);
        self.after_lease(now);
        for lease in leases.into_values() {
            if cut || !lease.energised {
                self.ask_again(now, lease.egress);
            }
        }
        if let Some(text) = fault {
            self.lock_fault(text);
        }
        if was_on {
            self.relocked(now, "guard");
        }
    }

    /// A pulse that ends now ends before its time: whoever wants out has not had all of it.
    fn is_cut(&self, now: Instant) -> bool {
        self.running().is_some_and(|pulse| now < pulse.end)
    }

    fn on_energised(&mut self, now: Instant, grant: u64) {
        let Some(lease) = self.leases.get_mut(&grant) else {
            let output = self.params.output.clone();
            self.lock_fault(format!(
                "output {output} was energised for permission {grant}, which this door does not know; it is released"
            ));
            self.outputs.push_back(Output::Release { output });
            return;
        };
        lease.energised = true;
        match lease.egress.as_ref().map(|wish| &wish.egress) {
            // it opens for as long as any exit would
            Some(Egress::Fire) => {
                self.retries.clear();
                self.fire_taken();
            }
            Some(Egress::Rex(_)) => self.retries.clear(),
            None => {}
        }
        self.output_answers();
        if !std::mem::replace(&mut self.coil_on, true) {
            let left = self
                .pulse
                .as_ref()
                .map_or(Duration::ZERO, |pulse| pulse.left(now));
            let began = self
                .pulse
                .as_ref()
                .map_or(Duration::ZERO, |pulse| now.since(pulse.began));
            let pulse_ms = u64::try_from((began + left).as_millis()).unwrap_or(u64::MAX);
            self.event(DoorEvent::Unlocked { grant, pulse_ms });
            self.sense.pressed();
        }
    }

    /// A lease is over: without any, the pulse is, too.
    fn after_lease(&mut self, now: Instant) {
        if self.leases.is_empty()
            && let Some(pulse) = self.pulse.take()
        {
            self.fire_rests(now, &pulse);
            if pulse.hold.is_some() {
                self.hold_ended(now, "guard");
            }
        }
    }

    fn relocked(&mut self, now: Instant, why: &str) {
        // Who pulled the door at the last moment still gets through.
        self.shunt_for(now, self.params.settle);
        self.event(DoorEvent::Relocked { why: why.to_owned() });
        self.sense.let_go(now);
    }

    /// The output answers: what was wrong with it is over. What the lock sense found is not.
    fn output_answers(&mut self) {
        if !self.sense.is_faulty() {
            self.fault = None;
        }
    }

    pub(super) fn lock_fault(&mut self, text: String) {
        self.sense.forget_fault();
        self.fault = Some(text.clone());
        self.event(DoorEvent::LockFault { text });
    }

    /// Since when somebody wants out for whom a Grant has come: one that was asked for again is no new wish.
    fn wished_since(&mut self, now: Instant, egress: &Egress) -> Instant {
        let Egress::Rex(input) = egress else { return now };
        if let Some(retry) = self.retries.get_mut(input).filter(|retry| retry.asked) {
            retry.asked = false;
            return retry.since;
        }
        self.retries.remove(input);
        now
    }

    /// Utters wishes again when their pause is over. An exit that was pressed longer ago than the door would have
    /// been open for it is nobody's wish any more.
    pub(super) fn retry_exits(&mut self, now: Instant) {
        let strike = self.params.strike;
        self.retries.retain(|input, retry| {
            if retry.at.is_none_or(|at| now < at) {
                return true;
            }
            if now.since(retry.since) >= strike {
                return false;
            }
            (retry.at, retry.asked) = (None, true);
            let input = input.clone();
            self.outputs.push_back(Output::RequestExit { input });
            true
        });
    }

    /// There is a guard again: what the one before did not do for those who want out is asked for at once.
    pub(super) fn on_guard_up(&mut self, now: Instant) {
        // it rests, too, and what was wrong is on record
        self.output_answers();
        let wishes = self.leases.values().filter_map(|lease| lease.egress.as_ref());
        let asked: Vec<InputId> = wishes
            .filter_map(|wish| match &wish.egress {
                Egress::Fire => None,
                Egress::Rex(input) => Some(input.clone()),
            })
            .collect();
        for (input, retry) in &mut self.retries {
            if !asked.contains(input) {
                (retry.at, retry.left) = (Some(now), EGRESS_TRIES);
            }
        }
        self.retry_exits(now);
        self.fire_at_once(now);
    }

    /// Nobody is kept in because an output was busy or a guard restarted: the wish is uttered again.
    fn ask_again(&mut self, now: Instant, wish: Option<Wish>) {
        let Some(Wish { egress, since }) = wish else {
            return;
        };
        let Egress::Rex(input) = egress else {
            return self.fire_failed(now);
        };
        let left = self.retries.get(&input).map_or(EGRESS_TRIES, |retry| retry.left);
        let retry = Retry {
            asked: false,
            at: (left > 0).then(|| now + EGRESS_RETRY),
            left: left.saturating_sub(1),
            since,
        };
        // one exit stands for all of them
        self.retries.clear();
        self.retries.insert(input, retry);
    }

    pub(super) fn end_pulse(&mut self, now: Instant) {
        if self.held_until().is_some_and(|hold| now >= hold) {
            self.end_hold(now, "time");
        }
        let Some(pulse) = &mut self.pulse else { return };
        match pulse.releasing {
            None if now >= pulse.end && pulse.hold.is_none() && !pulse.fire_held => self.release(now, "time"),
            Some(limit) if now >= limit && !pulse.overdue => {
                pulse.overdue = true;
                if !self.coil_on {
                    self.leases.clear();
                    self.pulse = None;
                }
                let output = &self.params.output;
                let text = format!(
                    "the guard does not tell what output {output} does; look at the guard and at the lock"
                );
                self.lock_fault(text);
            }
            None | Some(_) => {}
        }
    }

    /// Ends the pulse.
    pub(super) fn release(&mut self, now: Instant, why: &'static str) {
        let Some(pulse) = &mut self.pulse else { return };
        if pulse.releasing.is_none() {
            pulse.releasing = Some(now + RELEASE_LIMIT);
            pulse.end = pulse.end.min(now);
            self.asked = why;
            let output = self.params.output.clone();
            self.outputs.push_back(Output::Release { output });
        }
    }

    pub(super) fn release_early(&mut self, now: Instant, why: &'static str) {
        match &mut self.pulse {
            // whoever is held open for is not the one who went through
            Some(pulse) if pulse.hold.is_some() => pulse.end = pulse.end.min(now),
            Some(pulse) if pulse.releasing.is_none() && !pulse.fire => self.release(now, why),
            Some(_) | None => {}
        }
    }

    /// Whoever was let in comes too late; who wants out does not.
    pub(super) fn release_entry(&mut self, now: Instant) {
        self.end_hold(now, "lockdown");
        if self.running().is_some_and(|pulse| !pulse.egress) {
            self.release(now, "lockdown");
        }
    }

    /// The output is no longer ours.
    pub(super) fn leave(&mut self, output: OutputId) {
        self.outputs.push_back(Output::Release { output });
        self.leases.clear();
        self.sense.forget_press();
        if self.pulse.take().is_some_and(|pulse| pulse.hold.is_some()) {
            self.event(DoorEvent::HoldEnded {
                why: "config".to_owned(),
            });
        }
        if std::mem::take(&mut self.coil_on) {
            self.event(DoorEvent::Relocked {
                why: "config".to_owned(),
            });
        }
    }
}

/// Who wants to leave by a Grant, if anybody does.
fn egress_of(parts: &GrantParts) -> Option<Egress> {
    match &parts.subject {
        _ if parts.factor == Factor::Fire => Some(Egress::Fire),
        Subject::Input(input) if parts.factor == Factor::Rex => Some(Egress::Rex(input.clone())),
        Subject::Contact(_)
        | Subject::Credential(_)
        | Subject::Input(_)
        | Subject::Integration(_)
        | Subject::Person(_)
        | Subject::Rule(_)
        | Subject::Schedule(_)
        | Subject::Unknown
        | Subject::User(_) => None,
    }
}

const fn is_egress(factor: Factor) -> bool {
    match factor {
        Factor::Fire | Factor::Rex => true,
        Factor::Api
        | Factor::Button
        | Factor::ByPanel
        | Factor::Caller
        | Factor::Card
        | Factor::Code
        | Factor::Digits
        | Factor::Local
        | Factor::Mqtt
        | Factor::Rule
        | Factor::Schedule
        | Factor::Web => false,
    }
}
