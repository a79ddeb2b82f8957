//! `[controllers.*]`.

use std::path::PathBuf;

use gateway_core::{FormatId, ReaderId};

use crate::describe::{choice, table};
use crate::model::KeyFile;
use crate::rules::{Flag, Path, int, into, list, name, parsed, refer, word};
use crate::value::{FacilityPair, Rs485};

table! {
    /// An access controller of somebody else, before which the gateway stands as one reader. What it shows there is told,
    /// and shown at the reader where the card was read; it opens none of the gateway's doors.
    pub struct Controller {
        /// Readers whose cards are handed on to it; none if it gets cards by command only. The gateway decides about its own
        /// doors all the same.
        forward: Vec<ReaderId> = "forward", list(refer("reader"), 0, 8), required, Restart;
        /// True hands keys typed at those readers on to it as well, each at once: it gets every code that is typed there, those of
        /// the gateway's own doors too. By OSDP only.
        forward_keys: bool = "forward-keys", Flag, or("false"), Restart;
        /// True lets commands and rules send it cards that nobody showed, as they are given (no `format`): whoever may open and
        /// operate everything opens its doors by that.
        by_command: bool = "by-command", Flag, or("false"), Live;
        /// Format in which its cards are written, by name; without it their bits are passed on as they were read. A card
        /// that has no room in it is not handed on, which is told.
        format: Option<FormatId> = "format", name(), optional, Restart;
        /// Facilities that the controller knows by another number, as `READ=WRITTEN`, at most 64.
        facilities: Vec<FacilityPair> = "facilities", list(parsed(), 0, 64), or("[]"), Restart;
        one of
        /// How it is reached.
        driver: ControllerDriver;
    }
}

choice! {
    /// How a controller is reached.
    pub enum ControllerDriver {
        /// As a reader on its OSDP line.
        Osdp(Box<OsdpController>) = "osdp",
        /// As a Wiegand reader, through two outputs of a front end.
        Wiegand(Box<WiegandController>) = "wiegand",
    }
}

impl ControllerDriver {
    /// Its file with the key, with the name of its key in the site file.
    pub(crate) fn key_file(&mut self) -> Option<(&'static str, &mut KeyFile)> {
        match self {
            Self::Osdp(of) => of.key_file.as_mut().map(|file| ("key-file", file)),
            Self::Wiegand(_) => None,
        }
    }
}

table! {
    /// The gateway as an OSDP reader (peripheral device) on the line of a controller. The serial port is for this alone; other
    /// readers of the controller may be on the same wires.
    pub struct OsdpController {
        /// Serial port; the name under `/dev/serial/by-id` stays the same when adapters are replugged.
        port: PathBuf = "port", Path, required, Restart;
        /// Address that the controller asks, 0 to 126.
        address: u8 = "address", int(0, 126), or("0"), Restart;
        /// Bits per second, as the controller has them: 9600, 19200, 38400, 57600, 115200 or 230400. Neither this nor the
        /// address is changed by the controller.
        baud: u32 = "baud", int(9600, 230_400), or("9600"), Restart;
        /// Who switches the line between sending and receiving.
        rs485: Rs485 = "rs485", word(), or("\"adapter\""), Restart;
        /// File that holds the key (SCBK) that the controller has too, in its first line, 32 hexadecimal digits. It must not be
        /// readable by other users. A relative path starts at the folder of this file.
        key_file: Option<KeyFile> = "key-file", into(Path, KeyFile::new), optional, Restart;
        /// True: the controller gives the reader its key, the first one through the default key, which everybody knows. The key
        /// is kept in the state folder; from then on the default key is refused. Excludes `key-file`.
        install: bool = "install", Flag, or("false"), Restart;
        /// True speaks in the clear: whoever reaches the cable can read cards, repeat them and open the controller's doors.
        /// Only for controllers that have no secure channel; excludes the two above.
        unencrypted: bool = "unencrypted", Flag, or("false"), Restart;
    }
}

table! {
    /// The gateway as a Wiegand reader: a front end times the pulses on D0 and D1.
    pub struct WiegandController {
        /// Line port of the front end; panel lines of it may share it.
        port: PathBuf = "port", Path, required, Restart;
        /// Bits per second, 9600 to 3000000; one with USB of its own takes any.
        baud: u32 = "baud", int(9600, 3_000_000), or("921600"), Restart;
        /// Output that pulls D0 low, 0 to 15.
        d0_output: u8 = "d0-output", int(0, 15), required, Restart;
        /// Output that pulls D1 low, 0 to 15.
        d1_output: u8 = "d1-output", int(0, 15), required, Restart;
        /// Input of the controller's wire for the reader's LED, low while it is lit; left out if it is not wired.
        led_input: Option<u8> = "led-input", int(0, 15), optional, Restart;
        /// How long a pulse is, 20 to 100 µs.
        pulse_us: u16 = "pulse-us", int(20, 100), or("50"), Restart;
        /// From the begin of a pulse to that of the next, 200 to 20000 µs.
        interval_us: u16 = "interval-us", int(200, 20_000), or("2000"), Restart;
        /// Refused: a program cannot time such pulses on the pins of a GPIO chip.
        chip: Option<PathBuf> = "chip", Path, optional, Restart;
    }
}
