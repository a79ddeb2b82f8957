//! Requests: what is asked, hidden and signed.

use gateway_core::Secret;
use hmac::{Hmac, Mac as _};
use md5::{Digest as _, Md5};

use crate::attribute::{
    CALLING_STATION_ID, MESSAGE_AUTHENTICATOR, NAS_IDENTIFIER, NAS_PORT_TYPE, SERVICE_TYPE, USER_NAME,
    USER_PASSWORD, VIRTUAL,
};
use crate::packet::{AUTHENTICATOR, Builder, Code, HEADER};

/// Most octets of a password (RFC 2865 §5.2).
const PASSWORD: usize = 128;
/// Most octets of a user name that is sent.
const NAME: usize = 128;

/// Why somebody cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The name is empty, longer than 128 octets, or has control characters in it.
    #[error("the user name cannot be sent: it has 1 to 128 octets without control characters")]
    Name,
    /// The password is empty, longer than 128 octets, or has a NUL in it, which is what fills it up.
    #[error("the password cannot be sent: it has 1 to 128 octets, none of them NUL")]
    Password,
}

/// A request as it is sent, the same octets at each try (RFC 2865 §2.5, RFC 5080 §2.2.1).
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) bytes: Vec<u8>,
}

/// Without its octets: the hidden password is among them.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({:?}, id {})", self.code(), self.id())
    }
}

impl Request {
    /// An Access-Request with a password (PAP). `id` and `authenticator` are random and never used twice;
    /// `station` is the address of the browser.
    ///
    /// # Errors
    /// [`RequestError`] if name or password cannot be sent.
    pub fn access(
        id: u8,
        authenticator: [u8; AUTHENTICATOR],
        secret: &Secret,
        (name, password): (&str, &Secret),
        (nas_identifier, station): (&str, &str),
    ) -> Result<Self, RequestError> {
        if !(1..=NAME).contains(&name.len()) || name.chars().any(char::is_control) {
            return Err(RequestError::Name);
        }
        let hidden = hide(password.reveal().as_bytes(), secret, authenticator)?;
        let mut builder = signed(Code::AccessRequest, id);
        builder.put(USER_NAME, name.as_bytes());
        builder.put(USER_PASSWORD, &hidden);
        builder.number(SERVICE_TYPE, crate::attribute::LOGIN_USER);
        builder.put(NAS_IDENTIFIER, nas_identifier.as_bytes());
        builder.number(NAS_PORT_TYPE, VIRTUAL);
        builder.put(CALLING_STATION_ID, station.as_bytes());
        Ok(Self::sign(builder.done(authenticator), secret))
    }

    /// A Status-Server: "are you there?" (RFC 5997).
    #[must_use]
    pub fn status(id: u8, authenticator: [u8; AUTHENTICATOR], secret: &Secret, nas_identifier: &str) -> Self {
        let mut builder = signed(Code::StatusServer, id);
        builder.put(NAS_IDENTIFIER, nas_identifier.as_bytes());
        Self::sign(builder.done(authenticator), secret)
    }

    /// An Accounting-Request, whose authenticator is made of its octets (RFC 2866 §3).
    pub(crate) fn accounting(builder: Builder, secret: &Secret) -> Self {
        let mut bytes = builder.done([0; AUTHENTICATOR]);
        let mut digest = Md5::new();
        digest.update(&bytes);
        digest.update(secret.reveal());
        bytes[4..HEADER].copy_from_slice(&digest.finalize());
        Self { bytes }
    }

    /// Writes the Message-Authenticator that stands first, as zeros, into itself.
    fn sign(mut bytes: Vec<u8>, secret: &Secret) -> Self {
        let code = message_authenticator(&bytes, secret);
        bytes[HEADER + 2..HEADER + 2 + AUTHENTICATOR].copy_from_slice(&code);
        Self { bytes }
    }

    /// What it asks.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::of(self.bytes[0])
    }

    /// Its number among the requests of one socket.
    #[must_use]
    pub fn id(&self) -> u8 {
        self.bytes[1]
    }

    /// What is sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Request Authenticator.
    pub(crate) fn authenticator(&self) -> &[u8] {
        &self.bytes[4..HEADER]
    }
}

/// A packet that begins with room for its Message-Authenticator: first, so that nothing can be put before it.
fn signed(code: Code, id: u8) -> Builder {
    let mut builder = Builder::new(code, id);
    builder.put(MESSAGE_AUTHENTICATOR, &[0; AUTHENTICATOR]);
    builder
}

/// HMAC-MD5 over a packet whose own Message-Authenticator is zero (RFC 3579 §3.2).
pub(crate) fn message_authenticator(bytes: &[u8], secret: &Secret) -> [u8; AUTHENTICATOR] {
    let key = secret.reveal().as_bytes();
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

/// Hides a password (RFC 2865 §5.2).
fn hide(
    password: &[u8],
    secret: &Secret,
    authenticator: [u8; AUTHENTICATOR],
) -> Result<Vec<u8>, RequestError> {
    if !(1..=PASSWORD).contains(&password.len()) || password.contains(&0) {
        return Err(RequestError::Password);
    }
    let mut hidden = Vec::with_capacity(PASSWORD);
    let mut before = authenticator;
    for part in password.chunks(AUTHENTICATOR) {
        let mut digest = Md5::new();
        digest.update(secret.reveal());
        digest.update(before);
        let mut block: [u8; AUTHENTICATOR] = digest.finalize().into();
        for (octet, plain) in block.iter_mut().zip(part) {
            *octet ^= plain;
        }
        hidden.extend_from_slice(&block);
        before = block;
    }
    Ok(hidden)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::packet::Packet;

    /// The octets of a hexadecimal text with spaces.
    pub(crate) fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .chars()
            .filter_map(|c| c.to_digit(16))
            .map(|d| u8::try_from(d).expect("a digit"))
            .collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// Shared secret of the examples in RFC 2865 §7 and RFC 5997 §6.
    pub(crate) fn secret() -> Secret {
        Secret::new("xyzzy5461")
    }

    fn authenticator(text: &str) -> [u8; 16] {
        hex(text).try_into().expect("16 octets")
    }

    #[test]
    fn a_password_is_hidden_as_in_rfc_2865_section_7_1() {
        let authenticator = authenticator("0f403f9473978057bd83d5cb98f4227a");
        assert_eq!(
            hide(b"arctangent", &secret(), authenticator),
            Ok(hex("0dbe708d93d413ce3196e43f782a0aee"))
        );
    }

    #[test]
    fn a_long_password_is_chained_and_one_that_cannot_be_told_from_its_filling_is_refused() {
        let hidden = hide(&[b'x'; 17], &secret(), [1; 16]).expect("fits");
        assert_eq!(hidden.len(), 32);
        let mut digest = Md5::new();
        digest.update(b"xyzzy5461");
        digest.update(&hidden[..16]);
        let pad = digest.finalize();
        assert_eq!((hidden[16] ^ pad[0], hidden[17] ^ pad[1]), (b'x', 0));
        assert_eq!(hide(&[b'x'; 128], &secret(), [1; 16]).map(|h| h.len()), Ok(128));
        for bad in [&b""[..], &[b'x'; 129], b"a\0", b"\0"] {
            assert_eq!(hide(bad, &secret(), [1; 16]), Err(RequestError::Password));
        }
    }

    #[test]
    fn a_status_server_is_signed_as_in_rfc_5997_section_6_1() {
        let authenticator = authenticator("8a54f4686fb394c52866e302185d0623");
        let request = Request::status(218, authenticator, &secret(), "");
        let wanted = hex("0cda0026 8a54f4686fb394c52866e302185d0623 50125a665e2e1e8411f3e243822097c84fa3");
        assert_eq!(request.bytes(), wanted);
    }

    #[test]
    fn an_access_request_begins_with_its_message_authenticator() {
        let password = Secret::new("arctangent");
        let made =
            |name: &str| Request::access(7, [3; 16], &secret(), (name, &password), ("lilas", "192.0.2.9"));
        let request = made("nemo").expect("fits");
        assert_eq!((request.code(), request.id()), (Code::AccessRequest, 7));
        let packet = Packet::read(request.bytes()).expect("a packet");
        let kinds: Vec<u8> = packet.attributes().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [80, 1, 2, 6, 32, 61, 31]);
        let mut zeroed = request.bytes().to_vec();
        zeroed[22..38].fill(0);
        let code = message_authenticator(&zeroed, &secret());
        assert_eq!(packet.all(MESSAGE_AUTHENTICATOR).next(), Some(&code[..]));
        for bad in ["", "a\n", &"x".repeat(129)] {
            assert_eq!(made(bad), Err(RequestError::Name), "{bad:?}");
        }
        assert_eq!(format!("{request:?}"), "Request(AccessRequest, id 7)");
    }
}
