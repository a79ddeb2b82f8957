//! Inputs that web clients work: what comes to the page becomes signals, as those of any other device.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use adapter_api::Alarm;
use adapter_outside::{InputMachine, Kind, Reading, Word, signal};
use gateway_config::Config;
use gateway_core::{Clock, InputId, Instant, Signal};
use gateway_http::{HookCall, HookFailed, Hooks};
use tokio::sync::{mpsc, watch};

use crate::run::params;

/// Requests that may wait: each waits for its answer, and there are no more of them than connections.
pub(crate) const CALLS: usize = 64;

/// One input, as the site file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    /// Any request is a press.
    pub(crate) any: bool,
    pub(crate) reading: Reading,
    pub(crate) silent: Option<Duration>,
}

/// Gives the page the inputs of this site file.
pub(crate) fn show(hooks: &Hooks, config: &Config) {
    let of = params::hooks(config).into_iter();
    hooks.set(of.filter_map(|(id, (_, token))| Some((id, token?))).collect());
}

impl Hook {
    fn machine(&self) -> InputMachine {
        let kind = if self.reading.off.is_empty() {
            Kind::Press
        } else {
            Kind::Level
        };
        InputMachine::new(kind, None, self.silent)
    }

    fn word(&self, body: &[u8]) -> Option<Word> {
        if self.any {
            Some(Word::On)
        } else {
            self.reading.word(body)
        }
    }
}

/// So often it is looked at whether the program stands still.
const BEAT: Duration = Duration::from_millis(200);
/// Late by more than this, it stood still.
const GAP: Duration = Duration::from_millis(500);
/// For so long afterwards a request may have waited in the network's buffers: on a busy machine it is long on its way through
/// the page.
const AFTER: Duration = Duration::from_secs(2);

/// Whether what comes now may have waited because the program stood still.
#[derive(Debug)]
struct Pulse {
    last: Instant,
    doubt_until: Option<Instant>,
}

impl Pulse {
    /// The program is awake. Tells whether it may have slept a moment ago.
    fn beat(&mut self, now: Instant) -> bool {
        if now.since(self.last) > BEAT + GAP {
            self.doubt_until = Some(now + AFTER);
        }
        self.last = now;
        self.doubt_until.is_some_and(|until| now < until)
    }

    fn due(&self) -> Instant {
        self.last + BEAT
    }
}

/// Turns requests into signals until the gateway ends.
pub(crate) async fn run(
    mut calls: mpsc::Receiver<HookCall>,
    mut site: watch::Receiver<Arc<Config>>,
    clock: Arc<dyn Clock>,
    signals: mpsc::Sender<Signal>,
) {
    let Ok(alarm) = Alarm::new() else { return };
    let mut inputs: BTreeMap<InputId, (Hook, InputMachine)> = BTreeMap::new();
    site.mark_changed();
    let mut pulse = Pulse {
        last: clock.now(),
        doubt_until: None,
    };
    loop {
        let due = inputs.values().filter_map(|(_, machine)| machine.due()).min();
        // without inputs nobody can be late
        let beat = (!inputs.is_empty()).then(|| pulse.due());
        let due = due.into_iter().chain(beat).min();
        tokio::select! {
            changed = site.changed() => {
                if changed.is_err() {
                    return;
                }
                let config = site.borrow_and_update().clone();
                let now = clock.now();
                if inputs.is_empty() {
                    pulse.last = now;
                }
                if renew(&mut inputs, &config, now, &signals).await.is_none() {
                    return;
                }
            }
            call = calls.recv() => {
                let Some(call) = call else { return };
                let now = clock.now();
                let late = pulse.beat(now) || now.since(call.at) > GAP;
                let answer = match inputs.get_mut(&call.input) {
                    None => Err(HookFailed::Unknown),
                    Some(_) if late => Err(HookFailed::Late),
                    Some((hook, machine)) => match hook.word(&call.body) {
                        None => Err(HookFailed::NoWord),
                        Some(word) => {
                            // it waited in no queue but ours since then
                            machine.word(now, call.at, word, false);
                            Ok(())
                        }
                    },
                };
                let _ = call.answer.send(answer);
            }
            () = alarm.at(due) => {}
        }
        let now = clock.now();
        if !inputs.is_empty() {
            pulse.beat(now);
        }
        for (_, machine) in inputs.values_mut() {
            machine.timeout(now);
        }
        if tell(&mut inputs, now, &signals).await.is_none() {
            return;
        }
    }
}

/// Takes another site file: what did not change goes on.
async fn renew(
    inputs: &mut BTreeMap<InputId, (Hook, InputMachine)>,
    config: &Config,
    now: Instant,
    signals: &mpsc::Sender<Signal>,
) -> Option<()> {
    let wanted = params::hooks(config);
    for (id, (hook, machine)) in inputs.iter_mut() {
        if wanted.get(id).is_none_or(|(new, _)| new != hook) {
            machine.end();
        }
    }
    tell(inputs, now, signals).await?;
    inputs.retain(|id, (hook, _)| wanted.get(id).is_some_and(|(new, _)| new == hook));
    for (id, (hook, _)) in wanted {
        inputs.entry(id).or_insert_with(|| {
            let mut machine = hook.machine();
            machine.connected(now);
            (hook, machine)
        });
    }
    Some(())
}

async fn tell(
    inputs: &mut BTreeMap<InputId, (Hook, InputMachine)>,
    now: Instant,
    signals: &mpsc::Sender<Signal>,
) -> Option<()> {
    for (id, (_, machine)) in inputs.iter_mut() {
        while let Some(said) = machine.poll() {
            if let Some(signal) = signal(id, said, now) {
                signals.send(signal).await.ok()?;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_standstill_what_comes_may_have_waited_and_otherwise_not() {
        let at = |ms: u64| Instant::ZERO + Duration::from_millis(100_000 + ms);
        let mut pulse = Pulse {
            last: at(0),
            doubt_until: None,
        };
        assert!(!pulse.beat(at(200)) && !pulse.beat(at(900)), "a busy machine");
        assert!(pulse.beat(at(1_601)), "it stood still");
        for later in (1_700..3_600).step_by(200) {
            assert!(pulse.beat(at(later)), "{later}");
        }
        assert!(!pulse.beat(at(3_601)));
        assert_eq!(pulse.due(), at(3_801));
    }
}
