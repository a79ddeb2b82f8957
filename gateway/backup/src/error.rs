//! Why there is no backup, or it is not read.

use std::io;

/// Why a backup is not written or not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// It asks for more work than any backup of ours.
    #[error(
        "it asks for {memory_kib} KiB, {passes} passes and {lanes} lanes of Argon2id; allowed are at most 262144 KiB, 16 and 4: no \
         backup of a gateway does"
    )]
    Cost {
        /// Memory asked for.
        memory_kib: u32,
        /// Passes asked for.
        passes: u32,
        /// Lanes asked for.
        lanes: u32,
    },
    /// The content is not what it should be; whoever made it knew the passphrase.
    #[error("line {line} of its content: {what}")]
    Content {
        /// Number of the line, from 1.
        line: u64,
        /// What was found and what is allowed.
        what: String,
    },
    /// The file was changed, or ends too soon.
    #[error(
        "it is damaged or cut off after {after} bytes of its content: nothing of it is taken; take another copy of it"
    )]
    Damaged {
        /// Bytes of content that were whole.
        after: u64,
    },
    /// The header was changed.
    #[error("its first bytes are damaged, so that no passphrase can fit; take another copy of it")]
    Header,
    /// The medium.
    #[error("it cannot be read or written")]
    Io(#[from] io::Error),
    /// It is no backup.
    #[error("it is no backup of a gateway: it does not begin with \"doorline backup\"")]
    NotOne,
    /// The passphrase is another one.
    #[error("the passphrase is not the one that it was made with")]
    Passphrase,
    /// A passphrase that is too short or too long to be used.
    #[error(
        "the passphrase has {found} characters; allowed are at least 12, and at most 1024 bytes: whoever finds the file has all the \
         time to guess"
    )]
    PassphraseLength {
        /// Characters found.
        found: usize,
    },
    /// No random numbers, or no memory for the key.
    #[error("no key can be made: {0}")]
    Key(String),
    /// Larger than a backup may be.
    #[error("it has more than {limit} bytes, which no backup has")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Of another version.
    #[error(
        "it has version {found} of the form, this program knows version {known}; take the program that made it"
    )]
    Version {
        /// Found.
        found: u8,
        /// Known.
        known: u8,
    },
}
