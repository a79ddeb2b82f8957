//! People and their credentials, for administrators: `/api/v1/people`, and why a door opens or not.
//!
//! A list shows cards and numbers masked; an export shows them whole, with digests of codes and PINs. Lines are taken
//! as `doorline people import` takes them, as many as fit into a request.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::UserEvent;
use gateway_people::{Form, Import, People, PeopleError, Report, Shown, ask_of};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use warp::reply::Response;

use crate::app::App;
use crate::ask::{Ask, json as answer};
use crate::etag::{Condition, Etag, changed};
use crate::param::{AFTER, DRY_RUN, FORMAT, MAX, REPLACE};
use crate::parse::escape;
use crate::people::not_kept;
use crate::problem::Problem;

/// Lines of a page.
const PAGE: usize = 500;

/// A page of people, a line for each of their credentials, by their ids.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Everybody {
    #[cfg_attr(test, schemars(with = "Vec<crate::openapi::Line>"))]
    people: Vec<Shown>,
    /// Where the next page is; `null` at the end.
    next: Option<String>,
}

/// One person with all credentials, a line for each.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct OnePerson {
    #[cfg_attr(test, schemars(with = "Vec<crate::openapi::Line>"))]
    lines: Vec<Shown>,
}

/// How many were new, changed and removed.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Counts {
    new: usize,
    changed: usize,
    removed: usize,
}

/// A code that was drawn; it is shown this once.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DrawnCode {
    /// Of the request, from 1.
    line: usize,
    credential: String,
    code: String,
}

/// What a change of people did, or would do.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Imported {
    /// How many there were.
    lines: usize,
    people: Counts,
    credentials: Counts,
    codes: Vec<DrawnCode>,
}

/// What the access decision says.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Explanation {
    allowed: bool,
    /// Which rule said so.
    rule: String,
    /// Who it would be.
    subject: String,
    /// When the answer may be another one, RFC 3339; `null` if time alone does not change it.
    changes: Option<String>,
}

/// What the rules make of an event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Tried {
    /// Those that look at it, by name.
    rules: Vec<TriedRule>,
}

/// What one rule makes of it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TriedRule {
    rule: String,
    acts: bool,
    /// What is asked for, in order.
    actions: Vec<String>,
    /// It would act, and is kept from it.
    held_back: bool,
    /// Why it does not act; empty if it does.
    why: String,
}

/// Further texts of an erasure.
const ALSO: usize = 50;
/// Bytes of one of them.
const ALSO_LEN: usize = 200;
/// An answer about an erasure waits for so long.
const ERASE_TIME: Duration = Duration::from_secs(10);

/// Who is to be erased, once more.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseBody {
    confirm: String,
    /// Names, numbers and cards that were theirs earlier.
    #[serde(default)]
    also: Vec<String>,
}

/// What an erasure did.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Erasure {
    /// Events of the journal that told of the person; `null` as long as it is not finished.
    events: Option<u64>,
    /// False if it goes on.
    finished: bool,
}

fn people(app: &App) -> Result<&People, Problem> {
    let none = || {
        let text = "people cannot be changed here; the health page says why";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", text)
    };
    app.bus.people().ok_or_else(none)
}

fn refused(error: &PeopleError) -> Problem {
    match error {
        PeopleError::Put(error) => not_kept(error),
        PeopleError::OfSiteOnly { .. } | PeopleError::Unknown { .. } => Problem::unknown(error.to_string()),
        PeopleError::Changed { .. } => changed(),
        PeopleError::Faults { count, faults, .. } => {
            let faults: Vec<Value> = faults
                .iter()
                .map(|f| json!({ "line": f.line, "column": f.column, "text": f.text }))
                .collect();
            Problem::bad("faults", error.to_string())
                .with("count", *count)
                .with("faults", faults)
        }
        PeopleError::CoreGone | PeopleError::Random(_) | _ => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", error.to_string())
        }
    }
}

fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Journals what whoever asks has done. It may be called after they went away.
fn note(app: &Arc<App>, ask: &Ask) -> Result<impl FnOnce(String) + Send + 'static + use<>, Problem> {
    let (app, by) = (Arc::clone(app), ask.principal()?.name().to_owned());
    Ok(move |text| app.journal(UserEvent::PeopleChanged { by, text }))
}

/// By person and credential, so that a page goes on after the last line that was seen, whatever came or went meanwhile.
fn place(line: &Shown) -> (&str, &str) {
    (&line.person, &line.credential)
}

pub(crate) async fn list(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let mut query = ask.query()?;
    let split = |text: &str| {
        let (person, credential) = text.split_once('/')?;
        Some((person.to_owned(), credential.to_owned()))
    };
    let after = query.take_with(&AFTER, split)?;
    let max = query
        .take_with(&MAX, |t| t.parse().ok().filter(|n| (1..=PAGE).contains(n)))?
        .unwrap_or(PAGE);
    let mut all = people(app)?.everybody().await;
    all.sort_by(|a, b| place(a).cmp(&place(b)));
    let begin = after.map_or(0, |(person, credential)| {
        all.partition_point(|line| place(line) <= (person.as_str(), credential.as_str()))
    });
    let more = all.len() > begin + max;
    let people: Vec<Shown> = all.into_iter().skip(begin).take(max).collect();
    let last = people.last().filter(|_| more);
    let next = last.map(|line| {
        let (person, credential) = place(line);
        let after = format!("{}%2F{}", escape(person), escape(credential));
        format!("/api/v1/people?max={max}&after={after}")
    });
    answer(StatusCode::OK, &Everybody { people, next })
}

fn nobody(id: &str) -> Problem {
    let shown: String = id.chars().take(60).collect();
    Problem::unknown(format!(
        "there is no person {shown:?}; GET /api/v1/people lists them"
    ))
}

pub(crate) async fn person(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let id = ask.captured(0);
    let found = people(app)?.person(id).await.ok_or_else(|| nobody(id))?;
    let response = answer(StatusCode::OK, &OnePerson { lines: found.lines })?;
    // whom the site file alone names cannot be changed here, but may be added
    Ok(match found.state {
        Some(state) => Etag::of_text(&state).on(response),
        None => response,
    })
}

pub(crate) async fn export(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let mut query = ask.query()?;
    let form = query.take_with(&FORMAT, |text| match text {
        "csv" => Some(Form::Csv),
        "json" => Some(Form::Json),
        _ => None,
    })?;
    let form = form.unwrap_or(Form::Json);
    let note = note(app, ask)?;
    let text = people(app)?.export(form).await;
    note("everybody was exported".to_owned());
    let mut response = Response::new(text.into());
    let kind = match form {
        Form::Csv => "text/csv; charset=utf-8",
        Form::Json => "application/json",
    };
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

pub(crate) async fn import(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let lines = if ask.is_of("text/csv") {
        let text = String::from_utf8(ask.body.clone());
        text.map_err(|_| Problem::bad("body", "the body is no UTF-8 text"))?
    } else {
        let lines = ask.any_json()?;
        // one person is a list of one
        if lines.is_array() {
            lines.to_string()
        } else {
            json!([lines]).to_string()
        }
    };
    let mut query = ask.query()?;
    let flag = |text: &str| (text == "1").then_some(true);
    let how = Import {
        dry_run: query.take_with(&DRY_RUN, flag)?.unwrap_or(false),
        replace: query.take_with(&REPLACE, flag)?.unwrap_or(false),
    };
    let note = note(app, ask)?;
    let imported = people(app)?.import(lines, how, |report| note(report.to_string()));
    told(imported.await)
}

/// Changes a person that is there, or makes one, by lines in which `person` may be left out.
pub(crate) async fn change_person(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let id = ask.captured(0);
    let condition = Condition::of(&ask.head.headers)?;
    let mut lines = match ask.any_json()? {
        Value::Array(lines) => lines,
        one @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            vec![one]
        }
    };
    for line in lines.iter_mut().filter_map(Value::as_object_mut) {
        line.entry("person").or_insert_with(|| id.into());
    }
    let text = Value::Array(lines).to_string();
    let wanted = move |state: Option<&str>| condition.fits(state.map(Etag::of_text).as_ref());
    let note = note(app, ask)?;
    let done = people(app)?.change(id, text, wanted, |report| note(report.to_string()));
    let response = told(done.await)?;
    // as it is from here on; somebody may have been quicker, and then this is theirs
    let now = people(app)?.person(id).await;
    Ok(match now.and_then(|person| person.state) {
        Some(state) => Etag::of_text(&state).on(response),
        None => response,
    })
}

fn told(imported: Result<Report, PeopleError>) -> Result<Response, Problem> {
    let report = imported.map_err(|e| refused(&e))?;
    let counts = |counts: [usize; 3]| Counts {
        new: counts[0],
        changed: counts[1],
        removed: counts[2],
    };
    let code = |made: &gateway_people::NewCode| DrawnCode {
        line: made.line,
        credential: made.credential.clone(),
        code: made.digits.reveal().to_owned(),
    };
    let told = Imported {
        lines: report.lines,
        people: counts(report.people),
        credentials: counts(report.credentials),
        codes: report.made.iter().map(code).collect(),
    };
    answer(StatusCode::OK, &told)
}

pub(crate) async fn remove_person(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let id = ask.captured(0);
    let condition = Condition::of(&ask.head.headers)?;
    let wanted = move |state: Option<&str>| condition.fits(state.map(Etag::of_text).as_ref());
    let (note, text) = (note(app, ask)?, format!("person {id} was removed"));
    let removed = people(app)?.remove_person_if(id, wanted, |_| note(text)).await;
    removed.map_err(|e| refused(&e))?;
    Ok(no_content())
}

pub(crate) async fn erase_person(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let id = ask.captured(0).to_owned();
    let body: EraseBody = ask.json()?;
    if body.confirm != id {
        let text = "confirm must be the id of the person once more; nothing was erased";
        return Err(Problem::bad("confirm", text));
    }
    if body.also.len() > ALSO || body.also.iter().any(|text| text.len() > ALSO_LEN) {
        let text = format!("also takes at most {ALSO} texts of at most {ALSO_LEN} bytes");
        return Err(Problem::bad("also", text));
    }
    let (note, store) = (note(app, ask)?, app.bus.store().clone());
    let people = people(app)?.clone();
    // it goes to its end, also if that, or a change before it, takes longer than an answer may
    let erasing = tokio::spawn(async move {
        let note = move || note("somebody was erased".to_owned());
        people.erase(&store, &id, body.also, note).await
    });
    match tokio::time::timeout(ERASE_TIME, erasing).await {
        Ok(erased) => {
            let erased = erased.unwrap_or(Err(PeopleError::CoreGone));
            let (erased, _) = erased.map_err(|e| refused(&e))?;
            let told = Erasure {
                events: Some(erased.events),
                finished: true,
            };
            answer(StatusCode::OK, &told)
        }
        Err(_) => answer(
            StatusCode::OK,
            &Erasure {
                events: None,
                finished: false,
            },
        ),
    }
}

pub(crate) async fn remove_credential(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let id = ask.captured(0);
    let (note, text) = (note(app, ask)?, format!("credential {id} was withdrawn"));
    let removed = people(app)?.remove_credential(id, |_| note(text)).await;
    removed.map_err(|e| refused(&e))?;
    Ok(no_content())
}

pub(crate) async fn explain(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let question = ask_of(&ask.any_json()?).map_err(|text| Problem::bad("body", text))?;
    if !app
        .bus
        .view()
        .borrow()
        .doors
        .iter()
        .any(|door| door.id == question.door)
    {
        return Err(Problem::unknown(format!(
            "there is no door {:?}",
            question.door.as_str()
        )));
    }
    let silent = || {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "fault",
            "the core does not answer",
        )
    };
    let told = app.bus.explain(question).await.ok_or_else(silent)?;
    let told = Explanation {
        allowed: told.allowed,
        rule: told.rule,
        subject: told.subject.to_string(),
        changes: told.changes.map(|at| at.to_string()),
    };
    answer(StatusCode::OK, &told)
}

/// What the rules would make of an event. Nothing is done.
pub(crate) async fn try_rules(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let question = gateway_bus::try_rules_of(&ask.any_json()?, app.clock.wall());
    let question = question.map_err(|text| Problem::bad("body", text))?;
    let silent = || {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "fault",
            "the core does not answer",
        )
    };
    let told = app.bus.try_rules(question).await.ok_or_else(silent)?;
    let told = told.map_err(|text| Problem::bad("body", text))?;
    let rule = |rule: gateway_core::TriedRule| TriedRule {
        acts: rule.why.is_empty(),
        actions: rule.actions,
        held_back: rule.held_back,
        rule: rule.rule.to_string(),
        why: rule.why,
    };
    let rules = told.into_iter().map(rule).collect();
    answer(StatusCode::OK, &Tried { rules })
}
