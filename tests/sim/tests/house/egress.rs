//! Whoever is inside gets out.

use gateway_core::{Factor, Instant};
use gateway_site::{GuardReport, Input, SiteParams};
use rand::SeedableRng;
use sim::{Sim, T0, first_door, id, ms, secs, wall};

/// One way in which the gateway can be in trouble.
type Trouble = fn(&mut Sim);

#[test]
fn an_exit_always_opens_whatever_is_wrong() {
    let troubles: [(&str, Trouble); 7] = [
        ("journal", |s| {
            let text = "disk full".to_owned();
            s.input(Input::Journal { ok: false, text });
        }),
        ("guard", |s| {
            let text = "gone".to_owned();
            s.input(Input::Guard(GuardReport::Down { text }));
        }),
        ("clock", |s| {
            s.input(Input::ClockStep {
                step_ms: -86_400_000,
                trusted: false,
            });
        }),
        ("second", |s| s.input(Input::SecondInstance(Some("box-2".into())))),
        ("stopping", |s| s.input(Input::ShutDown)),
        ("gap", |s| s.freeze(secs(3))),
        ("reload", |s| {
            s.reload(first_door());
        }),
    ];
    for mask in 0..(1_u32 << troubles.len()) {
        let mut sim = Sim::new(first_door());
        for (n, (_, trouble)) in troubles.iter().enumerate() {
            if mask & (1 << n) != 0 {
                trouble(&mut sim);
            }
        }
        let before = sim.pulses.len();
        sim.wait(ms(10));
        sim.edge("front-rex", true);
        let new = &sim.pulses[before..];
        assert_eq!(new.len(), 1, "troubles {mask:b}\n{}", sim.log());
        assert_eq!(new[0].grant.factor, Factor::Rex);
    }
}

#[test]
fn an_exit_opens_before_the_gateway_is_ready() {
    let rng = Box::new(rand::rngs::StdRng::seed_from_u64(1));
    let params: SiteParams = first_door();
    let mut site = gateway_site::Site::new(params, 1, rng, T0, wall(T0));
    let mut rex = |at: Instant, active, initial| {
        let signal = gateway_core::Signal {
            at,
            device: id("gpio"),
            simulated: false,
            kind: gateway_core::SignalKind::Input {
                edge: gateway_core::Edge { active, initial },
                input: id("front-rex"),
            },
        };
        site.handle_input(at, wall(at), Input::Signal(signal));
        let outputs: Vec<_> = std::iter::from_fn(|| site.poll_output()).collect();
        outputs
            .iter()
            .filter(|o| matches!(o, gateway_site::Output::Operate { .. }))
            .count()
    };
    assert_eq!(rex(T0, false, true), 0);
    assert_eq!(rex(T0 + ms(5), true, false), 1);
}

#[test]
fn an_exit_that_is_held_since_before_the_start_opens_only_when_pressed_again() {
    let mut sim = Sim::new(first_door());
    sim.edge_at(sim.now(), &id("front-rex"), true, true);
    sim.wait(secs(10));
    assert!(sim.pulses.is_empty());
    sim.edge("front-rex", false);
    sim.edge("front-rex", true);
    assert_eq!(sim.pulses.len(), 1);
}

#[test]
fn a_late_exit_opens_only_if_somebody_still_presses() {
    let mut sim = Sim::new(first_door());
    let old = sim.now();
    sim.wait(secs(5));
    sim.edge_at(old, &id("front-rex"), true, false);
    sim.edge_at(old + ms(200), &id("front-rex"), false, false);
    sim.wait(secs(1));
    assert!(sim.pulses.is_empty());
    sim.edge_at(old + ms(400), &id("front-rex"), true, false);
    sim.wait(secs(1));
    assert_eq!(sim.pulses.len(), 1);
}

#[test]
fn an_exit_pressed_while_the_guard_restarts_opens_as_soon_as_it_is_there() {
    for (away, opens) in [(secs(1), true), (ms(2900), true), (ms(3100), false)] {
        let mut sim = Sim::new(first_door());
        sim.guard_goes();
        sim.edge("front-rex", true);
        sim.wait(ms(200));
        sim.edge("front-rex", false);
        sim.wait(away - ms(200));
        let asked = sim.pulses.len();
        sim.guard_comes();
        sim.wait(ms(1));
        assert_eq!(
            sim.pulses.len(),
            asked + usize::from(opens),
            "{away:?}\n{}",
            sim.log()
        );
        assert_eq!(sim.is_energised("front-strike"), opens, "{away:?}\n{}", sim.log());
        sim.wait(secs(60));
        // once
        sim.guard_comes();
        assert_eq!(sim.pulses.len(), asked + usize::from(opens), "{}", sim.log());
    }
}

#[test]
fn an_exit_that_met_a_guard_standing_still_opens_as_soon_as_the_next_one_is_there() {
    for (away, opens) in [(ms(1200), true), (ms(3100), false)] {
        let mut sim = Sim::new(first_door());
        sim.guard_freezes();
        sim.edge("front-rex", true);
        sim.wait(secs(1));
        assert!(!sim.is_energised("front-strike"), "{}", sim.log());
        sim.guard_lost();
        assert!(
            sim.kinds().contains(&"door.lock-fault".to_owned()),
            "{}",
            sim.log()
        );
        sim.wait(away - secs(1));
        sim.guard_comes();
        sim.wait(ms(1));
        assert_eq!(sim.is_energised("front-strike"), opens, "{away:?}\n{}", sim.log());
        sim.wait(secs(60));
        assert!(!sim.is_energised("front-strike"), "{}", sim.log());
    }
}

#[test]
fn an_exit_that_a_reload_cuts_short_goes_on_with_the_next_guard_and_one_that_a_death_cuts_does_not() {
    for (ends, goes_on) in [(Sim::guard_goes as fn(&mut Sim), true), (Sim::guard_lost, false)] {
        let mut sim = Sim::new(first_door());
        sim.edge("front-rex", true);
        sim.wait(ms(30));
        assert!(sim.is_energised("front-strike"));
        ends(&mut sim);
        assert!(!sim.is_energised("front-strike"));
        sim.wait(ms(300));
        sim.guard_comes();
        sim.wait(ms(1));
        assert_eq!(sim.is_energised("front-strike"), goes_on, "{}", sim.log());
        sim.wait(secs(4));
        assert!(!sim.is_energised("front-strike"), "{}", sim.log());
        // had to its end: nobody waits for more
        sim.guard_lost();
        sim.guard_comes();
        sim.wait(secs(60));
        assert!(!sim.is_energised("front-strike"), "{}", sim.log());
    }
}

#[test]
fn who_was_let_in_by_a_guard_that_died_is_not_let_in_again_by_the_next_one() {
    let mut sim = Sim::new(first_door());
    sim.card("front-reader", "26:0,1");
    sim.guard_lost();
    sim.guard_comes();
    let (asked, before) = (sim.pulses.len(), sim.kinds().len());
    sim.wait(secs(60));
    assert_eq!(
        (sim.pulses.len(), sim.kinds().len()),
        (asked, before),
        "{}",
        sim.log()
    );
}

#[test]
fn a_simulated_exit_opens_no_real_door() {
    let mut params = first_door();
    params
        .inputs
        .get_mut(&id("front-rex"))
        .expect("the input")
        .simulated = true;
    let mut sim = Sim::new(params);
    sim.edge("front-rex", true);
    assert!(sim.pulses.is_empty());
    sim.edge("toy-rex", true);
    assert_eq!(sim.pulses.len(), 1);
}
