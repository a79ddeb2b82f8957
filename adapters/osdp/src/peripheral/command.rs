//! What a control panel tells a reader (OSDP v2.2, clause 6), read as the reader does.

use zeroize::Zeroizing;

use crate::key::{KEY, Key};

/// Most LEDs that one command sets.
const LEDS: usize = 8;

/// Colours that a panel gives an LED (v2.2, table 17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shade {
    /// Off.
    Black,
    /// Red.
    Red,
    /// Green.
    Green,
    /// Amber.
    Amber,
    /// Blue.
    Blue,
    /// Magenta, cyan or white.
    Other,
}

impl Shade {
    const fn of(code: u8) -> Self {
        match code {
            0 => Self::Black,
            1 => Self::Red,
            2 => Self::Green,
            3 => Self::Amber,
            4 => Self::Blue,
            _ => Self::Other,
        }
    }

    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Black => "off",
            Self::Red => "red",
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Blue => "blue",
            Self::Other => "other",
        }
    }
}

/// What the first LED of the reader is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// What it shows when nothing temporary is set.
    Steady(Shade),
    /// For a while, in 100 ms.
    While(Shade, u16),
    /// Back to what it shows otherwise.
    Back,
}

/// A command, as far as a reader without outputs and sensors needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To say nothing but that it was heard.
    Acknowledge,
    Beep {
        /// How often; 0 until told otherwise.
        count: u8,
        /// False ends it.
        on: bool,
    },
    Capabilities,
    Challenge([u8; 8]),
    Cryptogram([u8; 16]),
    Id,
    InputStatus,
    KeySet(Key),
    Lights(Vec<Light>),
    LocalStatus,
    OutputStatus,
    Poll,
    ReaderStatus,
    /// Another address or speed.
    Settings {
        address: u8,
        baud: u32,
    },
    Text(String),
}

/// Codes of NAK (v2.2, table 47).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nak {
    Length = 2,
    Unknown = 3,
    Sequence = 4,
    Block = 5,
    Security = 6,
    Unable = 9,
}

impl Asked {
    /// Reads code and data in the clear.
    pub(crate) fn read(code: u8, data: &[u8]) -> Result<Self, Nak> {
        Ok(match code {
            0x60 => Self::Poll,
            0x61 => Self::Id,
            0x62 => Self::Capabilities,
            0x64 => Self::LocalStatus,
            0x65 => Self::InputStatus,
            0x66 => Self::OutputStatus,
            0x67 => Self::ReaderStatus,
            // it has no outputs, and whoever could drive ours opens a door
            0x68 => return Err(Nak::Unable),
            0x69 => lights(data).ok_or(Nak::Length)?,
            0x6A => match *data {
                [_, tone, _on, _off, count] => Self::Beep { count, on: tone > 1 },
                _ => return Err(Nak::Length),
            },
            0x6B => text(data).ok_or(Nak::Length)?,
            0x6E => match *data {
                [address, a, b, c, d] => Self::Settings {
                    address,
                    baud: u32::from_le_bytes([a, b, c, d]),
                },
                _ => return Err(Nak::Length),
            },
            0x75 => match *data {
                [1, length, ref key @ ..] if usize::from(length) == KEY => {
                    let key: &[u8; KEY] = key.try_into().map_err(|_| Nak::Length)?;
                    Self::KeySet(Key::new(*Zeroizing::new(*key)))
                }
                // a kind of key that there is not
                [_, length, ref key @ ..] if usize::from(length) == key.len() => return Err(Nak::Unable),
                _ => return Err(Nak::Length),
            },
            0x76 => Self::Challenge(data.try_into().map_err(|_| Nak::Length)?),
            0x77 => Self::Cryptogram(data.try_into().map_err(|_| Nak::Length)?),
            // how much the panel can take, that it should stay awake, and that it should give up what it does
            0x7B | 0xA2 | 0xA7 => Self::Acknowledge,
            _ => return Err(Nak::Unknown),
        })
    }
}

/// Records of 14 bytes; those of the first LED of the first reader count.
fn lights(data: &[u8]) -> Option<Asked> {
    let (all, rest) = data.as_chunks::<14>();
    if !rest.is_empty() || all.is_empty() || all.len() > LEDS {
        return None;
    }
    let mut lights = Vec::new();
    for led in all.iter().filter(|led| led[0] == 0 && led[1] == 0) {
        // reader, LED; temporary: control, on, off, colours, time; permanent: control, on, off, colours
        let [
            _,
            _,
            temporary,
            on,
            _,
            on_colour,
            off_colour,
            low,
            high,
            permanent,
            p_on,
            _,
            p_on_colour,
            p_off_colour,
        ] = *led;
        // one that is never on shows its other colour
        let shade = |on: u8, first: u8, second: u8| Shade::of(if on == 0 { second } else { first });
        if permanent == 1 {
            lights.push(Light::Steady(shade(p_on, p_on_colour, p_off_colour)));
        }
        match temporary {
            1 => lights.push(Light::Back),
            2 => {
                let time = u16::from_le_bytes([low, high]);
                lights.push(Light::While(shade(on, on_colour, off_colour), time));
            }
            _ => {}
        }
    }
    Some(Asked::Lights(lights))
}

/// Reader, kind, time, row, column, length, characters. What is no printable ASCII is left out.
fn text(data: &[u8]) -> Option<Asked> {
    let [_, _, _, _, _, length, ref text @ ..] = *data else {
        return None;
    };
    if text.len() != usize::from(length) {
        return None;
    }
    let printable = text.iter().filter(|byte| (0x20..0x7F).contains(*byte));
    Some(Asked::Text(printable.map(|byte| char::from(*byte)).collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_read_as_panels_send_them() {
        let green = [0, 0, 2, 10, 0, 2, 0, 30, 0, 1, 5, 0, 1, 1];
        assert_eq!(
            Asked::read(0x69, &green),
            Ok(Asked::Lights(vec![
                Light::Steady(Shade::Red),
                Light::While(Shade::Green, 30)
            ]))
        );
        // the LED of another reader of the device is none of ours
        let mut other = green;
        other[0] = 1;
        assert_eq!(Asked::read(0x69, &other), Ok(Asked::Lights(vec![])));
        assert_eq!(
            Asked::read(0x6A, &[0, 2, 1, 1, 3]),
            Ok(Asked::Beep { count: 3, on: true })
        );
        assert_eq!(
            Asked::read(0x6B, &[0, 2, 0, 1, 1, 4, b'O', 7, b'p', b'e']),
            Ok(Asked::Text("Ope".to_owned()))
        );
        assert_eq!(
            Asked::read(0x6E, &[5, 0, 0xE1, 0, 0]),
            Ok(Asked::Settings {
                address: 5,
                baud: 57_600
            })
        );
        let key = [&[1, 16][..], &[9; 16]].concat();
        assert_eq!(Asked::read(0x75, &key), Ok(Asked::KeySet(Key::new([9; 16]))));
    }

    #[test]
    fn what_does_not_fit_or_is_not_there_is_refused_by_its_code() {
        for (code, data, nak) in [
            (0x69, &[0; 13][..], Nak::Length),
            (0x69, &[], Nak::Length),
            (0x6A, &[0, 2, 1, 1], Nak::Length),
            (0x6B, &[0, 2, 0, 1, 1, 4, b'O'], Nak::Length),
            (0x6E, &[5], Nak::Length),
            (0x75, &[1, 16, 0], Nak::Length),
            (0x75, &[2, 1, 0], Nak::Unable),
            (0x76, &[0; 7], Nak::Length),
            (0x77, &[0; 15], Nak::Length),
            (0x68, &[0, 2, 0, 0], Nak::Unable),
            (0x7C, &[0; 20], Nak::Unknown),
            (0x80, &[], Nak::Unknown),
        ] {
            assert_eq!(Asked::read(code, data), Err(nak), "{code:02x} {data:?}");
        }
    }

    proptest! {
        #[test]
        fn no_command_makes_it_panic_or_grow(code: u8, data in prop::collection::vec(any::<u8>(), 0..1500)) {
            if let Ok(Asked::Lights(lights)) = Asked::read(code, &data) {
                prop_assert!(lights.len() <= 2 * LEDS);
            }
        }
    }
}
