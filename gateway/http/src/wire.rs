//! The JSON of views. Core types are not serialisable; these are, and their text is tested.

use std::time::Duration;

use gateway_core::{
    AlarmView, CallView, DoorGroupId, DoorId, DoorView, Fault, Instant, LockdownView, PanelView, SiteView,
};
use serde::Serialize;

use crate::access::{Rights, Scope};

/// A door.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Door<'a> {
    id: &'a str,
    name: &'a str,
    lock: &'static str,
    lockdown: bool,
    contact: &'static str,
    available: bool,
    forced: bool,
    held_open: bool,
    /// It is held open on purpose; null if it is not.
    hold: Option<Hold>,
    owned: bool,
    /// Milliseconds until the running pulse ends.
    pulse_left_ms: Option<u64>,
    simulated: bool,
    /// May the one who asks open it?
    may_open: bool,
    /// For how many minutes the one who asks may hold it open; null if not at all.
    may_hold_minutes: Option<u64>,
    /// May the one who asks end that?
    may_end_hold: bool,
}

/// Why a door is held open.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Hold {
    /// By its schedule, for as long as that is in force.
    schedule: bool,
    /// By a command, for so many milliseconds from now.
    left_ms: Option<u64>,
}

/// Doors that can be locked down together; without a group the whole site.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Lockdown<'a> {
    group: Option<&'a str>,
    name: &'a str,
    doors: Vec<&'a str>,
    active: bool,
    /// May the one who asks begin and end it?
    may_lock: bool,
}

/// The fire input of the building.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Fire {
    /// The level of its input.
    active: bool,
    /// Doors open for fire until an operator resets it.
    alarm: bool,
    /// May the one who asks reset it?
    may_reset: bool,
}

/// An alarm of the site file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Alarm<'a> {
    id: &'a str,
    name: &'a str,
    /// `rest`; `calling` or `waiting` while somebody is, or is about to be, called; `unconfirmed` when nobody is called any
    /// more; `confirmed` while its input is active still.
    #[cfg_attr(test, schemars(extend("enum" = ["calling", "confirmed", "rest", "unconfirmed", "waiting"])))]
    state: &'static str,
    ring_id: Option<String>,
    /// May the one who asks confirm it? Not while there is nothing to confirm.
    may_confirm: bool,
}

/// A panel.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Panel<'a> {
    id: &'a str,
    name: &'a str,
    line: &'a str,
    doors: Vec<&'a str>,
    /// What may be announced at it.
    announcements: Vec<Named<'a>>,
    buttons: Vec<Named<'a>>,
    ring_id: Option<String>,
    /// Do-not-disturb: its bells call nobody, by a command; null if they do.
    quiet: Option<Quiet>,
    /// Ring-to-open: who rings is let in, by a command; null if not.
    ring_to_open: Option<RingToOpen>,
    simulated: bool,
    /// May the one who asks have an announcement heard?
    may_announce: bool,
    /// May the one who asks have it call those of its buttons, though nobody rings?
    may_call: bool,
    /// May the one who asks press its buttons?
    may_press: bool,
    /// May the one who asks begin and end its do-not-disturb?
    may_quiet: bool,
    /// For how many minutes the one who asks may let in who rings; null if not at all.
    may_ring_to_open_minutes: Option<u64>,
}

/// Do-not-disturb of a panel.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Quiet {
    /// For so many milliseconds from now; null until a command ends it.
    left_ms: Option<u64>,
}

/// Ring-to-open of a panel.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RingToOpen {
    /// For so many milliseconds from now.
    left_ms: u64,
}

/// Id and name for people.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Named<'a> {
    id: &'a str,
    name: &'a str,
}

/// A call.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Call<'a> {
    ring_id: String,
    panel: Option<&'a str>,
    parties: &'a [String],
    /// Names of the parties, as contacts and directory have them; empty for others.
    names: &'a [String],
    state: &'static str,
    /// May the one who asks end it?
    may_hang_up: bool,
}

/// A registration, or a line.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Part<'a> {
    id: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
}

/// A fault: its part, the cause and what to do.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Fault"))]
pub(crate) struct FaultRow<'a> {
    part: &'a str,
    text: &'a str,
}

/// The whole picture, as far as the one who asks may see it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct View<'a> {
    site: Option<&'a str>,
    name: &'a str,
    instance: &'a str,
    generation: u64,
    seq: u64,
    doors: Vec<Door<'a>>,
    /// Alarms; those only see them who have all doors.
    alarms: Vec<Alarm<'a>>,
    /// Null without a fire input.
    fire: Option<Fire>,
    /// Areas with anti-passback; those only see them who have all doors.
    areas: Vec<&'a str>,
    /// May the one who asks forget who is in them?
    may_reset_passback: bool,
    lockdowns: Vec<Lockdown<'a>>,
    panels: Vec<Panel<'a>>,
    calls: Vec<Call<'a>>,
    lines: Vec<Part<'a>>,
    accounts: Vec<Part<'a>>,
    faults: Vec<FaultRow<'a>>,
}

pub(crate) fn door<'a>(door: &'a DoorView, rights: &Rights, now: Instant) -> Door<'a> {
    let left = door.pulse_until.map(|until| millis(until.since(now)));
    let may_end = rights.allows(Scope::Operate) && rights.covers(&door.id);
    let may_hold = may_end && rights.allows(Scope::Open);
    Door {
        id: door.id.as_str(),
        name: &door.name,
        lock: door.lock.word(),
        lockdown: door.lockdown,
        contact: door.contact.word(),
        available: door.available,
        forced: door.forced,
        held_open: door.held_open,
        hold: door.hold.map(|hold| Hold {
            schedule: hold.schedule,
            left_ms: hold.until.map(|until| millis(until.since(now))),
        }),
        owned: door.owned,
        pulse_left_ms: left,
        simulated: door.simulated,
        may_open: rights.allows(Scope::Open) && rights.covers(&door.id),
        may_hold_minutes: door
            .hold_limit
            .filter(|_| may_hold)
            .map(|limit| limit.as_secs() / 60),
        may_end_hold: may_end,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn doors<'a>(view: &'a SiteView, rights: &Rights, now: Instant) -> Vec<Door<'a>> {
    let shown = view.doors.iter().filter(|d| rights.covers(&d.id));
    shown.map(|d| door(d, rights, now)).collect()
}

/// Who has a list of doors sees a lockdown that is about one of them, and may do it if all are on the list.
pub(crate) fn may_lock(lockdown: &LockdownView, rights: &Rights) -> bool {
    let all = match lockdown.group {
        None => rights.doors.is_none(),
        Some(_) => lockdown.doors.iter().all(|door| rights.covers(door)),
    };
    rights.allows(Scope::Operate) && all
}

pub(crate) fn lockdowns<'a>(view: &'a SiteView, rights: &Rights) -> Vec<Lockdown<'a>> {
    let shown = view.lockdowns.iter();
    let shown = shown.filter(|l| rights.doors.is_none() || l.doors.iter().any(|door| rights.covers(door)));
    let one = |l: &'a LockdownView| Lockdown {
        group: l.group.as_ref().map(DoorGroupId::as_str),
        name: &l.name,
        doors: l
            .doors
            .iter()
            .filter(|door| rights.covers(door))
            .map(DoorId::as_str)
            .collect(),
        active: l.active,
        may_lock: may_lock(l, rights),
    };
    shown.map(one).collect()
}

/// Areas belong to no door.
fn areas<'a>(view: &'a SiteView, rights: &Rights) -> Vec<&'a str> {
    let shown = view.areas.iter().filter(|_| rights.doors.is_none());
    shown.map(gateway_core::AreaId::as_str).collect()
}

/// Alarms belong to no door.
fn alarms<'a>(view: &'a SiteView, rights: &Rights) -> Vec<Alarm<'a>> {
    let shown = view.alarms.iter().filter(|_| rights.doors.is_none());
    let one = |alarm: &'a AlarmView| Alarm {
        id: alarm.id.as_str(),
        name: &alarm.name,
        state: alarm.state.word(),
        ring_id: alarm.ring.map(|ring| ring.to_string()),
        may_confirm: alarm.state.is_raised() && rights.allows(Scope::Operate),
    };
    shown.map(one).collect()
}

fn panel<'a>(panel: &'a PanelView, rights: &Rights, now: Instant) -> Panel<'a> {
    let named = |(id, name): &'a (gateway_core::ButtonId, String)| Named {
        id: id.as_str(),
        name,
    };
    Panel {
        id: panel.id.as_str(),
        name: &panel.name,
        line: panel.line.as_str(),
        doors: panel
            .doors
            .iter()
            .filter(|d| rights.covers(d))
            .map(gateway_core::DoorId::as_str)
            .collect(),
        announcements: panel
            .announcements
            .iter()
            .map(|(id, name)| Named {
                id: id.as_str(),
                name,
            })
            .collect(),
        buttons: panel.buttons.iter().map(named).collect(),
        ring_id: panel.ring.map(|r| r.to_string()),
        quiet: panel.quiet.map(|quiet| Quiet {
            left_ms: quiet.until.map(|until| millis(until.since(now))),
        }),
        ring_to_open: panel.ring_to_open.map(|opens| RingToOpen {
            left_ms: millis(opens.until.since(now)),
        }),
        simulated: panel.simulated,
        may_announce: !panel.announcements.is_empty() && rights.allows(Scope::Operate),
        may_call: panel.callable && rights.allows(Scope::Operate),
        may_press: panel.simulated && rights.allows(Scope::Operate),
        may_quiet: rights.allows(Scope::Operate),
        may_ring_to_open_minutes: panel
            .ring_to_open_limit
            .filter(|_| {
                rights.allows(Scope::Open) && rights.allows(Scope::Operate) && rights.covers_all_of(panel)
            })
            .map(|limit| limit.as_secs() / 60),
    }
}

/// True if the call is at a panel that may be seen.
pub(crate) fn shows_call(view: &SiteView, rights: &Rights, call: &CallView) -> bool {
    rights.doors.is_none()
        || view
            .panels
            .iter()
            .any(|p| call.panel.as_ref() == Some(&p.id) && rights.covers_panel(p))
}

pub(crate) fn calls<'a>(view: &'a SiteView, rights: &Rights) -> Vec<Call<'a>> {
    let shown = view.calls.iter().filter(|c| shows_call(view, rights, c));
    let call = |c: &'a CallView| Call {
        ring_id: c.ring.to_string(),
        panel: c.panel.as_ref().map(gateway_core::PanelId::as_str),
        parties: &c.parties,
        names: &c.names,
        state: c.state,
        may_hang_up: rights.allows(Scope::Operate),
    };
    shown.map(call).collect()
}

pub(crate) fn faults(faults: &[Fault]) -> Vec<FaultRow<'_>> {
    faults
        .iter()
        .map(|f| FaultRow {
            part: &f.part,
            text: &f.text,
        })
        .collect()
}

pub(crate) fn view<'a>(site: &'a SiteView, rights: &Rights, now: Instant) -> View<'a> {
    let panels = site.panels.iter().filter(|p| rights.covers_panel(p));
    View {
        site: site.site.as_ref().map(gateway_core::SiteId::as_str),
        name: &site.name,
        instance: &site.instance,
        generation: site.generation,
        seq: site.seq.0,
        doors: doors(site, rights, now),
        alarms: alarms(site, rights),
        fire: site.fire.map(|fire| Fire {
            active: fire.active,
            alarm: fire.alarm,
            may_reset: rights.allows(Scope::Operate) && rights.doors.is_none(),
        }),
        areas: areas(site, rights),
        may_reset_passback: rights.allows(Scope::Operate) && !areas(site, rights).is_empty(),
        lockdowns: lockdowns(site, rights),
        panels: panels.map(|p| panel(p, rights, now)).collect(),
        calls: calls(site, rights),
        lines: site
            .lines
            .iter()
            .map(|l| Part {
                id: l.id.as_str(),
                state: l.state.word(),
                detail: "",
            })
            .collect(),
        accounts: site
            .accounts
            .iter()
            .map(|a| Part {
                id: a.id.as_str(),
                state: a.state.word(),
                detail: &a.detail,
            })
            .collect(),
        faults: faults(&site.faults),
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::{
        AlarmId, AlarmState, AnnouncementId, ButtonId, ContactState, HoldView, LineId, LockState, PanelId,
        RingId, Seq,
    };

    use super::*;

    fn site() -> SiteView {
        let front = DoorId::new("front").expect("a name");
        let panel = PanelId::new("main").expect("a name");
        SiteView {
            alarms: vec![AlarmView {
                id: AlarmId::new("intrusion").expect("a name"),
                name: "Warehouse".into(),
                ring: Some(RingId::new(1, [0; 10])),
                state: AlarmState::Calling,
            }],
            calls: vec![CallView {
                names: vec!["Reception".into()],
                parties: vec!["sip:1000@pbx".into()],
                ring: RingId::new(1, [0; 10]),
                panel: Some(panel.clone()),
                state: "talking",
            }],
            doors: vec![DoorView {
                available: true,
                contact: ContactState::Closed,
                forced: false,
                held_open: false,
                hold: Some(HoldView {
                    schedule: true,
                    until: Some(Instant::from_nanos(63_000_000_000)),
                }),
                hold_limit: Some(Duration::from_secs(7200)),
                hold_scheduled: true,
                id: front.clone(),
                lock: LockState::Unlocked,
                lockdown: false,
                works: true,
                name: "Main entrance".into(),
                owned: true,
                readers: Vec::new(),
                pulse_until: Some(Instant::from_nanos(5_000_000_000)),
                simulated: true,
                tamper: None,
            }],
            fire: Some(gateway_core::FireView {
                active: false,
                alarm: true,
            }),
            faults: vec![Fault {
                part: "mqtt".into(),
                text: "broker away; start it".into(),
            }],
            areas: vec!["lab".parse().expect("a name")],
            lockdowns: vec![LockdownView {
                active: true,
                doors: vec![front.clone()],
                group: DoorGroupId::new("street").ok(),
                name: "Street side".into(),
            }],
            name: "12 rue des Lilas".into(),
            panels: vec![PanelView {
                quiet: Some(gateway_core::QuietView {
                    until: Some(Instant::from_nanos(63_000_000_000)),
                }),
                announcements: vec![(
                    AnnouncementId::new("lift").expect("a name"),
                    "The lift is out of order".into(),
                )],
                buttons: vec![(ButtonId::new("bell").expect("a name"), "Bell".into())],
                callable: true,
                doors: vec![front],
                id: panel,
                line: LineId::new("riser").expect("a name"),
                name: "Main".into(),
                ring: None,
                ring_to_open: Some(gateway_core::RingToOpenView {
                    date: gateway_core::Timestamp::UNIX_EPOCH,
                    until: Instant::from_nanos(63_000_000_000),
                }),
                ring_to_open_limit: Some(Duration::from_secs(7200)),
                simulated: true,
            }],
            seq: Seq(9),
            ..SiteView::default()
        }
    }

    #[test]
    fn the_exact_text_of_a_view() {
        let now = Instant::from_nanos(3_000_000_000);
        let site = site();
        let text = serde_json::to_string(&view(&site, &Rights::admin(), now)).expect("serialises");
        assert_eq!(
            text,
            r#"{"site":null,"name":"12 rue des Lilas","instance":"","generation":0,"seq":9,"doors":[{"id":"front","name":"Main entrance","lock":"unlocked","lockdown":false,"contact":"closed","available":true,"forced":false,"held_open":false,"hold":{"schedule":true,"left_ms":60000},"owned":true,"pulse_left_ms":2000,"simulated":true,"may_open":true,"may_hold_minutes":120,"may_end_hold":true}],"alarms":[{"id":"intrusion","name":"Warehouse","state":"calling","ring_id":"00000000-0001-7000-8000-000000000000","may_confirm":true}],"fire":{"active":false,"alarm":true,"may_reset":true},"areas":["lab"],"may_reset_passback":true,"lockdowns":[{"group":"street","name":"Street side","doors":["front"],"active":true,"may_lock":true}],"panels":[{"id":"main","name":"Main","line":"riser","doors":["front"],"announcements":[{"id":"lift","name":"The lift is out of order"}],"buttons":[{"id":"bell","name":"Bell"}],"ring_id":null,"quiet":{"left_ms":60000},"ring_to_open":{"left_ms":60000},"simulated":true,"may_announce":true,"may_call":true,"may_press":true,"may_quiet":true,"may_ring_to_open_minutes":120}],"calls":[{"ring_id":"00000000-0001-7000-8000-000000000000","panel":"main","parties":["sip:1000@pbx"],"names":["Reception"],"state":"talking","may_hang_up":true}],"lines":[],"accounts":[],"faults":[{"part":"mqtt","text":"broker away; start it"}]}"#
        );
    }

    #[test]
    fn a_lockdown_is_done_by_who_may_operate_all_of_its_doors() {
        let rights = |scopes: &[&str], doors: Option<&[&str]>| {
            let owned = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            Rights::read(&owned(scopes), doors.map(owned).as_deref()).expect("reads")
        };
        let group = LockdownView {
            active: false,
            doors: vec![
                DoorId::new("front").expect("a name"),
                DoorId::new("back").expect("a name"),
            ],
            group: DoorGroupId::new("street").ok(),
            name: String::new(),
        };
        let site = LockdownView {
            group: None,
            ..group.clone()
        };
        for (scopes, doors, of_group, of_site) in [
            (&["operate"][..], None, true, true),
            (&["admin"], None, true, true),
            (&["read", "open"], None, false, false),
            (&["operate"], Some(&["front", "back"][..]), true, false),
            (&["operate"], Some(&["front"]), false, false),
        ] {
            let rights = rights(scopes, doors);
            assert_eq!(
                (may_lock(&group, &rights), may_lock(&site, &rights)),
                (of_group, of_site),
                "{scopes:?} {doors:?}"
            );
        }
    }

    #[test]
    fn an_alarm_is_confirmed_by_who_may_operate_all_doors_and_only_while_it_is_raised() {
        let mut site = site();
        let seen = |site: &SiteView, scopes: &[&str], doors: Option<&[&str]>| {
            let owned = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            let rights = Rights::read(&owned(scopes), doors.map(owned).as_deref()).expect("reads");
            let alarms = alarms(site, &rights);
            alarms.first().map(|alarm| alarm.may_confirm)
        };
        assert_eq!(seen(&site, &["operate"], None), Some(true));
        assert_eq!(seen(&site, &["read", "open"], None), Some(false));
        assert_eq!(seen(&site, &["operate"], Some(&["front"])), None);
        for (state, may) in [
            (AlarmState::Confirmed, false),
            (AlarmState::Rest, false),
            (AlarmState::Unconfirmed, true),
            (AlarmState::Waiting, true),
        ] {
            site.alarms[0].state = state;
            assert_eq!(seen(&site, &["operate"], None), Some(may), "{state:?}");
        }
    }

    #[test]
    fn who_has_other_doors_sees_neither_door_nor_panel_nor_call() {
        let rights = Rights::read(&["read".into()], Some(&["back".into()])).expect("reads");
        let site = site();
        let shown = view(&site, &rights, Instant::ZERO);
        assert!(
            shown.doors.is_empty()
                && shown.alarms.is_empty()
                && shown.lockdowns.is_empty()
                && shown.panels.is_empty()
                && shown.calls.is_empty()
        );
    }
}
