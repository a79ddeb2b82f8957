//! Ed25519 keys (RFC 8032).

use std::fmt;

use ed25519_dalek::{Signature, Signer, VerifyingKey};

use crate::fields::{hex, sha256, to_hex};

/// A text that is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not 64 lower-case hexadecimal digits.
    #[error("a key has 64 hexadecimal digits in lower case, found {found} characters")]
    Form {
        /// Number of characters found; the text itself may be a secret.
        found: usize,
    },
    /// 32 bytes that are no point of the curve, or one of small order that would accept forged signatures.
    #[error("these 32 bytes are not a usable Ed25519 public key")]
    Point,
}

/// A key that manifests are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`KeyError`] if the text is not a key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let bytes = hex::<32>(text).ok_or(KeyError::Form {
            found: text.chars().count(),
        })?;
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            Ok(_) | Err(_) => Err(KeyError::Point),
        }
    }

    /// The first 8 bytes of the key's SHA-256 as 16 hexadecimal digits: names the key in a manifest.
    #[must_use]
    pub fn id(&self) -> String {
        to_hex(&sha256(self.0.as_bytes())[..8])
    }

    /// True if `signature` is by this key over `message`; strict as in RFC 8032 §5.1.7, without cofactor.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0
            .verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(self.0.as_bytes()))
    }
}

/// A key that manifests are signed with; shows itself as `***`.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Reads the 32 secret bytes (RFC 8032 §5.1.5) as 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`KeyError::Form`] if the text is not that.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let bytes = hex::<32>(text).ok_or(KeyError::Form {
            found: text.chars().count(),
        })?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&bytes)))
    }

    /// The key that its signatures are checked with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 §7.1, tests 1 to 3: secret key, public key, message, signature.
    const VECTORS: [[&str; 4]; 3] = [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ],
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ],
    ];

    #[test]
    fn signatures_are_those_of_rfc_8032() {
        for [secret, public, message, signature] in VECTORS {
            let key = SigningKey::parse(secret).expect("a key");
            assert_eq!(key.public().to_string(), public);
            let message: Vec<u8> = match message {
                "" => vec![],
                "72" => hex::<1>("72").expect("hex").to_vec(),
                two => hex::<2>(two).expect("hex").to_vec(),
            };
            assert_eq!(to_hex(&key.sign(&message)), signature);
            let public = PublicKey::parse(public).expect("a key");
            let signature = hex::<64>(signature).expect("hex");
            assert!(public.verifies(&message, &signature));
            for bit in 0..512 {
                let mut forged = signature;
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(!public.verifies(&message, &forged), "bit {bit} does not matter");
            }
        }
    }

    #[test]
    fn points_of_small_order_are_no_keys() {
        // The neutral element and the point of order 2: they accept signatures nobody made.
        for weak in [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            assert_eq!(PublicKey::parse(weak), Err(KeyError::Point));
        }
        assert_eq!(PublicKey::parse("abc"), Err(KeyError::Form { found: 3 }));
    }

    #[test]
    fn a_signing_key_does_not_show_itself() {
        let key = SigningKey::parse(VECTORS[0][0]).expect("a key");
        assert_eq!(format!("{key:?}"), "SigningKey(***)");
    }
}
