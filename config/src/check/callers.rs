//! What becomes of calls to a panel, by who calls: actions that have what they need, and entries that some call reaches.

use gateway_access::{CallerPattern, When};
use gateway_core::PanelId;

use super::{Check, calls};
use crate::fault::FaultKind;
use crate::model::{Panel, PanelCaller};
use crate::value::{AddressKind, CallerDo};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, panel) in &config.panels {
        let mut everybody = false;
        for (index, caller) in panel.callers.iter().enumerate() {
            let at = format!("panels.{id}.callers[{index}]");
            if everybody {
                let text = "no call comes as far as this: an entry before it means everybody, at any time"
                    .to_owned();
                let hint = "put the entry that means everybody last";
                check.warn(FaultKind::Conflict, &at, text, hint);
            }
            everybody |= caller.number.is_none() && caller.schedule == When::Always;
            number(check, &at, caller);
            parts(check, &at, caller);
            match caller.action {
                CallerDo::Bridge => {
                    if let Some(list) = &caller.list {
                        calls::reached(check, (id, panel), list);
                    }
                }
                CallerDo::Divert => diverts(check, (id, panel), &at, caller),
                CallerDo::Open => opens(check, panel, &at, caller),
                CallerDo::Busy | CallerDo::Reject | CallerDo::Talk => {}
            }
        }
    }
}

fn number(check: &mut Check<'_>, at: &str, caller: &PanelCaller) {
    let Some(number) = &caller.number else {
        return;
    };
    let key = format!("{at}.number");
    if let Err(error) = CallerPattern::parse(&number.text) {
        let hint =
            "allowed: a number, sip:USER@HOST, or a beginning of at least three digits and * such as 0476*";
        check.fault(FaultKind::BadValue, &key, &[], error.to_string(), hint);
    }
}

/// `to` and `list` stand where they mean something, and there only.
fn parts(check: &mut Check<'_>, at: &str, caller: &PanelCaller) {
    let word = format!("{at}.do");
    for (key, wanted, is_there) in [
        ("to", CallerDo::Divert, caller.to.is_some()),
        ("list", CallerDo::Bridge, caller.list.is_some()),
    ] {
        let wants = caller.action == wanted;
        let here = format!("{at}.{key}");
        let written = check.is_written(&here);
        if wants && !is_there && !written {
            let text = format!("do = \"{wanted}\" needs {key}");
            let hint = format!("add: {key} = \"…\"");
            check.fault(FaultKind::Missing, &word, &[], text, &hint);
        } else if !wants && written {
            let text = format!("has no meaning with do = \"{}\"", caller.action);
            let hint = format!("remove it, or set do = \"{wanted}\"");
            check.fault(FaultKind::Conflict, &here, &[&word], text, &hint);
        }
    }
}

/// The caller is told an address that somebody at the PBX can call.
fn diverts(check: &mut Check<'_>, (id, panel): (&PanelId, &Panel), at: &str, caller: &PanelCaller) {
    let Some(to) = caller.to.as_ref().filter(|to| to.kind == AddressKind::Number) else {
        return;
    };
    if panel.account.is_none() {
        let text = format!("{to} has no domain, and panel {:?} has no account", id.as_str());
        let hint = "allowed without account: USER@HOST; or give the panel an account";
        let account = format!("panels.{id}.account");
        check.fault(FaultKind::Conflict, &format!("{at}.to"), &[&account], text, hint);
    }
}

/// Somebody who is known by a number has a door opened that opens by a call alone.
fn opens(check: &mut Check<'_>, panel: &Panel, at: &str, caller: &PanelCaller) {
    let word = format!("{at}.do");
    if caller.number.is_none() && !check.is_written(&format!("{at}.number")) {
        let text = "everybody who calls would be meant".to_owned();
        let hint = "add: number = \"…\"";
        check.fault(FaultKind::Unsafe, &word, &[], text, hint);
    }
    let config = check.config;
    let by_call = |door| {
        let door = config.doors.get(door);
        door.is_some_and(|door| door.open_by_call != When::Never)
    };
    if !panel.doors.iter().any(by_call) {
        let text = "no door of this panel opens by a call alone".to_owned();
        let hint = "add open-by-call to one of its doors: that door decides who is let in";
        check.fault(FaultKind::Conflict, &word, &[], text, hint);
    }
}
