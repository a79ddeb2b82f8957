//! What a crash cut off: doors that were held open, locks and relays that were on, rings that were let in, rings and calls. None
//! of it goes on after a restart, and the records say so.
//!
//! When it ended nobody saw: after the last record of the gateway before, and before the one that tells of it, with why
//! `restart`. An output is let go by its guard within a second of its gateway's death.
//!
//! What stands whatever becomes of the gateway is not ended but remembered: a door that was forced, or stood open, a tamper
//! contact, the fire input and inputs of rules, a button that is stuck, and a network that is lost. The first reading tells
//! what is otherwise.
//!
//! What may last for long is kept as it begins, by the live picture; what begins in the moment before a crash, and each pulse,
//! is told by the last events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_core::{
    ContactState, DoorId, Envelope, Lasting, LineState, LockState, PanelView, Record, Seq, SiteView,
    Timestamp,
};
use gateway_site::Told;
use gateway_store::{PutError, Query, Store, Ticket};
use tokio::sync::watch;

use self::what::{KINDS, What};
use super::APART;

mod what;

/// Kind of the entries of what is on among the journal's records, by `call:RING`, `hold:NAME`, `lock:NAME`, `relay:NAME`,
/// `ring:RING:PANEL`, `ring-to-open:NAME`, and `fire:input`, `forced:NAME`, `held-open:NAME`, `input:NAME`, `line:NAME`,
/// `network:lost`, `open:NAME`, `stuck:PANEL:BUTTON`, `tamper:NAME`.
pub(crate) const ON: &str = "on";
/// How something stood when the gateway before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stood {
    /// The event after which it was so.
    after: u64,
    is_on: bool,
    simulated: bool,
}

/// What is on by the live picture, of all that may last, and whether it is simulated. `None` of what the picture does not know.
fn on(view: &SiteView) -> BTreeMap<What, Option<bool>> {
    let mut all = BTreeMap::new();
    for door in &view.doors {
        let mut is_so = |what: fn(DoorId) -> What, so: bool| {
            if so {
                all.insert(what(door.id.clone()), Some(door.simulated));
            }
        };
        is_so(What::Hold, door.hold.is_some());
        is_so(What::Forced, door.forced);
        is_so(What::HeldOpen, door.held_open);
        is_so(What::Open, door.contact == ContactState::Open);
        is_so(What::Tamper, door.tamper == Some(true));
        // a pulse is over soon; one for fire is not
        let lasts = door.hold.is_some() || view.fire.is_some_and(|fire| fire.alarm);
        is_so(What::Lock, lasts && door.lock == LockState::Unlocked);
        if door.contact == ContactState::Unknown {
            all.insert(What::Open(door.id.clone()), None);
        }
        if door.tamper.is_none() {
            all.insert(What::Tamper(door.id.clone()), None);
        }
    }
    let relays = view.relays.iter().filter(|relay| relay.active);
    all.extend(relays.map(|relay| (What::Relay(relay.id.clone()), Some(false))));
    let panels = view.panels.iter().filter(|panel| panel.ring_to_open.is_some());
    all.extend(panels.map(|panel| (What::RingToOpen(panel.id.clone()), Some(panel.simulated))));
    let mut lasts = |what| all.insert(what, Some(false));
    let lasting = view.lasting.clone();
    if lasting.fire {
        lasts(What::Fire);
    }
    if lasting.network_lost {
        lasts(What::Network);
    }
    for input in lasting.inputs {
        lasts(What::Input(input));
    }
    for (panel, button) in lasting.stuck {
        lasts(What::Stuck(panel, button));
    }
    // what nobody has answered yet is over soon
    for call in view.calls.iter().filter(|call| call.state == "talking") {
        let of = |id: &&PanelView| call.panel.as_ref() == Some(&id.id);
        let panel = view.panels.iter().find(of);
        let simulated = Some(panel.is_some_and(|panel| panel.simulated));
        all.insert(What::Call(call.ring), simulated);
        if let Some(panel) = panel.filter(|panel| panel.ring == Some(call.ring)) {
            all.insert(What::Ring(call.ring, panel.id.clone()), simulated);
        }
    }
    for line in view.lines.iter().filter(|line| line.state == LineState::Ours) {
        let panel = view.panels.iter().find(|panel| panel.line == line.id);
        let simulated = panel.is_some_and(|panel| panel.simulated);
        all.insert(What::Line(line.id.clone()), Some(simulated));
    }
    all
}

/// The last events, the oldest first; none if they cannot be read.
fn last_events(store: &Store) -> Vec<Arc<Record>> {
    let query = Query {
        from: Seq(store.durable().borrow().0.saturating_sub(APART)),
        max: usize::try_from(APART).unwrap_or(usize::MAX) + 1,
        ..Query::default()
    };
    let found = store.find(&query);
    found
        .inspect_err(|error| tracing::error!(%error, "what was on before the restart cannot be read"))
        .unwrap_or_default()
}

/// How everything stood when the gateway before ended.
pub(crate) struct Before(BTreeMap<What, Stood>);

impl Before {
    /// By the records and the last events.
    pub(crate) fn read(store: &Store) -> Self {
        let mut all: BTreeMap<What, Stood> = BTreeMap::new();
        for (key, entry) in store.records().list(ON) {
            if let Some(what) = What::of_key(&key) {
                let stood = Stood {
                    after: entry.value["after"].as_u64().unwrap_or(0),
                    is_on: true,
                    simulated: entry.value["simulated"].as_bool().unwrap_or(false),
                };
                all.insert(what, stood);
            }
        }
        for record in last_events(store) {
            let is_of_these = KINDS.contains(&record.kind.as_str());
            let told = is_of_these.then(|| record.event().ok()).flatten();
            if let Some((what, is_on)) = told.and_then(|event| What::told(event, record.ring))
                && all.get(&what).is_none_or(|stood| record.seq.0 > stood.after)
            {
                let (after, simulated) = (record.seq.0, record.simulated);
                all.insert(
                    what,
                    Stood {
                        after,
                        is_on,
                        simulated,
                    },
                );
            }
        }
        all.retain(|_, stood| stood.is_on);
        Self(all)
    }

    /// What was told of doors that the gateway has no part in: it stands until it is read.
    pub(crate) fn doors(&self) -> BTreeMap<DoorId, Told> {
        let mut doors: BTreeMap<DoorId, Told> = BTreeMap::new();
        let mut of = |door: &DoorId, tell: fn(&mut Told)| tell(doors.entry(door.clone()).or_default());
        for what in self.0.keys() {
            match what {
                What::Forced(door) => of(door, |told| told.forced = true),
                What::HeldOpen(door) => of(door, |told| told.held_open = true),
                What::Open(door) => of(door, |told| told.open = true),
                What::Tamper(door) => of(door, |told| told.tamper = true),
                What::Call(_)
                | What::Fire
                | What::Hold(_)
                | What::Input(_)
                | What::Line(_)
                | What::Lock(_)
                | What::Network
                | What::Relay(_)
                | What::Ring(..)
                | What::RingToOpen(_)
                | What::Stuck(..) => {}
            }
        }
        doors
    }

    /// What else stands until it is read.
    pub(crate) fn lasting(&self) -> Lasting {
        let mut lasting = Lasting::default();
        for what in self.0.keys() {
            match what {
                What::Fire => lasting.fire = true,
                What::Input(input) => {
                    lasting.inputs.insert(input.clone());
                }
                What::Network => lasting.network_lost = true,
                What::Stuck(panel, button) => {
                    lasting.stuck.insert((panel.clone(), button.clone()));
                }
                What::Call(_)
                | What::Forced(_)
                | What::HeldOpen(_)
                | What::Hold(_)
                | What::Line(_)
                | What::Lock(_)
                | What::Open(_)
                | What::Relay(_)
                | What::Ring(..)
                | What::RingToOpen(_)
                | What::Tamper(_) => {}
            }
        }
        lasting
    }

    /// Journals the end of all that the gateway before did not end, and gives what tells when that is durable.
    pub(crate) fn end(self, store: &Store, wall: Timestamp) -> Vec<Ticket> {
        let mut ends = Vec::new();
        for (what, stood) in self.0 {
            let Some((event, ring)) = what.clone().end() else {
                continue;
            };
            let told = store.append(Envelope {
                at: wall,
                event,
                ring,
                simulated: stood.simulated,
            });
            match told {
                Ok(ticket) => ends.push(ticket),
                Err(error) => {
                    tracing::error!(%error, ?what, "what the restart ended could not be journalled");
                }
            }
        }
        ends
    }
}

/// Keeps what is on, whenever that changes, until the core ends. `ends` tell of what was on before: it is kept until they
/// are durable.
pub(crate) async fn follow_what_is_on(
    store: Store,
    mut view: watch::Receiver<Arc<SiteView>>,
    ends: Vec<Ticket>,
) {
    for ticket in ends {
        // a journal that took none of it is closed, and takes nothing of this either
        if ticket.durable().await.is_err() {
            return;
        }
    }
    loop {
        let now = view.borrow_and_update().clone();
        // before the first picture nothing is known
        if now.site.is_some()
            && let Err(error) = keep(&store, &on(&now), now.seq)
        {
            tracing::debug!(%error, "what is on could not be kept, it is tried again with the next change");
        }
        if view.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps what is on by a picture, and nothing else but what the picture does not know. `seq` is the last event of that picture:
/// an end comes after it.
fn keep(store: &Store, on: &BTreeMap<What, Option<bool>>, seq: Seq) -> Result<(), PutError> {
    let known: BTreeSet<String> = store.records().list(ON).into_iter().map(|(key, _)| key).collect();
    let mut wanted = BTreeSet::new();
    for (what, simulated) in on {
        let key = what.key();
        if let Some(simulated) = simulated
            && !known.contains(&key)
        {
            let value = serde_json::json!({ "after": seq.0, "simulated": simulated });
            store.records().put(ON, &key, value, None)?;
        }
        wanted.insert(key);
    }
    for ended in known.difference(&wanted) {
        store.records().delete(ON, ended)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
