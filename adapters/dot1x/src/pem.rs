//! PEM (RFC 7468), and in words what is wrong with a file that should be it.

use rustls_pki_types::pem::{Error, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What is wrong with a file, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) hint: String,
    pub(crate) text: String,
}

fn wrong(text: impl Into<String>, hint: impl Into<String>) -> Wrong {
    Wrong {
        hint: hint.into(),
        text: text.into(),
    }
}

const ANEW: &str = "write the file anew, whole and as it was";

/// All certificates, at least one.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(other_form(pem, "x509").unwrap_or_else(|| {
            wrong(
                "holds no certificate",
                "allowed: PEM, which begins with -----BEGIN CERTIFICATE-----",
            )
        })),
        Ok(found) => Ok(found),
        Err(why) => Err(damaged(&why, "holds no certificate")),
    }
}

/// The private key; not one that is encrypted.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Wrong> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|why| {
        let none = "holds no private key";
        if !matches!(why, Error::NoItemsFound) {
            return damaged(&why, none);
        }
        other_form(pem, "pkey").unwrap_or_else(|| {
            wrong(
                none,
                "allowed: PEM, which begins with -----BEGIN PRIVATE KEY----- or a like line",
            )
        })
    })
}

/// Forms that programs of other systems write.
fn other_form(bytes: &[u8], program: &str) -> Option<Wrong> {
    match bytes {
        // a SEQUENCE with two bytes of length
        [0x30, 0x81..=0x83, ..] => Some(wrong(
            "is binary (DER, or PKCS#12), and not PEM",
            format!(
                "openssl {program} -inform DER -in FILE -out FILE.pem; a .p12 or .pfx file belongs to client-p12-file"
            ),
        )),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(wrong(
            "is text of 16 bits a character (UTF-16), and not PEM",
            "save it as plain text, ASCII or UTF-8",
        )),
        _ => None,
    }
}

fn damaged(why: &Error, none: &str) -> Wrong {
    let text = if let Error::MissingSectionEnd { end_marker } = why {
        // the label, or the line with it
        let line = String::from_utf8_lossy(end_marker);
        let line = line.trim().trim_start_matches("-----END ").trim_end_matches('-');
        // a label is printable ASCII (RFC 7468 §3); what else stands there is not shown
        let shown = |c: &char| c.is_ascii_graphic() || *c == ' ';
        let line: String = line.chars().filter(shown).take(60).collect();
        format!("is cut: the line -----END {line}----- is missing")
    } else if let Error::IllegalSectionStart { .. } = why {
        "is damaged: a line -----BEGIN … in it does not end with -----".to_owned()
    } else if let Error::Base64Decode(_) = why {
        "is damaged: between its lines BEGIN and END is something else than Base64".to_owned()
    } else {
        none.to_owned()
    };
    wrong(text, ANEW)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAAw\n-----END CERTIFICATE-----\n";

    fn said(found: Result<usize, Wrong>) -> String {
        found.map_or_else(|wrong| wrong.text, |count| count.to_string())
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_in_words() {
        let cut = &CERTIFICATE[..40];
        let torn = CERTIFICATE.replace("CERTIFICATE-----\nM", "CERTIFICATE\nM");
        let dirty = CERTIFICATE.replace("MAAw", "M€Aw");
        for (bytes, text) in [
            (CERTIFICATE.repeat(2).as_bytes(), "2"),
            (b"".as_slice(), "holds no certificate"),
            (
                cut.as_bytes(),
                "is cut: the line -----END CERTIFICATE----- is missing",
            ),
            (
                [
                    b"-----BEGIN ENCRYPTED".as_slice(),
                    "\u{202e}\u{7}é".repeat(60).as_bytes(),
                    b" KEY-----",
                ]
                .concat()
                .as_slice(),
                "is cut: the line -----END ENCRYPTED KEY----- is missing",
            ),
            (
                torn.as_bytes(),
                "is damaged: a line -----BEGIN … in it does not end with -----",
            ),
            (
                dirty.as_bytes(),
                "is damaged: between its lines BEGIN and END is something else than Base64",
            ),
            (b"\x30\x82\x01\x00", "is binary (DER, or PKCS#12), and not PEM"),
            (
                b"\xff\xfe-\0-\0",
                "is text of 16 bits a character (UTF-16), and not PEM",
            ),
        ] {
            assert_eq!(
                said(certificates(bytes).map(|found| found.len())),
                text,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said_in_words() {
        let whole = "-----BEGIN PRIVATE KEY-----\nMAAw\n-----END PRIVATE KEY-----\n";
        for (text, found) in [
            (whole, "1"),
            (CERTIFICATE, "holds no private key"),
            (
                &whole[..40],
                "is cut: the line -----END PRIVATE KEY----- is missing",
            ),
        ] {
            assert_eq!(said(key(text.as_bytes()).map(|_| 1)), found);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_no_words_are_of_another_program(
            bytes in any::<Vec<u8>>(),
            inner in "[A-Za-z0-9+/=\n -]{0,80}",
        ) {
            let framed = format!("-----BEGIN CERTIFICATE-----\n{inner}\n");
            for bytes in [bytes.as_slice(), framed.as_bytes()] {
                for found in [certificates(bytes).map(|c| c.len()), key(bytes).map(|_| 1)] {
                    if let Err(wrong) = found {
                        prop_assert!(wrong.text.starts_with("holds no ") || wrong.text.starts_with("is "));
                        prop_assert!(wrong.text.len() < 160);
                    }
                }
            }
        }
    }
}
