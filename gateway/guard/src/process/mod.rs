//! The body of the guard process.

mod board;
mod conn;
mod lines;
mod rest;
mod socket;

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use adapter_api::Shutdown;
use gateway_core::{Instant, OutputId};
use gateway_guard_proto::{
    Action, DeviceFault, Fact, Holder, HolderError, Incoming, OutputLimits, RelayAction, RelayLimits, Relays,
    Report, VERSION, clip,
};
use gateway_priority::Turn;
use rustix::io::dup;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::clock::{awake, boottime};
use crate::footprint::settle;
use crate::notify::Systemd;
use crate::params::{GuardBoard, GuardParams};
use crate::sentinel::Link;
use board::{Board, News, Want, Wish, Wishes};
use conn::{Conn, ConnError};
pub use lines::acceptable;
use lines::device_names;
pub use rest::{Rested, rest_main};
use socket::{Socket, SocketError};

/// A gateway that was silent for this long gives way to one that connects.
const SILENT: Duration = Duration::from_secs(2);
/// How often it is seen to that the socket is still there.
const LOOK: Duration = Duration::from_secs(1);
/// The guard was frozen if its loop turned this much later than it wanted to.
const GAP: Duration = Duration::from_millis(500);
/// For so long after a gap what is read may have been sent before its end.
const STALE: Duration = Duration::from_millis(50);
/// The loop turns at least this often: a freeze that is hidden in its wait is not noticed as a gap.
const TURN: Duration = Duration::from_millis(100);
/// Time for bringing everything to rest at the end.
const STOP: Duration = Duration::from_millis(1500);
/// Shortest and longest lease.
const LEASE: std::ops::RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(2);

/// Why the guard ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// Its configuration cannot be guarded.
    #[error("the guard's configuration")]
    Config(#[from] HolderError),
    /// The lease is too short or too long.
    #[error("lease of {} ms, allowed are 200 to 2000", found.as_millis())]
    Lease {
        /// What was found.
        found: Duration,
    },
    /// An output could not be brought to rest at the end; the sentinel tries it.
    #[error("an output is not at rest at the guard's end: {outputs:?}")]
    NotAtRest {
        /// Which.
        outputs: Vec<OutputId>,
    },
    /// A board did not answer, so nobody knows what its relays do.
    #[error("not at rest, as it does not answer: {}; look at it, or cut its supply", devices.join(", "))]
    NotRested {
        /// Which.
        devices: Vec<String>,
    },
    /// Another guard holds the outputs.
    #[error("{path}: held by another relay guard, which is alive")]
    InUse {
        /// The lock.
        path: PathBuf,
    },
    /// No socket.
    #[error("socket {path} cannot be served: {text}")]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        text: String,
    },
    /// No runtime.
    #[error("the guard cannot start")]
    Start(#[source] std::io::Error),
}

/// Runs the guard until SIGTERM, SIGINT, or the end of standard input if it follows that.
///
/// # Errors
/// [`GuardError`]; the process should end with a failure then.
pub fn guard_main(params: GuardParams) -> Result<(), GuardError> {
    // its boards' threads and its sentinel, which it starts, come first like it
    if let Err(error) = Turn::Guard.take() {
        tracing::debug!(%error, "no permission to come first; see LimitNICE= and LimitRTPRIO= of the unit");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(GuardError::Start)?;
    runtime.block_on(async {
        let (trigger, shutdown) = Shutdown::new();
        let mut terminate = signal(SignalKind::terminate()).map_err(GuardError::Start)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(GuardError::Start)?;
        // `kill -HUP $(pidof doorline)` reaches us, too, and means the gateway: a handler that nobody reads.
        let _hangup = signal(SignalKind::hangup()).map_err(GuardError::Start)?;
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            let _ = trigger.send(true);
            // The trigger must live: a dropped one fires, too, but an early drop is none.
            trigger.closed().await;
        });
        run_guard(params, shutdown).await
    })
}

/// Runs the guard until `shutdown` fires. Everything is written to rest as its first act and as its last.
///
/// # Errors
/// [`GuardError`].
pub async fn run_guard(params: GuardParams, shutdown: Shutdown) -> Result<(), GuardError> {
    acceptable(&params)?;
    let path = params.socket.clone();
    let no_socket = |error: SocketError| {
        let source = match error {
            SocketError::Held { path } => return GuardError::InUse { path },
            SocketError::Create { ref source, .. } => source,
        };
        GuardError::Socket {
            path: path.clone(),
            text: format!("{error}: {source}"),
        }
    };
    // The lock first: two guards must not write to the same boards.
    let lock = socket::lock(&params.socket).await.map_err(no_socket)?;
    let mut params = params;
    for service in std::mem::take(&mut params.services) {
        tokio::spawn(service);
    }
    let mut guard = Guard::new(params)?;
    guard.first_rest().await;
    guard.link.first().await;
    let socket = Socket::bind(&path, lock).map_err(no_socket)?;
    guard
        .systemd
        .ready(&format!("{} outputs at rest", guard.routes.len()));
    tracing::info!(outputs = guard.routes.len(), socket = %path.display(), "the relay guard is ready");
    settle();
    guard.serve(&socket, shutdown).await
}

struct BoardState {
    device: String,
    /// Outputs by channel.
    channels: BTreeMap<u16, OutputId>,
    fault: Option<String>,
    /// False until it was claimed or failed for the first time.
    tried: bool,
    /// What a fault means for the locks.
    vanished: String,
    wishes: watch::Sender<Wishes>,
}

struct Guard {
    alive_due: Option<Instant>,
    boards: Vec<BoardState>,
    conn: Option<Conn>,
    holder: Holder,
    link: Link,
    /// When to look for the socket again.
    look_due: Instant,
    news: mpsc::Receiver<(usize, News)>,
    number: u64,
    /// Orders that are read before this time are old news.
    old_until: Instant,
    orphan: bool,
    parent: Option<pipe::Receiver>,
    relays: Relays,
    routes: BTreeMap<OutputId, (usize, u16)>,
    stop_at: Option<Instant>,
    systemd: Systemd,
}

impl Guard {
    fn new(params: GuardParams) -> Result<Self, GuardError> {
        let (mut limits, mut relays) = (vec![], vec![]);
        for board in &params.boards {
            for o in &board.outputs {
                match o.relay {
                    None => limits.push(OutputLimits {
                        line: board.driver.line(o.channel),
                        max_on: o.max_on,
                        output: o.output.clone(),
                        // An order may wait for the one before it, or for a look at the channels.
                        settle: board.driver.patience() * 2,
                        wiring: o.wiring,
                    }),
                    Some(relay) => relays.push(RelayLimits {
                        inverted: relay.inverted,
                        output: o.output.clone(),
                        silence: relay.silence,
                        when_silent: relay.when_silent,
                        wiring: o.wiring,
                    }),
                }
            }
        }
        let devices = device_names(&params.boards);
        let holder = Holder::new(limits, params.lease)?;
        let relays = Relays::new(relays, boottime());
        let (tell, news) = mpsc::channel(64);
        let mut boards = Vec::new();
        let mut routes = BTreeMap::new();
        for (index, (board, device)) in params.boards.into_iter().zip(devices).enumerate() {
            let GuardBoard {
                driver,
                outputs,
                vanished,
            } = board;
            let first = Wish {
                number: 1,
                want: Want::Rest,
            };
            let wishes: Wishes = outputs.iter().map(|o| (o.channel, first)).collect();
            let (wishes, wished) = watch::channel(wishes);
            routes.extend(outputs.iter().map(|o| (o.output.clone(), (index, o.channel))));
            boards.push(BoardState {
                device,
                channels: outputs.into_iter().map(|o| (o.channel, o.output)).collect(),
                fault: None,
                tried: false,
                vanished,
                wishes,
            });
            tokio::spawn(Board::new(index, driver, wished, tell.clone()).run());
        }
        let parent = params.follow_stdin.then(parent_pipe).flatten();
        Ok(Self {
            alive_due: None,
            boards,
            conn: None,
            holder,
            link: Link::new(params.sentinel),
            look_due: awake() + LOOK,
            news,
            number: 1,
            old_until: Instant::ZERO,
            orphan: false,
            parent,
            relays,
            routes,
            stop_at: None,
            systemd: Systemd::from_env(),
        })
    }

    /// Waits until every board was claimed and written to rest, or has failed once.
    async fn first_rest(&mut self) {
        while !self.boards.iter().all(|b| b.tried) {
            let Some((board, news)) = self.news.recv().await else {
                return;
            };
            self.hear(board, news);
            self.act();
        }
        // Ready comes before its channels' rest: take what is there.
        let waits = |guard: &Self| {
            let outputs = [guard.holder.outputs(), guard.relays.outputs()];
            outputs.iter().flatten().any(|o| !o.usable)
        };
        while waits(self) && self.boards.iter().all(|b| b.fault.is_none()) {
            let Some((board, news)) = self.news.recv().await else {
                return;
            };
            self.hear(board, news);
            self.act();
        }
    }

    async fn serve(mut self, socket: &Socket, mut shutdown: Shutdown) -> Result<(), GuardError> {
        loop {
            self.holder.handle_timeout(boottime());
            self.relays.handle_timeout(boottime());
            self.act();
            self.link.keep();
            self.link.beat(self.holder.rest_due());
            self.tell_systemd();
            if self.orphan && self.stop_at.is_none() && self.holder.poll_timeout().is_none() {
                tracing::info!("the gateway is gone and every lease has run out");
                self.stop();
                continue;
            }
            // Without its socket no gateway finds this guard again, and another guard may have a lock of its own.
            if self.look_due <= awake() {
                self.look_due = awake() + LOOK;
                if self.stop_at.is_none() && self.holder.poll_timeout().is_none() && !socket.is_ours() {
                    tracing::error!(
                        "the socket of the relay guard was removed: the guard makes room for another"
                    );
                    self.stop();
                    continue;
                }
            }
            if let Some(at) = self.stop_at
                && ((self.holder.is_at_rest() && self.relays.is_at_rest()) || awake() >= at)
            {
                return self.end().await;
            }
            let wait = self.wait();
            let due = boottime() + wait;
            tokio::select! {
                biased;
                Some((board, news)) = self.news.recv() => self.hear(board, news),
                messages = messages(&mut self.conn) => {
                    self.notice_gap(due);
                    let wishes = self.number;
                    self.take(messages);
                    if self.number != wishes {
                        // the boards share our thread: they do it first, the rest of this turn comes after it
                        tokio::task::yield_now().await;
                    }
                }
                () = shutdown.fired(), if self.stop_at.is_none() => self.stop(),
                () = parent_gone(&mut self.parent) => self.orphaned(),
                // An orphan waits for its leases to run out. Whoever comes has another configuration, maybe, in
                // which the outputs are other lines: the next guard is for it.
                stream = socket.accept(), if !self.orphan => match stream {
                    Ok(stream) => self.connect(stream),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                },
                () = self.link.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
            self.notice_gap(due);
        }
    }

    /// Notes that the guard was frozen, or the machine asleep, if its loop turns long after `due`.
    fn notice_gap(&mut self, due: Instant) {
        let now = boottime();
        if now.since(due) > GAP && self.old_until <= now {
            tracing::warn!(
                gap_ms = now.since(due).as_millis(),
                "the guard stood still, orders of that time are refused"
            );
            self.old_until = now + STALE;
        }
    }

    /// Time until the loop must turn, without any event.
    fn wait(&self) -> Duration {
        let due = self.holder.poll_timeout().map(|at| at.since(boottime()));
        let relays = self
            .relays
            .poll_timeout(boottime())
            .map(|at| at.since(boottime()));
        let alive = self.alive_due.map(|at| at.since(awake()));
        let stop = self.stop_at.map(|at| at.since(awake()));
        let times = [due, relays, alive, stop].into_iter().flatten();
        times.fold(self.link.wait().min(TURN), Duration::min)
    }

    fn tell_systemd(&mut self) {
        if let Some(every) = self.systemd.interval()
            && self.alive_due.is_none_or(|at| at <= awake())
        {
            self.systemd.alive();
            self.alive_due = Some(awake() + every);
        }
    }

    fn stop(&mut self) {
        self.systemd.stopping();
        self.stop_at = Some(awake() + STOP);
        self.holder.handle_stop(boottime());
        self.relays.handle_stop(boottime());
    }

    async fn end(mut self) -> Result<(), GuardError> {
        if self.holder.is_at_rest() {
            self.link.goodbye().await;
            tracing::info!("the relay guard ends with every output at rest");
            return Ok(());
        }
        Err(GuardError::NotAtRest {
            outputs: self.holder.not_at_rest().cloned().collect(),
        })
    }

    fn orphaned(&mut self) {
        tracing::warn!("the gateway that started this guard is gone");
        self.parent = None;
        self.orphan = true;
    }

    fn connect(&mut self, stream: UnixStream) {
        if let Some(conn) = &self.conn
            && awake().since(conn.heard()) < SILENT
        {
            tracing::warn!("a second gateway was sent away");
            return;
        }
        self.gone();
        self.conn = Some(Conn::new(stream));
    }

    fn gone(&mut self) {
        self.conn = None;
        self.holder.handle_gone();
        self.relays.handle_gone();
    }

    fn disconnect(&mut self, error: &ConnError) {
        let source = std::error::Error::source(error).map(ToString::to_string);
        if self.holder.is_at_rest() {
            // so it ends at every stop
            tracing::info!(%error, source, "the connection of the gateway is closed");
        } else {
            tracing::warn!(%error, source, "the connection of the gateway is closed in a pulse");
        }
        self.gone();
    }

    fn take(&mut self, messages: Result<Vec<Incoming>, ConnError>) {
        match messages {
            Ok(messages) => {
                for mut message in messages {
                    let now = boottime();
                    // the gateway has given up what it asked of a frozen guard: it must not happen afterwards
                    if let Incoming::Operate(order) = &mut message
                        && now < self.old_until
                    {
                        order.deadline = Instant::ZERO;
                    }
                    self.relays.handle_message(now, &message);
                    self.holder.handle_message(now, message);
                    self.act();
                }
            }
            Err(error) => self.disconnect(&error),
        }
    }

    fn hear(&mut self, index: usize, news: News) {
        let now = boottime();
        let board = &mut self.boards[index];
        let output = |channel: u16| board.channels[&channel].clone();
        match news {
            News::Alarm { channel } => {
                let output = output(channel);
                tracing::error!(%output, "an output was on without a lease and was written to rest");
                self.report(&Report::Alarm { at: now, output });
            }
            News::Calm { channel } => {
                let output = output(channel);
                tracing::info!(%output, "an output that was on without a lease has rested since");
                self.report(&Report::Usable { output, usable: true });
            }
            News::Energised { at, channel, lease } => {
                let output = output(channel);
                self.holder
                    .handle_fact(now, Fact::Energised { at, lease, output });
            }
            News::Failed { mut text } => {
                board.tried = true;
                if !board.vanished.is_empty() {
                    text = format!("{text}; {}", board.vanished);
                }
                let fault = DeviceFault {
                    device: board.device.clone(),
                    text: clip(&text).to_owned(),
                };
                tracing::error!(device = %fault.device, text = %fault.text, "an output device fails");
                let first = board.fault.replace(text).is_none();
                if first {
                    for output in board.channels.values().cloned() {
                        self.relays.failed(&output);
                        self.holder.handle_fact(now, Fact::Failed { output });
                    }
                }
                self.report(&Report::DeviceFault(fault));
            }
            News::Late { channel, lease } => {
                let output = output(channel);
                self.holder.handle_fact(now, Fact::Late { lease, output });
            }
            News::Lost { at, channel } => {
                let output = output(channel);
                tracing::error!(%output, "an output rests that should be on: look at the board and its supply");
                self.relays.resting(now, &output);
                self.holder.handle_fact(now, Fact::Resting { at, output });
            }
            News::Ready => {
                board.tried = true;
                let device = board.device.clone();
                if board.fault.take().is_some() {
                    tracing::info!(%device, "an output device works again");
                }
                self.report(&Report::DeviceReady { device });
            }
            News::Resting { at, channel } => {
                let output = output(channel);
                self.relays.resting(now, &output);
                self.holder.handle_fact(now, Fact::Resting { at, output });
            }
            News::Shown { channel } => {
                let output = output(channel);
                tracing::info!(%output, "a relay that only tells something is on");
                self.relays.shown(&output);
            }
        }
    }

    /// Does what the machines say.
    fn act(&mut self) {
        while let Some(action) = self.relays.poll_action() {
            match action {
                RelayAction::Rest(output) => self.wish(&output, Want::Rest),
                RelayAction::Show(output) => self.wish(&output, Want::Show),
            }
        }
        while let Some(action) = self.holder.poll_action() {
            match action {
                Action::Close => {
                    tracing::error!(
                        version = VERSION,
                        "the gateway speaks another version of the guard protocol"
                    );
                    self.gone();
                }
                Action::Energise {
                    lease,
                    not_after,
                    output,
                    until,
                } => {
                    // The sentinel must know before the coil does.
                    self.link.beat(self.holder.rest_due());
                    self.wish(
                        &output,
                        Want::Energise {
                            lease,
                            not_after,
                            until,
                        },
                    );
                }
                Action::Report(report) => {
                    log(&report);
                    self.report(&report);
                }
                Action::Rest { output } => self.wish(&output, Want::Rest),
                Action::Welcome => {
                    let fault = |b: &BoardState| {
                        let text = clip(b.fault.as_deref()?).to_owned();
                        Some(DeviceFault {
                            device: b.device.clone(),
                            text,
                        })
                    };
                    let faults = self.boards.iter().filter_map(fault).collect();
                    let outputs = [self.holder.outputs(), self.relays.outputs()].concat();
                    self.report(&Report::Welcome {
                        faults,
                        outputs,
                        version: VERSION,
                    });
                }
            }
        }
    }

    fn wish(&mut self, output: &OutputId, want: Want) {
        let Some(&(board, channel)) = self.routes.get(output) else {
            return;
        };
        self.number += 1;
        let wish = Wish {
            number: self.number,
            want,
        };
        self.boards[board].wishes.send_modify(|wishes| {
            wishes.insert(channel, wish);
        });
    }

    fn report(&mut self, report: &Report) {
        if let Some(conn) = &mut self.conn
            && let Err(error) = conn.report(report)
        {
            self.disconnect(&error);
        }
    }
}

fn log(report: &Report) {
    match report {
        Report::Energised { lease, output, .. } => tracing::info!(%lease, %output, "energised"),
        Report::Released {
            lease, output, why, ..
        } => tracing::info!(%lease, %output, %why, "released"),
        Report::Refused { lease, output, why } => tracing::warn!(%lease, %output, %why, "refused"),
        Report::Alarm { .. }
        | Report::DeviceFault(_)
        | Report::DeviceReady { .. }
        | Report::InputEdge { .. }
        | Report::Pong(_)
        | Report::Usable { .. }
        | Report::Welcome { .. } => {}
    }
}

async fn messages(conn: &mut Option<Conn>) -> Result<Vec<Incoming>, ConnError> {
    match conn {
        Some(conn) => conn.messages().await,
        None => std::future::pending().await,
    }
}

fn parent_pipe() -> Option<pipe::Receiver> {
    let fd = dup(std::io::stdin().as_fd()).ok()?;
    pipe::Receiver::from_owned_fd(fd)
        .inspect_err(
            |error| tracing::error!(%error, "standard input is no pipe: the gateway's end is not seen"),
        )
        .ok()
}

/// Waits for the end of the pipe; what comes through it is dropped.
async fn parent_gone(parent: &mut Option<pipe::Receiver>) {
    let Some(pipe) = parent else {
        return std::future::pending().await;
    };
    loop {
        if pipe.ready(Interest::READABLE).await.is_err() {
            return;
        }
        match pipe.try_read(&mut [0; 64]) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
