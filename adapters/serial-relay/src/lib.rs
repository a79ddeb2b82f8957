//! Relay boards on a serial port of their own, mostly USB: LCUS-1 and its sisters, KMTronic, Numato.
//!
//! What they say is the table in [`Board`]; the driver is one. The relays of all of them latch: they stay as they were
//! written last while the board has supply. Unplugging is noticed by the port's end of file. What brings a latched
//! relay to rest when the guard dies is the guard's sentinel, which claims the board anew; unplugged, it loses its
//! supply.
//!
//! No order waits in a port for better times: see `port.rs`.

mod board;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod port;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use adapter_api::{BoxFuture, Claim, DriverError, OutputDriver};
use tokio::time::{Instant, timeout_at};

pub use board::{Answer, Board, Family, LONGEST, NoRelay};
pub use frame::{CHANNELS, FRAME_BYTES, Frame, FrameError};

use crate::port::{NotSent, Port};

/// Speed of every revision seen so far, in bit/s; boards with a USB chip of their own take any.
pub const BAUD: u32 = 9600;
/// Longest time for an answer.
const ANSWER: Duration = Duration::from_millis(150);
const UNPLUGGED: &str = "the board was unplugged; plug it in, it is claimed again by itself";

/// One board.
pub struct SerialRelay {
    baud: u32,
    board: Board,
    path: PathBuf,
    port: Option<Port>,
}

impl SerialRelay {
    /// Nothing is opened before [`OutputDriver::claim`]. `path` should be a stable name below
    /// `/dev/serial/by-id` or `by-path`: `ttyUSB0` may be another device after a reboot.
    #[must_use]
    pub const fn new(board: Board, path: PathBuf, baud: u32) -> Self {
        Self {
            baud,
            board,
            path,
            port: None,
        }
    }

    /// A board of the LCUS family.
    #[must_use]
    pub const fn lcus1(path: PathBuf, baud: u32) -> Self {
        let board = Board {
            family: Family::Lcus1,
            relays: *CHANNELS.end(),
        };
        Self::new(board, path, baud)
    }

    /// The channel that an output needs for itself.
    #[must_use]
    pub fn claim_of(&self, channel: u16) -> Claim {
        Claim::Channel {
            board: self.path.display().to_string(),
            channel,
        }
    }

    fn failed(&self, text: &str, source: Option<io::Error>) -> DriverError {
        DriverError {
            device: self.path.display().to_string(),
            text: text.to_owned(),
            source,
        }
    }

    async fn open(&mut self, channels: &[u16]) -> Result<(), DriverError> {
        // The old handle first: it holds the port exclusively.
        self.port = None;
        let port = Port::open(&self.path, self.baud);
        self.port = Some(port.map_err(|error| self.failed("the port cannot be opened", Some(error)))?);
        for &channel in channels {
            self.switch(channel, false).await?;
        }
        // a board that can say so has to rest before it counts as ready
        for &channel in channels {
            if self.level(channel).await? == Some(true) {
                return Err(self.failed(
                    &format!("relay {channel} stays on though it was written to rest"),
                    None,
                ));
            }
        }
        Ok(())
    }

    async fn switch(&mut self, channel: u16, on: bool) -> Result<(), DriverError> {
        let board = self.board;
        let order = board
            .order(channel, on)
            .map_err(|e| self.failed(&e.to_string(), None))?;
        self.check().await?;
        if board.confirms() {
            self.ask(&order, on, |came| board.confirmed(came)).await?;
        } else {
            let mut port = self.taken()?;
            self.sent(&mut port, &order).await?;
            // nobody says whether it came
            port.awaits(on);
            self.port = Some(port);
        }
        Ok(())
    }

    async fn level(&mut self, channel: u16) -> Result<Option<bool>, DriverError> {
        let board = self.board;
        let query = board
            .query(channel)
            .map_err(|e| self.failed(&e.to_string(), None))?;
        self.check().await?;
        let Some(query) = query else { return Ok(None) };
        match self.ask(&query, false, |came| board.level(channel, came)).await? {
            Answer::Level(level) => Ok(Some(level)),
            Answer::Done | Answer::More | Answer::Wrong(_) => Ok(None),
        }
    }

    /// The port, out of its place until what it is for is done: a driver that is given up half-way, or whose board does not
    /// answer, leaves it to be dropped with all that it still keeps, and has to claim the board anew.
    fn taken(&mut self) -> Result<Port, DriverError> {
        let port = self.port.take();
        port.ok_or_else(|| self.failed("it was not claimed", None))
    }

    async fn sent(&self, port: &mut Port, bytes: &[u8]) -> Result<(), DriverError> {
        port.send(bytes).await.map_err(|why| match why {
            NotSent::Gone(error) => self.failed(UNPLUGGED, Some(error)),
            NotSent::Kept(limit) => {
                let text = format!(
                    "the port sends nothing within {} ms: its adapter hangs; unplug it and plug it in again",
                    limit.as_millis()
                );
                self.failed(&text, None)
            }
        })
    }

    /// Sends an order or a question and collects the answer until `read` says that it is whole. What energises and is not
    /// answered must not come later; what brings to rest may.
    async fn ask(
        &mut self,
        bytes: &[u8],
        energises: bool,
        read: impl Fn(&[u8]) -> Answer,
    ) -> Result<Answer, DriverError> {
        let mut port = self.taken()?;
        self.sent(&mut port, bytes).await?;
        port.awaits(energises);
        let end = Instant::now() + ANSWER;
        let mut came = Vec::new();
        let mut buffer = [0; 64];
        loop {
            match timeout_at(end, port.read(&mut buffer)).await {
                Ok(Ok(0)) => return Err(self.unplugged(None)),
                Ok(Ok(n)) => came.extend(&buffer[..n.min(LONGEST.saturating_sub(came.len()))]),
                Ok(Err(error)) => return Err(self.unplugged(Some(error))),
                Err(_) => {
                    let text = format!("the board does not answer within {} ms", ANSWER.as_millis());
                    return Err(self.failed(&text, None));
                }
            }
            match read(&came) {
                Answer::More => {}
                Answer::Wrong(text) => return Err(self.failed(&text, None)),
                answer @ (Answer::Done | Answer::Level(_)) => {
                    port.awaits(false);
                    self.port = Some(port);
                    return Ok(answer);
                }
            }
        }
    }

    fn unplugged(&mut self, error: Option<io::Error>) -> DriverError {
        self.port = None;
        self.failed(UNPLUGGED, error)
    }

    /// Reads and drops what the board says unasked; end of file or an error is an unplugged board.
    async fn check(&mut self) -> Result<(), DriverError> {
        let mut buffer = [0; 64];
        // Bounded: a device that talks without end must not keep us here.
        for _ in 0..16 {
            let Some(port) = self.port.as_mut() else {
                return Err(self.failed("it was not claimed", None));
            };
            let read = tokio::select! {
                biased;
                read = port.read(&mut buffer) => read,
                () = std::future::ready(()) => return Ok(()),
            };
            match read {
                Ok(0) => return Err(self.unplugged(None)),
                Ok(_) => {}
                Err(error) => return Err(self.unplugged(Some(error))),
            }
        }
        Ok(())
    }
}

impl OutputDriver for SerialRelay {
    fn claim<'a>(&'a mut self, channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(self.open(channels))
    }

    fn device(&self) -> String {
        self.path.display().to_string()
    }

    fn patience(&self) -> Duration {
        match self.board.family {
            Family::Lcus1 => Duration::ZERO,
            Family::Kmtronic | Family::Numato => ANSWER * 2,
        }
    }

    /// Also notices an unplugged board, of those that say nothing of the level, too.
    fn read_back(&mut self, channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
        Box::pin(self.level(channel))
    }

    fn set(&mut self, channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(self.switch(channel, energised))
    }
}
