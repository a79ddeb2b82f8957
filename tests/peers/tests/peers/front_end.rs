//! A panel line on a front end, which the program itself plays on two pseudo-terminals: ring, answer, digit, door; and the
//! stock handset, which keeps working.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use peers::{Api, Gateway, Phone, PhoneParams, Rig, Site, Trace, Use, program, run, sigrok, until};
use serde_json::{Value, json};

use crate::outside::wall_clock;
use crate::secs;

/// A front end that is told what happens on its line, and says what its outputs do.
struct FrontEnd {
    child: Child,
    log: PathBuf,
    stdin: ChildStdin,
}

impl FrontEnd {
    fn start(rig: &Rig, profile: &str) -> anyhow::Result<Self> {
        let log = rig.path("front-end.log");
        rig.also_show(log.clone());
        let out = std::fs::File::create(&log)?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program())
            .args(["panel", "simulate", "--profile", profile])
            .arg(rig.path("front-end"))
            .stdin(Stdio::piped())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()?;
        let stdin = child.stdin.take().context("piped")?;
        until(secs(10), "the ports of the front end", || {
            Ok(rig.path("front-end/door").exists().then_some(()))
        })?;
        Ok(Self { child, log, stdin })
    }

    fn play(&mut self, what: &str) -> anyhow::Result<()> {
        writeln!(self.stdin, "{what}")?;
        Ok(self.stdin.flush()?)
    }

    /// What its outputs did so far: `what`, and when in µs.
    fn changes(&self) -> Vec<(String, u64)> {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let change = |line: &str| {
            let (at, what) = line.split_once(' ')?;
            Some((what.to_owned(), at.parse().ok()?))
        };
        log.lines().filter_map(change).collect()
    }

    /// Waits for the next change that is `what`, after the first `skip` ones.
    fn does(&self, skip: usize, what: &str) -> anyhow::Result<u64> {
        until(secs(10), &format!("the front end to switch {what}"), || {
            let changes = self.changes();
            let mut later = changes.iter().skip(skip);
            Ok(later.find(|(did, _)| did == what).map(|(_, at)| *at))
        })
    }
}

impl Drop for FrontEnd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A site whose line is this: profile, wiring, and what its panel has besides a bell.
fn site(rig: &Rig, phone: &Phone, line: &str, panel: &str) -> String {
    let (low, high) = rig.ports.gateway_rtp();
    format!(
        r#"
[site]
id = "test"
name = "Test house"
number = "000000001"
address = "1 Test Street, 00001 Test"
state-dir = {:?}
run-dir = {:?}
[sip]
bind = "127.0.0.1"
udp-port = {sip}
tcp-port = {sip}
rtp-ports = [{low}, {high}]

[lines.riser.front-end]
port = {:?}
{line}

[outputs.house.front-end]
port = {:?}
line = "riser"

[panels.street]
name = "Street"
line = "riser"
doors = ["house"]
{panel}
[panels.street.buttons.bell]
name = "Bell"
call = "flat"

[doors.house]
name = "House"
lock-owner = "panel"
output = "house"
strike-ms = 3000

[lists.flat]
targets = [{:?}]

[codes.nine]
digits = "9"
doors = ["house"]
"#,
        rig.path("state"),
        rig.path("run"),
        rig.path("front-end/line"),
        rig.path("front-end/door"),
        phone.address(),
        sip = rig.port(Use::Sip),
    )
}

#[test]
fn front_end_a_press_rings_a_phone_nine_opens_and_the_stock_handset_keeps_working() {
    run(|rig| {
        let mut front_end = FrontEnd::start(rig, "vizit-matrix")?;
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let line = "profile = \"vizit-matrix\"\nhandset-input = 1\nhook-output = 0\nexclude-output = 1";
        let gateway = Gateway::start(rig, &site(rig, &phone, line, ""))?;
        until(secs(10), "the line to be online", || {
            Ok(gateway.log().contains("a front end is online").then_some(()))
        })?;

        front_end.play("ring")?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        let excluded = front_end.does(0, "output 1 on")?;
        let hooked = front_end.does(0, "output 0 on")?;
        rig.measured(
            "handset off the line until off-hook",
            format!("{} ms", (hooked - excluded) / 1000),
        );
        // the first of both may have waited longer on its way to the front end
        ensure!(hooked - excluded >= 350_000, "the profile says 400 ms");

        phone.press('9')?;
        let pressed = front_end.does(0, "door 0 on")?;
        let released = front_end.does(0, "door 0 off")?;
        rig.measured("press of the door", format!("{} ms", (released - pressed) / 1000));
        ensure!(
            released - pressed == 300_000,
            "timed by the front end: {} µs",
            released - pressed
        );
        ensure!(
            pressed - hooked >= 999_000,
            "pressed {} µs after off-hook",
            pressed - hooked
        );
        gateway.event(0, "door.granted", secs(5), |e| e["source"] == "house")?;

        phone.hang_up()?;
        front_end.does(0, "output 0 off")?;
        front_end.does(0, "output 1 off")?;

        // the next visitor, and somebody is quicker at the handset on the wall
        let (seq, before) = (gateway.last_seq(), front_end.changes().len());
        until(secs(10), "the panel to ring again", || {
            front_end.play("ring")?;
            Ok(phone.hears("CALL_INCOMING", Duration::from_millis(2500)).ok())
        })?;
        front_end.play("lift")?;
        phone.hears("CALL_CLOSED", secs(10))?;
        gateway.event(seq, "line.state", secs(5), |e| e["state"] == "handset")?;
        gateway.event(seq, "call.ended", secs(5), |e| {
            e.to_string().contains("answered-elsewhere")
        })?;
        front_end.play("replace")?;
        gateway.event(seq, "line.state", secs(5), |e| e["state"] == "idle")?;
        ensure!(
            front_end.changes().len() == before,
            "nothing was switched: {:?}",
            front_end.changes()
        );
        gateway.verify()
    });
}

#[test]
fn front_end_who_opens_in_an_unanswered_ring_answers_it_for_the_press() {
    run(|rig| {
        let mut front_end = FrontEnd::start(rig, "handset-tap")?;
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let line = "profile = \"handset-tap\"\nhandset-input = 1\nhook-output = 0\nexclude-output = 1";
        let page = format!("[http]\nlisten = \"127.0.0.1:{}\"\n", rig.port(Use::Http));
        let gateway = Gateway::start(rig, &format!("{page}{}", site(rig, &phone, line, "")))?;
        let api = Api::set_up(rig, &gateway)?;
        until(secs(10), "the line to be online", || {
            Ok(gateway.log().contains("a front end is online").then_some(()))
        })?;
        let open = |id: &str| {
            api.post(
                "/api/v1/doors/house/open",
                &json!({ "id": id, "at": wall_clock()? }),
            )
        };

        let refused = open("before")?;
        ensure!(refused.status == 403, "the panel does not ring: {refused:?}");
        front_end.play("ring")?;
        phone.hears("CALL_INCOMING", secs(10))?;
        let opened = open("in-the-ring")?;
        ensure!((200..300).contains(&opened.status), "{opened:?}");
        let hooked = front_end.does(0, "output 0 on")?;
        let pressed = front_end.does(0, "door 0 on")?;
        ensure!(
            pressed - hooked >= 299_000,
            "pressed {} µs after off-hook",
            pressed - hooked
        );
        front_end.does(0, "door 0 off")?;
        front_end.does(0, "output 0 off")?;
        front_end.does(0, "output 1 off")?;
        // the visitor is in, and the telephones are quiet
        phone.hears("CALL_CLOSED", secs(10))?;

        // at the handset on the wall there is a button for it
        let seq = gateway.last_seq();
        until(secs(10), "the panel to ring again", || {
            front_end.play("ring")?;
            Ok(phone.hears("CALL_INCOMING", Duration::from_millis(2500)).ok())
        })?;
        front_end.play("lift")?;
        gateway.event(seq, "line.state", secs(5), |e| e["state"] == "handset")?;
        let refused = open("at-the-handset")?;
        ensure!(refused.status == 403, "{refused:?}");
        gateway.event(seq, "door.denied", secs(5), |_| true)?;
        gateway.verify()
    });
}

/// What the program's own decoder makes of what the door's output did to the bus: low while it is active. Of each frame this value:
/// `what` it means, or the `frame` itself.
fn decoded(front_end: &FrontEnd, profile: &str, value: &str) -> anyhow::Result<Vec<String>> {
    let changes = front_end.changes();
    let pulses: Vec<(bool, u64)> = changes
        .iter()
        .filter(|(what, _)| what.starts_with("door 0"))
        .map(|(what, at)| (what.ends_with("off"), *at))
        .collect();
    let first = pulses.first().context("nothing was sent")?.1;
    let mut edges = format!("{},1", first.saturating_sub(100_000));
    for (level, at) in &pulses {
        edges.push_str(&format!(" {at},{}", u8::from(*level)));
    }
    let said = Command::new(program())
        .args(["decode", "panel", "--json", "--profile", profile, &edges])
        .output()?;
    let said: Value = serde_json::from_slice(&said.stdout)?;
    let frames = said["frames"].as_array().context("frames")?;
    ensure!(said["noise"].as_array().is_some_and(Vec::is_empty), "{said}");
    Ok(frames
        .iter()
        .filter_map(|f| f[value].as_str().map(str::to_owned))
        .collect())
}

#[test]
fn front_end_frames_of_a_bus_ring_their_own_handset_only_and_nine_opens_by_a_frame() {
    run(|rig| {
        let mut front_end = FrontEnd::start(rig, "tcs-bus")?;
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let line = "profile = \"tcs-bus\"\nbus-address = 798906";
        let gateway = Gateway::start(rig, &site(rig, &phone, line, "floor-call = \"flat\""))?;
        until(secs(10), "the line to be online", || {
            Ok(gateway.log().contains("a front end is online").then_some(()))
        })?;

        // others are called first: had it rung, that would be the ring that the phone hears
        let seq = gateway.last_seq();
        front_end.play("ring 798907")?;
        front_end.play("floor 798907")?;
        front_end.play("floor 798906")?;
        phone.hears("CALL_INCOMING", secs(10))?;
        let first = gateway.event(seq, "panel.ring", secs(5), |_| true)?;
        ensure!(first.to_string().contains("\"floor\""), "{first}");
        ensure!(
            !gateway.log().contains("798907"),
            "others leave no line in the log"
        );
        phone.hang_up()?;
        phone.hears("CALL_CLOSED", secs(10))?;

        let seq = gateway.last_seq();
        front_end.play("ring 798906")?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        ensure!(
            front_end.changes().iter().all(|(what, _)| what != "door 0 on"),
            "nobody opened so far"
        );
        phone.press('9')?;
        gateway.event(seq, "door.granted", secs(5), |e| e["source"] == "house")?;
        // 35 times: 18 of them short the bus
        until(secs(10), "the whole frame", || {
            let sent = front_end.changes();
            Ok((sent.iter().filter(|(what, _)| what == "door 0 off").count() == 18).then_some(()))
        })?;
        let opened = decoded(&front_end, "tcs-bus", "what")?;
        ensure!(opened == ["open, address 798906, station 0"], "{opened:?}");
        phone.hang_up()?;
        front_end.does(0, "output 0 off")?;
        gateway.verify()
    });
}

/// Two buses whose telegram that opens differs from house to house: it is recorded, and stands in a profile of the line's own.
#[test]
fn front_end_telegrams_of_scs_and_of_welcome_ring_one_handset_and_nine_sends_the_recorded_one() {
    for (profile, text, door, sent) in [
        (
            "scs",
            include_str!("../../../../config/panels/scs.toml"),
            "96 @@ 6f a4",
            "96036fa4",
        ),
        (
            "busch-welcome",
            include_str!("../../../../config/panels/busch-welcome.toml"),
            "03 0d 40 01 10 @@ ca fe 07",
            "030d40011003cafe07",
        ),
    ] {
        run(|rig| {
            let mut front_end = FrontEnd::start(rig, profile)?;
            let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
            let line = format!(
                "bus-address = 3\nown-profile = '''\n{text}\n[door]\nby = \"frame\"\nframe = \"hex {door}\"\n\
                 presses = 2\npause-ms = 200\noff-hook-ms = 0\nquiet-ms = 100\nhold-ms = 0\n'''"
            );
            let gateway = Gateway::start(rig, &site(rig, &phone, &line, ""))?;
            until(secs(10), "the line to be online", || {
                Ok(gateway.log().contains("a front end is online").then_some(()))
            })?;

            // another handset is called first: had it rung, that would be the ring that the phone hears
            let seq = gateway.last_seq();
            front_end.play("ring 4")?;
            front_end.play("ring 3")?;
            phone.hears("CALL_INCOMING", secs(10))?;
            gateway.event(seq, "panel.ring", secs(5), |_| true)?;
            phone.answer()?;
            phone.hears("CALL_ESTABLISHED", secs(10))?;
            ensure!(front_end.changes().iter().all(|(what, _)| what != "door 0 on"));

            phone.press('9')?;
            gateway.event(seq, "door.granted", secs(5), |e| e["source"] == "house")?;
            until(secs(10), "the telegram twice", || {
                let frames = decoded(&front_end, profile, "frame").unwrap_or_default();
                Ok((frames.len() >= 2).then_some(()))
            })?;
            let opened = decoded(&front_end, profile, "frame")?;
            ensure!(opened == [sent, sent], "{opened:?}");
            let rings = gateway
                .events()?
                .into_iter()
                .filter(|e| e["kind"] == "panel.ring");
            ensure!(rings.count() == 1, "one handset rang");
            phone.hang_up()?;
            gateway.verify()
        });
    }
}

/// Cards that are sent to a controller, and their bits by the layouts that their makers published: H10301, H10306, H10302;
/// then key 5 of a keypad of 4 bits, and of one of 8.
const CARDS: [(&str, &str); 5] = [
    ("26:123,04567", "10111101100010001110101110"),
    ("34:123,04567", "0000000000111101100010001110101111"),
    ("37:98765", "0000000000000000000110000001110011011"),
    ("4:hex:5", "0101"),
    ("8:hex:a5", "10100101"),
];

/// What outputs `d0` and `d1` did from the change number `from` on: the pulses of a card pull their wires low.
fn traces(front_end: &FrontEnd, from: usize, [d0, d1]: [u8; 2]) -> Vec<Trace> {
    let changes = front_end.changes();
    let wire = |name, output: u8| {
        let of = changes.iter().skip(from).filter_map(|(what, at)| {
            let switched = what.strip_prefix(&format!("output {output} "))?;
            Some((*at, switched == "off"))
        });
        Trace {
            changes: of.collect(),
            name,
            rest: true,
        }
    };
    vec![wire("D0", d0), wire("D1", d1)]
}

/// What the program's own decoder makes of the same pulses.
fn own_frames(traces: &[Trace]) -> anyhow::Result<Vec<String>> {
    let begins = |wire: usize| {
        let low = traces[wire].changes.iter().filter(|(_, level)| !level);
        low.map(move |(at, _)| (*at, wire))
    };
    let mut pulses: Vec<(u64, usize)> = begins(0).chain(begins(1)).collect();
    pulses.sort_unstable();
    let first = pulses.first().context("no pulse")?.0;
    let edges = pulses
        .iter()
        .map(|(at, wire)| format!("{},{wire}", at - first))
        .collect::<Vec<_>>();
    let said = Command::new(program())
        .args(["decode", "wiegand", "--json"])
        .args(edges)
        .output()?;
    let said: Value = serde_json::from_slice(&said.stdout)?;
    let frames = said["frames"].as_array().context("frames")?;
    Ok(frames
        .iter()
        .filter_map(|frame| frame["data"].as_str().map(str::to_owned))
        .collect())
}

#[test]
fn front_end_cards_to_a_controller_are_those_that_sigrok_reads_at_usual_and_at_fastest_pulses() {
    run(|rig| {
        let front_end = FrontEnd::start(rig, "vizit-matrix")?;
        let port = rig.path("front-end/line");
        let controller = |name: &str, [d0, d1]: [u8; 2], keys: &str| {
            format!(
                "[controllers.{name}]\nforward = []\nby-command = true\n\
                 [controllers.{name}.wiegand]\nport = {port:?}\nd0-output = {d0}\nd1-output = {d1}\n{keys}\n"
            )
        };
        let text = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            more: controller("usual", [2, 3], "")
                + &controller("fast", [0, 1], "pulse-us = 20\ninterval-us = 200"),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &text.text(rig))?;
        until(secs(10), "the front end to be online", || {
            Ok(gateway.log().contains("a front end is online").then_some(()))
        })?;
        for (name, wires, pulse_us, interval_us, cell_ms) in
            [("usual", [2, 3], 50, 2000, 4), ("fast", [0, 1], 20, 200, 1)]
        {
            let from = front_end.changes().len();
            let mut wanted = 0;
            for (card, bits) in CARDS {
                let seq = gateway.last_seq();
                let sent = gateway.command("controllers", &["send", name, card])?;
                ensure!(sent.status.success(), "{card}: {sent:?}");
                gateway.event(seq, "controller.taken", secs(5), |event| event["source"] == name)?;
                wanted += 2 * bits.len();
                until(secs(5), "the last pulse of the card", || {
                    Ok((front_end.changes().len() - from == wanted).then_some(()))
                })?;
            }
            let traces = traces(&front_end, from, wires);
            let decoder = format!("wiegand:d0=D0:d1=D1:bitwidth_ms={cell_ms}");
            let read = sigrok(rig, &traces, &decoder, "wiegand=state")?;
            let as_said = |(_, bits): &(&str, &str)| format!("{} bits {bits}", bits.len());
            let told: Vec<String> = CARDS.iter().map(as_said).collect();
            ensure!(read == told, "{name}: sigrok reads {read:#?}");
            let own = own_frames(&traces)?;
            let bits: Vec<&str> = CARDS.iter().map(|(_, bits)| *bits).collect();
            ensure!(own == bits, "{name}: {own:?}");
            // each pulse as long, and as far from the one before it, as the site file says
            let mut lows = Vec::new();
            for pair in traces.iter().flat_map(|trace| trace.changes.chunks(2)) {
                let [(low, false), (high, true)] = *pair else {
                    anyhow::bail!("no pulse: {pair:?}");
                };
                ensure!(high - low == pulse_us, "{name}: {pair:?}");
                lows.push(low);
            }
            lows.sort_unstable();
            let apart = |pair: &[u64]| pair[1] - pair[0];
            let within = lows.windows(2).map(apart).filter(|apart| *apart < 25_000);
            ensure!(
                within.clone().all(|apart| apart == interval_us),
                "{name}: {lows:?}"
            );
            ensure!(within.count() == wanted / 2 - CARDS.len());
            // wires that were exchanged would have been noticed
            let exchanged: Vec<Trace> = traces
                .iter()
                .zip(["D1", "D0"])
                .map(|(trace, name)| Trace {
                    name,
                    ..trace.clone()
                })
                .collect();
            ensure!(sigrok(rig, &exchanged, &decoder, "wiegand=state")? != told);
        }
        gateway.stop()
    });
}

/// A key on its wire (DS1990A, timing of the data sheet): reset, presence, `read ROM`, and the key's 64 bits.
fn one_wire(rom: &[u8; 8]) -> Trace {
    let (mut at, mut changes) = (1000, Vec::new());
    let mut low = |wait: u64, us: u64| {
        changes.extend([(at + wait, false), (at + wait + us, true)]);
        at += wait + us;
    };
    low(0, 500);
    low(30, 120);
    low(500, 6);
    let bits = |byte: u8| (0..8).map(move |n| byte >> n & 1 == 1);
    // the first slot of the command was begun above, for its lowest bit is 1
    for one in bits(0x33).skip(1).chain(rom.iter().flat_map(|byte| bits(*byte))) {
        low(70, if one { 6 } else { 60 });
    }
    Trace {
        changes,
        name: "OWR",
        rest: true,
    }
}

#[test]
fn front_end_a_contact_key_has_the_number_that_sigrok_reads_of_it() {
    run(|rig| {
        for serial in ["12f4a3c", "000000000001", "fedcba987654"] {
            let made = Command::new(program())
                .args(["encode", "ibutton", serial])
                .output()?;
            let raw = String::from_utf8(made.stdout)?.trim().to_owned();
            let number = u64::from_str_radix(&raw, 16).with_context(|| format!("{raw:?}"))?;
            let trace = one_wire(&number.to_be_bytes());
            let said = sigrok(
                rig,
                &[trace],
                "onewire_link:owr=OWR,onewire_network",
                "onewire_network",
            )?;
            // as a number, so that the byte which comes first stands last
            let wanted = format!("ROM: 0x{:016x}", number.swap_bytes());
            ensure!(said.contains(&wanted), "{serial}: {said:?} lacks {wanted}");
        }
        Ok(())
    });
}

/// Telegrams of buses that talk in bytes are asynchronous characters whose zeros end early: drawn out to the middle of their bits, as
/// Stapelberg's receiver does it, every decoder of a serial line reads them.
#[test]
fn front_end_pulses_of_scs_and_of_welcome_are_the_bytes_that_sigrok_reads() {
    run(|rig| {
        for (args, decoder, wanted) in [
            (
                &["scs", "--edges", "91", "03", "60", "08"][..],
                "uart:rx=BUS:baudrate=9600",
                "A8 91 03 60 08 FA A3",
            ),
            (
                &[
                    "abb", "--edges", "--kind", "0a", "--to", "000101", "--from", "000101", "--number", "70",
                    "01", "02",
                ],
                "uart:rx=BUS:baudrate=9804:bit_order=msb-first",
                "55 FF 42 0A 00 01 01 00 01 01 46 01 02 30",
            ),
        ] {
            let made = Command::new(program()).arg("encode").args(args).output()?;
            let text = String::from_utf8(made.stdout)?;
            let edges = text.split_whitespace().map(|edge| {
                let (us, level) = edge.split_once(',').context("an edge")?;
                let (us, level): (u64, u8) = (us.parse()?, level.parse()?);
                Ok((if level == 1 { us + 40 } else { us }, level == 1))
            });
            let edges: Vec<(u64, bool)> = edges.collect::<anyhow::Result<_>>()?;
            let changes = edges.get(1..).context("pulses")?.to_vec();
            let trace = Trace {
                changes,
                name: "BUS",
                rest: true,
            };
            let said = sigrok(rig, &[trace], decoder, "uart=rx-data")?;
            ensure!(said.join(" ") == wanted, "{decoder}: {said:?}");
        }
        Ok(())
    });
}

/// Two readers of the simulated front end, and a door for them.
fn readers(rig: &Rig) -> String {
    let port = rig.path("front-end/line");
    format!(
        "[readers.plate.front-end-keys]\nport = {port:?}\nkeys = [\"cyfral\", \"ds1990a\", \"metakom\"]\ninput = 2\n\
         pull-output = 4\nrepeat-ms = 0\nled-output = 5\n\
         [readers.bank.front-end-clock-data]\nport = {port:?}\nclock-input = 3\ndata-input = 4\ncard-present-input = 5\n\
         repeat-ms = 0\n\
         [outputs.vault.virtual]\n\
         [doors.vault]\nname = \"Vault\"\noutput = \"vault\"\nstrike-ms = 1000\nreaders = [\"plate\", \"bank\"]\n"
    )
}

/// Plays a key or a stripe until the vault says so; gives the number of the last record before it. On a busy machine edges are
/// lost on the way, which the gateway tells: then it is shown again, as people do.
fn plays(front_end: &mut FrontEnd, gateway: &Gateway, what: &str, kind: &str) -> anyhow::Result<u64> {
    let mut tries = 0;
    loop {
        let seq = gateway.last_seq();
        front_end.play(what)?;
        tries += 1;
        match gateway.event(seq, kind, secs(5), |e| e["source"] == "vault") {
            Ok(_) => return Ok(seq),
            Err(error) if tries == 5 => return Err(error),
            Err(_) => {}
        }
    }
}

#[test]
fn front_end_keys_of_every_kind_and_stripes_open_and_sigrok_reads_how_a_key_is_asked() {
    run(|rig| {
        let mut front_end = FrontEnd::start(rig, "vizit-matrix")?;
        let cards = [
            ("key cyfral 1b07", "cyfral:1B07"),
            ("key metakom 0305ff00", "metakom:0305FF00"),
            ("key ds1990a 0000012f4a3c", "ibutton:0000012F4A3C"),
            ("stripe 0012345678", "track2:0012345678"),
            ("stripe 4711=0815 back", "track2:4711=0815"),
        ];
        let known = cards
            .iter()
            .enumerate()
            .map(|(n, (_, card))| format!("[cards.c{n}]\ncard = {card:?}\ndoors = [\"vault\"]\n"));
        let text = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            more: readers(rig) + &known.collect::<String>(),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &text.text(rig))?;
        until(secs(10), "the front end to be online", || {
            Ok(gateway.log().contains("a front end is online").then_some(()))
        })?;
        // what lies at the contact in the first second is nobody's touch
        until(secs(20), "the first touch that counts", || {
            let seq = gateway.last_seq();
            front_end.play("key cyfral 0001")?;
            let denied = gateway.event(seq, "door.denied", Duration::from_millis(2500), |e| {
                e["source"] == "vault"
            });
            Ok(denied.ok())
        })?;
        for (what, card) in cards {
            let from = front_end.changes().len();
            let source = if what.starts_with("key") { "plate" } else { "bank" };
            let seq =
                plays(&mut front_end, &gateway, what, "door.granted").with_context(|| card.to_owned())?;
            gateway.event(seq, "reader.card", secs(5), |e| e["source"] == source)?;
            if source == "plate" {
                front_end.does(from, "output 5 on")?;
            }
            // the next one is to open a door that is shut, and to light a lamp that is dark
            gateway.event(seq, "door.relocked", secs(10), |e| e["source"] == "vault")?;
            if source == "plate" {
                front_end.does(from, "output 5 off")?;
            }
        }
        // those that no door has
        for what in ["key cyfral 1b08", "key ds1990a 0000012f4a3d", "stripe 0012345679"] {
            plays(&mut front_end, &gateway, what, "door.denied")?;
        }

        // the wire of the contact, while a key is asked, by somebody else's decoder
        let from = front_end.changes().len();
        plays(
            &mut front_end,
            &gateway,
            "key ds1990a fedcba987654",
            "door.denied",
        )?;
        let changes = front_end.changes();
        let wire = changes.iter().skip(from).filter_map(|(what, at)| {
            let level = what.strip_prefix("wire 2 ")?;
            Some((*at, level == "high"))
        });
        let trace = Trace {
            changes: wire.collect(),
            name: "OWR",
            rest: true,
        };
        let said = sigrok(
            rig,
            &[trace],
            "onewire_link:owr=OWR,onewire_network",
            "onewire_network",
        )?;
        // the key before it may still have been there
        let mut roms = said.iter().filter_map(|line| line.strip_prefix("ROM: 0x"));
        let rom = roms.next_back();
        let rom = rom.with_context(|| format!("sigrok reads no number: {said:?}"))?;
        ensure!(
            rom.get(2..14) == Some("fedcba987654") && rom.ends_with("01"),
            "{said:?}"
        );
        ensure!(
            said.iter()
                .any(|line| line.contains("0x33") || line.to_lowercase().contains("read rom")),
            "{said:?}"
        );
        gateway.stop()
    });
}
