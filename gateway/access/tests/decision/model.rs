//! "Nothing opens by itself": the decision against a small model that was written apart from it.
//!
//! The model is slow and simple: lists instead of indexes, texts instead of frames and digests, a table of
//! failures instead of the lock-out map. Random requests, time, faults of the gateway and restarts run through both.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::site::{FIT, burning, called, calling, card, command, door, keypad, peer, policy, rex};
use gateway_access::{Context, Decision, Policy, Request};
use gateway_core::{Factor, Instant};
use proptest::prelude::*;

/// One request, as the model sees it.
#[derive(Clone, Debug)]
enum Ask {
    Call {
        who: usize,
        trusted: bool,
    },
    Card {
        at: usize,
        reader: usize,
        text: usize,
    },
    Command {
        at: usize,
        user: usize,
        permitted: bool,
    },
    Dial {
        at: usize,
        who: usize,
        listed: bool,
        winner: bool,
        digits: usize,
    },
    DialIn {
        at: usize,
        who: usize,
        trusted: bool,
        digits: usize,
    },
    Fire {
        at: usize,
    },
    Keypad {
        at: usize,
        reader: usize,
        digits: usize,
    },
    Rex {
        at: usize,
        input: usize,
    },
}

#[derive(Clone, Debug)]
enum Step {
    /// A request about something that is so many milliseconds old.
    Ask(Ask, u64),
    Journal(bool),
    Projection(bool),
    Ready(bool),
    Reload,
    Restart,
    Wait(u64),
}

const DOORS: [&str; 3] = ["front", "back", "nowhere"];
const READERS: [&str; 2] = ["front-reader", "back-reader"];
const CARDS: [&str; 3] = ["26:123,04567", "34:hex:0123abcd4", "26:9,9"];
const DIGITS: [&str; 4] = ["9", "1234", "0000", "12"];
const INPUTS: [&str; 4] = ["front-rex", "back-rex", "front-handle", "front-button"];
const WHO: [&str; 3] = [
    "sip:1000@pbx.example",
    "sip:1001@pbx.example",
    "sip:1000@evil.example",
];
const USERS: [&str; 2] = ["ann", "bob"];

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        (0..3_usize, any::<bool>()).prop_map(|(who, trusted)| Ask::Call { who, trusted }),
        (0..3_usize, 0..2_usize, 0..3_usize).prop_map(|(at, reader, text)| Ask::Card { at, reader, text }),
        (0..3_usize, 0..2_usize, prop::bool::weighted(0.3)).prop_map(|(at, user, permitted)| Ask::Command {
            at,
            user,
            permitted
        }),
        (
            0..3_usize,
            0..3_usize,
            prop::bool::weighted(0.8),
            prop::bool::weighted(0.8),
            0..4_usize
        )
            .prop_map(|(at, who, listed, winner, digits)| Ask::Dial {
                at,
                who,
                listed,
                winner,
                digits
            }),
        (0..3_usize, 0..3_usize, any::<bool>(), 0..4_usize).prop_map(|(at, who, trusted, digits)| {
            Ask::DialIn {
                at,
                who,
                trusted,
                digits,
            }
        }),
        (0..3_usize).prop_map(|at| Ask::Fire { at }),
        (0..3_usize, 0..2_usize, 0..4_usize).prop_map(|(at, reader, digits)| Ask::Keypad {
            at,
            reader,
            digits
        }),
        (0..3_usize, 0..4_usize).prop_map(|(at, input)| Ask::Rex { at, input }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ages = prop_oneof![12 => Just(0_u64), 1 => Just(500), 1 => Just(501), 1 => 0..5000_u64];
    // Repeats make lock-outs likely.
    let repeated = (ask(), 1..9_usize).prop_map(|(ask, times)| vec![Step::Ask(ask, 0); times]);
    let single = prop_oneof![
        8 => (ask(), ages).prop_map(|(ask, age)| Step::Ask(ask, age)),
        1 => any::<bool>().prop_map(Step::Journal),
        1 => any::<bool>().prop_map(Step::Projection),
        1 => any::<bool>().prop_map(Step::Ready),
        1 => Just(Step::Reload),
        1 => Just(Step::Restart),
        4 => (0..30_000_u64).prop_map(Step::Wait),
        1 => (0..5_000_000_u64).prop_map(Step::Wait),
    ];
    let groups = prop::collection::vec(
        prop_oneof![3 => single.prop_map(|s| vec![s]), 1 => repeated],
        0..60,
    );
    groups.prop_map(|groups| groups.into_iter().flatten().collect())
}

/// What the model keeps of one source of tries: wrong ones, when the last was, locked until.
type Tries = (u32, u64, u64);

struct Model {
    journal: bool,
    projection: bool,
    ready: bool,
    tries: BTreeMap<String, Tries>,
}

impl Model {
    /// May this open, at `now` milliseconds?
    fn allows(&mut self, now: u64, ask: &Ask, age: u64) -> bool {
        match ask {
            // Egress: the right wire is enough.
            Ask::Fire { at } => return *at < 2,
            Ask::Rex { at, input } => return (*at == 0 && *input == 0) || (*at == 1 && *input == 1),
            Ask::Call { .. }
            | Ask::Card { .. }
            | Ask::Command { .. }
            | Ask::Dial { .. }
            | Ask::DialIn { .. }
            | Ask::Keypad { .. } => {}
        }
        let at = match ask {
            Ask::Call { .. } => 0,
            Ask::Card { at, .. }
            | Ask::Command { at, .. }
            | Ask::Dial { at, .. }
            | Ask::DialIn { at, .. }
            | Ask::Fire { at }
            | Ask::Keypad { at, .. }
            | Ask::Rex { at, .. } => *at,
        };
        let aged = matches!(
            ask,
            Ask::Card { .. } | Ask::Dial { .. } | Ask::DialIn { .. } | Ask::Keypad { .. }
        );
        let commanded = matches!(ask, Ask::Command { .. });
        if at == 2 || !self.ready || !self.projection || (aged && age > 500) {
            return false;
        }
        if !self.journal && (at == 1 || commanded) {
            return false;
        }
        // Who asks, whether it is allowed, and whether a refusal is the source's own fault.
        let (source, good, blame) = match ask {
            Ask::Card { reader, text, .. } => {
                if *reader != at {
                    return false;
                }
                let good = (at == 0 && *text == 0) || *text == 1;
                (format!("R{reader}"), good, *text == 2)
            }
            Ask::Keypad { reader, digits, .. } => {
                if *reader != at {
                    return false;
                }
                (format!("K{reader}"), at == 0 && *digits == 1, true)
            }
            Ask::Dial {
                who,
                listed,
                winner,
                digits,
                ..
            } => {
                if !winner {
                    return false;
                }
                let heard = *listed && at == 0;
                (format!("C{who}"), heard && *digits == 0, heard)
            }
            Ask::DialIn {
                who, trusted, digits, ..
            } => {
                let source = if *trusted {
                    format!("C{who}")
                } else {
                    "?".to_owned()
                };
                (source, *trusted && *who == 0 && at == 0 && *digits == 0, true)
            }
            Ask::Call { who, trusted } => {
                let source = if *trusted {
                    format!("C{who}")
                } else {
                    "?".to_owned()
                };
                (source, *trusted && *who == 0, true)
            }
            Ask::Command { user, permitted, .. } => (format!("U{user}"), *permitted, true),
            Ask::Fire { .. } | Ask::Rex { .. } => return false,
        };
        let shared = !source.starts_with(['C', 'U']);
        let (free, first, longest) = if source.starts_with('R') {
            (10, 5_000, 60_000)
        } else {
            (5, 10_000, 900_000)
        };
        if self.tries.get(&source).is_some_and(|(_, _, until)| *until > now) {
            return false;
        }
        if good {
            let gone = match self.tries.get_mut(&source) {
                Some((wrong, _, _)) => {
                    *wrong -= 1;
                    *wrong == 0 || !shared
                }
                None => false,
            };
            if gone {
                self.tries.remove(&source);
            }
            return true;
        }
        if blame {
            self.tries
                .retain(|_, (_, last, until)| *until > now || now - *last <= 3_600_000);
            let entry = self.tries.entry(source).or_insert((0, now, 0));
            entry.0 += 1;
            entry.1 = now;
            if entry.0 > free {
                let mut lock: u64 = first;
                for _ in 0..(entry.0 - free - 1).min(20) {
                    lock *= 2;
                }
                entry.2 = now + lock.min(longest);
            }
        }
        false
    }

    /// The process ends and begins again; what was left of each lock is left still.
    fn restart(&mut self, now: u64) {
        for tries in self.tries.values_mut() {
            tries.1 = now;
        }
        self.journal = true;
        self.ready = true;
        self.projection = false;
    }
}

fn request(ask: &Ask, now: Instant, age: u64) -> Request {
    let then = now - Duration::from_millis(age);
    match ask {
        Ask::Call { who, trusted } => Request::Caller {
            account: None,
            door: door("front"),
            peer: peer(WHO[*who], *trusted),
            ring: None,
        },
        Ask::Card { at, reader, text } => card(then, DOORS[*at], READERS[*reader], CARDS[*text]),
        Ask::Command { at, user, permitted } => command(DOORS[*at], Factor::Api, USERS[*user], *permitted),
        Ask::Dial {
            at,
            who,
            listed,
            winner,
            digits,
        } => called(then, DOORS[*at], WHO[*who], DIGITS[*digits], *listed, *winner),
        Ask::DialIn {
            at,
            who,
            trusted,
            digits,
        } => calling(then, DOORS[*at], peer(WHO[*who], *trusted), DIGITS[*digits]),
        Ask::Fire { at } => Request::Fire {
            door: door(DOORS[*at]),
        },
        Ask::Keypad { at, reader, digits } => keypad(then, DOORS[*at], READERS[*reader], DIGITS[*digits]),
        Ask::Rex { at, input } => rex(DOORS[*at], INPUTS[*input]),
    }
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(100_000 + ms)
}

fn small(max_sources: usize) -> Policy {
    let mut policy = policy();
    policy.limits.max_sources = max_sources;
    policy
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Not one Grant that the model forbids, not one refusal that it does not know.
    #[test]
    fn the_decision_is_that_of_the_model(steps in steps()) {
        let mut access = burning(policy());
        let mut model = Model { journal: true, projection: true, ready: true, tries: BTreeMap::new() };
        let (mut now, mut last_id) = (0_u64, 0_u64);
        for (n, step) in steps.iter().enumerate() {
            match step {
                Step::Ask(ask, age) => {
                    let context = Context {
                        generation: n as u64,
                        journal_ok: model.journal,
                        projection_at_head: model.projection,
                        ready: model.ready,
                        wall: Some(gateway_core::Timestamp::UNIX_EPOCH),
                    };
                    let decision = access.decide(at(now), &context, request(ask, at(now), *age));
                    let allowed = model.allows(now, ask, *age);
                    match decision {
                        Decision::Granted(grant) => {
                            prop_assert!(allowed, "step {n}: {ask:?} granted: {}", grant.parts().rule);
                            let parts = grant.spend();
                            prop_assert_eq!(parts.generation, n as u64);
                            prop_assert_eq!(parts.deadline, at(now) + Duration::from_secs(2));
                            prop_assert!(parts.id > last_id, "a number was used twice");
                            last_id = parts.id;
                        }
                        Decision::Held(_) => prop_assert!(false, "step {n}: nothing here is counted"),
                        Decision::Denied(denied) => prop_assert!(!allowed, "step {n}: {ask:?} refused: {}", denied.reason),
                    }
                }
                Step::Journal(ok) => model.journal = *ok,
                Step::Projection(ok) => model.projection = *ok,
                Step::Ready(ok) => model.ready = *ok,
                Step::Reload => access.apply(policy()),
                Step::Restart => {
                    let kept = access.export_locks(at(now));
                    access = burning(policy());
                    access.restore_locks(at(now), kept);
                    last_id = 0;
                    model.restart(now);
                }
                Step::Wait(ms) => now += ms,
            }
        }
    }

    /// However many strangers try: a source that was told to be locked gets nothing before its time, and egress
    /// is never refused.
    #[test]
    fn crowding_frees_no_locked_source(steps in steps(), max in 0..4_usize) {
        let mut access = burning(small(max));
        let mut now = 0_u64;
        let mut locked: BTreeMap<String, u64> = BTreeMap::new();
        for step in &steps {
            match step {
                Step::Ask(ask, _) => {
                    let key = match ask {
                        Ask::Keypad { at, reader, .. } if at == reader => Some(format!("keypad:{}", READERS[*reader])),
                        Ask::Command { at, user, .. } if *at < 2 => Some(format!("client:user:{}", USERS[*user])),
                        Ask::Call { .. } | Ask::Card { .. } | Ask::Command { .. } | Ask::Dial { .. } | Ask::DialIn { .. }
                        | Ask::Fire { .. } | Ask::Keypad { .. } | Ask::Rex { .. } => None,
                    };
                    let decision = access.decide(at(now), &FIT, request(ask, at(now), 0));
                    let granted = decision.granted().is_some();
                    if let Some(key) = key {
                        let until = locked.get(&key).copied().unwrap_or(0);
                        prop_assert!(!granted || now >= until, "{key} opened while locked");
                    }
                    let egress = match ask {
                        Ask::Fire { at } => *at < 2,
                        Ask::Rex { at, input } => (*at == 0 && *input == 0) || (*at == 1 && *input == 1),
                        Ask::Call { .. } | Ask::Card { .. } | Ask::Command { .. } | Ask::Dial { .. }
                        | Ask::DialIn { .. } | Ask::Keypad { .. } => false,
                    };
                    prop_assert!(granted || !egress, "egress refused");
                }
                Step::Restart => {
                    let kept = access.export_locks(at(now));
                    prop_assert!(kept.len() <= max + 1);
                    access = burning(small(max));
                    access.restore_locks(at(now), kept);
                }
                Step::Wait(ms) => now += ms,
                Step::Journal(_) | Step::Projection(_) | Step::Ready(_) | Step::Reload => {}
            }
            for lock in access.export_locks(at(now)) {
                let until = now + u64::try_from(lock.left.as_millis()).expect("short");
                locked.insert(lock.source.to_string(), until);
            }
        }
    }
}
