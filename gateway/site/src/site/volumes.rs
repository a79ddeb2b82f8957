//! How loud lines are: a level by day, another while a schedule is in force.
//!
//! By a clock that is not believed no schedule is in force, so that nobody is too quiet to be heard.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_access::{InForce, When};
use gateway_core::{Instant, LineId, Volume};

use super::{Now, Site};
use crate::io::Output;

/// The next change of a schedule is looked up after this at the latest: the clock may have been set.
const LOOK: Duration = Duration::from_secs(60);

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    due: Option<Instant>,
    told: BTreeMap<LineId, Volume>,
}

impl Site {
    /// Another file, or another time: everything is looked at anew.
    pub(super) fn forget_volumes(&mut self, now: Now) {
        self.volumes.due = Some(now.mono);
        let gone = |line: &LineId| !self.params.lines.contains_key(line);
        let told = std::mem::take(&mut self.volumes.told).into_iter();
        let (gone, stay): (BTreeMap<_, _>, _) = told.partition(|(line, _)| gone(line));
        self.volumes.told = stay;
        for (line, volume) in gone {
            if volume != Volume::default() {
                self.out.push_back(Output::Volume(line, Volume::default()));
            }
        }
    }

    /// Tells what is to be another level from here on.
    pub(super) fn look_at_volumes(&mut self, now: Now) {
        if self.volumes.due.is_none_or(|due| now.mono < due) {
            return;
        }
        let wall = self.context(now).wall;
        let mut next = None::<Duration>;
        for (line, params) in &self.params.lines {
            let by_schedule = self.params.schedules.look(&params.quiet, wall) == InForce::Yes;
            let volume = if by_schedule {
                params.quiet_volume
            } else {
                params.volume
            };
            if matches!(params.quiet, When::In(_)) {
                let change = self.params.schedules.next_change(&params.quiet, now.wall);
                let until = change.and_then(|at| Duration::try_from(at.duration_since(now.wall)).ok());
                let until = until.unwrap_or(LOOK).clamp(Duration::from_millis(1), LOOK);
                next = Some(next.map_or(until, |next| next.min(until)));
            }
            let before = self.volumes.told.insert(line.clone(), volume).unwrap_or_default();
            if before != volume {
                self.out.push_back(Output::Volume(line.clone(), volume));
            }
        }
        self.volumes.due = next.map(|next| now.mono + next);
    }

    /// When [`Self::look_at_volumes`] has something to do.
    pub(super) const fn volumes_due(&self) -> Option<Instant> {
        self.volumes.due
    }
}
