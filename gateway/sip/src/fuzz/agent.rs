//! The user agent under a peer whose messages are the input.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use gateway_core::{AccountId, Cause, Instant, LegId, Manner, RingId, Secret};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::ua::{
    CallOutput, Hop, KeepAlive, OutgoingCall, OutgoingMessage, Output, Privacy, Provisional, Reached,
    SessionTimer, TrustId, UaAccount, UaParams, UserAgent,
};
use crate::{Datagram, Flow, FlowId, HeaderName, Host, Message, Transport, read_datagram};

/// Calls at one time.
const CALLS: usize = 4;
/// Messages of one input; more are left out.
const MESSAGES: usize = 24;
/// Answers of the user agent to one step: more would be a loop.
const OUTPUTS: usize = 2_000;
const SDP: &[u8] = b"v=0\r\n";

/// Plays a peer. The first byte chooses the account: bit 0 an outgoing call to begin with, 1 registered and with its
/// presence published, 2 over TCP, 3 a text of ours to begin with, 4 and 5 reliable provisional responses.
///
/// Then come messages with a zero byte between them. The first byte of each chooses in bits 0 and 1 who sends it (the
/// PBX, a stranger, a connection somebody opened), in 2 and 3 how much time passes after it, in 4 to 6 what the gateway
/// wants then. In a message `$v` stands for the Via of our last request, `$s` for its CSeq, and `$c`, `$u` and `$p` for
/// Call-ID, our tag and the peer's tag of our last message: nobody could guess them, and whoever we talk to knows them.
///
/// # Panics
/// If there are more calls than allowed, if the agent talks without end, or if it sends what cannot be read.
pub fn user_agent(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let mut peer = Peer::new(*first);
    for piece in rest.split(|b| *b == 0).take(MESSAGES) {
        let Some((control, message)) = piece.split_first() else {
            continue;
        };
        let flow = peer.flow(*control);
        let message = peer.filled_in(message);
        peer.ua.handle_received(peer.now, flow, &message);
        peer.settle(*control);
        peer.wish(*control);
        peer.pass([0, 1, 40, 400][usize::from(*control >> 2 & 3)]);
        assert!(peer.ua.calls() <= CALLS, "too many calls");
    }
    peer.ua.shutdown(peer.now);
    peer.settle(0);
    peer.pass(100);
    assert_eq!(peer.ua.calls(), 0, "a call outlives the end");
}

struct Peer {
    /// Legs that the gateway knows of.
    legs: BTreeSet<LegId>,
    known: Known,
    next_conn: u64,
    now: Instant,
    stream: bool,
    ua: UserAgent,
}

/// What the other side knows from our messages.
#[derive(Default)]
struct Known {
    call_id: String,
    cseq: String,
    our_tag: String,
    peer_tag: String,
    via: String,
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a constant address")
}

impl Peer {
    fn new(setup: u8) -> Self {
        let id = AccountId::new("pbx").expect("a constant name");
        let stream = setup & 4 != 0;
        let host = Host::parse("10.0.0.2").expect("a constant host");
        let transport = if stream { Transport::Tcp } else { Transport::Udp };
        let account = UaAccount {
            auth_user: "503".into(),
            caller_hosts: Some(Vec::new()),
            display: "Door".into(),
            domain: Host::parse("pbx.example").expect("a constant host"),
            domain_port: None,
            expires: Duration::from_secs(300),
            hop: Hop::new(&host, Some(5060), transport, TrustId(0)),
            id: id.clone(),
            keep_alive: KeepAlive::default(),
            manner: Manner::default(),
            password: Secret::new("secret"),
            privacy: Privacy::Off,
            provisional: [Provisional::Supported, Provisional::Required, Provisional::Off]
                [usize::from(setup >> 4) % 3],
            publish: setup & 2 != 0,
            proxy: false,
            register: setup & 2 != 0,
            routes: Vec::new(),
            timer: Some(SessionTimer::default()),
            user: "503".into(),
        };
        let params = UaParams {
            direct_peers: BTreeSet::new(),
            direct_trust: TrustId(0),
            first_incoming_leg: 1000,
            instance: [7; 16],
            max_calls: CALLS,
            public_address: None,
            user_agent: "Doorline/fuzz".into(),
        };
        let mut peer = Self {
            legs: BTreeSet::new(),
            known: Known::default(),
            next_conn: 1,
            now: Instant::from_nanos(1_000_000_000),
            stream,
            ua: UserAgent::new(params.clone(), StdRng::seed_from_u64(1)),
        };
        peer.ua.configure(peer.now, params, vec![account]);
        peer.settle(0);
        if setup & 1 != 0 {
            peer.ua.call(peer.now, Self::call(LegId(1), Some(id.clone())));
            peer.settle(0);
        }
        if setup & 8 != 0 {
            let text = OutgoingMessage {
                account: Some(id),
                id: 1,
                target: "1000".into(),
                text: "the bell rang".into(),
            };
            peer.ua.send_message(peer.now, text);
            peer.settle(0);
        }
        peer
    }

    fn call(leg: LegId, account: Option<AccountId>) -> OutgoingCall {
        OutgoingCall {
            account,
            display: "Main entrance".into(),
            leg,
            manner: Manner::default(),
            patience: None,
            ring: RingId::new(1, [3; 10]),
            target: "1000".into(),
        }
    }

    /// Who sends a message.
    fn flow(&self, control: u8) -> Flow {
        let local = address("10.0.0.1:5060");
        let datagrams = |remote| Flow {
            id: FlowId(0),
            transport: Transport::Udp,
            local,
            remote: address(remote),
        };
        match control & 3 {
            1 => datagrams("192.0.2.9:5060"),
            2 => Flow {
                id: FlowId(9_000),
                transport: Transport::Tcp,
                ..datagrams("10.0.0.2:40000")
            },
            _ if self.stream => Flow {
                id: FlowId(self.next_conn),
                transport: Transport::Tcp,
                local: address("10.0.0.1:40000"),
                remote: address("10.0.0.2:5060"),
            },
            _ => datagrams("10.0.0.2:5060"),
        }
    }

    /// A message with what our own ones told put in.
    fn filled_in(&self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len());
        let mut rest = message.iter();
        while let Some(byte) = rest.next() {
            let known = match (byte, rest.as_slice().first()) {
                (b'$', Some(b'c')) => &self.known.call_id,
                (b'$', Some(b'p')) => &self.known.peer_tag,
                (b'$', Some(b's')) => &self.known.cseq,
                (b'$', Some(b'u')) => &self.known.our_tag,
                (b'$', Some(b'v')) => &self.known.via,
                _ => {
                    out.push(*byte);
                    continue;
                }
            };
            rest.next();
            out.extend_from_slice(known.as_bytes());
        }
        out
    }

    /// What the gateway wants after a message.
    fn wish(&mut self, control: u8) {
        let Some(leg) = self.legs.iter().next_back().copied() else {
            return;
        };
        match control >> 4 & 7 {
            1 => self.ua.accept(self.now, leg, SDP.into()),
            2 => self.ua.end(self.now, leg, Cause::Released),
            3 => self.ua.end(self.now, leg, Cause::Busy),
            4 => {
                let flow = self.flow(control);
                self.ua.handle_unreachable(self.now, flow.remote);
            }
            6 => self.ua.ring_back(self.now, leg, SDP),
            5 => {
                let flow = self.flow(control);
                self.ua.handle_closed(self.now, flow, "gone");
            }
            _ => return,
        }
        self.settle(control);
    }

    /// Takes all outputs; hops are reached at once.
    fn settle(&mut self, control: u8) {
        for _ in 0..OUTPUTS {
            let Some(output) = self.ua.poll_output() else {
                return;
            };
            match output {
                Output::Call { leg, what } => self.heard(leg, what, control),
                Output::Connect { hop, .. } => {
                    let reached = self.reached(&hop);
                    self.ua.handle_connected(self.now, &hop, reached);
                }
                Output::Send { bytes, .. } => self.sent(&bytes),
                Output::Account { .. }
                | Output::Close { .. }
                | Output::Message(_)
                | Output::NotPublished { .. }
                | Output::Stranger { .. }
                | Output::Tries { .. } => {}
            }
        }
        panic!("the agent talks without end");
    }

    /// What the gateway does about a call at once.
    fn heard(&mut self, leg: LegId, what: CallOutput, control: u8) {
        let now = self.now;
        match what {
            CallOutput::OfferWanted { .. } => self.ua.give_offer(now, leg, SDP.into()),
            CallOutput::RefreshOfferWanted => self.ua.give_refresh_offer(now, leg, SDP.into()),
            CallOutput::Incoming { .. } => {
                self.legs.insert(leg);
                self.ua.ring(now, leg);
            }
            CallOutput::TakingOver { .. } => {
                self.legs.insert(leg);
                self.ua.accept(now, leg, SDP.into());
            }
            CallOutput::Reoffer { .. } => {
                let answer = (control & 0x80 == 0).then(|| SDP.to_vec());
                self.ua.answer_reoffer(now, leg, answer);
            }
            CallOutput::EarlyOffer { dialog, .. } => {
                let answer = (control & 0x80 == 0).then(|| SDP.to_vec());
                self.ua.answer_early_offer(now, leg, &dialog, answer);
            }
            CallOutput::TransferAsked { replaces, .. } if control & 0x80 == 0 => {
                let wish = Self::call(LegId(leg.0 + 100_000), None);
                self.ua.transfer(now, leg, wish, replaces);
            }
            CallOutput::TransferAsked { .. } => self.ua.refuse_transfer(now, leg, "not wanted"),
            CallOutput::Ended { .. } => {
                self.legs.remove(&leg);
            }
            CallOutput::Answered { .. } => {
                self.legs.insert(leg);
                if control & 0x80 != 0 {
                    self.ua.press(now, leg, '5');
                }
            }
            CallOutput::AuthorityLost { .. }
            | CallOutput::Confirmed { .. }
            | CallOutput::Digit { .. }
            | CallOutput::EarlyMedia { .. }
            | CallOutput::Named { .. }
            | CallOutput::Pressed { .. }
            | CallOutput::Redirected { .. }
            | CallOutput::ReofferAnswered { .. }
            | CallOutput::Ringing => {}
        }
    }

    /// The PBX is there, whatever else a peer names is not.
    fn reached(&mut self, hop: &Hop) -> Result<Reached, String> {
        if hop.host != "10.0.0.2" {
            return Err("refused".to_owned());
        }
        let mut flow = self.flow(0);
        let transport = hop.transport.unwrap_or(Transport::Udp);
        if transport == Transport::Udp {
            flow = Flow {
                id: FlowId(0),
                transport: Transport::Udp,
                local: address("10.0.0.1:5060"),
                remote: address("10.0.0.2:5060"),
            };
        } else {
            self.next_conn += 1;
            flow.id = FlowId(self.next_conn);
            flow.transport = transport;
        }
        let peers = vec![flow.remote.ip()];
        Ok(Reached { flow, peers })
    }

    /// Remembers what a message of ours tells.
    fn sent(&mut self, bytes: &[u8]) {
        let wide = super::WIDE;
        let message = match read_datagram(bytes, &wide) {
            Ok(Datagram::Message(message)) => message,
            Ok(Datagram::KeepAlive) => return,
            // who sent an unreadable request gets its fields back
            Err(_) if bytes.starts_with(b"SIP/2.0 4") || bytes.starts_with(b"SIP/2.0 5") => return,
            Err(e) => panic!(
                "sent what nobody can read, {e}: {}",
                String::from_utf8_lossy(bytes)
            ),
        };
        let h = message.headers();
        let tag = |name: &HeaderName| {
            let address = h.addresses(name).ok().and_then(|all| all.into_iter().next());
            address
                .and_then(|a| a.tag().map(str::to_owned))
                .unwrap_or_default()
        };
        let (from, to) = (tag(&HeaderName::From), tag(&HeaderName::To));
        self.known.call_id = h.call_id().unwrap_or_default();
        match &message {
            Message::Request(_) => {
                self.known.via = h.text(&HeaderName::Via).unwrap_or_default().into_owned();
                self.known.cseq = h.text(&HeaderName::CSeq).unwrap_or_default().into_owned();
                (self.known.our_tag, self.known.peer_tag) = (from, to);
            }
            Message::Response(_) => (self.known.our_tag, self.known.peer_tag) = (to, from),
        }
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, secs: u64) {
        let end = self.now + Duration::from_secs(secs);
        for _ in 0..OUTPUTS {
            let Some(at) = self.ua.poll_timeout().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            self.ua.handle_timeout(self.now);
            self.settle(0);
        }
        panic!("timers without end");
    }
}
