//! Relay boards of `[outputs.*]` that are reached over a line or a network.

use std::path::PathBuf;
use std::time::Duration;

use crate::describe::table;
use crate::rules::{Flag, Path, int, ms, parsed, word};
use crate::value::{BoardProfile, HidBoard, HostPort, ModbusFraming, Parity, Rs485};

table! {
    /// A relay of a board that speaks Modbus, over a serial line (`port`) or a network (`host`).
    pub struct Modbus {
        /// Serial port; the name under `/dev/serial/by-id` stays the same when adapters are replugged. Several boards
        /// may share one.
        port: Option<PathBuf> = "port", Path, optional, Restart;
        /// Host of a board or serial server on the network, with its TCP port, which is 502 if none is given.
        host: Option<HostPort> = "host", parsed(), optional, Restart;
        /// How Modbus is framed on a network.
        framing: ModbusFraming = "framing", word(), or("\"tcp\""), Restart;
        /// Address of the board on its line, 1 to 255; left out, what such boards have when they are new.
        unit: Option<u8> = "unit", int(1, 255), optional, Restart;
        /// Family of the board.
        profile: BoardProfile = "profile", word(), required, Restart;
        /// Relay, counted from 1 as printed on the board.
        channel: u16 = "channel", int(1, 64), or("1"), Restart;
        /// Address of relay 1 where a board counts otherwise than its profile, from 0.
        first_address: Option<u16> = "first-address", int(0, 65_000), optional, Restart;
        /// True if the board's own timer shall end every pulse, too, whatever becomes of everybody else. Only with a
        /// profile that has one; there it is the default.
        self_timed: Option<bool> = "self-timed", Flag, optional, Restart;
        /// Bits per second, 2400 to 115200.
        baud: u32 = "baud", int(2400, 115_200), or("9600"), Restart;
        /// Parity of the line.
        parity: Parity = "parity", word(), or("\"none\""), Restart;
        /// Who switches the line between sending and receiving.
        rs485: Rs485 = "rs485", word(), or("\"adapter\""), Restart;
        /// Silence between an answer and the next request, 0 to 100 ms. Cheap boards need some.
        gap: Duration = "gap-ms", ms(0, 100), or("10"), Restart;
        /// Longest time a board takes for its answer, 20 to 500 ms. It is also what a board that does not answer
        /// costs the others on its line.
        timeout: Duration = "timeout-ms", ms(20, 500), or("120"), Restart;
        /// Time after which a timer relay behind the channel releases the lock by itself, 100 ms to 60 s; left out
        /// if there is none. A board with its own supply keeps a relay on when everything that could switch it off
        /// has died.
        timer: Option<Duration> = "timer-ms", ms(100, 60_000), optional, Live;
    }
}

table! {
    /// A relay of a USB board that is a HID device: DCTTECH, USBRelay1 to USBRelay8.
    pub struct Dcttech {
        /// Id that the board keeps: five letters, digits and signs, which `doorline doctor` shows. It stays the same whatever
        /// socket the board is in.
        board: HidBoard = "board", parsed(), required, Restart;
        /// Relay as printed on the board, 1 to 8.
        channel: u16 = "channel", int(1, 8), or("1"), Restart;
        /// Time after which a timer relay behind the channel releases the lock by itself, 100 ms to 60 s; left out
        /// if there is none. The board keeps a relay on when everything that could switch it off has died.
        timer: Option<Duration> = "timer-ms", ms(100, 60_000), optional, Live;
    }
}

table! {
    /// A relay of a KMTronic board, USB or RS-232.
    pub struct Kmtronic {
        /// Serial port; the name under `/dev/serial/by-id` stays the same when boards are replugged.
        port: PathBuf = "port", Path, required, Restart;
        /// How many relays the board has: 1, 2, 4 or 8. Those with 4 and 8 are asked for their state otherwise.
        relays: u16 = "relays", int(1, 8), required, Restart;
        /// Relay as printed on the board, from 1.
        channel: u16 = "channel", int(1, 8), or("1"), Restart;
        /// Bits per second, 1200 to 115200.
        baud: u32 = "baud", int(1200, 115_200), or("9600"), Restart;
        /// Time after which a timer relay behind the channel releases the lock by itself, 100 ms to 60 s; left out
        /// if there is none. The board keeps a relay on when everything that could switch it off has died.
        timer: Option<Duration> = "timer-ms", ms(100, 60_000), optional, Live;
    }
}

table! {
    /// A relay of a Numato USB relay module.
    pub struct Numato {
        /// Serial port; the name under `/dev/serial/by-id` stays the same when boards are replugged.
        port: PathBuf = "port", Path, required, Restart;
        /// Relay as printed on the board, from 0 to 31.
        channel: u16 = "channel", int(0, 31), or("0"), Restart;
        /// Time after which a timer relay behind the channel releases the lock by itself, 100 ms to 60 s; left out
        /// if there is none. The board keeps a relay on when everything that could switch it off has died.
        timer: Option<Duration> = "timer-ms", ms(100, 60_000), optional, Live;
    }
}

impl Modbus {
    /// Where the board is reached: port, or host with TCP port.
    #[must_use]
    pub fn place(&self) -> String {
        self.line().place()
    }

    /// Its address on the line.
    #[must_use]
    pub fn address(&self) -> u8 {
        self.unit.unwrap_or_else(|| self.profile.unit())
    }

    /// True if the board itself ends every pulse.
    #[must_use]
    pub fn is_self_timed(&self) -> bool {
        self.profile.ends_itself() || self.profile.is_timed() && self.self_timed != Some(false)
    }
}
