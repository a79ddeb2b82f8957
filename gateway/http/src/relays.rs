//! Relays that are there to be set, and alarms that are to be confirmed. Neither opens anything.

use std::time::Duration;

use gateway_core::{AlarmId, Command, RelayId, RelaySet};
use serde::Deserialize;
use warp::reply::Response;

use crate::app::App;
use crate::ask::Ask;
#[cfg(test)]
use crate::ask::never_null;
use crate::doors::{CommandBody, command, give};
use crate::problem::Problem;

/// How a relay is set.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum RelayState {
    /// At rest.
    Off,
    /// Active, until further notice or for `for_s`.
    On,
    /// The other way round than it is.
    Toggle,
}

/// What a relay is to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RelayCommand", transform = never_null))]
pub(crate) struct RelayBody {
    /// When it was meant, RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: Option<String>,
    /// With `on`: for how many seconds, 1 to 86400; without it until further notice. `null` is no time, and refused.
    #[cfg_attr(test, schemars(range(min = 1, max = 86400)))]
    for_s: Option<u64>,
    /// A repetition of it is refused.
    #[cfg_attr(test, schemars(extend("pattern" = "^[!-~]{1,64}$")))]
    id: Option<String>,
    /// How.
    state: RelayState,
}

/// Relays belong to no door, so that it needs all of them.
pub(crate) async fn set(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let relay = RelayId::new(ask.captured(0)).map_err(|e| Problem::unknown(e.to_string()))?;
    let principal = ask.principal()?;
    principal.need_all_doors()?;
    let body: RelayBody = ask.command()?;
    let set = match (body.state, body.for_s) {
        (RelayState::On, Some(time)) if (1..=RelaySet::LONGEST.as_secs()).contains(&time) => {
            RelaySet::For(Duration::from_secs(time))
        }
        (RelayState::On, Some(time)) => {
            let text = format!(
                "\"for_s\" is {time}, allowed are 1 to {}",
                RelaySet::LONGEST.as_secs()
            );
            return Err(Problem::bad("for_s", text));
        }
        (RelayState::Off | RelayState::Toggle, Some(_)) => {
            return Err(Problem::bad(
                "for_s",
                "\"for_s\" has a meaning with \"state\": \"on\" only",
            ));
        }
        (RelayState::On, None) => RelaySet::On,
        (RelayState::Off, None) => RelaySet::Off,
        (RelayState::Toggle, None) => RelaySet::Toggle,
    };
    let times = CommandBody {
        at: body.at,
        id: body.id,
    };
    give(app, ask, principal, Command::SetRelay { relay, set }, &times).await
}

/// Alarms belong to no door, so that it needs all of them.
pub(crate) async fn confirm(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let alarm = AlarmId::new(ask.captured(0)).map_err(|e| Problem::unknown(e.to_string()))?;
    let principal = ask.principal()?;
    principal.need_all_doors()?;
    command(app, ask, principal, Command::ConfirmAlarm { alarm }).await
}
