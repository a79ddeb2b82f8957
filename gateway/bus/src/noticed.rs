//! What adapters notice, as it comes: for people who look at wires, never for decisions.
//!
//! Nothing of it is kept. A contact that bounces may tell of thousands of edges a second, so whoever looks gets what he can take:
//! [`NOTICED`] signals wait for him, the oldest give way to newer ones, and the numbers tell what he missed. Where nobody looks
//! it costs a count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gateway_core::{Bell, ControllerSaid, DeviceId, Edge, Instant, LineSignal, Seq, Signal, SignalKind};
use tokio::sync::broadcast;

/// How many signals may wait for one who looks.
pub const NOTICED: usize = 1024;

/// One signal, without what nobody may see: bits of cards, keys of codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// Monotonic time, by the kernel's timestamp where there is one.
    pub at: Instant,
    /// The adapter instance.
    pub device: DeviceId,
    /// Which kind: `card`, `fault`, `input`, `key`, `line`, `misread`, `network`, `port`, `ready` or `unread`.
    pub kind: &'static str,
    /// Counts all signals since start, from 1 on.
    pub n: u64,
    /// The last record that was durable before it.
    pub seq: Seq,
    /// True if injected into a virtual device.
    pub simulated: bool,
    /// Input, reader or line; `None` where it is of the whole device.
    pub source: Option<String>,
    /// What, in a word or a few.
    pub text: String,
}

/// Where signals are offered, and looked at.
#[derive(Debug)]
pub struct Live {
    count: AtomicU64,
    to: broadcast::Sender<Arc<Noticed>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            to: broadcast::Sender::new(NOTICED),
        }
    }
}

impl Live {
    /// Offers a signal to those who look. Waits for nobody.
    pub fn offer(&self, signal: &Signal, seq: Seq) {
        let n = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if self.to.receiver_count() == 0 {
            return;
        }
        let (kind, source, text) = told(&signal.kind);
        // nobody looks any more: it is lost on nobody
        let _ = self.to.send(Arc::new(Noticed {
            at: signal.at,
            device: signal.device.clone(),
            kind,
            n,
            seq,
            simulated: signal.simulated,
            source,
            text,
        }));
    }

    /// How many signals there were since start.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Looks from now on.
    #[must_use]
    pub fn look(&self) -> Looker {
        let from = self.to.subscribe();
        Looker {
            from,
            next: self.count() + 1,
            waiting: None,
        }
    }
}

/// What one who looks gets next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The gateway stops.
    Closed,
    /// Signals of these numbers were not waited for; both included.
    Missed(u64, u64),
    /// Signals, in their order.
    Signals(Vec<Arc<Noticed>>),
}

/// One who looks.
#[derive(Debug)]
pub struct Looker {
    from: broadcast::Receiver<Arc<Noticed>>,
    /// The number that comes next, if none is missed.
    next: u64,
    waiting: Option<Arc<Noticed>>,
}

impl Looker {
    /// What there is, at most `max` signals; waits for the first. Nothing is lost if the future is dropped.
    pub async fn next(&mut self, max: usize) -> Look {
        while self.waiting.is_none() {
            match self.from.recv().await {
                // it began to look between the count and the signal
                Ok(signal) if signal.n < self.next => {}
                Ok(signal) => self.waiting = Some(signal),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Look::Closed,
            }
        }
        let mut signals = Vec::new();
        while signals.len() < max.max(1) {
            let Some(signal) = self.waiting.take().or_else(|| self.from.try_recv().ok()) else {
                break;
            };
            if signal.n > self.next {
                let missed = Look::Missed(self.next, signal.n - 1);
                if signals.is_empty() {
                    self.next = signal.n;
                    self.waiting = Some(signal);
                    return missed;
                }
                self.waiting = Some(signal);
                break;
            }
            self.next = signal.n + 1;
            signals.push(signal);
        }
        Look::Signals(signals)
    }
}

/// Kind, source and words of a signal.
fn told(kind: &SignalKind) -> (&'static str, Option<String>, String) {
    let of = |source: &dyn ToString| Some(source.to_string());
    match kind {
        SignalKind::Card { frame, reader } => ("card", of(reader), format!("{} bits", frame.bits)),
        SignalKind::Controller { controller, said, .. } => ("controller", of(controller), answered(said)),
        SignalKind::Fault(text) => ("fault", None, text.clone()),
        SignalKind::Input { edge, input } => ("input", of(input), level(*edge)),
        // which key it was is half a code
        SignalKind::Key { reader, .. } => ("key", of(reader), "pressed".to_owned()),
        SignalKind::Line { line, signal } => ("line", of(line), heard(*signal)),
        SignalKind::Misread {
            bits,
            reader,
            reason,
            times,
        } => {
            let text = format!("{}, {bits} bits, {times} times", reason.word());
            ("misread", of(reader), text)
        }
        SignalKind::Network(state) => ("network", None, state.text.clone()),
        SignalKind::Port(event) => ("port", None, event.tag().to_owned()),
        SignalKind::Ready => ("ready", None, String::new()),
        SignalKind::Unread(input) => ("unread", of(input), String::new()),
    }
}

fn answered(said: &ControllerSaid) -> String {
    match said {
        ControllerSaid::Beep(times) => format!("beep {times}"),
        ControllerSaid::KeySet => "key-set".to_owned(),
        ControllerSaid::Light { colour, .. } => format!("light {}", colour.word()),
        ControllerSaid::Missed(text) => format!("missed, {text}"),
        ControllerSaid::Taken => "taken".to_owned(),
        ControllerSaid::Text(text) => format!("text {text}"),
    }
}

fn level(edge: Edge) -> String {
    let level = if edge.active { "active" } else { "at-rest" };
    let first = if edge.initial { ", first reading" } else { "" };
    format!("{level}{first}")
}

fn heard(signal: LineSignal) -> String {
    let word = match signal {
        LineSignal::BusyOther => "busy",
        LineSignal::Fault => "fault",
        LineSignal::HandsetLifted => "handset-lifted",
        LineSignal::HandsetReplaced => "handset-replaced",
        LineSignal::Idle => "idle",
        LineSignal::OpenedByPanel => "opened-by-panel",
        LineSignal::Ring => "ring",
        LineSignal::RingFor(Bell::Apartment(number)) => return format!("ring {number}"),
        LineSignal::RingFor(Bell::Floor) => "ring floor",
        LineSignal::RingStopped => "ring-stopped",
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::CardFrame;

    fn signal(kind: SignalKind) -> Signal {
        Signal {
            at: Instant::from_nanos(5),
            device: "wall".parse().expect("a name"),
            simulated: false,
            kind,
        }
    }

    fn edge(active: bool) -> Signal {
        let edge = Edge {
            active,
            initial: false,
        };
        let input = "bell".parse().expect("a name");
        signal(SignalKind::Input { edge, input })
    }

    #[tokio::test]
    async fn who_looks_gets_what_comes_from_then_on_and_nobody_is_told_a_secret() {
        let live = Live::default();
        live.offer(&edge(true), Seq(7));
        let mut looker = live.look();
        live.offer(&edge(false), Seq(8));
        let frame = CardFrame {
            bits: 26,
            data: vec![0xAB, 0xCD, 0xEF, 0x40],
        };
        let reader: gateway_core::ReaderId = "street".parse().expect("a name");
        live.offer(
            &signal(SignalKind::Card {
                frame,
                reader: reader.clone(),
            }),
            Seq(8),
        );
        live.offer(&signal(SignalKind::Key { key: '7', reader }), Seq(9));
        let Look::Signals(signals) = looker.next(10).await else {
            panic!("signals were expected");
        };
        let told: Vec<_> = signals
            .iter()
            .map(|s| {
                (
                    s.n,
                    s.seq.0,
                    s.kind,
                    s.source.as_deref().unwrap_or(""),
                    s.text.as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (2, 8, "input", "bell", "at-rest"),
                (3, 8, "card", "street", "26 bits"),
                (4, 9, "key", "street", "pressed"),
            ]
        );
    }

    #[tokio::test]
    async fn who_is_slow_gets_the_newest_and_the_numbers_of_what_he_missed() {
        let live = Live::default();
        let mut looker = live.look();
        let all = NOTICED as u64 * 3 + 10;
        for n in 0..all {
            live.offer(&edge(n % 2 == 0), Seq(0));
        }
        let mut next = 1;
        let mut missed = 0;
        while next <= all {
            match looker.next(100).await {
                Look::Closed => panic!("it lives"),
                Look::Missed(from, to) => {
                    assert_eq!(from, next);
                    missed += to - from + 1;
                    next = to + 1;
                }
                Look::Signals(signals) => {
                    assert!(signals.len() <= 100, "{}", signals.len());
                    for signal in signals {
                        assert_eq!(signal.n, next);
                        next += 1;
                    }
                }
            }
        }
        assert_eq!(missed, all - NOTICED as u64);
        assert_eq!(live.count(), all);
    }

    #[tokio::test]
    async fn of_signals_that_were_missed_in_the_middle_nothing_is_lost_beside() {
        let live = Live::default();
        let mut looker = live.look();
        live.offer(&edge(true), Seq(0));
        assert!(matches!(looker.next(1).await, Look::Signals(one) if one[0].n == 1));
        for _ in 0..NOTICED + 1 {
            live.offer(&edge(true), Seq(0));
        }
        assert_eq!(looker.next(1).await, Look::Missed(2, 2));
        assert!(matches!(looker.next(2).await, Look::Signals(two) if two[0].n == 3 && two[1].n == 4));
        drop(live);
        while let Look::Signals(_) = looker.next(500).await {}
        assert_eq!(looker.next(1).await, Look::Closed);
    }
}
