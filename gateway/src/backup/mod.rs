//! Backup and restore: what a gateway is made of, taken from its folders and put into those of another machine.
//!
//! In it are the site file, the files that it names, people and credentials with their key, users and tokens (their digests),
//! contacts, and what is locked down. Not in it are the journal, and what belongs to a moment or to a machine: see [`LEFT`].

mod aside;
mod controller_keys;
mod current;
mod gather;
mod maker;
mod passphrase;
mod restore;
mod revived;

pub(crate) use gather::gather;
pub(crate) use maker::maker;
pub(crate) use passphrase::{from_terminal, given};
pub(crate) use restore::{How, prepare};

/// Kinds of records that a backup has. A restore puts those of the backup in the place of those that are there, but for what
/// restricts: see [`restore`].
const KEPT: [&str; 8] = [
    gateway_people::PERSON,
    gateway_people::CREDENTIAL,
    gateway_people::USE,
    gateway_people::BARRED,
    gateway_http::USER,
    gateway_http::TOKEN,
    gateway_http::CONTACT,
    crate::run::LOCKDOWNS,
];

/// Kinds of records that no backup has, and why. Those that are there stay as they are in a restore.
const LEFT: [(&str, &str); 10] = [
    ("alarm", "an alarm of that day would call people anew"),
    ("clock", "a date that was proven is proven on its machine only"),
    ("cursor", "it counts events of a journal that is not there"),
    ("erasure", "it goes on in the journal that it belongs to"),
    (crate::run::FIRE, "a fire of that day would open every door"),
    ("lock-out", "it ends within the hour"),
    (crate::run::ON, "what was on that day is on no more"),
    ("mqtt-topic", "what the broker has is the broker's"),
    (
        "place",
        "nobody is where they were: who stands outside would be taken for inside",
    ),
    (
        "quiet",
        "a bell that somebody silenced that day would call nobody, and nobody would know why",
    ),
];

/// Files of the state folder that a backup has: the key of codes and PINs, and the page's own certificate and
/// the one that was uploaded, each with its key, so that browsers go on trusting it. Not the instance id, which is bound to a machine; not what the switch port keeps of its own trials.
/// With them go the keys that controllers gave: see [`controller_keys`].
const STATE_FILES: [&str; 5] = [
    "people.key",
    "http/cert.pem",
    "http/key.pem",
    "http/names.txt",
    "http/uploaded.pem",
];

/// The first of [`STATE_FILES`].
const PEOPLE_KEY: &str = STATE_FILES[0];

/// The kinds of records, in words.
fn in_words(kind: &str) -> &str {
    match kind {
        "person" => "people",
        "credential" => "credentials",
        "credential-use" => "counts of uses",
        "person-gone" => "removed people",
        "user" => "users of the page",
        "token" => "API tokens",
        "contact" => "contacts",
        "lockdown" => "lockdowns",
        other => other,
    }
}

/// What of a record is shown to people: never a digest.
fn shown(record: &gateway_backup::Record) -> String {
    let word = |key: &str| record.value[key].as_str().unwrap_or_default();
    let key = &record.key;
    match record.kind.as_str() {
        "person" if word("name").is_empty() => key.clone(),
        "person" => format!("{key} ({})", word("name")),
        "credential" => {
            let whose = match word("person") {
                "" => String::new(),
                person => format!(" of {person}"),
            };
            let uses = match record.value["uses"].as_u64() {
                Some(uses) => format!(", {uses} uses"),
                None => String::new(),
            };
            format!("{} {key}{whose}{uses}", word("kind"))
        }
        "token" => format!("{} ({key})", word("name")),
        "contact" => format!("{key} ({})", word("number")),
        _ => key.clone(),
    }
}

/// A backup without its secrets, in words: a line for each file and each record, or how many there are.
pub(crate) fn summary(content: &gateway_backup::Content, all: bool) -> Vec<String> {
    use gateway_backup::Place;
    let head = &content.head;
    let mut lines = vec![
        format!("site {} ({})", head.site, head.site_name),
        format!("made {} by version {}", head.made, head.program),
    ];
    if head.in_doubt {
        lines.push("its records were in doubt: they open nothing until `doorline people confirm`".to_owned());
    }
    for file in &content.files {
        let whose = match file.place {
            Place::Confirmed => "site file in force",
            Place::Named => "file",
            Place::SiteFile => "site file",
            Place::State => "of the state folder",
        };
        lines.push(format!("{whose}: {} ({} bytes)", file.path, file.bytes.len()));
    }
    for kind in KEPT {
        let of_kind: Vec<_> = content
            .records
            .iter()
            .filter(|record| record.kind == kind)
            .collect();
        if of_kind.is_empty() {
            continue;
        }
        lines.push(format!("{}: {}", in_words(kind), of_kind.len()));
        if all && !matches!(kind, gateway_people::USE | gateway_people::BARRED) {
            lines.extend(of_kind.into_iter().map(|record| format!("  {}", shown(record))));
        }
    }
    lines
}

#[cfg(test)]
mod tests;
