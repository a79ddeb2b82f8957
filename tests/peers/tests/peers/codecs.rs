//! Wideband speech with others' programs: G.722 and Opus both ways, hold, other codecs and packet lengths in the middle of
//! a call, and payload types that each side gives itself.

use anyhow::{Context, ensure};
use peers::{
    Account, Asterisk, Gateway, Passed, PbxParams, Phone, PhoneParams, Reflector, Rig, Sipp, Site, Sound,
    Use, run, until, wide_sweep,
};

use crate::secs;

/// What a glide from 2000 to 6500 Hz has in common with itself behind a wideband codec, at least.
const WIDE: f64 = 0.65;
/// The same behind a telephone codec: what of it is below 3400 Hz, and some of what follows.
const NARROW: std::ops::Range<f64> = 0.15..0.6;

/// A visitor whose voice has all that wideband carries.
fn visitor(rig: &Rig) -> anyhow::Result<(String, Sound)> {
    let path = rig.path("visitor.wav");
    let sound = wide_sweep(&path, 2000.0, 6500.0, 2)?;
    Ok((path.display().to_string(), sound))
}

/// What the visitor has heard in the last seconds.
fn at_door(rig: &Rig, seconds: f64) -> anyhow::Result<Sound> {
    Ok(Sound::read_wide(&Site::heard(rig))?.last(seconds))
}

/// What one side hears is what the other says, with the upper half of the band.
fn hears(rig: &Rig, what: &str, heard: &Sound, original: &Sound) -> anyhow::Result<()> {
    let (shared, level) = (heard.shared_with(original), heard.level_dbfs());
    rig.measured(what, format!("{level:.1} dBFS, {shared:.2} of the glide"));
    ensure!(
        shared > WIDE && level > -30.0,
        "{what}: {shared:.2} of the glide, {level:.1} dBFS"
    );
    Ok(())
}

/// The phone hears the visitor, from here on.
fn phone_hears(rig: &Rig, what: &str, phone: &Phone, visitor: &Sound) -> anyhow::Result<()> {
    let recorded = || phone.wide_recording().map_or(0.0, |s| s.seconds());
    let before = recorded();
    // with each call the phone begins another recording
    let longer = |now: f64| now > before + 4.0 || (now < before && now > 4.0);
    until(secs(20), "4 s of sound at the phone", || {
        Ok(longer(recorded()).then_some(()))
    })?;
    let heard = phone.wide_recording()?.last(3.0);
    hears(
        rig,
        &format!("{what}: the phone hears the visitor"),
        &heard,
        visitor,
    )
}

/// The visitor hears the phone, from here on.
fn visitor_hears(rig: &Rig, what: &str, phone: &Phone) -> anyhow::Result<()> {
    let recorded = || at_door(rig, 1e6).map_or(0.0, |s| s.seconds());
    let before = recorded();
    until(secs(20), "4 s of sound at the door", || {
        Ok((recorded() > before + 4.0).then_some(()))
    })?;
    let heard = at_door(rig, 3.0)?;
    hears(
        rig,
        &format!("{what}: the visitor hears the phone"),
        &heard,
        phone.voice(),
    )
}

fn wide_phone<'a>(codec: &str, phone: PhoneParams<'a>) -> PhoneParams<'a> {
    PhoneParams {
        codecs: if codec == "opus" {
            "opus/48000/2"
        } else {
            "g722/16000"
        },
        voice: (6500.0, 2000.0),
        ..phone
    }
}

/// The door calls phone 101 in this codec; they talk, hold, and talk again; then the phone calls the door.
fn talk(codec: &str, through_pbx: bool) {
    run(|rig| {
        let (file, sound) = visitor(rig)?;
        let port = rig.port(Use::PbxSip);
        let pbx = through_pbx
            .then(|| {
                Asterisk::start(
                    rig,
                    PbxParams {
                        codecs: codec,
                        ..PbxParams::default()
                    },
                )
            })
            .transpose()?;
        let at = if through_pbx {
            PhoneParams::at_pbx(0, "101", port)
        } else {
            PhoneParams::direct(0, "101")
        };
        let mut phone = Phone::start(rig, wide_phone(codec, at))?;
        let target = if through_pbx {
            "101".into()
        } else {
            phone.address()
        };
        let site = Site {
            account: through_pbx.then(Account::default),
            callers: vec![target.clone()],
            targets: vec![target],
            visitor: file,
            ..Site::default()
        };
        let gateway = Gateway::start(rig, &site.text(rig))?;
        if let Some(pbx) = &pbx {
            pbx.registered("101", secs(5))?;
            pbx.registered("200", secs(10))?;
        }
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        phone_hears(rig, "the door calls", &phone, &sound)?;
        visitor_hears(rig, "the door calls", &phone)?;

        phone.hold()?;
        let silent = || Ok(at_door(rig, 1.0)?.level_dbfs() < -60.0);
        until(secs(10), "silence at the door while it is held", || {
            silent().map(|yes| yes.then_some(()))
        })?;
        phone.resume()?;
        // this phone goes on to speak, and records nothing more; what it hears is in the test below
        visitor_hears(rig, "after a hold", &phone)?;
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(5), |_| true)?;
        gateway.event(0, "panel.ring-ended", secs(10), |_| true)?;

        let before = gateway.last_seq();
        let door = if through_pbx {
            format!("sip:200@127.0.0.1:{port}")
        } else {
            format!("sip:main@127.0.0.1:{}", rig.port(Use::Sip))
        };
        phone.dial(&door)?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        phone_hears(rig, "the phone calls", &phone, &sound)?;
        visitor_hears(rig, "the phone calls", &phone)?;
        phone.hang_up()?;
        gateway.event(before, "call.ended", secs(5), |_| true)?;
        gateway.verify()
    });
}

#[test]
fn door_and_phone_talk_in_g722_hold_and_go_on() {
    talk("g722", false);
}

#[test]
fn door_and_phone_talk_in_opus_hold_and_go_on() {
    talk("opus", false);
}

#[test]
fn door_and_phone_talk_in_g722_through_asterisk() {
    talk("g722", true);
}

#[test]
fn door_and_phone_talk_in_opus_through_asterisk() {
    talk("opus", true);
}

/// What a peer offers at one point of a call, and what the gateway has to send then.
struct Offer {
    /// For people.
    what: &'static str,
    payload_type: u8,
    /// Of `a=rtpmap`.
    map: &'static str,
    ptime_ms: u16,
    /// `sendrecv` or `sendonly`.
    direction: &'static str,
    /// Bytes of each packet, where the codec has a fixed rate.
    bytes: Option<usize>,
    /// Ticks of the RTP clock from packet to packet.
    ticks: u32,
    wide: bool,
}

const fn offer(
    what: &'static str,
    (payload_type, map): (u8, &'static str),
    ptime_ms: u16,
    bytes: Option<usize>,
) -> Offer {
    let opus = bytes.is_none();
    Offer {
        what,
        payload_type,
        map,
        ptime_ms,
        direction: "sendrecv",
        bytes,
        // 8 kHz also for G.722 (RFC 3551 §4.5.2), 48 kHz for Opus (RFC 7587 §4.1)
        ticks: ptime_ms as u32 * if opus { 48 } else { 8 },
        wide: payload_type != 8,
    }
}

const PCMA: (u8, &str) = (8, "PCMA/8000");
const G722: (u8, &str) = (9, "G722/8000");
const OPUS: (u8, &str) = (96, "opus/48000/2");

/// One call in which everything changes.
const OFFERS: [Offer; 10] = [
    offer("PCMA", PCMA, 20, Some(160)),
    offer("G.722", G722, 20, Some(160)),
    offer("Opus", OPUS, 20, None),
    Offer {
        direction: "sendonly",
        ..offer("Opus on hold", OPUS, 20, None)
    },
    offer("Opus of 60 ms, taken up again", OPUS, 60, None),
    offer("Opus of 10 ms", OPUS, 10, None),
    offer("G.722 of 10 ms", G722, 10, Some(80)),
    offer("G.722 of 30 ms", G722, 30, Some(240)),
    offer("G.722 of 60 ms", G722, 60, Some(480)),
    offer("PCMA of 40 ms", PCMA, 40, Some(320)),
];

/// How long each of them lasts, ms.
const EACH_MS: u32 = 6_000;

/// The start of a request of the caller.
pub(crate) fn head(method: &str, number: usize) -> String {
    let to = if number == 1 && method == "INVITE" {
        "To: <sip:main@[remote_ip]>"
    } else {
        "[last_To:]"
    };
    format!(
        "{method} sip:main@[remote_ip]:[remote_port] SIP/2.0\n\
         Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\n\
         Max-Forwards: 70\n\
         From: <sip:peer@[local_ip]:[local_port]>;tag=peer[call_number]\n\
         {to}\n\
         Call-ID: [call_id]\n\
         CSeq: {number} {method}\n\
         Contact: <sip:peer@[local_ip]:[local_port]>\n"
    )
}

fn description(version: usize, port: u16, offer: &Offer) -> String {
    format!(
        "Content-Type: application/sdp\nContent-Length: [len]\n\n\
         v=0\no=peer 1 {version} IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n\
         m=audio {port} RTP/AVP {number}\na=rtpmap:{number} {}\na=ptime:{}\na={}\n",
        offer.map,
        offer.ptime_ms,
        offer.direction,
        number = offer.payload_type
    )
}

/// A caller of SIPp that makes these offers one after the other.
fn caller(port: u16, offers: &[Offer]) -> String {
    let mut xml =
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"changes codecs\">\n".to_owned();
    for (index, offer) in offers.iter().enumerate() {
        let number = index + 1;
        let answer = if offer.direction == "sendonly" {
            "a=recvonly"
        } else {
            "a=sendrecv"
        };
        let format = format!("m=audio [0-9]+ RTP/AVP {}", offer.payload_type);
        xml += &format!(
            "<send retrans=\"500\"><![CDATA[\n\n{}{}\n]]></send>\n\
             <recv response=\"100\" optional=\"true\"/>\n<recv response=\"180\" optional=\"true\"/>\n\
             <recv response=\"200\"><action>\n\
             <ereg regexp=\"{format}\" search_in=\"body\" check_it=\"true\" assign_to=\"1\"/>\n\
             <ereg regexp=\"{answer}\" search_in=\"body\" check_it=\"true\" assign_to=\"2\"/>\n\
             </action></recv>\n\
             <send><![CDATA[\n\n{}Content-Length: 0\n\n]]></send>\n<pause milliseconds=\"{EACH_MS}\"/>\n",
            head("INVITE", number),
            description(number, port, offer),
            head("ACK", number),
        );
    }
    xml += &format!(
        "<send retrans=\"500\"><![CDATA[\n\n{}Content-Length: 0\n\n]]></send>\n<recv response=\"200\"/>\n\
         <Reference variables=\"1,2\"/>\n</scenario>\n",
        head("BYE", offers.len() + 1)
    );
    xml
}

/// Waits until the gateway sends as was offered; the last packet of it.
fn sends(reflector: &Reflector, offer: &Offer) -> anyhow::Result<Passed> {
    until(secs(15), &format!("packets of {}", offer.what), || {
        Ok(reflector.last().filter(|p| {
            p.kind == offer.payload_type
                && offer.bytes.is_none_or(|bytes| p.bytes == bytes)
                && p.ticks == offer.ticks
        }))
    })
}

/// What comes to the visitor's ear from here on, for some seconds.
fn comes(rig: &Rig) -> anyhow::Result<Sound> {
    let heard = || at_door(rig, 1e6).map_or(0.0, |s| s.seconds());
    let before = heard();
    until(secs(15), "3 s of sound at the door", || {
        Ok((heard() > before + 3.0).then_some(()))
    })?;
    at_door(rig, 2.5)
}

/// Is it what the visitor said, there and back?
fn is_voice(rig: &Rig, what: &str, back: &Sound, visitor: &Sound, wide: bool) -> anyhow::Result<()> {
    let (shared, level) = (back.shared_with(visitor), back.level_dbfs());
    rig.measured(
        &format!("{what}: there and back"),
        format!("{level:.1} dBFS, {shared:.2} of the glide"),
    );
    let fits = if wide {
        shared > WIDE
    } else {
        NARROW.contains(&shared)
    };
    ensure!(
        fits && level > -30.0,
        "{what}: {shared:.2} of the glide, {level:.1} dBFS"
    );
    Ok(())
}

#[test]
fn in_one_call_codec_packet_length_and_direction_change_by_re_invite_and_speech_goes_on() {
    run(|rig| {
        let (file, sound) = visitor(rig)?;
        let reflector = Reflector::start(rig.ports.phone_rtp(1).0, None)?;
        let site = Site {
            targets: vec!["sip:nobody@127.0.0.1:9".into()],
            visitor: file,
            ..Site::default()
        };
        let gateway = Gateway::start(rig, &site.text(rig))?;
        let mut peer = Sipp::written(rig, &caller(reflector.port(), &OFFERS), true)?;
        // compared afterwards: the next offer comes meanwhile
        let mut heard = Vec::new();
        for (index, offer) in OFFERS.iter().enumerate() {
            if offer.direction == "sendrecv" {
                sends(&reflector, offer)?;
                heard.push((offer, comes(rig)?));
            } else {
                let before = reflector.last().context("nothing was sent")?;
                ensure!(index > 0 && before.kind == offer.payload_type, "{before:?}");
                until(secs(15), "the gateway to be silent while it is held", || {
                    let then = reflector.last();
                    std::thread::sleep(std::time::Duration::from_millis(500));
                    Ok((reflector.last() == then).then_some(()))
                })?;
            }
        }
        peer.done(secs(60))?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        for (offer, back) in &heard {
            is_voice(rig, offer.what, back, &sound, offer.wide)?;
        }
        gateway.verify()
    });
}

/// A phone of SIPp that answers with payload types of its own.
fn answers_as(port: u16, number: u8, map: &str) -> String {
    let answer = |status: &str| {
        format!(
            "SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:];tag=peer[call_number]\n[last_Call-ID:]\n\
             [last_CSeq:]\nContact: <sip:peer@[local_ip]:[local_port]>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"has numbers of its own\">\n\
         <recv request=\"INVITE\" rrs=\"true\"><action>\n\
         <ereg regexp=\"a=rtpmap:107 opus/48000/2\" search_in=\"body\" check_it=\"true\" assign_to=\"1\"/>\n\
         </action></recv>\n<send><![CDATA[\n\n{ringing}Content-Length: 0\n\n]]></send>\n\
         <send retrans=\"500\"><![CDATA[\n\n{ok}Content-Type: application/sdp\nContent-Length: [len]\n\n\
         v=0\no=peer 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n\
         m=audio {port} RTP/AVP {number}\na=rtpmap:{number} {map}\na=ptime:20\n\n]]></send>\n\
         <recv request=\"ACK\"><action>\n\
         <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"them\"/>\n\
         <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"us\"/>\n\
         </action></recv>\n<pause milliseconds=\"{EACH_MS}\"/>\n\
         <send retrans=\"500\"><![CDATA[\n\nBYE [next_url] SIP/2.0\n\
         Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n\
         From:[$us]\nTo:[$them]\n[last_Call-ID:]\nCSeq: 1 BYE\nContent-Length: 0\n\n]]></send>\n\
         <recv response=\"200\"/>\n\
         <Reference variables=\"1\"/>\n</scenario>\n",
        ringing = answer("180 Ringing"),
        ok = answer("200 OK"),
    )
}

#[test]
fn each_side_may_number_opus_as_it_likes() {
    run(|rig| {
        let (file, sound) = visitor(rig)?;
        // the gateway offers 107, the phone answers 96: 96 is sent to it, 107 comes from it
        let reflector = Reflector::start(rig.ports.phone_rtp(1).0, Some((96, 107)))?;
        let mut peer = Sipp::written(rig, &answers_as(reflector.port(), 96, "opus/48000/2"), false)?;
        let site = Site {
            targets: vec![Sipp::address(rig)],
            visitor: file,
            ..Site::default()
        };
        let gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        gateway.event(0, "call.answered", secs(20), |_| true)?;
        let seen = sends(&reflector, &offer("Opus", OPUS, 20, None))?;
        ensure!(seen.kind == 96, "{seen:?}");
        let back = comes(rig)?;
        peer.done(secs(30))?;
        is_voice(rig, "Opus as 96 there and 107 back", &back, &sound, true)?;
        gateway.event(0, "call.ended", secs(20), |_| true)?;
        Ok(())
    });
}
