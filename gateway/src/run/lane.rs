//! A thread of its own with a runtime on it, for what must not wait behind anything else.
//!
//! Two parts of the gateway have one. On *doors* run the core, the adapters and the way to the relay guard: from an
//! edge to the guard's socket nothing changes threads, so a door costs one wake-up and no turn in somebody's queue.
//! On *sip* run the SIP engine and, started from there, the media thread. Pages, MQTT and the journal stay on the
//! general runtime: a password that is being checked or a stranger's TLS handshake holds up no door.
//!
//! Where the system permits it (`LimitNICE=` of the unit, or root), both come before other work of the machine.
//! Without permission they take their turn like everybody else.

use anyhow::Context;
use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::oneshot;

/// Scheduling priority (nice value) of doors, as the guard's unit has it.
pub(crate) const DOORS: i32 = -10;
/// Of SIP and media: before other programs, behind doors.
const SIP: i32 = -5;

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
        Self::start("doors", DOORS)
    }

    /// The thread of the SIP engine.
    pub(crate) fn sip() -> anyhow::Result<Self> {
        Self::start("sip", SIP)
    }

    fn start(name: &'static str, nice: i32) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .with_context(|| format!("the runtime of `{name}` cannot be started"))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // without a process id it is the calling thread, and what that starts inherits it
                let already = getpriority_process(None).is_ok_and(|found| found <= nice);
                if !already && let Err(error) = setpriority_process(None, nice) {
                    tracing::debug!(name, nice, %error, "no permission to come first; see LimitNICE= of the unit");
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
