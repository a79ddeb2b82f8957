//! The socket of a line, at which the relay guard says what it wants of outputs. It is there while the line is served.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway_core::ReaderId;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::word::{answer, parse_order};
use super::{OutputAnswer, OutputOrder, line};

/// The guard, its sentinel, one that is about to end, and one that is about to begin.
const CONNECTIONS: usize = 4;

/// Between two attempts to take a connection when the system gives none.
const PAUSE: Duration = Duration::from_millis(100);

/// An order that waits for its answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) answer: oneshot::Sender<OutputAnswer>,
    pub(crate) order: OutputOrder,
    pub(crate) reader: ReaderId,
}

/// The socket.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) asked: mpsc::Receiver<Asked>,
    path: PathBuf,
    task: AbortHandle,
}

impl Server {
    /// Listens at `path`, for programs of our own user. A socket that stands there is replaced.
    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        let (listener, owner) = adapter_api::local::listen(path)?;
        let (to, asked) = mpsc::channel(CONNECTIONS);
        let task = tokio::spawn(accept(listener, owner, to)).abort_handle();
        Ok(Self {
            asked,
            path: path.to_owned(),
            task,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, owner: u32, to: mpsc::Sender<Asked>) {
    // they end with this task
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => {}
            next = listener.accept(), if open.len() < CONNECTIONS => {
                let stream = match next {
                    Ok((stream, _)) => stream,
                    // too many files are open, as it were: that passes, and the guard tries again
                    Err(error) => {
                        tracing::warn!(%error, "nobody can be taken at a line's socket");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                };
                match stream.peer_cred() {
                    Ok(peer) if peer.uid() == owner => {
                        open.spawn(attend(stream, to.clone()));
                    }
                    Ok(_) | Err(_) => tracing::warn!("a connection of another user was closed"),
                }
            }
        }
    }
}

/// Serves one connection. What it held until further notice ends with it.
async fn attend(mut stream: UnixStream, to: mpsc::Sender<Asked>) {
    let mut held = BTreeSet::new();
    while let Some((reader, order)) = next(&mut stream).await {
        match &order {
            OutputOrder::Hold(number) => {
                held.insert((reader.clone(), *number));
            }
            OutputOrder::Off(number) => {
                held.remove(&(reader.clone(), *number));
            }
            OutputOrder::Claim(_) | OutputOrder::On { .. } | OutputOrder::Read => {}
        }
        let said = ask(&to, reader, order).await;
        if stream.write_all(answer(&said).as_bytes()).await.is_err() {
            break;
        }
    }
    for (reader, number) in held {
        let _ = ask(&to, reader, OutputOrder::Off(number)).await;
    }
}

async fn ask(to: &mpsc::Sender<Asked>, reader: ReaderId, order: OutputOrder) -> OutputAnswer {
    let (answer, said) = oneshot::channel();
    let asked = Asked {
        answer,
        order,
        reader,
    };
    let gone = || "the line is gone".to_owned();
    to.send(asked).await.map_err(|_| gone())?;
    said.await.map_err(|_| gone())?
}

/// The next order; `None` when there is none, or what came is none.
async fn next(stream: &mut UnixStream) -> Option<(ReaderId, OutputOrder)> {
    let line = line(stream).await.ok().flatten()?;
    let order = parse_order(&line);
    if order.is_none() {
        tracing::warn!(line, "this is no order for an output");
    }
    order
}
