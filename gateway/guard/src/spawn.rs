//! Starts the guard as a child, and starts it again when it ends.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::Silence;
use crate::clock::awake;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A guard that lived this long is started again without waiting.
const LIVED: Duration = Duration::from_secs(10);
/// Time for an orderly end.
const STOP: Duration = Duration::from_secs(3);

/// Which program is the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnParams {
    /// For example `relay-guard --config FILE --follow-stdin`.
    pub args: Vec<OsString>,
    /// For example `/proc/self/exe`.
    pub program: PathBuf,
}

/// A guard that is kept running. Dropping it closes the guard's standard input, which ends it too.
#[derive(Debug)]
pub struct GuardProcess {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts the guard and keeps it running until [`GuardProcess::stop`]. Its standard input is a pipe that we
/// hold: when this process dies in whatever way, the guard sees its end, lets the leases run out, and ends.
/// A guard that falls silent is killed: its sentinel may be frozen, too, and the next guard begins at rest.
#[must_use]
pub fn spawn_guard(params: SpawnParams, silence: Silence) -> GuardProcess {
    let (stop, stopped) = oneshot::channel();
    GuardProcess {
        stop,
        task: tokio::spawn(keep_running(params, silence, stopped)),
    }
}

impl GuardProcess {
    /// Ends the guard in good order: everything is written to rest. Kills it after 3 s.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn keep_running(params: SpawnParams, silence: Silence, mut stopped: oneshot::Receiver<()>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = awake();
        silence.forget().await;
        match start(&params) {
            Ok(mut child) => {
                // Taken out: waiting for a child closes what it still holds of its standard input.
                let _pipe = child.stdin.take();
                loop {
                    tokio::select! {
                        status = child.wait() => {
                            match status {
                                Ok(status) => tracing::error!(%status, "the relay guard ended and is started again"),
                                Err(error) => tracing::error!(%error, "the relay guard cannot be waited for"),
                            }
                            break;
                        }
                        () = silence.fell() => {
                            let _ = child.start_kill();
                            tracing::error!("the relay guard does not answer and is killed");
                        }
                        _ = &mut stopped => return end(child).await,
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, program = %params.program.display(), "the relay guard cannot be started");
            }
        }
        if awake().since(started) >= LIVED {
            pause = FIRST_PAUSE;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            _ = &mut stopped => return,
        }
    }
}

fn start(params: &SpawnParams) -> std::io::Result<Child> {
    Command::new(&params.program)
        .args(&params.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        // A key press at the terminal is for the gateway, which then stops the guard in good order.
        .process_group(0)
        .spawn()
}

async fn end(mut child: Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(STOP, child.wait()).await.is_err() {
        tracing::error!("the relay guard did not end in time and is killed");
        let _ = child.kill().await;
    }
}
