//! `a=crypto` (RFC 4568 §9.1; suites of RFC 4568, 6188 and 7714).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rand::RngCore;

/// What drafts of RFC 6188, and devices made by them, call `AES_256_CM_HMAC_SHA1_80`.
const DRAFT_NAME: &str = "AES_CM_256_HMAC_SHA1_80";

/// An SRTP suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SrtpSuite {
    /// RFC 7714.
    AeadAes128Gcm,
    /// RFC 7714.
    AeadAes256Gcm,
    /// RFC 4568, tag of 4 bytes on RTP.
    AesCm128Sha1_32,
    /// RFC 4568, the one everybody has.
    AesCm128Sha1_80,
    /// RFC 6188, tag of 4 bytes on RTP.
    AesCm256Sha1_32,
    /// RFC 6188.
    AesCm256Sha1_80,
}

impl SrtpSuite {
    /// All, those we offer in their order before the others.
    pub const ALL: [Self; 6] = [
        Self::AesCm128Sha1_80,
        Self::AesCm256Sha1_80,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
        Self::AesCm128Sha1_32,
        Self::AesCm256Sha1_32,
    ];

    /// Is it offered? One that nobody has who lacks the others would only make the offer longer.
    #[must_use]
    pub(crate) const fn is_offered(self) -> bool {
        !matches!(self, Self::AesCm256Sha1_32)
    }

    /// Name in `a=crypto`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AesCm128Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm128Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm256Sha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AesCm256Sha1_80 => "AES_256_CM_HMAC_SHA1_80",
        }
    }

    /// Reads a name; that of the drafts of RFC 6188, too.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case(DRAFT_NAME) {
            return Some(Self::AesCm256Sha1_80);
        }
        Self::ALL
            .into_iter()
            .find(|s| s.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of the master key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AesCm128Sha1_32 | Self::AesCm128Sha1_80 => 16,
            Self::AeadAes256Gcm | Self::AesCm256Sha1_32 | Self::AesCm256Sha1_80 => 32,
        }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::AesCm128Sha1_32 | Self::AesCm128Sha1_80 | Self::AesCm256Sha1_32 | Self::AesCm256Sha1_80 => {
                14
            }
        }
    }

    /// Bytes of the tag on RTP.
    #[must_use]
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            Self::AesCm128Sha1_32 | Self::AesCm256Sha1_32 => 4,
            Self::AesCm128Sha1_80 | Self::AesCm256Sha1_80 => 10,
        }
    }

    /// Bytes of the tag on RTCP.
    #[must_use]
    pub const fn rtcp_tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            Self::AesCm128Sha1_32 | Self::AesCm128Sha1_80 | Self::AesCm256Sha1_32 | Self::AesCm256Sha1_80 => {
                10
            }
        }
    }

    /// True for AES-GCM, where the tag belongs to the ciphertext.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }
}

/// Master key and salt of one direction. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    pub(crate) bytes: Vec<u8>,
    pub(crate) key_len: usize,
    /// Bytes of the master key identifier on each packet of this direction; 0 if there is none.
    pub(crate) mki_len: usize,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

impl MasterKey {
    /// A fresh key for a suite.
    pub fn random(suite: SrtpSuite, rng: &mut dyn RngCore) -> Self {
        let mut bytes = vec![0; suite.key_len() + suite.salt_len()];
        rng.fill_bytes(&mut bytes);
        Self {
            bytes,
            key_len: suite.key_len(),
            mki_len: 0,
        }
    }

    /// Key followed by salt; `None` if the length does not fit the suite.
    #[must_use]
    pub fn new(suite: SrtpSuite, bytes: &[u8], mki_len: usize) -> Option<Self> {
        (bytes.len() == suite.key_len() + suite.salt_len() && mki_len <= 128).then(|| Self {
            bytes: bytes.to_vec(),
            key_len: suite.key_len(),
            mki_len,
        })
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.key_len]
    }

    /// The salt.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.bytes[self.key_len..]
    }
}

/// One usable `a=crypto` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptoAttribute {
    /// Tag, 1 to 9 digits; an answer repeats the chosen one.
    pub tag: u32,
    /// Suite.
    pub suite: SrtpSuite,
    /// The suite is called `AES_CM_256_HMAC_SHA1_80`, as drafts of RFC 6188 had it, and as some know it by no other name.
    pub draft_name: bool,
    /// Key of the writer's sending direction.
    pub key: MasterKey,
}

impl CryptoAttribute {
    /// Reads the value of an `a=crypto` attribute. `None` for what we cannot use: other suites, other key
    /// methods, session parameters that change the processing (RFC 4568 §6.3; all but `WSH`).
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next().filter(|t| t.len() <= 9)?.parse().ok()?;
        let name = words.next()?;
        let suite = SrtpSuite::parse(name)?;
        let keys = words.next()?;
        if !words.all(|p| p.to_ascii_uppercase().starts_with("WSH=")) {
            return None;
        }
        let inline = keys.split(';').next()?;
        let (method, rest) = inline.split_once(':')?;
        if !method.eq_ignore_ascii_case("inline") {
            return None;
        }
        let mut parts = rest.split('|');
        let text = parts.next()?.trim_end_matches('=');
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        // What follows is a lifetime (2^n or a number) or an MKI (value:length); we re-key with each call, so
        // only the MKI's length matters.
        let mut mki_len = 0;
        for part in parts {
            if let Some((_, length)) = part.split_once(':') {
                mki_len = length.parse().ok().filter(|n| (1..=128).contains(n))?;
            }
        }
        Some(Self {
            tag,
            suite,
            draft_name: !suite.name().eq_ignore_ascii_case(name),
            key: MasterKey::new(suite, &bytes, mki_len)?,
        })
    }

    /// The attribute's value.
    #[must_use]
    pub fn to_value(&self) -> String {
        let name = match self.suite {
            SrtpSuite::AesCm256Sha1_80 if self.draft_name => DRAFT_NAME,
            SrtpSuite::AeadAes128Gcm
            | SrtpSuite::AeadAes256Gcm
            | SrtpSuite::AesCm128Sha1_32
            | SrtpSuite::AesCm128Sha1_80
            | SrtpSuite::AesCm256Sha1_32
            | SrtpSuite::AesCm256Sha1_80 => self.suite.name(),
        };
        format!("{} {name} inline:{}", self.tag, STANDARD.encode(&self.key.bytes))
    }
}
