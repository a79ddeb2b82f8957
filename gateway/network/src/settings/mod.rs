//! Address of the port by which the gateway is reached, as files of the machine's own network manager.
//!
//! [`Settings::files`] is pure: settings in, texts out. [`owner`] finds out who manages the port and what stands in the
//! way; [`change`] puts the files in place and takes them back unless somebody confirms. The gateway fights no manager:
//! it writes files of its own names for the one that is there, and refuses where another has the port.

pub mod change;
mod error;
mod glob;
mod ifupdown;
mod interfaces;
mod networkd;
pub mod owner;
pub mod programs;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use crate::ports::Address;

/// Whose files carry the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manager {
    /// Debian's ifupdown.
    Ifupdown,
    /// systemd-networkd.
    Networkd,
}

impl Manager {
    /// Its name, for people and for the note of a change.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ifupdown => "ifupdown",
            Self::Networkd => "systemd-networkd",
        }
    }
}

/// Where the IPv4 address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum V4 {
    /// From a server.
    Dhcp,
    /// There is none.
    Off,
    /// Given.
    Static {
        /// Address with prefix.
        address: Address,
        /// Gateway in the same network.
        gateway: Option<Ipv4Addr>,
    },
}

/// Where the IPv6 address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum V6 {
    /// From the router.
    Auto,
    /// There is none, not even on the link.
    Off,
    /// Given.
    Static {
        /// Address with prefix.
        address: Address,
        /// Gateway in the same network, or link-local.
        gateway: Option<Ipv6Addr>,
    },
}

/// What the port shall have. Names are those of the site file, which lets no others in than fit the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// IPv4.
    pub ipv4: V4,
    /// IPv6.
    pub ipv6: V6,
    /// Time servers.
    pub ntp: Vec<String>,
    /// The Ethernet port.
    pub port: String,
    /// VLAN, 1 to 4094.
    pub vlan: Option<u16>,
}

/// A file of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

/// First line of every file of ours.
const HEAD: &str = "# Written by doorline network apply from the site file; changes here are overwritten.\n";

/// Every file that is ours, whether it is there or not.
#[must_use]
pub fn own_paths() -> [&'static Path; 4] {
    [
        networkd::PORT.as_ref(),
        networkd::VLAN.as_ref(),
        networkd::NETDEV.as_ref(),
        ifupdown::FILE.as_ref(),
    ]
}

impl Settings {
    /// The texts for a manager.
    #[must_use]
    pub fn files(&self, manager: Manager) -> Vec<File> {
        let files = match manager {
            Manager::Ifupdown => vec![(ifupdown::FILE, ifupdown::text(self))],
            Manager::Networkd => networkd::texts(self),
        };
        let file = |(path, text): (&str, String)| File {
            path: path.into(),
            text: format!("{HEAD}{text}"),
        };
        files.into_iter().map(file).collect()
    }

    /// The port that has the address: the VLAN's if there is one.
    #[must_use]
    pub fn addressed(&self) -> String {
        match self.vlan {
            None => self.port.clone(),
            Some(vlan) => {
                let name = format!("{}.{vlan}", self.port);
                // the kernel's names have at most 15 characters
                if name.len() <= 15 {
                    name
                } else {
                    format!("vlan{vlan}")
                }
            }
        }
    }

    /// Addresses that are known before the change, without prefix.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut found = Vec::new();
        if let V4::Static { address, .. } = &self.ipv4 {
            found.push(address.ip);
        }
        if let V6::Static { address, .. } = &self.ipv6 {
            found.push(address.ip);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn fixed() -> Settings {
        Settings {
            dns: vec![
                IpAddr::from([192, 0, 2, 53]),
                "2001:db8::53".parse().expect("an address"),
            ],
            ipv4: V4::Static {
                address: Address {
                    ip: IpAddr::from([192, 0, 2, 10]),
                    prefix: 24,
                },
                gateway: Some(Ipv4Addr::new(192, 0, 2, 1)),
            },
            ipv6: V6::Static {
                address: Address {
                    ip: "2001:db8::10".parse().expect("an address"),
                    prefix: 64,
                },
                gateway: Some("fe80::1".parse().expect("an address")),
            },
            ntp: vec!["ntp.example".into()],
            port: "eth0".into(),
            vlan: None,
        }
    }

    pub(super) fn dynamic() -> Settings {
        Settings {
            dns: vec![],
            ipv4: V4::Dhcp,
            ipv6: V6::Auto,
            ntp: vec![],
            ..fixed()
        }
    }

    /// Every file with its path, as one text.
    fn shown(settings: &Settings, manager: Manager) -> String {
        let files = settings.files(manager).into_iter();
        let texts = files.map(|file| {
            let text = file
                .text
                .strip_prefix(HEAD)
                .expect("every file says whose it is")
                .to_owned();
            assert!(own_paths().contains(&file.path.as_path()));
            format!("-- {}\n{text}", file.path.display())
        });
        texts.collect::<Vec<_>>().concat()
    }

    #[test]
    fn networkd_gets_a_fixed_address() {
        let expected = "\
-- /etc/systemd/network/10-doorline-port.network
[Match]
Name=eth0

[Network]
DHCP=no
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
Address=192.0.2.10/24
Gateway=192.0.2.1
Address=2001:db8::10/64
Gateway=fe80::1
DNS=192.0.2.53
DNS=2001:db8::53
NTP=ntp.example
";
        assert_eq!(shown(&fixed(), Manager::Networkd), expected);
    }

    #[test]
    fn networkd_gets_an_address_from_servers_in_a_vlan() {
        let settings = Settings {
            vlan: Some(20),
            ..dynamic()
        };
        let expected = "\
-- /etc/systemd/network/10-doorline-vlan.netdev
[NetDev]
Name=eth0.20
Kind=vlan

[VLAN]
Id=20
-- /etc/systemd/network/10-doorline-port.network
[Match]
Name=eth0

[Network]
VLAN=eth0.20
DHCP=no
LinkLocalAddressing=no
IPv6AcceptRA=no
-- /etc/systemd/network/10-doorline-vlan.network
[Match]
Name=eth0.20

[Network]
DHCP=ipv4
LinkLocalAddressing=ipv6
IPv6AcceptRA=yes
";
        assert_eq!(shown(&settings, Manager::Networkd), expected);
        assert_eq!(settings.addressed(), "eth0.20");
        let long = Settings {
            port: "enxb827eb00000".into(),
            ..settings
        };
        assert_eq!(long.addressed(), "vlan20");
    }

    #[test]
    fn networkd_switches_ipv6_off() {
        let settings = Settings {
            ipv6: V6::Off,
            ..dynamic()
        };
        let text = shown(&settings, Manager::Networkd);
        assert!(
            text.ends_with("DHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"),
            "{text}"
        );
        let only_six = Settings {
            ipv4: V4::Off,
            ..dynamic()
        };
        assert!(shown(&only_six, Manager::Networkd).contains("DHCP=no\n"));
    }

    #[test]
    fn ifupdown_gets_a_fixed_address() {
        let expected = "\
-- /etc/network/interfaces.d/doorline
auto eth0
iface eth0 inet static
    pre-up echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6 || true
    address 192.0.2.10/24
    gateway 192.0.2.1
    dns-nameservers 192.0.2.53 2001:db8::53
iface eth0 inet6 static
    accept_ra 0
    address 2001:db8::10/64
    gateway fe80::1
";
        assert_eq!(shown(&fixed(), Manager::Ifupdown), expected);
    }

    #[test]
    fn ifupdown_gets_an_address_from_a_server_in_a_vlan_without_ipv6() {
        let settings = Settings {
            ipv6: V6::Off,
            vlan: Some(20),
            ..dynamic()
        };
        let expected = "\
-- /etc/network/interfaces.d/doorline
auto eth0.20
iface eth0.20 inet dhcp
    pre-up ip link set dev eth0 up
    pre-up ip link show dev eth0.20 > /dev/null 2>&1 || ip link add link eth0 name eth0.20 type vlan id 20
    post-down ip link delete dev eth0.20 || true
    pre-up echo 1 > /proc/sys/net/ipv6/conf/eth0.20/disable_ipv6 || true
";
        assert_eq!(shown(&settings, Manager::Ifupdown), expected);
    }

    #[test]
    fn ifupdown_gets_an_address_from_the_router_only() {
        let settings = Settings {
            ipv4: V4::Off,
            ..dynamic()
        };
        let expected = "\
-- /etc/network/interfaces.d/doorline
auto eth0
iface eth0 inet manual
    pre-up echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6 || true
    up ip link set dev eth0 up
iface eth0 inet6 auto
";
        assert_eq!(shown(&settings, Manager::Ifupdown), expected);
    }
}
