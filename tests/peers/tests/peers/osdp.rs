//! OSDP readers, which libosdp plays at the far end of a pty pair.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, ensure};
use peers::{Api, Gateway, OsdpReaders, Rig, Site, Wire, run, until};
use serde_json::{Value, json};

use crate::boards::all_die_at_once;
use crate::outside::wall_clock;
use crate::secs;

/// 26:123,04567, the card of the test site.
const CARD: &str = "26 bd88eb80";
const LED: &str = "on_color";

pub(crate) fn key_of(n: u8) -> String {
    (0..16)
        .map(|at| format!("{:02x}", (n + 4).wrapping_mul(17).wrapping_add(at)))
        .collect()
}

pub(crate) fn write_key(rig: &Rig, name: &str, key: &str) -> anyhow::Result<()> {
    let file = rig.path(name);
    std::fs::write(&file, format!("{key}\n"))?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// The test site with an OSDP reader at its door, and more readers on the same line.
fn site(rig: &Rig, wire: &Wire, keys: &str, more: &str) -> String {
    let text = Site {
        http: true,
        targets: vec!["sip:101@127.0.0.1:9".into()],
        more: format!("[codes.pin]\ndigits = \"4711\"\nfrom = [\"keypad\"]\ndoors = [\"front\"]\n{more}"),
        ..Site::default()
    };
    let osdp = format!("[readers.front-reader.osdp]\nport = {:?}\n{keys}\n", wire.port());
    text.text(rig).replace("[readers.front-reader.virtual]\n", &osdp)
}

/// Waits until a fault of the reader holds `words`, or until it has none.
fn fault(api: &Api, reader: &str, words: Option<&str>) -> anyhow::Result<()> {
    until(secs(40), &format!("the fault {words:?} of {reader}"), || {
        let site = api.get("/api/v1/site")?.body;
        let faults = site["faults"].as_array().cloned().unwrap_or_default();
        let part = format!("device:reader-{reader}");
        let found = faults.iter().find(|fault| fault["part"] == part.as_str());
        let text = found.map(ToString::to_string);
        Ok(match words {
            Some(words) => text.is_some_and(|text| text.contains(words)),
            None => text.is_none(),
        }
        .then_some(()))
    })
}

/// Waits until the reader was heard and is well.
fn ready(gateway: &Gateway, reader: &str, after: u64) -> anyhow::Result<()> {
    let device = format!("reader-{reader}");
    let named = |event: &Value| event.to_string().contains(&format!("\"{device}\""));
    gateway.event(after, "device.ready", secs(30), named).map(|_| ())
}

/// Shows the card until the door opens, and waits until it is shut again.
fn opens(gateway: &mut Gateway, readers: &OsdpReaders) -> anyhow::Result<()> {
    readers.act(&format!("card 0 {CARD}"))?;
    gateway.energised(secs(10))?;
    gateway.released(secs(10))?;
    Ok(())
}

fn colours(readers: &OsdpReaders) -> Vec<u64> {
    let all = readers.commands(0);
    all.iter().filter_map(|command| command[LED].as_u64()).collect()
}

#[test]
fn osdp_cards_and_codes_open_through_the_secure_channel_and_are_shown() {
    run(|rig| {
        let wire = Wire::new(rig)?;
        write_key(rig, "front.key", &key_of(1))?;
        let readers = OsdpReaders::start(rig, &wire.board(), &[format!("0:{}", key_of(1))])?;
        let text = site(rig, &wire, "key-file = \"front.key\"", "");
        let mut gateway = Gateway::start(rig, &text)?;
        ready(&gateway, "front-reader", 0)?;
        readers.secure(0, secs(5))?;
        opens(&mut gateway, &readers)?;
        // green
        until(secs(5), "the green light", || {
            Ok(colours(&readers).contains(&2).then_some(()))
        })?;
        let beeps = readers.commands(0).iter().filter(|c| c["rep_count"] == 1).count();
        ensure!(beeps == 1, "{:?}", readers.commands(0));
        // a card that nobody knows
        readers.act("card 0 26 80800100")?;
        until(secs(5), "the red light", || {
            Ok(colours(&readers).contains(&1).then_some(()))
        })?;
        // a code, key by key: amber while more is awaited
        let seq = gateway.last_seq();
        for key in "4711#".chars() {
            readers.act(&format!("keys 0 {key}"))?;
        }
        gateway.energised(secs(10))?;
        gateway.released(secs(10))?;
        ensure!(colours(&readers).contains(&3), "{:?}", colours(&readers));
        gateway.event(seq, "door.granted", secs(5), |event| {
            event["factor"] == "keypad-code" || event.to_string().contains("pin")
        })?;
        // the case is opened and shut again
        let api = Api::set_up(rig, &gateway)?;
        readers.act("local 0 1 0")?;
        fault(&api, "front-reader", Some("tamper"))?;
        readers.act("local 0 0 0")?;
        fault(&api, "front-reader", None)?;
        gateway.stop()
    });
}

#[test]
fn osdp_a_reader_in_the_clear_opens_and_its_input_is_a_button() {
    run(|rig| {
        let wire = Wire::new(rig)?;
        let readers = OsdpReaders::start(rig, &wire.board(), &["0:clear".to_owned()])?;
        let input = "[inputs.front-rex.osdp]\nreader = \"front-reader\"\nnumber = 1\n";
        let text = site(rig, &wire, "unencrypted = true", "");
        let text = text.replace("[inputs.front-rex.virtual]\n", input);
        let mut gateway = Gateway::start(rig, &text)?;
        ready(&gateway, "front-reader", 0)?;
        opens(&mut gateway, &readers)?;
        // held since nobody knows when: state
        readers.act("inputs 0 0100")?;
        gateway.stays_at_rest(secs(2))?;
        readers.act("inputs 0 0000")?;
        gateway.stays_at_rest(secs(1))?;
        readers.act("inputs 0 0100")?;
        gateway.energised(secs(10))?;
        gateway.released(secs(10))?;
        Ok(())
    });
}

#[test]
fn osdp_replies_that_were_recorded_or_damaged_open_nothing() {
    run(|rig| {
        let wire = Wire::new(rig)?;
        write_key(rig, "front.key", &key_of(1))?;
        let readers = OsdpReaders::start(rig, &wire.board(), &[format!("0:{}", key_of(1))])?;
        let text = site(rig, &wire, "key-file = \"front.key\"", "");
        let mut gateway = Gateway::start(rig, &text)?;
        ready(&gateway, "front-reader", 0)?;
        opens(&mut gateway, &readers)?;
        let seq = gateway.last_seq();
        readers.act("replay 12")?;
        gateway.stays_at_rest(secs(4))?;
        readers.act("damage 6")?;
        gateway.stays_at_rest(secs(4))?;
        let cards = gateway.events()?;
        let cards = cards
            .iter()
            .filter(|e| e["kind"] == "reader.card" && e["seq"].as_u64() > Some(seq));
        ensure!(cards.count() == 0, "a recorded card counted");
        // and the line comes back by itself
        readers.secure(0, secs(30))?;
        until(secs(30), "the door to open", || {
            readers.act(&format!("card 0 {CARD}"))?;
            Ok(gateway.energised(secs(3)).ok())
        })?;
        Ok(())
    });
}

#[test]
fn osdp_a_reader_with_another_key_is_not_heard_and_a_new_one_gets_its_key_in_the_window() {
    run(|rig| {
        let wire = Wire::new(rig)?;
        write_key(rig, "front.key", &key_of(1))?;
        let other = OsdpReaders::start(rig, &wire.board(), &[format!("0:{}", key_of(2))])?;
        let text = site(rig, &wire, "key-file = \"front.key\"", "");
        let mut gateway = Gateway::start(rig, &text)?;
        let api = Api::set_up(rig, &gateway)?;
        fault(&api, "front-reader", Some("key"))?;
        other.act(&format!("card 0 {CARD}"))?;
        gateway.stays_at_rest(secs(3))?;
        drop(other);
        let new = OsdpReaders::start(rig, &wire.board(), &["0:new".to_owned()])?;
        new.act(&format!("card 0 {CARD}"))?;
        gateway.stays_at_rest(secs(8))?;
        ensure!(new.commands(0).is_empty(), "{:?}", new.commands(0));
        let out = std::process::Command::new(peers::program())
            .args(["osdp", "install", "--config"])
            .arg(rig.path("site.toml"))
            .arg("front-reader")
            .output()?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        fault(&api, "front-reader", None)?;
        let set = new
            .commands(0)
            .into_iter()
            .find(|command| command["data"] == key_of(1).as_str());
        ensure!(set.is_some(), "{:?}", new.commands(0));
        new.secure(0, secs(5))?;
        // the card that waited in it since before it was ours opens nothing
        gateway.stays_at_rest(secs(3))?;
        opens(&mut gateway, &new)?;
        Ok(())
    });
}

#[test]
fn osdp_a_line_is_unplugged_and_replugged_and_a_reader_is_away() {
    run(|rig| {
        let mut wire = Wire::new(rig)?;
        write_key(rig, "front.key", &key_of(1))?;
        let readers = OsdpReaders::start(rig, &wire.board(), &[format!("0:{}", key_of(1))])?;
        let text = site(rig, &wire, "key-file = \"front.key\"", "");
        let mut gateway = Gateway::start(rig, &text)?;
        ready(&gateway, "front-reader", 0)?;
        let api = Api::set_up(rig, &gateway)?;
        wire.unplug()?;
        fault(&api, "front-reader", Some("is gone"))?;
        // shown while nobody listens: nobody stands there when the line is back
        readers.act(&format!("card 0 {CARD}"))?;
        let seq = gateway.last_seq();
        wire.plug()?;
        ready(&gateway, "front-reader", seq)?;
        gateway.stays_at_rest(secs(3))?;
        opens(&mut gateway, &readers)?;
        readers.act("mute 0")?;
        fault(&api, "front-reader", Some("does not answer"))?;
        let seq = gateway.last_seq();
        readers.act("speak 0")?;
        ready(&gateway, "front-reader", seq)?;
        opens(&mut gateway, &readers)?;
        Ok(())
    });
}

#[test]
fn osdp_twenty_four_readers_on_one_line_stay_online() {
    run(|rig| {
        let wire = Wire::new(rig)?;
        let (mut played, mut more) = (vec![], String::new());
        for n in 0..24_u8 {
            write_key(rig, &format!("{n}.key"), &key_of(n + 1))?;
            played.push(format!("{n}:{}", key_of(n + 1)));
            if n > 0 {
                let _ = write!(
                    more,
                    "[readers.r{n}.osdp]\nport = {:?}\naddress = {n}\nkey-file = \"{n}.key\"\n",
                    wire.port()
                );
            }
        }
        let readers = OsdpReaders::start(rig, &wire.board(), &played)?;
        let text = site(rig, &wire, "key-file = \"0.key\"", &more);
        let mut gateway = Gateway::start(rig, &text)?;
        ready(&gateway, "front-reader", 0)?;
        for n in 1..24 {
            ready(&gateway, &format!("r{n}"), 0)?;
        }
        let seq = gateway.last_seq();
        let mut slowest = 0;
        for _ in 0..5 {
            let shown = peers::boottime_ns();
            readers.act(&format!("card 0 {CARD}"))?;
            let edge = gateway.energised(secs(10))?;
            slowest = slowest.max(edge.at_ns.saturating_sub(shown));
            gateway.released(secs(10))?;
        }
        rig.measured(
            "card at one of 24 readers until the relay, slowest of 5",
            format!("{} ms", slowest / 1_000_000),
        );
        // longer than the offline time of the standard
        readers.gap()?;
        gateway.stays_at_rest(secs(10))?;
        let gap = readers.gap()?;
        rig.measured(
            "longest time between two polls of one of 24 readers, pty without a speed",
            format!("{} ms", gap.as_millis()),
        );
        ensure!(gap < secs(8), "{gap:?}");
        for n in 0..24 {
            readers.secure(n, secs(1))?;
        }
        let faults = gateway.events()?;
        let faults: Vec<_> = faults
            .iter()
            .filter(|e| e["kind"] == "device.fault" && e["seq"].as_u64() > Some(seq))
            .collect();
        ensure!(faults.is_empty(), "{faults:?}");
        Ok(())
    });
}

/// `doorline osdp …` on the site of the rig, in the background.
fn osdp(rig: &Rig, args: &[&str]) -> anyhow::Result<std::process::Child> {
    let (act, rest) = args.split_first().context("an act")?;
    let command = std::process::Command::new(peers::program())
        .args(["osdp", act, "--config"])
        .arg(rig.path("site.toml"))
        .args(rest)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    Ok(command)
}

/// Its last words, if it ended as it should.
fn said(child: std::process::Child, well: bool) -> anyhow::Result<String> {
    let out = child.wait_with_output()?;
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(out.status.success() == well, "{said}");
    Ok(said)
}

#[test]
fn osdp_a_reader_shows_texts_and_takes_firmware_and_another_address_from_an_operator() {
    run(|rig| {
        let wire = Wire::new(rig)?;
        write_key(rig, "front.key", &key_of(1))?;
        let readers = OsdpReaders::start(rig, &wire.board(), &[format!("0:{}", key_of(1))])?;
        let keys = "key-file = \"front.key\"\ntext-granted = \"Welcome home\"\n";
        let text = site(rig, &wire, keys, "");
        let mut gateway = Gateway::start(rig, &text)?;
        ready(&gateway, "front-reader", 0)?;
        readers.secure(0, secs(5))?;
        opens(&mut gateway, &readers)?;
        until(secs(5), "the text of the site file on the display", || {
            let all = readers.commands(0);
            let shown = |command: &Value| command["data"] == "Welcome home" && command["temp_time"] == 3;
            Ok(all.iter().any(shown).then_some(()))
        })?;
        readers.act("card 0 26 80800100")?;
        until(secs(5), "the usual text of a refusal on the display", || {
            let all = readers.commands(0);
            Ok(all
                .iter()
                .any(|command| command["data"] == "No entry")
                .then_some(()))
        })?;
        // firmware, whole, while a card opens
        let firmware: Vec<u8> = (0..60_000_u32)
            .map(|n| n.to_le_bytes()[(n % 2) as usize])
            .collect();
        let file = rig.path("reader.bin");
        std::fs::write(&file, &firmware)?;
        let got = || readers.file(0, &file);
        let path = file.display().to_string();
        let giving = osdp(rig, &["firmware", "front-reader", &path])?;
        until(secs(20), "the first bytes", || Ok((got()?.0 > 0).then_some(())))?;
        opens(&mut gateway, &readers)?;
        let words = said(giving, true)?;
        ensure!(words.contains("has taken the file"), "{words}");
        ensure!(got()? == (firmware.len(), true), "{:?}", got());
        // its supply fails in the middle: told, and nothing is sent again until somebody asks for it
        let giving = osdp(rig, &["firmware", "front-reader", &path])?;
        until(secs(20), "the first bytes of the second time", || {
            let (count, _) = got()?;
            Ok((0 < count && count < firmware.len()).then_some(()))
        })?;
        readers.act("mute 0")?;
        let words = said(giving, false)?;
        ensure!(words.contains("stopped answering after"), "{words}");
        let half = got()?;
        ensure!(half.0 < firmware.len(), "{half:?}");
        let seq = gateway.last_seq();
        fault(
            &Api::set_up(rig, &gateway)?,
            "front-reader",
            Some("does not answer"),
        )?;
        readers.act("speak 0")?;
        ready(&gateway, "front-reader", seq)?;
        ensure!(got()? == half, "{half:?}");
        let words = said(osdp(rig, &["firmware", "front-reader", &path])?, true)?;
        ensure!(words.contains("has taken the file"), "{words}");
        ensure!(got()? == (firmware.len(), true), "{:?}", got());
        // another address: in the window only
        let words = said(osdp(rig, &["move", "front-reader", "--address", "5"])?, false)?;
        ensure!(words.contains("in the window only"), "{words}");
        said(osdp(rig, &["install", "front-reader"])?, true)?;
        let words = said(osdp(rig, &["move", "front-reader", "--address", "5"])?, true)?;
        ensure!(words.contains("set address = 5"), "{words}");
        // who did what to the reader, and what came of it, is on record
        let events = gateway.events()?;
        let told = events.iter().filter_map(|event| {
            let kind = event["kind"].as_str()?.strip_prefix("reader.service-")?;
            let who = event["subject"] == "user:console" && event["source"] == "front-reader";
            let outcome = event["outcome"].as_str().unwrap_or_default();
            let what = event["what"].as_str()?;
            Some(if who {
                format!("{kind} {what} {outcome}")
            } else {
                event.to_string()
            })
        });
        let told: Vec<String> = told.collect();
        let wanted = [
            "began file ",
            "ended file done",
            "began file ",
            "ended file failed",
            "began file ",
            "ended file done",
            "refused settings ",
            "began key ",
            "began settings ",
            "ended settings done",
        ];
        ensure!(told == wanted, "{told:#?}");
        gateway.reload(&text.replace(
            "[readers.front-reader.osdp]",
            "[readers.front-reader.osdp]\naddress = 5",
        ))?;
        until(
            secs(30),
            "the door to open by the reader at its new address",
            || {
                readers.act(&format!("card 0 {CARD}"))?;
                Ok(gateway.energised(secs(3)).ok())
            },
        )?;
        gateway.released(secs(10))?;
        gateway.stop()
    });
}

/// A door whose strike, and a lamp that, hangs on an output of the reader.
const OUTPUTS: &str = "[outputs.gate-strike.osdp]\nreader = \"front-reader\"\nnumber = 1\nstrike-outside = \"accepted\"\n\
     [doors.gate]\nname = \"Gate\"\noutput = \"gate-strike\"\nstrike-ms = 2000\n\
     [outputs.sign.osdp]\nreader = \"front-reader\"\nnumber = 0\n\
     [relays.sign]\noutput = \"sign\"\n[relays.sign.command]\n";
/// What a pulse may be longer or shorter on a busy machine, ns.
const SLACK: u64 = 1_500_000_000;

/// Waits for the change number `n` of an output.
fn edge(readers: &OsdpReaders, number: u8, n: usize, energised: bool) -> anyhow::Result<u64> {
    let what = format!("change {n} of output {number}");
    let edge = until(secs(20), &what, || Ok(readers.output(0, number).get(n).cloned()))?;
    ensure!(edge.energised == energised, "{:?}", readers.output(0, number));
    Ok(edge.at_ns)
}

/// Opens the gate as a person at the page does, as often as it takes where the reader just came back.
fn open_gate(api: &Api, readers: &OsdpReaders) -> anyhow::Result<(usize, u64)> {
    let before = readers.output(0, 1).len();
    let mut n = 0;
    let at = until(secs(30), "the gate to open", || {
        n += 1;
        let id = format!("gate-{before}-{n}");
        api.post(
            "/api/v1/doors/gate/open",
            &json!({ "id": id, "at": wall_clock()? }),
        )?;
        let opened = || Ok(readers.output(0, 1).get(before).filter(|e| e.energised).cloned());
        Ok(until(secs(1), "its strike", opened).ok())
    })?;
    Ok((before, at.at_ns))
}

#[test]
fn osdp_an_output_of_a_reader_does_what_the_guard_says_and_ends_by_itself_when_everybody_is_dead() {
    run(|rig| {
        let wire = Wire::new(rig)?;
        write_key(rig, "front.key", &key_of(1))?;
        let readers = OsdpReaders::start(rig, &wire.board(), &[format!("0:{}", key_of(1))])?;
        // somebody left it on: it rests before the door is one
        readers.act("hand 0 1 1")?;
        let text = site(rig, &wire, "key-file = \"front.key\"", OUTPUTS);
        let mut gateway = Gateway::start(rig, &text)?;
        ready(&gateway, "front-reader", 0)?;
        edge(&readers, 1, 0, true)?;
        edge(&readers, 1, 1, false)?;
        let api = Api::set_up(rig, &gateway)?;

        // a pulse: the guard ends it, and the reader was told an end of its own
        let (n, on) = open_gate(&api, &readers)?;
        let off = edge(&readers, 1, n + 1, false)?;
        rig.measured(
            "pulse of 2000 ms at a reader",
            format!("{} ms", (off - on) / 1_000_000),
        );
        ensure!(off - on >= 1_800_000_000, "{} ms", (off - on) / 1_000_000);
        let told = readers.commands(0);
        let timed = told.iter().filter(|command| command["output_no"] == 1);
        let timed: Vec<_> = timed.filter(|command| command["control_code"] == 5).collect();
        ensure!(
            timed.iter().all(|c| c["timer_count"]
                .as_u64()
                .is_some_and(|tenths| (20..=30).contains(&tenths))),
            "{timed:?}"
        );
        ensure!(
            !told.iter().any(|command| command["control_code"] == 2),
            "never on for good: {told:?}"
        );

        // somebody else switches it on: written to rest, with an alarm
        let n = readers.output(0, 1).len();
        readers.act("hand 0 1 1")?;
        edge(&readers, 1, n, true)?;
        edge(&readers, 1, n + 1, false)?;
        until(secs(10), "the alarm", || {
            let faults = api.get("/api/v1/site")?.body["faults"].to_string();
            Ok(faults.contains("energised without a lease").then_some(()))
        })?;

        // a lamp is on until further notice, which the reader is told again and again
        let set = |state: &str| {
            let body = json!({ "state": state, "id": format!("sign-{state}"), "at": wall_clock()? });
            let reply = api.post("/api/v1/relays/sign/set", &body)?;
            ensure!(reply.status < 300, "{reply:?}");
            Ok(())
        };
        set("on")?;
        edge(&readers, 0, 0, true)?;
        until(secs(20), "the lamp to be told four times", || {
            let told = readers.commands(0);
            let lamp = told.iter().filter(|command| command["output_no"] == 0);
            Ok((lamp.filter(|command| command["control_code"] == 5).count() >= 4).then_some(()))
        })?;
        ensure!(
            readers.output(0, 0).len() == 1,
            "it never went dark: {:?}",
            readers.output(0, 0)
        );
        set("off")?;
        edge(&readers, 0, 1, false)?;

        // a reader that was away is claimed anew before its output counts
        readers.act("mute 0")?;
        fault(&api, "front-reader", Some("does not answer"))?;
        until(secs(10), "the gate not to be offered", || {
            let site = api.get("/api/v1/site")?.body;
            let mut doors = site["doors"].as_array().into_iter().flatten();
            Ok(doors
                .any(|d| d["id"] == "gate" && d["available"] == false)
                .then_some(()))
        })?;
        readers.act("hand 0 1 1")?;
        let n = readers.output(0, 1).len();
        readers.act("speak 0")?;
        edge(&readers, 1, n, false)?;
        let (n, _) = open_gate(&api, &readers)?;
        edge(&readers, 1, n + 1, false)?;

        // nobody is left to end it
        let (n, on) = open_gate(&api, &readers)?;
        all_die_at_once(&mut gateway)?;
        let off = edge(&readers, 1, n + 1, false)?;
        rig.measured(
            "pulse of 2000 ms that the reader ended",
            format!("{} ms", (off - on) / 1_000_000),
        );
        let planned = 2_000_000_000;
        ensure!(
            off - on >= planned && off - on <= planned + SLACK,
            "{} ms",
            (off - on) / 1_000_000
        );
        Ok(())
    });
}
