//! Doors on Modbus relay boards, which pymodbus plays: over TCP, over a serial line, through a serial server; and what others' clients
//! say to serial boards.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use peers::{Api, Gateway, ModbusBoards, Reply, Rig, Use, Way, Wire, run, until};
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
        ensure!((orders, read) == (16, 3), "{said}");
        Ok(())
    });
}
