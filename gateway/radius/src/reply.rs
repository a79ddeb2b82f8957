//! Replies: whether they count, and what they say.

use std::time::Duration;

use gateway_core::Secret;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

use crate::attribute::{
    ADMINISTRATIVE_USER, CLASS, IDLE_TIMEOUT, LOGIN_USER, MESSAGE_AUTHENTICATOR, PROXY_STATE, SERVICE_TYPE,
    SESSION_TIMEOUT, service_name,
};
use crate::packet::{AUTHENTICATOR, Code, HEADER, Packet, PacketError};
use crate::request::{Request, message_authenticator};

/// Values of Class that are kept for accounting.
const CLASSES: usize = 4;

/// Why a reply does not count. Nobody gets in by one, and nobody is refused by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadReply {
    /// The Response Authenticator does not fit: another shared secret, or a forger.
    #[error("its Response Authenticator does not fit")]
    Authenticator,
    /// Of another kind than this request's answers.
    #[error("it is {0:?}, which is no answer to what was asked")]
    Code(Code),
    /// It has more than one Message-Authenticator, or one that does not fit.
    #[error("its Message-Authenticator does not fit")]
    MessageAuthenticator,
    /// It has no Message-Authenticator, and one is required.
    #[error("it has no Message-Authenticator")]
    Missing,
    /// Of another request.
    #[error("it answers request {found}, not {wanted}")]
    Other {
        /// Its id.
        found: u8,
        /// Ours.
        wanted: u8,
    },
    /// No packet.
    #[error("{0}")]
    Packet(#[from] PacketError),
    /// It holds Proxy-State, though we sent none: that is how a forged answer carries its filling (CVE-2024-3596).
    #[error("it holds Proxy-State, which we never sent")]
    ProxyState,
}

/// A reply that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(Packet);

/// What somebody may do who was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Service-Type Administrative-User.
    Administrator,
    /// Service-Type Login-User.
    User,
}

impl Role {
    pub(crate) const fn service_type(self) -> u32 {
        match self {
            Self::Administrator => ADMINISTRATIVE_USER,
            Self::User => LOGIN_USER,
        }
    }
}

/// Somebody is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Values to give back in accounting (RFC 2865 §5.25), at most four.
    pub class: Vec<Vec<u8>>,
    /// The session ends after so long without a request, if the server says so.
    pub idle: Option<Duration>,
    /// The session ends after so long in any case, if the server says so.
    pub life: Option<Duration>,
    /// As what.
    pub role: Role,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Access-Challenge: the server wants more than a password.
    Challenge,
    /// Access-Reject, whatever attributes it has.
    Reject,
    /// Access-Accept, but its Service-Type is none, another, broken, or there are several.
    ServiceType(Option<u32>),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Challenge => f.write_str("Access-Challenge"),
            Self::Reject => f.write_str("Access-Reject"),
            Self::ServiceType(None) => f.write_str("Access-Accept without one Service-Type"),
            Self::ServiceType(Some(value)) => match service_name(*value) {
                Some(name) => write!(f, "Access-Accept with Service-Type {name}"),
                None => write!(f, "Access-Accept with Service-Type {value}"),
            },
        }
    }
}

/// What a reply to an Access-Request says.
pub type Verdict = Result<Admission, Refusal>;

impl Reply {
    /// Checks a datagram against the request it should answer. `require` wants a Message-Authenticator in answers
    /// to logins.
    ///
    /// # Errors
    /// [`BadReply`]: the datagram is to be dropped and waiting goes on.
    pub fn check(
        datagram: &[u8],
        request: &Request,
        secret: &Secret,
        require: bool,
    ) -> Result<Self, BadReply> {
        let packet = Packet::read(datagram)?;
        if packet.id() != request.id() {
            return Err(BadReply::Other {
                found: packet.id(),
                wanted: request.id(),
            });
        }
        let login = request.code() == Code::AccessRequest;
        let fits = match packet.code() {
            Code::AccessAccept => login || request.code() == Code::StatusServer,
            Code::AccessReject | Code::AccessChallenge => login,
            Code::AccountingResponse => {
                matches!(request.code(), Code::AccountingRequest | Code::StatusServer)
            }
            Code::AccessRequest | Code::AccountingRequest | Code::StatusServer | Code::Other(_) => false,
        };
        if !fits {
            return Err(BadReply::Code(packet.code()));
        }
        if !bool::from(
            packet
                .authenticator()
                .ct_eq(&response_authenticator(&packet, request, secret)),
        ) {
            return Err(BadReply::Authenticator);
        }
        match signature(&packet, request, secret) {
            Some(false) => return Err(BadReply::MessageAuthenticator),
            None if login && require => return Err(BadReply::Missing),
            None | Some(true) => {}
        }
        if packet.all(PROXY_STATE).next().is_some() {
            return Err(BadReply::ProxyState);
        }
        Ok(Self(packet))
    }

    /// What it is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code()
    }

    /// The packet.
    #[must_use]
    pub const fn packet(&self) -> &Packet {
        &self.0
    }

    /// What it says about a login. The code is looked at first: a Reject may carry a Service-Type, and it means
    /// nothing.
    pub fn verdict(&self) -> Verdict {
        match self.code() {
            Code::AccessAccept => {}
            Code::AccessChallenge => return Err(Refusal::Challenge),
            Code::AccessRequest
            | Code::AccessReject
            | Code::AccountingRequest
            | Code::AccountingResponse
            | Code::StatusServer
            | Code::Other(_) => return Err(Refusal::Reject),
        }
        let mut types = self.0.all(SERVICE_TYPE);
        let service = match (types.next().map(number), types.next()) {
            (Some(Some(one)), None) => one,
            _ => return Err(Refusal::ServiceType(None)),
        };
        let role = match service {
            ADMINISTRATIVE_USER => Role::Administrator,
            LOGIN_USER => Role::User,
            other => return Err(Refusal::ServiceType(Some(other))),
        };
        let seconds = |kind| {
            let value = self.0.all(kind).next().and_then(number);
            value.filter(|s| *s > 0).map(|s| Duration::from_secs(s.into()))
        };
        Ok(Admission {
            class: self.0.all(CLASS).take(CLASSES).map(<[u8]>::to_vec).collect(),
            idle: seconds(IDLE_TIMEOUT),
            life: seconds(SESSION_TIMEOUT),
            role,
        })
    }
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

/// MD5 over the reply with the Request Authenticator in it, and the secret (RFC 2865 §3).
fn response_authenticator(packet: &Packet, request: &Request, secret: &Secret) -> [u8; AUTHENTICATOR] {
    let bytes = packet.bytes();
    let mut digest = Md5::new();
    digest.update(&bytes[..4]);
    digest.update(request.authenticator());
    digest.update(&bytes[HEADER..]);
    digest.update(secret.reveal());
    digest.finalize().into()
}

/// Whether the Message-Authenticator fits; `None` without one. It is made with the Request Authenticator (RFC 3579
/// §3.2).
fn signature(packet: &Packet, request: &Request, secret: &Secret) -> Option<bool> {
    let mut places = packet.places().filter(|(kind, _)| *kind == MESSAGE_AUTHENTICATOR);
    let (_, place) = places.next()?;
    if places.next().is_some() || place.len() != AUTHENTICATOR {
        return Some(false);
    }
    let found = &packet.bytes()[place.clone()];
    let mut bytes = packet.bytes().to_vec();
    bytes[place].fill(0);
    bytes[4..HEADER].copy_from_slice(request.authenticator());
    Some(found.ct_eq(&message_authenticator(&bytes, secret)).into())
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::tests::{hex, secret};

    pub(crate) fn access() -> Request {
        let password = Secret::new("secret password");
        let made = Request::access(9, [5; 16], &secret(), ("bob", &password), ("lilas", "192.0.2.9"));
        made.expect("can be sent")
    }

    /// What an honest server answers, with Message-Authenticator or without.
    pub(crate) fn answer(request: &Request, code: Code, attributes: &[(u8, &[u8])], signed: bool) -> Vec<u8> {
        forge(request, code, attributes, signed, &secret())
    }

    pub(crate) fn forge(
        request: &Request,
        code: Code,
        attributes: &[(u8, &[u8])],
        signed: bool,
        secret: &Secret,
    ) -> Vec<u8> {
        crate::fake::answer(request.bytes(), code, attributes, signed, secret)
    }

    pub(crate) const ADMIN: (u8, &[u8]) = (SERVICE_TYPE, &[0, 0, 0, 6]);
    const USER: (u8, &[u8]) = (SERVICE_TYPE, &[0, 0, 0, 1]);

    fn check(request: &Request, bytes: &[u8], require: bool) -> Result<Reply, BadReply> {
        Reply::check(bytes, request, &secret(), require)
    }

    #[test]
    fn the_answers_of_rfc_2865_section_7_1_and_rfc_5997_section_6_1_count() {
        let request = Request {
            bytes: hex(
                "01000038 0f403f9473978057bd83d5cb98f4227a 01066e656d6f 02120dbe708d93d413ce3196e43f782a0aee \
                 0406c0a80110 050600000003",
            ),
        };
        let accept = hex("02000026 86fe220e7624ba2a1005f6bf9b55e0b2 060600000001 0f0600000000 0e06c0a80103");
        let reply = check(&request, &accept, false).expect("counts");
        assert_eq!(reply.verdict().map(|a| a.role), Ok(Role::User));
        assert_eq!(check(&request, &accept, true), Err(BadReply::Missing));

        let status = Request {
            bytes: hex("0cda0026 8a54f4686fb394c52866e302185d0623 50125a665e2e1e8411f3e243822097c84fa3"),
        };
        let alive = hex("02da0014 ef0d552a4bf2d693ec2b6fe8b5411d66");
        assert_eq!(
            check(&status, &alive, true).map(|r| r.code()),
            Ok(Code::AccessAccept)
        );
    }

    #[test]
    fn only_two_service_types_of_an_accept_let_somebody_in() {
        let request = access();
        let framed: (u8, &[u8]) = (SERVICE_TYPE, &[0, 0, 0, 2]);
        let strange: (u8, &[u8]) = (SERVICE_TYPE, &[0, 0, 1, 6]);
        let broken: (u8, &[u8]) = (SERVICE_TYPE, &[6]);
        let (accept, reject, challenge) = (Code::AccessAccept, Code::AccessReject, Code::AccessChallenge);
        for (code, attributes, wanted) in [
            (accept, vec![ADMIN], Ok(Role::Administrator)),
            (accept, vec![USER], Ok(Role::User)),
            (accept, vec![], Err("Access-Accept without one Service-Type")),
            (
                accept,
                vec![framed],
                Err("Access-Accept with Service-Type Framed-User"),
            ),
            (accept, vec![strange], Err("Access-Accept with Service-Type 262")),
            (
                accept,
                vec![broken],
                Err("Access-Accept without one Service-Type"),
            ),
            (
                accept,
                vec![USER, ADMIN],
                Err("Access-Accept without one Service-Type"),
            ),
            (reject, vec![ADMIN], Err("Access-Reject")),
            (reject, vec![], Err("Access-Reject")),
            (challenge, vec![ADMIN], Err("Access-Challenge")),
        ] {
            let bytes = answer(&request, code, &attributes, true);
            let verdict = check(&request, &bytes, true).expect("counts").verdict();
            let found = verdict.map(|a| a.role).map_err(|r| r.to_string());
            assert_eq!(found, wanted.map_err(str::to_owned), "{code:?} {attributes:?}");
        }
    }

    #[test]
    fn what_an_accept_says_of_the_session_is_kept_within_bounds() {
        let request = access();
        let class: (u8, &[u8]) = (CLASS, &[7; 253]);
        let attributes = [
            ADMIN,
            class,
            class,
            class,
            class,
            class,
            (27, &[0, 0, 14, 16]),
            (28, &[0; 4]),
        ];
        let bytes = answer(&request, Code::AccessAccept, &attributes, true);
        let admission = check(&request, &bytes, true)
            .expect("counts")
            .verdict()
            .expect("let in");
        assert_eq!(admission.class, vec![vec![7; 253]; 4]);
        assert_eq!(
            (admission.life, admission.idle),
            (Some(Duration::from_secs(3600)), None)
        );
    }

    #[test]
    fn what_is_forged_altered_or_of_somebody_else_does_not_count() {
        let request = access();
        let good = answer(&request, Code::AccessReject, &[ADMIN], true);
        assert!(check(&request, &good, true).is_ok());
        let mut turned = good.clone();
        turned[0] = 2;
        assert_eq!(check(&request, &turned, true), Err(BadReply::Authenticator));
        let mut other = good.clone();
        other[1] = 8;
        assert_eq!(
            check(&request, &other, true),
            Err(BadReply::Other { found: 8, wanted: 9 })
        );
        let elsewhere = forge(
            &request,
            Code::AccessAccept,
            &[ADMIN],
            true,
            &Secret::new("guess"),
        );
        assert_eq!(check(&request, &elsewhere, false), Err(BadReply::Authenticator));
        let bare = answer(&request, Code::AccessAccept, &[ADMIN], false);
        assert_eq!(check(&request, &bare, true), Err(BadReply::Missing));
        assert!(check(&request, &bare, false).is_ok());
        let state: (u8, &[u8]) = (PROXY_STATE, &[1; 200]);
        let filled = answer(&request, Code::AccessAccept, &[ADMIN, state], false);
        assert_eq!(check(&request, &filled, false), Err(BadReply::ProxyState));
        for code in [Code::AccountingResponse, Code::AccessRequest, Code::Other(40)] {
            let bytes = answer(&request, code, &[ADMIN], true);
            assert_eq!(check(&request, &bytes, true), Err(BadReply::Code(code)));
        }
        assert_eq!(
            check(&request, &good[..30], true),
            Err(BadReply::Packet(PacketError::Length { came: 30, said: 44 }))
        );
    }

    #[test]
    fn a_message_authenticator_that_is_there_has_to_fit_whatever_is_required() {
        let request = access();
        // the Response Authenticator is right in each of them
        let wrong: (u8, &[u8]) = (MESSAGE_AUTHENTICATOR, &[1; 16]);
        let short: (u8, &[u8]) = (MESSAGE_AUTHENTICATOR, &[0; 4]);
        for (attributes, signed) in [(vec![wrong], false), (vec![short], false), (vec![wrong], true)] {
            let bytes = answer(&request, Code::AccessAccept, &attributes, signed);
            for require in [true, false] {
                assert_eq!(
                    check(&request, &bytes, require),
                    Err(BadReply::MessageAuthenticator)
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_octets_let_anybody_in(
            bytes in prop::collection::vec(any::<u8>(), 0..120), require: bool, fit: bool
        ) {
            let request = access();
            let mut bytes = bytes;
            if fit && bytes.len() >= 20 {
                // as near to a real answer as somebody without the secret gets
                let length = u16::try_from(bytes.len()).expect("short");
                (bytes[0], bytes[1]) = (2, request.id());
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
            }
            prop_assert!(check(&request, &bytes, require).is_err());
        }

        #[test]
        fn any_octet_of_an_answer_counts(at in 0_usize..44, flip in 1_u8..) {
            let request = access();
            let good = answer(&request, Code::AccessAccept, &[ADMIN], true);
            prop_assert_eq!(good.len(), 44);
            let mut bytes = good;
            bytes[at] ^= flip;
            prop_assert!(check(&request, &bytes, false).is_err());
        }
    }
}
