//! The OpenAPI 3.1 document, made of the table of routes and of the types that serve.
//!
//! It is made by the tests and kept beside this crate (`openapi.json`), and the gateway serves the kept one: a type or
//! route that changes makes the test fail until the document is made anew with `DOORLINE_BLESS=1`.

mod ops;
mod schema;

pub(crate) use schema::{ConfigValue, DoorsOf, Line, Login, More, Name, Password, Record, Scopes};

use std::collections::BTreeSet;

use http::Method;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use self::ops::{Good, Maker, Op, op};
use crate::param::Param;
use crate::route::{Action, Need, ROUTES, Route};

/// Schemas of what is taken and of what is given: a field that may be left out of one must stand in the other.
struct Schemas {
    given: SchemaGenerator,
    taken: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            let mut settings = SchemaSettings::draft2020_12();
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
            settings
        };
        Self {
            given: settings().for_serialize().into_generator(),
            taken: settings().for_deserialize().into_generator(),
        }
    }

    fn given(&mut self, maker: Maker) -> Value {
        maker(&mut self.given).to_value()
    }

    fn taken(&mut self, maker: Maker) -> Value {
        maker(&mut self.taken).to_value()
    }

    /// All that were referred to, by name.
    fn all(mut self) -> Map<String, Value> {
        let mut all: Vec<(String, Value)> = self.given.take_definitions(true).into_iter().collect();
        for (name, schema) in self.taken.take_definitions(true) {
            match all.iter().find(|(known, _)| *known == name) {
                Some((_, known)) => assert_eq!(*known, schema, "{name} is taken and given, and not the same"),
                None => all.push((name, schema)),
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, schema) in &mut all {
            plain(schema);
        }
        all.into_iter().collect()
    }
}

/// Without the sizes of Rust's numbers, which no client asks for and some do not know.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let of_rust = |format: &Value| {
                format
                    .as_str()
                    .is_some_and(|f| f.starts_with("uint") || f.starts_with("int"))
            };
            if members.get("format").is_some_and(of_rust) {
                members.remove("format");
            }
            members.values_mut().for_each(plain);
        }
        Value::Array(all) => all.iter_mut().for_each(plain),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

/// The document.
fn document() -> Value {
    let mut schemas = Schemas::new();
    let problem = schemas.given(|g| g.subschema_for::<crate::problem::Document<'_>>());
    let live = schemas.given(|g| g.subschema_for::<crate::live::Say<'_>>());
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES.iter().filter(|r| r.pattern.starts_with("/api/")) {
        let path = paths.entry(route.pattern).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation(route, &mut schemas, &problem, &live);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Doorline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "API of a Doorline gateway: doors, rings, calls, people, journal and live events. Every answer \
                            that is not what was wanted is a problem document that says what to do. Where `Retry-After` \
                            stands, wait so many seconds. Where there is GET there is HEAD, the same without a body. The scopes in `security` are what the token or login must have, \
                            all of them where there are two; `admin` includes the others, which do not include each other. \
                            What is no HTTP (a request line that cannot be read, too many or too long headers) gets a bare \
                            400 or 431 without a body, and the connection ends.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The gateway that serves this document." }],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas.all(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token. It is never taken from a query.",
                },
                "hook": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of one input: `inputs.NAME.webhook.token`. It opens the path of this input only.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "doorline",
                    "description": "The session of a browser; `__Host-doorline` with TLS. Needs an `Origin` of its own to \
                                    change anything.",
                },
            },
        },
    })
}

fn tags() -> Value {
    json!([
        { "name": "doors", "description": "Doors: what they are, and opening them." },
        { "name": "calls", "description": "Calls, and bells of virtual panels." },
        { "name": "journal", "description": "What happened." },
        { "name": "reports", "description": "What happened, as lists and figures." },
        { "name": "events", "description": "What happens." },
        { "name": "people", "description": "People, credentials, and who may open what." },
        { "name": "contacts", "description": "Whom call lists can name." },
        { "name": "logins", "description": "Users, tokens and sessions." },
        { "name": "config", "description": "The site file: read, checked, put on trial." },
        { "name": "gateway", "description": "The gateway itself." },
    ])
}

/// `DoorOpen` for `Action::Open`, as names of functions in clients: `open`, `people_import`, …
fn operation_id(action: Action) -> String {
    let mut id = String::new();
    for c in format!("{action:?}").chars() {
        if c.is_ascii_uppercase() && !id.is_empty() {
            id.push('_');
        }
        id.push(c.to_ascii_lowercase());
    }
    id
}

fn operation(route: &Route, schemas: &mut Schemas, problem: &Value, live: &Value) -> Value {
    let op = op(route.action);
    let mut told = json!({
        "operationId": operation_id(route.action),
        "tags": [op.tag],
        "summary": op.summary,
    });
    if !op.about.is_empty() {
        told["description"] = op.about.into();
    }
    told["security"] = if route.action == Action::Hook {
        json!([{ "hook": [] }])
    } else {
        security(route.need)
    };
    let parameters = parameters(route, &op);
    if !parameters.is_empty() {
        told["parameters"] = parameters.into();
    }
    if let Some((media, required)) = &op.body {
        told["requestBody"] = json!({ "required": required, "content": {} });
        for (name, maker) in media {
            told["requestBody"]["content"][*name] = json!({ "schema": schemas.taken(*maker) });
        }
    }
    let mut answers: Vec<(u16, Value)> = Vec::new();
    for (status, good) in &op.good {
        answers.push((*status, good_answer(*status, good, schemas)));
    }
    for (status, text) in problems(route, &op) {
        if answers.iter().any(|(known, _)| *known == status) {
            continue;
        }
        answers.push((status, bad_answer(status, &text, problem)));
    }
    answers.sort_by_key(|(status, _)| *status);
    told["responses"] = answers
        .into_iter()
        .map(|(status, answer)| (status.to_string(), answer))
        .collect::<Map<_, _>>()
        .into();
    if route.action == Action::Live {
        told["x-messages"] = live.clone();
    }
    told
}

fn security(need: Need) -> Value {
    match need {
        Need::Anybody => json!([]),
        Need::Known => json!([{ "session": [] }]),
        Need::Metrics => json!([{}, { "token": ["read"] }, { "session": ["read"] }]),
        Need::OpenAndOperate => {
            json!([{ "token": ["open", "operate"] }, { "session": ["open", "operate"] }])
        }
        Need::Scope(scope) => json!([{ "token": [scope.word()] }, { "session": [scope.word()] }]),
    }
}

fn parameters(route: &Route, op: &Op) -> Vec<Value> {
    let in_path = route.pattern.split('/').filter_map(|part| part.strip_prefix('{'));
    let path = in_path.map(|part| {
        let name = part.trim_end_matches('}');
        let schema = match name {
            "ring" => json!({ "type": "string", "format": "uuid" }),
            _ => json!({ "type": "string", "minLength": 1 }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let query = route.query.iter().map(|param| {
        json!({
            "name": param.name,
            "in": "query",
            "description": param.allowed,
            "schema": query_schema(param),
        })
    });
    let mut headers = Vec::new();
    let is_status = |wanted: u16| op.problems.iter().any(|(status, _)| *status == wanted);
    if is_status(412) {
        headers.push((
            "If-Match",
            is_status(428),
            "Entity tags, or `*`: it must be there and be one of these.",
        ));
    }
    if route.action == Action::ContactSave {
        headers.push(("If-None-Match", false, "`*`: there must be none of this name."));
    }
    if op.problems.iter().any(|(status, _)| *status == 410) {
        headers.push((
            "Idempotency-Key",
            false,
            "The id of the command, 1 to 64 visible ASCII characters, bare or in double quotes that are not part of it; \
             within quotes no backslash. It is one of this login or token: that of another one is another id.",
        ));
    }
    if route.action == Action::Events {
        headers.push((
            "Last-Event-ID",
            false,
            "The last number that was seen; goes before `from`.",
        ));
    }
    if route.action == Action::Hook {
        headers.push((
            "X-Doorline-At",
            false,
            "When it was, RFC 3339: a request that is more than 10 s old is refused, and one that was taken already.",
        ));
    }
    let headers = headers.into_iter().map(|(name, required, text)| {
        let pattern = match name {
            "If-Match" => "^(\\*|\"[!#-~]{1,40}\"(, \"[!#-~]{1,40}\"){0,3})$",
            "If-None-Match" => "^\\*$",
            "Last-Event-ID" => "^[0-9]{1,19}$",
            "X-Doorline-At" => "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(Z|[+-][0-9]{2}:[0-9]{2})$",
            _ => "^([!#-~]{1,64}|\"[!#-\\[\\]-~]{1,64}\")$",
        };
        json!({
            "name": name,
            "in": "header",
            "required": required,
            "description": text,
            "schema": { "type": "string", "pattern": pattern },
        })
    });
    path.chain(query).chain(headers).collect()
}

fn query_schema(param: &Param) -> Value {
    match (param.name, param.allowed) {
        ("from" | "to", _) => json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX }),
        ("max", "1 to 50") => json!({ "type": "integer", "minimum": 1, "maximum": 50 }),
        ("max", "1 to 10000") => json!({ "type": "integer", "minimum": 1, "maximum": 10_000 }),
        ("max", _) => json!({ "type": "integer", "minimum": 1, "maximum": 500 }),
        ("by", _) => {
            let all: Vec<_> = gateway_core::Factor::ALL.iter().map(|by| by.word()).collect();
            json!({ "type": "string", "enum": all })
        }
        ("class", _) => {
            let all: Vec<_> = gateway_core::Class::ALL
                .iter()
                .map(|class| class.word())
                .collect();
            json!({ "type": "string", "enum": all })
        }
        ("since" | "until", _) => json!({ "type": "string", "format": "date-time" }),
        ("order", _) => json!({ "type": "string", "enum": ["asc", "desc"] }),
        ("format", _) => json!({ "type": "string", "enum": ["csv", "json"] }),
        ("dry-run" | "refused" | "replace", _) => json!({ "type": "string", "const": "1" }),
        ("ring", _) => json!({ "type": "string", "format": "uuid" }),
        ("after", "a name, as \"next\" of the page before has it") => {
            json!({ "type": "string", "minLength": 1, "maxLength": 300 })
        }
        ("after", _) => json!({ "type": "string", "pattern": "^[^/]{0,40}/[^/]{0,80}$" }),
        ("confirm-seconds", _) => json!({ "type": "integer", "minimum": 10, "maximum": 600, "default": 120 }),
        ("door" | "kind" | "source" | "who", _) => json!({ "type": "string" }),
        (name, _) => panic!("the parameter {name} has no schema"),
    }
}

fn good_answer(status: u16, good: &Good, schemas: &mut Schemas) -> Value {
    let mut told = json!({ "description": reason(status) });
    match good {
        Good::Empty => {}
        Good::Edited(maker) | Good::Json(maker) => {
            told["content"] = json!({ "application/json": { "schema": schemas.given(*maker) } });
        }
        Good::Media(types) => {
            for (name, maker) in *types {
                told["content"][*name] = json!({ "schema": schemas.given(*maker) });
            }
        }
        Good::EditedText(name) => {
            told["content"][*name] = json!({ "schema": { "type": "string" } });
        }
    }
    if matches!(good, Good::Edited(_) | Good::EditedText(_)) {
        told["headers"]["ETag"] = json!({
            "description": "For `If-Match` of a change.",
            "schema": { "type": "string" },
        });
    }
    told
}

fn reason(status: u16) -> &'static str {
    let status = http::StatusCode::from_u16(status).expect("a status");
    status.canonical_reason().expect("a known status")
}

/// Problems of every route of the kind, and its own; of one status, its own words come first.
fn problems(route: &Route, op: &Op) -> Vec<(u16, String)> {
    let mut all: Vec<(u16, String)> = op.problems.iter().map(|(s, t)| (*s, (*t).to_owned())).collect();
    let mut add = |status: u16, text: &str| match all.iter_mut().find(|(known, _)| *known == status) {
        Some((_, told)) => {
            told.push(' ');
            told.push_str(text);
        }
        None => all.push((status, text.to_owned())),
    };
    add(
        400,
        "What was sent cannot be used: a parameter, header or body; `detail` says what is allowed.",
    );
    add(
        421,
        "`host`: without TLS the gateway answers to its address and `localhost` only.",
    );
    add(503, "A fault that is named.");
    if route.need != Need::Anybody {
        add(401, "`login`: nobody, or a token or session that is over.");
        add(403, "`scope` or `forbidden`: this token or login may not do it.");
    }
    if route.method != Method::GET || route.action == Action::Live {
        add(403, "`origin`: the request of a browser comes from another site.");
    }
    if route.method != Method::GET && route.method != Method::DELETE {
        add(408, "The body did not arrive in time.");
        add(413, "The body is too long.");
    }
    if op.body.is_some() {
        add(415, "The body has another `Content-Type` than is taken.");
    }
    all
}

fn bad_answer(status: u16, text: &str, problem: &Value) -> Value {
    let mut told = json!({
        "description": text,
        "content": { "application/problem+json": { "schema": problem } },
    });
    if matches!(status, 429 | 503) {
        told["headers"]["Retry-After"] = json!({
            "description": "Seconds to wait, where waiting helps.",
            "schema": { "type": "integer", "minimum": 1 },
        });
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

    #[test]
    fn the_document_that_is_served_says_what_the_types_and_routes_say() {
        let made = serde_json::to_string_pretty(&document()).expect("serialises") + "\n";
        if std::env::var_os("DOORLINE_BLESS").is_some() {
            std::fs::write(FILE, &made).expect("written");
        }
        let kept = std::fs::read_to_string(FILE).expect("readable");
        assert!(
            kept == made,
            "{FILE} is old: make it anew with DOORLINE_BLESS=1 and look at the difference"
        );
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_its_own_name() {
        let document = document();
        let known = document["components"]["schemas"].as_object().expect("schemas");
        let text = document.to_string();
        let mut references = 0;
        for (at, _) in text.match_indices("\"#/components/schemas/") {
            let name = text[at + 22..].split('"').next().expect("a name");
            assert!(known.contains_key(name), "{name}");
            references += 1;
        }
        assert!(references > 100, "{references}");
        let api = ROUTES.iter().filter(|r| r.pattern.starts_with("/api/"));
        let ids: Vec<String> = api.map(|r| operation_id(r.action)).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }

    /// The table of the page for integrators.
    fn table() -> String {
        let mut table = "| path | needs | what |\n|---|---|---|\n".to_owned();
        for route in ROUTES.iter().filter(|r| r.pattern.starts_with("/api/")) {
            let (method, pattern) = (&route.method, route.pattern);
            let summary = op(route.action).summary;
            table += &format!("| `{method} {pattern}` | {} | {summary} |\n", route.need.word());
        }
        table
    }

    #[test]
    fn the_page_for_integrators_tells_the_same() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let page = std::fs::read_to_string(file).expect("readable");
        let begin = page.find("| path |").expect("a table");
        let end = begin + page[begin..].find("\n\n").expect("its end") + 1;
        if page[begin..end] == table() {
            return;
        }
        assert!(
            std::env::var_os("DOORLINE_BLESS").is_some(),
            "the table in {file} is old: make it anew with DOORLINE_BLESS=1"
        );
        let anew = format!("{}{}{}", &page[..begin], table(), &page[end..]);
        std::fs::write(file, anew).expect("written");
    }
}
