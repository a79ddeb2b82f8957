//! Digest access authentication, client side (RFC 7616, RFC 8760, RFC 3261 §22).
//!
//! Challenges are read tolerantly (values with or without quotes, several in one field or in several); responses are
//! written in the form that old registrars take: `algorithm`, `qop` and `nc` without quotes, all else with them.

mod challenge;
mod hash;
#[cfg(test)]
mod tests;

use gateway_core::Secret;
use rand::RngCore;

pub use challenge::{Challenge, Qop, parse_challenges};
pub use hash::{Algorithm, Hash};

use crate::message::{HeaderName, HeaderValue, Headers, Method, Response};
use crate::scan;
use crate::token;

/// Who we are at a realm.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// User name of the account.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

/// Why a challenge cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// No challenge in the response.
    #[error("{status} without a Digest challenge in {name}")]
    NoChallenge {
        /// Status of the response.
        status: u16,
        /// Field that was looked at.
        name: HeaderName,
    },
    /// Every challenge asks for what we do not have.
    #[error(
        "found {found:?}, allowed: MD5, SHA-256, SHA-512-256 and their -sess forms, qop auth or auth-int"
    )]
    Unsupported {
        /// Algorithms and qop of the challenges.
        found: String,
    },
}

/// A challenge we answer, with the count of requests answered for its nonce.
#[derive(Clone, Debug)]
pub struct DigestSession {
    challenge: Challenge,
    algorithm: Algorithm,
    qop: Option<Qop>,
    proxy: bool,
    count: u32,
    cnonce: Option<String>,
    /// The challenge is no UTF-8: its letters are bytes, and go back and into the hash as they came.
    latin_1: bool,
}

impl DigestSession {
    /// Takes the challenge of a 401 or 407 that is best for us: strongest hash first (RFC 8760 §2.4), then the
    /// server's order.
    ///
    /// # Errors
    /// No challenge, or none that we can answer.
    pub fn from_response(response: &Response) -> Result<Self, DigestError> {
        let proxy = response.code() == 407;
        let name = if proxy {
            HeaderName::ProxyAuthenticate
        } else {
            HeaderName::WwwAuthenticate
        };
        let challenges = challenges(&response.headers, &name);
        if challenges.is_empty() {
            return Err(DigestError::NoChallenge {
                status: response.code(),
                name,
            });
        }
        // `max_by_key` takes the last of equals; the server's first is wanted.
        let usable = challenges
            .iter()
            .rev()
            .filter_map(|(c, latin_1)| Some((c, *latin_1, c.algorithm()?, c.best_qop()?)));
        let best = usable.max_by_key(|(_, _, algorithm, _)| algorithm.hash);
        let Some((challenge, latin_1, algorithm, qop)) = best else {
            let found: Vec<_> = challenges.iter().map(|(c, _)| c.summary()).collect();
            return Err(DigestError::Unsupported {
                found: found.join(", "),
            });
        };
        Ok(Self {
            challenge: challenge.clone(),
            algorithm,
            qop,
            proxy,
            count: 0,
            cnonce: None,
            latin_1,
        })
    }

    /// The challenge that was chosen.
    #[must_use]
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Algorithm that was chosen.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Field the answer goes into: `Authorization` or `Proxy-Authorization`.
    #[must_use]
    pub const fn header(&self) -> HeaderName {
        if self.proxy {
            HeaderName::ProxyAuthorization
        } else {
            HeaderName::Authorization
        }
    }

    /// True if a new 401 or 407 after our answer means a wrong password: same realm and no `stale=true`
    /// (RFC 7616 §3.3). Trying again with the same password is useless then. Ask only about the second challenge to
    /// one request: the first one to a later request may merely replace an old nonce.
    #[must_use]
    pub fn is_refused_by(&self, next: &Self) -> bool {
        self.count > 0
            && self.proxy == next.proxy
            && self.challenge.realm == next.challenge.realm
            && !next.challenge.stale
    }

    /// Value of the answer for one request. Every call counts the nonce up, so call it once per request sent.
    /// `uri` is the Request-URI as written on the wire; `body` matters for `auth-int` only.
    pub fn authorize(
        &mut self,
        credentials: &Credentials,
        method: &Method,
        uri: &str,
        body: &[u8],
        rng: &mut impl RngCore,
    ) -> HeaderValue {
        self.count = self.count.saturating_add(1);
        // A -sess key is bound to the first cnonce (RFC 7616 §3.4.2), so it stays for the session.
        let cnonce = self
            .cnonce
            .get_or_insert_with(|| token::random_token(rng))
            .clone();
        let as_it_came = |text: &str| bytes_of(text, self.latin_1);
        let input = ResponseInput {
            algorithm: self.algorithm,
            user: &credentials.user,
            realm: &as_it_came(&self.challenge.realm),
            password: credentials.password.reveal(),
            nonce: &as_it_came(&self.challenge.nonce),
            cnonce: &cnonce,
            count: self.count,
            qop: self.qop,
            method: method.as_str(),
            uri,
            body,
        };
        let response = input.response();
        let mut out = Vec::from(b"Digest ");
        let mut quoted = |name: &str, value: &str, latin_1: bool| {
            let comma = if out.ends_with(b" ") { "" } else { ", " };
            let mut text = format!("{comma}{name}=");
            let _ = scan::write_quoted(&mut text, value);
            out.extend(bytes_of(&text, latin_1));
        };
        quoted("username", &credentials.user, false);
        quoted("realm", &self.challenge.realm, self.latin_1);
        quoted("nonce", &self.challenge.nonce, self.latin_1);
        quoted("uri", uri, false);
        quoted("response", &response, false);
        if self.qop.is_some() || self.algorithm.session {
            quoted("cnonce", &cnonce, false);
        }
        if let Some(opaque) = &self.challenge.opaque {
            quoted("opaque", opaque, self.latin_1);
        }
        if self.challenge.algorithm_named {
            out.extend(format!(", algorithm={}", self.algorithm).bytes());
        }
        if let Some(qop) = self.qop {
            out.extend(format!(", qop={qop}, nc={:08x}", self.count).bytes());
        }
        HeaderValue::from(out)
    }
}

/// The bytes that were read as this text.
fn bytes_of(text: &str, latin_1: bool) -> Vec<u8> {
    if !latin_1 {
        return text.as_bytes().to_vec();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// Every Digest challenge of a field, over all its lines, and whether its line is no UTF-8.
fn challenges(headers: &Headers, name: &HeaderName) -> Vec<(Challenge, bool)> {
    let of_line = |value: &HeaderValue| {
        let latin_1 = std::str::from_utf8(value.as_bytes()).is_err();
        let read = parse_challenges(&value.text());
        read.into_iter().map(move |challenge| (challenge, latin_1))
    };
    headers.all(name).flat_map(of_line).collect()
}

/// Everything a response digest is made of (RFC 7616 §3.4.1).
#[derive(Clone, Copy, Debug)]
struct ResponseInput<'a> {
    algorithm: Algorithm,
    user: &'a str,
    realm: &'a [u8],
    password: &'a str,
    nonce: &'a [u8],
    cnonce: &'a str,
    count: u32,
    qop: Option<Qop>,
    method: &'a str,
    uri: &'a str,
    body: &'a [u8],
}

impl ResponseInput<'_> {
    fn response(&self) -> String {
        let h = |parts: &[&[u8]]| self.algorithm.hash.hex(&parts.join(&b':'));
        let (cnonce, method, uri) = (
            self.cnonce.as_bytes(),
            self.method.as_bytes(),
            self.uri.as_bytes(),
        );
        let mut ha1 = h(&[self.user.as_bytes(), self.realm, self.password.as_bytes()]);
        if self.algorithm.session {
            ha1 = h(&[ha1.as_bytes(), self.nonce, cnonce]);
        }
        let ha2 = match self.qop {
            Some(Qop::AuthInt) => {
                let body = self.algorithm.hash.hex(self.body);
                h(&[method, uri, body.as_bytes()])
            }
            Some(Qop::Auth) | None => h(&[method, uri]),
        };
        match self.qop {
            Some(qop) => {
                let (count, qop) = (format!("{:08x}", self.count), qop.to_string());
                h(&[
                    ha1.as_bytes(),
                    self.nonce,
                    count.as_bytes(),
                    cnonce,
                    qop.as_bytes(),
                    ha2.as_bytes(),
                ])
            }
            None => h(&[ha1.as_bytes(), self.nonce, ha2.as_bytes()]),
        }
    }
}
