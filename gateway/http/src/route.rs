//! The table of paths: what there is, and who may use it.

use http::Method;

use crate::access::Scope;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Anybody.
    Anybody,
    /// Anybody who is known.
    Known,
    /// A token, or a program on this machine.
    Metrics,
    /// Who has the scope.
    Scope(Scope),
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Asset,
    Calls,
    ContactDelete,
    ContactSave,
    Directory,
    CredentialRemove,
    Door,
    Doors,
    Events,
    Explain,
    HangUp,
    Health,
    Journal,
    Live,
    LockdownBegin,
    LockdownEnd,
    Login,
    Logout,
    Metrics,
    Network,
    Open,
    Page,
    Password,
    PassbackReset,
    Paths,
    People,
    PeopleExport,
    PeopleImport,
    PersonRemove,
    Press,
    Ring,
    Rings,
    Session,
    Setup,
    Site,
    TokenCreate,
    TokenDelete,
    Tokens,
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
    /// `{}` stands for one segment.
    pub(crate) pattern: &'static str,
}

const fn route(method: Method, pattern: &'static str, need: Need, action: Action) -> Route {
    Route {
        action,
        method,
        need,
        pattern,
    }
}

const READ: Need = Need::Scope(Scope::Read);
const ADMIN: Need = Need::Scope(Scope::Admin);

/// Every route. `open` and `press` check doors further.
pub(crate) const ROUTES: &[Route] = &[
    route(Method::GET, "/", Need::Anybody, Action::Page),
    route(Method::GET, "/assets/{}", Need::Anybody, Action::Asset),
    route(Method::GET, "/metrics", Need::Metrics, Action::Metrics),
    route(Method::GET, "/api/v1", Need::Anybody, Action::Paths),
    route(Method::POST, "/api/v1/access/explain", ADMIN, Action::Explain),
    route(Method::GET, "/api/v1/calls", READ, Action::Calls),
    route(Method::POST, "/api/v1/contacts", ADMIN, Action::ContactSave),
    route(
        Method::DELETE,
        "/api/v1/contacts/{}",
        ADMIN,
        Action::ContactDelete,
    ),
    route(Method::GET, "/api/v1/directory", READ, Action::Directory),
    route(
        Method::DELETE,
        "/api/v1/credentials/{}",
        ADMIN,
        Action::CredentialRemove,
    ),
    route(Method::GET, "/api/v1/doors", READ, Action::Doors),
    route(Method::GET, "/api/v1/doors/{}", READ, Action::Door),
    route(
        Method::POST,
        "/api/v1/doors/{}/open",
        Need::Scope(Scope::Open),
        Action::Open,
    ),
    route(Method::GET, "/api/v1/events", READ, Action::Events),
    route(Method::GET, "/api/v1/health", Need::Anybody, Action::Health),
    route(Method::GET, "/api/v1/journal", READ, Action::Journal),
    route(Method::GET, "/api/v1/live", READ, Action::Live),
    route(
        Method::POST,
        "/api/v1/lockdown/begin",
        Need::Scope(Scope::Operate),
        Action::LockdownBegin,
    ),
    route(
        Method::POST,
        "/api/v1/lockdown/end",
        Need::Scope(Scope::Operate),
        Action::LockdownEnd,
    ),
    route(Method::POST, "/api/v1/login", Need::Anybody, Action::Login),
    route(Method::POST, "/api/v1/logout", Need::Anybody, Action::Logout),
    route(Method::GET, "/api/v1/network", READ, Action::Network),
    route(
        Method::POST,
        "/api/v1/panels/{}/press/{}",
        Need::Scope(Scope::Operate),
        Action::Press,
    ),
    route(
        Method::POST,
        "/api/v1/passback/reset",
        Need::Scope(Scope::Operate),
        Action::PassbackReset,
    ),
    route(Method::POST, "/api/v1/password", Need::Known, Action::Password),
    route(Method::GET, "/api/v1/people", ADMIN, Action::People),
    route(Method::POST, "/api/v1/people", ADMIN, Action::PeopleImport),
    route(Method::GET, "/api/v1/people/export", ADMIN, Action::PeopleExport),
    route(Method::DELETE, "/api/v1/people/{}", ADMIN, Action::PersonRemove),
    route(Method::GET, "/api/v1/rings", READ, Action::Rings),
    route(Method::GET, "/api/v1/rings/{}", READ, Action::Ring),
    route(
        Method::POST,
        "/api/v1/rings/{}/hang-up",
        Need::Scope(Scope::Operate),
        Action::HangUp,
    ),
    route(Method::GET, "/api/v1/session", Need::Anybody, Action::Session),
    route(Method::POST, "/api/v1/setup", Need::Anybody, Action::Setup),
    route(Method::GET, "/api/v1/site", READ, Action::Site),
    route(Method::GET, "/api/v1/tokens", ADMIN, Action::Tokens),
    route(Method::POST, "/api/v1/tokens", ADMIN, Action::TokenCreate),
    route(Method::DELETE, "/api/v1/tokens/{}", ADMIN, Action::TokenDelete),
    route(Method::GET, "/api/v1/users", ADMIN, Action::Users),
    route(Method::POST, "/api/v1/users", ADMIN, Action::UserCreate),
    route(Method::DELETE, "/api/v1/users/{}", ADMIN, Action::UserDelete),
];

/// All paths of the API as a client sees them.
pub(crate) fn listing() -> serde_json::Value {
    let api = ROUTES.iter().filter(|r| r.pattern.starts_with("/api/"));
    let line = |r: &Route| {
        let needs = match r.need {
            Need::Anybody => "nothing",
            Need::Known => "a session",
            Need::Metrics => "a token, or a program on this machine",
            Need::Scope(scope) => scope.word(),
        };
        serde_json::json!({ "method": r.method.as_str(), "path": r.pattern, "needs": needs })
    };
    serde_json::json!({ "paths": api.map(line).collect::<Vec<_>>() })
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Found {
    /// The path exists for other methods.
    Methods(Vec<Method>),
    Nothing,
    /// The route, and the segments that stand for `{}`.
    Route(&'static Route, Vec<String>),
}

/// Looks a path up; HEAD is GET without its body.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let mut methods = Vec::new();
    for route in ROUTES {
        let Some(captured) = fit(route.pattern, path) else {
            continue;
        };
        if route.method == *method {
            return Found::Route(route, captured);
        }
        methods.push(route.method.clone());
    }
    if methods.is_empty() {
        Found::Nothing
    } else {
        Found::Methods(methods)
    }
}

fn fit(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut captured = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(captured),
            (Some("{}"), Some(text)) if !text.is_empty() => {
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
                Action::Login | Action::Logout | Action::Password | Action::Setup
            );
            if route.method != Method::GET && !own_check {
                assert!(
                    matches!(route.need, Need::Scope(s) if s != Scope::Read),
                    "{route:?}"
                );
            }
            if route.method == Method::GET && route.need == Need::Anybody {
                let harmless = matches!(
                    route.action,
                    Action::Asset | Action::Health | Action::Page | Action::Paths | Action::Session
                );
                assert!(harmless, "{route:?}");
            }
        }
    }

    #[test]
    fn the_page_for_integrators_names_every_path_and_who_may_use_it() {
        let page = include_str!("../README.md");
        let paths = listing();
        for line in paths["paths"].as_array().expect("a list") {
            let word = |key| line[key].as_str().expect("a word");
            let row = format!("| `{} {}` | {} |", word("method"), word("path"), word("needs"));
            assert!(page.contains(&row), "{row} is missing");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_a_panic(path in "\\PC{0,80}") {
            let _ = find(&Method::GET, &path);
        }
    }
}
