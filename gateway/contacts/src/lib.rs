//! Contacts from an LDAP directory: read at the start, by the clock or after calls, with the last good copy on disk.
//!
//! ```text
//! schedule (pure) ─▶ visit: TCP, TLS, gateway-ldap ─▶ copy on disk ─▶ DirectoryView
//! ```
//! Whom the directory names can be called and is shown by name; nobody gains a right to open by standing in it. A
//! server that is away changes nothing: what was read last is used, also after a restart.

mod copy;
mod directory;
mod params;
mod schedule;
mod visit;

pub use directory::Directory;
pub use params::{Params, Refresh, Tls};
