//! One user agent, and a peer whose every message the test writes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use gateway_core::{AccountEvent, AccountId, AccountState, Cause, Instant, LegId, Manner, RingId, Secret};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::ua::{
    CallOutput, Hop, KeepAlive, MessageOutput, OutgoingCall, Output, Privacy, Provisional, Reached,
    SessionTimer, Tries, TrustId, UaAccount, UaParams, UserAgent,
};
use crate::{
    Datagram, Flow, FlowId, HeaderName, Host, Limits, Message, Method, Request, Response, Transport,
    read_datagram,
};

pub(super) const US: &str = "10.0.0.1:5060";
pub(super) const PBX: &str = "10.0.0.2:5060";
pub(super) const SDP: &str = "v=0\r\n";

pub(super) fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn pbx() -> AccountId {
    AccountId::new("pbx").expect("a name")
}

pub(super) fn params() -> UaParams {
    UaParams {
        direct_peers: BTreeSet::new(),
        direct_trust: TrustId(0),
        first_incoming_leg: 1000,
        instance: [7; 16],
        max_calls: 4,
        public_address: None,
        user_agent: "Doorline/test".into(),
    }
}

pub(super) fn account(transport: Transport, register: bool) -> UaAccount {
    let domain = Host::parse("pbx.example").expect("a host");
    UaAccount {
        auth_user: "503".into(),
        caller_hosts: Some(Vec::new()),
        display: "Door".into(),
        domain,
        domain_port: None,
        expires: secs(300),
        hop: Hop::new(
            &Host::parse("10.0.0.2").expect("a host"),
            Some(5060),
            transport,
            TrustId(0),
        ),
        id: pbx(),
        keep_alive: KeepAlive::default(),
        manner: Manner::default(),
        password: Secret::new("secret"),
        privacy: Privacy::Off,
        provisional: Provisional::Supported,
        publish: false,
        proxy: false,
        register,
        routes: Vec::new(),
        timer: Some(SessionTimer::default()),
        user: "503".into(),
    }
}

/// A user agent and what it did.
pub(super) struct Bench {
    pub(super) calls: VecDeque<(LegId, CallOutput)>,
    pub(super) accounts: VecDeque<(AccountState, Option<AccountEvent>)>,
    pub(super) closed: Vec<Flow>,
    /// The transport that DNS names for whoever asks.
    pub(super) dns: Transport,
    /// Of the calls it makes.
    pub(super) manner: Manner,
    pub(super) messages: VecDeque<MessageOutput>,
    next_conn: u64,
    /// Why the PBX took no presence.
    pub(super) not_published: Vec<String>,
    pub(super) now: Instant,
    /// Of the calls it makes.
    pub(super) patience: Option<Duration>,
    pub(super) refuse: Option<Transport>,
    pub(super) sent: VecDeque<(Flow, Message)>,
    /// What every hop's name stands for, best first; none: its own address.
    pub(super) servers: Vec<SocketAddr>,
    pub(super) strangers: u64,
    /// What is to be kept for another start.
    pub(super) tries: BTreeMap<AccountId, Tries>,
    pub(super) ua: UserAgent,
    /// The system has no route.
    pub(super) unsendable: bool,
}

impl Bench {
    pub(super) fn new(accounts: Vec<UaAccount>) -> Self {
        Self::with(params(), accounts)
    }

    pub(super) fn with(params: UaParams, accounts: Vec<UaAccount>) -> Self {
        let mut bench = Self::begin(params.clone());
        bench.ua.configure(bench.now, params, accounts);
        bench.settle();
        bench
    }

    /// Before there are accounts.
    pub(super) fn begin(params: UaParams) -> Self {
        let ua = UserAgent::new(params, StdRng::seed_from_u64(1));
        Self {
            calls: VecDeque::new(),
            accounts: VecDeque::new(),
            closed: Vec::new(),
            dns: Transport::Udp,
            manner: Manner::default(),
            messages: VecDeque::new(),
            next_conn: 1,
            not_published: Vec::new(),
            now: Instant::from_nanos(1_000_000_000),
            patience: None,
            refuse: None,
            sent: VecDeque::new(),
            servers: Vec::new(),
            strangers: 0,
            tries: BTreeMap::new(),
            ua,
            unsendable: false,
        }
    }

    /// A trunk with other settings.
    pub(super) fn trunk_with(change: impl FnOnce(&mut UaAccount)) -> Self {
        let mut account = account(Transport::Udp, false);
        change(&mut account);
        let mut bench = Self::new(vec![account]);
        bench.accounts.clear();
        bench
    }

    /// A trunk, so that calls need no registration.
    pub(super) fn trunk() -> Self {
        let mut bench = Self::new(vec![account(Transport::Udp, false)]);
        assert_eq!(bench.accounts.pop_front(), Some((AccountState::Registered, None)));
        bench
    }

    /// The UDP flow to the PBX.
    pub(super) fn flow(&self) -> Flow {
        Flow {
            id: FlowId(0),
            transport: Transport::Udp,
            local: addr(US),
            remote: addr(PBX),
        }
    }

    /// Takes all outputs; hops are reached at once.
    pub(super) fn settle(&mut self) {
        while let Some(output) = self.ua.poll_output() {
            match output {
                Output::Account { event, state, .. } => self.accounts.push_back((state, event)),
                Output::Call { leg, what } => self.calls.push_back((leg, what)),
                Output::Close { flow } => self.closed.push(flow),
                Output::Connect { attempt, hop } => {
                    let result = if self.refuse.is_some() && self.refuse == hop.transport {
                        Err("refused".to_owned())
                    } else {
                        Ok(self.reached(&hop, attempt))
                    };
                    self.ua.handle_connected(self.now, &hop, result);
                }
                Output::Send { flow, bytes, id } => {
                    if self.unsendable {
                        if let Some(id) = id {
                            self.ua.handle_send_error(self.now, id);
                        }
                        continue;
                    }
                    if let Ok(Datagram::Message(message)) = read_datagram(&bytes, &Limits::default()) {
                        self.sent.push_back((flow, message));
                    }
                }
                Output::Message(message) => self.messages.push_back(message),
                Output::NotPublished { why, .. } => self.not_published.push(why),
                Output::Stranger { count, .. } => self.strangers += count,
                Output::Tries { id, tries } => {
                    self.tries.insert(id, tries);
                }
            }
        }
    }

    fn reached(&mut self, hop: &Hop, attempt: usize) -> Reached {
        // names stand for the PBX
        let ip = hop.host.parse().unwrap_or(addr(PBX).ip());
        let mut servers = self.servers.clone();
        if servers.is_empty() {
            servers.push(SocketAddr::new(ip, hop.port.unwrap_or(5060)));
        }
        let remote = servers[attempt % servers.len()];
        let transport = hop.transport.unwrap_or(self.dns);
        let (id, local) = if transport == Transport::Udp {
            (FlowId(0), addr(US))
        } else {
            self.next_conn += 1;
            (FlowId(self.next_conn), addr("10.0.0.1:40000"))
        };
        Reached {
            flow: Flow {
                id,
                transport,
                local,
                remote,
            },
            peers: servers.iter().map(SocketAddr::ip).collect(),
        }
    }

    /// Lets time pass, timer by timer.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.ua.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.ua.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// The next request sent, with the flow; responses before it are passed over.
    pub(super) fn request(&mut self) -> (Flow, Request) {
        while let Some((flow, message)) = self.sent.pop_front() {
            if let Message::Request(request) = message {
                return (flow, request);
            }
        }
        panic!("no request was sent");
    }

    pub(super) fn request_of(&mut self, method: Method) -> Request {
        let (_, request) = self.request();
        assert_eq!(request.method, method);
        request
    }

    /// The next response sent.
    pub(super) fn response(&mut self) -> Response {
        while let Some((_, message)) = self.sent.pop_front() {
            if let Message::Response(response) = message {
                return response;
            }
        }
        panic!("no response was sent");
    }

    pub(super) fn nothing_sent(&self) {
        assert!(self.sent.is_empty(), "sent: {:?}", self.sent);
    }

    pub(super) fn call_event(&mut self) -> CallOutput {
        self.calls.pop_front().expect("an event of a call").1
    }

    pub(super) fn no_call_event(&self) {
        assert!(self.calls.is_empty(), "events: {:?}", self.calls);
    }

    /// The peer answers a request of ours.
    pub(super) fn reply(&mut self, flow: Flow, request: &Request, code: u16) {
        let response = Response::to(request, code).with_to_tag("remote");
        self.reply_with(flow, response);
    }

    pub(super) fn reply_with(&mut self, flow: Flow, response: Response) {
        self.receive(flow, &response.to_bytes());
    }

    /// A 2xx to an INVITE, with Contact and an answer.
    pub(super) fn accept(&mut self, flow: Flow, invite: &Request, tag: &str) {
        let response = Response::to(invite, 200)
            .with_to_tag(tag)
            .with(HeaderName::Contact, "<sip:1000@10.0.0.2:5060>")
            .with_body("application/sdp", SDP);
        self.reply_with(flow, response);
    }

    pub(super) fn receive(&mut self, flow: Flow, bytes: &[u8]) {
        self.ua.handle_received(self.now, flow, bytes);
        self.settle();
    }

    /// A request of the peer over UDP; `lines` follow the start line.
    pub(super) fn ask(&mut self, text: &str) {
        self.ask_from(self.flow(), text);
    }

    pub(super) fn ask_from(&mut self, flow: Flow, text: &str) {
        let (head, body) = text.trim_start().split_once("\n\n").unwrap_or((text.trim(), ""));
        let bytes = format!(
            "{}\r\nContent-Length: {}\r\n\r\n{body}",
            head.trim().replace('\n', "\r\n"),
            body.len()
        );
        self.receive(flow, bytes.as_bytes());
    }

    /// Dials through the account and hands in the offer; gives the INVITE.
    pub(super) fn dial(&mut self, target: &str) -> (Flow, Request) {
        self.dial_with(Some(pbx()), target, SDP.into())
            .expect("there is a route")
    }

    /// Wishes for a call, which may have to wait.
    pub(super) fn call(&mut self, account: Option<AccountId>, target: &str) {
        self.ua.call(
            self.now,
            OutgoingCall {
                account,
                display: "Main entrance".into(),
                leg: LegId(1),
                manner: self.manner.clone(),
                patience: self.patience,
                ring: RingId::new(1, [3; 10]),
                target: target.into(),
            },
        );
        self.settle();
    }

    pub(super) fn dial_with(
        &mut self,
        account: Option<AccountId>,
        target: &str,
        offer: Vec<u8>,
    ) -> Option<(Flow, Request)> {
        self.call(account, target);
        assert!(matches!(self.call_event(), CallOutput::OfferWanted { .. }));
        self.ua.give_offer(self.now, LegId(1), offer);
        self.settle();
        if self.unsendable {
            return None;
        }
        Some(self.request())
    }

    pub(super) fn end(&mut self, leg: LegId, cause: Cause) {
        self.ua.end(self.now, leg, cause);
        self.settle();
        match self.calls.pop_back() {
            Some((_, CallOutput::Ended { cause: told, .. })) => assert_eq!(told, cause),
            other => panic!("{other:?}"),
        }
    }
}
