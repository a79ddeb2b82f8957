//! Why there is no connection, in words a person can act on.

use std::error::Error as _;
use std::io;

use gateway_mqtt_wire::{OtherVersion, Refused, Spoken, Unread};

use super::INCOMING;
use super::link::LinkError;
use crate::params::MqttParams;

/// Why a connection failed or ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Trying again soon is useless: somebody must change something.
    pub(crate) lasting: bool,
    /// Whether the other version of MQTT might do.
    pub(crate) other: OtherVersion,
    /// A message was too large to be taken: it would come again as often as we subscribe.
    pub(crate) oversized: bool,
    pub(crate) text: String,
}

impl Trouble {
    /// One that passes by itself.
    pub(crate) const fn passing(text: String) -> Self {
        Self {
            lasting: false,
            other: OtherVersion::No,
            oversized: false,
            text,
        }
    }
}

/// The error in words, with what to do. `connected` tells whether the broker had taken us.
pub(super) fn trouble(error: &LinkError, version: Spoken, connected: bool, params: &MqttParams) -> Trouble {
    let broker = format!("{}:{}", params.host, params.port);
    let mut other = OtherVersion::No;
    let mut perhaps = || {
        if !connected {
            other = OtherVersion::Perhaps;
        }
    };
    let (lasting, text) = match error {
        LinkError::Refused(refused) => {
            if *refused == Refused::Version {
                other = OtherVersion::Asked;
            }
            (true, refusal(refused, &broker, version, params))
        }
        LinkError::Tls(error) => (true, error.to_string()),
        LinkError::Io(error) if !connected || !is_closed(error) => {
            if is_closed(error) {
                perhaps();
            }
            network(error, &broker, params)
        }
        LinkError::Name => {
            let text = format!(
                "{:?} cannot be checked in a certificate; give the broker's host name",
                params.host
            );
            (true, text)
        }
        LinkError::Closed(None) if !connected => {
            perhaps();
            network(&io::ErrorKind::UnexpectedEof.into(), &broker, params)
        }
        // one that ends TLS without a farewell, too
        LinkError::Closed(None) | LinkError::Io(_) => {
            let text = format!(
                "the broker {broker} closed the connection; its log says why (access list, message size, another client with our id)"
            );
            (false, text)
        }
        LinkError::Closed(Some(why)) => (false, format!("the broker {broker} closed the connection: {why}")),
        LinkError::Quiet => (false, format!("the broker {broker} does not answer any more")),
        LinkError::Unread(Unread::TooLong(size)) if connected => {
            return Trouble {
                lasting: false,
                other,
                oversized: true,
                text: format!(
                    "somebody sent {size} bytes to a topic of ours, more than {INCOMING} are not taken"
                ),
            };
        }
        LinkError::Unread(unread) if connected => {
            let text = format!("the broker {broker} sent what is not MQTT {version}: {unread}");
            (false, text)
        }
        LinkError::NoBroker | LinkError::Unread(_) => {
            perhaps();
            let text = format!("{broker} does not speak MQTT {version}; check host and port");
            (true, text)
        }
        LinkError::Silent => {
            perhaps();
            let text =
                format!("the broker {broker} does not answer; check host, port, and mqtt:// or mqtts://");
            (false, text)
        }
        LinkError::Unfit(why) => (true, format!("the broker {broker} {why}; change that there")),
    };
    Trouble {
        lasting,
        other,
        oversized: false,
        text,
    }
}

fn refusal(refused: &Refused, broker: &str, version: Spoken, params: &MqttParams) -> String {
    let user = || {
        params.login.as_ref().map_or_else(
            || "no user name is configured".to_owned(),
            |(user, _)| format!("user {user:?}; check user and password"),
        )
    };
    match refused {
        Refused::Login => format!("the broker {broker} refused our login: {}", user()),
        Refused::Other(what) => format!("the broker {broker} refused {what}"),
        Refused::Version => format!("the broker {broker} does not take MQTT {version}; set version"),
    }
}

fn is_closed(error: &io::Error) -> bool {
    [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset].contains(&error.kind())
}

fn network(error: &io::Error, broker: &str, params: &MqttParams) -> (bool, String) {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    if let Some(inner) = inner {
        return tls(inner, broker);
    }
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return (
            false,
            format!("nothing listens at {broker}; is the broker running?"),
        );
    }
    if is_closed(error) {
        let hint = if params.tls.is_some() {
            "; does this port speak TLS?"
        } else {
            ""
        };
        return (false, format!("the broker {broker} closed the connection{hint}"));
    }
    let cause = error
        .source()
        .map(|cause| format!(" ({cause})"))
        .unwrap_or_default();
    (
        false,
        format!("the broker {broker} cannot be reached: {error}{cause}"),
    )
}

/// What the broker did not like about us.
fn alerted(alert: rustls::AlertDescription, broker: &str) -> (bool, String) {
    use rustls::AlertDescription as Alert;
    let asks = [Alert::CertificateRequired, Alert::HandshakeFailure].contains(&alert);
    let dislikes = [
        Alert::AccessDenied,
        Alert::BadCertificate,
        Alert::CertificateExpired,
        Alert::CertificateRevoked,
        Alert::CertificateUnknown,
        Alert::UnknownCA,
        Alert::UnsupportedCertificate,
    ];
    if asks {
        let text =
            format!("the broker {broker} wants to see a certificate of ours; set cert-file and key-file");
        (true, text)
    } else if dislikes.contains(&alert) {
        let text = format!(
            "the broker {broker} refused our certificate ({alert:?}); cert-file must come from a CA it trusts"
        );
        (true, text)
    } else {
        (
            false,
            format!("TLS with the broker {broker} failed: it said {alert:?}"),
        )
    }
}

fn tls(error: &rustls::Error, broker: &str) -> (bool, String) {
    if let rustls::Error::AlertReceived(alert) = error {
        return alerted(*alert, broker);
    }
    let rustls::Error::InvalidCertificate(bad) = error else {
        return (false, format!("TLS with the broker {broker} failed: {error}"));
    };
    let why = gateway_tls_client::certificate_refused(bad, "ca-file");
    (true, format!("the certificate of the broker {broker} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::params;
    use rustls::CertificateError;

    #[test]
    fn an_error_says_what_to_do() {
        let mut params = params(1883);
        let said = |error: LinkError, params: &MqttParams| trouble(&error, Spoken::V5, false, params);
        let found = said(LinkError::Refused(Refused::Login), &params);
        assert!(found.lasting && found.other == OtherVersion::No);
        assert_eq!(
            found.text,
            "the broker 127.0.0.1:1883 refused our login: no user name is configured"
        );
        params.login = Some(("door".into(), gateway_core::Secret::new("hidden-word")));
        let found = said(LinkError::Refused(Refused::Login), &params);
        assert_eq!(
            found.text,
            "the broker 127.0.0.1:1883 refused our login: user \"door\"; check user and password"
        );
        let gone = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(
            said(gone.into(), &params).text,
            "nothing listens at 127.0.0.1:1883; is the broker running?"
        );
        let issuer = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, issuer);
        assert_eq!(
            said(wrapped.into(), &params).text,
            "the certificate of the broker 127.0.0.1:1883 is signed by a CA we do not trust; set ca-file to that CA's certificate"
        );
    }

    #[test]
    fn only_what_an_old_broker_does_is_taken_for_one() {
        let params = params(1883);
        let other = |error: LinkError, connected| trouble(&error, Spoken::V5, connected, &params).other;
        let garbage = || LinkError::Unread(Unread::Malformed("x".into()));
        assert_eq!(
            other(LinkError::Refused(Refused::Version), false),
            OtherVersion::Asked
        );
        for error in [
            LinkError::Closed(None),
            LinkError::Silent,
            LinkError::NoBroker,
            garbage(),
            io::Error::from(io::ErrorKind::ConnectionReset).into(),
        ] {
            assert_eq!(other(error, false), OtherVersion::Perhaps);
        }
        for error in [
            LinkError::Refused(Refused::Login),
            LinkError::Name,
            io::Error::from(io::ErrorKind::ConnectionRefused).into(),
        ] {
            assert_eq!(other(error, false), OtherVersion::No);
        }
        for error in [LinkError::Closed(None), garbage(), LinkError::Quiet] {
            assert_eq!(other(error, true), OtherVersion::No);
        }
    }
}
