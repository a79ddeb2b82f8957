//! Which MQTT is tried. Pure.
//!
//! A broker that does not speak MQTT 5 says so (CONNACK with 0x84, or with return code 1 as one of 3.1.1 does) or closes
//! the connection. Then 3.1.1 is tried at once. Who said so is asked for 5 again after an hour, at the next reconnect; one
//! that only closed the connection may have had another reason, and is asked at the next one.

use std::time::Duration;

use gateway_core::Instant;

use crate::Spoken;

/// So long a broker is believed that it does not speak MQTT 5.
const BELIEVED: Duration = Duration::from_secs(3600);

/// Which version of MQTT is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttVersion {
    /// 5, and 3.1.1 with a broker that does not take it.
    Auto,
    /// 3.1.1.
    V3,
    /// 5.
    V5,
}

/// Does a failure say that the broker does not speak the version of MQTT that was tried?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherVersion {
    /// It says so.
    Asked,
    /// It has nothing to do with that.
    No,
    /// It closed the connection, was silent or answered what cannot be read, as old brokers do.
    Perhaps,
}

/// What is known of the broker.
#[derive(Debug, Default)]
pub struct Versions {
    /// Until then it is not asked for MQTT 5.
    old_until: Option<Instant>,
    /// The next connection only.
    once: bool,
}

impl Versions {
    /// What is tried next.
    #[must_use]
    pub fn next(&self, now: Instant, wanted: MqttVersion) -> Spoken {
        let is_old = self.once || self.old_until.is_some_and(|until| now < until);
        match wanted {
            MqttVersion::Auto if is_old => Spoken::V3,
            MqttVersion::Auto | MqttVersion::V5 => Spoken::V5,
            MqttVersion::V3 => Spoken::V3,
        }
    }

    /// A connection ended; true if the other version is to be tried at once.
    pub fn ended(&mut self, now: Instant, wanted: MqttVersion, tried: Spoken, other: OtherVersion) -> bool {
        self.once = false;
        match (wanted, tried, other) {
            (MqttVersion::Auto, Spoken::V5, OtherVersion::Asked) => {
                self.old_until = Some(now + BELIEVED);
                true
            }
            (MqttVersion::Auto, Spoken::V5, OtherVersion::Perhaps) => {
                self.once = true;
                true
            }
            (_, Spoken::V3, OtherVersion::Asked) => {
                self.old_until = None;
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MqttVersion::Auto;

    const T0: Instant = Instant::from_nanos(1_000_000_000);

    #[test]
    fn a_broker_that_says_so_is_old_for_an_hour() {
        let mut versions = Versions::default();
        assert_eq!(versions.next(T0, Auto), Spoken::V5);
        assert!(versions.ended(T0, Auto, Spoken::V5, OtherVersion::Asked));
        assert_eq!(versions.next(T0, Auto), Spoken::V3);
        assert!(!versions.ended(T0, Auto, Spoken::V3, OtherVersion::No));
        assert_eq!(versions.next(T0 + BELIEVED / 2, Auto), Spoken::V3);
        assert_eq!(versions.next(T0 + BELIEVED, Auto), Spoken::V5);
        // it was replaced by one that speaks nothing else
        assert!(!versions.ended(T0, Auto, Spoken::V3, OtherVersion::Asked));
        assert_eq!(versions.next(T0, Auto), Spoken::V5);
    }

    #[test]
    fn a_broker_that_only_closed_the_connection_is_asked_again_at_the_next_one() {
        let mut versions = Versions::default();
        assert!(versions.ended(T0, Auto, Spoken::V5, OtherVersion::Perhaps));
        assert_eq!(versions.next(T0, Auto), Spoken::V3);
        assert!(!versions.ended(T0, Auto, Spoken::V3, OtherVersion::Perhaps));
        assert_eq!(versions.next(T0, Auto), Spoken::V5);
        assert!(!versions.ended(T0, Auto, Spoken::V5, OtherVersion::No));
        assert_eq!(versions.next(T0, Auto), Spoken::V5);
    }

    #[test]
    fn a_version_that_is_set_is_the_only_one() {
        let mut versions = Versions::default();
        for other in [OtherVersion::Asked, OtherVersion::Perhaps, OtherVersion::No] {
            assert!(!versions.ended(T0, MqttVersion::V5, Spoken::V5, other));
            assert_eq!(versions.next(T0, MqttVersion::V5), Spoken::V5);
            assert!(!versions.ended(T0, MqttVersion::V3, Spoken::V3, other));
            assert_eq!(versions.next(T0, MqttVersion::V3), Spoken::V3);
        }
    }
}
