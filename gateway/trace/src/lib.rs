//! What passed lately between this gateway and the phones: the last SIP messages, without what opens anything or logs in
//! anywhere ([`scrubbed`]), as a ladder of each call, and a capture of headers between a start and a stop.
//!
//! ```text
//! sip-io ── messages ──▶ Trace ── ladder, messages ──▶ support bundle
//! media ─── headers ───▶   │ ──── capture (pcap) ────▶
//! ```
//! All of it is bounded and in memory only. No audio is kept: of RTP there is the header alone, and digits lie behind it.

mod capture;
#[doc(hidden)]
pub mod fuzz;
mod ladder;
mod ring;
mod scrub;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_core::Clock;

pub use capture::{CAPTURE_BYTES, CAPTURE_LONGEST, CaptureError, CaptureState};
pub use scrub::scrubbed;

use capture::Capture;
use ring::Ring;

/// Which way something went, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// True if we sent it.
    pub sent: bool,
    /// `UDP`, `TCP` or `TLS`.
    pub transport: &'static str,
}

/// What passed lately. Clones are the same one.
#[derive(Clone)]
pub struct Trace(Arc<Inner>);

struct Inner {
    capture: Mutex<Capture>,
    /// Read for each packet of audio: nothing else costs anything while there is no capture.
    captures: AtomicBool,
    clock: Arc<dyn Clock>,
    ring: Mutex<Ring>,
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace").finish_non_exhaustive()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Trace {
    /// Empty. What is noted has its time by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            capture: Mutex::default(),
            captures: AtomicBool::new(false),
            clock,
            ring: Mutex::default(),
        }))
    }

    /// Notes a SIP message, or what a stream brought of one.
    pub fn sip(&self, way: &Way, bytes: &[u8]) {
        let at = self.0.clock.wall();
        let text = scrubbed(bytes);
        if self.captures() {
            let mut capture = held(&self.0.capture);
            if !capture.add(self.0.clock.now(), at, way, text.as_bytes(), text.len()) {
                self.0.captures.store(false, Ordering::Relaxed);
            }
        }
        held(&self.0.ring).add(at, way, text);
    }

    /// True while there is a capture.
    #[must_use]
    pub fn captures(&self) -> bool {
        self.0.captures.load(Ordering::Relaxed)
    }

    /// Notes the header of an RTP packet, while there is a capture. Never waits: who has no time loses the packet, and it is
    /// counted.
    pub fn rtp(&self, way: &Way, packet: &[u8]) {
        if !self.captures() {
            return;
        }
        let Ok(mut capture) = self.0.capture.try_lock() else {
            return;
        };
        let header = packet.get(..RTP_HEADER).unwrap_or(packet);
        if !capture.add(self.0.clock.now(), self.0.clock.wall(), way, header, packet.len()) {
            self.0.captures.store(false, Ordering::Relaxed);
        }
    }

    /// Begins a capture, which ends by itself after `length` or when it is full. The one before is forgotten.
    ///
    /// # Errors
    /// [`CaptureError`] if one runs, or for a length that is not allowed.
    pub fn begin(&self, length: Duration) -> Result<CaptureState, CaptureError> {
        let now = self.0.clock.now();
        let mut capture = held(&self.0.capture);
        let state = capture.begin(now, self.0.clock.wall(), length)?;
        self.0.captures.store(true, Ordering::Relaxed);
        Ok(state)
    }

    /// Ends a capture.
    ///
    /// # Errors
    /// [`CaptureError::None`] if there was none since the start.
    pub fn end(&self) -> Result<CaptureState, CaptureError> {
        self.0.captures.store(false, Ordering::Relaxed);
        held(&self.0.capture).end(self.0.clock.now())
    }

    /// How the capture is.
    ///
    /// # Errors
    /// [`CaptureError::None`] if there was none since the start.
    pub fn state(&self) -> Result<CaptureState, CaptureError> {
        held(&self.0.capture).state(self.0.clock.now())
    }

    /// The capture so far, as a file that packet analysers read (pcap).
    ///
    /// # Errors
    /// [`CaptureError::None`] if there was none since the start.
    pub fn file(&self) -> Result<Vec<u8>, CaptureError> {
        held(&self.0.capture).file()
    }

    /// The last calls, each as a ladder in text, oldest first.
    #[must_use]
    pub fn ladder(&self) -> String {
        ladder::ladder(held(&self.0.ring).messages())
    }

    /// The last messages as they were, without secrets, oldest first.
    #[must_use]
    pub fn messages(&self) -> String {
        ladder::whole(held(&self.0.ring).messages())
    }
}

/// The fixed header of RTP (RFC 3550 §5.1).
const RTP_HEADER: usize = 12;
