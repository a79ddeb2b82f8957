//! Digit codes: what is one, which exclude each other, and how one is found without telling about the others.

use std::collections::BTreeMap;

use gateway_core::{DoorId, Secret};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::policy::{Code, CodeFrom};

/// Longest code.
pub const MAX_CODE: usize = 8;

/// Is this a code: 1 to 8 of `0-9 * #`?
#[must_use]
pub fn is_code_text(digits: &str) -> bool {
    (1..=MAX_CODE).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'*' | b'#'))
}

/// Is this a PIN, typed after a card or by a caller: 4 to 8 of `0-9`?
#[must_use]
pub fn is_pin_text(digits: &str) -> bool {
    (4..=MAX_CODE).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Two codes of which one is the beginning of the other, or both are equal, for the same door and place: the
/// longer could never be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrefixConflict {
    /// Index of the longer, or later, code.
    pub longer: usize,
    /// Index of the shorter, or earlier, code.
    pub shorter: usize,
}

/// Every pair of codes that cannot stand together.
///
/// Codes for different doors, or typed at different places, do not meet and may be alike.
#[must_use]
pub fn prefix_conflicts(codes: &[Code]) -> Vec<PrefixConflict> {
    let mut order: Vec<usize> = (0..codes.len()).collect();
    order.sort_by_key(|at| (codes[*at].digits.reveal(), *at));
    // In this order the codes that begin a text stand before it, each one inside the one before.
    let mut open: Vec<usize> = Vec::new();
    let mut found = Vec::new();
    for longer in order {
        let digits = codes[longer].digits.reveal();
        open.retain(|at| digits.starts_with(codes[*at].digits.reveal()));
        for &shorter in &open {
            let (a, b) = (&codes[shorter], &codes[longer]);
            if !a.doors.is_disjoint(&b.doors) && !a.from.is_disjoint(&b.from) {
                found.push(PrefixConflict { longer, shorter });
            }
        }
        open.push(longer);
    }
    found.sort_unstable();
    found
}

/// What a code is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeMatch {
    /// This one, by index, opens the door from there.
    Opens(usize),
    /// Known, but not for this door or not from there.
    Elsewhere,
    /// No code.
    Unknown,
}

/// Codes by a keyed digest of their digits: the order in the map, and so the time of a search, depends on a
/// random key and not on the digits.
#[derive(Debug, Default)]
pub(crate) struct CodeIndex {
    by_tag: BTreeMap<[u8; 32], Vec<usize>>,
    key: [u8; 32],
}

impl CodeIndex {
    pub(crate) fn new(key: [u8; 32], codes: &[Code]) -> Self {
        let mut by_tag: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (at, code) in codes.iter().enumerate() {
            if is_code_text(code.digits.reveal()) {
                by_tag
                    .entry(tag(&key, code.digits.reveal()))
                    .or_default()
                    .push(at);
            }
        }
        Self { by_tag, key }
    }

    pub(crate) fn find(&self, codes: &[Code], digits: &Secret, door: &DoorId, from: CodeFrom) -> CodeMatch {
        if !is_code_text(digits.reveal()) {
            return CodeMatch::Unknown;
        }
        let mut best = CodeMatch::Unknown;
        for &at in self
            .by_tag
            .get(&tag(&self.key, digits.reveal()))
            .into_iter()
            .flatten()
        {
            let Some(code) = codes.get(at) else { continue };
            if !same_code(digits, &code.digits) {
                continue;
            }
            if code.doors.contains(door) && code.from.contains(&from) {
                return CodeMatch::Opens(at);
            }
            best = CodeMatch::Elsewhere;
        }
        best
    }
}

/// Are both the same? The comparison takes as long whatever they are.
pub(crate) fn same_code(a: &Secret, b: &Secret) -> bool {
    is_code_text(a.reveal()) && bool::from(padded(a.reveal()).ct_eq(&padded(b.reveal())))
}

fn tag(key: &[u8; 32], digits: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(digits.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Length and digits in a field of one size, so that a comparison always covers the same bytes.
fn padded(digits: &str) -> [u8; MAX_CODE + 1] {
    let mut field = [0; MAX_CODE + 1];
    for (to, from) in field.iter_mut().zip(digits.bytes()) {
        *to = from;
    }
    field[MAX_CODE] = u8::try_from(digits.len()).unwrap_or(u8::MAX);
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::CredentialId;
    use proptest::prelude::*;

    #[track_caller]
    fn check(codes: &[Code], expected: &[(usize, usize)]) {
        let found: Vec<_> = prefix_conflicts(codes)
            .iter()
            .map(|c| (c.shorter, c.longer))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_code_must_not_begin_another_of_the_same_door_and_place() {
        use CodeFrom::{Call, Keypad};
        check(&[code("9", "a", Call), code("12", "a", Call)], &[]);
        check(&[code("91", "a", Call), code("9", "a", Call)], &[(1, 0)]);
        check(&[code("9", "a", Call), code("9", "a", Call)], &[(0, 1)]);
        check(&[code("9", "a", Call), code("91", "b", Call)], &[]);
        check(&[code("9", "a", Call), code("91", "a", Keypad)], &[]);
        check(
            &[
                code("1", "a", Call),
                code("12", "b", Call),
                code("123", "a", Call),
                code("13", "a", Call),
            ],
            &[(0, 2), (0, 3)],
        );
    }

    #[test]
    fn a_code_is_found_for_its_door_and_place_only() {
        let codes = [
            code("1234", "a", CodeFrom::Call),
            code("1234", "b", CodeFrom::Keypad),
        ];
        let index = CodeIndex::new([3; 32], &codes);
        let find = |digits: &str, door: &str, from| index.find(&codes, &Secret::new(digits), &id(door), from);
        assert_eq!(find("1234", "a", CodeFrom::Call), CodeMatch::Opens(0));
        assert_eq!(find("1234", "b", CodeFrom::Keypad), CodeMatch::Opens(1));
        assert_eq!(find("1234", "a", CodeFrom::Keypad), CodeMatch::Elsewhere);
        for wrong in ["", "123", "12345", "1234\0", "123456789", "12３4"] {
            assert_eq!(find(wrong, "a", CodeFrom::Call), CodeMatch::Unknown, "{wrong:?}");
        }
    }

    #[test]
    fn a_text_that_is_no_code_opens_nothing_even_if_configured() {
        for bad in ["", "123456789", "12a4", " 9"] {
            let codes = [code(bad, "a", CodeFrom::Call)];
            let index = CodeIndex::new([0; 32], &codes);
            assert_eq!(
                index.find(&codes, &Secret::new(bad), &id("a"), CodeFrom::Call),
                CodeMatch::Unknown
            );
        }
    }

    proptest! {
        #[test]
        fn conflicts_are_those_of_a_plain_comparison(texts in prop::collection::vec("[12]{1,4}", 0..12)) {
            let codes: Vec<_> = texts.iter().map(|t| code(t, "a", CodeFrom::Call)).collect();
            let mut plain = Vec::new();
            for a in 0..codes.len() {
                for b in 0..codes.len() {
                    let longer = texts[b].starts_with(&texts[a]) && (texts[a].len() < texts[b].len() || a < b);
                    if a != b && longer {
                        plain.push(PrefixConflict { longer: b, shorter: a });
                    }
                }
            }
            plain.sort_unstable();
            prop_assert_eq!(prefix_conflicts(&codes), plain);
        }
    }

    fn id(name: &str) -> DoorId {
        DoorId::new(name).expect("a name")
    }

    fn code(digits: &str, door: &str, from: CodeFrom) -> Code {
        Code {
            digits: Secret::new(digits),
            doors: [id(door)].into(),
            from: [from].into(),
            id: CredentialId::new("c").expect("a name"),
            person: None,
            when: crate::schedule::When::Always,
        }
    }
}
