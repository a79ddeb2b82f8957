//! Ports of the machine, and addresses with their network.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::describe::words;
use crate::rules::FromText;

/// The kernel's name of a network port: 1 to 15 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortName(String);

impl PortName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for PortName {
    const WHAT: &'static str = "a network port";
    // a name goes into files of other programs: only what none of them reads as anything else
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9][A-Za-z0-9_-]{0,14}$");
    fn from_text(text: &str) -> Result<Self, String> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if first && text.len() <= 15 && text.bytes().all(inner) && text != "lo" {
            Ok(Self(text.to_owned()))
        } else {
            Err("the name of an Ethernet port, such as eth0 or enp1s0".to_owned())
        }
    }
}

/// An IPv4 address of a machine with the length of its network's prefix (RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr4 {
    /// The address.
    pub ip: Ipv4Addr,
    /// Bits of the network, 1 to 32.
    pub prefix: u8,
}

impl Cidr4 {
    /// True if `other` is in the same network.
    #[must_use]
    pub fn holds(&self, other: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
        (self.ip.to_bits() ^ other.to_bits()) & mask == 0
    }

    /// True if a machine of a network of this size can have `ip`: the network's own address and its broadcast are nobody's
    /// (RFC 1122 §3.2.1.3); a link of two has none (RFC 3021).
    #[must_use]
    pub fn is_somebodys(&self, ip: Ipv4Addr) -> bool {
        let rest = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
        let host = ip.to_bits() & rest;
        self.prefix >= 31 || (host != 0 && host != rest)
    }
}

impl fmt::Display for Cidr4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

impl FromText for Cidr4 {
    const WHAT: &'static str = "an IPv4 address with prefix";
    fn from_text(text: &str) -> Result<Self, String> {
        let allowed = || "the address of one machine and its prefix, such as 192.0.2.7/24".to_owned();
        let (ip, prefix) = text.split_once('/').ok_or_else(allowed)?;
        let ip: Ipv4Addr = ip.parse().map_err(|_| allowed())?;
        let prefix: u8 = decimal(prefix)
            .filter(|n| (1..=32).contains(n))
            .ok_or_else(allowed)?;
        let found = Self { ip, prefix };
        if !found.is_somebodys(ip)
            || ip.is_unspecified()
            || ip.is_loopback()
            || ip.is_multicast()
            || ip.is_broadcast()
        {
            return Err(allowed());
        }
        Ok(found)
    }
}

/// An IPv6 address of a machine with the length of its network's prefix (RFC 4291 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr6 {
    /// The address.
    pub ip: Ipv6Addr,
    /// Bits of the network, 1 to 128.
    pub prefix: u8,
}

impl Cidr6 {
    /// True if `other` is in the same network.
    #[must_use]
    pub fn holds(&self, other: Ipv6Addr) -> bool {
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        (self.ip.to_bits() ^ other.to_bits()) & mask == 0
    }
}

impl fmt::Display for Cidr6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

impl FromText for Cidr6 {
    const WHAT: &'static str = "an IPv6 address with prefix";
    fn from_text(text: &str) -> Result<Self, String> {
        let allowed = || "the address of one machine and its prefix, such as 2001:db8::7/64".to_owned();
        let (ip, prefix) = text.split_once('/').ok_or_else(allowed)?;
        let ip: Ipv6Addr = ip.parse().map_err(|_| allowed())?;
        let prefix: u8 = decimal(prefix)
            .filter(|n| (1..=128).contains(n))
            .ok_or_else(allowed)?;
        // the address of the network itself is every router's (RFC 4291 §2.6.1); a link of two has none (RFC 6164)
        let rest = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        let routers = prefix < 127 && ip.to_bits() & rest == 0;
        if routers
            || ip.is_unspecified()
            || ip.is_loopback()
            || ip.is_multicast()
            || ip.to_ipv4_mapped().is_some()
        {
            return Err(allowed());
        }
        Ok(Self { ip, prefix })
    }
}

fn decimal(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && text.len() <= 3;
    digits.then(|| text.parse().ok())?
}

words! {
    /// Where an IPv4 address comes from.
    pub enum Ipv4Mode {
        /// From a server (RFC 2131).
        Dhcp = "dhcp",
        /// There is none.
        Off = "off",
        /// From `address`.
        Static = "static",
    }
}

words! {
    /// Where an IPv6 address comes from.
    pub enum Ipv6Mode {
        /// From the router's announcements, and from a server where they say so (RFC 4862, RFC 8415).
        Auto = "auto",
        /// There is none, not even on the link.
        Off = "off",
        /// From `address6`.
        Static = "static",
    }
}

words! {
    /// Whose files carry the settings of the network.
    pub enum NetworkManager {
        /// systemd-networkd where it runs, else ifupdown where it is installed.
        Auto = "auto",
        /// Debian's ifupdown: `/etc/network/interfaces.d/doorline`.
        Ifupdown = "ifupdown",
        /// systemd-networkd: `/etc/systemd/network/10-doorline*`.
        Networkd = "networkd",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_one_machine() {
        for good in [
            "192.0.2.7/24",
            "10.0.0.1/8",
            "192.0.2.0/31",
            "192.0.2.255/32",
            "10.0.255.255/8",
        ] {
            assert_eq!(Cidr4::from_text(good).map(|c| c.to_string()).as_deref(), Ok(good));
        }
        for bad in [
            "192.0.2.7",
            "192.0.2.0/24",
            "192.0.2.255/24",
            "192.0.2.7/33",
            "192.0.2.7/0",
            "192.0.2.7/+8",
            "192.0.2.7/ 8",
            "0.0.0.0/8",
            "127.0.0.1/8",
            "224.0.0.1/4",
            "x/24",
            "",
        ] {
            assert!(Cidr4::from_text(bad).is_err(), "{bad}");
        }
        for bad in [
            "2001:db8::7",
            "::/64",
            "::1/128",
            "ff02::1/64",
            "2001:db8::7/129",
            "2001:db8::/64",
            "::ffff:192.0.2.1/96",
        ] {
            assert!(Cidr6::from_text(bad).is_err(), "{bad}");
        }
        for good in ["2001:db8::/127", "2001:db8::/128", "2001:db8:0:1::1/64"] {
            assert_eq!(Cidr6::from_text(good).map(|c| c.to_string()).as_deref(), Ok(good));
        }
        assert!(
            Cidr6::from_text("2001:db8::7/64")
                .is_ok_and(|c| c.holds("2001:db8::1".parse().expect("an address")))
        );
        assert!(Cidr4::from_text("192.0.2.7/24").is_ok_and(|c| !c.holds(Ipv4Addr::new(192, 0, 3, 1))));
    }

    #[test]
    fn a_port_is_named_without_anything_another_program_could_read() {
        for good in ["eth0", "enp1s0", "end0", "enxb827eb000000"] {
            assert!(PortName::from_text(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "lo",
            "eth0.20",
            "eth0:1",
            "eth 0",
            "eth0\n",
            "-eth0",
            "e*",
            "../x",
            "enxb827eb0000001",
        ] {
            assert!(PortName::from_text(bad).is_err(), "{bad}");
        }
    }
}
