//! A certificate authority of the test, and a certificate for 127.0.0.1.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

use crate::rig::Rig;

/// Certificates as PEM files.
#[derive(Debug)]
pub struct Trust {
    /// The authority.
    pub ca: PathBuf,
    /// Certificate of the servers on 127.0.0.1.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Trust {
    /// Makes an authority and a server certificate for 127.0.0.1 and localhost.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn new(rig: &Rig) -> anyhow::Result<Self> {
        let ca_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "peers test authority");
        let ca_cert = params.self_signed(&ca_key)?;
        let issuer = Issuer::new(params, ca_key);

        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params
            .subject_alt_names
            .push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
        params.distinguished_name.push(DnType::CommonName, "127.0.0.1");
        let cert = params.signed_by(&key, &issuer)?;

        let write = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
            let path = rig.path(name);
            std::fs::write(&path, text)?;
            Ok(path)
        };
        Ok(Self {
            ca: write("ca.crt", &ca_cert.pem())?,
            cert: write("server.crt", &cert.pem())?,
            key: write("server.key", &key.serialize_pem())?,
        })
    }

    /// Copies the three files into a folder, for a peer that sees no other.
    ///
    /// # Errors
    /// If they cannot be copied.
    pub fn copy_to(&self, dir: &Path) -> anyhow::Result<()> {
        for from in [&self.ca, &self.cert, &self.key] {
            if let Some(name) = from.file_name() {
                std::fs::copy(from, dir.join(name))?;
            }
        }
        Ok(())
    }
}
