//! Questions about rules, as JSON: of the command line and of the API.

use gateway_core::{Event, GroupId, Record, RingId, SCHEMA, Seq, Timestamp, TriedRule, TryRules, Value};
use serde_json::Value as Json;
use tokio::sync::oneshot;

/// A question about rules, on its way to the core. Nothing comes of it.
#[derive(Debug)]
pub struct RuleQuestion {
    /// Answered at once; in words, if the question names what there is not.
    pub answer: oneshot::Sender<Result<Vec<TriedRule>, String>>,
    /// What is asked.
    pub ask: TryRules,
}

/// Reads a question: `{"event": {"kind": "door.denied", …}, "times": 3, "at": "…", "states": ["front=open"], "groups":
/// ["staff"]}`. Only the event is needed; it is as the journal exports it, and only its kind is needed.
///
/// # Errors
/// What is wrong, in words.
pub fn try_rules_of(request: &Json, now: Timestamp) -> Result<TryRules, String> {
    let known = ["at", "event", "groups", "states", "times"];
    let object = request.as_object().ok_or("the question is no object")?;
    if let Some(other) = object.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("{other:?} is not known; allowed: {}", known.join(", ")));
    }
    let at = match object.get("at") {
        None | Some(Json::Null) => None,
        Some(at) => Some(
            at.as_str()
                .and_then(|text| text.parse::<Timestamp>().ok())
                .ok_or("at: a time with an offset is needed, such as 2026-12-24T22:10:00+01:00")?,
        ),
    };
    let event = object.get("event").ok_or("\"event\" is missing")?;
    let most = u64::from(TryRules::MOST);
    let times = match object.get("times") {
        None => 1,
        Some(times) => {
            let times = times.as_u64().filter(|times| (1..=most).contains(times));
            times.ok_or_else(|| format!("times: a number from 1 to {most} is needed"))?
        }
    };
    let groups = texts(object.get("groups"), "groups")?;
    let groups = groups
        .iter()
        .map(|name| GroupId::new(name).map_err(|e| e.to_string()));
    Ok(TryRules {
        at,
        event: record_of(event, at.unwrap_or(now))?,
        groups: groups.collect::<Result<_, _>>()?,
        states: texts(object.get("states"), "states")?,
        times: u32::try_from(times).unwrap_or(TryRules::MOST),
    })
}

/// Most entries of a list in a question.
const MOST: usize = 100;

fn texts(list: Option<&Json>, key: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("{key}: a list of at most {MOST} texts is needed");
    let Some(list) = list else {
        return Ok(Vec::new());
    };
    let list = list
        .as_array()
        .filter(|list| list.len() <= MOST)
        .ok_or_else(wrong)?;
    let text = |one: &Json| one.as_str().map(str::to_owned).ok_or_else(wrong);
    list.iter().map(text).collect()
}

/// A record as the journal exports them; only its kind is needed.
fn record_of(json: &Json, at: Timestamp) -> Result<Record, String> {
    let object = json
        .as_object()
        .ok_or("event: allowed is an object such as {\"kind\":\"door.denied\"}")?;
    let word = |key: &str| object.get(key).and_then(Json::as_str);
    let kind = word("kind").ok_or("event has no \"kind\", such as door.denied")?;
    let (family, tag) = kind.split_once('.').unwrap_or((kind, ""));
    let families = Event::families();
    let Some((_, tags)) = families.iter().find(|(name, _)| *name == family) else {
        let names: Vec<&str> = families.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "event: {kind:?} is no kind of event; allowed: {}, each with its kinds",
            names.join(", ")
        ));
    };
    if !tags.contains(&tag) {
        let tags = tags.join(", ");
        return Err(format!(
            "event: {kind:?} is no kind of event; allowed: {family}. with {tags}"
        ));
    }
    let mut fields = Vec::new();
    for (key, value) in object {
        if ["at", "kind", "ring_id", "schema", "seq", "simulated", "source"].contains(&key.as_str()) {
            continue;
        }
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(it) => Value::Bool(*it),
            Json::Number(it) => Value::Int(
                it.as_i64()
                    .ok_or_else(|| format!("event: {key:?} is {it}, allowed are whole numbers"))?,
            ),
            Json::String(it) => Value::Text(it.clone()),
            Json::Array(_) | Json::Object(_) => {
                return Err(format!(
                    "event: {key:?} is a list or an object, which no field of an event is"
                ));
            }
        };
        fields.push((key.clone(), value));
    }
    Ok(Record {
        at,
        fields,
        kind: kind.to_owned(),
        ring: word("ring_id").and_then(RingId::parse),
        schema: SCHEMA,
        seq: Seq(0),
        simulated: object.get("simulated") == Some(&Json::Bool(true)),
        source: word("source").unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TryRules, String> {
        let json = serde_json::from_str(text).expect("JSON");
        try_rules_of(&json, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_question_needs_an_event_of_a_kind_and_nothing_else() {
        let asked =
            read(r#"{"event": {"kind": "door.denied", "source": "front", "subject": "unknown", "n": 3}}"#);
        let asked = asked.expect("a question");
        assert_eq!(
            (asked.times, asked.at, asked.event.kind.as_str()),
            (1, None, "door.denied")
        );
        assert_eq!(asked.event.text_of("subject"), "unknown");
        let all = r#"{"event": {"kind": "panel.ring"}, "times": 1000, "at": "2026-12-24T22:10:00+01:00",
            "states": ["front=open"], "groups": ["staff"]}"#;
        let asked = read(all).expect("a question");
        assert_eq!(
            (asked.times, asked.states.len(), asked.groups.len()),
            (1000, 1, 1)
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (bad, said) in [
            ("[]", "no object"),
            ("{}", "\"event\" is missing"),
            (r#"{"event": {}}"#, "no \"kind\""),
            (r#"{"event": {"kind": "dor"}}"#, "allowed: access, account"),
            (r#"{"event": {"kind": "door.denid"}}"#, "denied"),
            (
                r#"{"event": {"kind": "door.denied", "x": []}}"#,
                "a list or an object",
            ),
            (r#"{"event": {"kind": "door.denied", "x": 1.5}}"#, "whole numbers"),
            (r#"{"event": {"kind": "door.denied"}, "times": 0}"#, "1 to 1000"),
            (
                r#"{"event": {"kind": "door.denied"}, "times": 1001}"#,
                "1 to 1000",
            ),
            (r#"{"event": {"kind": "door.denied"}, "at": "noon"}"#, "offset"),
            (r#"{"event": {"kind": "door.denied"}, "groups": "staff"}"#, "list"),
            (r#"{"event": {"kind": "door.denied"}, "state": []}"#, "not known"),
        ] {
            let error = read(bad).expect_err(bad);
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
