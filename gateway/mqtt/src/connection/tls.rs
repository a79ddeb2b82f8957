//! TLS towards the broker: what is trusted, and what we show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_tls_client::Trust;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::params::MqttTls;

/// Where systems keep the certificates they trust.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsSetupError {
    #[error("no certificate in {}; it must be a PEM file", path.display())]
    Empty { path: PathBuf },
    #[error("no bundle of trusted certificates on this machine; set ca-file")]
    NoBundle,
    #[error("certificates in {} cannot be read: {source}", path.display())]
    Pem {
        path: PathBuf,
        source: rustls_pki_types::pem::Error,
    },
    #[error("cert-file {} and key-file {} do not fit together: {source}", cert.display(), key.display())]
    Pair {
        cert: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    #[error("the private key in {} cannot be read: {source}", path.display())]
    Key {
        path: PathBuf,
        source: rustls_pki_types::pem::Error,
    },
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

pub(super) fn client_config(tls: &MqttTls) -> Result<ClientConfig, TlsSetupError> {
    let path = match &tls.ca_file {
        Some(path) => path.clone(),
        None => BUNDLES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
            .ok_or(TlsSetupError::NoBundle)?,
    };
    let themselves = match &tls.ca_file {
        Some(path) => certificates(path)?,
        None => Vec::new(),
    };
    let roots = roots(&path)?;
    // named, not taken from the process: no other part can change it
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trust = Trust::new(Arc::clone(&provider), roots, themselves);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let Some((cert, key)) = &tls.client else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(cert)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsSetupError::Key {
        path: key.clone(),
        source,
    })?;
    builder
        .with_client_auth_cert(chain, secret)
        .map_err(|source| TlsSetupError::Pair {
            cert: cert.clone(),
            key: key.clone(),
            source,
        })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let pem = |source| TlsSetupError::Pem {
        path: path.to_owned(),
        source,
    };
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(pem)?.collect();
    let all = all.map_err(pem)?;
    if all.is_empty() {
        return Err(TlsSetupError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(all)
}

fn roots(path: &Path) -> Result<RootCertStore, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    // a bundle may hold some that are not understood
    let (taken, _) = roots.add_parsable_certificates(certificates(path)?);
    if taken == 0 {
        return Err(TlsSetupError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_that_is_missing_or_empty_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("ca.pem");
        let setup = || {
            let tls = MqttTls {
                ca_file: Some(path.clone()),
                client: None,
            };
            client_config(&tls)
                .map(|_| ())
                .expect_err("no certificates")
                .to_string()
        };
        assert!(setup().starts_with(&format!("certificates in {} cannot be read", path.display())));
        std::fs::write(&path, "nothing\n").expect("written");
        assert!(setup().starts_with(&format!("no certificate in {}", path.display())));
    }
}
