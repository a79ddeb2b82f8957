//! What one stranger can take: connections in all and per address, and time.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Connections in all.
pub(crate) const CONNECTIONS: usize = 128;
/// Connections per IPv4 address or IPv6 /64. A loopback address may have [`CONNECTIONS`] less this many.
pub(crate) const PER_SOURCE: usize = 24;
/// Bytes of a request's head, and of its body.
pub(crate) const REQUEST: usize = 64 * 1024;
/// Bytes of a site file that is sent by an administrator.
pub(crate) const SITE_FILE: usize = 512 * 1024;
/// For the TLS handshake, for the head, for the body: each.
pub(crate) const READ_TIME: Duration = Duration::from_secs(10);
/// For an answer that does not stream.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(15);
/// A client that takes no bytes for so long is cut.
pub(crate) const STALL_TIME: Duration = Duration::from_secs(20);

/// The source that limits and throttles count: an IPv4 address, or the /64 of an IPv6 address, since a
/// stranger commands a whole /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(IpAddr);

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(IpAddr::V4(v4)),
            IpAddr::V6(v6) if v6.is_loopback() => Self(IpAddr::V6(v6)),
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !0 << 64))),
        }
    }

    fn limit(self) -> usize {
        if self.0.is_loopback() {
            CONNECTIONS - PER_SOURCE
        } else {
            PER_SOURCE
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) if v6.is_loopback() => v6.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

/// Open connections by source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<BTreeMap<Source, usize>>>);

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    source: Source,
}

impl Places {
    /// A place for a new connection, `None` if there are too many.
    pub(crate) fn take(&self, source: Source) -> Option<Place> {
        let mut all = self.lock();
        let total: usize = all.values().sum();
        let mine = all.get(&source).copied().unwrap_or(0);
        if total >= CONNECTIONS || mine >= source.limit() {
            return None;
        }
        all.insert(source, mine + 1);
        Some(Place {
            places: self.clone(),
            source,
        })
    }

    /// How many there are.
    pub(crate) fn open(&self) -> usize {
        self.lock().values().sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Source, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.places.lock();
        if let Some(n) = all.get_mut(&self.source) {
            *n -= 1;
            if *n == 0 {
                all.remove(&self.source);
            }
        }
    }
}

/// A stream whose writes must go on: the peer that takes nothing for the limit gets an error.
pub(crate) struct Cut<S> {
    io: S,
    limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Cut<S> {
    pub(crate) const fn new(io: S, limit: Duration) -> Self {
        Self {
            io,
            limit,
            stalled: None,
        }
    }

    fn judge<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let limit = self.limit;
        let sleep = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client takes no bytes",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cut<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cut<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, buf);
        self.judge(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(cx);
        self.judge(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_shutdown(cx);
        self.judge(cx, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn source(text: &str) -> Source {
        Source::of(text.parse().expect("an address"))
    }

    #[test]
    fn a_source_is_an_address_or_a_64_bit_network() {
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
        assert_eq!(source("::1").to_string(), "::1");
    }

    #[test]
    fn one_source_leaves_room_for_others_and_gives_its_places_back() {
        let places = Places::default();
        let greedy: Vec<_> = (0..200)
            .filter_map(|_| places.take(source("192.0.2.1")))
            .collect();
        assert_eq!(greedy.len(), PER_SOURCE);
        assert!(places.take(source("192.0.2.2")).is_some());
        drop(greedy);
        assert_eq!(places.open(), 0);
        let crowd: Vec<_> = (0..1000u32)
            .filter_map(|n| places.take(Source::of(IpAddr::V4((0x0a00_0000 + n).into()))))
            .collect();
        assert_eq!(crowd.len(), CONNECTIONS);
    }

    #[tokio::test]
    async fn a_client_that_takes_no_bytes_is_cut() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut cut = Cut::new(ours, Duration::from_millis(5));
        let error = cut.write_all(&[0; 100]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
