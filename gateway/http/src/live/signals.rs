//! What adapters notice, as server-sent events: to see what the wires say while somebody works at them.

use std::convert::Infallible;
use std::sync::Arc;

use gateway_bus::{Look, Looker, Noticed};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::interval;
use tokio_stream::wrappers::ReceiverStream;
use warp::Reply as _;
use warp::filters::sse;
use warp::reply::Response;

use super::listener::{End, Listener, place};
use super::sse::{COMMENT, QUEUE, ToClient, bye, missed, put};
use crate::app::App;
use crate::ask::Ask;
use crate::problem::Problem;

/// Signals that one event tells at most.
const MOST: usize = 256;

/// One signal, as it is told.
#[derive(Serialize)]
struct Told<'a> {
    /// Nanoseconds of the machine's monotonic clock, sleep included; by the kernel's timestamp where there is one.
    at_ns: u64,
    device: &'a str,
    kind: &'static str,
    /// Counts all signals since the gateway started.
    n: u64,
    /// The last record that was durable before it.
    seq: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    simulated: bool,
    /// Input, reader or line.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    text: &'a str,
}

impl<'a> From<&'a Noticed> for Told<'a> {
    fn from(noticed: &'a Noticed) -> Self {
        Self {
            at_ns: noticed.at.as_nanos(),
            device: noticed.device.as_str(),
            kind: noticed.kind,
            n: noticed.n,
            seq: noticed.seq.0,
            simulated: noticed.simulated,
            source: noticed.source.as_deref(),
            text: &noticed.text,
        }
    }
}

/// `GET /api/v1/signals`.
pub(crate) fn signals(app: &Arc<App>, ask: &Ask) -> Result<Response, Problem> {
    let stream = Stream {
        app: app.clone(),
        listener: Listener::new(app, ask.principal()?),
        looker: app.bus.look(),
        _place: place(app)?,
    };
    let (to_client, stream_end) = mpsc::channel(QUEUE);
    tokio::spawn(stream.run(to_client));
    Ok(sse::reply(ReceiverStream::new(stream_end)).into_response())
}

struct Stream {
    app: Arc<App>,
    listener: Listener,
    looker: Looker,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    async fn run(mut self, to_client: ToClient) {
        if let Err(End::Reason(reason)) = self.talk(&to_client).await {
            bye(&to_client, reason).await;
        }
    }

    async fn talk(&mut self, to_client: &ToClient) -> Result<Infallible, End> {
        let app = self.app.clone();
        let mut beat = interval(COMMENT);
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
                look = self.looker.next(MOST) => match look {
                    Look::Closed => return Err(End::Reason("stopping")),
                    Look::Missed(from, to) => missed(to_client, from, to).await?,
                    Look::Signals(signals) => {
                        let told: Vec<Told<'_>> = signals.iter().map(|signal| Told::from(&**signal)).collect();
                        let text = serde_json::to_string(&told).unwrap_or_default();
                        put(to_client, sse::Event::default().event("signals").data(text)).await?;
                    }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Instant, Seq};

    #[test]
    fn the_exact_words_of_a_signal() {
        let noticed = Noticed {
            at: Instant::from_nanos(12_000),
            device: "wall".parse().expect("a name"),
            kind: "input",
            n: 4,
            seq: Seq(9),
            simulated: false,
            source: Some("bell".to_owned()),
            text: "active".to_owned(),
        };
        let text = serde_json::to_string(&Told::from(&noticed)).expect("serialises");
        assert_eq!(
            text,
            r#"{"at_ns":12000,"device":"wall","kind":"input","n":4,"seq":9,"source":"bell","text":"active"}"#
        );
    }
}
