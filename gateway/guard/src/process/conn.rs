//! The one connection of the gateway.

use std::io;

use gateway_core::Instant;
use gateway_guard_proto::{FrameReader, Incoming, ProtoError, Report};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::clock::awake;

/// Reports that wait for a gateway that does not read; beyond it the connection is closed.
const WAITING: usize = 128 * 1024;

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnError {
    #[error("the gateway closed it")]
    Closed,
    #[error("the gateway does not read its reports")]
    Full,
    #[error("it failed")]
    Io(#[source] io::Error),
    #[error(transparent)]
    Proto(#[from] ProtoError),
}

pub(super) struct Conn {
    heard: Instant,
    out: Vec<u8>,
    reader: FrameReader,
    stream: UnixStream,
}

impl Conn {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            heard: awake(),
            out: Vec::new(),
            reader: FrameReader::default(),
            stream,
        }
    }

    /// When something came last.
    pub(super) const fn heard(&self) -> Instant {
        self.heard
    }

    /// Queues a report and writes what can be written.
    pub(super) fn report(&mut self, report: &Report) -> Result<(), ConnError> {
        self.out.extend(report.encode());
        if self.out.len() > WAITING {
            return Err(ConnError::Full);
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), ConnError> {
        while !self.out.is_empty() {
            match self.stream.try_write(&self.out) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(ConnError::Io(error)),
            }
        }
        Ok(())
    }

    /// Waits for messages, and writes what waits. Cancel safe; at most one read of 4 KiB per call.
    pub(super) async fn messages(&mut self) -> Result<Vec<Incoming>, ConnError> {
        let interest = if self.out.is_empty() {
            Interest::READABLE
        } else {
            Interest::READABLE | Interest::WRITABLE
        };
        let ready = self.stream.ready(interest).await.map_err(ConnError::Io)?;
        if ready.is_writable() {
            self.flush()?;
        }
        let mut messages = Vec::new();
        let mut buffer = [0; 4096];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => return Err(ConnError::Closed),
            Ok(n) => {
                self.heard = awake();
                self.reader.push(&buffer[..n]);
                while let Some(frame) = self.reader.next()? {
                    messages.push(Incoming::decode(&frame)?);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(ConnError::Io(error)),
        }
        Ok(messages)
    }
}
