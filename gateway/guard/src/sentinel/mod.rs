//! The process that watches the guard.
//!
//! The guard sends beats over a datagram socket: when the next output must be at rest, and a number that the
//! sentinel sends back. A beat that concerns a new lease is sent before the output is energised.

mod link;
mod watch;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use gateway_priority::Turn;
use nix::sys::signal::{SigSet, Signal as NixSignal};
use rustix::io::dup;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixDatagram;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::{awake, boottime};
use crate::footprint::give_back;
use crate::limit::claim_limit;
use crate::params::GuardBoard;
pub(crate) use link::Link;
use watch::{BEAT_BYTES, Beat, Watch};

/// Longest time for one board to be opened and written to rest.
const CLAIM: Duration = Duration::from_secs(1);
/// For how long boards are tried.
const TRY: Duration = Duration::from_secs(3);

/// Why there is no sentinel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SentinelError {
    /// It was not started by a guard.
    #[error("the sentinel is started by the relay guard, with a socket as standard input")]
    NoGuard(#[source] std::io::Error),
    /// No runtime.
    #[error("the sentinel cannot start")]
    Start(#[source] std::io::Error),
}

/// Body of the sentinel: returns when the guard ended in good order, or when it was killed and every board of
/// `boards` was written to rest. The boards are not touched before that.
///
/// # Errors
/// [`SentinelError`] if it was not started by a guard.
pub fn sentinel_main(boards: Vec<GuardBoard>) -> Result<(), SentinelError> {
    // as the guard, which it may have to end
    let _ = Turn::Guard.take();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SentinelError::Start)?;
    runtime.block_on(watch_guard(boards))
}

/// What stops a service; the guard starts the sentinel with these blocked.
fn stop_signals() -> SigSet {
    [NixSignal::SIGTERM, NixSignal::SIGINT, NixSignal::SIGHUP]
        .into_iter()
        .collect()
}

async fn watch_guard(boards: Vec<GuardBoard>) -> Result<(), SentinelError> {
    // What stops the guard must not stop the sentinel first: a handler that nobody reads ignores the signal.
    let kinds = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ];
    let _ignored: Vec<_> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
    stop_signals()
        .thread_unblock()
        .map_err(|error| SentinelError::Start(error.into()))?;

    let no_guard = |error: rustix::io::Errno| SentinelError::NoGuard(error.into());
    let raw = std::os::unix::net::UnixDatagram::from(dup(std::io::stdin().as_fd()).map_err(no_guard)?);
    raw.set_nonblocking(true).map_err(SentinelError::NoGuard)?;
    let mut watch = Watch::new(awake());
    // The socket knows who made it. Our parent may be somebody else already: then the guard died before we could
    // look, and its beats are still in the socket.
    let maker = socket_peercred(&raw).map_err(no_guard)?.pid;
    let alive = match pidfd_open(maker, PidfdFlags::empty()) {
        Ok(guard) if getppid() == Some(maker) => Some(guard),
        Ok(_) | Err(rustix::io::Errno::SRCH) => None,
        Err(error) => return Err(no_guard(error)),
    };
    give_back();
    if let Some(guard) = alive
        && !watch_alive(guard, &raw, &mut watch)
            .await
            .map_err(SentinelError::NoGuard)?
    {
        return Ok(());
    }
    // The last beats may still be in the socket: one of them may tell of a lease.
    let mut buffer = [0; BEAT_BYTES];
    while let Ok(n) = raw.recv(&mut buffer) {
        match Beat::decode(&buffer[..n]) {
            Some(Beat::Goodbye) => return Ok(()),
            Some(Beat::Alive { due, .. }) => watch.beat(awake(), due),
            None => {}
        }
    }
    if watch.is_energised() {
        let boards = boards.into_iter().map(write_to_rest).collect::<Vec<_>>();
        for board in boards.into_iter().map(tokio::spawn).collect::<Vec<_>>() {
            let _ = board.await;
        }
    }
    Ok(())
}

/// Watches until the guard has ended, was killed, or said goodbye: false for the last.
async fn watch_alive(
    guard: OwnedFd,
    raw: &std::os::unix::net::UnixDatagram,
    watch: &mut Watch,
) -> std::io::Result<bool> {
    let socket = UnixDatagram::from_std(raw.try_clone()?)?;
    #[expect(
        deprecated,
        reason = "an OwnedFd keeps its descriptor open; the replacement is unsafe to call"
    )]
    let guard = AsyncFd::with_interest(guard, Interest::READABLE)?;
    loop {
        // Beats that wait are read before the guard is judged.
        let mut buffer = [0; BEAT_BYTES];
        while let Ok(n) = socket.try_recv(&mut buffer) {
            match Beat::decode(&buffer[..n]) {
                Some(Beat::Goodbye) => return Ok(false),
                Some(Beat::Alive { due, number }) => {
                    watch.beat(awake(), due);
                    let _ = raw.send(&number.to_be_bytes());
                }
                None => tracing::warn!(bytes = n, "a beat of the guard cannot be read"),
            }
        }
        if let Some(verdict) = watch.verdict(boottime(), awake()) {
            let _ = pidfd_send_signal(guard.get_ref(), Signal::KILL);
            tracing::error!(%verdict, "the relay guard is killed");
            let _ = tokio::time::timeout(CLAIM, ended(&guard)).await;
            return Ok(true);
        }
        let wait = watch.wait(boottime(), awake());
        tokio::select! {
            () = ended(&guard) => return Ok(true),
            _ = socket.readable() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// A pidfd is readable when the process has ended and its files are closed.
async fn ended(guard: &AsyncFd<OwnedFd>) {
    let _ = guard.readable().await;
}

/// Claims a board, which writes it to rest. False if it did not answer in time.
pub(crate) async fn write_to_rest(mut board: GuardBoard) -> bool {
    let channels = board.channels();
    let device = board.driver.device();
    let started = awake();
    let limit = claim_limit(CLAIM, &*board.driver, &channels);
    while awake().since(started) < TRY {
        let text = match tokio::time::timeout(limit, board.driver.claim(&channels)).await {
            Ok(Ok(())) => {
                tracing::warn!(%device, "the board was written to rest in place of the guard");
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        tracing::warn!(%device, %text, "the board cannot be written to rest yet");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tracing::error!(%device, "the board could not be written to rest: cut its supply if a relay is still on");
    false
}
