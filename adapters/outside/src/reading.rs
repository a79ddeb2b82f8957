//! What a payload says.

/// A word of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Active, or there.
    On,
    /// At rest, or away.
    Off,
}

/// How a payload is read: where its word stands, and what the words mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// JSON pointer (RFC 6901); `None` if the payload is the word.
    pub field: Option<String>,
    /// Words for on.
    pub on: Vec<String>,
    /// Words for off.
    pub off: Vec<String>,
}

impl Reading {
    /// The word of a payload; `None` if it is none of ours. Text, numbers, `true`, `false` and `null` of JSON are words.
    #[must_use]
    pub fn word(&self, payload: &[u8]) -> Option<Word> {
        let text = match &self.field {
            None => str::from_utf8(payload).ok()?.trim().to_owned(),
            Some(pointer) => {
                let json: serde_json::Value = serde_json::from_slice(payload).ok()?;
                match json.pointer(pointer)? {
                    serde_json::Value::String(text) => text.clone(),
                    serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
                    plain @ (serde_json::Value::Bool(_)
                    | serde_json::Value::Null
                    | serde_json::Value::Number(_)) => plain.to_string(),
                }
            }
        };
        if self.on.contains(&text) {
            Some(Word::On)
        } else if self.off.contains(&text) {
            Some(Word::Off)
        } else {
            None
        }
    }
}

/// Where a device says whether it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Availability {
    /// On means that it is there.
    pub reading: Reading,
    /// Topic.
    pub topic: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(field: Option<&str>, on: &[&str], off: &[&str]) -> Reading {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Reading {
            field: field.map(str::to_owned),
            on: words(on),
            off: words(off),
        }
    }

    #[test]
    fn the_devices_that_people_have_are_understood() {
        let esphome = reading(None, &["ON"], &["OFF"]);
        let button = reading(Some("/action"), &["single", "double"], &[]);
        let contact = reading(Some("/contact"), &["false"], &["true"]);
        let shelly = reading(Some("/params/events/0/event"), &["single_push"], &[]);
        let count = reading(Some("/POWER1"), &["1"], &["0"]);
        let (on, off) = (Some(Word::On), Some(Word::Off));
        for (reading, payload, want) in [
            (&esphome, "ON", on),
            (&esphome, " OFF\n", off),
            (&esphome, "on", None),
            (&button, r#"{"action":"single","battery":80}"#, on),
            (&button, r#"{"action":""}"#, None),
            (&button, r#"{"action":null}"#, None),
            (&button, r#"{"battery":80}"#, None),
            (&button, "single", None),
            (&contact, r#"{"contact":false}"#, on),
            (&contact, r#"{"contact":true}"#, off),
            (&contact, r#"{"contact":"#, None),
            (
                &shelly,
                r#"{"method":"NotifyEvent","params":{"events":[{"id":0,"event":"single_push"}]}}"#,
                on,
            ),
            (&shelly, r#"{"params":{"events":[]}}"#, None),
            (&count, r#"{"POWER1":1}"#, on),
            (&count, r#"{"POWER1":{"1":1}}"#, None),
        ] {
            assert_eq!(reading.word(payload.as_bytes()), want, "{payload}");
        }
        assert_eq!(esphome.word(&[0xFF, b'O', b'N']), None);
    }

    proptest! {
        #[test]
        fn no_payload_makes_a_panic(payload in proptest::collection::vec(any::<u8>(), 0..200), field in "(/[a-z0-9~]{0,3}){1,3}") {
            let _ = reading(Some(&field), &["on"], &["off"]).word(&payload);
        }
    }
}
