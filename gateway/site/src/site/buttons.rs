//! What a button does at the time at which it is pressed: it calls a list, opens, or says no.

use gateway_access::{InForce, Request};
use gateway_core::{Bell, ButtonId, DoorId, Event, Factor, ListId, PanelEvent, PanelId, Refusal};

use super::presses::Pressed;
use super::{Now, Site};
use crate::params::{ButtonMode, ButtonParams, PanelParams};

/// What a press means.
enum Meaning {
    /// It calls a list.
    Calls,
    /// It calls nobody and opens nothing.
    Forbidden,
    /// It opens a door for whoever presses.
    Opens(DoorId),
}

/// The door that a button opens by day, if it opens one.
pub(crate) fn opened_by<'a>(panel: &'a PanelParams, button: &'a ButtonParams) -> Option<&'a DoorId> {
    if button.mode != ButtonMode::StrikeList {
        return None;
    }
    door_of(panel, button)
}

/// The door that a button opens if it is to open one: the one it names, or the first of its panel. Whoever stands at the
/// door of an apartment is inside already.
pub(crate) fn door_of<'a>(panel: &'a PanelParams, button: &'a ButtonParams) -> Option<&'a DoorId> {
    if button.bell == Some(Bell::Floor) {
        return None;
    }
    let door = button.opens.as_ref().or(panel.doors.first());
    door.filter(|door| panel.doors.contains(door))
}

impl Site {
    /// Is it day for a button? By a clock that is not believed it is night.
    fn is_day(&self, now: Now, button: &ButtonParams) -> bool {
        self.params.schedules.look(&button.day, self.context(now).wall) == InForce::Yes
    }

    /// Is it day for a button of a panel?
    pub(super) fn is_day_for(&self, now: Now, panel: &PanelId, button: &ButtonId) -> bool {
        let button = self
            .params
            .panels
            .get(panel)
            .and_then(|of| of.buttons.get(button));
        button.is_some_and(|button| self.is_day(now, button))
    }

    fn meaning(&self, now: Now, panel: &PanelId, button: &ButtonId) -> Meaning {
        let of = self.params.panels.get(panel);
        let Some((of, button)) = of.and_then(|p| Some((p, p.buttons.get(button)?))) else {
            return Meaning::Calls;
        };
        match (button.mode, self.is_day(now, button)) {
            (ButtonMode::ListForbidden, false) => Meaning::Forbidden,
            (ButtonMode::ListForbidden | ButtonMode::ListList, _) | (ButtonMode::StrikeList, false) => {
                Meaning::Calls
            }
            (ButtonMode::StrikeList, true) => match opened_by(of, button) {
                Some(door) => Meaning::Opens(door.clone()),
                None => Meaning::Calls,
            },
        }
    }

    /// The list that a button calls at this time.
    pub(super) fn list_of(&self, now: Now, panel: &PanelId, button: &ButtonId) -> Option<ListId> {
        let button = self.params.panels.get(panel)?.buttons.get(button)?;
        let night = button.night.as_ref().filter(|_| !self.is_day(now, button));
        Some(night.unwrap_or(&button.list).clone())
    }

    /// What a press comes to without a call; `None` if it calls, be it because the door was not to be opened: somebody
    /// stands there all the same.
    pub(super) fn without_call(
        &mut self,
        now: Now,
        panel: &PanelId,
        button: &ButtonId,
        simulated: bool,
    ) -> Option<Result<Pressed, (Refusal, String)>> {
        let asked = self.opens_by_command(now, panel, button);
        if let Some(door) = asked.clone()
            && let Some(opened) = self.press_opens(now, panel, button, door, simulated)
        {
            return Some(Ok(opened));
        }
        match self.meaning(now, panel, button) {
            Meaning::Calls => None,
            Meaning::Forbidden => {
                self.ignored(now, panel, button, "forbidden", None, simulated);
                let text = "the button calls nobody at this time".to_owned();
                Some(Err((Refusal::Forbidden, text)))
            }
            // refused a moment ago
            Meaning::Opens(door) if asked.as_ref() == Some(&door) => None,
            Meaning::Opens(door) => self.press_opens(now, panel, button, door, simulated).map(Ok),
        }
    }

    /// The door that a command wants opened for whoever presses this.
    fn opens_by_command(&self, now: Now, panel: &PanelId, button: &ButtonId) -> Option<DoorId> {
        let of = self
            .params
            .panels
            .get(panel)
            .filter(|_| self.rings_open(now, panel))?;
        door_of(of, of.buttons.get(button)?).cloned()
    }

    /// Whoever presses by a command stands at no door, and may not have the right to open: where a press would open instead of calling,
    /// it is refused. Whoever is at the machine tries the house out.
    pub(super) fn opens_nothing(
        &self,
        now: Now,
        panel: &PanelId,
        button: &ButtonId,
        factor: Factor,
    ) -> Result<(), (Refusal, String)> {
        let door = self
            .opens_by_command(now, panel, button)
            .or(match self.meaning(now, panel, button) {
                Meaning::Opens(door) => Some(door),
                Meaning::Calls | Meaning::Forbidden => None,
            });
        match door.filter(|_| factor != Factor::Local) {
            None => Ok(()),
            Some(door) => {
                let text = format!(
                    "at this time this button opens {door} instead of calling; to open it, say \"open\""
                );
                Err((Refusal::Forbidden, text))
            }
        }
    }

    /// Lets in whoever presses; `None` if the door was not to be opened.
    fn press_opens(
        &mut self,
        now: Now,
        panel: &PanelId,
        button: &ButtonId,
        door: DoorId,
        simulated: bool,
    ) -> Option<Pressed> {
        let ring = self.new_ring(now);
        let request = Request::Button {
            button: button.clone(),
            door,
            panel: panel.clone(),
            ring: Some(ring),
        };
        self.open(now, request, simulated).ok()?;
        self.visitor_came(now, (panel, button), ring);
        let rings = PanelEvent::Ring {
            button: button.clone(),
        };
        let outcome = "opened".to_owned();
        for event in [rings, PanelEvent::RingEnded { outcome }] {
            self.record(now, Event::Panel(panel.clone(), event), Some(ring), simulated);
        }
        Some(Pressed::Ring(ring))
    }
}
