//! The relay guard's side: outputs of one reader as an output driver.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use adapter_api::{BoxFuture, Claim, DriverError, OutputDriver};
use gateway_core::ReaderId;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use super::word::{order, parse_answer};
use super::{OutputAnswer, OutputOrder, line};

/// Longest time for an answer: a turn of a silent reader on the line, and ours.
const ANSWER: Duration = Duration::from_millis(1000);
/// For so long a claim is tried again, since a line that is just coming up needs some time.
const CLAIM: Duration = Duration::from_millis(900);
/// How often it is tried meanwhile.
const AGAIN: Duration = Duration::from_millis(100);

/// Outputs of one reader.
#[derive(Debug)]
pub struct OsdpOutputs {
    reader: ReaderId,
    socket: PathBuf,
    stream: Option<UnixStream>,
}

impl OsdpOutputs {
    /// Nothing is opened before [`OutputDriver::claim`]. `socket` is that of the reader's line.
    #[must_use]
    pub const fn new(socket: PathBuf, reader: ReaderId) -> Self {
        Self {
            reader,
            socket,
            stream: None,
        }
    }

    /// The channel that an output needs for itself.
    #[must_use]
    pub fn claim_of(&self, channel: u16) -> Claim {
        Claim::Channel {
            board: self.device(),
            channel,
        }
    }

    fn failed(&self, text: String, source: Option<io::Error>) -> DriverError {
        DriverError {
            device: self.device(),
            text,
            source,
        }
    }

    fn number(&self, channel: u16) -> Result<u8, DriverError> {
        u8::try_from(channel).map_err(|_| self.failed(format!("there is no output {channel}"), None))
    }

    async fn claimed(&mut self, channels: &[u16]) -> Result<(), DriverError> {
        let numbers = channels.iter().map(|channel| self.number(*channel));
        let wanted = OutputOrder::Claim(numbers.collect::<Result<Vec<u8>, _>>()?);
        let end = Instant::now() + CLAIM;
        loop {
            match self.try_claim(&wanted).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= end => return Err(error),
                Err(error) => tracing::debug!(%error, "outputs of a reader are not there yet"),
            }
            sleep(AGAIN).await;
        }
    }

    async fn try_claim(&mut self, wanted: &OutputOrder) -> Result<(), DriverError> {
        self.stream = None;
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            self.failed(
                "the gateway does not serve the reader's line; a pulse that runs is ended by the reader"
                    .to_owned(),
                Some(error),
            )
        })?;
        self.stream = Some(stream);
        self.ask(wanted).await.map(|_| ())
    }

    async fn ask(&mut self, wanted: &OutputOrder) -> Result<Option<Vec<bool>>, DriverError> {
        // out of its place until it is answered: one that is given up half-way has to be claimed anew
        let stream = self.stream.take();
        let mut stream = stream.ok_or_else(|| self.failed("it was not claimed".to_owned(), None))?;
        let line = order(&self.reader, wanted);
        match timeout(ANSWER, exchange(&mut stream, &line)).await {
            Ok(Ok(Ok(levels))) => {
                self.stream = Some(stream);
                Ok(levels)
            }
            Ok(Ok(Err(text))) => Err(self.failed(text, None)),
            Ok(Err(error)) => Err(self.failed(
                "the gateway has let go of the reader's line".to_owned(),
                Some(error),
            )),
            Err(_) => {
                let text = format!(
                    "the reader's line does not answer within {} ms",
                    ANSWER.as_millis()
                );
                Err(self.failed(text, None))
            }
        }
    }
}

async fn exchange(stream: &mut UnixStream, wanted: &str) -> io::Result<OutputAnswer> {
    stream.write_all(wanted.as_bytes()).await?;
    let said = line(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    parse_answer(&said).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// By the clock that the gateway has, too, and that goes on in a sleep of the machine.
fn boottime() -> gateway_core::Instant {
    let now = clock_gettime(ClockId::Boottime);
    let nanos = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    gateway_core::Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

impl OutputDriver for OsdpOutputs {
    fn claim<'a>(&'a mut self, channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(self.claimed(channels))
    }

    fn device(&self) -> String {
        format!("outputs of reader {}", self.reader)
    }

    fn patience(&self) -> Duration {
        ANSWER
    }

    fn pulse(&mut self, channel: u16, length: Duration) -> Option<BoxFuture<'_, Result<(), DriverError>>> {
        Some(Box::pin(async move {
            let tenths = length.as_millis().div_ceil(100);
            let wanted = OutputOrder::On {
                not_after: boottime() + ANSWER,
                number: self.number(channel)?,
                tenths: u16::try_from(tenths).unwrap_or(u16::MAX).max(1),
            };
            self.ask(&wanted).await.map(|_| ())
        }))
    }

    fn read_back(&mut self, channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
        Box::pin(async move {
            let levels = self.ask(&OutputOrder::Read).await?;
            let Some(levels) = levels else { return Ok(None) };
            let level = levels.get(usize::from(channel)).copied();
            level
                .map(Some)
                .ok_or_else(|| self.failed(format!("the reader says nothing of its output {channel}"), None))
        })
    }

    fn set(&mut self, channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(async move {
            let number = self.number(channel)?;
            let wanted = if energised {
                OutputOrder::Hold(number)
            } else {
                OutputOrder::Off(number)
            };
            self.ask(&wanted).await.map(|_| ())
        })
    }
}

#[cfg(test)]
mod tests;
