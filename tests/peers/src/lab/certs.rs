//! Certificates of the lab, made once per run of the tests.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

use super::must;

/// Passphrase of the encrypted key.
pub(super) const KEY_PASSPHRASE: &str = "key pass";
/// Passphrase of the PKCS#12 files.
pub(super) const P12_PASSPHRASE: &str = "p12 pass";
/// Name of the authentication server.
const SERVER: &str = "radius.lab.test";

/// Which certificate the authentication server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerCert {
    /// One that has ended.
    Expired,
    /// The right one.
    Good,
    /// One of an authority that nobody knows.
    OtherCa,
    /// One for another name.
    WrongName,
}

impl ServerCert {
    /// Certificate and key.
    pub(super) fn files(self) -> (String, String) {
        let name = match self {
            Self::Expired => "server-expired",
            Self::Good => "server",
            Self::OtherCa => "server-otherca",
            Self::WrongName => "server-wrongname",
        };
        (format!("{name}.pem"), format!("{name}.key"))
    }
}

/// The folder with them.
#[derive(Debug)]
pub struct Certs(TempDir);

impl Certs {
    /// Makes them, or gives those that were made.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn get() -> anyhow::Result<&'static Self> {
        static CERTS: OnceLock<Result<Certs, String>> = OnceLock::new();
        let certs = CERTS.get_or_init(|| make().map_err(|error| format!("{error:#}")));
        certs
            .as_ref()
            .map_err(|error| anyhow::anyhow!("certificates: {error}"))
    }

    /// The path of one of the files.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that is for its owner only.
    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let mut options = std::fs::File::options();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(name))?;
        Ok(file.write_all(text.as_bytes())?)
    }

    fn leaf(&self, name: &str, params: &Leaf<'_>) -> anyhow::Result<()> {
        let mut cert = CertificateParams::new(vec![params.name.to_owned()])?;
        cert.distinguished_name.push(DnType::OrganizationName, "Lab");
        cert.distinguished_name.push(DnType::CommonName, params.name);
        cert.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        cert.extended_key_usages = vec![params.usage.clone()];
        let (from, to) = if params.expired {
            (2020, 2021)
        } else {
            (2024, 2060)
        };
        (cert.not_before, cert.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate()?;
        self.write(
            &format!("{name}.pem"),
            &cert.signed_by(&key, params.issuer)?.pem(),
        )?;
        self.write(&format!("{name}.key"), &key.serialize_pem())
    }
}

struct Leaf<'a> {
    expired: bool,
    issuer: &'a Issuer<'static, KeyPair>,
    name: &'a str,
    usage: ExtendedKeyUsagePurpose,
}

fn make() -> anyhow::Result<Certs> {
    let certs = Certs(TempDir::with_prefix("doorline-certs-")?);
    let authority = |name: &str| -> anyhow::Result<_> {
        let mut params = CertificateParams::new(vec![])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Lab {name}"));
        (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2060, 1, 1));
        let key = KeyPair::generate()?;
        certs.write(&format!("{name}.pem"), &params.self_signed(&key)?.pem())?;
        Ok(Issuer::new(params, key))
    };
    let (ca, other) = (authority("ca")?, authority("otherca")?);
    let leaf = |name: &str, of: &str, usage: &ExtendedKeyUsagePurpose, issuer, expired| {
        let params = Leaf {
            expired,
            issuer,
            name: of,
            usage: usage.clone(),
        };
        certs.leaf(name, &params)
    };
    let (server, client) = (
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    );
    leaf("server", SERVER, &server, &ca, false)?;
    leaf("server-expired", SERVER, &server, &ca, true)?;
    leaf("server-otherca", SERVER, &server, &other, false)?;
    leaf("server-wrongname", "evil.other.test", &server, &ca, false)?;
    leaf("client", "gateway", &client, &ca, false)?;
    leaf("client-expired", "gateway", &client, &ca, true)?;
    leaf("client-otherca", "gateway", &client, &other, false)?;
    let path = |name: &str| certs.path(name).display().to_string();
    let (key, cert, ca) = (path("client.key"), path("client.pem"), path("ca.pem"));
    let encrypted = path("client-enc.key");
    let pass = format!("pass:{KEY_PASSPHRASE}");
    must(
        "openssl",
        &[
            "pkcs8",
            "-topk8",
            "-v2",
            "aes-256-cbc",
            "-in",
            &key,
            "-passout",
            &pass,
            "-out",
            &encrypted,
        ],
    )?;
    let pass = format!("pass:{P12_PASSPHRASE}");
    // the second is what old Windows exports look like: RC2 and 3DES
    for (name, legacy) in [("client.p12", &[][..]), ("client-legacy.p12", &["-legacy"][..])] {
        let out = path(name);
        let words = [
            "pkcs12",
            "-export",
            "-inkey",
            &key,
            "-in",
            &cert,
            "-certfile",
            &ca,
            "-passout",
            &pass,
        ];
        must("openssl", &[&words[..], legacy, &["-out", &out]].concat()).with_context(|| name.to_owned())?;
        std::fs::set_permissions(
            certs.path(name),
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )?;
    }
    std::fs::set_permissions(&encrypted, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(certs)
}
