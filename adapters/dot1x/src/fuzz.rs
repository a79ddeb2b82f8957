//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use rustls_pki_types::CertificateDer;

use crate::message::{Message, Status};
use crate::params::{Bytes, ServerCheck};
use crate::{Chain, Material, check, material, netlink, pem};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 4] = [
    ("certificate", certificate),
    ("netlink", datagram),
    ("pem", file),
    ("supplicant", supplicant),
];

/// DER of a certificate, as it stands in a file or comes from the server.
pub fn certificate(data: &[u8]) {
    let ders = [CertificateDer::from(data.to_vec())];
    let _ = material::own_chain(material::CERT, &ders, &mut Chain::default());
}

/// What the kernel tells of links and neighbours.
///
/// # Panics
/// If more is read than can stand there.
pub fn datagram(data: &[u8]) {
    let found = netlink::read(data);
    assert!(
        found.len() <= data.len() / 16,
        "{} of {} bytes",
        found.len(),
        data.len()
    );
}

/// A file with certificates or a key.
///
/// # Panics
/// If the words about it are another program's, or without end.
pub fn file(data: &[u8]) {
    for found in [
        pem::certificates(data).map(|c| c.len()),
        pem::key(data).map(|_| 1),
    ] {
        if let Err(wrong) = found {
            assert!(
                wrong.text.starts_with("holds no ") || wrong.text.starts_with("is "),
                "{}",
                wrong.text
            );
            assert!(wrong.text.len() < 160, "{}", wrong.text);
        }
    }
    let server = ServerCheck::Verify {
        ca: Bytes::new(data.to_vec()),
        names: vec![],
    };
    let _ = check(Material {
        client: None,
        server: &server,
    });
}

/// What the supplicant tells: a message of itself, and the answer to a question for its state.
///
/// # Panics
/// If much is kept of it.
pub fn supplicant(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Message::read(&text);
    if let Some(status) = Status::read(&text) {
        assert!(status.method.chars().count() <= 60, "{}", status.method);
    }
}

#[cfg(test)]
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_survives_its_corpus() {
        super::replay::replay(&super::TARGETS);
    }
}
