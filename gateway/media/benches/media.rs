//! Cost of the media path. `cargo bench -p gateway-media`.
//!
//! `engine` measures the process's CPU time per tick of 10 ms with whole calls over the loopback interface:
//! sockets, SRTP, jitter buffer, codecs, mixer. Both ends run in the process, so one call has two legs.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use adapter_api::{AudioPort, FRAME_SAMPLES, Frame};
use criterion::{Criterion, criterion_group, criterion_main};
use gateway_core::{LegId, LineId};
use gateway_media::codec::g711::G711;
use gateway_media::codec::{Decoder, Encoder, decoder, encoder};
use gateway_media::dtmf_tone::{EchoGuard, ToneMute};
use gateway_media::sdp::MasterKey;
use gateway_media::srtp::{Protect, Unprotect};
use gateway_media::{
    AudioCodec, Capabilities, Direction, Engine, EngineParams, LocalMedia, OfferAnswer, OpusFormat,
    SrtpPolicy, SrtpSuite,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::time::{ClockId, clock_gettime};

fn g711(c: &mut Criterion) {
    let samples: Vec<i16> = (0..160).map(|n| (n * 401 % 20_000) as i16 - 10_000).collect();
    let mut bytes = Vec::with_capacity(160);
    c.bench_function("g711 encode 20 ms", |b| {
        b.iter(|| {
            bytes.clear();
            G711::A.encode(black_box(&samples), &mut bytes)
        });
    });
    let mut out = [0; 160];
    c.bench_function("g711 decode 20 ms", |b| {
        b.iter(|| G711::A.decode(black_box(&bytes), &mut out));
    });
    let mut mute = ToneMute::default();
    let mut guard = EchoGuard::default();
    let mut frame: Frame = [0; FRAME_SAMPLES];
    frame.copy_from_slice(&samples);
    c.bench_function("tone mute 10 ms", |b| {
        b.iter(|| {
            mute.process(
                gateway_core::Instant::ZERO,
                black_box(&mut frame.clone()),
                &mut guard,
            )
        });
    });
}

fn wideband(c: &mut Criterion) {
    let samples: Vec<i16> = (0..16_000)
        .map(|n| {
            let t = f64::from(n) / 16_000.0;
            let voice: f64 = (1..30)
                .map(|h| (880.0 * f64::from(h) * t).sin() / f64::from(h))
                .sum();
            (voice * 6_000.0 * (0.5 + 0.5 * (20.0 * t).sin())) as i16
        })
        .collect();
    let format = OpusFormat {
        forward_error_correction: true,
        ..OpusFormat::default()
    };
    for codec in [AudioCodec::G722, AudioCodec::Opus] {
        let mut payload = Vec::with_capacity(1_024);
        let mut pieces = samples.chunks_exact(320).cycle();
        let mut encode = encoder(codec, &format).expect("encoder");
        c.bench_function(&format!("{} encode 20 ms", codec.name()), |b| {
            b.iter(|| {
                payload.clear();
                encode.encode(pieces.next().unwrap_or_default(), &mut payload)
            });
        });
        let packets: Vec<Vec<u8>> = samples
            .chunks_exact(320)
            .map(|piece| {
                let mut packet = Vec::new();
                encode.encode(piece, &mut packet).expect("20 ms");
                packet
            })
            .collect();
        let mut packets = packets.iter().cycle();
        let mut decode = decoder(codec).expect("decoder");
        let mut out = [0; 320];
        c.bench_function(&format!("{} decode 20 ms", codec.name()), |b| {
            b.iter(|| decode.decode(packets.next().map_or(&[], Vec::as_slice), &mut out));
        });
    }
}

fn srtp(c: &mut Criterion) {
    for suite in SrtpSuite::ALL {
        let key = MasterKey::random(suite, &mut StdRng::seed_from_u64(1));
        let mut protect = Protect::new(suite, &key).expect("context");
        let mut unprotect = Unprotect::new(suite, &key).expect("context");
        let mut packet = vec![0u8; 172];
        packet[0] = 0x80;
        let mut sequence = 0u16;
        c.bench_function(&format!("srtp protect and unprotect {}", suite.name()), |b| {
            b.iter(|| {
                packet[2..4].copy_from_slice(&sequence.to_be_bytes());
                sequence = sequence.wrapping_add(1);
                let secret = protect.rtp(&packet).expect("protected");
                unprotect.rtp(&secret).expect("opened")
            });
        });
    }
}

fn now(clock: ClockId) -> Duration {
    let t = clock_gettime(clock);
    Duration::new(
        u64::try_from(t.tv_sec).unwrap_or(0),
        u32::try_from(t.tv_nsec).unwrap_or(0),
    )
}

/// Speaks a burst every 500 ms and tells when; tells when it hears one.
struct Burst {
    frame: u32,
    quiet: u32,
    spoken: Sender<Duration>,
    heard: Sender<Duration>,
}

impl AudioPort for Burst {
    fn capture(&mut self, frame: &mut Frame) {
        self.frame += 1;
        frame.fill(0);
        if self.frame.is_multiple_of(50) {
            for (n, s) in frame.iter_mut().enumerate() {
                *s = if n / 8 % 2 == 0 { 9_000 } else { -9_000 };
            }
            // The first sample of this frame was spoken 10 ms before it is handed over.
            let _ = self
                .spoken
                .send(now(ClockId::Monotonic).saturating_sub(Duration::from_millis(10)));
        }
    }

    fn playback(&mut self, frame: &Frame) {
        let loud = frame.iter().position(|s| s.unsigned_abs() > 3_000);
        match loud {
            Some(first) if self.quiet > 10 => {
                let into = Duration::from_micros(first as u64 * 1_000_000 / 16_000);
                let _ = self.heard.send(now(ClockId::Monotonic) + into);
                self.quiet = 0;
            }
            Some(_) => self.quiet = 0,
            None => self.quiet += 1,
        }
    }
}

struct Calls {
    engine: Engine,
    spoken: std::sync::mpsc::Receiver<Duration>,
    heard: std::sync::mpsc::Receiver<Duration>,
}

/// Calls between pairs of lines of one engine.
fn calls(count: u64, srtp: SrtpPolicy) -> Calls {
    let params = EngineParams {
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        ports: 29_000..=29_199,
        ..EngineParams::default()
    };
    let engine = Engine::start(params, |_| Ok(())).expect("engine");
    let (spoken_in, spoken) = channel();
    let (heard_in, heard) = channel();
    let (deaf, _) = channel();
    let mut rng = StdRng::seed_from_u64(1);
    for n in 0..count {
        let sides: Vec<_> = (0..2)
            .map(|side| {
                let line = LineId::new(&format!("l{n}-{side}")).expect("name");
                let first = n == 0 && side == 0;
                let port = Burst {
                    frame: 0,
                    quiet: 0,
                    spoken: if first { spoken_in.clone() } else { deaf.clone() },
                    heard: if n == 0 && side == 1 {
                        heard_in.clone()
                    } else {
                        deaf.clone()
                    },
                };
                engine.add_line(line.clone(), Box::new(port)).expect("line");
                let ports = engine.reserve_ports().expect("ports");
                let local = LocalMedia {
                    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                    host: None,
                    seen: None,
                    rtp_port: ports.rtp_port(),
                    rtcp_port: ports.rtcp_port(),
                };
                (line, ports, local)
            })
            .collect();
        let capabilities = Capabilities {
            codecs: vec![AudioCodec::Pcma],
            srtp,
            ..Capabilities::default()
        };
        let mut a = OfferAnswer::new(capabilities.clone(), sides[0].2, &mut rng);
        let mut b = OfferAnswer::new(capabilities, sides[1].2, &mut rng);
        let offer = a.offer(Direction::SendRecv, &mut rng);
        let (answer, at_b) = b
            .handle_offer(&offer, Direction::SendRecv, &mut rng)
            .expect("answer");
        let at_a = a.handle_answer(&answer).expect("agreed");
        for ((side, (line, ports, _)), agreed) in sides.into_iter().enumerate().zip([at_a, at_b]) {
            let leg = LegId(2 * n + side as u64);
            engine.open_leg(leg, ports).expect("open");
            engine.update_leg(leg, &agreed).expect("update");
            engine.connect_leg(leg, &line).expect("connect");
            // The queue of commands is bounded; this gives the engine a tick.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Calls {
        engine,
        spoken,
        heard,
    }
}

fn engine(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine, CPU per 10 ms");
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(10));
    for (count, srtp) in [
        (1, SrtpPolicy::Off),
        (1, SrtpPolicy::Required),
        (20, SrtpPolicy::Required),
    ] {
        let running = calls(count, srtp);
        group.bench_function(format!("{count} calls, both ends, srtp {srtp:?}"), |b| {
            b.iter_custom(|ticks| {
                let before = now(ClockId::ProcessCPUTime);
                std::thread::sleep(Duration::from_millis(10) * u32::try_from(ticks).unwrap_or(u32::MAX));
                now(ClockId::ProcessCPUTime).saturating_sub(before)
            });
        });
        drop(running.engine);
    }
    group.finish();
    let mut group = c.benchmark_group("mouth to ear");
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(10));
    let running = calls(1, SrtpPolicy::Required);
    group.bench_function("virtual line to virtual line", |b| {
        b.iter_custom(|bursts| {
            while running.spoken.try_recv().is_ok() || running.heard.try_recv().is_ok() {}
            let mut sum = Duration::ZERO;
            for _ in 0..bursts {
                let spoken = running
                    .spoken
                    .recv_timeout(Duration::from_secs(5))
                    .expect("spoken");
                loop {
                    let heard = running.heard.recv_timeout(Duration::from_secs(5)).expect("heard");
                    if heard > spoken {
                        sum += heard - spoken;
                        break;
                    }
                }
            }
            sum
        });
    });
    group.finish();
}

criterion_group!(benches, g711, wideband, srtp, engine);
criterion_main!(benches);
