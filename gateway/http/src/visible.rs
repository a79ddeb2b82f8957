//! Which records of the journal somebody sees.
//!
//! Records of doors and panels name them. The call part of a visitor's story (who was called, who answered, how it
//! ended) names only its ring: it belongs to the doors of the panel that rang, and a call from a phone, which rang
//! nowhere, to the doors that it opened or tried to open. Nobody sees the calls of other doors.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::{DoorId, Record, RingId, SiteView};
use gateway_store::{Filter, Query, ReadFailure, Store};

use crate::access::Rights;

/// Rings remembered; the oldest are asked for again.
const RINGS: usize = 256;
/// Records of one ring that are looked at.
const STORY: usize = 500;

/// The eyes of one requester.
#[derive(Clone, Debug)]
pub(crate) struct Visible {
    rights: Rights,
    /// Rings of panels, which are settled: theirs or not.
    rings: BTreeMap<RingId, bool>,
}

impl Visible {
    pub(crate) const fn new(rights: Rights) -> Self {
        Self {
            rights,
            rings: BTreeMap::new(),
        }
    }

    /// True if it can tell without reading the journal, see [`Self::of`].
    pub(crate) const fn sees_every_door(&self) -> bool {
        self.rights.doors.is_none()
    }

    /// The rights of this moment.
    pub(crate) fn renew(&mut self, rights: &Rights) {
        if self.rights != *rights {
            *self = Self::new(rights.clone());
        }
    }

    /// Those of the records that may be seen. Reads the journal, so it may take its time.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn of(
        &mut self,
        store: &Store,
        view: &SiteView,
        records: &[Arc<Record>],
    ) -> Result<Vec<Arc<Record>>, ReadFailure> {
        let mut shown = Vec::new();
        for record in records {
            let sees = match record.ring.filter(|_| self.of_a_call(record)) {
                Some(ring) => self.theirs(store, view, ring)?,
                None => self.rights.shows(record, view),
            };
            if sees {
                shown.push(Arc::clone(record));
            }
        }
        Ok(shown)
    }

    fn of_a_call(&self, record: &Record) -> bool {
        !self.sees_every_door() && record.kind.starts_with("call.")
    }

    /// Is a call that nobody rang for at a panel of theirs? `None` if its records do not say at which it was.
    fn at(&self, view: &SiteView, records: &[Arc<Record>]) -> Option<bool> {
        let begun = records
            .iter()
            .find(|r| matches!(r.kind.as_str(), "call.asked" | "call.incoming"))?;
        let panel = begun.get("panel").as_text()?;
        let panel = view.panels.iter().find(|of| of.id.as_str() == panel)?;
        Some(self.rights.covers_panel(panel))
    }

    fn theirs(&mut self, store: &Store, view: &SiteView, ring: RingId) -> Result<bool, ReadFailure> {
        if let Some(known) = self.rings.get(&ring) {
            return Ok(*known);
        }
        let live = view.calls.iter().find(|call| call.ring == ring);
        let panel = live.and_then(|call| view.panels.iter().find(|p| call.panel.as_ref() == Some(&p.id)));
        let settled = match panel {
            Some(panel) => Some(self.rights.covers_panel(panel)),
            None => {
                let records = store.find(&Query {
                    filter: Filter {
                        ring: Some(ring),
                        ..Filter::default()
                    },
                    max: STORY,
                    ..Query::default()
                })?;
                let rang = records.iter().find(|r| r.kind == "panel.ring");
                match rang
                    .map(|rang| self.rights.shows(rang, view))
                    .or_else(|| self.at(view, &records))
                {
                    Some(theirs) => Some(theirs),
                    None => {
                        let door =
                            |r: &Arc<Record>| DoorId::new(&r.source).is_ok_and(|d| self.rights.covers(&d));
                        return Ok(records.iter().any(|r| r.kind.starts_with("door.") && door(r)));
                    }
                }
            }
        };
        if let Some(theirs) = settled {
            if self.rings.len() >= RINGS {
                self.rings.pop_first();
            }
            self.rings.insert(ring, theirs);
        }
        Ok(settled.unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_core::{
        ButtonId, CallEvent, CommandEvent, CommandId, DoorEvent, Envelope, Event, Factor, LegId, LineId,
        PanelEvent, PanelId, PanelView, Seq, Subject, Timestamp,
    };
    use gateway_store::Options;
    use gateway_store::fake::FakeIo;

    use super::*;

    fn rights(doors: &[&str]) -> Rights {
        let doors: Vec<String> = doors.iter().map(|d| (*d).to_owned()).collect();
        Rights::read(&["read".to_owned()], Some(&doors)).expect("reads")
    }

    fn panel(id: &str, door: &str) -> PanelView {
        PanelView {
            quiet: None,
            announcements: Vec::new(),
            buttons: vec![],
            callable: true,
            doors: vec![DoorId::new(door).expect("a name")],
            id: PanelId::new(id).expect("a name"),
            line: LineId::new("riser").expect("a name"),
            name: id.into(),
            ring: None,
            ring_to_open: None,
            ring_to_open_limit: None,
            simulated: true,
        }
    }

    fn rang(panel: &str) -> Event {
        let button = ButtonId::new("bell").expect("a name");
        Event::Panel(PanelId::new(panel).expect("a name"), PanelEvent::Ring { button })
    }

    fn answered() -> Event {
        Event::Call(CallEvent::Answered {
            leg: LegId(1),
            peer: "sip:1000@pbx".into(),
        })
    }

    fn granted(door: &str) -> Event {
        let event = DoorEvent::Granted {
            factor: Factor::Digits,
            grant: 1,
            rule: "code".into(),
            subject: Subject::Unknown,
        };
        Event::Door(DoorId::new(door).expect("a name"), event)
    }

    fn commanded() -> Event {
        Event::Command(CommandEvent::Accepted {
            id: CommandId::new("a").expect("an id"),
            subject: Subject::Unknown,
            verb: "open".into(),
        })
    }

    #[tokio::test]
    async fn a_visitors_story_is_seen_as_a_whole_by_its_door_and_by_no_other() {
        let options = Options {
            index: false,
            ..Options::default()
        };
        let (store, _) = Store::open(Path::new("/state"), options, FakeIo::new()).expect("opens");
        let (front, garage, phone) = (1, 2, 3);
        let ring = |n: u64| RingId::new(n, [0; 10]);
        let story = [
            (front, rang("main")),
            (front, answered()),
            (garage, rang("yard")),
            (garage, answered()),
            (front, granted("front")),
            (front, commanded()),
            (phone, answered()),
            (phone, granted("garage")),
        ];
        let mut last = Seq(0);
        for (n, event) in story {
            let envelope = Envelope {
                at: Timestamp::UNIX_EPOCH,
                event,
                ring: Some(ring(n)),
                simulated: true,
            };
            let ticket = store.append(envelope).expect("taken");
            last = ticket.durable().await.expect("durable");
        }
        let all = store.read(Seq(1), 100).expect("readable");
        assert_eq!(all.len() as u64, last.0);
        let view = SiteView {
            panels: vec![panel("main", "front"), panel("yard", "garage")],
            ..SiteView::default()
        };
        for (doors, expected) in [
            (&["front"][..], vec![1, 2, 5]),
            (&["garage"], vec![3, 4, 7, 8]),
            (&["front", "garage"], vec![1, 2, 3, 4, 5, 7, 8]),
            (&["cellar"], vec![]),
        ] {
            let mut visible = Visible::new(rights(doors));
            // once by the journal, and once by what it has learnt
            for _ in 0..2 {
                let shown = visible.of(&store, &view, &all).expect("readable");
                let seqs: Vec<u64> = shown.iter().map(|r| r.seq.0).collect();
                assert_eq!(seqs, expected, "{doors:?}");
            }
        }
    }
}
