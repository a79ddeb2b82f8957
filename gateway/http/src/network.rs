//! The machine's ports, names and clock, to be read: `doorline network` and `doorline time` change them, never a page.

use gateway_core::SiteView;
use gateway_network::{clock, ports, routes};
use http::StatusCode;
use serde::Serialize;
use warp::reply::Response;

use crate::app::App;
use crate::ask::{Ask, json};
use crate::problem::Problem;

/// Ports, names and clock of the machine, what the switch says, and relays that tell of it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Network<'a> {
    ports: Vec<Port>,
    /// Name servers that the machine asks.
    dns: Vec<String>,
    /// Name by mDNS; `null` while it does not answer to one.
    name: Option<String>,
    /// Is the switch told who hangs at its port?
    lldp: bool,
    /// 802.1X: the switch port that the gateway looks after; empty without one.
    dot1x: Vec<Access<'a>>,
    relays: Vec<Relay<'a>>,
    clock: Clock<'a>,
}

/// A port.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Port {
    name: String,
    /// The one by which the gateway is reached, as the site file says.
    main: bool,
    /// Is there somebody at the other end of the cable?
    link: bool,
    /// With the length of the prefix: `192.0.2.7/24`.
    addresses: Vec<String>,
    /// Default gateways.
    gateways: Vec<String>,
    /// The VLAN in which the gateway lives, at the port that has its address.
    vlan: Option<u16>,
}

/// What is true of the switch port.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Access<'a> {
    id: &'a str,
    /// Kind of its last event without `port.`: `authorized`, `carrier-lost`, …
    state: &'a str,
    /// What is wrong, and what to do.
    text: &'a str,
}

/// A relay that tells something and opens nothing.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Relay<'a> {
    id: &'a str,
    /// `network-fault`
    function: &'static str,
    active: bool,
    /// What there is to tell.
    text: &'a str,
}

/// The clock.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Clock<'a> {
    /// What it shows, RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    now: String,
    /// Time zone of the site.
    time_zone: &'a str,
    /// Does the gateway believe it?
    trusted: bool,
    /// Does a time service keep it right? `null` where the kernel does not tell.
    synchronised: Option<bool>,
    max_error_ms: Option<i64>,
}

/// Ports without the machine's talk with itself, names, and the clock. None of it belongs to a door.
pub(crate) fn network(app: &App, ask: &Ask) -> Result<Response, Problem> {
    ask.principal()?.need_all_doors()?;
    let found = ports::ports().unwrap_or_else(|error| {
        tracing::warn!(%error, "the ports of this machine cannot be read");
        Vec::new()
    });
    let names = &app.params.network;
    let ports = found.into_iter().filter(|port| !port.loopback).map(|port| {
        let main = names.port.as_deref() == Some(port.name.as_str());
        Port {
            main,
            link: port.carrier,
            addresses: port.addresses.iter().map(ToString::to_string).collect(),
            gateways: texts(routes::gateways(&port.name)),
            vlan: names.vlan.filter(|_| main),
            name: port.name,
        }
    });
    let view = app.view();
    let sync = clock::sync();
    let answer = Network {
        ports: ports.collect(),
        dns: texts(routes::name_servers()),
        name: names.name.now(),
        lldp: names.lldp,
        dot1x: access(&view),
        relays: relays(&view),
        clock: Clock {
            now: app.clock.wall().to_string(),
            time_zone: &names.time_zone,
            trusted: view.faults.iter().all(|fault| fault.part != "clock"),
            synchronised: sync.map(|sync| sync.synchronised),
            // rounded up: it is a bound
            max_error_ms: sync.map(|sync| sync.max_error_us.saturating_add(999) / 1000),
        },
    };
    json(StatusCode::OK, &answer)
}

fn texts(addresses: Vec<std::net::IpAddr>) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

fn access(view: &SiteView) -> Vec<Access<'_>> {
    let ports = view.ports.iter();
    ports
        .map(|port| Access {
            id: port.id.as_str(),
            state: &port.state,
            text: &port.text,
        })
        .collect()
}

fn relays(view: &SiteView) -> Vec<Relay<'_>> {
    let relays = view.relays.iter();
    relays
        .map(|relay| Relay {
            id: relay.id.as_str(),
            function: relay.function,
            active: relay.active,
            text: &relay.text,
        })
        .collect()
}
