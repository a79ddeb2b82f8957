//! Logins that a RADIUS server vouches for.
//!
//! Accounts of this gateway come first and do without any server. A server that is away, slow, or not to be
//! believed lets nobody in, and keeps nobody out who has an account here: it holds neither the line of those who log
//! in nor a lock.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Clock, Secret, UserEvent};
use gateway_radius::{Admission, Answer, Busy, Client, Login, Refusal, Role};
use http::StatusCode;
use warp::reply::Response;

use crate::access::{Rights, Scope};
use crate::app::App;
use crate::ask::Ask;
use crate::login::{Attempt, begin, wrong};
use crate::params::{RadiusLogins, UserScope};
use crate::password::random;
use crate::problem::Problem;
use crate::session::{IDLE, LIFE, Vouched};

/// Before the names that are not ours. No account of ours can have a colon in its name.
pub(crate) const PREFIX: &str = "radius:";
/// Characters of a name that is asked for.
const NAME: usize = 64;
/// How often it is looked for sessions whose time is over.
const SWEEP: Duration = Duration::from_secs(10);
/// How long the end of the interface waits for its last records of accounting.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Logins elsewhere.
pub(crate) struct Radius {
    pub(crate) client: Client,
    /// Of users; administrators have all.
    rights: Rights,
}

impl Radius {
    pub(crate) fn start(logins: &RadiusLogins, clock: &Arc<dyn Clock>) -> Self {
        let scope = |scope: &UserScope| match scope {
            UserScope::Open => Scope::Open,
            UserScope::Operate => Scope::Operate,
            UserScope::Read => Scope::Read,
        };
        Self {
            client: Client::start(logins.client.clone(), Arc::clone(clock)),
            rights: Rights {
                doors: logins.user_doors.clone(),
                scopes: logins.user_scopes.iter().map(scope).collect(),
            },
        }
    }

    fn vouch(&self, admission: Admission, name: &str, station: String) -> Result<Vouched, Problem> {
        let id: [u8; 8] = random()?;
        let shorter = |time: Option<Duration>, ours| time.map_or(ours, |t| t.min(ours));
        Ok(Vouched {
            account: gateway_radius::Session {
                class: admission.class,
                id: id.iter().map(|b| format!("{b:02x}")).collect(),
                name: name.to_owned(),
                role: admission.role,
                station,
            },
            idle: shorter(admission.idle, IDLE),
            life: shorter(admission.life, LIFE),
            rights: match admission.role {
                Role::Administrator => Rights::admin(),
                Role::User => self.rights.clone(),
            },
        })
    }
}

/// True if a RADIUS server vouches for who has this name.
pub(crate) fn vouched(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The name as it was typed.
pub(crate) fn typed(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// The name under which wrong passwords of somebody are counted, however its letters are written.
pub(crate) fn counted(typed: &str) -> String {
    typed.trim().to_lowercase().chars().take(NAME).collect()
}

/// Asks the servers about somebody who has no account here.
pub(crate) async fn login(
    app: &App,
    ask: &Ask,
    radius: &Radius,
    attempt: &Attempt,
    (name, password): (&str, Secret),
) -> Result<Response, Problem> {
    let name = name.trim();
    // what stands in journal and page is one word that can be read
    let readable =
        name.chars().count() <= NAME && name.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if name.is_empty() || !readable {
        attempt.failed(app, None);
        return Err(wrong());
    }
    let station = ask.head.peer.address.ip().to_canonical().to_string();
    let login = Login {
        name: name.to_owned(),
        password,
        station: station.clone(),
    };
    let answer = match radius.client.authenticate(&login).await {
        Ok(answer) => answer,
        Err(Busy) => {
            attempt.unjudged(app);
            let text = "too many logins wait for the RADIUS server; try again in a few seconds";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overload", text).later(5));
        }
    };
    match answer {
        Answer::Admitted { admission, server } => {
            let vouched = radius.vouch(admission, name, station)?;
            attempt.passed(app);
            let name = format!("{PREFIX}{name}");
            tracing::info!(user = name, server, "a RADIUS server vouches for a login");
            app.journal(UserEvent::Login {
                server: Some(server),
                user: name.clone(),
            });
            radius.client.began(vouched.account.clone());
            begin(app, ask, &name, Some(vouched))
        }
        Answer::Refused { refusal, server } => {
            attempt.failed(app, Some(format!("{refusal} of {server}")));
            match refusal {
                Refusal::Reject => Err(wrong()),
                Refusal::Challenge => Err(no_entry("the RADIUS server wants more than a password")),
                Refusal::ServiceType(_) => Err(no_entry(
                    "the RADIUS server knows this password and gives no right to log in here: Service-Type must be \
                     Administrative-User or Login-User",
                )),
            }
        }
        Answer::Silent => {
            attempt.unjudged(app);
            app.metrics.login_failed();
            app.journal(UserEvent::LoginFailed {
                reason: Some("no RADIUS server answers".to_owned()),
                source: attempt.source.to_string(),
            });
            let text = "no RADIUS server gives an answer that can be believed; log in with an account of this gateway, \
                        and see its faults";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "radius", text).later(30))
        }
        Answer::Unsendable(error) => {
            attempt.failed(app, Some(error.to_string()));
            Err(wrong())
        }
    }
}

fn no_entry(text: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "no-entry", text)
}

impl App {
    /// Tells the RADIUS servers of sessions that ended.
    pub(crate) fn tell_ended(&self) {
        let Some(radius) = &self.radius else { return };
        let ended = self.sessions().ended();
        for (session, time, cause) in ended {
            radius.client.ended(session, time, cause);
        }
    }

    /// Ends every session, and waits a moment until that is told.
    pub(crate) async fn end_sessions(&self) {
        let Some(radius) = &self.radius else { return };
        self.sessions().close_everything(self.clock.now());
        self.tell_ended();
        radius.client.close(LAST_WORDS).await;
    }
}

/// Ends sessions in time, also of those who never come back.
pub(crate) async fn sweep(app: Arc<App>) {
    let stop = app.stop();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(SWEEP) => {}
        }
        app.sessions().sweep(app.clock.now());
        app.tell_ended();
    }
}
