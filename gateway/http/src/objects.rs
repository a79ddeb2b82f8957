//! Objects of JSON where objects are meant: serde fills the members of a structure from a list, too, by an order that
//! nobody is told.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde_json::{Error, Value};

/// Reads a value in which no list stands for an object, at whatever depth.
///
/// # Errors
/// What is missing or of another kind, or that a list stands where an object is needed.
pub(crate) fn objects<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    T::deserialize(Objects(value))
}

struct Objects(Value);

impl<'de> IntoDeserializer<'de, Error> for Objects {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Objects {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(list) => SeqDeserializer::new(list.into_iter().map(Self)).deserialize_any(visitor),
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| (name, Self(value)));
                MapDeserializer::new(members).deserialize_any(visitor)
            }
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
                self.0.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.0.is_array() {
            let fields = fields.join(", ");
            return Err(Error::custom(format!(
                "a list stands where an object is needed: its members are {fields}"
            )));
        }
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        a: u8,
        b: f64,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        inner: Inner,
        list: Vec<Inner>,
        maybe: Option<Inner>,
    }

    #[test]
    fn a_list_stands_for_no_object() {
        let inner = json!({ "a": 1, "b": 2 });
        let read: Outer =
            objects(json!({ "inner": inner, "list": [inner], "maybe": null })).expect("objects");
        assert_eq!(read.list, [Inner { a: 1, b: 2.0 }]);
        for bad in [
            json!([inner, [], null]),
            json!({ "inner": [1, 2], "list": [], "maybe": null }),
            json!({ "inner": inner, "list": [[1, 2]], "maybe": null }),
            json!({ "inner": inner, "list": [], "maybe": [1, 2] }),
        ] {
            assert!(serde_json::from_value::<Outer>(bad.clone()).is_ok(), "{bad}");
            let said = objects::<Outer>(bad).expect_err("a list").to_string();
            assert!(said.contains("a list stands where an object is needed"), "{said}");
        }
    }
}
