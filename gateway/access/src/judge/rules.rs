//! Rules of the site file that ask for a door.

use gateway_core::{RuleId, Subject};

use super::{Moment, Verdict};
use crate::access::Access;
use crate::decision::Reason;
use crate::policy::DoorPolicy;

impl Access {
    /// A rule is nobody: it opens the doors that the site file gives it, and only where its record can be kept.
    pub(super) fn rule(moment: Moment<'_>, door: &DoorPolicy, rule: &RuleId) -> Verdict {
        let subject = Subject::Rule(rule.clone());
        if !door.rules.contains(rule) {
            return Verdict::refused(subject, Reason::RuleNotForDoor);
        }
        if !moment.context.journal_ok {
            return Verdict::refused(subject, Reason::JournalFault);
        }
        Verdict::allowed(format!("rule {rule} opens"), subject, None)
    }
}
