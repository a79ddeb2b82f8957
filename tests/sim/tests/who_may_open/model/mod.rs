//! Who may open what, when: a small model of the rules, written from the guide (`docs/door-rules.md`) and the settled
//! rules of `ARCHITECTURE.md`, and from none of the code that it judges.
//!
//! It is slow and simple: lists instead of indexes, digits instead of digests, hours of a day instead of schedules,
//! milliseconds since the begin instead of clocks. It says exactly which doors open, by which means, and for how long.

mod doors;
mod people;
mod requests;
mod tries;

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::{DoorId, Factor};
use gateway_site::{DoorParams, When};
use sim::{T0, id, wall};

use crate::folk::Folk;
use crate::house::{DOORS, House};
use doors::{Hold, Pulse};
pub(crate) use requests::Pressed;
use tries::Tries;

/// Milliseconds since the begin.
pub(crate) type Ms = u64;

const HOUR: Ms = 3_600_000;
const DAY: Ms = 24 * HOUR;

/// Groups of doors that are locked down; `None` is the whole site.
pub(crate) type Locked = Option<&'static str>;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// Nobody of whom positions are kept: a number, a client, a button.
    Else,
    Person(&'static str),
    /// A credential that is nobody's.
    Thing(&'static str),
}

/// Where somebody is, and since when; `None` if the clock was not believed.
type Place = (String, Option<Ms>);

/// Where somebody was before they moved.
#[derive(Clone)]
struct Before {
    /// Which of all moves this one is, and which was their last one before.
    moves: (u64, Option<u64>),
    place: Option<Place>,
    who: Who,
}

/// A permission that waits for the disk.
#[derive(Clone)]
struct Waiting {
    before: Option<Before>,
    came: Vec<&'static str>,
    changes: u64,
    door: &'static str,
    factor: Factor,
    file: u64,
    /// When it is on the disk; `None` while the disk hangs.
    kept: Option<Ms>,
    open_for: Option<Ms>,
    until: Ms,
    uses: Option<&'static str>,
    went: Vec<&'static str>,
}

/// What outlives a power cut beside what is always kept at once.
#[derive(Clone)]
struct Disk {
    places: BTreeMap<Who, Place>,
    used: BTreeMap<&'static str, u32>,
}

/// What the model knows.
pub(crate) struct Model {
    pub(crate) now: Ms,
    awaited: BTreeMap<&'static str, (usize, Ms)>,
    believed: bool,
    /// Who of those for whom `front` waits came in, and on which day.
    came: Vec<(Ms, &'static str)>,
    /// Grows with each change of people.
    changes: u64,
    /// Doors whose contact says open.
    /// The fire alarm stands.
    pub(crate) alarm: bool,
    /// From when on a door is to open for fire.
    burns: BTreeMap<&'static str, Ms>,
    pub(crate) contacts: BTreeSet<&'static str>,
    /// As it was when the disk began to hang.
    disk: Option<Disk>,
    /// Openings that were not compared yet.
    pub(crate) expected: Vec<(String, Factor)>,
    /// Silent alarms that were not compared yet.
    pub(crate) forced: Vec<(String, Factor, String)>,
    /// Grows with each site file.
    file: u64,
    /// The level of the fire input.
    pub(crate) fire: bool,
    firsts: BTreeMap<&'static str, (&'static str, Ms)>,
    pub(crate) folk: Folk,
    hold: Hold,
    hosts: BTreeMap<&'static str, Vec<(Ms, &'static str)>>,
    house: House,
    journal: bool,
    pub(crate) lock_input: bool,
    locked: BTreeSet<Locked>,
    /// How long the disk takes; `None` if it hangs.
    medium: Option<Ms>,
    /// How many moves there were, and which was the last one of whom.
    moves: (u64, BTreeMap<Who, u64>),
    places: BTreeMap<Who, Place>,
    pulses: BTreeMap<&'static str, Pulse>,
    /// Bells of `main` call nobody until then (`None`: until it is ended); true if an earlier life was told so.
    quiet: Option<(Option<Ms>, bool)>,
    /// Who rings at `main` is let in until then.
    rings_open: Option<Ms>,
    /// When the last pulse of a door ended.
    rested: BTreeMap<&'static str, Ms>,
    /// What happened how often, to show that the stories are rich.
    pub(crate) seen: BTreeMap<&'static str, u32>,
    tries: Tries,
    used: BTreeMap<&'static str, u32>,
    /// When somebody rang at `main`.
    visitor: Option<Ms>,
    waiting: Vec<Waiting>,
}

impl Model {
    pub(crate) fn new(house: House) -> Self {
        Self {
            now: 0,
            awaited: BTreeMap::new(),
            believed: true,
            came: Vec::new(),
            changes: 0,
            contacts: BTreeSet::new(),
            disk: None,
            expected: Vec::new(),
            forced: Vec::new(),
            file: 0,
            alarm: false,
            burns: BTreeMap::new(),
            fire: false,
            firsts: BTreeMap::new(),
            folk: Folk::new(),
            hold: Hold::default(),
            hosts: BTreeMap::new(),
            house,
            journal: true,
            lock_input: false,
            locked: BTreeSet::new(),
            medium: Some(5),
            moves: (0, BTreeMap::new()),
            places: BTreeMap::new(),
            pulses: BTreeMap::new(),
            quiet: None,
            rings_open: None,
            rested: BTreeMap::new(),
            seen: BTreeMap::new(),
            tries: Tries::default(),
            used: BTreeMap::new(),
            visitor: None,
            waiting: Vec::new(),
        }
    }

    pub(crate) fn did(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn door(&self, name: &str) -> Option<&DoorParams> {
        self.house.params.doors.get(&id::<DoorId>(name))
    }

    /// Milliseconds of the wall clock, UTC.
    fn wall(&self) -> Ms {
        u64::try_from(wall(T0).as_millisecond()).expect("after 1970") + self.now
    }

    fn day(&self) -> Ms {
        self.wall() / DAY
    }

    /// Is it within these times? `None`: nobody knows, as the clock is not believed.
    fn in_force(&self, when: &When) -> Option<bool> {
        let When::In(schedule) = when else {
            return Some(*when == When::Always);
        };
        if !self.believed {
            return None;
        }
        // 1970 began on a Thursday
        let weekday = (self.day() + 4) % 7;
        let hour = self.wall() % DAY / HOUR;
        let office = if self.house.early { 6..14 } else { 8..18 };
        Some(match schedule.as_str() {
            "office" => (1..=5).contains(&weekday) && office.contains(&hour),
            _ => !(6..22).contains(&hour),
        })
    }

    /// When something happens by itself, the next time.
    pub(crate) fn next(&self) -> Ms {
        let hour = self.now + HOUR - self.wall() % HOUR;
        let pulses = self
            .pulses
            .values()
            .filter(|pulse| !pulse.hold && !pulse.fire_held)
            .map(|pulse| pulse.end);
        let kept = self
            .waiting
            .iter()
            .map(|waiting| waiting.kept.unwrap_or(Ms::MAX).min(waiting.until + 1));
        let quiet = self.quiet.and_then(|(until, _)| until);
        let rest = [self.hold.by_command, quiet].into_iter().flatten();
        let burns = DOORS.iter().filter_map(|door| self.fire_due(door));
        let all = pulses.chain(burns).chain(kept).chain(rest).chain([hour]);
        all.min().expect("an hour ends").max(self.now + 1)
    }

    /// Time passes.
    pub(crate) fn advance(&mut self, to: Ms) {
        while self.next() <= to {
            self.now = self.next();
            self.end_pulses();
            self.look_at_fire();
            self.quiet = self
                .quiet
                .filter(|(until, _)| until.is_none_or(|until| self.now < until));
            self.disk_tells();
            self.look_at_hold();
        }
        self.now = to;
    }

    /// What waited for the disk, or waited too long.
    fn disk_tells(&mut self) {
        let due =
            |waiting: &Waiting| waiting.kept.is_some_and(|kept| kept <= self.now) || self.now > waiting.until;
        let (due, rest): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(due);
        self.waiting = rest;
        for waiting in due {
            let in_time = waiting.kept.is_some_and(|kept| kept <= waiting.until);
            self.let_go(waiting, in_time);
        }
    }

    fn let_go(&mut self, waiting: Waiting, kept: bool) {
        let withdrawn = match waiting.uses {
            None => self.changes != waiting.changes,
            Some(thing) => self.has_right(thing, waiting.door).is_none(),
        };
        let last = |who: Who| self.moves.1.get(&who).copied();
        let stands = waiting
            .before
            .as_ref()
            .is_none_or(|before| last(before.who) == Some(before.moves.0));
        if !stands {
            self.did("overtaken by another way");
        }
        let opens = kept
            && stands
            && self.door(waiting.door).is_some()
            && self.file == waiting.file
            && !self.is_locked_down(waiting.door)
            && !self.is_interlocked(waiting.door)
            && !withdrawn;
        if !opens {
            // nobody came in; the use is spent
            self.did("kept and not opened");
            if let Some(Before { moves, place, who }) = waiting.before.filter(|_| stands) {
                match place {
                    Some(place) => self.places.insert(who, place),
                    None => self.places.remove(&who),
                };
                match moves.1 {
                    Some(number) => self.moves.1.insert(who, number),
                    None => self.moves.1.remove(&who),
                };
            }
            return;
        }
        self.did("opened once it was kept");
        self.arrives(waiting.door, &waiting.came);
        self.departs(&waiting.went);
        self.grant(waiting.door, waiting.factor, waiting.open_for);
    }

    /// Somebody is somewhere else from here on.
    fn moves(&mut self, who: Who, to: Option<Place>) -> Before {
        self.moves.0 += 1;
        let number = self.moves.0;
        let place = match to {
            Some(place) => self.places.insert(who, place),
            None => self.places.remove(&who),
        };
        let last = self.moves.1.insert(who, number);
        Before {
            moves: (number, last),
            place,
            who,
        }
    }

    /// Nobody knows any more where somebody is.
    fn forgets(&mut self, who: Who) {
        if self.places.contains_key(&who) {
            self.moves(who, None);
        }
    }

    pub(crate) fn clock(&mut self, believed: bool) {
        self.believed = believed;
        self.look_at_hold();
    }

    pub(crate) fn journal(&mut self, ok: bool) {
        self.journal = ok;
    }

    pub(crate) fn medium(&mut self, takes: Option<Ms>) {
        match (self.medium, takes) {
            (Some(_), None) => {
                self.disk = Some(Disk {
                    places: self.places.clone(),
                    used: self.used.clone(),
                });
            }
            (None, Some(takes)) => {
                // it takes what waited
                self.disk = None;
                for waiting in self.waiting.iter_mut().filter(|waiting| waiting.kept.is_none()) {
                    waiting.kept = Some(self.now + takes);
                }
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        self.medium = takes;
    }

    /// Nobody looked for a while: what was begun is forgotten.
    pub(crate) fn gap(&mut self) {
        self.forget_persons();
        self.awaited.clear();
        for waiting in std::mem::take(&mut self.waiting) {
            self.let_go(waiting, false);
        }
    }

    /// The first of two persons, and hosts.
    fn forget_persons(&mut self) {
        self.firsts.clear();
        self.hosts.clear();
    }

    pub(crate) fn people(&mut self, folk: Folk, changes: u64) {
        let gone = self.folk.people.iter().map(|man| man.name);
        let gone: Vec<&str> = gone.filter(|name| folk.man(name).is_none()).collect();
        for name in gone {
            self.forgets(Who::Person(name));
        }
        let there: BTreeSet<&str> = folk.things.iter().map(|thing| thing.name).collect();
        let lost = self.folk.things.iter().map(|thing| thing.name);
        let lost: Vec<&str> = lost.filter(|name| !there.contains(name)).collect();
        for name in lost {
            self.used.remove(name);
            self.forgets(Who::Thing(name));
            if let Some(disk) = &mut self.disk {
                disk.used.remove(name);
            }
        }
        self.folk = folk;
        self.changes += changes;
        self.forget_persons();
        self.look_at_hold();
    }

    /// Another site file.
    pub(crate) fn reload(&mut self, house: House) {
        let before = std::mem::replace(&mut self.house, house);
        self.file += 1;
        self.forget_persons();
        self.awaited.clear();
        for door in DOORS {
            let was = before.params.doors.get(&id(door));
            let strike = self.door(door).map(|door| door.strike);
            match (was, strike) {
                (Some(was), Some(strike)) if strike < was.strike => self.shorten(door, millis(strike)),
                (_, Some(_)) => {}
                (_, None) => {
                    self.pulses.remove(door);
                    self.rested.remove(door);
                    // one that comes again opens as it does
                    self.burns.insert(door, 0);
                }
            }
        }
        self.look_at_fire();
        if self.lock_input {
            self.begin_lockdown(Some("street"));
        }
        // a group that the file names again keeps its lockdown
        self.shut_locked_down();
        if self.house.params.panels[&id("main")].ring_to_open.is_none() {
            self.rings_open = None;
        }
        self.reload_hold();
        self.look_at_hold();
    }

    /// The power goes, and comes back.
    pub(crate) fn restart(&mut self) {
        if let Some(disk) = &self.disk {
            (self.places, self.used) = (disk.places.clone(), disk.used.clone());
        }
        self.forget_persons();
        self.awaited.clear();
        self.came.clear();
        self.pulses.clear();
        self.rested.clear();
        self.waiting.clear();
        self.visitor = None;
        self.hold = Hold::default();
        self.rings_open = None;
        // a start knows of no trouble yet
        (self.believed, self.journal) = (true, true);
        if let Some((_, restored)) = &mut self.quiet {
            *restored = true;
        }
        self.tries.restart(self.now);
        if self.alarm {
            self.burn();
        }
        self.look_at_fire();
        if self.lock_input {
            self.begin_lockdown(Some("street"));
        }
        self.look_at_hold();
    }

    fn is_locked_down(&self, door: &str) -> bool {
        let covers = |locked: &Locked| match locked {
            None => true,
            Some(group) => self.covers(group, door),
        };
        self.locked.iter().any(covers)
    }

    fn covers(&self, group: &str, door: &str) -> bool {
        let group = self.house.params.door_groups.get(&id(group));
        group.is_some_and(|group| group.doors.contains(&id(door)))
    }

    fn begin_lockdown(&mut self, group: Locked) {
        self.forget_persons();
        if group.is_none_or(|group| self.covers(group, "front")) {
            self.came.clear();
        }
        if self.locked.insert(group) {
            self.shut_locked_down();
        }
    }

    /// Pulses of those who were let in end, and nothing is held open.
    fn shut_locked_down(&mut self) {
        for door in DOORS {
            if self.is_locked_down(door) {
                self.shut(door);
            }
        }
        if self.is_locked_down("front") {
            self.rings_open = None;
        }
    }

    /// One door of an interlock opens only while all others are shut and not being opened, nor may be pulled open.
    fn is_interlocked(&self, door: &str) -> bool {
        let groups = self.house.params.door_groups.values();
        let mut groups = groups.filter(|group| group.interlock && group.doors.contains(&id(door)));
        groups.any(|group| {
            DOORS
                .iter()
                .any(|other| *other != door && group.doors.contains(&id(other)) && !self.is_at_rest(other))
        })
    }
}

pub(crate) fn millis(time: std::time::Duration) -> Ms {
    u64::try_from(time.as_millis()).expect("short")
}
