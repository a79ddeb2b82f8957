//! A device with outputs, held by the relay guard.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A device that did not do as told.
#[derive(Debug, thiserror::Error)]
#[error("{device}: {text}")]
pub struct DriverError {
    /// Path or name of the device.
    pub device: String,
    /// What was found, and what to do.
    pub text: String,
    /// What the system said.
    #[source]
    pub source: Option<std::io::Error>,
}

/// One device that holds the outputs of one board. Channels are numbered as on the board.
pub trait OutputDriver: Send {
    /// Opens the device and writes every claimed channel to rest. Called at start and after each failure.
    fn claim<'a>(&'a mut self, channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>>;
    /// Device path or name, for messages.
    fn device(&self) -> String;
    /// What tells the physical line of a channel from all others, for messages and for the guard, which keeps one lease for
    /// each. Two outputs of one line are the same relay, whatever they are called. Without secrets.
    fn line(&self, channel: u16) -> String {
        format!("{} channel {channel}", self.device())
    }
    /// Longest time that a write or read of a device that works may take until the device has confirmed it; zero for
    /// one that takes a write at once. The guard gives up a device that takes longer (and longer than 300 ms).
    fn patience(&self) -> Duration {
        Duration::ZERO
    }
    /// Energises a channel so that the board itself ends it, after `length` or a little more; `None` if the board
    /// cannot. Called again, it counts anew.
    fn pulse(&mut self, channel: u16, length: Duration) -> Option<BoxFuture<'_, Result<(), DriverError>>> {
        let _ = (channel, length);
        None
    }
    /// The level the board itself reports; `None` if it cannot be read.
    fn read_back(&mut self, channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>>;
    /// Energises (`true`) or rests (`false`) a channel.
    fn set(&mut self, channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>>;
}
