//! Proposes how a line rings from edges that were recorded while it rang.

use std::fmt::Write as _;
use std::time::Duration;

use gateway_core::Instant;

use crate::edges::Edge;
use crate::frames::{BusAddress, FrameReader};
use crate::profile::{Profile, PulseInput, RingInput};
use crate::pulses::{Counted, PulseCounter, Tone};
use crate::table::profile_named;

/// Fewest edges that say anything.
const FEWEST: usize = 4;

/// What a recording looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What was measured, a sentence each.
    pub found: Vec<String>,
    /// The profile to begin with.
    pub profile: &'static str,
    /// The table for a copy of it, with the times that were measured.
    pub ring: String,
}

/// A recording that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// Too few edges.
    #[error(
        "{found} edges, and at least {FEWEST} are needed: record from before the panel rings until it has stopped"
    )]
    Few {
        /// How many there are.
        found: usize,
    },
    /// No row of anything.
    #[error(
        "neither a count of pulses nor an alternating voltage nor a level that stands: look at the picture, and at the wiring of the input"
    )]
    Nothing,
}

/// Looks at a recording of one ring or several.
///
/// # Errors
/// [`LearnError`] if there is nothing in it.
pub fn learn(edges: &[Edge]) -> Result<Proposal, LearnError> {
    if edges.len() < FEWEST {
        return Err(LearnError::Few { found: edges.len() });
    }
    count(edges)
        .or_else(|| framed(edges))
        .or_else(|| burst(edges))
        .or_else(|| level(edges))
        .ok_or(LearnError::Nothing)
}

fn lengths(edges: &[Edge], level: bool) -> Vec<u64> {
    let pairs = edges.windows(2).filter(|pair| pair[0].level == level);
    pairs.map(|pair| pair[1].at_us - pair[0].at_us).collect()
}

/// What a counter makes of them.
fn counted(edges: &[Edge], input: PulseInput) -> Vec<Counted> {
    let at = |us: u64| Instant::from_nanos(1_000_000_000) + Duration::from_micros(us);
    let mut counter = PulseCounter::new(input);
    let mut all: Vec<Counted> = Vec::new();
    for edge in edges {
        if let Ok(Some(counted)) = counter.handle_edge(at(edge.at_us), edge.level) {
            all.push(counted);
        }
    }
    let end = edges.last().map_or(0, |edge| edge.at_us) + 10_000_000;
    all.extend(counter.handle_timeout(at(end)).ok().flatten());
    all
}

fn count(edges: &[Edge]) -> Option<Proposal> {
    let RingInput::PulseCount(known) = &profile_named("laskomex-digital").ok()?.ring else {
        return None;
    };
    let widest = PulseInput {
        longest_us: 80,
        shortest_us: 4,
        ..*known
    };
    let idles = [crate::profile::Polarity::Low, crate::profile::Polarity::High];
    let (idle, all) = idles
        .into_iter()
        .map(|idle| (idle, counted(edges, PulseInput { idle, ..widest })))
        .find(|(_, all)| !all.is_empty())?;
    let low = crate::profile::Polarity::Low == idle;
    let pulses: Vec<u64> = lengths(edges, !low)
        .into_iter()
        .filter(|us| (4..=80).contains(us))
        .collect();
    let (shortest, longest) = (*pulses.iter().min()?, *pulses.iter().max()?);
    let word = |tone| match tone {
        Tone::Opened => "an opening",
        Tone::Ring => "a ring",
        Tone::WrongCode => "a wrong code",
    };
    let widths = if shortest == longest {
        shortest.to_string()
    } else {
        format!("{shortest} to {longest}")
    };
    let mut found = vec![format!("{} pulses of {widths} µs after a rest", pulses.len())];
    found.extend(all.iter().take(20).map(|counted| {
        let tone = word(counted.tone);
        format!(
            "{tone} of apartment {}, {} periods of its tone",
            counted.address, counted.periods
        )
    }));
    let laskomex = low && shortest >= known.shortest_us.into() && longest <= known.longest_us.into();
    let mut ring = String::from("[ring.pulse-count]\n");
    let idle = if low { "low" } else { "high" };
    let most = (longest * 3 / 2).clamp(3, 1000);
    let least = (shortest / 2).clamp(2, 1000);
    // writing to a string does not fail
    let _ = write!(
        ring,
        "idle = \"{idle}\"\nreset-ms = {}\nwindow-ms = {}\nshortest-us = {least}\nlongest-us = {most}\nquiet-ms = {}\n\
         tone-ms = {}\nring = [{}, {}]\nopened = [{}, {}]\nwrong-code = [{}, {}]\noff-ms = {}\n",
        known.reset_ms,
        known.window_ms,
        known.quiet_ms,
        known.tone_ms,
        known.ring[0],
        known.ring[1],
        known.opened[0],
        known.opened[1],
        known.wrong_code[0],
        known.wrong_code[1],
        known.off_ms,
    );
    Some(Proposal {
        found,
        profile: if laskomex {
            "laskomex-digital"
        } else {
            "digital-count"
        },
        ring,
    })
}

/// Calls on a bus that a profile knows. One frame that fits in every bit is no chance where nothing else fits; the profile
/// is proposed as it is, since how its bits stand is not measured here.
fn framed(edges: &[Edge]) -> Option<Proposal> {
    let at = |us: u64| Instant::from_nanos(1_000_000_000) + Duration::from_micros(us);
    let buses = crate::table::profiles()
        .filter_map(|(name, text, profile)| Some((name, text, profile.frame_input()?)));
    for (name, text, input) in buses {
        let mut reader = FrameReader::new(input.coding, input.idle);
        let frames = edges
            .iter()
            .filter_map(|edge| reader.handle_edge(at(edge.at_us), edge.level).ok().flatten());
        let heard: Vec<BusAddress> = frames
            .filter_map(|frame| input.call.iter().find_map(|call| call.read(frame)))
            .collect();
        if heard.is_empty() {
            continue;
        }
        let stations = input.call.iter().any(|call| call.has_station());
        let called = heard.iter().take(20).map(|to| {
            if stations {
                format!(
                    "a call for bus-address = {} from bus-station = {}",
                    to.address, to.station
                )
            } else {
                format!("a call for bus-address = {}", to.address)
            }
        });
        return Some(Proposal {
            found: called.collect(),
            profile: name,
            ring: section(text)?.to_owned(),
        });
    }
    None
}

/// How a profile says that it rings.
fn section(text: &str) -> Option<&str> {
    let begin = text.find("[ring.")?;
    let end = text[begin + 1..]
        .find("\n[")
        .map_or(text.len(), |at| begin + 2 + at);
    Some(&text[begin..end])
}

/// The pauses of a ring, doubled by half, are what ends it.
fn off_ms(pauses: impl Iterator<Item = u64>, most: u64) -> u64 {
    let longest = pauses.filter(|us| *us <= most).max().unwrap_or(0);
    (longest / 1000 * 3 / 2).clamp(1000, 10_000)
}

fn burst(edges: &[Edge]) -> Option<Proposal> {
    let gaps: Vec<u64> = edges
        .windows(2)
        .map(|pair| pair[1].at_us - pair[0].at_us)
        .collect();
    let mut quick: Vec<u64> = gaps
        .iter()
        .copied()
        .filter(|us| (100..=30_000).contains(us))
        .collect();
    quick.sort_unstable();
    if quick.len() < 20 || quick.len() * 4 < gaps.len() * 3 {
        return None;
    }
    let median = quick[quick.len() / 2];
    let longest = quick[quick.len() * 95 / 100];
    let hertz = 1_000_000 / (2 * median).max(1);
    let off = off_ms(gaps.into_iter().filter(|us| *us > 30_000), 7_000_000);
    let (longest_us, shortest_us) = ((longest * 3).clamp(200, 60_000), (median / 4).clamp(20, 10_000));
    Some(Proposal {
        found: vec![
            format!("half waves of about {median} µs, which is {hertz} Hz"),
            format!("over after {off} ms of silence"),
        ],
        profile: if hertz < 100 { "4n" } else { "urmet-1130" },
        ring: format!(
            "[ring.burst]\nlongest-us = {longest_us}\nshortest-us = {shortest_us}\nedges = 8\noff-ms = {off}\n"
        ),
    })
}

fn level(edges: &[Edge]) -> Option<Proposal> {
    // the level that stands first is the one at rest
    let rest = edges.first()?.level;
    let active = lengths(edges, !rest);
    let stood = active.iter().copied().filter(|us| *us >= 20_000).min()?;
    let off = off_ms(lengths(edges, rest).into_iter().skip(1), 7_000_000);
    let word = if rest { "low" } else { "high" };
    Some(Proposal {
        found: vec![
            format!("the input goes {word} for {} ms and longer", stood / 1000),
            format!("over after {off} ms of silence"),
        ],
        profile: if rest { "vizit-matrix" } else { "ab-loop" },
        ring: format!(
            "[ring.level]\nactive = \"{word}\"\non-ms = {}\noff-ms = {off}\n",
            (stood / 2000).clamp(5, 50)
        ),
    })
}

impl Proposal {
    /// The proposed profile as text: that of `profile` with the ring that was measured.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let (_, base, _) = crate::table::profiles().find(|(name, ..)| *name == self.profile)?;
        let (before, after) = base.split_once(section(base)?)?;
        let text = format!("{before}{}\n{after}", self.ring);
        Profile::parse(&text).ok()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::ring_edges;
    use crate::pulses::tests::command;
    use proptest::prelude::*;

    #[track_caller]
    fn check(edges: &[Edge], profile: &str, found: &str, ring: &str) {
        let proposal = learn(edges).expect("something");
        assert_eq!(proposal.profile, profile, "{proposal:?}");
        assert!(
            proposal.found.iter().any(|f| f.contains(found)),
            "{:?}",
            proposal.found
        );
        assert!(proposal.ring.contains(ring), "{}", proposal.ring);
        let text = proposal.text().expect("a profile");
        Profile::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }

    #[test]
    fn a_recorded_ring_becomes_a_profile() {
        check(
            &command(73, 1000),
            "laskomex-digital",
            "a ring of apartment 73",
            "idle = \"low\"",
        );
        let turned: Vec<Edge> = command(73, 1000)
            .into_iter()
            .map(|e| Edge { level: !e.level, ..e })
            .collect();
        check(&turned, "digital-count", "apartment 73", "idle = \"high\"");
        let wave: Vec<Edge> = (0..200)
            .map(|n| Edge {
                at_us: n * 10_000 + n / 100 * 2_000_000,
                level: n % 2 == 1,
            })
            .collect();
        check(&wave, "4n", "50 Hz", "longest-us = 30000");
        let opto: Vec<Edge> = [
            (0, true),
            (1_000_000, false),
            (2_000_000, true),
            (4_000_000, false),
            (5_000_000, true),
        ]
        .into_iter()
        .map(|(at_us, level)| Edge { at_us, level })
        .collect();
        check(&opto, "vizit-matrix", "goes low for 1000 ms", "off-ms = 3000");
    }

    #[test]
    fn a_call_on_a_bus_becomes_its_profile_and_says_for_whom_it_was() {
        let call = |name, address| ring_edges(profile_named(name).expect(name), address, Tone::Ring);
        let found = "a call for bus-address = 798906 from bus-station = 0";
        check(&call("tcs-bus", 798_906), "tcs-bus", found, "coding = \"tcs\"");
        let edges = call("comelit-simplebus-1", 12);
        check(
            &edges,
            "comelit-simplebus-1",
            "a call for bus-address = 12",
            "simplebus",
        );
    }

    #[test]
    fn what_says_nothing_is_told() {
        assert_eq!(learn(&[]), Err(LearnError::Few { found: 0 }));
        let spikes: Vec<Edge> = (0..10)
            .map(|n| Edge {
                at_us: n * 7000,
                level: n % 2 == 0,
            })
            .collect();
        assert_eq!(learn(&spikes), Err(LearnError::Nothing));
    }

    proptest! {
        /// Whatever was recorded: a proposal is a profile.
        #[test]
        fn every_proposal_is_a_profile(gaps in prop::collection::vec(1_u64..3_000_000, 0..200), quick: bool) {
            let mut at_us = 0;
            let edges: Vec<Edge> = gaps.iter().enumerate().map(|(n, gap)| {
                at_us += if quick { gap % 20_000 + 100 } else { *gap };
                Edge { at_us, level: n % 2 == 0 }
            }).collect();
            if let Ok(proposal) = learn(&edges) {
                prop_assert!(proposal.text().is_some(), "{proposal:?}");
            }
        }
    }
}
