//! The broker of the demo: rumqttd as a library, on loopback only.
//!
//! It has no stop: its threads end with the process. Retained messages live in memory.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings, Strategy};

/// A broker that did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No port, or no thread.
    #[error("the embedded broker cannot listen on 127.0.0.1")]
    Listen(#[from] std::io::Error),
    /// It did not answer within 5 s.
    #[error("the embedded broker does not answer on 127.0.0.1:{port}")]
    Silent {
        /// Where.
        port: u16,
    },
}

/// A running broker.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedBroker {
    port: u16,
}

impl EmbeddedBroker {
    /// Starts a broker on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// [`EmbeddedError`] if it cannot listen.
    pub fn start() -> Result<Self, EmbeddedError> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut broker = Broker::new(config(listen));
        std::thread::Builder::new()
            .name("embedded-broker".into())
            .spawn(move || {
                if let Err(error) = broker.start() {
                    tracing::error!(%error, "the embedded broker ended");
                }
            })?;
        let deadline = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(listen).is_err() {
            if Instant::now() > deadline {
                return Err(EmbeddedError::Silent { port });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { port })
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

fn config(listen: SocketAddr) -> Config {
    let connections = ConnectionSettings {
        connection_timeout_ms: 5000,
        max_payload_size: 256 * 1024,
        max_inflight_count: 200,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = ServerSettings {
        name: "loopback".into(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    Config {
        id: 0,
        router: RouterConfig {
            max_connections: 64,
            max_outgoing_packet_count: 200,
            max_segment_size: 1024 * 1024,
            max_segment_count: 4,
            custom_segment: None,
            initialized_filters: None,
            shared_subscriptions_strategy: Strategy::default(),
        },
        v4: Some(HashMap::from([("loopback".to_owned(), server)])),
        v5: None,
        ws: None,
        cluster: None,
        console: None,
        bridge: None,
        prometheus: None,
        metrics: None,
    }
}
