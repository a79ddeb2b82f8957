//! Cards, and the PIN that completes one.

use gateway_core::{CardFrame, DoorId, PersonId, ReaderId, Secret, Subject};

use super::{Moment, Refused, Verdict, holder, within};
use crate::access::Access;
use crate::card::tidy;
use crate::code::same_code;
use crate::decision::Reason;
use crate::directory::Credential;
use crate::lockout::Source;
use crate::policy::{Card, DoorPolicy};
use crate::schedule::InForce;

impl Access {
    pub(super) fn card(
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
            let subject = holder(self.holder_of(card, frame), &card.id);
            let reason = match self.card_opens(moment, (card, frame), name, alone, pin) {
                Ok(with) => {
                    let rule = format!("card {:?}{with} at reader {reader}", card.id);
                    let source = if pin.is_some() { keypad } else { source };
                    return Verdict::allowed(rule, subject, Some(source)).open_for(card.open_for);
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
                    return Verdict::allowed(rule, subject, Some(source)).by_right(right);
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

    /// Whose card of the site file it is: whom it names; if nobody, who has the same card in the records.
    fn holder_of<'a>(&'a self, card: &'a Card, frame: &CardFrame) -> Option<&'a PersonId> {
        let records = || {
            let same = self.directory.cards(frame).into_iter();
            same.filter_map(|card| card.person.as_ref()).next()
        };
        card.person.as_ref().or_else(records)
    }

    /// What else opened, in words; or why it does not open.
    fn card_opens(
        &self,
        moment: Moment<'_>,
        (card, frame): (&Card, &CardFrame),
        door: &DoorId,
        alone: bool,
        pin: Option<&Secret>,
    ) -> Result<String, Reason> {
        if !card.doors.contains(door) {
            return Err(Reason::CardNotForDoor);
        }
        self.named(moment, self.holder_of(card, frame))?;
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
