//! What browsers refuse of a certificate though a server could serve it: weak signatures, a CA in place of a server, staples
//! that must be there, and names that a CA above may not vouch for.

use std::net::IpAddr;

use x509_parser::extensions::{GeneralName, NameConstraints};
use x509_parser::prelude::X509Certificate;

/// Signatures over digests that can be forged, by their identifiers (RFC 3279 §2.2, RFC 4055 §5).
const WEAK: [(&str, &str); 6] = [
    ("1.2.840.113549.1.1.2", "MD2"),
    ("1.2.840.113549.1.1.4", "MD5"),
    ("1.2.840.113549.1.1.5", "SHA-1"),
    ("1.3.14.3.2.29", "SHA-1"),
    ("1.2.840.10040.4.3", "SHA-1"),
    ("1.2.840.10045.4.1", "SHA-1"),
];
/// TLS feature, of which the status request is the one in use (RFC 7633 §4).
const FEATURE: &str = "1.3.6.1.5.5.7.1.24";

/// Why a chain would be refused, and what to do; `names` are those of the first certificate.
pub(super) fn refuse(read: &[X509Certificate<'_>], names: &[String]) -> Option<String> {
    weak(read)
        .or_else(|| own(read.first()?))
        .or_else(|| constrained(read, names))
}

/// A root at the end is trusted as it is, whatever it is signed with.
fn weak(read: &[X509Certificate<'_>]) -> Option<String> {
    read.iter().enumerate().find_map(|(n, certificate)| {
        let is_root = n > 0 && certificate.issuer().as_raw() == certificate.subject().as_raw();
        let id = certificate.signature_algorithm.algorithm.to_id_string();
        let (_, digest) = WEAK.iter().find(|(weak, _)| *weak == id && !is_root)?;
        Some(format!(
            "certificate {} is signed over {digest}, which no browser takes any more; have it issued anew with SHA-256",
            n + 1
        ))
    })
}

fn own(own: &X509Certificate<'_>) -> Option<String> {
    if matches!(own.basic_constraints(), Ok(Some(of)) if of.value.ca) {
        return Some(
            "it is that of a CA (basicConstraints CA:TRUE), which some browsers take for no server; have one issued by it, or \
             make one with CA:FALSE"
                .to_owned(),
        );
    }
    let id = |extension: &x509_parser::extensions::X509Extension<'_>| extension.oid.to_id_string();
    if own.extensions().iter().any(|extension| id(extension) == FEATURE) {
        return Some(
            "it asks for a stapled answer of its CA with each connection (must-staple, RFC 7633), which is not given here; have \
             it issued without"
                .to_owned(),
        );
    }
    // only a CA limits others (RFC 5280 §4.2.1.10)
    (!matches!(own.name_constraints(), Ok(None))).then(|| {
        "it has name constraints, which belong into the certificate of a CA; have it issued without"
            .to_owned()
    })
}

/// Names that somebody above may not vouch for (RFC 5280 §4.2.1.10).
fn constrained(read: &[X509Certificate<'_>], names: &[String]) -> Option<String> {
    read.iter().enumerate().skip(1).find_map(|(n, above)| {
        let limits = match above.name_constraints() {
            Ok(None) => return None,
            Ok(Some(limits)) => limits.value,
            Err(_) => {
                return Some(format!(
                    "the name constraints of certificate {} cannot be read; send the chain of who issued it",
                    n + 1
                ));
            }
        };
        let name = names.iter().find(|name| !allowed(limits, name))?;
        Some(format!(
            "certificate {} may not vouch for {name} (name constraints); have it issued by a CA that may, or for another name",
            n + 1
        ))
    })
}

fn allowed(limits: &NameConstraints<'_>, name: &str) -> bool {
    let within = |base: &GeneralName<'_>| is_within(name, base);
    let excluded = limits.excluded_subtrees.iter().flatten();
    if excluded.into_iter().any(|tree| within(&tree.base) == Some(true)) {
        return false;
    }
    // those of other kinds limit other names
    let permitted = limits.permitted_subtrees.iter().flatten();
    let same_kind: Vec<bool> = permitted.filter_map(|tree| within(&tree.base)).collect();
    same_kind.is_empty() || same_kind.contains(&true)
}

/// Is a host name or address in this tree? `None` if the tree is of another kind.
fn is_within(name: &str, base: &GeneralName<'_>) -> Option<bool> {
    let address: Option<IpAddr> = name.parse().ok();
    match (base, address) {
        (GeneralName::DNSName(base), None) => {
            let base = base.trim_start_matches('.').to_ascii_lowercase();
            let name = name.trim_start_matches("*.").to_ascii_lowercase();
            let below = name
                .strip_suffix(&base)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            Some(base.is_empty() || below)
        }
        (GeneralName::IPAddress(base), Some(address)) => {
            let octets = match address {
                IpAddr::V4(four) => four.octets().to_vec(),
                IpAddr::V6(sixteen) => sixteen.octets().to_vec(),
            };
            // address and mask
            if base.len() != octets.len() * 2 {
                return None;
            }
            let (net, mask) = base.split_at(octets.len());
            let mut parts = octets.iter().zip(net).zip(mask);
            Some(parts.all(|((own, net), mask)| own & mask == net & mask))
        }
        (
            GeneralName::DNSName(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::Invalid(..)
            | GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::URI(_)
            | GeneralName::X400Address(_),
            _,
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, CustomExtension, GeneralSubtree,
        IsCa, KeyPair,
    };
    use x509_parser::prelude::FromDer as _;

    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    /// What is said of a certificate for these names, issued by a CA with such limits.
    fn said(
        of: &[&str],
        limits: Option<rcgen::NameConstraints>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> String {
        let mut above = CertificateParams::new(vec![]).expect("names");
        above.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        above.name_constraints = limits;
        let above = CertifiedIssuer::self_signed(above, KeyPair::generate().expect("a key")).expect("signs");
        let mut params = CertificateParams::new(names(of)).expect("names");
        change(&mut params);
        let own = params
            .signed_by(&KeyPair::generate().expect("a key"), &above)
            .expect("signs");
        let (_, own) = X509Certificate::from_der(own.der()).expect("reads");
        let (_, above) = X509Certificate::from_der(above.der()).expect("reads");
        refuse(&[own, above], &names(of)).unwrap_or_default()
    }

    #[test]
    fn a_plain_certificate_is_taken() {
        assert_eq!(said(&["door.example"], None, |_| {}), "");
    }

    #[test]
    fn a_ca_a_staple_and_limits_of_its_own_are_no_servers() {
        let ca = said(&["door.example"], None, |of| {
            of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)
        });
        assert!(ca.contains("CA:TRUE"), "{ca}");
        let staple = said(&["door.example"], None, |of| {
            // a sequence of the number of status_request
            let feature =
                CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 24], vec![48, 3, 2, 1, 5]);
            of.custom_extensions.push(feature);
        });
        assert!(staple.contains("must-staple"), "{staple}");
        let limits = said(&["door.example"], None, |of| {
            // permitted: example
            let value = [&[48, 13, 160, 11, 48, 9, 130, 7][..], b"example"].concat();
            of.custom_extensions
                .push(CustomExtension::from_oid_content(&[2, 5, 29, 30], value));
        });
        assert!(limits.contains("belong into the certificate of a CA"), "{limits}");
    }

    #[test]
    fn names_that_the_ca_may_not_vouch_for_are_named() {
        let limits = |permitted: Vec<GeneralSubtree>, excluded: Vec<GeneralSubtree>| {
            Some(rcgen::NameConstraints {
                excluded_subtrees: excluded,
                permitted_subtrees: permitted,
            })
        };
        let dns = |name: &str| GeneralSubtree::DnsName(name.to_owned());
        let net = || GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([192, 0, 2, 0], 24));
        for (of, permitted, excluded, bad) in [
            (&["door.example"][..], vec![dns("example")], vec![], ""),
            (&["door.example"], vec![dns("other")], vec![], "door.example"),
            (
                &["backdoor.example"],
                vec![dns("door.example")],
                vec![],
                "backdoor.example",
            ),
            (
                &["a.door.example", "*.door.example"],
                vec![dns(".door.example")],
                vec![],
                "",
            ),
            (&["door.example"], vec![], vec![dns("example")], "door.example"),
            (&["door.example"], vec![net()], vec![], ""),
            (&["192.0.2.7"], vec![net()], vec![], ""),
            (&["door.example", "192.0.3.7"], vec![net()], vec![], "192.0.3.7"),
            (&["192.0.2.7"], vec![], vec![net()], "192.0.2.7"),
        ] {
            let text = said(of, limits(permitted, excluded), |_| {});
            assert_eq!(text.is_empty(), bad.is_empty(), "{of:?}: {text}");
            assert!(text.contains(bad), "{of:?}: {text}");
        }
    }

    #[test]
    fn a_signature_over_sha_1_is_refused_but_for_a_root() {
        let own = CertificateParams::new(names(&["door.example"])).expect("names");
        let own = own
            .self_signed(&KeyPair::generate().expect("a key"))
            .expect("signs");
        let (_, good) = X509Certificate::from_der(own.der()).expect("reads");
        let (_, mut weak_one) = X509Certificate::from_der(own.der()).expect("reads");
        assert_eq!(weak(&[good.clone(), good.clone()]), None);
        for (id, digest) in WEAK {
            let parts: Vec<u64> = id
                .split('.')
                .map(|part| part.parse().expect("a number"))
                .collect();
            weak_one.signature_algorithm.algorithm =
                x509_parser::der_parser::oid::Oid::from(&parts).expect("an identifier");
            let text = weak(std::slice::from_ref(&weak_one)).expect("refused");
            assert!(
                text.contains(digest) && text.starts_with("certificate 1 "),
                "{text}"
            );
            // it has its own name above itself, as a root has
            assert_eq!(weak(&[good.clone(), weak_one.clone()]), None);
        }
    }
}
