//! Neutral values of event fields, so that journal, MQTT and HTTP show one and the same set of names.

/// A field value of a [`Record`](crate::Record).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number; units stand in the field's name.
    Int(i64),
    /// Absent.
    Null,
    /// Text.
    Text(String),
}

impl Value {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(t) => Some(t),
            Self::Bool(_) | Self::Int(_) | Self::Null => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Bool(_) | Self::Null | Self::Text(_) => None,
        }
    }
}

/// What a field of an event can be, for documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// True or false.
    Bool,
    /// A whole number; units stand in the field's name.
    Int,
    /// It, or absent.
    Maybe(&'static Self),
    /// Text.
    Text,
    /// One of these words.
    Words(&'static [&'static str]),
}

/// What can stand in a field of an event.
pub trait Field: Sized {
    /// What its neutral value can be.
    const FORM: Form;
    /// The neutral value.
    fn to_value(&self) -> Value;
    /// Reads it back; `None` if the value does not fit.
    fn from_value(value: &Value) -> Option<Self>;
}

impl Field for bool {
    const FORM: Form = Form::Bool;
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bool(b) = value {
            Some(*b)
        } else {
            None
        }
    }
}

impl Field for String {
    const FORM: Form = Form::Text;
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
    fn from_value(value: &Value) -> Option<Self> {
        value.as_text().map(str::to_owned)
    }
}

impl Field for char {
    const FORM: Form = Form::Text;
    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
    fn from_value(value: &Value) -> Option<Self> {
        let mut chars = value.as_text()?.chars();
        chars.next().filter(|_| chars.next().is_none())
    }
}

macro_rules! ints {
    ($($t:ty)*) => {$(
        impl Field for $t {
            const FORM: Form = Form::Int;
            fn to_value(&self) -> Value {
                Value::Int(i64::try_from(*self).unwrap_or(i64::MAX))
            }
            fn from_value(value: &Value) -> Option<Self> {
                value.as_int()?.try_into().ok()
            }
        }
    )*};
}
ints! { u8 u16 u32 u64 i64 }

impl<T: Field> Field for Option<T> {
    const FORM: Form = Form::Maybe(&T::FORM);
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::to_value)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if *value == Value::Null {
            Some(None)
        } else {
            T::from_value(value).map(Some)
        }
    }
}

/// An enum whose variants have one fixed word each.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in configuration, journal, MQTT and HTTP.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads the word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::value::Field for $name {
            const FORM: $crate::value::Form = $crate::value::Form::Words(&[$($word,)*]);
            fn to_value(&self) -> $crate::value::Value {
                $crate::value::Value::Text(self.word().to_owned())
            }
            fn from_value(value: &$crate::value::Value) -> Option<Self> {
                Self::from_word(value.as_text()?)
            }
        }
    };
}
pub(crate) use words;
