//! Relays that tell something: none of them may open, and what drives them may not let go by itself.

use std::collections::BTreeMap;

use gateway_access::When;
use gateway_core::{OutputId, RelayId};

use super::Check;
use crate::fault::FaultKind;
use crate::model::{Config, NetworkFault, Relay, RelayFunction};
use crate::value::GuardMode;

/// True if a relay that tells something has this output.
pub(super) fn has(config: &Config, output: &OutputId) -> bool {
    config.relays.values().any(|relay| relay.output == *output)
}

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    let mut first: BTreeMap<&OutputId, &RelayId> = BTreeMap::new();
    for (id, relay) in &config.relays {
        let at = format!("relays.{id}.output");
        let Some(output) = config.outputs.get(&relay.output) else {
            continue;
        };
        if let Some(before) = first.get(&relay.output) {
            let key = format!("relays.{before}.output");
            let text = format!(
                "{:?} is the output of {}",
                relay.output.as_str(),
                check.cite(&key)
            );
            check.fault(
                FaultKind::Conflict,
                &at,
                &[&key],
                text,
                "allowed: an output for each relay",
            );
        }
        first.entry(&relay.output).or_insert(id);
        if config.guard.mode == GuardMode::None {
            let text = format!(
                "without the relay guard nobody switches output {:?}",
                relay.output.as_str()
            );
            let hint = "allowed: guard.mode = \"spawn\" or \"external\"";
            check.fault(FaultKind::Unsafe, &at, &["guard.mode"], text, hint);
        }
        if output.driver.latches().flatten().is_some() {
            let timer = format!("outputs.{}.{}.timer-ms", relay.output, output.driver.family());
            let text = format!("a timer relay would let go of {at} by itself");
            let hint = "remove it, and the timer relay: this output tells something and opens nothing";
            check.fault(FaultKind::Conflict, &timer, &[&at], text, hint);
        }
        function(check, id, relay);
    }
    for (id, door) in &config.doors {
        let Some(output) = &door.output else { continue };
        if let Some(relay) = first.get(output) {
            let key = format!("relays.{relay}.output");
            let text = format!(
                "{:?} is the output of {}, which tells something and opens nothing",
                output.as_str(),
                check.cite(&key)
            );
            let hint = "allowed: an output that no relay has";
            check.fault(
                FaultKind::Unsafe,
                &format!("doors.{id}.output"),
                &[&key],
                text,
                hint,
            );
        }
    }
}

/// What a relay tells, and how it follows that.
fn function(check: &mut Check<'_>, id: &RelayId, relay: &Relay) {
    let at = format!("relays.{id}");
    let of = format!("{at}.{}", relay.function.family());
    match &relay.function {
        RelayFunction::Alarm(_) => no_toggle(check, &at, &of, relay, "remove it"),
        RelayFunction::Command(_) => no_toggle(check, &at, &of, relay, "set it with \"toggle\""),
        RelayFunction::Lamp(lamp) => {
            let words = lamp.shows.iter().map(|what| what.word()).collect();
            twice(check, &format!("{of}.shows"), words);
        }
        RelayFunction::Light(light) => {
            let any = light.panels.is_empty() && light.doors.is_empty() && light.inputs.is_empty();
            let schedule = format!("{of}.schedule");
            if any && light.when == When::Always {
                let text = "it would be lit for ever".to_owned();
                let hint = "add panels, doors or inputs that light it, or: schedule = \"name of a schedule\"";
                check.fault(FaultKind::Missing, &of, &[&schedule], text, hint);
            } else if light.when == When::Never {
                let text = "it is never lit".to_owned();
                let hint = "allowed: always, or the name of a schedule";
                check.fault(FaultKind::Conflict, &schedule, &[], text, hint);
            }
        }
        RelayFunction::LineSeized(_) => {}
        RelayFunction::MainsFault(_) => no_toggle(check, &at, &of, relay, "remove it"),
        RelayFunction::NetworkFault(fault) => network(check, &at, &of, relay, fault),
    }
}

fn network(check: &mut Check<'_>, at: &str, of: &str, relay: &Relay, fault: &NetworkFault) {
    let words = fault.of.iter().map(|loss| loss.word()).collect();
    twice(check, &format!("{of}.of"), words);
    no_toggle(check, at, of, relay, "remove it");
    let delay = format!("{at}.delay-ms");
    if check.is_written(&delay) {
        let text = "the fault has a delay of its own".to_owned();
        let hint = "remove it, and set delay-s of network-fault";
        check.fault(FaultKind::Conflict, &delay, &[of], text, hint);
    }
    if !relay.inverted {
        let text =
            "without supply, or without the relay guard, it rests, which means that all is well".to_owned();
        let hint = "inverted = true tells that, too, by the contact that closes at rest";
        check.warn(FaultKind::Unsafe, at, text, hint);
    }
}

fn no_toggle(check: &mut Check<'_>, at: &str, of: &str, relay: &Relay, hint: &str) {
    if relay.bistable {
        let text = format!(
            "nobody could tell from it what it says: it is a relay of {}",
            relay.function.family()
        );
        check.fault(FaultKind::Conflict, &format!("{at}.bistable"), &[of], text, hint);
    }
}

fn twice(check: &mut Check<'_>, at: &str, mut words: Vec<&str>) {
    words.sort_unstable();
    if let Some(twice) = words.windows(2).find(|pair| pair[0] == pair[1]) {
        let text = format!("{:?} stands there twice", twice[0]);
        check.fault(FaultKind::Conflict, at, &[], text, "allowed: each once");
    }
}
