//! Two associations, and what is between them.

use std::time::Duration;

use gateway_core::Instant;
use proptest::prelude::*;

use super::*;
use crate::sdp::SrtpKeys;
use crate::srtp::{Protect, Unprotect};

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(60_000 + ms)
}

/// One side with what it has said so far.
struct Side {
    association: Association,
    failed: Option<DtlsError>,
    keys: Option<SrtpKeys>,
}

impl Side {
    fn new(identity: &Identity, active: bool, expected: &[Fingerprint]) -> Self {
        Self {
            association: Association::new(identity, active, expected, at(0)).expect("an association"),
            failed: None,
            keys: None,
        }
    }

    /// The datagrams it has to send.
    fn take(&mut self) -> Vec<Box<[u8]>> {
        let mut sent = Vec::new();
        while let Some(output) = self.association.poll_output() {
            match output {
                Output::Closed => {}
                Output::Failed(why) => self.failed = Some(why),
                Output::Keys(keys) => self.keys = Some(keys),
                Output::Send(datagram) => sent.push(datagram),
            }
        }
        sent
    }
}

/// Lets them talk for 20 s of their time; `lost` says which datagrams do not arrive.
fn talk(a: &mut Side, b: &mut Side, mut lost: impl FnMut(usize) -> bool) {
    let mut number = 0;
    for ms in (0..20_000).step_by(20) {
        for _ in 0..2 {
            for datagram in a.take() {
                number += 1;
                if !lost(number) {
                    b.association.handle_packet(at(ms), &datagram);
                }
            }
            for datagram in b.take() {
                number += 1;
                if !lost(number) {
                    a.association.handle_packet(at(ms), &datagram);
                }
            }
        }
        for side in [&mut *a, &mut *b] {
            if side.association.poll_timeout().is_some_and(|due| due <= at(ms)) {
                side.association.handle_timeout(at(ms));
            }
        }
    }
    a.take();
    b.take();
}

fn pair() -> (Side, Side) {
    let (ours, theirs) = (identity(), identity());
    let client = Side::new(&ours, true, std::slice::from_ref(theirs.fingerprint()));
    let server = Side::new(&theirs, false, std::slice::from_ref(ours.fingerprint()));
    (client, server)
}

fn identity() -> Identity {
    Identity::generate().expect("a certificate")
}

#[test]
fn both_sides_get_the_same_keys_and_what_one_protects_the_other_opens() {
    let (mut client, mut server) = pair();
    talk(&mut client, &mut server, |_| false);
    let (ours, theirs) = (client.keys.expect("keys"), server.keys.expect("keys"));
    assert_eq!((&ours.local, &ours.remote), (&theirs.remote, &theirs.local));
    assert_ne!(ours.local, ours.remote);
    let packet = [&[0x80, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2][..], &[7; 160]].concat();
    let mut protect = Protect::new(ours.suite, &ours.local).expect("a key");
    let mut open = Unprotect::new(theirs.suite, &theirs.remote).expect("a key");
    let sent = protect.rtp(&packet).expect("protected");
    assert_ne!(&sent[12..172], &packet[12..]);
    assert_eq!(open.rtp(&sent).expect("authentic"), packet);
}

#[test]
fn every_third_datagram_may_be_lost() {
    for rest in 0..3 {
        let (mut client, mut server) = pair();
        talk(&mut client, &mut server, |n| n % 3 == rest);
        assert!(
            client.keys.is_some()
                && client.keys.as_ref().map(|k| &k.local) == server.keys.as_ref().map(|k| &k.remote)
        );
    }
}

#[test]
fn a_certificate_that_the_description_did_not_name_gives_no_keys() {
    let (ours, theirs, other) = (identity(), identity(), identity());
    for liar in [true, false] {
        let of_server = if liar { &other } else { &theirs };
        let of_client = if liar { &ours } else { &other };
        let mut client = Side::new(&ours, true, std::slice::from_ref(of_server.fingerprint()));
        let mut server = Side::new(&theirs, false, std::slice::from_ref(of_client.fingerprint()));
        talk(&mut client, &mut server, |_| false);
        let deceived = if liar { &client } else { &server };
        assert_eq!(deceived.failed, Some(DtlsError::Fingerprint));
        assert_eq!(deceived.keys, None);
        assert_eq!(deceived.association.poll_timeout(), None);
    }
}

#[test]
fn of_several_fingerprints_one_has_to_fit() {
    let (ours, theirs) = (identity(), identity());
    let both = [identity().fingerprint().clone(), theirs.fingerprint().clone()];
    let mut client = Side::new(&ours, true, &both);
    let mut server = Side::new(&theirs, false, std::slice::from_ref(ours.fingerprint()));
    talk(&mut client, &mut server, |_| false);
    assert!(client.keys.is_some());
    let mut client = Side::new(&ours, true, &[]);
    let mut server = Side::new(&theirs, false, std::slice::from_ref(ours.fingerprint()));
    talk(&mut client, &mut server, |_| false);
    assert_eq!((client.keys, client.failed), (None, Some(DtlsError::Fingerprint)));
}

#[test]
fn nobody_who_answers_is_a_failure_after_15_s_and_asked_several_times_before() {
    for active in [true, false] {
        let ours = identity();
        let mut lonely = Side::new(&ours, active, &[]);
        let mut asked = lonely.take().len();
        let mut over = None;
        for ms in (0..20_000).step_by(20) {
            if lonely.association.poll_timeout().is_some_and(|due| due <= at(ms)) {
                lonely.association.handle_timeout(at(ms));
            }
            asked += lonely.take().len();
            if over.is_none() && lonely.failed.is_some() {
                over = Some(ms);
            }
        }
        assert_eq!(lonely.failed, Some(DtlsError::Timeout));
        assert!(over.is_some_and(|ms| (14_000..=15_100).contains(&ms)), "{over:?}");
        assert_eq!(asked >= 4, active, "{asked}");
    }
}

#[test]
fn what_strangers_send_after_the_keys_ends_nothing() {
    let (mut client, mut server) = pair();
    talk(&mut client, &mut server, |_| false);
    let (mut stranger, _) = pair();
    for datagram in stranger.take() {
        server.association.handle_packet(at(21_000), &datagram);
    }
    server
        .association
        .handle_packet(at(21_000), &[22, 254, 253, 0, 0]);
    server
        .association
        .handle_packet(at(21_000), &[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40]);
    server.take();
    assert_eq!(server.failed, None);
}

#[test]
fn fingerprints_are_read_as_written_and_weak_ones_are_none() {
    let own = identity();
    let text = own.fingerprint().to_string();
    assert!(
        text.starts_with("sha-256 ") && text.len() == 8 + 32 * 3 - 1,
        "{text}"
    );
    assert_eq!(Fingerprint::parse(&text).as_ref(), Some(own.fingerprint()));
    assert_eq!(
        Fingerprint::parse(&text.to_lowercase()).as_ref(),
        Some(own.fingerprint())
    );
    assert_eq!(
        Fingerprint::parse(&text.replace("sha-256", "SHA-256 ")).as_ref(),
        Some(own.fingerprint())
    );
    let sha1 = format!("sha-1 {}", &text[8..8 + 59]);
    for bad in [
        "",
        "sha-256",
        "sha-256 AA",
        &text[..text.len() - 1],
        &format!("{text}:00"),
        &sha1,
        &text.replace(':', ""),
    ] {
        assert_eq!(Fingerprint::parse(bad), None, "{bad:?}");
    }
    let long = Fingerprint::of(&digest::SHA512, &own.certificate);
    assert_eq!(Fingerprint::parse(&long.to_string()), Some(long.clone()));
    assert!(long.is_of(&own.certificate) && !long.is_of(b"another"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever comes, before or in a handshake: no panic, and no keys that the other side does not have.
    #[test]
    fn any_datagrams_are_survived(
        noise in proptest::collection::vec(
            (prop_oneof![Just(20_u8), Just(21), Just(22), Just(23), Just(25)], proptest::collection::vec(any::<u8>(), 0..120)),
            1..20
        ),
        spoil in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let (mut client, mut server) = pair();
        for (kind, rest) in &noise {
            let datagram = [&[*kind, 254, 253][..], rest].concat();
            server.association.handle_packet(at(0), &datagram);
            client.association.handle_packet(at(0), &datagram);
        }
        for mut datagram in client.take() {
            let place = spoil.index(datagram.len());
            datagram[place] = value;
            server.association.handle_packet(at(1), &datagram);
        }
        talk(&mut client, &mut server, |_| false);
        if let (Some(ours), Some(theirs)) = (&client.keys, &server.keys) {
            prop_assert_eq!(&ours.local, &theirs.remote);
        }
    }

    #[test]
    fn any_value_of_a_fingerprint_is_survived(text in "(sha-(1|256|384|512))? ?[0-9a-fA-F: ]{0,200}") {
        if let Some(read) = Fingerprint::parse(&text) {
            prop_assert_eq!(Fingerprint::parse(&read.to_string()), Some(read));
        }
    }
}
