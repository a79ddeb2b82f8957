//! Hash functions of digest authentication.

use std::fmt;

use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512_256};

/// Hash function; weaker ones are smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hash {
    /// MD5, for PBXs that know nothing else.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512/256 (FIPS 180-4), called `SHA-512-256`.
    Sha512_256,
}

impl Hash {
    /// Lower-case hexadecimal digest of `data`.
    #[must_use]
    pub fn hex(self, data: &[u8]) -> String {
        let digest = match self {
            Self::Md5 => Md5::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512_256 => Sha512_256::digest(data).to_vec(),
        };
        digest
            .iter()
            .fold(String::with_capacity(2 * digest.len()), |mut out, b| {
                for nibble in [b >> 4, b & 0xf] {
                    out.extend(char::from_digit(u32::from(nibble), 16));
                }
                out
            })
    }
}

/// Algorithm of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm {
    /// Hash function.
    pub hash: Hash,
    /// True for the `-sess` form, whose key depends on nonce and cnonce.
    pub session: bool,
}

impl Algorithm {
    /// From the token of a challenge, without case; `None` if we do not know it. `SHA256` is what some stacks write.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        let upper = token.to_ascii_uppercase();
        let (name, session) = match upper.strip_suffix("-SESS") {
            Some(name) => (name, true),
            None => (upper.as_str(), false),
        };
        let hash = match name {
            "MD5" => Hash::Md5,
            "SHA-256" | "SHA256" => Hash::Sha256,
            "SHA-512-256" => Hash::Sha512_256,
            _ => return None,
        };
        Some(Self { hash, session })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.hash {
            Hash::Md5 => "MD5",
            Hash::Sha256 => "SHA-256",
            Hash::Sha512_256 => "SHA-512-256",
        })?;
        f.write_str(if self.session { "-sess" } else { "" })
    }
}
