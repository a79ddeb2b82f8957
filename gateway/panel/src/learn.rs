//! Proposes how a line rings from edges that were recorded while it rang.

use std::fmt::Write as _;
use std::time::Duration;

use gateway_core::Instant;

use crate::abb::AbbTelegram;
use crate::edges::Edge;
use crate::frames::{BusAddress, Coding, Frame, recorded};
use crate::profile::{Profile, PulseInput, RingInput};
use crate::pulses::{Counted, PulseCounter, Tone};
use crate::table::profile_named;

/// Fewest edges that say anything.
const FEWEST: usize = 3;

/// What a recording looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What was measured, a sentence each.
    pub found: Vec<String>,
    /// The profile to begin with.
    pub profile: &'static str,
    /// The table for a copy of it, with the times that were measured.
    pub ring: String,
    /// The table of its door, if an opening was recorded, too.
    pub door: Option<String>,
    /// Other profiles whose ring looks the same.
    pub others: Vec<&'static str>,
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
    // what has a check first: pulses of a telegram can be counted, too
    framed(edges)
        .or_else(|| named(edges))
        .or_else(|| count(edges))
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
        door: None,
        // the times are those of Laskomex, and may be those of others
        others: if laskomex {
            vec!["digital-count"]
        } else {
            Vec::new()
        },
    })
}

/// Calls on a bus that a profile knows. One frame that fits in every bit is no chance where nothing else fits; the profile
/// is proposed as it is, since how its bits stand is not measured here.
fn framed(edges: &[Edge]) -> Option<Proposal> {
    let buses = crate::table::profiles()
        .filter_map(|(name, text, profile)| Some((name, text, profile.frame_input()?)));
    for (name, text, input) in buses {
        let frames: Vec<Frame> = recorded(input.coding, input.idle, edges)
            .into_iter()
            .filter_map(|(_, said)| said.ok())
            .collect();
        let heard: Vec<BusAddress> = frames
            .iter()
            .filter_map(|frame| input.call.iter().find_map(|call| call.read(*frame)))
            .collect();
        let Some(first) = heard.first() else {
            continue;
        };
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
        let others = frames
            .iter()
            .filter(|frame| input.call.iter().all(|call| call.read(**frame).is_none()));
        let door = frames
            .iter()
            .find_map(|frame| opening(input.coding, *frame, first.address));
        return Some(Proposal {
            found: called.chain(telegrams(input.coding, others)).collect(),
            profile: name,
            ring: section(text)?.to_owned(),
            door,
            others: alike(name, |ring| match ring {
                RingInput::Frame(other) => other == input,
                RingInput::Burst(_) | RingInput::Level(_) | RingInput::PulseCount(_) => false,
            }),
        });
    }
    None
}

/// Telegrams of a bus on which those that ring differ from house to house: the first of them is taken for the call.
fn named(edges: &[Edge]) -> Option<Proposal> {
    for profile in ["busch-welcome", "scs"] {
        let input = profile_named(profile).ok()?.frame_input()?;
        let frames: Vec<Frame> = recorded(input.coding, input.idle, edges)
            .into_iter()
            .filter_map(|(_, said)| said.ok())
            .collect();
        let Some(first) = frames.first() else {
            continue;
        };
        let word = match input.coding {
            Coding::Abb => "abb",
            Coding::Scs => "scs",
            Coding::Simplebus | Coding::Tcs => return None,
        };
        let mut found: Vec<String> = telegrams(input.coding, frames.iter()).collect();
        found.push(
            "none of them is a call that is known; the first is proposed as one: let nothing happen but the ring, and keep the one that \
             comes each time"
                .to_owned(),
        );
        return Some(Proposal {
            found,
            profile,
            ring: format!(
                "[ring.frame]\ncoding = \"{word}\"\nidle = \"high\"\ncall = [\"{}\"]\noff-ms = {}\n",
                literal(*first),
                input.off_ms
            ),
            door: None,
            others: Vec::new(),
        });
    }
    None
}

/// A telegram as a pattern that fits nothing else.
fn literal(frame: Frame) -> String {
    let bytes: Vec<String> = frame.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("hex {}", bytes.join(" "))
}

/// Which telegrams there are on a bus that talks in bytes, each one once, at most 20.
fn telegrams<'a>(coding: Coding, frames: impl Iterator<Item = &'a Frame>) -> impl Iterator<Item = String> {
    let mut seen: Vec<(Frame, usize)> = Vec::new();
    let in_bytes = match coding {
        Coding::Abb | Coding::Scs => true,
        Coding::Simplebus | Coding::Tcs => false,
    };
    for frame in frames.filter(|_| in_bytes) {
        if let Some((_, count)) = seen.iter_mut().find(|(known, _)| known == frame) {
            *count += 1;
        } else if seen.len() < 20 {
            seen.push((*frame, 1));
        }
    }
    seen.into_iter().map(move |(frame, count)| {
        let kind = match coding {
            Coding::Abb => frame.bytes().get(1).copied(),
            Coding::Scs | Coding::Simplebus | Coding::Tcs => None,
        };
        let word = kind.and_then(|kind| Some((kind & 0x80 != 0, AbbTelegram::kind_word(kind)?)));
        let word = word.map_or_else(String::new, |(answer, word)| {
            format!(": {}{word}", if answer { "answer to " } else { "" })
        });
        format!("telegram {:?}, {count} times{word}", literal(frame))
    })
}

/// The door that opens as the indoor station of this number did; `None` if it did not. Of ABB-Welcome only, since of SCS nobody
/// has told how such a telegram looks.
fn opening(coding: Coding, frame: Frame, address: u32) -> Option<String> {
    let mut bytes: Vec<String> = frame.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let own = match coding {
        Coding::Abb => match frame.bytes()[..] {
            [0x00..0x40, 0x0D | 0x0E, _, _, 0x10, own, ..] => (5, own),
            [0x40..0x80, 0x0D | 0x0E, _, _, _, 0x00, 0x01, own, ..] => (7, own),
            _ => return None,
        },
        Coding::Scs | Coding::Simplebus | Coding::Tcs => return None,
    };
    if u32::from(own.1) != address {
        return None;
    }
    "@@".clone_into(bytes.get_mut(own.0)?);
    Some(format!(
        "[door]\nby = \"frame\"\nframe = \"hex {}\"\npresses = 1\npause-ms = 200\noff-hook-ms = 0\nquiet-ms = 100\nhold-ms = 0\n",
        bytes.join(" ")
    ))
}

/// How a profile says that it rings.
fn section(text: &str) -> Option<&str> {
    let begin = text.find("[ring.")?;
    let end = text[begin + 1..]
        .find("\n[")
        .map_or(text.len(), |at| begin + 2 + at);
    Some(&text[begin..end])
}

/// The pauses of a ring, and half of that again, are what ends it; `None` for a ring without a pause.
fn off_ms(pauses: impl Iterator<Item = u64>, most: u64) -> Option<u64> {
    let longest = pauses.filter(|us| *us <= most).max()?;
    Some((longest / 1000 * 3 / 2).clamp(1000, 10_000))
}

/// After how long the ring is over, in ms, and how that is known. Where no pause was recorded it is that of the profile: a shorter one
/// would make several rings of one.
fn over(measured: Option<u64>, profile: &'static str) -> (u64, String) {
    match measured {
        Some(off) => (off, format!("over after {off} ms of silence")),
        None => {
            let off = profile_named(profile)
                .map_or(Duration::from_secs(4), Profile::off)
                .as_millis();
            let off = u64::try_from(off).unwrap_or(u64::MAX);
            let text = format!(
                "over after {off} ms of silence, as in {profile}: no pause of the ring was recorded. Record a longer one if it has any"
            );
            (off, text)
        }
    }
}

/// Profiles that ring so, but for one.
fn alike(but: &str, rings: impl Fn(&RingInput) -> bool) -> Vec<&'static str> {
    let all = crate::table::profiles();
    all.filter(|(name, _, profile)| *name != but && rings(&profile.ring))
        .map(|(name, ..)| name)
        .collect()
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
    // the rest before the ring is no pause of it
    let pauses = gaps.into_iter().skip_while(|us| *us > 30_000);
    let profile = if hertz < 100 { "4n" } else { "urmet-1130" };
    let (off, over) = over(off_ms(pauses.filter(|us| *us > 30_000), 7_000_000), profile);
    let (longest_us, shortest_us) = ((longest * 3).clamp(200, 60_000), (median / 4).clamp(20, 10_000));
    Some(Proposal {
        found: vec![
            format!("half waves of about {median} µs, which is {hertz} Hz"),
            over,
        ],
        profile,
        ring: format!(
            "[ring.burst]\nlongest-us = {longest_us}\nshortest-us = {shortest_us}\nedges = 8\noff-ms = {off}\n"
        ),
        door: None,
        others: alike(profile, |ring| match ring {
            RingInput::Burst(input) => {
                (u64::from(input.shortest_us)..=u64::from(input.longest_us)).contains(&median)
            }
            RingInput::Frame(_) | RingInput::Level(_) | RingInput::PulseCount(_) => false,
        }),
    })
}

fn level(edges: &[Edge]) -> Option<Proposal> {
    // the level that stands first is the one at rest
    let rest = edges.first()?.level;
    let active = lengths(edges, !rest);
    let stood = active.iter().copied().filter(|us| *us >= 20_000).min()?;
    let profile = if rest { "vizit-matrix" } else { "ab-loop" };
    let (off, over) = over(
        off_ms(lengths(edges, rest).into_iter().skip(1), 7_000_000),
        profile,
    );
    let word = if rest { "low" } else { "high" };
    Some(Proposal {
        found: vec![
            format!("the input goes {word} for {} ms and longer", stood / 1000),
            over,
        ],
        profile,
        ring: format!(
            "[ring.level]\nactive = \"{word}\"\non-ms = {}\noff-ms = {off}\n",
            (stood / 2000).clamp(5, 50)
        ),
        door: None,
        others: alike(profile, |ring| match ring {
            RingInput::Level(input) => input.active.is_active(!rest),
            RingInput::Burst(_) | RingInput::Frame(_) | RingInput::PulseCount(_) => false,
        }),
    })
}

impl Proposal {
    /// The same ring in another profile of those that fit; `None` if it does not.
    #[must_use]
    pub fn like(&self, name: &str) -> Option<Self> {
        if name == self.profile {
            return Some(self.clone());
        }
        let profile = *self.others.iter().find(|other| **other == name)?;
        let mut others: Vec<_> = self
            .others
            .iter()
            .copied()
            .filter(|other| *other != name)
            .collect();
        others.insert(0, self.profile);
        Some(Self {
            profile,
            others,
            ..self.clone()
        })
    }

    /// The proposed profile as text: that of `profile` with the ring that was measured.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let (_, base, _) = crate::table::profiles().find(|(name, ..)| *name == self.profile)?;
        let (before, after) = base.split_once(section(base)?)?;
        let mut text = format!("{before}{}\n{after}", self.ring);
        if let Some(door) = &self.door {
            // buses whose openings are learnt have no door of their own
            text = format!("{text}\n{door}");
        }
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
    fn one_ring_of_each_line_is_enough_and_its_own_profile_is_among_those_that_fit() {
        for (name, _, profile) in crate::table::profiles() {
            let edges = ring_edges(profile, 12, Tone::Ring);
            let proposal = learn(&edges).unwrap_or_else(|error| panic!("{name}: {error}"));
            let own = proposal.like(name);
            let own = own.unwrap_or_else(|| panic!("{name} is not among {proposal:?}"));
            assert_eq!(own.profile, name);
            let text = own.text().expect("a profile");
            let learnt = Profile::parse(&text).expect("a profile");
            assert!(
                learnt.off() >= profile.off().min(Duration::from_secs(1)),
                "{name}"
            );
            assert_eq!(learnt.door, profile.door, "{name}");
        }
    }

    #[test]
    fn a_ring_that_many_have_names_them_all_and_what_ends_it_is_not_made_up() {
        let ring = |name| ring_edges(profile_named(name).expect(name), 1, Tone::Ring);
        let low = learn(&ring("metakom-matrix")).expect("something");
        assert_eq!(low.profile, "vizit-matrix");
        assert_eq!(
            low.others,
            [
                "cyfral-matrix",
                "eltis-matrix",
                "handset-tap",
                "metakom-matrix",
                "urmet-1133"
            ]
        );
        assert!(low.ring.contains("off-ms = 4000"), "{}", low.ring);
        assert!(
            low.found.iter().any(|found| found.contains("no pause")),
            "{:?}",
            low.found
        );
        let half_waves = learn(&ring("siedle-1n")).expect("something");
        assert_eq!(half_waves.profile, "4n");
        assert!(half_waves.ring.contains("off-ms = 3000"), "{}", half_waves.ring);
        assert_eq!(
            half_waves.others,
            ["1n", "ftz-123-d12", "siedle-1n", "urmet-1130"]
        );
        assert_eq!(half_waves.like("vizit-matrix"), None);
        assert_eq!(learn(&ring("ab-loop")).expect("something").others, [""; 0]);
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

    /// Telegrams of a bus one after the other, a second between them.
    fn said(coding: Coding, telegrams: &[&str]) -> Vec<Edge> {
        let mut all: Vec<Edge> = Vec::new();
        for (n, text) in (0..).zip(telegrams) {
            let bytes: Vec<u8> = text
                .split(' ')
                .map(|word| u8::from_str_radix(word, 16).expect("hex"))
                .collect();
            let value = bytes.iter().fold(0, |all, byte| all << 8 | u128::from(*byte));
            let bits = u8::try_from(bytes.len() * 8).expect("few");
            let whole = coding.telegram(Frame { bits, value }, n).expect("a telegram");
            let from = 1_000_000 * u64::from(n);
            let edges = crate::frames::edges_of_bytes(coding, &whole);
            all.extend(edges.into_iter().skip(usize::from(n > 0)).map(|edge| Edge {
                at_us: from + edge.at_us,
                ..edge
            }));
        }
        all
    }

    #[test]
    fn a_ring_and_an_opening_on_a_welcome_bus_become_a_profile_that_does_both() {
        let edges = said(
            Coding::Abb,
            &[
                "00 01 10 0c 20 01",
                "00 81 20 01 10 0c",
                "03 0d 40 01 10 0c ab cd ef",
                "00 8d 10 0c 40 01",
            ],
        );
        let open = "telegram \"hex 03 0d 40 01 10 0c ab cd ef\", 1 times: open";
        check(
            &edges,
            "busch-welcome",
            "a call for bus-address = 12",
            "coding = \"abb\"",
        );
        check(&edges, "busch-welcome", open, "hex 0? 01 10 @@ 20 ?? *");
        let text = learn(&edges).expect("something").text().expect("a profile");
        let profile = Profile::parse(&text).expect("a profile");
        let who = |address| BusAddress { address, station: 0 };
        let opening = |address| profile.opening(who(address)).map(|(_, frame)| frame.to_string());
        assert_eq!(opening(12), Some("030d4001100cabcdef".to_owned()));
        assert_eq!(opening(13), Some("030d4001100dabcdef".to_owned()));
        // somebody else's opening is none of the called one
        let other = said(Coding::Abb, &["00 01 10 0c 20 01", "03 0d 40 01 10 0d ab cd ef"]);
        assert_eq!(learn(&other).expect("something").door, None);
    }

    #[test]
    fn telegrams_that_nobody_knows_become_a_profile_by_their_own_bytes() {
        let edges = said(Coding::Scs, &["91 03 60 08", "98 00 12 01"]);
        check(&edges, "scs", "a call for bus-address = 3", "hex 91 @@ 60 ??");
        check(&edges, "scs", "telegram \"hex 98 00 12 01\", 1 times", "scs");
        let edges = said(Coding::Scs, &["47 05 6f 11", "47 05 6f 11"]);
        let found = "telegram \"hex 47 05 6f 11\", 2 times";
        check(&edges, "scs", found, "call = [\"hex 47 05 6f 11\"]");
        let text = learn(&edges).expect("something").text().expect("a profile");
        let profile = Profile::parse(&text).expect("a profile");
        assert!(!profile.asks_who());
        let edges = said(Coding::Abb, &["02 20 30 01 10 01 07 09"]);
        check(
            &edges,
            "busch-welcome",
            "the first is proposed",
            "hex 02 20 30 01 10 01 07 09",
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
