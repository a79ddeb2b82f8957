//! A relay that takes web requests, as the relay guard holds it.
//!
//! A door opens when it is told to. So a device is asked how it is right before it is told to energise its relay: one that
//! hangs is told nothing that it might do once it comes back. Every request has a connection of its own. One that is
//! given up is reset, so that the system sends nothing of it later. What energises the relay is asked for once.
//!
//! A device that hangs between that answer and the order has the order, and nothing takes it back. It is written to rest until it
//! says that it rests, is not ready before, and is looked at more often for a while after, so that what it does then is ended and
//! told within a moment. Only a device that compares `{until}` with its own clock opens never late.

use std::path::PathBuf;
use std::time::Duration;

use adapter_api::{BoxFuture, Claim, DriverError, OutputDriver};
use base64::Engine as _;
use bytes::Bytes;
use gateway_tls_client::secure;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use crate::broker::Password;
use crate::link::Stream;
use crate::reading::{Reading, Word};
use crate::relay::{command, mark_of, until};

/// What stands for the password in a request.
const PASSWORD: &str = "{password}";
/// Most octets of an answer that are looked at.
const BODY: usize = 64 * 1024;
/// Most characters of what a device says that are shown to people.
const SHOWN: usize = 100;
/// How often a device is asked whether it did as told.
const ASK: Duration = Duration::from_millis(50);
/// How often it is asked how it is while nothing happens.
const LOOK: Duration = Duration::from_secs(2);
/// For so long after an order that it may still have, it is looked at each time that it is asked for.
const WARY: Duration = Duration::from_secs(120);

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrder {
    /// `None` for a GET; else what is posted, as JSON if it begins with `{`, as a form otherwise.
    pub body: Option<String>,
    /// Path and query, beginning with `/`.
    pub path: String,
}

/// A relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebRelayParams {
    /// Certificates that the device's has to lead to; `None` for the machine's own bundle.
    pub ca_file: Option<PathBuf>,
    /// Host name or address; IPv6 in brackets.
    pub host: String,
    /// User and password (Basic, RFC 7617).
    pub login: Option<(String, Password)>,
    /// What brings it to rest.
    pub off: WebOrder,
    /// What energises it; `{s}` and `{ms}` stand for the time after which the device itself ends that, `{until}` for the time
    /// until which it may begin to.
    pub on: WebOrder,
    /// What `{password}` in a request stands for.
    pub password: Option<Password>,
    /// Port.
    pub port: u16,
    /// The device ends a pulse by itself: by the time in `on`, or by one that is set in it.
    pub self_timed: bool,
    /// Where it says how it is (path and query), and how that is read; with it each order has to be confirmed there, and nothing is
    /// energised unless it answers.
    pub state: Option<(String, Reading)>,
    /// Longest time until an order is confirmed.
    pub timeout: Duration,
    /// Under TLS?
    pub tls: bool,
}

/// One relay. It has one channel, whatever its number.
pub struct WebRelay {
    /// How it was last, and when it said so.
    known: Option<(Instant, Option<Word>)>,
    /// It was found energised by what it was told and did not confirm; not told yet.
    late: bool,
    params: WebRelayParams,
    /// Until when it may do what it was told and did not confirm.
    wary: Option<Instant>,
}

impl WebRelay {
    /// Nothing is asked before [`OutputDriver::claim`].
    #[must_use]
    pub const fn new(params: WebRelayParams) -> Self {
        Self {
            known: None,
            late: false,
            params,
            wary: None,
        }
    }

    /// What an output needs for itself.
    #[must_use]
    pub fn claim_of(&self) -> Claim {
        Claim::Channel {
            board: self.device(),
            channel: 0,
        }
    }

    fn failed(&self, text: impl Into<String>) -> DriverError {
        DriverError {
            device: self.device(),
            text: text.into(),
            source: None,
        }
    }

    fn late(&self) -> DriverError {
        let ms = self.params.timeout.as_millis();
        self.failed(format!(
            "does not answer within {ms} ms: look at its supply and its network"
        ))
    }

    fn authority(&self) -> String {
        let WebRelayParams { host, port, tls, .. } = &self.params;
        let usual = if *tls { 443 } else { 80 };
        if *port == usual {
            host.clone()
        } else {
            format!("{host}:{port}")
        }
    }

    /// A connection that is reset when it is dropped: the kernel sends nothing of it afterwards.
    async fn connect(&self) -> Result<Box<dyn Stream>, DriverError> {
        let WebRelayParams { host, port, .. } = &self.params;
        let stream = TcpStream::connect(format!("{host}:{port}"))
            .await
            .and_then(|stream| {
                stream.set_nodelay(true)?;
                stream.set_zero_linger()?;
                Ok(stream)
            })
            .map_err(|error| self.failed(format!("cannot be reached: {error}")))?;
        if !self.params.tls {
            return Ok(Box::new(stream));
        }
        match secure(stream, host, self.params.ca_file.as_deref()).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(self.failed(error.to_string())),
        }
    }

    /// An order as it is sent, with the password where it belongs.
    fn with_password(&self, order: &WebOrder) -> Result<WebOrder, DriverError> {
        let Some(password) = &self.params.password else {
            return Ok(order.clone());
        };
        let texts = [Some(&order.path), order.body.as_ref()];
        if !texts.into_iter().flatten().any(|text| text.contains(PASSWORD)) {
            return Ok(order.clone());
        }
        let password = password
            .get()
            .map_err(|error| self.failed(format!("its password cannot be read: {error}")))?;
        let escaped: String = password.reveal().bytes().map(escape).collect();
        let body = order.body.as_ref().map(|body| {
            if is_json(body) {
                let text = serde_json::Value::from(password.reveal()).to_string();
                let inner = text.get(1..text.len() - 1).unwrap_or_default();
                body.replace(PASSWORD, inner)
            } else {
                body.replace(PASSWORD, &escaped)
            }
        });
        Ok(WebOrder {
            body,
            path: order.path.replace(PASSWORD, &escaped),
        })
    }

    fn request(&self, order: &WebOrder) -> Result<Request<Full<Bytes>>, DriverError> {
        let order = self.with_password(order)?;
        let body = order.body.as_deref().unwrap_or_default();
        let method = if order.body.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let mut request = Request::builder()
            .method(method)
            .uri(order.path.as_str())
            .header(header::HOST, self.authority())
            .header(header::CONNECTION, "close")
            .header(header::ACCEPT, "*/*");
        if order.body.is_some() {
            let kind = if is_json(body) {
                "application/json"
            } else {
                "application/x-www-form-urlencoded"
            };
            request = request.header(header::CONTENT_TYPE, kind);
        }
        if let Some((user, password)) = &self.params.login {
            let password = password
                .get()
                .map_err(|error| self.failed(format!("its password cannot be read: {error}")))?;
            let pair = format!("{user}:{}", password.reveal());
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
        }
        let made = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())));
        made.map_err(|error| self.failed(format!("no request can be made of the site file: {error}")))
    }

    /// Asks once, and gives the body of a good answer.
    async fn ask(&self, order: &WebOrder, end: Instant) -> Result<Bytes, DriverError> {
        let asked = async {
            let request = self.request(order)?;
            let broken = |error: hyper::Error| self.failed(format!("broke off: {error}"));
            let (mut requests, connection) = handshake(TokioIo::new(self.connect().await?))
                .await
                .map_err(broken)?;
            let answer = async {
                let answer = requests.send_request(request).await.map_err(broken)?;
                let (head, body) = answer.into_parts();
                let body = Limited::new(body, BODY).collect().await;
                let body = body.map_err(|error| self.failed(format!("its answer broke off: {error}")))?;
                Ok::<_, DriverError>((head.status, head.headers, body.to_bytes()))
            };
            tokio::pin!(connection, answer);
            // both here: what is given up is dropped with its connection
            tokio::select! {
                biased;
                answer = &mut answer => answer,
                // it has told what is wrong, or the answer has its last word still to say
                _ = &mut connection => answer.await,
            }
        };
        let (status, headers, body) = timeout_at(end, asked)
            .await
            .unwrap_or_else(|_| Err(self.late()))?;
        if status.is_success() {
            return Ok(body);
        }
        Err(self.failed(refused(status, &headers, self.params.login.is_some())))
    }

    /// How it says that it is; `None` if it says nothing of it.
    async fn look(&mut self, end: Instant) -> Result<Option<Word>, DriverError> {
        let Some((path, reading)) = self.params.state.clone() else {
            // whether it is there is all that can be known
            timeout_at(end, self.connect())
                .await
                .unwrap_or_else(|_| Err(self.late()))?;
            self.known = Some((Instant::now(), None));
            return Ok(None);
        };
        let order = WebOrder {
            body: None,
            path: path.clone(),
        };
        let body = self.ask(&order, end).await?;
        let Some(word) = reading.word(&body) else {
            let plain = path.split('?').next().unwrap_or_default();
            return Err(self.failed(format!(
                "what it says on {plain} is none of the words of state-on and state-off: is state-field right?"
            )));
        };
        self.known = Some((Instant::now(), Some(word)));
        Ok(Some(word))
    }

    /// Brings it to rest, and finds out whether it did meanwhile what it was told and did not confirm.
    async fn claimed(&mut self) -> Result<(), DriverError> {
        let now = Instant::now();
        if self.wary.is_some_and(|until| now < until) && self.params.state.is_some() {
            self.late |= self.look(now + self.params.timeout).await? == Some(Word::On);
        }
        self.order(Word::Off, None).await
    }

    /// It did what it was told. Once it is energised it has nothing more to do later; that it rests proves nothing.
    fn confirmed(&mut self, word: Word) {
        if word == Word::On {
            self.wary = None;
        }
    }

    /// Gives an order once, and waits until it is confirmed.
    async fn order(&mut self, word: Word, length: Option<Duration>) -> Result<(), DriverError> {
        let end = Instant::now() + self.params.timeout;
        if word == Word::On && self.params.state.is_some() {
            self.look(end).await?;
        }
        self.known = None;
        let order = match word {
            Word::On => {
                let (on, length) = (&self.params.on, length.unwrap_or_default());
                let until = until(end.saturating_duration_since(Instant::now()));
                // it may have it from here on, whatever comes of this
                self.wary = Some(Instant::now() + WARY);
                WebOrder {
                    body: on.body.as_ref().map(|body| command(body, length, until)),
                    path: command(&on.path, length, until),
                }
            }
            Word::Off => self.params.off.clone(),
        };
        self.ask(&order, end).await?;
        if self.params.state.is_none() {
            self.known = Some((Instant::now(), None));
            self.confirmed(word);
            return Ok(());
        }
        loop {
            if self.look(end).await? == Some(word) {
                self.confirmed(word);
                return Ok(());
            }
            if Instant::now() + ASK >= end {
                let what = match word {
                    Word::On => "energised",
                    Word::Off => "at rest",
                };
                let ms = self.params.timeout.as_millis();
                return Err(self.failed(format!(
                    "took the order, and does not say within {ms} ms that it is {what}"
                )));
            }
            sleep(ASK).await;
        }
    }
}

fn is_json(body: &str) -> bool {
    body.trim_start().starts_with(['{', '['])
}

/// An octet as it stands in a query (RFC 3986 §2.3).
fn escape(octet: u8) -> String {
    match octet {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(octet).to_string(),
        _ => format!("%{octet:02X}"),
    }
}

/// Why an answer is no good one, and what to do.
fn refused(status: StatusCode, headers: &HeaderMap, with_login: bool) -> String {
    if status == StatusCode::UNAUTHORIZED {
        let schemes = headers.get_all(header::WWW_AUTHENTICATE).iter();
        let mut schemes = schemes.filter_map(|value| value.to_str().ok()?.split(' ').next());
        return match (schemes.any(|scheme| scheme.eq_ignore_ascii_case("basic")), with_login) {
            (true, true) => "does not take user and password".to_owned(),
            (true, false) => "wants a login: set user and password-file".to_owned(),
            (false, _) => "wants a login of another kind than Basic (RFC 7617), such as Digest, which is not spoken here: \
                           use it by MQTT, or without a password in a network of its own"
                .to_owned(),
        };
    }
    if status.is_redirection() {
        let to = headers.get(header::LOCATION).and_then(|to| to.to_str().ok());
        // it goes into a fault that everybody is shown, and the device may send any length
        let to = to.map(|to| to.get(..SHOWN).unwrap_or(to));
        return format!(
            "answers {}, to be asked elsewhere ({}); nobody is followed there: set that in the site file if it is right",
            status.as_u16(),
            to.unwrap_or("it does not say where")
        );
    }
    format!("answers {status}: are the paths of on, off and state right?")
}

impl OutputDriver for WebRelay {
    fn claim<'a>(&'a mut self, _channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(self.claimed())
    }

    /// Without the paths, in which there may be a secret.
    fn device(&self) -> String {
        let scheme = if self.params.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Relays of one server differ by the request that energises each.
    fn line(&self, _channel: u16) -> String {
        let on = &self.params.on;
        let body = on.body.as_deref().unwrap_or_default();
        format!("{}, {}", self.device(), mark_of(&[&on.path, body]))
    }

    fn patience(&self) -> Duration {
        self.params.timeout
    }

    fn pulse(&mut self, _channel: u16, length: Duration) -> Option<BoxFuture<'_, Result<(), DriverError>>> {
        if !self.params.self_timed {
            return None;
        }
        Some(Box::pin(self.order(Word::On, Some(length))))
    }

    fn read_back(&mut self, _channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
        Box::pin(async move {
            if std::mem::take(&mut self.late) {
                // it rests by now, and was open unasked: that is told like any other time
                return Ok(Some(true));
            }
            let now = Instant::now();
            let wary = self.wary.is_some_and(|until| now < until);
            let word = match self.known {
                Some((at, word)) if !wary && now - at < LOOK => word,
                Some(_) | None => self.look(now + self.params.timeout).await?,
            };
            Ok(word.map(|word| word == Word::On))
        })
    }

    fn set(&mut self, _channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        let word = if energised { Word::On } else { Word::Off };
        Box::pin(self.order(word, None))
    }
}

#[cfg(test)]
mod tests;
