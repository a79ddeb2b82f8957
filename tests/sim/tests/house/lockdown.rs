//! Lockdowns in the whole gateway: begun by command or input, ended by command, kept across restarts.

use gateway_core::{Command, Event, Factor, GatewayEvent, LockState, Refusal, SignalKind};
use gateway_site::{Decision, DoorGroupParams, Input, InputParams, SiteParams};
use sim::{Sim, first_door, id, ms, secs};

const CARD: &str = "26:123,04567";

/// The first door in the group `street`, locked down by the input `panic`; the whole site by `key-switch`.
fn house() -> SiteParams {
    let mut site = first_door();
    for name in ["panic", "key-switch"] {
        let input = InputParams {
            debounce: ms(30),
            simulated: false,
        };
        site.inputs.insert(id(name), input);
    }
    site.lockdown_input = Some(id("key-switch"));
    let street = DoorGroupParams {
        doors: [id("front")].into(),
        interlock: false,
        lockdown_input: Some(id("panic")),
        name: "Street side".into(),
    };
    site.door_groups = [(id("street"), street)].into();
    site
}

fn begin(group: Option<&str>) -> Command {
    let group = group.map(id);
    Command::Lockdown { group }
}

fn end(group: Option<&str>) -> Command {
    let group = group.map(id);
    Command::EndLockdown { group }
}

fn refused(decision: &Decision) -> Option<Refusal> {
    match decision {
        Decision::Accepted { .. } => None,
        Decision::Refused { reason, .. } => Some(*reason),
    }
}

fn open(sim: &mut Sim, id_of: &str, door: &str) -> Option<Refusal> {
    refused(&sim.command(id_of, Command::Open { door: id(door) }))
}

/// What the journal has of lockdowns.
fn told(sim: &Sim) -> Vec<String> {
    let events = sim.records.iter().filter_map(|envelope| {
        if let Event::Gateway(GatewayEvent::Lockdown {
            active,
            group,
            subject,
        }) = &envelope.event
        {
            let group = group.as_ref().map_or("site", |g| g.as_str());
            Some(format!("{group} {active} {subject}"))
        } else {
            None
        }
    });
    events.collect()
}

#[test]
fn a_lockdown_lets_nobody_in_and_everybody_out() {
    let mut sim = Sim::new(house());
    assert_eq!(refused(&sim.command("a", begin(Some("street")))), None);
    sim.card("front-reader", CARD);
    assert_eq!(open(&mut sim, "b", "front"), Some(Refusal::Lockdown));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    let all = sim.denials();
    assert_eq!(all, ["lockdown: door group street is locked down"; 2]);
    // another door is not concerned
    sim.card("toy-reader", CARD);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    sim.edge("front-rex", true);
    sim.edge("fire", true);
    let factors: Vec<Factor> = sim.pulses.iter().skip(1).map(|p| p.grant.factor).collect();
    assert_eq!(
        factors,
        [Factor::Rex, Factor::Fire, Factor::Fire],
        "{}",
        sim.log()
    );

    sim.wait(secs(30));
    assert_eq!(refused(&sim.command("c", end(Some("street")))), None);
    assert_eq!(open(&mut sim, "d", "front"), None, "{}", sim.log());
    assert_eq!(
        told(&sim),
        ["street true integration:ha", "street false integration:ha"]
    );
}

#[test]
fn a_code_that_was_typed_in_a_lockdown_opens_nothing_at_its_end() {
    let mut sim = Sim::new(house());
    assert_eq!(refused(&sim.command("a", begin(Some("street")))), None);
    for key in "1234".chars() {
        let reader = id("front-reader");
        sim.signal(sim.now(), false, SignalKind::Key { key, reader });
    }
    assert_eq!(refused(&sim.command("b", end(Some("street")))), None);
    sim.wait(secs(60));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
}

#[test]
fn the_whole_site_is_locked_down_and_the_picture_says_so() {
    let mut sim = Sim::new(house());
    let shown = |sim: &Sim| {
        let view = sim.site.view();
        let doors: Vec<bool> = view.doors.iter().map(|d| d.lockdown).collect();
        let available: Vec<bool> = view.doors.iter().map(|d| d.available).collect();
        let active: Vec<bool> = view.lockdowns.iter().map(|l| l.active).collect();
        (doors, available, active)
    };
    let free = (vec![false, false], vec![true, true], vec![false, false]);
    assert_eq!(shown(&sim), free);
    sim.command("a", begin(None));
    let shut = (vec![true, true], vec![false, false], vec![true, false]);
    assert_eq!(shown(&sim), shut);
    // twice is once
    assert_eq!(refused(&sim.command("b", begin(None))), None);
    sim.command("c", end(None));
    assert_eq!(shown(&sim), free);
    assert_eq!(told(&sim).len(), 2);
    let unknown = sim.command("d", begin(Some("nowhere")));
    assert_eq!(refused(&unknown), Some(Refusal::Unknown));
}

#[test]
fn an_input_begins_a_lockdown_and_none_ends_it() {
    let mut sim = Sim::new(house());
    sim.edge("panic", true);
    sim.wait(ms(10));
    assert_eq!(open(&mut sim, "a", "front"), None, "a bounce is nothing");
    sim.wait(secs(10));
    assert_eq!(open(&mut sim, "b", "front"), Some(Refusal::Lockdown));
    // while it is active it cannot be ended
    let still = sim.command("c", end(Some("street")));
    assert_eq!(refused(&still), Some(Refusal::Lockdown), "{still:?}");
    sim.edge("panic", false);
    sim.wait(secs(10));
    assert_eq!(open(&mut sim, "d", "front"), Some(Refusal::Lockdown));
    assert_eq!(refused(&sim.command("e", end(Some("street")))), None);
    assert_eq!(open(&mut sim, "f", "front"), None);
    assert_eq!(
        told(&sim),
        ["street true input:panic", "street false integration:ha"]
    );
}

#[test]
fn an_input_that_is_active_at_its_first_reading_or_late_locks_down() {
    let mut sim = Sim::new(house());
    sim.edge_at(sim.now(), &id("key-switch"), true, true);
    assert_eq!(open(&mut sim, "a", "toy"), Some(Refusal::Lockdown));
    let mut sim = Sim::new(house());
    sim.wait(secs(60));
    sim.edge_at(sim.now() - secs(20), &id("panic"), true, false);
    sim.wait(secs(1));
    assert_eq!(open(&mut sim, "a", "front"), Some(Refusal::Lockdown));
}

#[test]
fn a_lockdown_outlives_restarts_reloads_and_a_group_that_was_gone() {
    let mut sim = Sim::new(house());
    sim.command("a", begin(Some("street")));
    sim.restart();
    sim.card("front-reader", CARD);
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    sim.reload(house());
    assert_eq!(open(&mut sim, "b", "front"), Some(Refusal::Lockdown));
    sim.reload(first_door());
    sim.restart();
    sim.reload(house());
    assert_eq!(open(&mut sim, "c", "front"), Some(Refusal::Lockdown));
    sim.command("d", end(Some("street")));
    sim.restart();
    assert_eq!(open(&mut sim, "e", "front"), None, "{}", sim.log());
}

#[test]
fn a_lockdown_ends_the_pulse_of_who_is_let_in_and_not_that_of_an_exit() {
    let mut sim = Sim::new(house());
    open(&mut sim, "a", "front");
    sim.wait(ms(500));
    assert!(sim.is_energised("front-strike"));
    sim.command("b", begin(None));
    sim.wait(ms(1));
    assert!(!sim.is_energised("front-strike"), "{}", sim.log());
    sim.command("c", end(None));

    // somebody comes in, and somebody else leaves meanwhile
    for (n, both) in [true, false].into_iter().enumerate() {
        sim.wait(secs(30));
        if both {
            open(&mut sim, "d", "front");
        }
        sim.wait(ms(200));
        sim.edge("front-rex", true);
        sim.wait(ms(200));
        sim.command(&format!("e{n}"), begin(None));
        sim.wait(ms(1500));
        assert!(sim.is_energised("front-strike"), "{}", sim.log());
        sim.wait(secs(5));
        assert!(!sim.is_energised("front-strike"));
        sim.edge("front-rex", false);
        sim.command(&format!("f{n}"), end(None));
    }
    let view = sim.site.view();
    assert!(view.doors.iter().all(|d| d.lock == LockState::Locked));
}

#[test]
fn a_reload_that_puts_a_door_under_a_lockdown_ends_its_pulse() {
    let mut sim = Sim::new(house());
    sim.command("a", begin(Some("street")));
    open(&mut sim, "b", "toy");
    sim.wait(ms(200));
    assert!(sim.is_energised("toy-strike"));
    let mut wider = house();
    let street = wider.door_groups.get_mut(&id("street")).expect("the group");
    street.doors.insert(id("toy"));
    sim.reload(wider);
    sim.wait(ms(1));
    assert!(!sim.is_energised("toy-strike"), "{}", sim.log());
}

#[test]
fn without_a_journal_a_lockdown_begins_and_does_not_end() {
    let mut sim = Sim::new(house());
    let text = "disk full".to_owned();
    sim.input(Input::Journal { ok: false, text });
    assert_eq!(refused(&sim.command("a", begin(None))), None);
    sim.card("front-reader", CARD);
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(refused(&sim.command("b", end(None))), Some(Refusal::Fault));
    sim.card("front-reader", CARD);
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
}

#[test]
fn a_lockdown_that_is_old_news_ends_nothing() {
    let mut sim = Sim::new(house());
    sim.wait(secs(60));
    sim.command("a", begin(None));
    // the same id again, and one from before the gateway stood still
    assert_eq!(refused(&sim.command("a", end(None))), Some(Refusal::Duplicate));
    sim.freeze(secs(3));
    assert_eq!(refused(&sim.command("b", end(None))), Some(Refusal::Stale));
    assert_eq!(open(&mut sim, "c", "front"), Some(Refusal::Stale));
    sim.wait(secs(1));
    assert_eq!(open(&mut sim, "d", "front"), Some(Refusal::Lockdown));
}

#[test]
fn under_a_lockdown_a_keypad_does_not_tell_which_code_is_right() {
    let typed = |code: &str| {
        let mut sim = Sim::new(house());
        assert_eq!(refused(&sim.command("lock", begin(None))), None);
        for key in code.chars() {
            let reader = id("front-reader");
            sim.signal(sim.now(), false, SignalKind::Key { key, reader });
            sim.wait(ms(300));
        }
        let at_once = sim.denials();
        sim.wait(secs(5));
        (at_once, sim.denials(), sim.pulses.len())
    };
    let right = typed("1234");
    assert_eq!(right, typed("1235"));
    assert_eq!(
        right,
        (
            vec![],
            vec!["lockdown: the whole site is locked down".to_owned()],
            0
        )
    );
}
