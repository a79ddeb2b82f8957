//! Makes the manifest of an image that exists.

use std::io::{self, Read};

use serde::Deserialize;

use crate::fields::{FieldError, Version, device, hardware, image, size};
use crate::key::SigningKey;
use crate::manifest::{Manifest, version};
use crate::verify::digest;

/// Why a manifest could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// A field holds what it must not.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The image cannot be read.
    #[error("the image cannot be read")]
    Image(#[source] io::Error),
    /// The description is not JSON, or keys are missing, unknown or doubled.
    #[error("not a description of a release")]
    Json(#[from] serde_json::Error),
    /// The version would be older than the oldest it lets be installed.
    #[error("version {version} is older than its own minimum-version {minimum}")]
    Minimum {
        /// `minimum-version`.
        minimum: Version,
        /// `version`.
        version: Version,
    },
}

/// What is known of a release before its image is built: everything but size, digest and signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    device: String,
    hardware: Vec<String>,
    image: String,
    minimum_version: Version,
    version: Version,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    device: String,
    hardware: Vec<String>,
    version: String,
    minimum_version: String,
    image: String,
}

impl Description {
    /// Reads a description.
    ///
    /// # Errors
    /// [`MakeError`] if the text is not one.
    pub fn parse(text: &[u8]) -> Result<Self, MakeError> {
        let text: Text = serde_json::from_slice(text)?;
        device(&text.device)?;
        hardware(&text.hardware)?;
        image(&text.image)?;
        let (version, minimum) = (
            version("version", &text.version)?,
            version("minimum-version", &text.minimum_version)?,
        );
        if version.is_before(&minimum) {
            return Err(MakeError::Minimum { minimum, version });
        }
        Ok(Self {
            device: text.device,
            hardware: text.hardware,
            image: text.image,
            minimum_version: minimum,
            version,
        })
    }

    /// Version of the release.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }
}

/// Reads the image to its end, and signs what was found.
///
/// # Errors
/// [`MakeError`] if the image cannot be read, is empty or larger than 4 GiB.
pub fn make(about: &Description, image: impl Read, key: &SigningKey) -> Result<Manifest, MakeError> {
    let (found, sha256) = digest(image, u64::MAX).map_err(MakeError::Image)?;
    size(found)?;
    let mut manifest = Manifest {
        device: about.device.clone(),
        hardware: about.hardware.clone(),
        image: about.image.clone(),
        key: key.public().id(),
        minimum_version: about.minimum_version,
        sha256,
        signature: [0; 64],
        size: found,
        version: about.version,
    };
    manifest.signature = key.sign(&manifest.canonical());
    Ok(manifest)
}
