//! Doors, panels and calls: what they are, and what may be asked of them.

use std::time::Duration;

use gateway_bus::Bus;
use gateway_core::{
    AnnounceTo, AnnouncementId, ButtonId, Command, CommandId, CommandReply, CommandRequest, DoorGroupId,
    DoorId, Given, Instant, PanelId, PersonId, Refusal, RingId,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use crate::access::Principal;
use crate::app::App;
#[cfg(test)]
use crate::ask::never_null;
use crate::ask::{Ask, json};
use crate::parse;
use crate::password::random;
use crate::problem::Problem;
use crate::quota::BURST;
use crate::wire;

/// Longest time for which a door can be held open: a day.
const MAX_MINUTES: u64 = 1440;

/// When a command was made, and which one it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Command", transform = never_null))]
pub(crate) struct CommandBody {
    /// When it was meant, RFC 3339: one that is too old or of the future is refused. Without it, now.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub(crate) at: Option<String>,
    /// A repetition of it is refused. `Idempotency-Key` goes before it; without both, one is drawn.
    #[cfg_attr(test, schemars(extend("pattern" = "^[!-~]{1,64}$")))]
    pub(crate) id: Option<String>,
}

/// An opening, for anybody unless a visitor's ring is named.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "OpenCommand", transform = never_null))]
pub(crate) struct OpenBody {
    /// When it was meant, RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: Option<String>,
    /// A repetition of it is refused.
    #[cfg_attr(test, schemars(extend("pattern" = "^[!-~]{1,64}$")))]
    id: Option<String>,
    /// Opens only for whoever rang so, at a panel of this door, and for no longer after it than its `visitor-s`.
    #[cfg_attr(test, schemars(extend("format" = "uuid")))]
    ring_id: Option<String>,
}

/// Who hears an announcement.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "AnnounceCommand", transform = never_null))]
pub(crate) struct AnnounceBody {
    /// When it was meant, RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: Option<String>,
    /// A repetition of it is refused.
    #[cfg_attr(test, schemars(extend("pattern" = "^[!-~]{1,64}$")))]
    id: Option<String>,
    /// `door`: whoever stands at the panel; `phone`: whoever has its call, and nobody at it; `both`: whoever stands there, and whoever
    /// has the call if somebody has. Without it `door`. `null` is nobody, and refused.
    #[cfg_attr(test, schemars(extend("enum" = ["both", "door", "phone"])))]
    to: Option<String>,
}

/// Whose position is forgotten; everybody's unless a person is named.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "PassbackCommand", transform = never_null))]
pub(crate) struct PassbackBody {
    /// When it was meant, RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: Option<String>,
    /// A repetition of it is refused.
    #[cfg_attr(test, schemars(extend("pattern" = "^[!-~]{1,64}$")))]
    id: Option<String>,
    /// Whose; without it everybody's. `null` is nobody, and refused.
    person: Option<String>,
}

/// A lockdown, of the whole site unless a group is named.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LockdownCommand", transform = never_null))]
pub(crate) struct LockdownBody {
    /// When it was meant, RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: Option<String>,
    /// A group of doors; without it the whole site. `null` is no group, and refused.
    group: Option<String>,
    /// A repetition of it is refused.
    #[cfg_attr(test, schemars(extend("pattern" = "^[!-~]{1,64}$")))]
    id: Option<String>,
}

/// For how long a door is held open.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "HoldCommand", transform = never_null))]
pub(crate) struct HoldBody {
    /// When it was meant, RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: Option<String>,
    /// A repetition of it is refused.
    #[cfg_attr(test, schemars(extend("pattern" = "^[!-~]{1,64}$")))]
    id: Option<String>,
    /// Minutes from now, 1 to 1440; the door may allow less.
    #[cfg_attr(test, schemars(range(min = 1, max = 1440)))]
    minutes: u64,
}

/// For how long the bells of a panel call nobody.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "QuietCommand", transform = never_null))]
pub(crate) struct QuietBody {
    /// When it was meant, RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: Option<String>,
    /// A repetition of it is refused.
    #[cfg_attr(test, schemars(extend("pattern" = "^[!-~]{1,64}$")))]
    id: Option<String>,
    /// Minutes from now, 1 to 1440; without it until it is ended. `null` is no time, and refused.
    #[cfg_attr(test, schemars(range(min = 1, max = 1440)))]
    minutes: Option<u64>,
}

/// For how long who rings at a panel is let in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RingToOpenCommand", transform = never_null))]
pub(crate) struct RingToOpenBody {
    /// When it was meant, RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: Option<String>,
    /// A repetition of it is refused.
    #[cfg_attr(test, schemars(extend("pattern" = "^[!-~]{1,64}$")))]
    id: Option<String>,
    /// Minutes from now, 1 to 1440; the panel may allow less.
    #[cfg_attr(test, schemars(range(min = 1, max = 1440)))]
    minutes: u64,
}

/// A command was carried out, and the record that says so is on the medium.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Done<'a> {
    /// `ok`
    status: &'static str,
    /// Of the command.
    id: &'a str,
    /// Of the record.
    seq: u64,
    /// The ring that it began or ended.
    ring_id: Option<String>,
}

/// All doors that may be seen.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Doors<'a> {
    /// The record that this picture follows.
    seq: u64,
    doors: Vec<wire::Door<'a>>,
}

/// The calls that run.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Calls<'a> {
    /// The record that this picture follows.
    seq: u64,
    calls: Vec<wire::Call<'a>>,
}

pub(crate) fn doors(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let view = app.view();
    let list = Doors {
        seq: view.seq.0,
        doors: wire::doors(&view, &ask.principal()?.rights, app.clock.now()),
    };
    json(StatusCode::OK, &list)
}

pub(crate) fn door(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let id = door_id(ask)?;
    let principal = ask.principal()?;
    principal.need_door(&id)?;
    let view = app.view();
    let found = view.doors.iter().find(|d| d.id == id);
    let door = found.ok_or_else(|| no_door(&id))?;
    json(
        StatusCode::OK,
        &wire::door(door, &principal.rights, app.clock.now()),
    )
}

pub(crate) fn calls(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let view = app.view();
    let list = Calls {
        seq: view.seq.0,
        calls: wire::calls(&view, &ask.principal()?.rights),
    };
    json(StatusCode::OK, &list)
}

pub(crate) async fn open(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let door = door_id(ask)?;
    let principal = ask.principal()?;
    principal.need_door(&door)?;
    let body: OpenBody = ask.command_if_any()?;
    let unread = || Problem::bad("ring_id", "\"ring_id\" is not the id of a ring");
    let ring = body.ring_id.as_deref().map(RingId::parse);
    let ring = ring.map(|ring| ring.ok_or_else(unread)).transpose()?;
    let command = match ring {
        Some(ring) => Command::OpenFor { door, ring },
        None => Command::Open { door },
    };
    let times = CommandBody {
        at: body.at,
        id: body.id,
    };
    give(app, ask, principal, command, &times).await
}

fn for_minutes(minutes: u64) -> Result<Duration, Problem> {
    if (1..=MAX_MINUTES).contains(&minutes) {
        return Ok(Duration::from_secs(minutes * 60));
    }
    let text = format!("\"minutes\" is {minutes}, allowed are 1 to {MAX_MINUTES}");
    Err(Problem::bad("minutes", text))
}

/// Holds a door open for some minutes.
pub(crate) async fn hold(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let door = door_id(ask)?;
    let principal = ask.principal()?;
    principal.need_door(&door)?;
    let body: HoldBody = ask.command()?;
    let time = for_minutes(body.minutes)?;
    let times = CommandBody {
        at: body.at,
        id: body.id,
    };
    give(app, ask, principal, Command::Hold { door, time }, &times).await
}

pub(crate) async fn end_hold(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let door = door_id(ask)?;
    let principal = ask.principal()?;
    principal.need_door(&door)?;
    command(app, ask, principal, Command::EndHold { door }).await
}

/// Has an announcement of the site file heard at a panel.
pub(crate) async fn announce(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: AnnounceBody = ask.command_if_any()?;
    let announcement = AnnouncementId::new(ask.captured(1)).map_err(|e| Problem::unknown(e.to_string()))?;
    let to = body
        .to
        .as_deref()
        .map_or(Some(AnnounceTo::Door), AnnounceTo::from_word);
    let to = to.ok_or_else(|| Problem::bad("to", "\"to\" is \"both\", \"door\" or \"phone\""))?;
    let (panel, principal) = (panel_of(app, ask)?, ask.principal()?);
    let command = Command::Announce {
        announcement,
        panel,
        to,
    };
    let times = CommandBody {
        at: body.at,
        id: body.id,
    };
    give(app, ask, principal, command, &times).await
}

/// Has a panel call those of a button, though nobody rings there.
pub(crate) async fn call(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let (panel, button, principal) = (panel_of(app, ask)?, button_of(ask)?, ask.principal()?);
    let button = Some(button);
    command(app, ask, principal, Command::Call { button, panel }).await
}

pub(crate) async fn press(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let (panel, button, principal) = (panel_of(app, ask)?, button_of(ask)?, ask.principal()?);
    command(app, ask, principal, Command::Press { button, panel }).await
}

fn button_of(ask: &Ask) -> Result<ButtonId, Problem> {
    ButtonId::new(ask.captured(1)).map_err(|e| Problem::unknown(e.to_string()))
}

/// Do-not-disturb of a panel.
pub(crate) async fn quiet(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: QuietBody = ask.command_if_any()?;
    if body.minutes.is_some_and(|minutes| !(1..=1440).contains(&minutes)) {
        return Err(Problem::bad(
            "minutes",
            "allowed: 1 to 1440, or none until it is ended",
        ));
    }
    let (panel, principal) = (panel_of(app, ask)?, ask.principal()?);
    let time = body.minutes.map(|minutes| Duration::from_secs(minutes * 60));
    let times = CommandBody {
        at: body.at,
        id: body.id,
    };
    give(app, ask, principal, Command::Quiet { panel, time }, &times).await
}

pub(crate) async fn end_quiet(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let (panel, principal) = (panel_of(app, ask)?, ask.principal()?);
    command(app, ask, principal, Command::EndQuiet { panel }).await
}

/// Lets in who rings at a panel, for some minutes. That needs each of its doors.
pub(crate) async fn ring_to_open(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let (panel, principal) = (panel_of(app, ask)?, ask.principal()?);
    let view = app.view();
    for door in view
        .panels
        .iter()
        .filter(|p| p.id == panel)
        .flat_map(|p| &p.doors)
    {
        principal.need_door(door)?;
    }
    let body: RingToOpenBody = ask.command()?;
    let time = for_minutes(body.minutes)?;
    let times = CommandBody {
        at: body.at,
        id: body.id,
    };
    give(app, ask, principal, Command::RingToOpen { panel, time }, &times).await
}

pub(crate) async fn end_ring_to_open(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let (panel, principal) = (panel_of(app, ask)?, ask.principal()?);
    command(app, ask, principal, Command::EndRingToOpen { panel }).await
}

/// A panel that the one who asks may see.
fn panel_of(app: &App, ask: &Ask) -> Result<PanelId, Problem> {
    let panel = PanelId::new(ask.captured(0)).map_err(|e| Problem::unknown(e.to_string()))?;
    let principal = ask.principal()?;
    let view = app.view();
    let shown = view.panels.iter().find(|p| p.id == panel);
    if !shown.is_some_and(|p| principal.rights.covers_panel(p)) {
        return Err(Problem::unknown(format!("there is no panel {panel} here")));
    }
    Ok(panel)
}

pub(crate) async fn hang_up(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let text = ask.captured(0);
    let ring = RingId::parse(text).ok_or_else(|| Problem::unknown("a ring id is a UUID"))?;
    let principal = ask.principal()?;
    let view = app.view();
    if principal.rights.doors.is_some() {
        let call = view.calls.iter().find(|c| c.ring == ring);
        if !call.is_some_and(|c| wire::shows_call(&view, &principal.rights, c)) {
            return Err(Problem::unknown("there is no such call at your doors"));
        }
    }
    command(app, ask, principal, Command::HangUp { ring }).await
}

/// Areas belong to no door, so that it needs all of them.
pub(crate) async fn reset_passback(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let body: PassbackBody = ask.command_if_any()?;
    let person = body.person.as_deref().map(PersonId::new).transpose();
    let person = person.map_err(|e| Problem::bad("person", e.to_string()))?;
    let principal = ask.principal()?;
    principal.need_all_doors()?;
    let times = CommandBody {
        at: body.at,
        id: body.id,
    };
    give(app, ask, principal, Command::ResetPassback { person }, &times).await
}

/// Fire opens all doors, so that it needs all of them.
pub(crate) async fn reset_fire(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let principal = ask.principal()?;
    principal.need_all_doors()?;
    command(app, ask, principal, Command::ResetFire).await
}

pub(crate) async fn lockdown(app: &App, ask: &Ask, begin: bool) -> Result<Response, Problem> {
    let body: LockdownBody = ask.command_if_any()?;
    let group = body.group.as_deref().map(DoorGroupId::new).transpose();
    let group = group.map_err(|e| Problem::bad("group", e.to_string()))?;
    let principal = ask.principal()?;
    let view = app.view();
    let found = view.lockdowns.iter().find(|l| l.group == group);
    // who has a list of doors is not told which groups there are
    if let (None, Some(id), None) = (found, &group, &principal.rights.doors) {
        let text = format!("there is no door group {id}; GET /api/v1/site has them under lockdowns");
        return Err(Problem::unknown(text));
    }
    if !found.is_some_and(|l| wire::may_lock(l, &principal.rights)) {
        let whose = group.map_or_else(
            || "the whole site".to_owned(),
            |id| format!("door group {id}, if there is one"),
        );
        let text = format!("this login or token has not all doors of {whose}");
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", text));
    }
    let command = if begin {
        Command::Lockdown { group }
    } else {
        Command::EndLockdown { group }
    };
    let times = CommandBody {
        at: body.at,
        id: body.id,
    };
    give(app, ask, principal, command, &times).await
}

fn door_id(ask: &Ask) -> Result<DoorId, Problem> {
    DoorId::new(ask.captured(0)).map_err(|e| Problem::unknown(e.to_string()))
}

fn no_door(id: &DoorId) -> Problem {
    Problem::unknown(format!("there is no door {id}; GET /api/v1/doors lists them"))
}

pub(crate) async fn command(
    app: &App,
    ask: &Ask,
    principal: &Principal,
    command: Command,
) -> Result<Response, Problem> {
    let body: CommandBody = ask.command_if_any()?;
    give(app, ask, principal, command, &body).await
}

pub(crate) async fn give(
    app: &App,
    ask: &Ask,
    principal: &Principal,
    command: Command,
    body: &CommandBody,
) -> Result<Response, Problem> {
    within_quota(app, principal)?;
    let request = CommandRequest {
        command,
        given: given(body, app.clock.now())?,
        id: command_id(ask, body)?,
        origin: principal.origin(),
        stale_by_transport: false,
    };
    send(&app.bus, request).await
}

/// Refuses one command too many. The first of them is put on record; the others are told to whoever asks, and counted.
fn within_quota(app: &App, principal: &Principal) -> Result<(), Problem> {
    let origin = principal.origin();
    let taken = app.quotas().take(app.clock.now(), &origin.subject.to_string());
    let Err(too_many) = taken else {
        return Ok(());
    };
    let text = format!(
        "too many commands; a login or token may give {BURST} at once and then 20 in a second, try again in a second"
    );
    if too_many.is_first {
        let report = CommandRequest {
            command: Command::Unread {
                reason: Refusal::Overload,
                text: text.clone(),
                times: 1,
            },
            given: Given::Undated,
            id: drawn_id()?,
            origin,
            stale_by_transport: false,
        };
        let bus = app.bus.clone();
        // whoever asked need not wait for the medium
        tokio::spawn(async move { bus.command(report).await });
    }
    Err(Problem::refused(Refusal::Overload, text))
}

/// HTTP delivers at once, so that a command without a time is of this moment.
fn given(body: &CommandBody, now: Instant) -> Result<Given, Problem> {
    let Some(text) = &body.at else {
        return Ok(Given::Live(now));
    };
    let bad = |_| {
        Problem::bad(
            "at",
            "\"at\" is not an RFC 3339 time such as 2026-03-01T12:00:00Z",
        )
    };
    text.parse().map(Given::At).map_err(bad)
}

fn command_id(ask: &Ask, body: &CommandBody) -> Result<CommandId, Problem> {
    let bad = || {
        Problem::bad(
            "id",
            "an id or Idempotency-Key has 1 to 64 visible ASCII characters; a key may stand in double quotes, and has none within it",
        )
    };
    let header = ask.head.headers.get("idempotency-key");
    if let (Some(_), Some(_)) = (header, &body.id) {
        return Err(Problem::bad(
            "id",
            "the command has an id in its body and an Idempotency-Key; send one of them",
        ));
    }
    if let Some(value) = header {
        return value.to_str().ok().and_then(parse::idempotency).ok_or_else(bad);
    }
    if let Some(id) = &body.id {
        return CommandId::new(id).ok_or_else(bad);
    }
    drawn_id()
}

pub(crate) fn drawn_id() -> Result<CommandId, Problem> {
    let random: [u8; 16] = random()?;
    let hex: String = random.iter().map(|b| format!("{b:02x}")).collect();
    Ok(CommandId::new(&hex).expect("32 visible characters"))
}

async fn send(bus: &Bus, request: CommandRequest) -> Result<Response, Problem> {
    let id = request.id.clone();
    match bus.command(request).await {
        CommandReply::Accepted { ring, seq } => json(
            StatusCode::OK,
            &Done {
                status: "ok",
                id: id.as_str(),
                seq: seq.0,
                ring_id: ring.map(|r| r.to_string()),
            },
        ),
        CommandReply::Refused { reason, text } => Err(Problem::refused(reason, text)),
    }
}
