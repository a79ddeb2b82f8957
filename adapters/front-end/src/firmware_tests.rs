//! Doors, watchdogs and pulses of the machine.

use gateway_panel::{BytePulses, Coding, Edge, bytes_of_pulses};
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

fn row(window_ms: u16) -> Row {
    Row {
        door: 0,
        window_ms,
        rows: 1,
        pause_ms: 200,
        hook: None,
        after_ms: 0,
        call: Some(0),
        quiet_ms: 100,
        times_us: vec![6000, 2000, 4000, 17_000, 2000],
    }
}

/// Changes of the door in µs.
fn pulses_of(firmware: &mut Firmware) -> Vec<(bool, u64)> {
    let mut all = Vec::new();
    while let Some(change) = firmware.take_change() {
        if let Change::Door { on, at_us, .. } = change {
            all.push((on, at_us));
        }
    }
    all
}

#[test]
fn a_row_opens_once_the_bus_is_quiet_and_is_timed_in_microseconds() {
    let mut firmware = started();
    firmware.set_input(950_000, 0, true);
    order(&mut firmware, 1000, PortRole::Door, &Order::Row(row(3000)));
    run(&mut firmware, 1000, 5000);
    let at = 1_050_000;
    let one = [
        (true, at),
        (false, at + 6000),
        (true, at + 8000),
        (false, at + 12_000),
        (true, at + 29_000),
        (false, at + 31_000),
    ];
    assert_eq!(pulses_of(&mut firmware), one);
    assert!(firmware.doors[0].is_none(), "the window is over");
}

#[test]
fn a_row_is_repeated_after_a_pause_and_waits_for_quiet_again() {
    let mut firmware = started();
    order(
        &mut firmware,
        0,
        PortRole::Door,
        &Order::Row(Row { rows: 2, ..row(3000) }),
    );
    order(&mut firmware, 0, PortRole::Line, &Order::Alive);
    // the first at 100 ms, since the input counts as quiet from 0
    run(&mut firmware, 0, 250);
    assert_eq!(pulses_of(&mut firmware).first(), Some(&(true, 100_000)));
    // the pause ends at 331 ms, and somebody else talks until 300 ms
    firmware.set_input(300_000, 0, true);
    run(&mut firmware, 500, 4000);
    let second = pulses_of(&mut firmware);
    assert_eq!((second.len(), second[0]), (6, (true, 400_000)));
}

#[test]
fn a_row_that_does_not_fit_its_window_is_not_begun() {
    let mut firmware = started();
    order(&mut firmware, 1000, PortRole::Door, &Order::Row(row(30)));
    run(&mut firmware, 1000, 3000);
    assert_eq!(pulses_of(&mut firmware), []);
    // a bus that is never quiet: nothing comes later either
    firmware.set_input(2_980_000, 0, true);
    order(&mut firmware, 3000, PortRole::Door, &Order::Row(row(1000)));
    for ms in (3000..5000).step_by(50) {
        firmware.set_input(ms * 1000, 0, ms % 100 == 0);
        run(&mut firmware, ms, ms);
    }
    run(&mut firmware, 5000, 9000);
    assert_eq!(pulses_of(&mut firmware), []);
}

#[test]
fn a_row_ends_with_rest_and_with_the_silence_of_the_guard() {
    let mut firmware = started();
    let free = Row {
        call: None,
        ..row(3000)
    };
    order(&mut firmware, 1000, PortRole::Door, &Order::Row(free.clone()));
    firmware.handle_bytes(1_003_000, PortRole::Door, &Order::Rest { door: 0 }.frame(9));
    run(&mut firmware, 1250, 3000);
    assert_eq!(pulses_of(&mut firmware), [(true, 1_000_000), (false, 1_003_000)]);
    // active while the watchdog ends it
    let slow = Row {
        pause_ms: 977,
        rows: 5,
        ..free
    };
    order(&mut firmware, 4000, PortRole::Door, &Order::Row(slow));
    firmware.handle_timeout(20_000_000);
    let all = pulses_of(&mut firmware);
    assert_eq!(all.last(), Some(&(false, 4_031_000)), "{all:?}");
    assert!(firmware.doors[0].is_none());
}

/// The telegram that opens on an SCS bus, as it would be learnt.
fn telegram(window_ms: u16) -> Telegram {
    Telegram {
        door: 0,
        window_ms,
        times: 2,
        pause_ms: 200,
        hook: None,
        after_ms: 0,
        call: Some(0),
        quiet_ms: 100,
        pulses: BytePulses::of(Coding::Scs).expect("bytes"),
        bytes: vec![0xA8, 0x96, 0x03, 0x6F, 0xA4, 0x5E, 0xA3],
    }
}

#[test]
fn a_telegram_goes_out_as_pulses_that_its_bytes_are_read_from() {
    let mut firmware = started();
    firmware.set_input(950_000, 0, true);
    let wanted = telegram(3000);
    order(
        &mut firmware,
        1000,
        PortRole::Door,
        &Order::Telegram(wanted.clone()),
    );
    run(&mut firmware, 1000, 5000);
    let all = pulses_of(&mut firmware);
    let mut edges = vec![Edge {
        at_us: 0,
        level: true,
    }];
    edges.extend(all.iter().map(|(on, at_us)| Edge {
        at_us: *at_us,
        level: !on,
    }));
    assert_eq!(edges[1].at_us, 1_050_000, "quiet for 100 ms");
    let twice = [&wanted.bytes[..], &wanted.bytes].concat();
    assert_eq!(bytes_of_pulses(Coding::Scs, &edges), (twice, vec![]));
    assert!(all.chunks(2).all(|pulse| pulse[1].1 - pulse[0].1 == 35));
    assert!(firmware.doors[0].is_none(), "the window is over");
}

#[test]
fn a_telegram_is_refused_on_the_line_port_and_in_times_that_are_none() {
    let refused = |role: PortRole, telegram: Telegram| {
        let mut firmware = started();
        firmware.take_bytes(role);
        firmware.handle_bytes(1000, role, &Order::Telegram(telegram).frame(7));
        let bytes = firmware.take_bytes(role);
        let mut deframer = Deframer::default();
        let mut found = bytes.iter().filter_map(|byte| deframer.push(*byte));
        let message = found.next().expect("an answer").expect("whole");
        Word::read(&message).expect("a word").1
    };
    let timed = |pulses: BytePulses| Telegram {
        pulses,
        ..telegram(3000)
    };
    let scs = telegram(3000).pulses;
    let range = Word::Refused(Reason::Range);
    assert_eq!(refused(PortRole::Door, telegram(3000)), Word::Done);
    assert_eq!(
        refused(PortRole::Line, telegram(3000)),
        Word::Refused(Reason::Port)
    );
    assert_eq!(refused(PortRole::Door, telegram(0)), range);
    for wrong in [
        BytePulses { pulse_us: 9, ..scs },
        BytePulses { pulse_us: 101, ..scs },
        BytePulses {
            bit_tenths: 699,
            ..scs
        },
        BytePulses {
            bit_tenths: 10_001,
            byte_tenths: u16::MAX,
            ..scs
        },
        BytePulses {
            byte_tenths: 9 * 1042 - 1,
            ..scs
        },
    ] {
        assert_eq!(refused(PortRole::Door, timed(wrong)), range, "{wrong:?}");
    }
}

#[test]
fn a_row_is_refused_on_the_line_port_and_in_times_that_burn_a_driver() {
    let refused = |role: PortRole, row: Row| {
        let mut firmware = started();
        firmware.take_bytes(role);
        firmware.handle_bytes(1000, role, &Order::Row(row).frame(7));
        let bytes = firmware.take_bytes(role);
        let mut deframer = Deframer::default();
        let mut found = bytes.iter().filter_map(|byte| deframer.push(*byte));
        let message = found.next().expect("an answer").expect("whole");
        assert!(firmware.doors.iter().all(Option::is_none) || Word::read(&message) == Ok((7, Word::Done)));
        Word::read(&message).expect("a word").1
    };
    assert_eq!(refused(PortRole::Door, row(3000)), Word::Done);
    assert_eq!(refused(PortRole::Line, row(3000)), Word::Refused(Reason::Port));
    let times = |times_us: &[u16]| Row {
        times_us: times_us.to_vec(),
        ..row(3000)
    };
    for (row, reason) in [
        (row(0), Reason::Range),
        (row(60_001), Reason::Range),
        (Row { rows: 0, ..row(3000) }, Reason::Range),
        (Row { rows: 6, ..row(3000) }, Reason::Range),
        (Row { door: 2, ..row(3000) }, Reason::Channel),
        (
            Row {
                call: Some(2),
                ..row(3000)
            },
            Reason::Channel,
        ),
        (
            Row {
                hook: Some(3),
                ..row(3000)
            },
            Reason::Channel,
        ),
        (times(&[]), Reason::Range),
        (times(&[6000, 2000]), Reason::Range),
        (times(&[15_001]), Reason::Range),
        (times(&[1]), Reason::Range),
        (times(&[15_000, 30_001, 2000]), Reason::Range),
    ] {
        assert_eq!(
            refused(PortRole::Door, row.clone()),
            Word::Refused(reason),
            "{row:?}"
        );
    }
    assert_eq!(
        refused(PortRole::Door, times(&[15_000, 30_000, 15_000])),
        Word::Done
    );
}

proptest! {
    /// Whatever rows are asked for, and whenever the bus is quiet: the output is active for no longer than 15 ms at a time, and
    /// at rest when the window is over.
    #[test]
    fn no_row_holds_a_bus_for_long(steps in prop::collection::vec(
        (0_u64..400_000, any::<bool>(), prop::collection::vec(0_u16..32_000, 0..9), 0_u8..7, 0_u16..3000), 1..40)) {
        let mut firmware = started();
        let mut now = 0;
        for (wait, level, times_us, rows, window_ms) in steps {
            now += wait;
            firmware.set_input(now, 0, level);
            let order = Order::Row(Row { times_us, rows, ..row(window_ms) });
            firmware.handle_bytes(now, PortRole::Door, &order.frame(1));
        }
        firmware.handle_timeout(now + 60_000_000);
        let mut since = None;
        for (on, at_us) in pulses_of(&mut firmware) {
            prop_assert_eq!(on, since.is_none(), "on and off in turns");
            if let Some(since) = since {
                prop_assert!(at_us - since <= 15_000);
            }
            since = on.then_some(at_us);
        }
        prop_assert!(since.is_none() && firmware.doors.iter().all(Option::is_none));
    }
}

proptest! {
    /// Whatever comes over both ports: no door is active longer than its window from the last order, and both silent,
    /// everything rests.
    #[test]
    fn everything_comes_to_rest_in_silence(steps in prop::collection::vec(
        (0_u8..9, 0_u64..2_000_000, 1_u16..5000, any::<u8>()), 0..60),
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
                7 => Order::Telegram(Telegram { door: n % 3, times: n % 7, bytes: vec![n; usize::from(n % 9) + 1], ..telegram(ms) }),
                6 => Order::Row(Row { door: n % 3, rows: n % 7, times_us: vec![ms; usize::from(n % 9)], ..row(ms) }),
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
