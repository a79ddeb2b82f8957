//! Doors that are held open: by their schedule, or by a command for a time.

use std::time::Duration;

use gateway_core::{DoorId, Subject};

use super::{Moment, Verdict};
use crate::access::Access;
use crate::decision::Reason;
use crate::policy::DoorPolicy;
use crate::request::HoldBy;
use crate::schedule::When;

/// Who wants it.
pub(super) fn subject(door: &DoorPolicy, by: &HoldBy) -> Subject {
    match (by, &door.hold.when) {
        (HoldBy::Command { origin, .. }, _) => origin.subject.clone(),
        (HoldBy::Schedule, When::In(id)) => Subject::Schedule(id.clone()),
        (HoldBy::Schedule, When::Always | When::Never) => Subject::Unknown,
    }
}

impl Access {
    /// By a schedule it needs a clock that is believed; a command counts its time from now.
    pub(super) fn hold(
        &self,
        moment: Moment<'_>,
        door: &DoorPolicy,
        name: &DoorId,
        by: &HoldBy,
        time: Duration,
    ) -> Verdict {
        let subject = subject(door, by);
        match by {
            HoldBy::Command { origin, permitted } => {
                let mut verdict = self.command(moment, origin, *permitted);
                let Ok(allowed) = &mut verdict.result else {
                    return verdict;
                };
                match door.hold.limit {
                    None => return Verdict::refused(subject, Reason::HoldNotAllowed),
                    Some(limit) if time > limit => {
                        return Verdict::refused(subject, Reason::HoldTooLong { limit });
                    }
                    Some(_) => {}
                }
                allowed.rule = format!("{}, and hold it open for {} s", allowed.rule, time.as_secs());
                verdict
            }
            HoldBy::Schedule => {
                let When::In(id) = &door.hold.when else {
                    return Verdict::refused(subject, Reason::HoldNotAllowed);
                };
                if let Err(reason) = self.in_time(moment, &door.hold.when) {
                    return Verdict::refused(subject, reason);
                }
                let first = door.hold.after.as_ref();
                if let Some(Err(reason)) = first.map(|group| self.first_is_in(moment.context, name, group)) {
                    return Verdict::refused(subject, reason);
                }
                let rule = format!("schedule {id} holds the door open");
                Verdict::allowed(rule, subject, None)
            }
        }
    }
}
