//! A capture: SIP messages without secrets, and headers of RTP, in the classic format of libpcap.
//!
//! The packets are made, not seen: link type RAW (101, an IP header first), and SIP stands in UDP whatever carried it, so that
//! an analyser reads it also where it came under TLS. Lengths are those of the packets as they were; what is cut off is not
//! there to be read.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gateway_core::Instant;
use jiff::Timestamp;

use crate::Way;

/// Most bytes of a capture: about ten minutes of one call.
pub const CAPTURE_BYTES: usize = 6 * 1024 * 1024;
/// Longest capture.
pub const CAPTURE_LONGEST: Duration = Duration::from_secs(600);

/// First bytes of a file: magic, version 2.4, no correction, longest packet, link type RAW.
const FILE: [u32; 6] = [0xA1B2_C3D4, 0x0004_0002, 0, 0, 65_535, 101];
/// Bytes before each packet in the file.
const RECORD: usize = 16;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

/// There is no capture, or no other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// One runs.
    #[error("a capture runs for another {0} s; stop it first")]
    Busy(u64),
    /// The length.
    #[error("{0} s is not allowed; allowed are 1 to 600 s")]
    Length(u64),
    /// There was none.
    #[error("there was no capture since the gateway was started; begin one")]
    None,
}

/// How a capture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureState {
    /// When it began.
    pub began: Timestamp,
    /// Bytes of its file.
    pub bytes: usize,
    /// It ended because it was full.
    pub full: bool,
    /// Time until it ends by itself; `None`: it has ended.
    pub left: Option<Duration>,
    /// Packets in it.
    pub packets: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Capture(Option<Running>);

#[derive(Debug)]
struct Running {
    began: Timestamp,
    bytes: Vec<u8>,
    ends: Instant,
    full: bool,
    packets: u64,
}

impl Capture {
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        wall: Timestamp,
        length: Duration,
    ) -> Result<CaptureState, CaptureError> {
        if let Some(running) = &self.0
            && let Some(left) = running.state(now).left
        {
            return Err(CaptureError::Busy(left.as_secs() + 1));
        }
        if !(Duration::from_secs(1)..=CAPTURE_LONGEST).contains(&length) {
            return Err(CaptureError::Length(length.as_secs()));
        }
        let running = Running {
            began: wall,
            bytes: FILE.iter().flat_map(|word| word.to_le_bytes()).collect(),
            ends: now + length,
            full: false,
            packets: 0,
        };
        let state = running.state(now);
        self.0 = Some(running);
        Ok(state)
    }

    pub(crate) fn end(&mut self, now: Instant) -> Result<CaptureState, CaptureError> {
        let running = self.0.as_mut().ok_or(CaptureError::None)?;
        running.ends = running.ends.min(now);
        Ok(running.state(now))
    }

    pub(crate) fn state(&self, now: Instant) -> Result<CaptureState, CaptureError> {
        self.0
            .as_ref()
            .map(|running| running.state(now))
            .ok_or(CaptureError::None)
    }

    pub(crate) fn file(&self) -> Result<Vec<u8>, CaptureError> {
        self.0
            .as_ref()
            .map(|running| running.bytes.clone())
            .ok_or(CaptureError::None)
    }

    /// Adds a packet of which `kept` is there and that was `length` long; false if it ended.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        wall: Timestamp,
        way: &Way,
        kept: &[u8],
        length: usize,
    ) -> bool {
        let Some(running) = &mut self.0 else { return false };
        if now >= running.ends || running.full {
            return false;
        }
        let packet = packet(way, kept, length);
        if running.bytes.len() + RECORD + packet.len() > CAPTURE_BYTES {
            running.full = true;
            return false;
        }
        let micros = u32::try_from(wall.subsec_nanosecond() / 1000).unwrap_or(0);
        let seconds = u32::try_from(wall.as_second()).unwrap_or(0);
        let there = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let whole =
            there.saturating_add(u32::try_from(length.saturating_sub(kept.len())).unwrap_or(u32::MAX));
        for word in [seconds, micros, there, whole] {
            running.bytes.extend(word.to_le_bytes());
        }
        running.bytes.extend(packet);
        running.packets += 1;
        true
    }
}

impl Running {
    fn state(&self, now: Instant) -> CaptureState {
        let left = self.ends.since(now);
        CaptureState {
            began: self.began,
            bytes: self.bytes.len(),
            full: self.full,
            left: (!left.is_zero() && !self.full).then_some(left),
            packets: self.packets,
        }
    }
}

/// An IP packet with UDP, as it could have been on a wire.
fn packet(way: &Way, kept: &[u8], length: usize) -> Vec<u8> {
    let (from, to) = if way.sent {
        (way.local, way.remote)
    } else {
        (way.remote, way.local)
    };
    let whole = u16::try_from(length + UDP_HEADER).unwrap_or(u16::MAX);
    let mut out = ip(from, to, whole);
    for word in [from.port(), to.port(), whole, 0] {
        out.extend(word.to_be_bytes());
    }
    out.extend(kept);
    out
}

/// The header of IP for `length` bytes behind it. Two ends of different families have the unspecified address of the other.
fn ip(from: SocketAddr, to: SocketAddr, length: u16) -> Vec<u8> {
    match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => v4(from.octets(), to.octets(), length),
        (IpAddr::V4(from), IpAddr::V6(_)) => v4(from.octets(), [0; 4], length),
        (IpAddr::V6(_), IpAddr::V4(to)) => v4([0; 4], to.octets(), length),
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut out = vec![0x60, 0, 0, 0];
            out.extend(length.to_be_bytes());
            out.extend([UDP, 64]);
            out.extend(from.octets());
            out.extend(to.octets());
            out
        }
    }
}

/// RFC 791 §3.1, without options.
fn v4(from: [u8; 4], to: [u8; 4], length: u16) -> Vec<u8> {
    let mut out = vec![0x45, 0];
    out.extend(length.saturating_add(20).to_be_bytes());
    out.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
    out.extend(from);
    out.extend(to);
    let words = out
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    let check = !u16::try_from(sum).unwrap_or(0);
    out[10..12].copy_from_slice(&check.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(1_000_000_000_000 + ms * 1_000_000)
    }

    fn wall() -> Timestamp {
        Timestamp::from_microsecond(1_772_366_400_123_456).expect("a time")
    }

    fn way(local: &str, remote: &str, sent: bool) -> Way {
        Way {
            local: local.parse().expect("an address"),
            remote: remote.parse().expect("an address"),
            sent,
            transport: "UDP",
        }
    }

    #[test]
    fn a_packet_is_cut_behind_its_header_and_keeps_its_length() {
        let mut capture = Capture::default();
        capture
            .begin(at(0), wall(), Duration::from_secs(5))
            .expect("begun");
        let way = way("192.0.2.1:4000", "192.0.2.2:5000", true);
        assert!(capture.add(at(1), wall(), &way, &[0x80; 12], 172));
        let file = capture.file().expect("a file");
        assert_eq!(file.len(), 24 + 16 + 20 + 8 + 12);
        let word = |n: usize| u32::from_le_bytes(file[n..n + 4].try_into().expect("four"));
        assert_eq!((word(0), word(20)), (0xA1B2_C3D4, 101));
        assert_eq!((word(24), word(28)), (1_772_366_400, 123_456));
        assert_eq!((word(32), word(36)), (40, 200));
        // total length, and a checksum that comes out even
        assert_eq!(u16::from_be_bytes([file[42], file[43]]), 200);
        let sum: u32 = file[40..60]
            .chunks(2)
            .map(|p| u32::from(u16::from_be_bytes([p[0], p[1]])))
            .sum();
        assert_eq!((sum & 0xFFFF) + (sum >> 16), 0xFFFF);
        assert_eq!(u16::from_be_bytes([file[60], file[61]]), 4000);
    }

    #[test]
    fn it_ends_at_its_time_when_it_is_full_and_when_it_is_told_to() {
        let mut capture = Capture::default();
        let five = Duration::from_secs(5);
        assert_eq!(capture.end(at(0)), Err(CaptureError::None));
        assert_eq!(
            capture.begin(at(0), wall(), Duration::ZERO),
            Err(CaptureError::Length(0))
        );
        capture.begin(at(0), wall(), five).expect("begun");
        assert_eq!(capture.begin(at(1), wall(), five), Err(CaptureError::Busy(5)));
        let way = way("[2001:db8::1]:1", "[2001:db8::2]:2", false);
        assert!(capture.add(at(4999), wall(), &way, b"x", 1));
        assert!(!capture.add(at(5000), wall(), &way, b"x", 1));
        capture.begin(at(6000), wall(), five).expect("begun");
        while capture.add(at(6001), wall(), &way, &[0; 1000], 1000) {}
        let state = capture.state(at(6001)).expect("a state");
        assert!(
            state.full && state.left.is_none() && state.bytes <= CAPTURE_BYTES,
            "{state:?}"
        );
        capture.begin(at(6002), wall(), five).expect("begun");
        assert_eq!(capture.end(at(6003)).expect("ended").left, None);
        assert!(!capture.add(at(6004), wall(), &way, b"x", 1));
    }
}
