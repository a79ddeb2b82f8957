//! Calls that somebody has the door make, without anybody ringing: those of a button are called, and whoever answers talks with
//! the panel.
//!
//! It is no ring: there is no visitor, no bell and no event of the panel, and it opens nothing. The line stays the panel's until
//! somebody answers, so that whoever rings meanwhile goes before it, and so does a handset that is lifted. What the one who
//! answers may is what he may in any call of that button.

use gateway_core::{ButtonId, CallEvent, Cause, Event, LineId, LineState, PanelId, Refusal, RingId, Subject};
use gateway_line::{CallIn, SeizeRefused};

use super::calls::MAX_CALLS;
use super::requests::Began;
use super::{Now, Site};
use crate::params::{ButtonMode, PanelParams};

/// Names of so many buttons are told to who named none.
const NAMED: usize = 8;

impl Site {
    /// Can the line of this panel be spoken on though nobody rings there?
    pub(super) fn is_callable(&self, panel: &PanelId) -> bool {
        let line = self.params.panels.get(panel).map(|of| &of.line);
        let line = line.and_then(|line| self.params.lines.get(line));
        line.is_some_and(|line| line.call_in == CallIn::SelfStart) || self.is_virtual_panel(panel)
    }

    /// Calls those of a button, because somebody asked for it.
    pub(super) fn command_call(
        &mut self,
        now: Now,
        panel: &PanelId,
        button: Option<ButtonId>,
        subject: Subject,
    ) -> Result<RingId, (Refusal, String)> {
        let Some(of) = self.params.panels.get(panel) else {
            return Err((Refusal::Unknown, format!("there is no panel {panel:?}")));
        };
        let (line, button) = (of.line.clone(), meant(panel, of, button)?);
        if !self.is_callable(panel) {
            let text = format!(
                "panel {panel} is heard only when somebody rings there; if its line can be spoken on at any time, say so: \
                 call-in = \"self-start\" in [lines.{line}]"
            );
            return Err((Refusal::NoCall, text));
        }
        let night = of.buttons.get(&button).map(|of| of.mode) == Some(ButtonMode::ListForbidden);
        if night && !self.is_day_for(now, panel, &button) {
            let text = format!("button {button} of panel {panel} calls nobody at this time");
            return Err((Refusal::Forbidden, text));
        }
        if self.is_quiet(now, panel, &button) {
            let text = format!("panel {panel} calls nobody at this time: do-not-disturb; end it first");
            return Err((Refusal::Forbidden, text));
        }
        if self.calls.len() >= MAX_CALLS {
            let text = "the gateway takes no call at this moment".to_owned();
            return Err((Refusal::NotReady, text));
        }
        self.yield_prompt(now, &line, "the door calls somebody");
        let busy = || (Refusal::LineBusy, SeizeRefused::LineBusy.to_string());
        let Some(unit) = self.lines.get(&line) else {
            return Err((Refusal::Unknown, format!("there is no line {line:?}")));
        };
        match unit.line.state() {
            LineState::Idle if unit.ring.is_none() => {}
            LineState::Fault => return Err((Refusal::Fault, SeizeRefused::Fault.to_string())),
            LineState::BusyOther
            | LineState::Handset
            | LineState::Idle
            | LineState::Ours
            | LineState::Ringing => return Err(busy()),
        }
        let simulated = self.params.lines.get(&line).is_some_and(|line| line.simulated);
        let ring = self.new_ring(now);
        let asked = CallEvent::Asked {
            button: button.clone(),
            panel: panel.clone(),
            subject,
        };
        self.record(now, Event::Call(asked), Some(ring), simulated);
        self.begin_call(now, ring, (panel, &button), &line, (Began::Asked, simulated));
        Ok(ring)
    }

    /// The line is somebody else's from here on: a call that nobody rang for, and that nobody has answered, ends.
    pub(super) fn asked_gives_way(&mut self, now: Now, line: &LineId, state: LineState) {
        let cause = match state {
            LineState::Idle | LineState::Ours => return,
            LineState::Handset => Cause::AnsweredElsewhere,
            LineState::BusyOther | LineState::Fault | LineState::Ringing => Cause::Released,
        };
        let ring = self.lines.get(line).and_then(|unit| unit.ring);
        let asked = ring
            .and_then(|ring| self.calls.get(&ring))
            .is_some_and(|call| call.is_asked() && !call.is_talking());
        let Some(ring) = ring.filter(|_| asked) else {
            return;
        };
        if let Some(unit) = self.lines.get_mut(line) {
            // its end gives nothing back: it never had the line
            unit.ring = None;
        }
        self.cancel(now, ring, cause);
    }
}

/// The button that is named, or the only one.
fn meant(panel: &PanelId, of: &PanelParams, button: Option<ButtonId>) -> Result<ButtonId, (Refusal, String)> {
    if let Some(button) = button {
        if of.buttons.contains_key(&button) {
            return Ok(button);
        }
        let text = format!("there is no button {button:?} at panel {panel:?}");
        return Err((Refusal::Unknown, text));
    }
    let mut buttons = of.buttons.keys();
    match (buttons.next(), buttons.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err((
            Refusal::Unknown,
            format!("panel {panel} has no button, and calls nobody"),
        )),
        (Some(_), Some(_)) => {
            let mut names: Vec<&str> = of.buttons.keys().take(NAMED).map(ButtonId::as_str).collect();
            if of.buttons.len() > NAMED {
                names.push("…");
            }
            let text = format!(
                "panel {panel} has several buttons; name the one to call for: {}",
                names.join(", ")
            );
            Err((Refusal::Malformed, text))
        }
    }
}
