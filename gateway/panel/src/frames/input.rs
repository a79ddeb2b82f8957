//! How a bus rings.

use serde::Deserialize;

use super::{Coding, FramePattern};
use crate::profile::{Polarity, ProfileError};

/// Frames on a bus. The line stands for one handset of it: its address is the site's, and frames for others are nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FrameInput {
    /// How bits stand on the wires.
    pub coding: Coding,
    /// Level of the input while nobody talks.
    pub idle: Polarity,
    /// Frames that ring a handset from the street, 1 to 8 of them.
    pub call: Vec<FramePattern>,
    /// The frame of the bell at the apartment's own door; left out if there is none.
    pub floor: Option<FramePattern>,
    /// A call says nothing of its end: the ring is over so long after the last one, 5000 to 120000 ms.
    pub off_ms: u32,
}

impl FrameInput {
    /// All patterns of what it hears.
    pub fn patterns(&self) -> impl Iterator<Item = FramePattern> {
        self.call.iter().copied().chain(self.floor)
    }

    /// Frames have the lengths of their coding, and each has one meaning.
    pub(crate) fn check(&self) -> Result<(), ProfileError> {
        if !(1..=8).contains(&self.call.len()) {
            return Err(ProfileError::Range {
                key: "ring.frame.call",
                found: u32::try_from(self.call.len()).unwrap_or(u32::MAX),
                allowed: 1..=8,
            });
        }
        for call in &self.call {
            length("ring.frame.call", *call, self.coding)?;
            if self.floor == Some(*call) {
                return Err(ProfileError::Conflict {
                    key: "ring.frame.call",
                    found: call.to_string(),
                    other: "ring.frame.floor",
                    hint: "each frame has one meaning",
                });
            }
        }
        self.floor
            .map_or(Ok(()), |floor| length("ring.frame.floor", floor, self.coding))
    }
}

/// A pattern has as many bits as frames of the coding.
pub(crate) fn length(key: &'static str, pattern: FramePattern, coding: Coding) -> Result<(), ProfileError> {
    if coding.lengths().contains(&pattern.bits()) {
        return Ok(());
    }
    Err(ProfileError::Conflict {
        key,
        found: format!("a pattern of {} bits", pattern.bits()),
        other: "ring.frame.coding",
        hint: match coding {
            Coding::Simplebus => "6 bits of command and 8 of address",
            Coding::Tcs => "16 or 32 bits",
        },
    })
}
