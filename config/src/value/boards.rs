//! Words of relay boards.

use crate::describe::words;

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
        /// Waveshare Modbus RTU Relay and its sisters, firmware V2 and newer: coils, and a timer in the board. Up to 32.
        Waveshare = "waveshare",
    }
}

impl BoardProfile {
    /// Relays of its largest board.
    #[must_use]
    pub const fn channels(self) -> u16 {
        match self {
            Self::Coils => 64,
            Self::LcTech => 16,
            Self::N4d | Self::Waveshare => 32,
            Self::Qyf => 0,
            Self::Ryn4 => 8,
        }
    }

    /// True if the board can end a pulse by itself.
    #[must_use]
    pub const fn is_timed(self) -> bool {
        matches!(self, Self::Waveshare)
    }

    /// Unit that a new board has.
    #[must_use]
    pub const fn unit(self) -> u8 {
        match self {
            Self::LcTech => 255,
            Self::Coils | Self::N4d | Self::Qyf | Self::Ryn4 | Self::Waveshare => 1,
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
