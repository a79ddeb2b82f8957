//! Which servers answer: the order in which they are asked, and what is said of those that do not. Pure.

use crate::exchange::Silence;
use crate::params::Server;
use crate::reply::BadReply;

/// A server that does not answer, with its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFault {
    /// `radius:HOST:PORT`.
    pub part: String,
    /// What was found and what to do.
    pub text: String,
}

/// The servers of one purpose, logins or accounting.
#[derive(Debug)]
pub struct Pool {
    purpose: &'static str,
    servers: Vec<State>,
}

#[derive(Debug)]
struct State {
    name: String,
    silent: Option<Silence>,
}

impl Pool {
    /// The servers as configured; all count as alive. `purpose` is a word for people.
    #[must_use]
    pub fn new(servers: &[Server], purpose: &'static str, port: fn(&Server) -> u16) -> Self {
        let state = |server: &Server| State {
            name: format!("{}:{}", server.host, port(server)),
            silent: None,
        };
        Self {
            purpose,
            servers: servers.iter().map(state).collect(),
        }
    }

    /// `HOST:PORT` of a server.
    #[must_use]
    pub fn name(&self, server: usize) -> &str {
        self.servers.get(server).map_or("", |s| &s.name)
    }

    /// All servers: first those that answered, or were not asked yet.
    #[must_use]
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        order.sort_by_key(|server| self.is_silent(*server));
        order
    }

    /// True if it did not answer when it was asked last.
    #[must_use]
    pub fn is_silent(&self, server: usize) -> bool {
        self.servers.get(server).is_some_and(|s| s.silent.is_some())
    }

    /// It gave an answer that counts.
    pub fn answered(&mut self, server: usize) {
        if let Some(state) = self.servers.get_mut(server) {
            state.silent = None;
        }
    }

    /// It answered a Status-Server. That says that it is there, and nothing about its answers to logins.
    pub fn alive(&mut self, server: usize) {
        let Some(state) = self.servers.get_mut(server) else {
            return;
        };
        match &state.silent {
            Some(Silence::Network(_) | Silence::NoAnswer | Silence::Refused | Silence::Unresolved(_)) => {
                state.silent = None;
            }
            Some(Silence::Bad(_)) | None => {}
        }
    }

    /// It gave none.
    pub fn silent(&mut self, server: usize, why: Silence) {
        if let Some(state) = self.servers.get_mut(server) {
            state.silent = Some(why);
        }
    }

    /// What is wrong now.
    #[must_use]
    pub fn faults(&self) -> Vec<ServerFault> {
        let fault = |state: &State| {
            let why = state.silent.as_ref()?;
            Some(ServerFault {
                part: format!("radius:{}", state.name),
                text: format!("{}: {}", self.purpose, told(&state.name, why)),
            })
        };
        self.servers.iter().filter_map(fault).collect()
    }
}

fn told(name: &str, why: &Silence) -> String {
    match why {
        Silence::Bad(BadReply::Authenticator | BadReply::MessageAuthenticator) => format!(
            "what came from {name} is signed with another shared secret, and is not believed: write the secret that the \
             server has for this gateway into secret-file; if it is the same, somebody forges answers"
        ),
        Silence::Bad(BadReply::Missing) => format!(
            "the answers of {name} have no Message-Authenticator, and are not believed: have the server send it (docs/\
             radius.md says how); require-message-authenticator = false takes them, and whoever is on the way can then \
             let himself in"
        ),
        Silence::Bad(
            bad @ (BadReply::Code(_) | BadReply::Other { .. } | BadReply::Packet(_) | BadReply::ProxyState),
        ) => format!(
            "what came from {name} is not believed, {bad}: is this a RADIUS server, at the right port?"
        ),
        Silence::Network(error) => {
            format!("{name} cannot be reached, {error}: check the network, and servers in [logins.radius]")
        }
        Silence::NoAnswer => format!(
            "{name} does not answer: is it running, does it have this gateway as a client, and with the secret of \
             secret-file? A RADIUS server says nothing to a client it does not know, or whose secret differs"
        ),
        Silence::Refused => format!("nobody listens at {name}: start the RADIUS server, or correct its port"),
        Silence::Unresolved(error) => {
            format!("the name in {name} has no address, {error}: check DNS, or write an IP address")
        }
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::Secret;

    use super::*;

    fn pool() -> Pool {
        let server = |host: &str| Server {
            accounting_port: 1813,
            host: host.into(),
            port: 1812,
            secret: Secret::new("x"),
        };
        Pool::new(&["a", "b", "c"].map(server), "logins", |s| s.port)
    }

    #[test]
    fn who_did_not_answer_is_asked_last_until_it_does() {
        let mut pool = pool();
        assert_eq!(pool.order(), [0, 1, 2]);
        pool.silent(0, Silence::NoAnswer);
        pool.silent(1, Silence::Refused);
        assert_eq!(pool.order(), [2, 0, 1]);
        pool.answered(1);
        assert_eq!(pool.order(), [1, 2, 0]);
        pool.alive(0);
        assert_eq!(pool.order(), [0, 1, 2]);
        pool.silent(9, Silence::NoAnswer);
        pool.answered(9);
        assert_eq!(pool.order(), [0, 1, 2]);
    }

    #[test]
    fn a_sign_of_life_does_not_excuse_answers_that_are_not_believed() {
        let mut pool = pool();
        pool.silent(0, Silence::Bad(BadReply::Missing));
        pool.alive(0);
        assert!(pool.is_silent(0));
        pool.answered(0);
        assert!(!pool.is_silent(0));
    }

    #[test]
    fn each_fault_names_the_server_and_what_to_do() {
        let mut pool = pool();
        assert!(pool.faults().is_empty());
        for (why, words) in [
            (Silence::NoAnswer, "logins: a:1812 does not answer: is it running"),
            (Silence::Refused, "nobody listens at a:1812: start"),
            (
                Silence::Bad(BadReply::Authenticator),
                "write the secret that the server has",
            ),
            (
                Silence::Bad(BadReply::MessageAuthenticator),
                "somebody forges answers",
            ),
            (Silence::Bad(BadReply::Missing), "have no Message-Authenticator"),
            (Silence::Bad(BadReply::ProxyState), "it holds Proxy-State"),
            (
                Silence::Network("no route".into()),
                "cannot be reached, no route: check",
            ),
            (
                Silence::Unresolved("no name".into()),
                "has no address, no name: check DNS",
            ),
        ] {
            pool.silent(0, why);
            let faults = pool.faults();
            assert_eq!(faults.len(), 1);
            assert_eq!(faults[0].part, "radius:a:1812");
            assert!(faults[0].text.contains(words), "{}", faults[0].text);
        }
    }
}
