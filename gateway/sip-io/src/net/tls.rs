//! TLS settings (rustls with ring): client trust per account, identity of the listener.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gateway_tls_client::Trust;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
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
    let verifier: Arc<dyn ServerCertVerifier> = if trust.verify {
        // without a single authority nobody is trusted, under whatever name
        let trusted = trusted(trust, provider)?;
        Arc::new(if trust.check_name {
            trusted
        } else {
            trusted.of_any_name()
        })
    } else {
        Arc::new(AnyCertificate(provider))
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
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

/// Which certificates of the other side count.
fn trusted(trust: &TlsTrust, provider: Arc<CryptoProvider>) -> Result<Trust, SipError> {
    let mut roots = RootCertStore::empty();
    let mut themselves = Vec::new();
    match &trust.ca_file {
        Some(path) => {
            authorities(CA, path, &mut roots)?;
            themselves = certificates(CA, path)?;
        }
        None => {
            if let Some(path) = SYSTEM_BUNDLES.iter().map(Path::new).find(|p| p.exists()) {
                // Single old certificates of the bundle that webpki cannot read are passed over.
                roots.add_parsable_certificates(certificates(CA, path)?);
            }
        }
    }
    Ok(Trust::new(provider, roots, themselves))
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
