//! The site file, for administrators: read, checked, put on trial, confirmed, rolled back. Whoever runs the gateway does
//! all of it; nothing that leaves here has a secret in it.

use std::time::Duration;

use gateway_bus::{
    Altered, Checked, NotThere, Placed, Proposal, RightChange, SiteFileAsk, SiteFileClient, SiteFileRefusal,
    Step, Trial, TrialState, Wish,
};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use warp::Reply as _;
use warp::reply::Response;

use crate::app::App;
use crate::ask::{Ask, json};
use crate::etag::{Condition, Etag, changed};
use crate::param::CONFIRM_SECONDS;
use crate::problem::Problem;

/// How long a trial waits for its confirmation, unless said otherwise.
const CONFIRM_S: u64 = 120;
/// The media type of a site file.
const TOML: &str = "application/toml";

/// One change of a key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ConfigEdit {
    /// The key: `doors.front.strike-ms`, `lists.people.targets[0]`; the number behind the last element adds one.
    #[cfg_attr(test, schemars(length(min = 1, max = 200)))]
    path: String,
    /// What it is from here on; null removes it.
    #[cfg_attr(test, schemars(with = "crate::openapi::ConfigValue"))]
    value: Value,
}

/// Changes of keys, made in their order, all or none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ConfigEdits {
    #[cfg_attr(test, schemars(length(min = 1, max = 200)))]
    changes: Vec<ConfigEdit>,
}

/// A place in the proposed text, and what is wrong or risky there.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ConfigFault {
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// The key; empty for the file itself.
    path: String,
    found: String,
    /// What is allowed there, or what to do.
    allowed: String,
}

/// What is done to one part of the gateway.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ConfigStep {
    /// `doors.front`
    component: String,
    /// `added`, `changed`, `removed`; `same` if it only stands on something that changes.
    change: &'static str,
    /// `live`, `restart`, or `process`: only a start of the gateway does it.
    effect: &'static str,
    keys: Vec<&'static str>,
    text: String,
}

/// What changes for somebody at a door.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ConfigRight {
    /// `person:alice`, `credential:c-7`, `anybody` and so on.
    who: String,
    /// By what: `card c-1`.
    by: String,
    door: String,
    /// Its limits in force, in words; `null` if they do not come in so.
    before: Option<String>,
    /// Its limits with the proposal; `null` if they do not come in so any more.
    after: Option<String>,
}

/// A name that people go by and the proposal does not have: whoever has nothing else opens nothing.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ConfigMissing {
    /// `groups.staff`, `schedules.nights`, `doors.yard`
    name: String,
    /// How many people name it, and credentials that are nobody's.
    count: usize,
    /// Ids of the first of them; `credential ID` for what is nobody's.
    who: Vec<String>,
}

/// What a proposal alters, for whom.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ConfigAltered {
    /// At most 1000.
    rights: Vec<ConfigRight>,
    /// How many more there are.
    more: usize,
    /// Parts of the file that bear on openings behind a name, with what changes: `schedules.day: lines`.
    parts: Vec<String>,
    missing: Vec<ConfigMissing>,
}

/// What a proposal is worth.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ConfigCheck {
    /// True if it could be put on trial.
    good: bool,
    /// Why it cannot be taken while the gateway runs, though it has no faults.
    blocked: Option<String>,
    faults: Vec<ConfigFault>,
    warnings: Vec<ConfigFault>,
    /// Empty if there are faults.
    plan: Vec<ConfigStep>,
    /// What it changes in the file, in the form of `diff -u`; a changed secret is `<new: NAME>`.
    diff: String,
    /// What it alters, for whom; `null` if there are faults.
    altered: Option<ConfigAltered>,
}

/// A configuration on trial, or the last one that was.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ConfigTrial {
    /// `waiting` (until no pulse runs), `applying`, `running` (waits to be confirmed), `confirmed`, `rolling-back` or
    /// `rolled-back`.
    state: &'static str,
    /// Who began it.
    by: String,
    began: String,
    confirm_seconds: u64,
    /// Until it is rolled back by itself; null unless it is `running`.
    seconds_left: Option<u64>,
    /// Why it ended, or what it waits for.
    text: String,
    plan: Vec<ConfigStep>,
    diff: String,
    /// What it alters, for whom; `null` if that is not known yet, or not any more.
    altered: Option<ConfigAltered>,
}

fn altered(altered: Altered) -> ConfigAltered {
    let right = |right: RightChange| ConfigRight {
        who: right.who,
        by: right.by,
        door: right.door,
        before: right.before,
        after: right.after,
    };
    let missing = |missing: NotThere| ConfigMissing {
        name: missing.name,
        count: missing.count,
        who: missing.who,
    };
    ConfigAltered {
        rights: altered.rights.into_iter().map(right).collect(),
        more: altered.more,
        parts: altered.parts,
        missing: altered.missing.into_iter().map(missing).collect(),
    }
}

fn fault(placed: Placed) -> ConfigFault {
    ConfigFault {
        line: placed.line,
        column: placed.column,
        path: placed.path,
        found: placed.found,
        allowed: placed.allowed,
    }
}

fn faults(all: Vec<Placed>) -> Vec<ConfigFault> {
    all.into_iter().map(fault).collect()
}

fn steps(plan: Vec<Step>) -> Vec<ConfigStep> {
    let one = |step: Step| ConfigStep {
        component: step.component,
        change: step.change,
        effect: step.effect,
        keys: step.keys,
        text: step.text,
    };
    plan.into_iter().map(one).collect()
}

fn shown(trial: Trial) -> ConfigTrial {
    let left = |until: tokio::time::Instant| {
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        left.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
    };
    ConfigTrial {
        state: trial.state.word(),
        by: trial.by,
        began: trial.began.to_string(),
        confirm_seconds: trial.confirm.as_secs(),
        seconds_left: trial.until.map(left),
        text: trial.text,
        plan: steps(trial.plan),
        diff: trial.diff,
        altered: trial.altered.map(altered),
    }
}

fn client(app: &App) -> Result<&SiteFileClient, Problem> {
    app.bus.site_file().ok_or_else(|| refused(SiteFileRefusal::Fixed))
}

fn refused(refusal: SiteFileRefusal) -> Problem {
    let conflict = |reason, text: String| Problem::new(StatusCode::CONFLICT, reason, text);
    match refusal {
        SiteFileRefusal::Blocked(checked) => {
            let text = checked.blocked.unwrap_or_default();
            conflict("process", text).with("plan", value(&steps(checked.plan)))
        }
        SiteFileRefusal::Busy => {
            let text = "the gateway is taking a configuration or stops; ask again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", text).later(2)
        }
        SiteFileRefusal::Changed => changed(),
        SiteFileRefusal::Edit(text) => Problem::bad("path", text),
        SiteFileRefusal::Fault(text) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", text),
        SiteFileRefusal::Faults(checked) => {
            let text = match checked.faults.len() {
                1 => "it has a fault, and nothing was changed".to_owned(),
                n => format!("it has {n} faults, and nothing was changed"),
            };
            Problem::bad("faults", text).with("faults", value(&faults(checked.faults)))
        }
        SiteFileRefusal::Fixed => conflict(
            "fixed",
            "this gateway runs with a site file that is not for editing, as that of a demonstration"
                .to_owned(),
        ),
        SiteFileRefusal::NoTrial => Problem::unknown("nothing is on trial"),
        SiteFileRefusal::NotNow(text) => conflict("not-now", text),
        SiteFileRefusal::ReadOnly(text) => conflict("read-only", text),
        SiteFileRefusal::TrialRuns(text) => conflict("trial", text),
        SiteFileRefusal::Unchanged => conflict(
            "unchanged",
            "the site file says this already, and it is in force".to_owned(),
        ),
    }
}

fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).expect("texts and numbers only")
}

/// What stands in the body: a text, or changes of keys.
fn proposal(ask: &Ask) -> Result<Proposal, Problem> {
    if !ask.is_of(TOML) {
        let edits: ConfigEdits = ask.json()?;
        let edits = edits.changes.into_iter().map(|edit| (edit.path, edit.value));
        return Ok(Proposal::Edits(edits.collect()));
    }
    let text = String::from_utf8(ask.body.clone());
    text.map(Proposal::Whole).map_err(|e| {
        Problem::bad(
            "body",
            format!("body: {}; save the file as UTF-8", e.utf8_error()),
        )
    })
}

/// Why the file on the disk cannot be shown.
fn unreadable(refusal: SiteFileRefusal) -> Problem {
    let SiteFileRefusal::Faults(checked) = refusal else {
        return refused(refusal);
    };
    let text = "the site file on the disk is no TOML, so that nobody can tell what in it is a secret: mend it at the \
                machine, or replace it as a whole with If-Match: *";
    let problem = Problem::new(StatusCode::CONFLICT, "broken", text);
    problem.with("faults", value(&faults(checked.faults)))
}

/// The file as it stands on the disk, without its secrets.
pub(crate) async fn read(app: &App) -> Result<Response, Problem> {
    let file = client(app)?.ask(SiteFileAsk::Read).await.map_err(unreadable)?;
    let mut response = http::Response::new(file.text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(TOML));
    Ok(Etag::of_tag(&file.tag).on(response))
}

/// What a proposal would do.
pub(crate) async fn check(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let proposal = proposal(ask)?;
    let asked = client(app)?.ask(|reply| SiteFileAsk::Check(proposal, reply));
    let Checked {
        altered: whom,
        blocked,
        diff,
        faults: found,
        plan,
        warnings,
    } = asked.await.map_err(refused)?;
    json(
        StatusCode::OK,
        &ConfigCheck {
            good: found.is_empty() && blocked.is_none(),
            blocked,
            faults: faults(found),
            warnings: faults(warnings),
            plan: steps(plan),
            diff,
            altered: whom.map(altered),
        },
    )
}

/// Puts a text, or changes of keys, on trial. The answer comes when that is written down, before it is applied.
pub(crate) async fn put_on_trial(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let seconds = ask.query()?.take_with(&CONFIRM_SECONDS, |text| {
        text.parse().ok().filter(|s| (10..=600).contains(s))
    })?;
    let proposal = proposal(ask)?;
    let condition = Condition::needed(&ask.head.headers)?;
    let client = client(app)?;
    let based_on = if condition.takes_any() {
        None
    } else {
        let now = client.ask(SiteFileAsk::Read).await.map_err(unreadable)?;
        condition.check(Some(&Etag::of_tag(&now.tag)))?;
        Some(now.tag)
    };
    let wish = Wish {
        based_on,
        by: ask.principal()?.name().to_owned(),
        confirm: Duration::from_secs(seconds.unwrap_or(CONFIRM_S)),
        proposal,
    };
    let begun = client.ask(|reply| SiteFileAsk::Try(wish, reply)).await;
    json(StatusCode::ACCEPTED, &shown(begun.map_err(refused)?))
}

/// The trial that is under way, or the last one of this run.
pub(crate) fn trial(app: &App) -> Result<Response, Problem> {
    let trial = client(app)?.trial().ok_or(SiteFileRefusal::NoTrial);
    json(StatusCode::OK, &shown(trial.map_err(refused)?))
}

pub(crate) async fn confirm(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let by = ask.principal()?.name().to_owned();
    let asked = client(app)?.ask(|reply| SiteFileAsk::Confirm(by, reply)).await;
    let told = asked.map_err(|refusal| {
        if refusal != SiteFileRefusal::Changed {
            return refused(refusal);
        }
        let text = "the site file was changed at the machine since the trial began, and is not overwritten; roll back, \
                    read it and decide anew";
        Problem::new(StatusCode::CONFLICT, "changed", text)
    });
    json(StatusCode::OK, &shown(told?))
}

/// The answer comes before it is done: it may start the page anew.
pub(crate) async fn roll_back(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let by = ask.principal()?.name().to_owned();
    let asked = client(app)?.ask(|reply| SiteFileAsk::RollBack(by, reply)).await;
    let trial = asked.map_err(refused)?;
    debug_assert_eq!(trial.state, TrialState::RollingBack);
    json(StatusCode::ACCEPTED, &shown(trial))
}
