//! Known answers, round trips, and what a stranger can do.

use super::*;
use crate::rtp::Header;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| u8::try_from(d).expect("nibble"))
        .collect();
    digits.chunks(2).map(|p| p[0] << 4 | p[1]).collect()
}

fn key(suite: SrtpSuite, bytes: &str) -> MasterKey {
    MasterKey::new(suite, &hex(bytes), 0).expect("key")
}

fn packet(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        padding: false,
        marker: false,
        payload_type: 8,
        sequence,
        timestamp: 160,
        ssrc,
    };
    [&header.to_bytes()[..], payload].concat()
}

/// Master key and salt of RFC 3711 B.3; the packets are those with which implementations are compared.
const B3: &str = "e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6";

#[test]
fn known_answer_of_aes_cm_with_the_keys_of_rfc_3711_b3() {
    let suite = SrtpSuite::AesCm128Sha1_80;
    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let secret = hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb");
    let mut protect = Protect::new(suite, &key(suite, B3)).expect("context");
    assert_eq!(protect.rtp(&plain).expect("protected"), secret);
    let mut unprotect = Unprotect::new(suite, &key(suite, B3)).expect("context");
    assert_eq!(unprotect.rtp(&secret).expect("opened"), plain);
}

#[test]
fn known_answer_of_srtcp_with_the_keys_of_rfc_3711_b3() {
    let suite = SrtpSuite::AesCm128Sha1_80;
    let plain = hex("81c8000bcafebabe abababababababababababababababab");
    let secret = hex("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798");
    let mut protect = Protect::new(suite, &key(suite, B3)).expect("context");
    assert_eq!(protect.rtcp(&plain).expect("protected"), secret);
    let mut unprotect = Unprotect::new(suite, &key(suite, B3)).expect("context");
    assert_eq!(unprotect.rtcp(&secret).expect("opened"), plain);
}

#[test]
fn known_answer_of_aes_gcm() {
    let suite = SrtpSuite::AeadAes128Gcm;
    let master = key(suite, "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab");
    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let secret =
        hex("800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392");
    let mut protect = Protect::new(suite, &master).expect("context");
    assert_eq!(protect.rtp(&plain).expect("protected"), secret);
}

#[test]
fn every_suite_round_trips_over_a_wrap_of_the_sequence_number() {
    for suite in SrtpSuite::ALL {
        let master = MasterKey::random(suite, &mut StdRng::seed_from_u64(5));
        let mut protect = Protect::new(suite, &master).expect("context");
        let mut unprotect = Unprotect::new(suite, &master).expect("context");
        for n in 0..70_000u32 {
            let sequence = (n & 0xffff) as u16;
            // Only around the wrap is every packet tried; elsewhere every 64th.
            if n % 64 == 0 || (65_000..66_000).contains(&n) {
                let plain = packet(1, sequence, &n.to_be_bytes());
                let secret = protect.rtp(&plain).expect("protected");
                assert_eq!(secret.len(), plain.len() + suite.rtp_tag_len());
                assert_eq!(
                    unprotect.rtp(&secret).expect("opened"),
                    plain,
                    "{suite:?} packet {n}"
                );
                assert!(unprotect.rtp(&secret).is_err(), "replay");
            }
        }
        let mut report = Vec::new();
        crate::rtcp::write(&mut report, 1, None, None, "x", true);
        let mut secret = protect.rtcp(&report).expect("protected").to_vec();
        assert_eq!(unprotect.rtcp(&secret).expect("opened"), report);
        secret[9] ^= 1;
        assert!(unprotect.rtcp(&secret).is_err(), "forged");
    }
}

#[test]
fn short_packets_do_not_reach_the_cipher() {
    for suite in SrtpSuite::ALL {
        let master = MasterKey::random(suite, &mut StdRng::seed_from_u64(5));
        let mut unprotect = Unprotect::new(suite, &master).expect("context");
        let smallest = 12 + suite.rtcp_tag_len();
        for len in 0..smallest {
            let mut data = vec![0; len];
            for (d, s) in data.iter_mut().zip([0x80, 201]) {
                *d = s;
            }
            let refused = unprotect.rtcp(&data);
            assert!(
                matches!(refused, Err(SrtpError::TooShort { .. })),
                "{suite:?} {len}: {refused:?}"
            );
        }
        let refused = unprotect.rtcp(&vec![0x80; smallest]);
        assert!(matches!(refused, Err(SrtpError::Cipher(_))), "{refused:?}");
    }
}

#[test]
fn header_extensions_that_reach_beyond_themselves_do_not_reach_the_cipher() {
    for suite in SrtpSuite::ALL {
        let master = MasterKey::random(suite, &mut StdRng::seed_from_u64(5));
        let mut protect = Protect::new(suite, &master).expect("context");
        let mut unprotect = Unprotect::new(suite, &master).expect("context");
        let with = |extension: &str| {
            let fixed = hex("9008 0001 000000a0 01020304");
            [&fixed[..], &hex(extension), &[0xd5; 40]].concat()
        };
        // one byte of head: levels and padding; two bytes of head; another profile
        for (n, good) in [
            (1, "bede0001 10ff0000"),
            (2, "10000001 01010200"),
            (3, "12340001 ffffffff"),
        ] {
            let mut plain = with(good);
            plain[3] = n;
            let secret = protect.rtp(&plain).expect("protected");
            assert_eq!(unprotect.rtp(&secret).expect("opened"), plain, "{suite:?} {good}");
        }
        for bad in [
            "bede0001 10fe6e08", // the second is longer than the rest of the packet
            "bede0001 1fffffff", // longer than the extension
            "bede0001 f0000000", // reserved number
            "bede0001 000000 10",
            "10000001 01ff0000",
            "10000001 00000001",
        ] {
            for len in [34, 56] {
                let packet = &with(bad)[..len];
                let refused = unprotect.rtp(packet);
                let right = match refused {
                    Err(SrtpError::Malformed) => true,
                    Err(SrtpError::TooShort { .. }) => len == 34,
                    _ => false,
                };
                assert!(right, "{suite:?} {bad} {len}: {refused:?}");
            }
        }
    }
}

#[test]
fn strangers_leave_no_trace_and_sources_are_bounded() {
    let suite = SrtpSuite::AesCm128Sha1_80;
    let master = MasterKey::random(suite, &mut StdRng::seed_from_u64(5));
    let mut unprotect = Unprotect::new(suite, &master).expect("context");
    for ssrc in 0..1_000 {
        assert!(unprotect.rtp(&packet(ssrc, 1, &[0; 40])).is_err());
    }
    assert!(unprotect.rtp_sources.is_empty() && unprotect.probed < MAX_PROBES);
    let mut protect = Protect::new(suite, &master).expect("context");
    let opened = (0..20)
        .filter(|ssrc| {
            let secret = protect.rtp(&packet(*ssrc, 1, &[1; 160])).expect("protected");
            unprotect.rtp(&secret).is_ok()
        })
        .count();
    assert_eq!(opened, MAX_SSRCS);
    let secret = protect.rtp(&packet(3, 2, &[1; 160])).expect("protected");
    assert!(unprotect.rtp(&secret).is_ok(), "a known source goes on");
}

#[test]
fn a_master_key_identifier_is_cut_out() {
    for suite in [SrtpSuite::AesCm128Sha1_80, SrtpSuite::AeadAes128Gcm] {
        let plain_key = MasterKey::random(suite, &mut StdRng::seed_from_u64(5));
        let with_mki = MasterKey::new(suite, &plain_key.bytes, 4).expect("key");
        let mut protect = Protect::new(suite, &plain_key).expect("context");
        let mut unprotect = Unprotect::new(suite, &with_mki).expect("context");
        let plain = packet(1, 1, &[7; 20]);
        let mut secret = protect.rtp(&plain).expect("protected").to_vec();
        let tag = if suite.is_aead() { 0 } else { suite.rtp_tag_len() };
        let at = secret.len() - tag;
        secret.splice(at..at, [0, 0, 0, 1]);
        assert_eq!(unprotect.rtp(&secret).expect("opened"), plain, "{suite:?}");
    }
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let short = MasterKey::random(SrtpSuite::AesCm128Sha1_80, &mut StdRng::seed_from_u64(5));
    assert!(matches!(
        Protect::new(SrtpSuite::AesCm256Sha1_80, &short).map(|_| ()),
        Err(SrtpError::Key { .. })
    ));
}
