//! Everybody for people to see, and for export.

use serde::Serialize;

use gateway_access::{CardKey, HIDDEN, PinKey, PinTag};

use crate::csv::cell;
use crate::held::OfSite;
use crate::line::COLUMNS;
use crate::plan::{SEALED, SiteNames};
use crate::row::{CredentialRow, Kind, PersonRow};
use crate::state::State;

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values with a head line.
    Csv,
    /// A JSON list of objects.
    Json,
}

/// One line of a list or an export: a person with one of their credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Id of the person.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub person: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Groups.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub groups: String,
    /// First moment of the person.
    #[serde(rename = "person-from", skip_serializing_if = "String::is_empty")]
    pub person_from: String,
    /// End of the person.
    #[serde(rename = "person-until", skip_serializing_if = "String::is_empty")]
    pub person_until: String,
    /// `yes` if blocked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub blocked: String,
    /// Id of the credential.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub credential: String,
    /// Kind of the credential.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Card, number, or digest; of a list, masked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Doors of its own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doors: String,
    /// Schedule.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub schedule: String,
    /// First moment.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// End.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub until: String,
    /// How often it opens.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uses: String,
    /// How often it did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub used: String,
    /// Where a code may be typed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// In a list, where it is kept: [`OF_RECORDS`], or [`OF_SITE`], which is changed there alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub origin: String,
}

/// Origin of what the records have.
pub const OF_RECORDS: &str = "records";
/// Origin of what stands in the site file.
pub const OF_SITE: &str = "site-file";

impl Shown {
    fn of_person(&mut self, id: &str, row: &PersonRow) {
        let words =
            |words: &std::collections::BTreeSet<String>| words.iter().cloned().collect::<Vec<_>>().join(" ");
        id.clone_into(&mut self.person);
        self.name.clone_from(&row.name);
        self.groups = words(&row.groups);
        self.person_from = row.from.clone().unwrap_or_default();
        self.person_until = row.until.clone().unwrap_or_default();
        self.blocked = if row.blocked {
            "yes".to_owned()
        } else {
            String::new()
        };
    }

    fn of_credential(&mut self, id: &str, row: &CredentialRow, used: Option<u32>, masked: bool) {
        id.clone_into(&mut self.credential);
        row.kind.word().clone_into(&mut self.kind);
        self.value = if masked { mask(row) } else { whole(row) };
        self.doors = row.doors.iter().cloned().collect::<Vec<_>>().join(" ");
        self.schedule = row.schedule.clone().unwrap_or_default();
        self.from = row.from.clone().unwrap_or_default();
        self.until = row.until.clone().unwrap_or_default();
        self.uses = row.uses.map(|n| n.to_string()).unwrap_or_default();
        self.used = used.map(|n| n.to_string()).unwrap_or_default();
        self.at = row.place.clone().unwrap_or_default();
    }

    fn cells(&self) -> [&str; 16] {
        [
            &self.person,
            &self.name,
            &self.groups,
            &self.person_from,
            &self.person_until,
            &self.blocked,
            &self.credential,
            &self.kind,
            &self.value,
            &self.doors,
            &self.schedule,
            &self.from,
            &self.until,
            &self.uses,
            &self.used,
            &self.at,
        ]
    }
}

fn whole(row: &CredentialRow) -> String {
    match row.kind {
        Kind::Card | Kind::Ibutton | Kind::Qr | Kind::Phone | Kind::PhonePin => row.value.clone(),
        Kind::Code | Kind::DuressCode | Kind::DuressPin | Kind::Pin => std::iter::once("tag")
            .chain([row.value.as_str()])
            .chain(row.heads.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(":"),
    }
}

/// The digest of a code, with those of its beginnings for this key only.
fn sealed(row: &CredentialRow, key: &PinKey) -> Option<String> {
    let tag = PinTag::parse(&row.value)?;
    let heads: Option<Vec<PinTag>> = row.heads.iter().map(|head| PinTag::parse(head)).collect();
    Some(format!("tag:{tag}:{SEALED}{}", key.seal(&tag, &heads?)))
}

/// The end of a number.
fn end_of(number: &str) -> String {
    let all = number.chars().count();
    let end: String = number.chars().skip(all.saturating_sub(3)).collect();
    format!("{}{end}", "*".repeat(all.saturating_sub(3).min(12)))
}

fn mask(row: &CredentialRow) -> String {
    match row.kind {
        Kind::Card | Kind::Ibutton | Kind::Qr => {
            CardKey::parse(&row.value).map_or_else(|_| "?".to_owned(), |key| key.masked())
        }
        Kind::Phone | Kind::PhonePin => end_of(&row.value),
        Kind::Code | Kind::DuressCode | Kind::DuressPin | Kind::Pin => HIDDEN.to_owned(),
    }
}

/// Every person and credential, a line each; persons with several credentials have several lines.
pub(crate) fn lines(state: &State, masked: bool) -> Vec<Shown> {
    let mut of: std::collections::BTreeMap<Option<&str>, Vec<(&String, &CredentialRow)>> =
        std::collections::BTreeMap::new();
    for (id, row) in &state.credentials {
        of.entry(row.person.as_deref()).or_default().push((id, row));
    }
    let mut lines = Vec::new();
    let mut add = |person: Option<(&String, &PersonRow)>, credential: Option<(&String, &CredentialRow)>| {
        let mut line = Shown::default();
        if let Some((id, row)) = person {
            line.of_person(id, row);
        }
        if let Some((id, row)) = credential {
            if line.person.is_empty() {
                line.person = row.person.clone().unwrap_or_default();
            }
            line.of_credential(id, row, state.uses.get(id).copied(), masked);
        }
        lines.push(line);
    };
    for person in &state.people {
        match of.remove(&Some(person.0.as_str())) {
            Some(own) => own
                .into_iter()
                .for_each(|credential| add(Some(person), Some(credential))),
            None => add(Some(person), None),
        }
    }
    for credential in of.into_values().flatten() {
        add(None, Some(credential));
    }
    lines
}

/// What stands in the site file, masked; of one person, or of everybody.
pub(crate) fn of_site(site: &SiteNames, person: Option<&str>) -> Vec<Shown> {
    let theirs = |held: &&OfSite| person.is_none() || held.person.as_deref() == person;
    let line = |held: &OfSite| {
        let (kind, value) = match (&held.card, &held.number) {
            (Some(frame), _) => (Kind::Card, CardKey::Bits(frame.clone()).masked()),
            (None, Some(number)) => (Kind::Phone, end_of(number)),
            (None, None) => (Kind::Code, HIDDEN.to_owned()),
        };
        Shown {
            person: held.person.clone().unwrap_or_default(),
            name: held.name.clone(),
            credential: held.at.clone(),
            kind: kind.word().to_owned(),
            value,
            doors: held.doors.join(" "),
            schedule: held.schedule.clone().unwrap_or_default(),
            at: held.place.unwrap_or_default().to_owned(),
            origin: OF_SITE.to_owned(),
            ..Shown::default()
        }
    };
    site.held.iter().filter(theirs).map(line).collect()
}

/// For a list: where each line is kept, and those of the site file behind.
pub(crate) fn with_site(mut lines: Vec<Shown>, of_site: Vec<Shown>) -> Vec<Shown> {
    for line in &mut lines {
        OF_RECORDS.clone_into(&mut line.origin);
    }
    lines.extend(of_site);
    lines
}

/// The lines of one person; empty if nothing is known of them.
pub(crate) fn of(state: &State, person: &str, masked: bool) -> Vec<Shown> {
    let own = |id: &String, row: &PersonRow| (id == person).then(|| (id.clone(), row.clone()));
    let held = |row: &CredentialRow| row.person.as_deref() == Some(person);
    let alone = State {
        barred: std::collections::BTreeSet::new(),
        credentials: state
            .credentials
            .iter()
            .filter(|(_, row)| held(row))
            .map(|(id, row)| (id.clone(), row.clone()))
            .collect(),
        people: state.people.iter().filter_map(|(id, row)| own(id, row)).collect(),
        unread: Vec::new(),
        uses: state.uses.clone(),
    };
    lines(&alone, masked)
}

/// What is stored of one person as text, without how often credentials were used; it changes with every change.
pub(crate) fn state_of(state: &State, person: &str) -> Option<String> {
    let mut lines = of(state, person, false);
    lines.iter_mut().for_each(|line| line.used.clear());
    (!lines.is_empty()).then(|| serde_json::to_string(&lines).expect("texts only"))
}

/// Everybody in a form that an import reads again.
pub(crate) fn export(state: &State, form: Form, key: &PinKey) -> String {
    let mut lines = lines(state, false);
    for line in &mut lines {
        if let Some(row) = state
            .credentials
            .get(&line.credential)
            .filter(|row| row.kind.is_code())
        {
            line.value = sealed(row, key).unwrap_or_else(|| format!("tag:{}", row.value));
        }
    }
    match form {
        Form::Csv => {
            let mut text = COLUMNS.join(",") + "\n";
            for line in &lines {
                let cells: Vec<String> = line.cells().into_iter().map(cell).collect();
                text += &cells.join(",");
                text.push('\n');
            }
            text
        }
        Form::Json => {
            let mut text = serde_json::to_string_pretty(&lines).expect("texts only");
            text.push('\n');
            text
        }
    }
}
