//! Every output has a rest state, and something that brings it there.

use std::time::Duration;

use gateway_core::{DoorId, OutputId};

use super::{Check, boards, relays};
use crate::fault::FaultKind;
use crate::model::{Config, Door, GpioOutput, InputDriver, OutputDriver};
use crate::value::{Backend, BootPull, Duty, GuardMode};

/// Longest pulse of an output whose door has no continuous duty.
const PULSE_CAP: Duration = Duration::from_millis(25_000);

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, output) in &config.outputs {
        let at = format!("outputs.{id}");
        if let OutputDriver::Gpio(pin) = &output.driver {
            boot_pull(check, &format!("{at}.gpio"), pin);
            rppal(check, &format!("{at}.gpio"), pin.backend, pin.line);
            if pin.backend == Backend::Rppal {
                let text = "rppal keeps the level of a pin when the guard is killed".to_owned();
                let hint = "gpiocdev is safer; with rppal a hardware timer should limit the relay";
                check.warn(FaultKind::Unsafe, &format!("{at}.gpio.backend"), text, hint);
            }
        }
        boards::check(check, &at, &output.driver);
        if relays::has(config, id) {
            // it may be on for as long as there is something to tell
            continue;
        }
        let mut users = config
            .doors
            .values()
            .filter(|d| d.output.as_ref() == Some(id))
            .peekable();
        if users.peek().is_none() {
            let text = "no door and no relay uses it".to_owned();
            check.warn(FaultKind::Conflict, &at, text, "use it, or remove it");
        }
        let continuous = users.peek().is_some() && users.all(|door| door.duty == Duty::Continuous);
        if output.max_on > PULSE_CAP && !continuous {
            let text = format!(
                "{} ms exceeds 25000 ms, but no door with duty = \"continuous\" uses it",
                output.max_on.as_millis()
            );
            let hint = "allowed: at most 25000, or duty = \"continuous\" at its door";
            check.fault(FaultKind::Unsafe, &format!("{at}.max-on-ms"), &[], text, hint);
        }
    }
    for (id, input) in &config.inputs {
        if let InputDriver::Gpio(pin) = &input.driver {
            rppal(check, &format!("inputs.{id}.gpio"), pin.backend, pin.line);
        }
    }
    for (id, door) in &config.doors {
        let Some((name, output)) = door.output.as_ref().and_then(|o| config.outputs.get_key_value(o)) else {
            continue;
        };
        let at = format!("doors.{id}.output");
        if config.guard.mode == GuardMode::None {
            let text = if output.driver.is_self_timed() {
                format!(
                    "output {:?} ({}) ends its pulses by itself, but without the guard nobody begins them",
                    name.as_str(),
                    output.driver.family()
                )
            } else {
                format!(
                    "output {:?} ({}) is neither guarded nor self-timed: it would stay energised if the gateway died",
                    name.as_str(),
                    output.driver.family()
                )
            };
            let hint = "allowed: guard.mode = \"spawn\" or \"external\"";
            check.fault(FaultKind::Unsafe, &at, &["guard.mode"], text, hint);
        }
        if let Some(timer) = output.driver.latches() {
            let strike = longest(config, id, door);
            latching(check, name, output.driver.family(), timer, strike);
        }
        for (at, strike) in longer(config, id).filter(|(_, strike)| *strike > output.max_on) {
            let cap = output.max_on.as_millis();
            let key = format!("outputs.{name}.max-on-ms");
            let text = format!(
                "{} ms at door {:?} exceeds {cap} ms, the cap of {}",
                strike.as_millis(),
                id.as_str(),
                check.cite(&key)
            );
            let hint = format!("allowed: 1000 to {cap} ms");
            check.fault(FaultKind::Conflict, &at, &[&key], text, &hint);
        }
        if config.site.fire_input.is_some() && door.duty == Duty::Continuous && output.max_on < LONG_FIRE {
            let text = format!(
                "in a fire {} stays unlocked until the alarm is reset, and this cap locks it for a tenth of a second every {} ms",
                check.cite(&format!("doors.{id}")),
                output.max_on.as_millis()
            );
            let hint = "set it to 86400000, the longest";
            check.warn(
                FaultKind::Conflict,
                &format!("outputs.{name}.max-on-ms"),
                text,
                hint,
            );
        }
        if door.strike > output.max_on {
            let cap = output.max_on.as_millis();
            let key = format!("outputs.{name}.max-on-ms");
            let text = format!(
                "{} ms exceeds {cap} ms, the cap of {}",
                door.strike.as_millis(),
                check.cite(&key)
            );
            let hint = format!("allowed: 1000 to {cap} ms");
            let at = format!("doors.{id}.strike-ms");
            let at = if check.is_written(&at) { at } else { key.clone() };
            check.fault(FaultKind::Conflict, &at, &[&key], text, &hint);
        }
    }
}

/// A fire alarm is reset after this at the latest, mostly.
const LONG_FIRE: Duration = Duration::from_secs(12 * 3600);

/// Openings of a door that are longer for some, with the place of each.
fn longer<'a>(config: &'a Config, door: &'a DoorId) -> impl Iterator<Item = (String, Duration)> + 'a {
    let cards = config.cards.iter().filter(|(_, card)| card.doors.contains(door));
    let groups = config
        .groups
        .iter()
        .filter(|(_, group)| group.doors.contains(door));
    let cards = cards.filter_map(|(id, card)| Some((format!("cards.{id}.strike-ms"), card.strike?)));
    let groups = groups.filter_map(|(id, group)| Some((format!("groups.{id}.strike-ms"), group.strike?)));
    cards.chain(groups)
}

/// The longest pulse of a door, whoever comes in.
pub(super) fn longest(config: &Config, id: &DoorId, door: &Door) -> Duration {
    let longer = longer(config, id).map(|(_, strike)| strike).max();
    door.strike.max(longer.unwrap_or_default())
}

/// A relay board keeps a channel as it was written last: only wires help when all software is dead.
fn latching(
    check: &mut Check<'_>,
    output: &OutputId,
    family: &str,
    timer: Option<Duration>,
    strike: Duration,
) {
    let at = format!("outputs.{output}.{family}");
    let Some(timer) = timer else {
        let text = "the board latches: killed all at once, gateway, guard and sentinel leave the door open until it \
                    is written to rest again"
            .to_owned();
        let hint = "wire a timer relay (pulse on make) between channel and strike, and set timer-ms";
        check.warn(FaultKind::Unsafe, &at, text, hint);
        return;
    };
    if strike > timer {
        let text = format!(
            "{} ms is shorter than a pulse of {} ms",
            timer.as_millis(),
            strike.as_millis()
        );
        let hint = "allowed: at least the door's strike-ms; set the timer relay longer, or strike-ms shorter";
        check.fault(FaultKind::Conflict, &format!("{at}.timer-ms"), &[], text, hint);
    }
}

/// rppal knows the 28 pins of the header only, whatever the chip.
fn rppal(check: &mut Check<'_>, at: &str, backend: Backend, line: u32) {
    if backend == Backend::Rppal && line > 27 {
        let text = format!("{line} is no pin of a Raspberry Pi");
        let hint = "allowed with rppal: 0 to 27 (BCM numbers)";
        check.fault(FaultKind::OutOfRange, &format!("{at}.line"), &[], text, hint);
    }
}

fn boot_pull(check: &mut Check<'_>, at: &str, pin: &GpioOutput) {
    let key = format!("{at}.boot-pull");
    let active_low = format!("{at}.active-low");
    let energises = match pin.boot_pull {
        BootPull::Down => pin.active_low,
        BootPull::Up => !pin.active_low,
        BootPull::None => {
            let text = "the pin floats at boot: the relay may pull in".to_owned();
            let hint = "an outside resistor must hold the pin at rest";
            check.warn(FaultKind::Unsafe, &key, text, hint);
            return;
        }
        BootPull::Unknown => {
            let text = "what the pin does at boot is not known: the relay may pull in".to_owned();
            let hint = "set boot-pull; Raspberry Pi: GPIO 0 to 8 are pulled up, 9 to 27 down";
            check.warn(FaultKind::Unsafe, &key, text, hint);
            return;
        }
    };
    if energises {
        let text = format!(
            "pulled {} at boot, this pin energises its relay, as active-low is {}",
            pin.boot_pull, pin.active_low
        );
        let hint = "allowed: a pin whose boot pull leaves the relay at rest; take another pin or relay board";
        check.fault(FaultKind::Unsafe, &key, &[&active_low], text, hint);
    }
}
