//! Page and API while a gateway runs: doors do not wait for them. What keeps them from coming up (a port that another
//! program has, a certificate that is not there) is said and tried again until it is gone.

use std::sync::Arc;
use std::time::Duration;

use gateway_bus::Bus;
use gateway_core::Clock;
use gateway_http::{Certificates, HttpError, HttpHandle, HttpParams};
use gateway_radius::ServerFault;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::run::faults::Faults;
use crate::run::outside::Ground;

/// Time from one try to the next.
const AGAIN: Duration = Duration::from_secs(3);
/// The part of its certificate, in the list of faults.
const CERTIFICATE: &str = "certificate";
/// How often the end of the certificate is looked at.
const LOOK: Duration = Duration::from_secs(600);
/// The part of the gateway, in its list of faults.
const PART: &str = "page";

/// The page, or what it waits for.
#[derive(Default)]
pub(crate) struct Page {
    running: Option<(HttpHandle, HttpParams)>,
    /// Tells of RADIUS servers that do not answer, while the page asks them.
    radius: Option<JoinHandle<()>>,
    /// Tells of a certificate that somebody has to look after.
    certificate: Option<JoinHandle<()>>,
    /// What the last try failed of.
    said: Option<String>,
    /// When the next try is due.
    again: Option<Instant>,
}

impl Page {
    /// Takes what the site file says. A page that did not change goes on and reads its certificate again; if that
    /// cannot be used, the page keeps the one it has.
    pub(crate) async fn apply(&mut self, wanted: Option<HttpParams>, ground: &Ground) {
        if self.running.as_ref().map(|(_, params)| params) != wanted.as_ref() {
            self.end(ground).await;
        }
        let tried = match (&self.running, wanted) {
            // same files, but what is in them may be new
            (Some((running, _)), Some(_)) => running.reload_tls().map_err(|error| {
                format!(
                    "page and API go on with the certificate they had: {}",
                    told(&error)
                )
            }),
            (None, Some(params)) => self
                .begin(params, ground)
                .await
                .map_err(|error| format!("page and API do not run, doors do: {}", told(&error))),
            (_, None) => Ok(()),
        };
        self.note(tried.err(), &ground.faults);
    }

    /// When [`apply`](Self::apply) has to be called once more; `None` if all is well.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.again
    }

    /// The page, if it runs, and what it runs with.
    pub(crate) const fn running(&self) -> Option<&(HttpHandle, HttpParams)> {
        self.running.as_ref()
    }

    async fn begin(&mut self, params: HttpParams, ground: &Ground) -> Result<(), HttpError> {
        let (bus, clock) = (ground.bus.clone(), Arc::clone(&ground.clock));
        let handle = gateway_http::start(params.clone(), bus, clock).await?;
        ground.faults.set("users", handle.lost_users());
        let servers = handle.radius_faults();
        self.radius = servers.map(|s| tokio::spawn(tell_radius(s, ground.faults.clone())));
        let watched = tell_certificate(
            handle.certificates(),
            ground.bus.clone(),
            (Arc::clone(&ground.clock), ground.faults.clone()),
        );
        self.certificate = Some(tokio::spawn(watched));
        self.running = Some((handle, params));
        Ok(())
    }

    /// Says what is new of it.
    fn note(&mut self, trouble: Option<String>, faults: &Faults) {
        self.again = trouble.is_some().then(|| Instant::now() + AGAIN);
        if trouble != self.said {
            match &trouble {
                Some(text) => tracing::error!("{text}; tried again every {} s", AGAIN.as_secs()),
                None => tracing::info!("page and API are well again"),
            }
            faults.set(PART, trouble.clone());
            self.said = trouble;
        }
    }

    /// Ends it until [`apply`](Self::apply) is called once more.
    pub(crate) async fn pause(&mut self, ground: &Ground) {
        self.end(ground).await;
    }

    async fn end(&mut self, ground: &Ground) {
        if let Some((old, _)) = self.running.take() {
            old.shutdown().await;
        }
        if let Some(task) = self.radius.take() {
            task.abort();
            let _ = task.await;
            ground.faults.clear("radius:");
        }
        if let Some(task) = self.certificate.take() {
            task.abort();
            let _ = task.await;
            ground.faults.set(CERTIFICATE, None);
        }
    }

    /// Ends it for good.
    pub(crate) async fn stop(mut self, ground: &Ground) {
        self.end(ground).await;
    }
}

fn told(error: &HttpError) -> String {
    format!("{}: {}", error.part(), error.in_full())
}

/// Notes that the certificate ends soon, or cannot be used: as another one is served, and now and then.
async fn tell_certificate(mut served: Certificates, bus: Bus, (clock, faults): (Arc<dyn Clock>, Faults)) {
    let mut told = None;
    loop {
        let trusted = bus
            .view()
            .borrow()
            .faults
            .iter()
            .all(|fault| fault.part != "clock");
        let date = trusted.then(|| clock.wall());
        let fault = served.now().and_then(|served| served.fault(date));
        // while nobody knows the date, what was said stands
        if trusted || fault.is_some() {
            if let Some(text) = fault.as_ref().filter(|_| told.is_none()) {
                tracing::warn!("{text}");
            }
            faults.set(CERTIFICATE, fault.clone());
            told = fault;
        }
        let looked = tokio::time::timeout(LOOK, served.changed()).await;
        if looked == Ok(false) {
            return;
        }
    }
}

/// Notes which RADIUS servers do not answer.
async fn tell_radius(mut servers: watch::Receiver<Vec<ServerFault>>, faults: Faults) {
    let mut shown: Vec<ServerFault> = Vec::new();
    loop {
        let now = servers.borrow_and_update().clone();
        for old in shown
            .iter()
            .filter(|old| !now.iter().any(|new| new.part == old.part))
        {
            faults.set(&old.part, None);
        }
        for new in &now {
            faults.set(&new.part, Some(new.text.clone()));
        }
        shown = now;
        if servers.changed().await.is_err() {
            return;
        }
    }
}
