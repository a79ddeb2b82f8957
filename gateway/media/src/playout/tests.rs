//! Streams through loss, jitter and reorder.

use super::*;
use adapter_api::FRAME_SAMPLES;
use std::collections::BTreeMap;

const SECONDS: usize = 20;

fn sine(n: usize) -> Vec<i16> {
    (0..n)
        .map(|i| ((i as f64 * 2.0 * std::f64::consts::PI * 440.0 / 8_000.0).sin() * 8_000.0) as i16)
        .collect()
}

struct Lcg(u32);

impl Lcg {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % n
    }
}

/// Plays packets that arrive at these milliseconds; gives the samples and the player.
fn run(arrivals: &BTreeMap<(u64, usize), u16>) -> (Vec<i16>, Playout) {
    let source = sine(SECONDS * 8_000);
    let mut p = Playout::new(Duration::from_millis(20), Duration::from_millis(200));
    p.set_codecs(&[(8, AudioCodec::Pcma)]);
    let mut heard = Vec::new();
    let mut queue = arrivals.iter().peekable();
    for tick in 0..SECONDS as u64 * 100 {
        let now = Instant::ZERO + Duration::from_millis(tick * 10);
        while let Some(((ms, _), n)) = queue.next_if(|((ms, _), _)| *ms <= tick * 10) {
            let chunk = &source[usize::from(*n) * 160..][..160];
            let mut payload = Vec::new();
            G711::A.encode(chunk, &mut payload);
            p.insert(
                Instant::ZERO + Duration::from_millis(*ms),
                *n,
                Content::Audio(8),
                &payload,
            );
        }
        let mut frame = [0; FRAME_SAMPLES];
        p.play(now, &mut frame);
        heard.extend(frame);
    }
    (heard, p)
}

/// Part of the energy that lies at 440 Hz, in the best phase.
fn purity(samples: &[i16]) -> f64 {
    let (mut re, mut im, mut energy) = (0.0, 0.0, 0.0);
    for (i, s) in samples.iter().enumerate() {
        let w = i as f64 * 2.0 * std::f64::consts::PI * 440.0 / 16_000.0;
        re += f64::from(*s) * w.cos();
        im += f64::from(*s) * w.sin();
        energy += f64::from(*s).powi(2);
    }
    2.0 * (re * re + im * im) / (samples.len() as f64 * energy)
}

/// Mean purity of pieces of 200 ms.
fn mean_purity(samples: &[i16]) -> f64 {
    let pieces: Vec<f64> = samples.chunks_exact(3_200).skip(1).map(purity).collect();
    pieces.iter().sum::<f64>() / pieces.len() as f64
}

#[test]
fn a_quiet_network_plays_everything_with_20_ms_delay() {
    let arrivals = (0..1_000u16)
        .map(|n| ((20 * u64::from(n), n.into()), n))
        .collect();
    let (heard, p) = run(&arrivals);
    // First packet at 0 ms, played from the tick at 20 ms, plus 1.5 ms in the filter.
    let first = heard.iter().position(|s| s.abs() > 500).expect("sound");
    assert!((320..350).contains(&first), "{first}");
    assert_eq!(p.concealed(), 0);
    assert!(mean_purity(&heard[3_200..300_000]) > 0.99);
}

#[test]
fn jitter_of_60_ms_and_reorder_settle_without_lasting_gaps() {
    let mut rng = Lcg(7);
    let arrivals = (0..1_000u16)
        .map(|n| ((20 * u64::from(n) + u64::from(rng.below(60)), n.into()), n))
        .collect();
    let (heard, p) = run(&arrivals);
    assert!(p.concealed() < 60, "{} of 2000 frames concealed", p.concealed());
    assert!(
        mean_purity(&heard[16_000..300_000]) > 0.93,
        "{}",
        mean_purity(&heard[16_000..300_000])
    );
}

#[test]
fn five_percent_loss_is_concealed() {
    let mut rng = Lcg(3);
    let mut lost = 0;
    let arrivals: BTreeMap<_, _> = (0..1_000u16)
        .filter(|_| {
            let keep = rng.below(100) >= 5;
            lost += u64::from(!keep);
            keep
        })
        .map(|n| ((20 * u64::from(n), n.into()), n))
        .collect();
    let (heard, p) = run(&arrivals);
    assert!(
        p.concealed() >= lost && p.concealed() <= 4 * lost,
        "{} for {lost}",
        p.concealed()
    );
    assert!(
        mean_purity(&heard[3_200..300_000]) > 0.9,
        "{}",
        mean_purity(&heard[3_200..300_000])
    );
}

#[test]
fn a_fast_sender_does_not_grow_the_delay_without_bound() {
    // 2 % fast: without cutting, 400 ms would pile up in 20 s.
    let arrivals = (0..990u16)
        .map(|n| ((u64::from(n) * 1_960 / 100, n.into()), n))
        .collect();
    let (heard, _) = run(&arrivals);
    let silent_from = heard.iter().rposition(|s| s.abs() > 500).expect("sound") / 160;
    let last_arrival = 989 * 1_960 / 100 / 10;
    assert!(
        silent_from < last_arrival + 30,
        "{silent_from} after {last_arrival}"
    );
}

#[test]
fn comfort_noise_replaces_concealment_and_ends_with_audio() {
    let mut p = Playout::new(Duration::from_millis(20), Duration::from_millis(200));
    p.set_codecs(&[(8, AudioCodec::Pcma)]);
    let t = |ms| Instant::ZERO + Duration::from_millis(ms);
    p.insert(t(0), 1, Content::Audio(8), &[0xd5; 160]);
    p.insert(t(0), 2, Content::Comfort, &[45]);
    let mut frame = [0; FRAME_SAMPLES];
    let mut loudest = 0;
    for tick in 0..30 {
        p.play(t(20 + 10 * tick), &mut frame);
        loudest = frame.iter().map(|s| s.abs()).max().unwrap_or(0).max(loudest);
    }
    assert_eq!(p.concealed(), 0);
    assert!((100..1_000).contains(&loudest), "{loudest}");
}
