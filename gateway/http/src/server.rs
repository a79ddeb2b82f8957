//! The accept loop: one task per connection, with limits from the first byte on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway_bus::Bus;
use gateway_core::Clock;
use gateway_radius::ServerFault;
use http::{HeaderValue, header};
use hyper::service::Service as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::App;
use crate::ask::Peer;
use crate::dispatch;
use crate::limits::{Cut, READ_TIME, REQUEST, STALL_TIME, Source};
use crate::live;
use crate::params::{HttpError, HttpParams, Tls};
use crate::radius;
use crate::tls::{self, Served};

/// How long open answers may take at [`HttpHandle::shutdown`].
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Pause after a failed `accept`: it fails for lack of file descriptors, and trying at once burns the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// First byte of a TLS connection: a handshake record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// A running interface. Dropping it stops the interface at once.
pub struct HttpHandle {
    app: Arc<App>,
    local: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl HttpHandle {
    /// Where it listens, with the real port if 0 was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// SHA-256 of the certificate as a browser shows it, `None` without TLS.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        self.app.served().map(|served| served.shown.fingerprint)
    }

    /// Reads the certificate again; connections made from then on use it. The old one stays if that fails.
    ///
    /// # Errors
    /// [`HttpError`] of the files.
    pub fn reload_tls(&self) -> Result<(), HttpError> {
        self.app.reload_tls()
    }

    /// The certificate that new connections get, and when that changes; `None` without TLS.
    #[must_use]
    pub fn certificates(&self) -> Certificates {
        Certificates(self.app.certificates())
    }

    /// The one-time code that makes the first user, for the terminal only. `None` once there is a user, or
    /// when the code has expired.
    #[must_use]
    pub fn setup_code(&self) -> Option<String> {
        self.app.setup_code()
    }

    /// What to do if users are lost: set-up over the network is closed then.
    #[must_use]
    pub fn lost_users(&self) -> Option<String> {
        self.app.lost_users()
    }

    /// RADIUS servers that did not answer when they were asked last; `None` if none is asked.
    #[must_use]
    pub fn radius_faults(&self) -> Option<watch::Receiver<Vec<ServerFault>>> {
        self.app.radius.as_ref().map(|radius| radius.client.faults())
    }

    /// Takes no more connections, lets open answers end for at most two seconds, and closes all.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.task).await
            && error.is_panic()
        {
            tracing::error!("the HTTP accept loop panicked");
        }
        self.app.end_sessions().await;
    }
}

/// The certificate that is served, as long as the interface runs.
pub struct Certificates(watch::Receiver<Option<Arc<tls::Identity>>>);

impl Certificates {
    /// The one that is served.
    #[must_use]
    pub fn now(&mut self) -> Option<Served> {
        let identity = self.0.borrow_and_update();
        identity.as_ref().map(|identity| identity.served.clone())
    }

    /// Waits for another one. False if the interface has ended.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

impl Drop for HttpHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.task.abort();
    }
}

/// Starts the interface on the current tokio runtime.
///
/// # Errors
/// [`HttpError`]: a taken port has `io::ErrorKind::AddrInUse` in its source; an address that is not loopback
/// needs TLS.
pub async fn start(params: HttpParams, bus: Bus, clock: Arc<dyn Clock>) -> Result<HttpHandle, HttpError> {
    if params.tls == Tls::Off && !params.listen.ip().is_loopback() {
        return Err(HttpError::Plain {
            listen: params.listen,
        });
    }
    let (stop, stopped) = watch::channel(false);
    let listen = params.listen;
    let bind = |source| HttpError::Bind { listen, source };
    let identity = tls::load(&params.tls, clock.wall())?;
    let listener = TcpListener::bind(listen).await.map_err(bind)?;
    let local = listener.local_addr().map_err(bind)?;
    let app = Arc::new(App::new(params, bus, clock, stopped.clone(), identity)?);
    let accept = Accept {
        app: app.clone(),
        routes: dispatch::routes(app.clone()),
        stopped,
    };
    tokio::spawn(live::count(app.clone()));
    if app.radius.is_some() {
        tokio::spawn(radius::sweep(app.clone()));
    }
    let task = tokio::spawn(accept.run(listener));
    tracing::info!(%local, tls = app.tls(), "HTTP listens");
    Ok(HttpHandle {
        app,
        local,
        stop,
        task,
    })
}

#[derive(Clone)]
struct Accept {
    app: Arc<App>,
    routes: BoxedFilter<(Response,)>,
    stopped: watch::Receiver<bool>,
}

impl Accept {
    async fn run(mut self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.stopped.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((socket, address)) => {
                    let Some(place) = self.app.places.take(Source::of(address.ip())) else {
                        self.app.metrics.turned_away();
                        tracing::debug!(%address, "connection turned away, there are too many");
                        continue;
                    };
                    let peer = Peer {
                        address,
                        place: Arc::new(place),
                    };
                    connections.spawn(self.clone().serve(socket, peer));
                }
                Err(error) => {
                    tracing::warn!(%error, "connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            connections.shutdown().await;
        }
    }

    async fn serve(self, socket: TcpStream, peer: Peer) {
        let address = peer.address;
        let config = self.app.tls_config();
        let _ = socket.set_nodelay(true);
        let Some(config) = config else {
            return self.exchange(Cut::new(socket, STALL_TIME), peer).await;
        };
        match tokio::time::timeout(READ_TIME, handshake(socket, config)).await {
            Ok(Ok(stream)) => self.exchange(Cut::new(stream, STALL_TIME), peer).await,
            Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
        }
    }

    async fn exchange(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
        let address = peer.address;
        let routes = TowerToHyperService::new(warp::service(self.routes));
        let service = hyper::service::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer.clone());
            target_names_host(&mut request);
            routes.call(request)
        });
        let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(READ_TIME)
            .max_buf_size(REQUEST)
            .max_headers(64);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let stopped = async { drop(self.stopped.wait_for(|stop| *stop).await) };
        let ended = tokio::select! {
            result = &mut connection => Some(result),
            () = stopped => None,
        };
        let result = match ended {
            Some(result) => result,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%address, error, "connection ended early");
        }
    }
}

/// A target that names its host counts before the header (RFC 9112 §3.2.2).
fn target_names_host<B>(request: &mut http::Request<B>) {
    let named = request
        .uri()
        .authority()
        .map(|host| HeaderValue::from_str(host.as_str()));
    if let Some(Ok(host)) = named {
        request.headers_mut().insert(header::HOST, host);
    }
}

/// Someone who types `http://` gets a sentence instead of a closed connection.
async fn handshake(
    mut socket: TcpStream,
    config: Arc<ServerConfig>,
) -> std::io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let mut first = [0];
    if socket.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
        socket.write_all(PLAIN_ON_TLS).await?;
        socket.shutdown().await?;
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "not a TLS handshake",
        ));
    }
    TlsAcceptor::from(config).accept(socket).await
}

const PLAIN_ON_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\
content-length: 60\r\n\r\nThis port speaks TLS only: use https:// in front of address\n";
