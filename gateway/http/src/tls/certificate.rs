//! What a certificate says: whom it is for, until when, and who vouches for it.

use std::net::IpAddr;

use gateway_core::Timestamp;
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Names of a certificate that are read.
const NAMES: usize = 100;

/// What is shown of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// SHA-256 as a browser shows it.
    pub fingerprint: String,
    /// Who vouches for it.
    pub issuer: String,
    /// Host names and addresses that it is for; `*.` at the begin of one stands for one label.
    pub names: Vec<String>,
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// Whose it is.
    pub subject: String,
}

impl Shown {
    /// Reads it; `None` if it is no X.509 certificate.
    pub(crate) fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        let date = |at: x509_parser::time::ASN1Time| Timestamp::from_second(at.timestamp()).ok();
        rest.is_empty().then_some(())?;
        Some(Self {
            fingerprint: fingerprint(der),
            issuer: line(&certificate.issuer().to_string()),
            names: names(&certificate),
            not_before: date(certificate.validity().not_before)?,
            not_after: date(certificate.validity().not_after)?,
            subject: line(&certificate.subject().to_string()),
        })
    }

    /// Is it for this host name or address (RFC 9525 §6.3)?
    pub(crate) fn covers(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.names.iter().any(|name| name.parse() == Ok(address));
        }
        let host = host.trim_end_matches('.');
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(domain) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain)),
            None => name.eq_ignore_ascii_case(host),
        })
    }
}

/// A text without control characters, and not longer than a line.
fn line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let all = alternative.iter().flat_map(|of| &of.value.general_names);
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(line(name)),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let sixteen = || <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            four.or_else(|_| sixteen()).ok().map(|ip| ip.to_string())
        }
        GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::Invalid(..)
        | GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::URI(_)
        | GeneralName::X400Address(_) => None,
    };
    all.filter_map(name).take(NAMES).collect()
}

fn fingerprint(der: &CertificateDer<'_>) -> String {
    let pairs: Vec<_> = Sha256::digest(der).iter().map(|b| format!("{b:02X}")).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> Shown {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let pair = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(names).expect("names");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "door.example");
        let made = params.self_signed(&pair).expect("signs");
        Shown::of(made.der()).expect("reads")
    }

    #[test]
    fn a_certificate_tells_its_names_and_dates() {
        let shown = made(&["door.example", "*.gate.example", "192.0.2.7", "2001:db8::7"]);
        assert_eq!(
            shown.names,
            ["door.example", "*.gate.example", "192.0.2.7", "2001:db8::7"]
        );
        assert_eq!(shown.not_before.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(shown.not_after.to_string(), "2026-04-01T00:00:00Z");
        assert!(shown.subject.contains("CN=door.example"), "{}", shown.subject);
        assert_eq!(shown.fingerprint.len(), 32 * 3 - 1);
        assert_eq!(Shown::of(&CertificateDer::from(vec![0x30, 0])), None);
    }

    #[test]
    fn a_star_stands_for_one_label_and_no_address_is_a_name() {
        let shown = made(&["Door.example", "*.gate.example", "192.0.2.7"]);
        for (host, want) in [
            ("door.EXAMPLE", true),
            ("door.example.", true),
            ("a.gate.example", true),
            ("gate.example", false),
            ("a.b.gate.example", false),
            (".gate.example", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("other.example", false),
        ] {
            assert_eq!(shown.covers(host), want, "{host}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let _ = Shown::of(&CertificateDer::from(bytes));
        }

        #[test]
        fn no_flipped_bit_makes_a_panic(at in 0_usize..4000, bit in 0_u8..8) {
            let pair = rcgen::KeyPair::generate().expect("a key");
            let made = rcgen::CertificateParams::new(vec!["a.example".into()]).expect("names");
            let mut bytes = made.self_signed(&pair).expect("signs").der().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Some(shown) = Shown::of(&CertificateDer::from(bytes)) {
                let _ = shown.covers("a.example");
            }
        }
    }
}
