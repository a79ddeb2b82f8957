//! Calls to the door that are put through: whoever calls a gate from outside talks with its guard, who may open it.
//!
//! The panel's line has no part in it: whoever rings there meanwhile is served as ever. Whom the list names may open as in any call
//! of the door; the caller may not, whatever he types and whoever he is.

use std::time::Duration;

use gateway_call::{BridgePlan, BridgeRequest, CallRequest, Purpose, user_of};
use gateway_core::{LegId, LineId, ListId, PanelId, Peer, RingId};

use super::calls::{Call, Either, INCOMING_TALK};
use super::requests::talk_limit;
use super::{Now, Site};
use crate::params::PanelParams;

/// Nobody waits for longer until somebody answers.
const LONGEST: Duration = Duration::from_secs(600);
/// Targets of a list.
const TARGETS: u32 = 4;
/// Characters of a number that the guard is shown.
const SHOWN: usize = 40;

impl Site {
    /// Is somebody being put through at this panel? One at a time: whoever calls a gate again and again has its guards rung once.
    pub(super) fn is_bridging(&self, panel: &PanelId) -> bool {
        let mut calls = self.calls.values();
        calls.any(|call| call.is_bridged() && !call.is_over() && call.at_panel() == Some(panel))
    }

    /// Calls those of a list for somebody who calls a panel.
    pub(super) fn bridge(
        &mut self,
        now: Now,
        ring: RingId,
        (leg, panel): (LegId, &PanelId),
        (line, list): (&LineId, ListId),
        peer: Peer,
    ) {
        let doors = self.doors_of(panel);
        let limits = self.params.lists.get(&list).map(|list| {
            let round = list.ring * TARGETS + list.again;
            (list.talk_limit, (round * list.rounds).min(LONGEST))
        });
        let (limit, window) = limits.unwrap_or((None, Duration::ZERO));
        let name = self.params.panels.get(panel).map(|of| of.name.clone());
        let request = CallRequest {
            display: shown(&peer, &name.unwrap_or_default()),
            // nobody at the panel has a part in it
            early_media: false,
            purpose: Purpose::Bridge,
            ring_window: window,
            talk_limit: talk_limit(Some(limit.unwrap_or(INCOMING_TALK)), None),
            ..self.call_request(ring, panel, Some(list), line, &doors)
        };
        let request = BridgeRequest {
            leg,
            list: request,
            panel: panel.clone(),
            peer,
        };
        let plan = Either::Bridge(Box::new(BridgePlan::new(now.mono, request)));
        let call = Call {
            simulated: self.params.lines.get(line).is_some_and(|l| l.simulated),
            ..Call::new(now.mono, self.access.key_use(), line, doors, plan)
        };
        self.calls.insert(ring, call);
        self.run(now, ring);
    }
}

/// Every list that is called for a panel.
pub(super) fn lists_of(panel: &PanelParams) -> impl Iterator<Item = &ListId> {
    let buttons = panel.buttons.values().flat_map(|button| button.lists());
    buttons.chain(panel.callers.iter().filter_map(|caller| caller.action.list()))
}

/// What a guard is shown: the number as the network tells it, and where he calls.
fn shown(peer: &Peer, panel: &str) -> String {
    let number: String = user_of(peer.shown())
        .chars()
        .filter(|c| !c.is_control())
        .take(SHOWN)
        .collect();
    if number.is_empty() {
        panel.to_owned()
    } else {
        format!("{number}, {panel}")
    }
}
