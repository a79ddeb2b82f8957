//! Lines and doors of front ends, and apartments: what the line cannot do is refused by name.

use gateway_core::LineId;
use gateway_panel::{FramePattern, Profile};

use super::Check;
use super::resource::{Alike, Claims, Ports};
use crate::fault::FaultKind;
use crate::model::{
    Config, ControllerDriver, FrontEndDoor, FrontEndLine, Line, LineDriver, OutputDriver, Panel, ReaderDriver,
};
use crate::value::{CallIn, ContactKey, Duty, LockOwner, OpenWhen};

/// Longest name of a panel with apartments: those of its lists begin with it.
const LONGEST: usize = 24;

fn lines(config: &Config) -> impl Iterator<Item = (&LineId, &Line, &FrontEndLine)> {
    config.lines.iter().filter_map(|(id, line)| match &line.driver {
        LineDriver::FrontEnd(of) => Some((id, line, &**of)),
        LineDriver::Contact(_) | LineDriver::Virtual(_) => None,
    })
}

fn doors(config: &Config) -> impl Iterator<Item = (String, &gateway_core::OutputId, &FrontEndDoor)> {
    config
        .outputs
        .iter()
        .filter_map(|(id, output)| match &output.driver {
            OutputDriver::FrontEnd(of) => Some((format!("outputs.{id}.front-end"), id, of)),
            OutputDriver::Dcttech(_)
            | OutputDriver::Gpio(_)
            | OutputDriver::Http(_)
            | OutputDriver::Kmtronic(_)
            | OutputDriver::Lcus1(_)
            | OutputDriver::Modbus(_)
            | OutputDriver::Mqtt(_)
            | OutputDriver::Numato(_)
            | OutputDriver::Osdp(_)
            | OutputDriver::Virtual(_) => None,
        })
}

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, line, of) in lines(config) {
        let at = format!("lines.{id}.front-end");
        named_once(check, &at, of);
        if let Some(profile) = of.panel_profile() {
            abilities(check, id, line, profile);
            bus(check, &at, of, profile);
        }
        if of.mute_chime && of.mute_output.is_none() {
            let text = "no output keeps the handset from chiming".to_owned();
            let hint = "add mute-output, or remove it";
            check.fault(FaultKind::Conflict, &format!("{at}.mute-chime"), &[], text, hint);
        }
    }
    for (at, id, of) in doors(config) {
        door(check, &at, id, of);
    }
    for (id, panel) in &config.panels {
        apartments(check, id.as_str(), panel);
    }
    for (id, reader) in &config.readers {
        if let ReaderDriver::FrontEndKeys(of) = &reader.driver {
            let at = format!("readers.{id}.front-end-keys");
            keys(check, &at, &of.keys, of.pull_output.is_some());
        }
    }
}

/// Which keys count: each kind once, and one that has to be asked needs somebody who asks.
fn keys(check: &mut Check<'_>, at: &str, keys: &[ContactKey], pulled: bool) {
    let (list, pull) = (format!("{at}.keys"), format!("{at}.pull-output"));
    for (index, key) in keys.iter().enumerate() {
        if keys.iter().take(index).any(|before| before == key) {
            let text = format!("{:?} is named twice", key.word());
            let at = format!("{list}[{index}]");
            check.fault(FaultKind::Duplicate, &at, &[], text, "allowed: each kind once");
        }
    }
    match (keys.contains(&ContactKey::Ds1990a), pulled) {
        (true, false) => {
            let text = "a DS1990A says nothing unless it is asked, and no output pulls its wire".to_owned();
            let hint = "add pull-output, or take ds1990a out of keys";
            check.fault(FaultKind::Missing, &list, &[&pull], text, hint);
        }
        (false, true) => {
            let text = "no key that counts is asked by it".to_owned();
            let hint = "remove it, or add \"ds1990a\" to keys";
            check.fault(FaultKind::Conflict, &pull, &[&list], text, hint);
        }
        (true, true) | (false, false) => {}
    }
}

fn named_once(check: &mut Check<'_>, at: &str, of: &FrontEndLine) {
    let (named, own) = (format!("{at}.profile"), format!("{at}.own-profile"));
    match (&of.profile, &of.own_profile) {
        (Some(_), Some(_)) => {
            let text = "the line has a profile of the program and one of its own".to_owned();
            let hint = "allowed: one of profile and own-profile";
            check.fault(FaultKind::Conflict, &own, &[&named], text, hint);
        }
        (None, None) => {
            let text = "nothing says what kind of line it is".to_owned();
            let hint = "needed: profile = \"…\", as doorline panel list shows them, or own-profile";
            check.fault(FaultKind::Missing, at, &[&named, &own], text, hint);
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
}

/// Who the line is on its bus: needed where it talks in frames, and nothing elsewhere.
fn bus(check: &mut Check<'_>, at: &str, of: &FrontEndLine, profile: &Profile) {
    let title = &profile.title;
    let (address, station) = (format!("{at}.bus-address"), format!("{at}.bus-station"));
    let numbers = profile.patterns().any(FramePattern::has_station);
    if of.bus_station.is_some() && !numbers {
        let text = format!("{title:?} does not number door stations");
        check.fault(FaultKind::Conflict, &station, &[], text, "remove it");
    }
    let addressed = profile.patterns().filter(|of| of.has_address());
    let most = addressed.map(FramePattern::most).min();
    match (most, of.bus_address) {
        (None, Some(_)) if profile.frame_input().is_some() => {
            let text = format!("the frames of {title:?} are named whole, and say nobody's address");
            let hint = "remove it, or write @ in the profile where the address is";
            check.fault(FaultKind::Conflict, &address, &[], text, hint);
        }
        (None, Some(_)) => {
            let text = format!("{title:?} does not talk in frames");
            let hint = "allowed: on a line whose profile rings by frames";
            check.fault(FaultKind::Conflict, &address, &[], text, hint);
        }
        (Some(_), None) => {
            if !check.is_written(&address) {
                let text =
                    format!("{title:?} says in frames whom it rings, and nothing says who this line is");
                let hint =
                    "needed: bus-address, the address or serial number of the handset whose place it takes";
                check.fault(FaultKind::Missing, at, &[&address], text, hint);
            }
        }
        (Some(most), Some(found)) if found > most => {
            let text = format!("frames of {title:?} have no address {found}");
            let hint = format!("allowed: 0 to {most}");
            check.fault(FaultKind::Conflict, &address, &[], text, &hint);
        }
        (None, None) | (Some(_), Some(_)) => {}
    }
}

/// What is asked of a line, and what its kind can do.
fn abilities(check: &mut Check<'_>, id: &LineId, line: &Line, profile: &Profile) {
    let title = &profile.title;
    if line.call_in == CallIn::SelfStart && profile.can.call_in == gateway_panel::CallIn::None {
        let text = format!("{title:?} cannot open its talk path without a ring");
        let at = format!("lines.{id}.call-in");
        check.fault(FaultKind::Conflict, &at, &[], text, "allowed: none");
    }
    let wanted = match line.open_when {
        OpenWhen::Always => gateway_panel::OpenWhen::Always,
        OpenWhen::OffHook => gateway_panel::OpenWhen::OffHook,
        OpenWhen::Ringing => gateway_panel::OpenWhen::Ringing,
    };
    let at = format!("lines.{id}.open-when");
    let can = profile.can.open_when;
    if wanted > can && check.is_written(&at) {
        let text = format!("{title:?} opens its door {} only", can.word());
        let hint = format!("allowed: {}; left out, it is what the line can do", can.word());
        check.fault(FaultKind::Conflict, &at, &[], text, &hint);
    }
}

fn door(check: &mut Check<'_>, at: &str, id: &gateway_core::OutputId, of: &FrontEndDoor) {
    let config = check.config;
    let line_at = format!("{at}.line");
    let line = match config.lines.get(&of.line).map(|line| &line.driver) {
        None => return,
        Some(LineDriver::FrontEnd(line)) => line,
        Some(LineDriver::Contact(_) | LineDriver::Virtual(_)) => {
            let text = format!("line {:?} is on no front end", of.line.as_str());
            let hint = "allowed: the name of a line with a front-end table";
            check.fault(FaultKind::Conflict, &line_at, &[], text, hint);
            return;
        }
    };
    let Some(profile) = line.panel_profile() else {
        return;
    };
    if profile.door.is_none() {
        let text = format!("{:?} has no door that its line could open", profile.title);
        let hint = "allowed: a line whose profile has one; or another output";
        check.fault(FaultKind::Conflict, &line_at, &[], text, hint);
    }
    for (door, of) in config
        .doors
        .iter()
        .filter(|(_, door)| door.output.as_ref() == Some(id))
    {
        if of.duty == Duty::Continuous {
            let text = "a door of a front end is pressed, and not held open".to_owned();
            let key = format!("doors.{door}.duty");
            check.fault(FaultKind::Conflict, &key, &[], text, "allowed: pulse");
        }
        let owner = format!("doors.{door}.lock-owner");
        let (wanted, word) = match profile.can.lock_owner {
            gateway_panel::LockOwner::Gateway => (LockOwner::Gateway, "gateway"),
            gateway_panel::LockOwner::Panel => (LockOwner::Panel, "panel"),
        };
        if of.lock_owner != wanted {
            let text = format!("the lock that {:?} opens is the {word}'s", profile.title);
            let hint = format!("needed: lock-owner = \"{word}\"");
            let owner = if check.is_written(&owner) {
                owner
            } else {
                format!("doors.{door}")
            };
            check.fault(FaultKind::Conflict, &owner, &[], text, &hint);
        }
    }
}

fn apartments(check: &mut Check<'_>, id: &str, panel: &Panel) {
    let at = format!("panels.{id}.apartments");
    let line = check.config.lines.get(&panel.line).map(|line| &line.driver);
    let profile = match line {
        Some(LineDriver::FrontEnd(of)) => of.panel_profile(),
        Some(LineDriver::Contact(_) | LineDriver::Virtual(_)) | None => None,
    };
    let names = profile.is_some_and(Profile::names_apartments);
    let Some(apartments) = &panel.apartments else {
        if names && !check.is_written(&at) {
            let text = "its line says which apartment it rings, and nothing says which are served".to_owned();
            let hint = "add [panels.NAME.apartments] with subscribed and number";
            check.fault(FaultKind::Missing, &format!("panels.{id}"), &[&at], text, hint);
        }
        return;
    };
    // a virtual line and one whose profile is not read say whom they ring if they are told to
    let silent = match line {
        Some(LineDriver::Contact(_)) => true,
        Some(LineDriver::FrontEnd(_)) => profile.is_some() && !names,
        Some(LineDriver::Virtual(_)) | None => false,
    };
    if silent {
        let text = format!(
            "line {:?} does not say which apartment it rings",
            panel.line.as_str()
        );
        let hint = "allowed: on a line whose profile counts pulses";
        check.fault(FaultKind::Conflict, &at, &[], text, hint);
    }
    if panel.account.is_none() && apartments.account.is_none() {
        let text = "numbers of apartments are called through an account, and the panel has none".to_owned();
        let hint = "add account to the panel or to its apartments";
        check.fault(FaultKind::Missing, &at, &[], text, hint);
    }
    if id.len() > LONGEST {
        let text = format!(
            "a panel with apartments has a name of at most {LONGEST} characters, this has {}",
            id.len()
        );
        check.fault(
            FaultKind::OutOfRange,
            &at,
            &[],
            text,
            "take a shorter name for the panel",
        );
    }
    if let Err(error) = apartments.numbers() {
        let key = format!("{at}.number");
        check.fault(
            FaultKind::BadValue,
            &key,
            &[],
            error.to_string(),
            "allowed: a pattern that leaves digits",
        );
    }
    let (concierge, numbers) = (format!("{at}.concierge"), format!("{at}.concierge-for"));
    match (&apartments.concierge, &apartments.concierge_for) {
        (Some(_), None) => {
            let text = "nothing says for which numbers the concierge is called".to_owned();
            check.fault(
                FaultKind::Conflict,
                &concierge,
                &[&numbers],
                text,
                "add concierge-for",
            );
        }
        (None, Some(_)) => {
            let text = "nothing says whom these numbers call".to_owned();
            check.fault(
                FaultKind::Conflict,
                &numbers,
                &[&concierge],
                text,
                "add concierge",
            );
        }
        (Some(_), Some(all)) => {
            if let Some(both) = all.iter().find(|n| apartments.subscribed.contains(*n)) {
                let text = format!("{both} is an apartment that is served");
                check.fault(
                    FaultKind::Conflict,
                    &numbers,
                    &[],
                    text,
                    "allowed: numbers that no apartment has",
                );
            }
        }
        (None, None) => {}
    }
    let taken = |name: &str| panel.buttons.keys().any(|button| button.as_str() == name);
    let more = apartments.concierge_for.iter().flat_map(|all| all.iter());
    let mut ours = apartments
        .subscribed
        .iter()
        .chain(more)
        .map(|n| format!("apartment-{n}"));
    if let Some(name) = ours.find(|name| taken(name)) {
        let text = format!("button {name:?} is made of the apartments");
        let key = format!("panels.{id}.buttons.{name}");
        check.fault(
            FaultKind::Duplicate,
            &key,
            &[&at],
            text,
            "take another name for the button",
        );
    }
}

/// Ports, inputs, outputs and doors of front ends.
pub(super) fn claims(check: &mut Check<'_>, ports: &mut Ports) {
    let config = check.config;
    let mut speeds = Alike::new("allowed: the same for every line, reader and door on one port");
    let (mut inputs, mut outputs, mut of_doors) = (Claims::new(), Claims::new(), Claims::new());
    for (id, _, of) in lines(config) {
        let at = format!("lines.{id}.front-end");
        let place = of.port.display().to_string();
        ports.add(check, place.clone(), "front-end", format!("{at}.port"));
        speeds.add(check, &place, format!("{at}.baud"), &of.baud);
        for (key, input) in of.inputs() {
            inputs.add((place.clone(), input), format!("{at}.{key}"));
        }
        for (key, output) in of.outputs() {
            outputs.add((place.clone(), output), format!("{at}.{key}"));
        }
    }
    for (id, controller) in &config.controllers {
        let ControllerDriver::Wiegand(of) = &controller.driver else {
            continue;
        };
        let at = format!("controllers.{id}.wiegand");
        let place = of.port.display().to_string();
        ports.add(check, place.clone(), "front-end", format!("{at}.port"));
        speeds.add(check, &place, format!("{at}.baud"), &of.baud);
        for (key, output) in [("d0-output", of.d0_output), ("d1-output", of.d1_output)] {
            outputs.add((place.clone(), output), format!("{at}.{key}"));
        }
        if let Some(input) = of.led_input {
            inputs.add((place, input), format!("{at}.led-input"));
        }
    }
    for (id, reader) in &config.readers {
        let (port, baud, of_inputs, of_outputs) = match &reader.driver {
            ReaderDriver::FrontEndClockData(of) => {
                let (inputs, outputs) = (of.inputs().collect(), of.outputs().collect());
                (&of.port, of.baud, inputs, outputs)
            }
            ReaderDriver::FrontEndKeys(of) => (
                &of.port,
                of.baud,
                vec![("input", of.input)],
                of.outputs().collect::<Vec<_>>(),
            ),
            ReaderDriver::ClockData(_)
            | ReaderDriver::Ibutton(_)
            | ReaderDriver::Osdp(_)
            | ReaderDriver::Virtual(_)
            | ReaderDriver::Wiegand(_) => continue,
        };
        let at = format!("readers.{id}.{}", reader.driver.family());
        let place = port.display().to_string();
        ports.add(check, place.clone(), "front-end", format!("{at}.port"));
        speeds.add(check, &place, format!("{at}.baud"), &baud);
        for (key, input) in of_inputs {
            inputs.add((place.clone(), input), format!("{at}.{key}"));
        }
        for (key, output) in of_outputs {
            outputs.add((place.clone(), output), format!("{at}.{key}"));
        }
    }
    for (at, _, of) in doors(config) {
        let place = of.port.display().to_string();
        ports.add(check, place.clone(), "doors of a front end", format!("{at}.port"));
        speeds.add(check, &place, format!("{at}.baud"), &of.baud);
        of_doors.add((place, of.door), format!("{at}.door"));
    }
    inputs.report(
        check,
        |(place, n)| format!("input {n} at {place}"),
        "allowed: one wire for each input",
    );
    outputs.report(
        check,
        |(place, n)| format!("output {n} at {place}"),
        "allowed: one use for each output",
    );
    of_doors.report(
        check,
        |(place, n)| format!("door {n} at {place}"),
        "allowed: one output for each door",
    );
}
