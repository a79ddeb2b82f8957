//! For whoever is asked for help: a bundle of what is known of this gateway, and a capture of SIP and headers of RTP.
//!
//! Nothing in it logs in or opens anything: the site file is shown without its secrets, SIP messages without credentials,
//! digits and keys, the journal without what is confidential. It does tell of people: who rang, called and came in.

use std::time::Duration;

use gateway_bus::{Bus, SiteFileAsk};
use gateway_core::{Clock, Seq, is_confidential};
use gateway_trace::{CaptureError, CaptureState, Trace};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use warp::Reply as _;
use warp::reply::Response;

use crate::app::App;
#[cfg(test)]
use crate::ask::never_null;
use crate::ask::{Ask, json};
use crate::problem::Problem;
use crate::tar::Tar;

/// Records of the journal in a bundle, the newest.
const RECORDS: u64 = 2000;
/// Length of a capture, unless said otherwise.
const LENGTH_S: u64 = 120;

/// How long to capture.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(transform = never_null))]
pub(crate) struct CaptureBody {
    /// It ends by itself after so long, 1 to 600 s; 120 unless said.
    #[cfg_attr(test, schemars(range(min = 1, max = 600)))]
    seconds: Option<u64>,
}

/// How the capture is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CaptureShown {
    began: String,
    /// Size of its file.
    bytes: usize,
    /// It ended because it was full (6 MiB).
    full: bool,
    packets: u64,
    running: bool,
    /// Until it ends by itself; null if it has ended.
    seconds_left: Option<u64>,
}

fn shown(state: &CaptureState) -> CaptureShown {
    CaptureShown {
        began: state.began.to_string(),
        bytes: state.bytes,
        full: state.full,
        packets: state.packets,
        running: state.left.is_some(),
        seconds_left: state
            .left
            .map(|left| left.as_secs() + u64::from(left.subsec_nanos() > 0)),
    }
}

fn trace(app: &App) -> Result<&Trace, Problem> {
    app.bus.trace().ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "fault",
            "there is no SIP engine to be looked at",
        )
    })
}

fn refused(error: CaptureError) -> Problem {
    match error {
        CaptureError::Length(_) => Problem::bad("seconds", error.to_string()),
        CaptureError::None => Problem::unknown(error.to_string()),
        CaptureError::Busy(_) => Problem::new(StatusCode::CONFLICT, "busy", error.to_string()),
    }
}

pub(crate) fn begin(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: CaptureBody = ask.command_if_any()?;
    let length = Duration::from_secs(body.seconds.unwrap_or(LENGTH_S));
    let state = trace(app)?.begin(length).map_err(refused)?;
    json(StatusCode::OK, &shown(&state))
}

pub(crate) fn end(app: &App) -> Result<Response, Problem> {
    let state = trace(app)?.end().map_err(refused)?;
    json(StatusCode::OK, &shown(&state))
}

pub(crate) fn state(app: &App) -> Result<Response, Problem> {
    let state = trace(app)?.state().map_err(refused)?;
    json(StatusCode::OK, &shown(&state))
}

pub(crate) fn capture(app: &App) -> Result<Response, Problem> {
    let file = trace(app)?.file().map_err(refused)?;
    Ok(download(file, "application/vnd.tcpdump.pcap", "doorline.pcap"))
}

pub(crate) async fn get(app: &App) -> Result<Response, Problem> {
    let metrics = crate::status::metrics_text(app);
    let bundle = bundle(&app.bus, app.clock.as_ref(), &app.params.version, Some(metrics)).await;
    Ok(download(bundle, "application/x-tar", "doorline-support.tar"))
}

pub(crate) fn download(bytes: Vec<u8>, kind: &'static str, name: &str) -> Response {
    let mut response = http::Response::new(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

const README: &str = "\
A support bundle of a Doorline gateway. What is in it:

versions.txt      program and system
config.toml       the site file; each secret is <kept: NAME>
health.txt        what stands in the way, and how the journal is
site.txt          doors, lines, accounts, calls and faults as the gateway sees them
journal.jsonl     the newest 2000 events, without what is confidential
metrics.txt       Prometheus metrics; not if there is no page
sip-ladder.txt    the last calls, an arrow for each message
sip-messages.txt  the last SIP messages; credentials, keys of media and typed digits are taken out
capture.pcap      SIP and headers of RTP between start and stop, if there was a capture; no audio

It tells of people: who rang, was called, came in. Give it to nobody who need not know that.
";

/// Everything that is known of a running gateway, as a tar file. What cannot be had is told in the place of its file.
pub async fn bundle(bus: &Bus, clock: &dyn Clock, version: &str, metrics: Option<String>) -> Vec<u8> {
    let mut tar = Tar::new(clock.wall().as_second());
    tar.add("README.txt", README.as_bytes());
    tar.add("versions.txt", versions(clock, version).as_bytes());
    let config = match bus.site_file() {
        None => "# this gateway runs with a site file that is not for reading\n".to_owned(),
        Some(file) => match file.ask(SiteFileAsk::Read).await {
            Ok(file) => file.text,
            Err(error) => format!("# the site file cannot be shown: {error:?}\n"),
        },
    };
    tar.add("config.toml", config.as_bytes());
    let view = bus.view().borrow().clone();
    tar.add("site.txt", format!("{view:#?}\n").as_bytes());
    let journal = bus.store().health().borrow().clone();
    tar.add("health.txt", health(&view.faults, &journal).as_bytes());
    tar.add("journal.jsonl", records(bus).await.as_bytes());
    if let Some(metrics) = metrics {
        tar.add("metrics.txt", metrics.as_bytes());
    }
    if let Some(trace) = bus.trace() {
        tar.add("sip-ladder.txt", trace.ladder().as_bytes());
        tar.add("sip-messages.txt", trace.messages().as_bytes());
        if let Ok(file) = trace.file() {
            tar.add("capture.pcap", &file);
        }
    }
    tar.done()
}

fn versions(clock: &dyn Clock, version: &str) -> String {
    let read = |path: &str| {
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let up = clock.now().as_nanos() / 1_000_000_000;
    format!(
        "doorline {version}\narchitecture {}\nkernel {}\nmachine up for {up} s\nmade {}\n{}\n",
        std::env::consts::ARCH,
        read("/proc/version"),
        clock.wall(),
        read("/etc/os-release"),
    )
}

fn health(faults: &[gateway_core::Fault], journal: &gateway_store::Health) -> String {
    let mut text = if faults.is_empty() {
        "no fault\n".to_owned()
    } else {
        String::new()
    };
    for fault in faults {
        text += &format!("{}: {}\n", fault.part, fault.text);
    }
    text + &format!(
        "journal: {}, {} records wait, {} were lost {}\n",
        if journal.ok { "ok" } else { "fault" },
        journal.buffered,
        journal.lost,
        journal.text
    )
}

/// The newest events, one JSON object a line.
async fn records(bus: &Bus) -> String {
    let store = bus.store().clone();
    let last = store.durable().borrow().0;
    let from = Seq(last.saturating_sub(RECORDS - 1).max(1));
    let most = usize::try_from(RECORDS).unwrap_or(usize::MAX);
    let read = tokio::task::spawn_blocking(move || store.read(from, most)).await;
    let records = match read {
        Ok(Ok(records)) => records,
        Ok(Err(error)) => return format!("{{\"unreadable\":{:?}}}\n", error.to_string()),
        Err(_) => return "{\"unreadable\":\"the gateway stops\"}\n".to_owned(),
    };
    let mut text = String::new();
    for record in records.iter().filter(|record| !is_confidential(&record.kind)) {
        text += &gateway_store::json_text(record);
        text.push('\n');
    }
    text
}
