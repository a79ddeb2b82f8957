//! Cards for controllers of somebody else.

use gateway_access::card_frame;
use gateway_core::{Command, ControllerId};
use serde::Deserialize;
use warp::reply::Response;

use crate::app::App;
use crate::ask::Ask;
#[cfg(test)]
use crate::ask::never_null;
use crate::doors::{CommandBody, give};
use crate::problem::Problem;

/// A card that is sent to a controller.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CardCommand", transform = never_null))]
pub(crate) struct CardBody {
    /// When it was meant, RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: Option<String>,
    /// `26:FACILITY,NUMBER` (also 33, 34, 35, 37, 46, 48 and 50 bits), `37:NUMBER`, `BITS:hex:DIGITS` or `ibutton:SERIAL`. It goes out as it is.
    card: String,
    /// A repetition of it is refused.
    #[cfg_attr(test, schemars(extend("pattern" = "^[!-~]{1,64}$")))]
    id: Option<String>,
}

/// What it opens is none of the doors here, so that it needs all of them.
pub(crate) async fn card(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let controller = ControllerId::new(ask.captured(0)).map_err(|e| Problem::unknown(e.to_string()))?;
    let principal = ask.principal()?;
    principal.need_all_doors()?;
    let body: CardBody = ask.command()?;
    // what was sent is not said again: it may be somebody's card
    let card = card_frame(&body.card).map_err(|_| {
        let allowed = "\"card\" is no card: 26:FACILITY,NUMBER, BITS:hex:DIGITS or ibutton:SERIAL, such as 26:123,04567";
        Problem::bad("card", allowed)
    })?;
    let times = CommandBody {
        at: body.at,
        id: body.id,
    };
    give(
        app,
        ask,
        principal,
        Command::SendCard { card, controller },
        &times,
    )
    .await
}
