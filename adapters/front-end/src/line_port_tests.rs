use gateway_panel::{
    BusAddress, Edge, FrameReader, LineInputs, Profile, Tone, profile_named, profiles, recorded, ring_edges,
};
use proptest::prelude::*;

use super::*;
use crate::doors::Opening;
use crate::firmware::{Change, Firmware};
use crate::message::{Press, Row};

const T0: u64 = 1_000_000_000_000;

fn wiring() -> Wiring {
    Wiring {
        call: 0,
        busy: None,
        floor: None,
        handset: Some(1),
        hook: 0,
        exclude: Some(1),
        mute: Some(2),
        door: Some(0),
    }
}

fn street(profile: &str) -> FrontEndLine {
    FrontEndLine {
        line: "street".parse().expect("a name"),
        params: LineParams {
            bus: Some(BusAddress {
                address: 12,
                station: 0,
            }),
            inputs: LineInputs {
                handset: true,
                ..LineInputs::default()
            },
            mute: false,
            profile: profile_named(profile).expect("a profile").clone(),
            subscribed: "12".parse().expect("a range"),
        },
        wiring: wiring(),
    }
}

/// Gateway and front end on a cable, in virtual time. The clock of the front end began at another time.
struct Pair {
    changes: Vec<String>,
    firmware: Firmware,
    now_us: u64,
    port: LinePort,
    said: Vec<String>,
    unplugged: bool,
}

impl Pair {
    fn new(profile: &str) -> Self {
        let mut pair = Self::with(&[street(profile)]);
        pair.firmware.set_input(0, 0, true);
        pair.firmware.set_input(0, 1, true);
        pair.run(1000);
        assert_eq!(pair.take(), "ready street:Idle");
        pair
    }

    fn with(lines: &[FrontEndLine]) -> Self {
        Self {
            changes: Vec::new(),
            firmware: Firmware::new(77, 2, 3, 1),
            now_us: 0,
            port: LinePort::new(Instant::from_nanos(T0), lines),
            said: Vec::new(),
            unplugged: false,
        }
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(T0) + Duration::from_micros(self.now_us)
    }

    /// Runs for a time; bytes are on their way for a millisecond.
    fn run(&mut self, ms: u64) {
        let end = self.now_us + ms * 1000;
        while self.now_us < end {
            self.step();
            self.now_us += 1000;
        }
        self.step();
    }

    fn step(&mut self) {
        let now = self.now();
        self.port.handle_timeout(now);
        self.firmware.handle_timeout(self.now_us);
        let bytes = self.firmware.take_bytes(PortRole::Line);
        if !self.unplugged {
            self.port.handle_bytes(now, &bytes);
        }
        while let Some(output) = self.port.poll_output() {
            match output {
                Output::Card { controller, done } => self.said.push(format!("{controller}:{done:?}")),
                Output::Fault(text) => self.said.push(format!("fault:{text}")),
                Output::Lit { controller, lit } => self.said.push(format!("{controller}:lit={lit}")),
                Output::Missed(count) => self.said.push(format!("missed:{count}")),
                Output::Read { reader, what } => self.said.push(format!("{reader}:{what:?}")),
                Output::Ready(_) => self.said.push("ready".to_owned()),
                Output::Refused(text) => self.said.push(format!("refused:{text}")),
                Output::Send(bytes) if self.unplugged => drop(bytes),
                Output::Send(bytes) => self.firmware.handle_bytes(self.now_us, PortRole::Line, &bytes),
                Output::Signal { line, signal, .. } => self.said.push(format!("{line}:{signal:?}")),
            }
        }
        while let Some(change) = self.firmware.take_change() {
            self.changes.push(match change {
                Change::Door { on, at_us, .. } => format!("door={} {}", u8::from(on), at_us / 1000),
                Change::Output { output, on, .. } => format!("{output}={}", u8::from(on)),
                Change::Wire { input, level, .. } => format!("wire {input}={}", u8::from(level)),
            });
        }
    }

    fn play(&mut self, number: u32, profile: &str) {
        let edges = ring_edges(profile_named(profile).expect("a profile"), number, Tone::Ring);
        let start = self.now_us;
        for edge in edges {
            while self.now_us + 1000 < start + edge.at_us {
                self.now_us += 1000;
                self.step();
            }
            self.now_us = start + edge.at_us;
            self.firmware.set_input(self.now_us, 0, edge.level);
        }
    }

    fn command(&mut self, command: LineCommand) {
        let now = self.now();
        self.port
            .command(now, &"street".parse().expect("a name"), command);
        self.step();
    }

    fn door(&mut self, order: &Order) {
        self.firmware
            .handle_bytes(self.now_us, PortRole::Door, &order.frame(1));
    }

    fn take(&mut self) -> String {
        std::mem::take(&mut self.said).join(" ")
    }

    fn took(&mut self) -> String {
        std::mem::take(&mut self.changes).join(" ")
    }
}

#[test]
fn a_ring_is_answered_opened_and_hung_up_in_the_times_of_its_profile() {
    let mut pair = Pair::new("vizit-matrix");
    pair.firmware.set_input(pair.now_us, 0, false);
    pair.run(200);
    assert_eq!(pair.take(), "street:Ring");
    pair.command(LineCommand::Seize);
    pair.run(395);
    assert_eq!(pair.took(), "1=1");
    pair.run(20);
    assert_eq!(pair.took(), "0=1");
    // the guard opens at once; the panel takes it when it has been off-hook for a second
    let before = pair.now_us / 1000;
    let press = Press {
        door: 0,
        window_ms: 3000,
        press_ms: 300,
        presses: 1,
        pause_ms: 1000,
        hook: Some(0),
        after_ms: 1000,
        call: None,
        quiet_ms: 0,
    };
    pair.door(&Order::Press(press));
    for _ in 0..6 {
        pair.run(500);
        pair.door(&Order::Alive);
    }
    let took = pair.took();
    let times: Vec<u64> = took.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(took.starts_with("door=1") && times[1] - times[0] == 300, "{took}");
    assert!(
        (900..=1000).contains(&(times[0] - before)),
        "{took} from {before}"
    );
    pair.command(LineCommand::Release);
    pair.run(700);
    assert_eq!(pair.took(), "0=0 1=0");
}

#[test]
fn a_count_of_pulses_in_microseconds_comes_through_and_strangers_leave_no_trace() {
    let mut pair = Pair::new("laskomex-digital");
    pair.firmware.set_input(pair.now_us, 0, false);
    pair.run(1000);
    pair.play(13, "laskomex-digital");
    pair.run(6000);
    assert_eq!(pair.take(), "");
    pair.play(12, "laskomex-digital");
    pair.run(1000);
    assert_eq!(pair.take(), "street:RingFor(Apartment(12))");
    pair.run(6000);
    assert_eq!(pair.take(), "street:RingStopped");
}

#[test]
fn a_front_end_that_is_unplugged_is_a_fault_and_comes_back_at_rest() {
    let mut pair = Pair::new("vizit-matrix");
    pair.command(LineCommand::Seize);
    pair.run(1000);
    assert_eq!(pair.took(), "1=1 0=1");
    pair.unplugged = true;
    pair.run(5000);
    // it let go by itself, and the gateway knows that it knows nothing
    assert_eq!(pair.took(), "0=0 1=0");
    let said = pair.take();
    assert!(
        said.starts_with("street:Fault fault:the front end does not answer"),
        "{said}"
    );
    pair.unplugged = false;
    pair.run(1000);
    assert_eq!(pair.take(), "ready street:Idle");
    pair.run(3000);
    assert_eq!((pair.take(), pair.took()), (String::new(), String::new()));
}

#[test]
fn a_gateway_that_stood_still_learns_that_the_front_end_let_go() {
    let mut pair = Pair::new("vizit-matrix");
    pair.command(LineCommand::Seize);
    pair.run(1000);
    // its process is frozen for two seconds
    pair.now_us += 2_000_000;
    pair.firmware.handle_timeout(pair.now_us);
    pair.run(2000);
    let said = pair.take();
    assert!(
        said.contains("street:Fault fault:") && said.ends_with("ready street:Idle"),
        "{said}"
    );
    assert_eq!(pair.took(), "1=1 0=1 0=0 1=0");
}

#[test]
fn a_front_end_that_started_anew_is_told() {
    let mut pair = Pair::new("vizit-matrix");
    pair.firmware = Firmware::new(78, 2, 3, 1);
    pair.firmware.set_input(pair.now_us, 0, true);
    pair.run(1000);
    let said = pair.take();
    assert!(
        said.starts_with("street:Fault fault:the front end started anew"),
        "{said}"
    );
    assert!(said.contains("ready street:Idle"), "{said}");
}

#[test]
fn one_that_does_not_fit_says_why() {
    for (line, expected) in [
        (
            FrontEndLine {
                wiring: Wiring { call: 5, ..wiring() },
                ..street("4n")
            },
            "has input 5, and front end",
        ),
        (
            FrontEndLine {
                wiring: Wiring { hook: 7, ..wiring() },
                ..street("4n")
            },
            "has output 7, and front end",
        ),
    ] {
        let mut pair = Pair::with(&[line]);
        pair.run(3000);
        let said = pair.take();
        assert!(said.contains(expected) && !said.contains("ready"), "{said}");
        assert_eq!(said.matches("fault:").count(), 1, "told once: {said}");
    }
    let mut port = LinePort::new(Instant::from_nanos(T0), &[street("4n")]);
    let hello = |role, version| {
        Word::Hello(Identity {
            version,
            role,
            inputs: 4,
            outputs: 4,
            watchdog_ms: 1000,
            boot: 1,
            name: "x".to_owned(),
        })
    };
    port.handle_bytes(Instant::from_nanos(T0), &hello(PortRole::Door, 1).frame(1));
    port.handle_bytes(Instant::from_nanos(T0), &hello(PortRole::Line, 2).frame(1));
    let mut faults = Vec::new();
    while let Some(output) = port.poll_output() {
        if let Output::Fault(text) = output {
            faults.push(text);
        }
    }
    assert!(
        faults[0].contains("door port") && faults[1].contains("speaks version 2"),
        "{faults:?}"
    );
}

#[test]
fn edges_that_were_lost_are_noticed_and_half_a_count_is_nothing() {
    let mut pair = Pair::new("laskomex-digital");
    pair.firmware.set_input(pair.now_us, 0, false);
    pair.run(1000);
    let edges = ring_edges(profile_named("laskomex-digital").expect("there"), 12, Tone::Ring);
    let start = pair.now_us;
    for (n, edge) in edges.iter().enumerate() {
        pair.firmware.set_input(start + edge.at_us, 0, edge.level);
        if n == 8 {
            let lost = pair.firmware.take_bytes(PortRole::Line);
            assert!(!lost.is_empty());
        }
    }
    pair.now_us = start + edges.last().expect("edges").at_us;
    pair.run(2000);
    let said = pair.take();
    assert!(said.starts_with("missed:") && !said.contains("Ring"), "{said}");
}

fn wires(controller: &str, d0: u8, d1: u8) -> CardWires {
    CardWires {
        controller: controller.parse().expect("a name"),
        d0,
        d1,
        interval_us: 2000,
        led: None,
        pulse_us: 50,
    }
}

impl Pair {
    /// With two controllers and no lines, online.
    fn with_controllers() -> Self {
        let mut pair = Self::with(&[]);
        pair.firmware = Firmware::new(77, 2, 4, 1);
        let port = LinePort::new(Instant::from_nanos(T0), &[]);
        pair.port = port.with_controllers(vec![wires("left", 0, 1), wires("right", 2, 3)]);
        pair.run(1000);
        assert_eq!(pair.take(), "ready");
        pair
    }

    fn card(&mut self, controller: &str, bits: usize) {
        let now = self.now();
        let id = controller.parse().expect("a name");
        self.port.card(now, now, &id, &vec![true; bits]);
    }
}

#[test]
fn a_card_for_two_controllers_goes_out_to_one_after_the_other() {
    let mut pair = Pair::with_controllers();
    pair.card("left", 26);
    pair.card("right", 26);
    pair.card("left", 26);
    pair.run(480);
    assert_eq!(pair.take(), "left:Ok(()) right:Ok(()) left:Ok(())");
    let took = pair.took();
    assert_eq!(
        (took.matches("1=1").count(), took.matches("3=1").count()),
        (52, 26)
    );
    // the first one ends before the other one begins
    let first = took.split(' ').take_while(|change| !change.starts_with('3'));
    assert_eq!(first.filter(|change| *change == "1=0").count(), 26);
}

#[test]
fn a_card_that_waits_for_a_busy_front_end_is_missed_when_it_is_old() {
    let mut pair = Pair::with_controllers();
    // 512 ms; and another one that waits behind the second one
    pair.card("left", 256);
    pair.card("right", 26);
    pair.card("left", 26);
    pair.run(470);
    assert_eq!(pair.take(), "left:Ok(())");
    pair.run(40);
    let said = pair.take();
    assert!(
        said.starts_with("right:Err(\"the ") && said.contains("left:Err(\"the "),
        "{said}"
    );
    pair.run(2000);
    assert_eq!((pair.take().as_str(), pair.took().contains("3=1")), ("", false));
    // one that was old from the start
    let (now, id) = (pair.now(), "left".parse().expect("a name"));
    let shown = Instant::from_nanos(T0) + Duration::from_micros(pair.now_us - 500_000);
    pair.port.card(now, shown, &id, &[true]);
    pair.run(1);
    assert_eq!(pair.take(), "left:Err(\"the card is too old to be sent\")");
}

#[test]
fn a_card_whose_answer_is_lost_is_told_and_holds_up_no_other_one() {
    let mut pair = Pair::with_controllers();
    for n in 0..6 {
        pair.card("left", 26);
        // its order goes out, its answer comes to nothing
        while let Some(output) = pair.port.poll_output() {
            if let Output::Send(bytes) = output {
                pair.firmware.handle_bytes(pair.now_us, PortRole::Line, &bytes);
            }
        }
        assert!(!pair.firmware.take_bytes(PortRole::Line).is_empty());
        pair.run(300);
        let said = pair.take();
        assert!(said.starts_with("left:Err(\"no answer came"), "{n}: {said}");
    }
    pair.card("left", 26);
    pair.run(10);
    assert_eq!(pair.take(), "left:Ok(())");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_ring(bytes in prop::collection::vec(any::<u8>(), 0..600), split in 1_usize..50) {
        let mut pair = Pair::new("vizit-matrix");
        for part in bytes.chunks(split) {
            let now = pair.now();
            pair.port.handle_bytes(now, part);
            pair.run(5);
        }
        prop_assert!(!pair.take().contains("Ring"));
    }
}

/// A bus on a front end, in virtual time: what the panel says becomes a ring, and what the guard orders goes out as the frame that
/// the same decoder reads again.
#[test]
fn a_frame_for_the_line_rings_and_its_door_is_opened_by_a_frame() {
    for (name, opened, times) in [("tcs-bus", "10000c80", 1), ("comelit-simplebus-1", "100c", 2)] {
        let profile = profile_named(name).expect("there");
        let of = street(name);
        let opening = Opening::new(0, profile, &of.wiring, of.params.bus).expect("a door");
        let Opening::Row(row) = opening else {
            panic!("{name} opens by a frame")
        };
        let mut pair = Pair::new(name);
        pair.play(13, name);
        pair.run(500);
        assert_eq!(pair.take(), "", "{name}: others leave no trace");
        pair.play(12, name);
        pair.run(500);
        assert_eq!(pair.take(), "street:Ring", "{name}");
        let window = Row {
            window_ms: 1500,
            ..row
        };
        let order = Order::Row(window);
        // the gateway itself cannot: the line port takes no such order
        pair.firmware
            .handle_bytes(pair.now_us, PortRole::Line, &order.frame(9));
        pair.run(100);
        assert!(pair.take().starts_with("refused:"), "{name}");
        pair.door(&Order::Alive);
        pair.door(&order);
        let from = pair.now_us;
        let mut sent = Vec::new();
        while pair.now_us < from + 2_000_000 {
            pair.now_us += 50;
            pair.firmware.handle_timeout(pair.now_us);
            if pair.now_us.is_multiple_of(500_000) {
                pair.door(&Order::Alive);
            }
            while let Some(change) = pair.firmware.take_change() {
                if let Change::Door { on, at_us, .. } = change {
                    sent.push((at_us, on));
                }
            }
        }
        let input = profile.frame_input().expect("a bus");
        let mut reader = FrameReader::new(input.coding, input.idle);
        let at = |us: u64| Instant::from_nanos(T0) + Duration::from_micros(us);
        let _ = reader.handle_edge(at(from - 100_000), true);
        let read: Vec<_> = sent
            .iter()
            .filter_map(|(us, on)| reader.handle_edge(at(*us), !on).expect("no noise"))
            .map(|frame| frame.to_string())
            .collect();
        assert_eq!(read, vec![opened.to_owned(); times], "{name}");
        assert!(
            sent.windows(2)
                .all(|pair| !pair[0].1 || pair[1].0 - pair[0].0 <= 6000),
            "{name}"
        );
        assert!(sent.last().is_some_and(|(_, on)| !on), "{name}");
    }
}

/// The same on a bus that talks in bytes: what the panel says becomes a ring, and what the guard orders is the telegram that was
/// learnt, as the same decoder reads it.
#[test]
fn a_telegram_for_the_line_rings_and_its_door_is_opened_by_the_one_that_was_learnt() {
    for (name, open, sent) in [
        ("scs", "hex 96 @@ 6f a4", "960c6fa4"),
        (
            "busch-welcome",
            "hex 03 0d 40 01 10 @@ ab cd ef",
            "030d4001100cabcdef",
        ),
    ] {
        let (_, text, _) = profiles().find(|(known, ..)| *known == name).expect("there");
        let door = format!(
            "[door]\nby = \"frame\"\nframe = \"{open}\"\npresses = 1\npause-ms = 200\noff-hook-ms = 0\nquiet-ms = 100\nhold-ms = 0\n"
        );
        let profile = Profile::parse(&format!("{text}\n{door}")).expect("a profile");
        let of = street(name);
        let opening = Opening::new(0, &profile, &of.wiring, of.params.bus).expect("a door");
        let mut pair = Pair::new(name);
        pair.play(13, name);
        pair.run(500);
        assert_eq!(pair.take(), "", "{name}: others leave no trace");
        pair.play(12, name);
        pair.run(500);
        assert_eq!(pair.take(), "street:Ring", "{name}");
        let order = opening.within(1500, 5);
        // the gateway itself cannot: the line port takes no such order
        pair.firmware
            .handle_bytes(pair.now_us, PortRole::Line, &order.frame(9));
        pair.run(100);
        assert!(pair.take().starts_with("refused:"), "{name}");
        pair.door(&Order::Alive);
        pair.door(&order);
        let from = pair.now_us;
        let mut changes = vec![Edge {
            at_us: from - 100_000,
            level: true,
        }];
        while pair.now_us < from + 2_000_000 {
            pair.now_us += 50_000;
            pair.firmware.handle_timeout(pair.now_us);
            if pair.now_us.is_multiple_of(500_000) {
                pair.door(&Order::Alive);
            }
            while let Some(change) = pair.firmware.take_change() {
                if let Change::Door { on, at_us, .. } = change {
                    changes.push(Edge { at_us, level: !on });
                }
            }
        }
        let input = profile.frame_input().expect("a bus");
        let read: Vec<String> = recorded(input.coding, input.idle, &changes)
            .into_iter()
            .map(|(_, frame)| frame.expect("no noise").to_string())
            .collect();
        assert_eq!(read, [sent], "{name}");
        let active = changes.windows(2).filter(|pair| !pair[0].level);
        assert!(
            active.into_iter().all(|pair| pair[1].at_us - pair[0].at_us <= 40),
            "{name}"
        );
        assert!(changes.last().is_some_and(|edge| edge.level), "{name}");
    }
}
