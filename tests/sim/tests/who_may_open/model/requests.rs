//! What happens at readers, keypads, bells and telephones, and what is commanded.

use gateway_core::Factor;
use gateway_site::{ButtonMode, OnJournalFault, Passback, When};
use sim::id;

use super::people::{Good, No};
use super::{Locked, Model, Ms, Waiting, Who, millis};
use crate::house::READERS;

/// How long a card waits for its PIN.
const PIN: Ms = 10_000;
/// How long a permission lives.
const GRANT: Ms = 2_000;

/// What a press leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    /// This number is called.
    Calls(&'static str),
    Nobody,
}

fn door_at(reader: &str) -> &'static str {
    READERS
        .iter()
        .find(|(name, _)| *name == reader)
        .expect("a reader")
        .1
}

impl Model {
    /// May anybody be let in there, as far as the gateway itself is concerned?
    fn serves(&self, door: &str) -> bool {
        self.door(door)
            .is_some_and(|door| self.journal || door.on_journal_fault == OnJournalFault::OpenAndBuffer)
    }

    /// Somebody who is good for a door asks to be let in; `source` is forgiven if they are.
    fn enter(
        &mut self,
        door: &'static str,
        factor: Factor,
        reader: Option<&'static str>,
        good: Good,
        source: Option<&str>,
    ) -> bool {
        let Good { open_for, uses, who } = good;
        let way = reader.map(|reader| self.house.params.readers[&id(reader)].clone());
        let area = way.as_ref().and_then(|way| way.into.clone());
        let hard = area
            .as_ref()
            .is_some_and(|area| self.house.params.areas[area].passback == Passback::Hard);
        if let Some(area) = &area
            && hard
            && (self.is_inside(who, area.as_str()) || !self.journal)
        {
            self.did("kept out of an area");
            return false;
        }
        if self.is_locked_down(door) {
            self.did("kept out by a lockdown");
            return false;
        }
        if self.is_interlocked(door) {
            self.did("kept out by an interlock");
            return false;
        }
        let mut came = Vec::new();
        if self.wants_two(door) {
            let (Who::Person(person), None) = (who, uses) else {
                self.did("alone where two are wanted");
                return false;
            };
            match self.firsts.get(door) {
                Some((first, until)) if *first != person && self.now < *until => {
                    came.push(*first);
                    self.did("opened by the second of two");
                }
                Some(_) | None => {
                    let within = self.door(door).map_or(0, |door| millis(door.second_within));
                    self.firsts.insert(door, (person, self.now + within));
                    return false;
                }
            }
        }
        if let Some(source) = source {
            self.tries.right(source);
        }
        self.firsts.remove(door);
        if let Who::Person(person) = who {
            came.push(person);
        }
        let leads_out = way
            .as_ref()
            .is_some_and(|way| way.out_of.is_some() && way.into.is_none());
        if reader.is_none() {
            came.clear();
        }
        let went = if leads_out {
            std::mem::take(&mut came)
        } else {
            Vec::new()
        };
        let moves = area.is_some() || leads_out;
        let mut before = None;
        if moves && who != Who::Else {
            let since = self.believed.then_some(self.now);
            before = Some(self.moves(who, area.as_ref().map(|area| (area.to_string(), since))));
        }
        if let Some(thing) = uses {
            *self.used.entry(thing).or_default() += 1;
        }
        if uses.is_some() || hard {
            self.waiting.push(Waiting {
                before,
                came,
                changes: self.changes,
                door,
                factor,
                file: self.file,
                kept: self.medium.map(|takes| self.now + takes),
                open_for,
                until: self.now + GRANT,
                uses,
                went,
            });
            return true;
        }
        self.arrives(door, &came);
        self.departs(&went);
        self.grant(door, factor, open_for);
        true
    }

    fn is_inside(&self, who: Who, area: &str) -> bool {
        let Some((_, since)) = self.places.get(&who).filter(|(place, _)| place == area) else {
            return false;
        };
        let time_out = millis(self.house.params.areas[&id(area)].time_out);
        match since {
            Some(since) if self.believed => self.now - since < time_out,
            Some(_) | None => true,
        }
    }

    /// A card is shown.
    pub(crate) fn card(&mut self, reader: &'static str, card: usize) {
        self.awaited.remove(reader);
        let door = door_at(reader);
        if !self.serves(door) {
            return;
        }
        let source = format!("R{reader}");
        if !self.tries.is_locked(self.now, &source) {
            match self.card_at(reader, card, None) {
                Ok(good) => {
                    if let Who::Person("vic") = good.who
                        && door == "lab"
                    {
                        self.did("a visitor at the laboratory");
                    }
                    self.enter(door, Factor::Card, Some(reader), good, Some(&source));
                }
                Err(_) if self.is_locked_down(door) => {}
                Err(No::PinNeeded) => {
                    self.awaited.insert(reader, (card, self.now + PIN));
                }
                Err(No::Unknown) => self.tries.wrong(self.now, &source),
                // whoever is known does not guess
                Err(_) => {}
            }
        } else {
            self.did("a reader is locked");
        }
        self.look_at_hold();
    }

    /// Something is typed at a keypad, to its end.
    pub(crate) fn typed(&mut self, reader: &'static str, digits: &str) {
        let door = door_at(reader);
        let awaited = self.awaited.remove(reader).filter(|(_, until)| self.now < *until);
        if self.door(door).is_none() {
            return;
        }
        let forced = match awaited {
            Some((card, _)) => self.forced_by_pin(card, digits),
            None => self.forced_by_code(digits),
        };
        let factor = if awaited.is_some() {
            Factor::Card
        } else {
            Factor::Code
        };
        if let Some(person) = forced {
            self.did("forced");
            self.forced
                .push((door.to_owned(), factor, format!("person:{person}")));
        }
        let (cards, source) = (format!("R{reader}"), format!("K{reader}"));
        let locked = self.tries.is_locked(self.now, &source);
        let locked = locked || awaited.is_some() && self.tries.is_locked(self.now, &cards);
        if locked {
            self.did("a keypad is locked");
        }
        if self.serves(door) && !locked {
            let said = match awaited {
                Some((card, _)) => self.card_at(reader, card, Some(digits)),
                None => self.code_at(door, digits, false),
            };
            match (said, awaited) {
                (Ok(good), _) => {
                    if awaited.is_some() {
                        self.did("card and PIN");
                    }
                    self.enter(door, factor, Some(reader), good, Some(&source));
                }
                (Err(_), _) if self.is_locked_down(door) => {}
                (Err(No::PinWrong), Some(_)) | (Err(_), None) => self.tries.wrong(self.now, &source),
                (Err(_), Some(_)) => {}
            }
        }
        self.look_at_hold();
    }

    /// A button of `main` is pressed while nobody has its line.
    pub(crate) fn press(&mut self, name: &str) -> Pressed {
        let button = self.house.params.panels[&id("main")].buttons[&id(name)].clone();
        let day = self.in_force(&button.day) == Some(true);
        let good = || Good {
            open_for: None,
            uses: None,
            who: Who::Else,
        };
        let asked = self.rings_open.is_some_and(|until| self.now < until);
        if asked {
            let before = self.visitor.replace(self.now);
            if self.enter("front", Factor::Button, None, good(), None) {
                self.did("a ring that opens by a command");
                self.look_at_hold();
                return Pressed::Nobody;
            }
            self.visitor = before;
        }
        if button.mode == ButtonMode::ListForbidden && !day {
            self.did("a button that calls nobody by night");
            return Pressed::Nobody;
        }
        self.visitor = Some(self.now);
        if button.mode == ButtonMode::StrikeList
            && day
            && !asked
            && self.enter("front", Factor::Button, None, good(), None)
        {
            self.did("a button that opens by day");
            self.look_at_hold();
            return Pressed::Nobody;
        }
        let told = self
            .quiet
            .is_some_and(|(until, restored)| until.is_none() || !restored || self.believed);
        if told || self.in_force(&button.quiet) == Some(true) {
            self.did("do not disturb");
            return Pressed::Nobody;
        }
        let night = button.night.as_ref().filter(|_| !day);
        Pressed::Calls(if night.is_some() { "1009" } else { "1000" })
    }

    /// Whoever was called by `main` dials.
    pub(crate) fn dials(&mut self, number: &str, digits: &str) {
        let door = ["front", "outer"]
            .into_iter()
            .find(|door| self.could_open(door, digits))
            .unwrap_or("front");
        if let Some(person) = self.forced_by_code(digits) {
            self.forced
                .push((door.to_owned(), Factor::Digits, format!("person:{person}")));
        }
        self.code_dialled(door, &format!("C{number}"), digits);
        self.look_at_hold();
    }

    fn code_dialled(&mut self, door: &'static str, source: &str, digits: &str) {
        if self.tries.is_locked(self.now, source) {
            self.did("a caller is locked");
            return;
        }
        match self.code_at(door, digits, true) {
            Ok(good) => {
                // whoever dials it: it is not known where they are
                let good = Good {
                    who: Who::Else,
                    ..good
                };
                self.enter(door, Factor::Digits, None, good, Some(source));
            }
            Err(_) if self.is_locked_down(door) => {}
            Err(_) => self.tries.wrong(self.now, source),
        }
    }

    /// Somebody calls a panel; true if their digits will count.
    pub(crate) fn calls_in(&mut self, panel: &str, number: &str, vouched: bool) -> bool {
        if panel == "main" {
            return ["front", "outer"]
                .iter()
                .any(|door| self.known(door, number, vouched).is_ok());
        }
        let by_call = self
            .door("barrier")
            .map_or(When::Never, |door| door.by_call.clone());
        let source = if vouched {
            format!("C{number}")
        } else {
            "?".to_owned()
        };
        if by_call != When::Never && !self.tries.is_locked(self.now, &source) {
            match self.known("barrier", number, vouched) {
                Ok((good, needs_pin)) => {
                    if self.in_force(&by_call) == Some(true) && !needs_pin {
                        self.did("opened by a call alone");
                        self.enter("barrier", Factor::Caller, None, good, Some(&source));
                    }
                }
                Err(No::Other) if !self.is_locked_down("barrier") => self.tries.wrong(self.now, &source),
                // a stranger's call is no try, and whoever comes at another time does not guess
                Err(_) => {}
            }
        }
        self.look_at_hold();
        false
    }

    /// Whoever called `main` dials.
    pub(crate) fn dials_in(&mut self, number: &str, vouched: bool, digits: &str) {
        let doors = ["front", "outer"];
        let by_code = doors.into_iter().find(|door| self.could_open(door, digits));
        let by_pin = doors
            .into_iter()
            .find(|door| self.is_pin_of_number(number, digits) && self.known(door, number, vouched).is_ok());
        let door = by_code.or(by_pin).unwrap_or("front");
        if let Some(person) = self.forced_by_code(digits) {
            self.forced
                .push((door.to_owned(), Factor::Digits, format!("person:{person}")));
        }
        let source = format!("C{number}");
        if self.tries.is_locked(self.now, &source) {
            self.did("a caller is locked");
            return;
        }
        match self.known(door, number, vouched) {
            Ok((good, _)) if good.who != Who::Else && self.is_pin_of_number(number, digits) => {
                self.did("telephone and PIN");
                self.enter(door, Factor::Digits, None, good, Some(&source));
            }
            Ok((_, false)) => self.code_dialled(door, &source, digits),
            Err(No::Time) => {}
            Ok(_) | Err(_) if self.is_locked_down(door) => {}
            Ok(_) | Err(_) => self.tries.wrong(self.now, &source),
        }
        self.look_at_hold();
    }

    /// Does a command count: a person's comes live, a program's has a date.
    pub(super) fn may_command(&self, person: bool) -> bool {
        self.may_shut(person) && self.journal
    }

    /// As [`Self::may_command`], for what shuts doors: that needs no journal.
    pub(super) fn may_shut(&self, person: bool) -> bool {
        person || self.believed
    }

    pub(crate) fn opens(&mut self, door: &'static str, person: bool, factor: Factor) {
        if self.may_command(person) && self.serves(door) {
            let good = Good {
                open_for: None,
                uses: None,
                who: Who::Else,
            };
            self.enter(door, factor, None, good, None);
        }
        self.look_at_hold();
    }

    /// A command opens for whoever rang last.
    pub(crate) fn opens_for_visitor(&mut self, door: &'static str) {
        let visitor = self.door(door).map_or(0, |door| millis(door.visitor));
        let serves = ["front", "outer"].contains(&door);
        if serves && self.visitor.is_some_and(|at| self.now - at <= visitor) {
            self.did("opened for a visitor");
            self.opens(door, true, Factor::Web);
        }
    }

    pub(crate) fn lockdown(&mut self, group: Locked, person: bool) {
        let named = group.is_none_or(|group| self.house.params.door_groups.contains_key(&id(group)));
        if self.may_shut(person) && named {
            self.begin_lockdown(group);
        }
        self.look_at_hold();
    }

    pub(crate) fn end_lockdown(&mut self, group: Locked, person: bool) {
        let named = group.is_none_or(|group| self.house.params.door_groups.contains_key(&id(group)));
        let asked_for = group == Some("street") && self.lock_input;
        if self.may_command(person) && named && !asked_for {
            self.forget_persons();
            self.locked.remove(&group);
        }
        self.look_at_hold();
    }

    pub(crate) fn lock_input(&mut self, active: bool) {
        if active && !self.lock_input {
            self.begin_lockdown(Some("street"));
        }
        self.lock_input = active;
        self.look_at_hold();
    }

    pub(crate) fn quiet(&mut self, time: Option<Ms>) {
        if self.may_command(true) {
            self.quiet = Some((time.map(|time| self.now + time), false));
        }
    }

    pub(crate) fn end_quiet(&mut self) {
        self.quiet = None;
    }

    pub(crate) fn ring_to_open(&mut self, person: bool, time: Ms) {
        let limit = self.house.params.panels[&id("main")].ring_to_open.map(millis);
        let fits = limit.is_some_and(|limit| time <= limit) && !self.is_locked_down("front");
        if self.may_command(person) && fits {
            self.rings_open = Some(self.now + time);
        }
    }

    pub(crate) fn end_ring_to_open(&mut self) {
        self.rings_open = None;
    }

    pub(crate) fn reset_passback(&mut self, person: Option<&'static str>) {
        if !self.may_command(true) {
            return;
        }
        match person {
            Some(person) => {
                self.forgets(Who::Person(person));
            }
            None => {
                let all: Vec<Who> = self.places.keys().copied().collect();
                all.into_iter().for_each(|who| self.forgets(who));
            }
        }
    }
}
