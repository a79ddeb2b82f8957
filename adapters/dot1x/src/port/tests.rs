use gateway_core::{Instant, PortEvent};
use proptest::prelude::*;

use super::*;

const SILENCE: Duration = Duration::from_secs(15);
const OPEN: &str = "wpa_state=COMPLETED\nsuppPortStatus=Authorized\nselectedMethod=25 (EAP-PEAP)\n";
const SHUT: &str = "wpa_state=COMPLETED\nsuppPortStatus=Unauthorized\n";

/// A port under virtual time, with a supplicant that answers `STATUS` with what is set.
struct Bench {
    commands: Vec<Command>,
    events: Vec<(u64, PortEvent)>,
    now: Instant,
    neighbours: Neighbours,
    port: Port,
    status: &'static str,
}

impl Bench {
    fn new() -> Self {
        Self {
            commands: vec![],
            events: vec![],
            now: Instant::from_nanos(5_000_000_000),
            neighbours: Neighbours::Unknown,
            port: Port::new("eth0", SILENCE),
            status: "wpa_state=DISCONNECTED\n",
        }
    }

    /// Started with a carrier.
    fn started() -> Self {
        let mut bench = Self::new();
        bench.input(Input::Carrier(true));
        bench.input(Input::Connected);
        bench
    }

    fn authorized() -> Self {
        let mut bench = Self::started();
        bench.run(2);
        bench.conversation(&[
            "PROPOSED-METHOD vendor=0 method=25",
            "METHOD EAP vendor 0 method 25 (PEAP) selected",
        ]);
        bench.status = OPEN;
        bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
        bench.take();
        bench.commands.clear();
        bench
    }

    fn input(&mut self, input: Input<'_>) {
        self.port.handle_input(self.now, input);
        self.drain();
    }

    fn say(&mut self, text: &str) {
        self.input(Input::Message(text));
    }

    fn conversation(&mut self, words: &[&str]) {
        self.say("<3>CTRL-EVENT-EAP-STARTED EAP authentication started");
        for word in words {
            self.say(&format!("<3>CTRL-EVENT-EAP-{word}"));
        }
    }

    fn fail(&mut self) {
        self.status = SHUT;
        self.say("<3>CTRL-EVENT-EAP-FAILURE EAP authentication failed");
    }

    fn drain(&mut self) {
        while let Some(output) = self.port.poll_output() {
            match output {
                Output::Event(event) => self.events.push((self.now.as_nanos() / 1_000_000_000 - 5, event)),
                Output::Command(command) => {
                    self.commands.push(command);
                    match command {
                        Command::Neighbours => {
                            self.port
                                .handle_input(self.now, Input::Neighbours(self.neighbours));
                        }
                        Command::Reassociate => {}
                        Command::Status => self.port.handle_input(self.now, Input::Status(self.status)),
                    }
                }
            }
        }
    }

    /// Lets seconds pass.
    fn run(&mut self, secs: u64) {
        let end = self.now + Duration::from_secs(secs);
        while let Some(at) = self.port.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.port.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn take(&mut self) -> Vec<PortEvent> {
        std::mem::take(&mut self.events)
            .into_iter()
            .map(|(_, event)| event)
            .collect()
    }

    fn reassociations(&self) -> usize {
        self.commands
            .iter()
            .filter(|c| **c == Command::Reassociate)
            .count()
    }
}

fn tags(events: &[PortEvent]) -> Vec<String> {
    let device = gateway_core::DeviceId::new("dot1x").expect("a name");
    events
        .iter()
        .map(|event| gateway_core::Event::Port(device.clone(), event.clone()).kind())
        .collect()
}

#[test]
fn a_port_that_opens_is_told_once_with_its_method() {
    let mut bench = Bench::started();
    bench.run(2);
    bench.conversation(&["PROPOSED-METHOD vendor=0 method=25"]);
    bench.status = OPEN;
    bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
    bench.say("<3>CTRL-EVENT-CONNECTED x");
    bench.run(600);
    let events = bench.take();
    assert_eq!(tags(&events), ["port.authorized"]);
    assert!(matches!(&events[0], PortEvent::Authorized { method, .. } if method == "EAP-PEAP"));
}

#[test]
fn an_authorized_of_the_attempt_before_does_not_count() {
    let mut bench = Bench::authorized();
    bench.input(Input::Carrier(false));
    bench.run(9);
    assert_eq!(tags(&bench.take()), ["port.carrier-lost"]);
    assert!(!bench.port.is_authorized());
    // the status goes on to say authorized, as wpa_supplicant does
    bench.input(Input::Carrier(true));
    bench.run(10);
    assert_eq!(tags(&bench.take()), ["port.carrier-found"]);
    assert_eq!(bench.reassociations(), 1);
    bench.conversation(&["PROPOSED-METHOD vendor=0 method=25"]);
    bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
    assert_eq!(tags(&bench.take()), ["port.authorized"]);
}

#[test]
fn each_refusal_has_its_own_event() {
    let method = "METHOD EAP vendor 0 method 25 (PEAP) selected";
    for (said, expected) in [
        (vec![method], "port.credentials-refused"),
        (
            vec!["TLS-CERT-ERROR reason=4 depth=0 err='x'"],
            "port.server-untrusted",
        ),
        (
            vec![method, "TLS-CERT-ERROR reason=9 depth=0"],
            "port.server-untrusted",
        ),
        (
            vec!["PROPOSED-METHOD vendor=0 method=4 -> NAK"],
            "port.method-refused",
        ),
        (
            vec!["PROPOSED-METHOD vendor=0 method=4 -> NAK", method],
            "port.credentials-refused",
        ),
        (vec![], "port.credentials-refused"),
    ] {
        let mut bench = Bench::started();
        bench.run(2);
        bench.conversation(&said);
        bench.fail();
        bench.run(50);
        assert_eq!(tags(&bench.take()), [expected], "{said:?}");
        assert_eq!(
            bench.reassociations(),
            0,
            "a refused account is not asked in haste: {said:?}"
        );
    }
}

#[test]
fn what_our_own_files_do_comes_before_what_the_server_says() {
    let mut bench = Bench::started();
    bench.run(2);
    bench.conversation(&["PROPOSED-METHOD vendor=0 method=13"]);
    bench.say("<4>EAP: Failed to initialize EAP method: vendor 0 method 13 (TLS)");
    bench.say("<3>CTRL-EVENT-EAP-PROPOSED-METHOD vendor=0 method=13 -> NAK");
    bench.fail();
    assert_eq!(tags(&bench.take()), ["port.material-refused"]);
}

#[test]
fn a_refused_re_authentication_closes_the_port_though_wpa_state_says_completed() {
    let mut bench = Bench::authorized();
    bench.run(100);
    bench.conversation(&["METHOD EAP vendor 0 method 25 (PEAP) selected"]);
    assert!(bench.port.is_authorized());
    bench.fail();
    assert_eq!(tags(&bench.take()), ["port.reauthentication-refused"]);
    assert!(!bench.port.is_authorized());
    // the next tries fail the same way, and are no news
    bench.run(60);
    bench.conversation(&["METHOD EAP vendor 0 method 25 (PEAP) selected"]);
    bench.fail();
    assert_eq!(bench.take(), []);
    bench.run(60);
    bench.conversation(&["METHOD EAP vendor 0 method 25 (PEAP) selected"]);
    bench.status = OPEN;
    bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
    assert_eq!(tags(&bench.take()), ["port.authorized"]);
}

#[test]
fn a_good_re_authentication_is_no_event() {
    let mut bench = Bench::authorized();
    for _ in 0..5 {
        bench.run(100);
        bench.conversation(&["METHOD EAP vendor 0 method 25 (PEAP) selected"]);
        bench.run(1);
        bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
    }
    assert_eq!(bench.take(), []);
}

#[test]
fn a_switch_that_does_not_ask_is_told_in_time_and_tried_all_the_time() {
    let mut bench = Bench::started();
    bench.run(600);
    assert_eq!(bench.events.first().map(|(at, _)| *at), Some(15));
    assert_eq!(tags(&bench.take()), ["port.authenticator-silent"]);
    assert!(
        (15..=25).contains(&bench.reassociations()),
        "{}",
        bench.reassociations()
    );
    // the supplicant's own failure at 60 s says the same
    bench.fail();
    assert_eq!(bench.take(), []);
    bench.run(20);
    bench.conversation(&["PROPOSED-METHOD vendor=0 method=25"]);
    bench.status = OPEN;
    bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
    assert_eq!(tags(&bench.take()), ["port.authorized"]);
}

#[test]
fn a_dead_radius_server_is_told_apart_from_a_silent_switch() {
    let mut bench = Bench::started();
    bench.run(2);
    for _ in 0..4 {
        bench.conversation(&[]);
        bench.run(30);
    }
    assert_eq!(bench.events.first().map(|(at, _)| *at), Some(17));
    assert_eq!(tags(&bench.take()), ["port.server-silent"]);
    assert!(bench.reassociations() >= 1);
}

#[test]
fn a_switch_that_gives_the_dead_server_up_late_does_not_make_it_a_refusal() {
    let mut bench = Bench::started();
    bench.run(2);
    bench.conversation(&[]);
    bench.run(20);
    bench.conversation(&[]);
    bench.run(15);
    bench.fail();
    assert_eq!(tags(&bench.take()), ["port.server-silent"]);
}

#[test]
fn a_radius_server_that_dies_in_a_re_authentication_is_told_while_the_port_is_still_open() {
    let mut bench = Bench::authorized();
    bench.conversation(&[]);
    bench.run(40);
    assert_eq!(tags(&bench.take()), ["port.server-silent"]);
    assert!(bench.port.is_authorized());
    assert_eq!(bench.reassociations(), 0, "an open port is not closed by us");
    bench.conversation(&["METHOD EAP vendor 0 method 25 (PEAP) selected"]);
    bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
    assert_eq!(tags(&bench.take()), ["port.authorized"]);
}

#[test]
fn a_port_the_switch_dropped_without_a_word_is_noticed_by_silent_neighbours() {
    let mut bench = Bench::authorized();
    bench.run(100);
    bench.neighbours = Neighbours::Silent;
    bench.run(15);
    assert_eq!(tags(&bench.take()), ["port.neighbours-silent"]);
    assert_eq!(bench.reassociations(), 1);
    bench.conversation(&["METHOD EAP vendor 0 method 25 (PEAP) selected"]);
    bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
    assert_eq!(bench.take(), [], "open again only when somebody answers");
    bench.neighbours = Neighbours::Answering;
    bench.run(15);
    assert_eq!(tags(&bench.take()), ["port.authorized"]);
}

#[test]
fn a_router_that_is_off_costs_one_event_and_one_try_a_minute() {
    let mut bench = Bench::authorized();
    bench.neighbours = Neighbours::Silent;
    for _ in 0..60 {
        bench.run(10);
        if bench.port.waiting.is_some() {
            bench.conversation(&["METHOD EAP vendor 0 method 25 (PEAP) selected"]);
            bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
        }
    }
    assert_eq!(tags(&bench.take()), ["port.neighbours-silent"]);
    assert!(
        (5..=11).contains(&bench.reassociations()),
        "{}",
        bench.reassociations()
    );
}

#[test]
fn quiet_neighbours_that_nobody_asked_for_prove_nothing() {
    let mut bench = Bench::authorized();
    bench.run(10_000);
    assert_eq!(bench.take(), []);
    assert_eq!(bench.reassociations(), 0);
}

#[test]
fn a_supplicant_that_ends_is_told_and_its_port_does_not_count() {
    let mut bench = Bench::authorized();
    bench.input(Input::Gone("killed".into()));
    assert_eq!(tags(&bench.take()), ["port.supplicant-failed"]);
    assert!(!bench.port.is_authorized());
    assert_eq!(bench.port.poll_timeout(), None);
    bench.status = "wpa_state=DISCONNECTED\n";
    bench.input(Input::Connected);
    bench.conversation(&["METHOD EAP vendor 0 method 25 (PEAP) selected"]);
    bench.status = OPEN;
    bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
    assert_eq!(tags(&bench.take()), ["port.authorized"]);
}

#[test]
fn a_port_that_others_looked_after_is_told_as_ours_again() {
    let mut bench = Bench::authorized();
    let elsewhere = || Input::Elsewhere {
        manager: "NetworkManager".into(),
        text: "x".into(),
    };
    bench.input(elsewhere());
    bench.input(elsewhere());
    assert_eq!(tags(&bench.take()), ["port.managed-elsewhere"]);
    assert!(!bench.port.is_authorized());
    assert_eq!(bench.port.poll_timeout(), None);
    // with the same method as before
    bench.input(Input::Connected);
    bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
    assert_eq!(tags(&bench.take()), ["port.authorized"]);
}

#[test]
fn an_interface_that_goes_is_told_once_and_another_one_begins_anew() {
    let mut bench = Bench::authorized();
    bench.input(Input::Absent);
    bench.input(Input::Absent);
    assert_eq!(tags(&bench.take()), ["port.interface-absent"]);
    assert!(!bench.port.is_authorized());
    assert_eq!(bench.port.poll_timeout(), None);
    // a cable that is in is no news of its own: nothing was known of it
    bench.input(Input::Carrier(true));
    bench.input(Input::Connected);
    assert_eq!(bench.take(), []);
    bench.say("<3>CTRL-EVENT-EAP-SUCCESS x");
    assert_eq!(tags(&bench.take()), ["port.authorized"]);
    // and one that is out is
    bench.input(Input::Absent);
    bench.input(Input::Carrier(false));
    assert_eq!(
        tags(&bench.take()),
        ["port.interface-absent", "port.carrier-lost"]
    );
}

#[test]
fn every_fault_says_what_to_do() {
    let mut bench = Bench::new();
    bench.input(Input::Absent);
    bench.input(Input::Carrier(false));
    bench.input(Input::Gone("no such program".into()));
    for event in bench.take() {
        let standing = event.standing().flatten().map(str::to_owned);
        assert!(
            standing.is_some_and(|text| ["look", "plug", "started again"]
                .iter()
                .any(|word| text.contains(word))),
            "{event:?}"
        );
    }
}

proptest! {
    /// Whatever comes in whatever order: no panic, no queue that grows, a timer that lies ahead, and the port counts as
    /// authorized only while the carrier is there and the supplicant runs.
    #[test]
    fn it_stays_sane(steps in proptest::collection::vec((0_u8..16, 0_u64..40), 0..200)) {
        let mut bench = Bench::new();
        for (what, secs) in steps {
            match what {
                0 => bench.input(Input::Carrier(true)),
                1 => bench.input(Input::Carrier(false)),
                2 => bench.input(Input::Connected),
                3 => bench.input(Input::Gone("x".into())),
                4 => bench.conversation(&[]),
                5 => bench.conversation(&["METHOD x", "TLS-CERT-ERROR reason=4"]),
                6 => bench.fail(),
                7 => { bench.status = OPEN; bench.say("<3>CTRL-EVENT-EAP-SUCCESS x"); }
                8 => bench.status = OPEN,
                9 => bench.status = SHUT,
                10 => bench.neighbours = Neighbours::Silent,
                11 => bench.neighbours = Neighbours::Answering,
                14 => bench.input(Input::Absent),
                13 => bench.input(Input::Elsewhere { manager: "x".into(), text: "x".into() }),
                12 => bench.say("<4>EAP: Failed to initialize EAP method: x"),
                _ => bench.run(secs),
            }
            prop_assert!(bench.port.out.is_empty());
            if bench.port.is_authorized() {
                prop_assert!(bench.port.running && bench.port.carrier != Some(false));
            }
            bench.port.handle_timeout(bench.now);
            bench.drain();
            prop_assert!(bench.port.poll_timeout().is_none_or(|at| at > bench.now));
        }
    }
}
