//! Syslog (RFC 5424) by datagram (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425).

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Record, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

use crate::dial::dial;
use crate::params::{Facility, Syslog, SyslogTransport};
use crate::sent::NotSent;

/// What every receiver of datagrams should take (RFC 5426 §3.2).
pub const DATAGRAM: usize = 2048;
/// What a receiver of streams should take (RFC 5425 §4.3.1).
pub const MESSAGE: usize = 8192;
/// What a server's system refuses comes after a round trip; and so much later, on a busy machine.
const REFUSAL: Duration = Duration::from_millis(20);
/// How long a server may take to read what is sent and to close in its turn.
const CLOSE: Duration = Duration::from_secs(15);

/// Severity (RFC 5424 §6.2.1): what has to be looked at comes before what is only told.
fn severity(kind: &str) -> u8 {
    match kind {
        "access.duress" | "gateway.fire" | "gateway.fire-alarm" | "door.forced" | "door.tamper" => 1,
        "door.lock-fault"
        | "device.fault"
        | "gateway.guard"
        | "gateway.journal-damage"
        | "gateway.journal-fault" => 3,
        "account.failed"
        | "door.held-open"
        | "gateway.clock"
        | "gateway.factory"
        | "gateway.network"
        | "gateway.notify-dropped"
        | "gateway.second-instance"
        | "user.login-locked"
        | "panel.button-stuck"
        | "relay.switched" => 4,
        "rule.failed" | "rule.held-back" | "door.denied" | "command.refused" | "command.dropped"
        | "user.login-failed" => 5,
        _ => 6,
    }
}

/// A message of syslog (RFC 5424).
#[derive(Clone, Copy, Debug)]
pub struct SyslogLine<'a> {
    /// When.
    pub at: Timestamp,
    /// Facility, 0 to 23 (§6.2.1).
    pub facility: u8,
    /// Host (§6.2.4): graphic ASCII, or `-`.
    pub host: &'a str,
    /// What kind of message (§6.2.7): graphic ASCII, at most 32, or `-`.
    pub id: &'a str,
    /// Number of the process (§6.2.6); 0 for none.
    pub process: u32,
    /// What is said.
    pub said: &'a str,
    /// Number of the message as `sequenceId` (§7.3.1), which ends at 2^31 - 1.
    pub sequence: Option<u64>,
    /// Severity, 0 to 7 (§6.2.1).
    pub severity: u8,
}

impl SyslogLine<'_> {
    /// The message, of at most `limit` octets.
    #[must_use]
    pub fn message(&self, limit: usize) -> Vec<u8> {
        let Self { host, id, said, .. } = self;
        let priority = u16::from(self.facility) * 8 + u16::from(self.severity);
        // at most 6 digits of a second (RFC 5424 §6.2.3)
        let at = self.at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
        let process = match self.process {
            0 => "-".to_owned(),
            process => process.to_string(),
        };
        let data = self.sequence.map_or_else(
            || "-".to_owned(),
            |sequence| format!("[meta sequenceId=\"{}\"]", sequence % 0x8000_0000),
        );
        let mut text = format!("<{priority}>1 {at} {host} doorline {process} {id} {data} ");
        if !said.is_ascii() {
            // RFC 5424 §6.4: what is UTF-8 says so
            text.push('\u{feff}');
        }
        text += said;
        let mut end = text.len().min(limit);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.into_bytes()
    }
}

/// The message of a record, under its number in the journal.
fn message(record: &Record, site_id: &str, facility: Facility, limit: usize) -> Vec<u8> {
    let kind: String = record.kind.chars().take(32).collect();
    let line = SyslogLine {
        at: record.at,
        facility: facility.0,
        host: site_id,
        id: &kind,
        process: 0,
        said: &record.line(),
        sequence: Some(record.seq.0),
        severity: severity(&record.kind),
    };
    line.message(limit)
}

/// Sends all or, by what is known, none. A stream is closed after them and the server's own close waited for: only that
/// tells that it has read them. Unless it closed before: then its system refuses what came afterwards.
pub(crate) async fn send(to: &Syslog, site_id: &str, batch: &[Arc<Record>]) -> Result<(), NotSent> {
    let tls = match to.transport {
        SyslogTransport::Udp => return send_datagrams(to, site_id, batch).await,
        SyslogTransport::Tcp => false,
        SyslogTransport::Tls => true,
    };
    let began = Instant::now();
    let mut stream = dial(&to.host, to.port, tls, to.ca_file.as_deref()).await?;
    let round_trip = began.elapsed();
    let mut bytes = Vec::new();
    for record in batch {
        let message = message(record, site_id, to.facility, MESSAGE);
        bytes.extend_from_slice(format!("{} ", message.len()).as_bytes());
        bytes.extend_from_slice(&message);
    }
    let broken =
        |error: std::io::Error| NotSent::later(format!("{}:{} broke off: {error}", to.host, to.port));
    let mut answer = [0; 64];
    let tell = async {
        stream.write_all(&bytes).await.map_err(broken)?;
        stream.shutdown().await.map_err(broken)?;
        loop {
            match stream.read(&mut answer).await {
                Ok(0) => break,
                Ok(_) => {}
                // servers that end TLS without saying so have still read what came before
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(broken(error)),
            }
        }
        sleep(2 * round_trip + REFUSAL).await;
        stream.refusal().map_or(Ok(()), |error| Err(broken(error)))
    };
    let text = || {
        let s = CLOSE.as_secs();
        NotSent::later(format!(
            "{}:{} does not read what is sent within {s} s",
            to.host, to.port
        ))
    };
    timeout(CLOSE, tell).await.unwrap_or_else(|_| Err(text()))
}

async fn send_datagrams(to: &Syslog, site_id: &str, batch: &[Arc<Record>]) -> Result<(), NotSent> {
    let failed =
        |error: std::io::Error| NotSent::later(format!("{}:{} cannot be told: {error}", to.host, to.port));
    let address = tokio::net::lookup_host(format!("{}:{}", to.host, to.port))
        .await
        .map_err(failed)?
        .next()
        .ok_or_else(|| NotSent::later(format!("{} has no address", to.host)))?;
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    socket.connect(address).await.map_err(failed)?;
    for record in batch {
        let message = message(record, site_id, to.facility, DATAGRAM);
        socket.send(&message).await.map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::record;

    #[tokio::test]
    async fn what_a_server_that_closes_at_once_did_not_read_is_not_sent() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let to = Syslog {
            ca_file: None,
            facility: Facility(16),
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().expect("bound").port(),
            transport: SyslogTransport::Tcp,
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream);
            }
        });
        let batch: Vec<_> = std::iter::repeat_n(Arc::new(record(12)), 100).collect();
        for n in 0..50 {
            assert!(send(&to, "lilas", &batch).await.is_err(), "time {n}");
        }
    }

    #[test]
    fn the_exact_message() {
        let text = String::from_utf8(message(&record(12), "lilas", Facility(20), MESSAGE)).expect("text");
        assert_eq!(
            text,
            "<166>1 2026-03-01T12:00:00.250000Z lilas doorline - door.granted [meta sequenceId=\"12\"] door.granted front, \
             factor digits, grant 7, rule code \"9\" <main>, subject contact:sip:1000@pbx"
        );
    }

    #[test]
    fn what_is_not_ascii_says_that_it_is_utf_8_and_is_cut_between_characters() {
        let mut record = record(1);
        record.source = "é".repeat(3000);
        let bytes = message(&record, "lilas", Facility(16), DATAGRAM);
        assert!(bytes.len() <= DATAGRAM && bytes.len() > DATAGRAM - 4);
        let text = String::from_utf8(bytes).expect("whole characters");
        assert!(text.contains("\"] \u{feff}door.granted é"), "{text}");
    }

    #[test]
    fn alarms_are_more_urgent_than_news() {
        assert!(severity("gateway.fire") < severity("door.denied"));
        assert!(severity("door.denied") < severity("door.granted"));
    }
}
