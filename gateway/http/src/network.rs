//! The machine's ports and clock, to be read: `doorline network` and `doorline time` change them, never a page.

use gateway_network::{clock, ports};
use http::StatusCode;
use serde::Serialize;
use warp::reply::Response;

use crate::dispatch::json;
use crate::problem::Problem;

/// Ports and clock of the machine.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Network {
    ports: Vec<Port>,
    clock: Clock,
}

/// A port.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Port {
    name: String,
    /// Is there somebody at the other end of the cable?
    link: bool,
    /// With the length of the prefix: `192.0.2.7/24`.
    addresses: Vec<String>,
}

/// The clock.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Clock {
    /// Does a time service keep it right? `null` where the kernel does not tell.
    synchronised: Option<bool>,
    max_error_ms: Option<i64>,
}

/// Ports without the machine's talk with itself, and the clock.
pub(crate) fn network() -> Result<Response, Problem> {
    let found = ports::ports().unwrap_or_else(|error| {
        tracing::warn!(%error, "the ports of this machine cannot be read");
        Vec::new()
    });
    let ports = found.into_iter().filter(|port| !port.loopback).map(|port| Port {
        name: port.name,
        link: port.carrier,
        addresses: port.addresses.iter().map(ToString::to_string).collect(),
    });
    let sync = clock::sync();
    let answer = Network {
        ports: ports.collect(),
        clock: Clock {
            synchronised: sync.map(|sync| sync.synchronised),
            // rounded up: it is a bound
            max_error_ms: sync.map(|sync| sync.max_error_us.saturating_add(999) / 1000),
        },
    };
    json(StatusCode::OK, &answer)
}
