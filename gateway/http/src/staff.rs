//! People and their credentials, for administrators: `/api/v1/people`, and why a door opens or not.
//!
//! A list shows cards and numbers masked; an export shows them whole, with digests of codes and PINs. Lines are taken
//! as `doorline people import` takes them, as many as fit into a request.

use std::sync::Arc;

use gateway_core::UserEvent;
use gateway_people::{Form, Import, People, PeopleError, ask_of};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use warp::reply::Response;

use crate::app::App;
use crate::dispatch::{Ask, json as answer};
use crate::people::not_kept;
use crate::problem::Problem;

fn people(app: &App) -> Result<&People, Problem> {
    let none = || {
        let text = "people cannot be changed here; the health page says why";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", text)
    };
    app.bus.people().ok_or_else(none)
}

fn refused(error: &PeopleError) -> Problem {
    if let PeopleError::Put(error) = error {
        not_kept(error)
    } else if let PeopleError::Unknown { .. } = error {
        Problem::unknown(error.to_string())
    } else {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", error.to_string())
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

pub(crate) async fn list(app: &App) -> Result<Response, Problem> {
    answer(StatusCode::OK, &json!({ "people": people(app)?.list().await }))
}

pub(crate) async fn export(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let mut query = ask.query()?;
    let form = query.take_with("format", "csv or json", |text| match text {
        "csv" => Some(Form::Csv),
        "json" => Some(Form::Json),
        _ => None,
    })?;
    query.finish()?;
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
    let lines: Value = ask.json()?;
    let mut query = ask.query()?;
    let flag = |text: &str| (text == "1").then_some(true);
    let how = Import {
        dry_run: query.take_with("dry-run", "1", flag)?.unwrap_or(false),
        replace: query.take_with("replace", "1", flag)?.unwrap_or(false),
    };
    query.finish()?;
    // one person is a list of one
    let lines = if lines.is_array() { lines } else { json!([lines]) };
    let note = note(app, ask)?;
    let imported = people(app)?.import(lines.to_string(), how, |report| note(report.to_string()));
    let report = match imported.await {
        Ok(report) => report,
        Err(PeopleError::Faults { count, faults, .. }) => {
            let faults: Vec<Value> = faults
                .iter()
                .map(|f| json!({ "line": f.line, "column": f.column, "text": f.text }))
                .collect();
            let told = json!({ "reason": "faults", "count": count, "faults": faults });
            return answer(StatusCode::BAD_REQUEST, &told);
        }
        Err(error) => return Err(refused(&error)),
    };
    let codes: Vec<Value> = report
        .made
        .iter()
        .map(|made| json!({ "line": made.line, "credential": made.credential, "code": made.digits.reveal() }))
        .collect();
    let counts = |counts: [usize; 3]| json!({ "new": counts[0], "changed": counts[1], "removed": counts[2] });
    let told = json!({
        "lines": report.lines,
        "people": counts(report.people),
        "credentials": counts(report.credentials),
        "codes": codes,
    });
    answer(StatusCode::OK, &told)
}

pub(crate) async fn remove_person(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let id = ask.captured(0);
    let (note, text) = (note(app, ask)?, format!("person {id} was removed"));
    let removed = people(app)?.remove_person(id, |_| note(text)).await;
    removed.map_err(|e| refused(&e))?;
    Ok(no_content())
}

pub(crate) async fn remove_credential(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let id = ask.captured(0);
    let (note, text) = (note(app, ask)?, format!("credential {id} was withdrawn"));
    let removed = people(app)?.remove_credential(id, |_| note(text)).await;
    removed.map_err(|e| refused(&e))?;
    Ok(no_content())
}

pub(crate) async fn explain(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let question = ask_of(&ask.json::<Value>()?).map_err(|text| Problem::bad("body", text))?;
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
    let told = json!({
        "allowed": told.allowed,
        "rule": told.rule,
        "subject": told.subject.to_string(),
        "changes": told.changes.map(|at| at.to_string()),
    });
    answer(StatusCode::OK, &told)
}
