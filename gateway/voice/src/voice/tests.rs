use proptest::prelude::*;

use super::*;

const ALL: Params = Params {
    echo: Echo::Speaker,
    echo_tail_ms: None,
    noise: NoiseReduction::High,
    gain: true,
    hum: true,
    half_duplex: true,
};

#[test]
fn rates_that_are_none_are_named() {
    let error = Voice::new(ALL, 11_025).expect_err("no rate of voices");
    assert_eq!(
        error.to_string(),
        "11025 Hz is not a rate of voices: allowed are 8000, 16000, 24000, 32000 and 48000"
    );
}

/// Signals that break what is built carelessly: sample `n` of kind `kind`.
fn nasty(kind: u8, n: usize) -> i16 {
    match kind % 8 {
        0 => 0,
        1 => i16::MIN,
        2 => i16::MAX,
        3 if (n / 20).is_multiple_of(2) => i16::MAX,
        3 => i16::MIN,
        4 if n.is_multiple_of(2) => i16::MAX,
        4 => i16::MIN,
        5 if n.is_multiple_of(1_600) => i16::MAX,
        5 => 0,
        6 => (n.wrapping_mul(0x9e37_79b9) >> 8) as i16,
        _ => ((n as f32 * 0.01).sin() * 30_000.0) as i16,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn whatever_comes_nothing_blows_up(
        rate in prop::sample::select(vec![8_000_u32, 16_000, 48_000]),
        pieces in prop::collection::vec((any::<u8>(), any::<u8>(), any::<bool>()), 1..6),
        half_duplex in any::<bool>(),
    ) {
        let mut voice = Voice::new(Params { half_duplex, ..ALL }, rate).expect("a rate of voices");
        let len = rate as usize / 100;
        let mut at = 0;
        for (far, near, hush) in pieces {
            if hush {
                voice.hush(5);
            }
            for _ in 0..30 {
                let mut f: Vec<i16> = (0..len).map(|n| nasty(far, at + n)).collect();
                let mut m: Vec<i16> = (0..len).map(|n| nasty(near, at + n)).collect();
                voice.play(&mut f);
                voice.hear(&mut m);
                prop_assert!(voice.frame.iter().all(|s| s.is_finite() && s.abs() <= 0.91));
                at += len;
            }
        }
        // and it comes to rest
        let mut loudest = 0;
        for n in 0..200 {
            let mut m = vec![0; len];
            voice.play(&mut vec![0; len]);
            voice.hear(&mut m);
            if n >= 150 {
                loudest = m.iter().fold(loudest, |a: u16, s| a.max(s.unsigned_abs()));
            }
        }
        prop_assert!(loudest <= 200, "silence became {loudest}");
    }
}

#[test]
fn the_click_of_a_relay_is_not_heard_when_it_was_told() {
    let mut voice = Voice::new(
        Params {
            hum: true,
            ..Params::default()
        },
        16_000,
    )
    .expect("a rate of voices");
    let mut after = Vec::new();
    for block in 0..30 {
        if block == 10 {
            voice.hush(5);
        }
        let mut frame: Vec<i16> = (0..160)
            .map(|n| ((block * 160 + n) as f32 * 0.1).sin() * 3_000.0)
            .map(|s| s as i16)
            .collect();
        if block == 12 {
            frame[80] = i16::MAX;
            frame[81] = i16::MIN;
        }
        voice.hear(&mut frame);
        after.extend(frame);
    }
    let steepest = after[320..]
        .windows(2)
        .map(|w| (w[1] - w[0]).unsigned_abs())
        .max();
    assert!(steepest <= Some(400), "a step of {steepest:?}");
    assert!(after[1_800..2_300].iter().all(|s| *s == 0));
    assert!(after[3_200..].iter().any(|s| *s > 2_500));
}
