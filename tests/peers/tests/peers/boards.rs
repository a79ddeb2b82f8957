//! Doors on Modbus relay boards, which pymodbus plays: over TCP, over a serial line, through a serial server; and what others' clients
//! say to serial boards.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use peers::{Api, Gateway, ModbusBoards, Phone, PhoneParams, Reply, Rig, Use, Way, Wire, run, until};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::outside::wall_clock;
use crate::secs;

/// What a board may take beyond its time on a busy machine, ns.
const SLACK: u64 = 2_000_000_000;
/// Pulse of every door here, ns.
const PULSE: u64 = 3_000_000_000;
const MS: u64 = 1_000_000;

/// A site with one door for each output: its name, and the keys of its `modbus` table.
fn site(rig: &Rig, outputs: &[(&str, String)]) -> String {
    let (low, high) = rig.ports.gateway_rtp();
    let mut text = format!(
        "[site]\nid = \"test\"\nname = \"Test house\"\nnumber = \"000000001\"\n\
         address = \"1 Test Street, 00001 Test\"\nstate-dir = {:?}\nrun-dir = {:?}\n\
         [sip]\nbind = \"127.0.0.1\"\nudp-port = {sip}\ntcp-port = {sip}\nrtp-ports = [{low}, {high}]\n\
         [http]\nlisten = \"127.0.0.1:{}\"\n",
        rig.path("state"),
        rig.path("run"),
        rig.port(Use::Http),
        sip = rig.port(Use::Sip),
    );
    for (name, keys) in outputs {
        let _ = write!(
            text,
            "[outputs.{name}]\nmax-on-ms = 10000\n[outputs.{name}.modbus]\n{keys}\n\
             [doors.{name}]\nname = \"Door {name}\"\noutput = \"{name}\"\nstrike-ms = 3000\n"
        );
    }
    text
}

fn over_tcp(rig: &Rig, more: &str) -> String {
    format!(
        "host = \"127.0.0.1:{}\"\ntimeout-ms = 500\n{more}",
        rig.port(Use::Modbus)
    )
}

/// A busy machine plays the board: it gets longer than a board would.
fn over_wire(wire: &Wire, more: &str) -> String {
    format!("port = {:?}\ntimeout-ms = 500\n{more}", wire.port())
}

/// Asks for a door as a person at the page does.
fn ask(api: &Api, door: &str, id: &str) -> anyhow::Result<Reply> {
    api.post(
        &format!("/api/v1/doors/{door}/open"),
        &json!({ "id": id, "at": wall_clock()? }),
    )
}

/// Opens a door; where it just came back, as often as it takes.
fn open(api: &Api, boards: &mut ModbusBoards, door: &str, unit: u8, relay: u16) -> anyhow::Result<u64> {
    let mut n = 0;
    let before = boards.edges(unit, relay).len();
    until(secs(30), &format!("door {door} to open"), || {
        n += 1;
        ask(api, door, &format!("{door}-{before}-{n}"))?;
        Ok(boards.edge(unit, relay, secs(1)).ok().filter(|e| e.energised))
    })
    .map(|edge| edge.at_ns)
}

fn closed(boards: &mut ModbusBoards, unit: u8, relay: u16) -> anyhow::Result<u64> {
    let edge = boards.edge(unit, relay, secs(10))?;
    ensure!(!edge.energised, "{edge:?}");
    Ok(edge.at_ns)
}

/// Waits until a fault that holds all of `words` stands, or none of any board does.
fn fault(api: &Api, words: Option<&[&str]>) -> anyhow::Result<()> {
    until(secs(30), &format!("the fault {words:?}"), || {
        let site = api.get("/api/v1/site")?.body;
        let faults = site["faults"].as_array().cloned().unwrap_or_default();
        let mut texts = faults
            .iter()
            .filter(|f| f["part"].as_str().is_some_and(|p| p.starts_with("output:")))
            .map(ToString::to_string);
        let found = match words {
            Some(words) => texts.any(|text| words.iter().all(|word| text.contains(word))),
            None => texts.next().is_none(),
        };
        Ok(found.then_some(()))
    })
}

/// Waits until the door is not one that can be opened, and an order to open it is refused for its board.
fn refused(api: &Api, door: &str) -> anyhow::Result<()> {
    until(secs(10), "the door not to be offered", || {
        let site = api.get("/api/v1/site")?.body;
        let mut doors = site["doors"].as_array().into_iter().flatten();
        Ok(doors
            .any(|d| d["id"] == door && d["available"] == false)
            .then_some(()))
    })?;
    let reply = ask(api, door, &format!("{door}-silent"))?;
    let text = reply.body["detail"].as_str().unwrap_or_default();
    ensure!(
        reply.status == 503 && text.contains("does not answer"),
        "{reply:?}"
    );
    Ok(())
}

fn whole_pulse(rig: &Rig, what: &str, on: u64, off: u64) -> anyhow::Result<()> {
    rig.measured(
        &format!("pulse of 3000 ms at {what}"),
        format!("{} ms", (off - on) / MS),
    );
    ensure!(off - on >= PULSE - 200 * MS, "only {} ms", (off - on) / MS);
    ensure!(off - on <= PULSE + SLACK, "{} ms", (off - on) / MS);
    Ok(())
}

#[test]
fn boards_over_tcp_rtu_and_a_serial_server_open_for_the_strike_time() {
    for (kind, way, relay) in [
        ("coils", "tcp", 2u16),
        ("waveshare", "serial", 1),
        ("n4d", "rtu-tcp", 4),
        ("coils", "serial", 8),
    ] {
        run(|rig| {
            let wire = Wire::new(rig)?;
            let (way_of, keys) = match way {
                "serial" => (Way::Serial(wire.board()), over_wire(&wire, "")),
                "tcp" => (Way::Tcp, over_tcp(rig, "")),
                _ => (Way::RtuOverTcp, over_tcp(rig, "framing = \"rtu\"\n")),
            };
            let mut boards = ModbusBoards::start(rig, kind, &[1], &way_of)?;
            // left on by somebody: at rest before anything counts as ready
            boards.switch(1, relay, true)?;
            ensure!(boards.edge(1, relay, secs(5))?.energised);
            let keys = format!("{keys}profile = \"{kind}\"\nchannel = {relay}");
            let mut gateway = Gateway::start(rig, &site(rig, &[("front", keys)]))?;
            closed(&mut boards, 1, relay)?;
            let api = Api::set_up(rig, &gateway)?;
            let on = open(&api, &mut boards, "front", 1, relay)?;
            let off = closed(&mut boards, 1, relay)?;
            whole_pulse(rig, &format!("{kind} by {way}"), on, off)?;
            let stopped = gateway.stop();
            ensure!(boards.edges(1, relay).len() == 4, "{:?}", boards.edges(1, relay));
            stopped
        });
    }
}

#[test]
fn a_relay_that_somebody_else_switches_is_written_back_and_told() {
    run(|rig| {
        let mut boards = ModbusBoards::start(rig, "coils", &[1], &Way::Tcp)?;
        let keys = over_tcp(rig, "profile = \"coils\"\nchannel = 3");
        let gateway = Gateway::start(rig, &site(rig, &[("front", keys)]))?;
        let api = Api::set_up(rig, &gateway)?;
        boards.switch(1, 3, true)?;
        ensure!(boards.edge(1, 3, secs(5))?.energised);
        closed(&mut boards, 1, 3)?;
        fault(&api, Some(&["front", "without a lease"]))?;
        // and in a pulse: the door is not said to be open when it is not
        open(&api, &mut boards, "front", 1, 3)?;
        fault(&api, None)?;
        boards.switch(1, 3, false)?;
        closed(&mut boards, 1, 3)?;
        until(secs(10), "the guard to notice", || {
            let log = gateway.log();
            Ok(log.contains("an output rests that should be on").then_some(()))
        })?;
        open(&api, &mut boards, "front", 1, 3)?;
        closed(&mut boards, 1, 3)?;
        Ok(())
    });
}

#[test]
fn a_board_without_supply_is_a_fault_that_says_how_the_lock_is_and_comes_back_by_itself() {
    run(|rig| {
        let mut boards = ModbusBoards::start(rig, "coils", &[1], &Way::Tcp)?;
        let keys = over_tcp(rig, "profile = \"coils\"\nchannel = 1");
        let gateway = Gateway::start(rig, &site(rig, &[("front", keys)]))?;
        let api = Api::set_up(rig, &gateway)?;
        open(&api, &mut boards, "front", 1, 1)?;
        closed(&mut boards, 1, 1)?;
        boards.cut();
        fault(&api, Some(&["unit 1", "door front", "at rest locked"]))?;
        refused(&api, "front")?;
        boards.again(rig)?;
        fault(&api, None)?;
        ensure!(!boards.is_on(1, 1)?, "nothing opens by itself");
        open(&api, &mut boards, "front", 1, 1)?;
        closed(&mut boards, 1, 1)?;
        // frozen: it takes connections and answers nothing
        boards.process().signal(Signal::STOP)?;
        fault(&api, Some(&["unit 1"]))?;
        boards.process().signal(Signal::CONT)?;
        fault(&api, None)?;
        open(&api, &mut boards, "front", 1, 1)?;
        closed(&mut boards, 1, 1)?;
        Ok(())
    });
}

#[test]
fn a_serial_adapter_is_unplugged_replugged_and_its_line_cut_and_mended() {
    run(|rig| {
        let mut wire = Wire::new(rig)?;
        let mut boards = ModbusBoards::start(rig, "coils", &[1], &Way::Serial(wire.board()))?;
        let keys = over_wire(&wire, "profile = \"coils\"\nchannel = 1");
        let gateway = Gateway::start(rig, &site(rig, &[("front", keys)]))?;
        let api = Api::set_up(rig, &gateway)?;
        open(&api, &mut boards, "front", 1, 1)?;
        // in the middle of the pulse: the board keeps its relay, and gets rest as soon as it can be reached
        wire.unplug()?;
        fault(&api, Some(&["unplugged"]))?;
        ensure!(boards.is_on(1, 1)?);
        wire.plug()?;
        closed(&mut boards, 1, 1)?;
        fault(&api, None)?;
        open(&api, &mut boards, "front", 1, 1)?;
        closed(&mut boards, 1, 1)?;
        wire.set_cut(true);
        fault(&api, Some(&["does not answer"]))?;
        wire.set_cut(false);
        fault(&api, None)?;
        open(&api, &mut boards, "front", 1, 1)?;
        closed(&mut boards, 1, 1)?;
        Ok(())
    });
}

#[test]
fn a_board_that_does_not_answer_costs_the_others_on_its_line_nothing() {
    run(|rig| {
        let wire = Wire::new(rig)?;
        let mut boards = ModbusBoards::start(rig, "coils", &[1, 2, 3], &Way::Serial(wire.board()))?;
        let keys = |unit: u8| over_wire(&wire, &format!("profile = \"coils\"\nunit = {unit}"));
        let outputs = [("one", keys(1)), ("two", keys(2)), ("three", keys(3))];
        let gateway = Gateway::start(rig, &site(rig, &outputs))?;
        let api = Api::set_up(rig, &gateway)?;
        let on = open(&api, &mut boards, "one", 1, 1)?;
        boards.mute(2)?;
        boards.mute(3)?;
        fault(&api, Some(&["unit 2", "door two"]))?;
        let off = closed(&mut boards, 1, 1)?;
        whole_pulse(rig, "a line with two silent boards", on, off)?;
        refused(&api, "two")?;
        let on = open(&api, &mut boards, "one", 1, 1)?;
        let off = closed(&mut boards, 1, 1)?;
        whole_pulse(rig, "the same line", on, off)?;
        ensure!(
            !gateway.log().contains("the relay guard is killed"),
            "a slow board is no frozen guard"
        );
        boards.speak(2)?;
        boards.speak(3)?;
        fault(&api, None)
    });
}

/// A panel that is an intercom module on the line of the gateway, with another module beside it.
fn module_site(rig: &Rig, wire: &Wire, phone: &Phone) -> String {
    let opens = over_wire(wire, "profile = \"wb-domofon\"\nunit = 16");
    let input = |unit: u8, what: &str| over_wire(wire, &format!("unit = {unit}\n{what}\n"));
    let mut text = site(rig, &[("house", opens)]);
    for (name, keys) in [
        ("call", input(16, "coil = 1")),
        ("yard", input(2, "discrete-input = 3\ninterval-ms = 20")),
        ("garden", input(2, "discrete-input = 4\ninverted = true")),
        ("none", input(2, "discrete-input = 40\ninterval-ms = 1000")),
    ] {
        let _ = write!(text, "[inputs.{name}.modbus]\n{keys}");
    }
    text +=
        "[lines.wire.contact]\n[panels.main]\nname = \"Street door\"\nline = \"wire\"\ndoors = [\"house\"]\n";
    for name in ["call", "yard", "garden", "none"] {
        let _ = write!(
            text,
            "[panels.main.buttons.{name}]\nname = \"{name}\"\ninput = \"{name}\"\ncall = \"people\"\n"
        );
    }
    let _ = write!(text, "[lists.people]\ntargets = [{:?}]\n", phone.address());
    text + "[codes.nine]\ndigits = \"9\"\ndoors = [\"house\"]\n"
}

/// Waits until a fault of a device that holds the text stands, or none does.
fn module_fault(api: &Api, module: &str, text: Option<&str>) -> anyhow::Result<()> {
    let part = format!("device:modbus-{module}");
    until(secs(30), &format!("{part} to say {text:?}"), || {
        let site = api.get("/api/v1/site")?.body;
        let mut of = site["faults"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|f| f["part"] == part.as_str());
        let found = match text {
            Some(text) => of.any(|fault| fault.to_string().contains(text)),
            None => of.next().is_none(),
        };
        Ok(found.then_some(()))
    })
}

/// Who rang so far, by button.
fn rung(gateway: &Gateway) -> anyhow::Result<Vec<String>> {
    let events = gateway.events()?;
    let rings = events.iter().filter(|event| event["kind"] == "panel.ring");
    Ok(rings
        .filter_map(|ring| Some(ring["button"].as_str()?.to_owned()))
        .collect())
}

/// Presses a button until it has rung: at a module that was away a press may fall into the time in which it is not known.
fn press(
    boards: &ModbusBoards,
    gateway: &Gateway,
    (kind, unit, address): (&str, u8, u16),
    rings: &[&str],
) -> anyhow::Result<()> {
    let rest = address == 4;
    until(secs(20), &format!("{rings:?} to have rung"), || {
        boards.sense(kind, unit, address, rest)?;
        std::thread::sleep(Duration::from_millis(300));
        boards.sense(kind, unit, address, !rest)?;
        let end = Instant::now() + secs(1);
        while Instant::now() < end {
            let rung = rung(gateway)?;
            if rung == rings {
                boards.sense(kind, unit, address, rest)?;
                return Ok(Some(()));
            }
            ensure!(rung.len() < rings.len(), "{rung:?} rang");
        }
        Ok(None)
    })
}

/// The module rings a phone, its key opens by the module, and neither a line that is cut, nor a module that is away, late, or asked for
/// what it does not have presses anything.
#[test]
fn an_intercom_module_on_the_line_rings_a_phone_and_opens_and_presses_nothing_by_itself() {
    const CALL: (&str, u8, u16) = ("coil", 16, 1);
    const YARD: (&str, u8, u16) = ("input", 2, 3);
    const GARDEN: (&str, u8, u16) = ("input", 2, 4);
    run(|rig| {
        let mut wire = Wire::new(rig)?;
        let mut boards = ModbusBoards::start(rig, "domofon", &[16, 2], &Way::Serial(wire.board()))?;
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        // somebody rings already, and the inverted input is at rest at 1
        boards.sense("coil", 16, 1, true)?;
        boards.sense("input", 2, 4, true)?;
        let mut gateway = Gateway::start(rig, &module_site(rig, &wire, &phone))?;
        let api = Api::set_up(rig, &gateway)?;
        // the others of this module are read all the same
        module_fault(&api, "garden", Some("illegal data address"))?;
        ensure!(rung(&gateway)?.is_empty(), "what was pressed at the start rang");
        press(&boards, &gateway, CALL, &["call"])?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        phone.press('9')?;
        ensure!(boards.edge(16, 1, secs(10))?.energised, "coil 4 opens");
        // by the module itself, half-way through the pulse
        closed(&mut boards, 16, 1)?;
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        gateway.event(0, "door.relocked", secs(10), |_| true)?;

        // pressed while the line is cut: not known, and no press when it is mended
        let seq = gateway.last_seq();
        wire.set_cut(true);
        module_fault(&api, "call", Some("not known meanwhile: call"))?;
        boards.sense("coil", 16, 1, true)?;
        boards.sense("input", 2, 3, true)?;
        wire.set_cut(false);
        module_fault(&api, "call", None)?;
        // an adapter that is unplugged likewise
        wire.unplug()?;
        module_fault(&api, "call", Some("the port cannot be opened"))?;
        wire.plug()?;
        module_fault(&api, "call", None)?;
        press(&boards, &gateway, YARD, &["call", "yard"])?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.hang_up()?;
        gateway.event(seq, "call.ended", secs(20), |_| true)?;

        // one of them is silent: the other rings, and the relay of the silent one is a fault of its own
        let seq = gateway.last_seq();
        boards.mute(16)?;
        module_fault(&api, "call", Some("not known meanwhile: call"))?;
        press(&boards, &gateway, GARDEN, &["call", "yard", "garden"])?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.hang_up()?;
        gateway.event(seq, "call.ended", secs(20), |_| true)?;
        boards.speak(16)?;
        module_fault(&api, "call", None)?;
        fault(&api, None)?;

        // everything answers too late, some of it to the next question: nothing is pressed, and nothing opens
        boards.sense("coil", 16, 1, false)?;
        boards.sense("input", 2, 3, true)?;
        let opened = boards.edges(16, 1).len();
        for _ in 0..5 {
            boards.process().signal(Signal::STOP)?;
            std::thread::sleep(Duration::from_millis(700));
            boards.process().signal(Signal::CONT)?;
            std::thread::sleep(Duration::from_millis(100));
        }
        fault(&api, None)?;
        let rung = rung(&gateway)?;
        // the level of the yard changed while it could be read, which is a press of the yard
        ensure!(
            rung.iter().skip(3).all(|button| button == "yard") && rung.len() <= 4,
            "{rung:?}"
        );
        ensure!(boards.edges(16, 1).len() == opened, "{:?}", boards.edges(16, 1));
        gateway.stop()
    });
}

/// The three processes that could end a pulse, in an order in which they may be killed while they stand still: guard and
/// sentinel lead process groups of their own, and the kernel wakes a stopped group whose last link to its session dies
/// (`kill_orphaned_pgrp`), so a parent comes after its child.
fn processes(gateway: &mut Gateway) -> anyhow::Result<[u32; 3]> {
    let guard = gateway.guard_pid()?;
    let sentinel = until(secs(10), "the sentinel", || {
        Ok(peers::children(guard).first().copied())
    })?;
    Ok([sentinel, guard, gateway.process().pid()])
}

/// Nobody is left to end a pulse, and nobody saw another's death.
pub(crate) fn all_die_at_once(gateway: &mut Gateway) -> anyhow::Result<()> {
    let all = processes(gateway)?;
    for pid in all {
        peers::signal(pid, Signal::STOP)?;
    }
    for pid in all {
        until(secs(10), "all to stand still", || {
            Ok(peers::stands_still(pid).then_some(()))
        })?;
    }
    for pid in all {
        let _ = peers::signal(pid, Signal::KILL);
    }
    Ok(())
}

#[test]
fn a_guard_that_is_killed_in_a_pulse_leaves_a_relay_at_rest() {
    run(|rig| {
        let wire = Wire::new(rig)?;
        let mut boards = ModbusBoards::start(rig, "coils", &[1], &Way::Serial(wire.board()))?;
        let keys = over_wire(&wire, "profile = \"coils\"\nchannel = 5");
        let mut gateway = Gateway::start(rig, &site(rig, &[("front", keys)]))?;
        let api = Api::set_up(rig, &gateway)?;
        open(&api, &mut boards, "front", 1, 5)?;
        let struck = peers::boottime_ns();
        gateway.signal_guard(Signal::KILL)?;
        let off = closed(&mut boards, 1, 5)?;
        rig.measured(
            "guard killed until the coil rests",
            format!("{} ms", off.saturating_sub(struck) / MS),
        );
        ensure!(off <= struck + SLACK, "{} ms", (off - struck) / MS);
        // both at once: the sentinel is left
        open(&api, &mut boards, "front", 1, 5)?;
        let [_, guard, main] = processes(&mut gateway)?;
        let struck = peers::boottime_ns();
        peers::signal(main, Signal::KILL)?;
        let _ = peers::signal(guard, Signal::KILL);
        let off = closed(&mut boards, 1, 5)?;
        ensure!(off <= struck + SLACK, "{} ms", (off - struck) / MS);
        Ok(())
    });
}

#[test]
fn a_board_with_its_own_timer_ends_the_pulse_when_everybody_else_is_dead() {
    run(|rig| {
        let mut boards = ModbusBoards::start(rig, "waveshare", &[1], &Way::Tcp)?;
        let keys = over_tcp(rig, "profile = \"waveshare\"\nchannel = 2");
        let mut gateway = Gateway::start(rig, &site(rig, &[("front", keys)]))?;
        let api = Api::set_up(rig, &gateway)?;
        let on = open(&api, &mut boards, "front", 1, 2)?;
        all_die_at_once(&mut gateway)?;
        let off = closed(&mut boards, 1, 2)?;
        rig.measured(
            "pulse of 3000 ms that the board ended",
            format!("{} ms", (off - on) / MS),
        );
        // later than the guard would have, and no later than its own time
        ensure!(
            off - on >= PULSE && off - on <= PULSE + SLACK,
            "{} ms",
            (off - on) / MS
        );
        Ok(())
    });
}

/// One JSON value that the program prints.
fn printed(args: &[&str]) -> anyhow::Result<Value> {
    let out = Command::new(peers::program()).args(args).arg("--json").output()?;
    ensure!(
        out.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(serde_json::from_slice(&out.stdout)?)
}

/// What clients of others, one of them by the maker of the boards, send to serial boards is what this program sends, and they
/// read a board's answer as it does.
#[test]
fn clients_of_others_say_to_serial_boards_what_this_program_says() {
    run(|_| {
        let key = "DOORLINE_RELAY_BOARDS";
        let home = std::env::var_os(key).with_context(|| format!("{key} is not set; see tests/run"))?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/serial-clients.py");
        let out = Command::new(Path::new(&home).join("bin/python"))
            .arg(script)
            .output()?;
        let error = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "the clients: {error}");
        let said = String::from_utf8(out.stdout)?;
        let (mut orders, mut read) = (0, 0);
        for line in said.lines() {
            let said: Value = serde_json::from_str(line)?;
            let (did, sent) = (said["did"].as_str().unwrap_or_default(), &said["sent"]);
            let words: Vec<&str> = did.split(' ').collect();
            if let [family, relay, what] = words[..] {
                let own = printed(&["encode", "relay", family, relay, what])?;
                ensure!(own["bytes"] == *sent, "{line}: this program sends {own}");
                // a level was answered, and the client understood it
                ensure!(what != "read" || said["read"].is_string(), "{line}");
                orders += 1;
            } else {
                // levels of four relays, as the board answers them
                let own = printed(&["encode", "relay", "kmtronic8", "1", "read"])?;
                ensure!(own["bytes"] == *sent, "{line}: this program sends {own}");
                let own = printed(&["decode", "relay", did])?;
                let levels = (1..=4).map(|relay| said["read"][format!("R{relay}")].as_str());
                let levels: Option<Vec<String>> = levels.map(|level| level.map(str::to_lowercase)).collect();
                let levels = levels.with_context(|| line.to_owned())?.join(" ");
                ensure!(
                    own.to_string()
                        .contains(&format!("relays from 1 on are {levels}\"")),
                    "{line}: this program reads {own}"
                );
                read += 1;
            }
        }
        ensure!((orders, read) == (20, 3), "{said}");
        Ok(())
    });
}
