//! Entity tags of what can be edited, and requests that depend on them (RFC 9110 §8.8.3, §13.1): who changes what
//! somebody else has changed meanwhile is told, instead of undoing it unseen.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use warp::reply::Response;

use crate::problem::Problem;

/// A strong entity tag, with its quotes: 128 bits of the SHA-256 of the stored state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Etag(String);

impl Etag {
    /// Of a stored row.
    pub(crate) fn of(row: &impl Serialize) -> Self {
        Self::of_text(&serde_json::to_string(row).expect("rows are texts and lists"))
    }

    /// Of a stored state as text.
    pub(crate) fn of_text(text: &str) -> Self {
        Self::of_tag(&text_tag(text))
    }

    /// Of a [`text_tag`].
    pub(crate) fn of_tag(tag: &str) -> Self {
        Self(format!("\"{tag}\""))
    }

    /// Says it in an answer.
    pub(crate) fn on(&self, mut response: Response) -> Response {
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            response.headers_mut().insert(header::ETAG, value);
        }
        response
    }
}

/// What a text is known by: 128 bits of its SHA-256 in hexadecimal.
#[must_use]
pub fn text_tag(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().take(16).map(|b| format!("{b:02x}")).collect()
}

/// What a request says about the state that it was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// `If-None-Match: *`: nothing of this name must be there.
    absent: bool,
    /// `If-Match`: one of these, or `*`.
    among: Option<Vec<String>>,
}

/// Entity tags of one `If-Match`.
const TAGS: usize = 16;

impl Condition {
    /// Reads `If-Match` and `If-None-Match`.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |name| {
            let value = headers.get(name);
            value
                .map(|v: &HeaderValue| v.to_str().map(str::trim).map_err(|_| bad()))
                .transpose()
        };
        let absent = match text(header::IF_NONE_MATCH)? {
            None => false,
            Some("*") => true,
            Some(_) => {
                let text = "If-None-Match takes * only, which asks that nothing of this name is there";
                return Err(Problem::bad("precondition", text));
            }
        };
        let among = text(header::IF_MATCH)?.map(tags).transpose()?;
        Ok(Self { absent, among })
    }

    /// The same, for changes that replace a whole: they must say what they replace.
    pub(crate) fn needed(headers: &HeaderMap) -> Result<Self, Problem> {
        let condition = Self::of(headers)?;
        if condition.among.is_some() {
            return Ok(condition);
        }
        let text = "send If-Match with the ETag of what you have read, or * to replace it whatever it is";
        Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition",
            text,
        ))
    }

    /// True for `If-Match: *`.
    pub(crate) fn takes_any(&self) -> bool {
        self.among.as_ref().is_some_and(|among| among == &["*"])
    }

    /// Is this the state the request was made for?
    pub(crate) fn fits(&self, current: Option<&Etag>) -> bool {
        if self.absent && current.is_some() {
            return false;
        }
        match (&self.among, current) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(among), Some(current)) => among.iter().any(|tag| tag == "*" || *tag == current.0),
        }
    }

    /// Refuses a request that was made for another state.
    pub(crate) fn check(&self, current: Option<&Etag>) -> Result<(), Problem> {
        if self.fits(current) {
            Ok(())
        } else {
            Err(changed())
        }
    }
}

/// It is not what the request was made for.
pub(crate) fn changed() -> Problem {
    let text = "it was changed, made or removed by somebody else meanwhile; read it again and decide anew";
    Problem::new(StatusCode::PRECONDITION_FAILED, "changed", text)
}

fn bad() -> Problem {
    Problem::bad(
        "precondition",
        "If-Match takes * or entity tags in quotes, as an ETag header has them",
    )
}

fn tags(text: &str) -> Result<Vec<String>, Problem> {
    let all: Vec<&str> = text.split(',').map(str::trim).collect();
    let weak = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let quoted = |tag: &&str| {
        let tag = weak(tag);
        tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"')
    };
    if all.len() > TAGS || !(all == ["*"] || all.iter().all(quoted)) {
        return Err(bad());
    }
    // a weak one is kept as it is and never fits (RFC 9110 §8.8.3.2)
    Ok(all.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(name: header::HeaderName, value: &'static str) -> Result<Condition, Problem> {
        Condition::of(&HeaderMap::from_iter([(name, HeaderValue::from_static(value))]))
    }

    #[test]
    fn a_condition_holds_for_the_state_it_names() {
        let now = Etag::of(&["a"]);
        assert_eq!(now, Etag::of(&["a"]));
        assert_ne!(now, Etag::of(&["b"]));
        let none = Condition::of(&HeaderMap::new()).expect("reads");
        assert!(none.fits(Some(&now)) && none.fits(None));
        let any = condition(header::IF_MATCH, "*").expect("reads");
        assert!(any.fits(Some(&now)) && !any.fits(None));
        let other = condition(header::IF_MATCH, "\"x\", W/\"y\"").expect("reads");
        assert!(!other.fits(Some(&now)));
        let mut headers = HeaderMap::new();
        let both = format!("\"x\",{}", now.0);
        headers.insert(header::IF_MATCH, HeaderValue::from_str(&both).expect("text"));
        assert!(Condition::needed(&headers).expect("reads").fits(Some(&now)));
        headers.insert(
            header::IF_MATCH,
            HeaderValue::from_str(&format!("W/{}", now.0)).expect("text"),
        );
        assert!(
            !Condition::of(&headers).expect("reads").fits(Some(&now)),
            "weak ones never fit"
        );
        let new = condition(header::IF_NONE_MATCH, "*").expect("reads");
        assert!(new.fits(None) && !new.fits(Some(&now)));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for bad in ["", "abc", "\"a", "*, \"a\"", "\"a\",,"] {
            assert!(condition(header::IF_MATCH, bad).is_err(), "{bad:?}");
        }
        assert!(condition(header::IF_NONE_MATCH, "\"a\"").is_err());
        let problem = Condition::needed(&HeaderMap::new()).expect_err("needs one");
        assert_eq!(problem.status.as_u16(), 428);
    }
}
