//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use gateway_core::Secret;

use crate::{Attributes, Filter, NAME, Output, Query, Session, normal_number};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 2] = [("ldap", ldap), ("ldap_filter", filter)];

/// What a server says, in two pieces. The first byte chooses how the session begins and where they are cut.
///
/// # Panics
/// If it does not end once, or what was found is too long to show.
pub fn ldap(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let Ok(filter) = Filter::new("(telephoneNumber=*)") else {
        return;
    };
    let bind = ("cn=door,dc=example".into(), Secret::new("a pass phrase"));
    let query = Query {
        attributes: Attributes {
            address: Some("mail".into()),
            name: "cn".into(),
            number: "telephoneNumber".into(),
        },
        base: "dc=example".into(),
        bind: (first & 1 == 0).then_some(bind),
        filter,
        start_tls: first & 2 != 0,
    };
    let mut session = Session::begin(query, first & 4 != 0);
    let (one, other) = rest.split_at(usize::from(first >> 3).min(rest.len()));
    let mut ends = 0;
    for piece in [one, other, &[]] {
        if piece.is_empty() {
            session.handle_closed();
        } else {
            session.handle_bytes(piece);
        }
        while let Some(output) = session.poll_output() {
            match output {
                Output::Send(bytes) => assert!(!bytes.is_empty()),
                Output::Failed(_) => ends += 1,
                Output::Done(found) => {
                    ends += 1;
                    for entry in found.entries {
                        assert!((1..=NAME).contains(&entry.name.chars().count()), "{entry:?}");
                        assert!(entry.number.is_ascii(), "{entry:?}");
                    }
                }
                Output::StartTls => session.handle_secured(),
            }
        }
    }
    assert_eq!(ends, 1);
}

/// A filter of the site file, and a number.
///
/// # Panics
/// If a normal number is not normal.
pub fn filter(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Filter::new(&text);
    if let Some(number) = normal_number(&text) {
        assert_eq!(normal_number(&number), Some(number));
    }
}

#[cfg(test)]
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_survives_its_corpus() {
        super::replay::replay(&super::TARGETS);
    }
}
