//! Serial relay board LCUS-1 and its larger sisters (CH340 USB serial chip, 1 to 8 relays, 9600 baud, 8N1).
//!
//! The board is told, never asked: it has no reliable status answer across its revisions, so its relays latch
//! and nothing can be read back. Unplugging is noticed by the port's end of file. What brings a latched relay to
//! rest when the guard dies is the guard's sentinel, which claims the board anew; unplugged, it loses its supply.

mod frame;

use std::io;
use std::path::PathBuf;

use adapter_api::{BoxFuture, Claim, DriverError, OutputDriver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_serial::{DataBits, FlowControl, Parity, SerialPortBuilderExt, SerialStream, StopBits};

pub use frame::{CHANNELS, FRAME_BYTES, Frame, FrameError};

/// Speed of every revision seen so far, in bit/s.
pub const BAUD: u32 = 9600;

/// One board.
pub struct Lcus1 {
    baud: u32,
    path: PathBuf,
    port: Option<SerialStream>,
}

impl Lcus1 {
    /// Nothing is opened before [`OutputDriver::claim`]. `path` should be a stable name below
    /// `/dev/serial/by-id` or `by-path`: `ttyUSB0` may be another device after a reboot.
    #[must_use]
    pub const fn new(path: PathBuf, baud: u32) -> Self {
        Self {
            baud,
            path,
            port: None,
        }
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
        let builder = tokio_serial::new(self.path.to_string_lossy(), self.baud)
            .data_bits(DataBits::Eight)
            .parity(Parity::None)
            .stop_bits(StopBits::One)
            .flow_control(FlowControl::None)
            .exclusive(true);
        let port = builder
            .open_native_async()
            .map_err(|e| self.failed("the port cannot be opened", Some(e.into())))?;
        self.port = Some(port);
        for &channel in channels {
            self.write(channel, false).await?;
        }
        Ok(())
    }

    async fn write(&mut self, channel: u16, energised: bool) -> Result<(), DriverError> {
        let frame = Frame::new(channel, energised)
            .map_err(|e| self.failed(&e.to_string(), None))?
            .encode();
        self.check().await?;
        let port = self.port.as_mut().expect("check fails without a port");
        let written = async {
            port.write_all(&frame).await?;
            port.flush().await
        };
        match written.await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.port = None;
                Err(self.failed("the frame cannot be written", Some(error)))
            }
        }
    }

    /// Reads and drops what the board says; end of file or an error is an unplugged board.
    async fn check(&mut self) -> Result<(), DriverError> {
        let Some(port) = self.port.as_mut() else {
            return Err(self.failed("it was not claimed", None));
        };
        let mut buffer = [0; 64];
        // Bounded: a device that talks without end must not keep us here.
        for _ in 0..16 {
            let read = tokio::select! {
                biased;
                read = port.read(&mut buffer) => read,
                () = std::future::ready(()) => return Ok(()),
            };
            let error = match read {
                Ok(0) => None,
                Ok(_) => continue,
                Err(error) => Some(error),
            };
            self.port = None;
            return Err(self.failed(
                "the board was unplugged; plug it in, it is claimed again by itself",
                error,
            ));
        }
        Ok(())
    }
}

impl OutputDriver for Lcus1 {
    fn claim<'a>(&'a mut self, channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(self.open(channels))
    }

    fn device(&self) -> String {
        self.path.display().to_string()
    }

    /// Says nothing of the level, but notices an unplugged board.
    fn read_back(&mut self, _channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
        Box::pin(async move { self.check().await.map(|()| None) })
    }

    fn set(&mut self, channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(self.write(channel, energised))
    }
}
