//! Everything that is built and tested here, held against `deny.toml`.

use std::path::Path;
use std::process::Command;

use rules::Rules;

fn output(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        String::from_utf8(output.stdout).map_err(|error| format!("{program}: {error}"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What cargo knows of all packages for this machine, which had to be fetched to build this test.
fn metadata() -> serde_json::Value {
    let versions = output("rustc", &["-vV"]).expect("a compiler");
    let host = versions.lines().find_map(|line| line.strip_prefix("host: "));
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let mut args = vec![
        "metadata",
        "--format-version=1",
        "--locked",
        "--manifest-path",
        root,
    ];
    args.extend(["--filter-platform", host.expect("a host"), "--offline"]);
    let text = output(env!("CARGO"), &args).or_else(|_| {
        // a test of one crate alone needs fewer packages than the workspace has
        args.pop();
        output(env!("CARGO"), &args)
    });
    serde_json::from_str(&text.unwrap_or_else(|error| panic!("{error}"))).expect("JSON")
}

#[test]
fn licences_sources_and_bans_are_as_deny_toml_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deny.toml");
    let rules = Rules::read(&std::fs::read_to_string(root).expect("readable")).expect("rules");
    let metadata = metadata();
    let broken = rules.broken_by(&metadata).expect("metadata");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let known = metadata["packages"].as_array().map_or(0, Vec::len);
    assert!(known > 100, "{known} packages cannot be all");
}
