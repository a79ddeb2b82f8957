//! Inputs that web clients work: `POST /api/v1/hooks/{input}` with a token that opens this path and nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway_core::{
    Command, CommandRequest, Factor, Given, InputId, Instant, Origin, Refusal, Subject, Timestamp,
};
use http::{StatusCode, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use warp::reply::Response;

use crate::app::App;
use crate::ask::Ask;
use crate::dated::Dated;
use crate::doors::drawn_id;
use crate::parse;
use crate::problem::Problem;

/// Most bytes of a body: devices say less.
pub(crate) const LONGEST: usize = 16 * 1024;

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
    /// The gateway stood still, and nobody knows when this came.
    Late,
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
    dated: Arc<Mutex<Dated>>,
    of: Arc<Mutex<BTreeMap<InputId, HookToken>>>,
    to: mpsc::Sender<HookCall>,
}

impl Hooks {
    /// None yet; requests go to `to`. Those that say that they are from before `begun` are refused.
    #[must_use]
    pub fn new(to: mpsc::Sender<HookCall>, begun: Instant) -> Self {
        Self {
            dated: Arc::new(Mutex::new(Dated::new(begun))),
            of: Arc::default(),
            to,
        }
    }

    /// Says which there are.
    pub fn set(&self, of: BTreeMap<InputId, HookToken>) {
        self.dated().retain(|input| of.contains_key(input));
        *self.of.lock().unwrap_or_else(PoisonError::into_inner) = of;
    }

    fn dated(&self) -> MutexGuard<'_, Dated> {
        self.dated.lock().unwrap_or_else(PoisonError::into_inner)
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
        Self::new(mpsc::channel(1).0, Instant::ZERO)
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
    let at = date(&ask)?;
    if let Some(at) = at {
        let clocks = (now, app.clock.wall());
        let judged = app.params.hooks.dated().take(&input, at, &ask.body, clocks);
        if let Err((reason, text)) = judged {
            report(app, &input, reason, &text)?;
            return Err(Problem::new(StatusCode::CONFLICT, reason.word(), text));
        }
    }
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
    app.params.hooks.to.try_send(call).map_err(|failed| {
        let (TrySendError::Closed(call) | TrySendError::Full(call)) = failed;
        if let Some(at) = at {
            app.params.hooks.dated().give_back(&call.input, at, &call.body);
        }
        stopping()
    })?;
    match answered.await.map_err(|_| stopping())? {
        Ok(()) => {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
        Err(HookFailed::Late) => Err(Problem::new(
            StatusCode::GONE,
            "stale",
            "the gateway stood still, and this may have waited for it: it was not taken",
        )),
        Err(HookFailed::NoWord) => Err(Problem::bad(
            "body",
            "none of the words under on and off of this input is in the body, or not where field says",
        )),
        Err(HookFailed::Unknown) => Err(Problem::unknown("this input is gone")),
    }
}

/// A client that keeps what it could not send, and sends it later, says when it was.
fn date(ask: &Ask) -> Result<Option<Timestamp>, Problem> {
    let Some(value) = ask.head.headers.get("x-doorline-at") else {
        return Ok(None);
    };
    let at = value.to_str().ok().and_then(|text| text.parse().ok());
    at.map(Some).ok_or_else(|| {
        Problem::bad(
            "x-doorline-at",
            "X-Doorline-At is a time as RFC 3339 has it, such as 2026-03-01T12:00:00Z",
        )
    })
}

/// Puts on record that a request was no news, as far as its client keeps to the quota of any other.
fn report(app: &App, input: &InputId, reason: Refusal, text: &str) -> Result<(), Problem> {
    if app
        .quotas()
        .take(app.clock.now(), &format!("hook:{input}"))
        .is_err()
    {
        return Ok(());
    }
    let request = CommandRequest {
        command: Command::Unread {
            reason,
            text: format!("webhook of input {input}: {text}"),
            times: 1,
        },
        given: Given::Undated,
        id: drawn_id()?,
        origin: Origin {
            factor: Factor::Api,
            may_simulate: false,
            subject: Subject::Integration(input.to_string()),
        },
        stale_by_transport: false,
    };
    let bus = app.bus.clone();
    // whoever asked need not wait for the medium
    tokio::spawn(async move { bus.command(request).await });
    Ok(())
}
