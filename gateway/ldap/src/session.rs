//! One visit to a server: StartTLS if wanted, bind, every page of the search, unbind.

use std::collections::VecDeque;

use gateway_core::Secret;

use crate::ber::{self, BerError};
use crate::entry::{Attributes, Entry};
use crate::filter::Filter;
use crate::message::{self, Answer, LdapResult};

/// Entries asked for at once.
const PAGE: u32 = 500;
/// Entries that are kept; more are left out, and that is said.
const ENTRIES: usize = 5000;
/// Entries that are looked at, whether they can be used or not.
const LOOKED_AT: usize = 20_000;

/// What is looked for, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Attributes.
    pub attributes: Attributes,
    /// Below this.
    pub base: String,
    /// DN and password; anonymous without.
    pub bind: Option<(String, Secret)>,
    /// Which entries.
    pub filter: Filter,
    /// Ask for TLS before anything else is said.
    pub start_tls: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Found {
    /// Who can be called, by name.
    pub entries: Vec<Entry>,
    /// There are more than are kept.
    pub more: bool,
    /// Entries without a usable name or number.
    pub unusable: usize,
}

/// Why a visit led to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// Octets came between the answer to StartTLS and TLS: somebody put them there.
    #[error("something stood behind the answer to StartTLS that TLS does not protect")]
    Injected,
    /// What came is no LDAP, or not the answer to what was asked.
    #[error("what came is no LDAP: {0}")]
    Protocol(String),
    /// The server refused a step.
    #[error("{step} was refused with result {code}, {}{}", result_name(*.code), said(.text))]
    Refused {
        /// `StartTLS`, `bind` or `search`.
        step: &'static str,
        /// RFC 4511 §4.1.9.
        code: i32,
        /// What the server says to it.
        text: String,
    },
}

impl From<BerError> for Failure {
    fn from(error: BerError) -> Self {
        Self::Protocol(error.to_string())
    }
}

fn said(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    if text.is_empty() {
        text
    } else {
        format!(" ({text})")
    }
}

/// The name of a result code (RFC 4511 appendix A).
fn result_name(code: i32) -> &'static str {
    match code {
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        13 => "confidentialityRequired",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        _ => "see RFC 4511",
    }
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// It is over, well. What is to be sent was given before.
    Done(Found),
    /// It is over.
    Failed(Failure),
    /// Send these octets.
    Send(Vec<u8>),
    /// Protect the connection by TLS, then call [`Session::handle_secured`].
    StartTls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    StartTls,
    Secure,
    Bind,
    Search,
    Over,
}

/// The machine of one visit.
#[derive(Debug)]
pub struct Session {
    buffer: Vec<u8>,
    found: Found,
    id: u32,
    looked_at: usize,
    out: VecDeque<Output>,
    query: Query,
    step: Step,
}

impl Session {
    /// The connection stands. `secured`: TLS is on already.
    #[must_use]
    pub fn begin(query: Query, secured: bool) -> Self {
        let start_tls = query.start_tls && !secured;
        let mut session = Self {
            buffer: Vec::new(),
            found: Found::default(),
            id: 1,
            looked_at: 0,
            out: VecDeque::new(),
            query,
            step: Step::StartTls,
        };
        if start_tls {
            session.send(message::start_tls(1));
        } else {
            session.bind();
        }
        session
    }

    /// TLS is on.
    pub fn handle_secured(&mut self) {
        if self.step == Step::Secure {
            self.id += 1;
            self.bind();
        }
    }

    /// Octets came.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        if matches!(self.step, Step::Over) {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        if let Err(failure) = self.work() {
            self.fail(failure);
        }
    }

    /// The connection ended.
    pub fn handle_closed(&mut self) {
        if self.step != Step::Over {
            self.fail(Failure::Closed);
        }
    }

    /// What is to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.out.push_back(Output::Send(bytes));
    }

    fn fail(&mut self, failure: Failure) {
        self.step = Step::Over;
        self.buffer = Vec::new();
        self.out.push_back(Output::Failed(failure));
    }

    fn bind(&mut self) {
        self.step = Step::Bind;
        let bytes = match &self.query.bind {
            Some((dn, password)) => message::bind(self.id, dn, password.reveal()),
            None => message::bind(self.id, "", ""),
        };
        self.send(bytes);
    }

    fn search(&mut self, cookie: &[u8]) {
        self.step = Step::Search;
        self.id += 1;
        let query = &self.query;
        let attributes = query.attributes.all();
        let bytes = message::search(self.id, &query.base, &query.filter, &attributes, (PAGE, cookie));
        self.send(bytes);
    }

    fn work(&mut self) -> Result<(), Failure> {
        while let Some(whole) = ber::message(&self.buffer)?.filter(|n| *n <= self.buffer.len()) {
            let bytes: Vec<u8> = self.buffer.drain(..whole).collect();
            let (id, answer) = message::read(&bytes)?;
            if id == 0 {
                // Notice of Disconnection, the only message without a question (RFC 4511 §4.4.1)
                if let Answer::Extended(result) = answer {
                    return Err(refused("the connection", &result));
                }
                return Err(Failure::Protocol("a message that nobody asked for".to_owned()));
            }
            if u32::try_from(id) != Ok(self.id) {
                return Err(Failure::Protocol(format!("message {id} answers nothing")));
            }
            self.answer(answer)?;
            if self.step == Step::Over {
                break;
            }
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer) -> Result<(), Failure> {
        match (self.step, answer) {
            (Step::StartTls, Answer::Extended(result)) => {
                accepted("StartTLS", &result)?;
                if !self.buffer.is_empty() {
                    return Err(Failure::Injected);
                }
                self.step = Step::Secure;
                self.out.push_back(Output::StartTls);
            }
            (Step::Bind, Answer::Bind(result)) => {
                accepted("bind", &result)?;
                self.search(&[]);
            }
            (Step::Search, Answer::Entry(attributes)) => self.keep(&attributes),
            (Step::Search, Answer::Reference) => self.found.unusable += 1,
            (Step::Search, Answer::Done(result, cookie)) => {
                accepted("search", &result)?;
                if cookie.is_empty() || self.found.more {
                    self.finish();
                } else {
                    self.search(&cookie);
                }
            }
            (step, answer) => return Err(Failure::Protocol(format!("{} in step {step:?}", kind(&answer)))),
        }
        Ok(())
    }

    fn keep(&mut self, attributes: &[(String, Vec<Vec<u8>>)]) {
        self.looked_at += 1;
        if self.looked_at > LOOKED_AT || self.found.entries.len() >= ENTRIES {
            self.found.more = true;
            return;
        }
        match Entry::of(attributes, &self.query.attributes) {
            Some(entry) => self.found.entries.push(entry),
            None => self.found.unusable += 1,
        }
    }

    fn finish(&mut self) {
        self.step = Step::Over;
        self.buffer = Vec::new();
        self.send(message::unbind(self.id + 1));
        let mut found = std::mem::take(&mut self.found);
        found.entries.sort();
        found.entries.dedup();
        self.out.push_back(Output::Done(found));
    }
}

fn accepted(step: &'static str, result: &LdapResult) -> Result<(), Failure> {
    if result.code == 0 {
        Ok(())
    } else {
        Err(refused(step, result))
    }
}

fn refused(step: &'static str, result: &LdapResult) -> Failure {
    Failure::Refused {
        step,
        code: result.code,
        text: result.text.clone(),
    }
}

fn kind(answer: &Answer) -> String {
    match answer {
        Answer::Bind(_) => "a bind response".to_owned(),
        Answer::Done(..) => "the end of a search".to_owned(),
        Answer::Entry(_) => "an entry".to_owned(),
        Answer::Extended(_) => "an extended response".to_owned(),
        Answer::Other(tag) => format!("an answer of kind 0x{tag:02x}"),
        Answer::Reference => "a reference".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::server;

    fn query(start_tls: bool) -> Query {
        Query {
            attributes: Attributes {
                address: None,
                name: "cn".into(),
                number: "telephoneNumber".into(),
            },
            base: "dc=example".into(),
            bind: Some(("cn=door,dc=example".into(), Secret::new("a pass phrase"))),
            filter: Filter::new("(telephoneNumber=*)").expect("a filter"),
            start_tls,
        }
    }

    fn drain(session: &mut Session) -> Vec<Output> {
        std::iter::from_fn(|| session.poll_output()).collect()
    }

    fn person(id: u32, name: &str, number: &str) -> Vec<u8> {
        server::entry(id, &[("cn", name), ("telephoneNumber", number)])
    }

    fn only_send(session: &mut Session) {
        let out = drain(session);
        assert!(matches!(&out[..], [Output::Send(_)]), "{out:?}");
    }

    #[test]
    fn every_page_is_fetched_and_what_can_be_called_is_kept_in_order() {
        let mut session = Session::begin(query(false), false);
        assert_eq!(
            drain(&mut session),
            [Output::Send(message::bind(
                1,
                "cn=door,dc=example",
                "a pass phrase"
            ))]
        );
        session.handle_bytes(&server::bound(1, 0, ""));
        only_send(&mut session);
        let first = [
            person(2, "Bob", "+33 1 23"),
            server::reference(2),
            server::entry(2, &[("cn", "Nobody")]),
            server::done(2, 0, Some(b"next")),
        ];
        // octet by octet: what is not whole waits
        for byte in first.concat() {
            session.handle_bytes(&[byte]);
        }
        only_send(&mut session);
        session.handle_bytes(&[person(3, "Alice", "1000"), person(3, "Alice", "1000")].concat());
        session.handle_bytes(&server::done(3, 0, Some(b"")));
        let entry = |name: &str, number: &str| Entry {
            name: name.into(),
            number: number.into(),
            address: None,
        };
        let found = Found {
            entries: vec![entry("Alice", "1000"), entry("Bob", "+33123")],
            more: false,
            unusable: 2,
        };
        assert_eq!(
            drain(&mut session),
            [Output::Send(message::unbind(4)), Output::Done(found)]
        );
        session.handle_bytes(b"more");
        session.handle_closed();
        assert!(drain(&mut session).is_empty());
    }

    #[test]
    fn nothing_is_said_before_tls_and_nothing_slips_in_before_it() {
        let mut session = Session::begin(query(true), false);
        assert_eq!(drain(&mut session), [Output::Send(message::start_tls(1))]);
        session.handle_secured();
        assert!(drain(&mut session).is_empty(), "TLS is not on yet");
        session.handle_bytes(&server::extended(1, 0, ""));
        assert_eq!(drain(&mut session), [Output::StartTls]);
        session.handle_secured();
        only_send(&mut session);

        let mut session = Session::begin(query(true), false);
        session.handle_bytes(&[server::extended(1, 0, ""), server::bound(2, 0, "")].concat());
        assert_eq!(drain(&mut session).pop(), Some(Output::Failed(Failure::Injected)));

        let mut session = Session::begin(query(true), false);
        session.handle_bytes(&server::extended(1, 2, "no TLS here"));
        let out = drain(&mut session);
        let Some(Output::Failed(failure)) = out.last() else {
            panic!("{out:?}");
        };
        assert_eq!(
            failure.to_string(),
            "StartTLS was refused with result 2, protocolError (no TLS here)"
        );
        assert_eq!(out.len(), 2, "the password was not sent: {out:?}");
    }

    #[test]
    fn each_refusal_ends_the_visit_with_its_step_and_words() {
        let mut session = Session::begin(query(false), false);
        session.handle_bytes(&server::bound(1, 49, ""));
        let failed = drain(&mut session).pop();
        let Some(Output::Failed(failure)) = failed else {
            panic!("{failed:?}");
        };
        assert_eq!(
            failure.to_string(),
            "bind was refused with result 49, invalidCredentials"
        );

        let mut session = Session::begin(query(false), false);
        session.handle_bytes(&server::bound(1, 0, ""));
        session.handle_bytes(&[person(2, "Bob", "1"), server::done(2, 4, None)].concat());
        assert!(matches!(
            drain(&mut session).pop(),
            Some(Output::Failed(Failure::Refused {
                step: "search",
                code: 4,
                ..
            }))
        ));
    }

    #[test]
    fn answers_that_nobody_asked_for_end_the_visit() {
        for (bytes, said) in [
            (server::bound(9, 0, ""), "message 9 answers nothing"),
            (person(1, "Eve", "666"), "an entry in step Bind"),
            (server::extended(0, 52, "going down"), "unavailable (going down)"),
            (vec![0x30, 3, 2, 1, 1], "an element breaks off"),
            (b"HTTP/1.1 400".to_vec(), "element 0x48"),
        ] {
            let mut session = Session::begin(query(false), false);
            session.handle_bytes(&bytes);
            let failed = drain(&mut session).pop();
            let Some(Output::Failed(failure)) = failed else {
                panic!("{failed:?}");
            };
            assert!(failure.to_string().contains(said), "{failure}");
        }
        let mut session = Session::begin(query(false), false);
        session.handle_closed();
        assert_eq!(drain(&mut session).pop(), Some(Output::Failed(Failure::Closed)));
    }

    #[test]
    fn a_directory_without_end_is_cut() {
        let mut session = Session::begin(query(false), false);
        session.handle_bytes(&server::bound(1, 0, ""));
        for n in 0..ENTRIES + 10 {
            session.handle_bytes(&person(2, &format!("{n:05}"), "1000"));
        }
        session.handle_bytes(&server::done(2, 0, Some(b"there is more")));
        let last = drain(&mut session).pop();
        let Some(Output::Done(found)) = last else {
            panic!("{last:?}");
        };
        assert_eq!((found.entries.len(), found.more), (ENTRIES, true));
    }

    proptest! {
        #[test]
        fn whatever_a_server_sends_memory_is_bounded_and_it_ends_once(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..20), bind: bool
        ) {
            let mut session = Session::begin(query(false), false);
            if bind {
                session.handle_bytes(&server::bound(1, 0, ""));
            }
            for part in parts {
                session.handle_bytes(&part);
                prop_assert!(session.buffer.len() <= ber::MESSAGE);
            }
            session.handle_closed();
            let ends = drain(&mut session)
                .into_iter()
                .filter(|o| matches!(o, Output::Failed(_) | Output::Done(_)))
                .count();
            prop_assert_eq!(ends, 1);
        }
    }
}
