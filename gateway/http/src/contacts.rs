//! The directory, and the contacts that were copied out of it.

use std::net::IpAddr;

use gateway_core::UserEvent;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use crate::app::App;
use crate::dispatch::{Ask, json};
use crate::people::ContactRow;
use crate::problem::Problem;

/// Contacts of the gateway.
const CONTACTS: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewContact {
    address: Option<IpAddr>,
    name: String,
    number: String,
}

#[derive(Serialize)]
struct Contact {
    name: String,
    number: String,
    address: Option<IpAddr>,
    created: String,
    by: String,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    number: &'a str,
    address: Option<IpAddr>,
}

#[derive(Serialize)]
struct Directory<'a> {
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
pub(crate) fn directory(app: &App, ask: &Ask) -> Result<Response, Problem> {
    if ask.principal()?.rights.doors.is_some() {
        let text = "who is limited to doors does not see the directory";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", text));
    }
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
    json(StatusCode::CREATED, &shown((name, row)))
}

pub(crate) async fn remove(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let name = ask.captured(0);
    if !app.people.contacts().iter().any(|(known, _)| known == name) {
        return Err(Problem::unknown(
            "there is no contact of this name; GET /api/v1/directory lists them",
        ));
    }
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
