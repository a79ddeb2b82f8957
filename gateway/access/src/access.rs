//! The one decision.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::{
    CardFrame, CredentialId, DoorId, Factor, GroupId, Instant, PanelId, Peer, PersonId, RingId, Secret,
    Subject, Timestamp,
};

use crate::arrivals::Arrivals;
use crate::caller::CallerPattern;
use crate::card::tidy;
use crate::code::CodeIndex;
use crate::collector::KeyUse;
use crate::decision::{Decision, Denied, Explanation, Held, Reason};
use crate::directory::{Change, Directory};
use crate::grant::{Grant, GrantParts};
use crate::judge::{Allowed, Refused, Verdict, dialler};
use crate::lockout::{LockOut, LockOuts, Source, Tried};
use crate::number::{Asked, NumberPlan};
use crate::passback::{Passed, Positions};
use crate::policy::{Caller, CodeFrom, DoorPolicy, Policy};
use crate::request::{Context, DigitsFrom, Request};
use crate::schedule::InForce;
use crate::second::Firsts;
use crate::standing::Restraints;

/// Decides who may open what.
///
/// Egress (REX and fire) is decided here too, and never refused: neither a faulty journal nor a gateway that is
/// not ready, neither a lock-out nor an old timestamp, neither a schedule nor a doubtful clock, neither a lockdown nor
/// an interlock concerns it.
#[derive(Debug, Default)]
pub struct Access {
    pub(crate) arrivals: Arrivals,
    pub(crate) cards: BTreeMap<CardFrame, Vec<usize>>,
    /// Grows with each change of people and credentials.
    pub(crate) changes: u64,
    pub(crate) codes: CodeIndex,
    pub(crate) directory: Directory,
    pub(crate) doors: BTreeMap<DoorId, Arc<DoorPolicy>>,
    pub(crate) firsts: Firsts,
    last_grant: u64,
    pub(crate) locks: LockOuts,
    numbers: Option<NumberPlan>,
    pub(crate) policy: Policy,
    pub(crate) positions: Positions,
    pub(crate) restraints: Restraints,
    /// Panels at which who rings is let in, each until then.
    pub(crate) ring_to_open: BTreeMap<PanelId, Instant>,
}

impl Access {
    /// A decision over a policy. Nobody is locked out yet: [`restore_locks`](Self::restore_locks) first.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let mut access = Self::default();
        access.apply(policy);
        access
    }

    /// Takes another policy. Lock-outs and lockdowns stay.
    pub fn apply(&mut self, mut policy: Policy) {
        let doors = std::mem::take(&mut policy.doors);
        self.doors = doors.into_iter().map(|(id, door)| (id, Arc::new(door))).collect();
        self.codes = CodeIndex::new(policy.index_key, &policy.codes);
        self.cards = BTreeMap::new();
        for (at, card) in policy.cards.iter().enumerate() {
            if let Some(frame) = tidy(&card.frame) {
                self.cards.entry(frame).or_default().push(at);
            }
        }
        self.firsts.clear();
        self.arrivals.forget_hosts();
        self.policy = policy;
    }

    /// Decides. The only place that makes a [`Grant`].
    pub fn decide(&mut self, now: Instant, context: &Context, request: Request) -> Decision {
        let (door, factor, ring) = (request.door().clone(), request.factor(), request.ring());
        let (hold, comes_in, leaves) = (request.hold(), self.comes_in(&request), self.leaves(&request));
        let Some(at_door) = self.doors.get(&door).map(Arc::clone) else {
            return denied(door, factor, ring, Subject::Unknown, Reason::UnknownDoor);
        };
        let Verdict { result, source } = self.judge(now, context, &at_door, &request);
        match result {
            Ok(Allowed {
                first,
                moves,
                open_for,
                rule,
                subject,
                uses,
            }) => {
                if let Some(source) = source {
                    self.locks.right(&source);
                }
                if !matches!(factor, Factor::Fire | Factor::Rex) {
                    self.firsts.end(&door);
                }
                let alone = if let Subject::Person(person) = &subject {
                    Some(person)
                } else {
                    None
                };
                let people = || first.iter().chain(alone).cloned().collect::<Vec<PersonId>>();
                let came = if comes_in { people() } else { Vec::new() };
                let went = if leaves { people() } else { Vec::new() };
                let mut before = Vec::new();
                let hard = moves.as_ref().is_some_and(|moves| moves.hard);
                if let Some(moves) = moves {
                    let both = [Some(subject.clone()), first.map(Subject::Person)];
                    for who in both.into_iter().flatten() {
                        before.push(self.positions.place(who, moves.area.clone(), context.wall));
                    }
                    if let Some(area) = moves.area.filter(|_| moves.again) {
                        let (door, subject) = (door.clone(), subject.clone());
                        self.positions.pass(Passed { area, door, subject });
                    }
                }
                if let Some((credential, times)) = uses.clone() {
                    // It counts from here on, whatever becomes of it.
                    self.directory.apply(Change::Used { credential, times });
                }
                if uses.is_some() || hard {
                    return Decision::Held(Held {
                        before,
                        came,
                        changes: self.changes,
                        deadline: now + self.policy.limits.grant_life,
                        door,
                        factor,
                        generation: context.generation,
                        open_for,
                        ring,
                        rule,
                        subject,
                        uses,
                        went,
                    });
                }
                self.positions.note(before);
                self.note_arrival(now, context, &door, &came);
                self.arrivals.leave(&went);
                self.last_grant += 1;
                Decision::Granted(Grant::new(GrantParts {
                    deadline: now + self.policy.limits.grant_life,
                    door,
                    factor,
                    generation: context.generation,
                    hold,
                    id: self.last_grant,
                    open_for,
                    output: at_door.output.clone(),
                    ring,
                    rule,
                    subject,
                }))
            }
            Err(Refused { reason, subject }) => {
                let locked = source.and_then(|source| self.locks.wrong(now, &self.policy.limits, source));
                if let (Reason::SecondAwaited { way, within }, Subject::Person(person)) = (&reason, &subject)
                {
                    self.firsts
                        .wait(now, door.clone(), person.clone(), *within, way.clone());
                }
                Decision::Denied(Denied {
                    door,
                    factor,
                    locked,
                    reason,
                    ring,
                    subject,
                })
            }
        }
    }

    /// Lets go a permission whose use was kept. It opens if it is still in time, by the same configuration, the
    /// credential was not withdrawn meanwhile, and nobody it is for went another way meanwhile.
    pub fn release(&mut self, now: Instant, context: &Context, held: Held) -> Decision {
        let output = self.doors.get(&held.door).map(|door| door.output.clone());
        let reason = if output.is_none() {
            Some(Reason::UnknownDoor)
        } else if !context.ready {
            Some(Reason::NotReady)
        } else if context.generation != held.generation {
            Some(Reason::ConfigChanged)
        } else if now > held.deadline {
            Some(Reason::UseNotKept)
        } else if !self.positions.stand(&held.before) {
            Some(Reason::Moved)
        } else {
            self.locked_down(&held.door)
                .or_else(|| self.interlocked(&held.door))
                .or_else(|| self.withdrawn(now, context, &held))
        };
        let Held {
            before,
            came,
            door: id,
            factor,
            open_for,
            ring,
            rule,
            subject,
            generation,
            went,
            ..
        } = held;
        match (output, reason) {
            (Some(output), None) => {
                self.positions.note(before);
                self.note_arrival(now, context, &id, &came);
                self.arrivals.leave(&went);
                self.last_grant += 1;
                Decision::Granted(Grant::new(GrantParts {
                    deadline: now + self.policy.limits.grant_life,
                    door: id,
                    factor,
                    generation,
                    hold: None,
                    id: self.last_grant,
                    open_for,
                    output,
                    ring,
                    rule,
                    subject,
                }))
            }
            (_, reason) => {
                self.positions.go_back(before);
                denied(id, factor, ring, subject, reason.unwrap_or(Reason::UnknownDoor))
            }
        }
    }

    /// Gives up a permission whose use or position could not be kept. The use is spent: nobody knows what is on the
    /// medium; those who did not come in are where they were.
    pub fn give_up(&mut self, held: Held) -> Decision {
        self.positions.go_back(held.before);
        denied(
            held.door,
            held.factor,
            held.ring,
            held.subject,
            Reason::UseNotKept,
        )
    }

    /// Takes the people and credentials of the records, before the first decision.
    pub fn set_directory(&mut self, directory: Directory) {
        self.changes += 1;
        self.directory = directory;
    }

    /// Takes a change of people and credentials.
    pub fn change(&mut self, change: Change) {
        // the first of two, and a host, may just have lost the right to be one
        self.firsts.clear();
        self.arrivals.forget_hosts();
        self.changes += 1;
        match &change {
            Change::CredentialGone(id) => self.positions.forget(&Subject::Credential(id.clone())),
            Change::PersonGone(id) => self.positions.forget(&Subject::Person(id.clone())),
            Change::Credential(_) | Change::Person(_) | Change::PersonBarred(_) | Change::Used { .. } => {}
        }
        self.directory.apply(change);
    }

    /// People and credentials.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What [`decide`](Self::decide) would say of the request, and why. Nothing is counted, and no Grant comes of it.
    #[must_use]
    pub fn explain(&self, now: Instant, context: &Context, request: &Request) -> Explanation {
        let Some(door) = self.doors.get(request.door()) else {
            return Explanation {
                result: Err(Reason::UnknownDoor),
                subject: Subject::Unknown,
            };
        };
        match self.judge(now, context, door, request).result {
            Ok(Allowed { rule, subject, .. }) => Explanation {
                result: Ok(rule),
                subject,
            },
            Err(Refused { reason, subject }) => Explanation {
                result: Err(reason),
                subject,
            },
        }
    }

    /// Is this source locked out? While it is, nobody may hear from the end of an entry whether it was right.
    #[must_use]
    pub fn is_locked(&self, now: Instant, source: &Source) -> bool {
        self.locks.left(now, &self.policy.limits, source).is_some()
    }

    /// As [`is_locked`](Self::is_locked), for digits in a call.
    #[must_use]
    pub fn is_dialler_locked(&self, now: Instant, from: &DigitsFrom) -> bool {
        self.is_locked(now, &dialler(from))
    }

    /// Counts digits in a call that are meant for something else than a door, such as an alarm: who guesses there is locked out as at
    /// a door, and who is locked out at a door is so there. It opens nothing.
    pub fn dialled(&mut self, now: Instant, from: &DigitsFrom, right: bool) -> Tried {
        let source = dialler(from);
        let limits = &self.policy.limits;
        if let Some(locked) = self.locks.locked(now, limits, &source) {
            return Tried::Locked(locked);
        }
        if right {
            self.locks.right(&source);
            return Tried::Right;
        }
        Tried::Wrong(self.locks.wrong(now, limits, source))
    }

    /// Could this text open the door from there, if everything else is right? For
    /// [`DigitCollector::push`](crate::DigitCollector::push); decides nothing and counts nothing.
    #[must_use]
    pub fn is_code(&self, door: &DoorId, from: CodeFrom, digits: &str) -> bool {
        let digits = Secret::new(digits);
        self.is_code_of_site(door, from, &digits) || self.is_personal_code(door, from, &digits)
    }

    /// Codes, of the site file or of people, that open nothing, because a longer code of the other kind begins with
    /// them: `check` and the import of people keep them apart, unless the site file changed while the gateway was off.
    #[must_use]
    pub fn codes_out_of_force(&self) -> Vec<CredentialId> {
        self.idle_codes()
    }

    /// Is this text the PIN that this caller may dial? As [`is_pin`](Self::is_pin).
    #[must_use]
    pub fn is_caller_pin(&self, peer: &Peer, digits: &str) -> bool {
        peer.trusted && self.is_pin_of_phone(peer, &Secret::new(digits))
    }

    /// As [`is_caller_pin`](Self::is_caller_pin), and the telephone opens this door at this time. For which of several
    /// doors is meant; decides nothing and counts nothing.
    #[must_use]
    pub fn is_caller_pin_at(&self, context: &Context, door: &DoorId, peer: &Peer, digits: &str) -> bool {
        self.is_caller_pin(peer, digits) && self.phone_opens(context, door, peer).is_ok()
    }

    /// Is this text the PIN that completes the card? For [`DigitCollector::push`](crate::DigitCollector::push);
    /// decides nothing and counts nothing.
    #[must_use]
    pub fn is_pin(&self, frame: &CardFrame, digits: &str) -> bool {
        self.is_pin_of(frame, &Secret::new(digits))
    }

    /// How numbers are compared from here on; `None`: as they are written.
    pub const fn set_numbers(&mut self, numbers: Option<NumberPlan>) {
        self.numbers = numbers;
    }

    /// The ways in which an address may stand in a list.
    pub(crate) fn spellings(&self, address: &str) -> Vec<String> {
        self.numbers
            .map_or_else(|| vec![address.to_owned()], |plan| plan.spellings(address))
    }

    /// Is this address meant by a pattern, however the network writes it? Says nothing about whether it can be believed, and gives
    /// no right.
    #[must_use]
    pub fn is_meant(&self, pattern: &CallerPattern, address: &str) -> bool {
        self.means(pattern, &self.spellings(address), Asked::Call)
    }

    /// Is the address meant that may stand in these ways, the first as it came?
    pub(crate) fn means(&self, pattern: &CallerPattern, spellings: &[String], asked: Asked) -> bool {
        let of_the_country = |address: &String| {
            self.numbers
                .is_some_and(|plan| plan.means(pattern, address, asked))
        };
        pattern.matches_any(spellings) || spellings.first().is_some_and(of_the_country)
    }

    /// Is this caller one of those whom the door listens to at this time? For whether a call is answered; decides
    /// nothing and counts nothing.
    #[must_use]
    pub fn listens(&self, context: &Context, door: &DoorId, peer: &Peer) -> bool {
        let spellings = self.spellings(&peer.address);
        self.doors.get(door).is_some_and(|door| {
            let meant = |caller: &&Caller| {
                let reached = peer.trusted && caller.pattern.reaches(peer);
                reached && self.means(&caller.pattern, &spellings, Asked::Right)
            };
            let mut callers = door.callers.iter().filter(meant);
            callers.any(|c| self.policy.schedules.look(&c.when, context.wall) == InForce::Yes)
        }) || self.phone_opens(context, door, peer).is_ok()
    }

    /// Which special keys belong to codes.
    #[must_use]
    pub fn key_use(&self) -> KeyUse {
        let any = |key| {
            self.policy
                .codes
                .iter()
                .any(|code| code.digits.reveal().contains(key))
        };
        KeyUse {
            hash: any('#'),
            star: any('*'),
        }
    }

    /// Lets in who rings at a panel, until then and at most for as long as its doors allow; `None` ends it. Nobody keeps it:
    /// a new life lets nobody in by it.
    pub fn set_ring_to_open(&mut self, panel: PanelId, until: Option<Instant>) {
        match until {
            Some(until) => self.ring_to_open.insert(panel, until),
            None => self.ring_to_open.remove(&panel),
        };
    }

    /// Is a person of the records in a group? Nobody is who is blocked or gone, nor before the first day or after the
    /// last; without a clock that is believed (`wall`) nobody who has one of these.
    #[must_use]
    pub fn is_in(&self, person: &PersonId, group: &GroupId, wall: Option<Timestamp>) -> bool {
        let person = self.directory.person(person);
        person.is_some_and(|person| {
            !person.blocked && person.valid.holds_at(wall) && person.groups.contains(group)
        })
    }

    /// The lock-out state, for keeping across restarts.
    #[must_use]
    pub fn export_locks(&self, now: Instant) -> Vec<LockOut> {
        self.locks.export(now)
    }

    /// Takes up the lock-outs of an earlier life, before the first decision. Time in between does not count:
    /// what was left is left still.
    pub fn restore_locks(&mut self, now: Instant, locks: Vec<LockOut>) {
        self.locks.restore(now, &self.policy.limits, locks);
    }

    /// Grows with each change of the lock-out state: keep it again when this differs.
    #[must_use]
    pub const fn locks_revision(&self) -> u64 {
        self.locks.revision
    }

    /// How many sources with wrong tries were forgotten early to make room.
    #[must_use]
    pub const fn locks_evicted(&self) -> u64 {
        self.locks.evicted
    }
}

fn denied(door: DoorId, factor: Factor, ring: Option<RingId>, subject: Subject, reason: Reason) -> Decision {
    Decision::Denied(Denied {
        door,
        factor,
        locked: None,
        reason,
        ring,
        subject,
    })
}
