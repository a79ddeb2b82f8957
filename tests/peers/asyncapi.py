"""Compares what came over MQTT with an AsyncAPI 3.0 document: asyncapi.py DOCUMENT MESSAGES CHANNEL…

Every topic of the gateway and of its announcements must be in the document, every payload must fit, and no field and no kind
of record may be there that the document does not have. MESSAGES has an object with topic and payload on each line.
"""

import json
import re
import sys

import jsonschema_rs

WIDE = {"prefix", "topic"}


def pattern(address):
    parts = re.split(r"\{(\w+)\}", address)
    inner = (".+" if part in WIDE else "[^/]+" if n % 2 else re.escape(part) for n, part in enumerate(parts))
    return re.compile("".join(inner))


def strict(schema):
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            strict(value)
    elif isinstance(schema, list):
        for value in schema:
            strict(value)


def kinds(schemas):
    """Names of the fields of each kind of record, with those that every record has."""
    common = set(schemas["TypedRecord"]["properties"])
    rules = schemas["Kinds"]["allOf"]
    return {rule["if"]["properties"]["kind"]["const"]: common | set(rule["then"]["properties"]) for rule in rules}


def unknown(payload, known):
    """What of a record the document does not have."""
    if not (isinstance(payload, dict) and {"seq", "kind", "schema"} <= set(payload)):
        return []
    if payload["kind"] not in known:
        return [f"the kind {payload['kind']} is not in it"]
    return [f"{payload['kind']} has a field {name}" for name in set(payload) - known[payload["kind"]]]


def main(file, messages, wanted):
    document = json.load(open(file))
    components = document["components"]
    strict(components["schemas"])
    taken = {o["channel"]["$ref"].split("/")[-1] for o in document["operations"].values() if o["action"] == "receive"}
    channels = {}
    for name, channel in document["channels"].items():
        of = [components["messages"][message] for message in channel["messages"]]
        rules = [
            (
                message["contentType"],
                jsonschema_rs.validator_for(
                    {
                        "$schema": "http://json-schema.org/draft-07/schema#",
                        "allOf": [message["payload"]],
                        "components": components,
                    }
                ),
            )
            for message in of
        ]
        channels[name] = (pattern(channel["address"]), "Kept by the broker" in channel["summary"], rules)
    seen, faults, known = {}, [], kinds(components["schemas"])
    for line in open(messages):
        message = json.loads(line)
        topic, payload = message["topic"], message["payload"]
        if not topic.startswith(("doorline/", "homeassistant/")):
            continue
        found = [name for name, (fits, _, _) in channels.items() if fits.fullmatch(topic)]
        if not found:
            faults.append(f"{topic} is in no channel")
        faults += unknown(payload, known)
        for name in found:
            seen[name] = seen.get(name, 0) + 1
        told = []
        for name in found:
            _, kept, rules = channels[name]
            # what others send is theirs; an empty message clears
            if name in taken or kept and payload == "":
                break
            for content, rule in rules:
                text = content == "text/plain" and not isinstance(payload, str)
                error = next(rule.iter_errors(json.dumps(payload) if text else payload), None)
                if error is None:
                    break
                told.append(f"{topic}: {error.message} at {error.instance_path}: {payload}")
            else:
                continue
            break
        else:
            faults += told[:1]
    faults += [f"nothing came on the channel {name}" for name in wanted if name not in seen]
    print("\n".join(faults) if faults else f"{sum(seen.values())} messages on {len(seen)} channels fit: {seen}")
    return 1 if faults else 0


sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
