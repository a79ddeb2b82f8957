//! The network ports of this machine, as the kernel tells them now.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{LinkAddr, SockaddrLike, SockaddrStorage};

/// An address of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Length of its network's prefix in bits, 0 to 128.
    pub prefix: u8,
}

impl Address {
    /// True if `other` is on the same link, by the prefix.
    #[must_use]
    pub fn reaches(&self, other: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.ip, other) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let mask = u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
                (ours.to_bits() ^ theirs.to_bits()) & mask == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let mask = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
                (ours.to_bits() ^ theirs.to_bits()) & mask == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

/// A network port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Addresses, in the kernel's order.
    pub addresses: Vec<Address>,
    /// True if the link is up: a cable is in, and somebody is at its other end.
    pub carrier: bool,
    /// Number by which the kernel knows it.
    pub index: u32,
    /// Its hardware address as the kernel wants it for sending frames.
    pub link: Option<LinkAddr>,
    /// True for the machine's talk with itself.
    pub loopback: bool,
    /// True if it carries multicast to others, and is switched on.
    pub multicast: bool,
    /// Name: `eth0`.
    pub name: String,
}

impl Port {
    /// Hardware address of an Ethernet port.
    #[must_use]
    pub fn mac(&self) -> Option<[u8; 6]> {
        self.link.and_then(|link| link.addr())
    }
}

/// Every port, by name.
///
/// # Errors
/// What the kernel answered.
pub fn ports() -> io::Result<Vec<Port>> {
    let mut ports: BTreeMap<String, Port> = BTreeMap::new();
    for entry in getifaddrs()? {
        let flags = entry.flags;
        let up = flags.contains(InterfaceFlags::IFF_UP);
        let port = ports.entry(entry.interface_name.clone()).or_insert_with(|| Port {
            addresses: Vec::new(),
            carrier: up && flags.contains(InterfaceFlags::IFF_RUNNING),
            index: 0,
            link: None,
            loopback: flags.contains(InterfaceFlags::IFF_LOOPBACK),
            multicast: up
                && flags.contains(InterfaceFlags::IFF_MULTICAST)
                && !flags.contains(InterfaceFlags::IFF_POINTOPOINT),
            name: entry.interface_name.clone(),
        });
        let Some(address) = entry.address else { continue };
        if let Some(link) = address.as_link_addr() {
            port.index = u32::try_from(link.ifindex()).unwrap_or(0);
            port.link = Some(*link);
        } else if let Some(ip) = ip_of(&address) {
            let prefix = entry.netmask.as_ref().and_then(ip_of).map_or(0, ones);
            port.addresses.push(Address { ip, prefix });
        }
    }
    Ok(ports.into_values().collect())
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
}

fn ones(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(v4) => v4.to_bits().count_ones(),
        IpAddr::V6(v6) => v6.to_bits().count_ones(),
    };
    u8::try_from(ones).unwrap_or(128)
}

/// What the kernel says of a port besides: is it a wire to a neighbour of its own? Not wireless, a bridge, a VLAN, or
/// the inner end of a container.
#[must_use]
pub fn is_wire(name: &str) -> bool {
    let dir = Path::new("/sys/class/net").join(name);
    let is = |file: &str| dir.join(file).exists();
    let text = |file: &str| std::fs::read_to_string(dir.join(file)).unwrap_or_default();
    let ethernet = text("type").trim() == "1";
    let kind = text("uevent");
    let kind = kind.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
    let plain = !matches!(kind, Some("bridge" | "vlan" | "wlan" | "bond" | "dummy"));
    let inner = !is("device") && is("brport");
    ethernet && plain && !is("wireless") && !is("phy80211") && !is("bridge") && !inner
}

/// True if the address storage is of a kind the kernel can send to; keeps an odd one out of `sendto`.
pub(crate) fn sendable(link: &LinkAddr) -> bool {
    link.ifindex() != 0 && link.len() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_port_is_found_with_its_addresses() {
        let ports = ports().expect("the kernel answers");
        let own = ports
            .iter()
            .find(|port| port.loopback)
            .expect("every machine has one");
        let first = Address {
            ip: IpAddr::from([127, 0, 0, 1]),
            prefix: 8,
        };
        assert!(own.addresses.contains(&first), "{own:?}");
        assert!(own.index > 0 && !is_wire(&own.name));
    }

    #[test]
    fn the_prefix_says_who_is_on_the_link() {
        let at = |ip: &str, prefix| Address {
            ip: ip.parse().expect("an address"),
            prefix,
        };
        for (address, other, reached) in [
            (at("192.0.2.7", 24), "192.0.2.200", true),
            (at("192.0.2.7", 24), "192.0.3.7", false),
            (at("192.0.2.7", 0), "8.8.8.8", true),
            (at("192.0.2.7", 32), "192.0.2.7", true),
            (at("192.0.2.7", 32), "192.0.2.6", false),
            (at("fe80::1", 64), "fe80::2", true),
            (at("2001:db8::1", 64), "fe80::2", false),
            (at("2001:db8::1", 128), "2001:db8::1", true),
            (at("::1", 0), "2001:db8::1", true),
            (at("192.0.2.7", 24), "fe80::2", false),
        ] {
            let other: IpAddr = other.parse().expect("an address");
            assert_eq!(address.reaches(other), reached, "{address} {other}");
        }
    }
}
