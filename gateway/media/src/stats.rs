//! Statistics of a received stream (RFC 3550 §6.4, A.1, A.3, A.8).

use std::time::Duration;

use gateway_core::Instant;

/// A reception report block (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// Whose stream.
    pub ssrc: u32,
    /// Loss since the last report, 1/256.
    pub fraction: u8,
    /// Packets lost altogether; negative with duplicates.
    pub lost: i32,
    /// Highest sequence number, with cycles above.
    pub highest: u32,
    /// Interarrival jitter, RTP ticks.
    pub jitter: u32,
    /// Middle 32 bits of the last SR's NTP time; 0 if none came.
    pub last_sr: u32,
    /// Time since that SR, 1/65536 s.
    pub delay_since_sr: u32,
}

/// An instant as an NTP format timestamp (32.32 bits); counts from boot.
#[must_use]
pub fn ntp(at: Instant) -> u64 {
    let nanos = at.as_nanos();
    let seconds = nanos / 1_000_000_000;
    let fraction = ((nanos % 1_000_000_000) << 32) / 1_000_000_000;
    (seconds << 32) | fraction
}

/// Middle 32 bits of an NTP timestamp.
#[must_use]
pub const fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// Round trip of a report about our stream: arrival minus last SR minus delay since it (RFC 3550 §6.4.1).
/// `None` if the other side had no SR of ours, or the numbers do not fit.
#[must_use]
pub fn round_trip(arrived: Instant, block: &ReportBlock) -> Option<Duration> {
    if block.last_sr == 0 {
        return None;
    }
    let units = middle(ntp(arrived))
        .wrapping_sub(block.last_sr)
        .wrapping_sub(block.delay_since_sr);
    // More than half a minute is a wrapped negative number.
    (units < 30 << 16).then(|| Duration::from_nanos(u64::from(units) * 1_000_000_000 / 65_536))
}

/// Counts one source.
#[derive(Clone, Debug)]
pub struct Reception {
    ssrc: u32,
    clock: u32,
    first: u32,
    highest: u32,
    received: u32,
    expected_before: u32,
    received_before: u32,
    transit: Option<u32>,
    /// Jitter times 16, ticks.
    jitter: u32,
    last_sr: Option<(u32, Instant)>,
}

impl Reception {
    /// Starts with the first packet of a source; `clock` is the RTP clock in Hz to begin with.
    #[must_use]
    pub fn new(ssrc: u32, clock: u32, first: u16) -> Self {
        // One cycle up, so that a packet from before the first does not wrap below zero.
        let first = 0x1_0000 + u32::from(first);
        Self {
            ssrc,
            clock,
            first,
            highest: first,
            received: 0,
            expected_before: 0,
            received_before: 0,
            transit: None,
            jitter: 0,
            last_sr: None,
        }
    }

    /// A packet came. `clock` is the RTP clock of its timestamp in Hz; `None` for packets whose timestamp does not
    /// move with time: telephone-events. Another clock than before begins the jitter anew.
    pub fn packet(&mut self, now: Instant, sequence: u16, timestamp: u32, clock: Option<u32>) {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead < 0x8000 {
            self.highest = self.highest.wrapping_add(u32::from(ahead));
        }
        self.received = self.received.wrapping_add(1);
        let Some(clock) = clock else {
            return;
        };
        if clock != self.clock {
            self.clock = clock;
            self.transit = None;
            self.jitter = 0;
        }
        let arrival = (u128::from(now.as_nanos()) * u128::from(self.clock) / 1_000_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(last) = self.transit {
            let d = transit
                .wrapping_sub(last)
                .cast_signed()
                .unsigned_abs()
                .min(self.clock);
            self.jitter = self.jitter + d - ((self.jitter + 8) >> 4);
        }
        self.transit = Some(transit);
    }

    /// A sender report of this source came.
    pub fn sender_report(&mut self, now: Instant, ntp: u64) {
        self.last_sr = Some((middle(ntp), now));
    }

    /// Source.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Packets lost; duplicates count against it.
    #[must_use]
    pub fn lost(&self) -> i32 {
        self.expected().wrapping_sub(self.received).cast_signed()
    }

    /// Interarrival jitter.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        Duration::from_micros(u64::from(self.jitter >> 4) * 1_000_000 / u64::from(self.clock.max(1)))
    }

    fn expected(&self) -> u32 {
        if self.received == 0 {
            return 0;
        }
        self.highest.wrapping_sub(self.first).wrapping_add(1)
    }

    /// The next report; the loss fraction counts from the last one.
    pub fn report(&mut self, now: Instant) -> ReportBlock {
        let expected = self.expected();
        let interval = expected.wrapping_sub(self.expected_before);
        let got = self.received.wrapping_sub(self.received_before);
        self.expected_before = expected;
        self.received_before = self.received;
        let missing = interval.saturating_sub(got);
        let fraction = if interval == 0 || missing == 0 {
            0
        } else {
            u8::try_from(u64::from(missing) * 256 / u64::from(interval)).unwrap_or(255)
        };
        let (last_sr, delay_since_sr) = self.last_sr.map_or((0, 0), |(sr, at)| {
            let units = now.since(at).as_nanos() * 65_536 / 1_000_000_000;
            (sr, u32::try_from(units).unwrap_or(u32::MAX))
        });
        ReportBlock {
            ssrc: self.ssrc,
            fraction,
            lost: self.lost(),
            highest: self.highest.wrapping_sub(0x1_0000),
            jitter: self.jitter >> 4,
            last_sr,
            delay_since_sr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn loss_is_counted_over_a_wrap_of_the_sequence_number() {
        let mut r = Reception::new(1, 8_000, 65_530);
        let t0 = Instant::ZERO + ms(1_000);
        for n in 0..20u16 {
            if n % 5 != 4 {
                r.packet(
                    t0 + ms(20 * u64::from(n)),
                    65_530u16.wrapping_add(n),
                    160 * u32::from(n),
                    Some(8_000),
                );
            }
        }
        // 16 of 19 expected: the last one is not known to be lost.
        assert_eq!(r.lost(), 3);
        let b = r.report(t0);
        assert_eq!((b.lost, b.fraction), (3, (3 * 256 / 19) as u8));
        assert_eq!(b.highest, 65_530 + 18);
        assert_eq!(r.report(t0).fraction, 0);
        assert_eq!(r.jitter(), Duration::ZERO);
    }

    #[test]
    fn jitter_follows_the_arrival_times() {
        let mut r = Reception::new(1, 8_000, 0);
        for n in 0..400u16 {
            let late = if n % 2 == 0 { 0 } else { 4 };
            r.packet(
                Instant::ZERO + ms(1_000 + 20 * u64::from(n) + late),
                n,
                160 * u32::from(n),
                Some(8_000),
            );
        }
        // Every difference is 4 ms; the estimate converges on it.
        assert!(
            (3_500..=4_000).contains(&r.jitter().as_micros()),
            "{:?}",
            r.jitter()
        );
    }

    #[test]
    fn round_trip_is_arrival_minus_report_times() {
        let sent = Instant::ZERO + ms(100_000);
        let block = ReportBlock {
            ssrc: 1,
            fraction: 0,
            lost: 0,
            highest: 0,
            jitter: 0,
            last_sr: middle(ntp(sent)),
            delay_since_sr: 2 << 16,
        };
        let rtt = round_trip(sent + ms(2_080), &block).expect("measured");
        assert!((79..=81).contains(&rtt.as_millis()), "{rtt:?}");
        assert_eq!(round_trip(sent + ms(1_000), &block), None);
        assert_eq!(round_trip(sent, &ReportBlock { last_sr: 0, ..block }), None);
    }
}
