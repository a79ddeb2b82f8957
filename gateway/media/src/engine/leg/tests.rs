//! A leg without its engine: dates of digits, and what a stand-still does.

use super::*;
use crate::engine::ports::PortAllocator;
use crate::sdp::{AudioCodec, Direction, EventFormat, OpusFormat};
use crate::stun;
use std::net::{Ipv4Addr, UdpSocket};

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(60_000 + ms)
}

fn arrival(now: u64, earliest: u64, stale: bool) -> Arrival {
    Arrival {
        ahead: Ahead::default(),
        now: at(now),
        at: at(earliest),
        stale,
    }
}

fn leg(range: std::ops::RangeInclusive<u16>) -> (Leg, UdpSocket) {
    let (mut leg, phone) = rings(range);
    answered(&mut leg, &phone, 0);
    (leg, phone)
}

fn answered(leg: &mut Leg, phone: &UdpSocket, ms: u64) {
    let agreed = agreed(phone.local_addr().expect("address"));
    leg.update(
        at(ms),
        Box::new(Transport::new(LegId(7), &agreed).expect("plain")),
    );
}

/// A leg with which nothing is agreed yet.
fn rings(range: std::ops::RangeInclusive<u16>) -> (Leg, UdpSocket) {
    let ports = PortAllocator::new(Ipv4Addr::LOCALHOST.into(), &range, 46);
    let pair = ports.reserve().expect("ports");
    let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("socket");
    phone
        .connect((Ipv4Addr::LOCALHOST, pair.rtp_port()))
        .expect("connected");
    let params = LegParams {
        measures: Arc::default(),
        jitter_start: Duration::from_millis(20),
        jitter_max: Duration::from_millis(200),
        media_timeout: Duration::ZERO,
        ssrc: 1,
        sequence: 1,
        timestamp: 1,
        cname: "door".into(),
    };
    (Leg::new(LegId(7), pair, params), phone)
}

fn agreed(remote: SocketAddr) -> Agreed {
    Agreed {
        remote_rtp: remote,
        remote_rtcp: remote,
        signalling: None,
        symmetric: true,
        rtcp_mux: true,
        send: (8, AudioCodec::Pcma),
        receive: vec![(8, AudioCodec::Pcma)],
        send_events: Some(EventFormat {
            payload_type: 101,
            clock: 8_000,
        }),
        opus: OpusFormat::default(),
        receive_events: vec![101],
        comfort: None,
        quiet: None,
        ptime_ms: 20,
        direction: Direction::SendRecv,
        srtp: None,
        dtls: None,
        ice: None,
    }
}

fn press(phone: &UdpSocket, sequence: u16, timestamp: u32, code: u8) {
    held(phone, sequence, timestamp, code, 160);
}

fn held(phone: &UdpSocket, sequence: u16, timestamp: u32, code: u8, ticks: u16) {
    let header = rtp::Header {
        padding: false,
        marker: true,
        payload_type: 101,
        sequence,
        timestamp,
        ssrc: 42,
    };
    let [high, low] = ticks.to_be_bytes();
    let packet = [&header.to_bytes()[..], &[code, 10, high, low]].concat();
    phone.send(&packet).expect("sent");
}

fn digits(out: &mut Outbox) -> Vec<(char, Instant)> {
    out.take()
        .into_iter()
        .filter_map(|e| {
            if let MediaEvent::Digit { digit, at, .. } = e {
                Some((digit, at))
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn a_digit_is_dated_no_later_than_it_can_have_come() {
    let (mut leg, phone) = leg(28_901..=28_910);
    let mut out = Outbox::new(1);
    press(&phone, 1, 100, 9);
    leg.read(arrival(300, 40, false), Which::All, None, &mut out);
    assert_eq!(digits(&mut out), [('9', at(40))]);
}

#[test]
fn a_key_that_was_held_since_before_the_answer_is_no_press() {
    let (mut leg, phone) = leg(28_961..=28_970);
    let mut out = Outbox::new(1);
    // 1.5 s at 8 kHz, 40 ms after what was agreed
    held(&phone, 1, 100, 9, 12_000);
    leg.read(arrival(40, 40, false), Which::All, None, &mut out);
    held(&phone, 2, 100, 9, 12_160);
    leg.read(arrival(60, 60, false), Which::All, None, &mut out);
    assert_eq!(digits(&mut out), []);
    // the next press, and one of which the first packets were lost
    held(&phone, 3, 20_000, 9, 480);
    leg.read(arrival(100, 100, false), Which::All, None, &mut out);
    assert_eq!(digits(&mut out), [('9', at(100))]);
    assert_eq!(leg.close(at(1_000)).stale_digits, 1);
}

/// G.711 A-law, 20 ms of one value that is heard.
fn speech(phone: &UdpSocket, sequence: u16) {
    let header = rtp::Header {
        padding: false,
        marker: false,
        payload_type: 8,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 42,
    };
    let packet = [&header.to_bytes()[..], &[0x2a; 160]].concat();
    phone.send(&packet).expect("sent");
}

#[test]
fn before_the_answer_speech_is_heard_keys_are_nobodys_and_silence_lasts_as_long_as_it_rings() {
    let (mut leg, phone) = rings(28_221..=28_230);
    leg.params.media_timeout = Duration::from_secs(1);
    let mut out = Outbox::new(1);
    leg.set_early(at(0), true);
    answered(&mut leg, &phone, 0);
    leg.line = Some(3);
    for n in 1..=10 {
        speech(&phone, n);
        leg.read(
            arrival(u64::from(n) * 20, u64::from(n) * 20, false),
            Which::All,
            None,
            &mut out,
        );
        leg.hear(at(u64::from(n) * 20), &mut out);
    }
    assert!(leg.heard.iter().any(|s| *s != 0), "its announcement is heard");
    press(&phone, 11, 1_760, 9);
    leg.read(arrival(220, 220, false), Which::All, None, &mut out);
    leg.hear(at(30_000), &mut out);
    let told: Vec<MediaEvent> = out.take();
    let sources = |e: &MediaEvent| matches!(e, MediaEvent::Source { .. });
    assert!(told.iter().all(sources), "{told:?}");

    // the answer: it leaves the line, the same press goes on and is none, the next one counts
    leg.set_early(at(30_000), false);
    assert_eq!(leg.line, None);
    held(&phone, 12, 1_760, 9, 320);
    leg.read(arrival(30_010, 30_010, false), Which::All, None, &mut out);
    assert_eq!(digits(&mut out), []);
    press(&phone, 13, 20_000, 9);
    leg.read(arrival(30_500, 30_500, false), Which::All, None, &mut out);
    assert_eq!(digits(&mut out), [('9', at(30_500))]);
    leg.hear(at(32_000), &mut out);
    let told: Vec<MediaEvent> = out.take();
    assert!(matches!(told[..], [MediaEvent::Timeout { .. }]), "{told:?}");
}

/// Payload type, marker, timestamp and payload of each packet that came.
fn sent(phone: &UdpSocket) -> Vec<(u8, bool, u32, Vec<u8>)> {
    phone.set_nonblocking(true).expect("a socket");
    let mut buffer = [0; MTU];
    let mut all = Vec::new();
    while let Ok(len) = phone.recv(&mut buffer) {
        let (header, payload) = rtp::parse(&buffer[..len]).expect("RTP");
        all.push((
            header.payload_type,
            header.marker,
            header.timestamp,
            payload.to_vec(),
        ));
    }
    all
}

#[test]
fn silence_is_told_now_and_then_where_that_is_agreed_and_the_next_word_begins_anew() {
    let (mut leg, phone) = rings(28_231..=28_240);
    let agreed = Agreed {
        comfort: Some(13),
        quiet: Some(Quiet::Comfort(13)),
        ..agreed(phone.local_addr().expect("address"))
    };
    leg.update(at(0), Box::new(Transport::new(LegId(7), &agreed).expect("plain")));
    for n in 0..100 {
        leg.say(at(n * 10), &[0; FRAME_SAMPLES]);
    }
    let silent = sent(&phone);
    let kinds: Vec<u8> = silent.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds, [&[8; 12][..], &[13; 2]].concat());
    assert_eq!(silent[12].3, [127], "a byte of level");
    assert_eq!(silent[13].2 - silent[12].2, 400 * 8, "time goes on");
    let loud: [i16; FRAME_SAMPLES] = std::array::from_fn(|n| if n % 20 < 10 { 8_000 } else { -8_000 });
    for n in 100..104 {
        leg.say(at(n * 10), &loud);
    }
    let word = sent(&phone);
    assert_eq!(
        word.iter()
            .map(|(kind, marker, ..)| (*kind, *marker))
            .collect::<Vec<_>>(),
        [(8, true), (8, false)]
    );
    assert_eq!(leg.stats.sent, 16);
}

#[test]
fn what_a_key_of_early_media_sends_after_the_answer_is_no_press() {
    let (mut leg, phone) = rings(28_971..=28_980);
    let mut out = Outbox::new(1);
    held(&phone, 1, 4_000, 9, 160);
    held(&phone, 2, 4_000, 9, 960);
    leg.read(arrival(0, 0, false), Which::All, None, &mut out);
    answered(&mut leg, &phone, 30);
    // its last packet, as every phone repeats it, and one that comes when it likes
    for ms in [60, 1_200] {
        held(&phone, 3, 4_000, 9, 960);
        leg.read(arrival(ms, ms, false), Which::All, None, &mut out);
    }
    assert_eq!(digits(&mut out), []);
    press(&phone, 4, 20_000, 9);
    leg.read(arrival(1_300, 1_300, false), Which::All, None, &mut out);
    assert_eq!(digits(&mut out), [('9', at(1_300))]);
    assert_eq!(leg.close(at(2_000)).stale_digits, 1);
}

#[test]
fn what_comes_before_its_description_is_nobodys_and_the_first_packet_after_it_is_heard() {
    let (mut leg, phone) = rings(29_111..=29_120);
    let mut out = Outbox::new(1);
    for n in 1..=20 {
        let ms = u64::from(n) * 20;
        speech(&phone, n);
        leg.read(arrival(ms, ms, false), Which::All, None, &mut out);
        leg.hear(at(ms), &mut out);
        assert_eq!(leg.heard, [0; FRAME_SAMPLES], "whose it is, nobody has said");
    }
    assert!(out.take().is_empty());
    assert_eq!((leg.latch.source(), leg.stats.received), (None, 0));
    // he is the one who was announced: not a packet more is waited for
    answered(&mut leg, &phone, 410);
    speech(&phone, 21);
    leg.read(arrival(420, 420, false), Which::All, None, &mut out);
    assert_eq!(leg.stats.received, 1);
    assert!(matches!(out.take()[..], [MediaEvent::Source { .. }]));
    for n in 22..=30 {
        let ms = u64::from(n) * 20;
        speech(&phone, n);
        leg.read(arrival(ms, ms, false), Which::All, None, &mut out);
        leg.hear(at(ms), &mut out);
    }
    assert!(leg.heard.iter().any(|s| *s != 0));
    let stats = leg.close(at(1_000));
    assert_eq!((stats.received, stats.discarded, stats.lost), (10, 20, 0));
}

/// 400 ms at the clock of 8 kHz.
#[test]
fn a_key_that_was_held_for_less_than_a_second_before_the_answer_is_no_press() {
    let (mut leg, phone) = leg(28_981..=28_990);
    let mut out = Outbox::new(1);
    held(&phone, 1, 100, 9, 3_360);
    leg.read(arrival(20, 20, false), Which::All, None, &mut out);
    assert_eq!(digits(&mut out), []);
}

#[test]
fn digits_that_waited_over_a_stand_still_are_counted_and_not_told() {
    let (mut leg, phone) = leg(28_911..=28_920);
    let mut out = Outbox::new(1);
    press(&phone, 1, 100, 9);
    press(&phone, 2, 2_000, 9);
    leg.read(arrival(900, 100, true), Which::All, None, &mut out);
    // A repeated packet of the old press is not a new one.
    press(&phone, 3, 2_000, 9);
    press(&phone, 4, 5_000, 5);
    leg.read(arrival(910, 905, false), Which::All, None, &mut out);
    assert_eq!(digits(&mut out), [('5', at(905))]);
    assert_eq!(leg.close(at(1_000)).stale_digits, 2);
}

#[test]
fn a_flood_is_read_up_to_the_budget_and_dated_by_its_beginning() {
    let (mut leg, phone) = leg(28_921..=28_930);
    let mut out = Outbox::new(1);
    for n in 0..BUDGET {
        phone.send(&[0; 20]).expect("sent");
        assert!(n < 1_000);
    }
    press(&phone, 1, 100, 9);
    leg.read(arrival(20, 10, false), Which::All, None, &mut out);
    assert_eq!((leg.budget, leg.backlog.is_some()), (0, true));
    assert!(digits(&mut out).is_empty());
    leg.hear(at(20), &mut out);
    leg.read(arrival(20, 20, false), Which::All, None, &mut out);
    assert_eq!(digits(&mut out), [('9', at(10))]);
    assert!(!leg.backlog.is_some());
    assert_eq!(leg.close(at(30)).discarded, u64::from(BUDGET));
}

#[test]
fn echo_is_marked_by_the_guard_of_the_line() {
    let (mut leg, phone) = leg(28_931..=28_940);
    let mut out = Outbox::new(1);
    let mut guard = EchoGuard::default();
    guard.heard(at(10), '9');
    for (n, code) in [(0u16, 9), (1, 8)] {
        press(&phone, n, 1_000 * u32::from(n), code);
    }
    leg.read(arrival(200, 200, false), Which::All, Some(&guard), &mut out);
    let echoes: Vec<_> = out
        .take()
        .into_iter()
        .filter_map(|e| {
            if let MediaEvent::Digit { digit, echo, .. } = e {
                Some((digit, echo))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(echoes, [('9', true), ('8', false)]);
}

#[test]
fn a_key_held_over_a_re_offer_with_another_address_is_one_press() {
    let (mut leg, phone) = leg(28_941..=28_950);
    let mut out = Outbox::new(1);
    press(&phone, 1, 100, 9);
    leg.read(arrival(20, 20, false), Which::All, None, &mut out);
    let elsewhere = agreed("127.0.0.1:9".parse().expect("address"));
    leg.update(
        at(30),
        Box::new(Transport::new(LegId(7), &elsewhere).expect("plain")),
    );
    press(&phone, 2, 100, 9);
    leg.read(arrival(40, 40, false), Which::All, None, &mut out);
    assert_eq!(digits(&mut out), [('9', at(20))]);
}

/// The next RTCP packet that the phone got; media before it is passed over.
fn report(phone: &UdpSocket) -> Vec<Item> {
    phone
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("time-out");
    let mut buffer = [0; 2_048];
    loop {
        let n = phone.recv(&mut buffer).expect("report in time");
        if rtp::is_rtcp(&buffer[..n]) {
            let mut items = Vec::new();
            assert!(rtcp::read(&buffer[..n], |i| items.push(i)));
            return items;
        }
    }
}

#[test]
fn reports_are_sent_read_and_give_the_round_trip() {
    let (mut leg, phone) = leg(28_951..=28_960);
    let mut out = Outbox::new(1);
    press(&phone, 10, 100, 9);
    press(&phone, 12, 900, 8);
    leg.read(arrival(20, 20, false), Which::All, None, &mut out);
    let frame = [0; FRAME_SAMPLES];
    for tick in 0..300u64 {
        leg.say(at(10 * tick), &frame);
    }
    let items = report(&phone);
    let [Item::Sender { ssrc: 1, info }, Item::Report { block, .. }] = items[..] else {
        panic!("{items:?}");
    };
    // First report after 2.5 s: packets of 20 ms, the one in sequence between the presses is missing.
    assert!((120..=130).contains(&info.packets), "{info:?}");
    assert_eq!(info.octets, info.packets * 160);
    assert_eq!((block.ssrc, block.lost, block.highest), (42, 1, 12));
    // The phone answers 80 ms after the report reached it, which took no time; 40 ms are on the way.
    let answer = stats::ReportBlock {
        ssrc: 1,
        fraction: 0,
        lost: 4,
        highest: 0,
        jitter: 0,
        last_sr: stats::middle(info.ntp),
        delay_since_sr: 80 * 65_536 / 1_000,
    };
    let mut packet = Vec::new();
    rtcp::write(&mut packet, 42, None, Some(&answer), "phone", true);
    phone.send(&packet).expect("sent");
    leg.read(
        arrival(2_500 + 120, 2_500 + 120, false),
        Which::All,
        None,
        &mut out,
    );
    let numbers = leg.close(at(3_000));
    assert!((39_000..=41_000).contains(&numbers.round_trip_us), "{numbers:?}");
    assert_eq!((numbers.remote_lost, numbers.lost), (4, 1));
    assert!(matches!(report(&phone).last(), Some(Item::Bye { ssrc: 1 })));
}

/// What the phone got, if anything.
fn got(phone: &UdpSocket) -> Option<Vec<u8>> {
    phone.set_nonblocking(true).expect("set");
    let mut buffer = [0; 2_048];
    phone
        .recv(&mut buffer)
        .ok()
        .map(|length| buffer[..length].to_vec())
}

fn speaks(phone: &UdpSocket, sequence: u16) {
    let header = rtp::Header {
        padding: false,
        marker: false,
        payload_type: 8,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 42,
    };
    phone
        .send(&[&header.to_bytes()[..], &[0xd5; 160]].concat())
        .expect("sent");
}

fn handshakes(out: &mut Outbox) -> usize {
    let events = out.take();
    events
        .iter()
        .filter(|e| matches!(e, MediaEvent::Handshake { .. }))
        .count()
}

/// A leg whose keys come by a handshake.
fn awaits_keys(range: std::ops::RangeInclusive<u16>) -> (Leg, UdpSocket) {
    let (mut leg, phone) = rings(range);
    let agreed = Agreed {
        dtls: Some(crate::sdp::DtlsPeer {
            active: false,
            fingerprints: Vec::new(),
        }),
        ..agreed(phone.local_addr().expect("address"))
    };
    leg.update(
        at(0),
        Box::new(Transport::new(LegId(7), &agreed).expect("awaited")),
    );
    (leg, phone)
}

#[test]
fn before_its_keys_are_there_nothing_is_sent_and_nothing_is_taken() {
    let (mut leg, phone) = awaits_keys(29_001..=29_010);
    let mut out = Outbox::new(1);
    press(&phone, 1, 100, 9);
    speaks(&phone, 2);
    leg.read(arrival(0, 0, false), Which::All, None, &mut out);
    assert!(out.take().is_empty());
    for ms in 0..10 {
        leg.say(at(ms * 10), &[1_000; FRAME_SAMPLES]);
    }
    leg.send_report(at(100), false);
    assert_eq!((got(&phone), leg.stats.received), (None, 0));
}

#[test]
fn a_handshake_is_passed_on_in_bounds_and_only_from_the_other_side() {
    let (mut leg, phone) = awaits_keys(29_011..=29_020);
    let mut out = Outbox::new(1);
    leg.send_handshake(&[22, 1]);
    assert_eq!(got(&phone), Some(vec![22, 1]));
    for _ in 0..20 {
        phone.send(&[22, 254, 253, 0]).expect("sent");
    }
    leg.read(arrival(0, 0, false), Which::All, None, &mut out);
    assert_eq!(handshakes(&mut out), 8);
    leg.hear(at(10), &mut out);
    phone.send(&[22, 254, 253, 0]).expect("sent");
    leg.read(arrival(10, 10, false), Which::All, None, &mut out);
    assert_eq!(handshakes(&mut out), 1);
    let port = leg.ports.rtp_port();
    let stranger = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("socket");
    stranger
        .send_to(&[22, 254, 253, 0], (Ipv4Addr::LOCALHOST, port))
        .expect("sent");
    leg.read(arrival(20, 20, false), Which::All, None, &mut out);
    assert_eq!(handshakes(&mut out), 0);
    let (mut plain, phone) = self::leg(29_021..=29_030);
    phone.send(&[22, 254, 253, 0]).expect("sent");
    plain.read(arrival(20, 20, false), Which::All, None, &mut out);
    assert_eq!((handshakes(&mut out), plain.stats.discarded), (0, 1));
}

#[test]
fn with_ice_media_goes_where_the_other_side_chose_and_nowhere_before() {
    let (mut leg, phone) = rings(29_031..=29_040);
    let local = crate::ice::Credentials::new("ours", "our+password+of+24+chars").expect("fits");
    let elsewhere = "192.0.2.7:4000".parse().expect("an address");
    let agreement = crate::ice::Agreement {
        local: local.clone(),
        remote: "them".into(),
        checks: None,
        last_counts: true,
    };
    let plain = agreed(elsewhere);
    let agreed = Agreed {
        ice: Some(agreement),
        ..plain.clone()
    };
    let update = |leg: &mut Leg| {
        leg.update(at(0), Box::new(Transport::new(LegId(7), &agreed).expect("plain")));
    };
    update(&mut leg);
    let mut out = Outbox::new(1);
    let speak = |leg: &mut Leg| {
        for ms in 0..2 {
            leg.say(at(ms * 10), &[1_000; FRAME_SAMPLES]);
        }
    };
    speak(&mut leg);
    assert_eq!(leg.stats.sent, 0);
    for chosen in [false, true] {
        let mut check = Vec::new();
        let mut writer = stun::Writer::begin(&mut check, stun::Kind::Request, [7; 12]);
        writer.username("ours:them");
        if chosen {
            writer.plain(0x0025, &[]);
        }
        writer.sign(local.password.as_bytes());
        writer.finish();
        phone.send(&check).expect("sent");
        leg.read(arrival(0, 0, false), Which::All, None, &mut out);
        let answer = got(&phone).expect("an answer");
        let answer = stun::Message::read(&answer).expect("a message");
        assert_eq!(
            (answer.kind, answer.mapped),
            (stun::Kind::Success, phone.local_addr().ok())
        );
        speak(&mut leg);
        assert_eq!(got(&phone).is_some(), chosen);
    }
    // the same agreement again, as after a hold: what was chosen stays
    update(&mut leg);
    speak(&mut leg);
    assert!(got(&phone).is_some());
    speaks(&phone, 1);
    leg.read(arrival(30, 30, false), Which::All, None, &mut out);
    assert_eq!(leg.stats.received, 1, "it is heard from there");
    // anew: until it has chosen again it is reached, and heard, where it was
    let anew = Agreed {
        ice: agreed.ice.clone().map(|ice| crate::ice::Agreement {
            remote: "anew".into(),
            ..ice
        }),
        ..plain
    };
    leg.update(at(40), Box::new(Transport::new(LegId(7), &anew).expect("plain")));
    leg.check_out(at(30_039));
    speak(&mut leg);
    assert!(got(&phone).is_some());
    speaks(&phone, 2);
    leg.read(arrival(50, 50, false), Which::All, None, &mut out);
    assert_eq!(leg.stats.received, 2);
    // but not for ever
    leg.check_out(at(30_040));
    speak(&mut leg);
    assert!(got(&phone).is_none());
    speaks(&phone, 3);
    leg.read(arrival(60, 60, false), Which::All, None, &mut out);
    assert_eq!(leg.stats.received, 2);
}

/// Another address than the phone's.
fn stranger(leg: &Leg) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("socket");
    socket
        .connect((Ipv4Addr::LOCALHOST, leg.ports.rtp_port()))
        .expect("connected");
    socket
}

/// A second of a call in which somebody sends junk before each packet of the phone, 20 000 packets in it; a key in each
/// tenth tick. How much speech and how many keys arrived.
fn under_fire(leg: &mut Leg, phone: &UdpSocket, junk: &UdpSocket) -> (u64, usize) {
    let mut out = Outbox::new(1);
    speaks(phone, 1);
    leg.read(arrival(0, 0, false), Which::All, None, &mut out);
    let (mut sequence, mut keys) = (1, 0);
    for tick in 0..100u64 {
        let now = 10 * tick;
        for n in 0..200u8 {
            // half of it looks like speech, half like keys
            let kind = if n.is_multiple_of(2) { 8 } else { 101 };
            junk.send(&[&[0x80, kind, n, n, 0, 0, 0, 0, 6, 6, 6, 6][..], &[9, 10, 0, 160]].concat())
                .expect("sent");
        }
        sequence += 1;
        speaks(phone, sequence);
        if tick.is_multiple_of(10) {
            sequence += 1;
            press(phone, sequence, u32::from(sequence) * 160, 9);
        }
        leg.read(arrival(now, now, false), Which::All, None, &mut out);
        keys += digits(&mut out).len();
        leg.hear(at(now), &mut out);
    }
    (leg.stats.received, keys)
}

#[test]
fn twenty_thousand_packets_of_a_stranger_cost_no_key_and_no_speech() {
    let (mut leg, phone) = leg(29_041..=29_050);
    let junk = stranger(&leg);
    assert_eq!(under_fire(&mut leg, &phone, &junk), (1 + 100 + 10, 10));
    // not even read: the kernel knows where the phone is
    assert_eq!(leg.close(at(2_000)).strangers, 0);
}

#[test]
fn where_the_kernel_does_not_tell_strangers_apart_their_budget_does() {
    for (range, nat) in [(29_051..=29_060, false), (29_061..=29_070, true)] {
        let (mut leg, phone) = self::leg(range);
        // as in a container that permits no filter
        leg.ports.admit([None; strangers::MOST]);
        let junk = if nat {
            // from behind the same NAT: only the port is another
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("socket");
            let port = leg.ports.rtp_port();
            socket.connect((Ipv4Addr::LOCALHOST, port)).expect("connected");
            socket
        } else {
            stranger(&leg)
        };
        assert_eq!(under_fire(&mut leg, &phone, &junk), (1 + 100 + 10, 10), "{nat}");
        let stats = leg.close(at(2_000));
        assert_eq!((stats.strangers, stats.discarded), (20_000, 20_000));
    }
}

#[test]
fn a_flood_at_one_socket_leaves_the_others_their_part() {
    let (mut leg, phone) = leg(29_071..=29_080);
    leg.ports.admit([None; strangers::MOST]);
    let mut out = Outbox::new(1);
    speaks(&phone, 1);
    leg.read(arrival(0, 0, false), Which::All, None, &mut out);
    let junk = stranger(&leg);
    let reports = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("socket");
    for _ in 0..2 * strangers::STRANGERS {
        junk.send(&[0x80, 8]).expect("sent");
        reports
            .send_to(&[0x80, 200], (Ipv4Addr::LOCALHOST, leg.ports.rtcp_port()))
            .expect("sent");
    }
    press(&phone, 2, 100, 9);
    leg.read(arrival(10, 10, false), Which::All, None, &mut out);
    assert_eq!(digits(&mut out), [('9', at(10))]);
    assert!(leg.backlog.is_some(), "what is left is read in the next tick");
    for tick in 2..5 {
        leg.hear(at(10 * tick), &mut out);
        leg.read(arrival(10 * tick, 10 * tick, false), Which::All, None, &mut out);
    }
    assert!(!leg.backlog.is_some());
}

#[test]
fn a_flood_at_the_port_of_reports_makes_no_key_old() {
    let (mut leg, phone) = leg(29_081..=29_090);
    leg.ports.admit([None; strangers::MOST]);
    let mut out = Outbox::new(1);
    let to = (Ipv4Addr::LOCALHOST, leg.ports.rtcp_port());
    let elsewhere = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("socket");
    let behind = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("socket");
    // of a stranger, and of the phone's own address, which uses up the budget of the leg
    let mut sequence = 0;
    for (begin, flood) in [(0, elsewhere), (10_000, behind)] {
        for step in 0..30 {
            let now = begin + 100 * step;
            for _ in 0..2 * strangers::STRANGERS {
                flood.send_to(&[0x80, 200], to).expect("sent");
            }
            leg.read(arrival(now, now, false), Which::Rtcp, None, &mut out);
            assert!(leg.backlog.is_some(), "more is there than is read at once");
            // in the middle of the tick; then its end
            sequence += 1;
            press(&phone, sequence, 10_000 * u32::from(sequence), 9);
            leg.read(arrival(now + 1, now + 1, false), Which::Rtp, None, &mut out);
            leg.hear(at(now + 9), &mut out);
            leg.read(arrival(now + 9, now + 9, false), Which::Audio, None, &mut out);
            assert_eq!(digits(&mut out), [('9', at(now + 1))], "{flood:?}");
        }
    }
}

#[test]
fn whoever_is_heard_goes_on_being_heard_when_the_signalling_moves() {
    let (mut leg, phone) = rings(29_091..=29_100);
    let behind_nat = |signalling: [u8; 4]| Agreed {
        signalling: Some(Ipv4Addr::from(signalling).into()),
        ..agreed("10.0.0.7:4000".parse().expect("an address"))
    };
    let mut out = Outbox::new(1);
    // the phone at 127.0.0.1 is behind a NAT, where its signalling comes from; then that comes over another way
    for (round, signalling) in [(0, [127, 0, 0, 1]), (1, [127, 0, 0, 3])] {
        let agreed = behind_nat(signalling);
        leg.update(at(0), Box::new(Transport::new(LegId(7), &agreed).expect("plain")));
        for n in 1..=3 {
            speaks(&phone, 3 * round + n);
        }
        leg.read(arrival(10, 10, false), Which::All, None, &mut out);
    }
    assert_eq!(leg.stats.received, 1 + 3, "the third in sequence was the first");
}

#[test]
fn when_the_announced_address_changes_a_handshake_goes_to_the_new_one() {
    let (mut leg, phone) = awaits_keys(29_101..=29_110);
    let mut out = Outbox::new(1);
    phone.send(&[22, 254, 253, 0]).expect("sent");
    leg.read(arrival(0, 0, false), Which::All, None, &mut out);
    assert_eq!(handshakes(&mut out), 1);
    let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("socket");
    let moved = Agreed {
        dtls: leg.transport.as_ref().and_then(|t| t.agreed.dtls.clone()),
        ..agreed(other.local_addr().expect("address"))
    };
    leg.update(
        at(20),
        Box::new(Transport::new(LegId(7), &moved).expect("awaited")),
    );
    leg.send_handshake(&[22, 1]);
    assert_eq!((got(&phone), got(&other)), (None, Some(vec![22, 1])));
}
