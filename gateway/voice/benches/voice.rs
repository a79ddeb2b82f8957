//! What one door costs: 10 ms of both directions at 16 kHz. A tenth of a millisecond is one per cent of a core.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gateway_voice::{Echo, NoiseReduction, Params, Voice};

fn voices(c: &mut Criterion) {
    let all = |echo| Params {
        echo,
        noise: NoiseReduction::Low,
        gain: true,
        hum: true,
        ..Params::default()
    };
    for (name, params) in [
        ("off", Params::default()),
        ("hybrid", all(Echo::Hybrid)),
        ("speaker", all(Echo::Speaker)),
    ] {
        let mut voice = Voice::new(params, 16_000).expect("a rate of voices");
        let mut seed = 1_u32;
        let mut before = [0_i16; 160];
        c.bench_function(name, |b| {
            b.iter(|| {
                let mut far = before.map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 18) as i16 - 8_192
                });
                let mut near = before.map(|s| s / 2);
                voice.hear(&mut near);
                voice.play(&mut far);
                before = far;
                black_box(near)
            });
        });
    }
}

criterion_group!(benches, voices);
criterion_main!(benches);
