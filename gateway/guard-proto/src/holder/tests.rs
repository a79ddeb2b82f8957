use super::*;
use crate::request::Latch;
use proptest::prelude::*;

const LEASE: Duration = Duration::from_secs(1);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn t(n: u64) -> Instant {
    Instant::from_nanos(100_000_000_000) + ms(n)
}

fn strike() -> OutputId {
    "strike".parse().expect("a name")
}

fn limits(output: &str, line: &str) -> OutputLimits {
    OutputLimits {
        line: line.into(),
        max_on: ms(25_000),
        output: output.parse().expect("a name"),
        settle: Duration::ZERO,
        wiring: Wiring::of(line),
    }
}

fn wirings(line: &str) -> Wirings {
    [(strike(), Wiring::of(line))].into()
}

fn generation(generation: u64, line: &str) -> Incoming {
    Incoming::Generation {
        generation,
        wirings: wirings(line),
    }
}

/// A machine whose one output rests and whose gateway said hello.
fn ready() -> Holder {
    let mut holder = Holder::new(vec![limits("strike", "a")], LEASE).expect("one output");
    holder.handle_fact(
        t(0),
        Fact::Resting {
            at: t(0),
            output: strike(),
        },
    );
    hello(&mut holder, "run-1", 5);
    holder
}

fn hello(holder: &mut Holder, instance: &str, generation: u64) {
    let hello = Incoming::Hello {
        generation,
        instance: instance.into(),
        version: VERSION,
        wirings: wirings("a"),
    };
    holder.handle_message(t(0), hello);
    assert_eq!(drain(holder), [Action::Welcome]);
}

fn order(lease: u64, deadline: u64, end: u64) -> Order {
    Order {
        deadline: t(deadline),
        end: t(end),
        generation: 5,
        lease: LeaseId(lease),
        output: strike(),
    }
}

fn drain(holder: &mut Holder) -> Vec<Action> {
    std::iter::from_fn(|| holder.poll_action()).collect()
}

fn energise(lease: u64, not_after: u64, until: u64) -> Action {
    Action::Energise {
        lease: LeaseId(lease),
        not_after: t(not_after),
        output: strike(),
        until: t(until),
    }
}

fn rest() -> Action {
    Action::Rest { output: strike() }
}

fn refused(lease: u64, why: RefuseWhy) -> Action {
    Action::Report(Report::Refused {
        lease: LeaseId(lease),
        output: strike(),
        why,
    })
}

fn released(at: u64, lease: u64, why: ReleaseWhy) -> Action {
    Action::Report(Report::Released {
        at: t(at),
        lease: LeaseId(lease),
        output: strike(),
        why,
    })
}

fn on(holder: &mut Holder, at: u64, lease: u64) {
    holder.handle_fact(
        t(at),
        Fact::Energised {
            at: t(at),
            lease: LeaseId(lease),
            output: strike(),
        },
    );
}

fn off(holder: &mut Holder, at: u64) {
    holder.handle_fact(
        t(at),
        Fact::Resting {
            at: t(at),
            output: strike(),
        },
    );
}

fn usable(usable: bool) -> Action {
    let output = strike();
    Action::Report(Report::Usable { output, usable })
}

/// Operated, switched on, reports drained.
fn running(lease: u64, end: u64) -> Holder {
    let mut holder = ready();
    holder.handle_message(t(0), Incoming::Operate(order(lease, 500, end)));
    on(&mut holder, 1, lease);
    drain(&mut holder);
    holder
}

#[test]
fn a_long_lease_lapses_without_renewal_and_ends_at_the_cap() {
    // ten hours are asked for; the cap is two
    let long = |renewed_until: u64| {
        let cap = OutputLimits {
            max_on: ms(2 * 3_600_000),
            ..limits("strike", "a")
        };
        let mut holder = Holder::new(vec![cap], LEASE).expect("one output");
        off(&mut holder, 0);
        hello(&mut holder, "run-1", 5);
        holder.handle_message(t(0), Incoming::Operate(order(7, 500, 36_000_000)));
        on(&mut holder, 1, 7);
        drain(&mut holder);
        let mut now = 0;
        while now < renewed_until {
            now += 250;
            holder.handle_message(t(now), Incoming::Renew(vec![LeaseId(7)]));
            if drain(&mut holder).contains(&rest()) {
                off(&mut holder, now);
                return (now, drain(&mut holder));
            }
        }
        holder.handle_timeout(t(now + 999));
        assert_eq!(drain(&mut holder), []);
        holder.handle_timeout(t(now + 1000));
        assert_eq!(drain(&mut holder), [rest()]);
        off(&mut holder, now + 1000);
        (now + 1000, drain(&mut holder))
    };
    let hour = 3_600_000;
    let lapsed = released(hour + 1000, 7, ReleaseWhy::LeaseLapsed);
    assert_eq!(long(hour), (hour + 1000, vec![lapsed]));
    let (at, said) = long(3 * hour);
    assert_eq!(said, [released(at, 7, ReleaseWhy::Cap)]);
    assert!(at <= 2 * hour + 250, "{at}");
}

#[test]
fn the_word_about_relays_energises_nothing_that_opens() {
    let mut holder = ready();
    for active in [true, false] {
        holder.handle_message(t(1), Incoming::Relays([(strike(), active)].into()));
        holder.handle_timeout(t(2));
        assert_eq!(drain(&mut holder), []);
    }
    assert!(holder.is_at_rest());
}

#[test]
fn a_pulse_is_energised_once_and_ends_at_its_end() {
    let mut holder = ready();
    holder.handle_message(t(0), Incoming::Operate(order(1, 500, 600)));
    assert_eq!(drain(&mut holder), [energise(1, 500, 600)]);
    on(&mut holder, 2, 1);
    let energised = Report::Energised {
        at: t(2),
        lease: LeaseId(1),
        output: strike(),
        until: t(600),
    };
    assert_eq!(drain(&mut holder), [Action::Report(energised)]);
    assert_eq!(holder.poll_timeout(), Some(t(600)));
    holder.handle_timeout(t(599));
    assert_eq!(drain(&mut holder), []);
    holder.handle_timeout(t(600));
    assert_eq!(drain(&mut holder), [rest()]);
    assert!(!holder.is_at_rest());
    assert_eq!(holder.rest_due(), Some(t(600)));
    off(&mut holder, 603);
    assert_eq!(drain(&mut holder), [released(603, 1, ReleaseWhy::PulseEnd)]);
    assert!(holder.is_at_rest());
    assert_eq!(holder.rest_due(), None);
}

#[test]
fn a_board_that_confirms_has_its_time_for_it_and_ends_no_later() {
    let slow = OutputLimits {
        settle: ms(300),
        ..limits("strike", "a")
    };
    let mut holder = Holder::new(vec![slow, limits("magnet", "b")], LEASE).expect("two outputs");
    for output in [strike(), "magnet".parse().expect("a name")] {
        holder.handle_fact(t(0), Fact::Resting { at: t(0), output });
    }
    hello(&mut holder, "run-1", 5);
    holder.handle_message(t(0), Incoming::Operate(order(1, 500, 600)));
    assert_eq!(drain(&mut holder), [energise(1, 500, 600)]);
    assert_eq!(holder.rest_due(), Some(t(900)));
    assert_eq!(
        holder.poll_timeout(),
        Some(t(600)),
        "it is told to rest at its end"
    );
    holder.handle_timeout(t(600));
    assert_eq!(drain(&mut holder), [rest()]);
    assert_eq!(holder.rest_due(), Some(t(900)));
    // nobody can wait for a device that failed, but who takes over must know that it may be on
    holder.handle_fact(t(850), Fact::Failed { output: strike() });
    assert_eq!(holder.rest_due(), Some(NEVER));
    assert!(!holder.is_at_rest());
    off(&mut holder, 870);
    assert_eq!(holder.rest_due(), None);
    assert!(holder.is_at_rest());
}

#[test]
fn without_renewal_a_long_pulse_ends_one_lease_after_the_last_one() {
    let mut holder = running(1, 9000);
    assert_eq!(holder.poll_timeout(), Some(t(1000)));
    holder.handle_message(t(900), Incoming::Renew(vec![LeaseId(1), LeaseId(99)]));
    assert_eq!(holder.poll_timeout(), Some(t(1900)));
    holder.handle_gone();
    holder.handle_timeout(t(1900));
    assert_eq!(drain(&mut holder), [rest()]);
    off(&mut holder, 1901);
    assert_eq!(drain(&mut holder), [released(1901, 1, ReleaseWhy::LeaseLapsed)]);
}

#[test]
fn a_renewal_after_the_lapse_renews_nothing() {
    let mut holder = running(1, 9000);
    holder.handle_message(t(1000), Incoming::Renew(vec![LeaseId(1)]));
    assert_eq!(drain(&mut holder), [rest()]);
    assert_eq!(holder.poll_timeout(), None);
}

#[test]
fn renewals_do_not_move_the_end_or_the_cap() {
    let mut holder = running(1, 60_000);
    for at in (500..25_000).step_by(500) {
        holder.handle_message(t(at), Incoming::Renew(vec![LeaseId(1)]));
    }
    assert_eq!(drain(&mut holder), []);
    // The cap is counted from the moment of the order at the latest, and the coil was on at 1 ms.
    assert_eq!(holder.poll_timeout(), Some(t(25_000)));
    holder.handle_timeout(t(25_000));
    off(&mut holder, 25_001);
    assert_eq!(drain(&mut holder), [rest(), released(25_001, 1, ReleaseWhy::Cap)]);
}

#[test]
fn a_second_grant_takes_over_and_the_cap_goes_on_from_the_first() {
    let mut holder = running(1, 3000);
    holder.handle_message(t(900), Incoming::Operate(order(2, 1400, 60_000)));
    assert_eq!(
        drain(&mut holder),
        [
            released(900, 1, ReleaseWhy::Superseded),
            energise(2, 1400, 25_001)
        ]
    );
    on(&mut holder, 900, 2);
    for at in (1000..25_000).step_by(500) {
        holder.handle_message(t(at), Incoming::Renew(vec![LeaseId(2)]));
    }
    drain(&mut holder);
    holder.handle_timeout(t(25_001));
    off(&mut holder, 25_001);
    assert_eq!(drain(&mut holder), [rest(), released(25_001, 2, ReleaseWhy::Cap)]);
}

#[test]
fn what_may_not_be_is_refused_by_name() {
    let mut holder = ready();
    let mut refuse = |order: Order, why| {
        let lease = order.lease.0;
        holder.handle_message(t(10), Incoming::Operate(order));
        assert_eq!(drain(&mut holder), [refused(lease, why)]);
    };
    refuse(order(1, 10, 600), RefuseWhy::Late);
    refuse(order(2, 600, 10), RefuseWhy::Late);
    refuse(order(2, 500, 600), RefuseWhy::Used);
    refuse(
        Order {
            generation: 4,
            ..order(3, 500, 600)
        },
        RefuseWhy::OldGeneration,
    );
    for (latch, why) in [
        (Latch::Fire, RefuseWhy::NoFireLatch),
        (Latch::HoldOpen, RefuseWhy::NoHoldOpenLatch),
    ] {
        holder.handle_message(
            t(10),
            Incoming::Latch {
                latch,
                lease: LeaseId(7),
                output: strike(),
            },
        );
        assert_eq!(drain(&mut holder), [refused(7, why)]);
    }
    let other: OutputId = "other".parse().expect("a name");
    let stray = Order {
        output: other.clone(),
        ..order(8, 500, 600)
    };
    holder.handle_message(t(10), Incoming::Operate(stray));
    let why = RefuseWhy::NoOutput;
    let report = Report::Refused {
        lease: LeaseId(8),
        output: other,
        why,
    };
    assert_eq!(drain(&mut holder), [Action::Report(report)]);
}

#[test]
fn a_used_grant_stays_used_after_a_reconnect() {
    let mut holder = running(1, 300);
    holder.handle_timeout(t(300));
    off(&mut holder, 301);
    holder.handle_gone();
    drain(&mut holder);
    holder.handle_message(t(302), Incoming::Operate(order(2, 500, 600)));
    assert_eq!(drain(&mut holder), [refused(2, RefuseWhy::NoHello)]);
    hello(&mut holder, "run-1", 5);
    holder.handle_message(t(302), Incoming::Operate(order(1, 500, 600)));
    assert_eq!(drain(&mut holder), [refused(1, RefuseWhy::Used)]);
}

#[test]
fn a_new_generation_refuses_older_grants_and_a_running_pulse_goes_on() {
    let mut holder = running(1, 900);
    holder.handle_message(t(5), generation(6, "a"));
    assert_eq!(holder.poll_timeout(), Some(t(900)));
    holder.handle_message(t(6), Incoming::Operate(order(2, 500, 600)));
    assert_eq!(drain(&mut holder), [refused(2, RefuseWhy::OldGeneration)]);
    // An older number cannot bring older grants back.
    holder.handle_message(t(7), generation(5, "a"));
    holder.handle_message(t(7), Incoming::Operate(order(3, 500, 600)));
    assert_eq!(drain(&mut holder), [refused(3, RefuseWhy::OldGeneration)]);
}

#[test]
fn an_output_that_is_not_at_rest_yet_takes_no_order() {
    let mut holder = running(1, 300);
    holder.handle_timeout(t(300));
    holder.handle_message(t(301), Incoming::Operate(order(2, 500, 600)));
    assert_eq!(drain(&mut holder), [rest(), refused(2, RefuseWhy::Busy)]);
}

#[test]
fn a_board_that_was_too_late_does_not_energise_and_says_so() {
    let mut holder = ready();
    holder.handle_message(t(0), Incoming::Operate(order(1, 50, 600)));
    drain(&mut holder);
    holder.handle_fact(
        t(51),
        Fact::Late {
            lease: LeaseId(1),
            output: strike(),
        },
    );
    assert_eq!(drain(&mut holder), [rest(), refused(1, RefuseWhy::Late)]);
    off(&mut holder, 52);
    assert!(holder.is_at_rest());
}

#[test]
fn a_failed_device_ends_the_lease_and_takes_none_until_it_rests() {
    let mut holder = running(1, 900);
    holder.handle_fact(t(5), Fact::Failed { output: strike() });
    assert_eq!(
        drain(&mut holder),
        [rest(), released(5, 1, ReleaseWhy::DeviceFault), usable(false)]
    );
    holder.handle_message(t(6), Incoming::Operate(order(2, 500, 600)));
    assert_eq!(drain(&mut holder), [refused(2, RefuseWhy::DeviceFault)]);
    holder.handle_fact(t(6), Fact::Failed { output: strike() });
    assert_eq!(drain(&mut holder), [rest()], "told once");
    off(&mut holder, 7);
    assert_eq!(drain(&mut holder), [usable(true)]);
    holder.handle_message(t(8), Incoming::Operate(order(3, 500, 600)));
    assert_eq!(drain(&mut holder), [energise(3, 500, 600)]);
    holder.handle_fact(t(9), Fact::Failed { output: strike() });
    assert_eq!(
        drain(&mut holder),
        [rest(), refused(3, RefuseWhy::Unanswered), usable(false)]
    );
}

#[test]
fn a_device_that_fails_at_rest_is_waited_for_by_nobody() {
    let mut holder = ready();
    holder.handle_fact(t(5), Fact::Failed { output: strike() });
    assert_eq!(holder.rest_due(), None);
    assert!(holder.is_at_rest());
}

#[test]
fn a_rest_of_its_own_accord_takes_back_an_order_that_is_on_its_way() {
    let mut holder = running(1, 900);
    holder.handle_message(t(5), Incoming::Operate(order(2, 500, 600)));
    drain(&mut holder);
    off(&mut holder, 6);
    assert_eq!(drain(&mut holder), [rest()]);
    assert!(!holder.is_at_rest());
    off(&mut holder, 7);
    assert_eq!(drain(&mut holder), [released(7, 2, ReleaseWhy::DeviceFault)]);
    assert!(holder.is_at_rest());
}

#[test]
fn an_output_that_says_it_is_on_without_a_lease_is_sent_to_rest() {
    let mut holder = ready();
    on(&mut holder, 1, 77);
    assert_eq!(drain(&mut holder), [rest()]);
}

#[test]
fn stopping_releases_everything_and_refuses_the_rest() {
    let mut holder = running(1, 900);
    holder.handle_stop(t(10));
    off(&mut holder, 11);
    assert_eq!(
        drain(&mut holder),
        [rest(), released(11, 1, ReleaseWhy::Stopping)]
    );
    holder.handle_message(t(12), Incoming::Operate(order(2, 500, 600)));
    assert_eq!(drain(&mut holder), [refused(2, RefuseWhy::Stopping)]);
    assert!(holder.is_at_rest());
}

#[test]
fn a_gateway_of_another_version_is_sent_away() {
    let mut holder = ready();
    let hello = Incoming::Hello {
        generation: 5,
        instance: "x".into(),
        version: VERSION + 1,
        wirings: Wirings::new(),
    };
    holder.handle_message(t(0), hello);
    assert_eq!(drain(&mut holder), [Action::Close]);
}

#[test]
fn a_name_that_means_another_wire_to_the_gateway_energises_nothing() {
    let mut holder = ready();
    // the gateway took another file, the guard did not
    holder.handle_message(t(0), generation(5, "b"));
    holder.handle_message(t(1), Incoming::Operate(order(1, 500, 600)));
    assert_eq!(drain(&mut holder), [refused(1, RefuseWhy::OtherWiring)]);
    // it knows no such output any more
    let nothing = Incoming::Generation {
        generation: 5,
        wirings: Wirings::new(),
    };
    holder.handle_message(t(2), nothing);
    holder.handle_message(t(2), Incoming::Operate(order(2, 500, 600)));
    assert_eq!(drain(&mut holder), [refused(2, RefuseWhy::OtherWiring)]);
    // the file from before is back
    holder.handle_message(t(3), generation(5, "a"));
    holder.handle_message(t(3), Incoming::Operate(order(3, 500, 600)));
    assert_eq!(drain(&mut holder), [energise(3, 500, 600)]);
    // a gateway that says hello with another wire
    let hello = Incoming::Hello {
        generation: 5,
        instance: "run-2".into(),
        version: VERSION,
        wirings: wirings("b"),
    };
    let mut holder = Holder::new(vec![limits("strike", "a")], LEASE).expect("one output");
    holder.handle_fact(
        t(0),
        Fact::Resting {
            at: t(0),
            output: strike(),
        },
    );
    holder.handle_message(t(0), hello);
    holder.handle_message(t(1), Incoming::Operate(order(1, 500, 600)));
    assert_eq!(
        drain(&mut holder),
        [Action::Welcome, refused(1, RefuseWhy::OtherWiring)]
    );
}

#[test]
fn one_line_cannot_be_two_outputs() {
    let shared = Holder::new(vec![limits("a", "chip 1"), limits("b", "chip 1")], LEASE);
    assert!(matches!(shared, Err(HolderError::SharedLine { .. })));
    let twice = Holder::new(vec![limits("a", "chip 1"), limits("a", "chip 2")], LEASE);
    assert!(matches!(twice, Err(HolderError::Twice { .. })));
}

#[derive(Clone, Debug)]
enum Step {
    Order { lease: u64, deadline: u64, pulse: u64 },
    Renew(u64),
    Release,
    Gone,
    Fail,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u64..6, 0u64..800, 0u64..5000)
            .prop_map(|(lease, deadline, pulse)| Step::Order { lease, deadline, pulse }),
        4 => (0u64..6).prop_map(Step::Renew),
        1 => Just(Step::Release),
        1 => Just(Step::Gone),
        1 => Just(Step::Fail),
        6 => (0u64..1200).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..60)
}

/// A board that answers after some milliseconds, and the times at which its coil was on.
#[derive(Default)]
struct Board {
    asked: Option<(u64, Action)>,
    on: Option<(u64, LeaseId)>,
    ons: Vec<LeaseId>,
}

const BOARD_MS: u64 = 4;
const CAP_MS: u64 = 2500;

proptest! {
    /// Whatever the gateway does: the coil is on only within deadline, end, lease and cap, each grant switches
    /// on once, and each gets one answer in the end.
    #[test]
    fn nothing_keeps_a_coil_on(steps in steps()) {
        let one = OutputLimits { max_on: ms(CAP_MS), ..limits("strike", "a") };
        let mut holder = Holder::new(vec![one], LEASE).expect("one output");
        holder.handle_fact(t(0), Fact::Resting { at: t(0), output: strike() });
        hello(&mut holder, "run-1", 5);
        let mut board = Board::default();
        let mut terms: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let mut renewed: BTreeMap<u64, u64> = BTreeMap::new();
        let mut answers: BTreeMap<u64, u32> = BTreeMap::new();
        let mut asked: BTreeMap<u64, u32> = BTreeMap::new();
        let mut now = 0;
        let steps = steps.into_iter().chain([Step::Gone, Step::Wait(3000)]);
        for step in steps {
            let mut wait = 0;
            match step {
                Step::Order { lease, deadline, pulse } => {
                    let (deadline, end) = (now + deadline, now + pulse);
                    terms.entry(lease).or_insert((deadline, end));
                    renewed.entry(lease).or_insert(now);
                    *asked.entry(lease).or_default() += 1;
                    holder.handle_message(t(now), Incoming::Operate(order(lease, deadline, end)));
                }
                Step::Renew(lease) => {
                    renewed.entry(lease).and_modify(|at| *at = now);
                    holder.handle_message(t(now), Incoming::Renew(vec![LeaseId(lease)]));
                }
                Step::Release => holder.handle_message(t(now), Incoming::Release(strike())),
                Step::Gone => {
                    holder.handle_gone();
                    let hello = Incoming::Hello { generation: 5, instance: "run-1".into(), version: VERSION, wirings: wirings("a") };
                    holder.handle_message(t(now), hello);
                }
                Step::Fail => {
                    board.on = None;
                    board.asked = None;
                    holder.handle_fact(t(now), Fact::Failed { output: strike() });
                }
                Step::Wait(n) => wait = n,
            }
            for _ in 0..=wait {
                for action in drain(&mut holder) {
                    match action {
                        Action::Energise { .. } | Action::Rest { .. } => board.asked = Some((now + BOARD_MS, action)),
                        Action::Report(Report::Refused { lease, .. } | Report::Released { lease, .. }) => {
                            *answers.entry(lease.0).or_default() += 1;
                        }
                        Action::Close | Action::Report(_) | Action::Welcome => {}
                    }
                }
                if let Some((at, action)) = board.asked.take_if(|(at, _)| *at <= now) {
                    match action {
                        Action::Energise { lease, not_after, output, .. } => {
                            let fact = if t(at) < not_after {
                                prop_assert!(!board.ons.contains(&lease), "{lease} twice");
                                board.ons.push(lease);
                                board.on = Some((board.on.map_or(now, |(since, _)| since), lease));
                                Fact::Energised { at: t(now), lease, output }
                            } else {
                                Fact::Late { lease, output }
                            };
                            holder.handle_fact(t(now), fact);
                        }
                        Action::Rest { output } => {
                            board.on = None;
                            holder.handle_fact(t(now), Fact::Resting { at: t(now), output });
                        }
                        Action::Close | Action::Report(_) | Action::Welcome => {}
                    }
                }
                if holder.poll_timeout().is_some_and(|at| at <= t(now)) {
                    holder.handle_timeout(t(now));
                }
                if let Some((since, lease)) = board.on {
                    let (deadline, end) = terms[&lease.0];
                    let limit = end.min(renewed[&lease.0] + 1000).min(since + CAP_MS) + BOARD_MS + 1;
                    prop_assert!(now <= limit, "{lease} on at {now}, limit {limit}, deadline {deadline}");
                }
                now += 1;
            }
        }
        prop_assert!(board.on.is_none() && holder.is_at_rest());
        prop_assert_eq!(asked, answers);
    }
}
