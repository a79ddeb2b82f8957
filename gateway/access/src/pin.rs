//! Codes and PINs of people are kept as keyed digests only: who reads the records without the key learns no digits.
//! (With the key they are soon found: there are few of them. It stands in a file of its own.)

use std::fmt;

use gateway_core::{CardFrame, PersonId, Secret};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::code::MAX_CODE;

/// The site's key: 32 random bytes.
#[derive(Clone, Default)]
pub struct PinKey([u8; 32]);

impl PinKey {
    /// Takes the bytes.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The tag of a code that opens by itself.
    #[must_use]
    pub fn code(&self, digits: &Secret) -> PinTag {
        self.tag("code", "", digits.reveal())
    }

    /// The tag of the beginning of a code.
    #[must_use]
    pub fn head(&self, digits: &str) -> PinTag {
        self.tag("head", "", digits)
    }

    /// The tags of all beginnings of a code that are shorter than it.
    #[must_use]
    pub fn heads(&self, digits: &Secret) -> Vec<PinTag> {
        let digits = digits.reveal();
        let shorter = digits.char_indices().skip(1);
        shorter.map(|(at, _)| self.head(&digits[..at])).collect()
    }

    /// A name for a card that is always the same, and from which its number does not follow without this key.
    #[must_use]
    pub fn card(&self, frame: &CardFrame) -> PinTag {
        let digits: String = frame.data.iter().map(|byte| format!("{byte:02x}")).collect();
        self.tag("card", &frame.bits.to_string(), &digits)
    }

    /// The tag of a person's PIN. Two persons with the same PIN have different ones.
    #[must_use]
    pub fn pin(&self, person: &PersonId, digits: &Secret) -> PinTag {
        self.tag("pin", person.as_str(), digits.reveal())
    }

    /// The tag of an account's credentials, by a digest of them: whoever reads it cannot try passwords without this key.
    #[must_use]
    pub fn account(&self, digest: &[u8; 32]) -> PinTag {
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.tag("account", "", &digits)
    }

    /// The tag of a person who was removed. It tells nobody who it was.
    #[must_use]
    pub fn removed(&self, person: &PersonId) -> PinTag {
        self.tag("removed", person.as_str(), "")
    }

    /// The beginnings of a code ([`heads`](Self::heads)) so that only this key reads them, and of one size for codes of
    /// every length: whoever adds codes and compares exports would learn others' codes digit by digit else. The same
    /// code is always written alike.
    #[must_use]
    pub fn seal(&self, code: &PinTag, heads: &[PinTag]) -> String {
        let code = code.to_string();
        let mut text = String::new();
        for at in 0..MAX_CODE - 1 {
            let head = heads.get(at).map_or([0; 16], |head| head.0);
            text += &PinTag(self.veil(&code, at, head)).to_string();
        }
        let check = self.tag("sealed", &code, &text);
        format!("{text}{check}")
    }

    /// The beginnings that [`seal`](Self::seal) wrote of this code; `None` if they are of another key or code.
    #[must_use]
    pub fn unseal(&self, code: &PinTag, text: &str) -> Option<Vec<PinTag>> {
        const TAG: usize = 32;
        let code = code.to_string();
        let (heads, check) = text.split_at_checked(TAG * (MAX_CODE - 1))?;
        if PinTag::parse(check)? != self.tag("sealed", &code, heads) {
            return None;
        }
        let mut all = Vec::new();
        for at in 0..MAX_CODE - 1 {
            let head = self.veil(&code, at, PinTag::parse(&heads[at * TAG..(at + 1) * TAG])?.0);
            // a shorter code has fewer
            if head != [0; 16] {
                all.push(PinTag(head));
            }
        }
        Some(all)
    }

    /// Hides 16 bytes, or shows them again. What is hidden follows from the code, so that no two texts are ever hidden
    /// alike.
    fn veil(&self, code: &str, at: usize, mut bytes: [u8; 16]) -> [u8; 16] {
        let veil = self.tag("veil", code, &at.to_string());
        bytes.iter_mut().zip(veil.0).for_each(|(byte, by)| *byte ^= by);
        bytes
    }

    fn tag(&self, what: &str, whose: &str, digits: &str) -> PinTag {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in [what, whose, digits] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut tag = [0; 16];
        tag.copy_from_slice(&whole[..16]);
        PinTag(tag)
    }
}

impl fmt::Debug for PinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinKey(***)")
    }
}

/// The keyed digest of digits: HMAC-SHA-256 (RFC 2104), its first 16 bytes.
#[derive(Clone, Copy, PartialOrd, Ord)]
pub struct PinTag([u8; 16]);

impl PartialEq for PinTag {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for PinTag {}

impl fmt::Debug for PinTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinTag(***)")
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for PinTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl PinTag {
    /// Reads what [`Display`](fmt::Display) wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let whole = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = whole.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
        Some(Self(value.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_beginnings_tell_nothing_and_open_by_their_key_and_code_only() {
        let (key, other) = (PinKey::new([1; 32]), PinKey::new([2; 32]));
        let seal = |digits: &str| {
            let digits = Secret::new(digits);
            let (tag, heads) = (key.code(&digits), key.heads(&digits));
            let text = key.seal(&tag, &heads);
            assert_eq!(key.unseal(&tag, &text), Some(heads.clone()));
            assert_eq!(key.seal(&tag, &heads), text);
            assert!(!heads.iter().any(|head| text.contains(&head.to_string())));
            (tag, text)
        };
        let (tag, text) = seal("471100");
        let (near, longer) = (seal("471101"), seal("47110022"));
        assert_eq!(
            text.len(),
            longer.1.len(),
            "its length tells how long the code is"
        );
        // codes that begin alike have nothing in common
        let parts = |text: &str| {
            (0..8)
                .map(|at| text[at * 32..at * 32 + 32].to_owned())
                .collect::<Vec<_>>()
        };
        assert!(!parts(&text).iter().any(|part| parts(&near.1).contains(part)));
        assert_eq!(key.unseal(&near.0, &text), None);
        assert_eq!(other.unseal(&tag, &text), None);
        let mut bent = text.clone().into_bytes();
        bent[40] ^= 1;
        for bad in [
            "",
            &text[1..],
            &text[..255],
            &String::from_utf8_lossy(&bent),
            &"é".repeat(128),
        ] {
            assert_eq!(key.unseal(&tag, bad), None, "{bad}");
        }
    }

    #[test]
    fn tags_differ_by_key_use_and_person_and_read_again() {
        let (key, other) = (PinKey::new([1; 32]), PinKey::new([2; 32]));
        let (ann, bob) = ("ann".parse().expect("a name"), "bob".parse().expect("a name"));
        let digits = Secret::new("4711");
        let tags = [
            key.code(&digits),
            other.code(&digits),
            key.pin(&ann, &digits),
            key.pin(&bob, &digits),
            key.head("4711"),
            key.code(&Secret::new("4712")),
        ];
        for (at, a) in tags.iter().enumerate() {
            assert_eq!(PinTag::parse(&a.to_string()), Some(*a));
            assert!(tags[at + 1..].iter().all(|b| a != b));
        }
        assert_eq!(format!("{key:?} {:?}", tags[0]), "PinKey(***) PinTag(***)");
        for bad in ["", "00", &"g".repeat(32), "+0000000000000000000000000000000"] {
            assert_eq!(PinTag::parse(bad), None);
        }
    }
}
