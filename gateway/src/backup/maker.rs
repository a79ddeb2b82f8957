//! Backups of a running gateway, as the API takes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_backup::{BackupError, Cost, write};
use gateway_bus::{BackupRefused, MakeBackup};
use gateway_core::Secret;

use super::gather;

/// What takes backups of the gateway with this site file.
pub(crate) fn maker(site_file: &Path) -> MakeBackup {
    let site_file: PathBuf = site_file.to_owned();
    Arc::new(move |passphrase: &Secret| {
        let gathered = gather(&site_file).map_err(|error| BackupRefused::Fault(format!("{error:#}")))?;
        for missing in &gathered.missing {
            tracing::warn!("a file that the site file names is not in the backup: {missing}");
        }
        write(Vec::new(), &gathered.content, passphrase, Cost::NEW).map_err(|error| {
            let text = error.to_string();
            if matches!(error, BackupError::PassphraseLength { .. }) {
                BackupRefused::Passphrase(text)
            } else {
                BackupRefused::Fault(text)
            }
        })
    })
}
