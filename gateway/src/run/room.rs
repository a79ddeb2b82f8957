//! Keeps the journal within the room and the times that the site file gives it.

use std::time::{Duration, Instant};

use gateway_config::{Config, Retention};
use gateway_core::{Class, Clock as _, Event, GatewayEvent, Record, Timestamp};
use gateway_store::Store;
use tokio::sync::watch;

use crate::clock::SystemClock;
use crate::run::proven::Dates;
use crate::run::wall::{Service, Trust};
use crate::run::{note, proven};

/// How often its size is looked at: a journal at its fastest writes some 30 MiB meanwhile.
const LOOK: Duration = Duration::from_secs(60);
/// How often it is looked for what is older than wanted: each time a segment may be written anew.
const EXPIRE: Duration = Duration::from_secs(24 * 3600);
/// How often the date that counts is written down.
const KEEP: Duration = Duration::from_secs(3600);
/// Not before so long after the start, or after a change: there is more to do then.
const QUIET: Duration = Duration::from_secs(600);
const MIB: u64 = 1024 * 1024;

/// What the site file says of it.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    mib: u64,
    retention: Retention,
}

impl Limits {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            mib: config.site.journal_mib,
            retention: config.retention.clone(),
        }
    }
}

/// What it is done with.
pub(crate) struct Room {
    pub(crate) dates: Dates,
    pub(crate) service: Service,
    pub(crate) store: Store,
    pub(crate) trust: Trust,
}

impl Room {
    /// Watches until the sender of the limits is gone.
    pub(crate) async fn watch(self, mut limits: watch::Receiver<Limits>) {
        let mut due = Instant::now() + QUIET;
        let mut keep_due = Instant::now();
        loop {
            let now = limits.borrow_and_update().clone();
            fit(&self.store, now.mib).await;
            let believed = *self.trust.borrow() == Some(true);
            self.dates.look(self.service.witness(believed));
            // by a clock that is not believed, nothing is too old; by one that is, what it may have jumped over does not count
            let date = self.dates.of_journal().filter(|_| believed);
            if let Some(date) = date
                && keep_due <= Instant::now()
            {
                proven::keep(&self.store, date);
                keep_due = Instant::now() + KEEP;
            }
            if let Some(date) = date
                && due <= Instant::now()
            {
                expire(&self.store, now.retention, date).await;
                due = Instant::now() + EXPIRE;
            }
            match tokio::time::timeout(LOOK, limits.changed()).await {
                Ok(Err(_)) => return,
                Ok(Ok(())) => due = due.min(Instant::now() + QUIET),
                Err(_) => {}
            }
        }
    }
}

async fn fit(store: &Store, mib: u64) {
    let journal = store.clone();
    // removing files may take long, and nobody waits for it
    let done = tokio::task::spawn_blocking(move || journal.keep_within(mib.saturating_mul(MIB))).await;
    match done {
        Ok(Ok(None)) | Err(_) => {}
        Ok(Ok(Some(trimmed))) => {
            let first = trimmed.first;
            tracing::info!(%first, "the journal reached site.journal-mib = {mib}: older records were removed");
            for (reader, had) in trimmed.behind {
                tracing::warn!(%reader, %had, %first, "records were removed that this reader had not had");
            }
        }
        Ok(Err(error)) => tracing::warn!(%error, "the journal could not be made smaller"),
    }
}

async fn expire(store: &Store, retention: Retention, now: Timestamp) {
    let shown = SystemClock.wall();
    if shown.duration_since(now).unsigned_abs() > EXPIRE {
        tracing::warn!(%shown, counts = %now, "the clock is ahead of the date that is shown to be right, and records are kept by \
            that date: if the clock is right, confirm it by doorline time set");
    }
    let journal = store.clone();
    let done = tokio::task::spawn_blocking(move || {
        journal.expire(now, &|record: &Record| end(&retention, record.class(), record.at))
    });
    match done.await {
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(records)) => {
            tracing::info!(
                records,
                %now,
                "records older than [retention] wants were taken out of the journal"
            );
            let until = now.to_string();
            note::journal(
                store,
                Event::Gateway(GatewayEvent::RecordsExpired { records, until }),
            );
        }
        Ok(Err(error)) => tracing::warn!(%error, "old records could not be taken out of the journal"),
    }
}

/// Up to when a record of that class and time stays; `None` as long as there is room.
fn end(retention: &Retention, class: Class, at: Timestamp) -> Option<Timestamp> {
    let days = retention.days(class)?;
    at.checked_add(Duration::from_secs(days * 24 * 3600)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_time_and_zero_is_for_ever() {
        let text = "[retention]\ndoor-days = 30\nuse-days = 0\n";
        let site = "[site]\nid = \"a\"\nname = \"A\"\nnumber = \"000000001\"\naddress = \"here\"\n";
        let loaded = gateway_config::parse(
            "site.toml",
            std::path::Path::new("."),
            &format!("{site}{text}"),
            gateway_config::SecretFiles::Untouched,
        );
        let limits = Limits::of(&loaded.expect("a good file").config);
        let at: Timestamp = "2026-03-01T00:00:00Z".parse().expect("a time");
        let ends = |class| end(&limits.retention, class, at).map(|end| end.to_string());
        assert_eq!(ends(Class::Door).as_deref(), Some("2026-03-31T00:00:00Z"));
        assert_eq!(ends(Class::Use), None);
        assert_eq!(ends(Class::Audio).as_deref(), Some("2027-03-01T00:00:00Z"));
    }
}
