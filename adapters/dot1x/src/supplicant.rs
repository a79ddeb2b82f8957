//! `wpa_supplicant` as the driver sees it: commands and messages over its control socket.
//!
//! There are two ways to one. A supplicant with a unit of its own runs anyway and is attached to, so that the gateway
//! needs no capability. Without that, a gateway that has the capability (`CAP_NET_RAW`) starts one as its child. Either is told
//! everything over the socket: no secret is in an argument or in a file.
//!
//! Two datagram sockets are ours: one for commands and their answers, one that is attached for messages.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixDatagram;
use tokio::time::{sleep, timeout};

use crate::child::{Child, permitted};
use crate::manager::{supplicant_in, unit_of};
use crate::params::Params;

/// An answer takes milliseconds; a supplicant that needs longer than this hangs.
const ANSWER: Duration = Duration::from_secs(5);
/// From the request to end to the end, for one that was left behind.
const END: Duration = Duration::from_millis(1500);
/// From the end to the control socket of the successor that its unit starts.
const BACK: Duration = Duration::from_secs(10);
/// A message can hold a whole certificate in hexadecimal.
const MESSAGE: usize = 16 * 1024;
/// Most bytes of a path of a UNIX socket (`sun_path`, unix(7)).
const SOCKET_PATH: usize = 107;
/// The names of our sockets.
const OURS: [&str; 2] = ["commands.sock", "messages.sock"];

/// A running supplicant.
#[derive(Debug)]
pub(crate) struct Supplicant {
    /// `None` if it runs in a unit of its own.
    child: Option<Child>,
    commands: UnixDatagram,
    dir: PathBuf,
    events: UnixDatagram,
}

/// The folder of our sockets, and of the control socket of a child.
pub(crate) fn folder(params: &Params) -> PathBuf {
    params.run_dir.join("dot1x")
}

impl Supplicant {
    /// Finds the one of the unit, or starts one. A child that a gateway which was killed left behind is ended first; it
    /// does not log off, so an open port stays open.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn find(params: &Params) -> Result<Self, String> {
        let dir = folder(params);
        let unit = params.control_dir.join(&params.interface);
        let control = dir.join("ctrl");
        let server = control.join(&params.interface);
        for path in [&unit, &server, &dir.join(OURS[1])] {
            let length = path.as_os_str().len();
            if length > SOCKET_PATH {
                return Err(format!(
                    "{} has {length} bytes, a socket's path at most {SOCKET_PATH}; set run-dir and control-dir to shorter ones",
                    path.display()
                ));
            }
        }
        make(&dir).map_err(failed(&dir))?;
        end_old(params, &dir, &server).await;
        let refused = match Self::attach(None, dir.clone(), &unit).await {
            Ok(supplicant) => return Ok(supplicant),
            Err(why) => why,
        };
        if permitted() {
            // two on one port put each other out, and one that hangs is still there
            if let Some(unit) = look(params, &params.control_dir, unit_of).await {
                let interface = &params.interface;
                return Err(format!(
                    "{refused}, but the wpa_supplicant of its unit runs ({unit}); if it stays so, run \
                     `systemctl restart doorline-dot1x@{interface}`"
                ));
            }
            let child = Child::start(params, &control, &server).await?;
            return Self::attach(Some(child), dir, &server).await;
        }
        Err(format!(
            "{refused}; run `systemctl enable --now doorline-dot1x@{}`, for without CAP_NET_RAW the gateway \
             cannot start one itself",
            params.interface
        ))
    }

    /// Has the one of the unit end, whose interface is gone: its sockets stay deaf if another comes. Its unit starts it
    /// anew. True if it ended.
    pub(crate) async fn end_deaf(params: &Params) -> bool {
        let (dir, unit) = (folder(params), params.control_dir.join(&params.interface));
        unit.exists() && make(&dir).is_ok() && terminate(&dir, &unit).await
    }

    /// Waits until the unit has started it anew, but not for long: nobody knows whether there is a unit.
    pub(crate) async fn comes_back(params: &Params) {
        let unit = params.control_dir.join(&params.interface);
        let there = async {
            while !unit.exists() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let _ = timeout(BACK, there).await;
    }

    /// Makes our sockets and has messages sent.
    async fn attach(child: Option<Child>, dir: PathBuf, server: &Path) -> Result<Self, String> {
        let commands = client(&dir.join(OURS[0]), server).map_err(failed(server))?;
        let events = client(&dir.join(OURS[1]), server).map_err(failed(server))?;
        match exchange(&events, "ATTACH").await?.as_str() {
            "OK" => Ok(Self {
                child,
                commands,
                dir,
                events,
            }),
            other => Err(format!("ATTACH was answered with {other:?}")),
        }
    }

    /// Does a supplicant with a unit of its own run beside a child? Two on one port put each other out.
    pub(crate) async fn is_doubled(&self, params: &Params) -> bool {
        self.child.is_some() && look(params, &params.control_dir, unit_of).await.is_some()
    }

    /// Sends a command and gives its answer.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn command(&self, command: &str) -> Result<String, String> {
        exchange(&self.commands, command).await
    }

    /// Sends a command that must be done; errors name its first `words` words, for the others may be secret.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) async fn must(&self, words: usize, command: &str) -> Result<(), String> {
        match self.command(command).await?.as_str() {
            "OK" => Ok(()),
            other => {
                let named: Vec<&str> = command.split(' ').take(words).collect();
                Err(format!("{} was answered with {other:?}", named.join(" ")))
            }
        }
    }

    /// The next message, with its level; or why there will be none.
    ///
    /// # Errors
    /// The supplicant has ended. One in a unit may end without a word, and is found out by the next command.
    pub(crate) async fn message(&mut self) -> Result<String, String> {
        let mut buffer = vec![0; MESSAGE];
        let ended = async {
            match &mut self.child {
                Some(child) => child.ended().await,
                None => std::future::pending().await,
            }
        };
        let got = tokio::select! {
            got = self.events.recv(&mut buffer) => got,
            end = ended => return Err(end),
        };
        let n = got.map_err(|error| format!("its control socket failed: {error}"))?;
        let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
        if self.child.is_none() && text.contains("CTRL-EVENT-TERMINATING") {
            return Err("its unit was stopped".to_owned());
        }
        Ok(text)
    }

    /// Ends a child; takes its network from another, which then answers nobody. There is no EAPOL-Logoff: the switch
    /// keeps the port open for a successor.
    pub(crate) async fn stop(self) {
        match self.child {
            Some(child) => child.stop().await,
            None => {
                let _ = exchange(&self.commands, "REMOVE_NETWORK all").await;
            }
        }
        for name in OURS {
            let _ = std::fs::remove_file(self.dir.join(name));
        }
    }
}

fn failed(what: &Path) -> impl FnOnce(std::io::Error) -> String {
    let what = what.display().to_string();
    move |error| format!("{what}: {error}")
}

/// Looks through the processes for one of the port with its folder `dir`, away from the doors' thread.
async fn look<T: Send + 'static>(
    params: &Params,
    dir: &Path,
    find: fn(&str, &Path) -> Option<T>,
) -> Option<T> {
    let (interface, dir) = (params.interface.clone(), dir.to_owned());
    let found = tokio::task::spawn_blocking(move || find(&interface, &dir)).await;
    found.ok().flatten()
}

/// Ends a supplicant that a gateway before left on our socket, and clears the place. One that hangs is killed.
async fn end_old(params: &Params, dir: &Path, server: &Path) {
    if !server.exists() {
        return;
    }
    if !terminate(dir, server).await
        && let Some(pid) = look(params, dir, supplicant_in).await.and_then(Pid::from_raw)
    {
        let _ = kill_process(pid, Signal::KILL);
    }
    let _ = std::fs::remove_file(server);
}

/// Has the supplicant behind `server` end. True if it did, and took its socket with it.
async fn terminate(dir: &Path, server: &Path) -> bool {
    if let Ok(socket) = client(&dir.join(OURS[0]), server) {
        let _ = exchange(&socket, "TERMINATE").await;
        let gone = async {
            while server.exists() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = timeout(END, gone).await;
    }
    !server.exists()
}

/// The folder of our sockets.
fn make(dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
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
