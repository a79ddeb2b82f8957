//! What digits in a call mean.

use gateway_access::{CodeFrom, DigitsFrom, Entry, OnJournalFault, Request};
use gateway_core::{DoorId, Instant, RingId};

use super::calls::Call;
use super::{Now, Site};
use crate::params::DoorParams;

impl Site {
    /// Whoever is refused whatever he shows must not learn from it what would be right: his tries do not count.
    pub(super) fn refuses_all(&self, door: &DoorId) -> bool {
        let refuses = |door: &DoorParams| door.on_journal_fault == OnJournalFault::Refuse;
        self.access.lockdown_of(door).is_some()
            || self.journal.is_err() && self.params.doors.get(door).is_some_and(refuses)
    }

    pub(super) fn digit(&mut self, now: Now, ring: RingId, at: Instant, digit: char, party: &str) {
        if let Some(alarm) = self.calls.get(&ring).and_then(|call| call.alarm.clone()) {
            self.alarm_digit(now, &alarm, ring, (at, digit), party);
            return;
        }
        let doors = self
            .calls
            .get(&ring)
            .map(|call| call.doors.clone())
            .unwrap_or_default();
        let doors: Vec<DoorId> = doors.into_iter().filter(|door| !self.refuses_all(door)).collect();
        let access = &self.access;
        let Some(call) = self.calls.get_mut(&ring) else {
            return;
        };
        // an entry that ends at its last key would tell that it is right
        let locked = access.is_dialler_locked(now.mono, &dialled_by(call));
        let caller = call.plan.caller();
        let may_open = !doors.is_empty();
        let entries = call.collector.push(at, digit, |dialled| {
            let mut doors = doors.iter();
            !locked
                && (doors.any(|door| access.is_code(door, CodeFrom::Call, dialled))
                    || may_open && caller.is_some_and(|peer| access.is_caller_pin(peer, dialled)))
        });
        for entry in entries {
            self.dialled(now, ring, entry);
        }
    }

    /// A complete code of a call: for the first door of the panel that it could open, else for the main one.
    pub(super) fn dialled(&mut self, now: Now, ring: RingId, entry: Entry) {
        let Some(call) = self.calls.get(&ring) else {
            return;
        };
        let digits = entry.digits.reveal();
        let context = self.context(now);
        let caller = call.plan.caller();
        let by_pin = |door: &&DoorId| {
            caller.is_some_and(|peer| self.access.is_caller_pin_at(&context, door, peer, digits))
        };
        let mut doors = call.doors.iter();
        let by_code = doors.find(|door| self.access.is_code(door, CodeFrom::Call, digits));
        let meant = by_code
            .or_else(|| call.doors.iter().find(by_pin))
            .or(call.doors.first())
            .cloned();
        let (Some(door), Some(_)) = (meant, call.winner()) else {
            return;
        };
        let winner = call.has_authority();
        let from = dialled_by(call);
        let injected = call.injected;
        let request = Request::Digits {
            at: entry.at,
            digits: entry.digits,
            door,
            from,
            ring: Some(ring),
            winner,
        };
        let opened = self.open(now, request, injected).ok();
        self.tell_dialler(now, ring, opened);
    }
}

/// Who presses keys in a call.
pub(super) fn dialled_by(call: &Call) -> DigitsFrom {
    let (account, peer) = call.talker().unwrap_or_default();
    if call.plan.caller().is_some() {
        return DigitsFrom::Caller { account, peer };
    }
    DigitsFrom::Called {
        account,
        listed: call.has_authority(),
        peer,
    }
}
