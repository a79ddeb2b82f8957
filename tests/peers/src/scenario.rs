//! The scenarios of `config/examples/scenarios`, as they are shipped: the test has virtual devices, a PBX and a broker of
//! its own, and nothing else is another.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, ensure};

use crate::ports::Use;
use crate::rig::Rig;

/// A scenario's folder.
#[derive(Debug)]
pub struct Scenario(PathBuf);

impl Scenario {
    /// The scenario of this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let all = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/examples/scenarios");
        Self(all.join(name))
    }

    /// A file of it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn file(&self, name: &str) -> anyhow::Result<String> {
        let path = self.0.join(name);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Its dial plan, with its context among those of the test's endpoints.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn plan(&self, context: &str) -> anyhow::Result<String> {
        let plan = self.file("extensions.conf")?;
        ensure!(
            plan.contains(&format!("[{context}]")),
            "no context {context} in {plan}"
        );
        Ok(format!("[house](+)\ninclude => {context}\n{plan}"))
    }

    /// Its site file. What is wired is virtual, the PBX and the broker are those of the rig, and each of `changes` is
    /// made where its first text stands.
    ///
    /// # Errors
    /// If it cannot be read, or has not what is changed.
    pub fn site(&self, rig: &Rig, changes: &[(&str, &str)]) -> anyhow::Result<String> {
        let text = self.file("site.toml")?;
        let mut site = String::new();
        let mut wired = false;
        let mut user = "";
        for line in text.lines() {
            let table = line.starts_with('[');
            if table || line.is_empty() {
                wired = false;
            }
            let real = [".gpio]", ".contact]", ".wiegand]"]
                .into_iter()
                .find(|end| line.ends_with(end));
            if let Some(real) = real.filter(|_| table && !line.starts_with("[doors")) {
                wired = true;
                writeln!(site, "{}", line.replace(real, ".virtual]"))?;
            } else if wired {
                continue;
            } else if let Some(name) = line.strip_prefix("user = ") {
                user = name.trim_matches('"');
                writeln!(site, "{line}")?;
            } else {
                site += &self.line(rig, line, user);
            }
        }
        let (low, high) = rig.ports.gateway_rtp();
        writeln!(
            site,
            "[sip]\nbind = \"127.0.0.1\"\nudp-port = {sip}\ntcp-port = {sip}\nrtp-ports = [{low}, {high}]",
            sip = rig.port(Use::Sip),
        )?;
        for (from, to) in changes {
            ensure!(site.contains(from), "{from} is not in {site}");
            site = site.replace(from, to);
        }
        Ok(site)
    }

    /// A line of it, as the test has it.
    fn line(&self, rig: &Rig, line: &str, user: &str) -> String {
        match line {
            "[site]" => format!(
                "[site]\nstate-dir = {:?}\nrun-dir = {:?}\n",
                rig.path("state"),
                rig.path("run")
            ),
            "mode = \"external\"" => "mode = \"spawn\"\n".to_owned(),
            "domain = \"pbx.example\"" => {
                format!(
                    "domain = \"127.0.0.1\"\nport = {}\nexpires-s = 60\n",
                    rig.port(Use::PbxSip)
                )
            }
            "password-file = \"pbx.secret\"" => format!("password = \"secret-{user}\"\n"),
            "broker = \"mqtt://broker.example\"" => {
                format!("broker = \"mqtt://127.0.0.1:{}\"\n", rig.port(Use::Mqtt))
            }
            "password-file = \"mqtt.secret\"" => "password = \"any\"\n".to_owned(),
            _ => format!("{line}\n"),
        }
    }
}
