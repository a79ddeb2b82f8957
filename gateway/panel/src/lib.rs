//! Panel lines as data: what the wires of a panel say, and what is done to them when.
//!
//! A [`Profile`] describes one kind of line, keyed by panel and switch model, with a few primitives: how it rings
//! ([`RingInput`]), how its handset is replaced ([`Hook`]), how it opens its door ([`DoorOutput`]), what it can do at
//! all ([`Can`]). [`profiles`] are those that come with the program; a site can have its own. [`PanelLine`] is the
//! machine that turns edges into signals and commands into levels of outputs, by the profile. [`learn`] proposes a
//! profile from edges that were recorded.
//!
//! Pure: time is an argument. What drives the wires is a front end (`adapters/front-end`); who may open is decided elsewhere, and nothing in this crate opens.

mod abb;
mod apartments;
mod edges;
mod encode;
mod frames;
#[doc(hidden)]
pub mod fuzz;
mod learn;
mod machine;
mod picture;
mod profile;
mod pulses;
mod ring;
mod scs;
mod table;

pub use abb::{Abb, AbbTelegram, abb_telegrams};
pub use apartments::{Apartments, ApartmentsError, MAX_APARTMENT, Ranges};
pub use edges::{Edge, EdgesError, MAX_EDGES, parse_edges, show_edges};
pub use encode::{floor_edges, ring_edges};
pub use frames::{
    BusAddress, BytePulses, Coding, Frame, FrameInput, FrameNoise, FramePattern, FrameReader, PatternError,
    bytes_of_pulses, edges_of_bytes, recorded,
};
pub use learn::{LearnError, Proposal, learn};
pub use machine::{LineInputs, LineParams, Output, PanelLine, Role, Wire};
pub use picture::picture;
pub use profile::{
    BurstInput, CallIn, Can, DoorBy, DoorOutput, HandsetSense, Hook, LevelInput, LockOwner, OpenWhen, Panels,
    Polarity, Profile, ProfileError, Proven, PulseInput, RingInput, TalkPath,
};
pub use pulses::{Counted, Noise, PulseCounter, Tone};
pub use ring::{Debounce, RingDetector, RingEvent};
pub use scs::{Scs, ScsTelegram, scs_telegrams};
pub use table::{NameError, profile_named, profiles, refused_families};
