//! Bytes from outside never panic, and what they can make us keep is bounded.

use proptest::prelude::*;

const SEEDS: [&str; 4] = [
    "INVITE sip:503@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKa\r\nFrom: <sip:1@p>;tag=t\r\n\
     To: <sip:503@p>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:1@10.0.0.2>\r\nRecord-Route: <sip:10.0.0.2;lr>\r\n\
     Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
    "BYE sip:503@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKb\r\nFrom: <sip:1@p>;tag=t\r\n\
     To: <sip:503@p>;tag=u\r\nCall-ID: c\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n",
    "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKc\r\nFrom: <sip:1@p>;tag=t\r\n\
     To: <sip:503@p>;tag=u\r\nCall-ID: c\r\nCSeq: 2 REGISTER\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n\
     Content-Length: 0\r\n\r\n",
    "INFO sip:503@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKd\r\nFrom: <sip:1@p>;tag=t\r\n\
     To: <sip:503@p>;tag=u\r\nCall-ID: c\r\nCSeq: 3 INFO\r\nContent-Type: application/dtmf-relay\r\n\
     Content-Length: 8\r\n\r\nSignal=9",
];

/// Takes any bytes from the PBX, from a stranger and over a connection, once with a call of ours going on.
fn survived(data: &[u8]) {
    for setup in [0, 1] {
        let mut input = vec![setup];
        for control in [0x14, 0x15, 0x16] {
            input.push(control);
            input.extend(data.iter().filter(|b| **b != 0));
            input.push(0);
        }
        crate::fuzz::user_agent(&input);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        survived(&data);
    }

    #[test]
    fn damaged_messages_are_survived(
        seed in 0..SEEDS.len(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        swap in any::<prop::sample::Index>(),
    ) {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for (at, value) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let at = swap.index(bytes.len());
        bytes.rotate_left(at / 64);
        survived(&bytes);
    }
}
