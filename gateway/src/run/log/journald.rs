//! The journal of systemd, by its native protocol: a datagram for each line.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use super::line::Line;

/// Where it listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// How long it may take for a line.
const PATIENCE: Duration = Duration::from_secs(1);

/// Is standard error the journal's? systemd tells its device and inode (`JOURNAL_STREAM` of `systemd.exec(5)`).
pub(super) fn is_standard_error() -> bool {
    let told = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let found = std::fs::metadata("/proc/self/fd/2");
    found.is_ok_and(|found| told == format!("{}:{}", found.dev(), found.ino()))
}

/// The way to it.
pub(super) struct Journal {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Default for Journal {
    fn default() -> Self {
        Self::at(SOCKET.into())
    }
}

impl Journal {
    pub(super) const fn at(path: PathBuf) -> Self {
        Self { path, socket: None }
    }

    /// Sends a line; once more over a new socket, since the journal may have been started anew.
    pub(super) fn send(&mut self, line: &Line) -> io::Result<()> {
        let datagram = line.journal();
        if let Some(socket) = &self.socket
            && socket.send(&datagram).is_ok()
        {
            return Ok(());
        }
        self.socket = None;
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.send(&datagram)?;
        self.socket = Some(socket);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::line;
    use super::*;

    #[test]
    fn a_journal_that_is_started_anew_gets_the_next_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("socket");
        let mut journal = Journal::at(path.clone());
        assert!(journal.send(&line()).is_err(), "nobody is there");
        for _ in 0..2 {
            let server = UnixDatagram::bind(&path).expect("binds");
            server
                .set_read_timeout(Some(Duration::from_secs(20)))
                .expect("set");
            journal.send(&line()).expect("taken");
            let mut bytes = [0; 8192];
            let n = server.recv(&mut bytes).expect("it comes");
            assert_eq!(&bytes[..n], line().journal());
            std::fs::remove_file(&path).expect("removed");
        }
    }
}
