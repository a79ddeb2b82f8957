//! Texts for systemd-networkd (systemd.network(5), systemd.netdev(5)).

use super::{Settings, V4, V6};

pub(super) const PORT: &str = "/etc/systemd/network/10-doorline-port.network";
pub(super) const VLAN: &str = "/etc/systemd/network/10-doorline-vlan.network";
pub(super) const NETDEV: &str = "/etc/systemd/network/10-doorline-vlan.netdev";

/// Paths and texts; the device before what uses it.
pub(super) fn texts(settings: &Settings) -> Vec<(&'static str, String)> {
    let addressed = settings.addressed();
    let Some(vlan) = settings.vlan else {
        return vec![(PORT, network(settings, &addressed))];
    };
    let port = &settings.port;
    vec![
        (
            NETDEV,
            format!("[NetDev]\nName={addressed}\nKind=vlan\n\n[VLAN]\nId={vlan}\n"),
        ),
        (
            PORT,
            // the port itself only carries the tagged frames
            format!(
                "[Match]\nName={port}\n\n[Network]\nVLAN={addressed}\nDHCP=no\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
            ),
        ),
        (VLAN, network(settings, &addressed)),
    ]
}

fn network(settings: &Settings, name: &str) -> String {
    let dhcp = if settings.ipv4 == V4::Dhcp { "ipv4" } else { "no" };
    // without a link-local address and anything else of IPv6, networkd switches it off at the port
    let local = if settings.ipv6 == V6::Off { "no" } else { "ipv6" };
    // with router announcements comes the DHCPv6 client where they ask for it
    let router = if settings.ipv6 == V6::Auto { "yes" } else { "no" };
    let mut text = format!(
        "[Match]\nName={name}\n\n[Network]\nDHCP={dhcp}\nLinkLocalAddressing={local}\nIPv6AcceptRA={router}\n"
    );
    if let V4::Static { address, gateway } = &settings.ipv4 {
        text += &format!("Address={address}\n");
        if let Some(gateway) = gateway {
            text += &format!("Gateway={gateway}\n");
        }
    }
    if let V6::Static { address, gateway } = &settings.ipv6 {
        text += &format!("Address={address}\n");
        if let Some(gateway) = gateway {
            text += &format!("Gateway={gateway}\n");
        }
    }
    for server in &settings.dns {
        text += &format!("DNS={server}\n");
    }
    for server in &settings.ntp {
        text += &format!("NTP={server}\n");
    }
    text
}
