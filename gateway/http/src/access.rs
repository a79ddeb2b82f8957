//! Who asks, and what they may.

use std::collections::BTreeSet;

use gateway_core::{DoorId, Factor, Origin, PanelView, Record, SiteView, Subject, is_confidential};
use http::StatusCode;

use crate::problem::Problem;

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Everything, and users and tokens.
    Admin,
    /// Open doors.
    Open,
    /// End calls, press virtual bells.
    Operate,
    /// See states, journal and live events.
    Read,
}

impl Scope {
    pub(crate) const ALL: [Self; 4] = [Self::Admin, Self::Open, Self::Operate, Self::Read];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Open => "open",
            Self::Operate => "operate",
            Self::Read => "read",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// Scopes, and for which doors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// `None` is every door.
    pub(crate) doors: Option<BTreeSet<DoorId>>,
    pub(crate) scopes: BTreeSet<Scope>,
}

impl Rights {
    /// Reads what an administrator typed.
    pub(crate) fn read(scopes: &[String], doors: Option<&[String]>) -> Result<Self, Problem> {
        let read_scope = |word: &String| {
            Scope::from_word(word).ok_or_else(|| {
                Problem::bad(
                    "scope",
                    format!("scope {word:?}: allowed are read, open, operate, admin"),
                )
            })
        };
        twice("scope", scopes)?;
        twice("door", doors.unwrap_or_default())?;
        let scopes = scopes
            .iter()
            .map(read_scope)
            .collect::<Result<BTreeSet<_>, _>>()?;
        if scopes.is_empty() {
            return Err(Problem::bad(
                "scope",
                "at least one scope of read, open, operate, admin is needed",
            ));
        }
        let read_door = |name: &String| DoorId::new(name).map_err(|e| Problem::bad("door", e.to_string()));
        let doors = doors
            .map(|all| all.iter().map(read_door).collect::<Result<BTreeSet<_>, _>>())
            .transpose()?;
        if doors.is_some() && scopes.contains(&Scope::Admin) {
            return Err(Problem::bad(
                "scope",
                "an administrator cannot be limited to doors",
            ));
        }
        Ok(Self { doors, scopes })
    }

    pub(crate) fn admin() -> Self {
        Self {
            doors: None,
            scopes: BTreeSet::from([Scope::Admin]),
        }
    }

    /// `admin` includes the others; they do not include each other.
    pub(crate) fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&Scope::Admin) || self.scopes.contains(&scope)
    }

    pub(crate) fn covers(&self, door: &DoorId) -> bool {
        self.doors.as_ref().is_none_or(|doors| doors.contains(door))
    }

    /// A panel belongs to who has one of its doors.
    pub(crate) fn covers_panel(&self, panel: &PanelView) -> bool {
        self.doors.is_none() || panel.doors.iter().any(|d| self.covers(d))
    }

    /// Who rings at a panel may be let in at any of its doors.
    pub(crate) fn covers_all_of(&self, panel: &PanelView) -> bool {
        panel.doors.iter().all(|d| self.covers(d))
    }

    /// Logins, and what is confidential, are for administrators; who has a door list sees these doors and their panels only.
    pub(crate) fn shows(&self, record: &Record, view: &SiteView) -> bool {
        let family = record.kind.split('.').next().unwrap_or_default();
        if family == "user" || is_confidential(&record.kind) {
            return self.allows(Scope::Admin);
        }
        let Some(doors) = &self.doors else {
            return true;
        };
        match family {
            "door" => doors.iter().any(|d| d.as_str() == record.source),
            "panel" => view
                .panels
                .iter()
                .any(|p| p.id.as_str() == record.source && self.covers_panel(p)),
            _ => false,
        }
    }

    pub(crate) fn scope_words(&self) -> Vec<&'static str> {
        self.scopes.iter().map(|s| s.word()).collect()
    }

    pub(crate) fn door_words(&self) -> Option<Vec<String>> {
        self.doors
            .as_ref()
            .map(|d| d.iter().map(ToString::to_string).collect())
    }
}

/// Refuses what is said twice: somebody may have meant something else.
fn twice(what: &'static str, words: &[String]) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    match words.iter().find(|word| !seen.insert(word.as_str())) {
        Some(word) => {
            let word: String = word.chars().take(60).collect();
            Err(Problem::bad(what, format!("{what} {word:?} is there twice")))
        }
        None => Ok(()),
    }
}

/// SHA-256 of a session's secret: what is kept cannot be used to log in.
pub(crate) type SessionKey = [u8; 32];

/// How somebody proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// By an API token.
    Token {
        /// Its public part.
        id: String,
        /// Its name.
        name: String,
    },
    /// By a session.
    User {
        /// Login name; with `radius:` before it if a RADIUS server vouches.
        name: String,
        /// The session.
        session: SessionKey,
    },
}

/// Somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) rights: Rights,
    pub(crate) who: Who,
}

impl Principal {
    pub(crate) fn origin(&self) -> Origin {
        let (factor, subject) = match &self.who {
            Who::Token { name, .. } => (Factor::Api, Subject::Integration(name.clone())),
            Who::User { name, .. } => (Factor::Web, Subject::User(name.clone())),
        };
        Origin {
            factor,
            may_simulate: self.rights.allows(Scope::Operate),
            subject,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match &self.who {
            Who::Token { name, .. } | Who::User { name, .. } => name,
        }
    }

    pub(crate) fn need(&self, scope: Scope) -> Result<(), Problem> {
        if self.rights.allows(scope) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "scope",
            format!(
                "this needs the scope {:?}; ask an administrator of the gateway for it",
                scope.word()
            ),
        ))
    }

    pub(crate) fn need_door(&self, door: &DoorId) -> Result<(), Problem> {
        if self.rights.covers(door) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("door {door} is not among the doors of this login or token"),
        ))
    }

    /// For what belongs to no door: refuses whoever has only some of them.
    pub(crate) fn need_all_doors(&self) -> Result<(), Problem> {
        if self.rights.doors.is_none() {
            return Ok(());
        }
        let text = "this login or token has not all doors of the site";
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", text))
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::{AccessEvent, DoorEvent, Envelope, Event, GatewayEvent, Timestamp, UserEvent};

    use super::*;

    fn rights(scopes: &[&str], doors: Option<&[&str]>) -> Rights {
        let owned = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        Rights::read(&owned(scopes), doors.map(owned).as_deref()).expect("reads")
    }

    #[test]
    fn each_scope_allows_itself_and_admin_allows_all() {
        for have in Scope::ALL {
            for want in Scope::ALL {
                let expected = have == want || have == Scope::Admin;
                assert_eq!(
                    rights(&[have.word()], None).allows(want),
                    expected,
                    "{have:?} {want:?}"
                );
            }
        }
    }

    #[test]
    fn bad_rights_are_refused_with_what_is_allowed() {
        let words = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let detail = |scopes: &[&str], doors: Option<&[&str]>| {
            let doors = doors.map(words);
            Rights::read(&words(scopes), doors.as_deref())
                .expect_err("refused")
                .detail
        };
        assert_eq!(
            detail(&["root"], None),
            "scope \"root\": allowed are read, open, operate, admin"
        );
        assert!(detail(&[], None).starts_with("at least one"));
        assert!(detail(&["open"], Some(&["A/B"])).contains("not a name"));
        assert!(detail(&["admin"], Some(&["front"])).contains("cannot be limited"));
    }

    #[test]
    fn who_has_a_door_list_sees_these_doors_only() {
        let record = |event| {
            Record::from(&Envelope {
                at: Timestamp::UNIX_EPOCH,
                event,
                ring: None,
                simulated: false,
            })
        };
        let door = |name: &str| {
            let id = DoorId::new(name).expect("a name");
            record(Event::Door(id, DoorEvent::Opened {}))
        };
        let login = record(Event::User(UserEvent::Login {
            server: None,
            user: "ann".into(),
        }));
        let stop = record(Event::Gateway(GatewayEvent::Stopping {}));
        let forced = AccessEvent::Duress {
            factor: Factor::Code,
            subject: Subject::Unknown,
        };
        let forced = record(Event::Access(DoorId::new("front").expect("a name"), forced));
        let view = SiteView::default();
        let (all, one, admin) = (
            rights(&["read"], None),
            rights(&["read"], Some(&["front"])),
            Rights::admin(),
        );
        for (rights, shown) in [
            (&all, [true, true, false, true, false]),
            (&one, [true, false, false, false, false]),
            (&admin, [true; 5]),
        ] {
            let seen =
                [&door("front"), &door("back"), &login, &stop, &forced].map(|r| rights.shows(r, &view));
            assert_eq!(seen, shown, "{rights:?}");
        }
    }
}
