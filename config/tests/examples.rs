//! The examples are right, and the generated pages are current.

use std::fs;
use std::path::{Path, PathBuf};

use gateway_config::{Loaded, SecretFiles, load, reference, schema};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn example(name: &str) -> Loaded {
    match load(&here("examples").join(name), SecretFiles::WhereFound) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_example_passes_check() {
    let mut seen = 0;
    for entry in fs::read_dir(here("examples")).expect("the folder is there") {
        let name = entry.expect("readable").file_name().into_string().expect("UTF-8");
        if name.ends_with(".toml") {
            example(&name);
            seen += 1;
        }
    }
    assert!(seen >= 3);
}

#[test]
fn every_scenario_passes_check_and_has_its_dial_plan() {
    let mut seen = 0;
    for entry in fs::read_dir(here("examples/scenarios")).expect("the folder is there") {
        let folder = entry.expect("readable").path();
        let name = folder.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        example(&format!("scenarios/{name}/site.toml"));
        assert!(folder.join("extensions.conf").is_file(), "{name}");
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn the_minimal_site_and_the_first_site_raise_no_warning_but_a_missing_secret_and_a_latching_board() {
    assert_eq!(example("minimal.toml").warnings.to_string(), "");
    for warning in example("first-site.toml").warnings.list {
        // A board that latches has to be said, also at a first site; the last one is raised where there is no time zone
        // database.
        let expected = [
            "accounts.pbx.password-file",
            "outputs.front-strike.lcus1",
            "site.time-zone",
        ];
        assert!(
            expected.contains(&warning.path.as_str()),
            "{}: {}",
            warning.path,
            warning.text
        );
    }
}

/// Keys of the schema that no example value stands for, as `path`.
fn missing(schema: &serde_json::Value, values: &[&toml::Value], at: &str, out: &mut Vec<String>) {
    for alternative in schema["anyOf"].as_array().into_iter().flatten() {
        missing(alternative, values, at, out);
    }
    if schema["items"].is_object() {
        let inner: Vec<_> = values.iter().filter_map(|v| v.as_array()).flatten().collect();
        missing(&schema["items"], &inner, at, out);
    }
    if schema["additionalProperties"].is_object() {
        let inner: Vec<_> = values
            .iter()
            .filter_map(|v| v.as_table())
            .flat_map(|t| t.values())
            .collect();
        missing(&schema["additionalProperties"], &inner, at, out);
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let found: Vec<_> = values.iter().filter_map(|v| v.get(key)).collect();
        let at = format!("{at}.{key}");
        if found.is_empty() {
            out.push(at.clone());
        }
        missing(inner, &found, &at, out);
    }
}

#[test]
fn the_full_example_has_every_key() {
    let text = fs::read_to_string(here("examples/full.toml")).expect("readable");
    let value: toml::Value = toml::from_str(&text).expect("TOML");
    let mut out = Vec::new();
    missing(&schema(), &[&value], "", &mut out);
    // A certificate comes in one of two forms, each secret by one of two ways, and the address of a router is fixed or asked
    // for. Pins of a chip are a key only to be refused in words.
    let other = [
        ".controllers.wiegand.chip",
        ".dot1x.client-p12-file",
        ".dot1x.client-passphrase",
        ".dot1x.password",
        ".notify.mail.password",
        ".notify.telegram.token",
        ".notify.webhook.authorization",
        ".notify.webhook.key",
        ".sip.public-address",
    ];
    out.retain(|key| !other.contains(&key.as_str()));
    // A password stands for itself in the trunk, a secret at a server; two in one table are refused.
    assert_eq!(
        out,
        [
            ".outputs.http.password",
            ".mqtt.password",
            ".directory.password",
            ".logins.radius.secret"
        ]
    );
}

#[test]
fn the_reference_page_is_current() {
    current("reference.md", &reference());
}

#[test]
fn the_schema_file_is_current() {
    let text = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
    current("site.schema.json", &text);
}

fn current(name: &str, text: &str) {
    let path = here(name);
    if std::env::var_os("DOORLINE_BLESS").is_some() {
        fs::write(&path, text).expect("writable");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{name} is not current: run DOORLINE_BLESS=1 cargo test -p gateway-config"
    );
}
