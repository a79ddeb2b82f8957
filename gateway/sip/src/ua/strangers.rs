//! Requests from those we do not know: counted, and told once per source and hour, in bounded memory.
//!
//! Whoever knocks first is told at once; what else he sends is counted, and told when an hour is over. Those for whom there is
//! no room, as in a flood from many addresses, are told together in the same way.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use gateway_core::Instant;

/// Sources remembered.
const MOST: usize = 128;
/// Time between two reports of one source.
const QUIET: Duration = Duration::from_secs(3600);
/// Longest method name that is repeated in a report.
const METHOD: usize = 20;

/// What is told of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Knocks {
    /// Requests since the last report.
    pub(crate) count: u64,
    /// Method of the last one.
    pub(crate) method: String,
    /// Where they came from; `None`: from more sources than are told apart.
    pub(crate) source: Option<IpAddr>,
}

#[derive(Debug)]
struct Seen {
    count: u64,
    /// Of the last one.
    method: String,
    reported: Instant,
}

/// Who knocked.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    others: Option<Seen>,
    sources: BTreeMap<IpAddr, Seen>,
    pub(crate) total: u64,
}

impl Strangers {
    /// Counts one request; gives a report if it is the first one of its source.
    pub(crate) fn note(&mut self, now: Instant, source: IpAddr, method: &str) -> Option<Knocks> {
        self.total += 1;
        let method: String = method.chars().take(METHOD).collect();
        let full = self.sources.len() >= MOST;
        let seen = match self.sources.get_mut(&source) {
            Some(seen) => Some(seen),
            None if full => self.others.as_mut(),
            None => None,
        };
        if let Some(seen) = seen {
            seen.count += 1;
            seen.method = method;
            return None;
        }
        let seen = Seen {
            count: 0,
            method: method.clone(),
            reported: now,
        };
        let source = if full {
            self.others = Some(seen);
            None
        } else {
            self.sources.insert(source, seen);
            Some(source)
        };
        Some(Knocks {
            count: 1,
            method,
            source,
        })
    }

    /// When [`due`](Self::due) has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let all = self.sources.values().chain(&self.others);
        all.map(|seen| seen.reported + QUIET).min()
    }

    /// An hour is over for some: reports of those who went on knocking. The others are forgotten.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Knocks> {
        let mut told = Vec::new();
        let mut stays = |source: Option<IpAddr>, seen: &mut Seen| {
            if now.since(seen.reported) < QUIET {
                return true;
            }
            let count = std::mem::take(&mut seen.count);
            seen.reported = now;
            if count > 0 {
                told.push(Knocks {
                    count,
                    method: seen.method.clone(),
                    source,
                });
            }
            count > 0
        };
        self.sources.retain(|source, seen| stays(Some(*source), seen));
        if self.others.as_mut().is_some_and(|seen| !stays(None, seen)) {
            self.others = None;
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_nanos(1);

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn told(count: u64, method: &str, source: Option<IpAddr>) -> Knocks {
        Knocks {
            count,
            method: method.into(),
            source,
        }
    }

    #[test]
    fn one_source_is_told_at_once_and_then_once_an_hour_with_its_count() {
        let mut strangers = Strangers::default();
        let first = strangers.note(T0, ip(1), "INVITE");
        assert_eq!(first, Some(told(1, "INVITE", Some(ip(1)))));
        for _ in 0..5_000 {
            assert_eq!(
                strangers.note(T0 + Duration::from_secs(1), ip(1), "OPTIONS"),
                None
            );
        }
        assert_eq!(strangers.poll_timeout(), Some(T0 + QUIET));
        assert!(strangers.due(T0 + QUIET - Duration::from_secs(1)).is_empty());
        assert_eq!(strangers.due(T0 + QUIET), [told(5_000, "OPTIONS", Some(ip(1)))]);
        // who is silent for an hour is forgotten, and told at once when he comes again
        assert!(strangers.due(T0 + QUIET * 2).is_empty());
        assert_eq!(strangers.poll_timeout(), None);
        assert!(strangers.note(T0 + QUIET * 2, ip(1), "REGISTER").is_some());
        assert_eq!(strangers.total, 5_002);
    }

    #[test]
    fn a_flood_from_many_addresses_is_told_together_and_costs_bounded_memory() {
        let mut strangers = Strangers::default();
        let reports = (0..10_000_u32)
            .filter_map(|n| strangers.note(T0, std::net::Ipv4Addr::from(n).into(), "INVITE"))
            .collect::<Vec<_>>();
        assert_eq!(reports.len(), MOST + 1);
        assert_eq!(reports.last(), Some(&told(1, "INVITE", None)));
        assert!(strangers.sources.len() <= MOST);
        assert_eq!(strangers.total, 10_000);
        let rest = u64::try_from(10_000 - MOST - 1).expect("small");
        assert_eq!(strangers.due(T0 + QUIET), [told(rest, "INVITE", None)]);
        assert!(strangers.due(T0 + QUIET * 2).is_empty());
        assert_eq!(strangers.poll_timeout(), None);
    }

    #[test]
    fn a_long_method_is_cut() {
        let mut strangers = Strangers::default();
        let report = strangers.note(T0, ip(1), &"X".repeat(300)).expect("the first");
        assert_eq!(report.method.len(), METHOD);
    }
}
