//! A small HTTP client: one request, one connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

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

/// Asks a server on 127.0.0.1; `body` has its type and its text.
pub(crate) fn request(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: Option<(&str, &str)>,
) -> anyhow::Result<Reply> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("nobody serves there")?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some((kind, text)) = body {
        head += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", text.len());
    }
    let text = body.map_or("", |(_, text)| text);
    stream.write_all(format!("{head}\r\n{text}").as_bytes())?;
    let mut answer = vec![];
    stream.read_to_end(&mut answer)?;
    read(&answer).with_context(|| format!("{method} {path}"))
}

/// Sends a POST without a body to a server on 127.0.0.1, with these headers.
///
/// # Errors
/// If nobody serves there, or the answer is none.
pub fn post(port: u16, path: &str, headers: &[(&str, String)]) -> anyhow::Result<Reply> {
    request(port, "POST", path, headers, Some(("text/plain", "")))
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
