//! Requests that say when they were meant: which of them are news. Pure.
//!
//! Who has recorded a request can send it once more, with the token that is in it. So a date counts once for each input: what is
//! dated before the latest that was taken is over, and of the same date each body is taken once, since a client that dates by whole
//! seconds may say two things in one. A date from before the start proves nothing, as nobody knows what was taken then.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{CommandRequest, InputId, Instant, Refusal, Timestamp};
use sha2::{Digest as _, Sha256};

/// Older than this is over.
const STALE: Duration = Duration::from_secs(10);
/// For so long by the monotonic clock a date is remembered: a copy is too old then, and a wall clock that was set back shuts
/// nobody out for longer.
const KEPT: Duration = Duration::from_secs(30);
/// Different bodies of one date that are taken.
const BODIES: usize = 16;

/// What is remembered of an input.
#[derive(Debug)]
struct Last {
    at: Timestamp,
    /// Digests of the bodies.
    said: Vec<[u8; 32]>,
    taken: Instant,
}

/// The dates of all inputs that web clients work: one each.
#[derive(Debug)]
pub(crate) struct Dated {
    begun: Instant,
    last: BTreeMap<InputId, Last>,
}

impl Dated {
    /// Nothing dated before `begun` is taken.
    pub(crate) const fn new(begun: Instant) -> Self {
        Self {
            begun,
            last: BTreeMap::new(),
        }
    }

    /// Forgets the inputs that there are no more.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&InputId) -> bool) {
        self.last.retain(|input, _| is_there(input));
    }

    /// Judges a request that is dated, and remembers it if it is news.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn take(
        &mut self,
        input: &InputId,
        at: Timestamp,
        body: &[u8],
        (now, wall): (Instant, Timestamp),
    ) -> Result<(), (Refusal, String)> {
        let ahead = Duration::try_from(at.duration_since(wall)).unwrap_or_default();
        if ahead > CommandRequest::AHEAD {
            let (ahead, allowed) = (ahead.as_secs_f32(), CommandRequest::AHEAD.as_secs());
            let text =
                format!("X-Doorline-At is {ahead:.1} s ahead, allowed are {allowed}: compare the clocks");
            return Err((Refusal::Stale, text));
        }
        let age = Duration::try_from(wall.duration_since(at)).unwrap_or_default();
        if age > STALE {
            let (age, allowed) = (age.as_secs(), STALE.as_secs());
            let text =
                format!("X-Doorline-At is {age} s old, allowed are {allowed}: what is over is no press");
            return Err((Refusal::Stale, text));
        }
        if age > now.since(self.begun) {
            let text = "X-Doorline-At is from before the gateway started, and nobody knows whether it was taken then";
            return Err((Refusal::Stale, text.to_owned()));
        }
        let said: [u8; 32] = Sha256::digest(body).into();
        if let Some(last) = self.last.get_mut(input)
            && now.since(last.taken) < KEPT
        {
            if at < last.at {
                let text = "a later X-Doorline-At was taken for this input already: what is over is no press";
                return Err((Refusal::Stale, text.to_owned()));
            }
            if at == last.at {
                if last.said.contains(&said) {
                    let text = "this request was taken already: give each one a time of its own, with fractions of a \
                                second";
                    return Err((Refusal::Duplicate, text.to_owned()));
                }
                if last.said.len() >= BODIES {
                    let text = "too many requests of one time: give each one a time of its own, with fractions of a \
                                second";
                    return Err((Refusal::Duplicate, text.to_owned()));
                }
                last.said.push(said);
                last.taken = now;
                return Ok(());
            }
        }
        let last = Last {
            at,
            said: vec![said],
            taken: now,
        };
        self.last.insert(input.clone(), last);
        Ok(())
    }

    /// Nothing came of a request that was taken: its client may send it again.
    pub(crate) fn give_back(&mut self, input: &InputId, at: Timestamp, body: &[u8]) {
        let said: [u8; 32] = Sha256::digest(body).into();
        if let Some(last) = self.last.get_mut(input).filter(|last| last.at == at) {
            last.said.retain(|known| *known != said);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000_000);

    fn bell() -> InputId {
        "bell".parse().expect("a name")
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Both clocks, so long after the start.
    fn clocks(after: u64) -> (Instant, Timestamp) {
        (T0 + ms(after), date(after))
    }

    /// The date that the wall clock has then.
    fn date(after: u64) -> Timestamp {
        let begun = Timestamp::from_second(1_700_000_000).expect("a date");
        begun.checked_add(ms(after)).expect("a date")
    }

    fn reason(judged: Result<(), (Refusal, String)>) -> Option<Refusal> {
        judged.err().map(|(reason, _)| reason)
    }

    #[test]
    fn a_request_is_taken_once_and_a_copy_never() {
        let mut dated = Dated::new(T0);
        let mut take = |at, body: &[u8], now| reason(dated.take(&bell(), date(at), body, clocks(now)));
        assert_eq!(take(60_000, b"on", 60_010), None);
        for now in [60_020, 65_000, 70_000] {
            assert_eq!(take(60_000, b"on", now), Some(Refusal::Duplicate), "{now}");
        }
        assert_eq!(take(60_000, b"on", 70_001), Some(Refusal::Stale));
        // another press, and a copy of the first one behind it
        assert_eq!(take(71_000, b"on", 71_000), None);
        assert_eq!(take(70_500, b"on", 71_001), Some(Refusal::Stale));
        // who dates by whole seconds may say two things in one
        assert_eq!(take(71_000, b"off", 71_400), None);
        assert_eq!(take(71_000, b"off", 71_500), Some(Refusal::Duplicate));
        assert_eq!(take(71_000, b"on", 71_500), Some(Refusal::Duplicate));
    }

    #[test]
    fn a_date_is_a_little_ahead_at_most_and_never_from_before_the_start() {
        let take = |at, now| {
            let mut dated = Dated::new(T0 + ms(60_000));
            reason(dated.take(&bell(), date(at), b"", clocks(now)))
        };
        assert_eq!(take(62_000, 60_000), None);
        assert_eq!(take(62_001, 60_000), Some(Refusal::Stale));
        assert_eq!(take(60_000, 69_000), None);
        assert_eq!(take(59_999, 61_000), Some(Refusal::Stale), "before the start");
    }

    #[test]
    fn each_input_has_its_own_and_what_came_to_nothing_may_come_again() {
        let mut dated = Dated::new(T0);
        let other: InputId = "gate".parse().expect("a name");
        let (at, now) = (date(60_000), clocks(60_000));
        assert_eq!(dated.take(&bell(), at, b"", now), Ok(()));
        assert_eq!(dated.take(&other, at, b"", now), Ok(()));
        dated.give_back(&bell(), at, b"");
        assert_eq!(dated.take(&bell(), at, b"", now), Ok(()));
        assert_eq!(reason(dated.take(&other, at, b"", now)), Some(Refusal::Duplicate));
        dated.retain(|input| *input == other);
        assert_eq!(dated.last.len(), 1);
    }

    #[test]
    fn a_clock_that_was_set_back_shuts_nobody_out_for_long_and_one_date_fills_no_memory() {
        let mut dated = Dated::new(T0);
        assert_eq!(
            dated.take(&bell(), date(3_600_000), b"", clocks(3_600_000)),
            Ok(())
        );
        let back = |after: u64| (T0 + ms(3_600_000 + after), date(after));
        assert_eq!(
            reason(dated.take(&bell(), date(1_000), b"", back(1_000))),
            Some(Refusal::Stale)
        );
        assert_eq!(dated.take(&bell(), date(31_000), b"", back(31_000)), Ok(()));
        for n in 0_u8..100 {
            let _ = dated.take(&bell(), date(31_000), &[n], back(31_000));
        }
        assert_eq!(dated.last[&bell()].said.len(), BODIES);
    }

    proptest! {
        #[test]
        fn whatever_comes_in_whatever_order_nothing_is_taken_twice(
            all in proptest::collection::vec((0_u64..20_000, 0_u8..3, 0_u64..2_000), 1..60),
        ) {
            let mut dated = Dated::new(T0);
            let mut taken = Vec::new();
            let mut now = 60_000;
            for (at, body, later) in all {
                now += later;
                let at = 55_000 + at;
                if dated.take(&bell(), date(at), &[body], clocks(now)).is_ok() {
                    prop_assert!(!taken.contains(&(at, body)), "{at} {body}");
                    prop_assert!(at + 10_000 >= now && at <= now + 2_000);
                    taken.push((at, body));
                }
            }
        }
    }
}
