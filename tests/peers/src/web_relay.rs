//! Two relays as a Shelly of the second generation has them for web requests: `Switch.Set` with `toggle_after`, after which it lets
//! go by itself, and `Switch.GetStatus`.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;

use crate::boottime_ns;
use crate::gateway::Edge;
use crate::ports::Use;
use crate::rig::{Rig, until};
use crate::shelly::SECOND;

/// A running one. Dropping it takes its supply away.
#[derive(Debug)]
pub struct WebRelay {
    /// It has its network, and does nothing: what comes waits in the system.
    deaf: Arc<AtomicBool>,
    edges: Arc<Mutex<Vec<Edge>>>,
    ended: Arc<AtomicBool>,
    /// It takes the next order to energise, and hangs with it.
    hangs: Arc<AtomicBool>,
    seen: usize,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// One of its relays.
#[derive(Default)]
struct One {
    off_at: Option<Instant>,
    on: bool,
}

struct Relay {
    edges: Arc<Mutex<Vec<Edge>>>,
    hangs: Arc<AtomicBool>,
    of: [One; 2],
    /// What it hangs with.
    with: Option<(String, TcpStream)>,
}

impl Relay {
    fn set(&mut self, id: usize, on: bool, why: &str) {
        if std::mem::replace(&mut self.of[id].on, on) != on {
            let which = if id == 0 { "" } else { SECOND };
            let edge = Edge {
                at_ns: boottime_ns(),
                energised: on,
                why: format!("{which}{why}"),
            };
            let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
            edges.push(edge);
        }
    }

    /// Does late what it hung with.
    fn goes_on(&mut self) {
        if !self.hangs.load(Ordering::Relaxed)
            && let Some((target, _)) = self.with.take()
        {
            self.take(&target);
        }
    }

    fn time(&mut self) {
        for id in 0..self.of.len() {
            if self.of[id].off_at.is_some_and(|at| at <= Instant::now()) {
                self.of[id].off_at = None;
                self.set(id, false, "its own timer");
            }
        }
    }

    /// The answer to a request: its body, or `None` for what there is not.
    fn take(&mut self, target: &str) -> Option<String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        let id: usize = value("id")?.parse().ok()?;
        let was = self.of.get(id)?.on;
        match path {
            "/rpc/Switch.Set" => {
                let on = value("on")? == "true";
                let after = value("toggle_after").and_then(|s| s.parse().ok());
                self.of[id].off_at = after
                    .filter(|_| on)
                    .map(|s: f64| Instant::now() + Duration::from_secs_f64(s));
                self.set(id, on, "told");
                Some(json!({ "was_on": was }).to_string())
            }
            "/rpc/Switch.GetStatus" => {
                Some(json!({ "id": id, "source": "HTTP_in", "output": was }).to_string())
            }
            _ => None,
        }
    }

    fn serve(&mut self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let (mut head, mut buffer) = (Vec::new(), [0; 2048]);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                length => head.extend_from_slice(&buffer[..length]),
            }
        }
        let head = String::from_utf8_lossy(&head);
        let target = head.split(' ').nth(1).unwrap_or_default();
        if self.hangs.load(Ordering::Relaxed) && target.contains("on=true") {
            // the connection stays open, as that of one that hangs
            self.with = Some((target.to_owned(), stream));
            return Ok(());
        }
        let (status, body) = match self.take(target) {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", "{\"code\":404}".to_owned()),
        };
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    }
}

impl WebRelay {
    /// Switches it on.
    ///
    /// # Errors
    /// If its port is taken.
    pub fn start(rig: &Rig) -> anyhow::Result<Self> {
        let port = rig.port(Use::WebRelay);
        let listener = until(Duration::from_secs(5), "the port of the relay", || {
            Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        })?;
        listener.set_nonblocking(true).context("a listener")?;
        let edges = Arc::<Mutex<Vec<Edge>>>::default();
        let (deaf, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let hangs = Arc::new(AtomicBool::new(false));
        let mut relay = Relay {
            edges: Arc::clone(&edges),
            hangs: Arc::clone(&hangs),
            of: Default::default(),
            with: None,
        };
        let (is_deaf, stop) = (Arc::clone(&deaf), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                relay.time();
                relay.goes_on();
                if !is_deaf.load(Ordering::Relaxed)
                    && relay.with.is_none()
                    && let Ok((stream, _)) = listener.accept()
                {
                    // who went away meanwhile is told nothing
                    let _ = relay.serve(stream);
                } else {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        Ok(Self {
            deaf,
            edges,
            ended,
            hangs,
            seen: 0,
            thread: Some(thread),
        })
    }

    /// It takes connections and does nothing with them, or begins to again.
    pub fn be_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::Relaxed);
    }

    /// It hangs with the next order to energise, after it said how it is; or it goes on, and does it then.
    pub fn hang(&self, hang: bool) {
        self.hangs.store(hang, Ordering::Relaxed);
    }

    /// Waits for its next edge.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn edge(&mut self, limit: Duration) -> anyhow::Result<Edge> {
        let (edges, seen) = (&self.edges, &mut self.seen);
        until(limit, "an edge of the relay", || {
            let edges = edges.lock().unwrap_or_else(PoisonError::into_inner);
            let found = edges.get(*seen).cloned();
            *seen += usize::from(found.is_some());
            Ok(found)
        })
    }

    /// How often it was energised.
    #[must_use]
    pub fn pulses(&self) -> usize {
        let edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        edges.iter().filter(|edge| edge.energised).count()
    }
}

impl Drop for WebRelay {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
