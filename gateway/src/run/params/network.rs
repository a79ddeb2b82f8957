//! Settings of the port, and where the gateway is then.

use std::net::IpAddr;

use gateway_config::{Config, Ipv4Mode, Ipv6Mode, NetworkManager};
use gateway_network::ports::Address;
use gateway_network::settings::{Manager, Settings, V4, V6};

use crate::run::params::network_name;

/// What the port shall have, if the site file says anything of it, and whose files shall say it if it says that.
pub(crate) fn port_settings(config: &Config) -> Option<(Settings, Option<Manager>)> {
    let network = config.network.as_ref()?;
    let ipv4 = match (network.ipv4, network.address) {
        (Ipv4Mode::Static, Some(address)) => V4::Static {
            address: Address {
                ip: address.ip.into(),
                prefix: address.prefix,
            },
            gateway: network.gateway,
        },
        (Ipv4Mode::Dhcp, _) => V4::Dhcp,
        // a fixed one without address is refused with the file
        (Ipv4Mode::Off | Ipv4Mode::Static, _) => V4::Off,
    };
    let ipv6 = match (network.ipv6, network.address6) {
        (Ipv6Mode::Static, Some(address)) => V6::Static {
            address: Address {
                ip: address.ip.into(),
                prefix: address.prefix,
            },
            gateway: network.gateway6,
        },
        (Ipv6Mode::Auto, _) => V6::Auto,
        (Ipv6Mode::Off | Ipv6Mode::Static, _) => V6::Off,
    };
    let settings = Settings {
        dns: network.dns.clone(),
        ipv4,
        ipv6,
        ntp: network.ntp.iter().map(ToString::to_string).collect(),
        port: network.port.to_string(),
        vlan: network.vlan,
    };
    let manager = match network.manager {
        NetworkManager::Auto => None,
        NetworkManager::Ifupdown => Some(Manager::Ifupdown),
        NetworkManager::Networkd => Some(Manager::Networkd),
    };
    Some((settings, manager))
}

/// Where the page is when the machine has these addresses: by address, and by name where that is announced.
pub(crate) fn page_urls(config: &Config, addresses: &[IpAddr]) -> Vec<String> {
    let Some(http) = &config.http else { return vec![] };
    let scheme = if http.tls { "https" } else { "http" };
    let (listens, port) = (http.listen.ip(), http.listen.port());
    // 0.0.0.0 is every IPv4 address, [::] every address
    let served = |ip: &IpAddr| match listens {
        IpAddr::V4(v4) if v4.is_unspecified() => ip.is_ipv4(),
        IpAddr::V6(v6) if v6.is_unspecified() => true,
        one @ (IpAddr::V4(_) | IpAddr::V6(_)) => one == *ip,
    };
    let local = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let reached = addresses
        .iter()
        .filter(|ip| served(ip) && !ip.is_loopback() && !local(ip));
    let mut urls: Vec<String> = reached
        .map(|ip| format!("{scheme}://{}/", std::net::SocketAddr::new(*ip, port)))
        .collect();
    if config.announce.mdns && !listens.is_loopback() {
        urls.push(format!("{scheme}://{}.local:{port}/", network_name(config)));
    }
    urls
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_config::{SecretFiles, parse};

    use super::*;

    fn full() -> Config {
        let text = include_str!("../../../../config/examples/full.toml");
        let loaded = parse("site.toml", Path::new("."), text, SecretFiles::Untouched);
        loaded.unwrap_or_else(|faults| panic!("{faults}")).config
    }

    #[test]
    fn the_settings_are_those_of_the_file() {
        let (settings, manager) = port_settings(&full()).expect("there is a table");
        assert_eq!(manager, None);
        assert_eq!(settings.addressed(), "eth0.20");
        let address = |ip: &str| ip.parse::<IpAddr>().expect("an address");
        assert_eq!(
            settings.addresses(),
            [address("192.0.2.10"), address("2001:db8::10")]
        );
        assert_eq!(settings.ntp, ["ntp.example"]);
    }

    #[test]
    fn the_page_is_where_it_listens() {
        let mut config = full();
        let at = [
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([192, 0, 2, 10]),
            "2001:db8::10".parse().expect("an address"),
            "fe80::1".parse().expect("an address"),
        ];
        let mut urls = |listen: &str| {
            if let Some(http) = &mut config.http {
                http.listen = listen.parse().expect("an address");
            }
            page_urls(&config, &at).join(" ")
        };
        let name = "https://doorline-lilas.local:8443/";
        assert_eq!(urls("0.0.0.0:8443"), format!("https://192.0.2.10:8443/ {name}"));
        assert_eq!(
            urls("[::]:8443"),
            format!("https://192.0.2.10:8443/ https://[2001:db8::10]:8443/ {name}")
        );
        assert_eq!(
            urls("192.0.2.10:8443"),
            format!("https://192.0.2.10:8443/ {name}")
        );
        assert_eq!(urls("127.0.0.1:8443"), "");
    }
}
