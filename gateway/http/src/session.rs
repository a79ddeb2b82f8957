//! Sessions of browsers: in memory, so that a restart ends them.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::Instant;
use sha2::{Digest as _, Sha256};

/// A session ends after so long without a request.
pub(crate) const IDLE: Duration = Duration::from_secs(2 * 3600);
/// And after so long in any case.
pub(crate) const LIFE: Duration = Duration::from_secs(12 * 3600);
/// Sessions in all; the one not seen for longest makes room.
const SESSIONS: usize = 256;
/// Sessions of one user.
const PER_USER: usize = 16;

/// SHA-256 of a session's secret: what is kept cannot be used to log in.
pub(crate) type SessionKey = [u8; 32];

/// The key of a secret.
pub(crate) fn key(secret: &str) -> SessionKey {
    Sha256::digest(secret).into()
}

#[derive(Debug)]
struct Session {
    began: Instant,
    seen: Instant,
    user: String,
}

impl Session {
    fn alive(&self, now: Instant) -> bool {
        now.since(self.began) < LIFE && now.since(self.seen) < IDLE
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions(BTreeMap<SessionKey, Session>);

impl Sessions {
    pub(crate) fn open(&mut self, now: Instant, key: SessionKey, user: &str) {
        self.0.retain(|_, s| s.alive(now));
        while self.0.values().filter(|s| s.user == user).count() >= PER_USER {
            self.drop_oldest(|s| s.user == user);
        }
        while self.0.len() >= SESSIONS {
            self.drop_oldest(|_| true);
        }
        let session = Session {
            began: now,
            seen: now,
            user: user.to_owned(),
        };
        self.0.insert(key, session);
    }

    fn drop_oldest(&mut self, of: impl Fn(&Session) -> bool) {
        let all = self.0.iter().filter(|(_, s)| of(s));
        if let Some(key) = all.min_by_key(|(_, s)| s.seen).map(|(k, _)| *k) {
            self.0.remove(&key);
        }
    }

    /// Whose session it is; `touch` tells that its user did something.
    pub(crate) fn user(&mut self, now: Instant, key: &SessionKey, touch: bool) -> Option<String> {
        let session = self.0.get_mut(key)?;
        if !session.alive(now) {
            self.0.remove(key);
            return None;
        }
        if touch {
            session.seen = now;
        }
        Some(session.user.clone())
    }

    pub(crate) fn close(&mut self, key: &SessionKey) {
        self.0.remove(key);
    }

    /// Ends all sessions of a user, but not `keep`.
    pub(crate) fn close_user(&mut self, user: &str, keep: Option<&SessionKey>) {
        self.0.retain(|k, s| s.user != user || Some(k) == keep);
    }

    pub(crate) fn count(&mut self, now: Instant) -> usize {
        self.0.retain(|_, s| s.alive(now));
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_idle_and_in_any_case() {
        let t0 = Instant::from_nanos(1);
        let mut all = Sessions::default();
        all.open(t0, key("a"), "ann");
        let just = |d: Duration| t0 + (d - Duration::from_secs(1));
        assert_eq!(all.user(just(IDLE), &key("a"), false).as_deref(), Some("ann"));
        assert_eq!(all.user(t0 + IDLE, &key("a"), true), None);

        all.open(t0, key("a"), "ann");
        let mut at = t0;
        while at + IDLE < t0 + LIFE {
            at = at + (IDLE - Duration::from_secs(1));
            assert!(all.user(at, &key("a"), true).is_some());
        }
        assert_eq!(all.user(t0 + LIFE, &key("a"), true), None);
        assert_eq!(all.user(t0, &key("b"), true), None);
    }

    #[test]
    fn sessions_are_bounded_in_all_and_per_user() {
        let mut all = Sessions::default();
        for n in 0..1000_u64 {
            let user = if n % 2 == 0 {
                "ann".to_owned()
            } else {
                format!("u{n}")
            };
            all.open(Instant::from_nanos(n), key(&n.to_string()), &user);
        }
        assert_eq!(all.count(Instant::from_nanos(1000)), SESSIONS);
        let of_ann = all.0.values().filter(|s| s.user == "ann").count();
        assert_eq!(of_ann, PER_USER);
        let now = Instant::from_nanos(1000);
        all.close_user("ann", Some(&key("998")));
        assert!(all.user(now, &key("998"), false).is_some());
        assert!(all.user(now, &key("996"), false).is_none());
        all.close(&key("998"));
        assert!(all.user(now, &key("998"), false).is_none());
    }
}
