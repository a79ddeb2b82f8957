//! The access decision with 100 000 cards in the policy: `cargo bench -p gateway-access`.

use criterion::{BatchSize, Criterion};
use gateway_access::{
    Access, Card, Context, Decision, DoorPolicy, Policy, Request, RexKind, When, card_frame,
};
use gateway_core::{CardFrame, DoorId, InputId, Instant, OutputId, ReaderId};

const CARDS: u32 = 100_000;
const T0: Instant = Instant::from_nanos(3_000_000_000_000);

const CONTEXT: Context = Context {
    generation: 7,
    journal_ok: true,
    projection_at_head: true,
    ready: true,
    wall: None,
};

fn main() {
    let door = DoorId::new("front").expect("a name");
    let reader = ReaderId::new("front-reader").expect("a name");
    let rex = InputId::new("front-rex").expect("a name");
    let mut access = Access::new(policy(&door, &reader, &rex));
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("decide-100000-cards");
    let mut n = 0;
    group.bench_function("card-granted", |b| {
        b.iter_batched(
            || {
                n = (n + 7919) % CARDS;
                Request::Card {
                    at: T0,
                    door: door.clone(),
                    frame: frame(n),
                    pin: None,
                    reader: reader.clone(),
                }
            },
            |request| granted(access.decide(T0, &CONTEXT, request)),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("rex-granted", |b| {
        b.iter_batched(
            || Request::Rex {
                door: door.clone(),
                input: rex.clone(),
            },
            |request| granted(access.decide(T0, &CONTEXT, request)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
    criterion.final_summary();
}

/// A refusal is another path: it must not be measured for this one.
fn granted(decision: Decision) -> Decision {
    assert!(matches!(decision, Decision::Granted(_)), "{}", decision.explain());
    decision
}

fn frame(n: u32) -> CardFrame {
    card_frame(&format!("26:{},{:05}", n >> 16, n & 0xffff)).expect("a card")
}

fn policy(door: &DoorId, reader: &ReaderId, rex: &InputId) -> Policy {
    let mut front = DoorPolicy::new(OutputId::new("front-strike").expect("a name"));
    front.readers = [reader.clone()].into();
    front.rex = [(rex.clone(), RexKind::Unlock)].into();
    let card = |n| Card {
        doors: [door.clone()].into_iter().collect(),
        frame: frame(n),
        id: format!("c{n}").parse().expect("a name"),
        open_for: None,
        person: None,
        pin: None,
        when: When::Always,
    };
    Policy {
        cards: (0..CARDS).map(card).collect(),
        doors: [(door.clone(), front)].into(),
        index_key: [42; 32],
        ..Policy::default()
    }
}
