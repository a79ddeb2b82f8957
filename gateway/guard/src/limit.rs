//! How long a device may take, for the guard and for the sentinel alike.

use std::time::Duration;

use adapter_api::OutputDriver;

/// Longest time for claiming `channels`: `least`, or longer if the device confirms each of them.
pub(crate) fn claim_limit(least: Duration, driver: &dyn OutputDriver, channels: &[u16]) -> Duration {
    let each = u32::try_from(channels.len())
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    least.max(driver.patience().saturating_mul(each))
}
