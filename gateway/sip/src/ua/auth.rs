//! Digest of one account: its password, and the challenges seen so far, to answer before being asked.

use gateway_core::Secret;
use rand::RngCore;

use crate::digest::{Credentials, DigestSession};
use crate::{HeaderName, Request, Response};

/// Challenges kept: the PBX, and the proxies before it.
const MOST: usize = 4;

/// Answers challenges.
#[derive(Debug)]
pub(crate) struct Auth {
    credentials: Credentials,
    sessions: Vec<DigestSession>,
}

impl Auth {
    pub(crate) fn new(user: &str, password: &Secret) -> Self {
        Self {
            credentials: Credentials {
                user: user.to_owned(),
                password: password.clone(),
            },
            sessions: Vec::new(),
        }
    }

    /// Takes the challenge of a 401 or 407. `tries` counts the challenges of this exchange before it: after the
    /// first, only a stale nonce is answered once more, everything else means a wrong password.
    pub(crate) fn take_challenge(&mut self, response: &Response, tries: u8) -> bool {
        let Ok(session) = DigestSession::from_response(response) else {
            return false;
        };
        let other_realm = !self.sessions.iter().any(|known| same_place(known, &session));
        let stale = self.finds_stale(&session);
        self.sessions.retain(|known| !same_place(known, &session));
        if tries > 3 || (tries > 0 && !stale && !other_realm) {
            return false;
        }
        if self.sessions.len() >= MOST {
            self.sessions.remove(0);
        }
        self.sessions.push(session);
        true
    }

    /// Whoever has sent no answer, or gets the same nonce again, is not told anything by the word.
    fn finds_stale(&self, session: &DigestSession) -> bool {
        let mut known = self.sessions.iter();
        session.challenge().stale
            && known.any(|known| {
                same_place(known, session) && known.challenge().nonce != session.challenge().nonce
            })
    }

    /// Writes the answers to all known challenges into a request. True if there was one.
    pub(crate) fn preempt(&mut self, request: &mut Request, rng: &mut impl RngCore) -> bool {
        request.headers.remove(&HeaderName::Authorization);
        request.headers.remove(&HeaderName::ProxyAuthorization);
        let uri = request.uri.to_string();
        for session in &mut self.sessions {
            let value = session.authorize(&self.credentials, &request.method, &uri, &request.body, rng);
            request.headers.push(session.header(), value);
        }
        !self.sessions.is_empty()
    }

    /// Forgets all challenges: the password was refused.
    pub(crate) fn forget(&mut self) {
        self.sessions.clear();
    }
}

fn same_place(a: &DigestSession, b: &DigestSession) -> bool {
    a.header() == b.header() && a.challenge().realm == b.challenge().realm
}
