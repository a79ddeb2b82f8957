//! `[announce]`: how the gateway makes itself known to its neighbours on the network.

use std::time::Duration;

use crate::describe::table;
use crate::rules::{Flag, parsed, secs};
use crate::value::HostLabel;

table! {
    /// How the gateway makes itself known to its neighbours on the network.
    pub struct Announce {
        /// Name of the gateway on its network: `NAME.local` by mDNS, and the system's name at the switch. 1 to 63 of
        /// a-z, 0-9 and '-'. Without it `doorline-` and the short name of the site.
        name: Option<HostLabel> = "name", parsed(), optional, Live;
        /// Answer to the name by mDNS, and let page and SIP port be found by DNS-SD. What listens on loopback only is
        /// not announced.
        mdns: bool = "mdns", Flag, or("true"), Live;
        /// Say to the switch who hangs at its port (LLDP, sent and never read). It is sent by
        /// `doorline-lldp.service`, which alone may send raw frames.
        lldp: bool = "lldp", Flag, or("true"), Live;
        /// Time between two LLDP hellos, 5 to 3600 s. The switch forgets the gateway after four that did not come.
        lldp_interval: Duration = "lldp-interval-s", secs(5, 3600), or("30"), Live;
    }
}
