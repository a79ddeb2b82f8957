//! What people, cards, codes and numbers may open, before anything else is asked.

use gateway_core::{DoorId, GroupId};
use gateway_site::{Group, When};
use sim::id;

use super::{Model, Ms, Who, millis};
use crate::folk::{DAN, Has, Thing};
use crate::house::{READERS, SITE_CARDS};
use crate::story::CARDS;

/// Why something opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum No {
    /// It is not for this door, or not from here.
    Elsewhere,
    /// It is somebody's who may not, it is used up, or the like.
    Other,
    /// The PIN is missing; with it, it might.
    PinNeeded,
    /// It was typed, and is another one.
    PinWrong,
    /// It is another time, or nobody knows the time.
    Time,
    /// Nobody has it.
    Unknown,
}

/// What something opens a door by.
pub(super) struct Good {
    pub(super) open_for: Option<Ms>,
    pub(super) uses: Option<&'static str>,
    pub(super) who: Who,
}

impl Model {
    /// Is a person of the records in a group at this moment?
    pub(super) fn is_in(&self, person: &str, group: &str) -> bool {
        let man = self.folk.man(person);
        man.is_some_and(|man| !man.blocked && man.groups.contains(group) && self.is_valid(person) == Ok(()))
    }

    fn is_valid(&self, person: &str) -> Result<(), No> {
        if person != "dan" {
            return Ok(());
        }
        let minutes = DAN.0 * 60_000..DAN.1 * 60_000;
        match (self.believed, minutes.contains(&self.now)) {
            (false, _) => Err(No::Time),
            (true, true) => Ok(()),
            (true, false) => Err(No::Other),
        }
    }

    fn group(&self, name: &str) -> Option<&Group> {
        self.house.params.groups.get(&id::<GroupId>(name))
    }

    /// Does a group open a door for one of its people now?
    fn group_opens(&self, name: &str, door: &'static str, person: &str, leaves: bool) -> Result<(), No> {
        let group = self
            .group(name)
            .filter(|group| group.doors.contains(&id::<DoorId>(door)));
        let Some(group) = group else {
            return Err(No::Elsewhere);
        };
        if self.in_force(&group.when) != Some(true) {
            return Err(No::Time);
        }
        let Some(escort) = group.escort.as_ref().filter(|_| !leaves) else {
            return Ok(());
        };
        let within = millis(escort.within);
        let hosts = self.hosts.get(door).into_iter().flatten();
        // of more than these the oldest are forgotten
        let mut hosts = hosts.rev().take(16);
        let host = |(at, who): &(Ms, &'static str)| {
            *who != person && self.now - at <= within && self.is_in(who, escort.by.as_str())
        };
        if hosts.any(host) { Ok(()) } else { Err(No::Other) }
    }

    /// What somebody's thing opens a door by, whatever else it needs.
    fn right(&self, thing: &Thing, door: &'static str, leaves: bool) -> Result<Good, No> {
        let (open_for, by) = self.right_but_uses(thing, door, leaves)?;
        let used = self.used.get(thing.name).copied().unwrap_or(0);
        if thing.uses.is_some_and(|most| used >= most || !self.journal) {
            return Err(No::Other);
        }
        Ok(Good {
            open_for,
            uses: thing.uses.map(|_| thing.name),
            who: by,
        })
    }

    fn right_but_uses(
        &self,
        thing: &Thing,
        door: &'static str,
        leaves: bool,
    ) -> Result<(Option<Ms>, Who), No> {
        let man = match thing.whose {
            None => None,
            Some(whose) => Some(self.folk.man(whose).filter(|man| !man.blocked).ok_or(No::Other)?),
        };
        let mut opens = if thing.doors.contains(&door) {
            Ok(())
        } else {
            Err(No::Elsewhere)
        };
        let mut longest = None;
        for (man, group) in man
            .into_iter()
            .flat_map(|man| man.groups.iter().map(move |group| (man, group)))
        {
            let by_group = self.group_opens(group, door, man.name, leaves);
            if by_group == Ok(()) {
                let time = self.group(group).and_then(|group| group.open_for).map(millis);
                longest = longest.max(time);
            }
            if opens.is_err() && by_group != Err(No::Elsewhere) {
                opens = by_group;
            }
        }
        opens?;
        if thing.uses.is_some() && !self.believed {
            return Err(No::Time);
        }
        if let Some(whose) = thing.whose {
            self.is_valid(whose)?;
        }
        Ok((longest, thing.whose.map_or(Who::Thing(thing.name), Who::Person)))
    }

    /// Has a thing that is counted still its right, however often it was used?
    pub(super) fn has_right(&self, name: &str, door: &'static str) -> Option<()> {
        let thing = self.folk.things.iter().find(|thing| thing.name == name)?;
        self.right_but_uses(thing, door, true).ok().map(|_| ())
    }

    /// Whose PIN this is, and whether it is typed under duress.
    fn pin_of(&self, person: &str, digits: &str) -> Option<bool> {
        let theirs = self
            .folk
            .things
            .iter()
            .filter(|thing| thing.whose == Some(person));
        let mut pins = theirs.filter_map(|thing| {
            if let Has::Pin(pin) = thing.has {
                (pin == digits).then_some(false)
            } else if let Has::DuressPin(pin) = thing.has {
                (pin == digits).then_some(true)
            } else {
                None
            }
        });
        pins.next()
    }

    fn has_pin(&self, person: &str) -> bool {
        let mut theirs = self
            .folk
            .things
            .iter()
            .filter(|thing| thing.whose == Some(person));
        theirs.any(|thing| matches!(thing.has, Has::Pin(_) | Has::DuressPin(_)))
    }

    fn of_card(&self, card: usize) -> Option<&Thing> {
        let number = CARDS[card].strip_prefix("26:")?;
        let mut things = self.folk.things.iter();
        things.find(|thing| matches!(thing.has, Has::Card(own) if own == number))
    }

    /// Who is forced to type this PIN after a card.
    pub(super) fn forced_by_pin(&self, card: usize, digits: &str) -> Option<&'static str> {
        let whose = self.of_card(card)?.whose?;
        (self.pin_of(whose, digits) == Some(true)).then_some(whose)
    }

    /// Who is forced to type this code.
    pub(super) fn forced_by_code(&self, digits: &str) -> Option<&'static str> {
        let mut things = self.folk.things.iter();
        things
            .find(|thing| matches!(thing.has, Has::DuressCode(code) if code == digits))?
            .whose
    }

    /// What a card is good for at a reader, alone or with what was typed after it.
    pub(super) fn card_at(&self, reader: &str, card: usize, pin: Option<&str>) -> Result<Good, No> {
        let at = READERS
            .iter()
            .find(|(name, _)| *name == reader)
            .expect("a reader");
        let door = at.1;
        let leaves = reader == "lab-out";
        let alone = self.house.params.readers[&id(reader)].card_alone.clone();
        let alone = self.in_force(&alone) == Some(true);
        let asks = |has_pin: bool, is_right: bool| match pin {
            None if alone => Ok(()),
            Some(_) if is_right => Ok(()),
            None | Some(_) if !has_pin => Err(No::Other),
            None => Err(No::PinNeeded),
            Some(_) => Err(No::PinWrong),
        };
        if let Some((name, _, own, person)) = SITE_CARDS.iter().find(|(_, frame, _, _)| *frame == CARDS[card])
        {
            let params = &self.house.params.cards[&id(name)];
            if !params.doors.contains(&id::<DoorId>(door)) {
                return Err(No::Elsewhere);
            }
            if self.in_force(&params.when) != Some(true) {
                return Err(No::Time);
            }
            asks(own.is_some(), *own == pin && pin.is_some())?;
            return Ok(Good {
                open_for: params.open_for.map(millis),
                uses: None,
                who: person.map_or(Who::Thing(name), Who::Person),
            });
        }
        let thing = self.of_card(card).ok_or(No::Unknown)?;
        let good = self.right(thing, door, leaves)?;
        let whose = thing.whose.expect("cards of the records are somebody's");
        asks(
            self.has_pin(whose),
            pin.is_some_and(|pin| self.pin_of(whose, pin).is_some()),
        )?;
        Ok(good)
    }

    /// What a code opens a door by, from a keypad or from a call.
    pub(super) fn code_at(&self, door: &'static str, digits: &str, call: bool) -> Result<Good, No> {
        let of_site = self
            .house
            .params
            .codes
            .iter()
            .find(|(_, code)| code.digits == digits);
        if let Some((_, code)) = of_site
            && code.doors.contains(&id::<DoorId>(door))
            && (if call { code.from_call } else { code.from_keypad })
        {
            return if self.in_force(&code.when) == Some(true) {
                Ok(Good {
                    open_for: None,
                    uses: None,
                    who: Who::Thing("a code of the site file"),
                })
            } else {
                Err(No::Time)
            };
        }
        let things = self.folk.things.iter();
        let mut things = things.filter(|thing| match thing.has {
            Has::Code(code, dialled) => code == digits && (dialled || !call),
            Has::DuressCode(code) => code == digits,
            Has::Card(_) | Has::DuressPin(_) | Has::Phone(..) | Has::Pin(_) => false,
        });
        let thing = things.next().ok_or(No::Unknown)?;
        self.right(thing, door, false)
    }

    /// Could these digits, dialled in a call, open this door at some time?
    pub(super) fn could_open(&self, door: &str, digits: &str) -> bool {
        let door: DoorId = id(door);
        let mut codes = self.house.params.codes.values();
        if codes.any(|code| code.digits == digits && code.from_call && code.doors.contains(&door)) {
            return true;
        }
        self.folk.things.iter().any(|thing| {
            let is_it = match thing.has {
                Has::Code(code, dialled) => code == digits && dialled,
                Has::DuressCode(code) => code == digits,
                Has::Card(_) | Has::DuressPin(_) | Has::Phone(..) | Has::Pin(_) => false,
            };
            let groups = thing
                .whose
                .and_then(|whose| self.folk.man(whose))
                .map(|man| &man.groups);
            let mut groups = groups.into_iter().flatten();
            let by_group = |group: &str| self.group(group).is_some_and(|group| group.doors.contains(&door));
            is_it
                && (thing.doors.iter().any(|own| *own == door.as_str())
                    || groups.any(|group| by_group(group)))
        })
    }

    /// Why a door listens to a number: `Ok` with whose telephone it is, and whether that needs the PIN.
    pub(super) fn known(&self, door: &'static str, number: &str, vouched: bool) -> Result<(Good, bool), No> {
        if !vouched {
            return Err(No::Unknown);
        }
        let mut found = No::Unknown;
        let address = format!("sip:{number}@pbx.example");
        let listed = self.door(door).into_iter().flat_map(|door| &door.callers);
        for caller in listed.filter(|caller| caller.address == address) {
            if self.in_force(&caller.when) == Some(true) {
                let good = Good {
                    open_for: None,
                    uses: None,
                    who: Who::Else,
                };
                return Ok((good, false));
            }
            found = No::Time;
        }
        for thing in &self.folk.things {
            let Has::Phone(own, needs_pin) = thing.has else {
                continue;
            };
            match self.right(thing, door, false) {
                _ if own != number => {}
                Ok(good) => return Ok((good, needs_pin)),
                Err(No::Elsewhere) => {}
                Err(no) => found = no,
            }
        }
        Err(found)
    }

    /// Is it a PIN of the owner of this number?
    pub(super) fn is_pin_of_number(&self, number: &str, digits: &str) -> bool {
        let mut things = self.folk.things.iter();
        things.any(|thing| {
            let own = matches!(thing.has, Has::Phone(own, _) if own == number);
            own && thing
                .whose
                .is_some_and(|whose| self.pin_of(whose, digits).is_some())
        })
    }

    /// Does a door want two persons now? If nobody knows the time, it does.
    pub(super) fn wants_two(&self, door: &str) -> bool {
        let when = self
            .door(door)
            .map_or(When::Never, |door| door.two_persons.clone());
        self.in_force(&when) != Some(false)
    }
}
