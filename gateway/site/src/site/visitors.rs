//! Visitors who rang a short while ago: a command that names the ring of one opens for nobody else, and not for long.

use std::collections::VecDeque;

use gateway_core::{ButtonId, DoorId, Instant, PanelId, Refusal, RingId};

use super::{Now, Site};

/// More rings than this within the longest time are nobody's visitors; the oldest are forgotten, which opens nothing.
const MOST: usize = 256;

/// One ring.
struct Visitor {
    at: Instant,
    /// Who rang at the apartment's own door.
    floor: bool,
    panel: PanelId,
    ring: RingId,
}

/// Those who rang last, the newest at the end. A restart knows of none.
#[derive(Default)]
pub(super) struct Visitors(VecDeque<Visitor>);

impl Visitors {
    fn find(&self, ring: RingId) -> Option<&Visitor> {
        self.0.iter().rev().find(|visitor| visitor.ring == ring)
    }
}

impl Site {
    /// Somebody rings.
    pub(super) fn visitor_came(&mut self, now: Now, (panel, button): (&PanelId, &ButtonId), ring: RingId) {
        let floor = self.is_floor_bell(panel, button);
        if self.visitors.0.len() == MOST {
            self.visitors.0.pop_front();
        }
        self.visitors.0.push_back(Visitor {
            at: now.mono,
            floor,
            panel: panel.clone(),
            ring,
        });
    }

    /// May a command that names this ring still open this door for whoever rang?
    pub(super) fn is_visitor(&self, now: Now, door: &DoorId, ring: RingId) -> Result<(), (Refusal, String)> {
        let Some(allowed) = self.params.doors.get(door).map(|door| door.visitor) else {
            return Err((Refusal::Unknown, format!("there is no door {door:?}")));
        };
        let Some(visitor) = self.visitors.find(ring) else {
            let text = format!("no visitor has rung as {ring} since the gateway started");
            return Err((Refusal::Unknown, text));
        };
        let serves = |panel: &PanelId| {
            let panel = self.params.panels.get(panel);
            panel.is_some_and(|panel| panel.doors.contains(door))
        };
        if serves(&visitor.panel) && visitor.floor && !self.floor_doors(&visitor.panel).contains(door) {
            let text =
                format!("the visitor rang at the apartment's own door, and door {door} is the panel's");
            return Err((Refusal::Forbidden, text));
        }
        if !serves(&visitor.panel) {
            let panel = &visitor.panel;
            let text = format!("the visitor rang at panel {panel}, which does not serve door {door}");
            return Err((Refusal::Forbidden, text));
        }
        let age = now.mono.since(visitor.at);
        if age > allowed {
            let (age, allowed) = (age.as_secs(), allowed.as_secs());
            let text = format!("the visitor rang {age} s ago, and may be let in for {allowed} s (visitor-s)");
            return Err((Refusal::Stale, text));
        }
        Ok(())
    }
}
