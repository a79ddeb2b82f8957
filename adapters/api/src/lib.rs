//! What an adapter sees of the gateway, and the gateway of an adapter.
//!
//! Adapters know neither SIP nor MQTT nor the relay guard: they send [`gateway_core::Signal`]s, take
//! [`gateway_core::LineCommand`]s, and offer [`AudioPort`]s and [`OutputDriver`]s.

mod alarm;
mod audio;
mod claim;
mod context;
mod forwarded;
pub mod local;
mod output;
mod rs485;

pub use alarm::Alarm;
pub use audio::{AudioPort, FRAME_SAMPLES, Frame, SAMPLE_RATE};
pub use claim::Claim;
pub use context::{Adapter, AdapterContext, AdapterError, Shutdown};
pub use forwarded::{Forwarded, Handed};
pub use output::{BoxFuture, DriverError, OutputDriver};
pub use rs485::Direction;
