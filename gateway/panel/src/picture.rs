//! Edges as a picture in text.

use std::fmt::Write as _;

use crate::edges::Edge;

/// Columns of the strip.
const COLUMNS: u64 = 72;
/// Lines below the strip.
const LINES: usize = 60;

/// A level that stood for a time.
#[derive(Clone, Copy, Debug)]
struct Run {
    at_us: u64,
    length_us: u64,
    level: bool,
}

/// Draws edges: a strip of the whole, then what follows what, with rows of like pulses in one line.
#[must_use]
pub fn picture(edges: &[Edge]) -> String {
    let runs = runs(edges);
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else {
        return "no edges\n".to_owned();
    };
    let span = (last.at_us - first.at_us).max(1);
    let mut text = strip(&runs, first.at_us, span);
    // writing to a string does not fail
    let _ = writeln!(text, "{} edges in {}", edges.len(), time(span));
    let mut lines = 0;
    let mut at = 0;
    while at < runs.len() {
        if lines == LINES {
            let _ = writeln!(text, "  … and {} levels more", runs.len() - at);
            break;
        }
        let pairs = like(&runs[at..]);
        let (run, next) = (runs[at], runs.get(at + 1));
        match next.filter(|_| pairs >= 2) {
            Some(next) => {
                let (longest_a, longest_b) = longest(&runs[at..at + 2 * pairs]);
                let _ = writeln!(
                    text,
                    "{:>12} µs  {}{} × {pairs}   {} / {}",
                    run.at_us - first.at_us,
                    mark(run.level),
                    mark(next.level),
                    spread(run.length_us, longest_a),
                    spread(next.length_us, longest_b),
                );
                at += 2 * pairs;
            }
            None => {
                let _ = writeln!(
                    text,
                    "{:>12} µs  {} {}",
                    run.at_us - first.at_us,
                    mark(run.level),
                    time(run.length_us)
                );
                at += 1;
            }
        }
        lines += 1;
    }
    text
}

fn runs(edges: &[Edge]) -> Vec<Run> {
    let run = |pair: &[Edge]| Run {
        at_us: pair[0].at_us,
        length_us: pair[1].at_us - pair[0].at_us,
        level: pair[0].level,
    };
    edges.windows(2).map(run).collect()
}

/// High, low, or both within a column.
fn strip(runs: &[Run], start: u64, span: u64) -> String {
    let mut seen = [(false, false); COLUMNS as usize];
    for run in runs {
        let column = |us: u64| (u128::from(us - start) * u128::from(COLUMNS) / u128::from(span + 1)) as usize;
        let end = run.at_us + run.length_us.saturating_sub(1);
        for cell in &mut seen[column(run.at_us)..=column(end)] {
            if run.level {
                cell.0 = true;
            } else {
                cell.1 = true;
            }
        }
    }
    let drawn = seen.iter().map(|cell| match cell {
        (true, false) => '▔',
        (false, true) => '▁',
        (true, true) => '│',
        (false, false) => ' ',
    });
    drawn.chain(['\n']).collect()
}

/// How many pairs of a high and a low level at the beginning are alike.
fn like(runs: &[Run]) -> usize {
    let near = |a: u64, b: u64| a.abs_diff(b) * 4 <= a.max(b);
    let Some([a, b]) = runs.get(..2).and_then(|two| <[Run; 2]>::try_from(two).ok()) else {
        return 0;
    };
    runs.chunks_exact(2)
        .take_while(|pair| near(pair[0].length_us, a.length_us) && near(pair[1].length_us, b.length_us))
        .count()
}

fn longest(runs: &[Run]) -> (u64, u64) {
    let of = |parity: usize| {
        runs.iter()
            .skip(parity)
            .step_by(2)
            .map(|r| r.length_us)
            .max()
            .unwrap_or(0)
    };
    (of(0), of(1))
}

fn spread(first: u64, longest: u64) -> String {
    if first >= longest {
        time(first)
    } else {
        format!("{} to {}", time(first), time(longest))
    }
}

const fn mark(level: bool) -> char {
    if level { '▔' } else { '▁' }
}

fn time(us: u64) -> String {
    match us {
        0..1000 => format!("{us} µs"),
        1000..1_000_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        _ => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pulses::tests::command;
    use proptest::prelude::*;

    #[test]
    fn a_count_is_seen_as_one_row_of_pulses() {
        let drawn = picture(&command(10, 1000));
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines[0].chars().count(), 72);
        assert!(lines[0].starts_with('▁') && lines[0].contains('│'), "{drawn}");
        assert!(drawn.contains("▁ 200.0 ms"), "{drawn}");
        assert!(drawn.contains("204000 µs  ▁▔ × 9   22 µs / 41 µs"), "{drawn}");
        assert!(
            drawn.contains("▁▔ ×") && drawn.contains("500 µs / 500 µs"),
            "{drawn}"
        );
    }

    proptest! {
        #[test]
        fn a_picture_is_bounded_whatever_is_drawn(gaps in prop::collection::vec(0_u64..5_000_000, 0..500)) {
            let mut at_us = 0;
            let edges: Vec<Edge> = gaps.iter().enumerate().map(|(n, gap)| {
                at_us += gap;
                Edge { at_us, level: n % 2 == 0 }
            }).collect();
            prop_assert!(picture(&edges).lines().count() <= LINES + 3);
        }
    }
}
