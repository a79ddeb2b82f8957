//! Where what adapters notice is looked at as it comes.
//!
//! Nothing of it is kept. A contact that bounces may tell of thousands of edges a second, so whoever looks gets what he can take:
//! [`NOTICED`] signals wait for him, the oldest give way to newer ones, and the numbers tell what he missed. Where nobody looks
//! it costs a count.
//!
//! Whoever offers is the core, before whom nothing may come. It waits for no lock, wakes nobody and takes no memory whose
//! return somebody else's thread would have to be waited for: it puts the signal into a ring, from which a task of those who look
//! fetches it every [`PACE`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_core::{Seq, Signal};
use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::watch;

use crate::noticed::Noticed;

/// How many signals may wait for one who looks.
pub const NOTICED: usize = 1024;
/// How often they are fetched for those who look.
const PACE: Duration = Duration::from_millis(20);
/// How many may wait until they are fetched: at 20 000 a second those of 0.2 s.
const RING: usize = 4096;

/// A signal on its way.
struct Offered {
    n: u64,
    seq: Seq,
    signal: Signal,
}

/// What both ends know.
#[derive(Default)]
struct Known {
    /// All signals since start.
    count: AtomicU64,
    /// How many look.
    looking: AtomicUsize,
}

/// Where signals are offered.
pub struct Offers {
    known: Arc<Known>,
    /// Never locked: whoever offers has it to himself. A type that threads may share needs it so.
    to: Mutex<Producer<Offered>>,
}

impl Offers {
    /// Offers a signal to those who look. Waits for nobody.
    pub fn offer(&mut self, signal: &Signal, seq: Seq) {
        let n = self.known.count.load(Ordering::Relaxed) + 1;
        if self.known.looking.load(Ordering::Relaxed) > 0 {
            let signal = signal.clone();
            let to = self.to.get_mut().unwrap_or_else(PoisonError::into_inner);
            // no room: its number tells that it was missed
            let _ = to.push(Offered { n, seq, signal });
        }
        // after the signal itself, so that whoever sees the number finds it or knows it lost
        self.known.count.store(n, Ordering::Release);
    }
}

/// What was fetched.
struct Recent {
    from: Consumer<Offered>,
    /// No more will come.
    closed: bool,
    /// Is somebody fetching?
    fetching: bool,
    signals: VecDeque<Arc<Noticed>>,
    /// All up to this number are among `signals`, or were missed.
    upto: u64,
}

impl Recent {
    fn fetch(&mut self, known: &Known) {
        // looked at first: whatever came before it is in the ring by now
        let closed = self.from.is_abandoned();
        let upto = known.count.load(Ordering::Acquire);
        while let Ok(Offered { n, seq, signal }) = self.from.pop() {
            if self.signals.len() == NOTICED {
                self.signals.pop_front();
            }
            self.signals.push_back(Arc::new(Noticed::new(&signal, n, seq)));
            self.upto = n;
        }
        self.upto = self.upto.max(upto);
        self.closed = closed;
    }

    /// What one who waits for the number `next` gets, at most `max` signals.
    fn since(&self, next: u64, max: usize) -> Option<Look> {
        let begin = self.signals.partition_point(|signal| signal.n < next);
        let first = self.signals.get(begin).map_or(self.upto + 1, |signal| signal.n);
        if first > next {
            return Some(Look::Missed(next, first - 1));
        }
        let signals = self.signals.iter().skip(begin).zip(next..);
        let signals = signals.take_while(|(signal, n)| signal.n == *n).take(max.max(1));
        let signals: Vec<_> = signals.map(|(signal, _)| Arc::clone(signal)).collect();
        if signals.is_empty() {
            return self.closed.then_some(Look::Closed);
        }
        Some(Look::Signals(signals))
    }
}

struct Shared {
    known: Arc<Known>,
    /// Told after each fetching that found something.
    news: watch::Sender<()>,
    recent: Mutex<Recent>,
}

impl Shared {
    fn recent(&self) -> MutexGuard<'_, Recent> {
        // what a broken thread left is a list all the same
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches once; false if nobody is to fetch any more.
    fn fetch(&self) -> bool {
        let mut recent = self.recent();
        let before = recent.upto;
        recent.fetch(&self.known);
        let looked_at = self.known.looking.load(Ordering::Relaxed) > 0;
        if !looked_at {
            recent.signals.clear();
        }
        recent.fetching = looked_at && !recent.closed;
        if recent.closed || recent.upto != before {
            self.news.send_replace(());
        }
        recent.fetching
    }
}

/// Where signals are looked at.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

impl Live {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Offers, Self) {
        let known = Arc::<Known>::default();
        let (to, from) = RingBuffer::new(RING);
        let recent = Recent {
            closed: false,
            fetching: false,
            from,
            signals: VecDeque::new(),
            upto: 0,
        };
        let shared = Shared {
            known: Arc::clone(&known),
            news: watch::channel(()).0,
            recent: Mutex::new(recent),
        };
        let to = Mutex::new(to);
        (Offers { known, to }, Self(Arc::new(shared)))
    }

    /// How many signals there were since start.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.known.count.load(Ordering::Acquire)
    }

    /// Looks from now on. Must be called within a runtime: its task fetches what comes.
    #[must_use]
    pub fn look(&self) -> Looker {
        let mut recent = self.0.recent();
        self.0.known.looking.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut recent.fetching, true) {
            let shared = Arc::clone(&self.0);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(PACE).await;
                    if !shared.fetch() {
                        return;
                    }
                }
            });
        }
        Looker {
            news: self.0.news.subscribe(),
            next: self.count() + 1,
            shared: Arc::clone(&self.0),
        }
    }
}

/// What one who looks gets next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The gateway stops.
    Closed,
    /// Signals of these numbers were not waited for; both included.
    Missed(u64, u64),
    /// Signals, in their order.
    Signals(Vec<Arc<Noticed>>),
}

/// One who looks.
pub struct Looker {
    news: watch::Receiver<()>,
    /// The number that comes next, if none is missed.
    next: u64,
    shared: Arc<Shared>,
}

impl Looker {
    /// What there is, at most `max` signals; waits for the first. Nothing is lost if the future is dropped.
    pub async fn next(&mut self, max: usize) -> Look {
        loop {
            self.news.borrow_and_update();
            let look = self.shared.recent().since(self.next, max);
            if let Some(look) = look {
                self.next = match &look {
                    Look::Closed => self.next,
                    Look::Missed(_, to) => to + 1,
                    Look::Signals(signals) => self.next + signals.len() as u64,
                };
                return look;
            }
            // the sender lives in what is shared
            let _ = self.news.changed().await;
        }
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.shared.known.looking.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{CardFrame, Edge, Instant, SignalKind};

    fn signal(kind: SignalKind) -> Signal {
        Signal {
            at: Instant::from_nanos(5),
            device: "wall".parse().expect("a name"),
            simulated: false,
            kind,
        }
    }

    fn edge(active: bool) -> Signal {
        let edge = Edge {
            active,
            initial: false,
        };
        let input = "bell".parse().expect("a name");
        signal(SignalKind::Input { edge, input })
    }

    #[tokio::test]
    async fn who_looks_gets_what_comes_from_then_on_and_nobody_is_told_a_secret() {
        let (mut live, looked) = Live::new();
        live.offer(&edge(true), Seq(7));
        let mut looker = looked.look();
        live.offer(&edge(false), Seq(8));
        let frame = CardFrame {
            bits: 26,
            data: vec![0xAB, 0xCD, 0xEF, 0x40],
        };
        let reader: gateway_core::ReaderId = "street".parse().expect("a name");
        live.offer(
            &signal(SignalKind::Card {
                frame,
                reader: reader.clone(),
            }),
            Seq(8),
        );
        live.offer(&signal(SignalKind::Key { key: '7', reader }), Seq(9));
        let Look::Signals(signals) = looker.next(10).await else {
            panic!("signals were expected");
        };
        let told: Vec<_> = signals
            .iter()
            .map(|s| {
                (
                    s.n,
                    s.seq.0,
                    s.kind,
                    s.source.as_deref().unwrap_or(""),
                    s.text.as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (2, 8, "input", "bell", "at-rest"),
                (3, 8, "card", "street", "26 bits"),
                (4, 9, "key", "street", "pressed"),
            ]
        );
    }

    #[tokio::test]
    async fn who_is_slow_gets_the_newest_and_the_numbers_of_what_he_missed() {
        let (mut live, looked) = Live::new();
        let mut looker = looked.look();
        let all = NOTICED as u64 * 3 + 10;
        for n in 0..all {
            live.offer(&edge(n % 2 == 0), Seq(0));
        }
        let mut next = 1;
        let mut missed = 0;
        while next <= all {
            match looker.next(100).await {
                Look::Closed => panic!("it lives"),
                Look::Missed(from, to) => {
                    assert_eq!(from, next);
                    missed += to - from + 1;
                    next = to + 1;
                }
                Look::Signals(signals) => {
                    assert!(signals.len() <= 100, "{}", signals.len());
                    for signal in signals {
                        assert_eq!(signal.n, next);
                        next += 1;
                    }
                }
            }
        }
        assert_eq!(missed, all - NOTICED as u64);
        assert_eq!(looked.count(), all);
    }

    #[tokio::test]
    async fn of_signals_that_were_missed_in_the_middle_nothing_is_lost_beside() {
        let (mut live, looked) = Live::new();
        let mut looker = looked.look();
        live.offer(&edge(true), Seq(0));
        assert!(matches!(looker.next(1).await, Look::Signals(one) if one[0].n == 1));
        for _ in 0..NOTICED + 1 {
            live.offer(&edge(true), Seq(0));
        }
        assert_eq!(looker.next(1).await, Look::Missed(2, 2));
        assert!(matches!(looker.next(2).await, Look::Signals(two) if two[0].n == 3 && two[1].n == 4));
        drop(live);
        while let Look::Signals(_) = looker.next(500).await {}
        assert_eq!(looker.next(1).await, Look::Closed);
    }

    #[tokio::test]
    async fn what_found_no_room_on_the_way_is_told_as_missed_even_if_nothing_comes_after_it() {
        let (mut live, looked) = Live::new();
        let mut looker = looked.look();
        let room = RING as u64;
        for _ in 0..room + 5 {
            live.offer(&edge(true), Seq(0));
        }
        let kept = room - NOTICED as u64;
        assert_eq!(looker.next(NOTICED).await, Look::Missed(1, kept));
        assert!(
            matches!(looker.next(NOTICED).await, Look::Signals(all) if all.len() == NOTICED && all[0].n == kept + 1)
        );
        assert_eq!(looker.next(1).await, Look::Missed(room + 1, room + 5));
    }

    #[tokio::test]
    async fn where_nobody_looks_any_more_it_costs_a_count() {
        let (mut live, looked) = Live::new();
        drop(looked.look());
        while looked.0.recent().fetching {
            tokio::task::yield_now().await;
        }
        live.offer(&edge(true), Seq(0));
        let to = live.to.get_mut().expect("never locked");
        assert_eq!(to.slots(), RING);
        assert_eq!(looked.count(), 1);
        // and who comes later is told of what comes later
        let mut looker = looked.look();
        live.offer(&edge(true), Seq(0));
        assert!(matches!(looker.next(9).await, Look::Signals(one) if one[0].n == 2));
    }
}
