//! Telephone events (RFC 4733): digits received and sent.
//!
//! A press is one RTP timestamp; it is reported at the first packet that is seen of it, whether marker, early
//! packets or end packets are missing. Flash and other events above 15 are not digits.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::Instant;

const DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];
/// Presses that may wait to be sent.
const MAX_QUEUED: usize = 32;
/// End packets of a press (RFC 4733 §2.5.1.4).
const END_PACKETS: u8 = 3;
/// Pause between presses, ms.
const PAUSE: u32 = 60;
/// Longest press, ticks of its clock: no more than the duration can tell.
const LONGEST: u32 = 0xfff0;
/// Past presses whose late packets are recognised.
const REMEMBERED: usize = 4;
/// From this duration on a continued event may take a new timestamp (RFC 4733 §2.5.1.3).
const SEGMENT: u16 = 0xe000;
/// Most ticks by which a sender moves the timestamp from packet to packet of one press: 20 ms at 48 kHz, 120 ms at 8 kHz. Nobody
/// presses the same key twice so fast.
const STEP: u32 = 960;

/// Slowest clock of events, Hz (RFC 4733 §2.1).
const SLOWEST: u64 = 8_000;

/// Event code of a key; `None` if it is not one.
#[must_use]
pub fn code_of(digit: char) -> Option<u8> {
    let upper = digit.to_ascii_uppercase();
    let found = DIGITS.iter().position(|d| *d == upper)?;
    u8::try_from(found).ok()
}

/// Key of an event code; `None` above 15.
#[must_use]
pub fn digit_of(code: u8) -> Option<char> {
    DIGITS.get(usize::from(code)).copied()
}

/// The payload (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Event code.
    pub code: u8,
    /// E bit: the press is over.
    pub end: bool,
    /// Power below 1 mW, dB: 0 to 63.
    pub volume: u8,
    /// Ticks since the press began.
    pub duration: u16,
}

impl Event {
    /// Reads the first event of a payload; `None` if it is shorter than four bytes.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (b, _) = payload.split_first_chunk::<4>()?;
        Some(Self {
            code: b[0],
            end: b[1] & 0x80 != 0,
            volume: b[1] & 0x3f,
            duration: u16::from_be_bytes([b[2], b[3]]),
        })
    }

    /// The four bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 4] {
        let [d0, d1] = self.duration.to_be_bytes();
        [
            self.code,
            (u8::from(self.end) << 7) | (self.volume & 0x3f),
            d0,
            d1,
        ]
    }
}

/// A press.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// When its first packet was seen.
    pub at: Instant,
    /// Key.
    pub digit: char,
    /// It was held for at most so long before: what the duration says at the slowest clock there is.
    pub held: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    code: u8,
    sequence: u16,
    timestamp: u32,
    duration: u16,
    ended: bool,
}

/// Receives the events of one source. A new source needs a new receiver.
#[derive(Clone, Debug, Default)]
pub struct EventReceiver {
    current: Option<Current>,
    past: [Option<u32>; REMEMBERED],
    next: usize,
}

impl EventReceiver {
    /// Takes a packet from the latched source; tells a press at its first packet.
    pub fn handle(
        &mut self,
        at: Instant,
        sequence: u16,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Option<Press> {
        let event = Event::parse(payload)?;
        let digit = digit_of(event.code)?;
        if let Some(current) = &mut self.current {
            if timestamp == current.timestamp {
                current.ended |= event.end;
                current.duration = current.duration.max(event.duration);
                current.sequence = sequence;
                return None;
            }
            let step = timestamp.wrapping_sub(current.timestamp);
            let newer = step < 0x8000_0000;
            if !newer || self.past.contains(&Some(timestamp)) {
                return None;
            }
            // A held key goes on under a new timestamp when the duration is used up; and some devices move the timestamp with
            // every packet, whether the duration grows or not. After its end only more ends belong to it.
            let next = sequence == current.sequence.wrapping_add(1);
            let same = event.code == current.code && !marker;
            let held = !current.ended
                && (current.duration >= SEGMENT || (event.duration > current.duration && next));
            let moved = next && step <= STEP && (!current.ended || event.end);
            let goes_on = same && (held || moved);
            self.past[self.next] = Some(current.timestamp);
            self.next = (self.next + 1) % REMEMBERED;
            if goes_on {
                *current = Current {
                    sequence,
                    timestamp,
                    duration: event.duration,
                    ended: event.end,
                    code: event.code,
                };
                return None;
            }
        }
        self.current = Some(Current {
            code: event.code,
            sequence,
            timestamp,
            duration: event.duration,
            ended: event.end,
        });
        let held = Duration::from_micros(u64::from(event.duration) * 1_000_000 / SLOWEST);
        Some(Press { at, digit, held })
    }
}

/// A packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// Marker bit: first packet of a press.
    pub marker: bool,
    /// Timestamp of the press.
    pub timestamp: u32,
    /// Payload.
    pub payload: [u8; 4],
}

/// RTP clocks in Hz. Many peers take events at 8 kHz only, whatever the audio's clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Of the audio, which is the clock of the timestamps.
    pub audio: u32,
    /// Of the events, which is the clock of durations.
    pub events: u32,
}

impl Clocks {
    /// Ticks of the events' clock in ticks of the audio's.
    fn duration(self, audio_ticks: u32) -> u32 {
        let ticks = u64::from(audio_ticks) * u64::from(self.events) / u64::from(self.audio.max(1));
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    code: u8,
    timestamp: u32,
    /// Ticks of the events' clock.
    length: u32,
    ends: u8,
    first: bool,
}

/// Sends presses, one after the other.
#[derive(Clone, Debug)]
pub struct EventSender {
    queue: VecDeque<(u8, Duration)>,
    current: Option<Sending>,
    /// Timestamp before which no press may begin.
    pause: Option<u32>,
}

impl Default for EventSender {
    fn default() -> Self {
        Self {
            queue: VecDeque::with_capacity(MAX_QUEUED),
            current: None,
            pause: None,
        }
    }
}

impl EventSender {
    /// Queues a press of `length`; false if 32 wait already.
    pub fn press(&mut self, code: u8, length: Duration) -> bool {
        if self.queue.len() == MAX_QUEUED {
            return false;
        }
        self.queue.push_back((code, length));
        true
    }

    /// Called once per packet time with the timestamp the audio packet would have; `packet` is its length in
    /// ticks. While it gives packets, they are sent instead of audio. A press ends where its duration can tell no
    /// more: 8.1 s at 8 kHz, 1.3 s at 48 kHz.
    pub fn next(&mut self, now: u32, packet: u32, clocks: Clocks) -> Option<EventPacket> {
        if self.current.is_none() {
            if let Some(until) = self.pause {
                if until.wrapping_sub(now).cast_signed() > 0 {
                    return None;
                }
                self.pause = None;
            }
            let (code, length) = self.queue.pop_front()?;
            let ticks = length.as_millis() * u128::from(clocks.events) / 1_000;
            self.current = Some(Sending {
                code,
                timestamp: now,
                length: u32::try_from(ticks).unwrap_or(u32::MAX).clamp(1, LONGEST),
                ends: 0,
                first: true,
            });
        }
        let s = self.current.as_mut()?;
        let passed = clocks.duration(now.wrapping_sub(s.timestamp).saturating_add(packet));
        let end = passed >= s.length;
        let duration = passed.min(s.length);
        let out = EventPacket {
            marker: std::mem::take(&mut s.first),
            timestamp: s.timestamp,
            payload: Event {
                code: s.code,
                end,
                volume: 10,
                duration: u16::try_from(duration).unwrap_or(u16::MAX),
            }
            .to_bytes(),
        };
        if end {
            s.ends += 1;
            if s.ends == END_PACKETS {
                self.current = None;
                let pause = PAUSE * (clocks.audio / 1_000);
                self.pause = Some(now.wrapping_add(packet).wrapping_add(pause));
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ev(code: u8, end: bool, duration: u16) -> [u8; 4] {
        Event {
            code,
            end,
            volume: 10,
            duration,
        }
        .to_bytes()
    }

    /// Feeds `(sequence, timestamp, marker, code, end, duration)` and collects the digits.
    fn heard(packets: &[(u16, u32, bool, u8, bool, u16)]) -> String {
        let mut r = EventReceiver::default();
        packets
            .iter()
            .filter_map(|p| r.handle(Instant::ZERO, p.0, p.1, p.2, &ev(p.3, p.4, p.5)))
            .map(|p| p.digit)
            .collect()
    }

    #[test]
    fn one_press_per_timestamp_whatever_is_lost_or_doubled() {
        let press = |seq: u16, ts: u32, code: u8| {
            [
                (seq, ts, true, code, false, 160),
                (seq + 1, ts, false, code, false, 320),
                (seq + 2, ts, false, code, true, 480),
                (seq + 3, ts, false, code, true, 480),
                (seq + 4, ts, false, code, true, 480),
            ]
        };
        let (a, b) = (press(10, 1_000, 9), press(15, 3_000, 9));
        let all = [a, b].concat();
        assert_eq!(heard(&all), "99");
        // Every packet twice.
        let doubled: Vec<_> = all.iter().flat_map(|p| [*p, *p]).collect();
        assert_eq!(heard(&doubled), "99");
        // Only the last end packet of each.
        assert_eq!(heard(&[a[4], b[4]]), "99");
        // No end packets, no marker.
        assert_eq!(heard(&[a[1], b[1]]), "99");
        // End packets of the first after the second began.
        assert_eq!(heard(&[a[0], b[0], a[2], b[1], a[3], a[4]]), "99");
        // The second press overtakes the whole first one: the older is not told afterwards.
        assert_eq!(heard(&[b[0], a[0], a[1], b[1]]), "9");
    }

    #[test]
    fn a_held_key_and_a_moving_timestamp_are_one_press() {
        assert_eq!(
            heard(&[
                (1, 0, true, 5, false, 160),
                (400, 0, false, 5, false, 0xfff0),
                (401, 0xfff0, false, 5, false, 160),
                (402, 0xfff0, false, 5, true, 320),
            ]),
            "5"
        );
        assert_eq!(
            heard(&[
                (1, 0, true, 5, false, 160),
                (2, 160, false, 5, false, 320),
                (3, 320, false, 5, false, 480),
                (4, 320, false, 5, true, 480),
            ]),
            "5"
        );
    }

    #[test]
    fn a_timestamp_that_moves_with_each_packet_makes_one_press_and_two_fast_ones_stay_two() {
        let press = |seq: u16, ts: u32, marker: bool, ends: u16| {
            let packet = move |n: u16| {
                let last = n >= 5;
                (seq + n, ts + 160 * u32::from(n), marker && n == 0, 5, last, 160)
            };
            (0..5 + ends).map(packet).collect::<Vec<_>>()
        };
        for ends in [0, 1, 3] {
            assert_eq!(heard(&press(1, 1_000, true, ends)), "5", "{ends} ends");
            assert_eq!(
                heard(&press(1, 1_000, false, ends)),
                "5",
                "{ends} ends, no marker"
            );
        }
        // told apart by their ends, or by the marker
        let after = |marker, ends| {
            [
                press(1, 1_000, true, ends),
                press(6 + ends, 1_000 + 160 * u32::from(5 + ends), marker, ends),
            ]
            .concat()
        };
        assert_eq!(heard(&after(false, 3)), "55");
        assert_eq!(heard(&after(true, 0)), "55");
        // or by a pause
        assert_eq!(
            heard(&[press(1, 1_000, false, 0), press(6, 3_000, false, 0)].concat()),
            "55"
        );
        // another key is another press at once
        assert_eq!(
            heard(&[(1, 0, true, 5, false, 160), (2, 160, false, 6, false, 160)]),
            "56"
        );
    }

    #[test]
    fn keys_are_named_and_flash_is_none() {
        assert_eq!(
            heard(&[(1, 1, true, 10, false, 1), (2, 9, true, 11, false, 1)]),
            "*#"
        );
        assert_eq!(heard(&[(1, 1, true, 16, false, 1)]), "");
        assert_eq!(code_of('d'), Some(15));
        assert_eq!(code_of('x'), None);
        assert_eq!(
            EventReceiver::default().handle(Instant::ZERO, 1, 1, true, &[9, 0, 0]),
            None
        );
    }

    #[test]
    fn the_time_is_that_of_the_first_packet() {
        let mut r = EventReceiver::default();
        let t = Instant::ZERO + Duration::from_millis(77);
        assert_eq!(
            r.handle(t, 1, 5, true, &ev(9, false, 160)),
            Some(Press {
                at: t,
                digit: '9',
                held: Duration::from_millis(20),
            })
        );
    }

    #[test]
    fn what_is_sent_is_heard_and_has_the_right_length() {
        // Telephone-events of 8 kHz beside G.711, of either clock beside Opus: the press is always 100 ms.
        for (audio, events, longest_wanted) in
            [(8_000, 8_000, 800), (48_000, 8_000, 800), (48_000, 48_000, 4_800)]
        {
            let clocks = Clocks { audio, events };
            let packet = audio / 50;
            let mut s = EventSender::default();
            let mut r = EventReceiver::default();
            for code in [4, 4, 11] {
                assert!(s.press(code, Duration::from_millis(100)));
            }
            let mut digits = String::new();
            let mut longest = 0;
            let mut ends = 0;
            for n in 0..60u32 {
                if let Some(p) = s.next(n * packet, packet, clocks) {
                    let event = Event::parse(&p.payload).expect("event");
                    longest = longest.max(event.duration);
                    ends += u32::from(event.end);
                    let press = r.handle(Instant::ZERO, n as u16, p.timestamp, p.marker, &p.payload);
                    assert_eq!(press.is_some(), p.marker);
                    digits.extend(press.map(|p| p.digit));
                }
            }
            assert_eq!(
                (digits.as_str(), longest, ends),
                ("44#", longest_wanted, 9),
                "{clocks:?}"
            );
        }
    }

    #[test]
    fn the_send_queue_is_bounded() {
        let mut s = EventSender::default();
        assert_eq!(
            (0..100)
                .filter(|_| s.press(1, Duration::from_millis(100)))
                .count(),
            MAX_QUEUED
        );
    }

    proptest! {
        #[test]
        fn any_payload_is_taken(seq: u16, ts: u32, m: bool, data in proptest::collection::vec(any::<u8>(), 0..20)) {
            let mut r = EventReceiver::default();
            let first = r.handle(Instant::ZERO, seq, ts, m, &data);
            prop_assert_eq!(first.is_some(), data.len() >= 4 && data[0] < 16);
            prop_assert_eq!(r.handle(Instant::ZERO, seq, ts, m, &data), None);
        }
    }
}
