//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use crate::{
    Coding, Edge, Polarity, Profile, Ranges, abb_telegrams, bytes_of_pulses, edges_of_bytes, learn,
    parse_edges, picture, recorded, scs_telegrams, show_edges,
};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 5] = [
    ("panel_abb", abb),
    ("panel_edges", edges),
    ("panel_learn", learned),
    ("panel_profile", profile),
    ("panel_scs", scs),
];

/// A recording of a line, as text.
///
/// # Panics
/// If it does not come back when it is written.
pub fn edges(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(edges) = parse_edges(&text) {
        assert_eq!(parse_edges(&show_edges(&edges)), Ok(edges));
    }
    let _ = text.parse::<Ranges>();
}

/// A recording of a line, three bytes for each time between two edges, from which a profile is learned.
///
/// # Panics
/// If what is proposed is no profile.
pub fn learned(data: &[u8]) {
    let mut at_us = 0;
    let edges: Vec<Edge> = data
        .chunks_exact(3)
        .enumerate()
        .map(|(n, gap)| {
            at_us += u64::from(u32::from_be_bytes([0, gap[0], gap[1], gap[2]])) + 1;
            Edge {
                at_us,
                level: n % 2 == 0,
            }
        })
        .collect();
    let _ = picture(&edges);
    if let Ok(proposal) = learn(&edges) {
        assert!(proposal.text().is_some(), "{proposal:?}");
    }
}

/// A profile of an own panel.
pub fn profile(data: &[u8]) {
    if let Err(e) = Profile::parse(&String::from_utf8_lossy(data)) {
        let _ = e.to_string();
    }
}

/// Bytes of an ABB-Welcome bus, and the same as two bytes for each time between two edges.
///
/// # Panics
/// If bytes do not come back of their pulses.
pub fn abb(data: &[u8]) {
    let _ = abb_telegrams(data);
    pulsed(Coding::Abb, data);
}

/// Bytes of an SCS bus, and the same as two bytes for each time between two edges.
///
/// # Panics
/// If bytes do not come back of their pulses.
pub fn scs(data: &[u8]) {
    let _ = scs_telegrams(data);
    pulsed(Coding::Scs, data);
}

/// What the decoder by hand and the one of lines make of pulses.
fn pulsed(coding: Coding, data: &[u8]) {
    let edges = edges_of_bytes(coding, data);
    assert_eq!(bytes_of_pulses(coding, &edges), (data.to_vec(), Vec::new()));
    let _ = recorded(coding, Polarity::High, &edges);
    let mut at_us = 0;
    let edges = data.chunks_exact(2).enumerate().map(|(n, gap)| {
        at_us += u64::from(u16::from_be_bytes([gap[0], gap[1]])) + 1;
        Edge {
            at_us,
            level: n % 2 == 0,
        }
    });
    let edges: Vec<Edge> = edges.collect();
    let _ = bytes_of_pulses(coding, &edges);
    let _ = recorded(coding, Polarity::Low, &edges);
}

#[cfg(test)]
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_survives_its_corpus() {
        super::replay::replay(&super::TARGETS);
    }
}
