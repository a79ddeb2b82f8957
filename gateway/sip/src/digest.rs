//! Digest access authentication, client side (RFC 7616, RFC 8760, RFC 3261 §22).
//!
//! Challenges are read tolerantly (values with or without quotes, several in one field or in several); responses are
//! written in the form that old registrars take: `algorithm`, `qop` and `nc` without quotes, all else with them.

mod challenge;
mod hash;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use gateway_core::Secret;
use rand::RngCore;

pub use challenge::{Challenge, Qop, parse_challenges};
pub use hash::{Algorithm, Hash};

use crate::message::{HeaderName, Headers, Method, Response};
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
            .filter_map(|c| Some((c, c.algorithm()?, c.best_qop()?)));
        let best = usable.max_by_key(|(_, algorithm, _)| algorithm.hash);
        let Some((challenge, algorithm, qop)) = best else {
            let found: Vec<_> = challenges.iter().map(Challenge::summary).collect();
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

    /// Takes over the `nextnonce` of an Authentication-Info field (RFC 7616 §3.5).
    pub fn handle_authentication_info(&mut self, headers: &Headers) {
        let Some(text) = headers.text(&HeaderName::AuthenticationInfo) else {
            return;
        };
        let next = scan::split_outside(&text, b',').find_map(|p| {
            let (name, value) = p.split_once('=')?;
            scan::trim(name)
                .eq_ignore_ascii_case("nextnonce")
                .then(|| scan::unquote(scan::trim(value)))
        });
        if let Some(nonce) = next.filter(|n| *n != self.challenge.nonce) {
            self.challenge.nonce = nonce;
            self.count = 0;
            self.cnonce = None;
        }
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
    ) -> String {
        self.count = self.count.saturating_add(1);
        // A -sess key is bound to the first cnonce (RFC 7616 §3.4.2), so it stays for the session.
        let cnonce = self
            .cnonce
            .get_or_insert_with(|| token::random_token(rng))
            .clone();
        let input = ResponseInput {
            algorithm: self.algorithm,
            user: &credentials.user,
            realm: &self.challenge.realm,
            password: credentials.password.reveal(),
            nonce: &self.challenge.nonce,
            cnonce: &cnonce,
            count: self.count,
            qop: self.qop,
            method: method.as_str(),
            uri,
            body,
        };
        let response = input.response();
        let mut out = String::from("Digest ");
        let mut quoted = |name: &str, value: &str| {
            let comma = if out.ends_with(' ') { "" } else { ", " };
            let _ = write!(out, "{comma}{name}=");
            let _ = scan::write_quoted(&mut out, value);
        };
        quoted("username", &credentials.user);
        quoted("realm", &self.challenge.realm);
        quoted("nonce", &self.challenge.nonce);
        quoted("uri", uri);
        quoted("response", &response);
        if self.qop.is_some() || self.algorithm.session {
            quoted("cnonce", &cnonce);
        }
        if let Some(opaque) = &self.challenge.opaque {
            quoted("opaque", opaque);
        }
        if self.challenge.algorithm_named {
            let _ = write!(out, ", algorithm={}", self.algorithm);
        }
        if let Some(qop) = self.qop {
            let _ = write!(out, ", qop={qop}, nc={:08x}", self.count);
        }
        out
    }
}

/// Every Digest challenge of a field, over all its lines.
fn challenges(headers: &Headers, name: &HeaderName) -> Vec<Challenge> {
    headers
        .all(name)
        .flat_map(|value| parse_challenges(&value.text()))
        .collect()
}

/// Everything a response digest is made of (RFC 7616 §3.4.1).
#[derive(Clone, Copy, Debug)]
struct ResponseInput<'a> {
    algorithm: Algorithm,
    user: &'a str,
    realm: &'a str,
    password: &'a str,
    nonce: &'a str,
    cnonce: &'a str,
    count: u32,
    qop: Option<Qop>,
    method: &'a str,
    uri: &'a str,
    body: &'a [u8],
}

impl ResponseInput<'_> {
    fn response(&self) -> String {
        let h = |text: &str| self.algorithm.hash.hex(text.as_bytes());
        let mut ha1 = h(&format!("{}:{}:{}", self.user, self.realm, self.password));
        if self.algorithm.session {
            ha1 = h(&format!("{ha1}:{}:{}", self.nonce, self.cnonce));
        }
        let ha2 = match self.qop {
            Some(Qop::AuthInt) => {
                let body = self.algorithm.hash.hex(self.body);
                h(&format!("{}:{}:{body}", self.method, self.uri))
            }
            Some(Qop::Auth) | None => h(&format!("{}:{}", self.method, self.uri)),
        };
        match self.qop {
            Some(qop) => h(&format!(
                "{ha1}:{}:{:08x}:{}:{qop}:{ha2}",
                self.nonce, self.count, self.cnonce
            )),
            None => h(&format!("{ha1}:{}:{ha2}", self.nonce)),
        }
    }
}
