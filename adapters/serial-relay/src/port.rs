//! A serial port that keeps no order for later: what it has not sent when it is given up is thrown away.
//!
//! The kernel queues what is written. A hung USB adapter, or a line that is held, sends it whenever it goes on, minutes
//! later or while the port is being closed: an order to energise would then open a door for somebody who has long gone.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_serial::{
    ClearBuffer, DataBits, FlowControl, Parity, SerialPort, SerialPortBuilderExt, SerialStream, StopBits,
};

/// Longest time for bytes to leave the kernel, besides their time on the line.
const SENT: Duration = Duration::from_millis(100);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(1);
/// Bits of one character on the line.
const CHARACTER: u32 = 10;

/// The port. Dropping it drops what it has not sent.
pub(crate) struct Port {
    baud: u32,
    /// An order was begun that is thrown away if the port is given up now.
    keeps: bool,
    stream: SerialStream,
}

/// Why bytes did not go out.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// The port is gone.
    Gone(io::Error),
    /// It keeps them for longer than this.
    Kept(Duration),
}

impl Port {
    /// Opens a port for one user: 8 data bits, no parity, one stop bit. What somebody before us left in it is thrown away.
    pub(crate) fn open(path: &Path, baud: u32) -> io::Result<Self> {
        let builder = tokio_serial::new(path.to_string_lossy(), baud)
            .data_bits(DataBits::Eight)
            .parity(Parity::None)
            .stop_bits(StopBits::One)
            .flow_control(FlowControl::None)
            .exclusive(true);
        let stream = builder.open_native_async().map_err(io::Error::from)?;
        stream.clear(ClearBuffer::All).map_err(io::Error::from)?;
        Ok(Self {
            baud,
            keeps: false,
            stream,
        })
    }

    /// Writes bytes and waits until they have left the kernel, for a bounded time. Who gives this up half-way, or gets an
    /// error, must drop the port: the rest may still be in it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), NotSent> {
        let characters = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let line = Duration::from_secs(1) * characters.saturating_mul(CHARACTER) / self.baud.max(1);
        let limit = SENT + line;
        let end = Instant::now() + limit;
        self.keeps = true;
        match timeout_at(end, self.stream.write_all(bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(NotSent::Gone(error)),
            Err(_) => return Err(NotSent::Kept(limit)),
        }
        // not flushed: that waits for the wire without limit (tcdrain), and with it the whole guard for one hung adapter
        loop {
            match self.stream.bytes_to_write() {
                Ok(0) => {
                    self.keeps = false;
                    return Ok(());
                }
                Ok(_) if Instant::now() >= end => return Err(NotSent::Kept(limit)),
                Ok(_) => sleep(LOOK).await,
                Err(error) => return Err(NotSent::Gone(error.into())),
            }
        }
    }

    /// Says whether what was sent last must not come later than now: it energises, and nobody has answered it.
    pub(crate) fn awaits(&mut self, is_late: bool) {
        self.keeps = is_late;
    }

    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).await
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // what has left is on its way: an order to rest is often the last thing that is said. A pseudo-terminal, which
        // counts what was not read yet as sent, would lose it.
        if !self.keeps {
            return;
        }
        // closing would wait for the rest, and send it
        if let Err(error) = self.stream.clear(ClearBuffer::All) {
            tracing::debug!(%error, "a port that is given up is gone already");
        }
    }
}
