//! What every reader of bits has in common: how often misreads are told, and that a card that is held on it counts once.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{CardFrame, Instant, Misread};

use crate::reader::Output;

/// After a misread was told, more of its kind are counted for so long and told together.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Who forges packets does it without a pause, and is told like other strangers.
const FORGED_AGAIN: Duration = Duration::from_secs(3600);

/// For how long more of a kind are counted.
const fn again(reason: Misread) -> Duration {
    match reason {
        Misread::Forged => FORGED_AGAIN,
        Misread::Key
        | Misread::Length
        | Misread::LostEdges
        | Misread::Noise
        | Misread::Parity
        | Misread::Reversed
        | Misread::Short
        | Misread::Simultaneous => TELL_AGAIN,
    }
}

/// Misreads of one kind.
#[derive(Debug)]
struct Count {
    at: Instant,
    bits: u16,
    until: Instant,
    untold: u64,
}

/// Misreads, told at once and then as sums.
#[derive(Debug, Default)]
pub struct Misreads(BTreeMap<Misread, Count>);

impl Misreads {
    /// Counts something that is no card; the first of its kind is told.
    pub fn count(&mut self, at: Instant, bits: u16, reason: Misread) -> Option<Output> {
        if let Some(count) = self.0.get_mut(&reason) {
            (count.at, count.bits) = (at, bits);
            count.untold = count.untold.saturating_add(1);
            return None;
        }
        let until = at + again(reason);
        self.0.insert(
            reason,
            Count {
                at,
                bits,
                until,
                untold: 0,
            },
        );
        Some(Output::Misread {
            at,
            bits,
            reason,
            times: 1,
        })
    }

    /// The sums that are due.
    pub fn due(&mut self, now: Instant) -> Vec<Output> {
        self.0.retain(|_, count| count.until > now || count.untold > 0);
        let due = self.0.iter_mut().filter(|(_, count)| count.until <= now);
        let told = due.map(|(reason, count)| {
            count.until = now + again(*reason);
            Output::Misread {
                at: count.at,
                bits: count.bits,
                reason: *reason,
                times: std::mem::take(&mut count.untold),
            }
        });
        told.collect()
    }

    /// When the next sum is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.0.values().map(|count| count.until).min()
    }
}

/// The card that counted last.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<(Instant, CardFrame)>);

impl Held {
    /// Does this card count? One that is held on the reader does once in `repeat`.
    pub(crate) fn counts(&mut self, at: Instant, frame: &CardFrame, repeat: Duration) -> bool {
        let held = |(before, card): &(Instant, CardFrame)| card == frame && at.since(*before) < repeat;
        if self.0.as_ref().is_some_and(held) {
            return false;
        }
        self.0 = Some((at, frame.clone()));
        true
    }
}
