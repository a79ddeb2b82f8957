//! Clients of the HTTP API that others wrote: schemathesis, and what openapi-python-client makes of our document.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, ensure};

use crate::mosquitto::Message;
use crate::ports::Use;
use crate::rig::Rig;

/// Programs in the folder that `DOORLINE_API_CLIENTS` names.
#[derive(Debug)]
pub struct ApiClients {
    bin: PathBuf,
    url: String,
}

/// A token, and what it may do.
#[derive(Clone, Copy, Debug)]
pub struct TokenOf<'a> {
    /// Its doors, with commas; all if it is empty.
    pub doors: &'a str,
    /// Its scopes, with commas.
    pub scopes: &'a str,
    /// The token.
    pub token: &'a str,
}

impl ApiClients {
    /// For the gateway of this rig.
    ///
    /// # Errors
    /// If they are not installed.
    pub fn new(rig: &Rig) -> anyhow::Result<Self> {
        let key = "DOORLINE_API_CLIENTS";
        let home = std::env::var_os(key).with_context(|| format!("{key} is not set; see tests/run"))?;
        Ok(Self {
            bin: PathBuf::from(home).join("bin"),
            url: format!("http://127.0.0.1:{}", rig.port(Use::Http)),
        })
    }

    /// Where the gateway is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn program(&self, rig: &Rig, name: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&path));
        let mut program = Command::new(self.bin.join(name));
        program
            .current_dir(rig.dir())
            .env("PATH", std::env::join_paths(path).unwrap_or_default())
            .env("NO_COLOR", "1")
            .env("COLUMNS", "160")
            .stdin(Stdio::null());
        program
    }

    /// Has schemathesis try out the document that the gateway serves, as the holders of these tokens, a
    /// request each. Of a single token everything is allowed.
    ///
    /// # Errors
    /// If it cannot be run. What it found is in its output.
    pub fn schemathesis(&self, rig: &Rig, tokens: &[TokenOf<'_>], args: &[&str]) -> anyhow::Result<Output> {
        let hooks = concat!(env!("CARGO_MANIFEST_DIR"), "/schemathesis-hooks.py");
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/schemathesis.toml");
        let (lines, header) = match tokens {
            [one] => (
                vec![],
                vec![
                    "--header".to_owned(),
                    format!("Authorization: Bearer {}", one.token),
                ],
            ),
            many => {
                let line = |of: &TokenOf<'_>| format!("{} {} {}", of.token, of.scopes, of.doors);
                // who has none is refused, which another test looks at
                let args = ["--exclude-checks", "ignored_auth"].map(str::to_owned);
                (many.iter().map(line).collect::<Vec<_>>(), args.to_vec())
            }
        };
        let out = self
            .program(rig, "schemathesis")
            .env("SCHEMATHESIS_HOOKS", hooks)
            .env("DOORLINE_TOKENS", lines.join("\n"))
            .args(["--config-file", config, "run"])
            .arg(format!("{}/api/v1/openapi.json", self.url))
            .args(header)
            .args(args)
            .output()?;
        let text = [out.stdout.as_slice(), &out.stderr].concat();
        std::fs::write(rig.path("schemathesis.log"), text)?;
        Ok(out)
    }

    /// Compares messages with the AsyncAPI document; `channels` are those that must have been seen.
    ///
    /// # Errors
    /// What does not fit.
    pub fn asyncapi(
        &self,
        rig: &Rig,
        document: &str,
        messages: &[Message],
        channels: &[&str],
    ) -> anyhow::Result<String> {
        let (file, list) = (rig.path("asyncapi.json"), rig.path("messages.jsonl"));
        std::fs::write(&file, document)?;
        let line =
            |m: &Message| serde_json::json!({ "topic": m.topic, "payload": m.payload }).to_string() + "\n";
        std::fs::write(&list, messages.iter().map(line).collect::<String>())?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/asyncapi.py");
        let out = self
            .program(rig, "python")
            .arg(script)
            .args([&file, &list])
            .args(channels)
            .output()?;
        let said = [out.stdout.as_slice(), &out.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        ensure!(out.status.success(), "{said}");
        Ok(said)
    }

    /// Has openapi-python-client make a client of the document that the gateway serves.
    ///
    /// # Errors
    /// If it makes none, or leaves something of the document out.
    pub fn generate(&self, rig: &Rig) -> anyhow::Result<()> {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/generated-client.yaml");
        let out = self
            .program(rig, "openapi-python-client")
            .args(["generate", "--meta", "none", "--overwrite", "--config", config])
            .args(["--url", &format!("{}/api/v1/openapi.json", self.url)])
            .args(["--output-path", &rig.path("client").display().to_string()])
            .output()?;
        let said = [out.stdout.as_slice(), &out.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(out.status.success(), "{said}");
        ensure!(!said.to_lowercase().contains("warning"), "{said}");
        Ok(())
    }

    /// Runs a program of ours with what was made.
    ///
    /// # Errors
    /// If it fails.
    pub fn generated(&self, rig: &Rig, token: &str, door: &str) -> anyhow::Result<String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/generated-client.py");
        let out = self
            .program(rig, "python")
            .arg(script)
            .arg(rig.dir())
            .args([&self.url, token, door])
            .output()?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{said}");
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }
}
