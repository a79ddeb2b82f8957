//! TCP and TLS: connections we open, and the door for those that others open.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gateway_sip::{Flow, FlowId, Transport};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::seats::{Found, Seat, SharedSeats};
use super::udp::mark;
use super::{Dropped, Known, NetEvent, OUTBOX, Writer};

/// Longest time one message may take to be written before the peer counts as gone.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Longest time for the TLS handshake of someone who connects to us.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// Bytes read at once.
const CHUNK: usize = 4096;

/// Opens a connection from an address, marked with a code point; with `tls` the certificate must be valid for `name`.
pub(super) async fn connect(
    remote: SocketAddr,
    (bind, dscp): (IpAddr, u8),
    name: &str,
    tls: Option<&Arc<ClientConfig>>,
    id: FlowId,
    events: &mpsc::Sender<NetEvent>,
) -> io::Result<(Flow, Writer)> {
    let socket = if remote.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if !bind.is_unspecified() && bind.is_ipv4() == remote.is_ipv4() {
        socket.bind(SocketAddr::new(bind, 0))?;
    }
    mark(&socket, remote.is_ipv4(), dscp);
    let stream = socket.connect(remote).await?;
    prepare(&stream)?;
    let flow = Flow {
        id,
        local: stream.local_addr()?,
        transport: if tls.is_some() {
            Transport::Tls
        } else {
            Transport::Tcp
        },
        remote,
    };
    let writer = match tls {
        Some(config) => {
            let name = ServerName::try_from(name.to_owned())
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
            let stream = TlsConnector::from(Arc::clone(config))
                .connect(name, stream)
                .await
                .map_err(|error| untrusted(error, remote))?;
            run(stream, flow, events.clone(), None)
        }
        None => run(stream, flow, events.clone(), None),
    };
    Ok((flow, writer))
}

/// A certificate that is not taken, in words that say what to do; other errors as they are.
fn untrusted(error: io::Error, remote: SocketAddr) -> io::Error {
    match gateway_tls_client::certificate_fault(&error, "tls-ca-file") {
        Some(why) => io::Error::new(error.kind(), format!("the certificate of {remote} {why}")),
        None => error,
    }
}

/// Why a connection ended. With TLS 1.3 whoever wants a certificate of us says so after the handshake (RFC 8446 §4.4.2.4).
fn ended(error: &io::Error) -> String {
    use rustls::AlertDescription as Alert;
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::AlertReceived(alert)) = inner else {
        return error.to_string();
    };
    let what = if *alert == Alert::CertificateRequired {
        "it wants a certificate of ours; set tls-cert-file and tls-key-file"
    } else if [
        Alert::AccessDenied,
        Alert::BadCertificate,
        Alert::CertificateExpired,
        Alert::CertificateRevoked,
        Alert::CertificateUnknown,
        Alert::UnknownCA,
        Alert::UnsupportedCertificate,
    ]
    .contains(alert)
    {
        "it does not take our certificate"
    } else {
        "it ended TLS"
    };
    format!("{what} (alert {alert:?})")
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A peer that lost its power is noticed though we have nothing to say.
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Starts the task of one connection; `seat` of one that somebody opened to us.
fn run<S>(stream: S, flow: Flow, events: mpsc::Sender<NetEvent>, seat: Option<Seat>) -> Writer
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (outbox, mut queue) = mpsc::channel::<Bytes>(OUTBOX);
    let (start, started) = oneshot::channel::<()>();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let task = tokio::spawn(async move {
        // Nothing is read before the driver knows the connection; a driver that does not want it drops it.
        if started.await.is_err() {
            return;
        }
        let read = async {
            let mut buffer = BytesMut::with_capacity(CHUNK);
            loop {
                buffer.reserve(CHUNK);
                match reader.read_buf(&mut buffer).await {
                    Ok(0) => return "closed by the peer".to_owned(),
                    Ok(_) => {
                        let bytes = buffer.split().freeze();
                        if events.send(NetEvent::Received { flow, bytes }).await.is_err() {
                            return "engine stopped".to_owned();
                        }
                    }
                    Err(e) => return ended(&e),
                }
            }
        };
        let write = async {
            while let Some(bytes) = queue.recv().await {
                match tokio::time::timeout(WRITE_LIMIT, writer.write_all(&bytes)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(e)) => return e.to_string(),
                    Err(_) => return "the peer does not read".to_owned(),
                }
                if queue.is_empty()
                    && let Err(e) = writer.flush().await
                {
                    return e.to_string();
                }
            }
            // The peer may be dead already; nothing is lost then.
            let _ = tokio::time::timeout(WRITE_LIMIT, writer.shutdown()).await;
            "closed by us".to_owned()
        };
        let leave = async {
            match &seat {
                Some(seat) => seat.leave.notified().await,
                None => std::future::pending().await,
            }
            "it made room for another".to_owned()
        };
        let why = tokio::select! {
            why = read => why,
            why = write => why,
            why = leave => why,
        };
        let _ = events.send(NetEvent::Closed { flow, why }).await;
        drop(seat);
    });
    Writer {
        outbox,
        start: Some(start),
        task,
    }
}

/// A listener and the limits at it.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) config: Option<Arc<ServerConfig>>,
    pub(super) dropped: Dropped,
    pub(super) dscp: u8,
    pub(super) events: mpsc::Sender<NetEvent>,
    pub(super) known: Known,
    pub(super) next_conn: Arc<AtomicU64>,
    pub(super) seats: SharedSeats,
}

impl Door {
    pub(super) async fn open(self, address: SocketAddr) -> io::Result<(SocketAddr, JoinHandle<()>)> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            let socket = TcpSocket::new_v6()?;
            // the other family has a socket of its own
            SockRef::from(&socket).set_only_v6(true)?;
            socket
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        // what is accepted inherits it
        mark(&socket, address.is_ipv4(), self.dscp);
        let listener = socket.listen(64)?;
        let local = listener.local_addr()?;
        Ok((local, tokio::spawn(self.serve(listener))))
    }

    fn seat(&self, id: FlowId, source: IpAddr) -> Option<Seat> {
        let found = {
            let known = self.known.read().expect("no holder of this lock panics");
            let mut seats = self.seats.lock().expect("no holder of this lock panics");
            seats.take(id, source, &known)
        };
        let Some(Found { leave, removed }) = found else {
            self.turned_away(source);
            return None;
        };
        if let Some(removed) = removed {
            self.turned_away(removed);
        }
        Some(Seat {
            id,
            leave,
            seats: Arc::clone(&self.seats),
        })
    }

    fn turned_away(&self, source: IpAddr) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.tell_stranger(source);
    }

    fn tell_stranger(&self, source: IpAddr) {
        let known = self.known.read().expect("no holder of this lock panics");
        if !known.contains(&source.to_canonical()) {
            // A driver that is so far behind has heard of enough of them; the counter has all.
            let _ = self.events.try_send(NetEvent::Stranger { source });
        }
    }

    async fn serve(self, listener: TcpListener) {
        loop {
            let Ok((stream, remote)) = listener.accept().await else {
                // Out of file descriptors: wait for some to come back instead of spinning.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let id = FlowId(self.next_conn.fetch_add(1, Ordering::Relaxed));
            let Some(seat) = self.seat(id, remote.ip()) else {
                continue;
            };
            let Ok(local) = stream.local_addr() else { continue };
            let flow = Flow {
                id,
                local,
                transport: if self.config.is_some() {
                    Transport::Tls
                } else {
                    Transport::Tcp
                },
                remote,
            };
            if prepare(&stream).is_err() {
                continue;
            }
            let events = self.events.clone();
            let config = self.config.clone();
            let door = self.clone();
            tokio::spawn(async move {
                let writer = match config {
                    Some(config) => {
                        let shake = TlsAcceptor::from(config).accept(stream);
                        let leave = Arc::clone(&seat.leave);
                        let shaken = tokio::select! {
                            shaken = tokio::time::timeout(HANDSHAKE_LIMIT, shake) => shaken,
                            () = leave.notified() => return,
                        };
                        match shaken {
                            Ok(Ok(stream)) => run(stream, flow, events.clone(), Some(seat)),
                            Ok(Err(_)) => return door.tell_stranger(remote.ip()),
                            Err(_) => return door.turned_away(remote.ip()),
                        }
                    }
                    None => run(stream, flow, events.clone(), Some(seat)),
                };
                // Without a driver the writer is dropped, and with it the connection.
                let _ = events.send(NetEvent::Accepted { flow, writer }).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::CertificateError;

    #[test]
    fn a_certificate_that_is_not_taken_is_told_with_what_to_do() {
        let remote: SocketAddr = "192.0.2.1:5061".parse().expect("an address");
        let said = |bad| {
            let error = rustls::Error::InvalidCertificate(bad);
            untrusted(io::Error::new(io::ErrorKind::InvalidData, error), remote).to_string()
        };
        assert_eq!(
            said(CertificateError::UnknownIssuer),
            "the certificate of 192.0.2.1:5061 is signed by a CA we do not trust; set tls-ca-file to that CA's certificate"
        );
        assert_eq!(
            said(CertificateError::NotValidForName),
            "the certificate of 192.0.2.1:5061 is for another host name; use the name that stands in it"
        );
        let other = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(untrusted(other, remote).kind(), io::ErrorKind::ConnectionRefused);
    }
}
