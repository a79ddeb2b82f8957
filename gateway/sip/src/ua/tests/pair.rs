//! Two user agents against each other, over a wire that delays, loses and repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_core::{Cause, Instant, LegId, RingId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::bench::{SDP, addr, params};
use crate::ua::{CallOutput, OutgoingCall, Output, Reached, UserAgent};
use crate::{Flow, FlowId, Transport};

const ADDRESSES: [&str; 2] = ["10.0.0.1:5060", "10.0.0.2:5060"];

struct Pair {
    ends: [UserAgent; 2],
    events: [Vec<(LegId, CallOutput)>; 2],
    latency: Duration,
    loss: f64,
    now: Instant,
    repeat: f64,
    rng: StdRng,
    serial: u64,
    wire: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
}

impl Pair {
    fn new(seed: u64, loss: f64) -> Self {
        let end = |n: usize| {
            let mut settings = params();
            settings.direct_peers = BTreeSet::from([addr(ADDRESSES[1 - n]).ip()]);
            UserAgent::new(settings, StdRng::seed_from_u64(seed * 2 + n as u64))
        };
        Self {
            ends: [end(0), end(1)],
            events: [Vec::new(), Vec::new()],
            latency: Duration::from_millis(20),
            loss,
            now: Instant::from_nanos(1_000_000_000),
            repeat: 0.1,
            rng: StdRng::seed_from_u64(seed),
            serial: 0,
            wire: BTreeMap::new(),
        }
    }

    fn flow(n: usize) -> Flow {
        Flow {
            id: FlowId(0),
            transport: Transport::Udp,
            local: addr(ADDRESSES[n]),
            remote: addr(ADDRESSES[1 - n]),
        }
    }

    fn settle(&mut self) {
        for n in 0..2 {
            while let Some(output) = self.ends[n].poll_output() {
                match output {
                    Output::Call { leg, what } => self.events[n].push((leg, what)),
                    Output::Connect { hop, .. } => {
                        let reached = Reached {
                            flow: Self::flow(n),
                            peers: vec![addr(ADDRESSES[1 - n]).ip()],
                        };
                        self.ends[n].handle_connected(self.now, &hop, Ok(reached));
                    }
                    Output::Send { bytes, .. } => self.put(1 - n, bytes),
                    Output::Account { .. }
                    | Output::Close { .. }
                    | Output::Message(_)
                    | Output::NotPublished { .. }
                    | Output::Stranger { .. }
                    | Output::Tries { .. } => {}
                }
            }
        }
    }

    fn put(&mut self, to: usize, bytes: Vec<u8>) {
        let copies = if self.rng.random_bool(self.loss) {
            0
        } else {
            1 + usize::from(self.rng.random_bool(self.repeat))
        };
        for _ in 0..copies {
            self.serial += 1;
            let jitter = Duration::from_millis(self.rng.random_range(0..15));
            let at = self.now + self.latency + jitter;
            self.wire.insert((at, self.serial), (to, bytes.clone()));
        }
    }

    /// Runs until `done` or the time is over.
    fn run(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + time;
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            let next = self
                .ends
                .iter()
                .filter_map(UserAgent::poll_timeout)
                .chain(self.wire.keys().next().map(|(at, _)| *at))
                .min();
            let Some(at) = next.filter(|at| *at <= end) else {
                self.now = end;
                return done(self);
            };
            self.now = self.now.max(at);
            while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= self.now) {
                let (to, bytes) = entry.remove();
                self.ends[to].handle_received(self.now, Self::flow(to), &bytes);
            }
            for end in &mut self.ends {
                end.handle_timeout(self.now);
            }
        }
    }

    fn saw(&self, n: usize, what: impl Fn(&CallOutput) -> bool) -> bool {
        self.events[n].iter().any(|(_, event)| what(event))
    }

    fn dial(&mut self) {
        self.ends[0].call(
            self.now,
            OutgoingCall {
                account: None,
                display: "Door".into(),
                leg: LegId(1),
                manner: gateway_core::Manner::default(),
                patience: None,
                ring: RingId::new(1, [1; 10]),
                target: "sip:phone@10.0.0.2".into(),
            },
        );
        self.settle();
        self.ends[0].give_offer(self.now, LegId(1), SDP.into());
    }

    fn dump(&self) -> String {
        format!("caller {:?}\ncallee {:?}", self.events[0], self.events[1])
    }
}

fn answered(what: &CallOutput) -> bool {
    matches!(what, CallOutput::Answered { .. })
}

fn confirmed(what: &CallOutput) -> bool {
    matches!(what, CallOutput::Confirmed { .. })
}

fn ended(what: &CallOutput) -> bool {
    matches!(what, CallOutput::Ended { .. })
}

fn incoming(what: &CallOutput) -> bool {
    matches!(what, CallOutput::Incoming { .. })
}

const LONG: Duration = Duration::from_secs(120);

#[test]
fn calls_get_through_a_wire_that_loses_a_quarter() {
    for seed in 0..40 {
        let mut pair = Pair::new(seed, 0.25);
        pair.dial();
        assert!(
            pair.run(LONG, |p| p.saw(1, incoming)),
            "seed {seed}: {}",
            pair.dump()
        );
        let leg = pair.events[1][0].0;
        let now = pair.now;
        pair.ends[1].ring(now, leg);
        pair.ends[1].accept(now, leg, SDP.into());
        let talk = pair.run(LONG, |p| p.saw(0, answered) && p.saw(1, confirmed));
        assert!(talk, "seed {seed}: {}", pair.dump());
        let (by, other) = if seed % 2 == 0 { (0, 1) } else { (1, 0) };
        let ours = if by == 0 { LegId(1) } else { leg };
        let now = pair.now;
        pair.ends[by].end(now, ours, Cause::Released);
        assert!(
            pair.run(LONG, |p| p.saw(other, ended)),
            "seed {seed}: {}",
            pair.dump()
        );
        assert_eq!((pair.ends[0].calls(), pair.ends[1].calls()), (0, 0));
        pair.run(LONG, |_| false);
        for n in 0..2 {
            let ends = pair.events[n].iter().filter(|(_, e)| ended(e)).count();
            assert_eq!(ends, 1, "seed {seed}: {}", pair.dump());
            assert!(pair.ends[n].is_idle());
            assert_eq!(pair.ends[n].poll_timeout(), None);
        }
    }
}

#[test]
fn giving_up_and_answering_at_any_moment_leaves_no_call_behind() {
    for seed in 0..60 {
        let mut pair = Pair::new(seed, 0.1);
        pair.dial();
        assert!(
            pair.run(LONG, |p| p.saw(1, incoming)),
            "seed {seed}: {}",
            pair.dump()
        );
        let leg = pair.events[1][0].0;
        let now = pair.now;
        pair.ends[1].ring(now, leg);
        pair.run(Duration::from_millis(seed), |_| false);
        let now = pair.now;
        pair.ends[1].accept(now, leg, SDP.into());
        // From before the 200 is on the wire to after its ACK.
        pair.run(Duration::from_millis(seed * 3), |_| false);
        let now = pair.now;
        pair.ends[0].end(now, LegId(1), Cause::AnsweredElsewhere);
        assert!(
            pair.run(LONG, |p| p.saw(1, ended)),
            "seed {seed}: {}",
            pair.dump()
        );
        pair.run(LONG, |_| false);
        assert_eq!(
            (pair.ends[0].calls(), pair.ends[1].calls()),
            (0, 0),
            "{}",
            pair.dump()
        );
        assert!(pair.ends.iter().all(UserAgent::is_idle));
    }
}

#[test]
fn session_timers_keep_a_long_call_over_a_bad_wire_and_end_it_when_the_wire_is_cut() {
    for seed in 0..10 {
        let mut pair = Pair::new(seed, 0.25);
        pair.dial();
        assert!(
            pair.run(LONG, |p| p.saw(1, incoming)),
            "seed {seed}: {}",
            pair.dump()
        );
        let (leg, now) = (pair.events[1][0].0, pair.now);
        pair.ends[1].accept(now, leg, SDP.into());
        assert!(
            pair.run(LONG, |p| p.saw(0, answered) && p.saw(1, confirmed)),
            "seed {seed}: {}",
            pair.dump()
        );
        let day = Duration::from_secs(86_400);
        let broke = pair.run(day, |p| p.saw(0, ended) || p.saw(1, ended));
        assert!(!broke, "seed {seed}: {}", pair.dump());
        pair.loss = 1.0;
        let over = pair.run(Duration::from_secs(1800), |p| p.saw(0, ended) && p.saw(1, ended));
        assert!(over, "seed {seed}: {}", pair.dump());
        assert_eq!((pair.ends[0].calls(), pair.ends[1].calls()), (0, 0));
    }
}

#[test]
fn a_busy_line_tells_the_caller_so() {
    let mut pair = Pair::new(3, 0.2);
    pair.dial();
    assert!(pair.run(LONG, |p| p.saw(1, incoming)));
    let (leg, now) = (pair.events[1][0].0, pair.now);
    pair.ends[1].end(now, leg, Cause::Busy);
    assert!(pair.run(LONG, |p| p.saw(0, ended)));
    let busy = |e: &CallOutput| matches!(e, CallOutput::Ended { cause: Cause::Busy, detail } if detail == "486 Busy Here");
    assert!(pair.saw(0, busy), "{}", pair.dump());
}
