//! All transactions of a process: matching, bounds, timers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use gateway_core::Instant;
use rand::rngs::StdRng;

use super::key::{Key, MergedKey};
use super::slot::{Cancel, Machine, Slot};
use super::{
    Action, Event, InviteClient, InviteServer, NonInviteClient, NonInviteServer, Output, Params, SendError,
    StateError, TransactionId, build,
};
use crate::error::HeaderError;
use crate::message::{HeaderName, HeaderValue, Message, Method, Request, Response};
use crate::token;
use crate::transport::{Flow, FlowId, Transport};
use crate::via::Via;

/// What was dropped or refused since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Transactions given up early to make room.
    pub evicted: u64,
    /// Requests answered 503 or dropped because the table was full.
    pub full: u64,
    /// Requests answered 482, because the same came by another way.
    pub merged: u64,
    /// Messages that repeated what was known.
    pub repeats: u64,
    /// Responses to nothing we asked.
    pub stray_responses: u64,
    /// Messages whose mandatory fields cannot be read.
    pub unreadable: u64,
}

/// All client and server transactions.
///
/// Bounded by [`Params`]. After every call the driver takes all outputs.
#[derive(Debug)]
pub struct TransactionLayer {
    params: Params,
    rng: StdRng,
    next_id: u64,
    slots: BTreeMap<TransactionId, Slot>,
    keys: BTreeMap<Key, TransactionId>,
    merged: BTreeMap<MergedKey, TransactionId>,
    timeouts: BTreeSet<(Instant, TransactionId)>,
    clients: usize,
    /// Of the clients, those that only absorb repeats.
    lingering: BTreeSet<TransactionId>,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl TransactionLayer {
    /// An empty layer; `rng` makes branches and tags.
    #[must_use]
    pub const fn new(params: Params, rng: StdRng) -> Self {
        Self {
            params,
            rng,
            next_id: 1,
            slots: BTreeMap::new(),
            keys: BTreeMap::new(),
            merged: BTreeMap::new(),
            timeouts: BTreeSet::new(),
            clients: 0,
            lingering: BTreeSet::new(),
            outputs: VecDeque::new(),
            counters: Counters {
                evicted: 0,
                full: 0,
                merged: 0,
                repeats: 0,
                stray_responses: 0,
                unreadable: 0,
            },
        }
    }

    /// What was dropped or refused.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Transactions that live now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True without transactions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The next thing to do or to know.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`TransactionLayer::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timeouts.first().map(|(at, _)| *at)
    }

    /// Sends a request in a transaction of its own, with a new branch. A top Via the request brings keeps its sent-by;
    /// without one, the flow's local address is written.
    ///
    /// # Errors
    /// Too many client transactions, or ACK or CANCEL.
    pub fn send_request(
        &mut self,
        now: Instant,
        mut request: Request,
        flow: Flow,
    ) -> Result<TransactionId, SendError> {
        if request.method == Method::ACK || request.method == Method::CANCEL {
            return Err(SendError::Method {
                method: request.method.to_string(),
            });
        }
        let waiting = self.clients - self.lingering.len();
        if waiting >= self.params.clients {
            return Err(SendError::Full { waiting });
        }
        let branch = token::branch(&mut self.rng);
        put_branch(&mut request, flow, &branch);
        Ok(self.start_client(now, request, &branch, flow, false))
    }

    /// Sends the ACK for a 2xx (RFC 3261 §13.2.2.4). The first call completes `ack` with a Via and a branch; sending
    /// the same again, for a repeated 2xx, repeats it byte for byte.
    pub fn send_ack(&mut self, ack: &mut Request, flow: Flow) {
        if !ack.headers.via().is_ok_and(|via| via.has_cookie()) {
            let branch = token::branch(&mut self.rng);
            put_branch(ack, flow, &branch);
        }
        self.outputs.push_back(Output::Send {
            flow,
            bytes: ack.to_bytes().into(),
            id: None,
        });
    }

    /// Cancels an INVITE of ours: at once if a provisional response came, else as soon as one comes. `reason` is the
    /// value of a Reason field. The INVITE then ends with its final response (usually 487) or a timeout.
    ///
    /// # Errors
    /// The transaction is over, no INVITE, or has its final response.
    pub fn cancel(
        &mut self,
        now: Instant,
        id: TransactionId,
        reason: Option<HeaderValue>,
    ) -> Result<(), StateError> {
        let slot = self.slots.get_mut(&id).ok_or(StateError::Unknown(id))?;
        match &slot.machine {
            Machine::InviteClient(m) if m.is_waiting() => {}
            Machine::InviteClient(_)
            | Machine::InviteServer(_)
            | Machine::NonInviteClient(_)
            | Machine::NonInviteServer(_) => return Err(StateError::Past(id)),
        }
        if slot.cancel == Cancel::No {
            slot.cancel = Cancel::Wanted(reason);
        }
        self.cancel_if_due(now, id);
        Ok(())
    }

    /// Answers a request. A 2xx to an INVITE may be given again, to repeat it.
    ///
    /// # Errors
    /// The transaction is over, or has its final response.
    pub fn respond(
        &mut self,
        now: Instant,
        id: TransactionId,
        response: &Response,
    ) -> Result<(), StateError> {
        let slot = self.slots.get_mut(&id).ok_or(StateError::Unknown(id))?;
        let actions = match &mut slot.machine {
            Machine::InviteServer(m) => m.respond(now, response.code()),
            Machine::NonInviteServer(m) => m.respond(now, response.code()),
            Machine::InviteClient(_) | Machine::NonInviteClient(_) => None,
        };
        let actions = actions.ok_or(StateError::Past(id))?;
        slot.last = response.to_bytes().into();
        slot.local_tag = response
            .headers
            .to()
            .ok()
            .and_then(|to| to.tag().map(str::to_owned));
        self.run(id, actions, None);
        Ok(())
    }

    /// Refuses a request of a stranger: sends the response once and forgets the transaction, so that nobody fills the
    /// table with INVITEs that are never acknowledged. A repeat of the request comes as a new one.
    ///
    /// # Errors
    /// The transaction is over, or has its final response.
    pub fn refuse(&mut self, now: Instant, id: TransactionId, response: &Response) -> Result<(), StateError> {
        self.respond(now, id, response)?;
        self.run(id, vec![Action::Terminate], None);
        Ok(())
    }

    /// The ACK of our 2xx to this INVITE came: the transaction only absorbs repeats and may be given up when room is
    /// needed. Only the user sees that ACK, because it has a branch of its own (RFC 3261 §13.2.2.4).
    pub fn acknowledged(&mut self, id: TransactionId) {
        if let Some(Machine::InviteServer(machine)) = self.slots.get_mut(&id).map(|slot| &mut slot.machine) {
            machine.acknowledged();
        }
    }

    /// Answers a request without a transaction: for strangers, who shall cost no memory. The top Via need not be
    /// stamped. ACK is never answered.
    pub fn respond_stateless(&mut self, request: &Request, flow: Flow, code: u16) {
        if request.method == Method::ACK {
            return;
        }
        let mut request = request.clone();
        let Ok(mut via) = request.headers.via() else {
            return;
        };
        via.stamp(flow.remote);
        request.headers.set_top_via(&via);
        let tag = token::random_token(&mut self.rng);
        let mut response = Response::to(&request, code).with_to_tag(&tag);
        if code == 503 {
            response.headers.push(HeaderName::RetryAfter, "10");
        }
        let flow = via.response_flow(flow);
        self.outputs.push_back(Output::Send {
            flow,
            bytes: response.to_bytes().into(),
            id: None,
        });
    }

    /// Sends the answer the reader made for bytes that are no usable request.
    pub fn respond_unreadable(&mut self, mut answer: Response, flow: Flow) {
        let Ok(mut via) = answer.headers.via() else { return };
        via.stamp(flow.remote);
        answer.headers.set_top_via(&via);
        let tag = token::random_token(&mut self.rng);
        let bytes = answer.with_to_tag(&tag).to_bytes().into();
        self.outputs.push_back(Output::Send {
            flow: via.response_flow(flow),
            bytes,
            id: None,
        });
    }

    /// Takes a message that was read.
    pub fn handle_message(&mut self, now: Instant, message: Message, flow: Flow) {
        let done = match message {
            Message::Request(request) => self.handle_request(now, request, flow),
            Message::Response(response) => self.handle_response(now, response, flow),
        };
        if done.is_err() {
            self.counters.unreadable += 1;
        }
    }

    /// Runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        // A machine that runs one timer may have another due, but time must pass between two repeats.
        let due: Vec<_> = self
            .timeouts
            .range(..=(now, TransactionId(u64::MAX)))
            .map(|(_, id)| *id)
            .collect();
        for id in due {
            if let Some(slot) = self.slots.get_mut(&id) {
                let actions = slot.machine.handle_timeout(now);
                self.run(id, actions, None);
            }
        }
    }

    /// A message of this transaction could not be sent.
    pub fn handle_transport_error(&mut self, id: TransactionId) {
        self.undelivered(id, None);
    }

    fn undelivered(&mut self, id: TransactionId, why: Option<&str>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let (told, over) = match &mut slot.machine {
            Machine::InviteClient(m) => {
                let told = m.transport_failed();
                (told, told)
            }
            Machine::NonInviteClient(m) => {
                let told = m.transport_failed();
                (told, told)
            }
            Machine::InviteServer(m) => (m.transport_failed(), m.is_terminated()),
            Machine::NonInviteServer(m) => (m.transport_failed(), true),
        };
        if told && !slot.quiet {
            let why = why.map(ToOwned::to_owned);
            self.event(Event::TransportError { id, why });
        }
        let actions = if over { vec![Action::Terminate] } else { Vec::new() };
        self.run(id, actions, None);
    }

    /// The network says that nothing takes datagrams at an address (ICMP, RFC 3261 §18.4): requests on their way
    /// there that have heard nothing fail now. Those that were answered in part are left to their timers, for such a
    /// message is easily forged and may come late.
    pub fn handle_unreachable(&mut self, remote: SocketAddr) {
        let hit: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, s)| {
                s.flow.transport == Transport::Udp && s.flow.remote == remote && s.machine.is_unheard()
            })
            .map(|(id, _)| *id)
            .collect();
        for id in hit {
            self.handle_transport_error(id);
        }
    }

    /// A connection is gone, and why: every transaction on it hears so.
    pub fn handle_flow_lost(&mut self, flow: FlowId, why: &str) {
        let hit: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, s)| s.flow.id == flow)
            .map(|(id, _)| *id)
            .collect();
        for id in hit {
            self.undelivered(id, Some(why));
        }
    }

    fn handle_response(&mut self, now: Instant, response: Response, flow: Flow) -> Result<(), HeaderError> {
        let key = Key::of_response(&response)?;
        let Some(id) = self.keys.get(&key).copied() else {
            self.counters.stray_responses += 1;
            return Ok(());
        };
        // RFC 3261 §8.1.3.3: a second Via means that it was sent here by mistake.
        if response.headers.vias()?.len() > 1 {
            self.counters.stray_responses += 1;
            return Ok(());
        }
        let Some(slot) = self.slots.get_mut(&id) else {
            return Ok(());
        };
        let code = response.code();
        let actions = match &mut slot.machine {
            Machine::InviteClient(m) => m.handle_response(now, code),
            Machine::NonInviteClient(m) => m.handle_response(now, code),
            Machine::InviteServer(_) | Machine::NonInviteServer(_) => Vec::new(),
        };
        if !actions.contains(&Action::PassUp) {
            self.counters.repeats += 1;
        }
        self.run(id, actions, Some((Message::Response(response), flow)));
        self.cancel_if_due(now, id);
        Ok(())
    }

    fn handle_request(&mut self, now: Instant, mut request: Request, flow: Flow) -> Result<(), HeaderError> {
        let mut via = request.headers.via()?;
        let key = Key::of_request(&request, &via)?;
        let cancelled = (request.method == Method::CANCEL)
            .then(|| Key::of_cancelled(&request, &via))
            .transpose()?;
        via.stamp(flow.remote);
        request.headers.set_top_via(&via);
        if let Some(id) = self.keys.get(&key).copied() {
            self.handle_known(now, id, request, flow);
            return Ok(());
        }
        if request.method == Method::ACK {
            self.event(Event::Ack { request, flow });
            return Ok(());
        }
        let merged = MergedKey::of(&request);
        if cancelled.is_none() && merged.as_ref().is_some_and(|m| self.merged.contains_key(m)) {
            self.counters.merged += 1;
            self.respond_stateless(&request, flow, 482);
            return Ok(());
        }
        if !self.make_room() {
            self.counters.full += 1;
            if cancelled.is_none() {
                self.respond_stateless(&request, flow, 503);
            }
            return Ok(());
        }
        let invite = request.method == Method::INVITE;
        let (timers, reliable) = (self.params.timers, flow.transport.is_reliable());
        let machine = if invite {
            Machine::InviteServer(InviteServer::new(now, timers, reliable))
        } else {
            Machine::NonInviteServer(NonInviteServer::new(timers, reliable))
        };
        let id = self.insert(Slot {
            machine,
            flow: via.response_flow(flow),
            last: Arc::from([]),
            invite: invite.then(|| Box::new(build::skeleton(&request))),
            local_tag: None,
            cancel: Cancel::No,
            quiet: cancelled.is_some(),
            key,
            merged: merged.filter(|_| cancelled.is_none()),
            scheduled: None,
        });
        match cancelled {
            Some(target) => self.answer_cancel(now, id, &target, request),
            None => self.event(Event::Request { id, request, flow }),
        }
        Ok(())
    }

    /// A request whose transaction exists: a repeat, or an ACK.
    fn handle_known(&mut self, now: Instant, id: TransactionId, request: Request, flow: Flow) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let ack = request.method == Method::ACK;
        let actions = match &mut slot.machine {
            Machine::InviteServer(m) if ack => {
                // RFC 2543 peers: the ACK's To tag must be the one we gave (§17.2.3).
                let tag = request
                    .headers
                    .to()
                    .ok()
                    .and_then(|to| to.tag().map(str::to_owned));
                let foreign = matches!(slot.key, Key::Server2543 { .. }) && tag != slot.local_tag;
                if foreign {
                    vec![Action::PassUp]
                } else {
                    m.handle_ack(now)
                }
            }
            Machine::InviteServer(m) => m.handle_repeat(),
            Machine::NonInviteServer(m) => m.handle_repeat(),
            Machine::InviteClient(_) | Machine::NonInviteClient(_) => Vec::new(),
        };
        if !ack {
            self.counters.repeats += 1;
        }
        self.run(id, actions, Some((Message::Request(request), flow)));
    }

    /// 200 for a CANCEL that finds its INVITE, else 481 (RFC 3261 §9.2). The tag is that of the INVITE's responses.
    fn answer_cancel(&mut self, now: Instant, id: TransactionId, target: &Key, request: Request) {
        // CANCEL is hop by hop: whoever did not send the INVITE cannot cancel it, even with a stolen branch.
        let source = self.slots.get(&id).map(|s| s.flow.remote.ip());
        let invite = self.keys.get(target).copied();
        let slot = invite.and_then(|invite| self.slots.get(&invite));
        let slot = slot.filter(|s| Some(s.flow.remote.ip()) == source);
        let waiting = slot.is_some_and(|s| matches!(&s.machine, Machine::InviteServer(m) if m.is_waiting()));
        let code = if slot.is_some() { 200 } else { 481 };
        let tag = slot.and_then(|s| s.local_tag.clone());
        let tag = tag.unwrap_or_else(|| token::random_token(&mut self.rng));
        let response = Response::to(&request, code).with_to_tag(&tag);
        self.respond(now, id, &response)
            .expect("a transaction made just before has no final response");
        if let (Some(invite), true) = (invite, waiting) {
            self.event(Event::Cancel { id: invite, request });
        }
    }

    /// Makes room for one more server transaction; false if every one of them is at work.
    fn make_room(&mut self) -> bool {
        if self.slots.len() - self.clients < self.params.servers {
            return true;
        }
        let oldest = |fits: fn(&Machine) -> bool| {
            self.slots
                .iter()
                .find(|(_, s)| fits(&s.machine))
                .map(|(id, _)| *id)
        };
        let Some(id) = oldest(Machine::is_idle_server).or_else(|| oldest(Machine::is_refused_invite)) else {
            return false;
        };
        self.counters.evicted += 1;
        self.run(id, vec![Action::Terminate], None);
        true
    }

    fn start_client(
        &mut self,
        now: Instant,
        request: Request,
        branch: &str,
        flow: Flow,
        quiet: bool,
    ) -> TransactionId {
        let (timers, reliable) = (self.params.timers, flow.transport.is_reliable());
        let invite = request.method == Method::INVITE;
        let id = self.insert(Slot {
            machine: if invite {
                Machine::InviteClient(InviteClient::new(now, timers, reliable))
            } else {
                Machine::NonInviteClient(NonInviteClient::new(now, timers, reliable))
            },
            flow,
            last: request.to_bytes().into(),
            key: Key::client(branch, &request.method),
            invite: invite.then(|| Box::new(build::skeleton(&request))),
            local_tag: None,
            cancel: Cancel::No,
            quiet,
            merged: None,
            scheduled: None,
        });
        self.run(id, vec![Action::Transmit], None);
        id
    }

    /// Sends a wanted CANCEL once a provisional response was there. It may exceed the client bound by as many as
    /// there are INVITEs, because an INVITE must not stay uncancelled for want of room.
    fn cancel_if_due(&mut self, now: Instant, id: TransactionId) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let Machine::InviteClient(machine) = &mut slot.machine else {
            return;
        };
        let (Cancel::Wanted(reason), Some(invite), true) =
            (&mut slot.cancel, &slot.invite, machine.may_cancel())
        else {
            return;
        };
        let cancel = build::cancel(invite, reason.take());
        machine.cancel_sent(now);
        slot.cancel = Cancel::Sent;
        let flow = slot.flow;
        self.reschedule(id);
        let branch = cancel
            .headers
            .via()
            .ok()
            .and_then(|via| via.branch().map(str::to_owned))
            .unwrap_or_default();
        self.start_client(now, cancel, &branch, flow, true);
    }

    fn insert(&mut self, slot: Slot) -> TransactionId {
        let id = TransactionId(self.next_id);
        self.next_id += 1;
        self.clients += usize::from(slot.machine.is_client());
        self.keys.insert(slot.key.clone(), id);
        if let Some(merged) = slot.merged.clone() {
            self.merged.insert(merged, id);
        }
        self.slots.insert(id, slot);
        self.reschedule(id);
        id
    }

    /// Does what a machine asked for; `message` is what made it ask.
    fn run(&mut self, id: TransactionId, actions: Vec<Action>, message: Option<(Message, Flow)>) {
        let mut message = message;
        for action in actions {
            let Some(slot) = self.slots.get(&id) else { return };
            let (flow, quiet) = (slot.flow, slot.quiet);
            match action {
                Action::Acknowledge => {
                    if let (Some(invite), Some((Message::Response(response), _))) = (&slot.invite, &message) {
                        let bytes = build::ack(invite, response).to_bytes().into();
                        self.outputs.push_back(Output::Send {
                            flow,
                            bytes,
                            id: Some(id),
                        });
                    }
                }
                Action::PassUp => match message.take() {
                    Some((Message::Response(response), flow)) if !quiet => {
                        self.event(Event::Response { id, response, flow });
                    }
                    Some((Message::Request(request), flow)) => self.event(Event::Ack { request, flow }),
                    Some((Message::Response(_), _)) | None => {}
                },
                Action::TimedOut if slot.machine.is_client() => {
                    if !quiet {
                        self.event(Event::Timeout { id });
                    }
                }
                Action::TimedOut => self.event(Event::AckTimeout { id }),
                Action::Terminate => {
                    self.remove(id);
                    if !quiet {
                        self.event(Event::Terminated { id });
                    }
                }
                Action::Transmit => {
                    let bytes = Arc::clone(&slot.last);
                    self.outputs.push_back(Output::Send {
                        flow,
                        bytes,
                        id: Some(id),
                    });
                }
                Action::Trying => self.send_trying(id),
            }
        }
        self.reschedule(id);
        self.note_lingering(id);
    }

    /// A client transaction that has its answer waits for nothing any more: it counts apart and keeps little.
    fn note_lingering(&mut self, id: TransactionId) {
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.machine.lingers()) else {
            return;
        };
        if !self.lingering.insert(id) {
            return;
        }
        slot.last = Arc::from([]);
        while self.lingering.len() > self.params.lingering
            && let Some(oldest) = self.lingering.first().copied()
        {
            self.counters.evicted += 1;
            self.run(oldest, vec![Action::Terminate], None);
        }
    }

    fn send_trying(&mut self, id: TransactionId) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let Some(invite) = &slot.invite else { return };
        slot.last = Response::to(invite, 100).to_bytes().into();
        let (flow, bytes) = (slot.flow, Arc::clone(&slot.last));
        self.outputs.push_back(Output::Send {
            flow,
            bytes,
            id: Some(id),
        });
    }

    fn remove(&mut self, id: TransactionId) {
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        self.clients -= usize::from(slot.machine.is_client());
        self.lingering.remove(&id);
        self.keys.remove(&slot.key);
        if let Some(merged) = &slot.merged {
            self.merged.remove(merged);
        }
        if let Some(at) = slot.scheduled {
            self.timeouts.remove(&(at, id));
        }
    }

    fn reschedule(&mut self, id: TransactionId) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let next = slot.machine.poll_timeout();
        if next == slot.scheduled {
            return;
        }
        if let Some(at) = slot.scheduled {
            self.timeouts.remove(&(at, id));
        }
        slot.scheduled = next;
        if let Some(at) = next {
            self.timeouts.insert((at, id));
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// Writes the branch into the top Via; makes one of the flow if there is none.
fn put_branch(request: &mut Request, flow: Flow, branch: &str) {
    match request.headers.via() {
        Ok(mut via) => {
            via.params.set("branch", branch);
            request.headers.set_top_via(&via);
        }
        Err(_) => {
            let via = Via::new(flow.transport, flow.local, branch);
            request.headers.push_front(HeaderName::Via, via.to_string());
        }
    }
}
