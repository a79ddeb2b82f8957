//! Keys for SRTP by a DTLS handshake on the media path (RFC 5763, RFC 5764).
//!
//! The handshake is that of `dimpl`, with `ring` to compute. Who the other side is, is settled by the fingerprint of its
//! certificate, which came with the session description (RFC 8122): a certificate with another one ends the association.
//! Certificates are self-signed, of P-256 or P-384; those of RSA cannot be verified by the library and fail.

mod association;
mod crypto;
mod fingerprint;

use ring::digest;

pub use association::{Association, DtlsError, Output};
pub use fingerprint::Fingerprint;

/// The certificate of this program, made anew at each start. It says nothing about who we are.
#[derive(Clone)]
pub struct Identity {
    certificate: Vec<u8>,
    fingerprint: Fingerprint,
    private_key: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes a key of P-256 and a certificate for it.
    ///
    /// # Errors
    /// [`DtlsError::Identity`] if the system gives no random numbers.
    pub fn generate() -> Result<Self, DtlsError> {
        let made = || {
            let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
            let mut params = rcgen::CertificateParams::new(Vec::new())?;
            // without a name of ours in it: anybody on the way can read it
            params.distinguished_name = rcgen::DistinguishedName::new();
            let name = rcgen::DnType::CommonName;
            params.distinguished_name.push(name, "media");
            let certificate = params.self_signed(&key)?;
            Ok::<_, rcgen::Error>((certificate.der().to_vec(), key.serialize_der()))
        };
        let (certificate, private_key) = made().map_err(|e| DtlsError::Identity(e.to_string()))?;
        let fingerprint = Fingerprint::of(&digest::SHA256, &certificate);
        Ok(Self {
            certificate,
            fingerprint,
            private_key,
        })
    }

    /// What the other side has to compare the certificate with.
    #[must_use]
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

#[cfg(test)]
mod tests;
