//! The journal: two synced, hash-chained logs and a sled index that can be thrown away.
//!
//! ```text
//! <state-dir>/lock                      held by the one gateway of this folder, says its process id
//! <state-dir>/journal/events/<seq>.seg  what happened: one JSON row per record (`json`)
//! <state-dir>/journal/records/…         keys and values: users, tokens, cursors, used command ids; *.snap = snapshots
//! <state-dir>/journal/*/anchors.jsonl   which records are missing, and why: trimmed or damaged
//! <state-dir>/journal-*.mark            how far each log went, for a journal that lost its end or is gone
//! <state-dir>/journal/damaged/          what was found bad, and its readable part as *.jsonl
//! <state-dir>/index/                    sled
//! ```
//! [`Store::append`] gives order and number at once; a writer thread commits in groups and moves
//! [`Store::durable`]. Nothing is acknowledged before it is synced, and doors never wait. Damage never
//! keeps the gateway from starting: it is reported, set aside, and the readable part goes on.
//!
//! This crate does not decide how large the journal may become or what to show, and knows no adapter.

mod background;
mod depot;
mod entries;
mod erase;
pub mod fake;
#[doc(hidden)]
pub mod fuzz;
mod index;
mod io;
mod log;
mod mark;
mod offline;
mod query;
mod reader;
mod records;
mod report;
mod row;
mod segment;
mod store;
mod traces;
mod worker;

pub use entries::{Edit, Entry};
pub use erase::{EraseError, Erased};
pub use io::{LockError, LockGuard, RealIo, StoreFile, StoreIo};
pub use offline::{
    CSV_HEAD, Format, LogReport, OfflineError, Tail, VerifyReport, csv_line, export, rebuild, rows, scan,
    tail, verify, verify_with,
};
pub use query::{Filter, Query};
pub use records::{Cursor, PutError, Records};
pub use report::{Damage, Health, OpenError, OpenReport, ReadFailure};
pub use row::{RowError, from_json, from_json_text, json, json_text};
pub use store::{AppendError, NotDurable, Options, Store, Ticket, Trimmed};
pub use traces::{Place, Traces};
pub use worker::Measures;
