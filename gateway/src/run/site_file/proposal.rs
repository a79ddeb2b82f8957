//! What a proposal for the site file is worth: its text with the secrets in it, its faults, what it would do.

use std::path::Path;

use gateway_bus::{Checked, Placed, Proposal, SiteFileRefusal, Step};
use gateway_config::{Change, Edit, EditError, Effect, Fault, Loaded, Plan};

use crate::commands;
use crate::run::Gateway;
use crate::run::plan::{in_full, outputs_restart};

/// What a text is known by: 32 hexadecimal digits, of SHA-256.
pub(super) fn tag(text: &str) -> String {
    gateway_http::text_tag(text)
}

/// Faults as the API tells them: without the line of the text, in which there may be more than the fault.
pub(super) fn placed(faults: &[Fault]) -> Vec<Placed> {
    let one = |fault: &Fault| Placed {
        allowed: fault.hint.clone(),
        column: fault.column,
        found: fault.text.clone(),
        line: fault.line,
        path: fault.path.clone(),
    };
    faults.iter().map(one).collect()
}

/// A proposal that was looked at.
pub(super) enum Examined {
    /// It has faults.
    Faults(Checked),
    /// It has none.
    Good {
        checked: Checked,
        loaded: Box<Loaded>,
        /// Its text, with the secrets.
        text: String,
    },
}

/// Looks at proposals for a site file with this text.
pub(super) struct Judge<'a> {
    base: &'a str,
    file: &'a Path,
    gateway: &'a Gateway,
}

impl<'a> Judge<'a> {
    pub(super) const fn new(file: &'a Path, base: &'a str, gateway: &'a Gateway) -> Self {
        Self { base, file, gateway }
    }

    pub(super) fn examine(&self, proposal: &Proposal) -> Result<Examined, SiteFileRefusal> {
        let name = self.file.display().to_string();
        let given = match proposal {
            Proposal::Edits(edits) => {
                let edit = |(path, value): &(String, serde_json::Value)| Edit {
                    path: path.clone(),
                    value: value.clone(),
                };
                let edits: Vec<Edit> = edits.iter().map(edit).collect();
                gateway_config::edit(self.base, &edits)
                    .map_err(|e: EditError| SiteFileRefusal::Edit(e.to_string()))?
            }
            Proposal::Whole(text) => text.clone(),
        };
        let faulty = |list: &[Fault], diff| {
            Examined::Faults(Checked {
                diff,
                faults: placed(list),
                ..Checked::default()
            })
        };
        let text = match gateway_config::unveil(&name, &given, self.base) {
            Ok(text) => text,
            Err(faults) => return Ok(faulty(&faults.list, String::new())),
        };
        let both = gateway_config::veil_both(&name, self.base, &text);
        let diff = both.map_or_else(
            |_| String::new(),
            |both| gateway_config::unified(&both.old, &both.new),
        );
        let loaded = match commands::loaded_text(self.file, &text, self.gateway.date()) {
            Ok(loaded) => loaded,
            Err(faults) => return Ok(faulty(&faults.list, diff)),
        };
        let (old, new) = (self.gateway.config(), &loaded.config);
        let plan = gateway_config::plan(old, new);
        let plan = in_full(&plan, old, new, self.gateway.instance());
        let checked = Checked {
            // told apart from this, by who may wait for it
            altered: None,
            blocked: self.blocked(&plan).or_else(|| self.gateway.codes_refused(new)),
            diff,
            faults: Vec::new(),
            plan: plan.touched().map(step).collect(),
            warnings: placed(&loaded.warnings.list),
        };
        Ok(Examined::Good {
            checked,
            loaded: Box::new(loaded),
            text,
        })
    }

    /// What only a start can do is not done by halves.
    fn blocked(&self, plan: &Plan) -> Option<String> {
        let named = |effect: Effect| {
            let steps = plan.touched().filter(|step| step.effect == effect);
            let names: Vec<String> = steps.map(|step| step.component.to_string()).collect();
            names.join(", ")
        };
        if plan.needs_process() {
            return Some(format!(
                "{}: only a start of the gateway does this; change the site file at the machine and start it anew",
                named(Effect::Process)
            ));
        }
        (outputs_restart(plan, self.gateway.config()) && !self.gateway.owns_guard()).then(|| {
            "outputs change, and the relay guard is run by a unit of its own: change the site file at the machine, \
             then start the guard and the gateway anew"
                .to_owned()
        })
    }
}

fn step(step: &gateway_config::Step) -> Step {
    Step {
        change: match step.change {
            Change::Added => "added",
            Change::Changed => "changed",
            Change::Removed => "removed",
            Change::Same => "same",
        },
        component: step.component.to_string(),
        effect: step.effect.word(),
        keys: step.keys.clone(),
        text: step.text.clone(),
    }
}
