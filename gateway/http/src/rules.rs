//! Rules of the site file, and what became of them since the page runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gateway_bus::{ActionOutline, RuleOutline};
use gateway_core::Record;
use http::StatusCode;
use serde::Serialize;
use warp::reply::Response;

use crate::app::App;
use crate::ask::{Ask, json};
use crate::paging::page;
use crate::problem::Problem;

/// Rules that are counted; a site file has fewer.
const RULES: usize = 1000;

/// What a rule asks for.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RuleAction"))]
pub(crate) struct Action<'a> {
    /// `alarm`, `call`, `lockdown`, `mqtt`, `notify`, `open`, `output` or `prompt`.
    kind: &'static str,
    /// The same words as in the journal: `output siren on for 30 s`.
    text: &'a str,
}

/// What else has to be so, all of it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RuleConditions"))]
pub(crate) struct Conditions<'a> {
    /// `always`, `never` or a schedule.
    schedule: &'a str,
    /// What the event says: `outcome=no-answer`.
    fields: &'a [String],
    /// How the site is: `door front is shut`.
    states: &'a [String],
    /// Whoever the event is about is in one of these groups; empty for anybody.
    groups: &'a [String],
    /// It acts at every so many events that meet the other conditions.
    times: u32,
    /// Time within which they come; `null` with one.
    within_s: Option<u64>,
}

/// Something that became of a rule.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RuleNews"))]
pub(crate) struct News {
    /// How often since the page runs.
    count: u64,
    /// The last time.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: String,
    /// Its record in the journal.
    seq: u64,
    /// What was asked for, or why not.
    text: String,
}

/// What became of a rule since the page runs; `null` where nothing did. Earlier times are in the journal (`kind=rule`).
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RuleRuns"))]
pub(crate) struct Runs {
    /// It acted.
    fired: Option<News>,
    /// It would have acted, and was kept from it.
    held_back: Option<News>,
    /// Something that it asked for was not done.
    failed: Option<News>,
}

/// A rule.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rule<'a> {
    #[cfg_attr(test, schemars(with = "crate::openapi::Name"))]
    id: &'a str,
    /// Kinds of events and families of them.
    on: &'a [String],
    /// Whose events count; empty for all.
    sources: &'a [String],
    when: Conditions<'a>,
    /// What is asked for, in this order.
    actions: Vec<Action<'a>>,
    /// How often within a minute it acts at most.
    most_per_minute: u32,
    runs: Runs,
}

/// A page of the rules. They belong to no door: only those see them who have all doors.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rules<'a> {
    rules: Vec<Rule<'a>>,
    /// Where the next page is; `null` at the end.
    next: Option<String>,
}

/// What became of rules, by their names.
#[derive(Debug, Default)]
pub(crate) struct Watched(Mutex<BTreeMap<String, Runs>>);

impl Watched {
    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Runs>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a durable record, if it is of a rule.
    pub(crate) fn note(&self, record: &Record) {
        let field = match record.kind.as_str() {
            "rule.failed" => "text",
            "rule.fired" => "actions",
            "rule.held-back" => "text",
            _ => return,
        };
        let mut all = self.held();
        if all.len() >= RULES && !all.contains_key(&record.source) {
            return;
        }
        let runs = all.entry(record.source.clone()).or_default();
        let of = match record.kind.as_str() {
            "rule.failed" => &mut runs.failed,
            "rule.fired" => &mut runs.fired,
            _ => &mut runs.held_back,
        };
        let count = of.as_ref().map_or(0, |news| news.count) + 1;
        *of = Some(News {
            count,
            at: record.at.to_string(),
            seq: record.seq.0,
            text: record.get(field).as_text().unwrap_or_default().to_owned(),
        });
    }

    /// What became of one; rules that are no more are forgotten by [`Self::keep`].
    fn of(&self, id: &str) -> Runs {
        self.held().get(id).cloned().unwrap_or_default()
    }

    fn keep(&self, rules: &[RuleOutline]) {
        self.held()
            .retain(|id, _| rules.iter().any(|rule| rule.id == *id));
    }
}

pub(crate) fn rules(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let outline = app.bus.outline();
    app.ruled.keep(&outline.rules);
    let shown: Vec<&RuleOutline> = match ask.principal()?.rights.doors {
        None => outline.rules.iter().collect(),
        Some(_) => Vec::new(),
    };
    let paged = page(ask, shown, |rule| rule.id.clone())?;
    let rules = paged.members.into_iter();
    let answer = Rules {
        rules: rules.map(|rule| told(rule, app.ruled.of(&rule.id))).collect(),
        next: paged.next,
    };
    json(StatusCode::OK, &answer)
}

fn shown(action: &ActionOutline) -> Action<'_> {
    Action {
        kind: action.kind,
        text: &action.text,
    }
}

fn told(rule: &RuleOutline, runs: Runs) -> Rule<'_> {
    Rule {
        id: &rule.id,
        on: &rule.on,
        sources: &rule.sources,
        when: Conditions {
            schedule: &rule.schedule,
            fields: &rule.fields,
            states: &rule.states,
            groups: &rule.groups,
            times: rule.times,
            within_s: rule.within_s,
        },
        actions: rule.actions.iter().map(shown).collect(),
        most_per_minute: rule.most_per_minute,
        runs,
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::{Envelope, Event, RuleEvent, Seq, Timestamp};

    use super::*;

    fn record(seq: u64, event: RuleEvent) -> Record {
        let envelope = Envelope {
            at: Timestamp::from_second(1_772_366_400).expect("a date"),
            event: Event::Rule("late".parse().expect("a name"), event),
            ring: None,
            simulated: false,
        };
        Record {
            seq: Seq(seq),
            ..Record::from(&envelope)
        }
    }

    #[test]
    fn the_exact_text_of_a_rule_that_acted_and_failed() {
        let watched = Watched::default();
        for seq in [3, 9] {
            let actions = "open front".to_owned();
            let (by, of) = ("door.denied".to_owned(), "front".to_owned());
            watched.note(&record(seq, RuleEvent::Fired { actions, by, of }));
        }
        let (action, text) = ("open front".to_owned(), "lockdown".to_owned());
        watched.note(&record(10, RuleEvent::Failed { action, text }));
        let rule = RuleOutline {
            actions: vec![ActionOutline {
                kind: "open",
                text: "open front".into(),
            }],
            fields: vec![],
            groups: vec![],
            id: "late".into(),
            most_per_minute: 20,
            on: vec!["door.denied".into()],
            schedule: "day".into(),
            sources: vec![],
            states: vec!["door front is shut".into()],
            times: 1,
            within_s: None,
        };
        let text = serde_json::to_string(&told(&rule, watched.of("late"))).expect("serialises");
        assert_eq!(
            text,
            r#"{"id":"late","on":["door.denied"],"sources":[],"when":{"schedule":"day","fields":[],"states":["door front is shut"],"groups":[],"times":1,"within_s":null},"actions":[{"kind":"open","text":"open front"}],"most_per_minute":20,"runs":{"fired":{"count":2,"at":"2026-03-01T12:00:00Z","seq":9,"text":"open front"},"held_back":null,"failed":{"count":1,"at":"2026-03-01T12:00:00Z","seq":10,"text":"lockdown"}}}"#
        );
        watched.keep(&[]);
        assert!(watched.of("late").fired.is_none());
    }
}
