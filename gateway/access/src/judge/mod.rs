//! What the decision thinks of a request: the rules, without any effect. [`Access::decide`](crate::Access::decide)
//! makes the Grant, and counts tries.

mod buttons;
mod callers;
mod cards;
mod codes;
mod holds;
mod people;
mod rules;

use std::time::Duration;

use gateway_core::{
    CredentialId, DoorId, Factor, InputId, Instant, Origin, Peer, PersonId, ReaderId, Subject,
};

use crate::access::Access;
use crate::decision::Reason;
use crate::lockout::Source;
use crate::passback::Moves;
use crate::policy::{DoorPolicy, OnJournalFault, RexKind};
use crate::request::{Context, DigitsFrom, Request};
use crate::schedule::{InForce, When};
pub(crate) use callers::dialler;
use people::Right;

/// Who may, and by which rule.
pub(crate) struct Allowed {
    /// The first of two persons, whom the door waited for.
    pub(crate) first: Option<PersonId>,
    /// How who is let in moves.
    pub(crate) moves: Option<Moves>,
    /// How long the door opens, where that is longer than its own strike time.
    pub(crate) open_for: Option<Duration>,
    pub(crate) rule: String,
    pub(crate) subject: Subject,
    /// A credential that opens so often and no more, and how often it was used with this time.
    pub(crate) uses: Option<(CredentialId, u32)>,
}

/// Who may not, and why.
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) subject: Subject,
}

/// What the rules say.
pub(crate) struct Verdict {
    pub(crate) result: Result<Allowed, Refused>,
    /// Whose try it was, if it counts: a success forgives, a refusal is one wrong try more.
    pub(crate) source: Option<Source>,
}

impl Verdict {
    const fn allowed(rule: String, subject: Subject, source: Option<Source>) -> Self {
        Self {
            result: Ok(Allowed {
                first: None,
                moves: None,
                open_for: None,
                rule,
                subject,
                uses: None,
            }),
            source,
        }
    }

    /// The same, by a credential of the records.
    fn by_right(self, right: Right) -> Self {
        let mut verdict = self.open_for(right.open_for);
        if let Ok(allowed) = &mut verdict.result {
            allowed.uses = right.uses;
        }
        verdict
    }

    /// The same, and it opens for so long.
    fn open_for(mut self, time: Option<Duration>) -> Self {
        if let Ok(allowed) = &mut self.result {
            if let Some(time) = time {
                allowed.rule += &format!(", for at least {} s", time.as_millis().div_ceil(1000));
            }
            allowed.open_for = time;
        }
        self
    }

    /// A refusal that is nobody's wrong try.
    const fn refused(subject: Subject, reason: Reason) -> Self {
        Self {
            result: Err(Refused { reason, subject }),
            source: None,
        }
    }

    /// A refusal that counts as a wrong try of the source.
    const fn wrong(source: Source, subject: Subject, reason: Reason) -> Self {
        Self {
            result: Err(Refused { reason, subject }),
            source: Some(source),
        }
    }
}

/// The time of a request.
#[derive(Clone, Copy)]
struct Moment<'a> {
    context: &'a Context,
    /// Whoever asks stands at a reader that leads out.
    leaves: bool,
    now: Instant,
}

impl Access {
    /// The rules.
    pub(crate) fn judge(
        &self,
        now: Instant,
        context: &Context,
        door: &DoorPolicy,
        request: &Request,
    ) -> Verdict {
        let leaves = self.leaves(request);
        let moment = Moment { context, leaves, now };
        let subject = match request {
            Request::Rex { input, .. } => return exit(door, input),
            Request::Fire { .. } => return self.burns(),
            Request::Caller { peer, .. } => contact(peer),
            Request::Button { .. }
            | Request::Card { .. }
            | Request::CommandCode { .. }
            | Request::KeypadCode { .. } => Subject::Unknown,
            Request::Hold { by, .. } => holds::subject(door, by),
            Request::Rule { rule, .. } => Subject::Rule(rule.clone()),
            Request::Command { origin, .. } => origin.subject.clone(),
            Request::Digits { from, .. } => match from {
                DigitsFrom::Called { peer, .. } => Subject::Contact(peer.shown().to_owned()),
                DigitsFrom::Caller { peer, .. } => contact(peer),
            },
        };
        if let Some(reason) = unfit(context, door) {
            return Verdict::refused(subject, reason);
        }
        let verdict = match self.stale(now, request) {
            Some(reason) => Verdict::refused(subject, reason),
            None => self.credential(moment, door, request, subject),
        };
        let verdict = match request.reader() {
            Some(reader) => self.passing(moment, reader, verdict),
            None => verdict,
        };
        self.restrained(moment, door, request.door(), verdict)
    }

    /// Who is let in at a reader moves, unless they are there already.
    fn passing(&self, moment: Moment<'_>, reader: &ReaderId, verdict: Verdict) -> Verdict {
        let Verdict { result, source } = verdict;
        let allowed = match result {
            Ok(allowed) => allowed,
            Err(refused) => {
                let result = Err(refused);
                return Verdict { result, source };
            }
        };
        match self.moves(moment.context, reader, &allowed.subject) {
            Ok(moves) => Verdict {
                result: Ok(Allowed { moves, ..allowed }),
                source,
            },
            Err(reason) => Verdict::refused(allowed.subject, reason),
        }
    }

    /// Under a lockdown everybody is refused alike, and nobody's try counts; an interlock keeps out who would be let
    /// in. Who it was is told in both cases.
    fn restrained(
        &self,
        moment: Moment<'_>,
        policy: &DoorPolicy,
        door: &DoorId,
        verdict: Verdict,
    ) -> Verdict {
        if let Some(reason) = self.locked_down(door) {
            let (Ok(Allowed { subject, .. }) | Err(Refused { subject, .. })) = verdict.result;
            return Verdict::refused(subject, reason);
        }
        match (verdict.result, self.interlocked(door)) {
            (Ok(Allowed { subject, .. }), Some(reason)) => Verdict::refused(subject, reason),
            (Ok(allowed), None) => match self.paired(moment.now, moment.context, policy, door, allowed) {
                Ok(allowed) => Verdict {
                    result: Ok(allowed),
                    ..verdict
                },
                // the first of two is nobody's wrong try
                Err(Refused { reason, subject }) => Verdict::refused(subject, reason),
            },
            (result @ Err(_), _) => Verdict { result, ..verdict },
        }
    }

    /// What the credential, number or login is good for.
    fn credential(
        &self,
        moment: Moment<'_>,
        door: &DoorPolicy,
        request: &Request,
        subject: Subject,
    ) -> Verdict {
        match request {
            Request::Rex { input, .. } => exit(door, input),
            Request::Fire { .. } => self.burns(),
            Request::Button { button, panel, .. } => self.button(moment, door, panel, button),
            Request::Caller {
                account,
                door: name,
                peer,
                ..
            } => self.caller(moment, door, name, (account.as_ref(), peer)),
            Request::Card {
                door: name,
                frame,
                pin,
                reader,
                ..
            } => self.card(moment, door, name, frame, reader, pin.as_ref()),
            Request::Command {
                origin, permitted, ..
            } => self.command(moment, origin, *permitted),
            Request::CommandCode {
                digits,
                door: name,
                origin,
                ..
            } => self.command_code(moment, name, digits, origin),
            Request::Hold {
                by, door: name, time, ..
            } => self.hold(moment, door, name, by, *time),
            Request::Rule { rule, .. } => Self::rule(moment, door, rule),
            Request::Digits { winner: false, .. } => Verdict::refused(subject, Reason::NoAuthority),
            Request::Digits {
                digits,
                door: name,
                from,
                ..
            } => self.digits(moment, door, name, digits, from, subject),
            Request::KeypadCode {
                digits,
                door: name,
                reader,
                ..
            } => self.keypad(moment, door, name, digits, reader),
        }
    }

    fn stale(&self, now: Instant, request: &Request) -> Option<Reason> {
        let at = match request {
            Request::Card { at, .. } | Request::Digits { at, .. } | Request::KeypadCode { at, .. } => *at,
            Request::Button { .. }
            | Request::Caller { .. }
            | Request::Command { .. }
            | Request::CommandCode { .. }
            | Request::Fire { .. }
            | Request::Hold { .. }
            | Request::Rex { .. }
            | Request::Rule { .. } => return None,
        };
        // A time in the future comes from another clock and says nothing about the age.
        let age = now.since(at).max(at.since(now));
        let known = (at != Instant::ZERO).then_some(age);
        (age > self.policy.limits.max_age).then_some(Reason::Stale { age: known })
    }

    fn locked(&self, moment: Moment<'_>, source: &Source, subject: &Subject) -> Option<Verdict> {
        let left = self.locks.left(moment.now, &self.policy.limits, source)?;
        Some(Verdict::refused(subject.clone(), Reason::LockedOut { left }))
    }

    /// `Err` says why it does not count at this time. Where the clock is not believed, nothing that a schedule
    /// limits counts.
    fn in_time(&self, moment: Moment<'_>, when: &When) -> Result<(), Reason> {
        match (self.policy.schedules.look(when, moment.context.wall), when) {
            (InForce::Yes, _) => Ok(()),
            (InForce::Unknown, When::In(id)) => Err(Reason::ClockUntrusted {
                schedule: Some(id.clone()),
            }),
            (InForce::No, When::In(id)) => Err(Reason::NotNow {
                schedule: Some(id.clone()),
            }),
            (InForce::No | InForce::Unknown, When::Always | When::Never) => {
                Err(Reason::NotNow { schedule: None })
            }
        }
    }

    fn burns(&self) -> Verdict {
        match self.fire() {
            Some(input) => {
                let rule = format!("fire input {input}, until an operator resets the alarm");
                Verdict::allowed(rule, Subject::Input(input.clone()), None)
            }
            None => Verdict::refused(Subject::Unknown, Reason::NoFire),
        }
    }

    fn command(&self, moment: Moment<'_>, origin: &Origin, permitted: bool) -> Verdict {
        let subject = origin.subject.clone();
        if !is_for_commands(origin.factor) {
            return Verdict::refused(subject, Reason::FactorNotCommand);
        }
        // A command is accepted only once its record is durable, so it cannot be accepted without journal.
        if !moment.context.journal_ok {
            return Verdict::refused(subject, Reason::JournalFault);
        }
        let source = Source::client(&subject.to_string());
        if let Some(locked) = self.locked(moment, &source, &subject) {
            return locked;
        }
        if !permitted {
            return Verdict::wrong(source, subject, Reason::NotPermitted);
        }
        let rule = format!(
            "command by {} of {subject}, who may open this door",
            origin.factor
        );
        Verdict::allowed(rule, subject, Some(source))
    }
}

/// Do commands come by this means?
const fn is_for_commands(factor: Factor) -> bool {
    match factor {
        Factor::Api | Factor::Local | Factor::Mqtt | Factor::Web => true,
        Factor::Button
        | Factor::ByPanel
        | Factor::Caller
        | Factor::Card
        | Factor::Code
        | Factor::Digits
        | Factor::Fire
        | Factor::Rex
        | Factor::Rule
        | Factor::Schedule => false,
    }
}

/// Is the gateway in no state to let anybody in? Never asked for egress.
fn unfit(context: &Context, door: &DoorPolicy) -> Option<Reason> {
    if !context.ready {
        Some(Reason::NotReady)
    } else if !context.projection_at_head {
        Some(Reason::ProjectionBehind)
    } else if !context.journal_ok && door.on_journal_fault == OnJournalFault::Refuse {
        Some(Reason::JournalFault)
    } else {
        None
    }
}

/// What a rule says of its schedule.
fn within(when: &When) -> String {
    match when {
        When::Always | When::Never => String::new(),
        When::In(id) => format!(" within schedule {id}"),
    }
}

fn holder(person: Option<&PersonId>, id: &CredentialId) -> Subject {
    match person {
        Some(person) => Subject::Person(person.clone()),
        None => Subject::Credential(id.clone()),
    }
}

fn exit(door: &DoorPolicy, input: &InputId) -> Verdict {
    let subject = Subject::Input(input.clone());
    match door.rex.get(input) {
        Some(RexKind::Unlock) => Verdict::allowed(format!("exit input {input}"), subject, None),
        // These open by themselves; there is nothing to operate.
        Some(RexKind::Parallel | RexKind::ShuntOnly) => Verdict::refused(subject, Reason::RexNotUnlock),
        None => Verdict::refused(subject, Reason::RexUnknown),
    }
}

fn contact(peer: &Peer) -> Subject {
    if peer.trusted {
        Subject::Contact(peer.shown().to_owned())
    } else {
        Subject::Unknown
    }
}
