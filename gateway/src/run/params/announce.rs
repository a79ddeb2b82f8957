//! What the gateway tells its neighbours on the network.

use std::net::IpAddr;

use gateway_config::Config;
use gateway_network::mdns::{Profile, Service};

/// Name of the gateway on its network, one label.
pub(crate) fn network_name(config: &Config) -> String {
    match &config.announce.name {
        Some(name) => name.as_str().to_owned(),
        None => {
            // the short name of a site may have what a host name may not
            let id = config.site.id.to_string().replace('_', "-");
            format!("doorline-{}", id.trim_matches('-'))
        }
    }
}

/// What is announced by mDNS; `None` if it is off, or nothing can be reached from elsewhere. `page` is where the page
/// listens.
pub(crate) fn announced(config: &Config, page: Option<std::net::SocketAddr>) -> Option<Profile> {
    let mut services = Vec::new();
    let only = |ip: IpAddr| (!ip.is_unspecified()).then_some(ip);
    if let (Some(http), Some(page)) = (&config.http, page.filter(|at| !at.ip().is_loopback())) {
        services.push(Service {
            only: only(page.ip()),
            port: page.port(),
            protocol: "_tcp",
            texts: vec!["path=/".to_owned()],
            kind: if http.tls { "_https" } else { "_http" },
        });
    }
    let sip = &config.sip;
    let ports = [
        ("_sip", "_udp", sip.udp_port),
        ("_sip", "_tcp", sip.tcp_port),
        ("_sips", "_tcp", sip.tls_port),
    ];
    for (kind, protocol, port) in ports {
        if port != 0 && !sip.bind.is_loopback() {
            services.push(Service {
                only: only(sip.bind),
                port,
                protocol,
                texts: vec![],
                kind,
            });
        }
    }
    (config.announce.mdns && !services.is_empty()).then(|| Profile {
        host: network_name(config),
        instance: label(&config.site.name),
        services,
    })
}

/// A name for people as one label: at most 63 bytes, whole characters (RFC 6763 §4.1.1).
fn label(name: &str) -> String {
    let end = (0..=63.min(name.len())).rev().find(|n| name.is_char_boundary(*n));
    name[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_config::{SecretFiles, parse};

    use super::*;

    const GOOD: &str = include_str!("../../../../config/testdata/good.toml");

    fn read(text: &str) -> Config {
        let loaded = parse("site.toml", Path::new("."), text, SecretFiles::Untouched);
        loaded.unwrap_or_else(|faults| panic!("{faults}")).config
    }

    /// `_sip._udp:5060` for each service.
    fn shown(config: &Config, page: &str) -> Option<Vec<String>> {
        let profile = announced(config, Some(page.parse().expect("an address")))?;
        let services = profile.services.iter();
        Some(
            services
                .map(|s| format!("{}.{}:{}", s.kind, s.protocol, s.port))
                .collect(),
        )
    }

    #[test]
    fn what_listens_on_loopback_only_is_not_announced() {
        let good = read(GOOD);
        let sip = ["_sip._udp:5060", "_sip._tcp:5060"].map(str::to_owned).to_vec();
        assert_eq!(shown(&good, "127.0.0.1:8080"), Some(sip.clone()));
        let page = [vec!["_http._tcp:8443".to_owned()], sip].concat();
        assert_eq!(shown(&good, "0.0.0.0:8443"), Some(page));
        let closed = read(&GOOD.replace("udp-port = 5060", "udp-port = 5060\nbind = \"127.0.0.1\""));
        assert_eq!(shown(&closed, "[::1]:8080"), None);
        let off = read(&format!("{GOOD}\n[announce]\nmdns = false\n"));
        assert_eq!(shown(&off, "0.0.0.0:8443"), None);
    }

    #[test]
    fn the_name_comes_from_the_site_unless_it_is_given() {
        let name = |text: &str| network_name(&read(text));
        assert_eq!(name(GOOD), "doorline-lilas");
        assert_eq!(
            name(&GOOD.replace("id = \"lilas\"", "id = \"les_lilas-\"")),
            "doorline-les-lilas"
        );
        assert_eq!(name(&format!("{GOOD}\n[announce]\nname = \"front\"\n")), "front");
        assert_eq!(label(&"é".repeat(60)).len(), 62);
    }
}
