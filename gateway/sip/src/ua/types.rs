//! What a user agent is told, and what it says.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use gateway_core::{
    AccountEvent, AccountId, AccountState, Cause, Instant, LegId, Manner, Peer, RingId, Secret,
};

use super::hop::{Hop, TrustId};
use super::keepalive::KeepAlive;
use super::privacy::Privacy;
use super::provisional::Provisional;
use super::timer::SessionTimer;
use super::tries::Tries;
use crate::transaction::TransactionId;
use crate::{Flow, Host, NameAddr};

/// Settings of the whole user agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UaParams {
    /// Addresses that may send INVITE without an account.
    pub direct_peers: BTreeSet<IpAddr>,
    /// TLS trust of calls without an account.
    pub direct_trust: TrustId,
    /// Number of the first incoming leg; they count up from here.
    pub first_incoming_leg: u64,
    /// Stable over restarts: makes Contact users and `+sip.instance` (RFC 5626 §4.1).
    pub instance: [u8; 16],
    /// Calls at one time, both directions; more are refused with 486.
    pub max_calls: usize,
    /// Where peers beyond a router see us; in the Contact that accounts tell them.
    pub public_address: Option<IpAddr>,
    /// `User-Agent` and `Server`.
    pub user_agent: String,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UaAccount {
    /// User name for digest.
    pub auth_user: String,
    /// Hosts in From that are the PBX's beside its domain, its proxy and the addresses of both; `None`: all are.
    pub caller_hosts: Option<Vec<Host>>,
    /// Shown to those we call unless the call says otherwise.
    pub display: String,
    /// Host of the address of record.
    pub domain: Host,
    /// Port of the address of record, if it is not the default; written in the Request-URI of REGISTER.
    pub domain_port: Option<u16>,
    /// Lifetime asked for.
    pub expires: Duration,
    /// Where requests go: the registrar, or the outbound proxy.
    pub hop: Hop,
    /// Its name.
    pub id: AccountId,
    /// How the way to its PBX is kept open.
    pub keep_alive: KeepAlive,
    /// How those are asked to ring who are called through it, where the call says nothing.
    pub manner: Manner,
    /// Digest password.
    pub password: Secret,
    /// Whether our calls are made without saying who we are.
    pub privacy: Privacy,
    /// Reliable provisional responses (RFC 3262).
    pub provisional: Provisional,
    /// Publish whether it can be called (RFC 3903).
    pub publish: bool,
    /// True if `hop` is an outbound proxy: it then stands in Route (RFC 3261 §8.1.2).
    pub proxy: bool,
    /// False: no REGISTER; usable at once.
    pub register: bool,
    /// Routes of requests outside dialogs, each a loose router (RFC 3261 §16.12); the first is `hop`. They stand in place of
    /// `proxy`.
    pub routes: Vec<NameAddr>,
    /// Session timers (RFC 4028); `None`: neither asked for nor taken.
    pub timer: Option<SessionTimer>,
    /// User of the address of record.
    pub user: String,
}

/// A call to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingCall {
    /// Through which account; `None` dials `target` directly.
    pub account: Option<AccountId>,
    /// Shown as the caller.
    pub display: String,
    /// The leg.
    pub leg: LegId,
    /// How the target is asked to ring.
    pub manner: Manner,
    /// No response at all within so long, also not 100, and the call is unreachable; `None` for timer B (RFC 3261 §17.1.1.2).
    pub patience: Option<Duration>,
    /// Makes the Session-ID (RFC 7989).
    pub ring: RingId,
    /// `1000`, `1000@host`, `sip:…`, `tel:…`.
    pub target: String,
}

/// What the driver shall do, or what happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// An account changed.
    Account {
        /// What happened; `None` when it only began to try.
        event: Option<AccountEvent>,
        /// Which.
        id: AccountId,
        /// Its state after that.
        state: AccountState,
    },
    /// Something for the media of a leg, or for the call plan.
    Call {
        /// The leg.
        leg: LegId,
        /// What.
        what: CallOutput,
    },
    /// Close a connection.
    Close {
        /// Which.
        flow: Flow,
    },
    /// Reach a hop and say how it went with [`UserAgent::handle_connected`](super::UserAgent::handle_connected).
    Connect {
        /// Failures so far; moves on to the next address of the name.
        attempt: usize,
        /// Where.
        hop: Hop,
    },
    /// Send one message. If the system refuses at once, say so with
    /// [`UserAgent::handle_send_error`](super::UserAgent::handle_send_error).
    Send {
        /// Where.
        flow: Flow,
        /// The whole message.
        bytes: Vec<u8>,
        /// The transaction it belongs to.
        id: Option<TransactionId>,
    },
    /// A text came, or one of ours was taken or not.
    Message(super::message::MessageOutput),
    /// The PBX of an account does not take its presence; nothing else is wrong, and it is not asked again before the account
    /// registers anew.
    NotPublished {
        /// Which account.
        id: AccountId,
        /// Status line of its answer.
        why: String,
    },
    /// Someone we do not know sent requests: a report for the first, then one per source and hour.
    Stranger {
        /// Requests of this source since the last report.
        count: u64,
        /// Method of the last one, `unreadable`, or `connection` if nothing was said over it.
        method: String,
        /// Where they came from; `None`: from more sources than are told apart.
        source: Option<IpAddr>,
    },
    /// REGISTERs with credentials that were not accepted, for [`remember_tries`](super::UserAgent::remember_tries) after a restart.
    Tries {
        /// Of which account.
        id: AccountId,
        /// All that count; none if the registrar has accepted the credentials.
        tries: Tries,
    },
}

/// What happens on a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutput {
    /// Outgoing: the far end answered and our ACK is on its way.
    Answered {
        /// In which dialog: its tag.
        dialog: String,
        /// Who, as far as the network told.
        peer: Peer,
        /// Its answer to our offer; empty if it sent none. After an `EarlyOffer` of this dialog that was answered, what was
        /// agreed by that counts.
        sdp: Vec<u8>,
    },
    /// The party changed; digits of this leg open nothing from here on.
    AuthorityLost {
        /// What changed.
        why: String,
    },
    /// Outgoing: the PBX says that the party is another one now, as after a transfer.
    Named {
        /// Who it is now.
        peer: Peer,
        /// How that was said.
        why: String,
    },
    /// A key of ours by INFO was answered.
    Pressed {
        /// The other side took it.
        taken: bool,
    },
    /// Incoming: our 200 was acknowledged.
    Confirmed {
        /// The answer, if the offer stood in our 200.
        sdp: Option<Vec<u8>>,
    },
    /// A digit by INFO (RFC 2976).
    Digit {
        /// When the request came.
        at: Instant,
        /// `0-9 * # A-D`.
        digit: char,
    },
    /// Outgoing: something can be heard before anybody has answered. Of a forked call the first one that has something is told,
    /// and if it changes. It is no answer.
    EarlyMedia {
        /// Its answer to our offer, for as long as nobody has answered.
        sdp: Vec<u8>,
    },
    /// Outgoing: somebody who has not answered the call has answered our offer, and makes another one (RFC 3311 §5). Say
    /// [`answer_early_offer`](super::UserAgent::answer_early_offer). What is agreed by it counts in that dialog only.
    EarlyOffer {
        /// The answer to our offer there.
        answer: Vec<u8>,
        /// Which dialog: its tag.
        dialog: String,
        /// It is the one whose early media is told.
        heard: bool,
        /// The offer.
        sdp: Vec<u8>,
    },
    /// The leg is over for the call plan and for media.
    Ended {
        /// Why.
        cause: Cause,
        /// Status line or the like.
        detail: String,
    },
    /// A call came in: `ring`, `accept` or `end` it.
    Incoming {
        /// Account; `None` for a direct peer.
        account: Option<AccountId>,
        /// The caller asks to be answered at once.
        at_once: bool,
        /// Who is called: the user part of the Request-URI (RFC 3261 §8.2.2.1), empty without one.
        called: String,
        /// Our address towards the caller, for media.
        local: IpAddr,
        /// The caller.
        peer: Peer,
        /// Its offer; `None` asks for ours in the 200.
        sdp: Option<Vec<u8>>,
    },
    /// Outgoing: make an offer and hand it in with `give_offer`.
    OfferWanted {
        /// Our address towards the target, for media.
        local: IpAddr,
    },
    /// The session is refreshed by re-INVITE (RFC 4028 §7.4): make an offer and hand it in with `give_refresh_offer`.
    /// The answer comes as `ReofferAnswered`.
    RefreshOfferWanted,
    /// Outgoing: the target rings.
    Ringing,
    /// Outgoing: whoever was called wants somebody else called (3xx), the best of them first, at most eight. `Ended` follows the last one.
    Redirected {
        /// True if the target is a user of the account's PBX, whose domain stands in it then.
        at_pbx: bool,
        /// Whom.
        target: String,
    },
    /// Somebody calls to take the place of another leg (RFC 3891): `accept` or `end` it.
    TakingOver {
        /// Account; `None` for a direct peer.
        account: Option<AccountId>,
        /// Our address towards the caller, for media.
        local: IpAddr,
        /// The caller.
        peer: Peer,
        /// The leg in whose place.
        replaced: LegId,
        /// Its offer; `None` asks for ours in the 200.
        sdp: Option<Vec<u8>>,
    },
    /// The other side wants to hand the call to somebody else (RFC 3515): say
    /// [`transfer`](super::UserAgent::transfer) or [`refuse_transfer`](super::UserAgent::refuse_transfer).
    TransferAsked {
        /// True if the target is a user of the account's PBX, whose domain stands in it then.
        at_pbx: bool,
        /// Value of Replaces for the new call, of an attended transfer.
        replaces: Option<String>,
        /// To whom.
        target: String,
    },
    /// A re-INVITE or UPDATE, or a PRACK with an offer, which like an UPDATE may come before an incoming call is accepted:
    /// answer with `answer_reoffer`.
    Reoffer {
        /// Its offer; `None` asks for ours.
        sdp: Option<Vec<u8>>,
    },
    /// The answer to an offer of ours inside the call.
    ReofferAnswered {
        /// The answer; empty if there was none, or a refusal: the old state stays.
        sdp: Vec<u8>,
    },
}

/// Counters since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UaStats {
    /// Messages that could not be read.
    pub malformed: u64,
    /// Messages received.
    pub received: u64,
    /// Messages sent.
    pub sent: u64,
    /// Requests from strangers, and connections of theirs over which nothing was said.
    pub strangers: u64,
}
