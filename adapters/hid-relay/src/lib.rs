//! USB relay boards that are HID devices: those of DCTTECH (`www.dcttech.com`, USBRelay1 to USBRelay8) and what is made
//! after them, vendor 16c0, product 05df.
//!
//! A board is known by the five letters that it keeps, since its device has another number after each plugging. Orders
//! and questions are feature reports ([`order`], [`Status`]) over `hidraw`, so that no library is needed. The relays
//! latch: they stay as they were written last while the board has supply, which is the cable.

#[doc(hidden)]
pub mod fuzz;
mod hidraw;
mod report;
mod worker;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use adapter_api::{BoxFuture, Claim, DriverError, OutputDriver};
use tokio::time::timeout;

pub use hidraw::{HidRaw, Places, candidates, is_board};
pub use report::{ID_BYTES, RELAYS, REPORT_BYTES, Report, Status, StatusError, order};

use worker::{Missing, Worker};

/// Longest time for one transfer to or from a board that works; they take some 10 ms.
const ANSWER: Duration = Duration::from_millis(200);
/// Longest time for finding the board among others of its kind.
const FIND: Duration = Duration::from_millis(1000);
const UNPLUGGED: &str = "the board was unplugged; plug it in, it is claimed again by itself";

/// One board.
#[derive(Debug)]
pub struct HidRelay {
    id: String,
    places: Places,
    worker: Option<Worker>,
}

impl HidRelay {
    /// The board with this id. Nothing is opened before [`OutputDriver::claim`].
    #[must_use]
    pub fn new(id: String) -> Self {
        Self {
            id,
            places: Places::default(),
            worker: None,
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

    fn missing(&self, missing: Missing) -> DriverError {
        let id = &self.id;
        match missing {
            Missing::Absent(others) if others.is_empty() => {
                self.failed(format!("there is no board with id {id}: plug it in"), None)
            }
            Missing::Absent(others) => {
                let text = format!("there is no board with id {id}, but {}", others.join(", "));
                self.failed(text, None)
            }
            Missing::Forbidden(path) => {
                let text = format!(
                    "{path} may not be opened: install the udev rule of adapters/hid-relay/README.md"
                );
                self.failed(text, None)
            }
            Missing::System(error) => self.failed("the board cannot be opened".to_owned(), Some(error)),
            Missing::Taken => self.failed("another program has the board".to_owned(), None),
        }
    }

    async fn claimed(&mut self, channels: &[u16]) -> Result<(), DriverError> {
        // the old one first: it has the board for itself
        self.worker = None;
        let open = timeout(FIND, Worker::open(&self.places, &self.id)).await;
        let worker = match open {
            Ok(worker) => worker.map_err(|missing| self.missing(missing))?,
            Err(_) => {
                return Err(self.failed("no board answers within 1 s: plug it in again".to_owned(), None));
            }
        };
        self.worker = Some(worker);
        self.rested(channels).await
    }

    /// Writes channels to rest and sees to it that they do.
    async fn rested(&mut self, channels: &[u16]) -> Result<(), DriverError> {
        for &channel in channels {
            self.switch(channel, false).await?;
        }
        let status = self.status().await?;
        for &channel in channels {
            if status.level(channel) != Some(false) {
                let text = format!("relay {channel} stays on though it was written to rest");
                self.worker = None;
                return Err(self.failed(text, None));
            }
        }
        Ok(())
    }

    async fn switch(&mut self, channel: u16, on: bool) -> Result<(), DriverError> {
        let report = order(channel, on)
            .ok_or_else(|| self.failed(format!("relay {channel}, allowed are 1 to {RELAYS}"), None))?;
        let worker = self.taken()?;
        let sent = timeout(ANSWER, worker.send(report, on)).await;
        self.done(worker, sent)
    }

    async fn status(&mut self) -> Result<Status, DriverError> {
        let worker = self.taken()?;
        let status = timeout(ANSWER, worker.status()).await;
        let status: Status = self.done(worker, status)?;
        if status.id() != self.id {
            self.worker = None;
            return Err(self.failed(format!("the board says that it is {}", status.id()), None));
        }
        Ok(status)
    }

    /// The thread, out of its place until what it is for is done: a driver that is given up half-way, or whose board
    /// does not answer, has to claim the board anew.
    fn taken(&mut self) -> Result<Worker, DriverError> {
        let worker = self.worker.take();
        worker.ok_or_else(|| self.failed("it was not claimed".to_owned(), None))
    }

    fn done<T>(
        &mut self,
        worker: Worker,
        answer: Result<io::Result<T>, tokio::time::error::Elapsed>,
    ) -> Result<T, DriverError> {
        match answer {
            Ok(Ok(value)) => {
                self.worker = Some(worker);
                Ok(value)
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                Err(self.failed(error.to_string(), None))
            }
            Ok(Err(error)) => Err(self.failed(UNPLUGGED.to_owned(), Some(error))),
            Err(_) => {
                let text = format!("the board does not answer within {} ms", ANSWER.as_millis());
                Err(self.failed(text, None))
            }
        }
    }
}

impl OutputDriver for HidRelay {
    fn claim<'a>(&'a mut self, channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(self.claimed(channels))
    }

    fn device(&self) -> String {
        format!("USB relay board {}", self.id)
    }

    fn patience(&self) -> Duration {
        ANSWER
    }

    fn read_back(&mut self, channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
        Box::pin(async move { self.status().await.map(|status| status.level(channel)) })
    }

    fn set(&mut self, channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(self.switch(channel, energised))
    }
}

/// Every board that can be asked now, by its device: what it says of itself, or why it says nothing.
///
/// # Errors
/// If the kernel shows no devices at all.
pub fn boards(places: &Places) -> io::Result<Vec<(PathBuf, io::Result<Status>)>> {
    let found = candidates(places)?.into_iter();
    let asked = found.map(|path| {
        let status = HidRaw::open(&path).and_then(|device| device.status());
        (path, status)
    });
    Ok(asked.collect())
}

#[cfg(test)]
mod tests;
