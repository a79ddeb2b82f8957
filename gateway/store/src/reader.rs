//! Reading a log while it grows: sealed and growing segments, bad frames stepped over.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use crate::depot::Depot;
use crate::report::ReadFailure;
use crate::segment::{Frame, IDLE, Pass, Scanner, Step};

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) at: u64,
}

/// How many positions are remembered, so that page after page is not searched from a segment's start.
const REMEMBERED: usize = 64;

pub(crate) struct Reader {
    pub(crate) depot: Arc<Depot>,
    resume: Mutex<BTreeMap<u64, Place>>,
}

impl Reader {
    pub(crate) fn new(depot: Arc<Depot>) -> Self {
        Self {
            depot,
            resume: Mutex::new(BTreeMap::new()),
        }
    }

    /// Forgets positions, because segments were replaced.
    pub(crate) fn forget(&self) {
        self.resume.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn resumed(&self, from: u64) -> Option<Place> {
        self.resume
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&from)
            .copied()
    }

    fn remember(&self, next: u64, place: Place) {
        let mut resume = self.resume.lock().unwrap_or_else(PoisonError::into_inner);
        if resume.len() >= REMEMBERED {
            resume.pop_first();
        }
        resume.insert(next, place);
    }

    /// Goes through the records `from..=to` in order until `f` breaks.
    pub(crate) fn scan(
        &self,
        from: u64,
        to: u64,
        f: &mut dyn FnMut(Frame, Place) -> ControlFlow<()>,
    ) -> Result<(), ReadFailure> {
        self.scan_at(self.resumed(from), from, to, f)
    }

    /// [`scan`](Self::scan), beginning at a place before which nothing is wanted.
    pub(crate) fn scan_at(
        &self,
        place: Option<Place>,
        from: u64,
        to: u64,
        f: &mut dyn FnMut(Frame, Place) -> ControlFlow<()>,
    ) -> Result<(), ReadFailure> {
        let firsts = self.depot.firsts();
        let resumed = place.filter(|place| firsts.contains(&place.segment));
        let begin = resumed.map_or(from, |place| place.segment.max(1));
        let begin = firsts.iter().rposition(|first| *first <= begin).unwrap_or(0);
        for (k, first) in firsts.iter().enumerate().skip(begin) {
            if *first > to {
                break;
            }
            let end = firsts.get(k + 1).map_or(to, |next| to.min(next - 1));
            let at = resumed.filter(|p| p.segment == *first).map(|p| p.at);
            match self.scan_segment(*first, at, from, end, f) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                // Trimmed or replaced meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(ReadFailure {
                        path: self.depot.path(*first),
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    /// Goes backwards through the records `from..=to`, newest first, and keeps up to `max` of what `f` gives.
    pub(crate) fn scan_back<R>(
        &self,
        from: u64,
        to: u64,
        max: usize,
        f: &mut dyn FnMut(Frame) -> Option<R>,
    ) -> Result<Vec<R>, ReadFailure> {
        let firsts = self.depot.firsts();
        let mut kept = Vec::new();
        let mut end = to;
        for first in firsts.iter().rev().filter(|first| **first <= to) {
            let room = max - kept.len();
            if room == 0 || end < from {
                break;
            }
            let mut newest = VecDeque::new();
            let gone = self.scan_segment(*first, None, from, end, &mut |frame, _| {
                if let Some(found) = f(frame) {
                    if newest.len() == room {
                        newest.pop_front();
                    }
                    newest.push_back(found);
                }
                ControlFlow::Continue(())
            });
            match gone {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(ReadFailure {
                        path: self.depot.path(*first),
                        source,
                    });
                }
            }
            kept.extend(newest.into_iter().rev());
            end = first.saturating_sub(1);
        }
        Ok(kept)
    }

    /// Goes through one segment; `at` is a place to begin, `end` the last record that may belong to it.
    pub(crate) fn scan_segment(
        &self,
        segment: u64,
        at: Option<u64>,
        from: u64,
        end: u64,
        f: &mut dyn FnMut(Frame, Place) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        let mut scanner = Scanner::open(self.depot.io.as_ref(), &self.depot.path(segment))?;
        if let Some(at) = at {
            scanner.begin_at(at);
        }
        let mut last = 0;
        loop {
            let place = scanner.at;
            match scanner.step()? {
                Step::Frame(frame) => {
                    let (seq, here) = (frame.seq, frame.at);
                    if seq > end {
                        break;
                    }
                    if frame.flags == IDLE || seq < from || seq <= last {
                        continue;
                    }
                    last = seq;
                    if f(frame, Place { segment, at: here }).is_break() {
                        self.remember(
                            seq + 1,
                            Place {
                                segment,
                                at: scanner.at,
                            },
                        );
                        return Ok(ControlFlow::Break(()));
                    }
                    if seq == end {
                        self.remember(
                            seq + 1,
                            Place {
                                segment,
                                at: scanner.at,
                            },
                        );
                        break;
                    }
                }
                Step::End => break,
                step @ (Step::Zero | Step::Bad(_)) => {
                    if let Pass::End = scanner.pass(place, matches!(step, Step::Zero))? {
                        break;
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
