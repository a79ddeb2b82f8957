//! Schedules of the site file: their times, and whether they are in force.

use gateway_access::{InForce, When};
use gateway_bus::ScheduleOutline;
use gateway_core::Timestamp;
use http::StatusCode;
use serde::Serialize;
use warp::reply::Response;

use crate::app::App;
use crate::ask::{Ask, json};
use crate::paging::page;
use crate::problem::Problem;

/// A schedule of the site file.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Schedule {
    #[cfg_attr(test, schemars(with = "crate::openapi::Name"))]
    id: String,
    /// Days and times: `mon-fri 08:00-12:00, 13:00-18:00`.
    times: Vec<String>,
    /// Days on which only the lines of `holiday` count: `12-25`, `2026-04-03`.
    holidays: Vec<String>,
    /// Dates on which other times count: `2026-12-24 08:00-12:00`.
    exceptions: Vec<String>,
    /// `null` while the gateway's clock is not believed: then no schedule is in force.
    in_force: Option<bool>,
    /// When that changes; `null` if it does not within a year, or nobody knows.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    next_change: Option<String>,
}

/// A page of the schedules of the site file. `always` and `never` are there without being written.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Schedules {
    /// Of all their times: a name of the IANA time zone database.
    time_zone: String,
    schedules: Vec<Schedule>,
    /// Where the next page is; `null` at the end.
    next: Option<String>,
}

pub(crate) async fn schedules(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let outline = app.bus.outline();
    let paged = page(ask, outline.schedules.clone(), |one| one.id.to_string())?;
    let wall = app.date();
    let time_zone = outline.time_zone.clone();
    // a schedule that rarely changes is looked up quarter for quarter, through a year
    let looked_up = move || {
        let members = paged.members.into_iter();
        members
            .map(|one| shown(one, &outline.times, wall))
            .collect::<Vec<_>>()
    };
    let schedules = tokio::task::spawn_blocking(looked_up).await.map_err(|_| {
        let text = "the schedules could not be looked up, see the log of the gateway";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", text)
    })?;
    let answer = Schedules {
        time_zone,
        schedules,
        next: paged.next,
    };
    json(StatusCode::OK, &answer)
}

fn shown(one: ScheduleOutline, times: &gateway_access::Schedules, wall: Option<Timestamp>) -> Schedule {
    let when = When::In(one.id.clone());
    let in_force = match times.look(&when, wall) {
        InForce::No => Some(false),
        InForce::Unknown => None,
        InForce::Yes => Some(true),
    };
    let next = wall.and_then(|wall| times.next_change(&when, wall));
    Schedule {
        id: one.id.to_string(),
        times: one.times,
        holidays: one.holidays,
        exceptions: one.exceptions,
        in_force,
        next_change: next.map(|at| at.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_text_of_a_schedule() {
        let of =
            gateway_access::Schedule::new(&["mon-fri 08:00-18:00".parse().expect("times")], vec![], vec![]);
        let id: gateway_core::ScheduleId = "day".parse().expect("a name");
        let times = gateway_access::Schedules::new(jiff::tz::TimeZone::UTC, [(id.clone(), of)].into());
        let one = ScheduleOutline {
            exceptions: vec!["2026-12-24 closed".into()],
            holidays: vec!["12-25".into()],
            id,
            times: vec!["mon-fri 08:00-18:00".into()],
        };
        let text = |wall: Option<&str>| {
            let wall = wall.map(|text| text.parse().expect("a time"));
            serde_json::to_string(&shown(one.clone(), &times, wall)).expect("serialises")
        };
        assert_eq!(
            text(Some("2026-03-02T09:30:00Z")),
            r#"{"id":"day","times":["mon-fri 08:00-18:00"],"holidays":["12-25"],"exceptions":["2026-12-24 closed"],"in_force":true,"next_change":"2026-03-02T18:00:00Z"}"#
        );
        assert_eq!(
            text(None),
            r#"{"id":"day","times":["mon-fri 08:00-18:00"],"holidays":["12-25"],"exceptions":["2026-12-24 closed"],"in_force":null,"next_change":null}"#
        );
    }
}
