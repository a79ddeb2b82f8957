//! Silence that is left out of speech, as programs of others read and write it: comfort noise (RFC 3389) by FFmpeg's codec, of
//! which nothing is lost, and Opus that says nothing while nobody speaks (DTX, RFC 7587 §3.1.3) with baresip.

use anyhow::{Context, ensure};
use peers::{
    Came, Gateway, Pausing, Phone, PhoneParams, Rig, Sent, Sipp, Site, Sound, Tap, comfort_noise,
    comfort_noise_of, pausing, run, sweep, until,
};

use crate::codecs::head;
use crate::secs;

/// How loud the noise around the visitor is, and around the far end, dB below full scale.
const AT_DOOR: f64 = 50.0;
const AFAR: u8 = 45;

/// A site whose gateway leaves out silence, and hears a visitor who makes pauses.
fn site(rig: &Rig, target: String) -> anyhow::Result<(String, Sound)> {
    let file = rig.path("visitor.wav");
    let sound = pausing(&file, (450.0, 2500.0), Some(AT_DOOR), 1)?;
    let site = Site {
        callers: vec![target.clone()],
        targets: vec![target],
        visitor: file.display().to_string(),
        ..Site::default()
    };
    let text = site.text(rig);
    Ok((
        text.replacen("[sip]\n", "[sip]\nsilence-suppression = true\n", 1),
        sound,
    ))
}

/// SIPp calls the door, speaks PCMU and knows of comfort noise, and hangs up after half a minute.
fn caller(port: u16) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"is silent at times\">\n\
         <send retrans=\"500\"><![CDATA[\n\n{}Content-Type: application/sdp\nContent-Length: [len]\n\n\
         v=0\no=peer 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n\
         m=audio {port} RTP/AVP 0 13\na=rtpmap:0 PCMU/8000\na=rtpmap:13 CN/8000\na=ptime:20\n\n]]></send>\n\
         <recv response=\"100\" optional=\"true\"/>\n<recv response=\"180\" optional=\"true\"/>\n\
         <recv response=\"200\"><action>\n\
         <ereg regexp=\"m=audio [0-9]+ RTP/AVP 0 13\" search_in=\"body\" check_it=\"true\" assign_to=\"1\"/>\n\
         </action></recv>\n\
         <send><![CDATA[\n\n{}Content-Length: 0\n\n]]></send>\n<pause milliseconds=\"30000\"/>\n\
         <send retrans=\"500\"><![CDATA[\n\n{}Content-Length: 0\n\n]]></send>\n<recv response=\"200\"/>\n\
         <Reference variables=\"1\"/>\n</scenario>\n",
        head("INVITE", 1),
        head("ACK", 1),
        head("BYE", 2)
    )
}

/// The call's figures: nothing is missing, and pauses are not made up for.
fn nothing_is_lost(rig: &Rig, gateway: &Gateway, at_least: u64) -> anyhow::Result<()> {
    let media = gateway.event(0, "call.media", secs(10), |_| true)?;
    let of = |key: &str| {
        media[key]
            .as_u64()
            .with_context(|| format!("no {key} in {media}"))
    };
    rig.measured("the call's figures", &media);
    ensure!(of("received")? >= at_least && of("lost")? == 0, "{media}");
    // a sender of a busy machine is late at times; the pauses have some 16 s
    ensure!(
        of("concealed_ms")? < 1_000,
        "pauses were taken for losses: {media}"
    );
    Ok(())
}

/// What the gateway sends in a call is one stream without a hole, in which little is sent while nobody speaks.
fn is_one_stream(rig: &Rig, packets: &[Came]) -> anyhow::Result<()> {
    // a machine that stands still has no packets for that time; so it must not be often
    let mut untold = Vec::new();
    for two in packets.windows(2) {
        let (before, next) = (&two[0], &two[1]);
        ensure!(
            next.sequence == before.sequence.wrapping_add(1),
            "a hole: {before:?} {next:?}"
        );
        let ticks = next.timestamp.wrapping_sub(before.timestamp);
        ensure!(
            ticks.is_multiple_of(160) && ticks <= 3_200,
            "{ticks} ticks from {before:?} to {next:?}"
        );
        if ticks != 160 && before.kind != 13 {
            untold.push(before);
        }
        ensure!(
            next.marker == (before.kind == 13 && next.kind == 0),
            "{before:?} {next:?}"
        );
    }
    ensure!(
        untold.len() <= packets.len() / 50,
        "pauses nobody told of, after {untold:?}"
    );
    let (Some(first), Some(last)) = (packets.first(), packets.last()) else {
        anyhow::bail!("the gateway has sent nothing");
    };
    let time = last.timestamp.wrapping_sub(first.timestamp) / 160;
    let share = f64::from(u32::try_from(packets.len())?) / f64::from(time);
    rig.measured("packets that were sent", format!("{share:.2} of what speech has"));
    ensure!(share < 0.65, "{share:.2} of the packets were sent");
    Ok(())
}

/// SIPp calls, and FFmpeg's codec of comfort noise reads what the gateway sends in pauses, and writes what it hears in them.
#[test]
fn ffmpeg_reads_the_gateways_comfort_noise_and_the_gateway_that_of_ffmpeg() {
    run(|rig| {
        let voice = sweep(&rig.path("far.wav"), 2600.0, 500.0, 2)?;
        let far = Pausing::start(rig.ports.phone_rtp(1).0, &voice, comfort_noise_of(AFAR)?)?;
        let (text, _) = site(rig, "sip:nobody@127.0.0.1:9".into())?;
        let gateway = Gateway::start(rig, &text)?;
        let mut peer = Sipp::written(rig, &caller(rig.ports.phone_rtp(1).0), true)?;
        let at_door = |seconds| Ok::<_, anyhow::Error>(Sound::read(&Site::heard(rig))?.last(seconds));
        for round in 1..=3 {
            until(secs(15), "3 s of a pause", || {
                Ok(far.silent().filter(|time| *time > secs(3)))
            })?;
            let noise = -at_door(1.5)?.level_dbfs();
            rig.measured("the far end's pause at the door", format!("-{noise:.1} dBFS"));
            // white noise of such a level is told a decibel or two softer by the codec, which takes its spectrum for one
            ensure!(
                (noise - f64::from(AFAR)).abs() < 4.0,
                "round {round}: noise of -{noise:.1} dBFS"
            );
            until(secs(15), "it to speak", || {
                Ok(far.silent().is_none().then_some(()))
            })?;
            until(secs(15), "it to have spoken", || Ok(far.silent()))?;
            let word = at_door(1.2)?;
            let (likeness, level) = (word.likeness(&voice), word.level_dbfs());
            rig.measured(
                "the far end's speech at the door",
                format!("{level:.1} dBFS, likeness {likeness:.2}"),
            );
            ensure!(
                likeness > 0.7 && level > -30.0,
                "round {round}: likeness {likeness:.2}, {level:.1} dBFS"
            );
        }
        peer.done(secs(60))?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        nothing_is_lost(rig, &gateway, 500)?;

        let packets = far.came();
        is_one_stream(rig, &packets)?;
        let noise = comfort_noise(&packets)?;
        let mut told = 0;
        for ([level, heard, meant], packet) in noise.iter().zip(packets.iter().filter(|p| p.kind == 13)) {
            ensure!(packet.payload.len() == 1, "{packet:?}");
            // FFmpeg plays all comfort noise 6 dB softer than it is told
            ensure!(
                (heard - level - 6.0).abs() < 2.0,
                "told -{level} dB, heard -{heard} dB"
            );
            // what its encoder has heard just before is the same noise
            ensure!(
                (heard - meant).abs() < 4.0,
                "heard -{heard} dB, meant -{meant} dB"
            );
            told += 1;
        }
        rig.measured(
            "comfort noise for FFmpeg",
            format!("{told} packets, {:?} the last", noise.last()),
        );
        ensure!(told >= 20, "{told} packets of comfort noise");
        gateway.verify()
    });
}

/// Shares of what one sent: packets of so few bytes that they say that nobody speaks, and those left out of a stream of one each
/// 20 ms.
fn silence_of(packets: &[Sent]) -> anyhow::Result<(f64, f64)> {
    let (Some(first), Some(last)) = (packets.first(), packets.last()) else {
        anyhow::bail!("nothing was sent");
    };
    for two in packets.windows(2) {
        ensure!(
            two[1].sequence == two[0].sequence.wrapping_add(1),
            "a hole: {two:?}"
        );
    }
    let whole = f64::from(last.timestamp.wrapping_sub(first.timestamp) / 960 + 1);
    let share = |n: usize| anyhow::Ok(f64::from(u32::try_from(n)?) / whole);
    let still = packets.iter().filter(|p| p.bytes <= 2).count();
    Ok((share(still)?, 1.0 - share(packets.len())?))
}

/// Both leave out silence, and each hears what the other says after a pause.
#[test]
fn opus_is_silent_both_ways_with_baresip_and_speech_after_a_pause_is_heard() {
    run(|rig| {
        let mut phone = Phone::start(
            rig,
            PhoneParams {
                codecs: "opus/48000/2",
                leaves_out_silence: true,
                ..PhoneParams::direct(0, "101")
            },
        )?;
        let file = rig.path("far.wav");
        let voice = pausing(&file, (2600.0, 500.0), None, 20)?;
        let (text, visitor) = site(rig, phone.address())?;
        let gateway = Gateway::start(rig, &text)?;
        let (low, high) = rig.ports.gateway_rtp();
        let ours = Tap::start(rig, "tap-gateway", (low, high))?;
        let theirs = Tap::start(rig, "tap-phone", rig.ports.phone_rtp(0))?;
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        phone.speak(&file)?;
        // four pauses of each
        let heard = || Sound::read_wide(&Site::heard(rig));
        let began = heard().map_or(0.0, |sound| sound.seconds());
        let at_door = until(secs(60), "25 s of the talk at the door", || {
            Ok(heard().ok().filter(|sound| sound.seconds() > began + 25.0))
        })?;
        let at_phone = phone.wide_recording()?;
        // of 6 s each speaks 2 s; the last 12 s hold two words of each with pauses before them
        for (who, heard, original) in [
            ("the visitor hears the phone", at_door.last(12.0), &voice),
            ("the phone hears the visitor", at_phone.last(12.0), &visitor),
        ] {
            let shared = heard.shared_with(original);
            rig.measured(who, format!("{shared:.2} of it is the other's speech"));
            ensure!(shared > 0.2, "{who}: {shared:.2} of it is the other's speech");
        }
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        nothing_is_lost(rig, &gateway, 200)?;
        for (who, tap) in [("the gateway", ours), ("baresip", theirs)] {
            let streams = tap.end()?;
            let packets = streams.into_values().max_by_key(Vec::len);
            let (still, left_out) = silence_of(&packets.with_context(|| format!("{who} sent nothing"))?)?;
            rig.measured(
                &format!("{who} in Opus"),
                format!("{still:.2} of the packets say that nobody speaks, {left_out:.2} are left out"),
            );
            ensure!(still + left_out > 0.35, "{who}: {still:.2} and {left_out:.2}");
        }
        gateway.verify()
    });
}
