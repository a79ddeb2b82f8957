//! The lock sense: a wire across the strike of a lock that the panel owns and opens, for the gateway or for others.

use std::time::Duration;

use gateway_core::{DoorEvent, Edge, Instant, LockState};

use super::Door;
use crate::params::LockOwner;

/// How long after a press of its button the panel may take to open. For so long its lock opens for us, and then it has not
/// opened.
pub(super) const FOLLOW: Duration = Duration::from_secs(2);

/// What is known of the panel's lock.
#[derive(Debug, Default)]
pub(super) struct Sense {
    /// Who told last that the panel opened, and until when another way of telling means the same opening.
    by_panel: Option<(Told, Instant)>,
    /// The standing fault of the door is one of the sense.
    faulty: bool,
    /// Is the lock open? `None` if nobody reads it.
    open: Option<bool>,
    press: Option<Press>,
}

/// How it was heard that the panel opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Sense,
    Tone,
}

/// A press of the panel's button by us.
#[derive(Debug)]
struct Press {
    /// Until when it may open the lock; `None` while the button is held.
    until: Option<Instant>,
    followed: bool,
}

impl Sense {
    /// The button of the panel is pressed.
    pub(super) fn pressed(&mut self) {
        let (until, followed) = (None, self.open != Some(false));
        self.press = Some(Press { until, followed });
    }

    /// The button of the panel is let go.
    pub(super) fn let_go(&mut self, now: Instant) {
        if let Some(press) = &mut self.press {
            press.until = Some(now + FOLLOW);
        }
    }

    /// The button of the panel may have been pressed for a moment: nobody knows, so that no opening is missed.
    pub(super) fn may_be_pressed(&mut self, now: Instant) {
        let (until, followed) = (Some(now + FOLLOW), true);
        self.press.get_or_insert(Press { until, followed });
    }

    pub(super) fn is_faulty(&self) -> bool {
        self.faulty
    }

    pub(super) fn forget_fault(&mut self) {
        self.faulty = false;
    }

    pub(super) fn forget_press(&mut self) {
        self.press = None;
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.press.as_ref().and_then(|press| press.until)
    }

    pub(super) fn lock(&self) -> LockState {
        match self.open {
            None => LockState::Unknown,
            Some(false) => LockState::Locked,
            Some(true) => LockState::Unlocked,
        }
    }
}

impl Door {
    pub(super) fn on_lock_sense(&mut self, now: Instant, edge: Edge) {
        if self.params.owner != LockOwner::Panel {
            return;
        }
        let before = self.sense.open.replace(edge.active);
        if std::mem::take(&mut self.sense.faulty) {
            self.fault = None;
        }
        if !edge.active {
            return;
        }
        let ours = self.pulse.is_some() || self.sense.press.is_some();
        if let Some(press) = &mut self.sense.press {
            press.followed = true;
        }
        // Open at the first reading is a state: nobody knows since when, and by whom.
        if before == Some(false) && !edge.initial && !ours {
            self.opened_by_panel(now, Told::Sense);
        }
    }

    pub(super) fn on_lock_sense_stuck(&mut self) {
        if self.params.owner == LockOwner::Panel && self.sense.open == Some(true) {
            let text = "the lock sense has been active for ten minutes: the lock stands open, its coil may burn, or the wire of \
                        the sense is shorted; look at the panel and at the lock";
            self.lock_fault(text.to_owned());
            self.sense.faulty = true;
        }
    }

    /// What was pressed meanwhile cannot be judged.
    pub(super) fn on_lock_sense_unread(&mut self) {
        self.sense.open = None;
        if let Some(press) = &mut self.sense.press {
            press.followed = true;
        }
        if std::mem::take(&mut self.sense.faulty) {
            self.fault = None;
        }
    }

    /// The panel opened for somebody else. A line whose tones tell it and a lock whose sense tells it tell of one opening.
    pub(super) fn opened_by_panel(&mut self, now: Instant, told: Told) {
        self.shunt(now);
        let last = self.sense.by_panel;
        if last.is_some_and(|(before, until)| before != told && now < until) {
            return;
        }
        self.sense.by_panel = Some((told, now + self.params.shunt));
        self.event(DoorEvent::OpenedByPanel {});
    }

    /// The time is over in which the panel might have opened for us.
    pub(super) fn judge_press(&mut self, now: Instant) {
        if self.sense.due().is_none_or(|due| now < due) {
            return;
        }
        let press = self.sense.press.take();
        if press.is_some_and(|press| !press.followed) {
            let output = &self.params.output;
            let text = format!(
                "output {output} pressed the panel's button, and its lock did not open; look at the panel, its button's wires, and the \
                 lock sense"
            );
            self.lock_fault(text);
            self.sense.faulty = true;
        }
    }
}
