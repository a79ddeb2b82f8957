//! A telephone made of one UDP socket: it sees INVITEs when they come, and is busy or answers.
//!
//! It is not our SIP engine, so that nothing of what is measured measures itself.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use gateway_priority::Turn;

use crate::bench::boottime;
use crate::bench::rtp::Stream;

/// An INVITE that came.
#[derive(Debug)]
pub(crate) struct Rung {
    /// When, in nanoseconds of the boot clock.
    pub(crate) at: u64,
    /// User part of the request URI.
    pub(crate) user: String,
}

/// A telephone.
pub(crate) struct Phone {
    /// Calls that were answered and confirmed, with the user part that was dialled.
    pub(crate) answered: Receiver<(String, Stream)>,
    answers: Arc<AtomicBool>,
    /// Where it listens.
    pub(crate) port: u16,
    /// New calls.
    pub(crate) rung: Receiver<Rung>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Phone {
    /// Starts one on a free port of 127.0.0.1; it is busy.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let port = socket.local_addr()?.port();
        let (tell_rung, rung) = channel();
        let (tell_answered, answered) = channel();
        let (answers, stop) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let mut line = Line {
            answered: tell_answered,
            answers: Arc::clone(&answers),
            calls: BTreeMap::new(),
            port,
            rung: tell_rung,
            socket,
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("bench-phone".into())
            .spawn(move || {
                // it takes the time of what it receives: its own turn must not be what is measured
                let _ = Turn::Doors.take();
                let mut buffer = [0; 8192];
                while !stopped.load(Ordering::Relaxed) {
                    if let Ok((length, from)) = line.socket.recv_from(&mut buffer) {
                        let at = boottime();
                        line.message(at, &String::from_utf8_lossy(&buffer[..length]), from);
                    }
                }
            })?;
        Ok(Self {
            answered,
            answers,
            port,
            rung,
            stop,
            thread: Some(thread),
        })
    }

    /// From here on it answers, or is busy.
    pub(crate) fn answers(&self, answers: bool) {
        self.answers.store(answers, Ordering::Relaxed);
    }

    /// The next INVITE.
    pub(crate) fn next(&self) -> anyhow::Result<Rung> {
        self.rung
            .recv_timeout(Duration::from_secs(5))
            .context("no INVITE came within 5 s")
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A call that waits for its ACK, or is over: then the stream has gone to the listener.
struct Call {
    stream: Option<Stream>,
    user: String,
}

struct Line {
    answered: Sender<(String, Stream)>,
    answers: Arc<AtomicBool>,
    calls: BTreeMap<String, Call>,
    port: u16,
    rung: Sender<Rung>,
    socket: UdpSocket,
}

impl Line {
    fn message(&mut self, at: u64, text: &str, from: SocketAddr) {
        let id = header(text, "Call-ID").unwrap_or_default().to_owned();
        match text.split(' ').next().unwrap_or_default() {
            // a repeated INVITE finds its call and is left to the answer that is on its way
            "INVITE" if !self.calls.contains_key(&id) => {
                let user = user(text);
                let _ = self.rung.send(Rung {
                    at,
                    user: user.clone(),
                });
                let stream = self
                    .answers
                    .load(Ordering::Relaxed)
                    .then(|| Stream::answering(text))
                    .flatten();
                let answer = stream.as_ref().map_or_else(
                    || response(text, "486 Busy Here", self.port, ""),
                    |stream| response(text, "200 OK", self.port, &stream.description()),
                );
                self.calls.insert(id, Call { stream, user });
                let _ = self.socket.send_to(answer.as_bytes(), from);
            }
            "ACK" => {
                if let Some(call) = self.calls.get_mut(&id)
                    && let Some(stream) = call.stream.take()
                {
                    let _ = self.answered.send((call.user.clone(), stream));
                }
            }
            "BYE" | "CANCEL" | "OPTIONS" => {
                let answer = response(text, "200 OK", self.port, "");
                let _ = self.socket.send_to(answer.as_bytes(), from);
            }
            _ => {}
        }
    }
}

/// First value of a header.
pub(crate) fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn user(text: &str) -> String {
    let uri = text.split(' ').nth(1).unwrap_or_default();
    let user = uri.split_once(':').and_then(|(_, rest)| rest.split_once('@'));
    user.map_or_else(String::new, |(user, _)| user.to_owned())
}

/// A response to a request; a body is a session description.
pub(crate) fn response(request: &str, status: &str, port: u16, body: &str) -> String {
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for line in request.lines().take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "to" if !line.contains(";tag=") => answer += &format!("{line};tag=bench\r\n"),
            "via" | "from" | "to" | "call-id" | "cseq" => answer += &format!("{line}\r\n"),
            _ => {}
        }
    }
    if !body.is_empty() {
        answer += &format!("Contact: <sip:bench@127.0.0.1:{port}>\r\nContent-Type: application/sdp\r\n");
    }
    answer += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:k3@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKa\r\n\
        From: <sip:a@b>;tag=1\r\nTo: <sip:k3@127.0.0.1>\r\nCall-ID: x@y\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\r\n";

    #[test]
    fn a_response_repeats_what_names_the_transaction() {
        assert_eq!(
            response(INVITE, "486 Busy Here", 5060, ""),
            "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:k3@127.0.0.1>;tag=bench\r\nCall-ID: x@y\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(user(INVITE), "k3");
        assert_eq!(header(INVITE, "call-id"), Some("x@y"));
    }
}
