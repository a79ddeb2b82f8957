//! What becomes of calls to a panel, by who calls and when.

use gateway_core::{CallEvent, Cause, Event, Factor, LegCommand, LegEvent, LegId, LineState, Peer};
use gateway_site::{
    Answer, CallIn, CallerAction, CallerParams, CallerPattern, Input, ListParams, Schedule, Schedules,
    SiteParams, TargetParams, When,
};
use sim::{Phone, Sim, first_door, id, ms, secs, wall};

const RECEPTION: &str = "sip:1000@pbx.example";
const OUTSIDE: &str = "sip:0612345678@pbx.example";
const CALLER: LegId = LegId(1 << 40);

fn caller(number: Option<&str>, when: When, action: CallerAction) -> CallerParams {
    CallerParams {
        action,
        number: number.map(|number| CallerPattern::parse(number).expect("a number")),
        when,
    }
}

/// The first door, whose panel does this with calls. `day` is the hour in which the simulation begins.
fn house(callers: Vec<CallerParams>) -> SiteParams {
    let mut site = first_door();
    let begin = wall(Sim::new(first_door()).now()).to_zoned(jiff::tz::TimeZone::UTC);
    let line = format!("daily {:02}:00-{:02}:00", begin.hour(), begin.hour() + 1);
    let schedule = Schedule::new(&[line.parse().expect("times")], vec![], vec![]);
    site.schedules = Schedules::new(jiff::tz::TimeZone::UTC, [(id("day"), schedule)].into());
    site.panels.get_mut(&id("main")).expect("the panel").callers = callers;
    site
}

fn call_by(sim: &mut Sim, leg: LegId, address: &str, trusted: bool) {
    call_of(
        sim,
        leg,
        Peer {
            address: address.into(),
            foreign: false,
            display: None,
            trusted,
            withheld: false,
        },
    );
}

fn call_of(sim: &mut Sim, leg: LegId, peer: Peer) {
    sim.input(Input::Leg(LegEvent::Incoming {
        at_once: false,
        account: Some(id("pbx")),
        leg,
        panel: id("main"),
        peer,
    }));
    sim.wait(ms(10));
}

/// What the first call to a house of its own came to: how it was ended, `302 TO`, or `answered`.
fn comes_to(site: &SiteParams, address: &str, trusted: bool) -> String {
    let mut sim = Sim::new(site.clone());
    sim.wait(secs(1));
    call_by(&mut sim, CALLER, address, trusted);
    result(&sim, CALLER)
}

fn result(sim: &Sim, of: LegId) -> String {
    let found = sim.legs.iter().find_map(|command| match command {
        LegCommand::Answer { leg } => (*leg == of).then(|| "answered".to_owned()),
        LegCommand::Divert { leg, target } => (*leg == of).then(|| format!("302 {target}")),
        LegCommand::End { leg, cause } => (*leg == of).then(|| cause.to_string()),
        LegCommand::RingBack { leg } => (*leg == of).then(|| "rings back".to_owned()),
        LegCommand::Ringing { leg } => (*leg == of).then(|| "rings".to_owned()),
        LegCommand::Connect { .. }
        | LegCommand::Join { .. }
        | LegCommand::Listen { .. }
        | LegCommand::Offer { .. }
        | LegCommand::PlayToLeg { .. }
        | LegCommand::RefuseTransfer { .. }
        | LegCommand::Transfer { .. } => None,
    });
    found.unwrap_or_else(|| "nothing".to_owned())
}

#[test]
fn the_first_that_is_meant_counts_and_by_night_the_next_one() {
    let day = || When::In(id("day"));
    let site = house(vec![
        caller(Some("0800*"), When::Always, CallerAction::Refuse(Cause::Declined)),
        caller(None, When::Never, CallerAction::Refuse(Cause::Busy)),
        caller(Some("0612*"), day(), CallerAction::Divert("1001".into())),
        caller(
            Some("0612345678"),
            When::Always,
            CallerAction::Refuse(Cause::Busy),
        ),
        caller(None, day(), CallerAction::Talk),
        caller(None, When::Always, CallerAction::Divert("1000".into())),
    ]);
    for (address, result) in [
        ("sip:0800111222@pbx.example", "declined"),
        (OUTSIDE, "302 1001"),
        ("sip:1002@pbx.example", "answered"),
        ("sip:anonymous@anonymous.invalid", "answered"),
    ] {
        assert_eq!(comes_to(&site, address, true), result, "{address}");
    }
    let mut sim = Sim::new(site);
    sim.wait(secs(2 * 3600));
    for (n, address, expected) in [(1, OUTSIDE, "busy"), (2, "sip:1002@pbx.example", "302 1000")] {
        call_by(&mut sim, LegId((1 << 40) + n), address, true);
        assert_eq!(result(&sim, LegId((1 << 40) + n)), expected, "{}", sim.log());
    }
    let reasons = sim.told("call.rejected", "reason");
    assert_eq!(reasons, ["refused", "diverted"], "{}", sim.log());
    assert_eq!(sim.told("call.diverted", "target"), ["1000"], "{}", sim.log());
}

#[test]
fn while_the_clock_is_not_believed_what_is_limited_to_a_schedule_counts_for_nobody() {
    let day = When::In(id("day"));
    let mut sim = Sim::new(house(vec![
        caller(None, day, CallerAction::Talk),
        caller(None, When::Always, CallerAction::Refuse(Cause::Declined)),
    ]));
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: false,
    });
    call_by(&mut sim, CALLER, RECEPTION, true);
    assert_eq!(result(&sim, CALLER), "declined", "{}", sim.log());
}

/// Somebody in another's name is let neither talk nor ask for the door, but he is kept away in it.
#[test]
fn by_a_number_that_nobody_vouches_for_a_caller_gets_nothing() {
    for (action, trusted, not) in [
        (CallerAction::Talk, "answered", "declined"),
        (CallerAction::Bridge(id("reception")), "rings", "declined"),
        (CallerAction::Open, "unavailable", "declined"),
        (CallerAction::Refuse(Cause::Busy), "busy", "busy"),
        (CallerAction::Divert("1001".into()), "302 1001", "302 1001"),
    ] {
        let site = house(vec![
            caller(Some("0612345678"), When::Always, action.clone()),
            caller(None, When::Always, CallerAction::Refuse(Cause::Declined)),
        ]);
        assert_eq!(comes_to(&site, OUTSIDE, true), trusted, "{action:?}");
        assert_eq!(comes_to(&site, OUTSIDE, false), not, "{action:?}");
    }
}

/// `open` puts a call to the doors and gives nobody a right: the door listens to its own callers, at its own times.
#[test]
fn open_opens_for_whom_the_door_listens_to_and_for_nobody_else() {
    let action = || CallerAction::Open;
    for (number, by_call, address, trusted, opens) in [
        (Some("1000"), When::Always, RECEPTION, true, true),
        (Some("1000"), When::Never, RECEPTION, true, false),
        (Some("1000"), When::Always, RECEPTION, false, false),
        (Some("0612345678"), When::Always, OUTSIDE, true, false),
        // whoever wrote such a file all the same
        (None, When::Always, OUTSIDE, true, false),
    ] {
        let mut site = house(vec![
            caller(number, When::Always, action()),
            caller(None, When::Always, CallerAction::Refuse(Cause::Busy)),
        ]);
        site.doors.get_mut(&id("front")).expect("the door").by_call = by_call.clone();
        let mut sim = Sim::new(site);
        sim.wait(secs(1));
        call_by(&mut sim, CALLER, address, trusted);
        let factors: Vec<Factor> = sim.pulses.iter().map(|pulse| pulse.grant.factor).collect();
        let expected: &[Factor] = if opens { &[Factor::Caller] } else { &[] };
        assert_eq!(
            factors,
            expected,
            "{number:?} {by_call:?} {trusted}: {}",
            sim.log()
        );
        assert_ne!(result(&sim, CALLER), "answered", "{}", sim.log());
    }
}

#[test]
fn who_is_to_talk_opens_nothing_by_the_call_alone() {
    let mut site = house(vec![caller(Some("1000"), When::Always, CallerAction::Talk)]);
    site.doors.get_mut(&id("front")).expect("the door").by_call = When::Always;
    let mut sim = Sim::new(site);
    sim.wait(secs(1));
    call_by(&mut sim, CALLER, RECEPTION, true);
    assert_eq!(
        (result(&sim, CALLER).as_str(), sim.pulses.len()),
        ("answered", 0),
        "{}",
        sim.log()
    );
    // in the talk he may, as ever
    sim.wait(secs(1));
    sim.digit(CALLER, '9');
    sim.wait(ms(100));
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
}

fn guard() -> ListParams {
    ListParams {
        again: secs(10),
        hang_up_after_open: false,
        parallel: false,
        ring: secs(30),
        rounds: 1,
        talk_limit: Some(secs(180)),
        targets: vec![TargetParams {
            account: None,
            address: "1005".into(),
            confirm: None,
            contact: None,
            direct: false,
            manner: gateway_core::Manner::default(),
            name: Some("Guard".into()),
        }],
    }
}

/// Calls from outside are put through to the guard, who answers after this.
fn guarded(answers: Option<u64>) -> Sim {
    let mut site = house(vec![caller(
        None,
        When::Always,
        CallerAction::Bridge(id("guard")),
    )]);
    site.lists.insert(id("guard"), guard());
    // even somebody whom the door listens to, and a line that cannot be called
    site.doors.get_mut(&id("front")).expect("the door").by_call = When::Always;
    let line = site.lines.get_mut(&id("riser")).expect("the line");
    (line.call_in, line.ring_window) = (CallIn::None, secs(10));
    site.panels.get_mut(&id("main")).expect("the panel").answer = Answer::After(secs(9));
    let mut sim = Sim::new(site);
    if let Some(after) = answers {
        sim.phone("1005", Phone::Answers(secs(after)));
    }
    sim.wait(secs(1));
    sim
}

fn line(sim: &Sim) -> LineState {
    let lines = sim.site.view().lines;
    lines
        .iter()
        .find(|line| line.id == id("riser"))
        .expect("the line")
        .state
}

#[test]
fn a_guard_sees_who_calls_talks_with_him_and_opens_and_the_caller_never_does() {
    let mut sim = guarded(Some(4));
    // 1000 may open where he is answered himself
    call_by(&mut sim, CALLER, RECEPTION, true);
    assert_eq!(result(&sim, CALLER), "rings", "{}", sim.log());
    let guard = sim.leg_of("1005");
    let shown = sim.legs.iter().find_map(|command| {
        if let LegCommand::Offer { display, .. } = command {
            Some(display.clone())
        } else {
            None
        }
    });
    assert_eq!(shown.as_deref(), Some("1000, Main entrance"), "{}", sim.log());
    sim.digit(CALLER, '9');
    sim.wait(secs(5));
    let join = LegCommand::Join {
        leg: CALLER,
        with: guard,
    };
    assert!(sim.legs.contains(&join), "{}", sim.log());
    assert_eq!(line(&sim), LineState::Idle, "the line has no part in it");
    sim.digit(CALLER, '9');
    sim.wait(secs(1));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(sim.ignored_digits(), ["caller", "caller"], "{}", sim.log());
    sim.digit(guard, '9');
    sim.wait(secs(1));
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert_eq!(sim.pulses[0].grant.factor, Factor::Digits, "{}", sim.log());
    // a reload that changes nothing takes nothing from him
    let params = sim.params().clone();
    sim.reload(params);
    sim.wait(secs(30));
    sim.digit(guard, '9');
    sim.wait(secs(1));
    assert_eq!(sim.pulses.len(), 2, "{}", sim.log());
}

#[test]
fn whoever_rings_at_the_door_meanwhile_is_served_and_a_second_caller_is_busy() {
    let mut sim = guarded(Some(2));
    call_by(&mut sim, CALLER, OUTSIDE, true);
    sim.wait(secs(5));
    let second = LegId((1 << 40) + 1);
    call_by(&mut sim, second, "sip:0699999999@pbx.example", true);
    assert_eq!(result(&sim, second), "busy", "{}", sim.log());
    let ring = sim.press("bell");
    assert!(ring.is_some(), "{}", sim.log());
    assert_eq!(line(&sim), LineState::Ringing);
    let ends = |command: &&LegCommand| matches!(command, LegCommand::End { leg: CALLER, .. });
    assert_eq!(sim.legs.iter().filter(ends).count(), 0, "{}", sim.log());
}

#[test]
fn where_the_guard_does_not_answer_or_either_hangs_up_all_is_over() {
    let mut sim = guarded(None);
    call_by(&mut sim, CALLER, OUTSIDE, true);
    sim.wait(secs(31));
    let told = LegCommand::End {
        leg: CALLER,
        cause: Cause::NoAnswer,
    };
    assert!(sim.legs.contains(&told), "{}", sim.log());
    sim.wait(secs(1));
    assert_eq!(sim.site.view().calls.len(), 0, "{}", sim.log());

    for hangs_up in [0, 1] {
        let mut sim = guarded(Some(2));
        call_by(&mut sim, CALLER, OUTSIDE, true);
        sim.wait(secs(4));
        let legs = [CALLER, sim.leg_of("1005")];
        sim.input(Input::Leg(LegEvent::Ended {
            cause: Cause::Normal,
            detail: String::new(),
            leg: legs[hangs_up],
        }));
        sim.wait(secs(1));
        let other = legs[1 - hangs_up];
        let ends = |command: &LegCommand| matches!(command, LegCommand::End { leg, .. } if *leg == other);
        assert!(sim.legs.iter().any(ends), "{}", sim.log());
        assert_eq!(sim.site.view().calls.len(), 0, "{}", sim.log());
        let ended = |e: &&gateway_core::Envelope| matches!(&e.event, Event::Call(CallEvent::Ended { .. }));
        assert_eq!(sim.records.iter().filter(ended).count(), 1, "{}", sim.log());
    }
}

#[test]
fn a_guard_who_is_taken_off_the_list_opens_no_more() {
    let mut sim = guarded(Some(2));
    call_by(&mut sim, CALLER, OUTSIDE, true);
    sim.wait(secs(4));
    let guard = sim.leg_of("1005");
    let mut params = sim.params().clone();
    params.lists.get_mut(&id("guard")).expect("the list").targets[0].address = "1006".into();
    sim.reload(params);
    sim.digit(guard, '9');
    sim.wait(secs(1));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
}

#[test]
fn who_withholds_his_number_is_put_through_and_nobody_is_told_it() {
    let mut sim = guarded(Some(4));
    let peer = Peer {
        address: RECEPTION.into(),
        foreign: false,
        display: None,
        trusted: true,
        withheld: true,
    };
    call_of(&mut sim, CALLER, peer);
    sim.wait(secs(5));
    let told = |text: &str| sim.log().contains(text) || format!("{:?}", sim.legs).contains(text);
    assert!(told("anonymous, Main entrance"), "{}", sim.log());
    assert!(!told("sip:1000@"), "{}", sim.log());
}
