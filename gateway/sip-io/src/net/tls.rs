//! TLS settings (rustls with ring): client trust per account, identity of the listener.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::{SipError, TlsIdentity, TlsTrust};

/// Where the distributions we run on keep the bundle of public certificate authorities.
const SYSTEM_BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Keys of the site file.
const CERT: &str = "sip.tls-cert-file";
const KEY: &str = "sip.tls-key-file";
const CA: &str = "tls-ca-file";

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
    let config = if trust.verify {
        let mut roots = RootCertStore::empty();
        match &trust.ca_file {
            Some(path) => {
                for cert in certificates(CA, path)? {
                    roots.add(cert).map_err(|e| file_error(CA, path, e))?;
                }
            }
            None => {
                if let Some(path) = SYSTEM_BUNDLES.iter().map(Path::new).find(|p| p.exists()) {
                    // Single old certificates of the bundle that webpki cannot read are passed over.
                    roots.add_parsable_certificates(certificates(CA, path)?);
                }
            }
        }
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth()
    };
    Ok(Arc::new(config))
}

/// Makes the server side of the listener.
pub(crate) fn server(identity: &TlsIdentity) -> Result<Arc<ServerConfig>, SipError> {
    let chain = certificates(CERT, &identity.cert_file)?;
    let pem = fs::read(&identity.key_file).map_err(|e| file_error(KEY, &identity.key_file, e))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|e| file_error(KEY, &identity.key_file, e))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring does TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| file_error(KEY, &identity.key_file, e))?;
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
