//! Certificates: from files, given over the API, or our own, made once and kept.

mod browsers;
mod certificate;
mod served;
mod upload;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_core::Timestamp;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use self::certificate::Shown;
pub use self::served::{CertificateFrom, Served};
pub(crate) use self::upload::{check, keep, remove};
use crate::params::{HttpError, Tls};

/// Keys of the site file that name certificate and key.
const FILES: [&str; 2] = ["http.cert-file", "http.key-file"];
/// The key that asks for a certificate of our own.
const OWN: [&str; 2] = ["http.tls", "http.tls"];

/// A TLS configuration, and what is shown of its certificate.
pub(crate) struct Identity {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) served: Served,
}

/// Reads (or makes) the certificate. `None` without TLS. One that was uploaded and cannot be read gives way to our own, and
/// [`Served::trouble`] says why: whoever has to mend it needs the page.
pub(crate) fn load(tls: &Tls, now: Timestamp) -> Result<Option<Identity>, HttpError> {
    match tls {
        Tls::Files { cert, key } => identity(cert, key, FILES, CertificateFrom::Files).map(Some),
        Tls::Off => Ok(None),
        Tls::SelfSigned { names, state_dir } => {
            let uploaded = upload::file(state_dir);
            let trouble = match uploaded.try_exists() {
                Ok(false) => None,
                Ok(true) | Err(_) => match identity(&uploaded, &uploaded, OWN, CertificateFrom::Uploaded) {
                    Ok(identity) => return Ok(Some(identity)),
                    Err(error) => Some(error.in_full()),
                },
            };
            let (cert, key) = self_signed(&state_dir.join("http"), names, now)?;
            let mut identity = identity(&cert, &key, OWN, CertificateFrom::Own)?;
            identity.served.trouble = trouble;
            Ok(Some(identity))
        }
    }
}

/// Whether certificate and key are there and belong together.
///
/// # Errors
/// [`HttpError`] names the key of the site file.
pub fn check_tls(cert: &Path, key: &Path) -> Result<(), HttpError> {
    identity(cert, key, FILES, CertificateFrom::Files).map(drop)
}

fn identity(
    cert: &Path,
    key: &Path,
    [cert_part, key_part]: [&'static str; 2],
    from: CertificateFrom,
) -> Result<Identity, HttpError> {
    let no_certificate = || HttpError::Pem {
        part: cert_part,
        path: cert.to_owned(),
        wanted: "certificate",
    };
    let chain = read(cert, cert_part)?;
    if CertificateDer::from_pem_slice(&chain).is_err() {
        return Err(no_certificate());
    }
    let private = read(key, key_part)?;
    let (config, shown) = served_by(&chain, &private).map_err(|unfit| match unfit {
        Unfit::Certificate => no_certificate(),
        Unfit::Key => HttpError::Pem {
            part: key_part,
            path: key.to_owned(),
            wanted: "private key",
        },
        Unfit::Tls(source) => HttpError::Tls {
            part: key_part,
            source,
        },
    })?;
    Ok(Identity {
        config: Arc::new(config),
        served: Served {
            from,
            shown,
            trouble: None,
        },
    })
}

/// Why two texts are nothing that can be served.
#[derive(Debug)]
enum Unfit {
    /// There is no certificate in PEM form.
    Certificate,
    /// There is no private key in PEM form.
    Key,
    /// TLS does not take them.
    Tls(rustls::Error),
}

/// What a server says with this chain and key, both as PEM.
fn served_by(chain: &[u8], key: &[u8]) -> Result<(ServerConfig, Shown), Unfit> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    let shown = chain.first().and_then(Shown::of).ok_or(Unfit::Certificate)?;
    let private = PrivateKeyDer::from_pem_slice(key).map_err(|_| Unfit::Key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Unfit::Tls)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(Unfit::Tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((config, shown))
}

fn read(path: &Path, part: &'static str) -> Result<Vec<u8>, HttpError> {
    fs::read(path).map_err(|source| HttpError::File {
        part,
        path: path.to_owned(),
        source,
    })
}

/// The names the certificate was made for stand beside it, so that a change of names makes a new one.
fn self_signed(dir: &Path, names: &[String], now: Timestamp) -> Result<(PathBuf, PathBuf), HttpError> {
    let (cert, key, made_for) = (dir.join("cert.pem"), dir.join("key.pem"), dir.join("names.txt"));
    let wanted = names.join("\n");
    if fs::read_to_string(&made_for).is_ok_and(|have| have == wanted) && cert.exists() && key.exists() {
        return Ok((cert, key));
    }
    let failed = |source| HttpError::SelfSigned {
        names: names.to_vec(),
        source,
    };
    let pair = rcgen::KeyPair::generate().map_err(failed)?;
    let mut params = rcgen::CertificateParams::new(names.to_vec()).map_err(failed)?;
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Doorline");
    // A box without battery clock may start in 1970; the certificate must also hold after the clock is right.
    let year = i32::from(now.to_zoned(jiff::tz::TimeZone::UTC).year()).max(2026);
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + 10, 1, 1);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let made = params.self_signed(&pair).map_err(failed)?;
    fs::create_dir_all(dir).map_err(|source| HttpError::File {
        part: OWN[0],
        path: dir.to_owned(),
        source,
    })?;
    // The names come last: without them the pair counts as not made.
    let _ = fs::remove_file(&made_for);
    write(&key, &pair.serialize_pem(), 0o600)?;
    write(&cert, &made.pem(), 0o644)?;
    write(&made_for, &wanted, 0o644)?;
    Ok((cert, key))
}

/// Writes a file beside it, which then takes its place.
fn put(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let draft = path.with_extension("draft");
    // A left-over draft may have other rights.
    let _ = fs::remove_file(&draft);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), HttpError> {
    put(path, text, mode).map_err(|source| HttpError::File {
        part: OWN[0],
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn own(dir: &Path, names: &[&str]) -> Tls {
        Tls::SelfSigned {
            names: names.iter().map(|n| (*n).to_owned()).collect(),
            state_dir: dir.to_owned(),
        }
    }

    #[test]
    fn our_certificate_is_made_once_and_again_for_other_names() {
        let dir = tempfile::tempdir().expect("a folder");
        let now = Timestamp::UNIX_EPOCH;
        let print = |names: &[&str]| {
            let loaded = load(&own(dir.path(), names), now).expect("loads");
            loaded.expect("TLS is on").served.shown.fingerprint
        };
        let first = print(&["localhost", "127.0.0.1"]);
        assert_eq!(first.len(), 32 * 3 - 1);
        assert_eq!(print(&["localhost", "127.0.0.1"]), first);
        assert_ne!(print(&["door.local"]), first);
        let key = fs::metadata(dir.path().join("http/key.pem")).expect("a key");
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_was_uploaded_is_served_and_gives_way_to_our_own_if_it_cannot_be() {
        let dir = tempfile::tempdir().expect("a folder");
        let tls = own(dir.path(), &["localhost"]);
        let served = || {
            let loaded = load(&tls, Timestamp::UNIX_EPOCH).expect("loads");
            loaded.expect("TLS is on").served
        };
        assert_eq!(served().from, CertificateFrom::Own);
        let made = rcgen::generate_simple_self_signed(vec!["door.example".to_owned()]).expect("makes");
        let key = gateway_core::Secret::new(made.signing_key.serialize_pem());
        keep(dir.path(), &made.cert.pem(), &key).expect("kept");
        let uploaded = served();
        assert_eq!(uploaded.from, CertificateFrom::Uploaded);
        assert_eq!(uploaded.shown.names, ["door.example"]);
        fs::write(upload::file(dir.path()), "cut off").expect("written");
        let back = served();
        assert_eq!(back.from, CertificateFrom::Own);
        let trouble = back.trouble.expect("it is told");
        assert!(trouble.contains("uploaded.pem has no certificate"), "{trouble}");
    }

    #[test]
    fn a_bad_file_is_named_with_what_is_missing() {
        let dir = tempfile::tempdir().expect("a folder");
        let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let files = Tls::Files {
            cert: cert.clone(),
            key: key.clone(),
        };
        let text = |tls: &Tls| match load(tls, Timestamp::UNIX_EPOCH) {
            Ok(_) => "loaded".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            text(&files),
            format!("TLS file {} cannot be used", cert.display())
        );
        fs::write(&cert, "nonsense").expect("written");
        assert_eq!(
            text(&files),
            format!("TLS file {} has no certificate in PEM form", cert.display())
        );
        load(&own(dir.path(), &["localhost"]), Timestamp::UNIX_EPOCH).expect("made");
        fs::copy(dir.path().join("http/cert.pem"), &cert).expect("copied");
        fs::write(&key, "nonsense").expect("written");
        assert_eq!(
            text(&files),
            format!("TLS file {} has no private key in PEM form", key.display())
        );
    }
}
