//! The manifest and its text.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::fields::{FieldError, Version, device, hardware, hex, image, size, to_hex};

/// Number of this format.
pub const FORMAT: u32 = 1;
/// Largest manifest that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// A text that is not a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A field holds what it must not.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A format this program does not know.
    #[error("format {found} is not known, wanted {FORMAT}: update this program")]
    Format {
        /// The number found.
        found: u32,
    },
    /// Not JSON, or keys are missing, unknown or doubled.
    #[error("not a manifest")]
    Json(#[from] serde_json::Error),
    /// Larger than any manifest.
    #[error("has {found} bytes, at most {MAX_BYTES} are read")]
    TooLarge {
        /// Number of bytes found.
        found: usize,
    },
}

/// A manifest whose fields are well-formed. That it tells the truth is what [`verify`](crate::verify()) finds
/// out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub(crate) device: String,
    pub(crate) hardware: Vec<String>,
    pub(crate) image: String,
    pub(crate) key: String,
    pub(crate) minimum_version: Version,
    pub(crate) sha256: [u8; 32],
    pub(crate) signature: [u8; 64],
    pub(crate) size: u64,
    pub(crate) version: Version,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    format: u32,
    device: String,
    hardware: Vec<String>,
    version: String,
    minimum_version: String,
    image: String,
    size: u64,
    sha256: String,
    key: String,
    signature: String,
}

pub(crate) fn version(field: &'static str, text: &str) -> Result<Version, FieldError> {
    let allowed = "2 to 4 numbers with dots between, such as 0.1.0";
    Version::parse(text).ok_or_else(|| FieldError::new(field, text, allowed))
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] if the text is not one.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        if text.len() > MAX_BYTES {
            return Err(ManifestError::TooLarge { found: text.len() });
        }
        let text: Text = serde_json::from_slice(text)?;
        if text.format != FORMAT {
            return Err(ManifestError::Format { found: text.format });
        }
        device(&text.device)?;
        hardware(&text.hardware)?;
        image(&text.image)?;
        size(text.size)?;
        if hex::<8>(&text.key).is_none() {
            return Err(FieldError::new("key", &text.key, "16 hexadecimal digits in lower case").into());
        }
        let sha256 = hex::<32>(&text.sha256)
            .ok_or_else(|| FieldError::new("sha256", &text.sha256, "64 hexadecimal digits in lower case"))?;
        let signature = STANDARD
            .decode(&text.signature)
            .ok()
            .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok())
            .ok_or_else(|| FieldError::new("signature", &text.signature, "64 bytes in base64"))?;
        Ok(Self {
            minimum_version: version("minimum-version", &text.minimum_version)?,
            version: version("version", &text.version)?,
            device: text.device,
            hardware: text.hardware,
            image: text.image,
            key: text.key,
            sha256,
            signature,
            size: text.size,
        })
    }

    /// The manifest as JSON, in a fixed order, with a line end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let text = Text {
            format: FORMAT,
            device: self.device.clone(),
            hardware: self.hardware.clone(),
            version: self.version.to_string(),
            minimum_version: self.minimum_version.to_string(),
            image: self.image.clone(),
            size: self.size,
            sha256: to_hex(&self.sha256),
            key: self.key.clone(),
            signature: STANDARD.encode(self.signature),
        };
        serde_json::to_string_pretty(&text).expect("texts and numbers are always JSON") + "\n"
    }

    /// The bytes that are signed: one line `NAME: VALUE` per field in a fixed order, whatever the JSON looked
    /// like. No field can hold a line end, so no two manifests have the same form.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut text = format!("doorline firmware manifest {FORMAT}\n");
        let lines = [
            ("device", self.device.clone()),
            ("hardware", self.hardware.join(",")),
            ("version", self.version.to_string()),
            ("minimum-version", self.minimum_version.to_string()),
            ("image", self.image.clone()),
            ("size", self.size.to_string()),
            ("sha256", to_hex(&self.sha256)),
            ("key", self.key.clone()),
        ];
        for (name, value) in lines {
            writeln!(text, "{name}: {value}").expect("writing to a String");
        }
        text.into_bytes()
    }

    /// Device the image is for.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Path below the manifest's folder, or HTTPS address, of the image.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Size of the image in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Version of the image.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }
}
