//! What inputs, outputs, readers and lines are for, in words.

use std::collections::BTreeMap;

use gateway_config::{Config, RelayFunction};
use gateway_core::{DoorId, InputId, LineId, OutputId, ReaderId};

/// A use in words, and the door that it is for.
pub(super) type Use = (String, Option<DoorId>);

/// Everything that is for something, by name.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) inputs: BTreeMap<InputId, Vec<Use>>,
    pub(super) lines: BTreeMap<LineId, Vec<Use>>,
    pub(super) outputs: BTreeMap<OutputId, Vec<Use>>,
    pub(super) readers: BTreeMap<ReaderId, Vec<Use>>,
}

impl Uses {
    pub(super) fn of(config: &Config) -> Self {
        let mut uses = Self::default();
        uses.doors(config);
        uses.panels(config);
        uses.site(config);
        uses
    }

    fn input(&mut self, input: Option<&InputId>, what: impl Into<String>, door: Option<&DoorId>) {
        if let Some(input) = input {
            let all = self.inputs.entry(input.clone()).or_default();
            all.push((what.into(), door.cloned()));
        }
    }

    fn doors(&mut self, config: &Config) {
        for (id, door) in &config.doors {
            let contact = door.contact.as_ref().map(|of| &of.input);
            self.input(contact, format!("contact of door {id}"), Some(id));
            let sense = door.lock_sense.as_ref().map(|of| &of.input);
            self.input(sense, format!("lock sense of door {id}"), Some(id));
            let tamper = door.tamper.as_ref().map(|of| &of.input);
            self.input(tamper, format!("tamper contact of door {id}"), Some(id));
            for rex in &door.rex {
                self.input(Some(&rex.input), format!("exit of door {id}"), Some(id));
            }
            if let Some(output) = &door.output {
                let all = self.outputs.entry(output.clone()).or_default();
                all.push((format!("lock of door {id}"), Some(id.clone())));
            }
            for reader in &door.readers {
                let all = self.readers.entry(reader.clone()).or_default();
                all.push((format!("reader of door {id}"), Some(id.clone())));
            }
        }
        for (id, group) in &config.door_groups {
            self.input(
                group.lockdown_input.as_ref(),
                format!("lockdown of door group {id}"),
                None,
            );
        }
    }

    fn panels(&mut self, config: &Config) {
        for (id, panel) in &config.panels {
            let all = self.lines.entry(panel.line.clone()).or_default();
            for door in &panel.doors {
                all.push((format!("panel {id} of door {door}"), Some(door.clone())));
            }
            for (name, button) in &panel.buttons {
                let what = format!("button {name} of panel {id}");
                self.input(button.input.as_ref(), what, panel.doors.first());
            }
        }
    }

    fn site(&mut self, config: &Config) {
        self.input(config.site.fire_input.as_ref(), "fire", None);
        self.input(config.site.lockdown_input.as_ref(), "lockdown of the site", None);
        self.input(config.start.reset_input.as_ref(), "factory reset", None);
        self.input(config.start.tell_input.as_ref(), "telling the address", None);
        for (id, alarm) in &config.alarms {
            self.input(alarm.input.as_ref(), format!("alarm {id}"), None);
        }
        for (id, relay) in &config.relays {
            let all = self.outputs.entry(relay.output.clone()).or_default();
            all.push((format!("relay {id}"), None));
            match &relay.function {
                RelayFunction::Light(light) => {
                    for input in &light.inputs {
                        self.input(Some(input), format!("light of relay {id}"), None);
                    }
                }
                RelayFunction::MainsFault(mains) => {
                    self.input(Some(&mains.input), format!("mains for relay {id}"), None);
                }
                RelayFunction::Alarm(_)
                | RelayFunction::Command(_)
                | RelayFunction::Lamp(_)
                | RelayFunction::LineSeized(_)
                | RelayFunction::NetworkFault(_) => {}
            }
        }
        for (id, rule) in &config.rules {
            let named = rule.sources.iter().flatten();
            let named = named.filter_map(|name| InputId::new(name).ok());
            let states = rule.when.states.iter().filter_map(|state| state.input.clone());
            let inputs: Vec<InputId> = named.chain(states).collect();
            for input in inputs.iter().filter(|input| config.inputs.contains_key(*input)) {
                self.input(Some(input), format!("rule {id}"), None);
            }
        }
    }
}
