//! `doorline support`: what is known of a running gateway, and captures, through its control socket.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cli::{CaptureAct, Support, SupportAct, exit};
use crate::commands::{out, site};
use crate::control;

/// Runs one act.
pub(super) fn support(args: &Support) -> anyhow::Result<u8> {
    let run_dir = site::running(&args.site.config)?.site.run_dir.clone();
    match &args.act {
        SupportAct::Bundle { out: to } => save(&run_dir, &json!({ "act": "support-bundle" }), to)?,
        SupportAct::Capture {
            act: CaptureAct::Begin { seconds },
        } => {
            control::ask(
                &run_dir,
                &json!({ "act": "support-capture-begin", "seconds": seconds }),
            )?;
            writeln!(
                out(),
                "it captures for {seconds} s; call, then: doorline support capture save --out FILE"
            )?;
        }
        SupportAct::Capture { act: CaptureAct::End } => {
            let state = control::ask(&run_dir, &json!({ "act": "support-capture-end" }))?;
            let full = if state["full"] == true {
                "; it was full"
            } else {
                ""
            };
            writeln!(
                out(),
                "{} packets, {} bytes{full}",
                state["packets"],
                state["bytes"]
            )?;
        }
        SupportAct::Capture {
            act: CaptureAct::Save { out: to },
        } => save(&run_dir, &json!({ "act": "support-capture-file" }), to)?,
    }
    Ok(exit::OK)
}

/// Asks for a file and writes it where nothing is yet, for its owner only.
fn save(run_dir: &Path, request: &Value, to: &Path) -> anyhow::Result<()> {
    let answer = control::ask(run_dir, request)?;
    let bytes = STANDARD
        .decode(answer.as_str().unwrap_or_default())
        .context("the gateway's answer is no file; is `doorline` of another version?")?;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to);
    let mut file = file.with_context(|| format!("{} cannot be made", to.display()))?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("{} cannot be written", to.display()))?;
    writeln!(
        out(),
        "{}: {} bytes; it tells of people, so keep it safe",
        to.display(),
        bytes.len()
    )?;
    Ok(())
}
