//! Orders as bytes.

use super::bytes::{Bytes, split};
use super::{MAX_PULSES, MessageError, Order, Press};
use crate::frame::frame;

impl Order {
    /// The frame of the order with a number that its answer repeats.
    #[must_use]
    pub fn frame(&self, number: u8) -> Vec<u8> {
        let mut m = vec![0, number];
        m[0] = match self {
            Self::Hello { version } => {
                m.push(*version);
                0x01
            }
            Self::Alive => 0x02,
            Self::Set { output, on } => {
                m.extend([*output, u8::from(*on)]);
                0x03
            }
            Self::Press(press) => {
                m.push(press.door);
                m.extend(press.window_ms.to_le_bytes());
                m.extend(press.press_ms.to_le_bytes());
                m.push(press.presses);
                m.extend(press.pause_ms.to_le_bytes());
                m.push(press.hook.unwrap_or(0xFF));
                m.extend(press.after_ms.to_le_bytes());
                m.push(press.call.unwrap_or(0xFF));
                m.extend(press.quiet_ms.to_le_bytes());
                0x04
            }
            Self::Rest { door } => {
                m.push(*door);
                0x05
            }
            Self::Pulses { output, times_us } => {
                m.push(*output);
                m.extend(times_us.iter().take(MAX_PULSES).flat_map(|us| us.to_le_bytes()));
                0x06
            }
        };
        frame(&m)
    }

    /// Reads an order, with its number.
    ///
    /// # Errors
    /// [`MessageError`] for what is none.
    pub fn read(message: &[u8]) -> Result<(u8, Self), MessageError> {
        let (kind, number, mut bytes) = split(message)?;
        let order = Self::of(kind, &mut bytes);
        match order {
            Some(order) if bytes.0.is_empty() => Ok((number, order)),
            Some(_) | None if (0x01..=0x06).contains(&kind) => Err(MessageError::Content {
                kind,
                what: "its content does not fit its kind",
            }),
            Some(_) | None => Err(MessageError::Kind { kind }),
        }
    }

    fn of(kind: u8, bytes: &mut Bytes<'_>) -> Option<Self> {
        Some(match kind {
            0x01 => Self::Hello { version: bytes.u8()? },
            0x02 => Self::Alive,
            0x03 => Self::Set {
                output: bytes.u8()?,
                on: bytes.flag()?,
            },
            0x04 => Self::Press(Press {
                door: bytes.u8()?,
                window_ms: bytes.u16()?,
                press_ms: bytes.u16()?,
                presses: bytes.u8()?,
                pause_ms: bytes.u16()?,
                hook: bytes.channel()?,
                after_ms: bytes.u16()?,
                call: bytes.channel()?,
                quiet_ms: bytes.u16()?,
            }),
            0x05 => Self::Rest { door: bytes.u8()? },
            0x06 => {
                let output = bytes.u8()?;
                let mut times_us = Vec::new();
                while !bytes.0.is_empty() {
                    times_us.push(bytes.u16()?);
                }
                if times_us.len() > MAX_PULSES {
                    return None;
                }
                Self::Pulses { output, times_us }
            }
            _ => return None,
        })
    }
}
