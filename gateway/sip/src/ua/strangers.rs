//! Requests from those we do not know: counted, reported once a minute per source, in bounded memory.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use gateway_core::Instant;

/// Sources remembered.
const MOST: usize = 128;
/// Time between two reports of one source.
const QUIET: Duration = Duration::from_secs(60);
/// Longest method name that is repeated in a report.
const METHOD: usize = 20;

#[derive(Debug)]
struct Seen {
    count: u64,
    reported: Instant,
}

/// Who knocked.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    sources: BTreeMap<IpAddr, Seen>,
    pub(crate) total: u64,
}

impl Strangers {
    /// Counts one request; gives the number and the method if it is time to report.
    pub(crate) fn note(&mut self, now: Instant, source: IpAddr, method: &str) -> Option<(u64, String)> {
        self.total += 1;
        let short = || method.chars().take(METHOD).collect();
        if let Some(seen) = self.sources.get_mut(&source) {
            seen.count += 1;
            if now.since(seen.reported) < QUIET {
                return None;
            }
            seen.reported = now;
            return Some((std::mem::take(&mut seen.count), short()));
        }
        if self.sources.len() >= MOST {
            self.sources.retain(|_, seen| now.since(seen.reported) < QUIET);
            if self.sources.len() >= MOST {
                // A flood from many addresses: the total counts on, single sources are not reported.
                return None;
            }
        }
        self.sources.insert(
            source,
            Seen {
                count: 0,
                reported: now,
            },
        );
        Some((1, short()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_is_reported_once_a_minute_with_its_count() {
        let t0 = Instant::from_nanos(1);
        let ip = IpAddr::from([192, 0, 2, 1]);
        let mut strangers = Strangers::default();
        assert_eq!(strangers.note(t0, ip, "INVITE"), Some((1, "INVITE".into())));
        for _ in 0..9 {
            assert_eq!(strangers.note(t0 + Duration::from_secs(1), ip, "INVITE"), None);
        }
        let later = t0 + Duration::from_secs(61);
        assert_eq!(strangers.note(later, ip, "OPTIONS"), Some((10, "OPTIONS".into())));
        assert_eq!(strangers.total, 11);
    }

    #[test]
    fn many_sources_cost_bounded_memory() {
        let mut strangers = Strangers::default();
        for n in 0..10_000_u32 {
            strangers.note(
                Instant::from_nanos(1),
                std::net::Ipv4Addr::from(n).into(),
                "INVITE",
            );
        }
        assert!(strangers.sources.len() <= MOST);
        assert_eq!(strangers.total, 10_000);
    }
}
