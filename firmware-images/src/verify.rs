//! Finds out whether an image is what a trusted manifest says.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::fields::{Version, to_hex};
use crate::key::PublicKey;
use crate::manifest::Manifest;

/// Why an image is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The image has another content.
    #[error("the image has SHA-256 {found}, the manifest says {wanted}")]
    Digest {
        /// Of the image.
        found: String,
        /// Of the manifest.
        wanted: String,
    },
    /// The image cannot be read.
    #[error("the image cannot be read")]
    Image(#[source] io::Error),
    /// No trusted key has the manifest's key id.
    #[error("the manifest is signed with key {found}, trusted are: {}", trusted.join(", "))]
    Key {
        /// Key id of the manifest.
        found: String,
        /// Ids of the trusted keys.
        trusted: Vec<String>,
    },
    /// The signature is not by the key it names, or a field was changed after signing.
    #[error("the signature of the manifest is not by key {key}, or the manifest was changed")]
    Signature {
        /// Key id of the manifest.
        key: String,
    },
    /// The image is longer or shorter.
    #[error("the image has {} bytes, the manifest says {wanted}", if *more { format!("more than {wanted}") } else { found.to_string() })]
    Size {
        /// Bytes read.
        found: u64,
        /// True if reading stopped because there was more.
        more: bool,
        /// Of the manifest.
        wanted: u64,
    },
}

/// A manifest that a trusted key signed, with an image that is the one it names. Made by [`verify`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    manifest: Manifest,
}

/// The device an image shall go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name, as in manifests.
    pub device: String,
    /// The oldest version it takes: the highest `minimum-version` of all it ever took. Keep it where an older
    /// image cannot lower it.
    pub floor: Version,
    /// Its hardware revision.
    pub hardware: String,
}

/// Why a right image is not for this device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// It is for another device.
    #[error("the image is for {wanted}, this is {found}")]
    Device {
        /// This device.
        found: String,
        /// The manifest's.
        wanted: String,
    },
    /// It is for other hardware.
    #[error("the image is for hardware {}, this is {found}", wanted.join(", "))]
    Hardware {
        /// This hardware.
        found: String,
        /// The manifest's.
        wanted: Vec<String>,
    },
    /// It is older than what may still be installed.
    #[error("version {version} is older than {floor}, the oldest this device takes")]
    Rollback {
        /// The device's floor.
        floor: Version,
        /// The manifest's version.
        version: Version,
    },
}

/// Checks the signature, then reads the image to its end and compares size and SHA-256. Not more than the
/// signed size and one chunk is read.
///
/// # Errors
/// [`VerifyError`] if the manifest is not signed by a trusted key, or the image is another one.
pub fn verify(manifest: Manifest, trusted: &[PublicKey], image: impl Read) -> Result<Verified, VerifyError> {
    let message = manifest.canonical();
    let mut named = trusted.iter().filter(|key| key.id() == manifest.key).peekable();
    if named.peek().is_none() {
        return Err(VerifyError::Key {
            found: manifest.key,
            trusted: trusted.iter().map(PublicKey::id).collect(),
        });
    }
    if !named.any(|key| key.verifies(&message, &manifest.signature)) {
        return Err(VerifyError::Signature { key: manifest.key });
    }
    let (found, sha256) = digest(image, manifest.size).map_err(VerifyError::Image)?;
    if found != manifest.size {
        return Err(VerifyError::Size {
            found,
            more: found > manifest.size,
            wanted: manifest.size,
        });
    }
    if sha256 != manifest.sha256 {
        return Err(VerifyError::Digest {
            found: to_hex(&sha256),
            wanted: to_hex(&manifest.sha256),
        });
    }
    Ok(Verified { manifest })
}

impl Verified {
    /// The manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Says whether the image may be installed on a device; gives the device's floor from then on.
    ///
    /// # Errors
    /// [`AdmitError`] if it is for another device or hardware, or older than the device's floor.
    pub fn admitted_on(&self, device: &Device) -> Result<Version, AdmitError> {
        let manifest = &self.manifest;
        if manifest.device != device.device {
            return Err(AdmitError::Device {
                found: device.device.clone(),
                wanted: manifest.device.clone(),
            });
        }
        if !manifest.hardware.contains(&device.hardware) {
            return Err(AdmitError::Hardware {
                found: device.hardware.clone(),
                wanted: manifest.hardware.clone(),
            });
        }
        if manifest.version.is_before(&device.floor) {
            return Err(AdmitError::Rollback {
                floor: device.floor,
                version: manifest.version,
            });
        }
        let raised = device.floor.is_before(&manifest.minimum_version);
        Ok(if raised {
            manifest.minimum_version
        } else {
            device.floor
        })
    }
}

/// Size and SHA-256 of what a reader gives; stops after the first chunk beyond `limit` bytes.
pub(crate) fn digest(mut image: impl Read, limit: u64) -> io::Result<(u64, [u8; 32])> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    let mut size = 0;
    while size <= limit {
        let count = match image.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&chunk[..count]);
        size += count as u64;
    }
    Ok((size, hasher.finalize().into()))
}
