//! Resources that only one user may hold.

/// A resource of the machine, so that two parts of a configuration cannot claim the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// A line of a GPIO chip.
    GpioLine {
        /// Device path.
        chip: String,
        /// Offset.
        line: u32,
    },
    /// A channel of a board.
    Channel {
        /// The board's resource, for example its serial port.
        board: String,
        /// Channel number as printed on the board.
        channel: u16,
    },
    /// A TCP or UDP port, as `udp:0.0.0.0:5060`.
    Port(String),
}
