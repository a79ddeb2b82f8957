//! A certificate that an administrator gives over the API: looked at before it is taken, and kept with its key in one
//! file, so that both change in one step.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use gateway_core::{Secret, Timestamp};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Error};

use super::certificate::Shown;

/// Certificates of a chain.
const CHAIN: usize = 10;

/// Why it is not taken, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// `certificate` or `key`.
    pub(crate) part: &'static str,
    pub(crate) text: String,
}

fn refused<T>(part: &'static str, text: impl Into<String>) -> Result<T, Refused> {
    let text = text.into();
    Err(Refused { part, text })
}

const CERTIFICATE: &str = "certificate";
const KEY: &str = "key";

/// The file of the uploaded one, in the state folder.
pub(crate) fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("http").join("uploaded.pem")
}

/// Looks at chain and key. `now` is `None` while the clock is not believed: then dates are not judged.
///
/// # Errors
/// What is wrong, and what to send instead.
pub(crate) fn check(certificate: &str, key: &Secret, now: Option<Timestamp>) -> Result<Shown, Refused> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<_, _>>()
        .or_else(|error| {
            refused(
                CERTIFICATE,
                format!("it is no PEM ({error:?}); send the file as it came"),
            )
        })?;
    let Some(first) = chain.first() else {
        return refused(
            CERTIFICATE,
            "there is no certificate in it; send it as PEM, which begins with -----BEGIN CERTIFICATE-----",
        );
    };
    if chain.len() > CHAIN {
        return refused(
            CERTIFICATE,
            format!(
                "there are {} certificates in it; a chain has at most {CHAIN}",
                chain.len()
            ),
        );
    }
    alone(certificate, key)?;
    let read = parsed(&chain)?;
    let Some(shown) = Shown::of(first) else {
        return refused(
            CERTIFICATE,
            "it has a date that does not exist; have it issued anew",
        );
    };
    let private = private(key)?;
    belongs(&chain, &read, &private)?;
    follows(&read)?;
    vouches(&read)?;
    serves(&read[0], &shown)?;
    if let Some(text) = super::browsers::refuse(&read, &shown.names) {
        return refused(CERTIFICATE, text);
    }
    if let Some(now) = now {
        in_time(&chain, now)?;
    }
    is_served(certificate, key)?;
    Ok(shown)
}

/// Each of both texts has its own: they are kept in one file, and another key or certificate in it would be taken for theirs.
fn alone(certificate: &str, key: &Secret) -> Result<(), Refused> {
    if PrivateKeyDer::pem_slice_iter(certificate.as_bytes())
        .next()
        .is_some()
    {
        return refused(
            CERTIFICATE,
            "there is a private key in it, too; send the certificates alone here, and the key as \"key\"",
        );
    }
    let key = key.reveal().as_bytes();
    // what is damaged is told as that, below
    let mut certificates = CertificateDer::pem_slice_iter(key).take(CHAIN);
    if certificates.any(|one| one.is_ok()) {
        return refused(
            KEY,
            "there is a certificate in it, too; send the key alone here, and the chain as \"certificate\"",
        );
    }
    match PrivateKeyDer::pem_slice_iter(key).nth(1) {
        None => Ok(()),
        Some(Ok(_)) => refused(
            KEY,
            "there is more than one private key in it; send that of the first certificate alone",
        ),
        Some(Err(_)) => refused(
            KEY,
            "something follows the private key that is damaged and cannot be read; send the key alone, as it came",
        ),
    }
}

/// The last question is whether it can be served, exactly as it would be kept: nothing good gives way to what cannot.
fn is_served(certificate: &str, key: &Secret) -> Result<(), Refused> {
    let kept = text(certificate, key);
    let why = match super::served_by(kept.as_bytes(), kept.as_bytes()) {
        Ok(_) => return Ok(()),
        Err(super::Unfit::Certificate) => "there is no certificate in it".to_owned(),
        Err(super::Unfit::Key) => "there is no private key beside it".to_owned(),
        Err(super::Unfit::Tls(error)) => error.to_string(),
    };
    let text = format!("it cannot be served ({why}); have it issued anew without what is said here");
    refused(CERTIFICATE, text)
}

fn parsed<'a>(chain: &'a [CertificateDer<'static>]) -> Result<Vec<X509Certificate<'a>>, Refused> {
    let mut all = Vec::new();
    for (n, der) in chain.iter().enumerate() {
        match X509Certificate::from_der(der) {
            Ok(([], certificate)) => all.push(certificate),
            Ok(_) | Err(_) => {
                let text = format!(
                    "certificate {} in it is not X.509; send the file as it came",
                    n + 1
                );
                return refused(CERTIFICATE, text);
            }
        }
    }
    Ok(all)
}

fn private(key: &Secret) -> Result<PrivateKeyDer<'static>, Refused> {
    let text = key.reveal();
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return refused(
            KEY,
            "it is encrypted; take the passphrase off at a safe place (openssl pkey -in key.pem -out plain.pem) and send that",
        );
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).or_else(|error| {
        let text = if matches!(error, rustls_pki_types::pem::Error::NoItemsFound) {
            "there is no private key in it; send it as PEM, which begins with -----BEGIN PRIVATE KEY-----"
        } else {
            "the private key in it is damaged and cannot be read; send the file as it came"
        };
        refused(KEY, text)
    })
}

/// The key is that of the first certificate.
fn belongs(
    chain: &[CertificateDer<'static>],
    read: &[X509Certificate<'_>],
    key: &PrivateKeyDer<'static>,
) -> Result<(), Refused> {
    let Ok(known) = rustls::crypto::ring::sign::any_supported_type(key) else {
        return refused(
            KEY,
            "it is of a kind that is not served here; allowed are RSA of 2048 to 8192 bits, ECDSA on P-256 or P-384, and Ed25519",
        );
    };
    let Some(public) = known.public_key() else {
        return refused(
            KEY,
            "nobody can tell to which certificate it belongs; allowed are RSA, ECDSA and Ed25519",
        );
    };
    let fits = |certificate: &X509Certificate<'_>| certificate.public_key().raw == public.as_ref();
    match read.iter().position(fits) {
        Some(0) => Ok(()),
        Some(n) => refused(
            CERTIFICATE,
            format!(
                "the key belongs to certificate {} in it; put the gateway's own certificate first, then who vouches for it",
                n + 1
            ),
        ),
        None => refused(
            KEY,
            format!(
                "it is not the key of {}; send the key with which that certificate was asked for",
                Shown::of(&chain[0]).map_or_else(|| "this certificate".to_owned(), |shown| shown.subject)
            ),
        ),
    }
}

/// Each is vouched for by the next one.
fn follows(read: &[X509Certificate<'_>]) -> Result<(), Refused> {
    for (n, pair) in read.windows(2).enumerate() {
        let [below, above] = pair else { continue };
        let (lower, upper) = (n + 1, n + 2);
        if below.issuer().as_raw() != above.subject().as_raw() {
            return refused(
                CERTIFICATE,
                format!(
                    "certificate {lower} was issued by {}, and certificate {upper} is that of {}; put them in order, each before \
                     the one that vouches for it",
                    below.issuer(),
                    above.subject()
                ),
            );
        }
        match below.verify_signature(Some(above.public_key())) {
            // what ring does not know, browsers may
            Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => {}
            Err(_) => {
                return refused(
                    CERTIFICATE,
                    format!(
                        "certificate {lower} is not signed by certificate {upper}, though their names say so; send the chain \
                         that came with the certificate"
                    ),
                );
            }
        }
    }
    Ok(())
}

/// Who stands above another certificate may sign it (RFC 5280 §4.2.1.9, §4.2.1.3): no client takes a chain over one that is
/// for a server.
fn vouches(read: &[X509Certificate<'_>]) -> Result<(), Refused> {
    for (n, above) in read.iter().enumerate().skip(1) {
        let (lower, upper) = (n, n + 1);
        let is_ca = matches!(above.basic_constraints(), Ok(Some(of)) if of.value.ca);
        let signs = match above.key_usage() {
            Ok(None) => true,
            Ok(Some(usage)) => usage.value.key_cert_sign(),
            Err(_) => false,
        };
        if !is_ca || !signs {
            return refused(
                CERTIFICATE,
                format!(
                    "certificate {upper} is none that may vouch for certificate {lower} (it is no CA); send the chain of who \
                     issued it"
                ),
            );
        }
    }
    Ok(())
}

/// It is for servers, and for somebody.
fn serves(own: &X509Certificate<'_>, shown: &Shown) -> Result<(), Refused> {
    if shown.names.is_empty() {
        return refused(
            CERTIFICATE,
            "it names no host (subjectAltName), so that no browser takes it; have one issued for the name or address of the gateway",
        );
    }
    // one that cannot be read, or stands there twice, is as good as none
    let serves = match own.extended_key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.server_auth,
        Err(_) => false,
    };
    if !serves {
        return refused(
            CERTIFICATE,
            "it is not for servers (extended key usage without serverAuth); have one issued for TLS servers",
        );
    }
    let signs = match own.key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.digital_signature(),
        Err(_) => false,
    };
    if !signs {
        return refused(
            CERTIFICATE,
            "its key may not sign (key usage without digitalSignature), as TLS needs it; have one issued for TLS servers",
        );
    }
    Ok(())
}

fn in_time(chain: &[CertificateDer<'static>], now: Timestamp) -> Result<(), Refused> {
    for (n, shown) in chain.iter().filter_map(Shown::of).enumerate() {
        let (which, subject) = (n + 1, &shown.subject);
        if shown.not_after <= now {
            let text = format!(
                "certificate {which}, {subject}, ended at {}; have it renewed and send the new one",
                shown.not_after
            );
            return refused(CERTIFICATE, text);
        }
        if shown.not_before > now {
            let text = format!(
                "certificate {which}, {subject}, begins at {}, and it is {now}; send it then, or set the clock",
                shown.not_before
            );
            return refused(CERTIFICATE, text);
        }
    }
    Ok(())
}

/// Both as they are kept.
fn text(certificate: &str, key: &Secret) -> String {
    format!("{}\n{}\n", certificate.trim_end(), key.reveal().trim_end())
}

/// Keeps both, for this user alone.
///
/// # Errors
/// The state folder does not take it; then what was there is there.
pub(crate) fn keep(state_dir: &Path, certificate: &str, key: &Secret) -> io::Result<()> {
    let path = file(state_dir);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    super::put(&path, &text(certificate, key), 0o600)?;
    // the name is on the medium, too: a power cut must not bring the old certificate back
    path.parent()
        .map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
}

/// Removes it. False if there is none.
///
/// # Errors
/// It cannot be removed.
pub(crate) fn remove(state_dir: &Path) -> io::Result<bool> {
    match fs::remove_file(file(state_dir)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, ExtendedKeyUsagePurpose, IsCa,
        KeyPair, KeyUsagePurpose,
    };

    use super::*;

    struct Made {
        ca: String,
        cert: String,
        key: Secret,
        other: Secret,
    }

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Made {
        let mut of_ca = CertificateParams::new(vec![]).expect("names");
        of_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        of_ca
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Example CA");
        let ca = CertifiedIssuer::self_signed(of_ca, KeyPair::generate().expect("a key")).expect("signs");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["door.example".into()]).expect("names");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "door.example");
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2026, 4, 1));
        change(&mut params);
        let cert = params.signed_by(&key, &ca).expect("signs");
        Made {
            ca: ca.pem(),
            cert: cert.pem(),
            key: Secret::new(key.serialize_pem()),
            other: Secret::new(KeyPair::generate().expect("a key").serialize_pem()),
        }
    }

    fn in_march() -> Option<Timestamp> {
        "2026-03-01T00:00:00Z".parse().ok()
    }

    fn said(certificate: &str, key: &Secret, now: Option<Timestamp>) -> String {
        match check(certificate, key, now) {
            Ok(shown) => shown.names.join(" "),
            Err(refused) => format!("{}: {}", refused.part, refused.text),
        }
    }

    #[test]
    fn a_chain_with_its_key_is_taken_and_says_whom_it_is_for() {
        let made = made(|_| {});
        assert_eq!(said(&made.cert, &made.key, in_march()), "door.example");
        let chain = format!("{}{}", made.cert, made.ca);
        assert_eq!(said(&chain, &made.key, in_march()), "door.example");
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_what_to_do() {
        let good = made(|_| {});
        let other = made(|_| {});
        let nameless = made(|params| params.subject_alt_names.clear());
        let client = made(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
        let encrypted =
            Secret::new("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
        let reversed = format!("{}{}", good.ca, good.cert);
        let strange = format!("{}{}", good.cert, good.cert);
        let impostor = format!("{}{}", good.cert, other.ca);
        for (certificate, key, now, want) in [
            (
                "nonsense",
                &good.key,
                "2026-03-01",
                "certificate: there is no certificate in it",
            ),
            (
                good.key.reveal(),
                &good.key,
                "2026-03-01",
                "certificate: there is no certificate in it",
            ),
            (&good.cert, &encrypted, "2026-03-01", "key: it is encrypted"),
            (
                &good.cert,
                &Secret::new("x"),
                "2026-03-01",
                "key: there is no private key in it",
            ),
            (
                &good.cert,
                &good.other,
                "2026-03-01",
                "key: it is not the key of CN=door.example",
            ),
            (
                &reversed,
                &good.key,
                "2026-03-01",
                "certificate: the key belongs to certificate 2 in it",
            ),
            (
                &strange,
                &good.key,
                "2026-03-01",
                "certificate: certificate 1 was issued by CN=Example CA",
            ),
            (
                &impostor,
                &good.key,
                "2026-03-01",
                "certificate: certificate 1 is not signed by certificate 2",
            ),
            (
                &nameless.cert,
                &nameless.key,
                "2026-03-01",
                "certificate: it names no host",
            ),
            (
                &client.cert,
                &client.key,
                "2026-03-01",
                "certificate: it is not for servers",
            ),
            (
                &good.cert,
                &good.key,
                "2026-04-01",
                "certificate: certificate 1, CN=door.example, ended at 2026-04-01",
            ),
            (
                &good.cert,
                &good.key,
                "2025-12-31",
                "certificate: certificate 1, CN=door.example, begins at 2026-01-01",
            ),
        ] {
            let now = format!("{now}T00:00:00Z").parse().expect("a date");
            let text = said(certificate, key, Some(now));
            assert!(text.starts_with(want), "{text}\nwanted {want}");
        }
        // without a clock nobody knows the date
        assert_eq!(said(&good.cert, &good.key, None), "door.example");
    }

    #[test]
    fn what_no_client_or_server_would_take_is_refused_before_it_replaces_anything() {
        let strange = made(|params| {
            // an arc for examples (RFC 5612), and a value of one NULL
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32_473, 1], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        });
        let signs_only = made(|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
        let for_any = made(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]);
        for (made, want) in [
            (&strange, "certificate: it cannot be served ("),
            (&signs_only, "certificate: its key may not sign"),
            (&for_any, "certificate: it is not for servers"),
        ] {
            let text = said(&made.cert, &made.key, in_march());
            assert!(text.starts_with(want), "{text}\nwanted {want}");
        }
        let usual = made(|params| {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        assert_eq!(said(&usual.cert, &usual.key, in_march()), "door.example");
    }

    #[test]
    fn a_second_key_or_certificate_in_a_text_is_refused() {
        let good = made(|_| {});
        let (key, other) = (good.key.reveal(), good.other.reveal());
        for (certificate, key, want) in [
            (
                format!("{}{other}", good.cert),
                key.to_owned(),
                "certificate: there is a private key in it",
            ),
            (
                good.cert.clone(),
                format!("{key}{}", good.ca),
                "key: there is a certificate in it",
            ),
            (
                good.cert.clone(),
                format!("{key}{other}"),
                "key: there is more than one private key in it",
            ),
            (
                good.cert.clone(),
                "-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----\n".to_owned(),
                "key: the private key in it is damaged",
            ),
            (
                good.cert.clone(),
                format!("{key}-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----\n"),
                "key: something follows the private key that is damaged",
            ),
        ] {
            let text = said(&certificate, &Secret::new(key), in_march());
            assert!(text.starts_with(want), "{text}\nwanted {want}");
        }
    }

    #[test]
    fn a_chain_over_a_certificate_that_is_no_ca_is_refused() {
        let names = |name: &str| {
            let mut params = CertificateParams::new(vec![name.into()]).expect("names");
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params
        };
        let key = KeyPair::generate().expect("a key");
        for (usages, fits) in [
            (None, false),
            (Some(vec![KeyUsagePurpose::DigitalSignature]), false),
            (Some(vec![KeyUsagePurpose::KeyCertSign]), true),
        ] {
            let mut above = names("other.example");
            if let Some(usages) = usages {
                above.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                above.key_usages = usages;
            }
            let above = CertifiedIssuer::self_signed(above, KeyPair::generate().expect("a key"));
            let above = above.expect("signs");
            let cert = names("door.example").signed_by(&key, &above).expect("signs");
            let chain = format!("{}{}", cert.pem(), above.pem());
            let text = said(&chain, &Secret::new(key.serialize_pem()), None);
            if fits {
                assert_eq!(text, "door.example");
            } else {
                let want = "certificate: certificate 2 is none that may vouch for certificate 1";
                assert!(text.starts_with(want), "{text}");
            }
        }
    }

    #[test]
    fn it_is_kept_for_this_user_alone_and_can_be_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let made = made(|_| {});
        keep(dir.path(), &made.cert, &made.key).expect("kept");
        keep(dir.path(), &made.cert, &made.key).expect("kept once more");
        let mode = fs::metadata(file(dir.path()))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(remove(dir.path()).expect("removed"));
        assert!(!remove(dir.path()).expect("nothing is left"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_panic(certificate in "\\PC{0,200}", key in "\\PC{0,200}") {
            let _ = check(&certificate, &Secret::new(key), in_march());
            let wrapped = format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n");
            let _ = check(&wrapped, &Secret::new(String::new()), in_march());
        }
    }
}
