//! Groups of doors: interlocks that can be kept, and doors that are named once.

use std::collections::BTreeSet;

use gateway_core::DoorGroupId;

use super::Check;
use crate::fault::FaultKind;
use crate::model::DoorGroup;
use crate::value::LockOwner;

pub(super) fn check(check: &mut Check<'_>) {
    for (id, group) in &check.config.door_groups {
        named_once(check, id, group);
        if group.interlock {
            interlock(check, id, group);
        }
    }
}

fn named_once(check: &mut Check<'_>, id: &DoorGroupId, group: &DoorGroup) {
    let mut seen = BTreeSet::new();
    for (position, door) in group.doors.iter().enumerate() {
        if !seen.insert(door) {
            let at = format!("door-groups.{id}.doors[{position}]");
            let text = format!("door {:?} is in this group already", door.as_str());
            check.fault(FaultKind::Duplicate, &at, &[], text, "allowed: each door once");
        }
    }
}

/// An interlock is kept by contacts: a door that nobody can see, or that somebody else opens, cannot be part of it.
fn interlock(check: &mut Check<'_>, id: &DoorGroupId, group: &DoorGroup) {
    let at = format!("door-groups.{id}");
    if group.doors.len() < 2 {
        let text = "an interlock needs at least two doors".to_owned();
        let hint = "add the other door, or set interlock = false";
        check.fault(
            FaultKind::Conflict,
            &format!("{at}.interlock"),
            &[&format!("{at}.doors")],
            text,
            hint,
        );
    }
    for (position, name) in group.doors.iter().enumerate() {
        let Some(door) = check.config.doors.get(name) else {
            continue;
        };
        let place = format!("{at}.doors[{position}]");
        let contact = format!("doors.{name}.contact");
        if door.contact.is_none() && !check.is_written(&contact) {
            let text = format!(
                "door {:?} has no contact: nobody can tell whether it is shut, and the others of the interlock would never open",
                name.as_str()
            );
            let hint = "give the door a contact = { input = \"…\" }, or set interlock = false";
            check.fault(FaultKind::Unsafe, &place, &[], text, hint);
        } else if door.lock_owner == LockOwner::Panel {
            let owner = format!("doors.{name}.lock-owner");
            let text = format!(
                "the panel owns the lock of door {:?} and opens it whatever the others do",
                name.as_str()
            );
            let hint = "allowed in an interlock: doors with lock-owner = \"gateway\"";
            check.fault(FaultKind::Unsafe, &place, &[&owner], text, hint);
        }
    }
}
