//! The examples of the help: what a newcomer types first has to work.

use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorline");

/// Examples that are not run here, by their first words, and what they need.
const LEFT_OUT: [(&str, &str); 32] = [
    ("doorline access", "a running gateway"),
    ("doorline backup", "a terminal; done by the tests of people"),
    ("doorline bench", "minutes"),
    ("doorline contacts", "a running gateway"),
    ("doorline controllers", "a running gateway"),
    ("doorline demo", "ten seconds; played by another test"),
    ("doorline doctor", "a machine that is set up for the site"),
    ("doorline dot1x confirm", "a running gateway"),
    (
        "doorline dot1x request",
        "a clock that a time service has confirmed",
    ),
    (
        "doorline dot1x self-signed",
        "a clock that a time service has confirmed",
    ),
    ("doorline journal", "a gateway's state"),
    ("doorline lldp", "a right to send raw frames"),
    ("doorline network", "a port"),
    ("doorline osdp firmware", "a running gateway"),
    ("doorline audio meter", "a sound card"),
    ("doorline audio test", "a sound card"),
    ("doorline osdp install", "a running gateway"),
    ("doorline osdp move", "a running gateway"),
    ("doorline panel learn --gpio", "a GPIO chip"),
    ("doorline panel learn --port", "a front end"),
    ("doorline people", "a running gateway"),
    ("doorline readers", "a running gateway"),
    ("doorline relay-guard", "does not end"),
    ("doorline report", "a gateway's state"),
    ("doorline restore", "a terminal; done by the tests of people"),
    ("doorline rules try", "a site with rules; tried by another test"),
    ("doorline run", "does not end"),
    ("doorline sim", "a running gateway"),
    ("doorline support", "a running gateway"),
    ("doorline time", "a machine's time service"),
    ("sudo", "root"),
    ("systemctl", "a unit that runs"),
];

/// What stands in for other programs of the examples.
const OTHERS: [(&str, &str); 3] = [
    ("man", "exec cat"),
    (
        "monitor-export",
        "echo 53-80-14-00-06-45-00-0E-E3-10-10-00-00-74-97-23-06-06-1B-88",
    ),
    ("scope-export", "echo \"$SCOPE\""),
];

fn help(path: &[String]) -> String {
    let output = Command::new(PROGRAM)
        .args(path)
        .arg("--help")
        .env("COLUMNS", "1000")
        .env("NO_COLOR", "1")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{path:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The lines of a section of a help text.
fn section<'a>(help: &'a str, heads: &[&str]) -> Vec<&'a str> {
    let lines = help.lines().skip_while(|line| !heads.contains(line)).skip(1);
    lines
        .take_while(|line| line.starts_with("  "))
        .map(str::trim)
        .collect()
}

/// Every example of a command and of those below it.
fn examples(path: &mut Vec<String>, all: &mut Vec<String>) {
    let help = help(path);
    all.extend(
        section(&help, &["Examples:", "Example:"])
            .into_iter()
            .map(str::to_owned),
    );
    for line in section(&help, &["Commands:"]) {
        let Some(name) = line.split_whitespace().next() else {
            continue;
        };
        if name != "help" {
            path.push(name.to_owned());
            examples(path, all);
            path.pop();
        }
    }
}

fn run(dir: &Path, example: &str) -> Output {
    let scope = if example.contains("clock-data") {
        "0001101010000010001111111100000"
    } else {
        "26:2f623ae"
    };
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("bash")
        .args([
            "-o",
            "pipefail",
            "-c",
            &example.replace("/etc/", &format!("{}/", dir.display())),
        ])
        .current_dir(dir)
        .env("PATH", format!("{}:{path}", dir.join("bin").display()))
        .env("SCOPE", scope)
        .stdin(Stdio::null())
        .output()
        .expect("it runs")
}

#[test]
fn every_example_of_the_help_works() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    for folder in ["bin", "doorline", "bash_completion.d"] {
        std::fs::create_dir(dir.join(folder)).expect("made");
    }
    std::os::unix::fs::symlink(PROGRAM, dir.join("bin/doorline")).expect("linked");
    std::os::unix::fs::symlink(root.join("config"), dir.join("config")).expect("linked");
    for (name, does) in OTHERS {
        use std::os::unix::fs::PermissionsExt as _;
        let file = dir.join("bin").join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{does}\n")).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("set");
    }
    let text = include_str!("../../config/examples/minimal.toml");
    for file in ["site.toml", "doorline/site.toml"] {
        std::fs::write(dir.join(file), text).expect("written");
    }
    let mut all = Vec::new();
    examples(&mut Vec::new(), &mut all);
    let (left_out, ours): (Vec<String>, Vec<String>) = all
        .into_iter()
        .partition(|example| LEFT_OUT.iter().any(|(words, _)| example.starts_with(words)));
    for (words, why) in LEFT_OUT {
        assert!(
            left_out.iter().any(|example| example.starts_with(words)),
            "no example begins with {words:?}, which is left out as it needs {why}"
        );
    }
    assert!(ours.len() > 25, "{ours:#?}");
    let mut bad = Vec::new();
    for example in ours {
        let output = run(dir, &example);
        if !output.status.success() {
            bad.push(format!(
                "{example}\n  {}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
