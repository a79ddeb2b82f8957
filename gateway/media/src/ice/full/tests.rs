//! Two sides in a simulated network, with routers that rewrite and filter, and losses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::ice::{Agent, Credentials};

fn a(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(60_000 + ms)
}

const WAY: u64 = 20;

/// A router with one address outside.
#[derive(Default)]
struct Router {
    outside: Option<SocketAddr>,
    /// By whom, and towards whom if that makes a difference: the port outside.
    ports: BTreeMap<(SocketAddr, Option<SocketAddr>), u16>,
    /// Another port for each address outside (RFC 4787: address-dependent mapping).
    symmetric: bool,
    /// Who may come in at which port: whoever was sent to from it.
    sent: BTreeSet<(u16, SocketAddr)>,
}

impl Router {
    fn out(&mut self, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let Some(outside) = self.outside else {
            return from;
        };
        let next = outside.port() + u16::try_from(self.ports.len()).expect("few");
        let key = (from, self.symmetric.then_some(to));
        let port = *self.ports.entry(key).or_insert(next);
        self.sent.insert((port, to));
        SocketAddr::new(outside.ip(), port)
    }

    /// Where it goes inside.
    fn back(&self, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        if self.outside.is_none() {
            return Some(to);
        }
        let inside = self.ports.iter().find(|(_, port)| **port == to.port())?.0.0;
        self.sent.contains(&(to.port(), from)).then_some(inside)
    }

    fn has(&self, to: SocketAddr) -> bool {
        self.outside.is_some_and(|outside| outside.ip() == to.ip())
    }
}

struct Node {
    agent: Agent,
    own: SocketAddr,
    router: Router,
}

struct Net {
    nodes: [Node; 2],
    /// When, from where, where to, what.
    under_way: VecDeque<(u64, SocketAddr, SocketAddr, Vec<u8>)>,
    now: u64,
    /// One in so many is lost; 0 none.
    lost: usize,
    sent: usize,
}

impl Net {
    fn send(&mut self, node: usize, to: SocketAddr, packet: Vec<u8>) {
        self.sent += 1;
        if self.lost != 0 && self.sent.is_multiple_of(self.lost) {
            return;
        }
        let own = self.nodes[node].own;
        let from = self.nodes[node].router.out(own, to);
        self.under_way.push_back((self.now + WAY, from, to, packet));
    }

    fn run(&mut self, ms: u64) {
        let mut out = Vec::new();
        for _ in 0..ms / 10 {
            self.now += 10;
            while self.under_way.front().is_some_and(|(due, ..)| *due <= self.now) {
                let Some((_, from, to, packet)) = self.under_way.pop_front() else {
                    break;
                };
                let reached = |node: &Node| {
                    let own = if node.router.has(to) {
                        node.router.back(from, to)?
                    } else {
                        to
                    };
                    (own == node.own && (node.router.outside.is_none() || node.router.has(to))).then_some(())
                };
                let Some(n) = self.nodes.iter().position(|node| reached(node).is_some()) else {
                    continue;
                };
                let agent = &mut self.nodes[n].agent;
                match agent.handle(at(self.now), Component::Rtp, from, &packet, &mut out) {
                    Heard::Answer | Heard::Chosen => self.send(n, from, out.clone()),
                    Heard::Nothing | Heard::Taken => {}
                }
            }
            for n in 0..2 {
                while let Some((component, to)) = self.nodes[n].agent.check(at(self.now), &mut out) {
                    assert_eq!(component, Component::Rtp);
                    self.send(n, to, out.clone());
                }
            }
        }
    }

    fn targets(&self) -> [Option<SocketAddr>; 2] {
        [0, 1].map(|n| self.nodes[n].agent.target(Component::Rtp))
    }
}

fn credentials(n: usize) -> Credentials {
    let (fragment, password) = [
        ("ours", "our+password+is+24+long+"),
        ("them", "their+password+of+24+chr"),
    ][n];
    Credentials::new(fragment, password).expect("fits")
}

/// A side that knows these addresses of the other; a lite one without them.
fn agent(n: usize, knows: Option<&[&str]>, controlling: bool) -> Agent {
    let candidate = |(n, text): (u32, &&str)| Candidate {
        component: Component::Rtp,
        address: a(text),
        priority: 2_000_000_000 - n,
    };
    Agent::new(Agreement {
        local: credentials(n),
        remote: credentials(1 - n).fragment,
        checks: knows.map(|list| Checks {
            password: credentials(1 - n).password,
            candidates: (0..).zip(list).map(candidate).collect(),
            controlling,
            tie_breaker: 40 + u64::try_from(n).expect("few"),
        }),
        last_counts: true,
    })
}

fn net(nodes: [(Agent, &str, Option<&str>); 2]) -> Net {
    Net {
        nodes: nodes.map(|(agent, own, outside)| Node {
            agent,
            own: a(own),
            router: Router {
                outside: outside.map(a),
                ..Router::default()
            },
        }),
        under_way: VecDeque::new(),
        now: 0,
        lost: 0,
        sent: 0,
    }
}

#[test]
fn two_sides_find_each_other_and_the_one_who_offered_chooses() {
    let mut net = net([
        (
            agent(0, Some(&["10.9.9.9:7", "192.0.2.7:4000"]), true),
            "192.0.2.1:3000",
            None,
        ),
        (agent(1, Some(&["192.0.2.1:3000"]), false), "192.0.2.7:4000", None),
    ]);
    net.run(100);
    assert!(
        net.targets() == [Some(a("192.0.2.7:4000")), Some(a("192.0.2.1:3000"))],
        "what works is used before it is chosen: {:?}",
        net.targets()
    );
    assert!(
        !net.nodes
            .iter()
            .any(|n| matches!(&n.agent, Agent::Full(full) if full.chosen[0].is_some())),
        "a better one may come"
    );
    net.run(500);
    assert!(
        net.nodes
            .iter()
            .all(|n| matches!(&n.agent, Agent::Full(full) if full.chosen[0].is_some()))
    );
    // an hour later each still knows that the other is there, by some questions and no flood
    let before = net.sent;
    net.run(3_600_000);
    assert!(
        (2_500..3_500).contains(&(net.sent - before)),
        "{}",
        net.sent - before
    );
    assert!(net.targets().iter().all(Option::is_some));
}

#[test]
fn a_check_of_ours_opens_the_router_that_nobody_knows_the_ports_of() {
    // behind a router that gives another port and lets nobody in who was not sent to
    for symmetric in [false, true] {
        let mut net = net([
            (
                agent(0, Some(&["198.51.100.7:4000"]), true),
                "192.168.0.9:16384",
                Some("203.0.113.5:61000"),
            ),
            (
                agent(1, Some(&["192.168.0.9:16384", "203.0.113.5:16384"]), false),
                "198.51.100.7:4000",
                None,
            ),
        ]);
        net.nodes[0].router.symmetric = symmetric;
        net.run(1_000);
        assert_eq!(
            net.targets(),
            [Some(a("198.51.100.7:4000")), Some(a("203.0.113.5:61000"))]
        );
    }
}

#[test]
fn two_routers_open_for_each_other_where_the_ports_outside_are_known() {
    let mut net = net([
        (
            agent(0, Some(&["192.168.0.7:4000", "198.51.100.7:52000"]), true),
            "192.168.0.9:16384",
            Some("203.0.113.5:61000"),
        ),
        (
            agent(1, Some(&["192.168.0.9:16384", "203.0.113.5:61000"]), false),
            "192.168.0.7:4000",
            Some("198.51.100.7:52000"),
        ),
    ]);
    net.run(2_000);
    assert_eq!(
        net.targets(),
        [Some(a("198.51.100.7:52000")), Some(a("203.0.113.5:61000"))]
    );
}

#[test]
fn a_lite_side_is_checked_and_told_what_was_chosen() {
    let mut net = net([
        (
            agent(0, Some(&["198.51.100.7:4000"]), true),
            "192.168.0.9:16384",
            Some("203.0.113.5:61000"),
        ),
        (agent(1, None, false), "198.51.100.7:4000", None),
    ]);
    net.run(1_000);
    assert_eq!(
        net.targets(),
        [Some(a("198.51.100.7:4000")), Some(a("203.0.113.5:61000"))]
    );
}

#[test]
fn both_who_would_choose_and_both_who_would_not_come_to_an_agreement() {
    for both in [false, true] {
        let mut net = net([
            (agent(0, Some(&["192.0.2.7:4000"]), both), "192.0.2.1:3000", None),
            (agent(1, Some(&["192.0.2.1:3000"]), both), "192.0.2.7:4000", None),
        ]);
        net.run(3_000);
        let choose = net
            .nodes
            .iter()
            .filter(|n| matches!(&n.agent, Agent::Full(full) if full.controlling));
        assert_eq!(choose.count(), 1);
        assert!(
            net.nodes
                .iter()
                .all(|n| matches!(&n.agent, Agent::Full(full) if full.chosen[0].is_some()))
        );
    }
}

#[test]
fn a_third_of_all_messages_may_be_lost() {
    let mut net = net([
        (agent(0, Some(&["192.0.2.7:4000"]), true), "192.0.2.1:3000", None),
        (agent(1, Some(&["192.0.2.1:3000"]), false), "192.0.2.7:4000", None),
    ]);
    net.lost = 3;
    net.run(10_000);
    assert!(net.targets().iter().all(Option::is_some));
}

#[test]
fn who_does_not_answer_any_more_gets_nothing_more_after_30_s() {
    let mut net = net([
        (agent(0, Some(&["192.0.2.7:4000"]), true), "192.0.2.1:3000", None),
        (agent(1, Some(&["192.0.2.1:3000"]), false), "192.0.2.7:4000", None),
    ]);
    net.run(2_000);
    net.lost = 1;
    net.run(23_000);
    assert!(
        net.targets().iter().all(Option::is_some),
        "some questions are lost"
    );
    net.run(10_000);
    assert_eq!(net.targets(), [None; 2]);
    let before = net.sent;
    net.run(60_000);
    assert_eq!(net.sent, before, "nor is it asked");
}

#[test]
fn many_addresses_that_lead_nowhere_get_few_messages() {
    let list: Vec<String> = (1..200).map(|n| format!("198.51.100.{n}:9")).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let mut net = net([
        (agent(0, Some(&list), true), "192.0.2.1:3000", None),
        (agent(1, None, false), "192.0.2.7:4000", None),
    ]);
    net.run(1_000);
    assert!(net.sent <= 20, "one in 50 ms: {}", net.sent);
    net.run(600_000);
    assert!(net.sent <= PAIRS * 7, "{}", net.sent);
    assert_eq!(net.targets()[0], None);
}

/// The answer to a check of ours, as the other side signs it.
fn reply(check: &[u8], password: &str, code: Option<u16>) -> Vec<u8> {
    let request = Message::read(check).expect("a check");
    let kind = if code.is_some() {
        Kind::Error
    } else {
        Kind::Success
    };
    let mut out = Vec::new();
    let mut writer = Writer::begin(&mut out, kind, request.transaction);
    match code {
        Some(code) => writer.error(code, "no"),
        None => writer.mapped(a("192.0.2.7:4000")),
    }
    writer.sign(password.as_bytes());
    writer.finish();
    out
}

#[test]
fn one_who_refuses_either_role_is_not_asked_for_ever() {
    let mut agent = agent(0, Some(&["192.0.2.7:4000"]), true);
    let (mut check, mut out, mut roles) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..1_000 {
        while let Some((_, to)) = agent.check(at(n * 50), &mut check) {
            let request = Message::read(&check).expect("a check");
            roles.push(request.controlling.is_some());
            let refused = reply(&check, &credentials(1).password, Some(487));
            agent.handle(at(n * 50 + 1), Component::Rtp, to, &refused, &mut out);
        }
    }
    assert_eq!(roles, [true, false, true, false, true]);
    assert_eq!(agent.target(Component::Rtp), None);
}

#[test]
fn who_chooses_once_is_followed_to_a_worse_way_and_not_back() {
    let [better, worse] = ["192.0.2.1:3000", "192.0.2.2:3000"];
    for (once, wanted) in [(true, worse), (false, better)] {
        let mut agreement = agent(1, Some(&[better, worse]), false).agreement().clone();
        agreement.last_counts = once;
        let mut agent = Agent::new(agreement);
        let (mut out, mut now) = (Vec::new(), 0);
        for chosen in [better, worse] {
            let mut check = Vec::new();
            let mut writer = Writer::begin(&mut check, Kind::Request, [7; 12]);
            writer.username("them:ours");
            writer.priority(100);
            writer.role(true, 40);
            writer.use_candidate();
            writer.sign(credentials(1).password.as_bytes());
            writer.finish();
            agent.handle(at(now), Component::Rtp, a(chosen), &check, &mut out);
            let mut ours = Vec::new();
            for _ in 0..40 {
                now += 50;
                while let Some((_, to)) = agent.check(at(now), &mut ours) {
                    let good = reply(&ours, &credentials(0).password, None);
                    agent.handle(at(now), Component::Rtp, to, &good, &mut out);
                }
            }
            if chosen == better {
                assert_eq!(agent.target(Component::Rtp), Some(a(better)));
            }
        }
        assert_eq!(agent.target(Component::Rtp), Some(a(wanted)), "once: {once}");
    }
}

#[test]
fn an_answer_from_elsewhere_or_unsigned_shows_nothing() {
    let mut full = match agent(0, Some(&["192.0.2.7:4000"]), true) {
        Agent::Full(full) => full,
        Agent::Lite(_) => panic!("a full side"),
    };
    let (mut check, mut out) = (Vec::new(), Vec::new());
    assert!(full.check(at(0), &mut check).is_some());
    let request = Message::read(&check).expect("a check");
    assert_eq!(request.username, Some(&b"them:ours"[..]));
    assert_eq!(request.priority, Some(priority(110, 1)));
    assert!(request.controlling.is_some() && !request.use_candidate);
    let answer = |password: &str| {
        let mut out = Vec::new();
        let mut writer = Writer::begin(&mut out, Kind::Success, request.transaction);
        writer.mapped(a("192.0.2.1:3000"));
        writer.sign(password.as_bytes());
        writer.finish();
        out
    };
    let unsigned = full.handle(
        at(1),
        Component::Rtp,
        a("192.0.2.7:4000"),
        &answer("no password"),
        &mut out,
    );
    assert_eq!(unsigned, Heard::Nothing);
    let good = answer(&credentials(1).password);
    let elsewhere = full.handle(at(1), Component::Rtp, a("192.0.2.8:4000"), &good, &mut out);
    assert_eq!((elsewhere, full.target(Component::Rtp)), (Heard::Taken, None));
}

proptest! {
    /// Whatever comes from a stranger, also what is nearly signed: nothing is believed.
    #[test]
    fn strangers_show_nothing(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..20)) {
        let mut agent = agent(0, Some(&["192.0.2.7:4000"]), true);
        let (mut check, mut out) = (Vec::new(), Vec::new());
        agent.check(at(0), &mut check);
        for packet in &packets {
            agent.handle(at(1), Component::Rtp, a("192.0.2.7:4000"), packet, &mut out);
            let mut near = check.clone();
            near[1] = 1;
            let place = packet.first().map_or(0, |b| usize::from(*b)) % (near.len() - 8);
            near[place] ^= packet.get(1).copied().unwrap_or(1).max(1);
            agent.handle(at(1), Component::Rtp, a("192.0.2.7:4000"), &near, &mut out);
        }
        prop_assert_eq!(agent.target(Component::Rtp), None);
    }
}
