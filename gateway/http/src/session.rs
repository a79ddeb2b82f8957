//! Sessions of browsers: in memory, so that a restart ends them.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::Instant;
use gateway_radius::TerminateCause;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::access::{Rights, SessionKey};

/// A session ends after so long without a request.
pub(crate) const IDLE: Duration = Duration::from_secs(2 * 3600);
/// And after so long in any case.
pub(crate) const LIFE: Duration = Duration::from_secs(12 * 3600);
/// Sessions in all; the one not seen for longest makes room.
const SESSIONS: usize = 256;
/// Sessions of one user.
const PER_USER: usize = 16;

/// The key of a secret.
pub(crate) fn key(secret: &str) -> SessionKey {
    Sha256::digest(secret).into()
}

/// A RADIUS server vouches for a session: what it said at the login.
#[derive(Clone, Debug)]
pub(crate) struct Vouched {
    pub(crate) account: gateway_radius::Session,
    /// Not longer than [`IDLE`].
    pub(crate) idle: Duration,
    /// Not longer than [`LIFE`].
    pub(crate) life: Duration,
    pub(crate) rights: Rights,
}

/// A session that a RADIUS server vouched for is over: after how long, and why.
pub(crate) type Ended = (gateway_radius::Session, Duration, TerminateCause);

#[derive(Debug)]
struct Session {
    began: Instant,
    seen: Instant,
    user: String,
    /// `None` if it is an account of this gateway.
    vouched: Option<Vouched>,
}

impl Session {
    /// When and why it ends by itself.
    fn end(&self) -> (Instant, TerminateCause) {
        let (idle, life) = self.vouched.as_ref().map_or((IDLE, LIFE), |v| (v.idle, v.life));
        let (idle, life) = (self.seen + idle, self.began + life);
        if idle < life {
            (idle, TerminateCause::IdleTimeout)
        } else {
            (life, TerminateCause::SessionTimeout)
        }
    }

    fn alive(&self, now: Instant) -> bool {
        now < self.end().0
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: BTreeMap<SessionKey, Session>,
    /// Told with each end of a session.
    ends: watch::Sender<()>,
    /// Not told yet; whoever ends sessions tells.
    ended: Vec<Ended>,
}

impl Sessions {
    /// Wakes whenever a session has ended.
    pub(crate) fn ends(&self) -> watch::Receiver<()> {
        self.ends.subscribe()
    }

    pub(crate) fn open(&mut self, now: Instant, key: SessionKey, user: &str, vouched: Option<Vouched>) {
        self.sweep(now);
        while self.all.values().filter(|s| s.user == user).count() >= PER_USER {
            self.drop_oldest(now, |s| s.user == user);
        }
        while self.all.len() >= SESSIONS {
            self.drop_oldest(now, |_| true);
        }
        let session = Session {
            began: now,
            seen: now,
            user: user.to_owned(),
            vouched,
        };
        self.all.insert(key, session);
    }

    fn drop_oldest(&mut self, now: Instant, of: impl Fn(&Session) -> bool) {
        let all = self.all.iter().filter(|(_, s)| of(s));
        if let Some(key) = all.min_by_key(|(_, s)| s.seen).map(|(k, _)| *k) {
            self.close(now, &key, TerminateCause::NasRequest);
        }
    }

    /// Whose session it is, with the rights a RADIUS server gave; `touch` tells that its user did something.
    pub(crate) fn user(
        &mut self,
        now: Instant,
        key: &SessionKey,
        touch: bool,
    ) -> Option<(String, Option<Rights>)> {
        let session = self.all.get_mut(key)?;
        if !session.alive(now) {
            self.sweep(now);
            return None;
        }
        if touch {
            session.seen = now;
        }
        let rights = session.vouched.as_ref().map(|v| v.rights.clone());
        Some((session.user.clone(), rights))
    }

    pub(crate) fn close(&mut self, now: Instant, key: &SessionKey, cause: TerminateCause) {
        let Some(session) = self.all.remove(key) else {
            return;
        };
        self.ends.send_replace(());
        if let Some(vouched) = session.vouched {
            self.ended
                .push((vouched.account, now.since(session.began), cause));
        }
    }

    fn close_all(&mut self, now: Instant, cause: TerminateCause, of: impl Fn(&SessionKey, &Session) -> bool) {
        let closed: Vec<_> = self
            .all
            .iter()
            .filter(|(k, s)| of(k, s))
            .map(|(k, _)| *k)
            .collect();
        for key in closed {
            self.close(now, &key, cause);
        }
    }

    /// Ends all sessions of a user, but not `keep`.
    pub(crate) fn close_user(&mut self, now: Instant, user: &str, keep: Option<&SessionKey>) {
        self.close_all(now, TerminateCause::AdminReset, |k, s| {
            s.user == user && Some(k) != keep
        });
    }

    /// Ends those whose time is over.
    pub(crate) fn sweep(&mut self, now: Instant) {
        for cause in [TerminateCause::IdleTimeout, TerminateCause::SessionTimeout] {
            self.close_all(now, cause, |_, s| !s.alive(now) && s.end().1 == cause);
        }
    }

    /// The gateway stops.
    pub(crate) fn close_everything(&mut self, now: Instant) {
        self.sweep(now);
        self.close_all(now, TerminateCause::AdminReboot, |_, _| true);
    }

    /// Those that ended since the last call, to be told to the server.
    pub(crate) fn ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    pub(crate) fn count(&mut self, now: Instant) -> usize {
        self.sweep(now);
        self.all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_idle_and_in_any_case() {
        let t0 = Instant::from_nanos(1);
        let mut all = Sessions::default();
        all.open(t0, key("a"), "ann", None);
        let just = |d: Duration| t0 + (d - Duration::from_secs(1));
        assert_eq!(all.user(just(IDLE), &key("a"), false), Some(("ann".into(), None)));
        assert_eq!(all.user(t0 + IDLE, &key("a"), true), None);

        all.open(t0, key("a"), "ann", None);
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
            all.open(Instant::from_nanos(n), key(&n.to_string()), &user, None);
        }
        assert_eq!(all.count(Instant::from_nanos(1000)), SESSIONS);
        let of_ann = all.all.values().filter(|s| s.user == "ann").count();
        assert_eq!(of_ann, PER_USER);
        let now = Instant::from_nanos(1000);
        all.close_user(now, "ann", Some(&key("998")));
        assert!(all.user(now, &key("998"), false).is_some());
        assert!(all.user(now, &key("996"), false).is_none());
        all.close(now, &key("998"), TerminateCause::UserRequest);
        assert!(all.user(now, &key("998"), false).is_none());
    }

    fn vouched(id: &str, idle_s: u64, life_s: u64) -> Option<Vouched> {
        Some(Vouched {
            account: gateway_radius::Session {
                class: Vec::new(),
                id: id.into(),
                name: "bob".into(),
                role: gateway_radius::Role::User,
                station: "192.0.2.9".into(),
            },
            idle: Duration::from_secs(idle_s),
            life: Duration::from_secs(life_s),
            rights: Rights::admin(),
        })
    }

    #[test]
    fn a_vouched_session_lasts_as_its_server_says_and_its_end_is_told_once_with_its_cause() {
        let t0 = Instant::from_nanos(1);
        let at = |s| t0 + Duration::from_secs(s);
        let mut all = Sessions::default();
        for (name, idle, life) in [
            ("idle", 10, 100),
            ("old", 60, 20),
            ("out", 60, 100),
            ("stop", 60, 100),
        ] {
            all.open(t0, key(name), "radius:bob", vouched(name, idle, life));
        }
        all.open(t0, key("local"), "bob", None);
        assert_eq!(
            all.user(at(9), &key("idle"), false),
            Some(("radius:bob".into(), Some(Rights::admin())))
        );
        assert_eq!(all.user(at(10), &key("idle"), false), None);
        all.close(at(15), &key("out"), TerminateCause::UserRequest);
        assert_eq!(all.count(at(20)), 2);
        all.close_user(at(21), "bob", None);
        all.close_everything(at(30));
        let ended: Vec<_> = all
            .ended()
            .into_iter()
            .map(|(s, t, c)| (s.id, t.as_secs(), c))
            .collect();
        assert_eq!(
            ended,
            [
                ("idle".into(), 10, TerminateCause::IdleTimeout),
                ("out".into(), 15, TerminateCause::UserRequest),
                ("old".into(), 20, TerminateCause::SessionTimeout),
                ("stop".into(), 30, TerminateCause::AdminReboot),
            ]
        );
        assert!(all.ended().is_empty());
    }
}
