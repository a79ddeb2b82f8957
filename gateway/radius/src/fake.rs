//! What a server answers, for tests: honest or not, as the test wants.

use gateway_core::Secret;
use md5::{Digest as _, Md5};

use crate::attribute::MESSAGE_AUTHENTICATOR;
use crate::packet::{AUTHENTICATOR, Builder, Code, HEADER, Packet};
use crate::request::message_authenticator;

/// An answer to the octets of a request, with a right Response Authenticator under `secret`; `signed` puts a
/// Message-Authenticator first. Octets that are no packet get an empty answer.
#[must_use]
pub fn answer(
    request: &[u8],
    code: Code,
    attributes: &[(u8, &[u8])],
    signed: bool,
    secret: &Secret,
) -> Vec<u8> {
    let Ok(request) = Packet::read(request) else {
        return Vec::new();
    };
    let mut builder = Builder::new(code, request.id());
    if signed {
        builder.put(MESSAGE_AUTHENTICATOR, &[0; AUTHENTICATOR]);
    }
    for (kind, value) in attributes {
        builder.put(*kind, value);
    }
    let mut bytes = builder.done(request.authenticator());
    if signed {
        let code = message_authenticator(&bytes, secret);
        bytes[HEADER + 2..HEADER + 2 + AUTHENTICATOR].copy_from_slice(&code);
    }
    let mut digest = Md5::new();
    digest.update(&bytes);
    digest.update(secret.reveal());
    bytes[4..HEADER].copy_from_slice(&digest.finalize());
    bytes
}
