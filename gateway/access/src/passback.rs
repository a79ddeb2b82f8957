//! Anti-passback: whoever is in an area already does not come in again before they left.
//!
//! A position changes as somebody is let in or out at a reader. It ends when they leave, after the area's time, or by a
//! reset. Who leaves is never refused, and egress by an exit input says nothing of who it was. The positions are a
//! projection of records; what changed is told by [`Access::take_places`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gateway_core::{AreaId, DoorId, PersonId, ReaderId, Subject, Timestamp};

use crate::access::Access;
use crate::decision::Reason;
use crate::request::Context;

/// So many who left last are remembered: far more than leave while a coming in is written down.
const LEFT: usize = 256;

/// What an area does with somebody who is in it already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passback {
    /// They are refused.
    Hard,
    /// They are let in, and it is told.
    #[default]
    Soft,
}

/// An area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// What it does with somebody who is in it already.
    pub passback: Passback,
    /// A position counts for so long.
    pub time_out: Duration,
}

/// Where somebody is from here on, for the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// In which area; `None` is outside of all.
    pub area: Option<AreaId>,
    /// Since when; `None` if the clock was not believed, and then it counts until it is ended.
    pub since: Option<Timestamp>,
    /// Who: a person, or a credential that belongs to nobody.
    pub who: Subject,
}

/// Somebody was let into an area that they had not left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Which area.
    pub area: AreaId,
    /// By which door.
    pub door: DoorId,
    /// Who.
    pub subject: Subject,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inside {
    area: AreaId,
    /// Which move led there.
    number: u64,
    since: Option<Timestamp>,
}

/// Where somebody was, to go back to if the door does not open after all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Before {
    inside: Option<Inside>,
    /// Their move.
    number: u64,
    who: Subject,
}

/// Where a credential leads whoever shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Into an area.
    Into(AreaId),
    /// Nowhere: it is no reader of an area, or no reader at all.
    Nowhere,
    /// Out of the areas.
    Out,
}

impl Way {
    pub(crate) fn of(moves: Option<&Moves>) -> Self {
        match moves {
            None => Self::Nowhere,
            Some(moves) => moves.area.clone().map_or(Self::Out, Self::Into),
        }
    }
}

/// How somebody who is let in moves.
#[derive(Debug)]
pub(crate) struct Moves {
    /// Was there already.
    pub(crate) again: bool,
    pub(crate) area: Option<AreaId>,
    /// It has to be on the medium before the door opens: else a power cut would let them in again.
    pub(crate) hard: bool,
}

/// Who is where.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    inside: BTreeMap<Subject, Inside>,
    /// Who left last, by which move; the newest first.
    left: VecDeque<(Subject, u64)>,
    /// Moves until now.
    moves: u64,
    /// Of the last Grant: where those were who came in by it.
    last: Vec<Before>,
    moved: Vec<Place>,
    passed: Vec<Passed>,
}

impl Positions {
    /// Moves somebody, and tells where they were.
    pub(crate) fn place(&mut self, who: Subject, area: Option<AreaId>, since: Option<Timestamp>) -> Before {
        self.moves += 1;
        let number = self.moves;
        if area.is_none() {
            self.left.truncate(LEFT - 1);
            self.left.push_front((who.clone(), number));
        }
        let inside = area.map(|area| Inside { area, number, since });
        let inside = self.set(who.clone(), inside);
        Before { inside, number, who }
    }

    /// Nobody moved after all; who moved again since stays there.
    pub(crate) fn go_back(&mut self, before: Vec<Before>) {
        for before in before {
            if self.stands(&before) {
                self.left.retain(|(_, number)| *number != before.number);
                self.set(before.who, before.inside);
            }
        }
    }

    /// Did nobody of these move again since?
    pub(crate) fn stand(&self, before: &[Before]) -> bool {
        before.iter().all(|before| self.stands(before))
    }

    fn stands(&self, before: &Before) -> bool {
        let left = || self.left.iter().find(|(who, _)| *who == before.who);
        let inside = self.inside.get(&before.who).map(|inside| inside.number);
        let last = inside.or_else(|| left().map(|(_, number)| *number));
        last.is_none_or(|last| last == before.number)
    }

    /// A Grant was made for those.
    pub(crate) fn note(&mut self, before: Vec<Before>) {
        self.last = before;
    }

    pub(crate) fn pass(&mut self, passed: Passed) {
        self.passed.push(passed);
    }

    pub(crate) fn forget(&mut self, who: &Subject) {
        if self.inside.contains_key(who) {
            self.place(who.clone(), None, None);
        }
    }

    fn set(&mut self, who: Subject, inside: Option<Inside>) -> Option<Inside> {
        let (area, since) = match &inside {
            Some(inside) => (Some(inside.area.clone()), inside.since),
            None => (None, None),
        };
        let before = match inside {
            Some(inside) => self.inside.insert(who.clone(), inside),
            None => self.inside.remove(&who),
        };
        if before.is_some() || area.is_some() {
            self.moved.push(Place { area, since, who });
        }
        before
    }
}

impl Access {
    /// Takes up the positions of an earlier life, before the first decision.
    pub fn restore_places(&mut self, places: impl IntoIterator<Item = Place>) {
        for Place { area, since, who } in places {
            if let Some(area) = area {
                self.positions.moves += 1;
                let number = self.positions.moves;
                let inside = Inside { area, number, since };
                self.positions.inside.insert(who, inside);
            }
        }
    }

    /// What changed since it was asked last, for the records.
    #[must_use]
    pub fn take_places(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.positions.moved)
    }

    /// The door did not take the last Grant: whoever it was for is where they were, and came in nowhere.
    pub fn take_back(&mut self) {
        self.arrivals.take_back();
        let last = std::mem::take(&mut self.positions.last);
        self.positions.go_back(last);
    }

    /// Who was let into an area that they had not left, since it was asked last.
    #[must_use]
    pub fn take_passed(&mut self) -> Vec<Passed> {
        std::mem::take(&mut self.positions.passed)
    }

    /// Is there such a person: in the records, named by the site file, or in an area?
    #[must_use]
    pub fn knows(&self, person: &PersonId) -> bool {
        let cards = self.policy.cards.iter().map(|card| card.person.as_ref());
        let codes = self.policy.codes.iter().map(|code| code.person.as_ref());
        self.directory.person(person).is_some()
            || cards.chain(codes).flatten().any(|named| named == person)
            || self
                .positions
                .inside
                .contains_key(&Subject::Person(person.clone()))
    }

    /// Nobody knows any more where a person is, or (`None`) where anybody is: they may come in everywhere.
    pub fn reset_places(&mut self, person: Option<&PersonId>) {
        let all: Vec<Subject> = match person {
            Some(person) => vec![Subject::Person(person.clone())],
            None => self.positions.inside.keys().cloned().collect(),
        };
        for who in all {
            self.positions.forget(&who);
        }
    }

    /// How somebody moves who is let in at a reader; `Err` if they may not, since they are there already.
    pub(crate) fn moves(
        &self,
        context: &Context,
        reader: &ReaderId,
        who: &Subject,
    ) -> Result<Option<Moves>, Reason> {
        let (Some(policy), Subject::Credential(_) | Subject::Person(_)) =
            (self.policy.readers.get(reader), who)
        else {
            return Ok(None);
        };
        let Some(into) = &policy.into else {
            let leaves = policy.out_of.is_some();
            return Ok(leaves.then_some(Moves {
                again: false,
                area: None,
                hard: false,
            }));
        };
        let Some(area) = self.policy.areas.get(into) else {
            return Ok(None);
        };
        let again = self.is_inside(context, into, area, who);
        let hard = area.passback == Passback::Hard;
        if hard && again {
            return Err(Reason::Passback { area: into.clone() });
        }
        // What was not written down could be done again after a power cut.
        if hard && !context.journal_ok {
            return Err(Reason::JournalFault);
        }
        Ok(Some(Moves {
            again,
            area: Some(into.clone()),
            hard,
        }))
    }

    fn is_inside(&self, context: &Context, into: &AreaId, area: &Area, who: &Subject) -> bool {
        let Some(inside) = self.positions.inside.get(who).filter(|i| i.area == *into) else {
            return false;
        };
        let (Some(since), Some(wall)) = (inside.since, context.wall) else {
            return true;
        };
        // by a clock that was set back it is not over either
        Duration::try_from(wall.duration_since(since)).map_or(true, |age| age < area.time_out)
    }
}
