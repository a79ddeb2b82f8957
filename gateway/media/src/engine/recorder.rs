//! A talk that is recorded: both sides as they were heard, handed to whoever writes them down. The media thread waits for nobody
//! there: what finds no room is lost and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

use adapter_api::{FRAME_SAMPLES, Frame};

/// 10 ms at 16 kHz: of each sample what came from the line, or from whoever was put through, and what came from the telephone,
/// with all that was played to the line.
pub type Both = [[i16; 2]; FRAME_SAMPLES];

/// Pieces of 10 ms that wait for whoever writes: 5 s.
const WAITING: usize = 500;

/// The end of a recording that the engine has.
#[derive(Debug)]
pub struct Recorder {
    lost: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    pieces: SyncSender<Both>,
}

/// The other end: what there is to be written down.
#[derive(Debug)]
pub struct Recording {
    lost: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    pieces: Receiver<Both>,
}

/// What is next of a recording.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and mostly is the large one"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The next 10 ms.
    Both(Both),
    /// Nothing yet.
    Nothing,
    /// The talk is over, or was never recorded.
    Over,
}

/// Both ends of a recording.
#[must_use]
pub fn recording() -> (Recorder, Recording) {
    let (sender, pieces) = sync_channel(WAITING);
    let lost = Arc::<AtomicU64>::default();
    let over = Arc::<AtomicBool>::default();
    let recorder = Recorder {
        lost: Arc::clone(&lost),
        over: Arc::clone(&over),
        pieces: sender,
    };
    (recorder, Recording { lost, over, pieces })
}

impl Recorder {
    /// Takes 10 ms of both sides; false once nobody writes any more.
    pub(super) fn push(&self, line: &Frame, phone: &Frame) -> bool {
        let both = std::array::from_fn(|n| [line[n], phone[n]]);
        match self.pieces.try_send(both) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    /// Nothing more is recorded. It may be some time before it is dropped.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }
}

impl Recording {
    /// What is next; does not wait.
    #[must_use]
    pub fn next(&self) -> Piece {
        // before it is seen that nothing is left, since the last comes before the end
        let over = self.over.load(Ordering::Acquire);
        match self.pieces.try_recv() {
            Ok(both) => Piece::Both(both),
            Err(TryRecvError::Empty) if over => Piece::Over,
            Err(TryRecvError::Empty) => Piece::Nothing,
            Err(TryRecvError::Disconnected) => Piece::Over,
        }
    }

    /// Pieces of 10 ms that were lost, since nobody took them in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_order_and_what_nobody_takes_is_lost_without_waiting() {
        let (recorder, recording) = recording();
        assert_eq!(recording.next(), Piece::Nothing);
        for n in 0..600 {
            assert!(recorder.push(&[n; FRAME_SAMPLES], &[-n; FRAME_SAMPLES]));
        }
        assert_eq!(recording.lost(), 100);
        for n in 0..500 {
            assert_eq!(recording.next(), Piece::Both([[n, -n]; FRAME_SAMPLES]));
        }
        drop(recorder);
        assert_eq!(recording.next(), Piece::Over);
    }

    #[test]
    fn the_end_comes_after_the_last_piece_though_nothing_is_dropped_yet() {
        let (recorder, recording) = recording();
        assert!(recorder.push(&[1; FRAME_SAMPLES], &[2; FRAME_SAMPLES]));
        recorder.end();
        assert_eq!(recording.next(), Piece::Both([[1, 2]; FRAME_SAMPLES]));
        assert_eq!(recording.next(), Piece::Over);
    }

    #[test]
    fn who_writes_no_more_is_noticed() {
        let (recorder, recording) = recording();
        drop(recording);
        assert!(!recorder.push(&[0; FRAME_SAMPLES], &[0; FRAME_SAMPLES]));
    }
}
