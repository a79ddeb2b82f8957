//! What every request shares, and who the requester is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_bus::Bus;
use gateway_core::{Clock, Envelope, Event, Fault, SiteView, UserEvent};
use http::{HeaderMap, StatusCode, header};
use rustls::ServerConfig;
use tokio::sync::{Semaphore, watch};

use crate::access::{Principal, Scope, Who};
use crate::familiar::Familiar;
use crate::limits::Places;
use crate::metrics::Metrics;
use crate::origin::Own;
use crate::params::{HttpError, HttpParams, Tls};
use crate::parse;
use crate::password::Hasher;
use crate::people::People;
use crate::problem::Problem;
use crate::quota::Quotas;
use crate::radius::Radius;
use crate::session::{Sessions, key};
use crate::setup::{self, Setup};
use crate::throttle::Throttle;
use crate::tls::{self, Identity, Served};

/// Live streams at once; each costs a task.
pub(crate) const STREAMS: usize = 64;
/// Look-ups in the journal at once: they read the disk.
const LOOKUPS: usize = 2;
/// Failed logins that are journalled in a minute; the rest is counted in the metrics.
const JOURNALLED: u32 = 30;

/// The throttles of logins.
#[derive(Debug)]
pub(crate) struct Locks {
    pub(crate) familiar: Familiar,
    journalled: (gateway_core::Instant, u32),
    pub(crate) sources: Throttle,
    /// Shorter: a stranger must not keep the owner out for long; and not at all where the owner is familiar.
    pub(crate) users: Throttle,
}

pub(crate) struct App {
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    /// Held from the look at a user, token or contact to its change: what a condition was checked on stays as it is.
    pub(crate) edits: tokio::sync::Mutex<()>,
    pub(crate) hasher: Hasher,
    /// What new connections get; `None` without TLS.
    identity: watch::Sender<Option<Arc<Identity>>>,
    locks: Mutex<Locks>,
    /// At the start there were no users, though there had been.
    lost: bool,
    pub(crate) lookups: Semaphore,
    pub(crate) metrics: Metrics,
    pub(crate) params: HttpParams,
    pub(crate) people: People,
    pub(crate) places: Places,
    quotas: Mutex<Quotas>,
    /// What became of rules.
    pub(crate) ruled: crate::rules::Watched,
    /// Asked about names that are not ours.
    pub(crate) radius: Option<Radius>,
    sessions: Mutex<Sessions>,
    setup: Mutex<Option<Setup>>,
    stopped: watch::Receiver<bool>,
    pub(crate) streams: Arc<Semaphore>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    pub(crate) fn new(
        params: HttpParams,
        bus: Bus,
        clock: Arc<dyn Clock>,
        stopped: watch::Receiver<bool>,
        identity: Option<Identity>,
    ) -> Result<Self, HttpError> {
        let people = People::new(bus.store().records().clone());
        let mark = &params.users_mark;
        // also if nobody may look: whatever it is, it is not nothing
        let lost = people.is_empty() && mark.try_exists().unwrap_or(true);
        let setup = if !people.is_empty() {
            setup::note_users(mark);
            None
        } else if lost {
            tracing::error!(mark = %mark.display(), "{}", setup::LOST);
            None
        } else {
            let mut random = [0; 12];
            getrandom::fill(&mut random).map_err(HttpError::Random)?;
            Some(Setup::new(clock.now(), random))
        };
        let now = clock.now();
        let radius = params.radius.as_ref().map(|logins| Radius::start(logins, &clock));
        Ok(Self {
            bus,
            clock,
            edits: tokio::sync::Mutex::default(),
            hasher: Hasher::new(),
            identity: watch::channel(identity.map(Arc::new)).0,
            locks: Mutex::new(Locks {
                familiar: Familiar::default(),
                journalled: (now, 0),
                sources: Throttle::new(5, Duration::from_secs(900)),
                users: Throttle::new(10, Duration::from_secs(60)),
            }),
            lost,
            lookups: Semaphore::new(LOOKUPS),
            metrics: Metrics::default(),
            params,
            people,
            places: Places::default(),
            quotas: Mutex::default(),
            radius,
            ruled: crate::rules::Watched::default(),
            sessions: Mutex::default(),
            setup: Mutex::new(setup),
            stopped,
            streams: Arc::new(Semaphore::new(STREAMS)),
        })
    }

    /// Reads the certificate again; connections made from then on use it. The old one stays if that fails.
    ///
    /// # Errors
    /// [`HttpError`] of the files.
    pub(crate) fn reload_tls(&self) -> Result<(), HttpError> {
        let fresh = tls::load(&self.params.tls, self.clock.wall())?;
        self.identity.send_replace(fresh.map(Arc::new));
        Ok(())
    }

    /// What new connections get; `None` without TLS.
    pub(crate) fn tls_config(&self) -> Option<Arc<ServerConfig>> {
        self.identity
            .borrow()
            .as_ref()
            .map(|identity| Arc::clone(&identity.config))
    }

    /// What is shown of that.
    pub(crate) fn served(&self) -> Option<Served> {
        self.identity
            .borrow()
            .as_ref()
            .map(|identity| identity.served.clone())
    }

    /// Tells when new connections get another one.
    pub(crate) fn certificates(&self) -> watch::Receiver<Option<Arc<Identity>>> {
        self.identity.subscribe()
    }

    /// The date, if the clock is believed.
    pub(crate) fn date(&self) -> Option<gateway_core::Timestamp> {
        let view = self.bus.view();
        let trusted = view.borrow().faults.iter().all(|fault| fault.part != "clock");
        trusted.then(|| self.clock.wall())
    }

    /// Waits until the interface stops.
    pub(crate) async fn stop(&self) {
        let mut stopped = self.stopped.clone();
        drop(stopped.wait_for(|stop| *stop).await);
    }

    pub(crate) fn tls(&self) -> bool {
        self.params.tls != Tls::Off
    }

    pub(crate) fn own(&self) -> Own<'_> {
        Own {
            origins: &self.params.origins,
            tls: self.tls(),
        }
    }

    /// The live picture. A core that does not answer cannot say so itself: then no door counts as available.
    pub(crate) fn view(&self) -> Arc<SiteView> {
        let view = self.bus.view().borrow().clone();
        let Some(silent) = self.core_silent() else {
            return view;
        };
        let mut view = SiteView::clone(&view);
        for door in &mut view.doors {
            door.available = false;
        }
        let text = format!(
            "the core has not answered for {} s: doors open neither for cards, calls nor commands, and what is shown \
             is old; start the gateway anew (systemctl restart doorline)",
            silent.as_secs()
        );
        let part = "core".to_owned();
        view.faults.insert(0, Fault { part, text });
        Arc::new(view)
    }

    /// How long the core has not answered, if that is longer than it may take.
    pub(crate) fn core_silent(&self) -> Option<Duration> {
        self.bus.core_silent(self.clock.now())
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        held(&self.sessions)
    }

    pub(crate) fn locks(&self) -> MutexGuard<'_, Locks> {
        held(&self.locks)
    }

    pub(crate) fn quotas(&self) -> MutexGuard<'_, Quotas> {
        held(&self.quotas)
    }

    pub(crate) fn setup(&self) -> MutexGuard<'_, Option<Setup>> {
        held(&self.setup)
    }

    pub(crate) fn setup_code(&self) -> Option<String> {
        let now = self.clock.now();
        self.setup().as_ref()?.code(now).map(str::to_owned)
    }

    /// There were users and they are gone: only somebody at the machine may say that a new one may be made.
    pub(crate) fn lost_users(&self) -> Option<String> {
        let mark = self.params.users_mark.display();
        (self.lost && self.people.is_empty()).then(|| format!("{}: {mark}", setup::LOST))
    }

    /// With TLS the prefix ties the cookie to this host and to TLS (RFC 6265bis §4.1.3.2).
    pub(crate) fn cookie_name(&self) -> &'static str {
        if self.tls() { "__Host-doorline" } else { "doorline" }
    }

    /// The secret of the session cookie, whether good or not.
    pub(crate) fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let all = headers.get_all(header::COOKIE).iter();
        all.filter_map(|v| v.to_str().ok())
            .find_map(|text| parse::cookie(text, self.cookie_name()))
    }

    /// Who sends these headers: by token, or by session.
    pub(crate) fn principal(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        let refused = |text: &str| Problem::new(StatusCode::UNAUTHORIZED, "login", text);
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(parse::bearer);
            self.trusted_clock()?;
            let known = token.and_then(|t| self.people.by_token(t, self.clock.wall()));
            return known.map(|known| self.believed(known)).ok_or_else(|| {
                refused("this token is not known or has expired; an administrator makes a new one")
            });
        }
        let Some(secret) = self.cookie(headers) else {
            return Err(refused(
                "log in at the page, or send Authorization: Bearer with an API token",
            ));
        };
        self.by_session(key(secret), true)
            .ok_or_else(|| refused("the session is over; log in again"))
    }

    /// A token is good until a date, and a clock that is not believed says no date. People log in all the same.
    fn trusted_clock(&self) -> Result<(), Problem> {
        let view = self.bus.view();
        if !view.borrow().faults.iter().any(|fault| fault.part == "clock") {
            return Ok(());
        }
        let text = "the gateway's clock is not trusted, so nobody knows whether a token has expired: check its time \
                    source, or log in with a password";
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "clock", text).later(60))
    }

    fn by_session(&self, session: [u8; 32], touch: bool) -> Option<Principal> {
        let (name, vouched) = self.sessions().user(self.clock.now(), &session, touch)?;
        let who = Who::User {
            name: name.clone(),
            session,
        };
        match vouched {
            Some(rights) => Some(Principal { rights, who }),
            None => {
                let rights = self.people.user_rights(&name)?;
                Some(self.believed(Principal { rights, who }))
            }
        }
    }

    /// What is left of somebody whom the records know.
    fn believed(&self, mut principal: Principal) -> Principal {
        if self.params.doubt {
            principal.rights.scopes = [Scope::Read].into();
        }
        principal
    }

    /// The same requester some time later, with the rights of this moment.
    ///
    /// # Errors
    /// He may not see anything any more, and why, in a word.
    pub(crate) fn renewed(&self, principal: &Principal) -> Result<Principal, &'static str> {
        let renewed = match &principal.who {
            Who::Token { id, .. } => {
                self.trusted_clock().map_err(|_| "clock")?;
                let known = self.people.token_principal(id, self.clock.wall());
                self.believed(known.ok_or("removed")?)
            }
            Who::User { name, session } => self.by_session(*session, false).ok_or_else(|| {
                let ours = !name.starts_with(crate::radius::PREFIX);
                if ours && self.people.user(name).is_none() {
                    "removed"
                } else {
                    "logged-out"
                }
            })?,
        };
        if renewed.rights.allows(Scope::Read) {
            Ok(renewed)
        } else {
            Err("not-allowed")
        }
    }

    /// What may change the rights of somebody, from this moment on.
    pub(crate) fn rights_news(&self) -> RightsNews {
        RightsNews {
            ends: self.sessions().ends(),
            people: self.people.changes(),
        }
    }

    /// Journals what users did.
    pub(crate) fn journal(&self, event: UserEvent) {
        if let UserEvent::LoginFailed { .. } = event {
            let now = self.clock.now();
            let mut locks = self.locks();
            if now.since(locks.journalled.0) >= Duration::from_secs(60) {
                locks.journalled = (now, 0);
            }
            locks.journalled.1 += 1;
            if locks.journalled.1 > JOURNALLED {
                return;
            }
        }
        let envelope = Envelope {
            at: self.clock.wall(),
            event: Event::User(event),
            ring: None,
            simulated: false,
        };
        if let Err(error) = self.bus.store().append(envelope) {
            tracing::warn!(%error, "event of a user could not be journalled");
        }
    }
}

/// Tells that somebody's rights may have changed.
pub(crate) struct RightsNews {
    ends: watch::Receiver<()>,
    people: watch::Receiver<()>,
}

impl RightsNews {
    /// Is there anything since [`Self::settle`]?
    pub(crate) fn any(&self) -> bool {
        [&self.ends, &self.people]
            .iter()
            .any(|news| news.has_changed().unwrap_or(true))
    }

    /// Waits until there is.
    pub(crate) async fn wait(&mut self) {
        // an error means that nothing is left that could change them
        let ended = tokio::select! {
            news = self.ends.changed() => news.is_err(),
            news = self.people.changed() => news.is_err(),
        };
        if ended {
            std::future::pending::<()>().await;
        }
    }

    /// What was told so far is known; the rights are read after this.
    pub(crate) fn settle(&mut self) {
        self.ends.mark_unchanged();
        self.people.mark_unchanged();
    }
}
