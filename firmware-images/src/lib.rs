//! Firmware manifests: what an image is for, how it is recognised, who vouches for it.
//!
//! A manifest is a JSON text beside an image: device, hardware, version, size, SHA-256 and an Ed25519 signature
//! (RFC 8032) over its [canonical form](Manifest::canonical). Images are referred to, not kept here. Nothing is
//! fetched or installed by this crate: whoever does hands a reader to [`verify`] and asks
//! [`Verified::admitted_on`] before installing.

mod fields;
#[doc(hidden)]
pub mod fuzz;
mod key;
mod make;
mod manifest;
mod verify;

pub use fields::{FieldError, Version};
pub use key::{KeyError, PublicKey, SigningKey};
pub use make::{Description, MakeError, make};
pub use manifest::{FORMAT, MAX_BYTES, Manifest, ManifestError};
pub use verify::{AdmitError, Device, Verified, VerifyError, verify};
