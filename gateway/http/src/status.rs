//! Health, site and metrics.

use gateway_core::{AccountState, LockState, SiteView};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use warp::Reply as _;
use warp::reply::Response;

use crate::access::Scope;
use crate::app::App;
use crate::ask::{Ask, json};
use crate::metrics::{Family, Text};
use crate::problem::Problem;
use crate::wire;

/// Whether anything stands in the way.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Health<'a> {
    /// `ok` or `fault`
    status: &'static str,
    /// Only for who may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<Vec<wire::FaultRow<'a>>>,
    /// Only for who may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<Journal>,
}

/// How the journal is.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "JournalHealth"))]
pub(crate) struct Journal {
    ok: bool,
    durable: u64,
    buffered: u64,
    lost: u64,
    text: String,
}

/// The whole picture, as far as the one who asks may see it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Site<'a> {
    version: &'a str,
    language: &'static str,
    #[serde(flatten)]
    view: wire::View<'a>,
}

/// 200 if nothing is wrong, else 503; the faults themselves only for who may read.
pub(crate) fn health(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let view = app.view();
    let journal = app.bus.store().health().borrow().clone();
    let ok = view.faults.is_empty() && journal.ok;
    let reads = ask.known().is_some_and(|p| p.rights.allows(Scope::Read));
    let answer = Health {
        status: if ok { "ok" } else { "fault" },
        faults: reads.then(|| wire::faults(&view.faults)),
        journal: reads.then(|| Journal {
            ok: journal.ok,
            durable: app.bus.store().durable().borrow().0,
            buffered: journal.buffered,
            lost: journal.lost,
            text: journal.text,
        }),
    };
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, &answer)
}

pub(crate) fn site(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let view = app.view();
    let site = Site {
        version: &app.params.version,
        language: app.params.language.code(),
        view: wire::view(&view, &ask.principal()?.rights, app.clock.now()),
    };
    json(StatusCode::OK, &site)
}

/// The text format of Prometheus, version 0.0.4.
pub(crate) fn metrics(app: &App) -> Response {
    let mut response = http::Response::new(metrics_text(app)).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}

/// The same as text.
pub(crate) fn metrics_text(app: &App) -> String {
    let mut text = Text::default();
    let view = app.view();
    let info = Family {
        help: "Version and instance; the value is always 1.",
        kind: "gauge",
        name: "doorline_build_info",
    };
    let labels = [
        ("version", app.params.version.as_str()),
        ("instance", view.instance.as_str()),
    ];
    text.sample(&info, &labels, 1);
    site_metrics(&view, &mut text);
    let journal = app.bus.store().health().borrow().clone();
    let durable = app.bus.store().durable().borrow().0;
    text.gauge(
        "doorline_journal_ok",
        "1 if the last write reached the medium.",
        journal.ok.into(),
    );
    text.gauge("doorline_journal_durable_seq", "Last durable record.", durable);
    text.gauge(
        "doorline_journal_buffered",
        "Records that wait for the medium.",
        journal.buffered,
    );
    text.counter(
        "doorline_journal_lost_total",
        "Records that found no room in the queue before the medium, and are in no journal.",
        journal.lost,
    );
    for metric in app.bus.metrics() {
        text.metric(metric);
    }
    app.metrics.write(&mut text);
    let open = app.places.open() as u64;
    text.gauge("doorline_http_connections", "Open connections.", open);
    let sessions = app.sessions().count(app.clock.now()) as u64;
    text.gauge("doorline_http_sessions", "Logged-in browsers.", sessions);
    text.done()
}

fn site_metrics(view: &SiteView, text: &mut Text) {
    let lock = Family {
        help: "State of the lock: 1 for the state it is in.",
        kind: "gauge",
        name: "doorline_door_lock",
    };
    for door in &view.doors {
        for state in LockState::ALL {
            let labels = [("door", door.id.as_str()), ("state", state.word())];
            text.sample(&lock, &labels, (door.lock == *state).into());
        }
    }
    for (name, help, value) in [
        (
            "doorline_door_available",
            "1 if a permitted person can open the door.",
            (|d| d.available) as fn(&gateway_core::DoorView) -> bool,
        ),
        ("doorline_door_forced", "1 if the door was forced open.", |d| {
            d.forced
        }),
        (
            "doorline_door_held_open",
            "1 if the door is open for too long.",
            |d| d.held_open,
        ),
        (
            "doorline_door_hold",
            "1 if the door is held open on purpose.",
            |d| d.hold.is_some(),
        ),
        (
            "doorline_door_lockdown",
            "1 if nobody is let in because of a lockdown.",
            |d| d.lockdown,
        ),
    ] {
        let family = Family {
            help,
            kind: "gauge",
            name,
        };
        for door in &view.doors {
            text.sample(&family, &[("door", door.id.as_str())], value(door).into());
        }
    }
    let account = Family {
        help: "1 if the registration is usable.",
        kind: "gauge",
        name: "doorline_account_registered",
    };
    for a in &view.accounts {
        let usable = a.state == AccountState::Registered;
        text.sample(&account, &[("account", a.id.as_str())], usable.into());
    }
    text.gauge("doorline_faults", "Faults that stand.", view.faults.len() as u64);
    let fault = Family {
        help: "1 for each part with a fault that stands.",
        kind: "gauge",
        name: "doorline_fault",
    };
    for f in &view.faults {
        text.sample(&fault, &[("part", f.part.as_str())], 1);
    }
    let burns = view.fire.is_some_and(|fire| fire.alarm);
    text.gauge(
        "doorline_fire_alarm",
        "1 while doors are open for a fire alarm that nobody has reset.",
        burns.into(),
    );
    text.gauge("doorline_calls", "Calls in progress.", view.calls.len() as u64);
}
