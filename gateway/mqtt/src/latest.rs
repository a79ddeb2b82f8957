//! Which version of the program an operator announces as the latest. Pure.
//!
//! The gateway asks nobody: whoever looks after several of them says on one kept topic what there is, and the installed
//! version stands beside it. Until something was told, or was not told for a while after the connection, nobody knows.

use std::time::Duration;

use gateway_core::Instant;
use serde::Serialize;

/// Longest version, in characters.
const LONGEST: usize = 40;
/// A broker that keeps an announcement sends it within this of the subscription.
const WAIT: Duration = Duration::from_secs(5);

/// The version that runs and the latest.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Update"))]
pub(crate) struct Versions<'a> {
    installed_version: &'a str,
    /// As an operator announces it; the installed one if nobody does.
    latest_version: &'a str,
}

impl Versions<'_> {
    pub(crate) fn text(installed: &str, latest: Option<&str>) -> String {
        let versions = Versions {
            installed_version: installed,
            latest_version: latest.unwrap_or(installed),
        };
        serde_json::to_string(&versions).expect("plain fields only")
    }
}

/// What is known of it.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    /// Since when an announcement is waited for.
    awaited: Option<Instant>,
    /// `None` while nobody knows whether there is one.
    told: Option<Option<String>>,
}

impl Latest {
    /// The announcement; `None` while nobody knows whether there is one.
    pub(crate) fn told(&self) -> Option<Option<&str>> {
        self.told.as_ref().map(Option::as_deref)
    }

    /// It was subscribed to.
    pub(crate) fn subscribed(&mut self, now: Instant) {
        self.awaited = Some(now);
    }

    /// Something came; false if it is no version, which changes nothing.
    pub(crate) fn came(&mut self, payload: &[u8]) -> bool {
        self.awaited = None;
        if payload.is_empty() {
            self.told = Some(None);
            return true;
        }
        match version(payload) {
            Some(version) => {
                self.told = Some(Some(version.to_owned()));
                true
            }
            None => false,
        }
    }

    /// Time passes: true if it turned out that nothing is announced.
    pub(crate) fn look(&mut self, now: Instant) -> bool {
        let over = self.awaited.is_some_and(|since| now.since(since) >= WAIT);
        if over {
            self.awaited = None;
            self.told = Some(None);
        }
        over
    }
}

/// A version as in `1.2.3`, `v1.2.3` or `1.3.0-beta.1+build7`: 1 to 40 characters, the first a digit after the `v`.
fn version(payload: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(payload).ok()?.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    let good = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
    let fits = text.len() <= LONGEST && text.starts_with(|c: char| c.is_ascii_digit());
    (fits && text.chars().all(good)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000);

    #[test]
    fn what_is_announced_counts_until_it_is_cleared() {
        let mut latest = Latest::default();
        assert_eq!(latest.told(), None);
        assert!(latest.came(b"v1.2.3\n"));
        assert_eq!(latest.told(), Some(Some("1.2.3")));
        for bad in ["one", "1 2", "{\"version\":\"1\"}", "v", &"1".repeat(41), "1.2/3"] {
            assert!(!latest.came(bad.as_bytes()), "{bad}");
        }
        assert_eq!(latest.told(), Some(Some("1.2.3")));
        assert!(latest.came(b"1.3.0-beta.1+build7"));
        assert_eq!(latest.told(), Some(Some("1.3.0-beta.1+build7")));
        assert!(latest.came(b""));
        assert_eq!(latest.told(), Some(None));
    }

    #[test]
    fn nothing_is_announced_if_nothing_comes_for_a_while() {
        let mut latest = Latest::default();
        assert!(!latest.look(T0), "not asked yet");
        latest.subscribed(T0);
        assert!(!latest.look(T0 + WAIT - Duration::from_millis(1)));
        assert_eq!(latest.told(), None);
        assert!(latest.look(T0 + WAIT));
        assert_eq!(latest.told(), Some(None));
        assert!(!latest.look(T0 + WAIT), "told once");
        // a new connection to a broker where it was cleared meanwhile
        latest.came(b"2.0");
        latest.subscribed(T0);
        assert_eq!(latest.told(), Some(Some("2.0")));
        assert!(latest.look(T0 + WAIT));
        assert_eq!(latest.told(), Some(None));
    }

    #[test]
    fn the_exact_text() {
        let text = |latest| Versions::text("0.1.0", latest);
        assert_eq!(
            text(None),
            r#"{"installed_version":"0.1.0","latest_version":"0.1.0"}"#
        );
        assert_eq!(
            text(Some("0.2.0")),
            r#"{"installed_version":"0.1.0","latest_version":"0.2.0"}"#
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_short_version_or_nothing(data in proptest::collection::vec(any::<u8>(), 0..80), text in "v?[0-9a-z.+ -]{0,50}") {
            for bytes in [data.as_slice(), text.as_bytes()] {
                if let Some(found) = version(bytes) {
                    prop_assert!((1..=LONGEST).contains(&found.len()) && found.is_ascii());
                }
            }
        }
    }
}
