//! A registrar that says yes to everyone, over UDP or TLS, and notes when it was asked.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::Context;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::bench::boottime;
use crate::bench::phone::{header, response};

/// Longest request that is read.
const MESSAGE: usize = 16 * 1024;

/// A REGISTER that came.
#[derive(Debug)]
pub(crate) struct Registered {
    /// When, in nanoseconds of the boot clock.
    pub(crate) at: u64,
    /// False if it ended a registration.
    pub(crate) begins: bool,
    /// Its address of record.
    pub(crate) who: String,
}

/// A running registrar; its threads end with the process.
pub(crate) struct Registrar {
    /// Where it listens on 127.0.0.1.
    pub(crate) port: u16,
    /// Everything it was asked.
    pub(crate) seen: Receiver<Registered>,
}

impl Registrar {
    /// Over UDP.
    pub(crate) fn udp() -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = socket.local_addr()?.port();
        let (tell, seen) = channel();
        std::thread::Builder::new()
            .name("bench-registrar".into())
            .spawn(move || {
                let mut buffer = [0; MESSAGE];
                while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..length]);
                    if let Some(answer) = serve(&text, port, &tell) {
                        let _ = socket.send_to(answer.as_bytes(), from);
                    }
                }
            })?;
        Ok(Self { port, seen })
    }

    /// Over TLS, with a certificate made on the spot; gives the file that a client must trust.
    pub(crate) fn tls(dir: &Path) -> anyhow::Result<(Self, PathBuf)> {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        let file = dir.join("registrar.pem");
        std::fs::write(&file, made.cert.pem())?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .context("the registrar's certificate")?;
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let (tell, seen) = channel();
        std::thread::Builder::new()
            .name("bench-registrar".into())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (config, tell) = (Arc::clone(&config), tell.clone());
                    // a connection that breaks is the client's business; the figures show it
                    let _ =
                        std::thread::Builder::new().spawn(move || connection(stream, config, port, &tell));
                }
            })?;
        Ok((Self { port, seen }, file))
    }

    /// Waits until `count` different addresses of record were registered.
    pub(crate) fn wait(&self, count: usize, limit: Duration) -> anyhow::Result<()> {
        let mut who = std::collections::BTreeSet::new();
        let end = std::time::Instant::now() + limit;
        while who.len() < count {
            let left = end.saturating_duration_since(std::time::Instant::now());
            let asked = self
                .seen
                .recv_timeout(left)
                .with_context(|| format!("{} of {count} accounts registered within {limit:?}", who.len()))?;
            if asked.begins {
                who.insert(asked.who);
            }
        }
        Ok(())
    }
}

fn connection(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    port: u16,
    tell: &Sender<Registered>,
) -> anyhow::Result<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, stream);
    let mut text = String::new();
    let mut buffer = [0; MESSAGE];
    loop {
        let length = stream.read(&mut buffer)?;
        anyhow::ensure!(length > 0 && text.len() < MESSAGE, "the connection ended");
        text += &String::from_utf8_lossy(&buffer[..length]);
        // keep-alives of RFC 5626 §4.4.1 are asked and answered between requests
        while text.starts_with("\r\n\r\n") {
            text.drain(..4);
            stream.write_all(b"\r\n")?;
        }
        // none of what an idle gateway sends has a body
        while let Some(end) = text.find("\r\n\r\n") {
            let request: String = text.drain(..end + 4).collect();
            if let Some(answer) = serve(&request, port, tell) {
                stream.write_all(answer.as_bytes())?;
            }
        }
    }
}

/// The answer to a request, if it is one.
fn serve(text: &str, port: u16, tell: &Sender<Registered>) -> Option<String> {
    let at = boottime();
    if text.starts_with("OPTIONS ") {
        return Some(response(text, "200 OK", port, ""));
    }
    if !text.starts_with("REGISTER ") {
        return None;
    }
    let contact = header(text, "Contact").unwrap_or_default();
    let ends = header(text, "Expires") == Some("0") || contact.contains("expires=0");
    let who = header(text, "To").unwrap_or_default().to_owned();
    let _ = tell.send(Registered {
        at,
        begins: !ends,
        who,
    });
    let expires = if ends { "0" } else { "300" };
    // the contact may already carry parameters of its own; the last expires is the registrar's
    let bound = contact.split(";expires=").next().unwrap_or_default();
    let answer = response(text, "200 OK", port, "");
    Some(answer.replacen(
        "Content-Length",
        &format!("Contact: {bound};expires={expires}\r\nContent-Length"),
        1,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_granted_for_300_s_and_noted() {
        let (tell, seen) = channel();
        let request = "REGISTER sip:h SIP/2.0\r\nVia: v\r\nTo: <sip:1@h>\r\nFrom: f\r\nCall-ID: i\r\nCSeq: 1 REGISTER\r\n\
            Contact: <sip:a@b>;expires=60\r\n\r\n";
        let answer = serve(request, 5060, &tell).expect("an answer");
        assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
        assert!(answer.contains("Contact: <sip:a@b>;expires=300\r\n"), "{answer}");
        let noted = seen.try_recv().expect("noted");
        assert!(noted.begins && noted.who == "<sip:1@h>");
        assert!(serve("SIP/2.0 200 OK\r\n\r\n", 5060, &tell).is_none());
    }
}
