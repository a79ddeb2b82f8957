//! Routes that requests take (RFC 3261 §8.1.2).

use std::fmt;

use super::Transport;
use crate::rules::FromText;

/// A SIP address of a loose router: `<sip:edge.example:5070;transport=tcp;lr>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    text: String,
    transport: Option<Transport>,
}

impl Route {
    /// The transport that it names, if it does.
    #[must_use]
    pub const fn transport(&self) -> Option<Transport> {
        self.transport
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.text)
    }
}

impl FromText for Route {
    const WHAT: &'static str = "a route";
    const PATTERN: Option<&'static str> = Some("^<?sips?:[^<> ]+;lr[^<> ]*>?$");

    fn from_text(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| "<sip:HOST;lr> or <sip:HOST:PORT;transport=tcp;lr>".to_owned())
    }
}

fn parse(text: &str) -> Option<Route> {
    let bare = match (text.strip_prefix('<'), text.ends_with('>')) {
        (Some(rest), true) => rest.strip_suffix('>')?,
        (None, false) => text,
        (Some(_), false) | (None, true) => return None,
    };
    if bare.len() > 200
        || !bare
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"<>\"?,\\".contains(&b))
    {
        return None;
    }
    let (secure, rest) = match (bare.strip_prefix("sips:"), bare.strip_prefix("sip:")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return None,
    };
    let mut parts = rest.split(';');
    let place = parts.next()?;
    let place = place.split_once('@').map_or(place, |(_, place)| place);
    super::net::host_and_port(place)?;
    let (mut loose, mut transport) = (false, secure.then_some(Transport::Tls));
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if name.is_empty() {
            return None;
        }
        loose |= name.eq_ignore_ascii_case("lr");
        if name.eq_ignore_ascii_case("transport") {
            transport = Some(match (value.to_ascii_lowercase().as_str(), secure) {
                ("tcp", false) => Transport::Tcp,
                ("tcp" | "tls", _) => Transport::Tls,
                ("udp", false) => Transport::Udp,
                _ => return None,
            });
        }
    }
    let text = bare.to_owned();
    loose.then_some(Route { text, transport })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_the_address_of_a_loose_router() {
        for (text, transport) in [
            ("<sip:edge.example;lr>", None),
            ("sip:edge.example;lr", None),
            ("<sip:edge@10.0.0.1:5070;transport=TCP;lr>", Some(Transport::Tcp)),
            ("<sips:edge.example;lr>", Some(Transport::Tls)),
            (
                "<sip:[2001:db8::1]:5061;transport=tls;lr=on>",
                Some(Transport::Tls),
            ),
        ] {
            assert_eq!(
                parse(text).map(|route| route.transport()),
                Some(transport),
                "{text}"
            );
        }
        assert_eq!(
            parse("sip:a;lr").map(|r| r.to_string()).as_deref(),
            Some("<sip:a;lr>")
        );
    }

    #[test]
    fn what_leads_nowhere_or_could_leave_its_header_does_not_fit() {
        for bad in [
            "",
            "edge.example",
            "<sip:edge.example>",
            "<sip:edge.example;lr",
            "<tel:+1;lr>",
            "<sip:;lr>",
            "<sip:edge.example:0;lr>",
            "<sip:edge.example;lr>, <sip:b;lr>",
            "<sip:edge.example;lr\r\n>",
            "<sip:edge.example;transport=sctp;lr>",
            "<sips:edge.example;transport=udp;lr>",
            "<sip:edge.example;;lr>",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
