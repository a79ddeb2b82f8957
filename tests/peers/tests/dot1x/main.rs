//! The gateway's switch port against a real authenticator: hostapd with its own EAP server and with FreeRADIUS. Each test
//! has namespaces of its own, so that several run at once.

mod matrix;
mod recovery;
mod refusals;
mod whole;

use std::time::Duration;

/// A duration in seconds.
const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
