//! Figures of the voice path: recorded speech through simulated wires and rooms, with the same numbers in every run.

pub mod convolve;
pub mod hum;
pub mod noise;
pub mod path;
pub mod scene;
pub mod score;
pub mod speech;
