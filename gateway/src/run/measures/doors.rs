//! What the core measures of itself: how long somebody waits from what they did until a coil or a telephone has it.
//!
//! Nothing here waits: a few additions, and short lists with a bound.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Count, Factor, Histogram, Instant, LegCommand, RingId};
use gateway_guard::GuardReport;
use gateway_guard_proto::{ReleaseWhy, Report};

/// Steps of the ways to a coil, µs: around the budget of 1 ms.
static OPENING: [u64; 10] = [
    100, 250, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 250_000, 1_000_000,
];
/// Grants and rings that are waited for at most; what is beyond is not measured.
const WAITING: usize = 64;

/// How somebody asked for an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A card, with or without PIN, or a code at a keypad.
    Card,
    /// Digits in a call.
    Digit,
    /// Anything else: commands, rules, callers, fire.
    Other,
    /// A request to exit.
    Rex,
}

impl Way {
    /// Every way.
    pub(crate) const ALL: [Self; 4] = [Self::Card, Self::Digit, Self::Other, Self::Rex];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Digit => "digit",
            Self::Other => "other",
            Self::Rex => "rex",
        }
    }

    const fn of(factor: Factor) -> Self {
        match factor {
            Factor::Card | Factor::Code => Self::Card,
            Factor::Digits => Self::Digit,
            Factor::Rex => Self::Rex,
            Factor::Api
            | Factor::Button
            | Factor::ByPanel
            | Factor::Caller
            | Factor::Fire
            | Factor::Local
            | Factor::Mqtt
            | Factor::Rule
            | Factor::Schedule
            | Factor::Web => Self::Other,
        }
    }
}

/// What is counted; whoever shows it reads it.
#[derive(Debug)]
pub(crate) struct DoorMeasures {
    /// Nanoseconds of calls in which somebody talks, all together.
    pub(crate) call_ns: Count,
    /// The relay guard could not be reached any more.
    pub(crate) guard_lost: Count,
    /// Outputs that the guard let go since the gateway did not renew.
    pub(crate) lapsed: Count,
    /// From what somebody did until the guard energised, by way.
    pub(crate) opening: [Histogram; Way::ALL.len()],
}

impl Default for DoorMeasures {
    fn default() -> Self {
        Self {
            call_ns: Count::new(),
            guard_lost: Count::new(),
            lapsed: Count::new(),
            opening: [const { Histogram::new(&OPENING) }; Way::ALL.len()],
        }
    }
}

/// Notes it, in the core's loop.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    measures: Arc<DoorMeasures>,
    /// Rings whose first call was made.
    called: VecDeque<RingId>,
    looked: Instant,
    /// Grants that were given to the guard, with when it began and by which way.
    operated: VecDeque<(u64, Instant, Way)>,
    talks: u64,
}

impl Stopwatch {
    pub(crate) fn new(measures: Arc<DoorMeasures>, now: Instant) -> Self {
        Self {
            measures,
            called: VecDeque::with_capacity(WAITING),
            looked: now,
            operated: VecDeque::with_capacity(WAITING),
            talks: 0,
        }
    }

    /// A Grant goes to the guard for what was done at `since`.
    pub(crate) fn operated(&mut self, grant: u64, factor: Factor, since: Instant) {
        if self.operated.len() >= WAITING {
            self.operated.pop_front();
        }
        self.operated.push_back((grant, since, Way::of(factor)));
    }

    /// The guard says something.
    pub(crate) fn reported(&mut self, report: &GuardReport) {
        match report {
            GuardReport::Guard(Report::Energised { at, lease, .. }) => {
                let found = self.operated.iter().position(|(grant, ..)| *grant == lease.0);
                let Some((_, since, way)) = found.and_then(|n| self.operated.remove(n)) else {
                    return;
                };
                let histogram = Way::ALL.iter().position(|one| *one == way);
                if let Some(histogram) = histogram.and_then(|n| self.measures.opening.get(n)) {
                    histogram.note(at.since(since));
                }
            }
            GuardReport::Guard(Report::Released {
                why: ReleaseWhy::LeaseLapsed,
                ..
            }) => self.measures.lapsed.add(1),
            GuardReport::Lost { leases, .. } => {
                self.measures.guard_lost.add(1);
                // what was energised then was let go of by somebody else
                self.measures.lapsed.add(leases.len() as u64);
            }
            GuardReport::Guard(_)
            | GuardReport::Restarts { .. }
            | GuardReport::Unsent { .. }
            | GuardReport::Up { .. }
            | GuardReport::Wired { .. } => {}
        }
    }

    /// Since when somebody waits for this call, if it is the first of its ring: those after it wait for somebody to answer.
    pub(crate) fn first_call(&mut self, command: &LegCommand, since: Instant) -> Option<Instant> {
        let LegCommand::Offer { ring, .. } = command else {
            return None;
        };
        if self.called.contains(ring) {
            return None;
        }
        if self.called.len() >= WAITING {
            self.called.pop_front();
        }
        self.called.push_back(*ring);
        Some(since)
    }

    /// So many calls go on from here on in which somebody talks.
    pub(crate) fn talks(&mut self, now: Instant, talks: u64) {
        let time = now.since(std::mem::replace(&mut self.looked, now));
        let nanos = u64::try_from(time.min(Duration::from_secs(1)).as_nanos()).unwrap_or(0);
        self.measures.call_ns.add(nanos * self.talks);
        self.talks = talks;
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::{LegId, OutputId};
    use gateway_guard_proto::LeaseId;

    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_nanos(1_000_000_000 + micros * 1000)
    }

    fn output() -> OutputId {
        "strike".parse().expect("a name")
    }

    fn energised(lease: u64, micros: u64) -> GuardReport {
        GuardReport::Guard(Report::Energised {
            at: at(micros),
            lease: LeaseId(lease),
            output: output(),
            until: at(9_000_000),
        })
    }

    #[test]
    fn an_opening_is_counted_once_from_what_somebody_did_until_the_guard_energised() {
        let measures = Arc::<DoorMeasures>::default();
        let mut watch = Stopwatch::new(Arc::clone(&measures), at(0));
        watch.operated(7, Factor::Card, at(100));
        watch.operated(8, Factor::Rex, at(200));
        watch.reported(&energised(8, 1_200));
        watch.reported(&energised(7, 400));
        // a later Grant of a pulse that runs is none of ours to wait for
        watch.reported(&energised(7, 500));
        watch.reported(&energised(99, 500));
        let counted = |way: Way| {
            let n = Way::ALL.iter().position(|one| *one == way).expect("there is one");
            measures.opening[n].read()
        };
        assert_eq!(counted(Way::Card).count, 1);
        assert_eq!(counted(Way::Card).sum, Duration::from_micros(300));
        assert_eq!(counted(Way::Rex).sum, Duration::from_micros(1000));
        assert_eq!(
            counted(Way::Rex).steps[3],
            (1_000, 1),
            "just the budget is within it"
        );
        assert_eq!(counted(Way::Digit).count + counted(Way::Other).count, 0);
    }

    #[test]
    fn only_the_first_call_of_a_ring_is_waited_for() {
        let mut watch = Stopwatch::new(Arc::default(), at(0));
        let offer = |ring: u64| LegCommand::Offer {
            account: None,
            display: "Main".into(),
            leg: LegId(ring),
            line: "riser".parse().expect("a name"),
            manner: gateway_core::Manner::default(),
            patience: None,
            ring: RingId::new(ring, [0; 10]),
            target: "1000".into(),
        };
        assert_eq!(watch.first_call(&offer(1), at(5)), Some(at(5)));
        assert_eq!(watch.first_call(&offer(1), at(6)), None);
        assert_eq!(watch.first_call(&offer(2), at(7)), Some(at(7)));
        assert_eq!(
            watch.first_call(&LegCommand::Ringing { leg: LegId(1) }, at(8)),
            None
        );
        for ring in 0..1000 {
            watch.first_call(&offer(ring), at(9));
        }
        assert_eq!(watch.called.len(), WAITING);
    }

    #[test]
    fn a_guard_that_is_lost_and_a_lease_that_lapses_are_counted() {
        let measures = Arc::<DoorMeasures>::default();
        let mut watch = Stopwatch::new(Arc::clone(&measures), at(0));
        watch.reported(&GuardReport::Lost {
            leases: vec![(LeaseId(1), output())],
            text: "gone".into(),
        });
        watch.reported(&GuardReport::Guard(Report::Released {
            at: at(1),
            lease: LeaseId(2),
            output: output(),
            why: ReleaseWhy::LeaseLapsed,
        }));
        assert_eq!((measures.guard_lost.read(), measures.lapsed.read()), (1, 2));
    }

    #[test]
    fn seconds_of_talks_are_those_of_each_call() {
        let measures = Arc::<DoorMeasures>::default();
        let mut watch = Stopwatch::new(Arc::clone(&measures), at(0));
        watch.talks(at(100_000), 2);
        watch.talks(at(600_000), 1);
        watch.talks(at(700_000), 0);
        watch.talks(at(900_000), 0);
        assert_eq!(measures.call_ns.read(), 1_100_000_000);
    }
}
