//! The site file, as outside interfaces read and change it. Who runs the gateway answers: it alone reads, checks, applies
//! and writes the file. What leaves here has no secrets in it.

use std::time::Duration;

use gateway_core::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

/// How many may wait: each carries a text.
const QUEUE: usize = 4;
/// How long a caller waits: a site file is taken in less, unless the machine is slow or a change is being applied.
const ANSWER_LIMIT: Duration = Duration::from_secs(12);

/// The site file as it stands on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteText {
    /// False if the gateway runs with another text: the file has faults, was changed since, or another one is on trial.
    pub in_force: bool,
    /// What it is known by while it does not change: 32 hexadecimal digits.
    pub tag: String,
    /// Its text, secrets as `<kept: NAME>`.
    pub text: String,
}

/// What somebody wants the site file to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Proposal {
    /// The one on the disk with other values at these keys; null removes.
    Edits(Vec<(String, Value)>),
    /// This text; `<kept: NAME>` keeps a secret.
    Whole(String),
}

/// A proposal, and who makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Tag of the text that it was made for; `None` takes any.
    pub based_on: Option<String>,
    /// Who.
    pub by: String,
    /// How long it is on trial.
    pub confirm: Duration,
    /// What.
    pub proposal: Proposal,
}

/// One fault, or warning, of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What is allowed there, or what to do.
    pub allowed: String,
    /// Column of its first character, from 1.
    pub column: usize,
    /// What was found, and what is wrong with it.
    pub found: String,
    /// Line, from 1.
    pub line: usize,
    /// The key; empty for the file itself.
    pub path: String,
}

/// What is done to one part of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `added`, `changed` or `removed`; `same` if it only stands on something that changes.
    pub change: &'static str,
    /// Which: `doors.front`.
    pub component: String,
    /// `live`, `restart`, or `process`: the gateway has to be started anew.
    pub effect: &'static str,
    /// Keys that change.
    pub keys: Vec<&'static str>,
    /// What happens, in words.
    pub text: String,
}

/// What changes for somebody at a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightChange {
    /// Its limits with the proposal; `None` if they do not come in so any more.
    pub after: Option<String>,
    /// Its limits in force; `None` if they do not come in so.
    pub before: Option<String>,
    /// By what, such as `card c-1`.
    pub by: String,
    /// Which door.
    pub door: String,
    /// Who, such as `person:alice`.
    pub who: String,
}

impl std::fmt::Display for RightChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { by, door, who, .. } = self;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "~ {who} by {by} at {door}: {before} -> {after}"),
            (Some(before), None) => write!(f, "- {who} by {by} at {door}: {before}"),
            (None, after) => write!(
                f,
                "+ {who} by {by} at {door}: {}",
                after.as_deref().unwrap_or_default()
            ),
        }
    }
}

/// A group, schedule or door that people or credentials name and that the proposal does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotThere {
    /// How many people, and credentials that are nobody's.
    pub count: usize,
    /// `groups.staff`
    pub name: String,
    /// The same as a sentence.
    pub text: String,
    /// The first of them.
    pub who: Vec<String>,
}

/// What a proposal alters, for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Altered {
    /// What people name and it does not have.
    pub missing: Vec<NotThere>,
    /// Changes of rights that are not in `rights` any more.
    pub more: usize,
    /// Parts of the file of which it depends on the moment whom they let in, with the keys that change: `doors.front: relock`.
    pub parts: Vec<String>,
    /// The changes of rights.
    pub rights: Vec<RightChange>,
}

/// What a proposal is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What it alters, for whom; `None` if it has faults.
    pub altered: Option<Altered>,
    /// Why it cannot be taken while the gateway runs, though it has no faults.
    pub blocked: Option<String>,
    /// What it changes in the file, as a unified diff without secrets.
    pub diff: String,
    /// What is wrong with it.
    pub faults: Vec<Placed>,
    /// What it does; empty if it has faults, or changes nothing that counts.
    pub plan: Vec<Step>,
    /// What is risky in it, but allowed.
    pub warnings: Vec<Placed>,
}

/// How far a trial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialState {
    /// It is being applied.
    Applying,
    /// It was confirmed: the site file has its text.
    Confirmed,
    /// What was before is in force again.
    RolledBack,
    /// What was before is being applied, once no pulse runs.
    RollingBack,
    /// It is in force, and somebody has to confirm it.
    Running,
    /// It moves outputs, and waits until no pulse runs.
    Waiting,
}

impl TrialState {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Confirmed => "confirmed",
            Self::RolledBack => "rolled-back",
            Self::RollingBack => "rolling-back",
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }
}

/// A configuration on trial, or the last one that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// What it alters, for whom; `None` if that is not known yet, or not any more.
    pub altered: Option<Altered>,
    /// When it began.
    pub began: Timestamp,
    /// Who began it.
    pub by: String,
    /// How long it is on trial, from the moment it is in force.
    pub confirm: Duration,
    /// What it changes, as a unified diff without secrets; empty if that is not known any more.
    pub diff: String,
    /// What it does.
    pub plan: Vec<Step>,
    /// How far it is.
    pub state: TrialState,
    /// Why it ended, or what it waits for.
    pub text: String,
    /// When it is rolled back by itself, while it runs.
    pub until: Option<tokio::time::Instant>,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteFileRefusal {
    /// Parts of it need the gateway to be started anew; nothing was done.
    Blocked(Box<Checked>),
    /// Nobody answers: the gateway is busy, or stops.
    Busy,
    /// The file is not the one that the proposal was made for.
    Changed,
    /// A key to be edited cannot be.
    Edit(String),
    /// Something failed, on the disk for example.
    Fault(String),
    /// The proposal has faults, or the file on the disk has such that it cannot be shown.
    Faults(Box<Checked>),
    /// This gateway has no site file that could be changed.
    Fixed,
    /// There is no trial.
    NoTrial,
    /// The trial is not so far, or further.
    NotNow(String),
    /// The gateway may not write the file.
    ReadOnly(String),
    /// A trial is under way.
    TrialRuns(String),
    /// It says what the file says already.
    Unchanged,
}

type Reply<T> = oneshot::Sender<Result<T, SiteFileRefusal>>;

/// A question about the site file, or a wish.
#[derive(Debug)]
pub enum SiteFileAsk {
    /// What a proposal would do.
    Check(Proposal, Reply<Checked>),
    /// The trial is good: who says so.
    Confirm(String, Reply<Trial>),
    /// The file.
    Read(Reply<SiteText>),
    /// The trial is no good: who says so.
    RollBack(String, Reply<Trial>),
    /// Put it on trial. Answered once that is written down, before it is applied.
    Try(Wish, Reply<Trial>),
}

/// Where outside interfaces ask.
#[derive(Clone, Debug)]
pub struct SiteFileClient {
    asks: mpsc::Sender<SiteFileAsk>,
    trial: watch::Receiver<Option<Trial>>,
}

/// Where they are answered.
#[derive(Debug)]
pub struct SiteFileDesk {
    /// What is asked, in order.
    pub asks: mpsc::Receiver<SiteFileAsk>,
    /// The trial, or the last one.
    pub trial: watch::Sender<Option<Trial>>,
}

/// Both ends.
#[must_use]
pub fn site_file() -> (SiteFileClient, SiteFileDesk) {
    let (to_desk, asks) = mpsc::channel(QUEUE);
    let (trial, shown) = watch::channel(None);
    (
        SiteFileClient {
            asks: to_desk,
            trial: shown,
        },
        SiteFileDesk { asks, trial },
    )
}

impl SiteFileClient {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// What the desk refuses; [`SiteFileRefusal::Busy`] if it does not answer.
    pub async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> SiteFileAsk) -> Result<T, SiteFileRefusal> {
        let (reply, answer) = oneshot::channel();
        let sent = self.asks.try_send(ask(reply));
        sent.map_err(|_| SiteFileRefusal::Busy)?;
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(Ok(told)) => told,
            Ok(Err(_)) | Err(_) => Err(SiteFileRefusal::Busy),
        }
    }

    /// The trial that is under way, or the last one of this run of the gateway; known also while nobody answers.
    #[must_use]
    pub fn trial(&self) -> Option<Trial> {
        self.trial.borrow().clone()
    }
}
