//! What a faulty panel line means for the calls that come in: they are refused, or its account is not registered.

use std::collections::BTreeMap;

use gateway_core::{AccountId, LineId, LineState, PanelId, Standing};

use super::Site;
use crate::io::Output;
use crate::params::{OnLineFault, PanelParams};

impl Site {
    /// Is a panel's line faulty, in a way that it does not keep to itself?
    pub(super) fn is_out_of_order(&self, panel: &PanelId) -> bool {
        let panel = self.params.panels.get(panel);
        panel.is_some_and(|panel| panel.on_line_fault != OnLineFault::Stay && self.is_faulty(&panel.line))
    }

    fn is_faulty(&self, line: &LineId) -> bool {
        let unit = self.lines.get(line);
        unit.is_some_and(|unit| unit.line.state() == LineState::Fault)
    }

    /// Says what became of accounts. One that several panels share is well as long as one of them is.
    pub(super) fn look_at_standings(&mut self) {
        let mut all: BTreeMap<AccountId, Standing> = BTreeMap::new();
        for id in self.params.accounts.keys() {
            let panels: Vec<&PanelParams> = self
                .params
                .panels
                .values()
                .filter(|panel| panel.accounts.contains(id))
                .collect();
            let all_are = |on: &[OnLineFault]| {
                let out = |p: &&PanelParams| on.contains(&p.on_line_fault) && self.is_faulty(&p.line);
                !panels.is_empty() && panels.iter().all(out)
            };
            let standing = Standing {
                away: all_are(&[OnLineFault::Unregister]),
                fault: all_are(&[OnLineFault::Reject, OnLineFault::Unregister]),
            };
            if standing != Standing::default() {
                all.insert(id.clone(), standing);
            }
        }
        if all == self.standings {
            return;
        }
        let mended = self.standings.keys().filter(|id| !all.contains_key(id));
        let mended: Vec<AccountId> = mended.cloned().collect();
        for id in mended {
            self.out.push_back(Output::Standing(id, Standing::default()));
        }
        for (id, standing) in &all {
            if self.standings.get(id) != Some(standing) {
                self.out.push_back(Output::Standing(id.clone(), *standing));
            }
        }
        self.standings = all;
    }
}
