//! Lists, tables and tables by name.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::str::FromStr;

use gateway_core::NameError;
use toml::de::DeValue;

use super::{FromText, named, parsed};
use crate::describe::Shape;
use crate::fault::FaultKind;
use crate::read::{Node, Reader, Record, Rule, join, record};

/// A list.
pub(crate) struct List<R> {
    count: RangeInclusive<usize>,
    rule: R,
}

/// A list of `min` to `max` values.
pub(crate) const fn list<R>(rule: R, min: usize, max: usize) -> List<R> {
    List {
        count: min..=max,
        rule,
    }
}

impl<R: Rule> Rule for List<R> {
    type Value = Vec<R::Value>;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<Vec<R::Value>> {
        let Some(items) = node.get_ref().as_array() else {
            reader.wrong_type(at, node, "a list in [ ]");
            return None;
        };
        let (min, max) = (self.count.start(), self.count.end());
        let fits = self.count.contains(&items.len());
        if !fits {
            let text = format!("has {} entries", items.len());
            let hint = format!("allowed: {min} to {max} entries");
            reader.fault(FaultKind::OutOfRange, at, node.span(), text, hint);
        }
        let mut values = Vec::with_capacity(items.len().min(*max));
        let mut whole = fits;
        // Entries beyond the limit are counted, not read.
        for (index, item) in items.iter().enumerate().take(*max) {
            let at = format!("{at}[{index}]");
            reader.note(&at, None, item.span());
            match self.rule.read(&at, item, reader) {
                Some(value) => values.push(value),
                None => whole = false,
            }
        }
        whole.then_some(values)
    }
    fn shape(&self) -> Shape {
        Shape::List {
            max: *self.count.end(),
            min: *self.count.start(),
            of: Box::new(self.rule.shape()),
        }
    }
}

/// A table with known keys.
pub(crate) struct Table<T>(PhantomData<fn() -> T>);

/// A table of type `T`.
pub(crate) const fn table<T: Record>() -> Table<T> {
    Table(PhantomData)
}

impl<T: Record> Rule for Table<T> {
    type Value = T;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<T> {
        record(at, node, reader)
    }
    fn shape(&self) -> Shape {
        Shape::Table(T::info)
    }
}

/// Tables by name: `[doors.NAME]`.
pub(crate) struct Map<K, T> {
    name: &'static str,
    to: PhantomData<fn() -> (K, T)>,
}

/// Tables of type `T` by names of type `K`; `name` is what the reference calls them.
pub(crate) const fn map<K, T>(name: &'static str) -> Map<K, T> {
    Map {
        name,
        to: PhantomData,
    }
}

/// Most entries of one named table: more is a mistake of a generator.
const MAP_MAX: usize = 2000;

impl<K: FromStr<Err = NameError> + Ord, T: Record> Rule for Map<K, T> {
    type Value = BTreeMap<K, T>;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<BTreeMap<K, T>> {
        let Some(entries) = node.get_ref().as_table() else {
            reader.wrong_type(at, node, "tables by name");
            return None;
        };
        if entries.len() > MAP_MAX {
            let text = format!("has {} entries", entries.len());
            let hint = format!("allowed: at most {MAP_MAX}");
            reader.fault(FaultKind::OutOfRange, at, node.span(), text, hint);
        }
        let mut values = BTreeMap::new();
        for (key, _) in entries.iter().skip(MAP_MAX) {
            // those beyond the limit are counted and known by name, not read
            reader.note_name(self.name, key.get_ref());
        }
        // An entry with faults is left out, so that the others are checked as well.
        for (key, value) in entries.iter().take(MAP_MAX) {
            let shown: String = key.get_ref().chars().take(60).collect();
            let at = join(at, &shown);
            reader.note(&at, Some(key.span()), value.span());
            reader.note_name(self.name, key.get_ref());
            let key = named::<K>(&at, key.get_ref(), key.span(), reader);
            let value = record::<T>(&at, value, reader);
            if let (Some(key), Some(value)) = (key, value) {
                values.insert(key, value);
            }
        }
        Some(values)
    }
    fn shape(&self) -> Shape {
        Shape::Map {
            name: self.name,
            of: T::info,
        }
    }
}

/// A text, or a table with more to say about it.
pub(crate) struct TextOr<T, R> {
    of_text: fn(R) -> T,
    text: &'static str,
    to: PhantomData<fn() -> R>,
}

/// Either the text that the key `key` of the table would take, or the table itself.
pub(crate) const fn text_or<T, R>(key: &'static str, of_text: fn(R) -> T) -> TextOr<T, R> {
    TextOr {
        of_text,
        text: key,
        to: PhantomData,
    }
}

impl<T: Record, R: FromText> Rule for TextOr<T, R> {
    type Value = T;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<T> {
        match node.get_ref() {
            DeValue::String(_) => parsed::<R>().read(at, node, reader).map(self.of_text),
            DeValue::Table(_) => record(at, node, reader),
            DeValue::Array(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Float(_)
            | DeValue::Integer(_) => {
                let wanted = format!("{} in quotes, or a table with the key {:?}", R::WHAT, self.text);
                reader.wrong_type(at, node, &wanted);
                None
            }
        }
    }
    fn shape(&self) -> Shape {
        Shape::Either(vec![parsed::<R>().shape(), Shape::Table(T::info)])
    }
}
