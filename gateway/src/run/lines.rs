//! Gives line commands to adapters, and never waits for one.
//!
//! The main loop also serves exits, fire and the relay guard: an adapter that hangs in its bus must cost its own
//! lines and nothing else. A command that finds the adapter's queue full is kept, only the last one of each line,
//! and given when there is room: "seize" and "release" say what is wanted, so the last one is all that counts.
//! An adapter that takes nothing for [`STUCK`] has a fault until it works its queue off.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_core::{DeviceId, Instant, LineCommand, LineId, Signal, SignalKind};
use tokio::sync::{mpsc, watch};

/// Commands that may wait for one adapter.
pub(crate) const QUEUE: usize = 64;
/// An adapter that leaves a command untouched for this long is stuck.
const STUCK: Duration = Duration::from_secs(3);

/// What an adapter reads.
pub(crate) type Commands = mpsc::Sender<(LineId, LineCommand)>;
/// The adapter of each line. A line of buttons only has none and needs none.
pub(crate) type Routes = BTreeMap<LineId, Commands>;

/// The main loop's end.
pub(crate) struct Lines {
    faulty: BTreeSet<LineId>,
    /// The last command of each line that found no room.
    kept: BTreeMap<LineId, LineCommand>,
    routes: watch::Receiver<Routes>,
    /// Since when commands have waited for an adapter that takes none, and how many.
    waiting: BTreeMap<LineId, (Instant, usize)>,
}

impl Lines {
    pub(crate) const fn new(routes: watch::Receiver<Routes>) -> Self {
        Self {
            faulty: BTreeSet::new(),
            kept: BTreeMap::new(),
            routes,
            waiting: BTreeMap::new(),
        }
    }

    /// Gives a command, or keeps it until there is room.
    pub(crate) fn give(&mut self, line: LineId, command: LineCommand) {
        // what is kept is older than this one
        self.kept.remove(&line);
        let Some(to) = self.routes.borrow().get(&line).cloned() else {
            return;
        };
        match to.try_send((line.clone(), command)) {
            Ok(()) => {
                if let Some((_, before)) = self.waiting.get_mut(&line) {
                    *before = depth(&to);
                }
            }
            Err(mpsc::error::TrySendError::Full((line, command))) => {
                self.kept.insert(line, command);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                tracing::debug!("an adapter ended before its line command");
            }
        }
    }

    /// Gives what was kept, and says which lines' adapters became stuck or got on again. To be called at each
    /// turn of the main loop.
    pub(crate) fn look(&mut self, now: Instant) -> Vec<Signal> {
        let queued: BTreeMap<LineId, usize> = {
            let routes = self.routes.borrow();
            let waits = routes.iter().map(|(line, to)| (line, depth(to)));
            // mostly none
            waits
                .filter(|(_, waits)| *waits > 0)
                .map(|(line, waits)| (line.clone(), waits))
                .collect()
        };
        self.waiting.retain(|line, _| queued.contains_key(line));
        let mut signals = Vec::new();
        for (line, waits) in queued {
            let (since, before) = self.waiting.entry(line.clone()).or_insert((now, waits));
            if waits < *before {
                *since = now;
            }
            *before = waits;
            if now.since(*since) >= STUCK && self.faulty.insert(line.clone()) {
                let text = format!(
                    "the adapter takes no commands for {} s: talk path and seizing of line {line} do not work; look at \
                     its device and cable",
                    STUCK.as_secs()
                );
                signals.push((line, SignalKind::Fault(text)));
            }
        }
        for (line, command) in std::mem::take(&mut self.kept) {
            self.give(line, command);
        }
        let well: Vec<LineId> = self
            .faulty
            .iter()
            .filter(|l| !self.waiting.contains_key(*l))
            .cloned()
            .collect();
        for line in well {
            self.faulty.remove(&line);
            signals.push((line, SignalKind::Ready));
        }
        let signal = |(line, kind)| {
            Some(Signal {
                at: now,
                device: part(&line)?,
                kind,
                simulated: false,
            })
        };
        signals.into_iter().filter_map(signal).collect()
    }
}

/// Commands that wait for an adapter.
fn depth(to: &Commands) -> usize {
    to.max_capacity() - to.capacity()
}

/// The name under which a line's commands have their fault: an adapter says of itself only what it knows.
pub(super) fn part(line: &LineId) -> Option<DeviceId> {
    let name = format!("line-{line}");
    DeviceId::new(&name)
        .or_else(|_| DeviceId::new(line.as_str()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_millis(ms)
    }

    fn line(name: &str) -> LineId {
        LineId::new(name).expect("a name")
    }

    /// A hung adapter with room for two, a live one, and the main loop's end.
    type Queue = mpsc::Receiver<(LineId, LineCommand)>;

    fn rig() -> (Lines, Queue, Queue) {
        let (hung, at_hung) = mpsc::channel(2);
        let (live, at_live) = mpsc::channel(2);
        let routes = [(line("hung"), hung), (line("live"), live)];
        let (to, seen) = watch::channel(routes.into());
        drop(to);
        (Lines::new(seen), at_hung, at_live)
    }

    fn said(signals: &[Signal]) -> Vec<(&str, bool)> {
        let well = |s: &Signal| matches!(s.kind, SignalKind::Ready);
        signals.iter().map(|s| (s.device.as_str(), well(s))).collect()
    }

    #[test]
    fn a_stuck_adapter_keeps_nobody_and_learns_the_last_wish_of_each_line() {
        let (mut lines, mut at_hung, mut at_live) = rig();
        for _ in 0..1000 {
            lines.give(line("hung"), LineCommand::Seize);
            lines.give(line("hung"), LineCommand::Release);
        }
        lines.give(line("live"), LineCommand::Seize);
        assert_eq!(at_live.try_recv(), Ok((line("live"), LineCommand::Seize)));
        // it wakes up: what waited, and then the last wish, nothing in between
        let mut got = Vec::new();
        for turn in 0..5 {
            while let Ok((_, command)) = at_hung.try_recv() {
                got.push(command);
            }
            lines.look(at(turn));
        }
        assert_eq!(
            got,
            [LineCommand::Seize, LineCommand::Release, LineCommand::Release]
        );
    }

    #[test]
    fn a_stuck_adapter_is_told_once_and_again_when_it_gets_on() {
        let (mut lines, mut at_hung, _at_live) = rig();
        lines.give(line("hung"), LineCommand::Seize);
        assert_eq!(said(&lines.look(at(0))), []);
        assert_eq!(said(&lines.look(at(2999))), []);
        assert_eq!(said(&lines.look(at(3000))), [("line-hung", false)]);
        assert_eq!(said(&lines.look(at(9000))), []);
        at_hung.try_recv().expect("it waits");
        assert_eq!(said(&lines.look(at(9100))), [("line-hung", true)]);
        assert_eq!(said(&lines.look(at(9200))), []);
    }

    #[test]
    fn an_adapter_that_gets_on_slowly_is_not_stuck() {
        let (mut lines, mut at_hung, _at_live) = rig();
        for second in 0..20 {
            lines.give(line("hung"), LineCommand::Seize);
            lines.give(line("hung"), LineCommand::Release);
            assert_eq!(said(&lines.look(at(second * 1000))), []);
            at_hung.try_recv().expect("it waits");
            assert_eq!(said(&lines.look(at(second * 1000 + 500))), []);
        }
    }
}
