//! Rules that go by who came in: the first of the day, and hosts.

use gateway_access::When;

use super::Check;
use crate::fault::FaultKind;

pub(super) fn check(check: &mut Check<'_>) {
    first(check);
    escort(check);
}

/// Only a reader tells who came in.
fn first(check: &mut Check<'_>) {
    for (id, door) in &check.config.doors {
        if door.hold_after.is_none() {
            continue;
        }
        let at = format!("doors.{id}.hold-open-after");
        if door.hold_open == When::Never {
            let text = "no schedule holds this door open".to_owned();
            check.fault(
                FaultKind::Conflict,
                &at,
                &[],
                text,
                "add: hold-open = \"name of a schedule\"",
            );
        } else if door.readers.is_empty() && !check.is_written(&format!("doors.{id}.readers")) {
            let text = "the door has no reader that could tell who came in".to_owned();
            let hint = "add: readers = [\"…\"], or leave it out";
            check.fault(FaultKind::Conflict, &at, &[], text, hint);
        }
    }
}

/// Nobody is their own host, and a host has to be able to come in first.
fn escort(check: &mut Check<'_>) {
    for (id, group) in &check.config.groups {
        let (by, within) = (
            format!("groups.{id}.escorted-by"),
            format!("groups.{id}.escort-within-s"),
        );
        let Some(hosts) = &group.escorted_by else {
            if check.is_written(&within) {
                let text = "this group needs nobody who takes care of it".to_owned();
                check.fault(
                    FaultKind::Conflict,
                    &within,
                    &[],
                    text,
                    "add: escorted-by = \"name of a group\"",
                );
            }
            continue;
        };
        if hosts == id {
            let text = "the group would let in itself".to_owned();
            check.fault(FaultKind::Unsafe, &by, &[], text, "allowed: another group");
            continue;
        }
        // a group that is not there is a fault of its own
        let Some(host) = check.config.groups.get(hosts) else {
            continue;
        };
        if host.escorted_by.is_some() {
            let text = format!("group {:?} needs somebody itself", hosts.as_str());
            let of = format!("groups.{hosts}.escorted-by");
            check.fault(
                FaultKind::Conflict,
                &by,
                &[&of],
                text,
                "allowed: a group that needs nobody",
            );
        }
        for (index, door) in group.doors.iter().enumerate() {
            if host.doors.contains(door) {
                continue;
            }
            let text = format!(
                "group {:?} does not open door {:?}, so nobody comes in after it",
                hosts.as_str(),
                door.as_str()
            );
            let at = format!("groups.{id}.doors[{index}]");
            check.warn(
                FaultKind::Conflict,
                &at,
                text,
                "take the door out, or add it there",
            );
        }
    }
}
