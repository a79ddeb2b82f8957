//! Taking another site file while the gateway runs, and writing down what is in force.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use gateway_config::{Config, Generations, Loaded};
use gateway_core::{Clock, LockState, SiteView};
use tokio::sync::oneshot;

use super::start::{secrets_told, start_guard};
use super::{Gateway, codes, held, home, params, people, plan, restore, room, unkept};
use crate::clock::SystemClock;
use crate::commands;
use crate::run::brain::Order;
use crate::run::faults::{Faults, Guarded};
use crate::run::plan::outputs_restart;
use crate::run::unkept::Unkept;

/// How a configuration is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It ran before what was on trial, which is rolled back.
    Back,
    /// It is the site file's: the one to start with.
    Confirmed,
    /// It may be, if somebody confirms it.
    OnTrial,
}

/// How long the relay guard may take to start: a little longer than until the core takes it for lost.
const GUARD_START: Duration = Duration::from_secs(12);

/// How long a pulse may be, and a little more.
const LONGEST_PULSE: Duration = Duration::from_secs(26);

impl Gateway {
    /// Takes a new site file. Doors and accounts that did not change keep pulses, calls and registrations. Wait for
    /// [`rests`](Self::rests) first. What is on trial is not confirmed: the next start takes the file before it.
    ///
    /// An output must mean the same to the core and to the relay guard: if outputs change, the guard ends before
    /// the core takes the new file and starts after it, so that no Grant meets a guard of the other file.
    ///
    /// # Errors
    /// What could not be applied; what was applied before it stays, and is said.
    pub(crate) async fn apply(&mut self, loaded: Loaded, how: Taken) -> anyhow::Result<String> {
        let Loaded {
            absent,
            config: mut new,
            text,
            ..
        } = loaded;
        // a folder that takes the place of the one in the file does so until the next start
        new.site.state_dir.clone_from(&self.config.site.state_dir);
        if let Some(why) = self.codes_refused(&new) {
            anyhow::bail!(why);
        }
        let plan = gateway_config::plan(&self.config, &new);
        if plan.needs_process() {
            anyhow::bail!("{plan}; start the gateway anew for this");
        }
        let restart = outputs_restart(&plan, &self.config);
        anyhow::ensure!(
            !restart || self.guard.is_some(),
            "{plan}; the relay guard is run by another program: start it and the gateway anew for this"
        );
        let number = self.generations.number_for(&self.file, &text)?;
        let generation = next_generation(number, self.generation, text == self.text);
        let written = home::write_new(&new, &text)?;
        if restart {
            self.guard_may_restart(&new).await;
        }
        if restart && let Some(guard) = self.guard.take() {
            guard.stop().await;
        }
        let kept = written.take();
        if restart && kept.is_err() {
            self.guard = Some(start_guard(&self.doors, &self.in_force, &self.silence));
        }
        self.in_force = kept?;
        let mut unkept = written.trouble.is_some();
        note_trouble(&self.faults, "in-force", written.trouble);
        let (done, answer) = oneshot::channel();
        let words = plan::told(&plan, &self.config, &new, self.instance);
        let order = Order::Apply {
            done,
            generation,
            params: Box::new(params::site(&new, &self.instance.text())),
            told: words.clone(),
            wirings: params::wirings(&new),
        };
        let told = self.orders.send(order).await;
        let changed = answer.await;
        if restart {
            self.guard = Some(start_guard(&self.doors, &self.in_force, &self.silence));
        }
        told.ok().context("the core has ended")?;
        changed.context("the core has ended")?;
        // from here on the next file is compared with this one, whatever else cannot be taken of it
        (self.generation, self.text) = (generation, text);
        self.config = new.clone();
        if let Some(people) = self.bus.people() {
            people.set_site(people::names(&new));
        }
        self.time_service.require(new.time.require_sync);
        self.room.send_replace(room::Limits::of(&new));
        self.site.send_replace(Arc::new(new.clone()));
        self.sip.apply(params::sip(&new, self.instance.0)).await?;
        self.adapters.apply(&new, &self.faults).await?;
        self.port.apply(&new, &self.text, how).await?;
        self.outside.apply(&new).await?;
        secrets_told(&absent, &self.faults);
        held::voice_told(&new, &self.faults);
        self.absent = absent;
        match how {
            Taken::Confirmed => {
                unkept |= !confirm(
                    &self.generations,
                    &self.config,
                    &self.file,
                    &self.text,
                    &self.faults,
                );
                self.faults.set("config", None);
            }
            Taken::Back | Taken::OnTrial => {}
        }
        self.unkept = unkept.then(again);
        Ok(words)
    }

    /// Tells the core that the guard restarts, in a moment when no pulse runs: one may have begun since the file was
    /// looked at.
    async fn guard_may_restart(&self, new: &Config) {
        let end = tokio::time::Instant::now() + LONGEST_PULSE;
        loop {
            let (known, answer) = oneshot::channel();
            let force = tokio::time::Instant::now() >= end;
            let order = Order::GuardRestarts { force, known };
            // without a core there is nobody to take it for a fault
            if self.orders.send(order).await.is_err() || answer.await != Ok(false) {
                return;
            }
            // the picture is a turn of the core late
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Some(rests) = self.rests(new) {
                rests.await;
            }
        }
    }

    /// Waits until the relay guard, which was started anew, holds the outputs of what is in force. Ends at once if it was not,
    /// and at the latest when the core takes it for lost.
    ///
    /// # Errors
    /// Why no door can be opened.
    pub(crate) async fn guard_serves(&self) -> Result<(), String> {
        let mut guarded = self.faults.guarded();
        let starts = |guarded: &Guarded| *guarded == Guarded::Starts;
        let known = tokio::time::timeout(GUARD_START, guarded.wait_for(|guarded| !starts(guarded)));
        match known.await.map(|known| known.map(|known| known.clone())) {
            Ok(Ok(Guarded::Up)) => Ok(()),
            Ok(Ok(Guarded::Away(text))) => Err(text),
            Ok(Ok(Guarded::Starts) | Err(_)) | Err(_) => Err("it does not come up".to_owned()),
        }
    }

    /// Does the relay guard hold the outputs, as far as it is known at this moment?
    pub(crate) fn is_guarded(&self) -> bool {
        *self.faults.guarded().borrow() == Guarded::Up
    }

    /// Why a file cannot be taken beside the codes and cards of people.
    pub(crate) fn codes_refused(&self, new: &Config) -> Option<String> {
        let records = self.store.records();
        codes::refused(records, &self.key, &self.config, new)
            .or_else(|| codes::cards_refused(records, &self.config, new))
    }

    /// When the room has to be looked at for what could not be written down; `None` if all is.
    pub(crate) fn keep_due(&self) -> Option<tokio::time::Instant> {
        self.unkept.as_ref().map(Unkept::due)
    }

    /// Writes down once more what is in force, which the disk did not take, if that has a chance. Nothing is confirmed that
    /// was not before.
    pub(crate) fn keep(&mut self, on_trial: bool) {
        let room = unkept::has_room(&self.config.site.state_dir, &self.text);
        let asks = |unkept: &mut Unkept| unkept.asks(tokio::time::Instant::now(), room);
        if !self.unkept.as_mut().is_some_and(asks) {
            return;
        }
        let taken = home::write_new(&self.config, &self.text).and_then(|new| Ok((new.take()?, new.trouble)));
        let trouble = match taken {
            Ok((path, trouble)) => {
                self.in_force = path;
                trouble
            }
            Err(error) => Some(format!("{error:#}")),
        };
        let mut kept = trouble.is_none();
        note_trouble(&self.faults, "in-force", trouble);
        if !on_trial {
            kept &= confirm(
                &self.generations,
                &self.config,
                &self.file,
                &self.text,
                &self.faults,
            );
        }
        if kept {
            self.unkept = None;
            tracing::info!("the configuration in force is written down");
        }
    }

    /// What is in force was on trial and is in the site file.
    ///
    /// # Errors
    /// If that cannot be written down: the site file counts all the same.
    pub(crate) fn confirm(&self) -> anyhow::Result<()> {
        self.faults.set("config", None);
        self.generations.confirm(&self.file, &self.text)?;
        Ok(())
    }

    /// Confirms the change of the switch port that came with what is in force, and says what became of it, if there is one.
    pub(crate) async fn confirm_port(&self) -> Option<String> {
        let view = self.bus.view().borrow().clone();
        let authorized = view.ports.iter().any(|port| port.state == "authorized");
        self.port.confirm_with(&self.text, authorized).await
    }

    /// What runs, to come back to.
    pub(crate) fn running(&self) -> Loaded {
        Loaded {
            absent: self.absent.clone(),
            config: self.config.clone(),
            text: self.text.clone(),
            warnings: gateway_config::Warnings::default(),
        }
    }

    /// Journals that a site file was not taken.
    pub(crate) fn refused(&self, error: &anyhow::Error) {
        let count = error
            .downcast_ref::<commands::ConfigFaults>()
            .map_or(1, commands::ConfigFaults::count);
        restore::refusal(&self.store, count, &format!("{error:#}"), SystemClock.wall());
        self.faults
            .set("config", Some(format!("the site file was not taken: {error:#}")));
    }

    /// What a new site file waits for, if it moves outputs while one of them is energised: that none is, at most as
    /// long as the longest pulse. A door that did not change keeps the pulse that runs.
    pub(crate) fn rests(&self, new: &Config) -> Option<impl Future<Output = ()> + Send + use<>> {
        let plan = gateway_config::plan(&self.config, new);
        let rest = |view: &SiteView| {
            let mut doors = view.doors.iter();
            doors.all(|door| door.lock != LockState::Unlocked || door.hold.is_some())
        };
        let mut view = self.bus.view();
        let now = rest(&view.borrow());
        if now || self.guard.is_none() || plan.needs_process() || !outputs_restart(&plan, &self.config) {
            return None;
        }
        Some(async move {
            let rests = view.wait_for(|view| rest(view));
            if tokio::time::timeout(LONGEST_PULSE, rests).await.is_err() {
                tracing::warn!("an output was energised for long; its pulse ends with the guard's restart");
            }
        })
    }
}

/// The generation of a file that is taken while the gateway runs. It never goes back, also not to the number of
/// a file that ran before: the guard refuses Grants of older generations, and with them every exit.
const fn next_generation(number: u64, running: u64, same_text: bool) -> u64 {
    if same_text {
        running
    } else if number > running {
        number
    } else {
        running + 1
    }
}

/// The disk is asked again in a while.
pub(super) fn again() -> Unkept {
    Unkept::new(tokio::time::Instant::now())
}

/// Notes what is wrong with a part, or that nothing is; what is not news is not logged again.
pub(super) fn note_trouble(faults: &Faults, part: &str, trouble: Option<String>) {
    if let Some(text) = &trouble
        && !faults.has(part, text)
    {
        tracing::error!("{text}");
    }
    faults.set(part, trouble);
}

/// Writes the configuration down as a good one; doors do not wait for room on the disk. False if it could not be.
pub(super) fn confirm(
    generations: &Generations,
    config: &Config,
    file: &Path,
    text: &str,
    faults: &Faults,
) -> bool {
    let trouble = generations.confirm(file, text).err().map(|error| {
        let error = anyhow::Error::from(error);
        let awaited = unkept::awaited(&error, &config.site.state_dir);
        format!("the configuration in force could not be written down as a good one: {error:#}; {awaited}")
    });
    let kept = trouble.is_none();
    note_trouble(faults, "generations", trouble);
    kept
}

#[cfg(test)]
mod tests {
    use super::next_generation;

    #[test]
    fn the_generation_never_goes_back() {
        // a new file
        assert_eq!(next_generation(8, 7, false), 8);
        // the same file once more
        assert_eq!(next_generation(7, 7, true), 7);
        // back to the confirmed file 7 after file 8 was taken in part
        assert_eq!(next_generation(7, 8, false), 9);
        // another new file after that: 8 was never confirmed
        assert_eq!(next_generation(8, 9, false), 10);
    }
}
