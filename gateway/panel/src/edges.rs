//! Edges of one wire, as a front end gives them and as people write them.

use std::fmt::Write as _;

/// Most edges that are read at once: what a front end records in a minute of a line that is never quiet.
pub const MAX_EDGES: usize = 100_000;

/// A change of level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// When, in µs from any beginning.
    pub at_us: u64,
    /// True if the wire is high from here on.
    pub level: bool,
}

/// A text that is no list of edges.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EdgesError {
    /// No edge at all.
    #[error(
        "there is no edge; allowed: µs,level with a blank or new line between edges, such as 0,0 140000,1 144000,0"
    )]
    Empty,
    /// An item that is no edge.
    #[error("edge {number}: {found:?} is none; allowed: µs,level, the level 0 or 1, such as 140000,1")]
    Item {
        /// Which, from 1.
        number: usize,
        /// What stands there.
        found: String,
    },
    /// More than are read at once.
    #[error("more than {MAX_EDGES} edges")]
    Many,
    /// An edge that is earlier than the one before it.
    #[error("edge {number}: {at_us} µs is before {before_us} µs of the edge before it; edges come in order")]
    Order {
        /// Which, from 1.
        number: usize,
        /// Its time.
        at_us: u64,
        /// The time of the one before.
        before_us: u64,
    },
}

/// Reads edges: `µs,level` items between blanks or new lines; what follows `//` on a line is a remark. An item that
/// repeats the level before it is left out: nothing changed.
///
/// # Errors
/// [`EdgesError`] at the first item that is wrong.
pub fn parse_edges(text: &str) -> Result<Vec<Edge>, EdgesError> {
    let mut edges: Vec<Edge> = Vec::new();
    let mut before_us = 0;
    let items = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .flat_map(str::split_whitespace);
    for (index, item) in items.enumerate() {
        let number = index + 1;
        if number > MAX_EDGES {
            return Err(EdgesError::Many);
        }
        let edge = item.split_once(',').and_then(|(at, level)| {
            let level = match level {
                "0" => false,
                "1" => true,
                _ => return None,
            };
            // fifty days are more than any recording
            let at_us = at.parse().ok().filter(|at| *at <= 1 << 42)?;
            Some(Edge { at_us, level })
        });
        let Some(edge) = edge else {
            let found = item.chars().take(40).collect();
            return Err(EdgesError::Item { number, found });
        };
        if edge.at_us < before_us {
            return Err(EdgesError::Order {
                number,
                at_us: edge.at_us,
                before_us,
            });
        }
        before_us = edge.at_us;
        if edges.last().is_none_or(|last| last.level != edge.level) {
            edges.push(edge);
        }
    }
    if edges.is_empty() {
        return Err(EdgesError::Empty);
    }
    Ok(edges)
}

/// Writes edges so that [`parse_edges`] reads them, eight to a line.
#[must_use]
pub fn show_edges(edges: &[Edge]) -> String {
    let mut text = String::new();
    for (index, edge) in edges.iter().enumerate() {
        let end = if index % 8 == 7 || index + 1 == edges.len() {
            '\n'
        } else {
            ' '
        };
        // writing to a string does not fail
        let _ = write!(text, "{},{}{end}", edge.at_us, u8::from(edge.level));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges_are_times_with_levels() {
        let read = parse_edges("0,0 140000,1\n144000,1 // no change\n150000,0").expect("edges");
        let shown: Vec<(u64, bool)> = read.iter().map(|e| (e.at_us, e.level)).collect();
        assert_eq!(shown, [(0, false), (140_000, true), (150_000, false)]);
    }

    #[test]
    fn what_is_no_edge_says_where_and_what_is_allowed() {
        for (text, expected) in [
            ("", "there is no edge"),
            ("// nothing", "there is no edge"),
            ("0,0 5", "edge 2: \"5\" is none"),
            ("0,2", "the level 0 or 1"),
            ("-4,1", "edge 1"),
            ("99999999999999999999,1", "edge 1"),
            ("10,0 5,1", "edge 2: 5 µs is before 10 µs"),
        ] {
            let error = parse_edges(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn edges_come_back(steps in prop::collection::vec(0_u64..1_000_000, 1..200)) {
            let mut at_us = 0;
            let edges: Vec<Edge> = steps.iter().enumerate().map(|(n, step)| {
                at_us += step;
                Edge { at_us, level: n % 2 == 0 }
            }).collect();
            prop_assert_eq!(parse_edges(&show_edges(&edges)), Ok(edges));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-0-9,. \n/x]{0,200}") {
            let _ = parse_edges(&text);
        }
    }
}
