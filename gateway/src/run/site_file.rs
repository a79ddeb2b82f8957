//! The site file over the API: read, check, put on trial, confirm, roll back.
//!
//! What is on trial is in force, and the site file is as it was: a crash, a restart or a power cut brings the file back.
//! Only a confirmation writes it. A trial that nobody confirms in time is rolled back by itself.

mod proposal;

use std::path::{Path, PathBuf};
use std::pin::Pin;

use gateway_bus::{
    Altered, Checked, SiteFileAsk, SiteFileDesk, SiteFileRefusal, SiteText, Trial, TrialState, Wish,
};
use gateway_config::{Config, Loaded, TrialStore, WriteError};
use gateway_core::{Clock, Event, Timestamp, UserEvent};
use tokio::time::Instant;

use self::proposal::{Examined, Judge, placed, tag};
use crate::clock::SystemClock;
use crate::run::{Gateway, Taken, note, whom};

/// The part of the gateway, in its list of faults, that tells of a trial that could not be ended well.
const PART: &str = "config";

/// Who answers about the site file.
pub(crate) struct SiteFile {
    desk: SiteFileDesk,
    file: PathBuf,
    on: Option<OnTrial>,
    store: TrialStore,
}

/// What has to be known to go either way.
struct OnTrial {
    /// The site file as it was when the trial began.
    base: String,
    /// What ran before.
    before: Loaded,
    /// What stood against the configuration before.
    fault: Option<String>,
    /// The relay guard held the outputs.
    guarded: bool,
    phase: Phase,
    /// What is on trial.
    text: String,
}

type Rests = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Phase {
    /// Waits until no pulse runs, then what was before is applied, for this reason.
    Back(Rests, String),
    /// In force until this moment, unless confirmed.
    Runs(Instant),
    /// Waits until no pulse runs, then it is applied.
    Waits(Rests, Box<Loaded>),
}

/// What there is to do.
pub(crate) enum Due {
    /// Somebody asked.
    Asked(SiteFileAsk),
    /// No pulse runs: go on.
    Rests,
    /// Nobody has confirmed.
    TimeUp,
}

impl SiteFile {
    /// Also tells what became of a trial that the gateway did not live to see the end of.
    pub(crate) fn new(file: &Path, desk: SiteFileDesk, gateway: &Gateway) -> Self {
        let site_file = Self {
            desk,
            file: file.to_owned(),
            on: None,
            store: TrialStore::new(&gateway.config().site.state_dir),
        };
        site_file.left_over(gateway);
        site_file
    }

    /// A trial of the run before: if its text is not the site file's, what is in force now is what was before it.
    fn left_over(&self, gateway: &Gateway) {
        let left = match self.store.left(&self.file) {
            Ok(Some(left)) => left,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "a trial of a configuration was left over and cannot be read");
                return;
            }
        };
        let confirmed = self.on_disk().is_ok_and(|text| text == left.text);
        let now = SystemClock.wall();
        let (state, text) = if confirmed {
            (TrialState::Confirmed, "the site file has its text")
        } else {
            (
                TrialState::RolledBack,
                "the gateway was started anew before it was confirmed",
            )
        };
        if confirmed {
            journal(gateway, UserEvent::ConfigConfirmed { by: left.by.clone() });
        } else {
            tracing::warn!(by = %left.by, "a configuration on trial was not confirmed; the site file is in force");
            journal(
                gateway,
                UserEvent::ConfigRolledBack {
                    by: None,
                    text: text.to_owned(),
                },
            );
        }
        self.desk.trial.send_replace(Some(Trial {
            altered: None,
            began: now,
            by: left.by,
            confirm: std::time::Duration::ZERO,
            diff: String::new(),
            plan: Vec::new(),
            state,
            text: text.to_owned(),
            until: None,
        }));
        self.ended();
    }

    /// Waits for something to do. Nothing is lost if this is not waited for to its end.
    pub(crate) async fn due(&mut self) -> Due {
        let (phase, asks) = (self.on.as_mut().map(|on| &mut on.phase), &mut self.desk.asks);
        let next = async {
            match phase {
                None => std::future::pending().await,
                Some(Phase::Back(rests, _) | Phase::Waits(rests, _)) => {
                    rests.await;
                    Due::Rests
                }
                Some(Phase::Runs(until)) => {
                    tokio::time::sleep_until(*until).await;
                    Due::TimeUp
                }
            }
        };
        tokio::select! {
            // if nobody can ask any more, the rest goes on
            Some(ask) = asks.recv() => Due::Asked(ask),
            due = next => due,
        }
    }

    /// Does it.
    pub(crate) async fn act(&mut self, due: Due, gateway: &mut Gateway) {
        match due {
            Due::Asked(ask) => self.answer(ask, gateway).await,
            Due::Rests => match self.on.take() {
                Some(OnTrial {
                    phase: Phase::Waits(_, loaded),
                    base,
                    before,
                    fault,
                    guarded,
                    text,
                }) => {
                    let on = OnTrial {
                        base,
                        before,
                        fault,
                        guarded,
                        // no longer than this: the next thing that is done sets it
                        phase: Phase::Runs(Instant::now()),
                        text,
                    };
                    self.apply(on, *loaded, gateway).await;
                }
                Some(on) => {
                    let why = match &on.phase {
                        Phase::Back(_, why) => why.clone(),
                        Phase::Runs(_) | Phase::Waits(..) => String::new(),
                    };
                    self.bring_back(on, &why, gateway).await;
                }
                None => {}
            },
            Due::TimeUp => {
                let why = "nobody has confirmed it in time";
                self.roll_back(None, why, gateway).await;
            }
        }
    }

    /// The site file is to be read again by other means: what is on trial gives way to it. False if that has to wait
    /// until no pulse runs.
    pub(crate) async fn give_way(&mut self, gateway: &mut Gateway) -> bool {
        if !matches!(self.on.as_ref().map(|on| &on.phase), Some(Phase::Back(..))) {
            let why = "the site file is read again";
            self.roll_back(None, why, gateway).await;
        }
        self.idle()
    }

    /// Nothing is on trial.
    pub(crate) const fn idle(&self) -> bool {
        self.on.is_none()
    }

    /// The gateway stops: the next start takes the site file as it is.
    pub(crate) fn stopping(&mut self, gateway: &Gateway) {
        if self.on.take().is_some() {
            let text = "the gateway was stopped before it was confirmed";
            self.finished(TrialState::RolledBack, None, text, gateway);
        }
    }

    async fn answer(&mut self, ask: SiteFileAsk, gateway: &mut Gateway) {
        // whoever asked may have gone: the answer is for nobody then
        match ask {
            SiteFileAsk::Check(proposal, reply) => {
                let examined = self
                    .on_disk()
                    .and_then(|base| Judge::new(&self.file, &base, gateway).examine(&proposal));
                match examined {
                    Ok(Examined::Good {
                        mut checked, loaded, ..
                    }) => {
                        let altered = altered(gateway, loaded.config);
                        tokio::spawn(async move {
                            checked.altered = altered.await;
                            let _ = reply.send(Ok(checked));
                        });
                    }
                    Ok(Examined::Faults(checked)) => drop(reply.send(Ok(checked))),
                    Err(refusal) => drop(reply.send(Err(refusal))),
                }
            }
            SiteFileAsk::Confirm(by, reply) => {
                let _ = reply.send(self.confirm(&by, gateway).await);
            }
            SiteFileAsk::Read(reply) => {
                let _ = reply.send(self.read(gateway));
            }
            SiteFileAsk::RollBack(by, reply) => match self.may_end() {
                Ok(()) => {
                    let shown = self.shown(TrialState::RollingBack);
                    // before it is done: the page that asked may be started anew by it
                    let _ = reply.send(shown);
                    self.roll_back(Some(by), "it was rolled back by hand", gateway)
                        .await;
                }
                Err(refusal) => {
                    let _ = reply.send(Err(refusal));
                }
            },
            SiteFileAsk::Try(wish, reply) => match self.begin(&wish, gateway) {
                Ok((on, loaded)) => {
                    let _ = reply.send(self.shown(TrialState::Applying));
                    match gateway.rests(&loaded.config) {
                        Some(rests) => {
                            self.say(
                                TrialState::Waiting,
                                "it moves outputs and waits until no pulse runs",
                            );
                            let phase = Phase::Waits(Box::pin(rests), Box::new(loaded));
                            self.on = Some(OnTrial { phase, ..on });
                        }
                        None => self.apply(on, loaded, gateway).await,
                    }
                }
                Err(refusal) => {
                    let _ = reply.send(Err(refusal));
                }
            },
        }
    }

    fn on_disk(&self) -> Result<String, SiteFileRefusal> {
        let unreadable = |why: String| SiteFileRefusal::Fault(format!("{}: {why}", self.file.display()));
        let bytes = std::fs::read(&self.file).map_err(|e| unreadable(e.to_string()))?;
        String::from_utf8(bytes).map_err(|_| unreadable("is not UTF-8; mend it at the machine".to_owned()))
    }

    fn read(&self, gateway: &Gateway) -> Result<SiteText, SiteFileRefusal> {
        let text = self.on_disk()?;
        let name = self.file.display().to_string();
        let veiled = gateway_config::veil(&name, &text);
        let shown = veiled.map_err(|faults| {
            SiteFileRefusal::Faults(Box::new(Checked {
                faults: placed(&faults.list),
                ..Checked::default()
            }))
        })?;
        Ok(SiteText {
            in_force: gateway.text() == text,
            tag: tag(&text),
            text: shown,
        })
    }

    /// Everything that may refuse it, and its mark on the medium.
    fn begin(&mut self, wish: &Wish, gateway: &Gateway) -> Result<(OnTrial, Loaded), SiteFileRefusal> {
        if let Some(on) = &self.on {
            let text = match on.phase {
                Phase::Back(..) => "one is being rolled back; wait for its end",
                Phase::Runs(_) | Phase::Waits(..) => "one is on trial: confirm it or roll it back first",
            };
            return Err(SiteFileRefusal::TrialRuns(text.to_owned()));
        }
        let base = self.on_disk()?;
        if wish.based_on.as_ref().is_some_and(|wanted| *wanted != tag(&base)) {
            return Err(SiteFileRefusal::Changed);
        }
        let (checked, text, loaded) = match Judge::new(&self.file, &base, gateway).examine(&wish.proposal)? {
            Examined::Faults(checked) => return Err(SiteFileRefusal::Faults(Box::new(checked))),
            Examined::Good {
                checked,
                loaded,
                text,
            } => (checked, text, *loaded),
        };
        if checked.blocked.is_some() {
            return Err(SiteFileRefusal::Blocked(Box::new(checked)));
        }
        if text == base && text == gateway.text() {
            return Err(SiteFileRefusal::Unchanged);
        }
        gateway_config::try_write(&self.file).map_err(|e| unwritable(&self.file, &e))?;
        let kept = self.store.begin(&self.file, &wish.by, &text);
        kept.map_err(|e| SiteFileRefusal::Fault(in_full(&e)))?;
        let steps: Vec<String> = checked
            .plan
            .iter()
            .map(|step| format!("{}: {}", step.component, step.text))
            .collect();
        let steps = if steps.is_empty() {
            "nothing but the text changes".to_owned()
        } else {
            steps.join("; ")
        };
        let seconds = wish.confirm.as_secs();
        tracing::info!(by = %wish.by, confirm_s = seconds, plan = %steps, "a configuration is put on trial");
        journal(
            gateway,
            UserEvent::ConfigTried {
                by: wish.by.clone(),
                confirm_s: seconds,
                text: steps.chars().take(1000).collect(),
            },
        );
        let began = SystemClock.wall();
        self.desk.trial.send_replace(Some(Trial {
            altered: None,
            began,
            by: wish.by.clone(),
            confirm: wish.confirm,
            diff: checked.diff,
            plan: checked.plan,
            state: TrialState::Applying,
            text: "it is being applied".to_owned(),
            until: None,
        }));
        self.tell_altered(began, gateway, &loaded);
        let faults = gateway.faults();
        let on = OnTrial {
            base,
            before: gateway.running(),
            fault: faults.into_iter().find(|f| f.part == PART).map(|f| f.text),
            guarded: gateway.is_guarded(),
            phase: Phase::Runs(Instant::now()),
            text,
        };
        Ok((on, loaded))
    }

    /// Tells in the picture of this trial what it alters, for whom, once that is found out: nothing waits for it.
    fn tell_altered(&self, began: Timestamp, gateway: &Gateway, loaded: &Loaded) {
        let altered = altered(gateway, loaded.config.clone());
        let trial = self.desk.trial.clone();
        tokio::spawn(async move {
            let altered = altered.await;
            trial.send_modify(|trial| {
                if let Some(trial) = trial.as_mut().filter(|trial| trial.began == began) {
                    trial.altered = altered;
                }
            });
        });
    }

    async fn apply(&mut self, on: OnTrial, loaded: Loaded, gateway: &mut Gateway) {
        self.say(TrialState::Applying, "it is being applied");
        let applied = match gateway.apply(loaded, Taken::OnTrial).await {
            Ok(plan) => match unguarded(&on, gateway).await {
                None => Ok(plan),
                Some(why) => Err(why),
            },
            Err(error) => Err(format!("it could not be applied: {error:#}")),
        };
        match applied {
            Ok(plan) => {
                let confirm = self.desk.trial.borrow().as_ref().map(|trial| trial.confirm);
                let until = Instant::now() + confirm.unwrap_or_default();
                tracing::info!(%plan, "a configuration is in force on trial");
                self.on = Some(OnTrial {
                    phase: Phase::Runs(until),
                    ..on
                });
                self.desk.trial.send_modify(|trial| {
                    if let Some(trial) = trial {
                        trial.until = Some(until);
                    }
                });
                self.say(TrialState::Running, "confirm it, or it is rolled back");
            }
            Err(why) => {
                tracing::error!("a configuration on trial is rolled back: {why}");
                self.bring_back(on, &why, gateway).await;
            }
        }
    }

    async fn confirm(&mut self, by: &str, gateway: &Gateway) -> Result<Trial, SiteFileRefusal> {
        let on = self.on.as_ref().ok_or(SiteFileRefusal::NoTrial)?;
        match on.phase {
            Phase::Runs(_) => {}
            Phase::Back(..) => return Err(SiteFileRefusal::NotNow("it is being rolled back".to_owned())),
            Phase::Waits(..) => {
                let text = "it is not in force yet: it waits until no pulse runs";
                return Err(SiteFileRefusal::NotNow(text.to_owned()));
            }
        }
        // what keeps every door shut must not become the file that the next start takes
        if on.guarded && !gateway.is_guarded() {
            let text = "the relay guard holds no outputs since this configuration is in force, so no door can be opened: \
                        look at the health page and the log, and roll it back, or wait until it holds them";
            return Err(SiteFileRefusal::NotNow(text.to_owned()));
        }
        if self.on_disk()? != on.base {
            return Err(SiteFileRefusal::Changed);
        }
        gateway_config::write_back(&self.file, &on.text).map_err(|e| unwritable(&self.file, &e))?;
        if let Err(error) = gateway.confirm() {
            tracing::error!(
                "the configuration is in the site file, but not among the confirmed ones: {error:#}"
            );
        }
        self.on = None;
        tracing::info!(by, "a configuration on trial was confirmed");
        let text = "the site file has its text";
        let text = match gateway.confirm_port().await {
            Some(port) => format!("{text}; {port}"),
            None => text.to_owned(),
        };
        self.finished(TrialState::Confirmed, Some(by.to_owned()), &text, gateway);
        self.shown(TrialState::Confirmed)
    }

    fn may_end(&self) -> Result<(), SiteFileRefusal> {
        match self.on.as_ref().map(|on| &on.phase) {
            None => Err(SiteFileRefusal::NoTrial),
            Some(Phase::Back(..)) => Err(SiteFileRefusal::NotNow("it is being rolled back".to_owned())),
            Some(Phase::Runs(_) | Phase::Waits(..)) => Ok(()),
        }
    }

    async fn roll_back(&mut self, by: Option<String>, why: &str, gateway: &mut Gateway) {
        let Some(on) = self.on.take() else { return };
        let why = match by {
            Some(by) => format!("{why}, by {by}"),
            None => why.to_owned(),
        };
        tracing::warn!("a configuration on trial is rolled back: {why}");
        match on.phase {
            // it was never in force
            Phase::Waits(..) => self.finished(TrialState::RolledBack, None, &why, gateway),
            Phase::Back(..) | Phase::Runs(_) => match gateway.rests(&on.before.config) {
                Some(rests) => {
                    self.say(
                        TrialState::RollingBack,
                        "it moves outputs and waits until no pulse runs",
                    );
                    let phase = Phase::Back(Box::pin(rests), why);
                    self.on = Some(OnTrial { phase, ..on });
                }
                None => self.bring_back(on, &why, gateway).await,
            },
        }
    }

    async fn bring_back(&mut self, on: OnTrial, why: &str, gateway: &mut Gateway) {
        self.say(TrialState::RollingBack, "what was before is being applied");
        let mut text = why.to_owned();
        match gateway.apply(on.before, Taken::Back).await {
            Ok(plan) => {
                tracing::info!(%plan, "what was before the trial is in force again");
                gateway.note_fault(PART, on.fault);
            }
            Err(error) => {
                text = format!(
                    "{why}; what was before could not be applied as a whole: {error:#}; start the gateway anew"
                );
                tracing::error!("{text}");
                gateway.note_fault(PART, Some(text.clone()));
            }
        }
        self.finished(TrialState::RolledBack, None, &text, gateway);
    }

    /// The trial has ended: journal, mark and picture say so.
    fn finished(&self, state: TrialState, by: Option<String>, text: &str, gateway: &Gateway) {
        journal(
            gateway,
            if let (TrialState::Confirmed, Some(by)) = (state, by) {
                UserEvent::ConfigConfirmed { by }
            } else {
                UserEvent::ConfigRolledBack {
                    by: None,
                    text: text.to_owned(),
                }
            },
        );
        self.ended();
        self.say(state, text);
    }

    fn ended(&self) {
        if let Err(error) = self.store.end() {
            // harmless: the next start compares texts, and says that it was rolled back once more
            tracing::error!(error = %in_full(&error), "the mark of a trial cannot be removed");
        }
    }

    fn say(&self, state: TrialState, text: &str) {
        self.desk.trial.send_modify(|trial| {
            if let Some(trial) = trial {
                trial.state = state;
                text.clone_into(&mut trial.text);
                if state != TrialState::Running {
                    trial.until = None;
                }
            }
        });
    }

    fn shown(&self, state: TrialState) -> Result<Trial, SiteFileRefusal> {
        let trial = self.desk.trial.borrow().clone();
        let trial = trial.ok_or(SiteFileRefusal::NoTrial)?;
        Ok(Trial { state, ..trial })
    }
}

/// Why a configuration that was applied cannot stay: the relay guard held the outputs before it and does not any more.
async fn unguarded(on: &OnTrial, gateway: &Gateway) -> Option<String> {
    if !on.guarded {
        return None;
    }
    let text = gateway.guard_serves().await.err()?;
    Some(format!(
        "the relay guard does not run with its outputs, so no door could be opened ({text}); the log of the guard says why"
    ))
}

/// What another configuration alters, for whom. Compared on a thread of its own: there may be many credentials.
fn altered(gateway: &Gateway, new: Config) -> impl Future<Output = Option<Altered>> + Send + use<> {
    let (records, key) = (gateway.store().records().clone(), gateway.key.clone());
    let old = gateway.config().clone();
    let compared = tokio::task::spawn_blocking(move || whom::altered(&records, &key, &old, &new));
    async move { compared.await.ok() }
}

fn journal(gateway: &Gateway, event: UserEvent) {
    note::journal(gateway.store(), Event::User(event));
}

/// An error with its causes, in one line.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

fn unwritable(file: &Path, error: &WriteError) -> SiteFileRefusal {
    if !error.is_refused() {
        return SiteFileRefusal::Fault(in_full(error));
    }
    let folder = file.parent().unwrap_or(Path::new("/etc/doorline")).display();
    SiteFileRefusal::ReadOnly(format!(
        "{}; the gateway may not write its site file. To let it, as root: chown doorline {folder} {}; systemctl edit \
         doorline, with the lines [Service] and ReadWritePaths={folder}; systemctl restart doorline",
        in_full(error),
        file.display()
    ))
}
