//! One channel: reads the journal behind its cursor and tells what was chosen, for as long as it takes.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Clock, Envelope, Event, GatewayEvent, Record, Seq};
use gateway_store::{Cursor, ReadFailure, Store};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::handle::Proven;
use crate::params::{Channel, Names, Target};
use crate::sent::NotSent;
use crate::{mail, syslog, telegram, webhook};

/// Records that are read at once.
const PAGE: usize = 512;
/// Records that are told in one go, except by mail.
const BATCH: usize = 128;
/// After the first failure; doubled with each, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause that the channel makes by itself.
const LONGEST: Duration = Duration::from_secs(300);

/// A channel with what it works on.
pub(crate) struct Worker {
    pub(crate) channel: Channel,
    pub(crate) clock: Arc<dyn Clock>,
    /// What was too old, and is not told of yet.
    pub(crate) dropped: Option<Dropped>,
    /// Up to here what was too old is counted: what could not be sent is read again.
    pub(crate) dropped_upto: Seq,
    /// Why it does not get on; nothing while it does.
    pub(crate) fault: watch::Sender<Option<String>>,
    pub(crate) name: String,
    pub(crate) names: Names,
    /// By which date events are too old.
    pub(crate) proven: Arc<dyn Proven>,
    /// True when it should end.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) store: Store,
}

/// Events that were too old to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    count: u64,
    first: Seq,
    last: Seq,
}

/// The channel was told to end.
struct Stopped;

impl Worker {
    /// Until it is told to end. A message that is being sent is sent to its end.
    pub(crate) async fn run(mut self) {
        let cursor = self.store.cursor(&format!("notify-{}", self.name));
        let mut durable = self.store.durable();
        // a new channel begins with what happens from now on, even if nothing has happened yet
        cursor.begin(*durable.borrow_and_update());
        let mut failures = 0;
        // what is to be told has waited for others to join it
        let mut gathered = false;
        loop {
            let upto = *durable.borrow_and_update();
            let from = Seq(cursor.get().0 + 1);
            if from > upto {
                self.tell_dropped();
                tokio::select! {
                    changed = durable.changed() => if changed.is_err() { return },
                    () = ended(&mut self.stop) => return,
                }
                continue;
            }
            let (records, end) = match self.read(from, upto).await {
                Ok(Some(read)) => read,
                Ok(None) => return,
                Err(error) => {
                    self.tell_fault(Some(format!("the journal cannot be read: {error}")));
                    if self.pause(LONGEST).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            if let Some(first) = records.first()
                && let Some(left) = self.gathers(first).filter(|_| !gathered)
            {
                // nothing before it is told; what comes meanwhile is read with it
                cursor.advance(Seq(first.seq.0 - 1));
                gathered = true;
                if self.pause(left).await.is_err() {
                    return;
                }
                continue;
            }
            gathered = false;
            let before = cursor.get();
            let told = self.tell(&cursor, records, end).await;
            if cursor.get() != before {
                // it does get on, and what broke off later is the first failure
                failures = 0;
            }
            let pause = match told {
                ControlFlow::Continue(()) => {
                    self.tell_fault(None);
                    continue;
                }
                ControlFlow::Break(None) => return,
                ControlFlow::Break(Some(wait)) => wait,
            };
            let own = FIRST.saturating_mul(1 << failures.min(9)).min(LONGEST);
            failures += 1;
            if self.pause(pause.unwrap_or(own).max(FIRST)).await.is_err() {
                return;
            }
        }
    }

    /// What is to be told of the records from `from` on, and up to where they were read: a page of them, or for a mail
    /// as many as fill it. `None` if the runtime ends.
    async fn read(&mut self, from: Seq, upto: Seq) -> Result<Option<(Vec<Arc<Record>>, Seq)>, ReadFailure> {
        let (mut records, mut from) = (Vec::new(), from);
        loop {
            let store = self.store.clone();
            let page = match tokio::task::spawn_blocking(move || store.read(from, PAGE)).await {
                Ok(page) => page?,
                Err(_) => return Ok(None),
            };
            // nothing readable up to there: trimmed or damaged, which the journal reports itself
            let end = page.last().map_or(upto, |last| last.seq);
            records.extend(self.chosen(page));
            let more = matches!(self.channel.target, Target::Mail(_)) && !records.is_empty();
            if !more || records.len() >= mail::LINES || end >= upto {
                return Ok(Some((records, end)));
            }
            from = Seq(end.0 + 1);
        }
    }

    /// What is to be told, and not too old for it. By a clock that may be wrong nothing is too old.
    fn chosen(&mut self, page: Vec<Arc<Record>>) -> Vec<Arc<Record>> {
        let now = self.proven.date();
        let fits = page.into_iter().filter(|record| self.channel.choice.fits(record));
        let (fresh, old): (Vec<_>, Vec<_>) = fits.partition(|record| {
            now.is_none_or(|now| {
                record.at > now || now.duration_since(record.at).unsigned_abs() <= self.channel.max_age
            })
        });
        for record in old.iter().filter(|record| record.seq > self.dropped_upto) {
            let dropped = self.dropped.get_or_insert(Dropped {
                count: 0,
                first: record.seq,
                last: record.seq,
            });
            dropped.count += 1;
            dropped.last = record.seq;
        }
        if let Some(last) = old.last() {
            self.dropped_upto = self.dropped_upto.max(last.seq);
        }
        if old.is_empty() {
            self.tell_dropped();
        }
        fresh
    }

    /// Tells what was too old, as one range: by an event that this channel is told of as well.
    fn tell_dropped(&mut self) {
        let Some(Dropped { count, first, last }) = self.dropped.take() else {
            return;
        };
        tracing::warn!(channel = %self.name, count, first = first.0, last = last.0,
            "events are older than max-age and are not told any more");
        let event = GatewayEvent::NotifyDropped {
            channel: self.name.clone(),
            count,
            first: first.0,
            last: last.0,
        };
        let told = self.store.append(Envelope {
            at: self.clock.wall(),
            event: Event::Gateway(event),
            ring: None,
            simulated: false,
        });
        if let Err(error) = told {
            tracing::error!(%error, channel = %self.name, "that events were too old could not be journalled");
        }
    }

    /// Tells records; the cursor moves behind each that was accepted, and to `end` behind the last. Broken off by a failure,
    /// with the pause that the other side wants, or by the end of the channel (`None`).
    async fn tell(
        &mut self,
        cursor: &Cursor,
        records: Vec<Arc<Record>>,
        end: Seq,
    ) -> ControlFlow<Option<Option<Duration>>> {
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let (told, failure) = self.send(rest).await;
            if let Some(last) = told.checked_sub(1).and_then(|at| rest.get(at)) {
                cursor.advance(last.seq);
            }
            rest = rest.get(told..).unwrap_or_default();
            match failure {
                None => {}
                Some(NotSent::Never(text)) => {
                    let Some(refused) = rest.first() else { continue };
                    tracing::warn!(channel = %self.name, seq = refused.seq.0, %text, "an event is not taken and left out");
                    cursor.advance(refused.seq);
                    rest = rest.get(1..).unwrap_or_default();
                }
                Some(NotSent::Later { text, wait }) => {
                    self.tell_fault(Some(text));
                    return ControlFlow::Break(Some(wait));
                }
            }
            if *self.stop.borrow() {
                return ControlFlow::Break(None);
            }
        }
        cursor.advance(end);
        ControlFlow::Continue(())
    }

    /// For how long others may still join what came first.
    fn gathers(&self, first: &Record) -> Option<Duration> {
        let Target::Mail(mail) = &self.channel.target else {
            return None;
        };
        let waited = self.clock.wall().duration_since(first.at);
        let waited = Duration::try_from(waited).unwrap_or_default();
        mail.every.checked_sub(waited).filter(|left| !left.is_zero())
    }

    /// Tells some of the records, the first ones; how many were accepted, and what broke it off.
    async fn send(&self, records: &[Arc<Record>]) -> (usize, Option<NotSent>) {
        let some = records.get(..BATCH).unwrap_or(records);
        let all = |told: Result<(), NotSent>, count| match told {
            Ok(()) => (count, None),
            Err(failure) => (0, Some(failure)),
        };
        match &self.channel.target {
            Target::Mail(to) => {
                let some = records.get(..mail::LINES).unwrap_or(records);
                all(mail::send(to, &self.names, some).await, some.len())
            }
            Target::Syslog(to) => all(syslog::send(to, &self.names.site_id, some).await, some.len()),
            Target::Telegram(to) => match telegram::send(to, &self.names, some).await {
                Ok(told) => (told, None),
                Err(failure) => (0, Some(failure)),
            },
            Target::Webhook(to) => {
                let mut client = webhook::Client::new(&to.url, to.ca_file.as_deref());
                for (told, record) in some.iter().enumerate() {
                    if let Err(failure) =
                        webhook::tell(&mut client, to, &self.names.site, record, &*self.clock).await
                    {
                        return (told, Some(failure));
                    }
                }
                (some.len(), None)
            }
        }
    }

    async fn pause(&mut self, time: Duration) -> Result<(), Stopped> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            () = ended(&mut self.stop) => Err(Stopped),
        }
    }

    fn tell_fault(&self, text: Option<String>) {
        self.fault.send_if_modified(|now| {
            let new = *now != text;
            if new && let Some(text) = &text {
                tracing::warn!(channel = %self.name, "{text}");
            }
            if new && text.is_none() {
                tracing::info!(channel = %self.name, "notifications are accepted again");
            }
            *now = text;
            new
        });
    }
}

async fn ended(stop: &mut watch::Receiver<bool>) {
    // an error: nobody is left who could tell
    let _ = stop.wait_for(|stop| *stop).await;
}
