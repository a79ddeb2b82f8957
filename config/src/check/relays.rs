//! Relays that tell something: none of them may open, and what drives them may not let go by itself.

use std::collections::BTreeMap;

use gateway_core::{OutputId, RelayId};

use super::Check;
use crate::fault::FaultKind;
use crate::model::{Config, RelayFunction};
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
        let RelayFunction::NetworkFault(fault) = &relay.function;
        let mut words: Vec<&str> = fault.of.iter().map(|loss| loss.word()).collect();
        words.sort_unstable();
        if let Some(twice) = words.windows(2).find(|pair| pair[0] == pair[1]) {
            let text = format!("{:?} stands there twice", twice[0]);
            let at = format!("relays.{id}.network-fault.of");
            check.fault(FaultKind::Conflict, &at, &[], text, "allowed: each once");
        }
        if !relay.inverted {
            let text = "without supply, or without the relay guard, it rests, which means that all is well"
                .to_owned();
            let hint = "inverted = true tells that, too, by the contact that closes at rest";
            check.warn(FaultKind::Unsafe, &format!("relays.{id}"), text, hint);
        }
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
