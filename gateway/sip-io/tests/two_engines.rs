//! Two engines on loopback with real sockets: one calls the other directly, with audio both ways and a digit.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test that expects one event panics on every other"
)]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use adapter_api::{AudioPort, Frame, SAMPLE_RATE};
use gateway_core::{
    Cause, Clock, DigitVia, Instant, Keys, KeysBy, LegCommand, LegEvent, LegId, LineId, Manner, PanelId,
    RingId, Timestamp,
};
use gateway_sip_io::{
    AccountParams, Callee, Callees, Ice, Provisional, SessionTimer, SipEngine, SipEvent, SipHandle,
    SipParams, Srtp, SrtpKeys, TlsIdentity, TlsListener, TlsTrust, Transport,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Longest wait for anything; a loaded machine is slow, a broken engine never gets there.
const LIMIT: Duration = Duration::from_secs(20);

struct Boottime;

impl Clock for Boottime {
    fn now(&self) -> Instant {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        Instant::from_nanos(seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default())
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Plays a tone and measures what share of what it hears is one other tone.
struct Ear {
    phase: f32,
    speaks: f32,
    listens: f32,
    /// 10 ms frames in which the other tone was clear.
    clear: Arc<AtomicU64>,
}

impl AudioPort for Ear {
    fn capture(&mut self, frame: &mut Frame) {
        for sample in frame.iter_mut() {
            #[expect(clippy::cast_possible_truncation, reason = "within ±8000")]
            let value = (self.phase.sin() * 8000.0) as i16;
            *sample = value;
            #[expect(clippy::cast_precision_loss, reason = "a sample rate")]
            let step = self.speaks * std::f32::consts::TAU / SAMPLE_RATE as f32;
            self.phase = (self.phase + step) % std::f32::consts::TAU;
        }
    }

    fn playback(&mut self, frame: &Frame) {
        let (mut sine, mut cosine, mut all) = (0.0_f32, 0.0_f32, 0.0_f32);
        for (n, sample) in frame.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "160 samples")]
            let angle = n as f32 * self.listens * std::f32::consts::TAU / SAMPLE_RATE as f32;
            let value = f32::from(*sample);
            sine += value * angle.sin();
            cosine += value * angle.cos();
            all += value * value;
        }
        let length = 160.0;
        let tone = 2.0 * sine.mul_add(sine, cosine * cosine) / length;
        if all / length > 1_000_000.0 && tone / all > 0.8 {
            self.clear.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Phone {
    events: mpsc::Receiver<SipEvent>,
    handle: SipHandle,
    heard: Arc<AtomicU64>,
    ipv4: bool,
    line: LineId,
}

impl Phone {
    async fn start(params: SipParams, speaks: f32, listens: f32) -> Self {
        let ipv4 = params.bind.is_ipv4();
        let (sender, events) = mpsc::channel(256);
        let handle = SipEngine::start(params, Arc::new(Boottime), sender)
            .await
            .expect("loopback ports are free");
        let line = LineId::new("line").expect("a name");
        let heard = Arc::new(AtomicU64::new(0));
        let ear = Ear {
            phase: 0.0,
            speaks,
            listens,
            clear: Arc::clone(&heard),
        };
        handle
            .attach_line(line.clone(), Box::new(ear))
            .expect("the engine runs");
        Self {
            events,
            handle,
            heard,
            ipv4,
            line,
        }
    }

    async fn port(&self, transport: Transport) -> u16 {
        let all = self.handle.listening().await.expect("the engine runs");
        let found = all
            .iter()
            .find(|(t, at)| *t == transport && at.is_ipv4() == self.ipv4);
        found.expect("listens").1.port()
    }

    async fn next(&mut self) -> SipEvent {
        tokio::time::timeout(LIMIT, self.events.recv())
            .await
            .expect("an event in time")
            .expect("the engine runs")
    }

    /// Waits for the event that `pick` wants; others are passed over.
    async fn wait<T>(&mut self, what: &str, pick: impl Fn(&LegEvent) -> Option<T>) -> T {
        let mut log = Vec::new();
        let search = async {
            loop {
                let event = self.events.recv().await.expect("the engine runs");
                log.push(format!("{event:?}"));
                if let SipEvent::Leg(leg) = &event
                    && let Some(found) = pick(leg)
                {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(LIMIT, search).await;
        found.unwrap_or_else(|_| panic!("no {what}; events: {log:#?}"))
    }

    async fn command(&self, command: LegCommand) {
        self.handle.command(command).await.expect("the engine runs");
    }

    async fn hears(&self, frames: u64) {
        let listen = async {
            while self.heard.load(Ordering::Relaxed) < frames {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(
            tokio::time::timeout(LIMIT, listen).await.is_ok(),
            "heard the tone in {} frames",
            self.heard.load(Ordering::Relaxed)
        );
    }
}

fn params(rtp: u16, srtp: Srtp) -> SipParams {
    SipParams {
        bind: LOOPBACK,
        udp_port: 0,
        tcp_port: Some(0),
        rtp_ports: rtp..=rtp + 39,
        direct_peers: BTreeSet::from([LOOPBACK]),
        direct_callees: Callees {
            otherwise: Some(Callee {
                line: LineId::new("line").expect("a name"),
                names: Vec::new(),
                panel: PanelId::new("panel").expect("a name"),
            }),
            ..Callees::default()
        },
        direct_srtp: srtp,
        ..SipParams::default()
    }
}

async fn offer(phone: &Phone, target: String) {
    offer_as(phone, target, gateway_core::Manner::default()).await;
}

async fn offer_as(phone: &Phone, target: String, manner: gateway_core::Manner) {
    phone
        .command(LegCommand::Offer {
            account: None,
            display: "Main entrance".into(),
            leg: LegId(1),
            line: phone.line.clone(),
            manner,
            patience: None,
            ring: RingId::new(1, [1; 10]),
            target,
        })
        .await;
}

/// Rings, answers, talks both ways, presses 9 towards the caller, hangs up.
async fn talk(door: &mut Phone, phone: &mut Phone, target: String) {
    offer(door, target).await;
    let incoming = |e: &LegEvent| {
        if let LegEvent::Incoming { leg, .. } = e {
            Some(*leg)
        } else {
            None
        }
    };
    let leg = phone.wait("incoming call", incoming).await;
    phone.command(LegCommand::Ringing { leg }).await;
    door.wait("ringing", |e| matches!(e, LegEvent::Ringing { .. }).then_some(()))
        .await;
    phone.command(LegCommand::Answer { leg }).await;
    let answered = |e: &LegEvent| matches!(e, LegEvent::Answered { .. }).then_some(());
    door.wait("answer", answered).await;
    phone.wait("acknowledged answer", answered).await;
    door.command(LegCommand::Connect { leg: LegId(1) }).await;
    phone.command(LegCommand::Connect { leg }).await;
    door.hears(50).await;
    phone.hears(50).await;
    phone
        .handle
        .send_digit(leg, '9', Duration::from_millis(100))
        .expect("the engine runs");
    let digit = |e: &LegEvent| {
        if let LegEvent::Digit { digit, via, echo, .. } = e {
            Some((*digit, *via, *echo))
        } else {
            None
        }
    };
    assert_eq!(
        door.wait("digit", digit).await,
        ('9', DigitVia::TelephoneEvent, false)
    );
    door.command(LegCommand::End {
        leg: LegId(1),
        cause: Cause::Released,
    })
    .await;
    let ended = |e: &LegEvent| {
        if let LegEvent::Ended { cause, .. } = e {
            Some(*cause)
        } else {
            None
        }
    };
    assert_eq!(phone.wait("end", ended).await, Cause::Normal);
    // One press is one digit: whatever came besides would have been reported before the end.
    assert_eq!(
        door.wait("own end", |e| digit(e)
            .map(|_| None)
            .or_else(|| ended(e).map(Some)))
            .await,
        Some(Cause::Released)
    );
    assert_eq!(door.handle.stats().await.expect("runs").digits, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_udp_carries_audio_and_a_digit() {
    let mut door = Phone::start(params(41_000, Srtp::Off), 440.0, 1000.0).await;
    let mut phone = Phone::start(params(41_040, Srtp::Off), 1000.0, 440.0).await;
    let target = format!("sip:phone@127.0.0.1:{}", phone.port(Transport::Udp).await);
    talk(&mut door, &mut phone, target).await;
    door.handle.shutdown().await;
    phone.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_pressed_after_the_answer_as_events_and_by_info() {
    for (rtp, by, expected) in [
        (41_800, KeysBy::Auto, DigitVia::TelephoneEvent),
        (41_880, KeysBy::Info, DigitVia::Info),
    ] {
        let door = Phone::start(params(rtp, Srtp::Off), 440.0, 1000.0).await;
        let mut phone = Phone::start(params(rtp + 40, Srtp::Off), 1000.0, 440.0).await;
        let target = format!("sip:phone@127.0.0.1:{}", phone.port(Transport::Udp).await);
        let manner = Manner {
            keys: Some(Keys {
                digits: "12#".into(),
                by,
            }),
            ..Manner::default()
        };
        offer_as(&door, target, manner).await;
        let incoming = |e: &LegEvent| match e {
            LegEvent::Incoming { leg, .. } => Some(*leg),
            _ => None,
        };
        let leg = phone.wait("incoming call", incoming).await;
        phone.command(LegCommand::Answer { leg }).await;
        let digit = |e: &LegEvent| match e {
            LegEvent::Digit { digit, via, .. } => Some((*digit, *via)),
            _ => None,
        };
        for key in ['1', '2', '#'] {
            assert_eq!(phone.wait("a key", digit).await, (key, expected));
        }
        door.handle.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_ipv6_carries_audio_and_a_digit() {
    let six = |rtp| SipParams {
        bind: IpAddr::V6(Ipv6Addr::LOCALHOST),
        direct_peers: BTreeSet::from([IpAddr::V6(Ipv6Addr::LOCALHOST)]),
        ..params(rtp, Srtp::Optional)
    };
    let mut door = Phone::start(six(41_440), 440.0, 1000.0).await;
    let mut phone = Phone::start(six(41_480), 1000.0, 440.0).await;
    let target = format!("sip:phone@[::1]:{}", phone.port(Transport::Udp).await);
    talk(&mut door, &mut phone, target).await;
}

/// The unspecified address of either family serves both, over UDP and TCP, with media.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_bound_to_every_address_is_called_over_ipv4_and_ipv6() {
    let mut rtp = 43_000;
    for any in [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()] {
        for (ours, host) in [(LOOPBACK, "127.0.0.1"), (Ipv6Addr::LOCALHOST.into(), "[::1]")] {
            for transport in [Transport::Udp, Transport::Tcp] {
                let at = |bind, rtp| SipParams {
                    bind,
                    direct_peers: BTreeSet::from([ours]),
                    ..params(rtp, Srtp::Off)
                };
                let mut door = Phone::start(at(any, rtp), 440.0, 1000.0).await;
                let mut phone = Phone::start(at(ours, rtp + 40), 1000.0, 440.0).await;
                let port = phone.port(transport).await;
                let target = format!("sip:phone@{host}:{port};transport={transport}");
                talk(&mut door, &mut phone, target).await;
                let port = door.port(transport).await;
                let target = format!("sip:door@{host}:{port};transport={transport}");
                offer(&phone, target).await;
                let incoming = |e: &LegEvent| matches!(e, LegEvent::Incoming { .. }).then_some(());
                door.wait("incoming call", incoming).await;
                door.handle.shutdown().await;
                phone.handle.shutdown().await;
                rtp += 80;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_free_media_port_is_a_fault_and_ends() {
    let mut few = params(41_520, Srtp::Off);
    few.rtp_ports = 41_520..=41_521;
    let _taken = std::net::UdpSocket::bind("127.0.0.1:41521").expect("a free port");
    let mut door = Phone::start(few, 440.0, 1000.0).await;
    offer(&door, "sip:phone@127.0.0.1:9".into()).await;
    match door.next().await {
        SipEvent::Fault(text) => assert!(text.contains("no free RTP port pair"), "{text}"),
        other => panic!("{other:?}"),
    }
    match door.next().await {
        SipEvent::Leg(LegEvent::Ended { cause, .. }) => assert_eq!(cause, Cause::Media),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_tls_with_srtp_carries_audio_and_a_digit() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let (cert_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert_file, made.cert.pem()).expect("written");
    std::fs::write(&key_file, made.signing_key.serialize_pem()).expect("written");
    let mut caller = params(41_080, Srtp::Required);
    caller.direct_tls = TlsTrust {
        ca_file: Some(cert_file.clone()),
        ..TlsTrust::default()
    };
    let mut called = params(41_120, Srtp::Optional);
    called.tls_port = Some(0);
    called.tls_identity = Some(TlsListener {
        identity: TlsIdentity { cert_file, key_file },
        client_ca_file: None,
    });
    let mut door = Phone::start(caller, 440.0, 1000.0).await;
    let mut phone = Phone::start(called, 1000.0, 440.0).await;
    let port = phone.port(Transport::Tls).await;
    talk(
        &mut door,
        &mut phone,
        format!("sip:phone@127.0.0.1:{port};transport=tls"),
    )
    .await;
    // Who does not trust the certificate is not talked to.
    let mut stranger = Phone::start(params(41_160, Srtp::Off), 440.0, 1000.0).await;
    offer(&stranger, format!("sip:phone@127.0.0.1:{port};transport=tls")).await;
    let ended = |e: &LegEvent| {
        if let LegEvent::Ended { cause, detail, .. } = e {
            Some((*cause, detail.clone()))
        } else {
            None
        }
    };
    let (cause, detail) = stranger.wait("end", ended).await;
    assert_eq!(cause, Cause::Unreachable);
    assert!(detail.contains("certificate"), "{detail}");
}

/// A certificate that signs itself, for `host`, in files of `folder`.
fn certificate(folder: &std::path::Path, name: &str, host: &str) -> TlsIdentity {
    let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).expect("a certificate");
    let identity = TlsIdentity {
        cert_file: folder.join(format!("{name}.crt")),
        key_file: folder.join(format!("{name}.key")),
    };
    std::fs::write(&identity.cert_file, made.cert.pem()).expect("written");
    std::fs::write(&identity.key_file, made.signing_key.serialize_pem()).expect("written");
    identity
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_a_certificate_that_is_asked_for_is_let_in_and_a_name_counts_unless_told_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = certificate(folder.path(), "server", "pbx.example");
    let own = certificate(folder.path(), "door", "door.example");
    let mut called = params(41_600, Srtp::Off);
    called.tls_port = Some(0);
    called.tls_identity = Some(TlsListener {
        identity: server.clone(),
        client_ca_file: Some(own.cert_file.clone()),
    });
    let mut phone = Phone::start(called, 1000.0, 440.0).await;
    let port = phone.port(Transport::Tls).await;
    let target = format!("sip:phone@127.0.0.1:{port};transport=tls");
    let trust = |check_name, identity| TlsTrust {
        ca_file: Some(server.cert_file.clone()),
        check_name,
        identity,
        ..TlsTrust::default()
    };
    let ended = |e: &LegEvent| match e {
        LegEvent::Ended { cause, detail, .. } => Some((*cause, detail.clone())),
        _ => None,
    };
    let refused = async |rtp, trust| {
        let mut door = params(rtp, Srtp::Off);
        door.direct_tls = trust;
        let mut door = Phone::start(door, 440.0, 1000.0).await;
        offer(&door, target.clone()).await;
        door.wait("end", ended).await
    };
    let (cause, detail) = refused(41_640, trust(true, Some(own.clone()))).await;
    assert_eq!(cause, Cause::Unreachable);
    assert!(detail.contains("for another host name"), "{detail}");
    let (cause, _) = refused(41_680, trust(false, None)).await;
    assert_eq!(cause, Cause::Unreachable, "without a certificate");
    let other = certificate(folder.path(), "other", "door.example");
    let (cause, _) = refused(41_720, trust(false, Some(other))).await;
    assert_eq!(cause, Cause::Unreachable, "with one that nobody there knows");

    let mut door = params(41_760, Srtp::Off);
    door.direct_tls = trust(false, Some(own));
    let mut door = Phone::start(door, 440.0, 1000.0).await;
    talk(&mut door, &mut phone, target).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn srtp_that_only_one_side_has_is_no_common_media() {
    let door = Phone::start(params(41_200, Srtp::Required), 440.0, 1000.0).await;
    let phone = Phone::start(params(41_240, Srtp::Off), 1000.0, 440.0).await;
    let mut door = door;
    offer(
        &door,
        format!(
            "sip:phone@127.0.0.1:{};transport=tcp",
            phone.port(Transport::Tcp).await
        ),
    )
    .await;
    let ended = |e: &LegEvent| {
        if let LegEvent::Ended { cause, detail, .. } = e {
            Some((*cause, detail.clone()))
        } else {
            None
        }
    };
    let (cause, detail) = door.wait("end", ended).await;
    assert_eq!(
        (cause, detail.as_str()),
        (Cause::Media, "488 Not Acceptable Here")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_counted_and_limited() {
    let mut params = params(41_280, Srtp::Off);
    params.direct_peers.clear();
    let mut door = Phone::start(params, 440.0, 1000.0).await;
    let port = door.port(Transport::Udp).await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    socket.connect((LOOPBACK, port)).await.expect("loopback");
    // As many as the kernel surely keeps while the engine is busy.
    for n in 0..60 {
        let invite = format!(
            "INVITE sip:503@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK{n}\r\n\
             From: <sip:1@x>;tag=t{n}\r\nTo: <sip:503@x>\r\nCall-ID: c{n}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
             Contact: <sip:1@127.0.0.1>\r\nContent-Length: 0\r\n\r\n"
        );
        socket.send(invite.as_bytes()).await.expect("sent");
    }
    let mut buffer = [0; 2000];
    let length = tokio::time::timeout(LIMIT, socket.recv(&mut buffer))
        .await
        .expect("an answer in time")
        .expect("an answer");
    assert!(buffer[..length].starts_with(b"SIP/2.0 403"));
    match door.next().await {
        SipEvent::Stranger(report) => assert_eq!(report.method, "INVITE"),
        other => panic!("{other:?}"),
    }
    let count = async {
        loop {
            let stats = door.handle.stats().await.expect("runs");
            if stats.dropped + stats.strangers >= 60 {
                return stats;
            }
            tokio::task::yield_now().await;
        }
    };
    let stats = tokio::time::timeout(LIMIT, count).await.expect("all 60 counted");
    assert!(stats.dropped >= 30, "{stats:?}");
    assert_eq!(stats.calls, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_whose_description_names_a_host_is_answered() {
    let mut door = Phone::start(params(41_560, Srtp::Off), 440.0, 1000.0).await;
    let port = door.port(Transport::Udp).await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    socket.connect((LOOPBACK, port)).await.expect("loopback");
    let own = socket.local_addr().expect("bound").port();
    for (n, host, code) in [(1, "localhost", "200"), (2, "nowhere.localhost.invalid", "488")] {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"
        );
        let invite = format!(
            "INVITE sip:503@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};rport;branch=z9hG4bK{n}\r\n\
             From: <sip:1@x>;tag=t{n}\r\nTo: <sip:503@x>\r\nCall-ID: c{n}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
             Contact: <sip:1@127.0.0.1:{own}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        socket.send(invite.as_bytes()).await.expect("sent");
        if code == "200" {
            let incoming = |e: &LegEvent| {
                if let LegEvent::Incoming { leg, .. } = e {
                    Some(*leg)
                } else {
                    None
                }
            };
            let leg = door.wait("incoming call", incoming).await;
            door.command(LegCommand::Answer { leg }).await;
        }
        let mut buffer = [0; 4000];
        let answer = async {
            loop {
                let length = socket.recv(&mut buffer).await.expect("an answer");
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let of_this = text.contains(&format!("Call-ID: c{n}\r\n"));
                if of_this && text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1") {
                    return text;
                }
            }
        };
        let text = tokio::time::timeout(LIMIT, answer)
            .await
            .expect("an answer in time");
        assert_eq!(text.split(' ').nth(1), Some(code), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_one_source_are_bounded_and_keep_alives_answered() {
    let door = Phone::start(params(41_320, Srtp::Off), 440.0, 1000.0).await;
    let port = door.port(Transport::Tcp).await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = tokio::net::TcpStream::connect((LOOPBACK, port))
            .await
            .expect("accepted");
        stream.write_all(b"\r\n\r\n").await.expect("sent");
        let mut pong = [0; 2];
        tokio::time::timeout(LIMIT, stream.read_exact(&mut pong))
            .await
            .expect("a pong in time")
            .expect("a pong");
        assert_eq!(&pong, b"\r\n");
        streams.push(stream);
    }
    let mut ninth = tokio::net::TcpStream::connect((LOOPBACK, port))
        .await
        .expect("the backlog takes it");
    let mut rest = Vec::new();
    // Closed at once, by end or by reset.
    let _ = tokio::time::timeout(LIMIT, ninth.read_to_end(&mut rest))
        .await
        .expect("closed in time");
    assert!(rest.is_empty());
    assert_eq!(door.handle.stats().await.expect("runs").dropped, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_that_hold_connections_keep_no_listed_peer_out_and_are_told() {
    let mut door = Phone::start(params(41_800, Srtp::Off), 440.0, 1000.0).await;
    let port = door.port(Transport::Tcp).await;
    let mut crowd = Vec::new();
    for n in 0..80_u8 {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        let from = Ipv4Addr::new(127, 0, 0, 2 + n / 8);
        socket.bind((from, 0).into()).expect("loopback is a /8");
        crowd.push(
            socket
                .connect((LOOPBACK, port).into())
                .await
                .expect("the backlog"),
        );
    }
    let pong = async |stream: &mut tokio::net::TcpStream| {
        stream.write_all(b"\r\n\r\n").await.expect("sent");
        let mut pong = [0; 2];
        tokio::time::timeout(LIMIT, stream.read_exact(&mut pong))
            .await
            .expect("a pong in time")
            .expect("a pong");
    };
    let mut listed = tokio::net::TcpStream::connect((LOOPBACK, port))
        .await
        .expect("accepted");
    pong(&mut listed).await;
    // whoever came last made those before him leave
    pong(crowd.last_mut().expect("80")).await;
    let SipEvent::Stranger(report) = door.next().await else {
        panic!("no stranger");
    };
    assert_eq!(report.method, "connection");
    assert!(door.handle.stats().await.expect("runs").dropped >= 48);
    // empty lines keep nobody's seat
    let (mut reader, mut writer) = crowd.pop().expect("80").into_split();
    let lines = async {
        while writer.write_all(b"\r\n\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        std::future::pending::<()>().await;
    };
    let end = async {
        let mut rest = Vec::new();
        // By end or by reset.
        let _ = reader.read_to_end(&mut rest).await;
    };
    tokio::select! {
        () = lines => {}
        () = end => {}
        () = tokio::time::sleep(LIMIT) => panic!("still open"),
    }
    pong(&mut listed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_starts_and_stops_accounts_and_refuses_other_ports() {
    let first = params(41_360, Srtp::Off);
    let mut door = Phone::start(first.clone(), 440.0, 1000.0).await;
    let mut with_trunk = first.clone();
    with_trunk.accounts.push(AccountParams {
        id: gateway_core::AccountId::new("trunk").expect("a name"),
        domain: "127.0.0.1".into(),
        user: "503".into(),
        auth_user: None,
        password: gateway_core::Secret::new(""),
        display: String::new(),
        transport: Some(Transport::Udp),
        port: Some(9),
        proxy: None,
        routes: Vec::new(),
        caller_hosts: Some(Vec::new()),
        expires: Duration::from_secs(300),
        register: false,
        privacy: gateway_sip_io::Privacy::Off,
        provisional: Provisional::default(),
        publish: false,
        keep_alive: gateway_sip_io::KeepAlive::default(),
        manner: gateway_core::Manner::default(),
        codecs: first.direct_codecs.clone(),
        srtp: Srtp::Off,
        srtp_keys: SrtpKeys::Sdes,
        ice: Ice::Off,
        symmetric: true,
        silences: false,
        feedback: false,
        timer: Some(SessionTimer::default()),
        tls: TlsTrust::default(),
        callees: Callees::default(),
    });
    door.handle.apply(with_trunk.clone()).await.expect("taken");
    match door.next().await {
        SipEvent::Account(report) => assert_eq!(report.state, gateway_core::AccountState::Registered),
        other => panic!("{other:?}"),
    }
    door.handle.apply(with_trunk.clone()).await.expect("taken");
    door.handle.apply(first).await.expect("taken");
    // The second reload changed nothing, so the next news is the end of the trunk.
    match door.next().await {
        SipEvent::Account(report) => assert_eq!(report.state, gateway_core::AccountState::Off),
        other => panic!("{other:?}"),
    }
    with_trunk.udp_port = 5999;
    let refused = door.handle.apply(with_trunk).await.expect_err("needs a restart");
    assert!(refused.to_string().contains("sip.udp-port"), "{refused}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_and_opened_once_it_is_free() {
    let taken = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let at = taken.local_addr().expect("bound");
    let mut params = params(41_400, Srtp::Off);
    params.udp_port = at.port();
    let (sender, _events) = mpsc::channel(8);
    let engine = SipEngine::start(params, Arc::new(Boottime), sender).await;
    let engine = engine.expect("what else there is goes on");
    let mut fault = engine.listen_fault();
    let text = fault.borrow_and_update().clone().expect("a fault");
    assert!(
        text.starts_with(&format!("cannot listen on UDP {at}: the port is taken")),
        "{text}"
    );
    assert!(text.contains("sip.udp-port"), "{text}");
    drop(taken);
    let opened = fault.wait_for(Option::is_none);
    let opened = tokio::time::timeout(LIMIT, opened).await.expect("in time");
    opened.expect("the engine runs");
    let listening = engine.listening().await.expect("it runs");
    assert!(listening.contains(&(Transport::Udp, at)), "{listening:?}");
}
