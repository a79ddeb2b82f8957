//! Random stories.

use proptest::prelude::*;

use crate::folk::TURNS;
use crate::house::{BUTTONS, CONTACTS, DOORS, FILES, READERS};

/// Cards that are shown: those of people, those of the site file, and one of nobody.
pub(crate) const CARDS: [&str; 8] = [
    "26:200,00001",
    "26:200,00002",
    "26:200,00003",
    "26:200,00004",
    "26:200,00005",
    "26:100,00001",
    "26:100,00002",
    "26:9,9",
];
/// What is typed at keypads.
pub(crate) const TYPED: [&str; 10] = [
    "1111", "1112", "1234", "2222", "443322", "4711", "48121", "556677", "556688", "0000",
];
/// What is dialled in calls.
pub(crate) const DIALLED: [&str; 8] = ["9", "7", "48121", "556677", "556688", "443322", "2222", "3"];
/// Numbers that call; whether the network vouches for them.
pub(crate) const NUMBERS: [&str; 5] = ["1000", "1005", "1007", "1008", "6666"];
pub(crate) const PANELS: [&str; 2] = ["gate", "main"];

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A card at a reader.
    Card {
        card: usize,
        reader: usize,
    },
    /// Somebody calls a panel, and dials if somebody answers.
    CallIn {
        digits: usize,
        number: usize,
        panel: usize,
        vouched: bool,
    },
    Clock(bool),
    Contact {
        door: usize,
        open: bool,
    },
    EndHold,
    EndLockdown {
        group: Option<usize>,
        person: bool,
    },
    EndQuiet,
    EndRingToOpen,
    Fire(bool),
    Gap,
    Hold {
        person: bool,
        s: u64,
    },
    Journal(bool),
    LockInput(bool),
    Lockdown {
        group: Option<usize>,
        person: bool,
    },
    /// How long the disk takes, ms; `None` if it hangs.
    Medium(Option<u64>),
    Open {
        door: usize,
        person: bool,
    },
    /// Opens for whoever rang last.
    OpenFor {
        door: usize,
    },
    People(usize),
    /// A button is pressed; whoever is called dials.
    Press {
        button: usize,
        digits: usize,
    },
    Quiet {
        s: Option<u64>,
    },
    Reload(usize),
    ResetFire {
        person: bool,
    },
    ResetPassback {
        everybody: bool,
    },
    Restart,
    Rex(usize),
    /// Who rings at `main` is let in.
    RingToOpen {
        person: bool,
        s: u64,
    },
    Type {
        digits: usize,
        reader: usize,
    },
    Wait(u64),
}

/// Reader and card: mostly of those that have something to do with each other.
fn shown() -> impl Strategy<Value = Step> {
    (0..READERS.len(), 0..CARDS.len()).prop_map(|(reader, card)| Step::Card { card, reader })
}

fn group() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![Just(None), Just(Some(0)), Just(Some(1))]
}

fn short() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0..4_000_u64, 3 => 4_000..30_000_u64]
}

fn one(step: Step) -> Vec<Step> {
    vec![step]
}

/// One step, or a few that belong together.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let people = prop_oneof![
        6 => shown(),
        5 => (0..READERS.len(), 0..TYPED.len()).prop_map(|(reader, digits)| Step::Type { digits, reader }),
        3 => (0..NUMBERS.len(), 0..2_usize, prop::bool::weighted(0.85), 0..DIALLED.len())
            .prop_map(|(number, panel, vouched, digits)| Step::CallIn { digits, number, panel, vouched }),
        3 => (0..BUTTONS.len(), 0..DIALLED.len()).prop_map(|(button, digits)| Step::Press { button, digits }),
        3 => (0..DOORS.len(), any::<bool>()).prop_map(|(door, person)| Step::Open { door, person }),
        2 => (0..2_usize).prop_map(|n| Step::OpenFor { door: [1, 4][n] }),
        2 => (0..DOORS.len()).prop_map(Step::Rex),
        2 => (0..CONTACTS.len(), prop::bool::weighted(0.35)).prop_map(|(door, open)| Step::Contact { door, open }),
        1 => any::<bool>().prop_map(Step::Fire),
    ];
    // the same reader twice or more, within a moment: a card and its PIN, two persons, a host and a visitor
    let together = (
        0..READERS.len(),
        prop::collection::vec(
            (0..CARDS.len(), any::<bool>(), 0..TYPED.len(), 0..12_000_u64),
            2..5,
        ),
    )
        .prop_map(|(reader, acts)| {
            let acts = acts.into_iter().flat_map(|(card, shows, digits, ms)| {
                let act = if shows {
                    Step::Card { card, reader }
                } else {
                    Step::Type { digits, reader }
                };
                [act, Step::Wait(ms)]
            });
            acts.collect()
        });
    // somebody guesses: at a keypad, with cards, in calls; then comes somebody who is good
    let digits = TYPED.len() - 1;
    let keys =
        (0..READERS.len(), 4..9_usize).prop_map(move |(reader, n)| vec![Step::Type { digits, reader }; n]);
    let card = CARDS.len() - 1;
    let cards = (0..READERS.len(), 9..14_usize).prop_map(move |(reader, n)| {
        let good = Step::Card { card: 0, reader };
        [vec![Step::Card { card, reader }; n], vec![good]].concat()
    });
    let calls = (0..NUMBERS.len(), 4..9_usize).prop_map(|(number, n)| {
        let call = |digits| Step::CallIn {
            digits,
            number,
            panel: 1,
            vouched: true,
        };
        [vec![call(DIALLED.len() - 1); n], vec![call(0)]].concat()
    });
    let guesses = prop_oneof![keys, cards, calls];
    // two things of one person: a card and its PIN where that is wanted by night, a telephone and its PIN
    let both = prop_oneof![
        (
            prop_oneof![Just(0_usize), Just(5)],
            prop_oneof![Just(0_usize), Just(1), Just(5)],
            0..11_000_u64
        )
            .prop_map(|(card, digits, ms)| {
                let reader = 0;
                vec![
                    Step::Card { card, reader },
                    Step::Wait(ms),
                    Step::Type { digits, reader },
                ]
            }),
        any::<bool>().prop_map(|vouched| {
            vec![Step::CallIn {
                digits: 6,
                number: 3,
                panel: 1,
                vouched,
            }]
        }),
    ];
    // what comes between a permission and the disk, and the same person once more
    let between = prop_oneof![
        group().prop_map(|group| Step::Lockdown { group, person: true }),
        (0..TURNS).prop_map(Step::People),
        Just(Step::Contact { door: 0, open: true }),
        Just(Step::Gap),
        Just(Step::Reload(0)),
        Just(Step::Restart),
        (0..800_u64).prop_map(Step::Wait),
    ];
    let kept = (any::<bool>(), 0..CARDS.len() - 1, between).prop_map(|(typed, card, between)| {
        let act = if typed {
            Step::Type { digits: 6, reader: 1 }
        } else {
            Step::Card { card, reader: 3 }
        };
        let ends = Step::EndLockdown {
            group: None,
            person: true,
        };
        let (slow, fast) = (Step::Medium(Some(500)), Step::Medium(Some(5)));
        vec![slow, act.clone(), between, Step::Wait(600), fast, ends, act]
    });
    // the first of the day, and what makes a door wait for one anew
    let first = prop_oneof![
        group().prop_map(|group| {
            let (begins, ends) = (
                Step::Lockdown { group, person: true },
                Step::EndLockdown { group, person: true },
            );
            vec![Step::Card { card: 0, reader: 1 }, begins, ends]
        }),
        Just(vec![
            Step::Reload(2),
            Step::Card { card: 0, reader: 1 },
            Step::Card { card: 1, reader: 1 },
            Step::People(3),
            Step::Reload(0),
            Step::People(3),
        ]),
    ];
    // a fire, and its end
    let burnt = (short(), any::<bool>()).prop_map(|(ms, person)| {
        vec![
            Step::Fire(true),
            Step::Wait(ms),
            Step::Fire(false),
            Step::Wait(1000),
            Step::ResetFire { person },
        ]
    });
    let scenes = prop_oneof![2 => kept, 2 => first, 1 => burnt];
    let orders = prop_oneof![
        3 => (any::<bool>(), prop_oneof![Just(30_u64), Just(600), Just(7200), Just(7201)]).prop_map(|(person, s)| Step::Hold { person, s }),
        2 => Just(Step::EndHold),
        1 => (group(), any::<bool>()).prop_map(|(group, person)| Step::Lockdown { group, person }),
        3 => (group(), any::<bool>()).prop_map(|(group, person)| Step::EndLockdown { group, person }),
        1 => any::<bool>().prop_map(Step::LockInput),
        1 => prop_oneof![Just(None), Just(Some(60_u64)), Just(Some(7200))].prop_map(|s| Step::Quiet { s }),
        2 => Just(Step::EndQuiet),
        3 => (any::<bool>(), prop_oneof![Just(30_u64), Just(600), Just(7200), Just(7201)]).prop_map(|(person, s)| Step::RingToOpen { person, s }),
        1 => Just(Step::EndRingToOpen),
        2 => any::<bool>().prop_map(|person| Step::ResetFire { person }),
        1 => any::<bool>().prop_map(|everybody| Step::ResetPassback { everybody }),
    ];
    let troubles = prop_oneof![
        2 => prop::bool::weighted(0.7).prop_map(Step::Clock),
        2 => prop::bool::weighted(0.7).prop_map(Step::Journal),
        2 => prop_oneof![3 => Just(Some(5_u64)), 1 => Just(Some(500)), 1 => Just(None)].prop_map(Step::Medium),
        1 => Just(Step::Gap),
        3 => Just(Step::Restart),
        3 => prop_oneof![2 => 0..FILES, 1 => Just(0)].prop_map(Step::Reload),
        3 => (0..TURNS).prop_map(Step::People),
    ];
    prop_oneof![
        30 => people.prop_map(one),
        6 => together,
        1 => guesses,
        2 => both,
        2 => scenes,
        4 => orders.prop_map(one),
        4 => troubles.prop_map(one),
        8 => short().prop_map(|ms| one(Step::Wait(ms))),
        2 => (60_000..5_400_000_u64).prop_map(|ms| one(Step::Wait(ms))),
        1 => (5_400_000..43_200_000_u64).prop_map(|ms| one(Step::Wait(ms))),
    ]
}

/// A story: it begins at any hour of a day.
pub(crate) fn story() -> impl Strategy<Value = Vec<Step>> {
    let begin = (0..86_400_000_u64).prop_map(Step::Wait);
    let rest = prop::collection::vec(steps(), 1..50);
    (begin, rest).prop_map(|(begin, rest)| [vec![begin], rest.concat()].concat())
}
