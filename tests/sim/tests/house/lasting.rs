//! What began before a restart, and is over or goes on after it: the first reading tells, and nothing acts on that.

use gateway_core::{Event, GatewayEvent, NetworkState, Record, SignalKind};
use gateway_site::rules::{Action, Conditions, Rule, Trigger};
use gateway_site::{InputParams, SiteParams};
use sim::{Sim, first_door, id, ms, secs};

/// The first door, with an input `loop` that has it opened by its end.
fn house() -> SiteParams {
    let mut site = first_door();
    let wire = InputParams {
        debounce: ms(30),
        simulated: false,
    };
    site.inputs.insert(id("loop"), wire);
    let opens = Rule {
        actions: vec![Action::Open(id("front"))],
        most_per_minute: 20,
        on: Trigger {
            kinds: ["input.active", "input.rest"].map(str::to_owned).into(),
            sources: ["loop".to_owned()].into(),
        },
        when: Conditions::default(),
    };
    site.rules.insert(id("leaves"), opens);
    site
}

fn count(sim: &Sim, kind: &str) -> usize {
    sim.kinds().iter().filter(|told| *told == kind).count()
}

fn network(sim: &mut Sim, there: bool) {
    let state = NetworkState {
        address: there,
        carrier: there,
        text: format!("there {there}"),
    };
    sim.signal(sim.now(), false, SignalKind::Network(state));
}

/// What the records have of the fire input.
fn fire(sim: &Sim) -> Vec<bool> {
    let records = sim.records.iter();
    let of_input = records.filter_map(|record| {
        if let Event::Gateway(GatewayEvent::Fire { active }) = &record.event {
            Some(*active)
        } else {
            None
        }
    });
    of_input.collect()
}

#[test]
fn a_stuck_button_that_came_back_while_the_gateway_was_down_is_told_released_and_rings_nobody() {
    let mut sim = Sim::new(first_door());
    sim.edge("bell", true);
    sim.wait(secs(700));
    // it is still held: nothing is told anew, and the fault goes on
    sim.set_held(&["bell"]);
    let rings = count(&sim, "panel.ring");
    sim.restart();
    sim.wait(secs(700));
    assert_eq!(
        (
            count(&sim, "panel.button-stuck"),
            count(&sim, "panel.button-released")
        ),
        (1, 0)
    );
    assert!(
        sim.site
            .view()
            .faults
            .iter()
            .any(|fault| fault.part == "button:main/bell")
    );
    sim.set_held(&[]);
    sim.restart();
    assert_eq!(
        (
            count(&sim, "panel.button-stuck"),
            count(&sim, "panel.button-released")
        ),
        (1, 1)
    );
    assert!(
        sim.site
            .view()
            .faults
            .iter()
            .all(|fault| fault.part != "button:main/bell")
    );
    assert_eq!(count(&sim, "panel.ring"), rings);
}

#[test]
fn a_fire_input_that_rests_after_a_restart_is_told_so_and_one_that_does_not_is_not_told_twice() {
    let mut sim = Sim::new(first_door());
    sim.edge("fire", true);
    sim.wait(secs(1));
    sim.set_held(&["fire"]);
    sim.restart();
    assert_eq!(fire(&sim), [true]);
    sim.set_held(&[]);
    sim.restart();
    assert_eq!(fire(&sim), [true, false]);
    assert_eq!(
        count(&sim, "gateway.fire-alarm"),
        1,
        "an operator ends the alarm, and no restart"
    );
    // a file without the input ends what is said of it
    sim.edge("fire", true);
    sim.wait(secs(1));
    let mut without = first_door();
    without.fire_input = None;
    sim.reload(without);
    assert_eq!(fire(&sim), [true, false, true, false]);
}

#[test]
fn an_input_that_rests_after_a_restart_is_told_so_and_no_rule_acts_on_it() {
    let mut sim = Sim::new(house());
    sim.edge("loop", true);
    sim.wait(secs(10));
    let (active, fired) = (count(&sim, "input.active"), count(&sim, "rule.fired"));
    assert_eq!((active, fired), (1, 1), "{}", sim.log());
    sim.restart();
    sim.wait(secs(10));
    assert_eq!(count(&sim, "input.rest"), 1, "{}", sim.log());
    let last = sim.records.iter().rfind(|e| matches!(e.event, Event::Input(..)));
    assert_eq!(last.map(|e| Record::from(e).source), Some("loop".to_owned()));
    assert_eq!(count(&sim, "rule.fired"), 1, "it opens nothing by itself");
    // whoever reads it came back: that is a reading like the first
    sim.edge("loop", true);
    sim.wait(secs(10));
    sim.signal(sim.now(), false, SignalKind::Unread(id("loop")));
    sim.edge("loop", false);
    sim.wait(secs(10));
    assert_eq!((count(&sim, "input.rest"), count(&sim, "rule.fired")), (2, 2));
    // what is active over a restart ends when it ends, and that is news
    sim.edge("loop", true);
    sim.wait(secs(10));
    sim.set_held(&["loop"]);
    sim.restart();
    assert_eq!((count(&sim, "input.rest"), count(&sim, "rule.fired")), (2, 3));
    sim.edge("loop", false);
    sim.wait(secs(10));
    assert_eq!((count(&sim, "input.rest"), count(&sim, "rule.fired")), (3, 4));
}

#[test]
fn a_network_that_is_back_after_a_restart_is_told_so_and_one_that_was_never_lost_is_not() {
    let mut sim = Sim::new(first_door());
    network(&mut sim, true);
    sim.restart();
    network(&mut sim, true);
    assert_eq!(count(&sim, "gateway.network"), 0);
    network(&mut sim, false);
    sim.restart();
    network(&mut sim, true);
    assert_eq!(count(&sim, "gateway.network"), 2, "{}", sim.log());
    sim.restart();
    network(&mut sim, true);
    assert_eq!(count(&sim, "gateway.network"), 2);
}
