//! Who listens to live events: his place among the streams, his rights at each moment, and what he may see.

use std::sync::Arc;

use gateway_core::Record;
use http::StatusCode;
use tokio::sync::OwnedSemaphorePermit;

use crate::access::Principal;
use crate::app::{App, RightsNews, STREAMS};
use crate::ask::Ask;
use crate::param::FROM;
use crate::problem::Problem;
use crate::visible::Visible;

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
pub(super) struct Listener {
    pub(super) news: RightsNews,
    pub(super) principal: Principal,
    visible: Visible,
}

impl Listener {
    pub(super) fn new(app: &App, principal: &Principal) -> Self {
        Self {
            news: app.rights_news(),
            principal: principal.clone(),
            visible: Visible::new(principal.rights.clone()),
        }
    }

    /// Reads the rights again. True if they are others than before.
    pub(super) fn renew(&mut self, app: &App) -> Result<bool, End> {
        self.news.settle();
        let renewed = app.renewed(&self.principal).map_err(End::Reason)?;
        let changed = renewed.rights != self.principal.rights;
        self.principal = renewed;
        self.visible.renew(&self.principal.rights);
        Ok(changed)
    }

    /// Shows of a page what may be seen at the moment at which there is room for it.
    pub(super) async fn show(
        &mut self,
        app: &App,
        outlet: &mut impl Outlet,
        mut page: Vec<Arc<Record>>,
    ) -> Result<(), End> {
        'rights: loop {
            self.renew(app)?;
            for record in &shown(app, &mut self.visible, page.clone()).await {
                outlet.room().await?;
                if self.news.any() {
                    page.retain(|left| left.seq >= record.seq);
                    continue 'rights;
                }
                outlet.record(record).await?;
            }
            return Ok(());
        }
    }
}

/// Where a stream goes.
pub(super) trait Outlet {
    /// Waits until the client takes one more record.
    async fn room(&mut self) -> Result<(), End>;
    /// Gives it the record.
    async fn record(&mut self, record: &Record) -> Result<(), End>;
}

/// Why a stream ends.
pub(super) enum End {
    /// The client went, or takes no bytes.
    Gone,
    /// We say why.
    Reason(&'static str),
}

pub(super) fn place(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    app.streams.clone().try_acquire_owned().map_err(|_| {
        let text = format!("{STREAMS} live streams are open, which is the limit; close one");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overload", text).later(10)
    })
}

pub(super) fn from_query(ask: &Ask) -> Result<Option<u64>, Problem> {
    let mut query = ask.query()?;
    query.take::<u64>(&FROM)
}
