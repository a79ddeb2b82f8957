//! Logging in and out, the first user, one's own password.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::{Instant, Secret, UserEvent};
use gateway_radius::TerminateCause;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use crate::access::{Principal, Rights, Who};
use crate::app::App;
use crate::ask::{Ask, json, to_its_end};
use crate::limits::Source;
use crate::page;
use crate::password::{Turn, random};
use crate::people::{UserRow, login_name};
use crate::problem::Problem;
use crate::radius;
use crate::session::{LIFE, Vouched, key};
use crate::setup::{LOST, note_users};

/// Name and password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct LoginBody {
    password: String,
    user: String,
}

/// The one-time code and the first user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SetupBody {
    code: String,
    password: String,
    user: String,
}

/// Both passwords.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PasswordBody {
    new: String,
    old: String,
}

/// Who is logged in, and whether there is anybody yet.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Session {
    user: Option<String>,
    /// `gateway` for an account of ours, `radius` if a RADIUS server vouches.
    vouched_by: Option<&'static str>,
    scopes: Vec<&'static str>,
    /// `null` is every door, or nobody.
    doors: Option<Vec<String>>,
    /// True if the first user is still to be made.
    setup: bool,
    language: &'static str,
    version: String,
}

fn describe(app: &App, ask: &Ask, principal: Option<&Principal>) -> Session {
    Session {
        user: principal.map(|p| radius::typed(p.name()).to_owned()),
        vouched_by: principal.map(|p| {
            if radius::vouched(p.name()) {
                "radius"
            } else {
                "gateway"
            }
        }),
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

/// An attempt that was counted as failed.
#[derive(Debug)]
pub(crate) struct Attempt {
    at: Instant,
    /// Then it does not count against the name.
    familiar: bool,
    name: String,
    pub(crate) source: Source,
}

/// Refuses who is locked out. What others do to a name does not count where its user has logged in lately. True if that
/// is so.
fn free(app: &App, now: Instant, from: Source, name: &str) -> Result<bool, Problem> {
    let locks = app.locks();
    let familiar = locks.familiar.knows(now, name, from);
    let of_name = locks.users.locked(now, name).filter(|_| !familiar);
    let left = [locks.sources.locked(now, &from.to_string()), of_name];
    match left.into_iter().flatten().max() {
        Some(left) => Err(locked(left)),
        None => Ok(familiar),
    }
}

/// Waits for the turn of who is not locked out.
async fn turn(app: &App, from: Source, name: &str) -> Result<Turn, Problem> {
    let familiar = free(app, app.clock.now(), from, name)?;
    app.hasher.turn(familiar).await
}

/// Counts an attempt as failed before it is judged, so that many at once gain nothing.
fn attempt(app: &App, now: Instant, from: Source, name: &str) -> Result<Attempt, Problem> {
    let (source, name) = (from.to_string(), name.to_owned());
    let familiar = free(app, now, from, &name)?;
    let mut locks = app.locks();
    let begun = locks.sources.fail(now, &source);
    if !familiar {
        locks.users.fail(now, &name);
    }
    drop(locks);
    if let Some(lock) = begun {
        app.journal(UserEvent::LoginLocked {
            lock_s: lock.as_secs(),
            source,
        });
    }
    Ok(Attempt {
        at: now,
        familiar,
        name,
        source: from,
    })
}

impl Attempt {
    /// It was right: earlier failures are forgotten.
    pub(crate) fn passed(&self, app: &App) {
        let mut locks = app.locks();
        locks.sources.pass(&self.source.to_string());
        locks.users.pass(&self.name);
        locks.familiar.passed(self.at, &self.name, self.source);
    }

    /// It was wrong, which is counted already. `reason` is what a RADIUS server said.
    pub(crate) fn failed(&self, app: &App, reason: Option<String>) {
        let source = self.source.to_string();
        app.metrics.login_failed();
        tracing::info!(source, reason, "login failed");
        app.journal(UserEvent::LoginFailed { reason, source });
    }

    /// Nobody could judge it: it counts for nothing.
    pub(crate) fn unjudged(&self, app: &App) {
        let mut locks = app.locks();
        locks.sources.take_back(self.at, &self.source.to_string());
        if !self.familiar {
            locks.users.take_back(self.at, &self.name);
        }
    }
}

pub(crate) fn wrong() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "login-failed",
        "user name or password is wrong",
    )
}

pub(crate) async fn login(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: LoginBody = ask.json()?;
    let password = Secret::new(body.password);
    // A name that cannot exist takes the way of one that does not.
    let name = login_name(&body.user).unwrap_or_default();
    let row = app.people.user(&name);
    // A name of ours is never asked for elsewhere: its password is nobody else's business, and nobody else
    // decides about it. Nor is there anybody else before the first user of ours.
    let elsewhere = app
        .radius
        .as_ref()
        .filter(|_| row.is_none() && !app.people.is_empty());
    let source = ask.head.peer.source();
    let counted = elsewhere.map_or_else(|| name.clone(), |_| radius::counted(&body.user));
    let turn = turn(app, source, &counted).await?;
    let attempt = attempt(app, app.clock.now(), source, &counted)?;
    if turn.verify(password.clone(), row.map(|r| r.hash)).await? {
        attempt.passed(app);
        app.journal(UserEvent::Login {
            server: None,
            user: name.clone(),
        });
        return begin(app, ask, &name, None);
    }
    // the turn is over: who waits for a server keeps nobody else waiting
    if let Some(radius) = elsewhere {
        return radius::login(app, ask, radius, &attempt, (&body.user, password)).await;
    }
    attempt.failed(app, None);
    Err(wrong())
}

/// Begins a session and answers with its cookie.
pub(crate) fn begin(app: &App, ask: &Ask, name: &str, vouched: Option<Vouched>) -> Result<Response, Problem> {
    let random: [u8; 32] = random()?;
    let secret = URL_SAFE_NO_PAD.encode(random);
    let session = key(&secret);
    let rights = vouched
        .as_ref()
        .map(|v| v.rights.clone())
        .or_else(|| app.people.user_rights(name))
        .unwrap_or_default();
    {
        let now = app.clock.now();
        let mut sessions = app.sessions();
        // The session that was there before is over: its cookie is overwritten.
        if let Some(old) = app.cookie(&ask.head.headers) {
            sessions.close(now, &key(old), TerminateCause::UserRequest);
        }
        sessions.open(now, session, name, vouched);
    }
    app.tell_ended();
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
        app.sessions()
            .close(app.clock.now(), &key(secret), TerminateCause::UserRequest);
        app.tell_ended();
    }
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    set_cookie(app, &mut response, "", 0);
    response
}

/// Makes the first user. It runs to its end even if the browser goes away: the code is used once.
pub(crate) async fn setup(app: &Arc<App>, ask: Ask) -> Result<Response, Problem> {
    let app = app.clone();
    to_its_end(async move { first_user(&app, &ask).await }).await
}

async fn first_user(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: SetupBody = ask.json()?;
    let password = Secret::new(body.password);
    let name = login_name(&body.user)?;
    let source = ask.head.peer.source();
    let turn = turn(app, source, "setup").await?;
    let attempt = attempt(app, app.clock.now(), source, "setup")?;
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
        attempt.failed(app, None);
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
    attempt.passed(app);
    app.journal(UserEvent::SetupDone { user: name.clone() });
    begin(app, ask, &name, None)
}

async fn make_admin(app: &App, name: &str, password: Secret, turn: Turn) -> Result<(), Problem> {
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
    if radius::vouched(name) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "vouched",
            "a RADIUS server vouches for this login; its password is changed there",
        ));
    }
    let body: PasswordBody = ask.json()?;
    let (old, new) = (Secret::new(body.old), Secret::new(body.new));
    let source = ask.head.peer.source();
    let turn = turn(app, source, name).await?;
    let attempt = attempt(app, app.clock.now(), source, name)?;
    let gone = || Problem::unknown("this user is gone");
    let row = app.people.user(name).ok_or_else(gone)?;
    if !turn.verify(old, Some(row.hash)).await? {
        attempt.failed(app, None);
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "login-failed",
            "the old password is wrong",
        ));
    }
    attempt.passed(app);
    let hash = app.hasher.turn(true).await?.hash(new).await?;
    let edit = app.edits.lock().await;
    let row = app.people.user(name).ok_or_else(gone)?;
    app.people.put_user(name, &UserRow { hash, ..row }).await?;
    drop(edit);
    app.sessions().close_user(app.clock.now(), name, Some(session));
    app.journal(UserEvent::PasswordChanged { user: name.clone() });
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
