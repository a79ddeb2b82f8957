//! What the decision thinks of a request: the rules, without any effect. [`Access::decide`](crate::Access::decide)
//! makes the Grant, and counts tries.

use gateway_core::{
    CardFrame, CredentialId, DoorId, Factor, InputId, Instant, Origin, Peer, PersonId, ReaderId, Secret,
    Subject,
};

use crate::access::Access;
use crate::card::tidy;
use crate::code::{CodeMatch, same_code};
use crate::decision::{Held, Reason};
use crate::directory::{Credential, Proof, Validity};
use crate::lockout::Source;
use crate::policy::{Card, CodeFrom, DoorPolicy, OnJournalFault, RexKind};
use crate::request::{Context, DigitsFrom, Request};
use crate::schedule::{InForce, When};

/// Who may, and by which rule.
pub(crate) struct Allowed {
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
                rule,
                subject,
                uses: None,
            }),
            source,
        }
    }

    /// The same, by a credential of the records.
    fn counted(mut self, uses: Option<(CredentialId, u32)>) -> Self {
        if let Ok(allowed) = &mut self.result {
            allowed.uses = uses;
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
        let moment = Moment { context, now };
        let subject = match request {
            Request::Rex { input, .. } => return exit(door, input),
            Request::Fire { .. } => return self.fire(),
            Request::Caller { peer, .. } => contact(peer),
            Request::Card { .. } | Request::KeypadCode { .. } => Subject::Unknown,
            Request::Command { origin, .. } => origin.subject.clone(),
            Request::Digits { from, .. } => match from {
                DigitsFrom::Called { subject, .. } => subject.clone(),
                DigitsFrom::Caller(peer) => contact(peer),
            },
        };
        if let Some(reason) = unfit(context, door).or_else(|| self.stale(now, request)) {
            return Verdict::refused(subject, reason);
        }
        match request {
            Request::Rex { input, .. } => exit(door, input),
            Request::Fire { .. } => self.fire(),
            Request::Caller { door: name, peer, .. } => self.caller(moment, door, name, peer),
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
            Request::Caller { .. } | Request::Command { .. } | Request::Fire { .. } | Request::Rex { .. } => {
                return None;
            }
        };
        // A time in the future comes from another clock and says nothing about the age.
        let age = now.since(at).max(at.since(now));
        (age > self.policy.limits.max_age).then_some(Reason::Stale { age })
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

    fn fire(&self) -> Verdict {
        match &self.policy.fire {
            Some(input) => {
                Verdict::allowed(format!("fire input {input}"), Subject::Input(input.clone()), None)
            }
            None => Verdict::refused(Subject::Unknown, Reason::FireNotConfigured),
        }
    }

    fn caller(&self, moment: Moment<'_>, door: &DoorPolicy, name: &DoorId, peer: &Peer) -> Verdict {
        let (subject, source) = (contact(peer), caller_source(peer));
        if let Some(locked) = self.locked(moment, &source, &subject) {
            return locked;
        }
        match self.known_caller(moment, door, name, peer) {
            Ok(Known::Listed(listed)) => {
                let rule = format!("listed caller {listed:?} calls the door");
                Verdict::allowed(rule, subject, Some(source))
            }
            Ok(Known::Phone { phone, .. }) if needs_pin(phone) => {
                Verdict::refused(subject, Reason::PinNeeded)
            }
            Ok(Known::Phone { phone, right }) => {
                let rule = format!("telephone {:?}{} calls the door", phone.id, right.words);
                let subject = holder(phone.person.as_ref(), &phone.id);
                Verdict::allowed(rule, subject, Some(source)).counted(right.uses)
            }
            Err(reason) => unlisted(source, subject, reason),
        }
    }

    fn known_caller<'a>(
        &'a self,
        moment: Moment<'_>,
        door: &'a DoorPolicy,
        name: &DoorId,
        peer: &Peer,
    ) -> Result<Known<'a>, Reason> {
        if !peer.trusted {
            return Err(Reason::CallerUntrusted);
        }
        let mut found = Reason::CallerUnlisted;
        for caller in door.callers.iter().filter(|caller| caller.pattern.matches(peer)) {
            match self.in_time(moment, &caller.when) {
                Ok(()) => return Ok(Known::Listed(&caller.name)),
                Err(reason) => found = reason,
            }
        }
        for phone in self.directory.phones(&peer.address) {
            match self.right(moment, phone, name) {
                Ok(right) => return Ok(Known::Phone { phone, right }),
                // a number that is known, but not at this door, is no more than any other
                Err(Reason::CredentialNotForDoor) => {}
                Err(reason) => found = reason,
            }
        }
        Err(found)
    }

    /// Does the door listen to this telephone of somebody?
    pub(crate) fn phone_opens(&self, context: &Context, door: &DoorId, peer: &Peer) -> Result<(), Reason> {
        if !peer.trusted {
            return Err(Reason::CallerUntrusted);
        }
        let now = Instant::ZERO;
        let moment = Moment { context, now };
        let mut phones = self.directory.phones(&peer.address).into_iter();
        let listens = phones.any(|phone| self.right(moment, phone, door).is_ok());
        listens.then_some(()).ok_or(Reason::CallerUnlisted)
    }

    fn card(
        &self,
        moment: Moment<'_>,
        door: &DoorPolicy,
        name: &DoorId,
        frame: &CardFrame,
        reader: &ReaderId,
        pin: Option<&Secret>,
    ) -> Verdict {
        if !door.readers.contains(reader) {
            return Verdict::refused(Subject::Unknown, Reason::ReaderElsewhere);
        }
        let source = Source::Reader(reader.clone());
        if let Some(locked) = self.locked(moment, &source, &Subject::Unknown) {
            return locked;
        }
        let keypad = Source::Keypad(reader.clone());
        if pin.is_some()
            && let Some(locked) = self.locked(moment, &keypad, &Subject::Unknown)
        {
            return locked;
        }
        let alone = self.is_alone_enough(moment, reader);
        let mut best: Option<Refused> = None;
        for card in self.cards_of(frame) {
            let subject = holder(card.person.as_ref(), &card.id);
            let reason = match self.card_opens(moment, card, name, alone, pin) {
                Ok(with) => {
                    let rule = format!("card {:?}{with} at reader {reader}", card.id);
                    let source = if pin.is_some() { keypad } else { source };
                    return Verdict::allowed(rule, subject, Some(source));
                }
                Err(reason) => reason,
            };
            if best.as_ref().is_none_or(|b| rank(&b.reason) < rank(&reason)) {
                best = Some(Refused { reason, subject });
            }
        }
        for card in self.directory.cards(frame) {
            let subject = holder(card.person.as_ref(), &card.id);
            let opens = self
                .right(moment, card, name)
                .and_then(|right| self.with_pin(card, alone, pin).map(|with| (right, with)));
            let reason = match opens {
                Ok((right, with)) => {
                    let rule = format!("card {:?}{with}{} at reader {reader}", card.id, right.words);
                    let source = if pin.is_some() { keypad } else { source };
                    return Verdict::allowed(rule, subject, Some(source)).counted(right.uses);
                }
                Err(Reason::CredentialNotForDoor) => Reason::CardNotForDoor,
                Err(reason) => reason,
            };
            if best.as_ref().is_none_or(|b| rank(&b.reason) < rank(&reason)) {
                best = Some(Refused { reason, subject });
            }
        }
        match best {
            None => Verdict::wrong(source, Subject::Unknown, Reason::CardUnknown { bits: frame.bits }),
            Some(Refused {
                reason: Reason::PinWrong,
                subject,
            }) => Verdict::wrong(keypad, subject, Reason::PinWrong),
            // A resident at the wrong door, or too early, does not guess.
            Some(Refused { reason, subject }) => Verdict::refused(subject, reason),
        }
    }

    /// Does a card open alone at this reader and time? If nobody knows the time, it does not.
    fn is_alone_enough(&self, moment: Moment<'_>, reader: &ReaderId) -> bool {
        self.policy.readers.get(reader).is_none_or(|reader| {
            self.policy
                .schedules
                .look(&reader.card_alone, moment.context.wall)
                == InForce::Yes
        })
    }

    fn cards_of(&self, frame: &CardFrame) -> impl Iterator<Item = &Card> {
        let known = tidy(frame).and_then(|frame| self.cards.get(&frame));
        known
            .into_iter()
            .flatten()
            .filter_map(|at| self.policy.cards.get(*at))
    }

    /// What else opened, in words; or why it does not open.
    fn card_opens(
        &self,
        moment: Moment<'_>,
        card: &Card,
        door: &DoorId,
        alone: bool,
        pin: Option<&Secret>,
    ) -> Result<String, Reason> {
        if !card.doors.contains(door) {
            return Err(Reason::CardNotForDoor);
        }
        self.in_time(moment, &card.when)?;
        let within = within(&card.when);
        match (&card.pin, pin) {
            // a PIN that nobody asked for is no reason to refuse, if it is right
            (_, None) if alone => Ok(within),
            (None, _) => Err(Reason::PinMissing),
            (Some(_), None) => Err(Reason::PinNeeded),
            (Some(want), Some(pin)) if same_code(want, pin) => Ok(format!(" and PIN{within}")),
            (Some(_), Some(_)) => Err(Reason::PinWrong),
        }
    }

    pub(crate) fn is_pin_of(&self, frame: &CardFrame, digits: &Secret) -> bool {
        self.cards_of(frame)
            .any(|card| card.pin.as_ref().is_some_and(|pin| same_code(pin, digits)))
            || self
                .directory
                .cards(frame)
                .into_iter()
                .any(|card| self.has_pin(card, digits))
    }

    /// Is this a PIN of the credential's owner?
    fn has_pin(&self, credential: &Credential, digits: &Secret) -> bool {
        let mut pins = self.directory.pins(credential.person.as_ref()).into_iter();
        pins.any(|pin| self.directory.is_pin(pin, digits))
    }

    pub(crate) fn is_pin_of_phone(&self, address: &str, digits: &Secret) -> bool {
        let mut phones = self.directory.phones(address).into_iter();
        phones.any(|phone| self.has_pin(phone, digits))
    }

    /// As [`card_opens`](Self::card_opens), for the PIN of a card of the records.
    fn with_pin(&self, card: &Credential, alone: bool, pin: Option<&Secret>) -> Result<&'static str, Reason> {
        let has_one = !self.directory.pins(card.person.as_ref()).is_empty();
        match pin {
            None if alone => Ok(""),
            Some(pin) if self.has_pin(card, pin) => Ok(" and PIN"),
            None | Some(_) if !has_one => Err(Reason::PinMissing),
            None => Err(Reason::PinNeeded),
            Some(_) => Err(Reason::PinWrong),
        }
    }

    /// Does a credential of the records open this door at this time? What only a second factor could add is not
    /// asked here.
    fn right(&self, moment: Moment<'_>, credential: &Credential, door: &DoorId) -> Result<Right, Reason> {
        let by = self.right_but_uses(moment, credential, door)?;
        let uses = match credential.uses {
            None => None,
            Some(most) => {
                let used = self.directory.used(&credential.id);
                if used >= most {
                    return Err(Reason::UsedUp);
                }
                // What was not written down could be used again after a power cut.
                if !moment.context.journal_ok {
                    return Err(Reason::JournalFault);
                }
                Some((credential.id.clone(), used + 1))
            }
        };
        let words = format!("{by}{}", within(&credential.when));
        Ok(Right { uses, words })
    }

    /// Was a permission whose use is kept taken back meanwhile?
    pub(crate) fn withdrawn(&self, now: Instant, context: &Context, held: &Held) -> Option<Reason> {
        let Some(credential) = self.directory.credential(&held.credential) else {
            return Some(Reason::Blocked);
        };
        let moment = Moment { context, now };
        self.right_but_uses(moment, credential, &held.door).err()
    }

    /// What opened, in words, whatever the number of uses.
    fn right_but_uses(
        &self,
        moment: Moment<'_>,
        credential: &Credential,
        door: &DoorId,
    ) -> Result<String, Reason> {
        let person = match &credential.person {
            Some(id) => Some(self.directory.person(id).ok_or(Reason::Blocked)?),
            None => None,
        };
        if person.is_some_and(|person| person.blocked) {
            return Err(Reason::Blocked);
        }
        let mut by = Err(Reason::CredentialNotForDoor);
        if credential.doors.contains(door) {
            by = Ok(String::new());
        }
        for id in person.into_iter().flat_map(|person| &person.groups) {
            let Some(group) = self
                .policy
                .groups
                .get(id)
                .filter(|group| group.doors.contains(door))
            else {
                continue;
            };
            if by.is_ok() {
                break;
            }
            by = self
                .in_time(moment, &group.when)
                .map(|()| format!(" of group {id}{}", within(&group.when)));
        }
        let by = by?;
        self.in_time(moment, &credential.when)?;
        valid(moment, credential.valid)?;
        valid(moment, person.map(|person| person.valid).unwrap_or_default())?;
        Ok(by)
    }

    /// Could this text be a code of the records that opens the door from there, at some time?
    pub(crate) fn is_personal_code(&self, door: &DoorId, from: CodeFrom, digits: &Secret) -> bool {
        self.directory.codes(digits).into_iter().any(|code| {
            let groups = code.person.as_ref().and_then(|id| self.directory.person(id));
            let mut groups = groups.into_iter().flat_map(|person| &person.groups);
            counts_from(code, from)
                && (code.doors.contains(door)
                    || groups.any(|id| self.policy.groups.get(id).is_some_and(|g| g.doors.contains(door))))
        })
    }

    fn command(&self, moment: Moment<'_>, origin: &Origin, permitted: bool) -> Verdict {
        let subject = origin.subject.clone();
        match origin.factor {
            Factor::Api | Factor::Local | Factor::Mqtt | Factor::Web => {}
            Factor::ByPanel
            | Factor::Caller
            | Factor::Card
            | Factor::Code
            | Factor::Digits
            | Factor::Fire
            | Factor::Rex => return Verdict::refused(subject, Reason::FactorNotCommand),
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

    fn digits(
        &self,
        moment: Moment<'_>,
        door: &DoorPolicy,
        name: &DoorId,
        digits: &Secret,
        from: &DigitsFrom,
        subject: Subject,
    ) -> Verdict {
        let source = dialler(from);
        if let Some(locked) = self.locked(moment, &source, &subject) {
            return locked;
        }
        let who = match from {
            DigitsFrom::Called { listed: false, .. } => return Verdict::refused(subject, Reason::NotListed),
            DigitsFrom::Called { listed: true, .. } if !door.digits_by_list => {
                return Verdict::refused(subject, Reason::DigitsNotAllowed);
            }
            DigitsFrom::Called { listed: true, .. } => "a called target of the list".to_owned(),
            DigitsFrom::Caller(peer) => match self.known_caller(moment, door, name, peer) {
                Ok(Known::Listed(listed)) => format!("listed caller {listed:?}"),
                Ok(Known::Phone { phone, right }) => {
                    if self.has_pin(phone, digits) {
                        let rule = format!("telephone {:?} and PIN{}", phone.id, right.words);
                        let subject = holder(phone.person.as_ref(), &phone.id);
                        return Verdict::allowed(rule, subject, Some(source)).counted(right.uses);
                    }
                    if needs_pin(phone) {
                        return Verdict::wrong(source, subject, Reason::PinWrong);
                    }
                    format!("telephone {:?}", phone.id)
                }
                Err(reason) => return unlisted(source, subject, reason),
            },
        };
        match self.code(moment, digits, name, CodeFrom::Call) {
            Ok(code) => {
                let rule = format!("code {:?}{} dialled by {who}", code.id, code.right.words);
                Verdict::allowed(rule, subject, Some(source)).counted(code.right.uses)
            }
            Err(reason) => Verdict::wrong(source, subject, reason),
        }
    }

    fn keypad(
        &self,
        moment: Moment<'_>,
        door: &DoorPolicy,
        name: &DoorId,
        digits: &Secret,
        reader: &ReaderId,
    ) -> Verdict {
        if !door.readers.contains(reader) {
            return Verdict::refused(Subject::Unknown, Reason::ReaderElsewhere);
        }
        let source = Source::Keypad(reader.clone());
        if let Some(locked) = self.locked(moment, &source, &Subject::Unknown) {
            return locked;
        }
        match self.code(moment, digits, name, CodeFrom::Keypad) {
            Ok(code) => {
                let rule = format!("code {:?}{} at keypad {reader}", code.id, code.right.words);
                Verdict::allowed(rule, holder(code.person, code.id), Some(source)).counted(code.right.uses)
            }
            Err(reason) => Verdict::wrong(source, Subject::Unknown, reason),
        }
    }

    /// The code, of the site file or of the records. One of another time is as wrong as one of another door: the
    /// difference would tell a guesser that there is one.
    fn code(
        &self,
        moment: Moment<'_>,
        digits: &Secret,
        door: &DoorId,
        from: CodeFrom,
    ) -> Result<Found<'_>, Reason> {
        let mut found = match self.codes.find(&self.policy.codes, digits, door, from) {
            CodeMatch::Opens(at) => {
                let code = self.policy.codes.get(at).ok_or(Reason::CodeUnknown)?;
                self.in_time(moment, &code.when)?;
                return Ok(Found {
                    id: &code.id,
                    person: None,
                    right: Right {
                        uses: None,
                        words: within(&code.when),
                    },
                });
            }
            CodeMatch::Elsewhere => Reason::CodeNotForDoor,
            CodeMatch::Unknown => Reason::CodeUnknown,
        };
        for code in self.directory.codes(digits) {
            let right = if counts_from(code, from) {
                self.right(moment, code, door)
            } else {
                Err(Reason::CredentialNotForDoor)
            };
            match right {
                Ok(right) => {
                    return Ok(Found {
                        id: &code.id,
                        person: code.person.as_ref(),
                        right,
                    });
                }
                Err(Reason::CredentialNotForDoor) => found = Reason::CodeNotForDoor,
                Err(reason) => return Err(reason),
            }
        }
        Err(found)
    }
}

/// A code that opens.
struct Found<'a> {
    id: &'a CredentialId,
    person: Option<&'a PersonId>,
    right: Right,
}

/// What a credential may, in words, and the use that it takes.
struct Right {
    uses: Option<(CredentialId, u32)>,
    words: String,
}

/// Why the door listens to a caller.
enum Known<'a> {
    /// It lists them.
    Listed(&'a str),
    /// It is the telephone of somebody who may open it.
    Phone { phone: &'a Credential, right: Right },
}

fn needs_pin(phone: &Credential) -> bool {
    matches!(phone.proof, Proof::Phone { needs_pin: true, .. })
}

fn counts_from(code: &Credential, place: CodeFrom) -> bool {
    matches!(&code.proof, Proof::Code { from, .. } if from.contains(&place))
}

/// Is it valid today? What has no first and no last day needs no clock.
fn valid(moment: Moment<'_>, valid: Validity) -> Result<(), Reason> {
    if valid == Validity::default() {
        return Ok(());
    }
    let Some(wall) = moment.context.wall else {
        return Err(Reason::ClockUntrusted { schedule: None });
    };
    if valid.from.is_some_and(|from| wall < from) {
        Err(Reason::NotYetValid)
    } else if valid.until.is_some_and(|until| wall >= until) {
        Err(Reason::Expired)
    } else {
        Ok(())
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

/// The more it has of a right to open, the more its reason is worth telling, where several cards look alike.
fn rank(reason: &Reason) -> u8 {
    if matches!(reason, Reason::PinNeeded) {
        4
    } else if matches!(reason, Reason::PinWrong) {
        3
    } else if matches!(reason, Reason::PinMissing) {
        2
    } else {
        // before that it is for another door
        u8::from(!matches!(reason, Reason::CardNotForDoor))
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

/// A stranger's call is a wrong try; a caller who is known, at another time, does not guess.
fn unlisted(source: Source, subject: Subject, reason: Reason) -> Verdict {
    if matches!(reason, Reason::ClockUntrusted { .. } | Reason::NotNow { .. }) {
        Verdict::refused(subject, reason)
    } else {
        Verdict::wrong(source, subject, reason)
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
        Subject::Contact(peer.address.clone())
    } else {
        Subject::Unknown
    }
}

/// Whose tries digits in a call are.
pub(crate) fn dialler(from: &DigitsFrom) -> Source {
    match from {
        DigitsFrom::Called { subject, .. } => Source::caller(&subject.to_string()),
        DigitsFrom::Caller(peer) => caller_source(peer),
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
