//! TLS settings (rustls with ring): client trust per account, identity of the listener.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::{SipError, TlsIdentity, TlsListener, TlsTrust};

/// Where the distributions we run on keep the bundle of public certificate authorities.
const SYSTEM_BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Keys of the site file, of the port and of accounts.
const CERTS: [&str; 2] = ["sip.tls-cert-file", "tls-cert-file"];
const KEYS: [&str; 2] = ["sip.tls-key-file", "tls-key-file"];
const CA: &str = "tls-ca-file";
const CLIENT_CA: &str = "sip.tls-client-ca-file";

fn file_error(part: &'static str, path: &Path, what: impl ToString) -> SipError {
    SipError::TlsFile {
        part,
        file: path.display().to_string(),
        what: what.to_string(),
    }
}

fn certificates(part: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, SipError> {
    let pem = fs::read(path).map_err(|e| file_error(part, path, e))?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| file_error(part, path, e))?;
    if found.is_empty() {
        Err(file_error(part, path, "no certificate in it"))
    } else {
        Ok(found)
    }
}

/// The client side that trusts nobody.
pub(crate) fn nobody() -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring does TLS 1.2 and 1.3");
    let roots = RootCertStore::empty();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Makes the client side of a trust setting.
pub(crate) fn client(trust: &TlsTrust) -> Result<Arc<ClientConfig>, SipError> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring does TLS 1.2 and 1.3");
    let builder = if trust.verify {
        // without a single authority nobody is trusted, under whatever name
        let roots = roots(trust)?;
        if trust.check_name {
            builder.with_root_certificates(roots)
        } else {
            let any_name = Arc::new(AnyName { provider, roots });
            builder.dangerous().with_custom_certificate_verifier(any_name)
        }
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    };
    let config = match &trust.identity {
        Some(identity) => {
            let (chain, key) = own(identity, 1)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| file_error(KEYS[1], &identity.key_file, e))?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// Who may sign the certificates of the other side.
fn roots(trust: &TlsTrust) -> Result<RootCertStore, SipError> {
    let mut roots = RootCertStore::empty();
    match &trust.ca_file {
        Some(path) => authorities(CA, path, &mut roots)?,
        None => {
            if let Some(path) = SYSTEM_BUNDLES.iter().map(Path::new).find(|p| p.exists()) {
                // Single old certificates of the bundle that webpki cannot read are passed over.
                roots.add_parsable_certificates(certificates(CA, path)?);
            }
        }
    }
    Ok(roots)
}

fn authorities(part: &'static str, path: &Path, roots: &mut RootCertStore) -> Result<(), SipError> {
    for cert in certificates(part, path)? {
        roots.add(cert).map_err(|e| file_error(part, path, e))?;
    }
    Ok(())
}

/// Certificate and key; `of` is 0 for the port, 1 for an account.
fn own(
    identity: &TlsIdentity,
    of: usize,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), SipError> {
    let chain = certificates(CERTS[of], &identity.cert_file)?;
    let unusable = |e: String| file_error(KEYS[of], &identity.key_file, e);
    let pem = fs::read(&identity.key_file).map_err(|e| unusable(e.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|e| unusable(e.to_string()))?;
    Ok((chain, key))
}

/// Makes the server side of the listener.
pub(crate) fn server(listener: &TlsListener) -> Result<Arc<ServerConfig>, SipError> {
    let (chain, key) = own(&listener.identity, 0)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring does TLS 1.2 and 1.3");
    let builder = match &listener.client_ca_file {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            authorities(CLIENT_CA, path, &mut roots)?;
            let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            let clients = clients.build().map_err(|e| file_error(CLIENT_CA, path, e))?;
            builder.with_client_cert_verifier(clients)
        }
        None => builder.with_no_client_auth(),
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|e| file_error(KEYS[0], &listener.identity.key_file, e))?;
    Ok(Arc::new(config))
}

/// Takes every certificate for a server that an authority of ours has signed and that is valid at this time (RFC 5280 §6.1),
/// whatever host it is for.
#[derive(Debug)]
struct AnyName {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let cert = ParsedCertificate::try_from(cert)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&cert, &self.roots, between, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
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
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
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

/// Takes any certificate; the configuration says in words that it is so.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        date_time_ymd,
    };
    use rustls::{CertificateError, Error};

    use super::*;

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
    fn verdict(
        trusts: &Authority,
        cert: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        years: u64,
    ) -> Result<ServerCertVerified, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(trusts.der().clone()).expect("an authority");
        let any_name = AnyName {
            provider: provider(),
            roots,
        };
        let name = ServerName::try_from("door.example").expect("a name");
        let now = Duration::from_secs(1_735_700_000 + years * 31_557_600);
        any_name.verify_server_cert(cert, between, &name, &[], UnixTime::since_unix_epoch(now))
    }

    fn refused(verdict: Result<ServerCertVerified, Error>) -> CertificateError {
        match verdict {
            Err(Error::InvalidCertificate(why)) => why,
            other => panic!("{other:?}"),
        }
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
