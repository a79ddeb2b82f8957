//! The virtual site: inputs, lines with audio, readers and relays without hardware.
//!
//! These are ordinary adapters, shipped in the product (a demo, a rehearsal of a configuration, tests). What
//! is injected here is marked as simulated in every record, and the core refuses it on any door with a real
//! output. The relay half ([`VirtualRelay`]) runs in the relay guard's process and behaves as a GPIO line
//! does: when its process dies, the kernel lets go of it.

mod audio;
mod device;
mod rate;
mod relay;
mod source;
mod watch;
mod wav;

pub use audio::{Levels, VirtualAudio};
pub use device::{Injection, InjectionError, VirtualDevice, VirtualHandle, VirtualLine, VirtualParams};
pub use relay::VirtualRelay;
pub use source::{Source, SourceError};
pub use watch::{OutputEdge, Watch};
pub use wav::{WavError, wav_file, wav_samples};
