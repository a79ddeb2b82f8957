//! Words as bytes.

use super::bytes::{Bytes, split, varint};
use super::{CHANNELS, Identity, MAX_BATCH, MessageError, PortRole, Reason, WireEdge, Word};
use crate::frame::{MAX_MESSAGE, frame};

impl Word {
    /// The frame of what is said. An answer has the number of its order, what is said unasked has 0.
    #[must_use]
    pub fn frame(&self, number: u8) -> Vec<u8> {
        let mut m = vec![0, number];
        m[0] = match self {
            Self::Hello(who) => {
                m.push(who.version);
                m.push(u8::from(who.role == PortRole::Door));
                m.extend([who.inputs, who.outputs]);
                m.extend(who.watchdog_ms.to_le_bytes());
                m.extend(who.boot.to_le_bytes());
                m.extend(who.name.bytes().take(32));
                0x81
            }
            Self::State {
                at_us,
                inputs,
                outputs,
                next_edge,
            } => {
                m.extend(at_us.to_le_bytes());
                m.extend(inputs.to_le_bytes());
                m.extend(outputs.to_le_bytes());
                m.extend(next_edge.to_le_bytes());
                0x82
            }
            Self::Edges { first, edges } => {
                m.extend(first.to_le_bytes());
                let mut before = edges.first().map_or(0, |edge| edge.at_us);
                m.extend(before.to_le_bytes());
                for edge in edges.iter().take(MAX_BATCH) {
                    let step = edge.at_us.saturating_sub(before).min(1 << 32);
                    before = edge.at_us;
                    varint(
                        step << 5 | u64::from(edge.input & 15) << 1 | u64::from(edge.level),
                        &mut m,
                    );
                }
                0x83
            }
            Self::Done => 0x84,
            Self::Refused(reason) => {
                let code = Reason::ALL
                    .iter()
                    .find(|(_, known)| known == reason)
                    .map_or(0, |(code, _)| *code);
                m.push(code);
                0x85
            }
            Self::Door { door, open, at_us } => {
                m.extend([*door, u8::from(*open)]);
                m.extend(at_us.to_le_bytes());
                0x86
            }
        };
        debug_assert!(m.len() <= MAX_MESSAGE, "messages are bounded by their own bounds");
        frame(&m)
    }

    /// Reads what a front end says, with the number of the order that it answers.
    ///
    /// # Errors
    /// [`MessageError`] for what is no word of it.
    pub fn read(message: &[u8]) -> Result<(u8, Self), MessageError> {
        let (kind, number, mut bytes) = split(message)?;
        let word = Self::of(kind, &mut bytes);
        match word {
            Some(word) if bytes.0.is_empty() => Ok((number, word)),
            Some(_) | None if (0x81..=0x86).contains(&kind) => Err(MessageError::Content {
                kind,
                what: "its content does not fit its kind",
            }),
            Some(_) | None => Err(MessageError::Kind { kind }),
        }
    }

    fn of(kind: u8, bytes: &mut Bytes<'_>) -> Option<Self> {
        Some(match kind {
            0x81 => {
                let (version, door) = (bytes.u8()?, bytes.flag()?);
                let (inputs, outputs) = (bytes.u8()?, bytes.u8()?);
                let (watchdog_ms, boot) = (bytes.u16()?, bytes.u32()?);
                let name = bytes.0.get(..bytes.0.len().min(32))?;
                let name = String::from_utf8_lossy(name);
                let name = name.chars().filter(|c| !c.is_control()).collect();
                bytes.0 = &[];
                Self::Hello(Identity {
                    version,
                    role: if door { PortRole::Door } else { PortRole::Line },
                    inputs: inputs.min(CHANNELS),
                    outputs: outputs.min(CHANNELS),
                    watchdog_ms,
                    boot,
                    name,
                })
            }
            0x82 => Self::State {
                at_us: bytes.u64()?,
                inputs: bytes.u16()?,
                outputs: bytes.u16()?,
                next_edge: bytes.u16()?,
            },
            0x83 => {
                let first = bytes.u16()?;
                let mut at_us = bytes.u64()?;
                let mut edges = Vec::new();
                while !bytes.0.is_empty() {
                    let value = bytes.varint()?;
                    at_us = at_us.checked_add(value >> 5)?;
                    edges.push(WireEdge {
                        at_us,
                        input: (value >> 1 & 15) as u8,
                        level: value & 1 == 1,
                    });
                }
                if edges.is_empty() || edges.len() > MAX_BATCH {
                    return None;
                }
                Self::Edges { first, edges }
            }
            0x84 => Self::Done,
            0x85 => {
                let code = bytes.u8()?;
                let (_, reason) = Reason::ALL.into_iter().find(|(known, _)| *known == code)?;
                Self::Refused(reason)
            }
            0x86 => Self::Door {
                door: bytes.u8()?,
                open: bytes.flag()?,
                at_us: bytes.u64()?,
            },
            _ => return None,
        })
    }
}
