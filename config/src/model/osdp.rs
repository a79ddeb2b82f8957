//! `[readers.*.osdp]` and `[inputs.*.osdp]`.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{FormatId, ReaderId, Secret};

use crate::describe::table;
use crate::rules::{Flag, Path, int, into, list, ms, name, parsed, refer, word};
use crate::value::{DisplayText, Rs485, StrikeOutside};

/// A key in a file of its own. It never stands in the site file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The first line of the file, once it was read.
    pub key: Option<Secret>,
    /// The file.
    pub path: PathBuf,
}

impl KeyFile {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { key: None, path }
    }
}

table! {
    /// An OSDP reader on an RS-485 line. Several readers share a line, each with an address of its own. A card of it is
    /// one of the configured formats with right parity; everything else is reported and opens nothing.
    pub struct OsdpReader {
        /// Serial port; the name under `/dev/serial/by-id` stays the same when adapters are replugged.
        port: PathBuf = "port", Path, required, Restart;
        /// Address of the reader on its line, 0 to 126.
        address: u8 = "address", int(0, 126), or("0"), Restart;
        /// Bits per second, the same for all readers of a line: 9600, 19200, 38400, 57600, 115200 or 230400.
        baud: u32 = "baud", int(9600, 230_400), or("9600"), Restart;
        /// Who switches the line between sending and receiving.
        rs485: Rs485 = "rs485", word(), or("\"adapter\""), Restart;
        /// File that holds the reader's key (SCBK) in its first line, 32 hexadecimal digits; `doorline osdp new-key` makes
        /// one. It must not be readable by other users. A relative path starts at the folder of this file.
        key_file: Option<KeyFile> = "key-file", into(Path, KeyFile::new), optional, Restart;
        /// File with the key that the reader had before: a reader that still has it is given the one of `key-file`. To be
        /// taken out when all have it.
        old_key_file: Option<KeyFile> = "old-key-file", into(Path, KeyFile::new), optional, Restart;
        /// True speaks to the reader in the clear: whoever reaches the cable can read cards, repeat them and open. Only for
        /// readers that have no secure channel; excludes `key-file`.
        unencrypted: bool = "unencrypted", Flag, or("false"), Restart;
        /// Formats that are cards, by name: published ones such as `h10301` (26 bits), listed by
        /// `doorline decode wiegand --formats`, and those under `card-formats`. An empty list is every one of them.
        formats: Vec<FormatId> = "formats", list(name(), 0, 32), or("[]"), Restart;
        /// The same card counts once in this time, 0 to 60000 ms.
        repeat: Duration = "repeat-ms", ms(0, 60_000), or("2000"), Restart;
        /// What the reader's display says while somebody is let in, up to 32 letters, digits and signs of ASCII; empty
        /// shows nothing. Left out it is said in the language of the site (in English where that is Russian). Only a reader that
        /// reports a display is sent a text.
        text_granted: Option<DisplayText> = "text-granted", parsed(), optional, Restart;
        /// What it says for 3 s when nobody is let in.
        text_denied: Option<DisplayText> = "text-denied", parsed(), optional, Restart;
        /// What it says while more digits are awaited.
        text_wait_pin: Option<DisplayText> = "text-wait-pin", parsed(), optional, Restart;
    }
}

table! {
    /// An input of an OSDP reader. It acts only through changes that the gateway sees: what it finds when the reader
    /// comes online is the state.
    pub struct OsdpInput {
        /// The reader.
        reader: ReaderId = "reader", refer("reader"), required, Restart;
        /// Which of its inputs, from 0 to 31.
        number: u8 = "number", int(0, 31), or("0"), Restart;
        /// True if the input is active where the reader reports 0.
        active_low: bool = "active-low", Flag, or("false"), Restart;
    }
}

table! {
    /// An output of an OSDP reader. It is on for a time that the reader itself ends.
    pub struct OsdpOutput {
        /// The reader.
        reader: ReaderId = "reader", refer("reader"), required, Restart;
        /// Which of its outputs, from 0 to 31.
        number: u8 = "number", int(0, 31), or("0"), Restart;
        /// Whether a door may have it. The reader is where strangers stand: whoever opens its case has the wires of the strike.
        strike_outside: StrikeOutside = "strike-outside", word(), or("\"refused\""), Restart;
    }
}
