//! Ring-to-open that a crash cut off: it is kept nowhere, so that a restart ends it, and the records say so.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{Envelope, Event, PanelEvent, PanelId, Timestamp};
use gateway_store::{Filter, Query, Store};

/// No command lets in who rings for longer than a day; an hour more for a clock that was moved.
const LOOK_BACK: Duration = Duration::from_secs(25 * 3600);
/// Records of each kind that are looked at.
const MOST: usize = 1000;
/// Why it ended.
const WHY: &str = "restart";

/// Journals the end of each one whose last record says that it began. How many there were.
pub(crate) fn end_rings_open(store: &Store, wall: Timestamp) -> usize {
    // whether a record says that it began, by panel; the newest counts
    let mut last: BTreeMap<PanelId, (u64, bool, bool)> = BTreeMap::new();
    for kind in ["panel.ring-to-open-began", "panel.ring-to-open-ended"] {
        let query = Query {
            filter: Filter {
                kind: Some(kind.to_owned()),
                since: Some(wall.checked_sub(LOOK_BACK).unwrap_or(wall)),
                ..Filter::default()
            },
            max: MOST,
            newest_first: true,
            ..Query::default()
        };
        let found = store.find(&query);
        let found = found.inspect_err(|error| {
            tracing::error!(%error, "whether rings were let in before the restart cannot be read");
        });
        for record in found.unwrap_or_default() {
            let (panel, began) = match record.event() {
                Ok(Event::Panel(panel, PanelEvent::RingToOpenBegan { .. })) => (panel, true),
                Ok(Event::Panel(panel, PanelEvent::RingToOpenEnded { .. })) => (panel, false),
                Ok(_) | Err(_) => continue,
            };
            let newer = last.get(&panel).is_none_or(|(seq, ..)| record.seq.0 > *seq);
            if newer {
                last.insert(panel, (record.seq.0, began, record.simulated));
            }
        }
    }
    let mut ended = 0;
    for (panel, (_, began, simulated)) in last {
        if !began {
            continue;
        }
        let why = WHY.to_owned();
        let told = store.append(Envelope {
            at: wall,
            event: Event::Panel(panel.clone(), PanelEvent::RingToOpenEnded { why }),
            ring: None,
            simulated,
        });
        match told {
            Ok(_) => ended += 1,
            Err(error) => tracing::error!(%error, %panel, "the end of ring-to-open could not be journalled"),
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_core::Subject;
    use gateway_store::Options;
    use gateway_store::fake::FakeIo;

    use super::*;

    fn panel(name: &str) -> PanelId {
        PanelId::new(name).expect("a name")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    async fn told(store: &Store, second: i64, name: &str, event: PanelEvent) {
        let envelope = Envelope {
            at: at(second),
            event: Event::Panel(panel(name), event),
            ring: None,
            simulated: false,
        };
        let ticket = store.append(envelope).expect("taken");
        ticket.durable().await.expect("durable");
    }

    fn began() -> PanelEvent {
        PanelEvent::RingToOpenBegan {
            limit_s: 3600,
            subject: Subject::User("ann".into()),
        }
    }

    fn ended(why: &str) -> PanelEvent {
        PanelEvent::RingToOpenEnded { why: why.into() }
    }

    #[tokio::test]
    async fn what_a_crash_cut_off_is_ended_on_record_once() {
        let options = Options {
            segment: 8192,
            ..Options::default()
        };
        let opened = Store::open(Path::new("/state"), options, FakeIo::new());
        let store = opened.expect("opens").0;
        // of long ago: it has ended by itself, whatever became of its record
        told(&store, -200_000, "old", began()).await;
        told(&store, 0, "main", began()).await;
        told(&store, 1, "side", began()).await;
        told(&store, 2, "side", ended("command")).await;
        told(&store, 3, "yard", began()).await;
        told(&store, 4, "yard", ended("time")).await;
        told(&store, 5, "yard", began()).await;
        assert_eq!(end_rings_open(&store, at(60)), 2);
        // what was appended before this is durable with it
        told(&store, 61, "side", ended("command")).await;
        let query = Query {
            filter: Filter {
                kind: Some("panel.ring-to-open-ended".into()),
                ..Filter::default()
            },
            max: 10,
            newest_first: true,
            ..Query::default()
        };
        let ends = store.find(&query).expect("readable");
        let whys: Vec<(PanelId, String)> = ends
            .iter()
            .filter_map(|record| match record.event() {
                Ok(Event::Panel(panel, PanelEvent::RingToOpenEnded { why })) => Some((panel, why)),
                Ok(_) | Err(_) => None,
            })
            .filter(|(_, why)| why == WHY)
            .collect();
        let mut panels: Vec<PanelId> = whys.into_iter().map(|(panel, _)| panel).collect();
        panels.sort();
        assert_eq!(panels, [panel("main"), panel("yard")]);
        assert_eq!(end_rings_open(&store, at(62)), 0, "once");
    }
}
