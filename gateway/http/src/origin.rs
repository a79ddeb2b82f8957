//! Requests that another site makes a browser send: cross-site forgery and DNS rebinding.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, StatusCode, header};

use crate::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What this gateway is called from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own<'a> {
    /// Further origins, for a reverse proxy.
    pub(crate) origins: &'a [String],
    pub(crate) tls: bool,
}

/// The name of a `Host` header without its port.
pub(crate) fn host_name(host: &str) -> Option<&str> {
    let name = if host.starts_with('[') {
        let end = host.find(']')?;
        let port = &host[end + 1..];
        (port.is_empty() || port.starts_with(':')).then(|| &host[1..end])?
    } else {
        host.split(':').next()?
    };
    (!name.is_empty() && name.len() <= 253).then_some(name)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|v| v.to_str().unwrap_or("?"))
}

/// Without TLS a page elsewhere may give its own name our loopback address. So the name must be one that
/// no stranger can hold: an address, `localhost`, or one of ours.
pub(crate) fn check_host(own: Own<'_>, headers: &HeaderMap) -> Result<(), Problem> {
    let name = text(headers, &header::HOST).and_then(host_name);
    let known = |name: &str| {
        own.tls
            || name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || own.origins.iter().any(|o| {
                let host = o.split_once("://").map_or("", |(_, host)| host);
                host_name(host).is_some_and(|n| n.eq_ignore_ascii_case(name))
            })
    };
    if name.is_some_and(known) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "host",
        "this host name is not ours: use localhost or the address",
    ))
}

/// A request that changes something, or opens a WebSocket, must come from our own page. Programs send no
/// `Origin` and are let through, unless a cookie proves that a browser sent it.
pub(crate) fn check_origin(own: Own<'_>, headers: &HeaderMap, by_cookie: bool) -> Result<(), Problem> {
    let refused = |why: &str| {
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "origin",
            format!("{why}; open the page of this gateway itself and try there"),
        ))
    };
    if let Some(site) = text(headers, &SEC_FETCH_SITE)
        && site != "same-origin"
    {
        return refused("the request comes from another site");
    }
    let Some(origin) = text(headers, &header::ORIGIN) else {
        return if by_cookie {
            refused("a request with a session needs an Origin header")
        } else {
            Ok(())
        };
    };
    let scheme = if own.tls { "https" } else { "http" };
    let ours = text(headers, &header::HOST).is_some_and(|host| {
        origin
            .split_once("://")
            .is_some_and(|(s, h)| s == scheme && h.eq_ignore_ascii_case(host))
    });
    if ours || own.origins.iter().any(|o| o.eq_ignore_ascii_case(origin)) {
        Ok(())
    } else {
        refused("the request comes from another origin")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
        pairs.collect()
    }

    fn own(tls: bool, origins: &[String]) -> Own<'_> {
        Own { origins, tls }
    }

    #[test]
    fn a_strangers_name_for_our_loopback_address_is_refused() {
        let proxy = ["https://door.example".to_owned()];
        for (host, tls, fits) in [
            ("127.0.0.1:8080", false, true),
            ("[::1]:8080", false, true),
            ("localhost:8080", false, true),
            ("evil.example:8080", false, false),
            ("door.example", false, true),
            ("anything.example", true, true),
            ("", false, false),
            ("[::1", false, false),
        ] {
            let map = headers(&[("host", host)]);
            assert_eq!(check_host(own(tls, &proxy), &map).is_ok(), fits, "{host:?}");
        }
        assert!(check_host(own(false, &proxy), &HeaderMap::new()).is_err());
    }

    #[test]
    fn only_our_own_page_may_change_things() {
        let proxy = ["https://door.example".to_owned()];
        let h = ("host", "localhost:8080");
        for (pairs, cookie, fits) in [
            (vec![h], false, true),
            (vec![h], true, false),
            (vec![h, ("origin", "http://localhost:8080")], true, true),
            (vec![h, ("origin", "https://localhost:8080")], true, false),
            (vec![h, ("origin", "http://localhost:8081")], false, false),
            (vec![h, ("origin", "null")], false, false),
            (vec![h, ("origin", "https://door.example")], true, true),
            (vec![h, ("origin", "https://evil.example")], false, false),
            (vec![h, ("sec-fetch-site", "cross-site")], false, false),
            (vec![h, ("sec-fetch-site", "same-site")], false, false),
            (
                vec![
                    h,
                    ("origin", "http://localhost:8080"),
                    ("sec-fetch-site", "same-origin"),
                ],
                true,
                true,
            ),
        ] {
            let map = headers(&pairs);
            assert_eq!(
                check_origin(own(false, &proxy), &map, cookie).is_ok(),
                fits,
                "{pairs:?} {cookie}"
            );
        }
    }
}
