//! The model test of invariant 1: nothing opens by itself.
//!
//! Random stories of signals, legs, commands, time, faults, freezes, restarts and reloads are played to a site.
//! Every opening must be explained by a small model of what may open what; every exit must open.

mod model;
mod story;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_access::{CallerPattern, GrantParts};
use gateway_core::{
    ANONYMOUS, AnnounceTo, Bell, Cause, Command, CommandEvent, CommandId, CommandRequest, DigitVia,
    DoorEvent, Edge, Envelope, Event, Factor, Given, InputId, Instant, LegCommand, LegEvent, LegId,
    LineCommand, LineId, LineSignal, Origin, Peer, Record, Secret, Signal, SignalKind, Subject, Timestamp,
};
use gateway_site::rules::{Action, Conditions, Rule, Trigger};
use gateway_site::{
    AlarmParams, Answer, ButtonParams, CallerAction, CallerParams, DoorGroupParams, GuardReport, Input,
    LockOwner, Output, OutputParams, ReleaseCause, RexKind, RexParams, SeenId, Site, SiteParams, When,
    card_frame,
};
use model::Model;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sim::{Guard, T0, first_door, id, ms, secs, three_phones, wall};
use story::{BELLS, DOORS, INPUTS, LINES, PANELS, READERS, Step, Who, step};

/// How often each means opened a door, over all stories: a test in which nothing ever opens shows nothing.
type Seen = BTreeMap<Factor, u32>;
/// How often keys opened a door, by the kind of talk.
type Talks = BTreeMap<&'static str, u32>;

struct World<'a> {
    generation: u64,
    /// Grants of exits and fire, by number.
    exits: BTreeMap<u64, GrantParts>,
    grants: BTreeSet<u64>,
    guard: Guard,
    fails: bool,
    incoming: u64,
    legs: Vec<LegId>,
    log: Vec<String>,
    model: Model,
    now: Instant,
    /// Lines that another panel has: it was said, and nobody has rung there since.
    others: BTreeSet<LineId>,
    params: SiteParams,
    replies: u64,
    asked: u64,
    records: Vec<Envelope>,
    seen: &'a RefCell<Seen>,
    site: Site,
}

type Verdict = Result<(), TestCaseError>;

fn variant(base: &SiteParams, n: usize) -> SiteParams {
    let mut params = base.clone();
    match n {
        1 => {
            params.doors.remove(&id("front"));
        }
        2 => params.doors.get_mut(&id("toy")).expect("the door").strike = secs(9),
        3 => params
            .panels
            .get_mut(&id("main"))
            .expect("the panel")
            .accounts
            .clear(),
        4 => {
            params.codes.remove(&id("nine"));
        }
        5 => params.lines.get_mut(&id("riser")).expect("the line").talk_window = secs(30),
        6 => {
            params
                .doors
                .get_mut(&id("front"))
                .expect("the door")
                .digits_by_list = false
        }
        7 => params
            .doors
            .get_mut(&id("front"))
            .expect("the door")
            .callers
            .clear(),
        // Virtual devices where they must not be: at a real door.
        8 => {
            let front = params.doors.get_mut(&id("front")).expect("the door");
            front.readers.push(id("toy-reader"));
            front.rex.push(RexParams {
                input: id("toy-rex"),
                kind: RexKind::Unlock,
            });
            params.panels.get_mut(&id("toys")).expect("the panel").doors = vec![id("front")];
        }
        // Whoever rings is let in at the garage; and nobody by a rule.
        9 => {
            let ring = rule(&["panel.ring"], &["main"], Action::Open(id("garage")));
            params.rules.insert(id("ring"), ring);
        }
        10 => params.rules.clear(),
        11 => answers(&mut params, Answer::After(secs(3))),
        12 => answers(&mut params, Answer::ByPress(secs(20))),
        13 => put_through(&mut params),
        14 => listed_calls(
            &mut params,
            &[
                (Some("1001"), CallerAction::Divert("1002".into())),
                (Some("sip:1000@pbx.example"), CallerAction::Refuse(Cause::Busy)),
                (None, CallerAction::Talk),
            ],
        ),
        15 => {
            answers(&mut params, Answer::After(secs(3)));
            listed_calls(&mut params, &[(Some("1001"), CallerAction::Talk)]);
            for panel in params.panels.values_mut() {
                panel.other_calls = Some(Cause::Declined);
            }
        }
        16 => {
            for panel in params.panels.values_mut() {
                panel.early_media = false;
            }
        }
        17 => listed_calls(&mut params, &[]),
        _ => {}
    }
    params
}

fn answers(site: &mut SiteParams, answer: Answer) {
    for panel in site.panels.values_mut() {
        panel.answer = answer;
    }
}

/// What becomes of calls, at both panels; of whom the doors list themselves, they open by a call alone.
fn listed_calls(site: &mut SiteParams, callers: &[(Option<&str>, CallerAction)]) {
    for door in site.doors.values_mut() {
        door.by_call = When::Always;
    }
    for panel in site.panels.values_mut() {
        let caller = |(number, action): &(Option<&str>, CallerAction)| CallerParams {
            action: action.clone(),
            number: number.map(|number| CallerPattern::parse(number).expect("a good pattern")),
            when: When::Always,
        };
        panel.callers = callers.iter().map(caller).collect();
    }
}

/// Whoever calls is put through, but for a colleague, who talks at the line.
fn put_through(site: &mut SiteParams) {
    let callers = [
        (Some("1001"), CallerAction::Talk),
        (Some("sip:1000@evil.example"), CallerAction::Open),
        (None, CallerAction::Bridge(id("reception"))),
    ];
    listed_calls(site, &callers);
}

/// Both panels put callers through.
fn with_a_guard(mut site: SiteParams) -> SiteParams {
    put_through(&mut site);
    site
}

/// At the main panel calls are answered after a time, and at the toys' by a press.
fn that_rings(mut site: SiteParams) -> SiteParams {
    answers(&mut site, Answer::After(secs(3)));
    let toys = site.panels.get_mut(&id("toys")).expect("the panel");
    toys.answer = Answer::ByPress(secs(20));
    site
}

/// The line of the main panel says whom it rings, and has the bell of a flat's own door.
fn with_bells(mut site: SiteParams) -> SiteParams {
    let panel = site.panels.get_mut(&id("main")).expect("the panel");
    for (button, bell) in [
        ("apartment-12", Bell::Apartment(12)),
        ("apartment-13", Bell::Apartment(13)),
        ("floor", Bell::Floor),
    ] {
        let params = ButtonParams {
            bell: Some(bell),
            ..ButtonParams::calling(id("reception"), button)
        };
        panel.buttons.insert(id(button), params);
    }
    site
}

/// The lock of the front door is the panel's, and the wire across it goes up and down as it likes.
fn watched(mut site: SiteParams) -> SiteParams {
    let front = site.doors.get_mut(&id("front")).expect("the door");
    (front.owner, front.lock_sense) = (LockOwner::Panel, Some(id("loop")));
    site
}

fn rule(kinds: &[&str], sources: &[&str], action: Action) -> Rule {
    let set = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    Rule {
        actions: vec![action],
        most_per_minute: 20,
        on: Trigger {
            kinds: set(kinds),
            sources: set(sources),
        },
        when: Conditions::default(),
    }
}

/// With a garage that opens by rules alone: for whoever is let in at the front, and as a car drives up; and with an alarm of
/// the same input, whose calls open nothing.
fn ruled(mut site: SiteParams) -> SiteParams {
    let mut garage = site.doors[&id("front")].clone();
    (garage.contact, garage.tamper, garage.rex, garage.readers) = (None, None, vec![], vec![]);
    garage.callers.clear();
    garage.output = Some(id("garage-strike"));
    site.doors.insert(id("garage"), garage);
    site.outputs
        .insert(id("garage-strike"), OutputParams { simulated: false });
    let wire = site.inputs[&id("bell")].clone();
    site.inputs.insert(id("loop"), wire);
    let opens = || Action::Open(id("garage"));
    site.rules = [
        (id("car"), rule(&["input.active"], &["loop"], opens())),
        (id("follow"), rule(&["door.granted"], &["front"], opens())),
        // what is no reason to open opens nothing, whatever a file says
        (
            id("wrong"),
            rule(
                &["door.denied", "door.forced", "call.ended", "gateway"],
                &[],
                opens(),
            ),
        ),
    ]
    .into();
    let alarm = AlarmParams {
        again: secs(60),
        calls: vec![id("reception")],
        code: Secret::new("4711"),
        input: Some(id("loop")),
        name: "A car".into(),
        panel: id("main"),
        rounds: 1,
    };
    site.alarms.insert(id("car"), alarm);
    site
}

fn start(params: &SiteParams, generation: u64, now: Instant) -> Site {
    Site::new(
        params.clone(),
        generation,
        Box::new(StdRng::seed_from_u64(now.as_nanos())),
        now,
        wall(now),
    )
}

fn peer(address: &str, trusted: bool) -> Peer {
    Peer {
        address: address.into(),
        foreign: false,
        display: None,
        trusted,
        withheld: false,
    }
}

/// As somebody who wants it told to nobody.
fn withheld(peer: Peer) -> Peer {
    Peer {
        withheld: true,
        ..peer
    }
}

impl World<'_> {
    fn play(base: &SiteParams, steps: Vec<Step>, seen: &RefCell<Seen>, talks: &RefCell<Talks>) -> Verdict {
        let mut world = World {
            generation: 1,
            exits: BTreeMap::new(),
            grants: BTreeSet::new(),
            guard: Guard::default(),
            fails: false,
            incoming: 0,
            legs: Vec::new(),
            log: Vec::new(),
            model: Model::new(base.clone(), T0),
            now: T0,
            others: BTreeSet::new(),
            params: base.clone(),
            replies: 0,
            asked: 0,
            records: Vec::new(),
            seen,
            site: start(base, 1, T0),
        };
        world.settle()?;
        for step in steps {
            world.log.push(format!("{:?} {step:?}", world.now));
            let done = world.step(base, step);
            done.map_err(|error| TestCaseError::fail(format!("{error}\n{}", world.log.join("\n"))))?;
        }
        let mut talks = talks.borrow_mut();
        for (talk, n) in &world.model.opened_in {
            *talks.entry(talk).or_default() += n;
        }
        Ok(())
    }

    /// As after every start: the guard is there, the projection at its head, inputs were read.
    fn settle(&mut self) -> Verdict {
        self.drain(false)?;
        self.input(Input::Guard(GuardReport::Up { dead: vec![] }))?;
        self.input(Input::Ready)?;
        for input in INPUTS {
            self.edge(input, false, true, Duration::ZERO)?;
        }
        Ok(())
    }

    fn input(&mut self, input: Input) -> Verdict {
        self.model.hear(self.now, &input);
        self.site.handle_input(self.now, wall(self.now), input);
        self.drain(true)
    }

    /// Carries out what the site wants. `may_open` is false where nothing may open, whatever the cause.
    fn drain(&mut self, may_open: bool) -> Verdict {
        let mut reports = Vec::new();
        while let Some(output) = self.site.poll_output() {
            match output {
                Output::Keep { .. } => {
                    return Err(TestCaseError::fail("no credential here is counted"));
                }
                Output::Leg(command) => {
                    self.model.sees(&command).map_err(TestCaseError::fail)?;
                    if let LegCommand::Offer { leg, .. } = command {
                        self.legs.push(leg);
                    }
                }
                Output::Forward { .. }
                | Output::ForwardKey { .. }
                | Output::Held(_)
                | Output::Hush(_)
                | Output::Line(_, LineCommand::Release | LineCommand::Tone(_))
                | Output::Reader(..)
                | Output::RecordTalk { .. }
                | Output::Say { .. }
                | Output::SayToLeg { .. }
                | Output::Standing(..)
                | Output::Text { .. }
                | Output::Volume(..) => {}
                Output::Line(line, LineCommand::Seize) => {
                    prop_assert!(!self.others.contains(&line), "took {} from another panel", line);
                }
                Output::Operate { grant, pulse } => {
                    let parts: GrantParts = grant.parts().clone();
                    let may_open = may_open || parts.factor == Factor::Fire;
                    prop_assert!(may_open, "opened where nothing may open: {:?}", parts);
                    self.model.explain(&parts).map_err(TestCaseError::fail)?;
                    prop_assert_eq!(parts.generation, self.generation);
                    prop_assert!(parts.deadline > self.now);
                    let told = |e: &Envelope| matches!(&e.event, Event::Door(_, DoorEvent::Granted { grant, .. }) if *grant == parts.id);
                    prop_assert!(self.records.last().is_some_and(told), "opened before its record");
                    prop_assert!(pulse <= secs(25));
                    prop_assert!(self.grants.insert(parts.id), "a Grant was used twice");
                    if parts.factor == Factor::Rex {
                        self.exits.insert(parts.id, parts.clone());
                    }
                    *self.seen.borrow_mut().entry(parts.factor).or_default() += 1;
                    if std::mem::take(&mut self.fails) {
                        self.model.may_retry(self.now, &parts);
                        let (grant, output) = (parts.id, parts.output);
                        let text = "the relay does not move".to_owned();
                        reports.push(if grant % 2 == 0 {
                            GuardReport::Failed { grant, output, text }
                        } else {
                            GuardReport::MayHaveOpened { grant, output, text }
                        });
                    } else {
                        reports.extend(self.guard.operate(self.now, grant, pulse));
                    }
                }
                Output::Record(envelope) => {
                    self.model.told(self.now, &envelope);
                    self.records.push(envelope);
                }
                Output::ReleaseOutput(output) => {
                    reports.extend(self.guard.release(&output, ReleaseCause::Asked));
                }
                Output::Reply { decision: _, to } => {
                    self.replies += 1;
                    prop_assert_eq!(to, self.asked, "an answer without a question");
                    let last = self.records.last().map(|e| &e.event);
                    prop_assert!(
                        matches!(last, Some(Event::Command(_))),
                        "an answer before its record"
                    );
                }
            }
        }
        prop_assert_eq!(self.replies, self.asked, "every command is answered once");
        let kept_in = self.model.kept_in();
        prop_assert!(kept_in.is_empty(), "{:?} did not open for an exit", kept_in);
        for report in reports {
            self.input(Input::Guard(report))?;
        }
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> Verdict {
        let end = self.now + time;
        loop {
            let due = [self.site.poll_timeout(), self.guard.poll_timeout()]
                .into_iter()
                .flatten()
                .min();
            let Some(next) = due.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            for report in self.guard.due(self.now) {
                self.input(Input::Guard(report))?;
            }
            self.model.hear_time(self.now);
            self.site.handle_timeout(self.now, wall(self.now));
            self.drain(true)?;
        }
        self.now = end;
        Ok(())
    }

    fn edge(&mut self, input: &str, active: bool, initial: bool, age: Duration) -> Verdict {
        let simulated = self
            .params
            .inputs
            .get(&id::<InputId>(input))
            .is_some_and(|i| i.simulated);
        let edge = Edge { active, initial };
        let input = id(input);
        self.signal(age, simulated, SignalKind::Input { edge, input })
    }

    fn signal(&mut self, age: Duration, simulated: bool, kind: SignalKind) -> Verdict {
        self.input(Input::Signal(Signal {
            at: self.now - age,
            device: id("device"),
            simulated,
            kind,
        }))
    }

    fn key(&mut self, reader: usize, key: char, age: Duration) -> Verdict {
        let reader = READERS[reader];
        let kind = SignalKind::Key {
            key,
            reader: id(reader),
        };
        self.signal(age, reader == "toy-reader", kind)
    }

    /// One of the legs that were called last, or one that nobody knows.
    fn leg(&self, n: usize) -> LegId {
        let recent = self
            .legs
            .len()
            .checked_sub(n + 1)
            .and_then(|at| self.legs.get(at));
        recent.copied().unwrap_or(LegId(999_999))
    }

    /// Somebody calls a panel.
    fn incoming(&mut self, line: usize, who: Who, at_once: bool) -> Result<LegId, TestCaseError> {
        // Numbers of legs are unique while the process lives; those that come in are far above ours.
        self.incoming += 1;
        let leg = LegId((1 << 40) + self.incoming);
        let peer = match who {
            Who::Anonymous => withheld(peer(ANONYMOUS, true)),
            Who::Colleague => peer("sip:1001@pbx.example", true),
            Who::Forged => peer("sip:1000@pbx.example", false),
            Who::ForgedWithheld => withheld(peer("sip:1000@pbx.example", false)),
            Who::Nobody => Peer::default(),
            Who::Stranger => peer("sip:1000@evil.example", true),
            Who::Target => peer("sip:1000@pbx.example", true),
            Who::TargetWithheld => withheld(peer("sip:1000@pbx.example", true)),
        };
        self.legs.push(leg);
        let (account, panel) = (Some(id("pbx")), id(PANELS[line]));
        let (before, hidden) = (self.records.len(), peer.withheld);
        self.input(Input::Leg(LegEvent::Incoming {
            at_once,
            account,
            leg,
            panel,
            peer,
        }))?;
        // what opened is told by the entry of the site file; who called is not
        let told = self.records.iter().skip(before).map(Record::from);
        let named = |record: &Record| record.get("peer").as_text().is_some_and(|peer| peer != ANONYMOUS);
        if let Some(record) = told.into_iter().find(|record| hidden && named(record)) {
            return Err(TestCaseError::fail(format!(
                "who withholds who he is was told: {record:?}"
            )));
        }
        Ok(leg)
    }

    /// Somebody presses the key that opens.
    fn nine(&mut self, leg: LegId) -> Verdict {
        self.input(Input::Leg(LegEvent::Digit {
            at: self.now,
            digit: '9',
            echo: false,
            leg,
            via: DigitVia::TelephoneEvent,
        }))
    }

    fn step(&mut self, base: &SiteParams, step: Step) -> Verdict {
        match step {
            Step::Answer { leg, who } => {
                let leg = self.leg(leg);
                let peer = match who {
                    Who::Anonymous => withheld(peer(ANONYMOUS, true)),
                    Who::Colleague => peer("sip:1001@pbx.example", true),
                    Who::Forged => peer("sip:1001@pbx.example", false),
                    Who::ForgedWithheld => withheld(peer("sip:1001@pbx.example", false)),
                    Who::Nobody | Who::Target => Peer::default(),
                    Who::Stranger => peer("sip:666@pbx.example", true),
                    Who::TargetWithheld => withheld(peer("sip:1001@pbx.example", true)),
                };
                self.input(Input::Leg(LegEvent::Answered { leg, peer }))
            }
            Step::AuthorityLost { leg } => {
                let (leg, why) = (self.leg(leg), "REFER".to_owned());
                self.input(Input::Leg(LegEvent::AuthorityLost { leg, why }))
            }
            Step::CallIn {
                at_once,
                line,
                press,
                wait,
                who,
            } => {
                let leg = self.incoming(line, who, at_once)?;
                self.wait(ms(wait))?;
                if press {
                    self.step(base, Step::Press { input: BELLS[line] })?;
                }
                let peer = Peer::default();
                self.input(Input::Leg(LegEvent::Answered { leg, peer }))?;
                self.nine(leg)
            }
            Step::Card { reader, known, age } => {
                let card = if known { "26:123,04567" } else { "26:1,1" };
                let frame = card_frame(card).expect("a good card");
                let kind = SignalKind::Card {
                    frame,
                    reader: id(READERS[reader]),
                };
                self.signal(ms(age), READERS[reader] == "toy-reader", kind)
            }
            Step::Clock { step_ms } => self.input(Input::ClockStep {
                step_ms,
                trusted: step_ms.abs() < 60_000,
            }),
            Step::Command {
                what,
                id,
                age,
                kept,
                person,
            } => self.command(what, id, age, kept, person),
            Step::Digit {
                leg,
                digit,
                age,
                echo,
                info,
            } => {
                let via = if info {
                    DigitVia::Info
                } else {
                    DigitVia::TelephoneEvent
                };
                let (at, leg) = (self.now - ms(age), self.leg(leg));
                self.input(Input::Leg(LegEvent::Digit {
                    at,
                    digit,
                    echo,
                    leg,
                    via,
                }))
            }
            Step::Early { leg, rings } => {
                let leg = self.leg(leg);
                self.input(Input::Leg(if rings {
                    LegEvent::Ringing { leg }
                } else {
                    LegEvent::EarlyMedia { leg }
                }))
            }
            Step::Edge {
                input,
                active,
                initial,
                age,
            } => self.edge(INPUTS[input], active, initial, ms(age)),
            Step::End { leg } => {
                let (cause, detail, leg) = (Cause::Normal, String::new(), self.leg(leg));
                self.input(Input::Leg(LegEvent::Ended { cause, leg, detail }))
            }
            Step::Freeze { ms: gap, told } => {
                self.now = self.now + ms(gap);
                if told {
                    self.input(Input::LoopGap { gap: ms(gap) })
                } else {
                    Ok(())
                }
            }
            Step::Guard { up } => {
                if up {
                    return self.input(Input::Guard(GuardReport::Up { dead: vec![] }));
                }
                for report in self.guard.forget() {
                    if let GuardReport::Released { grant, .. } = &report
                        && let Some(parts) = self.exits.get(grant)
                    {
                        self.model.may_retry(self.now, parts);
                    }
                    self.input(Input::Guard(report))?;
                }
                self.input(Input::Guard(GuardReport::Down {
                    text: "killed".into(),
                }))
            }
            Step::GuardFails => {
                self.fails = true;
                Ok(())
            }
            Step::Incoming { at_once, line, who } => self.incoming(line, who, at_once).map(drop),
            Step::Journal { ok } => self.input(Input::Journal {
                ok,
                text: "disk".into(),
            }),
            Step::Key { reader, key, age } => self.key(reader, key, ms(age)),
            Step::Line { line, signal } => {
                let of: LineId = id(LINES[line]);
                match signal {
                    LineSignal::BusyOther => {
                        self.others.insert(of);
                    }
                    LineSignal::Idle | LineSignal::Ring | LineSignal::RingFor(Bell::Apartment(_)) => {
                        self.others.remove(&of);
                    }
                    LineSignal::Fault
                    | LineSignal::HandsetLifted
                    | LineSignal::HandsetReplaced
                    | LineSignal::OpenedByPanel
                    | LineSignal::RingFor(Bell::Floor)
                    | LineSignal::RingStopped => {}
                }
                let kind = SignalKind::Line {
                    line: id(LINES[line]),
                    signal,
                };
                self.signal(Duration::ZERO, LINES[line] == "toy-line", kind)
            }
            Step::Pin { reader } => {
                for key in "1234".chars() {
                    self.key(reader, key, Duration::ZERO)?;
                }
                Ok(())
            }
            Step::Press { input } => {
                self.edge(INPUTS[input], false, false, Duration::ZERO)?;
                self.edge(INPUTS[input], true, false, Duration::ZERO)?;
                self.edge(INPUTS[input], false, false, Duration::ZERO)
            }
            Step::PutThrough {
                by,
                caller_first,
                line,
                who,
            } => {
                let caller = self.incoming(line, who, false)?;
                self.step(base, Step::Answer { leg: 0, who: by })?;
                let peer = Peer::default();
                let guard = self.leg(0);
                self.input(Input::Leg(LegEvent::Answered { leg: caller, peer }))?;
                for leg in if caller_first {
                    [caller, guard]
                } else {
                    [guard, caller]
                } {
                    self.nine(leg)?;
                }
                Ok(())
            }
            Step::Ready => self.input(Input::Ready),
            Step::Reload { variant: n } => {
                // What is due anyway happens before, so that it is not taken for the doing of the reload.
                self.wait(Duration::ZERO)?;
                let params = variant(base, n);
                self.generation += 1;
                self.params = params.clone();
                // a line that is another one than before knows of nobody
                self.others.clear();
                self.model.reload(self.now, params.clone());
                self.site
                    .apply(params, self.generation, None, self.now, wall(self.now));
                self.drain(false)
            }
            Step::Restart { ready } => self.restart(ready),
            Step::Second { present } => self.input(Input::SecondInstance(present.then(|| "box-2".into()))),
            Step::ShutDown => self.input(Input::ShutDown),
            Step::Wait { ms: time } => self.wait(ms(time)),
        }
    }

    fn restart(&mut self, ready: bool) -> Verdict {
        self.others.clear();
        self.guard.forget();
        self.exits.clear();
        self.grants.clear();
        self.fails = false;
        let fire = self.site.export_fire().cloned();
        let lockdowns = self.site.export_lockdowns();
        let lasting = self.site.view().lasting;
        self.site = start(&self.params, self.generation, self.now);
        self.site.restore_fire(fire);
        self.site.restore_lockdowns(lockdowns);
        self.site.restore_lasting(lasting, self.now, wall(self.now));
        let seen = self.records.iter().map(Record::from).filter_map(|r| {
            let (accepted, id, subject) = match r.event() {
                Ok(Event::Command(CommandEvent::Accepted { id, subject, .. })) => (true, id, subject),
                Ok(Event::Command(CommandEvent::Refused { id, subject, .. })) => {
                    (false, CommandId::new(&id)?, subject)
                }
                Ok(_) | Err(_) => return None,
            };
            let at = r.at;
            Some(SeenId {
                accepted,
                at,
                id,
                subject,
            })
        });
        self.site.restore_ids(seen.collect(), self.now, wall(self.now));
        self.model.restart(self.now);
        self.drain(false)?;
        if ready { self.settle() } else { Ok(()) }
    }

    fn command(&mut self, what: usize, number: u8, age: Option<i64>, kept: bool, person: bool) -> Verdict {
        let command = match what {
            0..=2 => Command::Open {
                door: id(DOORS[what]),
            },
            3 => Command::Press {
                button: id("bell"),
                panel: id("toys"),
            },
            4 => Command::Press {
                button: id("bell"),
                panel: id("main"),
            },
            6 => Command::Lockdown { group: None },
            7 => Command::Lockdown {
                group: Some(id("street")),
            },
            8..=10 => Command::EndLockdown { group: None },
            11..=13 => Command::EndLockdown {
                group: Some(id("street")),
            },
            14..=17 => Command::ResetFire,
            18..=20 => Command::RingToOpen {
                panel: id(if what == 20 { "toys" } else { "main" }),
                time: secs(60),
            },
            21 => Command::EndRingToOpen { panel: id("main") },
            22 => Command::OpenWithCode {
                code: Secret::new("1234"),
                door: id("front"),
            },
            23 | 24 => Command::Call {
                button: Some(id("bell")),
                panel: id(if what == 23 { "main" } else { "toys" }),
            },
            25 | 26 => Command::Announce {
                announcement: id("lift"),
                panel: id(if what == 25 { "main" } else { "toys" }),
                to: AnnounceTo::Both,
            },
            _ => {
                let calls = self.site.view().calls;
                let ring = calls
                    .first()
                    .map_or(gateway_core::RingId::new(0, [0; 10]), |c| c.ring);
                Command::HangUp { ring }
            }
        };
        let given = match (age, age.map(u64::try_from)) {
            (None, _) => Given::Undated,
            (_, Some(Ok(age))) if person => Given::Live(self.now - ms(age)),
            (Some(age), _) => {
                let nanos = wall(self.now).as_nanosecond() - i128::from(age) * 1_000_000;
                Given::At(Timestamp::from_nanosecond(nanos).expect("a date"))
            }
        };
        let (factor, subject) = if person {
            (Factor::Web, Subject::User("eve".into()))
        } else {
            (Factor::Mqtt, Subject::Integration("ha".into()))
        };
        self.asked += 1;
        let request = CommandRequest {
            command,
            given,
            id: CommandId::new(&format!("id-{number}")).expect("a good id"),
            origin: Origin {
                factor,
                may_simulate: !person,
                subject,
            },
            stale_by_transport: kept,
        };
        self.input(Input::Command {
            reply_to: self.asked,
            request,
        })
    }
}

/// Stories per site; `DOORLINE_STORIES` asks for more of them, and `DOORLINE_SEED` for others.
fn wanted(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn run(base: &SiteParams, seed: u64) -> (Seen, Talks) {
    let seed = wanted("DOORLINE_SEED", seed);
    let cases = u32::try_from(wanted("DOORLINE_STORIES", 1500)).unwrap_or(u32::MAX);
    let (seen, talks) = (RefCell::<Seen>::default(), RefCell::<Talks>::default());
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    });
    let stories = prop::collection::vec(step(), 1..120);
    let result = runner.run(&stories, |steps| World::play(base, steps, &seen, &talks));
    if let Err(error) = result {
        panic!("{error}");
    }
    (seen.into_inner(), talks.into_inner())
}

/// With a group of doors that can be locked down, and panels where a command may let in who rings.
fn grouped(mut site: SiteParams) -> SiteParams {
    let street = DoorGroupParams {
        doors: [id("front")].into(),
        name: "Street side".into(),
        ..DoorGroupParams::default()
    };
    site.door_groups = [(id("street"), street)].into();
    for panel in site.panels.values_mut() {
        panel.ring_to_open = Some(secs(600));
    }
    site
}

#[test]
fn nothing_opens_by_itself_and_every_exit_opens() {
    let (mut seen, mut talks) = (Seen::new(), Talks::new());
    for (site, seed) in [
        (with_bells(first_door()), 1),
        (three_phones(), 2),
        (with_a_guard(first_door()), 3),
        (that_rings(three_phones()), 4),
        (watched(first_door()), 5),
    ] {
        let (by, kinds) = run(&ruled(grouped(site)), seed);
        for (factor, n) in by {
            *seen.entry(factor).or_default() += n;
        }
        for (kind, n) in kinds {
            *talks.entry(kind).or_default() += n;
        }
    }
    for kind in [
        "answered after a time",
        "answered at once",
        "answered by a press",
        "called",
        "put through",
    ] {
        let n = talks.get(kind).copied().unwrap_or(0);
        assert!(
            n >= 20,
            "keys opened only {n} doors in a talk that was {kind}: the stories are too poor ({talks:?})"
        );
    }
    for factor in [
        Factor::Button,
        Factor::Caller,
        Factor::Card,
        Factor::Code,
        Factor::Digits,
        Factor::Fire,
        Factor::Mqtt,
        Factor::Rex,
        Factor::Rule,
        Factor::Web,
    ] {
        let n = seen.get(&factor).copied().unwrap_or(0);
        assert!(
            n >= 50,
            "only {n} openings by {factor}: the stories are too poor ({seen:?})"
        );
    }
}
