//! Shared parts of the tests, and tests of the whole interface against real brokers.

mod broker;
mod peers;
mod signed;
mod truth;
mod version;
mod whole;

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{
    AccountId, AccountState, AccountView, AlarmId, AlarmState, AlarmView, AnnouncementId, ButtonId,
    ContactState, DoorGroupId, DoorId, DoorView, Fault, FireView, HoldView, Instant, LineId, LineState,
    LineView, LockState, LockdownView, PanelId, PanelView, ReaderId, RelayId, RelayView, RingId,
    RingToOpenView, Seq, SiteId, SiteView,
};

use crate::{DiscoveryFormat, MqttDiscovery, MqttExtension, MqttParams, MqttVersion};

pub(crate) fn params(port: u16) -> MqttParams {
    MqttParams {
        accept_untimed: false,
        base: "doorline".into(),
        code_needed: false,
        host: "127.0.0.1".into(),
        port,
        command_ttl: Duration::from_secs(10),
        confidential: false,
        devices: Vec::new(),
        discovery: Some(MqttDiscovery {
            format: DiscoveryFormat::Device,
            people: false,
            pictures: false,
            prefix: "homeassistant".into(),
            tags: false,
        }),
        extensions: vec![
            MqttExtension {
                account: Some((AccountId::new("pbx").expect("a name"), "pbx.example".into())),
                panel: PanelId::new("main").expect("a name"),
                user: "503".into(),
            },
            MqttExtension {
                account: None,
                panel: PanelId::new("main").expect("a name"),
                user: "front".into(),
            },
        ],
        instance: "00112233445566778899aabbccddeeff".into(),
        keys: BTreeMap::new(),
        language: "fr".into(),
        signed_only: false,
        site_address: "12 rue des Lilas, 38000 Grenoble".into(),
        site_id: SiteId::new("lilas").expect("a name"),
        site_name: "12 rue des Lilas".into(),
        site_number: "041234567".into(),
        tls: None,
        login: None,
        page: Some("https://192.0.2.1/".into()),
        press: false,
        protocol: MqttVersion::Auto,
        version: "0.1.0".into(),
    }
}

fn relay(id: &str, function: &'static str, text: &str) -> RelayView {
    RelayView {
        active: !text.is_empty(),
        function,
        id: RelayId::new(id).expect("a name"),
        text: text.into(),
    }
}

pub(crate) fn view() -> SiteView {
    let front = DoorId::new("front").expect("a name");
    let riser = LineId::new("riser").expect("a name");
    SiteView {
        accounts: vec![AccountView {
            detail: "403 Forbidden".into(),
            id: AccountId::new("pbx").expect("a name"),
            state: AccountState::Failed,
        }],
        alarms: vec![AlarmView {
            id: AlarmId::new("intrusion").expect("a name"),
            name: "Warehouse".into(),
            ring: Some(RingId::new(1, [0; 10])),
            state: AlarmState::Waiting,
        }],
        areas: Vec::new(),
        calls: Vec::new(),
        lasting: gateway_core::Lasting::default(),
        relays: vec![
            relay("network", "network-fault", "no address"),
            relay("siren", "command", ""),
        ],
        doors: vec![
            DoorView {
                available: true,
                contact: ContactState::Closed,
                forced: false,
                held_open: false,
                hold: None,
                hold_limit: Some(Duration::from_secs(7200)),
                hold_scheduled: false,
                id: front.clone(),
                lock: LockState::Locked,
                lockdown: false,
                works: true,
                name: "Main entrance".into(),
                owned: true,
                pulse_until: None,
                readers: vec![ReaderId::new("street").expect("a name")],
                simulated: true,
                tamper: Some(false),
            },
            DoorView {
                available: false,
                contact: ContactState::Unknown,
                forced: false,
                held_open: false,
                hold: Some(HoldView {
                    schedule: true,
                    until: None,
                }),
                hold_limit: None,
                hold_scheduled: true,
                id: DoorId::new("yard").expect("a name"),
                lock: LockState::Unknown,
                lockdown: true,
                name: "Yard".into(),
                owned: false,
                pulse_until: None,
                readers: Vec::new(),
                simulated: false,
                tamper: None,
                works: true,
            },
        ],
        fire: Some(FireView {
            active: false,
            alarm: true,
        }),
        faults: vec![Fault {
            part: "account:pbx".into(),
            text: "403 Forbidden".into(),
        }],
        generation: 3,
        instance: "00112233445566778899aabbccddeeff".into(),
        lines: vec![LineView {
            id: riser.clone(),
            state: LineState::Idle,
        }],
        lockdowns: vec![
            LockdownView {
                active: false,
                doors: vec![front.clone()],
                group: None,
                name: "12 rue des Lilas".into(),
            },
            LockdownView {
                active: true,
                doors: vec![DoorId::new("yard").expect("a name")],
                group: Some(DoorGroupId::new("street").expect("a name")),
                name: "Street side".into(),
            },
        ],
        name: "12 rue des Lilas".into(),
        panels: vec![PanelView {
            quiet: None,
            announcements: vec![(
                AnnouncementId::new("lift").expect("a name"),
                "The lift is out of order".into(),
            )],
            buttons: vec![(ButtonId::new("bell").expect("a name"), "Bell".into())],
            callable: true,
            doors: vec![front],
            id: PanelId::new("main").expect("a name"),
            line: riser,
            name: "Street".into(),
            ring: None,
            ring_to_open: Some(RingToOpenView {
                date: "2026-03-01T12:00:00.9Z".parse().expect("a date"),
                until: Instant::from_nanos(1),
            }),
            ring_to_open_limit: Some(std::time::Duration::from_secs(7200)),
            simulated: true,
        }],
        ports: vec![],
        seq: Seq(0),
        site: Some(SiteId::new("lilas").expect("a name")),
    }
}
