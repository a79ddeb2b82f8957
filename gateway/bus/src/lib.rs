//! Between the core and the outside interfaces: commands in, the live picture and the journal out.
//!
//! MQTT, HTTP and notifications hold a [`Bus`]; the core's task holds the [`BusCore`]. Commands wait in a
//! bounded queue of [`QUEUE`]: when it is full the caller is refused at once with `overload`, nothing waits
//! unseen. The core gives a sign of life at each of its turns; who shows its picture can tell when it stands still.
//! Events are read from the journal through cursors, so a slow reader harms nobody.

mod backup;
mod limit;
mod live;
mod metric;
mod noticed;
mod outline;
mod site_file;
mod tries;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gateway_core::{
    CommandReply, CommandRequest, DirectoryView, Explain, Explained, Instant, ReaderId, Refusal, SiteView,
    TriedRule, TryRules,
};
use gateway_people::People;
use gateway_store::Store;
use gateway_trace::Trace;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub use backup::{BackupRefused, MakeBackup};
pub use limit::Bucket;
pub use live::{Live, Look, Looker, NOTICED, Offers};
pub use metric::{Metric, Reading};
pub use noticed::Noticed;
pub use outline::{ActionOutline, DeviceKind, DeviceOutline, Outline, RuleOutline, ScheduleOutline};
pub use site_file::{
    Altered, Checked, NotThere, Placed, Proposal, RightChange, SiteFileAsk, SiteFileClient, SiteFileDesk,
    SiteFileRefusal, SiteText, Step, Trial, TrialState, Wish, site_file,
};

pub use tries::{RuleQuestion, try_rules_of};

/// How many commands may wait for the core.
pub const QUEUE: usize = 128;
/// How many cards that were read wait for who is slow; then the oldest is lost.
const TAGS: usize = 16;
/// How many questions may wait for the core.
pub const QUESTIONS: usize = 16;
/// How long a caller waits for its answer, which comes only when the record is durable.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The core turns ten times a second; one that was silent for this long stands still.
pub const CORE_SILENT: Duration = Duration::from_secs(2);

/// A command on its way to the core.
#[derive(Debug)]
pub struct Asked {
    /// Answered once, after the record is durable.
    pub reply: oneshot::Sender<CommandReply>,
    /// What is asked.
    pub request: CommandRequest,
}

/// A question about who may open what, on its way to the core. Nothing opens by it.
#[derive(Debug)]
pub struct Question {
    /// Answered at once.
    pub answer: oneshot::Sender<Explained>,
    /// What is asked.
    pub ask: Explain,
}

/// A card that was read at this moment. Nothing keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSeen {
    /// Where.
    pub reader: ReaderId,
    /// A name of the card that is always the same and tells nothing of its number: 32 hexadecimal digits.
    pub tag: String,
}

/// What an outside interface sees of the gateway.
#[derive(Clone)]
pub struct Bus {
    alive: Arc<AtomicU64>,
    backup: Option<MakeBackup>,
    commands: mpsc::Sender<Asked>,
    contacts: Arc<watch::Sender<u64>>,
    metrics: Arc<[Metric]>,
    directory: Arc<watch::Sender<Arc<DirectoryView>>>,
    live: Live,
    outline: Arc<watch::Sender<Arc<Outline>>>,
    people: Option<People>,
    questions: mpsc::Sender<Question>,
    rule_questions: mpsc::Sender<RuleQuestion>,
    site_file: Option<SiteFileClient>,
    store: Store,
    tags: broadcast::Sender<TagSeen>,
    trace: Option<Trace>,
    view: watch::Receiver<Arc<SiteView>>,
}

/// The core's end.
pub struct BusCore {
    alive: Arc<AtomicU64>,
    /// Commands, in order of arrival.
    pub commands: mpsc::Receiver<Asked>,
    /// Where what adapters notice is offered to those who look.
    pub offers: Offers,
    /// Questions, in order of arrival.
    pub questions: mpsc::Receiver<Question>,
    /// Questions about rules, in order of arrival.
    pub rule_questions: mpsc::Receiver<RuleQuestion>,
    tags: broadcast::Sender<TagSeen>,
    /// The live picture.
    pub view: watch::Sender<Arc<SiteView>>,
}

impl Bus {
    /// Both ends.
    #[must_use]
    pub fn new(store: Store) -> (Self, BusCore) {
        let (to_core, commands) = mpsc::channel(QUEUE);
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let (rule_questions, tried) = mpsc::channel(QUESTIONS);
        let (view, picture) = watch::channel(Arc::new(SiteView::default()));
        let alive = Arc::new(AtomicU64::new(0));
        let (offers, live) = Live::new();
        let (tags, _) = broadcast::channel(TAGS);
        (
            Self {
                alive: Arc::clone(&alive),
                backup: None,
                commands: to_core,
                contacts: Arc::new(watch::channel(0).0),
                metrics: Arc::new([]),
                directory: Arc::new(watch::channel(Arc::default()).0),
                live,
                outline: Arc::new(watch::channel(Arc::default()).0),
                people: None,
                questions,
                rule_questions,
                site_file: None,
                store,
                tags: tags.clone(),
                trace: None,
                view: picture,
            },
            BusCore {
                alive,
                commands,
                offers,
                questions: asked,
                rule_questions: tried,
                tags,
                view,
            },
        )
    }

    /// Asks the core and waits for its answer, at most [`ANSWER_LIMIT`].
    pub async fn command(&self, request: CommandRequest) -> CommandReply {
        let (reply, answer) = oneshot::channel();
        match self.commands.try_send(Asked { reply, request }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                return refused(Refusal::Overload, "too many commands wait; try again in a second");
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return refused(Refusal::NotReady, "the gateway stops");
            }
        }
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => refused(Refusal::NotReady, "the gateway stops"),
            // it may have been acted on: the id makes a repetition harmless
            Err(_) => refused(
                Refusal::Fault,
                "the journal does not answer; the command may have been acted on, see the journal",
            ),
        }
    }

    /// The same, with backups that can be taken.
    #[must_use]
    pub fn with_backup(mut self, backup: Option<MakeBackup>) -> Self {
        self.backup = backup;
        self
    }

    /// Takes backups; `None` where there is nothing to be kept.
    #[must_use]
    pub const fn backup(&self) -> Option<&MakeBackup> {
        self.backup.as_ref()
    }

    /// The same, with what parts of the gateway measure.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Vec<Metric>) -> Self {
        self.metrics = metrics.into();
        self
    }

    /// What parts of the gateway measure; those of a name follow each other.
    #[must_use]
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// The same, with people and credentials that can be changed.
    #[must_use]
    pub fn with_people(mut self, people: Option<People>) -> Self {
        self.people = people;
        self
    }

    /// People and credentials; `None` where they cannot be changed.
    #[must_use]
    pub const fn people(&self) -> Option<&People> {
        self.people.as_ref()
    }

    /// The same, with a site file that can be read and changed.
    #[must_use]
    pub fn with_site_file(mut self, site_file: Option<SiteFileClient>) -> Self {
        self.site_file = site_file;
        self
    }

    /// The site file; `None` where it can be neither read nor changed.
    #[must_use]
    pub const fn site_file(&self) -> Option<&SiteFileClient> {
        self.site_file.as_ref()
    }

    /// The same, with what passed lately between the gateway and its phones.
    #[must_use]
    pub fn with_trace(mut self, trace: Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// What passed lately between the gateway and its phones; `None` without SIP.
    #[must_use]
    pub const fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// What would be decided; `None` if the core does not answer.
    pub async fn explain(&self, ask: Explain) -> Option<Explained> {
        let (answer, told) = oneshot::channel();
        self.questions.try_send(Question { answer, ask }).ok()?;
        tokio::time::timeout(ANSWER_LIMIT, told).await.ok()?.ok()
    }

    /// What the rules would make of an event; `None` if the core does not answer.
    pub async fn try_rules(&self, ask: TryRules) -> Option<Result<Vec<TriedRule>, String>> {
        let (answer, told) = oneshot::channel();
        self.rule_questions.try_send(RuleQuestion { answer, ask }).ok()?;
        tokio::time::timeout(ANSWER_LIMIT, told).await.ok()?.ok()
    }

    /// How long the core has given no sign of life, if that is longer than [`CORE_SILENT`]; never before its first.
    #[must_use]
    pub fn core_silent(&self, now: Instant) -> Option<Duration> {
        let last = self.alive.load(Ordering::Relaxed);
        let silent = now.since(Instant::from_nanos(last));
        (last > 0 && silent > CORE_SILENT).then_some(silent)
    }

    /// Tells whoever follows [`Bus::contacts`] that records of contacts changed.
    pub fn contacts_changed(&self) {
        self.contacts.send_modify(|count| *count += 1);
    }

    /// Changes with the records of contacts.
    #[must_use]
    pub fn contacts(&self) -> watch::Receiver<u64> {
        self.contacts.subscribe()
    }

    /// Shows another directory of contacts.
    pub fn show_directory(&self, directory: Arc<DirectoryView>) {
        self.directory.send_replace(directory);
    }

    /// The directory of contacts; empty without one.
    #[must_use]
    pub fn directory(&self) -> watch::Receiver<Arc<DirectoryView>> {
        self.directory.subscribe()
    }

    /// Cards that are read from here on. Who does not listen misses them, and so does who is slow.
    #[must_use]
    pub fn tags(&self) -> broadcast::Receiver<TagSeen> {
        self.tags.subscribe()
    }

    /// Shows another site file.
    pub fn show_outline(&self, outline: Arc<Outline>) {
        self.outline.send_replace(outline);
    }

    /// Schedules, rules and devices of the site file in force; empty before the first one.
    #[must_use]
    pub fn outline(&self) -> Arc<Outline> {
        self.outline.borrow().clone()
    }

    /// The journal.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// What adapters notice from now on. Must be called within a runtime.
    #[must_use]
    pub fn look(&self) -> Looker {
        self.live.look()
    }

    /// The live picture; it changes after the events it shows are queued for the journal.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<Arc<SiteView>> {
        self.view.clone()
    }
}

impl BusCore {
    /// Does anybody want to know of cards?
    #[must_use]
    pub fn wants_tags(&self) -> bool {
        self.tags.receiver_count() > 0
    }

    /// A card was read.
    pub fn tag_seen(&self, seen: TagSeen) {
        // nobody listens any more
        let _ = self.tags.send(seen);
    }

    /// The core turns; to be called at each turn, with the clock that [`Bus::core_silent`] is asked with.
    pub fn alive(&self, now: Instant) {
        self.alive.store(now.as_nanos(), Ordering::Relaxed);
    }
}

fn refused(reason: Refusal, text: &str) -> CommandReply {
    CommandReply::Refused {
        reason,
        text: text.to_owned(),
    }
}
