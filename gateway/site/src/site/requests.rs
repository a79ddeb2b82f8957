//! Whom a call calls, how, and whom its doors listen to.

use std::collections::BTreeSet;
use std::time::Duration;

use gateway_call::{CallPlan, CallRequest, DigitPolicy, Handover, Purpose, Strategy, TalkLimit, Target};
use gateway_core::{AccountId, AlarmId, ButtonId, DoorId, LegId, LineId, ListId, PanelId, RingId};

use super::bridge::lists_of;
use super::calls::{Call, Either, MAX_HANDOVERS};
use super::{Now, Site};
use crate::params::{AlarmParams, Contact, LineParams, ListParams, PanelParams, TargetParams, Transfers};

/// Most rounds of a list.
const MAX_ROUNDS: u32 = 10;
/// A talk window from here on is none: the list's limit alone counts.
const NO_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Time between the tones of a permanent talk.
const TONE_EVERY: Duration = Duration::from_secs(60);
/// Talk limit of a call about an alarm whose list has none.
const ALARM_TALK: Duration = Duration::from_secs(180);

/// How an outgoing call began.
#[derive(Clone, Copy)]
pub(super) enum Began {
    /// Somebody had the panel call.
    Asked,
    /// Somebody rang at the apartment's own door.
    Floor,
    /// A visitor rang.
    Rang,
}

impl Site {
    /// Calls those of a button, and gives the line to the call unless it is about a floor bell.
    pub(super) fn begin_call(
        &mut self,
        now: Now,
        ring: RingId,
        (panel, button): (&PanelId, &ButtonId),
        line: &LineId,
        (began, simulated): (Began, bool),
    ) {
        let floor = matches!(began, Began::Floor);
        let doors = if floor {
            self.floor_doors(panel)
        } else {
            self.doors_of(panel)
        };
        let list = self.list_of(now, panel, button);
        let mut request = self.call_request(ring, panel, list, line, &doors);
        let (asked, rang) = match began {
            Began::Asked => (Some(panel.clone()), None),
            Began::Floor | Began::Rang => (None, Some(panel.clone())),
        };
        // whoever passes by does not wait for anybody, and is told who listens; at a floor bell nobody hears anything
        request.early_media &= rang.is_some() && !floor;
        request.look_in = asked.is_some();
        let plan = Either::Outgoing(Box::new(CallPlan::new(now.mono, request)));
        let call = Call {
            asked,
            floor,
            injected: simulated,
            muted: floor,
            panel: rang,
            simulated,
            ..Call::new(now.mono, self.access.key_use(), line, doors, plan)
        };
        if let Some(unit) = self.lines.get_mut(line).filter(|_| !floor) {
            unit.ring = Some(ring);
        }
        self.calls.insert(ring, call);
        self.run(now, ring);
    }

    /// Calls somebody about an alarm: `targets` of a list, in its order. The line says only by whose account.
    pub(super) fn call_about(
        &mut self,
        now: Now,
        alarm: &AlarmId,
        (params, list): (&AlarmParams, &ListParams),
        targets: &[TargetParams],
        injected: bool,
    ) -> Option<RingId> {
        let panel = self.params.panels.get(&params.panel)?;
        let line = panel.line.clone();
        let accounts = panel.accounts.clone();
        let ring = self.new_ring(now);
        let targets = self.targets(targets, &accounts, true);
        let request = CallRequest {
            digits: DigitPolicy {
                contacts: Vec::new(),
                mask: true,
            },
            display: params.name.clone(),
            early_media: false,
            // an alarm has rounds of its own
            further: Vec::new(),
            handover: Handover::default(),
            hang_up_after_open: false,
            line: line.clone(),
            look_in: false,
            pause: Duration::ZERO,
            purpose: Purpose::Alarm,
            ring,
            ring_time: list.ring,
            // each target rings for its time, and nobody at a panel waits for it
            ring_window: list.ring * 4,
            strategy: strategy(list),
            talk_limit: talk_limit(Some(list.talk_limit.unwrap_or(ALARM_TALK)), None),
            targets,
        };
        let plan = Either::Outgoing(Box::new(CallPlan::new(now.mono, request)));
        let call = Call {
            alarm: Some(alarm.clone()),
            injected,
            simulated: injected,
            ..Call::new(now.mono, self.access.key_use(), &line, Vec::new(), plan)
        };
        self.calls.insert(ring, call);
        Some(ring)
    }

    /// Targets as they are called. A name that nobody stands behind rings nobody; the driver says so as a fault.
    fn targets(&mut self, targets: &[TargetParams], accounts: &[AccountId], listed: bool) -> Vec<Target> {
        let mut all = Vec::new();
        for target in targets {
            let Some(meant) = self.meant(target) else {
                continue;
            };
            let mut through = match meant.account {
                Some(own) => vec![own],
                None if meant.direct => Vec::new(),
                None => accounts.to_vec(),
            }
            .into_iter();
            let account = through.next();
            all.push(Target {
                account,
                backups: through.map(|backup| (backup, self.new_leg())).collect(),
                address: meant.address,
                barred: !meant.vouched,
                confirm: target.confirm,
                leg: self.new_leg(),
                listed: listed && meant.vouched,
                manner: target.manner.clone(),
                name: target.name.clone().or_else(|| target.contact.clone()),
            });
        }
        all
    }

    pub(super) fn call_request(
        &mut self,
        ring: RingId,
        panel: &PanelId,
        list: Option<ListId>,
        line: &LineId,
        doors: &[DoorId],
    ) -> CallRequest {
        let panel = self.params.panels.get(panel).cloned();
        let list = list.and_then(|list| self.params.lists.get(&list)).cloned();
        let window = self
            .params
            .lines
            .get(line)
            .map_or(Duration::ZERO, |l| l.ring_window);
        let door = |id: &DoorId| self.params.doors.get(id);
        let listed = doors.iter().filter_map(door).any(|d| d.digits_by_list);
        let lists: Vec<_> = list.iter().collect();
        let contacts = self.heard(doors, &lists).into_iter().collect();
        let accounts = panel.as_ref().map(|p| p.accounts.clone()).unwrap_or_default();
        let all = list.as_ref().map(|l| l.targets.clone()).unwrap_or_default();
        let targets = self.targets(&all, &accounts, listed);
        let rounds = list.as_ref().map_or(1, |l| l.rounds).min(MAX_ROUNDS);
        let further = (1..rounds).map(|_| self.targets(&all, &accounts, listed));
        let further = further.collect();
        let (order, ring_time, hang_up, limit) = match &list {
            Some(list) => (
                strategy(list),
                list.ring,
                list.hang_up_after_open,
                list.talk_limit,
            ),
            None => (Strategy::Sequential, Duration::ZERO, false, None),
        };
        CallRequest {
            digits: self.digit_policy(contacts),
            handover: Handover {
                spare: (0..MAX_HANDOVERS).map(|_| self.new_leg()).collect(),
                ..self.handover(panel.as_ref())
            },
            early_media: panel.as_ref().is_some_and(|p| p.early_media),
            display: panel.map(|p| p.name).unwrap_or_default(),
            further,
            hang_up_after_open: hang_up,
            line: line.clone(),
            look_in: false,
            pause: list.as_ref().map_or(Duration::ZERO, |l| l.again),
            purpose: Purpose::Visitor,
            ring,
            ring_time,
            ring_window: window,
            strategy: order,
            talk_limit: talk_limit(limit, self.params.lines.get(line)),
            targets,
        }
    }

    /// To whom a call of a panel may be handed: with `listed` to those in any list of it. Not to who has to confirm that he
    /// takes a call, nor to who may only call and open, which he may at some times only. Without legs for them.
    pub(super) fn handover(&self, panel: Option<&PanelParams>) -> Handover {
        let Some(panel) = panel.filter(|panel| panel.transfers != Transfers::Refuse) else {
            return Handover::default();
        };
        let targets = lists_of(panel)
            .filter_map(|list| self.params.lists.get(list))
            .flat_map(|l| &l.targets);
        let (asked, free): (Vec<_>, Vec<_>) = targets.partition(|target| target.confirm.is_some());
        let addresses = |targets: &[&TargetParams]| -> BTreeSet<String> {
            let meant = targets.iter().filter_map(|target| self.meant(target));
            meant
                .filter(|meant| meant.vouched)
                .map(|meant| meant.address)
                .collect()
        };
        let asked = addresses(&asked);
        let known: BTreeSet<String> = addresses(&free).difference(&asked).cloned().collect();
        Handover {
            any: panel.transfers == Transfers::Any,
            known: self.spelled(known).into_iter().collect(),
            spare: Vec::new(),
        }
    }

    pub(super) fn digit_policy(&self, contacts: Vec<String>) -> DigitPolicy {
        let mask = self
            .params
            .codes
            .values()
            .any(|c| c.from_call && c.digits.len() > 1);
        // codes and PINs of people stand nowhere in clear
        let mask = mask || !self.access.directory().is_empty();
        DigitPolicy { contacts, mask }
    }

    /// Addresses of those who may open a door of this panel by digits, whichever of its lists they are called by.
    pub(super) fn may_open_by_digits(&self, panel: &PanelId) -> BTreeSet<String> {
        let Some(panel) = self.params.panels.get(panel) else {
            return BTreeSet::new();
        };
        let lists: Vec<_> = lists_of(panel)
            .filter_map(|list| self.params.lists.get(list))
            .collect();
        self.heard(&panel.doors, &lists)
    }

    /// Addresses whose digits doors listen to: their callers and, where they listen to lists, whoever these call.
    fn heard(&self, doors: &[DoorId], lists: &[&ListParams]) -> BTreeSet<String> {
        let doors: Vec<_> = doors.iter().filter_map(|id| self.params.doors.get(id)).collect();
        let callers = doors.iter().flat_map(|door| &door.callers);
        let mut heard: BTreeSet<String> = callers.map(|caller| caller.address.clone()).collect();
        if doors.iter().any(|door| door.digits_by_list) {
            let targets = lists.iter().flat_map(|list| &list.targets);
            let meant = targets.filter_map(|target| self.meant(target));
            heard.extend(meant.filter(|meant| meant.vouched).map(|meant| meant.address));
        }
        self.spelled(heard)
    }

    /// Addresses in every way in which the network may write them.
    fn spelled(&self, addresses: BTreeSet<String>) -> BTreeSet<String> {
        match self.params.numbers {
            None => addresses,
            Some(plan) => addresses
                .iter()
                .flat_map(|address| plan.spellings(address))
                .collect(),
        }
    }

    /// Whom a target means at this moment: himself, or who stands under its name.
    pub(super) fn meant(&self, target: &TargetParams) -> Option<Contact> {
        let Some(name) = &target.contact else {
            return Some(Contact {
                account: target.account.clone(),
                address: target.address.clone(),
                direct: target.direct,
                vouched: true,
            });
        };
        let found = self.contacts.get(name)?.clone();
        let account = if found.direct {
            None
        } else {
            target.account.clone().or(found.account)
        };
        Some(Contact { account, ..found })
    }

    /// Does anybody stand behind a target at this moment?
    pub(super) fn is_known(&self, target: &TargetParams) -> bool {
        self.meant(target).is_some()
    }

    /// Counts from 1; the driver counts calls that come in from far above. A number that is taken all the same is
    /// passed over: two legs of one number would share their digits.
    pub(super) fn new_leg(&mut self) -> LegId {
        loop {
            self.next_leg += 1;
            let leg = LegId(self.next_leg);
            if !self.calls.values().any(|call| call.has_leg(leg)) {
                return leg;
            }
        }
    }
}

const fn strategy(list: &ListParams) -> Strategy {
    if list.parallel {
        Strategy::Parallel
    } else {
        Strategy::Sequential
    }
}

/// The shorter of the list's limit and the panel's window.
pub(super) fn talk_limit(limit: Option<Duration>, line: Option<&LineParams>) -> TalkLimit {
    let window = line.map_or(NO_WINDOW, |l| l.talk_window);
    let window = (window < NO_WINDOW && !window.is_zero()).then_some(window);
    match (limit, window) {
        (Some(limit), Some(window)) => TalkLimit::After(limit.min(window)),
        (Some(one), None) | (None, Some(one)) => TalkLimit::After(one),
        (None, None) => TalkLimit::Permanent {
            tone_every: TONE_EVERY,
        },
    }
}
