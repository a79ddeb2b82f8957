//! Taking persons, and what is older than wanted, out of the journal.
//!
//! An erasure is one change of the records first: rows are gone, and a row says what is still to be taken out. From there
//! on a power cut only delays it: after [`Store::open`] it goes on behind the doors. Then segments of events are written anew without it,
//! then that row is replaced by one that says nothing of anybody, and at last a snapshot takes the place of all files of
//! the records, so that nothing of before is in any file. Places in the chain of the events stay (see [`crate::segment`]).

use std::io;
use std::sync::PoisonError;

use gateway_core::{Record, Timestamp, Value};

use crate::background::REPLACED;
use crate::entries::Edit;
use crate::log::Log;
use crate::records::{PutError, compact};
use crate::report::ReadFailure;
use crate::row::{from_json_text, json_text};
use crate::store::Store;
use crate::traces::Traces;

/// Kind and key of the row that says what is still to be done.
const KIND: &str = "erasure";
const KEY: &str = "pending";
/// Kinds whose rows go if they tell of somebody: where people are, and which sources are locked out.
const SWEPT: &[&str] = &["place", "lock-out"];

/// Why an erasure is not finished. What is on the medium of it is finished with the next one, or at the next start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EraseError {
    /// The medium.
    #[error("the journal could not be written anew; it is tried again at the next start")]
    Io(#[from] io::Error),
    /// The records did not take it: nothing was done.
    #[error("not saved")]
    Put(#[from] PutError),
}

/// What an erasure found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Events that something was taken out of.
    pub events: u64,
    /// Files of damaged parts that were removed, since they told of the person.
    pub files: u64,
}

/// The row without traces; `None` if there are none.
fn without(traces: &Traces, body: &[u8]) -> Option<Vec<u8>> {
    let Ok(mut record) = from_json_text(body) else {
        // not a record of any version: it goes as a whole if it tells of them
        return traces.tell(body).then(Vec::new);
    };
    let mut any = false;
    for (name, value) in &mut record.fields {
        if let Value::Text(text) = value
            && let Some(clean) = traces.clean(name, text)
        {
            *text = clean;
            any = true;
        }
    }
    any.then(|| json_text(&record).into_bytes())
}

impl Store {
    /// Goes on with an erasure that was cut off, behind everything else: whom it was about opens nothing any more.
    pub(crate) fn resume_erasure(&self) -> io::Result<()> {
        if self.pending().is_none() {
            return Ok(());
        }
        let store = self.clone();
        let go_on = move || match store.finish_erasure() {
            Ok(erased) => tracing::info!(events = erased.events, "an erasure that was cut off is finished"),
            Err(error) => tracing::error!(%error, "an erasure that was cut off could not be finished"),
        };
        let thread = std::thread::Builder::new().name("journal-erase".into());
        thread.spawn(go_on).map(drop)
    }

    /// Removes rows, and notes durably what is to be taken out of everything else: [`finish_erasure`](Self::finish_erasure)
    /// does that, and so does the next start. Rows of other kinds that tell of them go too.
    ///
    /// # Errors
    /// [`EraseError::Put`] if nothing was done.
    pub async fn begin_erasure(&self, mut edits: Vec<Edit>, traces: &Traces) -> Result<(), EraseError> {
        let mut all = self.pending().unwrap_or_default();
        all.extend(traces.clone());
        edits.extend(self.records().sweep(SWEPT, traces));
        let value = serde_json::to_value(&all).expect("texts only");
        edits.push(Edit::set(KIND, KEY, value));
        let ticket = self.records().put_all(edits)?;
        ticket.durable().await.map_err(|_| PutError::NotDurable)?;
        Ok(())
    }

    /// What was begun and is not finished. `Some` of nothing: only the files of the records are left to be written anew.
    fn pending(&self) -> Option<Traces> {
        let entry = self.records().get(KIND, KEY)?;
        serde_json::from_value(entry.value).ok()
    }

    /// Takes out what [`begin_erasure`](Self::begin_erasure) noted, and returns once nothing of it is in any file of the
    /// journal. On the caller's thread; takes as long as it takes to read the whole journal. Does nothing if nothing was
    /// begun.
    ///
    /// # Errors
    /// [`EraseError`]; then it goes on with the next one, or at the next start.
    pub fn finish_erasure(&self) -> Result<Erased, EraseError> {
        let _turn = self.erasing().lock().unwrap_or_else(PoisonError::into_inner);
        let Some(traces) = self.pending() else {
            return Ok(Erased::default());
        };
        let mut erased = Erased::default();
        if !traces.is_empty() {
            self.events_queue().at_rest(Log::seal)?;
            let last = self.depot().firsts().last().copied().unwrap_or(0);
            erased.events = self.rewrite(last, &mut |body| without(&traces, body))?;
            erased.files = self.drop_damaged(&traces)?;
            let nothing = serde_json::to_value(Traces::default()).expect("texts only");
            self.settle(Some(nothing))?;
        }
        // Twice: what says that something is to be done is in the first snapshot, and the second makes up for a bad one.
        self.compact_records(1)?;
        self.settle(None)?;
        self.compact_records(2)?;
        Ok(erased)
    }

    /// Replaces or removes the row that says what is to be done, and waits for the medium.
    fn settle(&self, value: Option<serde_json::Value>) -> Result<(), EraseError> {
        match value {
            Some(value) => self.records().put(KIND, KEY, value, None)?,
            None => self.records().delete(KIND, KEY)?,
        };
        // tasks come after what was queued before
        self.records().shared().queue.at_rest(|_| Ok(()))?;
        Ok(())
    }

    fn compact_records(&self, keep: usize) -> Result<(), EraseError> {
        let shared = self.records().shared();
        loop {
            let task = shared.clone();
            match shared.queue.at_rest(move |log| compact(&task, log, keep)) {
                // a change came just then
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Ok(other?),
            }
        }
    }

    /// Writes every segment of events that begins before `end` anew where `fate` wants it.
    fn rewrite(&self, end: u64, fate: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>) -> io::Result<u64> {
        let mut changed = 0;
        for first in self.depot().firsts().into_iter().filter(|first| *first < end) {
            if self.closes() {
                return Err(io::Error::other("the journal closes"));
            }
            let done = match self.depot().redact(first, fate) {
                Ok(done) => done,
                // trimmed meanwhile
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(error),
            };
            if done > 0 && changed == 0 {
                // what was remembered of places within segments holds no more
                self.replaced(REPLACED);
            }
            changed += done;
        }
        if changed > 0 {
            self.replaced(REPLACED);
        }
        Ok(changed)
    }

    /// Removes what was set aside and tells of them, and indexes that were.
    fn drop_damaged(&self, traces: &Traces) -> io::Result<u64> {
        let depot = self.depot();
        let mut gone = 0;
        for name in depot.io.list(&depot.damaged).unwrap_or_default() {
            let path = depot.damaged.join(&name);
            if name.starts_with("index-") {
                continue;
            }
            let file = depot.io.open(&path, false)?;
            let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
            let mut got = 0;
            while got < bytes.len() {
                match file.read_at(&mut bytes[got..], got as u64)? {
                    0 => break,
                    n => got += n,
                }
            }
            if traces.tell(&bytes[..got]) {
                depot.io.remove(&path)?;
                gone += 1;
            }
        }
        if gone > 0 {
            depot.io.sync_dir(&depot.damaged)?;
        }
        Ok(gone)
    }

    /// Takes the bodies out of events whose time is over: `until` says up to when a record may stay, `None` for ever.
    /// Whole segments of which nothing is left are removed, from the oldest on. Gives how many records it concerned.
    ///
    /// # Errors
    /// [`ReadFailure`] of the medium.
    pub fn expire(
        &self,
        now: Timestamp,
        until: &dyn Fn(&Record) -> Option<Timestamp>,
    ) -> Result<u64, ReadFailure> {
        let _turn = self.erasing().lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |source| ReadFailure {
            path: self.depot().dir.clone(),
            source,
        };
        let over = |body: &[u8]| {
            let record = from_json_text(body).ok()?;
            until(&record).filter(|end| *end < now).map(|_| Vec::new())
        };
        let firsts = self.depot().firsts();
        let Some(last) = firsts.last().copied() else {
            return Ok(0);
        };
        // the growing segment only if it must be: each time one begins, it takes its room
        let growing = self.holds(last, &over).map_err(failed)?;
        let mut end = last;
        if growing {
            self.events_queue().at_rest(Log::seal).map_err(failed)?;
            end = self.depot().firsts().last().copied().unwrap_or(last);
        }
        let gone = self.rewrite(end, &mut |body| over(body)).map_err(failed)?;
        let keep = firsts
            .iter()
            .copied()
            .chain([end])
            .find(|first| *first >= end || self.holds(*first, &|_| Some(Vec::new())).unwrap_or(true));
        if let Some(keep) = keep.filter(|keep| Some(keep) > firsts.first()) {
            self.trim_before(gateway_core::Seq(keep))?;
            self.replaced(REPLACED);
        }
        Ok(gone)
    }

    /// Does a segment hold a body of which this is said?
    fn holds(&self, first: u64, wanted: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> io::Result<bool> {
        let mut found = false;
        let scanned = self
            .reader()
            .scan_segment(first, None, 0, u64::MAX, &mut |frame, _| {
                found = !frame.body().is_empty() && wanted(frame.body()).is_some();
                if found {
                    std::ops::ControlFlow::Break(())
                } else {
                    std::ops::ControlFlow::Continue(())
                }
            });
        scanned.map(|_| found)
    }
}
