//! How doors and panels did: openings by means, refusals, doors forced and held, time until somebody answered.

use std::collections::BTreeMap;

use gateway_core::{Record, RingId, Timestamp};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Columns of a line of a door, in their order.
pub const DOOR_COLUMNS: [&str; 9] = [
    "door",
    "granted",
    "refused",
    "by_means",
    "opened",
    "forced",
    "held_open",
    "per_hour",
    "per_day",
];

/// Days that are counted each; what is on others is in the sums only.
const DAYS: usize = 400;
/// Rings whose answer is awaited at once.
const RINGS: usize = 4096;
/// Answers that a median is made of; the oldest ones, if there are more.
const ANSWERS: usize = 100_000;
/// Doors and panels that are told apart.
const NAMES: usize = 10_000;

/// One door.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Door {
    /// Openings by means, those of `granted`.
    pub by_means: BTreeMap<String, u64>,
    /// It was forced.
    pub forced: u64,
    /// Openings that the access decision granted.
    pub granted: u64,
    /// It was open for longer than allowed.
    pub held_open: u64,
    /// Its contact opened.
    pub opened: u64,
    /// Openings on each day of the site's time zone.
    pub per_day: BTreeMap<Date, u64>,
    /// Openings in each hour of the day, from midnight on.
    pub per_hour: [u64; 24],
    /// Refusals.
    pub refused: u64,
}

impl Door {
    /// The cells of [`DOOR_COLUMNS`].
    #[must_use]
    pub fn cells(&self, name: &str) -> [String; 9] {
        let means = self.by_means.iter().map(|(means, n)| format!("{means}={n}"));
        let hours = self.per_hour.iter().enumerate().filter(|(_, n)| **n > 0);
        let days = self.per_day.iter().map(|(day, n)| format!("{day}={n}"));
        [
            name.to_owned(),
            self.granted.to_string(),
            self.refused.to_string(),
            means.collect::<Vec<_>>().join(" "),
            self.opened.to_string(),
            self.forced.to_string(),
            self.held_open.to_string(),
            hours
                .map(|(hour, n)| format!("{hour:02}={n}"))
                .collect::<Vec<_>>()
                .join(" "),
            days.collect::<Vec<_>>().join(" "),
        ]
    }
}

/// One panel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Panel {
    /// Rings that somebody answered.
    pub answered: u64,
    /// From each ring to its answer, in milliseconds.
    answers: Vec<u32>,
    /// Rings.
    pub rings: u64,
}

impl Panel {
    /// Half of the answers came within this, in milliseconds; `None` if there was none.
    #[must_use]
    pub fn median_answer_ms(&self) -> Option<u32> {
        let mut all = self.answers.clone();
        let middle = all.len() / 2;
        (!all.is_empty()).then(|| *all.select_nth_unstable(middle).1)
    }
}

/// Counts what records tell of doors and panels.
#[derive(Debug)]
pub struct Statistics {
    /// By door.
    pub doors: BTreeMap<String, Door>,
    /// By panel.
    pub panels: BTreeMap<String, Panel>,
    /// Rings that wait for an answer: where, and since when.
    waiting: BTreeMap<RingId, (String, Timestamp)>,
    zone: TimeZone,
}

impl Statistics {
    /// Of nothing so far; hours and days are those of `zone`.
    #[must_use]
    pub const fn new(zone: TimeZone) -> Self {
        Self {
            doors: BTreeMap::new(),
            panels: BTreeMap::new(),
            waiting: BTreeMap::new(),
            zone,
        }
    }

    /// Takes the next record.
    pub fn take(&mut self, record: &Record) {
        match record.kind.as_str() {
            "door.granted" => {
                let local = self.zone.to_datetime(record.at);
                let means = record.get("factor").as_text().unwrap_or("unknown").to_owned();
                if let Some(door) = named(&mut self.doors, &record.source) {
                    door.granted += 1;
                    *door.by_means.entry(means).or_default() += 1;
                    door.per_hour[usize::try_from(local.hour()).unwrap_or(0) % 24] += 1;
                    if door.per_day.len() < DAYS || door.per_day.contains_key(&local.date()) {
                        *door.per_day.entry(local.date()).or_default() += 1;
                    }
                }
            }
            "door.denied" => self.count(record, |door| &mut door.refused),
            "door.forced" => self.count(record, |door| &mut door.forced),
            "door.held-open" => self.count(record, |door| &mut door.held_open),
            "door.opened" => self.count(record, |door| &mut door.opened),
            "panel.ring" => {
                if let Some(panel) = named(&mut self.panels, &record.source) {
                    panel.rings += 1;
                }
                if let Some(ring) = record.ring {
                    if self.waiting.len() >= RINGS {
                        self.waiting.pop_first();
                    }
                    self.waiting.insert(ring, (record.source.clone(), record.at));
                }
            }
            "call.answered" => {
                let waited = record.ring.and_then(|ring| self.waiting.remove(&ring));
                let Some((panel, since)) = waited else { return };
                if let Some(panel) = self.panels.get_mut(&panel) {
                    panel.answered += 1;
                    let ms = record.at.as_millisecond() - since.as_millisecond();
                    if panel.answers.len() < ANSWERS {
                        panel.answers.push(u32::try_from(ms.max(0)).unwrap_or(u32::MAX));
                    }
                }
            }
            "panel.ring-ended" => {
                if let Some(ring) = record.ring {
                    self.waiting.remove(&ring);
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, record: &Record, of: fn(&mut Door) -> &mut u64) {
        if let Some(door) = named(&mut self.doors, &record.source) {
            *of(door) += 1;
        }
    }
}

fn named<'a, T: Default>(all: &'a mut BTreeMap<String, T>, name: &str) -> Option<&'a mut T> {
    if all.len() >= NAMES && !all.contains_key(name) {
        return None;
    }
    Some(all.entry(name.to_owned()).or_default())
}

#[cfg(test)]
mod tests {
    use gateway_core::{CallEvent, DoorEvent, Envelope, Event, Factor, LegId, PanelEvent, Subject};

    use super::*;

    fn door(at: &str, event: DoorEvent) -> Record {
        Record::from(&Envelope {
            at: at.parse().expect("a time"),
            event: Event::Door("front".parse().expect("a name"), event),
            ring: None,
            simulated: false,
        })
    }

    fn granted(at: &str, factor: Factor) -> Record {
        let event = DoorEvent::Granted {
            factor,
            grant: 1,
            rule: String::new(),
            subject: Subject::Unknown,
        };
        door(at, event)
    }

    #[test]
    fn doors_are_counted_by_means_hour_and_day_of_the_site() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a rule");
        let mut all = Statistics::new(zone);
        for record in [
            granted("2026-07-01T21:30:00Z", Factor::Card),
            granted("2026-07-01T22:30:00Z", Factor::Card),
            granted("2026-07-02T08:00:00Z", Factor::Rex),
            door("2026-07-02T08:00:01Z", DoorEvent::Opened {}),
            door("2026-07-02T09:00:00Z", DoorEvent::Forced {}),
            door("2026-07-02T09:01:00Z", DoorEvent::HeldOpen {}),
        ] {
            all.take(&record);
        }
        assert_eq!(
            crate::line(&all.doors["front"].cells("front")),
            "front,3,0,card=2 rex=1,1,1,1,00=1 10=1 23=1,2026-07-01=1 2026-07-02=2\r\n"
        );
    }

    #[test]
    fn the_median_is_of_rings_that_were_answered() {
        let mut all = Statistics::new(TimeZone::UTC);
        for (n, answer) in [(1, Some(2000)), (2, None), (3, Some(9000)), (4, Some(4000))] {
            let ring = Some(RingId::new(n, [0; 10]));
            let record = |ms: i64, event| {
                Record::from(&Envelope {
                    at: Timestamp::from_millisecond(ms).expect("a time"),
                    event,
                    ring,
                    simulated: false,
                })
            };
            let panel = || "main".parse().expect("a name");
            let button = "bell".parse().expect("a name");
            all.take(&record(1000, Event::Panel(panel(), PanelEvent::Ring { button })));
            if let Some(ms) = answer {
                let peer = String::new();
                all.take(&record(
                    1000 + ms,
                    Event::Call(CallEvent::Answered { leg: LegId(1), peer }),
                ));
            }
            let outcome = String::new();
            all.take(&record(
                20_000,
                Event::Panel(panel(), PanelEvent::RingEnded { outcome }),
            ));
        }
        let panel = &all.panels["main"];
        assert_eq!((panel.rings, panel.answered), (4, 3));
        assert_eq!(panel.median_answer_ms(), Some(4000));
        assert_eq!(Panel::default().median_answer_ms(), None);
    }
}
