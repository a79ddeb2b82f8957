//! The door under virtual time. Grants come from the real access decision.

use std::time::Duration;

use gateway_access::{
    Access, Context, Decision, DoorPolicy, Grant, HoldBy, Policy, Request, RexKind, Standing,
};
use gateway_core::{
    ContactState, DoorEvent, DoorId, Edge, Factor, InputId, Instant, LockState, Origin, OutputId, RingId,
    Subject,
};

use super::{Door, JOIN, Told};
use crate::{
    DoorParams, Duty, FireAlarm, GuardReport, Input, LockKind, LockOwner, MAX_PULSE, Output, ParamsError,
    ReleaseCause, Relock,
};

const T0: Instant = Instant::from_nanos(5_000_000_000_000);

/// A door, the access decision, a guard that does as told, and a clock.
struct Rig {
    access: Access,
    door: Door,
    /// Answer of the guard to each `Operate`; off to test its silence.
    guard: bool,
    held: Vec<u64>,
    log: Vec<String>,
    now: Instant,
}

impl Rig {
    fn new(params: DoorParams) -> Self {
        let mut door = DoorPolicy::new(params.output.clone());
        door.rex.insert(input("rex"), RexKind::Unlock);
        door.hold.limit = Some(Duration::from_secs(86_400));
        let policy = Policy {
            doors: [(id(), door)].into(),
            ..Policy::default()
        };
        let mut access = Access::new(policy);
        access.set_fire(Some(input("fire")));
        Self {
            access,
            door: Door::new(T0, params).expect("good parameters"),
            guard: true,
            held: Vec::new(),
            log: Vec::new(),
            now: T0,
        }
    }

    fn grant(&mut self, request: Request) -> Grant {
        let context = Context {
            generation: 1,
            journal_ok: true,
            projection_at_head: true,
            ready: true,
            wall: None,
        };
        match self.access.decide(self.now, &context, request) {
            Decision::Granted(grant) => grant,
            Decision::Denied(denied) => panic!("{denied:?}"),
            Decision::Held(held) => panic!("{held:?}"),
        }
    }

    fn web_grant(&mut self) -> Grant {
        let origin = Origin {
            factor: Factor::Web,
            may_simulate: false,
            subject: Subject::User("ann".into()),
        };
        let ring = Some(RingId::new(1, [1; 10]));
        self.grant(Request::Command {
            door: id(),
            origin,
            permitted: true,
            ring,
        })
    }

    fn open(&mut self) -> String {
        let grant = self.web_grant();
        self.input(Input::Granted(grant))
    }

    fn hold(&mut self, seconds: u64) -> String {
        let origin = Origin {
            factor: Factor::Web,
            may_simulate: false,
            subject: Subject::User("ann".into()),
        };
        let grant = self.grant(Request::Hold {
            by: HoldBy::Command {
                origin,
                permitted: true,
            },
            door: id(),
            time: Duration::from_secs(seconds),
        });
        self.input(Input::Granted(grant))
    }

    fn fire(&mut self) -> String {
        let grant = self.grant(Request::Fire { door: id() });
        self.input(Input::Granted(grant))
    }

    fn contact(&mut self, open: bool) -> String {
        self.input(Input::Contact(Edge {
            active: open,
            initial: false,
        }))
    }

    fn first_contact(&mut self, open: bool) -> String {
        self.input(Input::Contact(Edge {
            active: open,
            initial: true,
        }))
    }

    fn rex(&mut self, active: bool, kind: RexKind) -> String {
        let edge = Edge {
            active,
            initial: false,
        };
        self.input(Input::Rex {
            edge,
            input: input("rex"),
            kind,
        })
    }

    fn input(&mut self, input: Input) -> String {
        self.door.handle_input(self.now, input);
        self.drain()
    }

    fn report(&mut self, report: GuardReport) -> String {
        self.input(Input::Guard(report))
    }

    /// Lets time pass, stopping at each timeout.
    fn wait(&mut self, ms: u64) -> String {
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.door.poll_timeout().filter(|at| *at <= end) {
            assert!(at >= self.now, "a timeout in the past");
            self.now = at;
            self.door.handle_timeout(at);
            self.pump();
            assert!(self.door.poll_timeout() != Some(at), "handled and still due");
        }
        self.now = end;
        self.door.handle_timeout(end);
        self.drain()
    }

    fn drain(&mut self) -> String {
        self.pump();
        std::mem::take(&mut self.log).join(" ")
    }

    fn pump(&mut self) {
        while let Some(output) = self.door.poll_output() {
            let word = match output {
                Output::Event { event, .. } => words(&event),
                Output::Operate { grant, pulse } => {
                    let id = grant.spend().id;
                    self.log.push(format!("OPERATE:{}", pulse.as_millis()));
                    if self.guard {
                        self.feed(GuardReport::Energised { grant: id });
                        for old in std::mem::take(&mut self.held) {
                            self.feed(GuardReport::Released {
                                cause: ReleaseCause::Superseded,
                                grant: old,
                            });
                        }
                    }
                    self.held.push(id);
                    continue;
                }
                Output::Release { output } => {
                    self.log.push(format!("RELEASE:{output}"));
                    if self.guard {
                        for old in std::mem::take(&mut self.held) {
                            self.feed(GuardReport::Released {
                                cause: ReleaseCause::Asked,
                                grant: old,
                            });
                        }
                    }
                    continue;
                }
                Output::RequestExit { input } => {
                    self.log.push("EXIT".to_owned());
                    let grant = self.grant(Request::Rex { door: id(), input });
                    self.door.handle_input(self.now, Input::Granted(grant));
                    continue;
                }
                Output::RequestFire => {
                    self.log.push("FIRE".to_owned());
                    let grant = self.grant(Request::Fire { door: id() });
                    self.door.handle_input(self.now, Input::Granted(grant));
                    continue;
                }
            };
            self.log.push(word);
        }
    }

    fn feed(&mut self, report: GuardReport) {
        self.door.handle_input(self.now, Input::Guard(report));
    }
}

#[test]
fn a_grant_opens_once_for_the_strike_time() {
    let mut rig = Rig::new(strike());
    assert_eq!(rig.open(), "granted:web OPERATE:3000 unlocked:3000");
    assert_eq!(rig.door.lock(), LockState::Unlocked);
    assert_eq!(rig.door.pulse_until(), Some(T0 + Duration::from_secs(3)));
    assert_eq!(rig.wait(2999), "");
    assert_eq!(rig.wait(1), "RELEASE:strike relocked:time");
    assert_eq!(rig.door.lock(), LockState::Locked);
    assert_eq!(rig.wait(100_000), "");
    assert_eq!(rig.door.poll_timeout(), None);
}

#[test]
fn two_pressing_nine_at_once_make_one_pulse() {
    let mut rig = Rig::new(strike());
    assert_eq!(rig.open(), "granted:web OPERATE:3000 unlocked:3000");
    rig.wait(200);
    assert_eq!(rig.open(), "granted:web:joins the running pulse");
    assert_eq!(rig.wait(2800), "RELEASE:strike relocked:time");
}

#[test]
fn a_later_grant_moves_the_end_without_a_gap_and_not_beyond_the_cap() {
    let params = DoorParams {
        strike: Duration::from_secs(20),
        ..strike()
    };
    let mut rig = Rig::new(params.clone());
    rig.open();
    rig.wait(2000);
    assert_eq!(rig.open(), "granted:web OPERATE:20000");
    rig.wait(10_000);
    assert_eq!(rig.open(), "granted:web OPERATE:13000", "25 s from the begin");
    assert_eq!(rig.wait(12_999), "");
    assert_eq!(rig.wait(1), "RELEASE:strike relocked:time");
    assert_eq!(rig.now, T0 + MAX_PULSE);

    let mut rig = Rig::new(DoorParams {
        duty: Duty::Continuous,
        ..params
    });
    rig.open();
    rig.wait(15_000);
    assert_eq!(rig.open(), "granted:web OPERATE:20000");
}

#[test]
fn a_shorter_pulse_never_shortens_the_running_one() {
    let mut rig = Rig::new(DoorParams {
        strike: Duration::from_secs(20),
        ..strike()
    });
    rig.open();
    rig.wait(2000);
    let shorter = DoorParams {
        strike: Duration::from_secs(19),
        ..strike()
    };
    rig.door.apply(rig.now, shorter).expect("good parameters");
    assert_eq!(
        rig.door.pulse_until(),
        Some(T0 + Duration::from_secs(19)),
        "but a new configuration does"
    );
    assert_eq!(rig.open(), "granted:web OPERATE:19000");
}

#[test]
fn egress_is_passed_to_the_guard_even_within_a_fresh_pulse() {
    let mut rig = Rig::new(strike());
    rig.rex(false, RexKind::Unlock);
    rig.open();
    assert_eq!(rig.rex(true, RexKind::Unlock), "EXIT granted:rex OPERATE:3000");
    assert_eq!(rig.fire(), "granted:fire OPERATE:3000");
}

#[test]
fn relock_on_open_and_on_close_only_shorten_the_pulse() {
    let mut rig = Rig::new(DoorParams {
        relock: Relock::OnOpen,
        ..with_contact()
    });
    rig.first_contact(false);
    rig.open();
    rig.wait(500);
    assert_eq!(rig.contact(true), "opened RELEASE:strike relocked:on-open");
    assert_eq!(rig.wait(10_000), "");

    let mut rig = Rig::new(DoorParams {
        relock: Relock::OnClose,
        ..with_contact()
    });
    rig.first_contact(false);
    rig.open();
    assert_eq!(rig.contact(true), "opened");
    assert_eq!(rig.contact(false), "closed RELEASE:strike relocked:on-close");
    rig.wait(5000);
    rig.open();
    assert_eq!(rig.wait(3000), "RELEASE:strike relocked:time", "never opened");
}

#[test]
fn fire_is_not_cut_short_by_the_contact() {
    let mut rig = Rig::new(DoorParams {
        relock: Relock::OnOpen,
        ..with_contact()
    });
    rig.first_contact(false);
    rig.fire();
    assert_eq!(rig.contact(true), "opened");
    assert_eq!(rig.wait(3000), "RELEASE:strike relocked:time");
}

#[test]
fn a_door_opened_without_permission_is_forced_until_it_is_shut() {
    let mut rig = Rig::new(with_contact());
    rig.first_contact(false);
    assert_eq!(rig.contact(true), "opened forced");
    assert!(rig.door.is_forced());
    assert_eq!(rig.contact(true), "");
    assert_eq!(rig.wait(60_000), "", "forced is not held open, too");
    assert_eq!(
        rig.open(),
        "granted:web OPERATE:3000 unlocked:3000",
        "a forced door still opens"
    );
    assert_eq!(rig.contact(false), "closed forced-ended");
}

#[test]
fn the_first_reading_is_state_and_never_forced() {
    let mut rig = Rig::new(with_contact());
    assert_eq!(rig.door.contact(), ContactState::Unknown);
    assert_eq!(rig.first_contact(true), "");
    assert_eq!(rig.door.contact(), ContactState::Open);
    assert_eq!(rig.wait(30_000), "held-open");
    assert_eq!(rig.contact(false), "closed held-open-ended");
    // After a reconnect the first reading differs: told, but nobody knows who opened it.
    assert_eq!(rig.first_contact(true), "opened");
    assert!(!rig.door.is_forced());
}

#[test]
fn what_an_earlier_life_told_is_ended_by_the_first_reading_that_shows_it_and_stands_until_then() {
    let told = Told {
        forced: true,
        held_open: false,
        open: true,
        tamper: true,
    };
    let tamper = |active, initial| Input::Tamper(Edge { active, initial });
    let mut rig = Rig::new(with_contact());
    rig.door.restore(told);
    assert!(rig.door.is_forced(), "nobody has seen it shut");
    assert_eq!(rig.door.contact(), ContactState::Unknown);
    assert_eq!(rig.first_contact(true), "", "it is as it was told");
    assert!(rig.door.is_forced());
    assert_eq!(rig.wait(60_000), "", "what is forced is not held open, too");
    assert_eq!(rig.contact(false), "closed forced-ended");
    assert_eq!(rig.input(tamper(true, true)), "", "it is as it was told");
    assert_eq!(rig.input(tamper(false, false)), "tamper:false");

    let mut rig = Rig::new(with_contact());
    rig.door.restore(told);
    assert_eq!(
        rig.first_contact(false),
        "closed forced-ended",
        "somebody shut it meanwhile"
    );
    assert_eq!(rig.input(tamper(false, true)), "tamper:false");

    let mut rig = Rig::new(with_contact());
    let held_open = Told {
        held_open: true,
        open: true,
        ..Told::default()
    };
    rig.door.restore(held_open);
    assert_eq!(rig.first_contact(true), "");
    assert_eq!(rig.wait(60_000), "", "it is told once");
    assert!(rig.door.is_held_open());
    assert_eq!(rig.contact(false), "closed held-open-ended");

    let mut rig = Rig::new(strike());
    rig.door.restore(told);
    assert!(
        !rig.door.is_forced(),
        "without a contact nobody would see it shut"
    );
}

#[test]
fn a_contact_that_nobody_read_for_a_while_tells_what_differs_and_forces_nothing() {
    let mut rig = Rig::new(with_contact());
    rig.first_contact(false);
    rig.input(Input::ContactUnread);
    assert_eq!(rig.first_contact(true), "opened");
    assert!(!rig.door.is_forced());
    rig.input(Input::ContactUnread);
    assert_eq!(rig.first_contact(false), "closed");
    rig.input(Input::ContactUnread);
    assert_eq!(rig.first_contact(false), "");
}

#[test]
fn held_open_is_reported_once_and_ends() {
    let mut rig = Rig::new(with_contact());
    rig.first_contact(false);
    rig.open();
    rig.wait(2000);
    assert_eq!(rig.contact(true), "opened");
    assert_eq!(rig.wait(29_999), "RELEASE:strike relocked:time");
    assert_eq!(rig.wait(1), "held-open");
    assert!(rig.door.is_held_open());
    assert_eq!(rig.wait(600_000), "");
    assert_eq!(rig.contact(false), "closed held-open-ended");
    assert!(!rig.door.is_held_open());
}

#[test]
fn who_pulls_the_door_as_the_pulse_ends_is_no_burglar() {
    let mut rig = Rig::new(with_contact());
    rig.first_contact(false);
    rig.open();
    rig.wait(3500);
    assert_eq!(rig.contact(true), "opened");
    rig.contact(false);
    rig.wait(1000);
    assert_eq!(rig.contact(true), "opened forced");
}

#[test]
fn a_shunting_exit_silences_the_alarm_while_held_and_a_while_after() {
    for kind in [RexKind::ShuntOnly, RexKind::Parallel] {
        let mut rig = Rig::new(with_contact());
        rig.first_contact(false);
        rig.rex(false, kind);
        assert_eq!(rig.rex(true, kind), "rex-shunt");
        assert_eq!(rig.rex(true, kind), "");
        rig.wait(60_000);
        assert_eq!(rig.contact(true), "opened");
        rig.contact(false);
        rig.rex(false, kind);
        rig.wait(4999);
        assert_eq!(rig.contact(true), "opened");
        rig.contact(false);
        rig.wait(1);
        assert_eq!(rig.contact(true), "opened forced");
    }
}

#[test]
fn an_exit_input_acts_only_after_it_was_seen_inactive() {
    let mut rig = Rig::new(strike());
    let edge = |active, initial| Input::Rex {
        edge: Edge { active, initial },
        input: input("rex"),
        kind: RexKind::Unlock,
    };
    assert_eq!(rig.input(edge(true, true)), "", "active at start is a state");
    assert_eq!(rig.input(edge(true, false)), "");
    assert_eq!(rig.input(edge(false, false)), "");
    assert_eq!(
        rig.input(edge(true, false)),
        "EXIT granted:rex OPERATE:3000 unlocked:3000"
    );
    rig.wait(10_000);
    assert_eq!(rig.input(edge(true, true)), "", "active after a reconnect, too");
    assert_eq!(rig.input(edge(true, false)), "");
}

#[test]
fn an_opening_by_the_panel_is_told_and_not_forced() {
    let mut rig = Rig::new(with_contact());
    rig.first_contact(false);
    assert_eq!(rig.input(Input::OpenedByPanel), "opened-by-panel");
    assert_eq!(rig.contact(true), "opened");
}

#[test]
fn a_lock_of_the_panel_is_pressed_only_when_the_panel_can_and_never_forced() {
    let mut rig = Rig::new(DoorParams {
        owner: LockOwner::Panel,
        ..with_contact()
    });
    rig.first_contact(false);
    assert_eq!(rig.open(), "denied:the panel cannot open at this moment");
    assert_eq!(
        rig.fire(),
        "granted:fire OPERATE:3000 unlocked:3000",
        "egress is never refused"
    );
    rig.wait(10_000);
    rig.input(Input::PanelMayOpen(true));
    assert_eq!(rig.open(), "granted:web OPERATE:3000 unlocked:3000");
    rig.wait(60_000);
    assert_eq!(rig.contact(true), "opened");
    assert_eq!(rig.door.lock(), LockState::Unknown);
}

#[test]
fn a_lock_sense_tells_what_the_panel_opens_for_others_and_whether_it_opens_for_us() {
    let mut rig = Rig::new(DoorParams {
        owner: LockOwner::Panel,
        ..with_contact()
    });
    let sense = |active, initial| Input::LockSense(Edge { active, initial });
    rig.first_contact(false);
    assert_eq!(rig.input(sense(true, true)), "", "a state at the start");
    assert_eq!(rig.door.lock(), LockState::Unlocked);
    assert_eq!(rig.input(sense(false, false)), "");
    assert_eq!(rig.door.lock(), LockState::Locked);
    assert_eq!(rig.input(sense(true, false)), "opened-by-panel");
    assert_eq!(rig.input(Input::OpenedByPanel), "", "the tones say the same");
    assert_eq!(rig.contact(true), "opened");
    rig.contact(false);
    rig.input(sense(false, false));
    rig.wait(10_000);
    assert_eq!(rig.input(Input::OpenedByPanel), "opened-by-panel");
    assert_eq!(rig.input(sense(true, false)), "", "the sense says the same");
    rig.input(sense(false, false));
    rig.wait(10_000);

    // our own press opens it: no opening of somebody else, up to two seconds after it
    rig.input(Input::PanelMayOpen(true));
    assert_eq!(rig.open(), "granted:web OPERATE:3000 unlocked:3000");
    assert_eq!(rig.input(sense(true, false)), "");
    assert_eq!(rig.contact(true), "opened");
    rig.contact(false);
    assert_eq!(rig.input(sense(false, false)), "");
    assert_eq!(rig.wait(4900), "RELEASE:strike relocked:time");
    assert_eq!(rig.input(sense(true, false)), "");
    rig.input(sense(false, false));
    assert_eq!(rig.wait(10_000), "");
    assert_eq!(rig.input(sense(true, false)), "opened-by-panel");
    rig.input(sense(false, false));
    rig.wait(10_000);

    // and a press that it does not follow is a fault, until it opens again
    rig.open();
    let said = rig.wait(10_000);
    assert!(said.starts_with("RELEASE:strike relocked:time fault:"), "{said}");
    assert!(rig.door.fault().is_some_and(|text| text.contains("did not open")));
    // the next press is none that it follows either
    rig.open();
    assert!(rig.door.fault().is_some());
    let said = rig.wait(10_000);
    assert!(said.contains("fault:"), "{said}");
    rig.input(sense(true, false));
    assert_eq!(rig.door.fault(), None);
    let said = rig.input(Input::LockSenseStuck);
    assert!(said.starts_with("fault:the lock sense"), "{said}");
    rig.input(Input::LockSenseUnread);
    assert_eq!((rig.door.fault(), rig.door.lock()), (None, LockState::Unknown));
    rig.open();
    assert_eq!(
        rig.wait(10_000),
        "RELEASE:strike relocked:time",
        "nobody can tell"
    );
    assert_eq!(rig.door.poll_timeout(), None);
}

#[test]
fn the_lock_of_the_gateway_has_no_sense() {
    let mut rig = Rig::new(with_contact());
    rig.first_contact(false);
    for active in [false, true] {
        let edge = Edge {
            active,
            initial: false,
        };
        assert_eq!(rig.input(Input::LockSense(edge)), "");
    }
    assert_eq!(rig.contact(true), "opened forced");
}

#[test]
fn a_stepping_gate_gets_no_second_pulse_while_it_moves() {
    let mut rig = Rig::new(DoorParams {
        lock: LockKind::GateStep,
        strike: Duration::from_secs(1),
        ..with_contact()
    });
    rig.first_contact(false);
    assert_eq!(rig.open(), "granted:web OPERATE:1000 unlocked:1000");
    assert_eq!(rig.open(), "granted:web:joins the running pulse");
    rig.wait(2000);
    assert_eq!(
        rig.open(),
        "denied:the gate moves: another pulse would stop or turn it"
    );
    assert_eq!(rig.fire(), "granted:fire:the gate moves already");
    assert_eq!(rig.contact(true), "opened", "it moves for us");
    rig.wait(18_000);
    assert_eq!(rig.open(), "denied:the gate is open: another pulse would shut it");
    assert_eq!(
        rig.fire(),
        "granted:fire OPERATE:1000 unlocked:1000",
        "a broken contact keeps nobody in"
    );
    rig.wait(30_000);
    rig.contact(false);
    assert_eq!(rig.open(), "granted:web OPERATE:1000 unlocked:1000");
}

/// Steps with 1 s, moves for 12 s.
fn stepping() -> DoorParams {
    DoorParams {
        lock: LockKind::GateStep,
        strike: Duration::from_secs(1),
        travel: Duration::from_secs(12),
        ..with_contact()
    }
}

const MOVES: &str = "denied:the gate moves: another pulse would stop or turn it";
const UNREAD: &str = "denied:nobody can tell whether the gate is open: its contact is not read";

#[test]
fn a_stepping_gate_moves_for_the_time_of_its_file_whatever_its_contact_says_meanwhile() {
    let mut rig = Rig::new(stepping());
    rig.first_contact(false);
    rig.open();
    // it warns first, and shakes as it begins to move
    rig.wait(3000);
    rig.contact(true);
    rig.contact(false);
    assert_eq!(rig.open(), MOVES);
    rig.wait(8999);
    assert_eq!(rig.open(), MOVES);
    rig.wait(1);
    assert_eq!(rig.open(), "granted:web OPERATE:1000 unlocked:1000");
}

#[test]
fn a_stepping_gate_whose_contact_nobody_reads_lets_in_nobody() {
    let mut rig = Rig::new(stepping());
    rig.wait(600_000);
    assert_eq!(rig.open(), UNREAD);
    rig.first_contact(false);
    rig.open();
    rig.wait(600_000);
    rig.input(Input::ContactUnread);
    assert_eq!(rig.open(), UNREAD);
    assert_eq!(rig.fire(), "granted:fire OPERATE:1000 unlocked:1000");
    let mut rig = Rig::new(DoorParams {
        contact: false,
        ..stepping()
    });
    rig.wait(600_000);
    assert_eq!(rig.open(), UNREAD, "and one without a contact none");
}

#[test]
fn a_stepping_gate_counts_as_moving_after_a_start_until_it_is_seen_shut() {
    let mut rig = Rig::new(stepping());
    assert_eq!(rig.open(), MOVES);
    rig.first_contact(true);
    rig.wait(11_999);
    assert_eq!(rig.open(), MOVES);
    assert_eq!(rig.fire(), "granted:fire:the gate moves already");
    rig.wait(1);
    assert_eq!(rig.open(), "denied:the gate is open: another pulse would shut it");
    assert_eq!(
        rig.door.poll_timeout(),
        Some(T0 + Duration::from_secs(30)),
        "held open, and nothing else"
    );

    let mut rig = Rig::new(stepping());
    rig.first_contact(true);
    rig.wait(2000);
    rig.contact(false);
    assert_eq!(rig.open(), "granted:web OPERATE:1000 unlocked:1000");

    // a file that makes a stepping gate of it is a start, too
    let mut rig = Rig::new(with_contact());
    rig.wait(60_000);
    rig.door.apply(rig.now, stepping()).expect("good parameters");
    assert_eq!(rig.open(), MOVES);
    rig.first_contact(false);
    assert_eq!(rig.open(), "granted:web OPERATE:1000 unlocked:1000");
}

#[test]
fn a_permission_of_another_generation_output_or_time_is_refused() {
    let mut rig = Rig::new(strike());
    let grant = rig.web_grant();
    let next = DoorParams {
        generation: 2,
        ..strike()
    };
    rig.door.apply(rig.now, next).expect("good parameters");
    assert_eq!(
        rig.input(Input::Granted(grant)),
        "denied:the permission is of configuration generation 1, in force is 2"
    );

    let mut rig = Rig::new(strike());
    let grant = rig.web_grant();
    rig.wait(2000);
    assert_eq!(
        rig.input(Input::Granted(grant)),
        "denied:the permission came too late to be used"
    );

    let mut rig = Rig::new(strike());
    let grant = Rig::new(DoorParams {
        generation: 1,
        ..DoorParams::new(output("other"))
    })
    .web_grant();
    assert_eq!(
        rig.input(Input::Granted(grant)),
        "denied:the permission is for output other"
    );
}

#[test]
fn a_removed_output_is_released_first() {
    let mut rig = Rig::new(strike());
    rig.open();
    let other = DoorParams {
        generation: 2,
        ..DoorParams::new(output("other"))
    };
    rig.door.apply(rig.now, other).expect("good parameters");
    assert_eq!(rig.drain(), "RELEASE:strike relocked:config");
    assert_eq!(rig.door.pulse_until(), None);
    rig.door.retire();
    assert_eq!(rig.drain(), "RELEASE:other");
}

#[test]
fn the_lock_is_shown_as_the_guard_reports_it() {
    let mut rig = Rig::new(strike());
    rig.guard = false;
    assert_eq!(rig.open(), "granted:web OPERATE:3000");
    assert_eq!(
        rig.door.lock(),
        LockState::Locked,
        "nobody said that it is energised"
    );
    let grant = rig.held[0];
    rig.wait(40);
    assert_eq!(rig.report(GuardReport::Energised { grant }), "unlocked:3000");
    assert_eq!(rig.wait(2960), "RELEASE:strike");
    assert_eq!(rig.door.lock(), LockState::Unlocked, "nobody said that it rests");
    assert_eq!(rig.wait(1000), "fault:the guard does not tell");
    assert_eq!(rig.door.lock(), LockState::Unlocked);
    assert_eq!(rig.wait(60_000), "");
    let cause = ReleaseCause::PulseEnd;
    assert_eq!(
        rig.report(GuardReport::Released { cause, grant }),
        "relocked:time"
    );
    assert!(rig.door.fault().is_some(), "until it works again");
    rig.guard = true;
    rig.held.clear();
    assert_eq!(rig.open(), "granted:web OPERATE:3000 unlocked:3000");
    assert_eq!(rig.door.fault(), None);
}

#[test]
fn a_fault_of_the_lock_ends_as_its_output_answers_and_rests_again() {
    let mut rig = Rig::new(strike());
    rig.guard = false;
    rig.open();
    let failed = GuardReport::Failed {
        grant: rig.held.pop(),
        text: "the board does not answer".to_owned(),
    };
    assert!(rig.report(failed).contains("fault:the board does not answer"));
    assert!(rig.door.fault().is_some());
    assert_eq!(rig.input(Input::GuardUp), "", "nothing opens by it");
    assert_eq!(rig.door.fault(), None);
}

#[test]
fn what_may_have_opened_for_a_moment_is_a_fault_and_nobody_forces_the_door_after_it() {
    let mut rig = Rig::new(DoorParams {
        settle: Duration::from_secs(2),
        ..with_contact()
    });
    rig.first_contact(false);
    let fail = |rig: &mut Rig| {
        rig.guard = false;
        rig.open();
        let grant = rig.held.pop().expect("asked for");
        let text = "it may have been open".to_owned();
        rig.report(GuardReport::MayHaveOpened { grant, text })
    };
    assert!(fail(&mut rig).contains("fault:it may have been open"));
    assert_eq!(rig.door.lock(), LockState::Locked);
    rig.wait(1000);
    assert_eq!(rig.contact(true), "opened");
    rig.contact(false);
    rig.wait(60_000);
    assert_eq!(rig.contact(true), "opened forced", "later somebody did");

    // a gate that may have been started counts as moving: a second pulse might shut it on a car
    let mut gate = Rig::new(DoorParams {
        lock: LockKind::GateStep,
        ..with_contact()
    });
    gate.first_contact(false);
    fail(&mut gate);
    gate.guard = true;
    assert!(!gate.open().contains("OPERATE"), "it may move");
}

#[test]
fn a_guard_that_never_answers_is_a_fault_and_the_next_grant_begins_anew() {
    let mut rig = Rig::new(strike());
    rig.guard = false;
    rig.open();
    assert_eq!(rig.wait(5000), "RELEASE:strike fault:the guard does not tell");
    assert_eq!(rig.door.poll_timeout(), None);
    rig.guard = true;
    rig.held.clear();
    assert_eq!(rig.open(), "granted:web OPERATE:3000 unlocked:3000");
}

#[test]
fn an_output_energised_for_an_unknown_permission_is_released() {
    let mut rig = Rig::new(strike());
    assert_eq!(
        rig.report(GuardReport::Energised { grant: 77 }),
        "fault:output strike was energised RELEASE:strike"
    );
    assert_eq!(rig.door.lock(), LockState::Locked);
}

#[test]
fn a_release_of_an_extended_pulse_that_crosses_the_grant_is_sorted_out() {
    let mut rig = Rig::new(strike());
    rig.open();
    let first = rig.held[0];
    rig.wait(2999);
    rig.guard = false;
    assert_eq!(rig.open(), "granted:web OPERATE:3000");
    let second = rig.held[1];
    // The guard ended the first pulse before it read of the second.
    let cause = ReleaseCause::PulseEnd;
    assert_eq!(
        rig.report(GuardReport::Released { cause, grant: first }),
        "relocked:time"
    );
    assert_eq!(
        rig.report(GuardReport::Energised { grant: second }),
        "unlocked:5999"
    );
    assert_eq!(rig.wait(3000), "RELEASE:strike");
    let cause = ReleaseCause::Asked;
    assert_eq!(
        rig.report(GuardReport::Released { cause, grant: second }),
        "relocked:time"
    );
}

#[test]
fn a_grant_that_takes_over_leaves_no_gap_whatever_comes_first_of_the_reports() {
    for fails in [false, true] {
        let mut rig = Rig::new(strike());
        rig.open();
        let first = rig.held[0];
        rig.wait(1500);
        rig.guard = false;
        rig.open();
        let grant = rig.held[1];
        let cause = ReleaseCause::Superseded;
        assert_eq!(rig.report(GuardReport::Released { cause, grant: first }), "");
        assert_eq!(rig.door.lock(), LockState::Unlocked);
        if fails {
            let text = "late".to_owned();
            let said = rig.report(GuardReport::Failed {
                grant: Some(grant),
                text,
            });
            assert_eq!(said, "fault:late relocked:guard");
            assert_eq!(rig.door.lock(), LockState::Locked);
        } else {
            assert_eq!(rig.report(GuardReport::Energised { grant }), "");
            assert_eq!(rig.wait(3000), "RELEASE:strike");
        }
    }
}

#[test]
fn what_the_guard_does_by_itself_is_told_as_its_own() {
    let mut rig = Rig::new(strike());
    rig.open();
    let grant = rig.held.remove(0);
    let cause = ReleaseCause::Guard;
    assert_eq!(
        rig.report(GuardReport::Released { cause, grant }),
        "relocked:guard"
    );
    assert_eq!(rig.wait(10_000), "");
    rig.open();
    rig.held.clear();
    assert_eq!(
        rig.report(GuardReport::Failed {
            grant: None,
            text: "gone".into()
        }),
        "fault:gone relocked:guard"
    );
    assert_eq!(rig.door.lock(), LockState::Locked);
}

#[test]
fn egress_that_the_guard_did_not_take_is_asked_for_again_a_few_times() {
    let mut rig = Rig::new(strike());
    rig.guard = false;
    rig.rex(false, RexKind::Unlock);
    assert_eq!(rig.rex(true, RexKind::Unlock), "EXIT granted:rex OPERATE:3000");
    let grant = rig.held.remove(0);
    let busy = |grant| GuardReport::Failed {
        grant: Some(grant),
        text: "busy".into(),
    };
    assert_eq!(rig.report(busy(grant)), "fault:busy");
    rig.guard = true;
    assert_eq!(rig.wait(100), "EXIT granted:rex OPERATE:3000 unlocked:3000");
    rig.wait(5000);

    // A credential is the person's to show again.
    rig.open();
    let grant = rig.held.remove(0);
    rig.report(busy(grant));
    assert_eq!(rig.wait(10_000), "");
}

#[test]
fn an_exit_waits_for_the_next_guard_no_longer_than_it_would_have_opened() {
    for (away, opens) in [(2500, true), (3100, false)] {
        let mut rig = Rig::new(strike());
        rig.guard = false;
        rig.rex(false, RexKind::Unlock);
        let mut said = rig.rex(true, RexKind::Unlock);
        for _ in 0..away / 100 {
            if said.contains("OPERATE") {
                let grant = Some(rig.held.remove(0));
                let text = "no guard".to_owned();
                rig.report(GuardReport::Failed { grant, text });
            }
            said = rig.wait(100);
        }
        rig.guard = true;
        let up = rig.input(Input::GuardUp);
        assert_eq!(up.contains("EXIT"), opens, "after {away} ms: {up}");
        assert_eq!(rig.door.lock() == LockState::Unlocked, opens);
        assert_eq!(rig.input(Input::GuardUp), "");
    }
}

#[test]
fn a_guard_that_does_not_answer_gets_no_endless_queue_but_all_egress() {
    let mut rig = Rig::new(DoorParams {
        duty: Duty::Continuous,
        ..strike()
    });
    rig.guard = false;
    for _ in 0..16 {
        rig.open();
        rig.wait(1100);
    }
    assert_eq!(rig.open(), "denied:the guard does not answer");
    assert_eq!(rig.fire(), "granted:fire OPERATE:86400000");
}

#[test]
fn tamper_is_told_at_each_change_and_at_the_first_reading() {
    let mut rig = Rig::new(strike());
    let tamper = |active, initial| Input::Tamper(Edge { active, initial });
    assert_eq!(rig.input(tamper(true, true)), "tamper:true");
    assert_eq!(rig.input(tamper(true, false)), "");
    assert_eq!(rig.input(tamper(false, false)), "tamper:false");
}

#[test]
fn a_lockdown_ends_the_pulse_of_who_comes_in_and_not_that_of_who_leaves() {
    let mut rig = Rig::new(strike());
    rig.open();
    rig.wait(500);
    let ended = rig.input(Input::LockDown);
    assert!(ended.contains("RELEASE"), "{ended}");
    rig.wait(5_000);
    rig.rex(false, RexKind::Unlock);
    for first_in in [true, false] {
        if first_in {
            rig.open();
        }
        rig.wait(100);
        let exit = rig.rex(true, RexKind::Unlock);
        assert!(exit.contains("OPERATE"), "{exit}");
        rig.wait(100);
        assert_eq!(rig.input(Input::LockDown), "");
        rig.wait(10_000);
        rig.rex(false, RexKind::Unlock);
    }
}

#[test]
fn a_door_stands_at_rest_only_when_it_is_shut_and_nobody_is_about_to_open_it() {
    let params = DoorParams {
        contact: true,
        ..strike()
    };
    let mut rig = Rig::new(params);
    assert_eq!(rig.door.standing(), Standing::Unknown);
    rig.first_contact(false);
    assert_eq!(rig.door.standing(), Standing::AtRest);
    rig.open();
    assert_eq!(rig.door.standing(), Standing::Opening);
    rig.contact(true);
    assert_eq!(rig.door.standing(), Standing::Open);
    rig.contact(false);
    assert_eq!(rig.door.standing(), Standing::Opening);
    // until the strike fell back, and a hand at the door had its time
    rig.wait(3_500);
    assert_eq!(rig.door.standing(), Standing::Opening);
    rig.wait(1_000);
    assert_eq!(rig.door.standing(), Standing::AtRest);
    rig.rex(false, RexKind::ShuntOnly);
    rig.rex(true, RexKind::ShuntOnly);
    assert_eq!(rig.door.standing(), Standing::Opening);
    rig.rex(false, RexKind::ShuntOnly);
    rig.wait(5_000);
    assert_eq!(rig.door.standing(), Standing::AtRest);
}

#[test]
fn a_gate_stands_at_rest_when_it_no_longer_moves() {
    let params = DoorParams {
        contact: true,
        lock: LockKind::GateOpen,
        strike: Duration::from_secs(1),
        travel: Duration::from_secs(20),
        ..strike()
    };
    let mut rig = Rig::new(params);
    rig.first_contact(false);
    rig.open();
    rig.wait(10_000);
    assert_eq!(rig.door.standing(), Standing::Opening);
    rig.wait(10_000);
    assert_eq!(rig.door.standing(), Standing::AtRest);
}

#[test]
fn what_makes_no_door_is_refused_by_name() {
    let bad = |params: DoorParams| Door::new(T0, params).expect_err("refused");
    assert_eq!(
        bad(DoorParams {
            lock: LockKind::Bistable,
            ..strike()
        }),
        ParamsError::Bistable
    );
    let found = Relock::OnClose;
    assert_eq!(
        bad(DoorParams {
            relock: found,
            ..strike()
        }),
        ParamsError::RelockNeedsContact { found }
    );
    for ms in [0, 999, 25_001] {
        let found = Duration::from_millis(ms);
        assert_eq!(
            bad(DoorParams {
                strike: found,
                ..strike()
            }),
            ParamsError::Strike { found }
        );
    }
}

#[test]
fn what_follows_from_a_ring_carries_it_and_nothing_else_does() {
    let mut rig = Rig::new(with_contact());
    let rings = |rig: &mut Rig, input| {
        rig.door.handle_input(rig.now, input);
        let mut rings = Vec::new();
        while let Some(output) = rig.door.poll_output() {
            if let Output::Event { ring, .. } = output {
                rings.push(ring.is_some());
            }
        }
        rings
    };
    let edge = |active| {
        Input::Contact(Edge {
            active,
            initial: false,
        })
    };
    rings(&mut rig, edge(false));
    let grant = rig.web_grant();
    let id = grant.parts().id;
    assert_eq!(rings(&mut rig, Input::Granted(grant)), [true]);
    assert_eq!(
        rings(&mut rig, Input::Guard(GuardReport::Energised { grant: id })),
        [true]
    );
    rig.held.push(id);
    rig.wait(3000);
    assert_eq!(rings(&mut rig, edge(true)), [true]);
    assert_eq!(rings(&mut rig, edge(false)), [true]);
    rig.wait(5000);
    assert_eq!(
        rings(&mut rig, edge(true)),
        [false, false],
        "forced is nobody's ring"
    );
}

fn continuous() -> DoorParams {
    DoorParams {
        duty: Duty::Continuous,
        ..with_contact()
    }
}

#[test]
fn a_door_is_held_open_for_its_time() {
    let mut rig = Rig::new(continuous());
    assert_eq!(
        rig.hold(600),
        "granted:web hold-began:600 OPERATE:600000 unlocked:600000"
    );
    assert_eq!(rig.door.held_until(), Some(T0 + Duration::from_secs(600)));
    assert_eq!(rig.wait(599_999), "");
    assert_eq!(rig.door.lock(), LockState::Unlocked);
    assert_eq!(rig.wait(1), "hold-ended:time RELEASE:strike relocked:time");
    assert_eq!(rig.door.held_until(), None);
    assert_eq!(rig.wait(100_000), "");
    assert_eq!(rig.door.poll_timeout(), None);
}

#[test]
fn a_second_hold_makes_the_time_longer_and_never_shorter() {
    let mut rig = Rig::new(continuous());
    rig.hold(600);
    assert_eq!(rig.hold(60), "granted:web OPERATE:600000");
    rig.wait(100_000);
    assert_eq!(rig.hold(600), "granted:web OPERATE:600000");
    assert_eq!(rig.wait(599_999), "");
    assert_eq!(rig.wait(1), "hold-ended:time RELEASE:strike relocked:time");
}

#[test]
fn only_a_door_made_for_it_is_held_open() {
    let panel = DoorParams {
        owner: LockOwner::Panel,
        ..continuous()
    };
    let gate = DoorParams {
        lock: LockKind::GateStep,
        ..continuous()
    };
    for params in [strike(), panel, gate] {
        let mut rig = Rig::new(params);
        let said = rig.hold(600);
        assert!(said.starts_with("denied:this door cannot be held open"), "{said}");
        assert_ne!(rig.door.lock(), LockState::Unlocked);
    }
}

#[test]
fn whoever_is_let_in_while_it_is_held_open_keeps_their_time_when_that_ends() {
    let mut rig = Rig::new(continuous());
    rig.hold(600);
    rig.wait(10_000);
    assert_eq!(rig.open(), "granted:web:the door is held open");
    rig.wait(1000);
    assert_eq!(rig.input(Input::EndHold { why: "command" }), "hold-ended:command");
    assert_eq!(rig.wait(1999), "");
    assert_eq!(rig.wait(1), "RELEASE:strike relocked:time");
    // nobody since: at once
    rig.hold(600);
    rig.wait(10_000);
    assert_eq!(
        rig.input(Input::EndHold { why: "schedule" }),
        "hold-ended:schedule RELEASE:strike relocked:schedule"
    );
    assert_eq!(rig.input(Input::EndHold { why: "schedule" }), "");
}

#[test]
fn an_opening_at_the_end_of_a_hold_has_a_permission_of_its_own() {
    let mut rig = Rig::new(continuous());
    rig.hold(600);
    rig.wait(598_000);
    assert_eq!(rig.open(), "granted:web OPERATE:3000");
    assert_eq!(rig.wait(2000), "hold-ended:time");
    assert_eq!(rig.wait(1000), "RELEASE:strike relocked:time");
}

#[test]
fn a_lockdown_ends_a_hold_and_not_the_exit_in_it() {
    let mut rig = Rig::new(continuous());
    rig.hold(600);
    rig.wait(10_000);
    assert_eq!(
        rig.input(Input::LockDown),
        "hold-ended:lockdown RELEASE:strike relocked:lockdown"
    );
    rig.hold(600);
    rig.rex(false, RexKind::Unlock);
    let said = rig.rex(true, RexKind::Unlock);
    assert!(said.contains("granted:rex OPERATE:600000"), "{said}");
    rig.wait(1000);
    assert_eq!(rig.input(Input::LockDown), "hold-ended:lockdown");
    assert_eq!(rig.wait(2000), "RELEASE:strike relocked:time");
    // an exit of long ago keeps nothing open for whoever came in later
    rig.hold(600);
    rig.rex(false, RexKind::Unlock);
    rig.rex(true, RexKind::Unlock);
    rig.wait(60_000);
    rig.open();
    assert_eq!(
        rig.input(Input::LockDown),
        "hold-ended:lockdown RELEASE:strike relocked:lockdown"
    );
}

#[test]
fn a_guard_that_lets_go_ends_a_hold() {
    let mut rig = Rig::new(continuous());
    rig.hold(600);
    rig.held.clear();
    let text = "gone".to_owned();
    assert_eq!(
        rig.report(GuardReport::Failed { grant: None, text }),
        "hold-ended:guard fault:gone relocked:guard"
    );
    assert_eq!(rig.door.held_until(), None);
    rig.wait(60_000);
    assert_eq!(rig.door.poll_timeout(), None);
    rig.hold(600);
    let grant = rig.held.pop().expect("a permission");
    let cause = ReleaseCause::Guard;
    assert_eq!(
        rig.report(GuardReport::Released { cause, grant }),
        "hold-ended:guard relocked:guard"
    );
}

#[test]
fn a_door_that_is_held_open_may_stand_open_and_its_limit_counts_from_the_end() {
    let mut rig = Rig::new(continuous());
    rig.first_contact(false);
    rig.open();
    rig.contact(true);
    rig.hold(600);
    rig.contact(false);
    rig.contact(true);
    assert_eq!(rig.wait(599_999), "");
    assert!(!rig.door.is_held_open());
    rig.wait(1);
    assert_eq!(rig.wait(29_999), "");
    assert_eq!(rig.wait(1), "held-open");
    assert_eq!(rig.contact(false), "closed held-open-ended");
}

#[test]
fn whoever_goes_through_a_door_that_is_held_open_does_not_lock_it() {
    for relock in [Relock::OnOpen, Relock::OnClose] {
        let mut rig = Rig::new(DoorParams {
            relock,
            ..continuous()
        });
        rig.first_contact(false);
        rig.hold(600);
        rig.open();
        assert_eq!(rig.contact(true), "opened");
        assert_eq!(rig.contact(false), "closed");
        rig.wait(60_000);
        assert_eq!(rig.door.lock(), LockState::Unlocked);
        rig.input(Input::EndHold { why: "command" });
        assert_eq!(rig.door.lock(), LockState::Locked);
    }
}

#[test]
fn a_file_that_wants_no_hold_ends_it_and_so_does_one_that_takes_the_output_away() {
    let mut rig = Rig::new(continuous());
    rig.hold(600);
    rig.door.apply(rig.now, continuous()).expect("good parameters");
    assert_eq!(rig.drain(), "");
    rig.door.apply(rig.now, with_contact()).expect("good parameters");
    assert_eq!(rig.drain(), "hold-ended:config RELEASE:strike relocked:config");
    rig.door.apply(rig.now, continuous()).expect("good parameters");
    rig.hold(600);
    rig.door.retire();
    assert_eq!(rig.drain(), "RELEASE:strike hold-ended:config relocked:config");
}

#[test]
fn constants_agree() {
    assert!(JOIN <= crate::MIN_PULSE);
}

fn words(event: &DoorEvent) -> String {
    match event {
        DoorEvent::Closed {} => "closed".into(),
        DoorEvent::Denied { reason, .. } => format!("denied:{reason}"),
        DoorEvent::Forced {} => "forced".into(),
        DoorEvent::ForcedEnded {} => "forced-ended".into(),
        DoorEvent::Granted { factor, rule, .. } => match rule.split_once("; ") {
            Some((_, joins)) => format!("granted:{factor}:{joins}"),
            None => format!("granted:{factor}"),
        },
        DoorEvent::HeldOpen {} => "held-open".into(),
        DoorEvent::HeldOpenEnded {} => "held-open-ended".into(),
        DoorEvent::HoldBegan { limit_s, .. } => format!("hold-began:{limit_s}"),
        DoorEvent::HoldEnded { why } => format!("hold-ended:{why}"),
        DoorEvent::LockedOut { .. } => "locked-out".into(),
        DoorEvent::LockFault { text } => format!("fault:{}", text.split(" for ").next().unwrap_or(text))
            .split(" what ")
            .next()
            .unwrap_or("fault")
            .to_owned(),
        DoorEvent::Opened {} => "opened".into(),
        DoorEvent::OpenedByPanel {} => "opened-by-panel".into(),
        DoorEvent::Passback { .. } => "passback".into(),
        DoorEvent::Relocked { why } => format!("relocked:{why}"),
        DoorEvent::RexShunt {} => "rex-shunt".into(),
        DoorEvent::SecondAwaited { .. } => "second-awaited".into(),
        DoorEvent::Tamper { active } => format!("tamper:{active}"),
        DoorEvent::Unlocked { pulse_ms, .. } => format!("unlocked:{pulse_ms}"),
    }
}

fn id() -> DoorId {
    DoorId::new("front").expect("a name")
}

fn input(name: &str) -> InputId {
    InputId::new(name).expect("a name")
}

fn output(name: &str) -> OutputId {
    OutputId::new(name).expect("a name")
}

fn strike() -> DoorParams {
    DoorParams {
        generation: 1,
        ..DoorParams::new(output("strike"))
    }
}

fn with_contact() -> DoorParams {
    DoorParams {
        contact: true,
        ..strike()
    }
}

mod fire;

mod random {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever happens: the guard is told to energise only for a Grant of this door, never beyond the cap,
        /// every Grant is answered once, egress is always operated or already under way, and after quiet the
        /// lock rests and no timer is left over.
        #[test]
        fn nothing_opens_by_itself_and_everything_rests(steps in prop::collection::vec((0_u8..19, 0_u64..4000), 0..60), kind in 0_u8..4) {
            let params = DoorParams {
                lock: [LockKind::Strike, LockKind::GateStep, LockKind::Maglock, LockKind::GateOpen][usize::from(kind)],
                relock: [Relock::Time, Relock::OnOpen, Relock::OnClose, Relock::Time][usize::from(kind)],
                ..with_contact()
            };
            let mut rig = Rig::new(params);
            let mut on_since: Option<Instant> = None;
            let mut burns = false;
            for (step, wait) in steps {
                let (mut asked, mut egress) = (0, false);
                let said = match step {
                    0..=2 => { asked = 1; rig.open() }
                    3 => { asked = 1; egress = true; rig.fire() }
                    4 => rig.rex(true, RexKind::Unlock),
                    5 => rig.rex(false, RexKind::Unlock),
                    6 => rig.contact(true),
                    7 => rig.contact(false),
                    8 => rig.first_contact(true),
                    9 => rig.input(Input::OpenedByPanel),
                    10 => { rig.guard = !rig.guard; rig.held.clear(); rig.report(GuardReport::Failed { grant: None, text: "gone".into() }) }
                    11 => rig.report(GuardReport::Energised { grant: 9999 }),
                    12 => rig.rex(true, RexKind::ShuntOnly),
                    13 => rig.input(Input::Tamper(Edge { active: true, initial: false })),
                    14 => { burns = !burns; rig.input(Input::Fire(if burns { FireAlarm::Raised } else { FireAlarm::Reset })) }
                    15 | 16 => rig.input(Input::LockSense(Edge { active: step == 15, initial: false })),
                    _ => String::new(),
                };
                let count = |word: &str| said.matches(word).count();
                prop_assert_eq!(count("granted:") + count("denied:") - count("EXIT") - count("FIRE"), asked, "{}", said);
                prop_assert!(count("OPERATE") <= count("granted:"), "{}", said);
                if egress {
                    prop_assert!(said.contains("OPERATE") || said.contains("moves already") || said.contains("joins"), "{}", said);
                }
                let waited = rig.wait(wait);
                for text in [&said, &waited] {
                    prop_assert!(!text.contains("OPERATE") || text.contains("granted:"), "{}", text);
                }
                let on = rig.door.lock() == LockState::Unlocked;
                on_since = on.then(|| on_since.unwrap_or(rig.now));
                if let (Some(since), true) = (on_since, rig.guard) {
                    prop_assert!(rig.now.since(since) <= MAX_PULSE + Duration::from_secs(4));
                }
            }
            rig.guard = true;
            rig.held.clear();
            rig.report(GuardReport::Failed { grant: None, text: "gone".into() });
            rig.input(Input::Fire(FireAlarm::Reset));
            rig.wait(120_000);
            prop_assert_eq!(rig.door.lock(), LockState::Locked);
            prop_assert_eq!(rig.door.poll_timeout(), None);
        }
    }
}
