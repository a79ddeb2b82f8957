//! A web server that breaks off: at once, while it is asked, in the middle of its answer, and for a while altogether.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::ports::Use;
use crate::rig::Rig;

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaks {
    /// Closes the connection before it has read anything.
    AtOnce,
    /// Reads the request, and closes without an answer.
    Unanswered,
    /// Closes within the status line.
    InStatus,
    /// Says 200, and closes within the body.
    InBody,
    /// Answers, and closes.
    Not,
    /// Answers, keeps the connection, and closes it within the next request on it.
    Later,
}

/// A request that it has read, and whether it said 200 to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The body.
    pub body: String,
    /// Was it acknowledged?
    pub said_ok: bool,
    /// `Doorline-Seq`.
    pub seq: u64,
}

/// The server on [`Use::Webhook`]. It stops when it is dropped.
#[derive(Debug)]
pub struct BreakingServer {
    ends: Arc<AtomicBool>,
    port: u16,
    posted: Arc<Mutex<Vec<Posted>>>,
    thread: Option<JoinHandle<()>>,
}

impl BreakingServer {
    /// Starts it; after what is listed it answers.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn start(rig: &Rig, how: &[Breaks], posted: Arc<Mutex<Vec<Posted>>>) -> anyhow::Result<Self> {
        let port = rig.port(Use::Webhook);
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let ends = Arc::new(AtomicBool::new(false));
        let mut how: VecDeque<Breaks> = how.iter().copied().collect();
        let (stop, log) = (Arc::clone(&ends), Arc::clone(&posted));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                // who breaks off hears of no failure
                let _ = serve(stream, how.pop_front().unwrap_or(Breaks::Not), &log);
            }
        });
        Ok(Self {
            ends,
            port,
            posted,
            thread: Some(thread),
        })
    }

    /// What it has read so far.
    #[must_use]
    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for BreakingServer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // it waits for a connection
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads a request: its number and its body.
fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<(u64, String)> {
    let (mut seq, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("doorline-seq:") {
            seq = value.trim().parse().unwrap_or(0);
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((seq, String::from_utf8_lossy(&body).into_owned()))
}

fn serve(stream: TcpStream, how: Breaks, log: &Mutex<Vec<Posted>>) -> std::io::Result<()> {
    if how == Breaks::AtOnce {
        return Ok(());
    }
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10)))?;
    let mut stream = BufReader::new(stream);
    let note = |(seq, body): (u64, String), said_ok| {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(Posted { body, said_ok, seq });
    };
    let request = read(&mut stream)?;
    let text = match how {
        Breaks::AtOnce | Breaks::Unanswered => "",
        Breaks::InStatus => "HTTP/1.1 20",
        Breaks::InBody => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it",
        Breaks::Not => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        Breaks::Later => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    };
    note(
        request,
        matches!(how, Breaks::InBody | Breaks::Later | Breaks::Not),
    );
    stream.get_mut().write_all(text.as_bytes())?;
    if how == Breaks::Later {
        note(read(&mut stream)?, false);
    }
    Ok(())
}
