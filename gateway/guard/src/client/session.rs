//! The client's task.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Clock, Instant, OutputId};
use gateway_guard_proto::{FrameReader, LeaseId, OutputState, ProtoError, Report, Request, VERSION, Wirings};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{ClientParams, GuardReport, Job, Liveness, Silence};

/// A main loop that was not seen for this long is frozen: remote input of that time is discarded, too.
const FROZEN: Duration = Duration::from_millis(500);
/// Longest time for a connection, a welcome, a write or a pong.
const ANSWER: Duration = Duration::from_secs(1);
/// What is there already is read within this time.
const LAST_LOOK: Duration = Duration::from_millis(20);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// How long after the start a guard that is not there yet is no fault.
const START: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("the guard closed the connection")]
    Closed,
    #[error("the gateway ends")]
    Ends,
    #[error("the guard cannot be reached: {0}")]
    Io(#[from] io::Error),
    #[error("the guard belongs to another user")]
    Peer,
    #[error("the guard does not answer")]
    Silent,
    #[error("the guard sends what cannot be read: {0}")]
    Proto(#[from] ProtoError),
    #[error("the guard speaks version {0} of its protocol, we speak {VERSION}")]
    Version(u16),
}

/// What was told of the guard last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Lost,
    Restarts,
    Up,
}

pub(super) struct Link {
    clock: Arc<dyn Clock>,
    generation: u64,
    /// What the guard means by its outputs.
    guards: Wirings,
    jobs: mpsc::Receiver<Job>,
    leases: BTreeMap<LeaseId, OutputId>,
    liveness: Liveness,
    params: ClientParams,
    relays: watch::Receiver<BTreeMap<OutputId, bool>>,
    reports: mpsc::Sender<GuardReport>,
    /// Until then a guard that is away is one that was told to end.
    restarts: Option<Instant>,
    silence: Silence,
    /// Until then a guard that was not there yet is only waited for: it starts together with the gateway.
    start: Option<Instant>,
    told: Told,
    /// The present guard has answered.
    welcomed: bool,
}

impl Link {
    pub(super) fn new(
        params: ClientParams,
        clock: Arc<dyn Clock>,
        liveness: Liveness,
        silence: Silence,
        (jobs, relays): (mpsc::Receiver<Job>, watch::Receiver<BTreeMap<OutputId, bool>>),
        reports: mpsc::Sender<GuardReport>,
    ) -> Self {
        let generation = params.generation;
        let start = Some(clock.now() + START);
        // `Up` at first: a guard that does not come at start is said once, too.
        Self {
            clock,
            generation,
            guards: Wirings::new(),
            jobs,
            leases: BTreeMap::new(),
            liveness,
            params,
            relays,
            reports,
            restarts: None,
            silence,
            start,
            told: Told::Up,
            welcomed: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.session(&mut pause).await {
                Err(LinkError::Ends) => return,
                Err(error) => error,
                Ok(never) => match never {},
            };
            tracing::debug!(%error, "the connection to the guard is gone");
            // one that never answered may still be busy with its boards
            let welcomed = std::mem::replace(&mut self.welcomed, false);
            if welcomed && matches!(error, LinkError::Silent) {
                self.silence.0.notify_one();
            }
            let leases = std::mem::take(&mut self.leases).into_iter().collect();
            if let Some(report) = self.away(leases, &error)
                && self.reports.send(report).await.is_err()
            {
                return;
            }
            if self.refuse_for(pause).await.is_err() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What is to be told of a guard that cannot be reached, if that is news.
    fn away(&mut self, leases: Vec<(LeaseId, OutputId)>, error: &LinkError) -> Option<GuardReport> {
        let before = |end: Option<Instant>| end.is_some_and(|end| self.clock.now() < end);
        if before(self.start) {
            return None;
        }
        let now = if before(self.restarts) {
            Told::Restarts
        } else {
            Told::Lost
        };
        let told = std::mem::replace(&mut self.told, now);
        match (told, now) {
            (_, Told::Up) => None,
            (Told::Up, Told::Restarts) => Some(GuardReport::Restarts { leases }),
            (Told::Up | Told::Restarts, Told::Lost) => Some(GuardReport::Lost {
                leases,
                text: error.to_string(),
            }),
            // a fault stays one until it is over
            (Told::Lost, Told::Lost | Told::Restarts) => {
                self.told = Told::Lost;
                None
            }
            (Told::Restarts, Told::Restarts) => None,
        }
    }

    /// Answers orders while there is no guard. Nothing is kept for later.
    async fn refuse_for(&mut self, pause: Duration) -> Result<(), LinkError> {
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return Ok(()),
                job = self.jobs.recv() => match job.ok_or(LinkError::Ends)? {
                    Job::Generation(n, wirings) => (self.generation, self.params.wirings) = (n, wirings),
                    Job::Operate(operate) => {
                        let order = operate.order();
                        let (lease, output) = (order.lease, order.output.clone());
                        self.tell(GuardReport::Unsent { lease, output }).await?;
                    }
                    Job::Release(_) => {}
                    Job::Restarts(end) => self.restarts = Some(end),
                },
            }
        }
    }

    async fn session(&mut self, pause: &mut Duration) -> Result<std::convert::Infallible, LinkError> {
        let connecting = timeout(ANSWER, UnixStream::connect(&self.params.socket));
        let mut stream = connecting.await.map_err(|_| LinkError::Silent)??;
        if stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
            return Err(LinkError::Peer);
        }
        let instance = self.params.instance.clone();
        write(
            &mut stream,
            &Request::Hello {
                generation: self.generation,
                instance,
                wirings: self.params.wirings.clone(),
            },
        )
        .await?;
        let mut reader = FrameReader::default();
        let welcome = timeout(ANSWER, next(&mut stream, &mut reader));
        self.welcome(welcome.await.map_err(|_| LinkError::Silent)??)
            .await?;
        *pause = FIRST_PAUSE;

        let mut ticks = interval(self.params.lease / 4);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        let mut asked: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                job = self.jobs.recv() => {
                    let job = job.ok_or(LinkError::Ends)?;
                    self.job(&mut stream, job).await?;
                }
                Ok(()) = self.relays.changed() => self.tell_relays(&mut stream).await?,
                report = next(&mut stream, &mut reader) => {
                    let report = report?;
                    if report == Report::Pong(number) {
                        asked = None;
                    }
                    self.report(report).await?;
                }
                _ = ticks.tick() => {
                    let now = self.clock.now();
                    if asked.is_some_and(|at| now.since(at) > ANSWER) {
                        // whoever stood still himself looks first at what came meanwhile
                        let waits = timeout(LAST_LOOK, next(&mut stream, &mut reader));
                        let report = waits.await.map_err(|_| LinkError::Silent)??;
                        if report == Report::Pong(number) {
                            asked = None;
                        }
                        self.report(report).await?;
                        ticks.reset_immediately();
                        continue;
                    }
                    if asked.is_none() {
                        number += 1;
                        asked = Some(now);
                        write(&mut stream, &Request::Ping(number)).await?;
                    }
                    let frozen = now.since(self.liveness.fed()) > FROZEN;
                    if frozen && !self.leases.is_empty() {
                        tracing::error!("the main loop stands still: leases are not renewed");
                    } else if !frozen && !self.leases.is_empty() {
                        let leases = self.leases.keys().copied().collect();
                        write(&mut stream, &Request::Renew(leases)).await?;
                    }
                    if !frozen {
                        self.tell_relays(&mut stream).await?;
                    }
                }
            }
        }
    }

    /// Says which relays that only tell something are active, if there are any.
    async fn tell_relays(&mut self, stream: &mut UnixStream) -> Result<(), LinkError> {
        let told = self.relays.borrow_and_update().clone();
        if told.is_empty() {
            return Ok(());
        }
        write(stream, &Request::Relays(told)).await
    }

    async fn welcome(&mut self, report: Report) -> Result<(), LinkError> {
        match report {
            Report::Welcome {
                faults,
                outputs,
                version: VERSION,
            } => {
                (self.start, self.restarts, self.told) = (None, None, Told::Up);
                self.welcomed = true;
                let wiring = |o: &OutputState| (o.output.clone(), o.wiring);
                self.guards = outputs.iter().map(wiring).collect();
                // first what differs: no door may count as one that can be opened for the moment between the two
                self.compare().await?;
                self.tell(GuardReport::Up { faults, outputs }).await
            }
            Report::Welcome { version, .. } => Err(LinkError::Version(version)),
            Report::Alarm { .. }
            | Report::DeviceFault(_)
            | Report::DeviceReady { .. }
            | Report::Energised { .. }
            | Report::InputEdge { .. }
            | Report::Pong(_)
            | Report::Refused { .. }
            | Report::Released { .. }
            | Report::Usable { .. } => Err(LinkError::Closed),
        }
    }

    /// Says which of our outputs the guard knows as another wire.
    async fn compare(&self) -> Result<(), LinkError> {
        let ours = self.params.wirings.iter();
        let differently = ours
            .filter(|(output, wiring)| self.guards.get(*output) != Some(wiring))
            .map(|(output, _)| output.clone())
            .collect();
        self.tell(GuardReport::Wired { differently }).await
    }

    async fn job(&mut self, stream: &mut UnixStream, job: Job) -> Result<(), LinkError> {
        match job {
            Job::Generation(generation, wirings) => {
                self.generation = generation;
                self.params.wirings.clone_from(&wirings);
                write(stream, &Request::Generation { generation, wirings }).await?;
                self.compare().await
            }
            Job::Operate(operate) => {
                let order = operate.order().clone();
                // Known before it is sent: if the connection dies now, the report of its loss names it.
                self.leases.insert(order.lease, order.output);
                write(stream, &Request::Operate(operate)).await
            }
            Job::Release(output) => write(stream, &Request::Release(output)).await,
            Job::Restarts(end) => {
                self.restarts = Some(end);
                Ok(())
            }
        }
    }

    async fn report(&mut self, report: Report) -> Result<(), LinkError> {
        match &report {
            Report::Pong(_) | Report::Welcome { .. } => return Ok(()),
            Report::Refused { lease, .. } | Report::Released { lease, .. } => {
                self.leases.remove(lease);
            }
            Report::Alarm { .. }
            | Report::DeviceFault(_)
            | Report::DeviceReady { .. }
            | Report::Energised { .. }
            | Report::InputEdge { .. }
            | Report::Usable { .. } => {}
        }
        self.tell(GuardReport::Guard(report)).await
    }

    async fn tell(&self, report: GuardReport) -> Result<(), LinkError> {
        self.reports.send(report).await.map_err(|_| LinkError::Ends)
    }
}

async fn write(stream: &mut UnixStream, request: &Request) -> Result<(), LinkError> {
    timeout(ANSWER, stream.write_all(&request.encode()))
        .await
        .map_err(|_| LinkError::Silent)?
        .map_err(LinkError::Io)
}

/// The next report. Cancel safe: what was read stays in `reader`.
async fn next(stream: &mut UnixStream, reader: &mut FrameReader) -> Result<Report, LinkError> {
    loop {
        if let Some(frame) = reader.next()? {
            return Ok(Report::decode(&frame)?);
        }
        stream.readable().await?;
        let mut buffer = [0; 4096];
        match stream.try_read(&mut buffer) {
            Ok(0) => return Err(LinkError::Closed),
            Ok(n) => reader.push(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(LinkError::Io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Seconds, set by hand.
    #[derive(Default)]
    struct ByHand(AtomicU64);

    impl Clock for ByHand {
        fn now(&self) -> Instant {
            Instant::from_nanos(0) + Duration::from_secs(self.0.load(Ordering::Relaxed))
        }

        fn wall(&self) -> gateway_core::Timestamp {
            gateway_core::Timestamp::UNIX_EPOCH
        }
    }

    fn link(clock: &Arc<ByHand>) -> Link {
        let params = ClientParams {
            generation: 1,
            instance: "a".to_owned(),
            lease: Duration::from_secs(1),
            socket: "/nowhere".into(),
            wirings: Wirings::new(),
        };
        let liveness = Liveness(Arc::default());
        let clock = Arc::clone(clock) as Arc<dyn Clock>;
        let (jobs, reports) = (mpsc::channel(1).1, mpsc::channel(1).0);
        let relays = watch::channel(BTreeMap::new()).1;
        Link::new(
            params,
            clock,
            liveness,
            Silence::default(),
            (jobs, relays),
            reports,
        )
    }

    #[test]
    fn a_restart_is_no_loss_until_its_time_is_over() {
        let clock = Arc::new(ByHand::default());
        let mut link = link(&clock);
        let lost = || {
            Some(GuardReport::Lost {
                leases: vec![],
                text: LinkError::Closed.to_string(),
            })
        };
        let mut away = |second: u64, restarts: Option<u64>| {
            clock.0.store(second, Ordering::Relaxed);
            if let Some(end) = restarts {
                link.restarts = Some(Instant::from_nanos(0) + Duration::from_secs(end));
            }
            link.away(vec![], &LinkError::Closed)
        };
        assert_eq!(away(1, None), None, "it is only starting");
        assert_eq!(away(10, Some(20)), Some(GuardReport::Restarts { leases: vec![] }));
        assert_eq!(away(19, None), None);
        assert_eq!(away(20, None), lost());
        assert_eq!(away(21, None), None);
        // a restart makes no fault good before the guard is there
        assert_eq!(away(30, Some(40)), None);
        assert_eq!(away(40, None), None);
    }

    #[test]
    fn a_guard_that_ends_by_itself_is_lost_at_once() {
        let clock = Arc::new(ByHand::default());
        let mut link = link(&clock);
        clock.0.store(10, Ordering::Relaxed);
        let told = link.away(vec![], &LinkError::Silent);
        assert!(matches!(told, Some(GuardReport::Lost { .. })), "{told:?}");
        assert_eq!(link.away(vec![], &LinkError::Silent), None);
    }
}
