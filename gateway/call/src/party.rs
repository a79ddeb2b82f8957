//! Are two written addresses the same party?

/// User and host of an address: `1000`, `1000@host`, `sip:1000@host:5060;x=y`, `"A" <sip:1000@host>`, `tel:+33…`.
///
/// The host is in lower case and without its port; the user is kept as written (RFC 3261 §19.1.4).
fn parts(address: &str) -> (&str, Option<String>) {
    let inner = match (address.find('<'), address.rfind('>')) {
        (Some(open), Some(close)) if open < close => &address[open + 1..close],
        _ => address,
    };
    let inner = inner.trim();
    let without_scheme = ["sips:", "sip:", "tel:"]
        .iter()
        .find_map(|scheme| {
            inner
                .get(..scheme.len())
                .filter(|head| head.eq_ignore_ascii_case(scheme))
                .map(|_| &inner[scheme.len()..])
        })
        .unwrap_or(inner);
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

#[cfg(test)]
mod tests {
    use super::same_party;

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
