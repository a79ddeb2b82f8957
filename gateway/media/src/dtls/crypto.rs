//! What a DTLS handshake computes with: `ring`, like all of the gateway's TLS.
//!
//! Two suites, `ECDHE_ECDSA_WITH_AES_128_GCM_SHA256` and `…AES_256_GCM_SHA384` (RFC 5289), over X25519, P-256 and P-384.
//! The library looks every one of them over with known answers before its first handshake.

use std::fmt;

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use dimpl::crypto::{
    Aad, ActiveKeyExchange, Buf, Cipher, CryptoProvider, Dtls12CipherSuite, Dtls13CipherSuite, HashAlgorithm,
    HashContext, HashProvider, HmacProvider, KeyProvider, NamedGroup, Nonce, SecureRandom,
    SignatureAlgorithm, SignatureVerifier, SigningKey, SupportedDtls12CipherSuite,
    SupportedDtls13CipherSuite, SupportedKxGroup, TmpBuf, check_verify_scheme,
};
use dimpl::{CryptoError, CryptoOperation};
use ring::rand::SystemRandom;
use ring::signature::EcdsaKeyPair;
use ring::{aead, agreement, digest, hmac, rand, signature};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Bytes of a tag of AES-GCM.
const TAG: usize = 16;

/// For [`dimpl::ConfigBuilder::with_crypto_provider`].
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: &[
            &Group(NamedGroup::X25519),
            &Group(NamedGroup::Secp256r1),
            &Group(NamedGroup::Secp384r1),
        ],
        signature_verification: &Ring,
        key_provider: &Ring,
        secure_random: &Ring,
        hash_provider: &Ring,
        hmac_provider: &Ring,
        cipher_suites: &[&Suite::Aes128, &Suite::Aes256],
        dtls13_cipher_suites: &[&Suite::Aes128],
    }
}

const fn failed<E>(what: CryptoOperation) -> impl FnOnce(E) -> CryptoError {
    move |_| CryptoError::OperationFailed(what)
}

#[derive(Debug)]
struct Ring;

impl SecureRandom for Ring {
    fn fill(&self, buf: &mut [u8]) -> Result<(), CryptoError> {
        rand::SecureRandom::fill(&SystemRandom::new(), buf).map_err(failed(CryptoOperation::FillRandom))
    }
}

const fn digest_of(hash: HashAlgorithm) -> Option<&'static digest::Algorithm> {
    match hash {
        HashAlgorithm::SHA256 => Some(&digest::SHA256),
        HashAlgorithm::SHA384 => Some(&digest::SHA384),
        _ => None,
    }
}

/// A hash that goes on; none for an algorithm that none of our suites has, which leaves nothing to compare with.
struct Hash(Option<digest::Context>);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        if let Some(context) = &mut self.0 {
            context.update(data);
        }
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        out.clear();
        if let Some(context) = &self.0 {
            out.extend_from_slice(context.clone().finish().as_ref());
        }
    }
}

impl HashProvider for Ring {
    fn create_hash(&self, algorithm: HashAlgorithm) -> Box<dyn HashContext> {
        Box::new(Hash(digest_of(algorithm).map(digest::Context::new)))
    }
}

impl HmacProvider for Ring {
    fn hmac(
        &self,
        hash: HashAlgorithm,
        key: &[u8],
        data: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let algorithm = match hash {
            HashAlgorithm::SHA256 => hmac::HMAC_SHA256,
            HashAlgorithm::SHA384 => hmac::HMAC_SHA384,
            _ => return Err(CryptoError::UnsupportedHmacHash(hash)),
        };
        let tag = hmac::sign(&hmac::Key::new(algorithm, key), data);
        let room = out
            .get_mut(..tag.as_ref().len())
            .ok_or(CryptoError::OperationFailed(CryptoOperation::ComputeHmac))?;
        room.copy_from_slice(tag.as_ref());
        Ok(room.len())
    }
}

/// A group of a key exchange.
#[derive(Clone, Copy, Debug)]
struct Group(NamedGroup);

impl Group {
    fn algorithm(self) -> Result<&'static agreement::Algorithm, CryptoError> {
        match self.0 {
            NamedGroup::X25519 => Ok(&agreement::X25519),
            NamedGroup::Secp256r1 => Ok(&agreement::ECDH_P256),
            NamedGroup::Secp384r1 => Ok(&agreement::ECDH_P384),
            _ => Err(CryptoError::UnsupportedKeyExchangeGroup(self.0)),
        }
    }
}

impl SupportedKxGroup for Group {
    fn name(&self) -> NamedGroup {
        self.0
    }

    fn start_exchange(&self, mut buf: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let unsupported = || CryptoError::UnsupportedKeyExchangeGroup(self.0);
        let algorithm = self.algorithm()?;
        let private = agreement::EphemeralPrivateKey::generate(algorithm, &SystemRandom::new())
            .map_err(failed(CryptoOperation::FillRandom))?;
        let public = private.compute_public_key().map_err(|_| unsupported())?;
        buf.clear();
        buf.extend_from_slice(public.as_ref());
        Ok(Box::new(Exchange {
            group: *self,
            private,
            public: buf,
        }))
    }
}

#[derive(Debug)]
struct Exchange {
    group: Group,
    private: agreement::EphemeralPrivateKey,
    public: Buf,
}

impl ActiveKeyExchange for Exchange {
    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer_pub: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let peer = agreement::UnparsedPublicKey::new(self.group.algorithm()?, peer_pub);
        out.clear();
        // refuses points that are none, and those of low order (RFC 7748 §6.1)
        agreement::agree_ephemeral(self.private, &peer, |secret| out.extend_from_slice(secret))
            .map_err(|_| CryptoError::InvalidPublicKey(self.group.0))
    }

    fn group(&self) -> NamedGroup {
        self.group.0
    }
}

struct Key(EcdsaKeyPair);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl SigningKey for Key {
    fn sign(&mut self, data: &[u8], hash_alg: HashAlgorithm, out: &mut Buf) -> Result<(), CryptoError> {
        if hash_alg != HashAlgorithm::SHA256 {
            return Err(CryptoError::SigningKeyUnsupportedHash {
                group: NamedGroup::Secp256r1,
                hash: hash_alg,
            });
        }
        let signed = self.0.sign(&SystemRandom::new(), data);
        out.clear();
        out.extend_from_slice(signed.map_err(failed(CryptoOperation::Sign))?.as_ref());
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        &[HashAlgorithm::SHA256]
    }
}

impl KeyProvider for Ring {
    /// Ours only: PKCS #8 of P-256.
    fn load_private_key(&self, key_der: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let algorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, key_der, &SystemRandom::new());
        Ok(Box::new(Key(pair.map_err(|_| CryptoError::InvalidPrivateKey)?)))
    }
}

impl SignatureVerifier for Ring {
    fn verify_signature(
        &self,
        cert_der: &[u8],
        data: &[u8],
        signed: &[u8],
        hash_alg: HashAlgorithm,
        sig_alg: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        let (_, certificate) =
            X509Certificate::from_der(cert_der).map_err(|_| CryptoError::CertificateParseFailed)?;
        let key = certificate.public_key();
        // id-ecPublicKey (RFC 5480 §2.1.1)
        if key.algorithm.algorithm.to_id_string() != "1.2.840.10045.2.1" {
            return Err(CryptoError::UnsupportedPublicKeyAlgorithm);
        }
        let curve = key.algorithm.parameters.as_ref();
        let curve = curve.ok_or(CryptoError::MissingEcCurveParameter)?;
        let curve = curve.as_oid().map_err(|_| CryptoError::InvalidEcCurveParameter)?;
        let group = match curve.to_id_string().as_str() {
            "1.2.840.10045.3.1.7" => NamedGroup::Secp256r1,
            "1.3.132.0.34" => NamedGroup::Secp384r1,
            _ => return Err(CryptoError::UnsupportedEcCurve),
        };
        check_verify_scheme(sig_alg, hash_alg, group)?;
        let algorithm: &dyn signature::VerificationAlgorithm = match (group, hash_alg) {
            (NamedGroup::Secp256r1, HashAlgorithm::SHA256) => &signature::ECDSA_P256_SHA256_ASN1,
            (NamedGroup::Secp256r1, _) => &signature::ECDSA_P256_SHA384_ASN1,
            (_, HashAlgorithm::SHA256) => &signature::ECDSA_P384_SHA256_ASN1,
            (_, _) => &signature::ECDSA_P384_SHA384_ASN1,
        };
        signature::UnparsedPublicKey::new(algorithm, &key.subject_public_key.data)
            .verify(data, signed)
            .map_err(|_| CryptoError::SignatureVerificationFailed {
                signature: sig_alg,
                hash: hash_alg,
                group,
            })
    }
}

struct AesGcm(aead::LessSafeKey);

impl fmt::Debug for AesGcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesGcm(***)")
    }
}

impl AesGcm {
    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        let algorithm = if key.len() == 16 {
            &aead::AES_128_GCM
        } else {
            &aead::AES_256_GCM
        };
        let key = aead::UnboundKey::new(algorithm, key).map_err(failed(CryptoOperation::CreateCipher))?;
        Ok(Self(aead::LessSafeKey::new(key)))
    }
}

fn nonce_of(nonce: &Nonce) -> Result<aead::Nonce, CryptoError> {
    aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::InvalidNonce)
}

impl Cipher for AesGcm {
    fn encrypt(&mut self, plaintext: &mut Buf, aad: Aad, nonce: Nonce) -> Result<(), CryptoError> {
        let aad = aead::Aad::from(&aad[..]);
        self.0
            .seal_in_place_append_tag(nonce_of(&nonce)?, aad, plaintext)
            .map_err(failed(CryptoOperation::Encrypt))
    }

    fn decrypt(&mut self, ciphertext: &mut TmpBuf<'_>, aad: Aad, nonce: Nonce) -> Result<(), CryptoError> {
        let aad = aead::Aad::from(&aad[..]);
        let opened = self
            .0
            .open_in_place(nonce_of(&nonce)?, aad, ciphertext.as_mut())
            .map_err(failed(CryptoOperation::Decrypt))?;
        let length = opened.len();
        ciphertext.truncate(length);
        Ok(())
    }
}

/// A cipher suite.
#[derive(Clone, Copy, Debug)]
enum Suite {
    Aes128,
    Aes256,
}

impl SupportedDtls12CipherSuite for Suite {
    fn suite(&self) -> Dtls12CipherSuite {
        match self {
            Self::Aes128 => Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256,
            Self::Aes256 => Dtls12CipherSuite::ECDHE_ECDSA_AES256_GCM_SHA384,
        }
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        match self {
            Self::Aes128 => HashAlgorithm::SHA256,
            Self::Aes256 => HashAlgorithm::SHA384,
        }
    }

    /// No key of a MAC, that of the cipher, and the salt of its nonce (RFC 5288 §3).
    fn key_lengths(&self) -> (usize, usize, usize) {
        match self {
            Self::Aes128 => (0, 16, 4),
            Self::Aes256 => (0, 32, 4),
        }
    }

    fn explicit_nonce_len(&self) -> usize {
        8
    }

    fn tag_len(&self) -> usize {
        TAG
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        Ok(Box::new(AesGcm::new(key)?))
    }
}

/// For DTLS 1.3, without which the library takes no provider; the handshakes of [`Association`](super::Association) are
/// of 1.2.
impl SupportedDtls13CipherSuite for Suite {
    fn suite(&self) -> Dtls13CipherSuite {
        match self {
            Self::Aes128 => Dtls13CipherSuite::AES_128_GCM_SHA256,
            Self::Aes256 => Dtls13CipherSuite::AES_256_GCM_SHA384,
        }
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        SupportedDtls12CipherSuite::hash_algorithm(self)
    }

    fn key_len(&self) -> usize {
        SupportedDtls12CipherSuite::key_lengths(self).1
    }

    fn iv_len(&self) -> usize {
        12
    }

    fn tag_len(&self) -> usize {
        TAG
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        Ok(Box::new(AesGcm::new(key)?))
    }

    /// The mask of a record's number (RFC 9147 §4.2.3); of zeros for a key that does not fit, so that nothing can be read.
    fn encrypt_sn(&self, sn_key: &[u8], sample: &[u8; 16]) -> [u8; 16] {
        let Ok(cipher) = Aes128::new_from_slice(sn_key) else {
            return [0; 16];
        };
        let mut block = (*sample).into();
        cipher.encrypt_block(&mut block);
        block.into()
    }
}
