//! Where the machine sends what is for others, and whom it asks for names: as the kernel and the resolver's file have it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The resolver's file, and the one in which systemd-resolved names whom it asks itself.
const RESOLVER: &str = "/etc/resolv.conf";
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
/// Where systemd-resolved listens (`systemd-resolved.service(8)`).
const STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
/// More name servers than a resolver asks are not shown.
pub(crate) const MOST: usize = 8;

/// Default gateways of a port, IPv4 first; empty if the kernel has none, or does not tell.
#[must_use]
pub fn gateways(port: &str) -> Vec<IpAddr> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let v4 = default_v4(&read("/proc/self/net/route"), port).map(IpAddr::from);
    let v6 = default_v6(&read("/proc/self/net/ipv6_route"), port).map(IpAddr::from);
    v4.into_iter().chain(v6).collect()
}

/// The name servers that this machine asks, at most 8.
#[must_use]
pub fn name_servers() -> Vec<IpAddr> {
    let read = |path: &str| servers(&fs::read_to_string(path).unwrap_or_default());
    let found = read(RESOLVER);
    let behind = if found.contains(&STUB) {
        read(RESOLVED)
    } else {
        vec![]
    };
    if behind.is_empty() { found } else { behind }
}

/// `nameserver` lines (`resolv.conf(5)`).
pub(crate) fn servers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let address = line.trim().strip_prefix("nameserver")?.trim();
        // fe80::1%eth0: the port is told elsewhere
        address.split('%').next()?.parse().ok()
    };
    text.lines().filter_map(server).take(MOST).collect()
}

/// The IPv4 default gateway of a port, from the kernel's table: addresses are hexadecimal, in the machine's byte order.
pub(crate) fn default_v4(table: &str, port: &str) -> Option<Ipv4Addr> {
    table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, destination, gateway, ..] = words.as_slice() else {
            return None;
        };
        let bits = u32::from_str_radix(gateway, 16).ok()?;
        let found = *name == port && *destination == "00000000" && bits != 0;
        found.then(|| Ipv4Addr::from(bits.to_ne_bytes()))
    })
}

/// The IPv6 default gateway of a port: destination, prefix, source, prefix, next hop, …, port.
pub(crate) fn default_v6(table: &str, port: &str) -> Option<Ipv6Addr> {
    table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [destination, "00", _, _, hop, _, _, _, _, name] = words.as_slice() else {
            return None;
        };
        let zero = |text: &str| text.bytes().all(|b| b == b'0');
        let found = *name == port && zero(destination) && !zero(hop);
        let bits = u128::from_str_radix(hop, 16).ok()?;
        found.then(|| Ipv6Addr::from_bits(bits))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_gateway_of_a_port_is_read() {
        let table = "Iface\tDestination\tGateway \tFlags\n\
                     eth1\t00000000\t0100A8C0\t0003\neth0\t000200C0\t00000000\t0001\neth0\t00000000\t010200C0\t0003\n";
        // the table is in the machine's byte order
        let expected = Ipv4Addr::from(0x0102_00C0_u32.to_ne_bytes());
        assert_eq!(default_v4(table, "eth0"), Some(expected));
        assert_eq!(default_v4(table, "eth2"), None);
    }

    #[test]
    fn the_ipv6_default_gateway_of_a_port_is_read() {
        let zero = "0".repeat(32);
        let hop = format!("fe80{}1", "0".repeat(27));
        let line = |prefix: &str, hop: &str, port: &str| {
            format!("{zero} {prefix} {zero} 00 {hop} 00000400 00000001 00000000 00000003     {port}\n")
        };
        let table = line("00", &zero, "lo") + &line("40", &hop, "eth0") + &line("00", &hop, "eth0");
        assert_eq!(default_v6(&table, "eth0"), "fe80::1".parse().ok());
        assert_eq!(default_v6(&table, "lo"), None);
        assert_eq!(default_v6("nonsense\n", "eth0"), None);
    }

    #[test]
    fn name_servers_are_read_and_all_else_is_passed_over() {
        let text = "# made by hand\nsearch example\nnameserver 192.0.2.53\n nameserver\t2001:db8::53\nnameserver fe80::1%eth0\n\
                    nameserver nobody\noptions edns0\n";
        let found: Vec<String> = servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.53", "2001:db8::53", "fe80::1"]);
        assert_eq!(servers(&"nameserver 192.0.2.1\n".repeat(20)).len(), MOST);
    }
}
