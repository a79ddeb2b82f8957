//! Ports of speech that others see elsewhere: some pairs are kept ready, with what a STUN server says of them, so that no
//! call waits for it (as browsers do with their pool of candidates, RFC 8829 §3.5.4).
//!
//! A router may give any port another number outside, so each has to be asked for by itself, and again before the router
//! forgets. A pair is out of the pool while it is asked for: what comes to a leg is never read here.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_media::stun::{Kind, Message, Writer, is_place};
use gateway_media::{Engine, PortPair, Seen};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::outside::look_up;

/// Pairs that are kept: as many as calls begin at once where several phones ring.
const PAIRS: usize = 4;
/// What a server said counts for so long; routers remember for at least 30 s.
const FRESH: Duration = Duration::from_secs(20);
/// How often a server is asked for one port, and how long each time.
const WAITS: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(1_000),
];
/// A pair is offered no longer than this after it was asked for: what was said may be so no more.
const KEPT: Duration = Duration::from_secs(30);
/// Time between two tries with a server that is silent: at first, doubled each time, and at most.
const AGAIN: Duration = Duration::from_secs(2);
const AT_MOST: Duration = Duration::from_secs(60);

/// See the [module](self).
pub(crate) struct Ready {
    server: Option<String>,
    pool: Arc<Pool>,
    task: Option<AbortHandle>,
}

#[derive(Default)]
struct Pool {
    pairs: Mutex<VecDeque<(Instant, PortPair)>>,
    /// One was taken.
    taken: Notify,
}

impl Pool {
    fn with<T>(&self, act: impl FnOnce(&mut VecDeque<(Instant, PortPair)>) -> T) -> T {
        act(&mut self.pairs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ready {
    /// None are kept until it is configured.
    pub(crate) fn new() -> Self {
        Self {
            server: None,
            pool: Arc::default(),
            task: None,
        }
    }

    /// From here on this server is asked, if any.
    pub(crate) fn configure(&mut self, server: Option<&str>, engine: &Engine) {
        if self.server.as_deref() == server {
            return;
        }
        self.stop();
        self.pool = Arc::default();
        self.server = server.map(str::to_owned);
        if let Some(server) = self.server.clone() {
            let keeping = keep(server, engine.clone(), Arc::clone(&self.pool));
            self.task = Some(tokio::spawn(keeping).abort_handle());
        }
    }

    /// A pair that others see, if one is ready.
    pub(crate) fn take(&self) -> Option<PortPair> {
        let (since, pair) = self.pool.with(VecDeque::pop_back)?;
        self.pool.taken.notify_one();
        (since.elapsed() < KEPT).then_some(pair)
    }

    fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Keeps pairs ready for ever. What one exchange lost costs the others nothing: they are offered as long as they count.
async fn keep(server: String, engine: Engine, pool: Arc<Pool>) {
    let mut again = AGAIN;
    loop {
        if let Err(error) = keep_while_it_answers(&server, &engine, &pool, &mut again).await {
            tracing::debug!(server, %error, "no port of speech is made ready");
        }
        sleep(again).await;
        pool.with(|pairs| pairs.retain(|(since, _)| since.elapsed() < KEPT));
        again = (again * 2).min(AT_MOST);
    }
}

async fn keep_while_it_answers(
    server: &str,
    engine: &Engine,
    pool: &Pool,
    again: &mut Duration,
) -> io::Result<()> {
    let address = look_up(server).await?;
    let mut rng = StdRng::from_os_rng();
    loop {
        let now = Instant::now();
        let (old, count) = pool.with(|pairs| {
            let old = pairs.front().is_some_and(|(since, _)| now - *since >= FRESH);
            (old.then(|| pairs.pop_front()).flatten(), pairs.len())
        });
        let pair = match old {
            Some((_, pair)) => Some(pair),
            // when there are no more, calls need the ports more than we do
            None if count < PAIRS => engine.reserve_ports().ok(),
            None => None,
        };
        if let Some(mut pair) = pair {
            let seen = ask(&pair, address, [rng.random(), rng.random()]).await?;
            pair.is_seen(seen);
            *again = AGAIN;
            pool.with(|pairs| pairs.push_back((Instant::now(), pair)));
            continue;
        }
        let next = pool.with(|pairs| pairs.front().map(|(since, _)| *since + FRESH));
        let rest = next.map_or(FRESH, |next| next - Instant::now());
        tokio::select! {
            () = pool.taken.notified() => {}
            () = sleep(rest) => {}
        }
    }
}

/// Asks where both ports of a pair are seen.
async fn ask(pair: &PortPair, server: SocketAddr, transactions: [[u8; 12]; 2]) -> io::Result<Seen> {
    let [rtp, rtcp] = pair.sockets()?;
    let rtp = ask_for(pair, false, UdpSocket::from_std(rtp)?, server, transactions[0]).await?;
    let rtcp = ask_for(pair, true, UdpSocket::from_std(rtcp)?, server, transactions[1]).await?;
    Ok(Seen { rtp, rtcp, server })
}

async fn ask_for(
    pair: &PortPair,
    control: bool,
    socket: UdpSocket,
    server: SocketAddr,
    transaction: [u8; 12],
) -> io::Result<SocketAddr> {
    let mut out = Vec::new();
    Writer::begin(&mut out, Kind::Request, transaction).finish();
    for wait in WAITS {
        // one that the system does not send is one that is lost
        let _ = pair.send(control, &out, server);
        if let Ok(seen) = timeout(wait, answer(&socket, server, transaction)).await {
            return Ok(seen);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Waits for the answer; what else comes is nobody's.
async fn answer(socket: &UdpSocket, server: SocketAddr, transaction: [u8; 12]) -> SocketAddr {
    let mut buffer = [0; 1_280];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            // an ICMP error of an earlier datagram; the port cannot be read faster than it comes
            tokio::task::yield_now().await;
            continue;
        };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let Some(message) = buffer.get(..length).and_then(Message::read) else {
            continue;
        };
        let mapped = message
            .mapped
            .map(|mapped| SocketAddr::new(mapped.ip().to_canonical(), mapped.port()));
        if let Some(mapped) = mapped.filter(|mapped| is_place(mapped.ip()) && mapped.port() != 0)
            && from == server
            && message.kind == Kind::Success
            && message.transaction == transaction
        {
            return mapped;
        }
    }
}
