//! The file of a backup: what a gateway is made of, encrypted with a passphrase.
//!
//! ```text
//! header   76 bytes: magic, version, costs of Argon2id, salt, nonce, a check of the passphrase, CRC-32C of all that
//! chunks   64 KiB each, the last one shorter: ChaCha20-Poly1305 (RFC 8439), each with 16 bytes of tag
//! ```
//! Key and check of the passphrase come from Argon2id (RFC 9106). A chunk's nonce has its number and whether it is the last
//! (STREAM, Hoang, Reyhanitabar, Rogaway and Vizár 2015), and the header is authenticated with each: nothing can be changed,
//! left out, put elsewhere or cut off unseen. Inside are lines of JSON: a head, files, records, and an end that counts them.
//!
//! This crate knows the form and its bounds. What belongs into a backup, and what a restore does with it, is the gateway's.

mod content;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod header;
mod line;
mod open;
mod seal;

pub use content::{Content, File, Head, MAX_FILE, Place, Record, read, write};
pub use error::BackupError;
pub use header::Cost;

/// Largest backup, in bytes.
pub const MAX_BYTES: u64 = 512 << 20;
/// Shortest passphrase, in characters.
pub const MIN_PASSPHRASE: usize = 12;
/// Longest passphrase, in bytes.
pub const MAX_PASSPHRASE: usize = 1024;
