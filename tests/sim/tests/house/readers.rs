//! What readers are told to show, and what of them is only told.

use gateway_core::{Misread, ReaderCommand, SignalKind};
use gateway_site::Output;
use sim::{Sim, first_door, id, ms, secs};

fn shown(sim: &mut Sim) -> Vec<ReaderCommand> {
    std::mem::take(&mut sim.readers)
        .into_iter()
        .map(|(_, command)| command)
        .collect()
}

fn key(sim: &mut Sim, key: char) {
    let reader = id("front-reader");
    sim.signal(sim.now(), false, SignalKind::Key { key, reader });
}

#[test]
fn a_reader_shows_what_became_of_a_card() {
    let mut sim = Sim::new(first_door());
    sim.card("front-reader", "26:123,04567");
    assert!(
        sim.is_energised("front-strike") || !sim.pulses.is_empty(),
        "{}",
        sim.log()
    );
    let strike = sim.pulses[0].length;
    assert_eq!(shown(&mut sim), [ReaderCommand::Granted { time: strike }]);
    sim.card("front-reader", "26:123,04568");
    assert_eq!(shown(&mut sim), [ReaderCommand::Denied]);
}

#[test]
fn a_keypad_shows_that_digits_are_awaited_and_what_became_of_the_code() {
    let mut sim = Sim::new(first_door());
    for digit in ['1', '2', '3'] {
        key(&mut sim, digit);
        assert_eq!(shown(&mut sim), [ReaderCommand::WaitPin]);
        sim.wait(ms(200));
    }
    key(&mut sim, '4');
    assert!(matches!(shown(&mut sim)[..], [ReaderCommand::Granted { .. }]));
    key(&mut sim, '5');
    key(&mut sim, '*');
    // what is thrown away is a try
    assert_eq!(shown(&mut sim), [ReaderCommand::WaitPin, ReaderCommand::Denied]);
    key(&mut sim, '5');
    sim.wait(secs(4));
    assert_eq!(shown(&mut sim), [ReaderCommand::WaitPin, ReaderCommand::Denied]);
}

#[test]
fn a_misread_is_told_and_opens_nothing() {
    let mut sim = Sim::new(first_door());
    let misread = SignalKind::Misread {
        bits: 25,
        reader: id("front-reader"),
        reason: Misread::Short,
        times: 3,
    };
    sim.signal(sim.now(), false, misread.clone());
    assert!(
        sim.kinds().contains(&"reader.misread".to_owned()),
        "{}",
        sim.log()
    );
    assert!(sim.pulses.is_empty());
    // what claims to be injected into a real reader is dropped
    let before = sim.records.len();
    sim.signal(sim.now(), true, misread);
    assert_eq!(sim.records.len(), before);
    assert!(!matches!(sim.site.poll_output(), Some(Output::Reader(..))));
}
