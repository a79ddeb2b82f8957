//! What a key is: one description that drives reading, the JSON schema and the reference page.

use std::marker::PhantomData;
use std::time::Duration;

use crate::read::Rule;

/// What a change of a key does to the running gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Apply {
    /// Taken over while the component runs; calls and pulses go on.
    Live,
    /// The component is stopped and started anew; its neighbours go on.
    Restart,
    /// The whole process has to be started anew.
    Process,
}

impl Apply {
    /// The word used in plans and in the reference.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Process => "process",
            Self::Restart => "restart",
        }
    }
}

/// Whether a key must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A value, written as TOML, that stands when the key is absent.
    Default(&'static str),
    /// May be absent; then nothing stands for it.
    Optional,
    /// Must be there.
    Required,
}

/// The unit of a duration key; the key's name ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Seconds,
}

impl Unit {
    pub(crate) const fn of(self, count: u64) -> Duration {
        match self {
            Self::Milliseconds => Duration::from_millis(count),
            Self::Seconds => Duration::from_secs(count),
        }
    }
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }
}

/// The values a key takes.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Bool,
    Duration {
        max: u64,
        min: u64,
        unit: Unit,
    },
    Either(Vec<Shape>),
    Int {
        max: i64,
        min: i64,
    },
    List {
        max: usize,
        min: usize,
        of: Box<Shape>,
    },
    Map {
        name: &'static str,
        of: fn() -> TableInfo,
    },
    /// The name of an entry of another table, or a new name if `of` is `None`.
    Name {
        of: Option<&'static str>,
    },
    Secret(Box<Shape>),
    Table(fn() -> TableInfo),
    Text {
        pattern: Option<&'static str>,
        what: &'static str,
    },
    Words(Vec<(&'static str, String)>),
}

/// One key of a table.
#[derive(Clone, Debug)]
pub(crate) struct KeyInfo {
    pub(crate) apply: Apply,
    pub(crate) docs: &'static [&'static str],
    pub(crate) key: &'static str,
    pub(crate) need: Need,
    pub(crate) shape: Shape,
}

/// Makers named as in the `table!` declarations; the first argument ties the rule to the field's type.
impl KeyInfo {
    fn new<R: Rule>(
        key: &'static str,
        docs: &'static [&'static str],
        rule: &R,
        apply: Apply,
        need: Need,
    ) -> Self {
        Self {
            apply,
            docs,
            key,
            need,
            shape: rule.shape(),
        }
    }

    pub(crate) fn required<R: Rule>(
        _field: PhantomData<R::Value>,
        key: &'static str,
        docs: &'static [&'static str],
        rule: &R,
        apply: Apply,
    ) -> Self {
        Self::new(key, docs, rule, apply, Need::Required)
    }

    pub(crate) fn needed<R: Rule>(
        _field: PhantomData<R::Value>,
        key: &'static str,
        docs: &'static [&'static str],
        rule: &R,
        apply: Apply,
        _stand_in: &'static str,
    ) -> Self {
        Self::new(key, docs, rule, apply, Need::Required)
    }

    pub(crate) fn optional<R: Rule>(
        _field: PhantomData<Option<R::Value>>,
        key: &'static str,
        docs: &'static [&'static str],
        rule: &R,
        apply: Apply,
    ) -> Self {
        Self::new(key, docs, rule, apply, Need::Optional)
    }

    pub(crate) fn or<R: Rule>(
        _field: PhantomData<R::Value>,
        key: &'static str,
        docs: &'static [&'static str],
        rule: &R,
        apply: Apply,
        default: &'static str,
    ) -> Self {
        Self::new(key, docs, rule, apply, Need::Default(default))
    }
}

/// One table.
#[derive(Clone, Debug)]
pub(crate) struct TableInfo {
    /// Tables of which exactly one must be there: the device family.
    pub(crate) choice: Vec<ChoiceInfo>,
    pub(crate) docs: &'static [&'static str],
    pub(crate) keys: Vec<KeyInfo>,
}

/// One alternative of a choice.
#[derive(Clone, Debug)]
pub(crate) struct ChoiceInfo {
    pub(crate) docs: &'static [&'static str],
    pub(crate) key: &'static str,
    pub(crate) table: fn() -> TableInfo,
}

/// Joins the lines of a doc comment into one paragraph.
pub(crate) fn prose(docs: &[&str]) -> String {
    docs.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Declares a table of the site file: the struct, its reader and its description in one.
///
/// Each key is `field: Type = "key", rule, need, apply;` where `rule` says how the value is read, `need` is
/// `required`, `needed("stand-in as TOML")` (required, and the stand-in lets the rest be checked if it is not
/// there), `optional` or `or("default as TOML")`, and `apply` says what a change does.
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $kdoc:literal])+
                $field:ident: $ty:ty = $key:literal, $rule:expr, $need:ident $(($default:literal))?, $apply:ident;
            )*
            $(one of $(#[doc = $cdoc:literal])+ $cfield:ident: $cty:ty;)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $kdoc])+ pub $field: $ty,)*
            $($(#[doc = $cdoc])+ pub $cfield: $cty,)?
        }

        impl $crate::read::Record for $name {
            fn info() -> $crate::describe::TableInfo {
                $crate::describe::TableInfo {
                    choice: Vec::<Vec<$crate::describe::ChoiceInfo>>::from([$(<$cty as $crate::read::Choice>::info(),)?])
                        .into_iter()
                        .flatten()
                        .collect(),
                    docs: &[$($doc),+],
                    keys: vec![$($crate::describe::KeyInfo::$need(
                        std::marker::PhantomData::<$ty>,
                        $key,
                        &[$($kdoc),+],
                        &$rule,
                        $crate::describe::Apply::$apply,
                        $($default)?
                    ),)*],
                }
            }

            fn read(keys: &mut $crate::read::Keys<'_, '_>) -> Option<Self> {
                $(let $field = keys.$need($key, &$rule $(, $default)?);)*
                $(let $cfield = keys.choice::<$cty>();)?
                let _ = &keys;
                Some(Self { $($field: $field?,)* $($cfield: $cfield?,)? })
            }

            fn differing(&self, other: &Self) -> Vec<(&'static str, $crate::describe::Apply)> {
                let _ = other;
                let found: Vec<Option<(&'static str, $crate::describe::Apply)>> = vec![
                    $((self.$field != other.$field).then_some(($key, $crate::describe::Apply::$apply)),)*
                    $((self.$cfield != other.$cfield)
                        .then_some((stringify!($cfield), $crate::describe::Apply::Restart)),)?
                ];
                found.into_iter().flatten().collect()
            }
        }
    };
}

/// Declares device families: exactly one of these sub-tables must be there.
macro_rules! choice {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident {
            $($(#[doc = $vdoc:literal])+ $variant:ident($ty:ty) = $key:literal,)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $vdoc])+ $variant($ty),)+ }

        impl $name {
            /// The key of the sub-table.
            #[must_use]
            pub const fn family(&self) -> &'static str {
                match self { $(Self::$variant(_) => $key,)+ }
            }
        }

        impl $crate::read::Choice for $name {
            const KEYS: &'static [&'static str] = &[$($key),+];
            fn info() -> Vec<$crate::describe::ChoiceInfo> {
                vec![$($crate::describe::ChoiceInfo {
                    docs: &[$($vdoc),+],
                    key: $key,
                    table: <$ty as $crate::read::Record>::info,
                },)+]
            }
            fn read(
                key: &str,
                at: &str,
                node: $crate::read::Node<'_>,
                reader: &mut $crate::read::Reader,
            ) -> Option<Self> {
                match key {
                    $($key => $crate::read::record::<$ty>(at, node, reader).map(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

/// Declares an enum whose variants have one fixed word each.
macro_rules! words {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $word:literal,)+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[doc = $vdoc])+ $variant,)+ }

        impl $name {
            /// The word in the site file.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::read::Word for $name {
            const ALL: &'static [(Self, &'static str, &'static [&'static str])] =
                &[$((Self::$variant, $word, &[$($vdoc),+]),)+];
        }
    };
}
pub(crate) use {choice, table, words};

impl Shape {
    /// A value as it would be written, for hints.
    pub(crate) fn example(&self) -> String {
        match self {
            Self::Bool => "true".to_owned(),
            Self::Duration { min, .. } => min.to_string(),
            Self::Either(shapes) => shapes.first().map_or_else(String::new, Self::example),
            Self::Int { min, .. } => min.to_string(),
            Self::List { of, .. } => match of.example().split_once(", ") {
                Some((value, what)) => format!("[{value}], {what}"),
                None => format!("[{}]", of.example()),
            },
            Self::Map { .. } | Self::Table(_) => "{ … }".to_owned(),
            Self::Name { of: Some(of) } => format!("\"…\", the name of a configured {of}"),
            Self::Name { of: None } | Self::Secret(_) => "\"…\"".to_owned(),
            Self::Text { what, .. } => format!("\"…\", {what}"),
            Self::Words(words) => words
                .first()
                .map_or_else(String::new, |(word, _)| format!("{word:?}")),
        }
    }
}
