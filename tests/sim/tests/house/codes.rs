//! Codes of doors as a trade knows them: one to eight of `0-9 * #`, typed at a reader or dialled in a call.

use gateway_core::SignalKind;
use gateway_site::{CodeParams, SiteParams};
use sim::{Phone, Sim, first_door, id, ms, secs};

/// A house with this code as the only one.
fn house(digits: &str) -> SiteParams {
    let mut site = first_door();
    let nine: &CodeParams = &site.codes[&id("nine")];
    let code = CodeParams {
        digits: digits.to_owned(),
        from_keypad: true,
        ..nine.clone()
    };
    site.codes = [(id("code"), code)].into();
    site
}

#[test]
fn one_to_eight_of_digits_star_and_hash_open_at_a_reader_and_in_a_call() {
    for code in ["9", "0", "*", "#", "*1#", "##", "4711#", "#12*45#8", "12345678"] {
        let mut sim = Sim::new(house(code));
        sim.phone("1000", Phone::Answers(secs(2)));
        for key in code.chars() {
            let reader = id("front-reader");
            sim.signal(sim.now(), false, SignalKind::Key { key, reader });
            // as slowly as it may be
            sim.wait(ms(2900));
        }
        assert_eq!(sim.pulses.len(), 1, "{code} at a reader\n{}", sim.log());
        sim.wait(secs(30));

        sim.press("bell").expect("a ring began");
        sim.wait(secs(5));
        let leg = sim.leg_of("1000");
        for key in code.chars() {
            sim.digit(leg, key);
            sim.wait(ms(2900));
        }
        assert_eq!(sim.pulses.len(), 2, "{code} in a call\n{}", sim.log());
        assert_eq!(sim.denials(), Vec::<String>::new(), "{code}\n{}", sim.log());
    }
}

#[test]
fn a_pause_of_three_seconds_is_the_end_of_what_was_typed() {
    let mut sim = Sim::new(house("*1#"));
    for (key, pause) in [('*', 2900), ('1', 3000), ('#', 3100)] {
        let reader = id("front-reader");
        sim.signal(sim.now(), false, SignalKind::Key { key, reader });
        sim.wait(ms(pause));
    }
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(sim.denials(), ["wrong code", "wrong code"], "{}", sim.log());
}
