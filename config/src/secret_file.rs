//! Passwords in files of their own.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gateway_core::Secret;

use crate::read::quoted;

/// Why a secret file cannot be used.
#[derive(Debug)]
pub(crate) enum SecretError {
    Empty,
    /// Mode bits that let others in.
    Open(u32),
    Read(std::io::Error),
    TooLarge(u64),
}

/// Most bytes of a secret file.
const MAX_BYTES: u64 = 4096;

/// Reads the first line of a file that only its owner, and at most its group, may read.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, SecretError> {
    // a pipe would keep whoever opens it waiting
    let kind = std::fs::metadata(path).map_err(SecretError::Read)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        let what = "it is a pipe or a device, and no file";
        return Err(SecretError::Read(std::io::Error::other(what)));
    }
    let file = std::fs::File::open(path).map_err(SecretError::Read)?;
    // Asked of the open file, so that nobody swaps it in between.
    let meta = file.metadata().map_err(SecretError::Read)?;
    if meta.is_dir() {
        return Err(SecretError::Read(std::io::ErrorKind::IsADirectory.into()));
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o027 != 0 {
        return Err(SecretError::Open(mode));
    }
    if meta.len() > MAX_BYTES {
        return Err(SecretError::TooLarge(meta.len()));
    }
    let mut text = String::new();
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(SecretError::Read)?;
    // a mark that some editors put before a text is no part of the password
    match text.trim_start_matches('\u{feff}').lines().next() {
        None | Some("") => Err(SecretError::Empty),
        Some(line) => Ok(Secret::new(line)),
    }
}

/// The secret in the first line of a file that only its owner, and at most its group, may read.
///
/// # Errors
/// In words: what is wrong with the file, and what is allowed.
pub fn secret_in(path: &Path) -> Result<Secret, String> {
    read_secret(path).map_err(|error| format!("{}; {}", error.text(path), error.remedy()))
}

impl SecretError {
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            Self::Read(error) => {
                matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied
                )
            }
            Self::Empty | Self::Open(_) | Self::TooLarge(_) => false,
        }
    }

    pub(crate) fn text(&self, file: &Path) -> String {
        let file = quoted(&file.display().to_string());
        match self {
            Self::Empty => format!("{file} has no password in its first line"),
            Self::Open(mode) => format!("{file} has mode {mode:04o}: others than its owner can use it"),
            Self::Read(error) => format!("{file} cannot be read: {error}"),
            Self::TooLarge(size) => format!("{file} has {size} bytes"),
        }
    }

    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::Empty => "write the password into the first line".to_owned(),
            Self::Open(_) => "allowed: 0600, or 0640 with the gateway's group; chmod 600 the file".to_owned(),
            Self::Read(_) => "allowed: a file the gateway can read".to_owned(),
            Self::TooLarge(_) => format!("allowed: at most {MAX_BYTES} bytes"),
        }
    }
}
