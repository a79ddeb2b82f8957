//! Well-formed messages with random faults: nothing may panic, and writing what was read is stable.

mod common;

use gateway_sip::fuzz::TARGETS;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Edit {
    Copy(usize, usize, usize),
    Delete(usize, usize),
    Insert(usize, Vec<u8>),
    Set(usize, u8),
}

fn edit() -> impl Strategy<Value = Edit> {
    let odd = prop::sample::select(b"\r\n \t:;,<>\"\\%@[]=/*?\0\xff\xc3".to_vec());
    let piece = prop::sample::select(vec![
        &b"\r\n"[..],
        b"\r\n\r\n",
        b"\n ",
        b";;",
        b"\"",
        b"Content-Length: 5\r\n",
        b"l: 99999999999\r\n",
        b"SIP/2.0",
        b"CSeq: 1 ACK\r\n",
        b"Via: SIP/2.0/UDP h;branch=z9hG4bK\r\n",
        b"[::1]:70000",
        b"%zz",
        b"\xe9",
        b"ACK sip:a@h SIP/2.0\r\n",
        b", Digest realm=",
        b"<sip:",
        b">;tag",
    ]);
    prop_oneof![
        4 => (any::<usize>(), odd).prop_map(|(at, b)| Edit::Set(at, b)),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(at, b)| Edit::Set(at, b)),
        4 => (any::<usize>(), piece).prop_map(|(at, p)| Edit::Insert(at, p.to_vec())),
        2 => (any::<usize>(), 1..40_usize).prop_map(|(at, len)| Edit::Delete(at, len)),
        1 => (any::<usize>(), 1..200_usize, any::<usize>()).prop_map(|(at, len, to)| Edit::Copy(at, len, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edits: &[Edit]) {
    for edit in edits {
        let place = |at: usize| at % (bytes.len() + 1);
        match edit {
            Edit::Copy(at, len, to) => {
                let (at, to) = (place(*at), place(*to));
                let piece = bytes[at..bytes.len().min(at + len)].to_vec();
                bytes.splice(to..to, piece);
            }
            Edit::Delete(at, len) => {
                let at = place(*at);
                let end = bytes.len().min(at + len);
                bytes.drain(at..end);
            }
            Edit::Insert(at, piece) => {
                let at = place(*at);
                bytes.splice(at..at, piece.iter().copied());
            }
            Edit::Set(at, b) => {
                let at = place(*at);
                if let Some(slot) = bytes.get_mut(at) {
                    *slot = *b;
                }
            }
        }
    }
}

/// Starting points; also replayed unchanged.
fn seeds() -> Vec<Vec<u8>> {
    let cancel = common::request(
        "CANCEL",
        "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\n",
    );
    let response = common::crlf(&format!(
        "SIP/2.0 401 Unauthorized\n{}WWW-Authenticate: Digest realm=\"a\",nonce=\"b\",qop=\"auth\"\n\n",
        common::fields("REGISTER")
    ));
    let two = [
        common::invite(),
        b"\r\n\r\n".to_vec(),
        common::request("ACK", "l: 0\n"),
        cancel.clone(),
    ]
    .concat();
    vec![
        common::invite(),
        cancel,
        response,
        two,
        common::request("OPTIONS", ""),
        b"\r\n".to_vec(),
        Vec::new(),
    ]
}

#[test]
fn every_target_holds_for_its_seeds() {
    for seed in seeds() {
        for (_, target) in TARGETS {
            target(&seed);
        }
    }
    for value in [
        "\"a\" <sip:b@[::1]:5;x=\"",
        "SIP/2.0/UDP [::1];received=::1",
        "sip:a%@h;;x",
        "sip:a@h;transport=tls;transport",
        "Digest a=\"b\\",
        "1 X",
    ] {
        gateway_sip::fuzz::values(value.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_messages_break_no_target(
        seed in prop::sample::select(seeds()),
        edits in prop::collection::vec(edit(), 1..12),
    ) {
        let mut bytes = seed;
        apply(&mut bytes, &edits);
        for (_, target) in TARGETS {
            target(&bytes);
        }
    }

    #[test]
    fn mutated_values_break_no_target(
        seed in prop::sample::select(vec![
            "\"A \\\"B\\\"\" <sip:1002@192.0.2.4:5062;ob?x=y>;+sip.instance=\"<urn:uuid:0;1>\";expires=60",
            "SIP / 2.0 / UDP [2001:db8::1]:5060;branch=z9hG4bKa;rport;received=192.0.2.1",
            "Digest realm=\"a, b\", nonce=c, qop=auth,auth-int, algorithm=SHA-256, Basic realm=\"d\"",
            "sips:a%40b:pw@host.example:5061;transport=tls;lr?Replaces=x%3By",
            "tel:+1-201(5)5;phone-context=+44", "12345 INVITE",
        ]),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        let mut bytes = seed.as_bytes().to_vec();
        apply(&mut bytes, &edits);
        gateway_sip::fuzz::values(&bytes);
    }

    #[test]
    fn any_bytes_break_no_target(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (_, target) in TARGETS {
            target(&bytes);
        }
    }
}
