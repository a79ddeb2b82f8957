//! Media from before the answer. It is thrown away, for nobody has agreed to it, but where its streams were is
//! remembered: what a key that was pressed then still sends after the answer is no press.
//!
//! The header of an RTP packet is in clear, with SRTP too (RFC 3711 §3.1), so this works before there are keys.

use std::time::Duration;

use crate::rtp::Header;
use crate::telephone_event::Press;

/// Streams that are remembered: a forked call has a few, and a stranger may not fill the memory.
const STREAMS: usize = 8;
/// A key that is younger than this when the call is answered may have been pressed for it.
const YOUNG: Duration = Duration::from_millis(100);

/// Where the streams of early media were.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// Source and newest timestamp.
    streams: [Option<(u32, u32)>; STREAMS],
    /// Whose place the next stream takes.
    next: usize,
}

/// Is it later in its stream? Timestamps wrap (RFC 3550 §5.1).
const fn later(timestamp: u32, than: u32) -> bool {
    timestamp != than && timestamp.wrapping_sub(than) < 0x8000_0000
}

impl Early {
    /// Takes a packet from before the answer; what is no RTP is passed over.
    pub(super) fn note(&mut self, packet: &[u8]) {
        let Ok((header, _)) = Header::read(packet) else {
            return;
        };
        let mut known = self.streams.iter_mut().flatten();
        match known.find(|(ssrc, _)| *ssrc == header.ssrc) {
            Some((_, newest)) if !later(header.timestamp, *newest) => {}
            Some((_, newest)) => *newest = header.timestamp,
            None => {
                self.streams[self.next] = Some((header.ssrc, header.timestamp));
                self.next = (self.next + 1) % STREAMS;
            }
        }
    }

    /// Was this key pressed before the answer, which was `since` ago? Its timestamp says so, or how long it was held,
    /// or that it comes at once and in the middle.
    pub(super) fn has(&self, press: &Press, header: &Header, since: Duration) -> bool {
        let mut streams = self.streams.iter().flatten();
        let old = streams.any(|(ssrc, newest)| *ssrc == header.ssrc && !later(header.timestamp, *newest));
        old || press.held > since + YOUNG || (!header.marker && since < YOUNG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::Instant;
    use proptest::prelude::*;

    const fn header(ssrc: u32, timestamp: u32, marker: bool) -> Header {
        Header {
            padding: false,
            marker,
            payload_type: 101,
            sequence: 1,
            timestamp,
            ssrc,
        }
    }

    fn press(held: Duration) -> Press {
        Press {
            at: Instant::ZERO,
            digit: '9',
            held,
        }
    }

    const LONG_AGO: Duration = Duration::from_secs(5);
    const TICK: Duration = Duration::from_millis(20);

    #[test]
    fn what_a_press_from_before_the_answer_sends_afterwards_is_early_however_late_it_comes() {
        let mut early = Early::default();
        early.note(&header(7, u32::MAX - 10, true).to_bytes());
        early.note(&header(7, 100, false).to_bytes());
        early.note(&header(7, 20, false).to_bytes());
        early.note(b"no RTP");
        for timestamp in [u32::MAX - 10, 50, 100] {
            assert!(early.has(&press(TICK), &header(7, timestamp, true), LONG_AGO));
        }
        assert!(!early.has(&press(TICK), &header(7, 101, true), LONG_AGO));
        assert!(!early.has(&press(TICK), &header(8, 50, true), LONG_AGO));
    }

    #[test]
    fn a_key_that_is_held_over_the_answer_is_early_and_one_pressed_at_once_is_not() {
        let early = Early::default();
        let at = |held, marker, since| early.has(&press(held), &header(7, 1, marker), since);
        assert!(at(Duration::from_millis(200), true, TICK));
        assert!(!at(TICK, true, TICK));
        assert!(at(TICK, false, TICK), "a new segment of a long press");
        assert!(!at(TICK, false, YOUNG), "a device that sets no marker");
    }

    proptest! {
        /// Whoever sends whatever: no panic, and a stream that nobody pushed out is known by its newest timestamp.
        #[test]
        fn it_remembers_the_last_streams(packets in proptest::collection::vec((0_u32..12, any::<u32>()), 1..60)) {
            let mut early = Early::default();
            for (ssrc, timestamp) in &packets {
                early.note(&header(*ssrc, *timestamp, false).to_bytes());
            }
            let (ssrc, timestamp) = packets[packets.len() - 1];
            prop_assert!(early.has(&press(TICK), &header(ssrc, timestamp, true), LONG_AGO));
        }
    }
}
