//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use std::net::IpAddr;
use std::time::Duration;

use gateway_core::Instant;

use crate::mdns::{self, Output, Profile, Responder, Service};
use crate::ports::Address;
use crate::routes;

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 2] = [("mdns", packets), ("routes", tables)];

/// Packets of mDNS, each behind its length, to a responder that looks for its names and then has them.
///
/// # Panics
/// If what is sent cannot be read, or is much.
pub fn packets(data: &[u8]) {
    mdns::read_back(data);
    let own = Address {
        ip: IpAddr::from([192, 0, 2, 7]),
        prefix: 24,
    };
    let profile = Profile {
        host: "doorline-lilas".into(),
        instance: "12 rue des Lilas".into(),
        services: vec![Service {
            only: None,
            port: 8443,
            protocol: "_tcp",
            texts: vec!["path=/".into()],
            kind: "_https",
        }],
    };
    let mut now = Instant::from_nanos(1_000_000_000_000);
    let mut responder = Responder::new(now, &profile, &[own], &[own.ip], Duration::ZERO);
    let mut rest = data;
    while let Some(([control, len], more)) = rest.split_first_chunk() {
        let (packet, more) = more.split_at(usize::from(*len).min(more.len()));
        rest = more;
        let port = if control & 1 == 0 { 5353 } else { 40_000 };
        let from = if control & 2 == 0 {
            [192, 0, 2, 50]
        } else {
            [198, 51, 100, 1]
        };
        responder.handle_packet(now, packet, (IpAddr::from(from), port).into());
        now = now + Duration::from_millis(20 * u64::from(control >> 2));
        let mut sent = 0;
        for _ in 0..200 {
            let Some(due) = responder.poll_timeout().filter(|due| *due <= now) else {
                break;
            };
            responder.handle_timeout(due);
        }
        while let Some(output) = responder.poll_output() {
            if let Output::Send { bytes, .. } = output {
                assert!(mdns::read_back(&bytes), "we cannot be read");
                sent += 1;
            }
        }
        assert!(sent <= 64, "{sent} packets");
    }
}

/// Tables of the kernel, and the resolver's file.
///
/// # Panics
/// If there are more name servers than are shown.
pub fn tables(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = (
        routes::default_v4(&text, "eth0"),
        routes::default_v6(&text, "eth0"),
    );
    assert!(routes::servers(&text).len() <= routes::MOST);
}

#[cfg(test)]
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_survives_its_corpus() {
        super::replay::replay(&super::TARGETS);
    }
}
