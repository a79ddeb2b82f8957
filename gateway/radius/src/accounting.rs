//! Accounting: when sessions begin and end (RFC 2866). Pure.

use std::time::Duration;

use gateway_core::Secret;

use crate::attribute::{
    ACCT_AUTHENTIC, ACCT_DELAY_TIME, ACCT_SESSION_ID, ACCT_SESSION_TIME, ACCT_STATUS_TYPE,
    ACCT_TERMINATE_CAUSE, BY_RADIUS, CALLING_STATION_ID, CLASS, NAS_IDENTIFIER, NAS_PORT_TYPE, SERVICE_TYPE,
    USER_NAME, VIRTUAL,
};
use crate::packet::{Builder, Code};
use crate::reply::Role;
use crate::request::Request;

/// Why a session ended (RFC 2866 §5.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminateCause {
    /// 1: logged out.
    UserRequest,
    /// 4: not used for too long.
    IdleTimeout,
    /// 5: its time was over.
    SessionTimeout,
    /// 6: an administrator ended it.
    AdminReset,
    /// 7: the gateway stops.
    AdminReboot,
    /// 10: the gateway ended it, for lack of room.
    NasRequest,
}

impl TerminateCause {
    const fn value(self) -> u32 {
        match self {
            Self::UserRequest => 1,
            Self::IdleTimeout => 4,
            Self::SessionTimeout => 5,
            Self::AdminReset => 6,
            Self::AdminReboot => 7,
            Self::NasRequest => 10,
        }
    }
}

/// A session that a RADIUS server vouched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What the server gave at the login.
    pub class: Vec<Vec<u8>>,
    /// Unlike any other of this gateway.
    pub id: String,
    /// User name as the server knows it.
    pub name: String,
    /// As what.
    pub role: Role,
    /// Address of the browser.
    pub station: String,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The gateway starts: sessions from before are over.
    On,
    /// A session begins.
    Start(Session),
    /// A session ended after this time.
    Stop(Session, Duration, TerminateCause),
}

impl Record {
    /// As a request. It happened `delay` ago.
    pub(crate) fn request(&self, id: u8, secret: &Secret, nas_identifier: &str, delay: Duration) -> Request {
        let (status, session) = match self {
            Self::Start(session) => (1, Some(session)),
            Self::Stop(session, _, _) => (2, Some(session)),
            Self::On => (7, None),
        };
        let mut builder = Builder::new(Code::AccountingRequest, id);
        builder.number(ACCT_STATUS_TYPE, status);
        builder.put(NAS_IDENTIFIER, nas_identifier.as_bytes());
        builder.number(ACCT_DELAY_TIME, seconds(delay));
        builder.number(NAS_PORT_TYPE, VIRTUAL);
        if let Some(session) = session {
            builder.put(ACCT_SESSION_ID, session.id.as_bytes());
            builder.put(USER_NAME, session.name.as_bytes());
            builder.put(CALLING_STATION_ID, session.station.as_bytes());
            builder.number(SERVICE_TYPE, session.role.service_type());
            builder.number(ACCT_AUTHENTIC, BY_RADIUS);
            for class in &session.class {
                builder.put(CLASS, class);
            }
        }
        if let Self::Stop(_, time, cause) = self {
            builder.number(ACCT_SESSION_TIME, seconds(*time));
            builder.number(ACCT_TERMINATE_CAUSE, cause.value());
        }
        Request::accounting(builder, secret)
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use md5::{Digest as _, Md5};

    use super::*;
    use crate::packet::Packet;
    use crate::reply::Reply;
    use crate::request::tests::secret;

    fn session() -> Session {
        Session {
            class: vec![vec![1, 2]],
            id: "0123abcd".into(),
            name: "bob".into(),
            role: Role::Administrator,
            station: "192.0.2.9".into(),
        }
    }

    #[test]
    fn a_stop_tells_who_how_long_and_why_and_is_signed_by_its_authenticator() {
        let stop = Record::Stop(session(), Duration::from_secs(61), TerminateCause::IdleTimeout);
        let request = stop.request(4, &secret(), "lilas", Duration::from_secs(3));
        let packet = Packet::read(request.bytes()).expect("a packet");
        let number = |value: u32| value.to_be_bytes().to_vec();
        let wanted: Vec<(u8, Vec<u8>)> = vec![
            (40, number(2)),
            (32, b"lilas".to_vec()),
            (41, number(3)),
            (61, number(5)),
            (44, b"0123abcd".to_vec()),
            (1, b"bob".to_vec()),
            (31, b"192.0.2.9".to_vec()),
            (6, number(6)),
            (45, number(1)),
            (25, vec![1, 2]),
            (46, number(61)),
            (49, number(4)),
        ];
        let found: Vec<_> = packet.attributes().map(|(k, v)| (k, v.to_vec())).collect();
        assert_eq!(found, wanted);
        let mut zeroed = request.bytes().to_vec();
        zeroed[4..20].fill(0);
        let digest: [u8; 16] = Md5::digest([&zeroed[..], b"xyzzy5461"].concat()).into();
        assert_eq!(packet.authenticator(), digest);
    }

    #[test]
    fn start_and_on_say_what_they_are() {
        for (record, status, attributes) in [(Record::Start(session()), 1, 10), (Record::On, 7, 4)] {
            let request = record.request(4, &secret(), "lilas", Duration::ZERO);
            let packet = Packet::read(request.bytes()).expect("a packet");
            assert_eq!(packet.attributes().next(), Some((40, &[0, 0, 0, status][..])));
            assert_eq!(packet.attributes().count(), attributes);
        }
    }

    #[test]
    fn only_an_accounting_response_answers() {
        let request = Record::On.request(4, &secret(), "lilas", Duration::ZERO);
        let answer = |code| crate::reply::tests::answer(&request, code, &[], false);
        let check = |code| Reply::check(&answer(code), &request, &secret(), true);
        assert!(check(Code::AccountingResponse).is_ok());
        assert!(check(Code::AccessAccept).is_err());
    }
}
