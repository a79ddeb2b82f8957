//! `wpa_supplicant` as a child: started, spoken to over its control socket, ended.
//!
//! Two datagram sockets are ours: one for commands and their answers, one that is attached for messages. No secret is in
//! an argument or in the configuration file; everything of the network goes over the socket.

use std::collections::VecDeque;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::params::Params;

/// An answer takes milliseconds; a supplicant that needs longer than this hangs.
const ANSWER: Duration = Duration::from_secs(5);
/// From the start to the control socket.
const START: Duration = Duration::from_secs(10);
/// From the request to end to the end.
const STOP: Duration = Duration::from_millis(1500);
/// A message can hold a whole certificate in hexadecimal.
const MESSAGE: usize = 16 * 1024;
/// Last lines that are kept of what the program writes, for telling why it ended.
const LINES: usize = 4;
/// Most bytes of a path of a UNIX socket (`sun_path`, unix(7)).
const SOCKET_PATH: usize = 107;

/// A running supplicant.
#[derive(Debug)]
pub(crate) struct Supplicant {
    child: Child,
    commands: UnixDatagram,
    dir: PathBuf,
    events: UnixDatagram,
    said: Said,
}

/// The last lines the program wrote.
type Said = Arc<Mutex<VecDeque<String>>>;

fn last(said: &Said) -> String {
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    said.iter().cloned().collect::<Vec<_>>().join("; ")
}

/// The folder of its files.
pub(crate) fn folder(params: &Params) -> PathBuf {
    params.run_dir.join("dot1x")
}

impl Supplicant {
    /// Starts it. One that a gateway which was killed left behind is ended first; it does not log off, so an open port
    /// stays open.
    ///
    /// # Errors
    /// Why it does not run, with the last it said.
    pub(crate) async fn start(params: &Params) -> Result<Self, String> {
        let dir = folder(params);
        let control = dir.join("ctrl");
        let server = control.join(&params.interface);
        for path in [&server, &dir.join("messages.sock")] {
            let length = path.as_os_str().len();
            if length > SOCKET_PATH {
                return Err(format!(
                    "{} has {length} bytes, a socket's path at most {SOCKET_PATH}; set run-dir to a shorter one",
                    path.display()
                ));
            }
        }
        let failed = |what: &Path| {
            let what = what.display().to_string();
            move |error: std::io::Error| format!("{what}: {error}")
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(failed(&dir))?;
        end_old(&dir, &server).await;
        let file = dir.join("wpa.conf");
        write(
            &file,
            &format!(
                "ctrl_interface={}\nap_scan=0\neapol_version=2\nupdate_config=0\n",
                control.display()
            ),
        )
        .map_err(failed(&file))?;
        let mut child = Command::new(&params.program)
            .args(["-D", "wired", "-i", &params.interface, "-c"])
            .arg(&file)
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
        if let Some(out) = child.stdout.take() {
            tokio::spawn(listen(out, Arc::clone(&said)));
        }
        if let Some(out) = child.stderr.take() {
            tokio::spawn(listen(out, Arc::clone(&said)));
        }
        let up = async {
            while !server.exists() {
                if let Ok(Some(status)) = child.try_wait() {
                    // its last lines may be on their way
                    sleep(Duration::from_millis(50)).await;
                    return Err(format!("it ended with {status}: {}", last(&said)));
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
                    last(&said)
                ));
            }
        }
        let commands = client(&dir.join("commands.sock"), &server).map_err(failed(&server))?;
        let events = client(&dir.join("messages.sock"), &server).map_err(failed(&server))?;
        let supplicant = Self {
            child,
            commands,
            dir,
            events,
            said,
        };
        let attached = exchange(&supplicant.events, "ATTACH").await?;
        if attached != "OK" {
            return Err(format!("ATTACH was answered with {attached:?}"));
        }
        Ok(supplicant)
    }

    /// Sends a command and gives its answer.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn command(&self, command: &str) -> Result<String, String> {
        exchange(&self.commands, command).await
    }

    /// The next message, with its level; or why there will be none.
    ///
    /// # Errors
    /// The supplicant has ended.
    pub(crate) async fn message(&mut self) -> Result<String, String> {
        let mut buffer = vec![0; MESSAGE];
        tokio::select! {
            got = self.events.recv(&mut buffer) => match got {
                Ok(n) => Ok(String::from_utf8_lossy(&buffer[..n]).into_owned()),
                Err(error) => Err(format!("its control socket failed: {error}")),
            },
            end = self.child.wait() => {
                let end = end.map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(format!("it ended with {end}: {}", last(&self.said)))
            }
        }
    }

    /// Ends it. There is no EAPOL-Logoff: the switch keeps the port open for a successor.
    pub(crate) async fn stop(mut self) {
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if timeout(STOP, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
        for name in ["commands.sock", "messages.sock", "wpa.conf"] {
            let _ = std::fs::remove_file(self.dir.join(name));
        }
    }
}

/// Ends a supplicant that answers on our socket, and clears the place.
async fn end_old(dir: &Path, server: &Path) {
    if !server.exists() {
        return;
    }
    if let Ok(socket) = client(&dir.join("commands.sock"), server) {
        let _ = exchange(&socket, "TERMINATE").await;
        let gone = async {
            while server.exists() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = timeout(STOP, gone).await;
    }
    let _ = std::fs::remove_file(server);
}

/// A socket of ours, to which the supplicant answers.
fn client(ours: &Path, server: &Path) -> std::io::Result<UnixDatagram> {
    match std::fs::remove_file(ours) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let socket = UnixDatagram::bind(ours)?;
    socket.connect(server)?;
    Ok(socket)
}

async fn exchange(socket: &UnixDatagram, command: &str) -> Result<String, String> {
    // the values of a command may be secret; its first word is not
    let word = command.split(' ').next().unwrap_or_default();
    let talk = async {
        socket.send(command.as_bytes()).await?;
        let mut buffer = vec![0; MESSAGE];
        loop {
            let n = socket.recv(&mut buffer).await?;
            let text = String::from_utf8_lossy(&buffer[..n]);
            // a message that came before the answer, on the attached socket
            if !text.starts_with('<') {
                return Ok::<_, std::io::Error>(text.trim_end().to_owned());
            }
        }
    };
    match timeout(ANSWER, talk).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("{word} failed: {error}")),
        Err(_) => Err(format!("{word} was not answered within {} s", ANSWER.as_secs())),
    }
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let mut out = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?;
    std::io::Write::write_all(&mut out, text.as_bytes())
}

/// Keeps the last lines. Without `-d` the supplicant writes few, and no keys.
async fn listen(out: impl AsyncRead + Unpin, said: Said) {
    let mut lines = BufReader::new(out).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line: String = line.chars().filter(|c| !c.is_control()).take(200).collect();
        tracing::debug!(target: "wpa_supplicant", "{line}");
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == LINES {
            said.pop_front();
        }
        said.push_back(line);
    }
}
