//! `doorline access`: asks a running gateway who may open what.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::cli::{Access, AccessAct, Ask, exit};
use crate::commands::{out, site};
use crate::control;
use crate::run::people::time_of;

/// Runs one act.
pub(super) fn access(args: &Access) -> anyhow::Result<u8> {
    let config = site::running(&args.site.config)?;
    let run_dir = &config.site.run_dir;
    match &args.act {
        AccessAct::Diff { file } => {
            // a file with faults alters nothing, and its faults are told as `check` tells them
            site::load(file)?;
            let file = std::path::absolute(file)?;
            let answer = control::ask(
                run_dir,
                &json!({ "act": "access-diff", "file": file.display().to_string() }),
            )?;
            let lines = answer.as_array().map(Vec::as_slice).unwrap_or_default();
            for line in lines.iter().filter_map(Value::as_str) {
                writeln!(out(), "{line}")?;
            }
            if lines.is_empty() {
                writeln!(
                    out(),
                    "nobody gains or loses anything, and nothing else that bears on it changes"
                )?;
            }
            Ok(exit::OK)
        }
        AccessAct::Explain(ask) => {
            let answer = control::ask(run_dir, &request(ask, &config)?)?;
            let field = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
            let allowed = answer["allowed"] == true;
            let word = if allowed { "opens" } else { "does not open" };
            writeln!(out(), "{} {word}: {}", ask.door, field("rule"))?;
            writeln!(out(), "who: {}", field("subject"))?;
            if let Some(at) = answer["changes"].as_str() {
                writeln!(out(), "the schedule changes at {at}")?;
            }
            Ok(if allowed { exit::OK } else { exit::REFUSED })
        }
    }
}

/// The question; `run/people.rs` is its reader.
fn request(ask: &Ask, config: &gateway_config::Config) -> anyhow::Result<Value> {
    let at = match &ask.at {
        None => None,
        Some(text) => Some(time_of(text, config)?.to_string()),
    };
    Ok(json!({
        "act": "access-explain",
        "at": at,
        "button": ask.button,
        "caller": ask.caller,
        "card": ask.card,
        "code": ask.code,
        "door": ask.door,
        "hold": ask.hold,
        "in-call": ask.in_call,
        "pin": ask.pin,
        "reader": ask.reader,
    }))
}
