//! The whole gateway on the kernel's simulated pins: Wiegand frames and stripes in, relay and lights out.
//!
//! Makes chips, so it needs root and the module gpio-sim: `tests/vm/wires` runs it in a virtual machine.
//! Elsewhere its cases are ignored, and it says so.

mod board;
#[path = "../../guard/tests/gpio_sim/chip.rs"]
mod chip;
mod site;
mod stripe;
mod usb;
mod wire;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use gateway_card::{bits_of, encode_track};
use site::{House, STRIKE, STRIPE_DOOR};
use wire::{Pace, boottime};

/// The card that every door takes, and one that none does.
const CARD: &str = "26:123,04567";
const STRANGER: &str = "26:123,04568";
/// The stripe that the door of the Clock & Data reader takes.
const TRACK: &str = "0012345678";
/// All cases.
const CASES: usize = 12;
/// How long one pace may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Silence that ends a frame, as the site file has it by default.
const GAP: Duration = Duration::from_millis(25);

fn main() -> ExitCode {
    if std::env::args().any(|a| a == "burn") {
        loop {
            std::hint::black_box(boottime());
        }
    }
    if std::env::args().nth(1).is_some_and(|a| a == "flood") {
        wire::flood(std::env::args().skip(2));
    }
    if std::env::args().any(|a| a == "--list") {
        return ExitCode::SUCCESS;
    }
    if !chip::is_there() {
        say(&chip::ignored(CASES, "tests/vm/wires"));
        return ExitCode::SUCCESS;
    }
    wire::come_first();
    let mut house = House::start();
    type Case = (&'static str, fn(&mut House) -> String);
    let mut cases: Vec<Case> = vec![
        ("a card opens and lights its reader", card),
        ("a stranger's card is refused and shown", stranger),
        ("what is no card is told by its kind and opens nothing", misread),
        (
            "a stripe opens, drawn either way, and what is none is told",
            stripe,
        ),
        ("frames at every pace, beside a loaded processor", paces),
        ("from the last edge to the relay", latency),
        ("a panel is learned at a pin while it rings", learned),
        (
            "doctor tells what is there, who claims it and who may not use it",
            doctor,
        ),
        (
            "a frozen gateway notices the edges it lost and opens nothing late",
            frozen,
        ),
    ];
    if house.board.is_some() {
        cases.push((
            "a relay of a USB board opens, and is brought to rest whatever is done to the board",
            usb_board,
        ));
    }
    if house.usb.is_some() {
        cases.push((
            "a USB adapter is pulled out in a pulse and comes back under another name",
            usb_adapter,
        ));
    }
    // on one processor there is no flood while somebody reads
    if std::thread::available_parallelism().is_ok_and(|n| n.get() > 1) {
        cases.push(("an exit opens in a flood of edges on a reader", flood));
        assert!(cases.len() <= CASES);
    }
    let wanted = std::env::args().nth(1).filter(|a| !a.starts_with('-'));
    let mut failed = false;
    for (name, case) in cases {
        if wanted.as_ref().is_some_and(|w| !name.contains(w.as_str())) {
            continue;
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&mut house)));
        match done {
            Ok(measured) => say(&format!("ok   {name}: {measured}")),
            Err(_) => {
                failed = true;
                say(&format!("FAIL {name}\n{}", house.log()));
            }
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn bits(card: &str) -> Vec<bool> {
    bits_of(&gateway_site::card_frame(card).expect("a card"))
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn card(house: &mut House) -> String {
    assert!(!house.real_relay() && !house.wire("led"));
    let last = house.readers[0].send(&bits(CARD), Pace::of(1000));
    house.wait("the relay", |house| house.real_relay());
    let opened = boottime() - last;
    house.wait("the LED", |house| {
        house.wire("led") && house.wire("beeper") && house.wire("hold")
    });
    let lit = boottime() - last;
    assert!(!house.wire("second-led"));
    house.wait("the end of the beep", |house| !house.wire("beeper"));
    house.wait("the end of the pulse", |house| !house.real_relay());
    house.wait("a dark LED", |house| !house.wire("led") && !house.wire("hold"));
    assert!(boottime() - last >= STRIKE);
    format!(
        "relay after {} ms, LED, beeper and hold after {} ms",
        opened.as_millis(),
        lit.as_millis()
    )
}

fn stranger(house: &mut House) -> String {
    let before = house.count("door.denied");
    let last = house.readers[0].send(&bits(STRANGER), Pace::of(1000));
    house.wait("the second LED", |house| {
        house.wire("second-led") && house.wire("beeper")
    });
    let lit = boottime() - last;
    house.wait_records("door.denied", before + 1);
    assert!(!house.real_relay() && !house.wire("led"));
    house.wait("a dark LED", |house| {
        !house.wire("second-led") && !house.wire("hold")
    });
    format!("second LED and beeper after {} ms", lit.as_millis())
}

/// Each kind on a reader of its own, so that none is only counted.
fn misread(house: &mut House) -> String {
    let good = bits(CARD);
    house.catch_up();
    let granted = house.count("door.granted");
    let pace = Pace::of(1000);
    let mut wrong = good.clone();
    wrong[5] = !wrong[5];
    house.readers[0].send(&good[..25], pace);
    house.readers[1].send(&wrong, pace);
    house.readers[2].send(&[good.clone(), good.clone()].concat(), pace);
    let reversed: Vec<bool> = good.iter().map(|one| !one).collect();
    for _ in 0..3 {
        house.readers[3].send(&reversed, pace);
        std::thread::sleep(2 * GAP);
    }
    house.readers[4].both(&good, pace);
    for reason in ["short", "parity", "length", "reversed"] {
        house.wait(reason, |house| house.has("reader.misread", reason));
    }
    // a machine that is slower than 20 µs from one write to the next makes it two bits too many
    house.wait("a pulse on both wires", |house| {
        house.has("reader.misread", "reader4")
            && (house.has("reader.misread", "simultaneous") || house.has("reader.misread", "\"bits\":28"))
    });
    house.wait("the fault of exchanged wires", |house| {
        house.has("device.fault", "exchanged")
    });
    house.readers[3].send(&good, pace);
    house.wait_records("door.granted", granted + 1);
    assert_eq!(
        house.count("door.granted"),
        granted + 1,
        "only the good card opens"
    );
    "short, parity, length, reversed and a pulse on both wires, each by its name".to_owned()
}

fn stripe(house: &mut House) -> String {
    let good = encode_track(TRACK, 22).expect("a track");
    house.catch_up();
    let granted = house.count("door.granted");
    let mut wrong = good.clone();
    wrong[40] = !wrong[40];
    house.stripe.draw(&wrong);
    house.wait("a wrong bit", |house| {
        house.reasons("stripe", 0).contains("parity")
    });
    // the right stripe, and no card is present
    house.stripe.clocks(&good);
    house.wait("clocks without a card", |house| {
        house.reasons("stripe", 0).contains("noise")
    });
    house.catch_up();
    assert_eq!(house.count("door.granted"), granted, "nothing of it opens");
    let backwards: Vec<bool> = good.iter().rev().copied().collect();
    let (mut took, mut again) = (Vec::new(), 0);
    for bits in [&good, &backwards] {
        loop {
            house.wait_at_rest(STRIPE_DOOR);
            let last = house.stripe.draw(bits);
            if let Some(energised) = house.energised(STRIPE_DOOR, last) {
                took.push((energised - last).as_millis());
                break;
            }
            // a machine that stood still reads data too late, or refuses an old card: it is drawn again
            again += 1;
            assert!(again <= 4, "a stripe opens nothing\n{}", house.log());
        }
    }
    house.wait_records("door.granted", granted + 2);
    format!("relay {took:?} ms after the last clock; drawn once more {again} times")
}

fn paces(house: &mut House) -> String {
    let good = bits(CARD);
    house.catch_up();
    let mut said = Vec::new();
    for load in [0, 2] {
        let burning: Vec<_> = (0..load).map(|_| wire::Burn::start()).collect();
        said.push(format!("\n     {load} busy processes"));
        for (us, pulse, frames) in [
            (10_000, 50, 3),
            (2000, 50, 20),
            (1000, 50, 20),
            (500, 50, 20),
            (200, 50, 40),
            // the fastest that is legal: SIA AC-01 has pulses of 20 to 100 µs, 200 µs to 20 ms apart
            (200, 20, 40),
            (100, 20, 40),
            (50, 20, 40),
            (0, 20, 40),
        ] {
            let (cards, misreads, seen) = (
                house.count("reader.card"),
                house.misreads("reader1"),
                house.seen(),
            );
            let (mut whole, mut broken, mut real, mut low) = (0, 0, Duration::ZERO, Duration::ZERO);
            let end = boottime() + PATIENCE;
            while whole < frames && boottime() < end {
                let began = boottime();
                let sent = house.readers[1].once(&good, Pace::pulsed(us, pulse));
                if sent.is_whole() {
                    whole += 1;
                    real += (sent.last - began) / 25;
                    low += sent.pulses / 26;
                } else {
                    // this machine stood still in the middle of it: that was no frame
                    broken += 1;
                }
                std::thread::sleep(2 * GAP);
            }
            // every whole frame becomes a card, or is told as a misread: at once, or as a sum after ten seconds
            house.settle(PATIENCE, |house| house.count("reader.card") >= cards + whole);
            let (read, told) = (
                house.count("reader.card") - cards,
                house.misreads("reader1") - misreads,
            );
            let frames = u32::try_from(whole).expect("few").max(1);
            let (pitch, width) = (real / frames, low / frames);
            said.push(format!(
                "\n       {us} µs a bit, {pulse} µs a pulse (made {} and {} µs): {read} of {whole} read, {told} misreads ({}), {broken} more \
                 not sent whole",
                pitch.as_micros(),
                width.as_micros(),
                house.reasons("reader1", seen)
            ));
            // what was not sent whole may be read all the same
            assert!(
                us < 200 || read >= whole,
                "frames are lost at a legal pace; {}",
                said.join("; ")
            );
            assert!(
                read + told >= whole,
                "a lost frame was not noticed; {}",
                said.join("; ")
            );
        }
        drop(burning);
    }
    said.join("; ")
}

fn latency(house: &mut House) -> String {
    let good = bits(CARD);
    let mut said = Vec::new();
    for load in [0, 2] {
        let burning: Vec<_> = (0..load).map(|_| wire::Burn::start()).collect();
        let (mut took, mut write): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
        let (mut n, mut refused, end) = (0, 0, boottime() + 5 * PATIENCE);
        while took.len() < 40 {
            // four doors in turn, so that each pulse is over before the next card
            let at = 1 + n % 4;
            n += 1;
            house.wait_at_rest(at);
            let sent = house.readers[at].send_whole(&good, Pace::of(1000));
            match house.energised(at, sent.last) {
                Some(energised) => {
                    took.push((energised - sent.last).saturating_sub(GAP));
                    write.push(sent.write);
                }
                // a machine that stood still lets its guard be ended, and old cards are refused
                None => refused += 1,
            }
            assert!(boottime() < end, "cards open nothing, {refused} times of {n}");
        }
        drop(burning);
        took.sort_unstable();
        write.sort_unstable();
        let of = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)].as_micros();
        said.push(format!(
            "{load} busy processes: p50 {} µs, p99 {} µs, worst {} µs, {refused} refused, from before the write of the edge, within which \
             the kernel dates it and which took {} µs (p50)",
            of(50),
            of(99),
            of(100),
            write[write.len() / 2].as_micros()
        ));
    }
    said.join("; ")
}

/// A reader's wires change as fast as one processor can make them, while the other has the gateway; somebody wants out.
fn flood(house: &mut House) -> String {
    let seen = house.seen();
    let flood = house.flood(3);
    let (began, before) = (boottime(), flood.made());
    // it is told: as an endless frame, or as misreads if the machine itself pauses in it
    house.wait("what the flood is told as", |house| {
        let new = house.records.iter().skip(seen);
        new.filter(|record| record["source"].as_str().is_some_and(|s| s.ends_with("reader3")))
            .any(|record| {
                record["kind"] == "reader.misread" || record.to_string().contains("without a pause")
            })
    });
    let (mut took, mut again) = (Vec::new(), 0);
    while took.len() < 20 {
        house.wait("the end of the pulse", |house| !house.real_relay());
        let (so_far, pressed) = (flood.made(), boottime());
        loop {
            house.exit(true);
            house.settle(2 * STRIKE, House::real_relay);
            let opened = house.real_relay();
            let at = boottime();
            house.exit(false);
            if opened {
                took.push(at - pressed);
                break;
            }
            // a machine that stood still lets its guard be ended: who stands at the door presses again
            again += 1;
            assert!(again <= 20, "the exit opens nothing\n{}", house.log());
            std::thread::sleep(ms(100));
        }
        house.wait("more of the flood", |_| flood.made() > so_far);
    }
    let rate = u128::from(flood.made() - before) * 1000 / (boottime() - began).as_millis().max(1);
    drop(flood);
    house.wait("the end of the fault", |house| {
        let mut records = house.records.iter();
        let last = records.rfind(|record| record["source"] == "reader-reader3");
        last.is_some_and(|record| record["kind"] == "device.ready")
    });
    took.sort_unstable();
    format!(
        "{rate} pulses a second; exit to relay p50 {} µs, worst {} µs of 20, pressed once more {again} times",
        took[took.len() / 2].as_micros(),
        took[took.len() - 1].as_micros()
    )
}

/// A 4+n panel rings at a pin that the gateway does not use.
fn learned(house: &mut House) -> String {
    // the level that was found, and four edges
    let said = house.learn(5, |house| {
        // two rings, each a level that stands
        for _ in 0..2 {
            house.ring_wire(true);
            std::thread::sleep(ms(600));
            house.ring_wire(false);
            std::thread::sleep(ms(300));
        }
    });
    assert!(said.status.success(), "{said:?}");
    let proposed = String::from_utf8_lossy(&said.stdout).into_owned();
    let found: serde_json::Value = serde_json::from_str(&proposed).expect("one JSON value");
    assert_eq!(found["edges"], 5, "{proposed}");
    format!("{} of {}", found["profile"], found["found"])
}

/// What hangs at this machine, told to somebody who may use it and to somebody who may not.
fn doctor(house: &mut House) -> String {
    let (chip, board) = (house.chip_name(), house.board.is_some());
    let (root, nobody) = (house.doctor(None), house.doctor(Some(65_534)));
    let mut seen = 0;
    let mut told = |all: &str, begins: &str, part: &str| {
        let found = all.split("\n").position(|line| line.starts_with(begins));
        let found = found.unwrap_or_else(|| panic!("no {begins:?} in\n{all}"));
        let lines: Vec<&str> = all.split("\n").skip(found).take(2).collect();
        assert!(lines.join(" ").contains(part), "{lines:?} lack {part:?}");
        seen += 1;
    };
    for part in [
        "line 4: reader reader0, D0",
        "line 2: output strike0",
        "line 14: reader stripe, clock",
    ] {
        told(&root, &format!("ok    GPIO chip {chip}: "), part);
    }
    told(&root, "ok    serial port /dev/ttyS0: ", "claimed by nobody");
    if board {
        let begins = format!("ok    USB relay board {} (/dev/hidraw", board::ID);
        told(&root, &begins, "channel 2: output roof");
    }
    // every line that is claimed is there, and held by the gateway itself
    assert!(
        !root.contains("is held by") && !root.contains("lines, from 0"),
        "{root}"
    );
    let usual = "this user may not";
    told(&nobody, &format!("FAULT GPIO chip {chip}: "), usual);
    told(&nobody, "FAULT serial port /dev/ttyS0: ", usual);
    if Path::new("/proc/asound/cards").exists() {
        told(&root, "ok    sound card Dummy (", "claimed by nobody");
        told(&nobody, "FAULT sound card Dummy (", usual);
    }
    if Path::new("/dev/video0").exists() {
        told(&root, "ok    camera /dev/video0: ", "claimed by nobody");
        told(&nobody, "FAULT camera /dev/video0: ", usual);
    }
    format!("{seen} findings, each as it is")
}

/// The next change of a relay of the USB board: which way, and when.
fn relay_edge(house: &House) -> (bool, Duration) {
    let board = house.board.as_ref().expect("it is there");
    let edge = board.edge(PATIENCE);
    let edge = edge.unwrap_or_else(|| panic!("no edge of the board\n{}", house.log()));
    assert_eq!(edge.relay, 2, "only the relay that is used is switched");
    (edge.on, edge.at)
}

fn pulse(house: &House) -> Duration {
    let board = house.board.as_ref().expect("it is there");
    let end = boottime() + PATIENCE;
    // a machine that stood still lets its guard be ended, or takes the press for old: whoever stands at the door presses again
    let began = loop {
        house.roof_exit();
        match board.edge(3 * STRIKE) {
            Some(edge) if edge.on => break edge.at,
            Some(_) => {}
            None => assert!(boottime() < end, "no edge of the board\n{}", house.log()),
        }
    };
    let (off, ended) = relay_edge(house);
    assert!(!off);
    ended - began
}

/// The board is one to a program that nobody here wrote, Debian's `usbrelay`: it finds it, reads it and switches it, which is
/// written to rest and told as any other hand.
fn others_tool(house: &mut House) -> &'static str {
    let Some(read) = board::usbrelay(&[]) else {
        return "no usbrelay here";
    };
    for channel in 1..=4 {
        let line = format!("{}_{channel}=0", board::ID);
        assert!(read.contains(&line), "no {line:?} in\n{read}");
    }
    let unasked = "energised without a lease";
    let before = house.said(unasked);
    let order = format!("{}_2=1", board::ID);
    board::usbrelay(&[&order]).expect("as before");
    assert!(relay_edge(house).0 && !relay_edge(house).0);
    house.wait("the alarm", |house| house.said(unasked) > before);
    "usbrelay reads and switches it"
}

fn usb_board(house: &mut House) -> String {
    let act = |house: &mut House, what: &str| house.board.as_mut().expect("it is there").act(what);
    let length = pulse(house);
    // both ends are dated as they are read, by a machine that is slow
    assert!(length >= STRIKE - ms(300), "{} ms", length.as_millis());
    // somebody else switches it: it is seen, written to rest, and told
    let unasked = "energised without a lease";
    let before = house.said(unasked);
    act(house, "hand 2 1");
    assert!(relay_edge(house).0 && !relay_edge(house).0);
    house.wait("the alarm", |house| house.said(unasked) > before);
    let others = others_tool(house);
    // unplugged, and plugged in again as another device of the kernel
    act(house, "unplug");
    house.wait("the fault of an unplugged board", |house| {
        house.said("the board was unplugged") + house.said("there is no board with id 6QMBS") > 0
    });
    act(house, "plug");
    house.settle(PATIENCE, |house| {
        house.roof_exit();
        let board = house.board.as_ref().expect("it is there");
        board.edge(ms(500)).is_some_and(|edge| edge.on)
    });
    assert!(!relay_edge(house).0, "and the pulse ends");
    // a board that hangs costs nobody else anything
    act(house, "hang");
    house.wait("the fault of a board that hangs", |house| {
        house.said("the board does not answer within 200 ms") > 0
    });
    house.wait("the real door at rest", |house| !house.real_relay());
    house.exit(true);
    house.wait("the exit of another door", House::real_relay);
    house.exit(false);
    act(house, "go on");
    house.settle(PATIENCE, |house| {
        house.roof_exit();
        let board = house.board.as_ref().expect("it is there");
        board.edge(ms(500)).is_some_and(|edge| edge.on)
    });
    assert!(!relay_edge(house).0, "and the pulse ends");
    format!(
        "a pulse of {} ms; alarm, unplugging and a hang are told; {others}",
        length.as_millis()
    )
}

/// Presses the exit of the door behind the USB adapter until it opens; then it has to rest again.
fn yard(house: &mut House) -> Duration {
    let end = boottime() + PATIENCE;
    loop {
        house.yard_exit();
        let board = &house.usb.as_ref().expect("it is there").board;
        match board.frame(3 * STRIKE) {
            Some(frame) if frame.on => {
                assert_eq!(frame.relay, 2);
                return frame.at;
            }
            Some(_) => {}
            None => assert!(boottime() < end, "no frame at the board\n{}", house.log()),
        }
    }
}

fn yard_rests(house: &House) -> Duration {
    let board = &house.usb.as_ref().expect("it is there").board;
    loop {
        let frame = board.frame(PATIENCE);
        let frame = frame.unwrap_or_else(|| panic!("it never rests\n{}", house.log()));
        if !frame.on {
            return frame.at;
        }
    }
}

fn usb_adapter(house: &mut House) -> String {
    let began = yard(house);
    let whole = yard_rests(house) - began;
    let direction = "the port's driver does not switch an RS-485 direction";
    house.wait("the fault of a direction that nobody switches", |house| {
        house.has("device.fault", direction)
    });

    // pulled out in the pulse, with its name held by somebody
    yard(house);
    let usb = house.usb.take().expect("it is there");
    let (held, before) = (usb.gateway.hold(), usb.gateway.tty());
    usb.gateway.unplug();
    house.usb = Some(usb);
    let fault = "door yard: unplugged, its relay has no supply and rests: locked";
    house.wait("the fault that says how the lock is", |house| {
        house.said(fault) > 0
    });
    // an exit of that door is not forgotten within its strike time, and has no effect after it
    house.yard_exit();
    // the others go on
    house.wait("the real door at rest", |house| !house.real_relay());
    house.exit(true);
    house.wait("the exit of another door", House::real_relay);
    house.exit(false);
    // and nobody spins
    let all = house.processes();
    let (start, used): (Duration, Vec<Duration>) =
        (boottime(), all.iter().map(|pid| usb::busy(*pid)).collect());
    std::thread::sleep(3 * STRIKE);
    let passed = boottime() - start;
    let most = all
        .iter()
        .zip(used)
        .map(|(pid, used)| usb::busy(*pid) - used)
        .max()
        .expect("a gateway and its guard");
    assert!(most < passed / 2, "a process ran for {most:?} of {passed:?}");
    let usb = house.usb.take().expect("it is there");
    usb.board.frames();
    usb.gateway.plug();
    let after = usb.gateway.tty();
    assert_ne!(before, after, "the kernel gave it the old name");
    house.usb = Some(usb);
    // what was claimed is at rest before anything else is said, and nothing opens by itself
    let board = &house.usb.as_ref().expect("it is there").board;
    let first = board.frame(PATIENCE).expect("a frame");
    assert!(!first.on && first.relay == 2, "{first:?}");
    house.settle(2 * STRIKE, |_| false);
    let frames = house.usb.as_ref().expect("it is there").board.frames();
    assert!(frames.iter().all(|frame| !frame.on), "{frames:?}");
    let began = yard(house);
    let again = yard_rests(house) - began;
    drop(held);
    format!(
        "pulses of {} and {} ms; {before} came back as {after}; the busiest process ran {} ms of {} without it",
        whole.as_millis(),
        again.as_millis(),
        most.as_millis(),
        passed.as_millis()
    )
}

fn frozen(house: &mut House) -> String {
    let good = bits(CARD);
    house.catch_up();
    let granted = house.count("door.granted");
    house.freeze(true);
    // more than the 4096 edges that the kernel keeps
    for _ in 0..200 {
        house.readers[2].once(&good, Pace::of(0));
        std::thread::sleep(GAP + ms(5));
    }
    house.freeze(false);
    house.wait("lost edges", |house| house.has("reader.misread", "lost-edges"));
    house.catch_up();
    assert_eq!(
        house.count("door.granted"),
        granted,
        "a card of the time it stood still opened"
    );
    house.readers[2].send(&good, Pace::of(1000));
    house.wait_records("door.granted", granted + 1);
    "lost edges are told, and the next card opens".to_owned()
}
