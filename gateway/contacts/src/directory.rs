//! The directory: one task that visits the server when it is due.

use std::sync::Arc;

use gateway_core::{Clock, DirectoryEntry, DirectoryView};
use gateway_ldap::Found;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::copy;
use crate::params::Params;
use crate::schedule::Schedule;
use crate::visit::visit;

/// A running directory. Dropping it ends it.
#[derive(Debug)]
pub struct Directory {
    call_ended: Arc<Notify>,
    fault: watch::Receiver<Option<String>>,
    params: Params,
    task: JoinHandle<()>,
    view: watch::Receiver<Arc<DirectoryView>>,
}

impl Directory {
    /// Starts it on the current runtime: with the last good copy at once, and with what the server says as soon as it
    /// answers.
    #[must_use]
    pub fn start(params: Params, clock: Arc<dyn Clock>) -> Self {
        let source = params.source();
        let kept = copy::kept(&params.copy, &source).unwrap_or_default();
        tracing::info!(
            source,
            entries = kept.entries.len(),
            "directory of contacts, as it was read last"
        );
        let (show, view) = watch::channel(Arc::new(kept));
        let (tell, fault) = watch::channel(None);
        let call_ended = Arc::new(Notify::new());
        let task = Task {
            call_ended: Arc::clone(&call_ended),
            clock,
            params: params.clone(),
            show,
            source,
            tell,
        };
        Self {
            call_ended,
            fault,
            params,
            task: tokio::spawn(task.run()),
            view,
        }
    }

    /// What it was started with.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// A call has ended: the directory is read if it is configured so.
    pub fn call_ended(&self) {
        self.call_ended.notify_one();
    }

    /// Who is in it.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<Arc<DirectoryView>> {
        self.view.clone()
    }

    /// Why it could not be read, and what to do, if that is so.
    #[must_use]
    pub fn fault(&self) -> watch::Receiver<Option<String>> {
        self.fault.clone()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    call_ended: Arc<Notify>,
    clock: Arc<dyn Clock>,
    params: Params,
    show: watch::Sender<Arc<DirectoryView>>,
    source: String,
    tell: watch::Sender<Option<String>>,
}

impl Task {
    async fn run(self) {
        let mut schedule = Schedule::new(self.clock.now(), self.params.refresh);
        loop {
            let now = self.clock.now();
            match schedule.due().map(|due| due.since(now)) {
                Some(left) if left.is_zero() => {
                    let well = self.visit().await;
                    schedule.visited(self.clock.now(), well);
                }
                Some(left) => tokio::select! {
                    () = sleep(left) => {}
                    () = self.call_ended.notified() => schedule.call_ended(self.clock.now()),
                },
                None => {
                    self.call_ended.notified().await;
                    schedule.call_ended(self.clock.now());
                }
            }
        }
    }

    /// True if the directory was read.
    async fn visit(&self) -> bool {
        let found = match visit(&self.params).await {
            Ok(found) => found,
            Err(error) => {
                let old = self.show.borrow().clone();
                let uses = match old.read {
                    Some(at) => format!("{} entries of {at:.0} are used meanwhile", old.entries.len()),
                    None => "there are no entries".to_owned(),
                };
                let text = format!("{}: {error}; {uses}", self.source);
                tracing::warn!(%error, source = self.source, "the directory of contacts cannot be read");
                self.tell.send_replace(Some(text));
                return false;
            }
        };
        let Found {
            entries,
            more,
            unusable,
        } = found;
        let old = self.show.borrow().clone();
        // an answer without anybody is what a server gives that hides them all, too
        if let Some(at) = old.read.filter(|_| entries.is_empty() && !old.entries.is_empty()) {
            let text = format!(
                "{}: the server answers, and gives nobody with name and number: look at base, filter, and what this DN may \
                 read there; {} entries of {at:.0} are used meanwhile",
                self.source,
                old.entries.len()
            );
            tracing::warn!(
                source = self.source,
                unusable,
                "the directory of contacts came back empty"
            );
            self.tell.send_replace(Some(text));
            return false;
        }
        tracing::info!(
            entries = entries.len(),
            unusable,
            more,
            "the directory of contacts was read"
        );
        let entry = |e: gateway_ldap::Entry| DirectoryEntry {
            address: e.address,
            name: e.name,
            number: e.number,
        };
        let view = DirectoryView {
            entries: entries.into_iter().map(entry).collect(),
            read: Some(self.clock.wall()),
        };
        let mut fault = more.then(|| {
            format!(
                "{}: only the first {} entries are used; narrow the filter",
                self.source,
                view.entries.len()
            )
        });
        let (path, source, kept) = (self.params.copy.clone(), self.source.clone(), view.clone());
        let written = tokio::task::spawn_blocking(move || copy::keep(&path, &source, &kept)).await;
        if let Ok(Err(error)) = written {
            fault = Some(format!(
                "{} cannot be written, {error}: after a restart without the server there are no contacts",
                self.params.copy.display()
            ));
        }
        self.tell.send_replace(fault);
        self.show.send_replace(Arc::new(view));
        true
    }
}
