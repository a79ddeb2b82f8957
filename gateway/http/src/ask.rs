//! A request as its handler has it, and answers that several handlers give.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use warp::Reply as _;
use warp::reply::Response;

use crate::access::Principal;
use crate::limits::{Place, Source};
use crate::objects::objects;
use crate::once::once;
use crate::parse;
use crate::problem::Problem;

/// Who is at the other end of a connection; a request extension.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Kept by whatever outlives the HTTP exchange, such as a WebSocket.
    pub(crate) place: Arc<Place>,
}

impl Peer {
    pub(crate) fn source(&self) -> Source {
        Source::of(self.address.ip())
    }
}

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) headers: HeaderMap,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) peer: Peer,
    pub(crate) query: String,
}

/// A request that may be answered.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) body: Vec<u8>,
    pub(crate) captured: Vec<String>,
    pub(crate) head: Head,
    /// Known wherever the route needs it.
    pub(crate) principal: Option<Principal>,
}

impl Ask {
    /// The requester.
    pub(crate) fn principal(&self) -> Result<&Principal, Problem> {
        let missing = || Problem::new(StatusCode::UNAUTHORIZED, "login", "log in first");
        self.principal.as_ref().ok_or_else(missing)
    }

    /// The requester, if known.
    pub(crate) const fn known(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    pub(crate) fn captured(&self, n: usize) -> &str {
        self.captured.get(n).map_or("", String::as_str)
    }

    pub(crate) fn query(&self) -> Result<parse::Query, Problem> {
        parse::Query::parse(&self.head.query)
    }

    /// Has the body this media type?
    pub(crate) fn is_of(&self, media_type: &str) -> bool {
        let kind = self.head.headers.get(header::CONTENT_TYPE);
        kind.and_then(|v| v.to_str().ok()).is_some_and(|t| {
            let essence = t.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case(media_type)
        })
    }

    /// The body as an object of JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.read().map(|(body, _)| body)
    }

    /// The body of a command: as [`Ask::json`], and no member is `null`, which says no more than none and may be what a
    /// client has left of what it meant.
    pub(crate) fn command<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let (body, null) = self.read()?;
        null.map_or(Ok(body), |name| {
            let text = format!("body: {name:?} is null: leave it out, or say what is meant");
            Err(Problem::bad("body", text))
        })
    }

    /// The body as an object of JSON, and a member of it that is `null`.
    fn read<T: DeserializeOwned>(&self) -> Result<(T, Option<String>), Problem> {
        let value = self.any_json()?;
        let Some(members) = value.as_object() else {
            return Err(Problem::bad(
                "body",
                "body: a JSON object is needed, such as {\"id\": …}",
            ));
        };
        let null = members.iter().find(|(_, value)| value.is_null());
        let null = null.map(|(name, _)| name.clone());
        let bad = |e: serde_json::Error| Problem::bad("body", format!("body: {e}"));
        // this one knows where in the text something is wrong
        serde_json::from_slice::<T>(&self.body).map_err(bad)?;
        Ok((objects(value).map_err(bad)?, null))
    }

    /// The body of a command that needs none.
    pub(crate) fn command_if_any<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.body.is_empty() {
            Ok(T::default())
        } else {
            self.command()
        }
    }

    /// The body as any value of JSON, in which nothing is said twice.
    pub(crate) fn any_json(&self) -> Result<serde_json::Value, Problem> {
        if !self.is_of("application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "body",
                "send the body with Content-Type: application/json",
            ));
        }
        let bad = |e: serde_json::Error| Problem::bad("body", format!("body: {e}"));
        once(&self.body).map_err(bad)?;
        serde_json::from_slice(&self.body).map_err(bad)
    }
}

/// Takes from the schema of a command that a member may be `null`.
#[cfg(test)]
pub(crate) fn never_null(schema: &mut schemars::Schema) {
    let members = schema
        .get_mut("properties")
        .and_then(serde_json::Value::as_object_mut);
    for (_, member) in members.into_iter().flatten() {
        let kinds = member.get_mut("type");
        if let Some(kind) = kinds.and_then(|kinds| kinds.as_array()?.first().cloned()) {
            member["type"] = kind;
        }
    }
}

/// Answers with JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    let text = serde_json::to_string(value)
        .map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", e.to_string()))?;
    let mut response = http::Response::new(text).into_response();
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Goes on to the end even if whoever asked is gone: what is on the medium has its effects, and is journalled.
pub(crate) async fn to_its_end(
    change: impl Future<Output = Result<Response, Problem>> + Send + 'static,
) -> Result<Response, Problem> {
    tokio::spawn(change).await.unwrap_or_else(|_| {
        let text = "the change broke off, see the log of the gateway";
        Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", text))
    })
}
