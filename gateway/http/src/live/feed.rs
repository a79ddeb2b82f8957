//! The journal from a number on, at its reader's own pace: he gets every record, and is told which ones are gone.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Record, Seq};
use gateway_store::Store;
use tokio::sync::watch;

/// Records read at once.
const PAGE: usize = 128;
/// Who is further behind is told so and gets the newest [`KEPT`], if he wants the present.
const BEHIND: u64 = 1000;
const KEPT: u64 = 100;
/// Between two attempts at a journal that cannot be read.
const RETRY: Duration = Duration::from_secs(1);

/// What a feed gives.
#[derive(Debug)]
pub(super) enum Step {
    /// The journal is closed.
    Closed,
    /// These numbers are not there.
    Missed(u64, u64),
    Records(Vec<Arc<Record>>),
}

/// Reads the journal from a number on and waits at its end.
pub(super) struct Feed {
    durable: watch::Receiver<Seq>,
    /// The number that comes next.
    pub(super) next: u64,
    store: Store,
    waiting: Option<Vec<Arc<Record>>>,
}

impl Feed {
    pub(super) fn new(store: &Store, next: u64) -> Self {
        Self {
            durable: store.durable(),
            next: next.max(1),
            store: store.clone(),
            waiting: None,
        }
    }

    /// The next records. Nothing is lost if the future is dropped.
    pub(super) async fn step(&mut self) -> Step {
        if let Some(page) = self.waiting.take() {
            return self.pass(page);
        }
        loop {
            let next = self.next;
            if self.durable.wait_for(|last| last.0 >= next).await.is_err() {
                return Step::Closed;
            }
            let last = self.durable.borrow().0;
            let store = self.store.clone();
            let read = tokio::task::spawn_blocking(move || store.read(Seq(next), PAGE)).await;
            match read {
                Ok(Ok(page)) => match page.first().map(|r| r.seq.0) {
                    Some(first) if first > next => {
                        self.waiting = Some(page);
                        self.next = first;
                        return Step::Missed(next, first - 1);
                    }
                    Some(_) => return self.pass(page),
                    None => {
                        self.next = last + 1;
                        return Step::Missed(next, last);
                    }
                },
                Ok(Err(error)) => {
                    tracing::warn!(%error, "live events cannot read the journal");
                    tokio::time::sleep(RETRY).await;
                }
                Err(_) => return Step::Closed,
            }
        }
    }

    fn pass(&mut self, page: Vec<Arc<Record>>) -> Step {
        if let Some(last) = page.last() {
            self.next = last.seq.0 + 1;
        }
        Step::Records(page)
    }

    /// Leaves out what a picture of this moment does not need; gives what was left out.
    pub(super) fn catch_up(&mut self) -> Option<(u64, u64)> {
        let last = self.durable.borrow().0;
        if last < self.next + BEHIND {
            return None;
        }
        let from = self.next;
        self.next = last - KEPT + 1;
        self.waiting = None;
        Some((from, self.next - 1))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_core::{Envelope, Event, GatewayEvent, Timestamp};
    use gateway_store::Options;
    use gateway_store::fake::FakeIo;

    use super::*;

    async fn journal(count: u64) -> Store {
        let options = Options {
            index: false,
            segment: 4096,
            ..Options::default()
        };
        let (store, _) = Store::open(Path::new("/state"), options, FakeIo::new()).expect("opens");
        let mut last = None;
        for gap_ms in 0..count {
            let envelope = Envelope {
                at: Timestamp::UNIX_EPOCH,
                event: Event::Gateway(GatewayEvent::LoopGap { gap_ms }),
                ring: None,
                simulated: false,
            };
            last = Some(store.append(envelope).expect("taken"));
        }
        if let Some(ticket) = last {
            ticket.durable().await.expect("durable");
        }
        store
    }

    #[tokio::test]
    async fn a_feed_gives_everything_in_order_and_says_what_is_gone() {
        let store = journal(600).await;
        let left = store.trim_before(Seq(200)).expect("trims").0;
        assert!(left > 1, "segments are small");
        let mut feed = Feed::new(&store, 1);
        assert!(matches!(feed.step().await, Step::Missed(1, to) if to == left - 1));
        let mut expected = left;
        while expected <= 600 {
            let Step::Records(page) = feed.step().await else {
                panic!("records were expected from {expected} on");
            };
            for record in page {
                assert_eq!(record.seq.0, expected);
                expected += 1;
            }
        }
        store.close();
        assert!(matches!(feed.step().await, Step::Closed));
    }

    #[tokio::test]
    async fn a_feed_that_is_far_behind_leaves_out_and_says_so() {
        let store = journal(BEHIND + 50).await;
        let mut feed = Feed::new(&store, 1);
        assert_eq!(feed.catch_up(), Some((1, BEHIND + 50 - KEPT)));
        assert_eq!(feed.catch_up(), None);
        let Step::Records(page) = feed.step().await else {
            panic!("records were expected");
        };
        assert_eq!(page[0].seq.0, BEHIND + 51 - KEPT);
    }
}
