//! The driver task: owns sockets, user agent and media sessions, and does one input at a time.

mod names;
mod press;
mod speech;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::{
    AccountId, Cause, Clock, DigitVia, Instant, LegCommand, LegEvent, LegId, LineId, Manner, PanelId,
    Standing,
};
use gateway_media::dtls::Identity;
use gateway_media::{Engine, EngineParams, MediaEvent};
use gateway_sip::ua::{CallOutput, MessageOutput, OutgoingCall, Output, Tries, UserAgent};
use gateway_sip::{Flow, Transport};
use gateway_trace::{Trace, Way};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::digits::{self, Digits, Ways};
use crate::handle::Request;
use crate::keys_out::KeysOut;
use crate::names::Names;
use crate::net::{Net, NetEvent};
use crate::outside::{Outside, is_far};
use crate::ready::Ready;
use crate::session::Session;
use crate::texts::Texts;
use crate::{
    AccountReport, Measures, SipError, SipEvent, SipParams, SipStats, StrangerReport, TextReport, convert,
};

/// Longest sleep: after the machine slept, timers run late by this much at most.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Time for BYE and deregistration at the end.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(2);
/// A connection that someone opened to us and that carries no call is closed after so long without a word; empty lines
/// are words of those we know only.
const IDLE: Duration = Duration::from_secs(60);
/// The same for a stranger's before its first whole message.
const FIRST_WORD: Duration = Duration::from_secs(8);
/// Packets of others at the ports of a call from which on they are told: some stray ones are late.
const FLOOD: u64 = 1_000;
/// Time between two looks for idle connections.
const SWEEP: Duration = Duration::from_secs(2);
/// Time between two tries to open what does not listen.
const OPEN_AGAIN: Duration = Duration::from_secs(3);
/// Waiting events beyond which nothing more is taken from the network: whoever reads them comes first.
const MOST_BACKLOG: usize = 1024;
/// Remote input older than this is not acted on.
pub(crate) const STALE: Duration = Duration::from_millis(500);

/// Sleeps; not at all if it is time: the runtime's timer would round that up to a millisecond.
async fn after(sleep: Duration) {
    if !sleep.is_zero() {
        tokio::time::sleep(sleep).await;
    }
}

/// Why something does not listen, in words.
fn told(why: &[SipError]) -> Option<String> {
    let texts: Vec<String> = why.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// What [`Driver::start`] gives back.
pub(crate) struct Started {
    pub(crate) engine: Engine,
    pub(crate) listen_fault: watch::Receiver<Option<String>>,
    pub(crate) measures: Arc<Measures>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) trace: Trace,
    pub(crate) tries: watch::Receiver<BTreeMap<AccountId, Tries>>,
}

/// The way of a message on a flow, for people.
fn way(flow: &Flow, sent: bool) -> Way {
    Way {
        local: flow.local,
        remote: flow.remote,
        sent,
        transport: match flow.transport {
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Udp => "UDP",
        },
    }
}

/// A connection that someone opened to us.
struct Guest {
    /// The last whole message; `None` before the first one.
    heard: Option<Instant>,
    /// Since when there was nothing, not even an empty line.
    quiet_since: Instant,
    since: Instant,
}

/// See the [module](self).
pub(crate) struct Driver {
    accepted: BTreeMap<Flow, Guest>,
    /// Events for which the channel had no room.
    backlog: VecDeque<SipEvent>,
    /// Since when somebody waits for the first INVITE of the ring that began last.
    bell: Option<Instant>,
    clock: Arc<dyn Clock>,
    digits: Arc<Digits>,
    engine: Engine,
    events: mpsc::Sender<SipEvent>,
    identity: Option<Arc<Identity>>,
    inbox: mpsc::Receiver<Request>,
    known: BTreeSet<std::net::IpAddr>,
    listen_fault: watch::Sender<Option<String>>,
    measures: Arc<Measures>,
    media: mpsc::Receiver<MediaEvent>,
    names: Names,
    net: Net,
    net_events: mpsc::Receiver<NetEvent>,
    opened: Instant,
    outside: Outside,
    ready: Ready,
    params: SipParams,
    rng: StdRng,
    sessions: BTreeMap<LegId, Session>,
    standings: BTreeMap<AccountId, Standing>,
    stopping: Option<(Instant, Vec<oneshot::Sender<()>>)>,
    swept: Instant,
    texts: Texts,
    trace: Trace,
    tries: watch::Sender<BTreeMap<AccountId, Tries>>,
    ua: UserAgent,
}

enum Step {
    Ask(Option<Request>),
    Flush,
    Media(MediaEvent),
    Moved,
    Net(NetEvent),
    Time,
}

impl Driver {
    pub(crate) async fn start(
        params: SipParams,
        clock: Arc<dyn Clock>,
        events: mpsc::Sender<SipEvent>,
        before: BTreeMap<AccountId, Tries>,
    ) -> Result<Started, SipError> {
        let (net_sender, net_events) = mpsc::channel(512);
        let mut net = Net::new(&params, &clock, net_sender);
        let (ua_params, accounts) = convert::user_agent(&params, &mut net);
        let listen_fault = watch::Sender::new(told(&net.open_missing().await));
        let fault = listen_fault.subscribe();
        let (media_sender, media) = mpsc::channel(256);
        let digits = Arc::<Digits>::default();
        let trace = Trace::new(Arc::clone(&clock));
        let measures = Arc::<Measures>::default();
        let engine = Engine::start(
            EngineParams {
                bind: params.bind,
                ports: params.rtp_ports.clone(),
                dscp: params.rtp_dscp,
                trace: Some(trace.clone()),
                measures: Arc::clone(&measures.media),
                ..EngineParams::default()
            },
            digits::sink(Arc::clone(&digits), Arc::clone(&clock), &events, media_sender),
        )?;
        let mut rng = StdRng::from_os_rng();
        let now = clock.now();
        let mut outside = Outside::new();
        outside.configure(&params, &clock);
        let mut ready = Ready::new();
        ready.configure(params.stun.as_deref(), &engine);
        // an address of the file is known from the start
        outside.has_moved();
        let mut ua = UserAgent::new(ua_params.clone(), StdRng::from_rng(&mut rng));
        ua.remember_tries(before.clone());
        ua.configure(now, ua_params, accounts);
        let tries = watch::Sender::new(before);
        let kept = tries.subscribe();
        let (requests, inbox) = mpsc::channel(256);
        let driver = Self {
            accepted: BTreeMap::new(),
            backlog: VecDeque::new(),
            bell: None,
            clock,
            digits,
            engine: engine.clone(),
            events,
            identity: None,
            inbox,
            known: BTreeSet::new(),
            listen_fault,
            measures: Arc::clone(&measures),
            media,
            names: Names::default(),
            net,
            net_events,
            opened: now,
            outside,
            params,
            ready,
            rng,
            sessions: BTreeMap::new(),
            standings: BTreeMap::new(),
            stopping: None,
            swept: now,
            texts: Texts::default(),
            trace: trace.clone(),
            tries,
            ua,
        };
        tokio::spawn(driver.run());
        Ok(Started {
            engine,
            listen_fault: fault,
            measures,
            requests,
            trace,
            tries: kept,
        })
    }

    async fn run(mut self) {
        loop {
            self.drain();
            let now = self.clock.now();
            self.begin_handshakes(now);
            if let Some((until, _)) = &self.stopping
                && (*until <= now || self.ua.is_idle())
            {
                break;
            }
            let handshakes = self.sessions.values().filter_map(Session::poll_timeout);
            let sleep = handshakes
                .chain(self.ua.poll_timeout())
                .min()
                .map_or(LONGEST_SLEEP, |at| at.since(now).min(LONGEST_SLEEP));
            // Commands are taken even while events wait: who sends the ones may be who reads the others.
            let (waiting, calm) = (!self.backlog.is_empty(), self.backlog.len() < MOST_BACKLOG);
            let step = tokio::select! {
                Some(event) = self.media.recv(), if calm => Step::Media(event),
                Some(event) = self.net_events.recv(), if calm => Step::Net(event),
                request = self.inbox.recv(), if self.stopping.is_none() => Step::Ask(request),
                permit = self.events.reserve(), if waiting => {
                    match permit {
                        Ok(permit) => if let Some(event) = self.backlog.pop_front() {
                            permit.send(event);
                        },
                        Err(_) => self.backlog.clear(),
                    }
                    self.digits.set_waiting(!self.backlog.is_empty());
                    Step::Flush
                }
                () = self.outside.news() => Step::Moved,
                () = after(sleep) => Step::Time,
            };
            let now = self.clock.now();
            match step {
                Step::Ask(None) => self.stop(now, None),
                Step::Ask(Some(request)) => self.request(now, request),
                Step::Flush => continue,
                Step::Media(event) => self.media_event(now, event),
                Step::Moved => self.moved(now),
                Step::Net(event) => self.net_event(now, event),
                Step::Time => {}
            }
            self.ua.handle_timeout(now);
            self.handshakes(now);
            self.press_keys(now);
            if now.since(self.swept) >= SWEEP {
                self.swept = now;
                self.sweep(now);
            }
            if self.net.misses() && now.since(self.opened) >= OPEN_AGAIN {
                self.opened = now;
                let fault = told(&self.net.open_missing().await);
                self.listen_fault.send_replace(fault);
            }
        }
        for done in self.stopping.map(|(_, done)| done).unwrap_or_default() {
            // Whoever asked may have given up waiting.
            let _ = done.send(());
        }
    }

    fn stop(&mut self, now: Instant, done: Option<oneshot::Sender<()>>) {
        self.ua.shutdown(now);
        let (_, waiting) = self
            .stopping
            .get_or_insert_with(|| (now + SHUTDOWN_WITHIN, Vec::new()));
        waiting.extend(done);
    }

    fn request(&mut self, now: Instant, request: Request) {
        match request {
            Request::Apply(params, reply) => {
                // Whoever asked may have given up waiting.
                let _ = reply.send(self.apply(now, *params));
            }
            Request::Leg(command, since) => {
                // one that got no INVITE until the next bell is not waited for any more
                if since.is_some() && std::mem::replace(&mut self.bell, since).is_some() {
                    self.measures.bells_without_invite.add(1);
                }
                self.command(now, command);
            }
            Request::Listening(reply) => {
                let _ = reply.send(self.net.listening());
            }
            Request::Message(text, reply) => {
                let message = self.texts.begin(text, reply);
                self.ua.send_message(now, message);
            }
            Request::Standing(account, standing) => {
                self.standings.insert(account.clone(), standing);
                self.ua.set_standing(now, &account, standing);
            }
            Request::Shutdown(done) => self.stop(now, Some(done)),
            Request::Stats(reply) => {
                let _ = reply.send(self.stats());
            }
        }
    }

    fn apply(&mut self, now: Instant, params: SipParams) -> Result<(), SipError> {
        if let Some(what) = self.params.needs_restart(&params) {
            return Err(SipError::NeedsRestart(what));
        }
        self.net.reload_trusts()?;
        let (ua_params, accounts) = convert::user_agent(&params, &mut self.net);
        self.outside.configure(&params, &self.clock);
        self.ready.configure(params.stun.as_deref(), &self.engine);
        self.params = params;
        self.ua.configure(now, ua_params, accounts);
        // an account that began anew knows nothing of its doors
        self.standings
            .retain(|id, _| self.params.accounts.iter().any(|account| account.id == *id));
        for (id, standing) in &self.standings {
            self.ua.set_standing(now, id, *standing);
        }
        self.moved(now);
        Ok(())
    }

    /// Whether others see us at another address: then whoever is far learns it.
    fn moved(&mut self, now: Instant) {
        if self.outside.has_moved() {
            tracing::info!("others see us at another address: accounts register again");
            self.ua.moved(now, is_far);
        }
    }

    fn stats(&self) -> SipStats {
        let ua = self.ua.stats();
        SipStats {
            calls: self.ua.calls() as u64,
            digits: self.digits.reported(),
            dropped: self.net.dropped(),
            malformed: ua.malformed,
            received: ua.received,
            sent: ua.sent,
            strangers: ua.strangers,
        }
    }

    fn command(&mut self, now: Instant, command: LegCommand) {
        match command {
            LegCommand::Answer { leg } => {
                if let Some(session) = self.sessions.get_mut(&leg)
                    && let Some(sdp) = session.ready.take()
                {
                    session.begins = true;
                    self.ua.accept(now, leg, sdp);
                }
            }
            LegCommand::Connect { leg } => {
                if let Some(session) = self.sessions.get(&leg)
                    && let Err(e) = self.engine.connect_leg(leg, &session.line)
                {
                    tracing::warn!(%leg, error = %e, "audio cannot be connected");
                    self.ua.end(now, leg, Cause::Media);
                }
            }
            LegCommand::Divert { leg, target } => self.ua.divert(now, leg, &target),
            LegCommand::End { leg, cause } => self.ua.end(now, leg, cause),
            LegCommand::Join { leg, with } => {
                if let Err(e) = self.engine.join_legs(leg, with) {
                    tracing::warn!(%leg, %with, error = %e, "two legs cannot be joined");
                    self.ua.end(now, leg, Cause::Media);
                }
            }
            LegCommand::Listen { leg } => self.listen(leg),
            LegCommand::Offer {
                account,
                display,
                leg,
                line,
                manner,
                patience,
                ring,
                target,
            } => {
                self.measures.legs.add(1);
                let policy = self.policy_of(account.as_ref());
                let mut session = Session::new(line, policy);
                session.keys = manner.keys.as_ref().map(KeysOut::new);
                self.sessions.insert(leg, session);
                self.ua.call(
                    now,
                    OutgoingCall {
                        account,
                        display,
                        leg,
                        manner,
                        patience,
                        ring,
                        target,
                    },
                );
            }
            LegCommand::PlayToLeg { leg, tone } => {
                if let Err(e) = self.engine.play_to_leg(leg, tone) {
                    tracing::warn!(%leg, %tone, error = %e, "tone cannot be played");
                }
            }
            LegCommand::RefuseTransfer { leg, why } => self.ua.refuse_transfer(now, leg, &why),
            LegCommand::RingBack { leg } => self.ring_back(now, leg),
            LegCommand::Ringing { leg } => self.ua.ring(now, leg),
            LegCommand::Transfer {
                account,
                by,
                display,
                leg,
                line,
                replaces,
                ring,
                target,
            } => {
                self.measures.legs.add(1);
                let policy = self.policy_of(account.as_ref());
                self.sessions.insert(leg, Session::new(line, policy));
                let call = OutgoingCall {
                    account,
                    display,
                    leg,
                    manner: Manner::default(),
                    patience: None,
                    ring,
                    target,
                };
                self.ua.transfer(now, by, call, replaces);
            }
        }
    }

    /// The line and panel that a call is for.
    fn callee(&self, account: Option<&gateway_core::AccountId>, called: &str) -> Option<(LineId, PanelId)> {
        let callees = match account {
            None => &self.params.direct_callees,
            Some(id) => {
                &self
                    .params
                    .accounts
                    .iter()
                    .find(|account| account.id == *id)?
                    .callees
            }
        };
        callees
            .of(called)
            .map(|found| (found.line.clone(), found.panel.clone()))
    }

    fn net_event(&mut self, now: Instant, event: NetEvent) {
        match event {
            NetEvent::Accepted { flow, writer } => {
                let guest = Guest {
                    heard: None,
                    quiet_since: now,
                    since: now,
                };
                self.accepted.insert(flow, guest);
                self.net.keep(flow, writer);
            }
            NetEvent::Closed { flow, why } => {
                if why.contains("alert") {
                    tracing::warn!(remote = %flow.remote, why, "the other side ended a TLS connection");
                } else {
                    tracing::debug!(?flow, why, "connection closed");
                }
                self.accepted.remove(&flow);
                self.net.abort(&flow);
                self.ua.handle_closed(now, flow, &why);
            }
            NetEvent::Connected { hop, result } => {
                let result = result.map(|(reached, writer)| {
                    if let Some(writer) = writer {
                        self.net.keep(reached.flow, writer);
                    }
                    reached
                });
                if let Err(why) = &result {
                    tracing::debug!(%hop, why, "hop not reached");
                }
                self.ua.handle_connected(now, &hop, result);
            }
            NetEvent::Names { found, leg } => self.looked_up(now, leg, &found),
            NetEvent::Stranger { source } => self.ua.note_silent_stranger(now, source),
            NetEvent::Unreachable { remote } => {
                tracing::debug!(%remote, "nobody takes datagrams there");
                self.ua.handle_unreachable(now, remote);
            }
            NetEvent::Received { flow, bytes } => {
                // Bodies hold digits and keys; the start line is enough to find the message in a capture.
                tracing::trace!(?flow, line = %start_line(&bytes), "received");
                self.trace.sip(&way(&flow, false), &bytes);
                let before = self.ua.stats().received;
                self.ua.handle_received(now, flow, &bytes);
                if let Some(guest) = self.accepted.get_mut(&flow) {
                    guest.quiet_since = now;
                    if self.ua.stats().received > before {
                        guest.heard = Some(now);
                        self.net.heard(&flow, now);
                        self.net.set_used(&flow, self.ua.uses_flow(&flow));
                    }
                }
            }
        }
    }

    fn media_event(&mut self, now: Instant, event: MediaEvent) {
        match event {
            MediaEvent::Digit {
                at,
                digit,
                echo,
                leg,
                via,
            } => {
                self.digit(now, leg, at, digit, via, echo);
                self.digits.passed();
            }
            MediaEvent::Closed { leg, stats } => {
                if stats.strangers >= FLOOD {
                    let packets = stats.strangers;
                    tracing::warn!(%leg, packets, "strangers sent packets to a port of this call");
                }
                tracing::debug!(%leg, ?stats, "media closed");
                self.ended_media(leg, &stats);
            }
            MediaEvent::Handshake { datagram, leg, .. } => {
                if let Some(session) = self.sessions.get_mut(&leg) {
                    session.datagram(&self.engine, leg, now, &datagram);
                }
                self.fault(now, leg);
            }
            MediaEvent::Source { leg, source, .. } => tracing::debug!(%leg, %source, "media source"),
            MediaEvent::Timeout { leg, .. } => {
                tracing::info!(%leg, "no media from the other side");
                self.ua.end(now, leg, Cause::Unreachable);
            }
            _ => {}
        }
    }

    fn digit(&mut self, now: Instant, leg: LegId, at: Instant, digit: char, via: DigitVia, echo: bool) {
        if now.since(at) > STALE {
            tracing::warn!(%leg, ?via, "digit is too old and not acted on");
            return;
        }
        if self.digits.takes(leg, via, echo) {
            self.digits.count();
            self.leg(LegEvent::Digit {
                at,
                digit,
                echo,
                leg,
                via,
            });
        } else {
            match self.digits.ways(leg) {
                Some(Ways { first, others: 1 }) => {
                    tracing::info!(%leg, ?via, counts = ?first, "keys that come a second way are not taken");
                }
                Some(_) | None => tracing::debug!(%leg, ?via, "digit before the answer, or by a second way"),
            }
        }
    }

    fn leg(&mut self, event: LegEvent) {
        self.report(SipEvent::Leg(event));
    }

    fn report(&mut self, event: SipEvent) {
        let waits = if self.backlog.is_empty() {
            match self.events.try_send(event) {
                // Nobody listens when the program ends.
                Ok(()) | Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(event)) => event,
            }
        } else {
            event
        };
        self.digits.set_waiting(true);
        self.backlog.push_back(waits);
    }

    /// Does what the user agent wants until it wants nothing more.
    fn drain(&mut self) {
        while let Some(output) = self.ua.poll_output() {
            let now = self.clock.now();
            match output {
                Output::Account { event, id, state } => {
                    tracing::info!(account = %id, state = %state, ?event, "account");
                    self.report(SipEvent::Account(AccountReport { id, state, event }));
                }
                Output::Call { leg, what } => self.in_turn(now, leg, what),
                Output::Close { flow } => {
                    self.accepted.remove(&flow);
                    self.net.close(&flow);
                }
                Output::Connect { attempt, hop } => self.net.connect(hop, attempt),
                Output::Send { flow, bytes, id } => {
                    tracing::trace!(?flow, line = %start_line(&bytes), "sent");
                    self.trace.sip(&way(&flow, true), &bytes);
                    self.measures.sent(now, &bytes);
                    let bell = self.bell.take_if(|_| bytes.starts_with(b"INVITE "));
                    if self.net.send(&flow, bytes) {
                        if let Some(since) = bell {
                            self.measures.bell_to_invite.note(self.clock.now().since(since));
                        }
                        continue;
                    }
                    self.bell = self.bell.or(bell);
                    if flow.transport.is_reliable() {
                        self.net.abort(&flow);
                        self.ua.handle_closed(now, flow, "cannot be written to");
                    } else if let Some(id) = id {
                        self.ua.handle_send_error(now, id);
                    }
                }
                Output::Message(message) => self.message(message),
                Output::NotPublished { id, why } => tracing::info!(
                    account = %id, why,
                    "the PBX takes no presence; it is asked again when the account registers anew"
                ),
                Output::Stranger {
                    count,
                    method,
                    source,
                } => {
                    let from = source.map_or_else(|| "many".to_owned(), |source| source.to_string());
                    tracing::warn!(
                        source = from,
                        count,
                        method,
                        "requests from strangers are refused"
                    );
                    self.report(SipEvent::Stranger(StrangerReport {
                        count,
                        method,
                        source,
                    }));
                }
                Output::Tries { id, tries } => {
                    self.tries.send_modify(|all| {
                        all.insert(id, tries);
                        // those of accounts that are gone are over in ten minutes
                        all.retain(|_, tries| !tries.is_over(now));
                    });
                }
            }
        }
        let known: BTreeSet<_> = self.ua.known_addresses().collect();
        if known != self.known {
            self.net.set_known(known.clone());
            self.known = known;
        }
    }

    fn message(&mut self, message: MessageOutput) {
        match message {
            MessageOutput::Received {
                account,
                called,
                peer,
                text,
            } => match self.callee(account.as_ref(), &called) {
                Some((_, panel)) => self.report(SipEvent::Message(TextReport { panel, peer, text })),
                None => tracing::info!(called, from = %peer.shown(), "a text is for none of the panels"),
            },
            MessageOutput::Sent { id } => self.texts.answer(id, Ok(())),
            MessageOutput::Failed { id, why } => self.texts.answer(id, Err(why)),
        }
    }

    fn call_output(&mut self, now: Instant, leg: LegId, what: CallOutput) {
        match what {
            CallOutput::Answered { dialog, peer, sdp } => {
                let Some(session) = self.sessions.get_mut(&leg) else {
                    return;
                };
                let remote = self.ua.remote_of(leg);
                let agreed = session.take_first_answer(&self.engine, leg, remote, now, (&dialog, &sdp));
                let agreed = agreed.and_then(|agreed| {
                    session.answered(&self.engine, leg)?;
                    Ok(agreed)
                });
                match agreed {
                    Ok(agreed) => {
                        tracing::debug!(%leg, ?agreed, "media agreed");
                        self.begin_keys(now, leg, agreed.send_events.is_some());
                        self.leg(LegEvent::Answered { leg, peer });
                        if agreed.held() {
                            self.leg(LegEvent::Held { held: true, leg });
                        }
                        self.digits.open(leg);
                    }
                    Err(e) => self.no_media(now, leg, &e),
                }
            }
            CallOutput::Named { peer, why } => {
                tracing::info!(%leg, %why, "the party of a call changed");
                self.leg(LegEvent::Answered { leg, peer });
            }
            CallOutput::AuthorityLost { why } => self.leg(LegEvent::AuthorityLost { leg, why }),
            CallOutput::Confirmed { sdp } => self.confirmed(now, leg, sdp),
            CallOutput::Pressed { taken } => self.key_answered(now, leg, taken),
            CallOutput::Digit { at, digit } => self.digit(now, leg, at, digit, DigitVia::Info, false),
            CallOutput::EarlyMedia { sdp } => self.early_media(now, leg, &sdp),
            CallOutput::EarlyOffer {
                answer,
                dialog,
                heard,
                sdp,
            } => self.early_offer(now, leg, (&dialog, heard), (&answer, &sdp)),
            CallOutput::Ended { cause, detail } => {
                // A leg whose media never opened has none to close.
                let _ = self.engine.close_leg(leg);
                if let Some(Ways {
                    first: Some(via),
                    others,
                }) = self.digits.close(leg)
                {
                    tracing::info!(%leg, ?via, others, "keys of the call came this way");
                }
                if let Some(session) = self.sessions.remove(&leg) {
                    let detail = session.fault.unwrap_or(detail);
                    self.leg(LegEvent::Ended { cause, leg, detail });
                }
            }
            CallOutput::Incoming {
                account,
                at_once,
                called,
                local,
                peer,
                sdp,
            } => {
                let Some((line, panel)) = self.callee(account.as_ref(), &called) else {
                    tracing::warn!(%leg, called, from = %peer.shown(), "a call is for none of the panels and gets 404");
                    self.ua.end(now, leg, Cause::NotFound);
                    return;
                };
                let media = (account.as_ref(), local, sdp.as_deref());
                if self.prepare(now, leg, line, &peer, media) {
                    self.leg(LegEvent::Incoming {
                        account,
                        at_once,
                        leg,
                        panel,
                        peer,
                    });
                }
            }
            CallOutput::TakingOver {
                account,
                local,
                peer,
                replaced,
                sdp,
            } => {
                let Some(line) = self.sessions.get(&replaced).map(|of| of.line.clone()) else {
                    self.ua.end(now, leg, Cause::Declined);
                    return;
                };
                let media = (account.as_ref(), local, sdp.as_deref());
                if self.prepare(now, leg, line, &peer, media) {
                    self.leg(LegEvent::TakingOver {
                        account,
                        leg,
                        peer,
                        replaced,
                    });
                }
            }
            CallOutput::Redirected { at_pbx, target } => {
                self.leg(LegEvent::Redirected { at_pbx, leg, target })
            }
            CallOutput::TransferAsked {
                at_pbx,
                replaces,
                target,
            } => self.leg(LegEvent::TransferAsked {
                at_pbx,
                leg,
                replaces,
                target,
            }),
            CallOutput::OfferWanted { local } => {
                let Some(ice) = self.sessions.get(&leg).map(Session::ice) else {
                    return;
                };
                let place = self.place(leg, local, ice);
                let Some(session) = self.sessions.get_mut(&leg) else {
                    return;
                };
                match place.and_then(|place| session.first_offer(&self.engine, leg, place, &mut self.rng)) {
                    Ok(sdp) => self.ua.give_offer(now, leg, sdp),
                    Err(e) => self.no_media(now, leg, &e),
                }
            }
            CallOutput::RefreshOfferWanted => {
                let Some(session) = self.sessions.get_mut(&leg) else {
                    return;
                };
                match session.offer_again(&mut self.rng) {
                    Ok(sdp) => self.ua.give_refresh_offer(now, leg, sdp),
                    Err(e) => self.no_media(now, leg, &e),
                }
            }
            CallOutput::Ringing => self.leg(LegEvent::Ringing { leg }),
            CallOutput::Reoffer { sdp } => {
                let Some(session) = self.sessions.get_mut(&leg) else {
                    return;
                };
                let answer = match &sdp {
                    Some(offer) => session
                        .answer_again(&self.engine, leg, self.ua.remote_of(leg), offer, &mut self.rng)
                        .map(|(answer, held)| (answer, Some(held))),
                    None => session.offer_again(&mut self.rng).map(|offer| (offer, None)),
                };
                if let Err(e) = &answer {
                    tracing::info!(%leg, error = %e, "re-offer refused");
                }
                let (answer, held) = answer.ok().unzip();
                session.begins = true;
                // who is not answered holds nobody; that he does is told with the answer
                let held = held.flatten().filter(|_| !session.is_early());
                self.ua.answer_reoffer(now, leg, answer);
                if let Some(held) = held {
                    self.leg(LegEvent::Held { held, leg });
                }
            }
            CallOutput::ReofferAnswered { sdp } => {
                let Some(session) = self.sessions.get_mut(&leg) else {
                    return;
                };
                if sdp.is_empty() {
                    session.offer_refused();
                } else if let Err(e) =
                    session.take_answer(&self.engine, leg, self.ua.remote_of(leg), now, &sdp)
                {
                    self.no_media(now, leg, &e);
                }
            }
        }
    }

    /// Closes connections of others that carry nothing.
    fn sweep(&mut self, now: Instant) {
        let mut idle = Vec::new();
        for (flow, guest) in &self.accepted {
            let used = self.ua.uses_flow(flow);
            self.net.set_used(flow, used);
            let known = self.known.contains(&flow.remote.ip().to_canonical());
            let over = match guest.heard.filter(|_| !known) {
                Some(heard) => now.since(heard) >= IDLE,
                None if known => now.since(guest.quiet_since) >= IDLE,
                None => now.since(guest.since) >= FIRST_WORD,
            };
            if over && !used {
                idle.push((*flow, !known && guest.heard.is_none()));
            }
        }
        for (flow, silent) in idle {
            self.accepted.remove(&flow);
            self.net.abort(&flow);
            self.ua.handle_closed(now, flow, "idle");
            if silent {
                self.ua.note_silent_stranger(now, flow.remote.ip());
            }
        }
    }
}

fn start_line(bytes: &[u8]) -> String {
    let line = bytes.split(|b| *b == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(&line[..line.len().min(120)]).into_owned()
}
