//! Reports: who opened which door when, a detail record of each call, and how doors and panels did.
//!
//! Everybody sees what the journal shows them (`visible.rs`); names of people are for administrators. One request looks
//! through a bounded part of the journal, and says where the next one goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway_core::{Class, Factor, Record, RingId, Seq, SiteView, Timestamp};
use gateway_reports::{
    CALL_COLUMNS, Call, Choice, DOOR_COLUMNS, OPENING_COLUMNS, Opening, Statistics, begun, call, line,
    opening,
};
use gateway_store::{Filter, Query, ReadFailure, Store};
use http::{HeaderValue, StatusCode, header};
use jiff::tz::TimeZone;
use serde::Serialize;
use warp::reply::Response;

use crate::access::Scope;
use crate::app::App;
use crate::ask::{Ask, json};
use crate::journal::{durable, link, look_up, of_ring, start_after};
use crate::param::{BY, CLASS, DOOR, FORMAT, FROM, MAX_CALLS, MAX_ROWS, REFUSED, SINCE, TO, UNTIL, WHO};
use crate::parse;
use crate::problem::Problem;
use crate::visible::Visible;

/// Records that one request looks through at most.
const WINDOW: u64 = 200_000;
/// Records that are in memory at once.
const STEP: usize = 1000;
/// Lines of a list; of CSV, which is for programs, as many as may be.
const LINES: usize = 100;
const ROWS: usize = 10_000;
/// Calls of a list: each is looked up by itself.
const CALLS: usize = 500;

/// One opening or refusal.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ReportedOpening"))]
pub(crate) struct OpeningRow {
    seq: u64,
    at: String,
    door: String,
    /// `granted`, `held`, `by-panel` or `refused`.
    result: &'static str,
    /// Means: `card`, `code`, `digits` and so on; `null` if the panel opened its own lock.
    by: Option<String>,
    /// Who, such as `person:alice`.
    who: String,
    /// Name of the person, for administrators.
    name: Option<String>,
    /// Which rule, or the reason of a refusal.
    why: String,
    ring_id: Option<String>,
    simulated: bool,
}

/// A page of openings, newest first.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Openings {
    openings: Vec<OpeningRow>,
    /// Where the next page is; `null` at the end.
    next: Option<String>,
}

/// One call.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CallRecord"))]
pub(crate) struct CallRow {
    ring_id: String,
    /// `from-door`: somebody rang; `to-door`: somebody called the door; `alarm`: somebody was called about an alarm.
    direction: &'static str,
    /// The alarm that it was about.
    alarm: Option<String>,
    panel: Option<String>,
    button: Option<String>,
    caller: Option<String>,
    /// Who was called, in order.
    targets: Vec<String>,
    answered_by: Option<String>,
    transferred_to: Vec<String>,
    began: String,
    answered: Option<String>,
    ended: Option<String>,
    /// From the begin to the answer.
    ring_ms: Option<i64>,
    talk_ms: Option<i64>,
    /// `unknown` if the call was cut off before anybody answered.
    outcome: Option<String>,
    /// `gateway-restarted` if the gateway was killed or lost its power meanwhile; then it ended by the next start.
    cause: Option<String>,
    /// Packets of speech that came, of all legs that are over.
    received: Option<i64>,
    /// Packets of speech that did not come.
    lost: Option<i64>,
    /// Interarrival jitter (RFC 3550) of the worst leg.
    jitter_us: Option<i64>,
    /// The longest round trip that a leg's reports told.
    round_trip_us: Option<i64>,
    /// `*` for each key that was pressed.
    digits: String,
    /// Doors that it opened.
    opened: Vec<String>,
    simulated: bool,
}

/// A page of calls, newest first.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CallRecords {
    calls: Vec<CallRow>,
    /// Where the next page is; `null` at the end.
    next: Option<String>,
}

/// How one door did.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DoorRow {
    door: String,
    granted: u64,
    refused: u64,
    /// Openings by means.
    by_means: std::collections::BTreeMap<String, u64>,
    /// How often its contact opened.
    opened: u64,
    forced: u64,
    held_open: u64,
    /// Openings in each hour of the site's day, from midnight on; 24 numbers.
    per_hour: Vec<u64>,
    /// Openings by day of the site's time zone.
    per_day: std::collections::BTreeMap<String, u64>,
}

/// How one panel did.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PanelRow {
    panel: String,
    rings: u64,
    answered: u64,
    /// Half of the answers came within this; `null` if there was none.
    median_answer_ms: Option<u32>,
}

/// How doors and panels did.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Figures {
    doors: Vec<DoorRow>,
    panels: Vec<PanelRow>,
    /// False if there are more records than one request looks through: `next` counts the rest.
    complete: bool,
    next: Option<String>,
}

impl OpeningRow {
    fn of(opening: Opening) -> Self {
        Self {
            seq: opening.seq,
            at: opening.at.to_string(),
            door: opening.door,
            result: opening.result.word(),
            by: opening.by,
            who: opening.who,
            name: (!opening.name.is_empty()).then_some(opening.name),
            why: opening.why,
            ring_id: opening.ring.map(|ring| ring.to_string()),
            simulated: opening.simulated,
        }
    }
}

impl CallRow {
    fn of(call: Call) -> Self {
        let ring_ms = call.ring_ms();
        Self {
            ring_id: call.ring.to_string(),
            direction: call.direction(),
            alarm: call.alarm,
            panel: call.panel,
            button: call.button,
            caller: call.caller,
            targets: call.targets,
            answered_by: call.answered_by,
            transferred_to: call.transferred_to,
            began: call.began.to_string(),
            answered: call.answered.map(|at| at.to_string()),
            ended: call.ended.map(|at| at.to_string()),
            ring_ms,
            talk_ms: call.talk_ms,
            outcome: call.outcome,
            cause: call.cause,
            received: call.received,
            lost: call.lost,
            jitter_us: call.jitter_us,
            round_trip_us: call.round_trip_us,
            digits: call.digits,
            opened: call.opened,
            simulated: call.simulated,
        }
    }
}

/// What is asked for by every report.
struct Asked {
    csv: bool,
    door: Option<String>,
    from: u64,
    since: Option<Timestamp>,
    to: u64,
    until: Option<Timestamp>,
}

fn asked(query: &mut parse::Query, durable: u64) -> Result<Asked, Problem> {
    let csv = query.take_with(&FORMAT, |text| match text {
        "csv" => Some(true),
        "json" => Some(false),
        _ => None,
    })?;
    Ok(Asked {
        csv: csv.unwrap_or(false),
        door: query.take::<String>(&DOOR)?,
        from: query.take::<u64>(&FROM)?.unwrap_or(1).max(1),
        since: query.take::<Timestamp>(&SINCE)?,
        to: query.take::<u64>(&TO)?.unwrap_or(durable).min(durable),
        until: query.take::<Timestamp>(&UNTIL)?,
    })
}

impl Asked {
    /// The part of the journal that one request looks through, from its newest end or from its oldest.
    fn window(&self, newest_first: bool) -> (u64, u64) {
        if newest_first {
            (self.to.saturating_sub(WINDOW - 1).max(self.from), self.to)
        } else {
            (self.from, self.to.min(self.from.saturating_add(WINDOW - 1)))
        }
    }

    fn filter(&self, kind: &str, source: Option<&String>) -> Filter {
        Filter {
            kind: Some(kind.to_owned()),
            since: self.since,
            source: source.cloned(),
            until: self.until,
            ..Filter::default()
        }
    }
}

/// CSV, with where the next part is in `Link` (RFC 8288).
fn csv(text: String, next: Option<&str>) -> Response {
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    if let Some(next) = next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok()) {
        headers.insert(header::LINK, next);
    }
    response
}

/// Goes backwards through records that somebody may see, until there are enough.
fn backwards(
    store: &Store,
    view: &SiteView,
    visible: &mut Visible,
    (low, high): (u64, u64),
    filter: &Filter,
    each: &mut dyn FnMut(&Record) -> bool,
) -> Result<Option<u64>, ReadFailure> {
    let mut to = high;
    while to >= low && to > 0 {
        let found = store.find(&Query {
            filter: filter.clone(),
            from: Seq(low),
            max: STEP,
            newest_first: true,
            to: Seq(to),
        })?;
        let Some(oldest) = found.last().map(|record| record.seq.0) else {
            break;
        };
        for record in visible.of(store, view, &found)? {
            if !each(&record) {
                return Ok(Some(record.seq.0));
            }
        }
        if found.len() < STEP {
            break;
        }
        to = oldest.saturating_sub(1);
    }
    Ok(None)
}

fn name_of(store: &Store, person: &str) -> String {
    let entry = store.records().get(gateway_people::PERSON, person);
    entry
        .and_then(|entry| entry.value["name"].as_str().map(str::to_owned))
        .unwrap_or_default()
}

pub(crate) async fn openings(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let mut query = ask.query()?;
    let asked = asked(&mut query, durable(app))?;
    let choice = Choice {
        by: query.take_with(&BY, Factor::from_word)?,
        door: asked.door.clone(),
        refused: query
            .take_with(&REFUSED, |text| (text == "1").then_some(true))?
            .unwrap_or(false),
        who: query.take::<String>(&WHO)?,
    };
    let usual = if asked.csv { ROWS } else { LINES };
    let max = query
        .take_with(&MAX_ROWS, |t| t.parse().ok().filter(|n| (1..=ROWS).contains(n)))?
        .unwrap_or(usual);
    let rights = &ask.principal()?.rights;
    let named = rights.allows(Scope::Admin);
    let mut visible = Visible::new(rights.clone());
    let view = app.view();
    let window = asked.window(true);
    let filter = asked.filter("door", asked.door.as_ref());
    let (rows, stopped) = look_up(app, move |store| {
        let mut rows: Vec<Opening> = Vec::new();
        let stopped = backwards(store, &view, &mut visible, window, &filter, &mut |record| {
            let Some(mut found) = opening(record).filter(|found| choice.fits(found)) else {
                return true;
            };
            if named && let Some(person) = found.person() {
                found.name = name_of(store, person);
            }
            rows.push(found);
            rows.len() < max
        })?;
        Ok((rows, stopped))
    })
    .await?;
    let next = following(&asked, window, stopped)
        .map(|to| link("/api/v1/reports/openings", &ask.head.query, asked.from, to));
    if asked.csv {
        let mut text = line(&OPENING_COLUMNS);
        for row in &rows {
            text += &line(&row.cells());
        }
        return Ok(csv(text, next.as_deref()));
    }
    let openings = rows.into_iter().map(OpeningRow::of).collect();
    json(StatusCode::OK, &Openings { openings, next })
}

/// Records as a file.
pub(crate) async fn events(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let mut query = ask.query()?;
    let asked = asked(&mut query, durable(app))?;
    let class = query.take_with(&CLASS, Class::from_word)?;
    let max = query
        .take_with(&MAX_ROWS, |t| t.parse().ok().filter(|n| (1..=ROWS).contains(n)))?
        .unwrap_or(ROWS);
    let mut visible = Visible::new(ask.principal()?.rights.clone());
    let view = app.view();
    let window = asked.window(true);
    let filter = Filter {
        class,
        kind: None,
        ..asked.filter("", asked.door.as_ref())
    };
    let as_csv = asked.csv;
    let (text, stopped) = look_up(app, move |store| {
        let mut text = String::new();
        let mut rows = 0;
        if as_csv {
            text.push_str(gateway_store::CSV_HEAD);
        }
        let stopped = backwards(store, &view, &mut visible, window, &filter, &mut |record| {
            if as_csv {
                text += &gateway_store::csv_line(record);
            } else {
                text += &gateway_store::json_text(record);
                text.push('\n');
            }
            rows += 1;
            rows < max
        })?;
        Ok((text, stopped))
    })
    .await?;
    let next = following(&asked, window, stopped)
        .map(|to| link("/api/v1/reports/events", &ask.head.query, asked.from, to));
    let mut response = csv(text, next.as_deref());
    if !as_csv {
        let kind = HeaderValue::from_static("application/x-ndjson");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(response)
}

/// Where the next page ends, of pages that go backwards.
fn following(asked: &Asked, (low, _): (u64, u64), stopped: Option<u64>) -> Option<u64> {
    let to = match stopped {
        Some(last) => last - 1,
        None => low - 1,
    };
    (to >= asked.from && to > 0).then_some(to)
}

pub(crate) async fn calls(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let mut query = ask.query()?;
    let asked = asked(&mut query, durable(app))?;
    let max = query
        .take_with(&MAX_CALLS, |t| t.parse().ok().filter(|n| (1..=CALLS).contains(n)))?
        .unwrap_or(if asked.csv { CALLS } else { LINES });
    let mut visible = Visible::new(ask.principal()?.rights.clone());
    let view = app.view();
    let window = asked.window(true);
    // a call of no door is no call of this one
    let of_alarms = asked.door.is_none().then_some("alarm.called");
    let kinds = ["panel.ring", "call"].into_iter().chain(of_alarms);
    let begin: Vec<Filter> = kinds.map(|kind| asked.filter(kind, None)).collect();
    let (rows, stopped) = look_up(app, move |store| {
        let mut rings: Vec<(u64, RingId, Option<Record>)> = Vec::new();
        let mut stops = None;
        for filter in begin {
            let mut found = 0;
            let stopped = backwards(store, &view, &mut visible, window, &filter, &mut |record| {
                let begins = matches!(
                    record.kind.as_str(),
                    "panel.ring" | "call.asked" | "call.incoming" | "call.rejected"
                );
                if let Some(ring) = record.ring.filter(|_| begins) {
                    rings.push((record.seq.0, ring, None));
                    found += 1;
                } else if let Some(ring) = begun(record) {
                    rings.push((record.seq.0, ring, Some(record.clone())));
                    found += 1;
                }
                found < max
            })?;
            stops = stops.max(stopped);
        }
        // newest first, and none that begins before where one of the kinds stopped: the next page has it
        rings.sort_by_key(|(seq, ..)| std::cmp::Reverse(*seq));
        rings.retain(|(seq, ..)| stops.is_none_or(|stop| *seq >= stop));
        let more = rings.get(max).map(|_| rings[max - 1].0);
        rings.truncate(max);
        let mut told = BTreeSet::new();
        let mut rows = Vec::new();
        for (_, ring, by_alarm) in rings {
            if told.insert(ring) {
                let all = of_ring(store, ring)?;
                let seen = visible.of(store, &view, &all)?;
                let mut row = call(ring, by_alarm.iter().chain(seen.iter().map(Arc::as_ref)));
                if let Some(open) = row.as_mut().filter(|call| call.ended.is_none())
                    && let Some(last) = all.last()
                    && let Some(start) = start_after(store, last.seq.0)?
                {
                    open.cut_off(start.at);
                }
                rows.extend(row);
            }
        }
        Ok((rows, more.or(stops)))
    })
    .await?;
    let rows: Vec<Call> = rows
        .into_iter()
        .filter(|call| {
            let door = asked.door.as_ref();
            door.is_none_or(|door| call.is_about(door, |panel| serves(app, panel, door)))
        })
        .collect();
    let next = following(&asked, window, stopped)
        .map(|to| link("/api/v1/reports/calls", &ask.head.query, asked.from, to));
    if asked.csv {
        let mut text = line(&CALL_COLUMNS);
        for row in &rows {
            text += &line(&row.cells());
        }
        return Ok(csv(text, next.as_deref()));
    }
    let calls = rows.into_iter().map(CallRow::of).collect();
    json(StatusCode::OK, &CallRecords { calls, next })
}

/// Does this panel serve this door?
fn serves(app: &App, panel: &str, door: &str) -> bool {
    let view = app.view();
    let mut panels = view.panels.iter().filter(|of| of.id.as_str() == panel);
    panels.any(|panel| panel.doors.iter().any(|id| id.as_str() == door))
}

pub(crate) async fn doors(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let mut query = ask.query()?;
    let asked = asked(&mut query, durable(app))?;
    let zone = TimeZone::get(&app.params.network.time_zone).unwrap_or(TimeZone::UTC);
    let mut visible = Visible::new(ask.principal()?.rights.clone());
    let view = app.view();
    let (low, high) = asked.window(false);
    let mut filter = asked.filter("door", asked.door.as_ref());
    if asked.door.is_none() {
        // rings and answers too
        filter.kind = None;
    }
    let all = look_up(app, move |store| {
        let mut all = Statistics::new(zone);
        let mut from = low;
        while from <= high {
            let found = store.find(&Query {
                filter: filter.clone(),
                from: Seq(from),
                max: STEP,
                newest_first: false,
                to: Seq(high),
            })?;
            let Some(last) = found.last().map(|record| record.seq.0) else {
                break;
            };
            for record in visible.of(store, &view, &found)? {
                all.take(&record);
            }
            if found.len() < STEP {
                break;
            }
            from = last + 1;
        }
        Ok(all)
    })
    .await?;
    let complete = high >= asked.to;
    let next = (!complete).then(|| link("/api/v1/reports/doors", &ask.head.query, high + 1, asked.to));
    if asked.csv {
        let mut text = line(&DOOR_COLUMNS);
        for (name, door) in &all.doors {
            text += &line(&door.cells(name));
        }
        return Ok(csv(text, next.as_deref()));
    }
    let doors = all.doors.into_iter().map(|(name, door)| DoorRow {
        door: name,
        granted: door.granted,
        refused: door.refused,
        by_means: door.by_means,
        opened: door.opened,
        forced: door.forced,
        held_open: door.held_open,
        per_hour: door.per_hour.to_vec(),
        per_day: door
            .per_day
            .into_iter()
            .map(|(day, n)| (day.to_string(), n))
            .collect(),
    });
    let panels = all.panels.into_iter().map(|(name, panel)| PanelRow {
        panel: name,
        rings: panel.rings,
        answered: panel.answered,
        median_answer_ms: panel.median_answer_ms(),
    });
    let figures = Figures {
        doors: doors.collect(),
        panels: panels.collect(),
        complete,
        next,
    };
    json(StatusCode::OK, &figures)
}
