//! A far end of RTP that sends back what it gets: what the door says, coded and packed by the gateway, comes back to be
//! unpacked and decoded by it. It notes what passes, and can give its packets another payload type than it got.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

/// One RTP packet as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// How many came in all, this one included.
    pub count: u64,
    /// Payload type.
    pub kind: u8,
    /// Bytes of the payload.
    pub bytes: usize,
    /// Ticks of the RTP clock since the packet before.
    pub ticks: u32,
}

#[derive(Debug, Default)]
struct Seen {
    last: Option<Passed>,
    timestamp: u32,
}

/// A running far end; it ends when this is dropped.
#[derive(Debug)]
pub struct Reflector {
    over: Arc<AtomicBool>,
    port: u16,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl Reflector {
    /// Takes a port. Of packets whose payload type is the first of `other`, what goes back has the second.
    ///
    /// # Errors
    /// If the port is taken.
    pub fn start(port: u16, other: Option<(u8, u8)>) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).context("the port of a reflector")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (over, seen) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Seen>>::default());
        let (end, note) = (Arc::clone(&over), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !end.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                let packet = &mut buffer[..length];
                // RTP of version 2 with neither sources nor extension; RTCP beside it is not sent back
                if length < 12 || packet[0] != 0x80 || (192..=223).contains(&packet[1]) {
                    continue;
                }
                let (marker, kind) = (packet[1] & 0x80, packet[1] & 0x7f);
                let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
                let mut seen = note.lock().unwrap_or_else(PoisonError::into_inner);
                seen.last = Some(Passed {
                    count: seen.last.map_or(0, |p| p.count) + 1,
                    kind,
                    bytes: length - 12,
                    ticks: timestamp.wrapping_sub(seen.timestamp),
                });
                seen.timestamp = timestamp;
                drop(seen);
                if let Some((_, to)) = other.filter(|(from, _)| *from == kind) {
                    packet[1] = marker | to;
                }
                // a gateway that has hung up is gone
                let _ = socket.send_to(packet, from);
            }
        });
        Ok(Self {
            over,
            port,
            seen,
            thread: Some(thread),
        })
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The last packet.
    #[must_use]
    pub fn last(&self) -> Option<Passed> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).last
    }
}

impl Drop for Reflector {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // it ends within its read timeout
            let _ = thread.join();
        }
    }
}
