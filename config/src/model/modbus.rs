//! Inputs of modules that speak Modbus, and what they share with relay boards: the line.

use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use super::boards::Modbus;
use crate::describe::table;
use crate::rules::{Flag, Path, int, ms, parsed, word};
use crate::value::{HostPort, ModbusFraming, Parity, Rs485};

table! {
    /// An input of a module that speaks Modbus, over a serial line (`port`) or a network (`host`). It is read again and again: what
    /// is shorter than the interval and the debounce together may be missed.
    pub struct ModbusInput {
        /// Serial port; the name under `/dev/serial/by-id` stays the same when adapters are replugged. Modules and relay boards
        /// may share one.
        port: Option<PathBuf> = "port", Path, optional, Restart;
        /// Host of a module or serial server on the network, with its TCP port, which is 502 if none is given.
        host: Option<HostPort> = "host", parsed(), optional, Restart;
        /// How Modbus is framed on a network.
        framing: ModbusFraming = "framing", word(), or("\"tcp\""), Restart;
        /// Address of the module on its line, 1 to 255.
        unit: u8 = "unit", int(1, 255), or("1"), Restart;
        /// Address of a discrete input (function 2) as it goes over the line, from 0.
        discrete_input: Option<u16> = "discrete-input", int(0, 65_535), optional, Restart;
        /// Address of a coil (function 1) as it goes over the line, from 0; in place of `discrete-input`.
        coil: Option<u16> = "coil", int(0, 65_535), optional, Restart;
        /// True if 0 means active.
        inverted: bool = "inverted", Flag, or("false"), Restart;
        /// Between two readings, 20 to 1000 ms. A line that is too slow for all that is asked of it reads less often.
        interval: Duration = "interval-ms", ms(20, 1000), or("50"), Restart;
        /// A level counts when it has stood for so long, 0 to 1000 ms: it is read twice at least, unless this is 0.
        debounce: Duration = "debounce-ms", ms(0, 1000), or("30"), Restart;
        /// Bits per second, 2400 to 115200.
        baud: u32 = "baud", int(2400, 115_200), or("9600"), Restart;
        /// Parity of the line.
        parity: Parity = "parity", word(), or("\"none\""), Restart;
        /// Who switches the line between sending and receiving.
        rs485: Rs485 = "rs485", word(), or("\"adapter\""), Restart;
        /// Silence between an answer and the next request, 0 to 100 ms. Cheap modules need some.
        gap: Duration = "gap-ms", ms(0, 100), or("10"), Restart;
        /// Longest time a module takes for its answer, 20 to 500 ms. It is also what a module that does not answer
        /// costs the others on its line.
        timeout: Duration = "timeout-ms", ms(20, 500), or("120"), Restart;
    }
}

/// The line of a board or module: what all on it say alike.
#[derive(Clone, Copy, Debug)]
pub struct ModbusLine<'a> {
    /// Bits per second.
    pub baud: u32,
    /// How Modbus is framed on a network.
    pub framing: ModbusFraming,
    /// Silence between an answer and the next request.
    pub gap: Duration,
    /// Host, if it is on a network.
    pub host: Option<&'a HostPort>,
    /// Parity.
    pub parity: Parity,
    /// Serial port, if it is on one.
    pub port: Option<&'a FilePath>,
    /// Who switches the direction.
    pub rs485: Rs485,
    /// Longest time for an answer.
    pub timeout: Duration,
}

impl ModbusLine<'_> {
    /// Where it is: port, or host with TCP port.
    #[must_use]
    pub fn place(&self) -> String {
        match (self.port, self.host) {
            (Some(port), _) => port.display().to_string(),
            (None, Some(host)) => format!("{}:{}", host.host, host.port.unwrap_or(502)),
            (None, None) => String::new(),
        }
    }
}

impl Modbus {
    /// Its line.
    #[must_use]
    pub fn line(&self) -> ModbusLine<'_> {
        ModbusLine {
            baud: self.baud,
            framing: self.framing,
            gap: self.gap,
            host: self.host.as_ref(),
            parity: self.parity,
            port: self.port.as_deref(),
            rs485: self.rs485,
            timeout: self.timeout,
        }
    }
}

impl ModbusInput {
    /// Its line.
    #[must_use]
    pub fn line(&self) -> ModbusLine<'_> {
        ModbusLine {
            baud: self.baud,
            framing: self.framing,
            gap: self.gap,
            host: self.host.as_ref(),
            parity: self.parity,
            port: self.port.as_deref(),
            rs485: self.rs485,
            timeout: self.timeout,
        }
    }

    /// What it is called on its module, with its address.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.coil, self.discrete_input) {
            (Some(coil), _) => format!("coil {coil}"),
            (None, Some(input)) => format!("discrete input {input}"),
            (None, None) => String::new(),
        }
    }
}
