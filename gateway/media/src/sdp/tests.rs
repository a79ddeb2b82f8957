//! Descriptions as real peers write them, and what comes of them.

use super::*;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

fn local(address: &str) -> LocalMedia {
    LocalMedia {
        address: address.parse().expect("address"),
        host: None,
        seen: None,
        rtp_port: 16_384,
        rtcp_port: 16_385,
    }
}

fn dialog(srtp: SrtpPolicy) -> OfferAnswer {
    let capabilities = Capabilities {
        srtp,
        ..Capabilities::default()
    };
    OfferAnswer::new(capabilities, local("192.0.2.1"), &mut rng())
}

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text.as_bytes()).expect("description")
}

fn events(payload_type: u8, clock: u32) -> Option<EventFormat> {
    Some(EventFormat { payload_type, clock })
}

/// An offer in the manner of Asterisk 22 (chan_pjsip), with a line of its own per call.
fn offer(transport: &str, extra: &str) -> SessionDescription {
    parse(&format!(
        "v=0\r\no=- 1543 1543 IN IP4 192.0.2.9\r\ns=Asterisk\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
         m=audio 12044 {transport} 0 8 3 96\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:3 GSM/8000\r\na=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\na=ptime:20\r\n\
         a=maxptime:140\r\n{extra}a=sendrecv\r\n"
    ))
}

const KEY: &str =
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\n";

fn answer(d: &mut OfferAnswer, offer: &SessionDescription) -> (SessionDescription, Agreed) {
    d.handle_offer(offer, Direction::SendRecv, &mut rng())
        .expect("answer")
}

#[test]
fn a_plain_offer_is_answered_in_our_order_with_its_payload_types() {
    let mut d = dialog(SrtpPolicy::Off);
    let (text, agreed) = answer(&mut d, &offer("RTP/AVP", ""));
    assert_eq!(agreed.send, (8, AudioCodec::Pcma));
    assert_eq!(agreed.receive, [(8, AudioCodec::Pcma), (0, AudioCodec::Pcmu)]);
    assert_eq!(
        (agreed.send_events, agreed.receive_events.as_slice()),
        (events(96, 8_000), &[96][..])
    );
    assert_eq!(agreed.remote_rtp, "192.0.2.9:12044".parse().expect("address"));
    assert_eq!(agreed.remote_rtcp.port(), 12_045);
    assert_eq!(agreed.ptime_ms, 20);
    assert!(agreed.srtp.is_none() && !agreed.held());
    let line = &text.media[0];
    assert_eq!(line.formats, ["8", "0", "96"]);
    assert_eq!((line.port, line.direction()), (16_384, Some(Direction::SendRecv)));
    let written = text.to_string();
    assert!(written.starts_with("v=0\r\no=- "), "{written}");
    assert!(written.ends_with("a=sendrecv\r\n"), "{written}");
    assert_eq!(parse(&written), text);
}

#[test]
fn lines_that_are_not_understood_get_port_0_at_their_place() {
    let mut o = offer("RTP/AVP", "");
    let video = "m=video 9000 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\nm=image 9002 udptl t38\r\n";
    let mixed = parse(&format!(
        "{}{video}",
        o.to_string().replace("m=audio", "m=text 1 RTP/AVP 98\r\nm=audio")
    ));
    let (text, _) = answer(&mut dialog(SrtpPolicy::Off), &mixed);
    let ports: Vec<_> = text.media.iter().map(|m| (m.kind.as_str(), m.port)).collect();
    assert_eq!(
        ports,
        [("text", 0), ("audio", 16_384), ("video", 0), ("image", 0)]
    );
    o.media[0].formats = vec!["3".into()];
    let refused = dialog(SrtpPolicy::Off).handle_offer(&o, Direction::SendRecv, &mut rng());
    assert!(
        matches!(refused, Err(SdpError::NoCommonAudio { .. })),
        "{refused:?}"
    );
    o.media.clear();
    assert!(
        dialog(SrtpPolicy::Off)
            .handle_offer(&o, Direction::SendRecv, &mut rng())
            .is_err()
    );
}

#[test]
fn a_call_that_is_secured_never_goes_on_in_clear_and_goes_on_as_it_was() {
    let keyed = |extra: &str| offer("RTP/AVP", &format!("{KEY}{extra}"));
    let hold = offer("RTP/AVP", "").to_string().replace("sendrecv", "sendonly");
    let hold_2543 = offer("RTP/AVP", "")
        .to_string()
        .replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0");
    let codec = offer("RTP/AVP", "")
        .to_string()
        .replace("RTP/AVP 0 8", "RTP/AVP 0");
    for secured in [keyed(""), offer("RTP/SAVP", KEY)] {
        let mut d = dialog(SrtpPolicy::Optional);
        let (_, before) = answer(&mut d, &secured);
        assert!(before.srtp.is_some());
        for plain in [&offer("RTP/AVP", "").to_string(), &hold, &hold_2543, &codec] {
            let refused = d.handle_offer(&parse(plain), Direction::SendRecv, &mut rng());
            assert!(
                matches!(refused, Err(SdpError::Encryption { .. })),
                "{plain}: {refused:?}"
            );
            assert_eq!(d.agreed(), Some(&before), "it goes on as it was");
        }
        let (_, held) = answer(
            &mut d,
            &parse(&keyed("").to_string().replace("sendrecv", "sendonly")),
        );
        assert!(held.srtp.is_some() && held.held());
        // an offer of ours stays under the profile that was agreed, and its answer has a key
        let ours = d.offer(Direction::SendRecv, &mut rng());
        assert_eq!(ours.media[0].transport, "RTP/AVP");
        assert!(ours.media[0].attribute("crypto").is_some());
        let refused = d.handle_answer(&offer("RTP/AVP", ""));
        assert!(matches!(refused, Err(SdpError::Encryption { .. })), "{refused:?}");
    }
    let mut d = dialog(SrtpPolicy::Optional);
    answer(&mut d, &offer("RTP/SAVP", KEY));
    assert_eq!(
        d.offer(Direction::SendRecv, &mut rng()).media[0].transport,
        "RTP/SAVP"
    );
    // who began in clear may go on in clear, or be secured later
    let mut d = dialog(SrtpPolicy::Optional);
    for (offer, secured) in [
        (offer("RTP/AVP", ""), false),
        (offer("RTP/AVP", ""), false),
        (keyed(""), true),
    ] {
        assert_eq!(answer(&mut d, &offer).1.srtp.is_some(), secured);
    }
    // the first answer to an offer of ours may have none
    let mut d = dialog(SrtpPolicy::Optional);
    d.offer(Direction::SendRecv, &mut rng());
    assert!(
        d.handle_answer(&offer("RTP/AVP", ""))
            .expect("clear")
            .srtp
            .is_none()
    );
}

#[test]
fn an_early_answer_is_heard_and_the_one_that_counts_may_be_another() {
    let plain = offer("RTP/AVP", "");
    let elsewhere = parse(&plain.to_string().replace("12044", "13044"));
    let mut d = dialog(SrtpPolicy::Optional);
    assert!(d.handle_early_answer(&plain).is_err(), "nothing was offered");
    let ours = d.offer(Direction::SendRecv, &mut rng());
    let keyed = ours.media[0].attribute("crypto").and_then(|a| a.value.clone());
    let secured = offer(
        "RTP/AVP",
        &format!("a=crypto:{}\r\n", keyed.expect("a key is offered")),
    );
    for (early, port, srtp) in [
        (&plain, 12_044, false),
        (&secured, 12_044, true),
        (&elsewhere, 13_044, false),
    ] {
        let heard = d.handle_early_answer(early).expect("it can be heard");
        assert_eq!((heard.remote_rtp.port(), heard.srtp.is_some()), (port, srtp));
        assert!(d.offer_pending() && d.agreed().is_none());
    }
    // one that cannot be heard changes nothing
    assert!(d.handle_early_answer(&plain_of_port_0()).is_err());
    assert_eq!(
        d.handle_answer(&elsewhere).expect("an answer").remote_rtp.port(),
        13_044
    );
    assert!(d.handle_early_answer(&plain).is_err(), "it is answered");
}

#[test]
fn forks_that_make_offers_of_their_own_are_agreed_with_each_by_itself() {
    let mut d = dialog(SrtpPolicy::Optional);
    let ours = d.offer(Direction::SendRecv, &mut rng());
    let keyed = ours.media[0].attribute("crypto").and_then(|a| a.value.clone());
    let key = format!("a=crypto:{}\r\n", keyed.expect("a key is offered"));
    let (plain, secured) = (offer("RTP/AVP", ""), offer("RTP/AVP", &key));
    assert!(d.early_dialog(&plain_of_port_0()).is_err(), "no answer");
    let mut one = d.early_dialog(&secured).expect("a dialog");
    let mut two = d.early_dialog(&plain).expect("a dialog");
    // who began with keys does not go on in clear, whatever the other one does
    let moved = parse(&plain.to_string().replace("12044", "13044"));
    let refused = one.handle_offer(&moved, Direction::SendRecv, &mut rng());
    assert!(matches!(refused, Err(SdpError::Encryption { .. })), "{refused:?}");
    let narrow = parse(&moved.to_string().replace("0 8 3 96", "0 96"));
    let (reply, agreed) = answer(&mut two, &narrow);
    assert_eq!(
        (agreed.remote_rtp.port(), agreed.send),
        (13_044, (0, AudioCodec::Pcmu))
    );
    // our descriptions of a dialog are of one session, and count up (RFC 3264 §8)
    assert_eq!(reply.origin.session, ours.origin.session);
    assert_eq!(reply.origin.version, ours.origin.version + 1);
    assert_eq!(reply.media[0].port, ours.media[0].port);
    let rekeyed = parse(&secured.to_string().replace("12044", "14044"));
    let (_, agreed) = answer(&mut one, &rekeyed);
    assert_eq!((agreed.remote_rtp.port(), agreed.srtp.is_some()), (14_044, true));
    // the offer itself goes on to wait, and the third one may answer it
    assert!(d.offer_pending() && d.agreed().is_none());
    assert_eq!(
        d.handle_answer(&plain).expect("an answer").remote_rtp.port(),
        12_044
    );
}

fn plain_of_port_0() -> SessionDescription {
    parse(&offer("RTP/AVP", "").to_string().replace("12044", "0"))
}

#[test]
fn silence_is_left_out_between_two_who_both_want_it_so() {
    let side = |silences, codecs: &[AudioCodec]| {
        let capabilities = Capabilities {
            silences,
            codecs: codecs.to_vec(),
            ..Capabilities::default()
        };
        OfferAnswer::new(capabilities, local("192.0.2.1"), &mut rng())
    };
    let (pcma, opus) = ([AudioCodec::Pcma], [AudioCodec::Opus]);
    for (codecs, wants, quiet) in [
        (&pcma, [true, true], Some(Quiet::Comfort(13))),
        (&pcma, [true, false], None),
        (&pcma, [false, true], None),
        (&opus, [true, true], Some(Quiet::Sparse)),
        (&opus, [true, false], None),
    ] {
        let mut ends = wants.map(|wants| side(wants, codecs));
        let offer = ends[0].offer(Direction::SendRecv, &mut rng());
        let text = offer.to_string();
        let told = if codecs == &pcma {
            "a=rtpmap:13 CN/8000"
        } else {
            "usedtx=1"
        };
        assert_eq!(text.contains(told), wants[0], "{text}");
        let (reply, theirs) = answer(&mut ends[1], &parse(&text));
        let ours = ends[0].handle_answer(&parse(&reply.to_string())).expect("agreed");
        assert_eq!((ours.quiet, theirs.quiet), (quiet, quiet), "{codecs:?} {wants:?}");
    }
    // a number of its own, as some write it
    let own = offer("RTP/AVP", "a=rtpmap:98 CN/8000\r\n")
        .to_string()
        .replace("0 8 3 96", "8 98 96");
    let (_, agreed) = answer(&mut side(true, &pcma), &parse(&own));
    assert_eq!(
        (agreed.comfort, agreed.quiet),
        (Some(98), Some(Quiet::Comfort(98)))
    );
    let (_, agreed) = answer(
        &mut side(true, &pcma),
        &parse(&own.replace("CN/8000", "CN/16000")),
    );
    assert_eq!((agreed.comfort, agreed.quiet), (None, None));
}

#[test]
fn encryption_follows_policy() {
    use SrtpPolicy::{Off, Optional, Required};
    // (policy, transport, key offered) -> Some(encrypted) or refused.
    for (policy, transport, key, expected) in [
        (Off, "RTP/AVP", false, Some(false)),
        (Off, "RTP/AVP", true, Some(false)),
        (Off, "RTP/SAVP", true, None),
        (Optional, "RTP/AVP", false, Some(false)),
        (Optional, "RTP/AVP", true, Some(true)),
        (Optional, "RTP/SAVP", true, Some(true)),
        (Optional, "RTP/SAVP", false, None),
        (Required, "RTP/AVP", false, None),
        (Required, "RTP/AVP", true, Some(true)),
        (Required, "RTP/SAVPF", true, Some(true)),
        (Required, "RTP/SAVP", false, None),
    ] {
        let o = offer(transport, if key { KEY } else { "" });
        let result = dialog(policy).handle_offer(&o, Direction::SendRecv, &mut rng());
        let found = result.as_ref().ok().map(|(_, a)| a.srtp.is_some());
        assert_eq!(found, expected, "{policy:?} {transport} key {key}: {result:?}");
        if let Ok((text, a)) = result {
            assert_eq!(text.media[0].transport, transport);
            assert_eq!(text.media[0].attribute("crypto").is_some(), a.srtp.is_some());
        }
    }
}

#[test]
fn an_encrypted_line_is_preferred_to_a_plain_one() {
    let both = parse(&format!(
        "{}m=audio 12050 RTP/SAVP 8\r\n{KEY}",
        offer("RTP/AVP", "")
    ));
    let (text, agreed) = answer(&mut dialog(SrtpPolicy::Optional), &both);
    assert_eq!(agreed.remote_rtp.port(), 12_050);
    assert_eq!([text.media[0].port, text.media[1].port], [0, 16_384]);
}

#[test]
fn two_of_us_agree_over_every_policy_and_the_keys_cross() {
    for policy in [SrtpPolicy::Off, SrtpPolicy::Optional, SrtpPolicy::Required] {
        let (mut a, mut b) = (dialog(policy), dialog(policy));
        let sent = a.offer(Direction::SendRecv, &mut rng());
        let sent = parse(&sent.to_string());
        let (answer, at_b) = b
            .handle_offer(&sent, Direction::SendRecv, &mut StdRng::seed_from_u64(2))
            .expect("answer");
        let at_a = a.handle_answer(&parse(&answer.to_string())).expect("agreed");
        assert!(!a.offer_pending());
        assert_eq!((at_a.send, at_a.rtcp_mux), ((107, AudioCodec::Opus), true));
        assert_eq!((at_a.send, at_a.opus), (at_b.send, at_b.opus));
        assert!(at_a.opus.forward_error_correction);
        assert_eq!(
            (at_a.send_events, at_a.receive_events),
            (events(102, 48_000), vec![101, 102])
        );
        match (&at_a.srtp, &at_b.srtp) {
            (Some(x), Some(y)) => {
                assert!(x.local == y.remote && x.remote == y.local && x.local != x.remote);
            }
            (None, None) => assert_eq!(policy, SrtpPolicy::Off),
            mixed => panic!("{mixed:?}"),
        }
    }
}

#[test]
fn a_re_offer_keeps_keys_and_counts_the_version_only_if_it_changed() {
    let (mut a, mut b) = (dialog(SrtpPolicy::Required), dialog(SrtpPolicy::Required));
    let first = a.offer(Direction::SendRecv, &mut rng());
    let (answer1, before) = answer(&mut b, &first);
    a.handle_answer(&answer1).expect("agreed");
    let same = a.offer(Direction::SendRecv, &mut StdRng::seed_from_u64(9));
    assert_eq!(same.origin, first.origin);
    a.offer_refused();
    assert_eq!(a.handle_answer(&answer1), Err(SdpError::NoOffer));
    let hold = a.offer(Direction::SendOnly, &mut rng());
    assert_eq!(hold.origin.version, first.origin.version + 1);
    assert_eq!(hold.origin.session, first.origin.session);
    let (answer2, after) = b
        .handle_offer(&hold, Direction::SendRecv, &mut StdRng::seed_from_u64(8))
        .expect("answer");
    assert_eq!(before.srtp, after.srtp);
    assert_eq!(answer2.media[0].direction(), Some(Direction::RecvOnly));
    assert!(after.held());
    assert_eq!(answer2.origin.version, answer1.origin.version + 1);
}

#[test]
fn hold_by_direction_and_by_address_silences_us() {
    for (text, ours) in [
        ("a=sendonly", Direction::RecvOnly),
        ("a=inactive", Direction::Inactive),
        ("a=recvonly", Direction::SendOnly),
    ] {
        let o = parse(&offer("RTP/AVP", "").to_string().replace("a=sendrecv", text));
        let (answer, agreed) = answer(&mut dialog(SrtpPolicy::Off), &o);
        assert_eq!(
            (agreed.direction, answer.media[0].direction()),
            (ours, Some(ours))
        );
    }
    let o = parse(
        &offer("RTP/AVP", "")
            .to_string()
            .replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0"),
    );
    let (_, agreed) = answer(&mut dialog(SrtpPolicy::Off), &o);
    assert!(agreed.held() && agreed.direction.receives());
}

#[test]
fn an_offer_that_takes_the_speech_out_of_a_call_pauses_it_and_one_with_a_fax_in_its_place_is_refused() {
    let mut d = dialog(SrtpPolicy::Off);
    let begins = offer("RTP/AVP", "");
    answer(&mut d, &begins);
    let port = format!("m=audio {} ", begins.media[0].port);
    let without = begins.to_string().replace(&port, "m=audio 0 ");
    let (text, agreed) = answer(&mut d, &parse(&without));
    assert_eq!(
        (agreed.direction, text.media.len(), text.media[0].port),
        (Direction::Inactive, 1, 0)
    );
    let fax = format!("{without}m=image 4000 udptl t38\r\n");
    assert!(
        d.handle_offer(&parse(&fax), Direction::SendRecv, &mut rng())
            .is_err()
    );
    let (text, agreed) = answer(&mut d, &begins);
    assert_eq!(agreed.direction, Direction::SendRecv);
    assert_ne!(text.media[0].port, 0);
    // a call does not begin so
    let first = dialog(SrtpPolicy::Off).handle_offer(&parse(&without), Direction::SendRecv, &mut rng());
    assert!(first.is_err());
}

#[test]
fn an_answer_with_another_event_number_and_static_types_is_taken() {
    let mut d = dialog(SrtpPolicy::Off);
    d.offer(Direction::SendRecv, &mut rng());
    // Bare LF, no rtpmap for the static type, ptime 30 with maxptime 25, RTCP elsewhere.
    let agreed = d
        .handle_answer(&parse(
            "v=0\no=x 1 1 IN IP4 h\nc=IN IP4 192.0.2.9/127\nm=audio 4000/2 rtp/avp 0 97\n\
             a=rtpmap:97 Telephone-Event/8000\na=ptime:30\na=maxptime:25\na=rtcp:4444 IN IP4 192.0.2.10\n",
        ))
        .expect("agreed");
    assert_eq!(agreed.send, (0, AudioCodec::Pcmu));
    assert_eq!(agreed.receive[0], (0, AudioCodec::Pcmu));
    assert_eq!(
        (agreed.send_events, agreed.receive_events),
        (events(97, 8_000), vec![101, 102, 97])
    );
    assert_eq!(agreed.ptime_ms, 20);
    assert_eq!(agreed.remote_rtcp, "192.0.2.10:4444".parse().expect("address"));
    assert!(!agreed.rtcp_mux);
}

#[test]
fn an_answer_that_drops_the_key_is_refused() {
    let mut d = dialog(SrtpPolicy::Required);
    d.offer(Direction::SendRecv, &mut rng());
    let plain = offer("RTP/AVP", "");
    assert!(matches!(
        d.handle_answer(&plain),
        Err(SdpError::Encryption { .. })
    ));
    // A key for a tag that was not offered is no key.
    let mut d = dialog(SrtpPolicy::Required);
    d.offer(Direction::SendRecv, &mut rng());
    let other = offer("RTP/SAVP", &KEY.replace("crypto:1", "crypto:77"));
    assert!(matches!(
        d.handle_answer(&other),
        Err(SdpError::Encryption { .. })
    ));
    let mut d = dialog(SrtpPolicy::Off);
    d.offer(Direction::SendRecv, &mut rng());
    let refused = parse("v=0\nc=IN IP4 192.0.2.9\nm=audio 0 RTP/AVP 8\n");
    assert!(matches!(
        d.handle_answer(&refused),
        Err(SdpError::NoCommonAudio { .. })
    ));
}

#[test]
fn ipv6_is_written_and_read() {
    let mut d = OfferAnswer::new(Capabilities::default(), local("2001:db8::1"), &mut rng());
    let text = d.offer(Direction::SendRecv, &mut rng()).to_string();
    assert!(text.contains("c=IN IP6 2001:db8::1\r\n"), "{text}");
    let (_, agreed) = answer(&mut dialog(SrtpPolicy::Off), &parse(&text));
    assert_eq!(agreed.remote_rtp, "[2001:db8::1]:16384".parse().expect("address"));
}

#[test]
fn crypto_lines_are_read_with_lifetime_and_mki_and_refused_if_unusable() {
    let key40 = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let line = |suite: &str, rest: &str| CryptoAttribute::parse(&format!("3 {suite} inline:{key40}{rest}"));
    let cm = "AES_CM_128_HMAC_SHA1_80";
    assert_eq!(line(cm, "").map(|c| (c.tag, c.key.mki_len)), Some((3, 0)));
    assert_eq!(line(cm, "|2^31").map(|c| c.key.mki_len), Some(0));
    assert_eq!(line(cm, "|1048576|1:4").map(|c| c.key.mki_len), Some(4));
    assert_eq!(line(cm, "|1:2 WSH=64").map(|c| c.key.mki_len), Some(2));
    assert_eq!(line(cm, "|1:200"), None);
    assert_eq!(line(cm, " UNENCRYPTED_SRTP"), None);
    assert_eq!(line("AES_256_CM_HMAC_SHA1_80", ""), None, "key too short");
    assert_eq!(line("F8_128_HMAC_SHA1_80", ""), None);
    assert!(!format!("{:?}", line(cm, "")).contains("WVN"));
    for suite in SrtpSuite::ALL {
        let key = MasterKey::random(suite, &mut rng());
        let c = CryptoAttribute {
            tag: 1,
            suite,
            draft_name: false,
            key,
        };
        assert_eq!(CryptoAttribute::parse(&c.to_value()), Some(c));
    }
}

#[test]
fn broken_and_oversized_descriptions_are_refused_with_the_line() {
    for (text, expected) in [
        ("", SdpError::Version),
        ("m=audio 1 RTP/AVP 8", SdpError::Version),
        ("v=1\r\n", SdpError::Version),
    ] {
        assert_eq!(SessionDescription::parse(text.as_bytes()), Err(expected));
    }
    let bad = SessionDescription::parse(b"v=0\r\ns=-\r\nm=audio x RTP/AVP 8\r\n");
    assert_eq!(
        bad.map_err(|e| e.to_string()),
        Err("line 3: \"audio x RTP/AVP 8\" is not a valid m line".into())
    );
    for text in [
        format!("v=0\n{}", "a=x\n".repeat(300)),
        format!("v=0\n{}", "m=audio 1 RTP/AVP 8\n".repeat(17)),
        format!("v=0\n{}", "b=\n".repeat(1_100)),
        format!("v=0\ns={}", "x".repeat(40_000)),
    ] {
        let result = SessionDescription::parse(text.as_bytes());
        assert!(matches!(result, Err(SdpError::TooLarge { .. })), "{result:?}");
    }
}

/// An offer of these formats with these lines.
fn wide(formats: &str, lines: &[&str]) -> SessionDescription {
    let attributes: String = lines.iter().map(|l| format!("a={l}\r\n")).collect();
    parse(&format!(
        "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP {formats}\r\n{attributes}"
    ))
}

#[test]
fn the_first_codec_of_our_order_that_the_other_side_has_is_sent() {
    use AudioCodec::{G722, Opus, Pcma, Pcmu};
    let all = "0 8 9 96";
    for (ours, formats, expected) in [
        (&[Opus, G722, Pcma, Pcmu][..], all, Some((96, Opus))),
        (&[G722, Opus, Pcma], all, Some((9, G722))),
        (&[Pcmu, Opus], all, Some((0, Pcmu))),
        (&[Opus, G722, Pcma], "8 9", Some((9, G722))),
        (&[Opus, Pcmu], "8 0", Some((0, Pcmu))),
        (&[Opus, G722], "0 8 3", None),
    ] {
        let capabilities = Capabilities {
            codecs: ours.to_vec(),
            ..Capabilities::default()
        };
        let mut d = OfferAnswer::new(capabilities, local("192.0.2.1"), &mut rng());
        let offer = wide(formats, &["rtpmap:96 opus/48000/2"]);
        let found = d.handle_offer(&offer, Direction::SendRecv, &mut rng());
        let sent = found.as_ref().ok().map(|(_, agreed)| agreed.send);
        assert_eq!(sent, expected, "{ours:?} of {formats}: {found:?}");
        if let Ok((answer, agreed)) = found {
            let answered: Vec<String> = agreed.receive.iter().map(|(n, _)| n.to_string()).collect();
            assert_eq!(answer.media[0].formats, answered);
        }
    }
}

#[test]
fn codecs_are_known_by_number_or_name_and_clock() {
    use AudioCodec::{G722, Opus, Pcma};
    for (formats, map, expected) in [
        ("9", "x-nothing", Some((9, G722))),
        ("9", "rtpmap:9 G722/8000", Some((9, G722))),
        ("9", "rtpmap:9 g722/16000", Some((9, G722))),
        ("109", "rtpmap:109 G722/8000/1", Some((109, G722))),
        ("109", "rtpmap:109 G722/48000", None),
        ("111", "rtpmap:111 OPUS/48000/2", Some((111, Opus))),
        ("111", "rtpmap:111 opus/48000", Some((111, Opus))),
        ("111", "rtpmap:111 opus/16000/2", None),
        ("8", "rtpmap:8 PCMA/8000/2", None),
        ("8", "rtpmap:8 PCMA/16000", None),
        ("98", "rtpmap:98 pcma/8000", Some((98, Pcma))),
    ] {
        let found =
            dialog(SrtpPolicy::Off).handle_offer(&wide(formats, &[map]), Direction::SendRecv, &mut rng());
        let sent = found.ok().map(|(_, agreed)| agreed.send);
        assert_eq!(sent, expected, "{formats} {map}");
    }
}

#[test]
fn what_the_other_side_wants_of_opus_is_kept_to() {
    let plain = OpusFormat::default();
    for (fmtp, expected) in [
        ("stereo=0; sprop-stereo=1;x", plain),
        (
            "useinbandfec=1; maxplaybackrate=8000;cbr=1",
            OpusFormat {
                constant: true,
                forward_error_correction: true,
                playback_rate: 8_000,
                ..plain
            },
        ),
        (
            "maxaveragebitrate=12000",
            OpusFormat {
                bit_rate: 12_000,
                ..plain
            },
        ),
        // never more than we send anyway, never less than Opus can
        (
            "maxaveragebitrate=510000;maxplaybackrate=999999;useinbandfec=2",
            plain,
        ),
        (
            "MaxAverageBitrate=1",
            OpusFormat {
                bit_rate: 6_000,
                ..plain
            },
        ),
    ] {
        let lines = ["rtpmap:96 opus/48000/2", &format!("fmtp:96 {fmtp}")];
        let (text, agreed) = answer(&mut dialog(SrtpPolicy::Off), &wide("96", &lines));
        assert_eq!(agreed.opus, expected, "{fmtp}");
        // what we want is said under their number
        let said: Vec<&str> = text.media[0].values("fmtp").collect();
        assert!(
            said[0].starts_with("96 ") && said[0].contains("useinbandfec=1"),
            "{said:?}"
        );
    }
}

#[test]
fn packet_lengths_are_those_of_the_codec() {
    for (asked, g722, opus) in [
        (5, 10, 10),
        (10, 10, 10),
        (25, 20, 20),
        (30, 30, 20),
        (50, 50, 40),
        (60, 60, 60),
        (200, 60, 60),
    ] {
        for (formats, map, expected) in [("9", "x", g722), ("96", "rtpmap:96 opus/48000/2", opus)] {
            let offer = wide(formats, &[map, &format!("ptime:{asked}")]);
            let (_, agreed) = answer(&mut dialog(SrtpPolicy::Off), &offer);
            assert_eq!(agreed.ptime_ms, expected, "{formats} asked for {asked} ms");
        }
    }
}

#[test]
fn events_have_the_clock_of_the_codec_where_there_are_some() {
    for (formats, expected) in [
        ("96 100 101", events(101, 48_000)),
        ("9 100 101", events(100, 8_000)),
        ("96 100", events(100, 8_000)),
        ("9 101", events(101, 48_000)),
        ("9 102", None),
        ("9", None),
    ] {
        let offer = wide(
            formats,
            &[
                "rtpmap:96 opus/48000/2",
                "rtpmap:100 telephone-event/8000",
                "rtpmap:101 telephone-event/48000",
                "rtpmap:102 telephone-event/90000",
            ],
        );
        let (text, agreed) = answer(&mut dialog(SrtpPolicy::Off), &offer);
        assert_eq!(agreed.send_events, expected, "{formats}");
        let known: Vec<&str> = formats.split(' ').filter(|f| *f != "102").collect();
        assert_eq!(text.media[0].formats, known);
        assert_eq!(agreed.receive_events.len(), known.len() - 1);
    }
}

#[test]
fn each_side_may_have_its_own_numbers() {
    let mut d = dialog(SrtpPolicy::Off);
    d.offer(Direction::SendRecv, &mut rng());
    let answer = wide(
        "98 9 97",
        &["rtpmap:98 opus/48000/2", "rtpmap:97 telephone-event/48000"],
    );
    let agreed = d.handle_answer(&answer).expect("agreed");
    assert_eq!(agreed.send, (98, AudioCodec::Opus));
    assert_eq!(agreed.send_events, events(97, 48_000));
    // ours, and theirs for peers that use their own
    assert_eq!(agreed.receive[0], (107, AudioCodec::Opus));
    assert!(agreed.receive.contains(&(98, AudioCodec::Opus)));
    // a number of theirs that means something else in our offer keeps our meaning
    d.offer(Direction::SendRecv, &mut rng());
    let crossed = wide(
        "101 107",
        &["rtpmap:101 opus/48000/2", "rtpmap:107 telephone-event/8000"],
    );
    let agreed = d.handle_answer(&crossed).expect("agreed");
    assert_eq!(agreed.send, (101, AudioCodec::Opus));
    // and what was theirs before goes on to mean it
    assert_eq!(agreed.receive_events, [101, 102, 97]);
    assert!(
        agreed.receive.iter().all(|(n, _)| *n != 101),
        "{:?}",
        agreed.receive
    );
}

#[test]
fn numbers_that_meant_something_before_in_the_call_go_on_to_mean_it() {
    // a PBX that steps out of the media: new numbers for us, our old ones for the phone
    let mut d = dialog(SrtpPolicy::Off);
    d.offer(Direction::SendRecv, &mut rng());
    let first = wide("8 101", &["rtpmap:101 telephone-event/8000"]);
    d.handle_answer(&first).expect("agreed");
    let again = wide("8 103", &["rtpmap:103 telephone-event/8000"]);
    let (text, agreed) = answer(&mut d, &again);
    assert_eq!(text.media[0].formats, ["8", "103"]);
    assert_eq!(agreed.send_events, events(103, 8_000));
    assert_eq!(agreed.receive_events, [103, 101, 102]);
    // not where the other side gives the number another meaning, or wants no events any more
    let other = wide(
        "101 103",
        &["rtpmap:101 opus/48000/2", "rtpmap:103 telephone-event/8000"],
    );
    let (_, agreed) = answer(&mut d, &other);
    assert_eq!(agreed.receive_events, [103, 102]);
    let (_, agreed) = answer(&mut d, &wide("8", &[]));
    assert_eq!(agreed.receive_events, []);
}

#[test]
fn the_decoder_of_opus_is_made_only_where_the_answer_has_it() {
    let mut d = dialog(SrtpPolicy::Off);
    d.offer(Direction::SendRecv, &mut rng());
    let agreed = d.handle_answer(&wide("8", &[])).expect("agreed");
    let codecs: Vec<_> = agreed.receive.iter().map(|(_, c)| *c).collect();
    assert_eq!(codecs, [AudioCodec::Pcma, AudioCodec::G722, AudioCodec::Pcmu]);
}

#[test]
fn numbers_of_a_dialog_stay_and_new_ones_are_free() {
    let mut d = dialog(SrtpPolicy::Off);
    let theirs = wide(
        "101 107",
        &["rtpmap:101 opus/48000/2", "rtpmap:107 telephone-event/8000"],
    );
    answer(&mut d, &theirs);
    let again = d.offer(Direction::SendRecv, &mut rng());
    let line = &again.media[0];
    assert_eq!(line.formats, ["101", "9", "8", "0", "107", "102"]);
    assert_eq!(again, d.offer(Direction::SendRecv, &mut rng()));
    let theirs = wide(
        "102 107",
        &["rtpmap:102 opus/48000/2", "rtpmap:107 telephone-event/8000"],
    );
    answer(&mut d, &theirs);
    let again = d.offer(Direction::SendRecv, &mut rng());
    // 102 is taken: the events of 48 kHz get the first free number
    assert_eq!(again.media[0].formats, ["102", "9", "8", "0", "107", "96"]);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = SessionDescription::parse(&data);
    }

    /// Lines that begin well reach the deeper parts; whatever is answered can be read again.
    #[test]
    fn any_lines_are_answered_or_refused(
        lines in proptest::collection::vec("[vosmca]=[ -~]{0,40}|m=audio [0-9]{1,5} (UDP/TLS/)?RTP/S?AVP [0-9 ]{1,9}|a=(rtpmap|crypto|rtcp|ptime|maxptime|fmtp|setup|fingerprint|ice-ufrag|ice-pwd|candidate):[ -~]{0,60}|a=setup:(active|passive|actpass)|a=fingerprint:sha-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}|a=ice-pwd:[a-z]{22,30}", 0..20)
    ) {
        let text = format!("v=0\r\nc=IN IP4 192.0.2.9\r\n{}", lines.join("\r\n"));
        crate::fuzz::fuzz_sdp(text.as_bytes());
    }
}

#[test]
fn the_first_suite_of_the_offer_is_taken_under_the_name_it_has_there() {
    let line = |tag: u32, name: &str| {
        let suite = SrtpSuite::parse(name).expect("one of ours");
        let key = MasterKey::random(suite, &mut rng());
        let c = CryptoAttribute {
            tag,
            suite,
            draft_name: false,
            key,
        };
        let value = c.to_value().replace(suite.name(), name);
        format!("a=crypto:{value}\r\n")
    };
    let (cm, gcm) = ("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM");
    let (name, draft) = ("AES_256_CM_HMAC_SHA1_80", "AES_CM_256_HMAC_SHA1_80");
    for (offered, taken) in [
        (&[cm, gcm][..], cm),
        (&[gcm, cm], gcm),
        (&["AEAD_AES_256_GCM", gcm, name, cm], "AEAD_AES_256_GCM"),
        (&[draft, cm], draft),
        (&[draft], draft),
        (&[name, draft], name),
        (&["AES_CM_128_HMAC_SHA1_32", cm], "AES_CM_128_HMAC_SHA1_32"),
        (&["AES_256_CM_HMAC_SHA1_32"], "AES_256_CM_HMAC_SHA1_32"),
    ] {
        let lines: String = (1..).zip(offered).map(|(tag, name)| line(tag, name)).collect();
        let (text, agreed) = answer(&mut dialog(SrtpPolicy::Required), &offer("RTP/SAVP", &lines));
        let keys = agreed.srtp.expect("keys");
        assert_eq!(Some(keys.suite), SrtpSuite::parse(taken));
        let answered: Vec<&str> = text.media[0].values("crypto").collect();
        let tag = 1 + offered.iter().position(|name| *name == taken).unwrap_or_default();
        assert_eq!(answered.len(), 1);
        assert!(
            answered[0].starts_with(&format!("{tag} {taken} inline:")),
            "{offered:?}: {answered:?}"
        );
    }
    // what we do not have is passed over, and what is not allowed
    let f8 = format!("{}{}", KEY.replace(cm, "F8_128_HMAC_SHA1_80"), line(2, gcm));
    let (_, agreed) = answer(&mut dialog(SrtpPolicy::Required), &offer("RTP/SAVP", &f8));
    assert_eq!(agreed.srtp.map(|k| k.suite), Some(SrtpSuite::AeadAes128Gcm));
    let capabilities = Capabilities {
        srtp: SrtpPolicy::Required,
        suites: vec![SrtpSuite::AesCm128Sha1_80],
        ..Capabilities::default()
    };
    let mut only = OfferAnswer::new(capabilities, local("192.0.2.1"), &mut rng());
    let both = format!("{}{}", line(1, gcm), line(2, cm));
    let (_, agreed) = answer(&mut only, &offer("RTP/SAVP", &both));
    assert_eq!(agreed.srtp.map(|k| k.suite), Some(SrtpSuite::AesCm128Sha1_80));
}

#[test]
fn an_offer_with_feedback_is_answered_under_its_profile_and_without_feedback() {
    let mut d = dialog(SrtpPolicy::Off);
    let feedback = "a=rtcp-fb:* trr-int 5000\r\na=rtcp-fb:8 nack\r\n";
    let (text, agreed) = answer(&mut d, &offer("RTP/AVPF", feedback));
    assert_eq!(text.media[0].transport, "RTP/AVPF");
    assert_eq!(agreed.send, (8, AudioCodec::Pcma));
    assert!(text.media[0].attribute("rtcp-fb").is_none());
    let ours = dialog(SrtpPolicy::Off)
        .offer(Direction::SendRecv, &mut rng())
        .to_string();
    assert!(!ours.contains("rtcp-fb"), "{ours}");
}

#[test]
fn the_profile_of_feedback_is_offered_where_it_is_wanted_and_feedback_itself_never() {
    let with = |srtp, feedback| {
        let capabilities = Capabilities {
            srtp,
            feedback,
            ..Capabilities::default()
        };
        OfferAnswer::new(capabilities, local("192.0.2.1"), &mut rng())
    };
    use SrtpPolicy::{Off, Optional, Required};
    for (srtp, feedback, profile) in [
        (Off, false, "RTP/AVP"),
        (Off, true, "RTP/AVPF"),
        (Optional, true, "RTP/AVPF"),
        (Required, false, "RTP/SAVP"),
        (Required, true, "RTP/SAVPF"),
    ] {
        let (mut us, mut them) = (with(srtp, feedback), with(srtp, false));
        let first = us.offer(Direction::SendRecv, &mut rng());
        assert_eq!(first.media[0].transport, profile, "{srtp:?}");
        assert!(first.media[0].attribute("rtcp-fb").is_none());
        let (reply, _) = answer(&mut them, &parse(&first.to_string()));
        assert_eq!(reply.media[0].transport, profile);
        let agreed = us.handle_answer(&parse(&reply.to_string())).expect("agreed");
        assert_eq!(agreed.srtp.is_some(), srtp != Off);
        // either side may make the next offer
        for side in [&mut us, &mut them] {
            let next = side.offer(Direction::SendRecv, &mut rng());
            assert_eq!(next.media[0].transport, profile, "{srtp:?}, again");
        }
    }
    // a plain answer to it is as good, and a call that began without goes on without
    let mut us = with(Off, true);
    us.offer(Direction::SendRecv, &mut rng());
    us.handle_answer(&offer("RTP/AVP", "")).expect("agreed");
    let mut us = with(Off, true);
    let (text, _) = answer(&mut us, &offer("RTP/AVP", "a=rtcp-fb:* ccm tmmbr\r\n"));
    assert_eq!(text.media[0].transport, "RTP/AVP");
    assert!(text.media[0].attribute("rtcp-fb").is_none());
    let next = us.offer(Direction::SendRecv, &mut rng());
    assert_eq!(next.media[0].transport, "RTP/AVP");
}
