//! Damage of the journal: it is told, and what nobody can vouch for after it opens nothing.
//!
//! Among records that are lost may be a withdrawal, whose card would open again. So after damage of the records the
//! people of the records, and the users and tokens of the page, let nobody in until somebody at the machine has looked
//! through them. The site file's own cards and codes go on, but for people whom the records are known to keep out; and so
//! do exits.

use std::path::{Path, PathBuf};

use gateway_core::{Event, GatewayEvent};
use gateway_store::{Damage, OpenReport, Store};

use crate::run::faults::Faults;
use crate::run::note;

/// Damage that a fault tells; all of it stands in the journal.
const TOLD: usize = 8;
/// What is said while they are in doubt.
pub(crate) const DOUBT: &str = "records of people, users or tokens were damaged, and a withdrawal may be among what is lost: cards, \
    codes and telephones of `doorline people` open nothing, and users and tokens of the page only read. Look through \
    `doorline people list`, then say `doorline people confirm` and start the gateway anew";

/// The file that says so, whatever happens to the records.
pub(crate) fn mark(state_dir: &Path) -> PathBuf {
    state_dir.join("records-in-doubt")
}

/// Begins to doubt if the records were found damaged, and says whether they are in doubt.
pub(crate) fn begins(state_dir: &Path, report: &OpenReport) -> bool {
    let mark = mark(state_dir);
    if report.records_damaged
        && let Err(error) = note::mark(&mark)
    {
        tracing::error!(%error, mark = %mark.display(), "it could not be noted that records are in doubt");
    }
    // also if nobody may look
    let doubt = report.records_damaged || mark.try_exists().unwrap_or(true);
    if doubt {
        tracing::error!("{DOUBT}");
    }
    doubt
}

/// Somebody has looked. It counts from the next start on. False if nothing was in doubt.
///
/// # Errors
/// The file cannot be removed.
pub(crate) fn ends(state_dir: &Path) -> std::io::Result<bool> {
    match std::fs::remove_file(mark(state_dir)) {
        Ok(()) => std::fs::File::open(state_dir)?.sync_all().map(|()| true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Logs and journals what was cut off of the ends of the journal: the trace of a power cut, and no fault that stands.
pub(crate) fn tell_torn(store: &Store, report: &OpenReport) {
    for text in &report.torn {
        tracing::warn!("the end of the journal was an unfinished write and was cut off: {text}");
        let text = text.clone();
        note::journal(store, Event::Gateway(GatewayEvent::JournalTorn { text }));
    }
}

/// Logs, journals and shows all damage: what was found at start, and what is found while sealed segments and the index
/// are gone through behind the doors.
pub(crate) fn tell(store: &Store, faults: &Faults) {
    let mut damage = store.damage();
    let mut known = 0;
    let (store, faults) = (store.clone(), faults.clone());
    let mut news = move |all: &[Damage]| {
        for damage in &all[known.min(all.len())..] {
            tracing::error!(%damage, "the journal was damaged");
            let text = damage.to_string();
            note::journal(&store, Event::Gateway(GatewayEvent::JournalDamage { text }));
        }
        known = all.len();
        let last = all.iter().rev().take(TOLD).map(ToString::to_string);
        let text = last.collect::<Vec<_>>().join("; ");
        faults.set("journal-damage", (!all.is_empty()).then_some(text));
    };
    news(&damage.borrow_and_update().clone());
    tokio::spawn(async move {
        while damage.changed().await.is_ok() {
            let all = damage.borrow_and_update().clone();
            news(&all);
        }
    });
}
