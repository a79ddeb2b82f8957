//! All channels of a site, started, changed and ended together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Clock, Seq, Timestamp};
use gateway_store::Store;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::channel::Worker;
use crate::params::{Channel, Names, Params};

/// How long a message that is being sent may take at the end.
const END: Duration = Duration::from_secs(3);

/// By which date things are too old: what is destroyed for its age by a wrong clock does not come back.
pub trait Proven: Send + Sync {
    /// Not later than what the clock shows, and not later than what has been shown to be the date; `None` if nothing has
    /// been shown yet.
    fn date(&self) -> Option<Timestamp>;
}

/// What channels work on.
#[derive(Clone)]
pub struct Ground {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// By which date events are too old.
    pub proven: Arc<dyn Proven>,
    /// The journal.
    pub store: Store,
}

/// Why channels do not get on, by name; nothing of those that do.
pub type Status = watch::Receiver<BTreeMap<String, String>>;

struct Running {
    channel: Channel,
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

/// The running channels.
pub struct NotifyHandle {
    ground: Ground,
    names: Option<Names>,
    running: BTreeMap<String, Running>,
    status: watch::Sender<BTreeMap<String, String>>,
}

/// Starts the channels.
#[must_use]
pub fn start(ground: Ground) -> NotifyHandle {
    NotifyHandle {
        ground,
        names: None,
        running: BTreeMap::new(),
        status: watch::channel(BTreeMap::new()).0,
    }
}

impl NotifyHandle {
    /// Takes other channels; those that did not change go on.
    pub async fn apply(&mut self, params: Params) {
        let same_names = self.names.as_ref() == Some(&params.names);
        self.names = Some(params.names.clone());
        let running = std::mem::take(&mut self.running);
        let mut ending = Vec::new();
        for (name, old) in running {
            if same_names && params.channels.get(&name) == Some(&old.channel) {
                self.running.insert(name, old);
            } else {
                ending.push((name, old));
            }
        }
        self.end(ending).await;
        for (name, channel) in params.channels {
            if !self.running.contains_key(&name) {
                let running = self.begin(&name, channel, params.names.clone());
                self.running.insert(name, running);
            }
        }
    }

    fn begin(&self, name: &str, channel: Channel, names: Names) -> Running {
        let (stop, stopped) = watch::channel(false);
        let (fault, mut told) = watch::channel(None);
        let worker = Worker {
            channel: channel.clone(),
            clock: Arc::clone(&self.ground.clock),
            dropped: None,
            dropped_upto: Seq(0),
            fault,
            name: name.to_owned(),
            names,
            proven: Arc::clone(&self.ground.proven),
            stop: stopped,
            store: self.ground.store.clone(),
        };
        let (status, name) = (self.status.clone(), name.to_owned());
        let shows = async move {
            while told.changed().await.is_ok() {
                let fault: Option<String> = told.borrow_and_update().clone();
                status.send_modify(|all| match fault {
                    Some(text) => drop(all.insert(name.clone(), text)),
                    None => drop(all.remove(&name)),
                });
            }
            status.send_modify(|all| drop(all.remove(&name)));
        };
        Running {
            channel,
            stop,
            tasks: [tokio::spawn(worker.run()), tokio::spawn(shows)],
        }
    }

    async fn end(&self, ending: Vec<(String, Running)>) {
        for (_, running) in &ending {
            running.stop.send_replace(true);
        }
        // one limit for all of them
        let end = Instant::now() + END;
        for (name, running) in ending {
            let [worker, shows] = running.tasks;
            let aborter = worker.abort_handle();
            if timeout_at(end, worker).await.is_err() {
                tracing::warn!(channel = %name, "a message takes too long and is sent again later");
                aborter.abort();
            }
            let _ = shows.await;
        }
    }

    /// Why channels do not get on.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.subscribe()
    }

    /// Ends all channels; what is not told yet is told after the next start.
    pub async fn stop(mut self) {
        let all = std::mem::take(&mut self.running).into_iter().collect();
        self.end(all).await;
    }
}
