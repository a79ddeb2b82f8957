//! Do-not-disturb by command: the bells of a panel call nobody until it is ended, or for a time. The ring is told all
//! the same, and opens or does not as at other times.
//!
//! It is kept: a restart does not let the bells call. What was to last for a time goes on after a restart only while the
//! clock is believed, for nobody else knows how much of it is left: a bell that rings too much is heard, one that
//! rings too little is not.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{Event, Instant, PanelEvent, PanelId, QuietView, Refusal, Subject, Timestamp};

use super::{Now, Site};

/// No time is longer: a clock that was wrong at a restart does not silence a bell for years.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A panel whose bells call nobody.
pub(super) struct Quiet {
    /// When it ends by the monotonic clock.
    end: Option<Instant>,
    /// It comes from an earlier life, so that only the date says how much of it is left.
    restored: bool,
    /// When it ends, as a date.
    until: Option<Timestamp>,
}

/// Those that are quiet by a command.
#[derive(Default)]
pub(super) struct Quiets {
    panels: BTreeMap<PanelId, Quiet>,
    revision: u64,
}

fn left(until: Timestamp, wall: Timestamp) -> Duration {
    let left = Duration::try_from(until.duration_since(wall));
    left.unwrap_or(Duration::ZERO).min(LONGEST)
}

impl Site {
    /// Do-not-disturb of an earlier life, each with the date of its end. Give it before [`Input::Ready`](crate::Input::Ready).
    pub fn restore_quiets(
        &mut self,
        quiets: impl IntoIterator<Item = (PanelId, Option<Timestamp>)>,
        now: Instant,
        wall: Timestamp,
    ) {
        for (panel, until) in quiets {
            if self.params.panels.contains_key(&panel) {
                let quiet = Quiet {
                    end: until.map(|until| now + left(until, wall)),
                    restored: true,
                    until,
                };
                self.quiets.panels.insert(panel, quiet);
            }
        }
    }

    /// What is quiet by command, and until when, to be kept across restarts whenever [`Self::quiets_revision`] has changed.
    #[must_use]
    pub fn export_quiets(&self) -> BTreeMap<PanelId, Option<Timestamp>> {
        let quiets = self.quiets.panels.iter();
        quiets
            .map(|(panel, quiet)| (panel.clone(), quiet.until))
            .collect()
    }

    /// Grows with each change of them.
    #[must_use]
    pub const fn quiets_revision(&self) -> u64 {
        self.quiets.revision
    }

    pub(super) fn command_quiet(
        &mut self,
        now: Now,
        panel: PanelId,
        time: Option<Duration>,
        subject: Subject,
    ) -> Result<(), (Refusal, String)> {
        if !self.params.panels.contains_key(&panel) {
            return Err((Refusal::Unknown, format!("there is no panel {panel:?}")));
        }
        let time = time.map(|time| time.min(LONGEST));
        let quiet = Quiet {
            end: time.map(|time| now.mono + time),
            restored: false,
            until: time.and_then(|time| now.wall.checked_add(time).ok()),
        };
        self.quiets.panels.insert(panel.clone(), quiet);
        self.quiets.revision += 1;
        let limit_s = time.map(|time| time.as_secs());
        let event = PanelEvent::QuietBegan { limit_s, subject };
        self.record(now, Event::Panel(panel, event), None, false);
        Ok(())
    }

    pub(super) fn command_end_quiet(&mut self, now: Now, panel: PanelId) -> Result<(), (Refusal, String)> {
        if !self.quiets.panels.contains_key(&panel) {
            return Err((Refusal::Unknown, format!("panel {panel} is not quiet")));
        }
        self.end_quiet(now, panel, "command");
        Ok(())
    }

    fn end_quiet(&mut self, now: Now, panel: PanelId, why: &str) {
        if self.quiets.panels.remove(&panel).is_some() {
            self.quiets.revision += 1;
            let why = why.to_owned();
            self.record(
                now,
                Event::Panel(panel, PanelEvent::QuietEnded { why }),
                None,
                false,
            );
        }
    }

    /// Does a command keep this panel from calling?
    pub(super) fn is_told_to_be_quiet(&self, now: Now, panel: &PanelId) -> bool {
        self.quiets
            .panels
            .get(panel)
            .is_some_and(|quiet| match quiet.end {
                None => true,
                Some(end) => now.mono < end && (!quiet.restored || self.clock_trusted),
            })
    }

    /// Another date says how much is left of what an earlier life began.
    pub(super) fn date_quiets(&mut self, now: Now) {
        for quiet in self.quiets.panels.values_mut().filter(|quiet| quiet.restored) {
            quiet.end = quiet.until.map(|until| now.mono + left(until, now.wall));
        }
    }

    /// Panels that are gone are quiet no more.
    pub(super) fn configure_quiets(&mut self) {
        let before = self.quiets.panels.len();
        let panels = &self.params.panels;
        self.quiets.panels.retain(|panel, _| panels.contains_key(panel));
        if self.quiets.panels.len() != before {
            self.quiets.revision += 1;
        }
    }

    pub(super) fn quiets_due(&mut self, now: Now) {
        let over = |quiet: &Quiet| quiet.end.is_some_and(|end| now.mono >= end);
        let due = self.quiets.panels.iter().filter(|(_, quiet)| over(quiet));
        let due: Vec<PanelId> = due.map(|(panel, _)| panel.clone()).collect();
        for panel in due {
            self.end_quiet(now, panel, "time");
        }
    }

    pub(super) fn quiets_due_at(&self) -> Option<Instant> {
        self.quiets.panels.values().filter_map(|quiet| quiet.end).min()
    }

    pub(super) fn quiet_view(&self, panel: &PanelId) -> Option<QuietView> {
        let quiet = self.quiets.panels.get(panel)?;
        Some(QuietView { until: quiet.end })
    }
}
