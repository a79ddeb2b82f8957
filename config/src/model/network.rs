//! `[network]`: address of the port by which the gateway is reached.

use std::net::IpAddr;

use crate::describe::table;
use crate::rules::{int, list, parsed, word};
use crate::value::{Cidr4, Cidr6, Host, Ipv4Mode, Ipv6Mode, NetworkManager, PortName};

table! {
    /// Address of the port by which the gateway is reached. Without this table the gateway leaves the machine's network
    /// alone. A change is not taken by a reload: `doorline network apply` carries it out, and takes it back unless
    /// `doorline network confirm` follows.
    pub struct Network {
        /// The Ethernet port, such as `eth0`.
        port: PortName = "port", parsed(), required, Live;
        /// Whose files carry the settings.
        manager: NetworkManager = "manager", word(), or("\"auto\""), Live;
        /// VLAN in which the gateway lives (IEEE 802.1Q), 1 to 4094; without it frames have no tag.
        vlan: Option<u16> = "vlan", int(1, 4094), optional, Live;
        /// Where the IPv4 address comes from.
        ipv4: Ipv4Mode = "ipv4", word(), or("\"dhcp\""), Live;
        /// IPv4 address with the length of its network's prefix, for `ipv4 = "static"`.
        address: Option<Cidr4> = "address", parsed(), optional, Live;
        /// IPv4 gateway, for `ipv4 = "static"`.
        gateway: Option<std::net::Ipv4Addr> = "gateway", parsed(), optional, Live;
        /// Where the IPv6 address comes from.
        ipv6: Ipv6Mode = "ipv6", word(), or("\"auto\""), Live;
        /// IPv6 address with the length of its network's prefix, for `ipv6 = "static"`.
        address6: Option<Cidr6> = "address6", parsed(), optional, Live;
        /// IPv6 gateway, for `ipv6 = "static"`.
        gateway6: Option<std::net::Ipv6Addr> = "gateway6", parsed(), optional, Live;
        /// Name servers, at most 4; with DHCP these are asked besides those it names.
        dns: Vec<IpAddr> = "dns", list(parsed(), 0, 4), or("[]"), Live;
        /// Time servers, at most 4, for a machine whose clock systemd-timesyncd sets.
        ntp: Vec<Host> = "ntp", list(parsed(), 0, 4), or("[]"), Live;
    }
}
