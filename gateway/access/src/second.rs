//! The two-person rule: a door that opens only when two different persons show a credential one after the other.
//!
//! The first opens nothing and is remembered for a moment; the second, another person, opens. Only credentials of
//! persons count, and only those without a number of uses: of anything else nobody could say that it is another person's,
//! or whether the first of two used it up. Egress is not asked.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{DoorId, Instant, PersonId, Subject};

use crate::access::Access;
use crate::decision::Reason;
use crate::judge::{Allowed, Refused};
use crate::passback::Way;
use crate::policy::DoorPolicy;
use crate::request::Context;
use crate::schedule::InForce;

/// A person who showed a good credential, and waits for another one.
#[derive(Debug)]
struct First {
    person: PersonId,
    until: Instant,
    /// The second has to go the same way: else one would let the other in and stay, or leave, alone.
    way: Way,
}

/// Who waits, at which door.
#[derive(Debug, Default)]
pub(crate) struct Firsts {
    by_door: BTreeMap<DoorId, First>,
}

impl Firsts {
    /// This person waits for another from now on; who waited before does not any more.
    pub(crate) fn wait(&mut self, now: Instant, door: DoorId, person: PersonId, within: Duration, way: Way) {
        let until = now + within;
        self.by_door.insert(door, First { person, until, way });
    }

    /// The door opened for both.
    pub(crate) fn end(&mut self, door: &DoorId) {
        self.by_door.remove(door);
    }

    pub(crate) fn clear(&mut self) {
        self.by_door.clear();
    }
}

impl Access {
    /// Whoever was the first of two, or somebody's host, is forgotten, at every door: what they showed is old news.
    pub fn forget_firsts(&mut self) {
        self.firsts.clear();
        self.arrivals.forget_hosts();
    }

    /// Does the door want two persons at this time? If nobody knows the time, it does.
    fn wants_two(&self, context: &Context, door: &DoorPolicy) -> bool {
        self.policy.schedules.look(&door.two_persons, context.wall) != InForce::No
    }

    /// Who would be let in alone, at a door that may want two.
    pub(crate) fn paired(
        &self,
        now: Instant,
        context: &Context,
        door: &DoorPolicy,
        name: &DoorId,
        allowed: Allowed,
    ) -> Result<Allowed, Refused> {
        if !self.wants_two(context, door) {
            return Ok(allowed);
        }
        let (Subject::Person(person), None) = (&allowed.subject, &allowed.uses) else {
            let (reason, subject) = (Reason::TwoPersons, allowed.subject);
            return Err(Refused { reason, subject });
        };
        let way = Way::of(allowed.moves.as_ref());
        let waits = self.firsts.by_door.get(name).filter(|first| now < first.until);
        match waits {
            Some(first) if first.person != *person && first.way == way => Ok(Allowed {
                first: Some(first.person.clone()),
                rule: format!("{}, second after person {}", allowed.rule, first.person),
                ..allowed
            }),
            Some(_) | None => {
                let within = door.second_within;
                let (reason, subject) = (Reason::SecondAwaited { way, within }, allowed.subject);
                Err(Refused { reason, subject })
            }
        }
    }
}
