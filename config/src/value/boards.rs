//! Words of relay boards.

use std::fmt;

use crate::describe::words;
use crate::rules::FromText;

words! {
    /// Family of a Modbus relay board: how its relays are written and read.
    pub enum BoardProfile {
        /// Relays are coils as the specification has them: on is 0xFF00, off 0x0000, read by function 1. Up to 64.
        Coils = "coils",
        /// LC-Tech: coils; its unit is 255 until another was set. Up to 16.
        LcTech = "lc-tech",
        /// Eletechsup N4D, R4D and their like: commands in holding registers from 1. Up to 32.
        N4d = "n4d",
        /// QYF. Refused: what switches it off is not documented.
        Qyf = "qyf",
        /// RYN404E, RYN408F: as `n4d`, with registers from 0. Up to 8.
        Ryn4 = "ryn4",
        /// Bolid S2000-PP, behind which relays of an Orion line are: coils from 10000 in the order of its table. Up to 64.
        S2000Pp = "s2000-pp",
        /// Bolid S2000-SP1. Refused: it speaks Orion and no Modbus; `s2000-pp` is the way to it.
        S2000Sp1 = "s2000-sp1",
        /// Waveshare Modbus RTU Relay and its sisters, firmware V2 and newer: coils, and a timer in the board. Up to 32.
        Waveshare = "waveshare",
        /// WB-Domofon of Wiren Board, an intercom module: coil 4 has it lift, open and hang up by itself.
        WbDomofon = "wb-domofon",
    }
}

impl BoardProfile {
    /// Relays of its largest board.
    #[must_use]
    pub const fn channels(self) -> u16 {
        match self {
            Self::Coils | Self::S2000Pp => 64,
            Self::LcTech => 16,
            Self::N4d | Self::Waveshare => 32,
            Self::Qyf | Self::S2000Sp1 => 0,
            Self::Ryn4 => 8,
            Self::WbDomofon => 1,
        }
    }

    /// True if the board can end a pulse by itself.
    #[must_use]
    pub const fn is_timed(self) -> bool {
        matches!(self, Self::Waveshare)
    }

    /// True if the device itself ends what it was told to begin, in times of its own.
    #[must_use]
    pub const fn ends_itself(self) -> bool {
        matches!(self, Self::WbDomofon)
    }

    /// Address of relay 1, where relays are coils.
    #[must_use]
    pub const fn first_coil(self) -> Option<u16> {
        match self {
            Self::Coils | Self::LcTech | Self::Waveshare => Some(0),
            Self::N4d | Self::Qyf | Self::Ryn4 | Self::S2000Sp1 => None,
            Self::S2000Pp => Some(10_000),
            Self::WbDomofon => Some(4),
        }
    }

    /// Unit that a new board has.
    #[must_use]
    pub const fn unit(self) -> u8 {
        match self {
            Self::LcTech => 255,
            Self::Coils
            | Self::N4d
            | Self::Qyf
            | Self::Ryn4
            | Self::S2000Pp
            | Self::S2000Sp1
            | Self::Waveshare
            | Self::WbDomofon => 1,
        }
    }
}

words! {
    /// How Modbus is framed on a TCP connection.
    pub enum ModbusFraming {
        /// RTU frames, through a serial server that passes bytes.
        Rtu = "rtu",
        /// Modbus TCP.
        Tcp = "tcp",
    }
}

words! {
    /// Parity of a serial line.
    pub enum Parity {
        /// Even (8E1), the default of the Modbus specification.
        Even = "even",
        /// None (8N1), what relay boards have when they are new.
        None = "none",
        /// Odd (8O1).
        Odd = "odd",
    }
}

words! {
    /// Who switches an RS-485 driver between sending and receiving.
    pub enum Rs485 {
        /// The adapter by itself, as nearly all USB adapters do.
        Adapter = "adapter",
        /// The kernel by RTS, high while it sends (TIOCSRS485); a UART on the board, for example.
        Rts = "rts",
        /// The kernel by RTS, low while it sends.
        RtsInverted = "rts-inverted",
    }
}

/// The id that a USB-HID relay board keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HidBoard(String);

impl HidBoard {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HidBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for HidBoard {
    const WHAT: &'static str = "the id of a relay board";
    const PATTERN: Option<&'static str> = Some("^[!-~]{5}$");
    fn from_text(text: &str) -> Result<Self, String> {
        (text.len() == 5 && text.bytes().all(|b| b.is_ascii_graphic()))
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| "five letters, digits and signs, as doorline doctor shows them".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_is_named_by_its_five_letters() {
        assert_eq!(HidBoard::from_text("6QMBS").expect("an id").as_str(), "6QMBS");
        for bad in ["", "6QMB", "6QMBSA", "6Q BS", "6QMB\u{e9}"] {
            assert!(HidBoard::from_text(bad).is_err(), "{bad:?}");
        }
    }
}
