//! The directory, and the contacts that were copied out of it.

use std::net::IpAddr;

use gateway_core::UserEvent;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use crate::app::App;
use crate::ask::{Ask, json};
use crate::etag::{Condition, Etag};
use crate::people::ContactRow;
use crate::problem::Problem;

/// Contacts of the gateway.
const CONTACTS: usize = 500;

/// A contact to be saved.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NewContact {
    /// Called directly there, without a PBX.
    address: Option<IpAddr>,
    #[cfg_attr(test, schemars(length(min = 1, max = 100)))]
    name: String,
    /// As it is dialled.
    #[cfg_attr(test, schemars(extend("pattern" = "^[A-Za-z0-9+*#._-]{1,64}$")))]
    number: String,
}

/// A contact of the gateway.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Contact {
    name: String,
    /// As it is dialled.
    number: String,
    /// Called directly there, without a PBX.
    address: Option<IpAddr>,
    created: String,
    by: String,
}

/// An entry of the directory.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "DirectoryEntry"))]
pub(crate) struct Entry<'a> {
    name: &'a str,
    number: &'a str,
    address: Option<IpAddr>,
}

/// Contacts of the gateway (at most 500), and what was read from the directory.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Directory<'a> {
    /// When it was read, RFC 3339; null if it never was.
    read: Option<String>,
    contacts: Vec<Contact>,
    entries: Vec<Entry<'a>>,
}

fn shown((name, row): (String, ContactRow)) -> Contact {
    Contact {
        name,
        number: row.number,
        address: row.address,
        created: row.created,
        by: row.by,
    }
}

/// Names and numbers of people: for who may see every door.
fn sees_all(ask: &Ask) -> Result<(), Problem> {
    if ask.principal()?.rights.doors.is_none() {
        return Ok(());
    }
    let text = "who is limited to doors does not see the directory";
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", text))
}

fn found(app: &App, name: &str) -> Option<ContactRow> {
    let mut all = app.people.contacts().into_iter();
    all.find(|(known, _)| known == name).map(|(_, row)| row)
}

fn no_contact() -> Problem {
    Problem::unknown("there is no contact of this name; GET /api/v1/directory lists them")
}

pub(crate) fn contact(app: &App, ask: &Ask) -> Result<Response, Problem> {
    sees_all(ask)?;
    let name = ask.captured(0);
    let row = found(app, name).ok_or_else(no_contact)?;
    let etag = Etag::of(&row);
    Ok(etag.on(json(StatusCode::OK, &shown((name.to_owned(), row)))?))
}

pub(crate) fn directory(app: &App, ask: &Ask) -> Result<Response, Problem> {
    sees_all(ask)?;
    let directory = app.bus.directory().borrow().clone();
    let shown = Directory {
        read: directory.read.map(|at| at.to_string()),
        contacts: app.people.contacts().into_iter().map(shown).collect(),
        entries: directory
            .entries
            .iter()
            .map(|entry| Entry {
                name: &entry.name,
                number: &entry.number,
                address: entry.address,
            })
            .collect(),
    };
    json(StatusCode::OK, &shown)
}

pub(crate) async fn save(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: NewContact = ask.json()?;
    let name = body.name.trim().to_owned();
    let length = name.chars().count();
    if !(1..=100).contains(&length) || name.chars().any(char::is_control) {
        return Err(Problem::bad(
            "name",
            "a name has 1 to 100 characters, none of them a control character",
        ));
    }
    let of_number = |c: char| c.is_ascii_alphanumeric() || "+*#._-".contains(c);
    if !(1..=64).contains(&body.number.len()) || !body.number.chars().all(of_number) {
        return Err(Problem::bad(
            "number",
            "a number has 1 to 64 of A-Z a-z 0-9 + * # . _ -",
        ));
    }
    let condition = Condition::of(&ask.head.headers)?;
    let _edit = app.edits.lock().await;
    condition.check(found(app, &name).as_ref().map(Etag::of).as_ref())?;
    let all = app.people.contacts();
    if all.len() >= CONTACTS && !all.iter().any(|(known, _)| *known == name) {
        let text = format!("there are {CONTACTS} contacts, which is the limit; remove one first");
        return Err(Problem::new(StatusCode::CONFLICT, "full", text));
    }
    let by = ask.principal()?.name().to_owned();
    let row = ContactRow {
        address: body.address,
        by: by.clone(),
        created: app.clock.wall().to_string(),
        number: body.number,
    };
    app.people.put_contact(&name, &row).await?;
    app.bus.contacts_changed();
    let number = match row.address {
        Some(address) => format!("{} at {address}", row.number),
        None => row.number.clone(),
    };
    app.journal(UserEvent::ContactSaved {
        by,
        contact: name.clone(),
        number,
    });
    let etag = Etag::of(&row);
    Ok(etag.on(json(StatusCode::CREATED, &shown((name, row)))?))
}

pub(crate) async fn remove(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let name = ask.captured(0);
    let condition = Condition::of(&ask.head.headers)?;
    let _edit = app.edits.lock().await;
    let row = found(app, name).ok_or_else(no_contact)?;
    condition.check(Some(&Etag::of(&row)))?;
    app.people.remove_contact(name).await?;
    app.bus.contacts_changed();
    app.journal(UserEvent::ContactRemoved {
        by: ask.principal()?.name().to_owned(),
        contact: name.to_owned(),
    });
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
