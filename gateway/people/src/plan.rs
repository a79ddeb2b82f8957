//! What an import makes of everybody: every line is checked against the others and against who is there already,
//! before anything changes.

use std::collections::{BTreeMap, BTreeSet};

use gateway_access::{
    CallerPattern, CallerPatternError, CardKey, MAX_CODE, PinKey, PinTag, When, is_pin_text,
};
use gateway_core::{CredentialId, PersonId, Secret, Timestamp};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::held::{self, OfSite};
use crate::line::{CLEAR, Line, LineFault};
use crate::row::{CredentialRow, Kind, places};
use crate::state::State;

/// What is written in the site file, for lines that name it.
#[derive(Clone, Debug)]
pub struct SiteNames {
    /// Codes of the site file: no other code may begin with one, or be the beginning of one.
    pub codes: Vec<Secret>,
    /// Doors.
    pub doors: BTreeSet<String>,
    /// Cards and codes of the site file: no card of people is one of them, and who is removed or blocked is told of theirs.
    pub held: Vec<OfSite>,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// Schedules.
    pub schedules: BTreeSet<String>,
    /// In which dates without an offset are meant.
    pub zone: TimeZone,
}

impl Default for SiteNames {
    fn default() -> Self {
        Self {
            codes: Vec::new(),
            doors: BTreeSet::new(),
            groups: BTreeSet::new(),
            held: Vec::new(),
            schedules: BTreeSet::new(),
            zone: TimeZone::UTC,
        }
    }
}

/// What stands before the beginnings of a code in an export.
pub(crate) const SEALED: &str = "sealed:";

/// Random numbers, for names of credentials and for codes.
pub(crate) type Random<'a> = &'a mut dyn FnMut() -> u64;

/// A code that was drawn for a line that asked for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCode {
    /// The credential.
    pub credential: String,
    /// The digits; they are told this once.
    pub digits: Secret,
    /// Whose line.
    pub line: usize,
}

/// Plans an import over everybody.
pub(crate) struct Planner<'a> {
    by_value: BTreeMap<(u8, String), String>,
    /// Cards of the site file.
    cards: BTreeMap<CardKey, &'a str>,
    faults: Vec<LineFault>,
    heads: BTreeMap<String, BTreeSet<String>>,
    key: &'a PinKey,
    made: Vec<NewCode>,
    named: BTreeSet<String>,
    random: Random<'a>,
    /// The lines are all there is: nothing stays that stands in none of them.
    replace: bool,
    site: &'a SiteNames,
    state: State,
    touched: BTreeSet<String>,
}

/// Kinds whose values exclude each other.
const fn class(kind: Kind) -> u8 {
    match kind {
        Kind::Card | Kind::Ibutton | Kind::Qr => 0,
        Kind::Code | Kind::DuressCode => 1,
        Kind::Phone | Kind::PhonePin => 2,
        Kind::Pin => 3,
        Kind::DuressPin => 4,
    }
}

impl<'a> Planner<'a> {
    pub(crate) fn new(
        state: State,
        site: &'a SiteNames,
        key: &'a PinKey,
        random: Random<'a>,
        replace: bool,
    ) -> Self {
        let mut planner = Self {
            by_value: BTreeMap::new(),
            cards: held::cards(site),
            faults: Vec::new(),
            heads: BTreeMap::new(),
            key,
            made: Vec::new(),
            named: BTreeSet::new(),
            random,
            replace,
            site,
            state,
            touched: BTreeSet::new(),
        };
        for (id, row) in &planner.state.credentials {
            planner.by_value.insert(slot(row), id.clone());
            for head in &row.heads {
                planner.heads.entry(head.clone()).or_default().insert(id.clone());
            }
        }
        planner
    }

    /// Takes a line, or notes what is wrong with it.
    pub(crate) fn line(&mut self, line: &Line) {
        let before = self.faults.len();
        let person = self.person(line);
        if line.cell("kind").is_some() || line.cell("value").is_some() || line.cell("credential").is_some() {
            self.credential(line, person.as_deref());
            return;
        }
        // a limit that limits nothing is one that somebody believes in
        for column in ["doors", "schedule", "from", "until", "uses", "at"] {
            if line.cell(column).is_some_and(|text| text != CLEAR) {
                let text = "belongs to a credential, which kind and value name; a person's own days are person-from and \
                            person-until";
                self.fault(line, column, text);
            }
        }
        if person.is_none() && self.faults.len() == before {
            self.faults
                .push(line.fault("", "names neither a person nor a credential (kind and value)"));
        }
    }

    /// Lines that could not even be read: nothing comes of the others either, and all are told.
    pub(crate) fn unread(&mut self, faults: Vec<LineFault>) {
        self.faults.extend(faults);
    }

    /// Everybody after all lines; who was in no line is gone if they replace.
    pub(crate) fn finish(mut self) -> Result<(State, Vec<NewCode>), Vec<LineFault>> {
        if !self.faults.is_empty() {
            self.faults.sort_by_key(|fault| fault.line);
            return Err(self.faults);
        }
        if self.replace {
            let (named, touched) = (&self.named, &self.touched);
            self.state.people.retain(|id, _| named.contains(id));
            self.state.credentials.retain(|id, _| touched.contains(id));
        }
        let credentials = &self.state.credentials;
        self.state.uses.retain(|id, _| credentials.contains_key(id));
        Ok((self.state, self.made))
    }

    fn fault(&mut self, line: &Line, column: &str, text: impl Into<String>) {
        self.faults.push(line.fault(column, text));
    }

    fn person(&mut self, line: &Line) -> Option<String> {
        let Some(id) = line.cell("person") else {
            for column in ["name", "groups", "person-from", "person-until", "blocked"] {
                if line.cell(column).is_some_and(|text| text != CLEAR) {
                    self.fault(line, column, "belongs to a person; the column person names it");
                }
            }
            return None;
        };
        if let Err(error) = PersonId::new(id) {
            self.fault(line, "person", error.to_string());
            return None;
        }
        // a person may have several lines: only before the first of them there is nothing
        let afresh = self.replace && !self.named.contains(id);
        let mut row = self.state.people.get(id).cloned().unwrap_or_default();
        if afresh {
            // rights go with their cells; a restriction that was set is lifted by a word only
            row.groups.clear();
            row.name.clear();
        }
        if let Some(name) = line.cell("name") {
            row.name = if name == "-" {
                String::new()
            } else {
                name.to_owned()
            };
        }
        if let Some(groups) = line.cell("groups") {
            let site = self.site;
            row.groups = self.listed(line, "groups", groups, "group", &site.groups);
        }
        self.times(
            line,
            ["person-from", "person-until"],
            &mut row.from,
            &mut row.until,
        );
        match line.cell("blocked") {
            None => {}
            Some("yes" | "true" | "1") => row.blocked = true,
            Some("no" | "false" | "0" | "-") => row.blocked = false,
            Some(_) => self.fault(line, "blocked", "allowed: yes, no"),
        }
        self.state.people.insert(id.to_owned(), row);
        self.named.insert(id.to_owned());
        Some(id.to_owned())
    }

    fn listed(
        &mut self,
        line: &Line,
        column: &str,
        text: &str,
        what: &str,
        known: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        let words = text
            .split([' ', ';', ','])
            .filter(|word| !word.is_empty() && *word != "-");
        let words: BTreeSet<String> = words.map(str::to_owned).collect();
        for word in words.iter().filter(|word| !known.contains(*word)) {
            let shown: String = word.chars().take(40).collect();
            let names: Vec<&str> = known.iter().map(String::as_str).take(12).collect();
            let names = if names.is_empty() {
                "none"
            } else {
                &names.join(", ")
            };
            self.fault(
                line,
                column,
                format!("there is no {what} {shown:?}; configured: {names}"),
            );
        }
        words
    }

    fn times(
        &mut self,
        line: &Line,
        columns: [&str; 2],
        from: &mut Option<String>,
        until: &mut Option<String>,
    ) {
        for (column, end, to) in [(columns[0], false, &mut *from), (columns[1], true, &mut *until)] {
            match line.cell(column) {
                None => {}
                Some("-") => *to = None,
                Some(text) => match time(text, end, &self.site.zone) {
                    Some(time) => *to = Some(time.to_string()),
                    None => self.fault(
                        line,
                        column,
                        "allowed: 2026-12-24 (until: the whole day), 2026-12-24T22:10, or with an offset \
                         2026-12-24T22:10:00+01:00",
                    ),
                },
            }
        }
        let parsed = |text: &Option<String>| text.as_ref().and_then(|t| t.parse::<Timestamp>().ok());
        if let (Some(from), Some(until)) = (parsed(from), parsed(until))
            && until <= from
        {
            self.fault(line, columns[1], format!("is not after {}", columns[0]));
        }
    }

    fn credential(&mut self, line: &Line, person: Option<&str>) {
        let known = line.cell("credential").map(str::to_owned);
        if let Some(Err(error)) = known.as_deref().map(CredentialId::new) {
            self.fault(line, "credential", error.to_string());
            return;
        }
        let old = known
            .as_ref()
            .and_then(|id| self.state.credentials.get(id))
            .cloned();
        let kind = match (line.cell("kind"), &old) {
            (Some(word), _) => match Kind::ALL.into_iter().find(|kind| kind.word() == word) {
                Some(kind) => kind,
                None => {
                    let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
                    self.fault(line, "kind", format!("allowed: {}", all.join(", ")));
                    return;
                }
            },
            (None, Some(old)) => old.kind,
            (None, None) => {
                self.fault(line, "kind", "is missing");
                return;
            }
        };
        let Some(Value { digits, heads, value }) = self.value(line, kind, person, old.as_ref()) else {
            return;
        };
        let same = self
            .by_value
            .get(&(class(kind), value_slot(&value, person, kind)))
            .cloned();
        let stands = same.is_some() || old.as_ref().is_some_and(|old| old.value == value);
        if kind.is_card()
            && !stands
            && let Some(at) = CardKey::parse(&value).ok().and_then(|key| self.cards.get(&key))
        {
            let text = format!("the site file has this card already: {at}; take it out there first");
            self.fault(line, "value", text);
            return;
        }
        let id = match (known, same) {
            (Some(known), Some(same)) if known != same => {
                let text = format!("is credential {same:?} already");
                self.fault(line, "value", text);
                return;
            }
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) => self.new_name(),
        };
        if kind.is_pin() && self.is_both(&id, kind, person, old.as_ref(), &value) {
            self.fault(line, "value", "a person's PIN and duress PIN must differ");
            return;
        }
        let old = old.or_else(|| self.state.credentials.get(&id).cloned());
        let afresh = self.replace && !self.touched.contains(&id);
        let kept = old.as_ref().filter(|_| !afresh);
        let owner = person
            .map(str::to_owned)
            .or_else(|| kept.and_then(|old| old.person.clone()));
        // Nobody's is more than a person's: such a credential is not blocked with anybody, so that is a fault too.
        if let Some(holder) = old.as_ref().and_then(|old| old.person.as_ref())
            && owner.as_ref() != Some(holder)
        {
            let text = match &owner {
                Some(_) => format!("belongs to {holder:?} already; remove it there first"),
                None => format!("is empty, but the credential belongs to {holder:?}; remove it first"),
            };
            self.fault(line, "person", text);
            return;
        }
        if kind.is_code() && !self.is_free(line, &id, digits.as_ref()) {
            return;
        }
        let before = old.as_ref().map(slot);
        let mut row = old.unwrap_or(CredentialRow {
            doors: BTreeSet::new(),
            from: None,
            heads: Vec::new(),
            kind,
            person: None,
            place: None,
            schedule: None,
            until: None,
            uses: None,
            value: String::new(),
        });
        if afresh {
            row.doors.clear();
        }
        (row.kind, row.person, row.value, row.heads) = (kind, owner, value, heads);
        self.details(line, &id, &mut row);
        if let Some(before) = before
            && self.by_value.get(&before) == Some(&id)
        {
            self.by_value.remove(&before);
        }
        self.by_value.insert(slot(&row), id.clone());
        for head in &row.heads {
            self.heads.entry(head.clone()).or_default().insert(id.clone());
        }
        self.state.credentials.insert(id.clone(), row);
        self.touched.insert(id.clone());
        if let Some(digits) = digits.filter(|_| line.cell("value").is_some_and(|v| v.starts_with("new"))) {
            self.made.push(NewCode {
                credential: id,
                digits,
                line: line.number,
            });
        }
    }

    /// Doors, schedule, days, uses and place.
    fn details(&mut self, line: &Line, id: &str, row: &mut CredentialRow) {
        let site = self.site;
        if let Some(doors) = line.cell("doors") {
            row.doors = self.listed(line, "doors", doors, "door", &site.doors);
        }
        if let Some(schedule) = line.cell("schedule") {
            match When::parse(schedule) {
                _ if schedule == "-" => row.schedule = None,
                Ok(When::In(id)) if !site.schedules.contains(id.as_str()) => {
                    self.listed(line, "schedule", schedule, "schedule", &site.schedules);
                }
                Ok(when) => row.schedule = (when != When::Always).then(|| when.to_string()),
                Err(error) => self.fault(line, "schedule", error.to_string()),
            }
        }
        self.times(line, ["from", "until"], &mut row.from, &mut row.until);
        match line.cell("uses").map(str::parse::<u32>) {
            None => {}
            Some(Ok(uses)) if (1..=100_000).contains(&uses) => row.uses = Some(uses),
            Some(_) if line.cell("uses") == Some("-") => row.uses = None,
            Some(_) => self.fault(line, "uses", "allowed: 1 to 100000, or - for no limit"),
        }
        match line.cell("used").map(str::parse::<u32>) {
            None => {}
            // What the gateway counts itself is not written over: it may count on at this moment.
            Some(Ok(_)) if self.state.credentials.contains_key(id) => {}
            Some(Ok(times)) => {
                self.state.uses.insert(id.to_owned(), times);
            }
            Some(Err(_)) => self.fault(line, "used", "allowed: a number"),
        }
        match line.cell("at") {
            None => {}
            Some("-") => row.place = None,
            Some(place) if row.kind.is_code() && places(Some(place)).is_some() => {
                row.place = Some(place.to_owned());
            }
            Some(_) => self.fault(line, "at", "allowed for codes: call, keypad"),
        }
        if row.kind == Kind::DuressCode {
            if row.person.is_none() {
                self.fault(line, "person", "a duress code belongs to a person");
            }
            if row.uses.is_some() {
                self.fault(line, "uses", "a duress code opens as often as it has to");
            }
        }
        if row.kind.is_pin() {
            for (column, there) in [
                ("uses", row.uses.is_some()),
                ("doors", !row.doors.is_empty()),
                ("schedule", row.schedule.is_some()),
                ("until", row.from.is_some() || row.until.is_some()),
            ] {
                if there {
                    self.fault(
                        line,
                        column,
                        "a PIN completes another credential, and has no limits of its own",
                    );
                }
            }
        }
        if row.person.is_none() && row.doors.is_empty() {
            self.fault(line, "doors", "a credential that is nobody's needs doors to open");
        }
    }

    fn value(
        &mut self,
        line: &Line,
        kind: Kind,
        person: Option<&str>,
        old: Option<&CredentialRow>,
    ) -> Option<Value> {
        let Some(text) = line.cell("value") else {
            let kept = old.filter(|old| old.kind == kind).map(|old| Value {
                digits: None,
                heads: old.heads.clone(),
                value: old.value.clone(),
            });
            if kept.is_none() {
                self.fault(line, "value", "is missing");
            }
            return kept;
        };
        let plain = |value: String| Value {
            digits: None,
            heads: Vec::new(),
            value,
        };
        match kind {
            Kind::Ibutton | Kind::Qr => {
                // an export has it as it is stored
                let with_head = format!("{}:{text}", kind.word());
                let stored = if kind == Kind::Qr { "256:hex:" } else { "64:hex:" };
                let text = if text.starts_with(stored) {
                    text
                } else {
                    with_head.as_str()
                };
                match CardKey::parse(text) {
                    Ok(key) => Some(plain(key.to_string())),
                    Err(_) => {
                        self.fault(line, "value", gateway_access::CardError::Token.to_string());
                        None
                    }
                }
            }
            Kind::Card => match CardKey::parse(text) {
                Ok(key) => Some(plain(key.to_string())),
                Err(_) => {
                    let error = gateway_access::CardError::Notation;
                    self.fault(line, "value", error.to_string());
                    None
                }
            },
            Kind::Phone | Kind::PhonePin => match CallerPattern::telephone(text) {
                Ok(number) => Some(plain(number.to_string())),
                Err(error) => {
                    // a number may be a person's: only words are shown
                    let shown = if matches!(error, CallerPatternError::Withheld { .. }) {
                        error
                    } else {
                        CallerPatternError::NoTelephone
                    };
                    self.fault(line, "value", shown.to_string());
                    None
                }
            },
            Kind::DuressPin | Kind::Pin => {
                let Some(person) = person.or_else(|| old.and_then(|old| old.person.as_deref())) else {
                    self.fault(line, "person", "a PIN belongs to a person");
                    return None;
                };
                if let Some(tags) = text.strip_prefix("tag:") {
                    return self.tags(line, tags);
                }
                let id = PersonId::new(person).ok()?;
                if !is_pin_text(text) {
                    self.fault(line, "value", "allowed: a PIN of 4 to 8 digits");
                    return None;
                }
                if self.is_alike(text) {
                    // whoever dials the longer one has dialled the shorter one before
                    let text = "begins with a code of the site file, or such a code begins with it; take another PIN";
                    self.fault(line, "value", text);
                    return None;
                }
                Some(plain(self.key.pin(&id, &Secret::new(text)).to_string()))
            }
            Kind::Code | Kind::DuressCode => {
                if let Some(tags) = text.strip_prefix("tag:") {
                    return self.sealed(tags).or_else(|| self.tags(line, tags));
                }
                let drawn = match text {
                    "new" => Some(6),
                    _ => text.strip_prefix("new:").and_then(|n| n.parse().ok()),
                };
                let digits = match drawn {
                    Some(length) if (4..=MAX_CODE).contains(&length) => self.draw(length),
                    Some(_) => None,
                    None => is_pin_text(text).then(|| text.to_owned()),
                };
                let Some(digits) = digits else {
                    let text = "allowed: a code of 4 to 8 digits, new, or new: and how many digits";
                    self.fault(line, "value", text);
                    return None;
                };
                let digits = Secret::new(digits);
                Some(Value {
                    heads: self.key.heads(&digits).iter().map(ToString::to_string).collect(),
                    value: self.key.code(&digits).to_string(),
                    digits: Some(digits),
                })
            }
        }
    }

    /// The digest of a code with its sealed beginnings, as an export writes them.
    fn sealed(&self, text: &str) -> Option<Value> {
        let (value, rest) = text.split_once(':')?;
        let tag = PinTag::parse(value)?;
        let heads = self.key.unseal(&tag, rest.strip_prefix(SEALED)?)?;
        Some(Value {
            digits: None,
            heads: heads.iter().map(ToString::to_string).collect(),
            value: tag.to_string(),
        })
    }

    /// The digests that an export of an earlier version wrote, or of a PIN.
    fn tags(&mut self, line: &Line, text: &str) -> Option<Value> {
        let tags: Vec<String> = text.split(':').map(str::to_owned).collect();
        let whole = tags.iter().all(|tag| PinTag::parse(tag).is_some()) && tags.len() <= MAX_CODE;
        match tags.split_first().filter(|_| whole) {
            Some((value, heads)) => Some(Value {
                digits: None,
                heads: heads.to_vec(),
                value: value.clone(),
            }),
            None => {
                self.fault(
                    line,
                    "value",
                    "tag: is followed by what an export of this gateway wrote",
                );
                None
            }
        }
    }

    /// Does one begin with the other, of this and a code of the site file?
    fn is_alike(&self, digits: &str) -> bool {
        self.of_site(digits).is_some()
    }

    /// May this code stand beside the others? The shorter of two that begin alike would open before the longer one
    /// is typed.
    fn is_free(&mut self, line: &Line, id: &str, digits: Option<&Secret>) -> bool {
        let Some(digits) = digits.map(Secret::reveal) else {
            return true;
        };
        let others = |n: usize| {
            let head = self.key.code(&Secret::new(&digits[..n])).to_string();
            self.by_value
                .get(&(class(Kind::Code), head))
                .filter(|other| *other != id)
        };
        let whole = self.key.head(digits).to_string();
        let begun = self.heads.get(&whole).into_iter().flatten();
        let other = begun
            .chain((1..=digits.len()).filter_map(others))
            .find(|other| *other != id);
        let whose = self.of_site(digits).or_else(|| {
            let other = other?;
            let person = self.state.credentials.get(other);
            let person = person.and_then(|row| row.person.as_deref());
            // whose code it is, when it is somebody else's, would tell how that begins
            let own = person.is_some() && person == line.cell("person");
            Some(if own {
                format!("credential {other:?} of the same person")
            } else {
                "of somebody else".to_owned()
            })
        });
        if let Some(whose) = &whose {
            let text = format!(
                "begins another code, or another code begins it ({whose}); codes must differ within the shorter one"
            );
            self.fault(line, "value", text);
        }
        whose.is_none()
    }

    /// The code of the site file that begins alike.
    fn of_site(&self, digits: &str) -> Option<String> {
        let alike = |code: &Secret| code.reveal().starts_with(digits) || digits.starts_with(code.reveal());
        let named = self
            .site
            .held
            .iter()
            .find(|held| held.digits.as_ref().is_some_and(alike));
        match named {
            Some(held) => Some(format!("{} of the site file", held.at)),
            None => self
                .site
                .codes
                .iter()
                .any(alike)
                .then(|| "one of the site file".to_owned()),
        }
    }

    /// Is this the person's PIN and duress PIN at once? Their digests are made alike.
    fn is_both(
        &self,
        id: &str,
        kind: Kind,
        person: Option<&str>,
        old: Option<&CredentialRow>,
        value: &str,
    ) -> bool {
        let person = person.or_else(|| old.and_then(|old| old.person.as_deref()));
        let slot = |kind| (class(kind), value_slot(value, person, kind));
        let other = match kind {
            Kind::Pin => slot(Kind::DuressPin),
            Kind::Card
            | Kind::Code
            | Kind::DuressCode
            | Kind::DuressPin
            | Kind::Ibutton
            | Kind::Phone
            | Kind::PhonePin
            | Kind::Qr => slot(Kind::Pin),
        };
        let other = self.by_value.get(&other).filter(|other| *other != id);
        let other = other.and_then(|other| self.state.credentials.get(other));
        other.is_some_and(|other| other.value == value)
    }

    fn draw(&mut self, length: usize) -> Option<String> {
        // among a million codes a free one is soon found; where most are taken, more digits are needed
        for _ in 0..200 {
            let digits: String = (0..length)
                .map(|_| char::from(b'0' + u8::try_from((self.random)() % 10).unwrap_or(0)))
                .collect();
            let taken = |n: usize| {
                let head = self.key.code(&Secret::new(&digits[..n])).to_string();
                self.by_value.contains_key(&(class(Kind::Code), head))
            };
            if !self.is_alike(&digits)
                && !(1..=length).any(taken)
                && !self.heads.contains_key(&self.key.head(&digits).to_string())
            {
                return Some(digits);
            }
        }
        None
    }

    fn new_name(&mut self) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        loop {
            let random = (self.random)();
            let letter = |n: u32| char::from(LETTERS[usize::try_from(random >> (n * 5) & 31).unwrap_or(0)]);
            let id: String = std::iter::once('c')
                .chain(std::iter::once('-'))
                .chain((0..12).map(letter))
                .collect();
            if !self.state.credentials.contains_key(&id) {
                return id;
            }
        }
    }
}

/// A value as it is stored.
struct Value {
    digits: Option<Secret>,
    heads: Vec<String>,
    value: String,
}

fn value_slot(value: &str, person: Option<&str>, kind: Kind) -> String {
    if kind.is_pin() {
        // a person has one PIN of each kind, unless its credentials are named
        person.unwrap_or_default().to_owned()
    } else if kind.is_phone() {
        // kept by an earlier version as it was written
        CallerPattern::telephone(value).map_or_else(|_| value.to_owned(), |number| number.to_string())
    } else {
        value.to_owned()
    }
}

fn slot(row: &CredentialRow) -> (u8, String) {
    (
        class(row.kind),
        value_slot(&row.value, row.person.as_deref(), row.kind),
    )
}

/// A date or time; `end` means the end of a day that is written without time.
fn time(text: &str, end: bool, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if text.len() == 10 {
        let day: Date = text.parse().ok()?;
        let day = if end { day.tomorrow().ok()? } else { day };
        return zone
            .to_timestamp(day.to_datetime(jiff::civil::Time::midnight()))
            .ok();
    }
    let local: DateTime = text.parse().ok()?;
    zone.to_timestamp(local).ok()
}
