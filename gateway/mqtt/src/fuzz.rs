//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use std::time::Duration;

use gateway_core::{CommandId, Given, Timestamp};

use crate::command::{Arrival, Rules, SUBJECT, read};
use crate::topics::Target as Topic;

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 1] = [("mqtt_command", command)];

/// A payload on any command topic, as news, kept by the broker, and sent again.
///
/// # Panics
/// If something kept, repeated, undated or old is taken for news.
pub fn command(data: &[u8]) {
    const TTL: Duration = Duration::from_secs(10);
    let made = CommandId::new("made").expect("a constant id");
    let wall = Timestamp::from_second(1_772_366_400).expect("a constant time");
    let rules = Rules {
        accept_untimed: false,
        by: SUBJECT,
        code_needed: false,
        press: false,
        ttl: TTL,
    };
    for target in [
        Topic::Door("front".into()),
        Topic::Panel("main".into()),
        Topic::Site,
    ] {
        for (retained, dup) in [(false, false), (true, false), (false, true)] {
            let arrival = Arrival {
                connected: Duration::from_secs(3600),
                dup,
                expiry: None,
                payload: data,
                retained,
                ring: None,
                target: target.clone(),
                wall,
            };
            let asked = match read(&arrival, rules, &made) {
                Ok(asked) => asked,
                Err((_, e)) => {
                    assert!(!e.to_string().is_empty());
                    continue;
                }
            };
            let request = asked.request;
            assert!(!retained && !dup || request.stale_by_transport);
            if request.stale_by_transport || request.given == Given::Undated {
                continue;
            }
            let Given::At(at) = request.given else {
                panic!("news has a time");
            };
            let age = wall.duration_since(at);
            assert!(
                age.unsigned_abs() <= TTL && -age <= jiff::SignedDuration::from_secs(2),
                "{age}"
            );
            assert_ne!(request.id, made);
        }
    }
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
