//! A way to a server that breaks: what comes back from it is counted, and at a given count the connection ends.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running one.
#[derive(Debug)]
pub struct Shaky {
    breaks: Arc<AtomicU64>,
    broken: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    /// Where it is reached.
    pub port: u16,
    shut: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Shaky {
    /// A way to a port of this machine. It holds until it is told to break.
    ///
    /// # Errors
    /// If there is no port.
    pub fn to(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let own = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let breaks = Arc::new(AtomicU64::new(u64::MAX));
        let broken = Arc::<AtomicU64>::default();
        let (shut, ended) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let way = Way {
            breaks: Arc::clone(&breaks),
            broken: Arc::clone(&broken),
            port,
            shut: Arc::clone(&shut),
        };
        let stop = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((near, _)) => {
                        let way = way.clone();
                        // it ends with its connection
                        std::thread::spawn(move || way.go(&near));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Ok(Self {
            breaks,
            broken,
            ended,
            port: own,
            shut,
            thread: Some(thread),
        })
    }

    /// From now on each connection ends once so many bytes came back over it; what follows them is lost.
    pub fn break_after(&self, bytes: u64) {
        self.breaks.store(bytes, Ordering::Relaxed);
    }

    /// How many connections ended so.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }

    /// Turns everybody away, or lets them through again.
    pub fn shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::Relaxed);
    }
}

impl Drop for Shaky {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Way {
    breaks: Arc<AtomicU64>,
    broken: Arc<AtomicU64>,
    port: u16,
    shut: Arc<AtomicBool>,
}

impl Way {
    /// One connection. Whatever fails ends it, as on a real way.
    fn go(&self, near: &TcpStream) {
        if self.shut.load(Ordering::Relaxed) {
            return;
        }
        let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else {
            return;
        };
        let (Ok(mut from), Ok(mut to)) = (near.try_clone(), far.try_clone()) else {
            return;
        };
        let there = std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
        let _ = self.back(&far, near);
        let _ = near.shutdown(Shutdown::Both);
        let _ = far.shutdown(Shutdown::Both);
        let _ = there.join();
    }

    fn back(&self, mut far: &TcpStream, mut near: &TcpStream) -> std::io::Result<()> {
        let (mut came, mut buffer) = (0_u64, [0; 512]);
        loop {
            let length = far.read(&mut buffer)?;
            let left = self.breaks.load(Ordering::Relaxed).saturating_sub(came);
            came += length as u64;
            if length as u64 >= left {
                self.broken.fetch_add(1, Ordering::Relaxed);
                let passes = usize::try_from(left).unwrap_or(0);
                return near.write_all(&buffer[..passes]);
            }
            if length == 0 {
                return Ok(());
            }
            near.write_all(&buffer[..length])?;
        }
    }
}
