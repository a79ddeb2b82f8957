//! The journal in pages, and grouped by ring.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway_core::{Class, Record, RingId, Seq, Timestamp, is_confidential};
use gateway_store::{Filter, Query, ReadFailure, Store};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use warp::reply::Response;

use crate::access::Scope;
use crate::app::App;
use crate::ask::{Ask, json};
use crate::param::{CLASS, DOOR, FROM, KIND, MAX, MAX_RINGS, ORDER, RING, SINCE, SOURCE, TO, UNTIL};
use crate::problem::Problem;
use crate::story::{Story, tell};
use crate::visible::Visible;

/// Records of a page.
const PAGE: usize = 500;
/// Records that one request looks through at most, where no index helps; the rest is the next page.
const WINDOW: u64 = 50_000;
/// Records of one story.
const STORY: usize = 500;
/// Stories of a page.
const STORIES: usize = 50;

/// A page of the journal.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "JournalPage"))]
pub(crate) struct Page {
    #[cfg_attr(test, schemars(with = "Vec<crate::openapi::Record>"))]
    records: Vec<Value>,
    /// Where the next page is; `null` at the end.
    next: Option<String>,
    /// The last durable record.
    durable: u64,
}

/// A page of rings, newest first.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rings {
    rings: Vec<Story>,
    /// Where the next page is; `null` at the end.
    next: Option<String>,
    /// The last durable record.
    durable: u64,
}

/// One ring with all its records.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Ring {
    #[serde(flatten)]
    story: Story,
    #[cfg_attr(test, schemars(with = "Vec<crate::openapi::Record>"))]
    records: Vec<Value>,
}

/// What a request looks for.
#[derive(Debug)]
struct Wanted {
    filter: Filter,
    from: u64,
    max: usize,
    newest_first: bool,
    to: u64,
}

fn wanted(ask: &Ask, durable: u64) -> Result<Wanted, Problem> {
    let mut query = ask.query()?;
    let door = query.take::<String>(&DOOR)?;
    let source = query.take::<String>(&SOURCE)?;
    let wanted = Wanted {
        filter: Filter {
            class: query.take_with(&CLASS, Class::from_word)?,
            kind: query.take(&KIND)?,
            ring: query.take_with(&RING, RingId::parse)?,
            since: query.take::<Timestamp>(&SINCE)?,
            source: door.or(source),
            until: query.take::<Timestamp>(&UNTIL)?,
        },
        from: query.take::<u64>(&FROM)?.unwrap_or(1).max(1),
        max: query
            .take_with(&MAX, |t| t.parse().ok().filter(|n| (1..=PAGE).contains(n)))?
            .unwrap_or(100),
        newest_first: query
            .take_with(&ORDER, |t| match t {
                "asc" => Some(false),
                "desc" => Some(true),
                _ => None,
            })?
            .unwrap_or(false),
        to: query.take::<u64>(&TO)?.unwrap_or(durable).min(durable),
    };
    Ok(wanted)
}

/// Runs a look-up on its own thread; few at a time, since each may read the disk.
pub(crate) async fn look_up<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Store) -> Result<T, ReadFailure> + Send + 'static,
) -> Result<T, Problem> {
    let fault = |text: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", text);
    let turn = app.lookups.acquire().await;
    let _turn = turn.map_err(|_| fault("the gateway stops".into()))?;
    let store = app.bus.store().clone();
    let done = tokio::task::spawn_blocking(move || work(&store)).await;
    let result = done.map_err(|_| fault("the journal could not be read, see the log".into()))?;
    result.map_err(|e| fault(format!("{e}: {}; `doorline journal verify` says more", e.source)))
}

pub(crate) fn durable(app: &App) -> u64 {
    app.bus.store().durable().borrow().0
}

pub(crate) async fn page(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let durable = durable(app);
    let wanted = wanted(ask, durable)?;
    let rights = &ask.principal()?.rights;
    let mut visible = Visible::new(rights.clone());
    // that there is another page would say that there is something
    let kind = wanted.filter.kind.as_deref();
    let hidden = kind.is_some_and(is_confidential) && !rights.allows(Scope::Admin);
    let (from, to) = window(&wanted);
    let query = Query {
        filter: wanted.filter.clone(),
        from: Seq(from),
        max: wanted.max,
        newest_first: wanted.newest_first,
        to: Seq(to),
    };
    let view = app.view();
    let (found, shown) = look_up(app, move |store| {
        let found = if hidden { Vec::new() } else { store.find(&query)? };
        let shown = visible.of(store, &view, &found)?;
        Ok((found, shown))
    })
    .await?;
    let next = following(&wanted, (from, to), &found);
    let page = Page {
        records: shown.iter().map(|r| gateway_store::json(r)).collect(),
        next: next.map(|(from, to)| link("/api/v1/journal", &ask.head.query, from, to)),
        durable,
    };
    json(StatusCode::OK, &page)
}

/// The part of the range that this request looks through.
fn window(wanted: &Wanted) -> (u64, u64) {
    let indexed = wanted.filter.ring.is_some() || wanted.filter.source.is_some();
    let (from, to) = (wanted.from, wanted.to);
    if indexed || to.saturating_sub(from) < WINDOW {
        (from, to)
    } else if wanted.newest_first {
        (to - WINDOW + 1, to)
    } else {
        (from, from + WINDOW - 1)
    }
}

/// The range of the next page.
fn following(wanted: &Wanted, window: (u64, u64), found: &[Arc<Record>]) -> Option<(u64, u64)> {
    let full = found.len() >= wanted.max;
    let (from, to) = if wanted.newest_first {
        let oldest = if full { found.last()?.seq.0 } else { window.0 };
        (wanted.from, oldest.checked_sub(1)?)
    } else {
        let newest = if full { found.last()?.seq.0 } else { window.1 };
        (newest + 1, wanted.to)
    };
    (from <= to && from > 0 && to > 0).then_some((from, to))
}

/// The same query with another range.
pub(crate) fn link(path: &str, query: &str, from: u64, to: u64) -> String {
    let kept = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !name.is_empty() && name != "from" && name != "to"
    });
    let mut all: Vec<_> = kept.map(str::to_owned).collect();
    all.push(format!("from={from}"));
    all.push(format!("to={to}"));
    format!("{path}?{}", all.join("&"))
}

pub(crate) async fn ring(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let ring = RingId::parse(ask.captured(0)).ok_or_else(|| Problem::unknown("a ring id is a UUID"))?;
    let mut visible = Visible::new(ask.principal()?.rights.clone());
    let view = app.view();
    let found = look_up(app, move |store| {
        let all = of_ring(store, ring)?;
        let records = visible.of(store, &view, &all)?;
        Ok((story(store, ring, &records)?, records))
    });
    let (story, records) = found.await?;
    if records.is_empty() {
        return Err(Problem::unknown("the journal has no such ring"));
    }
    let answer = Ring {
        story,
        records: records.iter().map(|r| gateway_store::json(r)).collect(),
    };
    json(StatusCode::OK, &answer)
}

/// The story of these records; the next start of the gateway ends one that has no end.
fn story(store: &Store, ring: RingId, records: &[Arc<Record>]) -> Result<Story, ReadFailure> {
    let mut story = tell(ring, records);
    if let Some(last) = story.open_after()
        && let Some(start) = start_after(store, last)?
    {
        story.cut_off(&start);
    }
    Ok(story)
}

/// The first start of the gateway after a record.
pub(crate) fn start_after(store: &Store, last: u64) -> Result<Option<Arc<Record>>, ReadFailure> {
    let starts = store.find(&Query {
        filter: Filter {
            kind: Some("gateway.started".into()),
            ..Filter::default()
        },
        from: Seq(last + 1),
        max: 1,
        ..Query::default()
    })?;
    Ok(starts.into_iter().next())
}

pub(crate) fn of_ring(store: &Store, ring: RingId) -> Result<Vec<Arc<Record>>, ReadFailure> {
    store.find(&Query {
        filter: Filter {
            ring: Some(ring),
            ..Filter::default()
        },
        max: STORY,
        ..Query::default()
    })
}

/// The newest stories first.
pub(crate) async fn rings(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let durable = durable(app);
    let mut query = ask.query()?;
    let max = query
        .take_with(&MAX_RINGS, |t| {
            t.parse::<usize>().ok().filter(|n| (1..=STORIES).contains(n))
        })?
        .unwrap_or(20);
    let to = query.take::<u64>(&TO)?.unwrap_or(durable).min(durable);
    let from = query.take::<u64>(&FROM)?.unwrap_or(1).max(1);
    let low = to.saturating_sub(WINDOW - 1).max(from);
    let mut visible = Visible::new(ask.principal()?.rights.clone());
    let view = app.view();
    let (rings, next) = look_up(app, move |store| {
        let begun = begun(store, low, to, max)?;
        let full = begun.len() >= max;
        let oldest = if full {
            begun.last().map_or(low, |r| r.seq.0)
        } else {
            low
        };
        let mut stories = Vec::new();
        let mut told = BTreeSet::new();
        for ring in begun.iter().filter_map(|r| r.ring) {
            if told.insert(ring) {
                let all = of_ring(store, ring)?;
                let records = visible.of(store, &view, &all)?;
                if !records.is_empty() {
                    stories.push(story(store, ring, &records)?);
                }
            }
        }
        Ok((stories, (oldest > from).then(|| oldest - 1)))
    })
    .await?;
    let answer = Rings {
        rings,
        next: next.map(|to| link("/api/v1/rings", &ask.head.query, from, to)),
        durable,
    };
    json(StatusCode::OK, &answer)
}

/// The records that begin a story, newest first.
fn begun(store: &Store, from: u64, to: u64, max: usize) -> Result<Vec<Arc<Record>>, ReadFailure> {
    let mut all = Vec::new();
    for kind in ["panel.ring", "call.asked", "call.incoming"] {
        all.extend(store.find(&Query {
            filter: Filter {
                kind: Some(kind.into()),
                ..Filter::default()
            },
            from: Seq(from),
            max,
            newest_first: true,
            to: Seq(to),
        })?);
    }
    all.sort_by_key(|r| std::cmp::Reverse(r.seq));
    all.truncate(max);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(from: u64, to: u64, newest_first: bool) -> Wanted {
        Wanted {
            filter: Filter::default(),
            from,
            max: 2,
            newest_first,
            to,
        }
    }

    fn records(seqs: &[u64]) -> Vec<Arc<Record>> {
        let record = |seq: &u64| {
            Arc::new(Record {
                at: Timestamp::UNIX_EPOCH,
                fields: Vec::new(),
                kind: "door.opened".into(),
                ring: None,
                schema: 1,
                seq: Seq(*seq),
                simulated: false,
                source: "front".into(),
            })
        };
        seqs.iter().map(record).collect()
    }

    #[test]
    fn pages_follow_each_other_without_gap_and_end() {
        let next = |w: &Wanted, seqs: &[u64]| following(w, window(w), &records(seqs));
        assert_eq!(next(&wanted(1, 9, false), &[1, 4]), Some((5, 9)));
        assert_eq!(next(&wanted(5, 9, false), &[7]), None);
        assert_eq!(next(&wanted(1, 9, true), &[9, 4]), Some((1, 3)));
        assert_eq!(next(&wanted(1, 3, true), &[2]), None);
        assert_eq!(next(&wanted(1, 9, true), &[2, 1]), None);
        assert_eq!(next(&wanted(1, 0, false), &[]), None);
        let long = wanted(1, 3 * WINDOW, false);
        assert_eq!(next(&long, &[]), Some((WINDOW + 1, 3 * WINDOW)));
        let back = wanted(1, 3 * WINDOW, true);
        assert_eq!(next(&back, &[]), Some((1, 2 * WINDOW)));
    }

    #[test]
    fn a_link_keeps_what_was_asked() {
        let text = link("/api/v1/journal", "kind=door&from=1&max=2&to=9", 5, 9);
        assert_eq!(text, "/api/v1/journal?kind=door&max=2&from=5&to=9");
    }
}
