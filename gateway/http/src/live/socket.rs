//! The WebSocket of the page: pictures of the site, and records as they come.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use gateway_core::Record;
use http::StatusCode;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use warp::Reply as _;
use warp::filters::ws::{Message, WebSocket, Ws};
use warp::reply::Response;

use super::feed::{Feed, Step};
use super::listener::{End, Listener, Outlet, from_query, place};
use crate::app::App;
use crate::ask::Ask;
use crate::limits::Place;
use crate::problem::Problem;
use crate::wire;

/// A sign of life, so that the page can tell a lost connection from a quiet site.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A client has nothing to say on the socket; one that talks is cut.
const CHATTER: u32 = 100;

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
            Step::Records(page) => self.listener.show(&self.app, socket, page).await?,
        }
        if let Some((from, to)) = self.feed.catch_up() {
            say(socket, &Say::Missed { from, to }).await?;
        }
        Ok(())
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

impl Outlet for WebSocket {
    async fn room(&mut self) -> Result<(), End> {
        Ok(())
    }

    async fn record(&mut self, record: &Record) -> Result<(), End> {
        let record = gateway_store::json(record);
        say(self, &Say::Record { record }).await
    }
}

async fn say(socket: &mut WebSocket, word: &Say<'_>) -> Result<(), End> {
    let text = serde_json::to_string(word).map_err(|_| End::Gone)?;
    socket.send(Message::text(text)).await.map_err(|_| End::Gone)
}

#[cfg(test)]
mod tests {
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
}
