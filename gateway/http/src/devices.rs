//! Devices of the site file: where they are, what they are for, and what is wrong with them.

use gateway_bus::{DeviceKind, DeviceOutline};
use gateway_core::{DoorId, Fault};
use http::StatusCode;
use serde::Serialize;
use warp::reply::Response;

use crate::access::Rights;
use crate::app::App;
use crate::ask::{Ask, json};
use crate::paging::page;
use crate::problem::Problem;
use crate::wire::{FaultRow, faults};

/// A device of the site file.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Device<'a> {
    /// Its name, of its own among those of its kind; of a board or front end, where it is.
    id: &'a str,
    /// `board` (holds outputs), `controller` (of somebody else, before which the gateway is a reader), `front-end`, `input`, `line`, `output` or `reader`.
    kind: &'static str,
    /// Family of its driver: `gpio`, `modbus`, `osdp`, `virtual`, `wiegand`, …
    driver: &'a str,
    /// Port, address, chip and line, or topic; empty for what is nowhere, and for who has a list of doors.
    place: &'a str,
    /// What it is for: `contact of door front`.
    uses: &'a [String],
    /// Doors that it has a part in.
    doors: Vec<&'a str>,
    /// It exists only in the gateway.
    simulated: bool,
    /// `fault`, or `ok` if nothing is known to be wrong with it. A wire of two ends that is cut is not always noticed.
    state: &'static str,
    /// What is wrong, and what to do.
    faults: Vec<FaultRow<'a>>,
}

/// A page of devices. Who has a list of doors sees those that have a part in one of them, but not where they are: so neither
/// boards nor front ends, which have no other name, nor controllers, whose doors are others.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Devices<'a> {
    devices: Vec<Device<'a>>,
    /// Where the next page is; `null` at the end.
    next: Option<String>,
}

pub(crate) fn devices(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let outline = app.bus.outline();
    let view = app.view();
    let rights = &ask.principal()?.rights;
    let seen = outline.devices.iter().filter(|device| sees(rights, device));
    let paged = page(ask, seen.collect(), position)?;
    let shown = paged.members.into_iter();
    let answer = Devices {
        devices: shown.map(|device| told(device, rights, &view.faults)).collect(),
        next: paged.next,
    };
    json(StatusCode::OK, &answer)
}

/// What they are in order of.
fn position(device: &&DeviceOutline) -> String {
    format!("{}/{}", device.kind.word(), device.id)
}

fn sees(rights: &Rights, device: &DeviceOutline) -> bool {
    let has_name = match device.kind {
        DeviceKind::Board | DeviceKind::Controller | DeviceKind::FrontEnd => false,
        DeviceKind::Input | DeviceKind::Line | DeviceKind::Output | DeviceKind::Reader => true,
    };
    rights.doors.is_none() || has_name && device.doors.iter().any(|door| rights.covers(door))
}

fn told<'a>(device: &'a DeviceOutline, rights: &Rights, all: &'a [Fault]) -> Device<'a> {
    let own: Vec<FaultRow<'a>> = all
        .iter()
        .filter(|fault| device.parts.contains(&fault.part))
        .flat_map(|fault| faults(std::slice::from_ref(fault)))
        .collect();
    let doors = device.doors.iter().filter(|door| rights.covers(door));
    Device {
        id: &device.id,
        kind: device.kind.word(),
        driver: device.driver,
        place: if rights.doors.is_none() { &device.place } else { "" },
        uses: if rights.doors.is_none() { &device.uses } else { &[] },
        doors: doors.map(DoorId::as_str).collect(),
        simulated: device.simulated,
        state: if own.is_empty() { "ok" } else { "fault" },
        faults: own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> DeviceOutline {
        DeviceOutline {
            doors: vec!["front".parse().expect("a name"), "back".parse().expect("a name")],
            driver: "osdp",
            id: "hall".into(),
            kind: DeviceKind::Reader,
            parts: vec!["device:reader-hall".into(), "device:osdp-ttyS1".into()],
            place: "/dev/ttyS1 address 3".into(),
            simulated: false,
            uses: vec!["reader of door front".into()],
        }
    }

    #[test]
    fn the_exact_text_of_a_device_with_a_fault_of_its_line() {
        let fault = |part: &str, text: &str| Fault {
            part: part.into(),
            text: text.into(),
        };
        let all = [
            fault("device:reader-hall-2", "another one"),
            fault("device:osdp-ttyS1", "no such port; plug it in"),
        ];
        let device = reader();
        let text = serde_json::to_string(&told(&device, &Rights::admin(), &all)).expect("serialises");
        assert_eq!(
            text,
            r#"{"id":"hall","kind":"reader","driver":"osdp","place":"/dev/ttyS1 address 3","uses":["reader of door front"],"doors":["front","back"],"simulated":false,"state":"fault","faults":[{"part":"device:osdp-ttyS1","text":"no such port; plug it in"}]}"#
        );
        assert_eq!(told(&device, &Rights::admin(), &[]).state, "ok");
    }

    #[test]
    fn who_has_one_door_sees_its_devices_and_no_other_door_of_them() {
        let rights = |doors: &[&str]| {
            let doors: Vec<String> = doors.iter().map(|s| (*s).to_owned()).collect();
            Rights::read(&["read".into()], Some(&doors)).expect("reads")
        };
        let device = reader();
        assert!(!sees(&rights(&["garage"]), &device));
        let mine = rights(&["front"]);
        assert!(sees(&mine, &device));
        let shown = told(&device, &mine, &[]);
        assert_eq!(shown.doors, ["front"]);
        assert!(shown.uses.is_empty(), "it tells of other doors");
        assert_eq!(
            shown.place, "",
            "ports and paths of the machine are not theirs to know"
        );
        for kind in [DeviceKind::Board, DeviceKind::Controller, DeviceKind::FrontEnd] {
            let board = DeviceOutline {
                id: "/dev/ttyUSB0".into(),
                kind,
                ..reader()
            };
            assert!(!sees(&mine, &board) && sees(&Rights::admin(), &board));
        }
    }
}
