//! The model test of the rules: not one opening that they forbid, and not one refusal where they allow.
//!
//! Random stories of cards, PINs, codes, calls, bells, exits, fire, commands, schedules, doubts about the clock, disks
//! that hang, power cuts, changes of people and of the site file are played to the whole gateway and to a small model of
//! the rules (`model`). After each step both must have opened the same doors by the same means, raised the same silent
//! alarms, called the same numbers, and have the same outputs on. What is dead, late, forged or frozen is the matter of
//! `nothing_opens`.

mod folk;
mod house;
mod model;
mod story;

use std::cell::RefCell;
use std::collections::BTreeMap;

use gateway_core::{
    AccessEvent, Cause, Command, CommandId, CommandRequest, DoorEvent, Event, Factor, Given, LegCommand,
    LegEvent, LegId, Origin, PanelEvent, Peer, RingId, SignalKind, Subject,
};
use gateway_site::Input;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use sim::{Phone, Sim, id, ms, secs, wall};

use folk::Folk;
use house::{BUTTONS, CONTACTS, DOORS, House, READERS};
use model::{Model, Ms, Pressed, millis};
use story::{CARDS, DIALLED, NUMBERS, PANELS, Step, TYPED, story};

/// After each step: longer than a disk that works takes.
const MOMENT: Ms = 20;
const GROUPS: [&str; 2] = ["street", "trap"];

type Verdict = Result<(), TestCaseError>;
/// What happened how often, over all stories.
type Seen = BTreeMap<String, u32>;

struct World {
    commands: u64,
    incoming: u64,
    /// Commands to legs, and records, that were compared.
    compared: (usize, usize),
    folk: Folk,
    model: Model,
    /// The last ring.
    ring: Option<RingId>,
    seen: Seen,
    sim: Sim,
}

impl World {
    fn new() -> Self {
        let (house, folk) = (House::new(0), Folk::new());
        let mut sim = Sim::new(house.params.clone());
        sim.set_people(Folk::key(), folk.records());
        sim.disk_waits();
        for number in ["1000", "1009"] {
            sim.phone(number, Phone::Answers(secs(1)));
        }
        Self {
            commands: 0,
            incoming: 0,
            compared: (0, 0),
            folk,
            model: Model::new(house),
            ring: None,
            seen: Seen::new(),
            sim,
        }
    }

    /// Lets time pass for both, and compares whenever something happens by itself.
    fn wait(&mut self, time: Ms) -> Verdict {
        let mut left = time;
        while left > 0 {
            let next = self.model.next() - self.model.now + MOMENT;
            let part = next.min(left);
            self.sim.wait(ms(part));
            self.model.advance(self.model.now + part);
            left -= part;
            self.compare()?;
        }
        Ok(())
    }

    fn compare(&mut self) -> Verdict {
        let (mut opened, mut forced) = (Vec::new(), Vec::new());
        for envelope in &self.sim.records[self.compared.1..] {
            if let Event::Door(door, DoorEvent::Granted { factor, .. }) = &envelope.event {
                opened.push((door.to_string(), *factor));
            } else if let Event::Access(door, AccessEvent::Duress { factor, subject }) = &envelope.event {
                forced.push((door.to_string(), *factor, subject.to_string()));
            } else if let Event::Panel(_, PanelEvent::Ring { .. }) = &envelope.event {
                self.ring = envelope.ring;
            }
        }
        self.compared.1 = self.sim.records.len();
        for (_, factor) in &opened {
            *self.seen.entry(format!("by {factor}")).or_default() += 1;
        }
        let mut expected = std::mem::take(&mut self.model.expected);
        expected.sort();
        opened.sort();
        prop_assert_eq!(
            &opened,
            &expected,
            "opened (left), and what the model says (right)"
        );
        let told = std::mem::take(&mut self.model.forced);
        prop_assert_eq!(
            forced,
            told,
            "silent alarms (left), and what the model says (right)"
        );
        for door in DOORS {
            let on = self.sim.is_energised(&format!("{door}-strike"));
            prop_assert_eq!(
                on,
                self.model.is_energised(door),
                "is {} unlocked? (left), and what the model says",
                door
            );
        }
        Ok(())
    }

    /// The numbers that were called, and the calls that were answered, since this was asked last.
    fn called(&mut self) -> (Vec<String>, usize) {
        let fresh = &self.sim.legs[self.compared.0..];
        let offers = fresh.iter().filter_map(|command| {
            if let LegCommand::Offer { target, .. } = command {
                Some(target.clone())
            } else {
                None
            }
        });
        let answers = fresh
            .iter()
            .filter(|command| matches!(command, LegCommand::Answer { .. }));
        let called = (offers.collect(), answers.count());
        self.compared.0 = self.sim.legs.len();
        called
    }

    fn command(&mut self, command: Command, person: bool) {
        self.commands += 1;
        let (factor, given, subject) = if person {
            (
                Factor::Web,
                Given::Live(self.sim.now()),
                Subject::User("eve".into()),
            )
        } else {
            (
                Factor::Mqtt,
                Given::At(wall(self.sim.now())),
                Subject::Integration("ha".into()),
            )
        };
        let origin = Origin {
            factor,
            may_simulate: false,
            subject,
        };
        let request = CommandRequest {
            command,
            given,
            id: CommandId::new(&format!("c{}", self.commands)).expect("an id"),
            origin,
            stale_by_transport: false,
        };
        self.sim.request(request);
    }

    fn dial(&mut self, leg: LegId, digits: &str) {
        for digit in digits.chars().chain(['#']) {
            self.sim.digit(leg, digit);
        }
    }

    fn hang_up(&mut self, leg: LegId) -> Verdict {
        let (cause, detail) = (Cause::Normal, String::new());
        self.sim.input(Input::Leg(LegEvent::Ended { cause, leg, detail }));
        self.wait(50)
    }

    /// Inputs that are active: their first readings after a start.
    fn held(&self) -> Vec<String> {
        let contacts = self.model.contacts.iter().map(|door| format!("{door}-contact"));
        let fire = self.model.fire.then(|| "fire".to_owned());
        let lock = self.model.lock_input.then(|| "lock-street".to_owned());
        contacts.chain(fire).chain(lock).collect()
    }

    fn step(&mut self, step: &Step) -> Verdict {
        let factor = |person| if person { Factor::Web } else { Factor::Mqtt };
        let group = |group: Option<usize>| group.map(|n| GROUPS[n]);
        match *step {
            Step::Card { card, reader } => {
                self.sim.card(READERS[reader].0, CARDS[card]);
                self.model.card(READERS[reader].0, card);
            }
            Step::CallIn {
                digits,
                number,
                panel,
                vouched,
            } => {
                self.calls(PANELS[panel], NUMBERS[number], vouched, DIALLED[digits])?;
            }
            Step::Clock(trusted) => {
                self.sim.input(Input::ClockStep { step_ms: 0, trusted });
                self.model.clock(trusted);
            }
            Step::Contact { door, open } => {
                let door = CONTACTS[door];
                self.sim.edge(&format!("{door}-contact"), open);
                if open {
                    self.model.contacts.insert(door);
                } else {
                    self.model.contacts.remove(door);
                }
            }
            Step::EndHold => {
                self.command(Command::EndHold { door: id("front") }, true);
                self.model.end_hold_by_command();
            }
            Step::EndLockdown { group: n, person } => {
                let group = group(n);
                self.command(Command::EndLockdown { group: group.map(id) }, person);
                self.model.end_lockdown(group, person);
            }
            Step::EndQuiet => {
                self.command(Command::EndQuiet { panel: id("main") }, true);
                self.model.end_quiet();
            }
            Step::EndRingToOpen => {
                self.command(Command::EndRingToOpen { panel: id("main") }, true);
                self.model.end_ring_to_open();
            }
            Step::Fire(active) => {
                self.sim.edge("fire", active);
                self.model.fire(active);
            }
            Step::Gap => {
                self.sim.input(Input::LoopGap { gap: ms(600) });
                self.model.gap();
                // what waited in sockets is let pass
                self.wait(300)?;
            }
            Step::Hold { person, s } => {
                let time = secs(s);
                self.command(
                    Command::Hold {
                        door: id("front"),
                        time,
                    },
                    person,
                );
                self.model.hold_by_command(person, factor(person), millis(time));
            }
            Step::Journal(ok) => {
                let text = "disk full".to_owned();
                self.sim.input(Input::Journal { ok, text });
                self.model.journal(ok);
            }
            Step::LockInput(active) => {
                self.sim.edge("lock-street", active);
                self.model.lock_input(active);
            }
            Step::Lockdown { group: n, person } => {
                let group = group(n);
                self.command(Command::Lockdown { group: group.map(id) }, person);
                self.model.lockdown(group, person);
            }
            Step::Medium(takes) => {
                match takes {
                    Some(takes) => self.sim.disk_goes_on(ms(takes)),
                    None => self.sim.medium = None,
                }
                self.model.medium(takes);
            }
            Step::Open { door, person } => {
                self.command(
                    Command::Open {
                        door: id(DOORS[door]),
                    },
                    person,
                );
                self.model.opens(DOORS[door], person, factor(person));
            }
            Step::OpenFor { door } => {
                if let Some(ring) = self.ring {
                    let door = DOORS[door];
                    self.command(Command::OpenFor { door: id(door), ring }, true);
                    self.model.opens_for_visitor(door);
                }
            }
            Step::People(which) => {
                let changes = self.folk.turn(which);
                self.model.people(self.folk.clone(), changes.len() as u64);
                self.sim.change_people(changes, self.folk.records());
            }
            Step::Press { button, digits } => self.presses(BUTTONS[button], DIALLED[digits])?,
            Step::Quiet { s } => {
                let (panel, time) = (id("main"), s.map(secs));
                self.command(Command::Quiet { panel, time }, true);
                self.model.quiet(time.map(millis));
            }
            Step::RingToOpen { person, s } => {
                let (panel, time) = (id("main"), secs(s));
                self.command(Command::RingToOpen { panel, time }, person);
                self.model.ring_to_open(person, millis(time));
            }
            Step::Reload(file) => {
                let house = House::new(file);
                self.sim.reload(house.params.clone());
                self.model.reload(house);
            }
            Step::ResetFire { person } => {
                self.command(Command::ResetFire, person);
                self.model.reset_fire(person);
            }
            Step::ResetPassback { everybody } => {
                let person = (!everybody).then_some("ann");
                self.command(
                    Command::ResetPassback {
                        person: person.map(id),
                    },
                    true,
                );
                self.model.reset_passback(person);
            }
            Step::Restart => {
                let held = self.held();
                self.sim
                    .set_held(&held.iter().map(String::as_str).collect::<Vec<_>>());
                self.sim.restart();
                self.model.restart();
            }
            Step::Rex(door) => {
                let input = format!("{}-rex", DOORS[door]);
                self.sim.edge(&input, true);
                self.sim.edge(&input, false);
                self.model.rex(DOORS[door]);
            }
            Step::Type { digits, reader } => {
                let (reader, digits) = (READERS[reader].0, TYPED[digits]);
                for key in digits.chars().chain(['#']) {
                    let reader = id(reader);
                    self.sim
                        .signal(self.sim.now(), false, SignalKind::Key { key, reader });
                }
                self.model.typed(reader, digits);
            }
            // in a fire most doors open every few seconds
            Step::Wait(time) if self.model.alarm => self.wait(time.min(120_000))?,
            Step::Wait(time) => self.wait(time)?,
        }
        self.wait(MOMENT)
    }

    fn presses(&mut self, button: &str, digits: &str) -> Verdict {
        self.called();
        self.sim.edge(button, true);
        self.sim.edge(button, false);
        let pressed = self.model.press(button);
        self.wait(1200)?;
        let (called, _) = self.called();
        let Pressed::Calls(number) = pressed else {
            prop_assert!(called.is_empty(), "{:?} were called", called);
            return Ok(());
        };
        prop_assert_eq!(called, [number]);
        let leg = self.sim.leg_of(number);
        self.dial(leg, digits);
        self.model.dials(number, digits);
        self.wait(MOMENT)?;
        self.hang_up(leg)
    }

    fn calls(&mut self, panel: &str, number: &str, vouched: bool, digits: &str) -> Verdict {
        self.called();
        self.incoming += 1;
        let leg = LegId((1 << 40) + self.incoming);
        let peer = Peer {
            address: format!("sip:{number}@pbx.example"),
            foreign: false,
            display: None,
            trusted: vouched,
            withheld: false,
        };
        let (account, at) = (Some(id("pbx")), id(panel));
        self.sim.input(Input::Leg(LegEvent::Incoming {
            at_once: false,
            account,
            leg,
            panel: at,
            peer,
        }));
        let counts = self.model.calls_in(panel, number, vouched);
        self.wait(100)?;
        let (_, answers) = self.called();
        prop_assert_eq!(answers, usize::from(panel == "main"), "calls that were answered");
        if answers == 1 {
            self.dial(leg, digits);
            if counts {
                self.model.dials_in(number, vouched, digits);
            }
            self.wait(MOMENT)?;
            self.hang_up(leg)?;
        }
        // no more than some calls a minute: of a flood not all are told
        self.wait(3000)
    }
}

fn play(steps: &[Step], seen: &RefCell<Seen>) -> Verdict {
    let mut world = World::new();
    world.wait(MOMENT)?;
    for (n, step) in steps.iter().enumerate() {
        world.step(step).map_err(|error| {
            let told = steps[..=n].iter().map(|step| format!("{step:?}\n"));
            let told: String = told.collect();
            TestCaseError::fail(format!("{error}\n{told}\n{}", world.sim.log()))
        })?;
    }
    let mut seen = seen.borrow_mut();
    let model = world.model.seen.iter().map(|(what, n)| ((*what).to_owned(), *n));
    for (what, n) in model.chain(world.seen) {
        *seen.entry(what).or_default() += n;
    }
    Ok(())
}

/// Stories; `DOORLINE_STORIES` asks for more of them, and `DOORLINE_SEED` for others.
fn wanted(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What must have happened often, or the stories show nothing.
const OFTEN: [&str; 35] = [
    "a button that calls nobody by night",
    "a button that opens by day",
    "a caller is locked",
    "a keypad is locked",
    "a reader is locked",
    "a ring that opens by a command",
    "a visitor at the laboratory",
    "alone where two are wanted",
    "by button",
    "by caller",
    "by card",
    "by code",
    "by digits",
    "by fire",
    "by mqtt",
    "by rex",
    "by schedule",
    "by web",
    "card and PIN",
    "do not disturb",
    "exit",
    "fire",
    "fire was reset",
    "forced",
    "held open by a command",
    "held open by its schedule",
    "kept and not opened",
    "kept out by a lockdown",
    "kept out by an interlock",
    "kept out of an area",
    "opened by a call alone",
    "opened by the second of two",
    "opened for a visitor",
    "opened once it was kept",
    "telephone and PIN",
];

#[test]
fn doors_open_exactly_as_the_model_of_the_rules_says() {
    let cases = u32::try_from(wanted("DOORLINE_STORIES", 3000)).unwrap_or(u32::MAX);
    let seen = RefCell::new(Seen::new());
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        rng_seed: RngSeed::Fixed(wanted("DOORLINE_SEED", 5)),
        ..Config::default()
    });
    let result = runner.run(&story(), |steps| play(&steps, &seen));
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    for what in OFTEN {
        let n = seen.get(what).copied().unwrap_or(0);
        assert!(
            n >= 20,
            "{what:?} happened {n} times only: the stories are too poor ({seen:#?})"
        );
    }
}
