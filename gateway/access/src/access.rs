//! The one decision.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::{CardFrame, DoorId, Factor, InputId, Instant, Origin, Peer, ReaderId, Secret, Subject};

use crate::card::tidy;
use crate::code::{CodeIndex, CodeMatch};
use crate::collector::KeyUse;
use crate::decision::{Decision, Denied, Reason};
use crate::grant::{Grant, GrantParts};
use crate::lockout::{LockOut, LockOuts, Source};
use crate::policy::{CodeFrom, DoorPolicy, OnJournalFault, Policy, RexKind};
use crate::request::{Context, DigitsFrom, Request};

/// Decides who may open what.
///
/// Egress (REX and fire) is decided here too, and never refused: neither a faulty journal nor a gateway that is
/// not ready, neither a lock-out nor an old timestamp concerns it.
#[derive(Debug, Default)]
pub struct Access {
    cards: BTreeMap<CardFrame, Vec<usize>>,
    codes: CodeIndex,
    doors: BTreeMap<DoorId, Arc<DoorPolicy>>,
    last_grant: u64,
    locks: LockOuts,
    policy: Policy,
}

/// Who may, and by which rule.
struct Allowed {
    rule: String,
    subject: Subject,
}

/// Who may not, and why.
struct Refused {
    reason: Reason,
    subject: Subject,
}

impl Refused {
    const fn new(subject: Subject, reason: Reason) -> Self {
        Self { reason, subject }
    }
}

impl Access {
    /// A decision over a policy. Nobody is locked out yet: [`restore_locks`](Self::restore_locks) first.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let mut access = Self::default();
        access.apply(policy);
        access
    }

    /// Takes another policy. Lock-outs stay.
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
        self.policy = policy;
    }

    /// Decides. The only place that makes a [`Grant`].
    pub fn decide(&mut self, now: Instant, context: &Context, request: Request) -> Decision {
        let (door, factor, ring) = (request.door().clone(), request.factor(), request.ring());
        let Some(at_door) = self.doors.get(&door).map(Arc::clone) else {
            return Decision::Denied(Denied {
                door,
                factor,
                reason: Reason::UnknownDoor,
                ring,
                subject: Subject::Unknown,
            });
        };
        match self.judge(now, context, &at_door, request) {
            Ok(Allowed { rule, subject }) => {
                self.last_grant += 1;
                Decision::Granted(Grant::new(GrantParts {
                    deadline: now + self.policy.limits.grant_life,
                    door,
                    factor,
                    generation: context.generation,
                    id: self.last_grant,
                    output: at_door.output.clone(),
                    ring,
                    rule,
                    subject,
                }))
            }
            Err(Refused { reason, subject }) => Decision::Denied(Denied {
                door,
                factor,
                reason,
                ring,
                subject,
            }),
        }
    }

    /// Could this text open the door from there, if everything else is right? For
    /// [`DigitCollector::push`](crate::DigitCollector::push); decides nothing and counts nothing.
    #[must_use]
    pub fn is_code(&self, door: &DoorId, from: CodeFrom, digits: &str) -> bool {
        matches!(
            self.codes
                .find(&self.policy.codes, &Secret::new(digits), door, from),
            CodeMatch::Opens(_)
        )
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

    fn judge(
        &mut self,
        now: Instant,
        context: &Context,
        door: &DoorPolicy,
        request: Request,
    ) -> Result<Allowed, Refused> {
        match request {
            Request::Rex { input, .. } => exit(door, input),
            Request::Fire { .. } => self.fire(),
            Request::Caller { peer, .. } => {
                self.fit(context, door, contact(&peer))?;
                self.caller(now, door, &peer)
            }
            Request::Card {
                at,
                door: name,
                frame,
                reader,
            } => {
                self.fit(context, door, Subject::Unknown)?;
                self.fresh(now, at, Subject::Unknown)?;
                self.card(now, door, &name, &frame, &reader)
            }
            Request::Command {
                origin, permitted, ..
            } => {
                self.fit(context, door, origin.subject.clone())?;
                self.command(now, context, &origin, permitted)
            }
            Request::Digits {
                at,
                digits,
                door: name,
                from,
                winner,
                ..
            } => {
                let subject = match &from {
                    DigitsFrom::Called { subject, .. } => subject.clone(),
                    DigitsFrom::Caller(peer) => contact(peer),
                };
                self.fit(context, door, subject.clone())?;
                self.fresh(now, at, subject.clone())?;
                if !winner {
                    return Err(Refused::new(subject, Reason::NoAuthority));
                }
                self.digits(now, door, &name, &digits, &from, subject)
            }
            Request::KeypadCode {
                at,
                digits,
                door: name,
                reader,
            } => {
                self.fit(context, door, Subject::Unknown)?;
                self.fresh(now, at, Subject::Unknown)?;
                self.keypad(now, door, &name, &digits, &reader)
            }
        }
    }

    /// Is the gateway in a state to let anybody in? Never asked for egress.
    fn fit(&self, context: &Context, door: &DoorPolicy, subject: Subject) -> Result<(), Refused> {
        let reason = if !context.ready {
            Reason::NotReady
        } else if !context.projection_at_head {
            Reason::ProjectionBehind
        } else if !context.journal_ok && door.on_journal_fault == OnJournalFault::Refuse {
            Reason::JournalFault
        } else {
            return Ok(());
        };
        Err(Refused::new(subject, reason))
    }

    fn fresh(&self, now: Instant, at: Instant, subject: Subject) -> Result<(), Refused> {
        // A time in the future comes from another clock and says nothing about the age.
        let age = now.since(at).max(at.since(now));
        if age > self.policy.limits.max_age {
            return Err(Refused::new(subject, Reason::Stale { age }));
        }
        Ok(())
    }

    fn unlocked(&self, now: Instant, source: &Source, subject: &Subject) -> Result<(), Refused> {
        match self.locks.left(now, &self.policy.limits, source) {
            Some(left) => Err(Refused::new(subject.clone(), Reason::LockedOut { left })),
            None => Ok(()),
        }
    }

    fn wrong(&mut self, now: Instant, source: Source, subject: Subject, reason: Reason) -> Refused {
        self.locks.wrong(now, &self.policy.limits, source);
        Refused::new(subject, reason)
    }

    fn fire(&self) -> Result<Allowed, Refused> {
        match &self.policy.fire {
            Some(input) => Ok(Allowed {
                rule: format!("fire input {input}"),
                subject: Subject::Input(input.clone()),
            }),
            None => Err(Refused::new(Subject::Unknown, Reason::FireNotConfigured)),
        }
    }

    fn caller(&mut self, now: Instant, door: &DoorPolicy, peer: &Peer) -> Result<Allowed, Refused> {
        let (subject, source) = (contact(peer), caller_source(peer));
        self.unlocked(now, &source, &subject)?;
        match listed_caller(door, peer) {
            Ok(name) => {
                self.locks.right(&source);
                Ok(Allowed {
                    rule: format!("listed caller {name:?} calls the door"),
                    subject,
                })
            }
            Err(reason) => Err(self.wrong(now, source, subject, reason)),
        }
    }

    fn card(
        &mut self,
        now: Instant,
        door: &DoorPolicy,
        name: &DoorId,
        frame: &CardFrame,
        reader: &ReaderId,
    ) -> Result<Allowed, Refused> {
        if !door.readers.contains(reader) {
            return Err(Refused::new(Subject::Unknown, Reason::ReaderElsewhere));
        }
        let source = Source::Reader(reader.clone());
        self.unlocked(now, &source, &Subject::Unknown)?;
        let mut elsewhere = None;
        let known = tidy(frame).and_then(|frame| self.cards.get(&frame));
        for card in known
            .into_iter()
            .flatten()
            .filter_map(|at| self.policy.cards.get(*at))
        {
            let subject = match &card.person {
                Some(person) => Subject::Person(person.clone()),
                None => Subject::Credential(card.id.clone()),
            };
            if card.doors.contains(name) {
                let rule = format!("card {:?} at reader {reader}", card.id);
                self.locks.right(&source);
                return Ok(Allowed { rule, subject });
            }
            elsewhere = Some(subject);
        }
        match elsewhere {
            // A resident at the wrong door does not guess.
            Some(subject) => Err(Refused::new(subject, Reason::CardNotForDoor)),
            None => {
                let reason = Reason::CardUnknown { bits: frame.bits };
                Err(self.wrong(now, source, Subject::Unknown, reason))
            }
        }
    }

    fn command(
        &mut self,
        now: Instant,
        context: &Context,
        origin: &Origin,
        permitted: bool,
    ) -> Result<Allowed, Refused> {
        let subject = origin.subject.clone();
        match origin.factor {
            Factor::Api | Factor::Local | Factor::Mqtt | Factor::Web => {}
            Factor::ByPanel
            | Factor::Caller
            | Factor::Card
            | Factor::Code
            | Factor::Digits
            | Factor::Fire
            | Factor::Rex => return Err(Refused::new(subject, Reason::FactorNotCommand)),
        }
        // A command is accepted only once its record is durable, so it cannot be accepted without journal.
        if !context.journal_ok {
            return Err(Refused::new(subject, Reason::JournalFault));
        }
        let source = Source::client(&subject.to_string());
        self.unlocked(now, &source, &subject)?;
        if !permitted {
            return Err(self.wrong(now, source, subject, Reason::NotPermitted));
        }
        self.locks.right(&source);
        Ok(Allowed {
            rule: format!(
                "command by {} of {subject}, who may open this door",
                origin.factor
            ),
            subject,
        })
    }

    fn digits(
        &mut self,
        now: Instant,
        door: &DoorPolicy,
        name: &DoorId,
        digits: &Secret,
        from: &DigitsFrom,
        subject: Subject,
    ) -> Result<Allowed, Refused> {
        let source = match from {
            DigitsFrom::Called { subject, .. } => Source::caller(&subject.to_string()),
            DigitsFrom::Caller(peer) => caller_source(peer),
        };
        self.unlocked(now, &source, &subject)?;
        let who = match from {
            DigitsFrom::Called { listed: false, .. } => {
                return Err(Refused::new(subject, Reason::NotListed));
            }
            DigitsFrom::Called { listed: true, .. } if !door.digits_by_list => {
                return Err(Refused::new(subject, Reason::DigitsNotAllowed));
            }
            DigitsFrom::Called { listed: true, .. } => "a called target of the list".to_owned(),
            DigitsFrom::Caller(peer) => match listed_caller(door, peer) {
                Ok(name) => format!("listed caller {name:?}"),
                Err(reason) => return Err(self.wrong(now, source, subject, reason)),
            },
        };
        let code = self.code(now, digits, name, CodeFrom::Call, source, subject.clone())?;
        Ok(Allowed {
            rule: format!("code {code:?} dialled by {who}"),
            subject,
        })
    }

    fn keypad(
        &mut self,
        now: Instant,
        door: &DoorPolicy,
        name: &DoorId,
        digits: &Secret,
        reader: &ReaderId,
    ) -> Result<Allowed, Refused> {
        if !door.readers.contains(reader) {
            return Err(Refused::new(Subject::Unknown, Reason::ReaderElsewhere));
        }
        let source = Source::Keypad(reader.clone());
        self.unlocked(now, &source, &Subject::Unknown)?;
        let code = self.code(now, digits, name, CodeFrom::Keypad, source, Subject::Unknown)?;
        Ok(Allowed {
            rule: format!("code {code:?} at keypad {reader}"),
            subject: Subject::Credential(code),
        })
    }

    fn code(
        &mut self,
        now: Instant,
        digits: &Secret,
        door: &DoorId,
        from: CodeFrom,
        source: Source,
        subject: Subject,
    ) -> Result<gateway_core::CredentialId, Refused> {
        let reason = match self.codes.find(&self.policy.codes, digits, door, from) {
            CodeMatch::Opens(at) => match self.policy.codes.get(at) {
                Some(code) => {
                    self.locks.right(&source);
                    return Ok(code.id.clone());
                }
                None => Reason::CodeUnknown,
            },
            CodeMatch::Elsewhere => Reason::CodeNotForDoor,
            CodeMatch::Unknown => Reason::CodeUnknown,
        };
        Err(self.wrong(now, source, subject, reason))
    }
}

fn exit(door: &DoorPolicy, input: InputId) -> Result<Allowed, Refused> {
    let reason = match door.rex.get(&input) {
        Some(RexKind::Unlock) => {
            return Ok(Allowed {
                rule: format!("exit input {input}"),
                subject: Subject::Input(input),
            });
        }
        // These open by themselves; there is nothing to operate.
        Some(RexKind::Parallel | RexKind::ShuntOnly) => Reason::RexNotUnlock,
        None => Reason::RexUnknown,
    };
    Err(Refused::new(Subject::Input(input), reason))
}

fn contact(peer: &Peer) -> Subject {
    if peer.trusted {
        Subject::Contact(peer.address.clone())
    } else {
        Subject::Unknown
    }
}

/// Callers nobody vouches for share one count: else anybody could lock out a number by using its name.
fn caller_source(peer: &Peer) -> Source {
    if peer.trusted {
        Source::caller(&contact(peer).to_string())
    } else {
        Source::Others
    }
}

fn listed_caller<'a>(door: &'a DoorPolicy, peer: &Peer) -> Result<&'a str, Reason> {
    if !peer.trusted {
        return Err(Reason::CallerUntrusted);
    }
    let listed = door.callers.iter().find(|caller| caller.pattern.matches(peer));
    listed
        .map(|caller| caller.name.as_str())
        .ok_or(Reason::CallerUnlisted)
}
