//! ICE in a description (RFC 8839): our candidates, and whether the other side checks them.

use std::net::SocketAddr;

use super::{Attribute, LocalMedia, MediaLine, SessionDescription};
use crate::ice::Credentials;

/// Preference of an address that is our own (RFC 8445 §5.1.2.1).
const HOST: u32 = 126;
/// Preference of one that others see us at.
const REFLEXIVE: u32 = 100;

/// The other side's credentials, if it will check: it has some, and is a full side itself.
pub(super) fn read(session: &SessionDescription, line: &MediaLine) -> Option<Credentials> {
    let first = |name: &str| {
        let lists = line.attributes.iter().chain(&session.attributes);
        let mut named = lists.filter(|a| a.name.eq_ignore_ascii_case(name));
        named.find_map(|a| a.value.as_deref())
    };
    // two lite sides have nothing to check: the addresses of the lines count (RFC 8445 §6.1.1)
    let lite = session
        .attributes
        .iter()
        .any(|a| a.name.eq_ignore_ascii_case("ice-lite"));
    // the addresses were changed on the way, so the candidates are not to be believed (RFC 8839 §5.3)
    let mismatch = line.attribute("ice-mismatch").is_some();
    Credentials::new(first("ice-ufrag")?, first("ice-pwd")?).filter(|_| !lite && !mismatch)
}

/// Our attributes. With `mux` there is one component only.
pub(super) fn write(local: &LocalMedia, credentials: &Credentials, mux: bool) -> Vec<Attribute> {
    let mut list = vec![
        Attribute::new("ice-ufrag", credentials.fragment.as_str()),
        Attribute::new("ice-pwd", credentials.password.as_str()),
    ];
    let host = local.host.unwrap_or(local.address);
    let ports = [(1, local.rtp_port), (2, local.rtcp_port)];
    for (component, port) in ports.into_iter().take(if mux { 1 } else { 2 }) {
        let own = SocketAddr::new(host, port);
        let (ip, port) = (own.ip(), own.port());
        let line = format!(
            "1 {component} UDP {} {ip} {port} typ host",
            priority(HOST, component)
        );
        list.push(Attribute::new("candidate", line));
        if host != local.address {
            let seen = local.address;
            let line = format!(
                "2 {component} UDP {} {seen} {port} typ srflx raddr {ip} rport {port}",
                priority(REFLEXIVE, component)
            );
            list.push(Attribute::new("candidate", line));
        }
    }
    list
}

/// RFC 8445 §5.1.2.1, with the one address of ours preferred as much as can be.
const fn priority(kind: u32, component: u32) -> u32 {
    (kind << 24) + (65_535 << 8) + 256 - component
}
