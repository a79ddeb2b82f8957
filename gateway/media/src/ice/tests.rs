//! Checks of a full side, as they should be and as they should not.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::stun::{Kind, Message, Writer};

const TRANSACTION: [u8; 12] = *b"transaction.";

fn a(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn lite() -> Lite {
    Lite::new(Agreement {
        local: Credentials::new("ours", "our-password-is-24-long".replace('-', "+").as_str()).expect("fits"),
        remote: "them".into(),
        checks: None,
        last_counts: false,
    })
}

/// A check of the other side.
struct Check<'a> {
    username: Option<&'a str>,
    password: &'a str,
    priority: u32,
    chosen: bool,
    more: &'a [u16],
}

const GOOD: Check<'static> = Check {
    username: Some("ours:them"),
    password: "our+password+is+24+long",
    priority: 100,
    chosen: false,
    more: &[],
};

impl Check<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::begin(&mut out, Kind::Request, TRANSACTION);
        if let Some(name) = self.username {
            writer.username(name);
        }
        writer.plain(0x0024, &self.priority.to_be_bytes());
        if self.chosen {
            writer.plain(0x0025, &[]);
        }
        for name in self.more {
            writer.plain(*name, &[0; 8]);
        }
        if !self.password.is_empty() {
            writer.sign(self.password.as_bytes());
        }
        writer.finish();
        out
    }
}

/// What is answered to a check: the code of an error, or where it was seen.
fn answer(lite: &mut Lite, check: &Check<'_>, from: &str) -> (Heard, Result<SocketAddr, u16>) {
    let mut out = Vec::new();
    let heard = lite.handle(Component::Rtp, a(from), &check.bytes(), &mut out);
    let message = Message::read(&out).expect("an answer");
    assert_eq!(message.transaction, TRANSACTION);
    let result = match message.kind {
        Kind::Success => {
            assert!(message.is_authentic(GOOD.password.as_bytes()));
            Ok(message.mapped.expect("an address"))
        }
        Kind::Error => Err(message.error.expect("a code")),
        Kind::Indication | Kind::Request => panic!("{message:?}"),
    };
    (heard, result)
}

#[test]
fn a_check_is_answered_and_media_goes_where_the_other_side_chose() {
    let mut lite = lite();
    let from = "192.0.2.7:4000";
    assert_eq!(answer(&mut lite, &GOOD, from), (Heard::Answer, Ok(a(from))));
    assert_eq!(lite.target(Component::Rtp), None, "checked, and not chosen");
    assert!(lite.knows(a(from)) && !lite.knows(a("192.0.2.7:4002")));
    let chosen = Check { chosen: true, ..GOOD };
    assert_eq!(answer(&mut lite, &chosen, from), (Heard::Chosen, Ok(a(from))));
    assert_eq!(lite.target(Component::Rtp), Some(a(from)));
    assert_eq!(lite.target(Component::Rtcp), None);
    // asked again whether we still want its media
    assert_eq!(answer(&mut lite, &chosen, from).0, Heard::Answer);
    assert_eq!(answer(&mut lite, &GOOD, "198.51.100.1:9").0, Heard::Answer);
    assert_eq!(lite.target(Component::Rtp), Some(a(from)));
}

#[test]
fn of_several_chosen_the_best_counts_and_of_equal_ones_the_last() {
    let mut lite = lite();
    for (from, priority, target) in [
        ("192.0.2.7:1", 50, "192.0.2.7:1"),
        ("192.0.2.7:2", 90, "192.0.2.7:2"),
        ("192.0.2.7:3", 70, "192.0.2.7:2"),
        ("192.0.2.7:4", 90, "192.0.2.7:4"),
    ] {
        let check = Check {
            chosen: true,
            priority,
            ..GOOD
        };
        assert_eq!(answer(&mut lite, &check, from).1, Ok(a(from)));
        assert_eq!(lite.target(Component::Rtp), Some(a(target)));
    }
}

#[test]
fn of_one_who_chooses_once_the_last_choice_counts_though_a_better_one_was_before() {
    let mut agreement = lite().agreement().clone();
    agreement.last_counts = true;
    let mut lite = Lite::new(agreement);
    for (from, priority) in [
        ("192.0.2.7:4000", 100),
        ("192.0.2.8:4000", 7),
        ("192.0.2.9:4000", 50),
    ] {
        let check = Check {
            priority,
            chosen: true,
            ..GOOD
        };
        assert_eq!(answer(&mut lite, &check, from), (Heard::Chosen, Ok(a(from))));
        assert_eq!(lite.target(Component::Rtp), Some(a(from)));
    }
}

#[test]
fn whoever_does_not_know_the_password_is_refused_and_chooses_nothing() {
    for (check, code) in [
        (
            Check {
                username: None,
                ..GOOD
            },
            400,
        ),
        (Check { password: "", ..GOOD }, 400),
        (
            Check {
                password: "another",
                ..GOOD
            },
            401,
        ),
        (
            Check {
                username: Some("ours:other"),
                ..GOOD
            },
            401,
        ),
        (
            Check {
                username: Some("oursthem"),
                ..GOOD
            },
            401,
        ),
        (
            Check {
                username: Some("them:ours"),
                ..GOOD
            },
            401,
        ),
        (
            Check {
                more: &[0x0101],
                ..GOOD
            },
            420,
        ),
        // ICE-CONTROLLED: it would have us decide
        (
            Check {
                more: &[0x8029],
                ..GOOD
            },
            487,
        ),
    ] {
        let mut lite = lite();
        let check = Check {
            chosen: true,
            ..check
        };
        assert_eq!(
            answer(&mut lite, &check, "192.0.2.7:4000"),
            (Heard::Answer, Err(code))
        );
        assert!(!lite.knows(a("192.0.2.7:4000")));
        assert_eq!(lite.target(Component::Rtp), None);
    }
}

#[test]
fn many_addresses_of_the_other_side_push_out_the_oldest_and_not_the_chosen_one() {
    let mut lite = lite();
    let chosen = Check { chosen: true, ..GOOD };
    assert_eq!(answer(&mut lite, &chosen, "192.0.2.7:1").0, Heard::Chosen);
    for port in 2..30 {
        assert_eq!(
            answer(&mut lite, &GOOD, &format!("192.0.2.7:{port}")).0,
            Heard::Answer
        );
    }
    assert!(lite.knows(a("192.0.2.7:1")) && lite.knows(a("192.0.2.7:29")));
    assert!(!lite.knows(a("192.0.2.7:2")));
}

#[test]
fn only_requests_are_answered() {
    let mut lite = lite();
    let mut out = Vec::new();
    for kind in [Kind::Error, Kind::Indication, Kind::Success] {
        let mut bytes = Vec::new();
        Writer::begin(&mut bytes, kind, TRANSACTION).finish();
        assert_eq!(
            lite.handle(Component::Rtp, a("192.0.2.7:1"), &bytes, &mut out),
            Heard::Nothing
        );
    }
    assert_eq!(
        lite.handle(Component::Rtp, a("192.0.2.7:1"), &[0; 20], &mut out),
        Heard::Nothing
    );
    assert!(out.is_empty());
}

#[test]
fn an_answer_to_a_stranger_is_no_longer_than_the_question() {
    let check = Check {
        password: "another",
        ..GOOD
    };
    let mut out = Vec::new();
    lite().handle(Component::Rtp, a("192.0.2.7:1"), &check.bytes(), &mut out);
    assert!(
        out.len() <= check.bytes().len(),
        "{} for {}",
        out.len(),
        check.bytes().len()
    );
}

#[test]
fn credentials_are_long_and_never_the_same() {
    let mut rng = StdRng::seed_from_u64(5);
    let (one, two) = (Credentials::random(&mut rng), Credentials::random(&mut rng));
    assert_ne!(one, two);
    assert_eq!(
        Credentials::new(&one.fragment, &one.password).as_ref(),
        Some(&one)
    );
    assert_eq!(Credentials::new("abc", &one.password), None);
    assert_eq!(Credentials::new("abcd", "short"), None);
    assert_eq!(Credentials::new("ab:d", &one.password), None);
    assert!(!format!("{one:?}").contains(&one.password));
}

proptest! {
    /// Whatever comes from a stranger: nothing is chosen.
    #[test]
    fn strangers_choose_nothing(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..20)) {
        let mut lite = lite();
        let mut out = Vec::new();
        for packet in &packets {
            lite.handle(Component::Rtp, a("192.0.2.7:1"), packet, &mut out);
            // one byte of what is signed is another
            let mut near = Check { chosen: true, ..GOOD }.bytes();
            let at = packet.first().map_or(0, |b| usize::from(*b)) % (near.len() - 8);
            near[at] ^= packet.get(1).copied().unwrap_or(1).max(1);
            lite.handle(Component::Rtp, a("192.0.2.7:1"), &near, &mut out);
        }
        prop_assert_eq!(lite.target(Component::Rtp).is_some(), false);
    }
}
