//! Inputs that web clients work: `POST /api/v1/hooks/{input}` with a token that opens this path and nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::{InputId, Instant};
use http::{StatusCode, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::{mpsc, oneshot};
use warp::reply::Response;

use crate::app::App;
use crate::ask::Ask;
use crate::parse;
use crate::problem::Problem;

/// Most bytes of a body: devices say less.
pub(crate) const LONGEST: usize = 16 * 1024;
/// A request that says of itself that it is older than this is refused, s.
const STALE: i64 = 10;

/// The token of an input, as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookToken([u8; 32]);

impl HookToken {
    /// Of the token as it is sent.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// Why nothing came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookFailed {
    /// None of the words that the site file names is in it.
    NoWord,
    /// The input is gone.
    Unknown,
}

/// A request that may speak for an input.
#[derive(Debug)]
pub struct HookCall {
    /// Takes what came of it.
    pub answer: oneshot::Sender<Result<(), HookFailed>>,
    /// When it was whole.
    pub at: Instant,
    /// What it says, at most 16 KiB.
    pub body: Vec<u8>,
    /// For which input.
    pub input: InputId,
}

/// Inputs that web clients work: shared by who knows the site file and who serves. It is no parameter: any two are equal.
#[derive(Clone, Debug)]
pub struct Hooks {
    of: Arc<Mutex<BTreeMap<InputId, HookToken>>>,
    to: mpsc::Sender<HookCall>,
}

impl Hooks {
    /// None yet; requests go to `to`.
    #[must_use]
    pub fn new(to: mpsc::Sender<HookCall>) -> Self {
        Self {
            of: Arc::default(),
            to,
        }
    }

    /// Says which there are.
    pub fn set(&self, of: BTreeMap<InputId, HookToken>) {
        *self.of.lock().unwrap_or_else(PoisonError::into_inner) = of;
    }

    fn token(&self, input: &InputId) -> Option<HookToken> {
        self.of
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(input)
            .copied()
    }
}

impl Default for Hooks {
    /// None, for whoever serves no site.
    fn default() -> Self {
        Self::new(mpsc::channel(1).0)
    }
}

impl PartialEq for Hooks {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Hooks {}

/// Takes what a device says. A wrong token and an input that is no web client's are answered alike, and count as a failed
/// login of their source.
pub(crate) async fn hook(app: &App, ask: Ask) -> Result<Response, Problem> {
    let now = app.clock.now();
    let source = ask.head.peer.source().to_string();
    if let Some(left) = app.locks().sources.locked(now, &source) {
        let seconds = left.as_secs().saturating_add(1);
        let text = format!("too many failed attempts; try again in {seconds} s");
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "locked", text).later(seconds));
    }
    let given = ask.head.headers.get(header::AUTHORIZATION);
    let given = given
        .and_then(|value| value.to_str().ok())
        .and_then(parse::bearer);
    let input = InputId::new(ask.captured(0)).ok();
    let wanted = input.as_ref().and_then(|input| app.params.hooks.token(input));
    let fits = given.zip(wanted).is_some_and(|(given, wanted)| {
        let given = HookToken::of(given);
        given.0.ct_eq(&wanted.0).into()
    });
    let (Some(input), true) = (input, fits) else {
        app.locks().sources.fail(now, &source);
        let text = "there is no input of this name that a web client works, or this is not its token: look at \
                    inputs.NAME.webhook";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "login", text));
    };
    fresh(app, &ask)?;
    let (answer, answered) = oneshot::channel();
    let call = HookCall {
        answer,
        at: now,
        body: ask.body,
        input,
    };
    let stopping = || {
        let text = "the gateway stops, or its inputs do not keep up";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", text).later(1)
    };
    app.params.hooks.to.try_send(call).map_err(|_| stopping())?;
    match answered.await.map_err(|_| stopping())? {
        Ok(()) => {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
        Err(HookFailed::NoWord) => Err(Problem::bad(
            "body",
            "none of the words under on and off of this input is in the body, or not where field says",
        )),
        Err(HookFailed::Unknown) => Err(Problem::unknown("this input is gone")),
    }
}

/// A client that keeps what it could not send, and sends it later, says when it was.
fn fresh(app: &App, ask: &Ask) -> Result<(), Problem> {
    let Some(value) = ask.head.headers.get("x-doorline-at") else {
        return Ok(());
    };
    let at = value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let at = at.ok_or_else(|| {
        Problem::bad(
            "x-doorline-at",
            "X-Doorline-At is a time as RFC 3339 has it, such as 2026-03-01T12:00:00Z",
        )
    })?;
    let age = app.clock.wall().as_second() - at.as_second();
    if age.abs() <= STALE {
        return Ok(());
    }
    let text = format!("X-Doorline-At is {age} s old, allowed are {STALE}: what is over is no press");
    Err(Problem::new(StatusCode::CONFLICT, "stale", text))
}
