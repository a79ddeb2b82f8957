//! The guard's end: starts the sentinel, sends it beats, and starts it again when it is gone or stands still.

use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use gateway_core::Instant;
use nix::sys::signal::SigmaskHow;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};

use super::stop_signals;
use super::watch::Beat;
use crate::clock::awake;
use crate::params::SentinelParams;

/// Beats while something is energised.
const FAST: Duration = Duration::from_millis(100);
/// Beats while everything rests.
const SLOW: Duration = Duration::from_secs(1);
/// A sentinel that sends nothing back for this long is replaced, once it has sent something at all.
const DEAF: Duration = Duration::from_secs(3);
/// The longest that one may take for its start.
const LONGEST_START: Duration = Duration::from_secs(60);
/// How long the guard waits for a sentinel that was told of its end.
const FAREWELL: Duration = Duration::from_secs(1);
/// Between two starts.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a sentinel may send nothing back. One that never did is still starting, which takes a loaded machine its time. Each that
/// was replaced before its first answer (`stillborn`) gives the next one twice as long: replaced at one pace for ever, none would
/// come up on a machine that is slower than that, and their starts would load it even more.
fn patience(awake: bool, stillborn: u32) -> Duration {
    if awake {
        return DEAF;
    }
    let twice = 2_u32.saturating_pow(stillborn.saturating_add(1));
    DEAF.saturating_mul(twice).min(LONGEST_START)
}

struct Running {
    /// Has it ever sent something back?
    awake: bool,
    child: Child,
    echoed: Instant,
    /// Sends at once; tokio's handle would first wait to be told that the socket takes something.
    send: std::os::unix::net::UnixDatagram,
    socket: UnixDatagram,
}

impl Running {
    fn hear(&mut self) {
        let mut buffer = [0; 8];
        while self.socket.try_recv(&mut buffer).is_ok() {
            self.echoed = awake();
            self.awake = true;
        }
    }
}

/// The sentinel as the guard sees it. Without parameters it does nothing.
pub(crate) struct Link {
    due: Option<Instant>,
    number: u64,
    params: Option<SentinelParams>,
    running: Option<Running>,
    sent: Instant,
    started: Option<Instant>,
    /// How many in a row were replaced before their first answer.
    stillborn: u32,
}

impl Link {
    pub(crate) fn new(params: Option<SentinelParams>) -> Self {
        Self {
            due: None,
            number: 0,
            params,
            running: None,
            sent: awake(),
            started: None,
            stillborn: 0,
        }
    }

    /// Starts the sentinel if there is none and it is not too soon.
    pub(crate) fn keep(&mut self) {
        let now = awake();
        let (Some(params), None) = (&self.params, &self.running) else {
            return;
        };
        if self.started.is_some_and(|at| now.since(at) < PAUSE) {
            return;
        }
        self.started = Some(now);
        self.number += 1;
        let beat = Beat::Alive {
            due: self.due,
            number: self.number,
        };
        match start(params, now, beat) {
            Ok(running) => {
                self.running = Some(running);
                self.sent = now;
            }
            Err(error) => tracing::error!(%error, "the sentinel of the relay guard cannot be started"),
        }
    }

    /// Starts the sentinel and waits until it watches, so that nothing is energised before.
    pub(crate) async fn first(&mut self) {
        self.keep();
        let watches = async {
            while self.running.as_ref().is_some_and(|r| !r.awake) {
                self.changed().await;
            }
        };
        if tokio::time::timeout(DEAF, watches).await.is_err() {
            tracing::error!(
                "the sentinel of the relay guard did not start in time; the guard works without it"
            );
        }
    }

    /// Sends a beat if `due` changed or a beat is due; call before an output is energised.
    pub(crate) fn beat(&mut self, due: Option<Instant>) {
        let every = if due.is_some() { FAST } else { SLOW };
        if due != self.due || awake().since(self.sent) >= every {
            self.send(due);
        }
    }

    /// Time until [`beat`](Self::beat) has to be called again.
    pub(crate) fn wait(&self) -> Duration {
        let every = if self.due.is_some() { FAST } else { SLOW };
        every.saturating_sub(awake().since(self.sent))
    }

    /// Waits until the sentinel sent something back or ended; forever without one.
    pub(crate) async fn changed(&mut self) {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = running.socket.readable() => {
                running.hear();
            }
            status = running.child.wait() => {
                tracing::error!(?status, "the sentinel of the relay guard ended and is started again");
                self.running = None;
            }
        }
    }

    /// Everything rests and the guard ends. Waits a moment until the sentinel has ended too: what it sends back to a
    /// socket that is closed makes the kernel drop what still waits for it, the goodbye with it (Linux,
    /// `unix_dgram_disconnected`), and it would write the boards to rest as after a crash.
    pub(crate) async fn goodbye(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.send.send(&Beat::Goodbye.encode());
            let _ = tokio::time::timeout(FAREWELL, running.child.wait()).await;
        }
    }

    fn send(&mut self, due: Option<Instant>) {
        let now = awake();
        self.due = due;
        self.sent = now;
        let Some(running) = &mut self.running else { return };
        self.number += 1;
        // After a standstill of our own its answers are still waiting.
        running.hear();
        let sent = running.send.send(
            &Beat::Alive {
                due,
                number: self.number,
            }
            .encode(),
        );
        let deaf = now.since(running.echoed) > patience(running.awake, self.stillborn);
        if running.awake {
            self.stillborn = 0;
        } else if deaf {
            self.stillborn = self.stillborn.saturating_add(1);
        }
        if sent.is_err() || deaf {
            tracing::error!(
                ?sent,
                deaf,
                "the sentinel of the relay guard stands still and is replaced"
            );
            let _ = running.child.start_kill();
            self.running = None;
        }
    }
}

fn start(params: &SentinelParams, now: Instant, beat: Beat) -> std::io::Result<Running> {
    let (ours, theirs) = std::os::unix::net::UnixDatagram::pair()?;
    ours.set_nonblocking(true)?;
    let send = ours.try_clone()?;
    // Before it runs: if we die while it starts, it finds in the socket what is energised.
    send.send(&beat.encode())?;
    // It inherits the mask and lifts it when it ignores them: until then they would end it. The kernel itself sends
    // SIGHUP to a stopped process whose group loses its parent (POSIX.1-2017, _Exit()).
    let mask = stop_signals().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let child = Command::new(&params.program)
        .args(&params.args)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        // It must outlive us, also when our process group is killed.
        .process_group(0)
        .kill_on_drop(false)
        .spawn();
    mask.thread_set_mask()?;
    let child = child?;
    Ok(Running {
        awake: false,
        child,
        echoed: now,
        send,
        socket: UnixDatagram::from_std(ours)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_that_starts_slowly_gets_longer_each_time_and_one_that_answered_gets_three_seconds() {
        let starts: Vec<u64> = (0..6).map(|n| patience(false, n).as_secs()).collect();
        assert_eq!(starts, [6, 12, 24, 48, 60, 60]);
        assert_eq!(patience(false, u32::MAX), LONGEST_START);
        for stillborn in [0, 3, u32::MAX] {
            assert_eq!(patience(true, stillborn), DEAF);
        }
    }
}
