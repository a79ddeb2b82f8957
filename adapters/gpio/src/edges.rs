//! Edges of a request, a bounded number at a time.
//!
//! Whoever reaches a wire can make edges faster than they can be read. Nobody reads until there are none: after each
//! read the thread is given to the others, and what the kernel has no room for meanwhile shows in the numbers of the
//! edges that follow.

use gpiocdev::line::EdgeEvent;
use gpiocdev::request::EdgeEventBuffer;
use gpiocdev::{Request, Result};

/// Edges read at once.
const READ_EDGES: usize = 64;

/// Where edges come from.
trait Source {
    fn has_event(&mut self) -> Result<bool>;
    /// Were events read from the kernel that nobody took?
    fn is_empty(&self) -> bool;
    fn read_event(&mut self) -> Result<EdgeEvent>;
}

impl Source for EdgeEventBuffer<'_> {
    fn has_event(&mut self) -> Result<bool> {
        EdgeEventBuffer::has_event(self)
    }

    fn is_empty(&self) -> bool {
        EdgeEventBuffer::is_empty(self)
    }

    fn read_event(&mut self) -> Result<EdgeEvent> {
        EdgeEventBuffer::read_event(self)
    }
}

/// What one read found.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Oldest first, at most [`READ_EDGES`].
    pub(crate) edges: Vec<EdgeEvent>,
    /// More wait in the kernel: the descriptor stays readable.
    pub(crate) more: bool,
}

/// The edges of one request. Not `read_edge_event`, which drops what it read beyond the first (gpiocdev 0.8.0).
pub(crate) struct Edges<'a>(EdgeEventBuffer<'a>);

impl<'a> Edges<'a> {
    pub(crate) fn of(request: &'a Request) -> Self {
        Self(request.new_edge_event_buffer(READ_EDGES))
    }

    /// Those that wait, at most [`READ_EDGES`], without waiting. Nothing stays behind in this process, so that the
    /// descriptor alone tells whether there is more.
    pub(crate) fn take(&mut self) -> Result<Taken> {
        take(&mut self.0)
    }
}

fn take(source: &mut impl Source) -> Result<Taken> {
    let mut edges = Vec::new();
    if source.has_event()? {
        // the first fills the buffer from the kernel, the others are in it
        edges.push(source.read_event()?);
        while !source.is_empty() {
            edges.push(source.read_event()?);
        }
    }
    let more = !edges.is_empty() && source.has_event()?;
    Ok(Taken { edges, more })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use gpiocdev::line::EdgeKind;

    use super::*;

    /// A kernel with so many edges, and a buffer.
    #[derive(Default)]
    struct Kernel {
        buffer: VecDeque<u32>,
        next: u32,
        waiting: u32,
        /// So many more come with every look.
        flood: u32,
    }

    impl Source for Kernel {
        fn has_event(&mut self) -> Result<bool> {
            self.waiting += self.flood;
            Ok(!self.buffer.is_empty() || self.waiting > 0)
        }

        fn is_empty(&self) -> bool {
            self.buffer.is_empty()
        }

        fn read_event(&mut self) -> Result<EdgeEvent> {
            self.waiting += self.flood;
            if self.buffer.is_empty() {
                let room = u32::try_from(READ_EDGES).expect("small");
                let n = self.waiting.min(room);
                self.buffer.extend(self.next..self.next + n);
                (self.next, self.waiting) = (self.next + n, self.waiting - n);
            }
            let seqno = self.buffer.pop_front().expect("it would block for ever");
            Ok(EdgeEvent {
                timestamp_ns: u64::from(seqno),
                kind: EdgeKind::Rising,
                offset: 4,
                seqno,
                line_seqno: seqno,
            })
        }
    }

    fn numbers(taken: &Taken) -> Vec<u32> {
        taken.edges.iter().map(|edge| edge.seqno).collect()
    }

    #[test]
    fn a_flood_that_never_ends_is_left_after_one_read() {
        let mut kernel = Kernel {
            flood: 1000,
            ..Kernel::default()
        };
        for turn in 0..3 {
            let taken = take(&mut kernel).expect("reads");
            assert_eq!(taken.edges.len(), READ_EDGES, "turn {turn}");
            assert!(taken.more, "turn {turn}");
            assert!(kernel.is_empty(), "nothing stays behind");
        }
    }

    #[test]
    fn no_edge_is_lost_or_left_between_two_reads() {
        let mut kernel = Kernel {
            waiting: 150,
            ..Kernel::default()
        };
        let mut seen = Vec::new();
        for (count, more) in [(64, true), (64, true), (22, false), (0, false)] {
            let taken = take(&mut kernel).expect("reads");
            assert_eq!((taken.edges.len(), taken.more), (count, more));
            seen.extend(numbers(&taken));
        }
        assert_eq!(seen, (0..150).collect::<Vec<_>>());
    }
}
