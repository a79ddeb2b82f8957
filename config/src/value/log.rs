//! Words of `[log]`.

use crate::describe::words;

words! {
    /// How lines of the program's log are written.
    pub enum LogFormat {
        /// A JSON object a line, for programs.
        Json = "json",
        /// Text, for people.
        Text = "text",
    }
}

words! {
    /// Are lines given to the journal of systemd with their fields?
    pub enum JournalFields {
        /// Where standard error is the journal's: under systemd.
        Auto = "auto",
        /// Never: it gets what is written to standard error.
        Off = "off",
        /// Always.
        On = "on",
    }
}

words! {
    /// How lines travel to a syslog server.
    pub enum LogTransport {
        /// A stream in clear (RFC 6587).
        Tcp = "tcp",
        /// A datagram each (RFC 5426): nothing tells that it arrived.
        Udp = "udp",
    }
}
