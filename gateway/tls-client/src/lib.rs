//! TLS towards a server (rustls with ring): its certificate has to lead to the given file or to the machine's bundle, and
//! to be for its name. Failures say what to do.

mod trust;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
pub use tokio_rustls::client::TlsStream;

pub use crate::trust::Trust;

/// Where the distributions we run on keep the bundle of public certificate authorities.
const SYSTEM_BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Why there is no TLS; each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file with certificates cannot be used.
    #[error("{} cannot be used, {what}: set ca-file to certificates in PEM form", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// Our own certificate or its key cannot be used.
    #[error("{} cannot be used, {what}: set cert-file and key-file to PEM files that belong together", path.display())]
    Own {
        /// Which file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// No name that a certificate could be for.
    #[error("{0} is neither a host name nor an IP address")]
    Name(String),
    /// The server did not show the right certificate, or speaks no TLS.
    #[error("{0}")]
    Handshake(String),
}

/// The file with the certificates that a server's has to lead to: the given one, else the machine's bundle, if it has one.
fn trusted(ca_file: Option<&Path>) -> Option<&Path> {
    let system = || SYSTEM_BUNDLES.iter().map(Path::new).find(|p| p.exists());
    ca_file.or_else(system)
}

fn fault(path: &Path) -> impl Fn(String) -> TlsError {
    move |what| TlsError::File {
        path: path.to_owned(),
        what,
    }
}

/// The certificates that a server's has to lead to, in PEM form: `ca_file`, else the machine's bundle.
///
/// # Errors
/// [`TlsError::File`].
pub fn roots_pem(ca_file: Option<&Path>) -> Result<Vec<u8>, TlsError> {
    let path = trusted(ca_file).unwrap_or_else(|| Path::new(SYSTEM_BUNDLES[0]));
    std::fs::read(path).map_err(|error| fault(path)(error.to_string()))
}

/// A certificate of our own, for servers that ask for one: chain and key, both PEM.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Chain, own certificate first.
    pub chain: &'a Path,
    /// Private key.
    pub key: &'a Path,
}

fn config(ca_file: Option<&Path>, own: Option<Own<'_>>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    let mut themselves = Vec::new();
    if let Some(path) = trusted(ca_file) {
        let fault = fault(path);
        let pem = roots_pem(Some(path))?;
        let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|e| fault(e.to_string()))?;
        if found.is_empty() {
            return Err(fault("no certificate is in it".to_owned()));
        }
        if ca_file.is_some() {
            themselves.clone_from(&found);
        }
        // single old certificates of a bundle may be of a form that nobody reads any more
        roots.add_parsable_certificates(found);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trust = Trust::new(Arc::clone(&provider), roots, themselves);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring does TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let Some(own) = own else {
        return Ok(builder.with_no_client_auth());
    };
    let bad = |path: &Path, what: String| TlsError::Own {
        path: path.to_owned(),
        what,
    };
    let chain = CertificateDer::pem_file_iter(own.chain).and_then(Iterator::collect);
    let chain: Vec<_> = chain.map_err(|error| bad(own.chain, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(own.key).map_err(|error| bad(own.key, error.to_string()))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| bad(own.chain, format!("it does not fit its key: {error}")))
}

/// Protects a connection; the server has to show a certificate for `host` (IPv6 may stand in brackets).
///
/// # Errors
/// [`TlsError`], in words that say what to do.
pub async fn secure(
    stream: TcpStream,
    host: &str,
    ca_file: Option<&Path>,
) -> Result<TlsStream<TcpStream>, TlsError> {
    secure_as(stream, host, ca_file, None).await
}

/// As [`secure`], and shows a certificate of our own if the server asks for one.
///
/// # Errors
/// [`TlsError`], in words that say what to do.
pub async fn secure_as(
    stream: TcpStream,
    host: &str,
    ca_file: Option<&Path>,
    own: Option<Own<'_>>,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let config = config(ca_file, own)?;
    let plain = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(plain).map_err(|_| TlsError::Name(host.to_owned()))?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    connected.map_err(|error| TlsError::Handshake(told(&error)))
}

/// A failed handshake in words.
fn told(error: &io::Error) -> String {
    match certificate_fault(error, "ca-file") {
        Some(why) => format!("the server's certificate {why}"),
        None => format!("TLS failed, {error}: does the server speak it at this port?"),
    }
}

/// What is wrong with the certificate of a server, to follow the words `the certificate of …`, and what to do; `None` if
/// it is something else. `ca_key` is the key of the site file that names the CA's certificate.
#[must_use]
pub fn certificate_fault(error: &io::Error, ca_key: &str) -> Option<String> {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(bad)) = inner else {
        return None;
    };
    Some(certificate_refused(bad, ca_key))
}

/// The same of what rustls says of it.
#[must_use]
pub fn certificate_refused(bad: &CertificateError, ca_key: &str) -> String {
    use CertificateError as Bad;
    if matches!(bad, Bad::UnknownIssuer) {
        format!("is signed by a CA we do not trust; set {ca_key} to that CA's certificate")
    } else if matches!(bad, Bad::NotValidForName | Bad::NotValidForNameContext { .. }) {
        "is for another host name; use the name that stands in it".to_owned()
    } else if matches!(bad, Bad::Expired | Bad::ExpiredContext { .. }) {
        "has expired, or our clock is wrong".to_owned()
    } else if matches!(bad, Bad::NotValidYet | Bad::NotValidYetContext { .. }) {
        "is not valid yet, or our clock is wrong".to_owned()
    } else if bad.to_string().contains("CaUsedAsEndEntity") {
        format!("signs itself as an authority; set {ca_key} to this certificate if it is the right one")
    } else {
        format!("was refused: {bad}")
    }
}
