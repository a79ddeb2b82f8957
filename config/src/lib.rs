//! The site file: reading with every fault at once, what it means, its schema and reference, and what a change
//! of it does.
//!
//! Each key is declared once, with type, unit, range, default, description and the effect of a change
//! (`table!`); the reader, the JSON schema for editors and `config/reference.md` are made of that declaration.

mod check;
mod describe;
mod diff;
mod edit;
mod fault;
#[doc(hidden)]
pub mod fuzz;
mod generations;
mod late;
mod load;
mod model;
mod named_files;
mod near;
mod plan;
mod port_alone;
mod read;
mod reference;
mod rules;
mod schema;
mod secret_file;
mod trial;
mod value;
mod veil;

pub use check::OSDP_BAUDS;
pub use describe::Apply;
pub use diff::unified;
pub use edit::{Edit, EditError, MAX_EDITS, edit};
pub use fault::{Fault, FaultKind, Faults, Late, Warnings};
pub use generations::{Boot, Generation, GenerationError, Generations, boot};
pub use load::{LoadError, Loaded, SecretFiles, load, log_words_of, parse, state_dir_of};
pub use model::*;
pub use named_files::named_files;
pub use plan::{Change, Component, Effect, Plan, Step, plan};
pub use port_alone::{PortAlone, port_alone};
pub use reference::reference;
pub use schema::schema;
pub use secret_file::secret_in;
pub use trial::{Left, TrialStore, WriteError, try_write, write_back};
pub use value::*;
pub use veil::{Veiled, unveil, veil, veil_both};
