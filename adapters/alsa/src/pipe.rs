//! The two queues between a card and the media engine, and the engine's end of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use adapter_api::{AudioPort, FRAME_SAMPLES, Frame};
use rtrb::{Consumer, Producer, RingBuffer};

/// Room of a queue: 200 ms. A full one means that nobody is at its other end.
const ROOM: usize = 3200;
/// What waits before the first sample is taken: 20 ms, so that a tick that comes late finds something.
pub(crate) const PRIMED: usize = 2 * FRAME_SAMPLES;
/// What the trim aims at, seen from the card's side.
pub(crate) const AIM: usize = PRIMED - FRAME_SAMPLES / 2;

/// What happened between card and engine since the start.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Frames of 10 ms that the engine wanted and the card had not brought.
    pub(crate) missing: AtomicU64,
    /// Frames of 10 ms that found no room on their way to the card.
    pub(crate) crowded: AtomicU64,
    /// Times at which the card ran empty or full.
    pub(crate) xruns: AtomicU64,
}

/// The engine's end.
pub(crate) struct Port {
    from_card: Consumer<i16>,
    primed: bool,
    tally: Arc<Tally>,
    to_card: Producer<i16>,
}

/// The card's ends: what was heard goes into the first, what is to be heard comes out of the second.
pub(crate) struct Ends {
    pub(crate) heard: Producer<i16>,
    pub(crate) spoken: Spoken,
    pub(crate) tally: Arc<Tally>,
}

/// What is to be heard at the panel.
pub(crate) struct Spoken {
    from_engine: Consumer<i16>,
    primed: bool,
}

/// Both ends.
pub(crate) fn pipe() -> (Port, Ends) {
    let (heard, from_card) = RingBuffer::new(ROOM);
    let (to_card, from_engine) = RingBuffer::new(ROOM);
    let tally = Arc::<Tally>::default();
    let port = Port {
        from_card,
        primed: false,
        tally: Arc::clone(&tally),
        to_card,
    };
    let primed = false;
    let ends = Ends {
        heard,
        spoken: Spoken { from_engine, primed },
        tally,
    };
    (port, ends)
}

/// Takes all that waits.
fn clear(of: &mut Consumer<i16>) {
    let waiting = of.slots();
    if let Ok(chunk) = of.read_chunk(waiting) {
        chunk.commit_all();
    }
}

impl AudioPort for Port {
    fn capture(&mut self, frame: &mut Frame) {
        let waiting = self.from_card.slots();
        if waiting > ROOM - FRAME_SAMPLES {
            // nobody has listened for a while: what waits is of then
            clear(&mut self.from_card);
            self.primed = false;
        } else if waiting >= PRIMED {
            self.primed = true;
        } else if waiting < FRAME_SAMPLES && self.primed {
            self.primed = false;
            self.tally.missing.fetch_add(1, Ordering::Relaxed);
        }
        if !self.primed || self.from_card.pop_entire_slice(frame).is_err() {
            frame.fill(0);
        }
    }

    fn playback(&mut self, frame: &Frame) {
        if self.to_card.push_entire_slice(frame).is_err() {
            self.tally.crowded.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Spoken {
    /// The next 10 ms; silence if the engine says nothing. True if it was the engine's.
    pub(crate) fn next(&mut self, frame: &mut Frame) -> bool {
        let waiting = self.from_engine.slots();
        if waiting > ROOM - FRAME_SAMPLES {
            // the card stood still: a call goes on with what is said now
            clear(&mut self.from_engine);
            self.primed = false;
        } else if waiting >= PRIMED {
            self.primed = true;
        } else if waiting < FRAME_SAMPLES {
            self.primed = false;
        }
        let spoken = self.primed && self.from_engine.pop_entire_slice(frame).is_ok();
        if !spoken {
            frame.fill(0);
        }
        spoken
    }

    /// Samples that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.from_engine.slots()
    }
}

/// Samples that wait at the engine's end of what was heard.
pub(crate) fn waiting(heard: &Producer<i16>) -> usize {
    ROOM - heard.slots()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(port: &mut Port) -> i16 {
        let mut frame = [7; FRAME_SAMPLES];
        port.capture(&mut frame);
        frame[0]
    }

    #[test]
    fn what_was_heard_waits_for_two_frames_and_is_then_taken_in_turn() {
        let (mut port, mut ends) = pipe();
        assert_eq!(heard(&mut port), 0);
        ends.heard.push_entire_slice(&[1; FRAME_SAMPLES]).expect("room");
        assert_eq!(heard(&mut port), 0, "not primed");
        ends.heard.push_entire_slice(&[2; FRAME_SAMPLES]).expect("room");
        assert_eq!(heard(&mut port), 1);
        assert_eq!(heard(&mut port), 2);
        assert_eq!(heard(&mut port), 0);
        assert_eq!(ends.tally.missing.load(Ordering::Relaxed), 1);
        // one that came late waits for another again
        ends.heard.push_entire_slice(&[3; FRAME_SAMPLES]).expect("room");
        assert_eq!(heard(&mut port), 0);
    }

    #[test]
    fn what_waited_while_nobody_listened_is_never_heard() {
        let (mut port, mut ends) = pipe();
        while ends.heard.push(5).is_ok() {}
        assert_eq!(heard(&mut port), 0);
        ends.heard.push_entire_slice(&[6; PRIMED]).expect("room");
        assert_eq!(heard(&mut port), 6);
    }

    #[test]
    fn what_is_said_to_a_card_that_stands_still_is_not_said_later() {
        let (mut port, mut ends) = pipe();
        for _ in 0..=ROOM / FRAME_SAMPLES {
            port.playback(&[9; FRAME_SAMPLES]);
        }
        assert_eq!(ends.tally.crowded.load(Ordering::Relaxed), 1);
        let mut frame = [0; FRAME_SAMPLES];
        assert!(!ends.spoken.next(&mut frame));
        port.playback(&[4; FRAME_SAMPLES]);
        port.playback(&[5; FRAME_SAMPLES]);
        assert!(ends.spoken.next(&mut frame) && frame[0] == 4);
        assert!(ends.spoken.next(&mut frame) && frame[0] == 5);
        assert!(
            !ends.spoken.next(&mut frame) && frame[0] == 0,
            "silence between calls"
        );
    }

    #[test]
    fn a_port_whose_card_is_gone_is_silent() {
        let (mut port, ends) = pipe();
        drop(ends);
        assert_eq!(heard(&mut port), 0);
        port.playback(&[1; FRAME_SAMPLES]);
    }
}
