//! One connection: its options, TLS, the task that drives rumqttc, and errors in words a person can act on.
//!
//! Client and event loop live for one connection only: what rumqttc keeps from one to the next is not needed,
//! because the journal is the outbox, and a stuck event loop goes with its connection.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::mqttbytes::Error as WireError;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, LastWill, MqttOptions, QoS, StateError,
    TlsConfiguration, TlsError, Transport,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::outbox::WINDOW;
use crate::params::{MqttParams, MqttTls};
use crate::state::OFFLINE;

/// The broker notices within one and a half of this that we are gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Largest packet we take. Commands are shorter; only what others write on our topics could be longer.
const INCOMING: usize = 256 * 1024;
/// Largest packet we send: a record with all its texts at their longest, escaped, is below.
const OUTGOING: usize = 1024 * 1024;
/// Acknowledgements that may wait for the event loop.
pub(crate) const ACKS: usize = 32;
/// Requests that may wait for the event loop: the window, acknowledgements, and subscriptions and the farewell.
const REQUESTS: usize = WINDOW + ACKS + 8;
/// Events that may wait for us.
const EVENTS: usize = 128;
/// rumqttc's own limit, above our window.
const INFLIGHT: u16 = 100;
/// Where systems keep the certificates they trust.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsSetupError {
    #[error("no certificate in {}; it must be a PEM file", path.display())]
    Empty { path: PathBuf },
    #[error("no bundle of trusted certificates on this machine; set ca-file")]
    NoBundle,
    #[error("certificates in {} cannot be read: {source}", path.display())]
    Pem {
        path: PathBuf,
        source: rustls_pki_types::pem::Error,
    },
    #[error("cert-file {} and key-file {} do not fit together: {source}", cert.display(), key.display())]
    Pair {
        cert: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    #[error("the private key in {} cannot be read: {source}", path.display())]
    Key {
        path: PathBuf,
        source: rustls_pki_types::pem::Error,
    },
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

fn client_config(tls: &MqttTls) -> Result<ClientConfig, TlsSetupError> {
    let path = match &tls.ca_file {
        Some(path) => path.clone(),
        None => BUNDLES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
            .ok_or(TlsSetupError::NoBundle)?,
    };
    let roots = roots(&path)?;
    // named, not taken from the process: no other part can change it
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let Some((cert, key)) = &tls.client else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(cert)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsSetupError::Key {
        path: key.clone(),
        source,
    })?;
    builder
        .with_client_auth_cert(chain, secret)
        .map_err(|source| TlsSetupError::Pair {
            cert: cert.clone(),
            key: key.clone(),
            source,
        })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let pem = |source| TlsSetupError::Pem {
        path: path.to_owned(),
        source,
    };
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(pem)?.collect();
    let all = all.map_err(pem)?;
    if all.is_empty() {
        return Err(TlsSetupError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(all)
}

fn roots(path: &Path) -> Result<RootCertStore, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    // a bundle may hold some that are not understood
    let (taken, _) = roots.add_parsable_certificates(certificates(path)?);
    if taken == 0 {
        return Err(TlsSetupError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(roots)
}

fn options(params: &MqttParams, availability: &str) -> Result<MqttOptions, TlsSetupError> {
    let instance: String = params.instance.chars().take(8).collect();
    let id = format!("doorline-{}-{instance}", params.site_id);
    let is_v6 = params.host.parse::<std::net::Ipv6Addr>().is_ok();
    let host = if is_v6 && params.tls.is_none() {
        format!("[{}]", params.host)
    } else {
        params.host.clone()
    };
    let mut options = MqttOptions::new(id, host, params.port);
    options
        .set_clean_session(true)
        // a message is acknowledged when its answer has room, so that a broker sends no faster than that
        .set_manual_acks(true)
        .set_inflight(INFLIGHT)
        .set_keep_alive(KEEP_ALIVE)
        .set_last_will(LastWill::new(availability, OFFLINE, QoS::AtLeastOnce, true))
        .set_max_packet_size(INCOMING, OUTGOING);
    if let Some((user, password)) = &params.login {
        options.set_credentials(user, password.reveal());
    }
    if let Some(tls) = &params.tls {
        let config = TlsConfiguration::from(client_config(tls)?);
        options.set_transport(Transport::tls_with_config(config));
    }
    Ok(options)
}

/// A client and the task that polls its event loop. Dropping it closes the socket, and the last will speaks.
pub(crate) struct Connection {
    pub(crate) client: AsyncClient,
    /// Ends after the first error.
    pub(crate) events: mpsc::Receiver<Result<Event, ConnectionError>>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Begins to connect; the first event tells how it went.
    pub(crate) fn open(params: &MqttParams, availability: &str) -> Result<Self, TlsSetupError> {
        let (client, mut eventloop) = AsyncClient::new(options(params, availability)?, REQUESTS);
        let mut network = eventloop.network_options();
        network.set_tcp_nodelay(true);
        eventloop.set_network_options(network);
        let (tell, events) = mpsc::channel(EVENTS);
        let task = tokio::spawn(async move {
            loop {
                let event = eventloop.poll().await;
                let over = event.is_err();
                if tell.send(event).await.is_err() || over {
                    return;
                }
            }
        });
        Ok(Self { client, events, task })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why a connection failed or ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Trying again soon is useless: somebody must change something.
    pub(crate) lasting: bool,
    /// A message was too large to be taken: it would come again as often as we subscribe.
    pub(crate) oversized: bool,
    pub(crate) text: String,
}

/// The error in words, with what to do.
pub(crate) fn trouble(error: &ConnectionError, params: &MqttParams) -> Trouble {
    let broker = format!("{}:{}", params.host, params.port);
    let (lasting, text) = match error {
        ConnectionError::ConnectionRefused(code) => (true, refused(*code, &broker, params)),
        ConnectionError::Tls(TlsError::Io(e)) | ConnectionError::Io(e) => network(e, &broker, params),
        ConnectionError::Tls(TlsError::TLS(e)) => tls(e, &broker),
        ConnectionError::Tls(TlsError::DNSName(_)) => {
            let text = format!(
                "{:?} cannot be checked in a certificate; give the broker's host name",
                params.host
            );
            (true, text)
        }
        ConnectionError::Tls(e) => (false, format!("TLS with the broker {broker} failed: {e}")),
        ConnectionError::MqttState(StateError::Io(e) | StateError::Deserialization(WireError::Io(e))) => {
            network(e, &broker, params)
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            let text = format!(
                "the broker {broker} closed the connection; its log says why (access list, message size, another client with our id)"
            );
            (false, text)
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            (false, format!("the broker {broker} does not answer any more"))
        }
        ConnectionError::MqttState(StateError::Deserialization(WireError::PayloadSizeLimitExceeded(
            size,
        ))) => {
            return Trouble {
                lasting: false,
                oversized: true,
                text: format!(
                    "somebody sent {size} bytes to a topic of ours, more than {INCOMING} are not taken"
                ),
            };
        }
        ConnectionError::MqttState(StateError::Deserialization(e)) => {
            let text = format!("the broker {broker} sent what is not MQTT 3.1.1: {e}");
            (false, text)
        }
        ConnectionError::NotConnAck(_) => (
            true,
            format!("{broker} does not speak MQTT 3.1.1; check host and port"),
        ),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            let text =
                format!("the broker {broker} does not answer; check host, port, and mqtt:// or mqtts://");
            (false, text)
        }
        ConnectionError::MqttState(e) => (false, format!("the connection to the broker {broker} broke: {e}")),
        ConnectionError::RequestsDone => (false, format!("the connection to the broker {broker} ended")),
    };
    Trouble {
        lasting,
        oversized: false,
        text,
    }
}

fn refused(code: ConnectReturnCode, broker: &str, params: &MqttParams) -> String {
    let user = params.login.as_ref().map_or_else(
        || "no user name is configured".to_owned(),
        |(user, _)| format!("user {user:?}; check user and password"),
    );
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            format!("the broker {broker} refused our login: {user}")
        }
        ConnectReturnCode::BadClientId => format!("the broker {broker} refused our client id"),
        ConnectReturnCode::RefusedProtocolVersion => format!("the broker {broker} does not take MQTT 3.1.1"),
        ConnectReturnCode::ServiceUnavailable => format!("the broker {broker} is not available"),
        ConnectReturnCode::Success => format!("the broker {broker} refused the connection"),
    }
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
    if [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset].contains(&error.kind()) {
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
        let said = |error: ConnectionError, params: &MqttParams| trouble(&error, params);
        let refused = ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized);
        let found = said(refused, &params);
        assert!(found.lasting);
        assert_eq!(
            found.text,
            "the broker 127.0.0.1:1883 refused our login: no user name is configured"
        );
        params.login = Some(("door".into(), gateway_core::Secret::new("hidden-word")));
        let refused = ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword);
        let found = said(refused, &params);
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
        let wrapped = TlsError::Io(io::Error::new(io::ErrorKind::InvalidData, issuer));
        assert_eq!(
            said(wrapped.into(), &params).text,
            "the certificate of the broker 127.0.0.1:1883 is signed by a CA we do not trust; set ca-file to that CA's certificate"
        );
    }

    #[test]
    fn a_ca_file_that_is_missing_or_empty_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("ca.pem");
        let setup = || {
            let tls = MqttTls {
                ca_file: Some(path.clone()),
                client: None,
            };
            client_config(&tls)
                .map(|_| ())
                .expect_err("no certificates")
                .to_string()
        };
        assert!(setup().starts_with(&format!("certificates in {} cannot be read", path.display())));
        std::fs::write(&path, "nothing\n").expect("written");
        assert!(setup().starts_with(&format!("no certificate in {}", path.display())));
    }
}
