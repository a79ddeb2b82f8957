//! What is made of times and packets.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, ensure};
use peers::Sent;

/// Length of a packet, nanoseconds and ticks of the clock of G.711.
const PACKET_NS: i128 = 20_000_000;
const PACKET_TICKS: u32 = 160;

/// Milliseconds of processor time for one of so many calls.
pub(super) fn per_call(used: Duration, calls: u32) -> f64 {
    used.as_secs_f64() * 1e3 / f64::from(calls)
}

/// A figure that was taken more than once.
pub(super) struct Median {
    /// Half of the times it was as much at most.
    pub(super) is: f64,
    least: f64,
    most: f64,
}

impl fmt::Display for Median {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let Self { is, least, most } = self;
        write!(f, "{is:.digits$} ({least:.digits$} to {most:.digits$})")
    }
}

/// Of the figures that were taken as `what`, of which there must be one.
pub(super) fn median<T: PartialEq>(all: &[(T, f64)], what: &T) -> Median {
    let mut taken: Vec<f64> = all
        .iter()
        .filter_map(|(of, figure)| (of == what).then_some(*figure))
        .collect();
    taken.sort_unstable_by(f64::total_cmp);
    Median {
        is: taken[taken.len() / 2],
        least: taken[0],
        most: taken[taken.len() - 1],
    }
}

/// How streams of packets of 20 ms left.
pub(super) struct Raster {
    /// Sequence numbers that never came, of all streams.
    pub(super) lost: u64,
    /// Distance from the raster, of half of all packets at most.
    pub(super) p50_ms: f64,
    /// Of 99 of 100.
    pub(super) p99_ms: f64,
    /// Of any.
    pub(super) worst_ms: f64,
    /// Packets in all.
    pub(super) packets: usize,
}

/// Each stream has a raster of its own, which lies where half of its packets are earlier and half later. RTP time says
/// where on it a packet belongs, so that one that was never sent moves nobody else.
pub(super) fn raster(streams: &BTreeMap<u16, Vec<Sent>>) -> anyhow::Result<Raster> {
    let (mut off, mut lost) = (Vec::new(), 0);
    for stream in streams.values() {
        let (Some(first), Some(last)) = (stream.first(), stream.last()) else {
            continue;
        };
        let mut numbers: Vec<u16> = stream
            .iter()
            .map(|p| p.sequence.wrapping_sub(first.sequence))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        let all = u64::from(last.sequence.wrapping_sub(first.sequence)) + 1;
        lost += all.saturating_sub(u64::try_from(numbers.len())?);
        let mut places: Vec<i128> = stream
            .iter()
            .map(|packet| {
                let ticks = packet.timestamp.wrapping_sub(first.timestamp);
                packet.at_ns - first.at_ns - i128::from(ticks) * PACKET_NS / i128::from(PACKET_TICKS)
            })
            .collect();
        places.sort_unstable();
        let middle = places[places.len() / 2];
        off.extend(places.iter().map(|place| (place - middle).unsigned_abs()));
    }
    off.sort_unstable();
    ensure!(!off.is_empty(), "no packet was sent");
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of some seconds")]
    let at = |share: usize| -> anyhow::Result<f64> {
        let place = (off.len() * share / 100).min(off.len() - 1);
        Ok(*off.get(place).context("a packet")? as f64 / 1e6)
    };
    Ok(Raster {
        lost,
        p50_ms: at(50)?,
        p99_ms: at(99)?,
        worst_ms: at(100)?,
        packets: off.len(),
    })
}

#[test]
fn a_packet_that_is_late_and_one_that_is_missing_are_counted_on_their_own_stream_alone() {
    let packet = |n: u16, late_ns: i128| Sent {
        at_ns: 7_000_000 + i128::from(n) * PACKET_NS + late_ns,
        bytes: 80,
        // both numbers begin anew in the middle
        sequence: n.wrapping_add(65_500),
        timestamp: u32::from(n)
            .wrapping_mul(PACKET_TICKS)
            .wrapping_add(u32::MAX - 5_000),
    };
    let even: Vec<Sent> = (0..100).map(|n| packet(n, 0)).collect();
    let other: Vec<Sent> = (0..100)
        .filter(|n| *n != 50)
        .map(|n| packet(n, if n == 60 { 9_000_000 } else { 0 }))
        .collect();
    let all = raster(&BTreeMap::from([(1, even), (2, other)])).expect("packets");
    assert_eq!((all.lost, all.packets), (1, 199));
    assert!(all.p50_ms < 1e-9 && all.p99_ms < 1e-9 && (all.worst_ms - 9.0).abs() < 1e-9);
    assert!(raster(&BTreeMap::new()).is_err());
}
