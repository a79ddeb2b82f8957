//! Streams through loss, jitter and reorder.

use super::*;
use crate::sdp::OpusFormat;
use std::collections::BTreeMap;

const SECONDS: usize = 20;

/// Samples at 16 kHz.
fn sine(hz: f64, n: usize) -> Vec<i16> {
    (0..n)
        .map(|i| ((i as f64 * 2.0 * std::f64::consts::PI * hz / 16_000.0).sin() * 8_000.0) as i16)
        .collect()
}

/// Packets of 20 ms.
fn payloads(codec: AudioCodec, samples: &[i16]) -> Vec<Vec<u8>> {
    let format = OpusFormat {
        forward_error_correction: true,
        ..OpusFormat::default()
    };
    let mut encoder = codec::encoder(codec, &format).expect("encoder");
    let every = (16_000 / encoder.sample_rate()) as usize;
    samples
        .chunks_exact(320)
        .map(|piece| {
            let piece: Vec<i16> = piece.iter().step_by(every).copied().collect();
            let mut payload = Vec::new();
            encoder.encode(&piece, &mut payload).expect("20 ms");
            payload
        })
        .collect()
}

fn playout(list: &[(u8, AudioCodec)]) -> Playout {
    let mut p = Playout::new(Duration::from_millis(20), Duration::from_millis(200));
    p.set_decoders(Decoders::new(list).expect("decoders"));
    p
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
    run_with(AudioCodec::Pcma, 440.0, arrivals)
}

fn run_with(codec: AudioCodec, hz: f64, arrivals: &BTreeMap<(u64, usize), u16>) -> (Vec<i16>, Playout) {
    let source = payloads(codec, &sine(hz, SECONDS * 16_000));
    let mut p = playout(&[(codec.payload_type(), codec)]);
    let mut heard = Vec::new();
    let mut queue = arrivals.iter().peekable();
    for tick in 0..SECONDS as u64 * 100 {
        let now = Instant::ZERO + Duration::from_millis(tick * 10);
        while let Some(((ms, _), n)) = queue.next_if(|((ms, _), _)| *ms <= tick * 10) {
            let arrival = Instant::ZERO + Duration::from_millis(*ms);
            let content = Content::Audio(codec.payload_type());
            p.insert(arrival, *n, content, &source[usize::from(*n)]);
        }
        let mut frame = [0; FRAME_SAMPLES];
        p.play(now, &mut frame);
        heard.extend(frame);
    }
    (heard, p)
}

/// Part of the energy that lies at this frequency, in the best phase.
fn purity(samples: &[i16], hz: f64) -> f64 {
    let (mut re, mut im, mut energy) = (0.0, 0.0, 0.0);
    for (i, s) in samples.iter().enumerate() {
        let w = i as f64 * 2.0 * std::f64::consts::PI * hz / 16_000.0;
        re += f64::from(*s) * w.cos();
        im += f64::from(*s) * w.sin();
        energy += f64::from(*s).powi(2);
    }
    2.0 * (re * re + im * im) / (samples.len() as f64 * energy)
}

/// Mean purity of pieces of 200 ms.
fn mean_purity(samples: &[i16]) -> f64 {
    mean_purity_at(samples, 440.0)
}

fn mean_purity_at(samples: &[i16], hz: f64) -> f64 {
    let pieces: Vec<f64> = samples
        .chunks_exact(3_200)
        .skip(1)
        .map(|p| purity(p, hz))
        .collect();
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

/// Packets every 20 ms, 5 of 100 lost; and how many.
fn lossy(seed: u32) -> (BTreeMap<(u64, usize), u16>, u64) {
    let mut rng = Lcg(seed);
    let mut lost = 0;
    let arrivals = (0..1_000u16)
        .filter(|_| {
            let keep = rng.below(100) >= 5;
            lost += u64::from(!keep);
            keep
        })
        .map(|n| ((20 * u64::from(n), n.into()), n))
        .collect();
    (arrivals, lost)
}

#[test]
fn five_percent_loss_is_concealed() {
    // Wideband at a frequency that the telephone band does not have.
    for (codec, hz, least) in [
        (AudioCodec::Pcma, 440.0, 0.95),
        (AudioCodec::G722, 440.0, 0.95),
        (AudioCodec::G722, 5_000.0, 0.8),
        (AudioCodec::Opus, 440.0, 0.9),
    ] {
        let (arrivals, lost) = lossy(3);
        let (heard, p) = run_with(codec, hz, &arrivals);
        assert!(
            p.concealed() >= lost && p.concealed() <= 4 * lost,
            "{codec:?}: {} for {lost}",
            p.concealed()
        );
        let purity = mean_purity_at(&heard[3_200..300_000], hz);
        assert!(purity > least, "{codec:?} at {hz} Hz: {purity}");
    }
}

#[test]
fn a_loss_that_was_waited_for_takes_no_more_time_than_the_packet() {
    // What is concealed before the loss is certain is part of the packet: the delay does not grow.
    let arrivals = (0..1_000u16)
        .filter(|n| n % 10 != 9)
        .map(|n| ((20 * u64::from(n), n.into()), n))
        .collect();
    for codec in [AudioCodec::Pcma, AudioCodec::G722] {
        let (heard, _) = run_with(codec, 440.0, &arrivals);
        let silent_from = heard.iter().rposition(|s| s.abs() > 500).expect("sound") / 160;
        // the last packet comes at 19.96 s, is played 20 ms later for 20 ms; its loss and the fade may follow
        assert!((1_998..=2_000).contains(&silent_from), "{codec:?}: {silent_from}");
    }
}

#[test]
fn a_burst_of_losses_takes_no_more_time_than_its_packets() {
    // Three in a row are missing each second, after 5 s in which the delay finds itself.
    let missing = |n: u16| n >= 250 && n % 50 < 3;
    for codec in [AudioCodec::Pcma, AudioCodec::G722, AudioCodec::Opus] {
        let source = payloads(codec, &sine(440.0, SECONDS * 16_000));
        let mut p = playout(&[(codec.payload_type(), codec)]);
        let mut delays = Vec::new();
        for n in 0..1_000u16 {
            let at = Instant::ZERO + Duration::from_millis(20 * u64::from(n));
            if !missing(n) {
                let content = Content::Audio(codec.payload_type());
                p.insert(at, n, content, &source[usize::from(n)]);
            }
            for half in [0, 10] {
                p.play(at + Duration::from_millis(half), &mut [0; FRAME_SAMPLES]);
            }
            if n % 50 == 10 {
                delays.push(p.delay());
            }
        }
        assert!(
            delays.windows(2).all(|two| two[0] == two[1]),
            "{codec:?}: {delays:?}"
        );
        // six frames for each of them, and nothing else
        assert_eq!(p.concealed(), 15 * 6, "{codec:?}");
    }
}

#[test]
fn codecs_of_either_rate_may_change_within_a_stream() {
    let list = [
        (8, AudioCodec::Pcma),
        (9, AudioCodec::G722),
        (107, AudioCodec::Opus),
    ];
    let mut p = playout(&list);
    let sine = sine(440.0, 16_000);
    let streams = list.map(|(_, codec)| payloads(codec, &sine));
    let mut heard = Vec::new();
    for n in 0..300u16 {
        let at = Instant::ZERO + Duration::from_millis(20 * u64::from(n));
        // half a second of each
        let which = usize::from(n) / 25 % 3;
        let payload = &streams[which][usize::from(n) % 50];
        assert_eq!(
            p.insert(at, n, Content::Audio(list[which].0), payload),
            Inserted::Taken
        );
        for half in [0, 10] {
            let mut frame = [0; FRAME_SAMPLES];
            p.play(at + Duration::from_millis(half), &mut frame);
            heard.extend(frame);
        }
        if n == 100 {
            // a re-offer in the middle: the decoders go on
            p.set_decoders(Decoders::new(&list).expect("decoders"));
        }
    }
    assert_eq!(p.concealed(), 0);
    for (second, piece) in heard.chunks_exact(8_000).enumerate().skip(1) {
        let purity = purity(&piece[2_000..7_000], 440.0);
        assert!(purity > 0.95, "{second}: {purity}");
        let peak = piece[2_000..7_000]
            .iter()
            .map(|s| s.unsigned_abs())
            .max()
            .unwrap_or(0);
        assert!((7_000..9_000).contains(&peak), "{second}: {peak}");
    }
}

#[test]
fn payloads_of_no_codec_are_refused() {
    let mut p = playout(&[(107, AudioCodec::Opus)]);
    let insert =
        |p: &mut Playout, kind, payload: &[u8]| p.insert(Instant::ZERO, 1, Content::Audio(kind), payload);
    assert_eq!(insert(&mut p, 107, &[]), Inserted::Malformed);
    assert_eq!(insert(&mut p, 107, &[3]), Inserted::Malformed);
    assert_eq!(insert(&mut p, 9, &[0; 160]), Inserted::Malformed);
    assert_eq!((p.clock(107), p.clock(9)), (Some(48_000), None));
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
fn an_opus_packet_without_speech_begins_a_silence_that_is_no_loss() {
    let mut p = playout(&[(107, AudioCodec::Opus)]);
    let t = |ms| Instant::ZERO + Duration::from_millis(ms);
    let speech = payloads(AudioCodec::Opus, &sine(440.0, 3_200));
    for (n, payload) in (0_u16..).zip(&speech[..5]) {
        p.insert(t(0), n, Content::Audio(107), payload);
    }
    // the head alone: 20 ms of wideband without a frame
    p.insert(t(0), 5, Content::Audio(107), &[9 << 3]);
    let mut frame = [0; FRAME_SAMPLES];
    for tick in 0..40 {
        p.play(t(20 + 10 * tick), &mut frame);
    }
    assert_eq!(p.concealed(), 0);
    assert!(frame.iter().all(|s| s.abs() < 500), "the voice has faded");
}

#[test]
fn comfort_noise_replaces_concealment_and_ends_with_audio() {
    let mut p = playout(&[(8, AudioCodec::Pcma)]);
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

/// Half an hour of a tone from a sender whose clock is off by so many millionths, in packets of 20 ms: the longest and
/// the shortest delay of each minute, the frames that were concealed, and the largest bend of the wave in one sample.
fn half_an_hour(codec: AudioCodec, ppm: i64) -> (Vec<(Duration, Duration)>, u64, i32) {
    const MINUTES: u64 = 30;
    const PACKET_NS: i64 = 20_000_000;
    // 440 Hz begin anew after each second
    let second = payloads(codec, &sine(440.0, 3 * 16_000)).split_off(100);
    let kind = codec.payload_type();
    let mut p = playout(&[(kind, codec)]);
    let (mut delays, mut bend, mut sent) = (Vec::new(), 0, 0_u32);
    let mut last = [0_i32; 2];
    let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
    for tick in 0..MINUTES * 6_000 {
        let now = Instant::from_nanos(1_000_000_000 + tick * 10_000_000);
        loop {
            let at = 1_000_000_000 + i64::from(sent) * (PACKET_NS - PACKET_NS / 1_000_000 * ppm);
            let at = Instant::from_nanos(at.unsigned_abs());
            if at > now {
                break;
            }
            let payload = &second[sent as usize % second.len()];
            p.insert(at, sent as u16, Content::Audio(kind), payload);
            sent += 1;
        }
        let mut frame = [0; FRAME_SAMPLES];
        p.play(now, &mut frame);
        // how long sound waits, where there was some: the first second is the begin
        if let (Some(delay), true) = (p.delay(), tick > 100) {
            (least, most) = (least.min(delay), most.max(delay));
        }
        if tick % 6_000 == 5_999 {
            delays.push((least, most));
            (least, most) = (Duration::MAX, Duration::ZERO);
        }
        for sample in frame.map(i32::from) {
            if tick > 100 {
                bend = bend.max((sample - 2 * last[0] + last[1]).abs());
            }
            last = [sample, last[0]];
        }
    }
    (delays, p.concealed(), bend)
}

#[test]
fn a_senders_clock_that_is_200_millionths_off_for_half_an_hour_neither_piles_up_delay_nor_clicks() {
    // a tone of this level and frequency bends by 240 in a sample; G.711 adds its steps, of up to 256 there
    let (_, _, still) = half_an_hour(AudioCodec::Pcma, 0);
    for ppm in [200, -200] {
        let (delays, concealed, bend) = half_an_hour(AudioCodec::Pcma, ppm);
        let (least, most) = delays[1..]
            .iter()
            .fold((Duration::MAX, Duration::ZERO), |all, minute| {
                (all.0.min(minute.0), all.1.max(minute.1))
            });
        eprintln!(
            "{ppm} ppm: {least:?} to {most:?}, {concealed} frames concealed, bends by {bend} where {still} without drift"
        );
        assert!(most <= Duration::from_millis(60), "{ppm}: {delays:?}");
        // 360 ms in all are missing, or too many: no more is concealed than that, and what the begin costs
        assert!(concealed <= 40, "{ppm}: {concealed}");
        assert!(
            bend < still + still / 2,
            "{ppm}: bends by {bend}, without drift by {still}"
        );
    }
}
