//! Contacts as a table (CSV): all of them out, and in as one change that is made as a whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use gateway_bus::Bus;
use gateway_core::{Clock, Envelope, Event, UserEvent};
use gateway_people::csv::{Most, read};
use gateway_store::Edit;
use serde::Serialize;

use crate::contacts::{CONTACTS, checked_name, checked_number};
use crate::people::{CONTACT, ContactRow, People, not_kept};
use crate::problem::Problem;

/// The columns, in the order in which they are written; they are read in any.
const COLUMNS: [&str; 3] = ["name", "number", "address"];

/// How a table is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContactsImport {
    /// Check everything and change nothing.
    pub dry_run: bool,
    /// The table is all there is: who stands in no line is removed.
    pub replace: bool,
}

/// What an import does, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ContactsImported {
    /// Contacts that were there with another number or address.
    pub changed: usize,
    /// Nothing was changed: it was a trial.
    pub dry_run: bool,
    /// Contacts that were not there.
    pub new: usize,
    /// Contacts that stood in no line.
    pub removed: usize,
}

/// Why a table was not taken.
#[derive(Debug)]
pub enum ContactsRefused {
    /// Lines that are wrong, each as `line N: …`; nothing was done.
    Faults(Vec<String>),
    /// It could not be kept.
    NotKept(String),
}

/// All contacts.
#[must_use]
pub fn contacts_table(bus: &Bus) -> String {
    let mut text = gateway_reports::line(&COLUMNS);
    for (name, row) in People::new(bus.store().records().clone()).contacts() {
        let address = row.address.map(|address| address.to_string());
        text += &gateway_reports::line(&[name.as_str(), &row.number, address.as_deref().unwrap_or_default()]);
    }
    text
}

/// One line, as it is to be.
#[derive(Debug, PartialEq)]
struct Line {
    address: Option<IpAddr>,
    name: String,
    number: String,
}

/// Takes a table. `by` is who gives it.
///
/// # Errors
/// [`ContactsRefused`]; then nothing is changed.
pub async fn import_contacts(
    bus: &Bus,
    clock: &dyn Clock,
    text: &str,
    how: ContactsImport,
    by: &str,
) -> Result<ContactsImported, ContactsRefused> {
    let lines = lines(text).map_err(ContactsRefused::Faults)?;
    let records = bus.store().records().clone();
    let known: BTreeMap<String, ContactRow> = People::new(records.clone()).contacts().into_iter().collect();
    let named: BTreeSet<&str> = lines.iter().map(|line| line.name.as_str()).collect();
    let mut imported = ContactsImported {
        dry_run: how.dry_run,
        ..ContactsImported::default()
    };
    let (mut edits, mut events) = (Vec::new(), Vec::new());
    for line in &lines {
        let before = known.get(&line.name);
        if before.is_some_and(|row| row.number == line.number && row.address == line.address) {
            continue;
        }
        if before.is_some() {
            imported.changed += 1;
        } else {
            imported.new += 1;
        }
        let row = ContactRow {
            address: line.address,
            by: by.to_owned(),
            created: clock.wall().to_string(),
            number: line.number.clone(),
        };
        let value =
            serde_json::to_value(&row).map_err(|error| ContactsRefused::NotKept(error.to_string()))?;
        edits.push(Edit::set(CONTACT, &line.name, value));
        events.push(UserEvent::ContactSaved {
            by: by.to_owned(),
            contact: line.name.clone(),
            number: match line.address {
                Some(address) => format!("{} at {address}", line.number),
                None => line.number.clone(),
            },
        });
    }
    for name in known
        .keys()
        .filter(|name| how.replace && !named.contains(name.as_str()))
    {
        imported.removed += 1;
        edits.push(Edit::delete(CONTACT, name));
        events.push(UserEvent::ContactRemoved {
            by: by.to_owned(),
            contact: name.clone(),
        });
    }
    let all = known.len() + imported.new - imported.removed;
    if all > CONTACTS {
        let text = format!("there would be {all} contacts, allowed are {CONTACTS}");
        return Err(ContactsRefused::Faults(vec![text]));
    }
    if how.dry_run || edits.is_empty() {
        return Ok(imported);
    }
    let ticket = records.put_all(edits);
    let ticket = ticket.map_err(|error| ContactsRefused::NotKept(error.to_string()))?;
    ticket
        .durable()
        .await
        .map_err(|error| ContactsRefused::NotKept(error.to_string()))?;
    bus.contacts_changed();
    for event in events {
        let envelope = Envelope {
            at: clock.wall(),
            event: Event::User(event),
            ring: None,
            simulated: false,
        };
        if let Err(error) = bus.store().append(envelope) {
            tracing::warn!(%error, "a change of a contact could not be journalled");
        }
    }
    Ok(imported)
}

/// What is wrong with a table; nothing if it can be taken.
pub(crate) fn faults(text: &str) -> Vec<String> {
    lines(text).err().unwrap_or_default()
}

/// The lines of a table, or everything that is wrong with it.
fn lines(text: &str) -> Result<Vec<Line>, Vec<String>> {
    let most = Most {
        cells: 16,
        lines: CONTACTS,
    };
    let table = read(text, most).map_err(|(line, text)| vec![format!("line {line}: {text}")])?;
    let mut faults = Vec::new();
    let mut place = [None; COLUMNS.len()];
    for (at, head) in table.head.iter().enumerate() {
        match COLUMNS.iter().position(|column| column == head) {
            Some(column) if place[column].is_none() => place[column] = Some(at),
            Some(_) => faults.push(format!("line 1: the column {head:?} is there twice")),
            None => faults.push(format!(
                "line 1: {head:?} is no column; allowed: name, number, address"
            )),
        }
    }
    for (column, name) in COLUMNS.iter().enumerate().take(2) {
        if place[column].is_none() {
            faults.push(format!("line 1: the column {name:?} is missing"));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut lines: Vec<Line> = Vec::new();
    let mut seen = BTreeMap::new();
    for (number, cells) in &table.lines {
        let cell = |column: usize| {
            let at: Option<usize> = place[column];
            at.and_then(|at| cells.get(at)).map_or("", |cell| cell.trim())
        };
        // as it is written out, so that a spreadsheet takes it for no formula
        let plain = |text: &str| match text.strip_prefix('\'') {
            Some(rest) if rest.starts_with(['=', '+', '-', '@']) => rest.to_owned(),
            _ => text.to_owned(),
        };
        let mut wrong = |text: String| faults.push(format!("line {number}: {text}"));
        let name = checked_name(&plain(cell(0)))
            .map_err(|text| wrong(text.to_owned()))
            .ok();
        let dialled = checked_number(&plain(cell(1)))
            .map_err(|text| wrong(text.to_owned()))
            .ok();
        let address = match cell(2) {
            "" => Some(None),
            text => match text.parse::<IpAddr>() {
                Ok(address) => Some(Some(address)),
                Err(_) => {
                    wrong(format!("{text:?} is no IP address"));
                    None
                }
            },
        };
        let (Some(name), Some(dialled), Some(address)) = (name, dialled, address) else {
            continue;
        };
        if let Some(first) = seen.insert(name.clone(), *number) {
            faults.push(format!("line {number}: {name:?} stands in line {first}, too"));
        }
        lines.push(Line {
            address,
            name,
            number: dialled,
        });
    }
    if faults.is_empty() { Ok(lines) } else { Err(faults) }
}

/// The answer to whoever asked over HTTP.
pub(crate) fn refused(refused: ContactsRefused) -> Problem {
    match refused {
        ContactsRefused::Faults(faults) => {
            let text = match faults.len() {
                1 => faults.first().cloned().unwrap_or_default(),
                n => format!("{n} lines are wrong, and nothing was changed"),
            };
            Problem::bad("faults", text).with("faults", serde_json::Value::from(faults))
        }
        ContactsRefused::NotKept(text) => {
            tracing::warn!(text, "contacts were not kept");
            not_kept(&gateway_store::PutError::NotDurable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_in_any_order_of_columns() {
        let read = lines("number;name\r\n+33476123456;\"Dr. Blanc; cabinet\"\r\n\r\n201;Reception\r\n")
            .expect("read");
        let want = [("Dr. Blanc; cabinet", "+33476123456"), ("Reception", "201")];
        let found: Vec<(&str, &str)> = read
            .iter()
            .map(|l| (l.name.as_str(), l.number.as_str()))
            .collect();
        assert_eq!(found, want);
        let read = lines("name,number,address\nCellar,7,192.0.2.7\nAttic,8,\n").expect("read");
        assert_eq!(read[0].address, "192.0.2.7".parse().ok());
        assert_eq!(read[1].address, None);
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let faults =
            lines("name,number,address\n,201,\nReception,20 1,\nCellar,7,cellar\nAttic,8,\nAttic,9,\n");
        let faults = faults.expect_err("it is wrong");
        assert_eq!(faults.len(), 4, "{faults:?}");
        for (fault, begin) in faults
            .iter()
            .zip(["line 2: ", "line 3: ", "line 4: ", "line 6: "])
        {
            assert!(fault.starts_with(begin), "{fault}");
        }
        for (text, part) in [
            ("", "head line"),
            ("name\nx\n", "\"number\" is missing"),
            ("name,number,colour\nx,1,red\n", "\"colour\" is no column"),
            ("name,number,name\nx,1,y\n", "there twice"),
            ("name,number\n\"x,1\n", "not closed"),
        ] {
            let faults = lines(text).expect_err(text);
            assert!(faults.iter().any(|fault| fault.contains(part)), "{faults:?}");
        }
    }

    #[test]
    fn what_a_spreadsheet_would_take_for_a_formula_comes_back_as_it_was() {
        let text = gateway_reports::line(&COLUMNS) + &gateway_reports::line(&["=Cellar", "*70", ""]);
        let read = lines(&text).expect("read");
        assert_eq!(read[0].name, "=Cellar");
    }
}
