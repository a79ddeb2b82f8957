//! The certificate of page and API: shown, and given over the API. Its key is taken and never shown.

use std::io;
use std::path::{Path, PathBuf};

use gateway_core::{Secret, UserEvent};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use crate::app::App;
use crate::ask::{Ask, json};
use crate::etag::{Condition, Etag};
use crate::origin::host_name;
use crate::params::Tls;
use crate::problem::Problem;
use crate::tls::{self, Served};

/// A certificate that is to be served.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NewCertificate {
    /// Chain as PEM, the gateway's own certificate first, at most ten.
    #[cfg_attr(test, schemars(length(min = 1, max = 50_000)))]
    certificate: String,
    /// Private key of the first one as PEM, not encrypted. It is never given out.
    #[cfg_attr(test, schemars(length(min = 1, max = 20_000)))]
    key: String,
}

/// The certificate that new connections get.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Certificate {
    /// `files` (of the site file), `own` (made by the gateway) or `uploaded`
    from: &'static str,
    /// Whose it is.
    subject: String,
    /// Who vouches for it; the same as `subject` where nobody else does.
    issuer: String,
    /// Host names and addresses that it is for.
    names: Vec<String>,
    /// Is the host of this request among them? If not, browsers warn.
    covers_host: bool,
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    not_before: String,
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    not_after: String,
    /// SHA-256, as a browser shows it.
    fingerprint: String,
    /// What has to be done about it; `null` if nothing has.
    fault: Option<String>,
}

/// What is served; without TLS there is nothing.
fn served(app: &App) -> Result<Served, Problem> {
    let served = app.served();
    served.ok_or_else(|| Problem::unknown("TLS is off: set http.tls = true in the site file"))
}

fn tag(served: &Served) -> Etag {
    Etag::of_text(&format!("{} {}", served.from.word(), served.shown.fingerprint))
}

fn answer(app: &App, ask: &Ask, status: StatusCode) -> Result<Response, Problem> {
    let served = served(app)?;
    let host = ask.head.headers.get(header::HOST);
    let host = host.and_then(|value| host_name(value.to_str().ok()?));
    let (etag, fault) = (tag(&served), served.fault(app.date()));
    let shown = served.shown;
    let answer = Certificate {
        from: served.from.word(),
        covers_host: host.is_some_and(|host| shown.covers(host)),
        subject: shown.subject,
        issuer: shown.issuer,
        names: shown.names,
        not_before: shown.not_before.to_string(),
        not_after: shown.not_after.to_string(),
        fingerprint: shown.fingerprint,
        fault,
    };
    Ok(etag.on(json(status, &answer)?))
}

pub(crate) fn read(app: &App, ask: &Ask) -> Result<Response, Problem> {
    answer(app, ask, StatusCode::OK)
}

/// Where an uploaded one is kept.
fn state_dir(app: &App) -> Result<&Path, Problem> {
    match &app.params.tls {
        Tls::Files { cert, .. } => Err(Problem::new(
            StatusCode::CONFLICT,
            "files",
            format!(
                "the site file names the certificate (http.cert-file, {}): put the new one there and send SIGHUP (systemctl \
                 reload doorline), or take http.cert-file and http.key-file out of the site file",
                cert.display()
            ),
        )),
        Tls::Off => Err(Problem::new(
            StatusCode::CONFLICT,
            "no-tls",
            "TLS is off: set http.tls = true in the site file first",
        )),
        Tls::SelfSigned { state_dir, .. } => Ok(state_dir),
    }
}

fn not_kept(error: &io::Error) -> Problem {
    let text = format!(
        "the certificate in force stays, the state folder cannot be written: {error}; see its disk and rights"
    );
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", text)
}

/// Runs what waits for the disk.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| not_kept(&error)),
        Err(_) => Err(not_kept(&io::Error::other("the gateway stops"))),
    }
}

pub(crate) async fn replace(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let condition = Condition::needed(&ask.head.headers)?;
    let NewCertificate { certificate, key } = ask.json()?;
    let key = Secret::new(key);
    let dir: PathBuf = state_dir(app)?.to_owned();
    let _edits = app.edits.lock().await;
    condition.check(Some(&tag(&served(app)?)))?;
    let shown = tls::check(&certificate, &key, app.date())
        .map_err(|refused| Problem::bad(refused.part, format!("{}: {}", refused.part, refused.text)))?;
    on_disk(move || tls::keep(&dir, &certificate, &key)).await?;
    app.reload_tls()
        .map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", error.in_full()))?;
    let by = ask.principal()?.name().to_owned();
    let (end, names) = (shown.not_after.to_string(), shown.names.join(" "));
    app.journal(UserEvent::CertificateReplaced { by, end, names });
    answer(app, ask, StatusCode::OK)
}

pub(crate) async fn remove(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let condition = Condition::of(&ask.head.headers)?;
    let dir: PathBuf = state_dir(app)?.to_owned();
    let _edits = app.edits.lock().await;
    condition.check(Some(&tag(&served(app)?)))?;
    if !on_disk(move || tls::remove(&dir)).await? {
        return Err(Problem::unknown(
            "no certificate was uploaded; the gateway serves its own",
        ));
    }
    app.reload_tls()
        .map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", error.in_full()))?;
    let by = ask.principal()?.name().to_owned();
    app.journal(UserEvent::CertificateRemoved { by });
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
