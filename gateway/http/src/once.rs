//! JSON that says each thing once. RFC 8259 §4 leaves open which of two members of one name counts: what stands before us and
//! takes the other one would let through what we then do.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize as _, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Refuses what is no JSON, and an object that has a member twice, at whatever depth. The depth is `serde_json`'s, 128.
///
/// # Errors
/// Which member, and where.
pub(crate) fn once(json: &[u8]) -> Result<(), serde_json::Error> {
    let mut from = serde_json::Deserializer::from_slice(json);
    Once.deserialize(&mut from)?;
    from.end()
}

struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key_seed(Name)? {
            members.next_value_seed(Self)?;
            if let Some(name) = names.replace(name) {
                let shown: String = name.chars().take(40).collect();
                return Err(A::Error::custom(format!("member {shown:?} stands there twice")));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        String::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_member_stands_once_in_its_object_and_may_stand_in_others() {
        for good in [
            r#"{"a":1,"b":{"a":[{"a":null},{"a":-1.5}]}}"#,
            "[]",
            "\"a\"",
            "true",
            " {} ",
        ] {
            assert!(once(good.as_bytes()).is_ok(), "{good}");
        }
        for twice in [
            r#"{"door":"front","door":"back"}"#,
            r#"{"door":"front","d\u006for":"back"}"#,
            r#"[{"b":{"a":1,"c":2,"a":1}}]"#,
        ] {
            let said = once(twice.as_bytes()).expect_err(twice).to_string();
            assert!(said.contains("twice"), "{said}");
        }
        for bad in ["", "{", "{} {}", "{\"a\"}", "\u{feff}{}"] {
            assert!(once(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(once("[".repeat(100_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_body_makes_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = once(&body);
        }

        #[test]
        fn what_is_taken_is_json(text in "[\\[\\]{}\":,a-c0-9 ]{0,40}") {
            if once(text.as_bytes()).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}
