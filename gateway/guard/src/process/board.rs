//! One task per device: does what the lease machine wishes, and says what became of it.
//!
//! Wishes are levels, not a queue: the last wish for a channel is the one that counts, so that a slow device
//! never switches on something that was released meanwhile. Each wish is tried once.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use adapter_api::{DriverError, OutputDriver};
use gateway_core::Instant;
use gateway_guard_proto::LeaseId;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::clock::boottime;
use crate::limit::claim_limit;

/// Longest time for opening a device and writing it to rest, unless its channels need longer one after the other.
const CLAIM: Duration = Duration::from_secs(2);
/// Longest time for one channel, unless the device says that it needs longer.
const OPERATION: Duration = Duration::from_millis(300);
/// How often resting channels are looked at.
const READ_BACK: Duration = Duration::from_millis(500);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A channel that was on unasked, and has read as resting for so long since, is no fault any more.
const CALM: Duration = Duration::from_secs(60);
/// By how much later than the guard a board ends a pulse by itself: it is there for when nobody else does, and its
/// clock may be a little fast.
const BEYOND: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Energise {
        lease: LeaseId,
        not_after: Instant,
        /// When the pulse ends at the latest.
        until: Instant,
    },
    Rest,
    /// Energise until further notice: a relay that only tells something.
    Show,
}

/// What is wanted of a channel; a new number for each new wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) number: u64,
    pub(super) want: Want,
}

pub(super) type Wishes = BTreeMap<u16, Wish>;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A channel read active though it rests; it was written to rest.
    Alarm {
        channel: u16,
    },
    /// A channel of which there was an alarm has rested for a while.
    Calm {
        channel: u16,
    },
    Energised {
        at: Instant,
        channel: u16,
        lease: LeaseId,
    },
    Failed {
        text: String,
    },
    Late {
        channel: u16,
        lease: LeaseId,
    },
    /// A channel rests though nobody said so: the board was without supply, or somebody switched it off.
    Lost {
        at: Instant,
        channel: u16,
    },
    /// Claimed; every channel rests.
    Ready,
    Resting {
        at: Instant,
        channel: u16,
    },
    Shown {
        channel: u16,
    },
}

pub(super) struct Board {
    /// Channels of which there was an alarm, and when.
    alarmed: BTreeMap<u16, tokio::time::Instant>,
    driver: Box<dyn OutputDriver>,
    /// Channels that failed with a wish to energise: they need a rest in between.
    blocked: BTreeSet<u16>,
    channels: Vec<u16>,
    done: BTreeMap<u16, u64>,
    index: usize,
    /// The channel that is looked at next.
    look: usize,
    /// Energised channels that read as resting at the last look.
    lost: BTreeSet<u16>,
    news: mpsc::Sender<(usize, News)>,
    /// Energised channels, and until when the board keeps them so by itself.
    on: BTreeMap<u16, Option<Instant>>,
    wishes: watch::Receiver<Wishes>,
}

/// The guard is gone: nobody wishes, or nobody listens.
struct Gone;

enum Trouble {
    Device(String),
    Gone,
}

impl From<Gone> for Trouble {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl Board {
    pub(super) fn new(
        index: usize,
        driver: Box<dyn OutputDriver>,
        wishes: watch::Receiver<Wishes>,
        news: mpsc::Sender<(usize, News)>,
    ) -> Self {
        let channels = wishes.borrow().keys().copied().collect();
        Self {
            alarmed: BTreeMap::new(),
            driver,
            blocked: BTreeSet::new(),
            channels,
            done: BTreeMap::new(),
            index,
            look: 0,
            lost: BTreeSet::new(),
            news,
            on: BTreeMap::new(),
            wishes,
        }
    }

    /// Runs until the guard drops the wishes; the device is closed then.
    pub(super) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut said = String::new();
        loop {
            let limit = claim_limit(CLAIM, &*self.driver, &self.channels);
            let trouble = match limited(limit, self.driver.claim(&self.channels)).await {
                Ok(()) => {
                    self.on.clear();
                    self.lost.clear();
                    pause = FIRST_PAUSE;
                    said.clear();
                    self.serve().await.err()
                }
                Err(text) => Some(Trouble::Device(text)),
            };
            let Some(Trouble::Device(text)) = trouble else {
                return;
            };
            self.blocked = self.channels.iter().copied().collect();
            if text != said {
                said.clone_from(&text);
                if self.tell(News::Failed { text }).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            if self.wishes.has_changed().is_err() {
                return;
            }
        }
    }

    async fn serve(&mut self) -> Result<(), Trouble> {
        self.tell(News::Ready).await?;
        loop {
            if self.one_wish().await? {
                continue;
            }
            tokio::select! {
                changed = self.wishes.changed() => changed.map_err(|_| Trouble::Gone)?,
                () = tokio::time::sleep(READ_BACK) => self.read_back().await?,
            }
        }
    }

    /// Does one open wish: rests first, and what only tells something last. True if there was one.
    async fn one_wish(&mut self) -> Result<bool, Trouble> {
        let open = |(channel, wish): (&u16, &Wish)| {
            let done = self.done.get(channel) == Some(&wish.number);
            let blocked = wish.want != Want::Rest && self.blocked.contains(channel);
            let rank = match wish.want {
                Want::Rest => 0,
                Want::Energise { .. } => 1,
                Want::Show => 2,
            };
            (!done && !blocked).then_some((rank, *channel, *wish))
        };
        let next = self
            .wishes
            .borrow_and_update()
            .iter()
            .filter_map(open)
            .min_by_key(|w| (w.0, w.1));
        let Some((_, channel, wish)) = next else {
            return Ok(false);
        };
        self.done.insert(channel, wish.number);
        match wish.want {
            Want::Rest => {
                self.set(channel, false).await?;
                self.on.remove(&channel);
                self.lost.remove(&channel);
                self.blocked.remove(&channel);
                self.tell(News::Resting {
                    at: boottime(),
                    channel,
                })
                .await?;
            }
            Want::Energise { lease, not_after, .. } if boottime() >= not_after => {
                self.tell(News::Late { channel, lease }).await?;
            }
            Want::Energise { lease, until, .. } => {
                self.energise(channel, until).await?;
                self.tell(News::Energised {
                    at: boottime(),
                    channel,
                    lease,
                })
                .await?;
            }
            Want::Show => {
                self.set(channel, true).await?;
                self.on.insert(channel, None);
                self.tell(News::Shown { channel }).await?;
            }
        }
        Ok(true)
    }

    /// Switches a channel on unless it is. A board with a timer of its own is told anew if the pulse has become longer.
    async fn energise(&mut self, channel: u16, until: Instant) -> Result<(), Trouble> {
        let told = self.on.get(&channel).copied();
        if told.is_some_and(|end| end.is_none_or(|end| until <= end)) {
            return Ok(());
        }
        let limit = self.limit();
        let length = until.since(boottime()) + BEYOND;
        let timed = match self.driver.pulse(channel, length) {
            Some(pulse) => {
                limited(limit, pulse).await.map_err(Trouble::Device)?;
                true
            }
            None => false,
        };
        if !timed {
            self.set(channel, true).await?;
        }
        self.on.insert(channel, timed.then_some(until));
        Ok(())
    }

    /// Looks at the channels in turn, until somebody wishes something.
    async fn read_back(&mut self) -> Result<(), Trouble> {
        let limit = self.limit();
        for _ in 0..self.channels.len() {
            let channel = self.channels[self.look % self.channels.len()];
            self.look = (self.look + 1) % self.channels.len();
            let active = limited(limit, self.driver.read_back(channel))
                .await
                .map_err(Trouble::Device)?;
            let on = self.on.contains_key(&channel);
            match active {
                Some(true) if !on => {
                    self.set(channel, false).await?;
                    self.alarmed.insert(channel, tokio::time::Instant::now());
                    self.tell(News::Alarm { channel }).await?;
                }
                Some(false) if !on && self.is_calm(channel) => {
                    self.alarmed.remove(&channel);
                    self.tell(News::Calm { channel }).await?;
                }
                // twice, as a relay may lag behind the board's answer
                Some(false) if on && !self.lost.insert(channel) => {
                    self.lost.remove(&channel);
                    self.set(channel, false).await?;
                    self.on.remove(&channel);
                    self.tell(News::Lost {
                        at: boottime(),
                        channel,
                    })
                    .await?;
                }
                Some(true) => {
                    self.lost.remove(&channel);
                }
                Some(false) | None => {}
            }
            if self.wishes.has_changed().map_err(|_| Trouble::Gone)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn is_calm(&self, channel: u16) -> bool {
        let alarmed = self.alarmed.get(&channel);
        alarmed.is_some_and(|at| at.elapsed() >= CALM)
    }

    async fn set(&mut self, channel: u16, energised: bool) -> Result<(), Trouble> {
        limited(self.limit(), self.driver.set(channel, energised))
            .await
            .map_err(Trouble::Device)
    }

    fn limit(&self) -> Duration {
        OPERATION.max(self.driver.patience())
    }

    async fn tell(&mut self, news: News) -> Result<(), Gone> {
        self.news.send((self.index, news)).await.map_err(|_| Gone)
    }
}

async fn limited<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, DriverError>>,
) -> Result<T, String> {
    match timeout(limit, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match &error.source {
            Some(source) => format!("{}: {source}", error.text),
            None => error.text,
        }),
        Err(_) => Err(format!("no answer within {} ms", limit.as_millis())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adapter_api::BoxFuture;
    use std::sync::{Arc, Mutex};

    /// What the device does, and what was done to it.
    #[derive(Default)]
    struct Script {
        claims: usize,
        /// The next writes that fail.
        fail: usize,
        /// The next write never ends.
        hang: bool,
        /// Lengths of the pulses that the board was told to end by itself; `None` if it cannot.
        pulses: Option<Vec<Duration>>,
        reads: Option<bool>,
        writes: Vec<(u16, bool)>,
    }

    struct Scripted(Arc<Mutex<Script>>);

    impl Scripted {
        fn with<T>(&self, f: impl FnOnce(&mut Script) -> T) -> T {
            f(&mut self.0.lock().expect("not poisoned"))
        }
    }

    impl OutputDriver for Scripted {
        fn claim<'a>(&'a mut self, _channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
            self.with(|s| s.claims += 1);
            Box::pin(std::future::ready(Ok(())))
        }

        fn device(&self) -> String {
            "scripted".into()
        }

        fn pulse(
            &mut self,
            channel: u16,
            length: Duration,
        ) -> Option<BoxFuture<'_, Result<(), DriverError>>> {
            self.with(|s| {
                s.pulses.as_mut()?.push(length);
                s.writes.push((channel, true));
                Some(())
            })?;
            Some(Box::pin(std::future::ready(Ok(()))))
        }

        fn read_back(&mut self, _channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
            Box::pin(std::future::ready(Ok(self.with(|s| s.reads.take()))))
        }

        fn set(&mut self, channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
            let (fails, hangs) = self.with(|s| {
                s.writes.push((channel, energised));
                let fails = s.fail > 0;
                s.fail = s.fail.saturating_sub(1);
                (fails, std::mem::take(&mut s.hang))
            });
            Box::pin(async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                if !fails {
                    return Ok(());
                }
                Err(DriverError {
                    device: "scripted".into(),
                    text: "no".into(),
                    source: None,
                })
            })
        }
    }

    struct Rig {
        news: mpsc::Receiver<(usize, News)>,
        script: Arc<Mutex<Script>>,
        wishes: watch::Sender<Wishes>,
    }

    const CHANNEL: u16 = 3;

    fn lease(n: u64) -> LeaseId {
        LeaseId(n)
    }

    impl Rig {
        /// A board at rest whose first news were heard.
        async fn ready() -> Self {
            let script = Arc::new(Mutex::new(Script::default()));
            let first = Wish {
                number: 1,
                want: Want::Rest,
            };
            let (wishes, wished) = watch::channel(Wishes::from([(CHANNEL, first)]));
            let (tell, news) = mpsc::channel(64);
            let driver = Box::new(Scripted(Arc::clone(&script)));
            tokio::spawn(Board::new(0, driver, wished, tell).run());
            let mut rig = Self { news, script, wishes };
            assert_eq!(rig.next().await, News::Ready);
            assert!(matches!(rig.next().await, News::Resting { channel: CHANNEL, .. }));
            rig.writes();
            rig
        }

        fn wish(&self, number: u64, want: Want) {
            self.wishes.send_modify(|w| {
                w.insert(CHANNEL, Wish { number, want });
            });
        }

        fn energise(&self, number: u64) {
            let not_after = boottime() + Duration::from_secs(60);
            self.wish(
                number,
                Want::Energise {
                    lease: lease(number),
                    not_after,
                    until: not_after,
                },
            );
        }

        async fn next(&mut self) -> News {
            let next = timeout(Duration::from_secs(60), self.news.recv()).await;
            next.expect("news in time").expect("the board runs").1
        }

        /// What was written since the last look.
        fn writes(&self) -> Vec<(u16, bool)> {
            std::mem::take(&mut self.script.lock().expect("not poisoned").writes)
        }

        fn script(&self, f: impl FnOnce(&mut Script)) {
            f(&mut self.script.lock().expect("not poisoned"));
        }
    }

    #[tokio::test]
    async fn an_order_that_was_released_meanwhile_is_never_switched_on() {
        let mut rig = Rig::ready().await;
        rig.energise(2);
        rig.wish(3, Want::Rest);
        assert!(matches!(rig.next().await, News::Resting { .. }));
        assert_eq!(rig.writes(), [(CHANNEL, false)]);
    }

    #[tokio::test]
    async fn an_order_that_is_late_at_the_device_is_not_switched_on() {
        let mut rig = Rig::ready().await;
        let not_after = boottime();
        rig.wish(
            2,
            Want::Energise {
                lease: lease(2),
                not_after,
                until: not_after,
            },
        );
        assert_eq!(
            rig.next().await,
            News::Late {
                channel: CHANNEL,
                lease: lease(2)
            }
        );
        assert_eq!(rig.writes(), []);
    }

    #[tokio::test]
    async fn a_lease_that_takes_over_writes_nothing() {
        let mut rig = Rig::ready().await;
        for number in [2, 3] {
            rig.energise(number);
            let news = rig.next().await;
            assert!(
                matches!(news, News::Energised { lease: LeaseId(n), .. } if n == number),
                "{news:?}"
            );
        }
        assert_eq!(rig.writes(), [(CHANNEL, true)]);
    }

    #[tokio::test]
    async fn a_board_with_a_timer_gets_the_length_and_is_told_anew_only_of_a_longer_one() {
        let mut rig = Rig::ready().await;
        rig.script(|s| s.pulses = Some(vec![]));
        let begin = boottime();
        let order = |number, until| Want::Energise {
            lease: lease(number),
            not_after: begin + Duration::from_secs(60),
            until,
        };
        let secs = |n| begin + Duration::from_secs(n);
        for (number, until) in [(2, secs(50)), (3, secs(40)), (4, secs(70))] {
            rig.wish(number, order(number, until));
            assert!(matches!(rig.next().await, News::Energised { .. }));
        }
        let mut pulses = vec![];
        rig.script(|s| pulses.extend(s.pulses.take()));
        let pulses = pulses.concat();
        assert_eq!(pulses.len(), 2, "{pulses:?}");
        for (pulse, limit) in pulses.into_iter().zip([50, 70]) {
            let whole = Duration::from_secs(limit) + BEYOND;
            assert!(
                pulse <= whole && pulse > whole - Duration::from_secs(30),
                "{pulse:?}"
            );
        }
        rig.wish(5, Want::Rest);
        assert!(matches!(rig.next().await, News::Resting { .. }));
        assert_eq!(
            rig.writes(),
            [(CHANNEL, true), (CHANNEL, true), (CHANNEL, false)],
            "the guard ends the pulse as ever"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_reads_as_resting_twice_in_a_pulse_is_lost_and_written_to_rest() {
        let mut rig = Rig::ready().await;
        rig.energise(2);
        assert!(matches!(rig.next().await, News::Energised { .. }));
        rig.script(|s| s.reads = Some(false));
        tokio::time::sleep(READ_BACK * 2).await;
        rig.script(|s| assert_eq!(s.reads, None, "it was looked at"));
        assert!(rig.news.try_recv().is_err(), "a relay may lag");
        rig.script(|s| s.reads = Some(false));
        assert!(matches!(rig.next().await, News::Lost { channel: CHANNEL, .. }));
        assert_eq!(rig.writes(), [(CHANNEL, true), (CHANNEL, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_order_is_not_tried_again_when_the_device_is_back() {
        let mut rig = Rig::ready().await;
        rig.script(|s| s.fail = 1);
        rig.energise(2);
        assert_eq!(rig.next().await, News::Failed { text: "no".into() });
        assert_eq!(rig.next().await, News::Ready);
        // Another order that crossed the failure waits for a rest in between, too.
        rig.energise(3);
        let silence = timeout(Duration::from_millis(100), rig.news.recv()).await;
        assert!(silence.is_err(), "{silence:?}");
        rig.wish(4, Want::Rest);
        assert!(matches!(rig.next().await, News::Resting { .. }));
        assert_eq!(rig.writes(), [(CHANNEL, true), (CHANNEL, false)]);
        rig.energise(5);
        assert!(matches!(
            rig.next().await,
            News::Energised {
                lease: LeaseId(5),
                ..
            }
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_that_hangs_is_claimed_again() {
        let mut rig = Rig::ready().await;
        rig.script(|s| s.hang = true);
        rig.energise(2);
        assert_eq!(
            rig.next().await,
            News::Failed {
                text: "no answer within 300 ms".into()
            }
        );
        assert_eq!(rig.next().await, News::Ready);
        rig.script(|s| assert_eq!(s.claims, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_was_on_unasked_is_told_calm_once_it_has_rested_for_a_while() {
        let mut rig = Rig::ready().await;
        rig.script(|s| s.reads = Some(true));
        assert_eq!(rig.next().await, News::Alarm { channel: CHANNEL });
        rig.script(|s| s.reads = Some(false));
        tokio::time::sleep(READ_BACK * 2).await;
        assert!(rig.news.try_recv().is_err(), "not at once");
        // once more: it counts anew
        rig.script(|s| s.reads = Some(true));
        assert_eq!(rig.next().await, News::Alarm { channel: CHANNEL });
        tokio::time::sleep(CALM).await;
        assert!(rig.news.try_recv().is_err(), "it does not say how it is");
        rig.script(|s| s.reads = Some(false));
        assert_eq!(rig.next().await, News::Calm { channel: CHANNEL });
        rig.script(|s| s.reads = Some(false));
        tokio::time::sleep(CALM).await;
        assert!(rig.news.try_recv().is_err(), "once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_reads_active_without_a_lease_is_written_to_rest() {
        let mut rig = Rig::ready().await;
        rig.script(|s| s.reads = Some(true));
        assert_eq!(rig.next().await, News::Alarm { channel: CHANNEL });
        assert_eq!(rig.writes(), [(CHANNEL, false)]);
        rig.energise(2);
        assert!(matches!(rig.next().await, News::Energised { .. }));
        rig.script(|s| s.reads = Some(true));
        rig.wish(3, Want::Rest);
        assert!(
            matches!(rig.next().await, News::Resting { .. }),
            "with a lease it may be active"
        );
    }
}
