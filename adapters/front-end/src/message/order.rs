//! Orders as bytes.

use gateway_panel::BytePulses;

use super::bytes::{Bytes, split};
use super::{CardPulses, MAX_CARD, MAX_PULSES, MAX_TELEGRAM, MessageError, Order, Press, Row, Telegram};
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
            Self::Card(card) => {
                m.extend([card.d0, card.d1]);
                m.extend(card.pulse_us.to_le_bytes());
                m.extend(card.interval_us.to_le_bytes());
                let count = card.bits.len().min(MAX_CARD);
                m.extend(u16::try_from(count).unwrap_or_default().to_le_bytes());
                let byte = |bits: &[bool]| {
                    bits.iter()
                        .zip((0..8).rev())
                        .fold(0, |byte, (bit, at)| byte | u8::from(*bit) << at)
                };
                m.extend(card.bits[..count].chunks(8).map(byte));
                0x07
            }
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
            Self::Row(row) => {
                m.push(row.door);
                m.extend(row.window_ms.to_le_bytes());
                m.push(row.rows);
                m.extend(row.pause_ms.to_le_bytes());
                m.push(row.hook.unwrap_or(0xFF));
                m.extend(row.after_ms.to_le_bytes());
                m.push(row.call.unwrap_or(0xFF));
                m.extend(row.quiet_ms.to_le_bytes());
                m.extend(times(&row.times_us));
                0x08
            }
            Self::Pulses { output, times_us } => {
                m.push(*output);
                m.extend(times(times_us));
                0x06
            }
            Self::Telegram(telegram) => {
                m.push(telegram.door);
                m.extend(telegram.window_ms.to_le_bytes());
                m.push(telegram.times);
                m.extend(telegram.pause_ms.to_le_bytes());
                m.push(telegram.hook.unwrap_or(0xFF));
                m.extend(telegram.after_ms.to_le_bytes());
                m.push(telegram.call.unwrap_or(0xFF));
                m.extend(telegram.quiet_ms.to_le_bytes());
                m.push(telegram.pulses.pulse_us);
                m.extend(telegram.pulses.bit_tenths.to_le_bytes());
                m.extend(telegram.pulses.byte_tenths.to_le_bytes());
                m.push(u8::from(telegram.pulses.lowest_first));
                m.extend(telegram.bytes.iter().take(MAX_TELEGRAM));
                0x09
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
            Some(_) | None if (0x01..=0x09).contains(&kind) => Err(MessageError::Content {
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
                let times_us = times_of(bytes)?;
                Self::Pulses { output, times_us }
            }
            0x07 => Self::Card(card(bytes)?),
            0x08 => Self::Row(Row {
                door: bytes.u8()?,
                window_ms: bytes.u16()?,
                rows: bytes.u8()?,
                pause_ms: bytes.u16()?,
                hook: bytes.channel()?,
                after_ms: bytes.u16()?,
                call: bytes.channel()?,
                quiet_ms: bytes.u16()?,
                times_us: times_of(bytes)?,
            }),
            0x09 => Self::Telegram(Telegram {
                door: bytes.u8()?,
                window_ms: bytes.u16()?,
                times: bytes.u8()?,
                pause_ms: bytes.u16()?,
                hook: bytes.channel()?,
                after_ms: bytes.u16()?,
                call: bytes.channel()?,
                quiet_ms: bytes.u16()?,
                pulses: BytePulses {
                    pulse_us: bytes.u8()?,
                    bit_tenths: bytes.u16()?,
                    byte_tenths: bytes.u16()?,
                    lowest_first: bytes.flag()?,
                },
                bytes: {
                    let rest = std::mem::take(&mut bytes.0);
                    (1..=MAX_TELEGRAM).contains(&rest.len()).then(|| rest.to_vec())?
                },
            }),
            _ => return None,
        })
    }
}

fn times(times_us: &[u16]) -> impl Iterator<Item = u8> {
    times_us.iter().take(MAX_PULSES).flat_map(|us| us.to_le_bytes())
}

/// All that is left, as times.
fn times_of(bytes: &mut Bytes<'_>) -> Option<Vec<u16>> {
    let mut times_us = Vec::new();
    while !bytes.0.is_empty() {
        times_us.push(bytes.u16()?);
    }
    (times_us.len() <= MAX_PULSES).then_some(times_us)
}

fn card(bytes: &mut Bytes<'_>) -> Option<CardPulses> {
    let (d0, d1) = (bytes.u8()?, bytes.u8()?);
    let (pulse_us, interval_us) = (bytes.u16()?, bytes.u16()?);
    let count = usize::from(bytes.u16()?);
    if !(1..=MAX_CARD).contains(&count) || bytes.0.len() != count.div_ceil(8) {
        return None;
    }
    let mut all = Vec::new();
    while let Some(byte) = bytes.u8() {
        all.extend((0..8).rev().map(|at| byte >> at & 1 == 1));
    }
    let rest = all.split_off(count);
    // what is beyond the last bit is nothing
    rest.iter().all(|bit| !bit).then_some(CardPulses {
        bits: all,
        d0,
        d1,
        interval_us,
        pulse_us,
    })
}
