//! The fire alarm at one door.

use super::*;

fn continuous() -> DoorParams {
    DoorParams {
        duty: Duty::Continuous,
        ..with_contact()
    }
}

fn alarmed(params: DoorParams) -> Rig {
    let mut rig = Rig::new(params);
    rig.first_contact(false);
    assert!(
        rig.input(Input::Fire(FireAlarm::Raised))
            .starts_with("FIRE granted:fire")
    );
    rig
}

fn gone() -> GuardReport {
    GuardReport::Failed {
        grant: None,
        text: "gone".into(),
    }
}

#[test]
fn a_coil_that_bears_it_stays_energised_until_the_alarm_is_reset() {
    let mut rig = Rig::new(continuous());
    rig.first_contact(false);
    assert_eq!(
        rig.input(Input::Fire(FireAlarm::Raised)),
        "FIRE granted:fire OPERATE:86400000 unlocked:86400000"
    );
    assert_eq!(rig.wait(10_000_000), "");
    assert_eq!(rig.input(Input::Fire(FireAlarm::Raised)), "", "it is known");
    assert_eq!(rig.input(Input::LockDown), "", "nobody is locked in");
    assert!(rig.door.is_kept_open());
    assert_eq!(rig.contact(true), "opened");
    assert_eq!(rig.wait(1_000_000), "", "nobody left it open");
    assert_eq!(
        rig.input(Input::Fire(FireAlarm::Reset)),
        "RELEASE:strike relocked:fire-reset"
    );
    assert_eq!(rig.wait(40_000), "held-open", "from here on somebody does");
    assert_eq!(rig.door.poll_timeout(), None);
}

#[test]
fn whoever_is_let_in_meanwhile_and_a_hold_outlast_the_alarm_and_end_by_themselves() {
    let mut rig = alarmed(continuous());
    rig.wait(60_000);
    assert_eq!(rig.open(), "granted:web:the door is open for fire");
    rig.wait(1000);
    assert_eq!(rig.input(Input::Fire(FireAlarm::Reset)), "");
    assert_eq!(rig.wait(2000), "RELEASE:strike relocked:time");

    let mut rig = alarmed(continuous());
    assert_eq!(rig.hold(100), "granted:web hold-began:100 OPERATE:86400000");
    rig.wait(50_000);
    assert_eq!(rig.input(Input::Fire(FireAlarm::Reset)), "");
    assert_eq!(rig.wait(50_000), "hold-ended:time RELEASE:strike relocked:time");
    // the end of a hold does not end the alarm, nor does one by command
    let mut rig = alarmed(continuous());
    rig.hold(10);
    assert_eq!(rig.wait(10_000), "hold-ended:time");
    rig.hold(10);
    assert_eq!(rig.input(Input::EndHold { why: "command" }), "hold-ended:command");
    assert_eq!(rig.door.lock(), LockState::Unlocked);
    // one that comes while it is held open keeps it open beyond that
    let mut rig = Rig::new(continuous());
    rig.hold(10);
    assert_eq!(
        rig.input(Input::Fire(FireAlarm::Raised)),
        "FIRE granted:fire OPERATE:86400000"
    );
    assert_eq!(rig.wait(10_000), "hold-ended:time");
    assert_eq!(
        rig.input(Input::Fire(FireAlarm::Reset)),
        "RELEASE:strike relocked:fire-reset"
    );
}

#[test]
fn an_alarm_after_the_reset_of_another_counts_though_the_door_is_held_open() {
    let mut rig = Rig::new(continuous());
    rig.hold(100);
    rig.input(Input::Fire(FireAlarm::Raised));
    rig.input(Input::Fire(FireAlarm::Reset));
    assert!(rig.input(Input::Fire(FireAlarm::Raised)).contains("OPERATE"));
    assert_eq!(rig.wait(100_000), "hold-ended:time");
    assert_eq!(rig.door.lock(), LockState::Unlocked);
}

#[test]
fn a_coil_of_pulse_duty_rests_between_its_openings() {
    let mut rig = alarmed(strike());
    for _ in 0..3 {
        assert_eq!(rig.wait(3000), "RELEASE:strike relocked:time");
        assert_eq!(rig.wait(4999), "");
        assert_eq!(rig.wait(1), "FIRE granted:fire OPERATE:3000 unlocked:3000");
    }
    // an exit in the rest is an exit, and fire goes on after it
    rig.wait(4000);
    rig.rex(false, RexKind::Unlock);
    assert!(rig.rex(true, RexKind::Unlock).contains("unlocked:3000"));
    let on = rig.wait(4100);
    assert!(on.contains("FIRE granted:fire OPERATE:3000"), "{on}");
    rig.input(Input::Fire(FireAlarm::Reset));
    rig.wait(5000);
    assert_eq!(rig.door.lock(), LockState::Locked);
    assert_eq!(rig.wait(100_000), "");
}

#[test]
fn a_pulse_for_fire_is_not_cut_short_and_leaves_no_alarm_of_the_door() {
    let mut rig = alarmed(DoorParams {
        relock: Relock::OnOpen,
        ..with_contact()
    });
    assert_eq!(rig.contact(true), "opened");
    assert_eq!(rig.wait(3000), "RELEASE:strike relocked:time");
    assert_eq!(rig.contact(false), "closed");
    rig.wait(4000);
    assert_eq!(rig.contact(true), "opened", "whoever gets it open flees");
}

#[test]
fn a_stepping_gate_is_moved_once_and_again_only_where_it_is_seen_shut() {
    let step = || DoorParams {
        lock: LockKind::GateStep,
        strike: Duration::from_secs(1),
        ..with_contact()
    };
    let mut rig = alarmed(step());
    assert_eq!(rig.contact(true), "opened");
    assert_eq!(
        rig.wait(600_000),
        "RELEASE:strike relocked:time",
        "it stands open"
    );
    assert_eq!(
        rig.contact(false),
        "closed FIRE granted:fire OPERATE:1000 unlocked:1000"
    );
    // one that stands open already is not shut by it, nor when nobody reads its contact any more
    let mut rig = Rig::new(step());
    rig.first_contact(true);
    assert_eq!(rig.input(Input::Fire(FireAlarm::Raised)), "");
    assert_eq!(rig.input(Input::ContactUnread), "");
    assert_eq!(rig.wait(60_000), "");
    // an alarm of an earlier life has moved it, whatever its contact says later
    for contact in [true, false] {
        let mut rig = Rig::new(DoorParams { contact, ..step() });
        assert_eq!(rig.input(Input::Fire(FireAlarm::Stands)), "");
        assert_eq!(rig.input(Input::GuardUp), "");
        assert_eq!(rig.wait(60_000), "");
        let shut = rig.first_contact(false);
        assert_eq!(shut.contains("FIRE"), contact, "{shut}");
    }
    // and one without a contact is moved once, when it cannot still be moving by a step of before the start
    let mut rig = Rig::new(DoorParams {
        contact: false,
        ..step()
    });
    assert_eq!(rig.input(Input::Fire(FireAlarm::Raised)), "");
    assert_eq!(
        rig.wait(600_000),
        "FIRE granted:fire OPERATE:1000 unlocked:1000 RELEASE:strike relocked:time"
    );
    assert_eq!(rig.input(Input::GuardUp), "");
}

#[test]
fn what_the_guard_does_not_take_is_asked_for_until_it_does() {
    for params in [strike(), continuous()] {
        let mut rig = Rig::new(params);
        rig.guard = false;
        let mut said = rig.input(Input::Fire(FireAlarm::Raised));
        let mut tries = 0;
        while said.contains("OPERATE") {
            tries += 1;
            let grant = Some(rig.held.remove(0));
            let text = "busy".to_owned();
            assert_eq!(rig.report(GuardReport::Failed { grant, text }), "fault:busy");
            said = rig.wait(100);
        }
        assert_eq!(tries, 6, "in a row");
        let later = rig.wait(30_000);
        assert_eq!(later.matches("OPERATE").count(), 1, "{later}");
        rig.held.clear();
        rig.report(gone());
        rig.guard = true;
        let up = rig.input(Input::GuardUp);
        assert!(up.contains("FIRE granted:fire OPERATE"), "{up}");
        assert_eq!(rig.door.lock(), LockState::Unlocked);
        assert_eq!(rig.input(Input::GuardUp), "", "once");
    }
}

#[test]
fn a_guard_that_lets_go_is_asked_anew() {
    // by its own cap
    let mut rig = alarmed(continuous());
    rig.wait(25_000);
    let grant = rig.held[0];
    rig.held.clear();
    let cause = ReleaseCause::Guard;
    assert_eq!(
        rig.report(GuardReport::Released { cause, grant }),
        "relocked:guard"
    );
    assert_eq!(
        rig.wait(100),
        "FIRE granted:fire OPERATE:86400000 unlocked:86400000"
    );
    // as it restarts, or dies
    for report in [GuardReport::Restarts, gone()] {
        rig.held.clear();
        rig.report(report);
        assert_eq!(rig.door.lock(), LockState::Locked);
        assert!(rig.input(Input::GuardUp).contains("unlocked"));
    }
    rig.held.clear();
    rig.report(gone());
    assert!(
        rig.wait(100).contains("unlocked"),
        "without one that comes up, too"
    );
}

#[test]
fn another_output_or_duty_is_opened_as_it_comes() {
    let mut rig = alarmed(continuous());
    rig.wait(10_000);
    let params = |name: &str, duty| DoorParams {
        duty,
        output: output(name),
        ..continuous()
    };
    rig.door
        .apply(rig.now, params("strike", Duty::Pulse))
        .expect("good");
    assert_eq!(rig.drain(), "RELEASE:strike relocked:config");
    let on = rig.wait(5000);
    assert_eq!(on, "FIRE granted:fire OPERATE:3000 unlocked:3000");
    rig.door
        .apply(rig.now, params("strike", Duty::Continuous))
        .expect("good");
    rig.wait(20_000);
    assert!(rig.door.is_kept_open());
}

#[test]
fn a_lockdown_between_two_openings_keeps_nobody_in() {
    let mut rig = alarmed(strike());
    rig.wait(4000);
    assert_eq!(rig.input(Input::LockDown), "");
    assert!(rig.wait(4000).contains("FIRE granted:fire"));
    assert_eq!(rig.input(Input::LockDown), "");
}
