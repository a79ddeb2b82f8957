//! The table of paths: what there is, and who may use it.

use http::Method;

use crate::access::Scope;
use crate::limits::{REQUEST, SITE_FILE};
use crate::param::{self, Param};

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Anybody.
    Anybody,
    /// Anybody who is known.
    Known,
    /// A token, or a program on this machine.
    Metrics,
    /// Who has both of these scopes.
    OpenAndOperate,
    /// Who has the scope.
    Scope(Scope),
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    AlarmConfirm,
    Announce,
    Asset,
    Backup,
    Call,
    Calls,
    Certificate,
    CertificateRemove,
    CertificateReplace,
    Config,
    ConfigCheck,
    ConfigConfirm,
    ConfigEdit,
    ConfigReplace,
    ConfigRollBack,
    ConfigTrial,
    Contact,
    ContactDelete,
    ContactSave,
    Contacts,
    CredentialRemove,
    Devices,
    Directory,
    Door,
    Doors,
    Events,
    Explain,
    HangUp,
    Health,
    HoldBegin,
    HoldEnd,
    Hook,
    Journal,
    Live,
    FireReset,
    LockdownBegin,
    LockdownEnd,
    Login,
    Logout,
    Metrics,
    Network,
    Open,
    OpenApi,
    Page,
    Password,
    PassbackReset,
    Paths,
    People,
    PeopleExport,
    PeopleImport,
    Person,
    PersonChange,
    PersonErase,
    PersonRemove,
    Press,
    QuietBegin,
    QuietEnd,
    RingToOpenBegin,
    RingToOpenEnd,
    CardSend,
    RelaySet,
    ReportCalls,
    ReportDoors,
    ReportEvents,
    ReportOpenings,
    Ring,
    Rings,
    Rules,
    RulesTry,
    Schedules,
    Session,
    Setup,
    Signals,
    Site,
    Support,
    SupportCapture,
    SupportCaptureBegin,
    SupportCaptureEnd,
    SupportCaptureFile,
    Token,
    TokenChange,
    TokenCreate,
    TokenDelete,
    Tokens,
    User,
    UserChange,
    UserCreate,
    UserDelete,
    Users,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) action: Action,
    pub(crate) method: Method,
    pub(crate) need: Need,
    /// `{door}` stands for one segment.
    pub(crate) pattern: &'static str,
    /// Parameters that its query may have.
    pub(crate) query: &'static [Param],
}

const fn route(
    method: Method,
    pattern: &'static str,
    need: Need,
    action: Action,
    query: &'static [Param],
) -> Route {
    Route {
        action,
        method,
        need,
        pattern,
        query,
    }
}

const DELETE: Method = Method::DELETE;
const GET: Method = Method::GET;
const PATCH: Method = Method::PATCH;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;

const ADMIN: Need = Need::Scope(Scope::Admin);
const ANYBODY: Need = Need::Anybody;
const OPEN: Need = Need::Scope(Scope::Open);
/// What opens for minutes, and not only once.
const OPEN_AND_OPERATE: Need = Need::OpenAndOperate;
const OPERATE: Need = Need::Scope(Scope::Operate);
const READ: Need = Need::Scope(Scope::Read);

const JOURNAL: &[Param] = &[
    param::CLASS,
    param::KIND,
    param::DOOR,
    param::SOURCE,
    param::RING,
    param::SINCE,
    param::UNTIL,
    param::FROM,
    param::TO,
    param::MAX,
    param::ORDER,
];
const OPENINGS: &[Param] = &[
    param::DOOR,
    param::WHO,
    param::BY,
    param::REFUSED,
    param::SINCE,
    param::UNTIL,
    param::FROM,
    param::TO,
    param::MAX_ROWS,
    param::FORMAT,
];
const CALLS: &[Param] = &[
    param::DOOR,
    param::SINCE,
    param::UNTIL,
    param::FROM,
    param::TO,
    param::MAX_CALLS,
    param::FORMAT,
];
const EVENTS: &[Param] = &[
    param::CLASS,
    param::DOOR,
    param::SINCE,
    param::UNTIL,
    param::FROM,
    param::TO,
    param::MAX_ROWS,
    param::FORMAT,
];
const FIGURES: &[Param] = &[
    param::DOOR,
    param::SINCE,
    param::UNTIL,
    param::FROM,
    param::TO,
    param::FORMAT,
];
/// Pages of what has names.
const NAMED: &[Param] = &[param::AFTER_ID, param::MAX];
const RINGS: &[Param] = &[param::FROM, param::TO, param::MAX_RINGS];

/// Every route. `open` and `press` check doors further.
#[rustfmt::skip]
pub(crate) const ROUTES: &[Route] = &[
    route(GET, "/", ANYBODY, Action::Page, &[]),
    route(GET, "/assets/{file}", ANYBODY, Action::Asset, &[]),
    route(GET, "/metrics", Need::Metrics, Action::Metrics, &[]),
    route(GET, "/api/v1", ANYBODY, Action::Paths, &[]),
    route(POST, "/api/v1/access/explain", ADMIN, Action::Explain, &[]),
    route(POST, "/api/v1/alarms/{alarm}/confirm", OPERATE, Action::AlarmConfirm, &[]),
    route(POST, "/api/v1/backup", ADMIN, Action::Backup, &[]),
    route(GET, "/api/v1/calls", READ, Action::Calls, &[]),
    route(GET, "/api/v1/certificate", READ, Action::Certificate, &[]),
    route(PUT, "/api/v1/certificate", ADMIN, Action::CertificateReplace, &[]),
    route(DELETE, "/api/v1/certificate", ADMIN, Action::CertificateRemove, &[]),
    route(GET, "/api/v1/config", ADMIN, Action::Config, &[]),
    route(PUT, "/api/v1/config", ADMIN, Action::ConfigReplace, &[param::CONFIRM_SECONDS]),
    route(PATCH, "/api/v1/config", ADMIN, Action::ConfigEdit, &[param::CONFIRM_SECONDS]),
    route(POST, "/api/v1/config/check", ADMIN, Action::ConfigCheck, &[]),
    route(POST, "/api/v1/config/confirm", ADMIN, Action::ConfigConfirm, &[]),
    route(POST, "/api/v1/config/rollback", ADMIN, Action::ConfigRollBack, &[]),
    route(GET, "/api/v1/config/trial", ADMIN, Action::ConfigTrial, &[]),
    route(GET, "/api/v1/contacts", READ, Action::Contacts, &[]),
    route(POST, "/api/v1/contacts", ADMIN, Action::ContactSave, &[param::DRY_RUN, param::REPLACE]),
    route(GET, "/api/v1/contacts/{contact}", READ, Action::Contact, &[]),
    route(DELETE, "/api/v1/contacts/{contact}", ADMIN, Action::ContactDelete, &[]),
    route(POST, "/api/v1/controllers/{controller}/card", OPEN_AND_OPERATE, Action::CardSend, &[]),
    route(DELETE, "/api/v1/credentials/{credential}", ADMIN, Action::CredentialRemove, &[]),
    route(GET, "/api/v1/devices", READ, Action::Devices, NAMED),
    route(GET, "/api/v1/directory", READ, Action::Directory, &[]),
    route(GET, "/api/v1/doors", READ, Action::Doors, &[]),
    route(GET, "/api/v1/doors/{door}", READ, Action::Door, &[]),
    route(POST, "/api/v1/doors/{door}/hold/begin", OPEN_AND_OPERATE, Action::HoldBegin, &[]),
    route(POST, "/api/v1/doors/{door}/hold/end", OPERATE, Action::HoldEnd, &[]),
    route(POST, "/api/v1/doors/{door}/open", OPEN, Action::Open, &[]),
    route(GET, "/api/v1/events", READ, Action::Events, &[param::FROM]),
    route(POST, "/api/v1/fire/reset", OPERATE, Action::FireReset, &[]),
    route(GET, "/api/v1/health", ANYBODY, Action::Health, &[]),
    route(POST, "/api/v1/hooks/{input}", ANYBODY, Action::Hook, &[]),
    route(GET, "/api/v1/journal", READ, Action::Journal, JOURNAL),
    route(GET, "/api/v1/live", READ, Action::Live, &[param::FROM]),
    route(POST, "/api/v1/lockdown/begin", OPERATE, Action::LockdownBegin, &[]),
    route(POST, "/api/v1/lockdown/end", OPERATE, Action::LockdownEnd, &[]),
    route(POST, "/api/v1/login", ANYBODY, Action::Login, &[]),
    route(POST, "/api/v1/logout", ANYBODY, Action::Logout, &[]),
    route(GET, "/api/v1/network", READ, Action::Network, &[]),
    route(GET, "/api/v1/openapi.json", ANYBODY, Action::OpenApi, &[]),
    route(POST, "/api/v1/panels/{panel}/announce/{announcement}", OPERATE, Action::Announce, &[]),
    route(POST, "/api/v1/panels/{panel}/call/{button}", OPERATE, Action::Call, &[]),
    route(POST, "/api/v1/panels/{panel}/press/{button}", OPERATE, Action::Press, &[]),
    route(POST, "/api/v1/panels/{panel}/quiet/begin", OPERATE, Action::QuietBegin, &[]),
    route(POST, "/api/v1/panels/{panel}/quiet/end", OPERATE, Action::QuietEnd, &[]),
    route(POST, "/api/v1/panels/{panel}/ring-to-open/begin", OPEN_AND_OPERATE, Action::RingToOpenBegin, &[]),
    route(POST, "/api/v1/panels/{panel}/ring-to-open/end", OPERATE, Action::RingToOpenEnd, &[]),
    route(POST, "/api/v1/passback/reset", OPERATE, Action::PassbackReset, &[]),
    route(POST, "/api/v1/password", Need::Known, Action::Password, &[]),
    route(GET, "/api/v1/people", ADMIN, Action::People, &[param::AFTER, param::MAX]),
    route(POST, "/api/v1/people", ADMIN, Action::PeopleImport, &[param::DRY_RUN, param::REPLACE]),
    route(GET, "/api/v1/people/export", ADMIN, Action::PeopleExport, &[param::FORMAT]),
    route(GET, "/api/v1/people/{person}", ADMIN, Action::Person, &[]),
    route(PATCH, "/api/v1/people/{person}", ADMIN, Action::PersonChange, &[]),
    route(DELETE, "/api/v1/people/{person}", ADMIN, Action::PersonRemove, &[]),
    route(POST, "/api/v1/people/{person}/erase", ADMIN, Action::PersonErase, &[]),
    route(POST, "/api/v1/relays/{relay}/set", OPERATE, Action::RelaySet, &[]),
    route(GET, "/api/v1/reports/calls", READ, Action::ReportCalls, CALLS),
    route(GET, "/api/v1/reports/doors", READ, Action::ReportDoors, FIGURES),
    route(GET, "/api/v1/reports/events", READ, Action::ReportEvents, EVENTS),
    route(GET, "/api/v1/reports/openings", READ, Action::ReportOpenings, OPENINGS),
    route(GET, "/api/v1/rings", READ, Action::Rings, RINGS),
    route(GET, "/api/v1/rings/{ring}", READ, Action::Ring, &[]),
    route(POST, "/api/v1/rings/{ring}/hang-up", OPERATE, Action::HangUp, &[]),
    route(GET, "/api/v1/rules", READ, Action::Rules, NAMED),
    route(POST, "/api/v1/rules/try", ADMIN, Action::RulesTry, &[]),
    route(GET, "/api/v1/schedules", READ, Action::Schedules, NAMED),
    route(GET, "/api/v1/session", ANYBODY, Action::Session, &[]),
    route(POST, "/api/v1/setup", ANYBODY, Action::Setup, &[]),
    route(GET, "/api/v1/signals", ADMIN, Action::Signals, &[]),
    route(GET, "/api/v1/site", READ, Action::Site, &[]),
    route(GET, "/api/v1/support/bundle", ADMIN, Action::Support, &[]),
    route(GET, "/api/v1/support/capture", ADMIN, Action::SupportCapture, &[]),
    route(POST, "/api/v1/support/capture/begin", ADMIN, Action::SupportCaptureBegin, &[]),
    route(POST, "/api/v1/support/capture/end", ADMIN, Action::SupportCaptureEnd, &[]),
    route(GET, "/api/v1/support/capture/file", ADMIN, Action::SupportCaptureFile, &[]),
    route(GET, "/api/v1/tokens", ADMIN, Action::Tokens, &[]),
    route(POST, "/api/v1/tokens", ADMIN, Action::TokenCreate, &[]),
    route(GET, "/api/v1/tokens/{token}", ADMIN, Action::Token, &[]),
    route(PUT, "/api/v1/tokens/{token}", ADMIN, Action::TokenChange, &[]),
    route(DELETE, "/api/v1/tokens/{token}", ADMIN, Action::TokenDelete, &[]),
    route(GET, "/api/v1/users", ADMIN, Action::Users, &[]),
    route(POST, "/api/v1/users", ADMIN, Action::UserCreate, &[]),
    route(GET, "/api/v1/users/{user}", ADMIN, Action::User, &[]),
    route(PUT, "/api/v1/users/{user}", ADMIN, Action::UserChange, &[]),
    route(DELETE, "/api/v1/users/{user}", ADMIN, Action::UserDelete, &[]),
];

impl Route {
    /// Bytes of a body.
    pub(crate) fn body_limit(&self) -> usize {
        if self.pattern.starts_with("/api/v1/config") {
            SITE_FILE
        } else if self.action == Action::Hook {
            crate::hooks::LONGEST
        } else {
            REQUEST
        }
    }
}

impl Need {
    /// The word for it in tables.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Anybody => "nothing",
            Self::Known => "a session",
            Self::Metrics => "a token, or a program on this machine",
            Self::OpenAndOperate => "open and operate",
            Self::Scope(scope) => scope.word(),
        }
    }
}

/// All paths of the API as a client sees them.
pub(crate) fn listing() -> serde_json::Value {
    let api = ROUTES.iter().filter(|r| r.pattern.starts_with("/api/"));
    let line = |r: &Route| serde_json::json!({ "method": r.method.as_str(), "path": r.pattern, "needs": r.need.word() });
    serde_json::json!({ "paths": api.map(line).collect::<Vec<_>>() })
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Found {
    /// The path exists for other methods.
    Methods(Vec<Method>),
    Nothing,
    /// The route, and the segments that stand for its names in braces.
    Route(&'static Route, Vec<String>),
}

/// Looks a path up; HEAD is GET without its body.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let fitting = || {
        ROUTES
            .iter()
            .filter_map(|route| Some((route, fit(route.pattern, path)?)))
    };
    // a path that is named itself is not also one of those that a name in braces stands for
    let Some(fewest) = fitting().map(|(_, captured)| captured.len()).min() else {
        return Found::Nothing;
    };
    let mut methods = Vec::new();
    for (route, captured) in fitting().filter(|(_, captured)| captured.len() == fewest) {
        if route.method == *method {
            return Found::Route(route, captured);
        }
        methods.push(route.method.clone());
    }
    Found::Methods(methods)
}

fn fit(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut captured = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(captured),
            (Some(w), Some(text)) if w.starts_with('{') && !text.is_empty() => {
                captured.push(crate::parse::percent(text, false)?);
            }
            (Some(w), Some(g)) if w == g => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(method: &str, path: &str) -> String {
        match find(&method.parse().expect("a method"), path) {
            Found::Methods(methods) => format!("{methods:?}"),
            Found::Nothing => "nothing".into(),
            Found::Route(route, captured) => format!("{:?} {captured:?}", route.action),
        }
    }

    #[test]
    fn paths_lead_to_their_routes() {
        for (method, path, want) in [
            ("GET", "/", "Page []"),
            ("HEAD", "/api/v1/doors", "Doors []"),
            ("POST", "/api/v1/doors/front/open", r#"Open ["front"]"#),
            ("GET", "/api/v1/doors/front/open", "[POST]"),
            ("DELETE", "/api/v1/users/a%2Eb", r#"UserDelete ["a.b"]"#),
            ("PUT", "/api/v1/users", "[GET, POST]"),
            ("GET", "/api/v1/people/export", "PeopleExport []"),
            ("PATCH", "/api/v1/people/export", "[GET]"),
            ("GET", "/api/v1/people/ann", r#"Person ["ann"]"#),
            ("GET", "/api/v1/doors/", "nothing"),
            ("GET", "/api/v1/doors/%zz", "nothing"),
            ("GET", "//api/v1/doors", "nothing"),
            ("GET", "/api/v2/doors", "nothing"),
        ] {
            assert_eq!(found(method, path), want, "{method} {path}");
        }
    }

    #[test]
    fn whatever_changes_something_needs_a_scope_or_checks_a_secret_itself() {
        for route in ROUTES {
            let own_check = matches!(
                route.action,
                Action::Hook | Action::Login | Action::Logout | Action::Password | Action::Setup
            );
            if route.method != Method::GET && !own_check {
                assert!(
                    route.need == Need::OpenAndOperate
                        || matches!(route.need, Need::Scope(s) if s != Scope::Read),
                    "{route:?}"
                );
            }
            if route.method == Method::GET && route.need == Need::Anybody {
                let harmless = matches!(
                    route.action,
                    Action::Asset
                        | Action::Health
                        | Action::OpenApi
                        | Action::Page
                        | Action::Paths
                        | Action::Session
                );
                assert!(harmless, "{route:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_a_panic(path in "\\PC{0,80}") {
            let _ = find(&Method::GET, &path);
        }
    }
}
