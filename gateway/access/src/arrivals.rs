//! Who came in at a door, as far as other rules go by it: the first of the day, after whom a schedule may hold the door
//! open, and hosts, after whom those come in who need one.
//!
//! Only people count who showed a card or typed a code at the door itself, on their way in: who opens from a telephone or
//! by a command is somewhere else. Nothing of it is kept: after a restart, a lockdown of the door or a new day somebody
//! has to come anew.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gateway_core::{DoorId, GroupId, Instant, PersonId, ReaderId};
use jiff::civil::Date;

use crate::access::Access;
use crate::decision::Reason;
use crate::policy::Escort;
use crate::request::{Context, Request};

/// Those who came in last at a door, of whom one may be the host; of more the oldest are forgotten, which opens nothing.
const HOSTS: usize = 16;

/// Somebody who came in.
#[derive(Clone, Debug)]
struct Host {
    at: Instant,
    person: PersonId,
}

/// Who came on a day, of those for whom the door waits: any of them who is still one of them will do.
#[derive(Debug)]
struct Day {
    came: BTreeSet<PersonId>,
    date: Date,
}

/// What the last Grant added to the day of its door.
#[derive(Debug, Default)]
enum Added {
    /// A new day; this is the one before.
    Day(Option<Day>),
    #[default]
    Nobody,
    /// These, who had not come yet.
    People(Vec<PersonId>),
}

/// Who came in, by door.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// The last day on which somebody came for whom the door waits.
    days: BTreeMap<DoorId, Day>,
    hosts: BTreeMap<DoorId, VecDeque<Host>>,
    /// Of the last Grant: at which door how many came in, and what that added to its day.
    last: Option<(DoorId, usize, Added)>,
}

impl Arrivals {
    /// Nobody is anybody's host any more.
    pub(crate) fn forget_hosts(&mut self) {
        self.hosts.clear();
    }

    /// Nobody has come at these doors.
    pub(crate) fn forget_at(&mut self, door: impl Fn(&DoorId) -> bool) {
        self.days.retain(|id, _| !door(id));
        self.hosts.retain(|id, _| !door(id));
    }

    /// These are out again, and bring nobody in.
    pub(crate) fn leave(&mut self, went: &[PersonId]) {
        for hosts in self.hosts.values_mut() {
            hosts.retain(|host| !went.contains(&host.person));
        }
    }

    /// Whoever came in by the last Grant did not, after all.
    pub(crate) fn take_back(&mut self) {
        let Some((door, came, added)) = self.last.take() else {
            return;
        };
        if let Some(hosts) = self.hosts.get_mut(&door) {
            hosts.truncate(hosts.len().saturating_sub(came));
        }
        match added {
            Added::Day(Some(before)) => {
                self.days.insert(door, before);
            }
            Added::Day(None) => {
                self.days.remove(&door);
            }
            Added::Nobody => {}
            Added::People(people) => {
                if let Some(day) = self.days.get_mut(&door) {
                    day.came.retain(|person| !people.contains(person));
                }
            }
        }
    }

    /// These came on a day, of those for whom the door waits.
    fn note_day(&mut self, door: &DoorId, date: Date, people: Vec<PersonId>) -> Added {
        if people.is_empty() {
            return Added::Nobody;
        }
        match self.days.get_mut(door).filter(|day| day.date == date) {
            Some(day) => {
                let new = people
                    .into_iter()
                    .filter(|person| day.came.insert(person.clone()));
                Added::People(new.collect())
            }
            None => {
                let came = people.into_iter().collect();
                Added::Day(self.days.insert(door.clone(), Day { came, date }))
            }
        }
    }
}

impl Access {
    /// Is it somebody at the door, on the way in?
    pub(crate) fn comes_in(&self, request: &Request) -> bool {
        request.reader().is_some_and(|reader| !self.leads_out(reader))
    }

    /// Is it somebody at a reader on the way out?
    pub(crate) fn leaves(&self, request: &Request) -> bool {
        request.reader().is_some_and(|reader| self.leads_out(reader))
    }

    fn leads_out(&self, reader: &ReaderId) -> bool {
        let reader = self.policy.readers.get(reader);
        reader.is_some_and(|reader| reader.out_of.is_some() && reader.into.is_none())
    }

    /// A Grant is made for these, who come in.
    pub(crate) fn note_arrival(&mut self, now: Instant, context: &Context, door: &DoorId, came: &[PersonId]) {
        self.arrivals.last = None;
        if came.is_empty() {
            return;
        }
        let awaited = self.doors.get(door).and_then(|door| door.hold.after.clone());
        let added = match (context.wall, awaited) {
            (Some(wall), Some(group)) => {
                let counts = came
                    .iter()
                    .filter(|person| self.is_in(person, &group, context.wall));
                let counts = counts.cloned().collect();
                let date = self.policy.schedules.local(wall).date();
                self.arrivals.note_day(door, date, counts)
            }
            (None, _) | (_, None) => Added::Nobody,
        };
        let hosts = self.arrivals.hosts.entry(door.clone()).or_default();
        for person in came {
            if hosts.len() == HOSTS {
                hosts.pop_front();
            }
            let (at, person) = (now, person.clone());
            hosts.push_back(Host { at, person });
        }
        self.arrivals.last = Some((door.clone(), came.len(), added));
    }

    /// Did somebody of the group come in at the door today?
    pub(crate) fn first_is_in(
        &self,
        context: &Context,
        door: &DoorId,
        group: &GroupId,
    ) -> Result<(), Reason> {
        let date = context.wall.map(|wall| self.policy.schedules.local(wall).date());
        let today = self.arrivals.days.get(door).filter(|day| Some(day.date) == date);
        let mut came = today.into_iter().flat_map(|day| &day.came);
        let came = came.any(|person| self.is_in(person, group, context.wall));
        let group = group.clone();
        came.then_some(()).ok_or(Reason::FirstAwaited { group })
    }

    /// Did a host of this person, who is another one, come in at the door a moment ago?
    pub(crate) fn is_escorted(
        &self,
        now: Instant,
        context: &Context,
        door: &DoorId,
        person: &PersonId,
        escort: &Escort,
    ) -> Result<(), Reason> {
        let lately = |host: &Host| host.at <= now && now.since(host.at) <= escort.within;
        let is_host =
            |host: &Host| host.person != *person && self.is_in(&host.person, &escort.by, context.wall);
        let mut hosts = self.arrivals.hosts.get(door).into_iter().flatten();
        if hosts.any(|host| lately(host) && is_host(host)) {
            return Ok(());
        }
        Err(Reason::EscortNeeded {
            by: escort.by.clone(),
            within: escort.within,
        })
    }
}
