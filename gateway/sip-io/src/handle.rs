//! Start, handle and errors of the engine.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use adapter_api::AudioPort;
use gateway_core::{AccountId, Clock, Instant, LegCommand, LegId, LineId, Standing, Tone, Volume};
use gateway_media::{Engine, EngineError, Recorder};
use gateway_sip::ua::Tries;
use gateway_trace::Trace;
use tokio::sync::{mpsc, oneshot, watch};

use crate::driver::{Driver, Started};
use crate::texts::Text;
use crate::{Measures, ParamsError, SipEvent, SipParams, SipStats, Transport};

/// The engine could not start, take new parameters, or is gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SipError {
    /// The driver task has ended.
    #[error("the SIP engine has stopped")]
    Gone,
    /// A listener could not be opened.
    #[error("cannot listen on {transport} {address}: {}", listen_hint(*.transport, .source))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// By what.
        transport: Transport,
        /// Why.
        source: io::Error,
    },
    /// The media engine did not do as told.
    #[error(transparent)]
    Media(#[from] EngineError),
    /// Listeners and media ports are set when the engine starts.
    #[error("a change of {0} needs a restart of the SIP engine")]
    NeedsRestart(&'static str),
    /// The parameters are wrong.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A certificate or key file cannot be used.
    #[error("{part}: cannot use {file} for TLS: {what}")]
    TlsFile {
        /// The key of the site file that names it; of an account's only the last part.
        part: &'static str,
        /// Which file.
        file: String,
        /// What is wrong with it.
        what: String,
    },
}

fn listen_hint(transport: Transport, source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::AddrInUse {
        let (key, list) = match transport {
            Transport::Tcp => ("tcp-port", "ss -ltnp"),
            Transport::Tls => ("tls-port", "ss -ltnp"),
            Transport::Udp => ("udp-port", "ss -lunp"),
        };
        format!("the port is taken by another program; stop it (`{list}` names it) or set another sip.{key}")
    } else {
        format!("{source}; is sip.bind an address of this machine?")
    }
}

/// What a handle asks of the driver.
pub(crate) enum Request {
    Apply(Box<SipParams>, oneshot::Sender<Result<(), SipError>>),
    /// With since when somebody waits for it, if that is measured.
    Leg(LegCommand, Option<Instant>),
    Listening(oneshot::Sender<Vec<(Transport, SocketAddr)>>),
    Message(Text, oneshot::Sender<Result<(), String>>),
    Standing(AccountId, Standing),
    Shutdown(oneshot::Sender<()>),
    Stats(oneshot::Sender<SipStats>),
}

/// Namespace of [`SipEngine::start`].
#[derive(Debug)]
pub struct SipEngine;

impl SipEngine {
    /// Opens the listeners, starts the driver task and the registrations. Must be called inside a tokio
    /// runtime. `events` should hold some hundred entries: the driver waits when it is full, media go on.
    ///
    /// # Errors
    /// [`SipError`] if parameters or the certificates that accounts trust are wrong. A port that is taken and a listener's
    /// certificate that cannot be used are no errors: see [`SipHandle::listen_fault`].
    pub async fn start(
        params: SipParams,
        clock: Arc<dyn Clock>,
        events: mpsc::Sender<SipEvent>,
    ) -> Result<SipHandle, SipError> {
        Self::start_after(params, BTreeMap::new(), clock, events).await
    }

    /// As [`start`](Self::start), after a start whose [tries](SipHandle::tries) still count: they go on counting for accounts
    /// that have the same credentials.
    ///
    /// # Errors
    /// As those of [`start`](Self::start).
    pub async fn start_after(
        params: SipParams,
        tries: BTreeMap<AccountId, Tries>,
        clock: Arc<dyn Clock>,
        events: mpsc::Sender<SipEvent>,
    ) -> Result<SipHandle, SipError> {
        params.check()?;
        let Started {
            engine,
            listen_fault,
            measures,
            requests,
            trace,
            tries,
        } = Driver::start(params, clock, events, tries).await?;
        Ok(SipHandle {
            engine,
            listen_fault,
            measures,
            requests,
            trace,
            tries,
        })
    }
}

/// Talks to a running engine. Clones talk to the same one; when the last is dropped the engine ends as if
/// by [`shutdown`](Self::shutdown).
#[derive(Clone, Debug)]
pub struct SipHandle {
    engine: Engine,
    listen_fault: watch::Receiver<Option<String>>,
    measures: Arc<Measures>,
    requests: mpsc::Sender<Request>,
    trace: Trace,
    tries: watch::Receiver<BTreeMap<AccountId, Tries>>,
}

impl SipHandle {
    /// What passed lately: the last messages without secrets, and captures.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Why not everything listens that should: a port that is taken, a certificate that cannot be used. It is tried again
    /// every three seconds. `None` if everything listens.
    #[must_use]
    pub fn listen_fault(&self) -> watch::Receiver<Option<String>> {
        self.listen_fault.clone()
    }

    /// REGISTERs with credentials that were not accepted, by account, for [`SipEngine::start_after`]. Of accounts that register
    /// without trouble there are none.
    #[must_use]
    pub fn tries(&self) -> watch::Receiver<BTreeMap<AccountId, Tries>> {
        self.tries.clone()
    }

    /// Gives a leg command to the driver; waits while 256 are queued. What comes of it is a `LegEvent`; a
    /// command for a leg that is over is ignored, an `Offer` that cannot be made ends with
    /// `Ended { cause: Refused | Unreachable | NotFound }`.
    ///
    /// # Errors
    /// [`SipError::Gone`] if the engine has stopped.
    pub async fn command(&self, command: LegCommand) -> Result<(), SipError> {
        self.ask(Request::Leg(command, None)).await
    }

    /// As [`command`](Self::command), without waiting: a command that finds 256 queued is given back. `since` is when
    /// whatever set it off happened, if it is to be measured ([`Measures::bell_to_invite`]).
    ///
    /// # Errors
    /// [`SipError::Gone`] if the engine has stopped.
    pub fn try_command(
        &self,
        command: LegCommand,
        since: Option<Instant>,
    ) -> Result<Option<LegCommand>, SipError> {
        match self.requests.try_send(Request::Leg(command, since)) {
            Ok(()) => Ok(None),
            Err(mpsc::error::TrySendError::Full(Request::Leg(command, _))) => Ok(Some(command)),
            Err(_) => Err(SipError::Gone),
        }
    }

    /// Says how it is with the doors of an account, without waiting. False if the queue is full: say it again.
    ///
    /// # Errors
    /// [`SipError::Gone`] if the engine has stopped.
    pub fn try_standing(&self, account: AccountId, standing: Standing) -> Result<bool, SipError> {
        match self.requests.try_send(Request::Standing(account, standing)) {
            Ok(()) => Ok(true),
            Err(mpsc::error::TrySendError::Full(_)) => Ok(false),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(SipError::Gone),
        }
    }

    /// Sends a text (RFC 3428) and waits until the other side, or its PBX, took it: at most 32 s. The inner error says why not.
    ///
    /// # Errors
    /// [`SipError::Gone`] if the engine has stopped.
    pub async fn send_text(&self, text: Text) -> Result<Result<(), String>, SipError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Message(text, reply)).await?;
        answer.await.map_err(|_| SipError::Gone)
    }

    /// What the engine measures.
    #[must_use]
    pub const fn measures(&self) -> &Arc<Measures> {
        &self.measures
    }

    /// Lends a line's audio to the engine for good; the media thread calls it every 10 ms while a leg is
    /// connected to the line. A second port for the same line replaces the first.
    ///
    /// # Errors
    /// [`SipError::Media`] if the media engine takes no commands.
    pub fn attach_line(&self, line: LineId, port: Box<dyn AudioPort>) -> Result<(), SipError> {
        Ok(self.engine.add_line(line, port)?)
    }

    /// Says how the voice of a line is treated, before or after its audio came.
    ///
    /// # Errors
    /// [`SipError::Media`] if the media engine takes no commands.
    pub fn set_voice(&self, line: &LineId, params: gateway_voice::Params) -> Result<(), SipError> {
        Ok(self.engine.set_voice(line, params)?)
    }

    /// Plays a tone to the visitor at a line; `Ringback` repeats until another tone,
    /// [`silence_line`](Self::silence_line) or a connected leg.
    ///
    /// # Errors
    /// [`SipError::Media`] if the media engine takes no commands.
    pub fn play_to_line(&self, line: &LineId, tone: Tone) -> Result<(), SipError> {
        Ok(self.engine.play_to_line(line, tone)?)
    }

    /// Plays 16 kHz samples to the visitor at a line, once. Keep a reference until they were played.
    ///
    /// # Errors
    /// [`SipError::Media`] if the media engine takes no commands.
    pub fn say_to_line(&self, line: &LineId, samples: Arc<[i16]>) -> Result<(), SipError> {
        Ok(self.engine.say_to_line(line, samples)?)
    }

    /// Plays 16 kHz samples to a leg, once, after those that it is played already and beside tones; `alone` in place of speech.
    /// At most four wait; what is beyond is not played.
    ///
    /// # Errors
    /// [`SipError::Media`] if the media engine takes no commands.
    pub fn say_to_leg(&self, leg: LegId, samples: Arc<[i16]>, alone: bool) -> Result<(), SipError> {
        Ok(self.engine.say_to_leg(leg, samples, alone)?)
    }

    /// Records the talk of a leg from its begin on, and plays the announcement (16 kHz) to everybody in it. Keep a reference until it was
    /// played.
    ///
    /// # Errors
    /// [`SipError::Media`] if the media engine takes no commands.
    pub fn record_leg(
        &self,
        leg: LegId,
        recorder: Recorder,
        announcement: Arc<[i16]>,
    ) -> Result<(), SipError> {
        Ok(self.engine.record_leg(leg, recorder, announcement)?)
    }

    /// Ends a tone at a line.
    ///
    /// # Errors
    /// [`SipError::Media`] if the media engine takes no commands.
    pub fn silence_line(&self, line: &LineId) -> Result<(), SipError> {
        Ok(self.engine.silence_line(line)?)
    }

    /// How loud a line is from here on, also one that is attached later.
    ///
    /// # Errors
    /// [`SipError::Media`] if the media engine takes no commands.
    pub fn set_volume(&self, line: &LineId, volume: Volume) -> Result<(), SipError> {
        Ok(self.engine.set_volume(line, volume)?)
    }

    /// Mutes a line's microphone for a while, at most 2 s, so that the click of a relay is not heard.
    ///
    /// # Errors
    /// [`SipError::Media`] if the media engine takes no commands.
    pub fn mute_line(&self, line: &LineId, length: Duration) -> Result<(), SipError> {
        Ok(self.engine.mute_line(line, length)?)
    }

    /// Sends a key press of `length` (40 ms to 2 s) on a leg as telephone-event. For the built-in answering
    /// phone and for tests; doors send no digits.
    ///
    /// # Errors
    /// [`SipError::Media`] if the media engine takes no commands.
    pub fn send_digit(&self, leg: LegId, digit: char, length: Duration) -> Result<(), SipError> {
        Ok(self.engine.send_digit(leg, digit, length)?)
    }

    /// Takes new parameters: accounts that did not change keep registration, flows and calls; new ones start,
    /// removed ones deregister and their calls end. Trust files are read again.
    ///
    /// # Errors
    /// [`SipError::NeedsRestart`] if listeners or media ports differ, and [`SipError`] as for
    /// [`SipEngine::start`]; then the old parameters stay in force.
    pub async fn apply(&self, params: SipParams) -> Result<(), SipError> {
        params.check()?;
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Apply(Box::new(params), reply)).await?;
        answer.await.map_err(|_| SipError::Gone)?
    }

    /// Where the engine listens, with the ports it really got.
    ///
    /// # Errors
    /// [`SipError::Gone`] if the engine has stopped.
    pub async fn listening(&self) -> Result<Vec<(Transport, SocketAddr)>, SipError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Listening(reply)).await?;
        answer.await.map_err(|_| SipError::Gone)
    }

    /// Counters since start.
    ///
    /// # Errors
    /// [`SipError::Gone`] if the engine has stopped.
    pub async fn stats(&self) -> Result<SipStats, SipError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Stats(reply)).await?;
        answer.await.map_err(|_| SipError::Gone)
    }

    /// Ends all calls, deregisters (Expires 0) and stops; returns when done, at the latest after 2 s.
    pub async fn shutdown(&self) {
        let (reply, answer) = oneshot::channel();
        if self.ask(Request::Shutdown(reply)).await.is_ok() {
            // An error only says that the driver was faster.
            let _ = answer.await;
        }
    }

    async fn ask(&self, request: Request) -> Result<(), SipError> {
        self.requests.send(request).await.map_err(|_| SipError::Gone)
    }
}
