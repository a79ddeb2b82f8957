//! Doors, their locks and contacts.

use gateway_access::{CallerPattern, When};
use gateway_core::DoorId;

use super::Check;
use crate::fault::FaultKind;
use crate::model::{Door, Line};
use crate::value::{AddressKind, CallIn, Fail, LockKind, LockOwner, Relock, RexKind};

pub(super) fn check(check: &mut Check<'_>) {
    for (id, door) in &check.config.doors {
        lock(check, id, door);
        gate(check, id, door);
        contact(check, id, door);
        two_persons(check, id, door);
        callers(check, id, door);
    }
}

fn lock(check: &mut Check<'_>, id: &DoorId, door: &Door) {
    let at = format!("doors.{id}");
    let owner = format!("{at}.lock-owner");
    let config = check.config;
    match door.lock_owner {
        LockOwner::Gateway => {
            let output = format!("{at}.output");
            if door.output.is_none() && !check.is_written(&output) {
                let text = "the gateway owns this lock, but it has no output".to_owned();
                let hint = "add: output = \"name of a configured output\", or lock-owner = \"panel\"";
                check.fault(FaultKind::Conflict, &at, &[&owner], text, hint);
            }
            let sense = format!("{at}.lock-sense");
            if check.is_written(&sense) {
                let text = "the gateway owns this lock and knows when it opens it: a sense would tell its own pulses".to_owned();
                let hint = "remove it, or set lock-owner = \"panel\"; who opens the door otherwise is seen by its contact";
                check.fault(FaultKind::Conflict, &sense, &[&owner], text, hint);
            }
        }
        LockOwner::Panel => {
            let without_output: &[&str] = if door.output.is_none() {
                &["strike-ms"]
            } else {
                &[]
            };
            if door.output.is_some() && !config.panels.values().any(|panel| panel.doors.contains(id)) {
                let text = "the panel owns this lock, and no panel has the door among its doors: nobody could ever open it".to_owned();
                let hint = "add the door to doors of its panel, or set lock-owner = \"gateway\"";
                check.fault(FaultKind::Conflict, &owner, &[], text, hint);
            }
            for key in ["relock", "duty"].iter().chain(without_output) {
                let key_at = format!("{at}.{key}");
                if check.is_written(&key_at) {
                    let text = format!("the panel owns and times this lock: {key} has no meaning");
                    let hint = "remove it, or set lock-owner = \"gateway\"";
                    check.fault(FaultKind::Conflict, &key_at, &[&owner], text, hint);
                }
            }
        }
    }
    if door.lock == LockKind::Bistable {
        let text = "a bistable lock stays as its last pulse left it: nothing locks it again when the software dies, and \
                    an exit may shut it";
        let hint = "allowed: strike, maglock, motor, gate-open, gate-step; drive it by a controller of its own that takes \
                    an ordinary contact (motor)";
        check.fault(
            FaultKind::Conflict,
            &format!("{at}.lock"),
            &[],
            text.to_owned(),
            hint,
        );
    }
    if door.lock == LockKind::Maglock && door.fail == Fail::Secure {
        let fail = format!("{at}.fail");
        let text = "a maglock without power is open: it cannot be fail-secure".to_owned();
        let kind = format!("{at}.lock");
        check.fault(
            FaultKind::Conflict,
            &fail,
            &[&kind],
            text,
            "allowed with a maglock: fail = \"safe\"",
        );
    }
    if door.output.is_none() {
        for (index, rex) in door.rex.iter().enumerate() {
            if rex.kind == RexKind::Unlock {
                let kind = format!("{at}.rex[{index}].kind");
                let kind = if check.is_written(&kind) {
                    kind
                } else {
                    format!("{at}.rex[{index}]")
                };
                let text = "this request to exit shall unlock, but the door has no output".to_owned();
                let hint = "allowed without output: \"shunt-only\" or \"parallel\"";
                check.fault(FaultKind::Conflict, &kind, &[&format!("{at}.output")], text, hint);
            }
        }
    }
}

/// A gate that steps may stand open by the pulse of before, or by somebody's hand transmitter: only a contact tells.
fn gate(check: &mut Check<'_>, id: &DoorId, door: &Door) {
    let kind = format!("doors.{id}.lock");
    let is_gate = match door.lock {
        LockKind::GateOpen | LockKind::GateStep => true,
        LockKind::Bistable | LockKind::Maglock | LockKind::Motor | LockKind::Strike => false,
    };
    let travel = format!("doors.{id}.travel-s");
    if !is_gate && check.is_written(&travel) {
        let text = "only a gate travels".to_owned();
        let hint = "remove it, or set lock = \"gate-step\" or \"gate-open\"";
        check.fault(FaultKind::Conflict, &travel, &[&kind], text, hint);
    }
    let without = door.contact.is_none() && !check.is_written(&format!("doors.{id}.contact"));
    if door.lock == LockKind::GateStep && door.output.is_some() && without {
        let text = "each pulse is the next of open, stop and shut: without a contact nobody knows which, and a pulse could shut the \
                    gate on somebody"
            .to_owned();
        let hint = "add: contact = { input = \"…\" }, inactive while the gate is shut, or wire the input of the drive that only opens, \
                    with lock = \"gate-open\"";
        check.fault(FaultKind::Unsafe, &kind, &[], text, hint);
    }
}

fn contact(check: &mut Check<'_>, id: &DoorId, door: &Door) {
    if door.contact.is_some() || check.is_written(&format!("doors.{id}.contact")) {
        return;
    }
    if door.relock != Relock::Time {
        let at = format!("doors.{id}.relock");
        let text = format!("{:?} needs a contact, and this door has none", door.relock.word());
        let hint = "add: contact = { input = \"…\" }, or set relock = \"time\"";
        check.fault(FaultKind::Conflict, &at, &[], text, hint);
    }
    let at = format!("doors.{id}.held-open-s");
    if check.is_written(&at) {
        let text = "without a contact nobody can tell that the door is open".to_owned();
        check.warn(FaultKind::Conflict, &at, text, "add: contact = { input = \"…\" }");
    }
}

/// Only readers tell persons apart: without one nobody would ever be let in.
fn two_persons(check: &mut Check<'_>, id: &DoorId, door: &Door) {
    let at = format!("doors.{id}.two-persons");
    if door.two_persons == When::Never {
        let within = format!("doors.{id}.second-within-s");
        if check.is_written(&within) {
            let text = "this door never wants two persons".to_owned();
            check.warn(
                FaultKind::Conflict,
                &within,
                text,
                "add: two-persons = \"always\"",
            );
        }
    } else if door.readers.is_empty() && !check.is_written(&format!("doors.{id}.readers")) {
        let text = "the door has no reader at which two persons could show their cards".to_owned();
        let hint = "add: readers = [\"…\"], or set two-persons = \"never\"";
        check.fault(FaultKind::Conflict, &at, &[], text, hint);
    } else if door.lock_owner == LockOwner::Panel {
        let owner = format!("doors.{id}.lock-owner");
        let text = "the panel owns this lock and opens it for one person".to_owned();
        let hint = "allowed with two-persons: lock-owner = \"gateway\"";
        check.fault(FaultKind::Unsafe, &at, &[&owner], text, hint);
    }
}

fn callers(check: &mut Check<'_>, id: &DoorId, door: &Door) {
    let config = check.config;
    for (index, caller) in door.callers.iter().enumerate() {
        if let Err(error) = CallerPattern::parse(&caller.number.text) {
            let at = format!("doors.{id}.callers[{index}].number");
            let hint = "allowed: a number, sip:USER@HOST, or a beginning of at least three digits and * such as 0476*";
            check.fault(FaultKind::BadValue, &at, &[], error.to_string(), hint);
        }
        if caller.number.kind == AddressKind::Number && config.accounts.is_empty() {
            let at = format!("doors.{id}.callers[{index}].number");
            let text = format!("{} has no domain, and no account gives one", caller.number);
            let hint = "allowed without accounts: sip:USER@HOST";
            check.fault(FaultKind::Conflict, &at, &["accounts"], text, hint);
        }
    }
    let answers = config.panels.values().any(|panel| {
        let starts = |line: &Line| line.call_in == CallIn::SelfStart || panel.answer_by_button.is_some();
        panel.doors.contains(id) && config.lines.get(&panel.line).is_some_and(starts)
    });
    by_call(check, id, door);
    if !door.callers.is_empty() && !answers && door.open_by_call == When::Never {
        let text = "no line of this door can be called: its callers get 480".to_owned();
        let hint = "a line with call-in = \"self-start\" is answered, or a panel with answer-by-button-s";
        check.warn(FaultKind::Conflict, &format!("doors.{id}.callers"), text, hint);
    }
}

/// A call alone opens only what can be opened, and reaches only a door that a panel serves.
fn by_call(check: &mut Check<'_>, id: &DoorId, door: &Door) {
    let config = check.config;
    let at = format!("doors.{id}.open-by-call");
    if door.open_by_call == When::Never {
        return;
    }
    let output = format!("doors.{id}.output");
    if door.output.is_none() && !check.is_written(&output) {
        let text = "the door has no output, so no call opens it".to_owned();
        let hint = "add: output = \"name of a configured output\", or set open-by-call = \"never\"";
        check.fault(FaultKind::Conflict, &at, &[], text, hint);
    } else if !config.panels.values().any(|panel| panel.doors.contains(id)) {
        let text = "no panel serves this door, so nobody can call it".to_owned();
        let hint = "name the door in the doors of a panel";
        check.fault(FaultKind::Conflict, &at, &[], text, hint);
    } else if door.two_persons != When::Never {
        let text =
            "the door wants two persons at times, and opens for no call of the site file then".to_owned();
        let hint = "allowed: people of the records, by their telephones";
        check.warn(FaultKind::Conflict, &at, text, hint);
    }
}
