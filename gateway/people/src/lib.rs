//! People and their credentials as durable records: what they are, how they are written, and how they change while
//! the gateway runs.
//!
//! The records are the truth; the decision's [`Directory`](gateway_access::Directory) is their projection. A change
//! is checked as a whole, made durable as a whole, told to the core, and only then acknowledged: what was
//! acknowledged is neither lost nor comes back. Who only reads the records finds neither codes nor PINs in them.

mod ask;
mod clash;
pub mod csv;
#[doc(hidden)]
pub mod fuzz;
mod held;
mod key;
mod line;
mod missing;
mod plan;
mod registry;
mod row;
mod show;
mod state;
mod traces;

pub use ask::ask_of;
pub use clash::clashes;
pub use gateway_store::Erased;
pub use held::{OfSite, same_cards};
pub use key::{KeyError, key_of};
pub use line::{COLUMNS, LineFault};
pub use missing::{Missing, missing};
pub use plan::{NewCode, SiteNames};
pub use registry::{Changed, Import, People, PeopleError, Person, Report};
pub use row::{BARRED, CREDENTIAL, PERSON, USE, use_value};
pub use show::{Form, OF_RECORDS, OF_SITE, Shown};
pub use state::{directory, people_only};

/// Entries that the kinds of this crate may have.
pub const LIMITS: [(&str, usize); 4] = [
    (BARRED, 250_000),
    (CREDENTIAL, 250_000),
    (PERSON, 250_000),
    (USE, 250_000),
];
