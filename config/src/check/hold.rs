//! Doors that are held open: only where coil, board and wiring bear it, and for no longer than the guard allows.

use gateway_access::{Schedule, When};
use gateway_core::{DoorId, OutputId};

use super::Check;
use crate::fault::FaultKind;
use crate::model::{Config, Door, Output};
use crate::value::{Duty, LockKind, LockOwner};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, door) in &config.doors {
        let at = format!("doors.{id}");
        let (schedule, limit) = (format!("{at}.hold-open"), format!("{at}.hold-open-limit-s"));
        let key = match (&door.hold_open, door.hold_limit) {
            (When::Never, None) => continue,
            (When::Never, Some(_)) => limit.clone(),
            (When::Always | When::In(_), _) => schedule.clone(),
        };
        lock(check, &at, &key, door);
        interlock(check, id, &key);
        if door.hold_open == When::Always {
            let text = "the door would never be locked".to_owned();
            let hint = "allowed: never, or the name of a schedule";
            check.fault(FaultKind::Unsafe, &schedule, &[], text, hint);
        }
        output(check, door, &key);
        bounds(check, door, (&schedule, &limit));
    }
}

/// What the lock has to be like.
fn lock(check: &mut Check<'_>, at: &str, key: &str, door: &Door) {
    let (duty, owner, lock) = (
        format!("{at}.duty"),
        format!("{at}.lock-owner"),
        format!("{at}.lock"),
    );
    if door.lock_owner == LockOwner::Panel {
        let text = "the panel owns and times this lock, so nobody can hold it open".to_owned();
        let hint = "allowed with lock-owner = \"gateway\"";
        check.fault(FaultKind::Unsafe, key, &[&owner], text, hint);
    } else if door.lock == LockKind::GateStep {
        let text =
            "each pulse of this gate is the next of open, stop and shut: it cannot be held open".to_owned();
        let hint = "allowed with another lock";
        check.fault(FaultKind::Unsafe, key, &[&lock], text, hint);
    } else if door.duty != Duty::Continuous {
        let text = "the coil of this door is energised for a pulse of 25 s at most".to_owned();
        let hint = "allowed with duty = \"continuous\", if coil and supply bear it";
        check.fault(FaultKind::Unsafe, key, &[&duty], text, hint);
    }
}

/// The others of an interlock would be shut for as long as it is held open.
fn interlock(check: &mut Check<'_>, id: &DoorId, key: &str) {
    let groups = check.config.door_groups.iter();
    let found = groups
        .filter(|(_, group)| group.interlock && group.doors.contains(id))
        .map(|(name, _)| name.clone())
        .next();
    if let Some(group) = found {
        let text = format!(
            "the other doors of the interlock {:?} would not open for as long as this one is held open",
            group.as_str()
        );
        let hint = "allowed at doors of no interlock";
        check.fault(FaultKind::Conflict, key, &[], text, hint);
    }
}

fn output_of<'a>(config: &'a Config, door: &Door) -> Option<(&'a OutputId, &'a Output)> {
    config.outputs.get_key_value(door.output.as_ref()?)
}

/// A board or relay that ends pulses by itself ends this, too.
fn output(check: &mut Check<'_>, door: &Door, key: &str) {
    let Some((name, output)) = output_of(check.config, door) else {
        return;
    };
    if output.driver.is_self_timed() {
        let text = format!(
            "the board of output {:?} ends each pulse by itself",
            name.as_str()
        );
        let hint =
            "allowed: an output that stays on until it is released; self-timed = false, or another board";
        check.fault(FaultKind::Conflict, key, &[], text, hint);
    } else if let Some(Some(timer)) = output.driver.latches() {
        let text = format!(
            "the timer relay behind output {:?} releases the lock after {} ms",
            name.as_str(),
            timer.as_millis()
        );
        let hint = "allowed: an output without timer relay, for example a pin, which the kernel lets go of by itself";
        check.fault(FaultKind::Conflict, key, &[], text, hint);
    }
}

/// The guard's own cap has to be as long.
fn bounds(check: &mut Check<'_>, door: &Door, (schedule, limit): (&str, &str)) {
    let Some((name, output)) = output_of(check.config, door) else {
        return;
    };
    let cap = output.max_on.as_millis();
    let key = format!("outputs.{name}.max-on-ms");
    let hint = format!("allowed: at most {cap} ms; or set max-on-ms higher, at most 86400000");
    if let Some(time) = door.hold_limit.filter(|time| *time > output.max_on) {
        let text = format!(
            "{} s exceeds {cap} ms, the cap of {}",
            time.as_secs(),
            check.cite(&key)
        );
        check.fault(FaultKind::Conflict, limit, &[&key], text, &hint);
    }
    let When::In(id) = &door.hold_open else {
        return;
    };
    let Some(of) = check.config.schedules.get(id) else {
        return;
    };
    match Schedule::new(&of.times, Vec::new(), Vec::new()).longest() {
        None => {
            let text = format!(
                "schedule {:?} is always in force: the door would never be locked",
                id.as_str()
            );
            let hint = "allowed: a schedule that ends within a day";
            check.fault(FaultKind::Unsafe, schedule, &[], text, hint);
        }
        Some(time) if time > output.max_on => {
            let text = format!(
                "schedule {:?} is in force for {} s in one go, which exceeds {cap} ms, the cap of {}",
                id.as_str(),
                time.as_secs(),
                check.cite(&key)
            );
            check.fault(FaultKind::Conflict, schedule, &[&key], text, &hint);
        }
        Some(_) => {}
    }
}
