//! What keeps doors shut whoever asks: lockdowns, and interlocks with other doors, neither of which is asked for egress;
//! and what opens them for everybody, the fire alarm.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::{DoorGroupId, DoorId, InputId};

use crate::access::Access;
use crate::decision::Reason;

/// Where a door stands, for the interlock with its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Shut and locked, and nobody is about to open it.
    AtRest,
    /// Its contact says that it is open.
    Open,
    /// It is unlocked, about to be, or may still be pulled open after it was.
    Opening,
    /// Nobody knows: its contact was not read yet.
    Unknown,
}

/// What the decision must know of doors at this moment.
#[derive(Debug, Default)]
pub(crate) struct Restraints {
    /// The input that raised the fire alarm, while it stands.
    fire: Option<InputId>,
    /// `None` is the whole site.
    lockdowns: BTreeSet<Option<DoorGroupId>>,
    standing: BTreeMap<DoorId, Standing>,
}

impl Access {
    /// Begins or ends a lockdown: of a group of doors, or (`None`) of the whole site. True if that is a change.
    ///
    /// It lets nobody in, whatever they have; exits and fire open as ever. A group that the policy does not name keeps
    /// its lockdown for the time when it does.
    pub fn set_lockdown(&mut self, group: Option<DoorGroupId>, active: bool) -> bool {
        self.firsts.clear();
        self.arrivals.forget_hosts();
        if !active {
            return self.restraints.lockdowns.remove(&group);
        }
        let named = group.as_ref().map(|group| self.policy.door_groups.get(group));
        let covered =
            |door: &DoorId| named.is_none_or(|named| named.is_some_and(|named| named.doors.contains(door)));
        self.arrivals.forget_at(covered);
        self.restraints.lockdowns.insert(group)
    }

    /// The lockdowns that are in force; `None` is the whole site.
    pub fn lockdowns(&self) -> impl Iterator<Item = &Option<DoorGroupId>> {
        self.restraints.lockdowns.iter()
    }

    /// Which lockdown keeps this door shut: `Some(None)` is that of the whole site.
    #[must_use]
    pub fn lockdown_of(&self, door: &DoorId) -> Option<&Option<DoorGroupId>> {
        self.lockdowns().find(|group| {
            let Some(group) = group else { return true };
            let named = self.policy.door_groups.get(group);
            named.is_some_and(|named| named.doors.contains(door))
        })
    }

    /// The fire alarm that this input raised stands from here on, or none does. Doors open for fire meanwhile, and at no
    /// other time.
    pub fn set_fire(&mut self, input: Option<InputId>) {
        self.restraints.fire = input;
    }

    /// The input that raised the fire alarm, while it stands.
    #[must_use]
    pub const fn fire(&self) -> Option<&InputId> {
        self.restraints.fire.as_ref()
    }

    /// Tells where a door stands. Until it is told, nobody knows, and its neighbours in an interlock stay shut.
    pub fn set_standing(&mut self, door: &DoorId, standing: Standing) {
        if self.restraints.standing.get(door) != Some(&standing) {
            self.restraints.standing.insert(door.clone(), standing);
        }
    }

    /// A door that is no longer there.
    pub fn forget_standing(&mut self, door: &DoorId) {
        self.restraints.standing.remove(door);
    }

    /// Why this door stays shut for everybody, if it does because of a lockdown.
    pub(crate) fn locked_down(&self, door: &DoorId) -> Option<Reason> {
        let group = self.lockdown_of(door)?.clone();
        Some(Reason::Lockdown { group })
    }

    /// The neighbour in an interlock that is not at rest, if one is.
    pub(crate) fn interlocked(&self, door: &DoorId) -> Option<Reason> {
        let groups = self.policy.door_groups.values();
        let groups = groups.filter(|group| group.interlock && group.doors.contains(door));
        let mut others = groups
            .flat_map(|group| &group.doors)
            .filter(|other| *other != door);
        others.find_map(|other| {
            let standing = self.restraints.standing.get(other).copied();
            let standing = standing.unwrap_or(Standing::Unknown);
            (standing != Standing::AtRest).then(|| Reason::Interlock {
                door: other.clone(),
                standing,
            })
        })
    }
}
