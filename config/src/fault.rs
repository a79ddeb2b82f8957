//! What is wrong in a site file, and how it is printed.

use std::fmt;
use std::ops::Range;

/// The kinds of fault, for tests and for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A name that is not 1 to 40 of `a-z 0-9 - _`.
    BadName,
    /// A text that is not what the key takes.
    BadValue,
    /// None or several of the device families were given.
    Choice,
    /// Keys that contradict each other, or do not fit the rest of the site.
    Conflict,
    /// A reference to something that is not configured.
    Dangling,
    /// One resource claimed twice.
    Duplicate,
    /// A file named by the site file cannot be used.
    File,
    /// A key that must be there is missing.
    Missing,
    /// A number, a length or a count outside its range.
    OutOfRange,
    /// Not TOML.
    Syntax,
    /// What an invariant forbids: a door could open or stay open by accident, or a secret be seen.
    Unsafe,
    /// A key that does not exist.
    UnknownKey,
    /// A value of another type.
    WrongType,
}

/// One thing that is wrong, or risky.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Column of the first character, from 1, in characters.
    pub column: usize,
    /// What is allowed, printed under the line.
    pub hint: String,
    /// Its kind.
    pub kind: FaultKind,
    /// Line, from 1.
    pub line: usize,
    /// The key, `doors.front.strike-ms`; empty for the file itself.
    pub path: String,
    /// What was found and what is wrong with it.
    pub text: String,
    /// The line of the file, secrets masked.
    pub(crate) source: String,
    /// Characters under the caret, at least 1.
    pub(crate) width: usize,
}

/// Something wrong, or not checked, in what a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// What to do.
    pub hint: String,
    /// The key, such as `dot1x.ca-file`.
    pub path: String,
    /// What was found.
    pub text: String,
}

/// A fault before it is placed in the text.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) hint: String,
    pub(crate) kind: FaultKind,
    pub(crate) path: String,
    pub(crate) span: Range<usize>,
    pub(crate) text: String,
}

/// Every fault of a file, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults {
    /// True if there are more than 200, and only these are in the list.
    pub cut: bool,
    /// Name of the file as it was given.
    pub file: String,
    /// The faults, at least one.
    pub list: Vec<Fault>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.write(&self.file, "", f)?;
        }
        if self.cut {
            write!(
                f,
                "\n{}: there are more faults, these are {} of them",
                self.file,
                self.list.len()
            )?;
        }
        Ok(())
    }
}

/// What is risky but allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    /// Name of the file as it was given.
    pub file: String,
    /// The warnings, may be empty.
    pub list: Vec<Fault>,
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.write(&self.file, "warning: ", f)?;
        }
        Ok(())
    }
}

impl Fault {
    fn write(&self, file: &str, tag: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.path.is_empty() { "" } else { ": " };
        write!(
            f,
            "{file}:{}:{}: {tag}{}{colon}{}",
            self.line, self.column, self.path, self.text
        )?;
        let number = format!("{:>5}", self.line);
        write!(f, "\n{number} | {}", self.source)?;
        // Tabs are kept, so that the caret stands under its column in any terminal.
        let pad: String = self
            .source
            .chars()
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let caret = "^".repeat(self.width);
        write!(f, "\n{} | {pad}{caret}", " ".repeat(number.len()))?;
        if !self.hint.is_empty() {
            write!(f, " {}", self.hint)?;
        }
        Ok(())
    }
}

/// Places findings in the text and sorts them as they stand there.
pub(crate) fn place(text: &str, mut findings: Vec<Finding>, secrets: &[Range<usize>]) -> Vec<Fault> {
    findings.sort_by(|a, b| (a.span.start, &a.path, &a.text).cmp(&(b.span.start, &b.path, &b.text)));
    findings.dedup_by(|a, b| a.span == b.span && a.path == b.path && a.text == b.text);
    findings
        .into_iter()
        .map(|found| placed(text, found, secrets))
        .collect()
}

fn placed(text: &str, found: Finding, secrets: &[Range<usize>]) -> Fault {
    let start = floor_char(text, found.span.start);
    let end = floor_char(text, found.span.end.max(start));
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line_text = text[line_start..line_end].trim_end_matches('\r');
    let column = text[line_start..start].chars().count() + 1;
    let visible_end = end
        .min(line_start + line_text.len())
        .max(start.min(line_start + line_text.len()));
    let width = text[start.min(visible_end)..visible_end].chars().count().max(1);
    Fault {
        column,
        hint: found.hint,
        kind: found.kind,
        line: text[..line_start].matches('\n').count() + 1,
        path: found.path,
        source: masked(line_text, line_start, secrets),
        text: found.text,
        width,
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Keys whose values are secret, also where they are misplaced.
const SECRET: [&str; 8] = [
    "authorization",
    "card",
    "digits",
    "passphrase",
    "password",
    "pin",
    "secret",
    "token",
];

/// The line as it may be shown: known secrets, what follows the name of one, and passwords in addresses are stars of the
/// same length.
fn masked(line: &str, offset: usize, secrets: &[Range<usize>]) -> String {
    let named: Vec<Range<usize>> = SECRET.iter().flat_map(|word| after_word(line, word)).collect();
    let addresses = logins(line);
    let inside = |at: usize| {
        secrets.iter().any(|span| span.contains(&(offset + at)))
            || addresses.iter().any(|span| span.contains(&at))
            || named.iter().any(|span| span.contains(&at))
    };
    line.char_indices()
        .map(|(at, c)| {
            if inside(at) && !c.is_whitespace() && c != '"' {
                '*'
            } else {
                c
            }
        })
        .collect()
}

/// Where the values of a key are, with `=` or with whatever somebody wrote in its place. `password-file` names a file,
/// which is no secret.
fn after_word(line: &str, word: &str) -> Vec<Range<usize>> {
    let places = line.match_indices(word).filter_map(|(at, _)| {
        let (before, rest) = (&line[..at], &line[at + word.len()..]);
        if before.ends_with(|c: char| c.is_alphanumeric()) {
            return None;
        }
        let gap = rest.len() - rest.trim_start().len();
        let end = at + word.len();
        if rest.trim_start().starts_with('=') {
            let value = end + gap + 1;
            return Some(value..whole_text(line, value).unwrap_or(line.len()));
        }
        let begins = before.trim_end().is_empty() || before.trim_end().ends_with(['{', ',']);
        (begins && rest.starts_with([' ', '\t', '"', '\'', ':'])).then_some(end..line.len())
    });
    places.collect()
}

/// The end of a text in quotes that begins here, if it is whole and something of TOML follows.
fn whole_text(line: &str, begin: usize) -> Option<usize> {
    let value = line[begin..].trim_start();
    let inner = value.strip_prefix('"')?;
    let close = inner.find('"')?;
    let rest = inner[close + 1..].trim_start();
    (rest.is_empty() || rest.starts_with([',', '}', ']', '#'])).then(|| line.len() - rest.len())
}

/// User and password in the addresses of a line.
fn logins(line: &str) -> Vec<Range<usize>> {
    let mut at = 0;
    let mut found = Vec::new();
    for part in line.split(['"', '\'']) {
        found.extend(login(part).map(|span| span.start + at..span.end + at));
        at += part.len() + 1;
    }
    found
}

/// What is secret in an address: all that comes before the host of a URL, else a password behind a user.
pub(crate) fn login(text: &str) -> Option<Range<usize>> {
    let end = text.rfind('@')?;
    let url = text.find("://").map(|at| at + 3).filter(|at| *at <= end);
    let begin = url.or_else(|| {
        let user = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:"));
        let begin = text.len() - user.unwrap_or(text).len();
        Some(begin + text.get(begin..end)?.find(':')? + 1)
    })?;
    Some(begin..end)
}
