//! A real Home Assistant: headless, its MQTT integration set up as its own form does it, steered over its API.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::http::{self, Reply};
use crate::ports::Use;
use crate::process::Process;
use crate::rig::{Rig, until};

/// Longest wait for its start; on a busy machine its first one takes a while.
const START: Duration = Duration::from_secs(180);

/// Which Home Assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// One that knows device discovery, which came with 2024.11.
    Devices,
    /// One from before.
    Entities,
}

impl Edition {
    /// Where it is installed.
    const fn key(self) -> &'static str {
        match self {
            Self::Devices => "DOORLINE_HOME_ASSISTANT_DEVICES",
            Self::Entities => "DOORLINE_HOME_ASSISTANT",
        }
    }

    /// The discovery that is made for it, as the site file names it.
    #[must_use]
    pub const fn format(self) -> &'static str {
        match self {
            Self::Devices => "device",
            Self::Entities => "entities",
        }
    }
}

/// A running Home Assistant. Dropping it kills it.
#[derive(Debug)]
pub struct HomeAssistant {
    config: PathBuf,
    home: PathBuf,
    port: u16,
    process: Process,
    token: String,
}

impl HomeAssistant {
    /// Starts an empty one, makes its owner and its connection to the broker, and waits until it runs.
    ///
    /// # Errors
    /// If any of it fails.
    pub fn start(rig: &Rig, edition: Edition) -> anyhow::Result<Self> {
        Self::start_with(rig, edition, "", "[]\n")
    }

    /// The same with more of `configuration.yaml`, and with this `automations.yaml`.
    ///
    /// # Errors
    /// As [`HomeAssistant::start`].
    pub fn start_with(rig: &Rig, edition: Edition, more: &str, automations: &str) -> anyhow::Result<Self> {
        let key = edition.key();
        let home = std::env::var_os(key).with_context(|| format!("{key} is not set; see tests/run"))?;
        let home = PathBuf::from(home);
        let port = rig.port(Use::HomeAssistant);
        let config = rig.path("home-assistant");
        std::fs::create_dir_all(config.join(".storage"))?;
        std::fs::write(
            config.join("configuration.yaml"),
            format!(
                "homeassistant: {{name: peers, time_zone: UTC, unit_system: metric, latitude: 0, longitude: 0, \
                 elevation: 0}}\nhttp: {{server_host: 127.0.0.1, server_port: {port}}}\napi:\nconfig:\n\
                 automation: !include automations.yaml\nlogger: {{default: warning}}\n{more}"
            ),
        )?;
        std::fs::write(config.join("automations.yaml"), "[]\n")?;
        // the steps that would set up services on the internet count as done
        let done = json!({
            "version": 4, "minor_version": 1, "key": "onboarding",
            "data": { "done": ["core_config", "analytics", "integration"] },
        });
        std::fs::write(config.join(".storage/onboarding"), done.to_string())?;
        let mut hub = Self {
            process: Self::spawn(rig, &home, &config)?,
            config,
            home,
            port,
            token: String::new(),
        };
        hub.onboard()?;
        hub.runs()?;
        hub.connect(rig)?;
        // those that wait for messages can do so from here on
        std::fs::write(hub.config.join("automations.yaml"), automations)?;
        hub.post("/api/services/automation/reload", &json!({}))?;
        Ok(hub)
    }

    fn spawn(rig: &Rig, home: &Path, config: &Path) -> anyhow::Result<Process> {
        let python = home.join("bin/python");
        ensure!(python.exists(), "no Home Assistant in {}", home.display());
        let args = ["-m", "homeassistant", "--skip-pip", "-c"].map(OsStr::new);
        let args = args.into_iter().chain([config.as_os_str()]);
        Process::start(rig, "home-assistant", &python, args)
    }

    /// Makes the owner and takes a token, which survives restarts.
    fn onboard(&mut self) -> anyhow::Result<()> {
        let client = format!("http://127.0.0.1:{}/", self.port);
        let (process, port) = (&mut self.process, self.port);
        until(START, "Home Assistant's API", || {
            if let Some(status) = process.ended()? {
                anyhow::bail!("Home Assistant ended with {status}: {}", process.log());
            }
            let reply = http::request(port, "GET", "/api/onboarding", &[], None);
            Ok(reply.is_ok_and(|reply| reply.status == 200).then_some(()))
        })?;
        let owner = json!({
            "client_id": client, "name": "Peers", "username": "peers", "password": "peers-pass", "language": "en",
        });
        let made = self.post("/api/onboarding/users", &owner)?;
        let code = made.body["auth_code"]
            .as_str()
            .context("no code for the new owner")?;
        let form = format!(
            "grant_type=authorization_code&code={code}&client_id=http%3A%2F%2F127.0.0.1%3A{}%2F",
            self.port
        );
        let kind = "application/x-www-form-urlencoded";
        let reply = http::request(self.port, "POST", "/auth/token", &[], Some((kind, &form)))?;
        let token = reply.body["access_token"].as_str();
        self.token = token.with_context(|| format!("no token: {reply:?}"))?.to_owned();
        // it is written some time later, and a kill before that would take it away
        let auth = self.config.join(".storage/auth");
        until(Duration::from_secs(60), "the token on disk", || {
            let text = std::fs::read_to_string(&auth).unwrap_or_default();
            let kept: Value = serde_json::from_str(&text).unwrap_or_default();
            let tokens = kept["data"]["refresh_tokens"].as_array();
            Ok(tokens
                .is_some_and(|all| all.iter().any(|t| t["client_id"] == client.as_str()))
                .then_some(()))
        })
    }

    /// Waits until everything is set up.
    ///
    /// # Errors
    /// If it is not in time.
    pub fn runs(&mut self) -> anyhow::Result<()> {
        until(START, "Home Assistant to run", || {
            if let Some(status) = self.process.ended()? {
                anyhow::bail!("Home Assistant ended with {status}: {}", self.process.log());
            }
            let reply = self.get("/api/config");
            Ok(reply.is_ok_and(|r| r.body["state"] == "RUNNING").then_some(()))
        })
    }

    /// Fills in the form of the MQTT integration.
    fn connect(&self, rig: &Rig) -> anyhow::Result<()> {
        let flow = "/api/config/config_entries/flow";
        let begun = self.post(
            flow,
            &json!({ "handler": "mqtt", "show_advanced_options": false }),
        )?;
        let id = begun.body["flow_id"]
            .as_str()
            .context("no form of the MQTT integration")?;
        let form = json!({ "broker": "127.0.0.1", "port": rig.port(Use::Mqtt) });
        let done = self.post(&format!("{flow}/{id}"), &form)?;
        ensure!(done.body["type"] == "create_entry", "{done:?}");
        // written later, too
        let entries = self.config.join(".storage/core.config_entries");
        until(Duration::from_secs(60), "the MQTT integration on disk", || {
            let text = std::fs::read_to_string(&entries).unwrap_or_default();
            Ok(text.contains("\"mqtt\"").then_some(()))
        })
    }

    fn get(&self, path: &str) -> anyhow::Result<Reply> {
        http::request(self.port, "GET", path, &self.headers(), None)
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Reply> {
        let text = body.to_string();
        let body = Some(("application/json", text.as_str()));
        let reply = http::request(self.port, "POST", path, &self.headers(), body)?;
        ensure!(reply.status < 300, "{path}: {reply:?}");
        Ok(reply)
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        if self.token.is_empty() {
            return vec![];
        }
        vec![("Authorization", format!("Bearer {}", self.token))]
    }

    /// The state of an entity; `None` if there is no such entity, or no answer.
    #[must_use]
    pub fn state(&self, entity: &str) -> Option<String> {
        let reply = self.get(&format!("/api/states/{entity}")).ok()?;
        reply.body["state"].as_str().map(str::to_owned)
    }

    /// Waits until an entity is in a state.
    ///
    /// # Errors
    /// If it is not in time.
    pub fn shows(&self, entity: &str, state: &str, limit: Duration) -> anyhow::Result<()> {
        let mut last = None;
        until(limit, &format!("{entity} to be {state}"), || {
            last = self.state(entity);
            Ok((last.as_deref() == Some(state)).then_some(()))
        })
        .with_context(|| format!("it is {last:?}"))
    }

    /// All entities whose id holds `part`, with their states.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn entities(&self, part: &str) -> anyhow::Result<Vec<(String, String)>> {
        let reply = self.get("/api/states")?;
        let all = reply.body.as_array().context("no list of states")?;
        let word = |entity: &Value, key: &str| entity[key].as_str().unwrap_or_default().to_owned();
        Ok(all
            .iter()
            .map(|entity| (word(entity, "entity_id"), word(entity, "state")))
            .filter(|(id, _)| id.contains(part))
            .collect())
    }

    /// Waits until its registry of entities on disk, which it writes some time after a change, holds `part` or does not.
    ///
    /// # Errors
    /// If it is not in time.
    pub fn registers(&self, part: &str, is_there: bool) -> anyhow::Result<()> {
        let path = self.config.join(".storage/core.entity_registry");
        let what = format!("{part} in the registry: {is_there}");
        until(Duration::from_secs(120), &what, || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let kept: Value = serde_json::from_str(&text).unwrap_or_default();
            let Some(all) = kept["data"]["entities"].as_array() else {
                return Ok(None);
            };
            let named = |entity: &Value| entity["unique_id"].as_str().is_some_and(|id| id.contains(part));
            Ok((all.iter().any(named) == is_there).then_some(()))
        })
    }

    /// What a template gives.
    ///
    /// # Errors
    /// If it is not understood.
    pub fn template(&self, template: &str) -> anyhow::Result<String> {
        let reply = self.post("/api/template", &json!({ "template": template }))?;
        // the client reads what looks like a number as one
        Ok(reply
            .body
            .as_str()
            .map_or_else(|| reply.body.to_string(), str::to_owned))
    }

    /// Calls a service of an entity.
    ///
    /// # Errors
    /// If it is refused.
    pub fn call(&self, service: &str, entity: &str) -> anyhow::Result<()> {
        self.call_with(service, &json!({ "entity_id": entity }))
    }

    /// Calls a service with its data.
    ///
    /// # Errors
    /// If it is refused.
    pub fn call_with(&self, service: &str, data: &Value) -> anyhow::Result<()> {
        self.post(&format!("/api/services/{service}"), data)?;
        Ok(())
    }

    /// Fires an event, as an app does.
    ///
    /// # Errors
    /// If it is refused.
    pub fn fire(&self, event: &str, data: &Value) -> anyhow::Result<()> {
        self.post(&format!("/api/events/{event}"), data)?;
        Ok(())
    }

    /// Makes an automation that publishes on `topic` when it fires.
    ///
    /// # Errors
    /// If it is refused, or not there within 60 s.
    pub fn automation(&self, id: &str, trigger: &Value, topic: &str) -> anyhow::Result<()> {
        let publish =
            json!({ "service": "mqtt.publish", "data": { "topic": topic, "payload": "fired", "qos": 1 } });
        let automation = json!({
            "alias": id, "description": "", "mode": "queued", "max": 10,
            "trigger": [trigger], "condition": [], "action": [publish],
        });
        self.post(&format!("/api/config/automation/config/{id}"), &automation)?;
        self.shows(&format!("automation.{id}"), "on", Duration::from_secs(60))
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, on what it has kept, without waiting.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch(&mut self, rig: &Rig) -> anyhow::Result<()> {
        self.process = Self::spawn(rig, &self.home, &self.config)?;
        Ok(())
    }

    /// Starts it again and waits until it runs.
    ///
    /// # Errors
    /// If it does not come up in time.
    pub fn again(&mut self, rig: &Rig) -> anyhow::Result<()> {
        self.launch(rig)?;
        self.runs()
    }

    /// What it has written about MQTT, and the templates that read its messages, above the level of a notice.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let log = self.process.log();
        log.lines()
            .filter(|line| {
                let ours = ["components.mqtt", "helpers.template"];
                let loud = ["ERROR", "WARNING"];
                ours.iter().any(|part| line.contains(part)) && loud.iter().any(|part| line.contains(part))
            })
            .map(str::to_owned)
            .collect()
    }
}
