//! Two engines over the loopback interface: audio both ways, digits, encryption, strangers, time-outs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use adapter_api::{AudioPort, FRAME_SAMPLES, Frame, SAMPLE_RATE};
use gateway_core::{LegId, LineId, Tone, Volume};
use gateway_media::{
    Agreed, AudioCodec, Capabilities, Direction, Engine, EngineError, EngineParams, LegStats, LocalMedia,
    MediaEvent, OfferAnswer, PortPair, SrtpPolicy,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

const DEADLINE: Duration = Duration::from_secs(20);
const LEG: LegId = LegId(1);

/// A line that speaks sines and passes on what it hears.
struct Line {
    hz: Vec<f64>,
    position: usize,
    heard: Sender<Frame>,
}

impl AudioPort for Line {
    fn capture(&mut self, frame: &mut Frame) {
        for s in frame.iter_mut() {
            let t = self.position as f64 / f64::from(SAMPLE_RATE);
            let sum: f64 = self
                .hz
                .iter()
                .map(|hz| (2.0 * std::f64::consts::PI * hz * t).sin())
                .sum();
            *s = (sum * 6_000.0) as i16;
            self.position += 1;
        }
    }

    fn playback(&mut self, frame: &Frame) {
        let _ = self.heard.send(*frame);
    }
}

struct Side {
    engine: Engine,
    events: Receiver<MediaEvent>,
    heard: Receiver<Frame>,
    line: LineId,
    ports: Option<PortPair>,
    local: LocalMedia,
}

impl Side {
    fn new(first_port: u16, hz: &[f64], media_timeout: Duration) -> Self {
        let (events_in, events) = channel();
        let params = EngineParams {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: first_port..=first_port + 19,
            media_timeout,
            ..EngineParams::default()
        };
        let engine = Engine::start(params, move |e| {
            // The receiver may be gone at the end of a test.
            let _ = events_in.send(e);
            Ok(())
        })
        .expect("engine");
        let line = LineId::new("riser").expect("name");
        let (heard_in, heard) = channel();
        let port = Line {
            hz: hz.to_vec(),
            position: 0,
            heard: heard_in,
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
        Self {
            engine,
            events,
            heard,
            line,
            ports: Some(ports),
            local,
        }
    }

    fn open(&mut self, agreed: &Agreed) {
        let ports = self.ports.take().expect("ports");
        self.engine.open_leg(LEG, ports).expect("open");
        self.engine.update_leg(LEG, agreed).expect("update");
        self.engine.connect_leg(LEG, &self.line).expect("connect");
    }

    /// The next event that `pick` wants.
    fn wait<T>(&self, what: &str, mut pick: impl FnMut(&MediaEvent) -> Option<T>) -> T {
        let mut seen = Vec::new();
        while let Ok(event) = self.events.recv_timeout(DEADLINE) {
            if let Some(found) = pick(&event) {
                return found;
            }
            seen.push(event);
        }
        panic!("no {what} in time; seen: {seen:?}");
    }

    fn digit(&self) -> (char, bool) {
        self.wait("digit", |e| {
            if let MediaEvent::Digit { digit, echo, .. } = e {
                Some((*digit, *echo))
            } else {
                None
            }
        })
    }

    fn close(&self) -> LegStats {
        self.engine.close_leg(LEG).expect("close");
        self.wait("end", |e| {
            if let MediaEvent::Closed { stats, .. } = e {
                Some(*stats)
            } else {
                None
            }
        })
    }

    /// Samples of the next `n` frames the line hears.
    fn hear(&self, n: usize) -> Vec<i16> {
        let mut all = Vec::with_capacity(n * FRAME_SAMPLES);
        for _ in 0..n {
            all.extend(self.heard.recv_timeout(DEADLINE).expect("audio in time"));
        }
        all
    }
}

fn agree(a: LocalMedia, b: LocalMedia, srtp: SrtpPolicy) -> (Agreed, Agreed) {
    agree_on(AudioCodec::Pcma, a, b, srtp)
}

fn agree_on(codec: AudioCodec, a: LocalMedia, b: LocalMedia, srtp: SrtpPolicy) -> (Agreed, Agreed) {
    let capabilities = Capabilities {
        codecs: vec![codec],
        srtp,
        ..Capabilities::default()
    };
    let mut rng = StdRng::seed_from_u64(u64::from(a.rtp_port));
    let mut caller = OfferAnswer::new(capabilities.clone(), a, &mut rng);
    let mut called = OfferAnswer::new(capabilities, b, &mut rng);
    let offer = caller.offer(Direction::SendRecv, &mut rng);
    let (answer, at_b) = called
        .handle_offer(&offer, Direction::SendRecv, &mut rng)
        .expect("answer");
    (caller.handle_answer(&answer).expect("agreed"), at_b)
}

/// Correlation with a sine of this frequency in its best phase: 1.0 for the pure tone.
fn correlation(samples: &[i16], hz: f64) -> f64 {
    let (mut re, mut im, mut energy) = (0.0, 0.0, 1.0);
    for (i, s) in samples.iter().enumerate() {
        let w = i as f64 * 2.0 * std::f64::consts::PI * hz / f64::from(SAMPLE_RATE);
        re += f64::from(*s) * w.cos();
        im += f64::from(*s) * w.sin();
        energy += f64::from(*s).powi(2);
    }
    (2.0 * (re * re + im * im) / (samples.len() as f64 * energy)).sqrt()
}

/// The best piece of 200 ms: a machine under load may drop some.
fn best(samples: &[i16], hz: f64) -> f64 {
    samples
        .chunks_exact(3_200)
        .map(|c| correlation(c, hz))
        .fold(0.0, f64::max)
}

/// Both sides of a call with one codec: `a` and `b` are the frequencies that they speak.
fn talk(first_port: u16, codec: AudioCodec, srtp: SrtpPolicy, (hz_a, hz_b): (f64, f64)) {
    let mut a = Side::new(first_port, &[hz_a], Duration::ZERO);
    let mut b = Side::new(first_port + 20, &[hz_b], Duration::ZERO);
    let (at_a, at_b) = agree_on(codec, a.local, b.local, srtp);
    assert_eq!((at_a.send.1, at_b.send.1), (codec, codec));
    assert_eq!(at_a.srtp.is_some(), srtp != SrtpPolicy::Off);
    a.open(&at_a);
    b.open(&at_b);
    let (heard_b, heard_a) = (b.hear(150), a.hear(150));
    for (heard, hz, other) in [(&heard_b, hz_a, hz_b), (&heard_a, hz_b, hz_a)] {
        let found = best(heard, hz);
        assert!(found > 0.98, "correlation with {hz} Hz is {found}");
        assert!(best(&heard[8_000..], other) < 0.2, "own voice comes back");
        let half = &heard[heard.len() / 2..];
        let level = half.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / half.len() as f64;
        // 6000 at the peak of a sine
        assert!(
            (3_000.0..5_000.0).contains(&level.sqrt()),
            "level {}",
            level.sqrt()
        );
    }
    // A re-offer in the middle keeps the stream: the same keys again.
    b.engine.update_leg(LEG, &at_b).expect("update");
    a.engine
        .send_digit(LEG, '9', Duration::from_millis(100))
        .expect("digit");
    a.engine
        .send_digit(LEG, '#', Duration::from_millis(100))
        .expect("digit");
    assert_eq!([b.digit(), b.digit()], [('9', false), ('#', false)]);
    let (stats_b, stats_a) = (b.close(), a.close());
    for stats in [stats_a, stats_b] {
        assert!(stats.received > 50 && stats.sent > 50, "{stats:?}");
        assert_eq!((stats.duplicate, stats.stale_digits), (0, 0), "{stats:?}");
    }
    assert!(matches!(
        a.engine.send_digit(LEG, 'x', Duration::from_millis(100)),
        Err(EngineError::Digit { digit: 'x' })
    ));
}

#[test]
fn speech_and_digits_cross_in_the_clear() {
    talk(28_500, AudioCodec::Pcma, SrtpPolicy::Off, (440.0, 600.0));
}

#[test]
fn speech_and_digits_cross_encrypted() {
    talk(28_540, AudioCodec::Pcma, SrtpPolicy::Required, (440.0, 600.0));
}

/// Tones above the telephone band: they come only through wideband.
#[test]
fn g722_carries_wideband_and_digits() {
    talk(28_840, AudioCodec::G722, SrtpPolicy::Required, (5_200.0, 6_100.0));
}

#[test]
fn opus_carries_wideband_and_digits() {
    talk(28_980, AudioCodec::Opus, SrtpPolicy::Required, (5_200.0, 6_100.0));
}

/// A re-offer changes the codec in the middle of a call: first the telephone band, then wideband, then back.
#[test]
fn a_re_offer_changes_the_codec_of_a_running_call() {
    let mut a = Side::new(29_020, &[5_200.0], Duration::ZERO);
    let mut b = Side::new(29_040, &[5_200.0], Duration::ZERO);
    let (first_a, first_b) = agree_on(AudioCodec::Pcma, a.local, b.local, SrtpPolicy::Off);
    a.open(&first_a);
    b.open(&first_b);
    for codec in [
        AudioCodec::Pcma,
        AudioCodec::G722,
        AudioCodec::Opus,
        AudioCodec::Pcma,
    ] {
        let (at_a, at_b) = agree_on(codec, a.local, b.local, SrtpPolicy::Off);
        b.engine.update_leg(LEG, &at_b).expect("update");
        a.engine.update_leg(LEG, &at_a).expect("update");
        let wide = codec != AudioCodec::Pcma;
        for side in [&a, &b] {
            // what was on its way by the codec before is played first
            side.heard.try_iter().for_each(drop);
            side.hear(40);
            let heard = side.hear(60);
            let level = heard.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / heard.len() as f64;
            assert_eq!(level.sqrt() > 1_000.0, wide, "{codec:?}: {}", level.sqrt());
        }
        a.engine
            .send_digit(LEG, '5', Duration::from_millis(60))
            .expect("digit");
        assert_eq!(b.digit(), ('5', false), "{codec:?}");
    }
}

#[test]
fn a_digit_is_told_once_though_every_packet_comes_twice() {
    let mut a = Side::new(28_580, &[440.0], Duration::ZERO);
    let mut b = Side::new(28_600, &[600.0], Duration::ZERO);
    let (mut at_a, mut at_b) = agree(a.local, b.local, SrtpPolicy::Off);
    // Both send to the doubler, which sends everything of A twice to B.
    let doubler = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("socket");
    let to: SocketAddr = at_a.remote_rtp;
    at_a.remote_rtp = doubler.local_addr().expect("address");
    at_b.remote_rtp = at_a.remote_rtp;
    doubler
        .set_read_timeout(Some(Duration::from_secs(2)))
        .expect("time-out");
    let relay = std::thread::spawn(move || {
        let mut buffer = [0; 2_048];
        while let Ok((n, from)) = doubler.recv_from(&mut buffer) {
            for _ in 0..if from == to { 0 } else { 2 } {
                let _ = doubler.send_to(&buffer[..n], to);
            }
        }
    });
    b.open(&at_b);
    a.open(&at_a);
    assert!(best(&b.hear(100), 440.0) > 0.98);
    for digit in ['4', '4', '2'] {
        a.engine
            .send_digit(LEG, digit, Duration::from_millis(60))
            .expect("digit");
    }
    let digits: String = (0..3).map(|_| b.digit().0).collect();
    assert_eq!(digits, "442");
    // Speech after the digits: their end packets have passed.
    b.hear(60);
    let sent = a.close();
    let stats = b.close();
    assert!(stats.duplicate > 30, "{stats:?}");
    assert_eq!(sent.received, 0);
    let late: Vec<_> = b.events.try_iter().collect();
    assert!(
        late.iter().all(|e| !matches!(e, MediaEvent::Digit { .. })),
        "{late:?}"
    );
    relay.join().expect("relay");
}

#[test]
fn a_tone_at_the_microphone_is_muted_and_its_digit_marked_as_echo() {
    // The visitor plays a 9 into the panel; the phone's side sends a 9 and a 5.
    let mut door = Side::new(28_620, &[852.0, 1_477.0], Duration::ZERO);
    let mut phone = Side::new(28_640, &[], Duration::ZERO);
    let (at_door, at_phone) = agree(door.local, phone.local, SrtpPolicy::Off);
    phone.open(&at_phone);
    door.open(&at_door);
    let heard = phone.hear(150);
    let loud = heard.iter().filter(|s| s.unsigned_abs() > 300).count();
    assert!(loud < 400, "{loud} samples of the tone reached the phone");
    phone
        .engine
        .send_digit(LEG, '9', Duration::from_millis(60))
        .expect("digit");
    phone
        .engine
        .send_digit(LEG, '5', Duration::from_millis(60))
        .expect("digit");
    assert_eq!([door.digit(), door.digit()], [('9', true), ('5', false)]);
}

#[test]
fn strangers_are_not_heard() {
    let mut a = Side::new(28_660, &[440.0], Duration::ZERO);
    let mut b = Side::new(28_680, &[600.0], Duration::ZERO);
    let (at_a, at_b) = agree(a.local, b.local, SrtpPolicy::Off);
    b.open(&at_b);
    a.open(&at_a);
    let source = b.wait("source", |e| {
        if let MediaEvent::Source { source, .. } = e {
            Some(*source)
        } else {
            None
        }
    });
    assert_eq!(source.port(), a.local.rtp_port);
    let to = at_a.remote_rtp;
    let neighbour = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("socket");
    let far = UdpSocket::bind("127.0.0.2:0").expect("socket");
    for n in 0..20u8 {
        let digit = [0x80, 101, 0, n, 0, 0, 1, n, 9, 9, 9, 9, 5, 10, 1, 0];
        for socket in [&neighbour, &far] {
            socket.send_to(&digit, to).expect("sent");
            socket.send_to(&digit[..usize::from(n) % 16], to).expect("sent");
        }
    }
    a.engine
        .send_digit(LEG, '1', Duration::from_millis(60))
        .expect("digit");
    assert_eq!(b.digit().0, '1');
    let stats = b.close();
    assert!(stats.discarded >= 40, "{stats:?}");
}

#[test]
fn silence_of_the_network_is_told_once() {
    let mut a = Side::new(28_700, &[440.0], Duration::from_millis(200));
    let b = Side::new(28_720, &[600.0], Duration::ZERO);
    let (at_a, _) = agree(a.local, b.local, SrtpPolicy::Off);
    a.open(&at_a);
    a.wait("time-out", |e| {
        matches!(e, MediaEvent::Timeout { leg: LEG, .. }).then_some(())
    });
    a.hear(60);
    a.close();
    assert!(
        a.events
            .try_iter()
            .all(|e| !matches!(e, MediaEvent::Timeout { .. }))
    );
}

#[test]
fn tones_reach_leg_and_line_and_a_leg_that_is_not_connected_hears_no_line() {
    let mut door = Side::new(28_740, &[440.0], Duration::ZERO);
    let mut phone = Side::new(28_760, &[], Duration::ZERO);
    let (at_door, at_phone) = agree(door.local, phone.local, SrtpPolicy::Off);
    phone.open(&at_phone);
    door.open(&at_door);
    door.engine.disconnect_leg(LEG).expect("disconnect");
    // What was connected for a moment has been played out.
    phone.hear(30);
    let quiet = phone.hear(40);
    assert!(correlation(&quiet, 440.0) < 0.2 && quiet.iter().all(|s| s.unsigned_abs() < 300));
    door.engine.play_to_leg(LEG, Tone::Ringback).expect("tone");
    assert!(best(&phone.hear(80), 425.0) > 0.95);
    door.engine
        .play_to_line(&door.line, Tone::TalkWarning)
        .expect("tone");
    let frames: Vec<Frame> =
        std::iter::from_fn(|| door.heard.recv_timeout(Duration::from_secs(1)).ok()).collect();
    let loudest = frames.iter().map(|f| correlation(f, 1_400.0)).fold(0.0, f64::max);
    assert!(loudest > 0.95, "{loudest}");
}

#[test]
fn closing_frees_the_ports_and_dropping_the_engine_ends_its_legs() {
    let mut a = Side::new(28_780, &[440.0], Duration::ZERO);
    let b = Side::new(28_800, &[600.0], Duration::ZERO);
    let (at_a, _) = agree(a.local, b.local, SrtpPolicy::Off);
    a.open(&at_a);
    a.close();
    // The next command drops what the engine handed back.
    a.engine.close_leg(LEG).expect("no such leg");
    let all: Vec<_> = std::iter::from_fn(|| a.engine.reserve_ports().ok()).collect();
    assert_eq!(all.len(), 10);
    drop(all);
    a.ports = Some(a.engine.reserve_ports().expect("ports"));
    a.open(&at_a);
    let Side { engine, events, .. } = a;
    drop(engine);
    let ended = std::iter::from_fn(|| events.recv_timeout(DEADLINE).ok())
        .any(|e| matches!(e, MediaEvent::Closed { leg: LEG, .. }));
    assert!(ended);
}

/// The gap has to be real: the engine stands still because its sink does not return.
#[test]
fn digits_that_came_while_the_engine_stood_still_are_not_told() {
    let (reached_in, reached) = channel();
    let (release, released) = channel::<()>();
    let (events_in, events) = channel();
    let params = EngineParams {
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        ports: 28_820..=28_829,
        media_timeout: Duration::ZERO,
        ..EngineParams::default()
    };
    let engine = Engine::start(params, move |e| {
        if matches!(e, MediaEvent::Source { .. }) {
            let _ = reached_in.send(());
            let _ = released.recv_timeout(DEADLINE);
        }
        let _ = events_in.send(e);
        Ok(())
    })
    .expect("engine");
    let ports = engine.reserve_ports().expect("ports");
    let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("socket");
    phone
        .connect((Ipv4Addr::LOCALHOST, ports.rtp_port()))
        .expect("connected");
    let local = |port| LocalMedia {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        host: None,
        seen: None,
        rtp_port: port,
        rtcp_port: port + 1,
    };
    let port = phone.local_addr().expect("address").port();
    let (agreed, _) = agree(local(ports.rtp_port()), local(port), SrtpPolicy::Off);
    engine.open_leg(LEG, ports).expect("open");
    engine.update_leg(LEG, &agreed).expect("update");
    let press = |n: u8, code: u8| {
        let packet = [0x80, 0x80 | 101, 0, n, 0, 0, n, 0, 1, 2, 3, 4, code, 10, 0, 160];
        phone.send(&packet).expect("sent");
    };
    press(1, 1);
    reached.recv_timeout(DEADLINE).expect("first packet");
    press(2, 9);
    std::thread::sleep(Duration::from_millis(600));
    release.send(()).expect("released");
    let digit = || loop {
        let event = events.recv_timeout(DEADLINE).expect("digit in time");
        if let MediaEvent::Digit { digit, .. } = event {
            return digit;
        }
    };
    assert_eq!(digit(), '1', "it came before the gap");
    // Fresh presses count again as soon as the engine runs; one that arrives within the gap does not.
    let mut n = 2;
    let next = loop {
        n += 1;
        press(n, 5);
        match events.recv_timeout(Duration::from_millis(200)) {
            Ok(MediaEvent::Digit { digit, .. }) => break digit,
            Ok(_) | Err(_) => assert!(n < 100, "no digit after the gap"),
        }
    };
    assert_eq!(next, '5');
    engine.close_leg(LEG).expect("close");
    let stats = loop {
        if let MediaEvent::Closed { stats, .. } = events.recv_timeout(DEADLINE).expect("end") {
            break stats;
        }
    };
    assert!(stats.stale_digits >= 1, "{stats:?}");
}

/// Loudness of 2 s of what a side hears, after what was under way has been played out: effective value.
fn level(side: &Side) -> f64 {
    side.hear(50);
    let heard = side.hear(150);
    // a machine under load may drop some: the loudest pieces are whole
    let of = |c: &[i16]| (c.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / c.len() as f64).sqrt();
    heard.chunks_exact(3_200).map(of).fold(0.0, f64::max)
}

#[test]
fn a_volume_is_heard_both_ways_in_a_talk_and_kept_for_a_line_that_is_added_anew() {
    let mut door = Side::new(29_060, &[440.0], Duration::ZERO);
    let mut phone = Side::new(29_080, &[600.0], Duration::ZERO);
    let (at_door, at_phone) = agree_on(AudioCodec::G722, door.local, phone.local, SrtpPolicy::Off);
    door.open(&at_door);
    phone.open(&at_phone);
    let (visitor, called) = (level(&phone), level(&door));
    let quiet = Volume {
        microphone_db: -20,
        speaker_db: -12,
    };
    door.engine.set_volume(&door.line, quiet).expect("volume");
    let near = |found: f64, wanted: f64| (0.8..1.25).contains(&(found / wanted));
    let (less, far_less) = (level(&door), level(&phone));
    assert!(near(less, called * 0.251), "visitor hears {less} after {called}");
    assert!(
        near(far_less, visitor * 0.1),
        "phone hears {far_less} after {visitor}"
    );
    // another port for the same line, as after a restart of its adapter
    let (heard_in, heard) = channel();
    let port = Line {
        hz: vec![440.0],
        position: 0,
        heard: heard_in,
    };
    door.engine
        .add_line(door.line.clone(), Box::new(port))
        .expect("line");
    door.heard = heard;
    let kept = level(&door);
    assert!(near(kept, called * 0.251), "visitor hears {kept} after {called}");
    door.engine
        .set_volume(&door.line, Volume::default())
        .expect("volume");
    let again = level(&door);
    assert!(near(again, called), "visitor hears {again} after {called}");
}

/// A gateway with two legs, each towards a phone that speaks a sine; both codecs of its own.
struct Between {
    side: Side,
    phones: [Side; 2],
}

const OUTSIDE: LegId = LegId(7);
const GUARD: LegId = LegId(8);

fn between(first_port: u16, hz: [&[f64]; 2]) -> Between {
    let side = Side::new(first_port, &[2_000.0], Duration::ZERO);
    let phones = [
        (first_port + 20, hz[0], OUTSIDE, AudioCodec::Pcma),
        (first_port + 40, hz[1], GUARD, AudioCodec::G722),
    ]
    .map(|(port, hz, leg, codec)| {
        let mut phone = Side::new(port, hz, Duration::ZERO);
        let ports = side.engine.reserve_ports().expect("ports");
        let local = LocalMedia {
            rtp_port: ports.rtp_port(),
            rtcp_port: ports.rtcp_port(),
            ..side.local
        };
        let (at_phone, at_gateway) = agree_on(codec, phone.local, local, SrtpPolicy::Off);
        side.engine.open_leg(leg, ports).expect("open");
        side.engine.update_leg(leg, &at_gateway).expect("update");
        phone.open(&at_phone);
        phone
    });
    Between { side, phones }
}

#[test]
fn two_legs_that_are_joined_hear_each_other_through_their_codecs_and_no_line() {
    let Between { side, phones } = between(30_400, [&[440.0], &[1_100.0]]);
    let [outside, guard] = &phones;
    assert!(best(&guard.hear(40), 440.0) < 0.2, "nothing is heard before");
    side.engine.join_legs(OUTSIDE, GUARD).expect("join");
    let (at_guard, at_outside) = (guard.hear(150), outside.hear(150));
    for (heard, hz) in [(&at_guard, 440.0), (&at_outside, 1_100.0)] {
        let found = best(&heard[8_000..], hz);
        assert!(found > 0.98, "correlation with {hz} Hz is {found}");
    }
    for (heard, own) in [(&at_guard, 1_100.0), (&at_outside, 440.0)] {
        assert!(best(&heard[8_000..], own) < 0.2, "own voice comes back");
        assert!(best(&heard[8_000..], 2_000.0) < 0.2, "the line is heard");
    }
    // the end of the outside leg leaves the other one in silence, and a digit of it is told as ever
    side.engine.close_leg(OUTSIDE).expect("close");
    guard.hear(50);
    assert!(best(&guard.hear(60), 440.0) < 0.2, "who is gone is heard");
    guard
        .engine
        .send_digit(LEG, '5', Duration::from_millis(100))
        .expect("press");
    assert_eq!(side.digit(), ('5', false));
}

#[test]
fn a_tone_of_whoever_was_put_through_is_muted_and_comes_back_as_an_echo() {
    let Between { side, phones } = between(30_480, [&[], &[]]);
    let [outside, guard] = &phones;
    side.engine.join_legs(OUTSIDE, GUARD).expect("join");
    // the two frequencies of the key 9 for 10 s, sent as they are: a phone of ours would mute them at its microphone
    let sine = |n: u32, hz: f64| (f64::from(n) * hz * std::f64::consts::TAU / f64::from(SAMPLE_RATE)).sin();
    let nine = (0..160_000).map(|n| ((sine(n, 852.0) + sine(n, 1_477.0)) * 6_000.0) as i16);
    let (recorder, _pieces) = gateway_media::recording();
    outside
        .engine
        .record_leg(LEG, recorder, nine.collect())
        .expect("say");
    guard.hear(100);
    let heard = guard.hear(60);
    assert!(best(&heard, 852.0) < 0.2, "the tone goes through");
    // on a busy machine speech may stand still for longer than an echo counts
    let is_echo = (0..5).any(|_| {
        guard.hear(30);
        guard
            .engine
            .send_digit(LEG, '9', Duration::from_millis(100))
            .expect("press");
        let (digit, echo) = side.digit();
        assert_eq!(digit, '9');
        echo
    });
    assert!(is_echo, "it is told for what it may be");
    guard
        .engine
        .send_digit(LEG, '5', Duration::from_millis(100))
        .expect("press");
    assert_eq!(side.digit(), ('5', false));
}

#[test]
fn a_talk_that_is_recorded_is_announced_to_both_and_each_side_is_on_a_channel_of_its_own() {
    let mut door = Side::new(30_560, &[500.0], Duration::ZERO);
    let mut phone = Side::new(30_580, &[1_300.0], Duration::ZERO);
    let (at_door, at_phone) = agree(door.local, phone.local, SrtpPolicy::Off);
    phone.open(&at_phone);
    // 600 ms of another sound; asked for before the leg is on its line
    let announcement: std::sync::Arc<[i16]> = (0..9_600)
        .map(|n| {
            ((f64::from(n) * 2_400.0 * std::f64::consts::TAU / f64::from(SAMPLE_RATE)).sin() * 8_000.0) as i16
        })
        .collect();
    let (recorder, pieces) = gateway_media::recording();
    let ports = door.ports.take().expect("ports");
    door.engine.open_leg(LEG, ports).expect("open");
    door.engine.update_leg(LEG, &at_door).expect("update");
    door.engine
        .record_leg(LEG, recorder, std::sync::Arc::clone(&announcement))
        .expect("record");
    door.engine.connect_leg(LEG, &door.line).expect("connect");
    for (who, heard) in [("phone", phone.hear(150)), ("door", door.hear(150))] {
        let found = best(&heard, 2_400.0);
        assert!(found > 0.6, "the {who} hears the announcement: {found}");
    }
    door.close();
    let (mut line, mut telephone) = (Vec::new(), Vec::new());
    let mut waits = 0;
    loop {
        match pieces.next() {
            gateway_media::Piece::Both(both) => {
                line.extend(both.map(|[line, _]| line));
                telephone.extend(both.map(|[_, phone]| phone));
            }
            gateway_media::Piece::Nothing => {
                waits += 1;
                assert!(waits < 20_000, "the recording does not end");
                std::thread::sleep(Duration::from_millis(1));
            }
            gateway_media::Piece::Over => break,
        }
    }
    assert!(line.len() >= 16_000, "{} samples", line.len());
    let (said, answered) = (best(&line, 500.0), best(&telephone[12_000..], 1_300.0));
    assert!(said > 0.98 && answered > 0.98, "{said} {answered}");
    assert!(
        best(&line, 1_300.0) < 0.2 && best(&telephone[12_000..], 500.0) < 0.2,
        "the sides are mixed"
    );
}
