use super::*;
use proptest::prelude::*;

/// Central European time by its rule, so that no database is needed.
const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
/// Shifts by half an hour at two o'clock (Lord Howe Island).
const HALF: &str = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";

fn schedules(zone: &str, times: &[&str], holidays: &[&str], exceptions: &[&str]) -> Schedules {
    let times: Vec<TimesLine> = times.iter().map(|t| t.parse().expect("times")).collect();
    let holidays = holidays.iter().map(|t| t.parse().expect("a holiday")).collect();
    let exceptions = exceptions
        .iter()
        .map(|t| t.parse().expect("an exception"))
        .collect();
    let schedule = Schedule::new(&times, holidays, exceptions);
    let zone = TimeZone::posix(zone).expect("a rule");
    Schedules::new(zone, [(ScheduleId::new("s").expect("a name"), schedule)].into())
}

fn when() -> When {
    When::parse("s").expect("a name")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

#[track_caller]
fn check(schedules: &Schedules, time: &str, expected: bool) {
    let wanted = if expected { InForce::Yes } else { InForce::No };
    assert_eq!(schedules.look(&when(), Some(at(time))), wanted, "{time}");
}

#[test]
fn the_longest_time_in_force_goes_over_midnight_and_over_the_week() {
    let longest = |times: &[&str]| {
        let times: Vec<TimesLine> = times.iter().map(|t| t.parse().expect("times")).collect();
        Schedule::new(&times, vec![], vec![]).longest()
    };
    let hours = |n: u64| Some(Duration::from_secs(n * 3600));
    assert_eq!(longest(&[]), hours(0));
    assert_eq!(longest(&["mon-fri 08:00-12:00, 13:00-18:00"]), hours(5));
    assert_eq!(longest(&["mon 22:00-24:00", "tue 00:00-06:00"]), hours(8));
    assert_eq!(longest(&["sun 20:00-24:00", "mon 00:00-01:00"]), hours(5));
    assert_eq!(longest(&["mon-fri open"]), hours(120));
    assert_eq!(longest(&["daily open"]), None);
}

#[test]
fn weekdays_and_times_are_local_and_the_end_is_not_included() {
    let office = schedules(
        BERLIN,
        &["mon-fri 08:00-12:00, 13:00-18:00", "sat 09:00-13:00"],
        &[],
        &[],
    );
    // Monday 12 January 2026, winter: UTC + 1
    check(&office, "2026-01-12T06:59:59.999Z", false);
    check(&office, "2026-01-12T07:00:00Z", true);
    check(&office, "2026-01-12T10:59:59Z", true);
    check(&office, "2026-01-12T11:00:00Z", false);
    check(&office, "2026-01-12T12:00:00Z", true);
    check(&office, "2026-01-12T17:00:00Z", false);
    // summer: UTC + 2
    check(&office, "2026-07-13T06:00:00Z", true);
    check(&office, "2026-07-13T05:59:59Z", false);
    // Saturday and Sunday
    check(&office, "2026-01-17T08:00:00Z", true);
    check(&office, "2026-01-18T08:00:00Z", false);
}

#[test]
fn holidays_and_exceptions_take_the_place_of_the_weekday() {
    let office = schedules(
        "UTC0",
        &["daily 08:00-18:00", "holiday 10:00-12:00"],
        &["12-25", "12-31..01-01", "2026-04-03"],
        &[
            "2026-12-25 15:00-16:00",
            "2026-08-03..2026-08-05 closed",
            "2026-08-06 open",
        ],
    );
    // exception before holiday
    check(&office, "2026-12-25T10:00:00Z", false);
    check(&office, "2026-12-25T15:00:00Z", true);
    check(&office, "2027-12-25T10:00:00Z", true);
    check(&office, "2027-12-25T15:00:00Z", false);
    for day in ["2026-12-31", "2027-01-01", "2026-04-03"] {
        check(&office, &format!("{day}T09:00:00Z"), false);
        check(&office, &format!("{day}T11:59:00Z"), true);
    }
    check(&office, "2027-04-03T09:00:00Z", true);
    check(&office, "2026-08-05T12:00:00Z", false);
    check(&office, "2026-08-06T23:59:00Z", true);
    check(&office, "2026-08-07T23:59:00Z", false);
}

#[test]
fn the_hour_that_a_clock_change_skips_never_comes_and_the_repeated_one_comes_twice() {
    let night = schedules(BERLIN, &["daily 02:00-03:00"], &[], &[]);
    let minutes = |day: &str| {
        let first = at(&format!("{day}T00:00:00+01:00"));
        let inside = (0..26 * 60).filter(|minute| {
            let time = first + jiff::SignedDuration::from_mins(*minute);
            night.local(time).date() == night.local(first + jiff::SignedDuration::from_hours(12)).date()
                && night.look(&when(), Some(time)) == InForce::Yes
        });
        inside.count()
    };
    assert_eq!(minutes("2026-03-28"), 60);
    assert_eq!(minutes("2026-03-29"), 0, "the gap");
    assert_eq!(minutes("2026-10-25"), 120, "the repeat");
    assert_eq!(minutes("2026-10-26"), 60);
    // what spans the gap loses an hour, what spans the repeat gains one
    let spans = schedules(BERLIN, &["daily 01:00-04:00"], &[], &[]);
    check(&spans, "2026-03-29T00:59:59Z", true);
    check(&spans, "2026-03-29T01:00:00Z", true);
    check(&spans, "2026-03-29T01:59:59Z", true);
    check(&spans, "2026-03-29T02:00:00Z", false);
    check(&spans, "2026-10-25T02:59:59Z", true);
    check(&spans, "2026-10-25T03:00:00Z", false);
}

#[test]
fn a_clock_change_of_half_an_hour_is_exact_too() {
    let early = schedules(HALF, &["sun 02:00-02:30"], &[], &[]);
    // forward on 4 October 2026 from 02:00 to 02:30: no minute of it
    check(&early, "2026-10-03T15:29:59Z", false);
    check(&early, "2026-10-03T15:30:00Z", false);
    // back on 5 April 2026 from 02:00 (+11) to 01:30 (+10:30)
    let half = schedules(HALF, &["sun 01:30-02:00"], &[], &[]);
    check(&half, "2026-04-04T14:30:00Z", true);
    check(&half, "2026-04-04T15:00:00Z", true);
    check(&half, "2026-04-04T15:29:59Z", true);
    check(&half, "2026-04-04T15:30:00Z", false);
}

#[test]
fn without_a_believed_clock_only_always_and_never_are_known() {
    let office = schedules(BERLIN, &["daily open"], &[], &[]);
    assert_eq!(office.look(&when(), None), InForce::Unknown);
    assert_eq!(office.look(&When::Always, None), InForce::Yes);
    assert_eq!(office.look(&When::Never, None), InForce::No);
    let missing = When::parse("other").expect("a name");
    assert_eq!(office.look(&missing, None), InForce::No);
    assert_eq!(
        office.look(&missing, Some(at("2026-01-12T07:00:00Z"))),
        InForce::No
    );
}

#[test]
fn what_is_no_line_is_refused() {
    for bad in [
        "",
        "mon",
        "mon ",
        "mo 08:00-09:00",
        "mon-fri 08:00",
        "mon 8:00-9:00",
        "mon 08:05-09:00",
        "mon 09:00-09:00",
        "mon 22:00-06:00",
        "mon 08:00-24:15",
        "mon 08:00-25:00",
        "mon,xyz 08:00-09:00",
        "mon 08:00-09:00,",
    ] {
        assert!(bad.parse::<TimesLine>().is_err(), "{bad:?}");
    }
    for bad in [
        "",
        "13-01",
        "02-30",
        "2026-02-29",
        "2026-04-03..04-05",
        "2026-04-05..2026-04-03",
        "1999-01-01",
        "..",
        "é",
    ] {
        assert!(bad.parse::<HolidayLine>().is_err(), "{bad:?}");
    }
    for bad in [
        "",
        "2026-04-03",
        "12-24 closed",
        "2026-04-03 shut",
        "2026-04-05..2026-04-03 closed",
    ] {
        assert!(bad.parse::<ExceptionLine>().is_err(), "{bad:?}");
    }
    assert!("02-29".parse::<HolidayLine>().is_ok());
}

#[test]
fn the_next_change_is_found_over_days_clock_changes_and_exceptions() {
    let office = schedules(BERLIN, &["mon-fri 08:00-18:00"], &[], &["2026-01-13 closed"]);
    let next = |time: &str| office.next_change(&when(), at(time)).map(|t| t.to_string());
    assert_eq!(
        next("2026-01-12T07:00:00Z").as_deref(),
        Some("2026-01-12T17:00:00Z")
    );
    // Tuesday is closed
    assert_eq!(
        next("2026-01-12T17:00:00Z").as_deref(),
        Some("2026-01-14T07:00:00Z")
    );
    // over the weekend of the clock change
    assert_eq!(
        next("2026-03-27T17:00:00Z").as_deref(),
        Some("2026-03-30T06:00:00Z")
    );
    let never = schedules(BERLIN, &["daily open"], &[], &[]);
    assert_eq!(never.next_change(&when(), at("2026-01-12T07:00:00Z")), None);
    let gap = schedules(BERLIN, &["sun 03:00-03:15"], &[], &[]);
    assert_eq!(
        gap.next_change(&when(), at("2026-03-29T00:50:00Z"))
            .map(|t| t.to_string())
            .as_deref(),
        Some("2026-03-29T01:00:00Z")
    );
}

/// The plain reading of a schedule, minute by minute, from the text of its lines.
fn plainly(zone: &str, begin: u8, end: u8, days: &[bool; 7], at: Timestamp) -> bool {
    let local = TimeZone::posix(zone).expect("a rule").to_datetime(at);
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    let day = usize::try_from(local.weekday().to_monday_zero_offset()).expect("a day");
    days[day] && (i32::from(begin) * 15..i32::from(end) * 15).contains(&minute)
}

proptest! {
    #[test]
    fn a_schedule_is_what_its_lines_say_at_any_time(
        zone in prop::sample::select(vec![BERLIN, HALF, "UTC0"]),
        begin in 0_u8..96, length in 1_u8..96, days: [bool; 7],
        seconds in 1_767_225_600_i64..1_830_297_600,
    ) {
        let end = begin.saturating_add(length).min(96);
        let clock = |q: u8| format!("{:02}:{:02}", q / 4, q % 4 * 15);
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let lines: Vec<String> = names.iter().zip(days).filter(|(_, on)| *on)
            .map(|(name, _)| format!("{name} {}-{}", clock(begin), clock(end))).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let schedules = schedules(zone, &lines, &[], &[]);
        let time = Timestamp::from_second(seconds).expect("a time");
        let found = schedules.look(&when(), Some(time)) == InForce::Yes;
        prop_assert_eq!(found, plainly(zone, begin, end, &days, time));
        // until the next change nothing changes, and then it does
        if let Some(change) = schedules.next_change(&when(), time) {
            prop_assert!(change > time);
            let just_before = change - jiff::SignedDuration::from_nanos(1);
            prop_assert_eq!(plainly(zone, begin, end, &days, just_before), found);
            prop_assert_eq!(plainly(zone, begin, end, &days, change), !found);
            let middle = Timestamp::from_second(i64::midpoint(time.as_second(), change.as_second())).expect("a time");
            prop_assert_eq!(plainly(zone, begin, end, &days, middle.max(time)), found);
        }
    }

    #[test]
    fn no_text_makes_a_panic(text in "\\PC{0,40}") {
        let _ = text.parse::<TimesLine>();
        let _ = text.parse::<HolidayLine>();
        let _ = text.parse::<ExceptionLine>();
    }

    #[test]
    fn a_line_comes_back_as_one_that_means_the_same(
        (weekdays, holiday, quarters) in (0_u8..128, proptest::bool::ANY, proptest::num::u128::ANY)
            .prop_filter("a line names a day", |(weekdays, holiday, _)| *weekdays > 0 || *holiday),
        (first, last) in (0_i64..60_000, 0_i64..10_000),
    ) {
        let quarters = Quarters(quarters & Quarters::ALL.0);
        let line = TimesLine { holiday, quarters, weekdays };
        prop_assert_eq!(line.to_string().parse::<TimesLine>(), Ok(line));
        let day = |n: i64| jiff::civil::date(2000, 1, 1) + jiff::SignedDuration::from_hours(24 * n);
        let text = format!("{}..{} {quarters}", day(first), day(first + last));
        let exception: ExceptionLine = text.parse().expect("an exception");
        prop_assert_eq!(exception.to_string().parse::<ExceptionLine>(), Ok(exception));
    }
}

#[test]
fn lines_are_written_as_people_write_them() {
    for text in [
        "mon-fri 08:00-12:00, 13:00-18:00",
        "sat,sun 09:00-13:00",
        "daily open",
        "daily,holiday 00:15-24:00",
        "mon,wed-fri,sun closed",
        "holiday closed",
    ] {
        let line: TimesLine = text.parse().expect("a line");
        assert_eq!(line.to_string(), text);
    }
    for text in ["12-25", "12-24..01-02", "2026-04-03", "2026-12-28..2027-01-03"] {
        let line: HolidayLine = text.parse().expect("a holiday");
        assert_eq!(line.to_string(), text);
    }
    for text in ["2026-12-24 08:00-12:00", "2026-08-03..2026-08-21 closed"] {
        let line: ExceptionLine = text.parse().expect("an exception");
        assert_eq!(line.to_string(), text);
    }
}
