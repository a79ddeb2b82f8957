//! The key of codes and PINs: 32 random bytes in a file of their own.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use gateway_access::PinKey;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file is there, but not what it should be.
    #[error(
        "{path} is not a key of 64 hexadecimal digits; restore it from a backup, or remove it and set all codes and PINs anew"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// It cannot be read or made.
    #[error("{path} cannot be used")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Reads the key, or makes it where there is none yet. True if it was made.
///
/// # Errors
/// [`KeyError`] says which file, and what to do.
pub fn key_of(path: &Path) -> Result<(PinKey, bool), KeyError> {
    let io = |source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    match std::fs::File::open(path) {
        Ok(file) => {
            let mut text = String::new();
            file.take(200).read_to_string(&mut text).map_err(io)?;
            let key = bytes(text.trim()).ok_or_else(|| KeyError::Damaged {
                path: path.to_owned(),
            })?;
            Ok((PinKey::new(key), false))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|error| io(std::io::Error::other(error)))?;
            let text: String = key.iter().map(|b| format!("{b:02x}")).collect();
            write(path, &text).map_err(io)?;
            Ok((PinKey::new(key), true))
        }
        Err(error) => Err(io(error)),
    }
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    let whole = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mut key = [0; 32];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = whole
            .then(|| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok())
            .flatten()?;
    }
    Some(key)
}

/// On the medium before anything is hashed by it, and never half.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
