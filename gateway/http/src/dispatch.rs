//! From a request to its handler: body, host, origin, login and scope, each at one place.

use std::pin::pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::timeout;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Buf, Filter as _};

use crate::access::Principal;
use crate::app::App;
use crate::ask::{Ask, Head, Peer, json, to_its_end};
use crate::limits::{ANSWER_TIME, READ_TIME};
use crate::origin::{check_host, check_origin};
use crate::problem::Problem;
use crate::route::{Action, Found, Need, Route, find, listing};
use crate::{
    admin, backup, certificate, config, contacts, controllers, devices, doors, hooks, journal, live, login,
    network, page, parse, relays, reports, rules, schedules, staff, status, support,
};

/// Everything that is served.
pub(crate) fn routes(app: Arc<App>) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let head = warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .map(|method, path: warp::path::FullPath, query, headers, peer| Head {
            headers,
            method,
            path: path.as_str().to_owned(),
            peer,
            query,
        })
        .boxed();
    let live_app = app.clone();
    let live = warp::path!("api" / "v1" / "live")
        .and(warp::ws())
        .and(head.clone())
        .then(move |ws: warp::ws::Ws, head: Head| {
            let app = live_app.clone();
            async move { upgrade(&app, ws, head) }
        });
    let rest = head
        .and(warp::body::stream())
        .then(move |head: Head, body| answer(app.clone(), head, body));
    live.or(rest).unify().boxed()
}

/// The WebSocket: the checks of any route, and the origin besides, since browsers do not apply theirs here.
fn upgrade(app: &Arc<App>, ws: warp::ws::Ws, head: Head) -> Response {
    let result = match find(&head.method, &head.path) {
        Found::Route(route, captured) => check_origin(app.own(), &head.headers, cookie_counts(app, &head))
            .and_then(|()| permit(app, route, &head))
            .and_then(|principal| known_query(route, &head).map(|()| principal))
            .and_then(|principal| {
                let ask = Ask {
                    body: Vec::new(),
                    captured,
                    head,
                    principal,
                };
                live::socket(app, ws, &ask)
            }),
        Found::Methods(_) | Found::Nothing => Err(Problem::unknown("no such path")),
    };
    finish(app, "/api/v1/live", result)
}

async fn answer<B: Buf>(
    app: Arc<App>,
    head: Head,
    body: impl Stream<Item = Result<B, warp::Error>> + Send,
) -> Response {
    let (route, captured) = match find(&head.method, &head.path) {
        Found::Route(route, captured) => (route, captured),
        Found::Methods(methods) => return wrong_method(&app, &methods),
        Found::Nothing => {
            let text = "no such path; GET /api/v1 lists them";
            return finish(&app, "unknown", Err(Problem::unknown(text)));
        }
    };
    let result = async {
        let principal = permit(&app, route, &head)?;
        known_query(route, &head)?;
        let body = if route.method == Method::GET {
            Vec::new()
        } else {
            check_origin(app.own(), &head.headers, cookie_counts(&app, &head))?;
            read_in_time(&head, body, route.body_limit()).await?
        };
        let ask = Ask {
            body,
            captured,
            head,
            principal,
        };
        timeout(ANSWER_TIME, handle(&app, route.action, ask))
            .await
            .unwrap_or_else(|_| {
                let text = "no answer within 15 s; the disk or the gateway is stuck, see its log";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fault", text))
            })
    };
    let result = result.await;
    finish(&app, route.pattern, result)
}

/// Parts of the page may be asked for with anything behind them; the API takes what it knows.
fn known_query(route: &Route, head: &Head) -> Result<(), Problem> {
    if !route.pattern.starts_with("/api/") {
        return Ok(());
    }
    parse::Query::parse(&head.query)?.only(route.query)
}

/// The body of a request that changes something; a DELETE has none to look at.
async fn read_in_time<B: Buf>(
    head: &Head,
    body: impl Stream<Item = Result<B, warp::Error>> + Send,
    limit: usize,
) -> Result<Vec<u8>, Problem> {
    if head.method == Method::DELETE {
        return Ok(Vec::new());
    }
    timeout(READ_TIME, read(head, body, limit))
        .await
        .unwrap_or_else(|_| {
            let text = "the body did not arrive within 10 s";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", text))
        })
}

fn wrong_method(app: &App, methods: &[Method]) -> Response {
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    let names = names.join(", ");
    let text = format!("this path takes {names} only");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", text);
    let mut response = finish(app, "unknown", Err(problem));
    if let Ok(value) = HeaderValue::from_str(&names) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

/// A session cookie is what the browser adds by itself; a token is not.
fn cookie_counts(app: &App, head: &Head) -> bool {
    !head.headers.contains_key(header::AUTHORIZATION) && app.cookie(&head.headers).is_some()
}

/// The one place where a route's need is checked.
fn permit(app: &App, route: &Route, head: &Head) -> Result<Option<Principal>, Problem> {
    parse::single(&head.headers)?;
    check_host(app.own(), &head.headers)?;
    match route.need {
        Need::Anybody => Ok(app.principal(&head.headers).ok()),
        Need::Known => app.principal(&head.headers).map(Some),
        Need::Metrics => {
            if head.peer.address.ip().to_canonical().is_loopback() && !forwarded(&head.headers) {
                return Ok(None);
            }
            let principal = app.principal(&head.headers)?;
            principal.need(crate::access::Scope::Read)?;
            // its lines are of all doors
            principal.need_all_doors()?;
            Ok(Some(principal))
        }
        Need::OpenAndOperate => {
            let principal = app.principal(&head.headers)?;
            principal.need(crate::access::Scope::Operate)?;
            principal.need(crate::access::Scope::Open)?;
            Ok(Some(principal))
        }
        Need::Scope(scope) => {
            let principal = app.principal(&head.headers)?;
            principal.need(scope)?;
            Ok(Some(principal))
        }
    }
}

/// A proxy on this machine speaks for somebody elsewhere.
fn forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

async fn read<B: Buf>(
    head: &Head,
    body: impl Stream<Item = Result<B, warp::Error>> + Send,
    limit: usize,
) -> Result<Vec<u8>, Problem> {
    let too_long = || {
        let text = format!("a body has at most {limit} bytes here");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body", text)
    };
    let length = head.headers.get(header::CONTENT_LENGTH);
    let announced = length.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n| n > limit as u64) {
        return Err(too_long());
    }
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(part) = body.next().await {
        let mut part = part.map_err(|e| Problem::bad("body", format!("the body broke off: {e}")))?;
        if bytes.len() + part.remaining() > limit {
            return Err(too_long());
        }
        while part.has_remaining() {
            let chunk = part.chunk();
            let n = chunk.len();
            bytes.extend_from_slice(chunk);
            part.advance(n);
        }
    }
    Ok(bytes)
}

async fn handle(app: &Arc<App>, action: Action, ask: Ask) -> Result<Response, Problem> {
    macro_rules! whole {
        ($change:path) => {{
            let app = Arc::clone(app);
            to_its_end(async move { $change(&app, &ask).await }).await
        }};
    }
    match action {
        Action::Asset => page::asset(&ask),
        Action::Backup => whole!(backup::make),
        Action::Calls => doors::calls(app, &ask),
        Action::Certificate => certificate::read(app, &ask),
        Action::CertificateRemove => whole!(certificate::remove),
        Action::CertificateReplace => whole!(certificate::replace),
        Action::Config => config::read(app).await,
        Action::ConfigCheck => config::check(app, &ask).await,
        Action::ConfigConfirm => config::confirm(app, &ask).await,
        Action::ConfigEdit | Action::ConfigReplace => config::put_on_trial(app, &ask).await,
        Action::ConfigRollBack => config::roll_back(app, &ask).await,
        Action::ConfigTrial => config::trial(app),
        Action::Contact => contacts::contact(app, &ask),
        Action::ContactDelete => whole!(contacts::remove),
        Action::ContactSave => whole!(contacts::save),
        Action::Contacts => contacts::export(app, &ask),
        Action::Devices => devices::devices(app, &ask),
        Action::Directory => contacts::directory(app, &ask),
        Action::CredentialRemove => staff::remove_credential(app, &ask).await,
        Action::Door => doors::door(app, &ask),
        Action::Doors => doors::doors(app, &ask),
        Action::Events => live::events(app, &ask),
        Action::Explain => staff::explain(app, &ask).await,
        Action::HangUp => doors::hang_up(app, &ask).await,
        Action::Health => status::health(app, &ask),
        Action::HoldBegin => doors::hold(app, &ask).await,
        Action::HoldEnd => doors::end_hold(app, &ask).await,
        Action::Hook => hooks::hook(app, ask).await,
        Action::Journal => journal::page(app, &ask).await,
        Action::Live => Err(live::not_a_socket()),
        Action::FireReset => doors::reset_fire(app, &ask).await,
        Action::LockdownBegin => doors::lockdown(app, &ask, true).await,
        Action::LockdownEnd => doors::lockdown(app, &ask, false).await,
        Action::Login => login::login(app, &ask).await,
        Action::Logout => Ok(login::logout(app, &ask)),
        Action::Metrics => Ok(status::metrics(app)),
        Action::Network => network::network(app, &ask),
        Action::Open => doors::open(app, &ask).await,
        Action::OpenApi => Ok(page::openapi()),
        Action::Page => page::page(app, &ask),
        Action::PassbackReset => doors::reset_passback(app, &ask).await,
        Action::Paths => json(StatusCode::OK, &listing()),
        Action::Password => whole!(login::password),
        Action::People => staff::list(app, &ask).await,
        Action::PeopleExport => staff::export(app, &ask).await,
        Action::PeopleImport => staff::import(app, &ask).await,
        Action::Person => staff::person(app, &ask).await,
        Action::PersonChange => staff::change_person(app, &ask).await,
        Action::PersonErase => staff::erase_person(app, &ask).await,
        Action::PersonRemove => staff::remove_person(app, &ask).await,
        Action::AlarmConfirm => relays::confirm(app, &ask).await,
        Action::Announce => doors::announce(app, &ask).await,
        Action::Call => doors::call(app, &ask).await,
        Action::Press => doors::press(app, &ask).await,
        Action::QuietBegin => doors::quiet(app, &ask).await,
        Action::QuietEnd => doors::end_quiet(app, &ask).await,
        Action::RingToOpenBegin => doors::ring_to_open(app, &ask).await,
        Action::RingToOpenEnd => doors::end_ring_to_open(app, &ask).await,
        Action::CardSend => controllers::card(app, &ask).await,
        Action::RelaySet => relays::set(app, &ask).await,
        Action::ReportCalls => reports::calls(app, &ask).await,
        Action::ReportDoors => reports::doors(app, &ask).await,
        Action::ReportEvents => reports::events(app, &ask).await,
        Action::ReportOpenings => reports::openings(app, &ask).await,
        Action::Rules => rules::rules(app, &ask),
        Action::RulesTry => staff::try_rules(app, &ask).await,
        Action::Ring => journal::ring(app, &ask).await,
        Action::Rings => journal::rings(app, &ask).await,
        Action::Schedules => schedules::schedules(app, &ask).await,
        Action::Session => login::session(app, &ask),
        Action::Setup => login::setup(app, ask).await,
        Action::Signals => live::signals(app, &ask),
        Action::Site => status::site(app, &ask),
        Action::Support => support::get(app).await,
        Action::SupportCapture => support::state(app),
        Action::SupportCaptureBegin => support::begin(app, &ask),
        Action::SupportCaptureEnd => support::end(app),
        Action::SupportCaptureFile => support::capture(app),
        Action::Token => admin::token(app, &ask),
        Action::TokenChange => whole!(admin::change_token),
        Action::TokenCreate => whole!(admin::create_token),
        Action::TokenDelete => whole!(admin::delete_token),
        Action::Tokens => admin::tokens(app),
        Action::User => admin::user(app, &ask),
        Action::UserChange => whole!(admin::change_user),
        Action::UserCreate => whole!(admin::create_user),
        Action::UserDelete => whole!(admin::delete_user),
        Action::Users => admin::users(app),
    }
}

/// No inline script or style, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Counts the answer and adds the headers that every answer has.
fn finish(app: &App, route: &'static str, result: Result<Response, Problem>) -> Response {
    let mut response = result.unwrap_or_else(|problem| problem.response());
    app.metrics.answered(route, response.status().as_u16());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
