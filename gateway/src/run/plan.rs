//! What a reload really does, in words: the site file's plan, and what follows from it in this process.

use gateway_config::{Component, Config, Effect, OutputDriver, Plan};

use crate::run::instance::Instance;
use crate::run::params;

/// Does the change from `old` need another relay guard? It has a connection of its own to the broker of its relays.
pub(crate) fn outputs_restart(plan: &Plan, old: &Config) -> bool {
    let of_broker = |output: &gateway_config::Output| matches!(output.driver, OutputDriver::Mqtt(_));
    let broker = old.outputs.values().any(of_broker);
    plan.touched().any(|step| {
        let guards = matches!(
            step.component,
            Component::Guard | Component::Output(_) | Component::Relay(_)
        ) || broker && step.component == Component::Mqtt;
        guards && step.effect >= Effect::Restart
    })
}

/// The plan with its consequences, on one line for the log.
pub(crate) fn told(plan: &Plan, old: &Config, new: &Config, instance: Instance) -> String {
    in_full(plan, old, new, instance).to_string().replace('\n', "; ")
}

/// The plan with what follows from it in this process.
pub(crate) fn in_full(plan: &Plan, old: &Config, new: &Config, instance: Instance) -> Plan {
    let mut plan = plan.clone();
    let guard = outputs_restart(&plan, old);
    let same = Same::of(old, new, instance);
    for step in &mut plan.steps {
        if step.effect >= Effect::Restart {
            continue;
        }
        let text = if step.component == Component::Guard && guard {
            "an output changed: once no pulse runs, every output is released and it starts anew"
        } else if step.component == Component::Http && !same.http {
            "it shows what changed elsewhere: it starts anew, and pages connect again"
        } else if step.component == Component::Mqtt && !same.mqtt {
            "it publishes what changed elsewhere: it connects anew"
        } else if let Component::Account(id) = &step.component
            && !same.accounts.contains(id)
        {
            "it names what changed elsewhere: its calls end and it registers anew"
        } else {
            continue;
        };
        (step.effect, step.text) = (Effect::Restart, text.to_owned());
    }
    plan
}

/// Which parts of the network side are started with the same parameters by both files.
struct Same {
    accounts: Vec<gateway_core::AccountId>,
    http: bool,
    mqtt: bool,
}

impl Same {
    fn of(old: &Config, new: &Config, instance: Instance) -> Self {
        // a port for the demo's broker, which stays the same
        let mqtt = |config| params::mqtt(config, instance, Some(0));
        let accounts = |config| params::sip(config, instance.0).accounts;
        let before = accounts(old);
        let kept = accounts(new)
            .into_iter()
            .filter(|account| before.contains(account));
        Self {
            accounts: kept.map(|account| account.id).collect(),
            http: params::http(old) == params::http(new),
            mqtt: mqtt(old) == mqtt(new),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_config::{SecretFiles, parse, plan};

    use super::*;

    const GOOD: &str = include_str!("../../../config/testdata/good.toml");

    fn read(text: &str) -> Config {
        let loaded = parse("site.toml", Path::new("."), text, SecretFiles::Untouched);
        loaded.unwrap_or_else(|faults| panic!("{faults}")).config
    }

    /// What a change of the file is said to do.
    fn change(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from:?}");
        let (old, new) = (read(GOOD), read(&GOOD.replacen(from, to, 1)));
        told(&plan(&old, &new), &old, &new, Instance([1; 16]))
    }

    #[test]
    fn a_change_of_an_output_tells_of_the_guard() {
        let text = change("line = 17", "line = 18");
        assert!(
            text.contains("outputs.front-strike: restart: driver changed"),
            "{text}"
        );
        assert!(text.contains("guard: restart: an output changed"), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }

    #[test]
    fn what_only_a_door_knows_is_live_and_tells_of_nothing_else() {
        let text = change("strike-ms = 3000", "strike-ms = 5000");
        assert_eq!(text, "doors.front: live: strike-ms taken over while it runs");
        assert_eq!(change("strike-ms = 3000", "strike-ms = 3000"), "nothing changes");
    }

    #[test]
    fn a_new_name_of_the_site_reaches_the_network_side() {
        let text = change("name = \"12 rue des Lilas\"", "name = \"14 rue des Lilas\"");
        assert!(text.contains("site: live: name"), "{text}");
        assert!(
            text.contains("mqtt: restart: it publishes what changed elsewhere"),
            "{text}"
        );
        assert!(text.contains("it registers anew"), "{text}");
        assert!(!text.contains("http: "), "{text}");
    }

    #[test]
    fn a_reader_and_an_input_are_told_by_their_names() {
        let text = change(
            "[inputs.model-bell.virtual]",
            "[inputs.model-bell.virtual]\n[inputs.spare.virtual]",
        );
        assert_eq!(text, "inputs.spare: restart: is added");
    }
}
