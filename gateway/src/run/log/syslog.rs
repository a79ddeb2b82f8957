//! Lines for a syslog: a thread of its own waits for it, and nobody else does.

use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_config::{LogSyslog, LogTransport};
use gateway_notify::{DATAGRAM, MESSAGE, SyslogLine};

use super::line::Line;

/// Lines that wait for it.
const LINES: usize = 1024;
/// How long a server may take for a connection, and for what is sent.
const PATIENCE: Duration = Duration::from_secs(3);
/// From one try to the next.
const AGAIN: Duration = Duration::from_secs(2);
/// The machine's own.
const LOCAL: &str = "/dev/log";

/// A line, or a mark that is answered when everything before it is sent or lost.
enum Entry {
    Line(Arc<Line>),
    Mark(SyncSender<()>),
}

/// The way to a syslog. When it is dropped, its thread sends what it has and ends.
pub(super) struct Syslog {
    lost: Arc<AtomicU64>,
    pub(super) params: LogSyslog,
    to: SyncSender<Entry>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Syslog {
    pub(super) fn start(params: LogSyslog, lost: &Arc<AtomicU64>) -> Self {
        let (to, queue) = sync_channel(LINES);
        let trouble = Arc::<Mutex<Option<String>>>::default();
        let work = Work {
            facility: params.facility.number(),
            host: host(),
            to: Target::of(&params),
            lost: Arc::clone(lost),
            told: 0,
            trouble: Arc::clone(&trouble),
        };
        // without the thread every line is lost, and nothing else is
        let _ = std::thread::Builder::new()
            .name("log-syslog".to_owned())
            .spawn(move || work.run(&queue));
        Self {
            lost: Arc::clone(lost),
            params,
            to,
            trouble,
        }
    }

    /// Gives a line, without waiting.
    pub(super) fn line(&self, line: &Arc<Line>) {
        if self.to.try_send(Entry::Line(Arc::clone(line))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, not for longer than this, until what was given is sent.
    pub(super) fn flush(&self, patience: Duration) {
        let (done, sent) = sync_channel(1);
        if self.to.try_send(Entry::Mark(done)).is_ok() {
            let _ = sent.recv_timeout(patience);
        }
    }

    /// Why it takes nothing; `None` if it does.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Name of this machine, as RFC 5424 §6.2.4 takes it.
fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name: String = name.chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

/// Where lines go.
enum Target {
    Local,
    Tcp(String),
    Udp(String),
}

impl Target {
    fn of(params: &LogSyslog) -> Self {
        let Some(server) = &params.server else {
            return Self::Local;
        };
        let address = format!("{}:{}", server.host, server.port.unwrap_or(514));
        match params.transport {
            LogTransport::Tcp => Self::Tcp(address),
            LogTransport::Udp => Self::Udp(address),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Local => LOCAL,
            Self::Tcp(address) | Self::Udp(address) => address,
        }
    }

    fn open(&self) -> io::Result<Open> {
        match self {
            Self::Local => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(LOCAL)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Open::Local(socket))
            }
            Self::Tcp(address) => {
                let address = resolved(address)?;
                let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Open::Tcp(stream))
            }
            Self::Udp(address) => {
                let address = resolved(address)?;
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                Ok(Open::Udp(socket))
            }
        }
    }
}

fn resolved(address: &str) -> io::Result<std::net::SocketAddr> {
    let found = address.to_socket_addrs()?.next();
    found.ok_or_else(|| io::Error::other("it has no address"))
}

/// An open way to it.
enum Open {
    Local(UnixDatagram),
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Open {
    fn send(&mut self, line: &SyslogLine<'_>) -> io::Result<()> {
        match self {
            Self::Local(socket) => socket.send(&line.message(MESSAGE)).map(drop),
            Self::Tcp(stream) => {
                let message = line.message(MESSAGE);
                // octet counting (RFC 6587 §3.4.1)
                let mut bytes = format!("{} ", message.len()).into_bytes();
                bytes.extend_from_slice(&message);
                stream.write_all(&bytes)
            }
            Self::Udp(socket) => socket.send(&line.message(DATAGRAM)).map(drop),
        }
    }
}

struct Work {
    facility: u8,
    host: String,
    lost: Arc<AtomicU64>,
    to: Target,
    /// Lost lines that were told.
    told: u64,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Work {
    fn run(mut self, queue: &Receiver<Entry>) {
        self.told = self.lost.load(Ordering::Relaxed);
        let mut open: Option<Open> = None;
        for entry in queue {
            match entry {
                Entry::Line(line) => {
                    let lost = self.lost.load(Ordering::Relaxed);
                    let missing = lost - std::mem::replace(&mut self.told, lost);
                    if missing > 0 {
                        let text =
                            format!("{missing} lines of this log were lost: they were not taken in time");
                        self.send(&mut open, &Line::own(tracing::Level::WARN, text));
                    }
                    self.send(&mut open, &line);
                }
                Entry::Mark(done) => {
                    let _ = done.try_send(());
                }
            }
        }
    }

    /// Sends a line; one that is not taken is tried once more, over a new connection, and then lost.
    fn send(&mut self, open: &mut Option<Open>, line: &Line) {
        let text = line.text();
        let message = SyslogLine {
            at: line.at,
            facility: self.facility,
            host: &self.host,
            id: "-",
            process: std::process::id(),
            said: &text,
            sequence: None,
            severity: line.severity(),
        };
        for fresh in [false, true] {
            let way = match open.take() {
                Some(way) if !fresh => Ok(way),
                Some(_) | None => self.to.open(),
            };
            let sent = way.and_then(|mut way| way.send(&message).map(|()| way));
            match sent {
                Ok(way) => {
                    *open = Some(way);
                    self.note(None);
                    return;
                }
                Err(error) if fresh => {
                    let name = self.to.name();
                    self.note(Some(format!(
                        "the syslog {name} takes no lines of the program's log: {error}; see log.syslog of the site file"
                    )));
                    self.lost.fetch_add(1, Ordering::Relaxed);
                    // what waits meanwhile is lost only where there is no more room
                    std::thread::sleep(AGAIN);
                }
                Err(_) => {}
            }
        }
    }

    fn note(&self, trouble: Option<String>) {
        let mut shared = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_some() != trouble.is_some() {
            *shared = trouble;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::super::line::tests::line;
    use super::*;

    fn params(server: &str, transport: LogTransport) -> LogSyslog {
        let text = format!(
            "{}\n[log.syslog]\nserver = \"{server}\"\ntransport = \"{}\"\n",
            include_str!("../../../../config/examples/minimal.toml"),
            transport.word()
        );
        let dir = tempfile::tempdir().expect("a folder");
        let how = gateway_config::SecretFiles::WhereFound;
        let loaded = gateway_config::parse("site.toml", dir.path(), &text, how);
        let config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
        config.log.syslog.expect("it has one")
    }

    fn wanted(host: &str) -> String {
        format!(
            "<28>1 2026-03-01T12:00:00.250000Z {host} doorline {} - - a device failed door=\"front\" n=7 text=\"two\\nlines\" \
             ring=\"r1\" door=\"back\"",
            std::process::id()
        )
    }

    #[test]
    fn a_line_goes_as_a_datagram() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("binds");
        server
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("set");
        let address = server.local_addr().expect("bound").to_string();
        let lost = Arc::<AtomicU64>::default();
        let syslog = Syslog::start(params(&address, LogTransport::Udp), &lost);
        syslog.line(&Arc::new(line()));
        let mut bytes = [0; 4096];
        let n = server.recv(&mut bytes).expect("it comes");
        assert_eq!(String::from_utf8_lossy(&bytes[..n]), wanted(&host()));
        syslog.flush(Duration::from_secs(20));
        assert_eq!((syslog.trouble(), lost.load(Ordering::Relaxed)), (None, 0));
    }

    #[test]
    fn lines_go_over_a_stream_that_breaks_off_and_comes_back() {
        let server = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = server.local_addr().expect("bound").to_string();
        let syslog = Syslog::start(params(&address, LogTransport::Tcp), &Arc::default());
        let want = wanted(&host());
        let want = format!("{} {want}", want.len());
        syslog.line(&Arc::new(line()));
        let mut first = server.accept().expect("it connects").0;
        let mut bytes = vec![0; want.len()];
        first.read_exact(&mut bytes).expect("it comes");
        assert_eq!(String::from_utf8_lossy(&bytes), want);
        drop(first);
        // the first line after that may be taken by the connection that is gone, as TCP has it
        let mut again = None;
        server.set_nonblocking(true).expect("set");
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while again.is_none() && std::time::Instant::now() < end {
            syslog.line(&Arc::new(line()));
            syslog.flush(Duration::from_secs(5));
            again = server.accept().ok();
        }
        let (mut again, _) = again.expect("it connects once more");
        again.set_nonblocking(false).expect("set");
        again.read_exact(&mut bytes).expect("it comes");
        assert_eq!(String::from_utf8_lossy(&bytes), want);
    }

    #[test]
    fn nobody_waits_for_a_syslog_that_is_not_there_and_it_is_told() {
        // a port that was free a moment ago
        let free = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = free.local_addr().expect("bound").to_string();
        drop(free);
        let lost = Arc::<AtomicU64>::default();
        let syslog = Syslog::start(params(&address, LogTransport::Tcp), &lost);
        let began = std::time::Instant::now();
        for _ in 0..2 * LINES + 2 {
            syslog.line(&Arc::new(line()));
        }
        assert!(began.elapsed() < Duration::from_secs(1), "nobody waits");
        let end = began + Duration::from_secs(20);
        while syslog.trouble().is_none() && std::time::Instant::now() < end {
            std::thread::yield_now();
        }
        let trouble = syslog.trouble().expect("it is told");
        assert!(trouble.contains(&address), "{trouble}");
        assert!(
            lost.load(Ordering::Relaxed) > LINES as u64 / 2,
            "what found no room is counted"
        );
    }
}
