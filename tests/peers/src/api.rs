//! A small HTTP client: one request, one connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::ports::Use;
use crate::rig::{Rig, until};

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Body, if it is JSON; else its text.
    pub body: Value,
    /// Cookie that was set, `NAME=VALUE`.
    pub cookie: Option<String>,
    /// Status code.
    pub status: u16,
}

/// The gateway's API on loopback.
#[derive(Clone, Debug)]
pub struct Api {
    cookie: Option<String>,
    port: u16,
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
        let mut stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("no page and API there")?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let origin = format!("http://127.0.0.1:{}", self.port);
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nOrigin: {origin}\r\nConnection: close\r\n",
            self.port
        );
        if let Some(cookie) = &self.cookie {
            head += &format!("Cookie: {cookie}\r\n");
        }
        if let Some(body) = body {
            head += &format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            );
        }
        stream.write_all(format!("{head}\r\n{}", body.unwrap_or_default()).as_bytes())?;
        let mut answer = vec![];
        stream.read_to_end(&mut answer)?;
        read(&answer).with_context(|| format!("{method} {path}"))
    }
}

fn read(answer: &[u8]) -> anyhow::Result<Reply> {
    let end = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .context("no answer")?;
    let head = std::str::from_utf8(&answer[..end])?;
    let field = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .context("no status")?;
    let rest = &answer[end + 4..];
    let chunked = field("transfer-encoding").is_some_and(|t| t.contains("chunked"));
    let body = if chunked { chunks(rest)? } else { rest.to_vec() };
    let text = String::from_utf8_lossy(&body).into_owned();
    Ok(Reply {
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        cookie: field("set-cookie").and_then(|c| c.split(';').next().map(str::to_owned)),
        status,
    })
}

fn chunks(mut rest: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut body = vec![];
    loop {
        let line = rest
            .windows(2)
            .position(|w| w == b"\r\n")
            .context("a chunk without length")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line])?.trim(), 16)?;
        if length == 0 {
            return Ok(body);
        }
        body.extend(rest.get(line + 2..line + 2 + length).context("a cut chunk")?);
        rest = rest.get(line + 4 + length..).context("a cut chunk")?;
    }
}
