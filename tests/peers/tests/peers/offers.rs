//! Offers while nobody has answered the call (RFC 3262 §5, RFC 3311 §5): speech goes where the last one wants it.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use peers::{Gateway, Reflector, Rig, Sipp, Site, Sound, Use, run, until};

use crate::secs;

const PCMA: u8 = 8;
const PCMU: u8 = 0;
/// The digital milliwatt of µ-law, 1000 Hz (ITU-T G.711 table 6).
const MILLIWATT: [u8; 8] = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e];
/// An address of the machine that is nobody's in these tests: from there nobody is heard who was not announced.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Samples of a packet, 20 ms.
const SAMPLES: u16 = 160;

/// Ports for speech that SIPp itself, which has those of phone 1, does not use.
fn ports(rig: &Rig) -> [u16; 3] {
    [4, 6, 8].map(|n| rig.ports.phone_rtp(1).0 + n)
}

/// A caller that is rung for moves its speech twice before the door answers.
#[test]
fn a_caller_moves_its_speech_by_offers_in_prack_and_update_before_the_door_answers() {
    run(|rig| {
        let ports = ports(rig);
        let [first, second, third] = ports.map(|port| Reflector::start(port, None));
        let [first, second, third] = [first?, second?, third?];
        let site = Site {
            callers: vec![Sipp::address_of(rig, 1)],
            targets: vec!["sip:nobody@127.0.0.1:9".into()],
            ..Site::default()
        };
        let panel = "name = \"Main entrance\"\nline = \"riser\"\n";
        let keys = "answer-by-button-s = 60\nring-back = \"gateway\"\n";
        let text = site.text(rig).replacen(panel, &format!("{panel}{keys}"), 1);
        let gateway = Gateway::start(rig, &text)?;
        let to = format!("127.0.0.1:{}", rig.port(Use::Sip));
        let [a, b, c] = ports.map(|port| port.to_string());
        let more = [
            "-key", "first", &a, "-key", "second", &b, "-key", "third", &c, &to,
        ];
        let mut peer = Sipp::elsewhere(rig, 1, "offers-before-the-answer", (&[], "127.0.0.1"), (1, &more))?;
        let comes = |at: &Reflector, kind: u8, packets: u64| {
            let last = at.last().filter(|last| last.kind == kind);
            Ok(last.filter(|last| last.count >= packets).map(drop))
        };
        until(secs(15), "ring-back where the PRACK wants it", || {
            comes(&second, PCMA, 20)
        })?;
        until(
            secs(15),
            "ring-back where the UPDATE wants it, in its codec",
            || comes(&third, PCMU, 50),
        )?;
        let left = |of: &Reflector| of.last().map_or(0, |last| last.count);
        let before = [left(&first), left(&second)];
        gateway.sim(&["press", "main", "bell", "--ms", "100"])?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        // what the visitor says goes there, and what comes from there is heard: it is sent back
        let tone = until(secs(15), "the visitor's tone, there and back", || {
            let heard = Sound::read(&Site::heard(rig)).ok();
            let heard = heard.filter(|sound| sound.seconds() > 2.0);
            Ok(heard.map(|s| s.last(1.0).tone(440.0)).filter(|tone| *tone > 0.8))
        })?;
        rig.measured(
            "the visitor's tone back from the third port",
            format!("{tone:.2} of the energy at 440 Hz"),
        );
        peer.done(secs(30))?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        let after = [left(&first), left(&second)];
        ensure!(
            after == before,
            "speech went where it was not wanted any more: {before:?} {after:?}"
        );
        gateway.verify()
    });
}

/// The port for speech of the first description that the gateway sent.
fn offered(peer: &Sipp) -> anyhow::Result<Option<u16>> {
    let messages = peer.messages();
    let port = messages
        .split_once("m=audio ")
        .and_then(|(_, rest)| rest.split(' ').next());
    Ok(port.map(str::parse).transpose()?)
}

/// Sends the tone for a while, a packet every 20 ms.
fn speak(from: &UdpSocket, to: u16, sequence: &mut u16, time: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        let mut packet = vec![0x80, PCMU];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(*sequence) * u32::from(SAMPLES)).to_be_bytes());
        packet.extend(0x0d00_0001_u32.to_be_bytes());
        packet.extend(MILLIWATT.iter().cycle().take(usize::from(SAMPLES)));
        from.send_to(&packet, (Ipv4Addr::LOCALHOST, to))?;
        *sequence += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// RTP of speech that waits: how many packets of each kind, 0 to 127.
fn waiting(at: &UdpSocket) -> anyhow::Result<[usize; 128]> {
    at.set_nonblocking(true)?;
    let (mut kinds, mut buffer) = ([0; 128], [0; 2048]);
    while let Ok((length, _)) = at.recv_from(&mut buffer) {
        if length > 12 && !(192..=223).contains(&buffer[1]) {
            kinds[usize::from(buffer[1] & 0x7f)] += 1;
        }
    }
    Ok(kinds)
}

/// A phone that rings moves its speech before it answers: it is heard from there at once, and talked to there.
#[test]
fn a_phone_moves_its_early_media_by_an_offer_in_update_before_it_answers() {
    run(|rig| {
        let [first, second, _] = ports(rig);
        let at_first = UdpSocket::bind((Ipv4Addr::LOCALHOST, first))?;
        let at_second = UdpSocket::bind((ELSEWHERE, second))?;
        let [a, b] = [first, second].map(|port| port.to_string());
        let elsewhere = ELSEWHERE.to_string();
        let more = [
            "-key",
            "first",
            &a,
            "-key",
            "second",
            &b,
            "-key",
            "elsewhere",
            &elsewhere,
        ];
        let mut peer = Sipp::elsewhere(rig, 1, "rings-and-offers", (&[], "127.0.0.1"), (1, &more))?;
        let site = Site {
            targets: vec![Sipp::address_of(rig, 1)],
            ..Site::default()
        };
        let gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        let door = until(secs(15), "an offer of the door's", || offered(&peer))?;
        let mut sequence = 1;
        let tone = until(secs(7), "the tone at the door, from the second port", || {
            speak(&at_second, door, &mut sequence, Duration::from_millis(500))?;
            let heard = Sound::read(&Site::heard(rig)).ok();
            let heard = heard.filter(|sound| sound.seconds() > 1.0);
            Ok(heard.map(|s| s.last(0.5).tone(1000.0)).filter(|tone| *tone > 0.8))
        })?;
        rig.measured(
            "early media at the door from the second port",
            format!("{tone:.2} of the energy at 1000 Hz"),
        );
        let answered =
            || Ok::<_, anyhow::Error>(gateway.events()?.iter().any(|e| e["kind"] == "call.answered"));
        ensure!(!answered()?, "nobody has answered");
        waiting(&at_first)?;
        gateway.event(0, "call.answered", secs(15), |_| true)?;
        waiting(&at_second)?;
        until(
            secs(3),
            "speech of the door's at the second port, in its codec",
            || {
                speak(&at_second, door, &mut sequence, Duration::from_millis(500))?;
                let kinds = waiting(&at_second)?;
                let pcmu = kinds[usize::from(PCMU)];
                ensure!(kinds.iter().sum::<usize>() == pcmu, "another codec: {kinds:?}");
                Ok((pcmu > 20).then_some(()))
            },
        )?;
        let tone = Sound::read(&Site::heard(rig)).context("what the visitor hears")?;
        ensure!(
            tone.last(0.5).tone(1000.0) > 0.8,
            "the phone is not heard any more"
        );
        peer.done(secs(30))?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        let kinds = waiting(&at_first)?;
        ensure!(kinds == [0; 128], "speech went to the first port: {kinds:?}");
        gateway.verify()
    });
}
