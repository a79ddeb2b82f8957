//! What the engine measures while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gateway_core::{Count, Histogram, Instant, Quality};

/// Steps of [`Measures::bell_to_invite`], µs: around the budget of 2 ms.
static INVITE: [u64; 10] = [
    250, 500, 1_000, 2_000, 4_000, 10_000, 50_000, 250_000, 1_000_000, 5_000_000,
];

/// Steps of [`Measures::jitter`], µs: packets of 20 ms.
static JITTER: [u64; 8] = [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];
/// Steps of [`Measures::round_trip`], µs: ITU-T G.114 wants 150 ms one way at most.
static ROUND_TRIP: [u64; 9] = [
    1_000, 5_000, 20_000, 50_000, 100_000, 200_000, 300_000, 500_000, 1_000_000,
];

/// Counted by the engine, read by whoever shows it.
#[derive(Debug)]
pub struct Measures {
    /// From what set a ring off until the next INVITE was given to a socket. Where its connection was not open or its name not
    /// known, that is in it.
    pub bell_to_invite: Histogram,
    /// First calls of rings for which no INVITE was sent before the next ring: not in
    /// [`bell_to_invite`](Self::bell_to_invite).
    pub bells_without_invite: Count,
    /// Interarrival jitter of each leg at its end, of those from which something was heard.
    pub jitter: Histogram,
    /// Packets of speech that did not come, of legs that are over.
    pub lost: Count,
    /// Packets of speech that came, of legs that are over.
    pub received: Count,
    /// The last round trip of each leg that RTCP told of.
    pub round_trip: Histogram,
    /// When the first REGISTER was given to a socket, in nanoseconds; 0 before.
    first_register: AtomicU64,
    /// Legs that began, both directions: an INVITE transaction each.
    pub legs: Count,
    /// Of the media engine.
    pub media: Arc<gateway_media::Measures>,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            bell_to_invite: Histogram::new(&INVITE),
            bells_without_invite: Count::new(),
            jitter: Histogram::new(&JITTER),
            lost: Count::new(),
            received: Count::new(),
            round_trip: Histogram::new(&ROUND_TRIP),
            first_register: AtomicU64::new(0),
            legs: Count::new(),
            media: Arc::default(),
        }
    }
}

impl Measures {
    /// A message goes to a socket.
    pub(crate) fn sent(&self, now: Instant, bytes: &[u8]) {
        if bytes.starts_with(b"REGISTER ") && self.first_register.load(Ordering::Relaxed) == 0 {
            self.first_register.store(now.as_nanos(), Ordering::Relaxed);
        }
    }

    /// A leg is over.
    pub(crate) fn heard(&self, quality: &Quality) {
        self.received.add(quality.received);
        self.lost.add(quality.lost);
        if quality.received > 0 {
            self.jitter.note(Duration::from_micros(quality.jitter_us));
        }
        if let Some(round_trip) = quality.round_trip_us {
            self.round_trip.note(Duration::from_micros(round_trip));
        }
    }

    /// When the first REGISTER went out; `None` before.
    #[must_use]
    pub fn first_register(&self) -> Option<Instant> {
        let nanos = self.first_register.load(Ordering::Relaxed);
        (nanos > 0).then(|| Instant::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_counted_and_what_nobody_measured_is_not() {
        let measures = Measures::default();
        let quality = Quality {
            jitter_us: 700,
            lost: 3,
            received: 100,
            round_trip_us: None,
            ..Quality::default()
        };
        measures.heard(&quality);
        measures.heard(&Quality::default());
        assert_eq!((measures.lost.read(), measures.received.read()), (3, 100));
        assert_eq!(
            (measures.jitter.read().count, measures.round_trip.read().count),
            (1, 0)
        );
    }

    #[test]
    fn the_first_register_is_the_one_that_counts() {
        let measures = Measures::default();
        let at = |n| Instant::from_nanos(n);
        measures.sent(at(5), b"OPTIONS sip:a@b SIP/2.0\r\n");
        assert_eq!(measures.first_register(), None);
        measures.sent(at(7), b"REGISTER sip:b SIP/2.0\r\n");
        measures.sent(at(9), b"REGISTER sip:b SIP/2.0\r\n");
        assert_eq!(measures.first_register(), Some(at(7)));
    }
}
