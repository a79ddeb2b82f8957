//! The bell at an apartment's own door: a ring and a call of their own, whoever has the panel's line and whatever becomes of it.
//!
//! There is nothing to talk with at such a bell, so the call never gets the talk path: who answers hears nothing, and nobody
//! else's talk is disturbed.

use gateway_core::{Bell, ButtonId, DoorId, Event, LineId, PanelEvent, PanelId, Refusal, RingId};
use gateway_door::LockOwner;
use gateway_line::OpenWhen;

use super::calls::{Call, MAX_CALLS};
use super::presses::Pressed;
use super::requests::Began;
use super::{Now, Site};

impl Site {
    pub(super) fn is_floor_bell(&self, panel: &PanelId, button: &ButtonId) -> bool {
        let of = self.params.panels.get(panel);
        let button = of.and_then(|of| of.buttons.get(button));
        button.is_some_and(|button| button.bell == Some(Bell::Floor))
    }

    /// Somebody rings at the apartment's own door. A press within such a ring joins it.
    ///
    /// # Errors
    /// Why nobody is called; it is on record.
    pub(super) fn floor_rings(
        &mut self,
        now: Now,
        (panel, button): (&PanelId, &ButtonId),
        line: &LineId,
        simulated: bool,
    ) -> Result<Pressed, (Refusal, String)> {
        if self.stopping {
            self.ignored(now, panel, button, "fault", None, simulated);
            return Err(not_ready());
        }
        if let Some(ring) = self.floor_ring_of(panel) {
            self.pressed_again(now, (panel, button), ring, simulated);
            return Ok(Pressed::Joined(ring));
        }
        if let Some(done) = self.without_call(now, panel, button, simulated) {
            return done;
        }
        if self.is_quiet(now, panel, button) {
            let ring = self.unheard(now, (panel, button), "do-not-disturb", simulated);
            return Ok(Pressed::Ring(ring));
        }
        if self.calls.len() >= MAX_CALLS {
            self.ignored(now, panel, button, "fault", None, simulated);
            return Err(not_ready());
        }
        let ring = self.new_ring(now);
        self.visitor_came(now, (panel, button), ring);
        let event = PanelEvent::Ring {
            button: button.clone(),
        };
        self.record(now, Event::Panel(panel.clone(), event), Some(ring), simulated);
        self.begin_call(now, ring, (panel, button), line, (Began::Floor, simulated));
        Ok(Pressed::Ring(ring))
    }

    /// What may be opened for who rang at a floor bell. A lock of the panel's opens for whom the panel rings or talks with, and that is
    /// somebody else, unless its line opens at any time.
    pub(super) fn floor_doors(&self, panel: &PanelId) -> Vec<DoorId> {
        let line = self.params.panels.get(panel).map(|of| &of.line);
        let open_when = line
            .and_then(|line| self.params.lines.get(line))
            .map(|l| l.open_when);
        let at_any_time = open_when == Some(OpenWhen::Always);
        let is_panels = |door: &DoorId| {
            let of = self.params.doors.get(door);
            of.is_some_and(|of| of.owner == LockOwner::Panel)
        };
        let mut doors = self.doors_of(panel);
        doors.retain(|door| at_any_time || !is_panels(door));
        doors
    }

    fn floor_ring_of(&self, panel: &PanelId) -> Option<RingId> {
        let is_its = |call: &Call| call.is_floor() && !call.is_over() && call.panel() == Some(panel);
        let mut calls = self.calls.iter();
        calls.find(|(_, call)| is_its(call)).map(|(ring, _)| *ring)
    }
}

fn not_ready() -> (Refusal, String) {
    let text = "the gateway takes no call at this moment".to_owned();
    (Refusal::NotReady, text)
}
