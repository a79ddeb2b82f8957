//! What belongs together: a key and its certificate, a certificate and its issuer. Judged by ring where it knows the kind
//! of key, else by the program `openssl`, so that P-521, Ed448 and small RSA keys of old CAs are told apart, too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use x509_parser::prelude::{X509Certificate, X509Error};

use crate::openssl::{self, OpenError};
use crate::params::Bytes;

/// The public half of a key (`SubjectPublicKeyInfo` of RFC 5280 §4.1, DER).
///
/// # Errors
/// Why it cannot be told here.
pub(crate) fn public_half(key: &PrivateKeyDer<'_>) -> Result<Vec<u8>, String> {
    let known = rustls::crypto::ring::sign::any_supported_type(key).ok();
    if let Some(public) = known.and_then(|key| Some(key.public_key()?.as_ref().to_vec())) {
        return Ok(public);
    }
    openssl::public_half(&Bytes::new(key.secret_der().to_vec())).map_err(|why| match why {
        OpenError::NoProgram(why) => why,
        OpenError::Legacy | OpenError::Malformed | OpenError::Passphrase => {
            "the key is of a kind that cannot be compared here; wpa_supplicant may still know it".to_owned()
        }
    })
}

/// Was `below` issued by `above`, by its signature? Names are compared by the caller.
///
/// # Errors
/// Why it cannot be told here.
pub(crate) fn issued(below: &X509Certificate<'_>, above: &X509Certificate<'_>) -> Result<bool, String> {
    match below.verify_signature(Some(above.public_key())) {
        Ok(()) => Ok(true),
        Err(X509Error::SignatureUnsupportedAlgorithm) => openssl::issued(&pem(below), &pem(above)),
        // wrong, or by a key that is too short for ring
        Err(_) => Ok(openssl::issued(&pem(below), &pem(above)).unwrap_or(false)),
    }
}

/// Every version of `openssl` reads PEM (RFC 7468 §5).
fn pem(certificate: &X509Certificate<'_>) -> Bytes {
    let text = STANDARD.encode(certificate.as_raw());
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    let text = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    );
    Bytes::new(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use gateway_core::Secret;

    use crate::material::{Chain, Material, MaterialError, check};
    use crate::params::{Bytes, ClientIdentity, ServerCheck};

    /// Runs `openssl` in a folder.
    fn openssl(dir: &Path, line: &str) {
        let mut command = Command::new("openssl");
        let output = command.args(line.split_whitespace()).current_dir(dir).output();
        let output = output.expect("the package openssl is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {line}: {said}");
    }

    fn bytes(dir: &Path, name: &str) -> Bytes {
        Bytes::new(std::fs::read(dir.join(name)).expect("it was made"))
    }

    fn judged(client: &ClientIdentity) -> Result<Chain, MaterialError> {
        let material = Material {
            client: Some(client),
            server: &ServerCheck::AnyServer,
        };
        check(material)
    }

    fn pem(dir: &Path, cert: &str, key: &str) -> ClientIdentity {
        ClientIdentity::Pem {
            cert: bytes(dir, cert),
            key: bytes(dir, key),
            passphrase: None,
        }
    }

    /// Every kind that OpenSSL, and with it wpa_supplicant, takes for TLS.
    const KINDS: [&str; 7] = [
        "EC -pkeyopt ec_paramgen_curve:P-256",
        "EC -pkeyopt ec_paramgen_curve:P-384",
        "EC -pkeyopt ec_paramgen_curve:P-521",
        "ED25519",
        "ED448",
        "RSA -pkeyopt rsa_keygen_bits:1024",
        "RSA -pkeyopt rsa_keygen_bits:2048",
    ];

    #[test]
    fn a_key_of_any_kind_is_told_from_another_one_of_its_kind() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        for kind in KINDS {
            for name in ["ours", "other"] {
                openssl(dir, &format!("genpkey -algorithm {kind} -out {name}.key"));
            }
            openssl(
                dir,
                "req -x509 -new -key ours.key -subj /CN=gateway -days 30 -out ours.pem",
            );
            let chain =
                judged(&pem(dir, "ours.pem", "ours.key")).unwrap_or_else(|why| panic!("{kind}: {why}"));
            assert_eq!(chain.unchecked, [], "{kind}");
            let why = judged(&pem(dir, "ours.pem", "other.key")).expect_err(kind);
            assert_eq!(why.part, "client-key-file", "{kind}");
            assert!(
                why.text
                    .contains("does not belong to the certificate of CN=gateway"),
                "{kind}: {why}"
            );

            openssl(
                dir,
                "pkcs12 -export -inkey ours.key -in ours.pem -passout pass:word -out ours.p12",
            );
            let client = ClientIdentity::Pkcs12 {
                file: bytes(dir, "ours.p12"),
                passphrase: Some(Secret::new("word".to_owned())),
            };
            let chain = judged(&client).unwrap_or_else(|why| panic!("{kind}: {why}"));
            assert_eq!((chain.unchecked, chain.certificates.len()), (vec![], 1), "{kind}");
        }
        // SEC1 (RFC 5915), with and without the public half that the key may carry
        for (curve, more) in [("P-384", ""), ("P-521", ""), ("P-521", "-no_public")] {
            openssl(
                dir,
                &format!("ecparam -name {} -genkey -noout -out sec1.key", curve_name(curve)),
            );
            openssl(
                dir,
                "req -x509 -new -key sec1.key -subj /CN=gateway -days 30 -out sec1.pem",
            );
            openssl(dir, &format!("ec -in sec1.key {more} -out sec1.key"));
            let chain =
                judged(&pem(dir, "sec1.pem", "sec1.key")).unwrap_or_else(|why| panic!("{curve}: {why}"));
            assert_eq!(chain.unchecked, [], "{curve} {more}");
            let why = judged(&pem(dir, "ours.pem", "sec1.key")).expect_err(curve);
            assert_eq!(why.part, "client-key-file", "{curve} {more}");
        }
    }

    fn curve_name(curve: &str) -> String {
        curve.replace("P-384", "secp384r1").replace("P-521", "secp521r1")
    }

    #[test]
    fn an_issuer_of_any_kind_is_told_from_another_one_of_its_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        openssl(
            dir,
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ours.key",
        );
        openssl(dir, "req -new -key ours.key -subj /CN=gateway -out ours.csr");
        for kind in KINDS {
            for name in ["ca", "other"] {
                openssl(dir, &format!("genpkey -algorithm {kind} -out {name}.key"));
                openssl(
                    dir,
                    &format!("req -x509 -new -key {name}.key -subj /CN=CA -days 30 -out {name}.pem"),
                );
            }
            openssl(
                dir,
                "x509 -req -in ours.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out ours.pem",
            );
            for (above, good) in [("ca", true), ("other", false)] {
                let pair = [bytes(dir, "ours.pem"), bytes(dir, &format!("{above}.pem"))];
                let text = [pair[0].reveal(), pair[1].reveal()].concat();
                std::fs::write(dir.join("chain.pem"), text).expect("written");
                match judged(&pem(dir, "chain.pem", "ours.key")) {
                    Ok(chain) => {
                        assert!(good, "{kind}: a torn chain is taken");
                        assert_eq!(chain.unchecked, [], "{kind}");
                    }
                    Err(why) => {
                        assert!(!good, "{kind}: {why}");
                        assert_eq!(why.part, "client-cert-file", "{kind}");
                        assert!(
                            why.text.contains("was not issued by CN=CA, which follows it"),
                            "{kind}: {why}"
                        );
                    }
                }
            }
        }
    }
    #[test]
    fn a_key_of_old_is_refused_with_the_way_to_make_it_new_and_a_container_of_old_is_taken() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        openssl(
            dir,
            "req -x509 -newkey rsa:2048 -nodes -keyout plain.key -out port.pem -subj /CN=gateway",
        );
        let old = "-v1 PBE-MD5-DES -provider legacy -provider default";
        openssl(
            dir,
            &format!("pkcs8 -topk8 -in plain.key -out port.key -passout pass:right {old}"),
        );
        let ciphers = "-legacy -keypbe PBE-MD5-DES -certpbe PBE-MD5-DES";
        openssl(
            dir,
            &format!(
                "pkcs12 -export -inkey plain.key -in port.pem -out port.p12 -passout pass:right {ciphers}"
            ),
        );
        let by = |passphrase: &str| ClientIdentity::Pem {
            cert: bytes(dir, "port.pem"),
            key: bytes(dir, "port.key"),
            passphrase: Some(Secret::new(passphrase)),
        };
        let said = |client: &ClientIdentity| {
            judged(client).map_or_else(
                |error| format!("{}: {} ({})", error.part, error.text, error.hint),
                |_| "good".into(),
            )
        };
        let refused = said(&by("right"));
        assert!(
            refused.starts_with("client-key-file: is encrypted by a cipher of old"),
            "{refused}"
        );
        assert!(refused.contains("openssl pkcs8 -topk8"), "{refused}");
        let wrong = said(&by("wrong"));
        let unread = "client-key-file: is no private key that can be read";
        assert!(
            wrong.starts_with("client-passphrase-file: does not open") || wrong.starts_with(unread),
            "{wrong}"
        );
        assert!(wrong.contains("passphrase"), "{wrong}");
        let container = |passphrase: &str, file: Bytes| ClientIdentity::Pkcs12 {
            file,
            passphrase: Some(Secret::new(passphrase)),
        };
        let whole = bytes(dir, "port.p12");
        assert_eq!(said(&container("right", whole.clone())), "good");
        let wrong = said(&container("wrong", whole.clone()));
        assert!(
            wrong.starts_with("client-passphrase-file: does not open"),
            "{wrong}"
        );
        let cut = Bytes::new(whole.reveal()[..500].to_vec());
        let cut = said(&container("right", cut));
        assert!(
            cut.starts_with("client-p12-file: is not PKCS#12; it may be cut"),
            "{cut}"
        );
    }

    #[test]
    fn a_key_that_was_cut_is_told_in_our_words() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        openssl(
            dir,
            "req -x509 -newkey rsa:2048 -keyout port.key -out port.pem -subj /CN=gateway -passout pass:right",
        );
        let key = bytes(dir, "port.key");
        let cut = ClientIdentity::Pem {
            cert: bytes(dir, "port.pem"),
            key: Bytes::new(key.reveal()[..700].to_vec()),
            passphrase: Some(Secret::new("right")),
        };
        let error = judged(&cut).expect_err("it is cut");
        assert_eq!(
            (error.part, error.text.as_str()),
            (
                "client-key-file",
                "is no private key that can be read; it may be cut or damaged, or its passphrase be another one"
            )
        );
    }
}
