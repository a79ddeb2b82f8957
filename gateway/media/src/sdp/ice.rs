//! ICE in a description (RFC 8839): our candidates, the other side's, and who checks.

use std::net::{IpAddr, SocketAddr};

use rand::RngCore;

use super::{Attribute, LocalMedia, MediaLine, SessionDescription};
use crate::ice::{
    Agreement, Candidate, Checks, Component, Credentials, HOST, PAIRS, REFLEXIVE, Side, priority,
};
use crate::stun;

/// Candidates of the other side that are looked at.
const MOST: usize = 128;
/// The port of a line whose address is not known yet (RFC 8839 §4.3.1).
const DISCARD: u16 = 9;

/// What the other side says of it.
#[derive(Debug)]
pub(super) struct Theirs {
    credentials: Credentials,
    /// It checks nothing itself.
    lite: bool,
    /// It chooses once, and does not choose whatever it tries (`ice2`, RFC 8445 §10).
    once: bool,
    candidates: Vec<Candidate>,
}

/// Reads it; `None` if it does not speak ICE, or its addresses were changed on the way, so that its candidates are not to
/// be believed (RFC 8839 §5.3): it says so, or the address of its line is none of them (§4.2.5). One that is not known yet is no
/// other.
pub(super) fn read(session: &SessionDescription, line: &MediaLine) -> Option<Theirs> {
    let first = |name: &str| {
        let lists = line.attributes.iter().chain(&session.attributes);
        let mut named = lists.filter(|a| a.name.eq_ignore_ascii_case(name));
        named.find_map(|a| a.value.as_deref())
    };
    let lite = session
        .attributes
        .iter()
        .any(|a| a.name.eq_ignore_ascii_case("ice-lite"));
    let mut candidates: Vec<Candidate> = line
        .values("candidate")
        .take(MOST)
        .filter_map(candidate)
        .collect();
    let told = line.connection.or(session.connection)?;
    let told = SocketAddr::new(told.to_canonical(), line.port);
    // nor is one of loopback ever among them (RFC 8445 §5.1.1.1)
    let known = told.ip().is_unspecified() || told.ip().is_loopback() || line.port == DISCARD;
    let mismatch = line.attribute("ice-mismatch").is_some()
        || !known
            && !candidates
                .iter()
                .any(|c| c.component == Component::Rtp && c.address == told);
    // the best first, where there are more than are tried
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
    candidates.truncate(PAIRS);
    let credentials = Credentials::new(first("ice-ufrag")?, first("ice-pwd")?).filter(|_| !mismatch)?;
    let options = first("ice-options").unwrap_or_default();
    let once = options.split_ascii_whitespace().any(|option| option == "ice2");
    Some(Theirs {
        credentials,
        lite,
        once,
        candidates,
    })
}

/// One candidate (RFC 8839 §5.1): `foundation component transport priority address port typ …`. What is not UDP, or a name
/// that only its own network knows, is no way to here.
fn candidate(text: &str) -> Option<Candidate> {
    let mut words = text.split_ascii_whitespace().skip(1);
    let component = match words.next()? {
        "1" => Component::Rtp,
        "2" => Component::Rtcp,
        _ => return None,
    };
    words
        .next()
        .filter(|transport| transport.eq_ignore_ascii_case("UDP"))?;
    let priority = words.next()?.parse().ok()?;
    let address: IpAddr = words.next()?.parse().ok()?;
    let port = words.next()?.parse().ok().filter(|port| *port != 0)?;
    stun::is_place(address).then_some(Candidate {
        component,
        address: SocketAddr::new(address.to_canonical(), port),
        priority,
    })
}

/// Ours in one dialog.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    side: Side,
    /// With the tie-breaker, and those of the other side that they were made for.
    credentials: Option<(Credentials, u64, Option<Credentials>)>,
}

impl Ours {
    pub(super) const fn new(side: Side) -> Self {
        Self {
            side,
            credentials: None,
        }
    }

    /// For the session, if we speak ICE in it: which side we are (RFC 8839 §5.2, §5.6).
    pub(super) fn attribute(&self) -> Option<Attribute> {
        match self.side {
            Side::Full => Some(Attribute::new("ice-options", "ice2")),
            Side::Lite => Some(Attribute::flag("ice-lite")),
            Side::Off => None,
        }
    }

    /// For an offer of ours: credentials, if we speak ICE.
    pub(super) fn offer(&mut self, rng: &mut dyn RngCore) -> Option<&Credentials> {
        if self.side == Side::Off {
            return None;
        }
        let fresh = || (Credentials::random(rng), rng.next_u64(), None);
        let (ours, ..) = self.credentials.get_or_insert_with(fresh);
        Some(ours)
    }

    /// The other side has answered our offer of it, or not. With `mux` there is one component.
    pub(super) fn answered(&mut self, theirs: Option<Theirs>, mux: bool) -> Option<Agreement> {
        let theirs = theirs.filter(|theirs| self.fits(theirs));
        let (local, tie_breaker, known) = self.credentials.as_mut()?;
        *known = theirs.as_ref().map(|theirs| theirs.credentials.clone());
        // who offers chooses, also among two full sides (RFC 8445 §6.1.1)
        Some(agree(self.side, local.clone(), *tie_breaker, theirs?, true, mux))
    }

    /// The other side offers ICE, or not. If it begins anew with other credentials, so do we (RFC 8839 §4.4.1.1.1).
    pub(super) fn offered(
        &mut self,
        theirs: Option<Theirs>,
        mux: bool,
        rng: &mut dyn RngCore,
    ) -> Option<Agreement> {
        let theirs = theirs.filter(|theirs| self.fits(theirs))?;
        let kept = self
            .credentials
            .take()
            .filter(|(.., known)| known.as_ref().is_none_or(|k| *k == theirs.credentials));
        let (local, tie_breaker, _) =
            kept.unwrap_or_else(|| (Credentials::random(rng), rng.next_u64(), None));
        self.credentials = Some((local.clone(), tie_breaker, Some(theirs.credentials.clone())));
        // a lite side never chooses
        let controlling = theirs.lite;
        Some(agree(self.side, local, tie_breaker, theirs, controlling, mux))
    }

    /// Two lite sides have nothing to check: the addresses of the lines count (RFC 8445 §6.1.1).
    fn fits(&self, theirs: &Theirs) -> bool {
        match self.side {
            Side::Full => true,
            Side::Lite => !theirs.lite,
            Side::Off => false,
        }
    }
}

fn agree(
    side: Side,
    local: Credentials,
    tie_breaker: u64,
    theirs: Theirs,
    controlling: bool,
    mux: bool,
) -> Agreement {
    let Theirs {
        credentials,
        mut candidates,
        lite: _,
        once,
    } = theirs;
    candidates.retain(|candidate| !mux || candidate.component == Component::Rtp);
    Agreement {
        local,
        remote: credentials.fragment,
        checks: (side == Side::Full).then_some(Checks {
            password: credentials.password,
            candidates,
            controlling,
            tie_breaker,
        }),
        last_counts: once,
    }
}

/// Our attributes of the line. With `mux` there is one component only.
pub(super) fn write(local: &LocalMedia, credentials: &Credentials, mux: bool) -> Vec<Attribute> {
    let mut list = vec![
        Attribute::new("ice-ufrag", credentials.fragment.as_str()),
        Attribute::new("ice-pwd", credentials.password.as_str()),
    ];
    let told = [local.rtp_port, local.rtcp_port].map(|port| SocketAddr::new(local.address, port));
    let (hosts, seen) = (local.host.unwrap_or(told), local.seen.unwrap_or(told));
    for (component, (host, seen)) in (1..)
        .zip(hosts.into_iter().zip(seen))
        .take(if mux { 1 } else { 2 })
    {
        let (ip, port) = (host.ip(), host.port());
        let line = format!(
            "1 {component} UDP {} {ip} {port} typ host",
            priority(HOST, component)
        );
        list.push(Attribute::new("candidate", line));
        if host != seen {
            let line = format!(
                "2 {component} UDP {} {} {} typ srflx raddr {ip} rport {port}",
                priority(REFLEXIVE, component),
                seen.ip(),
                seen.port()
            );
            list.push(Attribute::new("candidate", line));
        }
    }
    list
}
