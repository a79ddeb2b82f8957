//! Logging in and out, the first user, one's own password.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::{Instant, Secret, UserEvent};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use crate::access::{Principal, Rights, Who};
use crate::app::App;
use crate::dispatch::{Ask, json};
use crate::limits::Source;
use crate::page;
use crate::password::random;
use crate::people::{UserRow, login_name};
use crate::problem::Problem;
use crate::session::{LIFE, key};
use crate::setup::{LOST, note_users};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginBody {
    password: String,
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetupBody {
    code: String,
    password: String,
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    new: String,
    old: String,
}

/// Who is logged in, and whether there is anybody yet.
#[derive(Serialize)]
struct Session {
    user: Option<String>,
    scopes: Vec<&'static str>,
    doors: Option<Vec<String>>,
    /// True if the first user is still to be made.
    setup: bool,
    language: &'static str,
    version: String,
}

fn describe(app: &App, ask: &Ask, principal: Option<&Principal>) -> Session {
    Session {
        user: principal.map(|p| p.name().to_owned()),
        scopes: principal.map(|p| p.rights.scope_words()).unwrap_or_default(),
        doors: principal.and_then(|p| p.rights.door_words()),
        setup: app.people.is_empty() && app.lost_users().is_none(),
        language: page::language(app, &ask.head.headers).code(),
        version: app.params.version.clone(),
    }
}

pub(crate) fn session(app: &App, ask: &Ask) -> Result<Response, Problem> {
    json(StatusCode::OK, &describe(app, ask, ask.known()))
}

fn locked(left: Duration) -> Problem {
    // up: who comes back a moment early is refused again
    let seconds = u64::try_from(left.as_millis().div_ceil(1000))
        .unwrap_or(u64::MAX)
        .max(1);
    let text = format!("too many failed attempts; try again in {seconds} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "locked", text).later(seconds)
}

/// Counts an attempt as failed before it is judged, so that many at once gain nothing.
fn attempt(app: &App, now: Instant, source: Source, name: &str) -> Result<(), Problem> {
    let (source, name) = (source.to_string(), name.to_owned());
    let mut locks = app.locks();
    let left = [locks.sources.locked(now, &source), locks.users.locked(now, &name)];
    if let Some(left) = left.into_iter().flatten().max() {
        return Err(locked(left));
    }
    let begun = locks.sources.fail(now, &source);
    locks.users.fail(now, &name);
    drop(locks);
    if let Some(lock) = begun {
        app.journal(UserEvent::LoginLocked {
            lock_s: lock.as_secs(),
            source,
        });
    }
    Ok(())
}

fn passed(app: &App, source: Source, name: &str) {
    let mut locks = app.locks();
    locks.sources.pass(&source.to_string());
    locks.users.pass(name);
}

fn failed(app: &App, source: Source) {
    app.metrics.login_failed();
    tracing::info!(%source, "login failed");
    app.journal(UserEvent::LoginFailed {
        source: source.to_string(),
    });
}

pub(crate) async fn login(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: LoginBody = ask.json()?;
    let password = Secret::new(body.password);
    // A name that cannot exist takes the way of one that does not.
    let name = login_name(&body.user).unwrap_or_default();
    let source = ask.head.peer.source();
    let turn = app.hasher.turn().await?;
    attempt(app, app.clock.now(), source, &name)?;
    let row = app.people.user(&name);
    if !turn.verify(password, row.map(|r| r.hash)).await? {
        failed(app, source);
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "login-failed",
            "user name or password is wrong",
        ));
    }
    passed(app, source, &name);
    app.journal(UserEvent::Login { user: name.clone() });
    begin(app, ask, &name)
}

/// Begins a session and answers with its cookie.
fn begin(app: &App, ask: &Ask, name: &str) -> Result<Response, Problem> {
    let random: [u8; 32] = random()?;
    let secret = URL_SAFE_NO_PAD.encode(random);
    let session = key(&secret);
    let rights = app.people.user_rights(name).unwrap_or_default();
    {
        let mut sessions = app.sessions();
        // The session that was there before is over: its cookie is overwritten.
        if let Some(old) = app.cookie(&ask.head.headers) {
            sessions.close(&key(old));
        }
        sessions.open(app.clock.now(), session, name);
    }
    let principal = Principal {
        rights,
        who: Who::User {
            name: name.to_owned(),
            session,
        },
    };
    let mut response = json(StatusCode::OK, &describe(app, ask, Some(&principal)))?;
    set_cookie(app, &mut response, &secret, LIFE.as_secs());
    Ok(response)
}

fn set_cookie(app: &App, response: &mut Response, secret: &str, max_age_s: u64) {
    let secure = if app.tls() { "; Secure" } else { "" };
    let name = app.cookie_name();
    let text = format!("{name}={secret}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

pub(crate) fn logout(app: &App, ask: &Ask) -> Response {
    if let Some(secret) = app.cookie(&ask.head.headers) {
        app.sessions().close(&key(secret));
    }
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    set_cookie(app, &mut response, "", 0);
    response
}

/// Makes the first user. It runs to its end even if the browser goes away: the code is used once.
pub(crate) async fn setup(app: &Arc<App>, ask: Ask) -> Result<Response, Problem> {
    let app = app.clone();
    let done = tokio::spawn(async move { first_user(&app, &ask).await }).await;
    done.unwrap_or_else(|_| {
        Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "fault",
            "setup failed, see the log",
        ))
    })
}

async fn first_user(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: SetupBody = ask.json()?;
    let password = Secret::new(body.password);
    let name = login_name(&body.user)?;
    let source = ask.head.peer.source();
    let turn = app.hasher.turn().await?;
    attempt(app, app.clock.now(), source, "setup")?;
    if !app.people.is_empty() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "setup-done",
            "there is a user already; log in, or ask that user for an account",
        ));
    }
    if app.lost_users().is_some() {
        return Err(Problem::new(StatusCode::FORBIDDEN, "setup-closed", LOST));
    }
    let now = app.clock.now();
    // Taken out while it is used, so that two at once cannot both use it.
    let taken = app.setup().take();
    if !taken.as_ref().is_some_and(|s| s.fits(now, &body.code)) {
        let expired = taken.as_ref().is_none_or(|s| s.code(now).is_none());
        *app.setup() = taken;
        failed(app, source);
        let text = if expired {
            "the setup code has expired; restart the gateway to get a new one"
        } else {
            "the setup code is wrong; it stands in the terminal of the gateway"
        };
        return Err(Problem::new(StatusCode::FORBIDDEN, "setup-code", text));
    }
    if let Err(problem) = make_admin(app, &name, password, turn).await {
        *app.setup() = taken;
        return Err(problem);
    }
    note_users(&app.params.users_mark);
    passed(app, source, "setup");
    app.journal(UserEvent::SetupDone { user: name.clone() });
    begin(app, ask, &name)
}

async fn make_admin(
    app: &App,
    name: &str,
    password: Secret,
    turn: crate::password::Turn,
) -> Result<(), Problem> {
    let hash = turn.hash(password).await?;
    let rights = Rights::admin();
    let row = UserRow {
        created: app.clock.wall().to_string(),
        doors: None,
        hash,
        scopes: rights.scope_words().into_iter().map(str::to_owned).collect(),
    };
    app.people.put_user(name, &row).await
}

/// Changes one's own password; other sessions of the user end.
pub(crate) async fn password(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let Who::User { name, session } = &ask.principal()?.who else {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "scope",
            "a token has no password; log in as a user",
        ));
    };
    let body: PasswordBody = ask.json()?;
    let (old, new) = (Secret::new(body.old), Secret::new(body.new));
    let source = ask.head.peer.source();
    let turn = app.hasher.turn().await?;
    attempt(app, app.clock.now(), source, name)?;
    let row = app
        .people
        .user(name)
        .ok_or_else(|| Problem::unknown("this user is gone"))?;
    if !turn.verify(old, Some(row.hash.clone())).await? {
        failed(app, source);
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "login-failed",
            "the old password is wrong",
        ));
    }
    passed(app, source, name);
    let hash = app.hasher.turn().await?.hash(new).await?;
    app.people.put_user(name, &UserRow { hash, ..row }).await?;
    app.sessions().close_user(name, Some(session));
    app.journal(UserEvent::PasswordChanged { user: name.clone() });
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
