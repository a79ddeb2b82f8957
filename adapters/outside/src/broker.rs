//! Which broker, and how it is asked for.

use std::io::{self, Read as _};
use std::path::PathBuf;

use gateway_core::Secret;
use gateway_mqtt_wire::MqttVersion;

/// Most bytes of a file with a password.
const LONGEST: u64 = 4096;

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// The first line of a file, read at each connect: the relay guard reads no secret at its start.
    File(PathBuf),
    /// It is known.
    Known(Secret),
}

impl Password {
    /// The password, or why there is none.
    pub(crate) fn get(&self) -> io::Result<Secret> {
        match self {
            Self::Known(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let mut text = String::new();
                std::fs::File::open(path)?
                    .take(LONGEST)
                    .read_to_string(&mut text)?;
                let line = text
                    .trim_start_matches('\u{feff}')
                    .lines()
                    .next()
                    .unwrap_or_default();
                Ok(Secret::new(line))
            }
        }
    }
}

/// What is trusted, and what we show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerTls {
    /// Certificates that the broker's has to lead to; `None` for the machine's own bundle.
    pub ca_file: Option<PathBuf>,
    /// Chain and key of our own.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// A broker and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// User and password.
    pub login: Option<(String, Password)>,
    /// TCP port.
    pub port: u16,
    /// `None` for a connection in clear.
    pub tls: Option<BrokerTls>,
    /// Which MQTT is spoken.
    pub version: MqttVersion,
}

impl std::fmt::Display for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
