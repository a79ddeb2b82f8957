//! Virtual devices have no say over real outputs.

use gateway_core::{DoorId, InputId};

use super::Check;
use crate::fault::FaultKind;
use crate::model::{Config, Door};

const HINT: &str = "allowed: virtual devices at doors whose output is virtual";

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, door) in &config.doors {
        if is_real(config, door) {
            around(check, id, door);
        }
    }
    for (id, panel) in &config.panels {
        let real = panel
            .doors
            .iter()
            .find(|door| config.doors.get(*door).is_some_and(|door| is_real(config, door)));
        let Some(real) = real else { continue };
        if config
            .lines
            .get(&panel.line)
            .is_some_and(|line| line.driver.is_virtual())
        {
            report(
                check,
                &format!("panels.{id}.line"),
                "line",
                panel.line.as_str(),
                real,
            );
        }
        for (button, use_of) in &panel.buttons {
            if let Some(input) = &use_of.input {
                input_of(check, &format!("panels.{id}.buttons.{button}.input"), input, real);
            }
        }
    }
    if let Some(input) = &config.site.fire_input
        && let Some((id, _)) = config.doors.iter().find(|(_, door)| is_real(config, door))
    {
        input_of(check, "site.fire-input", input, id);
    }
    if let Some(input) = &config.site.lockdown_input
        && let Some((id, _)) = config.doors.iter().find(|(_, door)| is_real(config, door))
    {
        lockdown(check, "site.lockdown-input", input, id);
    }
    if let Some(input) = &config.start.reset_input
        && let Some((id, _)) = config.doors.iter().find(|(_, door)| is_real(config, door))
    {
        input_of(check, "start.reset-input", input, id);
    }
    for (group, of) in &config.door_groups {
        let mut doors = of.doors.iter();
        let real = doors.find(|door| config.doors.get(*door).is_some_and(|door| is_real(config, door)));
        if let (Some(input), Some(real)) = (&of.lockdown_input, real) {
            lockdown(check, &format!("door-groups.{group}.lockdown-input"), input, real);
        }
    }
}

fn is_real(config: &Config, door: &Door) -> bool {
    let output = door.output.as_ref().and_then(|output| config.outputs.get(output));
    output.is_some_and(|output| !output.driver.is_virtual())
}

fn around(check: &mut Check<'_>, id: &DoorId, door: &Door) {
    for (name, use_of) in door.senses() {
        if let Some(use_of) = use_of {
            input_of(check, &format!("doors.{id}.{name}.input"), &use_of.input, id);
        }
    }
    for (index, rex) in door.rex.iter().enumerate() {
        input_of(check, &format!("doors.{id}.rex[{index}].input"), &rex.input, id);
    }
    for (index, reader) in door.readers.iter().enumerate() {
        if check
            .config
            .readers
            .get(reader)
            .is_some_and(|r| r.driver.is_virtual())
        {
            report(
                check,
                &format!("doors.{id}.readers[{index}]"),
                "reader",
                reader.as_str(),
                id,
            );
        }
    }
}

fn is_virtual(config: &Config, input: &InputId) -> bool {
    config.inputs.get(input).is_some_and(|i| i.driver.is_virtual())
}

fn input_of(check: &mut Check<'_>, at: &str, input: &InputId, door: &DoorId) {
    if is_virtual(check.config, input) {
        report(check, at, "input", input.as_str(), door);
    }
}

/// A lockdown opens nothing; it keeps people out.
fn lockdown(check: &mut Check<'_>, at: &str, input: &InputId, door: &DoorId) {
    if is_virtual(check.config, input) {
        let harm = "a simulated press could lock everybody out, and the real button would be missing";
        harmful(check, at, ("input", input.as_str()), door, harm);
    }
}

fn report(check: &mut Check<'_>, at: &str, what: &str, name: &str, door: &DoorId) {
    harmful(check, at, (what, name), door, "a simulated press could open it");
}

fn harmful(check: &mut Check<'_>, at: &str, (what, name): (&str, &str), door: &DoorId, harm: &str) {
    let door = door.as_str();
    let text = format!("{what} {name:?} is virtual, but door {door:?} has a real output: {harm}");
    check.fault(FaultKind::Unsafe, at, &[], text, HINT);
}
