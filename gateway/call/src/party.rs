//! Are two written addresses the same party?

/// User and host of an address: `1000`, `1000@host`, `sip:1000@host:5060;x=y`, `"A" <sip:1000@host>`, `tel:+33…`.
///
/// The host is in lower case and without its port; the user is kept as written (RFC 3261 §19.1.4).
fn parts(address: &str) -> (&str, Option<String>) {
    let (_, without_scheme) = scheme_of(address);
    // a user may have `;` and `?` in it, and no `@` (RFC 3261 §25.1)
    match without_scheme.split_once('@') {
        Some((user, rest)) => (user, Some(bare_host(without_params(rest)))),
        None => {
            let plain = without_params(without_scheme);
            // an address of the network is its own host, with or without a port
            let name = plain.split(':').next().unwrap_or(plain);
            match [plain, name].into_iter().find(|name| is_ip(name)) {
                Some(ip) => (ip, Some(ip.trim_matches(['[', ']']).to_ascii_lowercase())),
                None => (plain, None),
            }
        }
    }
}

/// Scheme of an address in lower case, if it has one, and what follows it.
fn scheme_of(address: &str) -> (Option<&'static str>, &str) {
    let inner = match (address.find('<'), address.rfind('>')) {
        (Some(open), Some(close)) if open < close => &address[open + 1..close],
        _ => address,
    };
    let inner = inner.trim();
    ["sips:", "sip:", "tel:"]
        .into_iter()
        .find_map(|scheme| {
            inner
                .get(..scheme.len())
                .filter(|head| head.eq_ignore_ascii_case(scheme))
                .map(|_| (Some(scheme), &inner[scheme.len()..]))
        })
        .unwrap_or((None, inner))
}

/// Port of an address that has a host; without one that of its transport (RFC 3261 §19.1.2). `None` if it is no port.
fn port_of(address: &str) -> Option<u16> {
    let (scheme, rest) = scheme_of(address);
    let place = rest.split_once('@').map_or(rest, |(_, place)| place);
    let host = without_params(place);
    let tls = |param: &str| param.eq_ignore_ascii_case("transport=tls");
    let params = place.get(host.len()..).unwrap_or_default();
    let standard = if scheme == Some("sips:") || params.split([';', '?']).any(tls) {
        5061
    } else {
        5060
    };
    let after = match host.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .map_or("", |(_, after)| after)
            .strip_prefix(':'),
        // an address of IPv6 alone, without brackets
        None if is_ip(host) => None,
        None => host.split_once(':').map(|(_, port)| port),
    };
    after.map_or(Some(standard), |port| port.parse().ok())
}

fn without_params(text: &str) -> &str {
    text.split([';', '?']).next().unwrap_or(text)
}

fn bare_host(host: &str) -> String {
    let without_port = if let Some(rest) = host.strip_prefix('[') {
        rest.split(']').next().unwrap_or(rest)
    } else {
        host.split(':').next().unwrap_or(host)
    };
    without_port.to_ascii_lowercase()
}

/// The user part of an address, without what stands around it.
#[must_use]
pub fn user_of(address: &str) -> &str {
    parts(address).0
}

/// The address of user and host alone: without port, parameters and headers.
pub(crate) fn bare(address: &str) -> String {
    match parts(address) {
        (user, Some(host)) if host.contains(':') => format!("sip:{user}@[{host}]"),
        (user, Some(host)) => format!("sip:{user}@{host}"),
        (user, None) => user.to_owned(),
    }
}

/// True if an address says where its user is, and not only its number; an IP address alone does.
pub(crate) fn has_host(address: &str) -> bool {
    parts(address).1.is_some()
}

/// True if what stands for a user is an address of the network.
pub(crate) fn is_ip(user: &str) -> bool {
    let bare = user.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(user).parse::<std::net::IpAddr>().is_ok()
}

/// True if both name the same party. A bare number has no host and matches its user at any host: bare numbers
/// stand in lists and mean "at the account's PBX", so compare only addresses that a trusted peer vouched for.
#[must_use]
pub fn same_party(one: &str, other: &str) -> bool {
    let ((user_a, host_a), (user_b, host_b)) = (parts(one), parts(other));
    let hosts = match (host_a, host_b) {
        (Some(a), Some(b)) => a == b,
        (None, _) | (_, None) => true,
    };
    !user_a.is_empty() && user_a == user_b && hosts
}

/// True if both name the same party at the same host and port.
pub(crate) fn same_place(one: &str, other: &str) -> bool {
    let hosts = has_host(one) && has_host(other);
    let port = port_of(one);
    hosts && same_party(one, other) && port.is_some() && port == port_of(other)
}

#[cfg(test)]
mod tests {
    use super::{has_host, same_party, same_place, user_of};
    use proptest::prelude::*;

    #[test]
    fn a_place_is_a_user_a_host_and_a_port_however_they_are_written() {
        for (a, b) in [
            (
                "sip:anna@192.0.2.7:5062",
                "<sip:anna@192.0.2.7:5062;transport=tcp>",
            ),
            ("anna@Door.example", "sip:anna@door.example:5060"),
            ("sips:anna@door.example", "sip:anna@door.example;transport=TLS"),
            (
                "sip:anna@[2001:db8::1]:5062",
                "\"Anna\" <sip:anna@[2001:DB8::1]:5062>",
            ),
            ("[2001:db8::1]", "sip:[2001:db8::1]"),
            ("192.0.2.7:5062", "sip:192.0.2.7:5062"),
        ] {
            assert!(same_place(a, b) && same_place(b, a), "{a} {b}");
        }
        for (a, b) in [
            ("sip:anna@192.0.2.7:5062", "sip:anna@192.0.2.7"),
            ("sip:anna@192.0.2.7:5062", "sip:bert@192.0.2.7:5062"),
            ("sip:anna@192.0.2.7:5062", "sip:anna@192.0.2.8:5062"),
            ("sips:anna@door.example", "sip:anna@door.example"),
            ("sip:anna@[2001:db8::1]:5062", "sip:anna@[2001:db8::1]"),
            ("anna", "anna"),
            ("sip:anna@192.0.2.7:99999", "sip:anna@192.0.2.7:99999"),
        ] {
            assert!(!same_place(a, b) && !same_place(b, a), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_compared(one in "[<>sip:@\\[\\]0-9a;?=. é]{0,40}", other in ".{0,40}") {
            prop_assert_eq!(same_place(&one, &other), same_place(&other, &one));
            prop_assert!(!same_place(&one, &one) || has_host(&one) && !user_of(&one).is_empty());
        }
    }

    #[test]
    fn the_same_user_at_the_same_host_is_the_same_party_however_it_is_written() {
        for (a, b) in [
            ("1000", "1000"),
            ("1000", "sip:1000@pbx.example"),
            ("1000@pbx.example", "SIP:1000@PBX.example:5061;transport=tls"),
            ("\"Desk\" <sip:1000@pbx.example>", "1000@pbx.example"),
            ("sip:1000@[2001:db8::1]:5060", "sip:1000@[2001:DB8::1]"),
            ("tel:+334", "+334"),
            ("192.0.2.5", "sip:192.0.2.5:5060;transport=tcp"),
        ] {
            assert!(same_party(a, b), "{a} {b}");
            assert!(same_party(b, a), "{b} {a}");
        }
    }

    #[test]
    fn another_user_or_host_or_nothing_is_nobody() {
        for (a, b) in [
            ("1000", "1001"),
            ("sip:1000@a", "sip:1000@b"),
            ("", ""),
            ("sip:@a", "sip:@a"),
            ("<>", "1000"),
            (">1000<", "1000"),
            ("sip:1000@a", "sip:1000@b;x=@a"),
            ("sip:1000@a", "sip:1000;x=y@a"),
            ("1000", "sip:1000;x=y@a"),
            ("1000", "sip:1000?x@a"),
            ("192.0.2.5", "sip:192.0.2.5@192.0.2.6"),
            ("192.0.2.5", "sip:192.0.2.6"),
        ] {
            assert!(!same_party(a, b), "{a} {b}");
        }
    }
}
