//! The port itself: opened and shut as hostapd says.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::{BRIDGE, PORT, must};
use crate::rig::Rig;

/// Shuts the port and forgets who was let in, or was learnt before.
pub(super) fn lock(sw: &str) -> anyhow::Result<()> {
    // first nothing is learnt any more, then what was learnt goes
    let off = [
        "locked",
        "on",
        "learning",
        "off",
        "flood",
        "off",
        "mcast_flood",
        "off",
        "bcast_flood",
        "off",
    ];
    must(
        "bridge",
        &[&["-n", sw, "link", "set", "dev", PORT][..], &off[..]].concat(),
    )?;
    // the port's own address is permanent, and the bridge's as well: without it nothing reaches the switch itself
    let flush = ["fdb", "flush", "dev", BRIDGE, "brport", PORT, "nopermanent"];
    must("bridge", &[&["-n", sw][..], &flush[..]].concat())
}

/// Lets an address in, or nobody any more.
fn set(sw: &str, mac: &str, open: bool) -> anyhow::Result<()> {
    let entry: &[&str] = if open {
        &["-n", sw, "fdb", "replace", mac, "dev", PORT, "master", "static"]
    } else {
        &["-n", sw, "fdb", "del", mac, "dev", PORT, "master"]
    };
    // one that is to go may have gone with the link
    let entered = must("bridge", entry);
    if open {
        entered?;
    }
    let on = if open { "on" } else { "off" };
    let words = ["flood", on, "mcast_flood", on, "bcast_flood", on];
    must(
        "bridge",
        &[&["-n", sw, "link", "set", "dev", PORT][..], &words[..]].concat(),
    )
}

/// hostapd answers at once; a machine that is busy may keep it waiting.
const ANSWER: Duration = Duration::from_secs(30);

/// A client of hostapd's control socket; the answer goes to a path of its own.
struct Client {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Client {
    fn new(dir: &Path, server: &Path) -> std::io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("client-{n}.sock"));
        let socket = UnixDatagram::bind(&path)?;
        let client = Self { path, socket };
        client.socket.connect(server)?;
        client.socket.set_read_timeout(Some(ANSWER))?;
        Ok(client)
    }

    fn ask(&self, command: &str) -> std::io::Result<String> {
        self.socket.send(command.as_bytes())?;
        loop {
            let text = self.next()?;
            if !text.starts_with('<') {
                return Ok(text);
            }
        }
    }

    fn next(&self) -> std::io::Result<String> {
        let mut buffer = [0; 4096];
        let n = self.socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..n]).into_owned())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One question to hostapd.
pub(super) fn ask(dir: &Path, server: &Path, command: &str) -> anyhow::Result<String> {
    let ask = || Client::new(dir, server)?.ask(command);
    ask().with_context(|| format!("hostapd does not answer {command}"))
}

/// The first station, if hostapd has let it in.
fn let_in(first: &str) -> Option<&str> {
    let mac = first.lines().next().filter(|mac| mac.contains(':'))?;
    first.contains("[AUTHORIZED]").then_some(mac)
}

/// How often hostapd is asked whom it lets in. What it announces wakes the gate at once, but an announcement can be lost:
/// the kernel keeps ten for one that is busy, and hostapd does not wait.
const ASK: Duration = Duration::from_millis(250);

/// The port as hostapd has it.
struct Follower {
    dir: PathBuf,
    news: Client,
    open_for: Option<String>,
    server: PathBuf,
    sw: String,
}

impl Follower {
    fn new(dir: &Path, sw: &str, server: &Path) -> std::io::Result<Self> {
        let follower = Self {
            dir: dir.to_owned(),
            news: Client::new(dir, server)?,
            open_for: None,
            server: server.to_owned(),
            sw: sw.to_owned(),
        };
        follower.news.socket.set_read_timeout(Some(ASK))?;
        Ok(follower)
    }

    /// Asks who is let in, and opens or shuts the port. What fails is done the next time.
    fn follow(&mut self) -> anyhow::Result<()> {
        let first = ask(&self.dir, &self.server, "STA-FIRST")?;
        let now = let_in(&first);
        if self.open_for.as_deref() == now {
            return Ok(());
        }
        if let Some(mac) = self.open_for.take() {
            set(&self.sw, &mac, false)?;
        }
        if let Some(mac) = now {
            set(&self.sw, mac, true)?;
            self.open_for = Some(mac.to_owned());
        }
        Ok(())
    }
}

/// The thread that works the port.
#[derive(Debug)]
pub(super) struct Gate {
    dir: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Gate {
    pub(super) fn start(rig: &Rig, sw: &str, server: &Path) -> anyhow::Result<Self> {
        let mut port = Follower::new(rig.dir(), sw, server).context("hostapd's control socket")?;
        let answer = port.news.ask("ATTACH")?;
        ensure!(answer.starts_with("OK"), "ATTACH: {answer}");
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let _ = port.follow();
                let _ = port.news.next();
            }
        });
        Ok(Self {
            dir: rig.dir().to_owned(),
            stop,
            thread: Some(thread),
        })
    }

    /// Has hostapd forget every station at once. Told to drop one by its address, it would keep a timer and drop it once
    /// more five seconds later, whoever has been let in by then (`AP_MAX_INACTIVITY_AFTER_DEAUTH`).
    pub(super) fn forget_all(&self, server: &Path) -> anyhow::Result<()> {
        let client = Client::new(&self.dir, server).context("hostapd's control socket")?;
        let answer = client.ask("DEAUTHENTICATE ff:ff:ff:ff:ff:ff")?;
        ensure!(answer.starts_with("OK"), "DEAUTHENTICATE: {answer}");
        Ok(())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
