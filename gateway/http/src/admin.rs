//! Users and API tokens, for administrators.

use gateway_core::{DoorId, Secret, Subject, Timestamp, UserEvent};
use http::StatusCode;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use warp::reply::Response;

use crate::access::{Rights, Scope};
use crate::app::App;
use crate::ask::{Ask, json};
use crate::etag::{Condition, Etag};
use crate::password::random;
use crate::people::{TokenRow, UserRow, login_name, new_token, token_hash};
use crate::problem::Problem;

/// Users, and tokens.
const ACCOUNTS: usize = 200;
/// Life of a token in days, unless said otherwise.
const TOKEN_DAYS: u32 = 365;

/// Which doors, as it is said: every door is never what is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DoorsOf {
    /// `"all"`.
    All,
    /// These.
    These(Vec<String>),
}

impl DoorsOf {
    /// As a row has it, where nothing is every door.
    fn list(&self) -> Option<Vec<String>> {
        match self {
            Self::All => None,
            Self::These(doors) => Some(doors.clone()),
        }
    }
}

fn doors_given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DoorsOf>, D::Error> {
    let wrong = || D::Error::custom("\"doors\" must be a list of doors, or \"all\"; null says neither");
    let name = |name: &Value| name.as_str().map(str::to_owned).ok_or_else(wrong);
    match Value::deserialize(from)? {
        Value::Array(doors) => {
            let doors = doors.iter().map(name).collect::<Result<_, _>>()?;
            Ok(Some(DoorsOf::These(doors)))
        }
        Value::String(word) if word == "all" => Ok(Some(DoorsOf::All)),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::Object(_) | Value::String(_) => Err(wrong()),
    }
}

/// The doors of what is made: who is no administrator has those that are named.
fn doors_made(scopes: &[String], doors: Option<&DoorsOf>) -> Result<Option<Vec<String>>, Problem> {
    match doors {
        Some(doors) => Ok(doors.list()),
        None if scopes.iter().any(|scope| scope == Scope::Admin.word()) => Ok(None),
        None => Err(Problem::bad(
            "doors",
            "\"doors\" is missing: give a list of doors, or \"all\" for every door that there is and will be",
        )),
    }
}

/// The doors of what is changed: as they were, unless they are given.
fn doors_changed(before: Option<&[String]>, doors: Option<&DoorsOf>) -> Option<Vec<String>> {
    doors.map_or_else(|| before.map(<[String]>::to_vec), DoorsOf::list)
}

/// A user to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NewUser {
    /// The doors it is limited to, or `"all"`. Needed, except for administrators, who have all.
    #[serde(
        default,
        deserialize_with = "doors_given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "crate::openapi::DoorsOf"))]
    doors: Option<DoorsOf>,
    #[cfg_attr(test, schemars(with = "crate::openapi::Password"))]
    password: String,
    #[cfg_attr(test, schemars(with = "crate::openapi::Scopes"))]
    scopes: Vec<String>,
    #[cfg_attr(test, schemars(with = "crate::openapi::Login"))]
    user: String,
}

/// What a user is to be from here on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct UserChange {
    /// The doors it is limited to, or `"all"`; not for administrators, who have all. Stays as it is unless given.
    #[serde(
        default,
        deserialize_with = "doors_given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "crate::openapi::DoorsOf"))]
    doors: Option<DoorsOf>,
    /// Stays as it is unless given; a new one ends the sessions of the user.
    #[cfg_attr(test, schemars(with = "Option<crate::openapi::Password>"))]
    password: Option<String>,
    #[cfg_attr(test, schemars(with = "crate::openapi::Scopes"))]
    scopes: Vec<String>,
}

/// A token to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NewToken {
    /// Its life in days, 365 if not given.
    #[cfg_attr(test, schemars(range(min = 1, max = 3650)))]
    days: Option<u32>,
    /// The doors it is limited to, or `"all"`. Needed, except for administrators, who have all.
    #[serde(
        default,
        deserialize_with = "doors_given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "crate::openapi::DoorsOf"))]
    doors: Option<DoorsOf>,
    /// By which the journal knows it; no two have the same.
    #[cfg_attr(test, schemars(with = "crate::openapi::Login"))]
    name: String,
    #[cfg_attr(test, schemars(with = "crate::openapi::Scopes"))]
    scopes: Vec<String>,
}

/// What a token is to be from here on; its text and name stay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TokenChange {
    /// Its life in days from now on; its end stays as it is unless given.
    #[cfg_attr(test, schemars(range(min = 1, max = 3650)))]
    days: Option<u32>,
    /// The doors it is limited to, or `"all"`; not for administrators, who have all. Stays as it is unless given.
    #[serde(
        default,
        deserialize_with = "doors_given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "crate::openapi::DoorsOf"))]
    doors: Option<DoorsOf>,
    #[cfg_attr(test, schemars(with = "crate::openapi::Scopes"))]
    scopes: Vec<String>,
}

/// A user.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct User {
    user: String,
    scopes: Vec<String>,
    /// `null` is every door.
    doors: Option<Vec<String>>,
    created: String,
}

/// A token, without its text.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Token {
    id: String,
    name: String,
    scopes: Vec<String>,
    /// `null` is every door.
    doors: Option<Vec<String>>,
    created: String,
    /// From this moment on nobody is let in by it.
    expires: String,
    /// Who made it.
    by: String,
    /// What goes into `Authorization: Bearer`; shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// All users, at most 200.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Users {
    users: Vec<User>,
}

/// All tokens, at most 200.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Tokens {
    tokens: Vec<Token>,
}

fn shown_user((user, row): (String, UserRow)) -> User {
    User {
        user,
        scopes: row.scopes,
        doors: row.doors,
        created: row.created,
    }
}

fn shown_token((id, row): (String, TokenRow)) -> Token {
    Token {
        id,
        name: row.name,
        scopes: row.scopes,
        doors: row.doors,
        created: row.created,
        expires: row.expires,
        by: row.by,
        token: None,
    }
}

/// What an administrator typed. Doors must be there: a name that none has would be silently of no use, or of another
/// door's one day.
fn rights(app: &App, scopes: &[String], doors: Option<&[String]>) -> Result<Rights, Problem> {
    let rights = Rights::read(scopes, doors)?;
    let view = app.view();
    let there = |door: &DoorId| view.doors.iter().any(|d| d.id == *door);
    if let Some(missing) = rights.doors.iter().flatten().find(|door| !there(door)) {
        let all: Vec<_> = view.doors.iter().map(|d| d.id.as_str()).collect();
        let all = if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(", ")
        };
        let text = format!("there is no door {:?}; there are: {all}", missing.as_str());
        return Err(Problem::bad("door", text));
    }
    Ok(rights)
}

fn words(rights: &Rights) -> Vec<String> {
    rights.scope_words().into_iter().map(str::to_owned).collect()
}

fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

pub(crate) fn users(app: &App) -> Result<Response, Problem> {
    let users = app.people.users().into_iter().map(shown_user).collect();
    json(StatusCode::OK, &Users { users })
}

pub(crate) fn tokens(app: &App) -> Result<Response, Problem> {
    let tokens = app.people.tokens().into_iter().map(shown_token).collect();
    json(StatusCode::OK, &Tokens { tokens })
}

pub(crate) fn user(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let (name, row) = found_user(app, ask)?;
    let etag = Etag::of(&row);
    Ok(etag.on(json(StatusCode::OK, &shown_user((name, row)))?))
}

pub(crate) fn token(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let (id, row) = found_token(app, ask)?;
    let etag = Etag::of(&row);
    Ok(etag.on(json(StatusCode::OK, &shown_token((id, row)))?))
}

fn found_user(app: &App, ask: &Ask) -> Result<(String, UserRow), Problem> {
    let typed = ask.captured(0);
    let found = login_name(typed)
        .ok()
        .and_then(|name| Some((name.clone(), app.people.user(&name)?)));
    found.ok_or_else(|| {
        let shown: String = typed.chars().take(40).collect();
        Problem::unknown(format!(
            "there is no user {shown:?}; GET /api/v1/users lists them"
        ))
    })
}

fn found_token(app: &App, ask: &Ask) -> Result<(String, TokenRow), Problem> {
    let id = ask.captured(0);
    let row = app.people.token(id).ok_or_else(|| {
        let shown: String = id.chars().take(40).collect();
        Problem::unknown(format!(
            "there is no token {shown:?}; GET /api/v1/tokens lists them"
        ))
    })?;
    Ok((id.to_owned(), row))
}

fn full(what: &str) -> Problem {
    let text = format!("there are {ACCOUNTS} {what}, which is the limit; remove one first");
    Problem::new(StatusCode::CONFLICT, "full", text)
}

pub(crate) async fn create_user(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: NewUser = ask.json()?;
    let password = Secret::new(body.password);
    let name = login_name(&body.user)?;
    let doors = doors_made(&body.scopes, body.doors.as_ref())?;
    let rights = rights(app, &body.scopes, doors.as_deref())?;
    let exists = || {
        let text = format!("there is a user {name:?} already");
        Problem::new(StatusCode::CONFLICT, "exists", text)
    };
    if app.people.user(&name).is_some() {
        return Err(exists());
    }
    if app.people.users().len() >= ACCOUNTS {
        return Err(full("users"));
    }
    let hash = app.hasher.turn(true).await?.hash(password).await?;
    let _edit = app.edits.lock().await;
    // Somebody else may have been quicker while the hash was computed.
    if app.people.user(&name).is_some() {
        return Err(exists());
    }
    let row = UserRow {
        created: app.clock.wall().to_string(),
        doors: rights.door_words(),
        hash,
        scopes: words(&rights),
    };
    app.people.put_user(&name, &row).await?;
    app.journal(UserEvent::UserCreated {
        by: ask.principal()?.name().to_owned(),
        user: name.clone(),
    });
    let etag = Etag::of(&row);
    Ok(etag.on(json(StatusCode::CREATED, &shown_user((name, row)))?))
}

/// Scopes, doors and password of a user that is there.
pub(crate) async fn change_user(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: UserChange = ask.json()?;
    let password = body.password.map(Secret::new);
    let wanted = |row: &UserRow| {
        let doors = doors_changed(row.doors.as_deref(), body.doors.as_ref());
        rights(app, &body.scopes, doors.as_deref())
    };
    // first whether it makes sense at all: a hash costs time
    let row = found_user(app, ask)?.1;
    wanted(&row)?;
    let condition = Condition::needed(&ask.head.headers)?;
    condition.check(Some(&Etag::of(&row)))?;
    let hash = match password {
        Some(password) => Some(app.hasher.turn(true).await?.hash(password).await?),
        None => None,
    };
    let edit = app.edits.lock().await;
    let (name, row) = found_user(app, ask)?;
    condition.check(Some(&Etag::of(&row)))?;
    let rights = wanted(&row)?;
    if !rights.allows(Scope::Admin) {
        keep_an_admin(app, &row)?;
    }
    let by = ask.principal()?.name().to_owned();
    let renewed = hash.is_some();
    let row = UserRow {
        created: row.created,
        doors: rights.door_words(),
        hash: hash.unwrap_or(row.hash),
        scopes: words(&rights),
    };
    app.people.put_user(&name, &row).await?;
    drop(edit);
    if renewed {
        app.sessions().close_user(app.clock.now(), &name, None);
    }
    app.journal(UserEvent::UserChanged {
        by,
        user: name.clone(),
    });
    let etag = Etag::of(&row);
    Ok(etag.on(json(StatusCode::OK, &shown_user((name, row)))?))
}

/// Refuses what would leave nobody who can make users.
fn keep_an_admin(app: &App, row: &UserRow) -> Result<(), Problem> {
    let admin = |row: &UserRow| row.scopes.iter().any(|s| s == Scope::Admin.word());
    let all = app.people.users();
    if admin(row) && all.iter().filter(|(_, r)| admin(r)).count() == 1 {
        let text = "this is the last administrator; make another one first";
        return Err(Problem::new(StatusCode::CONFLICT, "last-admin", text));
    }
    Ok(())
}

pub(crate) async fn delete_user(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let condition = Condition::of(&ask.head.headers)?;
    let _edit = app.edits.lock().await;
    let (name, row) = found_user(app, ask)?;
    condition.check(Some(&Etag::of(&row)))?;
    keep_an_admin(app, &row)?;
    app.people.remove_user(&name).await?;
    app.sessions().close_user(app.clock.now(), &name, None);
    app.journal(UserEvent::UserRemoved {
        by: ask.principal()?.name().to_owned(),
        user: name,
    });
    Ok(no_content())
}

pub(crate) async fn create_token(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: NewToken = ask.json()?;
    let name = login_name(&body.name)?;
    let doors = doors_made(&body.scopes, body.doors.as_ref())?;
    let rights = rights(app, &body.scopes, doors.as_deref())?;
    let now = app.clock.wall();
    let expires = expiry(now, body.days.unwrap_or(TOKEN_DAYS))?;
    let _edit = app.edits.lock().await;
    let all = app.people.tokens();
    if all.len() >= ACCOUNTS {
        return Err(full("tokens"));
    }
    let by_mqtt = name == Subject::UNSIGNED || app.params.mqtt_keys.contains(&name);
    if by_mqtt {
        let text = format!("{name:?} stands in the journal for commands over MQTT; name the token otherwise");
        return Err(Problem::new(StatusCode::CONFLICT, "exists", text));
    }
    if all.iter().any(|(_, row)| row.name == name) {
        let text = format!("there is a token {name:?} already; the journal must tell them apart");
        return Err(Problem::new(StatusCode::CONFLICT, "exists", text));
    }
    let (id, text) = new_token(random()?, random()?);
    let row = TokenRow {
        by: ask.principal()?.name().to_owned(),
        created: now.to_string(),
        doors: rights.door_words(),
        expires: expires.to_string(),
        name: name.clone(),
        scopes: words(&rights),
        sha256: token_hash(&text),
    };
    app.people.put_token(&id, &row, expires).await?;
    app.journal(UserEvent::TokenCreated { token: name });
    let etag = Etag::of(&row);
    let mut shown = shown_token((id, row));
    shown.token = Some(text);
    Ok(etag.on(json(StatusCode::CREATED, &shown)?))
}

/// Scopes, doors and end of a token that is there.
pub(crate) async fn change_token(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: TokenChange = ask.json()?;
    let condition = Condition::needed(&ask.head.headers)?;
    let _edit = app.edits.lock().await;
    let (id, row) = found_token(app, ask)?;
    condition.check(Some(&Etag::of(&row)))?;
    let doors = doors_changed(row.doors.as_deref(), body.doors.as_ref());
    let rights = rights(app, &body.scopes, doors.as_deref())?;
    let unread = |_| Problem::bad("days", "the end of this token cannot be read; give its days");
    let expires = match body.days {
        Some(days) => expiry(app.clock.wall(), days)?,
        None => row.expires.parse::<Timestamp>().map_err(unread)?,
    };
    let row = TokenRow {
        doors: rights.door_words(),
        expires: expires.to_string(),
        scopes: words(&rights),
        ..row
    };
    app.people.put_token(&id, &row, expires).await?;
    app.journal(UserEvent::TokenChanged {
        by: ask.principal()?.name().to_owned(),
        token: row.name.clone(),
    });
    let etag = Etag::of(&row);
    Ok(etag.on(json(StatusCode::OK, &shown_token((id, row)))?))
}

fn expiry(now: Timestamp, days: u32) -> Result<Timestamp, Problem> {
    if !(1..=3650).contains(&days) {
        return Err(Problem::bad(
            "days",
            format!("days {days}: allowed are 1 to 3650"),
        ));
    }
    let life = jiff::SignedDuration::from_hours(24 * i64::from(days));
    now.checked_add(life)
        .map_err(|_| Problem::bad("days", "the clock of the gateway is too far in the future"))
}

pub(crate) async fn delete_token(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let condition = Condition::of(&ask.head.headers)?;
    let _edit = app.edits.lock().await;
    let (id, row) = found_token(app, ask)?;
    condition.check(Some(&Etag::of(&row)))?;
    app.people.remove_token(&id).await?;
    app.journal(UserEvent::TokenRevoked { token: row.name });
    Ok(no_content())
}
