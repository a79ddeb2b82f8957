//! The replay list of one RTP source (RFC 3711 §3.3.2), without allocation.
//!
//! The cipher has one, too, but makes two new ones for each packet, only to drop them.

/// Packets that may come out of order, 64 at least.
pub(super) const WINDOW: u16 = 128;

/// Which of the last packets of a source were taken. It goes by the 16 bits that packets carry: an older packet of the
/// same number was made with another roll-over counter and is not authentic.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Replay {
    /// The newest number; `None` before the first packet.
    newest: Option<u16>,
    /// Bit n: the n-th before the newest was taken.
    taken: u128,
}

impl Replay {
    /// False if a packet of this number was taken already, or is too old to be known.
    pub(super) fn allows(&self, sequence: u16) -> bool {
        match self.behind(sequence) {
            None => true,
            Some(behind) if behind >= WINDOW => false,
            Some(behind) => self.taken >> behind & 1 == 0,
        }
    }

    /// A packet of this number is authentic and was taken.
    pub(super) fn take(&mut self, sequence: u16) {
        match self.behind(sequence) {
            None => {
                let step = self.newest.map_or(WINDOW, |newest| sequence.wrapping_sub(newest));
                self.taken = self.taken.checked_shl(step.into()).unwrap_or(0) | 1;
                self.newest = Some(sequence);
            }
            Some(behind) => self.taken |= 1u128.checked_shl(behind.into()).unwrap_or(0),
        }
    }

    /// How far a number lies behind the newest; `None` if it is newer, by less than a quarter of all numbers. RFC 3711
    /// appendix A takes half of them, but what lies just there is still opened by the library under the old rollover counter:
    /// a recording would begin anew.
    fn behind(&self, sequence: u16) -> Option<u16> {
        let behind = self.newest?.wrapping_sub(sequence);
        (behind < 0xC000).then_some(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offers numbers in turn and tells which were taken.
    fn offered(numbers: &[u16]) -> Vec<u16> {
        let mut replay = Replay::default();
        let mut taken = Vec::new();
        for n in numbers {
            if replay.allows(*n) {
                replay.take(*n);
                taken.push(*n);
            }
        }
        taken
    }

    #[test]
    fn a_recording_from_half_the_numbers_ago_does_not_begin_anew() {
        let mut replay = Replay::default();
        replay.take(40_000);
        for old in [7_231, 7_232, 7_233, 7_300] {
            assert!(!replay.allows(old), "{old}");
        }
        assert!(replay.allows(40_001) && replay.allows(50_000));
    }

    #[test]
    fn each_number_is_taken_once_in_any_order_within_the_window() {
        assert_eq!(offered(&[5, 5, 7, 6, 6, 7, 5, 8]), [5, 7, 6, 8]);
        assert_eq!(
            offered(&[65_534, 0, 65_535, 65_534, 0, 1]),
            [65_534, 0, 65_535, 1]
        );
        assert_eq!(offered(&[0, 65_535, 65_535, 0]), [0, 65_535]);
        // the last that is known, and the first that is not
        assert_eq!(offered(&[1_000, 873, 872, 873]), [1_000, 873]);
        // a leap forgets what lies behind it, and takes none of it
        assert_eq!(
            offered(&[10, 11, 500, 11, 10, 373, 499, 499]),
            [10, 11, 500, 373, 499]
        );
        assert_eq!(offered(&[100, 228, 100, 101]), [100, 228, 101]);
    }

    #[test]
    fn what_was_not_taken_is_still_allowed() {
        let mut replay = Replay::default();
        assert!(replay.allows(3) && replay.allows(3));
        replay.take(3);
        assert!(replay.allows(4) && replay.allows(2) && !replay.allows(3));
    }
}
