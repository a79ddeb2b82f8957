//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use gateway_core::Instant;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::codec::{self, Decoder};
use crate::dtls::{self, Association, Fingerprint, Identity};
use crate::ice::{Agent, Agreement, Checks, Component, Credentials, Heard, Side};
use crate::jitter::{Content, JitterBuffer};
use crate::sdp::{
    AudioCodec, Capabilities, Direction, LocalMedia, MasterKey, OfferAnswer, SessionDescription,
};
use crate::sdp::{SrtpKeying, SrtpPolicy, SrtpSuite};
use crate::srtp::{SrtpError, Unprotect};
use crate::stun::client::Client;
use crate::stun::{Kind, Message, Writer};
use crate::telephone_event::EventReceiver;
use crate::{rtcp, rtp};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("dtls", fuzz_dtls),
    ("payload", fuzz_payload),
    ("rtcp", fuzz_rtcp),
    ("rtp", fuzz_rtp),
    ("sdp", fuzz_sdp),
    ("srtp", fuzz_srtp),
    ("stun", fuzz_stun),
];

/// A description as offer and as answer, under each encryption policy.
///
/// # Panics
/// If an answer of ours cannot be read again.
pub fn fuzz_sdp(data: &[u8]) {
    let Ok(description) = SessionDescription::parse(data) else {
        return;
    };
    let mut rng = StdRng::seed_from_u64(7);
    let local = LocalMedia {
        address: [192, 0, 2, 1].into(),
        host: None,
        seen: None,
        rtp_port: 4_000,
        rtcp_port: 4_001,
    };
    let digest = vec!["0A"; 32].join(":");
    let fingerprint = Fingerprint::parse(&format!("sha-256 {digest}"));
    for (srtp, keying, ice) in [
        (SrtpPolicy::Off, SrtpKeying::Sdes, Side::Full),
        (SrtpPolicy::Optional, SrtpKeying::Sdes, Side::Lite),
        (SrtpPolicy::Optional, SrtpKeying::Dtls, Side::Full),
        (SrtpPolicy::Required, SrtpKeying::Dtls, Side::Lite),
    ] {
        let capabilities = Capabilities {
            srtp,
            keying,
            fingerprint: fingerprint.clone(),
            ice,
            ..Capabilities::default()
        };
        let mut us = OfferAnswer::new(capabilities, local, &mut rng);
        if let Ok((answer, agreed)) = us.handle_offer(&description, Direction::SendRecv, &mut rng) {
            assert!((10..=60).contains(&agreed.ptime_ms));
            let read = SessionDescription::parse(answer.to_string().as_bytes());
            assert_eq!(read.as_ref().map(|r| r.media.len()), Ok(description.media.len()));
        }
        us.offer(Direction::SendRecv, &mut rng);
        let _ = us.handle_answer(&description);
    }
}

/// An RTP packet, its payload as telephone-event, and the packet in a jitter buffer.
pub fn fuzz_rtp(data: &[u8]) {
    let Ok((header, payload)) = rtp::parse(data) else {
        return;
    };
    let mut digits = EventReceiver::default();
    let mut buffer = JitterBuffer::new(Duration::from_millis(20), Duration::from_millis(200), 8_000);
    for step in [0u16, 1, 0, 40_000] {
        let sequence = header.sequence.wrapping_add(step);
        digits.handle(Instant::ZERO, sequence, header.timestamp, header.marker, payload);
        buffer.insert(Instant::ZERO, sequence, Content::Audio(8), 160, payload);
        buffer.pull(Instant::ZERO + Duration::from_millis(30));
    }
}

/// A payload of each codec, and what the codec makes of its loss. The decoders go on from one call to the next.
///
/// # Panics
/// If a decoder gives another number of samples than it said.
pub fn fuzz_payload(data: &[u8]) {
    static DECODERS: Mutex<Vec<Box<dyn Decoder>>> = Mutex::new(Vec::new());
    let mut decoders = DECODERS.lock().unwrap_or_else(PoisonError::into_inner);
    if decoders.is_empty() {
        let all = [
            AudioCodec::G722,
            AudioCodec::Opus,
            AudioCodec::Pcma,
            AudioCodec::Pcmu,
        ];
        decoders.extend(all.into_iter().filter_map(|c| codec::decoder(c).ok()));
    }
    let mut out = [0; 2_080];
    for decoder in decoders.iter_mut() {
        if let Ok(samples) = decoder.decode(data, &mut out) {
            assert_eq!(Some(samples), decoder.samples_of(data));
        }
        decoder.conceal(Some(data), &mut out[..320]);
        decoder.follow(&out[..320]);
    }
}

/// A STUN message, as a check of ICE and as an answer to a question of ours; then its attributes once more in a check
/// that somebody with the password sends.
///
/// # Panics
/// If somebody without the password chooses where media goes, or an answer of ours cannot be read.
pub fn fuzz_stun(data: &[u8]) {
    let from = SocketAddr::from(([192, 0, 2, 1], 4_000));
    let checks = Checks {
        password: "theirs is not known".into(),
        candidates: Vec::new(),
        controlling: data.first().is_some_and(|first| first & 1 == 1),
        tie_breaker: 7,
    };
    let mut out = Vec::new();
    for checks in [None, Some(checks)] {
        let local = Credentials {
            fragment: "ours".into(),
            password: "not to be guessed".into(),
        };
        let mut agent = Agent::new(Agreement {
            local,
            remote: "them".into(),
            checks,
            last_counts: data.len().is_multiple_of(2),
        });
        let mut handle = |packet: &[u8]| {
            out.clear();
            let heard = agent.handle(Instant::ZERO, Component::Rtp, from, packet, &mut out);
            if matches!(heard, Heard::Answer | Heard::Chosen) {
                assert!(Message::read(&out).is_some(), "{out:?}");
            }
            let target = agent.target(Component::Rtp);
            let asked = agent.check(Instant::ZERO, &mut out);
            assert!(asked.is_none_or(|(_, to)| to == from));
            target
        };
        assert_eq!(handle(data), None);
        let mut check = Vec::new();
        let mut writer = Writer::begin(&mut check, Kind::Request, [7; 12]);
        writer.raw(data.get(20..).unwrap_or_default());
        writer.sign(b"not to be guessed");
        writer.finish();
        handle(&check);
    }
    let mut rng = StdRng::seed_from_u64(7);
    let mut client = Client::new(from, Instant::ZERO);
    client.handle_timeout(Instant::ZERO, &mut rng, &mut out);
    client.handle_packet(Instant::ZERO, from, data);
}

/// Datagrams of a DTLS handshake, each behind its length (two bytes); the first byte says who begins.
///
/// # Panics
/// If keys come of a handshake with somebody else's certificate.
pub fn fuzz_dtls(data: &[u8]) {
    static IDENTITY: OnceLock<Option<Identity>> = OnceLock::new();
    let made = IDENTITY.get_or_init(|| Identity::generate().ok());
    let (Some(identity), Some((first, mut rest))) = (made, data.split_first()) else {
        return;
    };
    let digest = vec!["0A"; 32].join(":");
    let expected: Vec<_> = Fingerprint::parse(&format!("sha-256 {digest}"))
        .into_iter()
        .collect();
    let mut now = Instant::ZERO;
    let Ok(mut association) = Association::new(identity, first & 1 == 1, &expected, now) else {
        return;
    };
    for _ in 0..16 {
        let Some(([high, low], more)) = rest.split_first_chunk() else {
            break;
        };
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(more.len());
        let (packet, more) = more.split_at(len);
        rest = more;
        association.handle_packet(now, packet);
        now = now + Duration::from_millis(500);
        association.handle_timeout(now);
        while let Some(output) = association.poll_output() {
            assert!(!matches!(output, dtls::Output::Keys(_)), "{data:?}");
        }
    }
}

/// A compound RTCP packet.
pub fn fuzz_rtcp(data: &[u8]) {
    rtcp::read(data, |_| ());
}

/// A packet that claims to be SRTP or SRTCP, under each suite.
///
/// # Panics
/// If the cipher behind the guard panicked: the guard's length checks have a hole.
pub fn fuzz_srtp(data: &[u8]) {
    static CONTEXTS: Mutex<Vec<Unprotect>> = Mutex::new(Vec::new());
    let mut contexts = CONTEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if contexts.is_empty() {
        for suite in SrtpSuite::ALL {
            let mut rng = StdRng::seed_from_u64(3);
            let key = MasterKey::random(suite, &mut rng);
            contexts.extend(Unprotect::new(suite, &key));
        }
    }
    for context in contexts.iter_mut() {
        for result in [context.rtp(data), context.rtcp(data)] {
            assert!(!matches!(result, Err(SrtpError::Panicked(_))), "{data:?}");
        }
    }
}

#[cfg(test)]
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_target_survives_its_corpus() {
        replay::replay(&TARGETS);
    }

    #[test]
    fn every_length_of_a_packet_is_survived() {
        for first in [0x80u8, 0x81, 0x90, 0xa0, 0xbf, 0x00, 0xff] {
            for second in [0u8, 8, 101, 200, 201, 203, 255] {
                for len in 0..80 {
                    let mut data = vec![0xffu8; len];
                    for (d, s) in data.iter_mut().zip([first, second, 0, 1]) {
                        *d = s;
                    }
                    for target in [fuzz_rtp, fuzz_payload, fuzz_rtcp, fuzz_srtp, fuzz_stun] {
                        target(&data);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_packet_is_survived(
            head in prop_oneof![Just(0x80u8), Just(0x90), Just(0xb1), any::<u8>()],
            kind: u8,
            rest in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let data = [&[head, kind][..], &rest].concat();
            for target in [fuzz_rtp, fuzz_payload, fuzz_rtcp, fuzz_srtp, fuzz_sdp, fuzz_stun] {
                target(&data);
            }
        }
    }
}
