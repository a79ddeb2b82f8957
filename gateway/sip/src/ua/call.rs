//! One call: what both directions have in common.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{AccountId, Cause, Instant, LegId, Manner};

use super::UserAgent;
use super::agent::Use;
use super::dialog::Dialog;
use super::hop::Hop;
use super::provisional::Reliable;
use super::seen::is_far;
use super::timer::SessionClock;
use super::transfer::Referral;
use super::types::CallOutput;
use crate::transaction::TransactionId;
use crate::{Flow, HeaderName, Method, NameAddr, Request, Response, Uri};

/// T1, T2 and 64·T1 of RFC 3261 appendix A, for what the user agent repeats itself: the 2xx to an INVITE.
pub(crate) const T1: Duration = Duration::from_millis(500);
pub(crate) const T2: Duration = Duration::from_secs(4);
pub(crate) const GIVE_UP: Duration = Duration::from_secs(32);

/// Where a call is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Outgoing: INVITE sent.
    Calling { tx: TransactionId },
    /// Talking.
    Confirmed,
    /// Outgoing: waits for a connection; with an offer it waits for TCP because it is long.
    Reaching { offer: Option<Vec<u8>> },
    /// Outgoing: waits until the PBX has answered the account's registration.
    WaitingAccount,
    /// Outgoing: waits for the driver's offer.
    WaitingOffer,
    /// Incoming: waits for the call plan, then for the ACK.
    Incoming {
        tx: TransactionId,
        request: Box<Request>,
    },
    /// Incoming: our 200 is not acknowledged yet.
    Accepted,
    /// Over: removed as soon as nobody looks at it.
    Over,
}

/// A 2xx that waits for its ACK.
#[derive(Debug)]
pub(crate) struct Unacked {
    pub(crate) give_up: Instant,
    pub(crate) interval: Duration,
    pub(crate) next: Instant,
    /// The offer stood in our 2xx, so the ACK brings the answer.
    pub(crate) offered: bool,
    pub(crate) response: Response,
    pub(crate) seq: u32,
    pub(crate) tx: TransactionId,
}

/// What an outgoing call needs until it is answered.
#[derive(Debug)]
pub(crate) struct Dialing {
    /// Until the first response has come.
    pub(crate) answer_by: Option<Instant>,
    pub(crate) auths: u8,
    pub(crate) call_id: String,
    pub(crate) display: String,
    /// 422s followed so far.
    pub(crate) intervals: u8,
    pub(crate) manner: Manner,
    /// How long the first response may take.
    pub(crate) patience: Option<Duration>,
    pub(crate) rang: bool,
    /// Who wants this call (RFC 3892), and in place of which dialog (RFC 3891).
    pub(crate) referred: Option<Referred>,
    pub(crate) seq: u32,
    /// Servers that answered 503 so far.
    pub(crate) servers: usize,
    pub(crate) tag: String,
    /// Request-URI and To.
    pub(crate) target: Uri,
}

/// What a REFER adds to the INVITE that it asks for.
#[derive(Clone, Debug)]
pub(crate) struct Referred {
    /// Value of Referred-By.
    pub(crate) by: String,
    /// Value of Replaces.
    pub(crate) replaces: Option<String>,
}

/// How far offer and answer of an INVITE that came in are before its 200.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EarlySession {
    /// The offer has no answer that counts: none was sent, or in a response that may be lost.
    #[default]
    None,
    /// Our answer went in a reliable response: a new offer may come (RFC 3311 §5.2).
    Answered,
    /// A new offer came since and was answered: that answer would be out of date.
    Changed,
}

/// A re-INVITE, UPDATE or PRACK that waits for the driver's answer.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) offerless: bool,
    pub(crate) request: Box<Request>,
    pub(crate) tx: TransactionId,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    /// The description for the 200 of an incoming call, until that may go.
    pub(crate) accepting: Option<Vec<u8>>,
    pub(crate) account: Option<AccountId>,
    /// The leg that wants to hand its call to this one.
    pub(crate) asked_by: Option<LegId>,
    /// A refresh of ours is on its way.
    pub(crate) asking: bool,
    pub(crate) authority_lost: bool,
    /// The session timer, if there is one.
    pub(crate) clock: Option<SessionClock>,
    pub(crate) dialing: Option<Dialing>,
    pub(crate) dialog: Option<Dialog>,
    /// Of an incoming call.
    pub(crate) early: EarlySession,
    pub(crate) flow: Option<Flow>,
    pub(crate) hop: Hop,
    /// Who it is, as told at the answer (outgoing) or in the INVITE (incoming).
    pub(crate) identity: Option<NameAddr>,
    /// The least session interval that the other side, or a proxy, has asked for, seconds.
    pub(crate) min_se: u32,
    /// An offer of ours inside the call has no answer yet.
    pub(crate) offering: bool,
    /// We called.
    pub(crate) outgoing: bool,
    pub(crate) pending: Option<Pending>,
    pub(crate) phase: Phase,
    /// The other side wants to hand this call to somebody else.
    pub(crate) referral: Option<Referral>,
    /// A provisional response of ours that waits for its PRACK.
    pub(crate) reliable: Option<Reliable>,
    /// Ours and theirs (RFC 7989), 32 hexadecimal digits each.
    pub(crate) session: (String, String),
    /// The other side allows INFO.
    pub(crate) takes_info: bool,
    /// The other side allows UPDATE.
    pub(crate) takes_update: bool,
    pub(crate) unacked: Option<Unacked>,
    /// The other side wants to be shown to nobody.
    pub(crate) withheld: bool,
}

/// The nil UUID stands for an unknown remote part (RFC 7989 §5).
pub(crate) const NIL_SESSION: &str = "00000000000000000000000000000000";

impl Call {
    pub(crate) fn due(&self) -> Option<Instant> {
        let unacked = self
            .unacked
            .as_ref()
            .map(|unacked| unacked.next.min(unacked.give_up));
        let reliable = self.reliable.as_ref().and_then(Reliable::due);
        let clock = self.clock.as_ref().map(SessionClock::due);
        let patience = self.dialing.as_ref().and_then(|dialing| dialing.answer_by);
        [unacked, reliable, clock, patience].into_iter().flatten().min()
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    pub(crate) fn waits_for(&self, hop: &Hop) -> bool {
        matches!(self.phase, Phase::Reaching { .. }) && self.hop == *hop
    }

    pub(crate) fn waits_for_account(&self, id: &AccountId) -> bool {
        matches!(self.phase, Phase::WaitingAccount) && self.account.as_ref() == Some(id)
    }

    /// Does a request carry the identifiers of this call's dialog?
    pub(crate) fn owns(&self, request: &Request) -> bool {
        self.dialog.as_ref().is_some_and(|dialog| dialog.takes(request))
    }

    /// Learns what the other side allows.
    pub(crate) fn learn_allowed(&mut self, headers: &crate::Headers) {
        if headers.get(&HeaderName::Allow).is_some() {
            self.takes_info = headers.has_token(&HeaderName::Allow, "INFO");
            self.takes_update = headers.has_token(&HeaderName::Allow, "UPDATE");
        }
    }

    pub(crate) fn session_header(&self) -> String {
        format!("{};remote={}", self.session.0, self.session.1)
    }

    /// Learns the other side's half of the Session-ID.
    pub(crate) fn learn_session(&mut self, theirs: Option<&str>) {
        if let Some(theirs) = theirs {
            let id: String = theirs.chars().take_while(char::is_ascii_hexdigit).collect();
            if id.len() == 32 {
                self.session.1 = id.to_ascii_lowercase();
            }
        }
    }
}

/// Where the other side says that requests go, if that is an address.
fn stated(flow: Flow, dialog: &Dialog) -> Flow {
    let uri = dialog.next_hop().as_sip();
    match uri.and_then(|uri| Some((uri.host.ip()?, uri.port))) {
        Some((ip, port)) if ip.is_ipv4() == flow.remote.is_ipv4() => {
            let port = port.unwrap_or_else(|| flow.transport.default_port());
            flow.towards((ip, port).into())
        }
        Some(_) | None => flow,
    }
}

impl UserAgent {
    /// Ends a leg in whatever state it is; `Ended` with this cause is the only answer.
    pub fn end(&mut self, now: Instant, leg: LegId, cause: Cause) {
        self.end_call(now, leg, cause);
        self.drain(now);
    }

    pub(crate) fn end_call(&mut self, now: Instant, leg: LegId, cause: Cause) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let phase = std::mem::replace(&mut call.phase, Phase::Over);
        let detail = match phase {
            Phase::Over => return,
            Phase::Calling { tx } => {
                self.cancel_invite(now, tx, cause);
                "cancelled".to_owned()
            }
            Phase::Reaching { .. } | Phase::WaitingAccount | Phase::WaitingOffer => "cancelled".to_owned(),
            Phase::Incoming { tx, request } => {
                let tag = call
                    .dialog
                    .as_ref()
                    .map_or_else(String::new, |d| d.local_tag().to_owned());
                self.refuse_incoming(now, tx, &request, cause, &tag)
            }
            Phase::Accepted | Phase::Confirmed => {
                self.send_bye(now, leg, cause);
                "BYE sent".to_owned()
            }
        };
        self.tell(leg, CallOutput::Ended { cause, detail });
    }

    /// The other side or the network ended the leg.
    pub(crate) fn over(&mut self, leg: LegId, cause: Cause, detail: impl Into<String>) {
        if let Some(call) = self.calls.get_mut(&leg) {
            if call.is_over() {
                return;
            }
            call.phase = Phase::Over;
            self.tell(
                leg,
                CallOutput::Ended {
                    cause,
                    detail: detail.into(),
                },
            );
        }
    }

    pub(crate) fn end_calls_of(&mut self, now: Instant, id: &AccountId) {
        let legs: Vec<LegId> = self
            .calls
            .iter()
            .filter(|(_, call)| call.account.as_ref() == Some(id))
            .map(|(leg, _)| *leg)
            .collect();
        for leg in legs {
            self.end_call(now, leg, Cause::Released);
        }
    }

    /// The flow for a request inside a call: the one it was made on; if that connection is gone, the account's.
    pub(crate) fn flow_of(&self, leg: LegId) -> Option<Flow> {
        let call = self.calls.get(&leg)?;
        let flow = call.flow?;
        if !flow.transport.is_reliable() || self.streams.contains_key(&flow) {
            let dialog = call.dialog.as_ref();
            return Some(dialog.map_or(flow, |dialog| {
                self.direct_flow(call.account.as_ref(), flow, dialog)
            }));
        }
        let account = call.account.as_ref();
        let flow = account.and_then(|id| self.accounts.get(id))?.reg.flow?;
        let dialog = call.dialog.as_ref();
        Some(dialog.map_or(flow, |dialog| self.direct_flow(account, flow, dialog)))
    }

    /// Where a request inside a call goes. Over UDP that is where the route or Contact of the other side leads. A PBX is addressed where
    /// it was reached if it writes an address that only it can reach, as one in a container or behind a router does: a private
    /// one beside its own public one, or one at which our ACK was not heard. A connection stays what it is.
    pub(crate) fn direct_flow(&self, account: Option<&AccountId>, flow: Flow, dialog: &Dialog) -> Flow {
        let [way, _] = self.ways(account, flow, dialog);
        way
    }

    /// The way of the next request, and the other one that there is: the same where there is no choice.
    pub(crate) fn ways(&self, account: Option<&AccountId>, flow: Flow, dialog: &Dialog) -> [Flow; 2] {
        let Some(account) = account else {
            return [stated(flow, dialog); 2];
        };
        let account = self.accounts.get(account);
        let datagrams = account.and_then(|account| account.datagrams(&flow));
        let uri = dialog.next_hop().as_sip();
        // an INVITE went over TCP for its size alone; the address it led to may know of UDP only
        let by_udp = uri.is_some_and(|uri| !uri.secure && !uri.params.has("transport"));
        let stated = stated(datagrams.filter(|_| by_udp).unwrap_or(flow), dialog);
        if is_far(flow.remote.ip()) && !is_far(stated.remote.ip()) {
            [flow; 2]
        } else if dialog.follows {
            [stated, flow]
        } else {
            [flow, stated]
        }
    }

    pub(crate) fn send_bye(&mut self, now: Instant, leg: LegId, cause: Cause) {
        let flow = self.flow_of(leg);
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        call.unacked = None;
        let (session, account) = (call.session_header(), call.account.clone());
        if let (Some(dialog), Some(flow)) = (call.dialog.as_mut(), flow) {
            let bye = dialog.request(Method::BYE).with(HeaderName::SessionId, session);
            self.bye(
                now,
                bye.with(HeaderName::Reason, super::headers::reason(cause)),
                account,
                flow,
            );
        }
    }

    /// Sends a BYE that nobody waits for.
    pub(crate) fn bye(&mut self, now: Instant, bye: Request, account: Option<AccountId>, flow: Flow) {
        let mut bye = self.named(bye);
        if let Some(account) = account.as_ref().and_then(|id| self.accounts.get_mut(id)) {
            account.auth.preempt(&mut bye, &mut self.rng);
        }
        // Too many transactions: the other side notices by the missing media.
        if let Ok(tx) = self.layer.send_request(now, bye.clone(), flow) {
            let request = Box::new(bye);
            self.uses.insert(
                tx,
                Use::Bye {
                    request,
                    account,
                    flow,
                },
            );
        }
        self.pump(now);
    }

    pub(crate) fn bye_answered(
        &mut self,
        now: Instant,
        mut bye: Request,
        account: Option<AccountId>,
        flow: Flow,
        response: &Response,
    ) {
        let challenged = matches!(response.code(), 401 | 407);
        let again = bye.headers.get(&HeaderName::Authorization).is_some()
            || bye.headers.get(&HeaderName::ProxyAuthorization).is_some();
        if !challenged || again {
            return;
        }
        let Some(known) = account.as_ref().and_then(|id| self.accounts.get_mut(id)) else {
            return;
        };
        if known.auth.take_challenge(response, 0)
            && let Ok(cseq) = bye.headers.cseq()
        {
            bye.headers
                .set(HeaderName::CSeq, format!("{} BYE", cseq.number + 1));
            bye.headers.remove(&HeaderName::UserAgent);
            self.bye(now, bye, account, flow);
        }
    }

    /// Timers of a call: the response that is not acknowledged, the session's, and how long it waits for a first response.
    pub(crate) fn call_due(&mut self, now: Instant, leg: LegId) {
        self.reliable_due(now, leg);
        self.session_due(now, leg);
        self.patience_due(now, leg);
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let Some(unacked) = call.unacked.as_mut() else {
            return;
        };
        if unacked.give_up <= now {
            call.unacked = None;
            // RFC 3261 §13.3.1.4: without ACK the dialog is confirmed but the session ends.
            self.send_bye(now, leg, Cause::Unreachable);
            self.over(leg, Cause::Unreachable, "200 OK was not acknowledged");
        } else if unacked.next <= now {
            let (tx, response) = (unacked.tx, unacked.response.clone());
            unacked.interval = (unacked.interval * 2).min(T2);
            unacked.next = now + unacked.interval;
            // The transaction may be over already (timer L); then giving up is near as well.
            let _ = self.layer.respond(now, tx, &response);
            self.pump(now);
        }
    }
}

/// An ACK of ours, and the ways to the other side: the one it went, and the one it goes if it was not heard there.
#[derive(Debug)]
pub(crate) struct Ack {
    pub(crate) request: Request,
    pub(crate) ways: [Flow; 2],
}

/// The ACKs to the 2xx of one INVITE, by the tag of who answered: each is repeated when its 2xx is.
pub(crate) type Acks = BTreeMap<String, Ack>;
