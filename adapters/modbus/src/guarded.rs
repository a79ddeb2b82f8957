//! Inputs on a line that the relay guard has: it reads them for the gateway, between its own orders.
//!
//! A line has one master, and the one that opens must not wait for a process that may hang. So the guard keeps the line, and answers
//! at a socket what is read there. It takes nothing else.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use adapter_api::local::{line, listen};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::bus::{Bus, BusError};
use crate::pdu::Reply;
use crate::reading::{Answer, Ask};
use crate::word::{self, LONGEST};

/// The gateway, and one that is about to end or to begin.
const CONNECTIONS: usize = 2;
/// Before the socket is tried again, or the next connection is taken when the system gives none.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest time for the guard's answer: longer than it can wait for a module.
const LIMIT: Duration = Duration::from_secs(4);

/// Reads inputs of `bus` for whoever of our own user asks at the socket `path`. It never ends by itself.
pub async fn serve(bus: Bus, path: PathBuf) {
    loop {
        match listen(&path) {
            Ok((listener, owner)) => accept(&bus, &listener, owner).await,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "inputs of this line cannot be read");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn accept(bus: &Bus, listener: &UnixListener, owner: u32) {
    // they end with this task
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => {}
            next = listener.accept(), if open.len() < CONNECTIONS => {
                let stream = match next {
                    Ok((stream, _)) => stream,
                    // too many files are open, as it were: that passes
                    Err(error) => {
                        tracing::warn!(%error, "nobody can be taken at the socket of a line's inputs");
                        sleep(PAUSE).await;
                        continue;
                    }
                };
                match stream.peer_cred() {
                    Ok(peer) if peer.uid() == owner => {
                        open.spawn(attend(bus.clone(), stream));
                    }
                    Ok(_) | Err(_) => tracing::warn!("a connection of another user was closed"),
                }
            }
        }
    }
}

/// Answers one question after the other, until there is none, or what came is none.
async fn attend(bus: Bus, mut stream: UnixStream) {
    while let Ok(Some(line)) = line(&mut stream, LONGEST).await {
        let Some(ask) = word::parse_question(&line) else {
            tracing::warn!(line, "this is no question for an input");
            return;
        };
        let said = word::answer(&read(&bus, ask).await);
        if stream.write_all(said.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads at the line itself.
pub(crate) async fn read(bus: &Bus, ask: Ask) -> Answer {
    if let Err(error) = bus.open().await {
        return Answer::None(error.text());
    }
    match bus.look(ask.unit, ask.request()).await {
        Ok(Reply::Coils(levels)) => Answer::Levels(levels),
        Ok(Reply::Registers(_) | Reply::Written) => Answer::None("the answer holds no levels".to_owned()),
        Err(BusError::Late { .. }) => Answer::Later,
        Err(error) => Answer::None(error.text()),
    }
}

/// The gateway's end of the socket.
pub(crate) struct Asker {
    path: PathBuf,
    stream: Option<UnixStream>,
}

impl Asker {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            stream: None,
        }
    }

    /// Has the guard read.
    pub(crate) async fn ask(&mut self, ask: Ask) -> Answer {
        // given up half-way, the next answer would be that to another question
        let stream = self.stream.take();
        match timeout(LIMIT, exchange(stream, &self.path, ask)).await {
            Ok(Ok((stream, said))) => {
                self.stream = Some(stream);
                said
            }
            Ok(Err(error)) => Answer::None(format!(
                "the relay guard, which has the line, cannot be reached: {error}"
            )),
            Err(_) => Answer::None("the relay guard, which has the line, does not answer".to_owned()),
        }
    }
}

async fn exchange(stream: Option<UnixStream>, path: &Path, ask: Ask) -> io::Result<(UnixStream, Answer)> {
    let mut stream = match stream {
        Some(stream) => stream,
        None => UnixStream::connect(path).await?,
    };
    stream.write_all(word::question(ask).as_bytes()).await?;
    let said = line(&mut stream, LONGEST).await?;
    let said = said.ok_or(io::ErrorKind::UnexpectedEof)?;
    let said = word::parse_answer(&said).ok_or(io::ErrorKind::InvalidData)?;
    Ok((stream, said))
}
