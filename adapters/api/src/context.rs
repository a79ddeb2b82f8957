//! How an adapter is run.

use std::future::Future;
use std::sync::Arc;

use gateway_core::{Clock, DeviceId, LineCommand, LineId, Signal, SignalKind};
use tokio::sync::{mpsc, watch};

use crate::audio::AudioPort;

/// Runs a device until shutdown.
pub trait Adapter: Send + 'static {
    /// Runs the device until `ctx.shutdown` fires. An error makes the supervisor restart it with back-off.
    fn run(self, ctx: AdapterContext) -> impl Future<Output = Result<(), AdapterError>> + Send;
}

/// Why an adapter stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The device cannot be used; the text says what was found and what to do.
    #[error("{device}: {text}")]
    Device {
        /// Path or name of the device.
        device: String,
        /// What, and what to do.
        text: String,
        /// What the system said.
        #[source]
        source: Option<std::io::Error>,
    },
    /// The gateway is gone.
    #[error("the gateway no longer takes signals")]
    Closed,
}

/// Fires once, when the gateway stops.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// A shutdown and its trigger: send `true` to fire.
    #[must_use]
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (tx, rx) = watch::channel(false);
        (tx, Self(rx))
    }

    /// Waits until it fires, or until the trigger is dropped.
    pub async fn fired(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Has it fired?
    #[must_use]
    pub fn is_fired(&self) -> bool {
        *self.0.borrow()
    }
}

/// What an adapter gets.
pub struct AdapterContext {
    /// Where it offers the audio of its lines.
    pub audio: mpsc::Sender<(LineId, Box<dyn AudioPort>)>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Its own name.
    pub device: DeviceId,
    /// What the core wants of its lines.
    pub lines: mpsc::Receiver<(LineId, LineCommand)>,
    /// Fires when it must end.
    pub shutdown: Shutdown,
    /// Where signals go. Bounded: a full channel makes the adapter wait, nothing is dropped.
    pub signals: mpsc::Sender<Signal>,
    /// True if its signals count as simulated.
    pub simulated: bool,
}

impl AdapterContext {
    /// Sends a signal with this adapter's name.
    ///
    /// # Errors
    /// [`AdapterError::Closed`] if the gateway is gone.
    pub async fn signal(&self, at: gateway_core::Instant, kind: SignalKind) -> Result<(), AdapterError> {
        let signal = Signal {
            at,
            device: self.device.clone(),
            simulated: self.simulated,
            kind,
        };
        self.signals.send(signal).await.map_err(|_| AdapterError::Closed)
    }
}
