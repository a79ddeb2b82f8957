//! The user agent: its state, its inputs and its clockwork.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use gateway_core::{AccountEvent, AccountId, AccountState, Instant, LegId};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use super::account::{Account, Phase};
use super::call::{Call, Phase as CallPhase};
use super::hop::Hop;
use super::hops::HopSlot;
use super::inside::{Inside, Roomless};
use super::message::{OutgoingMessage, Sending, Taken};
use super::multipart;
use super::strangers::{Knocks, Strangers};
use super::tries::Tries;
use super::types::{CallOutput, Output, UaAccount, UaParams, UaStats};
use super::uac::InviteUse;
use super::watch::{Watcher, WatcherId};
use crate::transaction::{
    Event, Output as LayerOutput, Params as LayerParams, TransactionId, TransactionLayer,
};
use crate::{
    Datagram, Flow, Frame, HeaderName, Limits, Message, Method, Request, Response, StreamFramer,
    read_datagram,
};

/// What a client transaction is for.
#[derive(Debug)]
pub(crate) enum Use {
    /// Nobody waits for the answer: BYE of a leg that is over.
    Bye {
        /// For one more try with credentials.
        request: Box<Request>,
        account: Option<AccountId>,
        flow: Flow,
    },
    /// A request of ours inside a call.
    Inside(Box<Inside>),
    /// An INVITE of ours.
    Invite(Box<InviteUse>),
    /// MESSAGE of ours, by its number.
    Message(Box<Sending>),
    /// OPTIONS of an account.
    Probe(AccountId),
    /// PUBLISH of an account.
    Publish(AccountId),
    /// REGISTER of an account.
    Register(AccountId),
    /// NOTIFY to a subscriber.
    Watch(WatcherId),
}

/// A connection: its framer and keep-alive.
#[derive(Debug)]
pub(crate) struct Stream {
    framer: StreamFramer,
    /// The peer has answered a ping before, so silence means something.
    pub(crate) answers: bool,
    pub(crate) pinged: Option<Instant>,
    pub(crate) quiet_since: Instant,
}

/// The user agent. See the [module](crate::ua).
pub struct UserAgent {
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    pub(crate) calls: BTreeMap<LegId, Call>,
    pub(crate) hops: BTreeMap<Hop, HopSlot>,
    pub(crate) layer: TransactionLayer,
    /// Accounts that others have taken the place of, with the names they had.
    pub(crate) leavers: Vec<(AccountId, Account)>,
    pub(crate) next_leg: u64,
    pub(crate) next_watcher: u64,
    pub(crate) out: VecDeque<Output>,
    pub(crate) params: UaParams,
    pub(crate) rng: StdRng,
    pub(crate) stats: UaStats,
    pub(crate) stopping: bool,
    pub(crate) strangers: Strangers,
    pub(crate) streams: BTreeMap<Flow, Stream>,
    /// Texts that came.
    pub(crate) taken: Taken,
    /// Long requests of ours inside calls that wait for a connection.
    pub(crate) roomless: Vec<Roomless>,
    /// Texts of ours that wait for their hop.
    pub(crate) texts: Vec<(Hop, OutgoingMessage)>,
    /// Tries of accounts that are not there.
    pub(crate) tries: BTreeMap<AccountId, Tries>,
    pub(crate) uses: BTreeMap<TransactionId, Use>,
    pub(crate) watchers: BTreeMap<WatcherId, Watcher>,
}

impl std::fmt::Debug for UserAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserAgent")
            .field("accounts", &self.accounts.len())
            .field("calls", &self.calls.len())
            .finish_non_exhaustive()
    }
}

impl UserAgent {
    /// A user agent without accounts. `rng` makes branches, tags, Call-IDs and jitter.
    #[must_use]
    pub fn new(params: UaParams, mut rng: StdRng) -> Self {
        Self {
            accounts: BTreeMap::new(),
            calls: BTreeMap::new(),
            hops: BTreeMap::new(),
            layer: TransactionLayer::new(LayerParams::default(), StdRng::from_rng(&mut rng)),
            leavers: Vec::new(),
            next_leg: params.first_incoming_leg,
            next_watcher: 0,
            out: VecDeque::new(),
            params,
            rng,
            stats: UaStats::default(),
            stopping: false,
            strangers: Strangers::default(),
            streams: BTreeMap::new(),
            taken: Taken::default(),
            roomless: Vec::new(),
            texts: Vec::new(),
            tries: BTreeMap::new(),
            uses: BTreeMap::new(),
            watchers: BTreeMap::new(),
        }
    }

    /// Sets the accounts: equal ones go on undisturbed, changed ones start again, others deregister and their calls
    /// end. Also takes new settings for the whole agent.
    pub fn configure(&mut self, now: Instant, params: UaParams, accounts: Vec<UaAccount>) {
        self.params = params;
        let wanted: BTreeMap<AccountId, UaAccount> =
            accounts.into_iter().map(|a| (a.id.clone(), a)).collect();
        let gone: Vec<AccountId> = self
            .accounts
            .iter()
            .filter(|(id, account)| wanted.get(*id) != Some(&account.params) || account.goes())
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            let stays = wanted.contains_key(&id);
            if let Some(account) = self.accounts.get(&id) {
                let tries = account.reg.tries_made.clone();
                self.keep_tries(id.clone(), tries);
            }
            self.end_calls_of(now, &id);
            self.end_watchers(now, Some(&id));
            if stays {
                self.replace(now, &id);
            } else {
                self.leave(now, &id);
            }
        }
        for (id, params) in wanted {
            if !self.accounts.contains_key(&id) {
                let (call_id, tag) = (self.new_call_id(), self.new_tag());
                let waits = self.waits_for_leaver(&params);
                let tries = self.tries_of(now, &params);
                let account = Account::new(params, &self.params.instance, call_id, tag, tries);
                self.accounts.insert(id.clone(), account);
                if waits {
                    self.queue_account(now, &id);
                } else {
                    self.start_account(now, &id);
                }
            }
        }
        self.drain(now);
    }

    /// Ends all calls and deregisters. [`is_idle`](Self::is_idle) says when nothing is on its way any more.
    pub fn shutdown(&mut self, now: Instant) {
        self.stopping = true;
        let legs: Vec<LegId> = self.calls.keys().copied().collect();
        for leg in legs {
            self.end_call(now, leg, gateway_core::Cause::Released);
        }
        self.end_watchers(now, None);
        let ids: Vec<AccountId> = self.accounts.keys().cloned().collect();
        for id in ids {
            self.leave(now, &id);
        }
        self.drain(now);
    }

    /// True if no call and no request of ours is on its way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && !self
                .uses
                .values()
                .any(|u| matches!(u, Use::Register(_) | Use::Bye { .. }))
    }

    /// Where the messages of a call come from: phone, PBX or proxy.
    #[must_use]
    pub fn remote_of(&self, leg: LegId) -> Option<std::net::IpAddr> {
        Some(self.calls.get(&leg)?.flow?.remote.ip())
    }

    /// True if a call or a registration goes over this connection.
    #[must_use]
    pub fn uses_flow(&self, flow: &Flow) -> bool {
        self.calls.values().any(|call| call.flow == Some(*flow))
            || self.watches_over(flow)
            || self
                .accounts
                .values()
                .any(|account| account.reg.flow == Some(*flow))
    }

    /// Counters since start.
    #[must_use]
    pub fn stats(&self) -> UaStats {
        UaStats {
            strangers: self.strangers.total,
            ..self.stats
        }
    }

    /// Legs in progress.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// States of all accounts.
    pub fn account_states(&self) -> impl Iterator<Item = (&AccountId, AccountState)> {
        self.accounts.iter().map(|(id, account)| (id, account.reg.state))
    }

    /// Addresses of account hops and direct peers: whose datagrams and connections are no strangers'. Those of an account
    /// stay known while its server is not reached: it may be back before we notice.
    pub fn known_addresses(&self) -> impl Iterator<Item = std::net::IpAddr> {
        let hops = self.hops.values().filter_map(HopSlot::reached);
        hops.flat_map(|reached| reached.peers.iter().copied())
            .chain(
                self.accounts
                    .values()
                    .flat_map(|account| account.peers.iter().copied()),
            )
            .chain(self.params.direct_peers.iter().copied())
    }

    /// Bytes of a connection, or one datagram.
    pub fn handle_received(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        if flow.transport.is_reliable() {
            self.handle_stream(now, flow, bytes);
        } else {
            match read_datagram(bytes, &Limits::default()) {
                Ok(Datagram::KeepAlive) => {}
                Ok(Datagram::Message(message)) => self.handle_message(now, flow, message),
                Err(error) => self.malformed(now, flow, error.answer),
            }
        }
        self.drain(now);
    }

    fn handle_stream(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        let stream = self.streams.entry(flow).or_insert_with(|| Stream::new(now));
        stream.quiet_since = now;
        stream.pinged = None;
        stream.framer.push(bytes);
        loop {
            // A message may end the connection it came on.
            let Some(stream) = self.streams.get_mut(&flow) else {
                return;
            };
            match stream.framer.next_frame() {
                Ok(None) => return,
                Ok(Some(Frame::Bad(error))) => self.malformed(now, flow, error.answer),
                Ok(Some(Frame::Message(message))) => self.handle_message(now, flow, message),
                Ok(Some(Frame::Ping)) => self.send_bytes(flow, b"\r\n".to_vec()),
                Ok(Some(Frame::Pong)) => stream.answers = true,
                Err(_) => {
                    self.stats.malformed += 1;
                    self.out.push_back(Output::Close { flow });
                    self.closed(now, flow, "unreadable stream");
                    return;
                }
            }
        }
    }

    fn malformed(&mut self, now: Instant, flow: Flow, answer: Option<Box<Response>>) {
        self.stats.malformed += 1;
        // Strangers get no help in finding out what we are.
        if let Some(answer) = answer
            && self.knows(&flow)
        {
            self.layer.respond_unreadable(*answer, flow);
        } else {
            self.note_stranger(now, flow, "unreadable");
        }
    }

    fn handle_message(&mut self, now: Instant, flow: Flow, message: Message) {
        self.stats.received += 1;
        match message {
            Message::Request(request) if !self.knows(&flow) && !self.in_our_dialog(&request, &flow) => {
                self.note_stranger(now, flow, request.method.as_str());
                self.layer.respond_stateless(&request, flow, 403);
            }
            message @ (Message::Request(_) | Message::Response(_)) => {
                self.layer.handle_message(now, message, flow);
            }
        }
        self.pump(now);
    }

    /// A connection has ended.
    pub fn handle_closed(&mut self, now: Instant, flow: Flow, why: &str) {
        self.closed(now, flow, why);
        self.drain(now);
    }

    pub(crate) fn closed(&mut self, now: Instant, flow: Flow, why: &str) {
        self.streams.remove(&flow);
        self.layer.handle_flow_lost(flow.id, why);
        self.flow_lost(now, flow, why);
        self.pump(now);
    }

    /// The system refused to send a message of this transaction: no route, no such address. The request fails now
    /// and not after its time-out, so that a call moves on to the next target.
    pub fn handle_send_error(&mut self, now: Instant, id: TransactionId) {
        self.layer.handle_transport_error(id);
        self.drain(now);
    }

    /// The network says that nothing takes datagrams at an address (ICMP). Requests on their way there fail now, and
    /// accounts that are registered there register anew, so that a PBX that is gone is known at the next keep-alive.
    pub fn handle_unreachable(&mut self, now: Instant, remote: SocketAddr) {
        self.layer.handle_unreachable(remote);
        self.pump(now);
        let gone = |flow: &Flow| !flow.transport.is_reliable() && flow.remote == remote;
        let ids: Vec<AccountId> = self
            .accounts
            .iter()
            .filter(|(_, account)| {
                account.params.register
                    && account.reg.phase == Phase::Resting
                    && account.reg.flow.as_ref().is_some_and(gone)
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.registration_flow_lost(now, &id, "nobody listens there");
        }
        self.drain(now);
    }

    /// Lets time pass up to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
        self.pump(now);
        self.keep_alive(now);
        let due: Vec<AccountId> = self
            .accounts
            .iter()
            .filter(|(_, account)| account.reg.due.is_some_and(|at| at <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            self.registration_due(now, &id);
        }
        self.leavers_due(now);
        let legs: Vec<LegId> = self
            .calls
            .iter()
            .filter(|(_, call)| call.due().is_some_and(|at| at <= now))
            .map(|(leg, _)| *leg)
            .collect();
        for leg in legs {
            self.call_due(now, leg);
        }
        let knocks = self.strangers.due(now);
        self.tell_strangers(knocks);
        self.publications_due(now);
        self.watchers_due(now);
        self.drain(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.layer
            .poll_timeout()
            .into_iter()
            .chain(self.accounts.values().filter_map(|account| account.reg.due))
            .chain(self.accounts.values().filter_map(|account| account.reg.ping))
            .chain(
                self.accounts
                    .values()
                    .filter_map(|account| account.publication.due),
            )
            .chain(self.calls.values().filter_map(Call::due))
            .chain(self.leavers_timeout())
            .chain(self.watchers_timeout())
            .chain(self.strangers.poll_timeout())
            .chain(
                self.streams
                    .iter()
                    .filter_map(|(flow, stream)| self.ping_due(flow, stream)),
            )
            .min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes what the transactions have to say, until they are silent.
    pub(crate) fn pump(&mut self, now: Instant) {
        while let Some(output) = self.layer.poll_output() {
            match output {
                LayerOutput::Event(event) => self.heard(now, event),
                LayerOutput::Send { flow, bytes, id } => {
                    self.stats.sent += 1;
                    let bytes = bytes.to_vec();
                    self.out.push_back(Output::Send { flow, bytes, id });
                }
            }
        }
    }

    pub(crate) fn drain(&mut self, now: Instant) {
        self.pump(now);
        self.tell_referrers(now);
        self.notify_watchers(now);
        self.answer_what_is_over(now);
        self.calls.retain(|_, call| !call.is_over());
        self.accounts
            .retain(|_, account| account.reg.phase != Phase::Left);
    }

    fn heard(&mut self, now: Instant, event: Event) {
        match event {
            Event::Ack { mut request, .. } => {
                multipart::unwrap(&mut request.headers, &mut request.body);
                self.ack_heard(&request);
            }
            // Our refusal was heard or not: the call is over either way.
            Event::AckTimeout { .. } => {}
            Event::Cancel { id, request } => self.cancel_heard(now, id, &request),
            Event::Request {
                id,
                mut request,
                flow,
            } => {
                if [Method::INVITE, Method::PRACK, Method::UPDATE].contains(&request.method) {
                    multipart::unwrap(&mut request.headers, &mut request.body);
                }
                self.request_heard(now, id, request, flow);
            }
            Event::Response { id, response, .. } => self.response_heard(now, id, response),
            Event::Terminated { id } => {
                if let Some(Use::Invite(invite)) = self.uses.remove(&id) {
                    self.early_dialogs_over(now, *invite);
                }
            }
            Event::Timeout { id } => self.unanswered(now, id, "no answer", true),
            Event::TransportError { id, why } => {
                let why = why.map_or_else(
                    || "cannot be delivered".to_owned(),
                    |why| format!("cannot be delivered: {why}"),
                );
                self.unanswered(now, id, &why, false);
            }
        }
    }

    fn response_heard(&mut self, now: Instant, id: TransactionId, mut response: Response) {
        multipart::unwrap(&mut response.headers, &mut response.body);
        match self.uses.remove(&id) {
            Some(Use::Bye {
                request,
                account,
                flow,
            }) if !response.is_provisional() => {
                self.bye_answered(now, *request, account, flow, &response);
            }
            Some(Use::Invite(invite)) => self.invite_answered(now, id, invite, response),
            Some(Use::Inside(inside)) => self.inside_answered(now, id, inside, &response),
            Some(Use::Message(sending)) => self.message_answered(now, id, sending, &response),
            Some(Use::Probe(account)) => self.probe_answered(now, id, account, &response),
            Some(Use::Publish(account)) => self.publish_answered(now, id, account, &response),
            Some(Use::Register(account)) => self.register_answered(now, id, account, &response),
            Some(Use::Watch(watcher)) => self.watcher_answered(now, id, watcher, &response),
            Some(bye @ Use::Bye { .. }) => {
                self.uses.insert(id, bye);
            }
            None => {}
        }
    }

    fn unanswered(&mut self, now: Instant, id: TransactionId, why: &str, sent: bool) {
        match self.uses.remove(&id) {
            Some(Use::Inside(inside)) => self.inside_failed(now, &inside, why, sent),
            Some(Use::Invite(invite)) => {
                self.invite_failed(now, &invite, why);
                self.early_dialogs_over(now, *invite);
            }
            Some(Use::Message(sending)) => self.message_failed(&sending, why),
            Some(Use::Probe(account)) => self.probe_lost(now, &account, &format!("OPTIONS: {why}")),
            Some(Use::Publish(account)) => self.publish_failed(now, id, &account),
            Some(Use::Register(account)) => self.register_unanswered(now, id, &account, why),
            Some(Use::Watch(watcher)) => self.watcher_unanswered(watcher, sent),
            Some(Use::Bye { .. }) | None => {}
        }
    }

    pub(crate) fn send_bytes(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.stats.sent += 1;
        let id = None;
        self.out.push_back(Output::Send { flow, bytes, id });
    }

    pub(crate) fn tell(&mut self, leg: LegId, what: CallOutput) {
        self.note_progress(leg, &what);
        self.out.push_back(Output::Call { leg, what });
    }

    /// Sets the state of an account and says so; repeats without an event are not told.
    pub(crate) fn tell_account(&mut self, id: &AccountId, state: AccountState, event: Option<AccountEvent>) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        if account.reg.state == state && event.is_none() {
            return;
        }
        account.reg.state = state;
        self.out.push_back(Output::Account {
            event,
            id: id.clone(),
            state,
        });
    }

    /// True if requests of this flow are read: an account's PBX, or a listed peer.
    pub(crate) fn knows(&self, flow: &Flow) -> bool {
        self.params
            .direct_peers
            .contains(&flow.remote.ip().to_canonical())
            || self.accounts.values().any(|account| account.trusts(flow))
    }

    /// A request inside a call of ours from an address the call goes to: the far end of a direct call we made, or that of a call of an
    /// account whose proxy does not stay on the way.
    fn in_our_dialog(&self, request: &Request, flow: &Flow) -> bool {
        let from = |known: Flow| {
            known.remote.ip().to_canonical() == flow.remote.ip().to_canonical()
                && known.transport.is_reliable() == flow.transport.is_reliable()
        };
        self.calls.values().any(|call| {
            let Some(known) = call.flow else {
                return false;
            };
            let owns = call.owns(request) || self.early_of(call, request).is_some();
            let stated = || {
                call.dialog
                    .as_ref()
                    .map(|dialog| self.direct_flow(call.account.as_ref(), known, dialog))
            };
            owns && (from(known) || stated().is_some_and(from))
        })
    }

    /// The INVITE of ours with an early dialog that a request belongs to.
    pub(crate) fn early_of(&self, call: &Call, request: &Request) -> Option<TransactionId> {
        let CallPhase::Calling { tx } = &call.phase else {
            return None;
        };
        let Some(Use::Invite(invite)) = self.uses.get(tx) else {
            return None;
        };
        let mut early = invite.early.iter();
        early.any(|early| early.dialog.takes(request)).then_some(*tx)
    }

    /// A stranger had a connection to us, or wanted one, and said nothing over it.
    pub fn note_silent_stranger(&mut self, now: Instant, source: std::net::IpAddr) {
        self.note_source(now, source, "connection");
    }

    fn note_stranger(&mut self, now: Instant, flow: Flow, method: &str) {
        self.note_source(now, flow.remote.ip(), method);
    }

    fn note_source(&mut self, now: Instant, source: std::net::IpAddr, method: &str) {
        let first = self.strangers.note(now, source.to_canonical(), method);
        self.tell_strangers(first);
    }

    fn tell_strangers(&mut self, all: impl IntoIterator<Item = Knocks>) {
        self.out.extend(all.into_iter().map(|knocks| Output::Stranger {
            count: knocks.count,
            method: knocks.method,
            source: knocks.source,
        }));
    }

    /// A connection of ours is up.
    pub(crate) fn stream_up(&mut self, now: Instant, flow: Flow) {
        if flow.transport.is_reliable() {
            self.streams.insert(flow, Stream::new(now));
        }
    }

    pub(crate) fn new_tag(&mut self) -> String {
        format!("{:016x}", self.rng.next_u64())
    }

    pub(crate) fn new_call_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64())
    }

    /// The `User-Agent` header of requests, the `Server` of responses.
    pub(crate) fn named(&self, request: Request) -> Request {
        request.with(HeaderName::UserAgent, self.params.user_agent.as_str())
    }
}

impl Stream {
    fn new(now: Instant) -> Self {
        Self {
            answers: false,
            framer: StreamFramer::new(Limits::default()),
            pinged: None,
            quiet_since: now,
        }
    }
}
