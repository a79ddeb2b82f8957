//! The directory, and the contacts that were copied out of it.

use std::net::IpAddr;

use gateway_core::UserEvent;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use warp::Reply as _;
use warp::reply::Response;

use crate::app::App;
use crate::ask::{Ask, json};
use crate::contact_list::{self, ContactsImport};
use crate::etag::{Condition, Etag};
use crate::param::{DRY_RUN, REPLACE};
use crate::people::ContactRow;
use crate::problem::Problem;

/// Contacts of the gateway.
pub(crate) const CONTACTS: usize = 500;

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

/// A name as it is kept, or what is allowed.
pub(crate) fn checked_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim().to_owned();
    let length = name.chars().count();
    if (1..=100).contains(&length) && !name.chars().any(char::is_control) {
        Ok(name)
    } else {
        Err("a name has 1 to 100 characters, none of them a control character")
    }
}

/// A number as it is kept, or what is allowed.
pub(crate) fn checked_number(text: &str) -> Result<String, &'static str> {
    let of_number = |c: char| c.is_ascii_alphanumeric() || "+*#._-".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(of_number) {
        Ok(text.to_owned())
    } else {
        Err("a number has 1 to 64 of A-Z a-z 0-9 + * # . _ -")
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

/// All contacts as a table.
pub(crate) fn export(app: &App, ask: &Ask) -> Result<Response, Problem> {
    sees_all(ask)?;
    let mut response = http::Response::new(contact_list::contacts_table(&app.bus)).into_response();
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// A table of contacts, taken as a whole.
async fn import(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let text = String::from_utf8(ask.body.clone());
    let text = text.map_err(|_| Problem::bad("body", "the body is no UTF-8 text"))?;
    let mut query = ask.query()?;
    let flag = |text: &str| (text == "1").then_some(true);
    let how = ContactsImport {
        dry_run: query.take_with(&DRY_RUN, flag)?.unwrap_or(false),
        replace: query.take_with(&REPLACE, flag)?.unwrap_or(false),
    };
    let by = ask.principal()?.name().to_owned();
    let _edit = app.edits.lock().await;
    let imported = contact_list::import_contacts(&app.bus, app.clock.as_ref(), &text, how, &by).await;
    json(StatusCode::OK, &imported.map_err(contact_list::refused)?)
}

pub(crate) async fn save(app: &App, ask: &Ask) -> Result<Response, Problem> {
    if ask.is_of("text/csv") {
        return import(app, ask).await;
    }
    let body: NewContact = ask.json()?;
    let name = checked_name(&body.name).map_err(|text| Problem::bad("name", text))?;
    checked_number(&body.number).map_err(|text| Problem::bad("number", text))?;
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
