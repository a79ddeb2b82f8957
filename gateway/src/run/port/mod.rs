//! The switch port of a running gateway: starts its adapter, leaves it alone while nothing of it changes, and says what
//! is risky about it. It runs beside the network's work, not on the doors' thread.
//!
//! A change of the port can cut off whoever made it. So it is on trial until somebody confirms it, and is taken back if
//! nobody does; also over a restart, for what was confirmed last is remembered.

mod memory;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use adapter_api::Shutdown;
use adapter_dot1x::{Dot1x, Params, ServerCheck};
use gateway_config::{Config, Late};
use gateway_core::{Clock, DeviceId, Signal, SignalKind, Timestamp};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::run::Taken;
use crate::run::adapters::{Base, end, keep_running};
use crate::run::faults::Faults;
use crate::run::params::{self, Wanted};
use crate::run::wall::Trust;
use memory::Memory;

/// Name of the adapter, and source of its events.
const NAME: &str = "dot1x";
/// Standing fault while any authentication server is taken.
const RISK: &str = "port:dot1x/server";
/// Standing fault while a file of the port is wrong.
const FILES: &str = "port:dot1x/files";
/// Standing fault while a certificate of the port has ended, or is not valid yet.
const DATES: &str = "port:dot1x/dates";
/// Standing fault while a change is on trial.
const TRIAL: &str = "port:dot1x/trial";
/// The part whose fault is that it cannot be written down.
const MEMORY: &str = "dot1x-memory";
/// The fault of a change that was taken back, until there is another; it is recorded as a device's.
const CHANGE: &str = "dot1x-change";
/// How often dates are judged while nothing else asks for it.
const HOUR: Duration = Duration::from_secs(3600);
/// The core looks at the clock at its first turn.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Of a change that removes `[dot1x]`, and with it the time it gives.
const PATIENCE: Duration = Duration::from_secs(300);

/// The port. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SwitchPort(Arc<Mutex<Inner>>);

struct Running {
    wanted: Wanted,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A change that nobody has confirmed yet.
struct Trial {
    /// What it is taken back to.
    before: Option<Wanted>,
    /// Tells one from the next.
    number: u64,
    /// The site file with it.
    text: String,
}

struct Inner {
    clock: Arc<dyn Clock>,
    faults: Faults,
    memory: Memory,
    /// What was taken back, which another reload of the same does not try again.
    refused: Option<Option<Params>>,
    running: Option<Running>,
    signals: mpsc::Sender<Signal>,
    /// False until the first site was taken.
    started: bool,
    trial: Option<Trial>,
    trials: u64,
    trust: Trust,
}

fn params_of(wanted: Option<&Wanted>) -> Option<&Params> {
    wanted.map(|wanted| &wanted.params)
}

impl SwitchPort {
    /// A port that is not looked after yet; call it within the general runtime.
    pub(crate) fn new(
        clock: &Arc<dyn Clock>,
        signals: mpsc::Sender<Signal>,
        faults: &Faults,
        trust: Trust,
        (state_dir, site_file): (&Path, &Path),
    ) -> Self {
        let port = Self(Arc::new(Mutex::new(Inner {
            clock: Arc::clone(clock),
            faults: faults.clone(),
            memory: Memory::new(state_dir, site_file),
            refused: None,
            running: None,
            signals,
            started: false,
            trial: None,
            trials: 0,
            trust: trust.clone(),
        })));
        tokio::spawn(judge_dates(Arc::downgrade(&port.0), trust));
        port
    }

    /// Takes a site and its text. What is wrong with a file stands as a fault and keeps no door shut.
    ///
    /// What is taken in a roll-back ran before, and needs nobody to confirm it, unless it was on trial itself: whoever rolled
    /// back wanted what he gets, and would else lose it again unasked.
    pub(crate) async fn apply(&self, config: &Config, text: &str, how: Taken) -> anyhow::Result<()> {
        let mut inner = self.0.lock().await;
        let inner = &mut *inner;
        let read = config.clone();
        // openssl may have to be asked
        let port = tokio::task::spawn_blocking(move || params::dot1x(&read, None)).await?;
        let faulty = !port.faults.is_empty();
        inner.faults.set(FILES, faulty.then(|| files_text(&port.faults)));
        let date = inner.date().await;
        let untimely = date.is_some_and(|date| port.untimely(date).is_some());
        for warning in &port.warnings {
            tracing::warn!(key = %warning.path, "{}", warning.text);
        }
        let wanted = port.wanted;
        if inner
            .refused
            .as_ref()
            .is_some_and(|refused| refused.as_ref() == params_of(wanted.as_ref()))
        {
            return Ok(());
        }
        let patience = config.dot1x.as_ref().map_or(PATIENCE, |dot1x| dot1x.confirm);
        let before = inner.before(wanted.as_ref()).await?;
        if inner.refused.take().is_some() {
            inner.tell(SignalKind::Ready).await?;
        }
        let changed = inner.change(wanted).await?;
        inner.judge(date);
        let running = params_of(inner.running.as_ref().map(|running| &running.wanted));
        let differs = before
            .as_ref()
            .is_some_and(|before| params_of(before.as_ref()) != running);
        match before {
            Some(before)
                if differs && !patience.is_zero() && !(how == Taken::Back && inner.trial.is_none()) =>
            {
                if let Some(trial) = inner.trial.as_mut().filter(|_| !changed) {
                    text.clone_into(&mut trial.text);
                } else {
                    self.begin(inner, before, text, patience);
                }
            }
            // the first there ever was, or as it was before
            Some(_) | None => {
                inner.trial = None;
                inner.faults.set(TRIAL, None);
                if !faulty && !untimely {
                    // doors do not wait for room on the disk
                    let running = inner.running.as_ref().map(|running| &running.wanted.params);
                    let kept = inner.memory.keep(text, running);
                    let told = |error| {
                        format!(
                            "the present [dot1x] could not be written down as the one to fall back to: {error:#}"
                        )
                    };
                    inner.faults.set(MEMORY, kept.err().map(told));
                }
            }
        }
        Ok(())
    }

    /// Puts what runs on trial.
    fn begin(&self, inner: &mut Inner, before: Option<Wanted>, text: &str, patience: Duration) {
        inner.trials += 1;
        let number = inner.trials;
        inner.trial = Some(Trial {
            before,
            number,
            text: text.to_owned(),
        });
        let seconds = patience.as_secs();
        tracing::warn!(seconds, "the change of [dot1x] waits for: doorline dot1x confirm");
        inner.faults.set(
            TRIAL,
            Some(format!(
                "[dot1x] was changed, and is taken back {seconds} s after that unless somebody runs: doorline dot1x confirm"
            )),
        );
        let port = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            let Some(port) = port.upgrade() else { return };
            let mut inner = port.lock().await;
            if inner.trial.as_ref().is_some_and(|trial| trial.number == number) {
                let why = format!("nobody confirmed it within {seconds} s");
                if let Err(error) = inner.take_back(&why).await {
                    tracing::error!("the change of [dot1x] could not be taken back: {error:#}");
                }
            }
        });
    }

    /// Is this a request for the port?
    pub(crate) fn knows(request: &Value) -> bool {
        request
            .get("act")
            .and_then(Value::as_str)
            .is_some_and(|act| act.starts_with("dot1x-"))
    }

    /// Carries out one request of `commands/dot1x.rs`.
    pub(crate) async fn act(&self, request: &Value) -> Result<Value, String> {
        let mut inner = self.0.lock().await;
        if inner.trial.is_none() {
            return Err("no change of [dot1x] waits to be confirmed".to_owned());
        }
        let done = match request.get("act").and_then(Value::as_str) {
            Some("dot1x-confirm") => inner.confirm(),
            Some("dot1x-rollback") => inner.take_back("somebody wanted that").await,
            other => Err(anyhow::anyhow!("{other:?} is not an act of this gateway")),
        };
        done.map(|()| Value::Null).map_err(|error| format!("{error:#}"))
    }

    /// Somebody confirmed this site file over the network: the port's change, if it is this one, is confirmed with it, for
    /// whoever says so got here. Not while the port is shut: he came another way then, or the switch has not asked yet.
    /// Says in words what became of it, if it waited.
    pub(crate) async fn confirm_with(&self, text: &str, authorized: bool) -> Option<String> {
        let mut inner = self.0.lock().await;
        inner.trial.as_ref().filter(|trial| trial.text == text)?;
        if !authorized && inner.running.is_some() {
            return Some(
                "[dot1x] still waits, for its port is not authorized: doorline dot1x confirm".to_owned(),
            );
        }
        Some(match inner.confirm() {
            Ok(()) => "[dot1x] is confirmed with it".to_owned(),
            Err(error) => format!("[dot1x] still waits: {error:#}"),
        })
    }

    /// Ends it. The switch keeps the port as it is.
    pub(crate) async fn stop(&self) {
        let mut inner = self.0.lock().await;
        inner.trial = None;
        inner.stop().await;
    }
}

impl Inner {
    /// What a change would be taken back to: what ran before it, or at a start what was confirmed last. `None` if
    /// nothing is known. `wanted` is what the site file says.
    async fn before(&mut self, wanted: Option<&Wanted>) -> anyhow::Result<Option<Option<Wanted>>> {
        if let Some(trial) = &self.trial {
            return Ok(Some(trial.before.clone()));
        }
        if std::mem::replace(&mut self.started, true) {
            return Ok(Some(self.running.as_ref().map(|running| running.wanted.clone())));
        }
        let memory = self.memory.clone();
        let present = params_of(wanted).and_then(memory::passphrase).cloned();
        Ok(tokio::task::spawn_blocking(move || memory.recall(present)).await?)
    }

    /// Runs this adapter. False if it runs already.
    async fn change(&mut self, wanted: Option<Wanted>) -> anyhow::Result<bool> {
        let running = self.running.as_ref().map(|running| &running.wanted);
        if params_of(running) == params_of(wanted.as_ref()) {
            return Ok(false);
        }
        self.stop().await;
        // of what runs, whatever the site file says by now
        let risk = wanted
            .as_ref()
            .is_some_and(|wanted| wanted.params.server == ServerCheck::AnyServer);
        self.faults.set(RISK, risk.then(risk_text));
        self.faults.set(DATES, None);
        let Some(wanted) = wanted else { return Ok(true) };
        let (stop, shutdown) = Shutdown::new();
        // its lines have no audio
        let (audio, _) = mpsc::channel(1);
        let base = Base {
            audio,
            clock: Arc::clone(&self.clock),
            device: DeviceId::new(NAME)?,
            inputs: vec![],
            lines: None,
            shutdown,
            signals: self.signals.clone(),
        };
        let make = Dot1x {
            certificates: wanted.certificates.clone(),
            params: wanted.params.clone(),
            trust: self.trust.clone(),
        };
        let task = tokio::spawn(keep_running(base, self.faults.clone(), move || make.clone()));
        self.running = Some(Running { wanted, stop, task });
        Ok(true)
    }

    /// The date, if the clock can be believed.
    async fn date(&mut self) -> Option<Timestamp> {
        let known = self.trust.wait_for(Option::is_some);
        let known = *timeout(FIRST_LOOK, known).await.ok()?.ok()?;
        (known == Some(true)).then(|| self.clock.wall())
    }

    /// Judges the dates of what runs. While nobody knows the date, what was found stands.
    fn judge(&self, date: Option<Timestamp>) {
        let untimely = match (&self.running, date) {
            (Some(_), None) => return,
            (Some(running), Some(date)) => running.wanted.untimely(date),
            (None, _) => None,
        };
        let text = untimely.map(|late| format!("{}: {} ({})", late.path, late.text, late.hint));
        self.faults.set(DATES, text);
    }

    async fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let _ = running.stop.send(true);
        if !end(running.task, Duration::from_secs(3)).await {
            tracing::warn!("the adapter of the switch port did not end in time and was ended");
        }
    }

    fn confirm(&mut self) -> anyhow::Result<()> {
        if let Some(trial) = &self.trial {
            let running = self.running.as_ref().map(|running| &running.wanted.params);
            self.memory.keep(&trial.text, running)?;
            tracing::info!("the change of [dot1x] was confirmed");
        }
        self.trial = None;
        self.faults.set(TRIAL, None);
        Ok(())
    }

    async fn take_back(&mut self, why: &str) -> anyhow::Result<()> {
        let Some(trial) = self.trial.take() else {
            return Ok(());
        };
        let refused = self.running.as_ref().map(|running| running.wanted.params.clone());
        self.refused = Some(refused);
        self.faults.set(TRIAL, None);
        self.change(trial.before).await?;
        let date = self.date().await;
        self.judge(date);
        let text = format!(
            "the change of [dot1x] was taken back, for {why}; what was in force before is in force again, though the site \
             file still has the change: correct it there and reload, or start the gateway anew to try it once more"
        );
        tracing::warn!("{text}");
        self.tell(SignalKind::Fault(text)).await
    }

    /// Has something about the change recorded.
    async fn tell(&self, kind: SignalKind) -> anyhow::Result<()> {
        let signal = Signal {
            at: self.clock.now(),
            device: DeviceId::new(CHANGE)?,
            kind,
            simulated: false,
        };
        Ok(self.signals.send(signal).await?)
    }
}

/// Judges the dates of what runs whenever the clock begins to be believed, and from time to time: what was not valid yet
/// may be by now.
async fn judge_dates(port: Weak<Mutex<Inner>>, mut trust: Trust) {
    // an end of the core is the end of the gateway
    while !matches!(timeout(HOUR, trust.changed()).await, Ok(Err(_))) {
        let Some(port) = port.upgrade() else { return };
        let mut inner = port.lock().await;
        let date = inner.date().await;
        inner.judge(date);
    }
}

fn risk_text() -> String {
    "accept-any-server is true: whoever holds the cable can pose as the network and collect the password; add ca-file \
     and server-names, and remove accept-any-server"
        .to_owned()
}

fn files_text(faults: &[Late]) -> String {
    let each = faults
        .iter()
        .map(|late| format!("{}: {} ({})", late.path, late.text, late.hint));
    format!("{}; then reload the gateway", each.collect::<Vec<_>>().join("; "))
}
