//! The ways a value is read. Each rule checks, converts and describes.

mod nested;
mod when;

use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use gateway_core::{NameError, Secret};
use toml::de::DeValue;

use crate::describe::{Shape, Unit, prose};
use crate::fault::FaultKind;
pub(crate) use nested::{list, map, table, text_or};
pub(crate) use when::when;

use crate::read::{Node, Reader, Rule, Word, found, nearest, quoted};
use crate::value::{Topic, has_path, named_element, named_secret, secret_address};

/// Text that becomes a value of its own type.
pub(crate) trait FromText: Sized {
    /// What it is, for people: "an IP address".
    const WHAT: &'static str;
    /// A pattern for editors (ECMA 262, as JSON Schema wants it).
    const PATTERN: Option<&'static str> = None;
    /// Reads it; the error says what is allowed.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// True or false.
pub(crate) struct Flag;

impl Rule for Flag {
    type Value = bool;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<bool> {
        let value = node.get_ref().as_bool();
        if value.is_none() {
            reader.wrong_type(at, node, "true or false");
        }
        value
    }
    fn shape(&self) -> Shape {
        Shape::Bool
    }
}

/// A whole number.
pub(crate) struct Int<T> {
    range: RangeInclusive<i64>,
    to: PhantomData<fn() -> T>,
}

/// A whole number from `min` to `max`.
pub(crate) const fn int<T>(min: i64, max: i64) -> Int<T> {
    Int {
        range: min..=max,
        to: PhantomData,
    }
}

fn whole(node: Node<'_>) -> Option<i64> {
    let n = node.get_ref().as_integer()?;
    i64::from_str_radix(n.as_str(), n.radix()).ok()
}

impl<T: TryFrom<i64>> Rule for Int<T> {
    type Value = T;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<T> {
        let (min, max) = (self.range.start(), self.range.end());
        if !node.get_ref().is_integer() {
            reader.wrong_type(at, node, &format!("a whole number from {min} to {max}"));
            return None;
        }
        let value = whole(node)
            .filter(|n| self.range.contains(n))
            .and_then(|n| T::try_from(n).ok());
        if value.is_none() {
            let text = format!("{} is outside {min} to {max}", found(node.get_ref()));
            reader.fault(
                FaultKind::OutOfRange,
                at,
                node.span(),
                text,
                format!("allowed: {min} to {max}"),
            );
        }
        value
    }
    fn shape(&self) -> Shape {
        Shape::Int {
            max: *self.range.end(),
            min: *self.range.start(),
        }
    }
}

/// A length of time, in the unit of its key.
pub(crate) struct Span {
    max: u64,
    min: u64,
    unit: Unit,
}

/// Milliseconds from `min` to `max`.
pub(crate) const fn ms(min: u64, max: u64) -> Span {
    Span {
        max,
        min,
        unit: Unit::Milliseconds,
    }
}

/// Seconds from `min` to `max`.
pub(crate) const fn secs(min: u64, max: u64) -> Span {
    Span {
        max,
        min,
        unit: Unit::Seconds,
    }
}

/// Reads `3 s`, `250 ms`, `2 min`.
fn suffixed(text: &str) -> Option<Duration> {
    let cut = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..cut].parse().ok()?;
    match text[cut..].trim() {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "min" => count.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

impl Rule for Span {
    type Value = Duration;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<Duration> {
        let unit = self.unit.short();
        let (min, max) = (self.min, self.max);
        let value = match node.get_ref() {
            DeValue::Integer(_) => whole(node)
                .and_then(|n| u64::try_from(n).ok())
                .filter(|n| *n <= max)
                .map(|n| self.unit.of(n)),
            DeValue::String(text) => {
                let Some(value) = suffixed(text.trim()) else {
                    let what = format!("{} is not a length of time", quoted(text));
                    let hint = format!("allowed: a number of {unit}, or text such as \"{min} {unit}\"");
                    reader.fault(FaultKind::BadValue, at, node.span(), what, hint);
                    return None;
                };
                Some(value)
            }
            DeValue::Array(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Float(_)
            | DeValue::Table(_) => {
                reader.wrong_type(at, node, &format!("a number of {unit} from {min} to {max}"));
                return None;
            }
        };
        let value = value.filter(|v| (self.unit.of(min)..=self.unit.of(max)).contains(v));
        if value.is_none() {
            let shown = match node.get_ref().as_str() {
                Some(text) => quoted(text),
                None => format!("{} {unit}", found(node.get_ref())),
            };
            let text = format!("{shown} is outside {min} to {max} {unit}");
            reader.fault(
                FaultKind::OutOfRange,
                at,
                node.span(),
                text,
                format!("allowed: {min} to {max} {unit}"),
            );
        }
        value
    }
    fn shape(&self) -> Shape {
        Shape::Duration {
            max: self.max,
            min: self.min,
            unit: self.unit,
        }
    }
}

fn text_of<'a>(at: &str, node: Node<'a>, reader: &mut Reader, wanted: &str) -> Option<&'a str> {
    let text = node.get_ref().as_str();
    if text.is_none() {
        reader.wrong_type(at, node, wanted);
    }
    text
}

/// One of the words of an enum.
pub(crate) struct Words<T>(PhantomData<fn() -> T>);

/// One of the words of `T`.
pub(crate) const fn word<T: Word>() -> Words<T> {
    Words(PhantomData)
}

impl<T: Word> Rule for Words<T> {
    type Value = T;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<T> {
        let words: Vec<&'static str> = T::ALL.iter().map(|(_, word, _)| *word).collect();
        let text = text_of(at, node, reader, &format!("one of {}", words.join(", ")))?;
        let value = T::ALL.iter().find(|(_, word, _)| *word == text);
        if value.is_none() {
            let near = nearest(text, &words).map_or_else(String::new, |w| format!("; did you mean {w:?}?"));
            let what = format!("{} is not allowed{near}", quoted(text));
            let hint = format!("allowed: {}", words.join(", "));
            reader.fault(FaultKind::BadValue, at, node.span(), what, hint);
        }
        value.map(|(value, _, _)| *value)
    }
    fn shape(&self) -> Shape {
        Shape::Words(
            T::ALL
                .iter()
                .map(|(_, word, docs)| (*word, prose(docs)))
                .collect(),
        )
    }
}

/// A name: new, or of an entry of another table.
pub(crate) struct Name<T> {
    of: Option<&'static str>,
    to: PhantomData<fn() -> T>,
}

/// A new name.
pub(crate) const fn name<T>() -> Name<T> {
    Name {
        of: None,
        to: PhantomData,
    }
}

/// The name of an entry of `table`; that it exists is checked when the whole file is read.
pub(crate) const fn refer<T>(table: &'static str) -> Name<T> {
    Name {
        of: Some(table),
        to: PhantomData,
    }
}

fn named<T: FromStr<Err = NameError>>(
    at: &str,
    text: &str,
    span: std::ops::Range<usize>,
    reader: &mut Reader,
) -> Option<T> {
    match T::from_str(text) {
        Ok(value) => Some(value),
        Err(_) => {
            let what = format!("{} is not a name", quoted(text));
            let hint = "allowed: 1 to 40 characters of a-z, 0-9, '-' and '_'".to_owned();
            reader.fault(FaultKind::BadName, at, span, what, hint);
            None
        }
    }
}

impl<T: FromStr<Err = NameError>> Rule for Name<T> {
    type Value = T;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<T> {
        let text = text_of(at, node, reader, "a name in quotes")?;
        let value = named(at, text, node.span(), reader)?;
        if let Some(table) = self.of {
            reader.refer(table, at, text);
        }
        Some(value)
    }
    fn shape(&self) -> Shape {
        Shape::Name { of: self.of }
    }
}

/// Text for people, of limited length, without control characters.
pub(crate) struct Text {
    max: usize,
    min: usize,
}

/// Text of `min` to `max` characters.
pub(crate) const fn text(min: usize, max: usize) -> Text {
    Text { max, min }
}

impl Rule for Text {
    type Value = String;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<String> {
        let text = text_of(at, node, reader, "text in quotes")?;
        let length = text.chars().count();
        let (min, max) = (self.min, self.max);
        if !(min..=max).contains(&length) {
            let what = format!("has {length} characters");
            let hint = format!("allowed: {min} to {max} characters");
            reader.fault(FaultKind::OutOfRange, at, node.span(), what, hint);
            return None;
        }
        if text.chars().any(char::is_control) {
            let what = "holds control characters".to_owned();
            let hint = "allowed: one line of text".to_owned();
            reader.fault(FaultKind::BadValue, at, node.span(), what, hint);
            return None;
        }
        Some(text.to_owned())
    }
    fn shape(&self) -> Shape {
        Shape::Text {
            pattern: None,
            what: "text",
        }
    }
}

/// An order to a device, or a part of it: shown like other text unless it gives a secret away.
pub(crate) struct Order(Text);

/// Text of an order, of `min` to `max` characters.
pub(crate) const fn order(min: usize, max: usize) -> Order {
    Order(text(min, max))
}

/// Would an order show a secret? Also the word that stands in its place where the file is shown.
fn hides(text: &str) -> bool {
    named_secret(text).is_some() || text.trim_start().starts_with(crate::veil::BEGIN)
}

/// What a device or a program is told, with fields of events: shown like other text unless it gives a secret away.
pub(crate) struct Told<T>(Parsed<T>);

/// Text with fields, read as `T`.
pub(crate) const fn told<T: FromText>() -> Told<T> {
    Told(parsed())
}

impl<T: FromText> Rule for Told<T> {
    type Value = T;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<T> {
        let hidden = node
            .get_ref()
            .as_str()
            .is_some_and(|text| hides(text) || named_element(text).is_some());
        let before = reader.findings.len();
        let value = covered(hidden, &self.0, at, node, reader);
        for finding in reader.findings[before..].iter_mut().filter(|_| hidden) {
            // what follows names the place in the text by its words
            let end = finding.hint.find("; ").unwrap_or(finding.hint.len());
            finding.hint.truncate(end);
        }
        value
    }
    fn shape(&self) -> Shape {
        self.0.shape()
    }
}

/// The address of a server: shown like other text unless it gives a secret away; a faulty one is named without its path.
pub(crate) struct Address<T>(Parsed<T>);

/// Address read as `T`.
pub(crate) const fn address<T: FromText>() -> Address<T> {
    Address(parsed())
}

impl<T: FromText> Rule for Address<T> {
    type Value = T;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<T> {
        let hidden = node.get_ref().as_str().is_some_and(|text| {
            // of what is no address nobody knows what the path is
            let faulty = T::from_text(text).is_err() && has_path(text);
            faulty || secret_address(text) || text.trim_start().starts_with(crate::veil::BEGIN)
        });
        covered(hidden, &self.0, at, node, reader)
    }
    fn shape(&self) -> Shape {
        self.0.shape()
    }
}

/// Reads by `rule`; what is `hidden` is shown neither in the file nor in a fault.
fn covered<R: Rule>(
    hidden: bool,
    rule: &R,
    at: &str,
    node: Node<'_>,
    reader: &mut Reader,
) -> Option<R::Value> {
    if !hidden {
        return rule.read(at, node, reader);
    }
    reader.secrets.push(node.span());
    let before = reader.findings.len();
    let value = rule.read(at, node, reader);
    let shown = found(node.get_ref());
    for finding in &mut reader.findings[before..] {
        finding.text = finding.text.replace(&shown, "***");
    }
    value
}

/// The topic of a device, in which no secret may stand: it is shown wherever the device is named.
pub(crate) struct DeviceTopic;

impl Rule for DeviceTopic {
    type Value = Topic;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<Topic> {
        if let Some(name) = node.get_ref().as_str().and_then(named_secret) {
            reader.secrets.push(node.span());
            let what =
                format!("gives a secret away ({name}): topics are shown, in the log and in faults, too");
            let hint =
                "allowed: topics without secrets; who may use a topic is the broker's to say".to_owned();
            reader.fault(FaultKind::Unsafe, at, node.span(), what, hint);
            return None;
        }
        parsed::<Topic>().read(at, node, reader)
    }
    fn shape(&self) -> Shape {
        parsed::<Topic>().shape()
    }
}

impl Rule for Order {
    type Value = String;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<String> {
        if node.get_ref().as_str().is_some_and(hides) {
            reader.secrets.push(node.span());
        }
        self.0.read(at, node, reader)
    }
    fn shape(&self) -> Shape {
        self.0.shape()
    }
}

/// The path of a file, folder or device.
pub(crate) struct Path;

impl Rule for Path {
    type Value = PathBuf;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<PathBuf> {
        let text = text_of(at, node, reader, "a path in quotes")?;
        if text.is_empty() || text.contains('\0') {
            let what = format!("{} is not a path", quoted(text));
            reader.fault(
                FaultKind::BadValue,
                at,
                node.span(),
                what,
                "allowed: a path".to_owned(),
            );
            return None;
        }
        Some(text.into())
    }
    fn shape(&self) -> Shape {
        Shape::Text {
            pattern: None,
            what: "path",
        }
    }
}

/// Text that becomes a value of type `T`.
pub(crate) struct Parsed<T>(PhantomData<fn() -> T>);

/// Text read as `T`.
pub(crate) const fn parsed<T: FromText>() -> Parsed<T> {
    Parsed(PhantomData)
}

impl<T: FromText> Rule for Parsed<T> {
    type Value = T;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<T> {
        let text = text_of(at, node, reader, &format!("{} in quotes", T::WHAT))?;
        match T::from_text(text) {
            Ok(value) => Some(value),
            Err(allowed) => {
                let what = format!("{} is not {}", quoted(text), T::WHAT);
                reader.fault(
                    FaultKind::BadValue,
                    at,
                    node.span(),
                    what,
                    format!("allowed: {allowed}"),
                );
                None
            }
        }
    }
    fn shape(&self) -> Shape {
        Shape::Text {
            pattern: T::PATTERN,
            what: T::WHAT,
        }
    }
}

/// A value that is never shown: faults name its kind only.
pub(crate) struct Hidden<R>(R);

/// Reads by `rule`, hides the value in every message.
pub(crate) const fn hidden<R>(rule: R) -> Hidden<R> {
    Hidden(rule)
}

impl<R: Rule> Rule for Hidden<R> {
    type Value = R::Value;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<R::Value> {
        covered(true, &self.0, at, node, reader)
    }
    fn shape(&self) -> Shape {
        Shape::Secret(Box::new(self.0.shape()))
    }
}

/// A value turned into another type.
pub(crate) struct Into<R: Rule, T> {
    rule: R,
    to: fn(R::Value) -> T,
}

/// Reads by `rule` and turns the value into another type.
pub(crate) const fn into<R: Rule, T>(rule: R, to: fn(R::Value) -> T) -> Into<R, T> {
    Into { rule, to }
}

impl<R: Rule, T> Rule for Into<R, T> {
    type Value = T;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<T> {
        self.rule.read(at, node, reader).map(self.to)
    }
    fn shape(&self) -> Shape {
        self.rule.shape()
    }
}

/// A password: any text of 1 to 200 characters.
pub(crate) fn password() -> impl Rule<Value = Secret> {
    into(hidden(text(1, 200)), Secret::new)
}

/// A length of time, or one word that means none is set.
pub(crate) struct SpanOr {
    span: Span,
    word: &'static str,
}

/// Reads `span`, or `word` as no limit.
pub(crate) const fn span_or(span: Span, word: &'static str) -> SpanOr {
    SpanOr { span, word }
}

impl Rule for SpanOr {
    type Value = Option<Duration>;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<Option<Duration>> {
        if node.get_ref().as_str() == Some(self.word) {
            return Some(None);
        }
        let before = reader.findings.len();
        let value = self.span.read(at, node, reader);
        for finding in &mut reader.findings[before..] {
            finding.hint = format!("{}, or {:?}", finding.hint, self.word);
        }
        value.map(Some)
    }
    fn shape(&self) -> Shape {
        let word = Shape::Words(vec![(self.word, "No limit.".to_owned())]);
        Shape::Either(vec![self.span.shape(), word])
    }
}

/// Two port numbers, lowest and highest.
pub(crate) struct Ports;

impl Rule for Ports {
    type Value = RangeInclusive<u16>;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<RangeInclusive<u16>> {
        let pair = list(int::<u16>(1024, 65535), 2, 2).read(at, node, reader)?;
        let (low, high) = (*pair.first()?, *pair.get(1)?);
        if low % 2 == 0 && high.checked_sub(low).is_some_and(|n| n >= 3) {
            return Some(low..=high);
        }
        let text = format!("{low} to {high} is not a range of RTP ports");
        let hint = "allowed: [low, high], low even, at least 4 ports (2 for each call)".to_owned();
        reader.fault(FaultKind::OutOfRange, at, node.span(), text, hint);
        None
    }
    fn shape(&self) -> Shape {
        list(int::<u16>(1024, 65535), 2, 2).shape()
    }
}

/// Makes [`FromText`] of `FromStr`.
macro_rules! from_str {
    ($($ty:ty = $what:literal, $allowed:literal;)+) => {$(
        impl FromText for $ty {
            const WHAT: &'static str = $what;
            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| $allowed.to_owned())
            }
        }
    )+};
}
from_str! {
    std::net::IpAddr = "an IP address", "such as 192.0.2.7 or 2001:db8::7";
    std::net::Ipv4Addr = "an IPv4 address", "such as 192.0.2.1";
    std::net::Ipv6Addr = "an IPv6 address", "such as 2001:db8::1 or fe80::1";
    std::net::SocketAddr = "an address with port", "such as 127.0.0.1:8080 or [::1]:8080";
}
