//! A certificate authority of the test, and a certificate for 127.0.0.1.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

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
        Self::named(rig, "", &["127.0.0.1", "localhost"])
    }

    /// As [`Trust::new`], with files that begin with `prefix` and a certificate for other hosts.
    ///
    /// # Errors
    /// As [`Trust::new`].
    pub fn named(rig: &Rig, prefix: &str, hosts: &[&str]) -> anyhow::Result<Self> {
        let ca_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, format!("{prefix}peers test authority"));
        let ca_cert = params.self_signed(&ca_key)?;
        let issuer = Issuer::new(params, ca_key);

        let key = KeyPair::generate()?;
        // names that are addresses become addresses
        let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, hosts.first().copied().unwrap_or_default());
        let cert = params.signed_by(&key, &issuer)?;

        let write = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
            let path = rig.path(&format!("{prefix}{name}"));
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
