//! Our Contact, as others can reach us: where the registrar sees us (RFC 3581 §4), or at the public address of the site.
//!
//! Only towards peers beyond a router to the internet, and only in the name of an account: whoever is called directly is on our
//! side of the router, or has a router of his own to care for.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gateway_core::Instant;

use super::account::Account;
use crate::{Flow, FlowId, Response, SipUri, Uri};

/// REGISTERs sent out of turn within [`WINDOW`]: a router that writes another port each time gets its way no longer then.
const MOST_MOVES: usize = 6;
const WINDOW: Duration = Duration::from_secs(3600);
/// Answers in a row that have to tell the same.
const ENOUGH: u8 = 2;

/// Where a registrar sees us.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// By which socket or connection; another one is seen elsewhere.
    flow: Option<FlowId>,
    /// When we registered out of turn because of it.
    moves: VecDeque<Instant>,
    /// How often in a row `told` was told.
    times: u8,
    /// What was told last; our own address if there is no router.
    told: Option<SocketAddr>,
    /// What the Contact has.
    used: Option<SocketAddr>,
}

impl Seen {
    /// Takes what an answer to REGISTER tells. An answer that tells nothing changes nothing.
    pub(crate) fn hear(&mut self, flow: &Flow, response: &Response) {
        if self.flow != Some(flow.id) {
            self.flow = Some(flow.id);
            (self.told, self.used, self.times) = (None, None, 0);
        }
        let Ok(via) = response.headers.via() else {
            return;
        };
        let (received, rport) = (via.received(), via.rport());
        if received.is_none() && rport.is_none() {
            return;
        }
        let ip = received.unwrap_or(flow.local.ip()).to_canonical();
        let at = SocketAddr::new(ip, rport.unwrap_or(flow.local.port()));
        let at = if can_be_ours(at, flow) { at } else { flow.local };
        self.times = if self.told == Some(at) {
            self.times.saturating_add(1)
        } else {
            1
        };
        self.told = Some(at);
    }

    /// The account is registered. True if it shall register again at once: what was told has to be told once more, or is in the
    /// Contact from here on.
    pub(crate) fn moves(&mut self, now: Instant, public: Option<IpAddr>, flow: &Flow) -> bool {
        let changes =
            |told: &SocketAddr| place(Some(*told), public, flow) != place(self.at(flow), public, flow);
        let Some(told) = self.told.filter(changes) else {
            return false;
        };
        self.moves.retain(|at| now.since(*at) < WINDOW);
        if self.moves.len() >= MOST_MOVES {
            return false;
        }
        self.moves.push_back(now);
        if self.times >= ENOUGH {
            self.used = Some(told);
        }
        true
    }

    /// True if somebody at this address is we ourselves.
    pub(crate) fn is_at(&self, host: Option<IpAddr>, port: Option<u16>) -> bool {
        let is = |at: &SocketAddr| Some(at.ip()) == host && Some(at.port()) == port;
        self.told.as_ref().is_some_and(is)
    }

    fn at(&self, flow: &Flow) -> Option<SocketAddr> {
        self.used.filter(|_| self.flow == Some(flow.id))
    }
}

/// Our Contact on a flow: of an account, or with nobody's name.
pub(crate) fn contact_uri(account: Option<&Account>, public: Option<IpAddr>, user: &str, flow: &Flow) -> Uri {
    let datagrams = account.and_then(|account| account.datagrams(flow));
    let flow = datagrams.as_ref().unwrap_or(flow);
    let at = account.map_or(flow.local, |account| {
        place(account.reg.seen.at(flow), public, flow)
    });
    let mut uri = SipUri::new(Some(user), at.ip().into(), Some(at.port()));
    if flow.transport.is_reliable() {
        uri.params
            .set("transport", &flow.transport.as_via().to_ascii_lowercase());
    }
    Uri::Sip(uri)
}

/// The public address comes before what was told; its port is the one that was told, as the router writes it.
fn place(seen: Option<SocketAddr>, public: Option<IpAddr>, flow: &Flow) -> SocketAddr {
    if !is_far(flow.remote.ip()) {
        return flow.local;
    }
    let at = seen.unwrap_or(flow.local);
    let public = public.filter(|public| of_one_family(*public, flow.local.ip()));
    SocketAddr::new(public.unwrap_or(at.ip()), at.port())
}

/// Can somebody far away reach us there at all?
fn can_be_ours(at: SocketAddr, flow: &Flow) -> bool {
    let ip = at.ip();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    is_far(flow.remote.ip())
        && is_far(ip)
        && of_one_family(ip, flow.local.ip())
        && at.port() != 0
        && !(ip.is_unspecified() || ip.is_multicast() || broadcast)
}

fn of_one_family(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical().is_ipv4() == b.to_canonical().is_ipv4()
}

/// Is this beyond a router to the internet: neither private (RFC 1918, RFC 4193) nor link-local nor loopback?
#[must_use]
pub fn is_far(address: IpAddr) -> bool {
    !match address.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}
