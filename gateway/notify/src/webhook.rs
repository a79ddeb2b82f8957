//! HTTP requests, for webhooks and for the bot API.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::{Clock, Escape, Record};
use hmac::{Hmac, Mac as _};
use http::{HeaderMap, Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::time::timeout;

use crate::dial::dial;
use crate::params::Webhook;
use crate::sent::NotSent;
use crate::url::HttpUrl;

/// From a request to the end of its answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Most octets of an answer that are looked at.
const BODY: usize = 64 * 1024;

/// Requests to a server, one after the other: over one connection if it lets us, else over one for each.
pub(crate) struct Client<'a> {
    ca_file: Option<&'a Path>,
    /// What an answer has left open.
    open: Option<Requests>,
    url: &'a HttpUrl,
}

type Requests = SendRequest<Full<Bytes>>;

/// An answer: status, `Retry-After` in seconds, body as far as it came.
type Answer = (StatusCode, Option<u64>, Bytes);

impl<'a> Client<'a> {
    /// Connects with the first request.
    pub(crate) const fn new(url: &'a HttpUrl, ca_file: Option<&'a Path>) -> Self {
        Self {
            ca_file,
            open: None,
            url,
        }
    }

    async fn connect(&self) -> Result<Requests, NotSent> {
        let url = self.url;
        let stream = dial(&url.host, url.port, url.tls, self.ca_file).await?;
        let (requests, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| NotSent::later(format!("{} speaks no HTTP: {error}", url.authority())))?;
        tokio::spawn(async move {
            // the requests tell what failed
            let _ = connection.await;
        });
        Ok(requests)
    }

    /// Posts a body. Errors never hold the path, which may be secret.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, NotSent> {
        let authority = self.url.authority();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, &authority)
            .header(
                header::USER_AGENT,
                concat!("doorline/", env!("CARGO_PKG_VERSION")),
            );
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            // of the site file, not of the event: token, authorization and content-type stand in it
            .map_err(|error| {
                NotSent::later(format!(
                    "no HTTP request can be made, check token, authorization and type: {error}"
                ))
            })?;
        // A server may close what waits at any time, also while the next request is on its way (RFC 9112 §9.5): what was not
        // answered over a connection that had been used is asked once more over a new one.
        if let Some(used) = self.open.take().filter(|used| !used.is_closed())
            && let Ok(answer) = self.ask(used, request.clone(), &authority).await?
        {
            return Ok(answer);
        }
        let new = self.connect().await?;
        self.ask(new, request, &authority)
            .await?
            .map_err(|error| NotSent::later(format!("{authority} broke off: {error}")))
    }

    /// Asks over a connection, and keeps it if the answer does. `Err(NotSent)` if nothing comes.
    async fn ask(
        &mut self,
        mut requests: Requests,
        request: Request<Full<Bytes>>,
        authority: &str,
    ) -> Result<Result<Answer, hyper::Error>, NotSent> {
        let ask = async {
            requests.ready().await?;
            let answer = requests.send_request(request).await?;
            let (head, body) = answer.into_parts();
            let wait = head.headers.get(header::RETRY_AFTER);
            let wait = wait.and_then(|value| value.to_str().ok()?.parse().ok());
            let body = Limited::new(body, BODY).collect().await;
            let stays = body.is_ok() && stays_open(head.version, &head.headers);
            let body = body.map(|b| b.to_bytes()).unwrap_or_default();
            Ok::<_, hyper::Error>(((head.status, wait, body), stays))
        };
        match timeout(ANSWER, ask).await {
            Ok(Ok((answer, stays))) => {
                self.open = stays.then_some(requests);
                Ok(Ok(answer))
            }
            Ok(Err(error)) => Ok(Err(error)),
            Err(_) => {
                let s = ANSWER.as_secs();
                Err(NotSent::later(format!(
                    "{authority} does not answer within {s} s"
                )))
            }
        }
    }
}

/// May another request follow on the connection of an answer (RFC 9112 §9.3)? One of HTTP/1.0 is not trusted with it.
fn stays_open(version: Version, headers: &HeaderMap) -> bool {
    let mut options = headers
        .get_all(header::CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    version == Version::HTTP_11 && !options.any(|option| option.trim().eq_ignore_ascii_case("close"))
}

/// HMAC-SHA256 (RFC 2104) in hexadecimal, over all parts.
fn hmac(key: &str, parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    let sum = mac.finalize().into_bytes();
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two signatures: of time and body, so that a receiver can refuse what is old, and of the body alone, in the form that most
/// receivers of webhooks know.
fn signatures(key: &str, seconds: i64, body: &[u8]) -> [(&'static str, String); 2] {
    let dated = hmac(key, &[format!("{seconds}.").as_bytes(), body]);
    [
        ("doorline-signature", format!("t={seconds},v1={dated}")),
        ("x-hub-signature-256", format!("sha256={}", hmac(key, &[body]))),
    ]
}

fn escape(content_type: &str) -> Escape {
    if content_type.contains("json") {
        Escape::Json
    } else if content_type.contains("xml") {
        Escape::Xml
    } else if content_type.contains("x-www-form-urlencoded") {
        Escape::Form
    } else {
        Escape::Line
    }
}

/// Tells one record.
pub(crate) async fn tell(
    client: &mut Client<'_>,
    to: &Webhook,
    site: &str,
    record: &Arc<Record>,
    clock: &dyn Clock,
) -> Result<(), NotSent> {
    let (kind, body) = match &to.body {
        Some(template) => {
            let body = template.fill(escape(&to.content_type), |name| match name {
                "site" => site.to_owned(),
                _ => record.text_of(name),
            });
            (to.content_type.clone(), body)
        }
        None => ("application/json".to_owned(), gateway_store::json_text(record)),
    };
    let mut headers = vec![
        ("content-type", kind),
        ("doorline-seq", record.seq.0.to_string()),
        ("doorline-kind", record.kind.clone()),
    ];
    if let Some(key) = &to.key {
        let seconds = clock.wall().as_second();
        headers.extend(signatures(key.reveal(), seconds, body.as_bytes()));
    }
    if let Some(value) = &to.authorization {
        headers.push(("authorization", value.reveal().to_owned()));
    }
    let (status, wait, _) = client.post(&to.url.path, &headers, body.into_bytes()).await?;
    judged(status, wait)
}

/// What an answer means. A server that does not want one record (400, 413, 415, 422) gets the next; everything else is a matter
/// of time or of set-up, and nothing is left out for it.
fn judged(status: StatusCode, wait: Option<u64>) -> Result<(), NotSent> {
    if status.is_success() {
        return Ok(());
    }
    let text = |what: &str| format!("the server answers {status}{what}");
    match status.as_u16() {
        400 | 413 | 415 | 422 => Err(NotSent::Never(text(""))),
        300..=399 => Err(NotSent::later(text(
            "; redirects are not followed: set the address that it names",
        ))),
        401 | 403 => Err(NotSent::later(text(": check authorization or key"))),
        404 | 405 | 410 => Err(NotSent::later(text(": check the address"))),
        _ => Err(NotSent::Later {
            text: text("; it is tried again"),
            wait: wait.map(|s| Duration::from_secs(s.min(3600))),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_hmac_sha256() {
        // printf '1772366400.{"seq":12}' | openssl dgst -sha256 -hmac key, and the same without the time
        let dated = "a2b508357edbe18192f096bc66e58c8e0a634a56c651b694c889e39f4dd66f5b";
        let plain = "704deae28757fd56d43d1788b489d21b0dfa79d6deb133d79e278a9bc6f6961e";
        assert_eq!(
            signatures("key", 1_772_366_400, br#"{"seq":12}"#),
            [
                ("doorline-signature", format!("t=1772366400,v1={dated}")),
                ("x-hub-signature-256", format!("sha256={plain}")),
            ]
        );
    }

    #[test]
    fn only_what_will_never_be_taken_is_left_out() {
        let never = |code| {
            matches!(
                judged(StatusCode::from_u16(code).expect("a code"), None),
                Err(NotSent::Never(_))
            )
        };
        assert!([400, 413, 415, 422].into_iter().all(never));
        assert!(![301, 401, 403, 404, 408, 429, 500, 503].into_iter().any(never));
        assert!(judged(StatusCode::NO_CONTENT, None).is_ok());
        let Err(NotSent::Later { wait, .. }) = judged(StatusCode::TOO_MANY_REQUESTS, Some(7)) else {
            panic!("it is not taken");
        };
        assert_eq!(wait, Some(Duration::from_secs(7)));
    }
}
