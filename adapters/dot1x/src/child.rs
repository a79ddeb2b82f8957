//! `wpa_supplicant` as a child of the gateway, where the gateway has the capability that it needs.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CapabilitySet, capabilities};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child as Process, Command};
use tokio::time::{sleep, timeout};

use crate::params::Params;

/// From the start to the control socket.
const START: Duration = Duration::from_secs(10);
/// From the request to end to the end.
const STOP: Duration = Duration::from_millis(1500);
/// Last lines that are kept of what the program writes, for telling why it ended.
const LINES: usize = 4;
/// Most bytes of a line that are kept.
const LINE: usize = 200;

/// True if this process may start a supplicant, which sends raw frames.
pub(crate) fn permitted() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_RAW))
}

/// The program while it runs. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
    said: Said,
}

impl Child {
    /// Starts it and waits for its control socket `server` in the folder `control`. No secret is in an argument.
    ///
    /// # Errors
    /// Why it does not run, with the last it said.
    pub(crate) async fn start(params: &Params, control: &Path, server: &Path) -> Result<Self, String> {
        let mut process = Command::new(&params.program)
            .args(["-D", "wired", "-i", &params.interface, "-C"])
            .arg(control)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let program = params.program.display();
                if error.kind() == std::io::ErrorKind::NotFound {
                    format!("{program} is not there; install the package wpasupplicant")
                } else {
                    format!("{program}: {error}")
                }
            })?;
        let said = Said::default();
        if let Some(out) = process.stdout.take() {
            tokio::spawn(listen(out, said.clone()));
        }
        if let Some(out) = process.stderr.take() {
            tokio::spawn(listen(out, said.clone()));
        }
        let up = async {
            while !server.exists() {
                if let Ok(Some(status)) = process.try_wait() {
                    // its last lines may be on their way
                    sleep(Duration::from_millis(50)).await;
                    return Err(format!("it ended with {status}: {}", said.last()));
                }
                sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        match timeout(START, up).await {
            Ok(end) => end?,
            Err(_) => {
                return Err(format!(
                    "it opened no control socket within {} s: {}",
                    START.as_secs(),
                    said.last()
                ));
            }
        }
        Ok(Self { process, said })
    }

    /// Waits for its end; how it ended, with the last it said.
    pub(crate) async fn ended(&mut self) -> String {
        let end = self.process.wait().await;
        let end = end.map_or_else(|error| error.to_string(), |status| status.to_string());
        format!("it ended with {end}: {}", self.said.last())
    }

    /// Ends it. There is no EAPOL-Logoff: the switch keeps the port open for a successor.
    pub(crate) async fn stop(mut self) {
        let pid = self
            .process
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(STOP, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }
}

/// The last lines the program wrote.
#[derive(Clone, Debug, Default)]
struct Said(Arc<Mutex<VecDeque<String>>>);

impl Said {
    fn last(&self) -> String {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().cloned().collect::<Vec<_>>().join("; ")
    }

    fn keep(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        tracing::debug!(target: "wpa_supplicant", "{line}");
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == LINES {
            said.pop_front();
        }
        said.push_back(line);
    }
}

/// Keeps the last lines. Without `-d` the supplicant writes few, and no keys; what it repeats of a stranger's server may
/// be no text at all, and endless.
async fn listen(mut out: impl AsyncRead + Unpin, said: Said) {
    let (mut buffer, mut line) = ([0; 512], Vec::new());
    loop {
        let n = match out.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(n) => n,
        };
        for byte in &buffer[..n] {
            if *byte == b'\n' {
                said.keep(&line);
                line.clear();
            } else if line.len() < LINE {
                line.push(*byte);
            }
        }
    }
    if !line.is_empty() {
        said.keep(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(bytes: &[u8]) -> String {
        let said = Said::default();
        listen(bytes, said.clone()).await;
        said.last()
    }

    #[tokio::test]
    async fn what_is_no_text_neither_ends_the_listening_nor_is_lost() {
        let heard = said(b"first\nsubject '\xff\xfe\x1b'\nl\xc3\xa4st\nwithout an end").await;
        assert_eq!(
            heard,
            "first; subject '\u{fffd}\u{fffd}'; l\u{e4}st; without an end"
        );
    }

    #[tokio::test]
    async fn only_the_last_lines_are_kept_and_only_the_beginning_of_each() {
        let mut text = b"1\n2\n3\n4\n5\n".to_vec();
        text.extend(vec![b'x'; 100_000]);
        let heard = said(&text).await;
        assert_eq!(heard, format!("3; 4; 5; {}", "x".repeat(LINE)));
    }
}
