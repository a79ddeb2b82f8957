//! One visit to the server: connect, protect, ask, leave.

use std::io;
use std::time::Duration;

use gateway_ldap::{Failure, Found, Output, Query, Session};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::params::{Params, Tls};
use gateway_tls_client::{TlsError, secure};

/// For the connection.
const CONNECT: Duration = Duration::from_secs(5);
/// For the whole visit.
const WHOLE: Duration = Duration::from_secs(30);

/// Why a visit led to nothing; each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VisitError {
    #[error("cannot connect, {0}: is the server running, and is this its address?")]
    Connect(io::Error),
    #[error("the connection broke off: {0}")]
    Io(#[from] io::Error),
    #[error("{0}{hint}", hint = remedy(.0))]
    Ldap(Failure),
    #[error("the server took more than {} s", .0.as_secs())]
    Slow(Duration),
    #[error("{0}")]
    Tls(#[from] TlsError),
}

fn remedy(failure: &Failure) -> &'static str {
    let Failure::Refused { code, .. } = failure else {
        return "";
    };
    match code {
        4 | 11 => ": have the server allow more entries, or narrow the filter",
        8 | 13 => ": set tls",
        32 | 34 => ": check base and bind-dn",
        48 | 49 => ": check bind-dn and password",
        50 => ": give this DN the right to read name and number",
        _ => "",
    }
}

/// How a conversation went on.
enum Turn {
    Done(Found),
    Secure,
}

/// Reads the directory once.
pub(crate) async fn visit(params: &Params) -> Result<Found, VisitError> {
    let whole = timeout(WHOLE, visited(params)).await;
    whole.unwrap_or(Err(VisitError::Slow(WHOLE)))
}

async fn visited(params: &Params) -> Result<Found, VisitError> {
    let host = params.host.trim_start_matches('[').trim_end_matches(']');
    let connected = timeout(CONNECT, TcpStream::connect((host, params.port))).await;
    let mut stream = connected
        .map_err(|_| VisitError::Slow(CONNECT))?
        .map_err(VisitError::Connect)?;
    let ca = params.ca_file.as_deref();
    let query = Query {
        start_tls: params.tls == Tls::StartTls,
        ..params.query.clone()
    };
    if params.tls == Tls::Ldaps {
        let mut stream = secure(stream, &params.host, ca).await?;
        let mut session = Session::begin(query, true);
        return finished(talk(&mut stream, &mut session).await?);
    }
    let mut session = Session::begin(query, false);
    match talk(&mut stream, &mut session).await? {
        Turn::Done(found) => Ok(found),
        Turn::Secure => {
            let mut stream = secure(stream, &params.host, ca).await?;
            session.handle_secured();
            finished(talk(&mut stream, &mut session).await?)
        }
    }
}

fn finished(turn: Turn) -> Result<Found, VisitError> {
    match turn {
        Turn::Done(found) => Ok(found),
        Turn::Secure => Err(VisitError::Ldap(Failure::Protocol("TLS within TLS".to_owned()))),
    }
}

async fn talk(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    session: &mut Session,
) -> Result<Turn, VisitError> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        while let Some(output) = session.poll_output() {
            match output {
                Output::Done(found) => {
                    // polite, and of no consequence
                    let _ = stream.shutdown().await;
                    return Ok(Turn::Done(found));
                }
                Output::Failed(failure) => return Err(VisitError::Ldap(failure)),
                Output::Send(bytes) => {
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                }
                Output::StartTls => return Ok(Turn::Secure),
            }
        }
        match stream.read(&mut buffer).await? {
            0 => session.handle_closed(),
            length => session.handle_bytes(&buffer[..length]),
        }
    }
}
