//! Addresses of `[network]`.

use std::net::IpAddr;

use super::Check;
use crate::fault::FaultKind;
use crate::model::Network;
use crate::value::{Ipv4Mode, Ipv6Mode};

pub(super) fn check(check: &mut Check<'_>) {
    let Some(network) = check.config.network.clone() else {
        return;
    };
    let keys = [
        (
            "network.address",
            "network.gateway",
            network.ipv4 == Ipv4Mode::Static,
            "ipv4",
        ),
        (
            "network.address6",
            "network.gateway6",
            network.ipv6 == Ipv6Mode::Static,
            "ipv6",
        ),
    ];
    for (address, gateway, is_static, mode) in keys {
        let of = format!("network.{mode}");
        if is_static && !check.is_written(address) {
            let text = format!("\"static\" needs {address}");
            check.fault(FaultKind::Missing, &of, &[address], text, "add the address");
        }
        for at in [address, gateway] {
            if !is_static && check.is_written(at) {
                let text = format!("has no meaning unless {mode} = \"static\"");
                check.fault(
                    FaultKind::Conflict,
                    at,
                    &[&of],
                    text,
                    "remove it, or set it to static",
                );
            }
        }
    }
    if let (Some(address), Some(gateway)) = (network.address, network.gateway)
        && (!address.holds(gateway) || address.ip == gateway || !address.is_somebodys(gateway))
    {
        let text = if address.is_somebodys(gateway) {
            format!("{gateway} is no neighbour of {address}")
        } else {
            format!("{gateway} is the address of the network itself, or its broadcast, and no machine's")
        };
        let hint = "allowed: another address of the same network";
        check.fault(
            FaultKind::Conflict,
            "network.gateway",
            &["network.address"],
            text,
            hint,
        );
    }
    if let (Some(address), Some(gateway)) = (network.address6, network.gateway6)
        && (address.ip == gateway || !(address.holds(gateway) || gateway.is_unicast_link_local()))
    {
        let text = format!("{gateway} is no neighbour of {address}");
        let hint = "allowed: another address of the same network, or a link-local one";
        check.fault(
            FaultKind::Conflict,
            "network.gateway6",
            &["network.address6"],
            text,
            hint,
        );
    }
    name_servers(check, &network);
    other_port(check, &network);
    if network.ipv4 == Ipv4Mode::Off && network.ipv6 == Ipv6Mode::Off {
        let text = "\"off\", and ipv4 is off, too: nobody could reach the gateway".to_owned();
        check.fault(
            FaultKind::Conflict,
            "network.ipv6",
            &["network.ipv4"],
            text,
            "allowed: one of them",
        );
    }
    let listens = check.config.http.as_ref().map(|http| http.listen.ip());
    let mine = [
        network.address.map(|a| a.ip.into()),
        network.address6.map(|a| a.ip.into()),
    ];
    if let Some(ip) = listens.filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
        && network.ipv4 == Ipv4Mode::Static
        && !mine.contains(&Some(ip))
    {
        let text = format!("{ip} is not the address of [network]: the page could not listen there");
        let hint = "set listen to that address, or to 0.0.0.0 with the port";
        check.warn(FaultKind::Conflict, "http.listen", text, hint);
    }
}

/// Servers that nobody can be.
fn name_servers(check: &mut Check<'_>, network: &Network) {
    for (position, server) in network.dns.iter().enumerate() {
        let broadcast = matches!(server, IpAddr::V4(v4) if v4.is_broadcast());
        if server.is_unspecified() || server.is_multicast() || broadcast {
            let text = format!("{server} is no machine's address: nobody would answer");
            let hint = "allowed: the address of one name server";
            check.fault(
                FaultKind::Conflict,
                &format!("network.dns[{position}]"),
                &[],
                text,
                hint,
            );
        }
    }
}

/// The switch authenticates the port itself, whatever VLAN is on it, and it is one port.
fn other_port(check: &mut Check<'_>, network: &Network) {
    let Some(dot1x) = &check.config.dot1x else { return };
    let (interface, port) = (dot1x.interface.as_str(), network.port.as_str());
    if interface == port {
        return;
    }
    let at = "dot1x.interface";
    let vlan = network
        .vlan
        .is_some_and(|vlan| interface == format!("{port}.{vlan}") || interface == format!("vlan{vlan}"));
    if vlan {
        let text = format!(
            "{interface:?} is the VLAN on {port}: the switch lets the port in before it looks at tags"
        );
        let hint = format!("allowed: {port:?}");
        check.fault(
            FaultKind::Conflict,
            at,
            &["network.port", "network.vlan"],
            text,
            &hint,
        );
    } else {
        let text = format!("{interface:?} is another port than that of [network], {port:?}");
        let hint = "right only if the gateway is on two networks; else set both to one port";
        check.warn(FaultKind::Conflict, at, text, hint);
    }
}
