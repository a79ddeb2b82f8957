//! The gateway's switch port against a real authenticator: hostapd with its own EAP server and with FreeRADIUS. Each test
//! has namespaces of its own, so that several run at once.

mod managers;
mod matrix;
mod recovery;
mod refusals;
mod trial;
mod unprivileged;
mod whole;

use std::time::Duration;

/// Ends a test in which something does not come. Everything that is waited for comes by itself, the slowest after 25 s;
/// nothing that is asserted depends on how much of the rest a busy machine needs.
const LIMIT: Duration = Duration::from_secs(60);

/// A duration in seconds.
const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
