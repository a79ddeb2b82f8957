//! Buttons by day and by night: modes that mean something, and doors that a button may open.

use gateway_access::When;
use gateway_core::{ButtonId, DoorId, ListId, PanelId};

use super::Check;
use crate::fault::FaultKind;
use crate::model::{Button, List, Panel};
use crate::value::{ButtonMode, PressAgain, Strategy};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, panel) in &config.panels {
        for (button, of) in &panel.buttons {
            let at = format!("panels.{id}.buttons.{button}");
            meaning(check, &at, panel, of);
            if of.mode == ButtonMode::StrikeList {
                unlimited(check, (button, of), &at);
            }
            if of.mode == ButtonMode::StrikeList || panel.ring_to_open.is_some() {
                let mode = format!("{at}.mode");
                let why = if of.mode == ButtonMode::StrikeList {
                    (mode, "or another mode")
                } else {
                    (
                        format!("panels.{id}.ring-to-open-limit-s"),
                        "or remove ring-to-open-limit-s",
                    )
                };
                opens(check, (id, panel), of, &at, (&why.0, why.1));
            }
        }
        let key = format!("panels.{id}.ring-to-open-limit-s");
        if panel.ring_to_open.is_some() && panel.buttons.is_empty() && panel.apartments.is_none() {
            let text = "the panel has no button to be rung by".to_owned();
            check.fault(FaultKind::Conflict, &key, &[], text, "remove it, or add a button");
        }
    }
}

/// Keys that mean nothing in this mode, and times that never come.
fn meaning(check: &mut Check<'_>, at: &str, panel: &Panel, button: &Button) {
    let (mode, day) = (format!("{at}.mode"), format!("{at}.day"));
    if button.mode != ButtonMode::StrikeList && panel.ring_to_open.is_none() {
        let key = format!("{at}.opens");
        without_meaning(check, &key, &mode, button.mode, "set mode = \"strike-list\"");
    }
    let night = format!("{at}.night-call");
    match button.mode {
        ButtonMode::ListForbidden | ButtonMode::StrikeList => {
            without_meaning(check, &night, &mode, button.mode, "set mode = \"list-list\"");
        }
        ButtonMode::ListList if check.is_written(&night) && button.day == When::Always => {
            let text = "it is never night for this button".to_owned();
            let hint = "add: day = \"name of a schedule\"";
            check.fault(FaultKind::Conflict, &night, &[&day], text, hint);
        }
        ButtonMode::ListList if !check.is_written(&night) && check.is_written(&day) => {
            let text = "the button does the same by day and by night".to_owned();
            let hint = "add night-call, or another mode";
            check.warn(FaultKind::Conflict, &day, text, hint);
        }
        ButtonMode::ListList => {}
    }
    let again = format!("{at}.press-again");
    if button.again == PressAgain::Next {
        let nobody = |list: &ListId| check.config.lists.get(list).is_some_and(has_no_next);
        if let Some(list) = button.lists().find(|list| nobody(list)).cloned() {
            let text = format!("list {:?} has nobody to be called next", list.as_str());
            let hint = "leave it, or add to that list: rounds = 2";
            check.warn(FaultKind::Conflict, &again, text, hint);
        }
    }
    if button.mode == ButtonMode::ListForbidden && button.day == When::Always {
        let text = "it is never night for this button".to_owned();
        let hint = "add: day = \"name of a schedule\"";
        check.fault(FaultKind::Conflict, &mode, &[&day], text, hint);
    }
}

/// All of them ring at once, and once.
fn has_no_next(list: &List) -> bool {
    let at_once = list.strategy == Strategy::Parallel || list.targets.len() == 1;
    at_once && list.rounds == 1
}

fn without_meaning(check: &mut Check<'_>, key: &str, mode: &str, found: ButtonMode, instead: &str) {
    if check.is_written(key) {
        let text = format!("has no meaning with mode = \"{found}\"");
        let hint = format!("remove it, or {instead}");
        check.fault(FaultKind::Conflict, key, &[mode], text, &hint);
    }
}

/// Whoever presses is let in by day, so the day has to be limited.
fn unlimited(check: &mut Check<'_>, (name, button): (&ButtonId, &Button), at: &str) {
    let mode = format!("{at}.mode");
    let day = format!("{at}.day");
    if button.day == When::Always {
        let text = format!("whoever presses {:?} would be let in at any time", name.as_str());
        let hint = "add: day = \"name of a schedule\"";
        check.fault(FaultKind::Unsafe, &mode, &[&day], text, hint);
    }
}

/// Whoever presses is let in by what stands in `because`, so the door has to be one that this panel serves and that is
/// opened by something. The second of `because` says what to do instead.
fn opens(
    check: &mut Check<'_>,
    (id, panel): (&PanelId, &Panel),
    button: &Button,
    at: &str,
    (because, instead): (&str, &str),
) {
    let key = format!("{at}.opens");
    let doors = format!("panels.{id}.doors");
    let meant: Option<&DoorId> = button.opens.as_ref().or(panel.doors.first());
    let Some(meant) = meant else { return };
    if !panel.doors.contains(meant) {
        let named: Vec<&str> = panel.doors.iter().map(DoorId::as_str).collect();
        let text = format!("{:?} is no door of panel {:?}", meant.as_str(), id.as_str());
        let hint = format!("allowed: {}", named.join(", "));
        check.fault(FaultKind::Conflict, &key, &[&doors], text, &hint);
        return;
    }
    let Some(door) = check.config.doors.get(meant) else {
        return;
    };
    let (output, wants) = (
        format!("doors.{meant}.output"),
        format!("doors.{meant}.two-persons"),
    );
    if door.output.is_none() && !check.is_written(&output) {
        let text = format!("door {:?} has no output, so nothing opens it", meant.as_str());
        let hint = format!("allowed: a door with an output, {instead}");
        check.fault(FaultKind::Conflict, because, &[&key, &doors], text, &hint);
    } else if door.two_persons != When::Never {
        let text = format!(
            "door {:?} wants two persons at times, and opens for no button then",
            meant.as_str()
        );
        check.warn(
            FaultKind::Conflict,
            because,
            text,
            &format!("it rings then; or set {wants} = \"never\""),
        );
    }
}
