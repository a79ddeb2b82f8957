//! What outside interfaces show of the site file: schedules, rules and devices.

mod devices;
mod uses;

use gateway_bus::{ActionOutline, Outline, RuleOutline, ScheduleOutline};
use gateway_config::{self as config, Config};
use gateway_core::{RuleId, ScheduleId};
use gateway_site::rules::{Action, Rule};

use super::site::schedules;

/// All of it. Nothing secret is in it, and no device is opened for it.
pub(crate) fn outline(config: &Config) -> Outline {
    Outline {
        devices: devices::devices(config),
        rules: config.engine_rules().iter().map(rule).collect(),
        schedules: config
            .schedules
            .iter()
            .map(|(id, of)| schedule(config, id, of))
            .collect(),
        time_zone: config.site.time_zone.clone(),
        times: schedules(config),
    }
}

fn texts<T: ToString>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

fn schedule(config: &Config, id: &ScheduleId, of: &config::Schedule) -> ScheduleOutline {
    let lists = of.holidays.iter().filter_map(|id| config.holidays.get(id));
    ScheduleOutline {
        exceptions: texts(&of.exceptions),
        holidays: texts(lists.flat_map(|list| &list.days)),
        id: id.clone(),
        times: texts(&of.times),
    }
}

fn rule((id, rule): (&RuleId, &Rule)) -> RuleOutline {
    let when = &rule.when;
    let action = |action: &Action| ActionOutline {
        kind: action.word(),
        text: action.to_string(),
    };
    RuleOutline {
        actions: rule.actions.iter().map(action).collect(),
        fields: texts(&when.fields),
        groups: texts(&when.groups),
        id: id.to_string(),
        most_per_minute: rule.most_per_minute,
        on: texts(&rule.on.kinds),
        schedule: when.schedule.to_string(),
        sources: texts(&rule.on.sources),
        states: texts(&when.states),
        times: when.counter.map_or(1, |counter| counter.times),
        within_s: when.counter.map(|counter| counter.within.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use gateway_bus::DeviceKind;

    use super::*;

    const SITE: &str = r#"
[schedules.day]
times = ["mon-fri 08:00-12:00,13:00-18:00"]
holidays = ["national"]
exceptions = ["2026-12-24 08:00-12:00"]
[holidays.national]
days = ["12-25"]
[rules.late]
on = ["door.denied"]
sources = ["front"]
when = { schedule = "day", fields = ["factor=card"], states = [{ door = "front", is = "shut" }], times = 3, within-s = 60 }
do = [{ lockdown = {} }, { output = { relay = "siren", set = "on", for-s = 30 } }]
[outputs.siren.lcus1]
port = "/dev/ttyUSB0"
channel = 2
[relays.siren]
output = "siren"
command = {}
[readers.back.osdp]
port = "/dev/ttyS1"
address = 3
unencrypted = true
[inputs.lid.osdp]
reader = "back"
[inputs.gate.gpio]
line = 17
[doors.front.contact]
input = "gate"
"#;

    fn site(text: &str) -> Config {
        let text = format!(
            "{}\n{text}",
            include_str!("../../../../../config/examples/minimal.toml")
        );
        let dir = tempfile::tempdir().expect("a folder");
        let how = gateway_config::SecretFiles::WhereFound;
        let loaded = gateway_config::parse("site.toml", dir.path(), &text, how);
        loaded.unwrap_or_else(|faults| panic!("{faults}")).config
    }

    #[test]
    fn schedules_and_rules_are_told_in_the_words_of_the_site_file() {
        let outline = outline(&site(SITE));
        let day = ScheduleOutline {
            exceptions: vec!["2026-12-24 08:00-12:00".into()],
            holidays: vec!["12-25".into()],
            id: "day".parse().expect("a name"),
            times: vec!["mon-fri 08:00-12:00, 13:00-18:00".into()],
        };
        assert_eq!(outline.schedules, [day]);
        let action = |kind, text: &str| ActionOutline {
            kind,
            text: text.to_owned(),
        };
        let late = RuleOutline {
            actions: vec![
                action("lockdown", "lockdown"),
                action("output", "output siren on for 30 s"),
            ],
            fields: vec!["factor=card".into()],
            groups: vec![],
            id: "late".into(),
            most_per_minute: 20,
            on: vec!["door.denied".into()],
            schedule: "day".into(),
            sources: vec!["front".into()],
            states: vec!["door front is shut".into()],
            times: 3,
            within_s: Some(60),
        };
        assert_eq!(outline.rules, [late]);
    }

    #[test]
    fn each_device_tells_where_it_is_what_it_is_for_and_whose_faults_are_its_own() {
        let outline = outline(&site(SITE));
        let of = |kind: DeviceKind, id: &str| {
            let found = outline.devices.iter().find(|d| d.kind == kind && d.id == id);
            let found = found.unwrap_or_else(|| panic!("no {id} in {:#?}", outline.devices));
            let parts = found.parts.join(" ");
            let uses = found.uses.join(", ");
            format!(
                "{}|{}|{parts}|{uses}|{}",
                found.driver,
                found.place,
                if found.simulated { "simulated" } else { "real" }
            )
        };
        assert_eq!(
            of(DeviceKind::Output, "siren"),
            "lcus1|/dev/ttyUSB0 channel 2|output:siren output:/dev/ttyUSB0 guard|relay siren|real"
        );
        assert_eq!(
            of(DeviceKind::Board, "/dev/ttyUSB0"),
            "lcus1|/dev/ttyUSB0|output:/dev/ttyUSB0 guard|output siren|real"
        );
        assert_eq!(
            of(DeviceKind::Reader, "back"),
            "osdp|/dev/ttyS1 address 3|device:reader-back device:osdp-ttys1||real"
        );
        assert_eq!(
            of(DeviceKind::Input, "lid"),
            "osdp|/dev/ttyS1 address 3 input 0|device:reader-back device:osdp-ttys1||real"
        );
        assert_eq!(
            of(DeviceKind::Input, "gate"),
            "gpio|/dev/gpiochip0 line 17|device:gpio-gate|contact of door front|real"
        );
        let doors = |kind, id: &str| {
            let found = outline.devices.iter().find(|d| d.kind == kind && d.id == id);
            found.map(|d| texts(&d.doors)).unwrap_or_default()
        };
        assert_eq!(doors(DeviceKind::Input, "gate"), ["front"]);
        assert_eq!(doors(DeviceKind::Output, "strike"), ["front"]);
        assert_eq!(doors(DeviceKind::Line, "riser"), ["front"]);
        assert!(doors(DeviceKind::Output, "siren").is_empty());
    }
}
