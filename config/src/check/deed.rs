//! What an order to a device of somebody else does, whatever time it names and however it is written.

use std::collections::BTreeSet;

use serde_json::Value;

/// What stands for a time in an order.
const MARKS: [&str; 3] = ["{s}", "{ms}", "{until}"];

/// An order that energises a relay.
pub(super) struct Deed {
    /// The topic, or the server.
    place: String,
    /// Path and body, or the message.
    parts: Vec<String>,
}

impl Deed {
    pub(super) const fn new(place: String, parts: Vec<String>) -> Self {
        Self { place, parts }
    }

    /// Do both energise one relay, one of them perhaps for another time?
    pub(super) fn is_that_of(&self, other: &Self) -> bool {
        let pairs = || self.parts.iter().zip(&other.parts);
        self.place == other.place
            && self.parts.len() == other.parts.len()
            && pairs().all(|(one, other)| are_one(one, other))
    }
}

fn are_one(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    if let (Some(mut first), Some(mut second)) = (json(one), json(other)) {
        let mut times = BTreeSet::new();
        timed(&first, &mut times);
        timed(&second, &mut times);
        untime(&mut first, &times);
        untime(&mut second, &times);
        return first == second;
    }
    let (first, second) = (pairs(one), pairs(other));
    let all = first.iter().chain(&second);
    let times: BTreeSet<&str> = all
        .filter(|(_, value)| is_time(value))
        .map(|(name, _)| *name)
        .filter(|name| !name.is_empty())
        .collect();
    let rest = |pairs: &[(&str, &str)]| {
        let mut rest: Vec<(String, String)> = pairs
            .iter()
            .filter(|(name, _)| !times.contains(name))
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        rest.sort_unstable();
        rest
    };
    rest(&first) == rest(&second)
}

fn is_time(text: &str) -> bool {
    MARKS.iter().any(|mark| text.contains(mark))
}

/// An object of JSON, with a text in place of each time.
fn json(text: &str) -> Option<Value> {
    let mut made = text.trim().to_owned();
    for mark in MARKS {
        // in a text or as a number
        made = made
            .replace(&format!("\"{mark}\""), mark)
            .replace(mark, &format!("\"{mark}\""));
    }
    serde_json::from_str(&made).ok().filter(Value::is_object)
}

/// Names of members that are times.
fn timed(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| timed(one, names)),
        Value::Object(members) => {
            for (name, value) in members {
                if value.as_str().is_some_and(is_time) {
                    names.insert(name.clone());
                }
                timed(value, names);
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

fn untime(value: &mut Value, names: &BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|one| untime(one, names)),
        Value::Object(members) => {
            members.retain(|name, _| !names.contains(name));
            members.iter_mut().for_each(|(_, value)| untime(value, names));
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

/// Path and parameters of a request, each with its name; the path has none.
fn pairs(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split(['?', '&']);
    parts
        .map(|part| part.split_once('=').unwrap_or(("", part)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::are_one;

    #[test]
    fn an_order_for_another_time_is_of_the_same_relay() {
        for (one, other) in [
            (r#"{"state":"ON","on_time":3}"#, r#"{"state":"ON","on_time":{s}}"#),
            (
                r#"{"state": "ON", "on_time": {s}}"#,
                r#"{"on_time":{s},"state":"ON"}"#,
            ),
            (r#"{"state":"ON"}"#, r#"{"state":"ON","on_time":{s}}"#),
            (r#"{"p":{"id":1,"after":{ms}}}"#, r#"{"p":{"after":5000,"id":1}}"#),
            (r#"{"id":0,"to":"{until}"}"#, r#"{"id":0,"to":7}"#),
            ("/relay/0?turn=on&timer={s}", "/relay/0?timer=5&turn=on"),
            ("ON", "ON"),
        ] {
            assert!(are_one(one, other) && are_one(other, one), "{one} {other}");
        }
        for (one, other) in [
            (
                r#"{"state_left":"ON","t":{s}}"#,
                r#"{"state_right":"ON","t":{s}}"#,
            ),
            (r#"{"id":0,"on":true}"#, r#"{"id":1,"on":true}"#),
            (r#"{"p":{"id":1,"after":{s}}}"#, r#"{"p":{"id":2,"after":{s}}}"#),
            ("/relay/0?turn=on&timer={s}", "/relay/1?turn=on&timer={s}"),
            ("/relay/0?turn=on", "/relay/0?turn=off"),
            ("0,{s}", "1,{s}"),
            ("0,{s}", "0,5"),
        ] {
            assert!(!are_one(one, other), "{one} {other}");
        }
    }
}
