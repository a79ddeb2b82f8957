//! Live events: server-sent events that resume anywhere in the journal, and a WebSocket for the page.
//!
//! Both read the journal at their own pace, so that a slow subscriber costs nobody anything and gets every
//! record; where records are gone, or the socket is too far behind, it is told which ones it missed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use gateway_core::{Record, Seq};
use gateway_store::Store;
use http::StatusCode;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, interval, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use warp::Reply as _;
use warp::filters::sse;
use warp::filters::ws::{Message, WebSocket, Ws};
use warp::reply::Response;

use crate::access::Principal;
use crate::app::{App, RightsNews, STREAMS};
use crate::ask::Ask;
use crate::limits::Place;
use crate::param::FROM;
use crate::problem::Problem;
use crate::visible::Visible;
use crate::wire;

/// A sign of life, so that the page can tell a lost connection from a quiet site.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);
/// The same for server-sent events, as a comment.
const COMMENT: Duration = Duration::from_secs(5);
/// Records read at once.
const PAGE: usize = 128;
/// A socket that is further behind is told so and gets the newest [`KEPT`].
const BEHIND: u64 = 1000;
const KEPT: u64 = 100;
/// Messages that may wait for the network. What waits is let out before its reader loses a right to it.
const QUEUE: usize = 1;
/// A client has nothing to say on the socket; one that talks is cut.
const CHATTER: u32 = 100;

/// What a feed gives.
#[derive(Debug)]
enum Step {
    /// The journal is closed.
    Closed,
    /// These numbers are not there.
    Missed(u64, u64),
    Records(Vec<Arc<Record>>),
}

/// Reads the journal from a number on and waits at its end.
struct Feed {
    durable: watch::Receiver<Seq>,
    next: u64,
    store: Store,
    waiting: Option<Vec<Arc<Record>>>,
}

impl Feed {
    fn new(store: &Store, next: u64) -> Self {
        Self {
            durable: store.durable(),
            next: next.max(1),
            store: store.clone(),
            waiting: None,
        }
    }

    /// The next records. Nothing is lost if the future is dropped.
    async fn step(&mut self) -> Step {
        if let Some(page) = self.waiting.take() {
            return self.pass(page);
        }
        loop {
            let next = self.next;
            if self.durable.wait_for(|last| last.0 >= next).await.is_err() {
                return Step::Closed;
            }
            let last = self.durable.borrow().0;
            let store = self.store.clone();
            let read = tokio::task::spawn_blocking(move || store.read(Seq(next), PAGE)).await;
            match read {
                Ok(Ok(page)) => match page.first().map(|r| r.seq.0) {
                    Some(first) if first > next => {
                        self.waiting = Some(page);
                        self.next = first;
                        return Step::Missed(next, first - 1);
                    }
                    Some(_) => return self.pass(page),
                    None => {
                        self.next = last + 1;
                        return Step::Missed(next, last);
                    }
                },
                Ok(Err(error)) => {
                    tracing::warn!(%error, "live events cannot read the journal");
                    tokio::time::sleep(HEARTBEAT).await;
                }
                Err(_) => return Step::Closed,
            }
        }
    }

    fn pass(&mut self, page: Vec<Arc<Record>>) -> Step {
        if let Some(last) = page.last() {
            self.next = last.seq.0 + 1;
        }
        Step::Records(page)
    }

    /// Leaves out what a picture of this moment does not need; gives what was left out.
    fn catch_up(&mut self) -> Option<(u64, u64)> {
        let last = self.durable.borrow().0;
        if last < self.next + BEHIND {
            return None;
        }
        let from = self.next;
        self.next = last - KEPT + 1;
        self.waiting = None;
        Some((from, self.next - 1))
    }
}

/// Counts every durable record for the metrics, from start on.
pub(crate) async fn count(app: Arc<App>) {
    let next = app.bus.store().durable().borrow().0 + 1;
    let mut feed = Feed::new(app.bus.store(), next);
    loop {
        let step = tokio::select! {
            step = feed.step() => step,
            () = app.stop() => return,
        };
        match step {
            Step::Closed => return,
            Step::Missed(..) => {}
            Step::Records(page) => page.iter().for_each(|r| app.metrics.event(&r.kind)),
        }
    }
}

/// What may be seen of a page. Who has a door list costs a look into the journal, on a thread that may wait; where
/// it cannot be read, nothing is shown.
async fn shown(app: &App, visible: &mut Visible, page: Vec<Arc<Record>>) -> Vec<Arc<Record>> {
    let (store, view, mut eyes) = (app.bus.store().clone(), app.view(), visible.clone());
    let look = move || {
        let shown = eyes.of(&store, &view, &page);
        (eyes, shown)
    };
    let looked = if visible.sees_every_door() {
        Ok(look())
    } else {
        tokio::task::spawn_blocking(look).await
    };
    let Ok((eyes, shown)) = looked else {
        return vec![];
    };
    *visible = eyes;
    shown.unwrap_or_else(|error| {
        tracing::warn!(%error, "live events cannot read the journal");
        vec![]
    })
}

/// Who listens, with the rights that he has at each moment.
struct Listener {
    news: RightsNews,
    principal: Principal,
    visible: Visible,
}

impl Listener {
    fn new(app: &App, principal: &Principal) -> Self {
        Self {
            news: app.rights_news(),
            principal: principal.clone(),
            visible: Visible::new(principal.rights.clone()),
        }
    }

    /// Reads the rights again. True if they are others than before.
    fn renew(&mut self, app: &App) -> Result<bool, End> {
        self.news.settle();
        let renewed = app.renewed(&self.principal).map_err(End::Reason)?;
        let changed = renewed.rights != self.principal.rights;
        self.principal = renewed;
        self.visible.renew(&self.principal.rights);
        Ok(changed)
    }
}

/// Why a stream ends.
enum End {
    /// The client went, or takes no bytes.
    Gone,
    /// We say why.
    Reason(&'static str),
}

fn place(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    app.streams.clone().try_acquire_owned().map_err(|_| {
        let text = format!("{STREAMS} live streams are open, which is the limit; close one");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overload", text).later(10)
    })
}

fn from_query(ask: &Ask) -> Result<Option<u64>, Problem> {
    let mut query = ask.query()?;
    query.take::<u64>(&FROM)
}

/// `GET /api/v1/events?from=SEQ`; `Last-Event-ID` of a reconnecting browser goes before `from`.
pub(crate) fn events(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let from = from_query(ask)?;
    let seen = ask.head.headers.get("last-event-id");
    let seen: Option<u64> = seen.and_then(|v| v.to_str().ok()?.parse().ok());
    let durable = app.bus.store().durable().borrow().0;
    let next = seen.map(|s| s.saturating_add(1)).or(from).unwrap_or(durable + 1);
    let stream = Sse {
        app: app.clone(),
        feed: Feed::new(app.bus.store(), next.min(durable + 1)),
        listener: Listener::new(app, ask.principal()?),
        _place: place(app)?,
    };
    let (to_client, stream_end) = mpsc::channel(QUEUE);
    // A client that comes from the future (the journal was restored) is told where the journal ends.
    let future = (next > durable + 1).then_some(durable);
    tokio::spawn(stream.run(to_client, future));
    Ok(sse::reply(ReceiverStream::new(stream_end)).into_response())
}

/// Sequence numbers, both included.
#[derive(Serialize)]
struct Range {
    from: u64,
    to: u64,
}

type ToClient = mpsc::Sender<Result<sse::Event, Infallible>>;

/// The last event.
#[derive(Serialize)]
struct Bye {
    reason: &'static str,
}

struct Sse {
    app: Arc<App>,
    feed: Feed,
    listener: Listener,
    _place: OwnedSemaphorePermit,
}

impl Sse {
    async fn run(mut self, to_client: ToClient, future: Option<u64>) {
        if let Err(End::Reason(reason)) = self.talk(&to_client, future).await {
            let text = serde_json::to_string(&Bye { reason }).unwrap_or_default();
            let bye = to_client.send(Ok(sse::Event::default().event("bye").data(text)));
            // who takes no bytes hears no reason either
            let _ = tokio::time::timeout(HEARTBEAT, bye).await;
        }
    }

    async fn talk(&mut self, to_client: &ToClient, future: Option<u64>) -> Result<Infallible, End> {
        let app = self.app.clone();
        let mut beat = interval(COMMENT);
        if let Some(durable) = future {
            let event = sse::Event::default().event("reset").data(durable.to_string());
            put(to_client, event).await?;
        }
        loop {
            tokio::select! {
                biased;
                () = to_client.closed() => return Err(End::Gone),
                () = app.stop() => return Err(End::Reason("stopping")),
                () = self.listener.news.wait() => {
                    self.listener.renew(&app)?;
                }
                _ = beat.tick() => {
                    self.listener.renew(&app)?;
                    put(to_client, sse::Event::default().comment("alive")).await?;
                }
                step = self.feed.step() => match step {
                    Step::Closed => return Err(End::Reason("stopping")),
                    Step::Missed(from, to) => missed(to_client, from, to).await?,
                    Step::Records(page) => self.records(to_client, page).await?,
                },
            }
        }
    }

    /// Shows what may be seen at the moment at which there is room for it.
    async fn records(&mut self, to_client: &ToClient, mut page: Vec<Arc<Record>>) -> Result<(), End> {
        'rights: loop {
            self.listener.renew(&self.app)?;
            for record in &shown(&self.app, &mut self.listener.visible, page.clone()).await {
                let room = to_client.reserve().await.map_err(|_| End::Gone)?;
                if self.listener.news.any() {
                    page.retain(|left| left.seq >= record.seq);
                    continue 'rights;
                }
                let event = sse::Event::default()
                    .event("record")
                    .id(record.seq.to_string())
                    .data(gateway_store::json_text(record));
                room.send(Ok(event));
            }
            return Ok(());
        }
    }
}

async fn put(to_client: &ToClient, event: sse::Event) -> Result<(), End> {
    to_client.send(Ok(event)).await.map_err(|_| End::Gone)
}

async fn missed(to_client: &ToClient, from: u64, to: u64) -> Result<(), End> {
    let text = serde_json::to_string(&Range { from, to }).unwrap_or_default();
    let event = sse::Event::default()
        .event("missed")
        .id(to.to_string())
        .data(text);
    put(to_client, event).await
}

pub(crate) fn not_a_socket() -> Problem {
    let text = "this path is a WebSocket; programs without one use /api/v1/events";
    Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade", text)
}

/// What the socket says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LiveMessage"))]
pub(crate) enum Say<'a> {
    /// Nothing changed; the connection and the gateway live.
    Alive {
        seq: u64,
        /// How long the core has not answered, if it should have.
        #[serde(skip_serializing_if = "Option::is_none")]
        core_silent_ms: Option<u64>,
    },
    /// The last word.
    Bye { reason: &'static str },
    /// The first word.
    Hello {
        seq: u64,
        heartbeat_ms: u64,
        version: &'a str,
    },
    /// Records that were left out.
    Missed { from: u64, to: u64 },
    /// One record.
    Record {
        #[cfg_attr(test, schemars(with = "crate::openapi::Record"))]
        record: serde_json::Value,
    },
    /// The client named a record that is not there yet, as after the journal was restored: this is the last one.
    Reset { seq: u64 },
    /// The whole picture.
    View { view: Box<wire::View<'a>> },
}

/// `GET /api/v1/live?from=SEQ` as a WebSocket.
pub(crate) fn socket(app: &Arc<App>, ws: Ws, ask: &Ask) -> Result<Response, Problem> {
    let from = from_query(ask)?;
    let durable = app.bus.store().durable().borrow().0;
    let live = Live {
        ahead: from.is_some_and(|from| from > durable + 1).then_some(durable),
        app: app.clone(),
        chatter: 0,
        feed: Feed::new(app.bus.store(), from.unwrap_or(durable + 1).min(durable + 1)),
        _connection: ask.head.peer.place.clone(),
        listener: Listener::new(app, ask.principal()?),
        _place: place(app)?,
    };
    let ws = ws.max_message_size(4096).max_frame_size(4096);
    Ok(ws.on_upgrade(|socket| live.run(socket)).into_response())
}

struct Live {
    /// The journal ends here, and the client comes from beyond.
    ahead: Option<u64>,
    app: Arc<App>,
    chatter: u32,
    feed: Feed,
    /// Its place among the connections lasts as long as the socket.
    _connection: Arc<Place>,
    listener: Listener,
    _place: OwnedSemaphorePermit,
}

impl Live {
    async fn run(mut self, mut socket: WebSocket) {
        if let Err(End::Reason(reason)) = self.talk(&mut socket).await {
            let close = async move {
                if say(&mut socket, &Say::Bye { reason }).await.is_ok() {
                    let _ = socket.close().await;
                }
            };
            let _ = tokio::time::timeout(HEARTBEAT, close).await;
        }
    }

    async fn talk(&mut self, socket: &mut WebSocket) -> Result<Infallible, End> {
        let app = self.app.clone();
        let mut view = app.bus.view();
        let seq = self.feed.next - 1;
        let hello = Say::Hello {
            seq,
            heartbeat_ms: HEARTBEAT.as_millis().try_into().unwrap_or(u64::MAX),
            version: &app.params.version,
        };
        say(socket, &hello).await?;
        if let Some(seq) = self.ahead {
            say(socket, &Say::Reset { seq }).await?;
        }
        view.mark_changed();
        let (mut beat, mut silent) = (Instant::now() + HEARTBEAT, false);
        loop {
            tokio::select! {
                changed = view.changed() => {
                    if changed.is_err() {
                        return Err(End::Reason("stopping"));
                    }
                    view.mark_unchanged();
                    let site = app.view();
                    self.listener.renew(&app)?;
                    let rights = &self.listener.principal.rights;
                    let view = Box::new(wire::view(&site, rights, app.clock.now()));
                    say(socket, &Say::View { view }).await?;
                }
                () = self.listener.news.wait() => if self.listener.renew(&app)? {
                    view.mark_changed();
                },
                step = self.feed.step() => self.pass(socket, step).await?,
                () = sleep_until(beat) => {
                    beat = Instant::now() + HEARTBEAT;
                    if self.listener.renew(&app)? {
                        view.mark_changed();
                    }
                    let seq = app.bus.store().durable().borrow().0;
                    let core = app.core_silent();
                    if std::mem::replace(&mut silent, core.is_some()) != core.is_some() {
                        // what stands in the picture does not hold, or holds again
                        view.mark_changed();
                    }
                    let core_silent_ms = core.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
                    say(socket, &Say::Alive { seq, core_silent_ms }).await?;
                }
                message = socket.next() => self.hear(message)?,
                () = app.stop() => return Err(End::Reason("stopping")),
            }
        }
    }

    async fn pass(&mut self, socket: &mut WebSocket, step: Step) -> Result<(), End> {
        match step {
            Step::Closed => return Err(End::Reason("stopping")),
            Step::Missed(from, to) => say(socket, &Say::Missed { from, to }).await?,
            Step::Records(page) => self.records(socket, page).await?,
        }
        if let Some((from, to)) = self.feed.catch_up() {
            say(socket, &Say::Missed { from, to }).await?;
        }
        Ok(())
    }

    async fn records(&mut self, socket: &mut WebSocket, mut page: Vec<Arc<Record>>) -> Result<(), End> {
        'rights: loop {
            self.listener.renew(&self.app)?;
            for record in &shown(&self.app, &mut self.listener.visible, page.clone()).await {
                if self.listener.news.any() {
                    page.retain(|left| left.seq >= record.seq);
                    continue 'rights;
                }
                let record = gateway_store::json(record);
                say(socket, &Say::Record { record }).await?;
            }
            return Ok(());
        }
    }

    fn hear(&mut self, message: Option<Result<Message, warp::Error>>) -> Result<(), End> {
        let Some(Ok(message)) = message else {
            return Err(End::Gone);
        };
        if message.is_close() {
            return Err(End::Gone);
        }
        if !message.is_pong() {
            self.chatter += 1;
        }
        if self.chatter > CHATTER {
            return Err(End::Reason("chatter"));
        }
        Ok(())
    }
}

async fn say(socket: &mut WebSocket, word: &Say<'_>) -> Result<(), End> {
    let text = serde_json::to_string(word).map_err(|_| End::Gone)?;
    socket.send(Message::text(text)).await.map_err(|_| End::Gone)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_core::{Envelope, Event, GatewayEvent, Timestamp};
    use gateway_store::Options;
    use gateway_store::fake::FakeIo;

    use super::*;

    #[test]
    fn the_exact_words_of_the_socket() {
        let text = |word: &Say<'_>| serde_json::to_string(word).expect("serialises");
        assert_eq!(
            text(&Say::Hello {
                seq: 4,
                heartbeat_ms: 1000,
                version: "1"
            }),
            r#"{"type":"hello","seq":4,"heartbeat_ms":1000,"version":"1"}"#
        );
        let alive = |core_silent_ms| {
            text(&Say::Alive {
                seq: 5,
                core_silent_ms,
            })
        };
        assert_eq!(alive(None), r#"{"type":"alive","seq":5}"#);
        assert_eq!(
            alive(Some(2500)),
            r#"{"type":"alive","seq":5,"core_silent_ms":2500}"#
        );
        assert_eq!(
            text(&Say::Missed { from: 1, to: 2 }),
            r#"{"type":"missed","from":1,"to":2}"#
        );
        assert_eq!(text(&Say::Reset { seq: 3 }), r#"{"type":"reset","seq":3}"#);
        assert_eq!(
            text(&Say::Bye { reason: "stopping" }),
            r#"{"type":"bye","reason":"stopping"}"#
        );
    }

    async fn journal(count: u64) -> Store {
        let options = Options {
            index: false,
            segment: 4096,
            ..Options::default()
        };
        let (store, _) = Store::open(Path::new("/state"), options, FakeIo::new()).expect("opens");
        let mut last = None;
        for gap_ms in 0..count {
            let envelope = Envelope {
                at: Timestamp::UNIX_EPOCH,
                event: Event::Gateway(GatewayEvent::LoopGap { gap_ms }),
                ring: None,
                simulated: false,
            };
            last = Some(store.append(envelope).expect("taken"));
        }
        if let Some(ticket) = last {
            ticket.durable().await.expect("durable");
        }
        store
    }

    #[tokio::test]
    async fn a_feed_gives_everything_in_order_and_says_what_is_gone() {
        let store = journal(600).await;
        let left = store.trim_before(Seq(200)).expect("trims").0;
        assert!(left > 1, "segments are small");
        let mut feed = Feed::new(&store, 1);
        assert!(matches!(feed.step().await, Step::Missed(1, to) if to == left - 1));
        let mut expected = left;
        while expected <= 600 {
            let Step::Records(page) = feed.step().await else {
                panic!("records were expected from {expected} on");
            };
            for record in page {
                assert_eq!(record.seq.0, expected);
                expected += 1;
            }
        }
        store.close();
        assert!(matches!(feed.step().await, Step::Closed));
    }

    #[tokio::test]
    async fn a_feed_that_is_far_behind_leaves_out_and_says_so() {
        let store = journal(BEHIND + 50).await;
        let mut feed = Feed::new(&store, 1);
        assert_eq!(feed.catch_up(), Some((1, BEHIND + 50 - KEPT)));
        assert_eq!(feed.catch_up(), None);
        let Step::Records(page) = feed.step().await else {
            panic!("records were expected");
        };
        assert_eq!(page[0].seq.0, BEHIND + 51 - KEPT);
    }
}
