//! The question where others see us: a binding request to a STUN server, again and again (RFC 8489 §6.2.1). Pure.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gateway_core::Instant;
use rand::RngCore;

use super::{Kind, Message, Writer};

/// First wait for an answer; doubled each time (RFC 8489 §6.2.1).
const AGAIN: Duration = Duration::from_millis(500);
/// Requests of one transaction (Rc).
const REQUESTS: u32 = 7;
/// Wait after the last of them, in first waits (Rm).
const LAST: u32 = 16;
/// Time between an answer and the next question: an address that a provider changed is known after so long.
const REFRESH: Duration = Duration::from_secs(120);
/// Time between a failure and the next question.
const RETRY: Duration = Duration::from_secs(60);

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// We are seen there from here on.
    Address(IpAddr),
    /// The server does not answer, or says nothing of use. Told once until it does; what was known before holds.
    Silent,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Asks {
        transaction: [u8; 12],
        sent: u32,
        due: Instant,
    },
    Rests {
        until: Instant,
    },
}

/// Asks one server.
#[derive(Debug)]
pub struct Client {
    server: SocketAddr,
    state: State,
    known: Option<IpAddr>,
    told_silent: bool,
}

impl Client {
    /// It asks at the first [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub const fn new(server: SocketAddr, now: Instant) -> Self {
        Self {
            server,
            state: State::Rests { until: now },
            known: None,
            told_silent: false,
        }
    }

    /// Whom it asks.
    #[must_use]
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Where others see us, as far as is known.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.known
    }

    /// When something is to be done.
    #[must_use]
    pub const fn poll_timeout(&self) -> Instant {
        match self.state {
            State::Asks { due, .. } => due,
            State::Rests { until } => until,
        }
    }

    /// Time has passed: fills `out` with a datagram for the server if one is due, else empties it.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        rng: &mut dyn RngCore,
        out: &mut Vec<u8>,
    ) -> Option<Change> {
        out.clear();
        if now < self.poll_timeout() {
            return None;
        }
        let (transaction, sent) = match self.state {
            State::Asks { sent: REQUESTS, .. } => {
                self.state = State::Rests { until: now + RETRY };
                return self.silent();
            }
            State::Asks {
                transaction, sent, ..
            } => (transaction, sent),
            State::Rests { .. } => {
                let mut transaction = [0; 12];
                rng.fill_bytes(&mut transaction);
                (transaction, 0)
            }
        };
        let sent = sent + 1;
        let wait = if sent == REQUESTS {
            AGAIN * LAST
        } else {
            AGAIN * (1 << (sent - 1))
        };
        self.state = State::Asks {
            transaction,
            sent,
            due: now + wait,
        };
        Writer::begin(out, Kind::Request, transaction).finish();
        None
    }

    /// A datagram came.
    pub fn handle_packet(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) -> Option<Change> {
        let message = Message::read(packet).filter(|_| from == self.server)?;
        let State::Asks { transaction, .. } = self.state else {
            return None;
        };
        if message.transaction != transaction {
            return None;
        }
        match (message.kind, message.mapped) {
            (Kind::Success, Some(mapped)) if super::is_place(mapped.ip()) => {
                self.state = State::Rests { until: now + REFRESH };
                self.told_silent = false;
                let ip = mapped.ip().to_canonical();
                (self.known.replace(ip) != Some(ip)).then_some(Change::Address(ip))
            }
            (Kind::Success | Kind::Error, _) => {
                self.state = State::Rests { until: now + RETRY };
                self.silent()
            }
            (Kind::Indication | Kind::Request, _) => None,
        }
    }

    fn silent(&mut self) -> Option<Change> {
        (!std::mem::replace(&mut self.told_silent, true)).then_some(Change::Silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(60_000 + ms)
    }

    fn server() -> SocketAddr {
        "192.0.2.9:3478".parse().expect("an address")
    }

    fn answer(request: &[u8], mapped: Option<&str>) -> Vec<u8> {
        let transaction = Message::read(request).expect("a request").transaction;
        let mut out = Vec::new();
        let kind = if mapped.is_some() {
            Kind::Success
        } else {
            Kind::Error
        };
        let mut writer = Writer::begin(&mut out, kind, transaction);
        match mapped {
            Some(address) => writer.mapped(address.parse().expect("an address")),
            None => writer.error(500, "Server Error"),
        }
        writer.finish();
        out
    }

    #[test]
    fn it_asks_learns_the_address_and_asks_again_after_two_minutes() {
        let (mut rng, mut out) = (StdRng::seed_from_u64(1), Vec::new());
        let mut client = Client::new(server(), at(0));
        assert_eq!(client.handle_timeout(at(0), &mut rng, &mut out), None);
        let reply = answer(&out, Some("198.51.100.4:9000"));
        let other = "192.0.2.8:3478".parse().expect("an address");
        assert_eq!(client.handle_packet(at(10), other, &reply), None);
        let learnt = Change::Address([198, 51, 100, 4].into());
        assert_eq!(client.handle_packet(at(10), server(), &reply), Some(learnt));
        assert_eq!(
            client.handle_packet(at(11), server(), &reply),
            None,
            "a second answer"
        );
        assert_eq!(client.address(), Some([198, 51, 100, 4].into()));
        client.handle_timeout(at(120_009), &mut rng, &mut out);
        assert!(out.is_empty());
        client.handle_timeout(at(120_010), &mut rng, &mut out);
        let reply = answer(&out, Some("198.51.100.5:9000"));
        let changed = Change::Address([198, 51, 100, 5].into());
        assert_eq!(client.handle_packet(at(120_020), server(), &reply), Some(changed));
    }

    #[test]
    fn a_server_that_is_silent_is_asked_seven_times_in_39_s_and_told_once() {
        let (mut rng, mut out) = (StdRng::seed_from_u64(1), Vec::new());
        let mut client = Client::new(server(), at(0));
        let (mut asked, mut told) = (Vec::new(), Vec::new());
        for ms in (0..200_000).step_by(100) {
            if client.handle_timeout(at(ms), &mut rng, &mut out) == Some(Change::Silent) {
                told.push(ms);
            }
            if !out.is_empty() {
                asked.push(ms);
            }
        }
        assert_eq!(asked[..8], [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500, 99_500]);
        assert_eq!(told, [39_500]);
    }

    #[test]
    fn an_error_and_an_answer_without_address_are_silence_and_the_old_address_holds() {
        let (mut rng, mut out) = (StdRng::seed_from_u64(1), Vec::new());
        let mut client = Client::new(server(), at(0));
        client.handle_timeout(at(0), &mut rng, &mut out);
        let good = answer(&out, Some("198.51.100.4:9000"));
        client.handle_packet(at(5), server(), &good);
        client.handle_timeout(at(130_000), &mut rng, &mut out);
        let error = answer(&out, None);
        assert_eq!(
            client.handle_packet(at(130_001), server(), &error),
            Some(Change::Silent)
        );
        assert_eq!(client.address(), Some([198, 51, 100, 4].into()));
        client.handle_timeout(at(190_001), &mut rng, &mut out);
        assert!(!out.is_empty(), "a minute later");
        let nowhere = answer(&out, Some("0.0.0.0:0"));
        assert_eq!(
            client.handle_packet(at(190_002), server(), &nowhere),
            None,
            "told before"
        );
        assert_eq!(client.address(), Some([198, 51, 100, 4].into()));
    }
}
