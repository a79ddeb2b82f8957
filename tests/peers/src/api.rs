//! A person at the gateway's API.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::http::{self, Reply};
use crate::ports::Use;
use crate::rig::{Rig, until};

/// The gateway's API on loopback.
#[derive(Clone, Debug)]
pub struct Api {
    cookie: Option<String>,
    port: u16,
    token: Option<String>,
}

/// Name and password of the first person.
const USER: (&str, &str) = ("warden", "a long enough pass phrase 7");

impl Api {
    /// A client that nobody has logged in.
    #[must_use]
    pub const fn new(rig: &Rig) -> Self {
        Self {
            cookie: None,
            port: rig.port(Use::Http),
            token: None,
        }
    }

    /// Uses the one-time code that the gateway has printed, makes the first person, and logs in.
    ///
    /// # Errors
    /// If any of it is refused.
    pub fn set_up(rig: &Rig, gateway: &Gateway) -> anyhow::Result<Self> {
        let code = until(Duration::from_secs(5), "the setup code", || {
            let log = gateway.log();
            let line = log.lines().find(|l| l.starts_with("setup code for the page"));
            Ok(line.and_then(|l| l.rsplit(' ').next()).map(str::to_owned))
        })?;
        let mut api = Self::new(rig);
        let (user, password) = USER;
        let body = json!({ "code": code, "user": user, "password": password });
        let reply = api.post("/api/v1/setup", &body)?;
        ensure!((200..300).contains(&reply.status), "setup: {reply:?}");
        api.log_in()?;
        Ok(api)
    }

    /// Name and password of the person that [`Api::set_up`] makes.
    #[must_use]
    pub const fn person() -> (&'static str, &'static str) {
        USER
    }

    /// Logs in.
    ///
    /// # Errors
    /// If it is refused.
    pub fn log_in(&mut self) -> anyhow::Result<()> {
        let (user, password) = USER;
        let reply = self.post("/api/v1/login", &json!({ "user": user, "password": password }))?;
        ensure!((200..300).contains(&reply.status), "login: {reply:?}");
        self.cookie = Some(reply.cookie.context("login sets a cookie")?);
        Ok(())
    }

    /// Logs in as somebody else. The answer is given whatever it is; only a good one changes who this is.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn log_in_as(&mut self, user: &str, password: &str) -> anyhow::Result<Reply> {
        let reply = self.post("/api/v1/login", &json!({ "user": user, "password": password }))?;
        if reply.status == 200 {
            self.cookie.clone_from(&reply.cookie);
        }
        Ok(reply)
    }

    /// A program with this token, or with none, instead of a person.
    #[must_use]
    pub fn as_token(&self, token: Option<&str>) -> Self {
        Self {
            cookie: None,
            port: self.port,
            token: token.map(str::to_owned),
        }
    }

    /// Any method, with a JSON body or none.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Reply> {
        self.request(method, path, body.map(Value::to_string).as_deref())
    }

    /// GET.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn get(&self, path: &str) -> anyhow::Result<Reply> {
        self.request("GET", path, None)
    }

    /// POST with a JSON body.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Reply> {
        self.request("POST", path, Some(&body.to_string()))
    }

    /// The address of the page.
    #[must_use]
    pub fn page(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn request(&self, method: &str, path: &str, body: Option<&str>) -> anyhow::Result<Reply> {
        let mut headers = vec![("Origin", format!("http://127.0.0.1:{}", self.port))];
        headers.extend(self.cookie.clone().map(|cookie| ("Cookie", cookie)));
        let token = self.token.as_ref();
        headers.extend(token.map(|token| ("Authorization", format!("Bearer {token}"))));
        let body = body.map(|text| ("application/json", text));
        http::request(self.port, method, path, &headers, body)
    }
}
