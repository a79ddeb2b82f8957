//! The queue in front of a log and the thread behind it: order is given at once, the medium follows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gateway_core::{Histogram, Seq};
use tokio::sync::watch;

use crate::io::full;
use crate::log::Log;
use crate::report::Health;

/// Records taken with one commit at most.
const BATCH: usize = 1024;
/// Quiet time after which a mark says that everything is durable.
const IDLE: Duration = Duration::from_secs(1);
/// Longest wait for a task that wants the log at rest.
const REST: Duration = Duration::from_secs(60);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(2);

/// Something that becomes a frame.
pub(crate) trait Item: Clone + Send + 'static {
    fn payload(&self) -> Vec<u8>;
}

/// Something that wants the log at rest, with everything that was queued before it on the medium.
pub(crate) type Task = Box<dyn FnOnce(&mut Log) + Send>;

pub(crate) struct Inner<T> {
    pub(crate) waiting: VecDeque<T>,
    /// When each of those came.
    since: VecDeque<Instant>,
    /// Number the next item gets.
    pub(crate) next: u64,
    pub(crate) closed: bool,
    /// Items that replace one another by key until `due`.
    deferred: BTreeMap<String, T>,
    due: Option<Instant>,
    /// In order; they are dropped when the log closes before their turn.
    tasks: VecDeque<Task>,
}

impl<T> Inner<T> {
    /// Adds an item and gives its number.
    pub(crate) fn push(&mut self, item: T) -> u64 {
        let seq = self.next;
        self.next += 1;
        self.waiting.push_back(item);
        self.since.push_back(Instant::now());
        seq
    }

    /// Keeps an item back for a while; a later one of the same key replaces it.
    pub(crate) fn defer(&mut self, key: &str, item: T, wait: Duration) {
        self.deferred.insert(key.to_owned(), item);
        self.due.get_or_insert_with(|| Instant::now() + wait);
    }

    fn release(&mut self) {
        self.due = None;
        for (_, item) in std::mem::take(&mut self.deferred) {
            self.push(item);
        }
    }
}

pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    bell: Condvar,
    pub(crate) durable: watch::Receiver<Seq>,
}

impl<T> Queue<T> {
    /// The queue, and what the writer owns: once the writer ends, tickets learn that nothing more comes.
    pub(crate) fn new(log: &Log) -> (Self, watch::Sender<Seq>) {
        let (sender, durable) = watch::channel(Seq(log.last));
        let queue = Self {
            inner: Mutex::new(Inner {
                waiting: VecDeque::new(),
                since: VecDeque::new(),
                next: log.next,
                closed: false,
                deferred: BTreeMap::new(),
                due: None,
                tasks: VecDeque::new(),
            }),
            bell: Condvar::new(),
            durable,
        };
        (queue, sender)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // Nothing in a critical section leaves the queue half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
    }

    /// Has the writer do something with the log at rest, and waits for it.
    ///
    /// # Errors
    /// What the task says; an error of its own if the log closes, or the medium takes nothing for so long.
    pub(crate) fn at_rest<R: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Log) -> std::io::Result<R> + Send + 'static,
    ) -> std::io::Result<R> {
        let (done, told) = sync_channel(1);
        let mut inner = self.lock();
        if inner.closed {
            return Err(std::io::Error::other("the journal is closed"));
        }
        inner.tasks.push_back(Box::new(move |log| {
            // Whoever waited may have given up.
            let _ = done.send(task(log));
        }));
        drop(inner);
        self.ring();
        told.recv_timeout(REST)
            .map_err(|_| std::io::Error::other("the journal does not come to rest"))?
    }
}

/// Steps of [`Measures`], µs.
static APPEND: [u64; 11] = [
    500, 1_000, 1_333, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000, 3_000_000,
];

/// What the journal measures while it runs.
#[derive(Debug)]
pub struct Measures {
    /// From the moment an event is queued until it is on the medium, with those that came beside it.
    pub events: Histogram,
    /// The same of entries: people, tokens, cursors.
    pub records: Histogram,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            events: Histogram::new(&APPEND),
            records: Histogram::new(&APPEND),
        }
    }
}

impl Measures {
    fn of(&self, log: &str) -> &Histogram {
        if log == crate::store::EVENTS {
            &self.events
        } else {
            &self.records
        }
    }
}

/// Health of both logs together.
pub(crate) struct Vitals {
    pub(crate) health: watch::Sender<Health>,
    pub(crate) measures: Measures,
    faults: Mutex<BTreeMap<&'static str, String>>,
}

impl Vitals {
    pub(crate) fn new() -> Self {
        Self {
            health: watch::Sender::new(Health::default()),
            measures: Measures::default(),
            faults: Mutex::new(BTreeMap::new()),
        }
    }

    /// Sets or clears the fault of one log.
    pub(crate) fn report(&self, log: &'static str, fault: Option<String>, buffered: usize) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some(text) => faults.insert(log, text),
            None => faults.remove(log),
        };
        let ok = faults.is_empty();
        let text = faults
            .iter()
            .map(|(log, text)| format!("{log} log: {text}"))
            .collect::<Vec<_>>()
            .join("; ");
        self.health.send_if_modified(|health| {
            let buffered = if ok { 0 } else { buffered as u64 };
            let changed = health.ok != ok || health.text != text || health.buffered != buffered;
            (health.ok, health.text, health.buffered) = (ok, text, buffered);
            changed
        });
    }
}

/// What is done with items once they are durable, in the writer's thread.
pub(crate) trait Sink<T>: Send + 'static {
    fn durable(&mut self, items: &[(u64, T)]);
    /// Called after a commit, with the log at rest.
    fn rest(&mut self, log: &mut Log);
}

/// Starts the writer of a log.
pub(crate) fn start<T: Item>(
    name: &'static str,
    mut log: Log,
    queue: Arc<Queue<T>>,
    durable: watch::Sender<Seq>,
    vitals: Arc<Vitals>,
    mut sink: impl Sink<T>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("journal-{name}")).spawn(move || {
        let _watch = Watch { name, vitals: vitals.clone() };
        let mut retry = RETRY_FIRST;
        let mut failed = false;
        // not made anew under the lock
        let mut since = Vec::with_capacity(BATCH);
        while let Some(items) = next_batch(&queue, &mut log, failed) {
            if items.is_empty() {
                let task = queue.lock().tasks.pop_front();
                if let Some(task) = task {
                    task(&mut log);
                }
                continue;
            }
            let rows: Vec<_> = items.iter().map(|(seq, item)| (*seq, item.payload())).collect();
            let (done, result) = log.commit(&rows);
            let closed = {
                let mut inner = queue.lock();
                inner.waiting.drain(..done);
                since.extend(inner.since.drain(..done));
                inner.closed
            };
            if done > 0 {
                sink.durable(&items[..done]);
                durable.send_replace(Seq(log.last));
                let at = Instant::now();
                for came in since.drain(..) {
                    vitals.measures.of(name).note(at.saturating_duration_since(came));
                }
            }
            match result {
                Ok(()) => {
                    if failed {
                        tracing::info!(log = name, "journal writes again");
                    }
                    (failed, retry) = (false, RETRY_FIRST);
                    vitals.report(name, None, 0);
                    sink.rest(&mut log);
                }
                Err(error) => {
                    if !failed {
                        let text = describe(&error, &log);
                        tracing::error!(log = name, %text, "journal cannot be written, records wait in memory");
                    }
                    failed = true;
                    let left = queue.lock().waiting.len();
                    vitals.report(name, Some(describe(&error, &log)), left);
                    if closed {
                        tracing::error!(log = name, left, "journal closed with records that could not be written");
                        queue.lock().tasks.clear();
                        return;
                    }
                    pause(&queue, retry);
                    retry = (retry * 2).min(RETRY_LAST);
                }
            }
        }
        if let Err(error) = log.mark() {
            tracing::debug!(%error, "journal could not be marked at close");
        }
        log.note();
    })
}

/// Tells when a writer ends by a panic, after which nothing is written any more.
struct Watch {
    name: &'static str,
    vitals: Arc<Vitals>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.vitals.report(
                self.name,
                Some("its writer ended by a fault, restart the gateway".into()),
                0,
            );
        }
    }
}

fn describe(error: &std::io::Error, log: &Log) -> String {
    let depot = log.depot();
    let dir = depot.dir.display();
    let what = if let Some(full) = full(depot.io.as_ref(), &depot.dir, Some((error, log.segment))) {
        full
    } else if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem {
        format!("the file system of {dir} is read-only, check the medium")
    } else {
        format!("the medium of {dir} refuses to write, check it")
    };
    format!("{what}; writing goes on by itself ({error})")
}

/// Waits for something to write; `None` when closed and nothing waits.
fn next_batch<T: Item>(queue: &Queue<T>, log: &mut Log, failed: bool) -> Option<Vec<(u64, T)>> {
    let mut inner = queue.lock();
    let mut quiet = false;
    loop {
        let now = Instant::now();
        if inner.closed || inner.due.is_some_and(|due| due <= now) {
            inner.release();
        }
        if !inner.waiting.is_empty() {
            let front = inner.next - inner.waiting.len() as u64;
            return Some((front..).zip(inner.waiting.iter().take(BATCH).cloned()).collect());
        }
        if inner.closed {
            inner.tasks.clear();
            return None;
        }
        if !inner.tasks.is_empty() {
            return Some(Vec::new());
        }
        if quiet && !failed {
            drop(inner);
            if let Err(error) = log.mark() {
                tracing::debug!(%error, "journal could not be marked");
            }
            inner = queue.lock();
            quiet = false;
            // Marked: nothing to do until the bell rings.
            while inner.waiting.is_empty() && !inner.closed && inner.due.is_none() && inner.tasks.is_empty() {
                inner = queue.bell.wait(inner).unwrap_or_else(PoisonError::into_inner);
            }
            continue;
        }
        let wait = inner
            .due
            .map_or(IDLE, |due| due.saturating_duration_since(now).min(IDLE));
        let (guard, timed_out) = queue
            .bell
            .wait_timeout(inner, wait)
            .unwrap_or_else(PoisonError::into_inner);
        inner = guard;
        quiet = timed_out.timed_out() && inner.due.is_none();
    }
}

/// Waits before the next try; a close ends the wait.
fn pause<T>(queue: &Queue<T>, wait: Duration) {
    let until = Instant::now() + wait;
    let mut inner = queue.lock();
    while !inner.closed {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        inner = queue
            .bell
            .wait_timeout(inner, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}
