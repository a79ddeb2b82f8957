//! The short way of a key press: from the media thread to whoever listens, past the driver.
//!
//! Each thread on the way costs a wake-up, and somebody stands at the door. So whose digits count is kept here, for both
//! threads. The driver says when a leg is answered and when it is over; the order in which digits and the driver's own
//! reports leave stays what it was: while any of them wait, digits take the way through the driver.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use gateway_core::{Clock, DigitVia, Instant, LegEvent, LegId};
use gateway_media::MediaEvent;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::SipEvent;
use crate::driver::STALE;

/// By leg that was answered: how its digits come.
type Answered = BTreeMap<LegId, Ways>;

/// How the digits of a leg come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ways {
    /// The way that counts, once there was one.
    pub(crate) first: Option<DigitVia>,
    /// Digits that came another way, and were not taken.
    pub(crate) others: u64,
}

impl Ways {
    /// The first way that was used counts, but for this: messages that name a key (RFC 4733, INFO) outrank tones in the
    /// speech, for good. So nothing that was taken for a tone makes a leg deaf to its keys. What was only an echo decides
    /// nothing.
    fn take(&mut self, via: DigitVia, echo: bool) -> bool {
        let taken = match (self.first, via) {
            (None, _) | (Some(DigitVia::Inband), DigitVia::Info | DigitVia::TelephoneEvent) => {
                if !echo {
                    self.first = Some(via);
                }
                true
            }
            (Some(first), via) => first == via,
        };
        self.others += u64::from(!taken);
        taken
    }
}

/// Shared by the driver and the media thread.
#[derive(Debug, Default)]
pub(crate) struct Digits {
    answered: Mutex<Answered>,
    /// Digits that the driver has to pass on.
    detoured: AtomicUsize,
    /// Digits that were reported.
    reported: AtomicU64,
    /// Reports of the driver wait.
    waiting: AtomicBool,
}

impl Digits {
    /// The leg is answered, and that has been reported: its digits count.
    pub(crate) fn open(&self, leg: LegId) {
        self.lock().entry(leg).or_default();
    }

    /// The leg is over; how its digits came.
    pub(crate) fn close(&self, leg: LegId) -> Option<Ways> {
        self.lock().remove(&leg)
    }

    /// How the digits of a leg that was answered come.
    pub(crate) fn ways(&self, leg: LegId) -> Option<Ways> {
        self.lock().get(&leg).copied()
    }

    /// True if a digit of the leg that came this way counts: it is answered, and all digits of a leg come by one way
    /// ([`Ways`]).
    pub(crate) fn takes(&self, leg: LegId, via: DigitVia, echo: bool) -> bool {
        takes(&mut self.lock(), leg, via, echo)
    }

    /// Digits reported so far.
    pub(crate) fn reported(&self) -> u64 {
        self.reported.load(Ordering::Relaxed)
    }

    /// The driver reports a digit.
    pub(crate) fn count(&self) {
        self.reported.fetch_add(1, Ordering::Relaxed);
    }

    /// Reports of the driver wait, or do no longer.
    pub(crate) fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::SeqCst);
    }

    /// The driver has passed on a digit that it was given.
    pub(crate) fn passed(&self) {
        self.detoured.fetch_sub(1, Ordering::SeqCst);
    }

    /// For the media thread, which waits for nobody: gives an event to `events` if it is a digit that may take the short
    /// way, else to `driver`. What has no room comes back.
    fn pass(
        &self,
        now: Instant,
        event: MediaEvent,
        events: &mpsc::WeakSender<SipEvent>,
        driver: &mpsc::Sender<MediaEvent>,
    ) -> Result<(), MediaEvent> {
        let is_digit = matches!(event, MediaEvent::Digit { .. });
        if is_digit && self.pass_by(now, &event, events) {
            return Ok(());
        }
        if is_digit {
            // before it is there: the driver may be faster than we
            self.detoured.fetch_add(1, Ordering::SeqCst);
        }
        driver.try_send(event).map_err(|refused| {
            if is_digit {
                self.passed();
            }
            match refused {
                TrySendError::Closed(event) | TrySendError::Full(event) => event,
            }
        })
    }

    /// True if nothing is left to do with the digit.
    fn pass_by(&self, now: Instant, event: &MediaEvent, events: &mpsc::WeakSender<SipEvent>) -> bool {
        let MediaEvent::Digit {
            at,
            digit,
            echo,
            leg,
            via,
        } = *event
        else {
            return false;
        };
        // what does not count is the driver's to tell
        if now.since(at) > STALE
            || self.waiting.load(Ordering::SeqCst)
            || self.detoured.load(Ordering::SeqCst) > 0
        {
            return false;
        }
        let mut answered = match self.answered.try_lock() {
            Ok(answered) => answered,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if !answered.contains_key(&leg) {
            return false;
        }
        let Some(events) = events.upgrade() else {
            return false;
        };
        let Ok(room) = events.try_reserve() else {
            return false;
        };
        // what is not taken is counted by the driver
        let mut ways = answered.get(&leg).copied().unwrap_or_default();
        if !ways.take(via, echo) {
            return false;
        }
        answered.insert(leg, ways);
        self.count();
        room.send(SipEvent::Leg(LegEvent::Digit {
            at,
            digit,
            echo,
            leg,
            via,
        }));
        true
    }

    fn lock(&self) -> MutexGuard<'_, Answered> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn takes(answered: &mut Answered, leg: LegId, via: DigitVia, echo: bool) -> bool {
    answered.get_mut(&leg).is_some_and(|ways| ways.take(via, echo))
}

/// What the engine calls with its events. It keeps `events` open for nobody: that they end is how the listener learns of
/// the driver's end.
pub(crate) fn sink(
    digits: Arc<Digits>,
    clock: Arc<dyn Clock>,
    events: &mpsc::Sender<SipEvent>,
    driver: mpsc::Sender<MediaEvent>,
) -> impl FnMut(MediaEvent) -> Result<(), MediaEvent> + Send + use<> + 'static {
    let events = events.downgrade();
    move |event| digits.pass(clock.now(), event, &events, &driver)
}

#[cfg(test)]
mod tests {
    use gateway_core::Timestamp;

    use super::*;

    const LEG: LegId = LegId(7);
    const NOW: Instant = Instant::from_nanos(1_000_000_000);

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Instant {
            NOW
        }

        fn wall(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    fn press(digit: char) -> MediaEvent {
        MediaEvent::Digit {
            at: NOW,
            digit,
            echo: false,
            leg: LEG,
            via: DigitVia::TelephoneEvent,
        }
    }

    /// Gives a digit; true if it took the short way.
    fn short(digits: &Digits, digit: char) -> bool {
        let (events, mut listener) = mpsc::channel(4);
        let (driver, _inbox) = mpsc::channel(4);
        digits
            .pass(NOW, press(digit), &events.downgrade(), &driver)
            .expect("room");
        listener.try_recv().is_ok()
    }

    #[test]
    fn digits_count_from_the_answer_to_the_end_and_by_the_first_way_only() {
        let digits = Digits::default();
        assert!(!digits.takes(LEG, DigitVia::Info, false) && !short(&digits, '1'));
        digits.passed();
        digits.open(LEG);
        assert!(short(&digits, '1'));
        assert!(
            !digits.takes(LEG, DigitVia::Info, false),
            "the other way was first"
        );
        assert!(digits.takes(LEG, DigitVia::TelephoneEvent, false));
        // a re-INVITE answers nothing anew
        digits.open(LEG);
        assert!(!digits.takes(LEG, DigitVia::Info, false));
        digits.close(LEG);
        assert!(!short(&digits, '2') && !digits.takes(LEG, DigitVia::TelephoneEvent, false));
        assert_eq!(digits.reported(), 1);
    }

    #[test]
    fn messages_outrank_tones_and_no_tone_outranks_a_message() {
        use DigitVia::{Inband, Info, TelephoneEvent};
        for message in [Info, TelephoneEvent] {
            let digits = Digits::default();
            digits.open(LEG);
            assert!(
                digits.takes(LEG, Inband, true),
                "an echo is told and decides nothing"
            );
            assert_eq!(digits.ways(LEG), Some(Ways::default()));
            assert!(digits.takes(LEG, Inband, false));
            assert!(
                digits.takes(LEG, message, true),
                "nor does one that comes as a message"
            );
            assert!(digits.takes(LEG, Inband, false));
            assert!(digits.takes(LEG, message, false) && !digits.takes(LEG, Inband, false));
            assert!(digits.takes(LEG, message, false));
            let ways = Ways {
                first: Some(message),
                others: 1,
            };
            assert_eq!(digits.close(LEG), Some(ways));
        }
        // the media thread's short way goes by the same rule
        let digits = Digits::default();
        digits.open(LEG);
        assert!(digits.takes(LEG, Inband, false) && short(&digits, '1'));
        assert!(!digits.takes(LEG, Inband, false));
    }

    #[test]
    fn a_digit_of_the_second_way_is_left_to_the_driver() {
        let digits = Digits::default();
        digits.open(LEG);
        assert!(digits.takes(LEG, DigitVia::Info, false));
        assert!(!short(&digits, '1'));
    }

    #[test]
    fn digits_do_not_overtake_one_another_nor_what_the_driver_has_to_tell() {
        let digits = Digits::default();
        digits.open(LEG);
        digits.set_waiting(true);
        assert!(!short(&digits, '1'));
        digits.set_waiting(false);
        assert!(!short(&digits, '2'), "the first is still with the driver");
        digits.passed();
        digits.passed();
        assert!(short(&digits, '3'));
    }

    #[test]
    fn a_full_listener_and_a_full_driver_give_the_digit_back_and_it_goes_the_short_way_later() {
        let digits = Digits::default();
        digits.open(LEG);
        let (events, mut listener) = mpsc::channel(1);
        let (driver, mut inbox) = mpsc::channel(1);
        let weak = events.downgrade();
        for digit in ['1', '2'] {
            digits.pass(NOW, press(digit), &weak, &driver).expect("room");
        }
        assert_eq!(digits.pass(NOW, press('3'), &weak, &driver), Err(press('3')));
        assert!(listener.try_recv().is_ok());
        assert_eq!(inbox.try_recv(), Ok(press('2')));
        digits.passed();
        digits.pass(NOW, press('3'), &weak, &driver).expect("room");
        assert!(listener.try_recv().is_ok());
    }

    #[test]
    fn an_old_digit_is_left_to_the_driver() {
        let digits = Digits::default();
        digits.open(LEG);
        let (events, mut listener) = mpsc::channel(4);
        let (driver, mut inbox) = mpsc::channel(4);
        let late = NOW + STALE + std::time::Duration::from_millis(1);
        let passed = digits.pass(late, press('1'), &events.downgrade(), &driver);
        assert!(passed.is_ok() && listener.try_recv().is_err() && inbox.try_recv().is_ok());
    }

    #[test]
    fn the_end_of_the_driver_is_the_end_of_its_events() {
        let digits = Arc::<Digits>::default();
        digits.open(LEG);
        let (events, mut listener) = mpsc::channel(4);
        let (driver, _inbox) = mpsc::channel(4);
        let _sink = sink(digits, Arc::new(Still), &events, driver);
        drop(events);
        assert_eq!(listener.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    }
}
