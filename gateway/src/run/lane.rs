//! A thread of its own with a runtime on it, for what must not wait behind anything else.
//!
//! Two parts of the gateway have one. On *doors* run the core, the adapters and the way to the relay guard: from an
//! edge to the guard's socket nothing changes threads, so a door costs one wake-up and no turn in somebody's queue.
//! On *sip* run the SIP engine and, started from there, the media thread. Pages, MQTT and the journal stay on the
//! general runtime: a password that is being checked or a stranger's TLS handshake holds up no door.
//!
//! Where the system permits it, both come before other work of the machine ([`gateway_priority`]).

use anyhow::Context;
use gateway_priority::Turn;
use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::oneshot;

/// A running thread; it ends when this is dropped, and what still runs on it ends with it.
#[derive(Debug)]
pub(crate) struct Lane {
    handle: Handle,
    /// Dropped with us, which ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Lane {
    /// The thread of core, adapters and guard client.
    pub(crate) fn doors() -> anyhow::Result<Self> {
        Self::start("doors", Turn::Doors)
    }

    /// The thread of the SIP engine.
    pub(crate) fn sip() -> anyhow::Result<Self> {
        Self::start("sip", Turn::Calls)
    }

    fn start(name: &'static str, turn: Turn) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .with_context(|| format!("the runtime of `{name}` cannot be started"))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                if let Err(error) = turn.take() {
                    tracing::debug!(name, %error, "no permission to come first; see LimitNICE= and LimitRTPRIO= of the unit");
                }
                // an error is the end of who holds us, too
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })
            .with_context(|| format!("the thread `{name}` cannot be started"))?;
        Ok(Self { handle, _stop: stop })
    }

    /// Its runtime, for what is started later.
    pub(crate) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Until the guard is dropped, what is spawned goes to this thread, as do new sockets and timers.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }
}
