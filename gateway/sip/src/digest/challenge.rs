//! WWW-Authenticate and Proxy-Authenticate.

use std::fmt;

use super::hash::Algorithm;
use crate::scan;

/// Quality of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// Method and URI are covered.
    Auth,
    /// The body as well.
    AuthInt,
}

impl fmt::Display for Qop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        })
    }
}

/// One Digest challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Realm, shown to people, part of the key.
    pub realm: String,
    /// Nonce.
    pub nonce: String,
    /// Given back unchanged.
    pub opaque: Option<String>,
    /// The nonce was too old, the password is right.
    pub stale: bool,
    /// Algorithm token; `MD5` if none was named.
    pub algorithm_token: String,
    /// True if the challenge named an algorithm, which the answer then repeats.
    pub algorithm_named: bool,
    /// `qop` tokens; `None` if the challenge has no `qop` (RFC 2069).
    pub qop: Option<Vec<String>>,
}

impl Challenge {
    /// The algorithm, if we know it.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::parse(&self.algorithm_token)
    }

    /// The qop to answer with: `auth` before `auth-int`, because proxies change bodies. The outer `None` means that
    /// none of the offered ones is known.
    pub(super) fn best_qop(&self) -> Option<Option<Qop>> {
        let Some(offered) = &self.qop else {
            return Some(None);
        };
        let has = |token: &str| offered.iter().any(|q| q.eq_ignore_ascii_case(token));
        if has("auth") {
            Some(Some(Qop::Auth))
        } else if has("auth-int") {
            Some(Some(Qop::AuthInt))
        } else if offered.is_empty() {
            // qop="" is what some PBXs write for none.
            Some(None)
        } else {
            None
        }
    }

    pub(super) fn summary(&self) -> String {
        let qop = self
            .qop
            .as_ref()
            .map_or_else(|| "no qop".to_owned(), |q| format!("qop {}", q.join("/")));
        format!("{} {qop}", self.algorithm_token)
    }
}

/// Reads the Digest challenges of one field value, in order. Other schemes, and challenges without realm or nonce, are
/// left out.
#[must_use]
pub fn parse_challenges(text: &str) -> Vec<Challenge> {
    let mut out: Vec<Draft> = Vec::new();
    let mut in_digest = false;
    for piece in scan::split_outside(text, b',') {
        let mut piece = piece;
        // A piece that begins with a word and a space begins a challenge: `Digest realm="a"`.
        let word = piece
            .find(|c: char| !c.is_ascii() || !scan::is_token_byte(c as u8))
            .unwrap_or(piece.len());
        let after = piece[word..].trim_start_matches(scan::is_lws);
        let starts = word < piece.len() && after.len() < piece.len() - word && !after.starts_with('=');
        let alone = word == piece.len();
        // `qop=auth,auth-int` without quotes is cut at its comma.
        if let (true, true, Some(draft)) = (alone && is_qop(piece), in_digest, out.last_mut()) {
            draft.set("qop", piece);
            continue;
        }
        if starts || alone {
            in_digest = piece[..word].eq_ignore_ascii_case("Digest");
            if in_digest {
                out.push(Draft::default());
            }
            piece = after;
        }
        if let (true, Some(draft), Some((name, value))) = (in_digest, out.last_mut(), piece.split_once('=')) {
            draft.set(scan::trim(name), scan::trim(value));
        }
    }
    out.into_iter().filter_map(Draft::finish).collect()
}

fn is_qop(token: &str) -> bool {
    [Qop::Auth, Qop::AuthInt]
        .iter()
        .any(|q| q.to_string().eq_ignore_ascii_case(token))
}

#[derive(Default)]
struct Draft {
    realm: Option<String>,
    nonce: Option<String>,
    opaque: Option<String>,
    stale: bool,
    algorithm: Option<String>,
    qop: Option<Vec<String>>,
}

impl Draft {
    fn set(&mut self, name: &str, value: &str) {
        let value = if value.starts_with('"') {
            scan::unquote(value)
        } else {
            value.to_owned()
        };
        match name.to_ascii_lowercase().as_str() {
            "realm" => self.realm = Some(value),
            "nonce" => self.nonce = Some(value),
            "opaque" => self.opaque = Some(value),
            "stale" => self.stale = value.eq_ignore_ascii_case("true"),
            "algorithm" => self.algorithm = Some(value),
            "qop" => {
                let tokens = value.split([',', ' ', '\t']).filter(|t| !t.is_empty());
                let list = self.qop.get_or_insert_default();
                list.extend(tokens.map(str::to_owned));
            }
            _ => {}
        }
    }

    fn finish(self) -> Option<Challenge> {
        Some(Challenge {
            realm: self.realm?,
            nonce: self.nonce?,
            opaque: self.opaque,
            stale: self.stale,
            algorithm_named: self.algorithm.is_some(),
            algorithm_token: self.algorithm.unwrap_or_else(|| "MD5".to_owned()),
            qop: self.qop,
        })
    }
}
