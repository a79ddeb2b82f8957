//! Which certificates of a server count.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Takes a server's certificate that leads to an authority (RFC 5280 §6.1), or that stands itself in the file somebody wrote into the
/// configuration: many a PBX and broker signs its own, and says in it that it is an authority, as which no path may end in it. Both must
/// be valid at this time, and for the host that was called unless any will do.
#[derive(Debug)]
pub struct Trust {
    any_name: bool,
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    themselves: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// With authorities, and with certificates that count themselves.
    #[must_use]
    pub fn new(
        provider: Arc<CryptoProvider>,
        roots: RootCertStore,
        themselves: Vec<CertificateDer<'static>>,
    ) -> Self {
        Self {
            any_name: false,
            provider,
            roots,
            themselves,
        }
    }

    /// Whatever host the certificate is for.
    #[must_use]
    pub fn of_any_name(self) -> Self {
        Self {
            any_name: true,
            ..self
        }
    }
}

/// Is it valid at this time (RFC 5280 §4.1.2.5)?
fn in_its_time(cert: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let (_, parsed) = X509Certificate::from_der(cert).map_err(|_| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if now < validity.not_before.timestamp() {
        Err(CertificateError::NotValidYet.into())
    } else if now > validity.not_after.timestamp() {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(cert)?;
        if self.themselves.iter().any(|known| known == cert) {
            in_its_time(cert, now)?;
        } else {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, between, now, algorithms)?;
        }
        if !self.any_name {
            verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        date_time_ymd,
    };

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn key() -> KeyPair {
        KeyPair::generate().expect("a key")
    }

    /// 2020 to 2030, for a server.
    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params
    }

    fn authority(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        CertifiedIssuer::self_signed(params, key()).expect("an authority")
    }

    fn signed(params: &CertificateParams, by: &Authority) -> CertificateDer<'static> {
        let cert = params.signed_by(&key(), by).expect("signed");
        cert.der().clone()
    }

    /// In the middle of these years, or so many years later.
    fn asked(
        trust: &Trust,
        cert: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        years: u64,
    ) -> Result<ServerCertVerified, Error> {
        let name = ServerName::try_from("door.example").expect("a name");
        let now = Duration::from_secs(1_735_700_000 + years * 31_557_600);
        trust.verify_server_cert(cert, between, &name, &[], UnixTime::since_unix_epoch(now))
    }

    fn trusting(authority: &Authority, themselves: Vec<CertificateDer<'static>>) -> Trust {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Trust::new(provider, roots, themselves)
    }

    fn verdict(
        trusts: &Authority,
        cert: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        years: u64,
    ) -> Result<ServerCertVerified, Error> {
        asked(&trusting(trusts, Vec::new()).of_any_name(), cert, between, years)
    }

    fn refused(verdict: Result<ServerCertVerified, Error>) -> CertificateError {
        match verdict {
            Err(Error::InvalidCertificate(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_certificate_that_signs_itself_counts_if_it_is_in_the_file_and_then_for_its_name_and_time() {
        let itself = |name: &str| {
            let mut params = params(name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.self_signed(&key()).expect("signed").der().clone()
        };
        let ours = authority("ours");
        let (door, other) = (itself("door.example"), itself("pbx.example"));
        let trust = trusting(&ours, vec![door.clone(), other.clone()]);
        assert!(asked(&trust, &door, &[], 0).is_ok());
        assert_eq!(refused(asked(&trust, &door, &[], 10)), CertificateError::Expired);
        let early = trust.verify_server_cert(
            &door,
            &[],
            &ServerName::try_from("door.example").expect("a name"),
            &[],
            UnixTime::since_unix_epoch(Duration::from_secs(1_000_000_000)),
        );
        assert_eq!(refused(early), CertificateError::NotValidYet);
        let name = refused(asked(&trust, &other, &[], 0));
        assert!(
            matches!(name, CertificateError::NotValidForNameContext { .. }),
            "{name:?}"
        );
        assert!(asked(&trust.of_any_name(), &other, &[], 0).is_ok());
        // of the same name, and not in the file
        let stranger = refused(asked(&trusting(&ours, vec![other]), &door, &[], 0));
        assert_eq!(
            crate::certificate_refused(&stranger, "tls-ca-file"),
            "signs itself as an authority; set tls-ca-file to this certificate if it is the right one"
        );
        // what somebody signs with one that is in the file, as with one of an authority, is a matter of authorities
        assert!(
            asked(
                &trusting(&ours, vec![ours.der().clone()]),
                &signed(&params("door.example"), &ours),
                &[],
                0
            )
            .is_ok()
        );
    }

    #[test]
    fn whatever_the_name_a_certificate_of_our_authority_for_a_server_counts_in_its_time() {
        let ours = authority("ours");
        for name in ["door.example", "pbx.example", "192.0.2.7"] {
            let cert = signed(&params(name), &ours);
            assert!(verdict(&ours, &cert, &[], 0).is_ok(), "{name}");
            let late = refused(verdict(&ours, &cert, &[], 10));
            assert!(
                matches!(late, CertificateError::ExpiredContext { .. }),
                "{late:?}"
            );
            let early = refused(verdict(&ours, &cert, &[], 0).and_then(|_| {
                let mut params = params(name);
                params.not_before = date_time_ymd(2028, 1, 1);
                verdict(&ours, &signed(&params, &ours), &[], 0)
            }));
            assert!(
                matches!(early, CertificateError::NotValidYetContext { .. }),
                "{early:?}"
            );
        }
    }

    #[test]
    fn that_no_name_is_asked_for_lets_nothing_else_pass() {
        let (ours, theirs) = (authority("ours"), authority("theirs"));
        let others = signed(&params("door.example"), &theirs);
        for between in [&[][..], &[theirs.der().clone()]] {
            assert_eq!(
                refused(verdict(&ours, &others, between, 0)),
                CertificateError::UnknownIssuer
            );
        }
        let mut client = params("door.example");
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let purpose = refused(verdict(&ours, &signed(&client, &ours), &[], 0));
        assert!(
            matches!(purpose, CertificateError::InvalidPurposeContext { .. }),
            "{purpose:?}"
        );
        // whoever has a certificate of ours is no authority by that
        let phone = CertifiedIssuer::signed_by(params("phone.example"), key(), &ours).expect("signed");
        let made_up = signed(&params("door.example"), &phone);
        assert!(verdict(&ours, &made_up, &[phone.der().clone()], 0).is_err());
        let nonsense = CertificateDer::from(b"no certificate".to_vec());
        assert_eq!(
            refused(verdict(&ours, &nonsense, &[], 0)),
            CertificateError::BadEncoding
        );
    }
}
