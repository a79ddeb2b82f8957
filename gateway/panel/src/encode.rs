//! The other way round: the edges that a line shows when its panel rings.

use crate::edges::Edge;
use crate::frames::{BusAddress, FramePattern};
use crate::profile::{Polarity, Profile, PulseInput, RingInput};
use crate::pulses::Tone;

/// Rings of direct and alternating voltage last so long.
const BURST_US: u64 = 1_500_000;

/// A bus is free for so long before and after a frame.
const FREE_US: u64 = 100_000;

/// Edges of one ring, from rest to rest. `number` and `tone` mean something on lines that count, where a number out of 1 to
/// 255 gives none, and on buses, where it is an address, and one that no frame can name gives none. There door station 0
/// calls, [`Tone::Opened`] is the frame that opens, and there is no frame of a wrong code.
#[must_use]
pub fn ring_edges(profile: &Profile, number: u32, tone: Tone) -> Vec<Edge> {
    match &profile.ring {
        RingInput::Level(input) => {
            let active = matches!(input.active, Polarity::High);
            [(0, !active), (100_000, active), (100_000 + BURST_US, !active)]
                .map(|(at_us, level)| Edge { at_us, level })
                .to_vec()
        }
        RingInput::Burst(input) => {
            // half a wave that lies within what counts
            let half = u64::from(input.shortest_us.midpoint(input.longest_us)).clamp(100, 10_000);
            let mut edges = vec![Edge {
                at_us: 0,
                level: false,
            }];
            edges.extend((0..BURST_US / half / 2 * 2).map(|n| Edge {
                at_us: 100_000 + n * half,
                level: n % 2 == 0,
            }));
            edges
        }
        RingInput::Frame(input) => {
            let pattern = match tone {
                Tone::Opened => profile.door.and_then(|door| door.frame),
                Tone::Ring => input.call.first().copied(),
                Tone::WrongCode => None,
            };
            frame_edges(profile, pattern, number)
        }
        RingInput::PulseCount(input) => command(input, number, tone),
    }
}

/// Edges of the bell at an apartment's own door, on a bus that tells it by a frame; none elsewhere.
#[must_use]
pub fn floor_edges(profile: &Profile, number: u32) -> Vec<Edge> {
    let pattern = profile.frame_input().and_then(|input| input.floor);
    frame_edges(profile, pattern, number)
}

/// The free bus, a frame, the free bus.
fn frame_edges(profile: &Profile, pattern: Option<FramePattern>, address: u32) -> Vec<Edge> {
    let to = BusAddress { address, station: 0 };
    let row = profile.frame_input().and_then(|input| {
        let row = input.coding.row(pattern?.frame(to)?)?;
        Some((input.idle.is_active(true), row))
    });
    let Some((free, row)) = row else {
        return Vec::new();
    };
    let mut edges = vec![Edge {
        at_us: 0,
        level: free,
    }];
    let mut at_us = FREE_US;
    for (turn, time) in row.iter().enumerate() {
        edges.push(Edge {
            at_us,
            level: (turn % 2 == 0) != free,
        });
        at_us += u64::from(*time);
    }
    edges.push(Edge { at_us, level: free });
    edges
}

/// Rest, the rise, the count, silence, and a tone of 50 ms; then rest again.
fn command(input: &PulseInput, apartment: u32, tone: Tone) -> Vec<Edge> {
    if !(1..=255).contains(&apartment) {
        return Vec::new();
    }
    let high = matches!(input.idle, Polarity::Low);
    let mut edges = Vec::new();
    let mut push = |at_us: u64, is_high: bool| {
        edges.push(Edge {
            at_us,
            level: is_high == high,
        });
    };
    push(0, false);
    let mut now = u64::from(input.reset_ms) * 1000 * 10 / 7;
    push(now, true);
    now += 4000;
    let width = u64::from(input.shortest_us.midpoint(input.longest_us));
    for _ in 0..apartment {
        push(now, false);
        push(now + width, true);
        now += (width * 3).max(63);
    }
    now += u64::from(input.quiet_ms) * 1000 + 1000;
    let [first, last] = match tone {
        Tone::Opened => input.opened,
        Tone::Ring => input.ring,
        Tone::WrongCode => input.wrong_code,
    };
    let periods = u64::from(first.midpoint(last));
    let period = u64::from(input.tone_ms) * 1000 / periods.max(1);
    for _ in 0..50_000 / period.max(1) {
        push(now, false);
        push(now + period / 2, true);
        now += period;
    }
    push(now, false);
    edges
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway_core::{Bell, Instant, LineSignal};

    use super::*;
    use crate::machine::{LineInputs, LineParams, Output, PanelLine, Wire};
    use crate::table::profiles;

    #[test]
    fn every_profile_hears_its_own_ring() {
        for (name, _, profile) in profiles() {
            let mut line = PanelLine::new(LineParams {
                inputs: LineInputs::default(),
                mute: false,
                bus: Some(BusAddress {
                    address: 17,
                    station: 0,
                }),
                profile: profile.clone(),
                subscribed: "17".parse().expect("a range"),
            });
            let at = |us: u64| Instant::from_nanos(1_000_000_000) + Duration::from_micros(us);
            let edges = ring_edges(profile, 17, Tone::Ring);
            for edge in &edges {
                line.handle_edge(at(edge.at_us), Wire::Call, edge.level);
            }
            let end = edges.last().expect("edges").at_us + 200_000_000;
            while let Some(due) = line.poll_timeout().filter(|due| *due <= at(end)) {
                line.handle_timeout(due);
            }
            let mut said = Vec::new();
            while let Some(Output::Signal { signal, .. }) = line.poll_output() {
                said.push(signal);
            }
            let ring = if profile.names_apartments() {
                LineSignal::RingFor(Bell::Apartment(17))
            } else {
                LineSignal::Ring
            };
            assert_eq!(said, [ring, LineSignal::RingStopped], "{name}");
        }
    }

    #[test]
    fn there_is_no_ring_of_a_number_that_no_handset_has() {
        let counts = profiles().filter(|(_, _, profile)| profile.names_apartments());
        for (name, _, profile) in counts {
            assert!(ring_edges(profile, 0, Tone::Ring).is_empty(), "{name}");
            assert!(ring_edges(profile, 256, Tone::Ring).is_empty(), "{name}");
        }
    }
}
