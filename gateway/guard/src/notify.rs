//! systemd's notification socket: one datagram, see sd_notify(3).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Tells systemd how we are; does nothing when systemd does not listen.
#[derive(Debug, Default)]
pub struct Systemd {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    #[must_use]
    pub fn from_env() -> Self {
        let text = |name| std::env::var(name).ok();
        let for_us = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        Self::new(
            text("NOTIFY_SOCKET").as_deref(),
            text("WATCHDOG_USEC").filter(|_| for_us).as_deref(),
        )
    }

    fn new(socket: Option<&str>, watchdog_usec: Option<&str>) -> Self {
        let address = socket.and_then(|path| match path.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(path).ok(),
        });
        let to = address.and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            // the guard waits for nobody, not for systemd either
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        let usec = watchdog_usec
            .and_then(|usec| usec.parse().ok())
            .filter(|usec| *usec > 0);
        Self {
            to,
            watchdog: usec.map(Duration::from_micros),
        }
    }

    /// How often [`alive`](Self::alive) is due: half of what systemd waits. `None` without watchdog.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.to.is_some()).map(|usec| usec / 2)
    }

    /// We are ready.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
    }

    /// We stop.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// The loop turns.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = socket.send_to_addr(text.as_bytes(), address)
        {
            tracing::debug!(%error, "systemd could not be told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_one_datagram() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).expect("bound");
        let systemd = Systemd::new(path.to_str(), Some("3000000"));
        assert_eq!(systemd.interval(), Some(Duration::from_millis(1500)));
        systemd.ready("2 outputs\nat rest");
        systemd.alive();
        systemd.stopping();
        let mut buffer = [0; 100];
        for expected in ["READY=1\nSTATUS=2 outputs at rest", "WATCHDOG=1", "STOPPING=1"] {
            let n = listener.recv(&mut buffer).expect("a datagram");
            assert_eq!(&buffer[..n], expected.as_bytes());
        }
    }

    #[test]
    fn without_systemd_nothing_is_sent_and_no_watchdog_runs() {
        let systemd = Systemd::new(None, Some("3000000"));
        assert_eq!(systemd.interval(), None);
        systemd.alive();
    }
}
