//! Taking a backup: the outside interfaces ask, the gateway knows what belongs into it.

use std::sync::Arc;

use gateway_core::Secret;

/// Why there is no backup, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupRefused {
    /// The passphrase cannot be used.
    Passphrase(String),
    /// Something cannot be read.
    Fault(String),
}

/// Makes a backup, encrypted with a passphrase. It takes seconds and blocks whoever calls it.
pub type MakeBackup = Arc<dyn Fn(&Secret) -> Result<Vec<u8>, BackupRefused> + Send + Sync>;
