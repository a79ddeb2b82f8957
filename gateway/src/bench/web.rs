//! A program at the gateway's API: plain HTTP/1.1 on loopback, one connection, one request at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::bench::child::Child;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest wait for the setup code.
const SETUP: Duration = Duration::from_secs(10);
/// The first person of a page that is measured.
const USER: &str = "bench";
const PASSWORD: &str = "a long pass phrase of the bench 1";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    cookie: Option<String>,
    pub(crate) status: u16,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Web {
    port: u16,
    stream: BufReader<TcpStream>,
    token: Option<String>,
}

impl Web {
    /// Makes the first person of a new gateway and a token that may do everything.
    pub(crate) fn set_up(child: &Child, port: u16) -> anyhow::Result<Self> {
        let mut web = Self::connect(port, None)?;
        let code = setup_code(child)?;
        let setup = json!({ "code": code, "user": USER, "password": PASSWORD });
        web.post("/api/v1/setup", &setup, None)?;
        let login = web.post(
            "/api/v1/login",
            &json!({ "user": USER, "password": PASSWORD }),
            None,
        )?;
        let token = json!({ "name": "bench", "scopes": ["read", "open", "operate", "admin"] });
        let made = web.post("/api/v1/tokens", &token, login.cookie.as_deref())?;
        let made: Value = serde_json::from_slice(&made.body)?;
        let token = made.get("token").and_then(Value::as_str);
        web.token = Some(token.with_context(|| format!("no token in {made}"))?.to_owned());
        Ok(web)
    }

    fn connect(port: u16, token: Option<String>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        Ok(Self {
            port,
            stream: BufReader::new(stream),
            token,
        })
    }

    /// Another connection of the same program.
    pub(crate) fn again(&self) -> anyhow::Result<Self> {
        Self::connect(self.port, self.token.clone())
    }

    /// GET.
    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.send("GET", path, "", None)?;
        self.answer(path)
    }

    /// POST of JSON.
    pub(crate) fn post(&mut self, path: &str, body: &Value, cookie: Option<&str>) -> anyhow::Result<Answer> {
        self.send("POST", path, &body.to_string(), cookie)?;
        self.answer(path)
    }

    /// A stream of server-sent events: its head is read, the rest is what comes.
    pub(crate) fn stream(mut self, path: &str) -> anyhow::Result<TcpStream> {
        self.send("GET", path, "", None)?;
        let (status, _, _) = self.head()?;
        ensure!(status == 200, "{path} answers {status}");
        // an event that came with the head would be lost: the first comes with the next sign of life at the earliest
        let rest = self.stream.buffer().len();
        ensure!(
            rest < 64,
            "{path} sent {rest} bytes with its head, which would be missing"
        );
        Ok(self.stream.into_inner())
    }

    fn send(&mut self, method: &str, path: &str, body: &str, cookie: Option<&str>) -> anyhow::Result<()> {
        let port = self.port;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        );
        if let Some(cookie) = cookie {
            head += &format!("Cookie: {cookie}\r\n");
        }
        if let Some(token) = &self.token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        if !body.is_empty() {
            head += &format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            );
        }
        let text = head + "\r\n" + body;
        Ok(self.stream.get_mut().write_all(text.as_bytes())?)
    }

    /// Status, length of the body, and the cookie that is set.
    fn head(&mut self) -> anyhow::Result<(u16, usize, Option<String>)> {
        let (mut status, mut length, mut cookie) = (None, 0, None);
        loop {
            let mut line = String::new();
            ensure!(
                self.stream.read_line(&mut line)? > 0,
                "the gateway closed the connection"
            );
            let line = line.trim_end();
            if line.is_empty() {
                return Ok((status.context("no status line")?, length, cookie));
            }
            if status.is_none() {
                status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
            } else if let Some((name, value)) = line.split_once(':') {
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.trim().parse()?,
                    "set-cookie" => cookie = value.trim().split(';').next().map(str::to_owned),
                    _ => {}
                }
            }
        }
    }

    fn answer(&mut self, path: &str) -> anyhow::Result<Answer> {
        let (status, length, cookie) = self.head()?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        if !(200..300).contains(&status) {
            bail!("{path} answers {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(Answer { body, cookie, status })
    }
}

fn setup_code(child: &Child) -> anyhow::Result<String> {
    let end = Instant::now() + SETUP;
    loop {
        let log = child.whole_log();
        let line = log
            .lines()
            .find(|line| line.starts_with("setup code for the page"));
        if let Some(code) = line.and_then(|line| line.rsplit(' ').next()) {
            return Ok(code.to_owned());
        }
        ensure!(Instant::now() < end, "no setup code came: {}", child.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}
