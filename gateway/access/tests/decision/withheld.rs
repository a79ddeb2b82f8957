//! Whoever withholds his number: whose wrong codes are counted where.

use gateway_access::{DigitsFrom, Tried};
use gateway_core::{AccountId, Instant, Peer};

use crate::site::{burning, peer, policy};

const T0: Instant = Instant::from_nanos(3_000_000_000_000);

fn called(account: &str, address: &str, withheld: bool) -> DigitsFrom {
    DigitsFrom::Called {
        account: Some(AccountId::new(account).expect("a name")),
        listed: true,
        peer: Peer {
            withheld,
            ..peer(address, true)
        },
    }
}

#[test]
fn whoever_has_no_number_counts_by_the_account_however_that_is_written_and_locks_out_nobody_else() {
    let mut access = burning(policy());
    let words = [
        "sip:anonymous@anonymous.invalid",
        "sip:Anonymous@pbx.example",
        "sip:unknown@pbx.example",
        "sip:x81.2f@anonymous.invalid",
        "sip:restricted@192.0.2.7",
        "",
    ];
    for address in words {
        let tried = access.dialled(T0, &called("pbx", address, true), false);
        assert!(matches!(tried, Tried::Wrong(_)), "{address:?}: {tried:?}");
    }
    let again = called("pbx", "sip:private@pbx.example", false);
    let Tried::Locked(locked) = access.dialled(T0, &again, true) else {
        panic!("six wrong codes lock");
    };
    assert_eq!(
        (locked.source.place().as_str(), locked.failures),
        ("anonymous:pbx", 6)
    );
    for (account, address, withheld) in [
        ("other", "sip:anonymous@anonymous.invalid", true),
        ("pbx", "sip:1000@pbx.example", false),
        // told to us alone
        ("pbx", "sip:1000@pbx.example", true),
    ] {
        let from = called(account, address, withheld);
        assert!(!access.is_dialler_locked(T0, &from), "{account} {address}");
    }
    let caller = DigitsFrom::Caller {
        account: Some(AccountId::new("pbx").expect("a name")),
        peer: peer("sip:anonymous@anonymous.invalid", true),
    };
    assert!(access.is_dialler_locked(T0, &caller));
    assert_eq!(locked.source.to_string().parse(), Ok(locked.source));
}

#[test]
fn of_those_without_a_number_one_who_is_right_forgives_the_others_one_try() {
    let mut access = burning(policy());
    let nobody = called("pbx", "sip:anonymous@anonymous.invalid", false);
    for right in [false, false, false, false, false, true, false] {
        let tried = access.dialled(T0, &nobody, right);
        assert_eq!(tried == Tried::Right, right, "{tried:?}");
        assert!(matches!(tried, Tried::Right | Tried::Wrong(None)), "{tried:?}");
    }
    assert!(matches!(
        access.dialled(T0, &nobody, false),
        Tried::Wrong(Some(_))
    ));
}

#[test]
fn numbers_that_are_told_to_us_alone_count_each_for_itself() {
    let mut access = burning(policy());
    let (one, other) = (
        called("pbx", "sip:1000@pbx.example", true),
        called("pbx", "sip:1001@pbx.example", true),
    );
    for _ in 0..6 {
        access.dialled(T0, &one, false);
    }
    assert!(access.is_dialler_locked(T0, &one) && !access.is_dialler_locked(T0, &other));
}
