//! The JSON schema (draft 2020-12) that editors check and complete a site file with.

use serde_json::{Map, Value, json};

use crate::describe::{KeyInfo, Need, Shape, TableInfo, Unit, prose};
use crate::model::Config;
use crate::read::Record;

/// The schema, made of the declarations of the keys.
#[must_use]
pub fn schema() -> Value {
    let mut root = table(&Config::info());
    if let Value::Object(root) = &mut root {
        root.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        root.insert("title".to_owned(), json!("Doorline site file"));
    }
    root
}

fn table(info: &TableInfo) -> Value {
    let mut properties: Map<String, Value> = Map::new();
    for key in &info.keys {
        properties.insert(key.key.to_owned(), property(key));
    }
    for choice in &info.choice {
        let mut shape = table(&(choice.table)());
        describe(&mut shape, &prose(choice.docs));
        properties.insert(choice.key.to_owned(), shape);
    }
    let required: Vec<&str> = info
        .keys
        .iter()
        .filter(|key| key.need == Need::Required)
        .map(|key| key.key)
        .collect();
    let mut object = json!({
        "type": "object",
        "description": prose(info.docs),
        "additionalProperties": false,
        "properties": properties,
    });
    if let Value::Object(object) = &mut object {
        if !required.is_empty() {
            object.insert("required".to_owned(), json!(required));
        }
        if !info.choice.is_empty() {
            let one: Vec<Value> = info
                .choice
                .iter()
                .map(|choice| json!({ "required": [choice.key] }))
                .collect();
            object.insert("oneOf".to_owned(), json!(one));
        }
    }
    object
}

fn describe(shape: &mut Value, text: &str) {
    if let Value::Object(shape) = shape {
        shape.insert("description".to_owned(), json!(text));
    }
}

fn property(key: &KeyInfo) -> Value {
    let mut value = of(&key.shape);
    describe(&mut value, &prose(key.docs));
    if let (Need::Default(default), Value::Object(object)) = (key.need, &mut value)
        && let Some(default) = to_json(default)
    {
        object.insert("default".to_owned(), default);
    }
    value
}

/// A default as JSON; tables have none, their keys do.
fn to_json(default: &str) -> Option<Value> {
    if default.starts_with('{') {
        return None;
    }
    // The defaults in use are written the same in TOML and JSON; a test holds this.
    serde_json::from_str(default).ok()
}

const NAME: &str = "^[a-z0-9_-]{1,40}$";

fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Duration { max, min, unit } => {
            let pattern = match unit {
                Unit::Milliseconds | Unit::Seconds => "^ *[0-9]+ *(ms|s|min) *$",
            };
            json!({ "anyOf": [
                { "type": "integer", "minimum": min, "maximum": max },
                { "type": "string", "pattern": pattern },
            ]})
        }
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(of).collect::<Vec<_>>() }),
        Shape::Int { max, min } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::List { max, min, of: item } => {
            json!({ "type": "array", "minItems": min, "maxItems": max, "items": of(item) })
        }
        Shape::Map { of, .. } => json!({
            "type": "object",
            "propertyNames": { "pattern": NAME },
            "additionalProperties": table(&of()),
        }),
        Shape::Name { .. } => json!({ "type": "string", "pattern": NAME }),
        Shape::Secret(shape) => of(shape),
        Shape::Table(info) => table(&info()),
        Shape::Text { pattern, .. } => match pattern {
            Some(pattern) => json!({ "type": "string", "pattern": pattern }),
            None => json!({ "type": "string" }),
        },
        Shape::Words(words) => {
            json!({ "enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each_key(info: &TableInfo, visit: &mut dyn FnMut(&KeyInfo)) {
        fn inner(shape: &Shape, visit: &mut dyn FnMut(&KeyInfo)) {
            match shape {
                Shape::Either(shapes) => shapes.iter().for_each(|shape| inner(shape, visit)),
                Shape::List { of, .. } | Shape::Secret(of) => inner(of, visit),
                Shape::Map { of, .. } | Shape::Table(of) => each_key(&of(), visit),
                Shape::Bool
                | Shape::Duration { .. }
                | Shape::Int { .. }
                | Shape::Name { .. }
                | Shape::Text { .. }
                | Shape::Words(_) => {}
            }
        }
        for key in &info.keys {
            visit(key);
            inner(&key.shape, visit);
        }
        for choice in &info.choice {
            each_key(&(choice.table)(), visit);
        }
    }

    #[test]
    fn every_key_is_described_and_every_default_is_in_the_schema() {
        let mut keys = 0;
        each_key(&Config::info(), &mut |key| {
            keys += 1;
            assert!(prose(key.docs).len() > 10, "{} is not described", key.key);
            assert!(
                prose(key.docs).ends_with(['.', '?']),
                "{} does not end its sentence",
                key.key
            );
            if let Need::Default(default) = key.need {
                let shown = property(key);
                assert!(
                    default.starts_with('{') || shown.get("default").is_some(),
                    "{}",
                    key.key
                );
            }
        });
        assert!(keys > 90, "found {keys} keys");
    }

    #[test]
    fn duration_keys_end_with_their_unit() {
        each_key(&Config::info(), &mut |key| {
            let shape = if let Shape::Either(shapes) = &key.shape {
                &shapes[0]
            } else {
                &key.shape
            };
            if let Shape::Duration { unit, .. } = shape {
                assert!(key.key.ends_with(&format!("-{}", unit.short())), "{}", key.key);
            }
        });
    }

    #[test]
    fn the_schema_knows_limits_words_and_families() {
        let schema = schema();
        let at = |path: &str| {
            schema
                .pointer(path)
                .unwrap_or_else(|| panic!("no {path}"))
                .clone()
        };
        let guard = "/properties/guard/properties";
        assert_eq!(at(&format!("{guard}/lease-ms/anyOf/0/minimum")), json!(200));
        assert_eq!(
            at(&format!("{guard}/mode/enum")),
            json!(["external", "none", "spawn"])
        );
        let output = "/properties/outputs/additionalProperties";
        assert_eq!(
            at(&format!("{output}/oneOf")),
            json!(
                [
                    "dcttech",
                    "front-end",
                    "gpio",
                    "http",
                    "kmtronic",
                    "lcus1",
                    "modbus",
                    "mqtt",
                    "numato",
                    "osdp",
                    "virtual"
                ]
                .map(|family| json!({ "required": [family] }))
            )
        );
        assert_eq!(
            at("/properties/lists/additionalProperties/properties/targets/maxItems"),
            json!(4)
        );
    }
}
