//! Users and API tokens, for administrators.

use gateway_core::{Secret, Timestamp, UserEvent};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use crate::access::{Rights, Scope};
use crate::app::App;
use crate::dispatch::{Ask, json};
use crate::password::random;
use crate::people::{TokenRow, UserRow, login_name, new_token, token_hash};
use crate::problem::Problem;

/// Users, and tokens.
const ACCOUNTS: usize = 200;
/// Life of a token in days, unless said otherwise.
const TOKEN_DAYS: u32 = 365;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    doors: Option<Vec<String>>,
    password: String,
    scopes: Vec<String>,
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// 1 to 3650, 365 if not given.
    days: Option<u32>,
    doors: Option<Vec<String>>,
    name: String,
    scopes: Vec<String>,
}

#[derive(Serialize)]
struct User {
    user: String,
    scopes: Vec<String>,
    doors: Option<Vec<String>>,
    created: String,
}

#[derive(Serialize)]
struct Token {
    id: String,
    name: String,
    scopes: Vec<String>,
    doors: Option<Vec<String>>,
    created: String,
    expires: String,
    by: String,
    /// Shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Serialize)]
struct Users {
    users: Vec<User>,
}

#[derive(Serialize)]
struct Tokens {
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

fn full(what: &str) -> Problem {
    let text = format!("there are {ACCOUNTS} {what}, which is the limit; remove one first");
    Problem::new(StatusCode::CONFLICT, "full", text)
}

pub(crate) async fn create_user(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: NewUser = ask.json()?;
    let password = Secret::new(body.password);
    let name = login_name(&body.user)?;
    let rights = Rights::read(&body.scopes, body.doors.as_deref())?;
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
    let hash = app.hasher.turn().await?.hash(password).await?;
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
    json(StatusCode::CREATED, &shown_user((name, row)))
}

pub(crate) async fn delete_user(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let name = login_name(ask.captured(0))?;
    let all = app.people.users();
    let admin = |row: &UserRow| row.scopes.iter().any(|s| s == Scope::Admin.word());
    let Some((_, row)) = all.iter().find(|(n, _)| *n == name) else {
        return Err(Problem::unknown(format!("there is no user {name:?}")));
    };
    if admin(row) && all.iter().filter(|(_, r)| admin(r)).count() == 1 {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "last-admin",
            "this is the last administrator; make another one first",
        ));
    }
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
    let rights = Rights::read(&body.scopes, body.doors.as_deref())?;
    let days = body.days.unwrap_or(TOKEN_DAYS);
    if !(1..=3650).contains(&days) {
        return Err(Problem::bad(
            "days",
            format!("days {days}: allowed are 1 to 3650"),
        ));
    }
    let all = app.people.tokens();
    if all.len() >= ACCOUNTS {
        return Err(full("tokens"));
    }
    if all.iter().any(|(_, row)| row.name == name) {
        let text = format!("there is a token {name:?} already; the journal must tell them apart");
        return Err(Problem::new(StatusCode::CONFLICT, "exists", text));
    }
    let now = app.clock.wall();
    let expires = expiry(now, days)?;
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
    let mut shown = shown_token((id, row));
    shown.token = Some(text);
    json(StatusCode::CREATED, &shown)
}

fn expiry(now: Timestamp, days: u32) -> Result<Timestamp, Problem> {
    let life = jiff::SignedDuration::from_hours(24 * i64::from(days));
    now.checked_add(life)
        .map_err(|_| Problem::bad("days", "the clock of the gateway is too far in the future"))
}

pub(crate) async fn delete_token(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let id = ask.captured(0);
    let row = app.people.token(id).ok_or_else(|| {
        let shown: String = id.chars().take(40).collect();
        Problem::unknown(format!(
            "there is no token {shown:?}; GET /api/v1/tokens lists them"
        ))
    })?;
    app.people.remove_token(id).await?;
    app.journal(UserEvent::TokenRevoked { token: row.name });
    Ok(no_content())
}
