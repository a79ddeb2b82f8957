//! A file for a reader, its firmware mostly (FILETRANSFER and FTSTAT; OSDP v2.2, 6.27 and 7.25). Pure.
//!
//! The reader says after each piece how it goes on. One that stops answering in the middle keeps what it makes of it: the
//! gateway sends the file from its beginning the next time, after it has told the reader to forget the one before.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::Instant;

/// Longest file.
pub const LONGEST_FILE: usize = 16 << 20;
/// Longest packet of a reader that does not say how long a one it takes (v2.2, annex B).
const USUAL: u16 = 128;
/// A longer packet would keep the other readers of a slow line waiting for too long.
const MOST: usize = 512;
/// Header, security block, code, MAC, check and mark of a packet.
const AROUND: usize = 5 + 2 + 1 + 4 + 2 + 1;
/// What stands before the bytes of a piece.
const HEADER: usize = 11;
/// Data are encrypted in blocks of this.
const BLOCK: usize = 16;
/// A reader may ask for a pause of up to a minute; a longer one than this makes it look as if it were away.
const PAUSE: Duration = Duration::from_secs(6);
/// A reader that is still at work is asked again after this, if it does not say when.
const ASK: Duration = Duration::from_millis(500);
/// Longest time for a reader to be at work with a whole file.
const WORK: Duration = Duration::from_secs(600);

/// A file.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its bytes, 1 to [`LONGEST_FILE`].
    pub bytes: Arc<[u8]>,
    /// Its type: 1 is a file that only the reader understands, 128 to 255 are its maker's.
    pub kind: u8,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({} bytes of type {})", self.bytes.len(), self.kind)
    }
}

/// A piece of it, or none when the reader is asked whether it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    bytes: Vec<u8>,
    kind: u8,
    offset: u32,
    total: u32,
}

impl Piece {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(self.bytes.len()).unwrap_or(0);
        let (total, offset) = (self.total.to_le_bytes(), self.offset.to_le_bytes());
        [
            &[self.kind][..],
            &total,
            &offset,
            &length.to_le_bytes(),
            &self.bytes,
        ]
        .concat()
    }
}

/// What a reader says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// Bit 0: other commands may come between; bit 1: it wants to leave the secure channel.
    pub action: u8,
    /// Pause before the next piece, ms.
    pub delay: u16,
    /// 0 go on, 1 done, 2 begins anew, 3 still at work, less than 0 refused.
    pub detail: i16,
    /// Longest packet for this file; 0 leaves it.
    pub longest: u16,
}

impl FileStatus {
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let [action, d0, d1, s0, s1, l0, l1, ..] = *data else {
            return None;
        };
        Some(Self {
            action,
            delay: u16::from_le_bytes([d0, d1]),
            detail: i16::from_le_bytes([s0, s1]),
            longest: u16::from_le_bytes([l0, l1]),
        })
    }
}

/// How it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has so much.
    Progress { sent: u32, total: u32 },
    /// It has the file; what it does next.
    Done(&'static str),
    /// It is over without the file.
    Failed(String),
}

/// A file on its way.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// When the next piece may go out.
    due: Instant,
    file: File,
    /// Nothing else may be asked of the reader meanwhile.
    exclusive: bool,
    /// Bytes of the piece that is out.
    out: usize,
    /// Something else comes next.
    pauses: bool,
    piece: usize,
    /// Bytes that the reader has.
    sent: usize,
    /// Since when the reader works at the whole file.
    works: Option<Instant>,
}

/// Bytes of a piece in a packet of so many.
fn piece(longest: u16) -> usize {
    let longest = usize::from(if longest == 0 { USUAL } else { longest }).min(MOST);
    let data = longest.saturating_sub(AROUND) / BLOCK * BLOCK;
    // at least one byte of filling, in case that the blocks need it
    data.saturating_sub(HEADER + 1).max(1)
}

impl Transfer {
    /// A file for a reader that takes packets of up to `longest` bytes; 0 if it does not say.
    pub(crate) fn new(file: File, longest: u16, now: Instant) -> Self {
        Self {
            due: now,
            file,
            exclusive: false,
            out: 0,
            pauses: false,
            piece: piece(longest),
            sent: 0,
            works: None,
        }
    }

    /// When the reader is to be asked next.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// May nothing else be asked of the reader?
    pub(crate) const fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// The next piece, if it is its turn: a reader that allows it is asked for cards between two of them.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Piece> {
        if now < self.due || (std::mem::take(&mut self.pauses) && !self.exclusive) {
            return None;
        }
        let rest = self.file.bytes.get(self.sent..).unwrap_or_default();
        let bytes = rest.get(..self.piece.min(rest.len())).unwrap_or_default();
        self.out = bytes.len();
        self.pauses = true;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Some(Piece {
            bytes: bytes.to_vec(),
            kind: self.file.kind,
            offset: number(self.sent),
            total: number(self.file.bytes.len()),
        })
    }

    /// Takes what the reader says of the last piece.
    pub(crate) fn heard(&mut self, now: Instant, status: FileStatus) -> Outcome {
        self.sent = (self.sent + std::mem::take(&mut self.out)).min(self.file.bytes.len());
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (sent, total) = (number(self.sent), number(self.file.bytes.len()));
        if status.action & 2 != 0 {
            return Outcome::Failed("the reader wants the file outside of the secure channel".to_owned());
        }
        self.exclusive = status.action & 1 == 0;
        if status.longest != 0 {
            self.piece = piece(status.longest);
        }
        let delay = Duration::from_millis(status.delay.into()).min(PAUSE);
        self.due = now + delay;
        match status.detail {
            0 if sent < total => Outcome::Progress { sent, total },
            0 => Outcome::Done("the reader has the whole file and says nothing of what it does with it"),
            1 if sent == total => Outcome::Done("the reader has taken the file"),
            2 if sent == total => Outcome::Done("the reader has taken the file and starts anew with it"),
            3 if sent == total => {
                let since = *self.works.get_or_insert(now);
                if now.since(since) >= WORK {
                    let text = format!(
                        "the reader is not done with the file after {} min",
                        WORK.as_secs() / 60
                    );
                    return Outcome::Failed(text);
                }
                self.due = now + delay.max(ASK);
                Outcome::Progress { sent, total }
            }
            3 => Outcome::Progress { sent, total },
            1 | 2 => Outcome::Failed(format!(
                "the reader ends the transfer after {sent} of {total} bytes"
            )),
            -1 => Outcome::Failed("the reader gives the transfer up".to_owned()),
            -2 => Outcome::Failed("the reader does not know what kind of a file this is".to_owned()),
            -3 => Outcome::Failed("the reader finds the file damaged or not made for it".to_owned()),
            other => Outcome::Failed(format!("the reader refuses the file (status {other})")),
        }
    }

    /// What is told when the reader is lost on the way.
    pub(crate) fn lost(&self) -> String {
        format!(
            "the reader stopped answering after {} of {} bytes; what it makes of that is its own. Send the file anew",
            self.sent,
            self.file.bytes.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T: Instant = Instant::from_nanos(1_000_000_000);

    fn file(length: usize) -> File {
        let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
        File {
            bytes: bytes.into(),
            kind: 1,
        }
    }

    const fn status(action: u8, detail: i16) -> FileStatus {
        FileStatus {
            action,
            delay: 0,
            detail,
            longest: 0,
        }
    }

    #[test]
    fn pieces_fit_into_what_the_reader_takes_and_make_up_the_file() {
        let mut transfer = Transfer::new(file(250), 0, T);
        let mut came = vec![];
        loop {
            let piece = transfer.next(T).expect("it is exclusive: nothing comes between");
            assert_eq!((piece.offset as usize, piece.total), (came.len(), 250));
            // a packet of 128 with its filling
            assert!((piece.encode().len() + 1).next_multiple_of(16) + AROUND <= 128);
            came.extend(piece.bytes);
            let whole = came.len() == 250;
            let said = transfer.heard(T, status(0, i16::from(whole)));
            if whole {
                assert_eq!(said, Outcome::Done("the reader has taken the file"));
                break;
            }
            let sent = u32::try_from(came.len()).expect("small");
            assert_eq!(said, Outcome::Progress { sent, total: 250 });
        }
        assert_eq!(came, file(250).bytes[..]);
    }

    #[test]
    fn a_reader_that_allows_it_is_asked_for_cards_between_two_pieces() {
        let mut transfer = Transfer::new(file(250), 0, T);
        assert!(transfer.next(T).is_some());
        transfer.heard(T, status(1, 0));
        assert!(transfer.next(T).is_none() && transfer.next(T).is_some());
        let delayed = FileStatus {
            delay: 300,
            ..status(1, 0)
        };
        transfer.heard(T, delayed);
        assert_eq!(transfer.due(), T + Duration::from_millis(300));
        assert!(transfer.next(T).is_none() && transfer.next(T).is_none());
    }

    #[test]
    fn a_reader_that_is_still_at_work_is_asked_again_and_not_for_ever() {
        let mut transfer = Transfer::new(file(10), 0, T);
        assert_eq!(transfer.next(T).expect("a piece").bytes.len(), 10);
        let whole = Outcome::Progress { sent: 10, total: 10 };
        assert_eq!(transfer.heard(T, status(0, 3)), whole);
        assert!(transfer.next(T).is_none());
        let later = T + ASK;
        let asks = transfer.next(later).expect("a question");
        assert_eq!((asks.bytes.len(), asks.offset), (0, 10));
        assert_eq!(transfer.heard(later, status(0, 3)), whole);
        assert!(transfer.next(later + ASK).is_some());
        let said = transfer.heard(T + WORK, status(0, 3));
        assert_eq!(
            said,
            Outcome::Failed("the reader is not done with the file after 10 min".to_owned())
        );
    }

    #[test]
    fn what_the_reader_refuses_is_told_in_words() {
        for (status, words) in [
            (status(2, 0), "outside of the secure channel"),
            (status(0, 1), "ends the transfer after 100 of 250 bytes"),
            (status(0, -2), "does not know what kind"),
            (status(0, -3), "damaged"),
            (status(0, -9), "status -9"),
        ] {
            let mut transfer = Transfer::new(file(250), 0, T);
            assert!(transfer.next(T).is_some());
            let Outcome::Failed(text) = transfer.heard(T, status) else {
                panic!("{status:?}");
            };
            assert!(text.contains(words), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_answers_send_more_than_the_file_or_hang(
            length in 1_usize..2000,
            said in prop::collection::vec((any::<u8>(), any::<u16>(), -3_i16..4, any::<u16>()), 0..100),
        ) {
            let mut transfer = Transfer::new(file(length), 0, T);
            let mut now = T;
            for (action, delay, detail, longest) in said {
                now = now.max(transfer.due());
                if let Some(piece) = transfer.next(now) {
                    prop_assert!(piece.offset as usize + piece.bytes.len() <= length);
                    prop_assert!(piece.encode().len() <= MOST);
                }
                transfer.heard(now, FileStatus { action, delay, detail, longest });
                prop_assert!(transfer.due() <= now + PAUSE);
            }
        }

        #[test]
        fn no_status_makes_it_panic(data in prop::collection::vec(any::<u8>(), 0..20)) {
            prop_assert_eq!(FileStatus::parse(&data).is_some(), data.len() >= 7);
        }
    }
}
