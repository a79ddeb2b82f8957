//! Watches the port by which the gateway is reached: cable and address. It only reads, and tells the core.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway_config::{Config, RelayFunction};
use gateway_core::{Clock, DeviceId, NetworkState, Signal, SignalKind};
use gateway_network::ports::{self, Port};
use tokio::sync::{mpsc, watch};

use crate::run::params::{page_urls, port_settings};

/// How often the kernel is asked.
const LOOK: Duration = Duration::from_secs(1);

/// Watches until the core, or the sender of the site, is gone. `was_lost` is how the records of an earlier life have it.
pub(crate) async fn watch(
    mut site: watch::Receiver<Arc<Config>>,
    clock: Arc<dyn Clock>,
    signals: mpsc::Sender<Signal>,
    was_lost: bool,
) {
    let Ok(device) = DeviceId::new("network") else {
        return;
    };
    let mut told = was_lost.then(|| NetworkState {
        address: false,
        carrier: false,
        text: String::new(),
    });
    loop {
        let config = Arc::clone(&site.borrow_and_update());
        let state = match watched(&config) {
            // nobody asks for it: what was lost is no fault any more
            None => told.as_ref().map(|_| quiet()),
            Some(port) => match ports::ports() {
                Ok(found) => Some(judged(&found, port.as_deref(), |ips| page_urls(&config, ips))),
                Err(error) => {
                    tracing::warn!(%error, "the ports of this machine cannot be read");
                    None
                }
            },
        };
        if let Some(state) = state.filter(|state| told.as_ref() != Some(state)) {
            if state.is_there() {
                tracing::info!("{}", state.text);
            } else {
                tracing::warn!("{}", state.text);
            }
            let signal = Signal {
                at: clock.now(),
                device: device.clone(),
                kind: SignalKind::Network(state.clone()),
                simulated: false,
            };
            if signals.send(signal).await.is_err() {
                return;
            }
            told = Some(state);
        }
        if let Ok(Err(_)) = tokio::time::timeout(LOOK, site.changed()).await {
            return;
        }
    }
}

/// The port that is watched, or any; `None` if the site file asks for nothing that depends on it.
pub(crate) fn watched(config: &Config) -> Option<Option<String>> {
    match port_settings(config) {
        Some((settings, _)) => Some(Some(settings.addressed())),
        None if !config.relays.values().any(tells_loss) => None,
        None => Some(config.dot1x.as_ref().map(|dot1x| dot1x.interface.to_string())),
    }
}

fn tells_loss(relay: &gateway_config::Relay) -> bool {
    matches!(relay.function, RelayFunction::NetworkFault(_))
}

fn quiet() -> NetworkState {
    NetworkState {
        address: true,
        carrier: true,
        text: "the network is not watched any more".to_owned(),
    }
}

/// What is true of the port called `wanted`, or of all but the machine's talk with itself.
fn judged(found: &[Port], wanted: Option<&str>, urls: impl Fn(&[IpAddr]) -> Vec<String>) -> NetworkState {
    let ours: Vec<&Port> = found
        .iter()
        .filter(|port| wanted.map_or(!port.loopback, |name| port.name == name))
        .collect();
    let name = wanted.map_or_else(|| "any port".to_owned(), |name| format!("port {name}"));
    let carrier = ours.iter().any(|port| port.carrier);
    let addresses: Vec<String> = ours
        .iter()
        .flat_map(|port| &port.addresses)
        .filter(|address| reaches_out(address.ip))
        .map(ToString::to_string)
        .collect();
    let text = if ours.is_empty() {
        format!("{name} is not there: look at  ip link  and  doorline network show")
    } else if !carrier {
        format!("{name} has no link: look at the cable, and whether the switch is on")
    } else if addresses.is_empty() {
        format!("{name} has no address: look at the DHCP server, or  doorline network show")
    } else {
        let ips: Vec<IpAddr> = ours.iter().flat_map(|p| &p.addresses).map(|a| a.ip).collect();
        let pages = urls(&ips);
        let page = if pages.is_empty() {
            String::new()
        } else {
            format!("; the page is at {}", pages.join(" or "))
        };
        format!("the gateway is at {}{page}", addresses.join(", "))
    };
    NetworkState {
        address: !addresses.is_empty(),
        carrier,
        text,
    }
}

/// Others reach us by it: it holds not on the link only.
pub(crate) fn reaches_out(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_loopback(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use gateway_network::ports::Address;

    use super::*;

    fn port(name: &str, carrier: bool, addresses: &[&str]) -> Port {
        let address = |text: &&str| Address {
            ip: text.parse().expect("an address"),
            prefix: 24,
        };
        Port {
            addresses: addresses.iter().map(address).collect(),
            carrier,
            index: 2,
            link: None,
            loopback: name == "lo",
            multicast: true,
            name: name.to_owned(),
        }
    }

    fn told(found: &[Port], wanted: Option<&str>) -> (bool, bool, String) {
        let urls = |ips: &[IpAddr]| ips.iter().take(1).map(|ip| format!("https://{ip}/")).collect();
        let state = judged(found, wanted, urls);
        (state.carrier, state.address, state.text)
    }

    #[test]
    fn cable_and_address_of_the_port_are_told_apart_with_what_to_do() {
        let lo = port("lo", true, &["127.0.0.1"]);
        let eth = |carrier, addresses: &[&str]| [lo.clone(), port("eth0", carrier, addresses)];
        for (carrier, addresses, address, part) in [
            (
                true,
                &["192.0.2.7"][..],
                true,
                "the page is at https://192.0.2.7/",
            ),
            (true, &["fe80::1"], false, "no address"),
            (true, &["169.254.3.4"], false, "no address"),
            (true, &["fe80::1", "2001:db8::7"], true, "2001:db8::7/24"),
            (false, &["192.0.2.7"], true, "look at the cable"),
            (false, &[], false, "look at the cable"),
        ] {
            let (link, has, text) = told(&eth(carrier, addresses), Some("eth0"));
            assert_eq!((link, has), (carrier, address), "{text}");
            assert!(text.contains(part), "{text}");
        }
        let (link, has, text) = told(&eth(true, &["192.0.2.7"]), Some("eth0.20"));
        assert!(!link && !has && text.contains("eth0.20 is not there"), "{text}");
    }

    #[test]
    fn without_a_port_of_its_own_any_will_do_but_the_talk_with_itself() {
        let lo = port("lo", true, &["127.0.0.1"]);
        assert!(!told(std::slice::from_ref(&lo), None).0);
        let two = [lo, port("eth0", false, &[]), port("eth1", true, &["192.0.2.9"])];
        assert_eq!((told(&two, None).0, told(&two, None).1), (true, true));
    }

    #[tokio::test]
    async fn what_was_lost_and_is_watched_no_more_is_told_to_be_no_fault() {
        let text = include_str!("../../../config/examples/minimal.toml");
        let how = gateway_config::SecretFiles::Untouched;
        let loaded = gateway_config::parse("site.toml", std::path::Path::new("."), text, how);
        let config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
        assert!(watched(&config).is_none(), "it asks for nothing of the network");
        for (was_lost, words) in [(true, &["the network is not watched any more"][..]), (false, &[])] {
            let (site, site_now) = watch::channel(Arc::new(config.clone()));
            let (signals, mut told) = mpsc::channel(8);
            let clock: Arc<dyn Clock> = Arc::new(crate::clock::SystemClock);
            // it looks once before it notices that nobody has a site for it any more
            drop(site);
            watch(site_now, clock, signals, was_lost).await;
            let mut said = Vec::new();
            while let Some(signal) = told.recv().await {
                if let SignalKind::Network(state) = signal.kind {
                    assert!(state.is_there());
                    said.push(state.text);
                }
            }
            assert_eq!(said, words);
        }
    }
}
