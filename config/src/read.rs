//! Reads tables of a parsed file and collects every fault on the way.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::describe::{ChoiceInfo, Shape, TableInfo};
use crate::fault::{FaultKind, Finding, login};

/// A value with its place in the text.
pub(crate) type Node<'a> = &'a Spanned<DeValue<'a>>;

/// How a value is read.
pub(crate) trait Rule {
    /// What it makes.
    type Value;
    /// Reads it, or reports what is wrong.
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<Self::Value>;
    /// Describes it.
    fn shape(&self) -> Shape;
}

/// A table declared by `table!`.
pub(crate) trait Record: Sized + 'static {
    /// The keys that differ, with what the change does.
    fn differing(&self, other: &Self) -> Vec<(&'static str, crate::describe::Apply)>;
    /// Describes it.
    fn info() -> TableInfo;
    /// Reads it.
    fn read(keys: &mut Keys<'_, '_>) -> Option<Self>;
}

impl<T: Record> Record for Box<T> {
    fn info() -> TableInfo {
        T::info()
    }
    fn read(keys: &mut Keys<'_, '_>) -> Option<Self> {
        T::read(keys).map(Self::new)
    }
    fn differing(&self, other: &Self) -> Vec<(&'static str, crate::describe::Apply)> {
        T::differing(self, other)
    }
}

/// Device families declared by `choice!`.
pub(crate) trait Choice: Sized {
    /// Keys of the sub-tables.
    const KEYS: &'static [&'static str];
    /// Describes them.
    fn info() -> Vec<ChoiceInfo>;
    /// Reads the one that is there.
    fn read(key: &str, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<Self>;
}

/// An enum declared by `words!`.
pub(crate) trait Word: Copy + Sized + 'static {
    /// Every variant, its word and its description.
    const ALL: &'static [(Self, &'static str, &'static [&'static str])];
}

/// A name that must exist in another table.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) table: &'static str,
}

/// Where things stand: of each key path the span of the key and of the value.
#[derive(Debug, Default)]
pub(crate) struct Places {
    keys: BTreeMap<String, Range<usize>>,
    values: BTreeMap<String, Range<usize>>,
}

impl Places {
    /// True if the key is written in the file (not a default).
    pub(crate) fn has(&self, path: &str) -> bool {
        self.values.contains_key(path)
    }
    /// The value, else the key of the nearest table around it, else the start of the file.
    pub(crate) fn of(&self, path: &str) -> Range<usize> {
        if let Some(span) = self.values.get(path) {
            return span.clone();
        }
        self.key(path)
    }
    /// The key, else the key of the nearest table around it.
    pub(crate) fn key(&self, path: &str) -> Range<usize> {
        let mut path = path;
        loop {
            if let Some(span) = self.keys.get(path) {
                return span.clone();
            }
            match path.rfind(['.', '[']) {
                Some(cut) => path = &path[..cut],
                None => return 0..0,
            }
        }
    }
}

/// Most faults that are kept: with one more, the report says that it is cut.
pub(crate) const MAX_FAULTS: usize = 200;

/// What reading leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) findings: Vec<Finding>,
    /// Names of the entries of each table of named things, read or not.
    pub(crate) names: BTreeMap<&'static str, Vec<String>>,
    pub(crate) places: Places,
    pub(crate) references: Vec<Reference>,
    pub(crate) secrets: Vec<Range<usize>>,
    /// Paths of keys that no table has.
    pub(crate) unknown: Vec<String>,
    /// True while a default is read: it has no place in the file.
    in_default: bool,
}

impl Reader {
    /// Reports a fault at a value.
    pub(crate) fn fault(
        &mut self,
        kind: FaultKind,
        at: &str,
        span: Range<usize>,
        text: String,
        hint: String,
    ) {
        self.findings.push(Finding {
            hint,
            kind,
            path: at.to_owned(),
            span,
            text,
        });
    }

    /// Reports a value of another type.
    pub(crate) fn wrong_type(&mut self, at: &str, node: Node<'_>, wanted: &str) {
        let (value, kind) = (found(node.get_ref()), kind_of(node.get_ref()));
        let text = if value == kind {
            format!("is {kind}")
        } else {
            format!("{value} is {kind}")
        };
        let hint = format!("allowed: {wanted}");
        self.fault(FaultKind::WrongType, at, node.span(), text, hint);
    }

    pub(crate) fn note(&mut self, at: &str, key: Option<Range<usize>>, value: Range<usize>) {
        if !self.in_default {
            self.places.values.insert(at.to_owned(), value);
            if let Some(key) = key {
                self.places.keys.insert(at.to_owned(), key);
            }
        }
    }

    pub(crate) fn note_name(&mut self, table: &'static str, name: &str) {
        self.names.entry(table).or_default().push(name.to_owned());
    }

    /// Notes that `name` must exist in `table`; a stand-in refers to nothing.
    pub(crate) fn refer(&mut self, table: &'static str, at: &str, name: &str) {
        if self.in_default {
            return;
        }
        self.references.push(Reference {
            name: name.to_owned(),
            path: at.to_owned(),
            table,
        });
    }
}

/// Says what a value is, for a fault: numbers and words as they stand, long things by their type.
pub(crate) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(d) => d.to_string(),
        DeValue::Float(n) => n.to_string(),
        DeValue::Integer(n) => n.to_string().chars().take(40).collect(),
        DeValue::String(text) => quoted(text),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

const fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Array(_) => "a list",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Float(_) => "a fraction",
        DeValue::Integer(_) => "a number",
        DeValue::String(_) => "text",
        DeValue::Table(_) => "a table",
    }
}

/// A text in quotes, cut at 60 characters; a password in an address as stars.
pub(crate) fn quoted(text: &str) -> String {
    let shown = match login(text) {
        Some(hidden) => format!("{}***{}", &text[..hidden.start], &text[hidden.end..]),
        None => text.to_owned(),
    };
    let text = shown.as_str();
    let cut: String = text.chars().take(60).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut:?}{dots}")
}

/// Reads a table of type `T`.
pub(crate) fn record<T: Record>(at: &str, node: Node<'_>, reader: &mut Reader) -> Option<T> {
    let DeValue::Table(table) = node.get_ref() else {
        reader.wrong_type(at, node, "a table");
        return None;
    };
    record_of(at, table, reader)
}

/// Reads a table of type `T` from its entries.
pub(crate) fn record_of<T: Record>(at: &str, table: &DeTable<'_>, reader: &mut Reader) -> Option<T> {
    let mut keys = Keys {
        at,
        known: Vec::new(),
        reader,
        table,
    };
    let value = T::read(&mut keys);
    keys.finish();
    value
}

/// The keys of one table while it is read.
pub(crate) struct Keys<'a, 'r> {
    at: &'a str,
    known: Vec<&'static str>,
    reader: &'r mut Reader,
    table: &'a DeTable<'a>,
}

/// Joins a path and a key.
pub(crate) fn join(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.to_owned()
    } else {
        format!("{at}.{key}")
    }
}

impl Keys<'_, '_> {
    fn present<R: Rule>(&mut self, key: &'static str, rule: &R) -> Option<Option<R::Value>> {
        self.known.push(key);
        let (name, node) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        let at = join(self.at, key);
        self.reader.note(&at, Some(name.span()), node.span());
        Some(rule.read(&at, node, self.reader))
    }

    /// A key that must be there.
    pub(crate) fn required<R: Rule>(&mut self, key: &'static str, rule: &R) -> Option<R::Value> {
        if let Some(read) = self.present(key, rule) {
            return read;
        }
        self.missing(key, rule);
        None
    }

    /// A key that must be there; if it is missing or wrong, the stand-in lets the rest be checked as well.
    pub(crate) fn needed<R: Rule>(
        &mut self,
        key: &'static str,
        rule: &R,
        stand_in: &'static str,
    ) -> Option<R::Value> {
        match self.present(key, rule) {
            Some(Some(value)) => Some(value),
            Some(None) => self.of_default(key, rule, stand_in),
            None => {
                self.missing(key, rule);
                self.of_default(key, rule, stand_in)
            }
        }
    }

    fn missing<R: Rule>(&mut self, key: &'static str, rule: &R) {
        let at = join(self.at, key);
        let span = self.reader.places.key(&at);
        let shape = rule.shape();
        let hint = if matches!(shape, Shape::Table(_)) {
            format!("add: [{at}]")
        } else {
            format!("add: {key} = {}", shape.example())
        };
        self.reader
            .fault(FaultKind::Missing, &at, span, "is missing".to_owned(), hint);
    }

    /// A key that may be absent. A wrong one counts as absent, so that the rest is checked as well.
    #[expect(clippy::option_option, reason = "outer: read; inner: the key is there")]
    pub(crate) fn optional<R: Rule>(&mut self, key: &'static str, rule: &R) -> Option<Option<R::Value>> {
        Some(self.present(key, rule).flatten())
    }

    /// A key with a default, written as TOML and read by the same rule. A wrong one counts as absent, so that
    /// the rest is checked as well.
    pub(crate) fn or<R: Rule>(
        &mut self,
        key: &'static str,
        rule: &R,
        default: &'static str,
    ) -> Option<R::Value> {
        match self.present(key, rule).flatten() {
            Some(value) => Some(value),
            None => self.of_default(key, rule, default),
        }
    }

    fn of_default<R: Rule>(&mut self, key: &str, rule: &R, default: &'static str) -> Option<R::Value> {
        let node = DeValue::parse(default).expect("defaults are checked by a test");
        let was = std::mem::replace(&mut self.reader.in_default, true);
        let value = rule.read(&join(self.at, key), &node, self.reader);
        self.reader.in_default = was;
        value
    }

    /// Exactly one of the sub-tables of a choice.
    pub(crate) fn choice<C: Choice>(&mut self) -> Option<C> {
        self.known.extend(C::KEYS);
        let mut given = self
            .table
            .iter()
            .filter(|(name, _)| C::KEYS.contains(&name.get_ref().as_ref()));
        let allowed = C::KEYS.join(", ");
        let Some((name, node)) = given.next() else {
            let span = self.reader.places.key(self.at);
            let text = format!("has no device: exactly one of {allowed} must be there");
            let hint = format!("add one of: {allowed}");
            self.reader.fault(FaultKind::Choice, self.at, span, text, hint);
            return None;
        };
        for (other, _) in given {
            let text = format!("has two devices: {} and {}", name.get_ref(), other.get_ref());
            let hint = format!("keep exactly one of: {allowed}");
            self.reader
                .fault(FaultKind::Choice, self.at, other.span(), text, hint);
        }
        let at = join(self.at, name.get_ref());
        self.reader.note(&at, Some(name.span()), node.span());
        C::read(name.get_ref(), &at, node, self.reader)
    }

    fn finish(self) {
        for (name, node) in self.table {
            let key = name.get_ref().as_ref();
            if self.known.contains(&key) {
                continue;
            }
            // nobody knows what it is: it may be a password where none is taken
            hide(node, &mut self.reader.secrets);
            let near = nearest(key, &self.known);
            let text = match near {
                Some(near) => format!("unknown key; did you mean {near:?}?"),
                None => "unknown key".to_owned(),
            };
            let hint = if self.known.is_empty() {
                "this table takes no keys".to_owned()
            } else {
                let mut known = self.known.clone();
                known.sort_unstable();
                format!("allowed: {}", known.join(", "))
            };
            let shown: String = key.chars().take(60).collect();
            let at = join(self.at, &shown);
            self.reader.unknown.push(join(self.at, key));
            self.reader
                .fault(FaultKind::UnknownKey, &at, name.span(), text, hint);
        }
    }
}

/// Places of all values in a value.
fn hide(node: Node<'_>, secrets: &mut Vec<Range<usize>>) {
    match node.get_ref() {
        DeValue::Array(items) => items.iter().for_each(|item| hide(item, secrets)),
        DeValue::Table(table) => table.iter().for_each(|(_, value)| hide(value, secrets)),
        DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Float(_)
        | DeValue::Integer(_)
        | DeValue::String(_) => secrets.push(node.span()),
    }
}

/// The known word nearest to a misspelt one, if it is near enough to be meant.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase().replace('_', "-");
    if word.len() > 60 {
        return None;
    }
    known
        .iter()
        .map(|k| (distance(&word, k), *k))
        .filter(|(d, k)| *d <= 1 + k.len() / 5)
        .min()
        .map(|(_, k)| k)
}

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}
