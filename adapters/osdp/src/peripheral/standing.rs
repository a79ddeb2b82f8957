//! How it stands with the controller, for the journal: anybody at the line can make a link come and go.

use std::time::Duration;

use gateway_core::Instant;

/// So many changes are told within [`WINDOW`]; of more the last one is, when it is over.
const TELLS: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody asks.
    Away,
    /// The controller asks, and may be told of cards.
    Ready,
    /// Whoever asks does not have the key.
    Unsecured,
}

/// What was told of it, and what is still to be told.
#[derive(Debug)]
pub(super) struct Standing {
    /// When the window began, and how much of it was told.
    count: (Instant, u32),
    last: Option<State>,
    waits: Option<State>,
}

impl Standing {
    /// Nothing was told.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            count: (now, 0),
            last: None,
            waits: None,
        }
    }

    /// It stands otherwise; gives what is to be told at once.
    pub(super) fn change(&mut self, now: Instant, state: State) -> Option<State> {
        self.waits = Some(state);
        if now.since(self.count.0) >= WINDOW {
            self.count = (now, 0);
        }
        if self.count.1 >= TELLS {
            return None;
        }
        let told = self.take()?;
        self.count.1 += 1;
        Some(told)
    }

    /// Gives what was left out, when its time has come.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<State> {
        let state = self.waits.filter(|_| now.since(self.count.0) >= WINDOW)?;
        self.change(now, state)
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.waits.map(|_| self.count.0 + WINDOW)
    }

    /// What waits, unless that is what was told last.
    fn take(&mut self) -> Option<State> {
        let state = self.waits.take().filter(|state| self.last != Some(*state))?;
        self.last = Some(state);
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_flaps_is_told_ten_times_a_minute_and_how_it_stands_in_the_end() {
        let start = Instant::from_nanos(1_000_000_000_000);
        let mut standing = Standing::new(start);
        let mut told = vec![];
        for n in 0..300 {
            let now = start + Duration::from_millis(100 * n);
            let state = if n % 2 == 0 {
                State::Ready
            } else {
                State::Unsecured
            };
            told.extend(standing.handle_timeout(now));
            told.extend(standing.change(now, state));
        }
        assert_eq!(told.len(), 10);
        // the last one told was the same as the one at the end: nothing is left
        let due = standing.poll_timeout().expect("something waits");
        assert_eq!(due, start + WINDOW);
        assert_eq!(
            (told.last(), standing.handle_timeout(due)),
            (Some(&State::Unsecured), None)
        );
        assert_eq!(standing.poll_timeout(), None);
        // and another one is told when the minute is over
        let now = due + Duration::from_secs(1);
        for n in 0..11 {
            let state = if n % 2 == 0 { State::Away } else { State::Ready };
            assert_eq!(standing.change(now, state), (n < 10).then_some(state), "{n}");
        }
        let due = standing.poll_timeout().expect("one waits");
        assert_eq!(standing.handle_timeout(due - Duration::from_nanos(1)), None);
        assert_eq!(standing.handle_timeout(due), Some(State::Away));
    }
}
