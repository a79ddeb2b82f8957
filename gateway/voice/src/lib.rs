//! What makes a door's voice good to listen to. Pure: frames of 10 ms in, frames of 10 ms out; no clock, no thread, and no
//! allocation after the begin.
//!
//! A [`Voice`] stands between one line and a call. What is heard passes, in this order:
//!
//! 1. a high-pass and a comb against the hum of the mains ([`hum`](Params::hum)),
//! 2. an adaptive model of the echo path that is subtracted ([`echo`](Params::echo)),
//! 3. gains per frequency for what is left of the echo and for noise ([`noise`](Params::noise)), with quiet noise put back
//!    where an echo was taken away,
//! 4. automatic gain ([`gain`](Params::gain)),
//! 5. half duplex ([`half_duplex`](Params::half_duplex)), silence while a relay moves ([`Voice::hush`]), a limiter.
//!
//! Only the gains cost time: 4 ms. The figures that it reaches are in `tests/voice`.

#![forbid(unsafe_code)]

mod delay;
mod echo;
mod fade;
mod filter;
mod history;
mod hum;
mod kalman;
mod level;
mod noise;
mod params;
#[cfg(test)]
mod random;
mod reduce;
mod shape;
mod sums;
mod transform;
mod voice;

pub use params::{Echo, NoiseReduction, Params};
pub use voice::{RateError, Voice};
