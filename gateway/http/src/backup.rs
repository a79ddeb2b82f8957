//! A backup over the API: what the gateway is made of, encrypted with a passphrase that comes with the request.
//!
//! A restore is not offered here: it takes the place of users and tokens, that of whoever asks among them, and needs the
//! gateway to stand still. `doorline restore` does it at the machine.

use gateway_bus::BackupRefused;
use gateway_core::{Secret, UserEvent};
use http::StatusCode;
use serde::Deserialize;
use warp::reply::Response;

use crate::app::App;
use crate::ask::Ask;
use crate::problem::Problem;
use crate::support::download;

/// What a backup is encrypted with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BackupBody {
    /// At least 12 characters. Whoever has it and the file has every secret of the site.
    #[cfg_attr(test, schemars(length(min = 12, max = 1024)))]
    passphrase: String,
}

pub(crate) async fn make(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: BackupBody = ask.json()?;
    let passphrase = Secret::new(body.passphrase);
    let by = ask.principal()?.name().to_owned();
    let fault = |text: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", text);
    let make = app.bus.backup().cloned().ok_or_else(|| {
        fault("this gateway runs with a site file of its own and has nothing to be kept".to_owned())
    })?;
    // its key costs as much as several logins: it waits in their line
    let turn = app.hasher.turn(true).await?;
    let made = turn.run(move || make(&passphrase)).await?;
    let bytes = made.map_err(|refused| match refused {
        BackupRefused::Passphrase(text) => Problem::bad("passphrase", text),
        BackupRefused::Fault(text) => fault(text),
    })?;
    app.journal(UserEvent::BackupMade { by });
    Ok(download(bytes, "application/octet-stream", "doorline.backup"))
}
