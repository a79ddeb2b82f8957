//! Licences, sources and bans of `deny.toml`, held against `cargo metadata`. cargo-deny checks the same and more
//! (advisories, duplicates, licence texts); it takes minutes to install, so `tests/run --full` runs it and this
//! is what runs always.

mod spdx;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// Where crates may come from.
const SOURCES: [&str; 2] = [
    "registry+https://github.com/rust-lang/crates.io-index",
    "sparse+https://index.crates.io/",
];

/// What `deny.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Licences that any crate may have, as SPDX names, with exceptions (`X WITH Y`) as one.
    allow: BTreeSet<String>,
    /// Crates that must not be there, with the reason.
    banned: BTreeMap<String, String>,
    /// Further licences of single crates.
    exceptions: BTreeMap<String, BTreeSet<String>>,
}

fn texts(list: Option<&toml::Value>) -> impl Iterator<Item = &str> {
    let list = list.and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_str)
}

fn tables<'a>(table: Option<&'a toml::Value>, key: &str) -> impl Iterator<Item = &'a toml::Value> {
    let list = table.and_then(|t| t.get(key)).and_then(toml::Value::as_array);
    list.into_iter().flatten()
}

/// The licence text of a package that names a file instead of a licence.
fn in_file(package: &Value) -> Option<String> {
    let folder = Path::new(package["manifest_path"].as_str()?).parent()?;
    std::fs::read_to_string(folder.join(package["license_file"].as_str()?)).ok()
}

/// The MIT licence as SPDX lists it: its grant, its one condition, and nothing said of other licences.
fn is_mit(text: &str) -> bool {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.contains("Permission is hereby granted, free of charge, to any person obtaining a copy")
        && words
            .contains("The above copyright notice and this permission notice shall be included in all copies")
        && !words.contains("GNU")
}

/// The name before `@` or a version requirement.
fn name_of(entry: &toml::Value) -> Option<&str> {
    let name = entry.get("crate").or_else(|| entry.get("name"))?.as_str()?;
    name.split(['@', ':']).next()
}

impl Rules {
    /// Reads them.
    ///
    /// # Errors
    /// A text that is no TOML, or that allows nothing or bans nothing: then it has not been understood.
    pub fn read(text: &str) -> Result<Self, String> {
        let file: toml::Table = text.parse().map_err(|error| format!("deny.toml: {error}"))?;
        let (licenses, bans) = (file.get("licenses"), file.get("bans"));
        let exceptions = tables(licenses, "exceptions").filter_map(|entry| {
            let allow = texts(entry.get("allow")).map(str::to_owned).collect();
            Some((name_of(entry)?.to_owned(), allow))
        });
        let banned = tables(bans, "deny").filter_map(|entry| {
            let reason = entry.get("reason").and_then(toml::Value::as_str);
            Some((name_of(entry)?.to_owned(), reason.unwrap_or("banned").to_owned()))
        });
        let rules = Self {
            allow: texts(licenses.and_then(|l| l.get("allow")))
                .map(str::to_owned)
                .collect(),
            banned: banned.collect(),
            exceptions: exceptions.collect(),
        };
        if rules.allow.is_empty() || rules.banned.is_empty() {
            return Err("deny.toml: no licences.allow or no bans.deny was found".to_owned());
        }
        Ok(rules)
    }

    fn allows(&self, package: &str, licence: &str) -> bool {
        let exceptions = self.exceptions.get(package);
        self.allow.contains(licence) || exceptions.is_some_and(|more| more.contains(licence))
    }

    /// Everything in the output of `cargo metadata` that they forbid, one line each.
    ///
    /// # Errors
    /// Output that has no packages.
    pub fn broken_by(&self, metadata: &Value) -> Result<Vec<String>, String> {
        let packages = metadata["packages"].as_array().filter(|all| !all.is_empty());
        let packages = packages.ok_or("cargo metadata tells of no packages")?;
        let ours: BTreeSet<&str> = metadata["workspace_members"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut found = Vec::new();
        for package in packages {
            let name = package["name"].as_str().unwrap_or("?");
            let version = package["version"].as_str().unwrap_or("?");
            let mut say = |text: String| found.push(format!("{name} {version}: {text}"));
            if let Some(reason) = self.banned.get(name) {
                say(format!("must not be used: {reason}"));
            }
            if package["id"].as_str().is_some_and(|id| ours.contains(id)) {
                continue;
            }
            match package["source"].as_str() {
                Some(source) if SOURCES.contains(&source) => {}
                Some(source) => say(format!("comes from {source}, not from crates.io")),
                None => say("comes from a path outside of the workspace".to_owned()),
            }
            let file = || in_file(package).filter(|text| is_mit(text)).map(|_| "MIT");
            match package["license"].as_str().or_else(file) {
                None => say("names no licence".to_owned()),
                Some(text) => match spdx::satisfied(text, |licence| self.allows(name, licence)) {
                    Ok(true) => {}
                    Ok(false) => say(format!("its licence is not allowed: {text}")),
                    Err(error) => say(format!("its licence cannot be read: {error}")),
                },
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DENY: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0"]
        exceptions = [{ crate = "odd@1.0", allow = ["MPL-2.0"] }]
        [bans]
        deny = [{ crate = "openssl", reason = "one TLS stack" }]
    "#;

    fn package(name: &str, license: Value, source: Value) -> Value {
        json!({ "id": format!("id of {name}"), "name": name, "version": "1.0.0", "license": license, "source": source })
    }

    fn broken(packages: &[Value]) -> Vec<String> {
        let rules = Rules::read(DENY).expect("rules");
        let metadata = json!({ "packages": packages, "workspace_members": ["id of ours"] });
        rules.broken_by(&metadata).expect("metadata")
    }

    #[test]
    fn what_is_allowed_passes() {
        let registry = json!(SOURCES[0]);
        let good = [
            package("ours", Value::Null, Value::Null),
            package("a", json!("MIT OR GPL-3.0-only"), registry.clone()),
            package("odd", json!("MPL-2.0"), registry.clone()),
            package("old", json!("MIT/Apache-2.0"), registry),
        ];
        assert_eq!(broken(&good), Vec::<String>::new());
    }

    #[test]
    fn every_planted_violation_is_found_by_name() {
        let registry = json!(SOURCES[1]);
        let bad = [
            package("openssl", json!("Apache-2.0"), registry.clone()),
            package("copyleft", json!("GPL-3.0-only"), registry.clone()),
            package("both", json!("MIT AND GPL-3.0-only"), registry.clone()),
            package("other", json!("MPL-2.0"), registry.clone()),
            package("nameless", Value::Null, registry.clone()),
            package("odd", json!("MIT AND"), registry),
            package("git", json!("MIT"), json!("git+https://example.org/x")),
            package("path", json!("MIT"), Value::Null),
        ];
        assert_eq!(
            broken(&bad),
            [
                "openssl 1.0.0: must not be used: one TLS stack",
                "copyleft 1.0.0: its licence is not allowed: GPL-3.0-only",
                "both 1.0.0: its licence is not allowed: MIT AND GPL-3.0-only",
                "other 1.0.0: its licence is not allowed: MPL-2.0",
                "nameless 1.0.0: names no licence",
                "odd 1.0.0: its licence cannot be read: \"MIT AND\" ends too early",
                "git 1.0.0: comes from git+https://example.org/x, not from crates.io",
                "path 1.0.0: comes from a path outside of the workspace",
            ]
        );
    }

    #[test]
    fn only_a_whole_mit_text_stands_for_a_name() {
        let mit = "Permission is hereby granted, free of charge, to any\nperson obtaining a copy of this software. \
                   The above copyright notice and this permission notice shall be included in all copies";
        assert!(is_mit(mit));
        assert!(!is_mit(
            "Permission is hereby granted, free of charge, to any person obtaining a copy"
        ));
        assert!(!is_mit(&format!("{mit} and the GNU General Public License")));
    }

    #[test]
    fn rules_or_metadata_that_say_nothing_are_errors() {
        assert!(Rules::read("").is_err());
        assert!(Rules::read("[licenses]\nallow = []\n[bans]\ndeny = []").is_err());
        let rules = Rules::read(DENY).expect("rules");
        assert!(rules.broken_by(&json!({ "packages": [] })).is_err());
    }
}
