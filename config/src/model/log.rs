//! `[log]`: where the program's own log goes. What happens at doors is in the journal, and told by `[notify]`.

use crate::describe::table;
use crate::rules::{parsed, table, word};
use crate::value::{HostPort, JournalFields, LogFormat, LogTransport, SyslogFacility};

table! {
    /// The program's own log. The environment variable `DOORLINE_LOG` sets what is in it (`info`, `debug`, `gateway_sip=trace`).
    pub struct Log {
        /// How lines are written to standard error.
        format: LogFormat = "format", word(), or("\"text\""), Live;
        /// Are lines given to the journal of systemd with their fields, in place of standard error?
        journald: JournalFields = "journald", word(), or("\"auto\""), Live;
        /// A syslog that gets each line, too; without this table none does.
        syslog: Option<LogSyslog> = "syslog", table(), optional, Live;
    }
}

table! {
    /// A syslog (RFC 5424) that gets each line of the program's log.
    pub struct LogSyslog {
        /// A server on the network, HOST or HOST:PORT, 514 without one. Without this key it is the machine's own, `/dev/log`.
        server: Option<HostPort> = "server", parsed(), optional, Live;
        /// How lines travel to a server. For one under TLS let the machine's own syslog forward them.
        transport: LogTransport = "transport", word(), or("\"udp\""), Live;
        /// Facility of the lines.
        facility: SyslogFacility = "facility", word(), or("\"daemon\""), Live;
    }
}
