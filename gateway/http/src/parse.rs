//! What strangers write in heads: queries, cookies, languages, tokens.

use std::str::FromStr;

use gateway_core::CommandId;
use http::HeaderMap;

use crate::param::Param;
use crate::params::Language;
use crate::problem::Problem;

/// Parameters of one query.
const PARAMETERS: usize = 16;

/// Decodes `%XX`; `None` for a bad escape or bytes that are not UTF-8.
pub(crate) fn percent(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Writes a text so that it can stand in a path or a query (RFC 3986 §2.3).
pub(crate) fn escape(text: &str) -> String {
    let byte = |b: u8| match b {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The parameters of a query; each is taken once.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(raw: &str) -> Result<Self, Problem> {
        let bad = |what: &str| Problem::bad("query", format!("the query {what}"));
        let mut all: Vec<(String, String)> = Vec::new();
        for pair in raw.split('&').filter(|p| !p.is_empty()) {
            if all.len() == PARAMETERS {
                return Err(bad("has too many parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent(name, true).ok_or_else(|| bad("has a bad % escape"))?;
            let value = percent(value, true).ok_or_else(|| bad("has a bad % escape"))?;
            if all.iter().any(|(n, _)| *n == name) {
                return Err(bad(&format!("has {name:?} twice")));
            }
            all.push((name, value));
        }
        Ok(Self(all))
    }

    pub(crate) fn take<T: FromStr>(&mut self, param: &Param) -> Result<Option<T>, Problem> {
        self.take_with(param, |text| text.parse().ok())
    }

    pub(crate) fn take_with<T>(
        &mut self,
        param: &Param,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Param { allowed, name } = param;
        let Some(at) = self.0.iter().position(|(n, _)| n == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.swap_remove(at);
        let shown: String = value.chars().take(60).collect();
        read(&value)
            .map(Some)
            .ok_or_else(|| Problem::bad("query", format!("{name}={shown:?}: allowed is {allowed}")))
    }

    /// Refuses a parameter that a route does not take.
    pub(crate) fn only(&self, known: &[Param]) -> Result<(), Problem> {
        let Some((name, _)) = self.0.iter().find(|(n, _)| known.iter().all(|p| p.name != n)) else {
            return Ok(());
        };
        let name: String = name.chars().take(60).collect();
        let known: Vec<&str> = known.iter().map(|p| p.name).collect();
        let text = if known.is_empty() {
            format!("parameter {name:?} is not known here, nor is any other")
        } else {
            format!(
                "parameter {name:?} is not known here: allowed are {}",
                known.join(", ")
            )
        };
        Err(Problem::bad("query", text))
    }
}

/// Headers that say one thing (RFC 9110 §5.3): of two that differ, who stands before us may have looked at the other.
const SINGLE: [&str; 9] = [
    "authorization",
    "content-type",
    "host",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
    "origin",
    "x-doorline-at",
];

/// Refuses a header that stands there twice and means one thing.
pub(crate) fn single(headers: &HeaderMap) -> Result<(), Problem> {
    let twice = SINGLE
        .iter()
        .find(|name| headers.get_all(**name).iter().nth(1).is_some());
    twice.map_or(Ok(()), |name| {
        Err(Problem::bad(
            "header",
            format!("the header {name} stands there twice; send it once"),
        ))
    })
}

/// The value of a cookie (RFC 6265 §5.4) in a `Cookie` header; the first of several.
pub(crate) fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|pair| {
        let (n, value) = pair.split_once('=')?;
        (n.trim() == name).then(|| value.trim().trim_matches('"'))
    })
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1).
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    let fits = (1..=128).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && fits).then_some(token)
}

/// The best language we have of an `Accept-Language` header (RFC 9110 §12.5.4).
pub(crate) fn accept_language(header: &str) -> Option<Language> {
    let mut best: Option<(u32, Language)> = None;
    for item in header.split(',').take(32) {
        let mut parts = item.split(';');
        let Some(language) = parts.next().and_then(|tag| Language::from_code(tag.trim())) else {
            continue;
        };
        let weight = parts
            .find_map(|p| p.trim().strip_prefix("q="))
            .map_or(Some(1000), weight);
        let Some(weight) = weight.filter(|w| *w > 0) else {
            continue;
        };
        if best.is_none_or(|(b, _)| weight > b) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

/// `0.8` in thousandths.
fn weight(text: &str) -> Option<u32> {
    let value: f32 = text.trim().parse().ok()?;
    if !(0.0..=1.0).contains(&value) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 1000 by the check above"
    )]
    Some((value * 1000.0) as u32)
}

/// An `Idempotency-Key`, with or without the quotes of a structured header (RFC 9651 §3.3.3). A quote within it, or at one
/// end only, is refused, and so is an escape between quotes: what is meant by it would be another id.
pub(crate) fn idempotency(header: &str) -> Option<CommandId> {
    let text = header.trim();
    let id = match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(quoted) if quoted.contains('\\') => return None,
        Some(quoted) => quoted,
        None => text,
    };
    CommandId::new(id).filter(|_| !id.contains('"'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::param::{FROM, KIND, TO};

    #[test]
    fn a_query_is_read_strictly() {
        let mut query = Query::parse("from=7&kind=door%2Egranted&x=a+b").expect("reads");
        assert_eq!(
            query.only(&[FROM, KIND]).expect_err("x is left").detail,
            "parameter \"x\" is not known here: allowed are from, kind"
        );
        assert_eq!(query.take::<u64>(&FROM), Ok(Some(7)));
        assert_eq!(query.take::<String>(&KIND), Ok(Some("door.granted".into())));
        assert_eq!(query.take::<u64>(&TO), Ok(None));
        let mut bad = Query::parse("from=-1").expect("reads");
        let problem = bad.take::<u64>(&FROM).expect_err("negative");
        assert_eq!(problem.detail, "from=\"-1\": allowed is a sequence number");
        for raw in ["a=%", "a=%4", "a=%zz", "a=%ff", "a=1&a=2", &"a&".repeat(17)] {
            assert!(Query::parse(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_header_that_means_one_thing_stands_there_once() {
        let mut headers = HeaderMap::new();
        for name in ["idempotency-key", "accept", "accept", "cookie", "cookie"] {
            headers.append(name, http::HeaderValue::from_static("a"));
        }
        assert_eq!(single(&headers), Ok(()));
        for name in SINGLE {
            let mut headers = headers.clone();
            headers.remove(name);
            headers.append(name, http::HeaderValue::from_static("a"));
            headers.append(name, http::HeaderValue::from_static("a"));
            let problem = single(&headers).expect_err(name);
            assert!(problem.detail.contains(name), "{}", problem.detail);
        }
    }

    #[test]
    fn cookies_tokens_and_keys_are_found() {
        assert_eq!(cookie("a=1; doorline=xyz; b=2", "doorline"), Some("xyz"));
        assert_eq!(cookie("xdoorline=1", "doorline"), None);
        assert_eq!(cookie("doorline", "doorline"), None);
        assert_eq!(bearer("Bearer dl_1_2"), Some("dl_1_2"));
        assert_eq!(bearer("bearer  x "), Some("x"));
        for bad in ["Basic x", "Bearer", "Bearer ", "Bearer a b"] {
            assert_eq!(bearer(bad), None, "{bad:?}");
        }
        assert_eq!(idempotency("\"abc\"").expect("fits").as_str(), "abc");
        assert_eq!(idempotency("abc").expect("fits").as_str(), "abc");
        assert_eq!(idempotency("a\\b").expect("fits").as_str(), "a\\b");
        let long = "x".repeat(64);
        assert!(idempotency(&long).is_some() && idempotency(&format!("\"{long}\"")).is_some());
        for bad in [
            "a b",
            "\"j_j",
            "j_j\"",
            "j\"j",
            "\"j\"j\"",
            "\"",
            "\"\"",
            "",
            "\"a\\\"",
            "\"a\\\\b\"",
        ] {
            assert_eq!(idempotency(bad), None, "{bad}");
        }
        assert_eq!(idempotency(&format!("{long}x")), None);
    }

    #[test]
    fn the_browsers_wish_for_a_language_is_weighed() {
        for (header, want) in [
            ("de-CH,de;q=0.9,en;q=0.8", Some(Language::De)),
            ("nl, en;q=0.5, fr;q=0.7", Some(Language::Fr)),
            ("pt;q=0", None),
            ("*", None),
            ("en;q=NaN", None),
            ("", None),
        ] {
            assert_eq!(accept_language(header), want, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn no_head_makes_a_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            crate::fuzz::head(&data);
        }

        #[test]
        fn no_almost_valid_head_makes_a_panic(text in "[a-z=&%;,q.\"0-9:\\[\\] é-]{0,60}") {
            crate::fuzz::head(text.as_bytes());
        }

        #[test]
        fn what_is_escaped_comes_back(text in "\\PC{0,40}") {
            let escaped: String = text.bytes().map(|b| format!("%{b:02x}")).collect();
            prop_assert_eq!(percent(&escaped, true), Some(text.clone()));
            prop_assert_eq!(percent(&escape(&text), true), Some(text));
        }

        #[test]
        fn a_cookie_among_others_is_found(before in "[a-c]{1,5}=[a-z0-9]{0,8}", value in "[A-Za-z0-9_-]{1,43}") {
            let header = format!("{before}; doorline={value}; z=1");
            prop_assert_eq!(cookie(&header, "doorline"), Some(value.as_str()));
        }
    }
}
