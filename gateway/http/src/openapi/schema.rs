//! Schemas of what no type of ours says: texts with a form, records of the journal, lines of people.

use std::borrow::Cow;

use gateway_people::{COLUMNS, OF_RECORDS, OF_SITE};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// A schema of its own; `inline` ones stand where they are used.
macro_rules! schema {
    ($(#[doc = $doc:literal])+ $name:ident, inline $inline:literal, $schema:expr) => {
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                $inline
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

schema!(
    /// Name of a door, panel, button, … as the site file has it.
    Name,
    inline true,
    json_schema!({ "type": "string", "pattern": "^[a-z0-9_-]{1,40}$" })
);
schema!(
    /// Name of a user or token.
    Login,
    inline true,
    json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,32}$" })
);
schema!(
    /// A password that is to be set.
    Password,
    inline true,
    json_schema!({ "type": "string", "minLength": 10, "maxLength": 128 })
);
schema!(
    /// What somebody may do.
    Scopes,
    inline true,
    json_schema!({
        "type": "array",
        "minItems": 1,
        "uniqueItems": true,
        "items": { "type": "string", "enum": crate::access::Scope::ALL.map(crate::access::Scope::word) },
    })
);
schema!(
    /// Which doors somebody may have: `"all"`, or a list of them.
    DoorsOf,
    inline true,
    json_schema!({
        "oneOf": [
            { "const": "all", "type": "string" },
            {
                "type": "array",
                "uniqueItems": true,
                "items": { "type": "string", "pattern": "^[a-z0-9_-]{1,40}$" },
            },
        ],
    })
);
schema!(
    /// A value of a key of the site file; null removes the key.
    ConfigValue,
    inline true,
    // any type: generators of clients want to know what a list has in it, and here nobody can say
    json_schema!({})
);
schema!(
    /// Further members of a problem document.
    More,
    inline true,
    json_schema!({ "type": "object", "additionalProperties": true })
);
schema!(
    /// A record of the journal.
    Record,
    inline false,
    json_schema!({
        "type": "object",
        "description": "A record of the journal. What happened stands in further members, by its kind: each is a \
                        boolean, a whole number, a text or null. One that has the name of a member here has `_` at its \
                        end. There may be kinds and members that this document does not know.",
        "properties": {
            "seq": { "type": "integer", "minimum": 1, "description": "Its number: they follow each other." },
            "at": { "type": "string", "format": "date-time" },
            "kind": { "type": "string", "pattern": "^[a-z0-9-]+\\.[a-z0-9-]+$", "description": "`family.tag`" },
            "source": { "type": ["string", "null"], "description": "The door, panel, line, … it is about." },
            "ring_id": { "type": ["string", "null"], "format": "uuid" },
            "simulated": { "type": "boolean" },
            "schema": { "type": "integer", "minimum": 1, "description": "Version of this form." },
        },
        "required": ["seq", "at", "kind", "source", "ring_id", "simulated", "schema"],
        "additionalProperties": { "type": ["boolean", "integer", "string", "null"] },
    })
);
schema!(
    /// A line of a list of people.
    Line,
    inline false,
    {
        let mut columns: Map<String, Value> = COLUMNS
            .iter()
            .map(|column| ((*column).to_owned(), json!({ "type": "string" })))
            .collect();
        let origin = json!({
            "type": "string",
            "enum": [OF_RECORDS, OF_SITE],
            "description": "Where it is kept; only in a list. What stands in the site file is changed there.",
        });
        columns.insert("origin".to_owned(), origin);
        json_schema!({
            "type": "object",
            "description": "A person with one of their credentials. What is not set is left out; cards and numbers are \
                            masked in a list and whole in an export.",
            "properties": columns,
            "additionalProperties": false,
        })
    }
);

fn new_line() -> Value {
    let cell = json!({
        "type": ["string", "integer", "boolean", "null", "array"],
        "items": { "type": "string" },
        "maxLength": 400,
    });
    let columns: Map<String, Value> = COLUMNS
        .iter()
        .map(|column| ((*column).to_owned(), cell.clone()))
        .collect();
    json!({
        "type": "object",
        "description": "A person, a credential, or both, in the columns of `doorline people import`. A column that is \
                        left out stays as it is; `null`, an empty list and `-` clear it.",
        "properties": columns,
        "additionalProperties": false,
    })
}

schema!(
    /// Lines of an import.
    NewLines,
    inline false,
    json_schema!({
        "description": "One line, or a list of them.",
        "anyOf": [new_line(), { "type": "array", "items": new_line() }],
    })
);
schema!(
    /// A question about the access decision.
    Question,
    inline false,
    json_schema!({
        "type": "object",
        "description": "Exactly one of `card`, `caller`, `code`, `button` and `hold`; a `code` beside `caller` is what that caller dials.",
        "properties": {
            "door": { "type": "string", "pattern": "^[a-z0-9_-]{1,40}$" },
            "card": { "type": "string", "description": "As an import writes it: `26:123,04567`." },
            "pin": { "type": "string" },
            "code": { "type": "string" },
            "in-call": { "type": "boolean", "description": "The code is dialled by somebody who was called." },
            "caller": { "type": "string" },
            "button": { "type": "string", "description": "A button that opens by day: `PANEL/BUTTON`." },
            "hold": { "type": "boolean", "description": "The schedule that holds the door open." },
            "reader": { "type": "string", "pattern": "^[a-z0-9_-]{1,40}$" },
            "at": { "type": "string", "format": "date-time", "description": "Now, unless given." },
        },
        "required": ["door"],
    })
);
schema!(
    /// A question about rules.
    RuleQuestion,
    inline false,
    json_schema!({
        "type": "object",
        "description": "What would the rules make of an event? Nothing is done.",
        "properties": {
            "event": {
                "type": "object",
                "description": "As the journal exports it; `kind` is enough. Every other field is one of the event.",
                "properties": {
                    "kind": { "type": "string", "description": "`door.denied`" },
                    "source": { "type": "string" },
                },
                "required": ["kind"],
            },
            "times": { "type": "integer", "minimum": 1, "maximum": 1000, "description": "It comes so often, a second apart." },
            "at": { "type": "string", "format": "date-time", "description": "Now, unless given." },
            "states": { "type": "array", "maxItems": 100, "items": { "type": "string" }, "description": "`front=open`, `alarm=active`" },
            "groups": { "type": "array", "maxItems": 100, "items": { "type": "string" }, "description": "Of whoever the event is about." },
        },
        "required": ["event"],
        "additionalProperties": false,
    })
);
schema!(
    /// What there is.
    Listing,
    inline false,
    json_schema!({
        "type": "object",
        "description": "Every path, with what it needs.",
        "properties": {
            "paths": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "method": { "type": "string" },
                        "path": { "type": "string" },
                        "needs": { "type": "string" },
                    },
                    "required": ["method", "path", "needs"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["paths"],
        "additionalProperties": false,
    })
);
