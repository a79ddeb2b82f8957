//! Buttons of panels that open, by day or because a command wants that for a while: whoever presses one is let in.

use gateway_core::{ButtonId, PanelId, Subject};

use super::{Moment, Verdict, within};
use crate::access::Access;
use crate::decision::Reason;
use crate::policy::DoorPolicy;

impl Access {
    /// Nobody is asked who he is, so the time alone decides; by a clock that is not believed it says nothing, not even
    /// where no schedule limits the button.
    pub(super) fn button(
        &self,
        moment: Moment<'_>,
        door: &DoorPolicy,
        panel: &PanelId,
        button: &ButtonId,
    ) -> Verdict {
        if self.rings_to_open(moment, door, panel, button) {
            let rule = format!("button {button} of panel {panel} opens by ring-to-open");
            return Verdict::allowed(rule, Subject::Unknown, None);
        }
        let Some(when) = door.buttons.get(&(panel.clone(), button.clone())) else {
            return Verdict::refused(Subject::Unknown, Reason::ButtonNotForDoor);
        };
        if let Err(reason) = self.in_time(moment, when) {
            return Verdict::refused(Subject::Unknown, reason);
        }
        if moment.context.wall.is_none() {
            return Verdict::refused(Subject::Unknown, Reason::ClockUntrusted { schedule: None });
        }
        let rule = format!("button {button} of panel {panel} opens{}", within(when));
        Verdict::allowed(rule, Subject::Unknown, None)
    }

    /// Does a command want that the button opens this door? It has an end by the monotonic clock, so that it needs no date;
    /// one that is further off than the door allows was never agreed to.
    fn rings_to_open(
        &self,
        moment: Moment<'_>,
        door: &DoorPolicy,
        panel: &PanelId,
        button: &ButtonId,
    ) -> bool {
        let limit = door.ring_to_open.get(&(panel.clone(), button.clone()));
        let until = self.ring_to_open.get(panel);
        limit
            .zip(until)
            .is_some_and(|(limit, until)| moment.now < *until && until.since(moment.now) <= *limit)
    }
}
