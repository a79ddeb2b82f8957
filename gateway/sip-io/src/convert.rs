//! Parameters of the engine, made into those of the user agent.

use gateway_core::Quality;
use gateway_media::LegStats;
use gateway_sip::ua::{Hop, TrustId, UaAccount, UaParams};
use gateway_sip::{Host, NameAddr, Transport, Uri};

use crate::net::Net;
use crate::{AccountParams, FIRST_INCOMING_LEG, SipParams};

/// Makes the parameters of the user agent; TLS trust files are read here.
pub(crate) fn user_agent(params: &SipParams, net: &mut Net) -> (UaParams, Vec<UaAccount>) {
    let direct_trust = net.trust(&params.direct_tls);
    let mut accounts = Vec::with_capacity(params.accounts.len());
    for account in &params.accounts {
        let trust = net.trust(&account.tls);
        accounts.push(ua_account(account, trust));
    }
    let ua = UaParams {
        direct_peers: params
            .direct_peers
            .iter()
            .map(std::net::IpAddr::to_canonical)
            .collect(),
        direct_trust,
        first_incoming_leg: FIRST_INCOMING_LEG,
        instance: params.instance,
        max_calls: params.max_calls,
        public_address: params.public_address,
        user_agent: params.user_agent.clone(),
    };
    (ua, accounts)
}

pub(crate) fn ua_account(account: &AccountParams, trust: TrustId) -> UaAccount {
    let domain = host(&account.domain);
    let routes: Vec<NameAddr> = account.routes.iter().filter_map(|text| route(text)).collect();
    let first = routes.first().and_then(|route| route.uri.as_sip());
    let first = first.map(|uri| Hop::new(&uri.host, uri.port, account.transport, trust));
    let (hop, proxy) = match account.proxy.as_deref() {
        Some(text) => {
            let (proxy, port) = Host::parse_with_port(text).unwrap_or_else(|_| (host(text), None));
            (Hop::new(&proxy, port, account.transport, trust), true)
        }
        None => (Hop::new(&domain, account.port, account.transport, trust), false),
    };
    let usual = account.transport.unwrap_or(Transport::Udp).default_port();
    UaAccount {
        auth_user: account.auth_user.clone().unwrap_or_else(|| account.user.clone()),
        caller_hosts: account
            .caller_hosts
            .as_ref()
            .map(|hosts| hosts.iter().map(|text| host(text)).collect()),
        display: account.display.clone(),
        domain,
        domain_port: account.port.filter(|port| *port != usual),
        expires: account.expires,
        hop: first.unwrap_or(hop),
        id: account.id.clone(),
        keep_alive: account.keep_alive,
        manner: account.manner.clone(),
        password: account.password.clone(),
        privacy: account.privacy,
        provisional: account.provisional,
        publish: account.publish,
        proxy,
        register: account.register,
        routes,
        timer: account.timer,
        user: account.user.clone(),
    }
}

/// The numbers of a leg as they are kept.
pub(crate) fn quality(stats: &LegStats) -> Quality {
    Quality {
        concealed_ms: stats.concealed * 10,
        jitter_us: u64::from(stats.jitter_us),
        lost: stats.lost,
        received: stats.received,
        remote_lost: u64::from(stats.remote_lost),
        // 0 is one that was never measured
        round_trip_us: (stats.round_trip_us != 0).then(|| u64::from(stats.round_trip_us)),
        sent: stats.sent,
    }
}

/// The route of a loose router (RFC 3261 §16.12).
pub(crate) fn route(text: &str) -> Option<NameAddr> {
    let bare = text.trim_start_matches('<').trim_end_matches('>');
    let uri = Uri::parse(bare).ok()?;
    uri.as_sip().filter(|uri| uri.params.has("lr"))?;
    Some(NameAddr::new(uri))
}

/// [`SipParams::check`] has seen that the text can stand in a URI.
fn host(text: &str) -> Host {
    Host::parse(text).unwrap_or_else(|_| Host::Name(text.to_owned()))
}
