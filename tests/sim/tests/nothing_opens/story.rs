//! Random stories, and the house in which they play.

use gateway_core::{Bell, LineSignal};
use proptest::prelude::*;

pub(crate) const INPUTS: [&str; 8] = [
    "bell",
    "fire",
    "front-contact",
    "front-rex",
    "front-tamper",
    "loop",
    "toy-bell",
    "toy-rex",
];
/// The bell of each panel, among the inputs.
pub(crate) const BELLS: [usize; 2] = [0, 6];
pub(crate) const DOORS: [&str; 3] = ["front", "toy", "cellar"];
pub(crate) const LINES: [&str; 2] = ["riser", "toy-line"];
/// The panel on each line.
pub(crate) const PANELS: [&str; 2] = ["main", "toys"];
pub(crate) const READERS: [&str; 2] = ["front-reader", "toy-reader"];

/// Who the network says is there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// Withholds his number, and nobody knows it.
    Anonymous,
    Colleague,
    Forged,
    /// Says himself that he is the target, and wants it told to nobody.
    ForgedWithheld,
    Nobody,
    Stranger,
    Target,
    /// Withholds his number, which the PBX tells the gateway alone.
    TargetWithheld,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Answer {
        leg: usize,
        who: Who,
    },
    AuthorityLost {
        leg: usize,
    },
    Card {
        reader: usize,
        known: bool,
        age: u64,
    },
    Clock {
        step_ms: i64,
    },
    Command {
        what: usize,
        id: u8,
        age: Option<i64>,
        kept: bool,
        person: bool,
    },
    /// Somebody calls the door; somebody presses its bell meanwhile; who called is answered, if he is, and presses 9.
    CallIn {
        at_once: bool,
        line: usize,
        press: bool,
        wait: u64,
        who: Who,
    },
    Digit {
        leg: usize,
        digit: char,
        age: u64,
        echo: bool,
        info: bool,
    },
    /// Before anybody has answered it sounds, or rings.
    Early {
        leg: usize,
        rings: bool,
    },
    Edge {
        input: usize,
        active: bool,
        initial: bool,
        age: u64,
    },
    End {
        leg: usize,
    },
    Freeze {
        ms: u64,
        told: bool,
    },
    Guard {
        up: bool,
    },
    GuardFails,
    Incoming {
        at_once: bool,
        line: usize,
        who: Who,
    },
    Journal {
        ok: bool,
    },
    Key {
        reader: usize,
        key: char,
        age: u64,
    },
    Line {
        line: usize,
        signal: LineSignal,
    },
    Pin {
        reader: usize,
    },
    Press {
        input: usize,
    },
    /// Somebody calls the door, and whom the door calls next answers; both press 9, the caller as often as not first.
    PutThrough {
        by: Who,
        caller_first: bool,
        line: usize,
        who: Who,
    },
    Ready,
    Reload {
        variant: usize,
    },
    Restart {
        ready: bool,
    },
    Second {
        present: bool,
    },
    ShutDown,
    Wait {
        ms: u64,
    },
}

fn age() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0_u64), 1 => 0..3000_u64]
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        4 => Just(Who::Target),
        2 => Just(Who::TargetWithheld),
        1 => Just(Who::Anonymous),
        1 => Just(Who::Colleague),
        1 => Just(Who::Forged),
        1 => Just(Who::ForgedWithheld),
        1 => Just(Who::Nobody),
        1 => Just(Who::Stranger),
    ]
}

fn digit() -> impl Strategy<Value = char> {
    prop_oneof![6 => Just('9'), 1 => prop::sample::select(vec!['1', '2', '3', '4', '5', '*', '#', 'A'])]
}

fn line_signal() -> impl Strategy<Value = LineSignal> {
    prop::sample::select(vec![
        LineSignal::BusyOther,
        LineSignal::Fault,
        LineSignal::HandsetLifted,
        LineSignal::HandsetReplaced,
        LineSignal::Idle,
        LineSignal::OpenedByPanel,
        LineSignal::Ring,
        LineSignal::RingFor(Bell::Apartment(12)),
        LineSignal::RingFor(Bell::Apartment(13)),
        LineSignal::RingFor(Bell::Floor),
        LineSignal::RingStopped,
    ])
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let leg = 0..4_usize;
    let telephone = prop_oneof![
        6 => (leg.clone(), who()).prop_map(|(leg, who)| Step::Answer { leg, who }),
        1 => leg.clone().prop_map(|leg| Step::AuthorityLost { leg }),
        8 => (leg.clone(), digit(), age(), prop::bool::weighted(0.1), prop::bool::weighted(0.2))
            .prop_map(|(leg, digit, age, echo, info)| Step::Digit { leg, digit, age, echo, info }),
        2 => leg.prop_map(|leg| Step::End { leg }),
        2 => (prop::bool::weighted(0.2), 0..2_usize, who()).prop_map(|(at_once, line, who)| Step::Incoming { at_once, line, who }),
        2 => (0..4_usize, any::<bool>()).prop_map(|(leg, rings)| Step::Early { leg, rings }),
        2 => (prop::bool::weighted(0.2), 0..2_usize, any::<bool>(), prop_oneof![Just(0), Just(3_000), 0..25_000_u64], who())
            .prop_map(|(at_once, line, press, wait, who)| Step::CallIn { at_once, line, press, wait, who }),
        1 => (who(), any::<bool>(), 0..2_usize, who())
            .prop_map(|(by, caller_first, line, who)| Step::PutThrough { by, caller_first, line, who }),
    ];
    let wires = prop_oneof![
        6 => (0..INPUTS.len(), any::<bool>(), prop::bool::weighted(0.15), age())
            .prop_map(|(input, active, initial, age)| Step::Edge { input, active, initial, age }),
        5 => (0..INPUTS.len()).prop_map(|input| Step::Press { input }),
        2 => (0..2_usize, any::<bool>(), age()).prop_map(|(reader, known, age)| Step::Card { reader, known, age }),
        1 => (0..2_usize, digit(), age()).prop_map(|(reader, key, age)| Step::Key { reader, key, age }),
        1 => (0..2_usize).prop_map(|reader| Step::Pin { reader }),
        2 => (0..2_usize, line_signal()).prop_map(|(line, signal)| Step::Line { line, signal }),
    ];
    let command = (
        prop_oneof![6 => 0..6_usize, 1 => 6..18_usize, 2 => 18..27_usize],
        0..12_u8,
        prop::option::weighted(0.9, prop_oneof![3 => Just(0_i64), 1 => -15_000..15_000_i64]),
        prop::bool::weighted(0.1),
        any::<bool>(),
    );
    let rare = prop_oneof![
        2 => any::<bool>().prop_map(|up| Step::Guard { up }),
        1 => Just(Step::GuardFails),
        2 => any::<bool>().prop_map(|ok| Step::Journal { ok }),
        3 => Just(Step::Ready),
        3 => (0..18_usize).prop_map(|variant| Step::Reload { variant }),
        3 => prop::bool::weighted(0.8).prop_map(|ready| Step::Restart { ready }),
        1 => prop::bool::weighted(0.3).prop_map(|present| Step::Second { present }),
        1 => (-100_000..100_000_i64).prop_map(|step_ms| Step::Clock { step_ms }),
        1 => Just(Step::ShutDown),
        3 => (0..5_000_u64, any::<bool>()).prop_map(|(ms, told)| Step::Freeze { ms, told }),
    ];
    prop_oneof![
        10 => telephone,
        10 => wires,
        4 => command.prop_map(|(what, id, age, kept, person)| Step::Command { what, id, age, kept, person }),
        4 => rare,
        5 => prop_oneof![3 => 0..2_000_u64, 1 => 0..700_000_u64].prop_map(|ms| Step::Wait { ms }),
    ]
}
