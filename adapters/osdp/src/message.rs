//! Commands and replies (OSDP v2.2, clauses 6 and 7), as far as a panel of doors needs them.

use gateway_card::MAX_BITS;

use crate::display::Shown;
use crate::errand::Settings;
use crate::key::Key;
use crate::transfer::{FileStatus, Piece};

/// What a panel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Abort,
    Buzzer(Buzzer),
    Capabilities,
    Challenge([u8; 8]),
    /// An output, from 0.
    Drive {
        drive: Drive,
        number: u8,
    },
    File(Piece),
    Id,
    InputStatus,
    KeySet(Key),
    Led(Led),
    LocalStatus,
    OutputStatus,
    Poll,
    ServerCryptogram([u8; 16]),
    Settings(Settings),
    Text(Shown),
}

/// Beeps; times in 100 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buzzer {
    pub(crate) count: u8,
    pub(crate) off: u8,
    pub(crate) on: u8,
}

/// What an output is to do (v2.2, 6.8). What is permanent is rest: on is only for a time that the reader ends itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drive {
    /// To rest, and a time that runs is over.
    Off,
    /// On for so many 100 ms, then back to rest.
    On { tenths: u16 },
}

/// Colours of a reader's LED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Amber,
    Green,
    Red,
}

/// What an LED shows for a while, over what it shows otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Led {
    /// Back to what it shows otherwise.
    Cancel,
    /// A colour, on and off for so long in turns, altogether for `time`; all in 100 ms.
    Show {
        colour: Colour,
        off: u8,
        on: u8,
        time: u16,
    },
}

impl Command {
    /// Code and data.
    pub(crate) fn encode(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Abort => (0xA2, vec![]),
            Self::Buzzer(Buzzer { count, off, on }) => (0x6A, vec![0, 2, *on, *off, *count]),
            Self::Capabilities => (0x62, vec![0]),
            Self::Challenge(random) => (0x76, random.to_vec()),
            Self::Drive { drive, number } => {
                let (what, tenths) = match drive {
                    Drive::Off => (1, 0),
                    Drive::On { tenths } => (5, *tenths),
                };
                let [low, high] = tenths.to_le_bytes();
                (0x68, vec![*number, what, low, high])
            }
            Self::File(piece) => (0x7C, piece.encode()),
            Self::Id => (0x61, vec![0]),
            Self::InputStatus => (0x65, vec![]),
            Self::KeySet(key) => (0x75, [&[1, 16], &key.bytes()[..]].concat()),
            Self::Led(led) => (0x69, led.encode().to_vec()),
            Self::LocalStatus => (0x64, vec![]),
            Self::OutputStatus => (0x66, vec![]),
            Self::Poll => (0x60, vec![]),
            Self::ServerCryptogram(cryptogram) => (0x77, cryptogram.to_vec()),
            Self::Settings(settings) => (0x6E, settings.encode()),
            Self::Text(shown) => (0x6B, shown.encode()),
        }
    }

    /// Does it only show something?
    pub(crate) const fn is_feedback(&self) -> bool {
        matches!(self, Self::Buzzer(_) | Self::Led(_) | Self::Text(_))
    }
}

impl Led {
    /// First reader, first LED; what the LED shows otherwise is left alone (permanent control 0).
    fn encode(self) -> [u8; 14] {
        match self {
            Self::Cancel => [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            Self::Show {
                colour,
                off,
                on,
                time,
            } => {
                let colour = match colour {
                    Colour::Red => 1,
                    Colour::Green => 2,
                    Colour::Amber => 3,
                };
                let [low, high] = time.to_le_bytes();
                [0, 0, 2, on, off, colour, 0, low, high, 0, 0, 0, 0, 0]
            }
        }
    }
}

/// Identification of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Major, minor, build.
    pub firmware: [u8; 3],
    /// The maker's model number.
    pub model: u8,
    /// Serial number.
    pub serial: u32,
    /// IEEE OUI of the maker.
    pub vendor: [u8; 3],
    /// Version of the model.
    pub version: u8,
}

/// One capability: function, how far, how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Function code.
    pub function: u8,
    /// Compliance level.
    pub level: u8,
    /// Number of items.
    pub items: u8,
}

/// What a reader says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done, and nothing new.
    Ack,
    /// Not now; to be asked again.
    Busy,
    /// What the reader can do.
    Capabilities(Vec<Capability>),
    /// First answer of the handshake.
    ClientCryptogram {
        /// Proof that the reader has the key.
        cryptogram: [u8; 16],
        /// The reader's random number.
        random: [u8; 8],
        /// Its unique id.
        uid: [u8; 8],
    },
    /// How it goes with a file.
    File(FileStatus),
    /// Who the reader is.
    Id(Identity),
    /// Last answer of the handshake.
    InitialMac([u8; 16]),
    /// Levels of its inputs, in order.
    InputStatus(Vec<bool>),
    /// Keys.
    Keypad {
        /// In order; what is no key of ours is `None`.
        keys: Vec<Option<char>>,
        /// Which reader of the device.
        reader: u8,
    },
    /// State of the device.
    LocalStatus {
        /// Its supply fails.
        power: bool,
        /// Its case is open.
        tamper: bool,
    },
    /// Refused, with the reason's code.
    Nak(u8),
    /// Something that is of no use here.
    Other(u8),
    /// Levels of its outputs, in order.
    OutputStatus(Vec<bool>),
    /// A card, bits as they were read.
    Raw {
        /// Bits in the order of transmission.
        bits: Vec<bool>,
        /// 0 unspecified, 1 with Wiegand parity.
        format: u8,
        /// Which reader of the device.
        reader: u8,
    },
    /// The address and speed that it takes from here on.
    Settings(Settings),
    /// State of the readers of the device: 0 well, 1 not connected, 2 tampered with.
    ReaderStatus(Vec<u8>),
}

/// A reply whose data does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} has {found} bytes of data, {wanted}")]
pub struct ReplyError {
    /// How many were found.
    pub found: usize,
    /// Which reply.
    pub name: &'static str,
    /// What it should have.
    pub wanted: &'static str,
}

impl Reply {
    /// Reads code and data.
    ///
    /// # Errors
    /// [`ReplyError`] with what was found and what should be there.
    pub fn parse(code: u8, data: &[u8]) -> Result<Self, ReplyError> {
        let wrong = |name, wanted| ReplyError {
            found: data.len(),
            name,
            wanted,
        };
        Ok(match code {
            0x40 => Self::Ack,
            0x41 => Self::Nak(*data.first().ok_or(wrong("NAK", "at least 1 is needed"))?),
            0x45 => match *data {
                [v0, v1, v2, model, version, s0, s1, s2, s3, f0, f1, f2, ..] => Self::Id(Identity {
                    firmware: [f0, f1, f2],
                    model,
                    serial: u32::from_le_bytes([s0, s1, s2, s3]),
                    vendor: [v0, v1, v2],
                    version,
                }),
                _ => return Err(wrong("PDID", "12 are needed")),
            },
            0x46 => {
                let (all, rest) = data.as_chunks::<3>();
                if !rest.is_empty() {
                    return Err(wrong("PDCAP", "a multiple of 3 is needed"));
                }
                let capability = |&[function, level, items]: &[u8; 3]| Capability {
                    function,
                    level,
                    items,
                };
                Self::Capabilities(all.iter().map(capability).collect())
            }
            0x48 => match *data {
                [tamper, power, ..] => Self::LocalStatus {
                    power: power != 0,
                    tamper: tamper != 0,
                },
                _ => return Err(wrong("LSTATR", "2 are needed")),
            },
            0x49 => Self::InputStatus(data.iter().map(|level| *level != 0).collect()),
            0x4A => Self::OutputStatus(data.iter().map(|level| *level != 0).collect()),
            0x4B => Self::ReaderStatus(data.to_vec()),
            0x50 => raw(data).ok_or(wrong(
                "RAW",
                "4 and one for each 8 bits are needed, 1 to 256 bits",
            ))?,
            0x53 => match *data {
                [reader, count, ref keys @ ..] if keys.len() >= usize::from(count) => Self::Keypad {
                    keys: keys.iter().take(count.into()).map(|key| key_of(*key)).collect(),
                    reader,
                },
                _ => return Err(wrong("KEYPAD", "2 and one for each key are needed")),
            },
            0x54 => Self::Settings(Settings::parse(data).ok_or(wrong("COM", "5 are needed"))?),
            0x76 => {
                let short = wrong("CCRYPT", "32 are needed");
                let (uid, rest) = data.split_first_chunk().ok_or(short)?;
                let (random, rest) = rest.split_first_chunk().ok_or(short)?;
                Self::ClientCryptogram {
                    cryptogram: *rest.first_chunk().ok_or(short)?,
                    random: *random,
                    uid: *uid,
                }
            }
            0x78 => {
                let mac = data.first_chunk().ok_or(wrong("RMAC_I", "16 are needed"))?;
                Self::InitialMac(*mac)
            }
            0x79 => Self::Busy,
            0x7A => Self::File(FileStatus::parse(data).ok_or(wrong("FTSTAT", "7 are needed"))?),
            other => Self::Other(other),
        })
    }
}

fn raw(data: &[u8]) -> Option<Reply> {
    let [reader, format, low, high, ref rest @ ..] = *data else {
        return None;
    };
    let count = usize::from(u16::from_le_bytes([low, high]));
    if !(1..=MAX_BITS).contains(&count) || rest.len() < count.div_ceil(8) {
        return None;
    }
    let bits = rest
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1 == 1));
    Some(Reply::Raw {
        bits: bits.take(count).collect(),
        format,
        reader,
    })
}

/// A key as OSDP writes it: ASCII, with 7F for `*` and 0D for `#`.
fn key_of(byte: u8) -> Option<char> {
    match byte {
        b'0'..=b'9' => Some(char::from(byte)),
        0x7F | b'*' => Some('*'),
        0x0D | b'#' => Some('#'),
        _ => None,
    }
}

/// Name of a command's code, as the standard has it.
#[must_use]
pub const fn command_name(code: u8) -> Option<&'static str> {
    Some(match code {
        0x60 => "POLL",
        0x61 => "ID",
        0x62 => "CAP",
        0x64 => "LSTAT",
        0x65 => "ISTAT",
        0x66 => "OSTAT",
        0x67 => "RSTAT",
        0x68 => "OUT",
        0x69 => "LED",
        0x6A => "BUZ",
        0x6B => "TEXT",
        0x6E => "COMSET",
        0x73 => "BIOREAD",
        0x74 => "BIOMATCH",
        0x75 => "KEYSET",
        0x76 => "CHLNG",
        0x77 => "SCRYPT",
        0x7B => "ACURXSIZE",
        0x7C => "FILETRANSFER",
        0x80 => "MFG",
        0xA1 => "XWR",
        0xA2 => "ABORT",
        0xA3 => "PIVDATA",
        0xA4 => "GENAUTH",
        0xA5 => "CRAUTH",
        0xA7 => "KEEPACTIVE",
        _ => return None,
    })
}

/// Name of a reply's code, as the standard has it.
#[must_use]
pub const fn reply_name(code: u8) -> Option<&'static str> {
    Some(match code {
        0x40 => "ACK",
        0x41 => "NAK",
        0x45 => "PDID",
        0x46 => "PDCAP",
        0x48 => "LSTATR",
        0x49 => "ISTATR",
        0x4A => "OSTATR",
        0x4B => "RSTATR",
        0x50 => "RAW",
        0x51 => "FMT",
        0x53 => "KEYPAD",
        0x54 => "COM",
        0x57 => "BIOREADR",
        0x58 => "BIOMATCHR",
        0x76 => "CCRYPT",
        0x78 => "RMAC_I",
        0x79 => "BUSY",
        0x7A => "FTSTAT",
        0x80 => "PIVDATAR",
        0x81 => "GENAUTHR",
        0x82 => "CRAUTHR",
        0x83 => "MFGSTATR",
        0x84 => "MFGERRR",
        0x90 => "MFGREP",
        0xB1 => "XRD",
        _ => return None,
    })
}

/// What a NAK's code means.
#[must_use]
pub const fn nak_reason(code: u8) -> &'static str {
    match code {
        1 => "wrong check",
        2 => "wrong length of the command",
        3 => "unknown command",
        4 => "unexpected sequence number",
        5 => "security block not supported",
        6 => "the secure channel is required",
        7 => "kind of biometrics not supported",
        8 => "format of biometrics not supported",
        9 => "the command cannot be carried out",
        _ => "unknown reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn replies_are_read() {
        let id = [0x00, 0x0E, 0xE3, 0x10, 0x10, 0, 0, 0x74, 0x97, 0x23, 0x06, 0x06];
        assert_eq!(
            Reply::parse(0x45, &id),
            Ok(Reply::Id(Identity {
                firmware: [0x23, 6, 6],
                model: 0x10,
                serial: 0x9774_0000,
                vendor: [0, 0x0E, 0xE3],
                version: 0x10,
            }))
        );
        assert_eq!(
            Reply::parse(0x50, &[0, 1, 9, 0, 0b1010_0000, 0x80]),
            Ok(Reply::Raw {
                bits: [true, false, true, false, false, false, false, false, true].to_vec(),
                format: 1,
                reader: 0,
            })
        );
        let keys = [Some('1'), Some('*'), Some('#'), None];
        assert_eq!(
            Reply::parse(0x53, &[0, 4, b'1', 0x7F, 0x0D, b'A']),
            Ok(Reply::Keypad {
                keys: keys.to_vec(),
                reader: 0,
            })
        );
        assert_eq!(
            Reply::parse(0x48, &[1, 0]),
            Ok(Reply::LocalStatus {
                power: false,
                tamper: true,
            })
        );
        assert_eq!(
            Reply::parse(0x54, &[5, 0x00, 0xC2, 0x01, 0x00]),
            Ok(Reply::Settings(Settings {
                address: 5,
                baud: 115_200,
            }))
        );
        assert_eq!(
            Reply::parse(0x7A, &[1, 44, 1, 0xFD, 0xFF, 0, 1]),
            Ok(Reply::File(FileStatus {
                action: 1,
                delay: 300,
                detail: -3,
                longest: 256,
            }))
        );
    }

    #[test]
    fn data_that_does_not_fit_is_named() {
        for (code, data, text) in [
            (0x41, &[][..], "NAK has 0 bytes of data, at least 1 is needed"),
            (
                0x50,
                &[0, 1, 26, 0, 1, 2, 3],
                "RAW has 7 bytes of data, 4 and one for each 8 bits are needed, 1 to 256 bits",
            ),
            (
                0x50,
                &[0, 1, 0, 0],
                "RAW has 4 bytes of data, 4 and one for each 8 bits are needed, 1 to 256 bits",
            ),
            (
                0x53,
                &[0, 3, b'1'],
                "KEYPAD has 3 bytes of data, 2 and one for each key are needed",
            ),
            (0x76, &[0; 31], "CCRYPT has 31 bytes of data, 32 are needed"),
        ] {
            let error = Reply::parse(code, data).expect_err("does not fit");
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn commands_are_as_the_standard_has_them() {
        let show = Led::Show {
            colour: Colour::Green,
            off: 0,
            on: 10,
            time: 300,
        };
        assert_eq!(
            Command::Led(show).encode(),
            (0x69, vec![0, 0, 2, 10, 0, 2, 0, 44, 1, 0, 0, 0, 0, 0])
        );
        let beeps = Buzzer {
            count: 3,
            off: 1,
            on: 1,
        };
        assert_eq!(Command::Buzzer(beeps).encode(), (0x6A, vec![0, 2, 1, 1, 3]));
        let (code, data) = Command::KeySet(Key::new([9; 16])).encode();
        assert_eq!((code, &data[..3], data.len()), (0x75, &[1, 16, 9][..], 18));
    }

    proptest! {
        #[test]
        fn no_data_makes_it_panic(code: u8, data in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Reply::parse(code, &data);
        }
    }
}
