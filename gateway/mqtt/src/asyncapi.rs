//! The AsyncAPI 3.0 document, made of the topics and of the types that are said and heard.
//!
//! It is made by the tests and kept beside this crate (`asyncapi.json`): a type or topic that changes makes the test fail
//! until the document is made anew with `DOORLINE_BLESS=1`. The peer tests compare it with what is really sent.

/// The document, as JSON.
#[must_use]
pub const fn asyncapi() -> &'static str {
    include_str!("../asyncapi.json")
}

#[cfg(test)]
mod tests {
    use gateway_core::{Event, FieldForm, Form, is_confidential, said};
    use schemars::SchemaGenerator;
    use schemars::generate::SchemaSettings;
    use serde_json::{Map, Value, json};

    use crate::topics::Topics;
    use crate::{alive, bridge, command, latest, signed, state};

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/asyncapi.json");

    /// Channels, messages and operations as they come.
    struct Document {
        channels: Map<String, Value>,
        given: SchemaGenerator,
        messages: Map<String, Value>,
        operations: Map<String, Value>,
        schemas: Map<String, Value>,
        taken: SchemaGenerator,
    }

    /// Without the sizes of Rust's numbers, which no client asks for and some do not know.
    fn plain(schema: &mut Value) {
        match schema {
            Value::Object(members) => {
                let format = members.get("format").and_then(Value::as_str);
                if format.is_some_and(|f| f.starts_with("uint") || f.starts_with("int")) {
                    members.remove("format");
                }
                members.values_mut().for_each(plain);
            }
            Value::Array(all) => all.iter_mut().for_each(plain),
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn reference(of: &str, name: &str) -> Value {
        json!({ "$ref": format!("#/{of}/{name}") })
    }

    /// What a topic says.
    struct Says<'a> {
        /// It is kept by the broker; an empty message clears it.
        kept: bool,
        messages: &'a [&'a str],
        summary: &'a str,
    }

    impl Document {
        fn new() -> Self {
            let settings = || {
                let mut settings = SchemaSettings::draft07();
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
                settings
            };
            Self {
                channels: Map::new(),
                given: settings().for_serialize().into_generator(),
                messages: Map::new(),
                operations: Map::new(),
                schemas: Map::new(),
                taken: settings().for_deserialize().into_generator(),
            }
        }

        fn message(&mut self, name: &str, title: &str, json: bool, schema: Value) {
            let content = if json { "application/json" } else { "text/plain" };
            let message = json!({ "contentType": content, "title": title, "payload": schema });
            self.messages.insert(name.to_owned(), message);
        }

        fn channel(&mut self, name: &str, address: &str, does: &str, says: &Says<'_>) {
            let of = |message: &&str| ((*message).to_owned(), reference("components/messages", message));
            let messages: Map<String, Value> = says.messages.iter().map(of).collect();
            let named = address
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split('}').next());
            let parameter = |name: &str| (name.to_owned(), reference("components/parameters", name));
            let parameters: Map<String, Value> = named.map(parameter).collect();
            let kept = if says.kept {
                " Kept by the broker; an empty message clears what is no longer there."
            } else {
                ""
            };
            let channel = json!({
                "address": address,
                "summary": format!("{}{kept}", says.summary),
                "messages": messages,
                "parameters": parameters,
                "bindings": { "mqtt": { "bindingVersion": "0.2.0" } },
            });
            self.channels.insert(name.to_owned(), channel);
            let mut operation = json!({
                "action": does,
                "channel": reference("channels", name),
                "bindings": { "mqtt": { "qos": 1, "retain": says.kept, "bindingVersion": "0.2.0" } },
            });
            if does == "receive" && says.messages.contains(&"command") {
                operation["reply"] = json!({
                    "address": {
                        "location": "$message.header#/responseTopic",
                        "description": "With MQTT 5 the answer goes there as well as to the channel, with the \
                                        correlation data of the request.",
                    },
                    "channel": reference("channels", "response"),
                });
            }
            self.operations.insert(name.to_owned(), operation);
        }

        fn says(&mut self, name: &str, address: &str, message: &str, kept: bool, summary: &str) {
            let messages = &[message];
            let says = Says {
                kept,
                messages,
                summary,
            };
            self.channel(name, address, "send", &says);
        }

        /// What others keep there for us.
        fn hears(&mut self, name: &str, address: &str, message: &str, summary: &str) {
            let messages = &[message];
            let says = Says {
                kept: true,
                messages,
                summary,
            };
            self.channel(name, address, "receive", &says);
        }

        fn finished(mut self) -> Value {
            for (name, mut schema) in self
                .given
                .take_definitions(true)
                .into_iter()
                .chain(self.taken.take_definitions(true))
            {
                plain(&mut schema);
                self.schemas.insert(name, schema);
            }
            let name =
                |of: &str| json!({ "description": format!("Name of the {of}, as the site file has it.") });
            json!({
                "asyncapi": "3.0.0",
                "info": {
                    "title": "Doorline",
                    "version": env!("CARGO_PKG_VERSION"),
                    "description": "What a Doorline gateway says and takes at an MQTT broker. With MQTT 5 everything \
                                    has the user property `site`, and records `seq` and `kind`.",
                    "license": { "name": "MIT OR Apache-2.0" },
                },
                "defaultContentType": "application/json",
                "channels": self.channels,
                "operations": self.operations,
                "components": {
                    "messages": self.messages,
                    "parameters": {
                        "account": name("account"),
                        "alarm": name("alarm"),
                        "base": { "description": "First levels, `base` of [mqtt].", "default": "doorline" },
                        "component": { "description": "What Home Assistant shows it as." },
                        "device": { "description": "Name of a device at Home Assistant." },
                        "door": name("door"),
                        "entity": { "description": "Name of an entity at Home Assistant." },
                        "line": name("line"),
                        "panel": name("panel"),
                        "reader": name("reader"),
                        "prefix": {
                            "description": "First levels, `discovery-prefix` of [mqtt].",
                            "default": "homeassistant",
                        },
                        "relay": name("relay"),
                        "site": name("site"),
                        "topic": { "description": "What the rule says, one level or more." },
                    },
                    "schemas": self.schemas,
                },
            })
        }
    }

    /// A record of the journal, with more of it.
    fn record(more: &Value) -> Value {
        let mut schema = json!({
            "type": "object",
            "description": "A record of the journal. What happened stands in further members, by its kind: each is a \
                            boolean, a whole number, a text or null. There may be kinds and members that this document \
                            does not know.",
            "properties": {
                "seq": { "type": "integer", "minimum": 1, "description": "Its number; the next one has the next." },
                "at": { "type": "string", "format": "date-time" },
                "kind": { "type": "string", "pattern": "^[a-z-]+\\.[a-z-]+$" },
                "source": { "type": ["string", "null"], "description": "What it is about: a door, a panel, …" },
                "ring_id": { "type": ["string", "null"] },
                "simulated": { "type": "boolean", "description": "It comes from a virtual device." },
                "schema": { "type": "integer", "minimum": 1 },
                "again": {
                    "type": "boolean",
                    "description": "True of a record that may have come before: the connection ended, or the gateway did, before \
                                    the broker had acknowledged it.",
                },
                "cut": {
                    "type": "boolean",
                    "description": "True of a record that was too large for the broker: its further members are in the \
                                    journal only.",
                },
            },
            "required": ["seq", "at", "kind", "source", "ring_id", "simulated", "schema"],
            "additionalProperties": { "type": ["boolean", "integer", "string", "null"] },
        });
        schema["allOf"] = json!([reference("components/schemas", "Kinds")]);
        for (name, of) in more.as_object().expect("members") {
            schema["properties"][name] = of.clone();
            schema["required"]
                .as_array_mut()
                .expect("a list")
                .push(json!(name));
        }
        schema
    }

    /// What the value of a field can be.
    fn value(form: Form) -> Value {
        match form {
            Form::Bool => json!({ "type": "boolean" }),
            Form::Int => json!({ "type": "integer" }),
            Form::Maybe(of) => json!({ "anyOf": [value(*of), { "type": "null" }] }),
            Form::Text => json!({ "type": "string" }),
            Form::Words(words) => json!({ "type": "string", "enum": words }),
        }
    }

    /// The kinds of records that this document knows, each with what stands in it unless it was cut.
    fn kinds() -> Value {
        let mut all = vec![];
        let families = Event::forms().iter();
        for (family, kinds) in families.filter(|(family, _)| !is_confidential(&format!("{family}."))) {
            for kind in *kinds {
                let name = format!("{family}.{}", kind.tag);
                let field = |field: &FieldForm| {
                    let mut schema = value(field.form);
                    schema["description"] = json!(said(field.about));
                    (field.name.to_owned(), schema)
                };
                let fields: Map<String, Value> = kind.fields.iter().map(field).collect();
                let names: Vec<&str> = kind.fields.iter().map(|field| field.name).collect();
                all.push(json!({
                    "if": { "properties": { "kind": { "const": name } }, "not": { "required": ["cut"] } },
                    "then": { "description": said(kind.about), "properties": fields, "required": names },
                }));
            }
        }
        json!({
            "description": "What stands in a record of each kind, in this version.",
            "allOf": all,
        })
    }

    fn takes(summary: &str) -> Says<'_> {
        Says {
            kept: false,
            messages: &["command", "signed"],
            summary,
        }
    }

    fn document() -> Value {
        let topics = Topics::new("{base}", "{site}");
        let mut all = Document::new();
        let states = {
            let g = &mut all.given;
            [
                (
                    "account",
                    "A registration.",
                    g.subschema_for::<state::Account<'_>>(),
                ),
                ("alarm", "An alarm.", g.subschema_for::<state::Alarm<'_>>()),
                ("door", "A door.", g.subschema_for::<state::Door<'_>>()),
                ("line", "A line.", g.subschema_for::<state::Line>()),
                ("panel", "A panel.", g.subschema_for::<state::Panel<'_>>()),
                ("relay", "A relay.", g.subschema_for::<state::Relay<'_>>()),
            ]
        };
        let alive = all.given.subschema_for::<alive::Alive<'_>>().to_value();
        let info = all.given.subschema_for::<bridge::Info<'_>>().to_value();
        let doors = all.given.subschema_for::<bridge::Doors<'_>>().to_value();
        let update = all.given.subschema_for::<latest::Versions<'_>>().to_value();
        let tag = all.given.subschema_for::<state::Tag<'_>>().to_value();
        let site = all.given.subschema_for::<state::Site<'_>>().to_value();
        let answer = all.given.subschema_for::<command::Wording<'_>>().to_value();
        let plain = all.taken.subschema_for::<command::Wire>().to_value();
        let signed = all.taken.subschema_for::<signed::Wire>().to_value();
        all.schemas.insert("Kinds".to_owned(), kinds());
        all.schemas.insert("Record".to_owned(), record(&json!({})));
        let typed =
            json!({ "event_type": { "type": "string", "description": "The second word of `kind`." } });
        all.schemas.insert("TypedRecord".to_owned(), record(&typed));

        let words = json!({ "type": "string", "enum": [state::ONLINE, state::OFFLINE] });
        all.message("availability", "Is it there?", false, words);
        all.message("alive", "It is there.", true, alive);
        all.message("doors", "The doors.", true, doors);
        all.message("info", "The gateway.", true, info);
        all.message("site", "The site.", true, site);
        all.message(
            "record",
            "A record.",
            true,
            reference("components/schemas", "Record"),
        );
        all.message(
            "happened",
            "A record, now.",
            true,
            reference("components/schemas", "TypedRecord"),
        );
        all.message("answer", "An answer.", true, answer);
        all.message("command", "A command.", true, plain);
        all.message("signed", "A signed command.", true, signed);
        all.message("tag", "A card.", true, tag);
        all.message("update", "Versions.", true, update);
        let version = json!({ "type": "string", "pattern": "^v?[0-9][0-9A-Za-z.+-]{0,39}$" });
        all.message("latest", "A version.", false, version);
        all.message("said", "What a rule says.", false, json!({ "type": "string" }));
        all.message(
            "discovery",
            "A device or entity for Home Assistant.",
            true,
            json!({ "type": "object" }),
        );

        all.says(
            "availability",
            &topics.availability(),
            "availability",
            true,
            "Is the gateway there? Its last will says no.",
        );
        all.says(
            "alive",
            &topics.alive(),
            "alive",
            false,
            "The gateway is there, and which doors can be opened: said at each change, and every ten seconds. What the broker \
             keeps there says that it is not: what is kept elsewhere can be older than the gateway's end.",
        );
        all.says(
            "doors",
            &topics.doors(),
            "doors",
            true,
            "Which doors there are, and what they can do.",
        );
        all.says(
            "info",
            &topics.info(),
            "info",
            true,
            "What the gateway is, and how it takes commands.",
        );
        all.says("state", &topics.state(), "site", true, "How the site is.");
        all.says(
            "event",
            &topics.event(),
            "record",
            false,
            "Every record, in order, at least once.",
        );
        all.says(
            "response",
            &topics.response(),
            "answer",
            false,
            "One answer to each command.",
        );
        let said = topics.message("x").expect("a topic").replace("/x", "/{topic}");
        all.says(
            "message",
            &said,
            "said",
            false,
            "What a rule says; kept if the rule wants that.",
        );
        all.says(
            "updateState",
            &topics.update_state(),
            "update",
            true,
            "Which version runs, and which is the latest.",
        );
        let picture = json!({ "type": "string", "contentMediaType": "image/jpeg" });
        all.message("picture", "A JPEG.", false, picture);
        all.messages["picture"]["contentType"] = json!("image/jpeg");
        all.hears(
            "panelPicture",
            &topics.picture("{panel}"),
            "picture",
            "The last ring, with `discovery-pictures`, as a camera or a script publishes it with retain. The gateway reads none \
             of it, and clears it when the panel or the option goes.",
        );
        all.hears(
            "updateLatest",
            &topics.update_latest(),
            "latest",
            "What an operator announces as the latest version, with retain.",
        );
        all.says(
            "readerTag",
            &topics.of("reader", "{reader}", "tag"),
            "tag",
            false,
            "A card that was read, with `discovery-tags`.",
        );
        for (kind, title, schema) in states {
            all.message(&format!("{kind}State"), title, true, schema.to_value());
            let address = topics.of(kind, format!("{{{kind}}}"), "state");
            let summary = format!("How the {kind} is.");
            all.says(
                &format!("{kind}State"),
                &address,
                &format!("{kind}State"),
                true,
                &summary,
            );
        }
        let door = topics.of("door", "{door}", "availability");
        all.says(
            "doorAvailability",
            &door,
            "availability",
            true,
            "Can it be opened at this moment?",
        );
        for kind in ["door", "panel"] {
            let address = topics.of(kind, format!("{{{kind}}}"), "event");
            let summary = "What happens there, at most a minute old; with MQTT 5 it expires with it.";
            all.says(&format!("{kind}Event"), &address, "happened", false, summary);
        }
        all.channel(
            "command",
            &topics.command(),
            "receive",
            &takes("Commands for the site, its doors and panels."),
        );
        for kind in ["door", "panel"] {
            let address = topics.of(kind, format!("{{{kind}}}"), "command");
            let summary = format!("Commands for the {kind}.");
            all.channel(&format!("{kind}Command"), &address, "receive", &takes(&summary));
        }
        let born = json!({
            "type": "string",
            "description": "`online` when Home Assistant was started or is connected again: what is kept for it is said again.",
        });
        all.message("born", "Home Assistant is there.", false, born);
        all.channel(
            "hubStatus",
            "{prefix}/status",
            "receive",
            &Says {
                kept: false,
                messages: &["born"],
                summary: "What Home Assistant says of itself, its birth message and its last will.",
            },
        );
        all.says(
            "device",
            "{prefix}/device/{device}/config",
            "discovery",
            true,
            "Home Assistant 2024.11 and newer.",
        );
        let entity = "{prefix}/{component}/{device}/{entity}/config";
        all.says(
            "entity",
            entity,
            "discovery",
            true,
            "Home Assistant of any version.",
        );
        all.finished()
    }

    #[test]
    fn the_document_that_is_kept_says_what_the_types_and_topics_say() {
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

    /// Topics of the table of the page for integrators, as the document writes them.
    fn of_the_page() -> Vec<String> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mqtt.md");
        let page = std::fs::read_to_string(file).expect("readable");
        let rows = page.lines().filter(|line| line.starts_with("| `<base>/"));
        let cells = rows.filter_map(|row| row.split('|').nth(1));
        let named = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let mut all = Vec::new();
        for topic in named {
            let (before, group, after) = match topic.split_once('{') {
                Some((before, rest)) => {
                    let (group, after) = rest.split_once('}').expect("its end");
                    (before, group, after)
                }
                None => (topic, "", ""),
            };
            for word in group.split(',') {
                let mut levels: Vec<String> = format!("{before}{word}{after}")
                    .split('/')
                    .map(str::to_owned)
                    .collect();
                for at in 0..levels.len() {
                    levels[at] = match levels[at].as_str() {
                        "<id>" => format!("{{{}}}", levels[at - 1]),
                        level => level.replace('<', "{").replace('>', "}"),
                    };
                }
                all.push(levels.join("/"));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn the_page_for_integrators_has_the_topics_of_the_document_and_no_others() {
        let document = document();
        let channels = document["channels"].as_object().expect("channels");
        let addresses = channels
            .values()
            .filter_map(|channel| channel["address"].as_str());
        let mut ours: Vec<&str> = addresses
            .filter(|address| address.starts_with("{base}/"))
            .collect();
        ours.sort_unstable();
        assert_eq!(of_the_page(), ours);
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_topic_that_is_taken_is_in_it() {
        let document = document();
        let text = document.to_string();
        let mut references = 0;
        for (at, _) in text.match_indices("\"#/") {
            let pointer = text[at + 2..].split('"').next().expect("a pointer");
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            references += 1;
        }
        assert!(references > 50, "{references}");
        let channels = document["channels"].as_object().expect("channels");
        let addresses: Vec<_> = channels.values().filter_map(|c| c["address"].as_str()).collect();
        for filter in Topics::new("{base}", "{site}").command_filters() {
            let taken = filter
                .replace("door/+", "door/{door}")
                .replace("panel/+", "panel/{panel}");
            assert!(addresses.contains(&taken.as_str()), "{taken}");
        }
    }
}
