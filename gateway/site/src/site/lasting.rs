//! What began on record and is ended by a reading only: a fire input or an input of rules that is active, a button that is
//! stuck, a network that is lost. An earlier life may have begun it; the first reading of this one tells what is otherwise.

use std::collections::BTreeSet;

use gateway_core::{ButtonId, Instant, Lasting, PanelId, Timestamp};

use super::{Now, Site};

impl Site {
    /// What the records of an earlier life say. Give it before [`Input::Ready`](crate::Input::Ready), and before anything is
    /// read. It opens nothing, and no rule hears of it.
    pub fn restore_lasting(&mut self, lasting: Lasting, now: Instant, wall: Timestamp) {
        let now = Now { mono: now, wall };
        if lasting.fire {
            self.fire.level = true;
            if self.params.fire_input.is_none() {
                // the file names none any more, so that none is active
                self.fire_level(now, false, false);
            }
        }
        self.network_lost = lasting.network_lost;
        let inputs = lasting.inputs.into_iter();
        self.active_on_record = inputs
            .filter(|input| self.params.inputs.contains_key(input))
            .collect();
        for (panel, button) in lasting.stuck {
            let panel = self.params.panels.get(&panel);
            let button = panel.and_then(|panel| panel.buttons.get(&button));
            if let Some(input) = button.and_then(|button| button.input.as_ref()) {
                self.levels.restore_stuck(input);
            }
        }
    }

    /// For the live picture, by which it is kept across restarts.
    pub(super) fn lasting(&self) -> Lasting {
        Lasting {
            fire: self.fire.level,
            inputs: self.active_on_record.clone(),
            network_lost: self.network_lost,
            stuck: self.stuck_buttons(),
        }
    }

    /// Buttons that are held for too long.
    pub(super) fn stuck_buttons(&self) -> BTreeSet<(PanelId, ButtonId)> {
        let mut stuck = BTreeSet::new();
        for (panel, params) in &self.params.panels {
            for (button, params) in &params.buttons {
                let input = params.input.as_ref();
                if input.is_some_and(|input| self.levels.is_stuck(input)) {
                    stuck.insert((panel.clone(), button.clone()));
                }
            }
        }
        stuck
    }
}
