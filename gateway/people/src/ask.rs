//! Questions about who may open what, as JSON: from the command line and the API.

use gateway_access::CardKey;
use gateway_core::{Explain, Means, NameError, Secret, Timestamp};
use serde_json::Value;

fn optional<'a>(request: &'a Value, key: &str) -> Option<&'a str> {
    request.get(key).and_then(Value::as_str)
}

/// A question as it came, of the command line or the API.
///
/// Keys: `door`, one of `card` (with `pin`), `code` (`in-call`: true for one that is dialled by a called party),
/// `caller` (with `code` or `pin`), `button` (`PANEL/BUTTON`) and `hold` (true: the door's schedule), and if wanted
/// `reader` and `at`.
///
/// # Errors
/// What is missing, or what is allowed.
pub fn ask_of(request: &Value) -> Result<Explain, String> {
    let mut keys = request.as_object().ok_or("a question is a JSON object")?.keys();
    if let Some(key) = keys.find(|key| !KEYS.contains(&key.as_str())) {
        let shown: String = key.chars().take(40).collect();
        return Err(format!(
            "{shown:?} is not asked about here; allowed: {}",
            KEYS.join(", ")
        ));
    }
    let others = [
        optional(request, "button").is_some(),
        request.get("hold") == Some(&Value::Bool(true)),
    ];
    let digital = ["card", "caller", "code"]
        .iter()
        .any(|key| optional(request, key).is_some());
    let means = match others {
        [false, false] => digits_of(request)?,
        [true, false] if !digital => button_of(optional(request, "button").unwrap_or_default())?,
        [false, true] if !digital => Means::Hold,
        _ => return Err(ONE_OF.to_owned()),
    };
    let at = match optional(request, "at") {
        None => None,
        Some(text) => Some(text.parse::<Timestamp>().map_err(|_| {
            "at: a time with an offset is needed, such as 2026-12-24T22:10:00+01:00".to_owned()
        })?),
    };
    let reader = match optional(request, "reader") {
        None => None,
        Some(text) => Some(text.parse().map_err(|e: NameError| e.to_string())?),
    };
    let door = optional(request, "door")
        .ok_or("door is missing")?
        .parse()
        .map_err(|e: NameError| e.to_string())?;
    Ok(Explain {
        at,
        door,
        means,
        reader,
    })
}

/// What a question may hold.
const KEYS: [&str; 10] = [
    "at", "button", "caller", "card", "code", "door", "hold", "in-call", "pin", "reader",
];

const ONE_OF: &str = "one of card, code, caller, button and hold is needed";

/// `PANEL/BUTTON`.
fn button_of(text: &str) -> Result<Means, String> {
    let (panel, button) = text.split_once('/').ok_or("button: allowed is PANEL/BUTTON")?;
    Ok(Means::Button {
        button: button.parse().map_err(|e: NameError| e.to_string())?,
        panel: panel.parse().map_err(|e: NameError| e.to_string())?,
    })
}

/// What is shown, typed or dialled.
fn digits_of(request: &Value) -> Result<Means, String> {
    let secret = |key| optional(request, key).map(Secret::new);
    let card = |text: &str| {
        let key = CardKey::parse(text).map_err(|e| e.to_string())?;
        key.frame()
            .ok_or_else(|| "no reader sends such a card".to_owned())
    };
    Ok(
        match (
            optional(request, "card"),
            optional(request, "caller"),
            secret("code"),
        ) {
            (Some(text), None, None) => Means::Card {
                frame: card(text)?,
                pin: secret("pin"),
            },
            (None, Some(address), digits) => Means::Caller {
                address: address.to_owned(),
                digits: digits.or_else(|| secret("pin")),
            },
            (None, None, Some(digits)) if request.get("in-call") == Some(&Value::Bool(true)) => {
                Means::Dialled(digits)
            }
            (None, None, Some(digits)) => Means::Typed(digits),
            (_, _, _) => return Err(ONE_OF.to_owned()),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_question_needs_one_means_and_a_time_with_an_offset() {
        let ask = |request: Value| ask_of(&request);
        let good = ask(json!({ "door": "front", "card": "123,04567", "at": "2026-12-24T22:10:00+01:00" }));
        let good = good.expect("a question");
        assert_eq!(
            good.at.map(|at| at.to_string()).as_deref(),
            Some("2026-12-24T21:10:00Z")
        );
        assert!(matches!(good.means, Means::Card { frame, .. } if frame.bits == 26));
        let button = ask(json!({ "door": "front", "button": "main/bell" })).expect("a question");
        assert!(matches!(button.means, Means::Button { panel, .. } if panel.as_str() == "main"));
        let hold = ask(json!({ "door": "front", "hold": true, "button": null })).expect("a question");
        assert_eq!(hold.means, Means::Hold);
        for bad in [
            json!({ "door": "front" }),
            json!({ "door": "front", "hold": false }),
            json!({ "door": "front", "hold": true, "code": "1234" }),
            json!({ "door": "front", "hold": true, "button": "main/bell" }),
            json!({ "door": "front", "button": "bell" }),
            json!({ "card": "123,04567" }),
            json!({ "door": "front", "card": "123,04567", "caller": "1000" }),
            json!({ "door": "front", "card": "x" }),
            json!({ "door": "front", "card": "123,04567", "at": "tomorrow" }),
            json!({ "door": "Front!", "code": "1234" }),
            json!({ "door": "front", "code": "1234", "bogus": 1 }),
            json!({ "door": "front", "code": "1234", "in_call": true }),
            json!(["door", "front"]),
        ] {
            assert!(ask(bad.clone()).is_err(), "{bad}");
        }
    }
}
