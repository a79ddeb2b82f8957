//! One request, asked of several servers in order: tries, time-outs, and which answer counts. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{Instant, Secret};

use crate::reply::{BadReply, Reply};
use crate::request::Request;

/// Answers of one server that are looked at; who sends more is not listened to.
const ANSWERS: u32 = 64;

/// How often and how long each server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// At least one.
    pub count: u8,
    /// How long each waits.
    pub wait: Duration,
}

/// A server with its own request: the password is hidden with the secret it shares with us.
#[derive(Clone, Debug)]
pub struct Target {
    /// What it is asked.
    pub request: Request,
    /// Shared secret.
    pub secret: Secret,
    /// How often.
    pub tries: Tries,
}

/// Why a server gave no answer that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Something came, and this was wrong with it.
    Bad(BadReply),
    /// The network does not lead there: what the system said.
    Network(String),
    /// Nothing came.
    NoAnswer,
    /// Its machine said that nobody listens at the port.
    Refused,
    /// Its name has no address: what the system said.
    Unresolved(String),
}

/// What the driver has to do, or what came of it. Targets are numbered as they were given.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// This target answered.
    Answered {
        /// Which.
        target: usize,
        /// What.
        reply: Reply,
    },
    /// None answered. It is over.
    Nobody,
    /// Send the target's request.
    Send {
        /// Which.
        target: usize,
    },
    /// The next target is asked, since this one did not answer.
    Silent {
        /// Which.
        target: usize,
        /// Why.
        why: Silence,
    },
}

#[derive(Debug)]
struct Asked {
    /// Answers looked at.
    looked: u32,
    /// What was wrong with the last one that was wrong in a telling way.
    bad: Option<BadReply>,
    target: Target,
}

/// The machine: feed it with datagrams and time, and do what it says.
#[derive(Debug)]
pub struct Exchange {
    /// Which target is being asked; behind the last one if it is over.
    at: usize,
    asked: Vec<Asked>,
    deadline: Option<Instant>,
    outputs: VecDeque<Output>,
    require: bool,
    /// Tries of the target that is being asked.
    tried: u8,
}

impl Exchange {
    /// Begins to ask. `require` wants a Message-Authenticator in answers to logins.
    #[must_use]
    pub fn begin(now: Instant, targets: Vec<Target>, require: bool) -> Self {
        let asked = targets.into_iter().map(|target| Asked {
            looked: 0,
            bad: None,
            target,
        });
        let mut exchange = Self {
            at: 0,
            asked: asked.collect(),
            deadline: None,
            outputs: VecDeque::new(),
            require,
            tried: 0,
        };
        exchange.ask(now);
        exchange
    }

    /// The octets for a target.
    #[must_use]
    pub fn request(&self, target: usize) -> Option<&Request> {
        self.asked.get(target).map(|asked| &asked.target.request)
    }

    /// Takes what came from a target. Answers of targets that were given up still count.
    pub fn handle_datagram(&mut self, target: usize, datagram: &[u8]) {
        let over = self.at >= self.asked.len();
        let Some(asked) = self.asked.get_mut(target).filter(|a| !over && a.looked < ANSWERS) else {
            return;
        };
        asked.looked += 1;
        let Target { request, secret, .. } = &asked.target;
        match Reply::check(datagram, request, secret, self.require) {
            Ok(reply) => {
                self.at = self.asked.len();
                self.deadline = None;
                self.outputs.push_back(Output::Answered { target, reply });
            }
            // these say nothing about the server: stray or late
            Err(BadReply::Other { .. } | BadReply::Packet(_) | BadReply::Code(_)) if asked.bad.is_some() => {}
            Err(bad) => asked.bad = Some(bad),
        }
    }

    /// The driver could not reach a target, or was told that nobody is there.
    pub fn handle_failure(&mut self, now: Instant, target: usize, why: Silence) {
        if target == self.at && target < self.asked.len() {
            self.give_up(now, why);
        }
    }

    /// The time of [`Exchange::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(asked) = self.asked.get(self.at) else {
            return;
        };
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.tried < asked.target.tries.count {
            self.ask(now);
        } else {
            let why = asked.bad.map_or(Silence::NoAnswer, Silence::Bad);
            self.give_up(now, why);
        }
    }

    /// When to call [`Exchange::handle_timeout`]; `None` if it is over.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// What is to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn give_up(&mut self, now: Instant, why: Silence) {
        self.outputs.push_back(Output::Silent { target: self.at, why });
        self.at += 1;
        self.tried = 0;
        self.ask(now);
    }

    fn ask(&mut self, now: Instant) {
        let Some(asked) = self.asked.get(self.at) else {
            self.deadline = None;
            self.outputs.push_back(Output::Nobody);
            return;
        };
        self.tried += 1;
        self.deadline = Some(now + asked.target.tries.wait);
        self.outputs.push_back(Output::Send { target: self.at });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::Code;
    use crate::reply::tests::{ADMIN, access, answer, forge};
    use crate::request::tests::secret;

    const T0: Instant = Instant::from_nanos(7_000_000_000);
    const WAIT: Duration = Duration::from_secs(2);

    fn exchange(targets: usize) -> Exchange {
        let target = Target {
            request: access(),
            secret: secret(),
            tries: Tries { count: 2, wait: WAIT },
        };
        Exchange::begin(T0, vec![target; targets], true)
    }

    fn drain(exchange: &mut Exchange) -> Vec<String> {
        std::iter::from_fn(|| exchange.poll_output())
            .map(|output| match output {
                Output::Answered { target, reply } => format!("{target} answers {:?}", reply.code()),
                Output::Nobody => "nobody".to_owned(),
                Output::Send { target } => format!("ask {target}"),
                Output::Silent { target, why } => format!("{target} silent: {why:?}"),
            })
            .collect()
    }

    fn accept() -> Vec<u8> {
        answer(&access(), Code::AccessAccept, &[ADMIN], true)
    }

    #[test]
    fn a_server_is_asked_again_with_the_same_octets_and_then_the_next_one() {
        let mut exchange = exchange(2);
        let octets = exchange.request(0).expect("there").bytes().to_vec();
        assert_eq!(drain(&mut exchange), ["ask 0"]);
        assert_eq!(exchange.poll_timeout(), Some(T0 + WAIT));
        exchange.handle_timeout(T0 + WAIT - Duration::from_nanos(1));
        assert!(drain(&mut exchange).is_empty());
        exchange.handle_timeout(T0 + WAIT);
        assert_eq!(drain(&mut exchange), ["ask 0"]);
        assert_eq!(exchange.request(0).expect("there").bytes(), octets);
        exchange.handle_timeout(T0 + WAIT * 2);
        assert_eq!(drain(&mut exchange), ["0 silent: NoAnswer", "ask 1"]);
        exchange.handle_datagram(1, &accept());
        assert_eq!(drain(&mut exchange), ["1 answers AccessAccept"]);
        assert_eq!(exchange.poll_timeout(), None);
        // over: neither time nor octets change anything
        exchange.handle_timeout(T0 + WAIT * 9);
        exchange.handle_datagram(0, &accept());
        assert!(drain(&mut exchange).is_empty());
    }

    #[test]
    fn a_late_answer_of_the_first_server_counts_while_the_second_one_is_asked() {
        let mut exchange = exchange(2);
        exchange.handle_timeout(T0 + WAIT);
        exchange.handle_timeout(T0 + WAIT * 2);
        drain(&mut exchange);
        exchange.handle_datagram(0, &accept());
        assert_eq!(drain(&mut exchange), ["0 answers AccessAccept"]);
    }

    #[test]
    fn what_does_not_count_is_as_if_it_had_not_come_and_is_told_at_the_end() {
        let mut exchange = exchange(1);
        let forged = forge(
            &access(),
            Code::AccessAccept,
            &[ADMIN],
            true,
            &Secret::new("guess"),
        );
        exchange.handle_datagram(0, &forged);
        exchange.handle_datagram(0, b"noise");
        exchange.handle_datagram(3, &accept());
        assert_eq!(drain(&mut exchange), ["ask 0"]);
        exchange.handle_timeout(T0 + WAIT);
        exchange.handle_timeout(T0 + WAIT * 2);
        assert_eq!(
            drain(&mut exchange),
            ["ask 0", "0 silent: Bad(Authenticator)", "nobody"]
        );
        assert_eq!(exchange.poll_timeout(), None);
    }

    #[test]
    fn a_forger_does_not_keep_out_who_the_server_lets_in() {
        let mut exchange = exchange(1);
        let reject = forge(&access(), Code::AccessReject, &[], true, &Secret::new("guess"));
        for _ in 0..20 {
            exchange.handle_datagram(0, &reject);
        }
        exchange.handle_datagram(0, &accept());
        assert_eq!(drain(&mut exchange), ["ask 0", "0 answers AccessAccept"]);
    }

    #[test]
    fn a_closed_port_or_an_unknown_name_takes_no_time() {
        let mut exchange = exchange(3);
        exchange.handle_failure(T0, 1, Silence::Refused);
        assert_eq!(drain(&mut exchange), ["ask 0"], "only who is asked can fail");
        exchange.handle_failure(T0, 0, Silence::Refused);
        exchange.handle_failure(T0, 1, Silence::Unresolved("no such name".into()));
        exchange.handle_failure(T0, 2, Silence::Network("no route".into()));
        exchange.handle_failure(T0, 3, Silence::Refused);
        assert_eq!(
            drain(&mut exchange),
            [
                "0 silent: Refused",
                "ask 1",
                "1 silent: Unresolved(\"no such name\")",
                "ask 2",
                "2 silent: Network(\"no route\")",
                "nobody"
            ]
        );
    }

    #[test]
    fn without_servers_there_is_nobody() {
        assert_eq!(drain(&mut exchange(0)), ["nobody"]);
    }

    proptest! {
        #[test]
        fn whatever_comes_it_ends_after_its_tries_and_lets_nobody_in(
            steps in prop::collection::vec((0_usize..4, prop::collection::vec(any::<u8>(), 0..60), 0_u64..3000), 0..200)
        ) {
            let mut exchange = exchange(2);
            let (mut now, mut sent, mut ended) = (T0, 0, 0);
            for (target, bytes, ms) in steps {
                now = now + Duration::from_millis(ms);
                exchange.handle_datagram(target, &bytes);
                exchange.handle_timeout(now);
            }
            while let Some(next) = exchange.poll_timeout() {
                now = now.max(next);
                exchange.handle_timeout(now);
            }
            while let Some(output) = exchange.poll_output() {
                match output {
                    Output::Answered { .. } => prop_assert!(false, "octets let somebody in"),
                    Output::Nobody => ended += 1,
                    Output::Send { .. } => sent += 1,
                    Output::Silent { .. } => {}
                }
            }
            prop_assert_eq!((sent, ended), (4, 1));
        }
    }
}
