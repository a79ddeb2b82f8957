//! Patterns of names as fnmatch(3) and glob(7) have them: `*`, `?`, sets in brackets, and a backslash that takes the
//! meaning from the character after it. Slashes are for the caller.

/// Does the whole of `text` fit? A set that nobody can read (`[[:alpha:]]`) takes any character: who asks wants to miss
/// nothing.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern = parts(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(Part::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(part) if part.takes(text[t]) => (p, t) = (p + 1, t + 1),
            Some(_) | None => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|part| matches!(part, Part::Any))
}

/// Is there anything in it that means more than itself?
pub(super) fn is_pattern(text: &str) -> bool {
    parts(text).iter().any(|part| !matches!(part, Part::Letter(_)))
}

/// The text that a pattern means in which nothing means more than itself.
pub(super) fn plain(text: &str) -> String {
    let letter = |part: Part| match part {
        Part::Letter(letter) => Some(letter),
        Part::Any | Part::One | Part::Set { .. } => None,
    };
    parts(text).into_iter().filter_map(letter).collect()
}

enum Part {
    /// `*`
    Any,
    Letter(char),
    /// `?`
    One,
    Set {
        /// Ends of a range, both within.
        ranges: Vec<(char, char)>,
        inverted: bool,
    },
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Letter(letter) => *letter == c,
            Self::Set { ranges, inverted } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *inverted
            }
        }
    }
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut found = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        found.push(match c {
            '*' => Part::Any,
            '?' => Part::One,
            '[' => match set(rest) {
                Some((set, after)) => {
                    rest = after;
                    set
                }
                // without an end it is a bracket
                None => Part::Letter('['),
            },
            '\\' => match rest.chars().next() {
                Some(next) => {
                    rest = &rest[next.len_utf8()..];
                    Part::Letter(next)
                }
                None => Part::Letter('\\'),
            },
            letter => Part::Letter(letter),
        });
    }
    found
}

/// What follows an opening bracket, and what comes after the closing one.
fn set(text: &str) -> Option<(Part, &str)> {
    let inner = text.strip_prefix(['!', '^']);
    let inverted = inner.is_some();
    let inner = inner.unwrap_or(text);
    // a bracket that comes first is one of the set
    let first = inner.chars().next()?;
    let end = first.len_utf8() + inner[first.len_utf8()..].find(']')?;
    let (members, after) = (&inner[..end], &inner[end + 1..]);
    if ["[:", "[.", "[="].iter().any(|class| members.contains(class)) {
        // the bracket that was found closes the class
        let after = after.strip_prefix(']').unwrap_or(after);
        return Some((Part::One, after));
    }
    let members: Vec<char> = members.chars().collect();
    let (mut ranges, mut n) = (Vec::new(), 0);
    while n < members.len() {
        if members.get(n + 1) == Some(&'-') && n + 2 < members.len() {
            ranges.push((members[n], members[n + 2]));
            n += 3;
        } else {
            ranges.push((members[n], members[n]));
            n += 1;
        }
    }
    Some((Part::Set { ranges, inverted }, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_matched_as_the_shell_does() {
        for (glob, hit) in [
            ("eth0", true),
            ("eth*", true),
            ("*", true),
            ("e?h0", true),
            ("*0", true),
            ("*t*0", true),
            ("eth", false),
            ("eth0?", false),
            ("en*", false),
            ("", false),
            ("en[0-9]", false),
            ("eth[0-9]", true),
            ("eth[!0-9]", false),
            ("eth[^1-9]", true),
            ("et[]h]0", true),
            ("et[a-]0", false),
            ("e[ts][fgh]0", true),
            ("eth[[:digit:]]", true),
            ("eth[0", false),
            ("eth\\0", true),
            ("eth\\*", false),
        ] {
            assert_eq!(matches(glob, "eth0"), hit, "{glob}");
        }
        assert!(matches("a[b", "a[b") && matches("a\\", "a\\"));
    }

    #[test]
    fn what_means_only_itself_is_told_from_what_means_more() {
        assert!(!is_pattern("eth0") && !is_pattern("a\\*b") && !is_pattern("a[b"));
        assert!(is_pattern("a*") && is_pattern("?") && is_pattern("[ab]"));
        assert_eq!(plain("a\\*b\\ c"), "a*b c");
    }

    proptest! {
        #[test]
        fn any_text_matches_itself_with_every_letter_escaped(text in "\\PC{0,12}", pattern in "\\PC{0,12}") {
            let escaped: String = text.chars().flat_map(|c| ['\\', c]).collect();
            prop_assert!(matches(&escaped, &text));
            let _ = matches(&pattern, &text);
        }
    }
}
