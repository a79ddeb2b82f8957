//! One line or connection, shared by all boards on it, one request at a time.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use adapter_api::Direction;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_serial::{
    ClearBuffer, DataBits, FlowControl, SerialPort, SerialPortBuilderExt, SerialStream, StopBits,
};

use crate::frame::{Exchange, FrameError, Framing};
use crate::ioctl;
use crate::pdu::{Reply, Request};
use crate::taken::Taken;

/// Longest time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// For so long an answer to an input's question may come late, at least. Longer than any module takes that is of use.
const LATE: Duration = Duration::from_millis(500);
/// For so long requests without an answer are remembered: longer than anybody waits for late ones.
const REMEMBERED: Duration = Duration::from_secs(2);
/// How many of them: more do not fit into that time, at the shortest limit.
const MOST_LATE: usize = 128;
/// Bits of one character on the line, with parity.
const BITS: u32 = 11;
/// Bytes of a request and its answer, for the time that they take on the line.
const LINE_BYTES: u32 = 8 + 16;

/// Parity of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// 8E1, the specification's default.
    Even,
    /// 8N1, what relay boards have when they are new.
    None,
    /// 8O1.
    Odd,
}

/// Where boards are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// A serial port: Modbus RTU.
    Serial {
        /// Bits per second.
        baud: u32,
        /// Who switches the direction.
        direction: Direction,
        /// Parity.
        parity: Parity,
        /// Device; a name below `/dev/serial/by-id` or `by-path` stays the same.
        port: PathBuf,
    },
    /// A TCP connection.
    Tcp {
        /// Modbus TCP, or RTU through a serial server.
        framing: Framing,
        /// Name or address; IPv6 in brackets.
        host: String,
        /// 502 unless the board says otherwise.
        port: u16,
    },
}

/// How a bus is driven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusParams {
    /// Silence between an answer and the next request, 0 to 200 ms: cheap boards need more than the 3.5 characters of
    /// the specification. Of no use on Modbus TCP.
    pub gap: Duration,
    /// Where.
    pub link: Link,
    /// Longest time from the end of a request to the end of its answer, 20 to 500 ms.
    pub timeout: Duration,
}

impl BusParams {
    /// Time of the longest request with its answer on the line.
    fn line_time(&self) -> Duration {
        match self.link {
            Link::Serial { baud, .. } => Duration::from_secs(1) * (BITS * LINE_BYTES) / baud.max(1),
            Link::Tcp { .. } => Duration::ZERO,
        }
    }

    /// Longest time for an answer, from the begin of the request.
    fn limit(&self) -> Duration {
        self.timeout + self.line_time()
    }

    /// Longest time of one request that is asked twice, also behind one to another board and one to inputs that nobody answers,
    /// and after one whose answer may still come.
    pub(crate) fn patience(&self) -> Duration {
        (self.limit() + self.gap) * 5 + Duration::from_millis(20)
    }
}

/// What went wrong on a bus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The other side closed the connection, or the port is gone.
    #[error("{}", gone(*serial))]
    Gone {
        /// A serial port?
        serial: bool,
        /// What the system said.
        #[source]
        source: Option<io::Error>,
    },
    /// The board answered, and it is no answer.
    #[error("unit {unit}: {error}")]
    Frame {
        /// Which unit was asked.
        unit: u8,
        /// What is wrong.
        error: FrameError,
    },
    /// Something came, but no answer.
    #[error("unit {unit} gives no answer within {} ms, only {seen}: check speed, parity, wires A and B", limit.as_millis())]
    Garbled {
        /// Longest time.
        limit: Duration,
        /// In hex.
        seen: String,
        /// Which unit was asked.
        unit: u8,
    },
    /// An answer to another question may still come, and it would be taken for one to this.
    #[error("unit {unit} may still answer another question")]
    Late {
        /// Which unit was to be asked.
        unit: u8,
    },
    /// Nothing came.
    #[error("unit {unit} does not answer within {} ms: check supply, wires, address, speed", limit.as_millis())]
    NoAnswer {
        /// Longest time.
        limit: Duration,
        /// Which unit was asked.
        unit: u8,
    },
    /// Nothing was claimed, or the connection was given up.
    #[error("it is not connected")]
    NotOpen,
    /// The connection or port cannot be opened.
    #[error("{text}")]
    Open {
        /// What.
        text: String,
        /// What the system said.
        #[source]
        source: Option<io::Error>,
    },
}

impl BusError {
    /// What is wrong, and what the system said of it.
    pub(crate) fn text(&self) -> String {
        match self.source() {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}

const fn gone(serial: bool) -> &'static str {
    if serial {
        "the serial adapter was unplugged; plug it in, its boards come back by themselves"
    } else {
        "the board closed the connection; it is tried again"
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Throws away what was written and has not gone yet; closing would wait for it, and send it. A connection does that by
    /// itself (see `connect`).
    fn forget(&self);
    /// False if what was written may still be on its way.
    fn is_delivered(&self) -> bool;
}

impl Stream for SerialStream {
    fn forget(&self) {
        if let Err(error) = self.clear(ClearBuffer::All) {
            tracing::debug!(%error, "a port that is given up is gone already");
        }
    }

    /// A hung adapter leaves it in the kernel, and sends it whenever it goes on.
    fn is_delivered(&self) -> bool {
        matches!(self.bytes_to_write(), Ok(0))
    }
}

/// A connection to a board that has no other name here.
struct Connection {
    stream: TcpStream,
    _taken: Taken,
}

impl Stream for Connection {
    fn forget(&self) {}

    fn is_delivered(&self) -> bool {
        ioctl::unacknowledged(&self.stream) == Ok(0)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[derive(Default)]
struct Line {
    /// A request was begun and its answer not seen: it may still come.
    dirty: bool,
    id: u16,
    /// Requests of the last two seconds that were not answered, by unit, and when they were sent. On TCP answers have numbers.
    late: Vec<(u8, Request, Instant)>,
    /// When the next request may begin.
    quiet: Option<Instant>,
    stream: Option<Box<dyn Stream>>,
}

impl Line {
    /// Notes that an answer may still come.
    fn unanswered(&mut self, unit: u8, request: Request) {
        if self.late.len() >= MOST_LATE {
            self.late.remove(0);
        }
        self.late.push((unit, request, Instant::now()));
    }

    /// Since when an answer may still come that would be taken for one to this request.
    fn late(&mut self, unit: u8, request: Request, window: Duration) -> Option<Instant> {
        self.late.retain(|(.., since)| since.elapsed() < REMEMBERED);
        let mut alike = self.late.iter().rev();
        let found = alike
            .find(|(of, other, _)| *of == unit && request.is_like(*other))?
            .2;
        (found.elapsed() < window).then_some(found)
    }

    /// Gives the port or connection up, with every order that it still keeps.
    fn give_up(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.forget();
        }
    }
}

/// A request under way. Whoever gives it up half-way leaves no order behind that the network still keeps.
struct Turn<'a> {
    asked: (u8, Request),
    ended: bool,
    line: MutexGuard<'a, Line>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (unit, request) = self.asked;
        self.line.unanswered(unit, request);
        if !self.line.stream.as_ref().is_some_and(|s| s.is_delivered()) {
            self.line.give_up();
        }
    }
}

struct Shared {
    claims: Mutex<()>,
    line: Mutex<Line>,
    params: BusParams,
}

/// A line or connection. Clones are the same one.
#[derive(Clone)]
pub struct Bus(Arc<Shared>);

impl Bus {
    /// Nothing is opened before the first claim.
    #[must_use]
    pub fn new(params: BusParams) -> Self {
        Self(Arc::new(Shared {
            claims: Mutex::default(),
            line: Mutex::default(),
            params,
        }))
    }

    pub(crate) fn params(&self) -> &BusParams {
        &self.0.params
    }

    /// Device path, or `HOST:PORT`.
    #[must_use]
    pub fn device(&self) -> String {
        match &self.0.params.link {
            Link::Serial { port, .. } => port.display().to_string(),
            Link::Tcp { host, port, .. } => format!("{host}:{port}"),
        }
    }

    const fn framing(link: &Link) -> Framing {
        match link {
            Link::Serial { .. } => Framing::Rtu,
            Link::Tcp { framing, .. } => *framing,
        }
    }

    /// Boards are claimed one after the other: those that do not answer queue here, and a board that works waits for
    /// one request of theirs at most.
    pub(crate) async fn claiming(&self) -> MutexGuard<'_, ()> {
        self.0.claims.lock().await
    }

    /// Opens the port or connection unless it is open.
    pub(crate) async fn open(&self) -> Result<(), BusError> {
        let mut line = self.0.line.lock().await;
        if line.stream.is_none() {
            line.stream = Some(connect(&self.0.params.link).await?);
            // what another master asked before us may still be answered
            line.dirty = true;
            line.quiet = None;
        }
        Ok(())
    }

    /// Asks one board. An answer that does not come leaves the bus to the others; where it would be taken for one to this request, it
    /// is waited for, for as long again as it had.
    pub(crate) async fn ask(&self, unit: u8, request: Request) -> Result<Reply, BusError> {
        let limit = self.0.params.limit();
        // the line is not held meanwhile
        let late = self.0.line.lock().await.late(unit, request, limit);
        if let Some(since) = late {
            sleep_until(since + limit).await;
        }
        let line = self.0.line.lock().await;
        self.asked(line, unit, request).await
    }

    /// Asks a module for what it reads; never while an answer to something else may still come that would be taken for this one.
    ///
    /// # Errors
    /// [`BusError::Late`] then; all others as ever.
    pub(crate) async fn look(&self, unit: u8, request: Request) -> Result<Reply, BusError> {
        let mut line = self.0.line.lock().await;
        let window = (self.0.params.limit() * 2).max(LATE);
        if line.late(unit, request, window).is_some() {
            return Err(BusError::Late { unit });
        }
        self.asked(line, unit, request).await
    }

    async fn asked(&self, line: MutexGuard<'_, Line>, unit: u8, request: Request) -> Result<Reply, BusError> {
        let mut turn = Turn {
            asked: (unit, request),
            ended: false,
            line,
        };
        let reply = self.exchange(&mut turn.line, unit, request).await;
        turn.ended = true;
        let line = &mut *turn.line;
        let params = &self.0.params;
        if matches!(reply, Err(BusError::NoAnswer { .. } | BusError::Garbled { .. }))
            && Self::framing(&params.link) == Framing::Rtu
        {
            line.unanswered(unit, request);
        }
        match &reply {
            Ok(_) => line.dirty = false,
            // The board is silent, its line or connection works: the others go on.
            Err(BusError::NoAnswer { .. } | BusError::Garbled { .. })
                if line.stream.as_ref().is_some_and(|s| s.is_delivered()) => {}
            Err(BusError::Frame { error, .. }) => match error {
                // a whole answer: the line is as quiet as after a good one
                FrameError::Pdu(_) => line.dirty = false,
                FrameError::Noise { .. } => {}
                FrameError::NotModbus { .. } | FrameError::Unit { .. } => line.give_up(),
            },
            // Given up with a reset (see `connect`): an order that the network kept must not reach the board later.
            Err(_) => line.give_up(),
        }
        line.quiet = (Self::framing(&params.link) == Framing::Rtu).then(|| Instant::now() + params.gap);
        reply
    }

    async fn exchange(&self, line: &mut Line, unit: u8, request: Request) -> Result<Reply, BusError> {
        let params = &self.0.params;
        let serial = matches!(params.link, Link::Serial { .. });
        let framing = Self::framing(&params.link);
        let stream = line.stream.as_mut().ok_or(BusError::NotOpen)?;
        let gone = |source| BusError::Gone { serial, source };
        let mut buffer = [0; 256];
        if let Some(quiet) = line.quiet {
            sleep_until(quiet).await;
        }
        // What waits belongs to nobody. On RTU, where answers have no number, a late one is also waited for.
        let mut silence = match framing {
            Framing::Rtu if line.dirty => params.gap.max(Duration::from_millis(2)),
            Framing::Rtu | Framing::Tcp => Duration::ZERO,
        };
        let patience = Instant::now() + params.timeout;
        while Instant::now() < patience {
            match timeout(silence, stream.read(&mut buffer)).await {
                Err(_) => break,
                Ok(Ok(0)) => return Err(gone(None)),
                Ok(Ok(_)) => silence = silence.max(params.gap),
                Ok(Err(error)) => return Err(gone(Some(error))),
            }
        }

        line.id = line.id.wrapping_add(1);
        line.dirty = true;
        let mut exchange = Exchange::new(framing, line.id, unit, request);
        let limit = params.limit();
        let end = Instant::now() + limit;
        // not flushed: that waits for the wire without limit (tcdrain), and with it the whole guard for one hung adapter
        let frame = exchange.frame();
        match timeout_at(end, stream.write_all(&frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(gone(Some(error))),
            Err(_) => return Err(BusError::NoAnswer { limit, unit }),
        }
        loop {
            match timeout_at(end, stream.read(&mut buffer)).await {
                Ok(Ok(0)) => return Err(gone(None)),
                Ok(Ok(read)) => match exchange.feed(&buffer[..read]) {
                    Ok(Some(reply)) => return Ok(reply),
                    Ok(None) => {}
                    Err(error) => return Err(BusError::Frame { unit, error }),
                },
                Ok(Err(error)) => return Err(gone(Some(error))),
                Err(_) => {
                    return Err(match exchange.seen() {
                        Some(seen) => BusError::Garbled { limit, seen, unit },
                        None => BusError::NoAnswer { limit, unit },
                    });
                }
            }
        }
    }
}

async fn connect(link: &Link) -> Result<Box<dyn Stream>, BusError> {
    match link {
        Link::Serial {
            baud,
            direction,
            parity,
            port,
        } => {
            let parity = match parity {
                Parity::Even => tokio_serial::Parity::Even,
                Parity::None => tokio_serial::Parity::None,
                Parity::Odd => tokio_serial::Parity::Odd,
            };
            let stream = tokio_serial::new(port.to_string_lossy(), *baud)
                .data_bits(DataBits::Eight)
                .parity(parity)
                .stop_bits(StopBits::One)
                .flow_control(FlowControl::None)
                .exclusive(true)
                .open_native_async()
                .map_err(|error| BusError::Open {
                    text: "the port cannot be opened".to_owned(),
                    source: Some(error.into()),
                })?;
            direction.apply(&stream).map_err(|error| BusError::Open {
                text: "the port's driver does not switch an RS-485 direction (leave out rs485 for an \
                       adapter that does so by itself)"
                    .to_owned(),
                source: Some(error.into()),
            })?;
            // what somebody before us left in it would go out before our first request
            stream.forget();
            Ok(Box::new(stream))
        }
        Link::Tcp { host, port, .. } => {
            let failed = |text: &str, source| BusError::Open {
                text: text.to_owned(),
                source,
            };
            let address = format!("{host}:{port}");
            let stream = match timeout(CONNECT, TcpStream::connect(&address)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Err(failed("it cannot be reached", Some(error))),
                Err(_) => return Err(failed("it cannot be reached within 1 s", None)),
            };
            // A close drops what was not sent and resets, also when this process is killed: no order is delivered
            // after it was given up, and the board, which may take one connection only, is free at once.
            stream
                .set_nodelay(true)
                .and_then(|()| stream.set_zero_linger())
                .map_err(|error| failed("the connection cannot be set up", Some(error)))?;
            let peer = stream
                .peer_addr()
                .map_err(|error| failed("the connection is gone", Some(error)))?;
            let taken = Taken::take(peer, &address).map_err(|name| {
                let text = format!("it is {name} by another name: write one of both for all that is on it");
                failed(&text, None)
            })?;
            Ok(Box::new(Connection {
                stream,
                _taken: taken,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A network that takes everything and brings nothing, at once or ever.
    struct Network {
        delivers: bool,
        forgot: Arc<AtomicBool>,
    }

    impl AsyncRead for Network {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Network {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Stream for Network {
        fn forget(&self) {
            self.forgot.store(true, Ordering::Relaxed);
        }
        fn is_delivered(&self) -> bool {
            self.delivers
        }
    }

    /// Is the connection still there after an order was given up half-way?
    async fn kept(delivers: bool) -> bool {
        let bus = Bus::new(BusParams {
            gap: Duration::ZERO,
            link: Link::Tcp {
                framing: Framing::Tcp,
                host: "board".to_owned(),
                port: 502,
            },
            timeout: Duration::from_millis(500),
        });
        let forgot = Arc::new(AtomicBool::new(false));
        let network = Network {
            delivers,
            forgot: Arc::clone(&forgot),
        };
        bus.0.line.lock().await.stream = Some(Box::new(network));
        let order = bus.ask(
            1,
            Request::WriteCoil {
                address: 0,
                value: 0xFF00,
            },
        );
        assert!(timeout(Duration::from_millis(50), order).await.is_err());
        let kept = bus.0.line.lock().await.stream.is_some();
        assert_eq!(
            forgot.load(Ordering::Relaxed),
            !kept,
            "what is given up is thrown away"
        );
        kept
    }

    fn silent_line() -> Bus {
        Bus::new(BusParams {
            gap: Duration::ZERO,
            link: Link::Tcp {
                framing: Framing::Rtu,
                host: "board".to_owned(),
                port: 502,
            },
            timeout: Duration::from_millis(100),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_asked_to_which_a_late_answer_would_fit() {
        let bus = silent_line();
        let network = Network {
            delivers: true,
            forgot: Arc::default(),
        };
        bus.0.line.lock().await.stream = Some(Box::new(network));
        let coil = |address| Request::ReadCoils { address, count: 1 };
        let began = Instant::now();
        // each but the first looks for 2 ms whether something comes late
        let passed = |ms: u128| (ms..ms + 20).contains(&began.elapsed().as_millis());
        assert!(matches!(
            bus.look(16, coil(4)).await,
            Err(BusError::NoAnswer { .. })
        ));
        assert!(passed(100));
        // of the same module, as many bytes: not yet. The same question, another module, another function: at once.
        assert!(matches!(
            bus.look(16, coil(1)).await,
            Err(BusError::Late { unit: 16 })
        ));
        assert!(passed(100));
        assert!(matches!(
            bus.look(17, coil(1)).await,
            Err(BusError::NoAnswer { .. })
        ));
        assert!(matches!(
            bus.look(16, coil(4)).await,
            Err(BusError::NoAnswer { .. })
        ));
        let discrete = Request::ReadDiscrete { address: 1, count: 1 };
        assert!(matches!(
            bus.look(16, discrete).await,
            Err(BusError::NoAnswer { .. })
        ));
        assert!(passed(400));
        // a relay's level is waited for, for as long again as an answer has
        assert!(matches!(
            bus.look(16, coil(4)).await,
            Err(BusError::NoAnswer { .. })
        ));
        assert!(matches!(
            bus.ask(16, coil(2)).await,
            Err(BusError::NoAnswer { .. })
        ));
        assert!(passed(700));
        sleep_until(began + Duration::from_millis(1150)).await;
        assert!(matches!(bus.look(16, coil(1)).await, Err(BusError::Late { .. })));
        sleep_until(began + Duration::from_millis(1300)).await;
        assert!(matches!(
            bus.look(16, coil(1)).await,
            Err(BusError::NoAnswer { .. })
        ));
        // orders wait for nobody
        let order = Request::WriteCoil {
            address: 4,
            value: 0xFF00,
        };
        let before = Instant::now();
        assert!(matches!(bus.ask(16, order).await, Err(BusError::NoAnswer { .. })));
        assert!(before.elapsed() < Duration::from_millis(110));
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_that_is_given_up_half_way_is_not_kept_by_the_network() {
        assert!(!kept(false).await);
        assert!(kept(true).await);
    }

    #[tokio::test]
    async fn a_board_that_is_connected_under_one_name_is_refused_under_another() {
        let board = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a board");
        let port = board.local_addr().expect("its place").port();
        let bus = |host: &str| {
            Bus::new(BusParams {
                gap: Duration::ZERO,
                link: Link::Tcp {
                    framing: Framing::Tcp,
                    host: host.to_owned(),
                    port,
                },
                timeout: Duration::from_millis(200),
            })
        };
        let (one, other) = (bus("127.0.0.1"), bus("localhost"));
        one.open().await.expect("connected");
        bus("127.0.0.1").open().await.expect("by the same name");
        let refused = other.open().await.expect_err("it is connected").text();
        assert!(
            refused.starts_with(&format!("it is 127.0.0.1:{port} by another name")),
            "{refused}"
        );
        one.0.line.lock().await.give_up();
        other.open().await.expect("free by now");
    }
}
