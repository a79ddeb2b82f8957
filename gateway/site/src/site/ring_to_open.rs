//! Ring-to-open: for a time that a command asks for, who rings at a panel is let in.
//!
//! Each opening is a decision of its own ([`Request::Button`](gateway_access::Request::Button)), so that lockdowns,
//! interlocks and two persons hold. It is kept nowhere: a restart ends it, and says so if the end before could not. A lockdown of one of its doors ends it too, and
//! so does another file that does not allow it as it is; neither lets it come back by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_core::{DoorId, Event, Instant, PanelEvent, PanelId, Refusal, RingToOpenView, Subject};

use super::buttons::door_of;
use super::{Now, Site};

/// One panel whose rings open.
pub(super) struct RingOpens {
    /// What its buttons opened as it began; the command was about these.
    doors: BTreeSet<DoorId>,
    view: RingToOpenView,
}

/// All of them.
pub(super) type RingsOpen = BTreeMap<PanelId, RingOpens>;

impl Site {
    pub(super) fn command_ring_to_open(
        &mut self,
        now: Now,
        panel: PanelId,
        time: Duration,
        subject: Subject,
    ) -> Result<(), (Refusal, String)> {
        let Some(params) = self.params.panels.get(&panel) else {
            return Err((Refusal::Unknown, format!("there is no panel {panel:?}")));
        };
        let Some(limit) = params.ring_to_open else {
            let text = format!("no command may let in who rings at {panel}; ring-to-open-limit-s would");
            return Err((Refusal::Forbidden, text));
        };
        if time > limit {
            let (asked, limit) = (time.as_secs(), limit.as_secs());
            let text =
                format!("{asked} s are too long; who rings at {panel} is let in for at most {limit} s");
            return Err((Refusal::Forbidden, text));
        }
        let doors = self.doors_rung_at(&panel);
        if doors.is_empty() {
            return Err((Refusal::Forbidden, format!("no button of {panel} opens a door")));
        }
        if let Some(door) = doors.iter().find(|door| self.access.lockdown_of(door).is_some()) {
            return Err((Refusal::Lockdown, format!("door {door} is locked down")));
        }
        let view = RingToOpenView {
            date: now.wall.checked_add(time).unwrap_or(now.wall),
            until: now.mono + time,
        };
        self.access.set_ring_to_open(panel.clone(), Some(view.until));
        self.rings_open.insert(panel.clone(), RingOpens { doors, view });
        let limit_s = time.as_secs();
        let event = PanelEvent::RingToOpenBegan { limit_s, subject };
        self.record(now, Event::Panel(panel, event), None, false);
        Ok(())
    }

    pub(super) fn command_end_ring_to_open(
        &mut self,
        now: Now,
        panel: PanelId,
    ) -> Result<(), (Refusal, String)> {
        if !self.rings_open.contains_key(&panel) {
            return Err((Refusal::Unknown, format!("no ring at {panel} opens by a command")));
        }
        self.end_ring_to_open(now, panel, "command");
        Ok(())
    }

    /// Is who rings there let in?
    pub(super) fn rings_open(&self, now: Now, panel: &PanelId) -> bool {
        let opens = self.rings_open.get(panel);
        opens.is_some_and(|opens| now.mono < opens.view.until)
    }

    /// What another file does not allow as it is ends.
    pub(super) fn configure_ring_to_open(&mut self, now: Now) {
        let over = |site: &Self, panel: &PanelId, opens: &RingOpens| {
            let limit = site.params.panels.get(panel).and_then(|of| of.ring_to_open);
            limit.is_none_or(|limit| opens.view.until.since(now.mono) > limit)
                || site.doors_rung_at(panel) != opens.doors
        };
        let all = self.rings_open.iter();
        let ended = all.filter(|(panel, opens)| over(self, panel, opens));
        let ended: Vec<PanelId> = ended.map(|(panel, _)| panel.clone()).collect();
        for panel in ended {
            self.end_ring_to_open(now, panel, "config");
        }
        self.end_ring_to_open_locked(now);
    }

    /// A lockdown ends it.
    pub(super) fn end_ring_to_open_locked(&mut self, now: Now) {
        let locked = |opens: &RingOpens| {
            let mut doors = opens.doors.iter();
            doors.any(|door| self.access.lockdown_of(door).is_some())
        };
        let ended = self.rings_open.iter().filter(|(_, opens)| locked(opens));
        let ended: Vec<PanelId> = ended.map(|(panel, _)| panel.clone()).collect();
        for panel in ended {
            self.end_ring_to_open(now, panel, "lockdown");
        }
    }

    /// The gateway stops: it ends, and the records say so.
    pub(super) fn stop_ring_to_open(&mut self, now: Now) {
        let all: Vec<PanelId> = self.rings_open.keys().cloned().collect();
        for panel in all {
            self.end_ring_to_open(now, panel, "stop");
        }
    }

    pub(super) fn ring_to_open_due(&mut self, now: Now) {
        let due = self.rings_open.iter();
        let due = due.filter(|(_, opens)| now.mono >= opens.view.until);
        let due: Vec<PanelId> = due.map(|(panel, _)| panel.clone()).collect();
        for panel in due {
            self.end_ring_to_open(now, panel, "time");
        }
    }

    pub(super) fn ring_to_open_due_at(&self) -> Option<Instant> {
        self.rings_open.values().map(|opens| opens.view.until).min()
    }

    pub(super) fn ring_to_open_view(&self, panel: &PanelId) -> Option<RingToOpenView> {
        self.rings_open.get(panel).map(|opens| opens.view)
    }

    /// For how long a command may let in who rings there.
    pub(super) fn ring_to_open_limit(&self, panel: &PanelId) -> Option<Duration> {
        let limit = self.params.panels.get(panel)?.ring_to_open;
        limit.filter(|_| !self.doors_rung_at(panel).is_empty())
    }

    fn end_ring_to_open(&mut self, now: Now, panel: PanelId, why: &str) {
        self.access.set_ring_to_open(panel.clone(), None);
        if self.rings_open.remove(&panel).is_some() {
            let event = PanelEvent::RingToOpenEnded { why: why.to_owned() };
            self.record(now, Event::Panel(panel, event), None, false);
        }
    }

    /// The doors that its buttons open by a command, as far as anything opens them.
    fn doors_rung_at(&self, panel: &PanelId) -> BTreeSet<DoorId> {
        let Some(of) = self.params.panels.get(panel) else {
            return BTreeSet::new();
        };
        let doors = of.buttons.values().filter_map(|button| door_of(of, button));
        let has_output = |door: &&DoorId| self.params.doors.get(*door).is_some_and(|d| d.output.is_some());
        doors.filter(has_output).cloned().collect()
    }
}
