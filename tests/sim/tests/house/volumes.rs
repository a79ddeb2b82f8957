//! Lines that are quieter by night.

use gateway_core::Volume;
use gateway_site::{Input, Schedule, Schedules, SiteParams, When};
use jiff::tz::TimeZone;
use sim::{Sim, first_door, id, ms, secs, wall};

const DAY: Volume = Volume {
    microphone_db: 0,
    speaker_db: 3,
};
const NIGHT: Volume = Volume {
    microphone_db: 0,
    speaker_db: -9,
};

/// The riser is quiet from the second quarter of an hour on that begins after the simulation's begin, for a quarter.
fn house() -> (SiteParams, std::time::Duration) {
    let mut site = first_door();
    let begin = wall(Sim::new(first_door()).now()).to_zoned(TimeZone::UTC);
    let minute = (begin.minute() / 15 + 2) * 15;
    let (hour, minute) = (begin.hour() + minute / 60, minute % 60);
    let end = (hour + (minute + 15) / 60, (minute + 15) % 60);
    assert!(
        end.0 < 24,
        "the simulation begins early enough in the day: {begin}"
    );
    let line = format!("daily {hour:02}:{minute:02}-{:02}:{:02}", end.0, end.1);
    let schedule = Schedule::new(&[line.parse().expect("times")], vec![], vec![]);
    site.schedules = Schedules::new(TimeZone::UTC, [(id("night"), schedule)].into());
    let riser = site.lines.get_mut(&id("riser")).expect("the line");
    (riser.volume, riser.quiet_volume, riser.quiet) = (DAY, NIGHT, When::In(id("night")));
    let change = begin
        .with()
        .hour(hour)
        .minute(minute)
        .second(0)
        .subsec_nanosecond(0)
        .build()
        .expect("a time");
    let until = change.timestamp().duration_since(begin.timestamp());
    (site, until.try_into().expect("it is to come"))
}

fn told(sim: &Sim) -> Vec<Volume> {
    let of_riser = sim.volumes.iter().filter(|(line, _)| *line == id("riser"));
    of_riser.map(|(_, volume)| *volume).collect()
}

#[test]
fn a_line_is_quieter_from_the_quarter_hour_on_in_a_talk_as_well_and_loud_again_after_it() {
    let (site, until) = house();
    let mut sim = Sim::new(site);
    assert_eq!(told(&sim), [DAY]);
    sim.wait(until - ms(500));
    sim.press("bell");
    assert_eq!(told(&sim), [DAY], "not before it");
    sim.wait(ms(400));
    assert_eq!(told(&sim), [DAY, NIGHT]);
    sim.wait(secs(15 * 60));
    assert_eq!(told(&sim), [DAY, NIGHT, DAY]);
    // lines that are as loud as they come are not told of
    assert_eq!(sim.volumes.len(), 3);
}

#[test]
fn by_a_clock_that_is_not_believed_it_is_as_loud_as_by_day() {
    let (site, until) = house();
    let mut sim = Sim::new(site);
    sim.wait(until + secs(1));
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: false,
    });
    assert_eq!(told(&sim), [DAY, NIGHT, DAY]);
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: true,
    });
    assert_eq!(told(&sim), [DAY, NIGHT, DAY, NIGHT]);
}

#[test]
fn a_reload_is_taken_over_at_once_and_a_line_that_is_gone_leaves_nothing() {
    let (site, _) = house();
    let mut sim = Sim::new(site.clone());
    let mut louder = site.clone();
    louder
        .lines
        .get_mut(&id("riser"))
        .expect("the line")
        .volume
        .speaker_db = 6;
    sim.reload(louder);
    let six = Volume { speaker_db: 6, ..DAY };
    assert_eq!(told(&sim), [DAY, six]);
    let mut without = site;
    without.lines.remove(&id("riser"));
    without.panels.remove(&id("main"));
    sim.reload(without);
    assert_eq!(told(&sim), [DAY, six, Volume::default()]);
}
