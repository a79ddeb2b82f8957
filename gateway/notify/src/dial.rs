//! Connections, in clear or under TLS, with failures in words.

use std::path::Path;
use std::time::Duration;

use gateway_tls_client::{TlsStream, secure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::sent::NotSent;

/// Longest time for a connection and its handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// What the other side's system answered to something that was sent, if it was a refusal.
    fn refusal(&self) -> Option<std::io::Error>;
}

impl Stream for TcpStream {
    fn refusal(&self) -> Option<std::io::Error> {
        self.take_error().unwrap_or_else(Some)
    }
}

impl Stream for TlsStream<TcpStream> {
    fn refusal(&self) -> Option<std::io::Error> {
        self.get_ref().0.refusal()
    }
}

/// Connects; with TLS the server has to show a certificate for `host`.
pub(crate) async fn dial(
    host: &str,
    port: u16,
    tls: bool,
    ca_file: Option<&Path>,
) -> Result<Box<dyn Stream>, NotSent> {
    let address = format!("{host}:{port}");
    let connect = async {
        let stream = TcpStream::connect(&address)
            .await
            .map_err(|error| NotSent::later(format!("{address} cannot be reached: {error}")))?;
        let _ = stream.set_nodelay(true);
        if !tls {
            return Ok(Box::new(stream) as Box<dyn Stream>);
        }
        match secure(stream, host, ca_file).await {
            Ok(stream) => Ok(Box::new(stream) as Box<dyn Stream>),
            Err(error) => Err(NotSent::later(format!("{address}: {error}"))),
        }
    };
    timeout(CONNECT, connect).await.unwrap_or_else(|_| {
        Err(NotSent::later(format!(
            "{address} does not answer within {} s",
            CONNECT.as_secs()
        )))
    })
}
