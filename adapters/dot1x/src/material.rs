//! Certificates and keys, looked at before anybody needs them: the supplicant says the same few words for a wrong
//! passphrase, an expired certificate and an unknown user, so each of them is told apart here.
//!
//! Parts have the names of their keys in the site file. What is encrypted is opened by the program `openssl`.

use gateway_core::{Secret, Timestamp};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::kin;
use crate::openssl::{self, OpenError};
use crate::params::{Bytes, ClientIdentity, ServerCheck};
use crate::pem;

/// A certificate with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// When it ends.
    pub not_after: Timestamp,
    /// When it begins.
    pub not_before: Timestamp,
    /// Key of the site file it came from.
    pub part: &'static str,
    /// Its subject.
    pub subject: String,
}

/// What is wrong with a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {text}")]
pub struct MaterialError {
    /// What to do.
    pub hint: String,
    /// Key of the site file.
    pub part: &'static str,
    /// What was found.
    pub text: String,
}

/// What can be checked.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// Certificate and key, if the method needs them.
    pub client: Option<&'a ClientIdentity>,
    /// CA certificates.
    pub server: &'a ServerCheck,
}

/// What was found good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The certificates, for the watch over their ends.
    pub certificates: Vec<Named>,
    /// What could not be checked, and why: part and text.
    pub unchecked: Vec<(&'static str, String)>,
}

pub(crate) const CA: &str = "ca-file";
pub(crate) const CERT: &str = "client-cert-file";
const KEY: &str = "client-key-file";
const P12: &str = "client-p12-file";
const PASSPHRASE: &str = "client-passphrase-file";

fn error(part: &'static str, text: impl Into<String>, hint: impl Into<String>) -> MaterialError {
    MaterialError {
        hint: hint.into(),
        part,
        text: text.into(),
    }
}

/// Checks everything that needs no clock: certificates can be read, follow each other in their chain; the passphrase
/// opens the key; the key belongs to the certificate. Their dates are for [`in_time`].
///
/// # Errors
/// The first part that is wrong.
pub fn check(material: Material<'_>) -> Result<Chain, MaterialError> {
    let mut chain = Chain::default();
    if let ServerCheck::Verify { ca, .. } = material.server {
        let ders = certificates(CA, ca.reveal())?;
        let read = parse(CA, &ders)?;
        if !read.iter().any(|certificate| certificate.is_ca()) {
            return Err(error(
                CA,
                format!("{} is not a CA certificate", subject(&read[0])),
                "allowed: the certificate of the CA that issued the server's certificate",
            ));
        }
        // the supplicant follows the chain to its end, and trusts no other than that
        if !read
            .iter()
            .any(|certificate| certificate.subject() == certificate.issuer())
        {
            return Err(error(
                CA,
                format!(
                    "{} was issued by {}, which is not there",
                    subject(&read[0]),
                    read[0].issuer()
                ),
                "allowed: certificates of CAs up to a self-signed one; put that one into the same file",
            ));
        }
        for certificate in &read {
            chain.certificates.push(name(CA, certificate)?);
        }
    }
    match material.client {
        Some(ClientIdentity::Pem {
            cert,
            key,
            passphrase,
        }) => {
            let ders = certificates(CERT, cert.reveal())?;
            own_chain(CERT, &ders, &mut chain)?;
            match private_key(key, passphrase.as_ref())? {
                Ok(key) => pair(CERT, KEY, &ders[0], &key, &mut chain)?,
                Err(why) => chain.unchecked.push((KEY, why)),
            }
        }
        Some(ClientIdentity::Pkcs12 { file, passphrase }) => pkcs12(file, passphrase.as_ref(), &mut chain)?,
        None => {}
    }
    Ok(chain)
}

/// Judges the dates of what [`check`] found, by a clock that can be believed.
///
/// # Errors
/// The first certificate that has ended or is not valid yet. Of several CAs one that is valid will do: an old one beside
/// the new one is usual.
pub fn in_time(certificates: &[Named], now: Timestamp) -> Result<(), MaterialError> {
    let (cas, own): (Vec<&Named>, Vec<&Named>) = certificates.iter().partition(|named| named.part == CA);
    if let Some(first) = cas.first()
        && cas.iter().all(|ca| is_outside(ca, now))
    {
        return Err(date_error(first, now));
    }
    match own.into_iter().find(|named| is_outside(named, now)) {
        Some(named) => Err(date_error(named, now)),
        None => Ok(()),
    }
}

fn certificates(part: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    pem::certificates(pem).map_err(|wrong| error(part, wrong.text, wrong.hint))
}

fn parse<'a>(
    part: &'static str,
    ders: &'a [CertificateDer<'static>],
) -> Result<Vec<X509Certificate<'a>>, MaterialError> {
    let read = |(n, der): (usize, &'a CertificateDer<'static>)| match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(error(
            part,
            format!("certificate {} in it is not X.509", n + 1),
            "write the file anew; it may be cut",
        )),
    };
    ders.iter().enumerate().map(read).collect()
}

/// The subject in words, without control characters and not longer than a line.
fn subject(certificate: &X509Certificate<'_>) -> String {
    let text = certificate.subject().to_string();
    let text: String = text.chars().filter(|c| !c.is_control()).take(120).collect();
    if text.is_empty() {
        "a certificate without subject".to_owned()
    } else {
        text
    }
}

fn name(part: &'static str, certificate: &X509Certificate<'_>) -> Result<Named, MaterialError> {
    let date = |seconds| {
        Timestamp::from_second(seconds)
            .map_err(|_| error(part, "has a date that does not exist", "write the file anew"))
    };
    Ok(Named {
        not_after: date(certificate.validity().not_after.timestamp())?,
        not_before: date(certificate.validity().not_before.timestamp())?,
        part,
        subject: subject(certificate),
    })
}

fn is_outside(named: &Named, now: Timestamp) -> bool {
    now > named.not_after || now < named.not_before
}

fn date_error(named: &Named, now: Timestamp) -> MaterialError {
    let Named {
        not_after,
        not_before,
        part,
        subject,
    } = named;
    if now < *not_before {
        error(
            part,
            format!("the certificate of {subject} is not valid before {not_before}"),
            format!("wait, or set the clock of this machine, which shows {now}"),
        )
    } else {
        error(
            part,
            format!("the certificate of {subject} ended at {not_after}"),
            format!("renew it; if it is good, set the clock of this machine, which shows {now}"),
        )
    }
}

/// The gateway's own certificate and those that lead from it to its CA.
pub(crate) fn own_chain(
    part: &'static str,
    ders: &[CertificateDer<'static>],
    chain: &mut Chain,
) -> Result<(), MaterialError> {
    let read = parse(part, ders)?;
    for certificate in &read {
        chain.certificates.push(name(part, certificate)?);
    }
    let own = &read[0];
    // RFC 5216 §5.3: where the usage is named, it must be TLS client authentication
    if let Ok(Some(usage)) = own.extended_key_usage()
        && !usage.value.client_auth
        && !usage.value.any
    {
        return Err(error(
            part,
            format!("the certificate of {} is not meant for TLS clients", subject(own)),
            "allowed: one whose extended key usage holds clientAuth",
        ));
    }
    for two in read.windows(2) {
        let (below, above) = (&two[0], &two[1]);
        let issued = if below.issuer() == above.subject() {
            kin::issued(below, above)
        } else {
            Ok(false)
        };
        match issued {
            Ok(true) => {}
            Ok(false) => {
                return Err(error(
                    part,
                    format!(
                        "the certificate of {} was not issued by {}, which follows it",
                        subject(below),
                        subject(above)
                    ),
                    "order: own certificate, then its issuer, then the issuer's issuer",
                ));
            }
            Err(why) => chain.unchecked.push((part, why)),
        }
    }
    Ok(())
}

/// True for a key that says that it is encrypted (RFC 7468 §11, or the older form of OpenSSL).
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

type Opened<T> = Result<Result<T, String>, MaterialError>;

fn private_key(pem: &Bytes, passphrase: Option<&Secret>) -> Opened<PrivateKeyDer<'static>> {
    if !is_encrypted(pem.reveal()) {
        return plain_key(KEY, pem.reveal()).map(Ok);
    }
    let Some(passphrase) = passphrase else {
        return Err(error(
            PASSPHRASE,
            "is missing: the key of client-key-file is encrypted",
            "add client-passphrase-file",
        ));
    };
    match openssl::open_key(pem, passphrase) {
        Ok(pem) => plain_key(KEY, pem.reveal()).map(Ok),
        Err(OpenError::Passphrase) => Err(error(
            PASSPHRASE,
            "does not open the key of client-key-file",
            "write the right passphrase into its first line",
        )),
        Err(OpenError::Legacy) => Err(error(
            KEY,
            "is encrypted by a cipher of old, such as DES, that programs of today refuse",
            "encrypt it anew: openssl pkcs8 -topk8 -provider legacy -provider default -in OLD -out NEW",
        )),
        Err(OpenError::Malformed) => Err(error(
            KEY,
            // a wrong passphrase passes for right once in 256 times: nothing but the padding tells (RFC 8018 §6.1.2)
            "is no private key that can be read; it may be cut or damaged, or its passphrase be another one",
            "write the file anew, whole and as it was, and look at client-passphrase-file",
        )),
        Err(OpenError::NoProgram(why)) => Ok(Err(why)),
    }
}

fn plain_key(part: &'static str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, MaterialError> {
    pem::key(pem).map_err(|wrong| error(part, wrong.text, wrong.hint))
}

/// Does the key belong to the certificate?
fn pair(
    cert_part: &'static str,
    key_part: &'static str,
    der: &CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
    chain: &mut Chain,
) -> Result<(), MaterialError> {
    let read = parse(cert_part, std::slice::from_ref(der))?;
    match kin::public_half(key) {
        Ok(public) if public == read[0].public_key().raw => {}
        Ok(_) => {
            return Err(error(
                key_part,
                format!(
                    "the key does not belong to the certificate of {}",
                    subject(&read[0])
                ),
                format!("allowed: the key that {cert_part} was made with"),
            ));
        }
        Err(why) => chain.unchecked.push((key_part, why)),
    }
    Ok(())
}

fn pkcs12(file: &Bytes, passphrase: Option<&Secret>, chain: &mut Chain) -> Result<(), MaterialError> {
    let none = Secret::default();
    let pem = match openssl::open_pkcs12(file, passphrase.unwrap_or(&none)) {
        Ok(pem) => pem,
        Err(OpenError::Passphrase) => {
            let text = if passphrase.is_some() {
                "does not open client-p12-file"
            } else {
                "is missing: client-p12-file has a passphrase"
            };
            return Err(error(
                PASSPHRASE,
                text,
                "write the right passphrase into the first line of a file for it",
            ));
        }
        Err(OpenError::Legacy) => {
            return Err(error(
                P12,
                "is encrypted by a cipher that openssl of this machine does not know",
                "export it anew, with AES: openssl pkcs12 -export",
            ));
        }
        Err(OpenError::Malformed) => {
            return Err(error(
                P12,
                "is not PKCS#12; it may be cut or damaged",
                "allowed: a .p12 or .pfx file, whole and as it was",
            ));
        }
        Err(OpenError::NoProgram(why)) => {
            chain.unchecked.push((P12, why));
            return Ok(());
        }
    };
    let key = plain_key(P12, pem.reveal())?;
    let ders = certificates(P12, pem.reveal())?;
    let own = match kin::public_half(&key) {
        Ok(public) => {
            let read = parse(P12, &ders)?;
            let at = read.iter().position(|c| c.public_key().raw == public);
            at.ok_or_else(|| {
                error(
                    P12,
                    "holds no certificate of its key",
                    "allowed: key and certificate of this gateway together",
                )
            })?
        }
        Err(why) => {
            chain.unchecked.push((P12, why));
            0
        }
    };
    let read = parse(P12, &ders)?;
    let chain_of_own = ordered(own, &read);
    let ders: Vec<_> = chain_of_own.into_iter().map(|at| ders[at].clone()).collect();
    own_chain(P12, &ders, chain)
}

/// The places of a certificate and of those that issued it, one after the other; a container has no order.
fn ordered(own: usize, read: &[X509Certificate<'_>]) -> Vec<usize> {
    let mut found = vec![own];
    while let Some(last) = found.last().copied() {
        let issuer = read[last].issuer();
        let next = (0..read.len()).find(|at| !found.contains(at) && read[*at].subject() == issuer);
        match next.filter(|_| read[last].subject() != issuer) {
            Some(next) => found.push(next),
            None => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        date_time_ymd,
    };

    use super::*;

    const DAY: i64 = 86_400;

    fn at(year: i64) -> Timestamp {
        Timestamp::from_second((year - 1970) * 365 * DAY + 20 * DAY).expect("a date")
    }

    /// A CA and a client certificate of it, 2024 to 2030.
    struct Pki {
        ca: String,
        cert: String,
        key: String,
    }

    fn pki(usage: ExtendedKeyUsagePurpose) -> Pki {
        let dated = |params: &mut CertificateParams, name: &str| {
            (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2030, 1, 1));
            params.distinguished_name.push(DnType::CommonName, name);
        };
        let mut params = CertificateParams::new(vec![]).expect("fits");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        dated(&mut params, "CA");
        let ca_key = KeyPair::generate().expect("a key");
        let ca = params.self_signed(&ca_key).expect("signed").pem();
        let issuer = Issuer::new(params, ca_key);
        let mut params = CertificateParams::new(vec![]).expect("fits");
        dated(&mut params, "gateway");
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &issuer).expect("signed").pem();
        Pki {
            ca,
            cert,
            key: key.serialize_pem(),
        }
    }

    /// A CA that is nobody's, and one that it made.
    fn root_and_intermediate() -> (String, String) {
        let ca = |name: &str| {
            let mut params = CertificateParams::new(vec![]).expect("fits");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            (params, KeyPair::generate().expect("a key"))
        };
        let (root, root_key) = ca("root");
        let (below, below_key) = ca("below");
        let text = root.self_signed(&root_key).expect("signed").pem();
        let issuer = Issuer::new(root, root_key);
        (text, below.signed_by(&below_key, &issuer).expect("signed").pem())
    }

    #[test]
    fn an_intermediate_ca_alone_is_no_ground_for_trust() {
        let (root, below) = root_and_intermediate();
        let found = |ca: &str| {
            let server = ServerCheck::Verify {
                ca: bytes(ca),
                names: vec!["a.b".into()],
            };
            check(Material {
                client: None,
                server: &server,
            })
            .map_err(|error| (error.part, error.text))
        };
        let (part, text) = found(&below).expect_err("no root");
        assert!(
            part == CA && text.contains("CN=root, which is not there"),
            "{text}"
        );
        assert!(found(&format!("{below}{root}")).is_ok());
        assert!(found(&root).is_ok());
    }

    fn bytes(text: &str) -> Bytes {
        Bytes::new(text.as_bytes().to_vec())
    }

    /// Part of the error, or nothing.
    fn judged(ca: &str, cert: &str, key: &str, now: Timestamp) -> Option<&'static str> {
        let server = ServerCheck::Verify {
            ca: bytes(ca),
            names: vec!["a.b".into()],
        };
        let client = ClientIdentity::Pem {
            cert: bytes(cert),
            key: bytes(key),
            passphrase: None,
        };
        let material = Material {
            client: Some(&client),
            server: &server,
        };
        let judged = check(material).and_then(|chain| in_time(&chain.certificates, now));
        judged.err().map(|error| error.part)
    }

    #[test]
    fn each_part_that_is_wrong_is_named() {
        let good = pki(ExtendedKeyUsagePurpose::ClientAuth);
        let other = pki(ExtendedKeyUsagePurpose::ClientAuth);
        let server = pki(ExtendedKeyUsagePurpose::ServerAuth);
        let now = at(2026);
        assert_eq!(judged(&good.ca, &good.cert, &good.key, now), None);
        assert_eq!(judged("", &good.cert, &good.key, now), Some(CA));
        assert_eq!(
            judged(&good.cert, &good.cert, &good.key, now),
            Some(CA),
            "not a CA"
        );
        assert_eq!(judged(&good.ca, &good.key, &good.key, now), Some(CERT));
        assert_eq!(judged(&good.ca, &good.cert, &good.cert, now), Some(KEY));
        assert_eq!(
            judged(&good.ca, &good.cert, &other.key, now),
            Some(KEY),
            "another key"
        );
        assert_eq!(
            judged(&server.ca, &server.cert, &server.key, now),
            Some(CERT),
            "for servers"
        );
        assert_eq!(
            judged(&good.ca, &good.cert, &good.key, at(2031)),
            Some(CA),
            "all ended"
        );
        let chain = format!("{}{}", good.cert, good.ca);
        assert_eq!(judged(&good.ca, &chain, &good.key, now), None);
        let torn = format!("{}{}", good.cert, other.ca);
        assert_eq!(
            judged(&good.ca, &torn, &good.key, now),
            Some(CERT),
            "the chain is torn"
        );
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(
            judged(&good.ca, &good.cert, encrypted, now),
            Some(PASSPHRASE),
            "none is given"
        );
    }

    #[test]
    fn dates_are_judged_by_themselves_and_ends_are_told_for_the_watch() {
        let good = pki(ExtendedKeyUsagePurpose::ClientAuth);
        let client = ClientIdentity::Pem {
            cert: bytes(&good.cert),
            key: bytes(&good.key),
            passphrase: None,
        };
        let server = ServerCheck::Verify {
            ca: bytes(&good.ca),
            names: vec![],
        };
        let material = Material {
            client: Some(&client),
            server: &server,
        };
        let chain = check(material).expect("good");
        let parts: Vec<_> = chain.certificates.iter().map(|named| named.part).collect();
        assert_eq!(parts, [CA, CERT]);
        assert!(chain.certificates[1].subject.contains("gateway"));
        assert_eq!(chain.unchecked, []);
        for (year, wrong) in [(2020, true), (2026, false), (2031, true)] {
            assert_eq!(in_time(&chain.certificates, at(year)).is_err(), wrong, "{year}");
        }
        // an old CA beside one that is valid
        let mut old = chain.certificates[0].clone();
        old.not_after = at(2025);
        let both = [old.clone(), chain.certificates[0].clone()];
        assert_eq!(in_time(&both, at(2026)), Ok(()));
        let error = in_time(&[old, chain.certificates[1].clone()], at(2026)).expect_err("it has ended");
        assert_eq!(error.part, CA);
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(ca in any::<Vec<u8>>(), der in any::<Vec<u8>>()) {
            let server = ServerCheck::Verify { ca: Bytes::new(ca), names: vec![] };
            let _ = check(Material { client: None, server: &server });
            let ders = [CertificateDer::from(der)];
            if let Ok(read) = parse(CERT, &ders) {
                let _ = name(CERT, &read[0]);
            }
            let _ = own_chain(CERT, &ders, &mut Chain::default());
        }
    }
}
