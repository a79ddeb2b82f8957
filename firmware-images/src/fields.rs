//! Fields of a manifest and what they may hold.

use std::fmt;

use sha2::{Digest, Sha256};

/// A field that holds what it must not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: found {found:?}, allowed: {allowed}")]
pub struct FieldError {
    /// What is allowed.
    pub allowed: &'static str,
    /// Which field.
    pub field: &'static str,
    /// What was found, cut at 80 characters.
    pub found: String,
}

impl FieldError {
    pub(crate) fn new(field: &'static str, found: &str, allowed: &'static str) -> Self {
        Self {
            allowed,
            field,
            found: found.chars().take(80).collect(),
        }
    }
}

/// A version of 2 to 4 numbers with dots between, `0.1.0`. Absent numbers count as 0 when compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    parts: [u32; 4],
    count: u8,
}

impl Version {
    /// Reads a version; `None` if it is not 2 to 4 numbers without leading zeros.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = [0; 4];
        let mut count = 0;
        for part in text.split('.') {
            let plain = part == "0" || !part.starts_with('0');
            if !plain || !part.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            *parts.get_mut(usize::from(count))? = part.parse().ok()?;
            count += 1;
        }
        (count >= 2).then_some(Self { parts, count })
    }

    /// True if this is an older version than `other`: `1.0` and `1.0.0` are equally old.
    #[must_use]
    pub fn is_before(&self, other: &Self) -> bool {
        self.parts < other.parts
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().take(usize::from(self.count)).enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            part.fmt(f)?;
        }
        Ok(())
    }
}

pub(crate) fn device(text: &str) -> Result<(), FieldError> {
    let fits = (1..=40).contains(&text.len())
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    let allowed = "1 to 40 of a-z 0-9 - _";
    fits.then_some(())
        .ok_or_else(|| FieldError::new("device", text, allowed))
}

pub(crate) fn hardware(list: &[String]) -> Result<(), FieldError> {
    let allowed = "1 to 16 revisions, each 1 to 40 of a-z A-Z 0-9 - _ .";
    if !(1..=16).contains(&list.len()) {
        return Err(FieldError::new(
            "hardware",
            &format!("{} revisions", list.len()),
            allowed,
        ));
    }
    let fits = |text: &str| {
        (1..=40).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match list.iter().find(|text| !fits(text)) {
        Some(bad) => Err(FieldError::new("hardware", bad, allowed)),
        None => Ok(()),
    }
}

/// An image is named by a path below the manifest's folder, or by an HTTPS address.
pub(crate) fn image(text: &str) -> Result<(), FieldError> {
    let allowed = "a path below the manifest's folder, or https://HOST/PATH, at most 300 characters";
    let plain = (1..=300).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    let place = match text.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split('/').next().unwrap_or_default();
            scheme == "https" && !host.is_empty() && !host.contains('@') && rest.len() > host.len() + 1
        }
        None => !text.contains(['\\', ':']) && text.split('/').all(|part| !matches!(part, "" | "." | "..")),
    };
    (plain && place)
        .then_some(())
        .ok_or_else(|| FieldError::new("image", text, allowed))
}

/// Largest image: 4 GiB.
pub(crate) fn size(size: u64) -> Result<(), FieldError> {
    let allowed = "1 to 4294967296 bytes";
    (1..=1 << 32)
        .contains(&size)
        .then_some(())
        .ok_or_else(|| FieldError::new("size", &size.to_string(), allowed))
}

/// Lower-case hexadecimal digits of exactly `N` bytes.
pub(crate) fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = (digit(*pair.first()?)? << 4) | digit(*pair.get(1)?)?;
    }
    Some(bytes)
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let before = |a: &str, b: &str| {
            let version = |text| Version::parse(text).expect("a version");
            version(a).is_before(&version(b))
        };
        assert!(before("0.9.0", "0.10.0"));
        assert!(before("1.2", "1.2.1"));
        assert!(!before("1.2", "1.2.0"));
        assert!(!before("1.2.0", "1.2"));
        assert!(before("4.2.1.36", "4.2.1.37"));
        for bad in [
            "",
            "1",
            "1.",
            ".1",
            "1.2.3.4.5",
            "01.2",
            "1.2-rc1",
            "1.+2",
            "1.99999999999",
            "v1.2",
        ] {
            assert_eq!(Version::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_image_stays_below_its_manifest_or_comes_over_https() {
        for good in [
            "a.bin",
            "x/y-1.2.bin",
            "https://host/a.bin",
            "https://host:8443/a/b",
        ] {
            assert!(image(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/a",
            "../a",
            "a/../b",
            "./a",
            "a//b",
            "a b",
            "http://host/a",
            "https://",
            "https://host",
            "https://host/",
            "https://user@host/a",
            "file:///a",
            "c:a",
            "a\\b",
            "é",
        ] {
            assert!(image(bad).is_err(), "{bad:?}");
        }
    }
}
