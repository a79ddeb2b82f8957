//! What an append costs its caller, and what it costs until four events of four producers are durable.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway_core::{DoorEvent, DoorId, Envelope, Event, Timestamp};
use gateway_store::{Options, RealIo, Store};

fn event() -> Envelope {
    Envelope {
        at: Timestamp::UNIX_EPOCH,
        event: Event::Door(
            DoorId::new("front").expect("a name"),
            DoorEvent::Unlocked {
                grant: 7,
                pulse_ms: 3000,
            },
        ),
        ring: None,
        simulated: true,
    }
}

fn append(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = Store::open(dir.path(), Options::default(), RealIo).expect("opens");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut group = c.benchmark_group("journal");
    group.throughput(Throughput::Elements(1));
    group.bench_function("append, caller's share", |b| {
        b.iter(|| {
            while store.append(event()).is_err() {
                std::thread::yield_now();
            }
        });
    });
    group.throughput(Throughput::Elements(4));
    group.bench_function("four producers, until durable", |b| {
        b.iter(|| {
            let tickets: Vec<_> = (0..4)
                .map(|_| store.append(event()).expect("the queue is short"))
                .collect();
            for ticket in tickets {
                runtime.block_on(ticket.durable()).expect("open");
            }
        });
    });
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
