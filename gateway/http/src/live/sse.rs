//! Server-sent events, which resume anywhere in the journal.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::Record;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::interval;
use tokio_stream::wrappers::ReceiverStream;
use warp::Reply as _;
use warp::filters::sse;
use warp::reply::Response;

use super::feed::{Feed, Step};
use super::listener::{End, Listener, Outlet, from_query, place};
use crate::app::App;
use crate::ask::Ask;
use crate::problem::Problem;

/// A sign of life, as a comment.
pub(super) const COMMENT: Duration = Duration::from_secs(5);
/// Messages that may wait for the network. What waits is let out before its reader loses a right to it.
pub(super) const QUEUE: usize = 1;
/// For how long the last word may wait for a client that takes no bytes.
const FAREWELL: Duration = Duration::from_secs(1);

/// `GET /api/v1/events?from=SEQ`; `Last-Event-ID` of a reconnecting browser goes before `from`.
pub(crate) fn events(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let from = from_query(ask)?;
    let seen = ask.head.headers.get("last-event-id").map(last_seen).transpose()?;
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

/// The number of the last event that somebody saw.
fn last_seen(value: &http::HeaderValue) -> Result<u64, Problem> {
    let text = value.to_str().unwrap_or_default();
    let is_number = (1..=19).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.ok_or_else(|| {
        let detail = "Last-Event-ID must be the number of an event, 1 to 19 digits, as its \"id\" was; leave it out to begin \
             with what happens from here on";
        Problem::bad("query", detail)
    })
}

/// Sequence numbers, both included.
#[derive(Serialize)]
struct Range {
    from: u64,
    to: u64,
}

pub(super) type ToClient = mpsc::Sender<Result<sse::Event, Infallible>>;

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
    async fn run(mut self, mut to_client: ToClient, future: Option<u64>) {
        if let Err(End::Reason(reason)) = self.talk(&mut to_client, future).await {
            bye(&to_client, reason).await;
        }
    }

    async fn talk(&mut self, to_client: &mut ToClient, future: Option<u64>) -> Result<Infallible, End> {
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
                    Step::Records(page) => self.listener.show(&app, to_client, page).await?,
                },
            }
        }
    }
}

impl Outlet for ToClient {
    async fn room(&mut self) -> Result<(), End> {
        // it stays free: nobody else sends
        self.reserve().await.map(drop).map_err(|_| End::Gone)
    }

    async fn record(&mut self, record: &Record) -> Result<(), End> {
        let event = sse::Event::default()
            .event("record")
            .id(record.seq.to_string())
            .data(gateway_store::json_text(record));
        put(self, event).await
    }
}

/// The last word.
pub(super) async fn bye(to_client: &ToClient, reason: &'static str) {
    let text = serde_json::to_string(&Bye { reason }).unwrap_or_default();
    let bye = to_client.send(Ok(sse::Event::default().event("bye").data(text)));
    // who takes no bytes hears no reason either
    let _ = tokio::time::timeout(FAREWELL, bye).await;
}

pub(super) async fn put(to_client: &ToClient, event: sse::Event) -> Result<(), End> {
    to_client.send(Ok(event)).await.map_err(|_| End::Gone)
}

pub(super) async fn missed(to_client: &ToClient, from: u64, to: u64) -> Result<(), End> {
    let text = serde_json::to_string(&Range { from, to }).unwrap_or_default();
    let event = sse::Event::default()
        .event("missed")
        .id(to.to_string())
        .data(text);
    put(to_client, event).await
}
