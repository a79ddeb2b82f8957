//! The marks (DSCP) of what leaves the engine, as the kernel reports them at the receiver: SIP over UDP, and RTP.

use std::collections::BTreeSet;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use adapter_api::{AudioPort, Frame};
use gateway_core::{Clock, Instant, LegCommand, LegEvent, LegId, LineId, PanelId, RingId, Timestamp};
use gateway_sip_io::{Callee, Callees, SipEngine, SipEvent, SipParams};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use tokio::sync::mpsc;

/// Longest wait for a datagram; a loaded machine is slow, an engine that sends none never gets there.
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

/// A line on which nobody speaks.
struct Silence;

impl AudioPort for Silence {
    fn capture(&mut self, frame: &mut Frame) {
        frame.fill(0);
    }

    fn playback(&mut self, _frame: &Frame) {}
}

/// A telephone of nothing but sockets that tell the traffic class of what they receive.
struct Socket(UdpSocket);

impl Socket {
    fn open(ip: IpAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        socket.set_read_timeout(Some(LIMIT)).expect("set");
        if ip.is_ipv4() {
            setsockopt(&socket, sockopt::IpRecvTos, &true).expect("set");
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvTClass, &true).expect("set");
        }
        Self(socket)
    }

    fn at(&self) -> SocketAddr {
        self.0.local_addr().expect("bound")
    }

    /// The next datagram: code point, bytes, sender.
    fn receive(&self) -> (u8, Vec<u8>, SocketAddr) {
        let (mut bytes, mut control) = (vec![0; 65_535], [0; 64]);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let message = recvmsg::<SockaddrStorage>(
            self.0.as_raw_fd(),
            &mut parts,
            Some(control.as_mut_slice()),
            MsgFlags::empty(),
        )
        .expect("a datagram in time");
        let class = message.cmsgs().expect("room for it").find_map(|part| {
            if let ControlMessageOwned::Ipv4Tos(tos) = part {
                Some(tos)
            } else if let ControlMessageOwned::Ipv6TClass(class) = part {
                u8::try_from(class).ok()
            } else {
                None
            }
        });
        let from = message.address.expect("a sender");
        let from = from
            .as_sockaddr_in()
            .map(|v4| SocketAddr::new(v4.ip().into(), v4.port()))
            .or_else(|| {
                from.as_sockaddr_in6()
                    .map(|v6| SocketAddr::new(v6.ip().into(), v6.port()))
            })
            .expect("an internet address");
        let length = message.bytes;
        bytes.truncate(length);
        (class.expect("a traffic class") >> 2, bytes, from)
    }
}

/// The lines of a request that its answer repeats (RFC 3261 §8.2.6.2), and what makes it a 200 with a description.
fn answer(invite: &str, sip: SocketAddr, rtp: SocketAddr) -> String {
    let kept = ["Via:", "From:", "Call-ID:", "CSeq:", "Record-Route:"];
    let mut text = String::from("SIP/2.0 200 OK\r\n");
    for line in invite.lines() {
        if kept.iter().any(|name| line.starts_with(name)) {
            text += &format!("{line}\r\n");
        } else if line.starts_with("To:") {
            text += &format!("{line};tag=phone\r\n");
        }
    }
    let family = if rtp.is_ipv4() { "IP4" } else { "IP6" };
    let sdp = format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
        ip = rtp.ip(),
        port = rtp.port()
    );
    text += &format!(
        "Contact: <sip:phone@{sip}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    text
}

async fn marks(ip: IpAddr, rtp_ports: std::ops::RangeInclusive<u16>, dscp: u8, rtp_dscp: u8) {
    let line = LineId::new("line").expect("a name");
    let params = SipParams {
        bind: ip,
        udp_port: 0,
        tcp_port: None,
        rtp_ports,
        dscp,
        rtp_dscp,
        direct_peers: BTreeSet::from([ip]),
        direct_callees: Callees {
            otherwise: Some(Callee {
                line: line.clone(),
                names: Vec::new(),
                panel: PanelId::new("panel").expect("a name"),
            }),
            ..Callees::default()
        },
        ..SipParams::default()
    };
    let (sender, mut events) = mpsc::channel(256);
    let handle = SipEngine::start(params, Arc::new(Boottime), sender)
        .await
        .expect("loopback ports are free");
    let engine = handle.clone();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let SipEvent::Leg(LegEvent::Answered { leg, .. }) = event {
                engine
                    .command(LegCommand::Connect { leg })
                    .await
                    .expect("the engine runs");
            }
        }
    });
    handle
        .attach_line(line.clone(), Box::new(Silence))
        .expect("the engine runs");
    let (sip, rtp) = (Socket::open(ip), Socket::open(ip));
    let offer = LegCommand::Offer {
        account: None,
        display: "Main entrance".into(),
        leg: LegId(1),
        line,
        manner: gateway_core::Manner::default(),
        patience: None,
        ring: RingId::new(1, [1; 10]),
        target: format!("sip:phone@{}", sip.at()),
    };
    handle.command(offer).await.expect("the engine runs");
    let seen = tokio::task::spawn_blocking(move || {
        let (signalling, invite, door) = sip.receive();
        let invite = String::from_utf8(invite).expect("text");
        assert!(invite.starts_with("INVITE "), "{invite}");
        let answer = answer(&invite, sip.at(), rtp.at());
        sip.0.send_to(answer.as_bytes(), door).expect("sent");
        (signalling, rtp.receive().0)
    });
    assert_eq!(seen.await.expect("seen"), (dscp, rtp_dscp));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sip_and_rtp_are_marked_over_ipv4() {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    marks(ip, 41_600..=41_603, 40, 46).await;
    marks(ip, 41_604..=41_607, 24, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sip_and_rtp_are_marked_over_ipv6() {
    let ip = IpAddr::V6(Ipv6Addr::LOCALHOST);
    marks(ip, 41_608..=41_611, 40, 46).await;
    marks(ip, 41_612..=41_615, 24, 8).await;
}
