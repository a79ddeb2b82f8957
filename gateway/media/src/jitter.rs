//! Jitter buffer: 32 packets in order of their sequence numbers, bounded, without allocation.
//!
//! Playing begins `start` after the first packet. An empty buffer is waited for (the delay grows by what was
//! concealed meanwhile), a missing packet with later ones behind it is given up. When the buffer has held more
//! than it needs for a second, 10 ms are cut; over `max` 10 ms are cut at each tick.

use std::time::Duration;

use gateway_core::Instant;

/// Packets held.
const SLOTS: usize = 32;
/// Bytes of a payload: 120 ms of G.711 or G.722.
pub const MAX_PAYLOAD: usize = 960;
/// Late packets in a row after which the stream is taken to have restarted.
const RESTART: u8 = 5;
/// After so long without packets, playing begins anew with the start delay.
const STARVED: Duration = Duration::from_millis(60);
/// Pulls between two looks at the delay: 1 s.
const REVIEW: u32 = 100;

/// What a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Audio of this payload type.
    Audio(u8),
    /// Comfort noise (RFC 3389); the payload's first byte is the level.
    Comfort,
    /// Nothing to play: a telephone-event that used a sequence number.
    Nothing,
}

#[derive(Clone)]
struct Slot {
    /// Extended sequence number of what is held.
    held: Option<u64>,
    content: Content,
    ticks: u32,
    len: usize,
    payload: [u8; MAX_PAYLOAD],
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// Held already, or played already and still remembered.
    Duplicate,
    /// Its time is over.
    Late,
    /// No payload of its codec.
    Malformed,
    /// Larger than a slot.
    TooLarge,
    /// Taken.
    Taken,
}

/// What is to be played next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// Nothing there (yet): conceal 10 ms and ask again.
    Empty,
    /// A packet is missing: conceal its length.
    Lost,
    /// This one.
    Packet(Content, &'a [u8]),
    /// Filling up before the first packet is played: silence.
    Waiting,
}

/// The buffer.
#[derive(Clone)]
pub struct JitterBuffer {
    slots: Box<[Slot; SLOTS]>,
    start: Duration,
    max: Duration,
    /// Extended number to be played next; `None` before the first packet.
    next: Option<u64>,
    highest: u64,
    /// When playing may begin; `None` while it goes on.
    begin: Option<Instant>,
    starving: Option<Instant>,
    held_ticks: u32,
    clock: u32,
    late_run: u8,
    pulls: u32,
    /// Lowest fill seen since the last review, ticks.
    floor: u32,
    cut: bool,
}

impl std::fmt::Debug for JitterBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JitterBuffer")
            .field("next", &self.next)
            .field("held_ticks", &self.held_ticks)
            .finish_non_exhaustive()
    }
}

impl JitterBuffer {
    /// `start` is clamped to 10 to 200 ms, `max` to `start` + 40 ms to 200 ms; `clock` in Hz.
    #[must_use]
    pub fn new(start: Duration, max: Duration, clock: u32) -> Self {
        let (least, most) = (Duration::from_millis(10), Duration::from_millis(200));
        let start = start.clamp(least, most);
        let slot = Slot {
            held: None,
            content: Content::Nothing,
            ticks: 0,
            len: 0,
            payload: [0; MAX_PAYLOAD],
        };
        Self {
            slots: Box::new(std::array::from_fn(|_| slot.clone())),
            start,
            max: max
                .max(start + Duration::from_millis(40))
                .min(most + Duration::from_millis(40)),
            next: None,
            highest: 0,
            begin: None,
            starving: None,
            held_ticks: 0,
            clock,
            late_run: 0,
            pulls: 0,
            floor: u32::MAX,
            cut: false,
        }
    }

    /// Forgets everything: a new source.
    pub fn reset(&mut self) {
        for s in self.slots.iter_mut() {
            s.held = None;
        }
        self.next = None;
        self.begin = None;
        self.starving = None;
        self.held_ticks = 0;
        self.late_run = 0;
        self.pulls = 0;
        self.floor = u32::MAX;
        self.cut = false;
    }

    /// Takes a packet of `ticks` length.
    pub fn insert(
        &mut self,
        now: Instant,
        sequence: u16,
        content: Content,
        ticks: u32,
        payload: &[u8],
    ) -> Inserted {
        if payload.len() > MAX_PAYLOAD {
            return Inserted::TooLarge;
        }
        let Some(next) = self.next else {
            // One cycle up, so that older numbers do not fall below zero.
            let first = 0x1_0000 + u64::from(sequence);
            self.next = Some(first);
            self.highest = first;
            self.begin = Some(now + self.start);
            self.put(first, content, ticks, payload);
            return Inserted::Taken;
        };
        let step = sequence.wrapping_sub(self.highest as u16).cast_signed();
        let number = self.highest.saturating_add_signed(i64::from(step));
        if number < next {
            // Before playing has begun, an earlier packet may still become the first.
            let room = self.highest - number < SLOTS as u64;
            if self.begin.is_some() && self.starving.is_none() && room {
                self.next = Some(number);
            } else {
                let index = slot(number);
                if self.slots[index].held == Some(number) {
                    return Inserted::Duplicate;
                }
                self.late_run = self.late_run.saturating_add(1);
                if self.late_run < RESTART {
                    return Inserted::Late;
                }
                self.reset();
                return self.insert(now, sequence, content, ticks, payload);
            }
        }
        if number >= next + SLOTS as u64 {
            self.reset();
            return self.insert(now, sequence, content, ticks, payload);
        }
        if self.slots[slot(number)].held == Some(number) {
            return Inserted::Duplicate;
        }
        if self
            .starving
            .take()
            .is_some_and(|since| now.since(since) > STARVED)
        {
            // What was missing in a long gap is not waited for.
            self.next = Some(number);
            self.begin = Some(now + self.start);
        }
        self.late_run = 0;
        self.highest = self.highest.max(number);
        self.put(number, content, ticks, payload);
        Inserted::Taken
    }

    fn put(&mut self, number: u64, content: Content, ticks: u32, payload: &[u8]) {
        let s = &mut self.slots[slot(number)];
        s.held = Some(number);
        s.content = content;
        s.ticks = ticks;
        s.len = payload.len();
        s.payload[..payload.len()].copy_from_slice(payload);
        self.held_ticks += ticks;
    }

    /// Called every 10 ms before anything is pulled; `rest` are decoded ticks not yet played. Tells whether
    /// 10 ms are to be thrown away, because the delay is longer than needed.
    pub fn review(&mut self, rest: u32) -> bool {
        if self.begin.is_some() || self.next.is_none() {
            return false;
        }
        let fill = self.held_ticks + rest;
        self.floor = self.floor.min(fill);
        self.pulls += 1;
        if self.pulls >= REVIEW {
            self.cut = self.floor > self.ticks(self.start) + self.clock / 100;
            self.pulls = 0;
            self.floor = u32::MAX;
        }
        if fill > self.ticks(self.max) {
            return true;
        }
        std::mem::take(&mut self.cut)
    }

    /// What is buffered, `rest` decoded ticks with it: so long after its arrival sound is played. `None` while nothing is.
    #[must_use]
    pub fn delay(&self, rest: u32) -> Option<Duration> {
        let ticks = u64::from(self.held_ticks) + u64::from(rest);
        let plays = self.begin.is_none() && self.next.is_some() && ticks > 0;
        plays.then(|| Duration::from_micros(ticks * 1_000_000 / u64::from(self.clock)))
    }

    /// The next packet to play.
    pub fn pull(&mut self, now: Instant) -> Next<'_> {
        let Some(mut number) = self.next else {
            return Next::Waiting;
        };
        if let Some(begin) = self.begin {
            if now < begin {
                return Next::Waiting;
            }
            self.begin = None;
        }
        loop {
            if number > self.highest {
                self.next = Some(number);
                self.starving.get_or_insert(now);
                return Next::Empty;
            }
            let index = slot(number);
            if self.slots[index].held != Some(number) {
                self.next = Some(number + 1);
                return Next::Lost;
            }
            self.held_ticks -= self.slots[index].ticks;
            number += 1;
            if self.slots[index].content != Content::Nothing {
                self.next = Some(number);
                // The slot stays marked, so that a late duplicate is known; its number is below `next`.
                let s = &self.slots[index];
                return Next::Packet(s.content, &s.payload[..s.len]);
            }
        }
    }

    /// The packet that [`Self::pull`] gives next, if it is there already.
    #[must_use]
    pub fn peek(&self) -> Option<(Content, &[u8])> {
        let number = self.next?;
        let s = &self.slots[slot(number)];
        (s.held == Some(number)).then(|| (s.content, &s.payload[..s.len]))
    }

    fn ticks(&self, d: Duration) -> u32 {
        u32::try_from(d.as_millis()).unwrap_or(0) * (self.clock / 1_000)
    }
}

fn slot(number: u64) -> usize {
    usize::try_from(number % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICKS: u32 = 160;

    fn buffer(start_ms: u64) -> JitterBuffer {
        JitterBuffer::new(Duration::from_millis(start_ms), Duration::from_millis(200), 8_000)
    }

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(1_000 + ms)
    }

    fn put(b: &mut JitterBuffer, ms: u64, n: u16) -> Inserted {
        b.insert(at(ms), n, Content::Audio(8), TICKS, &[n.to_be_bytes()[1]; 160])
    }

    fn pulled(b: &mut JitterBuffer, ms: u64) -> String {
        match b.pull(at(ms)) {
            Next::Empty => "empty".into(),
            Next::Lost => "lost".into(),
            Next::Waiting => "waiting".into(),
            Next::Packet(_, p) => format!("{}", p[0]),
        }
    }

    #[test]
    fn packets_come_out_in_order_after_the_start_delay() {
        let mut b = buffer(40);
        assert_eq!(pulled(&mut b, 0), "waiting");
        for (ms, n) in [(0, 11), (5, 10), (20, 13), (30, 12)] {
            assert_eq!(put(&mut b, ms, n), Inserted::Taken);
        }
        assert_eq!(pulled(&mut b, 39), "waiting");
        for n in 10..14 {
            assert_eq!(pulled(&mut b, 40), n.to_string());
        }
        assert_eq!(pulled(&mut b, 60), "empty");
    }

    #[test]
    fn loss_duplicates_and_late_packets_are_told_apart() {
        let mut b = buffer(20);
        for n in [1, 2, 4] {
            put(&mut b, 0, n);
        }
        assert_eq!(put(&mut b, 1, 2), Inserted::Duplicate);
        assert_eq!(pulled(&mut b, 20), "1");
        assert_eq!(put(&mut b, 21, 1), Inserted::Duplicate);
        assert_eq!(pulled(&mut b, 40), "2");
        assert_eq!(pulled(&mut b, 60), "lost");
        assert_eq!(put(&mut b, 61, 3), Inserted::Late);
        assert_eq!(pulled(&mut b, 80), "4");
    }

    #[test]
    fn an_empty_buffer_waits_for_the_packet_that_is_only_delayed() {
        let mut b = buffer(20);
        put(&mut b, 0, 1);
        assert_eq!(pulled(&mut b, 20), "1");
        assert_eq!(pulled(&mut b, 40), "empty");
        assert_eq!(put(&mut b, 45, 2), Inserted::Taken);
        assert_eq!(pulled(&mut b, 50), "2");
    }

    #[test]
    fn after_a_pause_the_start_delay_is_taken_again() {
        let mut b = buffer(20);
        put(&mut b, 0, 1);
        assert_eq!(pulled(&mut b, 20), "1");
        assert_eq!(pulled(&mut b, 40), "empty");
        put(&mut b, 500, 2);
        assert_eq!(pulled(&mut b, 510), "waiting");
        assert_eq!(pulled(&mut b, 520), "2");
    }

    #[test]
    fn sequence_numbers_wrap_and_streams_may_restart() {
        let mut b = buffer(20);
        for n in [65_534, 65_535, 0, 1] {
            assert_eq!(put(&mut b, 0, n), Inserted::Taken);
        }
        for n in [254, 255, 0, 1] {
            assert_eq!(pulled(&mut b, 20), n.to_string());
        }
        // Far ahead: starts anew. Far behind: after five in a row.
        assert_eq!(put(&mut b, 40, 1_000), Inserted::Taken);
        assert_eq!(pulled(&mut b, 60), 1_000u16.to_be_bytes()[1].to_string());
        for n in 50..54 {
            assert_eq!(put(&mut b, 60, n), Inserted::Late);
        }
        assert_eq!(put(&mut b, 60, 54), Inserted::Taken);
        assert_eq!(pulled(&mut b, 80), "54");
    }

    #[test]
    fn events_use_numbers_but_no_time() {
        let mut b = buffer(20);
        put(&mut b, 0, 1);
        for n in 2..6 {
            b.insert(at(0), n, Content::Nothing, 0, &[]);
        }
        put(&mut b, 0, 6);
        assert_eq!(pulled(&mut b, 20), "1");
        assert_eq!(pulled(&mut b, 20), "6");
    }

    #[test]
    fn the_delay_is_what_waits_to_be_played() {
        let mut b = buffer(20);
        assert_eq!(b.delay(0), None, "nothing came yet");
        put(&mut b, 0, 1);
        put(&mut b, 0, 2);
        assert_eq!(b.delay(0), None, "nothing is played yet");
        assert_eq!(pulled(&mut b, 20), "1");
        assert_eq!(b.delay(80), Some(Duration::from_millis(30)));
        assert_eq!(pulled(&mut b, 40), "2");
        assert_eq!(b.delay(0), None);
    }

    #[test]
    fn delay_that_is_not_needed_is_cut_and_too_much_of_it_at_once() {
        let mut b = buffer(20);
        for n in 0..6 {
            put(&mut b, 0, n);
        }
        // 120 ms held where 20 would do, steadily: cut after a second.
        let mut n = 6;
        let mut cuts = 0;
        for tick in 0..300u64 {
            cuts += u32::from(b.review(0));
            if tick % 2 == 0 {
                assert_ne!(pulled(&mut b, 20 + 10 * tick), "lost");
                put(&mut b, 20 + 10 * tick, n);
                n += 1;
            }
        }
        assert!((1..=3).contains(&cuts), "{cuts}");
        for _ in 0..8 {
            put(&mut b, 4_000, n);
            n += 1;
        }
        assert!(b.review(0), "more than the largest delay");
    }

    proptest! {
        /// Whatever comes, the count of held ticks fits what is held and nothing panics.
        #[test]
        fn any_order_of_packets_keeps_the_buffer_consistent(
            steps in proptest::collection::vec((any::<u16>(), 0u16..64, any::<bool>()), 1..300)
        ) {
            let mut b = buffer(20);
            let mut base = 0u16;
            for (n, (jump, near, pull)) in steps.into_iter().enumerate() {
                base = if near == 0 { jump } else { base.wrapping_add(1) };
                let ms = 10 * n as u64;
                put(&mut b, ms, base.wrapping_add(near).wrapping_sub(32));
                if pull {
                    b.review(0);
                    pulled(&mut b, ms);
                }
                let next = b.next.unwrap_or(0);
                let held: u32 = b.slots.iter().filter(|s| s.held.is_some_and(|h| h >= next)).map(|s| s.ticks).sum();
                prop_assert_eq!(held, b.held_ticks);
            }
        }
    }
}
