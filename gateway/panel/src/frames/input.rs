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

/// A pattern has as many bits as frames of the coding, and leaves their length open only where it is.
pub(crate) fn length(key: &'static str, pattern: FramePattern, coding: Coding) -> Result<(), ProfileError> {
    let conflict = |found, hint| {
        Err(ProfileError::Conflict {
            key,
            found,
            other: "ring.frame.coding",
            hint,
        })
    };
    if !coding.has(pattern.bits()) {
        let found = format!("a pattern of {} bits", pattern.bits());
        let hint = match coding {
            Coding::Abb => "hex and 6 to 16 bytes: head, kind, to whom, from whom, data",
            Coding::Scs => "hex and the 4 to 13 bytes between begin and check",
            Coding::Simplebus => "6 bits of command and 8 of address",
            Coding::Tcs => "16 or 32 bits",
        };
        return conflict(found, hint);
    }
    match coding {
        Coding::Abb | Coding::Scs => Ok(()),
        Coding::Simplebus | Coding::Tcs if pattern.is_open() => {
            conflict(pattern.to_string(), "without *: its frames have one length")
        }
        Coding::Simplebus | Coding::Tcs => Ok(()),
    }
}
