//! Alarms: security is called, list after list, until somebody confirms by a code or a command.
//!
//! A round in which nobody could be reached at all, as when the PBX is away, is none of its rounds: all are called again, and at
//! once when an account registers.
//!
//! An alarm opens nothing, and a code that confirms one opens nothing. Raised it goes on until it is confirmed, also
//! across restarts; calls begin anew then. Whoever answers and does not confirm (an answering machine, for one) makes
//! room for the next.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_access::Tried;
use gateway_call::Outcome;
use gateway_core::{
    AccountState, AlarmEvent, AlarmId, AlarmState, AlarmView, Cause, Event, Factor, InputId, Instant, Origin,
    Refusal, RingId, Subject, Tone,
};

use super::calls::MAX_CALLS;
use super::digits::dialled_by;
use super::{Now, Site};
use crate::io::KeptAlarm;
use crate::levels::Change;
use crate::params::{AlarmParams, ListParams, SiteParams, TargetParams};

/// Wrong codes in a call, of which the last ends it.
const TRIES: u32 = 3;
/// A half-typed code is forgotten after this.
const TYPED: Duration = Duration::from_secs(5);
/// Longest entry.
const LONGEST: usize = 8;
/// Who has confirmed hears it before the call ends.
const GOODBYE: Duration = Duration::from_secs(2);
/// When too many calls go on, it is tried again after this.
const RETRY: Duration = Duration::from_secs(5);
/// Longest time between two rounds in which nobody is reached, unless the site file wants a longer one.
const AWAY: Duration = Duration::from_secs(15 * 60);

/// All alarms that go on.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    /// Calls of those who confirmed, with when they end.
    goodbyes: Vec<(RingId, Instant)>,
    raised: BTreeMap<AlarmId, Alarm>,
    revision: u64,
}

/// One of them.
#[derive(Debug)]
struct Alarm {
    /// Rounds in a row in which nobody was reached.
    away: u32,
    /// Who of the list is still to be called.
    left: Vec<TargetParams>,
    /// Which list, by its place in the file.
    list: usize,
    /// Somebody was reached in this round.
    reached: bool,
    ring: RingId,
    /// Which round, from 1.
    round: u32,
    simulated: bool,
    state: State,
    typed: String,
    typed_at: Instant,
    /// Wrong codes in this call.
    wrong: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// This call goes on.
    Calling(RingId),
    /// It is over, and its input is active still: that raises it no more.
    Confirmed,
    /// All rounds are over.
    Unconfirmed,
    /// Somebody is called then.
    Waiting(Instant),
}

impl Alarm {
    const fn new(now: Instant, ring: RingId, simulated: bool) -> Self {
        Self {
            away: 0,
            left: Vec::new(),
            list: 0,
            reached: false,
            ring,
            round: 1,
            simulated,
            state: State::Waiting(now),
            typed: String::new(),
            typed_at: now,
            wrong: 0,
        }
    }
}

impl Site {
    /// Alarms of an earlier life. Give them before [`Input::Ready`](crate::Input::Ready).
    pub fn restore_alarms(&mut self, kept: Vec<KeptAlarm>, now: Instant) {
        for kept in kept {
            let mut alarm = Alarm::new(now, kept.ring, kept.simulated);
            if kept.confirmed {
                alarm.state = State::Confirmed;
            }
            if self.params.alarms.contains_key(&kept.alarm) {
                self.alarms.raised.insert(kept.alarm, alarm);
            }
        }
    }

    /// The alarms that go on, to be kept across restarts whenever [`Self::alarms_revision`] has changed.
    #[must_use]
    pub fn export_alarms(&self) -> Vec<KeptAlarm> {
        let kept = |(id, alarm): (&AlarmId, &Alarm)| KeptAlarm {
            alarm: id.clone(),
            confirmed: alarm.state == State::Confirmed,
            ring: alarm.ring,
            simulated: alarm.simulated,
        };
        self.alarms.raised.iter().map(kept).collect()
    }

    /// Grows with each change of the alarms that go on.
    #[must_use]
    pub const fn alarms_revision(&self) -> u64 {
        self.alarms.revision
    }

    /// Is it raised, and not confirmed?
    pub(super) fn is_raised(&self, id: &AlarmId) -> bool {
        let alarm = self.alarms.raised.get(id);
        alarm.is_some_and(|alarm| alarm.state != State::Confirmed)
    }

    pub(super) fn alarm_views(&self) -> Vec<AlarmView> {
        let view = |(id, params): (&AlarmId, &AlarmParams)| {
            let alarm = self.alarms.raised.get(id);
            AlarmView {
                id: id.clone(),
                name: params.name.clone(),
                ring: alarm.map(|alarm| alarm.ring),
                state: alarm.map_or(AlarmState::Rest, |alarm| match alarm.state {
                    State::Calling(_) => AlarmState::Calling,
                    State::Confirmed => AlarmState::Confirmed,
                    State::Unconfirmed => AlarmState::Unconfirmed,
                    State::Waiting(_) => AlarmState::Waiting,
                }),
            }
        };
        self.params.alarms.iter().map(view).collect()
    }

    pub(super) fn alarm_faults(&self) -> Vec<(AlarmId, String)> {
        let ids = self.alarms.raised.keys().filter(|id| self.is_raised(id));
        let text = |id: &AlarmId| {
            let name = self
                .params
                .alarms
                .get(id)
                .map_or("", |params| params.name.as_str());
            format!("{name}: nobody has confirmed this alarm yet")
        };
        ids.map(|id| (id.clone(), text(id))).collect()
    }

    /// The input of an alarm changed. It counts at its first reading, too, and however late: it opens nothing.
    pub(super) fn alarm_changed(&mut self, now: Now, id: AlarmId, input: &InputId, change: Change) {
        if change.active {
            let _ = self.raise(now, &id, Subject::Input(input.clone()), change.simulated);
            return;
        }
        let over = |alarm: &Alarm| alarm.state == State::Confirmed;
        if self.alarms.raised.get(&id).is_some_and(over) {
            self.alarms.raised.remove(&id);
            self.alarms.revision += 1;
        }
    }

    /// Raises an alarm. One that goes on is called for anew only if nobody is called any more.
    pub(super) fn raise(
        &mut self,
        now: Now,
        id: &AlarmId,
        subject: Subject,
        simulated: bool,
    ) -> Result<(), String> {
        if !self.params.alarms.contains_key(id) {
            return Err(format!("there is no alarm {id:?}"));
        }
        match self.alarms.raised.get_mut(id) {
            // another cause while the input is still active is another alarm
            Some(alarm) if alarm.state == State::Confirmed && matches!(subject, Subject::Input(_)) => {
                return Ok(());
            }
            Some(alarm) if alarm.state == State::Unconfirmed => {
                (alarm.state, alarm.round, alarm.list) = (State::Waiting(now.mono), 1, 0);
                (alarm.away, alarm.reached) = (0, false);
                alarm.left.clear();
                return Ok(());
            }
            Some(alarm) if alarm.state != State::Confirmed => return Ok(()),
            Some(_) | None => {}
        }
        let ring = self.new_ring(now);
        self.alarms
            .raised
            .insert(id.clone(), Alarm::new(now.mono, ring, simulated));
        self.alarms.revision += 1;
        self.alarm_did(now, id, AlarmEvent::Raised { subject });
        Ok(())
    }

    fn alarm_did(&mut self, now: Now, id: &AlarmId, event: AlarmEvent) {
        let Some(alarm) = self.alarms.raised.get(id) else {
            return;
        };
        let (ring, simulated) = (alarm.ring, alarm.simulated);
        self.record(now, Event::Alarm(id.clone(), event), Some(ring), simulated);
    }

    /// Another file: who is called may be others. A call that goes on ends then, and the next begins at once.
    pub(super) fn configure_alarms(&mut self, now: Now, old: &SiteParams) {
        let before = self.alarms.raised.len();
        let of = |params: &SiteParams, id: &AlarmId| -> Option<(AlarmParams, Vec<Option<ListParams>>)> {
            let alarm = params.alarms.get(id)?.clone();
            let lists = alarm.calls.iter().map(|list| params.lists.get(list).cloned());
            let lists = lists.collect();
            Some((alarm, lists))
        };
        let mut end = Vec::new();
        let (alarms, params) = (&mut self.alarms, &self.params);
        alarms.raised.retain(|id, alarm| {
            let stays = of(params, id);
            if stays != of(old, id) {
                if let State::Calling(ring) = alarm.state {
                    end.push(ring);
                    (alarm.state, alarm.list) = (State::Waiting(now.mono), 0);
                }
                alarm.left.clear();
            }
            stays.is_some()
        });
        if alarms.raised.len() != before {
            alarms.revision += 1;
        }
        for ring in end {
            self.cancel(now, ring, Cause::Released);
        }
        // an input that a new file makes that of an alarm, and that is active
        let inputs = self.params.alarms.iter();
        let active = inputs.filter_map(|(id, params)| {
            let input = params.input.as_ref()?;
            (self.levels.level(input) == Some(true)).then(|| (id.clone(), input.clone()))
        });
        let active: Vec<(AlarmId, InputId)> = active.collect();
        for (id, input) in active {
            let simulated = self.params.inputs.get(&input).is_some_and(|i| i.simulated);
            let _ = self.raise(now, &id, Subject::Input(input), simulated);
        }
    }

    /// An account has registered: whoever could not be reached perhaps can.
    pub(super) fn alarms_reach(&mut self, now: Now) {
        for alarm in self.alarms.raised.values_mut() {
            if alarm.away > 0 && matches!(alarm.state, State::Waiting(_)) {
                (alarm.away, alarm.state) = (0, State::Waiting(now.mono));
            }
        }
    }

    /// Calls who is due, and ends the calls of those who have confirmed.
    pub(super) fn look_at_alarms(&mut self, now: Now) {
        if !self.ready || self.stopping {
            return;
        }
        let (over, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.alarms.goodbyes)
            .into_iter()
            .partition(|(_, at)| now.mono >= *at);
        self.alarms.goodbyes = left;
        for (ring, _) in over {
            self.cancel(now, ring, Cause::Released);
        }
        let due = |alarm: &Alarm| matches!(alarm.state, State::Waiting(at) if now.mono >= at);
        let raised = self.alarms.raised.iter();
        let due: Vec<AlarmId> = raised
            .filter(|(_, alarm)| due(alarm))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            self.call_security(now, &id);
        }
    }

    /// When [`Self::look_at_alarms`] is due.
    pub(super) fn alarms_due(&self) -> Option<Instant> {
        if !self.ready || self.stopping {
            return None;
        }
        let waiting = self.alarms.raised.values().filter_map(|alarm| match alarm.state {
            State::Waiting(at) => Some(at),
            State::Calling(_) | State::Confirmed | State::Unconfirmed => None,
        });
        waiting
            .chain(self.alarms.goodbyes.iter().map(|(_, at)| *at))
            .min()
    }

    /// Calls those of the list who were not called yet, or the whole list.
    fn call_security(&mut self, now: Now, id: &AlarmId) {
        let Some(params) = self.params.alarms.get(id).cloned() else {
            return;
        };
        if self.calls.len() >= MAX_CALLS {
            if let Some(alarm) = self.alarms.raised.get_mut(id) {
                alarm.state = State::Waiting(now.mono + RETRY);
            }
            return;
        }
        let Some(alarm) = self.alarms.raised.get(id) else {
            return;
        };
        let (place, mut left, simulated) = (alarm.list, alarm.left.clone(), alarm.simulated);
        let name = params.calls.get(place).or(params.calls.first()).cloned();
        let found = name.and_then(|name| Some((self.params.lists.get(&name)?.clone(), name)));
        let Some((list, name)) = found else {
            // a file without lists is refused by the check
            return;
        };
        if left.is_empty() {
            let known = |target: &&TargetParams| self.is_known(target);
            left = list.targets.iter().filter(known).cloned().collect();
        }
        let Some(ring) = self.call_about(now, id, (&params, &list), &left, simulated) else {
            return;
        };
        let mut round = 1;
        if let Some(alarm) = self.alarms.raised.get_mut(id) {
            (alarm.left, alarm.state, alarm.wrong) = (left, State::Calling(ring), 0);
            alarm.typed.clear();
            round = u64::from(alarm.round);
        }
        let called = AlarmEvent::Called {
            call: ring,
            list: name,
            round,
        };
        self.alarm_did(now, id, called);
        self.run(now, ring);
    }

    /// A call about an alarm is over. Unless it was confirmed, who is next is called.
    pub(super) fn alarm_call_over(&mut self, now: Now, id: &AlarmId, ring: RingId, outcome: Outcome) {
        self.alarms.goodbyes.retain(|(of, _)| *of != ring);
        let answered_by = self.answered_by(ring);
        let Some(params) = self.params.alarms.get(id).cloned() else {
            return;
        };
        // a PBX that does not even refuse looks like phones that ring and ring
        let failed = |account| matches!(self.accounts.get(account), Some((AccountState::Failed, _)));
        let panel = self.params.panels.get(&params.panel);
        let away = outcome == Outcome::NoAnswer
            && panel.is_some_and(|panel| !panel.accounts.is_empty() && panel.accounts.iter().all(failed));
        let Some(alarm) = self
            .alarms
            .raised
            .get_mut(id)
            .filter(|alarm| alarm.state == State::Calling(ring))
        else {
            return;
        };
        alarm.state = State::Waiting(now.mono);
        alarm.reached |= outcome != Outcome::Unreachable && !away;
        if self.stopping {
            return;
        }
        let name = params.calls.get(alarm.list).or(params.calls.first()).cloned();
        let list = name.as_ref().and_then(|name| self.params.lists.get(name));
        match answered_by {
            // one after the other: those before were called; all at once: the others were told that somebody has it
            Some(place) if list.is_some_and(|list| list.parallel) => {
                if place < alarm.left.len() {
                    alarm.left.remove(place);
                }
            }
            Some(place) => alarm.left = alarm.left.split_off((place + 1).min(alarm.left.len())),
            None => alarm.left.clear(),
        }
        if !alarm.left.is_empty() {
            return;
        }
        let mut told = Vec::new();
        alarm.list += 1;
        if let Some(list) = name {
            let outcome = outcome.word().to_owned();
            told.push(AlarmEvent::Escalated { list, outcome });
        }
        if alarm.list >= params.calls.len() {
            alarm.list = 0;
            if std::mem::take(&mut alarm.reached) {
                (alarm.away, alarm.round) = (0, alarm.round.saturating_add(1));
            } else {
                alarm.away = alarm.away.saturating_add(1);
            }
            if let Some(times) = alarm.away.checked_sub(1) {
                let wait = params.again.saturating_mul(1 << times.min(10));
                alarm.state = State::Waiting(now.mono + wait.min(AWAY.max(params.again)));
            } else if alarm.round > params.rounds {
                alarm.state = State::Unconfirmed;
                let rounds = u64::from(params.rounds);
                told.push(AlarmEvent::Unconfirmed { rounds });
            } else {
                alarm.state = State::Waiting(now.mono + params.again);
            }
        }
        for event in told {
            self.alarm_did(now, id, event);
        }
    }

    /// A digit of somebody who answered: one that counts, by what holds for every call.
    pub(super) fn alarm_digit(
        &mut self,
        now: Now,
        id: &AlarmId,
        ring: RingId,
        (at, digit): (Instant, char),
        party: &str,
    ) {
        let code = self.params.alarms.get(id).map(|params| params.code.clone());
        // who is about to be hung up on has said enough
        let over = self.alarms.goodbyes.iter().any(|(of, _)| *of == ring);
        let alarm = self.alarms.raised.get_mut(id).filter(|_| !over);
        let alarm = alarm.filter(|alarm| alarm.state == State::Calling(ring));
        let (Some(code), Some(alarm)) = (code, alarm) else {
            return;
        };
        if at.since(alarm.typed_at) > TYPED {
            alarm.typed.clear();
        }
        alarm.typed_at = at;
        match digit {
            '*' => {
                alarm.typed.clear();
                return;
            }
            '#' => {}
            _ => alarm.typed.push(digit),
        }
        let right = alarm.typed == code.reveal();
        let ends = digit == '#' || alarm.typed.len() >= code.reveal().len().min(LONGEST);
        if !ends || alarm.typed.is_empty() {
            return;
        }
        alarm.typed.clear();
        let subject = Subject::Contact(party.to_owned());
        let Some(from) = self.calls.get(&ring).map(dialled_by) else {
            return;
        };
        let locked = match self.access.dialled(now.mono, &from, right) {
            Tried::Locked(locked) => Some(locked),
            Tried::Right => {
                self.confirmed(now, id, subject, Factor::Digits);
                self.tone_to(ring, Tone::Opening);
                self.alarms.goodbyes.push((ring, now.mono + GOODBYE));
                return;
            }
            Tried::Wrong(locked) => {
                let left = self.wrong_code(now, id, subject.clone());
                if locked.is_none() {
                    self.after_wrong_code(now, ring, left);
                    return;
                }
                locked
            }
        };
        let Some(locked) = locked else { return };
        let event = AlarmEvent::LockedOut {
            lock_s: locked.lock_s(),
            locks: locked.source.place(),
            subject,
            tries: u64::from(locked.failures),
        };
        self.alarm_did(now, id, event);
        // they hear why, and make room for the next
        self.tone_to(ring, Tone::LockedOut);
        self.alarms.goodbyes.push((ring, now.mono + GOODBYE));
    }

    /// Tells of a wrong code, and how many more this call may have.
    fn wrong_code(&mut self, now: Now, id: &AlarmId, subject: Subject) -> u32 {
        let Some(alarm) = self.alarms.raised.get_mut(id) else {
            return 0;
        };
        alarm.wrong += 1;
        let left = TRIES.saturating_sub(alarm.wrong);
        let wrong = AlarmEvent::WrongCode {
            left: u64::from(left),
            subject,
        };
        self.alarm_did(now, id, wrong);
        left
    }

    fn after_wrong_code(&mut self, now: Now, ring: RingId, left: u32) {
        if left == 0 {
            self.cancel(now, ring, Cause::Released);
        } else {
            self.tone_to(ring, Tone::Refused);
        }
    }

    /// Somebody confirms by a command.
    pub(super) fn command_confirm(
        &mut self,
        now: Now,
        id: &AlarmId,
        origin: Origin,
    ) -> Result<(), (Refusal, String)> {
        if !self.params.alarms.contains_key(id) {
            return Err((Refusal::Unknown, format!("there is no alarm {id:?}")));
        }
        if !self.is_raised(id) {
            return Err((Refusal::Unknown, format!("alarm {id} is not raised")));
        }
        let calling = self.alarms.raised.get(id).and_then(|alarm| match alarm.state {
            State::Calling(ring) => Some(ring),
            State::Confirmed | State::Unconfirmed | State::Waiting(_) => None,
        });
        self.confirmed(now, id, origin.subject, origin.factor);
        if let Some(ring) = calling {
            self.cancel(now, ring, Cause::Released);
        }
        Ok(())
    }

    fn confirmed(&mut self, now: Now, id: &AlarmId, subject: Subject, factor: Factor) {
        self.alarm_did(now, id, AlarmEvent::Confirmed { factor, subject });
        let input = self
            .params
            .alarms
            .get(id)
            .and_then(|params| params.input.as_ref());
        let active = input.is_some_and(|input| self.levels.level(input) == Some(true));
        self.alarms.revision += 1;
        if !active {
            self.alarms.raised.remove(id);
        } else if let Some(alarm) = self.alarms.raised.get_mut(id) {
            alarm.state = State::Confirmed;
        }
    }
}
