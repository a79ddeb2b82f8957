//! What is agreed about the way of media: handshakes and ICE.

use super::*;
use crate::dtls::Identity;
use crate::ice::{Component, Side};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn local() -> LocalMedia {
    LocalMedia {
        address: [203, 0, 113, 5].into(),
        host: Some([16_384, 16_385].map(|port| ([192, 168, 0, 9], port).into())),
        seen: None,
        rtp_port: 16_384,
        rtcp_port: 16_385,
    }
}

fn side(srtp: SrtpPolicy, keying: SrtpKeying, ice: Side) -> OfferAnswer {
    let fingerprint = Identity::generate().expect("a certificate").fingerprint().clone();
    let capabilities = Capabilities {
        srtp,
        keying,
        fingerprint: Some(fingerprint),
        ice,
        ..Capabilities::default()
    };
    OfferAnswer::new(capabilities, local(), &mut rng(1))
}

fn by_dtls(srtp: SrtpPolicy) -> OfferAnswer {
    side(srtp, SrtpKeying::Dtls, Side::Off)
}

fn with_ice() -> OfferAnswer {
    side(SrtpPolicy::Off, SrtpKeying::Sdes, Side::Lite)
}

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text.as_bytes()).expect("a description")
}

const DIGEST: &str =
    "AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA";

/// An offer or answer of somebody else; `session` and `line` are attributes.
fn theirs(transport: &str, session: &[&str], line: &[&str]) -> SessionDescription {
    let attributes = |list: &[&str]| list.iter().map(|a| format!("a={a}\r\n")).collect::<String>();
    parse(&format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{}\
         m=audio 12044 {transport} 8 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\n{}",
        attributes(session),
        attributes(line)
    ))
}

fn answer(
    us: &mut OfferAnswer,
    offer: &SessionDescription,
) -> Result<(SessionDescription, Agreed), SdpError> {
    us.handle_offer(offer, Direction::SendRecv, &mut rng(9))
}

fn value<'a>(description: &'a SessionDescription, name: &str) -> Option<&'a str> {
    description.media[0].attribute(name)?.value.as_deref()
}

#[test]
fn two_of_us_agree_on_a_handshake_that_the_answerer_begins() {
    for (policy, transport) in [
        (SrtpPolicy::Required, "UDP/TLS/RTP/SAVP"),
        (SrtpPolicy::Required, "UDP/TLS/RTP/SAVPF"),
        (SrtpPolicy::Optional, "RTP/AVP"),
        (SrtpPolicy::Optional, "RTP/AVPF"),
    ] {
        let (mut caller, mut callee) = (by_dtls(policy), by_dtls(policy));
        caller.capabilities.feedback = transport.ends_with('F');
        let offer = caller.offer(Direction::SendRecv, &mut rng(2));
        assert_eq!(offer.media[0].transport, transport);
        assert_eq!(value(&offer, "setup"), Some("actpass"));
        assert_eq!(offer.media[0].attribute("crypto"), None);
        let (text, ours) = answer(&mut callee, &offer).expect("agreed");
        assert_eq!(value(&text, "setup"), Some("active"));
        let back = caller.handle_answer(&parse(&text.to_string())).expect("agreed");
        let (begins, waits) = (ours.dtls.expect("a peer"), back.dtls.expect("a peer"));
        assert!(begins.active && !waits.active);
        assert_eq!(
            begins.fingerprints[0].to_string(),
            value(&offer, "fingerprint").expect("one")
        );
        assert_eq!(
            waits.fingerprints[0].to_string(),
            value(&text, "fingerprint").expect("one")
        );
        assert!(ours.srtp.is_none() && back.srtp.is_none());
    }
}

#[test]
fn a_handshake_is_taken_from_who_offers_it_and_from_nobody_else_where_it_has_to_be() {
    let fingerprint = format!("fingerprint:sha-256 {DIGEST}");
    let key = "crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let webrtc = theirs(
        "UDP/TLS/RTP/SAVPF",
        &[&fingerprint],
        &["setup:actpass", "rtcp-mux"],
    );
    let sdes = theirs("RTP/SAVP", &[], &[key]);
    let plain = theirs("RTP/AVP", &[], &[]);
    let weak = theirs(
        "UDP/TLS/RTP/SAVP",
        &[],
        &["fingerprint:sha-1 AA:AA", "setup:actpass"],
    );
    let held = theirs("UDP/TLS/RTP/SAVP", &[], &[&fingerprint, "setup:holdconn"]);
    use SrtpKeying::{Dtls, Sdes};
    use SrtpPolicy::{Off, Optional, Required};
    for (policy, keying, offer, protection) in [
        (Required, Sdes, &webrtc, Some("dtls")),
        (Required, Dtls, &webrtc, Some("dtls")),
        (Optional, Dtls, &webrtc, Some("dtls")),
        (Off, Sdes, &webrtc, None),
        (Required, Sdes, &sdes, Some("sdes")),
        (Required, Dtls, &sdes, None),
        (Optional, Dtls, &sdes, None),
        (Required, Dtls, &plain, None),
        (Optional, Dtls, &plain, Some("clear")),
        (Required, Dtls, &weak, None),
        (Optional, Sdes, &weak, None),
        (Required, Dtls, &held, None),
    ] {
        let mut us = side(policy, keying, Side::Off);
        let found = answer(&mut us, offer).map(|(_, agreed)| match (agreed.dtls, agreed.srtp) {
            (Some(_), None) => "dtls",
            (None, Some(_)) => "sdes",
            (None, None) => "clear",
            (Some(_), Some(_)) => "both",
        });
        assert_eq!(
            found.as_ref().ok().copied(),
            protection,
            "{policy:?} {keying:?}: {found:?}"
        );
        if protection.is_none() {
            assert!(matches!(found, Err(SdpError::Encryption { .. })), "{found:?}");
        }
    }
    let mut without = OfferAnswer::new(
        Capabilities {
            srtp: Required,
            ..Capabilities::default()
        },
        local(),
        &mut rng(1),
    );
    assert!(answer(&mut without, &webrtc).is_err(), "without a certificate");
}

#[test]
fn who_begins_follows_the_other_side_and_stays_with_its_certificate() {
    let fingerprint = format!("fingerprint:SHA-256 {}", DIGEST.to_lowercase());
    let offer = |setup: &str| theirs("UDP/TLS/RTP/SAVP", &[], &[&fingerprint, setup]);
    for (setup, ours, active) in [
        ("setup:active", "passive", false),
        ("setup:passive", "active", true),
        ("setup:actpass", "active", true),
        ("x:y", "passive", false),
    ] {
        let mut us = by_dtls(SrtpPolicy::Required);
        let (text, agreed) = answer(&mut us, &offer(setup)).expect("agreed");
        assert_eq!(value(&text, "setup"), Some(ours), "{setup}");
        assert_eq!(agreed.dtls.as_ref().map(|peer| peer.active), Some(active));
        let (text, again) = answer(&mut us, &offer("setup:actpass")).expect("agreed");
        assert_eq!(value(&text, "setup"), Some(ours), "{setup}, then actpass");
        assert_eq!(again.dtls, agreed.dtls);
    }
    let mut us = by_dtls(SrtpPolicy::Required);
    answer(&mut us, &offer("setup:active")).expect("agreed");
    let other = theirs(
        "UDP/TLS/RTP/SAVP",
        &[],
        &[&fingerprint.replace("aa", "bb"), "setup:actpass"],
    );
    let (_, agreed) = answer(&mut us, &other).expect("agreed");
    assert_eq!(
        agreed.dtls.map(|peer| peer.active),
        Some(true),
        "another certificate"
    );
}

#[test]
fn what_was_protected_by_a_handshake_does_not_go_on_in_clear() {
    let fingerprint = format!("fingerprint:sha-256 {DIGEST}");
    let mut us = by_dtls(SrtpPolicy::Optional);
    let offer = theirs("RTP/AVP", &[], &[&fingerprint, "setup:actpass"]);
    answer(&mut us, &offer).expect("agreed");
    let plain = theirs("RTP/AVP", &[], &[]);
    let refused = answer(&mut us, &plain);
    assert!(matches!(refused, Err(SdpError::Encryption { .. })), "{refused:?}");
    us.offer(Direction::SendRecv, &mut rng(3));
    let refused = us.handle_answer(&plain);
    assert!(matches!(refused, Err(SdpError::Encryption { .. })), "{refused:?}");
    // whoever never had one may
    let mut us = by_dtls(SrtpPolicy::Optional);
    us.offer(Direction::SendRecv, &mut rng(3));
    let agreed = us.handle_answer(&plain).expect("clear");
    assert!(agreed.dtls.is_none() && agreed.srtp.is_none());
    let mut us = by_dtls(SrtpPolicy::Required);
    us.offer(Direction::SendRecv, &mut rng(3));
    assert!(us.handle_answer(&plain).is_err());
}

const FULL: [&str; 3] = [
    "ice-ufrag:them",
    "ice-pwd:their+password+of+24chrs",
    "candidate:1 1 UDP 2130706431 192.0.2.9 12044 typ host",
];

#[test]
fn an_offer_names_our_addresses_and_a_full_side_that_answers_will_check() {
    let mut us = with_ice();
    let offer = parse(&us.offer(Direction::SendRecv, &mut rng(4)).to_string());
    assert!(offer.attributes.iter().any(|a| a.name == "ice-lite"));
    let candidates: Vec<&str> = offer.media[0].values("candidate").collect();
    assert_eq!(
        candidates,
        [
            "1 1 UDP 2130706431 192.168.0.9 16384 typ host",
            "2 1 UDP 1694498815 203.0.113.5 16384 typ srflx raddr 192.168.0.9 rport 16384",
            "1 2 UDP 2130706430 192.168.0.9 16385 typ host",
            "2 2 UDP 1694498814 203.0.113.5 16385 typ srflx raddr 192.168.0.9 rport 16385",
        ]
    );
    let agreed = us.handle_answer(&theirs("RTP/AVP", &[], &FULL)).expect("agreed");
    let ice = agreed.ice.expect("ICE");
    assert_eq!(ice.remote, "them");
    assert_eq!(Some(ice.local.fragment.as_str()), value(&offer, "ice-ufrag"));
    assert_eq!(Some(ice.local.password.as_str()), value(&offer, "ice-pwd"));
    for (session, line) in [
        (&[][..], &[][..]),
        (&["ice-lite"], &FULL),
        (&[], &["ice-ufrag:them", "ice-pwd:short"]),
        (&[], &["ice-mismatch", FULL[0], FULL[1], FULL[2]]),
        // somebody in between wrote another address into the line, or took the candidates out
        (&[], &[FULL[0], FULL[1]]),
        (
            &[],
            &[
                FULL[0],
                FULL[1],
                "candidate:1 1 UDP 2130706431 10.0.0.9 12044 typ host",
            ],
        ),
        (
            &[],
            &[
                FULL[0],
                FULL[1],
                "candidate:1 2 UDP 2130706431 192.0.2.9 12044 typ host",
            ],
        ),
    ] {
        let mut us = with_ice();
        us.offer(Direction::SendRecv, &mut rng(4));
        let agreed = us
            .handle_answer(&theirs("RTP/AVP", session, line))
            .expect("agreed");
        assert_eq!(agreed.ice, None, "{session:?} {line:?}");
    }
}

#[test]
fn an_answer_has_ice_only_for_a_full_side_that_offers_it() {
    let (_, agreed) = answer(
        &mut with_ice(),
        &theirs("RTP/AVP", &FULL[..2], &["rtcp-mux", FULL[2]]),
    )
    .expect("agreed");
    assert!(agreed.ice.is_some(), "credentials of the session");
    let (text, agreed) = answer(&mut with_ice(), &theirs("RTP/AVP", &[], &FULL)).expect("agreed");
    assert!(agreed.ice.is_some() && text.attributes.iter().any(|a| a.name == "ice-lite"));
    assert_eq!(text.media[0].values("candidate").count(), 4);
    let with_mux = [&FULL[..], &["rtcp-mux"]].concat();
    let (text, _) = answer(&mut with_ice(), &theirs("RTP/AVP", &[], &with_mux)).expect("agreed");
    assert_eq!(text.media[0].values("candidate").count(), 2);
    let mut never = side(SrtpPolicy::Off, SrtpKeying::Sdes, Side::Off);
    for (mut us, offer) in [
        (with_ice(), theirs("RTP/AVP", &[], &[])),
        (with_ice(), theirs("RTP/AVP", &["ice-lite"], &FULL)),
        (
            std::mem::replace(&mut never, with_ice()),
            theirs("RTP/AVP", &[], &FULL),
        ),
    ] {
        let (text, agreed) = answer(&mut us, &offer).expect("agreed");
        assert_eq!(agreed.ice, None);
        assert!(!text.to_string().contains("ice-") && !text.to_string().contains("candidate"));
    }
}

#[test]
fn who_begins_ice_anew_gets_other_credentials_and_who_does_not_the_same() {
    let mut us = with_ice();
    let mut fragment = |line: &[&str]| {
        let mut rng = rng(u64::try_from(line[0].len()).unwrap_or(0));
        let (_, agreed) = us
            .handle_offer(&theirs("RTP/AVP", &[], line), Direction::SendRecv, &mut rng)
            .expect("agreed");
        agreed.ice.map(|ice| ice.local)
    };
    let first = fragment(&FULL);
    assert_eq!(fragment(&FULL), first);
    let again = fragment(&["ice-ufrag:another", FULL[1], FULL[2]]);
    assert!(again.is_some() && again != first);
}

#[test]
fn with_ice_no_address_yet_is_no_hold() {
    let browser = |line: &[&str]| {
        let text = theirs("RTP/AVP", &[], line).to_string();
        parse(
            &text
                .replace("IN IP4 192.0.2.9\r\nt", "IN IP4 0.0.0.0\r\nt")
                .replace("m=audio 12044", "m=audio 9"),
        )
    };
    let (_, agreed) = answer(&mut with_ice(), &browser(&FULL)).expect("agreed");
    assert!(!agreed.held());
    let (_, agreed) = answer(&mut with_ice(), &browser(&[])).expect("agreed");
    assert!(agreed.held());
}

#[test]
fn the_full_side_takes_what_the_other_can_be_reached_at_and_leaves_the_rest() {
    let lines = [
        FULL[0],
        FULL[1],
        FULL[2],
        "candidate:2 1 udp 1694498815 198.51.100.7 50000 typ srflx raddr 192.0.2.9 rport 12044 generation 0",
        "candidate:1 2 UDP 2130706430 192.0.2.9 12045 typ host",
        "candidate:3 1 TCP 2130706431 192.0.2.9 9 typ host tcptype active",
        "candidate:4 1 UDP 2130706431 5f1e.local 5000 typ host",
        "candidate:5 1 UDP 2130706431 224.0.0.1 5000 typ host",
        "candidate:6 1 UDP 2130706431 0.0.0.0 5000 typ host",
        "candidate:7 1 UDP 2130706431 192.0.2.9 0 typ host",
        "candidate:8 3 UDP 2130706431 192.0.2.9 5000 typ host",
        "candidate:9 1 UDP 99999999999 192.0.2.9 5000 typ host",
        "candidate:10 1 UDP",
    ];
    let full = || side(SrtpPolicy::Off, SrtpKeying::Sdes, Side::Full);
    let mut us = full();
    let offer = parse(&us.offer(Direction::SendRecv, &mut rng(4)).to_string());
    let of_session = |d: &SessionDescription| d.attributes.iter().map(|a| a.name.clone()).collect::<Vec<_>>();
    assert_eq!(of_session(&offer), ["ice-options"]);
    let agreed = us.handle_answer(&theirs("RTP/AVP", &[], &lines)).expect("agreed");
    let checks = agreed.ice.and_then(|ice| ice.checks).expect("checks");
    assert!(checks.controlling, "we offered");
    let found: Vec<(Component, String, u32)> = checks
        .candidates
        .iter()
        .map(|c| (c.component, c.address.to_string(), c.priority))
        .collect();
    assert_eq!(
        found,
        [
            (Component::Rtp, "192.0.2.9:12044".to_owned(), 2_130_706_431),
            (Component::Rtcp, "192.0.2.9:12045".to_owned(), 2_130_706_430),
            (Component::Rtp, "198.51.100.7:50000".to_owned(), 1_694_498_815),
        ]
    );
    // with one port for both there is one component; who answers a full side does not choose, who answers a lite one does
    for (session, chooses) in [(&[][..], false), (&["ice-lite"], true)] {
        let lines = [&lines[..], &["rtcp-mux"]].concat();
        let (_, agreed) = answer(&mut full(), &theirs("RTP/AVP", session, &lines)).expect("agreed");
        let checks = agreed.ice.and_then(|ice| ice.checks).expect("checks");
        assert_eq!((checks.controlling, checks.candidates.len()), (chooses, 2));
    }
}

#[test]
fn of_more_candidates_than_are_tried_the_best_are() {
    let line = |n: u32| format!("candidate:{n} 1 UDP {n} 198.51.100.7 {} typ host", 20_000 + n);
    let mut lines: Vec<String> = (1..=100).map(line).collect();
    lines.extend(FULL.map(str::to_owned));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut us = side(SrtpPolicy::Off, SrtpKeying::Sdes, Side::Full);
    let (_, agreed) = answer(&mut us, &theirs("RTP/AVP", &[], &lines)).expect("agreed");
    let checks = agreed.ice.and_then(|ice| ice.checks).expect("checks");
    assert_eq!(checks.candidates.len(), 32);
    assert_eq!(checks.candidates[0].address.port(), 12_044);
    assert_eq!(checks.candidates[31].priority, 70);
}

#[test]
fn a_port_that_a_router_wrote_is_the_one_of_the_line_and_of_the_candidate() {
    let capabilities = Capabilities {
        ice: Side::Full,
        ..Capabilities::default()
    };
    let local = LocalMedia {
        address: [203, 0, 113, 5].into(),
        rtp_port: 61_000,
        rtcp_port: 61_007,
        ..local()
    };
    let mut us = OfferAnswer::new(capabilities, local, &mut rng(1));
    let offer = us.offer(Direction::SendRecv, &mut rng(4));
    assert_eq!(
        (offer.media[0].port, value(&offer, "rtcp")),
        (61_000, Some("61007"))
    );
    let seen: Vec<&str> = offer.media[0]
        .values("candidate")
        .filter(|c| c.contains("srflx"))
        .collect();
    assert_eq!(
        seen,
        [
            "2 1 UDP 1694498815 203.0.113.5 61000 typ srflx raddr 192.168.0.9 rport 16384",
            "2 2 UDP 1694498814 203.0.113.5 61007 typ srflx raddr 192.168.0.9 rport 16385",
        ]
    );
}

#[test]
fn somebody_near_may_be_a_way_to_somebody_far() {
    let capabilities = Capabilities {
        ice: Side::Full,
        ..Capabilities::default()
    };
    let local = LocalMedia {
        address: [192, 168, 0, 9].into(),
        host: None,
        seen: Some([61_000, 61_007].map(|port| ([203, 0, 113, 5], port).into())),
        ..local()
    };
    let mut us = OfferAnswer::new(capabilities, local, &mut rng(1));
    let offer = us.offer(Direction::SendRecv, &mut rng(4));
    assert_eq!(offer.media[0].port, 16_384);
    let candidates: Vec<&str> = offer.media[0].values("candidate").take(2).collect();
    assert_eq!(
        candidates,
        [
            "1 1 UDP 2130706431 192.168.0.9 16384 typ host",
            "2 1 UDP 1694498815 203.0.113.5 61000 typ srflx raddr 192.168.0.9 rport 16384",
        ]
    );
}
