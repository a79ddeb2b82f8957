//! Live events: server-sent events that resume anywhere in the journal, and a WebSocket for the page.
//!
//! Both read the journal at their own pace, so that a slow subscriber costs nobody anything and gets every
//! record; where records are gone, or the socket is too far behind, it is told which ones it missed. What adapters notice is
//! in no journal: who looks at it gets what he can take, and is told what he missed, too.

mod feed;
mod listener;
mod signals;
mod socket;
mod sse;

use std::sync::Arc;

pub(crate) use signals::signals;
#[cfg(test)]
pub(crate) use socket::Say;
pub(crate) use socket::{not_a_socket, socket};
pub(crate) use sse::events;

use self::feed::{Feed, Step};
use crate::app::App;

/// Looks at every durable record for the metrics, and at what became of rules, from start on.
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
            Step::Records(page) => page.iter().for_each(|r| {
                app.metrics.event(&r.kind);
                app.metrics.reader(r);
                app.ruled.note(r);
            }),
        }
    }
}
