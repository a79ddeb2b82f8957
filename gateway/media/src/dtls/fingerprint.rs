//! `a=fingerprint` (RFC 8122 §5).

use std::fmt;

use ring::digest;

/// Digest of a certificate, by one of the functions that count: SHA-256, SHA-384 or SHA-512. MD5 and SHA-1 are read as
/// nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint {
    function: &'static str,
    digest: Vec<u8>,
}

const FUNCTIONS: [(&str, &digest::Algorithm); 3] = [
    ("sha-256", &digest::SHA256),
    ("sha-384", &digest::SHA384),
    ("sha-512", &digest::SHA512),
];

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Fingerprint {
    /// The value of the attribute.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.function)?;
        for (index, byte) in self.digest.iter().enumerate() {
            let before = if index == 0 { ' ' } else { ':' };
            write!(f, "{before}{byte:02X}")?;
        }
        Ok(())
    }
}

impl Fingerprint {
    /// Of a certificate.
    pub(super) fn of(algorithm: &'static digest::Algorithm, certificate: &[u8]) -> Self {
        let known = FUNCTIONS.iter().find(|(_, a)| *a == algorithm);
        Self {
            function: known.map_or(FUNCTIONS[0].0, |(name, _)| name),
            digest: digest::digest(algorithm, certificate).as_ref().to_vec(),
        }
    }

    /// Reads the value of the attribute; `None` for other functions and for what is none.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (name, text) = value.trim().split_once(char::is_whitespace)?;
        let (function, algorithm) = FUNCTIONS.iter().find(|(f, _)| f.eq_ignore_ascii_case(name))?;
        let mut digest = Vec::with_capacity(algorithm.output_len());
        for pair in text.trim().split(':') {
            let hex = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
            digest.push(u8::from_str_radix(pair, 16).ok().filter(|_| hex)?);
            if digest.len() > algorithm.output_len() {
                return None;
            }
        }
        (digest.len() == algorithm.output_len()).then_some(Self { function, digest })
    }

    /// Is it that of this certificate?
    #[must_use]
    pub fn is_of(&self, certificate: &[u8]) -> bool {
        FUNCTIONS
            .iter()
            .find(|(name, _)| *name == self.function)
            .is_some_and(|(_, algorithm)| digest::digest(algorithm, certificate).as_ref() == self.digest)
    }
}
