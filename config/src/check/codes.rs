//! Codes and cards.

use gateway_core::{CredentialId, DoorId, Secret};

use super::Check;
use crate::fault::FaultKind;
use crate::model::{Card, Code};
use crate::value::{CodeFrom, DigitsBy};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    let codes: Vec<(&CredentialId, &Code)> = config.codes.iter().collect();
    for (index, (id, code)) in codes.iter().enumerate() {
        for (other_id, other) in &codes[index + 1..] {
            prefix(check, (id, code), (other_id, other));
        }
        for (position, door) in code.doors.iter().enumerate() {
            no_way_in(check, &format!("codes.{id}.doors[{position}]"), door, &code.from);
        }
    }
    for (id, card) in &config.cards {
        pin(check, id, card);
        for (position, door) in card.doors.iter().enumerate() {
            no_way_in(
                check,
                &format!("cards.{id}.doors[{position}]"),
                door,
                &[CodeFrom::Keypad],
            );
        }
    }
}

/// The shorter of two codes would open before the longer one is typed.
fn prefix(check: &mut Check<'_>, a: (&CredentialId, &Code), b: (&CredentialId, &Code)) {
    let (short, long) = if a.1.digits.reveal().len() <= b.1.digits.reveal().len() {
        (a, b)
    } else {
        (b, a)
    };
    if !long.1.digits.reveal().starts_with(short.1.digits.reveal()) {
        return;
    }
    let door = short.1.doors.iter().find(|door| long.1.doors.contains(door));
    let source = short.1.from.iter().find(|from| long.1.from.contains(from));
    let meets = match (door, source) {
        (Some(door), Some(source)) => {
            format!(
                "for the same door {:?} and source {:?}",
                door.as_str(),
                source.word()
            )
        }
        // in a call with a panel the digits of all its doors are one list
        (None, _)
            if [short, long]
                .iter()
                .all(|(_, code)| code.from.contains(&CodeFrom::Call)) =>
        {
            match shared_panel(check, short.1, long.1) {
                Some(panel) => format!("and in a call with panel {panel:?} both would be dialled"),
                None => return,
            }
        }
        (None | Some(_), _) => return,
    };
    let same = short.1.digits == long.1.digits;
    let how = if same { "is also" } else { "begins with" };
    let first = format!("codes.{}.digits", short.0);
    let at = format!("codes.{}.digits", long.0);
    let (first, at) = if same && check.position(&first) > check.position(&at) {
        (at, first)
    } else {
        (first, at)
    };
    let text = format!("this code {how} the code of {}, {meets}", check.cite(&first));
    let hint = "allowed: codes of which none begins with another";
    check.fault(FaultKind::Unsafe, &at, &[&first], text, hint);
}

/// Whoever types the longer of a PIN and a code has typed the shorter one before: without the card read, or in a call, that
/// one counts.
fn pin(check: &mut Check<'_>, id: &CredentialId, card: &Card) {
    let Some(pin) = card.pin.as_ref().map(Secret::reveal) else {
        return;
    };
    let mut codes = check.config.codes.iter();
    let alike = |code: &str| code.starts_with(pin) || pin.starts_with(code);
    let Some((code, _)) = codes.find(|(_, code)| alike(code.digits.reveal())) else {
        return;
    };
    let text = format!(
        "this PIN and the code of {} begin alike",
        check.cite(&format!("codes.{code}.digits"))
    );
    let hint = "take a PIN that begins with no code and that no code begins with";
    check.warn(FaultKind::Conflict, &format!("cards.{id}.pin"), text, hint);
}

/// A panel that serves a door of each.
fn shared_panel(check: &Check<'_>, a: &Code, b: &Code) -> Option<String> {
    let serves = |doors: &[DoorId], code: &Code| doors.iter().any(|door| code.doors.contains(door));
    let mut panels = check.config.panels.iter();
    let found = panels.find(|(_, panel)| serves(&panel.doors, a) && serves(&panel.doors, b));
    found.map(|(id, _)| id.as_str().to_owned())
}

fn no_way_in(check: &mut Check<'_>, at: &str, door: &DoorId, from: &[CodeFrom]) {
    let Some(named) = check.config.doors.get(door) else {
        return;
    };
    let name = door.as_str();
    if named.output.is_none() {
        let text = format!("door {name:?} has no output: nothing can open it");
        check.warn(
            FaultKind::Conflict,
            at,
            text,
            "give the door an output, or remove it here",
        );
    } else if from == [CodeFrom::Keypad] && named.readers.is_empty() {
        let text = format!("door {name:?} has no reader to take it");
        check.warn(
            FaultKind::Conflict,
            at,
            text,
            "give the door a reader, or remove it here",
        );
    } else if from == [CodeFrom::Call] && named.digits_by == DigitsBy::Nobody && named.callers.is_empty() {
        let text = format!("door {name:?} takes no digits: digits-by is \"nobody\" and no caller is listed");
        check.warn(
            FaultKind::Conflict,
            at,
            text,
            "set digits-by = \"list\", or remove it here",
        );
    }
}
