//! Power cuts at every moment, with writes that are lost and reordered: what stands in a durable event, or was told to
//! be kept, is there again, whether the records had it already or not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gateway_core::{
    AlarmEvent, AlarmId, AreaId, DoorGroupId, Envelope, Event, Factor, GatewayEvent, InputId, PanelEvent,
    PanelId, RingId, Subject, Timestamp,
};
use gateway_site::{KeptAlarm, KeptFire, Place};
use gateway_store::fake::FakeIo;
use gateway_store::{Options, Store};

use super::{
    alarms, fire, keep_alarms, keep_fire, keep_lockdowns, keep_place, keep_quiets, lockdowns, places, quiets,
};

const GROUPS: [Option<&str>; 3] = [None, Some("lobby"), Some("street")];
const ALARM: [&str; 2] = ["gate", "hall"];
const PANEL: [&str; 2] = ["main", "side"];
const PEOPLE: [&str; 3] = ["ann", "bob", "eve"];

/// What is so, as far as it was acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    alarms: BTreeMap<&'static str, RingId>,
    fire: bool,
    inside: BTreeSet<&'static str>,
    lockdowns: BTreeSet<Option<&'static str>>,
    quiets: BTreeSet<&'static str>,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Act {
    Alarm(&'static str),
    Fire,
    Lockdown(Option<&'static str>),
    Place(&'static str),
    Quiet(&'static str),
}

fn open(fake: &FakeIo) -> Store {
    let options = Options {
        segment: 8192,
        ..Options::default()
    };
    Store::open(Path::new("/state"), options, fake.clone())
        .expect("opens")
        .0
}

fn at(n: u64) -> Timestamp {
    let second = 1_800_000_000 + i64::try_from(n).expect("few");
    Timestamp::from_second(second).expect("a time")
}

/// splitmix64
fn draw(seed: &mut u64) -> usize {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from((z ^ (z >> 31)) >> 40).expect("24 bits")
}

fn act(seed: &mut u64) -> Act {
    match draw(seed) % 5 {
        0 => Act::Alarm(ALARM[draw(seed) % 2]),
        1 => Act::Lockdown(GROUPS[draw(seed) % 3]),
        2 => Act::Fire,
        3 => Act::Place(PEOPLE[draw(seed) % 3]),
        _ => Act::Quiet(PANEL[draw(seed) % 2]),
    }
}

impl Known {
    /// What is so after it.
    fn after(&self, act: Act, n: u64) -> Self {
        let mut new = self.clone();
        match act {
            Act::Alarm(alarm) => {
                if new.alarms.remove(alarm).is_none() {
                    new.alarms.insert(alarm, RingId::new(n, [7; 10]));
                }
            }
            Act::Fire => new.fire = !new.fire,
            Act::Lockdown(group) => turn(&mut new.lockdowns, group),
            Act::Place(who) => turn(&mut new.inside, who),
            Act::Quiet(panel) => turn(&mut new.quiets, panel),
        }
        new
    }

    /// The event that tells of the act which led here from `before`.
    fn event(&self, act: Act, before: &Self) -> Option<(Event, Option<RingId>)> {
        let subject = Subject::User("eve".to_owned());
        Some(match act {
            Act::Alarm(alarm) => {
                let id = AlarmId::new(alarm).expect("a name");
                match (self.alarms.get(alarm), before.alarms.get(alarm)) {
                    (Some(ring), _) => (Event::Alarm(id, AlarmEvent::Raised { subject }), Some(*ring)),
                    (None, ring) => {
                        let factor = Factor::Web;
                        (
                            Event::Alarm(id, AlarmEvent::Confirmed { factor, subject }),
                            ring.copied(),
                        )
                    }
                }
            }
            Act::Fire => {
                let subject = if self.fire {
                    Subject::Input(smoke())
                } else {
                    subject
                };
                let active = self.fire;
                (Event::Gateway(GatewayEvent::FireAlarm { active, subject }), None)
            }
            Act::Lockdown(group) => {
                let event = GatewayEvent::Lockdown {
                    active: self.lockdowns.contains(&group),
                    group: group.map(named),
                    subject,
                };
                (Event::Gateway(event), None)
            }
            Act::Place(_) => return None,
            Act::Quiet(panel) => {
                let id = PanelId::new(panel).expect("a name");
                let event = if self.quiets.contains(panel) {
                    PanelEvent::QuietBegan {
                        limit_s: None,
                        subject,
                    }
                } else {
                    let why = "command".to_owned();
                    PanelEvent::QuietEnded { why }
                };
                (Event::Panel(id, event), None)
            }
        })
    }

    /// Gives all of it to the records, as the keeper does, and waits for nothing.
    fn keep(&self, store: &Store, n: u64) {
        let lockdowns = self.lockdowns.iter().map(|group| group.map(named)).collect();
        let alarms = self.alarms.iter().map(|(alarm, ring)| KeptAlarm {
            alarm: AlarmId::new(alarm).expect("a name"),
            confirmed: false,
            ring: *ring,
            simulated: false,
        });
        let alarms: Vec<KeptAlarm> = alarms.collect();
        let quiets = self.quiets.iter();
        let quiets = quiets
            .map(|panel| (PanelId::new(panel).expect("a name"), None))
            .collect();
        let burns = self.fire.then(|| KeptFire {
            input: smoke(),
            simulated: false,
        });
        // on a medium that is gone nothing is taken
        let _ = keep_lockdowns(store, &lockdowns, at(n));
        let _ = keep_alarms(store, &alarms);
        let _ = keep_quiets(store, &quiets);
        let _ = keep_fire(store, burns.as_ref(), at(n));
    }

    fn read(store: &Store) -> Self {
        let known = |name: &str, all: &[&'static str]| all.iter().copied().find(|one| *one == name);
        let alarms = alarms::alarms(store).into_iter().filter(|kept| !kept.confirmed);
        let lockdowns = lockdowns::lockdowns(store).into_iter();
        let groups = ["lobby", "street"];
        Self {
            alarms: alarms
                .filter_map(|kept| Some((known(kept.alarm.as_str(), &ALARM)?, kept.ring)))
                .collect(),
            fire: fire::fire(store).is_some_and(|alarm| alarm.input == smoke() && !alarm.simulated),
            inside: places::places(store)
                .iter()
                .filter_map(|place| known(place.who.to_string().strip_prefix("person:")?, &PEOPLE))
                .collect(),
            lockdowns: lockdowns
                .map(|group| group.map(|group| known(group.as_str(), &groups).expect("a group")))
                .collect(),
            quiets: quiets(store)
                .keys()
                .filter_map(|panel| known(panel.as_str(), &PANEL))
                .collect(),
        }
    }
}

fn turn<T: Ord>(all: &mut BTreeSet<T>, one: T) {
    if !all.remove(&one) {
        all.insert(one);
    }
}

fn smoke() -> InputId {
    InputId::new("smoke").expect("a name")
}

fn named(group: &str) -> DoorGroupId {
    DoorGroupId::new(group).expect("a name")
}

/// Does it, and waits until it is acknowledged; nothing if the medium is gone.
async fn done(store: &Store, before: &Known, after: &Known, act: Act, n: u64) -> Option<()> {
    if let Act::Place(who) = act {
        let area = after
            .inside
            .contains(who)
            .then(|| AreaId::new("lab").expect("a name"));
        let place = Place {
            area,
            since: Some(at(n)),
            who: Subject::Person(who.parse().expect("a name")),
        };
        keep_place(store, &place).ok()?.durable().await.ok()?;
        return Some(());
    }
    let (event, ring) = after.event(act, before)?;
    let envelope = Envelope {
        at: at(n),
        event,
        ring,
        simulated: false,
    };
    store.append(envelope).ok()?.durable().await.ok()?;
    Some(())
}

#[tokio::test]
async fn lockdowns_fire_alarms_quiet_bells_and_positions_outlive_a_power_cut_at_any_moment() {
    let (mut cut, mut with_all) = (0, 0);
    for round in 0..200_u64 {
        let mut seed = round;
        let fake = FakeIo::new();
        let store = open(&fake);
        fake.die_at(fake.ops() + 3 + draw(&mut seed) as u64 % 150);
        let mut known = Known::default();
        let mut doubtful = None;
        for n in 1..80 {
            let act = act(&mut seed);
            let after = known.after(act, n);
            let mut health = store.health();
            let step = done(&store, &known, &after, act, n);
            let acknowledged = tokio::select! {
                acknowledged = step => acknowledged,
                _ = health.wait_for(|health| !health.ok) => None,
            };
            if acknowledged.is_none() {
                doubtful = Some(after);
                break;
            }
            known = after;
            // the keeper passes over states that are old already
            if !draw(&mut seed).is_multiple_of(3) {
                known.keep(&store, n);
            }
        }
        cut += u32::from(doubtful.is_some());
        let after = fake.after_power_cut(round);
        store.close();
        let found = Known::read(&open(&after));
        with_all += u32::from(found.alarms.len() + found.lockdowns.len() + found.quiets.len() > 3);
        let may_be = found == known || doubtful.as_ref() == Some(&found);
        assert!(
            may_be,
            "round {round}: {found:#?} instead of {known:#?} or {doubtful:#?}"
        );
    }
    assert!(
        cut > 100 && with_all > 20,
        "{cut} power cuts, {with_all} with much to lose: the test shows nothing"
    );
}
