//! Whoever sends what he should not: junk at the ports of a call, and offers to go on in clear.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::ensure;
use peers::{Account, Gateway, Phone, PhoneParams, Sipp, Site, Sound, Use, run, until};

use crate::secs;
use crate::story::nine_opens;

/// Sends what looks like speech and keys to a port, 10 000 packets a second, until it is dropped.
struct Junk {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Junk {
    fn start(from: &str, port: u16) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(("127.0.0.1", port))?;
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut sent = 0;
            while !stopped.load(Ordering::Relaxed) {
                for n in 0..100_u8 {
                    let kind = if n.is_multiple_of(2) { 8 } else { 101 };
                    let packet = [0x80, kind, n, n, 0, 0, 0, n, 6, 6, 6, 6, 9, 10, 0, 160];
                    // what has no room is not sent
                    sent += u64::from(socket.send(&packet).is_ok());
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            sent
        });
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Ends it; how many packets were sent.
    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or(0)
    }
}

impl Drop for Junk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_flood_of_junk_at_the_ports_of_a_call_costs_neither_its_speech_nor_its_keys() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(1, "anna"))?;
        let site = Site {
            targets: vec![phone.address()],
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        let rtp = rig.ports.gateway_rtp().0;
        // from another machine, and from the phone's own address as somebody behind the same router
        let far = Junk::start("127.0.0.2", rtp)?;
        let near = Junk::start("127.0.0.1", rtp)?;
        let reports = Junk::start("127.0.0.2", rtp + 1)?;
        let at_door = || Sound::read(&Site::heard(rig)).map_or(0.0, |sound| sound.seconds());
        let before = at_door();
        let at_phone = until(secs(15), "4 s of sound at the phone", || {
            Ok(phone.recording().ok().filter(|sound| sound.seconds() > 4.0))
        })?;
        until(secs(15), "4 s of sound at the door", || {
            Ok((at_door() > before + 4.0).then_some(()))
        })?;
        let tone = at_phone.last(3.0).tone(440.0);
        let level = Sound::read(&Site::heard(rig))?.last(3.0).level_dbfs();
        rig.measured(
            "speech under the flood",
            format!("440 Hz {tone:.2} at the phone, {level:.1} dBFS at the door"),
        );
        ensure!(tone > 0.8 && level > -20.0, "440 Hz {tone:.2}, {level:.1} dBFS");
        nine_opens(rig, &mut gateway, &mut phone)?;
        let sent = [far.end(), near.end(), reports.end()];
        rig.measured("packets of junk in the call", format!("{sent:?}"));
        ensure!(sent.iter().all(|sent| *sent > 20_000), "{sent:?} is no flood");
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(5), |_| true)?;
        until(secs(5), "the log to tell of it", || {
            let log = gateway.log();
            Ok(log
                .contains("strangers sent packets to a port of this call")
                .then_some(()))
        })?;
        ensure!(
            gateway.log().contains("keys of the call came this way"),
            "{}",
            gateway.log()
        );
        gateway.verify()
    });
}

/// Calls the door with keys for its speech, wants to go on without them, twice, by UPDATE and by re-INVITE, is refused, and
/// opens the door in the same call.
const CALLS_WITH_KEYS: &str = r#"<?xml version="1.0" encoding="ISO-8859-1"?>
<scenario name="calls with keys">
INVITE1
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="200"><action>
    <ereg regexp="a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" search_in="body" check_it="true" assign_to="1"/>
  </action></recv>
  <send><![CDATA[

HEAD ACK 1
Content-Length: 0

  ]]></send>
  <pause milliseconds="300"/>
  <send retrans="500"><![CDATA[

HEAD UPDATE 2
PLAIN
  ]]></send>
  <recv response="488"/>
  <send retrans="500"><![CDATA[

HEAD INVITE 3
PLAIN
  ]]></send>
  <recv response="100" optional="true"/>
  <recv response="488"/>
  <send><![CDATA[

ACK sip:200@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch-3]
Max-Forwards: 70
From: <sip:101@127.0.0.1>;tag=peer[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 3 ACK
Content-Length: 0

  ]]></send>
  <send retrans="500"><![CDATA[

HEAD INFO 4
Content-Type: application/dtmf-relay
Content-Length: [len]

Signal=9
Duration=160

  ]]></send>
  <recv response="200"/>
  <pause milliseconds="1000"/>
  <send retrans="500"><![CDATA[

HEAD BYE 5
Content-Length: 0

  ]]></send>
  <recv response="200"/>
  <Reference variables="1"/>
</scenario>
"#;

fn calls_with_keys() -> String {
    let plain = "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=peer 1 2 IN IP4 [media_ip]\ns=-\n\
                 c=IN IP4 [media_ip]\nt=0 0\nm=audio [media_port] RTP/AVP 8\na=rtpmap:8 PCMA/8000\n";
    let keyed = format!(
        "{plain}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\n"
    );
    let head = |method: &str, n: &str| {
        let to = if n == "1" && method == "INVITE" {
            "To: <sip:200@[remote_ip]>"
        } else {
            "[last_To:]"
        };
        format!(
            "{method} sip:200@[remote_ip]:[remote_port] SIP/2.0\n\
             Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n\
             From: <sip:101@127.0.0.1>;tag=peer[call_number]\n{to}\nCall-ID: [call_id]\nCSeq: {n} {method}\n\
             Contact: <sip:101@[local_ip]:[local_port]>"
        )
    };
    let first = format!(
        "  <send retrans=\"500\"><![CDATA[\n\n{}\n{keyed}\n  ]]></send>",
        head("INVITE", "1")
    );
    let mut text = CALLS_WITH_KEYS.replace("INVITE1", &first).replace("PLAIN", plain);
    for (method, n) in [
        ("ACK", "1"),
        ("UPDATE", "2"),
        ("INVITE", "3"),
        ("INFO", "4"),
        ("BYE", "5"),
    ] {
        text = text.replace(&format!("HEAD {method} {n}"), &head(method, n));
    }
    text
}

#[test]
fn a_call_that_began_with_keys_stays_encrypted_where_a_call_may_be_in_clear_and_goes_on() {
    run(|rig| {
        let site = Site {
            account: Some(Account {
                more: "register = false\nsrtp = \"optional\"\n",
                port: Some(rig.port(Use::PhoneSip(0))),
                ..Account::default()
            }),
            callers: vec!["101".into()],
            targets: vec!["sip:nobody@127.0.0.1:9".into()],
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let mut peer = Sipp::written(rig, &calls_with_keys(), true)?;
        gateway.energised(secs(20))?;
        peer.done(secs(20))?;
        gateway.released(secs(10))?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        gateway.verify()
    });
}
