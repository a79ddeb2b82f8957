//! What a change does to a text, as a unified diff.

use std::fmt::Write as _;

/// Lines that stay, before and after each change.
const CONTEXT: usize = 3;
/// Lines that differ, at most, for which the shortest way is looked for; beyond that the part that differs is told as
/// a whole. It bounds the memory to about a megabyte.
const MOST: usize = 400;

/// One line of both texts, or of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Both(&'a str),
    New(&'a str),
    Old(&'a str),
}

/// The difference in the form of `diff -u`, without its two lines of file names; empty if there is none.
#[must_use]
pub fn unified(old: &str, new: &str) -> String {
    let lines = compare(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let changed: Vec<usize> = (0..lines.len())
        .filter(|at| !matches!(lines[*at], Line::Both(_)))
        .collect();
    let mut told = String::new();
    let mut rest = &changed[..];
    while let Some(first) = rest.first() {
        // changes that are near each other are told together
        let near = |pair: &[usize]| pair[1] - pair[0] <= 2 * CONTEXT + 1;
        let count = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
        let from = first.saturating_sub(CONTEXT);
        let to = (rest[count - 1] + CONTEXT + 1).min(lines.len());
        hunk(&mut told, &lines, from, to);
        rest = &rest[count..];
    }
    told
}

fn hunk(told: &mut String, lines: &[Line<'_>], from: usize, to: usize) {
    let of_old = |part: &[Line<'_>]| part.iter().filter(|l| !matches!(l, Line::New(_))).count();
    let of_new = |part: &[Line<'_>]| part.iter().filter(|l| !matches!(l, Line::Old(_))).count();
    let (before, part) = (&lines[..from], &lines[from..to]);
    // an empty side is named by the line before it
    let begin = |before: usize, count: usize| if count == 0 { before } else { before + 1 };
    let (old, new) = (of_old(part), of_new(part));
    let _ = writeln!(
        told,
        "@@ -{},{old} +{},{new} @@",
        begin(of_old(before), old),
        begin(of_new(before), new)
    );
    for line in part {
        let (sign, text) = match line {
            Line::Both(text) => (' ', text),
            Line::New(text) => ('+', text),
            Line::Old(text) => ('-', text),
        };
        let _ = writeln!(told, "{sign}{text}");
    }
}

fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let pairs = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = pairs.take_while(|(a, b)| a == b).count();
    let (old_mid, new_mid) = (
        &old_rest[..old_rest.len() - tail],
        &new_rest[..new_rest.len() - tail],
    );
    let mut lines: Vec<Line<'a>> = old[..head].iter().map(|l| Line::Both(l)).collect();
    lines.extend(shortest(old_mid, new_mid).unwrap_or_else(|| {
        let gone = old_mid.iter().map(|l| Line::Old(l));
        gone.chain(new_mid.iter().map(|l| Line::New(l))).collect()
    }));
    lines.extend(old[old.len() - tail..].iter().map(|l| Line::Both(l)));
    lines
}

/// The shortest edit script (E. W. Myers, An O(ND) Difference Algorithm and Its Variations, 1986, §4); `None` if it is
/// longer than [`MOST`].
fn shortest<'a>(old: &[&'a str], new: &[&'a str]) -> Option<Vec<Line<'a>>> {
    // furthest[k + d] is how far in `old` one gets on the diagonal k = x - y with d differences
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for d in 0..=MOST.min(old.len() + new.len()) {
        let mut furthest = vec![0; 2 * d + 1];
        for at in (0..=2 * d).step_by(2) {
            let mut x = step(rounds.last(), d, at).0;
            // y = x - k, and k = at - d
            while x < old.len() && x + d < new.len() + at && old[x] == new[x + d - at] {
                x += 1;
            }
            furthest[at] = x;
            if x >= old.len() && x + d >= new.len() + at {
                rounds.push(furthest);
                return Some(walk_back(&rounds, old, new));
            }
        }
        rounds.push(furthest);
    }
    None
}

/// Where round `d` begins on its diagonal, and whether it came there by a new line.
fn step(before: Option<&Vec<usize>>, d: usize, at: usize) -> (usize, bool) {
    let Some(before) = before else { return (0, false) };
    // the round before has two places less, one at each end
    let by_new = at == 0 || (at != 2 * d && before[at - 2] < before[at]);
    if by_new {
        (before[at], true)
    } else {
        (before[at - 2] + 1, false)
    }
}

fn walk_back<'a>(rounds: &[Vec<usize>], old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let (mut x, mut y) = (old.len(), new.len());
    for d in (1..rounds.len()).rev() {
        let at = x + d - y;
        let (begin, by_new) = step(rounds.get(d - 1), d, at);
        while x > begin {
            (x, y) = (x - 1, y - 1);
            lines.push(Line::Both(old[x]));
        }
        if by_new {
            y -= 1;
            lines.push(Line::New(new[y]));
        } else {
            x -= 1;
            lines.push(Line::Old(old[x]));
        }
    }
    lines.extend(old[..x].iter().rev().map(|l| Line::Both(l)));
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_change_is_told_with_its_neighbours() {
        let old = "a\nb\nc\nd\ne\nf\ng\n";
        let new = "a\nb\nc\nD\ne\nf\ng\n";
        assert_eq!(
            unified(old, new),
            "@@ -1,7 +1,7 @@\n a\n b\n c\n-d\n+D\n e\n f\n g\n"
        );
        assert_eq!(unified(old, old), "");
        assert_eq!(unified("", "a\n"), "@@ -0,0 +1,1 @@\n+a\n");
        assert_eq!(unified("a\n", ""), "@@ -1,1 +0,0 @@\n-a\n");
    }

    #[test]
    fn changes_that_are_far_from_each_other_have_hunks_of_their_own() {
        let old: String = (0..40).map(|n| format!("{n}\n")).collect();
        let new = old.replace("5\n6\n", "5\nx\n6\n").replace("30\n", "");
        let told = unified(&old, &new);
        assert_eq!(told.matches("@@ -").count(), 2, "{told}");
        assert!(told.contains("@@ -28,7 +29,6 @@"), "{told}");
    }

    /// Both texts again, from the lines.
    fn both(lines: &[Line<'_>]) -> (Vec<String>, Vec<String>) {
        let (mut old, mut new) = (vec![], vec![]);
        for line in lines {
            match line {
                Line::Both(text) => {
                    old.push((*text).to_owned());
                    new.push((*text).to_owned());
                }
                Line::New(text) => new.push((*text).to_owned()),
                Line::Old(text) => old.push((*text).to_owned()),
            }
        }
        (old, new)
    }

    #[test]
    fn a_text_that_is_all_new_is_told_as_a_whole() {
        let old: Vec<String> = (0..2000).map(|n| format!("a{n}")).collect();
        let new: Vec<String> = (0..2000).map(|n| format!("b{n}")).collect();
        let (old, new): (Vec<&str>, Vec<&str>) = (
            old.iter().map(String::as_str).collect(),
            new.iter().map(String::as_str).collect(),
        );
        let lines = compare(&old, &new);
        assert_eq!(lines.len(), 4000);
    }

    proptest! {
        #[test]
        fn both_texts_are_in_it_and_no_shorter_one_is_missed(
            old in proptest::collection::vec("[abc]", 0..12),
            new in proptest::collection::vec("[abc]", 0..12),
        ) {
            let old: Vec<&str> = old.iter().map(String::as_str).collect();
            let new: Vec<&str> = new.iter().map(String::as_str).collect();
            let lines = compare(&old, &new);
            prop_assert_eq!(
                both(&lines),
                (old.iter().map(ToString::to_string).collect(), new.iter().map(ToString::to_string).collect())
            );
            // the longest common part, by the plain table
            let mut table = vec![vec![0; new.len() + 1]; old.len() + 1];
            for (i, a) in old.iter().enumerate() {
                for (j, b) in new.iter().enumerate() {
                    table[i + 1][j + 1] = if a == b { table[i][j] + 1 } else { table[i][j + 1].max(table[i + 1][j]) };
                }
            }
            let kept = lines.iter().filter(|l| matches!(l, Line::Both(_))).count();
            prop_assert_eq!(kept, table[old.len()][new.len()]);
        }
    }
}
