//! Text for Debian's ifupdown (interfaces(5)).

use super::{Settings, V4, V6};

pub(super) const FILE: &str = "/etc/network/interfaces.d/doorline";

pub(super) fn text(settings: &Settings) -> String {
    let name = settings.addressed();
    let method = match settings.ipv4 {
        V4::Dhcp => "dhcp",
        V4::Off => "manual",
        V4::Static { .. } => "static",
    };
    let mut text = format!("auto {name}\niface {name} inet {method}\n");
    if let Some(vlan) = settings.vlan {
        let port = &settings.port;
        text += &format!(
            "    pre-up ip link set dev {port} up\n    \
             pre-up ip link show dev {name} > /dev/null 2>&1 || ip link add link {port} name {name} type vlan id {vlan}\n    \
             post-down ip link delete dev {name} || true\n"
        );
    }
    // said either way: it may have been the other before
    let off = u8::from(settings.ipv6 == V6::Off);
    text += &format!("    pre-up echo {off} > /proc/sys/net/ipv6/conf/{name}/disable_ipv6 || true\n");
    match &settings.ipv4 {
        V4::Dhcp => {}
        V4::Off => text += &format!("    up ip link set dev {name} up\n"),
        V4::Static { address, gateway } => {
            text += &format!("    address {address}\n");
            if let Some(gateway) = gateway {
                text += &format!("    gateway {gateway}\n");
            }
        }
    }
    if !settings.dns.is_empty() {
        let servers: Vec<String> = settings.dns.iter().map(ToString::to_string).collect();
        text += &format!("    dns-nameservers {}\n", servers.join(" "));
    }
    match &settings.ipv6 {
        V6::Auto => text += &format!("iface {name} inet6 auto\n"),
        V6::Off => {}
        V6::Static { address, gateway } => {
            text += &format!("iface {name} inet6 static\n    accept_ra 0\n    address {address}\n");
            if let Some(gateway) = gateway {
                text += &format!("    gateway {gateway}\n");
            }
        }
    }
    text
}
