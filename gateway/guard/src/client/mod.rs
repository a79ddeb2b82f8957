//! The gateway's side of the guard: connects, renews, reports.

mod session;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gateway_access::Grant;
use gateway_core::{Clock, Instant, OutputId};
use gateway_guard_proto::{DeviceFault, LeaseId, Operate, OutputState, Report, Wirings};
use tokio::sync::{Notify, mpsc, watch};

/// Orders that wait for the client's task.
const JOBS: usize = 64;
/// Reports that wait for the main loop; a full queue stops renewing, as a frozen main loop must.
const REPORTS: usize = 256;

/// How to reach the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientParams {
    /// Configuration generation in force at start.
    pub generation: u64,
    /// Names this run of the gateway: numbers of Grants are unique within it. Different at each start.
    pub instance: String,
    /// The guard's lease time; renewals are sent four times as often.
    pub lease: Duration,
    /// The guard's socket.
    pub socket: PathBuf,
    /// The wires that our outputs mean.
    pub wirings: Wirings,
}

/// What the guard, or the way to it, says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardReport {
    /// From the guard; never a welcome or a pong.
    Guard(Report),
    /// The guard cannot be reached. Said once until it is up again.
    Lost {
        /// What was energised, as far as known: the guard, its sentinel or the kernel release it by themselves.
        leases: Vec<(LeaseId, OutputId)>,
        /// What happened.
        text: String,
    },
    /// The guard ended as it was told to, and another one is awaited. Said once; [`Up`](Self::Up) comes next, or
    /// [`Lost`](Self::Lost) if none comes in the time that [`GuardClient::restarts`] was given.
    Restarts {
        /// What was energised, as far as known: the guard released it as its last act.
        leases: Vec<(LeaseId, OutputId)>,
    },
    /// An order that was not sent, because the guard cannot be reached. It will not be sent later.
    Unsent {
        /// Number of the Grant.
        lease: LeaseId,
        /// Which output.
        output: OutputId,
    },
    /// The guard can be used.
    Up {
        /// Devices that fail.
        faults: Vec<DeviceFault>,
        /// What it holds.
        outputs: Vec<OutputState>,
    },
    /// Outputs that are another wire to the guard, or none: it read another site file. It energises none of them.
    /// Said before each [`Up`](Self::Up) and after each new generation, also when there are none.
    Wired {
        /// Which.
        differently: Vec<OutputId>,
    },
}

/// An order that could not be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{lease}: too many orders wait for the guard")]
pub struct OperateError {
    /// Number of the Grant, which is used up.
    pub lease: LeaseId,
}

enum Job {
    Generation(u64, Wirings),
    Operate(Operate),
    Release(OutputId),
    Restarts(Instant),
}

/// Gives orders to the guard. Cheap to clone; never waits.
#[derive(Clone)]
pub struct GuardClient {
    clock: Arc<dyn Clock>,
    jobs: mpsc::Sender<Job>,
    relays: Arc<watch::Sender<BTreeMap<OutputId, bool>>>,
}

/// The main loop's pulse: without it nothing is renewed, and outputs come to rest.
#[derive(Clone, Debug)]
pub struct Liveness(Arc<AtomicU64>);

impl Liveness {
    /// To be called by the main loop at each turn, at least every 200 ms.
    pub fn feed(&self, now: Instant) {
        self.0.store(now.as_nanos(), Ordering::Relaxed);
    }

    fn fed(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Says to whom started the guard that it answered once and does so no more.
#[derive(Clone, Debug, Default)]
pub struct Silence(Arc<Notify>);

impl Silence {
    /// Waits until the guard is silent.
    pub(crate) async fn fell(&self) {
        self.0.notified().await;
    }

    /// What was said of an earlier guard is not meant for the next.
    pub(crate) async fn forget(&self) {
        tokio::select! {
            biased;
            () = self.fell() => {}
            () = std::future::ready(()) => {}
        }
    }
}

impl GuardClient {
    /// Starts the client's task on the present runtime. It ends when all clients are dropped, or the receiver is.
    /// `silence` is for [`spawn_guard`](crate::spawn_guard), if this process starts the guard.
    #[must_use]
    pub fn connect(
        params: ClientParams,
        clock: Arc<dyn Clock>,
        silence: Silence,
    ) -> (Self, mpsc::Receiver<GuardReport>, Liveness) {
        let (jobs, job_queue) = mpsc::channel(JOBS);
        let (reports, report_queue) = mpsc::channel(REPORTS);
        let (relays, relays_told) = watch::channel(BTreeMap::new());
        let liveness = Liveness(Arc::new(AtomicU64::new(clock.now().as_nanos())));
        let link = session::Link::new(
            params,
            Arc::clone(&clock),
            liveness.clone(),
            silence,
            (job_queue, relays_told),
            reports,
        );
        tokio::spawn(link.run());
        let relays = Arc::new(relays);
        (Self { clock, jobs, relays }, report_queue, liveness)
    }

    /// Uses the grant up: the output is energised, and rests again `pulse` from this moment at the latest. What
    /// becomes of it comes as a report with the Grant's number.
    ///
    /// # Errors
    /// [`OperateError`] if too many orders wait; the grant is used up all the same.
    pub fn operate(&self, grant: Grant, pulse: Duration) -> Result<LeaseId, OperateError> {
        let operate = Operate::new(grant, pulse, self.clock.now());
        let lease = operate.order().lease;
        match self.jobs.try_send(Job::Operate(operate)) {
            Ok(()) => Ok(lease),
            Err(_) => Err(OperateError { lease }),
        }
    }

    /// Ends a pulse early. If too many orders wait it is dropped, and the pulse ends by itself.
    pub fn release(&self, output: OutputId) {
        if self.jobs.try_send(Job::Release(output)).is_err() {
            tracing::warn!("a release was dropped: too many orders wait for the guard");
        }
    }

    /// Which relays that only tell something are active, all of them: the guard hears it at once, and again and again
    /// while the main loop turns.
    pub fn relays(&self, active: BTreeMap<OutputId, bool>) {
        self.relays.send_if_modified(|told| {
            let news = *told != active;
            if news {
                *told = active;
            }
            news
        });
    }

    /// The guard is told to end, and another one starts: until it is there, at most for `limit` from this moment, that
    /// it cannot be reached is no fault. To be called before it is told.
    pub fn restarts(&self, limit: Duration) {
        if self
            .jobs
            .try_send(Job::Restarts(self.clock.now() + limit))
            .is_err()
        {
            tracing::warn!("a restart was not announced: too many orders wait for the guard");
        }
    }

    /// A configuration is in force: Grants of older ones are refused by the guard from here on, and so are outputs
    /// that it knows as another wire.
    pub fn generation(&self, generation: u64, wirings: Wirings) {
        if self.jobs.try_send(Job::Generation(generation, wirings)).is_err() {
            tracing::warn!("a generation was not sent: too many orders wait for the guard");
        }
    }
}
