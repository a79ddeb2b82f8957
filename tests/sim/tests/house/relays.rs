//! Relays that tell something: they follow what they tell of, and open nothing.

use gateway_core::{AccountEvent, AccountState, Command, NetworkState, PortEvent, Refusal, SignalKind};
use gateway_site::{Decision, Input, NetworkLoss, RelayFunction, RelayParams, SiteParams};
use sim::{Sim, first_door, id, ms, secs};

const ALL: [NetworkLoss; 4] = [
    NetworkLoss::Address,
    NetworkLoss::Carrier,
    NetworkLoss::PortAccess,
    NetworkLoss::Registration,
];

/// The house with a lamp that tells of these losses after 30 s.
fn house(of: &[NetworkLoss]) -> SiteParams {
    let mut site = first_door();
    let function = RelayFunction::NetworkFault {
        of: of.iter().copied().collect(),
    };
    let mut relay = RelayParams::new(id("lamp-output"), function);
    relay.delay = secs(30);
    site.relays.insert(id("lamp"), relay);
    site
}

fn registered(sim: &mut Sim) {
    sim.input(Input::Account {
        account: id("pbx"),
        event: AccountEvent::Registered { expires_s: 300 },
        state: AccountState::Registered,
    });
}

fn failed(sim: &mut Sim) {
    sim.input(Input::Account {
        account: id("pbx"),
        event: AccountEvent::Failed {
            detail: "no answer".into(),
            retry_s: 30,
        },
        state: AccountState::Failed,
    });
}

fn network(sim: &mut Sim, carrier: bool, address: bool) {
    let text = format!("carrier {carrier}, address {address}");
    let state = NetworkState {
        address,
        carrier,
        text,
    };
    sim.signal(sim.now(), false, SignalKind::Network(state));
}

fn lamp(sim: &Sim) -> bool {
    sim.site.relays()[&id("lamp-output")]
}

fn switched(sim: &Sim) -> usize {
    sim.kinds()
        .iter()
        .filter(|kind| *kind == "relay.switched")
        .count()
}

#[test]
fn a_loss_is_told_after_its_delay_and_its_end_at_once_and_each_is_recorded_once() {
    let mut sim = Sim::new(house(&ALL));
    registered(&mut sim);
    network(&mut sim, true, true);
    sim.wait(secs(60));
    assert!(!lamp(&sim));
    for lose in [
        (|sim: &mut Sim| network(sim, false, true)) as fn(&mut Sim),
        |sim| network(sim, true, false),
        failed,
        |sim| {
            let text = "no carrier".to_owned();
            sim.signal(
                sim.now(),
                false,
                SignalKind::Port(PortEvent::CarrierLost { text }),
            );
        },
    ] {
        let before = switched(&sim);
        lose(&mut sim);
        sim.wait(ms(29_900));
        assert!(!lamp(&sim), "{}", sim.log());
        sim.wait(ms(200));
        assert!(lamp(&sim), "{}", sim.log());
        sim.wait(secs(3600));
        network(&mut sim, true, true);
        registered(&mut sim);
        let authorized = PortEvent::Authorized {
            inner: String::new(),
            method: "TLS".into(),
            tls: "TLSv1.3".into(),
        };
        sim.signal(sim.now(), false, SignalKind::Port(authorized));
        assert!(!lamp(&sim), "{}", sim.log());
        assert_eq!(switched(&sim), before + 2, "{}", sim.log());
    }
    assert!(sim.pulses.is_empty(), "{}", sim.log());
}

#[test]
fn an_end_of_a_certificate_that_a_wrong_clock_had_told_stands_no_longer() {
    let mut sim = Sim::new(first_door());
    let part = "client-cert-file".to_owned();
    let ended = PortEvent::CertificateExpires {
        days: -3,
        part: part.clone(),
        text: "it ended".into(),
    };
    let stands = |sim: &Sim| {
        let faults = sim.site.view().faults;
        faults
            .iter()
            .any(|fault| fault.part.starts_with("port:") && fault.text == "it ended")
    };
    sim.signal(sim.now(), false, SignalKind::Port(ended));
    assert!(stands(&sim), "{}", sim.log());
    sim.signal(
        sim.now(),
        false,
        SignalKind::Port(PortEvent::CertificateGoesOn { part }),
    );
    assert!(!stands(&sim), "{}", sim.log());
}

#[test]
fn a_short_loss_is_not_told_and_one_that_is_not_listed_never() {
    let mut sim = Sim::new(house(&[NetworkLoss::Carrier]));
    network(&mut sim, true, true);
    for _ in 0..5 {
        network(&mut sim, false, true);
        sim.wait(secs(20));
        network(&mut sim, true, true);
        sim.wait(secs(20));
    }
    failed(&mut sim);
    network(&mut sim, true, false);
    sim.wait(secs(3600));
    assert_eq!((lamp(&sim), switched(&sim)), (false, 0), "{}", sim.log());
}

#[test]
fn a_gateway_that_starts_has_the_delay_to_register_before_it_is_a_loss() {
    let mut sim = Sim::new(house(&[NetworkLoss::Registration]));
    sim.wait(secs(29));
    assert!(!lamp(&sim));
    registered(&mut sim);
    sim.wait(secs(3600));
    assert!(!lamp(&sim), "{}", sim.log());
    sim.restart();
    sim.wait(secs(31));
    assert!(lamp(&sim), "nobody registered: {}", sim.log());
}

#[test]
fn whoever_wants_to_open_a_relay_is_told_that_it_is_none() {
    let mut sim = Sim::new(house(&ALL));
    for (n, name) in ["lamp", "lamp-output"].into_iter().enumerate() {
        let door = id(name);
        let decision = sim.command(&format!("open-{n}"), Command::Open { door });
        assert!(
            matches!(&decision, Decision::Refused { reason: Refusal::Relay, text } if text.contains("opens nothing")),
            "{decision:?}"
        );
    }
    assert!(sim.pulses.is_empty());
}

#[test]
fn a_door_that_claims_the_output_of_a_relay_opens_for_nobody() {
    let mut site = house(&ALL);
    let front = site.doors.get_mut(&id("front")).expect("it is there");
    front.output = Some(id("lamp-output"));
    let mut sim = Sim::new(site);
    sim.card("front-reader", "26:123,04567");
    sim.press("front-rex");
    let decision = sim.command("open", Command::Open { door: id("front") });
    sim.wait(secs(5));
    assert!(matches!(decision, Decision::Refused { .. }), "{decision:?}");
    assert!(sim.pulses.is_empty(), "{}", sim.log());
}

#[test]
fn the_page_sees_what_a_relay_tells_and_the_faults_name_the_network() {
    let mut sim = Sim::new(house(&ALL));
    registered(&mut sim);
    network(&mut sim, true, false);
    let view = sim.site.view();
    assert!(
        view.faults.iter().any(|fault| fault.part == "network"),
        "{view:?}"
    );
    assert_eq!(
        (view.relays[0].active, view.relays[0].function),
        (false, "network-fault")
    );
    sim.wait(secs(31));
    let view = sim.site.view();
    assert!(
        view.relays[0].active && view.relays[0].text.contains("address false"),
        "{view:?}"
    );
    network(&mut sim, true, true);
    assert!(sim.site.view().faults.is_empty(), "{:?}", sim.site.view());
}
