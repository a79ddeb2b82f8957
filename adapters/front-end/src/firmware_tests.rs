//! Doors, watchdogs and pulses of the machine.

use proptest::prelude::*;

use super::*;

fn press(window_ms: u16) -> Press {
    Press {
        door: 0,
        window_ms,
        press_ms: 300,
        presses: 1,
        pause_ms: 1000,
        hook: Some(0),
        after_ms: 1000,
        call: Some(0),
        quiet_ms: 300,
    }
}

fn order(firmware: &mut Firmware, ms: u64, role: PortRole, order: &Order) {
    firmware.handle_bytes(ms * 1000, role, &order.frame(7));
}

fn changes(firmware: &mut Firmware) -> Vec<(bool, u64)> {
    let mut all = Vec::new();
    while let Some(change) = firmware.take_change() {
        if let Change::Door { on, at_us, .. } = change {
            all.push((on, at_us / 1000));
        }
    }
    all
}

/// Runs until a time, heard on both ports.
fn run(firmware: &mut Firmware, from_ms: u64, to_ms: u64) {
    for ms in (from_ms..=to_ms).step_by(250) {
        for role in [PortRole::Line, PortRole::Door] {
            order(firmware, ms, role, &Order::Alive);
        }
    }
}

fn started() -> Firmware {
    Firmware::new(1, 2, 3, 2)
}

#[test]
fn a_door_is_pressed_once_the_line_is_off_hook_and_quiet() {
    let mut firmware = started();
    firmware.set_input(1_900_000, 0, true);
    order(
        &mut firmware,
        1000,
        PortRole::Line,
        &Order::Set { output: 0, on: true },
    );
    order(&mut firmware, 1100, PortRole::Door, &Order::Press(press(3000)));
    run(&mut firmware, 1200, 6000);
    // off-hook since 1000, the tone ended at 1900
    assert_eq!(changes(&mut firmware), [(true, 2200), (false, 2500)]);
}

#[test]
fn a_door_that_never_becomes_ready_is_not_pressed_and_its_window_ends() {
    let mut firmware = started();
    order(&mut firmware, 0, PortRole::Door, &Order::Press(press(2000)));
    run(&mut firmware, 0, 1900);
    assert!(matches!(
        firmware.state(0, PortRole::Door),
        Word::State { outputs: 1, .. }
    ));
    run(&mut firmware, 2000, 3000);
    assert!(matches!(
        firmware.state(0, PortRole::Door),
        Word::State { outputs: 0, .. }
    ));
    // off-hook afterwards: the order is forgotten
    order(
        &mut firmware,
        3100,
        PortRole::Line,
        &Order::Set { output: 0, on: true },
    );
    run(&mut firmware, 3200, 9000);
    assert_eq!(changes(&mut firmware), []);
}

#[test]
fn presses_repeat_within_the_window_only() {
    let mut firmware = started();
    let order_of = Press {
        hook: None,
        call: None,
        presses: 5,
        ..press(3000)
    };
    order(&mut firmware, 0, PortRole::Door, &Order::Press(order_of));
    run(&mut firmware, 0, 9000);
    let on = [
        (true, 0),
        (false, 300),
        (true, 1300),
        (false, 1600),
        (true, 2600),
        (false, 2900),
    ];
    assert_eq!(changes(&mut firmware), on);
}

#[test]
fn a_silent_gateway_and_a_silent_guard_cost_what_is_theirs() {
    let mut firmware = started();
    order(
        &mut firmware,
        0,
        PortRole::Line,
        &Order::Set { output: 1, on: true },
    );
    let long = Press {
        hook: None,
        call: None,
        press_ms: 20_000,
        ..press(25_000)
    };
    order(&mut firmware, 0, PortRole::Door, &Order::Press(long));
    for ms in (0..900).step_by(100) {
        order(&mut firmware, ms, PortRole::Line, &Order::Alive);
    }
    // the guard is silent, the gateway is not
    firmware.handle_timeout(1_000_000);
    assert_eq!(changes(&mut firmware), [(true, 0), (false, 1000)]);
    assert!(firmware.outputs[1].is_some());
    firmware.handle_timeout(1_800_000);
    assert!(firmware.outputs[1].is_none());
}

#[test]
fn each_port_does_what_is_its_own_and_nothing_else() {
    let mut firmware = started();
    let _ = firmware.take_bytes(PortRole::Line);
    order(&mut firmware, 0, PortRole::Line, &Order::Press(press(3000)));
    let refused = Word::Refused(Reason::Port);
    assert_eq!(firmware.take_bytes(PortRole::Line), refused.frame(7));
    let _ = firmware.take_bytes(PortRole::Door);
    order(
        &mut firmware,
        0,
        PortRole::Door,
        &Order::Set { output: 0, on: true },
    );
    assert_eq!(firmware.take_bytes(PortRole::Door), refused.frame(7));
    assert!(firmware.outputs[0].is_none() && firmware.doors[0].is_none());
}

#[test]
fn pulses_are_timed_in_microseconds() {
    let mut firmware = started();
    let pulses = Order::Pulses {
        output: 2,
        times_us: vec![20, 43, 20],
    };
    order(&mut firmware, 1, PortRole::Line, &pulses);
    firmware.handle_timeout(2000);
    let mut at = Vec::new();
    while let Some(Change::Output { output: 2, on, at_us }) = firmware.take_change() {
        at.push((at_us, on));
    }
    assert_eq!(at, [(1000, true), (1020, false), (1063, true), (1083, false)]);
    let long = Order::Pulses {
        output: 2,
        times_us: vec![15_001],
    };
    let _ = firmware.take_bytes(PortRole::Line);
    order(&mut firmware, 3, PortRole::Line, &long);
    let refused = Word::Refused(Reason::Range);
    assert_eq!(firmware.take_bytes(PortRole::Line), refused.frame(7));
}

proptest! {
    /// Whatever comes over both ports: no door is active longer than its window from the last order, and both silent,
    /// everything rests.
    #[test]
    fn everything_comes_to_rest_in_silence(steps in prop::collection::vec(
        (0_u8..7, 0_u64..2_000_000, 1_u16..5000, any::<u8>()), 0..60),
        noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut firmware = started();
        let mut now = 0;
        for (step, wait, ms, n) in steps {
            now += wait;
            let both = if n % 2 == 0 { PortRole::Line } else { PortRole::Door };
            let order = match step {
                0 => Order::Alive,
                1 => Order::Press(Press { door: n % 3, window_ms: ms, presses: n % 7, ..press(ms) }),
                2 => Order::Rest { door: n % 3 },
                3 => Order::Set { output: n % 4, on: n % 3 == 0 },
                4 => Order::Pulses { output: n % 4, times_us: vec![ms; usize::from(n % 9)] },
                5 => { firmware.set_input(now, n % 3, n % 2 == 0); continue; }
                _ => { firmware.handle_bytes(now, both, &noise); continue; }
            };
            firmware.handle_bytes(now, both, &order.frame(n));
            for opening in firmware.doors.iter().flatten() {
                prop_assert!(opening.end_us <= now + us(LONGEST_MS));
            }
        }
        firmware.handle_timeout(now + us(WATCHDOG_MS));
        prop_assert!(firmware.doors.iter().all(Option::is_none));
        prop_assert!(firmware.outputs.iter().all(Option::is_none));
    }
}

#[test]
fn a_card_is_refused_on_wires_and_in_times_that_no_reader_has() {
    let card = |d0: u8, d1: u8, pulse_us: u16, interval_us: u16| {
        Order::Card(CardPulses {
            bits: vec![true; 26],
            d0,
            d1,
            interval_us,
            pulse_us,
        })
    };
    let refused = |role: PortRole, order: &Order| {
        let mut firmware = started();
        firmware.take_bytes(role);
        firmware.handle_bytes(1000, role, &order.frame(7));
        let bytes = firmware.take_bytes(role);
        let mut deframer = Deframer::default();
        let mut found = bytes.iter().filter_map(|byte| deframer.push(*byte));
        let message = found.next().expect("an answer").expect("whole");
        Word::read(&message).expect("a word").1
    };
    assert_eq!(refused(PortRole::Line, &card(0, 1, 50, 2000)), Word::Done);
    for (order, reason) in [
        (card(0, 0, 50, 2000), Reason::Range),
        (card(0, 3, 50, 2000), Reason::Channel),
        (card(0, 1, 19, 2000), Reason::Range),
        (card(0, 1, 101, 2000), Reason::Range),
        (card(0, 1, 50, 199), Reason::Range),
        (card(0, 1, 50, 20_001), Reason::Range),
    ] {
        assert_eq!(
            refused(PortRole::Line, &order),
            Word::Refused(reason),
            "{order:?}"
        );
    }
    let order = card(0, 1, 50, 2000);
    assert_eq!(refused(PortRole::Door, &order), Word::Refused(Reason::Port));
}

#[test]
fn the_wires_of_a_card_rest_for_50_ms_after_its_last_pulse() {
    let card = |d0: u8, d1: u8| {
        Order::Card(CardPulses {
            bits: vec![true, false, true],
            d0,
            d1,
            interval_us: 2000,
            pulse_us: 50,
        })
    };
    let mut firmware = started();
    let mut answer = |at_us: u64, order: &Order| {
        firmware.handle_timeout(at_us);
        firmware.take_bytes(PortRole::Line);
        firmware.handle_bytes(at_us, PortRole::Line, &order.frame(7));
        firmware.take_bytes(PortRole::Line)
    };
    let (done, busy) = (Word::Done.frame(7), Word::Refused(Reason::Busy).frame(7));
    assert_eq!(answer(0, &card(0, 1)), done);
    // its last pulse ends at 4050 µs
    assert_eq!(answer(54_049, &card(1, 0)), busy);
    let set = Order::Set { output: 1, on: true };
    assert_eq!(answer(54_049, &set), busy);
    let pulses = Order::Pulses {
        output: 0,
        times_us: vec![20],
    };
    assert_eq!(answer(54_049, &pulses), busy);
    assert_eq!(answer(54_050, &card(1, 0)), done);
}
